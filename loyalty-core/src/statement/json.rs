//! Reasons of bonuses as members of a statement.

use serde::Serialize;

use crate::award::AwardReason;
use crate::id::{ActionId, OrderId, TierId};

/// A reason with the names and figures that customers may see.
#[derive(Default, Serialize)]
struct Members<'a> {
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

/// Serializes a reason as statements have it: its name, and the names and figures that
/// customers may see.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_reason<S: serde::Serializer>(
    reason: &AwardReason,
    to: S,
) -> Result<S::Ok, S::Error> {
    let named = Members {
        reason: reason.name(),
        action: reason.action(),
        ..Members::default()
    };
    let told = match reason {
        AwardReason::Action { .. }
        | AwardReason::Code { .. }
        | AwardReason::Goal { .. }
        | AwardReason::SignUp { .. } => named,
        AwardReason::Anniversary { years, .. } => Members { years: Some(*years), ..named },
        AwardReason::Birthday { year, .. } => Members { year: Some(*year), ..named },
        AwardReason::ReferralMilestone { friends } => Members { friends: Some(*friends), ..named },
        AwardReason::ReferralReceived { order } | AwardReason::ReferralSent { order, .. } => {
            Members { order: Some(order), ..named }
        }
        AwardReason::TierEntry { tier } => Members { tier: Some(tier), ..named },
    };
    told.serialize(to)
}
