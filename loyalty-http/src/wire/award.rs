//! Actions and awards on the wire.

use loyalty_core::{
    ActionId, Award, Command, CustomerId, Email, Event, Limit, Points, RewardId, Statement,
};
use loyalty_store::{CustomerRef, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::json::BodyErrorCode;
use super::json::field::{Integer, Text};
use super::ledger::EntryId;
use super::points::parse_single_customer_ref;
use super::schema::{self, program};
use super::value::{ParsedField, TimeText, parse_points};
use crate::problem::Problem;

/// `allOf`: one customer, and an action or a code, which has its own points.
fn action_rules() -> Value {
    let mut rules = schema::one_customer();
    let action = schema::needs(&[("action_id", "string"), ("code", "null")]);
    let code = schema::needs(&[("code", "string"), ("action_id", "null"), ("points", "null")]);
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "oneOf": [action, code] }));
    }
    rules
}

/// An action of the program that a customer performed, or a manual code that the customer entered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActionRequest", extend("allOf" = action_rules()))]
pub(crate) struct ActionBody {
    customer_id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
    action_id: Option<ParsedField<ActionId>>,
    /// A number of points other than the program's, where the program allows that.
    #[schemars(with = "Option<schema::SomePoints>")]
    points: Option<Integer>,
    code: Option<Text<100>>,
}

impl ActionBody {
    /// Returns the customer and the command for the account.
    pub(crate) fn parse(self) -> Result<(CustomerRef, Command), Problem> {
        let customer = parse_single_customer_ref(self.customer_id, self.email)?;
        let wanted = self
            .points
            .map(|number| parse_points(number.0, 1, "/points"))
            .transpose()?;
        match (self.action_id, self.code, wanted) {
            (Some(ParsedField(action)), None, points) => {
                Ok((customer, Command::PerformAction { action, points }))
            }
            (None, Some(code), None) => Ok((
                customer,
                Command::EnterCode { code: code.as_str().into(), used_by_other: false },
            )),
            (None, Some(_), Some(_)) => {
                let detail = "A code gives its own points.";
                Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                    .with_param("/points"))
            }
            (Some(_), Some(_), _) => {
                let detail = "Say an `action_id` or a `code`, not both.";
                Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                    .with_param("/code"))
            }
            (None, None, _) => {
                let detail = "Say what was done: an `action_id` of the program, or a `code`.";
                Err(Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
                    .with_param("/action_id"))
            }
        }
    }
}

/// Points awarded for something other than an order's basis.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Award")]
pub(crate) struct AwardResponse<'a> {
    /// The reason of the award.
    #[schemars(extend("enum" = ["action", "anniversary", "birthday", "code", "goal", "referral_milestone", "referral_received", "referral_sent", "sign_up", "tier_entry"]))]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    action_id: Option<&'a ActionId>,
    #[schemars(with = "schema::Points")]
    points: Points,
    /// True where a limit reduced the award to fewer points than `wanted`.
    partial: bool,
    /// The reward that was given beside the points, or alone. Its redemption is among those of the
    /// customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    reward_id: Option<&'a RewardId>,
    /// The points without the limit.
    #[schemars(with = "schema::Points")]
    wanted: Points,
    /// The limit that reduced the award.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Sent<program::Limit>>")]
    limit: Option<LimitResponse>,
    /// From then on the points can be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<TimeText>,
    /// From then on the points can no longer be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<TimeText>,
    /// The award as a sentence.
    text: String,
    /// What the sentence says, in no language.
    #[schemars(with = "Vec<schema::statement::Statement>", length(min = 1))]
    statements: Vec<Statement>,
    #[serde(skip)]
    spendable_points: Points,
}

/// A limit, in the form of the program's document.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct LimitResponse(Limit);

impl AwardResponse<'_> {
    /// The points that can be spent or that reduced a debt.
    pub(crate) fn spendable_points(&self) -> Points {
        self.spendable_points
    }
}

/// The awards of a request, without those that were due before it.
pub(crate) fn awards_of(receipt: &Receipt) -> Vec<AwardResponse<'_>> {
    let given = receipt.events.iter().filter_map(|event| {
        let Event::AwardGiven { points, lot, award, at } = event else {
            return None;
        };
        let part = lot.as_ref();
        (*at >= receipt.at).then(|| AwardResponse {
            pending_until: part.and_then(|lot| lot.pending_until).map(TimeText),
            expires_at: part.and_then(|lot| lot.expires_at).map(TimeText),
            spendable_points: event.points(),
            ..AwardResponse::from_award(award, *points)
        })
    });
    given.collect()
}

impl<'a> AwardResponse<'a> {
    fn from_award(award: &'a Award, points: Points) -> Self {
        Self {
            kind: award.reason.name(),
            action_id: award.reason.action(),
            points,
            partial: award.limited_by.is_some(),
            reward_id: award.given_reward(),
            wanted: award.uncapped,
            limit: award.limited_by.map(LimitResponse),
            pending_until: None,
            expires_at: None,
            text: award.explain(points),
            statements: award.statements(points),
            spendable_points: points,
        }
    }
}

/// The awards of an action, and the balance after them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActionResult")]
pub(crate) struct ActionResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    awards: Vec<AwardResponse<'a>>,
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    #[schemars(with = "schema::Points")]
    pending: Points,
    entry_id: Option<EntryId>,
    at: TimeText,
}

impl<'a> ActionResponse<'a> {
    pub(crate) fn new(who: &'a CustomerRef, receipt: &'a Receipt) -> Self {
        let asked_for =
            |event: &Event| matches!(event, Event::AwardGiven { at, .. } if *at >= receipt.at);
        let index = receipt.events.iter().position(asked_for);
        let (customer, at) = (receipt.customer.as_ref(), receipt.at);
        Self {
            customer_id: who.id(),
            email: who.email().map(Email::as_str),
            awards: awards_of(receipt),
            point_balance: customer.map_or(Points::ZERO, |customer| customer.balance(at)),
            pending: customer.map_or(Points::ZERO, |customer| customer.pending(at)),
            entry_id: receipt.seq.zip(index).map(|(seq, index)| EntryId { seq, index }),
            at: TimeText(at),
        }
    }
}
