//! Commands to events: dispatch, and the one idea that carries all order facts.
//!
//! Whatever becomes known of an order, its entitlement is computed again from all facts, and the
//! difference to what the order has posted is awarded or taken back. Idempotency, independence of the
//! order of arrival and refunds without leaks follow from that alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::Account;
use crate::amount::Points;
use crate::calendar::{Timestamp, Zone};
use crate::command::{Command, Excess};
use crate::event::{Event, Grounds, LotPart, ManualTier};
use crate::explain::{Explanation, Reckoning};
use crate::id::{OrderId, ProgramVersion, Tag};
use crate::order::{Order, OrderState, Origin, Pin, Refund, Refunded, Status};
use crate::program::Program;
use crate::rejection::Rejection;
use crate::rules::{entitle, expire, refund, take};

/// All that a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The shop's zone: what a day or a month is.
    pub zone: Zone,
    /// How many decimals the shop's currency has.
    pub minor_digits: u32,
    /// The program in force, with its version.
    pub program: (ProgramVersion, &'a Program),
    /// The program that the command's order is pinned to, where it is pinned.
    pub pinned: Option<&'a Program>,
    /// The account; none for an order whose customer is not known yet.
    pub account: Option<&'a Account>,
    /// What is known of the command's order.
    pub order: Option<&'a OrderState>,
    /// The customer's tags.
    pub tags: &'a BTreeSet<Tag>,
    /// The time of the decision.
    pub now: Timestamp,
}

impl<'a> Context<'a> {
    /// A context in UTC with two decimals, for one account and nothing more. Fields can be set further.
    pub fn new(program: &'a Program, account: &'a Account, now: Timestamp) -> Self {
        const NO_TAGS: &BTreeSet<Tag> = &BTreeSet::new();
        Self {
            zone: Zone::UTC,
            minor_digits: 2,
            program: (ProgramVersion(1), program),
            pinned: None,
            account: Some(account),
            order: None,
            tags: NO_TAGS,
            now,
        }
    }

    /// The same with what is known of the order, pinned to the same program.
    #[must_use]
    pub fn with_order(mut self, order: &'a OrderState) -> Self {
        self.order = Some(order);
        self.pinned = order.pin().map(|_| self.program.1);
        self
    }
}

/// What follows from a command: events to be folded, in order. None where nothing is new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The events.
    pub events: Vec<Event>,
}

impl Decision {
    /// What the events do to the balance.
    pub fn points(&self) -> Points {
        self.events.iter().fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()))
    }
}

/// Decides a command.
///
/// # Example: an order earns, a refund takes back
/// ```
/// use loyalty_core::{decide, Account, Command, Context, OrderState, Program, Points};
/// let (program, mut account) = (Program::default(), Account::default());
/// let now = "2026-01-31T10:00:00Z".parse().unwrap();
/// let command = Command::AddPoints { points: Points::from(250), grounds: Default::default() };
/// let decision = decide(&Context::new(&program, &account, now), &command)?;
/// decision.events.iter().for_each(|event| account.evolve(event));
/// assert_eq!(account.balance(now), Points::from(250));
/// # Ok::<(), loyalty_core::Rejection>(())
/// ```
///
/// # Errors
/// A [`Rejection`]: the rules say no, and nothing has changed.
pub fn decide(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    let mut work = Work::begin(context, command.order());
    work.write_expiry();
    match command {
        Command::AddPoints { points, grounds } => work.add_points(*points, grounds)?,
        Command::CancelOrder { at, .. } => work.cancel(*at)?,
        Command::CloseOrder { at, order } => {
            let at = at.unwrap_or(context.now);
            work.emit(Event::OrderClosed { order: order.clone(), at });
        }
        Command::RecordOrder { snapshot, status, at, origin, .. } => {
            work.record(snapshot, *status, *at, *origin)?;
        }
        Command::RefundOrder { refund, excess, at, .. } => work.refund(refund, *excess, *at)?,
        Command::SetBalance { to, reason } => work.set_balance(*to, reason.clone())?,
        Command::SetTier(tier) => work.set_tier(tier.as_ref())?,
        Command::SubtractPoints { points, grounds } => work.subtract_points(*points, grounds)?,
        Command::WriteExpiry => {}
    }
    work.write_expiry();
    work.finish()
}

/// A decision under way: its events are folded as they are made, so that each step sees the last.
struct Work<'a> {
    context: &'a Context<'a>,
    id: Option<&'a OrderId>,
    account: Account,
    order: OrderState,
    events: Vec<Event>,
}

impl<'a> Work<'a> {
    fn begin(context: &'a Context<'a>, id: Option<&'a OrderId>) -> Self {
        let account = context.account.cloned().unwrap_or_default();
        let order = context.order.cloned().unwrap_or_default();
        Self { context, id, account, order, events: Vec::new() }
    }

    /// All that ever came and went must be countable, not only the balance.
    fn finish(self) -> Result<Decision, Rejection> {
        let decision = Decision { events: self.events };
        let before = self.context.account.map_or(Points::ZERO, |account| account.totals().balance());
        let after = self.account.totals().balance();
        if before.checked_add(decision.points()) == Some(after) {
            Ok(decision)
        } else {
            Err(Rejection::PointsOutOfRange)
        }
    }

    fn emit(&mut self, event: Event) {
        self.account.evolve(&event);
        if event.order().is_some() && event.order() == self.id {
            self.order.evolve(&event);
        }
        self.events.push(event);
    }

    fn write_expiry(&mut self) {
        for event in expire::due(&self.account, self.context.now) {
            self.emit(event);
        }
    }

    fn add_points(&mut self, points: Points, grounds: &Grounds) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let (_, program) = self.context.program;
        let lot = self.lot_part(points, program, self.context.now)?;
        self.emit(Event::PointsAdded { points, lot, grounds: grounds.clone() });
        Ok(())
    }

    fn subtract_points(&mut self, points: Points, grounds: &Grounds) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let now = self.context.now;
        let (lots, missing) = take::drain(self.account.usable_lots(now), points);
        if !missing.is_zero() {
            return Err(Rejection::InsufficientPoints { have: self.account.balance(now), need: points });
        }
        self.emit(Event::PointsSubtracted { lots, grounds: grounds.clone() });
        Ok(())
    }

    fn set_balance(&mut self, to: Points, reason: Option<Arc<str>>) -> Result<(), Rejection> {
        if to < Points::ZERO {
            return Err(Rejection::InvalidPoints { expected: "zero or more" });
        }
        let grounds = Grounds { action: None, reason, adjustment: true };
        let have = self.account.balance(self.context.now);
        let change = to.checked_sub(have).ok_or(Rejection::PointsOutOfRange)?;
        if change.is_positive() {
            self.add_points(change, &grounds)
        } else if change.is_zero() {
            Ok(())
        } else {
            self.subtract_points(change.negated(), &grounds)
        }
    }

    fn set_tier(&mut self, tier: Option<&ManualTier>) -> Result<(), Rejection> {
        let (_, program) = self.context.program;
        if let Some(tier) = tier
            && program.tier(&tier.id).is_none()
        {
            return Err(Rejection::UnknownTier { tier: tier.id.clone() });
        }
        if self.account.tier(self.context.now) != tier {
            self.emit(Event::TierSet { tier: tier.cloned() });
        }
        Ok(())
    }

    /// A report of an order. One without a time of its own that repeats what is known is a redelivery,
    /// also after a cancellation: it reopens nothing. Neither does the first one of an order whose
    /// cancellation came before it.
    fn record(
        &mut self,
        snapshot: &Arc<Order>,
        status: Status,
        at: Option<Timestamp>,
        origin: Origin,
    ) -> Result<(), Rejection> {
        let Some(id) = self.id else { return Ok(()) };
        match origin {
            Origin::Shop => snapshot.check(self.context.minor_digits)?,
            Origin::Plugin => snapshot.check_shape()?,
        }
        let known = self.order.recorded();
        let same = known.is_some_and(|known| known.order == *snapshot);
        let unchanged = same && known.is_some_and(|known| known.origin == origin);
        let told = self.order.status().is_some_and(|reached| status <= reached);
        if at.is_none() && same && (told || self.order.is_cancelled()) {
            return self.reckon(self.context.now);
        }
        let overtaken = self.order.cancelled_at().filter(|_| known.is_none());
        let at = at.or(overtaken).unwrap_or_else(|| self.order.next_instant(self.context.now));
        let newer = self.order.is_superseded_by(snapshot, origin, at);
        if newer || !self.order.knows(status, at) {
            let snapshot = (newer && !unchanged).then(|| Arc::clone(snapshot));
            self.emit(Event::OrderRecorded { order: id.clone(), snapshot, status, at, origin });
        }
        self.reckon(at)
    }

    fn cancel(&mut self, at: Option<Timestamp>) -> Result<(), Rejection> {
        let Some(id) = self.id else { return Ok(()) };
        let known = match at {
            Some(at) => self.order.cancelled_at() >= Some(at),
            None => self.order.is_cancelled(),
        };
        let at = at.unwrap_or_else(|| self.order.next_instant(self.context.now));
        if !known {
            self.emit(Event::OrderCancelled { order: id.clone(), at });
        }
        self.reckon(at)
    }

    fn refund(&mut self, refund: &Refund, excess: Excess, at: Option<Timestamp>) -> Result<(), Rejection> {
        let Some(id) = self.id else { return Ok(()) };
        match self.order.refunds().get(&refund.id) {
            Some(known) if *known == refund.refunded => return Ok(()),
            Some(_) => {
                return Err(Rejection::RefundDiffers { order: id.clone(), refund: refund.id.clone() });
            }
            None => {}
        }
        let mut refund = refund.clone();
        if let Some(recorded) = self.order.recorded() {
            if let (Excess::Cut, Refunded::Amount(amount)) = (excess, &mut refund.refunded) {
                *amount = (*amount).min(refund::refundable(&self.order, &recorded.order)?);
            }
            refund::check_fit(&self.order, &recorded.order, &refund)?;
        }
        self.emit(Event::OrderRefunded { order: id.clone(), refund });
        self.reckon(at.unwrap_or(self.context.now))
    }

    /// Posts the difference between what the order deserves and what it has posted.
    fn reckon(&mut self, at: Timestamp) -> Result<(), Rejection> {
        let Some(id) = self.id.filter(|_| self.context.account.is_some()) else { return Ok(()) };
        self.pin(id);
        let Some(pin) = self.order.pin() else { return Ok(()) };
        let program = self.context.pinned.unwrap_or(self.context.program.1);
        let explanation = entitle::entitlement(&self.order, program, pin)?;
        let (before, worth) = (self.order.posted(), explanation.points);
        let standing = before.awarded.saturating_sub(before.taken);
        if worth > standing {
            let earned_at = if before.awarded.is_zero() { pin.at } else { at };
            return self.award(id, worth.saturating_sub(standing), earned_at, program, explanation);
        }
        let excess = standing.saturating_sub(worth);
        let excess = excess.saturating_sub(before.expired).saturating_sub(before.forgiven);
        if excess.is_positive() {
            let own = (id, &self.order);
            let debt = program.parts().debt;
            let taking = take::take_back(&self.account, self.context.now, own, excess, debt);
            let after = self.account.balance(self.context.now).checked_sub(taking.points());
            after.ok_or(Rejection::PointsOutOfRange)?;
            let reckoning = Arc::new(Reckoning { explanation, before });
            self.emit(Event::PointsTakenBack { order: id.clone(), taking, reckoning });
        }
        Ok(())
    }

    /// At the gate everything that the order earns under is settled, even when it earns nothing.
    fn pin(&mut self, id: &OrderId) {
        let (version, program) = self.context.program;
        let Some(recorded) = self.order.recorded().filter(|_| self.order.pin().is_none()) else { return };
        let Some(at) = self.order.reached_at(program.gate(recorded.origin)) else { return };
        let tags = program.tags().filter(|tag| self.context.tags.contains(*tag)).cloned().collect();
        let tier = self.account.tier(self.context.now).map(|tier| tier.id.clone());
        self.emit(Event::OrderPinned { order: id.clone(), pin: Pin { program: version, at, tags, tier } });
    }

    fn award(
        &mut self,
        id: &OrderId,
        points: Points,
        earned_at: Timestamp,
        program: &Program,
        explanation: Explanation,
    ) -> Result<(), Rejection> {
        let lot = self.lot_part(points, program, earned_at)?;
        let reckoning = Arc::new(Reckoning { explanation, before: self.order.posted() });
        self.emit(Event::PointsAwarded { order: id.clone(), points, lot, reckoning });
        Ok(())
    }

    /// Where points that come in go: first they pay off debt, the rest goes into a lot.
    fn lot_part(
        &self,
        points: Points,
        program: &Program,
        earned_at: Timestamp,
    ) -> Result<Option<LotPart>, Rejection> {
        let balance = self.account.balance(self.context.now).checked_add(points);
        balance.ok_or(Rejection::PointsOutOfRange)?;
        let kept = points.saturating_sub(self.account.debt().min(points));
        if kept.is_zero() {
            return Ok(None);
        }
        let expires_at = expire::expires_at(program.parts().expiry, self.context.zone, earned_at)?;
        let lasting = self.account.lasting_lot().filter(|_| expires_at.is_none());
        let id = lasting.map_or_else(|| self.account.next_lot(), |lot| lot.id);
        Ok(Some(LotPart { id, points: kept, earned_at, expires_at }))
    }
}
