//! Points that will end soon: what customers can be reminded of.

use std::collections::BTreeMap;
use std::ops::Range;

use loyalty_core::{AccountId, Event, Points, ShopId, Timestamp};

use crate::Store;
use crate::error::Failure;
use crate::query::CustomerView;
use crate::search::SearchQuery;

/// How many customers are looked through at most for one page, and how many are read at once.
const MAX_SCANNED: usize = 5_000;
const PAGE_SIZE: usize = 250;

/// A customer whose points will end, if nothing happens.
#[derive(Clone, Debug)]
pub struct Reminder {
    /// Who.
    pub customer: CustomerView,
    /// When, and how many.
    pub expirations: BTreeMap<Timestamp, Points>,
}

/// A page of them.
#[derive(Clone, Debug, Default)]
pub struct ReminderPage {
    /// In the order in which the customers became known. There can be none, and more behind.
    pub items: Vec<Reminder>,
    /// The customer behind whom the next page begins; none after the last.
    pub next: Option<AccountId>,
}

impl ReminderPage {
    /// Customers of a shop whose points end within a period that is still to come.
    ///
    /// A page costs up to some thousands of customers, whatever it finds, and all pages together as many as
    /// the shop has. What is due next for an account says at once that nothing of it ends before; the index of
    /// that leads to what is due first in all shops, which may be a birthday long before.
    pub fn find(
        store: &dyn Store,
        shop: ShopId,
        period: &Range<Timestamp>,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Self, Failure> {
        let (everybody, mut after, mut looked_through) = (SearchQuery::default(), after, 0_usize);
        let mut found = Self::default();
        loop {
            let page = store.customers(shop, &everybody, after, PAGE_SIZE)?;
            for customer in page.items {
                if found.items.len() >= limit || looked_through >= MAX_SCANNED {
                    found.next = after;
                    return Ok(found);
                }
                looked_through = looked_through.saturating_add(1);
                after = Some(customer.record().account);
                let ends = find_expirations(&customer, period);
                if !ends.is_empty() {
                    found.items.push(Reminder { customer, expirations: ends });
                }
            }
            if !page.has_more {
                return Ok(found);
            }
        }
    }
}

/// What of a customer's balance ends when. Points that nobody could spend before they end are no matter.
fn find_expirations(
    customer: &CustomerView,
    period: &Range<Timestamp>,
) -> BTreeMap<Timestamp, Points> {
    let mut ends = BTreeMap::new();
    if customer.is_unchanged_until(period.end) {
        return ends;
    }
    for event in customer.due(period.end) {
        let Event::PointsExpired { points, expired_at, pending: false, .. } = event else {
            continue;
        };
        if period.contains(&expired_at) {
            let sum: &mut Points = ends.entry(expired_at).or_default();
            *sum = sum.saturating_add(points);
        }
    }
    ends
}
