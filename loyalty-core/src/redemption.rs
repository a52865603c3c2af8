//! One customer's exchange of points for a reward: issued, then used, cancelled or
//! expired. A gift is one at no cost.
//!
//! The issue takes the points and records the lots that they came from, with their
//! expiry. The points return to the same lots: if the redemption is cancelled, if it
//! expires unused and its reward returns points then, or with the cancellation of the
//! order that used it, if the program returns points rather than the code. At any time
//! either the points are taken or the code is unusable, never neither and never both.

use std::sync::Arc;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::amount::{Points, Rate};
use crate::award::AwardReason;
use crate::calendar::{Period, Timestamp};
use crate::code::Code;
use crate::customer::Email;
use crate::discount::{
    AllocationMethod, CustomerSelection, PriceRule, PriceRuleParts, TargetSelection, TargetType,
    ValueType,
};
use crate::fault::Fault;
use crate::id::{CustomerId, OrderId, ProgramVersion, RedemptionId, RewardId};
use crate::lot::Lot;
use crate::program::{
    Benefit, FreeShipping, OrderCancelledPolicy, OrderRefundedPolicy, Percentage, Reward,
};
use crate::publication::{Publication, StoreId};

/// The terms of a redemption, fixed at its issue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Issuance {
    /// The redemption.
    pub id: RedemptionId,
    /// The customer's redemption before this one.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub previous: Option<RedemptionId>,
    /// The program's reward.
    pub reward: RewardId,
    /// Its name for customers, as it was at the issue.
    pub name: Arc<str>,
    /// The program in force at the issue.
    pub program: ProgramVersion,
    /// The points paid.
    pub points: Points,
    /// The parts of lots that they were taken from, in spending order, each with its
    /// expiry.
    pub parts: Vec<Lot>,
    /// The benefit that they bought.
    #[cfg_attr(feature = "json", serde(rename = "gives"))]
    pub benefit: Benefit,
    /// The code that the customer shows, if there is one.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub code: Option<Code>,
    /// When.
    pub at: Timestamp,
    /// The shop's day of the issue, for limits.
    pub day: NaiveDate,
    /// The instant from which it can no longer be used.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub ends_at: Option<Timestamp>,
    /// It returns its points if it expires unused.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub points_back_when_expired: bool,
    /// What the cancellation of the order that used it returns.
    pub order_cancelled: OrderCancelledPolicy,
    /// What refunds of the order that used it return.
    #[cfg_attr(
        feature = "json",
        serde(default, skip_serializing_if = "OrderRefundedPolicy::is_default")
    )]
    pub order_refunded: OrderRefundedPolicy,
    /// The largest share of an order's goods that it pays, in percent.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub maximum_share: Option<Rate>,
    /// The period for which returned points can be used at least.
    pub grace: Period,
    /// The cause for which it was given at no cost. `None` for one that points paid for.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub cause: Option<AwardReason>,
}

impl Issuance {
    /// The price rule behind its code: one use, for this customer, as long as the
    /// redemption can be used. `None` without a code. Its title is the code, by which
    /// stores find it.
    ///
    /// # Errors
    /// Faults of [`PriceRule::new`]. There are none if the program fits the currency.
    pub fn price_rule(
        &self,
        reward: &Reward,
        (id, email): (Option<&CustomerId>, Option<&Email>),
        minor_digits: u32,
    ) -> Result<Option<PriceRule>, Vec<Fault>> {
        let Some(code) = &self.code else { return Ok(None) };
        let anybody = id.is_none() && email.is_none();
        let mut parts = PriceRuleParts {
            title: code.as_str().to_owned(),
            usage_limit: Some(1),
            individual_use: reward.individual_use,
            customer_selection: if anybody {
                CustomerSelection::All
            } else {
                CustomerSelection::Prerequisite
            },
            prerequisite_customer_ids: id.cloned().into_iter().collect(),
            prerequisite_emails: email.cloned().into_iter().collect(),
            prerequisite_subtotal_range: reward.minimum_subtotal,
            maximum_share: self.maximum_share,
            entitled: reward.only.items(),
            excluded: reward.excluded.items(),
            ends_at: self.ends_at,
            ..PriceRuleParts::new(self.at)
        };
        self.set_discount(&mut parts);
        if !parts.entitled.is_empty() {
            parts.target_selection = TargetSelection::Entitled;
        }
        PriceRule::new(parts, minor_digits).map(Some)
    }

    fn set_discount(&self, parts: &mut PriceRuleParts) {
        let all = (ValueType::Percentage, Decimal::ONE_HUNDRED);
        (parts.value_type, parts.value) = match &self.benefit {
            Benefit::FixedAmount(amount) => (ValueType::FixedAmount, amount.get()),
            Benefit::Percentage(Percentage { rate, maximum }) => {
                parts.maximum_discount = *maximum;
                (ValueType::Percentage, rate.get())
            }
            Benefit::FreeProduct(product) => {
                parts.entitled = product.scope.items();
                parts.allocation_method = AllocationMethod::Each;
                parts.allocation_limit = Some(product.quantity);
                all
            }
            Benefit::FreeShipping(FreeShipping { maximum }) => {
                parts.target_type = TargetType::ShippingLine;
                parts.allocation_method = AllocationMethod::Each;
                parts.prerequisite_shipping_price_range = *maximum;
                all
            }
            Benefit::Custom | Benefit::StoreCredit(_) => return,
        };
        parts.value.set_sign_negative(true);
    }
}

/// The state of one redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Redemption {
    issue: Arc<Issuance>,
    state: RedemptionState,
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    ends_at: Option<Timestamp>,
    /// The points that are taken for it now.
    #[cfg_attr(feature = "json", serde(rename = "taken"))]
    payment: RedemptionPayment,
    /// Points that refunds of the order that used it returned.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    refunded: Points,
    /// It counts for the limits of its reward.
    #[cfg_attr(feature = "json", serde(rename = "counted"))]
    counts_toward_limits: bool,
    /// One for each store, in the order of their first reports.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    publications: Vec<Arc<Publication>>,
}

/// The state of a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum RedemptionState {
    /// It can be used.
    Issued,
    /// It was used.
    Used {
        /// The order that used it, if any.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// The instant at which that became known.
        at: Timestamp,
    },
    /// It was cancelled, and its points were returned.
    Cancelled {
        /// The cancelled order that had used it, if any.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// The instant.
        at: Timestamp,
    },
    /// It ended unused.
    Expired {
        /// The instant.
        at: Timestamp,
        /// Its points were returned.
        points_back: bool,
    },
}

impl RedemptionState {
    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Used { .. } => "used",
            Self::Cancelled { .. } => "cancelled",
            Self::Expired { .. } => "expired",
        }
    }
}

/// Points taken for a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RedemptionPayment {
    /// The parts of lots that they are taken from, each with its expiry.
    pub parts: Vec<Lot>,
    /// Taken as debt, if a redemption was used after its points had been returned.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub debt: Points,
    /// When.
    pub at: Timestamp,
}

impl RedemptionPayment {
    /// The sum of the points.
    pub fn points(&self) -> Points {
        self.parts
            .iter()
            .fold(self.debt, |sum, part| sum.saturating_add(part.points))
    }

    /// Splits off the last points: what stays taken, and what returns. The last part that
    /// was spent returns first, so that any slices return the same parts in the end.
    pub(crate) fn split_last(&self, points: Points) -> (Self, Self) {
        let none = || Self { parts: Vec::new(), debt: Points::ZERO, at: self.at };
        let (mut kept, mut returned) = (none(), none());
        returned.debt = self.debt.min(points);
        kept.debt = self.debt.saturating_sub(returned.debt);

        let mut left = points.saturating_sub(returned.debt);
        for part in self.parts.iter().rev() {
            let back = part.points.min(left);
            left = left.saturating_sub(back);
            let stays = part.points.saturating_sub(back);
            for (half, points) in [(&mut returned, back), (&mut kept, stays)] {
                if points.is_positive() {
                    half.parts.insert(0, Lot { points, ..part.clone() });
                }
            }
        }
        (kept, returned)
    }
}

/// Points that a redemption returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RedemptionReturn {
    /// The parts returned to lots, existing ones or new ones.
    pub lots: Vec<Lot>,
    /// Paid off debt.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub paid: Points,
}

impl RedemptionReturn {
    /// The sum of the points.
    pub fn points(&self) -> Points {
        self.lots
            .iter()
            .fold(self.paid, |sum, lot| sum.saturating_add(lot.points))
    }
}

/// One sentence: the points returned and their expiry.
/// The usage that a redemption counted for limits, to be taken off again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CountedUsage {
    /// The reward.
    pub reward: RewardId,
    /// The shop's day on which it was counted.
    pub day: NaiveDate,
    /// The points paid.
    pub points: Points,
}

impl Redemption {
    /// A redemption that was just issued.
    pub fn new(issue: Arc<Issuance>) -> Self {
        let payment =
            RedemptionPayment { parts: issue.parts.clone(), debt: Points::ZERO, at: issue.at };
        Self {
            state: RedemptionState::Issued,
            ends_at: issue.ends_at,
            payment,
            refunded: Points::ZERO,
            counts_toward_limits: issue.cause.is_none(),
            publications: Vec::new(),
            issue,
        }
    }

    /// Its terms.
    pub fn issue(&self) -> &Issuance {
        &self.issue
    }

    /// The state after the last event. See [`Redemption::state_at`] for one that may have
    /// expired since.
    pub fn state(&self) -> &RedemptionState {
        &self.state
    }

    /// The instant from which it can no longer be used. Later than at its issue where a
    /// cancelled order gave it back.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// The points taken for it now. None of them if they were returned.
    pub fn payment(&self) -> &RedemptionPayment {
        &self.payment
    }

    /// The points that refunds of the order that used it returned. They are no longer part
    /// of the payment.
    pub fn refunded(&self) -> Points {
        self.refunded
    }

    /// What stores have done with its code, one entry for each that has said so.
    pub fn publications(&self) -> impl Iterator<Item = &Publication> {
        self.publications.iter().map(|publication| &**publication)
    }

    /// What a store has done with its code last.
    pub fn publication(&self, store: &StoreId) -> Option<&Publication> {
        self.publications().find(|publication| publication.store == *store)
    }

    pub(crate) fn set_publication(&mut self, publication: &Arc<Publication>) {
        let mut known = self.publications.iter_mut();
        match known.find(|known| known.store == publication.store) {
            Some(known) => *known = Arc::clone(publication),
            None => self.publications.push(Arc::clone(publication)),
        }
    }

    /// The state at `now`. A redemption whose end has passed is expired, even without an
    /// event.
    pub fn state_at(&self, now: Timestamp) -> RedemptionState {
        match (&self.state, self.ends_at) {
            (RedemptionState::Issued, Some(at)) if at <= now => {
                RedemptionState::Expired { at, points_back: self.issue.points_back_when_expired }
            }
            (state, _) => state.clone(),
        }
    }

    /// The usage to take off limits if its points are returned.
    pub(crate) fn counted_usage(&self) -> Option<CountedUsage> {
        let Issuance { reward, day, points, .. } = &*self.issue;
        self.counts_toward_limits.then(|| CountedUsage {
            reward: reward.clone(),
            day: *day,
            points: *points,
        })
    }

    /// The same, usable again until `ends_at`.
    pub(crate) fn reopen(&self, ends_at: Option<Timestamp>) -> Self {
        Self { state: RedemptionState::Issued, ends_at, ..self.clone() }
    }

    /// Marks it as used. `payment` is what is charged again, if its points had been
    /// returned.
    pub(crate) fn mark_used(
        &mut self,
        order: Option<&OrderId>,
        payment: Option<&RedemptionPayment>,
        at: Timestamp,
    ) {
        self.state = RedemptionState::Used { order: order.cloned(), at };
        if let Some(payment) = payment {
            self.payment = payment.clone();
            self.refunded = Points::ZERO;
        }
    }

    /// Returns points for goods that came back. `releases_limits` is true with the last of
    /// them.
    pub(crate) fn refund(&mut self, points: Points, releases_limits: bool) {
        (self.payment, _) = self.payment.split_last(points);
        self.refunded = self.refunded.saturating_add(points);
        self.counts_toward_limits &= !releases_limits;
    }

    /// Cancels it and returns its points.
    pub(crate) fn cancel(&mut self, order: Option<&OrderId>, at: Timestamp) {
        self.state = RedemptionState::Cancelled { order: order.cloned(), at };
        self.release_payment(at);
    }

    /// Ends it unused.
    pub(crate) fn expire(&mut self, points_back: bool, at: Timestamp) {
        self.state = RedemptionState::Expired { at, points_back };
        if points_back {
            self.release_payment(at);
        }
    }

    fn release_payment(&mut self, at: Timestamp) {
        self.payment = RedemptionPayment { parts: Vec::new(), debt: Points::ZERO, at };
        self.counts_toward_limits = false;
    }
}
