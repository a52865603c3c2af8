//! What clients can make the server hold in memory is bounded by its settings: so many connections, each with
//! so much. The server is a process of its own, and the system says how much it ever held.

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

/// As many as are served at a time; more come.
const CONNECTIONS: usize = 32;
const CLIENTS: usize = 40;
/// More than anybody may make the server hold.
const FLOOD: usize = 6 * BODY;

/// A body that grows has its last two sizes at the most, and beside it there are buffers.
const BYTES_PER_CONNECTION: usize = 2 * BODY + (512 << 10);
const BODY: usize = 1 << 20;

/// What the process may take besides: threads, the database's pages, what the allocator keeps.
const BASE: usize = 16 << 20;

struct Server {
    process: Child,
    address: String,
    before: usize,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
            .current_dir(&directory)
            // The allocator keeps what was freed for a second, in case it is wanted again: how much that is hangs
            // on how fast the clients are, and the bounds are about what the server holds.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .args([
                "--listen",
                "127.0.0.1:0",
                "--log",
                "error",
                "--connections",
                &CONNECTIONS.to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let listening = |line: String| line.strip_prefix("Listening on http://").map(str::to_owned);
        let address = lines.find_map(listening).unwrap();
        let mut server = Self { process, address, before: 0, _directory: directory };
        assert!(server.is_alive());
        server.before = server.memory_bytes("VmRSS:");
        server
    }

    /// How many bytes the process holds, or held at its peak (`VmHWM:`).
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

    fn is_alive(&self) -> bool {
        let mut stream = self.connect();
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    /// Everybody sends until nothing more is taken, and goes away when all have.
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
        // What the system holds of it is still on its way to the server.
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

/// Bodies of any length, in chunks, with an end that never comes.
#[test]
fn chunked_bodies_use_memory_up_to_their_limit() {
    let server = Server::start();
    let head = "POST /integrations/webhooks/common/orders-paid HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    // Just under the limit, and held.
    server.flood(head, &chunk, BODY - (70 << 10));
    server.flood(head, &chunk, FLOOD);
    server.assert_peak_below(BASE + CONNECTIONS * BYTES_PER_CONNECTION);
}

/// Bodies of which the length is known beforehand take no more than that.
#[test]
fn sized_bodies_are_buffered_once() {
    let server = Server::start();
    let head = format!(
        "POST /integrations/webhooks/common/orders-paid HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY}\r\n\r\n"
    );
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
