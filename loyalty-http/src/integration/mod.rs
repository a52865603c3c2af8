//! The store plugins' wire: signed JSON bodies, as the plugins for `woocommerce` and `magento` send them.
//!
//! [`Signed::parse`] takes a body apart, [`Signed::verify`] holds its signature against the shop's secret,
//! [`Verified::read`] makes an [`Order`], a [`Refund`] or another typed body of it. Nothing here knows
//! HTTP, the store or the rules.
//!
//! ```
//! use loyalty_http::integration::{Order, Signed, SignatureError};
//!
//! let body = br#"{"id":7,"total_price":"9.00","subtotal_price":"9.00","key":"lk_1","hmac":"AAAA"}"#;
//! assert_eq!(Signed::parse(body).err(), Some(SignatureError::HmacNotBase64));
//!
//! # fn secret_of(key: &str) -> Option<Vec<u8>> { None }
//! # fn order(body: &[u8]) -> Result<Order, Box<dyn std::error::Error>> {
//! let signed = Signed::parse(body)?;
//! let secret = secret_of(signed.key());
//! let order: Order = signed.verify(secret.as_deref())?.read()?;
//! # Ok(order)
//! # }
//! ```

mod php;
mod scalar;
mod signature;
mod wire;

#[cfg(test)]
mod tests;

pub use php::{JsonError, MAX_DEPTH};
pub use signature::{SignatureError, Signed, Verified};
pub use wire::{
    AppInstalled, Body, Category, Customer, DiscountCode, KeyVerify, Line, Order, OrderId, Refund, ReturnedLine,
    Transaction, WireError,
};
