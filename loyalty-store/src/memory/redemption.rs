//! Redemptions in memory.

use std::cmp::Reverse;

use loyalty_core::account::Usage;
use loyalty_core::{AccountId, RedemptionId, RewardId, ShopId, Timestamp};

use super::{MemoryStore, Tables};
use crate::error::Failure;
use crate::projections::ProjectionKey;
use crate::query::Page;
use crate::redemption::{self, RedemptionStatus, RedemptionView, Redemptions};

impl Redemptions for MemoryStore {
    fn redemption(
        &self,
        shop: ShopId,
        id: RedemptionId,
    ) -> Result<Option<RedemptionView>, Failure> {
        redemption::find_redemption(&mut *self.tables(), shop, id)
    }

    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let last = |tables: &mut Tables, account| {
            let record = tables.accounts.get(&account).filter(|record| record.shop == shop);
            Ok(record.and_then(|record| record.account.last_redemption()))
        };
        redemption::list_redemptions(&mut *self.tables(), shop, account, after, limit, last)
    }

    fn shop_redemptions(
        &self,
        shop: ShopId,
        status: Option<(RedemptionStatus, Timestamp)>,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let mut tables = self.tables();
        let keys = tables.projections.keys().filter(|(of, _)| *of == shop);
        let mut ids: Vec<_> = keys
            .filter_map(
                |(_, key)| if let ProjectionKey::Redemption(id) = key { Some(*id) } else { None },
            )
            .filter(|id| after.is_none_or(|after| *id < after))
            .collect();
        ids.sort_unstable_by_key(|id| Reverse(*id));

        let mut items = Vec::new();
        for id in ids {
            let view = redemption::find_redemption(&mut *tables, shop, id)?;
            items.extend(view.filter(|view| redemption::is_listed(view, status)));
            if items.len() > limit {
                break;
            }
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, has_more })
    }

    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure> {
        redemption::load_reward_usage(&mut *self.tables(), shop, reward)
    }
}
