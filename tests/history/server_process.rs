//! A process that serves the file over HTTP and sends the facts to itself until it is
//! killed, and the loop that kills it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use loyalty_http::{App, Clock, Limits, scheduler, server};
use loyalty_store::{SqliteStore, Store};
use loyalty_tests::tiny_settings;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::facts::{self, OrderFact};
use crate::start_of_day;

const DATABASE: &str = "LOYALTY_TEST_DATABASE";
const KEY: &str = "LOYALTY_TEST_KEY";
/// The index of the first fact to send.
const FROM: &str = "LOYALTY_TEST_FROM";

/// Sends facts until it is killed or has sent all, if this process was started for that.
pub(crate) fn run_victim() {
    let (Ok(file), Ok(key), Ok(from)) =
        (std::env::var(DATABASE), std::env::var(KEY), std::env::var(FROM))
    else {
        return;
    };
    let (facts, from): (Vec<OrderFact>, usize) = (facts::read(), from.parse().unwrap());
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(Path::new(&file), &tiny_settings()).unwrap());

    let (clock, manual_clock) = Clock::manual(facts[from].at);
    let runtime = Runtime::new().unwrap();
    let mut client = Client::connect(&runtime, Arc::clone(&store), &clock, key);

    let mut today = start_of_day(facts[from].at);
    for (number, fact) in facts.iter().enumerate().skip(from) {
        if start_of_day(fact.at) > today {
            today = start_of_day(fact.at);
            manual_clock.set(today);
            runtime.block_on(scheduler::run_pass(&store, &clock, 16)).unwrap();
        }
        manual_clock.set(fact.at);
        client.send(number, fact);
        println!("\ndone {number}");
    }
}

/// A connection to the server in this process.
struct Client {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Client {
    fn connect(runtime: &Runtime, store: Arc<dyn Store>, clock: &Clock, key: String) -> Self {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();

        let app = Arc::new(App::new(store, clock.clone()));
        let service = move |request, id| {
            let app = Arc::clone(&app);
            async move { app.handle(request, id).await }
        };
        runtime.spawn(server::run(listener, service, Limits::default(), std::future::pending()));

        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), key }
    }

    /// Sends a fact under an idempotency key of its own, so that it takes effect once if
    /// it is sent again after a kill.
    fn send(&mut self, number: usize, fact: &OrderFact) {
        let (method, path, body) = fact.request();
        let (key, length) = (&self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {number}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );

        self.stream.get_mut().write_all(request.as_bytes()).unwrap();

        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "the server hung up");
            let header = line.trim_end().to_ascii_lowercase();
            status = status.or_else(|| header.get(9..12).map(str::to_owned));
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
        }

        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        assert_eq!(status.as_deref(), Some("200"), "{path}: {}", String::from_utf8_lossy(&body));
    }
}

/// Runs the facts through a process that is killed `kills` times on the way.
pub(crate) fn replay_with_kills(file: &Path, key: &str, facts: usize, kills: usize) {
    let mut from = 0;
    for round in 0..=kills {
        let mut victim = Victim::start(file, key, from);
        let part = facts / (kills + 1);
        // At a different point of its part in each round.
        let until =
            if round == kills { facts } else { part * round + part * (round * 7 % 11 + 1) / 12 };

        let sent = victim.wait_until_sent(until);
        from = victim.kill().or(sent).map_or(from, |last| last + 1);
        assert!(from >= until, "it stopped at fact {from}");
        // The last responses may not have reached the client: up to two facts are sent
        // again.
        from = from.saturating_sub(round % 3).min(facts - 1);
    }
}

struct Victim {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Victim {
    fn start(file: &Path, key: &str, from: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .envs([
                (DATABASE, file.display().to_string()),
                (KEY, key.to_owned()),
                (FROM, from.to_string()),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Waits until the fact before `until` is sent. Returns the last fact sent.
    fn wait_until_sent(&mut self, until: usize) -> Option<usize> {
        let mut last = None;
        while last.is_none_or(|last| last + 1 < until) {
            let line = self.lines.next()?.unwrap();
            last = parse_done_line(&line).or(last);
        }
        last
    }

    /// Kills it without warning. Returns the last fact that it sent meanwhile, if any.
    fn kill(mut self) -> Option<usize> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.filter_map(|line| parse_done_line(&line.ok()?)).last()
    }
}

/// The fact that a `done` line names. The line is written at once, so that a kill cannot
/// cut the number short.
fn parse_done_line(line: &str) -> Option<usize> {
    line.strip_prefix("done ")?.parse().ok()
}
