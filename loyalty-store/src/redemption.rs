//! Reads and changes of redemptions, and the rewards offered to a customer.

use std::sync::Arc;

use loyalty_core::RewardOffer;
use loyalty_core::account::Usage;
use loyalty_core::redemption::{Redemption, RedemptionState};
use loyalty_core::{
    AccountId, Amount, CodeId, OrderId, Points, PriceRuleId, Program, PublicationStatus,
    RedemptionId, RewardId, ShopId, StoreId, Timestamp,
};

use crate::customer_ref::CustomerRef;
use crate::discount::lookup::DiscountView;
use crate::error::Failure;
use crate::projections::{IssuedRedemption, Projection, ProjectionKey, ProjectionState};
use crate::query::{CustomerView, Page};

/// Reads of redemptions.
pub trait Redemptions {
    /// Returns a redemption.
    fn redemption(&self, shop: ShopId, id: RedemptionId)
    -> Result<Option<RedemptionView>, Failure>;

    /// Returns up to `limit` redemptions of an account and of the accounts merged into
    /// it, starting behind `after`. They are grouped by account, newest first within
    /// each.
    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure>;

    /// Returns up to `limit` redemptions of a shop, newest first, behind `after`: all, or those of a
    /// status at an instant. Costs O(`limit`), whatever the number of redemptions.
    ///
    /// A redemption that ended is among the expired ones once that is recorded, soon after its
    /// end. Until then no list of a status has it.
    fn shop_redemptions(
        &self,
        shop: ShopId,
        status: Option<(RedemptionStatus, Timestamp)>,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure>;

    /// Returns the total usage of a reward by all customers.
    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure>;
}

/// The status of a redemption in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RedemptionStatus {
    /// It can be used.
    Issued,
    /// It was used.
    Used,
    /// It was cancelled.
    Cancelled,
    /// It ended unused.
    Expired,
}

impl RedemptionStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Issued, Self::Used, Self::Cancelled, Self::Expired];

    /// Returns the status of a state.
    pub const fn of(state: &RedemptionState) -> Self {
        match state {
            RedemptionState::Issued => Self::Issued,
            RedemptionState::Used { .. } => Self::Used,
            RedemptionState::Cancelled { .. } => Self::Cancelled,
            RedemptionState::Expired { .. } => Self::Expired,
        }
    }

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Used => "used",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Returns the number in the column of the status, which is part of the file format.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Issued => 1,
            Self::Used => 2,
            Self::Cancelled => 3,
            Self::Expired => 4,
        }
    }
}

/// Returns the status of a projection as recorded; `None` if it is no redemption.
pub(crate) fn status_of(projection: &Projection) -> Option<RedemptionStatus> {
    if let ProjectionState::Redemption(Some(issued)) = &projection.state {
        Some(RedemptionStatus::of(issued.redemption.state()))
    } else {
        None
    }
}

/// Returns `true` if a redemption belongs to a list of a status.
pub(crate) fn is_listed(
    view: &RedemptionView,
    status: Option<(RedemptionStatus, Timestamp)>,
) -> bool {
    let Some((status, now)) = status else { return true };
    let (recorded, current) = (view.redemption.state(), view.redemption.state_at(now));
    [recorded, &current].map(RedemptionStatus::of) == [status; 2]
}

/// A change of a redemption.
///
/// # Example: points buy a reward
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Program, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, RedemptionAction};
/// use loyalty_store::{Reply, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let program = Program::from_json(
///     r#"{"rewards": [{"id": "mug", "name": "A mug", "cost": 40, "gives": "custom"}]}"#,
/// );
/// let publish = Action::PublishProgram { program: Box::new(program.unwrap()), replaces: None };
/// let reason = AdjustmentReason::default();
/// let add = Command::AddPoints { points: Points::from(100), reason };
/// let issue = RedemptionAction::Issue {
///     customer: ada.clone(),
///     reward: "mug".parse()?,
///     amount: None,
///     subtotal: None,
///     entropy: [7; 16], // from the system's random number generator
/// };
/// let earn = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
/// for action in [publish, earn, Action::Redemption(issue)] {
///     let reply = store.execute(Request::new(shop, now, action)).wait()?;
///     assert!(matches!(reply, Reply::Decided(Ok(_))));
/// }
/// let rewards = store.rewards(shop, &ada, now)?.ok_or("unknown customer")?;
/// assert_eq!((rewards.balance, rewards.offered.len()), (Points::from(60), 1));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub enum RedemptionAction {
    /// Exchanges points of an existing customer for a reward.
    Issue {
        /// The customer.
        customer: CustomerRef,
        /// The reward.
        reward: RewardId,
        /// The amount, for rewards whose amount the customer chooses.
        amount: Option<Amount>,
        /// The price of the goods of the order that it is for, before any discount, if known.
        subtotal: Option<Amount>,
        /// Random bits from the system, for the code.
        entropy: [u8; 16],
    },
    /// Returns the points and disables the code.
    Cancel {
        /// The redemption.
        id: RedemptionId,
    },
    /// Records that the shop delivered the reward.
    Use {
        /// The redemption.
        id: RedemptionId,
        /// The order it was delivered with, if any.
        order: Option<OrderId>,
    },
    /// Records what a connected store has done with the code.
    RecordPublication {
        /// The redemption.
        id: RedemptionId,
        /// The store.
        store: StoreId,
        /// What it has done.
        status: PublicationStatus,
    },
}

/// A redemption as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionView {
    /// The account it was issued to. That account may have been merged into another
    /// since.
    pub account: AccountId,
    /// The recorded state. [`Redemption::state_at`] includes an expiration not yet
    /// recorded.
    pub redemption: Redemption,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

impl RedemptionView {
    /// Returns the id, assigned by the store.
    pub fn id(&self) -> RedemptionId {
        self.redemption.issue().id
    }

    /// Returns the price rule and the code of the redemption, if it has a code. Both have
    /// the redemption's number.
    pub fn discount(&self) -> Option<(PriceRuleId, CodeId)> {
        let RedemptionId(number) = self.id();
        self.redemption
            .issue()
            .code
            .as_ref()
            .map(|_| (PriceRuleId(number), CodeId(number)))
    }
}

/// The rewards of the program in force, evaluated for a customer.
#[derive(Clone, Debug)]
pub struct RewardsView {
    /// The customer.
    pub customer: CustomerView,
    /// The customer's balance.
    pub balance: Points,
    /// The program in force.
    pub program: Arc<Program>,
    /// An offer for each reward, in the order of the program.
    pub offered: Vec<RewardOffer>,
}

/// Returns a redemption, if it exists.
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

/// Returns the total usage of a reward by all customers.
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

/// Returns up to `limit` redemptions of an account and of the accounts merged into it,
/// behind `after` or from the start. `last` returns the newest redemption of an account.
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
    let (mut items, mut next) = (Vec::new(), None);

    if let Some(after) = after {
        let Some(previous) = find_redemption(view, shop, after)? else {
            return Ok(Page { items, has_more: false });
        };
        // A redemption of another customer consumes `rest`, so that the page is empty.
        if rest.any(|account| account == previous.account) {
            next = previous.redemption.issue().previous;
        }
    }

    // Each redemption names the account's previous one: the accounts are walked one by
    // one.
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
