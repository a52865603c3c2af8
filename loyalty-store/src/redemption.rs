//! Rewards and redemptions: what can be asked about them, and what is answered.

use std::sync::Arc;

use loyalty_core::RewardOffer;
use loyalty_core::account::Usage;
use loyalty_core::redemption::Redemption;
use loyalty_core::{
    AccountId, Amount, CodeId, OrderId, Points, PriceRuleId, Program, RedemptionId, RewardId,
    ShopId, Timestamp,
};

use crate::discount::lookup::DiscountView;
use crate::error::Failure;
use crate::projections::{IssuedRedemption, ProjectionKey, ProjectionState};
use crate::query::{CustomerView, Page};
use crate::request::CustomerRef;

/// What can be read of redemptions.
pub trait Redemptions {
    /// One redemption.
    fn redemption(&self, shop: ShopId, id: RedemptionId)
    -> Result<Option<RedemptionView>, Failure>;

    /// The redemptions of an account and of those that were merged into it, newest first for each, after one
    /// of them.
    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure>;

    /// How much of a reward all customers together have had.
    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure>;
}

/// What is to be done with redemptions.
#[derive(Clone, Debug)]
pub enum RedemptionAction {
    /// A customer who is known exchanges points for a reward.
    Issue {
        /// Who.
        customer: CustomerRef,
        /// For what.
        reward: RewardId,
        /// How much, where the customer chooses.
        amount: Option<Amount>,
        /// The system's random bits, for the code.
        entropy: [u8; 16],
    },
    /// The points come back, and the code stops working.
    Cancel {
        /// Which.
        id: RedemptionId,
    },
    /// The shop handed over what it is for.
    Use {
        /// Which.
        id: RedemptionId,
        /// With this order, where it was one.
        order: Option<OrderId>,
    },
}

/// A redemption as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionView {
    /// The account that it was issued to. That may have been merged into another one since.
    pub account: AccountId,
    /// How far it has come, as far as that is written down: see [`Redemption::state_at`].
    pub redemption: Redemption,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl RedemptionView {
    /// The store's number of it.
    pub fn id(&self) -> RedemptionId {
        self.redemption.issue().id
    }

    /// The price rule and the code that stand for it, where a code does: they have its number.
    pub fn discount(&self) -> Option<(PriceRuleId, CodeId)> {
        let RedemptionId(number) = self.id();
        self.redemption
            .issue()
            .code
            .as_ref()
            .map(|_| (PriceRuleId(number), CodeId(number)))
    }
}

/// The rewards of the program in force, as a customer can have them.
#[derive(Clone, Debug)]
pub struct RewardsView {
    /// The customer.
    pub customer: CustomerView,
    /// Their balance.
    pub balance: Points,
    /// The program that has the rewards.
    pub program: Arc<Program>,
    /// Each of them, in the program's order.
    pub offered: Vec<RewardOffer>,
}

pub(crate) fn find_redemption(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: RedemptionId,
) -> Result<Option<RedemptionView>, Failure> {
    let Some(record) = view.projection(shop, &ProjectionKey::Redemption(id))? else {
        return Ok(None);
    };
    let ProjectionState::Redemption(Some(IssuedRedemption { account, redemption })) = &record.state
    else {
        return Ok(None);
    };
    let (account, redemption) = (*account, redemption.clone());
    Ok(Some(RedemptionView { account, redemption, updated_at: record.updated_at }))
}

/// How much of a reward all customers together have had.
pub(crate) fn load_reward_usage(
    view: &mut impl DiscountView,
    shop: ShopId,
    reward: &RewardId,
) -> Result<Option<Usage>, Failure> {
    let record = view.projection(shop, &ProjectionKey::Reward(reward.clone()))?;
    Ok(record.and_then(|record| {
        if let ProjectionState::Reward(usage) = &record.state { *usage } else { None }
    }))
}

/// The redemptions of an account and of those that became it, newest first for each: after one of them, or
/// from the first on. `last` answers an account's newest.
pub(crate) fn list_redemptions<V: DiscountView>(
    view: &mut V,
    shop: ShopId,
    account: AccountId,
    after: Option<RedemptionId>,
    limit: usize,
    last: impl Fn(&mut V, AccountId) -> Result<Option<RedemptionId>, Failure>,
) -> Result<Page<RedemptionView>, Failure> {
    let accounts = crate::discount::lookup::collect_merged_accounts(view, shop, Some(account))?;
    let mut rest = accounts.iter().copied();
    let mut items = Vec::new();
    let mut next = None;
    if let Some(after) = after {
        let Some(known) = find_redemption(view, shop, after)? else {
            return Ok(Page { items, has_more: false });
        };
        // From a redemption of anybody else nothing follows.
        if rest.any(|account| account == known.account) {
            next = known.redemption.issue().previous;
        }
    }
    loop {
        if next.is_none() {
            let Some(account) = rest.next() else {
                return Ok(Page { items, has_more: false });
            };
            next = last(view, account)?;
        }
        let Some(id) = next else { continue };
        if items.len() >= limit {
            return Ok(Page { items, has_more: true });
        }
        let missing =
            || Failure::Corrupt(format!("redemption {id} of account {account} is missing"));
        let found = find_redemption(view, shop, id)?.ok_or_else(missing)?;
        next = found.redemption.issue().previous;
        items.push(found);
    }
}
