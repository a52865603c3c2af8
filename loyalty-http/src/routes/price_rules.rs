//! The routes of price rules.

use hyper::Method;

use crate::endpoint::price_rules;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get};
use crate::wire::customer::CountResponse;
use crate::wire::price_rule::{PriceRuleBody, PriceRuleResponse, PriceRulesResponse};

pub(super) const ROUTES: &[Route] = &[
    dry_runnable(
        Method::POST,
        "/v1/price-rules",
        price_rules::create,
        Operation::new("createPriceRule", "Creates a price rule")
            .accepts::<PriceRuleBody>(
                r#"{
                  "title": "Spring",
                  "value_type": "percentage",
                  "value": "-10",
                  "usage_limit": 100,
                  "ends_at": "2027-01-01T00:00:00Z"
                }"#,
            )
            .creates::<PriceRuleResponse<'_>>()
            .rejects(&[(422, &[code::INVALID_PRICE_RULE, code::TOO_MANY_AUTOMATIC_RULES])]),
    ),
    get(
        "/v1/price-rules",
        &["limit", "cursor"],
        price_rules::list,
        Operation::new("listPriceRules", "Lists the price rules")
            .returns::<PriceRulesResponse<'_>>()
            .with_response_headers(&["Link"]),
    ),
    get(
        "/v1/price-rules/count",
        &[],
        price_rules::count,
        Operation::new("countPriceRules", "Counts the price rules").returns::<CountResponse>(),
    ),
    get(
        "/v1/price-rules/{price_rule_id}",
        &[],
        price_rules::show,
        Operation::new("showPriceRule", "Shows a price rule")
            .returns::<PriceRuleResponse<'_>>()
            .with_response_headers(&["ETag"])
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::PUT,
        "/v1/price-rules/{price_rule_id}",
        price_rules::put,
        Operation::new("putPriceRule", "Replaces a price rule")
            .accepts::<PriceRuleBody>(
                r#"{
                  "title": "Welcome",
                  "value": "-7.50",
                  "value_type": "fixed_amount"
                }"#,
            )
            .returns::<PriceRuleResponse<'_>>()
            .with_headers(&["If-Match"])
            .rejects(&[
                (404, &[code::PRICE_RULE_NOT_FOUND]),
                (412, &[code::PRECONDITION_FAILED]),
                (422, &[code::INVALID_PRICE_RULE, code::TOO_MANY_AUTOMATIC_RULES]),
            ]),
    ),
    dry_runnable(
        Method::DELETE,
        "/v1/price-rules/{price_rule_id}",
        price_rules::delete,
        Operation::new("deletePriceRule", "Deletes a price rule; its codes no longer apply")
            .returns_nothing()
            .with_headers(&["If-Match"])
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND]), (412, &[code::PRECONDITION_FAILED])]),
    ),
];
