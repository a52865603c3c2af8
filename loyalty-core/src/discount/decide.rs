//! What follows from a request about a rule or a code.

use std::sync::Arc;

use chrono::{DurationRound, TimeDelta};

use super::cart::Customer;
use super::code_rejection::CodeRejection;
use super::event::{DiscountEvent, Reservation};
use super::price_rule::PriceRule;
use super::usage::{CheckoutClaim, CodeState, CodeUsage, OrderClaim, RuleState};
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::id::{CheckoutId, CodeId, OrderId, PriceRuleId};

/// One request about one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeCommand {
    /// Make it. That its text is the only one of the shop is for the store to see.
    Add {
        /// Its rule.
        rule: PriceRuleId,
        /// What a shopper types.
        text: Code,
    },
    /// Give back what a checkout reserved.
    Release {
        /// The checkout.
        checkout: CheckoutId,
    },
    /// Do away with it.
    Remove,
    /// Type it differently from now on. That no other code of the shop is typed so is for the store to see.
    Rename {
        /// What a shopper types.
        text: Code,
    },
    /// Reserve a use for a checkout. Again for the same checkout: no second use, and a later end counts.
    Reserve {
        /// The checkout.
        checkout: CheckoutId,
        /// Until when, rounded up to a whole minute; at most [`CodeCommand::MAX_RESERVATION`] from now.
        until: Timestamp,
    },
    /// The order that used it is cancelled: give the use back.
    ReturnUse {
        /// The order.
        order: OrderId,
    },
    /// Switch it on or off.
    Switch {
        /// Whether it can be used from now on.
        on: bool,
    },
    /// An order uses it, and ends what its checkout had reserved.
    RecordUse {
        /// The order.
        order: OrderId,
        /// The checkout that it was.
        checkout: Option<CheckoutId>,
        /// When it was placed; now, where that is not said. The rule's window looks at this.
        placed_at: Option<Timestamp>,
    },
}

impl CodeCommand {
    /// How long a reservation lasts at most: a day.
    pub const MAX_RESERVATION: TimeDelta = TimeDelta::days(1);
}

/// Why a request about a rule or a code is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscountRejection {
    /// The code's id is another code's already.
    #[error("the code exists already with another text or rule")]
    CodeDiffers,
    /// The code cannot be used by this customer now.
    #[error(transparent)]
    CodeRejected(#[from] CodeRejection),
    /// A reservation that is over before it begins, or too long.
    #[error("a reservation ends later than now, and after a day at most")]
    ReservationPeriod,
    /// The rule was deleted, or never made.
    #[error("there is no such price rule")]
    UnknownPriceRule,
}

impl DiscountRejection {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CodeDiffers => "code_differs",
            Self::CodeRejected(refusal) => refusal.code(),
            Self::ReservationPeriod => "invalid_reservation_period",
            Self::UnknownPriceRule => "unknown_price_rule",
        }
    }
}

/// What is known of one code, for one customer and one checkout: what a store looks up by key.
#[derive(Clone, Copy, Debug)]
pub struct CodeContext<'a> {
    /// The code.
    pub id: CodeId,
    /// Its state.
    pub state: &'a CodeState,
    /// Its rule, e-mails included; none where that was deleted.
    pub rule: Option<&'a PriceRule>,
    /// This customer's uses of it; none where there are none.
    pub customer_usage: Option<&'a CodeUsage>,
    /// What this checkout holds of it; none where it holds nothing.
    pub checkout_claim: Option<&'a CheckoutClaim>,
}

impl<'a> CodeContext<'a> {
    /// Whether this customer can use the code: in the rule's window at `placed`, within its limits at
    /// `now`, beside what this checkout itself has reserved. Answers its rule.
    pub fn check_usable(
        &self,
        customer: &Customer,
        placed: Timestamp,
        now: Timestamp,
    ) -> Result<&'a PriceRule, CodeRejection> {
        let rule = self
            .rule
            .filter(|_| self.state.is_on())
            .ok_or(CodeRejection::Disabled)?;
        let held = self.checkout_claim.and_then(|claim| claim.reservation_at(now));
        // What was promised to this customer in this checkout holds.
        if held.is_some_and(|held| held.account == customer.account) {
            return Ok(rule);
        }
        let parts = rule.parts();
        if placed < parts.starts_at {
            return Err(CodeRejection::NotYetValid { from: parts.starts_at });
        }
        if let Some(since) = parts.ends_at.filter(|end| placed >= *end) {
            return Err(CodeRejection::Expired { since });
        }
        if !rule.admits(customer) {
            let nobody =
                customer.id.is_none() && customer.email.is_none() && customer.segments.is_empty();
            return Err(if nobody {
                CodeRejection::CustomerRequired
            } else {
                CodeRejection::CustomerNotEligible
            });
        }
        if parts.once_per_customer {
            if customer.account.is_none() {
                return Err(CodeRejection::CustomerRequired);
            }
            if self.customer_usage.is_some_and(|tally| tally.total(now) > 0) {
                return Err(CodeRejection::AlreadyUsed);
            }
        }
        let room = parts
            .usage_limit
            .is_none_or(|limit| self.state.usage().total(now) < limit);
        if held.is_some() || room { Ok(rule) } else { Err(CodeRejection::UsedUp) }
    }
}

/// Decides a request about one code: events, none where nothing changes, or one rejection.
///
/// Everything is idempotent by checkout and by order. `order` is what the order of the command has done with
/// the code before. An order that comes back after its cancellation takes a new use; whether a late message
/// of it is news or a redelivery is for the caller to know.
pub fn decide_code(
    facts: &CodeContext<'_>,
    order: Option<&OrderClaim>,
    customer: &Customer,
    command: &CodeCommand,
    now: Timestamp,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    let code = facts.id;
    match command {
        CodeCommand::Add { rule, text } => decide_add(facts, *rule, text),
        CodeCommand::Release { checkout } => {
            let held = facts.checkout_claim.and_then(|claim| claim.reservation_at(now));
            let release = |held| DiscountEvent::CodeReleased {
                code,
                checkout: checkout.clone(),
                reservation: held,
                at: now,
            };
            Ok(held.map(release))
        }
        CodeCommand::Remove => {
            let there = facts.state.code().is_some() && !facts.state.is_removed();
            Ok(there.then_some(DiscountEvent::CodeRemoved { code }))
        }
        CodeCommand::Rename { text } => {
            let known = facts
                .state
                .code()
                .filter(|_| !facts.state.is_removed())
                .ok_or(CodeRejection::Disabled)?;
            let renamed = || DiscountEvent::CodeRenamed { code, text: text.clone() };
            Ok((known.as_str() != text.as_str()).then(renamed))
        }
        CodeCommand::Reserve { checkout, until } => {
            decide_reservation(facts, customer, checkout, *until, now)
        }
        CodeCommand::ReturnUse { order: id } => match order {
            Some(OrderClaim::Used(account)) => {
                let (order, account) = (id.clone(), *account);
                Ok(Some(DiscountEvent::CodeUseReturned { code, order, account, at: now }))
            }
            Some(OrderClaim::Unused) | None => Ok(None),
        },
        CodeCommand::Switch { on } => {
            if facts.state.code().is_none() || facts.state.is_removed() {
                return Err(CodeRejection::Disabled.into());
            }
            Ok((facts.state.is_on() != *on)
                .then_some(DiscountEvent::CodeSwitched { code, on: *on }))
        }
        CodeCommand::RecordUse { order: id, checkout, placed_at } => {
            if let Some(OrderClaim::Used(_)) = order {
                return Ok(None);
            }
            let placed = placed_at.map_or(now, |placed| placed.min(now));
            facts.check_usable(customer, placed, now)?;
            let held = facts.checkout_claim.and_then(|claim| claim.reservation_at(now));
            let (order, checkout) = (id.clone(), checkout.clone());
            Ok(Some(DiscountEvent::CodeUsed {
                code,
                order,
                account: customer.account,
                checkout,
                reservation: held,
                at: now,
            }))
        }
    }
}

fn decide_add(
    facts: &CodeContext<'_>,
    rule: PriceRuleId,
    text: &Code,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    match (facts.state.rule(), facts.state.code()) {
        (Some(known), Some(code)) if known == rule && code == text && !facts.state.is_removed() => {
            Ok(None)
        }
        (None, None) if facts.rule.is_none() => Err(DiscountRejection::UnknownPriceRule),
        (None, None) => {
            Ok(Some(DiscountEvent::CodeAdded { code: facts.id, rule, text: text.clone() }))
        }
        _ => Err(DiscountRejection::CodeDiffers),
    }
}

fn decide_reservation(
    facts: &CodeContext<'_>,
    customer: &Customer,
    checkout: &CheckoutId,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    let latest = now.checked_add_signed(CodeCommand::MAX_RESERVATION);
    if until <= now || latest.is_none_or(|latest| until > latest) {
        return Err(DiscountRejection::ReservationPeriod);
    }
    if let Some(CheckoutClaim::Used(_)) = facts.checkout_claim {
        return Ok(None);
    }
    facts.check_usable(customer, now, now)?;
    let until = until
        .duration_round_up(TimeDelta::minutes(1))
        .map_err(|_| DiscountRejection::ReservationPeriod)?;
    let replaces = facts.checkout_claim.and_then(|claim| claim.reservation_at(now));
    if replaces
        .is_some_and(|held: Reservation| held.until >= until && held.account == customer.account)
    {
        return Ok(None);
    }
    let (checkout, account) = (checkout.clone(), customer.account);
    Ok(Some(DiscountEvent::CodeReserved {
        code: facts.id,
        checkout,
        account,
        until,
        replaces,
        at: now,
    }))
}

/// Decides that a rule is saved: a new revision, or nothing where it says what it said. A rule with e-mails is
/// always a new revision, since the state does not hold them.
pub fn decide_rule_save(
    state: &RuleState,
    id: PriceRuleId,
    rule: &PriceRule,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    if state.is_deleted() {
        return Err(DiscountRejection::UnknownPriceRule);
    }
    let unchanged = state.rule().is_some_and(|known| **known == *rule);
    let revision = state.revision().saturating_add(1);
    let saved = || Arc::new(rule.without_emails());
    Ok((!unchanged).then(|| DiscountEvent::PriceRuleSaved { rule: id, revision, saved: saved() }))
}

/// Decides that a rule is deleted; nothing follows where it is no more.
pub fn decide_rule_delete(state: &RuleState, id: PriceRuleId) -> Option<DiscountEvent> {
    state.rule().map(|_| DiscountEvent::PriceRuleDeleted { rule: id })
}
