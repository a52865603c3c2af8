//! Cases for reads: journals, past states, lists and searches.

use super::test_shop::*;
use crate::{SearchQuery, Store};
use loyalty_core::{AccountId, Points};

use super::contents::whole_journal;

pub fn the_account_journal_is_read_in_pages(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (one, two) = (id("1"), id("2"));

    for count in 1..=7 {
        shop.execute_commands(&one, vec![add(count)]).unwrap();
        shop.execute_commands(&two, vec![add(count)]).unwrap();
    }

    let account = shop.customer(&one).record().account;
    let page = |before, limit| store.account_journal(shop.id, account, before, limit).unwrap();
    let balances = |rows: &[std::sync::Arc<crate::JournalRow>]| -> Vec<i64> {
        rows.iter().map(|row| row.balance.get()).collect()
    };
    let first = page(None, 3);
    assert_eq!(balances(&first.rows), [28, 21, 15]);

    let second = page(first.next, 3);
    assert_eq!(balances(&second.rows), [10, 6, 3]);

    // No page follows a last page that is full.
    let third = page(second.next, 2);
    assert_eq!((balances(&third.rows), third.next), (vec![1, 0], None));

    let all = page(None, 100);
    assert_eq!((all.rows.len(), all.next), (8, None));
    assert!(
        all.rows
            .iter()
            .all(|row| row.account == Some(account) && row.shop == shop.id)
    );

    let chain: Vec<_> = all
        .rows
        .iter()
        .skip(1)
        .map(|row| Some(row.seq))
        .chain([None])
        .collect();
    assert_eq!(all.rows.iter().map(|row| row.previous).collect::<Vec<_>>(), chain);
    assert_eq!(page(Some(all.rows[7].seq), 3).rows.len(), 0);

    let nothing = page(None, 0);
    assert_eq!((nothing.rows.len(), nothing.next), (0, None));
}

pub fn a_position_of_another_account_gives_no_rows(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
    shop.execute_commands(&id("1"), vec![add(2)]).unwrap();
    shop.execute_commands(&id("2"), vec![add(3)]).unwrap();
    elsewhere.execute_commands(&id("1"), vec![add(4)]).unwrap();
    let [one, two] = ["1", "2"].map(|name| shop.customer(&id(name)).record().account);
    let foreign = whole_journal(store, shop.id, two)[0].seq;

    for before in [foreign, 0, -1, i64::MAX, i64::MIN] {
        let page = store.account_journal(shop.id, one, Some(before), 10).unwrap();
        assert_eq!((page.rows.len(), page.next), (0, None), "before {before}");
    }

    // Accounts of another shop and unknown accounts have no rows.
    for account in [elsewhere.customer(&id("1")).record().account, AccountId(99), AccountId(-1)] {
        let page = store.account_journal(shop.id, account, None, 10).unwrap();
        assert_eq!((page.rows.len(), page.next), (0, None));
    }
}

pub fn an_account_is_folded_up_to_an_instant(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");

    for (now, command) in [
        ("2026-02-01T00:00:00Z", add(100)),
        ("2026-03-01T00:00:00Z", subtract(30)),
        ("2026-04-01T00:00:00Z", add(5)),
    ] {
        shop.at(now).execute_commands(&customer, vec![command]).unwrap();
    }

    let account = shop.customer(&customer).record().account;

    for (now, want) in [
        ("2026-01-31T23:59:59.999999Z", 0),
        ("2026-02-01T00:00:00Z", 100),
        ("2026-02-28T00:00:00Z", 100),
        ("2026-03-01T00:00:00Z", 70),
        ("2027-01-01T00:00:00Z", 75),
    ] {
        let then = store.account_at(shop.id, account, at(now)).unwrap();
        assert_eq!(then.balance(at(now)), points(want), "{now}");
    }

    let now = store
        .account_at(shop.id, account, at("2027-01-01T00:00:00Z"))
        .unwrap();
    assert_eq!(&now, shop.customer(&customer).account());
}

pub fn customers_are_listed_in_pages(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));

    for number in 0..5 {
        shop.execute_commands(&id(&format!("c{number}")), vec![add(number + 1)])
            .unwrap();
        elsewhere
            .execute_commands(&id(&format!("other{number}")), vec![])
            .unwrap();
    }

    let all_customers = SearchQuery::default();
    let page = |after, limit| store.customers(shop.id, &all_customers, after, limit).unwrap();
    let (first, mut seen) = (page(None, 2), Vec::new());
    assert!(first.has_more);

    let second = page(first.items.last().map(|customer| customer.record().account), 2);
    assert!(second.has_more);

    let third = page(second.items.last().map(|customer| customer.record().account), 1);
    assert!(!third.has_more);

    for customer in first.items.iter().chain(&second.items).chain(&third.items) {
        seen.push((customer.record().id.as_ref().unwrap().to_string(), customer.balance(shop.now)));
    }

    let want: Vec<_> = (0..5)
        .map(|number| (format!("c{number}"), points(number + 1)))
        .collect();
    assert_eq!(seen, want);
    assert_eq!(
        page(third.items.last().map(|customer| customer.record().account), 2)
            .items
            .len(),
        0
    );

    let empty = page(None, 0);
    assert!(empty.items.is_empty() && empty.has_more);
}

pub fn customers_are_found_and_counted(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));

    for number in 0..6 {
        let address =
            format!("{}{number}@example.com", if number % 2 == 0 { "Even" } else { "odd" });
        shop.execute_commands(&id_and_email(&number.to_string(), &address), vec![add(number + 1)])
            .unwrap();
    }

    elsewhere
        .execute_commands(&id_and_email("0", "even@example.com"), vec![])
        .unwrap();

    for (text, want) in [
        ("", vec![1, 2, 3, 4, 5, 6]),
        ("EVEN", vec![1, 3, 5]),
        ("email:odd*", vec![2, 4, 6]),
        ("email:odd1@example.com", vec![2]),
        ("even id:2", vec![3]),
        ("id:7", vec![]),
    ] {
        let search = SearchQuery::parse(text, shop.now, loyalty_core::Zone::UTC).unwrap();
        let (mut found, mut after): (Vec<i64>, _) = (Vec::new(), None);
        loop {
            let page = store.customers(shop.id, &search, after, 2).unwrap();
            after = page.items.last().map(|customer| customer.record().account);
            found.extend(
                page.items
                    .iter()
                    .map(|customer| Points::get(customer.balance(shop.now))),
            );
            if !page.has_more {
                break;
            }
        }
        assert_eq!(found, want, "{text:?}");
        let count = store.count_customers(shop.id, &search).unwrap();
        assert_eq!(count, u64::try_from(want.len()).unwrap(), "{text:?}");
    }
}
