//! The ledger of a customer on the wire: one entry for each event that is about points or the tier.

use std::borrow::Cow;
use std::fmt;

use loyalty_core::event::{AdjustmentReason, Clawback};
use loyalty_core::{
    ActionId, Calculation, Event, ManualTier, OrderId, Points, RedemptionId, RewardId, TierId,
};
use loyalty_store::{JournalRow, Seq};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::explanation::ExplanationResponse;
use super::schema;
use super::value::{IdText, TimeText};

/// Names an entry: the journal's row and the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryId {
    pub(crate) seq: Seq,
    pub(crate) index: usize,
}

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.seq, self.index)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for EntryId {
    fn schema_name() -> Cow<'static, str> {
        "EntryId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An entry of a ledger: a row of the journal and the position in it.",
            "type": "string",
            "pattern": "^[0-9]+-[0-9]+$"
        })
    }
}

/// A page of a customer's ledger, newest entry first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Ledger")]
pub(crate) struct LedgerResponse<'a> {
    pub(crate) entries: Vec<EntryResponse<'a>>,
}

/// An entry of the ledger.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntry")]
pub(crate) struct EntryResponse<'a> {
    pub(crate) entry_id: EntryId,
    at: TimeText,
    #[schemars(extend("enum" = ["account_absorbed", "account_merged", "action", "anniversary", "award_taken_back", "balance_set", "birthday", "code", "goal", "points_added", "points_awarded", "points_expired", "points_released", "points_subtracted", "points_taken_back", "redemption_cancelled", "redemption_expired", "redemption_reopened", "redemption_used", "referral_milestone", "referral_received", "referral_sent", "reward_redeemed", "sign_up", "tier_changed", "tier_entry", "tier_lapsed", "tier_retained", "tier_set"]))]
    kind: &'static str,
    /// The change of the balance.
    #[schemars(with = "schema::Points")]
    points: Points,
    /// The change of the pending points.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    pending_points: Option<Points>,
    /// The balance after the entry.
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    #[serde(flatten)]
    details: EntryDetails<'a>,
}

/// The details of an entry, which depend on its kind.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct EntryDetails<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    order_id: Option<&'a OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    action_id: Option<&'a ActionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redemption_id: Option<IdText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    reward_id: Option<&'a RewardId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// From then on the points can no longer be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<TimeText>,
    /// Points that the customer keeps, because the program stops at zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    forgiven: Option<Points>,
    /// Points not taken back, because they had expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    expired: Option<Points>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    tier: Option<&'a TierId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier_until: Option<TimeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationResponse<'a>>,
    /// The entry as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// The entries of a journal row, newest first. What is about orders alone is left out.
pub(crate) fn entries(row: &JournalRow) -> impl Iterator<Item = EntryResponse<'_>> {
    let mut after = row.balance;
    row.events.iter().enumerate().rev().filter_map(move |(index, event)| {
        let (points, point_balance) = (event.points(), after);
        after = after.saturating_sub(points);
        let (kind, about) = describe_event(event)?;
        let entry_id = EntryId { seq: row.seq, index };
        let pending_points = Some(event.pending_points()).filter(|points| !points.is_zero());
        Some(EntryResponse {
            entry_id,
            at: TimeText(row.at),
            kind,
            points,
            pending_points,
            point_balance,
            details: about,
        })
    })
}

/// What of a claw-back was forgiven, and what had run out.
fn uncollected_points(taking: &Clawback) -> [Option<Points>; 2] {
    [taking.forgiven, taking.expired()]
        .map(|points| Some(points).filter(|points| !points.is_zero()))
}

/// The kind of an entry and what it is about; none for events that are no entries.
fn describe_event(event: &Event) -> Option<(&'static str, EntryDetails<'_>)> {
    let described = match event {
        Event::AccountAbsorbed { .. } => ("account_absorbed", EntryDetails::default()),
        Event::AccountMerged { .. } => ("account_merged", EntryDetails::default()),
        Event::PointsAdded { lot, reason: grounds, .. } => {
            let kind = if grounds.sets_balance { "balance_set" } else { "points_added" };
            let expires_at = lot.as_ref().and_then(|lot| lot.expires_at).map(TimeText);
            (kind, EntryDetails { expires_at, ..EntryDetails::of_adjustment(grounds) })
        }
        Event::PointsAwarded { order, lot, calculation: reckoning, .. } => {
            let expires_at = lot.as_ref().and_then(|lot| lot.expires_at).map(TimeText);
            (
                "points_awarded",
                EntryDetails { expires_at, ..EntryDetails::of_order(order, reckoning) },
            )
        }
        Event::PointsExpired { order, expired_at, .. } => {
            let expires_at = Some(TimeText(*expired_at));
            (
                "points_expired",
                EntryDetails {
                    order_id: order.as_ref(),
                    expires_at,
                    ..EntryDetails::default()
                },
            )
        }
        Event::PointsSubtracted { reason: grounds, .. } => {
            let kind = if grounds.sets_balance { "balance_set" } else { "points_subtracted" };
            (kind, EntryDetails::of_adjustment(grounds))
        }
        Event::PointsTakenBack { order, clawback: taking, calculation: reckoning, .. } => {
            let [forgiven, expired] = uncollected_points(taking);
            (
                "points_taken_back",
                EntryDetails {
                    forgiven,
                    expired,
                    ..EntryDetails::of_order(order, reckoning)
                },
            )
        }
        Event::PointsReleased { order, into, .. } => {
            let expires_at = into.as_ref().and_then(|lot| lot.expires_at).map(TimeText);
            (
                "points_released",
                EntryDetails {
                    order_id: order.as_ref(),
                    expires_at,
                    ..EntryDetails::default()
                },
            )
        }
        Event::AwardGiven { points, lot, award, .. } => {
            let expires_at = lot.as_ref().and_then(|lot| lot.expires_at).map(TimeText);
            let (action_id, text) = (award.reason.action(), Some(award.explain(*points)));
            (
                award.reason.name(),
                EntryDetails { action_id, expires_at, text, ..EntryDetails::default() },
            )
        }
        Event::AwardTakenBack { reason, clawback: taking, .. } => {
            let [forgiven, expired] = uncollected_points(taking);
            let text = Some(format!("What was given {reason} is taken back."));
            (
                "award_taken_back",
                EntryDetails {
                    action_id: reason.action(),
                    forgiven,
                    expired,
                    text,
                    ..EntryDetails::default()
                },
            )
        }
        Event::RewardRedeemed { issue } => {
            let (redemption_id, reward_id) = (Some(IdText(issue.id.0)), Some(&issue.reward));
            let text = Some(issue.to_string());
            (
                "reward_redeemed",
                EntryDetails { redemption_id, reward_id, text, ..EntryDetails::default() },
            )
        }
        Event::RedemptionUsed { redemption, order, .. } => (
            "redemption_used",
            EntryDetails {
                order_id: order.as_ref(),
                ..EntryDetails::of_redemption(*redemption)
            },
        ),
        Event::RedemptionReopened { redemption, order, .. } => {
            let expires_at = redemption.ends_at().map(TimeText);
            let about = EntryDetails::of_redemption(redemption.issue().id);
            (
                "redemption_reopened",
                EntryDetails { order_id: Some(order), expires_at, ..about },
            )
        }
        Event::RedemptionCancelled { redemption, order, returned, .. } => {
            let text = Some(returned.to_string());
            (
                "redemption_cancelled",
                EntryDetails {
                    order_id: order.as_ref(),
                    text,
                    ..EntryDetails::of_redemption(*redemption)
                },
            )
        }
        Event::RedemptionExpired { redemption, returned, .. } => {
            let text = returned.as_ref().map(ToString::to_string);
            (
                "redemption_expired",
                EntryDetails { text, ..EntryDetails::of_redemption(*redemption) },
            )
        }
        Event::TierChanged { change } => {
            let (tier, text) = (change.to.as_ref(), Some(change.to_string()));
            ("tier_changed", EntryDetails { tier, text, ..EntryDetails::default() })
        }
        Event::TierLapsed { tier, until, .. } => (
            "tier_lapsed",
            EntryDetails {
                tier: Some(tier),
                tier_until: Some(TimeText(*until)),
                ..EntryDetails::default()
            },
        ),
        Event::TierRetained { tier, .. } => {
            ("tier_retained", EntryDetails { tier: Some(tier), ..EntryDetails::default() })
        }
        Event::TierSet { tier, .. } => ("tier_set", EntryDetails::of_tier(tier.as_ref())),
        Event::CustomerAdded
        | Event::Discount(_)
        | Event::OrderCancelled { .. }
        | Event::OrderClosed { .. }
        | Event::OrderCounted { .. }
        | Event::OrderPinned { .. }
        | Event::OrderRecorded { .. }
        | Event::OrderRefunded { .. }
        | Event::ReferralCodeIssued { .. }
        | Event::ReferralCompleted { .. }
        | Event::ReferralJoined { .. }
        | Event::ReferralUndone { .. } => return None,
    };
    Some(described)
}

impl<'a> EntryDetails<'a> {
    fn of_adjustment(grounds: &'a AdjustmentReason) -> Self {
        Self {
            action_id: grounds.action.as_ref(),
            reason: grounds.text.as_deref(),
            ..Self::default()
        }
    }

    fn of_order(order: &'a OrderId, reckoning: &'a Calculation) -> Self {
        Self {
            order_id: Some(order),
            explanation: Some(ExplanationResponse::from_calculation(reckoning)),
            text: Some(reckoning.to_string()),
            ..Self::default()
        }
    }

    fn of_redemption(id: RedemptionId) -> Self {
        Self { redemption_id: Some(IdText(id.0)), ..Self::default() }
    }

    fn of_tier(tier: Option<&'a ManualTier>) -> Self {
        let until = tier.and_then(|tier| tier.until).map(TimeText);
        Self {
            tier: tier.map(|tier| &tier.id),
            tier_until: until,
            ..Self::default()
        }
    }
}
