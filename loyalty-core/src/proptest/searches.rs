//! How each invariant is put to the test under one program.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::proptest::collection::vec;
use ::proptest::option::weighted;
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};
use ::proptest::test_runner::TestCaseResult;
use chrono::TimeDelta;

use super::check::{CheckFailure, ProgramCheck};
use super::customer_history::{
    self, CustomerHistory, Shrinkable, customer_histories_under, orders_under, pick_from,
    without_item,
};
use super::transcript::Transcript;
use super::vocabulary::Vocabulary;
use super::{
    Invariant, carts, check_calculations, check_conservation, check_dry_run, check_exact_discounts,
    check_expiry_instant, check_idempotency, check_no_negative_except_debt,
    check_order_entitlements, check_points_or_code, check_refund_slicing,
    check_spending_adds_no_debt,
};
use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::command::{Command, OverRefund};
use crate::decide::Decision;
use crate::discount::{Cart, PriceRule, Stacking};
use crate::id::{OrderId, RefundId, Tag};
use crate::ledger::Ledger;
use crate::order::{Order, Origin, Quantity, Refund, RefundContent, Status};
use crate::program::Program;
use crate::rejection::Rejection;

/// One step of a life: the books before and after it, and what the rules said.
pub(super) struct Step<'a> {
    pub(super) before: &'a Ledger,
    pub(super) command: &'a Command,
    pub(super) now: Timestamp,
    pub(super) result: &'a Result<Decision, Rejection>,
    pub(super) after: &'a Ledger,
}

/// Tries an invariant.
pub(super) fn search_invariant(
    check: &ProgramCheck,
    invariant: Invariant,
    program: &Program,
) -> Result<(), CheckFailure> {
    let lives = |look: fn(&Step<'_>) -> TestCaseResult| search_histories(check, program, look);
    match invariant {
        Invariant::Conservation => lives(|step| check_conservation(step.after)),
        Invariant::NoNegativeExceptDebt => lives(|step| {
            check_spending_adds_no_debt(step.before, step.command, step.after)?;
            check_no_negative_except_debt(step.after, step.now)
        }),
        Invariant::OrdersMatchEntitlement => lives(|step| check_order_entitlements(step.after)),
        Invariant::Idempotency => lives(|step| match step.result {
            Ok(_) => check_idempotency(step.after, step.command, step.now),
            Err(_) => Ok(()),
        }),
        Invariant::DryRunEqualsReal => lives(|step| {
            check_dry_run(step.before, step.command, step.now, step.result, step.after)
        }),
        Invariant::EntriesMatchCalculation => lives(|step| check_calculations(step.after)),
        Invariant::PointsOrCode => lives(|step| check_points_or_code(step.after, step.now)),
        Invariant::ExactExpiryInstant => lives(|step| check_expiry_instant(step.after, step.now)),
        Invariant::ArrivalOrderIndependence => search_arrival_order(check, program),
        Invariant::RefundSlicingIndependence => search_sliced_refunds(check, program),
        Invariant::TierMonotonicInSpend => search_tier_monotonicity(check, program),
        Invariant::ExactAllocation => search_exact_allocation(check, program),
    }
}

fn search_histories(
    check: &ProgramCheck,
    program: &Program,
    look: fn(&Step<'_>) -> TestCaseResult,
) -> Result<(), CheckFailure> {
    let test = |life: &CustomerHistory| {
        let mut books = check.new_ledger(program, life);
        life.steps.iter().try_for_each(|(now, command)| {
            let before = books.clone();
            let told = books.execute(command, *now);
            look(&Step {
                before: &before,
                command,
                now: *now,
                result: &told,
                after: &books,
            })
        })
    };
    let tell = |life: &CustomerHistory| {
        Transcript::record_all(&mut check.new_ledger(program, life), &life.steps)
    };
    check.search(&customer_histories_under(program, check.zone), test, tell)
}

/// Ledger of a customer with these tags, to whom nothing has happened.
fn new_ledger(check: &ProgramCheck, program: &Program, tags: &BTreeSet<Tag>) -> Ledger {
    check.new_ledger(
        program,
        &CustomerHistory { tags: tags.clone(), birthday: None, steps: Vec::new() },
    )
}

fn order_id() -> Option<OrderId> {
    OrderId::new("1001").ok()
}

/// Facts of one order within one hour, and the order in which they arrive at its end.
#[derive(Clone, Debug)]
struct ArrivalCase {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    facts: Vec<(u8, Command)>,
}

/// One fact, before the order that it is about is known.
#[derive(Clone, Debug)]
enum OrderFact {
    /// A report of the order, or of the order with a line more.
    Report {
        extra_line: bool,
        status: Status,
    },
    Refund {
        percent: i64,
        units: Option<(Index, Quantity)>,
    },
    Cancel,
}

fn arrival_cases(program: &Program) -> impl Strategy<Value = ArrivalCase> + use<> {
    let words = Vocabulary::from_program(program);
    let status = prop_oneof![2 => Just(words.gate), 1 => select(&Status::ALL[..])];
    let units = weighted(0.4, (any::<Index>(), (1..4_u16).prop_map(Quantity::from)));
    let fact = prop_oneof![
        3 => (prop::bool::weighted(0.2), status).prop_map(|(extra_line, status)| OrderFact::Report { extra_line, status }),
        2 => (1..=100_i64, units).prop_map(|(percent, units)| OrderFact::Refund { percent, units }),
        1 => Just(OrderFact::Cancel),
    ];
    let facts = vec((fact, 0..50_i64, any::<u8>()), 1..6);
    (
        customer_history::tags(&words),
        customer_history::starts(&words),
        customer_history::orders(&words),
        facts,
    )
        .prop_filter_map("facts that fit", |(tags, start, order, facts)| {
            let order = Order { placed_at: Some(start), ..order };
            let now = start.checked_add_signed(TimeDelta::hours(1))?;
            Some(ArrivalCase { tags, now, facts: fitting_commands(start, &order, &facts)? })
        })
}

/// The facts as commands, without refunds that are too large for the order together.
fn fitting_commands(
    start: Timestamp,
    order: &Order,
    facts: &[(OrderFact, i64, u8)],
) -> Option<Vec<(u8, Command)>> {
    let mut books = Ledger::new(Program::default());
    let report = |order: &Order, status, at| {
        let (order, snapshot) = (order_id()?, Arc::new(order.clone()));
        Some(Command::RecordOrder { order, snapshot, status, at, origin: Origin::Shop })
    };
    books.execute(&report(order, Status::Paid, None)?, start).ok()?;
    let mut found = Vec::new();
    for (number, (fact, minute, key)) in (1_u32..).zip(facts) {
        let at = start.checked_add_signed(TimeDelta::minutes(*minute));
        let command = match fact {
            OrderFact::Report { extra_line: false, status } => report(order, *status, at)?,
            OrderFact::Report { extra_line: true, status } => {
                report(&with_extra_line(order)?, *status, at)?
            }
            OrderFact::Cancel => Command::CancelOrder { order: order_id()?, at },
            OrderFact::Refund { percent, units } => {
                let refunded = build_refunded(order, *percent, units.as_ref())?;
                let refund = Refund { id: RefundId::new(format!("r{number}")).ok()?, refunded };
                let command = Command::RefundOrder {
                    order: order_id()?,
                    refund,
                    over_refund: OverRefund::Reject,
                    at,
                };
                if books.execute(&command, start).is_err() {
                    continue;
                }
                command
            }
        };
        found.push((*key, command));
    }
    Some(found)
}

fn with_extra_line(order: &Order) -> Option<Order> {
    let mut order = order.clone();
    let mut line = order.lines.first()?.clone();
    line.id = "more".parse().ok()?;
    order.total = order.total.checked_add(line.amount)?;
    order.lines.push(line);
    Some(order)
}

fn build_refunded(
    order: &Order,
    percent: i64,
    units: Option<&(Index, Quantity)>,
) -> Option<RefundContent> {
    let Some((pick, units)) = units else {
        return customer_history::percent_of(order.total, percent).map(RefundContent::Amount);
    };
    let line = pick_from(&order.lines, *pick)?;
    Some(RefundContent::Lines {
        lines: vec![(line.id.clone(), line.quantity.min(*units))],
        amount: None,
    })
}

impl Shrinkable for ArrivalCase {
    fn without_part(&self, part: usize) -> Option<Self> {
        Some(Self { facts: without_item(&self.facts, part)?, ..self.clone() })
    }
}

impl ArrivalCase {
    /// The facts as the shop dated them, and as they arrive instead.
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
    let told = |case: &ArrivalCase, facts: &[(Timestamp, Command)]| {
        let mut books = new_ledger(check, program, &case.tags);
        for (now, fact) in facts {
            let told = books.execute(fact, *now);
            ensure!(told.is_ok(), "a fact is refused: {told:?}");
        }
        Ok(books)
    };
    let test = |case: &ArrivalCase| {
        let [one, other] = case.dated_and_shuffled();
        super::ensure_same_outcome(&told(case, &other)?, &told(case, &one)?, case.now)
    };
    let tell = |case: &ArrivalCase| {
        let [one, other] = case.dated_and_shuffled();
        let mut story = Transcript::record_all(&mut new_ledger(check, program, &case.tags), &one);
        story.add_line("The same facts of another customer, as they arrive there:");
        let mut books = new_ledger(check, program, &case.tags);
        for (now, fact) in &other {
            story.record(&mut books, fact, *now);
        }
        story
    };
    check.search(&arrival_cases(program), test, tell)
}

/// An order, and where the money that comes back of it is cut, in thousandths of its total.
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
    let words = Vocabulary::from_program(program);
    let cases = (
        customer_history::tags(&words),
        customer_history::starts(&words),
        customer_history::orders(&words),
        vec(0..=1_000_i64, 1..5),
    )
        .prop_map(|(tags, now, order, mut cuts)| {
            cuts.sort_unstable();
            SlicedRefundCase { tags, now, order, cuts }
        });
    let gate = words.gate;
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
        let whole = RefundContent::Amount(
            slices
                .iter()
                .try_fold(Amount::ZERO, |sum, (_, part)| sum.checked_add(*part))?,
        );
        let named = |(number, part): &(usize, Amount)| {
            Some(Refund {
                id: RefundId::new(format!("r{number}")).ok()?,
                refunded: RefundContent::Amount(*part),
            })
        };
        let slices = slices.iter().map(named).collect::<Option<Vec<_>>>()?;
        Some((
            report(order)?,
            *now,
            Refund { id: RefundId::new("whole").ok()?, refunded: whole },
            slices,
        ))
    };
    let test = |case: &SlicedRefundCase| {
        let (Some((report, now, whole, slices)), Some(id)) = (plan(case), order_id()) else {
            return Ok(());
        };
        let mut books = new_ledger(check, program, &case.tags);
        let told = books.execute(&report, now);
        ensure!(told.is_ok(), "the order is refused: {told:?}");
        check_refund_slicing(&books, &id, &whole, &slices, now)
    };
    let tell = |case: &SlicedRefundCase| {
        let (Some((report, now, whole, slices)), Some(id)) = (plan(case), order_id()) else {
            return Transcript::default();
        };
        let mut books = new_ledger(check, program, &case.tags);
        let mut story = Transcript::record_all(&mut books, &[(now, report)]);
        let refund = |refund| Command::RefundOrder {
            order: id.clone(),
            refund,
            over_refund: OverRefund::Reject,
            at: None,
        };
        let mut at_once = books.clone();
        story.record(&mut at_once, &refund(whole), now);
        story.add_line("Another customer gets the same money back in slices:");
        for slice in slices {
            story.record(&mut books, &refund(slice), now);
        }
        story
    };
    check.search(&cases, test, tell)
}

/// The parts of an order's total between the cuts, numbered.
fn slice_total(order: &Order, cuts: &[i64]) -> Option<Vec<(usize, Amount)>> {
    let mut from = 0;
    let mut found = Vec::new();
    for (number, cut) in (1_usize..).zip(cuts) {
        let to = order.total.ten_thousandths().checked_mul(*cut)?.checked_div(1_000)?;
        found.push((number, Amount::from_ten_thousandths(to.checked_sub(from)?).ok()?));
        from = to;
    }
    Some(found)
}

/// Orders of one customer at one instant, of which another customer pays more for one.
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
    let words = Vocabulary::from_program(program);
    let plain = orders_under(program).prop_map(|order| Order { redeemed: Amount::ZERO, ..order });
    let more = customer_history::prices(&words);
    let cases = (
        customer_history::tags(&words),
        customer_history::starts(&words),
        vec(plain, 1..4),
        any::<Index>(),
        more,
    );
    let cases = cases.prop_map(|(tags, now, orders, which, more)| SpendComparison {
        tags,
        now,
        orders,
        increased_order: which,
        extra_amount: more,
    });
    let gate = words.gate;
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
    let tier = |books: &Ledger, now: Timestamp| {
        let tier = books.account().current_tier_id(now);
        let said = tier.map_or_else(|| "no tier".to_owned(), |tier| format!("tier {tier}"));
        (tier.and_then(|tier| program.rank(tier)), said)
    };
    let play = |case: &SpendComparison, orders: &[Order]| {
        let mut books = new_ledger(check, program, &case.tags);
        let story = Transcript::record_all(&mut books, &commands(orders, case.now));
        (tier(&books, case.now), story)
    };
    let test = |case: &SpendComparison| {
        let (Some(richer), less) = (case.increased_orders(), &case.orders) else {
            return Ok(());
        };
        let (((rank, poor), _), ((richer_rank, rich), _)) = (play(case, less), play(case, &richer));
        ensure!(
            richer_rank >= rank,
            "who pays {} more ends in {rich}, the other in {poor}",
            case.extra_amount
        );
        Ok(())
    };
    let tell = |case: &SpendComparison| {
        let ((_, mut story), richer) =
            (play(case, &case.orders), case.increased_orders().unwrap_or_default());
        story.add_line("Another customer pays more:");
        let mut books = new_ledger(check, program, &case.tags);
        for (now, command) in commands(&richer, case.now) {
            story.record(&mut books, &command, now);
        }
        story
    };
    check.search(&cases, test, tell)
}

impl Shrinkable for SpendComparison {
    fn without_part(&self, part: usize) -> Option<Self> {
        let orders = without_item(&self.orders, part)?;
        if orders.is_empty() { None } else { Some(Self { orders, ..self.clone() }) }
    }
}

impl SpendComparison {
    /// The orders of who pays more.
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

/// A shop's rules, those of the program's rewards first, and a cart with their codes.
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
    let evaluated = |CartCase { rules, cart, stacking }: &CartCase| {
        (check.engine.evaluate)(&super::DiscountLedger::new(rules.iter().cloned()), cart, *stacking)
    };
    let test = |case: &CartCase| {
        evaluated(case).map_or(Ok(()), |found| check_exact_discounts(&case.cart, &found))
    };
    let tell = |case: &CartCase| {
        let mut story = Transcript::default();
        for line in &case.cart.lines {
            let product = line.product.as_ref().map_or("something", |product| product.as_str());
            story
                .add_line(format!("{} x {product} at {} ({})", line.quantity, line.price, line.id));
        }
        for delivery in &case.cart.shipping {
            story.add_line(format!("shipping at {} ({})", delivery.price, delivery.id));
        }
        let found = evaluated(case);
        for code in found.iter().flat_map(|found| &found.codes) {
            story.add_line(code.to_string());
            for share in code.outcome.iter().flat_map(|applied| &applied.shares) {
                story.add_line(format!("  of which {} off {}", share.amount, share.line));
            }
        }
        story
    };
    check.search(&cases, test, tell)
}
