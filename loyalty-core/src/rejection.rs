//! Rejections: the results of commands that the rules do not allow.

use crate::amount::{Amount, Currency, Points, Rate};
use crate::calendar::CalendarError;
use crate::exact::Overflow;
use crate::figures::{CountedNoun, GroupedNumber};
use crate::id::{ActionId, LineId, OrderId, RefundId, RewardId, TierId};
use crate::limit::Limit;
use crate::order::{OrderError, Quantity};
use crate::referral::ReferralRejection;

/// The reason for which the rules reject a command. Nothing has changed.
///
/// The text is for people; [`Self::code`] is stable, for machines.
///
/// # Example: a text and a stable code
/// ```
/// use loyalty_core::{Points, Rejection};
/// let rejection = Rejection::InsufficientPoints { have: Points::from(20), need: Points::from(50) };
/// assert_eq!(rejection.to_string(), "50 points are needed, but only 20 are available");
/// assert_eq!(rejection.code(), "insufficient_points");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The customer of the account was erased.
    #[error("the customer was erased")]
    AccountErased,
    /// The customer's tags or tier, or the time, do not meet the conditions of the
    /// action.
    #[error("action {action} is not available to this customer now")]
    ActionNotOpen {
        /// The action.
        action: ActionId,
    },
    /// Points that the merge brought are no longer complete.
    #[error("points of the claim have since been spent, taken back or used to pay off debt")]
    ClaimSpent,
    /// The refund's currency is neither the shop's nor that of its order.
    #[error("the refund's currency is neither the shop's nor the order's")]
    CurrencyMismatch,
    /// The order came in another currency than the shop's, and the refund names none.
    #[error("the order is in {}: the refund must name its currency", order.code())]
    CurrencyRequired {
        /// The currency of the order.
        order: Currency,
    },
    /// An import brings points that would have expired by now.
    #[error("the points have expired by now")]
    ImportedPointsExpired,
    /// An import brings points that are earned in the future.
    #[error("the points would be earned in the future")]
    ImportedPointsInFuture,
    /// The available points are not enough.
    #[error(
        "{} needed, but only {} available",
        CountedNoun::new(need, "point is", "points are"),
        CountedNoun::new(have, "is", "are")
    )]
    InsufficientPoints {
        /// Available points.
        have: Points,
        /// Requested points.
        need: Points,
    },
    /// The reward does not offer this amount.
    #[error("the amount must be {expected}")]
    InvalidAmount {
        /// The amounts on offer, in words.
        expected: String,
    },
    /// The snapshot of the order is inconsistent.
    #[error(transparent)]
    InvalidOrder(#[from] OrderError),
    /// The command does not accept this number of points.
    #[error("the number of points must be {expected}")]
    InvalidPoints {
        /// The accepted numbers, in words.
        expected: &'static str,
    },
    /// The customer has reached a limit of the action.
    #[error("action {action} is limited to {limit}")]
    LimitReached {
        /// The action.
        action: ActionId,
        /// The limit.
        limit: Limit,
    },
    /// The reward would pay more of the order than its share.
    #[error("at most {share}% of the goods, {maximum}, can be paid with points")]
    MaximumShareExceeded {
        /// The share in percent.
        share: Rate,
        /// The same as an amount of the shop's currency.
        maximum: Amount,
    },
    /// The action does not allow another number of points than the program's.
    #[error("action {action} does not accept a number of points")]
    NoPointsOverride {
        /// The action.
        action: ActionId,
    },
    /// The context's order is not the order of the command.
    #[error("the context's order is not order {order}")]
    OrderMismatch {
        /// The command's order.
        order: OrderId,
    },
    /// The amounts overflow exact arithmetic, or a time is outside of the calendar.
    #[error("the amounts or times are too large to be calculated exactly")]
    OutOfRange,
    /// The balance would be out of the range of [`Points`].
    #[error(
        "the balance would be outside the range of {} to {} points",
        GroupedNumber(Points::MIN),
        GroupedNumber(Points::MAX)
    )]
    PointsOutOfRange,
    /// The redemption was used or cancelled, or has expired.
    #[error("the redemption is {state}")]
    RedemptionNotOpen {
        /// Name of its state.
        state: &'static str,
    },
    /// The referrer may not refer the referee.
    #[error("the referral was rejected: {reason}")]
    ReferralRejected {
        /// Reason of the rejection.
        reason: ReferralRejection,
    },
    /// The program has no referrals.
    #[error("the program has no referrals")]
    ReferralsDisabled,
    /// A refund of this id was reported before, with different content.
    #[error("refund {refund} of order {order} was already reported with different content")]
    RefundDiffers {
        /// The order.
        order: OrderId,
        /// The refund.
        refund: RefundId,
    },
    /// Refunds of the line exceed its quantity.
    #[error("refunds of line {line} would exceed its quantity of {}", GroupedNumber(quantity))]
    RefundExceedsLine {
        /// The line.
        line: LineId,
        /// Quantity of the line.
        quantity: Quantity,
    },
    /// The refund exceeds the part of the order that can still be refunded.
    #[error(
        "only {} of the order total of {} can still be refunded",
        GroupedNumber(left),
        GroupedNumber(total)
    )]
    RefundExceedsOrder {
        /// Amount that can still be refunded.
        left: Amount,
        /// The order's total.
        total: Amount,
    },
    /// The customer has reached a limit of the reward.
    #[error("reward {reward} is limited to {limit} for each customer")]
    RewardLimitReached {
        /// The reward.
        reward: RewardId,
        /// The limit.
        limit: Limit,
    },
    /// The customer's tags or tier do not meet the conditions of the reward.
    #[error("reward {reward} is not available to this customer")]
    RewardNotForCustomer {
        /// The reward.
        reward: RewardId,
    },
    /// The reward is not yet, or no longer, available.
    #[error("reward {reward} is not available now")]
    RewardNotOpen {
        /// The reward.
        reward: RewardId,
    },
    /// All customers together have reached a limit of the reward.
    #[error("reward {reward} is limited to {limit} for all customers together")]
    RewardSoldOut {
        /// The reward.
        reward: RewardId,
        /// The limit.
        limit: Limit,
    },
    /// The amounts of the reward have more decimals than the shop's currency.
    #[error("reward {reward} has amounts with more decimals than the shop's currency")]
    RewardTooFine {
        /// The reward.
        reward: RewardId,
    },
    /// The refunds of the order would have more lines than an order can have refunded.
    #[error("the refunds of an order can have at most {} lines together", GroupedNumber(limit))]
    TooManyRefundLines {
        /// The largest number of lines of all refunds; one by amount counts as a line.
        limit: usize,
    },
    /// The program has no such action, or it is none that the shop reports.
    #[error("action {action} is unknown or cannot be reported")]
    UnknownAction {
        /// The action.
        action: ActionId,
    },
    /// No action of the program has the code. Its text and its code are those of
    /// [`Rejection::UnusableCode`], so that nobody learns which codes exist.
    #[error("this code cannot be used")]
    UnknownCode,
    /// The order has no such line.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// The line.
        line: LineId,
    },
    /// There is no such redemption, or it is another customer's.
    #[error("the customer has no such redemption")]
    UnknownRedemption,
    /// The program has no such reward.
    #[error("the program has no reward {reward}")]
    UnknownReward {
        /// The reward.
        reward: RewardId,
    },
    /// The program has no such tier.
    #[error("the program has no tier {tier}")]
    UnknownTier {
        /// The tier.
        tier: TierId,
    },
    /// The customer cannot use the code of an action. The reason is not disclosed.
    #[error("this code cannot be used")]
    UnusableCode,
}

impl Rejection {
    /// The stable code of the rejection.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AccountErased => "customer_erased",
            Self::ActionNotOpen { .. } => "action_not_open",
            Self::ClaimSpent => "claim_spent",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::CurrencyRequired { .. } => "currency_required",
            Self::ImportedPointsExpired => "points_expired",
            Self::ImportedPointsInFuture => "points_in_future",
            Self::InsufficientPoints { .. } => "insufficient_points",
            Self::InvalidAmount { .. } => "invalid_amount",
            Self::InvalidOrder(OrderError::DuplicateLine(_)) => "duplicate_line",
            Self::InvalidOrder(OrderError::RedeemedBeyondTotal { .. }) => "redeemed_beyond_total",
            Self::InvalidOrder(OrderError::TooLarge) => "order_too_large",
            Self::InvalidOrder(OrderError::TotalsDisagree { .. }) => "totals_disagree",
            Self::InvalidPoints { .. } => "invalid_points",
            Self::LimitReached { .. } => "limit_reached",
            Self::MaximumShareExceeded { .. } => "maximum_share_exceeded",
            Self::NoPointsOverride { .. } => "no_points_override",
            Self::OrderMismatch { .. } => "order_mismatch",
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
            Self::TooManyRefundLines { .. } => "too_many_refund_lines",
            Self::UnknownAction { .. } => "unknown_action",
            Self::UnknownCode | Self::UnusableCode => "unknown_code",
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
