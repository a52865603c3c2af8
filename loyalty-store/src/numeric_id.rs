//! Numbers for clients that know nothing else: Shopify's REST clients take every id for a JSON number.
//!
//! Shops name things by texts, most of which are numbers: WooCommerce, Magento and Shopify count their products
//! and customers. Such an id is its own number, so that a price rule can name a product or a customer by the
//! number that the shop's own pages and orders show, whether we know of it or not. Where the id is no such
//! number (or there is none, as with a guest), we give one from 2⁵² on; no shop's own number reaches that far,
//! so the two never meet. All are below 2⁵³: every JSON client reads them exactly.

use std::fmt;

use loyalty_core::CustomerId;

use crate::record::CustomerRecord;

/// The number of a customer, a product, a variant or a saved search within its shop.
///
/// # Example: an id that is a number is its own
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

/// Where the numbers that we give begin.
const FIRST_ASSIGNED: i64 = 1 << 52;
const MAX: i64 = (1 << 53) - 1;

impl NumericId {
    /// A number from 1 to 2⁵³ − 1.
    pub const fn new(number: i64) -> Option<Self> {
        if number >= 1 && number <= MAX { Some(Self(number)) } else { None }
    }

    /// The number of what has this id: its own, or the one given to the `count`th thing that has none.
    pub fn from_id(id: Option<&str>, count: i64) -> Self {
        id.and_then(Self::parse_own)
            .unwrap_or(Self(FIRST_ASSIGNED.saturating_add(count).clamp(FIRST_ASSIGNED, MAX)))
    }

    /// The number of a customer: guests, and customers whose id is no number, by their account.
    pub fn from_customer(customer: &CustomerRecord) -> Self {
        Self::from_id(customer.id.as_ref().map(CustomerId::as_str), customer.account.0)
    }

    /// An id that is a whole number below 2⁵² in its usual spelling.
    pub fn parse_own(id: &str) -> Option<Self> {
        Self::parse(id).filter(|number| number.assigned_index().is_none())
    }

    /// A number in its usual spelling, whether the shop's own or one that we gave.
    pub fn parse(text: &str) -> Option<Self> {
        let usual = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| usual).and_then(Self::new)
    }

    /// Which thing without a number of its own this is.
    pub fn assigned_index(self) -> Option<i64> {
        (self.0 >= FIRST_ASSIGNED).then(|| self.0.saturating_sub(FIRST_ASSIGNED))
    }

    /// The number itself.
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
