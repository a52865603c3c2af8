//! The state of rules and codes: small records, each a fold of events.
//!
//! A store keeps the records under separate keys, so that the cost of a request does not grow
//! with the history of a code:
//!
//! | record | key | content |
//! | --- | --- | --- |
//! | [`RuleState`] | rule | the current revision of the rule |
//! | [`CodeState`] | code | its text, its rule, and its total usage |
//! | [`CodeUsage`] | code, account | the uses and reservations of one customer |
//! | [`CheckoutClaim`] | code, checkout | the reservation of one checkout |
//! | [`OrderClaim`] | code, order | the use of one order |
//!
//! A record that does not exist is its default. Each event names the records it changes
//! ([`DiscountEvent::accounts`] and its neighbours): at most those of one code, two accounts,
//! one checkout and one order.
//!
//! If two accounts are merged, so are their usages ([`CodeUsage::merge`]). An event that still
//! names the old account is folded into the usage of the new one, under the old account's id.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::event::{DiscountEvent, Reservation};
use super::price_rule::PriceRule;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::id::{AccountId, OrderId, PriceRuleId};

/// The uses of a code, and its reservations by the instant of their end.
///
/// Reservations end on whole minutes within one day. There are at most 1,441 such instants,
/// whatever the number of checkouts. An ended reservation no longer counts; no job removes it.
///
/// # Example: a reservation counts until it ends
/// ```
/// use loyalty_core::{AccountId, CheckoutId, CodeId, discount::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (account, until) = (AccountId(1), "2026-03-01T12:15:00Z".parse()?);
/// let mut usage = CodeUsage::default();
/// usage.evolve(account, &DiscountEvent::CodeReserved {
///     code: CodeId(1), checkout: CheckoutId::new("c1")?, account: Some(account), until,
///     replaces: None, at: "2026-03-01T12:00:00Z".parse()?,
/// });
/// assert_eq!(usage.total("2026-03-01T12:14:59Z".parse()?), 1);
/// assert_eq!(usage.total(until), 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CodeUsage {
    used: u64,
    #[cfg_attr(
        feature = "json",
        serde(rename = "held", default, skip_serializing_if = "BTreeMap::is_empty")
    )]
    reserved: BTreeMap<Timestamp, u32>,
}

impl CodeUsage {
    /// Number of orders that use the code. A returned use does not count.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Number of reservations that end after `now`.
    pub fn reserved(&self, now: Timestamp) -> u64 {
        let active = self.reserved.range((Bound::Excluded(now), Bound::Unbounded));
        active.fold(0, |sum, (_, count)| sum.saturating_add(u64::from(*count)))
    }

    /// Number of uses and active reservations together, to be compared with a limit.
    pub fn total(&self, now: Timestamp) -> u64 {
        self.used.saturating_add(self.reserved(now))
    }

    /// Returns the usage of two accounts that are merged.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.used = self.used.saturating_add(other.used);
        for (until, count) in &other.reserved {
            let sum = self.reserved.entry(*until).or_default();
            *sum = sum.saturating_add(*count);
        }
        self
    }

    /// Folds the part of a code's event that concerns the account.
    pub fn evolve(&mut self, account: AccountId, event: &DiscountEvent) {
        self.fold(event, |changed| changed == Some(account));
    }

    /// Folds an event for the accounts that `is_counted` selects.
    fn fold(&mut self, event: &DiscountEvent, is_counted: impl Fn(Option<AccountId>) -> bool) {
        let (ended, at) = match event {
            DiscountEvent::CodeReserved { account, until, replaces, at, .. } => {
                if is_counted(*account) {
                    let count = self.reserved.entry(*until).or_default();
                    *count = count.saturating_add(1);
                }
                (*replaces, *at)
            }
            DiscountEvent::CodeReleased { reservation, at, .. } => (Some(*reservation), *at),
            DiscountEvent::CodeUsed { account, reservation, at, .. } => {
                self.used = self.used.saturating_add(u64::from(is_counted(*account)));
                (*reservation, *at)
            }
            DiscountEvent::CodeUseReturned { account, at, .. } => {
                self.used = self.used.saturating_sub(u64::from(is_counted(*account)));
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

        if let Some(Reservation { until, .. }) =
            ended.filter(|reservation| is_counted(reservation.account))
            && let Some(count) = self.reserved.get_mut(&until)
        {
            *count = count.saturating_sub(1);
        }

        // Ended reservations are removed with the next event, which bounds the size.
        self.reserved.retain(|until, count| *until > at && *count > 0);
    }
}

/// The state of one code: its rule, its text, its switch and its usage.
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
    /// The rule of the code; `None` before the code is added.
    pub fn rule(&self) -> Option<PriceRuleId> {
        self.added.as_ref().map(|(rule, _)| *rule)
    }

    /// The text of the code; `None` before the code is added.
    pub fn code(&self) -> Option<&Code> {
        self.added.as_ref().map(|(_, code)| code)
    }

    /// Returns true if the code exists and is switched on. Its rule may still be invalid.
    pub fn is_on(&self) -> bool {
        self.added.is_some() && !self.off && !self.removed
    }

    /// Returns true if the code was removed.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// The usage by all customers. Its uses are Shopify's `usage_count`.
    pub fn usage(&self) -> &CodeUsage {
        &self.usage
    }

    /// Folds an event of this code.
    pub fn evolve(&mut self, event: &DiscountEvent) {
        match event {
            DiscountEvent::CodeAdded { rule, text, .. } => self.added = Some((*rule, text.clone())),
            DiscountEvent::CodeRemoved { .. } => self.removed = true,
            DiscountEvent::CodeRenamed { text, .. } => {
                if let Some((_, current)) = &mut self.added {
                    *current = text.clone();
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

/// The claim of one checkout on one code.
///
/// # Example: a reservation, and its end
/// ```
/// use loyalty_core::discount::{CheckoutClaim, Reservation};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reservation = Reservation { account: None, until: "2026-03-01T12:15:00Z".parse()? };
/// let claim = CheckoutClaim::Reserved(reservation);
/// assert_eq!(claim.reservation_at("2026-03-01T12:00:00Z".parse()?), Some(reservation));
/// assert_eq!(claim.reservation_at(reservation.until), None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum CheckoutClaim {
    /// The checkout has no claim.
    #[default]
    #[cfg_attr(feature = "json", serde(rename = "free"))]
    Unclaimed,
    /// A use is reserved.
    Reserved(Reservation),
    /// The checkout became an order that uses the code.
    Used(OrderId),
}

impl CheckoutClaim {
    /// The reservation, if it ends after `now`.
    pub fn reservation_at(&self, now: Timestamp) -> Option<Reservation> {
        match self {
            Self::Reserved(reservation) if reservation.until > now => Some(*reservation),
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

/// The claim of one order on one code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum OrderClaim {
    /// The order does not use the code, or has returned its use.
    #[default]
    #[cfg_attr(feature = "json", serde(rename = "free"))]
    Unused,
    /// The order uses the code, for this account if it is known.
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

/// The state of one price rule: its current revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleState {
    revision: u32,
    rule: Option<Arc<PriceRule>>,
}

impl RuleState {
    /// The number of the revision, counted from 1; zero before the rule is saved.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The rule without its e-mails; `None` before it is saved and after it is deleted.
    pub fn rule(&self) -> Option<&Arc<PriceRule>> {
        self.rule.as_ref()
    }

    /// Returns the state with the same revision in other words: what it named of a person is
    /// gone from the journal, too.
    #[must_use]
    pub fn with_rule(self, rule: PriceRule) -> Self {
        Self { rule: Some(Arc::new(rule)), ..self }
    }

    /// Returns true if the rule was deleted.
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
