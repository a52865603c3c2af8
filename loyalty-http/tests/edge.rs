//! The server's edge over real sockets: what a client may send, how long it may take, and what
//! it gets. Everything stays on 127.0.0.1 and is bounded in time; the limits are set small.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use loyalty_http::body::{self, BodyLimits, Media};
use loyalty_http::server::{self, Limits, RequestId};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// A server on a port of its own, with its runtime.
struct Server {
    address: SocketAddr,
    /// Requests that reached the service.
    served: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    runtime: Runtime,
}

impl Server {
    fn start() -> Self {
        Self::with(|limits| limits)
    }

    fn with(change: impl FnOnce(Limits) -> Limits) -> Self {
        let limits =
            change(Limits { head_bytes: 4096, head_time: 5 * SECOND, grace: 2 * SECOND, ..Limits::default() });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
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

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(4 * SECOND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream, Vec::new())
    }

    /// One request on a connection of its own.
    fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer().unwrap()
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the server's end; how long that took.
    fn wait(&mut self) -> Duration {
        let begun = Instant::now();
        self.runtime.block_on(&mut self.running).unwrap();
        begun.elapsed()
    }
}

/// Echoes bodies; some paths do something else.
async fn service(request: Request<Incoming>, id: RequestId) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let limits = BodyLimits { bytes: 1000, time: Duration::from_millis(200) };
    match path.as_str() {
        "/slow" => tokio::time::sleep(Duration::from_millis(300)).await,
        "/never" => std::future::pending().await,
        "/panic" => std::panic::resume_unwind(Box::new("on purpose")),
        "/empty" => return Response::new(Full::default()),
        "/big" => return Response::new(Full::new(vec![b'x'; 32 << 20].into())),
        _ => {}
    }
    let (head, incoming) = request.into_parts();
    match body::read(&head.headers, incoming, limits, Media::Any).await {
        Ok(bytes) if bytes.is_empty() => Response::new(Full::from(path)),
        Ok(bytes) => Response::new(Full::new(bytes)),
        Err(problem) => problem.into_response(id),
    }
}

struct Client(TcpStream, Vec<u8>);

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["request_id"], self.header("x-request-id").unwrap());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        body["code"].as_str().unwrap().to_owned()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what the server may no longer want to hear.
    fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref());
    }

    /// The next answer; `None` when the server closes first.
    fn answer(&mut self) -> Option<Answer> {
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
        let mut answer =
            Answer { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body: Vec::new() };
        let length = answer.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.1.len() < length {
            assert!(self.read_more(), "half a body");
        }
        answer.body = self.1.drain(..length).collect();
        Some(answer)
    }

    fn read_more(&mut self) -> bool {
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

#[test]
fn each_answer_has_its_id_and_its_type() {
    let server = Server::start();
    let mut client = server.connect();
    let mut ids = Vec::new();
    for _ in 0..3 {
        client.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.text()), (200, "/a"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("date").is_some());
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let empty = server.ask("GET /empty HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(empty.header("content-type"), None);
    assert!(empty.header("x-request-id").is_some());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(
        "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\none\
         GET /slow HTTP/1.1\r\nhost: x\r\n\r\n\
         GET /c HTTP/1.1\r\nhost: x\r\n\r\n",
    );
    let texts: Vec<String> = (0..3).map(|_| client.answer().unwrap().text().to_owned()).collect();
    assert_eq!(texts, ["one", "/slow", "/c"]);
}

#[test]
fn a_slow_head_is_cut_off() {
    let server = Server::with(|limits| Limits { head_time: Duration::from_millis(200), ..limits });
    let begun = Instant::now();
    // A byte now and then must not prolong it.
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n");
    while begun.elapsed() < Duration::from_millis(150) {
        client.send("a: b\r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(client.answer().is_none());
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    assert_eq!(server.served(), 0);
    // So is one that says nothing, and one that says nothing more.
    let mut client = server.connect();
    assert!(client.answer().is_none());
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(client.answer().is_some());
    assert!(client.answer().is_none());
}

fn headers(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|n| format!("h{n}: 1\r\n")).collect();
    lines.concat()
}

#[test]
fn oversized_heads_get_their_status() {
    let server = Server::start();
    let long = "x".repeat(5000);
    let many = headers(101);
    let endless = "y".repeat(200_000);
    let rows = [
        (format!("GET / HTTP/1.1\r\na: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
        (format!("GET /{endless}"), 431),
        (format!("GET / HTTP/1.1\r\na: {endless}"), 431),
    ];
    for (request, status) in rows {
        let mut client = server.connect();
        client.try_send(&request);
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, status, "{}", &request[..40]);
        assert!(client.answer().is_none(), "the connection must close");
    }
    assert_eq!(server.served(), 0);
    let fits = headers(99);
    let answer = server.ask(format!("GET /a HTTP/1.1\r\nhost: x\r\n{fits}\r\n"));
    assert_eq!(answer.status, 200);
}

#[test]
fn what_is_not_http_is_refused() {
    let server = Server::start();
    let rows: [&[u8]; 7] = [
        b"hello there\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\na: \0\r\n\r\n",
    ];
    for request in rows {
        let mut client = server.connect();
        client.send(request);
        let said = String::from_utf8_lossy(request);
        assert_eq!(client.answer().unwrap().status, 400, "{said}");
        assert!(client.answer().is_none(), "{said}");
    }
    assert_eq!(server.served(), 0);
}

#[test]
fn nothing_is_smuggled() {
    let server = Server::start();
    let refused = [
        // Two lengths.
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "content-length: 3, 4\r\n\r\nabcd",
        // Lengths that others read otherwise.
        "content-length: +3\r\n\r\nabc",
        "content-length: 0x3\r\n\r\nabc",
        "content-length: -3\r\n\r\nabc",
        "content-length: 18446744073709551616\r\n\r\nabc",
        // Codings that are not chunked at the end.
        "transfer-encoding: gzip\r\n\r\nabc",
        "transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        // A folded header, blanks before the colon.
        "a: b\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "a: b\r\n\tc\r\n\r\n",
        "content-length : 3\r\n\r\nabc",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    ];
    for rest in refused {
        let mut client = server.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: x\r\n{rest}"));
        assert_eq!(client.answer().unwrap().status, 400, "{rest}");
        assert!(client.answer().is_none(), "{rest}");
    }
    assert_eq!(server.served(), 0);
    // HTTP/1.0 has no codings.
    let answer = server.ask("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(answer.status, 400);
}

#[test]
fn behind_a_length_and_a_coding_nothing_is_read() {
    let server = Server::start();
    let smuggled = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    for heads in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let before = server.served();
        let mut client = server.connect();
        client.send(format!("POST /a HTTP/1.1\r\nhost: x\r\n{heads}\r\n\r\n0\r\n\r\n{smuggled}"));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.text()), (200, "/a"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.answer().is_none());
        assert_eq!(server.served(), before + 1);
    }
}

#[test]
fn bodies_have_a_size() {
    let server = Server::start();
    let post = "POST / HTTP/1.1\r\nhost: x\r\n";
    let fits = "x".repeat(1000);
    let answer = server.ask(format!("{post}content-length: 1000\r\n\r\n{fits}"));
    assert_eq!((answer.status, answer.text()), (200, fits.as_str()));
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let answer = server.ask(format!("{post}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"));
    assert_eq!((answer.status, answer.text()), (200, fits.as_str()));
    // Announced: refused before a byte of it is sent.
    let answer = server.ask(format!("{post}content-length: 1001\r\n\r\n"));
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    // ... and before the client is told to go on.
    let answer = server.ask(format!("{post}content-length: 1001\r\nexpect: 100-continue\r\n\r\n"));
    assert_eq!(answer.status, 413);
    // In chunks: as soon as it is too much.
    let answer = server.ask(format!("{post}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}1\r\nx"));
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
}

#[test]
fn a_client_that_sends_on_is_not_reset() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 16000000\r\n\r\n");
    // Many clients look for the answer only when they have sent everything.
    let piece = vec![b'x'; 100_000];
    for _ in 0..160 {
        client.send(&piece);
    }
    assert_eq!(client.answer().unwrap().status, 413);
}

#[test]
fn bodies_have_a_time() {
    let server = Server::start();
    let begun = Instant::now();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_too_slow"));
    assert!(begun.elapsed() < SECOND);
    assert!(client.answer().is_none());
}

#[test]
fn a_broken_chunk_is_a_client_error() {
    let server = Server::start();
    let answer =
        server.ask("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n");
    assert_eq!((answer.status, answer.code().as_str()), (400, "broken_body"));
}

#[test]
fn a_panic_is_one_requests_matter() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /panic HTTP/1.1\r\nhost: x\r\n\r\n");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(!answer.text().contains("purpose"));
    client.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
}

#[test]
fn connections_beyond_the_cap_wait() {
    let server = Server::with(|limits| Limits { connections: 2, ..limits });
    let mut first = server.connect();
    let mut second = server.connect();
    for client in [&mut first, &mut second] {
        client.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let mut third = server.connect();
    third.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.served(), 2);
    drop(first);
    assert_eq!(third.answer().unwrap().status, 200);
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let server = Server::with(|limits| Limits { connections: 1, stall: Duration::from_millis(200), ..limits });
    let mut deaf = server.connect();
    deaf.send("GET /big HTTP/1.1\r\nhost: x\r\n\r\n");
    // The only place is free again although the first client has not closed.
    let answer = server.ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_stop_finishes_what_is_in_flight() {
    let mut server = Server::start();
    let mut idle = server.connect();
    idle.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(idle.answer().unwrap().status, 200);
    let mut busy = server.connect();
    busy.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
    while server.served() < 2 {
        std::thread::yield_now();
    }
    server.begin_stop();
    let answer = busy.answer().unwrap();
    assert_eq!((answer.status, answer.text()), (200, "/slow"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(idle.answer().is_none());
    assert!(busy.answer().is_none());
    let address = server.address;
    drop((idle, busy));
    let took = server.wait();
    assert!(took < SECOND, "{took:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut server = Server::with(|limits| Limits { grace: Duration::from_millis(200), ..limits });
    let mut stuck = server.connect();
    stuck.send("GET /never HTTP/1.1\r\nhost: x\r\n\r\n");
    while server.served() < 1 {
        std::thread::yield_now();
    }
    server.begin_stop();
    let took = server.wait();
    assert!((Duration::from_millis(150)..SECOND).contains(&took), "{took:?}");
    assert!(stuck.answer().is_none());
}
