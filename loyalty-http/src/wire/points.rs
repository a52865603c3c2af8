//! Points on the wire: changes and balances.

use loyalty_core::event::AdjustmentReason;
use loyalty_core::{ActionId, CustomerId, Email, Event, Points, Timestamp};
use loyalty_store::{CustomerRef, CustomerView, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::BodyErrorCode;
use super::json::field::{Integer, Text};
use super::ledger::EntryId;
use super::schema;
use super::value::{ParsedField, TimeText, parse_points};
use crate::problem::Problem;

/// Points to be added or subtracted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PointsChange", extend("allOf" = schema::one_customer()))]
pub(crate) struct PointsBody {
    customer_id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
    #[schemars(with = "schema::SomePoints")]
    points: Integer,
    reason: Option<Text<500>>,
    /// An action of the program that the ledger names with these points.
    action_id: Option<ParsedField<ActionId>>,
}

/// A customer, a number of points and a reason.
#[derive(Debug)]
pub(crate) struct PointsChange {
    pub(crate) customer: CustomerRef,
    pub(crate) points: Points,
    pub(crate) reason: AdjustmentReason,
}

impl PointsBody {
    /// Checks that one customer is named in one way, and that there is at least one point.
    pub(crate) fn parse(self) -> Result<PointsChange, Problem> {
        let customer = parse_single_customer_ref(self.customer_id, self.email)?;
        let reason = AdjustmentReason {
            action: self.action_id.map(|action| action.0),
            text: self.reason.map(|reason| reason.as_str().into()),
            ..AdjustmentReason::default()
        };
        Ok(PointsChange {
            customer,
            points: parse_points(self.points.0, 1, "/points")?,
            reason,
        })
    }
}

/// Returns the customer, or a problem where not exactly one of id and e-mail is there.
pub(crate) fn parse_single_customer_ref(
    id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
) -> Result<CustomerRef, Problem> {
    match (id, email) {
        (Some(ParsedField(id)), None) => Ok(CustomerRef::Id(id)),
        (None, Some(ParsedField(email))) => Ok(CustomerRef::Email(email)),
        (None, None) => {
            let detail = "Say whose points: `customer_id` or `email`.";
            Err(Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
                .with_param("/customer_id"))
        }
        (Some(_), Some(_)) => {
            let detail = "Name the customer by `customer_id` or by `email`, not by both.";
            Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param("/email"))
        }
    }
}

/// The outcome of a change. The customer is named as in the request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PointsChangeResult")]
pub(crate) struct PointsResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    #[schemars(with = "schema::SomePoints")]
    points: Points,
    /// The balance after the change.
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    /// The entry of the ledger; null for a dry run.
    entry_id: Option<EntryId>,
    at: TimeText,
}

impl<'a> PointsResponse<'a> {
    /// The response to a request about `customer` and `points`.
    pub(crate) fn new(customer: &'a CustomerRef, points: Points, receipt: &Receipt) -> Self {
        // A request about one known customer writes one row, whose events these are.
        let is_change = |event: &Event| {
            matches!(event, Event::PointsAdded { .. } | Event::PointsSubtracted { .. })
        };
        let index = receipt.events.iter().position(is_change);
        Self {
            customer_id: customer.id(),
            email: customer.email().map(Email::as_str),
            points,
            point_balance: receipt
                .customer
                .as_ref()
                .map_or(Points::ZERO, |known| known.balance(receipt.at)),
            entry_id: receipt.seq.zip(index).map(|(seq, index)| EntryId { seq, index }),
            at: TimeText(receipt.at),
        }
    }
}

/// Customers whose balances are requested.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BalancesRequest")]
pub(crate) struct BalancesBody {
    #[schemars(length(min = 1, max = MAX_BALANCES))]
    customer_ids: Vec<ParsedField<CustomerId>>,
}

/// The most balances of a request.
const MAX_BALANCES: usize = 1_000;

impl BalancesBody {
    /// Checks that there are 1 to 1,000 ids.
    pub(crate) fn parse(self) -> Result<Vec<CustomerId>, Problem> {
        check_id_count(self.customer_ids.into_iter().map(|id| id.0).collect(), "/customer_ids")
    }
}

/// Checks the number of ids; `param` is their place.
pub(crate) fn check_id_count(
    ids: Vec<CustomerId>,
    param: &str,
) -> Result<Vec<CustomerId>, Problem> {
    if (1..=MAX_BALANCES).contains(&ids.len()) {
        return Ok(ids);
    }
    let detail = format!("1 to {MAX_BALANCES} ids can be asked for at once.");
    Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail).with_param(param))
}

/// A customer's balance.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Balance")]
pub(crate) struct BalanceResponse<'a> {
    #[schemars(with = "schema::Id")]
    pub(crate) customer_id: &'a CustomerId,
    /// Points that can be spent, less debt.
    #[schemars(with = "schema::Points")]
    pub(crate) point_balance: Points,
    /// Points that are earned and cannot be spent yet.
    #[schemars(with = "schema::Points")]
    pub(crate) pending: Points,
    /// The instant that was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<TimeText>,
}

impl<'a> BalanceResponse<'a> {
    /// A customer's balance at `now`; `requested` is the instant of the request.
    pub(crate) fn new(
        customer_id: &'a CustomerId,
        customer: &CustomerView,
        now: Timestamp,
        requested: Option<Timestamp>,
    ) -> Self {
        let (point_balance, pending) = (customer.balance(now), customer.pending(now));
        Self {
            customer_id,
            point_balance,
            pending,
            at: requested.map(TimeText),
        }
    }
}

/// The balances of many customers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Balances")]
pub(crate) struct BalancesResponse<'a> {
    pub(crate) balances: Vec<BalanceResponse<'a>>,
    /// The ids that no customer has.
    #[schemars(with = "Vec<schema::Id>")]
    pub(crate) unknown: Vec<&'a CustomerId>,
}
