//! Carts on the wire: their lines, and the discounts of their codes.

use std::borrow::Cow;

use loyalty_core::discount::{
    AppliedCode, Cart, CartError, CartLine, Code as DiscountCode, CodeOutcome, Customer,
    DiscountClass, Evaluation, LineTotal, ShippingLine,
};
use loyalty_core::{
    Amount, CategoryId, CheckoutId, CountryId, Currency, CustomerId, Email, LineId, ProductId,
    SegmentId, Timestamp, VariantId,
};
use loyalty_store::{CartQuery, CustomerRef, DiscountAction, Shop};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::json::field::{Text, TimeField};
use super::price_rule::AnyId;
use super::schema;
use super::value::ParsedField;
use crate::problem::{Problem, to_sentence};
use crate::throttle::ThrottleSubject;

/// The buyer of a cart.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Buyer")]
pub(crate) struct BuyerBody {
    customer_id: Option<AnyId<CustomerId>>,
    email: Option<ParsedField<Email>>,
    segment_ids: Option<Vec<AnyId<SegmentId>>>,
}

/// A cart with its discount codes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cart")]
pub(crate) struct CartBody {
    customer: Option<BuyerBody>,
    #[schemars(length(max = Cart::MAX_LINES))]
    lines: Vec<CartLineBody>,
    #[schemars(length(max = Cart::MAX_SHIPPING_LINES))]
    shipping: Option<Vec<CartShippingBody>>,
    country: Option<ParsedField<CountryId>>,
    /// The shop's currency, or absent.
    currency: Option<ParsedField<Currency>>,
    #[schemars(length(max = Cart::MAX_CODES))]
    codes: Option<Vec<ParsedField<DiscountCode>>>,
    checkout_id: Option<ParsedField<CheckoutId>>,
    /// The shopper's network address. Too many unknown codes slow down this address alone.
    address: Option<Text<255>>,
}

/// A line of a cart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CartLine")]
struct CartLineBody {
    /// The id of the line; by default its position, counted from 1.
    line_id: Option<AnyId<LineId>>,
    product_id: Option<AnyId<ProductId>>,
    variant_id: Option<AnyId<VariantId>>,
    categories: Option<Vec<AnyId<CategoryId>>>,
    quantity: u32,
    /// The price of one unit.
    price: ParsedField<Amount>,
    gift_card: Option<bool>,
}

/// A shipping line of a cart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CartShippingLine")]
struct CartShippingBody {
    line_id: Option<AnyId<LineId>>,
    price: ParsedField<Amount>,
}

impl BuyerBody {
    fn throttle_name(&self) -> Option<String> {
        let id = self.customer_id.as_ref().map(|id| id.0.as_str().to_owned());
        id.or_else(|| self.email.as_ref().map(|email| email.0.key().to_owned()))
    }

    fn customer(self) -> Customer {
        Customer {
            id: self.customer_id.map(|id| id.0),
            email: self.email.map(|email| email.0),
            segments: segment_ids(self.segment_ids).into_iter().collect(),
            ..Customer::default()
        }
    }
}

fn segment_ids(ids: Option<Vec<AnyId<SegmentId>>>) -> Vec<SegmentId> {
    ids.unwrap_or_default().into_iter().map(|id| id.0).collect()
}

fn parse_line_id(id: Option<AnyId<LineId>>, position: u32) -> Result<LineId, Problem> {
    match id {
        Some(AnyId(id)) => Ok(id),
        None => LineId::new(position.to_string()).map_err(Problem::internal),
    }
}

impl CartBody {
    /// Returns the cart as of `now`, and the subject of the throttle.
    pub(crate) fn parse(
        self,
        shop: &Shop,
        now: Timestamp,
    ) -> Result<(CartQuery, ThrottleSubject), Problem> {
        if self
            .currency
            .is_some_and(|ParsedField(currency)| currency != shop.currency)
        {
            let detail =
                format!("Carts are in the shop's currency, which is {}.", shop.currency.code());
            return Err(Problem::unprocessable("currency_mismatch", detail).with_param("/currency"));
        }
        let buyer = self.customer.unwrap_or_default();
        let address = self.address.map(Text::into_string);
        let subject = ThrottleSubject { customer: buyer.throttle_name(), address };
        let lines = self
            .lines
            .into_iter()
            .zip(1_u32..)
            .map(CartLineBody::parse)
            .collect::<Result<_, _>>()?;
        let shipping = self.shipping.unwrap_or_default().into_iter().zip(1_u32..);
        let shipping = shipping.map(|(line, position)| {
            Ok(ShippingLine {
                id: parse_line_id(line.line_id, position)?,
                price: line.price.0,
            })
        });
        let cart = Cart {
            lines,
            shipping: shipping.collect::<Result<_, Problem>>()?,
            country: self.country.map(|country| country.0),
            customer: buyer.customer(),
            codes: self
                .codes
                .unwrap_or_default()
                .into_iter()
                .map(|code| code.0)
                .collect(),
            at: now,
        };
        let checkout = self.checkout_id.map(|checkout| checkout.0);
        Ok((CartQuery { cart, checkout }, subject))
    }
}

impl CartLineBody {
    fn parse((line, position): (Self, u32)) -> Result<CartLine, Problem> {
        Ok(CartLine {
            id: parse_line_id(line.line_id, position)?,
            product: line.product_id.map(|id| id.0),
            variant: line.variant_id.map(|id| id.0),
            categories: line
                .categories
                .unwrap_or_default()
                .into_iter()
                .map(|id| id.0)
                .collect(),
            quantity: line.quantity,
            price: line.price.0,
            gift_card: line.gift_card.unwrap_or_default(),
        })
    }
}

/// The problem of a cart that cannot be evaluated, with its pointer.
pub(crate) fn cart_problem(error: &CartError) -> Problem {
    let pointer = match error {
        CartError::TooManyCodes | CartError::OtherCurrency(_) => "/codes",
        CartError::TooManyShippingLines => "/shipping",
        CartError::DuplicateLine(_)
        | CartError::FinerThanCurrency(_)
        | CartError::TooLarge
        | CartError::TooManyLines
        | _ => "/lines",
    };
    Problem::unprocessable(error.code(), to_sentence(&error.to_string())).with_param(pointer)
}

/// A cart after its discount codes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CartEvaluation")]
pub(crate) struct CartResponse<'a> {
    #[schemars(with = "schema::Currency")]
    currency: &'static str,
    /// The sum of all discounts.
    #[schemars(with = "schema::Amount")]
    discount: Amount,
    /// The amount left to pay for lines and shipping.
    #[schemars(with = "schema::Amount")]
    total: Amount,
    lines: Vec<LineTotalResponse<'a>>,
    shipping: Vec<LineTotalResponse<'a>>,
    codes: Vec<CodeOutcomeResponse<'a>>,
}

/// A line after its discounts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LineTotal")]
struct LineTotalResponse<'a> {
    #[schemars(with = "schema::Id")]
    line_id: &'a LineId,
    #[schemars(with = "schema::Amount")]
    amount: Amount,
    #[schemars(with = "schema::Amount")]
    discount: Amount,
    #[schemars(with = "schema::Amount")]
    left: Amount,
}

impl<'a> From<&'a LineTotal> for LineTotalResponse<'a> {
    fn from(total: &'a LineTotal) -> Self {
        Self {
            line_id: &total.line,
            amount: total.amount,
            discount: total.discount,
            left: total.remaining,
        }
    }
}

/// A discount code of a cart. All of it is for the shop. Of a code that does not apply, a shopper
/// may see the public members alone.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "CartCode")]
enum CodeOutcomeResponse<'a> {
    Applied(AppliedCodeResponse<'a>),
    Rejected(RejectedCodeResponse<'a>),
}

/// A discount code that applies.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AppliedCode")]
struct AppliedCodeResponse<'a> {
    #[schemars(with = "schema::CodeText")]
    code: &'a str,
    #[schemars(with = "schema::True")]
    applied: bool,
    #[schemars(with = "schema::Numeral")]
    code_id: String,
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    #[schemars(extend("enum" = ["product", "order", "shipping"]))]
    class: &'static str,
    #[schemars(with = "schema::Amount")]
    discount: Amount,
    shares: Vec<LineShareResponse<'a>>,
    text: String,
    /// A text that a shopper may see.
    public_text: String,
}

/// A discount code that does not apply.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RejectedCode")]
struct RejectedCodeResponse<'a> {
    #[schemars(with = "schema::CodeText")]
    code: &'a str,
    #[schemars(with = "schema::False")]
    applied: bool,
    /// The reason, for the shop alone.
    #[schemars(with = "CodeRejectionCode")]
    reason: &'static str,
    text: String,
    /// The reason that a shopper may see.
    #[schemars(with = "PublicCodeRejectionCode")]
    public_reason: &'static str,
    /// A text that a shopper may see.
    public_text: String,
}

/// The reason why a discount code does not apply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeRejectionCode;

impl JsonSchema for CodeRejectionCode {
    fn schema_name() -> Cow<'static, str> {
        "CodeRejection".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The reason why a discount code does not apply.",
            "type": "string",
            "enum": [
                "already_used_by_customer", "country_not_entitled", "customer_not_eligible",
                "customer_required", "disabled", "duplicate_code", "expired", "individual_use",
                "minimum_quantity_not_met", "minimum_subtotal_not_met", "no_entitled_lines",
                "no_shipping_lines", "not_combined", "not_yet_valid", "prerequisites_not_met",
                "same_rule", "shipping_price_above_maximum", "unknown_code", "used_up"
            ]
        })
    }
}

/// The reason that a shopper may see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicCodeRejectionCode;

impl JsonSchema for PublicCodeRejectionCode {
    fn schema_name() -> Cow<'static, str> {
        "PublicCodeRejection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description":
                "The reason that a shopper may see. Reasons that would help a guesser are one.",
            "anyOf": [
                generator.subschema_for::<CodeRejectionCode>(),
                { "const": "code_not_valid" }
            ]
        })
    }
}

/// A line's share of a discount.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LineShare")]
struct LineShareResponse<'a> {
    #[schemars(with = "schema::Id")]
    line_id: &'a LineId,
    #[schemars(with = "schema::Amount")]
    amount: Amount,
}

impl<'a> From<&'a CodeOutcome> for CodeOutcomeResponse<'a> {
    fn from(outcome: &'a CodeOutcome) -> Self {
        let (code, text) = (outcome.code.as_str(), outcome.to_string());
        let public_text = outcome.public_text();

        match &outcome.outcome {
            Ok(applied) => {
                Self::Applied(AppliedCodeResponse::new(code, applied, text, public_text))
            }
            Err(rejection) => Self::Rejected(RejectedCodeResponse {
                code,
                applied: false,
                reason: rejection.code(),
                text,
                public_reason: rejection.public_code(),
                public_text,
            }),
        }
    }
}

impl<'a> AppliedCodeResponse<'a> {
    fn new(code: &'a str, applied: &'a AppliedCode, text: String, public_text: String) -> Self {
        let class = match applied.class {
            DiscountClass::Product => "product",
            DiscountClass::Order => "order",
            DiscountClass::Shipping => "shipping",
        };
        let shares = applied
            .shares
            .iter()
            .map(|share| LineShareResponse { line_id: &share.line, amount: share.amount });

        Self {
            code,
            applied: true,
            code_id: applied.code.to_string(),
            price_rule_id: applied.rule.to_string(),
            class,
            discount: applied.discount,
            shares: shares.collect(),
            text,
            public_text,
        }
    }
}

impl<'a> CartResponse<'a> {
    pub(crate) fn new(found: &'a Evaluation, currency: Currency) -> Self {
        let left = found.lines.iter().chain(&found.shipping).map(|line| line.remaining);
        Self {
            currency: currency.code(),
            discount: found.total_discount(),
            total: left
                .fold(Amount::ZERO, |sum, left| sum.checked_add(left).unwrap_or(Amount::MAX)),
            lines: found.lines.iter().map(LineTotalResponse::from).collect(),
            shipping: found.shipping.iter().map(LineTotalResponse::from).collect(),
            codes: found.codes.iter().map(CodeOutcomeResponse::from).collect(),
        }
    }
}

/// Discount codes to be reserved for a checkout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReservationRequest")]
pub(crate) struct ReserveBody {
    #[schemars(length(min = 1, max = Cart::MAX_CODES))]
    codes: Vec<ParsedField<DiscountCode>>,
    customer: Option<BuyerBody>,
    /// The end of the reservation, at most a day from now.
    until: TimeField,
    /// The shopper's network address. Too many unknown codes slow down this address alone.
    address: Option<Text<255>>,
}

impl ReserveBody {
    /// Returns the action for the store, and the subject of the throttle.
    pub(crate) fn parse(
        self,
        checkout: CheckoutId,
    ) -> Result<(DiscountAction, ThrottleSubject), Problem> {
        if !(1..=Cart::MAX_CODES).contains(&self.codes.len()) {
            let detail = format!("1 to {} codes can be reserved at once.", Cart::MAX_CODES);
            return Err(Problem::unprocessable("too_many_codes", detail).with_param("/codes"));
        }
        let buyer = self.customer.unwrap_or_default();
        let address = self.address.map(Text::into_string);
        let subject = ThrottleSubject { customer: buyer.throttle_name(), address };
        let customer =
            CustomerRef::new(buyer.customer_id.map(|id| id.0), buyer.email.map(|email| email.0));
        let codes = self.codes.into_iter().map(|code| code.0).collect();
        let segments = segment_ids(buyer.segment_ids);
        Ok((
            DiscountAction::Reserve { checkout, codes, customer, segments, until: self.until.0 },
            subject,
        ))
    }
}
