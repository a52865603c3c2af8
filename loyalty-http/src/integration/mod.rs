//! The API of the store plugins: signed JSON bodies, as the plugins for WooCommerce and
//! Magento send them.
//!
//! A delivery passes through these modules:
//!
//! 1. [`find_key`] finds the API key, so that a body without a valid one is not parsed.
//! 2. [`SignedBody::parse`] scans the body as PHP encoded it, and [`SignedBody::verify`]
//!    checks the signature with the shop's secret.
//! 3. [`VerifiedBody::read`] parses an [`Order`], a [`Refund`] or another typed body.
//! 4. `order` converts it to the core's types; `apportion` divides the subtotal among the
//!    lines.
//! 5. `webhook` turns it into one action of the store. Only `webhook` depends on the
//!    server.
//!
//! # Example: a body whose signature is not base64
//! ```
//! use loyalty_http::integration::{Order, SignedBody, SignatureError};
//!
//! let body = br#"{"id":7,"total_price":"9.00","subtotal_price":"9.00","key":"lk_1","hmac":"AAAA"}"#;
//! assert_eq!(SignedBody::parse(body).err(), Some(SignatureError::HmacNotBase64));
//!
//! # fn secret_of(key: &str) -> Option<Vec<u8>> { None }
//! # fn order(body: &[u8]) -> Result<Order, Box<dyn std::error::Error>> {
//! let signed = SignedBody::parse(body)?;
//! let secret = secret_of(signed.key());
//! let order: Order = signed.verify(secret.as_deref())?.read()?;
//! # Ok(order)
//! # }
//! ```

pub(crate) mod apportion;
pub(crate) mod order;
mod php;
pub(crate) mod scalar;
pub(crate) mod schema;
mod signature;
pub(crate) mod webhook;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

pub use php::{JsonError, MAX_DEPTH};
pub use signature::{SignatureError, SignedBody, VerifiedBody, find_key, sign_members};
pub use wire::{
    Address, AppInstalled, Category, Customer, CustomerQuery, KeyVerify, Line, Order, OrderRef,
    RedeemReward, Refund, Transaction, WireError,
};
