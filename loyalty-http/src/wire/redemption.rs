//! Rewards and redemptions on the wire.

use loyalty_core::program::{
    Benefit, EligibilityConditions, ProductScope, Reward, RewardPricing, VariableAmount,
};
use loyalty_core::redemption::RedemptionState;
use loyalty_core::statement::serialize_reason;
use loyalty_core::{
    Amount, AwardReason, CustomerId, Email, Limit, OrderId, Points, Program, Publication,
    PublicationStatus, Rate, Rejection, RewardId, RewardOffer, Timestamp,
};
use loyalty_store::{
    CustomerView, Receipt, RedemptionAction, RedemptionStatus, RedemptionView, RewardsView,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};

use super::json::BodyErrorCode;
use super::json::field::{FieldError, FromText};
use super::page::PageItems;
use super::points::parse_single_customer_ref;
use super::schema::{self, program};
use super::value::{IdText, ParsedField, TimeText};
use crate::problem::code::ProblemCode;
use crate::problem::{Problem, to_sentence};

/// Points to be exchanged for a reward.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RedemptionRequest", extend("allOf" = schema::one_customer()))]
pub(crate) struct RedemptionBody {
    customer_id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
    reward_id: ParsedField<RewardId>,
    /// The amount, where the customer chooses it.
    amount: Option<ParsedField<Amount>>,
    /// The price of the goods that the code is for, before any discount. Where the reward pays a
    /// share of it at most, more is rejected.
    subtotal: Option<ParsedField<Amount>>,
}

impl RedemptionBody {
    /// Returns the action for the store.
    pub(crate) fn parse(self, entropy: [u8; 16]) -> Result<RedemptionAction, Problem> {
        Ok(RedemptionAction::Issue {
            customer: parse_single_customer_ref(self.customer_id, self.email)?,
            reward: self.reward_id.0,
            amount: self.amount.map(|amount| amount.0),
            subtotal: self.subtotal.map(|subtotal| subtotal.0),
            entropy,
        })
    }
}

/// The use of a redemption.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RedemptionUse")]
pub(crate) struct UseBody {
    /// The order that used it.
    order_id: Option<ParsedField<OrderId>>,
}

impl UseBody {
    /// Returns the order, if there is one.
    pub(crate) fn into_order(self) -> Option<OrderId> {
        self.order_id.map(|order| order.0)
    }
}

/// An empty object.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Empty")]
pub(crate) struct EmptyBody {}

/// The rewards of a program.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Rewards")]
pub(crate) struct RewardsResponse<'a> {
    rewards: Vec<RewardResponse<'a>>,
}

impl<'a> RewardsResponse<'a> {
    /// In the order of the program.
    pub(crate) fn new(program: &'a Program) -> Self {
        let rewards = program.definition().rewards.iter();
        Self {
            rewards: rewards.map(|reward| RewardResponse::new(reward, program)).collect(),
        }
    }
}

/// A reward: its benefit, its cost and its conditions.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RewardOffer")]
pub(crate) struct RewardResponse<'a> {
    #[schemars(with = "schema::Id")]
    reward_id: &'a RewardId,
    name: &'a str,
    /// The cost; absent where the customer chooses the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    cost: Option<Points>,
    /// The benefit.
    #[schemars(with = "schema::Sent<program::RewardBenefit>")]
    gives: BenefitResponse<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    minimum_subtotal: Option<Amount>,
    /// The products that the benefit is for; all by default.
    #[serde(skip_serializing_if = "ProductScope::is_empty")]
    #[schemars(with = "schema::Sent<program::Products>")]
    only: &'a ProductScope,
    /// The products that the benefit is not for.
    #[serde(skip_serializing_if = "ProductScope::is_empty")]
    #[schemars(with = "schema::Sent<program::Products>")]
    excluded: &'a ProductScope,
    /// The largest share of the goods' price that rewards pay together, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Decimal>")]
    maximum_share: Option<Rate>,
    /// The validity of a redemption.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Period>")]
    valid_for: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "schema::True")]
    points_back_when_expired: bool,
    #[serde(skip_serializing_if = "EligibilityConditions::is_empty")]
    #[schemars(with = "schema::Sent<program::Conditions>")]
    when: &'a EligibilityConditions,
    /// The limits for each customer.
    #[serde(skip_serializing_if = "<[Limit]>::is_empty")]
    #[schemars(with = "Vec<schema::Sent<program::Limit>>")]
    limits: &'a [Limit],
    /// The limits for all customers together.
    #[serde(skip_serializing_if = "<[Limit]>::is_empty")]
    #[schemars(with = "Vec<schema::Sent<program::Limit>>")]
    limits_in_all: &'a [Limit],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "schema::True")]
    individual_use: bool,
}

/// The benefit of a reward, in the form of the program's document.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum BenefitResponse<'a> {
    Fixed(&'a Benefit),
    Variable { variable_amount: &'a VariableAmount },
}

impl<'a> RewardResponse<'a> {
    pub(crate) fn new(reward: &'a Reward, program: &Program) -> Self {
        let (cost, gives) = match &reward.offer {
            RewardPricing::Fixed { cost, benefit: gives } => {
                (Some(*cost), BenefitResponse::Fixed(gives))
            }
            RewardPricing::Variable(variable_amount) => {
                (None, BenefitResponse::Variable { variable_amount })
            }
        };
        Self {
            reward_id: &reward.id,
            name: &reward.name,
            cost,
            gives,
            minimum_subtotal: reward.minimum_subtotal,
            only: &reward.only,
            excluded: &reward.excluded,
            maximum_share: reward.share_of_order(&program.definition().redemption),
            valid_for: reward.valid_for.map(|period| period.to_string()),
            points_back_when_expired: reward.points_back_when_expired,
            when: &reward.when,
            limits: &reward.limits,
            limits_in_all: &reward.total_limits,
            individual_use: reward.individual_use,
        }
    }
}

/// The rewards of a program for one customer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerRewards")]
pub(crate) struct CustomerRewardsResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    rewards: Vec<OfferedRewardResponse<'a>>,
}

/// A reward, and whether the customer can redeem it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerReward")]
struct OfferedRewardResponse<'a> {
    #[serde(flatten)]
    reward: RewardResponse<'a>,
    available: bool,
    /// The points that the balance lacks.
    #[schemars(with = "schema::Points")]
    points_missing: Points,
    /// The largest amount that the balance buys, where the customer chooses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    largest_amount: Option<Amount>,
    /// The reasons why the customer cannot redeem it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    why_not: Vec<UnavailableReason>,
}

/// A reason why a customer cannot redeem a reward.
#[derive(Debug, Serialize, JsonSchema)]
struct UnavailableReason {
    #[schemars(with = "ProblemCode")]
    code: &'static str,
    detail: String,
}

impl From<&Rejection> for UnavailableReason {
    fn from(rejection: &Rejection) -> Self {
        Self {
            code: rejection.code(),
            detail: to_sentence(&rejection.to_string()),
        }
    }
}

impl<'a> CustomerRewardsResponse<'a> {
    /// In the order of the program.
    pub(crate) fn new(view: &'a RewardsView) -> Self {
        let record = view.customer.record();
        let answer = |offered: &RewardOffer| {
            let reward = RewardResponse::new(view.program.reward(&offered.reward)?, &view.program);
            Some(OfferedRewardResponse {
                reward,
                available: offered.is_available(),
                points_missing: offered.missing_points,
                largest_amount: offered.largest_amount,
                why_not: offered.rejections.iter().map(UnavailableReason::from).collect(),
            })
        };
        Self {
            customer_id: record.id.as_ref(),
            email: record.email.as_ref().map(Email::as_str),
            point_balance: view.balance,
            rewards: view.offered.iter().filter_map(answer).collect(),
        }
    }

    pub(crate) fn point_balance(&self) -> Points {
        self.point_balance
    }
}

/// A page of redemptions, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Redemptions")]
pub(crate) struct RedemptionsResponse<'a> {
    pub(crate) redemptions: PageItems<RedemptionResponse<'a>>,
}

impl FromText for RedemptionStatus {
    const EXPECTED: &'static str = "a status such as \"issued\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let named = Self::ALL.into_iter().find(|status| status.name() == text);
        named.ok_or_else(|| {
            let sentence = "This must be issued, used, cancelled or expired.";
            FieldError::new(BodyErrorCode::InvalidValue, sentence)
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        schema::one_of_names(Self::ALL.map(Self::name))
    }
}

/// A redemption.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Redemption")]
pub(crate) struct RedemptionResponse<'a> {
    redemption_id: IdText,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    #[schemars(with = "schema::Id")]
    reward_id: &'a RewardId,
    name: &'a str,
    #[schemars(extend("enum" = ["issued", "used", "cancelled", "expired"]))]
    status: &'static str,
    /// The cause of a gift, which has cost no points.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::statement::BonusReason>")]
    cause: Option<CauseResponse<'a>>,
    /// The points paid.
    #[schemars(with = "schema::Points")]
    points: Points,
    /// The points that were given back, also for goods of its order that came back.
    #[schemars(with = "schema::Points")]
    points_returned: Points,
    /// The benefit.
    #[schemars(with = "schema::Sent<program::Benefit>")]
    gives: &'a Benefit,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::CodeText>")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_rule_id: Option<IdText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount_code_id: Option<IdText>,
    issued_at: TimeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<TimeText>,
    /// The time of its use, cancellation or expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<TimeText>,
    /// The order that used it, or whose cancellation returned its points.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    order_id: Option<OrderId>,
    /// What connected stores have done with the code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    publications: Vec<PublicationResponse<'a>>,
    /// The redemption as a sentence.
    text: String,
    /// The balance after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    point_balance: Option<Points>,
}

/// What a connected store has done with the code of a redemption.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Publication")]
struct PublicationResponse<'a> {
    store_id: &'a str,
    #[schemars(extend("enum" = ["published", "failed", "withdrawn"]))]
    status: &'static str,
    /// The store's own id of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code_id: Option<&'a str>,
    /// The reason of a failure, in the store's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    at: TimeText,
}

impl<'a> PublicationResponse<'a> {
    fn new(publication: &'a Publication) -> Self {
        let (code_id, reason) = match &publication.status {
            PublicationStatus::Published { code_id } => (code_id.as_deref(), None),
            PublicationStatus::Failed { reason } => (None, Some(&**reason)),
            PublicationStatus::Withdrawn => (None, None),
        };
        Self {
            store_id: publication.store.as_str(),
            status: publication.status.name(),
            code_id,
            reason,
            at: TimeText(publication.at),
        }
    }
}

/// The cause of a gift, as statements have it.
#[derive(Debug)]
struct CauseResponse<'a>(&'a AwardReason);

impl Serialize for CauseResponse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_reason(self.0, serializer)
    }
}

impl<'a> RedemptionResponse<'a> {
    /// The redemption as of `now`.
    pub(crate) fn new(
        view: &'a RedemptionView,
        customer: Option<&'a CustomerView>,
        now: Timestamp,
    ) -> Self {
        let (issue, record) = (view.redemption.issue(), customer.map(CustomerView::record));
        let state = view.redemption.state_at(now);
        let (since, order_id, back) = match &state {
            RedemptionState::Issued => (None, None, false),
            RedemptionState::Used { order, at } => (Some(*at), order.clone(), false),
            RedemptionState::Cancelled { order, at } => (Some(*at), order.clone(), true),
            RedemptionState::Expired { at, points_back } => (Some(*at), None, *points_back),
        };
        let ids = view.discount();
        Self {
            redemption_id: IdText(issue.id.0),
            customer_id: record.and_then(|record| record.id.as_ref()),
            email: record.and_then(|record| record.email.as_ref()).map(Email::as_str),
            reward_id: &issue.reward,
            name: &issue.name,
            status: state.name(),
            cause: issue.cause.as_ref().map(CauseResponse),
            points: issue.points,
            points_returned: if back { issue.points } else { view.redemption.refunded() },
            gives: &issue.benefit,
            code: issue.code.as_ref().map(loyalty_core::discount::Code::as_str),
            price_rule_id: ids.map(|(rule, _)| IdText(rule.0)),
            discount_code_id: ids.map(|(_, code)| IdText(code.0)),
            issued_at: TimeText(issue.at),
            ends_at: view.redemption.ends_at().map(TimeText),
            since: since.map(TimeText),
            order_id,
            publications: view.redemption.publications().map(PublicationResponse::new).collect(),
            text: issue.to_string(),
            point_balance: None,
        }
    }

    /// The redemption after a request, or `None` where the receipt has none.
    pub(crate) fn from_receipt(receipt: &'a Receipt) -> Option<Self> {
        let customer = receipt.customer.as_ref();
        let answer = Self::new(receipt.redemption.as_deref()?, customer, receipt.at);
        Some(Self {
            point_balance: customer.map(|customer| customer.balance(receipt.at)),
            ..answer
        })
    }
}
