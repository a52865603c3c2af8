//! Checks two programs with the testing kit: does the engine satisfy its invariants, and
//! can customers exploit the program?
//!
//! One program is sound, the other has three exploits. Run with `cargo run -p
//! loyalty-examples --example check_program`. With `-- my-program.json` it checks that
//! program instead, and fails if there are findings.

use std::error::Error;
use std::path::Path;

use loyalty_core::Program;
use loyalty_core::proptest::{CheckReport, check_program};

const SOUND: &str = r#"{
    "earning": [
        {"id": "base", "earn": {"per_unit": "1"}},
        {"id": "tea", "earn": {"per_unit": "1"}, "when": {"categories": ["tea"]}},
        {"id": "cups", "earn": {"per_item": 2}, "when": {"products": ["cup"]}}
    ],
    "hold": "P14D",
    "expiry": {"per_lot": {"after": "P1Y", "round_up_to": "month"}},
    "tiers": [
        {"id": "gold", "name": "Gold", "threshold": "500", "multiplier": "1.5",
         "entry": {"points": 100, "taken_back": true}}
    ],
    "rewards": [{"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5.00"}}]
}"#;

/// Three exploits: points that nobody can owe, an entry reward that a refund does not
/// take back, and a welcome bonus for a first order that may be refunded.
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

    let exploitable = check(EXPLOITABLE)?;
    println!("An exploitable program\n\n{exploitable}");

    let faults: Vec<&str> = exploitable
        .findings
        .iter()
        .map(|finding| finding.fault.pointer.as_str())
        .collect();

    println!("Members with findings: {}", faults.join(", "));
    if sound.findings.is_empty() && faults.len() == 3 {
        Ok(())
    } else {
        Err("expected no finding in the sound program and three in the other".into())
    }
}

/// Returns the findings. A broken invariant is a bug of the engine, and an error here.
fn check(document: &str) -> Result<CheckReport, Box<dyn Error>> {
    let program = Program::from_json(document)?;
    Ok(check_program(&program)?)
}
