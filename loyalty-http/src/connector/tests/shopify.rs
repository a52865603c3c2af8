#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop where it fails"
)]

use loyalty_core::discount::PriceRuleParts;

use super::super::tests_rules::{
    answer, eighth_off_products, five_off, free_shipping, publish, refused, with_publication,
};
use super::*;

fn shop() -> ShopifyConnector {
    ShopifyConnector {
        shop_url: "https://tea.myshopify.com".into(),
        access_token: "shpat_1".into(),
    }
}

#[test]
fn a_code_is_for_its_customer_and_has_our_tag() {
    let (request, body) = publish(&shop(), five_off());
    let token = request
        .headers
        .iter()
        .find(|(name, _)| *name == ACCESS_TOKEN)
        .unwrap();
    assert!(token.1.is_sensitive());
    assert_eq!(
        body["variables"]["discount"],
        json!({
            "title": "Five-1",
            "code": "Five-1",
            "startsAt": "2026-03-01T00:00:00Z",
            "endsAt": "2026-06-01T00:00:00Z",
            "usageLimit": 1,
            "appliesOncePerCustomer": false,
            "context": {"customers": {"add": ["gid://shopify/Customer/42"]}},
            "combinesWith":
                {"orderDiscounts": true, "productDiscounts": true, "shippingDiscounts": true},
            "tags": ["loyalty-r7"],
            "recurringCycleLimit": 1,
            "customerGets": {
                "value": {"discountAmount": {"amount": "5.00", "appliesOnEachItem": false}},
                "items": {"all": true},
            },
        })
    );

    let (request, _) = publish(&shop(), eighth_off_products());
    let text = String::from_utf8(request.body).unwrap();
    assert!(text.contains(r#""percentage":0.125"#), "{text}");
    assert!(text.contains(r#""productsToAdd":["gid://shopify/Product/7"]"#), "{text}");
    let (_, body) = publish(&shop(), free_shipping());
    assert!(
        body["query"]
            .as_str()
            .unwrap()
            .contains("discountCodeFreeShippingCreate")
    );
    assert_eq!(body["variables"]["discount"]["combinesWith"]["shippingDiscounts"], false);
}

#[test]
fn what_shopify_cannot_hold_is_named() {
    let excluded = PriceRuleParts {
        excluded: loyalty_core::discount::ItemSelection {
            products: ["7".parse().unwrap()].into(),
            ..loyalty_core::discount::ItemSelection::default()
        },
        ..five_off()
    };
    assert_eq!(refused(&shop(), excluded), ["/excluded_product_ids"]);
    let guest = PriceRuleParts {
        prerequisite_customer_ids: std::collections::BTreeSet::new(),
        ..five_off()
    };
    assert_eq!(refused(&shop(), guest), ["/prerequisite_customer_ids"]);
    let foreign = PriceRuleParts {
        prerequisite_customer_ids: ["ada".parse().unwrap()].into(),
        ..five_off()
    };
    assert_eq!(refused(&shop(), foreign), ["/prerequisite_customer_ids"]);
}

#[test]
fn answers_are_read() {
    let read = |status, body: &str| {
        with_publication(five_off(), |publication| {
            shop().read_publish(publication, &answer(status, body))
        })
    };
    let id = "gid://shopify/DiscountCodeNode/1";
    let made = json!({"data": {"result": {"codeDiscountNode": {"id": id}, "userErrors": []}}});
    let done = PublishOutcome::Done { store_id: Some(id.to_owned()) };
    assert_eq!(read(200, &made.to_string()), done);

    let refusal = |code: &str| {
        let errors = [json!({"field": ["x"], "message": "no", "code": code})];
        json!({"data": {"result": {"codeDiscountNode": null, "userErrors": errors}}}).to_string()
    };
    assert!(matches!(read(200, &refusal("TAKEN")), PublishOutcome::Check(_)));
    assert!(matches!(read(200, &refusal("INVALID")), PublishOutcome::Refused { .. }));
    assert!(matches!(read(200, &refusal("INTERNAL_ERROR")), PublishOutcome::Retry { .. }));
    let throttled = r#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}"#;
    assert!(matches!(read(200, throttled), PublishOutcome::Retry { .. }));
    assert!(matches!(
        read(401, r#"{"errors":"Invalid token"}"#),
        PublishOutcome::Retry { .. }
    ));
    assert!(matches!(read(502, "<html>"), PublishOutcome::Retry { .. }));
}

#[test]
fn a_code_that_exists_is_ours_or_somebody_elses() {
    let read = |found: Value| {
        let body = json!({"data": {"codeDiscountNodeByCode": found}}).to_string();
        with_publication(five_off(), |publication| {
            shop().read_check(publication, &answer(200, &body))
        })
    };
    let ours = json!({"id": "gid://1", "codeDiscount": {"tags": ["a", "loyalty-r7"]}});
    assert_eq!(read(ours), PublishOutcome::Done { store_id: Some("gid://1".to_owned()) });
    let other = json!({"id": "gid://1", "codeDiscount": {"tags": ["loyalty-r70"]}});
    assert!(matches!(read(other), PublishOutcome::Refused { .. }));
    // A discount of another app has no tags here.
    let app = json!({"id": "gid://1", "codeDiscount": {}});
    assert!(matches!(read(app), PublishOutcome::Refused { .. }));
    assert!(matches!(read(Value::Null), PublishOutcome::Retry { .. }));
}
