//! Journal events: what happened, for ever. State is a fold of them.
//!
//! [`Event`] is exhaustive on purpose: a new event breaks every `match` that does not handle it.

use std::sync::Arc;

use crate::account::Lot;
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::discount::DiscountEvent;
use crate::explain::Reckoning;
use crate::id::{AccountId, ActionId, LotId, OrderId, TierId};
use crate::order::{Order, Origin, Pin, Refund, Status};

/// One thing that happened to one account or one order. Holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Event {
    /// Another account was merged into this one, which takes over its lots and its debt.
    AccountAbsorbed {
        /// The account that is no more.
        from: AccountId,
        /// What of its lots is left after paying this account's debt, with their ids here.
        lots: Vec<Lot>,
        /// What this account's lots paid of the other's debt.
        paid: Vec<(LotId, Points)>,
        /// What is still owed.
        debt: Points,
        /// What the other's balance was.
        points: Points,
        /// The other's tier, where this account has none.
        tier: Option<ManualTier>,
    },
    /// This account was merged into another one and holds nothing any more.
    AccountMerged {
        /// Where everything went.
        into: AccountId,
        /// What the balance was.
        points: Points,
    },
    /// A customer, or a guest known by e-mail, got an account.
    CustomerAdded,
    /// Something happened to a price rule or a discount code. Changes neither points nor orders.
    Discount(DiscountEvent),
    /// An order was cancelled.
    OrderCancelled {
        /// The order.
        order: OrderId,
        /// The shop's time of it, else the receipt's.
        at: Timestamp,
    },
    /// An order was closed (archived) by its shop. Changes no points.
    OrderClosed {
        /// The order.
        order: OrderId,
        /// The shop's time of it, else the receipt's.
        at: Timestamp,
    },
    /// An order passed the gate: what it earns under is settled for good.
    OrderPinned {
        /// The order.
        order: OrderId,
        /// What stays as it was.
        pin: Pin,
    },
    /// A shop reported an order.
    OrderRecorded {
        /// The order.
        order: OrderId,
        /// What it holds, where that is the latest known and differs from what was known.
        snapshot: Option<Arc<Order>>,
        /// How far it has come.
        status: Status,
        /// The shop's time of it, else the receipt's.
        at: Timestamp,
        /// What told us.
        origin: Origin,
    },
    /// A shop reported a refund.
    OrderRefunded {
        /// The order.
        order: OrderId,
        /// The refund.
        refund: Refund,
    },
    /// Points were added by the shop, or the balance was set higher.
    PointsAdded {
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotPart>,
        /// Why.
        grounds: Grounds,
    },
    /// An order earned points.
    PointsAwarded {
        /// The order.
        order: OrderId,
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotPart>,
        /// How the number came about.
        reckoning: Arc<Reckoning>,
    },
    /// Points of a lot ran out of time unspent.
    PointsExpired {
        /// The lot.
        lot: LotId,
        /// How many.
        points: Points,
        /// The order that had earned them.
        order: Option<OrderId>,
        /// The instant from which they were no longer usable.
        expired_at: Timestamp,
    },
    /// Points were subtracted by the shop, or the balance was set lower.
    PointsSubtracted {
        /// From which lots.
        lots: Vec<(LotId, Points)>,
        /// Why.
        grounds: Grounds,
    },
    /// An order is worth less than was awarded for it.
    PointsTakenBack {
        /// The order.
        order: OrderId,
        /// Where the points were taken from.
        taking: Taking,
        /// How the number came about.
        reckoning: Arc<Reckoning>,
    },
    /// The tier was set by hand.
    TierSet {
        /// The tier; none ends one that was set before.
        tier: Option<ManualTier>,
    },
}

/// Points that went into a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LotPart {
    /// The lot; one that exists already grows.
    pub id: LotId,
    /// How many points went in, after paying off debt.
    pub points: Points,
    /// When they count as earned.
    pub earned_at: Timestamp,
    /// From when on they are no longer usable.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub expires_at: Option<Timestamp>,
}

/// Where points that are taken back come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Taking {
    /// From lots: the order's own first, then in spending order.
    pub lots: Vec<(LotId, Points)>,
    /// Owed from now on.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub debt: Points,
    /// Not taken, since the program stops at zero.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub forgiven: Points,
}

impl Taking {
    /// What is really taken: from lots and as debt.
    pub fn points(&self) -> Points {
        self.lots.iter().fold(self.debt, |sum, (_, points)| sum.saturating_add(*points))
    }
}

/// Why a shop changed a balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Grounds {
    /// The shop's action.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub action: Option<ActionId>,
    /// The shop's words.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub reason: Option<Arc<str>>,
    /// Whether the balance was set to a number rather than changed by one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub adjustment: bool,
}

/// A tier set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ManualTier {
    /// The tier.
    pub id: TierId,
    /// Until when; for good where nothing is said.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

impl Event {
    /// The order that the event is of.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::OrderCancelled { order, .. }
            | Self::OrderClosed { order, .. }
            | Self::OrderPinned { order, .. }
            | Self::OrderRecorded { order, .. }
            | Self::OrderRefunded { order, .. }
            | Self::PointsAwarded { order, .. }
            | Self::PointsTakenBack { order, .. } => Some(order),
            Self::PointsExpired { order, .. } => order.as_ref(),
            Self::AccountAbsorbed { .. }
            | Self::AccountMerged { .. }
            | Self::CustomerAdded
            | Self::Discount(_)
            | Self::PointsAdded { .. }
            | Self::PointsSubtracted { .. }
            | Self::TierSet { .. } => None,
        }
    }

    /// What the event does to the balance of its account.
    pub fn points(&self) -> Points {
        match self {
            Self::AccountAbsorbed { points, .. }
            | Self::PointsAdded { points, .. }
            | Self::PointsAwarded { points, .. } => *points,
            Self::AccountMerged { points, .. } | Self::PointsExpired { points, .. } => points.negated(),
            Self::PointsSubtracted { lots, .. } => {
                lots.iter().fold(Points::ZERO, |sum, (_, points)| sum.saturating_sub(*points))
            }
            Self::PointsTakenBack { taking, .. } => taking.points().negated(),
            Self::CustomerAdded
            | Self::Discount(_)
            | Self::OrderCancelled { .. }
            | Self::OrderClosed { .. }
            | Self::OrderPinned { .. }
            | Self::OrderRecorded { .. }
            | Self::OrderRefunded { .. }
            | Self::TierSet { .. } => Points::ZERO,
        }
    }
}
