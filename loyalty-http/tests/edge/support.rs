//! A server with small limits on a free port, and a client that sends bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use loyalty_http::RequestId;
use loyalty_http::body::{self, AcceptedMedia, BodyLimits};
use loyalty_http::server::{self, Limits, ReservedPlace};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A server on a free port, with its runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The number of requests that reached the service.
    served: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    runtime: Runtime,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|limits| limits)
    }

    pub(crate) fn with(change: impl FnOnce(Limits) -> Limits) -> Self {
        let limits = change(Limits {
            max_head_bytes: 4096,
            head_timeout: 5 * SECOND,
            idle_timeout: 5 * SECOND,
            grace_period: 2 * SECOND,
            ..Limits::default()
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let service = move |request, id| {
            count.fetch_add(1, Ordering::SeqCst);
            service(request, id)
        };
        let (stop, stopped) = oneshot::channel();
        let running = runtime.spawn(server::run(listener, service, limits, async {
            let _ = stopped.await;
        }));
        Self { address, served, stop: Some(stop), running, runtime }
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(4 * SECOND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream, Vec::new())
    }

    /// Sends one request on a new connection.
    pub(crate) fn send_once(&self, request: impl AsRef<[u8]>) -> TestResponse {
        let mut client = self.connect();
        client.send(request);
        client.answer().unwrap()
    }

    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the server's end and returns the time that it took.
    pub(crate) fn wait(&mut self) -> Duration {
        let begun = Instant::now();
        self.runtime.block_on(&mut self.running).unwrap();
        begun.elapsed()
    }
}

/// Echoes bodies, except for some paths.
async fn service(request: Request<Incoming>, id: RequestId) -> Response<Full<Bytes>> {
    if request.extensions().get::<ReservedPlace>().is_some() {
        return Response::new(Full::from("reserved"));
    }
    let path = request.uri().path().to_owned();
    let limits = BodyLimits { max_bytes: 1000, timeout: Duration::from_millis(200) };
    match path.as_str() {
        "/slow" => tokio::time::sleep(Duration::from_millis(300)).await,
        "/never" => std::future::pending().await,
        "/panic" => std::panic::resume_unwind(Box::new("on purpose")),
        "/long" => {
            return Response::builder()
                .header("x-long", "x".repeat(16 << 10))
                .body(Full::default())
                .unwrap();
        }
        "/empty" => return Response::new(Full::default()),
        "/big" => return Response::new(Full::new(vec![b'x'; 32 << 20].into())),
        _ => {}
    }
    let (head, incoming) = request.into_parts();
    match body::read(&head.headers, incoming, limits, AcceptedMedia::Any).await {
        Ok(bytes) if bytes.is_empty() => Response::new(Full::from(path)),
        Ok(bytes) => Response::new(Full::new(bytes)),
        Err(problem) => problem.into_response(id),
    }
}

pub(crate) struct Client(TcpStream, Vec<u8>);

#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    body: Vec<u8>,
}

impl TestResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["request_id"], self.header("x-request-id").unwrap());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        body["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes to a server that may have closed the connection.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref());
    }

    /// Sends until all is sent, or nothing is accepted for a second.
    pub(crate) fn send_while_accepted(&mut self, bytes: &str) {
        self.0.set_write_timeout(Some(SECOND)).unwrap();
        self.try_send(bytes);
    }

    pub(crate) fn close_write(&self) {
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// The next response; `None` if the server closes the connection first.
    pub(crate) fn answer(&mut self) -> Option<TestResponse> {
        let end = loop {
            let end = self.1.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            if !self.read_more() {
                assert!(self.1.is_empty(), "half an answer: {:?}", self.1);
                return None;
            }
        };
        let head = String::from_utf8(self.1.drain(..end).collect()).unwrap();
        let mut answer = TestResponse {
            status: head[9..12].parse().unwrap(),
            head: head.to_lowercase(),
            body: Vec::new(),
        };
        let length = answer.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.1.len() < length {
            assert!(self.read_more(), "half a body");
        }
        answer.body = self.1.drain(..length).collect();
        Some(answer)
    }

    pub(crate) fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.0.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.1.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }
}
