#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop where it fails"
)]

use serde_json::json;

use super::super::tests_rules::{
    answer, eighth_off_products, five_off, free_shipping, publish, refused, with_publication,
};
use super::*;

fn shop() -> WooCommerceConnector {
    WooCommerceConnector {
        shop_url: "https://tea.example".into(),
        consumer_key: "ck_1".into(),
        consumer_secret: "cs_1".into(),
    }
}

#[test]
fn a_coupon_has_our_reference_and_an_end_in_utc() {
    let (request, body) = publish(&shop(), five_off());
    assert_eq!(request.url, "https://tea.example/wp-json/wc/v3/coupons");
    let basic = request
        .headers
        .iter()
        .find(|(name, _)| *name == AUTHORIZATION)
        .unwrap();
    assert_eq!(basic.1, "Basic Y2tfMTpjc18x");
    assert!(basic.1.is_sensitive());
    assert_eq!(
        body,
        json!({
            "code": "Five-1",
            "discount_type": "fixed_cart",
            "amount": "5.00",
            "date_expires": "2026-06-01T00:00:00Z",
            "individual_use": false,
            "usage_limit": 1,
            "free_shipping": false,
            "email_restrictions": ["ada@example.com"],
            "meta_data": [{"key": "_loyalty_reference", "value": "r7"}],
        })
    );

    let (_, body) = publish(&shop(), free_shipping());
    assert_eq!((&body["free_shipping"], &body["amount"]), (&json!(true), &json!("0")));
    let (_, body) = publish(&shop(), eighth_off_products());
    assert_eq!((&body["discount_type"], &body["amount"]), (&json!("percent"), &json!("12.5")));
    assert_eq!(body["product_ids"], json!([7]));
    assert_eq!(body["minimum_amount"], "50.00");
}

#[test]
fn a_coupon_for_one_customer_has_an_email() {
    let nobody =
        loyalty_core::discount::PriceRuleParts { prerequisite_emails: Vec::new(), ..five_off() };
    assert_eq!(refused(&shop(), nobody), ["/prerequisite_customer_ids"]);
}

#[test]
fn a_code_that_exists_is_ours_or_somebody_elses() {
    let exists = r#"{"code":"woocommerce_rest_coupon_code_already_exists","message":"…"}"#;
    let outcome = with_publication(five_off(), |publication| {
        shop().read_publish(publication, &answer(400, exists))
    });
    let PublishOutcome::Check(check) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(check.url, "https://tea.example/wp-json/wc/v3/coupons?code=Five-1");

    let read = |body: &str| {
        with_publication(five_off(), |publication| {
            shop().read_check(publication, &answer(200, body))
        })
    };
    let ours = r#"[{"id":9,"meta_data":[{"key":"x","value":{}},{"key":"_loyalty_reference","value":"r7"}]}]"#;
    assert_eq!(read(ours), PublishOutcome::Done { store_id: Some("9".to_owned()) });
    assert!(matches!(read(r#"[{"id":9,"meta_data":[]}]"#), PublishOutcome::Refused { .. }));
    assert!(matches!(read("[]"), PublishOutcome::Retry { .. }));
    assert!(matches!(read("<html>"), PublishOutcome::Retry { .. }));
}

#[test]
fn a_withdrawn_coupon_is_deleted_once() {
    let request = shop().withdraw("9").unwrap();
    assert_eq!(request.method, Method::DELETE);
    assert_eq!(request.url, "https://tea.example/wp-json/wc/v3/coupons/9?force=true");
    assert_eq!(shop().withdraw("9/../1"), None);

    let done = PublishOutcome::Done { store_id: None };
    assert_eq!(shop().read_withdraw(&answer(200, r#"{"id":9}"#)), done);
    let gone = r#"{"code":"woocommerce_rest_shop_coupon_invalid_id"}"#;
    assert_eq!(shop().read_withdraw(&answer(404, gone)), done);
    let off = r#"{"code":"rest_no_route"}"#;
    assert!(matches!(shop().read_withdraw(&answer(404, off)), PublishOutcome::Retry { .. }));
}
