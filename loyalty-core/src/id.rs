//! Typed ids. The shop's ids are strings, as the shop writes them; the engine's are
//! integers.

use std::fmt;

use smol_str::SmolStr;

/// The reason why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// An empty text.
    #[error("must not be empty")]
    Empty,
    /// A NUL, a line break or another control character.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// More than 255 bytes.
    #[error("must be at most 255 bytes")]
    TooLong,
}

/// Checks that an id has 1 to 255 bytes and no control characters.
fn validate(text: &str) -> Result<(), IdError> {
    match text.len() {
        0 => Err(IdError::Empty),
        1..=255 if has_control(text) => Err(IdError::ControlCharacter),
        1..=255 => Ok(()),
        _ => Err(IdError::TooLong),
    }
}

fn has_control(text: &str) -> bool {
    // Most ids are plain ASCII, which needs no decoding of characters.
    !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.chars().any(char::is_control)
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to 255 bytes without control characters. Cheap to clone; up to 23 bytes need
        /// no heap.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Converts a text.
            ///
            /// # Errors
            /// A text that is empty, too long, or has control characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                validate(text)?;
                Ok(Self(SmolStr::new(text)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        #[cfg(feature = "json")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        #[cfg(feature = "json")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                from.deserialize_str(Text)
            }
        }
    )*};
}

text_id! {
    /// The shop's id of a customer.
    ///
    /// # Example: any short text is an id
    /// ```
    /// use loyalty_core::CustomerId;
    /// use loyalty_core::id::IdError;
    /// assert_eq!(CustomerId::new("c-1001").unwrap().as_str(), "c-1001");
    /// assert_eq!(CustomerId::new(""), Err(IdError::Empty));
    /// assert_eq!("a\nb".parse::<CustomerId>(), Err(IdError::ControlCharacter));
    /// ```
    CustomerId;
    /// The shop's id of a customer segment or a saved search.
    SegmentId;
    /// The shop's id or code of a country.
    CountryId;
    /// The shop's id of an order.
    OrderId;
    /// The shop's id of a checkout: a cart that may become an order.
    CheckoutId;
    /// The shop's id of one line of an order or a cart.
    LineId;
    /// The shop's id of a refund.
    RefundId;
    /// The shop's id of a product.
    ProductId;
    /// The shop's id of a variant of a product: a size, a colour.
    VariantId;
    /// The shop's id or name of a product category.
    CategoryId;
    /// The shop's name of a channel of sales, such as `web` or `pos`.
    ChannelId;
    /// The shop's name of an attribute of an order, a line or a customer.
    AttributeName;
    /// The program's name of an earning rule or a campaign.
    RuleId;
    /// The program's name of a reward.
    RewardId;
    /// The program's name of a VIP tier.
    TierId;
    /// The shop's name of an import of customers and points from elsewhere.
    ImportId;
    /// The program's name of an action that earns points without an order.
    ActionId;
    /// The shop's label of a group of customers, such as `vip`.
    Tag;
}

impl RuleId {
    /// The name of the only rule of the default program.
    pub(crate) fn base() -> Self {
        Self(SmolStr::new_static("base"))
    }
}

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "json", serde(transparent))]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

number_id! {
    /// The store's number of a shop.
    ShopId(i64);
    /// The store's number of a customer's account. It survives changes of e-mail and of
    /// the shop's id.
    ///
    /// # Example: ids of different kinds are different types
    /// ```
    /// use loyalty_core::{AccountId, LotId};
    /// let (account, lot) = (AccountId(7), LotId(1));
    /// assert_eq!((account.to_string(), lot.to_string()), ("7".to_owned(), "1".to_owned()));
    /// ```
    AccountId(i64);
    /// The store's number of a price rule.
    PriceRuleId(i64);
    /// The store's number of a discount code.
    CodeId(i64);
    /// The store's number of a redemption.
    RedemptionId(i64);
    /// A lot's number within its account, from 1 in the order of creation.
    LotId(u32);
    /// The number of a published version of a shop's program, from 1.
    ProgramVersion(u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_texts_without_control_characters() {
        for (text, want) in [
            ("1001".to_owned(), Ok(())),
            ("Ä/é emoji 🛒".to_owned(), Ok(())),
            ("x".repeat(255), Ok(())),
            (String::new(), Err(IdError::Empty)),
            ("x".repeat(256), Err(IdError::TooLong)),
            ("a\0b".to_owned(), Err(IdError::ControlCharacter)),
            ("a\nb".to_owned(), Err(IdError::ControlCharacter)),
        ] {
            assert_eq!(OrderId::new(&text).map(|_| ()), want, "{text:?}");
        }
    }
}
