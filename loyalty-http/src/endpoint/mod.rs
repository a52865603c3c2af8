//! The endpoints of `/v1`, one file per resource.
//!
//! A handler is a plain function from a [`Call`] to a [`HandlerPlan`]. It parses the
//! request, and returns the action to execute and the functions that render its outcome.
//! The app executes the plan, so that idempotency, time limits and failures are handled
//! in one place.

pub(crate) mod actions;
pub(crate) mod administration;
pub(crate) mod carts;
pub(crate) mod categories;
pub(crate) mod customers;
pub(crate) mod discount_codes;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod order_lists;
pub(crate) mod orders;
pub(crate) mod points;
pub(crate) mod price_rules;
pub(crate) mod products;
pub(crate) mod program;
pub(crate) mod redemptions;
pub(crate) mod referrals;
pub(crate) mod reminders;
pub(crate) mod reports;
pub(crate) mod saved_searches;
pub(crate) mod tiers;
pub(crate) mod webhook_endpoints;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, IF_MATCH};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use ipnet::IpNet;
use loyalty_core::{ShopId, Timestamp};
use loyalty_store::{
    self as store, Action, ApiKeyRecord, Failure, Outcome, Receipt, Rejection, Shop, Store,
};
use matchit::Params;
use serde::{Deserialize, Serialize};

use administration::Administration;

use crate::network::{self, PublicUrl};
use crate::problem::{self, Problem};
use crate::reads::ReadCost;
use crate::request_id::RequestId;
use crate::sender::Sender;
use crate::store_inbox::StoreInbox;
use crate::throttle::Throttle;
use crate::wire::customer::CountResponse;
use crate::wire::json::field::FromText;
use crate::wire::query::Query;
use crate::wire::{json, percent, value};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A request that is routed, authenticated, authorized, and read in full.
pub(crate) struct Call<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) key: &'a ApiKeyRecord,
    pub(crate) shop: ShopId,
    pub(crate) now: Timestamp,
    pub(crate) head: &'a Parts,
    pub(crate) params: Params<'a, 'a>,
    pub(crate) query: Query<'a>,
    pub(crate) body: &'a [u8],
    /// The rate limit of failed code lookups.
    pub(crate) throttle: &'a Arc<Throttle>,
    /// The last messages of connected stores.
    pub(crate) inbox: &'a Arc<StoreInbox>,
    /// The private networks whose addresses may be called.
    pub(crate) allowed_networks: &'a [IpNet],
    /// The URL under which clients reach the server, if it is configured.
    pub(crate) public_url: Option<&'a PublicUrl>,
    /// The sender of events, if the server has one.
    pub(crate) sender: Option<&'a Arc<Sender>>,
}

impl<'a> Call<'a> {
    /// The shop of the key.
    pub(crate) fn shop_id(&self) -> ShopId {
        self.shop
    }

    /// The shop's record.
    pub(crate) fn shop(&self) -> Result<Arc<Shop>, Problem> {
        let shop = self.store.shop(self.shop).map_err(error::from_failure)?;
        shop.ok_or_else(|| Problem::internal("the key's shop is missing"))
    }

    /// A path parameter, decoded and parsed.
    pub(crate) fn path<T: FromText>(&self, name: &str) -> Result<T, Problem> {
        let raw = self.params.get(name).unwrap_or_default();
        let text = percent::decode(raw).ok_or_else(|| {
            Problem::bad_request("malformed_path", "The path is not percent-encoded UTF-8.")
                .with_param(name)
        })?;
        T::from_text(&text).map_err(|error| value::param_problem(error, name))
    }

    /// The URL under which the client reached the server; `None` if its `Host` is no plain
    /// one. Behind a proxy, the scheme is that of `X-Forwarded-Proto`.
    pub(crate) fn origin(&self) -> Option<String> {
        if let Some(url) = self.public_url {
            return Some(url.to_string());
        }

        let header = |name: HeaderName| self.head.headers.get(name)?.to_str().ok();
        let host = header(HOST).filter(|host| network::is_plain_authority(host))?;
        let is_https = header(X_FORWARDED_PROTO).is_some_and(|scheme| scheme == "https");
        Some(format!("{}://{host}", if is_https { "https" } else { "http" }))
    }

    /// The body, parsed as JSON.
    pub(crate) fn body<T: Deserialize<'a>>(&self) -> Result<T, Problem> {
        json::parse(self.body)
    }

    /// The body, or the default for an empty one.
    pub(crate) fn optional_body<T: Deserialize<'a> + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.body() }
    }

    /// The `ETag` in `If-Match`, if any. `*` requires only that the resource exists, which
    /// every route checks anyway. A list of several `ETag`s matches nothing.
    pub(crate) fn if_match(&self) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.head.headers.get(IF_MATCH) else {
            return Ok(None);
        };
        let malformed = |_| {
            Problem::bad_request("malformed_header", "The header is not ASCII.")
                .with_param("If-Match")
        };
        let tag = value.to_str().map_err(malformed)?.trim();
        Ok(Some(tag).filter(|tag| *tag != "*"))
    }
}

/// The result of a handler.
pub(crate) enum HandlerPlan {
    /// A response that is complete.
    Respond(EncodedResponse),
    /// A read that blocks, to be run on a separate thread.
    Read(ReadCost, Box<BlockingRead>),
    /// One transaction.
    Write(Box<StoreWrite>),
    /// One administrative transaction, to be run on a separate thread.
    Administer(Box<Administration>),
    /// A response that somebody else is waited for.
    Wait(WaitingResponse),
}

/// A response that comes later.
pub(crate) type WaitingResponse =
    Pin<Box<dyn Future<Output = Result<EncodedResponse, Problem>> + Send>>;

/// A read that may block its thread.
pub(crate) type BlockingRead = dyn FnOnce(&dyn Store) -> Result<EncodedResponse, Problem> + Send;

impl HandlerPlan {
    /// A read of a page or of a few records.
    pub(crate) fn read(
        read: impl FnOnce(&dyn Store) -> Result<EncodedResponse, Problem> + Send + 'static,
    ) -> Self {
        Self::Read(ReadCost::Page, Box::new(read))
    }

    /// The same plan with a read that costs more.
    pub(crate) fn costing(self, cost: ReadCost) -> Self {
        if let Self::Read(_, read) = self { Self::Read(cost, read) } else { self }
    }

    /// A read that responds with `{"count": …}`.
    pub(crate) fn count(
        count: impl FnOnce(&dyn Store) -> Result<u64, Failure> + Send + 'static,
    ) -> Self {
        Self::read(move |store| {
            let count = count(store).map_err(error::from_failure)?;
            Ok(EncodedResponse::ok(&CountResponse { count }))
        })
    }

    /// One transaction, with the status and the body of its success, and the `pointer` to
    /// the part of the request that causes a rejection.
    pub(crate) fn write(
        action: Action,
        status: StatusCode,
        body: impl FnOnce(&Receipt) -> Vec<u8> + Send + 'static,
        pointer: impl FnOnce(&Rejection) -> Option<String> + Send + 'static,
    ) -> Self {
        let response = ResponseBuilder {
            status,
            body: Box::new(body),
            pointer: Box::new(pointer),
            reports_conflict: true,
        };
        Self::Write(Box::new(StoreWrite { action, response }))
    }

    /// One transaction that deletes a resource and responds with 204.
    pub(crate) fn delete(
        action: Action,
        pointer: impl FnOnce(&Rejection) -> Option<String> + Send + 'static,
    ) -> Self {
        Self::write(action, StatusCode::NO_CONTENT, |_| Vec::new(), pointer)
    }

    /// The same plan with 422 instead of 409, for Shopify's clients.
    pub(crate) fn conflicts_as_unprocessable(mut self) -> Self {
        if let Self::Write(write) = &mut self {
            write.response.reports_conflict = false;
        }
        self
    }
}

/// One transaction, and the rendering of its outcome.
pub(crate) struct StoreWrite {
    pub(crate) action: Action,
    pub(crate) response: ResponseBuilder,
}

/// Renders an outcome. With an idempotency key this happens inside the transaction, so
/// these functions must be fast and must not query the store.
pub(crate) struct ResponseBuilder {
    /// The status of success.
    pub(crate) status: StatusCode,
    /// Renders the body of success.
    pub(crate) body: Box<ReceiptBody>,
    /// Finds the part of the request that causes a rejection.
    pub(crate) pointer: Box<ErrorPointer>,
    /// False if a conflict is 422 instead of 409.
    reports_conflict: bool,
}

type ReceiptBody = dyn FnOnce(&Receipt) -> Vec<u8> + Send;
type ErrorPointer = dyn FnOnce(&Rejection) -> Option<String> + Send;

impl ResponseBuilder {
    /// The response to an outcome, also to a rejection.
    pub(crate) fn build(self, outcome: &Outcome, id: RequestId) -> store::Response {
        match outcome {
            Ok(receipt) => {
                store::Response { status: self.status.as_u16(), body: (self.body)(receipt) }
            }
            Err(rejection) => {
                let problem = error::from_rejection(rejection, (self.pointer)(rejection));
                let problem = if self.reports_conflict {
                    problem
                } else {
                    problem.conflict_as_unprocessable()
                };
                store::Response {
                    status: problem.status().status().as_u16(),
                    body: problem.to_json(id),
                }
            }
        }
    }
}

/// A response with its encoded body: a success, or a stored rejection. All other errors
/// are a [`Problem`].
#[derive(Debug)]
pub(crate) struct EncodedResponse {
    status: StatusCode,
    body: Bytes,
    header: Option<(HeaderName, HeaderValue)>,
}

impl EncodedResponse {
    /// 200 with a body.
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json_text(to_json(body))
    }

    /// 200 with a body that is encoded already.
    pub(crate) fn json_text(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// Any status with a body that is encoded already.
    pub(crate) fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), header: None }
    }

    /// The same response with a header, if given.
    pub(crate) fn with_header(self, header: Option<(HeaderName, HeaderValue)>) -> Self {
        Self { header, ..self }
    }

    /// The HTTP response. The server adds `application/json`; a stored rejection gets the
    /// type of a problem.
    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status.is_client_error() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
        }
        headers.extend(self.header);
        response
    }
}

/// Encodes a body as JSON. This can't fail, because all bodies consist of strings,
/// numbers, lists and objects.
pub(crate) fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}
