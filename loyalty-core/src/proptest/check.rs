//! One call that checks a program against every invariant, and looks for ways to cheat it.

use std::fmt;

use ::proptest::strategy::Strategy;
use ::proptest::test_runner::{
    Config, RngAlgorithm, TestCaseError, TestCaseResult, TestError, TestRng, TestRunner,
};

use super::cheat::{self, Finding};
use super::life::{Life, Parted};
use super::story::Story;
use super::{Books, Decide, DiscountBooks, Invariant, held};
use crate::calendar::{Period, Zone};
use crate::decide::decide;
use crate::discount::{Cart, CartError, Evaluation, Stacking};
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
pub fn check_program(program: &Program) -> Result<Report, Violation> {
    Check::default().run(program)
}

/// How a program is checked. The same check of the same program always ends the same.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// How many cases are tried of each invariant.
    pub cases: u32,
    /// What the cases are drawn from.
    pub seed: u64,
    /// The shop's zone.
    pub zone: Zone,
    /// How many decimals the shop's currency has.
    pub minor_digits: u32,
    /// How long after the first purchase a customer can send things back.
    pub returns: Period,
    /// What decides.
    pub engine: Engine,
}

impl Default for Check {
    fn default() -> Self {
        let (zone, engine) = (Zone::UTC, Engine::default());
        Self {
            cases: 128,
            seed: 0,
            zone,
            minor_digits: 2,
            returns: Period::THIRTY_DAYS,
            engine,
        }
    }
}

/// What decides and what evaluates carts: the rules, or a stand-in for them that a test is to find out.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Decides commands.
    pub decide: Decide,
    /// Evaluates carts.
    pub evaluate: Evaluate,
}

/// What evaluates carts: [`DiscountBooks::evaluate`], or a stand-in for it.
pub type Evaluate = fn(&DiscountBooks, &Cart, Stacking) -> Result<Evaluation, CartError>;

impl Default for Engine {
    fn default() -> Self {
        Self { decide, evaluate: DiscountBooks::evaluate }
    }
}

/// What was checked and found. Its text says both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each invariant, with what came of it.
    pub outcomes: Vec<(Invariant, Outcome)>,
    /// Ways to cheat the program, each with what of the program makes it possible.
    pub findings: Vec<Finding>,
}

/// What came of an invariant that was not broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held in so many cases.
    Holds {
        /// How many.
        cases: u32,
    },
    /// It says nothing about this program.
    NotApplicable {
        /// Why not.
        because: String,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The engine under this program:")?;
        for (invariant, outcome) in &self.outcomes {
            match outcome {
                Outcome::Holds { cases } => writeln!(f, "  {invariant}: holds in {cases} cases")?,
                Outcome::NotApplicable { because } => {
                    writeln!(f, "  {invariant}: not applicable because {because}")?;
                }
            }
        }
        if self.findings.is_empty() {
            return writeln!(f, "The program: no way was found to cheat it.");
        }
        writeln!(f, "The program: {} found to cheat it.", ways(self.findings.len()))?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

fn ways(count: usize) -> String {
    if count == 1 { "one way was".to_owned() } else { format!("{count} ways were") }
}

/// An invariant that the engine breaks under a program. Its text tells how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant} is broken:\n{story}  {why}\n")]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// The shortest story that was found.
    pub story: Story,
    /// The figures that differ.
    pub why: String,
}

impl Check {
    /// Checks every invariant, and looks for ways to cheat the program.
    ///
    /// # Errors
    /// The first invariant that is broken.
    pub fn run(&self, program: &Program) -> Result<Report, Violation> {
        let each = Invariant::ALL.into_iter();
        let outcomes = each.map(|invariant| Ok((invariant, self.one(invariant, program)?)));
        let outcomes = outcomes.collect::<Result<_, _>>()?;
        Ok(Report { outcomes, findings: self.findings(program) })
    }

    /// Checks one invariant.
    ///
    /// # Errors
    /// It is broken.
    pub fn one(&self, invariant: Invariant, program: &Program) -> Result<Outcome, Violation> {
        if let Some(because) = invariant.not_applicable(program) {
            return Ok(Outcome::NotApplicable { because });
        }
        match held::play(self, invariant, program) {
            Ok(()) => Ok(Outcome::Holds { cases: self.cases }),
            Err(Broken::Found { why, story }) => Err(Violation { invariant, story, why }),
            Err(Broken::Stuck { why }) => {
                let because = format!("no case could be made of it: {why}");
                Ok(Outcome::NotApplicable { because })
            }
        }
    }

    /// Only looks for ways to cheat the program.
    pub fn findings(&self, program: &Program) -> Vec<Finding> {
        cheat::findings(self, program)
    }

    /// Empty books of this customer.
    pub(super) fn books(&self, program: &Program, life: &Life) -> Books {
        let empty = Books::decided_by(self.engine.decide, program.clone());
        let (zone, minor_digits) = (self.zone, self.minor_digits);
        Books {
            zone,
            minor_digits,
            tags: life.tags.clone(),
            birthday: life.birthday,
            ..empty
        }
    }

    /// Tries cases until one fails, and makes that one as small as it can be.
    pub(super) fn smallest<S: Strategy<Value: Parted>>(
        &self,
        cases: &S,
        test: impl Fn(&S::Value) -> TestCaseResult,
    ) -> Search<S::Value> {
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
            Ok(()) => Search::Nothing,
            Err(TestError::Abort(why)) => Search::Stuck { why: why.message().to_owned() },
            Err(TestError::Fail(why, case)) => {
                let (why, case) = trimmed(why.message().to_owned(), case, test);
                Search::Found { why, case }
            }
        }
    }

    /// The same, with the smallest case as a story.
    pub(super) fn search<S: Strategy<Value: Parted>>(
        &self,
        cases: &S,
        test: impl Fn(&S::Value) -> TestCaseResult,
        tell: impl Fn(&S::Value) -> Story,
    ) -> Result<(), Broken> {
        match self.smallest(cases, test) {
            Search::Nothing => Ok(()),
            Search::Found { why, case } => Err(Broken::Found { why, story: tell(&case) }),
            Search::Stuck { why } => Err(Broken::Stuck { why }),
        }
    }
}

/// The case without all parts that it fails without, and what is wrong with it then.
fn trimmed<T: Parted>(
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
    while let Some(less) = case.without(part) {
        match fails(&less) {
            // Something before it may have mattered only for it.
            Some(less_why) => (why, case, part) = (less_why, less, 0),
            None => part = part.saturating_add(1),
        }
    }
    (why, case)
}

/// How a search ended.
pub(super) enum Search<T> {
    Nothing,
    /// The smallest case that fails, and how it does.
    Found {
        why: String,
        case: T,
    },
    /// The strategy made no case.
    Stuck {
        why: String,
    },
}

/// How a search for what breaks an invariant ended, if it was not in vain.
pub(super) enum Broken {
    Found { why: String, story: Story },
    Stuck { why: String },
}
