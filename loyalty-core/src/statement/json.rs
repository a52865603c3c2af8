//! Reasons of bonuses as members of a statement.

use serde::Serialize;

use crate::award::AwardReason;
use crate::id::{ActionId, OrderId, TierId};

/// A reason with the names and figures that customers may see.
#[derive(Default, Serialize)]
struct Reason<'a> {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a ActionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    years: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    friends: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a TierId>,
}

pub(super) fn serialize_reason<S: serde::Serializer>(
    reason: &AwardReason,
    to: S,
) -> Result<S::Ok, S::Error> {
    let named = Reason {
        reason: reason.name(),
        action: reason.action(),
        ..Reason::default()
    };
    let told = match reason {
        AwardReason::Action { .. }
        | AwardReason::Code { .. }
        | AwardReason::Goal { .. }
        | AwardReason::SignUp { .. } => named,
        AwardReason::Anniversary { years, .. } => Reason { years: Some(*years), ..named },
        AwardReason::Birthday { year, .. } => Reason { year: Some(*year), ..named },
        AwardReason::ReferralMilestone { friends } => Reason { friends: Some(*friends), ..named },
        AwardReason::ReferralReceived { order } | AwardReason::ReferralSent { order, .. } => {
            Reason { order: Some(order), ..named }
        }
        AwardReason::TierEntry { tier } => Reason { tier: Some(tier), ..named },
    };
    told.serialize(to)
}
