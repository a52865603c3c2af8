//! Price rules, discount codes and carts: what a code takes off which line, and why.
//!
//! A [`PriceRule`] says what is taken off, with Shopify's fields and constraints; a [`BodyErrorCode`] is what a shopper
//! types. [`evaluate`] answers a [`Cart`] with what each code takes off each line, exact to the minor unit, or
//! why it does not apply. [`decide`] counts uses: reserved for a checkout, used by an order, given back by its
//! cancellation; what follows is a [`DiscountEvent`], and the small records of [`CodeState`] and its
//! neighbours are folds of those.
//!
//! # Example: ten percent off a cart
//! ```
//! use loyalty_core::{CodeId, LineId, PriceRuleId, discount::*};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let parts = Parts {
//!     title: "Summer".into(), value_type: ValueType::Percentage, value: "-10".parse()?,
//!     ..Parts::default()
//! };
//! let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
//! let mut state = CodeState::default();
//! let text = BodyErrorCode::new("Summer10")?;
//! state.evolve(&DiscountEvent::CodeAdded { code: CodeId(1), rule: PriceRuleId(1), text: text.clone() });
//!
//! let line = |id: &str, price: &str| Ok::<_, Box<dyn std::error::Error>>(CartLine {
//!     id: LineId::new(id)?, product: None, variant: None, categories: vec![],
//!     quantity: 1, price: price.parse()?, gift_card: false,
//! });
//! let cart = Cart {
//!     lines: vec![line("1", "19.99")?, line("2", "5.05")?],
//!     codes: vec![BodyErrorCode::new(" SUMMER10 ")?], ..Cart::default()
//! };
//! let facts = CodeContext { id: CodeId(1), state: &state, rule: Some(&rule), used_by_customer: None, checkout: None };
//! let found = evaluate(&cart, 2, Stacking::default(), |typed| (*typed == text).then_some(facts))?;
//! assert_eq!(found.discount(), "2.50".parse()?);
//! assert_eq!(found.lines[0].left, "17.99".parse()?);
//! assert_eq!(found.lines[1].left, "4.55".parse()?);
//! assert_eq!(
//!     found.codes[0].to_string(),
//!     "SUMMER10 takes 2.50 off: 10% of 25.04, shared over 2 lines."
//! );
//! # Ok(()) }
//! ```
//!
//! # How codes combine
//! Unknown, ended or otherwise unusable codes are refused with their reason and block nothing. Of the usable
//! ones, the program's [`Stacking`] chooses. Under `exclusive` and `best` one code applies anyway; under the
//! others, the first typed code of an `individual_use` rule applies alone. What was chosen takes in the order
//! of [`DiscountClass`], then of the rule's id, each from what the earlier ones left.
//!
//! # What is exact
//! All sums are in minor units. `across` takes once, on the sum, rounded half up, and [`allocate`] shares it
//! out; `each` takes off each line by itself, a fixed amount off each unit. A cart has at most
//! [`Cart::MAX_LINES`] lines and [`Cart::MAX_CODES`] codes; the cost is near linear in their product, under
//! every policy and whatever the quantities are.

mod allocate;
mod basket;
mod bundle;
mod cart;
mod code_rejection;
mod decide;
mod evaluate;
mod evaluation;
mod event;
mod plan;
mod price_rule;
mod usage;

pub use crate::code::{Code, CodeError};
pub use allocate::allocate;
pub use cart::{Cart, CartError, CartLine, Customer, ShippingLine};
pub use code_rejection::CodeRejection;
pub use decide::{
    CodeCommand, CodeContext, DiscountRejection, decide_code, decide_rule_delete, decide_rule_save,
};
pub use evaluate::{Stacking, evaluate};
pub use evaluation::{AppliedCode, CodeOutcome, DiscountShare, Evaluation, LineTotal};
pub use event::{BatchEntry, BatchOutcome, DiscountEvent, Reservation};
pub use price_rule::{
    AllocationMethod, Class, CustomerSelection, DiscountValue, ItemSelection, PriceRule,
    PriceRuleParts, QuantityRatio, TargetSelection, TargetType, ValueType,
};
pub use usage::{CheckoutClaim, CodeState, CodeUsage, OrderClaim, RuleState};
