//! Keys and signatures: authentication of deliveries.

use std::io::Write;

use loyalty_core::{Currency, OrderId, Timestamp};
use loyalty_store::{AdminAction, AdminReply, AdminRequest, KeyOwner, Scope, Store};

use crate::plugin::{ADA, KEY, SECRET, Server, TIME, add_shop, order, path, read_answer, sign};

#[test]
fn a_key_is_valid_for_its_shop_only() {
    let mut server = Server::start();
    server.deliver_ok("woocommerce/orders-processing", &order("1", r#""50.00""#, ADA));
    let other = "lk_other_x";
    let shop = add_shop(&*server.store, Currency::EUR, other, "other", Scope::OF_SHOP.to_vec());
    let refund = [("id", "1"), ("transactions", r#"[{"amount":50}]"#)];
    for (event, members) in [("orders-cancelled", &[("id", "1")][..]), ("refunds-create", &refund)]
    {
        let answer = server
            .post(&path(&format!("woocommerce/{event}")), sign(other, "other", members).as_bytes());
        assert_eq!(answer.body["points_changed"], 0);
    }
    let answer = server.post(
        &path("woocommerce/orders-paid"),
        sign(other, "other", &order("1", "7", ADA)).as_bytes(),
    );
    assert_eq!(
        (answer.status, &answer.body["point_balance"]),
        (200, &0.into()),
        "cancelled in the other shop"
    );
    assert_eq!(
        (server.balance("31"), server.order("1").unwrap().state.is_cancelled()),
        (50, false)
    );
    assert!(
        server
            .store
            .order(shop, &OrderId::new("1").unwrap())
            .unwrap()
            .unwrap()
            .state
            .is_cancelled()
    );
    // Neither key is valid with the other's secret.
    for body in [sign(other, SECRET, &[("id", "1")]), sign(KEY, "other", &[("id", "1")])] {
        assert_eq!(
            server
                .post(&path("woocommerce/orders-cancelled"), body.as_bytes())
                .status,
            401
        );
    }
}

#[test]
fn every_key_failure_looks_the_same() {
    let mut server = Server::start();
    let shop = add_shop(&*server.store, Currency::EUR, "lk_reader_x", "reads", vec![Scope::Read]);
    server.deliver_ok("woocommerce/orders-processing", &order("1", r#""50.00""#, ADA));
    let rows = server.rows();
    let cancel = |key: &str, secret: &str| sign(key, secret, &[("id", "1")]);
    let mut refused = Vec::new();
    for body in [
        cancel("lk_nobody_x", SECRET),
        cancel("lk_live_4f7Qx/Zu", SECRET),
        cancel("lk_live_", SECRET),
        cancel("lk_live", SECRET),
        cancel("live", SECRET),
        cancel("", SECRET),
        cancel(KEY, "wrong"),
        cancel(KEY, SECRET).replace("\"hmac\":\"", "\"hmac\":\"A"),
        cancel(KEY, SECRET).replace("\"id\":1", "\"id\":2"),
    ] {
        let mut answer = server.post(&path("woocommerce/orders-cancelled"), body.as_bytes());
        answer.body["request_id"].take();
        refused.push(answer);
    }
    refused.dedup();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].status, &refused[0].body["code"]), (401, &"unauthorized".into()));
    let reader = server
        .post(&path("woocommerce/orders-cancelled"), cancel("lk_reader_x", "reads").as_bytes());
    assert_eq!((reader.status, &reader.body["code"]), (403, &"missing_scope".into()));
    assert_eq!(
        (server.rows(), server.store.order(shop, &OrderId::new("1").unwrap()).unwrap()),
        (rows, None)
    );
}

#[test]
fn a_key_is_verified_for_a_quarter_of_an_hour() {
    let mut server = Server::start();
    for (age, fresh) in
        [(0, true), (900, true), (-900, true), (901, false), (-901, false), (TIME, false)]
    {
        let answer = server.deliver("magento/key-verify", &[("t", &(TIME - age).to_string())]);
        assert_eq!(answer.status, if fresh { 200 } else { 401 }, "{age}");
        let (code, shop) = (&answer.body["code"], &answer.body["shop"]);
        assert!(
            if fresh { *shop == "Tea" } else { *code == "stale_request" && shop.is_null() },
            "{age}: {answer:?}"
        );
    }
    for t in [i64::MAX, i64::MIN] {
        let answer = server.deliver("magento/key-verify", &[("t", &format!("\"{t}\""))]);
        assert_eq!((answer.status, &answer.body["code"]), (401, &"stale_request".into()), "{t}");
    }
}

#[test]
fn an_installation_is_recorded() {
    let mut server = Server::start();
    let answer = server.deliver(
        "common/app-installed",
        &[("shop_url", r#""https:\/\/a.example""#), ("api_endpoint", r#""""#)],
    );
    assert_eq!((answer.status, answer.body), (200, serde_json::json!({"ok": true})));
    let refused = server.deliver("common/app-installed", &[("shop_url", r#""ftp:\/\/b.example""#)]);
    assert_eq!((refused.status, &refused.body["param"]), (400, &"/shop_url".into()));
    let installed = server
        .store
        .shop(server.shop)
        .unwrap()
        .unwrap()
        .integration
        .clone()
        .unwrap();
    assert_eq!(
        (installed.shop_url.as_str(), installed.api_endpoint),
        ("https://a.example", None)
    );
}

/// Whatever calls the endpoint later must not reach the operator's own network.
#[test]
fn an_endpoint_is_public_and_https() {
    let mut server = Server::start();
    for (endpoint, is_taken) in [
        (r#""https:\/\/a.example\/wp-json\/""#, true),
        (r#""http:\/\/a.example\/""#, false),
        (r#""http:\/\/169.254.169.254\/latest\/""#, false),
        (r#""https:\/\/127.0.0.1:22\/""#, false),
        (r#""https:\/\/[::1]\/""#, false),
        (r#""https:\/\/localhost\/""#, false),
        (r#""https:\/\/2130706433\/""#, false),
        (r#""https:\/\/user:pw@a.example\/""#, false),
    ] {
        let members = [("shop_url", r#""https:\/\/a.example""#), ("api_endpoint", endpoint)];
        let answer = server.deliver("woocommerce/app-installed", &members);
        if is_taken {
            assert_eq!(answer.status, 200, "{endpoint}: {answer:?}");
        } else {
            assert_eq!(
                (answer.status, &answer.body["param"]),
                (400, &"/api_endpoint".into()),
                "{endpoint}"
            );
        }
    }
    let shop = server.store.shop(server.shop).unwrap().unwrap();
    let endpoint = shop.integration.clone().unwrap().api_endpoint;
    assert_eq!(endpoint.as_deref(), Some("https://a.example/wp-json/"));
}

#[test]
fn unknown_platforms_events_and_methods_are_404_or_405() {
    let mut server = Server::start();
    let body = sign(KEY, SECRET, &order("1", r#""50.00""#, ADA));
    for webhook in [
        "shopify/orders-paid",
        "Magento/orders-paid",
        "magento/orders-refunded",
        "magento/",
        "magento/orders-paid/1",
        "magento",
    ] {
        let answer = server.post(&path(webhook), body.as_bytes());
        assert_eq!((answer.status, &answer.body["code"]), (404, &"not_found".into()), "{webhook}");
    }
    let stream = server.connection.as_mut().unwrap();
    stream
        .write_all(b"GET /integrations/webhooks/magento/orders-paid HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(stream).status, 405);
    assert_eq!(server.rows(), 0);
}

#[test]
fn a_secret_is_its_own_thing() {
    let mut server = Server::start();
    let at = |seconds: i64| Timestamp::from_timestamp(TIME + seconds, 0).unwrap();
    let status = |server: &mut Server, secret: &str| {
        let body = sign(KEY, secret, &[("id", "1")]);
        server
            .post(&path("woocommerce/orders-closed"), body.as_bytes())
            .status
    };
    assert_eq!(status(&mut server, SECRET), 200);

    // Two are valid while one replaces the other.
    server
        .store
        .add_store_secret(server.shop, "the new secret", at(0))
        .unwrap();
    for secret in [SECRET, "the new secret"] {
        assert_eq!(status(&mut server, secret), 200, "{secret}");
    }
    server.clock.set(at(24 * 60 * 60));
    assert_eq!(status(&mut server, SECRET), 401, "a day later");
    assert_eq!(status(&mut server, "the new secret"), 200);

    // The key changes, and the secret stays.
    let (id, _) = KEY.strip_prefix("lk_").unwrap().split_once('_').unwrap();
    let (replacement, shown) = loyalty_http::auth::draw_key().unwrap();
    let grace = chrono::TimeDelta::zero();
    let action = AdminAction::RotateKey { id: id.to_owned(), replacement, grace };
    let owner = KeyOwner::Shop(server.shop);
    let rotated = server
        .store
        .administer(AdminRequest::new(owner, at(24 * 60 * 60), action));
    assert!(matches!(rotated, Ok(AdminReply::Decided(Ok(_)))), "{rotated:?}");
    assert_eq!(status(&mut server, "the new secret"), 401);
    let body = sign(&shown, "the new secret", &[("id", "1")]);
    let answer = server.post(&path("woocommerce/orders-closed"), body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}
