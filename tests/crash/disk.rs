//! Disks that fail: a file that may not grow, and writes and syncs that end in an error.

use std::collections::HashMap;
use std::process::Command;

use loyalty_store::SqliteStore;
use loyalty_tests::*;

use crate::shim::Shim;
use crate::victim::{
    Victim, action, check_and_retry, desk, lines_of_kind, number_of, prepare, settings,
    unanswered_keys,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// The log reaches the largest size that a file may have, and later may grow again.
#[test]
fn failed_writes_are_not_acknowledged() {
    let limit = |process: u32, bytes: &str| {
        let limit = Command::new("prlimit")
            .args([format!("--pid={process}"), format!("--fsize={bytes}")])
            .status();
        limit.is_ok_and(|status| status.success())
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("loyalty.db");
    prepare(&file);
    let mut victim = Victim::start(&file, 0, &[]);
    let mut lines = victim.lines("done", 200);
    for _ in 0..3 {
        let log = std::fs::metadata(directory.path().join("loyalty.db-wal"))
            .unwrap()
            .len();
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

    assert!(lines_of_kind(&lines, "failed").count() >= 150);
    verify_output(&file, &lines);
}

/// From some call on, some calls fail: one, a few, or so many that it is as if the disk were full for a
/// while. Nothing that was acknowledged is lost, nothing that failed has happened (unless its outcome was
/// called unknown), and the store is well again by itself.
#[test]
fn a_failing_disk_acknowledges_only_durable_requests() {
    let Some(shim) = Shim::build() else { return };
    let plans = [
        ("write", 20, 1, EIO),
        ("write", 61, 3, EIO),
        ("write", 100, 400, ENOSPC),
        ("sync", 9, 1, EIO),
        ("sync", 30, 5, EIO),
    ];
    for (call, number, count, error) in plans {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("loyalty.db");
        prepare(&file);
        let plan = format!("{call},{number},{count},{error}");
        let folder = directory.path().display().to_string();
        let environment = [
            ("LD_PRELOAD", shim.path()),
            ("SHIM_FOLDER", folder.as_str()),
            ("SHIM_FAIL", plan.as_str()),
        ];
        let mut victim = Victim::start(&file, 0, &environment);
        let mut lines = victim.lines("failed", 1);
        lines.extend(victim.lines("done", 200));
        lines.extend(victim.kill());
        verify_output(&file, &lines);
    }
}

/// Compares what a victim said with what is there.
fn verify_output(file: &std::path::Path, lines: &[String]) {
    let acknowledged: HashMap<_, _> = lines_of_kind(lines, "done")
        .map(|(key, answer)| (key.to_owned(), answer.to_owned()))
        .collect();
    let failed: Vec<_> = lines_of_kind(lines, "failed").collect();
    let store = SqliteStore::open(file, &settings()).unwrap();
    let desk = desk(&store);
    for (key, failure) in &failed {
        let number = number_of(key);
        let (_, _, happened) = expect_stored(desk.execute_with_key(key, action(key, number)));
        assert!(!happened || failure.starts_with("UnknownOutcome"), "{key} happened: {failure}");
    }
    drop(store);
    let open: Vec<_> = failed
        .iter()
        .map(|(key, _)| (*key).to_owned())
        .chain(unanswered_keys(0, lines))
        .collect();
    check_and_retry(file, &acknowledged, &open, &mut HashMap::new());
}
