//! Commands to events: dispatch, and the one idea that carries all order facts.
//!
//! Whatever becomes known of an order, its entitlement is computed again from all facts, and the
//! difference to what the order has posted is awarded or taken back. Idempotency, independence of the
//! order of arrival and refunds without leaks follow from that alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::{Account, Counts, Usage};
use crate::amount::Points;
use crate::calendar::{Timestamp, Zone};
use crate::command::{Command, Excess};
use crate::customer::Birthday;
use crate::event::{Counted, Event, Grounds, LotPart, ManualTier};
use crate::explain::{Explanation, Reckoning, Standing};
use crate::id::{AccountId, OrderId, ProgramVersion, Tag};
use crate::order::{Order, OrderState, Origin, Pin, Recorded, Refund, Refunded, Status};
use crate::program::{Expiry, Program};
use crate::redemption::Redemption;
use crate::rejection::Rejection;
use crate::rules::due::Term;
use crate::rules::{act, entitle, expire, refund, take};

/// All that a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The shop's zone: what a day or a month is.
    pub zone: Zone,
    /// How many decimals the shop's currency has.
    pub minor_digits: u32,
    /// The program in force, with its version.
    pub program: (ProgramVersion, &'a Program),
    /// Since when it is in force. What time brought about before is not decided under it.
    pub since: Timestamp,
    /// The programs that were in force before it, oldest first, as far back as the account has not caught
    /// up with: those replaced after [`Account::at`]. None in most cases.
    pub before: &'a [Former<'a>],
    /// The program that the command's order is pinned to, where it is pinned.
    pub pinned: Option<&'a Program>,
    /// The account; none for an order whose customer is not known yet.
    pub account: Option<&'a Account>,
    /// The account's number; referrals name it.
    pub account_id: Option<AccountId>,
    /// The customer's birthday, where it is known. It is never written down.
    pub birthday: Option<Birthday>,
    /// What is known of the command's order.
    pub order: Option<&'a OrderState>,
    /// What is known of the command's redemption, where it is one of this account.
    pub redemption: Option<&'a Redemption>,
    /// What all customers of the shop together have had of the command's reward.
    pub had_in_all: Option<&'a Usage>,
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
            since: Timestamp::UNIX_EPOCH,
            before: &[],
            pinned: None,
            account: Some(account),
            account_id: None,
            birthday: None,
            order: None,
            redemption: None,
            had_in_all: None,
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

/// A program that was in force once.
#[derive(Clone, Copy, Debug)]
pub struct Former<'a> {
    /// Its version.
    pub version: ProgramVersion,
    /// The program.
    pub program: &'a Program,
    /// When it came in force.
    pub from: Timestamp,
    /// When another one took its place.
    pub until: Timestamp,
}

impl<'a> Context<'a> {
    /// The program in force now.
    pub(crate) fn term(&self) -> Term<'a> {
        let (version, program) = self.program;
        Term { version, program, from: self.since, until: None }
    }

    /// All programs by time.
    pub(crate) fn terms(&self) -> impl Iterator<Item = Term<'a>> + use<'a> {
        let term = |former: &Former<'a>| {
            let Former { version, program, from, until } = *former;
            Term { version, program, from, until: Some(until) }
        };
        self.before.iter().map(term).chain([self.term()])
    }
}

/// What follows from a command: events to be folded, in order. None where nothing is new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The events.
    pub events: Vec<Event>,
    /// Commands for other accounts that follow from them, to be carried out in the same transaction.
    pub follow_ups: Vec<(AccountId, Command)>,
}

impl Decision {
    /// What the events do to the balance.
    pub fn points(&self) -> Points {
        self.events
            .iter()
            .fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()))
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
    work.redemption = context.redemption.cloned();
    work.catch_up();
    match command {
        Command::AddPoints { points, grounds } => work.add_points(*points, grounds)?,
        Command::CancelOrder { at, .. } => work.cancel(*at)?,
        Command::CancelRedemption { .. } => work.cancel_redemption()?,
        Command::CatchUp => {}
        Command::ClaimRedemption { order, .. } => work.claim_redemption(order),
        Command::CloseOrder { at, order } => {
            let at = at.unwrap_or(context.now);
            work.emit(Event::OrderClosed { order: order.clone(), at });
        }
        Command::EnterCode { code, taken } => work.enter_code(code, *taken)?,
        Command::IssueReferralCode { entropy } => work.issue_referral_code(*entropy)?,
        Command::JoinReferral { own, friend } => work.join_referral(own, friend)?,
        Command::PerformAction { action, points } => work.perform(action, *points)?,
        Command::RecordOrder { snapshot, status, at, origin, .. } => {
            work.record(snapshot, *status, *at, *origin)?;
        }
        Command::RedeemReward { redemption, reward, amount, entropy } => {
            work.redeem(*redemption, reward, *amount, *entropy)?;
        }
        Command::ReleaseRedemption { order, .. } => work.release_redemption(order)?,
        Command::RefundOrder { refund, excess, at, .. } => work.refund(refund, *excess, *at)?,
        Command::RewardReferral { friend, order, gate } => {
            work.reward_referral(*friend, order, *gate)
        }
        Command::SetBalance { to, reason } => work.set_balance(*to, reason.clone())?,
        Command::SetTier(tier) => work.set_tier(tier.as_ref())?,
        Command::SignUp => work.sign_up()?,
        Command::SubtractPoints { points, grounds } => work.subtract_points(*points, grounds)?,
        Command::UndoReferral { friend, order } => work.undo_referral(*friend, order)?,
        Command::UseRedemption { order, .. } => work.use_redemption(order.as_ref())?,
    }
    work.catch_up();
    work.finish()
}

/// A decision under way: its events are folded as they are made, so that each step sees the last.
pub(crate) struct Work<'a> {
    pub(crate) context: &'a Context<'a>,
    id: Option<&'a OrderId>,
    pub(crate) account: Account,
    order: OrderState,
    pub(crate) redemption: Option<Redemption>,
    pub(crate) events: Vec<Event>,
    pub(crate) follow_ups: Vec<(AccountId, Command)>,
}

impl<'a> Work<'a> {
    pub(crate) fn begin(context: &'a Context<'a>, id: Option<&'a OrderId>) -> Self {
        let account = context.account.cloned().unwrap_or_default();
        let order = context.order.cloned().unwrap_or_default();
        Self {
            context,
            id,
            account,
            order,
            redemption: None,
            events: Vec::new(),
            follow_ups: Vec::new(),
        }
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
    }

    pub(crate) fn into_account(self) -> Account {
        self.account
    }

    /// All that ever came and went must be countable, not only the balance.
    fn finish(self) -> Result<Decision, Rejection> {
        let decision = Decision { events: self.events, follow_ups: self.follow_ups };
        let before = self
            .context
            .account
            .map_or(Points::ZERO, |account| account.totals().balance());
        let after = self.account.totals().balance();
        if before.checked_add(decision.points()) == Some(after) {
            Ok(decision)
        } else {
            Err(Rejection::PointsOutOfRange)
        }
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.account.evolve(&event);
        if event.order().is_some() && event.order() == self.id {
            self.order.evolve(&event);
        }
        if let Some(redemption) = &mut self.redemption
            && event.redemption() == Some(redemption.issue().id)
        {
            redemption.evolve(&event);
        }
        self.events.push(event);
    }

    fn add_points(&mut self, points: Points, grounds: &Grounds) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let (_, program) = self.context.program;
        let now = self.context.now;
        let lot = self.lot_part(points, program, (now, now), None, None)?;
        self.emit(Event::PointsAdded { points, lot, grounds: grounds.clone(), at: Some(now) });
        Ok(())
    }

    fn subtract_points(&mut self, points: Points, grounds: &Grounds) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let now = self.context.now;
        let (lots, missing) = take::drain(self.account.usable_lots(now), points);
        if !missing.is_zero() {
            return Err(Rejection::InsufficientPoints {
                have: self.account.balance(now),
                need: points,
            });
        }
        self.emit(Event::PointsSubtracted { lots, grounds: grounds.clone(), at: Some(now) });
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
            self.emit(Event::TierSet { tier: tier.cloned(), at: Some(self.context.now) });
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
        let at = at
            .or(overtaken)
            .unwrap_or_else(|| self.order.next_instant(self.context.now));
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

    fn refund(
        &mut self,
        refund: &Refund,
        excess: Excess,
        at: Option<Timestamp>,
    ) -> Result<(), Rejection> {
        let Some(id) = self.id else { return Ok(()) };
        match self.order.refunds().get(&refund.id) {
            Some(known) if *known == refund.refunded => return Ok(()),
            Some(_) => {
                return Err(Rejection::RefundDiffers {
                    order: id.clone(),
                    refund: refund.id.clone(),
                });
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

    /// Posts the difference between what the order deserves and what it has posted, and what more or less
    /// of it counts for tiers and goals.
    fn reckon(&mut self, at: Timestamp) -> Result<(), Rejection> {
        let Some(id) = self.id.filter(|_| self.context.account.is_some()) else {
            return Ok(());
        };
        self.pin(id)?;
        let Some(pin) = self.order.pin().cloned() else { return Ok(()) };
        let program = self.context.pinned.unwrap_or(self.context.program.1);
        let explanation = entitle::entitlement(&self.order, program, &pin)?;
        let counts = match explanation.standing {
            Standing::Entitled => {
                let orders = i64::from(!refund::is_complete(&self.order)?);
                Counts {
                    orders,
                    ..Counts::order(explanation.spend, explanation.points)
                }
            }
            Standing::BelowGate { .. } | Standing::Cancelled | Standing::Refunded => Counts::ZERO,
        };
        let difference = counts.minus(self.order.counted());
        let fewer = difference.spend < 0 || difference.points < 0 || difference.orders < 0;
        let counted =
            (!difference.is_zero()).then_some(Counted { gate: pin.at, counts: difference });
        let qualified = if fewer { self.qualified_now() } else { None };
        self.post(id, &pin, at, program, explanation.clone(), counted)?;
        if fewer {
            self.recheck_tier(qualified)?;
        }
        self.check_referral(id, pin.at, program, &explanation)
    }

    fn post(
        &mut self,
        id: &OrderId,
        pin: &Pin,
        at: Timestamp,
        program: &Program,
        explanation: Explanation,
        counted: Option<Counted>,
    ) -> Result<(), Rejection> {
        let now = self.context.now;
        let (before, worth) = (self.order.posted(), explanation.points);
        let standing = before.awarded.saturating_sub(before.taken);
        let excess = standing.saturating_sub(worth);
        let excess = excess.saturating_sub(before.expired).saturating_sub(before.forgiven);
        let reckoning = || Arc::new(Reckoning { explanation, before });
        if worth > standing {
            let points = worth.saturating_sub(standing);
            let earned_at = if before.awarded.is_zero() { pin.at } else { at };
            let until =
                expire::pending_until(program.parts().hold, self.context.zone, pin.at, now)?;
            let lot = self.lot_part(points, program, (earned_at, now), until, Some(id))?;
            let (order, reckoning, at) = (id.clone(), reckoning(), Some(now));
            self.emit(Event::PointsAwarded { order, points, lot, reckoning, counted, at });
        } else if excess.is_positive() {
            let own = (id, &self.order);
            let taking = take::take_back(&self.account, now, own, excess, program.parts().debt);
            let after = self.account.balance(now).checked_sub(taking.from_balance());
            after.ok_or(Rejection::PointsOutOfRange)?;
            let (order, reckoning, at) = (id.clone(), reckoning(), Some(now));
            self.emit(Event::PointsTakenBack { order, taking, reckoning, counted, at });
        } else if let Some(counted) = counted {
            self.emit(Event::OrderCounted { order: id.clone(), counted, at: now });
        }
        Ok(())
    }

    /// At the gate everything that the order earns under is settled, even when it earns nothing.
    fn pin(&mut self, id: &OrderId) -> Result<(), Rejection> {
        let (version, program) = self.context.program;
        let Some(recorded) = self.order.recorded().filter(|_| self.order.pin().is_none()) else {
            return Ok(());
        };
        let gate = program.gate(recorded.origin);
        let Some(at) = self.order.reached_at(gate) else { return Ok(()) };
        let pin = self.pin_of(recorded, version, program, at)?;
        self.emit(Event::OrderPinned { order: id.clone(), pin });
        Ok(())
    }

    fn pin_of(
        &self,
        recorded: &Recorded,
        version: ProgramVersion,
        program: &Program,
        at: Timestamp,
    ) -> Result<Pin, Rejection> {
        let tags = program
            .tags()
            .filter(|tag| self.context.tags.contains(*tag))
            .cloned()
            .collect();
        let tier = self.account.tier_id(self.context.now).cloned();
        let placed =
            entitle::placed_at(&self.order, &recorded.order, program.gate(recorded.origin))
                .unwrap_or(at);
        let campaigns = program.parts().campaigns.iter();
        let campaigns =
            campaigns.filter(|campaign| campaign.applies(self.context.tags, tier.as_ref(), placed));
        let campaigns = campaigns.map(|campaign| campaign.id.clone()).collect();
        let mut pin = Pin { tags, tier, campaigns, ..Pin::new(version, at) };
        if program.parts().earning.iter().any(|rule| !rule.limits.is_empty()) {
            let day = self.context.zone.local(self.context.now)?.date();
            pin.rooms = act::rooms(program, self.account.deeds(), day);
            let wanted = entitle::unlimited(&self.order, program, &pin)?;
            act::close_rooms(program, self.account.deeds(), &mut pin, &wanted);
        }
        Ok(pin)
    }

    /// Where points that come in go: into a pending lot, or first to pay off debt and the rest into a lot.
    /// `earned_at` is what expiry runs from, `now` when they come.
    pub(crate) fn lot_part(
        &self,
        points: Points,
        program: &Program,
        (earned_at, now): (Timestamp, Timestamp),
        pending_until: Option<Timestamp>,
        order: Option<&OrderId>,
    ) -> Result<Option<LotPart>, Rejection> {
        let balance = self.account.balance(now).checked_add(points);
        let balance =
            balance.and_then(|balance| balance.checked_add(self.account.totals().pending));
        balance.ok_or(Rejection::PointsOutOfRange)?;
        let expires_at = expire::expires_at(program.parts().expiry, self.context.zone, earned_at)?;
        if pending_until.is_some() {
            let id = self.account.next_lot();
            return Ok(Some(LotPart {
                id,
                points,
                earned_at,
                expires_at,
                pending_until,
                apart: false,
            }));
        }
        let kept = points.saturating_sub(self.account.debt().min(points));
        if kept.is_zero() {
            return Ok(None);
        }
        let apart = order.is_some() && matches!(program.parts().expiry, Expiry::Inactivity { .. });
        let lasting = self
            .account
            .lots()
            .lasting()
            .filter(|_| expires_at.is_none() && !apart);
        let id = lasting.map_or_else(|| self.account.next_lot(), |lot| lot.id);
        Ok(Some(LotPart {
            id,
            points: kept,
            earned_at,
            expires_at,
            pending_until,
            apart,
        }))
    }
}
