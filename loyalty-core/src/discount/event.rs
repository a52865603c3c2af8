//! The events of price rules and codes.

use std::sync::Arc;

use super::price_rule::PriceRule;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::id::{AccountId, CheckoutId, CodeId, OrderId, PriceRuleId};

/// A change of one price rule or one code, as a journal records it.
///
/// Events contain no personal data. The enum is exhaustive, so that a projection that does
/// not handle a new event fails to compile.
///
/// # Example: the records that an event changes
/// ```
/// use loyalty_core::{AccountId, CodeId, OrderId, discount::DiscountEvent};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let event = DiscountEvent::CodeUsed {
///     code: CodeId(7), order: OrderId::new("1001")?, account: Some(AccountId(1)),
///     checkout: None, reservation: None, at: "2026-03-01T12:00:00Z".parse()?,
/// };
/// assert_eq!(event.code(), Some(CodeId(7)));
/// assert_eq!(event.accounts().collect::<Vec<_>>(), [AccountId(1)]);
/// assert_eq!(event.checkout(), None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum DiscountEvent {
    /// A code was added.
    CodeAdded {
        /// The code.
        code: CodeId,
        /// The code's rule.
        rule: PriceRuleId,
        /// The text that customers enter.
        text: Code,
    },
    /// A code was removed.
    CodeRemoved {
        /// The code.
        code: CodeId,
    },
    /// A checkout reserved a use of a code.
    CodeReserved {
        /// The code.
        code: CodeId,
        /// The checkout.
        checkout: CheckoutId,
        /// The customer's account, if it is known.
        account: Option<AccountId>,
        /// The end of the reservation.
        until: Timestamp,
        /// The checkout's active reservation that this one replaces.
        replaces: Option<Reservation>,
        /// The instant of the event.
        at: Timestamp,
    },
    /// A checkout released its reservation.
    CodeReleased {
        /// The code.
        code: CodeId,
        /// The checkout.
        checkout: CheckoutId,
        /// The released reservation.
        #[cfg_attr(feature = "json", serde(rename = "held"))]
        reservation: Reservation,
        /// The instant of the event.
        at: Timestamp,
    },
    /// The text of a code was changed.
    CodeRenamed {
        /// The code.
        code: CodeId,
        /// The text that customers enter.
        text: Code,
    },
    /// A code was switched on or off.
    CodeSwitched {
        /// The code.
        code: CodeId,
        /// True if the code can be used from now on.
        on: bool,
    },
    /// An order used a code.
    CodeUsed {
        /// The code.
        code: CodeId,
        /// The order.
        order: OrderId,
        /// The customer's account, if it is known.
        account: Option<AccountId>,
        /// The checkout that became the order, if it is known.
        checkout: Option<CheckoutId>,
        /// The checkout's active reservation, which ends with the use.
        #[cfg_attr(feature = "json", serde(rename = "held"))]
        reservation: Option<Reservation>,
        /// The instant of the event.
        at: Timestamp,
    },
    /// An order returned its use of a code, since it was cancelled.
    CodeUseReturned {
        /// The code.
        code: CodeId,
        /// The order.
        order: OrderId,
        /// The account of the use.
        account: Option<AccountId>,
        /// The instant of the event.
        at: Timestamp,
    },
    /// A batch of codes was requested. Each added code has an event of its own as well.
    CodesBatched {
        /// The rule of the codes.
        rule: PriceRuleId,
        /// The requested codes with their outcomes.
        entries: Arc<[BatchEntry]>,
    },
    /// A rule was deleted. Its codes can no longer be used.
    PriceRuleDeleted {
        /// The rule.
        rule: PriceRuleId,
        /// True if the rule was automatic.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        was_automatic: bool,
    },
    /// A rule was added or changed.
    PriceRuleSaved {
        /// The rule.
        rule: PriceRuleId,
        /// The number of the revision, counted from 1.
        revision: u32,
        /// The new revision without its e-mails.
        saved: Arc<PriceRule>,
        /// True if the revision before was automatic.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        was_automatic: bool,
    },
}

/// One code of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct BatchEntry {
    /// The text as it was sent.
    pub text: Arc<str>,
    /// The outcome.
    pub outcome: BatchOutcome,
}

/// The outcome of one code of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum BatchOutcome {
    /// The code was added.
    Added(CodeId),
    /// The text is empty, or contains only blanks.
    Empty,
    /// The text contains control characters, or is too long.
    Invalid,
    /// Another code has the same text.
    Taken,
}

/// A use of a code that is reserved for a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Reservation {
    /// The customer's account, if it is known.
    pub account: Option<AccountId>,
    /// The end of the reservation.
    pub until: Timestamp,
}

impl DiscountEvent {
    /// The code that the event concerns.
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
            Self::PriceRuleDeleted { rule, .. } | Self::PriceRuleSaved { rule, .. } => Some(*rule),
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

    /// The rule that becomes or stops being automatic, or stays so, and whether it is now.
    pub fn automatic_rule(&self) -> Option<(PriceRuleId, bool)> {
        match self {
            Self::PriceRuleDeleted { rule, was_automatic: true } => Some((*rule, false)),
            Self::PriceRuleSaved { rule, saved, was_automatic, .. } => {
                let is_automatic = saved.is_automatic();
                (is_automatic || *was_automatic).then_some((*rule, is_automatic))
            }
            Self::PriceRuleDeleted { .. }
            | Self::CodeAdded { .. }
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

    /// The accounts whose usage of the code the event changes: at most two.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        let (account, reservation) = match self {
            Self::CodeReserved { account, replaces, .. } => (*account, *replaces),
            Self::CodeReleased { reservation, .. } => (None, Some(*reservation)),
            Self::CodeUsed { account, reservation, .. } => (*account, *reservation),
            Self::CodeUseReturned { account, .. } => (*account, None),
            Self::CodeAdded { .. }
            | Self::CodeRemoved { .. }
            | Self::CodeRenamed { .. }
            | Self::CodeSwitched { .. }
            | Self::CodesBatched { .. }
            | Self::PriceRuleDeleted { .. }
            | Self::PriceRuleSaved { .. } => (None, None),
        };

        let second = reservation
            .and_then(|reservation| reservation.account)
            .filter(|second| account != Some(*second));
        account.into_iter().chain(second)
    }
}
