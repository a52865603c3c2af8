//! The types of outgoing events, and which of them an entry of the journal has.
//!
//! Each account numbers its outgoing events. So a change of which events leave for an
//! [`Event`] of old rows changes their numbers: it needs a new format of the journal.

use std::borrow::Cow;

use loyalty_core::{AwardReason, Event, LotCredit, PublicationStatus, TierReason};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The type of an outgoing event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutgoingKind {
    /// A store refused a redemption's code, or did not answer for days.
    CodePublishFailed,
    /// A store has a redemption's code: it can be used at its checkout.
    CodePublished,
    /// A store no longer has a redemption's code.
    CodeWithdrawn,
    /// A customer, or a guest known by e-mail, is new.
    CustomerCreated,
    /// The customer was erased, and nothing else will come about them.
    CustomerErased,
    /// Another customer was merged into this one.
    CustomerMerged,
    /// The profile changed.
    CustomerUpdated,
    /// A goal of the program was reached.
    GoalReached,
    /// Points were added or subtracted by the shop, or came back or left with an account.
    PointsAdjusted,
    /// Points were earned and can be used.
    PointsEarned,
    /// Points expired unspent.
    PointsExpired,
    /// Points were earned, and can be used later.
    PointsPending,
    /// Pending points can be used.
    PointsReleased,
    /// Points were paid for a reward.
    PointsSpent,
    /// Points were taken back: what earned them was undone.
    PointsTakenBack,
    /// A version of the program was published.
    ProgramPublished,
    /// A redemption was cancelled.
    RedemptionCancelled,
    /// A redemption expired unused.
    RedemptionExpired,
    /// A redemption was issued.
    RedemptionIssued,
    /// Goods paid with a redemption came back, and with them a part of its points.
    RedemptionRefunded,
    /// The order that had used a redemption was cancelled: it can be used again.
    RedemptionReopened,
    /// A redemption was used.
    RedemptionUsed,
    /// The customer's order completed a referral.
    ReferralCompleted,
    /// The customer was referred.
    ReferralJoined,
    /// The order that completed a referral no longer qualifies.
    ReferralUndone,
    /// The customer no longer qualifies for the tier, and keeps it until an instant.
    TierEndingSoon,
    /// The customer left a tier.
    TierLost,
    /// The customer entered a tier.
    TierReached,
}

impl OutgoingKind {
    /// All types, in the order of their names.
    pub const ALL: [Self; 28] = [
        Self::CodePublishFailed,
        Self::CodePublished,
        Self::CodeWithdrawn,
        Self::CustomerCreated,
        Self::CustomerErased,
        Self::CustomerMerged,
        Self::CustomerUpdated,
        Self::GoalReached,
        Self::PointsAdjusted,
        Self::PointsEarned,
        Self::PointsExpired,
        Self::PointsPending,
        Self::PointsReleased,
        Self::PointsSpent,
        Self::PointsTakenBack,
        Self::ProgramPublished,
        Self::RedemptionCancelled,
        Self::RedemptionExpired,
        Self::RedemptionIssued,
        Self::RedemptionRefunded,
        Self::RedemptionReopened,
        Self::RedemptionUsed,
        Self::ReferralCompleted,
        Self::ReferralJoined,
        Self::ReferralUndone,
        Self::TierEndingSoon,
        Self::TierLost,
        Self::TierReached,
    ];

    /// Returns the stable name, such as `points.earned`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CodePublishFailed => "code.publish_failed",
            Self::CodePublished => "code.published",
            Self::CodeWithdrawn => "code.withdrawn",
            Self::CustomerCreated => "customer.created",
            Self::CustomerErased => "customer.erased",
            Self::CustomerMerged => "customer.merged",
            Self::CustomerUpdated => "customer.updated",
            Self::GoalReached => "goal.reached",
            Self::PointsAdjusted => "points.adjusted",
            Self::PointsEarned => "points.earned",
            Self::PointsExpired => "points.expired",
            Self::PointsPending => "points.pending",
            Self::PointsReleased => "points.released",
            Self::PointsSpent => "points.spent",
            Self::PointsTakenBack => "points.taken_back",
            Self::ProgramPublished => "program.published",
            Self::RedemptionCancelled => "redemption.cancelled",
            Self::RedemptionExpired => "redemption.expired",
            Self::RedemptionIssued => "redemption.issued",
            Self::RedemptionRefunded => "redemption.refunded",
            Self::RedemptionReopened => "redemption.reopened",
            Self::RedemptionUsed => "redemption.used",
            Self::ReferralCompleted => "referral.completed",
            Self::ReferralJoined => "referral.joined",
            Self::ReferralUndone => "referral.undone",
            Self::TierEndingSoon => "tier.ending_soon",
            Self::TierLost => "tier.lost",
            Self::TierReached => "tier.reached",
        }
    }

    /// Returns the type with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Serialize for OutgoingKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for OutgoingKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = <Cow<'de, str>>::deserialize(from)?;
        Self::from_name(&name)
            .ok_or_else(|| D::Error::custom(format_args!("no type of events: {name}")))
    }
}

/// Returns the number of outgoing events of a row.
pub(crate) fn count_outgoing(events: &[Event]) -> i64 {
    events.iter().fold(0_i64, |count, event| {
        let (first, second) = kinds(event);
        let both = i64::from(first.is_some()).saturating_add(second.is_some().into());
        count.saturating_add(both)
    })
}

/// Returns the types of the outgoing events of an entry: none, one or two.
pub(crate) fn kinds(event: &Event) -> (Option<OutgoingKind>, Option<OutgoingKind>) {
    use OutgoingKind as Kind;
    let kind = match event {
        // A gift alone brings no points.
        Event::AwardGiven { points, award, lot, .. } => {
            let is_goal = matches!(award.reason, AwardReason::Goal { .. });
            let points = (!points.is_zero()).then(|| kind_of_credit(lot.as_ref()));
            return if is_goal { (Some(Kind::GoalReached), points) } else { (points, None) };
        }
        Event::RewardRedeemed { issue } => {
            let spent = (!issue.points.is_zero()).then_some(Kind::PointsSpent);
            return (Some(Kind::RedemptionIssued), spent);
        }
        Event::AccountAbsorbed(_) => Kind::CustomerMerged,
        Event::AccountErased { .. } => Kind::CustomerErased,
        Event::AccountReopened { .. }
        | Event::ClaimUndone(_)
        | Event::PointsAdded { .. }
        | Event::PointsSubtracted { .. } => Kind::PointsAdjusted,
        Event::AwardTakenBack { .. } | Event::PointsTakenBack { .. } => Kind::PointsTakenBack,
        Event::CustomerAdded => Kind::CustomerCreated,
        Event::CustomerUpdated { .. } => Kind::CustomerUpdated,
        Event::PointsAwarded { lot, .. } => kind_of_credit(lot.as_ref()),
        Event::PointsExpired { .. } => Kind::PointsExpired,
        Event::PointsReleased { .. } => Kind::PointsReleased,
        Event::ProgramPublished { .. } => Kind::ProgramPublished,
        Event::PublicationRecorded { publication, .. } => match publication.status {
            PublicationStatus::Failed { .. } => Kind::CodePublishFailed,
            PublicationStatus::Published { .. } => Kind::CodePublished,
            PublicationStatus::Withdrawn => Kind::CodeWithdrawn,
        },
        Event::RedemptionCancelled { .. } => Kind::RedemptionCancelled,
        Event::RedemptionExpired { .. } => Kind::RedemptionExpired,
        Event::RedemptionRefunded { .. } => Kind::RedemptionRefunded,
        Event::RedemptionReopened { .. } => Kind::RedemptionReopened,
        Event::RedemptionUsed { .. } => Kind::RedemptionUsed,
        Event::ReferralCompleted { .. } => Kind::ReferralCompleted,
        Event::ReferralJoined { .. } => Kind::ReferralJoined,
        Event::ReferralUndone { .. } => Kind::ReferralUndone,
        Event::TierChanged { change } => match change.reason {
            TierReason::Qualified => Kind::TierReached,
            TierReason::Lapsed | TierReason::Refunded | TierReason::Removed => Kind::TierLost,
        },
        Event::TierLapsed { .. } => Kind::TierEndingSoon,
        Event::TierSet { tier: Some(_), .. } => Kind::TierReached,
        Event::TierSet { tier: None, .. } => Kind::TierLost,
        Event::AccountMerged { .. }
        | Event::Discount(_)
        | Event::GiftUndone { .. }
        | Event::OrderCancelled { .. }
        | Event::OrderClosed { .. }
        | Event::OrderCounted { .. }
        | Event::OrderNamedGuest { .. }
        | Event::OrderPinned { .. }
        | Event::OrderRecorded { .. }
        | Event::OrderRefunded { .. }
        | Event::ReferralCodeIssued { .. }
        | Event::TierRetained { .. } => return (None, None),
    };
    (Some(kind), None)
}

/// Returns the type for points that a lot was credited with.
fn kind_of_credit(lot: Option<&LotCredit>) -> OutgoingKind {
    let is_pending = lot.is_some_and(|lot| lot.pending_until.is_some());
    if is_pending { OutgoingKind::PointsPending } else { OutgoingKind::PointsEarned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_of_its_own() {
        for kind in OutgoingKind::ALL {
            assert_eq!(OutgoingKind::from_name(kind.name()), Some(kind));
        }
        assert!(OutgoingKind::ALL.is_sorted_by_key(|kind| kind.name()));
        assert_eq!(OutgoingKind::from_name("points"), None);
    }
}
