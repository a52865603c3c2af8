//! Reminders of points that will expire.

use std::collections::BTreeMap;
use std::ops::Range;

use loyalty_core::{AccountId, Event, Points, ShopId, Timestamp};

use crate::Store;
use crate::error::Failure;
use crate::query::CustomerView;
use crate::search::SearchQuery;

/// The largest number of customers scanned for one page, which bounds its time.
const MAX_SCANNED: usize = 5_000;
/// The number of customers read at once.
const PAGE_SIZE: usize = 250;

/// A customer whose points will expire, unless they are used before.
#[derive(Clone, Debug)]
pub struct Reminder {
    /// The customer.
    pub customer: CustomerView,
    /// The points that expire, by the time of their expiration.
    pub expirations: BTreeMap<Timestamp, Points>,
}

/// A page of reminders.
///
/// # Example: points that expire in March
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Program, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, ReminderPage};
/// use loyalty_store::{Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let program = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P30D"}}}"#).unwrap();
/// let publish = Action::PublishProgram { program: Box::new(program), replaces: None };
/// let reason = AdjustmentReason::default();
/// let add = Command::AddPoints { points: Points::from(250), reason };
/// for action in [publish, Action::for_customer(ada, Existence::Any, vec![add])] {
///     store.execute(Request::new(shop, now, action)).wait()?;
/// }
/// let march = "2026-03-01T00:00:00Z".parse()?.."2026-04-01T00:00:00Z".parse()?;
/// let page = ReminderPage::find(&store, shop, &march, None, 10)?;
/// let points = page.items.iter().flat_map(|reminder| reminder.expirations.values());
/// assert_eq!(points.copied().collect::<Vec<_>>(), [Points::from(250)]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReminderPage {
    /// The reminders, in the order of the customers' creation. An empty page can be
    /// followed by others.
    pub items: Vec<Reminder>,
    /// The account behind which the next page starts; `None` on the last page.
    pub next: Option<AccountId>,
}

impl ReminderPage {
    /// Finds up to `limit` customers of a shop, behind the account `after`, whose points
    /// expire within a future period.
    ///
    /// A page scans at most 5,000 customers, so all pages together scan the shop's
    /// customers once. The due time of an account tells at once that nothing expires
    /// before it. The due index would not help: it lists the earliest scheduled event of
    /// any kind.
    pub fn find(
        store: &dyn Store,
        shop: ShopId,
        period: &Range<Timestamp>,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Self, Failure> {
        let all_customers = SearchQuery::default();
        let (mut after, mut scanned) = (after, 0_usize);
        let mut found = Self::default();

        loop {
            let page = store.customers(shop, &all_customers, after, PAGE_SIZE)?;

            for customer in page.items {
                if found.items.len() >= limit || scanned >= MAX_SCANNED {
                    found.next = after;
                    return Ok(found);
                }

                scanned = scanned.saturating_add(1);
                after = Some(customer.record().account);
                let expirations = find_expirations(&customer, period);
                if !expirations.is_empty() {
                    found.items.push(Reminder { customer, expirations });
                }
            }

            if !page.has_more {
                return Ok(found);
            }
        }
    }
}

/// Returns the points of a customer's balance that expire within a period, by time.
/// Points that expire while pending are left out: they could never be spent.
fn find_expirations(
    customer: &CustomerView,
    period: &Range<Timestamp>,
) -> BTreeMap<Timestamp, Points> {
    let mut expirations = BTreeMap::new();
    if customer.is_unchanged_until(period.end) {
        return expirations;
    }

    for event in customer.due(period.end) {
        let Event::PointsExpired { points, expired_at, pending: false, .. } = event else {
            continue;
        };

        if period.contains(&expired_at) {
            let sum: &mut Points = expirations.entry(expired_at).or_default();
            *sum = sum.saturating_add(points);
        }
    }

    expirations
}
