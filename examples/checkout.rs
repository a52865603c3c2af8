//! A checkout: points buy a code, a cart evaluates it, an order uses it, a refund and a
//! cancellation take points back. Prints the ledger after each step.
//!
//! Run with `cargo run --example checkout`. Against a running server (`--server URL --key
//! K`) it publishes a program of its own; the key needs the scope `admin`.

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
    let mut transcript = Transcript::start(arguments.server).await?;
    sell_reward(&mut transcript).await?;
    transcript
        .get("Which rewards can she buy?", "/v1/customers/ada/rewards")
        .await?;

    let request = json!({ "customer_id": "ada", "reward_id": "five-off" });
    let redeemed = transcript
        .send(
            "She redeems it.",
            (Method::POST, "/v1/redemptions"),
            Some("checkout-redemption"),
            &request,
        )
        .await?;
    print_ledger(&mut transcript).await?;

    let code = redeemed.get("code").cloned().unwrap_or_default();
    let cart = json!({
        "customer": { "customer_id": "ada" }, "codes": [code],
        "lines": [{ "quantity": 2, "price": "12.50" }, { "quantity": 1, "price": "30.00" }],
    });
    let sentence = "Her cart accepts the code: the discount is allocated to the cent.";
    transcript
        .send(sentence, (Method::POST, "/v1/carts/evaluate"), None, &cart)
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
    let sentence = "She pays the rest. The order uses the code, and earns on 50.";
    transcript
        .send(sentence, (Method::PUT, path), None, &order("paid"))
        .await?;
    print_ledger(&mut transcript).await?;

    let refund = json!({ "refund_id": "R1", "amount": "20.00" });
    let sentence =
        "A refund: two fifths of the order's points are taken back, the code stays used.";
    transcript
        .send(sentence, (Method::POST, "/v1/orders/1001/refunds"), None, &refund)
        .await?;
    print_ledger(&mut transcript).await?;

    let sentence =
        "The order is cancelled: its other points are taken back, the code is unused again.";
    transcript
        .send(sentence, (Method::PUT, path), None, &order("cancelled"))
        .await?;
    print_ledger(&mut transcript).await?;

    let id = redeemed
        .get("redemption_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let cancel = format!("/v1/redemptions/{id}/cancel");
    let sentence = "She cancels the redemption: the points are returned, the code no longer works.";
    let cancelled = transcript
        .send(sentence, (Method::POST, &cancel), None, &json!({}))
        .await?;
    print_ledger(&mut transcript).await?;

    transcript
        .send(
            "The cart rejects the code now.",
            (Method::POST, "/v1/carts/evaluate"),
            None,
            &cart,
        )
        .await?;

    println!(
        "Ada has {} points, as before.",
        cancelled.get("point_balance").unwrap_or(&Value::Null)
    );
    transcript.finish().await?;
    Ok(ExitCode::SUCCESS)
}

/// Publishes the reward, and adds a customer with points for it.
async fn sell_reward(transcript: &mut Transcript) -> Result<(), ExampleError> {
    let program = json!({ "rewards": [{
        "id": "five-off", "name": "$5 off", "cost": 500, "gives": { "fixed_amount": "5.00" },
        "minimum_subtotal": "20", "valid_for": "P90D",
    }] });
    transcript
        .send(
            "The shop sells $5 off for 500 points.",
            (Method::PUT, "/v1/program"),
            None,
            &program,
        )
        .await?;

    let ada = json!({ "customer_id": "ada", "email": "ada@example.com", "first_name": "Ada" });
    transcript
        .send("Ada signs up.", (Method::POST, "/v1/customers"), Some("checkout-ada"), &ada)
        .await?;

    let gift = json!({ "customer_id": "ada", "points": 600, "reason": "Welcome" });
    transcript
        .send(
            "She is given 600 points.",
            (Method::POST, "/v1/points-add"),
            Some("checkout-gift"),
            &gift,
        )
        .await?;
    Ok(())
}

async fn print_ledger(transcript: &mut Transcript) -> Result<(), ExampleError> {
    transcript
        .get("The ledger, newest first.", "/v1/customers/ada/ledger?limit=2")
        .await
        .map(drop)
}
