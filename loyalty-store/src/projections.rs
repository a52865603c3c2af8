//! Projections: small records folded from the journal, for price rules, codes and
//! redemptions. All kinds share one cache, one table and one path through the store.
//!
//! | key | state |
//! | --- | --- |
//! | rule | the rule's content |
//! | code | the code, its number of uses and reservations |
//! | code, account | the uses and reservations of one customer |
//! | checkout | the reservations of the checkout |
//! | order | the codes that the order has used |
//! | redemption | the redemption and its account |
//! | reward | the total usage by all customers |
//! | account | the accounts merged into this one, whose uses count as its own |
//! | none | the shop's automatic rules |
//!
//! A missing record is the default. A record's size does not grow with the number of
//! uses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loyalty_core::account::{Absorption, Usage};
use loyalty_core::discount::{
    CheckoutClaim, CodeState, CodeUsage, DiscountEvent, OrderClaim, RuleState,
};
use loyalty_core::redemption::Redemption;
use loyalty_core::{
    AccountId, CheckoutId, CodeId, Event, OrderId, PriceRuleId, RedemptionId, RewardId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::record::{JournalRow, Seq};

/// The key of a projection. Sorted as the table is, so that neighbours share pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ProjectionKey {
    Rule(PriceRuleId),
    Code(CodeId),
    Tally(CodeId, AccountId),
    Checkout(CheckoutId),
    Order(OrderId),
    MergedAccounts(AccountId),
    Redemption(RedemptionId),
    Reward(RewardId),
    AutomaticRules,
}

/// The state of a projection. Its variant is that of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProjectionState {
    Rule(RuleState),
    Code(CodeState),
    Tally(CodeUsage),
    Checkout(CheckoutCodes),
    Order(OrderCodes),
    MergedAccounts(Vec<MergedAccount>),
    Redemption(Option<IssuedRedemption>),
    Reward(Option<Usage>),
    AutomaticRules(BTreeSet<PriceRuleId>),
}

/// A redemption, and the account that it was issued to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IssuedRedemption {
    pub(crate) account: AccountId,
    pub(crate) redemption: Redemption,
}

/// An account that was merged into another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum MergedAccount {
    /// The merge cannot be undone: it is from before that was possible.
    Final(AccountId),
    /// What the merge brought.
    Claim(Arc<Absorption>),
}

impl MergedAccount {
    fn new(absorption: &Arc<Absorption>) -> Self {
        if absorption.before.is_some() {
            Self::Claim(Arc::clone(absorption))
        } else {
            Self::Final(absorption.from)
        }
    }

    /// Returns the account.
    pub(crate) fn account(&self) -> AccountId {
        match self {
            Self::Final(account) => *account,
            Self::Claim(absorption) => absorption.from,
        }
    }
}

/// A checkout's claim on each code, without released and expired reservations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CheckoutCodes(BTreeMap<CodeId, CheckoutClaim>);

impl CheckoutCodes {
    pub(crate) fn claim(&self, code: CodeId) -> Option<&CheckoutClaim> {
        self.0.get(&code)
    }

    /// Returns the codes reserved at `now`, each with the end of its reservation.
    pub(crate) fn reservations(&self, now: Timestamp) -> impl Iterator<Item = (CodeId, Timestamp)> {
        self.0
            .iter()
            .filter_map(move |(code, claim)| Some((*code, claim.reservation_at(now)?.until)))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn evolve(&mut self, event: &DiscountEvent, at: Timestamp) {
        if let Some(code) = event.code() {
            self.0.entry(code).or_default().evolve(event);
        }

        // Expired reservations are dropped, so that the record stays small.
        self.0.retain(|_, claim| {
            matches!(claim, CheckoutClaim::Used(_)) || claim.reservation_at(at).is_some()
        });
    }
}

/// The codes that an order has used, without returned ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct OrderCodes(BTreeMap<CodeId, OrderClaim>);

impl OrderCodes {
    pub(crate) fn claim(&self, code: CodeId) -> Option<&OrderClaim> {
        self.0.get(&code)
    }

    pub(crate) fn codes(&self) -> impl Iterator<Item = CodeId> {
        self.0.keys().copied()
    }

    fn evolve(&mut self, event: &DiscountEvent) {
        if let Some(code) = event.code() {
            self.0.entry(code).or_default().evolve(event);
        }
        self.0.retain(|_, claim| *claim != OrderClaim::Unused);
    }
}

/// A projection, folded up to the journal row `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Projection {
    pub(crate) state: ProjectionState,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) seq: Seq,
}

impl Projection {
    /// Creates the default projection of a key.
    pub(crate) fn new(key: &ProjectionKey) -> Self {
        let state = match key {
            ProjectionKey::Rule(_) => ProjectionState::Rule(RuleState::default()),
            ProjectionKey::Code(_) => ProjectionState::Code(CodeState::default()),
            ProjectionKey::Tally(..) => ProjectionState::Tally(CodeUsage::default()),
            ProjectionKey::Checkout(_) => ProjectionState::Checkout(CheckoutCodes::default()),
            ProjectionKey::Order(_) => ProjectionState::Order(OrderCodes::default()),
            ProjectionKey::MergedAccounts(_) => ProjectionState::MergedAccounts(Vec::new()),
            ProjectionKey::Redemption(_) => ProjectionState::Redemption(None),
            ProjectionKey::Reward(_) => ProjectionState::Reward(None),
            ProjectionKey::AutomaticRules => ProjectionState::AutomaticRules(BTreeSet::new()),
        };

        Self {
            state,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            seq: 0,
        }
    }

    /// Folds the events of a row about this key. A row that is already folded changes
    /// nothing.
    pub(crate) fn fold(&mut self, key: &ProjectionKey, row: &JournalRow) {
        if row.seq <= self.seq {
            return;
        }
        if self.seq == 0 {
            self.created_at = row.at;
        }

        for event in row.events.iter() {
            if let Event::Discount(event) = event {
                self.evolve_discount(key, event, row.at);
            } else if matches!(event, Event::AccountAbsorbed(_) | Event::ClaimUndone(_)) {
                self.evolve_merge(key, row.account, event);
            } else {
                self.evolve_redemption(key, row.account, event);
            }
        }

        (self.seq, self.updated_at) = (row.seq, row.at);
    }

    fn evolve_discount(&mut self, key: &ProjectionKey, event: &DiscountEvent, at: Timestamp) {
        match (key, &mut self.state) {
            (ProjectionKey::Rule(id), ProjectionState::Rule(state))
                if event.rule() == Some(*id) =>
            {
                state.evolve(event);
            }
            (ProjectionKey::Code(id), ProjectionState::Code(state))
                if event.code() == Some(*id) =>
            {
                state.evolve(event);
            }
            (ProjectionKey::Tally(id, account), ProjectionState::Tally(tally))
                if event.code() == Some(*id) =>
            {
                tally.evolve(*account, event);
            }
            (ProjectionKey::Checkout(id), ProjectionState::Checkout(codes))
                if event.checkout() == Some(id) =>
            {
                codes.evolve(event, at);
            }
            (ProjectionKey::Order(id), ProjectionState::Order(codes))
                if event.order() == Some(id) =>
            {
                codes.evolve(event);
            }
            (ProjectionKey::AutomaticRules, ProjectionState::AutomaticRules(rules)) => {
                match event.automatic_rule() {
                    Some((rule, true)) => drop(rules.insert(rule)),
                    Some((rule, false)) => drop(rules.remove(&rule)),
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn evolve_redemption(
        &mut self,
        key: &ProjectionKey,
        account: Option<AccountId>,
        event: &Event,
    ) {
        match (key, &mut self.state) {
            (ProjectionKey::Redemption(id), ProjectionState::Redemption(state))
                if event.redemption() == Some(*id) =>
            {
                if let (Event::RewardRedeemed { issue }, Some(account)) = (event, account) {
                    *state = Some(IssuedRedemption {
                        account,
                        redemption: Redemption::new(Arc::clone(issue)),
                    });
                } else if let Some(issued) = state {
                    issued.redemption.evolve(event);
                }
            }
            (ProjectionKey::Reward(id), ProjectionState::Reward(usage))
                if event.reward() == Some(id) =>
            {
                *usage = Usage::evolve(*usage, event);
            }
            _ => {}
        }
    }

    fn evolve_merge(&mut self, key: &ProjectionKey, into: Option<AccountId>, event: &Event) {
        let (ProjectionKey::MergedAccounts(id), ProjectionState::MergedAccounts(accounts)) =
            (key, &mut self.state)
        else {
            return;
        };
        if into != Some(*id) {
            return;
        }
        if let Event::AccountAbsorbed(absorption) = event {
            accounts.push(MergedAccount::new(absorption));
        } else if let Event::ClaimUndone(undone) = event {
            accounts.retain(|merged| merged.account() != undone.claim.from);
        }
    }
}

/// Returns the keys of the projections that a row changes, each once.
pub(crate) fn affected_keys(row: &JournalRow) -> Vec<ProjectionKey> {
    let mut keys = Vec::new();
    for event in row.events.iter() {
        if let Event::Discount(event) = event {
            keys.extend(discount_keys(event));
        } else if matches!(event, Event::AccountAbsorbed(_) | Event::ClaimUndone(_)) {
            keys.extend(row.account.map(ProjectionKey::MergedAccounts));
        } else {
            keys.extend(event.redemption().map(ProjectionKey::Redemption));
            keys.extend(event.reward().cloned().map(ProjectionKey::Reward));
        }
    }

    keys.sort_unstable();
    keys.dedup();
    keys
}

fn discount_keys(event: &DiscountEvent) -> impl Iterator<Item = ProjectionKey> {
    let code = event.code();
    let rule = event.rule().map(ProjectionKey::Rule);
    let tallies = code.into_iter().flat_map(|code| {
        event
            .accounts()
            .map(move |account| ProjectionKey::Tally(code, account))
    });
    let checkout = event.checkout().cloned().map(ProjectionKey::Checkout);
    let order = event.order().cloned().map(ProjectionKey::Order);
    let automatic = event.automatic_rule().map(|_| ProjectionKey::AutomaticRules);

    rule.into_iter()
        .chain(code.map(ProjectionKey::Code))
        .chain(tallies)
        .chain(checkout)
        .chain(order)
        .chain(automatic)
}
