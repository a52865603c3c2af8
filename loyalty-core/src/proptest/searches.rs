//! Searches for cases that break an invariant under one program.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::proptest::collection::vec;
use ::proptest::option::weighted;
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};
use ::proptest::test_runner::TestCaseResult;
use chrono::TimeDelta;

use super::customer_history::{
    self, CustomerHistory, Shrinkable, customer_histories_under, orders_under, pick_from,
    without_item,
};
use super::returned_points::search_returned_points;
use super::runner::{CheckFailure, ProgramCheck};
use super::simple_cases::{new_ledger, order_id, slice_total};
use super::transcript::Transcript;
use super::vocabulary::Vocabulary;
use super::{
    Invariant, carts, check_calculations, check_conservation, check_dry_run, check_exact_discounts,
    check_expiry_instant, check_gifts, check_idempotency, check_no_negative_except_debt,
    check_order_entitlements, check_points_or_code, check_refund_slicing,
    check_spending_adds_no_debt,
};
use crate::amount::Amount;
use crate::attribute::Attributes;
use crate::calendar::Timestamp;
use crate::command::{Command, OverRefund};
use crate::context::Decision;
use crate::discount::{Cart, PriceRule, Stacking};
use crate::id::{OrderId, RefundId, Tag};
use crate::ledger::Ledger;
use crate::order::{Order, Origin, Quantity, Refund, RefundAmount, RefundContent, Status};
use crate::program::Program;
use crate::rejection::Rejection;

/// One step of a history: its command and result, and the ledger before and after it.
pub(super) struct Step<'a> {
    pub(super) before: &'a Ledger,
    pub(super) command: &'a Command,
    pub(super) now: Timestamp,
    pub(super) result: &'a Result<Decision, Rejection>,
    pub(super) after: &'a Ledger,
}

/// Searches for a case that breaks the invariant.
pub(super) fn search_invariant(
    check: &ProgramCheck,
    invariant: Invariant,
    program: &Program,
) -> Result<(), CheckFailure> {
    let histories =
        |check_step: fn(&Step<'_>) -> TestCaseResult| search_histories(check, program, check_step);
    match invariant {
        Invariant::Conservation => histories(|step| check_conservation(step.after)),
        Invariant::NoNegativeExceptDebt => histories(|step| {
            check_spending_adds_no_debt(step.before, step.command, step.after)?;
            check_no_negative_except_debt(step.after, step.now)
        }),
        Invariant::OrdersMatchEntitlement => histories(|step| check_order_entitlements(step.after)),
        Invariant::Idempotency => histories(|step| match step.result {
            Ok(_) => check_idempotency(step.after, step.command, step.now),
            Err(_) => Ok(()),
        }),
        Invariant::DryRunEqualsReal => histories(|step| {
            check_dry_run(step.before, step.command, step.now, step.result, step.after)
        }),
        Invariant::EntriesMatchCalculation => histories(|step| check_calculations(step.after)),
        Invariant::PointsOrCode => histories(|step| check_points_or_code(step.after, step.now)),
        Invariant::OneGiftPerCause => histories(|step| check_gifts(step.after)),
        Invariant::ExactExpiryInstant => {
            histories(|step| check_expiry_instant(step.after, step.now))
        }
        Invariant::ArrivalOrderIndependence => search_arrival_order(check, program),
        Invariant::RefundSlicingIndependence => search_sliced_refunds(check, program),
        Invariant::ReturnedPointsIndependence => search_returned_points(check, program),
        Invariant::TierMonotonicInSpend => search_tier_monotonicity(check, program),
        Invariant::ExactAllocation => search_exact_allocation(check, program),
    }
}

fn search_histories(
    check: &ProgramCheck,
    program: &Program,
    check_step: fn(&Step<'_>) -> TestCaseResult,
) -> Result<(), CheckFailure> {
    let test = |history: &CustomerHistory| {
        let mut ledger = check.new_ledger(program, history);
        history.steps.iter().try_for_each(|(now, command)| {
            let before = ledger.clone();
            let result = ledger.execute(command, *now);
            check_step(&Step {
                before: &before,
                command,
                now: *now,
                result: &result,
                after: &ledger,
            })
        })
    };

    let describe = |history: &CustomerHistory| {
        Transcript::record_all(&mut check.new_ledger(program, history), &history.steps)
    };

    check.search(&customer_histories_under(program, check.zone), test, describe)
}

/// Facts of one order within one hour, with keys that shuffle their arrival at its end.
#[derive(Clone, Debug)]
struct ArrivalCase {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    facts: Vec<(u8, Command)>,
}

/// A fact before its order is generated.
#[derive(Clone, Debug)]
enum OrderFact {
    /// A report of the order, or of the order with another line and other facts.
    Report {
        extra_line: bool,
        status: Status,
    },
    Refund {
        percent: i64,
        units: Option<(Index, Quantity)>,
        /// It says how much of its money is shipping; for units, it says its money.
        says_parts: bool,
    },
    /// A refund of a unit of the other line.
    RefundExtraLine,
    Cancel,
}

fn arrival_cases(program: &Program) -> impl Strategy<Value = ArrivalCase> + use<> {
    let vocabulary = Vocabulary::from_program(program);
    let status = prop_oneof![2 => Just(vocabulary.gate), 1 => select(&Status::ALL[..])];
    let units = weighted(0.4, (any::<Index>(), (1..4_u16).prop_map(Quantity::from)));
    let fact = prop_oneof![
        3 => (prop::bool::weighted(0.2), status).prop_map(|(extra_line, status)| OrderFact::Report { extra_line, status }),
        2 => (1..=100_i64, units, any::<bool>())
            .prop_map(|(percent, units, says_parts)| OrderFact::Refund { percent, units, says_parts }),
        1 => Just(OrderFact::RefundExtraLine),
        1 => Just(OrderFact::Cancel),
    ];

    let facts = vec((fact, 0..50_i64, any::<u8>()), 1..6);
    (
        customer_history::tags(&vocabulary),
        customer_history::starts(&vocabulary),
        customer_history::orders(&vocabulary),
        facts,
    )
        .prop_filter_map("valid facts", |(tags, start, order, facts)| {
            let order = Order { placed_at: Some(start), ..order };
            let now = start.checked_add_signed(TimeDelta::hours(1))?;
            Some(ArrivalCase { tags, now, facts: fitting_commands(start, &order, &facts)? })
        })
}

/// Returns the facts as commands, without refunds that exceed the order together.
fn fitting_commands(
    start: Timestamp,
    order: &Order,
    facts: &[(OrderFact, i64, u8)],
) -> Option<Vec<(u8, Command)>> {
    let mut ledger = Ledger::new(Program::default());
    let report = |order: &Order, status, at| {
        let (order, snapshot) = (order_id()?, Arc::new(order.clone()));
        Some(Command::RecordOrder { order, snapshot, status, at, origin: Origin::Shop })
    };
    ledger.execute(&report(order, Status::Paid, None)?, start).ok()?;

    let mut commands = Vec::new();
    for (number, (fact, minute, key)) in (1_u32..).zip(facts) {
        let at = start.checked_add_signed(TimeDelta::minutes(*minute));
        let command = match fact {
            OrderFact::Report { extra_line: false, status } => report(order, *status, at)?,
            OrderFact::Report { extra_line: true, status } => {
                report(&with_extra_line(order)?, *status, at)?
            }
            OrderFact::Cancel => Command::CancelOrder { order: order_id()?, at },
            // Two of them would exceed a line of one unit.
            OrderFact::RefundExtraLine => {
                let units = order.lines.first()?.quantity.min(Quantity::ONE);
                let line = ("more".parse().ok()?, units);
                let refund = Refund::of_lines(RefundId::new("more").ok()?, [line]);
                let over_refund = OverRefund::Reject;
                Command::RefundOrder { order: order_id()?, refund, over_refund, at }
            }
            OrderFact::Refund { percent, units, says_parts } => {
                let refunded = build_refunded(order, *percent, units.as_ref(), *says_parts)?;
                let refund = Refund { id: RefundId::new(format!("r{number}")).ok()?, refunded };
                let command = Command::RefundOrder {
                    order: order_id()?,
                    refund,
                    over_refund: OverRefund::Reject,
                    at,
                };
                if ledger.execute(&command, start).is_err() {
                    continue;
                }
                command
            }
        };
        commands.push((*key, command));
    }

    Some(commands)
}

fn with_extra_line(order: &Order) -> Option<Order> {
    let mut order = order.clone();
    let mut line = order.lines.first()?.clone();
    line.id = "more".parse().ok()?;
    order.total = order.total.checked_add(line.amount)?;
    order.lines.push(line);
    (order.channel, order.attributes) = (None, Attributes::EMPTY);
    Some(order)
}

fn build_refunded(
    order: &Order,
    percent: i64,
    units: Option<&(Index, Quantity)>,
    says_parts: bool,
) -> Option<RefundContent> {
    let Some((pick, units)) = units else {
        let amount = customer_history::percent_of(order.total, percent)?;
        let shipping = if says_parts { order.shipping.min(amount) } else { Amount::ZERO };
        let refunded = RefundAmount::new(amount).with_shipping(shipping).ok()?;
        return Some(RefundContent::Amount(refunded));
    };
    let line = pick_from(&order.lines, *pick)?;
    let amount = customer_history::percent_of(line.amount, percent)?;
    Some(RefundContent::Lines {
        lines: vec![(line.id.clone(), line.quantity.min(*units))],
        amount: says_parts.then(|| amount.into()),
    })
}

impl Shrinkable for ArrivalCase {
    fn without_part(&self, part: usize) -> Option<Self> {
        Some(Self { facts: without_item(&self.facts, part)?, ..self.clone() })
    }
}

impl ArrivalCase {
    /// Returns the facts as dated by the shop, and shuffled.
    fn dated_and_shuffled(&self) -> [Vec<(Timestamp, Command)>; 2] {
        let timed = |facts: &[(u8, Command)]| {
            facts.iter().map(|(_, fact)| (self.now, fact.clone())).collect()
        };
        let mut shuffled = self.facts.clone();
        shuffled.sort_by_key(|(key, _)| *key);
        [timed(&self.facts), timed(&shuffled)]
    }
}

fn search_arrival_order(check: &ProgramCheck, program: &Program) -> Result<(), CheckFailure> {
    let run = |case: &ArrivalCase, facts: &[(Timestamp, Command)]| {
        let mut ledger = new_ledger(check, program, &case.tags);
        for (now, fact) in facts {
            let result = ledger.execute(fact, *now);
            ensure!(result.is_ok(), "a fact is rejected: {result:?}");
        }
        Ok(ledger)
    };

    let test = |case: &ArrivalCase| {
        let [dated, shuffled] = case.dated_and_shuffled();
        super::ensure_same_outcome(&run(case, &shuffled)?, &run(case, &dated)?, case.now)
    };

    let describe = |case: &ArrivalCase| {
        let [dated, shuffled] = case.dated_and_shuffled();
        let mut transcript =
            Transcript::record_all(&mut new_ledger(check, program, &case.tags), &dated);
        transcript.add_line("The same facts of another customer, in the order of their arrival:");
        let mut ledger = new_ledger(check, program, &case.tags);
        for (now, fact) in &shuffled {
            transcript.record(&mut ledger, fact, *now);
        }
        transcript
    };

    check.search(&arrival_cases(program), test, describe)
}

/// An order, and the cuts between its refunds, in thousandths of its total.
#[derive(Clone, Debug)]
struct SlicedRefundCase {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    order: Order,
    cuts: Vec<i64>,
}

impl Shrinkable for SlicedRefundCase {
    fn without_part(&self, part: usize) -> Option<Self> {
        Some(Self { cuts: without_item(&self.cuts, part)?, ..self.clone() })
    }
}

fn search_sliced_refunds(check: &ProgramCheck, program: &Program) -> Result<(), CheckFailure> {
    let vocabulary = Vocabulary::from_program(program);
    let cases = (
        customer_history::tags(&vocabulary),
        customer_history::starts(&vocabulary),
        customer_history::orders(&vocabulary),
        vec(0..=1_000_i64, 1..5),
    )
        .prop_map(|(tags, now, order, mut cuts)| {
            cuts.sort_unstable();
            SlicedRefundCase { tags, now, order, cuts }
        });

    let gate = vocabulary.gate;
    let report = |order: &Order| {
        let (order, snapshot) = (order_id()?, Arc::new(order.clone()));
        Some(Command::RecordOrder {
            order,
            snapshot,
            status: gate,
            at: None,
            origin: Origin::Shop,
        })
    };

    let plan = |SlicedRefundCase { now, order, cuts, .. }: &SlicedRefundCase| {
        let slices = slice_total(order, cuts)?;
        let total = RefundContent::Amount(
            slices
                .iter()
                .try_fold(Amount::ZERO, |sum, (_, part)| sum.checked_add(*part))?
                .into(),
        );
        let refund = |(number, part): &(usize, Amount)| {
            Some(Refund {
                id: RefundId::new(format!("r{number}")).ok()?,
                refunded: RefundContent::Amount((*part).into()),
            })
        };

        let slices = slices.iter().map(refund).collect::<Option<Vec<_>>>()?;
        Some((
            report(order)?,
            *now,
            Refund { id: RefundId::new("whole").ok()?, refunded: total },
            slices,
        ))
    };

    let test = |case: &SlicedRefundCase| {
        let (Some((report, now, whole, slices)), Some(id)) = (plan(case), order_id()) else {
            return Ok(());
        };
        let mut ledger = new_ledger(check, program, &case.tags);
        let result = ledger.execute(&report, now);
        ensure!(result.is_ok(), "the order is rejected: {result:?}");
        check_refund_slicing(&ledger, &id, &whole, &slices, now)
    };

    let describe = |case: &SlicedRefundCase| {
        let (Some((report, now, whole, slices)), Some(id)) = (plan(case), order_id()) else {
            return Transcript::default();
        };
        let mut ledger = new_ledger(check, program, &case.tags);
        let mut transcript = Transcript::record_all(&mut ledger, &[(now, report)]);
        let refund = |refund| Command::RefundOrder {
            order: id.clone(),
            refund,
            over_refund: OverRefund::Reject,
            at: None,
        };
        let mut refunded_once = ledger.clone();
        transcript.record(&mut refunded_once, &refund(whole), now);
        transcript.add_line("Another customer gets the same refund in slices:");
        for slice in slices {
            transcript.record(&mut ledger, &refund(slice), now);
        }
        transcript
    };

    check.search(&cases, test, describe)
}

/// Orders of one customer at one instant. Another customer pays more for one of them.
#[derive(Clone, Debug)]
pub(super) struct SpendComparison {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    orders: Vec<Order>,
    increased_order: Index,
    extra_amount: Amount,
}

pub(super) fn search_tier_monotonicity(
    check: &ProgramCheck,
    program: &Program,
) -> Result<(), CheckFailure> {
    let vocabulary = Vocabulary::from_program(program);
    let plain = orders_under(program).prop_map(|order| Order { redeemed: Amount::ZERO, ..order });
    let extra_amount = customer_history::prices(&vocabulary);
    let cases = (
        customer_history::tags(&vocabulary),
        customer_history::starts(&vocabulary),
        vec(plain, 1..4),
        any::<Index>(),
        extra_amount,
    );
    let cases = cases.prop_map(|(tags, now, orders, increased_order, extra_amount)| {
        SpendComparison { tags, now, orders, increased_order, extra_amount }
    });

    let gate = vocabulary.gate;
    let commands = |orders: &[Order], now: Timestamp| -> Vec<(Timestamp, Command)> {
        let report = |(number, order): (u32, &Order)| {
            let (order, snapshot) =
                (OrderId::new(number.to_string()).ok()?, Arc::new(order.clone()));
            Some((
                now,
                Command::RecordOrder {
                    order,
                    snapshot,
                    status: gate,
                    at: None,
                    origin: Origin::Shop,
                },
            ))
        };
        (1001_u32..).zip(orders).filter_map(report).collect()
    };
    let tier = |ledger: &Ledger, now: Timestamp| {
        let tier = ledger.account().current_tier_id(now);
        let text = tier.map_or_else(|| "no tier".to_owned(), |tier| format!("tier {tier}"));
        (tier.and_then(|tier| program.rank(tier)), text)
    };

    let run = |case: &SpendComparison, orders: &[Order]| {
        let mut ledger = new_ledger(check, program, &case.tags);
        let transcript = Transcript::record_all(&mut ledger, &commands(orders, case.now));
        (tier(&ledger, case.now), transcript)
    };

    let test = |case: &SpendComparison| {
        let (Some(more), less) = (case.increased_orders(), &case.orders) else {
            return Ok(());
        };
        let (((rank, tier), _), ((higher_rank, higher_tier), _)) =
            (run(case, less), run(case, &more));
        ensure!(
            higher_rank >= rank,
            "a customer who pays {} more ends in {higher_tier}, the other in {tier}",
            case.extra_amount
        );
        Ok(())
    };

    let describe = |case: &SpendComparison| {
        let ((_, mut transcript), more) =
            (run(case, &case.orders), case.increased_orders().unwrap_or_default());
        transcript.add_line("Another customer pays more:");
        let mut ledger = new_ledger(check, program, &case.tags);
        for (now, command) in commands(&more, case.now) {
            transcript.record(&mut ledger, &command, now);
        }
        transcript
    };

    check.search(&cases, test, describe)
}

impl Shrinkable for SpendComparison {
    fn without_part(&self, part: usize) -> Option<Self> {
        let orders = without_item(&self.orders, part)?;
        if orders.is_empty() { None } else { Some(Self { orders, ..self.clone() }) }
    }
}

impl SpendComparison {
    /// Returns the orders of the customer who pays more.
    fn increased_orders(&self) -> Option<Vec<Order>> {
        let mut orders = self.orders.clone();
        let count = orders.len();
        let order = orders.get_mut(self.increased_order.index(count.max(1)))?;
        let line = order.lines.first_mut()?;
        line.amount = line.amount.checked_add(self.extra_amount)?;
        order.total = order.total.checked_add(self.extra_amount)?;
        order.validate(2).ok().map(|()| orders)
    }
}

/// The price rules of a shop, and a cart with their codes.
#[derive(Clone, Debug)]
struct CartCase {
    rules: Vec<PriceRule>,
    cart: Cart,
    stacking: Stacking,
}

impl Shrinkable for CartCase {
    fn without_part(&self, part: usize) -> Option<Self> {
        Some(Self {
            cart: Cart {
                lines: without_item(&self.cart.lines, part)?,
                ..self.cart.clone()
            },
            ..self.clone()
        })
    }
}

fn search_exact_allocation(check: &ProgramCheck, program: &Program) -> Result<(), CheckFailure> {
    let stacking =
        select(&[Stacking::OnePerClass, Stacking::All, Stacking::Best, Stacking::Exclusive][..]);
    let cases = (carts::price_rules_under(program), carts::carts_under(program), stacking);
    let cases = cases.prop_map(|(rules, cart, stacking)| CartCase { rules, cart, stacking });
    let evaluate = |CartCase { rules, cart, stacking }: &CartCase| {
        (check.engine.evaluate)(&super::DiscountLedger::new(rules.iter().cloned()), cart, *stacking)
    };

    let test = |case: &CartCase| {
        evaluate(case).map_or(Ok(()), |evaluation| check_exact_discounts(&case.cart, &evaluation))
    };

    let describe = |case: &CartCase| {
        let mut transcript = Transcript::default();
        for line in &case.cart.lines {
            let product = line.product.as_ref().map_or("an item", |product| product.as_str());
            transcript
                .add_line(format!("{} x {product} at {} ({})", line.quantity, line.price, line.id));
        }
        for delivery in &case.cart.shipping {
            transcript.add_line(format!("shipping at {} ({})", delivery.price, delivery.id));
        }
        let evaluation = evaluate(case);
        for code in evaluation.iter().flat_map(|evaluation| &evaluation.codes) {
            transcript.add_line(code.to_string());
            for share in code.outcome.iter().flat_map(|applied| &applied.shares) {
                transcript.add_line(format!("  of which {} off {}", share.amount, share.line));
            }
        }
        transcript
    };

    check.search(&cases, test, describe)
}
