//! The application: what happens to a request between the server and the store.
//!
//! Route, authenticate, look at the scope, read the body, parse, execute, answer; each step can end it
//! with a [`Problem`].

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use loyalty_core::{ShopId, Timestamp};
use loyalty_store::{self as store, Idempotency, Outcome, Reply, Store};
use tokio::task;
use tokio::time::timeout;

use crate::auth;
use crate::body::{self, AcceptedMedia};
use crate::clock::Clock;
use crate::config::Config;
use crate::endpoint::{BlockingRead, Call, EncodedResponse, HandlerPlan, StoreWrite, error};
use crate::idempotency::{self, IdempotencyRecord};
use crate::integration::webhook::{self, Delivery, ParsedDelivery, WebhookEvent};
use crate::log::{RequestLog, Stopwatch};
use crate::openapi;
use crate::problem::Problem;
use crate::route::RouteHandler;
use crate::router::{MatchedRoute, ROUTES, Router};
use crate::server::RequestId;
use crate::throttle::Throttle;
use crate::wire::query::Query;

/// A loyalty server without its socket.
pub struct App {
    store: Arc<dyn Store>,
    clock: Clock,
    config: Config,
    router: Router,
    throttle: Arc<Throttle>,
}

/// What became known of a request on its way, for the log.
#[derive(Default)]
struct RequestTrace {
    route: Option<&'static str>,
    shop: Option<ShopId>,
}

/// For whom work is carried out, and when.
struct RequestContext {
    shop: ShopId,
    now: Timestamp,
    /// Whether a write is only tried.
    dry_run: bool,
    /// How a write is known again.
    idempotency: Option<IdempotencyRecord>,
    id: RequestId,
}

impl App {
    /// Serves what a store holds, with the default limits.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            config: Config::default(),
            router: Router::new(&ROUTES),
            throttle: Arc::default(),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Answers one request, from a connection of [`server::run`](crate::server::run) or from anywhere else.
    pub async fn handle<B>(&self, request: Request<B>, id: RequestId) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let time = Stopwatch::start();
        let (head, body) = request.into_parts();
        let mut seen = RequestTrace::default();
        let response = match self.answer(&head, body, id, &mut seen).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(id),
        };
        let (route, shop, status) = (seen.route, seen.shop, response.status());
        RequestLog { id, method: &head.method, route, shop, status, time }.log();
        response
    }

    async fn answer<B>(
        &self,
        head: &Parts,
        body: B,
        id: RequestId,
        seen: &mut RequestTrace,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let MatchedRoute { route, params } = self.router.find(&head.method, head.uri.path())?;
        seen.route = Some(route.pattern);
        let (scope, handler, key) = match route.handler {
            RouteHandler::Open(handler) => {
                return handler(&*self.store).map(EncodedResponse::into_response);
            }
            RouteHandler::Document => {
                let query = Query::parse(head.uri.query(), route.query)?;
                return openapi::respond(&query).map(EncodedResponse::into_response);
            }
            RouteHandler::Bearer(scope, handler) => {
                (scope, handler, auth::authenticate(&*self.store, &head.headers)?)
            }
            RouteHandler::Shopify(scope, handler) => {
                (scope, handler, auth::authenticate_shopify(&*self.store, &head.headers)?)
            }
            RouteHandler::Signed(told) => {
                let platform = params.get("platform").unwrap_or(webhook::COMMON);
                return Box::pin(self.receive_webhook(head, body, (platform, told), id, seen))
                    .await;
            }
        };
        seen.shop = Some(key.shop);
        auth::authorize(&key, scope)?;
        let query = Query::parse(head.uri.query(), route.query)?;
        let (once, body) = if route.method == Method::GET {
            (None, Bytes::new())
        } else {
            let key = idempotency::parse_key(head)?;
            let body =
                body::read(&head.headers, body, self.config.body, AcceptedMedia::Json).await?;
            (key.map(|key| IdempotencyRecord::new(key, head, &body)), body)
        };
        let (shop, now, dry_run) = (key.shop, self.clock.now(), query.flag("dry_run")?);
        // What is only tried is not kept, and may be tried again.
        let once = once.filter(|_| !dry_run);
        let call = Call {
            store: &*self.store,
            key: &key,
            now,
            head,
            params,
            query,
            body: &body,
            throttle: &self.throttle,
        };
        match handler(&call) {
            Ok(work) => {
                self.run(work, RequestContext { shop, now, dry_run, idempotency: once, id })
                    .await
            }
            Err(problem) => self.stored_response(shop, once, now)?.ok_or(problem),
        }
    }

    /// The first answer to a request that cannot be made again: what it was about may be gone.
    fn stored_response(
        &self,
        shop: ShopId,
        once: Option<IdempotencyRecord>,
        now: Timestamp,
    ) -> Result<Option<Response<Full<Bytes>>>, Problem> {
        let Some(IdempotencyRecord { key, fingerprint }) = once else {
            return Ok(None);
        };
        let answer = self
            .store
            .stored_response(shop, &key, &fingerprint, now)
            .map_err(error::from_failure)?;
        answer.map(|answer| respond(answer, true)).transpose()
    }

    /// What a store plugin tells. Whose it is stands in the body.
    async fn receive_webhook<B>(
        &self,
        head: &Parts,
        body: B,
        (platform, told): (&str, WebhookEvent),
        id: RequestId,
        seen: &mut RequestTrace,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let body = body::read(&head.headers, body, self.config.body, AcceptedMedia::Any).await?;
        let now = self.clock.now();
        let delivery = Delivery { platform, event: told, body: &body, id: id.as_str(), now };
        let ParsedDelivery { shop, plan: work, idempotency: once } =
            webhook::receive(&*self.store, delivery)?;
        seen.shop = Some(shop);
        self.run(work, RequestContext { shop, now, dry_run: false, idempotency: once, id })
            .await
    }

    async fn run(
        &self,
        work: HandlerPlan,
        turn: RequestContext,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        match work {
            HandlerPlan::Respond(answer) => Ok(answer.into_response()),
            // Boxed, so that a read that is done does not carry the room for them about.
            HandlerPlan::Read(scan) => Box::pin(self.run_read(scan)).await,
            HandlerPlan::Write(write) => Box::pin(self.run_write(*write, turn)).await,
        }
    }

    /// Reads on a thread of its own. What takes too long is read to its end, but nobody waits for it.
    async fn run_read(&self, scan: Box<BlockingRead>) -> Result<Response<Full<Bytes>>, Problem> {
        let store = Arc::clone(&self.store);
        let scan = task::spawn_blocking(move || scan(&*store));
        match timeout(self.config.store_timeout, scan).await {
            Ok(Ok(answer)) => answer.map(EncodedResponse::into_response),
            Ok(Err(error)) => Err(Problem::internal(error)),
            Err(_) => Err(Problem::unavailable(1, "a scan took too long")),
        }
    }

    /// Carries a transaction out; with an idempotency key, at most once.
    async fn run_write(
        &self,
        write: StoreWrite,
        turn: RequestContext,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let StoreWrite { action, response: outcome } = write;
        let RequestContext { shop, now, dry_run, idempotency: once, id } = turn;
        let Some(IdempotencyRecord { key, fingerprint }) = once else {
            let request = store::Request { shop, now, dry_run, idempotency: None, action };
            return match self.execute(request).await? {
                Reply::Decided(decided) => respond(outcome.build(&decided, id), false),
                Reply::Stored { response: answer, replayed } => respond(answer, replayed),
            };
        };
        let render = Box::new(move |decided: &Outcome| outcome.build(decided, id));
        let idempotency = Some(Idempotency { key, fingerprint, render });
        match self
            .execute(store::Request { shop, now, dry_run, idempotency, action })
            .await?
        {
            Reply::Stored { response: answer, replayed } => respond(answer, replayed),
            // Nothing was decided: the key stands for another request.
            Reply::Decided(Err(rejection)) => {
                Err(error::from_rejection(&rejection, Some("Idempotency-Key".to_owned())))
            }
            Reply::Decided(Ok(_)) => {
                Err(Problem::internal("an idempotent request without a kept answer"))
            }
        }
    }

    async fn execute(&self, request: store::Request) -> Result<Reply, Problem> {
        match timeout(self.config.store_timeout, self.store.execute(request)).await {
            Ok(reply) => reply.map_err(error::from_failure),
            Err(_) => Err(error::unknown_outcome("the store did not answer in time")),
        }
    }
}

/// An answer of the store's.
fn respond(answer: store::Response, replayed: bool) -> Result<Response<Full<Bytes>>, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(Problem::internal)?;
    let mut response = EncodedResponse::new(status, answer.body).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(idempotency::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
