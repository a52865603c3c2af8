//! Reports of a shop's program: the points of a period, and the liability of an instant.
//!
//! The points of a period come from daily sums ([`DayTotals`]), and from the rows of the days in
//! which the period begins and ends. The liability and the members of tiers are counted over every
//! customer, so a report belongs on a thread of its own. Scheduled events that are due count even if
//! they are not recorded yet.
//!
//! [`DayTotals`]: crate::DayTotals

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{Datelike, NaiveDate, TimeDelta};
use loyalty_core::{Account, Points, ShopId, TierId, Timestamp, Zone};

use crate::Store;
use crate::cancel;
use crate::day_totals::{PeriodTotals, local_day};
use crate::error::Failure;
use crate::query::CustomerView;
use crate::record::Seq;
use crate::search::SearchQuery;

/// The number of rows, customers or days read at once.
const PAGE_SIZE: usize = 1_000;

/// The points of a period, and the balances at the time of the report.
///
/// # Example: points issued and outstanding
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, ProgramReport};
/// use loyalty_store::{Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let reason = AdjustmentReason::default;
/// let add = Command::AddPoints { points: Points::from(250), reason: reason() };
/// let spend = Command::SubtractPoints { points: Points::from(100), reason: reason() };
/// let action = Action::for_customer(ada, Existence::Any, vec![add, spend]);
/// store.execute(Request::new(shop, now, action)).wait()?;
///
/// let january = "2026-01-01T00:00:00Z".parse()?.."2026-02-01T00:00:00Z".parse()?;
/// let report = ProgramReport::compute(&store, shop, &january, now)?;
/// assert_eq!(report.totals.total_issued(), Points::from(250));
/// assert_eq!(report.totals.redeemed, Points::from(100));
/// assert_eq!(report.liability(), Points::from(150));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramReport {
    /// The points of the period.
    pub totals: PeriodTotals,
    /// Usable points now, by the month of their expiration in the shop's calendar. `None`
    /// is for points that do not expire.
    pub outstanding: BTreeMap<Option<YearMonth>, Points>,
    /// Pending points now.
    pub pending: Points,
    /// Debt of customers now.
    pub debt: Points,
    /// The number of customers in each tier now; `None` is for customers without a tier.
    pub members: BTreeMap<Option<TierId>, u64>,
}

/// A month of the shop's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearMonth {
    /// The year.
    pub year: i32,
    /// The month, from 1 to 12.
    pub month: u32,
}

impl ProgramReport {
    /// Computes the report of a shop for `period`, with balances at `now`. The totals come from
    /// daily sums. The balances and members are counted over every customer.
    pub fn compute(
        store: &dyn Store,
        shop: ShopId,
        period: &Range<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let zone = zone_of(store, shop)?;
        let mut report = Self::default();
        for totals in days_between(store, shop, period)?.values() {
            report.totals.add(totals);
        }
        report.count_customers(store, (shop, zone), period, now)?;
        Ok(report)
    }

    /// Returns all points that customers can spend now.
    pub fn liability(&self) -> Points {
        self.outstanding
            .values()
            .fold(Points::ZERO, |sum, points| sum.saturating_add(*points))
    }

    fn count_customers(
        &mut self,
        store: &dyn Store,
        (shop, zone): (ShopId, Zone),
        period: &Range<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (all_customers, mut after) = (SearchQuery::default(), None);

        loop {
            cancel::check()?;
            let page = store.customers(shop, &all_customers, after, PAGE_SIZE)?;
            after = page.items.last().map(|customer| customer.record().account);

            for customer in &page.items {
                self.count_customer(customer, zone, period, now);
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    fn count_customer(
        &mut self,
        customer: &CustomerView,
        zone: Zone,
        period: &Range<Timestamp>,
        now: Timestamp,
    ) {
        // Events that are due but not recorded are in no journal row.
        for event in customer.due(now) {
            if period.contains(&event.at().unwrap_or(now)) {
                self.totals.count(&event);
            }
        }

        let account: &Account = &customer.as_of(now);
        for lot in account.usable_lots(now) {
            let end = lot.expires_at.and_then(|end| zone.local(end).ok());
            let month = end.map(|end| YearMonth { year: end.year(), month: end.month() });
            add_to(self.outstanding.entry(month).or_default(), lot.points);
        }

        add_to(&mut self.pending, account.pending(now));
        add_to(&mut self.debt, account.debt());
        let members = self.members.entry(account.current_tier_id(now).cloned()).or_default();
        *members = members.saturating_add(1);
    }
}

/// Returns the totals of each day of a period in the shop's calendar that has any. Scheduled events
/// that are not recorded yet are not among them.
///
/// Reads the daily sums, and of the days in which the period begins and ends the rows between the
/// first and the last one that has an event of the day.
pub fn days_between(
    store: &dyn Store,
    shop: ShopId,
    period: &Range<Timestamp>,
) -> Result<BTreeMap<NaiveDate, PeriodTotals>, Failure> {
    let zone = zone_of(store, shop)?;
    let before = |at: Timestamp| at.checked_sub_signed(TimeDelta::microseconds(1)).unwrap_or(at);
    if period.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (first, last) = (local_day(zone, period.start), local_day(zone, before(period.end)));
    let begins_within = local_day(zone, before(period.start)) == first;
    let ends_within = local_day(zone, period.end) == last;

    let mut days = BTreeMap::new();
    for (day, sums) in store.day_totals(shop, first..=last)? {
        let is_whole = !(begins_within && day == first || ends_within && day == last);
        let totals = if is_whole {
            sums.totals.clone()
        } else {
            fold_part_of_day(store, (shop, zone), day, (sums.first, sums.last), period)?
        };
        days.insert(day, totals);
    }
    days.retain(|_, totals| *totals != PeriodTotals::default());
    Ok(days)
}

/// Folds the events of a day in a period from its rows.
fn fold_part_of_day(
    store: &dyn Store,
    (shop, zone): (ShopId, Zone),
    day: NaiveDate,
    (first, last): (Seq, Seq),
    period: &Range<Timestamp>,
) -> Result<PeriodTotals, Failure> {
    let (mut totals, mut after) = (PeriodTotals::default(), first.saturating_sub(1));
    while after < last {
        cancel::check()?;
        // No more rows than positions that are left.
        let rest = usize::try_from(last.saturating_sub(after)).unwrap_or(PAGE_SIZE);
        let rows = store.journal(shop, after, rest.min(PAGE_SIZE))?;
        for row in rows.iter().filter(|row| row.seq <= last) {
            for event in row.events.iter() {
                let at = event.at().unwrap_or(row.at);
                if period.contains(&at) && local_day(zone, at) == day {
                    totals.count(event);
                }
            }
        }
        let Some(row) = rows.last() else { break };
        after = row.seq;
    }
    Ok(totals)
}

fn zone_of(store: &dyn Store, shop: ShopId) -> Result<Zone, Failure> {
    let missing = || Failure::Corrupt(format!("shop {shop} does not exist"));
    store.shop(shop)?.map(|shop| shop.zone).ok_or_else(missing)
}

fn add_to(sum: &mut Points, points: Points) {
    *sum = sum.saturating_add(points);
}
