//! Lists of orders, read from their indexes.

use std::sync::Arc;

use loyalty_core::{AccountId, ShopId};

use super::SqliteStore;
use crate::error::Failure;
use crate::order_list::{OrderIndex, OrderList, OrderStatus, Orders};
use crate::query::Page;
use crate::record::OrderRecord;

impl Orders for SqliteStore {
    fn orders(
        &self,
        shop: ShopId,
        status: Option<OrderStatus>,
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        let _available = self.committed.ensure_available()?;
        let indexes = OrderIndex::of_shop(shop, status);
        self.committed.orders(shop, &indexes, list, limit)
    }

    fn customer_orders(
        &self,
        shop: ShopId,
        account: AccountId,
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        let _available = self.committed.ensure_available()?;
        let indexes = OrderIndex::of_customer(&mut &*self.committed, shop, account)?;
        self.committed.orders(shop, &indexes, list, limit)
    }
}
