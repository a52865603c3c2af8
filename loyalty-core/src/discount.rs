//! Price rules, discount codes and carts.

mod cart;
mod check;
mod code;
mod decide;
mod event;
mod price_rule;
mod refusal;
mod usage;

pub use cart::{Cart, CartError, CartLine, Customer, ShippingLine};
pub use code::{Code, CodeError};
pub use decide::{CodeCommand, CodeFacts, DiscountRejection, decide, delete_rule, save_rule};
pub use event::{DiscountEvent, Held};
pub use price_rule::{
    AllocationMethod, Class, CustomerSelection, Items, Off, Parts, PriceRule, Ratio, TargetSelection, TargetType,
    ValueType,
};
pub use refusal::Refusal;
pub use usage::{CheckoutClaim, CodeState, OrderClaim, RuleState, Tally};
