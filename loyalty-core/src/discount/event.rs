//! What happens to rules and codes, for a journal.

use std::sync::Arc;

use super::price_rule::PriceRule;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::id::{AccountId, CheckoutId, CodeId, OrderId, PriceRuleId};

/// One thing that happened to one rule or one code. Exhaustive on purpose, and without personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum DiscountEvent {
    /// A code was made.
    CodeAdded {
        /// The code.
        code: CodeId,
        /// Its rule.
        rule: PriceRuleId,
        /// What a shopper types.
        text: Code,
    },
    /// A code is no more.
    CodeRemoved {
        /// The code.
        code: CodeId,
    },
    /// A checkout took a use of a code back, until an instant.
    CodeReserved {
        /// The code.
        code: CodeId,
        /// The checkout.
        checkout: CheckoutId,
        /// Who buys, where that is known.
        account: Option<AccountId>,
        /// Over at this instant.
        until: Timestamp,
        /// The checkout's live reservation that this one takes the place of.
        replaces: Option<Reservation>,
        /// When.
        at: Timestamp,
    },
    /// A checkout gave its reservation back.
    CodeReleased {
        /// The code.
        code: CodeId,
        /// The checkout.
        checkout: CheckoutId,
        /// What was reserved.
        #[cfg_attr(feature = "json", serde(rename = "held"))]
        reservation: Reservation,
        /// When.
        at: Timestamp,
    },
    /// A code is typed differently from now on.
    CodeRenamed {
        /// The code.
        code: CodeId,
        /// What a shopper types.
        text: Code,
    },
    /// A code was switched on or off.
    CodeSwitched {
        /// The code.
        code: CodeId,
        /// Whether it can be used from now on.
        on: bool,
    },
    /// An order used a code.
    CodeUsed {
        /// The code.
        code: CodeId,
        /// The order.
        order: OrderId,
        /// Who bought, where that is known.
        account: Option<AccountId>,
        /// The checkout that became the order, where that is known.
        checkout: Option<CheckoutId>,
        /// The checkout's live reservation, which ends with this.
        #[cfg_attr(feature = "json", serde(rename = "held"))]
        reservation: Option<Reservation>,
        /// When.
        at: Timestamp,
    },
    /// An order that had used a code was cancelled: the use is given back.
    CodeUseReturned {
        /// The code.
        code: CodeId,
        /// The order.
        order: OrderId,
        /// Who had bought.
        account: Option<AccountId>,
        /// When.
        at: Timestamp,
    },
    /// Many codes were asked for at once. Each that was made has an event of its own.
    CodesBatched {
        /// Their rule.
        rule: PriceRuleId,
        /// What became of each.
        entries: Arc<[BatchEntry]>,
    },
    /// A rule is no more; its codes can no longer be used.
    PriceRuleDeleted {
        /// The rule.
        rule: PriceRuleId,
    },
    /// A rule was made or changed.
    PriceRuleSaved {
        /// The rule.
        rule: PriceRuleId,
        /// Counted from 1.
        revision: u32,
        /// As it is now, without its e-mails.
        saved: Arc<PriceRule>,
    },
}

/// One of the codes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct BatchEntry {
    /// The text as it was sent.
    pub text: Arc<str>,
    /// What became of it.
    pub outcome: BatchOutcome,
}

/// What became of one code of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum BatchOutcome {
    /// It was made.
    Added(CodeId),
    /// Nothing but blanks.
    Empty,
    /// Control characters, or too many characters.
    Invalid,
    /// The shop has a code of this text.
    Taken,
}

/// A live reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Reservation {
    /// Who it is for, where that is known.
    pub account: Option<AccountId>,
    /// Over at this instant.
    pub until: Timestamp,
}

impl DiscountEvent {
    /// The code that the event is of.
    pub fn code(&self) -> Option<CodeId> {
        match self {
            Self::CodeAdded { code, .. }
            | Self::CodeRemoved { code }
            | Self::CodeReserved { code, .. }
            | Self::CodeReleased { code, .. }
            | Self::CodeRenamed { code, .. }
            | Self::CodeSwitched { code, .. }
            | Self::CodeUsed { code, .. }
            | Self::CodeUseReturned { code, .. } => Some(*code),
            Self::CodesBatched { .. }
            | Self::PriceRuleDeleted { .. }
            | Self::PriceRuleSaved { .. } => None,
        }
    }

    /// The rule that the event is of.
    pub fn rule(&self) -> Option<PriceRuleId> {
        match self {
            Self::PriceRuleDeleted { rule } | Self::PriceRuleSaved { rule, .. } => Some(*rule),
            Self::CodeAdded { .. }
            | Self::CodeRemoved { .. }
            | Self::CodeReserved { .. }
            | Self::CodeReleased { .. }
            | Self::CodeRenamed { .. }
            | Self::CodeSwitched { .. }
            | Self::CodeUsed { .. }
            | Self::CodeUseReturned { .. }
            | Self::CodesBatched { .. } => None,
        }
    }

    /// The checkout whose claim the event changes.
    pub fn checkout(&self) -> Option<&CheckoutId> {
        match self {
            Self::CodeReserved { checkout, .. } | Self::CodeReleased { checkout, .. } => {
                Some(checkout)
            }
            Self::CodeUsed { checkout, .. } => checkout.as_ref(),
            Self::CodeAdded { .. }
            | Self::CodeRemoved { .. }
            | Self::CodeRenamed { .. }
            | Self::CodeSwitched { .. }
            | Self::CodeUseReturned { .. }
            | Self::CodesBatched { .. }
            | Self::PriceRuleDeleted { .. }
            | Self::PriceRuleSaved { .. } => None,
        }
    }

    /// The order whose claim the event changes.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::CodeUsed { order, .. } | Self::CodeUseReturned { order, .. } => Some(order),
            Self::CodeAdded { .. }
            | Self::CodeRemoved { .. }
            | Self::CodeReserved { .. }
            | Self::CodeReleased { .. }
            | Self::CodeRenamed { .. }
            | Self::CodeSwitched { .. }
            | Self::CodesBatched { .. }
            | Self::PriceRuleDeleted { .. }
            | Self::PriceRuleSaved { .. } => None,
        }
    }

    /// The accounts whose tally of the code the event changes: at most two.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        let (account, held) = match self {
            Self::CodeReserved { account, replaces, .. } => (*account, *replaces),
            Self::CodeReleased { reservation: held, .. } => (None, Some(*held)),
            Self::CodeUsed { account, reservation: held, .. } => (*account, *held),
            Self::CodeUseReturned { account, .. } => (*account, None),
            Self::CodeAdded { .. }
            | Self::CodeRemoved { .. }
            | Self::CodeRenamed { .. }
            | Self::CodeSwitched { .. }
            | Self::CodesBatched { .. }
            | Self::PriceRuleDeleted { .. }
            | Self::PriceRuleSaved { .. } => (None, None),
        };
        let second = held
            .and_then(|held| held.account)
            .filter(|second| account != Some(*second));
        account.into_iter().chain(second)
    }
}
