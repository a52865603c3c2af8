//! The rules said no.

use crate::amount::{Amount, Points};
use crate::award::Limit;
use crate::calendar::CalendarError;
use crate::exact::Overflow;
use crate::id::{ActionId, LineId, OrderId, RefundId, RewardId, TierId};
use crate::order::{OrderError, Quantity};
use crate::referral::ReferralRejection;

/// Why the rules refuse a command. Nothing has changed. The text helps whoever sent it; [`Self::code`]
/// is stable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The customer's tags or tier, or the time, are not those of the action.
    #[error("action {action} is not available to this customer now")]
    ActionNotOpen {
        /// The action.
        action: ActionId,
    },
    /// More points than are available.
    #[error("{need} points are needed, but only {have} are available")]
    InsufficientPoints {
        /// What is available.
        have: Points,
        /// What was asked for.
        need: Points,
    },
    /// An amount that the reward does not offer.
    #[error("the amount must be {expected}")]
    InvalidAmount {
        /// What it offers.
        expected: String,
    },
    /// The snapshot contradicts itself.
    #[error(transparent)]
    InvalidOrder(#[from] OrderError),
    /// A number of points that makes no sense for the command.
    #[error("the number of points must be {expected}")]
    InvalidPoints {
        /// What would make sense.
        expected: &'static str,
    },
    /// The customer has had all that an action pays.
    #[error("action {action} is limited to {limit}")]
    LimitReached {
        /// The action.
        action: ActionId,
        /// The limit.
        limit: Limit,
    },
    /// Other points than the program's, where it does not allow that.
    #[error("action {action} does not accept a number of points")]
    NoPointsOverride {
        /// The action.
        action: ActionId,
    },
    /// Amounts or times that cannot be counted with.
    #[error("the amounts or times are too large to be calculated exactly")]
    OutOfRange,
    /// A balance beyond what points can hold.
    #[error("the balance would be outside the range of {} to {} points", Points::MIN, Points::MAX)]
    PointsOutOfRange,
    /// A redemption that was used, cancelled or has ended.
    #[error("the redemption is {state}")]
    RedemptionNotOpen {
        /// The name of its state.
        state: &'static str,
    },
    /// Somebody cannot be brought by somebody.
    #[error("the referral was rejected: {reason}")]
    ReferralRejected {
        /// Why.
        reason: ReferralRejection,
    },
    /// The program has no referrals.
    #[error("the program has no referrals")]
    ReferralsDisabled,
    /// The same refund with other content.
    #[error("refund {refund} of order {order} was already reported with different content")]
    RefundDiffers {
        /// The order.
        order: OrderId,
        /// The refund.
        refund: RefundId,
    },
    /// More units than the line has.
    #[error("refunds of line {line} would exceed its quantity of {quantity}")]
    RefundExceedsLine {
        /// The line.
        line: LineId,
        /// Its quantity.
        quantity: Quantity,
    },
    /// More money than is left of the order.
    #[error("only {left} of the order total of {total} can still be refunded")]
    RefundExceedsOrder {
        /// What is left.
        left: Amount,
        /// The order's total.
        total: Amount,
    },
    /// The customer has had all that one customer can have.
    #[error("reward {reward} is limited to {limit} for each customer")]
    RewardLimitReached {
        /// The reward.
        reward: RewardId,
        /// The limit.
        limit: Limit,
    },
    /// A reward for customers of other tags or tiers.
    #[error("reward {reward} is not available to this customer")]
    RewardNotForCustomer {
        /// The reward.
        reward: RewardId,
    },
    /// A reward that begins later, or is over.
    #[error("reward {reward} is not available now")]
    RewardNotOpen {
        /// The reward.
        reward: RewardId,
    },
    /// All customers together have had all that there is.
    #[error("reward {reward} is limited to {limit} for all customers together")]
    RewardSoldOut {
        /// The reward.
        reward: RewardId,
        /// The limit.
        limit: Limit,
    },
    /// A reward whose amounts are finer than the shop's currency.
    #[error("reward {reward} has amounts with more decimals than the shop's currency")]
    RewardTooFine {
        /// The reward.
        reward: RewardId,
    },
    /// An action that the program does not have, or that is not the shop's to tell.
    #[error("action {action} is unknown or cannot be reported")]
    UnknownAction {
        /// The action.
        action: ActionId,
    },
    /// A code that this customer cannot use, for whatever reason.
    #[error("this code cannot be used")]
    UnknownCode,
    /// A line that the order does not have.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// The line.
        line: LineId,
    },
    /// No such redemption, or another customer's.
    #[error("the customer has no such redemption")]
    UnknownRedemption,
    /// A reward that the program does not have.
    #[error("the program has no reward {reward}")]
    UnknownReward {
        /// The reward.
        reward: RewardId,
    },
    /// A tier that the program does not have.
    #[error("the program has no tier {tier}")]
    UnknownTier {
        /// The tier.
        tier: TierId,
    },
}

impl Rejection {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ActionNotOpen { .. } => "action_not_open",
            Self::InsufficientPoints { .. } => "insufficient_points",
            Self::InvalidAmount { .. } => "invalid_amount",
            Self::InvalidOrder(OrderError::DuplicateLine(_)) => "duplicate_line",
            Self::InvalidOrder(OrderError::RedeemedBeyondTotal { .. }) => "redeemed_beyond_total",
            Self::InvalidOrder(OrderError::TooLarge) => "order_too_large",
            Self::InvalidOrder(OrderError::TotalsDisagree { .. }) => "totals_disagree",
            Self::InvalidPoints { .. } => "invalid_points",
            Self::LimitReached { .. } => "limit_reached",
            Self::NoPointsOverride { .. } => "no_points_override",
            Self::OutOfRange => "out_of_range",
            Self::PointsOutOfRange => "points_out_of_range",
            Self::RedemptionNotOpen { .. } => "redemption_not_open",
            Self::ReferralRejected { .. } => "referral_refused",
            Self::ReferralsDisabled => "referrals_off",
            Self::RefundDiffers { .. } => "refund_differs",
            Self::RefundExceedsLine { .. } => "refund_exceeds_line",
            Self::RefundExceedsOrder { .. } => "refund_exceeds_order",
            Self::RewardLimitReached { .. } => "reward_limit_reached",
            Self::RewardNotForCustomer { .. } => "reward_not_for_customer",
            Self::RewardNotOpen { .. } => "reward_not_open",
            Self::RewardSoldOut { .. } => "reward_sold_out",
            Self::RewardTooFine { .. } => "reward_too_fine",
            Self::UnknownAction { .. } => "unknown_action",
            Self::UnknownCode => "unknown_code",
            Self::UnknownLine { .. } => "unknown_line",
            Self::UnknownRedemption => "unknown_redemption",
            Self::UnknownReward { .. } => "unknown_reward",
            Self::UnknownTier { .. } => "unknown_tier",
        }
    }
}

impl From<Overflow> for Rejection {
    fn from(_: Overflow) -> Self {
        Self::OutOfRange
    }
}

impl From<CalendarError> for Rejection {
    fn from(_: CalendarError) -> Self {
        Self::OutOfRange
    }
}
