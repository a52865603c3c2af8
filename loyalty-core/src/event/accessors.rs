//! Questions about an event: its order, its points, its instant.

use super::Event;
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{OrderId, RedemptionId, RewardId};

impl Event {
    /// The order that the event is about. A use of a redemption is about one if nothing
    /// else says that they belong together.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::OrderCancelled { order, .. }
            | Self::OrderClosed { order, .. }
            | Self::OrderCounted { order, .. }
            | Self::OrderNamedGuest { order, .. }
            | Self::OrderPinned { order, .. }
            | Self::OrderRecorded { order, .. }
            | Self::OrderRefunded { order, .. }
            | Self::PointsAwarded { order, .. }
            | Self::PointsTakenBack { order, .. } => Some(order),
            Self::PointsExpired { order, .. }
            | Self::PointsReleased { order, .. }
            | Self::RedemptionUsed { order, by_shop: true, .. } => order.as_ref(),
            Self::AccountAbsorbed(_)
            | Self::AccountErased { .. }
            | Self::AccountMerged { .. }
            | Self::AccountReopened { .. }
            | Self::AwardGiven { .. }
            | Self::AwardTakenBack { .. }
            | Self::ClaimUndone(_)
            | Self::CustomerAdded
            | Self::CustomerUpdated { .. }
            | Self::Discount(_)
            | Self::GiftUndone { .. }
            | Self::PointsAdded { .. }
            | Self::PointsSubtracted { .. }
            | Self::ProgramPublished { .. }
            | Self::PublicationRecorded { .. }
            | Self::RedemptionCancelled { .. }
            | Self::RedemptionExpired { .. }
            | Self::RedemptionRefunded { .. }
            | Self::RedemptionReopened { .. }
            | Self::RedemptionUsed { .. }
            | Self::ReferralCodeIssued { .. }
            | Self::ReferralCompleted { .. }
            | Self::ReferralJoined { .. }
            | Self::ReferralUndone { .. }
            | Self::RewardRedeemed { .. }
            | Self::TierChanged { .. }
            | Self::TierLapsed { .. }
            | Self::TierRetained { .. }
            | Self::TierSet { .. } => None,
        }
    }

    /// The redemption that the event is about.
    pub fn redemption(&self) -> Option<RedemptionId> {
        if let Self::RewardRedeemed { issue } = self {
            return Some(issue.id);
        }
        if let Self::RedemptionReopened { redemption, .. } = self {
            return Some(redemption.issue().id);
        }
        if let Self::PublicationRecorded { redemption, .. }
        | Self::RedemptionCancelled { redemption, .. }
        | Self::RedemptionExpired { redemption, .. }
        | Self::RedemptionRefunded { redemption, .. }
        | Self::RedemptionUsed { redemption, .. } = self
        {
            return Some(*redemption);
        }
        None
    }

    /// The reward whose limits the event counts for, or is taken off. A gift counts for none.
    pub fn reward(&self) -> Option<&RewardId> {
        if let Self::RewardRedeemed { issue } = self {
            return Some(&issue.reward).filter(|_| issue.cause.is_none());
        }
        if let Self::RedemptionCancelled { counted_usage, .. }
        | Self::RedemptionExpired { counted_usage, .. }
        | Self::RedemptionRefunded { counted_usage, .. } = self
        {
            return counted_usage.as_ref().map(|usage| &usage.reward);
        }
        None
    }

    /// The change of the balance.
    pub fn points(&self) -> Points {
        self.points_delta().available
    }

    /// The change of the pending points.
    pub fn pending_points(&self) -> Points {
        self.points_delta().pending
    }

    fn points_delta(&self) -> PointsDelta {
        match self {
            Self::AccountAbsorbed(absorption) => {
                PointsDelta { available: absorption.points, pending: absorption.pending() }
            }
            Self::AccountReopened { points, pending, .. } => {
                PointsDelta { available: *points, pending: *pending }
            }
            Self::ClaimUndone(undone) => PointsDelta {
                available: undone.points.negated(),
                pending: undone.pending.negated(),
            },
            Self::AccountErased { points, pending, .. }
            | Self::AccountMerged { points, pending, .. } => {
                PointsDelta { available: points.negated(), pending: pending.negated() }
            }
            Self::AwardGiven { points, lot, .. }
            | Self::PointsAdded { points, lot, .. }
            | Self::PointsAwarded { points, lot, .. } => PointsDelta::new(
                *points,
                lot.as_ref().is_some_and(|part| part.pending_until.is_some()),
            ),
            Self::AwardTakenBack { clawback, .. } | Self::PointsTakenBack { clawback, .. } => {
                PointsDelta {
                    available: clawback.from_balance().negated(),
                    pending: clawback.from_pending().negated(),
                }
            }
            Self::PointsExpired { points, pending, .. } => {
                PointsDelta::new(points.negated(), *pending)
            }
            Self::PointsReleased { points, .. } => {
                PointsDelta { available: *points, pending: points.negated() }
            }
            Self::PointsSubtracted { lots, .. } => PointsDelta::available(
                lots.iter()
                    .fold(Points::ZERO, |sum, (_, points)| sum.saturating_sub(*points)),
            ),
            Self::RedemptionCancelled { returned, .. }
            | Self::RedemptionRefunded { returned, .. } => {
                PointsDelta::available(returned.points())
            }
            Self::RedemptionExpired { returned, .. } => PointsDelta::available(
                returned.as_ref().map_or(Points::ZERO, |returned| returned.points()),
            ),
            Self::RedemptionUsed { payment, .. } => PointsDelta::available(
                payment
                    .as_ref()
                    .map_or(Points::ZERO, |payment| payment.points().negated()),
            ),
            Self::RewardRedeemed { issue } => PointsDelta::available(issue.points.negated()),
            Self::CustomerAdded
            | Self::CustomerUpdated { .. }
            | Self::Discount(_)
            | Self::GiftUndone { .. }
            | Self::OrderCancelled { .. }
            | Self::OrderClosed { .. }
            | Self::OrderCounted { .. }
            | Self::OrderNamedGuest { .. }
            | Self::OrderPinned { .. }
            | Self::OrderRecorded { .. }
            | Self::OrderRefunded { .. }
            | Self::ProgramPublished { .. }
            | Self::PublicationRecorded { .. }
            | Self::RedemptionReopened { .. }
            | Self::ReferralCodeIssued { .. }
            | Self::ReferralCompleted { .. }
            | Self::ReferralJoined { .. }
            | Self::ReferralUndone { .. }
            | Self::TierChanged { .. }
            | Self::TierLapsed { .. }
            | Self::TierRetained { .. }
            | Self::TierSet { .. } => PointsDelta::default(),
        }
    }

    /// The instant of the event on the account. `None` for facts of orders, which have
    /// the shop's times, and for some events of old journals.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::AccountAbsorbed(absorption) => absorption.at,
            Self::ClaimUndone(undone) => Some(undone.at),
            Self::PointsAdded { at, .. }
            | Self::PointsAwarded { at, .. }
            | Self::PointsSubtracted { at, .. }
            | Self::PointsTakenBack { at, .. }
            | Self::TierSet { at, .. } => *at,
            Self::AccountErased { at, .. }
            | Self::AccountReopened { at, .. }
            | Self::CustomerUpdated { at }
            | Self::ProgramPublished { at, .. }
            | Self::AwardGiven { at, .. }
            | Self::AwardTakenBack { at, .. }
            | Self::GiftUndone { at, .. }
            | Self::RedemptionCancelled { at, .. }
            | Self::RedemptionExpired { at, .. }
            | Self::RedemptionRefunded { at, .. }
            | Self::RedemptionReopened { at, .. }
            | Self::RedemptionUsed { at, .. }
            | Self::ReferralCodeIssued { at, .. }
            | Self::ReferralCompleted { at, .. }
            | Self::ReferralJoined { at, .. }
            | Self::ReferralUndone { at, .. }
            | Self::OrderCounted { at, .. }
            | Self::OrderNamedGuest { at, .. }
            | Self::TierLapsed { at, .. }
            | Self::TierRetained { at, .. } => Some(*at),
            Self::PointsExpired { expired_at, .. } => Some(*expired_at),
            Self::PointsReleased { released_at, .. } => Some(*released_at),
            Self::PublicationRecorded { publication, .. } => Some(publication.at),
            Self::RewardRedeemed { issue } => Some(issue.at),
            Self::TierChanged { change } => Some(change.at),
            Self::AccountMerged { .. }
            | Self::CustomerAdded
            | Self::Discount(_)
            | Self::OrderCancelled { .. }
            | Self::OrderClosed { .. }
            | Self::OrderPinned { .. }
            | Self::OrderRecorded { .. }
            | Self::OrderRefunded { .. } => None,
        }
    }
}

/// The change of an account's points.
#[derive(Default)]
struct PointsDelta {
    available: Points,
    pending: Points,
}

impl PointsDelta {
    fn available(points: Points) -> Self {
        Self { available: points, pending: Points::ZERO }
    }

    fn new(points: Points, pending: bool) -> Self {
        if pending {
            Self { available: Points::ZERO, pending: points }
        } else {
            Self::available(points)
        }
    }
}
