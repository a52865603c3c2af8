//! Error responses: problem+json (RFC 9457).
//!
//! Programs read `code` (stable), `param` and `faults`; people read `detail`; Shopify's
//! client libraries read `errors`. A [`Problem`] is created where the error is found. It
//! becomes a response at the edge, where the request's id is known. Internal causes go to
//! the log under that id and never to the client.

pub(crate) mod code;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use self::code::FaultCode;
use crate::log::LineLimit;
use crate::request_id::RequestId;

/// The status of an error: 4xx or 5xx only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorStatus(StatusCode);

impl ErrorStatus {
    /// 400: the request is malformed.
    pub const BAD_REQUEST: Self = Self(StatusCode::BAD_REQUEST);
    /// 403: the key is valid but lacks the permission.
    pub const FORBIDDEN: Self = Self(StatusCode::FORBIDDEN);
    /// 404: unknown, or in another shop.
    pub const NOT_FOUND: Self = Self(StatusCode::NOT_FOUND);
    /// 409: the request conflicts with the current state.
    pub const CONFLICT: Self = Self(StatusCode::CONFLICT);
    /// 410: it was there, and is gone for good.
    pub const GONE: Self = Self(StatusCode::GONE);
    /// 412: the current state is not the one that the client has seen.
    pub const PRECONDITION_FAILED: Self = Self(StatusCode::PRECONDITION_FAILED);
    /// 422: the request is well-formed, but its values are invalid or the rules reject
    /// it.
    pub const UNPROCESSABLE: Self = Self(StatusCode::UNPROCESSABLE_ENTITY);
    /// 429: too many requests; the response says when to try again.
    pub const TOO_MANY_REQUESTS: Self = Self(StatusCode::TOO_MANY_REQUESTS);
    /// 503: temporarily unavailable.
    pub const UNAVAILABLE: Self = Self(StatusCode::SERVICE_UNAVAILABLE);

    /// The status as that of an error; `None` for 1xx, 2xx and 3xx.
    pub fn new(status: StatusCode) -> Option<Self> {
        (status.is_client_error() || status.is_server_error()).then_some(Self(status))
    }

    /// The status code.
    pub const fn status(self) -> StatusCode {
        self.0
    }
}

/// One fault of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// The JSON pointer of the fault in the body.
    pub pointer: String,
    /// The stable code of the fault.
    #[schemars(with = "FaultCode")]
    pub code: &'static str,
    /// The fault as a sentence.
    pub detail: Cow<'static, str>,
}

/// The value of an extension member (RFC 9457, 3.2), for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ExtensionValue {
    /// A number of points, bytes or seconds.
    Number(i64),
    /// A text, or an amount of money as a decimal in a string.
    Text(String),
}

impl From<i64> for ExtensionValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for ExtensionValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// An error response: a status, a stable code, and details.
///
/// It is a box, so that a `Result` without an error stays small.
///
/// # Example: a rejected value
/// ```
/// use loyalty_http::RequestId;
/// use loyalty_http::problem::Problem;
///
/// let problem = Problem::unprocessable("invalid_value", "The value must be positive.")
///     .with_param("/points")
///     .with_extension("limit", 10_000);
/// assert_eq!((problem.code(), problem.param()), ("invalid_value", Some("/points")));
/// assert_eq!(problem.into_response(RequestId::from_number(7)).status(), 422);
/// ```
#[derive(Clone, Debug)]
pub struct Problem(Box<ProblemParts>);

#[derive(Clone, Debug)]
struct ProblemParts {
    status: ErrorStatus,
    code: &'static str,
    detail: Cow<'static, str>,
    param: Option<String>,
    faults: Vec<Fault>,
    extensions: Vec<(&'static str, ExtensionValue)>,
    /// The header that the status requires: `Allow`, `Retry-After` or `WWW-Authenticate`.
    header: Option<(HeaderName, HeaderValue)>,
    /// The internal cause, for the log only.
    cause: Option<String>,
}

/// Constructors.
impl Problem {
    /// A problem with a status, a stable code, and a sentence for people.
    pub fn new(
        status: ErrorStatus,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(ProblemParts {
            status,
            code,
            detail: detail.into(),
            param: None,
            faults: Vec::new(),
            extensions: Vec::new(),
            header: None,
            cause: None,
        }))
    }

    /// 400: the request is malformed.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorStatus::BAD_REQUEST, code, detail)
    }

    /// 401: the key is missing, unknown or revoked.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::unauthenticated("unauthorized", detail)
    }

    /// 401: a signature that is valid but too old or too new.
    pub fn stale_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::unauthenticated("stale_request", detail)
    }

    /// 401 with the scheme that the client must use (RFC 9110, 15.5.2).
    fn unauthenticated(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::UNAUTHORIZED, code, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the key is valid but lacks the permission.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: unknown, or in another shop.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405, with the methods that the path supports.
    pub fn method_not_allowed(allowed: &[Method]) -> Self {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let list = names.join(", ");
        let problem = Self::from_status(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("This path supports {list}."),
        );
        match HeaderValue::try_from(list) {
            Ok(list) => problem.with_header(header::ALLOW, list),
            Err(_) => problem,
        }
    }

    /// 408: the client was too slow.
    pub fn request_timeout(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::REQUEST_TIMEOUT, code, detail)
    }

    /// 409: the request conflicts with the current state.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::CONFLICT, code, detail)
    }

    /// 412: `If-Match` has another version than the current one.
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 413: more bytes or more items than the limit.
    pub fn payload_too_large(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    /// 415: the media type or content encoding of the body is not supported.
    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422: the request is well-formed, but its values are invalid or the rules reject
    /// it.
    pub fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorStatus::UNPROCESSABLE, code, detail)
    }

    /// 429; `retry_after` is in seconds.
    pub fn too_many_requests(retry_after: u32, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from_status(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
            .with_retry_after(retry_after)
    }

    /// 500. The cause goes to the log under the request's id; the client gets the id
    ///      only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let problem = Self::from_status(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed. Retry the same request with the same Idempotency-Key: it takes \
             effect at most once.",
        );
        problem.with_cause(cause)
    }

    /// 503: temporarily unavailable; `retry_after` is in seconds. The cause goes to the
    /// log only.
    pub fn unavailable(retry_after: u32, cause: impl fmt::Display) -> Self {
        let problem = Self::from_status(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The server is temporarily unavailable. Retry the request later.",
        );
        problem.with_cause(cause).with_retry_after(retry_after)
    }

    /// Used by the constructors above, whose statuses are all 4xx or 5xx.
    fn from_status(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorStatus(status), code, detail)
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }
}

/// Members.
impl Problem {
    /// Adds the place of the error: a JSON pointer into the body, or the name of a path
    /// parameter, query parameter or header.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Adds all faults, each with its pointer.
    #[must_use]
    pub fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.0.faults = faults;
        self
    }

    /// Adds an extension member for programs, for example `have`, `need` or `limit`.
    #[must_use]
    pub fn with_extension(mut self, name: &'static str, value: impl Into<ExtensionValue>) -> Self {
        self.0.extensions.push((name, value.into()));
        self
    }

    /// Adds `Retry-After`, in seconds.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// Adds the internal cause, which goes to the log and never to the client.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Turns 409 into 422, the only status whose `errors` Shopify's clients show.
    #[must_use]
    pub fn conflict_as_unprocessable(mut self) -> Self {
        if self.0.status == ErrorStatus::CONFLICT {
            self.0.status = ErrorStatus::UNPROCESSABLE;
        }
        self
    }

    /// The status of the response.
    pub fn status(&self) -> ErrorStatus {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The place of the error, if known: see [`Problem::with_param`].
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

/// Rendering.
impl Problem {
    /// The response to the request `id`. Logs the cause, if any; of 503 one a second.
    pub fn into_response(self, id: RequestId) -> Response<Full<Bytes>> {
        static UNAVAILABLE: LineLimit = LineLimit::new();
        let status = self.0.status.status();
        let is_logged = status != StatusCode::SERVICE_UNAVAILABLE || UNAVAILABLE.admits();
        if let Some(cause) = self.0.cause.as_ref().filter(|_| is_logged) {
            tracing::error!(request_id = %id, status = status.as_u16(), cause, "request failed");
        }

        let mut response = Response::new(Full::new(Bytes::from(self.to_json(id))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some((name, value)) = self.0.header {
            headers.insert(name, value);
        }
        response
    }

    /// The body only, for a stored response.
    pub fn to_json(&self, id: RequestId) -> Vec<u8> {
        serde_json::to_vec(&ProblemDocument { parts: &self.0, id }).unwrap_or_default()
    }
}

/// The media type of the body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The members of the body, in order.
struct ProblemDocument<'a> {
    parts: &'a ProblemParts,
    id: RequestId,
}

impl Serialize for ProblemDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = self.parts;
        let status = parts.status.status();
        let mut map = serializer.serialize_map(None)?;

        // With `about:blank` the title is the status's own phrase (RFC 9457, 4.2.1).
        map.serialize_entry("type", "about:blank")?;
        map.serialize_entry("title", status.canonical_reason().unwrap_or("Error"))?;
        map.serialize_entry("status", &status.as_u16())?;
        map.serialize_entry("code", parts.code)?;
        map.serialize_entry("detail", &parts.detail)?;

        if let Some(param) = &parts.param {
            map.serialize_entry("param", param)?;
        }
        map.serialize_entry("request_id", self.id.as_str())?;
        for (name, value) in &parts.extensions {
            map.serialize_entry(name, value)?;
        }
        if !parts.faults.is_empty() {
            map.serialize_entry("faults", &parts.faults)?;
        }

        map.serialize_entry("errors", &shopify_errors(parts))?;
        map.end()
    }
}

/// Shopify's form of errors: `{field: [texts]}`, with `base` for errors that concern no
/// field.
fn shopify_errors(parts: &ProblemParts) -> BTreeMap<Cow<'_, str>, Vec<&str>> {
    let mut errors: BTreeMap<Cow<'_, str>, Vec<&str>> = BTreeMap::new();
    for fault in &parts.faults {
        let texts = errors.entry(field_of_pointer(&fault.pointer)).or_default();
        texts.push(&fault.detail);
    }
    if errors.is_empty() {
        let field = parts.param.as_deref().map_or("base".into(), field_of_pointer);
        errors.insert(field, vec![&parts.detail]);
    }
    errors
}

/// The field of a JSON pointer: its last segment that is not an array index. The name of
/// a query parameter or header is returned unchanged.
fn field_of_pointer(param: &str) -> Cow<'_, str> {
    if !param.starts_with('/') && !param.is_empty() {
        return param.into();
    }
    let is_name = |part: &&str| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit());
    match param.rsplit('/').find(is_name) {
        Some(part) if part.contains('~') => part.replace("~1", "/").replace("~0", "~").into(),
        Some(part) => part.into(),
        None => "base".into(),
    }
}

/// Turns the message of an error into a sentence: with a capital and a full stop.
pub(crate) fn to_sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    fn respond(problem: Problem) -> (hyper::http::response::Parts, Value) {
        let id = RequestId::sample();
        let (head, body) = problem.into_response(id).into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
        (head, serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn only_4xx_and_5xx_are_error_statuses() {
        for code in [200, 204, 303, 100] {
            assert_eq!(ErrorStatus::new(StatusCode::from_u16(code).unwrap()), None);
        }
        for code in [400, 418, 499, 500, 503] {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(ErrorStatus::new(status).unwrap().status(), status);
        }
    }

    #[test]
    fn the_whole_document() {
        let problem = Problem::unprocessable("not_enough_points", "There are 40 points, not 100.")
            .with_param("/points")
            .with_extension("have", 40)
            .with_extension("need", 100);
        let (head, body) = respond(problem);
        assert_eq!(head.status, 422);
        assert_eq!(head.headers["content-type"], "application/problem+json");
        assert_eq!(
            body,
            json!({
                "type": "about:blank",
                "title": "Unprocessable Entity",
                "status": 422,
                "code": "not_enough_points",
                "detail": "There are 40 points, not 100.",
                "param": "/points",
                "request_id": RequestId::sample().as_str(),
                "have": 40,
                "need": 100,
                "errors": {"points": ["There are 40 points, not 100."]},
            })
        );
    }

    #[test]
    fn faults_are_all_listed_and_grouped_by_field() {
        let fault = |pointer: &str, detail: &'static str| Fault {
            pointer: pointer.into(),
            code: "invalid_value",
            detail: detail.into(),
        };
        let (_, body) = respond(
            Problem::unprocessable("invalid_program", "The program has 4 faults.").with_faults(
                vec![
                    fault("/rules/0/rate", "a"),
                    fault("/rules/1/rate", "b"),
                    fault("/tags/3", "c"),
                    fault("", "d"),
                ],
            ),
        );
        assert_eq!(body["faults"].as_array().unwrap().len(), 4);
        assert_eq!(body["faults"][1]["pointer"], "/rules/1/rate");
        assert_eq!(body["errors"], json!({"rate": ["a", "b"], "tags": ["c"], "base": ["d"]}));
    }

    #[test]
    fn fields_of_pointers_and_names() {
        let rows = [
            ("/customer/email", "email"),
            ("/lines/0/price", "price"),
            ("/lines/0", "lines"),
            ("/a~1b~0c", "a/b~c"),
            ("", "base"),
            ("/", "base"),
            ("/0", "base"),
            ("limit", "limit"),
            ("Idempotency-Key", "Idempotency-Key"),
        ];
        for (param, expected) in rows {
            assert_eq!(field_of_pointer(param), expected, "{param}");
        }
    }

    #[test]
    fn each_status_has_its_header() {
        let (head, _) = respond(Problem::unauthorized("No key."));
        assert_eq!(head.status, 401);
        assert_eq!(head.headers["www-authenticate"], "Bearer");
        let (head, _) = respond(Problem::method_not_allowed(&[Method::GET, Method::PATCH]));
        assert_eq!(head.status, 405);
        assert_eq!(head.headers["allow"], "GET, PATCH");
        let (head, _) = respond(Problem::too_many_requests(17, "Too fast."));
        assert_eq!(head.status, 429);
        assert_eq!(head.headers["retry-after"], "17");
    }

    #[test]
    fn a_cause_is_not_sent_to_the_client() {
        for problem in [
            Problem::internal("disk I/O error at page 7"),
            Problem::unavailable(1, "disk I/O error at page 7"),
        ] {
            let (_, body) = respond(problem);
            assert!(!body.to_string().contains("disk"), "{body}");
            assert_eq!(body["request_id"], RequestId::sample().as_str());
        }
    }
}
