//! A counterexample as a story: numbered commands, and what came of each.

use std::fmt::{self, Write};

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::command::Command;
use crate::ledger::Ledger;
use crate::order::{Line, Order, Quantity, Refund, RefundContent, Status};

/// What happened, step by step. Its text has one numbered line a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    steps: Vec<String>,
}

impl Transcript {
    /// The steps.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Tells commands to books, and writes down what comes of each.
    pub(super) fn record_all<'a>(
        books: &mut Ledger,
        steps: impl IntoIterator<Item = &'a (Timestamp, Command)>,
    ) -> Self {
        let mut story = Self::default();
        for (now, command) in steps {
            story.record(books, command, *now);
        }
        story
    }

    /// Tells one command more.
    pub(super) fn record(&mut self, books: &mut Ledger, command: &Command, now: Timestamp) {
        let before = books.balance(now);
        let said = describe_command(command);
        let outcome = if let Err(rejection) = books.execute(command, now) {
            format!("refused: {rejection}")
        } else {
            let moved = books.balance(now).saturating_sub(before);
            let sign = if moved.is_positive() { "+" } else { "" };
            let change =
                if moved.is_zero() { String::new() } else { format!("{sign}{moved} points, ") };
            let pending = books.as_of(now).pending(now);
            let held =
                if pending.is_zero() { String::new() } else { format!(", {pending} pending") };
            format!("{change}balance {}{held}", books.balance(now))
        };
        self.steps.push(format!("{}  {said}: {outcome}", format_instant(now)));
    }

    /// Something that is no command.
    pub(super) fn add_line(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1_u32..).zip(&self.steps) {
            writeln!(f, "  {number}. {step}")?;
        }
        Ok(())
    }
}

/// An instant, as exact as it needs to be.
pub(super) fn format_instant(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

/// A command in one sentence.
fn describe_command(command: &Command) -> String {
    let dated = |at: &Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!(" (dated {})", format_instant(at)))
    };
    match command {
        Command::AddPoints { points, .. } => format!("the shop adds {points} points"),
        Command::CancelOrder { order, at } => format!("order {order} is cancelled{}", dated(at)),
        Command::CancelRedemption { redemption } => format!("redemption {redemption} is cancelled"),
        Command::CatchUp => "what is due is written down".to_owned(),
        Command::ClaimRedemption { redemption, order } => {
            format!("order {order} brings the code of redemption {redemption}")
        }
        Command::CloseOrder { order, at } => format!("order {order} is closed{}", dated(at)),
        Command::EnterCode { code, .. } => format!("the customer types the code {code}"),
        Command::IssueReferralCode { .. } => "the customer asks for a code for friends".to_owned(),
        Command::JoinReferral { .. } => "the customer comes by a friend's code".to_owned(),
        Command::PerformAction { action, points: None } => format!("the customer does {action}"),
        Command::PerformAction { action, points: Some(points) } => {
            format!("the customer does {action} for {points} points")
        }
        Command::RecordOrder { order, snapshot, status, at, .. } => {
            format!(
                "order {order} is {}, {}{}",
                status_text(*status),
                describe_order(snapshot),
                dated(at)
            )
        }
        Command::RedeemReward { redemption, reward, amount: None, .. } => {
            format!("the customer redeems {reward} (redemption {redemption})")
        }
        Command::RedeemReward { redemption, reward, amount: Some(amount), .. } => {
            format!("the customer redeems {amount} of {reward} (redemption {redemption})")
        }
        Command::RefundOrder { order, refund, at, .. } => {
            format!("{}{}", describe_refund(order, refund), dated(at))
        }
        Command::ReleaseRedemption { redemption, order } => {
            format!("order {order} no longer brings the code of redemption {redemption}")
        }
        Command::RewardReferral { order, .. } => format!("a friend has placed order {order}"),
        Command::SetBalance { to, .. } => format!("the shop sets the balance to {to}"),
        Command::SetTier(None) => "the shop ends the tier that it set".to_owned(),
        Command::SetTier(Some(tier)) => format!("the shop sets tier {}", tier.id),
        Command::SignUp => "the customer signs up".to_owned(),
        Command::SubtractPoints { points, .. } => format!("the shop takes {points} points"),
        Command::UndoReferral { order, .. } => {
            format!("a friend's order {order} is worth nothing any more")
        }
        Command::UseRedemption { redemption, order: None } => {
            format!("redemption {redemption} is used")
        }
        Command::UseRedemption { redemption, order: Some(order) } => {
            format!("redemption {redemption} is used with order {order}")
        }
    }
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Processing => "placed",
        Status::Paid => "paid",
        Status::Fulfilled => "fulfilled",
        Status::Completed => "completed",
    }
}

/// What an order holds: `49.95 in all: 2 x tea for 29.90, 1 x cup for 20.05`.
fn describe_order(order: &Order) -> String {
    let mut said = format!("{} in all: ", order.total);
    for (index, line) in order.lines.iter().enumerate() {
        said.push_str(if index == 0 { "" } else { ", " });
        said.push_str(&describe_line(line));
    }
    // Writing to a text does not fail.
    let mut and = |what: &str, amount: Amount| {
        let _ = if amount.is_zero() { Ok(()) } else { write!(said, ", {what} {amount}") };
    };
    and(if order.taxes_included { "of which tax" } else { "tax" }, order.tax);
    and("shipping", order.shipping);
    and("of which paid with a reward", order.redeemed);
    said
}

fn describe_line(line: &Line) -> String {
    let what = line
        .product
        .as_ref()
        .map_or_else(|| "something".to_owned(), ToString::to_string);
    let count = if line.quantity == Quantity::from(1) {
        String::new()
    } else {
        format!("{} x ", line.quantity)
    };
    let card = if line.gift_card { " (a gift card)" } else { "" };
    let mut places = line
        .categories
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if !places.is_empty() {
        places = format!(" of {places}");
    }
    format!("{count}{what}{places}{card} for {}", line.amount)
}

fn describe_refund(order: &crate::id::OrderId, refund: &Refund) -> String {
    match &refund.refunded {
        RefundContent::Amount(amount) => {
            format!("{amount} of order {order} comes back (refund {})", refund.id)
        }
        RefundContent::Lines { lines, amount } => {
            let lines: Vec<_> = lines
                .iter()
                .map(|(line, units)| format!("{units} of line {line}"))
                .collect();
            let paid = amount.map_or_else(String::new, |amount| format!(", {amount} paid back"));
            format!(
                "{} of order {order} comes back{paid} (refund {})",
                lines.join(" and "),
                refund.id
            )
        }
    }
}
