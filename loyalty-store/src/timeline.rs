//! The timeline of a shop's programs, and the programs that apply to an account.
//!
//! A scheduled event is decided by the program in force at its time
//! ([`loyalty_core::as_of`]). For most accounts that is the newest one. Earlier programs
//! are loaded only for accounts that had an event due before it.

use std::sync::Arc;

use loyalty_core::{
    Account, AccountId, Birthday, Context, Program, ProgramPeriod, ProgramVersion, ShopId,
    Timestamp, Zone, next_due,
};

use crate::Store;
use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord};
use crate::shop::Shop;

/// The versions of a shop's program, with the times from which they are in force.
#[derive(Clone, Debug)]
pub(crate) struct ProgramTimeline {
    /// Oldest first, never empty.
    versions: Vec<(ProgramVersion, Timestamp)>,
    /// The program in force.
    current: Arc<ApplicablePrograms>,
    /// The last account whose due time is recomputed under the newest program. `None` if
    /// all are.
    reschedule_cursor: Option<AccountId>,
}

/// The programs that apply to an account, with the shop's calendar and currency.
#[derive(Clone, Debug)]
pub(crate) struct ApplicablePrograms {
    zone: Zone,
    minor_digits: u32,
    /// Earlier programs that apply, oldest first.
    previous: Vec<PublishedProgram>,
    current: PublishedProgram,
    /// True if the stored due times are computed under the newest program.
    is_due_current: bool,
}

/// A version of a program, and the time from which it is in force.
#[derive(Clone, Debug)]
pub(crate) struct PublishedProgram {
    pub(crate) version: ProgramVersion,
    pub(crate) program: Arc<Program>,
    pub(crate) in_force_from: Timestamp,
}

impl ProgramTimeline {
    /// Creates a timeline from all versions, oldest first, and the newest program.
    pub(crate) fn new(
        shop: &Shop,
        versions: Vec<(ProgramVersion, Timestamp)>,
        newest: PublishedProgram,
        reschedule_cursor: Option<AccountId>,
    ) -> Self {
        let (zone, minor_digits) = (shop.zone, shop.minor_digits());
        let current = ApplicablePrograms {
            zone,
            minor_digits,
            previous: Vec::new(),
            current: newest,
            is_due_current: reschedule_cursor.is_none(),
        };

        Self { versions, current: Arc::new(current), reschedule_cursor }
    }

    /// Creates the timeline of a shop without accounts.
    pub(crate) fn for_new_shop(shop: &Shop, newest: PublishedProgram) -> Self {
        Self::new(shop, vec![(newest.version, newest.in_force_from)], newest, None)
    }

    /// Returns the timeline with a new version. All accounts must be rescheduled.
    pub(crate) fn with_version(&self, newest: PublishedProgram) -> Self {
        let mut versions = self.versions.clone();
        versions.push((newest.version, newest.in_force_from));
        let ApplicablePrograms { zone, minor_digits, .. } = *self.current;
        let current = ApplicablePrograms {
            zone,
            minor_digits,
            previous: Vec::new(),
            current: newest,
            is_due_current: false,
        };

        // Account ids start at 1: no account is rescheduled yet.
        Self {
            versions,
            current: Arc::new(current),
            reschedule_cursor: Some(AccountId(0)),
        }
    }

    /// Returns the timeline with accounts rescheduled up to `up_to`, or all of them for
    /// `None`.
    pub(crate) fn with_reschedule_cursor(&self, up_to: Option<AccountId>) -> Self {
        let current =
            ApplicablePrograms { is_due_current: up_to.is_none(), ..(*self.current).clone() };

        Self {
            versions: self.versions.clone(),
            current: Arc::new(current),
            reschedule_cursor: up_to,
        }
    }

    /// Returns the last account that is rescheduled, or `None` if all are.
    pub(crate) fn reschedule_cursor(&self) -> Option<AccountId> {
        self.reschedule_cursor
    }

    /// Returns the programs for decisions without an account.
    pub(crate) fn current_programs(&self) -> Arc<ApplicablePrograms> {
        Arc::clone(&self.current)
    }

    /// Returns the time from which the newest version is in force.
    pub(crate) fn current_since(&self) -> Timestamp {
        self.versions.last().map_or(Timestamp::UNIX_EPOCH, |(_, from)| *from)
    }

    /// Returns the programs that decide an account's scheduled events from its last event
    /// on.
    pub(crate) fn programs_for(
        &self,
        account: &AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        let since = self.current_since();
        let caught_up = caught_up_until(&account.account, customer);

        // A due time that is not current may hide an event under an earlier program.
        let may_be_earlier =
            !self.current.is_due_current || account.due.is_some_and(|due| due < since);
        if caught_up >= since || !may_be_earlier {
            return Ok(Arc::clone(&self.current));
        }

        self.programs_between(caught_up, Timestamp::MAX_UTC, load)
    }

    /// Recomputes the due time of an account, whatever it was before.
    pub(crate) fn reschedule(
        &self,
        id: AccountId,
        record: &mut AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<(), Failure> {
        // The earliest due time makes `programs_for` return all programs that could
        // apply.
        record.due = Some(Timestamp::MIN_UTC);
        let programs = self.programs_for(record, customer, load)?;

        let subject = RuleSubject { id: Some(id), account: Some(&record.account), customer };
        record.due = programs.next_due(&subject);
        Ok(())
    }

    /// Loads the programs in force at some time from `from` until `until`.
    pub(crate) fn programs_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        // At least one version, even if `until` is before the first.
        let last = self.versions.partition_point(|(_, began)| *began <= until).max(1);
        let first = self
            .versions
            .partition_point(|(_, began)| *began <= from)
            .max(1)
            .saturating_sub(1);
        let first = first.min(last.saturating_sub(1));

        let programs = self.versions.get(first..last).unwrap_or_default().iter();
        let programs = programs.map(|(version, from)| {
            Ok(PublishedProgram {
                version: *version,
                program: load(*version)?,
                in_force_from: *from,
            })
        });
        let mut previous = programs.collect::<Result<Vec<_>, Failure>>()?;
        let newest = previous.pop().unwrap_or_else(|| self.current.current.clone());

        let ApplicablePrograms { zone, minor_digits, .. } = *self.current;
        Ok(Arc::new(ApplicablePrograms {
            zone,
            minor_digits,
            previous,
            current: newest,
            is_due_current: false,
        }))
    }
}

/// Returns the record of an account as recorded by `at`: a fold of its journal.
pub(crate) fn fold_account_until(
    store: &impl Store,
    shop: ShopId,
    account: AccountId,
    at: Timestamp,
) -> Result<AccountRecord, Failure> {
    let account = store.account_at(shop, account, at)?;
    Ok(AccountRecord { account, ..AccountRecord::new(shop) })
}

/// Returns the time up to which an account's scheduled events are recorded.
pub(crate) fn caught_up_until(account: &Account, customer: Option<&CustomerRecord>) -> Timestamp {
    let created = customer.map_or(Timestamp::UNIX_EPOCH, |customer| customer.created_at);
    account.last_event_at().map_or(created, |at| at.max(created))
}

impl ApplicablePrograms {
    /// Returns true if the stored due times are computed under the newest program.
    pub(crate) fn is_due_current(&self) -> bool {
        self.is_due_current
    }

    /// Returns the program in force.
    pub(crate) fn current_program(&self) -> &Program {
        &self.current.program
    }

    /// Calls a function of the rules with the context of an account at `now`.
    pub(crate) fn with_context<T>(
        &self,
        subject: &RuleSubject<'_>,
        now: Timestamp,
        question: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let RuleSubject { id, account, customer } = *subject;
        let no_account = Account::default();

        // Scheduled events before the last change of birthday or tags are already
        // decided.
        let valid_from =
            customer.map_or(Timestamp::UNIX_EPOCH, |customer| customer.attributes_valid_from(now));
        let from = |published: &PublishedProgram| published.in_force_from.max(valid_from);

        // Each earlier program is in force until the next one.
        let next = self.previous.iter().skip(1).chain([&self.current]);
        let earlier_periods: Vec<ProgramPeriod<'_>> = self
            .previous
            .iter()
            .zip(next)
            .map(|(one, next)| {
                let (from, until) = (from(one), Some(from(next)));
                ProgramPeriod { version: one.version, program: &one.program, from, until }
            })
            .collect();

        let (version, program) = (self.current.version, self.current_program());
        let current = ProgramPeriod { version, program, from: from(&self.current), until: None };
        let context = Context::new(program, &no_account, now)
            .with_zone(self.zone)
            .with_minor_digits(self.minor_digits)
            .with_periods(&earlier_periods, current)
            .with_account(account)
            .with_account_id(id)
            .with_birthday(customer.and_then(CustomerRecord::birthday));

        question(&match customer {
            Some(CustomerRecord { profile, .. }) => {
                context.with_tags(&profile.tags).with_attributes(&profile.attributes)
            }
            None => context,
        })
    }

    /// Returns the time of an account's next scheduled event. An account that was merged
    /// into another has none.
    pub(crate) fn next_due(&self, subject: &RuleSubject<'_>) -> Option<Timestamp> {
        let merged = subject.account.is_none_or(|account| account.merged_into().is_some());
        // The due time does not depend on the instant of the context.
        (!merged)
            .then(|| self.with_context(subject, Timestamp::MAX_UTC, next_due))
            .flatten()
    }
}

/// The account and customer of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleSubject<'a> {
    pub(crate) id: Option<AccountId>,
    pub(crate) account: Option<&'a Account>,
    pub(crate) customer: Option<&'a CustomerRecord>,
}

impl CustomerRecord {
    /// Returns the day of birth and the time when it was set.
    pub(crate) fn birthday(&self) -> Option<Birthday> {
        let set_at = self.birthday_set_at.unwrap_or(self.created_at);
        self.profile.birthday.map(|day| Birthday { day, set_at })
    }

    /// Returns the time from which the current birthday and tags decide scheduled events,
    /// for a read at `now`. A read before their last change uses them from the customer's
    /// creation.
    fn attributes_valid_from(&self, now: Timestamp) -> Timestamp {
        if self.attributes_changed_at <= now {
            self.attributes_changed_at.max(self.created_at)
        } else {
            self.created_at
        }
    }
}
