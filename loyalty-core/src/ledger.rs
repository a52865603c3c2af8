//! The front door: one customer of one shop, as an aggregate in the sense of event sourcing.
//!
//! A [`Ledger`] holds the account, the orders, the redemptions and the programs of one customer.
//! Each command is decided under all of them, and its events are folded into all of them. So
//! nothing has to be fetched, handed over or kept in step by the caller.
//!
//! A ledger reads no clock and draws nothing at random: every call takes `now`, and a call that
//! makes a code takes its random bytes.

mod commands;
mod queries;
mod replay;
#[cfg(feature = "proptest")]
mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{Account, Usage};
use crate::amount::Currency;
use crate::attribute::Attributes;
use crate::calendar::{Timestamp, Zone};
use crate::command::Command;
use crate::context::{Context, Decision, ProgramPeriod};
use crate::customer::Birthday;
use crate::decide::decide;
use crate::event::Event;
use crate::id::{AccountId, OrderId, ProgramVersion, RedemptionId, RewardId, Tag};
use crate::order::OrderState;
use crate::program::Program;
use crate::query;
use crate::redemption::Redemption;
use crate::rejection::Rejection;

pub use replay::ReplayError;
#[cfg(feature = "proptest")]
pub use testing::DecideFn;

/// One customer's points, orders and redemptions at one shop.
///
/// Commands ([`record_order`](Ledger::record_order), [`refund`](Ledger::refund),
/// [`redeem`](Ledger::redeem) and others) decide and apply in one call. A [`Rejection`] changes
/// nothing. Reads take the instant that they are asked for, past or future.
///
/// The events of a ledger are all that has to be stored: [`Ledger::unsaved_events`] lists the new
/// ones, [`Ledger::replay`] folds stored ones again.
///
/// # Example: an order earns
/// ```
/// use loyalty_core::*;
/// # let now = "2026-01-31T10:00:00Z".parse()?;
/// let mut ledger = Ledger::new(Program::default());
/// let order = Order::new([Line::new("1".parse()?, "49.95".parse()?)])?;
/// ledger.record_order(&"1001".parse()?, order, Status::Paid, now)?;
/// assert_eq!(ledger.balance(now), Points::from(49));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Example: the parts cannot get out of step
/// The account and the orders can be read, but changed only by commands and by events:
/// ```compile_fail,E0616
/// use loyalty_core::*;
/// let mut ledger = Ledger::new(Program::default());
/// ledger.account.evolve(&Event::CustomerAdded);
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    zone: Zone,
    minor_digits: u32,
    tags: BTreeSet<Tag>,
    attributes: Attributes,
    birthday: Option<Birthday>,
    account_id: Option<AccountId>,

    /// In force from the beginning.
    first_program: Arc<Program>,
    /// Each with the instant from which it is in force, in the order of publication.
    later_programs: Vec<(Timestamp, Arc<Program>)>,

    account: Account,
    orders: BTreeMap<OrderId, OrderState>,
    redemptions: BTreeMap<RedemptionId, Redemption>,
    usage: BTreeMap<RewardId, Usage>,
    events: Vec<Event>,
    saved_events: usize,

    /// A stand-in for [`decide`] whose faults a test has to find.
    #[cfg(feature = "proptest")]
    decide: DecideFn,
}

impl Ledger {
    /// An empty ledger under a program: in UTC, with two decimals, without tags and birthday.
    ///
    /// An `Arc<Program>` is taken as well, so that many ledgers share one program.
    pub fn new(program: impl Into<Arc<Program>>) -> Self {
        Self {
            zone: Zone::UTC,
            minor_digits: 2,
            tags: BTreeSet::new(),
            attributes: Attributes::EMPTY,
            birthday: None,
            account_id: None,
            first_program: program.into(),
            later_programs: Vec::new(),
            account: Account::default(),
            orders: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            usage: BTreeMap::new(),
            events: Vec::new(),
            saved_events: 0,
            #[cfg(feature = "proptest")]
            decide,
        }
    }

    /// Sets the shop's time zone, which decides where a day, a month and a year end.
    ///
    /// # Example: the end of a month in Berlin
    /// ```
    /// use loyalty_core::*;
    /// let monthly = r#"{"expiry": {"per_lot": {"after": "P1M", "round_up_to": "month"}}}"#;
    /// let program = Program::from_json(monthly)?;
    /// let mut ledger = Ledger::new(program).with_zone("Europe/Berlin".parse()?);
    /// ledger.add(Points::from(5), "welcome", "2026-01-20T10:00:00Z".parse()?)?;
    /// assert_eq!(ledger.next_due(), Some("2026-02-28T23:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Sets the shop's currency. Its decimals decide how far an order's total may differ from the
    /// sum of its parts, and which amounts a reward may have. Two where ISO 4217 names none.
    ///
    /// # Example: a yen has no decimals
    /// ```
    /// use loyalty_core::*;
    /// let ledger = Ledger::new(Program::default()).with_currency(Currency::JPY);
    /// assert_eq!(ledger.minor_digits(), 0);
    /// ```
    #[must_use]
    pub fn with_currency(mut self, currency: Currency) -> Self {
        self.minor_digits = currency.exponent().map_or(2, u32::from);
        self
    }

    /// Sets how many decimals amounts have, for a currency that ISO 4217 does not name.
    #[must_use]
    pub fn with_minor_digits(mut self, minor_digits: u32) -> Self {
        self.minor_digits = minor_digits;
        self
    }

    /// Sets the customer's tags, which conditions of a program look at.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.set_tags(tags);
        self
    }

    /// Sets the customer's attributes, which conditions of a program look at.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.set_attributes(attributes);
        self
    }

    /// Sets the customer's birthday, and since when it is known.
    #[must_use]
    pub fn with_birthday(mut self, birthday: Birthday) -> Self {
        self.set_birthday(Some(birthday));
        self
    }

    /// Sets the number by which other ledgers know this one.
    ///
    /// Only referrals need it: [`Command::JoinReferral`] sets it, and a [`replay`](Ledger::replay)
    /// of a referral asks for it.
    #[must_use]
    pub fn with_account_id(mut self, id: AccountId) -> Self {
        self.account_id = Some(id);
        self
    }

    /// Replaces the customer's tags. An order keeps those it had when it first earned.
    ///
    /// # Example: a rule for customers with a tag
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{"earning": [
    ///     {"id": "vip", "earn": {"per_unit": "2"}, "when": {"customer_tags": ["vip"]}}
    /// ]}"#)?;
    /// let mut ledger = Ledger::new(program);
    /// let order = Order::new([Line::new("1".parse()?, "10".parse()?)])?;
    /// ledger.record_order(&"1001".parse()?, order.clone(), Status::Paid, now)?;
    /// ledger.set_tags(["vip".parse()?]);
    /// ledger.record_order(&"1002".parse()?, order, Status::Paid, now)?;
    /// assert_eq!(ledger.balance(now), Points::from(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_tags(&mut self, tags: impl IntoIterator<Item = Tag>) {
        self.tags = tags.into_iter().collect();
    }

    /// Replaces the customer's attributes. An order keeps what followed from those it had when
    /// it first earned.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.attributes = attributes;
    }

    /// Replaces the customer's birthday; none where it is not known.
    pub fn set_birthday(&mut self, birthday: Option<Birthday>) {
        self.birthday = birthday;
    }

    /// Sets the usage of a reward by all customers of the shop together.
    ///
    /// A ledger counts only its own customer. Before a redemption of a reward with `limits_in_all`,
    /// set the shop's usage, which [`Usage::evolve`] folds from the events of all ledgers.
    pub fn set_total_usage(&mut self, reward: RewardId, usage: Usage) {
        self.usage.insert(reward, usage);
    }

    /// Publishes a program that is in force from an instant on, and returns its version.
    ///
    /// Orders that have earned already keep the program they earned under. Points that expire and
    /// awards that are due before `from` follow the earlier program, even if nobody looks until
    /// later. A program that would have come in force after `from` never does.
    ///
    /// # Example: a new program changes no old order
    /// ```
    /// use loyalty_core::*;
    /// # let (january, march) = ("2026-01-31T10:00:00Z".parse()?, "2026-03-31T10:00:00Z".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([Line::new("1".parse()?, "10".parse()?)])?;
    /// ledger.record_order(&"1001".parse()?, order.clone(), Status::Paid, january)?;
    ///
    /// let double = r#"{"earning": [{"id": "base", "earn": {"per_unit": "2"}}]}"#;
    /// ledger.publish(Program::from_json(double)?, "2026-03-01T00:00:00Z".parse()?);
    /// ledger.record_order(&"1001".parse()?, order.clone(), Status::Completed, march)?;
    /// assert_eq!(ledger.balance(march), Points::from(10));
    ///
    /// ledger.record_order(&"1002".parse()?, order, Status::Paid, march)?;
    /// assert_eq!(ledger.balance(march), Points::from(30));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish(&mut self, program: impl Into<Arc<Program>>, from: Timestamp) -> ProgramVersion {
        for (later, _) in &mut self.later_programs {
            *later = from.min(*later);
        }
        self.later_programs.push((from, program.into()));
        version_of(self.later_programs.len())
    }

    /// Decides one command and applies its events.
    ///
    /// The named methods are shorter, and [`record_order`](Ledger::record_order) and
    /// [`cancel_order`](Ledger::cancel_order) also settle the redemptions whose codes the order
    /// has. This is for the commands without a method of their own. Follow-ups of the decision are
    /// commands for other customers' ledgers.
    ///
    /// # Errors
    /// The [`Rejection`] of the rules. Nothing has changed then.
    ///
    /// # Example: a balance is set
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let mut ledger = Ledger::new(Program::default());
    /// let command = Command::SetBalance { to: Points::from(300), reason: Some("import".into()) };
    /// let decision = ledger.execute(&command, now)?;
    /// assert_eq!((decision.points(), ledger.balance(now)), (Points::from(300), Points::from(300)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn execute(&mut self, command: &Command, now: Timestamp) -> Result<Decision, Rejection> {
        let decision = self.dry_run(command, now)?;

        // Without a number of its own, the referee's orders could not reward the referrer.
        if let Command::JoinReferral { referee, .. } = command {
            self.account_id.get_or_insert(referee.account);
        }
        for event in &decision.events {
            self.fold(event.clone());
        }
        Ok(decision)
    }

    /// Decides one command and applies nothing: the decision that [`Ledger::execute`] would make.
    ///
    /// # Errors
    /// The [`Rejection`] of the rules.
    ///
    /// # Example: the points that a subtraction would leave
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let ledger = Ledger::new(Program::default());
    /// let (points, reason) = (Points::from(5), Default::default());
    /// let rejection = ledger.dry_run(&Command::SubtractPoints { points, reason }, now).unwrap_err();
    /// assert_eq!(rejection.code(), "insufficient_points");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dry_run(&self, command: &Command, now: Timestamp) -> Result<Decision, Rejection> {
        let redemption = command.redemption().and_then(|id| self.redemptions.get(&id));
        let total_usage = command.reward().and_then(|reward| self.usage.get(reward));

        self.with_context(command.order(), now, |context| {
            let context = Context { redemption, total_usage, ..*context };
            let gift_program = matches!(command, Command::IssueGift { .. })
                .then(|| self.program_of_gift(&context))
                .flatten();
            let context = context.with_pinned_program(gift_program.or(context.pinned_program));
            #[cfg(feature = "proptest")]
            let decide = self.decide;
            decide(&context, command)
        })
    }

    /// The program of the first gift that waits for its redemption.
    fn program_of_gift(&self, context: &Context<'_>) -> Option<&Program> {
        let account = query::as_of(context);
        let gift = account.activity().gifts().first_due(context.now)?;
        self.program(gift.program)
    }

    /// Calls `look` with all that a decision at `now` depends on.
    fn with_context<T>(
        &self,
        order: Option<&OrderId>,
        now: Timestamp,
        look: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let order = order.and_then(|id| self.orders.get(id));
        let pinned_program = order
            .and_then(OrderState::pin)
            .and_then(|pin| self.program(pin.program));

        let (mut version, mut program) = (version_of(0), &*self.first_program);
        let mut from = Timestamp::UNIX_EPOCH;
        let mut earlier_periods = Vec::new();
        for (index, (until, next)) in self.later_programs.iter().enumerate() {
            if *until > now {
                break;
            }
            // A program that the account has caught up with decides nothing any more.
            if self.account.last_event_at().is_none_or(|at| at < *until) {
                let until = Some(*until);
                earlier_periods.push(ProgramPeriod {
                    version,
                    later_versions: &[],
                    program,
                    from,
                    until,
                });
            }
            (version, program, from) = (version_of(index.saturating_add(1)), next, *until);
        }

        look(&Context {
            zone: self.zone,
            minor_digits: self.minor_digits,
            period: ProgramPeriod { version, later_versions: &[], program, from, until: None },
            earlier_periods: &earlier_periods,
            pinned_program,
            account_id: self.account_id,
            birthday: self.birthday,
            order,
            tags: &self.tags,
            attributes: &self.attributes,
            ..Context::new(program, &self.account, now)
        })
    }

    /// Folds an event into the account, its order, its redemption and the usage of its reward.
    fn fold(&mut self, event: Event) {
        self.account.evolve(&event);

        if let Some(id) = event.order() {
            self.orders
                .entry(id.clone())
                .or_insert_with_key(|id| OrderState::new(id.clone()))
                .evolve(&event);
        }

        if let Some(reward) = event.reward()
            && let Some(usage) = Usage::evolve(self.usage.get(reward).copied(), &event)
        {
            self.usage.insert(reward.clone(), usage);
        }

        if let Event::RewardRedeemed { issue } = &event {
            self.redemptions.insert(issue.id, Redemption::new(Arc::clone(issue)));
        } else if let Some(redemption) =
            event.redemption().and_then(|id| self.redemptions.get_mut(&id))
        {
            redemption.evolve(&event);
        }

        self.events.push(event);
    }
}

/// The version of the program at this place of the order of publication.
fn version_of(index: usize) -> ProgramVersion {
    ProgramVersion(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1))
}
