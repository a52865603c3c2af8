//! The routes of discount codes for Shopify's clients.

use hyper::Method;
use loyalty_store::Scope;

use crate::problem::code;
use crate::route::{Operation, Route, shopify};
use crate::shopify::discount_codes;
use crate::shopify::schema as objects;
use crate::wire::discount_code::BatchBody;

pub(in crate::routes) const ROUTES: &[Route] = &[
    shopify(
        Method::POST,
        "/admin/api/{version}/price_rules/{id}/discount_codes.json",
        &[],
        Scope::Write,
        discount_codes::create,
        Operation::new("shopifyCreateCode", "Creates a code of a price rule")
            .accepts::<objects::NewDiscountCodeRequest>(
                r#"{"discount_code": {"code": "SPRING-10"}}"#,
            )
            .creates::<objects::DiscountCodeObject>()
            .rejects(&[
                (404, &[code::PRICE_RULE_NOT_FOUND]),
                (422, &[code::CODE_DIFFERS, code::CODE_TAKEN, code::MISSING_FIELD]),
            ]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/discount_codes.json",
        &["limit", "page_info", "since_id", "fields"],
        Scope::Read,
        discount_codes::list,
        Operation::new("shopifyListCodes", "Lists the codes of a price rule")
            .returns::<objects::DiscountCodeList>()
            .with_response_headers(&["Link"])
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/discount_codes/{code_id}.json",
        &["fields"],
        Scope::Read,
        discount_codes::show,
        Operation::new("shopifyShowCode", "Shows a code")
            .returns::<objects::DiscountCodePart>()
            .rejects(&[(404, &[code::CODE_NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    shopify(
        Method::PUT,
        "/admin/api/{version}/price_rules/{id}/discount_codes/{code_id}.json",
        &[],
        Scope::Write,
        discount_codes::update,
        Operation::new(
            "shopifyUpdateCode",
            "Changes the text of a code; the last response, sent back, changes \
             nothing",
        )
        .accepts::<objects::DiscountCodeChangeRequest>(
            r#"{"discount_code": {"code": "WELCOME-2"}}"#,
        )
        .returns::<objects::DiscountCodeObject>()
        .rejects(&[
            (404, &[code::CODE_NOT_FOUND, code::PRICE_RULE_NOT_FOUND]),
            (422, &[code::CODE_TAKEN]),
        ]),
    ),
    shopify(
        Method::DELETE,
        "/admin/api/{version}/price_rules/{id}/discount_codes/{code_id}.json",
        &[],
        Scope::Write,
        discount_codes::delete,
        Operation::new("shopifyDeleteCode", "Deletes a code")
            .returns_nothing()
            .rejects(&[(404, &[code::CODE_NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    shopify(
        Method::POST,
        "/admin/api/{version}/price_rules/{id}/batch.json",
        &[],
        Scope::Write,
        discount_codes::batch,
        Operation::new("shopifyCreateCodes", "Creates up to 100 codes, each with its own outcome")
            .accepts::<BatchBody>(r#"{"discount_codes": [{"code": "A-1"}, {"code": "A-2"}]}"#)
            .creates::<objects::BatchObject>()
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND]), (422, &[code::TOO_MANY_CODES])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/batch/{batch_id}.json",
        &[],
        Scope::Read,
        discount_codes::show_batch,
        Operation::new("shopifyShowBatch", "Shows the progress of a batch of codes")
            .returns::<objects::BatchObject>()
            .rejects(&[(404, &[code::NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/batch/{batch_id}/discount_codes.json",
        &[],
        Scope::Read,
        discount_codes::batch_codes,
        Operation::new(
            "shopifyListBatchCodes",
            "Lists the codes of a batch, with the reasons why some were not created",
        )
        .returns::<objects::BatchCodeList>()
        .rejects(&[(404, &[code::NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/discount_codes/lookup.json",
        &["code"],
        Scope::Read,
        discount_codes::lookup,
        Operation::new(
            "shopifyLookUpCode",
            "Locates a code by its text; too many look-ups without a result are \
             slowed down",
        )
        .redirects::<objects::DiscountCodeObject>()
        .with_response_headers(&["Location"])
        .requires(&["code"])
        .rejects(&[
            (400, &[code::MISSING_PARAMETER]),
            (404, &[code::CODE_NOT_FOUND]),
            (429, &[code::TOO_MANY_REQUESTS]),
        ]),
    ),
];
