//! Refunds on the wire.

use loyalty_core::{
    Amount, LineId, Refund, RefundContent, RefundId, Rejection as Refusal, Timestamp,
};
use loyalty_store::Rejection;
use schemars::JsonSchema;
use serde::Deserialize;

use super::json::BodyErrorCode;
use super::json::field::TimeField;
use super::schema;
use super::value::{ParsedField, QuantityField};
use crate::problem::Problem;

/// A refund by amount, by lines or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Refund", extend("anyOf" = [schema::needs(&[("amount", "string")]), schema::needs(&[("lines", "array")])]))]
pub(crate) struct RefundBody {
    refund_id: ParsedField<RefundId>,
    /// The money paid out.
    amount: Option<ParsedField<Amount>>,
    #[schemars(length(min = 1))]
    lines: Option<Vec<RefundLineBody>>,
    refunded_at: Option<TimeField>,
}

/// Units of one line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RefundLine")]
struct RefundLineBody {
    line_id: ParsedField<LineId>,
    quantity: QuantityField,
}

impl RefundBody {
    /// Returns the refund, and its time by the shop's clock.
    pub(crate) fn parse(self) -> Result<(Refund, Option<Timestamp>), Problem> {
        let amount = self.amount.map(|amount| amount.0);
        let refunded = match (self.lines, amount) {
            (Some(lines), _) if lines.is_empty() => {
                let detail = "Name at least one line, or leave `lines` out for a refund by amount.";
                return Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                    .with_param("/lines"));
            }
            (Some(lines), amount) => {
                let lines = lines
                    .into_iter()
                    .map(|line| (line.line_id.0, line.quantity.0))
                    .collect();
                RefundContent::Lines { lines, amount }
            }
            (None, Some(amount)) => RefundContent::Amount(amount),
            (None, None) => {
                let detail = "Say what is refunded: an `amount`, or `lines`.";
                return Err(Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
                    .with_param("/amount"));
            }
        };
        Ok((Refund { id: self.refund_id.0, refunded }, self.refunded_at.map(|at| at.0)))
    }
}

/// Returns a function from a rejection to the pointer of its cause in the body.
pub(crate) fn error_pointer(
    refund: &Refund,
) -> impl FnOnce(&Rejection) -> Option<String> + Send + use<> {
    let refunded = refund.refunded.clone();
    move |rejection| match rejection.code() {
        "refund_differs" => Some("/refund_id".to_owned()),
        "refund_exceeds_line" => {
            line_index(&refunded, rejection).map(|index| format!("/lines/{index}/quantity"))
        }
        "refund_exceeds_order" => match refunded {
            RefundContent::Amount(_) | RefundContent::Lines { amount: Some(_), .. } => {
                Some("/amount".to_owned())
            }
            RefundContent::Lines { amount: None, .. } => Some("/lines".to_owned()),
        },
        "unknown_line" => {
            line_index(&refunded, rejection).map(|index| format!("/lines/{index}/line_id"))
        }
        _ => None,
    }
}

/// Returns the last index of the rejected line, where its units became too many.
fn line_index(refunded: &RefundContent, rejection: &Rejection) -> Option<usize> {
    let Rejection::Rules(
        Refusal::RefundExceedsLine { line: guilty, .. } | Refusal::UnknownLine { line: guilty },
    ) = rejection
    else {
        return None;
    };
    match refunded {
        RefundContent::Amount(_) => None,
        RefundContent::Lines { lines, .. } => lines.iter().rposition(|(line, _)| line == guilty),
    }
}
