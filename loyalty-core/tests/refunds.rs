//! Worked examples of refunds as real shops report them: parts of an amount, lines with money,
//! orders that were edited or came in another currency.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::{
    Command, Currency, Ledger, Money, Order, Points, RefundAmount, RefundContent, RefundCurrency,
    Status,
};
use scenario::*;

/// The text of an order: its lines, then `+` shipping, `%` tax on top, `~` included tax, `-` the
/// redeemed part, `=` a total. A line with `!` is a gift card; one with `x` has units.
fn order(text: &str) -> Order {
    let mut lines = Vec::new();
    let mut order = Order::default();
    let mut total = None;
    for word in text.split_whitespace() {
        match word.split_at(1) {
            ("+", shipping) => order.shipping = amount(shipping),
            ("%", tax) => order.tax = amount(tax),
            ("~", tax) => (order.tax, order.taxes_included) = (amount(tax), true),
            ("-", redeemed) => order.redeemed = amount(redeemed),
            ("=", text) => total = Some(amount(text)),
            _ => {
                let (id, rest) = word.split_once(':').unwrap();
                let (quantity, cost) = rest.split_once('x').unwrap_or(("1", rest));
                let cost = cost.strip_suffix('!').unwrap_or(cost);
                let line = line(id, quantity, cost);
                lines.push(if word.ends_with('!') { line.as_gift_card() } else { line });
            }
        }
    }
    let parts = Order { lines, ..order };
    let tax = if parts.taxes_included { amount("0") } else { parts.tax };
    let sum = parts.subtotal().unwrap().checked_add(tax).unwrap();
    let sum = sum.checked_add(parts.shipping).unwrap();
    Order { total: total.unwrap_or(sum), ..parts }
}

/// The text of a refund: lines with their units, `=` the amount, `+` shipping, `%` tax, and a
/// currency.
fn content(text: &str) -> RefundContent {
    let mut lines = Vec::new();
    let mut money = None::<RefundAmount>;
    let (mut shipping, mut tax, mut currency) = (None, None, RefundCurrency::Unnamed);
    for word in text.split_whitespace() {
        match word.split_at(1) {
            ("=", text) => money = Some(amount(text).into()),
            ("+", text) => shipping = Some(amount(text)),
            ("%", text) => tax = Some(amount(text)),
            _ if word == "shop" => currency = RefundCurrency::Shop,
            _ => match word.split_once(':') {
                Some((line, count)) => lines.push((line.parse().unwrap(), units(count))),
                None => currency = RefundCurrency::Order(Currency::from_code(word).unwrap()),
            },
        }
    }
    let money = money.map(|money| {
        let money = shipping.map_or(Ok(money), |part| money.with_shipping(part)).unwrap();
        let money = tax.map_or(Ok(money), |part| money.with_tax(part)).unwrap();
        money.in_currency(currency)
    });
    match money {
        Some(money) if lines.is_empty() => RefundContent::Amount(money),
        amount => RefundContent::Lines { lines, amount },
    }
}

/// Records an order as paid, then its refunds. Each row is a refund with the balance after it, or
/// the code of its rejection.
fn run(program: &str, text: &str, earned: i64, rows: &[(&str, Result<i64, &str>)]) {
    let mut steps = vec![("01-01", record_paid_order("a", order(text)), Ok(earned))];
    for (number, (text, expected)) in rows.iter().enumerate() {
        steps.push(("01-02", refund("a", &format!("r{number}"), content(text)), *expected));
    }
    run_scenario(program, &steps);
}

const TAX_COUNTS: &str = r#"{"basis": {"tax": true}}"#;
const SHIPPING_COUNTS: &str = r#"{"basis": {"shipping": true}}"#;

#[test]
fn the_parts_of_an_amount_are_told_apart() {
    for (program, text, earned, rows) in [
        // Postage alone takes nothing where it earned nothing.
        ("{}", "a:415.00 +95.00", 415, &[("=95.00 +95.00", Ok(415))][..]),
        ("{}", "a:415.00 +95.00", 415, &[("=95.00 +95.00", Ok(415)), ("=415.00", Ok(0))]),
        // Goods with their postage.
        ("{}", "a:415.00 +95.00", 415, &[("=510.00 +95.00", Ok(0))]),
        ("{}", "a:415.00 +95.00", 415, &[("=302.50 +95.00", Ok(207))]),
        // Where it earned, it takes its own.
        (SHIPPING_COUNTS, "a:415.00 +95.00", 510, &[("=95.00 +95.00", Ok(415))]),
        (
            SHIPPING_COUNTS,
            "a:415.00 +95.00",
            510,
            &[("=415.00", Ok(95)), ("=95.00", Ok(0))],
        ),
        (
            SHIPPING_COUNTS,
            "a:415.00 +95.00",
            510,
            &[("=462.50", Ok(47)), ("=47.50", Ok(0))],
        ),
        // More shipping than there was is for goods.
        ("{}", "a:100 +10", 100, &[("=60 +60", Ok(50))]),
        // Tax on top: told or not, half of the goods are half.
        ("{}", "a:40 %7.60 +4.90", 40, &[("=23.80", Ok(20))]),
        ("{}", "a:40 %7.60 +4.90", 40, &[("=23.80 %3.80", Ok(20)), ("=23.80", Ok(0))]),
        ("{}", "a:40 %7.60 +4.90", 40, &[("=7.60 %7.60", Ok(40)), ("=40 %0", Ok(0))]),
        ("{}", "a:40 %7.60 +4.90", 40, &[("=52.50 +4.90 %7.60", Ok(0))]),
        (TAX_COUNTS, "a:40 %8", 48, &[("=8 %8", Ok(40)), ("=20 %0", Ok(20))]),
        (TAX_COUNTS, "a:40 ~8", 40, &[("=8 %8", Ok(32)), ("=16 %4", Ok(16))]),
        // Prices with tax.
        ("{}", "a:30.00 +6.00 ~6", 24, &[("=30.00", Ok(0))]),
        ("{}", "a:30.00 +6.00 ~6", 24, &[("=15.00", Ok(12)), ("=12.50 %2.50", Ok(2))]),
        ("{}", "a:30.00 +6.00", 30, &[("=6.00 +6.00", Ok(30)), ("=15.00", Ok(15))]),
    ] {
        run(program, text, earned, rows);
    }
}

#[test]
fn money_is_for_the_goods_first() {
    for (program, text, earned, rows) in [
        // All goods are back, the postage is kept.
        ("{}", "a:49.95 +5.00", 49, &[("=49.95", Ok(0))][..]),
        (
            "{}",
            "a:49.95 +5.00",
            49,
            &[("=24.95", Ok(25)), ("=25.00", Ok(0)), ("=5", Ok(0))],
        ),
        ("{}", "a:49.95 +5.00", 49, &[("=54.95", Ok(0))]),
        ("{}", "a:10 b:20 +6", 30, &[("=30", Ok(0))]),
        (r#"{"basis": {"excluded_products": ["x"]}}"#, "a:90 +10", 90, &[("=30", Ok(60))]),
        // Gift cards are goods that do not count.
        ("{}", "a:50 b:50! +5", 50, &[("=50", Ok(25)), ("=50", Ok(0))]),
        // However it is sliced: 2, then 1, 1 and 0 are left of 21.90.
        (TENS, "a:21.90 +4", 2, &[("=7.30", Ok(1)), ("=7.30", Ok(0)), ("=7.30", Ok(0))]),
        // A part was paid with a reward.
        ("{}", "a:100 -20", 80, &[("=80", Ok(0))]),
        ("{}", "a:100 -20", 80, &[("=30", Ok(50))]),
    ] {
        run(program, text, earned, rows);
    }
}

#[test]
fn lines_bear_the_money_that_is_told_with_them() {
    let scoped = r#"{"earning": [{"id": "b", "earn": {"per_unit": "1"},
        "when": {"products": ["b"]}}]}"#;
    for (program, text, earned, rows) in [
        // A coupon of 10 over lines of 50 and 20; the second comes back, and 20 are given back.
        ("{}", "a:42.86 b:17.14", 60, &[("b:1 =20", Ok(40))][..]),
        ("{}", "a:42.86 b:17.14", 60, &[("b:1 =20", Ok(40)), ("a:1 =40", Ok(0))]),
        ("{}", "a:42.86 b:17.14", 60, &[("b:1", Ok(42))]),
        // A fee was kept.
        ("{}", "a:2x40 b:60", 100, &[("a:1 =15", Ok(85)), ("a:1", Ok(65))]),
        ("{}", "a:2x40 b:60", 100, &[("a:2 b:1 =90", Ok(10)), ("=10", Ok(0))]),
        // In proportion to the units' worth; what exceeds the lines falls on the rest.
        ("{}", "a:30 b:10 c:60", 100, &[("a:1 b:1 =20", Ok(80)), ("a:0 =10", Ok(70))]),
        ("{}", "a:30 b:10 c:60", 100, &[("a:1 b:1 =50", Ok(50)), ("=50", Ok(0))]),
        // The lines say where: gift cards did not count.
        ("{}", "a:50 b:50!", 50, &[("b:1 =50", Ok(50)), ("a:1 =50", Ok(0))]),
        ("{}", "a:50 b:50!", 50, &[("a:1 =50", Ok(0))]),
        (scoped, "a:50 b:50", 0, &[("b:1 =50", Ok(0))]),
        // With shipping and tax.
        ("{}", "a:40 b:60 +8", 100, &[("a:1 =48 +8", Ok(60))]),
        ("{}", "a:40 b:60 %20 +8", 100, &[("a:1 =48", Ok(60)), ("b:1 =72 %12", Ok(0))]),
        (TAX_COUNTS, "a:40 b:60 %20", 120, &[("a:1 =48", Ok(72)), ("b:1 =72 %12", Ok(0))]),
        (
            SHIPPING_COUNTS,
            "a:40 b:60 +8",
            108,
            &[("a:1 =44 +4", Ok(64)), ("b:1 =60", Ok(4))],
        ),
        // A part was paid with a reward: what is given back is what was paid.
        ("{}", "a:50 b:50 -20", 80, &[("a:1 =40", Ok(40)), ("b:1 =40", Ok(0))]),
        ("{}", "a:50 b:50 -20", 80, &[("a:1", Ok(40))]),
    ] {
        run(program, text, earned, rows);
    }
}

#[test]
fn lines_with_money_keep_their_rules() {
    let program = r#"{"earning": [
        {"id": "base", "earn": {"per_unit": "1"}},
        {"id": "tea", "earn": {"per_unit": "3"}, "when": {"products": ["tea"]}, "replaces_base": true}
    ]}"#;
    let mut order = order("a:50 b:50");
    order.lines[1].product = Some("tea".parse().unwrap());
    run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", order), Ok(200)),
            ("01-02", refund("a", "r1", content("b:1 =20")), Ok(140)),
            ("01-03", refund("a", "r2", content("b:0 =40")), Ok(40)),
        ],
    );
}

#[test]
fn fixed_points_need_goods() {
    let fifty = r#"{"earning": [{"id": "fixed", "earn": {"per_order": 50}}]}"#;
    let scoped = r#"{"earning": [{"id": "fixed", "earn": {"per_order": 50},
        "when": {"categories": ["c"]}}]}"#;
    let bonus = r#"{"earning": [], "campaigns": [{"id": "c", "effect": {"bonus": 50}}]}"#;
    let excluded = r#"{"earning": [{"id": "fixed", "earn": {"per_order": 50}}],
        "basis": {"excluded_products": ["x"], "shipping": true}}"#;
    for program in [fifty, bonus] {
        for (text, earned, rows) in [
            ("a:10", 50, &[][..]),
            ("a:100!", 0, &[]),
            ("", 0, &[]),
            ("+5", 0, &[]),
            // Something free is something.
            ("a:0", 50, &[("a:1", Ok(0))]),
            ("a:0 +5", 50, &[("=2", Ok(50)), ("=3 +3", Ok(0))]),
            ("a:40 +5 -45", 0, &[]),
            ("a:40 -39.99", 50, &[]),
            // Only a gift card is left, or nothing.
            ("a:10 b:50!", 50, &[("a:1", Ok(0))]),
            ("a:10 b:50!", 50, &[("a:1 =10", Ok(0))]),
            ("a:10 b:50!", 50, &[("b:1", Ok(50)), ("=10", Ok(0))]),
            ("a:10 +5", 50, &[("=9.99", Ok(50)), ("=0.01", Ok(0))]),
            ("a:10 b:10", 50, &[("a:1", Ok(50)), ("b:1", Ok(0))]),
        ] {
            run(program, text, earned, rows);
        }
    }

    let in_category = |mut order: Order| {
        order.lines[0].categories = vec!["c".parse().unwrap()];
        record_paid_order("a", order)
    };
    run_scenario(scoped, &[("01-01", in_category(order("a:40 b:5 -45")), Ok(0))]);
    run_scenario(scoped, &[("01-01", in_category(order("a:40! b:5")), Ok(0))]);
    run_scenario(
        scoped,
        &[
            ("01-01", in_category(order("a:40 b:5")), Ok(50)),
            ("01-02", refund("a", "r1", content("a:1 =40")), Ok(0)),
        ],
    );
    let mut order = order("a:40 +5");
    order.lines[0].product = Some("x".parse().unwrap());
    run_scenario(excluded, &[("01-01", record_paid_order("a", order), Ok(0))]);
}

/// The facts in every order of arrival, each dated by the shop on its own day. All are accepted,
/// and the balance is the same.
fn run_in_every_order(facts: &[Command], expected: i64) {
    let dated: Vec<Command> = facts
        .iter()
        .enumerate()
        .map(|(day, fact)| with_time(&format!("01-{:02}", day + 1), fact.clone()))
        .collect();
    'arrivals: for arrival in permutations(dated.len()) {
        let mut ledger = Ledger::new(parse_program("{}"));
        for (place, fact) in arrival.iter().enumerate() {
            let seen = &arrival[..place];
            // Twice: a redelivery changes nothing.
            for _ in 0..2 {
                match ledger.execute(&dated[*fact], at("02-01")) {
                    Ok(_) => {}
                    // More than the edited order, whose first report has not come yet.
                    Err(error) if error.code() == "refund_exceeds_order" && !seen.contains(&0) => {
                        continue 'arrivals;
                    }
                    Err(error) => panic!("{arrival:?}, {:?}: {error}", dated[*fact]),
                }
            }
        }
        let balance = ledger.balance(at("02-01"));
        assert_eq!(balance, Points::new(expected).unwrap(), "{arrival:?}: {dated:?}");
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![vec![]], |all, next| {
        let insert = |shorter: &Vec<usize>| {
            let at = |place: usize| {
                let (before, after) = shorter.split_at(place);
                [before, &[next], after].concat()
            };
            (0..=shorter.len()).map(at).collect::<Vec<_>>()
        };
        all.iter().flat_map(insert).collect()
    })
}

#[test]
fn refunds_settle_what_edits_took_away_first() {
    let paid = |text: &str| record_paid_order("a", order(text));
    let back = |name: &str, text: &str| refund("a", name, content(text));
    for (facts, expected) in [
        // The removed line is refunded: by line, by amount, or both.
        (vec![paid("a:60 b:40"), paid("a:60"), back("r", "b:1")], 60),
        (vec![paid("a:60 b:40"), paid("a:60"), back("r", "=40")], 60),
        (vec![paid("a:60 b:40"), paid("a:60"), back("r", "b:1 =40")], 60),
        // What exceeds the edit takes points.
        (vec![paid("a:60 b:40"), paid("a:60"), back("r", "=50")], 50),
        (vec![paid("a:60 b:40"), paid("a:60"), back("r", "b:1"), back("s", "=20")], 40),
        (
            vec![paid("a:60 b:40"), paid("a:60"), back("r", "b:1 =40"), back("s", "a:1 =60")],
            0,
        ),
        (vec![paid("a:60 b:40"), paid("a:60"), back("r", "a:1 =60"), back("s", "=40")], 0),
        // Fewer units, or a lower price, of a line.
        (vec![paid("a:10x100"), paid("a:6x60"), back("r", "a:4")], 60),
        (vec![paid("a:10x100"), paid("a:6x60"), back("r", "a:4 =40")], 60),
        (vec![paid("a:10x100"), paid("a:6x60"), back("r", "=40")], 60),
        (vec![paid("a:10x100"), paid("a:6x60"), back("r", "=40"), back("s", "a:1")], 50),
        (vec![paid("a:10x100"), paid("a:6x60"), back("r", "a:4"), back("s", "a:2")], 40),
        (vec![paid("a:2x100"), paid("a:2x80"), back("r", "=20"), back("s", "a:1")], 40),
        // An exchange: the line that left is given back, the one that came is kept.
        (vec![paid("a:60 b:40"), paid("a:60 c:40"), back("r", "b:1 =40")], 100),
        (vec![paid("a:60 b:40"), paid("a:60 c:40"), back("r", "b:1")], 100),
        // The line is there again.
        (vec![paid("a:60 b:40"), paid("a:60"), paid("a:60 b:40"), back("r", "b:1")], 60),
        // Shipping was edited away.
        (vec![paid("a:100 +10"), paid("a:100"), back("r", "=10 +10")], 100),
        (
            vec![paid("a:100 +10"), paid("a:100"), back("r", "=10 +10"), back("s", "=20")],
            80,
        ),
        // Several edits: the highest total counts.
        (vec![paid("a:60 b:40"), paid("a:60"), paid("a:60 c:20"), back("r", "=40")], 60),
        (vec![paid("a:60"), paid("a:60 b:40"), paid("a:60"), back("r", "b:1")], 60),
        (vec![paid("a:50"), paid("a:60"), paid("a:60 b:40"), back("r", "=50")], 50),
        // What was never paid settles nothing.
        (
            vec![
                record_order("a", order("a:60 b:40"), Status::Processing),
                paid("a:60"),
                back("r", "=20"),
            ],
            40,
        ),
        // An edit to nothing.
        (vec![paid("a:100"), paid(""), back("r", "=100")], 0),
    ] {
        run_in_every_order(&facts, expected);
    }
}

#[test]
fn edits_without_times_are_told_by_their_arrival() {
    let paid = |text: &str| record_paid_order("a", order(text));
    run_scenario(
        "{}",
        &[
            ("01-01", paid("a:60 b:40"), Ok(100)),
            ("01-02", paid("a:60"), Ok(60)),
            ("01-03", refund("a", "r1", content("b:1")), Ok(60)),
            ("01-03", refund("a", "r1", content("b:1")), Ok(60)),
            ("01-04", refund("a", "r2", content("b:1")), Err("refund_exceeds_line")),
            ("01-04", refund("a", "r2", content("c:1")), Err("unknown_line")),
            ("01-04", refund("a", "r2", content("=60.01")), Err("refund_exceeds_order")),
            ("01-05", refund("a", "r2", content("=60")), Ok(0)),
        ],
    );
    // By amount alone.
    run_scenario(
        "{}",
        &[
            ("01-01", paid("a:100"), Ok(100)),
            ("01-02", paid("a:60"), Ok(60)),
            ("01-03", refund("a", "r1", content("=40")), Ok(60)),
            ("01-04", refund("a", "r2", content("=60")), Ok(0)),
        ],
    );
    // A plugin's orders are paid when it reports them.
    let processing = |text: &str| from_plugin(record_order("a", order(text), Status::Processing));
    run_scenario(
        "{}",
        &[
            ("01-01", processing("a:60 b:40"), Ok(100)),
            ("01-02", processing("a:60"), Ok(60)),
            ("01-03", refund("a", "r1", content("=40")), Ok(60)),
        ],
    );
}

#[test]
fn refunds_in_another_currency_use_the_orders_rate() {
    let rand = |text: &str, total: &str| {
        let paid = Money::new(amount(total), Currency::ZAR);
        record_paid_order("a", order(text).with_presentment(paid))
    };
    let back = |name: &str, text: &str| refund("a", name, content(text));
    run_scenario(
        "{}",
        &[
            ("01-01", rand("a:50", "1000"), Ok(50)),
            ("01-02", back("r1", "=50"), Err("currency_required")),
            ("01-02", back("r1", "a:1 =50"), Err("currency_required")),
            ("01-02", back("r1", "=50 USD"), Err("currency_mismatch")),
            ("01-02", back("r1", "=1000.01 ZAR"), Err("refund_exceeds_order")),
            ("01-02", back("r1", "=50 ZAR"), Ok(47)),
            ("01-02", back("r1", "=50 shop"), Err("refund_differs")),
            // Named, the shop's own currency is right as well.
            ("01-03", back("r2", "=10 shop"), Ok(37)),
            ("01-04", back("r3", "a:1 =750 ZAR"), Ok(0)),
        ],
    );
    // Lines need no currency.
    run_scenario(
        "{}",
        &[("01-01", rand("a:2x50", "1000"), Ok(50)), ("01-02", back("r1", "a:1"), Ok(25))],
    );
    // With parts.
    run_scenario(
        "{}",
        &[
            ("01-01", rand("a:50 +10", "1200"), Ok(50)),
            ("01-02", back("r1", "=200 +200 ZAR"), Ok(50)),
            ("01-03", back("r2", "=500 ZAR"), Ok(25)),
        ],
    );
    // An order in the shop's currency takes no other.
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", order("a:50")), Ok(50)),
            ("01-02", back("r1", "=50 ZAR"), Err("currency_mismatch")),
            ("01-03", back("r1", "=20 shop"), Ok(30)),
        ],
    );

    // In every order of arrival, thirds of a rate among them.
    for (facts, expected) in [
        (vec![rand("a:50", "1000"), back("r", "=50 ZAR")], 47),
        (vec![rand("a:50", "1000"), back("r", "=1000 ZAR")], 0),
        (vec![rand("a:10", "30"), back("r", "=10 ZAR"), back("s", "=20 ZAR")], 0),
        (vec![rand("a:60 b:40", "2000"), rand("a:60", "1200"), back("r", "=800 ZAR")], 60),
    ] {
        run_in_every_order(&facts, expected);
    }
}

#[test]
fn parts_do_not_exceed_their_amount() {
    let ten = RefundAmount::new(amount("10"));
    assert!(ten.with_shipping(amount("10")).is_ok());
    let error = ten.with_shipping(amount("10.01")).unwrap_err();
    assert_eq!(error.to_string(), "shipping and tax are more than the refunded amount of 10");
    let parts = ten.with_shipping(amount("6")).unwrap();
    assert!(parts.with_tax(amount("4")).is_ok());
    assert!(parts.with_tax(amount("4.01")).is_err());
}

#[test]
fn stored_refunds_of_the_last_format_are_read() {
    for (stored, text) in [
        (r#"{"amount":"5.00"}"#, "=5.00"),
        (r#"{"lines":{"lines":[["a",1000]],"amount":null}}"#, "a:1"),
        (r#"{"lines":{"lines":[["a",1000]],"amount":"5.00"}}"#, "a:1 =5.00"),
        (
            r#"{"amount":{"amount":"5.00","shipping":"1.00","tax":"0.50"}}"#,
            "=5.00 +1.00 %0.50",
        ),
        (r#"{"amount":{"amount":"5.00","currency":{"order":"ZAR"}}}"#, "=5.00 ZAR"),
    ] {
        let read: RefundContent = serde_json::from_str(stored).unwrap();
        assert_eq!(read, content(text));
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    }
}
