//! Orders, refunds and customers as the plugins report them: repeated, late, and in all
//! formats.

use loyalty_core::{Currency, OrderId};
use loyalty_store::{Scope, Store};

use crate::plugin::{ADA, GUEST, Server, add_shop, order, path, sign};

#[test]
fn the_plugin_is_the_gate_unless_the_program_names_one() {
    let mut server = Server::start();
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""49.95""#, ADA)),
        49
    );
    server.publish(r#"{"award_on":"completed"}"#);
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("2", r#""10.00""#, ADA)),
        0
    );
    assert_eq!(
        server.deliver_ok("woocommerce/orders-fulfilled", &order("2", r#""10.00""#, ADA)),
        0
    );
    assert_eq!(
        server.deliver_ok("woocommerce/orders-completed", &order("2", r#""10.00""#, ADA)),
        10
    );
    assert_eq!(server.balance("31"), 59);
}

#[test]
fn an_order_saved_again_changes_nothing() {
    let mut server = Server::start();
    let bodies = [
        order("1", r#""49.95""#, ADA),
        order("\"1\"", "49.95", ADA),
        order("1", r#""49.9500""#, ADA),
    ];
    server.deliver_ok("woocommerce/orders-processing", &bodies[0]);
    let rows = server.rows();
    for (seconds, body) in (60..).step_by(60).zip(bodies.iter().cycle().take(9)) {
        server.advance_clock(seconds);
        assert_eq!(server.deliver_ok("woocommerce/orders-processing", body), 0);
    }
    assert_eq!((server.rows(), server.balance("31")), (rows, 49));
    // Different content is another snapshot, and the difference is posted.
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""60.00""#, ADA)),
        11
    );
    server.advance_clock(1_000);
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""20.00""#, ADA)),
        -40
    );
}

#[test]
fn a_redelivery_does_not_reopen_a_cancelled_order_but_a_change_does() {
    let mut server = Server::start();
    server.deliver_ok("woocommerce/orders-processing", &order("1", r#""50.00""#, ADA));
    server.advance_clock(60);
    assert_eq!(server.deliver_ok("woocommerce/orders-cancelled", &[("id", "1")]), -50);
    server.advance_clock(120);
    assert_eq!(server.deliver_ok("woocommerce/orders-cancelled", &[("id", "\"1\"")]), 0);
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""50.00""#, ADA)),
        0
    );
    assert_eq!(
        server.deliver_ok("woocommerce/orders-completed", &order("1", r#""50.00""#, ADA)),
        0
    );
    assert!(server.order("1").unwrap().state.is_cancelled());
    server.advance_clock(180);
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""40.00""#, ADA)),
        40
    );
    assert!(!server.order("1").unwrap().state.is_cancelled());
    // A cancellation that arrives before its order is stored.
    assert_eq!(server.deliver_ok("magento/orders-cancelled", &[("id", "2")]), 0);
    assert_eq!(server.deliver_ok("magento/orders-paid", &order("2", r#""50.00""#, ADA)), 0);
    assert_eq!(server.balance("31"), 40);
}

#[test]
fn refunds_add_up_to_the_total_at_most() {
    let refund = |amount| [("id", "1"), ("transactions", amount)];
    let mut server = Server::start();
    server.deliver_ok("woocommerce/orders-completed", &order("1", r#""90.00""#, ADA));
    let deliveries = [
        (r#"[{"amount":"30.00"}]"#, -30),
        // The same amount again is another refund, since plugins never repeat a delivery.
        (r#"[{"amount":"30.00"}]"#, -30),
        (r#"[{"amount":0},{"amount":"0.00"}]"#, 0),
        ("[]", 0),
        (r#"[{"amount":"50.00"},{"amount":50}]"#, -30),
        (r#"[{"amount":"1.00"}]"#, 0),
    ];
    for (amount, points) in deliveries {
        assert_eq!(
            server.deliver_ok("woocommerce/refunds-create", &refund(amount)),
            points,
            "{amount}"
        );
    }
    assert_eq!(server.balance("31"), 0);
    let nothing = server.deliver("woocommerce/refunds-create", &refund("[]"));
    assert_eq!(
        nothing.body,
        serde_json::json!({"ok": true, "points_changed": 0, "point_balance": null})
    );
}

#[test]
fn products_of_a_refund_are_its_lines() {
    // 60 for two robes and 40 for socks, and 10 for shipping.
    let products = concat!(
        r#"[{"product_id":"88","product_price":"30.0000","quantity":"2.0000"},"#,
        r#"{"product_id":"89","product_price":"40.0000","quantity":"1.0000"}]"#
    );
    for (returned, amount, left) in [
        (
            r#"[{"product_id":"88","quantity":1},{"product_id":"89","quantity":0}]"#,
            "20.00",
            60,
        ),
        (r#"[{"product_id":"89","quantity":"1.0000"}]"#, "40.00", 0),
        (
            r#"[{"product_id":"88","quantity":2},{"product_id":"89","quantity":1}]"#,
            "100.00",
            0,
        ),
        // Of no product of the order, or unreadable: the amount alone.
        (r#"[{"product_id":"77","quantity":1}]"#, "50.00", 30),
        (r#"[{"product_id":"88","quantity":"many"}]"#, "50.00", 30),
        ("null", "50.00", 30),
    ] {
        let mut server = Server::start();
        // Only the socks earn.
        server.publish(
            r#"{"earning": [{"id": "socks", "earn": {"per_unit": "1.5"},
            "when": {"products": ["89"]}}]}"#,
        );
        let members = [
            ("id", "\"001\""),
            ("subtotal_price", "\"100.00\""),
            ("total_price", "\"110.00\""),
            ("products", products),
            ("customer", ADA),
        ];
        assert_eq!(server.deliver_ok("magento/orders-processing", &members), 60);
        let transactions = format!(r#"[{{"amount":{amount}}}]"#);
        let refund = [("id", "\"001\""), ("transactions", &*transactions), ("products", returned)];
        server.deliver_ok("magento/refunds-create", &refund);
        assert_eq!(server.balance("31"), left, "{returned}");
    }
}

#[test]
fn a_refund_before_its_order_is_applied_when_the_order_arrives() {
    let mut server = Server::start();
    for transactions in [r#"[{"amount":"10.00"}]"#, r#"[{"amount":20}]"#] {
        assert_eq!(
            server.deliver_ok(
                "magento/refunds-create",
                &[("id", "\"001\""), ("transactions", transactions)]
            ),
            0
        );
    }
    assert_eq!(
        server.deliver_ok("magento/orders-processing", &order("\"001\"", r#""90.00""#, ADA)),
        60
    );
    let much = [("id", "\"002\""), ("transactions", r#"[{"amount":"91.00"}]"#)];
    assert_eq!(server.deliver_ok("magento/refunds-create", &much), 0);
    assert_eq!(
        server.deliver_ok("magento/orders-processing", &order("\"002\"", r#""90.00""#, ADA)),
        0
    );
}

/// The address at a checkout is typed: a signed order takes no guest's points.
#[test]
fn an_order_claims_no_guest() {
    let mut server = Server::start();
    let guest = r#"{"email":"victim@example.com"}"#;
    server.deliver_ok("woocommerce/orders-processing", &order("1", r#""500.00""#, guest));
    let evil = r#"{"id":666,"email":"victim@example.com"}"#;
    server.deliver_ok("woocommerce/orders-processing", &order("2", r#""1.00""#, evil));
    assert_eq!((server.balance("victim@example.com"), server.balance("666")), (500, 1));
    server.deliver_ok(
        "woocommerce/customers-create",
        &[("id", "666"), ("email", r#""victim@example.com""#)],
    );
    assert_eq!((server.balance("victim@example.com"), server.balance("666")), (501, 501));
}

#[test]
fn a_guest_becomes_the_customer_with_the_same_email() {
    let mut server = Server::start();
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""50.00""#, GUEST)),
        50
    );
    let account = server.customer("guest@example.com").unwrap().record().account;
    let registered = [
        ("id", "77"),
        ("email", r#""Guest@Example.com""#),
        ("last_name", r#""Gray""#),
        ("first_name", r#""""#),
    ];
    let answer = server.deliver("woocommerce/customers-create", &registered);
    assert_eq!(
        answer.body,
        serde_json::json!({"ok": true, "points_changed": 0, "point_balance": 50})
    );
    let known = server.customer("77").unwrap();
    assert_eq!(known.record().merged[0].account, account);
    let profile = &known.record().profile;
    assert_eq!(
        (profile.first_name.as_deref(), profile.last_name.as_deref()),
        (Some("Guest"), Some("Gray"))
    );
    // A customer with points takes over the guest's points.
    server.deliver_ok(
        "woocommerce/orders-processing",
        &order("2", r#""20.00""#, r#"{"email":"second@example.com"}"#),
    );
    assert_eq!(
        server.deliver_ok(
            "woocommerce/customers-create",
            &[("id", "77"), ("email", r#""second@example.com""#)]
        ),
        0
    );
    assert_eq!((server.balance("77"), server.balance("second@example.com")), (70, 70));
    // The guest's order belongs to the customer.
    assert_eq!(server.deliver_ok("woocommerce/orders-cancelled", &[("id", "2")]), -20);
    // The e-mail address of another customer stays with that customer.
    server.deliver_ok(
        "woocommerce/customers-create",
        &[("id", "78"), ("email", r#""second@example.com""#)],
    );
    assert_eq!((server.balance("77"), server.balance("78")), (50, 0));
    let nobody =
        server.deliver("woocommerce/customers-create", &[("id", "0"), ("email", r#""none""#)]);
    assert_eq!(
        (nobody.status, &nobody.body["code"], &nobody.body["param"]),
        (400, &"invalid_body".into(), &"/id".into())
    );
}

#[test]
fn an_order_without_a_customer_is_stored() {
    let mut server = Server::start();
    let nobody = server.deliver(
        "woocommerce/orders-processing",
        &order("1", r#""50.00""#, r#"{"id":0,"first_name":"X"}"#),
    );
    assert_eq!(
        nobody.body,
        serde_json::json!({"ok": true, "points_changed": 0, "point_balance": null})
    );
    assert!(server.order("1").unwrap().state.snapshot().is_some());
    assert_eq!(
        server.deliver_ok("woocommerce/orders-processing", &order("1", r#""50.00""#, ADA)),
        50
    );
}

#[test]
fn magento_formats_are_accepted() {
    let mut server = Server::start();
    let line = |price: &str, quantity: &str, category: &str| {
        format!(
            r#"{{"product_id":"88","product_price":{price},"quantity":"{quantity}","categories":[{{"category_id":"{category}"}}]}}"#
        )
    };
    let products = format!(
        "[{},{},{}]",
        line("\"19.9900\"", "2.0000", "41"),
        line("null", "0.0000", "41"),
        line("\"3.3300\"", "1.2345", "7")
    );
    let mut body =
        order("\"000000117\"", "\"49.9500\"", r#"{"id":"204","email":"chloe@example.com"}"#)
            .to_vec();
    body.pop();
    body.push(("products", &products));
    assert_eq!(server.deliver_ok("magento/orders-processing", &body), 49);
    let recorded = server.order("000000117").unwrap();
    let order_of = recorded.state.snapshot().unwrap();
    let quantities: Vec<_> = order_of
        .order
        .lines
        .iter()
        .map(|line| line.quantity.to_string())
        .collect();
    assert_eq!(quantities, ["2", "0", "1.235"]);
    assert_eq!(order_of.order.subtotal().unwrap(), "49.95".parse().unwrap());
    // Leading zeros are part of the id; its JSON type is not.
    assert!(server.order("117").is_none());
    server.deliver_ok("magento/orders-paid", &order("1001", r#""10.00""#, ADA));
    assert_eq!(
        server.deliver_ok(
            "magento/refunds-create",
            &[("id", "\"1001\""), ("transactions", r#"[{"amount":4}]"#)]
        ),
        -4
    );
    // A discount on shipping can make the subtotal negative.
    let mut below = order("\"3\"", "\"2.00\"", ADA);
    below[4].1 = "\"-3.0000\"";
    assert_eq!(server.deliver_ok("magento/orders-processing", &below), 0);
    assert!(server.order("3").unwrap().state.snapshot().is_some());
}

#[test]
fn amounts_are_in_the_shops_currency() {
    let mut server = Server::start();
    let key = "lk_tokyo_x";
    let shop = add_shop(&*server.store, Currency::JPY, key, "yen", Scope::OF_SHOP.to_vec());
    let body = sign(key, "yen", &order("1", r#""999.50""#, ADA));
    assert_eq!(
        server.post(&path("common/orders-paid"), body.as_bytes()).body["points_changed"],
        1000
    );
    let order = server
        .store
        .order(shop, &OrderId::new("1").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(order.state.snapshot().unwrap().order.total, "1000".parse().unwrap());
}

#[test]
fn a_rejection_is_returned_with_its_code() {
    let mut server = Server::start();
    server.deliver_ok("magento/orders-paid", &order("1", r#""50.00""#, ADA));
    let rows = server.rows();
    let lines = format!("[{}]", vec![r#"{"quantity":1}"#; 2_001].join(","));
    let mut body = order("2", r#""50.00""#, ADA);
    body[8].1 = &lines;
    let answer = server.deliver("magento/orders-paid", &body);
    assert_eq!((answer.status, &answer.body["code"]), (422, &"order_too_large".into()));
    let answer = server.deliver("magento/orders-paid", &order("2", r#""100000000000.01""#, ADA));
    assert_eq!((answer.status, &answer.body["param"]), (400, &"/subtotal_price".into()));
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    assert_eq!(server.deliver("magento/orders-paid", &[("id", &long)]).status, 413);
    server.connection = None;
    assert_eq!(server.rows(), rows);
}

#[test]
fn an_order_stays_with_its_first_customer() {
    let mut server = Server::start();
    server.deliver_ok("magento/orders-paid", &order("1", r#""50.00""#, ADA));
    let grace = r#"{"id":32,"email":"grace@example.com"}"#;
    assert_eq!(server.deliver_ok("magento/orders-paid", &order("1", r#""60.00""#, grace)), 10);
    assert_eq!(
        (server.balance("ada@example.com"), server.balance("grace@example.com")),
        (60, 0)
    );
}

/// A plugin sends an order only once: an invalid code must not lose it, and a valid one
/// is used.
#[test]
fn an_order_uses_the_codes_that_it_lists() {
    let mut server = Server::start();
    server.add_code("SUMMER");
    let with = |id: &'static str, codes: &'static str| {
        let members = order(id, r#""10.00""#, ADA);
        members.map(|(name, value)| (name, if name == "discount_codes" { codes } else { value }))
    };
    for (id, codes, uses) in [
        ("1", r#"[{"code":"summer"}]"#, 1),
        ("1", r#"[{"code":"summer"}]"#, 1),
        ("2", r#"{"3":{"code":"SUMMER"}}"#, 2),
        ("3", r#"["Summer"]"#, 3),
        (
            "4",
            r#"[{"code":""},{"code":null},{"code":{"code":"SUMMER"}},7,null,{"code":"none"}]"#,
            3,
        ),
        ("5", "null", 3),
        ("6", "\"SUMMER\"", 4),
    ] {
        assert_eq!(
            server
                .deliver("woocommerce/orders-processing", &with(id, codes))
                .status,
            200,
            "{codes}"
        );
        assert_eq!(server.uses("SUMMER"), uses, "{codes}");
    }
    let mut magento = order("7", r#""10.00""#, ADA).to_vec();
    magento.push(("coupon_code", "\"SUMMER\""));
    server.deliver_ok("magento/orders-paid", &magento);
    assert_eq!(server.uses("SUMMER"), 5);
    server.advance_clock(60);
    server.deliver_ok("magento/orders-cancelled", &[("id", "7")]);
    assert_eq!(server.uses("SUMMER"), 4);
}
