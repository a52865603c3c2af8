//! The types of a body's fields: a value of one of them is in its bounds.
//!
//! Each is a newtype around what the core works with. The ones written as strings are
//! [`FromText`], so that query parameters are read by the same rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{BodyErrorCode, field_error};
use crate::wire::schema;

/// A value that is written as a string.
pub trait FromText: Sized {
    /// The words for error sentences: "This must be {EXPECTED}, not …".
    const EXPECTED: &'static str;

    /// Reads the string.
    fn from_text(text: &str) -> Result<Self, FieldError>;

    /// The JSON Schema of the string.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// The reason why a string is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FieldError {
    /// [`BodyErrorCode::OutOfRange`] or [`BodyErrorCode::InvalidValue`].
    pub code: BodyErrorCode,
    /// The sentence for the client.
    pub detail: String,
}

impl FieldError {
    /// An error with a sentence for the client.
    pub(crate) fn new(code: BodyErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

struct FromTextVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for FromTextVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(|refusal| field_error(refusal.code, refusal.detail))
    }
}

macro_rules! impl_deserialize_from_text {
    ($(($($generics:tt)*) $type:ty),* $(,)?) => {
        $(impl<'de, $($generics)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromTextVisitor(PhantomData))
            }
        }

        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                Self::schema(generator)
            }
        })*
    };
}

impl_deserialize_from_text! {
    (const MAX: usize) Text<MAX>,
    () TimeField,
    () Date,
    () DecimalText,
}

/// Free text without control characters, at most `MAX` characters, unchanged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as its own string.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> AsRef<str> for Text<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromText for Text<MAX> {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        if text.chars().any(char::is_control) {
            return Err(FieldError::new(
                BodyErrorCode::InvalidValue,
                "Control characters (NUL, line breaks and the like) can't be here.",
            ));
        }
        // No character is shorter than a byte.
        if text.len() > MAX && text.chars().count() > MAX {
            return Err(FieldError::new(
                BodyErrorCode::OutOfRange,
                format!("This text can have at most {MAX} characters."),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Text<MAX>>()
    }
}

/// An instant: RFC 3339 with its offset, in the years 1970 to 9999. No leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeField(pub DateTime<Utc>);

impl FromText for TimeField {
    const EXPECTED: &'static str = "a time such as \"2026-03-01T12:00:00Z\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let invalid = || {
            let sentence = "This is no RFC 3339 time with an offset, as 2026-03-01T12:00:00Z is.";
            FieldError::new(BodyErrorCode::InvalidValue, sentence)
        };
        // chrono also takes a blank for the T, and a minus that is not ASCII's.
        let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
        if !separated || !text.is_ascii() {
            return Err(invalid());
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| invalid())?;
        if time.nanosecond() >= 1_000_000_000 {
            let sentence = "Leap seconds can't be counted; send the second before or after.";
            return Err(FieldError::new(BodyErrorCode::InvalidValue, sentence));
        }
        let time = time.with_timezone(&Utc);
        if !(1970..=9999).contains(&time.year()) {
            let sentence = "The year must be one from 1970 to 9999, in UTC.";
            return Err(FieldError::new(BodyErrorCode::OutOfRange, sentence));
        }
        Ok(Self(time))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Time>()
    }
}

/// A day without a zone: `YYYY-MM-DD`, from the year 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub NaiveDate);

impl FromText for Date {
    const EXPECTED: &'static str = "a date such as \"1990-12-31\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        parse_date(text).map(Self).ok_or_else(|| {
            let sentence = "This is no date of the calendar as YYYY-MM-DD.";
            FieldError::new(BodyErrorCode::InvalidValue, sentence)
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Date>()
    }
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let year = parse_digits(year, 4).filter(|year| *year > 0)?;
    NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        parse_digits(month, 2)?,
        parse_digits(day, 2)?,
    )
}

/// Exactly `count` digits.
fn parse_digits(text: &str, count: usize) -> Option<u32> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| text.parse().ok()).flatten()
}

/// A decimal in a string, such as `"12.50"`: optional sign, at most 12 digits before the point
/// and 6 after it, no exponent. JSON numbers are refused: they are binary fractions to many
/// programs on their way here. Digits after the point are kept (`"12.50"` stays 12.50).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecimalText(pub Decimal);

impl FromText for DecimalText {
    const EXPECTED: &'static str = "a decimal in a string, such as \"12.50\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let invalid = || {
            let sentence = "This is no plain decimal, as \"12.50\" or \"-3\" are.";
            FieldError::new(BodyErrorCode::InvalidValue, sentence)
        };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) if is_number(fraction) => (whole, fraction),
            Some(_) => return Err(invalid()),
            None => (unsigned, ""),
        };
        if !is_number(whole) {
            return Err(invalid());
        }
        if whole.len() > 12 || fraction.len() > 6 {
            let sentence = "At most 12 digits can stand before the point and 6 after it.";
            return Err(FieldError::new(BodyErrorCode::OutOfRange, sentence));
        }
        Decimal::from_str_exact(text).map(Self).map_err(|_| invalid())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Amount>()
    }
}

/// A whole JSON number that fits into 64 bits. No fraction, no exponent, no string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Integer(pub i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Integer, E> {
        Ok(Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Integer, E> {
        i64::try_from(number).map(Integer).map_err(|_| too_big())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Integer, E> {
        // A whole number past 64 bits arrives here as well: 2^64 is no fraction, but too big.
        if number.abs() >= 9_223_372_036_854_775_808.0 {
            return Err(too_big());
        }
        let sentence = "This must be a whole number, without a fraction or an exponent.";
        Err(field_error(BodyErrorCode::WrongType, sentence))
    }
}

fn too_big<E: Error>() -> E {
    field_error(BodyErrorCode::OutOfRange, "The number is too big.")
}

/// A field of a PATCH: absent (no change), null (cleared), or a new value.
///
/// The field needs `#[serde(default)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchField<T> {
    /// Absent: unchanged.
    #[default]
    Keep,
    /// Null: cleared.
    Clear,
    /// The new value.
    Set(T),
}

impl<T: JsonSchema> JsonSchema for PatchField<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for PatchField<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::deserialize(deserializer)?;
        Ok(value.map_or(Self::Clear, Self::Set))
    }
}

/// An object with free keys, each at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueMap<K, V>(pub BTreeMap<K, V>);

impl<'de, K, V> Deserialize<'de> for UniqueMap<K, V>
where
    K: Deserialize<'de> + Ord + AsRef<str>,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for UniqueVisitor<K, V>
where
    K: Deserialize<'de> + Ord + AsRef<str>,
    V: Deserialize<'de>,
{
    type Value = UniqueMap<K, V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<K>()? {
            if map.contains_key(&key) {
                let key = key.as_ref();
                // In serde's own words for a structure's field.
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            map.insert(key, entries.next_value()?);
        }
        Ok(UniqueMap(map))
    }
}
