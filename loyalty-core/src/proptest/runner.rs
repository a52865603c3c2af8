//! The settings of a check, and the search for a minimal failing case.

use ::proptest::strategy::Strategy;
use ::proptest::test_runner::{
    Config, RngAlgorithm, TestCaseError, TestCaseResult, TestError, TestRng, TestRunner,
};

use super::customer_history::{CustomerHistory, Shrinkable};
use super::transcript::Transcript;
use super::{DecideFn, DiscountLedger};
use crate::calendar::{Period, Zone};
use crate::decide::decide;
use crate::discount::{Cart, CartError, Evaluation, Stacking};
use crate::ledger::Ledger;
use crate::program::Program;

/// The settings of a check. Equal checks of one program have equal results.
#[derive(Clone, Copy, Debug)]
pub struct ProgramCheck {
    /// Number of cases for each invariant.
    pub cases: u32,
    /// Seed of the generated cases.
    pub seed: u64,
    /// The shop's time zone.
    pub zone: Zone,
    /// Number of decimals of the shop's currency.
    pub minor_digits: u32,
    /// Period after the first purchase within which a customer can return goods.
    pub return_period: Period,
    /// The engine under test.
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

/// The engine under test: the rules of this crate, or a broken engine that a test must detect.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Decides commands.
    pub decide: DecideFn,
    /// Evaluates carts.
    pub evaluate: EvaluateFn,
}

/// A function that evaluates carts, such as [`DiscountLedger::evaluate`].
pub type EvaluateFn = fn(&DiscountLedger, &Cart, Stacking) -> Result<Evaluation, CartError>;

impl Default for Engine {
    fn default() -> Self {
        Self { decide, evaluate: DiscountLedger::evaluate }
    }
}

impl ProgramCheck {
    /// Creates a ledger of the customer without history.
    pub(super) fn new_ledger(&self, program: &Program, history: &CustomerHistory) -> Ledger {
        let mut ledger = Ledger::new(program.clone())
            .decided_by(self.engine.decide)
            .with_zone(self.zone)
            .with_minor_digits(self.minor_digits)
            .with_tags(history.tags.clone())
            .with_attributes(history.attributes.clone());
        ledger.set_birthday(history.birthday);
        ledger
    }

    /// Tests cases until one fails, and returns that one without the parts that do not contribute.
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
            .for_each(|(target, byte)| *target = byte);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);

        let mut runner = TestRunner::new_with_rng(config, rng);
        match runner.run(cases, |case| test(&case)) {
            Ok(()) => SearchResult::NoFailure,
            Err(TestError::Abort(reason)) => {
                SearchResult::NoCases { reason: reason.message().to_owned() }
            }
            Err(TestError::Fail(reason, case)) => {
                let (reason, case) = minimize(reason.message().to_owned(), case, test);
                SearchResult::Failure { reason, case }
            }
        }
    }

    /// Searches for a failure like [`ProgramCheck::find_minimal_failure`], and describes it.
    pub(super) fn search<S: Strategy<Value: Shrinkable>>(
        &self,
        cases: &S,
        test: impl Fn(&S::Value) -> TestCaseResult,
        describe: impl Fn(&S::Value) -> Transcript,
    ) -> Result<(), CheckFailure> {
        match self.find_minimal_failure(cases, test) {
            SearchResult::NoFailure => Ok(()),
            SearchResult::Failure { reason, case } => {
                Err(CheckFailure::Failure { reason, transcript: describe(&case) })
            }
            SearchResult::NoCases { reason } => Err(CheckFailure::NoCases { reason }),
        }
    }
}

/// Removes all parts without which the case still fails. Returns it with the reason of its
/// failure.
fn minimize<T: Shrinkable>(
    mut reason: String,
    mut case: T,
    test: impl Fn(&T) -> TestCaseResult,
) -> (String, T) {
    let failure = |case: &T| match test(case) {
        Err(TestCaseError::Fail(reason)) => Some(reason.message().to_owned()),
        Ok(()) | Err(TestCaseError::Reject(_)) => None,
    };
    reason = failure(&case).unwrap_or(reason);

    let mut part = 0_usize;
    while let Some(smaller) = case.without_part(part) {
        match failure(&smaller) {
            // An earlier part may have been needed only for the removed one.
            Some(smaller_reason) => (reason, case, part) = (smaller_reason, smaller, 0),
            None => part = part.saturating_add(1),
        }
    }

    (reason, case)
}

/// The result of a search.
pub(super) enum SearchResult<T> {
    NoFailure,
    /// The minimal failing case with its reason.
    Failure {
        reason: String,
        case: T,
    },
    /// The strategy generated no case.
    NoCases {
        reason: String,
    },
}

/// The failure that a search for a broken invariant found, or the reason why it had no cases.
pub(super) enum CheckFailure {
    Failure { reason: String, transcript: Transcript },
    NoCases { reason: String },
}
