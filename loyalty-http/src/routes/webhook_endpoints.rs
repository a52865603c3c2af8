//! The routes of webhook endpoints.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::webhook_endpoints;
use crate::problem::code;
use crate::route::{Operation, Route, get_with_scope, write};
use crate::wire::key::RotationBody;
use crate::wire::webhook_endpoint::{
    AttemptResponse, CreatedEndpointResponse, DeliveriesResponse, EndpointChangeBody,
    EndpointResponse, EndpointStatusResponse, EndpointsResponse, NewEndpointBody, RecoveryBody,
};

const NOT_FOUND: (u16, &[code::ProblemCode]) = (404, &[code::WEBHOOK_ENDPOINT_NOT_FOUND]);

pub(super) const ROUTES: &[Route] = &[
    write(
        Method::POST,
        "/v1/webhook-endpoints",
        Scope::Admin,
        webhook_endpoints::create,
        Operation::new("createWebhookEndpoint", "Creates a webhook endpoint")
            .described(
                "It gets events that happen from now on, signed as Standard Webhooks 1.0.0 says. \
                 The secret is shown once. A shop has at most 20 endpoints.",
            )
            .accepts::<NewEndpointBody<'_>>(
                r#"{"url": "https://shop.example/hooks", "events": ["points.earned"]}"#,
            )
            .creates::<CreatedEndpointResponse<'_>>()
            .rejects(&[(409, &[code::TOO_MANY_WEBHOOK_ENDPOINTS]), (422, &[code::INVALID_VALUE])]),
    ),
    get_with_scope(
        "/v1/webhook-endpoints",
        Scope::Admin,
        &[],
        webhook_endpoints::list,
        Operation::new("listWebhookEndpoints", "Lists the webhook endpoints")
            .returns::<EndpointsResponse<'_>>(),
    ),
    get_with_scope(
        "/v1/webhook-endpoints/{endpoint_id}",
        Scope::Admin,
        &[],
        webhook_endpoints::get,
        Operation::new("getWebhookEndpoint", "Reads a webhook endpoint, and how far it has got")
            .returns::<EndpointStatusResponse<'_>>()
            .rejects(&[NOT_FOUND]),
    ),
    write(
        Method::PATCH,
        "/v1/webhook-endpoints/{endpoint_id}",
        Scope::Admin,
        webhook_endpoints::update,
        Operation::new("updateWebhookEndpoint", "Changes a webhook endpoint")
            .described(
                "Disabled, it gets nothing. Enabled again, it goes on where it stopped: it gets \
                 what has happened meanwhile, in order.",
            )
            .accepts::<EndpointChangeBody<'_>>(r#"{"enabled": false}"#)
            .returns::<EndpointResponse<'_>>()
            .rejects(&[NOT_FOUND, (422, &[code::INVALID_VALUE])]),
    ),
    write(
        Method::DELETE,
        "/v1/webhook-endpoints/{endpoint_id}",
        Scope::Admin,
        webhook_endpoints::delete,
        Operation::new("deleteWebhookEndpoint", "Deletes a webhook endpoint")
            .returns_nothing()
            .rejects(&[NOT_FOUND]),
    ),
    write(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint_id}/secret/rotate",
        Scope::Admin,
        webhook_endpoints::rotate,
        Operation::new("rotateWebhookSecret", "Gives a webhook endpoint a new secret")
            .described(
                "Messages have a signature for each secret that is valid: for a day, or as long \
                 as the request says, also for the one before it.",
            )
            .may_accept::<RotationBody>(r#"{"grace_seconds": 3600}"#)
            .creates::<CreatedEndpointResponse<'_>>()
            .rejects(&[NOT_FOUND]),
    ),
    write(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint_id}/test",
        Scope::Admin,
        webhook_endpoints::test,
        Operation::new("testWebhookEndpoint", "Sends a made-up event to a webhook endpoint")
            .described(
                "Its type is `webhook_endpoint.test`. The response says what the receiver has \
                 answered, and nothing is noted. Each request sends one, also with the same \
                 Idempotency-Key.",
            )
            .returns::<AttemptResponse>()
            .rejects(&[NOT_FOUND]),
    ),
    get_with_scope(
        "/v1/webhook-endpoints/{endpoint_id}/deliveries",
        Scope::Admin,
        &["limit", "cursor", "status"],
        webhook_endpoints::deliveries,
        Operation::new("listDeliveries", "Lists the deliveries to a webhook endpoint")
            .described(
                "Those that wait (the default), were given up (`status=dead`), or succeeded \
                 (`status=delivered`). Of the successes the server remembers the last 100 until \
                 it stops, the newest first.",
            )
            .returns::<DeliveriesResponse>()
            .with_response_headers(&["Link"])
            .rejects(&[NOT_FOUND, (422, &[code::INVALID_VALUE])]),
    ),
    write(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/resend",
        Scope::Admin,
        webhook_endpoints::resend,
        Operation::new("resendDelivery", "Delivers an event again")
            .described("Also one that was given up or delivered. It has the same `webhook-id`.")
            .accepts_later::<EndpointResponse<'_>>()
            .rejects(&[(404, &[code::DELIVERY_NOT_FOUND, code::WEBHOOK_ENDPOINT_NOT_FOUND])]),
    ),
    write(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint_id}/recover",
        Scope::Admin,
        webhook_endpoints::recover,
        Operation::new("recoverWebhookEndpoint", "Delivers all events since an instant again")
            .described(
                "Each has the `webhook-id` that it had. A recovery that is under way is replaced.",
            )
            .accepts::<RecoveryBody>(r#"{"since": "2026-03-01T00:00:00Z"}"#)
            .accepts_later::<EndpointResponse<'_>>()
            .rejects(&[NOT_FOUND]),
    ),
];
