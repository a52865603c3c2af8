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
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord};
use crate::shop::Shop;

/// When each version of a shop's program came in force.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// Oldest first, never empty.
    versions: Vec<(ProgramVersion, Timestamp)>,
    /// The program in force.
    terms: Arc<Terms>,
    /// Where it was published after the accounts said what is due next: up to which account that was found
    /// anew. None where all of them know.
    sweep: Option<AccountId>,
}

/// Programs by time, and the shop's clock.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    zone: Zone,
    minor_digits: u32,
    /// What was in force before, oldest first, as far as it matters.
    before: Vec<Published>,
    newest: Published,
    /// Whether what the accounts say is due next was found under the newest one.
    settled: bool,
}

/// A program, and since when it is in force.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) version: ProgramVersion,
    pub(crate) program: Arc<Program>,
    pub(crate) from: Timestamp,
}

impl History {
    /// From all versions, oldest first, and the newest of them.
    pub(crate) fn new(
        shop: &Shop,
        versions: Vec<(ProgramVersion, Timestamp)>,
        newest: Published,
        sweep: Option<AccountId>,
    ) -> Self {
        let (zone, minor_digits) = (shop.zone, shop.minor_digits());
        let terms = Terms {
            zone,
            minor_digits,
            before: Vec::new(),
            newest,
            settled: sweep.is_none(),
        };
        Self { versions, terms: Arc::new(terms), sweep }
    }

    /// The first program of a shop. There is no account yet.
    pub(crate) fn first(shop: &Shop, newest: Published) -> Self {
        Self::new(shop, vec![(newest.version, newest.from)], newest, None)
    }

    /// With a new version. What was due next under the one before must be found anew.
    pub(crate) fn with(&self, newest: Published) -> Self {
        let mut versions = self.versions.clone();
        versions.push((newest.version, newest.from));
        let Terms { zone, minor_digits, .. } = *self.terms;
        let terms = Terms {
            zone,
            minor_digits,
            before: Vec::new(),
            newest,
            settled: false,
        };
        Self { versions, terms: Arc::new(terms), sweep: Some(AccountId(0)) }
    }

    /// The same, found anew up to an account, or for all of them.
    pub(crate) fn swept(&self, up_to: Option<AccountId>) -> Self {
        let terms = Terms { settled: up_to.is_none(), ..(*self.terms).clone() };
        Self {
            versions: self.versions.clone(),
            terms: Arc::new(terms),
            sweep: up_to,
        }
    }

    /// Up to where was found anew what is due next, while not all of it was.
    pub(crate) fn sweep(&self) -> Option<AccountId> {
        self.sweep
    }

    /// What it takes to decide about nobody in particular.
    pub(crate) fn newest(&self) -> Arc<Terms> {
        Arc::clone(&self.terms)
    }

    /// Since when the newest version is in force.
    pub(crate) fn since(&self) -> Timestamp {
        self.versions.last().map_or(Timestamp::UNIX_EPOCH, |(_, from)| *from)
    }

    /// What it takes to say how an account stands now and later.
    pub(crate) fn terms_of(
        &self,
        account: &AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<Terms>, Failure> {
        let since = self.since();
        let caught_up = start_of(&account.account, customer);
        let early = !self.terms.settled || account.due.is_some_and(|due| due < since);
        if caught_up >= since || !early {
            return Ok(Arc::clone(&self.terms));
        }
        self.terms_between(caught_up, Timestamp::MAX_UTC, load)
    }

    /// Finds anew what is due next for an account. Nothing of what it said before is relied on.
    pub(crate) fn find_due(
        &self,
        id: AccountId,
        record: &mut AccountRecord,
        customer: Option<&CustomerRecord>,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<(), Failure> {
        record.due = Some(Timestamp::MIN_UTC);
        let terms = self.terms_of(record, customer, load)?;
        record.due =
            terms.next_due(&Subject { id: Some(id), account: Some(&record.account), customer });
        Ok(())
    }

    /// A customer with an account of the past.
    pub(crate) fn view_at(
        &self,
        customer: Arc<CustomerRecord>,
        account: AccountRecord,
        at: Timestamp,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<CustomerView, Failure> {
        let terms = self.terms_between(start_of(&account.account, Some(&customer)), at, load)?;
        Ok(CustomerView::new(customer, Arc::new(account), terms))
    }

    /// The programs in force after `from`, up to `until`.
    fn terms_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<Arc<Terms>, Failure> {
        let last = self.versions.partition_point(|(_, began)| *began <= until).max(1);
        let first = self
            .versions
            .partition_point(|(_, began)| *began <= from)
            .max(1)
            .saturating_sub(1);
        let first = first.min(last.saturating_sub(1));
        let programs = self.versions.get(first..last).unwrap_or_default().iter();
        let programs = programs.map(|(version, from)| {
            Ok(Published { version: *version, program: load(*version)?, from: *from })
        });
        let mut before = programs.collect::<Result<Vec<_>, Failure>>()?;
        let newest = before.pop().unwrap_or_else(|| self.terms.newest.clone());
        let Terms { zone, minor_digits, .. } = *self.terms;
        Ok(Arc::new(Terms { zone, minor_digits, before, newest, settled: false }))
    }
}

/// An account as it was written down by `at`.
pub(crate) fn folded_until(
    store: &impl Store,
    shop: ShopId,
    account: AccountId,
    at: Timestamp,
) -> Result<AccountRecord, Failure> {
    let account = store.account_at(shop, account, at)?;
    Ok(AccountRecord { account, ..AccountRecord::new(shop) })
}

/// From when on time can have brought about something that is not in the account yet.
fn start_of(account: &Account, customer: Option<&CustomerRecord>) -> Timestamp {
    let known = customer.map_or(Timestamp::UNIX_EPOCH, |customer| customer.created_at);
    account.last_event_at().map_or(known, |at| at.max(known))
}

impl Terms {
    /// Whether what the accounts say is due next can be relied on.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// The program in force.
    pub(crate) fn newest(&self) -> &Program {
        &self.newest.program
    }

    /// Asks the rules something about an account at an instant.
    pub(crate) fn ask<T>(
        &self,
        subject: &Subject<'_>,
        now: Timestamp,
        question: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let Subject { id, account, customer } = *subject;
        let nobody = Account::default();
        let known = customer.map_or(Timestamp::UNIX_EPOCH, |customer| customer.decided_from(now));
        let from = |published: &Published| published.from.max(known);
        let next = self.before.iter().skip(1).chain([&self.newest]);
        let before: Vec<Former<'_>> = self
            .before
            .iter()
            .zip(next)
            .map(|(one, next)| {
                let (from, until) = (from(one), from(next));
                Former { version: one.version, program: &one.program, from, until }
            })
            .collect();
        let plain = Context::new(self.newest(), &nobody, now);
        let context = Context {
            zone: self.zone,
            minor_digits: self.minor_digits,
            program: (self.newest.version, self.newest()),
            in_force_since: from(&self.newest),
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
    pub(crate) fn next_due(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        let merged = subject.account.is_none_or(|account| account.merged_into().is_some());
        // The instant does not enter: what is due is due.
        (!merged)
            .then(|| self.ask(subject, Timestamp::MAX_UTC, next_due))
            .flatten()
    }
}

/// Whom the rules are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
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
    fn decided_from(&self, now: Timestamp) -> Timestamp {
        if self.steady_since <= now {
            self.steady_since.max(self.created_at)
        } else {
            self.created_at
        }
    }
}
