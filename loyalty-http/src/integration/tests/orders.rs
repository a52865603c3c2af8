//! Conversion of a plugin's order, refund and customer to the core's types.

use loyalty_core::{Amount, Order as Snapshot, RefundContent};

use super::super::wire::read;
use super::super::{Customer, Order, Refund, WireError};
use super::Random;

fn snapshot(body: &str, minor_digits: u32) -> Result<Snapshot, WireError> {
    read::<Order>(body).unwrap().to_snapshot(minor_digits)
}

fn amounts(order: &Snapshot) -> Vec<String> {
    order
        .lines
        .iter()
        .map(|line| line.amount.get().normalize().to_string())
        .collect()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

#[test]
fn the_subtotal_is_apportioned_and_shipping_is_the_rest() {
    let order = snapshot(
        r#"{"id":1,"total_price":"126.37","total_tax":"18.52","subtotal_price":"102.95","products":[
            {"product_id":501,"product_price":"12.90","quantity":2,"categories":[{"category_id":21},{"category_id":17},{"category_id":21}]},
            {"product_id":502,"product_price":"8.50","quantity":"6.0000"},
            {"product_id":503,"product_price":"34.00","quantity":1},
            {"product_id":504,"product_price":"21.45","quantity":0.375},
            {"product_id":505,"product_price":"25.00","quantity":0}]}"#,
        2,
    )
    .unwrap();
    // The weights are 25.80, 51.00, 34.00, 8.04375 and 0, together 118.84375.
    assert_eq!(amounts(&order), ["22.35", "44.18", "29.45", "6.97", "0"]);
    assert_eq!(
        (order.tax, order.shipping, order.total),
        (amount("18.52"), amount("4.90"), amount("126.37"))
    );
    assert_eq!(
        (order.taxes_included, order.redeemed, order.placed_at),
        (false, Amount::ZERO, None)
    );
    let ids: Vec<_> = order.lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);
    let categories: Vec<_> = order.lines[0]
        .categories
        .iter()
        .map(loyalty_core::CategoryId::as_str)
        .collect();
    assert_eq!(categories, ["17", "21"], "sorted, without duplicates");
    assert_eq!(
        (order.lines[3].quantity.to_string(), order.lines[0].gift_card),
        ("0.375".to_owned(), false)
    );
}

#[test]
fn an_order_whose_amounts_disagree_is_still_accepted() {
    let order = |products: &str, total: &str| {
        let body = format!(
            r#"{{"id":1,"total_price":"{total}","total_tax":"1.00","subtotal_price":"10.00","products":{products}}}"#
        );
        snapshot(&body, 2).unwrap()
    };
    let none = order("[]", "12.00");
    assert_eq!((none.lines[0].id.as_str(), amounts(&none)), ("subtotal", vec!["10".to_owned()]));
    let free = order(r#"[{"product_price":"","quantity":1},{"quantity":2}]"#, "12.00");
    assert_eq!(amounts(&free), ["10", "0"]);
    assert_eq!(order("[]", "11.00").shipping, Amount::ZERO);
    // Paid in part by a means that the plugin does not report.
    assert_eq!(
        (order("[]", "5.00").shipping, order("[]", "5.00").total),
        (Amount::ZERO, amount("5.00"))
    );
    let huge = order(
        r#"[{"product_price":"79228162514264337593543950335","quantity":9},{"product_price":1,"quantity":1}]"#,
        "12.00",
    );
    assert_eq!(amounts(&huge), ["10", "0"]);
}

#[test]
fn amounts_are_rounded_to_the_minor_unit_half_up() {
    for (digits, sent, expected) in [
        (2, "10.005", "10.01"),
        (2, "10.00499999999999", "10"),
        (2, "7.105427357601002e-13", "0"),
        (2, "0.015", "0.02"),
        (2, "0.025", "0.03"),
        (0, "1000.50", "1001"),
        (0, "1000.4999", "1000"),
        (3, "1.2345", "1.235"),
        (4, "1.23455", "1.2346"),
    ] {
        let body = format!(
            r#"{{"id":1,"total_price":{sent},"subtotal_price":{sent},"total_tax":{sent},"products":[{{"quantity":1}}]}}"#
        );
        let order = snapshot(&body, digits).unwrap();
        assert_eq!((order.total, order.tax), (amount(expected), amount(expected)), "{sent}");
        assert_eq!(amounts(&order), [expected], "{sent}");
    }
}

#[test]
fn amounts_beyond_the_range_are_named() {
    for (member, total, tax) in
        [("/total_price", "100000000000.01", "0"), ("/total_tax", "1", "1e27")]
    {
        let body =
            format!(r#"{{"id":1,"total_price":{total},"subtotal_price":1,"total_tax":{tax}}}"#);
        let error = snapshot(&body, 2).unwrap_err();
        assert_eq!((error.pointer.as_str(), error.reason.as_str()), (member, "is out of range"));
    }
    assert!(
        snapshot(
            r#"{"id":1,"total_price":"100000000000.00","subtotal_price":"100000000000.004"}"#,
            2
        )
        .is_ok()
    );
}

#[test]
fn lines_always_add_up_to_the_subtotal() {
    let mut random = Random::new(2);
    for round in 0..2_000 {
        let digits = u32::try_from(random.below(5)).unwrap();
        let lines: Vec<String> = (0..random.below(8))
            .map(|_| {
                let (price, parts) = (random.below(10_000), random.below(10_000));
                format!(
                    r#"{{"product_price":"{price}.{parts:04}","quantity":{}.{}}}"#,
                    random.below(4),
                    random.below(1_000)
                )
            })
            .collect();
        let subtotal = format!("{}.{:05}", random.below(100_000), random.below(100_000));
        let body = format!(
            r#"{{"id":{round},"total_price":"999999","subtotal_price":"{subtotal}","products":[{}]}}"#,
            lines.join(",")
        );

        let order = snapshot(&body, digits).unwrap();
        let strategy = rust_decimal::RoundingStrategy::MidpointAwayFromZero;
        let expected = subtotal
            .parse::<rust_decimal::Decimal>()
            .unwrap()
            .round_dp_with_strategy(digits, strategy);
        assert_eq!(order.subtotal().unwrap().get(), expected, "{body}");
        for line in &order.lines {
            assert!(line.amount.get().normalize().scale() <= digits, "{} of {body}", line.amount);
        }
        assert_eq!(order.validate_shape(), Ok(()));
    }
}

#[test]
fn a_refund_is_the_sum_of_its_payments() {
    let refunded = |transactions: &str| {
        read::<Refund>(&format!(r#"{{"id":1,"transactions":{transactions}}}"#))
            .unwrap()
            .to_refunded(None, 2)
    };
    let sum = |text: &str| Ok(Some(RefundContent::Amount(amount(text).into())));
    assert_eq!(refunded(r#"[{"amount":"30.00"},{"amount":0.1},{"amount":0.2}]"#), sum("30.30"));
    assert_eq!(refunded(r#"[{"amount":17.4925}]"#), sum("17.49"));
    // Rounded once, on the sum.
    assert_eq!(refunded(r#"[{"amount":0.004},{"amount":0.004}]"#), sum("0.01"));
    for nothing in ["[]", "null", r#"[{"amount":0}]"#, r#"[{"amount":"0.004"}]"#] {
        assert_eq!(refunded(nothing), Ok(None), "{nothing}");
    }
    let most = "79228162514264337593543950335";
    let error = refunded(&format!(r#"[{{"amount":{most}}},{{"amount":{most}}}]"#)).unwrap_err();
    assert_eq!(error.pointer, "/transactions");
}

#[test]
fn absent_members_of_a_customer_stay_unchanged() {
    use loyalty_store::{CustomerRef, FieldChange, ProfileChange};
    let now = loyalty_core::Timestamp::from_timestamp(1_772_366_400, 0).unwrap();
    let parse = |body: &str| read::<Customer>(body).unwrap().into_profile_change(now);

    let (customer, change) =
        parse(r#"{"id":31,"email":"ada@example.com","first_name":"","birthday":""}"#);
    assert!(
        matches!(customer, Some(CustomerRef::Both(id, email)) if id.as_str() == "31" && email.key() == "ada@example.com")
    );
    assert_eq!(change, ProfileChange::default());

    // A day that has not come is no birthday.
    for (birthday, is_kept) in [("2026-03-01", true), ("2026-03-03", false), ("2999-01-01", false)]
    {
        let (_, change) = parse(&format!(r#"{{"id":31,"birthday":"{birthday}"}}"#));
        assert_eq!(change.birthday != FieldChange::Keep, is_kept, "{birthday}");
    }

    let (customer, change) =
        parse(r#"{"id":"0","last_name":"Love","default_address":{"zip":"","country":"GB"}}"#);
    assert_eq!(customer, None);
    let set = |text: &str| FieldChange::Set(Some(text.to_owned()));
    assert_eq!(
        change,
        ProfileChange {
            last_name: set("Love"),
            country: set("GB"),
            ..ProfileChange::default()
        }
    );
}
