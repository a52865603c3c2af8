//! Numeric ids for clients that require numbers: Shopify's REST clients read every id as
//! a JSON number.
//!
//! Shops use texts as ids, and most of them are numbers: WooCommerce, Magento and Shopify
//! count their products and customers. Such an id is also its numeric id. A price rule
//! can therefore refer to a product or customer by the number that the shop displays,
//! known to us or not.
//!
//! Other records, such as guests, are assigned a number from 2⁵² on. Numbers of shops are
//! below 2⁵², so the two ranges are disjoint. All numbers are below 2⁵³, which every JSON
//! client reads exactly.

use std::fmt;

use loyalty_core::CustomerId;

use crate::record::CustomerRecord;

/// The number of a customer, product, variant or saved search within its shop.
///
/// # Example: an id that is a number, and ids that are not
/// ```
/// use loyalty_store::NumericId;
/// assert_eq!(NumericId::from_id(Some("632910392"), 7).get(), 632_910_392);
/// assert_eq!(NumericId::from_id(Some("green-tea"), 7).get(), 4_503_599_627_370_503);
/// assert_eq!(NumericId::from_id(Some("007"), 7), NumericId::from_id(None, 7));
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct NumericId(i64);

/// The first number that is assigned.
const FIRST_ASSIGNED: i64 = 1 << 52;
const MAX: i64 = (1 << 53) - 1;

impl NumericId {
    /// Creates an id from a number. Returns `None` outside of 1 to 2⁵³ − 1.
    pub const fn new(number: i64) -> Option<Self> {
        if number >= 1 && number <= MAX { Some(Self(number)) } else { None }
    }

    /// Returns the number that the id is, or else the `count`th assigned number.
    pub fn from_id(id: Option<&str>, count: i64) -> Self {
        id.and_then(Self::parse_own)
            .unwrap_or(Self(FIRST_ASSIGNED.saturating_add(count).clamp(FIRST_ASSIGNED, MAX)))
    }

    /// Returns the number of a customer. Guests, and customers whose id is not a number,
    /// get one from their account.
    pub fn from_customer(customer: &CustomerRecord) -> Self {
        Self::from_id(customer.id.as_ref().map(CustomerId::as_str), customer.account.0)
    }

    /// Parses a shop's id that is a canonical decimal number below 2⁵².
    pub fn parse_own(id: &str) -> Option<Self> {
        Self::parse(id).filter(|number| number.assigned_index().is_none())
    }

    /// Parses a canonical decimal number of either range.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| canonical).and_then(Self::new)
    }

    /// Returns the position of an assigned number in its range, or `None` for a shop's
    /// number.
    pub fn assigned_index(self) -> Option<i64> {
        (self.0 >= FIRST_ASSIGNED).then(|| self.0.saturating_sub(FIRST_ASSIGNED))
    }

    /// Returns the number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for NumericId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_below_the_assigned_range_are_own() {
        for (id, own) in [
            ("1", Some(1)),
            ("4503599627370495", Some(FIRST_ASSIGNED - 1)),
            ("4503599627370496", None),
            ("99999999999999999999", None),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            ("1.0", None),
            ("", None),
            ("tea", None),
        ] {
            assert_eq!(NumericId::parse_own(id).map(NumericId::get), own, "{id:?}");
            assert_eq!(
                NumericId::from_id(Some(id), 3).assigned_index(),
                if own.is_some() { None } else { Some(3) },
                "{id:?}"
            );
        }
        assert_eq!(
            (NumericId::new(0), NumericId::new(-1), NumericId::new(1 << 53)),
            (None, None, None)
        );
        assert_eq!(NumericId::from_id(None, i64::MAX).get(), MAX);
    }
}
