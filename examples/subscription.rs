//! A subscription shop awards points for its own actions: 100 for a plan of three months,
//! 250 for a year.
//!
//! Run with `cargo run --example subscription`, or against a running server with
//! `--server URL --key K`. The requests carry an `Idempotency-Key`, so a second run
//! against the same server adds no points.

mod cli;
mod client;
mod server;
mod transcript;

use std::process::ExitCode;

use clap::Parser;
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::ExampleError;
use crate::client::ServerArgs;
use crate::transcript::Transcript;

/// Points for subscriptions, as a shop would add them.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    cli::run(subscribe)
}

async fn subscribe(arguments: Arguments) -> Result<ExitCode, ExampleError> {
    let mut transcript = Transcript::start(arguments.server).await?;
    let ada = json!({ "customer_id": "ada", "email": "ada@example.com", "first_name": "Ada" });
    transcript
        .send("Ada signs up.", (Method::POST, "/v1/customers"), Some("sign-up-ada"), &ada)
        .await?;

    let points = || (Method::POST, "/v1/points-add");
    let quarter = json!({
        "customer_id": "ada", "points": 100, "action_id": "plan-3-months", "reason": "Plan of three months",
    });
    transcript
        .send(
            "She takes a plan of three months.",
            points(),
            Some("subscription-7001"),
            &quarter,
        )
        .await?;

    let repeated =
        "The shop missed the response and repeats the request: the same response, no more points.";
    transcript
        .send(repeated, points(), Some("subscription-7001"), &quarter)
        .await?;

    let year = json!({
        "customer_id": "ada", "points": 250, "action_id": "plan-1-year", "reason": "Plan of one year",
    });
    transcript
        .send("She changes to a yearly plan.", points(), Some("subscription-7002"), &year)
        .await?;

    let balance = transcript
        .get("The points are available immediately.", "/v1/customers/ada/point-balance")
        .await?;
    println!("Ada has {} points.", balance.get("point_balance").unwrap_or(&Value::Null));
    transcript.finish().await?;
    Ok(ExitCode::SUCCESS)
}
