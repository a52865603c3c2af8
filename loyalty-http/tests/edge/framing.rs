//! Message framing: the boundaries between requests.

use crate::support::{Server, TestResponse};

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
fn invalid_http_is_rejected() {
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
        let text = String::from_utf8_lossy(request);
        assert_eq!(client.answer().unwrap().status, 400, "{text}");
        assert!(client.answer().is_none(), "{text}");
    }
    assert_eq!(server.served(), 0);
}

#[test]
fn nothing_is_smuggled_in_a_head() {
    let server = Server::start();
    let smuggled = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    let refused = [
        // Two lengths.
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "content-length: 3, 4\r\n\r\nabcd",
        "content-length: 3, 3\r\n\r\nabc",
        // Lengths that other parsers may read differently.
        "content-length: +3\r\n\r\nabc",
        "content-length: 0x3\r\n\r\nabc",
        "content-length: -3\r\n\r\nabc",
        "content-length: 3 3\r\n\r\nabc",
        "content-length: \r\n\r\nabc",
        "content-length: 18446744073709551616\r\n\r\nabc",
        "content-length: 99999999999999999999999\r\n\r\nabc",
        // Codings that are not chunked, or not alone.
        "transfer-encoding: gzip\r\n\r\nabc",
        "transfer-encoding: identity\r\n\r\nabc",
        "transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding:\r\n\r\n0\r\n\r\n",
        // Folded headers, and spaces before the colon.
        "a: b\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "content-length: 1\r\n 0\r\n\r\n0123456789",
        "a: b\r\n\tc\r\n\r\n",
        "content-length : 3\r\n\r\nabc",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding\t: chunked\r\n\r\n0\r\n\r\n",
        // Line ends that other parsers may read differently.
        "a: b\rcontent-length: 3\r\n\r\nabc",
        "a: b\0\r\n\r\n",
        // A second host.
        "host: y\r\n\r\n",
    ];
    for rest in refused {
        let mut client = server.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: x\r\n{rest}{smuggled}"));
        assert_eq!(client.answer().unwrap().status, 400, "{rest}");
        assert!(client.answer().is_none(), "{rest}");
    }
    for whole in [
        "POST / HTTP/1.1\ncontent-length: 0\n\n",
        // HTTP/1.0 has no transfer codings.
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(server.send_once(whole).status, 400, "{whole}");
    }
    assert_eq!(server.served(), 0);
    // HTTP/1.0 needs no host, and closes its connection.
    assert_eq!(server.send_once("GET / HTTP/1.0\r\n\r\n").status, 200);
}

/// With both a length and a coding, the coding counts and nothing after the request is
/// read (RFC 9112, 6.3).
#[test]
fn length_and_chunked_coding_close_the_connection() {
    let server = Server::start();
    let smuggled = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    for (number, lines) in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "Transfer-Encoding: Chunked\r\na: b\r\nCONTENT-LENGTH:0",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = server.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n3\r\nabc\r\n0\r\n\r\n{smuggled}"
        ));
        assert_eq!(client.answer().unwrap().text(), "abc", "{lines}");
        assert!(client.answer().is_none(), "{lines}");
        assert_eq!(server.served(), number + 1, "{lines}");
    }
}

/// Nobody knows what lies below a coding that we do not know (RFC 9112, 6.1).
#[test]
fn codings_other_than_one_chunked_are_refused() {
    let server = Server::start();
    let smuggled = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    for coding in [
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: identity, chunked",
    ] {
        let mut client = server.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: x\r\n{coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n{smuggled}"
        ));
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 400, "{coding}");
        assert!(client.answer().is_none(), "{coding}");
    }
    assert_eq!(server.served(), 0);
}

/// A client such as `nc -N` closes its sending side behind the request.
#[test]
fn a_half_closed_client_is_answered() {
    let server = Server::start();
    for (request, text) in [
        ("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc", "abc"),
        ("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n", "/slow"),
        ("GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "/a"),
    ] {
        for _ in 0..20 {
            let mut client = server.connect();
            client.send(request);
            client.close_write();
            let answer = client.answer();
            assert_eq!(answer.as_ref().map(TestResponse::text), Some(text), "{request}");
            assert!(client.answer().is_none(), "{request}");
            if text == "/slow" {
                break;
            }
        }
    }
}

/// An invalid body is rejected, and nothing after it is read.
#[test]
fn nothing_is_smuggled_in_chunks() {
    let server = Server::start();
    let smuggled = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    let long = "x".repeat(20_000);
    let broken = [
        // Invalid sizes.
        "g\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        ";a\r\nabc\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        // Other line ends, also in an extension.
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r\n0\n\r\n",
        // Chunks that are longer or shorter than their size.
        "5\r\nabcdefgh\r\n0\r\n\r\n",
        "5\r\nabc\r\n0\r\n\r\n",
        // Too long extensions and trailers.
        &format!("3;{long}\r\nabc\r\n0\r\n\r\n"),
        &format!("3\r\nabc\r\n0\r\na: {long}\r\n\r\n"),
    ];
    for (number, body) in broken.into_iter().enumerate() {
        let mut client = server.connect();
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        client.try_send(format!("{head}{body}{smuggled}"));
        let answer = client.answer().unwrap();
        let text = &body[..body.len().min(40)];
        assert_eq!((answer.status, answer.code().as_str()), (400, "broken_body"), "{text}");
        assert!(client.answer().is_none(), "{text}");
        assert_eq!(server.served(), number + 1, "{text}");
    }
}

#[test]
fn the_next_request_begins_where_the_body_ends() {
    let server = Server::start();
    let inner = "GET /admin HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n";
    let length = inner.len();
    let size = format!("{length:X}");
    let requests = [
        format!("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{inner}"),
        format!("GET /a HTTP/1.1\r\nhost: x\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!(
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
             {size};why=\"not\"\r\n{inner}\r\n0\r\ncontent-length: 5\r\n\r\n"
        ),
        format!("\r\n\r\nPOST /a HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{inner}"),
    ];
    // All of them on one connection, in one write and in small pieces.
    for size in [usize::MAX, 50, 7] {
        let (mut client, before) = (server.connect(), server.served());
        requests
            .concat()
            .as_bytes()
            .chunks(size)
            .for_each(|piece| client.send(piece));
        for request in &requests {
            let answer = client.answer().unwrap();
            assert_eq!((answer.status, answer.text()), (200, inner), "{request}");
        }
        client.send("GET /b HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(client.answer().unwrap().text(), "/b");
        assert_eq!(server.served(), before + requests.len() + 1);
    }
}

#[test]
fn a_rejected_body_is_not_read_as_requests() {
    let server = Server::start();
    let smuggled = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let mut client = server.connect();
    client.try_send(format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    ));
    assert_eq!(client.answer().unwrap().status, 413);
    assert_eq!(server.served(), 1);
    // Bytes that had already arrived are skipped, or the connection is closed.
    client.try_send("GET /b HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(client.answer().is_none_or(|answer| answer.text() == "/b"));
}

#[test]
fn expect_100_continue_is_answered() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 100);
    client.send("abc");
    assert_eq!(client.answer().unwrap().text(), "abc");
}
