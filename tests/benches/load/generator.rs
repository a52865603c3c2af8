//! The load generator: raw sockets, prepared requests, and a minimal reader of responses.
//! Each connection has one request in flight.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::requests::Template;

/// Each thread has its own runtime, so that they share nothing.
pub(crate) const THREADS: usize = 2;

/// Numbers the requests of the whole run, so that none is sent twice.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// The latency of each request that began within the window.
pub(crate) struct Samples {
    pub(crate) window: Duration,
    pub(crate) latencies: Vec<Duration>,
}

/// Sends over `connections` connections: during the warm-up, which is not measured, then
/// for the window.
pub(crate) fn run(
    server: SocketAddr,
    template: &Template,
    connections: usize,
    (warm_up, window): (Duration, Duration),
) -> Samples {
    let threads = THREADS.min(connections);
    let ready = Arc::new(Barrier::new(threads));

    let latencies = std::thread::scope(|scope| {
        let share = |thread| connections / threads + usize::from(thread < connections % threads);
        let started: Vec<_> = (0..threads)
            .map(|thread| {
                let (ready, template, share) =
                    (Arc::clone(&ready), template.clone(), share(thread));
                scope.spawn(move || drive_all(server, &template, share, (warm_up, window), &ready))
            })
            .collect();
        started
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    Samples { window, latencies }
}

fn drive_all(
    server: SocketAddr,
    template: &Template,
    connections: usize,
    (warm_up, window): (Duration, Duration),
    ready: &Barrier,
) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(server).await.unwrap();
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }

        ready.wait();
        let from = Instant::now() + warm_up;

        let mut driven = JoinSet::new();
        for stream in streams {
            driven.spawn(drive(stream, template.clone(), from, from + window));
        }
        driven.join_all().await.into_iter().flatten().collect()
    })
}

async fn drive(
    mut stream: TcpStream,
    mut template: Template,
    from: Instant,
    until: Instant,
) -> Vec<Duration> {
    let (mut latencies, mut response) = (Vec::new(), Vec::with_capacity(8 << 10));
    loop {
        let request = template.fill(SERIAL.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        if begun >= until {
            return latencies;
        }
        stream.write_all(request).await.unwrap();
        read_response(&mut stream, &mut response).await;
        if begun >= from {
            latencies.push(begun.elapsed());
        }
    }
}

/// Reads one whole response. Panics unless it is a success.
async fn read_response(stream: &mut TcpStream, response: &mut Vec<u8>) {
    response.clear();
    loop {
        let read = stream.read_buf(response).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        let Some(head) = find(response, b"\r\n\r\n") else { continue };
        let length = content_length(&response[..head]);
        if response.len() >= head + 4 + length {
            assert!(response.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(response));
            return;
        }
    }
}

/// The content length. Hyper writes header names in lower case.
fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let at = find(head, NAME).expect("a response with a length") + NAME.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len()).position(|window| window == pattern)
}
