//! For testers of a program, behind the feature `proptest`.
//!
//! [`check_program`] is the one call: it plays lives of customers under a program, in that program's own words, checks
//! every [`Invariant`] by name, and looks for ways to cheat the program. What breaks comes as the shortest [`Transcript`]
//! that was found. [`ProgramCheck`] says how many cases are drawn, from which seed, in which zone; nothing else enters.
//!
//! For tests of one's own there are the parts. Strategies for one program: [`customer_histories_under`], [`orders_under`],
//! [`price_rules_under`] and [`carts_under`]. Strategies for any: [`programs`], [`orders`], the [`facts`] that a shop tells
//! of one order, whole [`histories`] of a customer; [`price_rules`], [`carts`] and [`claims`]. [`Ledger`] and
//! [`DiscountLedger`] are stores in memory that take them. The invariants are plain functions over books, each of which
//! answers as an assertion of proptest does.
//!
//! # Example: a present that is kept
//! ```
//! use loyalty_core::{proptest::check_program, Program};
//!
//! let program = Program::from_json(r#"{
//!     "tiers": [{"id": "gold", "name": "Gold", "threshold": "500", "entry": {"points": 100}}]
//! }"#).unwrap();
//! let report = check_program(&program).unwrap(); // the engine keeps its word
//! let found = &report.findings[0]; // the program does not: Gold's present outlives what Gold was for
//! assert_eq!(found.fault.pointer, "/tiers/0/entry");
//! assert!(found.story.steps()[0].contains("order 1001 is paid"));
//! assert!(found.story.steps()[1].ends_with("balance 100"), "{found}");
//! ```
//!
//! # Example: a property of one's own
//! ```
//! use loyalty_core::{proptest::{check_conservation, customer_histories_under}, Ledger, Program, Zone};
//! use ::proptest::test_runner::{Config, TestRunner};
//!
//! let program = Program::default();
//! let mut runner = TestRunner::new(Config::with_cases(16));
//! runner.run(&customer_histories_under(&program, Zone::UTC), |life| {
//!     let mut books = Ledger::new(program.clone());
//!     for (now, command) in &life.steps {
//!         let _refused = books.execute(command, *now);
//!         check_conservation(&books)?;
//!     }
//!     Ok(())
//! }).unwrap();
//! ```

/// Fails in words, without the place in the source.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(::proptest::test_runner::TestCaseError::fail(format!($($why)+)));
        }
    };
}

mod carts;
mod discounts;
mod rewards;
mod strategies;
mod values;

mod customer_history;
mod properties;
mod vocabulary;

mod check;
mod exploits;
mod invariant;
mod runner;
mod searches;
mod transcript;

use ::proptest::prelude::*;
use ::proptest::test_runner::TestCaseResult;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::command::{Command, OverRefund};
use crate::context::Decision;
use crate::event::Event;
use crate::exact::Fraction;
use crate::id::OrderId;
use crate::ledger::Ledger;
use crate::order::{OrderState, Refund};
use crate::redemption::RedemptionState;
use crate::rules::entitle::entitlement;

pub use crate::ledger::DecideFn;
pub use carts::{carts, carts_under, claims, discount_shops, price_rules, price_rules_under};
pub use check::{CheckReport, InvariantOutcome, Violation, check_program};
pub use customer_history::{CustomerHistory, customer_histories_under, orders_under};
pub use discounts::{
    DiscountLedger, check_claims, check_equal_lines, check_exact_discounts, check_fair_allocation,
    check_rejected_codes,
};
pub use exploits::{Finding, ProgramProperty};
pub use invariant::Invariant;
pub use properties::{
    check_dry_run, check_expiry_instant, check_idempotency, check_no_negative_except_debt,
    check_spending_adds_no_debt,
};
pub use rewards::rewards;
pub use runner::{Engine, EvaluateFn, ProgramCheck};
pub use strategies::{
    arrival_orders, expiring_programs, facts, full_programs, histories, orders, programs,
    redeeming_histories, refunds,
};
pub use transcript::Transcript;
pub use values::{amounts, instants, tags, tier_ids};

/// Fails, in words, where two figures differ.
fn ensure_equal(what: &str, got: Points, want: Points) -> TestCaseResult {
    ensure!(got == want, "{}: {}, not {}", what, got, want);
    Ok(())
}

/// The books add up: the account is sound, state is a fold of the journal, and the entries of the
/// account, and of each order, sum to what their states say.
pub fn check_conservation(books: &Ledger) -> TestCaseResult {
    let (account, totals) = (books.account(), books.account().totals());
    let (usable, held) = (account.lots().points(), account.pending_lots().points());
    ensure!(
        account.is_consistent(),
        "{} came and went in all, but {} are in lots, {} pending and {} owed",
        totals.balance(),
        usable,
        held,
        account.debt()
    );
    let mut again = books.without_events();
    again.fold_all(books.events());
    ensure!(again.account() == books.account(), "the account is no fold of its journal");
    ensure!(again.orders() == books.orders(), "the orders are no fold of the journal");
    ensure!(
        again.redemptions() == books.redemptions(),
        "the redemptions are no fold of the journal"
    );
    let sum = books
        .events()
        .iter()
        .fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()));
    ensure_equal("the sum of all entries", sum, totals.balance())?;
    let moved = |event: &Event| event.points().saturating_add(event.pending_points());
    let pending = books
        .events()
        .iter()
        .map(Event::pending_points)
        .fold(Points::ZERO, Points::saturating_add);
    ensure_equal("the sum of what is pending", pending, held)?;
    // What ran out of the lot without an end was nobody's until it was found, and is found once.
    let found = |event: &Event| {
        if let Event::PointsTakenBack { clawback: taking, .. }
        | Event::AwardTakenBack { clawback: taking, .. } = event
        {
            taking.expired()
        } else {
            Points::ZERO
        }
    };
    let nobodys = |event: &Event| {
        if let Event::PointsExpired { order: None, points, .. } = event {
            *points
        } else {
            Points::ZERO
        }
    };
    let sum_of = |part: &dyn Fn(&Event) -> Points| {
        books
            .events()
            .iter()
            .map(part)
            .fold(Points::ZERO, Points::saturating_add)
    };
    ensure!(sum_of(&found) <= sum_of(&nobodys), "more was found than ran out");
    let of_order = |event: &Event| moved(event).saturating_sub(found(event));
    for (id, order) in books.orders() {
        let posted = order.posted();
        let entries = books.events().iter().filter(|event| event.order() == Some(id));
        let sum = entries.map(of_order).fold(Points::ZERO, Points::saturating_add);
        let net = posted
            .awarded
            .saturating_sub(posted.clawed_back)
            .saturating_sub(posted.expired);
        ensure_equal(&format!("the sum of the entries of order {id}"), sum, net)?;
    }
    Ok(())
}

/// Every redemption has its points or its code, never neither and never both; what is taken for all of them
/// is what the account paid; and the account knows each that will end.
pub fn check_points_or_code(books: &Ledger, now: Timestamp) -> TestCaseResult {
    let account = books.as_of(now);
    let mut taken = Points::ZERO;
    for (id, redemption) in books.redemptions() {
        let (paid, price) = (redemption.payment().points(), redemption.issue().points);
        // What was caught up with here is not in the redemption yet.
        let open = account.redemptions().iter().any(|open| open.issue().id == *id);
        let awaited =
            *redemption.state() == RedemptionState::Issued && redemption.ends_at().is_some();
        prop_assert_eq!(open, awaited && redemption.ends_at() > Some(now), "{:?}", redemption);
        let alive = match redemption.state_at(now) {
            RedemptionState::Issued | RedemptionState::Used { .. } => true,
            RedemptionState::Cancelled { .. } => false,
            RedemptionState::Expired { points_back, .. } => !points_back,
        };
        let forgiven = books.events().iter().any(|event| {
            let again = matches!(event, Event::RedemptionUsed { payment: Some(_), .. });
            again && event.redemption() == Some(*id)
        });
        taken = taken.saturating_add(if alive { paid } else { Points::ZERO });
        prop_assert!(!alive || paid == price || (forgiven && paid < price), "{:?}", redemption);
    }
    let totals = account.totals();
    prop_assert_eq!(totals.redeemed.saturating_sub(totals.returned), taken);
    Ok(())
}

/// Every order that passed the gate stands where its facts put it: it never holds less than it is worth,
/// and more only by what expired or was forgiven. So nobody loses a point twice, and nobody gains one.
pub fn check_order_entitlements(books: &Ledger) -> TestCaseResult {
    for (id, order) in books.orders() {
        let Some(pin) = order.pin() else { continue };
        let Some(program) = books.program(pin.program) else { continue };
        let worth = entitlement(order, program, pin)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let posted = order.posted();
        let standing = posted.awarded.saturating_sub(posted.clawed_back);
        ensure!(
            standing >= worth.points,
            "order {} holds {}, but is worth {}",
            id,
            standing,
            worth.points
        );
        let explained = standing
            .saturating_sub(posted.expired)
            .saturating_sub(posted.forgiven);
        ensure!(
            explained <= worth.points,
            "order {} holds {}, but is worth {}; {} expired and {} were forgiven",
            id,
            standing,
            worth.points,
            posted.expired,
            posted.forgiven
        );
    }
    Ok(())
}

/// Every entry of an order follows from the reckoning that it carries: the rules and multipliers make the
/// points, and what was awarded, taken, forgiven or expired before makes the difference that moved.
pub fn check_calculations(books: &Ledger) -> TestCaseResult {
    for event in books.events() {
        let (moved, reckoning) =
            if let Event::PointsAwarded { points, calculation: reckoning, .. } = event {
                (*points, reckoning)
            } else if let Event::PointsTakenBack {
                clawback: taking, calculation: reckoning, ..
            } = event
            {
                (
                    taking
                        .points()
                        .saturating_add(taking.forgiven)
                        .saturating_add(taking.expired())
                        .negated(),
                    reckoning,
                )
            } else {
                continue;
            };
        let worth = &reckoning.explanation;
        let factors = worth
            .multipliers
            .iter()
            .map(|multiplier| Fraction::from_rate(multiplier.factor));
        let sum = worth
            .rules
            .iter()
            .try_fold(Fraction::ZERO, |sum, share| sum.plus(&share.points));
        let exact =
            sum.and_then(|sum| factors.into_iter().try_fold(sum, |sum, factor| sum.times(&factor)));
        let with = |exact| {
            worth
                .campaigns
                .iter()
                .try_fold(exact, |sum: Fraction, share| sum.plus(&share.points))
        };
        prop_assert_eq!(exact.and_then(with), Ok(worth.exact.clone()), "{}", worth);
        prop_assert_eq!(worth.exact.round(worth.rounding), Ok(worth.points), "{}", worth);
        let before = reckoning.posted_before;
        let standing = before.awarded.saturating_sub(before.clawed_back);
        let due = worth.points.saturating_sub(standing);
        let gone = if due.is_positive() {
            Points::ZERO
        } else {
            before.expired.saturating_add(before.forgiven)
        };
        prop_assert_eq!(moved, due.saturating_add(gone), "{}", reckoning);
    }
    Ok(())
}

/// However timed facts of one order arrive, once or twice, all known at `now`, the books end the same.
/// The facts must fit the order, and must not expire or be spent in between.
pub fn check_arrival_order(
    books: &Ledger,
    facts: &[Command],
    arrivals: &[Vec<usize>],
    now: Timestamp,
) -> TestCaseResult {
    let told = |arrival: &mut dyn Iterator<Item = &Command>| {
        let mut books = books.clone();
        for fact in arrival {
            let told = books.execute(fact, now);
            prop_assert!(told.is_ok(), "{:?} was refused: {:?}", fact, told);
            let again = books.dry_run(fact, now);
            prop_assert_eq!(again, Ok(Decision::default()), "{:?} told twice", fact);
        }
        check_conservation(&books)?;
        Ok(books)
    };
    let want = told(&mut facts.iter())?;
    for arrival in arrivals {
        let mut got = told(&mut arrival.iter().filter_map(|index| facts.get(*index)))?;
        ensure_same_outcome(&got, &want, now)?;
        for fact in facts {
            let again = got.execute(fact, now);
            prop_assert_eq!(
                again.map(|again| again.points()),
                Ok(Points::ZERO),
                "{:?} told again",
                fact
            );
        }
    }
    Ok(())
}

/// Two books that were told the same facts hold the same of each order, and the same balance unless the orders
/// reached a tier or a goal on the way, which may be for good.
fn ensure_same_outcome(got: &Ledger, want: &Ledger, now: Timestamp) -> TestCaseResult {
    let net =
        |order: &OrderState| order.posted().awarded.saturating_sub(order.posted().clawed_back);
    for (id, order) in want.orders() {
        let other = got.orders().get(id).map_or(Points::ZERO, net);
        ensure_equal(&format!("what order {id} holds, told in another order"), other, net(order))?;
    }
    ensure!(
        order_facts(got) == order_facts(want),
        "told in another order, other facts are known"
    );
    let gives = |books: &Ledger| {
        books
            .events()
            .iter()
            .any(|event| matches!(event, Event::AwardGiven { .. }))
    };
    if !gives(got) && !gives(want) {
        let held =
            |books: &Ledger| books.balance(now).saturating_add(books.as_of(now).pending(now));
        ensure_equal("the balance, told in another order", held(got), held(want))?;
    }
    Ok(())
}

/// What the books know of orders, without what was posted.
fn order_facts(books: &Ledger) -> Vec<impl PartialEq> {
    let facts = |order: &OrderState| {
        (
            order.snapshot().cloned(),
            order.status(),
            order.cancelled_at(),
            order.refunds().clone(),
        )
    };
    books.orders().values().map(facts).collect()
}

/// However a refund is sliced, the order is left with the same points.
pub fn check_refund_slicing(
    books: &Ledger,
    order: &OrderId,
    whole: &Refund,
    slices: &[Refund],
    now: Timestamp,
) -> TestCaseResult {
    let left = |refunds: &[Refund]| {
        let mut books = books.clone();
        for refund in refunds {
            let (order, refund) = (order.clone(), refund.clone());
            let told = books.execute(
                &Command::RefundOrder { order, refund, over_refund: OverRefund::Reject, at: None },
                now,
            );
            prop_assert!(told.is_ok(), "{:?}", told);
        }
        let posted = books.orders().get(order).map(OrderState::posted).unwrap_or_default();
        Ok((posted.awarded.saturating_sub(posted.clawed_back), books.balance(now)))
    };
    let (piecemeal, at_once) = (left(slices)?, left(std::slice::from_ref(whole))?);
    ensure_equal("what the order holds after slices", piecemeal.0, at_once.0)?;
    ensure_equal("the balance after slices", piecemeal.1, at_once.1)
}
