//! The routes of carts.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::carts;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get, write, write_with_query};
use crate::wire::cart::{CartBody, CartResponse, ReserveBody};
use crate::wire::discount_code::CheckoutResponse;

pub(super) const ROUTES: &[Route] = &[
    write(
        Method::POST,
        "/v1/carts/evaluate",
        Scope::Read,
        carts::evaluate,
        Operation::new(
            "evaluateCart",
            "Calculates the discounts of a cart's codes, with the reasons why some do \
             not apply",
        )
        .accepts::<CartBody>(
            r#"{
                  "customer": {"customer_id": "42"},
                  "lines": [
                    {
                      "product_id": "tea",
                      "quantity": 2,
                      "price": "14.95"
                    }
                  ],
                  "shipping": [{"price": "4.90"}],
                  "codes": ["WELCOME"],
                  "checkout_id": "cart-7"
                }"#,
        )
        .returns::<CartResponse<'_>>()
        .rejects(&[
            (
                422,
                &[
                    code::CART_TOO_LARGE,
                    code::CURRENCY_MISMATCH,
                    code::DUPLICATE_LINE,
                    code::FINER_THAN_CURRENCY,
                    code::OTHER_CURRENCY,
                    code::TOO_MANY_CODES,
                    code::TOO_MANY_LINES,
                    code::TOO_MANY_SHIPPING_LINES,
                ],
            ),
            (429, &[code::TOO_MANY_REQUESTS]),
        ]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/checkouts/{checkout_id}/codes",
        carts::reserve,
        Operation::new("reserveCodes", "Reserves codes for a checkout: all of them, or none")
            .accepts::<ReserveBody>(
                r#"{
                  "codes": ["WELCOME"],
                  "customer": {"customer_id": "42"},
                  "until": "2026-03-01T12:30:00Z"
                }"#,
            )
            .returns::<CheckoutResponse<'_>>()
            .rejects(&[
                (
                    422,
                    &[
                        code::ALREADY_USED_BY_CUSTOMER,
                        code::CUSTOMER_NOT_ELIGIBLE,
                        code::CUSTOMER_REQUIRED,
                        code::DISABLED,
                        code::EXPIRED,
                        code::INDIVIDUAL_USE,
                        code::INVALID_RESERVATION_PERIOD,
                        code::NOT_COMBINED,
                        code::NOT_YET_VALID,
                        code::SAME_RULE,
                        code::TOO_MANY_CODES,
                        code::UNKNOWN_CODE,
                        code::UNKNOWN_PRICE_RULE,
                        code::USED_UP,
                    ],
                ),
                (429, &[code::TOO_MANY_REQUESTS]),
            ]),
    ),
    get(
        "/v1/checkouts/{checkout_id}/codes",
        &[],
        carts::show,
        Operation::new("showCheckout", "Shows the codes that a checkout has reserved")
            .returns::<CheckoutResponse<'_>>(),
    ),
    write_with_query(
        Method::DELETE,
        "/v1/checkouts/{checkout_id}/codes",
        &["code"],
        Scope::Write,
        carts::release,
        Operation::new(
            "releaseCodes",
            "Releases the codes that a checkout has reserved, or one of them",
        )
        .returns::<CheckoutResponse<'_>>(),
    ),
];
