//! One signature, one deed: what whoever has seen a signed body can do with it.

use serde_json::json;

use crate::plugin::{ADA, KEY, SECRET, Server, TIME, order, path, sign};

const PROGRAM: &str = r#"{"rewards": [
    {"id": "five", "name": "5 off", "cost": 10, "gives": {"fixed_amount": "5.00"},
     "minimum_subtotal": "20.50"},
    {"id": "any", "name": "Money off", "gives": {"variable_amount": {"points_per_unit": 100, "minimum": "2"}}}]}"#;

fn server() -> Server {
    let mut server = Server::start();
    server.publish(PROGRAM);
    server.deliver_ok("woocommerce/orders-paid", &order("1", r#""250.00""#, ADA));
    server
}

/// The members of a body in reversed order.
fn reversed(body: &str) -> String {
    let inside = body.strip_prefix("{\"").unwrap().strip_suffix('}').unwrap();
    let members: Vec<_> = inside.rsplit(",\"").map(|member| format!("\"{member}")).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn one_signature_is_one_redemption() {
    let mut server = server();
    let t = TIME.to_string();
    let redemption = |reward: &str| {
        let members =
            [("customer_email", r#""ada@example.com""#), ("reward_id", reward), ("t", &t)];
        sign(KEY, SECRET, &members)
    };
    let body = redemption(r#""five""#);
    let spellings = [
        body.clone(),
        body.clone(),
        format!(" {body}"),
        body.replace(",\"", ", \""),
        body.replace("\":", "\": "),
        reversed(&body),
        format!("{body}\n"),
        body.replace("ada@", "\\u0061d\\u0061@"),
        body.replace("\"reward_id\"", "\"\\u0072eward_id\""),
    ];
    let mut codes = Vec::new();
    for spelling in &spellings {
        let answer = server.post(&path("common/redeem-reward"), spelling.as_bytes());
        assert_eq!((answer.status, server.balance("31")), (200, 240), "{spelling}");
        codes.push(answer.body["data"]["data"]["coupon_code"].clone());
    }
    codes.dedup();
    assert_eq!(codes.len(), 1, "{codes:?}");

    // Another time is another signature, and so another redemption.
    let later = (TIME + 1).to_string();
    let members =
        [("customer_email", r#""ada@example.com""#), ("reward_id", r#""five""#), ("t", &*later)];
    assert_eq!(server.deliver("common/redeem-reward", &members).status, 200);
    assert_eq!(server.balance("31"), 230);
}

/// The event is in the path, which is not signed.
#[test]
fn the_body_of_another_event_is_refused() {
    let mut server = server();
    let paid = order("1", r#""250.00""#, ADA);
    let refund = [("id", "1"), ("transactions", r#"[{"amount":"10.00"}]"#)];
    let customer = [("id", "1"), ("email", r#""ada@example.com""#)];
    let cancelled = [("id", "1")];
    let points = |server: &Server| {
        let order = server.order("1").unwrap();
        (server.balance("31"), order.state.is_cancelled(), server.customer("1").is_some())
    };
    let before = points(&server);
    for (event, body, param) in [
        ("orders-cancelled", &paid[..], "/total_price"),
        ("orders-cancelled", &refund, "/transactions"),
        ("orders-cancelled", &customer, "/email"),
        ("orders-closed", &paid, "/total_price"),
        ("orders-closed", &refund, "/transactions"),
        ("customers-create", &paid, "/total_price"),
        ("customers-create", &refund, "/transactions"),
        ("orders-paid", &refund, "/total_price"),
        ("orders-paid", &cancelled, "/total_price"),
        ("orders-paid", &customer, "/total_price"),
        ("refunds-create", &paid, "/transactions"),
        ("refunds-create", &cancelled, "/transactions"),
    ] {
        let refused = server.deliver(&format!("woocommerce/{event}"), body);
        assert_eq!(
            (refused.status, &refused.body["code"], &refused.body["param"]),
            (400, &json!("invalid_body"), &json!(param)),
            "{event}: {body:?}"
        );
        assert_eq!(points(&server), before, "{event}");
    }
    server.deliver_ok("woocommerce/orders-cancelled", &cancelled);
    assert_eq!(points(&server), (0, true, false));
}

#[test]
fn what_is_paid_beyond_the_total_earns_nothing() {
    for (total, subtotal, points) in [
        (r#""50.00""#, r#""500.00""#, 50),
        (r#""50.00""#, r#""50.01""#, 50),
        (r#""50.00""#, r#""50.00""#, 50),
        (r#""55.00""#, r#""50.00""#, 50),
        (r#""0.00""#, r#""10.00""#, 0),
    ] {
        let mut server = Server::start();
        let mut body = order("1", subtotal, ADA);
        body[1].1 = total;
        assert_eq!(
            server.deliver_ok("woocommerce/orders-paid", &body),
            points,
            "{subtotal} of {total}"
        );
    }
}

/// Without a valid key, nothing but the key is looked at.
#[test]
fn the_key_is_found_before_the_rest_is_parsed() {
    let mut server = server();
    let unknown = sign("lk_nobody_x", SECRET, &[("id", "1")]);
    let known = sign(KEY, SECRET, &[("id", "1")]);
    let long = " ".repeat(300 << 10);
    let filler = format!(r#""note":"{}","#, "x".repeat(300 << 10));
    let with =
        |body: &str, place: &str, text: &str| body.replacen(place, &format!("{text}{place}"), 1);
    for (name, body, status, code) in [
        ("nothing wrong but the key", unknown.clone(), 401, "unauthorized"),
        ("not JSON, and an unknown key", format!("{unknown}]"), 401, "unauthorized"),
        (
            "cut after an unknown key",
            r#"{"key":"lk_nobody_x","a"#.to_owned(),
            401,
            "unauthorized",
        ),
        ("not JSON, and a known key", format!("{known}]"), 400, "malformed_json"),
        ("a key within a value", format!(r#"{{"a":{known}}}"#), 400, "missing_field"),
        ("no key", r#"{"hmac":"AAAA"}"#.to_owned(), 400, "missing_field"),
        ("no key and not JSON", r#"{"hmac""#.to_owned(), 400, "truncated_json"),
        ("nothing", String::new(), 400, "truncated_json"),
        ("long without a key", format!("{{{filler}"), 401, "unauthorized"),
        (
            "long with the key at the end",
            with(&known, "\"id\"", &filler),
            401,
            "unauthorized",
        ),
        ("long and unknown", format!("{unknown}{long}"), 401, "unauthorized"),
        ("long, known and not JSON", format!("{known}{long}]"), 400, "malformed_json"),
        ("long and known", format!("{known}{long}"), 200, ""),
    ] {
        server.connection = None;
        let answer = server.post(&path("woocommerce/orders-closed"), body.as_bytes());
        let found = answer.body["code"].as_str().unwrap_or_default();
        assert_eq!((answer.status, found), (status, code), "{name}");
    }
}

/// What the plugin for Magento reads in its cart, beside our own names.
#[test]
fn the_cart_of_magento_finds_its_names() {
    let mut server = server();
    let t = TIME.to_string();
    let list = server.deliver("common/rewards-list", &[("t", &t)]);
    let rewards: Vec<_> = list.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reward| {
            json!([
                reward["reward_id"],
                reward["reward_name"],
                reward["points_required"],
                reward["minimum_order_amount"],
                reward["name"],
                reward["minimum_subtotal"],
            ])
        })
        .collect();
    assert_eq!(
        rewards,
        [
            json!(["five", "5 off", 10, 20.5, "5 off", "20.50"]),
            json!(["any", "Money off", 0, 0, "Money off", null]),
        ]
    );
    let shown = server.deliver("common/customer", &[("customer_id", "31")]);
    assert_eq!(
        (&shown.body["data"]["points"], &shown.body["data"]["point_balance"]),
        (&json!(250), &json!(250))
    );
}
