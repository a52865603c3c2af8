//! Lists of orders in memory.

use std::sync::Arc;

use loyalty_core::{AccountId, ShopId};

use super::{MemoryStore, Tables};
use crate::error::Failure;
use crate::order_list::{OrderIndex, OrderList, OrderStatus, Orders, position_of};
use crate::query::{Direction, Page};
use crate::record::OrderRecord;

impl Orders for MemoryStore {
    fn orders(
        &self,
        shop: ShopId,
        status: Option<OrderStatus>,
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        let indexes = OrderIndex::of_shop(shop, status);
        Ok(self.tables().orders_of(shop, &indexes, list, limit))
    }

    fn customer_orders(
        &self,
        shop: ShopId,
        account: AccountId,
        list: &OrderList,
        limit: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        let mut tables = self.tables();
        let indexes = OrderIndex::of_customer(&mut *tables, shop, account)?;
        Ok(tables.orders_of(shop, &indexes, list, limit))
    }
}

impl Tables {
    fn orders_of(
        &self,
        shop: ShopId,
        indexes: &[OrderIndex],
        list: &OrderList,
        limit: usize,
    ) -> Page<Arc<OrderRecord>> {
        let start = list.start();
        let is_listed = |order: &OrderRecord| {
            let position = position_of(order);
            indexes.iter().any(|index| index.contains(order))
                && list.reaches(&position)
                && start
                    .as_ref()
                    .is_none_or(|start| list.direction.is_behind(&position, start))
        };
        let of_shop = self.orders.iter().filter(|((of, _), _)| *of == shop);
        let mut items: Vec<_> = of_shop
            .filter(|(_, order)| is_listed(order))
            .map(|(_, order)| Arc::clone(order))
            .collect();
        items.sort_by_key(|order| position_of(order));
        if list.direction == Direction::Descending {
            items.reverse();
        }

        let has_more = items.len() > limit;
        items.truncate(limit);
        Page { items, has_more }
    }
}
