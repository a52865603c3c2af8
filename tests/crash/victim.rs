//! A process that works on a store until it is killed, and whoever watches it.

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
/// Makes a victim move its log often.
pub(crate) const CHECKPOINT_OFTEN: &str = "LOYALTY_TEST_CHECKPOINTS";
/// Makes a victim leave its log where it is.
pub(crate) const KEEP_LOG: &str = "LOYALTY_TEST_LOG_STAYS";
const THREADS: usize = 4;
const CUSTOMERS: usize = 200;

/// Half of the requests are about eight customers, who soon have a long past.
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

/// A request's key says all of it: the round, the thread, and the number.
pub(crate) fn key(round: &str, thread: usize, number: usize) -> String {
    format!("{round}-{thread}-{number}")
}

pub(crate) fn number_of(key: &str) -> usize {
    key.rsplit('-').next().unwrap().parse().unwrap()
}

pub(crate) fn desk(store: &dyn Store) -> TestShop<'_> {
    TestShop { store, id: ShopId(1), now: at("2026-01-01T12:00:00Z") }
}

/// Small enough that rounds happen all the time, each over several commits.
pub(crate) fn settings() -> StoreSettings {
    let mut settings = StoreSettings::default();
    (
        settings.cached_records,
        settings.write_behind_threshold,
        settings.checkpoint_pages,
    ) = (16, 300, 60);
    settings
}

/// Works until it is killed, where it was started as a victim.
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
            let (desk, round) = (desk(&store), &round);
            scope.spawn(move || {
                for number in 0.. {
                    let key = key(round, thread, number);
                    // Each at an instant of its own, so that customers get chapters of instants as well as of lots.
                    let seconds =
                        round.parse::<usize>().unwrap() * 100_000 + number * THREADS + thread;
                    let now = desk.now + Duration::from_secs(u64::try_from(seconds).unwrap());
                    let desk = TestShop { now, ..desk };
                    match desk.execute_with_key(&key, action(&key, number)) {
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

/// The log goes into the database, and begins anew, far more often than the store would have it.
fn checkpoint_often(file: &str) {
    let db = rusqlite::Connection::open(file).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(5));
        let _ = db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
    }
}

/// A victim at work, and what it prints.
pub(crate) struct Victim {
    pub(crate) process: Child,
    lines: Receiver<String>,
}

impl Victim {
    pub(crate) fn start(file: &Path, round: usize, more: &[(&str, &str)]) -> Self {
        // A file that may not grow is an error for the victim, not its end.
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

    /// Kills it without warning. Answers all that it printed.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Lines until enough of a kind have come.
    pub(crate) fn lines(&self, kind: &str, count: usize) -> Vec<String> {
        let (mut lines, mut seen, patience) = (Vec::new(), 0, Instant::now());
        while seen < count {
            assert!(
                patience.elapsed() < Duration::from_secs(30),
                "only {seen} of {count} were {kind}"
            );
            let line = self.lines.recv_timeout(Duration::from_secs(30)).expect(kind);
            seen += usize::from(line.starts_with(kind));
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

/// The key and the rest of each line of a kind. The last line may be cut off.
pub(crate) fn lines_of_kind<'a>(
    lines: &'a [String],
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    lines
        .iter()
        .filter_map(move |line| line.strip_prefix(kind)?.trim_start().split_once(' '))
}

/// A new file with a shop, whose customers get a lot by each request.
pub(crate) fn prepare(file: &Path) {
    let store = SqliteStore::open(file, &settings()).unwrap();
    let desk = TestShop::new(&store);
    assert_eq!(desk.id, ShopId(1));
    desk.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P5Y"}}}"#))
        .unwrap();
}

/// Every request is sent once more: what was acknowledged is answered as it was, and in the end
/// everything has happened once.
pub(crate) fn check_and_retry(
    file: &Path,
    acknowledged: &HashMap<String, String>,
    unanswered: &[String],
    sum: &mut HashMap<usize, i64>,
) {
    let store = SqliteStore::open(file, &settings()).unwrap();
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
    let desk = desk(&store);
    for (key, answer) in acknowledged {
        let number = number_of(key);
        let again = expect_stored(desk.execute_with_key(key, action(key, number)));
        assert_eq!(again, (200, answer.clone(), true), "{key}");
        *sum.entry(customer_of(number)).or_default() += points_of(number);
    }
    for key in unanswered {
        let number = number_of(key);
        expect_stored(desk.execute_with_key(key, action(key, number)));
        *sum.entry(customer_of(number)).or_default() += points_of(number);
    }
    for (number, sum) in &*sum {
        assert_eq!(desk.balance(&id(&format!("c{number}"))), *sum, "c{number}");
    }
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
}

/// What each thread was waiting for when it was killed: the request after the last that was answered.
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
