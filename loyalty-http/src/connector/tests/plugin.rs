#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop where it fails"
)]

use loyalty_core::discount::PriceRuleParts;
use serde_json::json;

use super::super::tests_rules::{
    answer, eighth_off_products, five_off, free_shipping, publish, refused, with_publication,
};
use super::*;
use crate::integration::SignedBody;

fn plugin(kind: PluginKind) -> PluginConnector {
    PluginConnector {
        kind,
        endpoint: "https://tea.example/wp-json/lootly/".into(),
        key: "lk_1".into(),
        secret: b"secret".to_vec(),
    }
}

#[test]
fn a_code_is_sent_signed_with_texts_and_the_email() {
    let woocommerce = plugin(PluginKind::WooCommerce);
    let (request, body) = publish(&woocommerce, five_off());
    assert_eq!(request.url, "https://tea.example/wp-json/lootly/price-rules");
    assert_eq!(
        body["price_rule"],
        json!({
            "title": "Five-1",
            "value_type": "fixed_amount",
            "value": "-5.00",
            "target_type": "line_item",
            "usage_limit": 1,
            "individual_use": false,
            "once_per_customer": false,
            "prerequisite_customer_emails": ["ada@example.com"],
            "ends_at": "2026-06-01T00:00:00Z",
        })
    );
    // As the plugin checks it.
    let signed = SignedBody::parse(&request.body).unwrap();
    assert_eq!(signed.key(), "lk_1");
    assert!(signed.verify(Some(b"secret")).is_ok());

    let (_, body) = publish(&woocommerce, eighth_off_products());
    let rule = &body["price_rule"];
    assert_eq!((&rule["value"], &rule["value_type"]), (&json!("-12.5"), &json!("percentage")));
    assert_eq!(rule["entitled_product_ids"], json!([7]));
    assert!(rule.get("entitled_category_ids").is_none());
    let least = json!({ "greater_than_or_equal_to": "50.00" });
    assert_eq!(rule["prerequisite_subtotal_range"], least);
    // An empty list of variants would wipe the products.
    assert!(rule.get("entitled_variant_ids").is_none());
    assert!(rule.get("excluded_product_ids").is_none());
}

#[test]
fn free_shipping_does_not_make_the_cart_free() {
    let (_, body) = publish(&plugin(PluginKind::WooCommerce), free_shipping());
    let rule = &body["price_rule"];
    assert_eq!((&rule["value_type"], &rule["value"]), (&json!("fixed_amount"), &json!("0")));
    assert_eq!(rule["target_type"], "shipping_line");
    assert!(rule.get("starts_at").is_none());

    let (request, body) = publish(&plugin(PluginKind::Magento), free_shipping());
    let rule = &body["price_rule"];
    assert_eq!((&rule["value_type"], &rule["value"]), (&json!("percentage"), &json!("-100")));
    assert_eq!(rule["starts_at"], "2026-03-01T00:00:00Z");
    assert!(request.url.ends_with("?price-rules"));
}

#[test]
fn what_the_plugin_cannot_hold_is_named() {
    let woocommerce = plugin(PluginKind::WooCommerce);
    for (pointer, parts) in [
        ("/ends_at", PriceRuleParts { ends_at: None, ..five_off() }),
        (
            "/prerequisite_customer_ids",
            PriceRuleParts { prerequisite_emails: Vec::new(), ..five_off() },
        ),
        (
            "/maximum_discount",
            PriceRuleParts {
                maximum_discount: Some("9".parse().unwrap()),
                target_selection: loyalty_core::discount::TargetSelection::All,
                entitled: loyalty_core::discount::ItemSelection::default(),
                ..eighth_off_products()
            },
        ),
        (
            "/prerequisite_shipping_price_range",
            PriceRuleParts {
                prerequisite_shipping_price_range: Some("9".parse().unwrap()),
                ..free_shipping()
            },
        ),
        (
            "/entitled_product_ids",
            PriceRuleParts {
                entitled: loyalty_core::discount::ItemSelection {
                    products: ["tea".parse().unwrap()].into(),
                    ..loyalty_core::discount::ItemSelection::default()
                },
                ..eighth_off_products()
            },
        ),
    ] {
        assert_eq!(refused(&woocommerce, parts), [pointer]);
    }
}

#[test]
fn answers_are_read() {
    let read = |kind, status, body| {
        with_publication(five_off(), |publication| {
            plugin(kind).read_publish(publication, &answer(status, body))
        })
    };
    let done = |id: Option<&str>| PublishOutcome::Done { store_id: id.map(str::to_owned) };
    let is_retry = |outcome| matches!(outcome, PublishOutcome::Retry { .. });
    let is_refused = |outcome| matches!(outcome, PublishOutcome::Refused { .. });

    let woocommerce = PluginKind::WooCommerce;
    assert_eq!(
        read(woocommerce, 201, r#"{"price_rule":{"id":12,"title":"five-1"}}"#),
        done(Some("12"))
    );
    // The answer of an earlier attempt was lost.
    let exists = r#"{"code":"woocommerce_rest_coupon_code_already_exists","message":"…"}"#;
    assert_eq!(read(woocommerce, 400, exists), done(None));
    assert!(is_refused(read(woocommerce, 400, r#"{"code":"rest_invalid_param"}"#)));
    assert!(is_retry(read(woocommerce, 401, r#"{"code":"rest_forbidden"}"#)));
    assert!(is_retry(read(woocommerce, 404, r#"{"code":"rest_no_route"}"#)));
    // A page of the shop, with 200.
    assert!(is_retry(read(woocommerce, 200, "<!doctype html><html>")));
    assert!(is_retry(read(woocommerce, 500, "")));

    // Magento says 200 to everything.
    let magento = PluginKind::Magento;
    assert_eq!(read(magento, 200, r#"{"price_rule":{"id":"9"}}"#), done(Some("9")));
    assert!(is_refused(read(magento, 200, r#"{"error":"usage_limit is required"}"#)));
    assert!(is_retry(read(magento, 200, "{}")));
}

#[test]
fn shops_that_rewrite_paths_are_found() {
    let others = |endpoint: &str| {
        let kind = PluginKind::WooCommerce;
        PluginConnector { endpoint: endpoint.into(), ..plugin(kind) }.other_endpoints()
    };
    assert_eq!(
        others("https://tea.example/lootly/"),
        ["https://tea.example/wp-json/lootly/", "https://tea.example/?rest_route=/lootly/"]
    );
    assert_eq!(
        others("https://tea.example/shop/wp-json/lootly/"),
        ["https://tea.example/shop/lootly/", "https://tea.example/shop/?rest_route=/lootly/"]
    );
    assert_eq!(others("https://tea.example/elsewhere/"), Vec::<String>::new());
    assert_eq!(plugin(PluginKind::Magento).other_endpoints(), Vec::<String>::new());
}

#[test]
fn a_connector_does_not_print_its_secret() {
    let text = format!("{:?}", plugin(PluginKind::Magento));
    assert!(
        !text.contains("secret") && !text.contains(&format!("{:?}", b"secret")),
        "{text}"
    );
}
