//! Lists of states in an order of their own: accounts that are due, orders, redemptions.
//!
//! A list is read from its table's index, and from the index in memory of the states that are newer
//! than their table. Neither decides: a state is listed if it is, as it is now, at the place where
//! it was found.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::NaiveDate;
use loyalty_core::{RedemptionId, ShopId, Timestamp};

use super::CommittedState;
use crate::day_totals::DayTotals;
use crate::engine::backend::{Backend, TableReader};
use crate::engine::kind::Orders;
use crate::engine::pending_lists::ShopOrder;
use crate::error::Failure;
use crate::order_list::{OrderIndex, OrderList, OrderPosition, position_of};
use crate::query::{Direction, DueAccount, Page};
use crate::record::OrderRecord;
use crate::redemption::{RedemptionStatus, RedemptionView, find_redemption, is_listed};

impl<B: Backend> CommittedState<B> {
    /// Returns accounts that are due by `now`, earliest first, `after` one.
    pub(crate) fn due_accounts(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure> {
        // Memory first: an account that reaches its table meanwhile is found there.
        let mut found = self
            .pending
            .due
            .page(&(), after.as_ref(), Direction::Ascending, limit);
        found.retain(|due| due.at <= now);

        let (mut from, mut current) = (after, 0_usize);
        while current < limit {
            let page = self.with_reader(|tables| tables.due_accounts(now, from, limit))?;
            for due in &page {
                // A row that is older than memory is not current.
                let cached = self.states.accounts.get(&due.account);
                if cached.is_none_or(|record| record.due == Some(due.at)) {
                    current = current.saturating_add(1);
                    found.push(*due);
                }
            }
            if page.len() < limit {
                break;
            }
            from = page.last().copied();
        }

        Direction::Ascending.sort(&mut found);
        found.truncate(limit);
        Ok(found)
    }

    /// Returns a page of a list of orders that these indexes have.
    pub(crate) fn orders(
        &self,
        shop: ShopId,
        indexes: &[OrderIndex],
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        let direction = list.direction;
        let read = |after: Option<&OrderPosition>, count| {
            // An order that moves from one index to another is in one of them.
            let _paused = self.pause_publication();
            let mut parts = Vec::with_capacity(indexes.len().saturating_mul(2));
            for index in indexes {
                // Memory first: an order that reaches its table meanwhile is found there.
                let pending = self.pending.orders(index);
                parts.push(pending.page(index, after, direction, count));
                parts.push(self.with_reader(|tables| {
                    tables.order_positions(index, after, direction, count)
                })?);
            }
            Ok(parts)
        };
        let load = |position: &OrderPosition| {
            let Some(id) = &position.1 else { return Ok(None) };
            let order = self.order_uncached(&(shop, id.clone()))?;
            Ok(order.filter(|order| {
                position_of(order) == *position && indexes.iter().any(|index| index.contains(order))
            }))
        };
        let reaches = |position: &OrderPosition| list.reaches(position);
        merge_pages((direction, list.start()), limit, read, load, reaches)
    }

    /// Returns an order without caching it: a list passes many.
    fn order_uncached(&self, key: &ShopOrder) -> Result<Option<Arc<OrderRecord>>, Failure> {
        match self.states.orders.get(key) {
            Some(order) => Ok(Some(order)),
            None => self.load_uncached::<Orders>(key),
        }
    }

    /// Returns the sums of a shop's days that have any.
    pub(crate) fn day_totals(
        &self,
        shop: ShopId,
        days: &RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure> {
        // The days are those of one commit.
        let _paused = self.pause_publication();
        let direction = Direction::Ascending;
        let pending = self.pending.days.page(&shop, None, direction, usize::MAX);
        let mut found = BTreeMap::new();
        for day in pending.into_iter().filter(|day| days.contains(day)) {
            found.extend(self.states.days.get(&(shop, day)).map(|totals| (day, totals)));
        }
        for (day, totals) in self.with_reader(|tables| tables.day_totals(shop, days))? {
            let known = found.entry(day).or_insert_with(|| Arc::clone(&totals));
            if known.last < totals.last {
                *known = totals;
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Returns a page of a shop's redemptions, newest first.
    pub(crate) fn redemptions(
        &self,
        shop: ShopId,
        status: Option<(RedemptionStatus, Timestamp)>,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let direction = Direction::Descending;
        let all = RedemptionStatus::ALL.into_iter();
        let statuses: Vec<_> = all
            .filter(|known| status.is_none_or(|(status, _)| status == *known))
            .collect();
        let read = |after: Option<&RedemptionId>, count| {
            let _paused = self.pause_publication();
            let mut parts = Vec::with_capacity(statuses.len().saturating_mul(2));
            for status in &statuses {
                let pending = &self.pending.redemptions;
                parts.push(pending.page(&(shop, *status), after, direction, count));
                parts.push(self.with_reader(|tables| {
                    tables.redemptions(shop, *status, after.copied(), count)
                })?);
            }
            Ok(parts)
        };
        let load = |id: &RedemptionId| {
            let found = find_redemption(&mut &*self, shop, *id)?;
            Ok(found.filter(|view| is_listed(view, status)))
        };
        merge_pages((direction, after), limit, read, load, |_| true)
    }
}

/// Reads one list from several sorted parts.
///
/// `read` returns of each part up to so many places behind one; `load` returns what is at a place,
/// unless it is not there any more. The list ends at the first place that it does not reach.
fn merge_pages<P: Clone + Ord, T>(
    (direction, mut after): (Direction, Option<P>),
    limit: usize,
    read: impl Fn(Option<&P>, usize) -> Result<Vec<Vec<P>>, Failure>,
    load: impl Fn(&P) -> Result<Option<T>, Failure>,
    reaches: impl Fn(&P) -> bool,
) -> Result<Page<T>, Failure> {
    let mut items = Vec::new();
    loop {
        let count = limit.saturating_sub(items.len()).saturating_add(1);
        let parts = read(after.as_ref(), count)?;

        // Behind the last place of a part that is full, the part may have more.
        let full = parts.iter().filter(|part| part.len() >= count);
        let mut ends: Vec<P> = full.filter_map(|part| part.last().cloned()).collect();
        direction.sort(&mut ends);
        let end = ends.into_iter().next();

        let mut places: Vec<P> = parts.into_iter().flatten().collect();
        direction.sort(&mut places);
        let known = |place: &P| end.as_ref().is_none_or(|end| !direction.is_behind(place, end));
        for place in places.into_iter().take_while(known) {
            if !reaches(&place) {
                return Ok(Page { items, has_more: false });
            }
            if let Some(item) = load(&place)? {
                if items.len() >= limit {
                    return Ok(Page { items, has_more: true });
                }
                items.push(item);
            }
            after = Some(place);
        }
        if end.is_none() {
            return Ok(Page { items, has_more: false });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    /// A table has the places 1 to 8, of which 1 to 3 have moved to 11 to 13 in memory.
    #[test]
    fn what_has_moved_skips_nothing_in_between() {
        let (table, memory) = ((1..=8).collect::<Vec<u8>>(), vec![11, 12, 13]);
        let read = |after: Option<&u8>, count| {
            let behind = |part: &[u8]| {
                let rest = part.iter().filter(|place| after.is_none_or(|after| *place > after));
                rest.take(count).copied().collect::<Vec<_>>()
            };
            Ok(vec![behind(&memory), behind(&table)])
        };
        let load = |place: &u8| Ok((*place > 3).then_some(*place));
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let part = (Direction::Ascending, after);
            let page = merge_pages(part, 2, read, load, |_| true).unwrap();
            after = page.items.last().copied();
            all.extend(page.items);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(all, [4, 5, 6, 7, 8, 11, 12, 13]);
    }
}
