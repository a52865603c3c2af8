//! Invariants to check after each command of a history.

use ::proptest::test_runner::TestCaseResult;
use chrono::TimeDelta;

use super::ensure_equal;
use crate::amount::Points;
use crate::calendar::{Timestamp, Zone};
use crate::command::Command;
use crate::context::Decision;
use crate::event::Event;
use crate::figures::count_points;
use crate::ledger::Ledger;
use crate::lot::{Lot, LotCredit};
use crate::program::{DebtPolicy, Expiry, QualifyingActivity};
use crate::query::due;
use crate::rejection::Rejection;

/// Checks that lots and posted points of orders are not negative.
///
/// The balance is negative only if the program allows debt. An account with debt has no points
/// to spend.
pub fn check_no_negative_except_debt(ledger: &Ledger, now: Timestamp) -> TestCaseResult {
    let account = ledger.as_of(now);
    let (balance, debt) = (account.balance(now), account.debt());

    for lot in account.lots().iter().chain(account.pending_lots().iter()) {
        ensure!(lot.points.is_positive(), "a lot of {}", count_points(lot.points));
    }

    ensure!(debt >= Points::ZERO, "a debt of {}", count_points(debt));
    if !debt.is_zero() {
        let is_allowed = ledger
            .programs()
            .any(|program| program.definition().debt == DebtPolicy::Allow);
        ensure!(is_allowed, "{debt} points are owed, but the program stops at zero");
        ensure!(
            account.lots().is_empty(),
            "{debt} points are owed beside {} to spend",
            account.lots().points()
        );
    }

    ensure!(balance >= debt.negated(), "a balance of {balance} with a debt of {debt}");

    for (id, order) in ledger.orders() {
        let posted = order.posted();
        let minimum = [posted.awarded, posted.clawed_back, posted.expired, posted.forgiven]
            .into_iter()
            .min();
        ensure!(minimum >= Some(Points::ZERO), "order {id} has posted {posted:?}");
        ensure!(
            posted.clawed_back <= posted.awarded,
            "{} of {} points are clawed back",
            posted.clawed_back,
            posted.awarded
        );
    }
    Ok(())
}

/// Checks that debt is caused by clawbacks only, never by spending.
pub fn check_spending_adds_no_debt(
    before: &Ledger,
    command: &Command,
    after: &Ledger,
) -> TestCaseResult {
    let spends = matches!(command, Command::SubtractPoints { .. } | Command::RedeemReward { .. });
    let (debt_before, debt_after) = (before.account().debt(), after.account().debt());
    ensure!(
        !spends || debt_after <= debt_before,
        "spending raised the debt from {debt_before} to {debt_after}"
    );
    Ok(())
}

/// Checks that a fact that was accepted changes nothing if it is reported again.
pub fn check_idempotency(ledger: &Ledger, fact: &Command, now: Timestamp) -> TestCaseResult {
    let is_fact = matches!(
        fact,
        Command::RecordOrder { .. }
            | Command::RefundOrder { .. }
            | Command::CancelOrder { .. }
            | Command::CancelRedemption { .. }
            | Command::ClaimRedemption { .. }
            | Command::RecordPublication { .. }
            | Command::RefundRedemption { .. }
            | Command::ReleaseRedemption { .. }
            | Command::EraseAccount
            | Command::UseRedemption { .. }
            | Command::VoidRedemption { .. }
            | Command::SetBalance { .. }
            | Command::SetTier(_)
            | Command::SignUp
            | Command::CatchUp
    );
    if is_fact {
        let repeated = ledger.dry_run(fact, now);
        let outcome = match &repeated {
            Ok(decision) => {
                format!("{} events that move {} points", decision.events.len(), decision.points())
            }
            Err(rejection) => format!("a rejection: {rejection}"),
        };
        ensure!(
            repeated == Ok(Decision::default()),
            "reported again, the last step has {outcome}"
        );
    }
    Ok(())
}

/// Checks that a dry run has the result of the real run.
///
/// The points of the decision are posted, the balance does not depend on an earlier catch-up,
/// and a redemption agrees with the offer.
pub fn check_dry_run(
    before: &Ledger,
    command: &Command,
    now: Timestamp,
    result: &Result<Decision, Rejection>,
    after: &Ledger,
) -> TestCaseResult {
    let describe = |result: &Result<Decision, Rejection>| match result {
        Ok(decision) => format!("{} events, {} points", decision.events.len(), decision.points()),
        Err(rejection) => rejection.to_string(),
    };

    let dry_run = before.dry_run(command, now);
    ensure!(
        dry_run == *result,
        "the dry run differs: {}, not {}",
        describe(&dry_run),
        describe(result)
    );

    let mut caught_up_ledger = before.clone();
    let caught_up = caught_up_ledger.execute(&Command::CatchUp, now);
    ensure!(caught_up.is_ok(), "the catch-up is rejected: {}", describe(&caught_up));
    ensure_equal(
        "the balance after a catch-up",
        caught_up_ledger.balance(now),
        before.balance(now),
    )?;

    let points = result.as_ref().map_or(Points::ZERO, Decision::points);
    let balance_before = before.account().totals().balance();
    ensure_equal(
        "the balance after the points of the decision",
        after.account().totals().balance(),
        balance_before.saturating_add(points),
    )?;

    let after_catch_up = caught_up_ledger.execute(command, now);
    ensure!(
        after_catch_up.is_ok() == result.is_ok(),
        "after a catch-up: {}",
        describe(&after_catch_up)
    );
    ensure_equal(
        "the balance after a catch-up and the command",
        caught_up_ledger.balance(now),
        after.balance(now),
    )?;

    let Command::RedeemReward { reward, amount: None, .. } = command else {
        return Ok(());
    };
    let offers = before.offers(now);
    let Some(offer) = offers
        .iter()
        .find(|offer| offer.reward == *reward && offer.largest_amount.is_none())
    else {
        return Ok(());
    };

    let offered = offer
        .rejections
        .first()
        .map_or_else(|| "is available".to_owned(), ToString::to_string);
    let rejected = result.as_ref().err();
    ensure!(
        rejected == offer.rejections.first()
            || matches!(rejected, Some(Rejection::RewardTooFine { .. })),
        "offered: {offered}; redeemed: {}",
        describe(result)
    );
    Ok(())
}

/// Checks that points expire at the configured instant: they can be spent just before it, and
/// not at it.
pub fn check_expiry_instant(ledger: &Ledger, now: Timestamp) -> TestCaseResult {
    let Some(program) = ledger.programs().last() else { return Ok(()) };
    match program.definition().expiry {
        Expiry::Never => Ok(()),
        Expiry::PerLot { .. } => {
            check_lot_expiry(ledger)?;
            let account = ledger.as_of(now);
            let ends = account.lots().iter().filter_map(|lot| lot.expires_at);
            let first = ends.min();
            first.map_or(Ok(()), |end| {
                check_expires_at(ledger, end, |lot| lot.expires_at == Some(end))
            })
        }
        Expiry::Inactivity { after, activity } => {
            let last = |account: &crate::account::Account| match activity {
                QualifyingActivity::Any => account.balance_changed_at(),
                QualifyingActivity::EarningAndRedeeming => account.last_activity_at(),
            };
            let idle =
                |at| last(&ledger.as_of(at)).and_then(|last| ledger.zone().after(last, after).ok());
            let Some(end) = idle(now).filter(|end| *end > now) else {
                return Ok(());
            };

            // A scheduled event before the end may prolong the balance.
            if just_before(end).and_then(idle) == Some(end) {
                check_expires_at(ledger, end, |_| true)
            } else {
                Ok(())
            }
        }
    }
}

fn check_lot_expiry(ledger: &Ledger) -> TestCaseResult {
    let mut programs = ledger.programs();
    let (Some(program), None) = (programs.next(), programs.next()) else {
        return Ok(());
    };
    for event in ledger.events() {
        let (Event::PointsAwarded { lot: Some(lot), .. }
        | Event::PointsAdded { lot: Some(lot), .. }
        | Event::AwardGiven { lot: Some(lot), .. }) = event
        else {
            continue;
        };
        let expected = expected_expiry(lot, program.definition().expiry, ledger.zone());
        ensure!(
            lot.expires_at == expected,
            "earned at {}, points end at {:?}, not {expected:?}",
            lot.earned_at,
            lot.expires_at
        );
    }
    Ok(())
}

fn expected_expiry(lot: &LotCredit, expiry: Expiry, zone: Zone) -> Option<Timestamp> {
    let Expiry::PerLot { after, round_up_to } = expiry else {
        return None;
    };
    let end = match round_up_to {
        Some(boundary) => zone.after_rounded(lot.earned_at, after, boundary),
        None => zone.after(lot.earned_at, after),
    };
    end.ok()
}

fn just_before(at: Timestamp) -> Option<Timestamp> {
    at.checked_sub_signed(TimeDelta::microseconds(1))
}

/// Checks that the selected lots are available just before an instant, and expired at it.
fn check_expires_at(
    ledger: &Ledger,
    end: Timestamp,
    ends: impl Fn(&Lot) -> bool,
) -> TestCaseResult {
    let Some(just_before_end) = just_before(end) else { return Ok(()) };
    let before = ledger.as_of(just_before_end);
    let ending = before.lots().iter().filter(|lot| ends(lot)).map(|lot| lot.points);
    let ending = ending.fold(Points::ZERO, Points::saturating_add);

    let events: Vec<Event> = ledger.inspect(None, end, due);
    let at_it = || events.iter().filter(|event| event.at() == Some(end));
    let expired =
        at_it().filter(|event| matches!(event, Event::PointsExpired { pending: false, .. }));
    let expired_points = expired
        .map(|event| event.points().negated())
        .fold(Points::ZERO, Points::saturating_add);
    ensure_equal(&format!("points that end at {end}"), expired_points, ending)?;

    let (have, moved) = (before.balance(just_before_end), at_it().map(Event::points));
    let remaining = moved.fold(have, Points::saturating_add);
    ensure_equal(&format!("the balance at {end}"), ledger.balance(end), remaining)?;
    if !have.is_positive() || remaining >= have {
        return Ok(());
    }

    let all = Command::SubtractPoints {
        points: have,
        reason: crate::event::AdjustmentReason::default(),
    };
    let spent = ledger.dry_run(&all, just_before_end);
    ensure!(spent.is_ok(), "{have} points cannot be spent just before {end}: {spent:?}");

    let late = ledger.dry_run(&all, end).err();
    let expected = Rejection::InsufficientPoints { have: remaining, need: have };
    let outcome = late
        .as_ref()
        .map_or_else(|| "it is accepted".to_owned(), ToString::to_string);
    ensure!(
        late.as_ref() == Some(&expected),
        "spending {have} points at {end}, when {remaining} remain: {outcome}"
    );
    Ok(())
}
