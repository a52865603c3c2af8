//! What can be asked of the rules.

use std::sync::Arc;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::{Grounds, ManualTier};
use crate::id::OrderId;
use crate::order::{Order, Origin, Refund, Status};

/// One request to the rules, about one account or one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The shop adds points: they apply at once.
    AddPoints {
        /// How many; more than none.
        points: Points,
        /// Why.
        grounds: Grounds,
    },
    /// An order is cancelled.
    CancelOrder {
        /// The order.
        order: OrderId,
        /// The shop's time of it; now, where it says none.
        at: Option<Timestamp>,
    },
    /// An order is closed by its shop. Changes no points.
    CloseOrder {
        /// The order.
        order: OrderId,
        /// The shop's time of it; now, where it says none.
        at: Option<Timestamp>,
    },
    /// An order is reported as it now is.
    RecordOrder {
        /// The order.
        order: OrderId,
        /// What it holds.
        snapshot: Arc<Order>,
        /// How far it has come.
        status: Status,
        /// The shop's time of the report; now, where it says none.
        at: Option<Timestamp>,
        /// What told us.
        origin: Origin,
    },
    /// A refund is reported.
    RefundOrder {
        /// The order.
        order: OrderId,
        /// The refund.
        refund: Refund,
        /// What to do with one that is more than what is left of the order.
        excess: Excess,
        /// The shop's time of it; now, where it says none.
        at: Option<Timestamp>,
    },
    /// The shop sets the balance; the difference is an adjusting entry.
    SetBalance {
        /// To what; not below zero.
        to: Points,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// The shop sets the tier by hand, or ends a tier so set.
    SetTier(Option<ManualTier>),
    /// The shop subtracts points.
    SubtractPoints {
        /// How many; more than none, at most what is available.
        points: Points,
        /// Why.
        grounds: Grounds,
    },
    /// Nothing but writing down what has expired by now.
    WriteExpiry,
}

/// What to do with a refund that is more than what is left of its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excess {
    /// Refuse it: the default.
    #[default]
    Refuse,
    /// Cut it down to what is left. For store plugins, whose refunds have no ids of their own.
    Cut,
}

impl Command {
    /// The order that the command is about.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::CancelOrder { order, .. }
            | Self::CloseOrder { order, .. }
            | Self::RecordOrder { order, .. }
            | Self::RefundOrder { order, .. } => Some(order),
            Self::AddPoints { .. }
            | Self::SetBalance { .. }
            | Self::SetTier(_)
            | Self::SubtractPoints { .. }
            | Self::WriteExpiry => None,
        }
    }
}
