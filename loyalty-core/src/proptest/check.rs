//! One call that checks a program against every invariant, and looks for ways to cheat it.

use std::fmt;

use ::proptest::strategy::Strategy;
use ::proptest::test_runner::{
    Config, RngAlgorithm, TestCaseError, TestCaseResult, TestError, TestRng, TestRunner,
};

use super::customer_history::{CustomerHistory, Shrinkable};
use super::exploits::{self, Finding};
use super::transcript::Transcript;
use super::{DecideFn, DiscountLedger, Invariant, searches};
use crate::calendar::{Period, Zone};
use crate::decide::decide;
use crate::discount::{Cart, CartError, Evaluation, Stacking};
use crate::ledger::Ledger;
use crate::program::Program;

/// Checks a program against every [`Invariant`], and looks for ways to cheat it.
///
/// An engine that breaks an invariant under the program is an error: the invariant by name, and the shortest story
/// that breaks it. What the program itself lets customers get away with is no error of the engine; it is in
/// the [`Report`].
///
/// # Example: a program that can be cheated
/// Refunds that take nothing back were meant to be generous. Points bought and returned are left over:
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

/// How a program is checked. The same check of the same program always ends the same.
#[derive(Clone, Copy, Debug)]
pub struct ProgramCheck {
    /// How many cases are tried of each invariant.
    pub cases: u32,
    /// What the cases are drawn from.
    pub seed: u64,
    /// The shop's zone.
    pub zone: Zone,
    /// How many decimals the shop's currency has.
    pub minor_digits: u32,
    /// How long after the first purchase a customer can send things back.
    pub return_period: Period,
    /// What decides.
    pub engine: Engine,
}

impl Default for ProgramCheck {
    fn default() -> Self {
        let (zone, engine) = (Zone::UTC, Engine::default());
        Self {
            cases: 128,
            seed: 0,
            zone,
            minor_digits: 2,
            return_period: Period::THIRTY_DAYS,
            engine,
        }
    }
}

/// What decides and what evaluates carts: the rules, or a stand-in for them that a test is to find out.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Decides commands.
    pub decide: DecideFn,
    /// Evaluates carts.
    pub evaluate: EvaluateFn,
}

/// What evaluates carts: [`DiscountLedger::evaluate`], or a stand-in for it.
pub type EvaluateFn = fn(&DiscountLedger, &Cart, Stacking) -> Result<Evaluation, CartError>;

impl Default for Engine {
    fn default() -> Self {
        Self { decide, evaluate: DiscountLedger::evaluate }
    }
}

/// What was checked and found. Its text says both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Each invariant, with what came of it.
    pub outcomes: Vec<(Invariant, InvariantOutcome)>,
    /// Ways to cheat the program, each with what of the program makes it possible.
    pub findings: Vec<Finding>,
}

/// What came of an invariant that was not broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvariantOutcome {
    /// It held in so many cases.
    Holds {
        /// How many.
        cases: u32,
    },
    /// It says nothing about this program.
    NotApplicable {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The engine under this program:")?;
        for (invariant, outcome) in &self.outcomes {
            match outcome {
                InvariantOutcome::Holds { cases } => {
                    writeln!(f, "  {invariant}: holds in {cases} cases")?
                }
                InvariantOutcome::NotApplicable { reason: because } => {
                    writeln!(f, "  {invariant}: not applicable because {because}")?;
                }
            }
        }
        if self.findings.is_empty() {
            return writeln!(f, "The program: no way was found to cheat it.");
        }
        writeln!(f, "The program: {} found to cheat it.", count_ways(self.findings.len()))?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

fn count_ways(count: usize) -> String {
    if count == 1 { "one way was".to_owned() } else { format!("{count} ways were") }
}

/// An invariant that the engine breaks under a program. Its text tells how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant} is broken:\n{transcript}  {reason}\n")]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// The shortest story that was found.
    pub transcript: Transcript,
    /// The figures that differ.
    pub reason: String,
}

impl ProgramCheck {
    /// Checks every invariant, and looks for ways to cheat the program.
    ///
    /// # Errors
    /// The first invariant that is broken.
    pub fn run(&self, program: &Program) -> Result<CheckReport, Violation> {
        let each = Invariant::ALL.into_iter();
        let outcomes =
            each.map(|invariant| Ok((invariant, self.check_invariant(invariant, program)?)));
        let outcomes = outcomes.collect::<Result<_, _>>()?;
        Ok(CheckReport { outcomes, findings: self.find_exploits(program) })
    }

    /// Checks one invariant.
    ///
    /// # Errors
    /// It is broken.
    pub fn check_invariant(
        &self,
        invariant: Invariant,
        program: &Program,
    ) -> Result<InvariantOutcome, Violation> {
        if let Some(because) = invariant.why_not_applicable(program) {
            return Ok(InvariantOutcome::NotApplicable { reason: because });
        }
        match searches::search_invariant(self, invariant, program) {
            Ok(()) => Ok(InvariantOutcome::Holds { cases: self.cases }),
            Err(CheckFailure::Failure { reason: why, transcript: story }) => {
                Err(Violation { invariant, transcript: story, reason: why })
            }
            Err(CheckFailure::NoCases { reason: why }) => {
                let because = format!("no case could be made of it: {why}");
                Ok(InvariantOutcome::NotApplicable { reason: because })
            }
        }
    }

    /// Only looks for ways to cheat the program.
    pub fn find_exploits(&self, program: &Program) -> Vec<Finding> {
        exploits::find_exploits(self, program)
    }

    /// Empty books of this customer.
    pub(super) fn new_ledger(&self, program: &Program, life: &CustomerHistory) -> Ledger {
        let mut ledger = Ledger::new(program.clone())
            .decided_by(self.engine.decide)
            .with_zone(self.zone)
            .with_minor_digits(self.minor_digits)
            .with_tags(life.tags.clone());
        ledger.set_birthday(life.birthday);
        ledger
    }

    /// Tries cases until one fails, and makes that one as small as it can be.
    pub(super) fn find_minimal_failure<S: Strategy<Value: Shrinkable>>(
        &self,
        cases: &S,
        test: impl Fn(&S::Value) -> TestCaseResult,
    ) -> SearchResult<S::Value> {
        let config = Config {
            cases: self.cases,
            failure_persistence: None,
            max_shrink_iters: 100_000,
            ..Config::default()
        };
        let mut seed = [0; 32];
        seed.iter_mut()
            .zip(self.seed.to_le_bytes())
            .for_each(|(place, byte)| *place = byte);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config, rng);
        match runner.run(cases, |case| test(&case)) {
            Ok(()) => SearchResult::NoFailure,
            Err(TestError::Abort(why)) => {
                SearchResult::NoCases { reason: why.message().to_owned() }
            }
            Err(TestError::Fail(why, case)) => {
                let (why, case) = minimize(why.message().to_owned(), case, test);
                SearchResult::Failure { reason: why, case }
            }
        }
    }

    /// The same, with the smallest case as a story.
    pub(super) fn search<S: Strategy<Value: Shrinkable>>(
        &self,
        cases: &S,
        test: impl Fn(&S::Value) -> TestCaseResult,
        tell: impl Fn(&S::Value) -> Transcript,
    ) -> Result<(), CheckFailure> {
        match self.find_minimal_failure(cases, test) {
            SearchResult::NoFailure => Ok(()),
            SearchResult::Failure { reason: why, case } => {
                Err(CheckFailure::Failure { reason: why, transcript: tell(&case) })
            }
            SearchResult::NoCases { reason: why } => Err(CheckFailure::NoCases { reason: why }),
        }
    }
}

/// The case without all parts that it fails without, and what is wrong with it then.
fn minimize<T: Shrinkable>(
    mut why: String,
    mut case: T,
    test: impl Fn(&T) -> TestCaseResult,
) -> (String, T) {
    let fails = |case: &T| match test(case) {
        Err(TestCaseError::Fail(why)) => Some(why.message().to_owned()),
        Ok(()) | Err(TestCaseError::Reject(_)) => None,
    };
    why = fails(&case).unwrap_or(why);
    let mut part = 0_usize;
    while let Some(less) = case.without_part(part) {
        match fails(&less) {
            // Something before it may have mattered only for it.
            Some(less_why) => (why, case, part) = (less_why, less, 0),
            None => part = part.saturating_add(1),
        }
    }
    (why, case)
}

/// How a search ended.
pub(super) enum SearchResult<T> {
    NoFailure,
    /// The smallest case that fails, and how it does.
    Failure {
        reason: String,
        case: T,
    },
    /// The strategy made no case.
    NoCases {
        reason: String,
    },
}

/// How a search for what breaks an invariant ended, if it was not in vain.
pub(super) enum CheckFailure {
    Failure { reason: String, transcript: Transcript },
    NoCases { reason: String },
}
