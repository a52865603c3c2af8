//! What a store says: its webhooks, read as facts.
//!
//! Reading does no I/O, as publishing does none. Every fact of a message can be recorded
//! again, so a message that comes twice or late changes nothing: an older report of an
//! order is known by its time, and a refund by the store's id.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use loyalty_core::discount::Code;
use loyalty_core::program::EmailProof;
use loyalty_core::{
    Amount, Command, Currency, CustomerId, Line, Money, Order, OrderId, Origin, OverRefund,
    ProductId, Refund, RefundAmount, RefundContent, RefundCurrency, RefundId, Status, Timestamp,
};
use loyalty_store::{Action, CustomerRef, EmailConflict, Existence, Product, ProfileChange};
use rust_decimal::{Decimal, RoundingStrategy};
use sha2::Sha256;

use crate::integration::WireError;
use crate::integration::apportion::apportion;

/// The webhooks of a kind of store.
pub trait StoreWebhooks: Send + Sync {
    /// Returns the topic in the head, such as `orders/paid`.
    fn topic<'a>(&self, head: &'a HeaderMap) -> Option<&'a str>;

    /// Returns the store's id of the delivery.
    fn delivery_id<'a>(&self, head: &'a HeaderMap) -> Option<&'a str>;

    /// Returns the signature of the body, in base64.
    fn signature<'a>(&self, head: &'a HeaderMap) -> Option<&'a str>;

    /// Returns true for a message that only asks whether somebody is there. It has no
    /// signature, and says nothing.
    fn is_ping(&self, head: &HeaderMap, body: &[u8]) -> bool;

    /// Reads a message whose signature is right.
    ///
    /// # Errors
    /// The place in the body, and what is wrong there.
    fn read(&self, topic: &str, body: &str, shop: ShopCurrency) -> Result<StoreMessage, WireError>;
}

/// The currency in which amounts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShopCurrency {
    /// The currency.
    pub currency: Currency,
    /// Its decimals.
    pub minor_digits: u32,
}

/// What a message of a store says.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreMessage {
    /// An order as it is now.
    Order(Box<StoreOrder>),
    /// A refund of an order.
    Refund(OrderId, Refund, Option<Timestamp>),
    /// An order is no longer there.
    OrderDeleted(OrderId),
    /// A customer as they are now.
    Customer(Box<StoreCustomer>),
    /// Two customers are one person.
    CustomersMerged {
        /// The one who stays.
        kept: CustomerId,
        /// The other one.
        merged: CustomerId,
    },
    /// A customer has to be forgotten.
    CustomerErased(CustomerId),
    /// A customer asks what is known of them. Somebody has to answer, by the export.
    DataRequested(CustomerId),
    /// A product as it is now. It may not name its categories.
    Product {
        /// The product.
        product: Box<Product>,
        /// True if the message names the categories.
        has_categories: bool,
    },
    /// A product is no longer there.
    ProductDeleted(ProductId),
    /// The store is no longer connected.
    Uninstalled,
    /// Nothing that matters here.
    Ignored,
}

/// An order as a store reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOrder {
    /// The store's id.
    pub id: OrderId,
    /// The customer.
    pub customer: Option<CustomerRef>,
    /// What the order says of the customer.
    pub change: ProfileChange,
    /// The content; `None` of an order that is cancelled.
    pub content: Option<(Order, Status)>,
    /// The time of the last change.
    pub at: Option<Timestamp>,
    /// The refunds, as far as the message has them.
    pub refunds: Vec<(Refund, Option<Timestamp>)>,
    /// The ids of refunds whose content the store sends only when it is asked.
    pub missing_refunds: Vec<RefundId>,
}

impl StoreOrder {
    /// The facts, in the order in which they are recorded.
    pub fn into_actions(self) -> Vec<Action> {
        let Self { id, customer, change, content, at, refunds, .. } = self;
        let command = match content {
            Some((order, status)) => Command::RecordOrder {
                order: id.clone(),
                snapshot: Arc::new(order),
                status,
                at,
                origin: Origin::Shop,
            },
            None => Command::CancelOrder { order: id.clone(), at },
        };
        let mut actions = vec![Action::Order { command, customer, change }];
        let refunds = refunds
            .into_iter()
            .map(|(refund, at)| refund_action(id.clone(), refund, at));
        actions.extend(refunds);
        actions
    }
}

/// The action that records a refund. What exceeds the order is cut, since the store has paid
/// it out in any case.
pub fn refund_action(order: OrderId, refund: Refund, at: Option<Timestamp>) -> Action {
    Action::Order {
        command: Command::RefundOrder { order, refund, over_refund: OverRefund::Clamp, at },
        customer: None,
        change: ProfileChange::default(),
    }
}

/// A customer as a store reports them.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreCustomer {
    /// The customer.
    pub customer: CustomerRef,
    /// The profile.
    pub change: ProfileChange,
    /// What is known of the address.
    pub email_proof: EmailProof,
    /// True if they have signed up with this.
    pub signs_up: bool,
}

impl StoreCustomer {
    /// The action that records it.
    pub fn into_action(self) -> Action {
        Action::Customer {
            customer: self.customer,
            existence: Existence::Any,
            change: self.change,
            // The store could not correct a conflict, and would lose the other changes.
            email_conflict: EmailConflict::Ignore,
            email_proof: self.email_proof,
            if_match: None,
            commands: if self.signs_up { vec![Command::SignUp] } else { Vec::new() },
        }
    }
}

/// Returns true if a signature in base64 is the HMAC-SHA256 of a body. Takes the same time for
/// every wrong one.
pub fn is_signed(body: &[u8], signature: &str, secret: &[u8]) -> bool {
    let Ok(signature) = STANDARD.decode(signature.trim()) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

/// Reads one header as text.
pub(super) fn header<'a>(head: &'a HeaderMap, name: &str) -> Option<&'a str> {
    head.get(name)?.to_str().ok()
}

/// The money of an order, before it fits together.
pub(super) struct OrderMoney {
    pub(super) total: Decimal,
    pub(super) tax: Decimal,
    pub(super) taxes_included: bool,
    /// The total in the currency that was paid in.
    pub(super) presentment: Option<(Decimal, Currency)>,
}

/// Builds the content of an order from its lines with their exact amounts.
///
/// What the total has beyond goods and tax is shipping: postage, fees, tips and duties. Lines
/// that are more than was paid bear the difference in proportion, so that no money earns
/// that was never paid.
pub(super) fn build_order(
    lines: Vec<(Line, Decimal)>,
    money: &OrderMoney,
    shop: ShopCurrency,
) -> Result<Order, WireError> {
    let rounded = |value: Decimal, pointer: &str| round_amount(value, shop.minor_digits, pointer);
    let total = rounded(money.total, "/total")?;
    let tax = rounded(money.tax, "/total_tax")?.min(total);
    let tax_on_top = if money.taxes_included { Amount::ZERO } else { tax };
    let most = total.checked_sub(tax_on_top).unwrap_or(Amount::ZERO);

    let mut built = Vec::with_capacity(lines.len());
    for (line, amount) in lines {
        built.push(Line { amount: rounded(amount, "/line_items")?, ..line });
    }
    let goods = cut_to(&mut built, most, shop.minor_digits);
    let presentment = money.presentment.filter(|(_, currency)| *currency != shop.currency);
    let presentment = presentment.map(|(amount, currency)| {
        let amount = round_amount(amount, Amount::MAX_DECIMALS, "/presentment")?;
        Ok(Money::new(amount, currency))
    });
    Ok(Order {
        lines: built,
        tax,
        taxes_included: money.taxes_included,
        shipping: most.checked_sub(goods).unwrap_or(Amount::ZERO),
        total,
        presentment: presentment.transpose()?,
        ..Order::default()
    })
}

/// Reduces the lines in proportion where their sum is more than `most`. Returns the sum.
fn cut_to(lines: &mut [Line], most: Amount, minor_digits: u32) -> Amount {
    let mut amounts = lines.iter().map(|line| line.amount);
    let sum = amounts.try_fold(Amount::ZERO, Amount::checked_add);
    if let Some(sum) = sum.filter(|sum| *sum <= most) {
        return sum;
    }

    let unit = 10_i64.saturating_pow(Amount::MAX_DECIMALS.saturating_sub(minor_digits));
    let units = |amount: Amount| {
        let units = amount.ten_thousandths().checked_div(unit).unwrap_or_default();
        u64::try_from(units).unwrap_or_default()
    };
    let weights: Vec<_> = lines.iter().map(|line| units(line.amount)).collect();
    for (line, share) in lines.iter_mut().zip(apportion(units(most), &weights)) {
        let share = i64::try_from(share).unwrap_or(i64::MAX).saturating_mul(unit);
        line.amount = Amount::from_ten_thousandths(share).unwrap_or(line.amount);
    }
    most
}

/// A refund as a store reports it, before its parts fit together.
pub(super) struct RefundMoney {
    pub(super) amount: Decimal,
    pub(super) shipping: Decimal,
    pub(super) tax: Decimal,
    /// The currency of the amounts; `None` for the shop's.
    pub(super) currency: Option<Currency>,
}

/// Builds a refund; `None` if nothing came back. Parts that are more than the whole are left
/// out: then the whole alone counts.
pub(super) fn build_refund(
    id: RefundId,
    lines: Vec<(loyalty_core::LineId, loyalty_core::Quantity)>,
    money: &RefundMoney,
    shop: ShopCurrency,
) -> Result<Option<Refund>, WireError> {
    let foreign = money.currency.filter(|currency| *currency != shop.currency);
    let digits = foreign.map_or(shop.minor_digits, |_| Amount::MAX_DECIMALS);
    let rounded = |value: Decimal, pointer: &str| round_amount(value.abs(), digits, pointer);
    let whole = RefundAmount::new(rounded(money.amount, "/amount")?)
        .in_currency(foreign.map_or(RefundCurrency::Shop, RefundCurrency::Order));
    let (shipping, tax) = (rounded(money.shipping, "/shipping")?, rounded(money.tax, "/tax")?);
    let parts = whole
        .with_shipping(shipping)
        .and_then(|amount| if tax.is_zero() { Ok(amount) } else { amount.with_tax(tax) });
    let amount = parts.unwrap_or(whole);

    let lines: Vec<_> = lines.into_iter().filter(|(_, units)| !units.is_zero()).collect();
    let refunded = match (lines.is_empty(), amount.amount().is_zero()) {
        (true, true) => return Ok(None),
        (true, false) => RefundContent::Amount(amount),
        (false, true) => RefundContent::Lines { lines, amount: None },
        (false, false) => RefundContent::Lines { lines, amount: Some(amount) },
    };
    Ok(Some(Refund { id, refunded }))
}

/// An amount, rounded half up to this number of decimals.
pub(super) fn round_amount(
    value: Decimal,
    decimals: u32,
    pointer: &str,
) -> Result<Amount, WireError> {
    let value = value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    Amount::new(value.max(Decimal::ZERO)).map_err(|error| fault(pointer, &error))
}

/// A fault at a place in the body.
pub(super) fn fault(pointer: &str, reason: &dyn std::fmt::Display) -> WireError {
    WireError { pointer: pointer.to_owned(), reason: reason.to_string() }
}

/// Valid codes, as many as an order can have: too many would lose the order.
pub(super) fn read_codes<'a>(codes: impl Iterator<Item = &'a str>) -> Vec<Code> {
    let mut read: Vec<Code> = codes.filter_map(|code| Code::new(code).ok()).collect();
    read.truncate(Order::MAX_CODES);
    read
}

#[cfg(test)]
#[path = "tests/webhook.rs"]
mod tests;
