//! The server below the routes: accepts connections, speaks HTTP/1.1 by hyper, keeps the limits,
//! names each request, and stops without dropping what it has begun.
//!
//! What hyper answers by itself, without reaching the service, has no body and no request id:
//! 400 for a head that is not HTTP (also folded headers, two lengths), 431 for a head past its
//! limits, its address included. Where a head has both a length and a chunked coding, the length
//! is ignored and the connection closed after the answer (RFC 9112, 6.3), so that nothing can be
//! smuggled behind it. A head that is not here in time gets no answer: the connection is closed,
//! as an idle one is.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::head_timeout::HeadTimeout;
use crate::problem::Problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most bytes that wait in memory for one connection, each way.
const BUFFER_BYTES: usize = 64 << 10;

/// How long the listener rests when the system has no more sockets to give.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long a connection that we close first still listens; see [`Socket::poll_shutdown`].
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// A request that is being answered, as hyper wants it. Boxed, since hyper moves it several times, and it is
/// some kilobytes.
type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

/// What one client can take. A head has at most 100 headers (hyper's own limit, which costs
/// nothing as long as it is not set).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of a head: request line and headers. At most 64 KiB.
    pub max_head_bytes: usize,
    /// From the start of a connection, or from the last answer, until a whole head is here; so
    /// also how long a connection may be idle.
    pub head_timeout: Duration,
    /// How long a client may take no byte of an answer.
    pub write_timeout: Duration,
    /// Connections at a time. Those beyond wait in the system's queue.
    pub max_connections: usize,
    /// How long a stop waits for requests that are being answered.
    pub grace_period: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 16 << 10,
            head_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            // The usual 1,024 files of a process, less those that a database needs.
            max_connections: 768,
            grace_period: Duration::from_secs(20),
        }
    }
}

/// Serves until `shutdown`; then accepts no more, closes idle connections, and returns when the
/// requests in flight are answered or [`Limits::grace_period`] is over.
///
/// `service` answers each request. Each answer gets its `x-request-id`, and `application/json`
/// where it has a body and no type. A panic in the service becomes a 500. To be called within a
/// tokio runtime with time and I/O.
pub async fn run<S, F>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) where
    S: Fn(Request<Incoming>, RequestId) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let http = http_builder(&limits);
    let ids = Arc::new(RequestIds::new());
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (slot, stream) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };
        let waiting = HeadTimeout::start();
        let socket = Socket::new(stream, limits.write_timeout, waiting.clone());
        let service = connection_service(service.clone(), Arc::clone(&ids), waiting.clone());
        let connection = graceful.watch(http.serve_connection(socket, service_fn(service)));
        let idle = waiting.wait_until_expired(limits.head_timeout);
        connections.spawn(async move {
            let _slot = slot;
            tokio::select! {
                biased;
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                },
                () = idle => tracing::debug!("no head was here in time"),
            }
        });
    }
    drop(listener);
    shut_down(graceful, connections, limits.grace_period).await;
}

/// Lets the connections finish, then cuts off those that don't.
async fn shut_down(graceful: GracefulShutdown, mut connections: JoinSet<()>, grace: Duration) {
    let finished = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(grace, finished).await.is_err() {
        let open = connections.len();
        tracing::warn!(connections = open, "cut off at the end of the grace period");
        connections.shutdown().await;
    }
}

fn http_builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_header_size(limits.max_head_bytes).max_buf_size(BUFFER_BYTES);
    http
}

/// The next connection, once there is room for it. The listener outlives all errors: they are
/// about one connection that is gone already, or about a lack (of files, of memory) that passes.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // Nobody closes the semaphore, so there is always a permit.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY");
                }
                return (slot, stream);
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(%error, "can't accept connections");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// HTTP/1.1 wants one host in each head (RFC 9112, 3.2): of two, others may believe the other one.
fn has_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// Behind such a head nothing is read.
fn invalid_host(id: RequestId) -> Response<Full<Bytes>> {
    let problem = Problem::bad_request("invalid_host", "Send one Host header.").with_param("Host");
    let mut response = problem.into_response(id);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The service of one connection.
fn connection_service<S, F>(
    service: S,
    ids: Arc<RequestIds>,
    waiting: HeadTimeout,
) -> impl Fn(Request<Incoming>) -> ResponseFuture
where
    S: Fn(Request<Incoming>, RequestId) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    move |request| {
        waiting.head_received();
        let (service, id, waiting) = (service.clone(), ids.next(), waiting.clone());
        Box::pin(async move {
            let served = async move {
                if has_host(&request) { service(request, id).await } else { invalid_host(id) }
            };
            let response = respond(pin!(served), id).await;
            waiting.response_ready();
            Ok(response)
        })
    }
}

/// Runs the service on one request and completes its answer.
async fn respond<F>(mut served: Pin<&mut F>, id: RequestId) -> Response<Full<Bytes>>
where
    F: Future<Output = Response<Full<Bytes>>>,
{
    let guarded = std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| served.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let problem = Problem::internal("the handler panicked");
            Poll::Ready(problem.into_response(id))
        })
    });
    let mut response = guarded.await;
    let has_body = !response.body().is_end_stream();
    let headers = response.headers_mut();
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Ok(id) = HeaderValue::from_bytes(&id.0) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

/// The name of one request, in its answer and in the log: eight hex digits of the process, then
/// twelve of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 20]);

impl RequestId {
    /// One of a caller that numbers its requests itself.
    pub fn from_number(number: u64) -> Self {
        Self(hex(number))
    }

    /// The twenty digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// One for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self(*b"00c0ffee000000000007")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

struct RequestIds {
    process: [u8; 8],
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        // The standard library seeds its hashers from the system's randomness.
        let random = RandomState::new().hash_one(std::process::id());
        Self { process: hex(random), next: AtomicU64::new(0) }
    }

    fn next(&self) -> RequestId {
        let mut id = [0; 20];
        let (process, count) = id.split_at_mut(8);
        process.copy_from_slice(&self.process);
        count.copy_from_slice(&hex::<12>(self.next.fetch_add(1, Ordering::Relaxed)));
        RequestId(id)
    }
}

/// The last `N` hex digits of a number.
fn hex<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let [.., low] = number.to_be_bytes();
        *digit = match low & 0xf {
            low @ 0..=9 => b'0' | low,
            low => b'a'.wrapping_add(low.wrapping_sub(10)),
        };
        number >>= 4;
    }
    digits
}

/// A client's socket that doesn't wait for ever: neither for one that takes no more bytes nor,
/// at the end, for one that sends on. (As long as an answer waits, hyper takes no other request,
/// so that answers don't pile up.)
struct Socket {
    stream: TokioIo<TcpStream>,
    write_timeout: Duration,
    head_timeout: HeadTimeout,
    /// Runs while a write waits for the client, and at the end while we linger.
    timer: Option<Pin<Box<Sleep>>>,
    is_lingering: bool,
}

impl Socket {
    fn new(stream: TcpStream, write_timeout: Duration, head_timeout: HeadTimeout) -> Self {
        Self {
            stream: TokioIo::new(stream),
            write_timeout,
            head_timeout,
            timer: None,
            is_lingering: false,
        }
    }

    /// Turns a write that waits too long into an error.
    fn apply_write_timeout<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.timer = None;
            return polled;
        }
        ready!(self.poll_timer(context, self.write_timeout));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_timer(&mut self, context: &mut Context<'_>, time: Duration) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        timer.as_mut().poll(context)
    }

    /// Throws away what the client still sends, until it stops or [`LINGER`] is over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut waste);
            let stream = Pin::new(self.stream.inner_mut());
            match stream.poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    if self.poll_timer(context, LINGER_TIMEOUT).is_ready() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_timer(context, LINGER_TIMEOUT),
            }
        }
    }
}

impl hyper::rt::Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// Without vectored writes: answers are small, and one buffer is sooner written than two.
impl hyper::rt::Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.head_timeout.record_write(polled.is_ready());
        self.apply_write_timeout(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Closes our side, then the other.
    ///
    /// Closing at once while the client still sends (the rest of a body that was refused) makes
    /// the system reset the connection, and the client would lose the answer that says why.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_lingering {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.timer = None;
            self.is_lingering = true;
        }
        self.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use std::collections::HashSet;

    #[test]
    fn request_ids_differ_and_are_hex() {
        let ids = RequestIds::new();
        let seen: HashSet<RequestId> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
        for id in seen {
            assert!(id.as_str().bytes().all(|digit| digit.is_ascii_hexdigit()));
            assert!(HeaderValue::from_bytes(&id.0).is_ok());
        }
        assert_ne!(RequestIds::new().process, RequestIds::new().process);
    }

    #[test]
    fn hex_is_what_format_writes() {
        for number in [0, 9, 10, 255, 0x0123_4567_89ab, 0xfedc_ba98_7654_3210] {
            let expected = format!("{number:016x}");
            assert_eq!(str::from_utf8(&hex::<16>(number)).unwrap(), expected);
            assert_eq!(hex::<12>(number), expected.as_bytes()[4..]);
        }
    }
}
