//! The contents of a store, read through its trait, and checks of their consistency.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::days::assert_days_complete;
use super::listed::assert_lists_complete;
use crate::{
    CategoryRecord, CodeView, CustomerRecord, CustomerView, Delivery, Destination,
    DestinationProgress, DueAccount, ImportRecord, ImportRowRecord, JournalRow, OrderRecord,
    PriceRuleView, ProductRecord, RedemptionView, SavedSearch, SearchQuery, Seq, Shop, Store,
};
use loyalty_core::{
    Account, AccountId, Event, OrderId, Program, ProgramVersion, ShopId, Timestamp,
};

/// The contents of a store, for comparisons.
#[derive(Debug, PartialEq)]
pub struct StoreContents(Vec<ShopContents>);

#[derive(Debug, PartialEq)]
struct ShopContents {
    shop: Arc<Shop>,
    program: Option<(ProgramVersion, Arc<Program>)>,
    customers: Vec<CustomerContents>,
    /// The journals of accounts that were merged into others.
    merged: Vec<(AccountId, Vec<Arc<JournalRow>>)>,
    orders: Vec<(OrderId, Option<Arc<OrderRecord>>)>,
    rules: Vec<(PriceRuleView, Vec<CodeView>, u64)>,
    products: Vec<Arc<ProductRecord>>,
    categories: Vec<Arc<CategoryRecord>>,
    searches: Vec<Arc<SavedSearch>>,
    destinations: Vec<(Destination, Option<DestinationProgress>, Vec<Delivery>)>,
    imports: Vec<(Arc<ImportRecord>, Vec<Arc<ImportRowRecord>>)>,
    due: Vec<DueAccount>,
}

#[derive(Debug, PartialEq)]
struct CustomerContents {
    record: CustomerRecord,
    email: Option<String>,
    account: Account,
    seq: Seq,
    ledger: Vec<Arc<JournalRow>>,
    redemptions: Vec<RedemptionView>,
}

impl StoreContents {
    pub fn read(store: &dyn Store) -> Self {
        Self(
            store
                .shops()
                .unwrap()
                .into_iter()
                .map(|shop| ShopContents::read(store, shop))
                .collect(),
        )
    }

    /// The contents as a file has them that was of a format from before outgoing events were
    /// counted.
    #[must_use]
    pub fn without_sequences(mut self) -> Self {
        let shops = self.0.iter_mut();
        let rows = shops.flat_map(|shop| {
            let ledgers = shop.customers.iter_mut().flat_map(|customer| &mut customer.ledger);
            ledgers.chain(shop.merged.iter_mut().flat_map(|(_, ledger)| ledger))
        });
        rows.for_each(|row| Arc::make_mut(row).sequence = None);
        self
    }
}

impl ShopContents {
    fn read(store: &dyn Store, shop: Arc<Shop>) -> Self {
        let customers = all_customers(store, shop.id);
        let customers: Vec<_> = customers
            .iter()
            .map(|customer| CustomerContents::read(store, customer))
            .collect();
        let mut events: Vec<Event> = customers
            .iter()
            .flat_map(|customer| all_events(&customer.ledger))
            .collect();
        let absorbed = events.iter().filter_map(|event| match event {
            Event::AccountAbsorbed(absorption) => Some(absorption.from),
            _ => None,
        });
        let merged: Vec<_> = absorbed
            .map(|account| (account, whole_journal(store, shop.id, account)))
            .collect();
        events.extend(merged.iter().flat_map(|(_, rows)| all_events(rows)));
        let orders: BTreeSet<OrderId> = events.iter().filter_map(Event::order).cloned().collect();
        let orders = orders
            .into_iter()
            .map(|id| (id.clone(), store.order(shop.id, &id).unwrap()))
            .collect();
        let program = store.program(shop.id, None).unwrap();
        let rules = store.price_rules(shop.id, None, 1_000).unwrap().items;
        let rules = rules.into_iter().map(|rule| {
            let codes = store.codes(shop.id, rule.id, None, 1_000).unwrap().items;
            let count = store.count_codes(shop.id, rule.id).unwrap();
            (rule, codes, count)
        });
        let rules = rules.collect();
        let products = store.products(shop.id, None, 1_000).unwrap().items;
        let categories = store.categories(shop.id, None, 1_000).unwrap().items;
        let imports = store.imports(shop.id, None, 1_000).unwrap().into_iter();
        let imports = imports.map(|import| {
            let rows = store.import_rows(shop.id, &import.id, 0, false, 10_000).unwrap();
            (import, rows)
        });
        let imports = imports.collect();
        let destinations = store.destinations(shop.id).unwrap().into_iter();
        let destinations = destinations.map(|destination| {
            let id = destination.id;
            let progress = store.destination_progress(shop.id, id).unwrap();
            let mut deliveries = store.deliveries(shop.id, id, true, None, 100_000).unwrap();
            deliveries.extend(store.deliveries(shop.id, id, false, None, 100_000).unwrap());
            (destination, progress, deliveries)
        });
        let destinations = destinations.collect();
        let searches = store.saved_searches(shop.id, None, 1_000).unwrap().items;
        let is_rescheduled = !store.shops_to_reschedule().unwrap().contains(&shop.id);
        let due = all_due(store)
            .into_iter()
            .filter(|due| is_rescheduled && due.shop == shop.id)
            .collect();
        Self {
            shop,
            program,
            customers,
            merged,
            orders,
            rules,
            products,
            categories,
            searches,
            destinations,
            imports,
            due,
        }
    }
}

impl CustomerContents {
    fn read(store: &dyn Store, customer: &CustomerView) -> Self {
        let record = customer.record().clone();
        Self {
            email: record.email.as_ref().map(|email| email.as_str().to_owned()),
            account: customer.account().clone(),
            seq: customer.seq(),
            ledger: whole_journal(store, record.shop, record.account),
            redemptions: store
                .redemptions(record.shop, record.account, None, 1_000)
                .unwrap()
                .items,
            record,
        }
    }
}

fn all_events(rows: &[Arc<JournalRow>]) -> impl Iterator<Item = Event> {
    rows.iter().flat_map(|row| row.events.iter().cloned())
}

/// Reads all customers of a shop, page by page.
pub fn all_customers(store: &dyn Store, shop: ShopId) -> Vec<CustomerView> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.customers(shop, &SearchQuery::default(), after, 7).unwrap();
        after = page.items.last().map(|customer| customer.record().account);
        all.extend(page.items);
        if !page.has_more {
            return all;
        }
    }
}

/// Reads all due accounts, page by page.
pub fn all_due(store: &dyn Store) -> Vec<DueAccount> {
    let mut all: Vec<DueAccount> = Vec::new();
    loop {
        let page = store.due(Timestamp::MAX_UTC, all.last().copied(), 5).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Reads the journal of an account, newest first, page by page.
pub fn whole_journal(store: &dyn Store, shop: ShopId, account: AccountId) -> Vec<Arc<JournalRow>> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.account_journal(shop, account, before, 40).unwrap();
        all.extend(page.rows);
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

/// Verifies a store, and that its reads agree with its journal.
///
/// Each customer's account must be the fold of the account's journal, and its rows must
/// follow each other. Due times must be current, unless the shop is still rescheduling
/// its accounts.
///
/// # Panics
/// If a check fails.
pub fn assert_consistent(store: &dyn Store) {
    let verified = store.verify().unwrap();
    assert_eq!(verified.differences, Vec::<String>::new());
    assert_lists_complete(store);
    assert_days_complete(store);

    let (known, rescheduling) = (all_due(store), store.shops_to_reschedule().unwrap());

    for shop in store.shops().unwrap() {
        for customer in all_customers(store, shop.id) {
            let id = customer.record().account;
            let rows = whole_journal(store, shop.id, id);
            let due = known.iter().find(|due| due.account == id);
            let is_rescheduled = !rescheduling.contains(&shop.id);
            assert!(
                !is_rescheduled || due.map(|due| due.at) == customer.next_due(),
                "account {id}: {due:?}"
            );
            let mut folded = Account::default();
            rows.iter()
                .rev()
                .flat_map(|row| row.events.iter())
                .for_each(|event| folded.evolve(event));
            assert_eq!(&folded, customer.account(), "account {id}");
            let newest = rows.first().expect("an account begins with a row");
            assert_eq!(
                (newest.seq, newest.balance),
                (customer.seq(), customer.account().balance(newest.at))
            );
            // A program published at the time of the newest row may make an event due at
            // once.
            let all_written = customer.next_due().is_none_or(|due| due > newest.at);
            assert!(!all_written || customer.balance(newest.at) == newest.balance, "account {id}");
            let follow = rows
                .windows(2)
                .all(|rows| rows[0].previous == Some(rows[1].seq) && rows[0].at >= rows[1].at);
            assert!(follow && rows.last().is_some_and(|row| row.previous.is_none()), "{rows:?}");
        }
    }
}
