//! Carts on the wire: what is about to be bought, and what its codes take off.

use loyalty_core::discount::{
    AppliedCode, Cart, CartError, CartLine, Code as DiscountCode, CodeOutcome, Customer,
    DiscountClass, Evaluation, LineTotal, ShippingLine,
};
use loyalty_core::{
    Amount, CategoryId, CheckoutId, CountryId, Currency, CustomerId, Email, LineId, ProductId,
    SegmentId, Timestamp, VariantId,
};
use loyalty_store::{CartQuery, CustomerRef, DiscountAction, Shop};
use serde::{Deserialize, Serialize};

use super::json::field::{Text, TimeField};
use super::price_rule::AnyId;
use super::value::ParsedField;
use crate::problem::{Problem, to_sentence};

/// Who buys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuyerBody {
    customer_id: Option<AnyId<CustomerId>>,
    email: Option<ParsedField<Email>>,
    segment_ids: Option<Vec<AnyId<SegmentId>>>,
}

/// A cart with its codes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CartBody {
    customer: Option<BuyerBody>,
    lines: Vec<CartLineBody>,
    shipping: Option<Vec<CartShippingBody>>,
    country: Option<ParsedField<CountryId>>,
    currency: Option<ParsedField<Currency>>,
    codes: Option<Vec<ParsedField<DiscountCode>>>,
    checkout_id: Option<ParsedField<CheckoutId>>,
    /// The shopper's address, so that guessing is slowed for them alone.
    address: Option<Text<255>>,
}

/// A line. Without an id of its own its position is its id, counted from 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CartLineBody {
    line_id: Option<AnyId<LineId>>,
    product_id: Option<AnyId<ProductId>>,
    variant_id: Option<AnyId<VariantId>>,
    categories: Option<Vec<AnyId<CategoryId>>>,
    quantity: u32,
    price: ParsedField<Amount>,
    gift_card: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CartShippingBody {
    line_id: Option<AnyId<LineId>>,
    price: ParsedField<Amount>,
}

/// Who asks, for the throttle.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleSubject {
    pub(crate) customer: Option<String>,
    pub(crate) address: Option<String>,
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
    /// The cart as of `now`, and who asks.
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
        let asker = ThrottleSubject { customer: buyer.throttle_name(), address };
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
        Ok((CartQuery { cart, checkout }, asker))
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

/// Why a cart cannot be evaluated, and where that stands.
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

/// A cart after its codes.
#[derive(Debug, Serialize)]
pub(crate) struct CartResponse<'a> {
    currency: &'static str,
    /// All that is taken off.
    discount: Amount,
    /// What is left to pay for lines and shipping.
    total: Amount,
    lines: Vec<LineTotalResponse<'a>>,
    shipping: Vec<LineTotalResponse<'a>>,
    codes: Vec<CodeOutcomeResponse<'a>>,
}

#[derive(Debug, Serialize)]
struct LineTotalResponse<'a> {
    line_id: &'a LineId,
    amount: Amount,
    discount: Amount,
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

/// One code: what it takes off which line, or why it does not apply. All of that is for the shop; of a code that
/// does not apply, a shopper may be shown what is called public, and nothing else.
#[derive(Debug, Serialize)]
struct CodeOutcomeResponse<'a> {
    code: &'a str,
    applied: bool,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    applied_code: Option<AppliedCodeResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    text: String,
    /// One answer for every reason that would tell whether the code exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_reason: Option<&'static str>,
    public_text: String,
}

#[derive(Debug, Serialize)]
struct AppliedCodeResponse<'a> {
    code_id: String,
    price_rule_id: String,
    class: &'static str,
    discount: Amount,
    shares: Vec<LineShareResponse<'a>>,
}

#[derive(Debug, Serialize)]
struct LineShareResponse<'a> {
    line_id: &'a LineId,
    amount: Amount,
}

impl<'a> From<&'a CodeOutcome> for CodeOutcomeResponse<'a> {
    fn from(outcome: &'a CodeOutcome) -> Self {
        let refusal = outcome.outcome.as_ref().err();
        Self {
            code: outcome.code.as_str(),
            applied: refusal.is_none(),
            applied_code: outcome.outcome.as_ref().ok().map(AppliedCodeResponse::from),
            reason: refusal.map(loyalty_core::discount::CodeRejection::code),
            text: outcome.to_string(),
            public_reason: refusal.map(loyalty_core::discount::CodeRejection::public_code),
            public_text: outcome.public_text(),
        }
    }
}

impl<'a> From<&'a AppliedCode> for AppliedCodeResponse<'a> {
    fn from(applied: &'a AppliedCode) -> Self {
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
            code_id: applied.code.to_string(),
            price_rule_id: applied.rule.to_string(),
            class,
            discount: applied.discount,
            shares: shares.collect(),
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

/// Codes to be reserved for a checkout.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReserveBody {
    codes: Vec<ParsedField<DiscountCode>>,
    customer: Option<BuyerBody>,
    until: TimeField,
    address: Option<Text<255>>,
}

impl ReserveBody {
    /// What is asked of the store, and who asks.
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
        let asker = ThrottleSubject { customer: buyer.throttle_name(), address };
        let customer =
            CustomerRef::new(buyer.customer_id.map(|id| id.0), buyer.email.map(|email| email.0));
        let codes = self.codes.into_iter().map(|code| code.0).collect();
        let segments = segment_ids(buyer.segment_ids);
        Ok((
            DiscountAction::Reserve { checkout, codes, customer, segments, until: self.until.0 },
            asker,
        ))
    }
}
