//! Points for rewards, and back: what a customer can have, what it takes, and what comes back when.

use std::sync::Arc;

use crate::account::Usage;
use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::context::ProgramPeriod;
use crate::event::Event;
use crate::id::{LotId, OrderId, RedemptionId, RewardId};
use crate::lot::Lot;
use crate::program::{Benefit, DebtPolicy, OrderCancelledPolicy, Reward, RewardPricing};
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

impl DecisionBuilder<'_> {
    /// All that stands between the customer and a reward.
    pub(crate) fn rejections_for(
        &self,
        reward: &Reward,
        had_in_all: Option<&Usage>,
        points: Points,
    ) -> Vec<Rejection> {
        let (context, id, when) = (self.context, || reward.id.clone(), &reward.when);
        let now = context.now;
        let mut found = Vec::new();
        if when.from.is_some_and(|from| now < from) || when.until.is_some_and(|until| now >= until)
        {
            found.push(Rejection::RewardNotOpen { reward: id() });
        }
        let tagged = when.customer_tags.is_empty()
            || when.customer_tags.iter().any(|tag| context.tags.contains(tag));
        let tier = self.account.current_tier_id(now);
        if !tagged || !(when.tiers.is_empty() || tier.is_some_and(|tier| when.tiers.contains(tier)))
        {
            found.push(Rejection::RewardNotForCustomer { reward: id() });
        }
        match context.zone.local(now).map(|local| local.date()) {
            Ok(day) => {
                let had = self.account.activity().reward(&reward.id);
                if let Err(limit) = actions::apply_limits(&reward.limits, had, day, points) {
                    found.push(Rejection::RewardLimitReached { reward: id(), limit });
                }
                // What has just run out of time is free again before anybody has written it down.
                let given_back =
                    self.events.iter().filter(|event| event.reward() == Some(&reward.id));
                let had_in_all = given_back.fold(had_in_all.copied(), Usage::evolve);
                if let Err(limit) =
                    actions::apply_limits(&reward.total_limits, had_in_all.as_ref(), day, points)
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

    /// Points go, and what they buy is issued, all at once.
    pub(crate) fn redeem(
        &mut self,
        id: RedemptionId,
        reward: &RewardId,
        amount: Option<Amount>,
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
        let (points, gives) = reward.quote(amount, context.minor_digits)?;
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
        let code = gives
            .has_code()
            .then(|| Code::generate(&reward.code_prefix, entropy))
            .transpose();
        let (parts, _) = self.select_parts(points, now);
        let issue = Issuance {
            id,
            previous: self.account.last_redemption(),
            reward: reward.id.clone(),
            name: Arc::from(reward.name.as_str()),
            program: context.period.version,
            points,
            parts,
            benefit: gives,
            // The prefix was checked with the program.
            code: code.map_err(|_| Rejection::OutOfRange)?,
            at: now,
            day: context.zone.local(now)?.date(),
            ends_at,
            points_back_when_expired: reward.points_back_when_expired,
            order_cancelled: program.definition().redemption.order_cancelled,
            grace: program.definition().redemption.grace,
        };
        self.emit(Event::RewardRedeemed { issue: Arc::new(issue) });
        Ok(())
    }

    /// What of which lots makes so many points, and what is missing.
    fn select_parts(&self, points: Points, now: Timestamp) -> (Vec<Lot>, Points) {
        let (parts, missing) = clawback::draw_points(self.account.usable_lots(now), points);
        let lot = |(id, points): (LotId, Points)| {
            self.account.lots().get(id).map(|lot| Lot { points, ..lot.clone() })
        };
        (parts.into_iter().filter_map(lot).collect(), missing)
    }

    /// The command's redemption.
    fn require_redemption(&self) -> Result<Redemption, Rejection> {
        self.redemption.clone().ok_or(Rejection::UnknownRedemption)
    }

    /// Cancelled twice is cancelled.
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
            .compute_return(redemption, at, &period)
            .ok_or(Rejection::PointsOutOfRange)?;
        let (returned, slot) = (Arc::new(returned), redemption.counted_usage());
        self.emit(Event::RedemptionCancelled {
            redemption: redemption.issue().id,
            order,
            returned,
            counted_usage: slot,
            at,
        });
        Ok(())
    }

    /// The shop handed over what it is for.
    pub(crate) fn use_redemption(&mut self, order: Option<&OrderId>) -> Result<(), Rejection> {
        let redemption = self.require_redemption()?;
        match redemption.state() {
            RedemptionState::Issued => {
                self.record_use(&redemption, order.cloned(), None);
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

    /// An order brought the code. Where the points had come back before, they are taken again: who has the
    /// discount has paid for it.
    pub(crate) fn claim_redemption(&mut self, order: &OrderId) {
        let Some(redemption) = self.redemption.clone() else { return };
        let back = match redemption.state() {
            RedemptionState::Issued => false,
            RedemptionState::Used { .. } => return,
            RedemptionState::Cancelled { .. } => true,
            RedemptionState::Expired { points_back, .. } => *points_back,
        };
        let taken = back.then(|| Arc::new(self.charge_again(redemption.issue().points)));
        self.record_use(&redemption, Some(order.clone()), taken);
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
        taken: Option<Arc<RedemptionPayment>>,
    ) {
        let (redemption, at) = (redemption.issue().id, self.context.now);
        self.emit(Event::RedemptionUsed { redemption, order, payment: taken, at });
    }

    /// The order that had used it is no more: the code again, or the points, never both. A code whose time is
    /// over gets the grace that points get.
    pub(crate) fn release_redemption(&mut self, order: &OrderId) -> Result<(), Rejection> {
        let Some(redemption) = self.redemption.clone() else { return Ok(()) };
        let by_it = matches!(redemption.state(), RedemptionState::Used { order: Some(by), .. } if by == order);
        if !by_it {
            return Ok(());
        }
        let (issue, at) = (redemption.issue(), self.context.now);
        if issue.order_cancelled == OrderCancelledPolicy::Points {
            return self.return_points(&redemption, Some(order.clone()));
        }
        let grace = self.context.zone.after(at, issue.grace)?;
        let ends_at = redemption.ends_at().map(|end| if end <= at { grace } else { end });
        let redemption = Arc::new(redemption.reopen(ends_at));
        self.emit(Event::RedemptionReopened { redemption, order: order.clone(), at });
        Ok(())
    }

    /// A redemption ran out of time unused. Points that could not be counted any more do not come back.
    pub(crate) fn expire_redemption(&mut self, at: Timestamp, period: &ProgramPeriod<'_>) {
        let Some((_, redemption)) = self.account.redemptions().first() else {
            return;
        };
        let redemption = Arc::clone(redemption);
        let back = redemption.issue().points_back_when_expired;
        let returned =
            if back { self.compute_return(&redemption, at, period).map(Arc::new) } else { None };
        let slot = redemption.counted_usage().filter(|_| returned.is_some());
        self.emit(Event::RedemptionExpired {
            redemption: redemption.issue().id,
            returned,
            counted_usage: slot,
            at,
        });
    }

    /// What comes back of a redemption at an instant. Parts keep their ends; those whose end has passed, or
    /// whose balance has ended by inactivity since, can be used for the grace. What comes back pays off debt
    /// first, with what ends first. None where it could not be counted.
    fn compute_return(
        &self,
        redemption: &Redemption,
        at: Timestamp,
        period: &ProgramPeriod<'_>,
    ) -> Option<RedemptionReturn> {
        let taken = redemption.payment();
        let points = taken.points();
        let totals = self.account.totals();
        let balance = self.account.balance(at).checked_add(points)?;
        balance.checked_add(totals.pending)?;
        totals.returned.checked_add(points)?;

        let zone = self.context.zone;
        let grace = zone.after(at, redemption.issue().grace).ok();
        let ended_idle = self
            .account
            .inactivity_expired_at()
            .is_some_and(|ended| taken.at < ended)
            || scheduled::inactivity_expires_at(&self.account, zone, period)
                .is_some_and(|until| until <= at);
        let over = |lot: &Lot| !lot.is_usable(at) || (lot.expires_at.is_none() && ended_idle);
        let mut parts: Vec<_> = taken
            .parts
            .iter()
            .map(|lot| {
                let over = over(lot);
                let expires_at = if over { grace } else { lot.expires_at };
                (Lot { expires_at, ..lot.clone() }, over)
            })
            .collect();
        if taken.debt.is_positive() {
            let expires_at = expiry::expires_at(period.program.definition().expiry, zone, at)
                .ok()
                .flatten();
            let id = self.account.next_lot_id();
            let lot = Lot {
                id,
                order: None,
                points: taken.debt,
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

    /// Pays off debt with the first parts, and finds the lots that the others go to: `fresh` ones are new.
    fn allocate_return(&self, parts: Vec<(Lot, bool)>) -> RedemptionReturn {
        let (mut debt, mut returned, mut next) =
            (self.account.debt(), RedemptionReturn::default(), self.account.next_lot_id());
        for (mut lot, fresh) in parts {
            let paid = debt.min(lot.points);
            debt = debt.saturating_sub(paid);
            returned.paid = returned.paid.saturating_add(paid);
            lot.points = lot.points.saturating_sub(paid);
            if !lot.points.is_positive() {
                continue;
            }
            let endless = |lot: &Lot| lot.expires_at.is_none() && lot.order.is_none();
            let twin = returned.lots.iter_mut().find(|known| endless(known) && endless(&lot));
            if let Some(twin) = twin {
                twin.points = twin.points.saturating_add(lot.points);
                continue;
            }
            lot.id = self.destination_lot(&lot, fresh).unwrap_or(next);
            if lot.id == next {
                next = LotId(next.0.saturating_add(1));
            }
            returned.lots.push(lot);
        }
        returned
    }

    /// The lot that points go back to: the one that they came from, whether it is still there or was
    /// emptied; for points without an end the one lot of those. None where that has become another one, as
    /// when accounts were merged.
    fn destination_lot(&self, part: &Lot, fresh: bool) -> Option<LotId> {
        let lots = self.account.lots();
        if let Some(lasting) = lots
            .non_expiring_lot()
            .filter(|_| part.expires_at.is_none() && part.order.is_none())
        {
            return Some(lasting.id);
        }
        let known = part.id < self.account.next_lot_id()
            && self.account.pending_lots().get(part.id).is_none();
        if fresh || !known {
            return None;
        }
        let alike = |lot: &Lot| {
            (&lot.order, lot.earned_at, lot.expires_at)
                == (&part.order, part.earned_at, part.expires_at)
        };
        lots.get(part.id).is_none_or(alike).then_some(part.id)
    }
}
