//! A process that works on a store until it is killed, and its parent's view of it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use loyalty_core::ShopId;
use loyalty_store::{Action, CustomerRef, Existence, SqliteStore, Store, StoreSettings};
use loyalty_tests::*;

const DATABASE: &str = "LOYALTY_TEST_DATABASE";
const ROUND: &str = "LOYALTY_TEST_ROUND";
/// If set, a victim checkpoints its log often.
pub(crate) const CHECKPOINT_OFTEN: &str = "LOYALTY_TEST_CHECKPOINTS";
/// If set, a victim never checkpoints its log.
pub(crate) const KEEP_LOG: &str = "LOYALTY_TEST_LOG_STAYS";
const THREADS: usize = 4;
const CUSTOMERS: usize = 200;

/// Half of the requests are about eight customers, which soon have a long history.
fn customer_of(number: usize) -> usize {
    if number.is_multiple_of(2) { number / 2 % 8 } else { number % CUSTOMERS }
}

/// Every eighth request is an order of ten points, the others add one point.
pub(crate) fn customer(number: usize) -> CustomerRef {
    id(&format!("c{}", customer_of(number)))
}

pub(crate) fn action(key: &str, number: usize) -> Action {
    if number.is_multiple_of(8) {
        return order_action(Some(&customer(number)), record_paid(key, "10.00"));
    }
    Action::for_customer(customer(number), Existence::Any, vec![add(1)])
}

pub(crate) fn points_of(number: usize) -> i64 {
    if number.is_multiple_of(8) { 10 } else { 1 }
}

/// The key of a request contains its round, thread and number.
pub(crate) fn key(round: &str, thread: usize, number: usize) -> String {
    format!("{round}-{thread}-{number}")
}

pub(crate) fn number_of(key: &str) -> usize {
    key.rsplit('-').next().unwrap().parse().unwrap()
}

pub(crate) fn shop(store: &dyn Store) -> TestShop<'_> {
    TestShop { store, id: ShopId(1), now: at("2026-01-01T12:00:00Z") }
}

/// Small enough that checkpoints happen all the time, each over several commits.
pub(crate) fn settings() -> StoreSettings {
    let mut settings = StoreSettings::default();
    (
        settings.cached_records,
        settings.write_behind_threshold,
        settings.checkpoint_pages,
    ) = (16, 300, 60);
    settings
}

/// Works until it is killed, if this process was started as a victim. Else returns
/// immediately.
pub(crate) fn run_victim() {
    let (Ok(file), Ok(round)) = (std::env::var(DATABASE), std::env::var(ROUND)) else {
        return;
    };
    let mut settings = settings();
    if std::env::var(KEEP_LOG).is_ok() {
        settings.checkpoint_pages = usize::MAX;
    }
    let store = SqliteStore::open(Path::new(&file), &settings).unwrap();
    std::thread::scope(|scope| {
        if std::env::var(CHECKPOINT_OFTEN).is_ok() {
            scope.spawn(|| checkpoint_often(&file));
        }
        for thread in 0..THREADS {
            let (shop, round) = (shop(&store), &round);
            scope.spawn(move || {
                for number in 0.. {
                    let key = key(round, thread, number);
                    // A different instant for each, so that customers get segments of
                    // instants and of lots.
                    let seconds =
                        round.parse::<usize>().unwrap() * 100_000 + number * THREADS + thread;
                    let now = shop.now + Duration::from_secs(u64::try_from(seconds).unwrap());
                    let shop = TestShop { now, ..shop };
                    match shop.execute_with_key(&key, action(&key, number)) {
                        Ok(reply) => println!("\ndone {key} {}", expect_stored(Ok(reply)).1),
                        Err(failure) => {
                            println!("\nfailed {key} {failure:?}");
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    }
                }
            });
        }
    });
}

/// Checkpoints and restarts the log far more often than the store would.
fn checkpoint_often(file: &str) {
    let db = rusqlite::Connection::open(file).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(5));
        let _ = db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
    }
}

/// A running victim and its output.
pub(crate) struct Victim {
    pub(crate) process: Child,
    lines: Receiver<String>,
}

impl Victim {
    pub(crate) fn start(file: &Path, round: usize, more: &[(&str, &str)]) -> Self {
        // Without the signal, a file that may not grow is an error for the victim, not
        // its end.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .envs([(DATABASE, file.display().to_string()), (ROUND, round.to_string())])
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();

        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());

        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { process, lines }
    }

    /// Kills it without warning. Returns the rest of its output.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Returns the output up to the `count`-th line of the kind. Panics after 30 seconds.
    pub(crate) fn lines(&self, kind: &str, count: usize) -> Vec<String> {
        let (mut lines, mut matching, started) = (Vec::new(), 0, Instant::now());

        while matching < count {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "only {matching} of {count} were {kind}"
            );
            let line = self.lines.recv_timeout(Duration::from_secs(30)).expect(kind);
            matching += usize::from(line.starts_with(kind));
            lines.push(line);
        }
        lines
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The key and the rest of each line of the kind. The last line may be incomplete.
pub(crate) fn lines_of_kind<'a>(
    lines: &'a [String],
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    lines
        .iter()
        .filter_map(move |line| line.strip_prefix(kind)?.trim_start().split_once(' '))
}

/// Creates a file with a shop, in which each request opens a lot.
pub(crate) fn prepare(file: &Path) {
    let store = SqliteStore::open(file, &settings()).unwrap();
    let shop = TestShop::new(&store);
    assert_eq!(shop.id, ShopId(1));
    shop.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P5Y"}}}"#))
        .unwrap();
}

/// Sends every request again. Acknowledged ones must return the stored response, and in
/// the end each must have had exactly one effect.
pub(crate) fn check_and_retry(
    file: &Path,
    acknowledged: &HashMap<String, String>,
    unanswered: &[String],
    sums: &mut HashMap<usize, i64>,
) {
    let store = SqliteStore::open(file, &settings()).unwrap();
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());

    let shop = shop(&store);
    for (key, response) in acknowledged {
        let number = number_of(key);
        let repeated = expect_stored(shop.execute_with_key(key, action(key, number)));
        assert_eq!(repeated, (200, response.clone(), true), "{key}");
        *sums.entry(customer_of(number)).or_default() += points_of(number);
    }

    for key in unanswered {
        let number = number_of(key);
        expect_stored(shop.execute_with_key(key, action(key, number)));
        *sums.entry(customer_of(number)).or_default() += points_of(number);
    }

    for (number, sum) in &*sums {
        assert_eq!(shop.balance(&id(&format!("c{number}"))), *sum, "c{number}");
    }
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
}

/// The keys of the requests in flight when the process was killed: the one after the last
/// response of each thread.
pub(crate) fn unanswered_keys(round: usize, lines: &[String]) -> Vec<String> {
    let mut next = [0; THREADS];
    for (key, _) in lines_of_kind(lines, "done").chain(lines_of_kind(lines, "failed")) {
        let thread: usize = key.split('-').nth(1).unwrap().parse().unwrap();
        next[thread] = next[thread].max(number_of(key) + 1);
    }
    next.into_iter()
        .enumerate()
        .map(|(thread, number)| key(&round.to_string(), thread, number))
        .collect()
}
