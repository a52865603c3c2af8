//! The routes of connected stores.

use hyper::Method;
use loyalty_store::Scope;

use crate::connected_store::api;
use crate::connected_store::wire::{
    ReconciliationBody, ReconciliationResponse, StoreBody, StoreMessageResult,
    StoreMessagesResponse, StoreResponse, StoresResponse,
};
use crate::problem::code;
use crate::route::{Operation, Route, get_with_scope, store_webhook, write};
use crate::wire::redemption::{EmptyBody, RedemptionResponse};
use crate::wire::schema;

pub(super) const ROUTES: &[Route] = &[
    get_with_scope(
        "/v1/stores",
        Scope::Admin,
        &[],
        api::list,
        Operation::new("listStores", "Lists the connected stores").returns::<StoresResponse>(),
    ),
    get_with_scope(
        "/v1/stores/{store_id}",
        Scope::Admin,
        &[],
        api::show,
        Operation::new("getStore", "Shows a connected store, and whether it answers")
            .returns::<StoreResponse>()
            .rejects(&[(404, &[code::STORE_NOT_FOUND])]),
    ),
    write(
        Method::PUT,
        "/v1/stores/{store_id}",
        Scope::Admin,
        api::put,
        Operation::new("connectStore", "Connects a store, or changes how it is connected")
            .described(
                "The codes of redemptions that are issued from then on are published in the \
                 store, and withdrawn where it can do that. What it has done with a code stands \
                 in the redemption's `publications`. Credentials are stored sealed, and never \
                 shown again. For WooCommerce and Shopify, have the store send webhooks to \
                 `webhook_url`, signed with `webhook_secret`.",
            )
            .accepts::<StoreBody<'_>>(
                r#"{
                  "kind": "woocommerce",
                  "url": "https://tea.example.com",
                  "key": "ck_1a2b",
                  "secret": "cs_3c4d",
                  "webhook_secret": "5e6f"
                }"#,
            )
            .returns::<StoreResponse>()
            .rejects(&[(409, &[code::STORE_CONNECTED])]),
    ),
    write(
        Method::DELETE,
        "/v1/stores/{store_id}",
        Scope::Admin,
        api::delete,
        Operation::new("disconnectStore", "Disconnects a store")
            .described(
                "Codes that it has stay there. What waited for it is not delivered any more.",
            )
            .returns_nothing()
            .rejects(&[(404, &[code::STORE_NOT_FOUND])]),
    ),
    write(
        Method::POST,
        "/v1/stores/{store_id}/reconcile",
        Scope::Admin,
        api::reconcile,
        Operation::new("reconcileStore", "Fetches a store's orders that changed since an instant")
            .described(
                "For stores of the kind `woocommerce`. Their orders of the last day are fetched \
                 every hour by themselves; ask after a longer outage. What is known already \
                 changes nothing.",
            )
            .accepts::<ReconciliationBody>(r#"{"since": "2026-03-01T00:00:00Z"}"#)
            .returns::<ReconciliationResponse>()
            .rejects(&[(404, &[code::STORE_NOT_FOUND])]),
    ),
    write(
        Method::POST,
        "/v1/redemptions/{redemption_id}/publish",
        Scope::Write,
        api::publish,
        Operation::new("publishRedemption", "Publishes a code in the connected stores now")
            .described(
                "Codes are published by themselves. This tries again at once where a store has \
                 refused a code or has not answered, and says in `publications` what has become \
                 of it.",
            )
            .may_accept::<EmptyBody>("{}")
            .returns::<RedemptionResponse<'_>>()
            .rejects(&[(404, &[code::REDEMPTION_NOT_FOUND])]),
    ),
    get_with_scope(
        "/v1/stores/{store_id}/messages",
        Scope::Admin,
        &[],
        api::messages,
        Operation::new("listStoreMessages", "Lists the last messages that a store has sent")
            .described(
                "The last 500 since the server's start, newest first, with the reasons of those \
                 that were not recorded. They have nothing of the messages' content.",
            )
            .returns::<StoreMessagesResponse>()
            .rejects(&[(404, &[code::STORE_NOT_FOUND])]),
    ),
    store_webhook(
        "/integrations/stores/{shop_id}/{store_id}",
        Operation::new("receiveStoreMessage", "Receives a webhook of WooCommerce or Shopify")
            .described(
                "The signature in the store's own header is the only authentication. Orders, \
                 refunds, customers, products, merges and erasures are recorded. A message that \
                 is authentic is answered with 200, also if nothing of it can be recorded: \
                 `problems` says why. Each message can come again.",
            )
            .accepts::<schema::Anything>(r#"{"id": 450789469, "total_price": "54.95"}"#)
            .returns::<StoreMessageResult>(),
    ),
];
