//! Random commands, for the model and for the engine.

use std::sync::Arc;

use loyalty_core::{
    AdjustmentReason, Amount, AttributeValue, Attributes, Code, Command, Currency, Line, LineId,
    Money, Order, OrderId, Origin, OverRefund, Points, Quantity, Refund, RefundAmount,
    RefundCurrency, RefundId, Status, Timestamp,
};

use crate::dice::SplitMix64;
use crate::gifts::{Cause, RedemptionState};
use crate::model::{Model, ModelResult};
use crate::order::{LineContent, Named, OrderContent, RefundContent, RefundMoney};

/// A command for the model and the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ModelCommand {
    Add(i64),
    Subtract(i64),
    Set(i64),
    Order(usize, OrderContent),
    Cancel(usize),
    /// The order, the number of the refund, and what it gives back.
    Refund(usize, usize, RefundContent),
    Review,
    /// Another level of the customer.
    Level(i64),
    /// Points are spent on a code.
    Redeem,
    UseGift(Cause),
    /// A guest is given points.
    AddToGuest(i64),
    /// The guest is the customer; another one comes.
    Claim,
    /// The last guest was not the customer.
    UndoClaim,
    Nothing,
}

pub(crate) fn random_command(dice: &mut SplitMix64, model: &Model, number: usize) -> ModelCommand {
    let known = model.orders.len();
    let order =
        if known == 0 { 0 } else { dice.number((known as i64 - 6).max(0), known as i64) as usize };
    let later = model
        .last_reported_at(order)
        .is_some_and(|reported_at| reported_at < model.now);
    if model.takes_guests() && dice.chance(8) {
        return match dice.number(0, 4) {
            0 | 1 => ModelCommand::AddToGuest(dice.number(1, 100)),
            2 if !model.claims.is_empty() => ModelCommand::UndoClaim,
            _ => ModelCommand::Claim,
        };
    }
    match dice.number(0, 100) {
        0..28 => ModelCommand::Order(known, new_order(dice, model)),
        28..36 if later => {
            let content = model.content(order).unwrap();
            ModelCommand::Order(order, edited(dice, content))
        }
        36..44 if later => ModelCommand::Cancel(order),
        44..62 if known > 0 => {
            ModelCommand::Refund(order, number, refund(dice, &model.content(order).unwrap()))
        }
        62..69 => ModelCommand::Add(dice.number(0, 100)),
        69..76 => ModelCommand::Subtract(dice.number(0, 150)),
        76..79 => ModelCommand::Set(dice.number(0, 200)),
        79..86 => ModelCommand::Review,
        86..89 => ModelCommand::Level(dice.number(-4, 5)),
        89..95 => ModelCommand::Redeem,
        95..99 => model.open_gift().map_or(ModelCommand::Nothing, ModelCommand::UseGift),
        _ => ModelCommand::Nothing,
    }
}

fn line(dice: &mut SplitMix64) -> LineContent {
    LineContent { price: dice.number(1, 120), halves: dice.number(1, 9) }
}

fn second_line(dice: &mut SplitMix64) -> LineContent {
    let line = line(dice);
    LineContent { price: if dice.chance(15) { 0 } else { line.price }, ..line }
}

fn new_order(dice: &mut SplitMix64, model: &Model) -> OrderContent {
    let lines = [Some(line(dice)), dice.chance(50).then(|| second_line(dice))];
    let is_open = |code: &usize| model.redemptions[*code].state == RedemptionState::Issued;
    let open = (0..model.redemptions.len()).find(is_open);
    let content = OrderContent {
        lines,
        shipping: if dice.chance(30) { dice.number(1, 20) } else { 0 },
        tax: (0, dice.chance(60)),
        foreign: dice.chance(25).then_some(0),
        note: dice.number(-4, 5),
        by_app: dice.chance(60),
        code: open.filter(|_| dice.chance(60)),
    };
    with_sums(dice, content)
}

/// The content with a tax, and a total in the other currency, that suit its lines.
fn with_sums(dice: &mut SplitMix64, mut content: OrderContent) -> OrderContent {
    content.tax.0 = if dice.chance(60) { 0 } else { dice.number(0, content.goods() / 5 + 1) };
    content.foreign = content.foreign.map(|_| match dice.number(0, 3) {
        0 => content.total() * 20,
        1 => content.total() * 2 + 1,
        _ => dice.number(1, 300),
    });
    content
}

/// An edit: lines that are dearer, cheaper, more or fewer, or another shipping.
fn edited(dice: &mut SplitMix64, mut content: OrderContent) -> OrderContent {
    for index in 0..2 {
        let Some(known) = &mut content.lines[index] else { continue };
        match dice.number(0, 4) {
            0 => known.price += dice.number(1, 50),
            1 => known.price = dice.number(0, known.price + 1).max(1),
            2 => {
                let halves = dice.number(1, 9);
                known.price = (known.price * halves / known.halves).max(1);
                known.halves = halves;
            }
            _ => {}
        }
    }
    match (content.lines[1], dice.number(0, 4)) {
        (Some(_), 0) => content.lines[1] = None,
        (None, 0) => content.lines[1] = Some(second_line(dice)),
        _ => {}
    }
    if dice.chance(50) {
        content.shipping = 0;
    }
    (content.note, content.by_app) = (dice.number(-4, 5), dice.chance(60));
    with_sums(dice, content)
}

/// A refund of money, of units, or of both; now and then of what the order does not have.
fn refund(dice: &mut SplitMix64, content: &OrderContent) -> RefundContent {
    let named = match (content.foreign, dice.number(0, 20)) {
        (_, 0) => Named::Unheard,
        (None, 1) => Named::Foreign,
        (_, 2..6) => Named::Shop,
        (None, _) | (Some(_), 1) => Named::Nothing,
        (Some(_), _) => Named::Foreign,
    };
    let has_lines = dice.chance(50);
    let most = if named == Named::Foreign { content.foreign.unwrap_or(9) } else { content.total() };
    let most = if has_lines || dice.chance(50) { most / 2 } else { most + 10 };
    let amount = dice.number(1, most.max(1) + 1);
    let shipping = if dice.chance(30) { dice.number(0, amount.min(25) + 1) } else { 0 };
    let rest = amount - shipping;
    let tax = dice.chance(25).then(|| dice.number(0, rest / 4 + 1));
    let money = RefundMoney { amount, shipping, tax, named };
    if !has_lines {
        return RefundContent { money: Some(money), halves: [None; 2] };
    }

    let first = dice.chance(50);
    let units = |dice: &mut SplitMix64, index: usize| {
        let most = if dice.chance(10) { 9 } else { content.line(index).halves.max(1) };
        if dice.chance(8) { 0 } else { dice.number(1, most + 1) }
    };
    let halves =
        [first.then(|| units(dice, 0)), (!first || dice.chance(30)).then(|| units(dice, 1))];
    RefundContent { money: dice.chance(50).then_some(money), halves }
}

/// Applies a command to the model of the customer, and of the guest.
pub(crate) fn apply_to_model(
    (model, guest): (&mut Model, &mut Model),
    command: ModelCommand,
) -> ModelResult {
    match command {
        ModelCommand::Add(points) => return model.add(points, false),
        ModelCommand::Subtract(points) => return model.subtract(points, false),
        ModelCommand::Set(to) => return model.set(to),
        ModelCommand::Refund(order, _, refund) => return model.refund(order, refund),
        ModelCommand::Review => return model.review(),
        ModelCommand::Redeem => return model.redeem(),
        ModelCommand::AddToGuest(points) => return guest.add(points, false),
        ModelCommand::UndoClaim => return model.undo_claim(),
        ModelCommand::Claim => {
            model.claim(guest);
            *guest = Model::guest(&model.rules, model.now);
        }
        ModelCommand::Nothing => {}
        ModelCommand::Level(level) => model.level = level,
        ModelCommand::UseGift(cause) => model.use_gift(cause),
        ModelCommand::Order(order, content) => model.record_order(order, content),
        ModelCommand::Cancel(order) => model.cancel(order),
    }
    Ok(())
}

pub(crate) fn order_id(order: usize) -> OrderId {
    OrderId::new(order.to_string()).unwrap()
}

fn line_id(index: usize) -> LineId {
    LineId::new(index.to_string()).unwrap()
}

fn money(count: i64) -> Amount {
    Amount::from(u32::try_from(count).unwrap())
}

/// The command for the engine. `codes` are those of the redemptions so far.
pub(crate) fn command(command: ModelCommand, codes: &[Code], now: Timestamp) -> Command {
    let points = |count: i64| Points::new(count).unwrap();
    match command {
        ModelCommand::Add(count) => {
            Command::AddPoints { points: points(count), reason: AdjustmentReason::default() }
        }
        ModelCommand::Subtract(count) => {
            Command::SubtractPoints { points: points(count), reason: AdjustmentReason::default() }
        }
        ModelCommand::Set(to) => Command::SetBalance { to: points(to), reason: None },
        ModelCommand::Order(order, content) => {
            let snapshot = Arc::new(snapshot(&content, codes));
            let (order, status, at, origin) =
                (order_id(order), Status::Paid, Some(now), Origin::Shop);
            Command::RecordOrder { order, snapshot, status, at, origin }
        }
        ModelCommand::Cancel(order) => {
            Command::CancelOrder { order: order_id(order), at: Some(now) }
        }
        ModelCommand::Refund(order, number, refund) => {
            let (order, refund) = (order_id(order), engine_refund(number, &refund));
            let over_refund = OverRefund::Reject;
            Command::RefundOrder { order, refund, over_refund, at: None }
        }
        ModelCommand::Review => {
            Command::PerformAction { action: "review".parse().unwrap(), points: None }
        }
        ModelCommand::AddToGuest(_)
        | ModelCommand::Claim
        | ModelCommand::Level(_)
        | ModelCommand::Nothing
        | ModelCommand::UndoClaim
        | ModelCommand::Redeem
        | ModelCommand::UseGift(_) => Command::CatchUp,
    }
}

fn snapshot(content: &OrderContent, codes: &[Code]) -> Order {
    let line = |index: usize| {
        let line = content.lines[index]?;
        Some(Line::new(line_id(index), money(line.price)).with_quantity(units(line.halves)))
    };
    let order = Order::new((0..2).filter_map(line)).unwrap();
    let (tax, is_included) = content.tax;
    let order =
        if is_included { order.with_included_tax(money(tax)) } else { order.with_tax(money(tax)) };
    let order = order.and_then(|order| order.with_shipping(money(content.shipping)));
    let note = AttributeValue::number(content.note.into()).unwrap();
    let order = order
        .unwrap()
        .with_channel(if content.by_app { "app" } else { "web" }.parse().unwrap())
        .with_attributes(Attributes::new([("note".parse().unwrap(), note)]).unwrap())
        .with_codes(content.code.map(|code| codes[code].clone()));
    assert_eq!(order.total, money(content.total()));
    match content.foreign {
        Some(foreign) => order.with_presentment(Money::new(money(foreign), Currency::ZAR)),
        None => order,
    }
}

fn engine_refund(number: usize, refund: &RefundContent) -> Refund {
    let id = RefundId::new(number.to_string()).unwrap();
    let paid = refund.money.map(|paid| {
        let amount = RefundAmount::new(money(paid.amount))
            .with_shipping(money(paid.shipping))
            .unwrap();
        let amount = match paid.tax {
            Some(tax) => amount.with_tax(money(tax)).unwrap(),
            None => amount,
        };
        amount.in_currency(match paid.named {
            Named::Nothing => RefundCurrency::Unnamed,
            Named::Shop => RefundCurrency::Shop,
            Named::Foreign => RefundCurrency::Order(Currency::ZAR),
            Named::Unheard => RefundCurrency::Order(Currency::JPY),
        })
    });

    let lines = (0..2).filter_map(|index| Some((line_id(index), units(refund.halves[index]?))));
    let lines: Vec<_> = lines.collect();
    match paid {
        Some(paid) if lines.is_empty() => Refund::of_money(id, paid),
        Some(paid) => Refund::of_lines(id, lines).with_amount(paid),
        None => Refund::of_lines(id, lines),
    }
}

fn units(halves: i64) -> Quantity {
    Quantity::new(rust_decimal::Decimal::new(halves * 5, 1)).unwrap()
}
