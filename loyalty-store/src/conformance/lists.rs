//! Cases for lists: orders by their last changes, and redemptions by status.

use loyalty_core::{Command, Status};

use super::listed::{assert_lists_complete, listed, shop_orders, shop_redemptions};
use super::redemptions::{REWARDS, issue_action};
use super::test_shop::*;
use crate::{
    Action, CustomerRef, Direction, OrderList, OrderPlace, OrderStatus, RedemptionAction,
    RedemptionStatus, RedemptionView, Store,
};

fn customer_orders(shop: &TestShop<'_>, customer: &CustomerRef) -> Vec<String> {
    let account = shop.customer(customer).record().account;
    let found = listed(OrderList::default(), |list| {
        shop.store.customer_orders(shop.id, account, list, 2)
    });
    ids(&found)
}

fn ids(places: &[OrderPlace]) -> Vec<String> {
    places.iter().map(|place| place.id.to_string()).collect()
}

pub fn orders_are_listed_by_their_last_change(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    for number in 1..=7 {
        let shop = shop.at(&format!("2026-01-0{number}T00:00:00Z"));
        let command = record_order(&format!("o{number}"), "10.00", Status::Processing);
        shop.execute_order(Some(&customer), command).unwrap();
    }
    let shop = shop.at("2026-02-01T00:00:00Z");
    shop.execute_order(Some(&customer), record_paid("o2", "10.00"))
        .unwrap();
    shop.execute_order(None, cancel("o3")).unwrap();

    let newest = shop_orders(store, shop.id, None, OrderList::default());
    assert_eq!(ids(&newest), ["o3", "o2", "o7", "o6", "o5", "o4", "o1"]);
    let oldest = OrderList { direction: Direction::Ascending, ..OrderList::default() };
    let found = shop_orders(store, shop.id, None, oldest.clone());
    assert_eq!(ids(&found), ["o1", "o4", "o5", "o6", "o7", "o2", "o3"]);

    for direction in [Direction::Ascending, Direction::Descending] {
        let updated_since = Some(at("2026-01-06T00:00:00Z"));
        let list = OrderList { updated_since, direction, after: None };
        let mut found = ids(&shop_orders(store, shop.id, None, list.clone()));
        found.sort();
        assert_eq!(found, ["o2", "o3", "o6", "o7"]);
        let status = Some(OrderStatus::Reached(Status::Processing));
        assert_eq!(shop_orders(store, shop.id, status, list).len(), 2);
    }
    let of_status = |status| ids(&shop_orders(store, shop.id, Some(status), oldest.clone()));
    assert_eq!(of_status(OrderStatus::Reached(Status::Paid)), ["o2"]);
    assert_eq!(of_status(OrderStatus::Cancelled), ["o3"]);
    assert_eq!(of_status(OrderStatus::Unreported), Vec::<String>::new());
    assert_lists_complete(store);
}

pub fn orders_of_one_instant_are_listed_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    for number in 10..30 {
        let command = record_paid(&format!("o{number}"), "10.00");
        shop.execute_order(Some(&id(&format!("{}", number % 3))), command)
            .unwrap();
    }
    assert_lists_complete(store);
}

pub fn a_customers_orders_come_with_those_of_a_guest(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (guest, customer) = (email("ada@example.com"), id("1"));
    shop.execute_order(Some(&guest), record_paid("o1", "10.00")).unwrap();
    let shop = shop.at("2026-01-02T00:00:00Z");
    shop.execute_order(Some(&customer), record_paid("o2", "10.00"))
        .unwrap();
    shop.execute_order(Some(&id("2")), record_paid("o3", "10.00"))
        .unwrap();
    assert_eq!(customer_orders(&shop, &customer), ["o2"]);
    shop.execute_profile(&id_and_email("1", "ada@example.com"), vec![])
        .unwrap();
    assert_eq!(customer_orders(&shop, &customer), ["o2", "o1"]);
    assert_eq!(customer_orders(&shop, &id("2")), ["o3"]);
}

pub fn redemptions_are_listed_by_status(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    shop.execute(publish_action(REWARDS)).unwrap();
    shop.execute_commands(&customer, vec![add(1_000)]).unwrap();
    let issue = |reward, entropy| {
        let receipt = shop.execute(issue_action(&customer, reward, entropy)).unwrap();
        receipt.redemption.unwrap().id()
    };
    let issued: Vec<_> = (1..=5).map(|entropy| issue("five", entropy)).collect();
    let mug = issue("mug", 6);
    let change = |action| shop.execute(Action::Redemption(action)).unwrap();
    change(RedemptionAction::Cancel { id: issued[1] });
    change(RedemptionAction::Use { id: mug, order: None });

    let of = |status, now: &str| {
        let views = shop_redemptions(store, shop.id, Some((status, at(now))));
        views.iter().map(RedemptionView::id).collect::<Vec<_>>()
    };
    let (before, after) = ("2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z");
    assert_eq!(
        of(RedemptionStatus::Issued, before),
        [issued[4], issued[3], issued[2], issued[0]]
    );
    assert_eq!(of(RedemptionStatus::Cancelled, before), [issued[1]]);
    assert_eq!(of(RedemptionStatus::Used, before), [mug]);
    assert_eq!(shop_redemptions(store, shop.id, None).len(), 6);

    // Ended, but not recorded: no longer issued, and not listed as expired yet.
    assert_eq!(of(RedemptionStatus::Issued, after), []);
    assert_eq!(of(RedemptionStatus::Expired, after), []);
    let later = shop.at(after);
    later.execute_commands(&customer, vec![Command::CatchUp]).unwrap();
    assert_eq!(of(RedemptionStatus::Expired, after).len(), 4);
    assert_lists_complete(store);
}

pub fn lists_belong_to_one_shop(store: &dyn Store) {
    let (one, other) = (TestShop::new(store), TestShop::new(store));
    for shop in [one, other] {
        shop.execute(publish_action(REWARDS)).unwrap();
        shop.execute_commands(&id("1"), vec![add(100)]).unwrap();
    }
    one.execute_order(Some(&id("1")), record_paid("o1", "10.00")).unwrap();
    one.execute(issue_action(&id("1"), "five", 1)).unwrap();

    let account = one.customer(&id("1")).record().account;
    let list = OrderList::default();
    assert_eq!(
        one.store
            .customer_orders(one.id, account, &list, 5)
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(
        one.store
            .customer_orders(other.id, account, &list, 5)
            .unwrap()
            .items
            .len(),
        0
    );
    assert_eq!(shop_orders(store, other.id, None, list), []);
    assert_eq!(shop_redemptions(store, other.id, None), []);
}
