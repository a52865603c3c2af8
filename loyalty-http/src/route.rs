//! A route: its method and path, its handler, and its operation in the OpenAPI document.

use hyper::{Method, StatusCode};
use loyalty_store::{Scope, Store};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::endpoint::{Call, EncodedResponse, HandlerPlan};
use crate::integration::webhook::WebhookEvent;
use crate::problem::Problem;
use crate::problem::code::ProblemCode;

/// A method of a path.
///
/// # Example: the routes that need no key
/// ```
/// use loyalty_http::router::{Access, ROUTES};
/// let open = ROUTES.iter().filter(|route| route.access() == Access::Open);
/// let paths: Vec<_> = open.map(|route| route.pattern).collect();
/// assert_eq!(paths, ["/livez", "/readyz", "/healthz", "/", "/docs", "/openapi.json"]);
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    /// The method. A route of GET answers HEAD as well.
    pub method: Method,
    /// The path, with the names of its parameters in braces.
    pub pattern: &'static str,
    /// The names of its query parameters.
    pub query: &'static [&'static str],
    pub(crate) handler: RouteHandler,
    pub(crate) operation: Operation,
}

/// The handler of a route, with the authentication that it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RouteHandler {
    /// No key.
    Open(fn(&dyn Store) -> Result<EncodedResponse, Problem>),
    /// No key: the OpenAPI document. The app serves it: a handler here could not, since the
    /// document is built from the routes.
    Document,
    /// A bearer key with this scope.
    Bearer(Scope, Handler),
    /// A key with this scope in the header of Shopify's clients.
    Shopify(Scope, Handler),
    /// A key and a signature in the body, from a store plugin.
    Signed(WebhookEvent),
    /// A signature in the head, from a connected store.
    StoreWebhook,
}

type Handler = fn(&Call<'_>) -> Result<HandlerPlan, Problem>;

/// The authentication that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No key.
    Open,
    /// A bearer key with this scope.
    Bearer(Scope),
    /// A key with this scope in the header of Shopify's clients.
    Shopify(Scope),
    /// A signature: of a key in the body, from a store plugin, or in the head, from a
    /// connected store.
    Signed,
}

impl Route {
    /// The authentication that it needs.
    pub fn access(&self) -> Access {
        match self.handler {
            RouteHandler::Open(_) | RouteHandler::Document => Access::Open,
            RouteHandler::Bearer(scope, _) => Access::Bearer(scope),
            RouteHandler::Shopify(scope, _) => Access::Shopify(scope),
            RouteHandler::Signed(_) | RouteHandler::StoreWebhook => Access::Signed,
        }
    }

    /// The scope that a key needs; none for a route without a key.
    pub fn scope(&self) -> Option<Scope> {
        match self.access() {
            Access::Open => None,
            Access::Bearer(scope) | Access::Shopify(scope) => Some(scope),
            Access::Signed => Some(Scope::Write),
        }
    }

    /// True for a transaction, which an idempotency key of the client's executes once.
    pub(crate) fn is_idempotent_write(&self) -> bool {
        let (Access::Bearer(scope) | Access::Shopify(scope)) = self.access() else {
            return false;
        };
        self.method != Method::GET && scope != Scope::Read
    }
}

/// The name of a query parameter that makes a request change nothing.
const DRY_RUN: &[&str] = &["dry_run"];

pub(crate) const fn open(
    pattern: &'static str,
    handler: fn(&dyn Store) -> Result<EncodedResponse, Problem>,
    operation: Operation,
) -> Route {
    let handler = RouteHandler::Open(handler);
    Route { method: Method::GET, pattern, query: &[], handler, operation }
}

/// The document itself.
pub(crate) const fn document(pattern: &'static str, operation: Operation) -> Route {
    Route {
        method: Method::GET,
        pattern,
        query: &["profile"],
        handler: RouteHandler::Document,
        operation,
    }
}

pub(crate) const fn get(
    pattern: &'static str,
    query: &'static [&'static str],
    handler: Handler,
    operation: Operation,
) -> Route {
    let handler = RouteHandler::Bearer(Scope::Read, handler);
    Route { method: Method::GET, pattern, query, handler, operation }
}

/// A read that needs another scope than `read`.
pub(crate) const fn get_with_scope(
    pattern: &'static str,
    scope: Scope,
    query: &'static [&'static str],
    handler: Handler,
    operation: Operation,
) -> Route {
    let handler = RouteHandler::Bearer(scope, handler);
    Route { method: Method::GET, pattern, query, handler, operation }
}

pub(crate) const fn write(
    method: Method,
    pattern: &'static str,
    scope: Scope,
    handler: Handler,
    operation: Operation,
) -> Route {
    write_with_query(method, pattern, &[], scope, handler, operation)
}

pub(crate) const fn write_with_query(
    method: Method,
    pattern: &'static str,
    query: &'static [&'static str],
    scope: Scope,
    handler: Handler,
    operation: Operation,
) -> Route {
    Route {
        method,
        pattern,
        query,
        handler: RouteHandler::Bearer(scope, handler),
        operation,
    }
}

/// A decision of the rules. `?dry_run=true` returns it without a change.
pub(crate) const fn dry_runnable(
    method: Method,
    pattern: &'static str,
    handler: Handler,
    operation: Operation,
) -> Route {
    write_with_query(method, pattern, DRY_RUN, Scope::Write, handler, operation)
}

pub(crate) const fn shopify(
    method: Method,
    pattern: &'static str,
    query: &'static [&'static str],
    scope: Scope,
    handler: Handler,
    operation: Operation,
) -> Route {
    Route {
        method,
        pattern,
        query,
        handler: RouteHandler::Shopify(scope, handler),
        operation,
    }
}

pub(crate) const fn signed(
    pattern: &'static str,
    event: WebhookEvent,
    operation: Operation,
) -> Route {
    let handler = RouteHandler::Signed(event);
    Route {
        method: Method::POST,
        pattern,
        query: &[],
        handler,
        operation,
    }
}

pub(crate) const fn store_webhook(pattern: &'static str, operation: Operation) -> Route {
    Route {
        method: Method::POST,
        pattern,
        query: &[],
        handler: RouteHandler::StoreWebhook,
        operation,
    }
}

/// The schema of a type, which the generator adds to the document.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Codes of problems, by status.
pub(crate) type ProblemCodes = &'static [(u16, &'static [ProblemCode])];

/// The part of an operation of the document that its route does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: Option<&'static str>,
    /// Request headers besides `Idempotency-Key`.
    pub(crate) headers: &'static [&'static str],
    /// The query parameters that are required.
    pub(crate) required: &'static [&'static str],
    pub(crate) body: Option<RequestBody>,
    pub(crate) success: SuccessResponse,
    /// The codes of the handler's own problems.
    pub(crate) problems: ProblemCodes,
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestBody {
    pub(crate) schema: SchemaOf,
    /// JSON.
    pub(crate) example: &'static str,
    pub(crate) required: bool,
    /// Whether the body is read as any JSON and its members are validated later.
    pub(crate) is_document: bool,
}

/// The response of a request that succeeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuccessResponse {
    pub(crate) status: StatusCode,
    pub(crate) schema: Option<SchemaOf>,
    /// Another media type of the response.
    pub(crate) text: Option<&'static str>,
    pub(crate) headers: &'static [&'static str],
}

impl Operation {
    pub(crate) const fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            description: None,
            headers: &[],
            required: &[],
            body: None,
            success: SuccessResponse {
                status: StatusCode::NO_CONTENT,
                schema: None,
                text: None,
                headers: &[],
            },
            problems: &[],
        }
    }

    pub(crate) const fn described(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// A required body, with an example of it.
    pub(crate) const fn accepts<T: JsonSchema>(self, example: &'static str) -> Self {
        self.with_body::<T>(example, true, false)
    }

    /// A required body that is read as any JSON and validated later.
    pub(crate) const fn accepts_document<T: JsonSchema>(self, example: &'static str) -> Self {
        self.with_body::<T>(example, true, true)
    }

    /// A body that can be absent.
    pub(crate) const fn may_accept<T: JsonSchema>(self, example: &'static str) -> Self {
        self.with_body::<T>(example, false, false)
    }

    const fn with_body<T: JsonSchema>(
        mut self,
        example: &'static str,
        required: bool,
        is_document: bool,
    ) -> Self {
        let schema: SchemaOf = SchemaGenerator::subschema_for::<T>;
        self.body = Some(RequestBody { schema, example, required, is_document });
        self
    }

    /// 200 with a body.
    pub(crate) const fn returns<T: JsonSchema>(self) -> Self {
        self.with_success::<T>(StatusCode::OK)
    }

    /// 201 with a body.
    pub(crate) const fn creates<T: JsonSchema>(self) -> Self {
        self.with_success::<T>(StatusCode::CREATED)
    }

    /// 202 with a body.
    pub(crate) const fn accepts_later<T: JsonSchema>(self) -> Self {
        self.with_success::<T>(StatusCode::ACCEPTED)
    }

    /// 303 with a body.
    pub(crate) const fn redirects<T: JsonSchema>(self) -> Self {
        self.with_success::<T>(StatusCode::SEE_OTHER)
    }

    /// 204.
    pub(crate) const fn returns_nothing(self) -> Self {
        self
    }

    const fn with_success<T: JsonSchema>(mut self, status: StatusCode) -> Self {
        self.success.status = status;
        self.success.schema = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// The response in another media type as well.
    pub(crate) const fn or_text(mut self, media_type: &'static str) -> Self {
        self.success.text = Some(media_type);
        self
    }

    /// Headers of the response.
    pub(crate) const fn with_response_headers(mut self, names: &'static [&'static str]) -> Self {
        self.success.headers = names;
        self
    }

    /// Headers of the request besides `Idempotency-Key`.
    pub(crate) const fn with_headers(mut self, names: &'static [&'static str]) -> Self {
        self.headers = names;
        self
    }

    /// The query parameters that are required.
    pub(crate) const fn requires(mut self, names: &'static [&'static str]) -> Self {
        self.required = names;
        self
    }

    /// The codes of the handler's own problems, by status.
    pub(crate) const fn rejects(mut self, problems: ProblemCodes) -> Self {
        self.problems = problems;
        self
    }
}
