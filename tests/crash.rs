//! What a process acknowledged is there after it was killed, and what it could not write it never
//! acknowledged.
//!
//! The victim is this test binary itself, started once more for the one test [`victim`]. It opens the
//! store, works on it with several threads, and prints a line for each request that was answered, but
//! none before the answer.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at what it did not expect"
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use loyalty_core::ShopId;
use loyalty_store::{Action, Presence, Settings, SqliteStore, Store, Who};
use loyalty_tests::*;

const DATABASE: &str = "LOYALTY_TEST_DATABASE";
const ROUND: &str = "LOYALTY_TEST_ROUND";
const THREADS: usize = 4;
const CUSTOMERS: usize = 200;

/// Every eighth request is an order of ten points, the others add one point.
fn customer(number: usize) -> Who {
    id(&format!("c{}", number % CUSTOMERS))
}

fn action(key: &str, number: usize) -> Action {
    if number.is_multiple_of(8) {
        return about_order(Some(&customer(number)), paid(key, "10.00"));
    }
    Action::customer(customer(number), Presence::May, vec![add(1)])
}

fn worth(number: usize) -> i64 {
    if number.is_multiple_of(8) { 10 } else { 1 }
}

/// A request's key says all of it: the round, the thread, and the number.
fn key(round: &str, thread: usize, number: usize) -> String {
    format!("{round}-{thread}-{number}")
}

fn number_of(key: &str) -> usize {
    key.rsplit('-').next().unwrap().parse().unwrap()
}

fn desk(store: &dyn Store) -> Desk<'_> {
    Desk { store, shop: ShopId(1), now: at("2026-01-01T12:00:00Z") }
}

/// Small enough that rounds happen all the time, each over several commits.
fn settings() -> Settings {
    let mut settings = Settings::default();
    (settings.cached_records, settings.write_behind) = (16, 300);
    settings
}

/// Not a test of its own: the process that the others kill.
#[test]
fn victim() {
    let (Ok(file), Ok(round)) = (std::env::var(DATABASE), std::env::var(ROUND)) else { return };
    let store = SqliteStore::open(Path::new(&file), &settings()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (desk, round) = (desk(&store), &round);
            scope.spawn(move || {
                for number in 0.. {
                    let key = key(round, thread, number);
                    match desk.keyed(&key, action(&key, number)) {
                        Ok(reply) => println!("\ndone {key} {}", kept(Ok(reply)).1),
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

/// A victim at work, and what it prints.
struct Victim {
    process: Child,
    lines: Receiver<String>,
}

impl Victim {
    fn start(file: &Path, round: usize) -> Self {
        // A file that may not grow is an error for the victim, not its end.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .envs([(DATABASE, file.display().to_string()), (ROUND, round.to_string())])
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
    fn kill(&mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Lines until enough of a kind have come.
    fn lines(&self, kind: &str, count: usize) -> Vec<String> {
        let (mut lines, mut seen, patience) = (Vec::new(), 0, Instant::now());
        while seen < count {
            assert!(patience.elapsed() < Duration::from_secs(30), "only {seen} of {count} were {kind}");
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
fn told<'a>(lines: &'a [String], kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    lines.iter().filter_map(move |line| line.strip_prefix(kind)?.trim_start().split_once(' '))
}

/// A new file with a shop.
fn prepare(file: &Path) {
    let store = SqliteStore::open(file, &settings()).unwrap();
    assert_eq!(Desk::new(&store).shop, ShopId(1));
}

/// Every request is sent once more: what was acknowledged is answered as it was, and in the end
/// everything has happened once.
fn check(
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
        let again = kept(desk.keyed(key, action(key, number)));
        assert_eq!(again, (200, answer.clone(), true), "{key}");
        *sum.entry(number % CUSTOMERS).or_default() += worth(number);
    }
    for key in unanswered {
        let number = number_of(key);
        kept(desk.keyed(key, action(key, number)));
        *sum.entry(number % CUSTOMERS).or_default() += worth(number);
    }
    for (number, sum) in &*sum {
        assert_eq!(desk.balance(&customer(*number)), *sum, "c{number}");
    }
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
}

/// What each thread was waiting for when it was killed: the request after the last that was answered.
fn waiting(round: usize, lines: &[String]) -> Vec<String> {
    let mut next = [0; THREADS];
    for (key, _) in told(lines, "done").chain(told(lines, "failed")) {
        let thread: usize = key.split('-').nth(1).unwrap().parse().unwrap();
        next[thread] = next[thread].max(number_of(key) + 1);
    }
    next.into_iter().enumerate().map(|(thread, number)| key(&round.to_string(), thread, number)).collect()
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("loyalty.db");
    prepare(&file);
    let (mut sum, mut all) = (HashMap::new(), 0);
    for round in 0..12 {
        let mut victim = Victim::start(&file, round);
        let mut lines = Vec::new();
        // Sometimes while it still opens the file, mostly at some moment of its work.
        if round % 4 == 3 {
            std::thread::sleep(Duration::from_millis(5 * u64::try_from(round).unwrap()));
        } else {
            lines = victim.lines("done", 60 * round + 1);
        }
        lines.extend(victim.kill());
        let acknowledged: HashMap<_, _> =
            told(&lines, "done").map(|(key, answer)| (key.to_owned(), answer.to_owned())).collect();
        all += acknowledged.len();
        check(&file, &acknowledged, &waiting(round, &lines), &mut sum);
    }
    assert!(all > 1_000, "only {all} requests were acknowledged in all");
}

/// The log reaches the largest size that a file may have, and later may grow again.
#[test]
fn what_cannot_be_written_is_not_acknowledged() {
    let limit = |process: u32, bytes: &str| {
        let limit =
            Command::new("prlimit").args([format!("--pid={process}"), format!("--fsize={bytes}")]).status();
        limit.is_ok_and(|status| status.success())
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("loyalty.db");
    prepare(&file);
    let mut victim = Victim::start(&file, 0);
    let mut lines = victim.lines("done", 200);
    for _ in 0..3 {
        let log = std::fs::metadata(directory.path().join("loyalty.db-wal")).unwrap().len();
        if !limit(victim.process.id(), &format!("{}:unlimited", log + 5_000)) {
            println!("skipped: there is no prlimit here");
            return;
        }
        lines.extend(victim.lines("failed", 50));
        assert!(limit(victim.process.id(), "unlimited:unlimited"));
        // Healthy again, by itself.
        lines.extend(victim.lines("done", 100));
    }
    lines.extend(victim.kill());

    let acknowledged: HashMap<_, _> =
        told(&lines, "done").map(|(key, answer)| (key.to_owned(), answer.to_owned())).collect();
    let failed: Vec<_> = told(&lines, "failed").collect();
    assert!(failed.len() >= 150, "{failed:?}");
    let store = SqliteStore::open(&file, &settings()).unwrap();
    let desk = desk(&store);
    for (key, failure) in &failed {
        let number = number_of(key);
        let (_, _, happened) = kept(desk.keyed(key, action(key, number)));
        assert!(!happened || failure.starts_with("UnknownOutcome"), "{key} happened: {failure}");
    }
    drop(store);
    let open: Vec<_> = failed.iter().map(|(key, _)| (*key).to_owned()).chain(waiting(0, &lines)).collect();
    check(&file, &acknowledged, &open, &mut HashMap::new());
}
