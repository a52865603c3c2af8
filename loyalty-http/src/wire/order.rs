//! Orders on the wire: reports and responses.

use std::sync::Arc;

use loyalty_core::discount::{Code as DiscountCode, CodeRejection as CodeRefusal};
use loyalty_core::order::OrderError;
use loyalty_core::{
    Amount, Attributes, Calculation, CategoryId, ChannelId, CheckoutId, CodeId, Command, Currency,
    CustomerId, Email, Event, Explanation, Line, LineId, Money, Order, OrderId, OrderState, Origin,
    Points, PriceRuleId, ProductId, Rejection as Refusal, Statement, Statements, Status, Timestamp,
};
use loyalty_store::{
    CodeView, CustomerRef, CustomerView, NumericId, OrderCode, OrderRule, OrderStatus,
    ProfileChange, Receipt, Rejection, Shop,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::award::{self, AwardResponse};
use super::cart::CodeRejectionCode;
use super::customer::{CustomerBody, check_birthday};
use super::explanation::{ExplanationResponse, PostedResponse};
use super::json::BodyErrorCode;
use super::json::field::{self, FromText, TimeField};
use super::price_rule::AnyId;
use super::schema;
use super::value::{ParsedField, QuantityField, check_decimals, check_not_ahead, prefix_pointer};
use crate::problem::{Problem, to_sentence};

/// `anyOf`: a cancellation, or lines and a total.
fn order_rules() -> Value {
    json!([
        {
            "description": "A cancelled order needs nothing else.",
            "properties": { "status": { "const": "cancelled" } }
        },
        {
            "required": ["lines", "total"],
            "properties": { "lines": { "type": "array" }, "total": { "type": "string" } }
        }
    ])
}

/// The present state of an order. A cancelled order needs nothing but its status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderReport", extend("anyOf" = order_rules()))]
pub(crate) struct OrderBody {
    customer: Option<CustomerBody>,
    status: ParsedField<ReportedStatus>,
    /// The time of the shop's change. The later of two reports counts.
    updated_at: Option<TimeField>,
    placed_at: Option<TimeField>,
    /// The order's currency. Another one than the shop's needs `shop_money`.
    currency: Option<ParsedField<Currency>>,
    lines: Option<Vec<OrderLineBody>>,
    tax: Option<ParsedField<Amount>>,
    taxes_included: Option<bool>,
    shipping: Option<ParsedField<Amount>>,
    total: Option<ParsedField<Amount>>,
    /// The part paid with a redeemed reward.
    redeemed: Option<ParsedField<Amount>>,
    /// The amounts in the shop's currency.
    shop_money: Option<ShopMoney>,
    #[schemars(length(max = Order::MAX_CODES))]
    discount_codes: Option<Vec<ParsedField<DiscountCode>>>,
    /// The price rules without a code that the shop applied.
    #[schemars(length(max = Order::MAX_CODES))]
    automatic_discounts: Option<Vec<AnyId<NumericId>>>,
    /// The checkout of the order. Its reservations become uses.
    checkout_id: Option<ParsedField<CheckoutId>>,
    /// The channel by which the order came, such as `web` or `pos`.
    channel: Option<ParsedField<ChannelId>>,
    #[schemars(with = "Option<schema::Attributes>")]
    attributes: Option<Attributes>,
}

/// A line of an order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderLine")]
struct OrderLineBody {
    /// The id of the line; by default its position, counted from 1.
    line_id: Option<ParsedField<LineId>>,
    product_id: Option<ParsedField<ProductId>>,
    categories: Option<Vec<ParsedField<CategoryId>>>,
    quantity: QuantityField,
    /// The price of the whole line, net of its discounts.
    amount: ParsedField<Amount>,
    gift_card: Option<bool>,
    #[schemars(with = "Option<schema::Attributes>")]
    attributes: Option<Attributes>,
}

/// The amounts of an order in the shop's currency, for an order in another one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShopMoney {
    /// One amount for each line of the order.
    lines: Vec<ParsedField<Amount>>,
    tax: Option<ParsedField<Amount>>,
    shipping: Option<ParsedField<Amount>>,
    total: ParsedField<Amount>,
    redeemed: Option<ParsedField<Amount>>,
}

/// The status in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportedStatus {
    Reached(Status),
    Cancelled,
}

impl From<ReportedStatus> for OrderStatus {
    fn from(status: ReportedStatus) -> Self {
        match status {
            ReportedStatus::Reached(status) => Self::Reached(status),
            ReportedStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl FromText for ReportedStatus {
    const EXPECTED: &'static str = "a status such as \"paid\"";

    fn from_text(text: &str) -> Result<Self, field::FieldError> {
        let reached = Status::ALL
            .into_iter()
            .find(|status| status.name() == text)
            .map(Self::Reached);
        let report = reached.or_else(|| (text == "cancelled").then_some(Self::Cancelled));
        report.ok_or_else(|| {
            let sentence = "This must be processing, paid, fulfilled, completed or cancelled.";
            field::FieldError {
                code: BodyErrorCode::InvalidValue,
                detail: sentence.to_owned(),
            }
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        schema::one_of_names(Status::ALL.map(Status::name).into_iter().chain(["cancelled"]))
    }
}

/// A report as a command for the store.
#[derive(Debug)]
pub(crate) struct OrderReport {
    pub(crate) command: Command,
    pub(crate) customer: Option<CustomerRef>,
    pub(crate) change: ProfileChange,
    /// The pointer of the object with the amounts that count.
    money: &'static str,
}

impl OrderBody {
    /// Reads the report of an order.
    pub(crate) fn parse(
        mut self,
        order: OrderId,
        shop: &Shop,
        now: Timestamp,
    ) -> Result<OrderReport, Problem> {
        let customer = self.customer.take().map(|customer| {
            let (customer, change) = customer.parse()?;
            check_birthday(&change, now)?;
            Ok((customer, change))
        });
        let (customer, change) = customer
            .transpose()
            .map_err(|problem| prefix_pointer("/customer", problem))?
            .unzip();
        let at = self.updated_at.map(|at| at.0);
        check_not_ahead(at, now, "/updated_at")?;
        check_not_ahead(self.placed_at.map(|at| at.0), now, "/placed_at")?;
        let (command, money) = match self.status {
            ParsedField(ReportedStatus::Cancelled) => (Command::CancelOrder { order, at }, ""),
            ParsedField(ReportedStatus::Reached(status)) => {
                let (snapshot, money) = self.snapshot(shop)?;
                let snapshot = Arc::new(snapshot);
                (
                    Command::RecordOrder { order, snapshot, status, at, origin: Origin::Shop },
                    money,
                )
            }
        };
        Ok(OrderReport { command, customer, change: change.unwrap_or_default(), money })
    }

    /// Returns the order in the shop's currency, and the pointer of the object with its amounts.
    fn snapshot(self, shop: &Shop) -> Result<(Order, &'static str), Problem> {
        let lines = self.lines.ok_or_else(|| missing_field("lines"))?;
        let total = self.total.ok_or_else(|| missing_field("total"))?.0;
        let codes = self.discount_codes.unwrap_or_default();
        if codes.len() > Order::MAX_CODES {
            let detail = format!("An order can have at most {} codes.", Order::MAX_CODES);
            return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
                .with_param("/discount_codes"));
        }
        let rules = self.automatic_discounts.unwrap_or_default();
        if rules.len() > Order::MAX_CODES {
            let detail = format!("An order can have at most {} rules.", Order::MAX_CODES);
            return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
                .with_param("/automatic_discounts"));
        }
        let mut order = Order {
            placed_at: self.placed_at.map(|at| at.0),
            lines: lines
                .into_iter()
                .zip(1_u32..)
                .map(OrderLineBody::parse)
                .collect::<Result<_, _>>()?,
            tax: amount_or_zero(self.tax),
            taxes_included: self.taxes_included.unwrap_or_default(),
            shipping: amount_or_zero(self.shipping),
            total,
            redeemed: amount_or_zero(self.redeemed),
            codes: codes.into_iter().map(|code| code.0).collect(),
            automatic_rules: rules.into_iter().map(|rule| PriceRuleId(rule.0.get())).collect(),
            checkout: self.checkout_id.map(|checkout| checkout.0),
            channel: self.channel.map(|channel| channel.0),
            attributes: self.attributes.unwrap_or_default(),
            presentment: None,
        };
        let currency = self.currency.map(|currency| currency.0);
        let foreign = currency.filter(|currency| *currency != shop.currency);
        match self.shop_money {
            Some(money) => {
                // The rate of refunds would be without a currency.
                if currency.is_none() && money.total.0 != order.total {
                    let detail = "Name the `currency` of the order beside its `shop_money`.";
                    return Err(
                        Problem::unprocessable("currency_required", detail).with_param("/currency")
                    );
                }
                order.presentment = foreign.map(|currency| Money::new(order.total, currency));
                money.apply_to(&mut order)?;
                check_amounts(&order, shop, "/shop_money", "")?;
                Ok((order, "/shop_money"))
            }
            None if foreign.is_some() => {
                let detail = format!(
                    "The shop's currency is {}; bring the amounts in it as `shop_money`.",
                    shop.currency.code()
                );
                Err(Problem::unprocessable("currency_mismatch", detail).with_param("/currency"))
            }
            None => {
                check_amounts(&order, shop, "", "/amount")?;
                Ok((order, ""))
            }
        }
    }
}

/// Refuses amounts with more decimals than the shop's currency. `money` is the pointer of their
/// object, and `of_line` leads from a line to its amount.
fn check_amounts(order: &Order, shop: &Shop, money: &str, of_line: &str) -> Result<(), Problem> {
    let digits = shop.minor_digits();
    for (index, line) in order.lines.iter().enumerate() {
        check_decimals(line.amount, digits, || format!("{money}/lines/{index}{of_line}"))?;
    }
    let amounts = [
        ("tax", order.tax),
        ("shipping", order.shipping),
        ("total", order.total),
        ("redeemed", order.redeemed),
    ];
    amounts
        .into_iter()
        .try_for_each(|(name, amount)| check_decimals(amount, digits, || format!("{money}/{name}")))
}

fn amount_or_zero(amount: Option<ParsedField<Amount>>) -> Amount {
    amount.map_or(Amount::ZERO, |amount| amount.0)
}

fn missing_field(field: &str) -> Problem {
    let detail =
        format!("The field `{field}` is missing: an order that is not cancelled needs it.");
    Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
        .with_param(format!("/{field}"))
}

impl OrderLineBody {
    fn parse((line, position): (Self, u32)) -> Result<Line, Problem> {
        let id = match line.line_id {
            Some(ParsedField(id)) => id,
            None => LineId::new(position.to_string()).map_err(Problem::internal)?,
        };
        Ok(Line {
            id,
            product: line.product_id.map(|product| product.0),
            categories: line
                .categories
                .unwrap_or_default()
                .into_iter()
                .map(|category| category.0)
                .collect(),
            quantity: line.quantity.0,
            amount: line.amount.0,
            gift_card: line.gift_card.unwrap_or_default(),
            attributes: line.attributes.unwrap_or_default(),
        })
    }
}

impl ShopMoney {
    fn apply_to(self, order: &mut Order) -> Result<(), Problem> {
        if self.lines.len() != order.lines.len() {
            let detail = "This must have one amount for each of the order's lines.";
            return Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param("/shop_money/lines"));
        }
        for (line, ParsedField(amount)) in order.lines.iter_mut().zip(self.lines) {
            line.amount = amount;
        }
        (order.tax, order.shipping) = (amount_or_zero(self.tax), amount_or_zero(self.shipping));
        (order.total, order.redeemed) = (self.total.0, amount_or_zero(self.redeemed));
        Ok(())
    }
}

impl OrderReport {
    /// Returns true if the order lists discount codes.
    pub(crate) fn has_codes(&self) -> bool {
        matches!(&self.command, Command::RecordOrder { snapshot, .. } if !snapshot.codes.is_empty())
    }

    /// Returns a function from a rejection to the pointer of its cause in the body.
    pub(crate) fn error_pointer(&self) -> impl FnOnce(&Rejection) -> Option<String> + Send + use<> {
        let money = self.money;
        let snapshot = if let Command::RecordOrder { snapshot, .. } = &self.command {
            Some(Arc::clone(snapshot))
        } else {
            None
        };
        move |rejection| match rejection.code() {
            "duplicate_line" => duplicate_line_pointer(snapshot.as_deref()?, rejection),
            "order_of_another_customer" => Some("/customer".to_owned()),
            "order_too_large" => Some("/lines".to_owned()),
            "redeemed_beyond_total" => Some(format!("{money}/redeemed")),
            "totals_disagree" => Some(format!("{money}/total")),
            _ => None,
        }
    }
}

/// Returns the pointer of the second of two lines with the same id.
fn duplicate_line_pointer(order: &Order, rejection: &Rejection) -> Option<String> {
    let Rejection::Rules(Refusal::InvalidOrder(OrderError::DuplicateLine(id))) = rejection else {
        return None;
    };
    let index = order.lines.iter().rposition(|line| line.id == *id)?;
    Some(format!("/lines/{index}/line_id"))
}

/// An order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Order")]
pub(crate) struct OrderResponse<'a> {
    #[schemars(with = "schema::Id")]
    order_id: &'a OrderId,
    /// The status; null where the order itself was not reported yet.
    #[schemars(extend("enum" = ["processing", "paid", "fulfilled", "completed", "cancelled", null]))]
    status: Option<&'static str>,
    cancelled: bool,
    /// True where only a cancellation or refunds are known. They count when the order is reported.
    kept: bool,
    points: PostedResponse,
    /// The change of the customer's balance by this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    points_changed: Option<Points>,
    /// Further awards of this request: tiers entered, goals reached, referral bonuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    awards: Vec<AwardResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<OrderCustomer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationResponse<'a>>,
    /// The explanation as sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What the sentences say, in no language.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::statement::Statement>", length(min = 1))]
    statements: Vec<Statement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    discount_codes: Vec<OrderCodeResponse>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    automatic_discounts: Vec<OrderRuleResponse>,
    /// The order names the e-mail address of a guest, whose account it leaves alone: an address
    /// typed at a checkout proves nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<schema::True>")]
    guest_not_claimed: bool,
}

/// A discount of an order without a code.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderAutomaticDiscount")]
struct OrderRuleResponse {
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    /// True where the order counts among the uses of the rule.
    used: bool,
    /// The reason why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CodeRejectionCode>")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&OrderRule> for OrderRuleResponse {
    fn from(rule: &OrderRule) -> Self {
        let refusal = rule.rejection.as_ref();
        Self {
            price_rule_id: rule.rule.to_string(),
            used: refusal.is_none(),
            reason: refusal.map(CodeRefusal::code),
            detail: refusal.map(|refusal| to_sentence(&refusal.to_string())),
        }
    }
}

/// A discount code of an order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderCode")]
struct OrderCodeResponse {
    #[schemars(with = "schema::CodeText")]
    code: String,
    /// True where the order counts among the uses of the code.
    used: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Numeral>")]
    code_id: Option<String>,
    /// The reason why the code does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CodeRejectionCode>")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&OrderCode> for OrderCodeResponse {
    fn from(code: &OrderCode) -> Self {
        let refusal = code.outcome.as_ref().err();
        Self {
            code: code.text.as_str().to_owned(),
            used: code.outcome.is_ok(),
            code_id: code.outcome.as_ref().ok().map(CodeId::to_string),
            reason: refusal.map(CodeRefusal::code),
            detail: refusal.map(|refusal| to_sentence(&refusal.to_string())),
        }
    }
}

/// The customer of an order.
#[derive(Debug, Serialize, JsonSchema)]
struct OrderCustomer<'a> {
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    #[schemars(with = "schema::Points")]
    point_balance: Points,
}

/// The name of an order's status; `None` where the order itself was not reported yet.
pub(crate) fn status_name(state: &OrderState) -> Option<&'static str> {
    match OrderStatus::of(state) {
        OrderStatus::Cancelled => Some("cancelled"),
        OrderStatus::Reached(status) => Some(status.name()),
        OrderStatus::Unreported => None,
    }
}

impl<'a> OrderResponse<'a> {
    /// The order as of `now`.
    pub(crate) fn new(
        order_id: &'a OrderId,
        state: &OrderState,
        customer: Option<&'a CustomerView>,
        now: Timestamp,
    ) -> Self {
        let customer = customer.map(|customer| OrderCustomer {
            customer_id: customer.record().id.as_ref(),
            email: customer.record().email.as_ref().map(Email::as_str),
            point_balance: customer.balance(now),
        });
        Self {
            order_id,
            status: status_name(state),
            cancelled: state.is_cancelled(),
            kept: state.snapshot().is_none(),
            points: state.posted().into(),
            points_changed: None,
            awards: Vec::new(),
            customer,
            explanation: None,
            text: None,
            statements: Vec::new(),
            discount_codes: Vec::new(),
            automatic_discounts: Vec::new(),
            guest_not_claimed: state.guest().is_some(),
        }
    }

    /// Adds the discount codes of the order, and marks those that it has used.
    pub(crate) fn with_codes(self, state: &OrderState, used: &[CodeView]) -> Self {
        let codes = state
            .snapshot()
            .into_iter()
            .flat_map(|recorded| &recorded.order.codes);
        let discount_codes = codes.map(|code| {
            let used = used.iter().find(|used| used.text == *code);
            let (code, code_id) = (code.as_str().to_owned(), used.map(|used| used.id.to_string()));
            OrderCodeResponse {
                code,
                used: used.is_some(),
                code_id,
                reason: None,
                detail: None,
            }
        });
        Self { discount_codes: discount_codes.collect(), ..self }
    }

    /// Adds the automatic rules of the order, and marks those that it has used.
    pub(crate) fn with_automatic_rules(self, state: &OrderState, used: &[PriceRuleId]) -> Self {
        let listed = state
            .snapshot()
            .into_iter()
            .flat_map(|recorded| &recorded.order.automatic_rules);
        let automatic_discounts = listed.map(|rule| OrderRuleResponse {
            price_rule_id: rule.to_string(),
            used: used.contains(rule),
            reason: None,
            detail: None,
        });
        Self { automatic_discounts: automatic_discounts.collect(), ..self }
    }

    /// The order after a request, with the change of points and its explanation.
    pub(crate) fn from_receipt(order_id: &'a OrderId, receipt: &'a Receipt) -> Self {
        let (customer, at) = (receipt.customer.as_ref(), receipt.at);
        let answer = match &receipt.order {
            Some(order) => Self::new(order_id, &order.state, customer, at),
            None => Self::new(order_id, &OrderState::new(order_id.clone()), customer, at),
        };
        let moved = receipt
            .events
            .iter()
            .filter_map(|event| Some((event.points(), calculation_of(event, order_id)?)));
        let (mut changed, mut why) = (Points::ZERO, None);
        for (points, calculation) in moved {
            changed = changed.saturating_add(points);
            why = Some(calculation);
        }
        let awards = award::awards_of(receipt);
        let changed = awards
            .iter()
            .fold(changed, |sum, award| sum.saturating_add(award.spendable_points()));
        Self {
            points_changed: Some(changed),
            awards,
            explanation: why.map(ExplanationResponse::from_calculation),
            discount_codes: receipt.codes.iter().map(OrderCodeResponse::from).collect(),
            automatic_discounts: receipt.rules.iter().map(OrderRuleResponse::from).collect(),
            ..answer.with_statements(why.map(Calculation::statements).unwrap_or_default())
        }
    }

    /// Adds the explanation of the order's points.
    pub(crate) fn with_explanation(self, explanation: &'a Explanation) -> Self {
        let explained = self.with_statements(explanation.statements());
        let explanation = Some(ExplanationResponse::new(explanation));
        Self { explanation, ..explained }
    }

    /// Adds the statements, and the sentences that they make.
    fn with_statements(self, statements: Vec<Statement>) -> Self {
        let text = (!statements.is_empty()).then(|| Statements(&statements).to_string());
        Self { text, statements, ..self }
    }
}

/// Returns the calculation behind an event that changed the points of this order.
fn calculation_of<'a>(event: &'a Event, id: &OrderId) -> Option<&'a Calculation> {
    let (Event::PointsAwarded { order, calculation, .. }
    | Event::PointsTakenBack { order, calculation, .. }) = event
    else {
        return None;
    };
    (order == id).then_some(&**calculation)
}
