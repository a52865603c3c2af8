//! A server on a free port with two shops, and a minimal client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use loyalty_core::{Currency, ShopId, Timestamp, Zone};
use loyalty_http::clock::ManualClock;
use loyalty_http::connected_store::StoreReceiver;
use loyalty_http::outbound::OutboundClient;
use loyalty_http::sender::{Sender, SenderSettings};
use loyalty_http::{App, Clock, Config, Limits, auth, server};
use loyalty_store::{MemoryStore, NewApiKey, NewShop, Scope, Store};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::conformance::{self, ReceivedResponse};
use crate::fixture::Credentials;

/// The time of all tests, unless they set the clock.
pub(crate) const NOW: &str = "2026-03-01T12:00:00Z";

/// The time that requests get when a server is stopped.
const GRACE_PERIOD: Duration = Duration::from_millis(200);

pub(crate) struct TestServer {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: ManualClock,
    /// A key of the first shop with every scope, and one of the second.
    pub(crate) key: String,
    pub(crate) other: String,
    pub(crate) shop: ShopId,
    address: SocketAddr,
    sender: Arc<Sender>,
    shutdown: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    runtime: Runtime,
}

impl TestServer {
    pub(crate) fn new() -> Self {
        Self::with_store(Config::default(), |store| store)
    }

    /// A server with another store in front of the one in memory.
    pub(crate) fn with_store(
        config: Config,
        front: impl FnOnce(Arc<MemoryStore>) -> Arc<dyn Store>,
    ) -> Self {
        let store = Arc::new(MemoryStore::default());
        let (clock, manual_clock) = Clock::manual(time(NOW));
        let shop = make_shop(&store, "Tea", Currency::USD, "Europe/Berlin");
        let second = make_shop(&store, "Coffee", Currency::EUR, "UTC");
        let key = make_key(&store, shop, 1, &Scope::OF_SHOP);
        let other = make_key(&store, second, 2, &Scope::OF_SHOP);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let outbound = OutboundClient::new(Arc::clone(&config.allowed_networks));
        let settings = SenderSettings::default();
        let stores = StoreReceiver { attempts: settings.attempts() };
        let sender = Arc::<MemoryStore>::clone(&store);
        let sender = Sender::new(sender, outbound, clock.clone(), settings).unwrap();
        let sender = Arc::new(sender.with_stores(Arc::new(stores)));
        let app = App::new(front(Arc::clone(&store)), clock).with_sender(Arc::clone(&sender));
        let app = Arc::new(app.with_config(config));
        let service = move |request, id| {
            let app = Arc::clone(&app);
            async move { app.handle(request, id).await }
        };
        let limits = Limits { grace_period: GRACE_PERIOD, ..Limits::default() };
        let (shutdown, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = runtime.spawn(server::run(listener, service, limits, async {
            // The sender lives as long as the server.
            let _ = stopped.await;
        }));
        Self {
            store,
            clock: manual_clock,
            key,
            other,
            shop,
            address,
            sender,
            shutdown,
            served,
            runtime,
        }
    }

    /// Has events delivered from now on.
    pub(crate) fn start_sender(&self) {
        let sender = Arc::clone(&self.sender);
        self.runtime.spawn(sender.run(std::future::pending()));
    }

    /// Asks the server to stop, and waits until it has stopped.
    pub(crate) fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.runtime.block_on(self.served).unwrap();
        self.runtime.shutdown_timeout(Duration::from_secs(2));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A key of the first shop with these scopes. `seed` is above 2 and used once.
    pub(crate) fn key_with(&self, seed: u8, scopes: &[Scope]) -> String {
        make_key(&self.store, self.shop, seed, scopes)
    }

    /// The credentials of a new, empty shop. `seed` is above 2 and used once.
    pub(crate) fn new_shop(&self, seed: u8) -> Credentials {
        let shop = make_shop(&self.store, "New", Currency::EUR, "UTC");
        make_key(&self.store, shop, seed, &Scope::OF_SHOP);
        Credentials::from_seed(seed)
    }

    pub(crate) fn set_time(&self, now: &str) {
        self.clock.set(time(now));
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request {
            server: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", self.key))],
            body: None,
        }
    }

    /// A request as by Shopify's clients: below `/admin/api/2025-01`, with the key in
    /// their header.
    pub(crate) fn shopify(&self, method: &str, path: &str) -> Request<'_> {
        let mut request = self.request(method, &format!("/admin/api/2025-01{path}"));
        request.headers = vec![("x-shopify-access-token".to_owned(), self.key.clone())];
        request
    }

    pub(crate) fn get(&self, path: &str) -> TestResponse {
        self.request("GET", path).send()
    }

    pub(crate) fn delete(&self, path: &str) -> TestResponse {
        self.request("DELETE", path).send()
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> TestResponse {
        self.request("POST", path).body(body).send()
    }

    pub(crate) fn put(&self, path: &str, body: impl AsRef<[u8]>) -> TestResponse {
        self.request("PUT", path).body(body).send()
    }

    pub(crate) fn patch(&self, path: &str, body: impl AsRef<[u8]>) -> TestResponse {
        self.request("PATCH", path).body(body).send()
    }

    /// Creates a customer with this number of points.
    pub(crate) fn customer(&self, id: &str, points: u32) {
        self.post("/v1/customers", format!(r#"{{"customer_id":"{id}"}}"#))
            .expect(201);
        if points > 0 {
            let body = format!(r#"{{"customer_id":"{id}","points":{points}}}"#);
            self.post("/v1/points-add", body).expect(200);
        }
    }

    pub(crate) fn balance(&self, id: &str) -> i64 {
        let answer = self.get(&format!("/v1/customers/{id}/point-balance")).expect(200);
        answer.json()["point_balance"].as_i64().unwrap()
    }

    /// All data: the size of the verified journal, and all lists as both shops see them.
    pub(crate) fn snapshot(&self) -> String {
        let verified = self.store.verify().unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
        let programs =
            [self.shop, ShopId(2)].map(|shop| self.store.program(shop, None).unwrap().unwrap().0);
        let lists =
            ["customers", "products", "categories", "customer-saved-searches", "price-rules"].map(
                |list| {
                    [&self.key, &self.other].map(|key| {
                        let answer = self
                            .request("GET", &format!("/v1/{list}?limit=250"))
                            .key(key)
                            .send()
                            .expect(200);
                        answer.text().to_owned()
                    })
                },
            );
        format!("{verified:?} {programs:?} {lists:?}")
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn make_shop(store: &MemoryStore, name: &str, currency: Currency, zone: &str) -> ShopId {
    let zone: Zone = zone.parse().unwrap();
    store
        .create_shop(&NewShop { name: name.to_owned(), currency, zone }, time(NOW))
        .unwrap()
        .id
}

fn make_key(store: &MemoryStore, shop: ShopId, seed: u8, scopes: &[Scope]) -> String {
    let (key, shown) = new_key(seed, scopes);
    store.add_api_key(shop, &key, time(NOW)).unwrap();
    store.add_store_secret(shop, &secret_of(seed), time(NOW)).unwrap();
    shown
}

/// The key of a seed. Each character uses only five bits of a byte.
pub(crate) fn new_key(seed: u8, scopes: &[Scope]) -> (NewApiKey, String) {
    let mut bytes = [seed; auth::KEY_BYTES];
    bytes[0] = bytes[0].wrapping_add(seed / 32);
    auth::new_key(&bytes, "Test", scopes.to_vec())
}

/// The secret with which store plugins sign that is added with the key of a seed.
pub(crate) fn secret_of(seed: u8) -> String {
    format!("the secret of seed {seed}")
}

/// A request to be sent.
pub(crate) struct Request<'a> {
    server: &'a TestServer,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self.header("content-type", "application/json")
    }

    /// Sets a header, or replaces it.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn send(self) -> TestResponse {
        let mut headers = self.headers;
        headers.extend(
            self.body
                .as_ref()
                .map(|body| ("content-length".to_owned(), body.len().to_string())),
        );
        let line = |(name, value): &(String, String)| [name, ": ", value, "\r\n"].concat();
        let lines: String = headers.iter().map(line).collect();
        let has_host = headers.iter().any(|(name, _)| name == "host");
        let host = if has_host { "" } else { "host: x\r\n" };
        let head =
            format!("{} {} HTTP/1.1\r\n{host}connection: close\r\n{lines}", self.method, self.path);
        let mut stream = TcpStream::connect(self.server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let body = self.body.unwrap_or_default();
        stream.write_all(&body).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        let answer = TestResponse::parse(&received, format!("{} {}", self.method, self.path));
        conformance::check(&self.method, &self.path, &body, answer.received());
        answer
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    request: String,
}

impl TestResponse {
    fn parse(received: &[u8], request: String) -> Self {
        let end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(received[..end].to_vec()).unwrap();
        let (status, body) = (head[9..12].parse().unwrap(), received[end + 4..].to_vec());
        Self { status, head, body, request }
    }

    fn received(&self) -> ReceivedResponse<'_> {
        ReceivedResponse { status: self.status, head: &self.head, body: &self.body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks the status and the content type that belongs to it.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text());
        let media = if status < 400 { "application/json" } else { "application/problem+json" };
        assert_eq!(self.header("content-type"), Some(media), "{}", self.request);
        self
    }

    /// The status, code and param of a problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String, String) {
        let body = self.json();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.request
        );
        assert_eq!(body["status"], self.status, "{}", self.request);
        assert!(body["detail"].as_str().unwrap().ends_with('.'), "{body}");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("code"), text("param"))
    }

    /// Checks for a problem with this status, code and param.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str, param: &str) {
        assert_eq!(
            self.problem(),
            (status, code.to_owned(), param.to_owned()),
            "{}: {}",
            self.request,
            self.text()
        );
    }

    /// The path of the next page. The host of all requests is `x`.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.header("link")?;
        let link = link
            .strip_prefix('<')
            .unwrap()
            .strip_suffix(">; rel=\"next\"")
            .unwrap();
        Some(link.strip_prefix("http://x").unwrap_or(link).to_owned())
    }
}
