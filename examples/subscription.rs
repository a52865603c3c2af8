//! A subscription shop gives points for its own actions: 100 for a plan of three months, 250 for a year.
//!
//! Run with `cargo run --example subscription`, or against a running server with `--server URL --key K`.
//! The requests carry an `Idempotency-Key`: run twice against one server, the points come once.

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
    let mut story = Transcript::start(arguments.server).await?;
    let ada = json!({ "customer_id": "ada", "email": "ada@example.com", "first_name": "Ada" });
    story
        .send("Ada signs up.", (Method::POST, "/v1/customers"), Some("sign-up-ada"), &ada)
        .await?;

    let points = || (Method::POST, "/v1/points-add");
    let quarter = json!({
        "customer_id": "ada", "points": 100, "action_id": "plan-3-months", "reason": "Plan of three months",
    });
    story
        .send(
            "She takes a plan of three months.",
            points(),
            Some("subscription-7001"),
            &quarter,
        )
        .await?;
    let again =
        "The shop never saw the answer and sends it again: the same answer, no more points.";
    story
        .send(again, points(), Some("subscription-7001"), &quarter)
        .await?;
    let year = json!({
        "customer_id": "ada", "points": 250, "action_id": "plan-1-year", "reason": "Plan of one year",
    });
    story
        .send("She moves on to a year.", points(), Some("subscription-7002"), &year)
        .await?;

    let balance = story
        .get("The points apply at once.", "/v1/customers/ada/point-balance")
        .await?;
    println!("Ada has {} points.", balance.get("point_balance").unwrap_or(&Value::Null));
    story.finish().await?;
    Ok(ExitCode::SUCCESS)
}
