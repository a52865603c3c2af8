//! Checks a program against every invariant, and searches it for exploits.

use std::fmt;

use super::exploits::{self, Finding};
use super::runner::{CheckFailure, ProgramCheck};
use super::transcript::Transcript;
use super::{Invariant, searches};
use crate::figures::CountedNoun;
use crate::program::Program;

/// Checks a program against every [`Invariant`], and searches it for exploits.
///
/// # Errors
/// An invariant that the engine breaks under the program, with the shortest transcript found.
/// An exploit of the program itself is not an error of the engine: it is in the
/// [`CheckReport`].
///
/// # Example: a program with an exploit
/// The program keeps points after a refund, so customers can buy, return, and keep them:
/// ```
/// use loyalty_core::{proptest::check_program, Program};
/// let program = Program::from_json(r#"{
///     "refunds": "keep",
///     "rewards": [{"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}}]
/// }"#).unwrap();
/// let report = check_program(&program).unwrap();
/// assert_eq!(report.findings[0].fault.pointer, "/refunds");
/// println!("{report}");
/// ```
pub fn check_program(program: &Program) -> Result<CheckReport, Violation> {
    ProgramCheck::default().run(program)
}

/// The result of a check: the outcome of each invariant, and the exploits found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The invariants with their outcomes.
    pub outcomes: Vec<(Invariant, InvariantOutcome)>,
    /// The exploits, each with the part of the program that makes it possible.
    pub findings: Vec<Finding>,
}

/// The outcome of an invariant that is not broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvariantOutcome {
    /// The invariant was satisfied in all cases.
    Holds {
        /// Number of cases.
        cases: u32,
    },
    /// The invariant does not apply to the program.
    NotApplicable {
        /// The reason.
        reason: String,
    },
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The engine under this program:")?;
        for (invariant, outcome) in &self.outcomes {
            match outcome {
                InvariantOutcome::Holds { cases } => {
                    let cases = CountedNoun::new(cases, "case", "cases");
                    writeln!(f, "  {invariant}: holds in {cases}")?;
                }
                InvariantOutcome::NotApplicable { reason } => {
                    writeln!(f, "  {invariant}: not applicable because {reason}")?;
                }
            }
        }

        if self.findings.is_empty() {
            return writeln!(f, "The program: no exploit was found.");
        }

        let count = CountedNoun::new(self.findings.len(), "exploit was", "exploits were");
        writeln!(f, "The program: {count} found.")?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

/// An invariant that the engine breaks under a program. Its text has the transcript.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant} is broken:\n{transcript}  {reason}\n")]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// The shortest transcript found.
    pub transcript: Transcript,
    /// The difference.
    pub reason: String,
}

impl ProgramCheck {
    /// Checks every invariant, and searches the program for exploits.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn run(&self, program: &Program) -> Result<CheckReport, Violation> {
        let outcomes = Invariant::ALL
            .into_iter()
            .map(|invariant| Ok((invariant, self.check_invariant(invariant, program)?)));
        let outcomes = outcomes.collect::<Result<_, _>>()?;
        Ok(CheckReport { outcomes, findings: self.find_exploits(program) })
    }

    /// Checks one invariant.
    ///
    /// # Errors
    /// The engine breaks the invariant.
    pub fn check_invariant(
        &self,
        invariant: Invariant,
        program: &Program,
    ) -> Result<InvariantOutcome, Violation> {
        if let Some(reason) = invariant.why_not_applicable(program) {
            return Ok(InvariantOutcome::NotApplicable { reason });
        }
        match searches::search_invariant(self, invariant, program) {
            Ok(()) => Ok(InvariantOutcome::Holds { cases: self.cases }),
            Err(CheckFailure::Failure { reason, transcript }) => {
                Err(Violation { invariant, transcript, reason })
            }
            Err(CheckFailure::NoCases { reason }) => {
                let reason = format!("no case could be generated: {reason}");
                Ok(InvariantOutcome::NotApplicable { reason })
            }
        }
    }

    /// Searches the program for exploits, without checking the invariants.
    pub fn find_exploits(&self, program: &Program) -> Vec<Finding> {
        exploits::find_exploits(self, program)
    }
}
