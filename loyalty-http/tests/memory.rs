//! The server's memory is bounded by its settings: the number of connections, and the
//! bytes for each. The server runs as a process, whose peak memory the system reports.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop where it fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server's limit of connections; there are more clients.
const CONNECTIONS: usize = 32;
const CLIENTS: usize = 40;
/// More bytes than the server may buffer for a client.
const FLOOD: usize = 6 * BODY;

/// A growing body takes at most its last two sizes, and there are buffers.
const BYTES_PER_CONNECTION: usize = 2 * BODY + (512 << 10);
const BODY: usize = 1 << 20;

/// Other memory of the process: threads, database pages, and the allocator's reserve.
const BASE: usize = 16 << 20;

struct Server {
    process: Child,
    address: String,
    key: String,
    before: usize,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::with_connections(CONNECTIONS)
    }

    fn with_connections(connections: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
            .current_dir(&directory)
            // The allocator would return freed memory after a second only. How much that
            // is depends on the clients' speed, and the bounds are about memory in use.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .args([
                "--listen",
                "127.0.0.1:0",
                "--print-key",
                "--log",
                "error",
                "--connections",
                &connections.to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut key, mut address) = (String::new(), None);
        for line in lines.map(Result::unwrap) {
            if let Some(printed) = line.trim().strip_prefix("key ") {
                printed.trim().clone_into(&mut key);
            }
            address = line.strip_prefix("Listening on http://").map(str::to_owned);
            if address.is_some() {
                break;
            }
        }
        let address = address.unwrap();
        let mut server = Self { process, address, key, before: 0, _directory: directory };
        assert!(server.is_alive());
        server.before = server.memory_bytes("VmRSS:");
        server
    }

    /// The memory of the process in bytes, now (`VmRSS:`) or at its peak (`VmHWM:`).
    fn memory_bytes(&self, what: &str) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        )
    }

    /// The head of a request with a valid key: without one, a body is refused early.
    fn head_of_post(&self, length: &str) -> String {
        format!(
            "POST /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\n{length}\r\n\r\n",
            self.key
        )
    }

    /// Sends a request and returns the status of its response.
    fn send(&self, method: &str, path: &str, body: &str) -> u16 {
        let mut stream = self.connect();
        stream.write_all(self.request(method, path, body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].parse().unwrap()
    }

    fn is_alive(&self) -> bool {
        let mut stream = self.connect();
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    /// All clients send until nothing more is accepted, and then disconnect together.
    fn flood(&self, head: &str, piece: &str, most: usize) {
        let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| self.connect()).collect();
        let pieces = piece.repeat((64 << 10) / piece.len());
        std::thread::scope(|scope| {
            for share in streams.chunks_mut(CLIENTS / 8) {
                let pieces = &pieces;
                scope.spawn(move || {
                    for stream in share {
                        let _ = stream.write_all(head.as_bytes());
                        let begun = Instant::now();
                        let mut sent = 0;
                        while sent < most && begun.elapsed() < Duration::from_secs(10) {
                            match stream.write(pieces.as_bytes()) {
                                Ok(count) if count > 0 => sent += count,
                                _ => break,
                            }
                        }
                    }
                });
            }
        });
        // The server still reads what the system has buffered.
        std::thread::sleep(Duration::from_millis(300));
    }

    fn assert_peak_below(self, bound: usize) {
        let peak = self.memory_bytes("VmHWM:").saturating_sub(self.before);
        println!("{} KiB beyond the {} KiB at the start", peak >> 10, self.before >> 10);
        assert!(
            peak < bound,
            "{peak} bytes beyond the {} at the start; {bound} were allowed",
            self.before
        );
        assert!(self.is_alive());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Chunked bodies that never end.
#[test]
fn chunked_bodies_use_memory_up_to_their_limit() {
    let server = Server::start();
    let head = server.head_of_post("transfer-encoding: chunked");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    // Just under the limit, so that the server waits for the rest.
    server.flood(&head, &chunk, BODY - (70 << 10));
    server.flood(&head, &chunk, FLOOD);
    server.assert_peak_below(BASE + CONNECTIONS * BYTES_PER_CONNECTION);
}

/// Bodies of a known length take no more memory than their length.
#[test]
fn sized_bodies_are_buffered_once() {
    let server = Server::start();
    let head = server.head_of_post(&format!("content-length: {BODY}"));
    server.flood(&head, &"x".repeat(1 << 10), BODY - (70 << 10));
    server.assert_peak_below(BASE + CONNECTIONS * (BODY + (512 << 10)));
}

#[test]
fn heads_use_memory_up_to_their_limit() {
    let server = Server::start();
    server.flood("GET /livez HTTP/1.1\r\na: ", "b", 15 << 10);
    server.flood("GET /livez HTTP/1.1\r\na: ", "b", FLOOD);
    server.assert_peak_below(BASE);
}

/// Clients that ask for a page of 6 MiB, more than the system buffers, and do not read it.
#[test]
fn unread_responses_share_a_budget() {
    const READERS: usize = 60;
    let server = Server::with_connections(2 * READERS);
    let tags: Vec<String> = (0..100)
        .map(|number| format!("{number}{}", "x".repeat(250)))
        .collect();
    for number in 0..250 {
        let body = serde_json::json!({"customer_id": format!("c{number}"), "tags": tags});
        assert_eq!(server.send("POST", "/v1/customers", &body.to_string()), 201);
    }

    let before = server.memory_bytes("VmHWM:");
    let mut unread = Vec::new();
    for _ in 0..READERS {
        let mut stream = server.connect();
        // A page of Shopify's lists has its length, whatever its size.
        let path = "/admin/api/2025-01/customers.json?limit=250";
        let request = server.request("GET", path, "");
        let request = request.replace("authorization: Bearer ", "x-shopify-access-token: ");
        stream.write_all(request.as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        unread.push((stream, first));
    }

    let refused = unread.iter().filter(|(_, first)| first.ends_with(b"503")).count();
    assert!((1..READERS).contains(&refused), "{refused} of {READERS} were refused");
    let used = server.memory_bytes("VmHWM:").saturating_sub(before);
    println!("{} KiB for {READERS} readers, {refused} of them refused", used >> 10);
    assert!(used < 100 << 20, "{used} bytes for {READERS} readers");
}
