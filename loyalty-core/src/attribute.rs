//! Attributes: free facts about orders, lines and customers, for conditions of a program.
//!
//! An attribute has a name and a text, a number or a boolean. Their count and size are
//! bounded, since those of orders and lines stay in the journal for ever.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::amount::{AmountError, parse_decimal};
use crate::id::AttributeName;

/// The reason why attributes are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// More attributes than an order, a line or a customer can have.
    #[error("there can be at most {} attributes", Attributes::MAX)]
    TooMany,
    /// Two attributes of one name.
    #[error("two attributes have the name {0}")]
    Duplicate(AttributeName),
    /// A text of more than 255 bytes.
    #[error("a text of an attribute has at most {} bytes", AttributeText::MAX)]
    TextTooLong,
    /// A text with a NUL, a line break or another control character.
    #[error("a text of an attribute has no control characters")]
    ControlCharacter,
    /// A number with more than four decimals, or beyond 100 billion.
    #[error("a number of an attribute is at most 100,000,000,000 and has at most four decimals")]
    NumberOutOfRange,
}

/// The attributes of an order, a line or a customer, by name. At most [`Attributes::MAX`].
///
/// # Example: a text, a number and a boolean
/// ```
/// use loyalty_core::{AttributeValue, Attributes};
/// let attributes = Attributes::new([
///     ("colour".parse()?, AttributeValue::text("red")?),
///     ("weight".parse()?, AttributeValue::number("1.5".parse()?)?),
///     ("gift".parse()?, true.into()),
/// ])?;
/// assert_eq!(attributes.get(&"gift".parse()?), Some(&AttributeValue::Bool(true)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attributes(BTreeMap<AttributeName, AttributeValue>);

impl Attributes {
    /// The most attributes of one order, line or customer.
    pub const MAX: usize = 20;

    /// No attributes.
    pub const EMPTY: Self = Self(BTreeMap::new());

    /// Collects attributes.
    ///
    /// # Errors
    /// [`AttributeError::TooMany`], or [`AttributeError::Duplicate`] for a name that is
    /// there twice.
    pub fn new(
        attributes: impl IntoIterator<Item = (AttributeName, AttributeValue)>,
    ) -> Result<Self, AttributeError> {
        let mut all = Self::default();
        for (name, value) in attributes {
            all.insert(name, value)?;
        }
        Ok(all)
    }

    /// The value of an attribute.
    pub fn get(&self, name: &AttributeName) -> Option<&AttributeValue> {
        self.0.get(name)
    }

    /// The attributes by name.
    pub fn iter(&self) -> impl Iterator<Item = (&AttributeName, &AttributeValue)> {
        self.0.iter()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, name: AttributeName, value: AttributeValue) -> Result<(), AttributeError> {
        if self.0.contains_key(&name) {
            return Err(AttributeError::Duplicate(name));
        }
        if self.0.len() >= Self::MAX {
            return Err(AttributeError::TooMany);
        }
        self.0.insert(name, value);
        Ok(())
    }
}

/// The value of an attribute. Values of different kinds are never equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributeValue {
    /// True or false.
    Bool(bool),
    /// A number.
    Number(AttributeNumber),
    /// A text.
    Text(AttributeText),
}

impl AttributeValue {
    /// A text as a value.
    ///
    /// # Errors
    /// [`AttributeError::TextTooLong`] or [`AttributeError::ControlCharacter`].
    pub fn text(text: impl AsRef<str>) -> Result<Self, AttributeError> {
        AttributeText::new(text).map(Self::Text)
    }

    /// A number as a value.
    ///
    /// # Errors
    /// [`AttributeError::NumberOutOfRange`].
    pub fn number(number: Decimal) -> Result<Self, AttributeError> {
        AttributeNumber::new(number).map(Self::Number)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// The text of an attribute: at most 255 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeText(SmolStr);

impl AttributeText {
    /// The most bytes of a text.
    pub const MAX: usize = 255;

    /// Validates a text.
    ///
    /// # Errors
    /// [`AttributeError::TextTooLong`] or [`AttributeError::ControlCharacter`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, AttributeError> {
        let text = text.as_ref();
        if text.len() > Self::MAX {
            return Err(AttributeError::TextTooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(AttributeError::ControlCharacter);
        }
        Ok(Self(SmolStr::new(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number of an attribute: at most four decimals, up to 100 billion on either side of
/// zero. Every reader of JSON keeps its digits.
///
/// # Example: decimals that are zero do not matter
/// ```
/// use loyalty_core::AttributeNumber;
/// let number: AttributeNumber = "-1.50".parse()?;
/// assert_eq!((number, number.to_string()), ("-1.5".parse()?, "-1.5".to_owned()));
/// assert!("0.00001".parse::<AttributeNumber>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeNumber {
    ten_thousandths: i64,
}

impl AttributeNumber {
    const MAX: i64 = 100_000_000_000;

    /// Validates size and decimals.
    ///
    /// # Errors
    /// [`AttributeError::NumberOutOfRange`].
    pub fn new(number: Decimal) -> Result<Self, AttributeError> {
        let number = number.normalize();
        let factor = 4_u32
            .checked_sub(number.scale())
            .and_then(|shift| 10_i128.checked_pow(shift));
        let scaled = factor.and_then(|factor| number.mantissa().checked_mul(factor));
        scaled
            .and_then(|scaled| i64::try_from(scaled).ok())
            .filter(|scaled| {
                scaled.unsigned_abs() <= Self::MAX.unsigned_abs().saturating_mul(10_000)
            })
            .map(|ten_thousandths| Self { ten_thousandths })
            .ok_or(AttributeError::NumberOutOfRange)
    }

    /// The number as a whole one, if it is one.
    pub const fn as_whole(self) -> Option<i64> {
        match (
            self.ten_thousandths.checked_rem(10_000),
            self.ten_thousandths.checked_div(10_000),
        ) {
            (Some(0), whole) => whole,
            _ => None,
        }
    }
}

impl FromStr for AttributeNumber {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, AttributeError> {
        let number =
            parse_decimal(text).map_err(|_: AmountError| AttributeError::NumberOutOfRange)?;
        Self::new(number)
    }
}

impl fmt::Display for AttributeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::new(self.ten_thousandths, 4).normalize().fmt(f)
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text.as_str()),
        }
    }
}

#[cfg(feature = "json")]
mod json {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
    use serde::ser::{Serialize, SerializeMap, Serializer};

    use super::{AttributeError, AttributeNumber, AttributeValue, Attributes};
    use crate::id::AttributeName;

    impl Serialize for Attributes {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut map = to.serialize_map(Some(self.0.len()))?;
            for (name, value) in &self.0 {
                map.serialize_entry(name, value)?;
            }
            map.end()
        }
    }

    impl Serialize for AttributeNumber {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            if let Some(whole) = self.as_whole() {
                return to.serialize_i64(whole);
            }
            // At most fifteen digits, which a JSON number keeps.
            let digits: f64 = self.to_string().parse().map_err(serde::ser::Error::custom)?;
            to.serialize_f64(digits)
        }
    }

    impl Serialize for AttributeValue {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Bool(value) => to.serialize_bool(*value),
                Self::Number(number) => number.serialize(to),
                Self::Text(text) => to.serialize_str(text.as_str()),
            }
        }
    }

    impl<'de> Deserialize<'de> for AttributeValue {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_any(ValueVisitor)
        }
    }

    struct ValueVisitor;

    impl Visitor<'_> for ValueVisitor {
        type Value = AttributeValue;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string, a number or a boolean")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<AttributeValue, E> {
            Ok(AttributeValue::Bool(value))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<AttributeValue, E> {
            AttributeValue::number(number.into()).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<AttributeValue, E> {
            AttributeValue::number(number.into()).map_err(E::custom)
        }

        /// The shortest digits of a number that a reader of JSON has made a float of are
        /// those that were written, up to fifteen.
        fn visit_f64<E: Error>(self, number: f64) -> Result<AttributeValue, E> {
            let number: AttributeNumber = number.to_string().parse().map_err(E::custom)?;
            Ok(AttributeValue::Number(number))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<AttributeValue, E> {
            AttributeValue::text(text).map_err(E::custom)
        }
    }

    impl<'de> Deserialize<'de> for Attributes {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_map(AttributesVisitor)
        }
    }

    struct AttributesVisitor;

    impl<'de> Visitor<'de> for AttributesVisitor {
        type Value = Attributes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Attributes, A::Error> {
            let mut all = Attributes::default();
            while let Some(name) = members.next_key::<AttributeName>()? {
                let value = members.next_value()?;
                all.insert(name, value).map_err(|error| {
                    if let AttributeError::Duplicate(name) = error {
                        // In serde's words for the members of a structure.
                        return A::Error::custom(format_args!("duplicate field `{name}`"));
                    }
                    A::Error::custom(error)
                })?;
            }
            Ok(all)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn numbers_have_four_decimals_up_to_a_hundred_billion() {
        for (text, want) in [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("1.50", Some("1.5")),
            ("-0.0001", Some("-0.0001")),
            ("0.00001", None),
            ("100000000000", Some("100000000000")),
            ("-100000000000", Some("-100000000000")),
            ("100000000000.0001", None),
            ("1e3", None),
            ("", None),
        ] {
            let number = text.parse::<AttributeNumber>().ok();
            assert_eq!(number.map(|number| number.to_string()).as_deref(), want, "{text:?}");
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn attributes_are_bounded_and_survive_the_round_trip() {
        let cases = [
            ("{}", Ok("{}")),
            (r#"{"a":true,"b":-3,"c":"x","d":99999999999.9999}"#, Ok("")),
            (r#"{"a":1.50}"#, Ok(r#"{"a":1.5}"#)),
            (r#"{"a":""}"#, Ok("")),
            (r#"{"a":0.00001}"#, Err("100,000,000,000")),
            (r#"{"a":1e300}"#, Err("100,000,000,000")),
            (r#"{"a":null}"#, Err("expected a string, a number or a boolean")),
            (r#"{"a":[1]}"#, Err("expected a string, a number or a boolean")),
            (r#"{"a":"\u0000"}"#, Err("no control characters")),
            (r#"{"":1}"#, Err("must not be empty")),
            (r#"{"a":1,"a":2}"#, Err("duplicate field `a`")),
        ];
        for (json, want) in cases {
            let read = serde_json::from_str::<Attributes>(json);
            match (read, want) {
                (Ok(read), Ok(want)) => {
                    let want = if want.is_empty() { json } else { want };
                    assert_eq!(serde_json::to_string(&read).unwrap(), want);
                }
                (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
                (read, want) => assert_eq!(format!("{read:?}"), format!("{want:?}"), "{json}"),
            }
        }

        let many = |count: usize| {
            Attributes::new(
                (0..count).map(|index| (index.to_string().parse().unwrap(), true.into())),
            )
        };
        assert!(many(Attributes::MAX).is_ok());
        assert_eq!(many(Attributes::MAX + 1), Err(AttributeError::TooMany));
        assert_eq!(AttributeValue::text("x".repeat(256)), Err(AttributeError::TextTooLong));
    }
}
