//! A guide for embedders, to be read in order. One page, one idea, and code that runs.
//!
//! 1. [`earn`]: an order earns points.
//! 2. [`refund`]: a refund or a cancellation takes points back.
//! 3. [`redeem`]: points buy a reward, or it is a gift.
//! 4. [`cart`]: a code takes its discount off a cart.
//! 5. [`time`]: points are pending, expire, and can be read at any instant.
//! 6. [`program`]: a merchant's program is read, checked, published and replaced.
//! 7. [`store`]: a ledger is stored as its events, in a database of your own.

#[doc = include_str!("guide/earn.md")]
pub mod earn {}

#[doc = include_str!("guide/refund.md")]
pub mod refund {}

#[doc = include_str!("guide/redeem.md")]
pub mod redeem {}

#[doc = include_str!("guide/cart.md")]
pub mod cart {}

#[doc = include_str!("guide/time.md")]
pub mod time {}

#[doc = include_str!("guide/program.md")]
pub mod program {}

#[doc = include_str!("guide/store.md")]
pub mod store {}
