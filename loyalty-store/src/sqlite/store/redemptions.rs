//! Redemptions of rewards, read as projections.

use loyalty_core::account::Usage;
use loyalty_core::{AccountId, RedemptionId, RewardId, ShopId, Timestamp};

use super::SqliteStore;
use crate::engine::CommittedState;
use crate::error::Failure;
use crate::query::Page;
use crate::redemption::{self, RedemptionStatus, RedemptionView, Redemptions};
use crate::sqlite::backend::SqliteFile;

impl Redemptions for SqliteStore {
    fn redemption(
        &self,
        shop: ShopId,
        id: RedemptionId,
    ) -> Result<Option<RedemptionView>, Failure> {
        let _available = self.committed.ensure_available()?;
        redemption::find_redemption(&mut &*self.committed, shop, id)
    }

    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let _available = self.committed.ensure_available()?;
        let _paused = self.committed.pause_publication();
        let last = |committed: &mut &CommittedState<SqliteFile>, account| {
            let record = committed.account(account)?;
            let record = record.filter(|record| record.shop == shop);
            Ok(record.and_then(|record| record.account.last_redemption()))
        };
        redemption::list_redemptions(&mut &*self.committed, shop, account, after, limit, last)
    }

    fn shop_redemptions(
        &self,
        shop: ShopId,
        status: Option<(RedemptionStatus, Timestamp)>,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.redemptions(shop, status, after, limit)
    }

    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure> {
        let _available = self.committed.ensure_available()?;
        redemption::load_reward_usage(&mut &*self.committed, shop, reward)
    }
}
