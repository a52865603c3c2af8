//! The server below the routes: it accepts connections, speaks HTTP/1.1 through hyper,
//! applies limits, assigns an id to each request, and shuts down gracefully.
//!
//! hyper answers some requests itself. These responses have no body and no request id:
//! 400 for a head that is not HTTP (also for folded headers or two lengths), and 431 for
//! a head beyond its limits, request target included.
//!
//! If a head has both a length and a chunked coding, the length is ignored and the
//! connection is closed after the response (RFC 9112, 6.3), which prevents request
//! smuggling. A coding other than one `chunked` is refused: what lies below it is not known.
//! A client that closes its sending side behind a request still gets the response. If no
//! head arrives in time, the connection is closed without a response, as an idle one is.

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
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
use crate::request_id::{RequestId, RequestIds};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most bytes buffered for one connection, in each direction.
const BUFFER_BYTES: usize = 64 << 10;

/// The pause after a failed accept, for example when the process has no file descriptors
/// left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The time for which we still read from a connection that we close; see
/// [`Socket::poll_shutdown`].
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// The future of a response. Boxed, because it is some kilobytes and hyper moves it
/// several times.
type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

/// The limits of connections. A head also has at most 100 headers: hyper's default, which
/// costs nothing as long as it is not set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of a head: request line and headers. At most 64 KiB.
    pub max_head_bytes: usize,
    /// The time from the start of a connection, or from the last response, until a whole
    /// head has arrived. It also limits how long a connection may be idle.
    pub head_timeout: Duration,
    /// The time in which a client must read some bytes of a response.
    pub write_timeout: Duration,
    /// The most open connections. Further ones wait in the system's queue.
    pub max_connections: usize,
    /// The time that a shutdown waits for requests in flight.
    pub grace_period: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 16 << 10,
            head_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            // The usual limit of 1,024 open files, less those of the database.
            max_connections: 768,
            grace_period: Duration::from_secs(20),
        }
    }
}

/// Serves requests until `shutdown` resolves. It then accepts no more connections, closes
/// idle ones, and returns when all requests in flight are answered or
/// [`Limits::grace_period`] is over.
///
/// `service` answers each request. Every response gets an `x-request-id`, and the type
/// `application/json` if it has a body and no type. A panic of the service becomes a 500.
///
/// Needs a tokio runtime with time and I/O.
///
/// # Example: another service, stopped at once
/// ```
/// use http_body_util::Full;
/// use hyper::Response;
/// use loyalty_http::{Limits, RequestId, server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// assert!(listener.local_addr()?.port() > 0);
/// let service = |_, id: RequestId| async move {
///     Response::new(Full::new(format!("\"request {id}\"").into()))
/// };
/// server::run(listener, service, Limits::default(), async {}).await;
/// # Ok(())
/// # }
/// ```
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
            // Takes finished connections out of the set.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };

        let head_timeout = HeadTimeout::start();
        let socket = Socket::new(stream, limits.write_timeout, head_timeout.clone());
        let service = connection_service(service.clone(), Arc::clone(&ids), head_timeout.clone());
        let connection = graceful.watch(http.serve_connection(socket, service_fn(service)));
        let expired = head_timeout.wait_until_expired(limits.head_timeout);

        connections.spawn(async move {
            let _slot = slot;
            tokio::select! {
                biased;
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended early");
                },
                () = expired => tracing::debug!("no request head arrived in time"),
            }
        });
    }

    // Closed first, so that the system refuses new connections meanwhile.
    drop(listener);
    shut_down(graceful, connections, limits.grace_period).await;
}

/// Waits for the connections to finish, and closes those that are open after
/// `grace_period`.
async fn shut_down(
    graceful: GracefulShutdown,
    mut connections: JoinSet<()>,
    grace_period: Duration,
) {
    let finished = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };

    if tokio::time::timeout(grace_period, finished).await.is_err() {
        let open = connections.len();
        tracing::warn!(
            connections = open,
            "closed open connections at the end of the grace period"
        );
        connections.shutdown().await;
    }
}

fn http_builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_header_size(limits.max_head_bytes)
        .max_buf_size(BUFFER_BYTES)
        .half_close(true);
    http
}

/// The next connection, once one of the `slots` is free.
///
/// The listener survives all errors. They concern one connection that has gone, or a
/// temporary lack of file descriptors or memory.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed, so there is always a permit.
    let slot = Arc::clone(slots).acquire_owned().await.ok();

    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "setting TCP_NODELAY failed");
                }
                return (slot, stream);
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(%error, "accepting a connection failed");
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

/// Checks for exactly one `Host` (RFC 9112, 3.2), which only HTTP/1.0 may omit. With two,
/// a proxy may have used another one than we do.
fn has_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// Checks that a body is sent as it is or in one chunked coding (RFC 9112, 6.1).
fn has_known_coding<B>(request: &Request<B>) -> bool {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// The problem of a head whose request is not even routed.
fn find_head_problem<B>(request: &Request<B>) -> Option<Problem> {
    if !has_host(request) {
        let problem = Problem::bad_request("invalid_host", "Send exactly one Host header.");
        return Some(problem.with_param("Host"));
    }
    if !has_known_coding(request) {
        let detail = "Send the body without a Transfer-Encoding other than chunked.";
        let problem = Problem::bad_request("unknown_transfer_coding", detail);
        return Some(problem.with_param("Transfer-Encoding"));
    }
    None
}

/// A response after which the connection is closed.
fn closing_response(problem: Problem, id: RequestId) -> Response<Full<Bytes>> {
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
    head_timeout: HeadTimeout,
) -> impl Fn(Request<Incoming>) -> ResponseFuture
where
    S: Fn(Request<Incoming>, RequestId) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    move |request| {
        head_timeout.head_received();
        let (service, id, head_timeout) = (service.clone(), ids.next(), head_timeout.clone());

        Box::pin(async move {
            let response = async move {
                match find_head_problem(&request) {
                    None => service(request, id).await,
                    Some(problem) => closing_response(problem, id),
                }
            };
            let response = respond(pin!(response), id).await;
            head_timeout.response_ready();
            Ok(response)
        })
    }
}

/// Awaits the response of the service, turns a panic into a 500, and completes the
/// headers.
async fn respond<F>(mut response: Pin<&mut F>, id: RequestId) -> Response<Full<Bytes>>
where
    F: Future<Output = Response<Full<Bytes>>>,
{
    let caught = std::future::poll_fn(|context| {
        // Safe to unwind: after a panic the future is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let problem = Problem::internal("the handler panicked");
            Poll::Ready(problem.into_response(id))
        })
    });
    let mut response = caught.await;

    let has_body = !response.body().is_end_stream();
    let headers = response.headers_mut();
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

/// A client's socket with time limits: for a client that does not read the response, and
/// at the end for a client that keeps sending.
///
/// While a response waits, hyper reads no further request, so responses do not
/// accumulate.
struct Socket {
    stream: TokioIo<TcpStream>,
    write_timeout: Duration,
    head_timeout: HeadTimeout,
    /// Runs while a write waits for the client, and while lingering.
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

    /// Fails with `TimedOut` once a write has been pending for the write timeout.
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

    /// Discards what the client still sends, until it stops or [`LINGER_TIMEOUT`] is
    /// over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
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

/// Without vectored writes: responses are small, and writing one buffer is faster than
/// two.
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

    /// Closes our direction, then lingers before the socket is dropped.
    ///
    /// If a socket is closed while the client still sends (the rest of a rejected body),
    /// the system resets the connection. The client would lose the response with the
    /// reason.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_lingering {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.timer = None;
            self.is_lingering = true;
        }
        self.poll_linger(context).map(Ok)
    }
}
