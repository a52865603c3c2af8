//! Redemptions of a file: records behind the journal, as price rules and codes are.

use loyalty_core::account::Usage;
use loyalty_core::{AccountId, RedemptionId, RewardId, ShopId};

use super::SqliteStore;
use super::shared::Shared;
use crate::error::Failure;
use crate::query::Page;
use crate::redemption::{self, RedemptionView, Redemptions};

impl Redemptions for SqliteStore {
    fn redemption(
        &self,
        shop: ShopId,
        id: RedemptionId,
    ) -> Result<Option<RedemptionView>, Failure> {
        let _well = self.shared.health()?;
        redemption::find_redemption(&mut &*self.shared, shop, id)
    }

    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let _well = self.shared.health()?;
        let _one_commit = self.shared.as_published();
        let last = |shared: &mut &Shared, account| {
            let record = shared.account(account)?.filter(|record| record.shop == shop);
            Ok(record.and_then(|record| record.account.last_redemption()))
        };
        redemption::list_redemptions(&mut &*self.shared, shop, account, after, limit, last)
    }

    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure> {
        let _well = self.shared.health()?;
        redemption::load_reward_usage(&mut &*self.shared, shop, reward)
    }
}
