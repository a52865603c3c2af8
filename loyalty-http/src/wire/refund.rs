//! Refunds on the wire.

use loyalty_core::order::RefundError;
use loyalty_core::{
    Amount, Currency, LineId, Refund, RefundAmount, RefundContent, RefundCurrency, RefundId,
    Rejection as Refusal, Timestamp,
};
use loyalty_store::{Rejection, Shop};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::json::BodyErrorCode;
use super::json::field::TimeField;
use super::schema;
use super::value::{ParsedField, QuantityField, check_decimals};
use crate::problem::{Problem, to_sentence};

/// A refund by amount, by lines or both.
///
/// Money without lines is for the goods first. Lines without money take their share. With both,
/// the lines bear the money, and the money says how much.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "Refund",
    extend(
        "anyOf" = [schema::needs(&[("amount", "string")]), schema::needs(&[("lines", "array")])],
        "dependentRequired" = parts_need_amount()
    )
)]
pub(crate) struct RefundBody {
    refund_id: ParsedField<RefundId>,
    /// The total paid out.
    amount: Option<ParsedField<Amount>>,
    /// The part of the amount that is shipping. It takes points only where shipping earns.
    shipping: Option<ParsedField<Amount>>,
    /// The part of the amount that is tax. It takes points only where tax earns.
    tax: Option<ParsedField<Amount>>,
    /// The currency of the amounts. An order that came in another currency than the shop's needs
    /// it, unless `shop_money` is sent. The order's own rate converts it.
    currency: Option<ParsedField<Currency>>,
    /// The amounts in the shop's currency.
    shop_money: Option<RefundShopMoney>,
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

/// The amounts of a refund in the shop's currency, for an order in another one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RefundShopMoney {
    amount: ParsedField<Amount>,
    shipping: Option<ParsedField<Amount>>,
    tax: Option<ParsedField<Amount>>,
}

/// The members that say something of the amount.
const PARTS: [&str; 3] = ["shipping", "tax", "shop_money"];

fn parts_need_amount() -> Value {
    PARTS
        .into_iter()
        .map(|part| (part.to_owned(), json!(["amount"])))
        .collect()
}

impl RefundBody {
    /// Returns the refund, and its time by the shop's clock.
    pub(crate) fn parse(mut self, shop: &Shop) -> Result<(Refund, Option<Timestamp>), Problem> {
        let amount = self.take_amount(shop)?;
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
                return Err(missing_amount("Say what is refunded: an `amount`, or `lines`."));
            }
        };
        Ok((Refund { id: self.refund_id.0, refunded }, self.refunded_at.map(|at| at.0)))
    }

    /// The money with its parts; `None` if the refund names none.
    fn take_amount(&mut self, shop: &Shop) -> Result<Option<RefundAmount>, Problem> {
        let value = |part: Option<ParsedField<Amount>>| part.map(|part| part.0);
        let (shipping, tax) = (value(self.shipping.take()), value(self.tax.take()));
        let shop_money = self.shop_money.take();
        let Some(ParsedField(amount)) = self.amount.take() else {
            if shipping.is_some() || tax.is_some() || shop_money.is_some() {
                return Err(missing_amount("The parts of a refund need its total `amount`."));
            }
            return Ok(None);
        };

        let refunded = with_parts(amount, shipping, tax, "")?;
        let digits = shop.minor_digits();
        let currency = match &self.currency {
            None => RefundCurrency::Unnamed,
            Some(ParsedField(currency)) if *currency == shop.currency => RefundCurrency::Shop,
            Some(ParsedField(currency)) => RefundCurrency::Order(*currency),
        };
        let Some(money) = shop_money else {
            if !matches!(currency, RefundCurrency::Order(_)) {
                check_parts(&refunded, digits, "")?;
            }
            return Ok(Some(refunded.in_currency(currency)));
        };
        let RefundShopMoney { amount: ParsedField(amount), shipping, tax } = money;
        let refunded = with_parts(amount, value(shipping), value(tax), "/shop_money")?;
        check_parts(&refunded, digits, "/shop_money")?;
        Ok(Some(refunded.in_currency(RefundCurrency::Shop)))
    }
}

fn missing_amount(detail: &'static str) -> Problem {
    Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail).with_param("/amount")
}

/// The amount with its parts. `pointer` is that of the object with the amounts.
fn with_parts(
    amount: Amount,
    shipping: Option<Amount>,
    tax: Option<Amount>,
    pointer: &str,
) -> Result<RefundAmount, Problem> {
    let problem = |error: &RefundError, part: &str| {
        Problem::unprocessable("refund_parts_exceed_amount", to_sentence(&error.to_string()))
            .with_param(format!("{pointer}/{part}"))
    };
    let mut refunded = RefundAmount::new(amount);
    if let Some(shipping) = shipping {
        refunded = refunded
            .with_shipping(shipping)
            .map_err(|error| problem(&error, "shipping"))?;
    }
    if let Some(tax) = tax {
        refunded = refunded.with_tax(tax).map_err(|error| problem(&error, "tax"))?;
    }
    Ok(refunded)
}

/// Checks that no amount has more decimals than the shop's currency.
fn check_parts(refunded: &RefundAmount, digits: u32, pointer: &str) -> Result<(), Problem> {
    let tax = refunded.tax().unwrap_or_default();
    [("amount", refunded.amount()), ("shipping", refunded.shipping()), ("tax", tax)]
        .into_iter()
        .try_for_each(|(name, amount)| {
            check_decimals(amount, digits, || format!("{pointer}/{name}"))
        })
}

/// Returns a function from a rejection to the pointer of its cause in the body.
pub(crate) fn error_pointer(
    refund: &Refund,
) -> impl FnOnce(&Rejection) -> Option<String> + Send + use<> {
    let refunded = refund.refunded.clone();
    move |rejection| match rejection.code() {
        "currency_mismatch" | "currency_required" => Some("/currency".to_owned()),
        "refund_differs" => Some("/refund_id".to_owned()),
        "refund_exceeds_line" => {
            line_index(&refunded, rejection).map(|index| format!("/lines/{index}/quantity"))
        }
        "refund_exceeds_order" => {
            let member = if refunded.amount().is_some() { "/amount" } else { "/lines" };
            Some(member.to_owned())
        }
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
    refunded.lines().iter().rposition(|(line, _)| line == guilty)
}
