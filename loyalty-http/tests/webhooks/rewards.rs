//! Queries and redemptions of the plugins.

use serde_json::json;

use crate::plugin::{ADA, Server, TIME, order};

const PROGRAM: &str = r#"{"rewards": [
    {"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5.00"}}]}"#;

fn server() -> Server {
    let mut server = Server::start();
    server.publish(PROGRAM);
    server.deliver_ok("woocommerce/customers-create", &customer());
    server.deliver_ok("woocommerce/orders-paid", &order("1", r#""250.00""#, ADA));
    server
}

fn customer() -> [(&'static str, &'static str); 2] {
    [("id", "31"), ("email", r#""ada@example.com""#)]
}

#[test]
fn rewards_and_a_customer_are_returned() {
    let mut server = server();
    let t = TIME.to_string();
    let rewards = server.deliver("common/rewards-list", &[("t", &t)]);
    assert_eq!((rewards.status, &rewards.body["data"][0]["reward_id"]), (200, &json!("five")));
    assert_eq!(
        server.deliver("common/rewards-list", &[("t", "1")]).body["code"],
        "stale_request"
    );
    let shown = server.deliver("common/customer", &[("customer_id", "31")]);
    assert_eq!((shown.status, &shown.body["data"]["point_balance"]), (200, &json!(250)));
    assert_eq!(shown.body["data"]["rewards"][0]["available"], true);
    let shown = server.deliver("common/customer", &[("customer_email", r#""ada@example.com""#)]);
    assert_eq!(shown.body["data"]["customer_id"], "31");
    for (members, status, code) in
        [(&[("customer_id", "32")][..], 404, "customer_not_found"), (&[], 400, "invalid_body")]
    {
        let refused = server.deliver("common/customer", members);
        assert_eq!((refused.status, &refused.body["code"]), (status, &json!(code)));
    }
    // The queries exist for `common` only.
    assert_eq!(
        server
            .deliver("woocommerce/customer", &[("customer_id", "31")])
            .status,
        404
    );
}

#[test]
fn a_customer_redeems_in_the_store_and_orders_with_the_code() {
    let mut server = server();
    let t = TIME.to_string();
    let members =
        [("customer_email", r#""ada@example.com""#), ("reward_id", r#""five""#), ("t", t.as_str())];
    let redeemed = server.deliver("common/redeem-reward", &members);
    let code = redeemed.body["data"]["data"]["coupon_code"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        (redeemed.status, redeemed.reason.as_str(), server.balance("31")),
        (200, "OK", 150)
    );
    // The same delivery again, from any sender, is the same redemption.
    let redelivered = server.deliver("common/redeem-reward", &members);
    assert_eq!(
        (redelivered.body["data"]["data"]["coupon_code"].as_str(), server.balance("31")),
        (Some(&*code), 150)
    );
    let codes = format!(r#"[{{"code":"{}"}}]"#, code.to_lowercase());
    let mut with_code = order("2", r#""20.00""#, ADA);
    with_code[6].1 = &codes;
    server.deliver_ok("woocommerce/orders-paid", &with_code);
    assert_eq!(server.balance("31"), 170);
    // Without a signing time, each delivery is a new redemption.
    let members = [("customer_id", "31"), ("reward_id", r#""five""#)];
    assert_eq!(server.deliver("common/redeem-reward", &members).status, 200);
    let short = server.deliver("common/redeem-reward", &members);
    assert_eq!((short.status, &short.body["code"]), (422, &json!("insufficient_points")));
    assert_eq!((&short.body["have"], &short.body["need"]), (&json!(70), &json!(100)));
    for (members, status, code) in [
        (vec![("reward_id", r#""five""#)], 400, "invalid_body"),
        (vec![("customer_id", "31")], 400, "invalid_body"),
        (vec![("customer_id", "31"), ("reward_id", r#""six""#)], 422, "unknown_reward"),
        (
            vec![("customer_id", "31"), ("reward_id", r#""five""#), ("t", "5")],
            401,
            "stale_request",
        ),
    ] {
        let refused = server.deliver("common/redeem-reward", &members);
        assert_eq!((refused.status, &refused.body["code"]), (status, &json!(code)), "{members:?}");
    }
}
