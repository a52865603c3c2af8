//! Processes killed without warning.

use std::collections::HashMap;
use std::time::Duration;

use crate::victim::{Victim, check_and_retry, lines_of_kind, prepare, unanswered_keys};

#[test]
fn acknowledged_requests_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("loyalty.db");
    prepare(&file);
    let (mut sums, mut acknowledged_count) = (HashMap::new(), 0);
    for round in 0..12 {
        let mut victim = Victim::start(&file, round, &[]);
        let mut lines = Vec::new();
        // Every fourth time while it opens the file, else at some moment of its work.
        if round % 4 == 3 {
            std::thread::sleep(Duration::from_millis(5 * u64::try_from(round).unwrap()));
        } else {
            lines = victim.lines("done", 60 * round + 1);
        }

        lines.extend(victim.kill());
        let acknowledged: HashMap<_, _> = lines_of_kind(&lines, "done")
            .map(|(key, response)| (key.to_owned(), response.to_owned()))
            .collect();
        acknowledged_count += acknowledged.len();
        check_and_retry(&file, &acknowledged, &unanswered_keys(round, &lines), &mut sums);
    }

    assert!(
        acknowledged_count > 1_000,
        "only {acknowledged_count} requests were acknowledged"
    );

    let db = rusqlite::Connection::open(&file).unwrap();
    for table in ["activity_segment", "lot_segment"] {
        let count = format!("SELECT count(*) FROM {table}");
        let count: i64 = db.query_row(&count, [], |row| row.get(0)).unwrap();
        assert!(count > 8, "only {count} in {table}");
    }
}
