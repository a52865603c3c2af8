//! The tester's kit under test: it passes the engine under every program, names what a broken engine breaks, and
//! finds what a badly written program lets customers get away with.

#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "a test may stop at what it did not expect")]

use loyalty_core::Program;
use loyalty_core::proptest::{Check, check_program, expiring_programs, programs, whole_programs};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

#[test]
fn the_engine_holds_under_every_program() {
    // Shapes of programs that nobody wrote, each with a few cases; more by PROPTEST_CASES.
    let mut runner = TestRunner::deterministic();
    let any = prop_oneof![programs(), expiring_programs(), whole_programs()];
    for seed in 0..u64::from(runner.config().cases.min(1_000)) / 16 {
        let program = any.new_tree(&mut runner).unwrap().current();
        let check = Check { cases: 16, seed, ..Check::default() };
        if let Err(violation) = check.run(&program) {
            panic!("{violation}\nunder {}", program.to_json());
        }
    }
}

#[test]
fn look() {
    let program = Program::from_json(r#"{
     "refunds": "keep", "debt": "stop_at_zero",
     "tiers": [{"id": "gold", "name": "Gold", "threshold": "500", "entry": {"points": 50}}],
     "actions": [{"id": "goal", "kind": {"goal_orders": 3}, "points": 50}],
     "rewards": [{"id": "five", "name": "5 off", "cost": 3, "gives": {"fixed_amount": "5"}}]
     }"#).unwrap();
    println!("{}", check_program(&program).unwrap());
    println!("{}", check_program(&Program::default()).unwrap());
}
