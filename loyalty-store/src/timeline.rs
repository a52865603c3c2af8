//! Which program is in force when, and how an account stands at an instant.
//!
//! What time brings about is decided by the program that was in force then ([`loyalty_core::as_of`]). Most
//! accounts have nothing to do with any program but the newest; the others are looked up only for those
//! that something was due for before it.

use std::sync::Arc;

use loyalty_core::{
    Account, AccountId, Birthday, Context, Former, Program, ProgramVersion, ShopId, Timestamp,
    Zone, next_due,
};

use crate::Store;
use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord};
use crate::shop::Shop;

/// When each version of a shop's program came in force.
#[derive(Clone, Debug)]
pub(crate) struct ProgramTimeline {
    /// Oldest first, never empty.
    versions: Vec<(ProgramVersion, Timestamp)>,
    /// The program in force.
    current: Arc<ApplicablePrograms>,
    /// Where it was published after the accounts said what is due next: up to which account that was found
    /// anew. None where all of them know.
    reschedule_cursor: Option<AccountId>,
}

/// Programs by time, and the shop's clock.
#[derive(Clone, Debug)]
pub(crate) struct ApplicablePrograms {
    zone: Zone,
    minor_digits: u32,
    /// What was in force before, oldest first, as far as it matters.
    previous: Vec<PublishedProgram>,
    current: PublishedProgram,
    /// Whether what the accounts say is due next was found under the newest one.
    is_due_current: bool,
}

/// A program, and since when it is in force.
#[derive(Clone, Debug)]
pub(crate) struct PublishedProgram {
    pub(crate) version: ProgramVersion,
    pub(crate) program: Arc<Program>,
    pub(crate) in_force_from: Timestamp,
}

impl ProgramTimeline {
    /// From all versions, oldest first, and the newest of them.
    pub(crate) fn new(
        shop: &Shop,
        versions: Vec<(ProgramVersion, Timestamp)>,
        newest: PublishedProgram,
        reschedule_cursor: Option<AccountId>,
    ) -> Self {
        let (zone, minor_digits) = (shop.zone, shop.minor_digits());
        let terms = ApplicablePrograms {
            zone,
            minor_digits,
            previous: Vec::new(),
            current: newest,
            is_due_current: reschedule_cursor.is_none(),
        };
        Self { versions, current: Arc::new(terms), reschedule_cursor }
    }

    /// The first program of a shop. There is no account yet.
    pub(crate) fn for_new_shop(shop: &Shop, newest: PublishedProgram) -> Self {
        Self::new(shop, vec![(newest.version, newest.in_force_from)], newest, None)
    }

    /// With a new version. What was due next under the one before must be found anew.
    pub(crate) fn with_version(&self, newest: PublishedProgram) -> Self {
        let mut versions = self.versions.clone();
        versions.push((newest.version, newest.in_force_from));
        let ApplicablePrograms { zone, minor_digits, .. } = *self.current;
        let terms = ApplicablePrograms {
            zone,
            minor_digits,
            previous: Vec::new(),
            current: newest,
            is_due_current: false,
        };
        Self {
            versions,
            current: Arc::new(terms),
            reschedule_cursor: Some(AccountId(0)),
        }
    }

    /// The same, found anew up to an account, or for all of them.
    pub(crate) fn with_reschedule_cursor(&self, up_to: Option<AccountId>) -> Self {
        let terms =
            ApplicablePrograms { is_due_current: up_to.is_none(), ..(*self.current).clone() };
        Self {
            versions: self.versions.clone(),
            current: Arc::new(terms),
            reschedule_cursor: up_to,
        }
    }

    /// Up to where was found anew what is due next, while not all of it was.
    pub(crate) fn reschedule_cursor(&self) -> Option<AccountId> {
        self.reschedule_cursor
    }

    /// What it takes to decide about nobody in particular.
    pub(crate) fn current_programs(&self) -> Arc<ApplicablePrograms> {
        Arc::clone(&self.current)
    }

    /// Since when the newest version is in force.
    pub(crate) fn current_since(&self) -> Timestamp {
        self.versions.last().map_or(Timestamp::UNIX_EPOCH, |(_, from)| *from)
    }

    /// What it takes to say how an account stands now and later.
    pub(crate) fn programs_for(
        &self,
        account: &AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        let since = self.current_since();
        let caught_up = caught_up_until(&account.account, customer);
        let early = !self.current.is_due_current || account.due.is_some_and(|due| due < since);
        if caught_up >= since || !early {
            return Ok(Arc::clone(&self.current));
        }
        self.programs_between(caught_up, Timestamp::MAX_UTC, load)
    }

    /// Finds anew what is due next for an account. Nothing of what it said before is relied on.
    pub(crate) fn reschedule(
        &self,
        id: AccountId,
        record: &mut AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<(), Failure> {
        record.due = Some(Timestamp::MIN_UTC);
        let terms = self.programs_for(record, customer, load)?;
        record.due =
            terms.next_due(&RuleSubject { id: Some(id), account: Some(&record.account), customer });
        Ok(())
    }

    /// The programs in force after `from`, up to `until`.
    pub(crate) fn programs_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
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
        let mut before = programs.collect::<Result<Vec<_>, Failure>>()?;
        let newest = before.pop().unwrap_or_else(|| self.current.current.clone());
        let ApplicablePrograms { zone, minor_digits, .. } = *self.current;
        Ok(Arc::new(ApplicablePrograms {
            zone,
            minor_digits,
            previous: before,
            current: newest,
            is_due_current: false,
        }))
    }
}

/// An account as it was written down by `at`.
pub(crate) fn fold_account_until(
    store: &impl Store,
    shop: ShopId,
    account: AccountId,
    at: Timestamp,
) -> Result<AccountRecord, Failure> {
    let account = store.account_at(shop, account, at)?;
    Ok(AccountRecord { account, ..AccountRecord::new(shop) })
}

/// From when on time can have brought about something that is not in the account yet.
pub(crate) fn caught_up_until(account: &Account, customer: Option<&CustomerRecord>) -> Timestamp {
    let known = customer.map_or(Timestamp::UNIX_EPOCH, |customer| customer.created_at);
    account.last_event_at().map_or(known, |at| at.max(known))
}

impl ApplicablePrograms {
    /// Whether what the accounts say is due next can be relied on.
    pub(crate) fn is_due_current(&self) -> bool {
        self.is_due_current
    }

    /// The program in force.
    pub(crate) fn current_program(&self) -> &Program {
        &self.current.program
    }

    /// Asks the rules something about an account at an instant.
    pub(crate) fn with_context<T>(
        &self,
        subject: &RuleSubject<'_>,
        now: Timestamp,
        question: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let RuleSubject { id, account, customer } = *subject;
        let nobody = Account::default();
        let known =
            customer.map_or(Timestamp::UNIX_EPOCH, |customer| customer.attributes_valid_from(now));
        let from = |published: &PublishedProgram| published.in_force_from.max(known);
        let next = self.previous.iter().skip(1).chain([&self.current]);
        let before: Vec<Former<'_>> = self
            .previous
            .iter()
            .zip(next)
            .map(|(one, next)| {
                let (from, until) = (from(one), from(next));
                Former { version: one.version, program: &one.program, from, until }
            })
            .collect();
        let plain = Context::new(self.current_program(), &nobody, now);
        let context = Context {
            zone: self.zone,
            minor_digits: self.minor_digits,
            program: (self.current.version, self.current_program()),
            in_force_since: from(&self.current),
            earlier_programs: &before,
            account,
            account_id: id,
            birthday: customer.and_then(CustomerRecord::birthday),
            tags: customer.map_or(plain.tags, |customer| &customer.profile.tags),
            ..plain
        };
        question(&context)
    }

    /// When something is due next for an account. Nothing is for one that was merged into another.
    pub(crate) fn next_due(&self, subject: &RuleSubject<'_>) -> Option<Timestamp> {
        let merged = subject.account.is_none_or(|account| account.merged_into().is_some());
        // The instant does not enter: what is due is due.
        (!merged)
            .then(|| self.with_context(subject, Timestamp::MAX_UTC, next_due))
            .flatten()
    }
}

/// Whom the rules are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleSubject<'a> {
    pub(crate) id: Option<AccountId>,
    pub(crate) account: Option<&'a Account>,
    pub(crate) customer: Option<&'a CustomerRecord>,
}

impl CustomerRecord {
    /// The day of birth, and since when it is known.
    pub(crate) fn birthday(&self) -> Option<Birthday> {
        let set_at = self.birthday_set_at.unwrap_or(self.created_at);
        self.profile.birthday.map(|day| Birthday { day, set_at })
    }

    /// What time brought about before this instant was decided when it was known otherwise.
    fn attributes_valid_from(&self, now: Timestamp) -> Timestamp {
        if self.attributes_changed_at <= now {
            self.attributes_changed_at.max(self.created_at)
        } else {
            self.created_at
        }
    }
}
