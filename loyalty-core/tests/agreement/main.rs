//! The engine and a simple model of it execute the same random commands, and must have the same
//! results and states.
//!
//! 2,000 sequences of 100 commands. `MODEL_SEQUENCES` sets their number, `MODEL_SEED` the seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test may stop at what it did not expect"
)]

mod claims;
mod commands;
mod dice;
mod gifts;
mod model;
mod order;
mod programs;
mod ratio;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{NaiveDateTime, NaiveTime};
use commands::{ModelCommand, apply_to_model, command, order_id, random_command};
use dice::SplitMix64;
use gifts::{Cause, GiftState, RedemptionState};
use loyalty_core::proptest::{
    check_calculations, check_conservation, check_gifts, check_order_entitlements,
};
use loyalty_core::{
    AccountId, AttributeValue, Attributes, AwardReason, Birthday, Code, Command, Event, Ledger,
    Program, Redemption, RedemptionId, Rejection, Timestamp, merge,
};
use model::Model;
use programs::{document, rules, start};

pub(crate) fn instant(at: NaiveDateTime) -> Timestamp {
    at.and_utc()
}

fn level_attributes(level: i64) -> Attributes {
    let level = AttributeValue::number(level.into()).unwrap();
    Attributes::new([("level".parse().unwrap(), level)]).unwrap()
}

/// The cause of a redemption that is a gift.
fn cause_of(redemption: &Redemption) -> Option<Cause> {
    match redemption.issue().cause.as_ref()? {
        AwardReason::TierEntry { tier } => Some(Cause::Tier(tier.as_str().parse().unwrap())),
        AwardReason::Goal { action } => Some(Cause::Goal(usize::from(action.as_str() == "orders"))),
        other => panic!("no gift is given {other}"),
    }
}

/// The compared state: balance, pending points, debt, the tier with its end, the lots, the gifts
/// with their states, and the states of what points were spent on.
#[derive(Debug, PartialEq)]
struct Snapshot {
    balance: i64,
    pending: i64,
    debt: i64,
    tier: Option<(usize, Timestamp, Option<Timestamp>)>,
    lots: Vec<(i64, Option<Timestamp>, Option<Timestamp>)>,
    gifts: Vec<(Cause, &'static str)>,
    redemptions: Vec<&'static str>,
}

impl Snapshot {
    fn from_model(model: &Model) -> Self {
        let lots = model.lots.iter().chain(model.pending.iter());
        let lots = lots.map(|lot| (lot.points, lot.expires.map(instant), lot.until.map(instant)));
        let mut lots: Vec<_> = lots.collect();
        lots.sort_unstable();
        let tier = model
            .tier
            .map(|(rank, since, until)| (rank, instant(since), until.map(instant)));
        let gifts = model.gifts.iter().map(|gift| {
            let state = match gift.state {
                GiftState::Open => "issued",
                GiftState::Used | GiftState::Kept => "used",
                GiftState::TakenBack => "cancelled",
            };
            (gift.cause, state)
        });
        let mut gifts: Vec<_> = gifts.collect();
        gifts.sort_unstable();
        let redemptions = model.redemptions.iter().map(|redemption| match redemption.state {
            RedemptionState::Issued => "issued",
            RedemptionState::Used(_) => "used",
            RedemptionState::Cancelled => "cancelled",
        });
        Self {
            balance: model.balance(),
            pending: model.pending_points(),
            debt: model.debt,
            tier,
            lots,
            gifts,
            redemptions: redemptions.collect(),
        }
    }

    fn from_ledger(ledger: &Ledger, now: Timestamp) -> Self {
        let account = ledger.as_of(now);
        let lots = account.lots().iter().chain(account.pending_lots().iter());
        let lots = lots.map(|lot| (lot.points.get(), lot.expires_at, lot.pending_until));
        let mut lots: Vec<_> = lots.collect();
        lots.sort_unstable();
        let tier = account
            .earned_tier()
            .map(|tier| (tier.id.as_str().parse().unwrap(), tier.since, tier.until));
        let (balance, pending) = (account.balance(now).get(), account.pending(now).get());
        let all = || ledger.redemptions().values();
        let gifts = all().filter_map(|one| Some((cause_of(one)?, one.state().name())));
        let mut gifts: Vec<_> = gifts.collect();
        gifts.sort_unstable();
        let redemptions = all().filter(|one| cause_of(one).is_none());
        let redemptions = redemptions.map(|one| one.state().name()).collect();
        let debt = account.debt().get();
        Self { balance, pending, debt, tier, lots, gifts, redemptions }
    }
}

fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn engine_and_model_agree() {
    let (sequences, seed) = (number_of("MODEL_SEQUENCES", 2_000), number_of("MODEL_SEED", 1));
    let half = sequences / 2;
    let run = |numbers: std::ops::Range<u64>| -> BTreeSet<&'static str> {
        numbers
            .flat_map(|number| sequence(seed.wrapping_mul(1_000_003) + number))
            .collect()
    };
    let outcomes = std::thread::scope(|scope| {
        let first = scope.spawn(|| run(0..half));
        let mut outcomes = run(half..sequences);
        outcomes.extend(first.join().unwrap());
        outcomes
    });
    for name in EXPECTED {
        assert!(sequences < 500 || outcomes.contains(name), "no sequence has {name}");
    }
}

/// What must have come of commands in some of the sequences.
const EXPECTED: [&str; 18] = [
    "insufficient_points",
    "limit_reached",
    "currency_required",
    "currency_mismatch",
    "refund_exceeds_line",
    "refund_exceeds_order",
    "gift_undone",
    "gift kept and given again",
    "redemption_cancelled",
    "redemption_refunded",
    "redemption_reopened",
    "redemption used again",
    "points_expired",
    "award_taken_back",
    "tier_lapsed",
    "points_taken_back",
    "claim_undone",
    "claim_spent",
];

/// Names for what an event says.
fn name_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::GiftUndone { .. } => Some("gift_undone"),
        Event::AwardGiven { award, .. } if award.gift.as_ref()?.was_kept => {
            Some("gift kept and given again")
        }
        Event::RedemptionCancelled { .. } => Some("redemption_cancelled"),
        Event::RedemptionRefunded { .. } => Some("redemption_refunded"),
        Event::RedemptionReopened { .. } => Some("redemption_reopened"),
        Event::RedemptionUsed { payment: Some(_), .. } => Some("redemption used again"),
        Event::PointsExpired { .. } => Some("points_expired"),
        Event::AwardTakenBack { .. } => Some("award_taken_back"),
        Event::ClaimUndone(_) => Some("claim_undone"),
        Event::TierLapsed { .. } => Some("tier_lapsed"),
        Event::PointsTakenBack { .. } => Some("points_taken_back"),
        _ => None,
    }
}

/// Issues the gifts that wait for their redemption.
fn issue_gifts(ledger: &mut Ledger, now: Timestamp) {
    while ledger.issue_gift([5; 16], now).unwrap().is_some() {}
}

/// The redemption of the first gift for a cause that can be used.
fn open_gift(ledger: &Ledger, cause: Cause) -> RedemptionId {
    let is_meant =
        |one: &&Redemption| cause_of(one) == Some(cause) && one.state().name() == "issued";
    ledger.redemptions().values().find(is_meant).unwrap().issue().id
}

/// Merges the guest into the customer. Another guest comes.
fn claim(ledger: &mut Ledger, guest: &Ledger, now: Timestamp) {
    let mut guest = guest.clone();
    for ledger in [&mut guest, &mut *ledger] {
        ledger.execute(&Command::CatchUp, now).unwrap();
    }
    let (from, into) = ((AccountId(2), guest.account()), (AccountId(1), ledger.account()));
    let (_, events) = merge(from, into, now).unwrap();
    for event in events {
        ledger.apply(event).unwrap();
    }
}

/// The command that undoes the last merge that was not undone.
fn undo_claim(ledger: &Ledger) -> Command {
    let mut claims = Vec::new();
    for event in ledger.events() {
        if let Event::AccountAbsorbed(claim) = event {
            claims.push(Arc::clone(claim));
        } else if let Event::ClaimUndone(_) = event {
            claims.pop();
        }
    }
    Command::UndoClaim { claim: claims.pop().unwrap() }
}

/// Executes a command by the engine. An order uses and gives back the redemption of its code.
fn execute(
    ledger: &mut Ledger,
    model_command: ModelCommand,
    codes: &[Code],
    guest: &Ledger,
    now: Timestamp,
) -> Result<(), Rejection> {
    if let ModelCommand::Level(level) = model_command {
        ledger.set_attributes(level_attributes(level));
    }
    let executed = match (model_command, command(model_command, codes, now)) {
        (ModelCommand::Order(order, _), Command::RecordOrder { snapshot, status, .. }) => {
            ledger.record_order_at(&order_id(order), (*snapshot).clone(), status, now, now)
        }
        (ModelCommand::Cancel(order), _) => ledger.cancel_order_at(&order_id(order), now, now),
        (ModelCommand::Refund(..), Command::RefundOrder { order, refund, .. }) => {
            ledger.refund(&order, refund, now)
        }
        (ModelCommand::Redeem, _) => {
            let entropy = [u8::try_from(codes.len()).unwrap() + 16; 16];
            return ledger.redeem(&"five".parse().unwrap(), entropy, now).map(|_| ());
        }
        (ModelCommand::UseGift(cause), _) => {
            ledger.use_redemption(open_gift(ledger, cause), None, now)
        }
        (ModelCommand::AddToGuest(_), _) => return Ok(()),
        (ModelCommand::Claim, _) => {
            claim(ledger, guest, now);
            return Ok(());
        }
        (ModelCommand::UndoClaim, _) => ledger.execute(&undo_claim(ledger), now),
        (_, command) => ledger.execute(&command, now),
    };
    executed.map(|_| ())
}

/// The codes of what points were spent on, oldest first.
fn codes_of(ledger: &Ledger) -> Vec<Code> {
    let codes = ledger.redemptions().values();
    codes
        .filter_map(|redemption| redemption.issue().code.clone())
        .collect()
}

/// Runs one sequence. Returns what came of it.
fn sequence(seed: u64) -> BTreeSet<&'static str> {
    let mut dice = SplitMix64(seed);
    let rules = rules(&mut dice);
    let text = document(&rules);
    let program = Program::from_json(&text).unwrap_or_else(|faults| panic!("{faults:?}: {text}"));
    let mut ledger = Ledger::new(program);
    let mut guest_ledger = ledger.clone();
    let set_at = instant(rules.known_since.and_time(NaiveTime::MIN));
    ledger.set_birthday(Some(Birthday { day: rules.birthday.0, set_at }));
    ledger.set_attributes(level_attributes(0));

    // Another ledger catches up at each half day.
    let mut punctual = dice.chance(10).then(|| ledger.clone());
    let mut guest = Model::guest(&rules, start());
    let mut model = Model::new(rules, start());
    let (mut transcript, mut outcomes) = (Vec::new(), BTreeSet::new());
    for number in 0..100 {
        let jump = if dice.chance(5) { dice.number(20, 200) } else { dice.number(0, 8) };
        for _ in 0..jump {
            model.advance_half_day();
            guest.advance_half_day();
            if let Some(ledger) = &mut punctual {
                ledger.execute(&Command::CatchUp, instant(model.now)).unwrap();
            }
        }
        let now = instant(model.now);
        for ledger in [&mut ledger].into_iter().chain(punctual.as_mut()) {
            issue_gifts(ledger, now);
        }
        let model_command = random_command(&mut dice, &model, number);
        transcript.push((model.now, model_command));
        let describe = || format!("seed {seed}, {text}\n{transcript:?}");
        assert_eq!(
            Snapshot::from_ledger(&ledger, now),
            Snapshot::from_model(&model),
            "before: {}",
            describe()
        );
        let codes = codes_of(&ledger);
        if dice.chance(10) {
            let command = command(model_command, &codes, now);
            assert_eq!(
                ledger.dry_run(&command, now),
                ledger.clone().execute(&command, now),
                "a dry run equals the real run: {}",
                describe()
            );
        }
        let actual = execute(&mut ledger, model_command, &codes, &guest_ledger, now);
        let actual = actual.map_err(|rejection| rejection.code());
        outcomes.extend(actual.err());
        let expected = apply_to_model((&mut model, &mut guest), model_command);
        assert_eq!(actual, expected, "{}", describe());
        issue_gifts(&mut ledger, now);
        assert_eq!(
            Snapshot::from_ledger(&ledger, now),
            Snapshot::from_model(&model),
            "after: {}",
            describe()
        );
        if let Some(ledger) = &mut punctual {
            let _refused = execute(ledger, model_command, &codes, &guest_ledger, now);
            issue_gifts(ledger, now);
        }
        match model_command {
            ModelCommand::AddToGuest(points) => {
                guest_ledger.add(points.try_into().unwrap(), "", now).unwrap();
            }
            ModelCommand::Claim => guest_ledger = guest_ledger.without_events(),
            _ => {}
        }
        if dice.chance(2) {
            let state = serde_json::to_string(ledger.account()).unwrap();
            *ledger.account_mut() = serde_json::from_str(&state).unwrap();
        }
    }

    let end = instant(model.now);
    ledger.execute(&Command::CatchUp, end).unwrap();
    let checked = check_conservation(&ledger).and_then(|()| check_order_entitlements(&ledger));
    checked
        .and_then(|()| check_calculations(&ledger))
        .and_then(|()| check_gifts(&ledger))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(ledger.account().totals().granted.get(), model.granted_points, "seed {seed}");
    if let Some(punctual) = punctual {
        let late: &[Event] = ledger.events();
        assert_eq!(punctual.events(), late, "seed {seed}: caught up late");
    }
    outcomes.extend(ledger.events().iter().filter_map(name_of));
    outcomes
}
