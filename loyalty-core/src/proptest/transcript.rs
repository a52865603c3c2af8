//! Transcripts of counterexamples: numbered commands with their results.

use std::fmt::{self, Write};

use crate::amount::Amount;
use crate::attribute::Attributes;
use crate::calendar::Timestamp;
use crate::command::Command;
use crate::context::Decision;
use crate::event::Event;
use crate::figures::{CountedNoun, GroupedNumber, count_points};
use crate::ledger::Ledger;
use crate::order::{
    Line, Order, Quantity, Refund, RefundAmount, RefundContent, RefundCurrency, Status,
};

/// The steps of a counterexample. Its text has one numbered line for each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    steps: Vec<String>,
}

impl Transcript {
    /// The steps.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Executes commands, and records the result of each.
    pub(super) fn record_all<'a>(
        ledger: &mut Ledger,
        steps: impl IntoIterator<Item = &'a (Timestamp, Command)>,
    ) -> Self {
        let mut transcript = Self::default();
        for (now, command) in steps {
            transcript.record(ledger, command, *now);
        }
        transcript
    }

    /// Executes one more command, and records its result.
    pub(super) fn record(&mut self, ledger: &mut Ledger, command: &Command, now: Timestamp) {
        let before = ledger.balance(now);
        let description = describe_command(command);
        let result = ledger.execute(command, now);
        let due = result
            .as_ref()
            .map_or_else(|_| String::new(), |made| describe_due(made, now));
        let outcome = if let Err(rejection) = result {
            format!("rejected: {rejection}")
        } else {
            let moved = ledger.balance(now).saturating_sub(before);
            let sign = if moved.is_positive() { "+" } else { "" };
            let change = if moved.is_zero() {
                String::new()
            } else {
                format!("{sign}{}, ", count_points(moved))
            };
            let pending = ledger.as_of(now).pending(now);
            let pending = if pending.is_zero() {
                String::new()
            } else {
                format!(", {} pending", GroupedNumber(pending))
            };
            format!("{change}balance {}{pending}", GroupedNumber(ledger.balance(now)))
        };

        self.steps
            .push(format!("{}  {due}{description}: {outcome}", format_instant(now)));
    }

    /// Adds a line that is not a command.
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

/// Formats an instant to the minute.
pub(super) fn format_instant(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

/// Describes what was due before a command, each at its own instant: `after 5 points expired
/// on 2026-02-14 10:00, `. Empty where nothing was.
fn describe_due(decision: &Decision, now: Timestamp) -> String {
    let late = decision.events.iter().filter_map(|event| {
        let (text, at) = (describe_due_event(event, now)?, event.at()?);
        Some(format!("{text} on {}", format_instant(at)))
    });
    let late: Vec<_> = late.collect();
    if late.is_empty() { String::new() } else { format!("after {}, ", late.join(" and ")) }
}

/// Describes an event that was due by `now`. Bonuses and tiers of that instant may be the
/// command's own.
fn describe_due_event(event: &Event, now: Timestamp) -> Option<String> {
    let is_past = event.at().is_some_and(|at| at < now);
    if let Event::PointsExpired { points, .. } = event {
        return Some(format!("{} expired", count_points(*points)));
    }
    if let Event::PointsReleased { points, .. } = event {
        return Some(format!("{} became usable", count_points(*points)));
    }
    if let Event::RedemptionExpired { redemption, .. } = event {
        return Some(format!("redemption {redemption} expired"));
    }
    if let Event::AwardGiven { points, award, .. } = event {
        return is_past.then(|| format!("{} {}", count_points(*points), award.reason));
    }
    if let Event::TierLapsed { tier, .. } = event {
        return is_past.then(|| format!("tier {tier} lapsed"));
    }
    if let Event::TierChanged { change } = event {
        let tier = change.to.as_ref().map_or("none", |tier| tier.as_str());
        return is_past.then(|| format!("the tier became {tier}"));
    }
    None
}

/// Describes a command in one sentence.
fn describe_command(command: &Command) -> String {
    let dated = |at: &Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!(" (dated {})", format_instant(at)))
    };
    match command {
        Command::AddPoints { points, .. } => {
            format!("the shop adds {}", count_points(*points))
        }
        Command::CancelOrder { order, at } => format!("order {order} is cancelled{}", dated(at)),
        Command::CancelRedemption { redemption } => format!("redemption {redemption} is cancelled"),
        Command::CatchUp => "the account catches up".to_owned(),
        Command::ClaimRedemption { redemption, order } => {
            format!("order {order} claims redemption {redemption}")
        }
        Command::CloseOrder { order, at } => format!("order {order} is closed{}", dated(at)),
        Command::EnterCode { code, .. } => format!("the customer enters the code {code}"),
        Command::ImportPoints { import, lots, .. } => {
            format!("import {import} brings {}", CountedNoun::new(lots.len(), "lot", "lots"))
        }
        Command::IssueGift { redemption, .. } => {
            format!("the next gift is issued (redemption {redemption})")
        }
        Command::IssueReferralCode { .. } => "the customer gets a referral code".to_owned(),
        Command::JoinReferral { .. } => "the customer joins by a referral code".to_owned(),
        Command::NoteGuest { order, .. } => format!("order {order} names a guest"),
        Command::PerformAction { action, points: None } => {
            format!("the customer performs {action}")
        }
        Command::PerformAction { action, points: Some(points) } => {
            format!("the customer performs {action} for {}", count_points(*points))
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
        Command::RefundRedemption { redemption, order, returned } => {
            format!("{returned} of the goods of order {order} came back to redemption {redemption}")
        }
        Command::RecordPublication { redemption, store, status } => {
            format!("store {store} reports redemption {redemption} as {}", status.name())
        }
        Command::ReleaseRedemption { redemption, order } => {
            format!("order {order} releases redemption {redemption}")
        }
        Command::ReopenAccount { .. } => "the account is opened again".to_owned(),
        Command::RewardReferral { order, .. } => {
            format!("a referred customer has placed order {order}")
        }
        Command::SetBalance { to, .. } => {
            format!("the shop sets the balance to {}", GroupedNumber(to))
        }
        Command::SetTier(None) => "the shop ends the tier that it set".to_owned(),
        Command::SetTier(Some(tier)) => format!("the shop sets tier {}", tier.id),
        Command::SignUp => "the customer signs up".to_owned(),
        Command::SubtractPoints { points, .. } => {
            format!("the shop subtracts {}", count_points(*points))
        }
        Command::UndoClaim { .. } => "the shop undoes a claim".to_owned(),
        Command::UndoImport { import, .. } => format!("import {import} is undone"),
        Command::UndoReferral { order, .. } => {
            format!("order {order} of a referred customer no longer qualifies")
        }
        Command::UseRedemption { redemption, order: None } => {
            format!("redemption {redemption} is used")
        }
        Command::UseRedemption { redemption, order: Some(order) } => {
            format!("redemption {redemption} is used with order {order}")
        }
        Command::EraseAccount => "the customer is erased".to_owned(),
        Command::VoidRedemption { redemption } => {
            format!("redemption {redemption} is cancelled without return")
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

/// Describes an order: `total 49.95: 2 x tea for 29.90, 1 x cup for 20.05`.
fn describe_order(order: &Order) -> String {
    let mut text = format!("total {}: ", GroupedNumber(order.total));
    for (index, line) in order.lines.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        text.push_str(&describe_line(line));
    }

    // Writing to a string does not fail.
    let mut add = |name: &str, amount: Amount| {
        let _ = if amount.is_zero() {
            Ok(())
        } else {
            write!(text, ", {name} {}", GroupedNumber(amount))
        };
    };
    add(if order.taxes_included { "of which tax" } else { "tax" }, order.tax);
    add("shipping", order.shipping);
    add("of which paid with a reward", order.redeemed);
    if let Some(channel) = &order.channel {
        let _ = write!(text, ", by channel {channel}");
    }
    text.push_str(&describe_attributes(&order.attributes));
    text
}

/// Describes attributes: `, gift = true`.
fn describe_attributes(attributes: &Attributes) -> String {
    let mut text = String::new();
    for (name, value) in attributes.iter() {
        // Writing to a string does not fail.
        let _ = write!(text, ", {name} = {value}");
    }
    text
}

fn describe_line(line: &Line) -> String {
    let item = line
        .product
        .as_ref()
        .map_or_else(|| "an item".to_owned(), ToString::to_string);
    let count = if line.quantity == Quantity::from(1) {
        String::new()
    } else {
        format!("{} x ", line.quantity)
    };
    let card = if line.gift_card { " (a gift card)" } else { "" };

    let mut categories = line
        .categories
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if !categories.is_empty() {
        categories = format!(" of {categories}");
    }
    let mut attributes = describe_attributes(&line.attributes);
    if !attributes.is_empty() {
        attributes = format!(" ({})", attributes.trim_start_matches(", "));
    }
    format!("{count}{item}{categories}{card}{attributes} for {}", GroupedNumber(line.amount))
}

fn describe_refund(order: &crate::id::OrderId, refund: &Refund) -> String {
    match &refund.refunded {
        RefundContent::Amount(amount) => {
            let amount = describe_amount(amount);
            format!("{amount} of order {order} is refunded (refund {})", refund.id)
        }
        RefundContent::Lines { lines, amount } => {
            let lines: Vec<_> = lines
                .iter()
                .map(|(line, units)| format!("{units} of line {line}"))
                .collect();
            let paid = amount.as_ref().map(describe_amount);
            let paid = paid.map_or_else(String::new, |amount| format!(", {amount} paid back"));
            format!(
                "{} of order {order} is returned{paid} (refund {})",
                lines.join(" and "),
                refund.id
            )
        }
    }
}

/// The money of a refund, with its parts.
fn describe_amount(refunded: &RefundAmount) -> String {
    let mut text = refunded.amount().to_string();
    if let RefundCurrency::Order(currency) = refunded.currency() {
        let _infallible = write!(text, " {}", currency.code());
    }
    if !refunded.shipping().is_zero() {
        let _infallible = write!(text, ", {} of it shipping", refunded.shipping());
    }
    if let Some(tax) = refunded.tax() {
        let _infallible = write!(text, ", {tax} of it tax");
    }
    text
}
