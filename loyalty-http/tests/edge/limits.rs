//! Limits of size, time and connections.

use std::time::{Duration, Instant};

use loyalty_http::Limits;

use crate::support::{SECOND, Server};

#[test]
fn a_slow_head_closes_the_connection() {
    let time = Duration::from_millis(200);
    let server = Server::with(|limits| Limits { head_timeout: time, idle_timeout: time, ..limits });
    let begun = Instant::now();
    // Single bytes must not prolong the timeout.
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n");
    while begun.elapsed() < Duration::from_millis(150) {
        client.send("a: b\r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(client.answer().is_none());
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    // The timeout also applies after a request, but not while it is served.
    let mut client = server.connect();
    client.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\nGET /b");
    assert_eq!(client.answer().unwrap().status, 200);
    assert!(client.answer().is_none());
    assert_eq!(server.served(), 1);
    // A client that sends nothing, or nothing more, is disconnected without a response.
    let mut client = server.connect();
    assert!(client.answer().is_none());
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(client.answer().is_some());
    assert!(client.answer().is_none());
    let mut client = server.connect();
    client.send("GET / HT");
    client.close_write();
    assert!(client.answer().is_none());
}

#[test]
fn the_head_timeout_begins_after_the_response_is_read() {
    let time = Duration::from_millis(200);
    let server = Server::with(|limits| Limits { idle_timeout: time, ..limits });
    let mut client = server.connect();
    client.send("GET /big HTTP/1.1\r\nhost: x\r\n\r\n");
    // The response is larger than the buffers of the system.
    std::thread::sleep(time * 3);
    assert_eq!(client.answer().unwrap().text().len(), 32 << 20);
    assert!(client.answer().is_none(), "then the connection is closed");
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
        (format!("{long} / HTTP/1.1\r\n\r\n"), 431),
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
    let answer = server.send_once(format!("GET /a HTTP/1.1\r\nhost: x\r\n{fits}\r\n"));
    assert_eq!(answer.status, 200);
}

#[test]
fn bodies_have_a_size_limit() {
    let server = Server::start();
    let post = "POST / HTTP/1.1\r\nhost: x\r\n";
    let fits = "x".repeat(1000);
    let answer = server.send_once(format!("{post}content-length: 1000\r\n\r\n{fits}"));
    assert_eq!((answer.status, answer.text()), (200, fits.as_str()));
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let answer = server
        .send_once(format!("{post}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"));
    assert_eq!((answer.status, answer.text()), (200, fits.as_str()));
    // With a length: rejected before the body is sent.
    let answer = server.send_once(format!("{post}content-length: 1001\r\n\r\n"));
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    // ... and before a "100 Continue".
    let answer =
        server.send_once(format!("{post}content-length: 1001\r\nexpect: 100-continue\r\n\r\n"));
    assert_eq!(answer.status, 413);
    // In chunks: rejected as soon as it is too large.
    let answer =
        server.send_once(format!("{post}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}1\r\nx"));
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
}

#[test]
fn a_client_that_keeps_sending_still_gets_its_response() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 16000000\r\n\r\n");
    // Many clients read the response only after they have sent everything.
    let piece = vec![b'x'; 100_000];
    for _ in 0..160 {
        client.send(&piece);
    }
    assert_eq!(client.answer().unwrap().status, 413);
}

#[test]
fn bodies_have_a_timeout() {
    let server = Server::start();
    let begun = Instant::now();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_too_slow"));
    assert!(begun.elapsed() < SECOND);
    assert!(client.answer().is_none());
    // Single bytes, chunks, extensions and trailers do not prolong the timeout.
    for (head, piece) in [
        ("content-length: 900\r\n\r\n", "x"),
        ("transfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("transfer-encoding: chunked\r\n\r\n3;", "x"),
        ("transfer-encoding: chunked\r\n\r\n0\r\na: ", "x"),
    ] {
        let begun = Instant::now();
        let mut client = server.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: x\r\n{head}"));
        while begun.elapsed() < Duration::from_millis(300) {
            client.try_send(piece);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(client.answer().unwrap().status, 408, "{head}");
        assert!(begun.elapsed() < SECOND, "{head}");
    }
}

const PAGE: &str = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n";

#[test]
fn connections_beyond_the_cap_wait() {
    let limits = |limits| Limits { max_connections: 2, reserved_connections: 0, ..limits };
    let server = Server::with(limits);
    let mut first = server.connect();
    let mut second = server.connect();
    for client in [&mut first, &mut second] {
        client.send(PAGE);
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let mut third = server.connect();
    third.send(PAGE);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.served(), 2);
    drop(first);
    assert_eq!(third.answer().unwrap().status, 200);
}

/// Clients that open connections and send nothing used to shut out all others until the head timeout.
#[test]
fn an_idle_connection_makes_room_for_a_new_one() {
    let min_idle = Duration::from_millis(50);
    let server = Server::with(|limits| Limits {
        max_connections: 8,
        head_timeout: 60 * SECOND,
        min_idle,
        ..limits
    });
    let mut idle: Vec<_> = (0..40).map(|_| server.connect()).collect();
    std::thread::sleep(2 * min_idle);

    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.send_once(PAGE).status, 200);
    }
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
    assert!(idle[0].answer().is_none(), "the longest idle one was closed");
}

/// The service of these tests answers everywhere; the application answers health checks only.
#[test]
fn reserved_places_are_used_once() {
    let limits = |limits| Limits { max_connections: 1, reserved_connections: 1, ..limits };
    let server = Server::with(limits);
    let mut busy = server.connect();
    busy.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));

    let mut client = server.connect();
    client.send(PAGE);
    let answer = client.answer().unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.text(), "reserved");
    assert!(client.answer().is_none());
    assert_eq!(busy.answer().unwrap().status, 200);
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let server = Server::with(|limits| Limits {
        max_connections: 1,
        reserved_connections: 0,
        write_timeout: Duration::from_millis(200),
        ..limits
    });
    let mut client = server.connect();
    client.send("GET /big HTTP/1.1\r\nhost: x\r\n\r\n");
    // The only slot is free again, although the first client has not closed its
    // connection.
    let answer = server.send_once("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(answer.status, 200);
}

/// A client sends thousands of requests and reads no response. The server answers as many
/// as the buffers take, then waits. Otherwise it would hold 16 KiB for each further
/// request.
#[test]
fn responses_do_not_pile_up_for_a_client_that_does_not_read() {
    const REQUESTS: usize = 20_000;
    for method in ["HEAD", "GET"] {
        let server = Server::with(|limits| Limits { write_timeout: 60 * SECOND, ..limits });
        let mut client = server.connect();
        let request = format!("{method} /long HTTP/1.1\r\nhost: x\r\n\r\n");
        client.send_while_accepted(&request.repeat(REQUESTS));
        let mut reached = 0;
        while reached < 10 || server.served() > reached {
            reached = server.served();
            std::thread::sleep(Duration::from_millis(500));
        }
        assert!((10..REQUESTS / 4).contains(&reached), "{method}: {reached} answers for nobody");
        // The others are answered when the client reads.
        let mut answers = std::iter::repeat_with(|| client.answer());
        assert!(
            answers
                .by_ref()
                .take(reached + 100)
                .all(|answer| answer.is_some_and(|answer| answer.status == 200))
        );
    }
}
