//! The plain values of a plugin's body, for serde's `deserialize_with`.
//!
//! PHP does not care whether an id or an amount is a number or a text, so either is taken. An amount is
//! read from the received text and never goes through a binary float. What can't be read is refused by
//! a [`Fault`] that does not repeat the value, since values are personal data and errors reach logs.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::php;

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("must not be empty")]
    Empty,
    #[error("must not hold control characters")]
    ControlCharacter,
    #[error("expected a decimal number, plain or as a text")]
    NotDecimal,
    #[error("has more digits than an amount can hold")]
    OutOfRange,
    #[error("expected 1, 0, true or false, plain or as a text")]
    NotFlag,
    #[error("expected a date as YYYY-MM-DD, or nothing")]
    NotDate,
    #[error("expected a time in whole seconds since 1970")]
    NotTime,
}

/// An id or another text that must be there.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_id(deserializer)?.ok_or_else(|| D::Error::custom(Fault::Empty))
}

/// An id or another one-line text; nothing for null and the empty text.
pub(super) fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text_without(char::is_control, deserializer)
}

/// A customer's id; nothing for null, the empty text and the stores' id of a guest, which is 0.
pub(super) fn customer_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(optional_id(deserializer)?.filter(|id| id != "0"))
}

/// A name; nothing for null and the empty text. It may have line breaks, but no NUL.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text_without(|letter| letter == '\0', deserializer)
}

/// A birthday, sent as a date, sometimes with a time of midnight; nothing for null, the empty text and the
/// databases' date of zeros.
pub(super) fn birthday<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    let Some(text) = deserializer.deserialize_any(Text)?.filter(|text| !text.starts_with("0000-00-00")) else {
        return Ok(None);
    };
    let date = text.split([' ', 'T']).next().filter(|date| date.len() == "YYYY-MM-DD".len());
    let date = date.and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
    date.map(Some).ok_or_else(|| D::Error::custom(Fault::NotDate))
}

/// An instant in whole seconds since 1970.
pub(super) fn unix_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = deserializer.deserialize_any(Text)?;
    text.and_then(|text| text.parse().ok()).ok_or_else(|| D::Error::custom(Fault::NotTime))
}

/// An amount that must be there.
pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    optional_amount(deserializer)?.ok_or_else(|| D::Error::custom(Fault::NotDecimal))
}

/// An amount or a quantity; zero for null and the empty text, which is how a product without one is sent.
pub(super) fn amount_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    optional_amount(deserializer).map(Option::unwrap_or_default)
}

/// Yes or no, in any of PHP's spellings; no for null and the empty text.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match <&RawValue>::deserialize(deserializer)?.get() {
        "1" | "true" | "\"1\"" | "\"true\"" => Ok(true),
        "0" | "false" | "\"0\"" | "\"false\"" | "\"\"" | "null" => Ok(false),
        _ => Err(D::Error::custom(Fault::NotFlag)),
    }
}

fn text_without<'de, D: Deserializer<'de>>(
    is_refused: impl Fn(char) -> bool,
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match deserializer.deserialize_any(Text)? {
        Some(text) if text.contains(is_refused) => Err(D::Error::custom(Fault::ControlCharacter)),
        text => Ok(text.map(Cow::into_owned)),
    }
}

fn optional_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    match <&RawValue>::deserialize(deserializer)?.get() {
        "null" | "\"\"" => Ok(None),
        text => {
            let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            decimal(unquoted.unwrap_or(text)).map(Some).map_err(D::Error::custom)
        }
    }
}

/// A text, or a whole number as one; nothing for null and the empty text.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then_some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then(|| Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A list of objects. PHP writes one whose keys have gaps as an object, and none at all sometimes as null.
pub(super) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(Object(item)) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some((IgnoredAny, Object(item))) = entries.next_entry()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List(PhantomData))
}

/// An object that may be missing. PHP writes an empty one as an empty list.
pub(super) fn optional_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Maybe<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Maybe<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<T>, A::Error> {
            match items.next_element::<IgnoredAny>()? {
                None => Ok(None),
                Some(_) => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members)).map(Some)
        }
    }

    deserializer.deserialize_any(Maybe(PhantomData))
}

/// An object and nothing else: a derived `Deserialize` alone would also take a list of its fields' values.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Reads a JSON number exactly, with or without an exponent (PHP writes one for very large and very small
/// floats).
fn decimal(text: &str) -> Result<Decimal, Fault> {
    if !php::is_number(text) {
        return Err(Fault::NotDecimal);
    }
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Decimal::from_str_exact(text).map_err(|_| Fault::OutOfRange);
    };
    let mantissa = Decimal::from_str_exact(mantissa).map_err(|_| Fault::OutOfRange)?.normalize();
    let exponent: i32 = exponent.parse().map_err(|_| Fault::OutOfRange)?;
    shifted(mantissa, exponent).ok_or(Fault::OutOfRange)
}

/// `value` × 10^`exponent`, unless it has more digits than a [`Decimal`].
fn shifted(value: Decimal, exponent: i32) -> Option<Decimal> {
    let scale = i64::from(value.scale()).checked_sub(i64::from(exponent))?;
    let Ok(scale) = u32::try_from(scale) else {
        let zeros = u32::try_from(scale.checked_neg()?).ok()?;
        let whole = value.mantissa().checked_mul(10_i128.checked_pow(zeros)?)?;
        return Decimal::try_from_i128_with_scale(whole, 0).ok();
    };
    Decimal::try_from_i128_with_scale(value.mantissa(), scale).ok()
}
