//! Programs: an accepted program round-trips through JSON and satisfies the engine's
//! invariants.

use loyalty_core::Program;
use loyalty_core::proptest::{Invariant, ProgramCheck};

pub(super) fn run(data: &[u8]) -> bool {
    let Ok(document) = str::from_utf8(data) else { return false };
    let program = match Program::from_json(document) {
        Ok(program) => program,
        Err(error) => {
            assert!(!error.faults().is_empty(), "rejected without a fault");
            return false;
        }
    };

    assert_eq!(Program::from_json(&program.to_json()).as_ref(), Ok(&program));

    let check = ProgramCheck { cases: 2, ..ProgramCheck::default() };
    for invariant in [Invariant::Conservation, Invariant::DryRunEqualsReal] {
        if let Err(violation) = check.check_invariant(invariant, &program) {
            panic!("{violation}");
        }
    }
    true
}
