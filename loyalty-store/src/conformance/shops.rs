//! Cases for shops: programs, API keys, integrations, and isolation from other shops.

use super::test_shop::*;
use crate::{Action, Existence, Integration, NewApiKey, Rejection, Scope, Store};
use loyalty_core::{Program, ProgramVersion};

pub fn new_key(id: &str) -> NewApiKey {
    let (signing_secret, scopes) = ("secret".to_owned(), vec![Scope::Read, Scope::Write]);
    NewApiKey { id: id.to_owned(), hash: [7; 32], signing_secret, scopes }
}

pub fn publishing_checks_the_replaced_version(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let program = |rate: &str| {
        Program::from_json(&format!(
            r#"{{"earning": [{{"id": "r", "earn": {{"per_unit": "{rate}"}}}}]}}"#
        ))
        .unwrap()
    };
    let publish = |rate: &str, replaces: Option<u32>| {
        let (program, replaces) = (Box::new(program(rate)), replaces.map(ProgramVersion));
        shop.execute(Action::PublishProgram { program, replaces })
    };
    let read = |version: Option<u32>| store.program(shop.id, version.map(ProgramVersion)).unwrap();
    let (first, default) = read(None).unwrap();
    assert_eq!((first, &*default), (ProgramVersion(1), &Program::default()));
    assert_eq!(publish("2", Some(1)).unwrap().program, Some(ProgramVersion(2)));

    let rejection = publish("3", Some(1)).unwrap_err();
    assert_eq!(rejection, Rejection::ProgramChanged { current: ProgramVersion(2) });
    assert_eq!(publish("3", None).unwrap().program, Some(ProgramVersion(3)));

    for (asked, version, rate) in [(None, 3, "3"), (Some(3), 3, "3"), (Some(2), 2, "2")] {
        let (found, body) = read(asked).unwrap();
        assert_eq!((found, &*body), (ProgramVersion(version), &program(rate)));
    }

    assert_eq!((read(Some(4)), read(Some(0))), (None, None));
    assert_eq!(store.program(elsewhere.id, None).unwrap().unwrap().0, ProgramVersion(1));
}

pub fn two_api_keys_are_valid(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let alive = |id: &str| store.api_key(id).unwrap().map(|key| key.shop);
    store.add_api_key(elsewhere.id, &new_key("other"), shop.now).unwrap();
    store.add_api_key(shop.id, &new_key("first"), shop.now).unwrap();
    assert_eq!(alive("first"), Some(shop.id));

    store.add_api_key(shop.id, &new_key("second"), shop.now).unwrap();
    assert_eq!((alive("first"), alive("second")), (Some(shop.id), Some(shop.id)));

    store.add_api_key(shop.id, &new_key("third"), shop.now).unwrap();
    assert_eq!(["first", "second", "third"].map(alive), [None, Some(shop.id), Some(shop.id)]);
    assert_eq!((alive("other"), alive("nobody's")), (Some(elsewhere.id), None));

    let key = store.api_key("third").unwrap().unwrap();
    assert_eq!((&key.key, key.created_at), (&new_key("third"), shop.now));
}

pub fn an_integration_is_recorded(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let plugin = |url: &str| Integration {
        platform: "woocommerce".to_owned(),
        shop_url: url.to_owned(),
        api_endpoint: Some(format!("{url}/api")),
    };
    let known = |shop| store.shop(shop).unwrap().unwrap().integration.clone();
    assert_eq!(known(shop.id), None);

    for url in ["https://tea.example", "https://coffee.example"] {
        store.record_integration(shop.id, &plugin(url), shop.now).unwrap();
        assert_eq!(known(shop.id), Some(plugin(url)));
    }

    assert_eq!(known(elsewhere.id), None);

    let shops: Vec<_> = store
        .shops()
        .unwrap()
        .iter()
        .map(|shop| (shop.id, shop.integration.is_some()))
        .collect();
    assert_eq!(shops, [(shop.id, true), (elsewhere.id, false)]);
}

pub fn one_shop_does_not_see_another(store: &dyn Store) {
    let (here, there) = (TestShop::new(store), TestShop::new(store));

    for (shop, count) in [(here, 10), (there, 20)] {
        shop.execute_commands(&id_and_email("1", "ada@example.com"), vec![add(count)])
            .unwrap();
        shop.execute_order(Some(&id("1")), record_paid("o1", "5.00")).unwrap();
    }

    here.execute_order(None, cancel("o1")).unwrap();
    here.execute_order(Some(&id("only-here")), record_paid("o2", "5.00"))
        .unwrap();
    assert_eq!((here.balance(&id("1")), there.balance(&email("ada@example.com"))), (10, 25));

    assert!(store.customer(there.id, &id("only-here")).unwrap().is_none());
    assert!(store.order(there.id, &order_id("o2")).unwrap().is_none());

    let account = here.customer(&id("1")).record().account;
    assert!(store.customer_by_account(there.id, account).unwrap().is_none());
    assert!(
        store
            .account_journal(there.id, account, None, 10)
            .unwrap()
            .rows
            .is_empty()
    );
    assert_eq!(
        store.account_at(there.id, account, there.now).unwrap(),
        loyalty_core::Account::default()
    );

    let rejection =
        there.execute(Action::for_customer(id("only-here"), Existence::Required, vec![add(1)]));
    assert_eq!(rejection_code(&rejection), "customer_not_found");

    let receipt = there.execute_order(None, refund("o2", "r1", "1.00")).unwrap();
    assert!(receipt.customer.is_none());
    assert_eq!(here.balance(&id("only-here")), 5);
}
