//! Headers of all responses, panics, and shutdown.

use std::net::TcpStream;
use std::time::Duration;

use loyalty_http::Limits;

use crate::support::{SECOND, Server};

#[test]
fn each_response_has_its_id_and_its_type() {
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
    let empty = server.send_once("GET /empty HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(empty.header("content-type"), None);
    assert!(empty.header("x-request-id").is_some());
}

#[test]
fn a_panic_fails_only_its_request() {
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
fn shutdown_finishes_requests_in_flight() {
    let mut server = Server::start();
    let mut idle = server.connect();
    idle.send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(idle.answer().unwrap().status, 200);
    let mut busy = server.connect();
    busy.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
    while server.served() < 2 {
        std::thread::yield_now();
    }
    server.begin_shutdown();
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
fn shutdown_ends_after_the_grace_period() {
    let mut server =
        Server::with(|limits| Limits { grace_period: Duration::from_millis(200), ..limits });
    let mut stuck = server.connect();
    stuck.send("GET /never HTTP/1.1\r\nhost: x\r\n\r\n");
    while server.served() < 1 {
        std::thread::yield_now();
    }
    server.begin_shutdown();
    let took = server.wait();
    assert!((Duration::from_millis(150)..SECOND).contains(&took), "{took:?}");
    assert!(stuck.answer().is_none());
}
