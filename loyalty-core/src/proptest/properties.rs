//! What must hold after each command, for whoever plays a history of their own.

use ::proptest::test_runner::TestCaseResult;
use chrono::TimeDelta;

use super::ensure_equal;
use crate::account::Lot;
use crate::amount::Points;
use crate::calendar::{Timestamp, Zone};
use crate::command::Command;
use crate::decide::Decision;
use crate::event::{Event, LotCredit};
use crate::ledger::Ledger;
use crate::program::{DebtPolicy, Expiry, QualifyingActivity};
use crate::rejection::Rejection;
use crate::rules::scheduled::due;

/// Lots and what orders have posted are never negative; the balance is only where the program lets it be owed;
/// and who owes has nothing to spend.
pub fn check_no_negative_except_debt(books: &Ledger, now: Timestamp) -> TestCaseResult {
    let account = books.as_of(now);
    let (balance, debt) = (account.balance(now), account.debt());
    for lot in account.lots().iter().chain(account.pending_lots().iter()) {
        ensure!(lot.points.is_positive(), "a lot of {} points", lot.points);
    }
    ensure!(debt >= Points::ZERO, "a debt of {debt} points");
    if !debt.is_zero() {
        let may = books
            .programs()
            .any(|program| program.definition().debt == DebtPolicy::Allow);
        ensure!(may, "{debt} points are owed, where the program stops at zero");
        ensure!(
            account.lots().is_empty(),
            "{debt} points are owed beside {} to spend",
            account.lots().points()
        );
    }
    ensure!(balance >= debt.negated(), "a balance of {balance} with a debt of {debt}");
    for (id, order) in books.orders() {
        let posted = order.posted();
        let least = [posted.awarded, posted.clawed_back, posted.expired, posted.forgiven]
            .into_iter()
            .min();
        ensure!(least >= Some(Points::ZERO), "order {id} has posted {posted:?}");
        ensure!(
            posted.clawed_back <= posted.awarded,
            "{} of {} points taken",
            posted.clawed_back,
            posted.awarded
        );
    }
    Ok(())
}

/// Debt comes of what is taken back, never of spending.
pub fn check_spending_adds_no_debt(
    before: &Ledger,
    command: &Command,
    after: &Ledger,
) -> TestCaseResult {
    let spends = matches!(command, Command::SubtractPoints { .. } | Command::RedeemReward { .. });
    let (debt, now) = (before.account().debt(), after.account().debt());
    ensure!(!spends || now <= debt, "spending raised the debt from {debt} to {now}");
    Ok(())
}

/// A fact that was taken in, told again at once, brings about nothing.
pub fn check_idempotency(books: &Ledger, fact: &Command, now: Timestamp) -> TestCaseResult {
    let is_fact = matches!(
        fact,
        Command::RecordOrder { .. }
            | Command::RefundOrder { .. }
            | Command::CancelOrder { .. }
            | Command::CancelRedemption { .. }
            | Command::ClaimRedemption { .. }
            | Command::ReleaseRedemption { .. }
            | Command::UseRedemption { .. }
            | Command::SetBalance { .. }
            | Command::SetTier(_)
            | Command::SignUp
            | Command::CatchUp
    );
    if is_fact {
        let again = books.dry_run(fact, now);
        let what = match &again {
            Ok(decision) => {
                format!("{} events that move {} points", decision.events.len(), decision.points())
            }
            Err(rejection) => format!("a refusal: {rejection}"),
        };
        ensure!(again == Ok(Decision::default()), "told again, the last step brings {what}");
    }
    Ok(())
}

/// What the rules say when they are only asked is what happens: the same answer twice, the points that it says, the
/// balance that time brings about whether or not it was written down, and rewards as they were offered.
pub fn check_dry_run(
    before: &Ledger,
    command: &Command,
    now: Timestamp,
    told: &Result<Decision, Rejection>,
    after: &Ledger,
) -> TestCaseResult {
    let answer = |said: &Result<Decision, Rejection>| match said {
        Ok(decision) => format!("{} events, {} points", decision.events.len(), decision.points()),
        Err(rejection) => rejection.to_string(),
    };
    let asked = before.dry_run(command, now);
    ensure!(
        asked == *told,
        "asked again, the rules say otherwise: {}, not {}",
        answer(&asked),
        answer(told)
    );

    let mut written = before.clone();
    let caught_up = written.execute(&Command::CatchUp, now);
    ensure!(caught_up.is_ok(), "what is due cannot be written down: {}", answer(&caught_up));
    ensure_equal(
        "the balance once what is due is written down",
        written.balance(now),
        before.balance(now),
    )?;
    let said = told.as_ref().map_or(Points::ZERO, Decision::points);
    let was = before.account().totals().balance();
    ensure_equal(
        "the balance after what the answer says",
        after.account().totals().balance(),
        was.saturating_add(said),
    )?;
    let late = written.execute(command, now);
    ensure!(
        late.is_ok() == told.is_ok(),
        "once what is due is written down: {}",
        answer(&late)
    );
    ensure_equal(
        "the balance, had what is due been written down before",
        written.balance(now),
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
        .map_or_else(|| "can be had".to_owned(), ToString::to_string);
    let refused = told.as_ref().err();
    ensure!(
        refused == offer.rejections.first()
            || matches!(refused, Some(Rejection::RewardTooFine { .. })),
        "offered: {offered}; redeemed: {}",
        answer(told)
    );
    Ok(())
}

/// Points end where the program says, can be spent until just before that instant, and are gone at it.
pub fn check_expiry_instant(books: &Ledger, now: Timestamp) -> TestCaseResult {
    let Some(program) = books.programs().last() else { return Ok(()) };
    match program.definition().expiry {
        Expiry::Never => Ok(()),
        Expiry::PerLot { .. } => {
            check_lot_expiry(books)?;
            let account = books.as_of(now);
            let ends = account.lots().iter().filter_map(|lot| lot.expires_at);
            let first = ends.min();
            first.map_or(Ok(()), |end| {
                check_expires_at(books, end, |lot| lot.expires_at == Some(end))
            })
        }
        Expiry::Inactivity { after, activity } => {
            let last = |account: &crate::account::Account| match activity {
                QualifyingActivity::Any => account.balance_changed_at(),
                QualifyingActivity::EarningAndRedeeming => account.last_activity_at(),
            };
            let idle =
                |at| last(&books.as_of(at)).and_then(|last| books.zone().after(last, after).ok());
            let Some(end) = idle(now).filter(|end| *end > now) else {
                return Ok(());
            };
            // Something may happen by itself until then, which keeps the balance.
            if just_before(end).and_then(idle) == Some(end) {
                check_expires_at(books, end, |_| true)
            } else {
                Ok(())
            }
        }
    }
}

fn check_lot_expiry(books: &Ledger) -> TestCaseResult {
    let mut programs = books.programs();
    let (Some(program), None) = (programs.next(), programs.next()) else {
        return Ok(());
    };
    for event in books.events() {
        let (Event::PointsAwarded { lot: Some(lot), .. }
        | Event::PointsAdded { lot: Some(lot), .. }
        | Event::AwardGiven { lot: Some(lot), .. }) = event
        else {
            continue;
        };
        let want = expected_expiry(lot, program.definition().expiry, books.zone());
        ensure!(
            lot.expires_at == want,
            "earned at {}, points end at {:?}, not {want:?}",
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
    let end = zone.after(lot.earned_at, after).ok()?;
    round_up_to.map_or(Some(end), |boundary| zone.end_of(end, boundary).ok())
}

fn just_before(at: Timestamp) -> Option<Timestamp> {
    at.checked_sub_signed(TimeDelta::microseconds(1))
}

/// Everything in these lots is there just before an instant, and gone at it.
fn check_expires_at(books: &Ledger, end: Timestamp, ends: impl Fn(&Lot) -> bool) -> TestCaseResult {
    let Some(eve) = just_before(end) else { return Ok(()) };
    let before = books.as_of(eve);
    let ending = before.lots().iter().filter(|lot| ends(lot)).map(|lot| lot.points);
    let ending = ending.fold(Points::ZERO, Points::saturating_add);
    let happens: Vec<Event> = books.inspect(None, end, due);
    let at_it = || happens.iter().filter(|event| event.at() == Some(end));
    let expired =
        at_it().filter(|event| matches!(event, Event::PointsExpired { pending: false, .. }));
    let gone = expired
        .map(|event| event.points().negated())
        .fold(Points::ZERO, Points::saturating_add);
    ensure_equal(&format!("points that end at {end}"), gone, ending)?;

    let (have, moved) = (before.balance(eve), at_it().map(Event::points));
    let left = moved.fold(have, Points::saturating_add);
    ensure_equal(&format!("the balance at {end}"), books.balance(end), left)?;
    if !have.is_positive() || left >= have {
        return Ok(());
    }
    let all = Command::SubtractPoints {
        points: have,
        reason: crate::event::AdjustmentReason::default(),
    };
    let spent = books.dry_run(&all, eve);
    ensure!(spent.is_ok(), "{have} points cannot be spent just before {end}: {spent:?}");
    let late = books.dry_run(&all, end).err();
    let want = Rejection::InsufficientPoints { have: left, need: have };
    let said = late
        .as_ref()
        .map_or_else(|| "it is allowed".to_owned(), ToString::to_string);
    ensure!(
        late.as_ref() == Some(&want),
        "spending {have} points at {end}, when {left} are left: {said}"
    );
    Ok(())
}
