//! Requests to the outside: to stores and to receivers of events.
//!
//! A URL comes from a shop, so it is not trusted. A name is resolved here, and only addresses
//! that may be called are left; the connection goes to one of them, so a name that changes in
//! between gains nothing. There are no redirects and no proxies, and every wait and every
//! answer has a limit.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::clock::Clock;
use crate::network::{check_endpoint, may_be_called};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest wait for an answer in all.
const TOTAL: Duration = Duration::from_secs(15);

/// The most that is read of an answer, in bytes.
pub const MAX_ANSWER: usize = 64 << 10;

/// The most that is read of a list that was asked for, in bytes.
pub const MAX_FETCHED: usize = 16 << 20;

/// How long a connection without requests is kept.
const IDLE: Duration = Duration::from_secs(30);

/// The connections without requests that are kept for a receiver.
const IDLE_CONNECTIONS: usize = 8;

/// The longest wait that a receiver can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// A request.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// The headers, besides `Host`, `Content-Length` and `User-Agent`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for none.
    pub body: Bytes,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct OutboundAnswer {
    /// The status.
    pub status: StatusCode,
    /// How long the receiver asks to wait, a day at most.
    pub retry_after: Option<Duration>,
    /// The body, or its first [`MAX_ANSWER`] bytes.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The URL must not be called.
    #[error("the URL {0}")]
    Url(String),
    /// The name has no address that may be called.
    #[error("the name has no address that may be called")]
    NoAddress,
    /// There was no connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// There was no answer in time.
    #[error("no answer within {} seconds", TOTAL.as_secs())]
    TimedOut,
}

/// Resolves names.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// Returns the addresses of a name.
    fn resolve(&self, name: String) -> ResolvedAddresses;
}

/// The addresses of a name, or why there are none.
pub type ResolvedAddresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The resolver of the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: String) -> ResolvedAddresses {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Leaves only addresses that may be called.
#[derive(Clone, Debug)]
struct GuardedResolver {
    inner: Arc<dyn Resolve>,
    allowed: Arc<[IpNet]>,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.inner.resolve(name.as_str().to_owned());
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            let found = found.await?.into_iter();
            let left: Vec<_> = found
                .filter(|address| may_be_called(*address, &allowed))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if left.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, NoAddress));
            }
            Ok(left.into_iter())
        })
    }
}

/// A name without an address that may be called.
#[derive(Debug, thiserror::Error)]
#[error("no address may be called")]
struct NoAddress;

/// A client with pooled connections. Copies share them.
#[derive(Clone)]
pub struct OutboundClient {
    client: Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>,
    allowed: Arc<[IpNet]>,
}

impl fmt::Debug for OutboundClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OutboundClient")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl OutboundClient {
    /// A client that may call public addresses, and those of `allowed` networks. It trusts the
    /// certificates that the platform trusts.
    pub fn new(allowed: Arc<[IpNet]>) -> Self {
        Self::with_resolver(allowed, Arc::new(SystemResolver))
    }

    /// The same with another resolver of names.
    pub fn with_resolver(allowed: Arc<[IpNet]>, resolver: Arc<dyn Resolve>) -> Self {
        let resolver = GuardedResolver { inner: resolver, allowed: Arc::clone(&allowed) };
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        // TLS is put on top of it.
        connector.enforce_http(false);

        let builder = match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(builder) => builder,
            // A machine without certificates: then no receiver can be trusted.
            Err(_) => HttpsConnectorBuilder::new().with_tls_config(trust_nobody()),
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { client, allowed }
    }

    /// Sends a request as [`OutboundClient::send`] does, and reads up to [`MAX_FETCHED`] bytes of
    /// the answer.
    ///
    /// # Errors
    /// Those of [`OutboundClient::send`], and an answer that is longer.
    pub async fn fetch(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundError> {
        let answer = self.send_reading(request, MAX_FETCHED.saturating_add(1)).await?;
        if answer.body.len() > MAX_FETCHED {
            return Err(OutboundError::Connection("the answer is too long".to_owned()));
        }
        Ok(answer)
    }

    /// Sends a request. Any status is an answer, also a redirect, which is not followed.
    ///
    /// # Errors
    /// The URL must not be called, or there was no answer. After a connection that broke or was
    /// too slow the receiver may have acted.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundError> {
        self.send_reading(request, MAX_ANSWER).await
    }

    async fn send_reading(
        &self,
        request: OutboundRequest,
        most: usize,
    ) -> Result<OutboundAnswer, OutboundError> {
        check_endpoint(&request.url, &self.allowed)
            .map_err(|error| OutboundError::Url(error.to_string()))?;
        let request = build(request)?;
        let answered = async {
            let answer = self.client.request(request).await.map_err(|error| describe(&error))?;
            let (head, body) = answer.into_parts();
            let body = read_head(body, most).await?;
            let retry_after = retry_after(&head.headers, Clock::system().now().into());
            Ok(OutboundAnswer { status: head.status, retry_after, body })
        };
        tokio::time::timeout(TOTAL, answered)
            .await
            .unwrap_or(Err(OutboundError::TimedOut))
    }
}

fn trust_nobody() -> ClientConfig {
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn build(request: OutboundRequest) -> Result<Request<Full<Bytes>>, OutboundError> {
    let OutboundRequest { method, url, headers, body } = request;
    let built = Request::builder().method(method).uri(url).body(Full::new(body));
    let mut built = built.map_err(|error| OutboundError::Url(error.to_string()))?;
    let agent = HeaderValue::from_static(concat!("loyalty/", env!("CARGO_PKG_VERSION")));
    built.headers_mut().insert(USER_AGENT, agent);
    built.headers_mut().extend(headers);
    Ok(built)
}

/// Reads the first bytes of an answer. What is longer is left, and the connection with it.
async fn read_head(mut body: Incoming, most: usize) -> Result<Bytes, OutboundError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutboundError::Connection(error.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = most.saturating_sub(read.len());
        let taken = data.get(..data.len().min(room)).unwrap_or_default();
        read.extend_from_slice(taken);
        if read.len() >= most {
            break;
        }
    }
    Ok(read.freeze())
}

/// Says what went wrong, down to its cause.
fn describe(error: &hyper_util::client::legacy::Error) -> OutboundError {
    let mut cause: &dyn std::error::Error = error;
    loop {
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|io| {
            io.get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<NoAddress>)
        }) {
            return OutboundError::NoAddress;
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return OutboundError::Connection(format!("{error}: {cause}")),
        }
    }
}

/// How long the receiver asks to wait: in seconds, or until a date.
fn retry_after(head: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = head.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?,
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers each name in turn, the last one again and again.
    #[derive(Debug)]
    struct ScriptedResolver {
        answers: Vec<IpAddr>,
        asked: AtomicUsize,
    }

    impl Resolve for ScriptedResolver {
        fn resolve(&self, _: String) -> ResolvedAddresses {
            let index = self.asked.fetch_add(1, Ordering::Relaxed);
            let last = self.answers.len().saturating_sub(1);
            let answer = *self.answers.get(index.min(last)).unwrap();
            Box::pin(async move { Ok(vec![answer]) })
        }
    }

    fn client(allowed: &[&str], answers: &[&str]) -> OutboundClient {
        let allowed: Arc<[IpNet]> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().map(|text| text.parse().unwrap()).collect();
        let resolver = ScriptedResolver { answers, asked: AtomicUsize::new(0) };
        OutboundClient::with_resolver(allowed, Arc::new(resolver))
    }

    fn request(url: &str) -> OutboundRequest {
        OutboundRequest {
            method: Method::POST,
            url: url.to_owned(),
            headers: Vec::new(),
            body: Bytes::from_static(b"{}"),
        }
    }

    /// Answers each connection with some bytes. Returns the port, and counts the connections.
    fn receiver(answer: Vec<u8>) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let connections = Arc::clone(&count);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (mut stream, mut head) = (stream.unwrap(), [0; 4096]);
                // The client may have gone.
                let _ = stream.read(&mut head);
                let _ = stream.write_all(&answer);
            }
        });
        (port, count)
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

    #[tokio::test]
    async fn a_public_name_that_turns_private_is_not_called() {
        let (port, count) = receiver(OK.to_vec());
        for private in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"] {
            let client = client(&[], &[private]);
            let refused = client.send(request(&format!("https://shop.example:{port}/"))).await;
            assert_eq!(refused.unwrap_err(), OutboundError::NoAddress, "{private}");
        }
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_literal_private_address_and_plain_http_are_refused() {
        let (port, count) = receiver(OK.to_vec());
        let client = client(&[], &["127.0.0.1"]);
        for url in [
            format!("https://127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}/"),
            format!("http://shop.example:{port}/"),
            format!("https://user:secret@shop.example:{port}/"),
            "file:///etc/passwd".to_owned(),
            "shop.example".to_owned(),
        ] {
            let refused = client.send(request(&url)).await;
            assert!(matches!(refused, Err(OutboundError::Url(_))), "{url}: {refused:?}");
        }
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_allowed_network_is_called_and_no_redirect_followed() {
        let (port, count) = receiver(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"
                .as_bytes()
                .to_vec(),
        );
        let client = client(&["127.0.0.0/8"], &["127.0.0.1"]);
        let answer = client
            .send(request(&format!("http://127.0.0.1:{port}/")))
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::FOUND);
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_long_answer_is_cut_and_a_broken_one_is_no_answer() {
        let long = [
            b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n".to_vec(),
            vec![b'a'; 10_000_000],
        ]
        .concat();
        let (port, _) = receiver(long);
        let client = client(&["127.0.0.0/8"], &["127.0.0.1"]);
        let answer = client
            .send(request(&format!("http://127.0.0.1:{port}/")))
            .await
            .unwrap();
        assert_eq!(answer.body.len(), MAX_ANSWER);

        let (port, _) = receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi".to_vec());
        let broken = client.send(request(&format!("http://127.0.0.1:{port}/"))).await;
        assert!(matches!(broken, Err(OutboundError::Connection(_))), "{broken:?}");
    }

    #[tokio::test]
    async fn no_certificate_that_nobody_vouches_for_is_accepted() {
        // Not even TLS.
        let (port, count) = receiver(OK.to_vec());
        let client = client(&["127.0.0.0/8"], &["127.0.0.1"]);
        let refused = client.send(request(&format!("https://127.0.0.1:{port}/"))).await;
        assert!(matches!(refused, Err(OutboundError::Connection(_))), "{refused:?}");
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_receiver_asks_to_wait_in_seconds_or_until_a_date() {
        let now = httpdate::parse_http_date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap();
        let wait = |text: &'static str| {
            let mut head = HeaderMap::new();
            head.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&head, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Sun, 01 Mar 2026 12:01:00 GMT"), Some(60));
        assert_eq!(wait("999999999"), Some(86_400));
        for text in ["Sun, 01 Mar 2026 11:00:00 GMT", "soon", "-1", ""] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
