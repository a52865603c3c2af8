//! Invariants of gifts, told by the events and the redemptions alone.

use ::proptest::test_runner::TestCaseResult;

use crate::account::GiftState;
use crate::award::AwardReason;
use crate::event::Event;
use crate::ledger::Ledger;
use crate::redemption::{Redemption, RedemptionState};

/// What the events say about the gifts for one cause.
struct CauseHistory {
    cause: AwardReason,
    /// Gifts that were given, not counting those that the customer had kept.
    given: usize,
    /// The last gift was taken back.
    is_taken_back: bool,
    redemptions: Vec<Redemption>,
}

/// Checks that each gift was given once for its cause, costs nothing, and cannot be used after
/// it was taken back.
pub fn check_gifts(ledger: &Ledger) -> TestCaseResult {
    for history in cause_histories(ledger) {
        let CauseHistory { cause, given, is_taken_back, redemptions } = &history;
        ensure!(
            redemptions.len() <= *given,
            "{given} gifts were given {cause}, but {} were issued",
            redemptions.len()
        );
        for redemption in redemptions {
            let (issue, id) = (redemption.issue(), redemption.issue().id);
            ensure!(issue.points.is_zero(), "gift {id} has cost {} points", issue.points);
            ensure!(redemption.payment().points().is_zero(), "points were charged for gift {id}");
        }

        let open = redemptions.iter();
        let open = open.filter(|redemption| *redemption.state() == RedemptionState::Issued);
        let open = open.count();
        // Each entry of a tier can have a gift of its own, and keeps it when a later one is undone.
        if is_given_once(ledger, cause) {
            ensure!(
                !is_taken_back || open == 0,
                "the gift {cause} was taken back, but {open} can be used"
            );
            ensure!(open <= 1, "{open} gifts {cause} can be used");
        }
    }
    check_states(ledger)
}

fn cause_histories(ledger: &Ledger) -> Vec<CauseHistory> {
    let mut histories: Vec<CauseHistory> = Vec::new();
    let mut update = |cause: &AwardReason, update: &dyn Fn(&mut CauseHistory)| {
        if let Some(known) = histories.iter_mut().find(|known| known.cause == *cause) {
            return update(known);
        }
        let mut new = CauseHistory {
            cause: cause.clone(),
            given: 0,
            is_taken_back: false,
            redemptions: Vec::new(),
        };
        update(&mut new);
        histories.push(new);
    };

    for event in ledger.events() {
        if let Event::AwardGiven { award, .. } = event
            && let Some(gift) = &award.gift
        {
            update(&award.reason, &|history| {
                history.given = history.given.saturating_add(usize::from(!gift.was_kept));
                history.is_taken_back = false;
            });
        } else if let Event::GiftUndone { cause, .. } = event {
            update(cause, &|history| history.is_taken_back = true);
        } else if let Event::RewardRedeemed { issue } = event
            && let (Some(cause), Some(redemption)) =
                (&issue.cause, ledger.redemptions().get(&issue.id))
        {
            update(cause, &|history| history.redemptions.push(redemption.clone()));
        }
    }
    histories
}

/// Returns false for what can come again, and gives a gift each time.
fn is_given_once(ledger: &Ledger, cause: &AwardReason) -> bool {
    match cause {
        AwardReason::Action { .. } => false,
        AwardReason::TierEntry { tier } => ledger.programs().all(|program| {
            let entry = program.tier(tier).and_then(|tier| tier.entry.as_ref());
            entry.is_none_or(|entry| !entry.each_time)
        }),
        AwardReason::Anniversary { .. }
        | AwardReason::Birthday { .. }
        | AwardReason::Code { .. }
        | AwardReason::Goal { .. }
        | AwardReason::ReferralMilestone { .. }
        | AwardReason::ReferralReceived { .. }
        | AwardReason::ReferralSent { .. }
        | AwardReason::SignUp { .. } => true,
    }
}

/// Checks that the account knows which of its gifts can be used.
fn check_states(ledger: &Ledger) -> TestCaseResult {
    for gift in ledger.account().activity().gifts().iter() {
        let Some(redemption) = gift.redemption().and_then(|id| ledger.redemptions().get(&id))
        else {
            continue;
        };
        let is_open = matches!(gift.state, GiftState::Open(_));
        ensure!(
            is_open == (*redemption.state() == RedemptionState::Issued),
            "gift {} is {:?} for the account, but {}",
            redemption.issue().id,
            gift.state,
            redemption.state().name()
        );
    }
    Ok(())
}
