//! What one shop's requests cost another shop.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench neighbours
//! ```
//!
//! A server in this process. Four clients of one shop add points, each a moment after its last
//! answer, and one asks `/livez`: first alone, then while clients of other shops send the worst
//! that they may. Without `--bench`, as in `cargo test --all-targets`, each case runs briefly.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loyalty_core::{Currency, Zone};
use loyalty_http::{App, Clock, Limits, auth, scheduler, server};
use loyalty_store::{NewShop, SqliteStore, Store, StoreSettings};
use tokio::runtime::Runtime;

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(2);
const VERSIONS: u32 = 2_000;

struct Bench {
    store: Arc<dyn Store>,
    runtime: Runtime,
    address: SocketAddr,
    clock: loyalty_http::clock::ManualClock,
    /// The time of one case.
    time: Duration,
    /// Lines of the worst orders, customers, and shops, in full or briefly.
    scale: [usize; 3],
}

/// A connection that stays open.
struct Client {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Client {
    fn new(address: SocketAddr, key: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), key: key.to_owned() }
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> u16 {
        let (key, length) = (&self.key, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();

        let (mut line, mut length, mut status) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let head = line.trim_end().to_ascii_lowercase();
            if status == 0 {
                status = head[9..12].parse().unwrap();
            }
            if let Some(value) = head.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if head.is_empty() {
                break;
            }
        }
        std::io::copy(&mut self.stream.by_ref().take(length), &mut std::io::sink()).unwrap();
        status
    }
}

impl Bench {
    /// Creates a shop. Returns its key.
    fn shop(&self) -> String {
        let (now, name) = ("2026-01-01T12:00:00Z".parse().unwrap(), "Tea".to_owned());
        let shop = NewShop { name, currency: Currency::EUR, zone: Zone::UTC };
        let shop = self.store.create_shop(&shop, now).unwrap().id;
        let (record, key) = auth::random_key("Test").unwrap();
        self.store.add_api_key(shop, &record, now).unwrap();
        key
    }

    fn client(&self, key: &str) -> Client {
        Client::new(self.address, key)
    }

    /// Measures the neighbour while `others` send, each in a loop of its own.
    fn measure(&self, name: &str, others: Vec<Box<dyn FnMut() + Send + '_>>) {
        let (key, stopped) = (self.shop(), AtomicBool::new(false));
        let (mut times, mut health, mut sent) = (Vec::new(), Vec::new(), 0);

        std::thread::scope(|scope| {
            let stopped = &stopped;
            let others: Vec<_> = others
                .into_iter()
                .map(|mut other| {
                    scope.spawn(move || {
                        let mut sent = 0;
                        while !stopped.load(Ordering::Relaxed) {
                            other();
                            sent += 1;
                        }
                        sent
                    })
                })
                .collect();
            let repeat =
                |mut client: Client, method: &'static str, path: &'static str, body: String| {
                    move || {
                        let mut times = Vec::new();
                        while !stopped.load(Ordering::Relaxed) {
                            let began = Instant::now();
                            assert_eq!(client.send(method, path, &body), 200);
                            times.push(began.elapsed());
                            std::thread::sleep(PAUSE);
                        }
                        times
                    }
                };
            let neighbours: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let body = format!(r#"{{"customer_id":"n{number}","points":1}}"#);
                    self.client(&key).send(
                        "POST",
                        "/v1/customers",
                        &format!(r#"{{"customer_id":"n{number}"}}"#),
                    );
                    scope.spawn(repeat(self.client(&key), "POST", "/v1/points-add", body))
                })
                .collect();
            let livez = scope.spawn(repeat(self.client(&key), "GET", "/livez", String::new()));

            std::thread::sleep(self.time);
            stopped.store(true, Ordering::Relaxed);
            times.extend(neighbours.into_iter().flat_map(|one| one.join().unwrap()));
            health.extend(livez.join().unwrap());
            sent = others.into_iter().map(|other| other.join().unwrap()).sum::<i32>();
        });
        println!(
            "| {name} | {} | {} | {} | {} | {sent} |",
            percentile(&mut times, 50),
            percentile(&mut times, 99),
            percentile(&mut times, 100),
            percentile(&mut health, 100),
        );
    }
}

/// In milliseconds.
fn percentile(times: &mut [Duration], percent: usize) -> String {
    times.sort_unstable();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    format!("{:.1}", times[index].as_secs_f64() * 1_000.0)
}

/// A hundred rules, each for a category.
fn heavy_program() -> String {
    let rules: Vec<_> = (0..100)
        .map(|rule| {
            format!(
                r#"{{"id":"r{rule}","earn":{{"per_unit":"1.37"}},"when":{{"categories":["c{}"]}}}}"#,
                rule % 40
            )
        })
        .collect();
    format!(r#"{{"earning":[{}]}}"#, rules.join(","))
}

/// An order of many lines, each in forty categories.
fn heavy_order(lines: usize, customer: usize) -> String {
    let categories: Vec<_> = (0..40).map(|number| format!(r#""c{number}""#)).collect();
    let categories = categories.join(",");
    let line = format!(r#"{{"quantity":"1.003","amount":"7.77","categories":[{categories}]}}"#);
    let total = 777 * lines;
    format!(
        r#"{{"customer":{{"customer_id":"h{customer}"}},"status":"paid","total":"{}.{:02}","lines":[{}]}}"#,
        total / 100,
        total % 100,
        vec![line; lines].join(",")
    )
}

/// Four clients of one shop with the worst orders, written and tried.
fn heavy_orders(bench: &Bench, query: &'static str) {
    let (key, [lines, ..]) = (bench.shop(), bench.scale);
    assert_eq!(bench.client(&key).send("PUT", "/v1/program", &heavy_program()), 201);
    let clients = (0..CLIENTS).map(|number| {
        let (mut client, body) = (bench.client(&key), heavy_order(lines, number));
        let mut count = 0;
        let send: Box<dyn FnMut() + Send> = Box::new(move || {
            count += 1;
            let path = format!("/v1/orders/{number}-{count}{query}");
            let status = client.send("PUT", &path, &body);
            assert!(matches!(status, 200 | 503), "{status}");
        });
        send
    });
    bench.measure(&format!("orders of {lines} lines {query}"), clients.collect());
}

/// Four clients of one shop that try a refund of an order with many lines and many refunds.
fn refunds(bench: &Bench) {
    let (key, [lines, ..]) = (bench.shop(), bench.scale);
    let mut client = bench.client(&key);
    let mut order = String::new();
    for line in 0..lines {
        write!(order, r#"{{"line_id":"{line}","quantity":"100.003","amount":"1.00"}},"#).unwrap();
    }
    let order = format!(
        r#"{{"customer":{{"customer_id":"r"}},"status":"paid","total":"{lines}.00","lines":[{}]}}"#,
        order.trim_end_matches(',')
    );
    assert_eq!(client.send("PUT", "/v1/orders/r", &order), 200);
    let mut refunds = 0;
    for refund in 0..60 {
        let mut body = String::new();
        for line in 0..lines {
            write!(body, r#"{{"line_id":"{line}","quantity":"0.003"}},"#).unwrap();
        }
        let body =
            format!(r#"{{"refund_id":"{refund}","lines":[{}]}}"#, body.trim_end_matches(','));
        if client.send("POST", "/v1/orders/r/refunds", &body) != 200 {
            break;
        }
        refunds += 1;
    }
    let clients = (0..CLIENTS).map(|_| {
        let mut client = bench.client(&key);
        let send: Box<dyn FnMut() + Send> = Box::new(move || {
            let body = r#"{"refund_id":"next","lines":[{"line_id":"1","quantity":"0.003"}]}"#;
            client.send("POST", "/v1/orders/r/refunds?dry_run=true", body);
        });
        send
    });
    bench.measure(&format!("a refund after {refunds} of {lines} lines"), clients.collect());
}

/// Two thousand versions of a program, each with another schedule, as fast as they may come, and
/// then once more while its accounts are rescheduled and their customers listed.
fn versions(bench: &Bench) {
    let (key, [_, customers, _]) = (bench.shop(), bench.scale);
    let mut client = bench.client(&key);
    let program = |version: u32| {
        let after = version % 1_000 + 1;
        format!(r#"{{"expiry":{{"inactivity":{{"after":"P{after}M"}}}},"rounding":"up"}}"#)
    };
    for customer in 0..customers {
        let body = format!(r#"{{"customer_id":"v{customer}","points":5}}"#);
        client.send("POST", "/v1/customers", &format!(r#"{{"customer_id":"v{customer}"}}"#));
        client.send("POST", "/v1/points-add", &body);
    }
    let start: loyalty_core::Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    for version in 0..VERSIONS.min(customers as u32) {
        bench.clock.set(start + Duration::from_mins(5) * version);
        assert_eq!(client.send("PUT", "/v1/program", &program(version)), 201);
    }
    let mut pages = bench.client(&key);
    let page: Box<dyn FnMut() + Send> = Box::new(move || {
        assert_eq!(pages.send("GET", "/v1/customers?limit=250", ""), 200);
    });
    let (runtime, store) = (&bench.runtime, Arc::clone(&bench.store));
    let sweep: Box<dyn FnMut() + Send> = Box::new(move || {
        let now = Clock::fixed(start + Duration::from_mins(5) * VERSIONS);
        runtime.block_on(scheduler::run_pass(&store, &now, 256)).unwrap();
        std::thread::sleep(PAUSE);
    });
    bench.measure(&format!("{VERSIONS} versions, {customers} customers"), vec![page, sweep]);
}

/// Requests of many shops in turn.
fn many_shops(bench: &Bench) {
    for shops in [bench.scale[2] / 8, bench.scale[2]] {
        let keys: Vec<_> = (0..shops).map(|_| bench.shop()).collect();
        let mut client = bench.client(&keys[0]);
        for key in &keys {
            client.key.clone_from(key);
            client.send("POST", "/v1/customers", r#"{"customer_id":"1"}"#);
        }
        let mut next = 0;
        let send: Box<dyn FnMut() + Send> = Box::new(move || {
            next = (next + 1) % keys.len();
            client.key.clone_from(&keys[next]);
            client.send("POST", "/v1/points-add", r#"{"customer_id":"1","points":1}"#);
        });
        bench.measure(&format!("a client of {shops} shops in turn"), vec![send]);
    }
}

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("loyalty.db");
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&file, &StoreSettings::default()).unwrap());
    let (clock, manual) = Clock::manual("2026-01-01T12:00:00Z".parse().unwrap());

    let runtime = Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let app = Arc::new(App::new(Arc::clone(&store), clock));
    let service = move |request, id| {
        let app = Arc::clone(&app);
        async move { app.handle(request, id).await }
    };
    runtime.spawn(server::run(listener, service, Limits::default(), std::future::pending()));

    let (time, scale) = if is_bench {
        (Duration::from_secs(5), [1_000, 5_000, 2_000])
    } else {
        (Duration::from_millis(50), [20, 20, 16])
    };
    let bench = Bench { store, runtime, address, clock: manual, time, scale };
    println!("| others | points-add p50 ms | p99 | max | /livez max | others' requests |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    bench.measure("none", Vec::new());
    heavy_orders(&bench, "");
    heavy_orders(&bench, "?dry_run=true");
    refunds(&bench);
    many_shops(&bench);
    versions(&bench);
    bench.measure("none", Vec::new());
}
