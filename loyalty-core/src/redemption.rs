//! One customer's exchange of points for a reward: issued, then used, cancelled or expired.
//!
//! The points leave with the issue, and the parts that they were taken in are remembered with their ends. They
//! come back in the same parts: when a redemption is cancelled, when it ends unused and the reward says so, or
//! with the cancelled order that used it, where the program gives points back rather than the code. At any
//! time either the points are taken or the code is dead, never neither and never both.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::amount::Points;
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
use crate::program::{Benefit, FreeShipping, OrderCancelledPolicy, Reward};

/// What was exchanged, settled when it was.
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
    /// Its name for customers, as it was then.
    pub name: Arc<str>,
    /// Under which program.
    pub program: ProgramVersion,
    /// How many points were paid.
    pub points: Points,
    /// The lots that they were taken from, in spending order: of each what was taken, with its end.
    pub parts: Vec<Lot>,
    /// What they bought.
    #[cfg_attr(feature = "json", serde(rename = "gives"))]
    pub benefit: Benefit,
    /// What the customer shows for it, where a code stands for it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub code: Option<Code>,
    /// When.
    pub at: Timestamp,
    /// The shop's day, which limits count by.
    pub day: NaiveDate,
    /// From when on it can no longer be used.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub ends_at: Option<Timestamp>,
    /// Whether it gives its points back where it was not used by then.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub points_back_when_expired: bool,
    /// What the cancellation of the order that used it brings back.
    pub order_cancelled: OrderCancelledPolicy,
    /// How long points that come back can be used at least.
    pub grace: Period,
}

impl Issuance {
    /// The price rule behind its code: one use, for this customer, for as long as the redemption can be used;
    /// none where no code stands for it. Its title is the code, as stores know it by that.
    ///
    /// # Errors
    /// Faults of [`PriceRule::new`]; none where the program fits the currency.
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
            Benefit::Percentage(rate) => (ValueType::Percentage, rate.get()),
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

/// What was bought for how many points, in one sentence.
impl fmt::Display for Issuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} points for {}: {}", self.points, self.name, self.benefit)?;
        match self.ends_at {
            Some(end) => write!(f, ", to be used before {end}."),
            None => f.write_str("."),
        }
    }
}

/// One redemption, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Redemption {
    issue: Arc<Issuance>,
    state: RedemptionState,
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    ends_at: Option<Timestamp>,
    /// What is taken for it now.
    #[cfg_attr(feature = "json", serde(rename = "taken"))]
    payment: RedemptionPayment,
    /// Limits count it.
    #[cfg_attr(feature = "json", serde(rename = "counted"))]
    counts_toward_limits: bool,
}

/// How far a redemption has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum RedemptionState {
    /// It can be used.
    Issued,
    /// It was used.
    Used {
        /// By this order, where it was one.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// When that became known.
        at: Timestamp,
    },
    /// It was cancelled, and its points came back.
    Cancelled {
        /// With this order that had used it, where there was one.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// When.
        at: Timestamp,
    },
    /// It ended unused.
    Expired {
        /// When.
        at: Timestamp,
        /// Whether its points came back.
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

/// Points that are taken for a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RedemptionPayment {
    /// From lots: of each what was taken, with its end.
    pub parts: Vec<Lot>,
    /// Taken as debt: a redemption whose points had come back was used after all.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub debt: Points,
    /// When.
    pub at: Timestamp,
}

impl RedemptionPayment {
    /// How many.
    pub fn points(&self) -> Points {
        self.parts
            .iter()
            .fold(self.debt, |sum, part| sum.saturating_add(part.points))
    }
}

/// Points of a redemption that came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RedemptionReturn {
    /// Into lots, which are there again or grow.
    pub lots: Vec<Lot>,
    /// Paid off debt.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub paid: Points,
}

impl RedemptionReturn {
    /// How many.
    pub fn points(&self) -> Points {
        self.lots
            .iter()
            .fold(self.paid, |sum, lot| sum.saturating_add(lot.points))
    }
}

/// What came back, and until when it can be used, in one sentence.
impl fmt::Display for RedemptionReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} points came back", self.points())?;
        let mut between = ": ";
        if !self.paid.is_zero() {
            write!(f, "{between}{} paid off debt", self.paid)?;
            between = ", ";
        }
        for lot in &self.lots {
            write!(f, "{between}{}", lot.points)?;
            match lot.expires_at {
                Some(end) => write!(f, " to be used before {end}")?,
                None => f.write_str(" without an end")?,
            }
            between = ", ";
        }
        f.write_str(".")
    }
}

/// What limits have counted, and get back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CountedUsage {
    /// The reward.
    pub reward: RewardId,
    /// The shop's day on which it was counted.
    pub day: NaiveDate,
    /// How many points it cost.
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
            counts_toward_limits: true,
            issue,
        }
    }

    /// What was exchanged.
    pub fn issue(&self) -> &Issuance {
        &self.issue
    }

    /// How far it has come, as far as that is written down.
    pub fn state(&self) -> &RedemptionState {
        &self.state
    }

    /// From when on it can no longer be used. Later than at its issue where a cancelled order gave it back.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// What is taken for it now; nothing where its points came back.
    pub fn payment(&self) -> &RedemptionPayment {
        &self.payment
    }

    /// How far it has come at `now`: right without any job having written down that it ended.
    pub fn state_at(&self, now: Timestamp) -> RedemptionState {
        match (&self.state, self.ends_at) {
            (RedemptionState::Issued, Some(at)) if at <= now => {
                RedemptionState::Expired { at, points_back: self.issue.points_back_when_expired }
            }
            (state, _) => state.clone(),
        }
    }

    /// What limits get back where its points do.
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

    /// Marks it as used. `payment` is what is charged again, if its points had been returned.
    pub(crate) fn mark_used(
        &mut self,
        order: Option<&OrderId>,
        payment: Option<&RedemptionPayment>,
        at: Timestamp,
    ) {
        self.state = RedemptionState::Used { order: order.cloned(), at };
        if let Some(payment) = payment {
            self.payment = payment.clone();
        }
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
