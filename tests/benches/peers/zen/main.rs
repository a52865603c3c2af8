//! Decisions a second of zen-engine, compiled, from the order's bytes: `zen-peer DECISION ORDER`, two JSON files.
//! Prints the points and the rate as JSON, for `../rules.mjs`.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use zen_engine::model::DecisionContent;
use zen_engine::{Decision, DecisionEngine, Variable};

async fn points(decision: &Decision, order: &[u8]) -> Result<Variable, Box<dyn Error>> {
    let order: Variable = serde_json::from_slice(black_box(order))?;
    decision.evaluate(order).await.map(|response| response.result).map_err(|failure| failure.to_string().into())
}

async fn rate(decision: &Decision, order: &[u8], time: Duration) -> Result<f64, Box<dyn Error>> {
    let (mut count, begun) = (0_u32, Instant::now());

    while begun.elapsed() < time {
        black_box(points(decision, order).await?);
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut files = std::env::args().skip(1);
    let mut file = || files.next().ok_or("zen-peer DECISION ORDER").map(std::fs::read);
    let (decision, order) = (file()??, file()??);

    let content: DecisionContent = serde_json::from_slice(&decision)?;
    let mut decision = DecisionEngine::default().create_decision(content.into())?;
    decision.compile();

    let points = points(&decision, &order).await?.to_value()["points"].clone();
    rate(&decision, &order, Duration::from_millis(300)).await?;
    let rate = rate(&decision, &order, Duration::from_secs(1)).await?;
    println!("{}", serde_json::json!({ "points": points, "rate": rate }));
    Ok(())
}
