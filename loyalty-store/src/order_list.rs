//! Lists of orders, by status and by customer, in the order of their last changes.

use std::sync::Arc;

use loyalty_core::{AccountId, OrderId, OrderState, ShopId, Status, Timestamp};

use crate::discount::lookup::{DiscountView, collect_merged_accounts};
use crate::error::Failure;
use crate::query::{Direction, Page};
use crate::record::OrderRecord;

/// Reads of lists of orders.
pub trait Orders {
    /// Returns up to `limit` orders of a shop, of one status or all, in the order of their last
    /// changes.
    ///
    /// Costs O(`limit`), whatever the number of orders. An order that changes while pages are read
    /// moves to the end of the list in ascending direction, so that it is found there again.
    ///
    /// # Example: what has changed since
    /// ```
    /// use loyalty_core::{Command, Currency, OrderId, Zone};
    /// use loyalty_store::{Action, Direction, MemoryStore, NewShop, OrderList, Orders};
    /// use loyalty_store::{ProfileChange, Request, Store};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
    /// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
    /// # let shop = store.create_shop(&shop, now)?.id;
    /// let (order, change) = (OrderId::new("1001")?, ProfileChange::default());
    /// let command = Command::CancelOrder { order, at: None };
    /// let action = Action::Order { command, customer: None, change };
    /// store.execute(Request::new(shop, now, action)).wait()?;
    ///
    /// let list = OrderList { updated_since: Some(now), ..OrderList::default() };
    /// let page = store.orders(shop, None, &list, 50)?;
    /// assert_eq!((page.items.len(), page.has_more), (1, false));
    /// # Ok(()) }
    /// ```
    fn orders(
        &self,
        shop: ShopId,
        status: Option<OrderStatus>,
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure>;

    /// Returns up to `limit` orders of a customer, those of customers merged into them included, in
    /// the order of their last changes. Costs O(`limit`) for each of the accounts.
    fn customer_orders(
        &self,
        shop: ShopId,
        account: AccountId,
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure>;
}

/// A part of a list of orders.
#[derive(Clone, Debug, Default)]
pub struct OrderList {
    /// Only orders whose last change is not before this instant.
    pub updated_since: Option<Timestamp>,
    /// Ascending is from the change longest ago.
    pub direction: Direction,
    /// Only what comes behind this place.
    pub after: Option<OrderPlace>,
}

/// The place of an order in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderPlace {
    /// The time of its last change.
    pub updated_at: Timestamp,
    /// Its id.
    pub id: OrderId,
}

impl OrderPlace {
    /// Returns the place of an order; `None` for one without an id, which no store has.
    pub fn of(order: &OrderRecord) -> Option<Self> {
        let id = order.state.id()?.clone();
        Some(Self { updated_at: order.updated_at, id })
    }
}

/// A position in a list of orders: an order, or with no id that before all orders of the instant.
pub(crate) type OrderPosition = (Timestamp, Option<OrderId>);

/// Returns the position of an order.
pub(crate) fn position_of(order: &OrderRecord) -> OrderPosition {
    (order.updated_at, order.state.id().cloned())
}

/// The status of an order in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    /// Only refunds of it are known.
    Unreported,
    /// The furthest status reached since the last cancellation.
    Reached(Status),
    /// Cancelled, and not reopened since.
    Cancelled,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Unreported,
        Self::Reached(Status::Processing),
        Self::Reached(Status::Paid),
        Self::Reached(Status::Fulfilled),
        Self::Reached(Status::Completed),
        Self::Cancelled,
    ];

    /// Returns the status of an order.
    pub fn of(order: &OrderState) -> Self {
        match order.status() {
            _ if order.is_cancelled() => Self::Cancelled,
            Some(status) => Self::Reached(status),
            None => Self::Unreported,
        }
    }

    /// Returns the number in the column of the status, which is part of the file format.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Unreported => 0,
            Self::Reached(Status::Processing) => 1,
            Self::Reached(Status::Paid) => 2,
            Self::Reached(Status::Fulfilled) => 3,
            Self::Reached(Status::Completed) => 4,
            Self::Cancelled => 5,
        }
    }
}

impl OrderList {
    /// Returns the position behind which the list begins.
    pub(crate) fn start(&self) -> Option<OrderPosition> {
        let after = self.after.clone().map(|after| (after.updated_at, Some(after.id)));
        match self.direction {
            Direction::Ascending => after.max(self.updated_since.map(|since| (since, None))),
            Direction::Descending => after,
        }
    }

    /// Returns `false` if the list ends before an order.
    pub(crate) fn reaches(&self, (updated_at, _): &OrderPosition) -> bool {
        self.updated_since.is_none_or(|since| *updated_at >= since)
    }
}

/// The index of orders that a list is read from: each has its orders in the order of their last
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OrderIndex {
    /// Orders of a shop with a status.
    Status(ShopId, OrderStatus),
    /// Orders of an account.
    Account(AccountId),
}

impl OrderIndex {
    /// Returns the indexes that a list of a shop needs.
    pub(crate) fn of_shop(shop: ShopId, status: Option<OrderStatus>) -> Vec<Self> {
        let all = OrderStatus::ALL.into_iter();
        let wanted = all.filter(|known| status.is_none_or(|status| status == *known));
        wanted.map(|status| Self::Status(shop, status)).collect()
    }

    /// Returns the indexes of a customer's accounts.
    pub(crate) fn of_customer(
        view: &mut impl DiscountView,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Vec<Self>, Failure> {
        let accounts = collect_merged_accounts(view, shop, Some(account))?;
        Ok(accounts.into_iter().map(Self::Account).collect())
    }

    /// Returns `true` if the index has this order.
    pub(crate) fn contains(&self, order: &OrderRecord) -> bool {
        match self {
            Self::Status(_, status) => OrderStatus::of(&order.state) == *status,
            Self::Account(account) => order.account == Some(*account),
        }
    }
}
