//! The merge of two customers on the wire.

use loyalty_core::{ActionId, CustomerId, Email, LotId, Points, RewardId, RuleId, TierId};
use loyalty_store::{CustomerRef, MergeReport, Receipt, RedemptionView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::customer::CustomerResponse;
use super::lot::LotResponse;
use super::points::parse_single_customer_ref;
use super::schema;
use super::value::{IdText, ParsedField, TimeText, prefix_pointer};
use crate::problem::Problem;

/// A customer to be merged into another one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MergeRequest")]
pub(crate) struct MergeBody {
    /// The customer who is merged. Afterwards their id finds the other one.
    from: MergedBody,
}

/// The customer who is merged: one with an id, or a guest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MergedCustomer", extend("allOf" = schema::one_customer()))]
struct MergedBody {
    customer_id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
}

impl MergeBody {
    /// Returns the customer who is merged.
    pub(crate) fn parse(self) -> Result<CustomerRef, Problem> {
        parse_single_customer_ref(self.from.customer_id, self.from.email)
            .map_err(|problem| prefix_pointer("/from", problem))
    }
}

/// A customer after a merge, and what the other one brought.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Merge")]
pub(crate) struct MergeResponse<'a> {
    #[serde(flatten)]
    customer: CustomerResponse<'a>,
    merged: MergedResponse<'a>,
}

/// What a merged customer brought.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Merged")]
struct MergedResponse<'a> {
    /// The balance that they brought.
    #[schemars(with = "schema::Points")]
    points: Points,
    #[schemars(with = "schema::Points")]
    pending: Points,
    /// Their lots, with their ends.
    lots: Vec<LotResponse<'a>>,
    /// Points that paid the debt of one of the two.
    #[schemars(with = "schema::Points")]
    debt_paid: Points,
    /// The debt that both have left.
    #[schemars(with = "schema::Points")]
    debt: Points,
    tier: MergedTier<'a>,
    /// Their orders that count.
    orders: i64,
    /// The codes of their redemptions, which work for the other customer.
    codes: Vec<MergedCode<'a>>,
    referrals: MergedReferrals,
    limits: MergedLimits<'a>,
}

/// The tiers of both, and that by both histories.
#[derive(Debug, Serialize, JsonSchema)]
struct MergedTier<'a> {
    #[schemars(with = "Option<schema::Id>")]
    from: Option<&'a TierId>,
    #[schemars(with = "Option<schema::Id>")]
    before: Option<&'a TierId>,
    #[schemars(with = "Option<schema::Id>")]
    after: Option<&'a TierId>,
}

/// The code of a redemption that can be used.
#[derive(Debug, Serialize, JsonSchema)]
struct MergedCode<'a> {
    redemption_id: IdText,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::CodeText>")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<TimeText>,
}

/// The referrals of a merged customer.
#[derive(Debug, Serialize, JsonSchema)]
struct MergedReferrals {
    /// The customers whom they referred.
    sent: u32,
    /// True where somebody referred them.
    referred: bool,
}

/// What counts for the limits of both together.
#[derive(Debug, Serialize, JsonSchema)]
struct MergedLimits<'a> {
    #[schemars(with = "Vec<schema::Id>")]
    actions: Vec<&'a ActionId>,
    #[schemars(with = "Vec<schema::Id>")]
    rules: Vec<&'a RuleId>,
    #[schemars(with = "Vec<schema::Id>")]
    rewards: Vec<&'a RewardId>,
}

impl<'a> MergeResponse<'a> {
    /// The answer to a merge, or `None` where the receipt has none.
    pub(crate) fn from_receipt(receipt: &'a Receipt) -> Option<Self> {
        let customer = CustomerResponse::from_receipt(receipt)?;
        let merged = MergedResponse::new(receipt.merge.as_deref()?);
        Some(Self { customer, merged })
    }
}

impl<'a> MergedResponse<'a> {
    fn new(report: &'a MergeReport) -> Self {
        let (absorption, activity) = (&*report.absorption, &*report.activity);
        let sum = |parts: &mut dyn Iterator<Item = Points>| {
            parts.fold(Points::ZERO, Points::saturating_add)
        };
        let usable = absorption.lots.iter().filter(|lot| lot.pending_until.is_none());
        let kept = sum(&mut usable.map(|lot| lot.points));
        let own = sum(&mut absorption.paid.iter().map(|(_, points): &(LotId, Points)| *points));
        let brought = absorption.points.max(Points::ZERO);

        Self {
            points: absorption.points,
            pending: absorption.pending(),
            lots: absorption.lots.iter().map(LotResponse::new).collect(),
            debt_paid: own.saturating_add(brought.saturating_sub(kept)),
            debt: absorption.debt,
            tier: MergedTier {
                from: report.from_tier.as_ref(),
                before: report.tier_before.as_ref(),
                after: report.tier_after.as_ref(),
            },
            orders: report.counts.orders,
            codes: report.open_redemptions.iter().map(MergedCode::new).collect(),
            referrals: MergedReferrals {
                sent: activity.referral_count(),
                referred: activity.referral().is_some(),
            },
            limits: MergedLimits {
                actions: activity.actions().collect(),
                rules: activity.limited_rules().collect(),
                rewards: activity.rewards().collect(),
            },
        }
    }
}

impl<'a> MergedCode<'a> {
    fn new(view: &'a RedemptionView) -> Self {
        let issue = view.redemption.issue();
        Self {
            redemption_id: IdText(issue.id.0),
            code: issue.code.as_ref().map(loyalty_core::discount::Code::as_str),
            ends_at: view.redemption.ends_at().map(TimeText),
        }
    }
}
