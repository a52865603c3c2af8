//! Who uses a code: small records, each a fold of events.
//!
//! A store keeps them under separate keys, so that no request's cost grows with a code's history:
//!
//! | record | key | what it answers |
//! | --- | --- | --- |
//! | [`RuleState`] | rule | what the rule says now |
//! | [`CodeState`] | code | whether it can be used at all, and how often it is taken |
//! | [`Tally`] | code, account | whether this customer has used it |
//! | [`CheckoutClaim`] | code, checkout | what this checkout holds of it |
//! | [`OrderClaim`] | code, order | whether this order has used it |
//!
//! A record that is not there is its default. Each event says whose records it changes
//! ([`DiscountEvent::accounts`] and its neighbours): at most the code's, two accounts', one checkout's and one
//! order's. Where two accounts become one, so do their tallies ([`Tally::merge`]); an event that still names
//! the old account is folded into the tally of the new one, under the old one's name.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::event::{DiscountEvent, Reservation};
use super::price_rule::PriceRule;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::id::{AccountId, OrderId, PriceRuleId};

/// How often a code is taken: uses, and reservations by the instant at which they end.
///
/// Reservations end on whole minutes and after a day at most, so that this holds at most 1,441 of those
/// instants, however many checkouts there are. What has ended by `now` no longer counts; no job is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CodeUsage {
    used: u64,
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "BTreeMap::is_empty"))]
    reserved: BTreeMap<Timestamp, u32>,
}

impl CodeUsage {
    /// How many orders have used the code and not given it back.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How many reservations are alive at `now`.
    pub fn reserved(&self, now: Timestamp) -> u64 {
        let live = self.reserved.range((Bound::Excluded(now), Bound::Unbounded));
        live.fold(0, |sum, (_, count)| sum.saturating_add(u64::from(*count)))
    }

    /// Uses and live reservations: what a limit looks at.
    pub fn total(&self, now: Timestamp) -> u64 {
        self.used.saturating_add(self.reserved(now))
    }

    /// The tally of two accounts that became one.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.used = self.used.saturating_add(other.used);
        for (until, count) in &other.reserved {
            let held = self.reserved.entry(*until).or_default();
            *held = held.saturating_add(*count);
        }
        self
    }

    /// Folds an event of the code: the part of it that is of this account.
    pub fn evolve(&mut self, account: AccountId, event: &DiscountEvent) {
        self.fold(event, |of| of == Some(account));
    }

    fn fold(&mut self, event: &DiscountEvent, counts: impl Fn(Option<AccountId>) -> bool) {
        let (ended, at) = match event {
            DiscountEvent::CodeReserved { account, until, replaces, at, .. } => {
                if counts(*account) {
                    let held = self.reserved.entry(*until).or_default();
                    *held = held.saturating_add(1);
                }
                (*replaces, *at)
            }
            DiscountEvent::CodeReleased { reservation: held, at, .. } => (Some(*held), *at),
            DiscountEvent::CodeUsed { account, reservation: held, at, .. } => {
                self.used = self.used.saturating_add(u64::from(counts(*account)));
                (*held, *at)
            }
            DiscountEvent::CodeUseReturned { account, at, .. } => {
                self.used = self.used.saturating_sub(u64::from(counts(*account)));
                (None, *at)
            }
            DiscountEvent::CodeAdded { .. }
            | DiscountEvent::CodeRemoved { .. }
            | DiscountEvent::CodeRenamed { .. }
            | DiscountEvent::CodeSwitched { .. }
            | DiscountEvent::CodesBatched { .. }
            | DiscountEvent::PriceRuleDeleted { .. }
            | DiscountEvent::PriceRuleSaved { .. } => return,
        };
        if let Some(Reservation { until, .. }) = ended.filter(|held| counts(held.account))
            && let Some(count) = self.reserved.get_mut(&until)
        {
            *count = count.saturating_sub(1);
        }
        self.reserved.retain(|until, count| *until > at && *count > 0);
    }
}

/// One code: its rule, whether it is switched on, and how often it is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CodeState {
    added: Option<(PriceRuleId, Code)>,
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    off: bool,
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    removed: bool,
    #[cfg_attr(feature = "json", serde(rename = "tally"))]
    usage: CodeUsage,
}

impl CodeState {
    /// The rule of the code; none before it was made.
    pub fn rule(&self) -> Option<PriceRuleId> {
        self.added.as_ref().map(|(rule, _)| *rule)
    }

    /// What a shopper types; none before it was made.
    pub fn code(&self) -> Option<&Code> {
        self.added.as_ref().map(|(_, code)| code)
    }

    /// Whether it can be used, as far as it is up to the code.
    pub fn is_on(&self) -> bool {
        self.added.is_some() && !self.off && !self.removed
    }

    /// Whether it is no more.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// How often it is taken. Its uses are Shopify's `usage_count`.
    pub fn usage(&self) -> &CodeUsage {
        &self.usage
    }

    /// Folds an event of this code.
    pub fn evolve(&mut self, event: &DiscountEvent) {
        match event {
            DiscountEvent::CodeAdded { rule, text, .. } => self.added = Some((*rule, text.clone())),
            DiscountEvent::CodeRemoved { .. } => self.removed = true,
            DiscountEvent::CodeRenamed { text, .. } => {
                if let Some((_, known)) = &mut self.added {
                    *known = text.clone();
                }
            }
            DiscountEvent::CodeSwitched { on, .. } => self.off = !on,
            DiscountEvent::CodeReserved { .. }
            | DiscountEvent::CodeReleased { .. }
            | DiscountEvent::CodeUsed { .. }
            | DiscountEvent::CodeUseReturned { .. } => self.usage.fold(event, |_| true),
            DiscountEvent::CodesBatched { .. }
            | DiscountEvent::PriceRuleDeleted { .. }
            | DiscountEvent::PriceRuleSaved { .. } => {}
        }
    }
}

/// What one checkout holds of one code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum CheckoutClaim {
    /// Nothing.
    #[default]
    Unclaimed,
    /// A use, until an instant.
    Reserved(Reservation),
    /// It became this order.
    Used(OrderId),
}

impl CheckoutClaim {
    /// What is reserved at `now`.
    pub fn reservation_at(&self, now: Timestamp) -> Option<Reservation> {
        match self {
            Self::Reserved(held) if held.until > now => Some(*held),
            Self::Unclaimed | Self::Reserved(_) | Self::Used(_) => None,
        }
    }

    /// Folds an event of this code and this checkout.
    pub fn evolve(&mut self, event: &DiscountEvent) {
        match event {
            DiscountEvent::CodeReserved { account, until, .. } => {
                *self = Self::Reserved(Reservation { account: *account, until: *until });
            }
            DiscountEvent::CodeReleased { .. } => *self = Self::Unclaimed,
            DiscountEvent::CodeUsed { order, .. } => *self = Self::Used(order.clone()),
            DiscountEvent::CodeAdded { .. }
            | DiscountEvent::CodeRemoved { .. }
            | DiscountEvent::CodeRenamed { .. }
            | DiscountEvent::CodeSwitched { .. }
            | DiscountEvent::CodeUseReturned { .. }
            | DiscountEvent::CodesBatched { .. }
            | DiscountEvent::PriceRuleDeleted { .. }
            | DiscountEvent::PriceRuleSaved { .. } => {}
        }
    }
}

/// Whether one order has used one code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum OrderClaim {
    /// It has not, or gave it back.
    #[default]
    Unused,
    /// It has, for this account where that is known.
    Used(Option<AccountId>),
}

impl OrderClaim {
    /// Folds an event of this code and this order.
    pub fn evolve(&mut self, event: &DiscountEvent) {
        match event {
            DiscountEvent::CodeUsed { account, .. } => *self = Self::Used(*account),
            DiscountEvent::CodeUseReturned { .. } => *self = Self::Unused,
            DiscountEvent::CodeAdded { .. }
            | DiscountEvent::CodeRemoved { .. }
            | DiscountEvent::CodeReserved { .. }
            | DiscountEvent::CodeReleased { .. }
            | DiscountEvent::CodeRenamed { .. }
            | DiscountEvent::CodeSwitched { .. }
            | DiscountEvent::CodesBatched { .. }
            | DiscountEvent::PriceRuleDeleted { .. }
            | DiscountEvent::PriceRuleSaved { .. } => {}
        }
    }
}

/// One price rule as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleState {
    revision: u32,
    rule: Option<Arc<PriceRule>>,
}

impl RuleState {
    /// How often it was saved.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// What it says; none before it was made and after it was deleted.
    pub fn rule(&self) -> Option<&Arc<PriceRule>> {
        self.rule.as_ref()
    }

    /// Whether it is no more.
    pub fn is_deleted(&self) -> bool {
        self.revision > 0 && self.rule.is_none()
    }

    /// Folds an event of this rule.
    pub fn evolve(&mut self, event: &DiscountEvent) {
        match event {
            DiscountEvent::PriceRuleDeleted { .. } => self.rule = None,
            DiscountEvent::PriceRuleSaved { revision, saved, .. } => {
                self.revision = *revision;
                self.rule = Some(Arc::clone(saved));
            }
            DiscountEvent::CodeAdded { .. }
            | DiscountEvent::CodeRemoved { .. }
            | DiscountEvent::CodeReserved { .. }
            | DiscountEvent::CodeReleased { .. }
            | DiscountEvent::CodeRenamed { .. }
            | DiscountEvent::CodeSwitched { .. }
            | DiscountEvent::CodeUsed { .. }
            | DiscountEvent::CodeUseReturned { .. }
            | DiscountEvent::CodesBatched { .. } => {}
        }
    }
}
