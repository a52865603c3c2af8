//! Keys and signing secrets: who can make, replace and revoke them, and when they end.

use chrono::TimeDelta;
use loyalty_core::Timestamp;

use super::test_shop::*;
use crate::seal::SecretText;
use crate::{
    Actor, AdminAction, AdminIdempotency, AdminOutcome, AdminReply, AdminRequest, DEFAULT_GRACE,
    KeyHash, KeyOwner, MAX_KEYS, NewApiKey, Rejection, Response, Scope, Store, StoreId,
};

/// A key with the scopes read, write and admin.
pub fn new_key(id: &str) -> NewApiKey {
    NewApiKey {
        hash: KeyHash { id: id.to_owned(), hash: [7; 32] },
        name: format!("Key {id}"),
        scopes: Scope::OF_SHOP.to_vec(),
        expires_at: None,
    }
}

fn with_scopes(id: &str, scopes: &[Scope]) -> NewApiKey {
    NewApiKey { scopes: scopes.to_vec(), ..new_key(id) }
}

fn rotate(id: &str, to: &str, grace: TimeDelta) -> AdminAction {
    let replacement = KeyHash { id: to.to_owned(), hash: [8; 32] };
    AdminAction::RotateKey { id: id.to_owned(), replacement, grace }
}

fn revoke(id: &str) -> AdminAction {
    AdminAction::RevokeKey { id: id.to_owned(), allow_last: false }
}

/// Executes an action of the command line.
fn command(
    store: &dyn Store,
    shop: &TestShop<'_>,
    at: Timestamp,
    action: AdminAction,
) -> Result<AdminOutcome, Rejection> {
    decided(store, AdminRequest::new(KeyOwner::Shop(shop.id), at, action))
}

/// Executes an action of somebody with a key.
fn by_key(
    store: &dyn Store,
    shop: &TestShop<'_>,
    key: &str,
    action: AdminAction,
) -> Result<AdminOutcome, Rejection> {
    let request = AdminRequest::new(KeyOwner::Shop(shop.id), shop.now, action);
    decided(store, AdminRequest { actor: Actor::Key(key.to_owned()), ..request })
}

fn decided(store: &dyn Store, request: AdminRequest) -> Result<AdminOutcome, Rejection> {
    match store.administer(request).unwrap() {
        AdminReply::Decided(outcome) => outcome,
        AdminReply::Stored { .. } => panic!("without an idempotency key"),
    }
}

/// The ids of a shop's keys that are valid at an instant.
fn valid_keys(store: &dyn Store, shop: &TestShop<'_>, at: Timestamp) -> Vec<String> {
    let keys = store.api_keys(KeyOwner::Shop(shop.id)).unwrap();
    for key in &keys {
        assert_eq!(store.api_key(key.id()).unwrap().as_deref(), Some(key));
    }
    let valid = keys.iter().filter(|key| key.is_valid(at));
    valid.map(|key| key.id().to_owned()).collect()
}

pub fn many_keys_are_valid_at_once(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    for key in ["first", "second", "third"] {
        store.add_api_key(shop.id, &new_key(key), shop.now).unwrap();
    }
    store.add_api_key(elsewhere.id, &new_key("other"), shop.now).unwrap();
    assert_eq!(valid_keys(store, &shop, shop.now), ["first", "second", "third"]);
    assert_eq!(valid_keys(store, &elsewhere, shop.now), ["other"]);

    let key = store.api_key("second").unwrap().unwrap();
    assert_eq!((key.owner, &key.key), (KeyOwner::Shop(shop.id), &new_key("second")));
    assert_eq!((key.created_at, key.last_used_at), (shop.now, None));
    assert!(store.api_key("nobody's").unwrap().is_none());
}

pub fn a_key_is_revoked_in_its_shop_only(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    for key in ["first", "second"] {
        store.add_api_key(shop.id, &new_key(key), shop.now).unwrap();
    }
    store.add_api_key(elsewhere.id, &new_key("other"), shop.now).unwrap();

    for key in ["other", "nobody's"] {
        assert_eq!(command(store, &shop, shop.now, revoke(key)), Err(Rejection::KeyNotFound));
        let rotated = command(store, &shop, shop.now, rotate(key, "new", DEFAULT_GRACE));
        assert_eq!(rotated, Err(Rejection::KeyNotFound));
    }
    assert_eq!(command(store, &shop, shop.now, revoke("first")), Ok(AdminOutcome::Revoked));
    assert!(store.api_key("first").unwrap().is_none());
    assert_eq!(command(store, &shop, shop.now, revoke("first")), Err(Rejection::KeyNotFound));
    assert_eq!(valid_keys(store, &shop, shop.now), ["second"]);
    assert_eq!(valid_keys(store, &elsewhere, shop.now), ["other"]);
}

pub fn a_key_ends(store: &dyn Store) {
    let shop = TestShop::new(store);
    let end = shop.now + TimeDelta::hours(1);
    let key = NewApiKey { expires_at: Some(end), ..new_key("short") };
    store.add_api_key(shop.id, &key, shop.now).unwrap();
    assert_eq!(valid_keys(store, &shop, end - TimeDelta::microseconds(1)), ["short"]);
    assert!(valid_keys(store, &shop, end).is_empty());
    assert_eq!(command(store, &shop, end, revoke("short")), Err(Rejection::KeyNotFound));

    // The next change deletes it.
    let create = AdminAction::CreateKey(new_key("next"));
    assert!(command(store, &shop, end, create).is_ok());
    assert!(store.api_key("short").unwrap().is_none());
}

pub fn a_rotated_key_lives_for_a_time(store: &dyn Store) {
    let shop = TestShop::new(store);
    let end = shop.now + TimeDelta::days(90);
    let old = NewApiKey { expires_at: Some(end), ..with_scopes("old", &[Scope::Read]) };
    store.add_api_key(shop.id, &old, shop.now).unwrap();

    let grace = TimeDelta::hours(2);
    let outcome = command(store, &shop, shop.now, rotate("old", "new", grace)).unwrap();
    let AdminOutcome::Key(created) = outcome else {
        panic!("{outcome:?}")
    };
    let expected = NewApiKey { hash: KeyHash { id: "new".to_owned(), hash: [8; 32] }, ..old };
    assert_eq!(created.key, expected, "name, scopes and end stay");

    let last = shop.now + grace - TimeDelta::microseconds(1);
    assert_eq!(valid_keys(store, &shop, last), ["old", "new"]);
    assert_eq!(valid_keys(store, &shop, shop.now + grace), ["new"]);

    // Rotated again, the old one ends no later than before.
    command(store, &shop, shop.now, rotate("old", "newest", DEFAULT_GRACE)).unwrap();
    // The one that replaces it has its end.
    assert_eq!(valid_keys(store, &shop, last), ["old", "new", "newest"]);
    assert_eq!(valid_keys(store, &shop, shop.now + grace), ["new"]);
    command(store, &shop, shop.now, rotate("new", "last", TimeDelta::zero())).unwrap();
    assert!(!valid_keys(store, &shop, shop.now).contains(&"new".to_owned()));
}

pub fn a_key_gives_no_scope_that_it_lacks(store: &dyn Store) {
    let shop = TestShop::new(store);
    let keys = [
        with_scopes("admin", &[Scope::Admin, Scope::Read]),
        with_scopes("writer", &[Scope::Write]),
        new_key("all"),
    ];
    for key in &keys {
        store.add_api_key(shop.id, key, shop.now).unwrap();
    }
    let lacks = |scope| Err(Rejection::ScopeNotHeld { scope });

    let create = |id, scopes| AdminAction::CreateKey(with_scopes(id, scopes));
    let wrong = create("new", &[Scope::Read, Scope::Write]);
    assert_eq!(by_key(store, &shop, "admin", wrong), lacks(Scope::Write));
    let rotated = rotate("writer", "new", DEFAULT_GRACE);
    assert_eq!(by_key(store, &shop, "admin", rotated), lacks(Scope::Write));
    for actor in ["all", "admin"] {
        let operator = create("new", &[Scope::Operator]);
        assert_eq!(by_key(store, &shop, actor, operator), lacks(Scope::Operator));
    }
    let operator = create("new", &[Scope::Operator]);
    assert_eq!(command(store, &shop, shop.now, operator), lacks(Scope::Operator));
    assert_eq!(valid_keys(store, &shop, shop.now), ["admin", "writer", "all"]);

    assert!(by_key(store, &shop, "admin", create("new", &[Scope::Read])).is_ok());
    assert!(by_key(store, &shop, "all", rotate("writer", "writer 2", DEFAULT_GRACE)).is_ok());
}

pub fn a_revoked_key_changes_no_keys(store: &dyn Store) {
    let (shop, later) = (TestShop::new(store), TestShop::new(store));
    let end = shop.now + TimeDelta::hours(1);
    store.add_api_key(shop.id, &new_key("stays"), shop.now).unwrap();
    store.add_api_key(shop.id, &new_key("goes"), shop.now).unwrap();
    let short = NewApiKey { expires_at: Some(end), ..new_key("short") };
    store.add_api_key(shop.id, &short, shop.now).unwrap();
    command(store, &shop, shop.now, revoke("goes")).unwrap();

    let later = TestShop { id: shop.id, now: end, ..later };
    for (at, actor) in [(&shop, "goes"), (&later, "short")] {
        for action in [
            AdminAction::CreateKey(new_key("new")),
            revoke("stays"),
            rotate("stays", "new", TimeDelta::zero()),
        ] {
            assert_eq!(by_key(store, at, actor, action), Err(Rejection::KeyRevoked), "{actor}");
        }
    }
    assert_eq!(valid_keys(store, &shop, shop.now), ["stays", "short"]);
}

pub fn the_last_admin_key_is_revoked_on_purpose(store: &dyn Store) {
    let shop = TestShop::new(store);
    store.add_api_key(shop.id, &new_key("admin"), shop.now).unwrap();
    let reader = with_scopes("reader", &[Scope::Read]);
    store.add_api_key(shop.id, &reader, shop.now).unwrap();
    assert_eq!(by_key(store, &shop, "admin", revoke("admin")), Err(Rejection::LastAdminKey));

    // One that ends within a day does not count.
    command(store, &shop, shop.now, rotate("admin", "new", DEFAULT_GRACE)).unwrap();
    assert_eq!(by_key(store, &shop, "new", revoke("new")), Err(Rejection::LastAdminKey));
    assert_eq!(by_key(store, &shop, "new", revoke("admin")), Ok(AdminOutcome::Revoked));
    assert_eq!(by_key(store, &shop, "new", revoke("reader")), Ok(AdminOutcome::Revoked));

    let insist = AdminAction::RevokeKey { id: "new".to_owned(), allow_last: true };
    assert_eq!(by_key(store, &shop, "new", insist), Ok(AdminOutcome::Revoked));
    assert!(valid_keys(store, &shop, shop.now).is_empty());
}

pub fn the_number_of_keys_is_bounded(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    for number in 0..MAX_KEYS {
        store
            .add_api_key(shop.id, &new_key(&number.to_string()), shop.now)
            .unwrap();
    }
    let create = || AdminAction::CreateKey(new_key("new"));
    let limit = MAX_KEYS;
    let outcome = command(store, &shop, shop.now, create());
    assert_eq!(outcome, Err(Rejection::TooManyKeys { limit }));

    // Each can still be rotated, but not for ever.
    let rotated = (0..).map(|number| {
        let action = rotate("0", &format!("new {number}"), DEFAULT_GRACE);
        command(store, &shop, shop.now, action)
    });
    let rotated = rotated.take_while(Result::is_ok).take(2 * MAX_KEYS).count();
    assert_eq!(rotated, MAX_KEYS);
    assert!(command(store, &elsewhere, shop.now, create()).is_ok());
}

pub fn the_operators_keys_are_of_no_shop(store: &dyn Store) {
    let shop = TestShop::new(store);
    let create = |key| AdminRequest::new(KeyOwner::Operator, shop.now, AdminAction::CreateKey(key));
    let outcome = decided(store, create(new_key("wrong")));
    assert_eq!(outcome, Err(Rejection::ScopeNotHeld { scope: Scope::Read }));

    let key = with_scopes("operator", &[Scope::Operator]);
    assert!(decided(store, create(key)).is_ok());
    let found = store.api_key("operator").unwrap().unwrap();
    assert_eq!((found.owner, found.owner.shop()), (KeyOwner::Operator, None));
    assert_eq!(store.api_keys(KeyOwner::Operator).unwrap().len(), 1);
    assert!(valid_keys(store, &shop, shop.now).is_empty());
    assert_eq!(command(store, &shop, shop.now, revoke("operator")), Err(Rejection::KeyNotFound));
}

pub fn uses_of_keys_are_written_behind(store: &dyn Store) {
    let shop = TestShop::new(store);
    store.add_api_key(shop.id, &new_key("used"), shop.now).unwrap();
    store.add_api_key(shop.id, &new_key("unused"), shop.now).unwrap();
    let last_used = || {
        let keys = store.api_keys(KeyOwner::Shop(shop.id)).unwrap();
        keys.iter().map(|key| key.last_used_at).collect::<Vec<_>>()
    };
    let minute = TimeDelta::minutes(1);

    let key = store.api_key("used").unwrap().unwrap();
    store.note_key_use(&key, shop.now);
    store.note_key_use(&key, shop.now + TimeDelta::seconds(30));
    assert_eq!(last_used(), [None, None]);
    store.write_key_uses().unwrap();
    assert_eq!(last_used(), [Some(shop.now), None]);

    let keys = store.api_keys(KeyOwner::Shop(shop.id)).unwrap();
    store.note_key_use(&keys[0], shop.now + TimeDelta::seconds(59));
    store.write_key_uses().unwrap();
    assert_eq!(last_used(), [Some(shop.now), None]);
    store.note_key_use(&keys[0], shop.now + minute);
    store.write_key_uses().unwrap();
    assert_eq!(last_used(), [Some(shop.now + minute), None]);

    // A use that is written after the key is gone brings nothing back.
    store.note_key_use(&keys[1], shop.now);
    command(store, &shop, shop.now, revoke("unused")).unwrap();
    store.write_key_uses().unwrap();
    assert_eq!(valid_keys(store, &shop, shop.now), ["used"]);
}

fn rotate_secret(name: &str, text: &str) -> AdminAction {
    AdminAction::RotateStoreSecret {
        store: StoreId::new(name).unwrap(),
        secret: SecretText::new(text.to_owned()),
        grace: DEFAULT_GRACE,
        may_create: false,
    }
}

/// The secrets that are valid at an instant, the newest first.
fn valid_secrets(store: &dyn Store, shop: &TestShop<'_>, at: Timestamp) -> Vec<String> {
    let secrets = store.store_secrets(shop.id).unwrap();
    let valid = secrets.iter().filter(|secret| secret.is_valid(at));
    valid.map(|secret| secret.secret.expose().to_owned()).collect()
}

pub fn a_signing_secret_is_not_a_keys(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    for (shop, secret) in [(&shop, "first"), (&elsewhere, "other")] {
        store.add_store_secret(shop.id, secret, shop.now).unwrap();
    }
    store.add_api_key(shop.id, &new_key("key"), shop.now).unwrap();
    command(store, &shop, shop.now, rotate("key", "new", TimeDelta::zero())).unwrap();
    assert_eq!(valid_secrets(store, &shop, shop.now), ["first"]);

    let outcome = command(store, &shop, shop.now, rotate_secret("plugin", "second"));
    let end = shop.now + DEFAULT_GRACE;
    assert_eq!(outcome, Ok(AdminOutcome::StoreSecret { previous_ends_at: Some(end) }));
    let last = end - TimeDelta::microseconds(1);
    assert_eq!(valid_secrets(store, &shop, last), ["second", "first"]);
    assert_eq!(valid_secrets(store, &shop, end), ["second"]);

    // Two are alive, and no more.
    command(store, &shop, shop.now, rotate_secret("plugin", "third")).unwrap();
    assert_eq!(valid_secrets(store, &shop, last), ["third", "second"]);
    assert_eq!(store.store_secrets(shop.id).unwrap().len(), 2);

    let unknown = command(store, &shop, shop.now, rotate_secret("unknown", "fourth"));
    assert_eq!(unknown, Err(Rejection::StoreNotFound));
    assert_eq!(valid_secrets(store, &elsewhere, last), ["other"]);
}

pub fn an_administrative_response_is_replayed(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let request = |shop: &TestShop<'_>, at, fingerprint: u8, action| AdminRequest {
        idempotency: Some(AdminIdempotency {
            key: [1; 16],
            fingerprint: [fingerprint; 16],
            render: Box::new(|outcome| {
                let body = format!("{outcome:?}").into_bytes();
                Response { status: if outcome.is_ok() { 201 } else { 409 }, body }
            }),
        }),
        ..AdminRequest::new(KeyOwner::Shop(shop.id), at, action)
    };
    let create = |id| AdminAction::CreateKey(new_key(id));
    let send = |request| store.administer(request).unwrap();

    let AdminReply::Stored { response, replayed: false } =
        send(request(&shop, shop.now, 1, create("first")))
    else {
        panic!("not stored")
    };
    assert_eq!(response.status, 201);
    let replay = AdminReply::Stored { response, replayed: true };
    let day_29 = shop.now + TimeDelta::days(29);
    for at in [shop.now, day_29] {
        assert_eq!(send(request(&shop, at, 1, create("second"))), replay);
    }
    let reused = send(request(&shop, shop.now, 2, create("third")));
    assert_eq!(reused, AdminReply::Decided(Err(Rejection::IdempotencyKeyReused)));
    assert_eq!(valid_keys(store, &shop, shop.now), ["first"]);

    let other = send(request(&elsewhere, shop.now, 1, create("fourth")));
    assert!(matches!(other, AdminReply::Stored { replayed: false, .. }));
    let day_30 = shop.now + TimeDelta::days(30);
    let late = send(request(&shop, day_30, 1, create("fifth")));
    assert!(matches!(late, AdminReply::Stored { replayed: false, .. }));
    assert_eq!(valid_keys(store, &shop, shop.now), ["first", "fifth"]);

    // A rejection is stored as well, and changes nothing.
    let rejected = |at| send(request(&elsewhere, at, 3, revoke("nobody's")));
    let later = shop.now + TimeDelta::days(60);
    assert!(matches!(
        rejected(later),
        AdminReply::Stored { response: Response { status: 409, .. }, replayed: false }
    ));
    assert!(matches!(rejected(later), AdminReply::Stored { replayed: true, .. }));
}
