//! Secrets at rest: what a stolen file shows, what a lost master key says, and how a file from
//! before there were master keys is moved.

use std::path::Path;
use std::time::Duration;

use loyalty_core::{ShopId, StoreId};
use loyalty_store::conformance::administration::new_key;
use loyalty_store::seal::{MasterKey, MasterKeys, SecretText};
use loyalty_store::{
    AdminAction, AdminIdempotency, AdminRequest, Failure, KeyOwner, MasterKeySource, Response,
    SqliteAdmin, SqliteStore, Store, StoreSettings,
};
use loyalty_tests::*;

use crate::{NAMES_OF_FORMAT_11, TempDatabase};

/// Changes every secret that a store has: that of a connected store, and that in a stored response.
fn add_secrets(store: &dyn Store, shop: &TestShop<'_>) {
    store
        .add_store_secret(shop.id, "first hidden text", shop.now)
        .unwrap();
    let idempotency = AdminIdempotency {
        key: [1; 16],
        fingerprint: [2; 16],
        render: Box::new(|_| Response { status: 201, body: b"second hidden text".to_vec() }),
    };
    let action = AdminAction::RotateStoreSecret {
        store: StoreId::plugin(),
        secret: SecretText::new("third hidden text".to_owned()),
        grace: loyalty_store::DEFAULT_GRACE,
        may_create: false,
    };
    let request = AdminRequest::new(KeyOwner::Shop(shop.id), shop.now, action);
    store
        .administer(AdminRequest { idempotency: Some(idempotency), ..request })
        .unwrap();
}

/// The files beside a database whose bytes contain a text.
fn files_with(database: &TempDatabase, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(database.file().parent().unwrap()).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|file| {
        let bytes = std::fs::read(file).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    });
    files.map(|file| file.display().to_string()).collect()
}

fn secrets_of(store: &dyn Store, shop: ShopId) -> Vec<String> {
    let secrets = store.store_secrets(shop).unwrap();
    secrets
        .iter()
        .map(|secret| secret.secret.expose().to_owned())
        .collect()
}

fn key_file(database: &TempDatabase) -> std::path::PathBuf {
    database.file().with_file_name("loyalty.db.master-key")
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn no_file_shows_a_secret() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    // Something else is found in clear, so the search works.
    store
        .add_api_key(shop.id, &new_key("visible text"), shop.now)
        .unwrap();
    add_secrets(&store, &shop);
    for is_open in [true, false] {
        assert!(!files_with(&database, "visible text").is_empty());
        assert_eq!(files_with(&database, "hidden text"), Vec::<String>::new(), "{is_open}");
        if is_open {
            assert_eq!(secrets_of(&store, shop.id), ["third hidden text", "first hidden text"]);
        }
        store.verify().unwrap();
    }
    let id = shop.id;
    drop(store);
    assert_eq!(files_with(&database, "hidden text"), Vec::<String>::new());
    assert_eq!(secrets_of(&database.open(), id), ["third hidden text", "first hidden text"]);
}

#[cfg(unix)]
#[test]
fn files_are_readable_by_their_owner_only() {
    for by_admin in [true, false] {
        let database = TempDatabase::new();
        if by_admin {
            SqliteAdmin::open(&database.file()).unwrap();
        }
        let store = database.open();
        let shop = TestShop::new(&store);
        shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
        add_secrets(&store, &shop);
        let names = ["", "-wal", "-shm", ".lock", ".master-key"];
        for name in names {
            let file = database.file().with_file_name(format!("loyalty.db{name}"));
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        let files = std::fs::read_dir(database.file().parent().unwrap()).unwrap();
        assert_eq!(files.count(), names.len(), "nothing else is left");
    }
}

fn open_with(database: &TempDatabase, source: MasterKeySource) -> Result<SqliteStore, Failure> {
    let mut settings = StoreSettings::default();
    settings.master_key = source;
    SqliteStore::open(&database.file(), &settings)
}

fn failure(opened: Result<SqliteStore, Failure>) -> String {
    match opened {
        Err(Failure::MasterKey(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the store was opened"),
    }
}

#[test]
fn a_lost_master_key_is_told_by_name() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store).id;
    add_secrets(&store, &TestShop::new(&store));
    drop(store);
    let kept = std::fs::read_to_string(key_file(&database)).unwrap();
    let before = std::fs::read(database.file()).unwrap();

    std::fs::remove_file(key_file(&database)).unwrap();
    let text = failure(open_with(&database, MasterKeySource::Beside));
    assert!(text.contains(&key_file(&database).display().to_string()), "{text}");
    assert!(!key_file(&database).exists(), "no other key takes its place");
    let nowhere = MasterKeySource::File(database.file().with_file_name("nowhere"));
    assert!(failure(open_with(&database, nowhere)).contains("nowhere"));

    let ours = MasterKeys::parse(&kept).unwrap();
    let other = MasterKeys::new(vec![MasterKey::draw().unwrap()]).unwrap();
    let text = failure(open_with(&database, MasterKeySource::Keys(other.clone())));
    for id in [ours.first().id(), other.first().id()] {
        assert!(text.contains(&id.to_string()), "{text}");
    }
    std::fs::write(key_file(&database), "lmk_nonsense").unwrap();
    assert!(failure(open_with(&database, MasterKeySource::Beside)).contains("64 hexadecimal"));
    assert_eq!(std::fs::read(database.file()).unwrap(), before, "nothing was changed");

    // A new key in front of the old one seals everything at the start.
    let both = [other.first().clone(), ours.first().clone()].to_vec();
    let both = MasterKeySource::Keys(MasterKeys::new(both).unwrap());
    drop(open_with(&database, both).unwrap());
    let store = open_with(&database, MasterKeySource::Keys(other)).unwrap();
    assert!(store.store_secrets(shop).unwrap().is_empty());
    assert_eq!(store.store_secrets(ShopId(shop.0 + 1)).unwrap().len(), 2);
}

#[test]
fn the_master_key_is_rotated_while_nobody_serves() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store).id;
    add_secrets(&store, &TestShop { id: shop, ..TestShop::new(&store) });
    let rotate = || SqliteAdmin::rotate_master_key(&database.file(), &MasterKeySource::Beside);
    assert!(matches!(rotate(), Err(Failure::Unavailable(_))), "it is served");
    drop(store);

    let old = MasterKeys::parse(&std::fs::read_to_string(key_file(&database)).unwrap()).unwrap();
    let (file, new) = rotate().unwrap();
    assert_eq!(file, key_file(&database).canonicalize().unwrap());
    assert_ne!(new, old.first().id());
    let text = std::fs::read_to_string(&file).unwrap();
    let keys = MasterKeys::parse(&text).unwrap();
    assert_eq!(keys.iter().map(MasterKey::id).collect::<Vec<_>>(), [new], "the old one is gone");
    failure(open_with(&database, MasterKeySource::Keys(old.clone())));
    let expected = ["third hidden text", "first hidden text"];
    assert_eq!(secrets_of(&database.open(), shop), expected);

    // Cut off after the new key was written: the next start goes on.
    let newest = MasterKey::draw().unwrap();
    let both = format!("{}\n{text}", newest.text().expose());
    std::fs::write(&file, both).unwrap();
    assert_eq!(secrets_of(&database.open(), shop), expected);
    let newest = MasterKeys::new(vec![newest]).unwrap();
    let store = open_with(&database, MasterKeySource::Keys(newest)).unwrap();
    assert_eq!(secrets_of(&store, shop), expected);
}

#[test]
fn secrets_of_an_older_format_are_sealed() {
    let database = TempDatabase::new();
    assert_eq!(TestShop::new(&database.open()).id, ShopId(1));
    database.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    database.connect().pragma_update(None, "user_version", 11).unwrap();
    assert!(!files_with(&database, "the older secret").is_empty());

    // A copy of the older file would have them.
    let mut settings = StoreSettings::default();
    settings.keep_older_format = false;
    let store = database.open_with(&settings);
    assert_eq!(secrets_of(&store, ShopId(1)), ["the newer secret", "the older secret"]);
    let keys = store.api_keys(KeyOwner::Shop(ShopId(1))).unwrap();
    let ids: Vec<_> = keys.iter().map(|key| (key.id(), key.key.scopes.len())).collect();
    assert_eq!(ids, [("old", 3), ("new", 3)]);
    assert!(store.api_key("gone").unwrap().is_none());
    drop(store);
    for secret in ["the older secret", "the newer secret", "a secret that is gone"] {
        assert_eq!(files_with(&database, secret), Vec::<String>::new(), "{secret}");
    }
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'api_key_before%'";
    let left: i64 = database.connect().query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_change_by_another_process_is_known_within_a_bound() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    store.add_store_secret(shop.id, "first", shop.now).unwrap();
    assert_eq!(secrets_of(&store, shop.id), ["first"]);

    let admin = SqliteAdmin::open_existing(&database.file()).unwrap();
    let action = AdminAction::RotateStoreSecret {
        store: StoreId::plugin(),
        secret: SecretText::new("second".to_owned()),
        grace: loyalty_store::DEFAULT_GRACE,
        may_create: false,
    };
    admin
        .administer(AdminRequest::new(KeyOwner::Shop(shop.id), shop.now, action))
        .unwrap();
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(secrets_of(&store, shop.id), ["second", "first"]);
}
