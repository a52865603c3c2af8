//! Where one message ends and the next begins: what can be read in two ways is refused.

use crate::support::Server;

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
fn a_broken_chunk_is_a_client_error() {
    let server = Server::start();
    let answer =
        server.ask("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n");
    assert_eq!((answer.status, answer.code().as_str()), (400, "broken_body"));
}
