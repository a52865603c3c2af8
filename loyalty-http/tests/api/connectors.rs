//! What leaves for Shopify, validated against a part of its schema by the reference
//! implementation of GraphQL.

use std::io::Write;
use std::process::{Command, Stdio};

use loyalty_core::discount::{
    AllocationMethod, Code, CustomerSelection, ItemSelection, PriceRule, PriceRuleParts,
    TargetSelection, TargetType, ValueType,
};
use loyalty_http::connector::shopify::ShopifyConnector;
use loyalty_http::connector::{CodePublication, Connector, PublishOutcome, StoreAnswer};

use crate::clients::{install_node, is_installed, place};
use crate::support::time;

const GRAPHQL: &str = "graphql@16.12.0";

fn rules() -> Vec<PriceRuleParts> {
    let five_off = PriceRuleParts {
        title: "FIVE".into(),
        value: "-5".parse().unwrap(),
        usage_limit: Some(1),
        customer_selection: CustomerSelection::Prerequisite,
        prerequisite_customer_ids: ["42".parse().unwrap()].into(),
        ends_at: Some(time("2026-06-01T00:00:00Z")),
        ..PriceRuleParts::new(time("2026-03-01T00:00:00Z"))
    };
    let percentage = PriceRuleParts {
        value_type: ValueType::Percentage,
        value: "-12.345678".parse().unwrap(),
        individual_use: true,
        once_per_customer: true,
        ends_at: None,
        ..five_off.clone()
    };
    let entitled = |entitled| PriceRuleParts {
        target_selection: TargetSelection::Entitled,
        allocation_method: AllocationMethod::Each,
        entitled,
        ..percentage.clone()
    };
    let shipping = PriceRuleParts {
        value_type: ValueType::Percentage,
        value: "-100".parse().unwrap(),
        target_type: TargetType::ShippingLine,
        allocation_method: AllocationMethod::Each,
        prerequisite_shipping_price_range: Some("9.90".parse().unwrap()),
        ..five_off.clone()
    };
    vec![
        PriceRuleParts {
            customer_selection: CustomerSelection::All,
            prerequisite_customer_ids: std::collections::BTreeSet::new(),
            prerequisite_quantity_range: Some(3),
            ..five_off.clone()
        },
        PriceRuleParts {
            prerequisite_customer_ids: std::collections::BTreeSet::new(),
            customer_segment_prerequisite_ids: ["7".parse().unwrap()].into(),
            prerequisite_subtotal_range: Some("50".parse().unwrap()),
            ..five_off.clone()
        },
        entitled(ItemSelection {
            products: ["1".parse().unwrap()].into(),
            variants: ["2".parse().unwrap()].into(),
            ..ItemSelection::default()
        }),
        entitled(ItemSelection {
            collections: ["3".parse().unwrap()].into(),
            ..ItemSelection::default()
        }),
        five_off,
        percentage,
        shipping,
    ]
}

#[test]
fn shopify_accepts_every_document_and_its_variables() {
    let at = place(GRAPHQL);
    if !is_installed(GRAPHQL, install_node(&at, &[GRAPHQL])) {
        return;
    }
    let shop = ShopifyConnector {
        shop_url: "https://tea.myshopify.com".into(),
        access_token: "t".into(),
    };
    let code = Code::new("FIVE").unwrap();
    let mut bodies = vec![shop.withdraw("gid://shopify/DiscountCodeNode/1").unwrap().body];
    for parts in rules() {
        let rule = PriceRule::new(parts, 2).unwrap();
        let publication =
            CodePublication { code: &code, rule: &rule, customer: None, reference: "7" };
        bodies.push(shop.publish(&publication).unwrap().body);

        let taken = br#"{"data":{"result":{"userErrors":[{"message":"","code":"TAKEN"}]}}}"#;
        let answer = StoreAnswer { status: hyper::StatusCode::OK, body: taken };
        let PublishOutcome::Check(check) = shop.read_publish(&publication, &answer) else {
            panic!("a taken code is not looked up");
        };
        bodies.push(check.body);
    }

    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut validator = Command::new("node")
        .arg(tests.join("clients/graphql_validate.js"))
        .arg(tests.join("data/shopify_admin_2026-10.graphql"))
        .env("NODE_PATH", at.join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = validator.stdin.take().unwrap();
    for body in &bodies {
        input.write_all(body).unwrap();
        input.write_all(b"\n").unwrap();
    }
    drop(input);
    let output = validator.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let counted = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(counted.trim(), format!("{} valid", bodies.len()));
}
