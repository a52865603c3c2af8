//! The ledger of a customer on the wire: an entry for each event about points or the tier.

use std::borrow::Cow;
use std::fmt;

use loyalty_core::award::AwardReason;
use loyalty_core::event::AdjustmentReason;
use loyalty_core::lot::{Clawback, LotCredit};
use loyalty_core::{
    ActionId, Calculation, Event, OrderId, Points, PublicationStatus, RedemptionId, RewardId,
    Statement, Statements, TierId, Timestamp,
};
use loyalty_store::{JournalRow, Seq};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::explanation::ExplanationResponse;
use super::json::BodyErrorCode;
use super::json::field::{FieldError, FromText};
use super::page::PageItems;
use super::schema;
use super::value::{IdText, TimeText};

/// The kinds of entries.
const ENTRY_KINDS: &[&str] = &[
    "account_absorbed",
    "account_erased",
    "account_merged",
    "account_reopened",
    "action",
    "anniversary",
    "award_taken_back",
    "balance_set",
    "birthday",
    "claim_undone",
    "code",
    "code_publish_failed",
    "code_published",
    "code_withdrawn",
    "gift_issued",
    "gift_kept",
    "gift_taken_back",
    "goal",
    "points_added",
    "points_awarded",
    "points_expired",
    "points_released",
    "points_subtracted",
    "points_taken_back",
    "redemption_cancelled",
    "redemption_expired",
    "redemption_refunded",
    "redemption_reopened",
    "redemption_used",
    "referral_milestone",
    "referral_received",
    "referral_sent",
    "reward_redeemed",
    "sign_up",
    "tier_changed",
    "tier_entry",
    "tier_lapsed",
    "tier_retained",
    "tier_set",
];

/// A kind of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryKind(&'static str);

impl FromText for EntryKind {
    const EXPECTED: &'static str = "a kind of entries such as \"points_awarded\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let known = ENTRY_KINDS.iter().copied().find(|kind| *kind == text);
        known.map(Self).ok_or_else(|| {
            FieldError::new(BodyErrorCode::InvalidValue, "This is no kind of entries.")
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ENTRY_KINDS })
    }
}

/// Which entries are listed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EntryFilter {
    pub(crate) kind: Option<EntryKind>,
    /// Those that were written down from this instant on.
    pub(crate) from: Option<Timestamp>,
    /// Those that were written down before this instant.
    pub(crate) until: Option<Timestamp>,
}

impl EntryFilter {
    /// Returns `true` if neither this row nor an older one has an entry that is listed.
    pub(crate) fn ends_before(&self, row: &JournalRow) -> bool {
        self.from.is_some_and(|from| row.at < from)
    }

    /// Returns `true` if an entry of a row is listed.
    pub(crate) fn admits(&self, row: &JournalRow, entry: &EntryResponse<'_>) -> bool {
        !self.ends_before(row)
            && self.until.is_none_or(|until| row.at < until)
            && self.kind.is_none_or(|EntryKind(kind)| entry.kind == kind)
    }
}

/// The id of an entry: the row of the journal and the position in it.
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
    pub(crate) entries: PageItems<EntryResponse<'a>>,
}

/// An entry of the ledger.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntry")]
pub(crate) struct EntryResponse<'a> {
    pub(crate) entry_id: EntryId,
    /// The instant at which it happened or was due.
    at: TimeText,
    /// The instant at which it was written down. It is later than `at` where nothing happened to the
    /// account when points expired, a birthday came or a tier lapsed.
    recorded_at: TimeText,
    #[schemars(extend("enum" = ENTRY_KINDS))]
    pub(crate) kind: &'static str,
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
pub(super) struct EntryDetails<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    pub(super) order_id: Option<&'a OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    pub(super) action_id: Option<&'a ActionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redemption_id: Option<IdText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    pub(super) reward_id: Option<&'a RewardId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// From then on the points can no longer be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<TimeText>,
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
    pub(super) tier: Option<&'a TierId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tier_until: Option<TimeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationResponse<'a>>,
    /// The entry as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// What the sentence says, in no language.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::statement::Statement>", length(min = 1))]
    statements: Vec<Statement>,
}

/// The entries of a row of the journal, newest first. Events about orders alone are no entries.
pub(crate) fn entries(row: &JournalRow) -> impl Iterator<Item = EntryResponse<'_>> {
    let mut after = row.balance;
    row.events.iter().enumerate().rev().filter_map(move |(index, event)| {
        let (points, point_balance) = (event.points(), after);
        after = after.saturating_sub(points);
        let (kind, details) = describe_event(event)?;
        let entry_id = EntryId { seq: row.seq, index };
        let pending_points = Some(event.pending_points()).filter(|points| !points.is_zero());
        Some(EntryResponse {
            entry_id,
            at: TimeText(event.at().unwrap_or(row.at)),
            recorded_at: TimeText(row.at),
            kind,
            points,
            pending_points,
            point_balance,
            details,
        })
    })
}

/// Returns the kind and the details of an entry; `None` for an event that is no entry.
#[expect(clippy::too_many_lines, reason = "one arm an event")]
pub(super) fn describe_event(event: &Event) -> Option<(&'static str, EntryDetails<'_>)> {
    let none = EntryDetails::default;
    let described = match event {
        Event::AccountAbsorbed(_) => ("account_absorbed", none()),
        Event::AccountErased { .. } => ("account_erased", none()),
        Event::AccountMerged { .. } => ("account_merged", none()),
        Event::AccountReopened { .. } => ("account_reopened", none()),
        Event::ClaimUndone(_) => ("claim_undone", none()),
        Event::PointsAdded { lot, reason, .. } => {
            let kind = if reason.sets_balance { "balance_set" } else { "points_added" };
            (kind, EntryDetails::of_adjustment(reason).with_lot(lot.as_ref()))
        }
        Event::PointsAwarded { order, lot, calculation, .. } => {
            let details = EntryDetails::of_calculation(order, calculation);
            ("points_awarded", details.with_lot(lot.as_ref()))
        }
        Event::PointsExpired { order, expired_at, .. } => {
            let details = EntryDetails::of_order(order.as_ref());
            ("points_expired", details.expiring_at(Some(*expired_at)))
        }
        Event::PointsSubtracted { reason, .. } => {
            let kind = if reason.sets_balance { "balance_set" } else { "points_subtracted" };
            (kind, EntryDetails::of_adjustment(reason))
        }
        Event::PointsTakenBack { order, clawback, calculation, .. } => {
            let details = EntryDetails::of_calculation(order, calculation);
            ("points_taken_back", details.with_clawback(clawback))
        }
        Event::PointsReleased { order, into, .. } => {
            let details = EntryDetails::of_order(order.as_ref());
            ("points_released", details.with_lot(into.as_ref()))
        }
        Event::AwardGiven { points, lot, award, .. } => {
            let details = EntryDetails::of_award(&award.reason, award.statements(*points));
            let details = EntryDetails { reward_id: award.given_reward(), ..details };
            (award.reason.name(), details.with_lot(lot.as_ref()))
        }
        Event::AwardTakenBack { reason, clawback, .. } => {
            let statement = Statement::BonusTakenBack { reason: reason.clone() };
            let details = EntryDetails::of_award(reason, vec![statement]);
            ("award_taken_back", details.with_clawback(clawback))
        }
        Event::GiftUndone { cause, reward, redemption, is_kept, .. } => {
            let (reward_id, cause_of) = (reward.clone(), cause.clone());
            let (kind, statement) = if *is_kept {
                ("gift_kept", Statement::GiftKept { reward: reward_id, cause: cause_of })
            } else {
                (
                    "gift_taken_back",
                    Statement::GiftTakenBack { reward: reward_id, cause: cause_of },
                )
            };
            let redemption_id = redemption.map(|id| IdText(id.0));
            let details = EntryDetails::of_award(cause, vec![statement]);
            (kind, EntryDetails { reward_id: Some(reward), redemption_id, ..details })
        }
        Event::RewardRedeemed { issue } => {
            let details =
                EntryDetails::of_redemption(issue.id).with_statements(vec![issue.statement()]);
            let action_id = issue.cause.as_ref().and_then(AwardReason::action);
            let kind = if issue.cause.is_some() { "gift_issued" } else { "reward_redeemed" };
            (kind, EntryDetails { reward_id: Some(&issue.reward), action_id, ..details })
        }
        Event::RedemptionUsed { redemption, order, .. } => {
            let details = EntryDetails::of_redemption(*redemption);
            ("redemption_used", EntryDetails { order_id: order.as_ref(), ..details })
        }
        Event::PublicationRecorded { redemption, publication } => {
            let kind = match publication.status {
                PublicationStatus::Published { .. } => "code_published",
                PublicationStatus::Failed { .. } => "code_publish_failed",
                PublicationStatus::Withdrawn => "code_withdrawn",
            };
            let statements = vec![publication.statement()];
            (kind, EntryDetails::of_redemption(*redemption).with_statements(statements))
        }
        Event::RedemptionReopened { redemption, order, .. } => {
            let details = EntryDetails::of_redemption(redemption.issue().id);
            let details = details.expiring_at(redemption.ends_at());
            ("redemption_reopened", EntryDetails { order_id: Some(order), ..details })
        }
        Event::RedemptionCancelled { redemption, order, returned, .. } => {
            let details =
                EntryDetails::of_redemption(*redemption).with_statements(returned.statements());
            ("redemption_cancelled", EntryDetails { order_id: order.as_ref(), ..details })
        }
        Event::RedemptionRefunded { redemption, order, returned, .. } => {
            let details =
                EntryDetails::of_redemption(*redemption).with_statements(returned.statements());
            ("redemption_refunded", EntryDetails { order_id: Some(order), ..details })
        }
        Event::RedemptionExpired { redemption, returned, .. } => {
            let details = EntryDetails::of_redemption(*redemption);
            let statements = returned.as_ref().map(|returned| returned.statements());
            ("redemption_expired", details.with_statements(statements.unwrap_or_default()))
        }
        Event::TierChanged { change } => {
            let details = EntryDetails::of_tier(change.to.as_ref(), None);
            ("tier_changed", details.with_statements(vec![change.statement()]))
        }
        Event::TierLapsed { tier, until, .. } => {
            ("tier_lapsed", EntryDetails::of_tier(Some(tier), Some(*until)))
        }
        Event::TierRetained { tier, .. } => {
            ("tier_retained", EntryDetails::of_tier(Some(tier), None))
        }
        Event::TierSet { tier, .. } => {
            let until = tier.as_ref().and_then(|tier| tier.until);
            let id = tier.as_ref().map(|tier| &tier.id);
            ("tier_set", EntryDetails::of_tier(id, until))
        }
        Event::CustomerAdded
        | Event::CustomerUpdated { .. }
        | Event::Discount(_)
        | Event::OrderCancelled { .. }
        | Event::OrderClosed { .. }
        | Event::OrderCounted { .. }
        | Event::OrderNamedGuest { .. }
        | Event::OrderPinned { .. }
        | Event::OrderRecorded { .. }
        | Event::OrderRefunded { .. }
        | Event::ProgramPublished { .. }
        | Event::ReferralCodeIssued { .. }
        | Event::ReferralCompleted { .. }
        | Event::ReferralJoined { .. }
        | Event::ReferralUndone { .. } => return None,
    };
    Some(described)
}

impl<'a> EntryDetails<'a> {
    fn of_adjustment(reason: &'a AdjustmentReason) -> Self {
        Self {
            action_id: reason.action.as_ref(),
            reason: reason.text.as_deref(),
            ..Self::default()
        }
    }

    fn of_award(reason: &'a AwardReason, statements: Vec<Statement>) -> Self {
        let action_id = reason.action();
        Self { action_id, ..Self::default() }.with_statements(statements)
    }

    fn of_order(order_id: Option<&'a OrderId>) -> Self {
        Self { order_id, ..Self::default() }
    }

    fn of_calculation(order: &'a OrderId, calculation: &'a Calculation) -> Self {
        let explanation = Some(ExplanationResponse::from_calculation(calculation));
        let details = Self::of_order(Some(order)).with_statements(calculation.statements());
        Self { explanation, ..details }
    }

    fn of_redemption(id: RedemptionId) -> Self {
        Self { redemption_id: Some(IdText(id.0)), ..Self::default() }
    }

    fn of_tier(tier: Option<&'a TierId>, until: Option<Timestamp>) -> Self {
        Self { tier, tier_until: until.map(TimeText), ..Self::default() }
    }

    /// The statements, and the sentence that they make.
    fn with_statements(self, statements: Vec<Statement>) -> Self {
        let text = (!statements.is_empty()).then(|| Statements(&statements).to_string());
        Self { text, statements, ..self }
    }

    fn expiring_at(self, at: Option<Timestamp>) -> Self {
        Self { expires_at: at.map(TimeText), ..self }
    }

    /// The expiry of the lot that got the points.
    fn with_lot(self, lot: Option<&LotCredit>) -> Self {
        self.expiring_at(lot.and_then(|lot| lot.expires_at))
    }

    /// The points that a clawback could not collect, if not zero.
    fn with_clawback(self, clawback: &Clawback) -> Self {
        let some = |points: Points| Some(points).filter(|points| !points.is_zero());
        Self {
            forgiven: some(clawback.forgiven),
            expired: some(clawback.expired()),
            ..self
        }
    }
}
