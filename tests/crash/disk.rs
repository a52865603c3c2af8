//! Failing disks: a file that may not grow, and writes and syncs that return errors.

use std::collections::HashMap;
use std::process::Command;

use loyalty_store::SqliteStore;
use loyalty_tests::*;

use crate::shim::Shim;
use crate::victim::{
    Victim, action, check_and_retry, lines_of_kind, number_of, prepare, settings, shop,
    unanswered_keys,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// The log reaches the file size limit, three times; each time the limit is lifted again.
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
        // The store recovers without a restart.
        lines.extend(victim.lines("done", 100));
    }
    lines.extend(victim.kill());

    assert!(lines_of_kind(&lines, "failed").count() >= 150);
    verify_output(&file, &lines);
}

/// From a given call on, a number of calls fail: one, a few, or as many as on a full
/// disk. No acknowledged request is lost. A failed request has no effect, unless its
/// outcome was reported as unknown. The store recovers without a restart.
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

/// Compares a victim's output with the file, then retries every request.
fn verify_output(file: &std::path::Path, lines: &[String]) {
    let acknowledged: HashMap<_, _> = lines_of_kind(lines, "done")
        .map(|(key, response)| (key.to_owned(), response.to_owned()))
        .collect();

    let failed: Vec<_> = lines_of_kind(lines, "failed").collect();
    let store = SqliteStore::open(file, &settings()).unwrap();
    let shop = shop(&store);

    for (key, failure) in &failed {
        let number = number_of(key);
        let (_, _, happened) = expect_stored(shop.execute_with_key(key, action(key, number)));
        assert!(!happened || failure.starts_with("UnknownOutcome"), "{key} happened: {failure}");
    }

    drop(store);
    let unanswered: Vec<_> = failed
        .iter()
        .map(|(key, _)| (*key).to_owned())
        .chain(unanswered_keys(0, lines))
        .collect();
    check_and_retry(file, &acknowledged, &unanswered, &mut HashMap::new());
}
