//! Redemptions of a file: records behind the journal, as price rules and codes are.

use loyalty_core::account::Usage;
use loyalty_core::{AccountId, RedemptionId, RewardId, ShopId};

use super::SqliteStore;
use super::committed::CommittedState;
use crate::error::Failure;
use crate::query::Page;
use crate::redemption::{self, RedemptionView, Redemptions};

impl Redemptions for SqliteStore {
    fn redemption(
        &self,
        shop: ShopId,
        id: RedemptionId,
    ) -> Result<Option<RedemptionView>, Failure> {
        let _well = self.committed.ensure_available()?;
        redemption::find_redemption(&mut &*self.committed, shop, id)
    }

    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let _well = self.committed.ensure_available()?;
        let _one_commit = self.committed.pause_publication();
        let last = |shared: &mut &CommittedState, account| {
            let record = shared.account(account)?.filter(|record| record.shop == shop);
            Ok(record.and_then(|record| record.account.last_redemption()))
        };
        redemption::list_redemptions(&mut &*self.committed, shop, account, after, limit, last)
    }

    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure> {
        let _well = self.committed.ensure_available()?;
        redemption::load_reward_usage(&mut &*self.committed, shop, reward)
    }
}
