//! The real server, killed while clients write to it: what it acknowledged is there after the restart,
//! nothing is there twice, and the books add up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop where it fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const CLIENTS: usize = 8;
const ROUNDS: usize = 4;

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
            .current_dir(directory)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let listening = |line: String| line.strip_prefix("Listening on http://").map(str::to_owned);
        let address = lines.find_map(listening).unwrap();
        Self { process, address }
    }

    fn kill(mut self) {
        self.process.kill().unwrap(); // SIGKILL
        self.process.wait().unwrap();
    }
}

/// One connection; a request is answered with its status and body, or nothing when the server died.
struct Client {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Client {
    fn connect(address: &str, key: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Some(Self { stream: BufReader::new(stream), key: key.to_owned() })
    }

    fn send(&mut self, method: &str, path: &str, once: &str, body: &str) -> Option<(u16, String)> {
        let (key, length) = (&self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {once}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        let (mut line, mut length, mut status) = (String::new(), 0, None);
        loop {
            line.clear();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let head = line.trim_end().to_ascii_lowercase();
            status = status.or_else(|| head.get(9..12)?.parse().ok());
            if let Some(value) = head.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if head.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some((status?, String::from_utf8(body).unwrap()))
    }
}

/// Sends until the server dies; notes what was sent and what was acknowledged. One request in three is an
/// order of 1.00, the others add one point: each is worth exactly one.
fn write_until_dead(address: &str, key: &str, round: usize, client: usize, log: &Mutex<Vec<Sent>>) {
    let Some(mut connection) = Client::connect(address, key) else { return };
    for number in 0.. {
        let once = format!("{round}-{client}-{number}");
        let (method, path, body) = if number % 3 == 0 {
            let body = format!(
                r#"{{"customer":{{"customer_id":"c{client}"}},"status":"paid","lines":[{{"quantity":1,"amount":"1.00"}}],"total":"1.00"}}"#
            );
            ("PUT", format!("/v1/orders/{once}"), body)
        } else {
            ("POST", "/v1/points-add".to_owned(), format!(r#"{{"customer_id":"c{client}","points":1}}"#))
        };
        let answer = connection.send(method, &path, &once, &body);
        let dead = answer.is_none();
        log.lock().unwrap().push(Sent { client, once, method, path, body, answer });
        if dead {
            return;
        }
    }
}

struct Sent {
    client: usize,
    once: String,
    method: &'static str,
    path: String,
    body: String,
    answer: Option<(u16, String)>,
}

#[test]
fn a_killed_server_has_all_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let create = ["shop", "create", "Tea", "--currency", "USD", "--json"];
    let made = loyalty(directory.path(), &create);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let key = made["key"].as_str().unwrap();
    let log = Mutex::new(Vec::new());
    for round in 0..ROUNDS {
        let server = Server::start(directory.path());
        let mut first = Client::connect(&server.address, key).unwrap();
        for client in 0..CLIENTS {
            let body = format!(r#"{{"customer_id":"c{client}"}}"#);
            let (status, _) = first.send("POST", "/v1/customers", &format!("new-{client}"), &body).unwrap();
            assert_eq!(status, 201, "a retry is answered as the first time");
        }
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, log) = (server.address.clone(), &log);
                scope.spawn(move || write_until_dead(&address, key, round, client, log));
            }
            std::thread::sleep(Duration::from_millis(150 + 130 * u64::try_from(round).unwrap()));
            server.kill();
        });
    }
    let log = log.into_inner().unwrap();
    let acknowledged = log.iter().filter(|sent| sent.answer.is_some()).count();
    assert!(acknowledged > 100, "only {acknowledged} requests were acknowledged: no load");

    let server = Server::start(directory.path());
    let mut again = Client::connect(&server.address, key).unwrap();
    for sent in &log {
        let (status, body) = again.send(sent.method, &sent.path, &sent.once, &sent.body).unwrap();
        assert_eq!(status, 200, "{body}");
        if let Some((_, first)) = &sent.answer {
            assert_eq!(&body, first, "{} was acknowledged, and is answered differently now", sent.once);
        }
    }
    for client in 0..CLIENTS {
        let sent = log.iter().filter(|sent| sent.client == client).count();
        let path = format!("/v1/customers/c{client}/point-balance");
        let (_, body) = again.send("GET", &path, "-", "").unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["point_balance"], sent, "each request counts once");
    }
    server.kill();
    assert!(loyalty(directory.path(), &["verify"]).contains("Every state agrees with its journal."));
}

fn loyalty(directory: &Path, arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_loyalty-http")).current_dir(directory).args(arguments).output();
    String::from_utf8(run.unwrap().stdout).unwrap()
}
