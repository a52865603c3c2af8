//! Rules for the tests of connectors.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use loyalty_core::discount::{
    AllocationMethod, Code, CustomerSelection, ItemSelection, PriceRule, PriceRuleParts,
    TargetSelection, TargetType, ValueType,
};
use loyalty_core::{CustomerId, Email};

use super::{CodePublication, Connector, StoreAnswer, StoreRequest};

/// Five off for one customer, until June.
pub(super) fn five_off() -> PriceRuleParts {
    PriceRuleParts {
        title: "FIVE".into(),
        value: "-5".parse().unwrap(),
        usage_limit: Some(1),
        individual_use: false,
        customer_selection: CustomerSelection::Prerequisite,
        prerequisite_customer_ids: [CustomerId::new("42").unwrap()].into(),
        prerequisite_emails: vec![Email::new("ada@example.com").unwrap()],
        ends_at: Some("2026-06-01T00:00:00.123Z".parse().unwrap()),
        ..PriceRuleParts::new("2026-03-01T00:00:00Z".parse().unwrap())
    }
}

pub(super) fn free_shipping() -> PriceRuleParts {
    PriceRuleParts {
        value_type: ValueType::Percentage,
        value: "-100".parse().unwrap(),
        target_type: TargetType::ShippingLine,
        allocation_method: AllocationMethod::Each,
        ..five_off()
    }
}

/// An eighth off product 7.
pub(super) fn eighth_off_products() -> PriceRuleParts {
    PriceRuleParts {
        value_type: ValueType::Percentage,
        value: "-12.5".parse().unwrap(),
        target_selection: TargetSelection::Entitled,
        entitled: ItemSelection {
            products: ["7".parse().unwrap()].into(),
            ..ItemSelection::default()
        },
        prerequisite_subtotal_range: Some("50".parse().unwrap()),
        ..five_off()
    }
}

pub(super) fn rule(parts: PriceRuleParts) -> PriceRule {
    PriceRule::new(parts, 2).unwrap()
}

/// Calls with the publication of the code `Five-1` under a rule.
pub(super) fn with_publication<T>(
    parts: PriceRuleParts,
    call: impl FnOnce(&CodePublication<'_>) -> T,
) -> T {
    let (code, rule) = (Code::new("Five-1").unwrap(), rule(parts));
    call(&CodePublication { code: &code, rule: &rule, customer: None, reference: "r7" })
}

/// The request that publishes the code, and its body.
pub(super) fn publish(
    connector: &impl Connector,
    parts: PriceRuleParts,
) -> (StoreRequest, serde_json::Value) {
    let request = with_publication(parts, |publication| connector.publish(publication)).unwrap();
    let body = serde_json::from_slice(&request.body).unwrap();
    (request, body)
}

/// The pointers of what the store cannot hold.
pub(super) fn refused(connector: &impl Connector, parts: PriceRuleParts) -> Vec<String> {
    let faults = with_publication(parts, |publication| connector.publish(publication))
        .err()
        .unwrap();
    faults.into_iter().map(|fault| fault.pointer).collect()
}

pub(super) fn answer(status: u16, body: &str) -> StoreAnswer<'_> {
    StoreAnswer { status: status.try_into().unwrap(), body: body.as_bytes() }
}
