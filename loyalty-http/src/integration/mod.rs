//! The store plugins' wire: signed JSON bodies, as the plugins for WooCommerce and Magento send them.
//!
//! A delivery goes through these modules in turn. [`SignedBody::parse`] takes the body apart as PHP wrote it and
//! [`SignedBody::verify`] holds it against the shop's secret; [`Verified::read`] makes an [`Order`], a [`Refund`]
//! or another typed body of it; `order` says that in the core's terms, with the subtotal shared out to the
//! lines by `share`; `webhook` makes one action of the store of it. Only `webhook` knows the server.
//!
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

mod apportion;
mod order;
mod php;
mod scalar;
pub(crate) mod schema;
mod signature;
pub(crate) mod webhook;
mod wire;

#[cfg(test)]
mod tests;

pub use php::{JsonError, MAX_DEPTH};
pub use signature::{SignatureError, SignedBody, VerifiedBody};
pub use wire::{
    Address, AppInstalled, Category, Customer, CustomerQuery, KeyVerify, Line, Order, OrderRef,
    RedeemReward, Refund, Transaction, WireError,
};
