//! Redemptions in memory.

use loyalty_core::account::Usage;
use loyalty_core::{AccountId, RedemptionId, RewardId, ShopId};

use super::{MemoryStore, Tables};
use crate::error::Failure;
use crate::query::Page;
use crate::redemption::{self, RedemptionView, Redemptions};

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

    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure> {
        redemption::load_reward_usage(&mut *self.tables(), shop, reward)
    }
}
