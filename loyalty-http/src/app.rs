//! The application: the steps of a request between the server and the store.
//!
//! They are: route, authenticate, authorize, read the body, parse, execute, respond. Each
//! step can fail with a [`Problem`].

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use loyalty_core::{ShopId, StoreId, Timestamp};
use loyalty_store::{self as store, Cancellation, Idempotency, Outcome, Reply, Store};
use matchit::Params;
use tokio::task;
use tokio::time::timeout;

use crate::auth;
use crate::body::{self, AcceptedMedia, PrefixCheck};
use crate::clock::Clock;
use crate::config::Config;
use crate::connected_store;
use crate::connected_store::fetch::StoreFetcher;
use crate::connected_store::webhook::{ReceivedMessage, RefundsToFetch};
use crate::endpoint::administration::Administration;
use crate::endpoint::redemptions::draw_entropy;
use crate::endpoint::{BlockingRead, Call, EncodedResponse, HandlerPlan, StoreWrite, error};
use crate::idempotency::{self, IdempotencyRecord};
use crate::integration::webhook::{self, Delivery, ParsedDelivery, WebhookEvent};
use crate::log::{RequestLog, Stopwatch};
use crate::long_work::{self, LONG_BODY};
use crate::metrics::Metrics;
use crate::openapi;
use crate::problem::Problem;
use crate::reads::{CancelOnDrop, LongReads, ReadCost};
use crate::request_id::RequestId;
use crate::response_budget::ResponseBudget;
use crate::route::RouteHandler;
use crate::router::{MatchedRoute, ROUTES, Router};
use crate::sender::Sender;
use crate::server::ReservedPlace;
use crate::store_inbox::StoreInbox;
use crate::throttle::Throttle;
use crate::trace_id::TraceId;
use crate::wire::query::Query;
use crate::wire::value::parse_number;

/// A loyalty server without its socket.
///
/// # Example: a request without a server
/// ```
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use loyalty_http::{App, Clock, RequestId};
/// use loyalty_store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hyper::http::Error> {
/// let app = App::new(Arc::new(MemoryStore::default()), Clock::system());
/// let request = hyper::Request::get("/livez").body(Empty::<Bytes>::new())?;
/// let response = app.handle(request, RequestId::from_number(1)).await;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
pub struct App {
    store: Arc<dyn Store>,
    clock: Clock,
    config: Config,
    router: Router,
    throttle: Arc<Throttle>,
    inbox: Arc<StoreInbox>,
    response_budget: ResponseBudget,
    long_reads: LongReads,
    metrics: Option<Arc<Metrics>>,
    sender: Option<Arc<Sender>>,
}

/// The facts about a request that its log line and its headers need, as far as they are known.
#[derive(Default)]
struct RequestTrace {
    route: Option<&'static str>,
    shop: Option<ShopId>,
    /// True if the response is about a shop, and so may have personal data.
    is_private: bool,
}

/// The context in which a plan is executed.
struct RequestContext {
    shop: ShopId,
    now: Timestamp,
    /// True if a write must change nothing.
    dry_run: bool,
    idempotency: Option<IdempotencyRecord>,
    id: RequestId,
}

impl App {
    /// An application on a store, with the default limits.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let config = Config::default();
        Self {
            store,
            clock,
            response_budget: ResponseBudget::new(config.response_bytes),
            config,
            router: Router::new(&ROUTES),
            throttle: Arc::default(),
            inbox: Arc::default(),
            long_reads: LongReads::default(),
            metrics: None,
            sender: None,
        }
    }

    /// The same application with other limits.
    #[must_use]
    pub fn with_config(self, config: Config) -> Self {
        let response_budget = ResponseBudget::new(config.response_bytes);
        Self { config, response_budget, ..self }
    }

    /// The same application, which records its requests in `metrics`.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// The same application, which tells `sender` of changed destinations and asks it to test
    /// them.
    #[must_use]
    pub fn with_sender(self, sender: Arc<Sender>) -> Self {
        Self { sender: Some(sender), ..self }
    }

    /// Answers one request, from [`server::run`](crate::server::run) or any other caller.
    /// Errors are responses, too.
    pub async fn handle<B>(&self, request: Request<B>, id: RequestId) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (time, begun) = (Stopwatch::start(), Instant::now());
        let (head, body) = request.into_parts();
        let mut trace = RequestTrace::default();

        let mut response = match self.answer(&head, body, id, &mut trace).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(id),
        };
        // A shared cache may not know that the key is in another header than `Authorization`.
        if trace.is_private {
            response
                .headers_mut()
                .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }

        let (route, shop, status) = (trace.route, trace.shop, response.status());
        if let Some(metrics) = &self.metrics {
            metrics.record(&head.method, route, status, begun.elapsed());
        }
        let client_trace = TraceId::from_headers(&head.headers);
        RequestLog {
            id,
            trace: client_trace,
            method: &head.method,
            route,
            shop,
            status,
            time,
        }
        .log();
        response
    }

    async fn answer<B>(
        &self,
        head: &Parts,
        body: B,
        id: RequestId,
        trace: &mut RequestTrace,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let MatchedRoute { route, params } = self.router.find(&head.method, head.uri.path())?;
        trace.route = Some(route.pattern);
        trace.is_private = !matches!(route.handler, RouteHandler::Open(_) | RouteHandler::Document);

        let now = self.clock.now();
        let (scope, handler, key) = match route.handler {
            RouteHandler::Open(handler) => {
                return handler(&*self.store).map(EncodedResponse::into_response);
            }
            // All places for connections are taken: only health checks are answered.
            _ if head.extensions.get::<ReservedPlace>().is_some() => {
                return Err(Problem::unavailable(1, "all connections are in use"));
            }
            RouteHandler::Document => {
                let query = Query::parse(head.uri.query(), route.query)?;
                return openapi::respond(&query).map(EncodedResponse::into_response);
            }
            RouteHandler::Bearer(scope, handler) => {
                (scope, handler, auth::authenticate(&*self.store, &head.headers, now)?)
            }
            RouteHandler::Shopify(scope, handler) => {
                (scope, handler, auth::authenticate_shopify(&*self.store, &head.headers, now)?)
            }
            RouteHandler::StoreWebhook => {
                return Box::pin(self.receive_store_message(head, body, &params, trace)).await;
            }
            RouteHandler::Signed(event) => {
                let platform = params.get("platform").unwrap_or(webhook::COMMON);
                return Box::pin(self.receive_webhook(head, body, (platform, event), id, trace))
                    .await;
            }
        };
        trace.shop = key.owner.shop();
        auth::authorize(&key, scope)?;
        let shop = key.owner.shop().ok_or_else(|| auth::missing_scope(scope))?;

        let query = match route.handler {
            RouteHandler::Shopify(..) => Query::parse_known(head.uri.query(), route.query)?,
            RouteHandler::Open(_)
            | RouteHandler::Document
            | RouteHandler::Bearer(..)
            | RouteHandler::Signed(_)
            | RouteHandler::StoreWebhook => Query::parse(head.uri.query(), route.query)?,
        };
        let (record, body) = if route.method == Method::GET {
            (None, Bytes::new())
        } else {
            let key = idempotency::parse_key(head)?;
            let body =
                body::read(&head.headers, body, self.config.body, AcceptedMedia::Json).await?;
            (key.map(|key| IdempotencyRecord::new(key, head, &body)), body)
        };
        let (now, dry_run) = (self.clock.now(), query.flag("dry_run")?);
        // The response of a dry run is not stored, so that the key stays free for the
        // real request.
        let record = record.filter(|_| !dry_run);

        let call = Call {
            store: &*self.store,
            key: &key,
            shop,
            now,
            head,
            params,
            query,
            body: &body,
            throttle: &self.throttle,
            inbox: &self.inbox,
            allowed_networks: &self.config.allowed_networks,
            public_url: self.config.public_url.as_ref(),
            sender: self.sender.as_ref(),
        };
        match long_work::run(body.len() >= LONG_BODY, || handler(&call)) {
            Ok(plan) => {
                let context = RequestContext { shop, now, dry_run, idempotency: record, id };
                self.execute_plan(plan, context).await
            }
            Err(problem) => self.stored_response(shop, record, now)?.ok_or(problem),
        }
    }

    /// The stored response to a request that the handler now rejects, if any: the first
    /// request may have deleted its own target.
    fn stored_response(
        &self,
        shop: ShopId,
        record: Option<IdempotencyRecord>,
        now: Timestamp,
    ) -> Result<Option<Response<Full<Bytes>>>, Problem> {
        let Some(IdempotencyRecord { key, fingerprint }) = record else {
            return Ok(None);
        };
        let stored = self
            .store
            .stored_response(shop, &key, &fingerprint, now)
            .map_err(error::from_failure)?;
        stored.map(|response| into_http(response, true)).transpose()
    }

    /// Answers a delivery of a store plugin. The shop follows from the key in the body.
    async fn receive_webhook<B>(
        &self,
        head: &Parts,
        body: B,
        (platform, event): (&str, WebhookEvent),
        id: RequestId,
        trace: &mut RequestTrace,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let check = PrefixCheck {
            bytes: webhook::MAX_UNKNOWN_BODY,
            admit: |prefix: &[u8]| webhook::admit_prefix(&*self.store, prefix, self.clock.now()),
        };
        let body =
            body::read_checked(&head.headers, body, self.config.body, AcceptedMedia::Any, check)
                .await?;
        let now = self.clock.now();
        let allowed_networks = &*self.config.allowed_networks;
        let delivery = Delivery {
            platform,
            event,
            body: &body,
            id: id.as_str(),
            now,
            allowed_networks,
        };
        let receive = || webhook::receive(&*self.store, delivery);
        let ParsedDelivery { shop, plan, idempotency } =
            long_work::run(body.len() >= LONG_BODY, receive)?;
        trace.shop = Some(shop);

        self.execute_plan(plan, RequestContext { shop, now, dry_run: false, idempotency, id })
            .await
    }

    /// Answers a message of a connected store. The shop and the store follow from the path.
    async fn receive_store_message<B>(
        &self,
        head: &Parts,
        body: B,
        params: &Params<'_, '_>,
        trace: &mut RequestTrace,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let shop = params.get("shop_id").and_then(parse_number).map(ShopId);
        let store_id = params.get("store_id").and_then(StoreId::new);
        let (Some(shop), Some(store_id)) = (shop, store_id) else {
            return Err(connected_store::webhook::not_authentic());
        };
        let body = body::read(&head.headers, body, self.config.body, AcceptedMedia::Any).await?;
        trace.shop = Some(shop);

        let (store, inbox) = (Arc::clone(&self.store), Arc::clone(&self.inbox));
        let (head, now) = (head.headers.clone(), self.clock.now());
        let received = task::spawn_blocking(move || {
            let message = ReceivedMessage { shop, store_id, head: &head, body: &body, now };
            connected_store::webhook::receive(&*store, &inbox, &message)
        });
        let answer = match timeout(self.config.store_timeout, received).await {
            Ok(Ok(answer)) => answer?,
            Ok(Err(error)) => return Err(Problem::internal(error)),
            Err(_) => return Err(error::unknown_outcome("the store did not respond in time")),
        };
        if let Some(refunds) = answer.fetch {
            self.fetch_refunds(shop, refunds, now).await;
        }
        Ok(answer.response.into_response())
    }

    /// Fetches the refunds of an order. A failure is no failure of the message: what is missing
    /// comes with the next message about the order, or with the next reconciliation.
    async fn fetch_refunds(&self, shop: ShopId, refunds: RefundsToFetch, now: Timestamp) {
        let Some(sender) = &self.sender else { return };
        let client = sender.outside().client.clone();
        let RefundsToFetch { connected, currency, order } = refunds;
        let (store, id) = (Arc::clone(&self.store), connected.id.clone());
        let fetcher = StoreFetcher { client, store, shop, currency, connected };
        if let Err(error) = fetcher.fetch_refunds(order, now).await {
            tracing::warn!(shop = shop.0, store = %id, %error, "Refunds were not fetched");
        }
    }

    async fn execute_plan(
        &self,
        plan: HandlerPlan,
        context: RequestContext,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        match plan {
            HandlerPlan::Respond(response) => {
                self.within_budget(context.shop, response.into_response())
            }
            // Boxed, to keep the future of a finished read small.
            HandlerPlan::Read(cost, read) => {
                let response = Box::pin(self.run_read(context.shop, cost, read)).await?;
                self.within_budget(context.shop, response)
            }
            // Never refused: it reports something that has happened.
            HandlerPlan::Write(write) => Box::pin(self.run_write(*write, context)).await,
            HandlerPlan::Administer(change) => {
                let response = Box::pin(self.run_administration(*change, context)).await;
                if let Some(sender) = &self.sender {
                    sender.wake();
                }
                response
            }
            HandlerPlan::Wait(response) => {
                let response = timeout(self.config.report_timeout, response).await;
                let late = |_| Problem::unavailable(1, "the other side took too long");
                self.within_budget(context.shop, response.map_err(late)??.into_response())
            }
        }
    }

    /// Counts a read's response against the memory budget of its shop.
    fn within_budget(
        &self,
        shop: ShopId,
        response: Response<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let (head, body) = response.into_parts();
        let body = body.into_inner().unwrap_or_default();
        let body = self.response_budget.admit(shop, body);
        let body =
            body.ok_or_else(|| Problem::unavailable(5, "many responses wait for clients"))?;
        Ok(Response::from_parts(head, Full::new(body)))
    }

    /// Reads on a separate thread. The read is cancelled when the time is over or this
    /// future is dropped, since the client has gone or the server stops.
    async fn run_read(
        &self,
        shop: ShopId,
        cost: ReadCost,
        read: Box<BlockingRead>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let store = Arc::clone(&self.store);
        let guard = CancelOnDrop(Cancellation::default());
        let cancellation = guard.0.clone();
        let patience = match cost {
            ReadCost::Page | ReadCost::Search => self.config.store_timeout,
            ReadCost::Report => self.config.report_timeout,
        };

        let admitted_read = async {
            let permit = self.long_reads.admit(shop, cost).await?;
            let read = task::spawn_blocking(move || {
                // Until the read has really ended.
                let _permit = permit;
                cancellation.run(|| read(&*store))
            });
            Ok(read.await)
        };
        match timeout(patience, admitted_read).await {
            Ok(Err(refused)) => Err(refused),
            Ok(Ok(Ok(response))) => response.map(EncodedResponse::into_response),
            Ok(Ok(Err(error))) => Err(Problem::internal(error)),
            Err(_) => Err(Problem::unavailable(1, "a read timed out")),
        }
    }

    /// Executes an administrative transaction on a separate thread, since it waits for the disk.
    async fn run_administration(
        &self,
        change: Administration,
        context: RequestContext,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let RequestContext { now, idempotency, id, .. } = context;
        let store = Arc::clone(&self.store);
        let executed = task::spawn_blocking(move || change.execute(&*store, now, idempotency, id));
        match timeout(self.config.store_timeout, executed).await {
            Ok(Ok(executed)) => {
                let (response, replayed) = executed?;
                into_http(response, replayed)
            }
            Ok(Err(error)) => Err(Problem::internal(error)),
            Err(_) => Err(error::unknown_outcome("the store did not respond in time")),
        }
    }

    /// Executes a transaction; with an idempotency key, at most once.
    async fn run_write(
        &self,
        write: StoreWrite,
        context: RequestContext,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let StoreWrite { action, response: builder } = write;
        let RequestContext { shop, now, dry_run, idempotency: record, id } = context;
        let entropy = Some(draw_entropy()?);

        let Some(IdempotencyRecord { key, fingerprint }) = record else {
            let request = store::Request { shop, now, dry_run, idempotency: None, entropy, action };
            return match self.execute(request).await? {
                Reply::Decided(Err(rejection)) if rejection.retry_after().is_some() => {
                    Err(error::from_rejection(&rejection, None))
                }
                Reply::Decided(outcome) => into_http(builder.build(&outcome, id), false),
                Reply::Stored { response, replayed } => into_http(response, replayed),
            };
        };

        // Rendered by the store, which saves the response in the transaction of the
        // effect.
        let render = Box::new(move |outcome: &Outcome| builder.build(outcome, id));
        let idempotency = Some(Idempotency { key, fingerprint, render });
        match self
            .execute(store::Request { shop, now, dry_run, idempotency, entropy, action })
            .await?
        {
            Reply::Stored { response, replayed } => into_http(response, replayed),
            Reply::Decided(Err(rejection)) if rejection.retry_after().is_some() => {
                Err(error::from_rejection(&rejection, None))
            }
            // Nothing was decided, because another request has used the key.
            Reply::Decided(Err(rejection)) => {
                Err(error::from_rejection(&rejection, Some("Idempotency-Key".to_owned())))
            }
            Reply::Decided(Ok(_)) => {
                Err(Problem::internal("an idempotent request without a stored response"))
            }
        }
    }

    async fn execute(&self, request: store::Request) -> Result<Reply, Problem> {
        match timeout(self.config.store_timeout, self.store.execute(request)).await {
            Ok(reply) => reply.map_err(error::from_failure),
            Err(_) => Err(error::unknown_outcome("the store did not respond in time")),
        }
    }
}

/// The HTTP response for a response of the store.
fn into_http(stored: store::Response, replayed: bool) -> Result<Response<Full<Bytes>>, Problem> {
    let status = StatusCode::from_u16(stored.status).map_err(Problem::internal)?;
    if status == StatusCode::GONE && stored.body.is_empty() {
        return Err(error::response_erased());
    }
    let mut response = EncodedResponse::new(status, stored.body).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(idempotency::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
