//! Decisions: the event that a command about a rule or a code produces, or its rejection.

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

/// A command about one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeCommand {
    /// Adds the code. The store ensures that no other code of the shop has the text.
    Add {
        /// The code's rule.
        rule: PriceRuleId,
        /// The text that customers enter.
        text: Code,
    },
    /// Releases the reservation of a checkout.
    Release {
        /// The checkout.
        checkout: CheckoutId,
    },
    /// Removes the code.
    Remove,
    /// Changes the text. The store ensures that no other code of the shop has it.
    Rename {
        /// The new text.
        text: Code,
    },
    /// Reserves a use for a checkout. A repeated command reserves no second use, but extends
    /// the reservation if its end is later.
    Reserve {
        /// The checkout.
        checkout: CheckoutId,
        /// The end, which is rounded up to a whole minute. At most
        /// [`CodeCommand::MAX_RESERVATION`] from now.
        until: Timestamp,
    },
    /// Returns the use of an order that is cancelled.
    ReturnUse {
        /// The order.
        order: OrderId,
    },
    /// Switches the code on or off.
    Switch {
        /// True if the code can be used from now on.
        on: bool,
    },
    /// Records that an order uses the code. This ends the reservation of its checkout.
    RecordUse {
        /// The order.
        order: OrderId,
        /// The checkout that became the order.
        checkout: Option<CheckoutId>,
        /// The instant of the order's placement, by default now. It must be within the
        /// rule's validity.
        placed_at: Option<Timestamp>,
    },
}

impl CodeCommand {
    /// Maximum duration of a reservation: one day.
    pub const MAX_RESERVATION: TimeDelta = TimeDelta::days(1);
}

/// The reason why a command about a rule or a code is rejected. Nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscountRejection {
    /// The code already exists with a different text or rule.
    #[error("the code already exists with a different text or price rule")]
    CodeDiffers,
    /// The customer cannot use the code now.
    #[error(transparent)]
    CodeRejected(#[from] CodeRejection),
    /// The reservation would end before it begins, or last too long.
    #[error("a reservation must end in the future, within one day")]
    ReservationPeriod,
    /// The rule was deleted or never saved.
    #[error("there is no such price rule")]
    UnknownPriceRule,
}

impl DiscountRejection {
    /// The stable code of the rejection.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CodeDiffers => "code_differs",
            Self::CodeRejected(rejection) => rejection.code(),
            Self::ReservationPeriod => "invalid_reservation_period",
            Self::UnknownPriceRule => "unknown_price_rule",
        }
    }
}

/// The state of one code for one customer and one checkout, as a store looks it up.
///
/// # Example: a code with one use
/// ```
/// use loyalty_core::{CodeId, OrderId, PriceRuleId, discount::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let starts_at = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts {
///     title: "Once".into(), value: "-5".parse()?, usage_limit: Some(1), ..PriceRuleParts::new(starts_at)
/// };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let (id, now) = (CodeId(1), "2026-03-01T12:00:00Z".parse()?);
/// let mut state = CodeState::default();
/// state.evolve(&DiscountEvent::CodeAdded { code: id, rule: PriceRuleId(1), text: Code::new("ONCE")? });
///
/// let context = CodeContext {
///     id, state: &state, rule: Some(&rule), customer_usage: None, checkout_claim: None,
/// };
/// let anyone = Customer::default();
/// assert!(context.check_usable(&anyone, now, now).is_ok());
///
/// let record = CodeCommand::RecordUse { order: OrderId::new("1001")?, checkout: None, placed_at: None };
/// let mut used_up = state.clone();
/// used_up.evolve(&decide_code(&context, None, &anyone, &record, now)?.unwrap());
/// let context = CodeContext { state: &used_up, ..context };
/// assert_eq!(context.check_usable(&anyone, now, now), Err(CodeRejection::UsedUp));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CodeContext<'a> {
    /// The code.
    pub id: CodeId,
    /// The state of the code.
    pub state: &'a CodeState,
    /// The code's rule including its e-mails; `None` if it was deleted.
    pub rule: Option<&'a PriceRule>,
    /// The customer's uses and reservations; `None` if there are none.
    pub customer_usage: Option<&'a CodeUsage>,
    /// The claim of the checkout; `None` if it has none.
    pub checkout_claim: Option<&'a CheckoutClaim>,
}

impl<'a> CodeContext<'a> {
    /// Returns true if the uses are those of an automatic rule, which have no code. They are
    /// counted under the rule's number.
    fn is_of_rule(&self) -> bool {
        self.state.rule().is_none()
    }

    /// Returns the rule if the customer can use the code.
    ///
    /// The rule must be valid at `placed_at`, and its limits must allow a use at `now`. The
    /// checkout's own reservation does not count against the limits.
    ///
    /// # Errors
    /// The first reason why the code cannot be used.
    pub fn check_usable(
        &self,
        customer: &Customer,
        placed_at: Timestamp,
        now: Timestamp,
    ) -> Result<&'a PriceRule, CodeRejection> {
        // An automatic rule needs no code that is switched on.
        let rule = self
            .rule
            .filter(|rule| self.state.is_on() || (rule.is_automatic() && self.is_of_rule()))
            .ok_or(CodeRejection::Disabled)?;

        // A reservation stays valid for its customer, even after the rule's validity.
        let reservation = self.checkout_claim.and_then(|claim| claim.reservation_at(now));
        if reservation.is_some_and(|reserved| reserved.account == customer.account) {
            return Ok(rule);
        }

        let parts = rule.parts();
        if placed_at < parts.starts_at {
            return Err(CodeRejection::NotYetValid { from: parts.starts_at });
        }
        if let Some(since) = parts.ends_at.filter(|end| placed_at >= *end) {
            return Err(CodeRejection::Expired { since });
        }

        if !rule.admits(customer) {
            let is_anonymous =
                customer.id.is_none() && customer.email.is_none() && customer.segments.is_empty();
            return Err(if is_anonymous {
                CodeRejection::CustomerRequired
            } else {
                CodeRejection::CustomerNotEligible
            });
        }

        if parts.once_per_customer {
            if customer.account.is_none() {
                return Err(CodeRejection::CustomerRequired);
            }
            if self.customer_usage.is_some_and(|usage| usage.total(now) > 0) {
                return Err(CodeRejection::AlreadyUsed);
            }
        }

        // A reservation for another customer has its use within the limit already.
        let has_uses_left = parts
            .usage_limit
            .is_none_or(|limit| self.state.usage().total(now) < limit);
        if reservation.is_some() || has_uses_left { Ok(rule) } else { Err(CodeRejection::UsedUp) }
    }
}

/// Decides a command about one code. Returns its event, or `None` if nothing changes.
///
/// Commands are idempotent by checkout and by order. `order` is the claim of the command's
/// order on the code. An order that returned its use and reports it again records a new use:
/// the caller must know redeliveries of older reports.
///
/// # Errors
/// The reason why the rules reject the command.
///
/// # Example: a repeated reservation changes nothing
/// ```
/// use loyalty_core::{CheckoutId, CodeId, PriceRuleId, discount::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let starts_at = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts { title: "Five".into(), value: "-5".parse()?, ..PriceRuleParts::new(starts_at) };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let mut state = CodeState::default();
/// let (id, text) = (CodeId(1), Code::new("FIVE")?);
/// state.evolve(&DiscountEvent::CodeAdded { code: id, rule: PriceRuleId(1), text });
///
/// let (customer, now) = (Customer::default(), "2026-03-01T12:00:00Z".parse()?);
/// let reserve = CodeCommand::Reserve {
///     checkout: CheckoutId::new("c1")?, until: "2026-03-01T12:15:00Z".parse()?,
/// };
/// let context = CodeContext {
///     id, state: &state, rule: Some(&rule), customer_usage: None, checkout_claim: None,
/// };
/// let mut claim = CheckoutClaim::default();
/// claim.evolve(&decide_code(&context, None, &customer, &reserve, now)?.unwrap());
///
/// let context = CodeContext { checkout_claim: Some(&claim), ..context };
/// assert_eq!(decide_code(&context, None, &customer, &reserve, now)?, None);
/// # Ok(()) }
/// ```
pub fn decide_code(
    context: &CodeContext<'_>,
    order: Option<&OrderClaim>,
    customer: &Customer,
    command: &CodeCommand,
    now: Timestamp,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    let code = context.id;
    match command {
        CodeCommand::Add { rule, text } => decide_add(context, *rule, text),
        CodeCommand::Release { checkout } => {
            let reservation = context.checkout_claim.and_then(|claim| claim.reservation_at(now));
            let release = |reservation| DiscountEvent::CodeReleased {
                code,
                checkout: checkout.clone(),
                reservation,
                at: now,
            };
            Ok(reservation.map(release))
        }
        CodeCommand::Remove => {
            let exists = context.state.code().is_some() && !context.state.is_removed();
            Ok(exists.then_some(DiscountEvent::CodeRemoved { code }))
        }
        CodeCommand::Rename { text } => {
            let existing = context
                .state
                .code()
                .filter(|_| !context.state.is_removed())
                .ok_or(CodeRejection::Disabled)?;
            let renamed = || DiscountEvent::CodeRenamed { code, text: text.clone() };
            Ok((existing.as_str() != text.as_str()).then(renamed))
        }
        CodeCommand::Reserve { checkout, until } => {
            decide_reservation(context, customer, checkout, *until, now)
        }
        CodeCommand::ReturnUse { order: id } => match order {
            Some(OrderClaim::Used(account)) => {
                let (order, account) = (id.clone(), *account);
                Ok(Some(DiscountEvent::CodeUseReturned { code, order, account, at: now }))
            }
            Some(OrderClaim::Unused) | None => Ok(None),
        },
        CodeCommand::Switch { on } => {
            if context.state.code().is_none() || context.state.is_removed() {
                return Err(CodeRejection::Disabled.into());
            }
            Ok((context.state.is_on() != *on)
                .then_some(DiscountEvent::CodeSwitched { code, on: *on }))
        }
        CodeCommand::RecordUse { order: id, checkout, placed_at } => {
            if let Some(OrderClaim::Used(_)) = order {
                return Ok(None);
            }
            // A placement in the future cannot make a rule valid before its time.
            let placed_at = placed_at.map_or(now, |placed_at| placed_at.min(now));
            context.check_usable(customer, placed_at, now)?;

            Ok(Some(DiscountEvent::CodeUsed {
                code,
                order: id.clone(),
                account: customer.account,
                checkout: checkout.clone(),
                reservation: context.checkout_claim.and_then(|claim| claim.reservation_at(now)),
                at: now,
            }))
        }
    }
}

fn decide_add(
    context: &CodeContext<'_>,
    rule: PriceRuleId,
    text: &Code,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    match (context.state.rule(), context.state.code()) {
        (Some(existing), Some(code))
            if existing == rule && code == text && !context.state.is_removed() =>
        {
            Ok(None)
        }
        (None, None) if context.rule.is_none() => Err(DiscountRejection::UnknownPriceRule),
        (None, None) => {
            Ok(Some(DiscountEvent::CodeAdded { code: context.id, rule, text: text.clone() }))
        }
        _ => Err(DiscountRejection::CodeDiffers),
    }
}

fn decide_reservation(
    context: &CodeContext<'_>,
    customer: &Customer,
    checkout: &CheckoutId,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    let latest = now.checked_add_signed(CodeCommand::MAX_RESERVATION);
    if until <= now || latest.is_none_or(|latest| until > latest) {
        return Err(DiscountRejection::ReservationPeriod);
    }
    if let Some(CheckoutClaim::Used(_)) = context.checkout_claim {
        return Ok(None);
    }

    context.check_usable(customer, now, now)?;
    // Whole minutes bound the number of instants that [`CodeUsage`] keeps.
    let until = until
        .duration_round_up(TimeDelta::minutes(1))
        .map_err(|_| DiscountRejection::ReservationPeriod)?;
    let replaces = context.checkout_claim.and_then(|claim| claim.reservation_at(now));
    let covers =
        |reserved: Reservation| reserved.until >= until && reserved.account == customer.account;
    if replaces.is_some_and(covers) {
        return Ok(None);
    }

    let (checkout, account) = (checkout.clone(), customer.account);
    Ok(Some(DiscountEvent::CodeReserved {
        code: context.id,
        checkout,
        account,
        until,
        replaces,
        at: now,
    }))
}

/// Decides to save a rule. Returns the event of a new revision, or `None` if the rule is
/// unchanged. A rule with e-mails is always a new revision, since the state lacks them.
///
/// # Errors
/// [`DiscountRejection::UnknownPriceRule`] if the rule was deleted.
///
/// # Example: an unchanged rule has no second revision
/// ```
/// use loyalty_core::{PriceRuleId, discount::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let starts_at = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts { title: "Five".into(), value: "-5".parse()?, ..PriceRuleParts::new(starts_at) };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let mut state = RuleState::default();
/// state.evolve(&decide_rule_save(&state, PriceRuleId(1), &rule)?.unwrap());
/// assert_eq!(state.revision(), 1);
/// assert_eq!(decide_rule_save(&state, PriceRuleId(1), &rule)?, None);
/// # Ok(()) }
/// ```
pub fn decide_rule_save(
    state: &RuleState,
    id: PriceRuleId,
    rule: &PriceRule,
) -> Result<Option<DiscountEvent>, DiscountRejection> {
    if state.is_deleted() {
        return Err(DiscountRejection::UnknownPriceRule);
    }

    let is_unchanged = state.rule().is_some_and(|existing| **existing == *rule);
    Ok((!is_unchanged).then(|| DiscountEvent::PriceRuleSaved {
        rule: id,
        revision: state.revision().saturating_add(1),
        saved: Arc::new(rule.without_emails()),
        was_automatic: is_automatic(state),
    }))
}

/// Decides to delete a rule. Returns `None` if it does not exist.
pub fn decide_rule_delete(state: &RuleState, id: PriceRuleId) -> Option<DiscountEvent> {
    let was_automatic = is_automatic(state);
    state
        .rule()
        .map(|_| DiscountEvent::PriceRuleDeleted { rule: id, was_automatic })
}

fn is_automatic(state: &RuleState) -> bool {
    state.rule().is_some_and(|rule| rule.is_automatic())
}
