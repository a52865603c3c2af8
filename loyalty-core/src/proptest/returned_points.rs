//! Searches for refunds that return other points of a redemption than their sum does.

use std::collections::BTreeSet;

use ::proptest::collection::vec;
use ::proptest::prelude::*;
use ::proptest::sample::Index;
use ::proptest::test_runner::TestCaseError;

use super::customer_history::{self, Shrinkable, without_item};
use super::runner::{CheckFailure, ProgramCheck};
use super::simple_cases::{new_ledger, order_id, slice_total};
use super::transcript::Transcript;
use super::vocabulary::Vocabulary;
use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::id::{OrderId, RedemptionId, RefundId, Tag};
use crate::ledger::Ledger;
use crate::order::{Order, Refund, Status};
use crate::program::{Program, Reward, RewardPricing};
use crate::rejection::Rejection;

/// An order that a reward helped to pay, and its refunds: of money between the cuts, in
/// thousandths of the total, or of one line after the other.
#[derive(Clone, Debug)]
struct ReturnCase {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    order: Order,
    cuts: Vec<i64>,
    is_of_lines: bool,
    /// The place of the order's report among the refunds as they arrive.
    report_place: Index,
    is_reversed: bool,
}

impl Shrinkable for ReturnCase {
    fn without_part(&self, part: usize) -> Option<Self> {
        Some(Self { cuts: without_item(&self.cuts, part)?, ..self.clone() })
    }
}

/// A fact about the order.
enum Fact {
    Report,
    Refund(Refund),
}

pub(super) fn search_returned_points(
    check: &ProgramCheck,
    program: &Program,
) -> Result<(), CheckFailure> {
    let vocabulary = Vocabulary::from_program(program);
    let cases = (
        customer_history::tags(&vocabulary),
        customer_history::starts(&vocabulary),
        customer_history::orders(&vocabulary),
        vec(0..=1_000_i64, 1..5),
        any::<(bool, Index, bool)>(),
    );
    let cases = cases.prop_map(|(tags, now, order, mut cuts, ways)| {
        cuts.sort_unstable();
        let (is_of_lines, report_place, is_reversed) = ways;
        ReturnCase {
            tags,
            now,
            order,
            cuts,
            is_of_lines,
            report_place,
            is_reversed,
        }
    });

    let gate = vocabulary.gate;
    let test = |case: &ReturnCase| {
        let (Some((whole, slices)), Some(id)) = (case.refunds(), order_id()) else {
            return Ok(());
        };
        let Some((ledger, redemption)) = redeem(check, program, case, &id) else {
            return Ok(());
        };
        let run = |facts: Vec<Fact>| {
            let mut ledger = ledger.clone();
            for fact in facts {
                let result = execute(&mut ledger, &id, case, fact, gate);
                result.map_err(|rejection| TestCaseError::fail(rejection.to_string()))?;
            }
            returned(&ledger, redemption)
        };
        let at_once = run(vec![Fact::Report, Fact::Refund(whole)])?;
        let in_slices = run(case.arrive(slices))?;
        ensure!(
            at_once == in_slices,
            "{} of {} points spent come back by one refund, {} of {} by its parts",
            at_once.0,
            at_once.1,
            in_slices.0,
            in_slices.1
        );
        Ok(())
    };

    let describe = |case: &ReturnCase| {
        let mut transcript = Transcript::default();
        let (Some((_, slices)), Some(id)) = (case.refunds(), order_id()) else {
            return transcript;
        };
        let Some((mut ledger, redemption)) = redeem(check, program, case, &id) else {
            return transcript;
        };
        for fact in case.arrive(slices) {
            let what = match &fact {
                Fact::Report => format!("order {id} is paid, total {}", case.order.total),
                Fact::Refund(refund) => match refund.refunded.amount() {
                    Some(money) => format!("refund {} of {}", refund.id, money.amount()),
                    None => format!("refund {} of all units of a line", refund.id),
                },
            };
            let is_rejected = execute(&mut ledger, &id, case, fact, gate).is_err();
            let (back, spent) = returned(&ledger, redemption).unwrap_or_default();
            let result = if is_rejected { "rejected; " } else { "" };
            transcript.add_line(format!("{what}: {result}{back} of {spent} points came back"));
        }
        transcript
    };

    check.search(&cases, test, describe)
}

/// A ledger whose customer has spent points on the first reward that can be had, with the order.
fn redeem(
    check: &ProgramCheck,
    program: &Program,
    case: &ReturnCase,
    id: &OrderId,
) -> Option<(Ledger, RedemptionId)> {
    let empty = new_ledger(check, program, &case.tags);
    program.definition().rewards.iter().find_map(|reward| {
        let mut ledger = empty.clone();
        let redemption = redeem_reward(&mut ledger, reward, case.now).ok()?;
        ledger.use_redemption(redemption, Some(id), case.now).ok()?;
        Some((ledger, redemption))
    })
}

fn redeem_reward(
    ledger: &mut Ledger,
    reward: &Reward,
    now: Timestamp,
) -> Result<RedemptionId, Rejection> {
    let amount = match &reward.offer {
        RewardPricing::Fixed { .. } => None,
        RewardPricing::Variable(variable) => Some(variable.minimum),
    };
    let (points, _) = reward.quote(amount, ledger.minor_digits())?;
    ledger.add(points, "", now)?;
    let redemption = match amount {
        None => ledger.redeem(&reward.id, [7; 16], now)?,
        Some(amount) => ledger.redeem_amount(&reward.id, amount, [7; 16], now)?,
    };
    Ok(redemption.issue().id)
}

fn execute(
    ledger: &mut Ledger,
    id: &OrderId,
    case: &ReturnCase,
    fact: Fact,
    gate: Status,
) -> Result<(), Rejection> {
    match fact {
        Fact::Report => ledger.record_order(id, case.order.clone(), gate, case.now),
        Fact::Refund(refund) => ledger.refund(id, refund, case.now),
    }
    .map(|_| ())
}

/// The points that came back, and all that were spent.
fn returned(ledger: &Ledger, redemption: RedemptionId) -> Result<(Points, Points), TestCaseError> {
    let Some(redemption) = ledger.redemption(redemption) else {
        return Err(TestCaseError::fail("the redemption is gone"));
    };
    let back = redemption.refunded();
    let spent = redemption.payment().points().saturating_add(back);
    ensure!(
        spent == redemption.issue().points,
        "{} points were spent, but {spent} are accounted for",
        redemption.issue().points
    );
    Ok((back, spent))
}

impl ReturnCase {
    /// One refund, and the parts of it.
    fn refunds(&self) -> Option<(Refund, Vec<Refund>)> {
        let id = |text: String| RefundId::new(text).ok();
        if self.is_of_lines {
            let line = |line: &crate::order::Line| (line.id.clone(), line.quantity);
            let lines: Vec<_> = self.order.lines.iter().map(line).collect();
            let slices = lines.iter().enumerate().map(|(number, line)| {
                Some(Refund::of_lines(id(format!("r{number}"))?, [line.clone()]))
            });
            let slices = slices.collect::<Option<Vec<_>>>()?;
            return Some((Refund::of_lines(id("whole".to_owned())?, lines), slices));
        }

        let parts = slice_total(&self.order, &self.cuts)?;
        let slices = parts
            .iter()
            .map(|(number, part)| Some(Refund::of_amount(id(format!("r{number}"))?, *part)));
        let slices = slices.collect::<Option<Vec<_>>>()?;
        let mut sum = parts.iter().map(|(_, part)| *part);
        let sum = sum.try_fold(Amount::ZERO, Amount::checked_add)?;
        Some((Refund::of_amount(id("whole".to_owned())?, sum), slices))
    }

    /// The facts in the order of their arrival.
    fn arrive(&self, slices: Vec<Refund>) -> Vec<Fact> {
        let mut facts: Vec<Fact> = slices.into_iter().map(Fact::Refund).collect();
        if self.is_reversed {
            facts.reverse();
        }
        let place = self.report_place.index(facts.len().saturating_add(1));
        facts.insert(place, Fact::Report);
        facts
    }
}
