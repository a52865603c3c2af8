//! The routes of discount codes.

use hyper::Method;

use crate::endpoint::discount_codes;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get};
use crate::wire::customer::CountResponse;
use crate::wire::discount_code::{
    BatchBody, BatchCodesResponse, BatchResponse, DiscountCodeBody, DiscountCodeChangeBody,
    DiscountCodeResponse, DiscountCodesResponse,
};

pub(super) const ROUTES: &[Route] = &[
    dry_runnable(
        Method::POST,
        "/v1/price-rules/{price_rule_id}/discount-codes",
        discount_codes::create,
        Operation::new(
            "createCode",
            "Creates a code of a price rule, with the text sent or a random one",
        )
        .accepts::<DiscountCodeBody>(r#"{"code": "SPRING-10"}"#)
        .creates::<DiscountCodeResponse<'_>>()
        .rejects(&[
            (404, &[code::PRICE_RULE_NOT_FOUND]),
            (409, &[code::CODE_TAKEN]),
            (422, &[code::CODE_DIFFERS]),
        ]),
    ),
    get(
        "/v1/price-rules/{price_rule_id}/discount-codes",
        &["limit", "cursor"],
        discount_codes::list,
        Operation::new("listCodes", "Lists the codes of a price rule")
            .returns::<DiscountCodesResponse<'_>>()
            .with_response_headers(&["Link"])
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND])]),
    ),
    get(
        "/v1/price-rules/{price_rule_id}/discount-codes/count",
        &[],
        discount_codes::count,
        Operation::new("countCodes", "Counts the codes of a price rule")
            .returns::<CountResponse>()
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND])]),
    ),
    get(
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        &[],
        discount_codes::show,
        Operation::new("showCode", "Shows a code")
            .returns::<DiscountCodeResponse<'_>>()
            .rejects(&[(404, &[code::CODE_NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::PUT,
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        discount_codes::put,
        Operation::new("putCode", "Changes the text of a code, enables or disables it")
            .accepts::<DiscountCodeChangeBody>(r#"{"enabled": false}"#)
            .returns::<DiscountCodeResponse<'_>>()
            .rejects(&[
                (404, &[code::CODE_NOT_FOUND, code::PRICE_RULE_NOT_FOUND]),
                (409, &[code::CODE_TAKEN]),
            ]),
    ),
    dry_runnable(
        Method::DELETE,
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        discount_codes::delete,
        Operation::new("deleteCode", "Deletes a code")
            .returns_nothing()
            .rejects(&[(404, &[code::CODE_NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/price-rules/{price_rule_id}/batch",
        discount_codes::batch,
        Operation::new("createCodes", "Creates up to 100 codes, each with its own outcome")
            .accepts::<BatchBody>(r#"{"discount_codes": [{"code": "A-1"}, {"prefix": "B"}]}"#)
            .creates::<BatchResponse>()
            .rejects(&[(404, &[code::PRICE_RULE_NOT_FOUND]), (422, &[code::TOO_MANY_CODES])]),
    ),
    get(
        "/v1/price-rules/{price_rule_id}/batch/{batch_id}",
        &[],
        discount_codes::show_batch,
        Operation::new("showBatch", "Shows the progress of a batch of codes")
            .returns::<BatchResponse>()
            .rejects(&[(404, &[code::NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    get(
        "/v1/price-rules/{price_rule_id}/batch/{batch_id}/discount-codes",
        &[],
        discount_codes::batch_codes,
        Operation::new(
            "listBatchCodes",
            "Lists the codes of a batch, with the reasons why some were not created",
        )
        .returns::<BatchCodesResponse<'_>>()
        .rejects(&[(404, &[code::NOT_FOUND, code::PRICE_RULE_NOT_FOUND])]),
    ),
    get(
        "/v1/discount-codes/lookup",
        &["code", "customer_id", "email", "address"],
        discount_codes::lookup,
        Operation::new(
            "lookUpCode",
            "Finds a code by its text; too many look-ups without a result are slowed \
             down",
        )
        .returns::<DiscountCodeResponse<'_>>()
        .requires(&["code"])
        .rejects(&[
            (400, &[code::MISSING_PARAMETER]),
            (404, &[code::CODE_NOT_FOUND]),
            (429, &[code::TOO_MANY_REQUESTS]),
        ]),
    ),
];
