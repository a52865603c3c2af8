//! Why an order is worth what it is worth, on the wire.

use loyalty_core::explain::{
    CampaignShare, EarningStatus, Exclusion, LineBasis, Multiplier, RemainingBasis, RuleShare,
};
use loyalty_core::order::PostedPoints;
use loyalty_core::program::{CampaignEffect, EarningFormula};
use loyalty_core::{
    Amount, Calculation, Explanation, Fraction, LineId, Points, ProgramVersion, Rate, RuleId,
    TierId,
};
use serde::{Serialize, Serializer};

/// An explanation as data. Amounts, quantities and exact numbers are strings; an exact number that does
/// not end is a fraction such as `100/3`.
#[derive(Debug, Serialize)]
pub(crate) struct ExplanationResponse<'a> {
    /// None for a program that is not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    program_version: Option<ProgramVersion>,
    standing: &'static str,
    /// The status that earns, where it is not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<LineBasisResponse<'a>>,
    /// Tax and shipping, where they count.
    #[serde(skip_serializing_if = "Option::is_none")]
    extras: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<RemainingBasisResponse>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<RuleShareResponse<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    multipliers: Vec<MultiplierResponse<'a>>,
    /// What each campaign added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    campaigns: Vec<CampaignShareResponse<'a>>,
    #[serde(serialize_with = "as_text")]
    exact: &'a Fraction,
    rounding: &'static str,
    points: Points,
    /// What the order had put on the account before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<PostedResponse>,
}

#[derive(Debug, Serialize)]
struct LineBasisResponse<'a> {
    line_id: &'a LineId,
    amount: Amount,
    /// How many of its units were refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<String>,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    excluded: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct RemainingBasisResponse {
    refunded: Amount,
    redeemed: Amount,
    total: Amount,
}

#[derive(Debug, Serialize)]
struct RuleShareResponse<'a> {
    rule_id: &'a RuleId,
    /// As it stands in the program's document.
    earn: &'a EarningFormula,
    #[serde(serialize_with = "as_text")]
    basis: &'a Fraction,
    #[serde(serialize_with = "as_text")]
    points: &'a Fraction,
    /// How much a limit left for this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<Points>,
}

#[derive(Debug, Serialize)]
struct MultiplierResponse<'a> {
    tier: &'a TierId,
    factor: Rate,
}

#[derive(Debug, Serialize)]
struct CampaignShareResponse<'a> {
    campaign_id: &'a RuleId,
    /// As it stands in the program's document.
    effect: &'a CampaignEffect,
    #[serde(serialize_with = "as_text")]
    points: &'a Fraction,
}

/// What an order has put on its account.
#[derive(Debug, Serialize)]
pub(crate) struct PostedResponse {
    awarded: Points,
    taken_back: Points,
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
    /// What an order is worth now.
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

    /// Why points moved: what the order is worth, and what it had posted before.
    pub(crate) fn from_calculation(reckoning: &'a Calculation) -> Self {
        let before =
            Some(reckoning.posted_before).filter(|before| *before != PostedPoints::default());
        Self {
            before: before.map(Into::into),
            ..Self::new(&reckoning.explanation)
        }
    }

    /// The same under a program that is not published.
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
        let at_most = share.allowance.map(|room| room.points);
        Self {
            rule_id: &share.rule,
            earn: &share.earn,
            basis: &share.basis,
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
