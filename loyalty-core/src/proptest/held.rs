//! How each invariant is put to the test under one program.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::proptest::collection::vec;
use ::proptest::option::weighted;
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};
use ::proptest::test_runner::TestCaseResult;
use chrono::TimeDelta;

use super::check::{Broken, Check};
use super::life::{self, Life, Parted, lives_under, one, orders_under, without};
use super::story::Story;
use super::words::Words;
use super::{
    Books, Invariant, books_add_up, carts, discounts_are_exact, entries_explain_themselves,
    expiry_is_at_the_instant, facts_told_again_change_nothing, foretold_is_what_happens,
    nothing_is_negative_but_debt, orders_hold_what_they_are_worth, points_or_code,
    refunds_do_not_leak, spending_makes_no_debt,
};
use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::command::{Command, Excess};
use crate::decide::Decision;
use crate::discount::{Cart, PriceRule, Stacking};
use crate::id::{OrderId, RefundId, Tag};
use crate::order::{Order, Origin, Quantity, Refund, Refunded, Status};
use crate::program::Program;
use crate::rejection::Rejection;

/// One step of a life: the books before and after it, and what the rules said.
pub(super) struct Step<'a> {
    pub(super) before: &'a Books,
    pub(super) command: &'a Command,
    pub(super) now: Timestamp,
    pub(super) told: &'a Result<Decision, Rejection>,
    pub(super) after: &'a Books,
}

/// Tries an invariant.
pub(super) fn play(check: &Check, invariant: Invariant, program: &Program) -> Result<(), Broken> {
    let lives = |look: fn(&Step<'_>) -> TestCaseResult| through_lives(check, program, look);
    match invariant {
        Invariant::Conservation => lives(|step| books_add_up(step.after)),
        Invariant::NoNegativeButDebt => lives(|step| {
            spending_makes_no_debt(step.before, step.command, step.after)?;
            nothing_is_negative_but_debt(step.after, step.now)
        }),
        Invariant::OrdersHoldTheirWorth => {
            lives(|step| orders_hold_what_they_are_worth(step.after))
        }
        Invariant::Idempotency => lives(|step| match step.told {
            Ok(_) => facts_told_again_change_nothing(step.after, step.command, step.now),
            Err(_) => Ok(()),
        }),
        Invariant::DryRunEqualsReal => lives(|step| {
            foretold_is_what_happens(step.before, step.command, step.now, step.told, step.after)
        }),
        Invariant::EntriesExplainThemselves => lives(|step| entries_explain_themselves(step.after)),
        Invariant::PointsOrCode => lives(|step| points_or_code(step.after, step.now)),
        Invariant::ExpiryAtTheInstant => {
            lives(|step| expiry_is_at_the_instant(step.after, step.now))
        }
        Invariant::OrderIndependence => order_independence(check, program),
        Invariant::RefundsDoNotLeak => sliced_refunds(check, program),
        Invariant::TierMonotonicInSpend => tier_monotonic_in_spend(check, program),
        Invariant::ExactAllocation => exact_allocation(check, program),
    }
}

fn through_lives(
    check: &Check,
    program: &Program,
    look: fn(&Step<'_>) -> TestCaseResult,
) -> Result<(), Broken> {
    let test = |life: &Life| {
        let mut books = check.books(program, life);
        life.steps.iter().try_for_each(|(now, command)| {
            let before = books.clone();
            let told = books.tell(command, *now);
            look(&Step {
                before: &before,
                command,
                now: *now,
                told: &told,
                after: &books,
            })
        })
    };
    let tell = |life: &Life| Story::of(&mut check.books(program, life), &life.steps);
    check.search(&lives_under(program, check.zone), test, tell)
}

/// Books of a customer with these tags, to whom nothing has happened.
fn fresh(check: &Check, program: &Program, tags: &BTreeSet<Tag>) -> Books {
    check.books(program, &Life { tags: tags.clone(), birthday: None, steps: Vec::new() })
}

fn id() -> Option<OrderId> {
    OrderId::new("1001").ok()
}

/// Facts of one order within one hour, and the order in which they arrive at its end.
#[derive(Clone, Debug)]
struct Arrivals {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    facts: Vec<(u8, Command)>,
}

/// One fact, before the order that it is about is known.
#[derive(Clone, Debug)]
enum Fact {
    /// A report of the order, or of the order with a line more.
    Report {
        more: bool,
        status: Status,
    },
    Refund {
        percent: i64,
        units: Option<(Index, Quantity)>,
    },
    Cancel,
}

fn arrivals(program: &Program) -> impl Strategy<Value = Arrivals> + use<> {
    let words = Words::of(program);
    let status = prop_oneof![2 => Just(words.gate), 1 => select(&Status::ALL[..])];
    let units = weighted(0.4, (any::<Index>(), (1..4_u16).prop_map(Quantity::from)));
    let fact = prop_oneof![
        3 => (prop::bool::weighted(0.2), status).prop_map(|(more, status)| Fact::Report { more, status }),
        2 => (1..=100_i64, units).prop_map(|(percent, units)| Fact::Refund { percent, units }),
        1 => Just(Fact::Cancel),
    ];
    let facts = vec((fact, 0..50_i64, any::<u8>()), 1..6);
    (life::tags(&words), life::starts(&words), life::orders(&words), facts).prop_filter_map(
        "facts that fit",
        |(tags, start, order, facts)| {
            let order = Order { placed_at: Some(start), ..order };
            let now = start.checked_add_signed(TimeDelta::hours(1))?;
            Some(Arrivals { tags, now, facts: fitting(start, &order, &facts)? })
        },
    )
}

/// The facts as commands, without refunds that are too large for the order together.
fn fitting(
    start: Timestamp,
    order: &Order,
    facts: &[(Fact, i64, u8)],
) -> Option<Vec<(u8, Command)>> {
    let mut books = Books::new(Program::default());
    let report = |order: &Order, status, at| {
        let (order, snapshot) = (id()?, Arc::new(order.clone()));
        Some(Command::RecordOrder { order, snapshot, status, at, origin: Origin::Shop })
    };
    books.tell(&report(order, Status::Paid, None)?, start).ok()?;
    let mut found = Vec::new();
    for (number, (fact, minute, key)) in (1_u32..).zip(facts) {
        let at = start.checked_add_signed(TimeDelta::minutes(*minute));
        let command = match fact {
            Fact::Report { more: false, status } => report(order, *status, at)?,
            Fact::Report { more: true, status } => report(&with_a_line_more(order)?, *status, at)?,
            Fact::Cancel => Command::CancelOrder { order: id()?, at },
            Fact::Refund { percent, units } => {
                let refunded = refunded(order, *percent, units.as_ref())?;
                let refund = Refund { id: RefundId::new(format!("r{number}")).ok()?, refunded };
                let command =
                    Command::RefundOrder { order: id()?, refund, excess: Excess::Refuse, at };
                if books.tell(&command, start).is_err() {
                    continue;
                }
                command
            }
        };
        found.push((*key, command));
    }
    Some(found)
}

fn with_a_line_more(order: &Order) -> Option<Order> {
    let mut order = order.clone();
    let mut line = order.lines.first()?.clone();
    line.id = "more".parse().ok()?;
    order.total = order.total.checked_add(line.amount)?;
    order.lines.push(line);
    Some(order)
}

fn refunded(order: &Order, percent: i64, units: Option<&(Index, Quantity)>) -> Option<Refunded> {
    let Some((pick, units)) = units else {
        return life::part(order.total, percent).map(Refunded::Amount);
    };
    let line = one(&order.lines, *pick)?;
    Some(Refunded::Lines {
        lines: vec![(line.id.clone(), line.quantity.min(*units))],
        amount: None,
    })
}

impl Parted for Arrivals {
    fn without(&self, part: usize) -> Option<Self> {
        Some(Self { facts: without(&self.facts, part)?, ..self.clone() })
    }
}

impl Arrivals {
    /// The facts as the shop dated them, and as they arrive instead.
    fn both(&self) -> [Vec<(Timestamp, Command)>; 2] {
        let timed = |facts: &[(u8, Command)]| {
            facts.iter().map(|(_, fact)| (self.now, fact.clone())).collect()
        };
        let mut shuffled = self.facts.clone();
        shuffled.sort_by_key(|(key, _)| *key);
        [timed(&self.facts), timed(&shuffled)]
    }
}

fn order_independence(check: &Check, program: &Program) -> Result<(), Broken> {
    let told = |case: &Arrivals, facts: &[(Timestamp, Command)]| {
        let mut books = fresh(check, program, &case.tags);
        for (now, fact) in facts {
            let told = books.tell(fact, *now);
            hold!(told.is_ok(), "a fact is refused: {told:?}");
        }
        Ok(books)
    };
    let test = |case: &Arrivals| {
        let [one, other] = case.both();
        super::same_whatever_the_order(&told(case, &other)?, &told(case, &one)?, case.now)
    };
    let tell = |case: &Arrivals| {
        let [one, other] = case.both();
        let mut story = Story::of(&mut fresh(check, program, &case.tags), &one);
        story.add("The same facts of another customer, as they arrive there:");
        let mut books = fresh(check, program, &case.tags);
        for (now, fact) in &other {
            story.tell(&mut books, fact, *now);
        }
        story
    };
    check.search(&arrivals(program), test, tell)
}

/// An order, and where the money that comes back of it is cut, in thousandths of its total.
#[derive(Clone, Debug)]
struct Slices {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    order: Order,
    cuts: Vec<i64>,
}

impl Parted for Slices {
    fn without(&self, part: usize) -> Option<Self> {
        Some(Self { cuts: without(&self.cuts, part)?, ..self.clone() })
    }
}

fn sliced_refunds(check: &Check, program: &Program) -> Result<(), Broken> {
    let words = Words::of(program);
    let cases = (
        life::tags(&words),
        life::starts(&words),
        life::orders(&words),
        vec(0..=1_000_i64, 1..5),
    )
        .prop_map(|(tags, now, order, mut cuts)| {
            cuts.sort_unstable();
            Slices { tags, now, order, cuts }
        });
    let gate = words.gate;
    let report = |order: &Order| {
        let (order, snapshot) = (id()?, Arc::new(order.clone()));
        Some(Command::RecordOrder {
            order,
            snapshot,
            status: gate,
            at: None,
            origin: Origin::Shop,
        })
    };
    let plan = |Slices { now, order, cuts, .. }: &Slices| {
        let slices = slices(order, cuts)?;
        let whole = Refunded::Amount(
            slices
                .iter()
                .try_fold(Amount::ZERO, |sum, (_, part)| sum.checked_add(*part))?,
        );
        let named = |(number, part): &(usize, Amount)| {
            Some(Refund {
                id: RefundId::new(format!("r{number}")).ok()?,
                refunded: Refunded::Amount(*part),
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
    let test = |case: &Slices| {
        let (Some((report, now, whole, slices)), Some(id)) = (plan(case), id()) else {
            return Ok(());
        };
        let mut books = fresh(check, program, &case.tags);
        let told = books.tell(&report, now);
        hold!(told.is_ok(), "the order is refused: {told:?}");
        refunds_do_not_leak(&books, &id, &whole, &slices, now)
    };
    let tell = |case: &Slices| {
        let (Some((report, now, whole, slices)), Some(id)) = (plan(case), id()) else {
            return Story::default();
        };
        let mut books = fresh(check, program, &case.tags);
        let mut story = Story::of(&mut books, &[(now, report)]);
        let refund = |refund| Command::RefundOrder {
            order: id.clone(),
            refund,
            excess: Excess::Refuse,
            at: None,
        };
        let mut at_once = books.clone();
        story.tell(&mut at_once, &refund(whole), now);
        story.add("Another customer gets the same money back in slices:");
        for slice in slices {
            story.tell(&mut books, &refund(slice), now);
        }
        story
    };
    check.search(&cases, test, tell)
}

/// The parts of an order's total between the cuts, numbered.
fn slices(order: &Order, cuts: &[i64]) -> Option<Vec<(usize, Amount)>> {
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
pub(super) struct Richer {
    tags: BTreeSet<Tag>,
    now: Timestamp,
    orders: Vec<Order>,
    which: Index,
    more: Amount,
}

pub(super) fn tier_monotonic_in_spend(check: &Check, program: &Program) -> Result<(), Broken> {
    let words = Words::of(program);
    let plain = orders_under(program).prop_map(|order| Order { redeemed: Amount::ZERO, ..order });
    let more = life::prices(&words);
    let cases = (life::tags(&words), life::starts(&words), vec(plain, 1..4), any::<Index>(), more);
    let cases = cases.prop_map(|(tags, now, orders, which, more)| Richer {
        tags,
        now,
        orders,
        which,
        more,
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
    let tier = |books: &Books, now: Timestamp| {
        let tier = books.account.tier_id(now);
        let said = tier.map_or_else(|| "no tier".to_owned(), |tier| format!("tier {tier}"));
        (tier.and_then(|tier| program.rank(tier)), said)
    };
    let play = |case: &Richer, orders: &[Order]| {
        let mut books = fresh(check, program, &case.tags);
        let story = Story::of(&mut books, &commands(orders, case.now));
        (tier(&books, case.now), story)
    };
    let test = |case: &Richer| {
        let (Some(richer), less) = (case.richer(), &case.orders) else {
            return Ok(());
        };
        let (((rank, poor), _), ((richer_rank, rich), _)) = (play(case, less), play(case, &richer));
        hold!(
            richer_rank >= rank,
            "who pays {} more ends in {rich}, the other in {poor}",
            case.more
        );
        Ok(())
    };
    let tell = |case: &Richer| {
        let ((_, mut story), richer) =
            (play(case, &case.orders), case.richer().unwrap_or_default());
        story.add("Another customer pays more:");
        let mut books = fresh(check, program, &case.tags);
        for (now, command) in commands(&richer, case.now) {
            story.tell(&mut books, &command, now);
        }
        story
    };
    check.search(&cases, test, tell)
}

impl Parted for Richer {
    fn without(&self, part: usize) -> Option<Self> {
        let orders = without(&self.orders, part)?;
        if orders.is_empty() { None } else { Some(Self { orders, ..self.clone() }) }
    }
}

impl Richer {
    /// The orders of who pays more.
    fn richer(&self) -> Option<Vec<Order>> {
        let mut orders = self.orders.clone();
        let count = orders.len();
        let order = orders.get_mut(self.which.index(count.max(1)))?;
        let line = order.lines.first_mut()?;
        line.amount = line.amount.checked_add(self.more)?;
        order.total = order.total.checked_add(self.more)?;
        order.check(2).ok().map(|()| orders)
    }
}

/// A shop's rules, those of the program's rewards first, and a cart with their codes.
#[derive(Clone, Debug)]
struct Basket {
    rules: Vec<PriceRule>,
    cart: Cart,
    stacking: Stacking,
}

impl Parted for Basket {
    fn without(&self, part: usize) -> Option<Self> {
        Some(Self {
            cart: Cart { lines: without(&self.cart.lines, part)?, ..self.cart.clone() },
            ..self.clone()
        })
    }
}

fn exact_allocation(check: &Check, program: &Program) -> Result<(), Broken> {
    let stacking =
        select(&[Stacking::OnePerClass, Stacking::All, Stacking::Best, Stacking::Exclusive][..]);
    let cases = (carts::price_rules_under(program), carts::carts_under(program), stacking);
    let cases = cases.prop_map(|(rules, cart, stacking)| Basket { rules, cart, stacking });
    let evaluated = |Basket { rules, cart, stacking }: &Basket| {
        (check.engine.evaluate)(&super::DiscountBooks::new(rules.iter().cloned()), cart, *stacking)
    };
    let test = |case: &Basket| {
        evaluated(case).map_or(Ok(()), |found| discounts_are_exact(&case.cart, &found))
    };
    let tell = |case: &Basket| {
        let mut story = Story::default();
        for line in &case.cart.lines {
            let product = line.product.as_ref().map_or("something", |product| product.as_str());
            story.add(format!("{} x {product} at {} ({})", line.quantity, line.price, line.id));
        }
        for delivery in &case.cart.shipping {
            story.add(format!("shipping at {} ({})", delivery.price, delivery.id));
        }
        let found = evaluated(case);
        for code in found.iter().flat_map(|found| &found.codes) {
            story.add(code.to_string());
            for share in code.outcome.iter().flat_map(|applied| &applied.shares) {
                story.add(format!("  of which {} off {}", share.amount, share.line));
            }
        }
        story
    };
    check.search(&cases, test, tell)
}
