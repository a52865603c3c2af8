//! Does the engine keep its word under a program, and can customers cheat it?
//!
//! Checks a sound program, and one whose merchant meant well three times. Run with `cargo run -p loyalty-examples
//! --example check_program`, or with `-- my-program.json` for a program of your own; then it fails where there
//! is something to find.

use std::error::Error;
use std::path::Path;

use loyalty_core::Program;
use loyalty_core::proptest::{CheckReport, check_program};

const SOUND: &str = r#"{
    "earning": [
        {"id": "base", "earn": {"per_unit": "1"}},
        {"id": "tea", "earn": {"per_unit": "1"}, "when": {"categories": ["tea"]}}
    ],
    "hold": "P14D",
    "expiry": {"per_lot": {"after": "P1Y", "round_up_to": "month"}},
    "tiers": [
        {"id": "gold", "name": "Gold", "threshold": "500", "multiplier": "1.5",
         "entry": {"points": 100, "taken_back": true}}
    ],
    "rewards": [{"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5.00"}}]
}"#;

/// Nobody shall ever owe points; who has made it to Gold keeps the present; and there is a welcome.
const EXPLOITABLE: &str = r#"{
    "earning": [
        {"id": "base", "earn": {"per_unit": "1"}},
        {"id": "welcome", "earn": {"per_order": 500}, "limits": [{"times": 1, "per": "ever"}]}
    ],
    "debt": "stop_at_zero",
    "tiers": [{"id": "gold", "name": "Gold", "threshold": "500", "entry": {"points": 100}}],
    "rewards": [{"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5.00"}}]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = std::env::args().nth(1) {
        let report = check(&std::fs::read_to_string(Path::new(&path))?)?;
        println!("{report}");
        return if report.findings.is_empty() {
            Ok(())
        } else {
            Err("the program can be cheated".into())
        };
    }
    let sound = check(SOUND)?;
    println!("A sound program\n\n{sound}");
    let kind = check(EXPLOITABLE)?;
    println!("A kind program\n\n{kind}");
    let faults: Vec<&str> = kind
        .findings
        .iter()
        .map(|finding| finding.fault.pointer.as_str())
        .collect();
    println!("What to look at again in it: {}", faults.join(", "));
    if sound.findings.is_empty() && faults.len() == 3 {
        Ok(())
    } else {
        Err("it used to find three".into())
    }
}

/// A broken invariant would be the engine's fault, and comes as an error with its story.
fn check(document: &str) -> Result<CheckReport, Box<dyn Error>> {
    let program = Program::from_json(document)?;
    Ok(check_program(&program)?)
}
