//! Whole lists, read page by page, and the check that they have what the journal is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use loyalty_core::{AccountId, Event, OrderId, RedemptionId, ShopId, Timestamp};

use crate::{
    Direction, Failure, OrderList, OrderPlace, OrderRecord, OrderStatus, Page, RedemptionStatus,
    RedemptionView, SearchQuery, Store,
};

/// Reads a list of orders, page by page.
pub fn listed(
    mut list: OrderList,
    read: impl Fn(&OrderList) -> Result<Page<Arc<OrderRecord>>, Failure>,
) -> Vec<OrderPlace> {
    let mut all = Vec::new();
    loop {
        let page = read(&list).unwrap();
        all.extend(page.items.iter().filter_map(|order| OrderPlace::of(order)));
        list.after = all.last().cloned();
        if !page.has_more {
            return all;
        }
        assert!(!page.items.is_empty());
    }
}

pub fn shop_orders(
    store: &dyn Store,
    shop: ShopId,
    status: Option<OrderStatus>,
    list: OrderList,
) -> Vec<OrderPlace> {
    listed(list, |list| store.orders(shop, status, list, 3))
}

/// Reads the redemptions of a shop, page by page.
pub fn shop_redemptions(
    store: &dyn Store,
    shop: ShopId,
    status: Option<(RedemptionStatus, Timestamp)>,
) -> Vec<RedemptionView> {
    let mut all: Vec<RedemptionView> = Vec::new();
    loop {
        let after = all.last().map(RedemptionView::id);
        let page = store.shop_redemptions(shop, status, after, 3).unwrap();
        all.extend(page.items);
        if !page.has_more {
            return all;
        }
    }
}

/// Checks that the lists of all shops have what the journal is about, each in its place.
///
/// # Panics
/// If one has not.
pub fn assert_lists_complete(store: &dyn Store) {
    for shop in store.shops().unwrap() {
        let (mut orders, mut redemptions) = (BTreeSet::new(), BTreeSet::new());
        let mut after = 0;
        loop {
            let rows = store.journal(shop.id, after, 100).unwrap();
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for event in rows.iter().flat_map(|row| row.events.iter()) {
                orders.extend(event.order().cloned());
                redemptions.extend(issued(event));
            }
        }
        assert_orders_listed(store, shop.id, &orders);
        assert_redemptions_listed(store, shop.id, &redemptions);
    }
}

fn issued(event: &Event) -> Option<RedemptionId> {
    if let Event::RewardRedeemed { issue } = event { Some(issue.id) } else { None }
}

fn assert_orders_listed(store: &dyn Store, shop: ShopId, orders: &BTreeSet<OrderId>) {
    let load = |id: &OrderId| store.order(shop, id).unwrap().unwrap();
    let mut expected: Vec<_> = orders.iter().filter_map(|id| OrderPlace::of(&load(id))).collect();
    expected.sort();
    let list = OrderList { direction: Direction::Ascending, ..OrderList::default() };
    assert_eq!(shop_orders(store, shop, None, list.clone()), expected);
    let status = |place: &OrderPlace| OrderStatus::of(&load(&place.id).state);
    for wanted in OrderStatus::ALL {
        let found = shop_orders(store, shop, Some(wanted), list.clone());
        let expected = expected.iter().filter(|place| status(place) == wanted);
        assert_eq!(found, expected.cloned().collect::<Vec<_>>(), "{wanted:?}");
    }

    // Those of customers who still exist.
    let customers = all_accounts(store, shop);
    let mut of_customers: Vec<_> = customers
        .iter()
        .flat_map(|account| {
            listed(list.clone(), |list| store.customer_orders(shop, *account, list, 3))
        })
        .collect();
    of_customers.sort();
    let owner = |place: &OrderPlace| {
        let customer = store.customer_by_account(shop, load(&place.id).account?);
        Some(customer.unwrap()?.record().account)
    };
    expected.retain(|place| owner(place).is_some_and(|owner| customers.contains(&owner)));
    assert_eq!(of_customers, expected);
}

fn assert_redemptions_listed(store: &dyn Store, shop: ShopId, expected: &BTreeSet<RedemptionId>) {
    let newest_first: Vec<_> = expected.iter().rev().copied().collect();
    let found = shop_redemptions(store, shop, None);
    let found: Vec<_> = found.iter().map(RedemptionView::id).collect();
    assert_eq!(found, newest_first);
    for status in RedemptionStatus::ALL {
        // Nothing has expired then but what is recorded.
        let listed = shop_redemptions(store, shop, Some((status, Timestamp::MIN_UTC)));
        let listed: Vec<_> = listed.iter().map(RedemptionView::id).collect();
        let has_status = |id: &&RedemptionId| {
            let view = store.redemption(shop, **id).unwrap().unwrap();
            RedemptionStatus::of(view.redemption.state()) == status
        };
        let expected: Vec<_> = newest_first.iter().filter(has_status).copied().collect();
        assert_eq!(listed, expected, "{status:?}");
    }
}

fn all_accounts(store: &dyn Store, shop: ShopId) -> BTreeSet<AccountId> {
    let (mut all, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.customers(shop, &SearchQuery::default(), after, 50).unwrap();
        all.extend(page.items.iter().map(|customer| customer.record().account));
        after = all.last().copied();
        if !page.has_more {
            return all;
        }
    }
}
