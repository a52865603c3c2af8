//! A property kit for testers of a program, behind the feature `proptest`.
//!
//! [`check_program`] runs generated histories of customers under a program, checks every
//! [`Invariant`] by name, and searches the program for exploits. A failure has the shortest
//! [`Transcript`] found. [`ProgramCheck`] has the settings: the number of cases, the seed, the
//! time zone. Nothing else affects the result.
//!
//! For tests of your own:
//!
//! - strategies for one program: [`customer_histories_under`], [`orders_under`],
//!   [`price_rules_under`] and [`carts_under`];
//! - strategies for any program: [`programs`], [`orders`], the [`facts`] of one order,
//!   [`histories`] of a customer, [`price_rules`], [`carts`] and [`claims`];
//! - states in memory: [`Ledger`] and [`DiscountLedger`];
//! - invariants as functions of a ledger, which return proptest's `TestCaseResult`.
//!
//! # Example: an entry reward that is kept
//! ```
//! use loyalty_core::{proptest::check_program, Program};
//!
//! let program = Program::from_json(r#"{
//!     "tiers": [{"id": "gold", "name": "Gold", "threshold": "500", "entry": {"points": 100}}]
//! }"#).unwrap();
//! let report = check_program(&program).unwrap();
//! let finding = &report.findings[0];
//! assert_eq!(finding.fault.pointer, "/tiers/0/entry");
//! assert!(finding.transcript.steps()[0].contains("order 1001 is paid"));
//! assert!(finding.transcript.steps()[1].ends_with("balance 100"), "{finding}");
//! ```
//!
//! # Example: a property of your own
//! ```
//! use loyalty_core::{proptest::{check_conservation, customer_histories_under}, Ledger, Program, Zone};
//! use ::proptest::test_runner::{Config, TestRunner};
//!
//! let program = Program::default();
//! let mut runner = TestRunner::new(Config::with_cases(16));
//! runner.run(&customer_histories_under(&program, Zone::UTC), |history| {
//!     let mut ledger = Ledger::new(program.clone());
//!     for (now, command) in &history.steps {
//!         let _may_be_rejected = ledger.execute(command, *now);
//!         check_conservation(&ledger)?;
//!     }
//!     Ok(())
//! }).unwrap();
//! ```

/// Fails with a message, without a location in the source.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(::proptest::test_runner::TestCaseError::fail(format!($($message)+)));
        }
    };
}

mod carts;
mod discounts;
mod gifts;
mod rewards;
mod strategies;
mod values;

mod customer_history;
mod properties;
mod vocabulary;

mod check;
mod exploits;
mod invariant;
mod returned_points;
mod runner;
mod searches;
mod simple_cases;
mod transcript;

use ::proptest::prelude::*;
use ::proptest::test_runner::TestCaseResult;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::command::{Command, OverRefund};
use crate::context::Decision;
use crate::event::Event;
use crate::exact::Fraction;
use crate::figures::count_points;
use crate::id::OrderId;
use crate::ledger::Ledger;
use crate::order::{OrderState, Refund};
use crate::redemption::RedemptionState;
use crate::rules::entitle::entitlement;

pub use crate::ledger::DecideFn;
pub use carts::{
    carts, carts_under, claims, discount_shops, price_rules, price_rules_and_automatic,
    price_rules_under,
};
pub use check::{CheckReport, InvariantOutcome, Violation, check_program};
pub use customer_history::{CustomerHistory, customer_histories_under, orders_under};
pub use discounts::{
    DiscountLedger, check_claims, check_equal_lines, check_exact_discounts, check_fair_allocation,
    check_maxima, check_rejected_codes,
};
pub use exploits::{Finding, ProgramProperty};
pub use gifts::check_gifts;
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
pub use values::{amounts, attributes, instants, tags, tier_ids};

/// Fails with a message if two numbers of points differ.
fn ensure_equal(subject: &str, actual: Points, expected: Points) -> TestCaseResult {
    ensure!(actual == expected, "{subject}: {actual}, not {expected}");
    Ok(())
}

/// Checks that the account is consistent, and that the states are folds of the events.
///
/// The entries of the account and of each order sum to their states.
pub fn check_conservation(ledger: &Ledger) -> TestCaseResult {
    let (account, totals) = (ledger.account(), ledger.account().totals());
    let (usable, pending) = (account.lots().points(), account.pending_lots().points());
    ensure!(
        account.is_consistent(),
        "entries sum to {}, but {} points are in lots, {} are pending and {} are owed",
        totals.balance(),
        usable,
        pending,
        account.debt()
    );

    let mut replayed = ledger.without_events();
    replayed.fold_all(ledger.events());
    ensure!(
        replayed.account() == ledger.account(),
        "the account is not the fold of its events"
    );
    ensure!(replayed.orders() == ledger.orders(), "the orders are not folds of the events");
    ensure!(
        replayed.redemptions() == ledger.redemptions(),
        "the redemptions are not folds of the events"
    );

    let sum = ledger
        .events()
        .iter()
        .fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()));
    ensure_equal("the sum of all entries", sum, totals.balance())?;
    let moved = |event: &Event| event.points().saturating_add(event.pending_points());
    let pending_sum = ledger
        .events()
        .iter()
        .map(Event::pending_points)
        .fold(Points::ZERO, Points::saturating_add);
    ensure_equal("the sum of pending points", pending_sum, pending)?;

    // Points that expired in the non-expiring lot belong to no order until a clawback reclaims
    // them, which happens once.
    let reclaimed = |event: &Event| {
        if let Event::PointsTakenBack { clawback, .. } | Event::AwardTakenBack { clawback, .. } =
            event
        {
            clawback.expired()
        } else {
            Points::ZERO
        }
    };
    let unattributed = |event: &Event| {
        if let Event::PointsExpired { order: None, points, .. } = event {
            *points
        } else {
            Points::ZERO
        }
    };
    let sum_of = |part: &dyn Fn(&Event) -> Points| {
        ledger
            .events()
            .iter()
            .map(part)
            .fold(Points::ZERO, Points::saturating_add)
    };
    ensure!(
        sum_of(&reclaimed) <= sum_of(&unattributed),
        "more points are reclaimed than expired"
    );

    let of_order = |event: &Event| moved(event).saturating_sub(reclaimed(event));
    for (id, order) in ledger.orders() {
        let posted = order.posted();
        let entries = ledger.events().iter().filter(|event| event.order() == Some(id));
        let sum = entries.map(of_order).fold(Points::ZERO, Points::saturating_add);
        let net = posted
            .awarded
            .saturating_sub(posted.clawed_back)
            .saturating_sub(posted.expired);
        ensure_equal(&format!("the sum of the entries of order {id}"), sum, net)?;
    }
    Ok(())
}

/// Checks that each redemption has either its points deducted or its code invalid.
///
/// The payments of all redemptions sum to the total of the account, and the account lists each
/// redemption that will expire.
pub fn check_points_or_code(ledger: &Ledger, now: Timestamp) -> TestCaseResult {
    let account = ledger.as_of(now);
    let mut sum = Points::ZERO;

    for (id, redemption) in ledger.redemptions() {
        let (paid, price) = (redemption.payment().points(), redemption.issue().points);
        let refunded = redemption.refunded();
        // The account is caught up to `now`, the redemption is not.
        let is_open = account.redemptions().iter().any(|open| open.issue().id == *id);
        let can_expire =
            *redemption.state() == RedemptionState::Issued && redemption.ends_at().is_some();
        prop_assert_eq!(
            is_open,
            can_expire && redemption.ends_at() > Some(now),
            "{:?}",
            redemption
        );

        let is_active = match redemption.state_at(now) {
            RedemptionState::Issued | RedemptionState::Used { .. } => true,
            RedemptionState::Cancelled { .. } => false,
            RedemptionState::Expired { points_back, .. } => !points_back,
        };
        let forgiven = ledger.events().iter().any(|event| {
            let is_late_use = matches!(event, Event::RedemptionUsed { payment: Some(_), .. });
            is_late_use && event.redemption() == Some(*id)
        });
        sum = sum.saturating_add(if is_active { paid } else { Points::ZERO });
        let spent = paid.saturating_add(refunded);
        prop_assert!(
            !is_active || spent == price || (forgiven && spent < price),
            "{:?}",
            redemption
        );
        let is_used = matches!(redemption.state(), RedemptionState::Used { .. });
        prop_assert!(is_used || refunded.is_zero(), "{:?}", redemption);
    }

    let totals = account.totals();
    prop_assert_eq!(totals.redeemed.saturating_sub(totals.returned), sum);
    Ok(())
}

/// Checks that each order past its gate has the points that its facts entitle to.
///
/// It never has fewer, and more only by points that expired or were forgiven.
pub fn check_order_entitlements(ledger: &Ledger) -> TestCaseResult {
    for (id, order) in ledger.orders() {
        let Some(pin) = order.pin() else { continue };
        let Some(program) = ledger.program(pin.program) else { continue };
        let entitled = entitlement(order, program, pin)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;

        let posted = order.posted();
        let net_awarded = posted.awarded.saturating_sub(posted.clawed_back);
        ensure!(
            net_awarded >= entitled.points,
            "order {} has {}, but is entitled to {}",
            id,
            count_points(net_awarded),
            entitled.points
        );

        let explained = net_awarded
            .saturating_sub(posted.expired)
            .saturating_sub(posted.forgiven);
        ensure!(
            explained <= entitled.points,
            "order {} has {}, but is entitled to {}; {} expired and {} were forgiven",
            id,
            count_points(net_awarded),
            entitled.points,
            posted.expired,
            posted.forgiven
        );
    }
    Ok(())
}

/// Checks that each entry of an order follows from the calculation that it contains.
///
/// Rules and multipliers result in the entitled points. Their difference to the points posted
/// before is the entry.
pub fn check_calculations(ledger: &Ledger) -> TestCaseResult {
    for event in ledger.events() {
        let (moved, calculation) = if let Event::PointsAwarded { points, calculation, .. } = event {
            (*points, calculation)
        } else if let Event::PointsTakenBack { clawback, calculation, .. } = event {
            (
                clawback
                    .points()
                    .saturating_add(clawback.forgiven)
                    .saturating_add(clawback.expired())
                    .negated(),
                calculation,
            )
        } else {
            continue;
        };

        let explanation = &calculation.explanation;
        let factors = explanation
            .multipliers
            .iter()
            .map(|multiplier| Fraction::from_rate(multiplier.factor));
        let sum = explanation
            .rules
            .iter()
            .try_fold(Fraction::ZERO, |sum, share| sum.plus(&share.points));
        let exact =
            sum.and_then(|sum| factors.into_iter().try_fold(sum, |sum, factor| sum.times(&factor)));
        let with_campaigns = |exact| {
            explanation
                .campaigns
                .iter()
                .try_fold(exact, |sum: Fraction, share| sum.plus(&share.points))
        };
        prop_assert_eq!(
            exact.and_then(with_campaigns),
            Ok(explanation.exact.clone()),
            "{}",
            explanation
        );
        prop_assert_eq!(
            explanation.exact.round(explanation.rounding),
            Ok(explanation.points),
            "{}",
            explanation
        );

        let before = calculation.posted_before;
        let net_awarded = before.awarded.saturating_sub(before.clawed_back);
        let due = explanation.points.saturating_sub(net_awarded);
        let already_removed = if due.is_positive() {
            Points::ZERO
        } else {
            before.expired.saturating_add(before.forgiven)
        };
        prop_assert_eq!(moved, due.saturating_add(already_removed), "{}", calculation);
    }
    Ok(())
}

/// Checks that dated facts of one order have the same result for each order of arrival.
///
/// All facts arrive at `now`, once or twice. They must be valid for the order, and its points
/// must not expire or be spent in between.
pub fn check_arrival_order(
    ledger: &Ledger,
    facts: &[Command],
    arrivals: &[Vec<usize>],
    now: Timestamp,
) -> TestCaseResult {
    let replay = |arrival: &mut dyn Iterator<Item = &Command>| {
        let mut ledger = ledger.clone();
        for fact in arrival {
            let result = ledger.execute(fact, now);
            prop_assert!(result.is_ok(), "{:?} is rejected: {:?}", fact, result);
            let repeated = ledger.dry_run(fact, now);
            prop_assert_eq!(repeated, Ok(Decision::default()), "{:?} reported twice", fact);
        }
        check_conservation(&ledger)?;
        Ok(ledger)
    };

    let expected = replay(&mut facts.iter())?;
    for arrival in arrivals {
        let mut actual = replay(&mut arrival.iter().filter_map(|index| facts.get(*index)))?;
        ensure_same_outcome(&actual, &expected, now)?;
        for fact in facts {
            let repeated = actual.execute(fact, now);
            prop_assert_eq!(
                repeated.map(|decision| decision.points()),
                Ok(Points::ZERO),
                "{:?} reported again",
                fact
            );
        }
    }
    Ok(())
}

/// Checks that two ledgers with the same facts have the same points of each order.
///
/// Their balances are equal, too, unless orders reached a tier or a goal meanwhile: its bonus may
/// be kept.
fn ensure_same_outcome(actual: &Ledger, expected: &Ledger, now: Timestamp) -> TestCaseResult {
    let net =
        |order: &OrderState| order.posted().awarded.saturating_sub(order.posted().clawed_back);
    for (id, order) in expected.orders() {
        let other = actual.orders().get(id).map_or(Points::ZERO, net);
        ensure_equal(
            &format!("points of order {id} in another order of arrival"),
            other,
            net(order),
        )?;
    }
    ensure!(
        order_facts(actual) == order_facts(expected),
        "in another order of arrival, the recorded facts differ"
    );

    let has_bonus = |ledger: &Ledger| {
        ledger
            .events()
            .iter()
            .any(|event| matches!(event, Event::AwardGiven { .. }))
    };
    if !has_bonus(actual) && !has_bonus(expected) {
        let total =
            |ledger: &Ledger| ledger.balance(now).saturating_add(ledger.as_of(now).pending(now));
        ensure_equal("the balance in another order of arrival", total(actual), total(expected))?;
    }
    Ok(())
}

/// Returns the facts of all orders, without posted points.
fn order_facts(ledger: &Ledger) -> Vec<impl PartialEq> {
    let facts = |order: &OrderState| {
        (
            order.snapshot().cloned(),
            order.status(),
            order.cancelled_at(),
            order.refunds().clone(),
        )
    };
    ledger.orders().values().map(facts).collect()
}

/// Checks that several refunds leave the order the same points as one of the same total.
pub fn check_refund_slicing(
    ledger: &Ledger,
    order: &OrderId,
    whole: &Refund,
    slices: &[Refund],
    now: Timestamp,
) -> TestCaseResult {
    let remaining_after = |refunds: &[Refund]| {
        let mut ledger = ledger.clone();
        for refund in refunds {
            let (order, refund) = (order.clone(), refund.clone());
            let result = ledger.execute(
                &Command::RefundOrder { order, refund, over_refund: OverRefund::Reject, at: None },
                now,
            );
            prop_assert!(result.is_ok(), "{:?}", result);
        }
        let posted = ledger.orders().get(order).map(OrderState::posted).unwrap_or_default();
        Ok((posted.awarded.saturating_sub(posted.clawed_back), ledger.balance(now)))
    };

    let (in_slices, in_one) =
        (remaining_after(slices)?, remaining_after(std::slice::from_ref(whole))?);
    ensure_equal("points of the order after slices", in_slices.0, in_one.0)?;
    ensure_equal("the balance after slices", in_slices.1, in_one.1)
}
