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
use crate::command::{Command, OverRefund};
use crate::customer::Birthday;
use crate::event::{AdjustmentReason, CountsDelta, Event, LotCredit, ManualTier};
use crate::explain::{Calculation, EarningStatus, Explanation};
use crate::id::{AccountId, OrderId, ProgramVersion, Tag};
use crate::order::{
    Order, OrderState, Origin, Pin, RecordedSnapshot, Refund, RefundContent, Status,
};
use crate::program::{Expiry, Program};
use crate::redemption::Redemption;
use crate::rejection::Rejection;
use crate::rules::scheduled::ProgramPeriod;
use crate::rules::{actions, clawback, entitle, expiry, refund};

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
    pub in_force_since: Timestamp,
    /// The programs that were in force before it, oldest first, as far back as the account has not caught
    /// up with: those replaced after [`Account::last_event_at`]. None in most cases.
    pub earlier_programs: &'a [Former<'a>],
    /// The program that the command's order is pinned to, where it is pinned.
    pub pinned_program: Option<&'a Program>,
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
    pub total_usage: Option<&'a Usage>,
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
            in_force_since: Timestamp::UNIX_EPOCH,
            earlier_programs: &[],
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

    /// The same with what is known of the order, pinned to the same program.
    #[must_use]
    pub fn with_order(mut self, order: &'a OrderState) -> Self {
        self.order = Some(order);
        self.pinned_program = order.pin().map(|_| self.program.1);
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
    pub(crate) fn current_period(&self) -> ProgramPeriod<'a> {
        let (version, program) = self.program;
        ProgramPeriod { version, program, from: self.in_force_since, until: None }
    }

    /// All programs by time.
    pub(crate) fn timeline(&self) -> impl Iterator<Item = ProgramPeriod<'a>> + use<'a> {
        let term = |former: &Former<'a>| {
            let Former { version, program, from, until } = *former;
            ProgramPeriod { version, program, from, until: Some(until) }
        };
        self.earlier_programs.iter().map(term).chain([self.current_period()])
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
    ///      Of the total of 50, 20 was refunded. Before, 50 were awarded."
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
    let mut work = DecisionBuilder::new(context, command.order());
    work.redemption = context.redemption.cloned();
    work.catch_up();
    match command {
        Command::AddPoints { points, reason: grounds } => work.add_points(*points, grounds)?,
        Command::CancelOrder { at, .. } => work.cancel_order(*at)?,
        Command::CancelRedemption { .. } => work.cancel_redemption()?,
        Command::CatchUp => {}
        Command::ClaimRedemption { order, .. } => work.claim_redemption(order),
        Command::CloseOrder { at, order } => {
            let at = at.unwrap_or(context.now);
            work.emit(Event::OrderClosed { order: order.clone(), at });
        }
        Command::EnterCode { code, used_by_other: taken } => work.enter_code(code, *taken)?,
        Command::IssueReferralCode { entropy } => work.issue_referral_code(*entropy)?,
        Command::JoinReferral { referee: own, referrer: friend } => {
            work.join_referral(own, friend)?
        }
        Command::PerformAction { action, points } => work.perform_action(action, *points)?,
        Command::RecordOrder { snapshot, status, at, origin, .. } => {
            work.record_order(snapshot, *status, *at, *origin)?;
        }
        Command::RedeemReward { redemption, reward, amount, entropy } => {
            work.redeem(*redemption, reward, *amount, *entropy)?;
        }
        Command::ReleaseRedemption { order, .. } => work.release_redemption(order)?,
        Command::RefundOrder { refund, over_refund: excess, at, .. } => {
            work.refund_order(refund, *excess, *at)?
        }
        Command::RewardReferral { referee: friend, order, gate_at: gate } => {
            work.reward_referral(*friend, order, *gate)
        }
        Command::SetBalance { to, reason } => work.set_balance(*to, reason.clone())?,
        Command::SetTier(tier) => work.set_tier(tier.as_ref())?,
        Command::SignUp => work.sign_up()?,
        Command::SubtractPoints { points, reason: grounds } => {
            work.subtract_points(*points, grounds)?
        }
        Command::UndoReferral { referee: friend, order } => work.undo_referral(*friend, order)?,
        Command::UseRedemption { order, .. } => work.use_redemption(order.as_ref())?,
    }
    work.catch_up();
    work.finish()
}

/// A decision under way: its events are folded as they are made, so that each step sees the last.
pub(crate) struct DecisionBuilder<'a> {
    pub(crate) context: &'a Context<'a>,
    order_id: Option<&'a OrderId>,
    pub(crate) account: Account,
    order: OrderState,
    pub(crate) redemption: Option<Redemption>,
    pub(crate) events: Vec<Event>,
    pub(crate) follow_ups: Vec<(AccountId, Command)>,
}

impl<'a> DecisionBuilder<'a> {
    pub(crate) fn new(context: &'a Context<'a>, order_id: Option<&'a OrderId>) -> Self {
        let account = context.account.cloned().unwrap_or_default();
        let order = context.order.cloned().unwrap_or_default();
        Self {
            context,
            order_id,
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
        if event.order().is_some() && event.order() == self.order_id {
            self.order.evolve(&event);
        }
        if let Some(redemption) = &mut self.redemption
            && event.redemption() == Some(redemption.issue().id)
        {
            redemption.evolve(&event);
        }
        self.events.push(event);
    }

    fn add_points(&mut self, points: Points, grounds: &AdjustmentReason) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let (_, program) = self.context.program;
        let now = self.context.now;
        let lot = self.lot_credit(points, program, (now, now), None, None)?;
        self.emit(Event::PointsAdded { points, lot, reason: grounds.clone(), at: Some(now) });
        Ok(())
    }

    fn subtract_points(
        &mut self,
        points: Points,
        grounds: &AdjustmentReason,
    ) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let now = self.context.now;
        let (lots, missing) = clawback::draw_points(self.account.usable_lots(now), points);
        if !missing.is_zero() {
            return Err(Rejection::InsufficientPoints {
                have: self.account.balance(now),
                need: points,
            });
        }
        self.emit(Event::PointsSubtracted { lots, reason: grounds.clone(), at: Some(now) });
        Ok(())
    }

    fn set_balance(&mut self, to: Points, reason: Option<Arc<str>>) -> Result<(), Rejection> {
        if to < Points::ZERO {
            return Err(Rejection::InvalidPoints { expected: "zero or more" });
        }
        let grounds = AdjustmentReason { action: None, text: reason, sets_balance: true };
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
        if self.account.manual_tier(self.context.now) != tier {
            self.emit(Event::TierSet { tier: tier.cloned(), at: Some(self.context.now) });
        }
        Ok(())
    }

    /// A report of an order. One without a time of its own that repeats what is known is a redelivery,
    /// also after a cancellation: it reopens nothing. Neither does the first one of an order whose
    /// cancellation came before it.
    fn record_order(
        &mut self,
        snapshot: &Arc<Order>,
        status: Status,
        at: Option<Timestamp>,
        origin: Origin,
    ) -> Result<(), Rejection> {
        let Some(id) = self.order_id else { return Ok(()) };
        match origin {
            Origin::Shop => snapshot.validate(self.context.minor_digits)?,
            Origin::Plugin => snapshot.validate_shape()?,
        }
        let known = self.order.snapshot();
        let same = known.is_some_and(|known| known.order == *snapshot);
        let unchanged = same && known.is_some_and(|known| known.origin == origin);
        let told = self.order.status().is_some_and(|reached| status <= reached);
        if at.is_none() && same && (told || self.order.is_cancelled()) {
            return self.reconcile(self.context.now);
        }
        let overtaken = self.order.cancelled_at().filter(|_| known.is_none());
        let at = at
            .or(overtaken)
            .unwrap_or_else(|| self.order.next_report_time(self.context.now));
        let newer = self.order.is_superseded_by(snapshot, origin, at);
        if newer || !self.order.has_report(status, at) {
            let snapshot = (newer && !unchanged).then(|| Arc::clone(snapshot));
            self.emit(Event::OrderRecorded { order: id.clone(), snapshot, status, at, origin });
        }
        self.reconcile(at)
    }

    fn cancel_order(&mut self, at: Option<Timestamp>) -> Result<(), Rejection> {
        let Some(id) = self.order_id else { return Ok(()) };
        let known = match at {
            Some(at) => self.order.cancelled_at() >= Some(at),
            None => self.order.is_cancelled(),
        };
        let at = at.unwrap_or_else(|| self.order.next_report_time(self.context.now));
        if !known {
            self.emit(Event::OrderCancelled { order: id.clone(), at });
        }
        self.reconcile(at)
    }

    fn refund_order(
        &mut self,
        refund: &Refund,
        excess: OverRefund,
        at: Option<Timestamp>,
    ) -> Result<(), Rejection> {
        let Some(id) = self.order_id else { return Ok(()) };
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
        if let Some(recorded) = self.order.snapshot() {
            if let (OverRefund::Clamp, RefundContent::Amount(amount)) =
                (excess, &mut refund.refunded)
            {
                *amount = (*amount).min(refund::refundable_amount(&self.order, &recorded.order)?);
            }
            refund::check_fits(&self.order, &recorded.order, &refund)?;
        }
        self.emit(Event::OrderRefunded { order: id.clone(), refund });
        self.reconcile(at.unwrap_or(self.context.now))
    }

    /// Posts the difference between what the order deserves and what it has posted, and what more or less
    /// of it counts for tiers and goals.
    fn reconcile(&mut self, at: Timestamp) -> Result<(), Rejection> {
        let Some(id) = self.order_id.filter(|_| self.context.account.is_some()) else {
            return Ok(());
        };
        self.pin_order(id)?;
        let Some(pin) = self.order.pin().cloned() else { return Ok(()) };
        let program = self.context.pinned_program.unwrap_or(self.context.program.1);
        let explanation = entitle::entitlement(&self.order, program, &pin)?;
        let counts = match explanation.status {
            EarningStatus::Entitled => {
                let orders = i64::from(!refund::is_fully_refunded(&self.order)?);
                Counts {
                    orders,
                    ..Counts::order(explanation.spend, explanation.points)
                }
            }
            EarningStatus::BelowGate { .. }
            | EarningStatus::Cancelled
            | EarningStatus::Refunded => Counts::ZERO,
        };
        let difference = counts.minus(self.order.counts());
        let fewer = difference.spend < 0 || difference.points < 0 || difference.orders < 0;
        let counted = (!difference.is_zero())
            .then_some(CountsDelta { gate_at: pin.gate_at, counts: difference });
        let qualified = if fewer { self.current_qualified_rank() } else { None };
        self.post_difference(id, &pin, at, program, explanation.clone(), counted)?;
        if fewer {
            self.recheck_tier(qualified)?;
        }
        self.check_referral(id, pin.gate_at, program, &explanation)
    }

    fn post_difference(
        &mut self,
        id: &OrderId,
        pin: &Pin,
        at: Timestamp,
        program: &Program,
        explanation: Explanation,
        counted: Option<CountsDelta>,
    ) -> Result<(), Rejection> {
        let now = self.context.now;
        let (before, worth) = (self.order.posted(), explanation.points);
        let standing = before.awarded.saturating_sub(before.clawed_back);
        let excess = standing.saturating_sub(worth);
        let excess = excess.saturating_sub(before.expired).saturating_sub(before.forgiven);
        let reckoning = || Arc::new(Calculation { explanation, posted_before: before });
        if worth > standing {
            let points = worth.saturating_sub(standing);
            let earned_at = if before.awarded.is_zero() { pin.gate_at } else { at };
            let until = expiry::pending_until(
                program.definition().hold,
                self.context.zone,
                pin.gate_at,
                now,
            )?;
            let lot = self.lot_credit(points, program, (earned_at, now), until, Some(id))?;
            let (order, reckoning, at) = (id.clone(), reckoning(), Some(now));
            self.emit(Event::PointsAwarded {
                order,
                points,
                lot,
                calculation: reckoning,
                counted,
                at,
            });
        } else if excess.is_positive() {
            let own = (id, &self.order);
            let taking = clawback::claw_back_order(
                &self.account,
                now,
                own,
                excess,
                program.definition().debt,
            );
            let after = self.account.balance(now).checked_sub(taking.from_balance());
            after.ok_or(Rejection::PointsOutOfRange)?;
            let (order, reckoning, at) = (id.clone(), reckoning(), Some(now));
            self.emit(Event::PointsTakenBack {
                order,
                clawback: taking,
                calculation: reckoning,
                counted,
                at,
            });
        } else if let Some(counted) = counted {
            self.emit(Event::OrderCounted { order: id.clone(), counted, at: now });
        }
        Ok(())
    }

    /// At the gate everything that the order earns under is settled, even when it earns nothing.
    fn pin_order(&mut self, id: &OrderId) -> Result<(), Rejection> {
        let (version, program) = self.context.program;
        let Some(recorded) = self.order.snapshot().filter(|_| self.order.pin().is_none()) else {
            return Ok(());
        };
        let gate = program.gate(recorded.origin);
        let Some(at) = self.order.reached_at(gate) else { return Ok(()) };
        let pin = self.build_pin(recorded, version, program, at)?;
        self.emit(Event::OrderPinned { order: id.clone(), pin });
        Ok(())
    }

    fn build_pin(
        &self,
        recorded: &RecordedSnapshot,
        version: ProgramVersion,
        program: &Program,
        at: Timestamp,
    ) -> Result<Pin, Rejection> {
        let tags = program
            .tags()
            .filter(|tag| self.context.tags.contains(*tag))
            .cloned()
            .collect();
        let tier = self.account.current_tier_id(self.context.now).cloned();
        let placed =
            entitle::placed_at(&self.order, &recorded.order, program.gate(recorded.origin))
                .unwrap_or(at);
        let campaigns = program.definition().campaigns.iter();
        let campaigns =
            campaigns.filter(|campaign| campaign.applies(self.context.tags, tier.as_ref(), placed));
        let campaigns = campaigns.map(|campaign| campaign.id.clone()).collect();
        let mut pin = Pin { tags, tier, campaigns, ..Pin::new(version, at) };
        if program
            .definition()
            .earning
            .iter()
            .any(|rule| !rule.limits.is_empty())
        {
            let day = self.context.zone.local(self.context.now)?.date();
            pin.allowances = actions::allowances(program, self.account.activity(), day);
            let wanted = entitle::unlimited_points(&self.order, program, &pin)?;
            actions::exhaust_allowances(program, self.account.activity(), &mut pin, &wanted);
        }
        Ok(pin)
    }

    /// Where points that come in go: into a pending lot, or first to pay off debt and the rest into a lot.
    /// `earned_at` is what expiry runs from, `now` when they come.
    pub(crate) fn lot_credit(
        &self,
        points: Points,
        program: &Program,
        (earned_at, now): (Timestamp, Timestamp),
        pending_until: Option<Timestamp>,
        order: Option<&OrderId>,
    ) -> Result<Option<LotCredit>, Rejection> {
        let balance = self.account.balance(now).checked_add(points);
        let balance =
            balance.and_then(|balance| balance.checked_add(self.account.totals().pending));
        balance.ok_or(Rejection::PointsOutOfRange)?;
        let expires_at =
            expiry::expires_at(program.definition().expiry, self.context.zone, earned_at)?;
        if pending_until.is_some() {
            let id = self.account.next_lot_id();
            return Ok(Some(LotCredit {
                id,
                points,
                earned_at,
                expires_at,
                pending_until,
                is_separate: false,
            }));
        }
        let kept = points.saturating_sub(self.account.debt().min(points));
        if kept.is_zero() {
            return Ok(None);
        }
        let apart =
            order.is_some() && matches!(program.definition().expiry, Expiry::Inactivity { .. });
        let lasting = self
            .account
            .lots()
            .non_expiring_lot()
            .filter(|_| expires_at.is_none() && !apart);
        let id = lasting.map_or_else(|| self.account.next_lot_id(), |lot| lot.id);
        Ok(Some(LotCredit {
            id,
            points: kept,
            earned_at,
            expires_at,
            pending_until,
            is_separate: apart,
        }))
    }
}
