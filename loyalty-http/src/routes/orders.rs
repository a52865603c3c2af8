//! The routes of orders.

use hyper::Method;

use crate::endpoint::{order_lists, orders};
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get};
use crate::wire::order::{OrderBody, OrderResponse};
use crate::wire::order_list::OrdersResponse;
use crate::wire::refund::RefundBody;

pub(super) const ROUTES: &[Route] = &[
    dry_runnable(
        Method::PUT,
        "/v1/orders/{order_id}",
        orders::put,
        Operation::new("putOrder", "Records the present state of an order; its points follow")
            .described(
                "Send the whole order with each change of its status. The order of \
             reports and their repetition do not matter. A status that steps back \
             takes nothing back; a cancelled order earns nothing. Attributes of the order \
             and its lines are kept for ever: put no names or other personal data there.",
            )
            .accepts::<OrderBody>(
                r#"{
                  "customer": {
                    "customer_id": "42",
                    "email": "ada@example.com"
                  },
                  "status": "paid",
                  "lines": [
                    {
                      "product_id": "tea",
                      "categories": ["drinks"],
                      "quantity": 2,
                      "amount": "29.90",
                      "attributes": {
                        "organic": true
                      }
                    },
                    {
                      "product_id": "cup",
                      "quantity": 1,
                      "amount": "20.05"
                    }
                  ],
                  "shipping": "4.90",
                  "total": "54.85",
                  "channel": "app"
                }"#,
            )
            .returns::<OrderResponse<'_>>()
            .rejects(&[
                (
                    422,
                    &[
                        code::CURRENCY_MISMATCH,
                        code::CURRENCY_REQUIRED,
                        code::DUPLICATE_LINE,
                        code::EMAIL_TAKEN,
                        code::FINER_THAN_CURRENCY,
                        code::ORDER_OF_ANOTHER_CUSTOMER,
                        code::ORDER_TOO_LARGE,
                        code::POINTS_OUT_OF_RANGE,
                        code::REDEEMED_BEYOND_TOTAL,
                        code::TOTALS_DISAGREE,
                    ],
                ),
                (429, &[code::TOO_MANY_REQUESTS]),
            ]),
    ),
    get(
        "/v1/orders",
        &["status", "updated_since", "sort", "limit", "cursor"],
        order_lists::list,
        Operation::new("listOrders", "Lists the orders of the shop, by their last changes")
            .described(
                "To keep a copy of the orders, read `sort=oldest` from `updated_since` to the end, \
             and next time from a few minutes before the newest `updated_at` that was seen: \
             changes of the same moment can be recorded in another order than their times. An \
             order that changes while pages are read comes again at the end.",
            )
            .returns::<OrdersResponse<'_>>()
            .with_response_headers(&["Link"])
            .rejects(&[(422, &[code::INVALID_VALUE])]),
    ),
    get(
        "/v1/customers/{customer_id}/orders",
        &["updated_since", "sort", "limit", "cursor"],
        order_lists::list_of_customer,
        Operation::new(
            "listCustomerOrders",
            "Lists a customer's orders, by their last changes; those of a guest who became the \
             customer included",
        )
        .returns::<OrdersResponse<'_>>()
        .with_response_headers(&["Link"])
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    get(
        "/v1/orders/{order_id}",
        &[],
        orders::show,
        Operation::new("showOrder", "Shows an order and its points")
            .returns::<OrderResponse<'_>>()
            .rejects(&[(404, &[code::ORDER_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/orders/{order_id}/refunds",
        orders::refund,
        Operation::new(
            "refundOrder",
            "Refunds an order by amount or by lines; its points are taken back",
        )
        .described(
            "A refund that comes before its order is kept, and counts when the order \
             is reported. `amount` is the total, `shipping` and `tax` are parts of \
             it. A refund of a line that the order no longer has is accepted.",
        )
        .accepts::<RefundBody>(
            r#"{
              "refund_id": "r2",
              "lines": [{"line_id": "1", "quantity": 1}],
              "amount": "19.85",
              "shipping": "4.90"
            }"#,
        )
        .returns::<OrderResponse<'_>>()
        .rejects(&[(
            422,
            &[
                code::CURRENCY_MISMATCH,
                code::CURRENCY_REQUIRED,
                code::FINER_THAN_CURRENCY,
                code::POINTS_OUT_OF_RANGE,
                code::REFUND_DIFFERS,
                code::REFUND_EXCEEDS_LINE,
                code::REFUND_EXCEEDS_ORDER,
                code::REFUND_PARTS_EXCEED_AMOUNT,
                code::TOO_MANY_REFUND_LINES,
                code::UNKNOWN_LINE,
            ],
        )]),
    ),
];
