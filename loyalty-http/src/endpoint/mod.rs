//! The endpoints of `/v1`, one file a resource.
//!
//! A handler is a plain function from a [`Call`] to [`HandlerPlan`]: it parses, and says what is to be executed
//! and how the outcome is answered. The app carries it out, so idempotency, time limits and failures are
//! dealt with in one place and for all alike.

pub(crate) mod actions;
pub(crate) mod carts;
pub(crate) mod categories;
pub(crate) mod customers;
pub(crate) mod discount_codes;
pub(crate) mod error;
pub(crate) mod health;
pub(crate) mod key;
pub(crate) mod ledger;
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

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use loyalty_core::{ShopId, Timestamp};
use loyalty_store::{
    self as store, Action, ApiKeyRecord, Failure, Outcome, Receipt, Rejection, Shop, Store,
};
use matchit::Params;
use serde::{Deserialize, Serialize};

use crate::problem::{self, Problem};
use crate::server::RequestId;
use crate::throttle::Throttle;
use crate::wire::customer::CountResponse;
use crate::wire::json::field::FromText;
use crate::wire::query::Query;
use crate::wire::{json, percent, value};

/// A request that was recognized: routed, authenticated, allowed, and here in full.
pub(crate) struct Call<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) key: &'a ApiKeyRecord,
    pub(crate) now: Timestamp,
    pub(crate) head: &'a Parts,
    pub(crate) params: Params<'a, 'a>,
    pub(crate) query: Query<'a>,
    pub(crate) body: &'a [u8],
    /// Who looked for codes in vain of late.
    pub(crate) throttle: &'a Arc<Throttle>,
}

impl<'a> Call<'a> {
    /// Whose request it is.
    pub(crate) fn shop_id(&self) -> ShopId {
        self.key.shop
    }

    /// The shop's record.
    pub(crate) fn shop(&self) -> Result<Arc<Shop>, Problem> {
        let shop = self.store.shop(self.key.shop).map_err(error::from_failure)?;
        shop.ok_or_else(|| Problem::internal("a key without a shop"))
    }

    /// A value of the path.
    pub(crate) fn path<T: FromText>(&self, name: &str) -> Result<T, Problem> {
        let raw = self.params.get(name).unwrap_or_default();
        let text = percent::decode(raw).ok_or_else(|| {
            Problem::bad_request("malformed_path", "The path is not percent-encoded UTF-8.")
                .with_param(name)
        })?;
        T::from_text(&text).map_err(|refusal| value::param_problem(refusal, name))
    }

    /// The body.
    pub(crate) fn body<T: Deserialize<'a>>(&self) -> Result<T, Problem> {
        json::parse(self.body)
    }

    /// The state that the client saw, where it says one. `*` only asks for something to be there, which
    /// every route asks anyway. Of a list none matches: no client of ours has seen two states.
    pub(crate) fn if_match(&self) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.head.headers.get(IF_MATCH) else {
            return Ok(None);
        };
        let not_text = |_| {
            Problem::bad_request("malformed_header", "This header is not ASCII.")
                .with_param("If-Match")
        };
        let tag = value.to_str().map_err(not_text)?.trim();
        Ok(Some(tag).filter(|tag| *tag != "*"))
    }
}

/// What a handler asks for.
pub(crate) enum HandlerPlan {
    /// Nothing more: this is the answer.
    Respond(EncodedResponse),
    /// A read that can take its time, on a thread where it does not hold up others.
    Read(Box<BlockingRead>),
    /// One transaction.
    Write(Box<StoreWrite>),
}

/// Runs on another thread.
pub(crate) type BlockingRead = dyn FnOnce(&dyn Store) -> Result<EncodedResponse, Problem> + Send;

impl HandlerPlan {
    /// A read that can take its time.
    pub(crate) fn read(
        scan: impl FnOnce(&dyn Store) -> Result<EncodedResponse, Problem> + Send + 'static,
    ) -> Self {
        Self::Read(Box::new(scan))
    }

    /// `{"count": …}`
    pub(crate) fn count(
        count: impl FnOnce(&dyn Store) -> Result<u64, Failure> + Send + 'static,
    ) -> Self {
        Self::read(move |store| {
            let count = count(store).map_err(error::from_failure)?;
            Ok(EncodedResponse::ok(&CountResponse { count }))
        })
    }

    /// One transaction, whose success has this status and body.
    pub(crate) fn write(
        action: Action,
        status: StatusCode,
        body: impl FnOnce(&Receipt) -> Vec<u8> + Send + 'static,
        blame: impl FnOnce(&Rejection) -> Option<String> + Send + 'static,
    ) -> Self {
        let outcome = ResponseBuilder {
            status,
            body: Box::new(body),
            pointer: Box::new(blame),
            reports_conflict: true,
        };
        Self::Write(Box::new(StoreWrite { action, response: outcome }))
    }

    /// One transaction that takes something away, and has nothing to say of it.
    pub(crate) fn delete(
        action: Action,
        blame: impl FnOnce(&Rejection) -> Option<String> + Send + 'static,
    ) -> Self {
        Self::write(action, StatusCode::NO_CONTENT, |_| Vec::new(), blame)
    }

    /// The same for clients that know no 409: what clashes with what is there is 422.
    pub(crate) fn conflicts_as_unprocessable(mut self) -> Self {
        if let Self::Write(write) = &mut self {
            write.response.reports_conflict = false;
        }
        self
    }
}

/// One transaction, and what is said of its outcome.
pub(crate) struct StoreWrite {
    pub(crate) action: Action,
    pub(crate) response: ResponseBuilder,
}

/// How an outcome is answered. With an idempotency key that happens inside the transaction, so these
/// functions must be quick and must not ask the store.
pub(crate) struct ResponseBuilder {
    /// The status of success.
    pub(crate) status: StatusCode,
    /// The body of success.
    pub(crate) body: Box<ReceiptBody>,
    /// Where in the request the reason of a rejection stands.
    pub(crate) pointer: Box<ErrorPointer>,
    /// Whether a clash is said as 409.
    reports_conflict: bool,
}

type ReceiptBody = dyn FnOnce(&Receipt) -> Vec<u8> + Send;
type ErrorPointer = dyn FnOnce(&Rejection) -> Option<String> + Send;

impl ResponseBuilder {
    /// The bytes for the client, a rejection's too.
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

/// An answer whose bytes are there: a good one, or a rejection that was kept. What else is refused is a
/// [`Problem`].
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

    /// 200 with a body that is JSON already.
    pub(crate) fn json_text(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// Any status.
    pub(crate) fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), header: None }
    }

    /// With a header, where there is one.
    pub(crate) fn with_header(self, header: Option<(HeaderName, HeaderValue)>) -> Self {
        Self { header, ..self }
    }

    /// The response. The edge adds `application/json`; a rejection that was kept is a problem.
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

/// A body. All that is answered are structures of strings, numbers and lists, which can be written.
pub(crate) fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}
