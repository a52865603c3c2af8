//! Points for something else than an order's basis, on the wire: asked for, and given.

use loyalty_core::{ActionId, Award, Command, CustomerId, Email, Event, Limit, Points};
use loyalty_store::{Receipt, CustomerRef};
use serde::{Deserialize, Serialize};

use super::json::Code;
use super::json::field::{Integer, Text};
use super::ledger::EntryId;
use super::points::named;
use super::value::{Parsed, Time, points};
use crate::problem::Problem;

/// What a customer did: an action of the program, or a code that they typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionBody {
    customer_id: Option<Parsed<CustomerId>>,
    email: Option<Parsed<Email>>,
    action_id: Option<Parsed<ActionId>>,
    points: Option<Integer>,
    code: Option<Text<100>>,
}

impl ActionBody {
    /// Who did it, and what the rules are asked.
    pub(crate) fn parse(self) -> Result<(CustomerRef, Command), Problem> {
        let who = named(self.customer_id, self.email)?;
        let wanted = self.points.map(|number| points(number.0, 1, "/points")).transpose()?;
        match (self.action_id, self.code, wanted) {
            (Some(Parsed(action)), None, points) => {
                Ok((who, Command::PerformAction { action, points }))
            }
            (None, Some(code), None) => {
                Ok((who, Command::EnterCode { code: code.as_str().into(), used_by_other: false }))
            }
            (None, Some(_), Some(_)) => {
                let detail = "A code gives its own points.";
                Err(Problem::unprocessable(Code::InvalidValue.as_str(), detail).at("/points"))
            }
            (Some(_), Some(_), _) => {
                let detail = "Say an `action_id` or a `code`, not both.";
                Err(Problem::unprocessable(Code::InvalidValue.as_str(), detail).at("/code"))
            }
            (None, None, _) => {
                let detail = "Say what was done: an `action_id` of the program, or a `code`.";
                Err(Problem::bad_request(Code::MissingField.as_str(), detail).at("/action_id"))
            }
        }
    }
}

/// Points that were given, and why.
#[derive(Debug, Serialize)]
pub(crate) struct AwardAnswer<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_id: Option<&'a ActionId>,
    points: Points,
    /// A limit cut what would have been this many points.
    partial: bool,
    wanted: Points,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<LimitAnswer>,
    /// From when on they can be spent, where that is not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    text: String,
    #[serde(skip)]
    to_balance: Points,
}

/// A limit of the program, as its document says it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct LimitAnswer(Limit);

impl AwardAnswer<'_> {
    /// What of it can be spent, or paid off debt.
    pub(crate) fn to_balance(&self) -> Points {
        self.to_balance
    }
}

/// What a request brought about, but for what time had brought about before.
pub(crate) fn given(receipt: &Receipt) -> Vec<AwardAnswer<'_>> {
    let given = receipt.events.iter().filter_map(|event| {
        let Event::AwardGiven { points, lot, award, at } = event else {
            return None;
        };
        let part = lot.as_ref();
        (*at >= receipt.at).then(|| AwardAnswer {
            pending_until: part.and_then(|lot| lot.pending_until).map(Time),
            expires_at: part.and_then(|lot| lot.expires_at).map(Time),
            to_balance: event.points(),
            ..AwardAnswer::of(award, *points)
        })
    });
    given.collect()
}

impl<'a> AwardAnswer<'a> {
    fn of(award: &'a Award, points: Points) -> Self {
        Self {
            kind: award.reason.name(),
            action_id: award.reason.action(),
            points,
            partial: award.limited_by.is_some(),
            wanted: award.uncapped,
            limit: award.limited_by.map(LimitAnswer),
            pending_until: None,
            expires_at: None,
            text: award.explain(points),
            to_balance: points,
        }
    }
}

/// What an action gave, and what followed from it.
#[derive(Debug, Serialize)]
pub(crate) struct ActionAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    awards: Vec<AwardAnswer<'a>>,
    point_balance: Points,
    pending: Points,
    entry_id: Option<EntryId>,
    at: Time,
}

impl<'a> ActionAnswer<'a> {
    pub(crate) fn new(who: &'a CustomerRef, receipt: &'a Receipt) -> Self {
        let asked_for =
            |event: &Event| matches!(event, Event::AwardGiven { at, .. } if *at >= receipt.at);
        let index = receipt.events.iter().position(asked_for);
        let (customer, at) = (receipt.customer.as_ref(), receipt.at);
        Self {
            customer_id: who.id(),
            email: who.email().map(Email::as_str),
            awards: given(receipt),
            point_balance: customer.map_or(Points::ZERO, |customer| customer.balance(at)),
            pending: customer.map_or(Points::ZERO, |customer| customer.pending(at)),
            entry_id: receipt.seq.zip(index).map(|(seq, index)| EntryId { seq, index }),
            at: Time(at),
        }
    }
}
