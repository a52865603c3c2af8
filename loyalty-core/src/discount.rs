//! Price rules, discount codes and carts.
//!
//! A [`PriceRule`] configures a discount with Shopify's fields and constraints. A [`Code`] is
//! the text that customers enter to get it. [`evaluate`] returns the discount of each code on
//! each line of a [`Cart`], exact to the minor unit, or the reason why a code does not apply.
//!
//! [`decide_code`] counts uses: they are reserved for a checkout, used by an order, and
//! returned if that order is cancelled. Each decision is a [`DiscountEvent`]. [`CodeState`]
//! and the records beside it are folds of these events.
//!
//! # Example: ten percent off a cart
//! ```
//! use loyalty_core::{CodeId, PriceRuleId, discount::*};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let starts_at = "2026-06-01T00:00:00Z".parse()?;
//! let parts = PriceRuleParts {
//!     title: "Summer".into(), value_type: ValueType::Percentage, value: "-10".parse()?,
//!     ..PriceRuleParts::new(starts_at)
//! };
//! let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
//! let mut state = CodeState::default();
//! let text = Code::new("Summer10")?;
//! state.evolve(&DiscountEvent::CodeAdded { code: CodeId(1), rule: PriceRuleId(1), text: text.clone() });
//!
//! let lines = [
//!     CartLine::new("1".parse()?, "19.99".parse()?),
//!     CartLine::new("2".parse()?, "5.05".parse()?),
//! ];
//! let cart = Cart::new(lines, "2026-07-01T12:00:00Z".parse()?)
//!     .with_codes([Code::new(" SUMMER10 ")?]);
//! let context = CodeContext {
//!     id: CodeId(1), state: &state, rule: Some(&rule), customer_usage: None, checkout_claim: None,
//! };
//! let evaluation = evaluate(&cart, 2, Stacking::default(), |code| (*code == text).then_some(context))?;
//! assert_eq!(evaluation.total_discount(), "2.50".parse()?);
//! assert_eq!(evaluation.lines[0].remaining, "17.99".parse()?);
//! assert_eq!(evaluation.lines[1].remaining, "4.55".parse()?);
//! assert_eq!(
//!     evaluation.codes[0].to_string(),
//!     "SUMMER10 takes 2.50 off: 10% of 25.04, shared over 2 lines."
//! );
//! # Ok(()) }
//! ```
//!
//! # How codes combine
//! An unknown, ended or otherwise unusable code is rejected with its reason and has no effect
//! on other codes. Of the usable codes, the program's [`Stacking`] policy selects:
//!
//! - `exclusive` and `best` select one code;
//! - `one_per_class` and `all` select the first entered code of an `individual_use` rule alone,
//!   if there is one.
//!
//! Selected codes apply in the order of their [`DiscountClass`], then of their rule's id. Each
//! discounts the amounts that remain after the codes before it.
//!
//! # Rounding
//! All sums are in minor units. Under `across`, the discount is calculated once on the sum,
//! rounded half up, and divided by [`allocate`]. Under `each`, it is calculated for each line,
//! a fixed amount for each unit.
//!
//! # Cost
//! A cart has at most [`Cart::MAX_LINES`] lines and [`Cart::MAX_CODES`] codes. The cost of an
//! evaluation is near linear in their product, under every policy and for all quantities.

mod allocate;
mod cart;
mod price_rule_parts;

mod price_rule;
mod validate;

mod code_rejection;
mod decide;
mod event;
mod usage;

mod basket;
mod bundle;
mod evaluate;
mod evaluation;
mod plan;

pub use crate::code::{Code, CodeError};
pub use allocate::allocate;
pub use cart::{Cart, CartError, CartLine, Customer, ShippingLine};
pub use code_rejection::CodeRejection;
pub use decide::{
    CodeCommand, CodeContext, DiscountRejection, decide_code, decide_rule_delete, decide_rule_save,
};
pub use evaluate::{Stacking, evaluate};
pub use evaluation::{
    AppliedCode, CodeOutcome, DiscountMaximum, DiscountShare, Evaluation, LineTotal,
};
pub use event::{BatchEntry, BatchOutcome, DiscountEvent, Reservation};
pub use price_rule::PriceRule;
pub use price_rule_parts::{
    AllocationMethod, CustomerSelection, DiscountClass, DiscountValue, ItemSelection,
    PriceRuleParts, QuantityRatio, TargetSelection, TargetType, ValueType,
};
pub use usage::{CheckoutClaim, CodeState, CodeUsage, OrderClaim, RuleState};
