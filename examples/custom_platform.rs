//! A shop on an unsupported platform sends an order at each status, then a refund, and
//! shows the points on its own account page.
//!
//! Run with `cargo run --example custom_platform`, or against a running server with
//! `--server URL --key K`. Orders and refunds carry the shop's own ids, so a second run
//! against the same server changes nothing.

mod cli;
mod client;
mod server;
mod transcript;

use std::process::ExitCode;

use clap::Parser;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::ExampleError;
use crate::client::ServerArgs;
use crate::transcript::Transcript;

/// An order from its first status to a refund, as a shop would send it.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    cli::run(push)
}

async fn push(arguments: Arguments) -> Result<ExitCode, ExampleError> {
    let mut transcript = Transcript::start(arguments.server).await?;
    for (status, at, sentence) in [
        (
            "processing",
            "2026-03-02T10:00:00Z",
            "Grace orders a teapot and two tins of tea. Nothing is earned yet.",
        ),
        (
            "paid",
            "2026-03-02T10:05:00Z",
            "She pays: one point for each whole dollar, without the shipping.",
        ),
        (
            "fulfilled",
            "2026-03-03T08:00:00Z",
            "The parcel leaves. That changes no points.",
        ),
        ("completed", "2026-03-05T16:30:00Z", "It arrives."),
    ] {
        transcript
            .send(sentence, (Method::PUT, "/v1/orders/5001"), None, &order(status, at))
            .await?;
    }

    let refund = json!({
        "refund_id": "5001-1", "lines": [{ "line_id": "tea", "quantity": 1 }], "refunded_at": "2026-03-09T09:00:00Z",
    });
    let sentence = "One tin is returned: its share of the points is taken back.";
    transcript
        .send(sentence, (Method::POST, "/v1/orders/5001/refunds"), None, &refund)
        .await?;

    let ledger = transcript
        .get("The account page reads the ledger.", "/v1/customers/grace/ledger")
        .await?;
    print_account_page(&AccountPage::deserialize(ledger)?);
    transcript.finish().await?;
    Ok(ExitCode::SUCCESS)
}

/// The order at a status. Only the status and its time change.
fn order(status: &str, at: &str) -> Value {
    json!({
        "customer": { "customer_id": "grace", "email": "grace@example.com", "first_name": "Grace" },
        "status": status,
        "placed_at": "2026-03-02T10:00:00Z",
        "updated_at": at,
        "lines": [
            { "line_id": "pot", "product_id": "teapot", "categories": ["pots"], "quantity": 1, "amount": "37.45" },
            { "line_id": "tea", "product_id": "earl-grey", "categories": ["tea"], "quantity": 2, "amount": "25.00" },
        ],
        "shipping": "4.90",
        "total": "67.35",
    })
}

/// The members of a ledger that the account page shows, newest entry first.
#[derive(Deserialize)]
struct AccountPage {
    entries: Vec<LedgerEntry>,
}

#[derive(Deserialize)]
struct LedgerEntry {
    at: String,
    points: i64,
    point_balance: i64,
    text: Option<String>,
}

fn print_account_page(ledger: &AccountPage) {
    println!(
        "Your points: {}\n",
        ledger.entries.first().map_or(0, |entry| entry.point_balance)
    );
    for LedgerEntry { at, points, point_balance, text } in &ledger.entries {
        println!(
            "{at}  {points:>+6}  {point_balance:>6}  {}",
            text.as_deref().unwrap_or_default()
        );
    }
}
