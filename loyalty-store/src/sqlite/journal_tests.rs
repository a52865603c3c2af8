//! The journal by shop, its tail in memory, and what `verify` says of its numbers.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may stop at what it did not expect"
)]

use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, ShopId, Timestamp, Zone};
use rusqlite::Connection;

use super::{SqliteStore, StoreSettings};
use crate::{
    Action, CustomerRef, Existence, NewShop, Request, Store, VerificationReport, outgoing_events,
};

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// A store with 700 rows: most of a busy shop, a few of a quiet one.
fn two_shops(path: &std::path::Path) -> (SqliteStore, [ShopId; 2]) {
    let store = SqliteStore::open(path, &StoreSettings::default()).unwrap();
    let shops = ["Tea", "Coffee"].map(|name| {
        let (name, currency) = (name.to_owned(), Currency::EUR);
        let shop = NewShop { name, currency, zone: Zone::UTC };
        store.create_shop(&shop, now()).unwrap().id
    });
    let pending: Vec<_> = (0..698)
        .map(|number| {
            let shop = shops[usize::from(matches!(number, 3 | 255 | 256 | 600))];
            let reason = AdjustmentReason::default();
            let add = Command::AddPoints { points: 5.into(), reason };
            let customer = CustomerRef::Id(CustomerId::new("1").unwrap());
            let action = Action::for_customer(customer, Existence::Any, vec![add]);
            store.execute(Request::new(shop, now(), action))
        })
        .collect();
    for reply in pending {
        reply.wait().unwrap();
    }
    (store, shops)
}

#[test]
fn the_rows_of_a_shop_are_found_among_those_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("loyalty.db");
    let (store, shops) = two_shops(&path);
    let position = store.committed_position();
    let last = *position.borrow();
    let all = store.journal_of_all(0, usize::MAX).unwrap();
    assert_eq!((all.len(), all.last().unwrap().seq), (700, last));

    for shop in shops {
        let own: Vec<_> = all.iter().filter(|row| row.shop == shop).cloned().collect();
        for after in [-1, 0, 1, 254, 255, 256, 257, 511, 512, 600, 699, 700, 5_000] {
            let later = own.iter().filter(|row| row.seq > after);
            for limit in [0, 1, 3, 300, 1_000] {
                let want: Vec<_> = later.clone().take(limit).cloned().collect();
                let found = store.journal(shop, after, limit).unwrap();
                assert_eq!(found, want, "{shop} after {after}, {limit}");
            }
        }
        let sequences = own.iter().flat_map(|row| outgoing_events(row));
        let sequences: Vec<_> = sequences.map(|event| event.sequence.unwrap()).collect();
        let count = i64::try_from(sequences.len()).unwrap();
        assert_eq!(sequences, (1..=count).collect::<Vec<_>>());
    }
}

#[test]
fn who_follows_the_journal_gets_the_rows_of_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let (store, shops) = two_shops(&directory.path().join("loyalty.db"));
    let mut position = store.committed_position();
    let before = *position.borrow_and_update();
    for points in [1, 2, 3] {
        let add = Command::AddPoints { points: points.into(), reason: AdjustmentReason::default() };
        let customer = CustomerRef::Id(CustomerId::new("2").unwrap());
        let action = Action::for_customer(customer, Existence::Any, vec![add]);
        let request = Request::new(shops[0], now(), action);
        store.execute(request).wait().unwrap();
        assert!(position.has_changed().unwrap());
    }
    let followed = store.journal_of_all(before, 100).unwrap();
    assert_eq!(store.journal(shops[0], before, 100).unwrap(), followed);
    assert_eq!(store.journal_of_all(before + 2, 1).unwrap(), followed[2..3]);
    // Older ones are read from the table.
    assert_eq!(store.journal_of_all(before - 1, 2).unwrap().len(), 2);
    drop(position);
    assert_eq!(store.journal_of_all(before, 100).unwrap(), followed);
}

#[test]
fn verify_finds_wrong_numbers_and_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("loyalty.db");
    drop(two_shops(&path));
    let damaged = |sql: &str| -> VerificationReport {
        let copy = directory.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        let store = SqliteStore::open(&copy, &StoreSettings::default()).unwrap();
        store.verify().unwrap()
    };
    assert_eq!(damaged("").differences, Vec::<String>::new());
    for (sql, want) in [
        (
            "UPDATE journal SET sequence = sequence + 1 WHERE seq = 300",
            "are numbered from",
        ),
        ("UPDATE journal SET sequence = NULL WHERE seq = 300", "are numbered from"),
        ("UPDATE account SET outgoing = outgoing + 1", "differs from its journal"),
        (
            "DELETE FROM journal_block WHERE block = 0 AND shop = 2",
            "block 0 of the journal",
        ),
        ("DELETE FROM journal_block WHERE block = 1", "block 1 of the journal"),
        ("INSERT INTO journal_block VALUES (2, 1)", "of the journal are not those"),
    ] {
        let found = damaged(sql).differences;
        assert!(found.iter().any(|text| text.contains(want)), "{sql}: {found:?}");
    }

    // Rows from before outgoing events were counted have no numbers.
    let old = "UPDATE journal SET sequence = NULL; UPDATE account SET outgoing = 0";
    assert_eq!(damaged(old).differences, Vec::<String>::new());
}
