//! The routes of store plugins.

use loyalty_core::Status;

use crate::integration::schema::SignedBody;
use crate::integration::webhook::{self, WebhookEvent};
use crate::integration::{
    AppInstalled, Customer, CustomerQuery, KeyVerify, Order, OrderRef, RedeemReward, Refund,
};
use crate::problem::code;
use crate::route::{Operation, Route, signed};

pub(super) const ROUTES: &[Route] = &[
    signed(
        "/integrations/webhooks/{platform}/key-verify",
        WebhookEvent::KeyVerify,
        Operation::new("verifyKey", "Verifies the key and the secret that a merchant entered")
            .accepts::<SignedBody<KeyVerify>>(r#"{"t": 1772366400}"#)
            .returns::<webhook::KeyVerifyResponse<'_>>()
            .rejects(&[(401, &[code::STALE_REQUEST])]),
    ),
    signed(
        "/integrations/webhooks/{platform}/app-installed",
        WebhookEvent::AppInstalled,
        Operation::new("recordInstallation", "Records that a store is connected")
            .accepts::<SignedBody<AppInstalled>>(
                r#"{
                  "shop_url": "https://tea.example.com",
                  "api_endpoint": "https://tea.example.com/wp-json/loyalty"
                }"#,
            )
            .returns::<webhook::InstalledResponse>(),
    ),
    signed(
        "/integrations/webhooks/{platform}/customers-create",
        WebhookEvent::CustomerChanged,
        Operation::new("reportCustomer", "Reports a new or changed customer")
            .accepts::<SignedBody<Customer>>(
                r#"{
                  "id": 42,
                  "email": "ada@example.com",
                  "first_name": "Ada",
                  "last_name": "",
                  "birthday": "",
                  "default_address": {"zip": "10115", "country": "DE"}
                }"#,
            )
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(422, &[code::POINTS_OUT_OF_RANGE])]),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-processing",
        WebhookEvent::OrderReached(Status::Processing),
        Operation::new("reportOrderProcessing", "Reports an order that is being processed")
            .accepts::<SignedBody<Order>>(
                r#"{
                  "id": 1001,
                  "total_price": "54.85",
                  "total_tax": "0.00",
                  "subtotal_price": "49.95",
                  "customer": {"id": 42, "email": "ada@example.com"},
                  "products": [
                    {
                      "product_id": 7,
                      "product_price": "49.95",
                      "quantity": 1,
                      "categories": [
                        {
                          "category_id": 3,
                          "category_name": "Drinks"
                        }
                      ]
                    }
                  ]
                }"#,
            )
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(
                422,
                &[
                    code::DUPLICATE_LINE,
                    code::ORDER_OF_ANOTHER_CUSTOMER,
                    code::ORDER_TOO_LARGE,
                    code::POINTS_OUT_OF_RANGE,
                    code::REDEEMED_BEYOND_TOTAL,
                    code::TOTALS_DISAGREE,
                ],
            )]),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-paid",
        WebhookEvent::OrderReached(Status::Paid),
        Operation::new("reportOrderPaid", "Reports a paid order")
            .accepts::<SignedBody<Order>>(
                r#"{
                  "id": 1001,
                  "total_price": "54.85",
                  "total_tax": "0.00",
                  "subtotal_price": "49.95",
                  "customer": {"id": 42, "email": "ada@example.com"},
                  "products": [
                    {
                      "product_id": 7,
                      "product_price": "49.95",
                      "quantity": 1
                    }
                  ]
                }"#,
            )
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(
                422,
                &[
                    code::DUPLICATE_LINE,
                    code::ORDER_OF_ANOTHER_CUSTOMER,
                    code::ORDER_TOO_LARGE,
                    code::POINTS_OUT_OF_RANGE,
                    code::REDEEMED_BEYOND_TOTAL,
                    code::TOTALS_DISAGREE,
                ],
            )]),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-fulfilled",
        WebhookEvent::OrderReached(Status::Fulfilled),
        Operation::new("reportOrderFulfilled", "Reports a fulfilled order")
            .accepts::<SignedBody<Order>>(
                r#"{
                  "id": 1001,
                  "total_price": "54.85",
                  "subtotal_price": "49.95",
                  "customer": {"id": 42}
                }"#,
            )
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(
                422,
                &[
                    code::DUPLICATE_LINE,
                    code::ORDER_OF_ANOTHER_CUSTOMER,
                    code::ORDER_TOO_LARGE,
                    code::POINTS_OUT_OF_RANGE,
                    code::REDEEMED_BEYOND_TOTAL,
                    code::TOTALS_DISAGREE,
                ],
            )]),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-completed",
        WebhookEvent::OrderReached(Status::Completed),
        Operation::new("reportOrderCompleted", "Reports a completed order")
            .accepts::<SignedBody<Order>>(
                r#"{
                  "id": 1001,
                  "total_price": "54.85",
                  "subtotal_price": "49.95",
                  "customer": {"id": 42}
                }"#,
            )
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(
                422,
                &[
                    code::DUPLICATE_LINE,
                    code::ORDER_OF_ANOTHER_CUSTOMER,
                    code::ORDER_TOO_LARGE,
                    code::POINTS_OUT_OF_RANGE,
                    code::REDEEMED_BEYOND_TOTAL,
                    code::TOTALS_DISAGREE,
                ],
            )]),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-cancelled",
        WebhookEvent::OrderCancelled,
        Operation::new("reportOrderCancelled", "Reports a cancelled order")
            .accepts::<SignedBody<OrderRef>>(r#"{"id": 1001}"#)
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(422, &[code::POINTS_OUT_OF_RANGE])]),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-closed",
        WebhookEvent::OrderClosed,
        Operation::new("reportOrderClosed", "Reports a closed order; points stay as they are")
            .accepts::<SignedBody<OrderRef>>(r#"{"id": 1001}"#)
            .returns::<webhook::WebhookResponse>()
            .rejects(&[(422, &[code::POINTS_OUT_OF_RANGE])]),
    ),
    signed(
        "/integrations/webhooks/{platform}/refunds-create",
        WebhookEvent::RefundCreated,
        Operation::new(
            "reportRefund",
            "Reports a refund; each delivery is another refund, up to the order's \
             total",
        )
        .accepts::<SignedBody<Refund>>(r#"{"id": 1001, "transactions": [{"amount": "5.00"}]}"#)
        .returns::<webhook::WebhookResponse>()
        .rejects(&[(
            422,
            &[code::POINTS_OUT_OF_RANGE, code::REFUND_EXCEEDS_ORDER, code::TOO_MANY_REFUND_LINES],
        )]),
    ),
    signed(
        "/integrations/webhooks/common/customer",
        WebhookEvent::CustomerQuery,
        Operation::new("showStoreCustomer", "Shows a customer's balance and the rewards for them")
            .accepts::<SignedBody<CustomerQuery>>(r#"{"customer_id": 42}"#)
            .returns::<webhook::DataEnvelope<webhook::StoreCustomerResponse<'_>>>()
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    signed(
        "/integrations/webhooks/common/redeem-reward",
        WebhookEvent::RedeemReward,
        Operation::new(
            "redeemStoreReward",
            "Exchanges a customer's points in the store; with a time, the same body \
             is executed once",
        )
        .accepts::<SignedBody<RedeemReward>>(
            r#"{
                  "customer_email": "ada@example.com",
                  "reward_id": "five",
                  "t": 1772366400
                }"#,
        )
        .returns::<webhook::DataEnvelope<webhook::DataEnvelope<webhook::CouponResponse<'_>>>>()
        .with_response_headers(&["Idempotency-Replayed"])
        .rejects(&[
            (401, &[code::STALE_REQUEST]),
            (404, &[code::CUSTOMER_NOT_FOUND]),
            (
                422,
                &[
                    code::IDEMPOTENCY_KEY_REUSED,
                    code::INSUFFICIENT_POINTS,
                    code::INVALID_AMOUNT,
                    code::POINTS_OUT_OF_RANGE,
                    code::REWARD_LIMIT_REACHED,
                    code::REWARD_NOT_FOR_CUSTOMER,
                    code::REWARD_NOT_OPEN,
                    code::REWARD_SOLD_OUT,
                    code::REWARD_TOO_FINE,
                    code::UNKNOWN_REWARD,
                ],
            ),
        ]),
    ),
    signed(
        "/integrations/webhooks/common/rewards-list",
        WebhookEvent::RewardsQuery,
        Operation::new("listStoreRewards", "Lists the rewards of the program")
            .accepts::<SignedBody<KeyVerify>>(r#"{"t": 1772366400}"#)
            .returns::<webhook::DataEnvelope<Vec<webhook::StoreRewardResponse<'_>>>>()
            .rejects(&[(401, &[code::STALE_REQUEST])]),
    ),
];
