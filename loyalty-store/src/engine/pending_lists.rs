//! The indexes in memory of lists: accounts that are due, orders, redemptions.

use chrono::NaiveDate;
use loyalty_core::{AccountId, OrderId, RedemptionId, ShopId};

use super::pending_index::PendingIndex;
use super::states::StateChanges;
use crate::order_list::{OrderIndex, OrderPosition, OrderStatus, position_of};
use crate::projections::{Projection, ProjectionKey};
use crate::query::DueAccount;
use crate::redemption::{RedemptionStatus, status_of};

pub(super) type ShopOrder = (ShopId, OrderId);
type ShopProjection = (ShopId, ProjectionKey);

/// The places of states that are newer than their tables.
#[derive(Debug, Default)]
pub(super) struct PendingLists {
    pub(super) due: PendingIndex<AccountId, (), DueAccount>,
    by_status: PendingIndex<ShopOrder, OrderIndex, OrderPosition>,
    by_account: PendingIndex<ShopOrder, OrderIndex, OrderPosition>,
    pub(super) redemptions: PendingIndex<RedemptionId, (ShopId, RedemptionStatus), RedemptionId>,
    pub(super) days: PendingIndex<(ShopId, NaiveDate), ShopId, NaiveDate>,
}

impl PendingLists {
    /// Notes the places of states that are about to become visible.
    pub(super) fn update(&self, changes: &StateChanges) {
        for (account, record) in &changes.accounts {
            let due = record
                .due
                .map(|at| DueAccount { at, account: *account, shop: record.shop });
            self.due.update(account, due.map(|due| ((), due)));
        }
        for (key, order) in &changes.orders {
            let (status, position) = (OrderStatus::of(&order.state), position_of(order));
            let index = OrderIndex::Status(key.0, status);
            self.by_status.update(key, Some((index, position.clone())));
            let index = order.account.map(OrderIndex::Account);
            self.by_account.update(key, index.map(|index| (index, position)));
        }
        for key in changes.days.keys() {
            self.days.update(key, Some(*key));
        }
        for ((shop, key), projection) in &changes.projections {
            if let ProjectionKey::Redemption(id) = key {
                self.redemptions.update(id, redemption_place(*shop, *id, projection));
            }
        }
    }

    /// Forgets states that have reached their tables.
    pub(super) fn remove(
        &self,
        accounts: &[AccountId],
        orders: &[ShopOrder],
        projections: &[ShopProjection],
        days: &[(ShopId, NaiveDate)],
    ) {
        for key in days {
            self.days.remove(key);
        }
        for account in accounts {
            self.due.remove(account);
        }
        for key in orders {
            self.by_status.remove(key);
            self.by_account.remove(key);
        }
        for (_, key) in projections {
            if let ProjectionKey::Redemption(id) = key {
                self.redemptions.remove(id);
            }
        }
    }

    pub(super) fn clear(&self) {
        self.due.clear();
        self.by_status.clear();
        self.by_account.clear();
        self.redemptions.clear();
        self.days.clear();
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> [(&'static str, usize); 5] {
        [
            ("due", self.due.len()),
            ("orders by status", self.by_status.len()),
            ("orders by account", self.by_account.len()),
            ("redemptions by status", self.redemptions.len()),
            ("days by shop", self.days.len()),
        ]
    }

    pub(super) fn orders(
        &self,
        index: &OrderIndex,
    ) -> &PendingIndex<ShopOrder, OrderIndex, OrderPosition> {
        match index {
            OrderIndex::Status(..) => &self.by_status,
            OrderIndex::Account(_) => &self.by_account,
        }
    }
}

fn redemption_place(
    shop: ShopId,
    id: RedemptionId,
    projection: &Projection,
) -> Option<((ShopId, RedemptionStatus), RedemptionId)> {
    status_of(projection).map(|status| ((shop, status), id))
}
