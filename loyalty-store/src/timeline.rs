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
    versions: Arc<[TimelineVersion]>,
    /// The program in force.
    current: Arc<ApplicablePrograms>,
    /// Set until the due times of all accounts are recomputed under the newest program.
    reschedule: Option<RescheduleProgress>,
}

/// A version of a shop's program in its timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimelineVersion {
    pub(crate) version: ProgramVersion,
    pub(crate) in_force_from: Timestamp,
    /// True if nothing that time brings about differs from the version before
    /// ([`Program::has_schedule_of`]).
    pub(crate) keeps_schedule: bool,
}

/// How far the due times of accounts are recomputed after a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RescheduleProgress {
    /// The last account whose due time is recomputed.
    pub(crate) up_to: AccountId,
    /// The instant up to which the due times of the accounts after it are right: that of
    /// the first publication since all accounts had been recomputed.
    pub(crate) known_until: Timestamp,
}

/// The programs that apply to an account, with the shop's calendar and currency.
#[derive(Clone, Debug)]
pub(crate) struct ApplicablePrograms {
    zone: Zone,
    minor_digits: u32,
    /// Earlier programs that apply, oldest first.
    previous: Vec<PreviousPrograms>,
    current: PublishedProgram,
    /// True if the stored due time of the account is computed under the newest program.
    is_due_current: bool,
}

/// A version of a program, and the time from which it is in force.
#[derive(Clone, Debug)]
pub(crate) struct PublishedProgram {
    pub(crate) version: ProgramVersion,
    pub(crate) program: Arc<Program>,
    pub(crate) in_force_from: Timestamp,
}

/// Consecutive versions that agree in all that time brings about. One of them stands for
/// all.
#[derive(Clone, Debug)]
struct PreviousPrograms {
    first: PublishedProgram,
    later: Vec<(ProgramVersion, Timestamp)>,
}

impl ProgramTimeline {
    /// Creates a timeline from all versions, oldest first, and the newest program.
    pub(crate) fn new(
        shop: &Shop,
        versions: Vec<TimelineVersion>,
        newest: PublishedProgram,
        reschedule: Option<RescheduleProgress>,
    ) -> Self {
        let (zone, minor_digits) = (shop.zone, shop.minor_digits());
        let current = ApplicablePrograms {
            zone,
            minor_digits,
            previous: Vec::new(),
            current: newest,
            is_due_current: true,
        };

        Self {
            versions: versions.into(),
            current: Arc::new(current),
            reschedule,
        }
    }

    /// Creates the timeline of a shop without accounts.
    pub(crate) fn for_new_shop(shop: &Shop, newest: PublishedProgram) -> Self {
        let first = TimelineVersion {
            version: newest.version,
            in_force_from: newest.in_force_from,
            keeps_schedule: false,
        };
        Self::new(shop, vec![first], newest, None)
    }

    /// Returns the timeline with a new version. All accounts must be rescheduled, unless it
    /// keeps the schedule of the version before.
    pub(crate) fn with_version(&self, newest: PublishedProgram) -> Self {
        let PublishedProgram { version, in_force_from, .. } = newest;
        let keeps_schedule = newest.program.has_schedule_of(self.current_program());
        let versions = self.versions.iter().copied();
        let versions = versions
            .chain([TimelineVersion { version, in_force_from, keeps_schedule }])
            .collect();

        // Account ids start at 1: no account is rescheduled yet.
        let known_until = self.reschedule.map_or(in_force_from, |progress| progress.known_until);
        let all_again = RescheduleProgress { up_to: AccountId(0), known_until };
        Self {
            versions,
            current: Arc::new(ApplicablePrograms { current: newest, ..(*self.current).clone() }),
            reschedule: if keeps_schedule { self.reschedule } else { Some(all_again) },
        }
    }

    /// Returns the timeline with accounts rescheduled up to `up_to`, or all of them for
    /// `None`.
    pub(crate) fn with_reschedule_cursor(&self, up_to: Option<AccountId>) -> Self {
        let progress = |up_to| self.reschedule.map(|before| RescheduleProgress { up_to, ..before });
        Self { reschedule: up_to.and_then(progress), ..self.clone() }
    }

    /// Returns how far accounts are rescheduled, or `None` if all are.
    pub(crate) fn reschedule_progress(&self) -> Option<RescheduleProgress> {
        self.reschedule
    }

    /// Returns the last account that is rescheduled, or `None` if all are.
    pub(crate) fn reschedule_cursor(&self) -> Option<AccountId> {
        self.reschedule.map(|progress| progress.up_to)
    }

    /// Returns the programs for decisions without an account.
    pub(crate) fn current_programs(&self) -> Arc<ApplicablePrograms> {
        Arc::clone(&self.current)
    }

    /// Returns the program in force.
    pub(crate) fn current_program(&self) -> &Program {
        self.current.current_program()
    }

    pub(crate) fn version_count(&self) -> usize {
        self.versions.len()
    }

    /// Returns the time from which the newest version is in force.
    pub(crate) fn current_since(&self) -> Timestamp {
        self.versions
            .last()
            .map_or(Timestamp::UNIX_EPOCH, |newest| newest.in_force_from)
    }

    /// Returns true if the newest version keeps the schedule of the version before.
    pub(crate) fn keeps_schedule(&self) -> bool {
        self.versions.last().is_some_and(|newest| newest.keeps_schedule)
    }

    /// Returns the time of the version that is `count` versions old, if there are so many
    /// besides the first.
    pub(crate) fn published_before_last(&self, count: usize) -> Option<Timestamp> {
        let index = self.versions.len().checked_sub(count).filter(|index| *index > 0)?;
        self.versions.get(index).map(|one| one.in_force_from)
    }

    /// Returns the programs that decide an account's scheduled events from its last event
    /// on.
    pub(crate) fn programs_for(
        &self,
        account: &AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        // The due time of an account that is not rescheduled may hide an event under a
        // later program, but none before its publication.
        let is_rescheduled = |progress: &RescheduleProgress| {
            customer.is_some_and(|customer| customer.account <= progress.up_to)
        };
        let pending = self.reschedule.filter(|progress| !is_rescheduled(progress));
        let known_until = pending.map_or(Timestamp::MAX_UTC, |progress| progress.known_until);
        let nothing_before = account.due.unwrap_or(Timestamp::MAX_UTC).min(known_until);

        let from = caught_up_until(&account.account, customer).max(nothing_before);
        if from < self.current_since() {
            return self.programs_between(from, Timestamp::MAX_UTC, load);
        }
        if pending.is_none() {
            return Ok(Arc::clone(&self.current));
        }
        Ok(Arc::new(ApplicablePrograms {
            is_due_current: false,
            ..(*self.current).clone()
        }))
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

    /// Loads the programs in force at some time from `from` until `until`: of consecutive
    /// ones with the same schedule only the first.
    pub(crate) fn programs_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        // At least one version, even if `until` is before the first.
        let last = self.versions.partition_point(|one| one.in_force_from <= until).max(1);
        let first = self
            .versions
            .partition_point(|one| one.in_force_from <= from)
            .max(1)
            .saturating_sub(1);
        let first = first.min(last.saturating_sub(1));

        let mut load = |one: &TimelineVersion| {
            let (version, in_force_from) = (one.version, one.in_force_from);
            Ok::<_, Failure>(PublishedProgram { version, program: load(version)?, in_force_from })
        };
        let mut previous = Vec::<PreviousPrograms>::new();
        let (newest, earlier) = self
            .versions
            .get(first..last)
            .unwrap_or_default()
            .split_last()
            .unzip();
        for one in earlier.unwrap_or_default() {
            match previous.last_mut() {
                Some(run) if one.keeps_schedule => run.later.push((one.version, one.in_force_from)),
                _ => previous.push(PreviousPrograms { first: load(one)?, later: Vec::new() }),
            }
        }

        let is_current = |one: &&TimelineVersion| one.version == self.current.current.version;
        let newest = match newest.filter(|one| !is_current(one)) {
            Some(one) => load(one)?,
            None => self.current.current.clone(),
        };
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
    /// Returns true if the stored due time of the account is computed under the newest
    /// program.
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
        let starts = self.previous.iter().map(|run| &run.first);
        let next = starts.skip(1).chain([&self.current]);
        let earlier_periods: Vec<ProgramPeriod<'_>> = self
            .previous
            .iter()
            .zip(next)
            .map(|(PreviousPrograms { first, later }, next)| ProgramPeriod {
                version: first.version,
                later_versions: later,
                program: &first.program,
                from: from(first),
                until: Some(from(next)),
            })
            .collect();

        let (version, program) = (self.current.version, self.current_program());
        let current = ProgramPeriod {
            version,
            later_versions: &[],
            program,
            from: from(&self.current),
            until: None,
        };
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
    /// into another, or whose customer was erased, has none.
    pub(crate) fn next_due(&self, subject: &RuleSubject<'_>) -> Option<Timestamp> {
        let is_open = subject.account.is_some_and(|account| {
            account.merged_into().is_none() && account.erased_at().is_none()
        });
        // The due time does not depend on the instant of the context.
        is_open
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::arithmetic_side_effects,
        reason = "a test may stop at what it did not expect"
    )]
    use super::*;
    use chrono::TimeDelta;
    use loyalty_core::Currency;

    fn day(number: u32) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::days(i64::from(number))
    }

    /// A timeline with a version a day. Every fifth changes the expiry.
    fn timeline(count: u32) -> (ProgramTimeline, Vec<Arc<Program>>) {
        let document = |number: u32| {
            let (rate, after) = (number + 1, number / 5 + 1);
            let earn = format!(r#"{{"id": "base", "earn": {{"per_unit": "{rate}"}}}}"#);
            let expiry = format!(r#"{{"inactivity": {{"after": "P{after}Y"}}}}"#);
            format!(r#"{{"earning": [{earn}], "expiry": {expiry}}}"#)
        };
        let programs: Vec<_> = (0..count)
            .map(|number| Arc::new(Program::from_json(&document(number)).unwrap()))
            .collect();
        let shop = Shop {
            id: ShopId(1),
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
            created_at: day(0),
            integration: None,
        };
        let published = |number: u32, program: &Arc<Program>| PublishedProgram {
            version: ProgramVersion(number + 1),
            program: Arc::clone(program),
            in_force_from: day(number),
        };
        let mut versions = (0..).zip(&programs).map(|(number, one)| published(number, one));
        let first = ProgramTimeline::for_new_shop(&shop, versions.next().unwrap());
        (versions.fold(first, |timeline, next| timeline.with_version(next)), programs)
    }

    /// Returns the versions that are loaded for an account without an event since the start.
    fn loaded(timeline: &ProgramTimeline, programs: &[Arc<Program>], due: Option<u32>) -> Vec<u32> {
        let mut loaded = Vec::new();
        let record = AccountRecord { due: due.map(day), ..AccountRecord::new(ShopId(1)) };
        let load = |ProgramVersion(version)| {
            loaded.push(version);
            let index = usize::try_from(version).unwrap().saturating_sub(1);
            Ok(Arc::clone(programs.get(index).unwrap()))
        };
        timeline.programs_for(&record, None, load).unwrap();
        loaded
    }

    #[test]
    fn only_versions_that_can_bring_something_about_are_loaded() {
        let (timeline, programs) = timeline(23);
        let first_of_each = vec![1, 6, 11, 16, 21];
        assert_eq!(loaded(&timeline, &programs, Some(0)), first_of_each);
        // The first publication that changed the schedule was on day 5, and nothing is rescheduled.
        assert_eq!(loaded(&timeline, &programs, None), [6, 11, 16, 21]);

        let rescheduled = timeline.with_reschedule_cursor(None);
        assert_eq!(loaded(&rescheduled, &programs, None), [0; 0]);
        assert_eq!(loaded(&rescheduled, &programs, Some(17)), [18, 21]);
        assert_eq!(loaded(&rescheduled, &programs, Some(22)), [0; 0]);

        // A new version then costs one program, however long the account was quiet.
        let last = Arc::new(Program::default());
        let next = PublishedProgram {
            version: ProgramVersion(24),
            program: Arc::clone(&last),
            in_force_from: day(23),
        };
        let next = rescheduled.with_version(next);
        assert_eq!(loaded(&next, &[programs, vec![last]].concat(), None), [0; 0]);
    }
}
