//! Cases for the sums of days, each compared with a fold of the whole journal.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{Days, NaiveDate};
use loyalty_core::{Command, Currency, ShopId, Timestamp, Zone};

use super::test_shop::*;
use crate::{NewShop, PeriodTotals, Store, days_between, local_day};

/// Returns the totals of each day of a period by all rows of the journal.
fn fold_journal(
    store: &dyn Store,
    shop: ShopId,
    period: Option<&Range<Timestamp>>,
) -> BTreeMap<NaiveDate, PeriodTotals> {
    let zone = store.shop(shop).unwrap().unwrap().zone;
    let (mut days, mut after) = (BTreeMap::<_, PeriodTotals>::new(), 0);
    loop {
        let rows = store.journal(shop, after, 100).unwrap();
        let Some(last) = rows.last() else { return days };
        after = last.seq;
        for row in &rows {
            for event in row.events.iter() {
                let (at, mut totals) = (event.at().unwrap_or(row.at), PeriodTotals::default());
                if totals.count(event) && period.is_none_or(|period| period.contains(&at)) {
                    days.entry(local_day(zone, at)).or_default().add(&totals);
                }
            }
        }
    }
}

/// Checks that the sums of all days are those of the journal.
///
/// # Panics
/// If some are not.
pub fn assert_days_complete(store: &dyn Store) {
    for shop in store.shops().unwrap() {
        let all = NaiveDate::MIN..=NaiveDate::MAX;
        let stored = store.day_totals(shop.id, all).unwrap().into_iter();
        let stored: BTreeMap<_, _> = stored.map(|(day, sums)| (day, sums.totals.clone())).collect();
        assert_eq!(stored, fold_journal(store, shop.id, None));
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A shop in New York, which is five hours behind UTC in January.
fn new_york(store: &dyn Store) -> TestShop<'_> {
    let now = at("2026-01-01T12:00:00Z");
    let shop = NewShop {
        name: "Tea".to_owned(),
        currency: Currency::USD,
        zone: "America/New_York".parse::<Zone>().unwrap(),
    };
    let id = store.create_shop(&shop, now).unwrap().id;
    TestShop { store, id, now }
}

pub fn days_are_those_of_the_shops_zone(store: &dyn Store) {
    let shop = new_york(store);
    for (now, count) in [
        ("2026-01-10T04:59:59.999999Z", 1),
        ("2026-01-10T05:00:00Z", 10),
        ("2026-01-11T04:59:59Z", 100),
        ("2026-01-11T05:00:00Z", 1_000),
    ] {
        shop.at(now).execute_commands(&id("1"), vec![add(count)]).unwrap();
    }
    let all = NaiveDate::MIN..=NaiveDate::MAX;
    let days = store.day_totals(shop.id, all).unwrap().into_iter();
    let days: Vec<_> = days.map(|(day, sums)| (day, sums.totals.added_by_shop)).collect();
    let expected = [("2026-01-09", 1), ("2026-01-10", 110), ("2026-01-11", 1_000)];
    assert_eq!(days, expected.map(|(text, count)| (day(text), points(count))));

    let tenth = day("2026-01-10")..=day("2026-01-10");
    assert_eq!(store.day_totals(shop.id, tenth).unwrap().len(), 1);
    assert_days_complete(store);
}

pub fn what_is_recorded_late_counts_for_its_day(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P10D"}}}"#))
        .unwrap();
    shop.execute_commands(&id("1"), vec![add(7)]).unwrap();
    let later = shop.at("2026-03-01T00:00:00Z");
    later
        .execute_commands(&id("1"), vec![Command::CatchUp, add(5)])
        .unwrap();

    let days = store.day_totals(shop.id, NaiveDate::MIN..=NaiveDate::MAX).unwrap();
    let expired: Vec<_> = days.iter().map(|(day, sums)| (*day, sums.totals.expired)).collect();
    let expected = [("2026-01-01", 0), ("2026-01-11", 7), ("2026-03-01", 0)];
    assert_eq!(expired, expected.map(|(text, count)| (day(text), points(count))));
    assert_days_complete(store);
}

pub fn a_period_may_begin_and_end_within_a_day(store: &dyn Store) {
    let shop = new_york(store);
    shop.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P2D"}}}"#))
        .unwrap();
    let start = at("2026-01-10T00:00:00Z");
    let instants: Vec<Timestamp> = (0..40)
        .map(|hours| start + chrono::TimeDelta::minutes(hours * 157))
        .collect();
    for (number, now) in (1..).zip(&instants) {
        let shop = TestShop { now: *now, ..shop };
        shop.execute_commands(&id(&format!("{}", number % 3)), vec![add(number)])
            .unwrap();
    }
    let midnight = |text: &str| at(&format!("{text}T05:00:00Z"));
    let mut bounds = instants.clone();
    bounds.extend(["2026-01-10", "2026-01-11", "2026-01-12"].map(midnight));
    bounds.push(start - chrono::TimeDelta::days(30));
    for from in bounds.iter().step_by(3) {
        for until in &bounds {
            let period = *from..*until;
            let found = days_between(store, shop.id, &period).unwrap();
            assert_eq!(found, fold_journal(store, shop.id, Some(&period)), "{period:?}");
        }
    }
    let first = local_day("America/New_York".parse().unwrap(), start);
    assert_eq!(first.checked_add_days(Days::new(1)), Some(day("2026-01-10")));
}

pub fn sums_belong_to_one_shop(store: &dyn Store) {
    let (one, other) = (TestShop::new(store), TestShop::new(store));
    one.execute_commands(&id("1"), vec![add(7)]).unwrap();
    let all = || NaiveDate::MIN..=NaiveDate::MAX;
    assert_eq!(store.day_totals(one.id, all()).unwrap().len(), 1);
    assert_eq!(store.day_totals(other.id, all()).unwrap(), []);
}
