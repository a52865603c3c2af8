//! A checkout: points become a code, a cart tries it, an order uses it, money goes back, and in the end the
//! whole order is cancelled. After each step the ledger says what happened to the points.
//!
//! Run with `cargo run --example checkout`. Against a running server (`--server URL --key K`) it publishes a
//! program of its own; the key needs the scope `admin`.

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

/// A reward, from the points to the cancelled order.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    cli::run(check_out)
}

async fn check_out(arguments: Arguments) -> Result<ExitCode, ExampleError> {
    let mut story = Transcript::start(arguments.server).await?;
    let program = json!({ "rewards": [{
        "id": "five-off", "name": "$5 off", "cost": 500, "gives": { "fixed_amount": "5.00" },
        "minimum_subtotal": "20", "valid_for": "P90D",
    }] });
    story
        .send(
            "The shop sells $5 off for 500 points.",
            (Method::PUT, "/v1/program"),
            None,
            &program,
        )
        .await?;
    let ada = json!({ "customer_id": "ada", "email": "ada@example.com", "first_name": "Ada" });
    story
        .send("Ada signs up.", (Method::POST, "/v1/customers"), Some("checkout-ada"), &ada)
        .await?;
    let gift = json!({ "customer_id": "ada", "points": 600, "reason": "Welcome" });
    story
        .send(
            "She is given 600 points.",
            (Method::POST, "/v1/points-add"),
            Some("checkout-gift"),
            &gift,
        )
        .await?;
    story.get("What can she have?", "/v1/customers/ada/rewards").await?;

    let wish = json!({ "customer_id": "ada", "reward_id": "five-off" });
    let redeemed = story
        .send("She takes it.", (Method::POST, "/v1/redemptions"), Some("checkout-wish"), &wish)
        .await?;
    print_ledger(&mut story).await?;
    let code = redeemed.get("code").cloned().unwrap_or_default();
    let cart = json!({
        "customer": { "customer_id": "ada" }, "codes": [code],
        "lines": [{ "quantity": 2, "price": "12.50" }, { "quantity": 1, "price": "30.00" }],
    });
    let tried = "Her cart takes the code: the discount is shared out to the cent.";
    story
        .send(tried, (Method::POST, "/v1/carts/evaluate"), None, &cart)
        .await?;

    let order = |status: &str| {
        json!({
            "customer": { "customer_id": "ada" }, "status": status, "discount_codes": [code],
            "lines": [
                { "line_id": "1", "quantity": 2, "amount": "22.73" },
                { "line_id": "2", "quantity": 1, "amount": "27.27" },
            ],
            "total": "50.00",
        })
    };
    let path = "/v1/orders/1001";
    let paid = "She pays what is left. The order uses the code, and earns on 50.";
    story.send(paid, (Method::PUT, path), None, &order("paid")).await?;
    print_ledger(&mut story).await?;
    let refund = json!({ "refund_id": "R1", "amount": "20.00" });
    let back =
        "She sends something back: two fifths of the order's points go, the redemption stays used.";
    story
        .send(back, (Method::POST, "/v1/orders/1001/refunds"), None, &refund)
        .await?;
    print_ledger(&mut story).await?;
    let off = "The rest is cancelled: the order's other points go, and the code can be used again.";
    story
        .send(off, (Method::PUT, path), None, &order("cancelled"))
        .await?;
    print_ledger(&mut story).await?;

    let id = redeemed
        .get("redemption_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let cancel = format!("/v1/redemptions/{id}/cancel");
    let end = "She would rather have her points: they come back, and the code stops working.";
    let ended = story.send(end, (Method::POST, &cancel), None, &json!({})).await?;
    print_ledger(&mut story).await?;
    story
        .send("The cart says so.", (Method::POST, "/v1/carts/evaluate"), None, &cart)
        .await?;
    println!(
        "Ada has {} points, as before.",
        ended.get("point_balance").unwrap_or(&Value::Null)
    );
    story.finish().await?;
    Ok(ExitCode::SUCCESS)
}

async fn print_ledger(story: &mut Transcript) -> Result<(), ExampleError> {
    story
        .get("The ledger, newest first.", "/v1/customers/ada/ledger?limit=2")
        .await
        .map(drop)
}
