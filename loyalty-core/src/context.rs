//! The inputs of a decision and its result.
//!
//! The rules have no clock and read no store: a [`Context`] carries everything that a
//! decision depends on, a [`Decision`] everything that follows from it.

use std::collections::BTreeSet;

use crate::account::{Account, Usage};
use crate::amount::Points;
use crate::calendar::{Timestamp, Zone};
use crate::command::Command;
use crate::customer::Birthday;
use crate::event::Event;
use crate::explain::Calculation;
use crate::id::{AccountId, ProgramVersion, Tag};
use crate::order::OrderState;
use crate::program::Program;
use crate::redemption::Redemption;

/// A program and the time in which it is in force.
#[derive(Clone, Copy, Debug)]
pub struct ProgramPeriod<'a> {
    /// The program's version.
    pub version: ProgramVersion,
    /// Later versions within the period, oldest first, each with the instant at which it
    /// came into force. In [`Program::has_schedule_of`] they are equal to `program`.
    pub later_versions: &'a [(ProgramVersion, Timestamp)],
    /// The program.
    pub program: &'a Program,
    /// The instant at which it came into force.
    pub from: Timestamp,
    /// The instant at which another one replaced it. `None` if it is still in force.
    pub until: Option<Timestamp>,
}

impl ProgramPeriod<'_> {
    /// The first instant at which something can be due that the account does not contain
    /// yet.
    pub(crate) fn earliest(&self, account: &Account) -> Timestamp {
        account.last_event_at().map_or(self.from, |at| at.max(self.from))
    }

    /// The version in force at an instant of the period.
    pub(crate) fn version_at(&self, at: Timestamp) -> ProgramVersion {
        let begun = self.later_versions.partition_point(|(_, from)| *from <= at);
        let last = begun.checked_sub(1).and_then(|last| self.later_versions.get(last));
        last.map_or(self.version, |(version, _)| *version)
    }

    /// Returns true if another program is in force at `at` or before.
    pub(crate) fn is_over_at(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at >= until)
    }
}

/// Everything that a decision depends on, besides its command.
///
/// # Example: a shop in Tokyo
/// ```
/// use loyalty_core::{Account, Context, Program, decide, Command, Points};
/// let (program, account) = (Program::default(), Account::default());
/// let now = "2026-01-31T20:00:00Z".parse().unwrap();
/// let context = Context::new(&program, &account, now)
///     .with_zone("Asia/Tokyo".parse().unwrap())
///     .with_minor_digits(0);
/// let command = Command::AddPoints { points: Points::from(5), reason: Default::default() };
/// assert_eq!(decide(&context, &command).unwrap().points(), Points::from(5));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'a> {
    /// The shop's time zone. It bounds days, months and years.
    pub zone: Zone,
    /// The number of decimals of the shop's currency.
    pub minor_digits: u32,
    /// The program in force. What was due before its start is decided under an earlier
    /// one.
    pub period: ProgramPeriod<'a>,
    /// Earlier programs, oldest first: those replaced after [`Account::last_event_at`].
    /// Mostly empty.
    pub earlier_periods: &'a [ProgramPeriod<'a>],
    /// The program that the command's order is pinned to, if it is pinned.
    pub pinned_program: Option<&'a Program>,
    /// The account. `None` for an order whose customer is not known yet.
    pub account: Option<&'a Account>,
    /// The account's number, which referrals name.
    pub account_id: Option<AccountId>,
    /// The customer's birthday, if known. No event contains it.
    pub birthday: Option<Birthday>,
    /// The state of the command's order.
    pub order: Option<&'a OrderState>,
    /// The command's redemption, if it is one of this account.
    pub redemption: Option<&'a Redemption>,
    /// The usage of the command's reward by all customers of the shop.
    pub total_usage: Option<&'a Usage>,
    /// The customer's tags.
    pub tags: &'a BTreeSet<Tag>,
    /// The time of the decision.
    pub now: Timestamp,
}

impl<'a> Context<'a> {
    /// A context in UTC with two decimals, for version 1 of a program that was always in
    /// force.
    pub fn new(program: &'a Program, account: &'a Account, now: Timestamp) -> Self {
        const NO_TAGS: &BTreeSet<Tag> = &BTreeSet::new();
        let from = Timestamp::UNIX_EPOCH;
        Self {
            zone: Zone::UTC,
            minor_digits: 2,
            period: ProgramPeriod {
                version: ProgramVersion(1),
                later_versions: &[],
                program,
                from,
                until: None,
            },
            earlier_periods: &[],
            pinned_program: None,
            account: Some(account),
            account_id: None,
            birthday: None,
            order: None,
            redemption: None,
            total_usage: None,
            tags: NO_TAGS,
            now,
        }
    }

    /// Sets the shop's time zone.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// Sets the number of decimals of the shop's currency.
    #[must_use]
    pub fn with_minor_digits(self, minor_digits: u32) -> Self {
        Self { minor_digits, ..self }
    }

    /// Sets the program in force, and those before it, oldest first.
    #[must_use]
    pub fn with_periods(self, earlier: &'a [ProgramPeriod<'a>], period: ProgramPeriod<'a>) -> Self {
        Self { period, earlier_periods: earlier, ..self }
    }

    /// Sets the account.
    #[must_use]
    pub fn with_account(self, account: Option<&'a Account>) -> Self {
        Self { account, ..self }
    }

    /// Sets the account's number.
    #[must_use]
    pub fn with_account_id(self, account_id: Option<AccountId>) -> Self {
        Self { account_id, ..self }
    }

    /// Sets the customer's birthday.
    #[must_use]
    pub fn with_birthday(self, birthday: Option<Birthday>) -> Self {
        Self { birthday, ..self }
    }

    /// Sets the state of the command's order. If it is pinned, then to the program in
    /// force: see [`Context::with_pinned_program`].
    #[must_use]
    pub fn with_order(self, order: &'a OrderState) -> Self {
        let pinned_program = order.pin().map(|_| self.period.program);
        Self { order: Some(order), pinned_program, ..self }
    }

    /// Sets the program that the command's order is pinned to.
    #[must_use]
    pub fn with_pinned_program(self, pinned_program: Option<&'a Program>) -> Self {
        Self { pinned_program, ..self }
    }

    /// Sets the command's redemption.
    #[must_use]
    pub fn with_redemption(self, redemption: Option<&'a Redemption>) -> Self {
        Self { redemption, ..self }
    }

    /// Sets the usage of the command's reward by all customers.
    #[must_use]
    pub fn with_total_usage(self, total_usage: Option<&'a Usage>) -> Self {
        Self { total_usage, ..self }
    }

    /// Sets the customer's tags.
    #[must_use]
    pub fn with_tags(self, tags: &'a BTreeSet<Tag>) -> Self {
        Self { tags, ..self }
    }

    /// The program in force.
    pub fn program(&self) -> &'a Program {
        self.period.program
    }

    /// All programs in the order of time.
    pub(crate) fn timeline(&self) -> impl Iterator<Item = ProgramPeriod<'a>> + use<'a> {
        self.earlier_periods.iter().copied().chain([self.period])
    }
}

/// The result of a command: events to fold, in order. Empty if the command changes
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The events.
    pub events: Vec<Event>,
    /// Commands for other accounts that follow, for the same transaction.
    pub follow_ups: Vec<(AccountId, Command)>,
}

impl Decision {
    /// The change of the balance by all events.
    pub fn points(&self) -> Points {
        self.events
            .iter()
            .fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()))
    }

    /// The calculation behind the points that an order was awarded or that were taken back from
    /// it; `None` if no points of an order moved.
    ///
    /// # Example: a sentence about a refund
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "50".parse()?)])?;
    /// ledger.record_order(&id, order, Status::Paid, now)?;
    /// let refund = Refund::of_amount("R1".parse()?, "20".parse()?);
    /// assert_eq!(
    ///     ledger.refund(&id, refund, now)?.calculation().unwrap().to_string(),
    ///     "The order earns 30 points: 30 by base (1 per unit of 30). \
    ///      Of the total of 50, 20 was refunded. Before this, 50 points were awarded."
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn calculation(&self) -> Option<&Calculation> {
        self.events.iter().find_map(|event| {
            if let Event::PointsAwarded { calculation, .. }
            | Event::PointsTakenBack { calculation, .. } = event
            {
                Some(&**calculation)
            } else {
                None
            }
        })
    }
}
