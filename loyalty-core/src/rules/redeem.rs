//! Rewards: points are redeemed for them, and returned when a redemption is cancelled or
//! expires.

use std::sync::Arc;

use crate::account::Usage;
use crate::amount::{Amount, Points, Rate, Rounding};
use crate::calendar::{Period, Timestamp};
use crate::code::Code;
use crate::context::ProgramPeriod;
use crate::event::Event;
use crate::exact::Fraction;
use crate::id::{LotId, OrderId, RedemptionId, RewardId};
use crate::lot::Lot;
use crate::program::{
    Benefit, DebtPolicy, OrderCancelledPolicy, OrderRefundedPolicy, Percentage, Reward,
    RewardPricing,
};
use crate::publication::{Publication, PublicationStatus, StoreId};
use crate::redemption::{
    Issuance, Redemption, RedemptionPayment, RedemptionReturn, RedemptionState,
};
use crate::rejection::Rejection;
use crate::rules::work::DecisionBuilder;
use crate::rules::{actions, clawback, expiry, scheduled};

impl Reward {
    /// Returns the price in points and the benefit, for the amount that the customer
    /// chose, if any. `minor_digits` are the decimals of the shop's currency.
    ///
    /// # Errors
    /// [`Rejection::InvalidAmount`] for an amount that is not on offer, or that has more
    /// decimals than the currency.
    ///
    /// # Example: the customer chooses the amount
    /// ```
    /// use loyalty_core::{Points, Program, program::Benefit};
    /// # #[cfg(feature = "json")] {
    /// let program = Program::from_json(r#"{"rewards": [{"id": "off", "name": "Money off", "gives":
    ///     {"variable_amount": {"points_per_unit": 100, "step": "5", "maximum": "50"}}}]}"#).unwrap();
    /// let reward = program.reward(&"off".parse().unwrap()).unwrap();
    ///
    /// let fifteen = "15".parse().unwrap();
    /// let quote = (Points::from(1_500), Benefit::FixedAmount(fifteen));
    /// assert_eq!(reward.quote(Some(fifteen), 2), Ok(quote));
    /// assert!(reward.quote(Some("12".parse().unwrap()), 2).is_err());
    /// # }
    /// ```
    pub fn quote(
        &self,
        amount: Option<Amount>,
        minor_digits: u32,
    ) -> Result<(Points, Benefit), Rejection> {
        let invalid = |expected: String| Rejection::InvalidAmount { expected };
        match (&self.offer, amount) {
            (RewardPricing::Fixed { cost, benefit }, None) => Ok((*cost, benefit.clone())),
            (RewardPricing::Fixed { .. }, Some(_)) => {
                Err(invalid("absent, since this reward has a fixed cost".to_owned()))
            }
            (RewardPricing::Variable(variable), None) => Err(invalid(variable.to_string())),
            (RewardPricing::Variable(variable), Some(amount)) => {
                let fits = amount.get().normalize().scale() <= minor_digits;
                let cost = variable
                    .cost(amount)
                    .filter(|_| fits)
                    .ok_or_else(|| invalid(variable.to_string()))?;
                Ok((cost, Benefit::FixedAmount(amount)))
            }
        }
    }
}

/// Checks that a benefit takes at most a share off the price of an order's goods.
///
/// # Errors
/// [`Rejection::MaximumShareExceeded`] if the code would be worth less than was paid for.
fn check_share(
    benefit: &Benefit,
    share: Rate,
    subtotal: Amount,
    minor_digits: u32,
) -> Result<(), Rejection> {
    let part = |rate: Rate| {
        let product =
            i128::from(subtotal.ten_thousandths()).saturating_mul(i128::from(rate.millionths()));
        product.checked_div(100_000_000).unwrap_or_default()
    };
    let wanted = match benefit {
        Benefit::FixedAmount(amount) => i128::from(amount.ten_thousandths()),
        Benefit::Percentage(Percentage { rate, maximum }) => {
            let maximum = maximum.unwrap_or(Amount::MAX).ten_thousandths();
            part(*rate).min(i128::from(maximum))
        }
        Benefit::Custom
        | Benefit::FreeProduct(_)
        | Benefit::FreeShipping(_)
        | Benefit::StoreCredit(_) => return Ok(()),
    };
    if wanted <= part(share) {
        return Ok(());
    }

    // Whole minor units of the currency.
    let unit = Amount::MAX_DECIMALS
        .checked_sub(minor_digits)
        .and_then(|digits| 10_i128.checked_pow(digits))
        .unwrap_or(1);
    let rest = part(share).checked_rem(unit).unwrap_or_default();
    let maximum = i64::try_from(part(share).saturating_sub(rest)).unwrap_or(i64::MAX);
    let maximum = Amount::from_ten_thousandths(maximum).unwrap_or(Amount::MAX);
    Err(Rejection::MaximumShareExceeded { share, maximum })
}

impl DecisionBuilder<'_> {
    /// All reasons why the customer cannot redeem a reward now. Empty if they can.
    pub(crate) fn rejections_for(
        &self,
        reward: &Reward,
        total_usage: Option<&Usage>,
        points: Points,
    ) -> Vec<Rejection> {
        let (context, id, when) = (self.context, || reward.id.clone(), &reward.when);
        let now = context.now;
        let mut found = Vec::new();
        if when.from.is_some_and(|from| now < from) || when.until.is_some_and(|until| now >= until)
        {
            found.push(Rejection::RewardNotOpen { reward: id() });
        }
        let has_tag = when.customer_tags.is_empty()
            || when.customer_tags.iter().any(|tag| context.tags.contains(tag));
        let tier = self.account.current_tier_id(now);
        if !has_tag
            || !(when.tiers.is_empty() || tier.is_some_and(|tier| when.tiers.contains(tier)))
        {
            found.push(Rejection::RewardNotForCustomer { reward: id() });
        }

        match context.zone.local(now).map(|local| local.date()) {
            Ok(day) => {
                let usage = self.account.activity().reward(&reward.id);
                if let Err(limit) = actions::apply_limits(&reward.limits, usage, day, points) {
                    found.push(Rejection::RewardLimitReached { reward: id(), limit });
                }
                // Redemptions that this very decision let expire no longer count.
                let released =
                    self.events.iter().filter(|event| event.reward() == Some(&reward.id));
                let total_usage = released.fold(total_usage.copied(), Usage::evolve);
                if let Err(limit) =
                    actions::apply_limits(&reward.total_limits, total_usage.as_ref(), day, points)
                {
                    found.push(Rejection::RewardSoldOut { reward: id(), limit });
                }
            }
            Err(error) => found.push(error.into()),
        }

        let have = self.account.balance(now);
        if have < points {
            found.push(Rejection::InsufficientPoints { have, need: points });
        }
        found
    }

    /// Takes the points and issues the redemption, in one event.
    pub(crate) fn redeem(
        &mut self,
        id: RedemptionId,
        reward: &RewardId,
        amount: Option<Amount>,
        subtotal: Option<Amount>,
        entropy: [u8; 16],
    ) -> Result<(), Rejection> {
        let (context, program) = (self.context, self.context.program());
        if let Some(known) = &self.redemption {
            return Err(Rejection::RedemptionNotOpen { state: known.state().name() });
        }
        let reward = program
            .reward(reward)
            .ok_or_else(|| Rejection::UnknownReward { reward: reward.clone() })?;
        if !reward.fits_currency(context.minor_digits) {
            return Err(Rejection::RewardTooFine { reward: reward.id.clone() });
        }

        let (points, benefit) = reward.quote(amount, context.minor_digits)?;
        let maximum_share = reward.share_of_order(&program.definition().redemption);
        if let (Some(share), Some(subtotal)) = (maximum_share, subtotal) {
            check_share(&benefit, share, subtotal, context.minor_digits)?;
        }
        if let Some(obstacle) = self
            .rejections_for(reward, context.total_usage, points)
            .into_iter()
            .next()
        {
            return Err(obstacle);
        }

        let now = context.now;
        let ends_at = reward
            .valid_for
            .map(|period| context.zone.after(now, period))
            .transpose()?;
        let code = benefit
            .has_code()
            .then(|| Code::generate(&reward.code_prefix, entropy))
            .transpose();
        let (parts, _) = self.select_parts(points, now);

        // The issue keeps the program's terms of today: later programs do not change a
        // redemption.
        let issue = Issuance {
            id,
            previous: self.account.last_redemption(),
            reward: reward.id.clone(),
            name: Arc::from(reward.name.as_str()),
            program: context.period.version,
            points,
            parts,
            benefit,
            // The program's validation has checked the prefix.
            code: code.map_err(|_| Rejection::OutOfRange)?,
            at: now,
            day: context.zone.local(now)?.date(),
            ends_at,
            points_back_when_expired: reward.points_back_when_expired,
            order_cancelled: program.definition().redemption.order_cancelled,
            order_refunded: program.definition().redemption.order_refunded,
            maximum_share,
            grace: program.definition().redemption.grace,
            cause: None,
        };
        self.emit(Event::RewardRedeemed { issue: Arc::new(issue) });
        Ok(())
    }

    /// The lots that points are taken from, each with its part, and the points missing.
    fn select_parts(&self, points: Points, now: Timestamp) -> (Vec<Lot>, Points) {
        let (parts, missing) = clawback::draw_points(self.account.usable_lots(now), points);
        let lot = |(id, points): (LotId, Points)| {
            self.account.lots().get(id).map(|lot| Lot { points, ..lot.clone() })
        };
        (parts.into_iter().filter_map(lot).collect(), missing)
    }

    /// The command's redemption.
    ///
    /// # Errors
    /// [`Rejection::UnknownRedemption`] if the account has no such redemption.
    fn require_redemption(&self) -> Result<Redemption, Rejection> {
        self.redemption.clone().ok_or(Rejection::UnknownRedemption)
    }

    /// Cancels an unused redemption and returns its points. Cancelling again changes
    /// nothing.
    pub(crate) fn cancel_redemption(&mut self) -> Result<(), Rejection> {
        let redemption = self.require_redemption()?;
        match redemption.state() {
            RedemptionState::Issued => self.return_points(&redemption, None),
            RedemptionState::Cancelled { .. } => Ok(()),
            state @ (RedemptionState::Used { .. } | RedemptionState::Expired { .. }) => {
                Err(Rejection::RedemptionNotOpen { state: state.name() })
            }
        }
    }

    fn return_points(
        &mut self,
        redemption: &Redemption,
        order: Option<OrderId>,
    ) -> Result<(), Rejection> {
        let (at, period) = (self.context.now, self.context.period);
        let returned = self
            .compute_return(redemption.payment(), redemption.issue().grace, at, &period)
            .ok_or(Rejection::PointsOutOfRange)?;
        let (returned, counted_usage) = (Arc::new(returned), redemption.counted_usage());
        self.emit(Event::RedemptionCancelled {
            redemption: redemption.issue().id,
            order,
            returned,
            counted_usage,
            at,
        });
        Ok(())
    }

    /// Notes that the shop handed over the reward. The same report again changes nothing.
    pub(crate) fn use_redemption(&mut self, order: Option<&OrderId>) -> Result<(), Rejection> {
        let redemption = self.require_redemption()?;
        match redemption.state() {
            RedemptionState::Issued => {
                self.record_use(&redemption, order.cloned(), None, order.is_some());
                Ok(())
            }
            RedemptionState::Used { order: known, .. } if known.as_ref() == order => Ok(()),
            state @ (RedemptionState::Used { .. }
            | RedemptionState::Cancelled { .. }
            | RedemptionState::Expired { .. }) => {
                Err(Rejection::RedemptionNotOpen { state: state.name() })
            }
        }
    }

    /// Notes that an order used the code. An order is a fact: if the points had been
    /// returned before, they are charged again.
    pub(crate) fn claim_redemption(&mut self, order: &OrderId) {
        let Some(redemption) = self.redemption.clone() else { return };
        let is_returned = match redemption.state() {
            RedemptionState::Issued => false,
            RedemptionState::Used { .. } => return,
            RedemptionState::Cancelled { .. } => true,
            RedemptionState::Expired { points_back, .. } => *points_back,
        };
        let payment = is_returned.then(|| Arc::new(self.charge_again(redemption.issue().points)));
        self.record_use(&redemption, Some(order.clone()), payment, false);
    }

    fn charge_again(&self, points: Points) -> RedemptionPayment {
        let at = self.context.now;
        let (parts, missing) = self.select_parts(points, at);
        let countable = self.account.balance(at).checked_sub(points).is_some();
        let debt = match self.context.program().definition().debt {
            DebtPolicy::Allow if countable => missing,
            DebtPolicy::Allow | DebtPolicy::StopAtZero => Points::ZERO,
        };
        RedemptionPayment { parts, debt, at }
    }

    fn record_use(
        &mut self,
        redemption: &Redemption,
        order: Option<OrderId>,
        payment: Option<Arc<RedemptionPayment>>,
        by_shop: bool,
    ) {
        let (redemption, at) = (redemption.issue().id, self.context.now);
        self.emit(Event::RedemptionUsed { redemption, order, payment, by_shop, at });
    }

    /// Undoes the use by an order that was cancelled: the code can be used again, or the
    /// points are returned, as the program was at the issue. A code that has ended
    /// meanwhile gets the grace period.
    pub(crate) fn release_redemption(&mut self, order: &OrderId) -> Result<(), Rejection> {
        let Some(redemption) = self.redemption.clone() else { return Ok(()) };
        let RedemptionState::Used { order: Some(user), .. } = redemption.state() else {
            return Ok(());
        };
        if user != order {
            return Ok(());
        }

        let (issue, at) = (redemption.issue(), self.context.now);
        // Where points have come back already, the code must not. A gift has no points that
        // could come back in place of the code, but its cause may have been undone.
        let is_over = if issue.cause.is_some() {
            self.account.activity().gifts().is_undone(issue.id)
        } else {
            issue.order_cancelled == OrderCancelledPolicy::Points
                || redemption.refunded().is_positive()
        };
        if is_over {
            return self.return_points(&redemption, Some(order.clone()));
        }

        let grace = self.context.zone.after(at, issue.grace)?;
        let ends_at = redemption.ends_at().map(|end| if end <= at { grace } else { end });
        let redemption = Arc::new(redemption.reopen(ends_at));
        self.emit(Event::RedemptionReopened { redemption, order: order.clone(), at });
        Ok(())
    }

    /// Records what a store has done with the code. The same report again changes nothing.
    pub(crate) fn record_publication(
        &mut self,
        store: &StoreId,
        status: &PublicationStatus,
    ) -> Result<(), Rejection> {
        let redemption = self.require_redemption()?;
        if redemption
            .publication(store)
            .is_some_and(|known| known.status == *status)
        {
            return Ok(());
        }
        let (store, status, at) = (store.clone(), status.clone(), self.context.now);
        self.emit(Event::PublicationRecorded {
            redemption: redemption.issue().id,
            publication: Arc::new(Publication { store, status, at }),
        });
        Ok(())
    }

    /// Returns the points of goods that came back, of those that the redemption's order was
    /// paid with, as the program was at the issue. `returned` is the share of all goods that
    /// came back so far. Points that cannot be counted are not returned.
    ///
    /// What came back once stays, even if an edit of the order makes the share smaller.
    pub(crate) fn refund_redemption(
        &mut self,
        order: &OrderId,
        returned: &Fraction,
    ) -> Result<(), Rejection> {
        let Some(redemption) = self.redemption.clone() else { return Ok(()) };
        let is_used = matches!(
            redemption.state(), RedemptionState::Used { order: Some(user), .. } if user == order
        );
        let (issue, payment) = (redemption.issue(), redemption.payment());
        if !is_used || issue.order_refunded == OrderRefundedPolicy::Keep {
            return Ok(());
        }

        let spent = payment.points().saturating_add(redemption.refunded());
        let due = if returned.is_at_least(&Fraction::ONE) {
            spent
        } else {
            Fraction::from_points(spent).times(returned)?.round(Rounding::Down)?
        };
        let points = due.saturating_sub(redemption.refunded());
        if !points.is_positive() {
            return Ok(());
        }

        let (at, period) = (self.context.now, self.context.period);
        let (kept, back) = payment.split_last(points);
        let Some(returned) = self.compute_return(&back, issue.grace, at, &period) else {
            return Ok(());
        };
        let counted_usage = redemption.counted_usage().filter(|_| !kept.points().is_positive());
        self.emit(Event::RedemptionRefunded {
            redemption: issue.id,
            order: order.clone(),
            returned: Arc::new(returned),
            counted_usage,
            at,
        });
        Ok(())
    }

    /// Ends the next redemption unused. Points that cannot be counted are not returned.
    pub(crate) fn expire_redemption(&mut self, at: Timestamp, period: &ProgramPeriod<'_>) {
        let Some((_, redemption)) = self.account.redemptions().first() else {
            return;
        };
        let redemption = Arc::clone(redemption);
        let is_returned = redemption.issue().points_back_when_expired;
        let returned = if is_returned {
            self.compute_return(redemption.payment(), redemption.issue().grace, at, period)
                .map(Arc::new)
        } else {
            None
        };
        let counted_usage = redemption.counted_usage().filter(|_| returned.is_some());
        self.emit(Event::RedemptionExpired {
            redemption: redemption.issue().id,
            returned,
            counted_usage,
            at,
        });
    }

    /// The return of points that were paid, at an instant. `None` if they cannot be counted.
    ///
    /// Parts keep their expiry. Parts that have expired, or whose balance has expired by
    /// inactivity since, can be used for the grace period. Returned points pay off debt
    /// first, those with the earliest expiry first.
    fn compute_return(
        &self,
        payment: &RedemptionPayment,
        grace: Period,
        at: Timestamp,
        period: &ProgramPeriod<'_>,
    ) -> Option<RedemptionReturn> {
        let points = payment.points();
        let totals = self.account.totals();
        let balance = self.account.balance(at).checked_add(points)?;
        balance.checked_add(totals.pending)?;
        totals.returned.checked_add(points)?;

        let zone = self.context.zone;
        let grace = zone.after(at, grace).ok();
        let has_expired_idle = self
            .account
            .inactivity_expired_at()
            .is_some_and(|ended| payment.at < ended)
            || scheduled::inactivity_expires_at(&self.account, zone, period)
                .is_some_and(|until| until <= at);
        let over = |lot: &Lot| !lot.is_usable(at) || (lot.expires_at.is_none() && has_expired_idle);

        let mut parts: Vec<_> = payment
            .parts
            .iter()
            .map(|lot| {
                let over = over(lot);
                let expires_at = if over { grace } else { lot.expires_at };
                (Lot { expires_at, ..lot.clone() }, over)
            })
            .collect();

        // Points that were charged as debt came from no lot: they return as if earned
        // now.
        if payment.debt.is_positive() {
            let expires_at = expiry::expires_at(period.program.definition().expiry, zone, at)
                .ok()
                .flatten();
            let id = self.account.next_lot_id();
            let lot = Lot {
                id,
                order: None,
                import: None,
                points: payment.debt,
                earned_at: at,
                expires_at,
                pending_until: None,
            };
            parts.push((lot, true));
        }

        parts.sort_by_key(|(lot, _)| {
            (lot.expires_at.is_none(), lot.expires_at, lot.earned_at, lot.id)
        });
        Some(self.allocate_return(parts))
    }

    /// Pays off debt with the first parts and assigns the others to lots. The flag of a
    /// part is true if it needs a new lot.
    fn allocate_return(&self, parts: Vec<(Lot, bool)>) -> RedemptionReturn {
        let (mut debt, mut returned, mut next) =
            (self.account.debt(), RedemptionReturn::default(), self.account.next_lot_id());
        for (mut lot, is_new) in parts {
            let paid = debt.min(lot.points);
            debt = debt.saturating_sub(paid);
            returned.paid = returned.paid.saturating_add(paid);
            lot.points = lot.points.saturating_sub(paid);
            if !lot.points.is_positive() {
                continue;
            }

            // The non-expiring lot takes all such parts.
            let mergeable = returned
                .lots
                .iter_mut()
                .find(|known| known.is_shared() && lot.is_shared());
            if let Some(known) = mergeable {
                known.points = known.points.saturating_add(lot.points);
                continue;
            }
            lot.id = self.destination_lot(&lot, is_new).unwrap_or(next);
            if lot.id == next {
                next = LotId(next.0.saturating_add(1));
            }
            returned.lots.push(lot);
        }
        returned
    }

    /// The lot that a part returns to: the non-expiring lot for points without expiry,
    /// else the lot that it came from, even if that was emptied. `None` if that number is
    /// another lot now, as after a merge of accounts.
    fn destination_lot(&self, part: &Lot, is_new: bool) -> Option<LotId> {
        let lots = self.account.lots();
        if let Some(shared) = lots.non_expiring_lot().filter(|_| part.is_shared()) {
            return Some(shared.id);
        }
        let known = part.id < self.account.next_lot_id()
            && self.account.pending_lots().get(part.id).is_none();
        if is_new || !known {
            return None;
        }
        let is_same = |lot: &Lot| {
            (&lot.order, &lot.import, lot.earned_at, lot.expires_at)
                == (&part.order, &part.import, part.earned_at, part.expires_at)
        };
        lots.get(part.id).is_none_or(is_same).then_some(part.id)
    }
}
