//! Behind the feature `proptest`: a stand-in for the rules, and states that no command leads to.

use std::collections::BTreeMap;

use super::Ledger;
use crate::account::Account;
use crate::calendar::Timestamp;
use crate::command::Command;
use crate::context::{Context, Decision};
use crate::event::Event;
use crate::id::{OrderId, RedemptionId};
use crate::order::OrderState;
use crate::redemption::Redemption;
use crate::rejection::Rejection;

/// The function that decides commands: [`decide`](crate::decide), or a stand-in for it whose
/// faults a test has to find.
pub type DecideFn = fn(&Context<'_>, &Command) -> Result<Decision, Rejection>;

/// For tests only, behind the feature `proptest`.
impl Ledger {
    /// Decides by a stand-in for the rules.
    #[must_use]
    pub fn decided_by(mut self, decide: DecideFn) -> Self {
        self.decide = decide;
        self
    }

    /// An empty ledger with the same settings and programs.
    #[must_use]
    pub fn without_events(&self) -> Self {
        Self {
            account: Account::default(),
            orders: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            usage: BTreeMap::new(),
            events: Vec::new(),
            saved_events: 0,
            ..self.clone()
        }
    }

    /// Folds events without any check.
    pub fn fold_all(&mut self, events: &[Event]) {
        for event in events {
            self.fold(event.clone());
        }
    }

    /// Calls `look` with all that a decision at `now` depends on, but the command's redemption.
    pub fn inspect<T>(
        &self,
        order: Option<&OrderId>,
        now: Timestamp,
        look: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        self.with_context(order, now, look)
    }

    /// The account, to be put in any state.
    pub fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    /// The orders, to be put in any state.
    pub fn orders_mut(&mut self) -> &mut BTreeMap<OrderId, OrderState> {
        &mut self.orders
    }

    /// The redemptions, to be put in any state.
    pub fn redemptions_mut(&mut self) -> &mut BTreeMap<RedemptionId, Redemption> {
        &mut self.redemptions
    }
}
