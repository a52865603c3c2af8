//! The routes of price rules for Shopify's clients.

use hyper::Method;
use loyalty_store::Scope;

use crate::problem::code;
use crate::route::{Operation, Route, shopify};
use crate::shopify::price_rules;
use crate::shopify::schema as objects;
use crate::wire::customer::CountResponse;

pub(in crate::routes) const ROUTES: &[Route] = &[
    shopify(
        Method::POST,
        "/admin/api/{version}/price_rules.json",
        &[],
        Scope::Write,
        price_rules::create,
        Operation::new("shopifyCreatePriceRule", "Creates a price rule")
            .accepts::<objects::PriceRuleRequest>(
                r#"{
                  "price_rule": {
                    "title": "Spring",
                    "value_type": "percentage",
                    "value": "-10.0"
                  }
                }"#,
            )
            .creates::<objects::PriceRuleObject>()
            .rejects(&[(422, &[code::INVALID_PRICE_RULE])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules.json",
        &[
            "limit",
            "page_info",
            "since_id",
            "fields",
            "order",
            "created_at_min",
            "created_at_max",
            "updated_at_min",
            "updated_at_max",
            "starts_at_min",
            "starts_at_max",
            "ends_at_min",
            "ends_at_max",
        ],
        Scope::Read,
        price_rules::list,
        Operation::new("shopifyListPriceRules", "Lists the price rules")
            .returns::<objects::PriceRuleList>()
            .with_response_headers(&["Link"]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/count.json",
        &[],
        Scope::Read,
        price_rules::count,
        Operation::new("shopifyCountPriceRules", "Counts the price rules")
            .returns::<CountResponse>(),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}.json",
        &["fields"],
        Scope::Read,
        price_rules::show,
        Operation::new("shopifyShowPriceRule", "Shows a price rule")
            .returns::<objects::PriceRulePart>()
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND])]),
    ),
    shopify(
        Method::PUT,
        "/admin/api/{version}/price_rules/{id}.json",
        &[],
        Scope::Write,
        price_rules::update,
        Operation::new(
            "shopifyUpdatePriceRule",
            "Changes a price rule; the last response, sent back, changes nothing",
        )
        .accepts::<objects::PriceRuleRequest>(r#"{"price_rule": {"title": "Welcome back"}}"#)
        .returns::<objects::PriceRuleObject>()
        .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND]), (422, &[code::INVALID_PRICE_RULE])]),
    ),
    shopify(
        Method::DELETE,
        "/admin/api/{version}/price_rules/{id}.json",
        &[],
        Scope::Write,
        price_rules::delete,
        Operation::new("shopifyDeletePriceRule", "Deletes a price rule; its codes no longer apply")
            .returns_nothing()
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND])]),
    ),
];
