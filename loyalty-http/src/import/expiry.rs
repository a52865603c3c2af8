//! The undoing of expiry: points that ended by a wrong clock come back, as an import.
//!
//! A clock that was a year ahead lets points expire that had a year left. Their ends are in the
//! journal, so they can be given back with what was left. As an import it has an id, happens
//! once, can be tried first, and can be undone.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use loyalty_core::{AccountId, Event, ImportedEnd, ImportedLot, Points, ShopId, Timestamp};
use loyalty_store::{CustomerRef, CustomerView, Failure, ImportContent, ProfileChange, Store};

/// The journal rows of one read.
const ROWS: usize = 1_000;

/// The period in which points expired, by the clock that was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedPeriod {
    /// Its first instant.
    pub from: Timestamp,
    /// The instant at which it is over.
    pub until: Timestamp,
}

/// Returns what customers get back: the points whose expiry was recorded in a period, and whose
/// end is still to come at `now`. Points that expired by inactivity come back without an end.
/// Pending points, and those of customers who were erased, do not come back.
///
/// The time of an account never goes back. One that was changed by the wrong clock stays at
/// that time until the right one has passed it: what comes back to it has as much time left
/// from there as it had from `now`.
///
/// Reads the shop's whole journal, and holds some bytes for each customer.
///
/// # Errors
/// A failure of the store.
pub fn find_expired(
    store: &dyn Store,
    shop: ShopId,
    recorded: RecordedPeriod,
    now: Timestamp,
) -> Result<Vec<ImportContent>, Failure> {
    let mut accounts: BTreeMap<AccountId, ExpiredPoints> = BTreeMap::new();
    let mut after = 0;
    loop {
        let rows = store.journal(shop, after, ROWS)?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in rows {
            let Some(account) = row.account else { continue };
            let expired = accounts.entry(account).or_default();
            expired.latest = expired.latest.max(Some(row.at));
            if (recorded.from..recorded.until).contains(&row.at) {
                expired
                    .lots
                    .extend(row.events.iter().filter_map(|event| early_lot(event, now)));
            }
        }
    }

    let mut contents = Vec::new();
    let expired = accounts.into_iter().filter(|(_, expired)| !expired.lots.is_empty());
    for (account, expired) in expired {
        let customer = store.customer_by_account(shop, account)?;
        let Some(customer) = customer.as_ref().and_then(reference) else {
            continue;
        };
        let (change, lots) = (ProfileChange::default(), Some(expired.into_lots(now)));
        contents.push(ImportContent { customer, change, lots, tier: None });
    }
    Ok(contents)
}

fn reference(customer: &CustomerView) -> Option<CustomerRef> {
    let record = customer.record();
    let by_email = || record.email.clone().map(CustomerRef::Email);
    record.id.clone().map(CustomerRef::Id).or_else(by_email)
}

/// What expired of an account too early.
#[derive(Default)]
struct ExpiredPoints {
    /// The points, each with its end; `None` for those that had none.
    lots: Vec<(Points, Option<Timestamp>)>,
    /// The time of the account.
    latest: Option<Timestamp>,
}

impl ExpiredPoints {
    fn into_lots(self, now: Timestamp) -> Vec<ImportedLot> {
        let ahead = self.latest.map(|latest| latest.signed_duration_since(now));
        let ahead = ahead.unwrap_or_default().max(TimeDelta::zero());
        let lots = self.lots.into_iter().map(|(points, end)| {
            let end = end.map(|end| end.checked_add_signed(ahead).unwrap_or(end));
            let end = end.map_or(ImportedEnd::Never, ImportedEnd::At);
            ImportedLot { points, earned_at: None, end }
        });
        lots.collect()
    }
}

/// The points of an expiry that was too early, with their end.
fn early_lot(event: &Event, now: Timestamp) -> Option<(Points, Option<Timestamp>)> {
    let Event::PointsExpired { points, expired_at, inactive, pending: false, .. } = event else {
        return None;
    };
    let is_early = *expired_at > now && *points > Points::ZERO;
    is_early.then_some((*points, Some(*expired_at).filter(|_| !inactive)))
}
