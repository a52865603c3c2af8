//! The explanation of an order's points, on the wire.

use loyalty_core::explain::{
    CampaignShare, EarningStatus, Exclusion, LineBasis, Multiplier, RemainingBasis, RuleShare,
};
use loyalty_core::order::PostedPoints;
use loyalty_core::program::{CampaignEffect, EarningFormula};
use loyalty_core::{
    Amount, Calculation, Explanation, Fraction, LineId, Points, ProgramVersion, Rate, RuleId,
    TierId,
};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::schema::{self, program};

/// The calculation of an order's points. Amounts, quantities and exact numbers are strings.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
pub(crate) struct ExplanationResponse<'a> {
    /// The version of the program; absent for a program that is not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 1))]
    program_version: Option<ProgramVersion>,
    /// The reason why the order earns, or not.
    #[schemars(extend("enum" = ["below_gate", "cancelled", "entitled", "refunded"]))]
    standing: &'static str,
    /// The status at which orders earn, where the order has not reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<program::OrderStatus>")]
    gate: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    lines: Vec<LineBasisResponse<'a>>,
    /// Tax and shipping, where they count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    extras: Option<Amount>,
    /// The basis after refunds and redeemed rewards.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<RemainingBasisResponse>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    rules: Vec<RuleShareResponse<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    multipliers: Vec<MultiplierResponse<'a>>,
    /// The points added by each campaign.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    campaigns: Vec<CampaignShareResponse<'a>>,
    /// The points before rounding.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "schema::Exact")]
    exact: &'a Fraction,
    #[schemars(with = "schema::Sent<program::Rounding>")]
    rounding: &'static str,
    #[schemars(with = "schema::Points")]
    points: Points,
    /// The points posted for the order before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<PostedResponse>,
}

/// A line's part of the basis.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LineBasis")]
struct LineBasisResponse<'a> {
    #[schemars(with = "schema::Id")]
    line_id: &'a LineId,
    #[schemars(with = "schema::Amount")]
    amount: Amount,
    /// The number of refunded units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Exact>")]
    refunded: Option<String>,
    /// The reason why the line does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["category", "gift_card", "product"]))]
    excluded: Option<&'static str>,
}

/// The basis after refunds and redeemed rewards.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RemainingBasis")]
struct RemainingBasisResponse {
    #[schemars(with = "schema::Amount")]
    refunded: Amount,
    #[schemars(with = "schema::Amount")]
    redeemed: Amount,
    #[schemars(with = "schema::Amount")]
    total: Amount,
}

/// The points of one earning rule.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RuleShare")]
struct RuleShareResponse<'a> {
    #[schemars(with = "schema::Id")]
    rule_id: &'a RuleId,
    /// In the form of the program's document.
    #[schemars(with = "schema::Sent<program::Earn>")]
    earn: &'a EarningFormula,
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "schema::Exact")]
    basis: &'a Fraction,
    /// The items of a rule that earns per item, less refunded ones, in the share that remains.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Exact>")]
    items: Option<String>,
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "schema::Exact")]
    points: &'a Fraction,
    /// The points that a limit left for this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    at_most: Option<Points>,
}

/// The multiplier of a tier.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Multiplier")]
struct MultiplierResponse<'a> {
    #[schemars(with = "schema::Id")]
    tier: &'a TierId,
    #[schemars(with = "schema::Decimal")]
    factor: Rate,
}

/// The points of one campaign.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CampaignShare")]
struct CampaignShareResponse<'a> {
    #[schemars(with = "schema::Id")]
    campaign_id: &'a RuleId,
    /// In the form of the program's document.
    #[schemars(with = "schema::Sent<program::Effect>")]
    effect: &'a CampaignEffect,
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "schema::Exact")]
    points: &'a Fraction,
}

/// The points that an order has posted to its account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PostedPoints")]
pub(crate) struct PostedResponse {
    #[schemars(with = "schema::Points")]
    awarded: Points,
    #[schemars(with = "schema::Points")]
    taken_back: Points,
    #[schemars(with = "schema::Points")]
    expired: Points,
}

impl From<PostedPoints> for PostedResponse {
    fn from(posted: PostedPoints) -> Self {
        Self {
            awarded: posted.awarded,
            taken_back: posted.clawed_back,
            expired: posted.expired,
        }
    }
}

fn as_text<S: Serializer>(fraction: &Fraction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fraction)
}

impl<'a> ExplanationResponse<'a> {
    /// The explanation of an order's present points.
    pub(crate) fn new(explanation: &'a Explanation) -> Self {
        let (standing, gate) = match explanation.status {
            EarningStatus::BelowGate { gate } => ("below_gate", Some(gate.name())),
            EarningStatus::Cancelled => ("cancelled", None),
            EarningStatus::Entitled => ("entitled", None),
            EarningStatus::Refunded => ("refunded", None),
        };
        Self {
            program_version: Some(explanation.program),
            standing,
            gate,
            lines: explanation.lines.iter().map(LineBasisResponse::new).collect(),
            extras: Some(explanation.extras).filter(|extras| !extras.is_zero()),
            left: explanation.remaining.map(RemainingBasisResponse::new),
            rules: explanation.rules.iter().map(RuleShareResponse::new).collect(),
            multipliers: explanation.multipliers.iter().map(MultiplierResponse::new).collect(),
            campaigns: explanation.campaigns.iter().map(CampaignShareResponse::new).collect(),
            exact: &explanation.exact,
            rounding: explanation.rounding.name(),
            points: explanation.points,
            before: None,
        }
    }

    /// The explanation of a change: the order's points, and those posted before.
    pub(crate) fn from_calculation(calculation: &'a Calculation) -> Self {
        let before =
            Some(calculation.posted_before).filter(|before| *before != PostedPoints::default());
        Self {
            before: before.map(Into::into),
            ..Self::new(&calculation.explanation)
        }
    }

    /// Removes the version, for a program that is not published.
    pub(crate) fn without_version(self) -> Self {
        Self { program_version: None, ..self }
    }
}

impl<'a> LineBasisResponse<'a> {
    fn new(line: &'a LineBasis) -> Self {
        let refunded = (!line.refunded.is_zero()).then(|| line.refunded.to_string());
        let excluded = line.excluded.map(|excluded| match excluded {
            Exclusion::Category => "category",
            Exclusion::GiftCard => "gift_card",
            Exclusion::Product => "product",
        });
        Self { line_id: &line.line, amount: line.amount, refunded, excluded }
    }
}

impl RemainingBasisResponse {
    fn new(RemainingBasis { refunded, redeemed, total }: RemainingBasis) -> Self {
        Self { refunded, redeemed, total }
    }
}

impl<'a> RuleShareResponse<'a> {
    fn new(share: &'a RuleShare) -> Self {
        let at_most = share.allowance.map(|allowance| allowance.points);
        Self {
            rule_id: &share.rule,
            earn: &share.earn,
            basis: &share.basis,
            items: share.items.as_ref().map(Fraction::to_string),
            points: &share.points,
            at_most,
        }
    }
}

impl<'a> CampaignShareResponse<'a> {
    fn new(share: &'a CampaignShare) -> Self {
        Self {
            campaign_id: &share.campaign,
            effect: &share.effect,
            points: &share.points,
        }
    }
}

impl<'a> MultiplierResponse<'a> {
    fn new(multiplier: &'a Multiplier) -> Self {
        Self { tier: &multiplier.tier, factor: multiplier.factor }
    }
}
