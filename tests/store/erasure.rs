//! What the files have of a customer who was erased: no byte.

use std::path::Path;

use loyalty_store::conformance::erasure::{ID, MARKS, erase_completely, set_up};
use loyalty_store::conformance::test_shop::{TestShop, id};
use loyalty_store::{SqliteAdmin, Store};
use loyalty_tests::tiny_settings;

use crate::TempDatabase;

/// Returns the marks that a folder's files have, each with the file.
fn find_marks(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for mark in MARKS {
            if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.push((mark.to_owned(), name));
            }
        }
    }
    found
}

#[test]
fn no_byte_names_an_erased_customer() {
    for settings in [loyalty_store::StoreSettings::default(), tiny_settings()] {
        let database = TempDatabase::new();
        let folder = database.file().parent().unwrap().to_owned();
        let store = database.open_with(&settings);
        let shop = TestShop::new(&store);
        set_up(&shop);
        let (id_of_shop, now) = (shop.id, shop.now);
        // States reach their tables and change again.
        drop(store);
        let store = database.open_with(&settings);
        let shop = TestShop { store: &store, id: id_of_shop, now };
        let before = find_marks(&folder);
        for mark in MARKS {
            assert!(before.iter().any(|(found, _)| found == mark), "{mark} was never stored");
        }

        erase_completely(&shop, &id(ID));
        assert_eq!(find_marks(&folder), []);
        let backup = database.file().with_file_name("backup.db");
        SqliteAdmin::back_up(&database.file(), &backup, false).unwrap();
        assert_eq!(find_marks(&folder), []);
        assert!(store.verify().unwrap().differences.is_empty());

        drop(store);
        assert_eq!(find_marks(&folder), []);
        let store = database.open_with(&settings);
        assert!(store.verify().unwrap().differences.is_empty());
        assert!(store.customer(id_of_shop, &id(ID)).unwrap().is_none());
    }
}

/// A kill before the pass: the next start knows of it, and completes it.
#[test]
fn an_erasure_survives_a_kill() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    set_up(&shop);
    let erase = loyalty_store::Action::EraseCustomer { customer: id(ID) };
    shop.execute(erase).unwrap();

    let (id_of_shop, now) = (shop.id, shop.now);
    let copy = database.copy();
    drop(store);
    let store = copy.open();
    assert_eq!(store.unfinished_erasures().unwrap().len(), 1);
    erase_completely(&TestShop { store: &store, id: id_of_shop, now }, &id(ID));
    drop(store);
    assert_eq!(find_marks(copy.file().parent().unwrap()), []);
}

/// While a tool reads the log, an erasure is not complete.
#[test]
fn an_erasure_waits_for_a_reader_of_the_log() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    set_up(&shop);
    let reader = database.connect();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal;").unwrap();
    let erase = loyalty_store::Action::EraseCustomer { customer: id(ID) };
    shop.execute(erase).unwrap();

    let [erasure] = &store.unfinished_erasures().unwrap()[..] else {
        panic!("one erasure")
    };
    assert!(!store.finish_erasure(erasure, shop.now).unwrap());
    assert_eq!(store.unfinished_erasures().unwrap().len(), 1);
    reader.execute_batch("COMMIT").unwrap();
    assert!(store.finish_erasure(erasure, shop.now).unwrap());
    assert!(store.unfinished_erasures().unwrap().is_empty());
}
