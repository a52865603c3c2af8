//! The scalar values of a plugin's body, for serde's `deserialize_with`.
//!
//! PHP converts freely between numbers and strings, so ids and amounts are accepted as
//! either. An amount is parsed from the received text and never passes through a binary
//! float. A value that can't be parsed fails with a [`ScalarError`]. It does not repeat
//! the value, which can be personal data.
//!
//! A plugin sends each event only once, so an order must not be lost for an optional
//! value. An invalid e-mail address or birthday counts as not sent. Values that are too
//! long or have too many decimals are cut or rounded.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use chrono::NaiveDate;
use hyper::Uri;
use loyalty_core::discount::Code;
use loyalty_core::{Email, Quantity};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::php;

/// The reason why a value can't be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum ScalarError {
    #[error("must not be empty")]
    Empty,
    #[error("must not be negative")]
    Negative,
    #[error("expected a decimal number, as a number or a string")]
    NotDecimal,
    #[error("expected a time in whole seconds since 1970")]
    NotTime,
    #[error("expected an http or https URL of at most {MAX_URL} bytes")]
    NotUrl,
    #[error("must not contain a NUL character")]
    Nul,
    #[error("has more digits than an amount can hold")]
    OutOfRange,
}

/// The maximum length of a URL, in bytes.
const MAX_URL: usize = 2_000;

/// A required id.
pub(crate) fn id<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    optional_id(deserializer)?.ok_or_else(|| D::Error::custom(ScalarError::Empty))
}

/// An optional id; `None` for null and the empty string.
pub(crate) fn optional_id<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    parse_text(deserializer.deserialize_any(TextVisitor)?)
}

/// A customer's id; `None` for null, the empty string, and 0, which stores send for a
/// guest.
pub(crate) fn customer_id<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    parse_text(deserializer.deserialize_any(TextVisitor)?.filter(|id| id != "0"))
}

/// An e-mail address; `None` if it is not valid.
pub(crate) fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Email>, D::Error> {
    Ok(text_without_nul(deserializer)?.and_then(|text| Email::new(&text).ok()))
}

/// A name or other line, cut to `MAX` characters; control characters become spaces.
pub(crate) fn text_line<'de, const MAX: usize, D>(
    deserializer: D,
) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    Ok(text_without_nul(deserializer)?.map(|text| text.chars().take(MAX).map(plain).collect()))
}

/// A birthday, sent as a date or as a time of midnight; `None` if it is not valid, such
/// as the empty string or the date of zeros of some databases.
pub(crate) fn birthday<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NaiveDate>, D::Error> {
    let text: Option<String> =
        serde_json::from_str(<&RawValue>::deserialize(deserializer)?.get()).ok();
    let date = text.as_deref().and_then(|text| text.split([' ', 'T']).next());
    // chrono would also accept fewer digits.
    let date = date.filter(|date| date.len() == "YYYY-MM-DD".len());
    Ok(date.and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()))
}

/// An instant in whole seconds since 1970.
pub(crate) fn unix_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = deserializer.deserialize_any(TextVisitor)?;
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| D::Error::custom(ScalarError::NotTime))
}

/// A required http or https URL.
pub(crate) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_url(deserializer)?.ok_or_else(|| D::Error::custom(ScalarError::Empty))
}

/// An optional http or https URL; `None` for null and the empty string.
pub(crate) fn optional_url<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match deserializer.deserialize_any(TextVisitor)? {
        Some(text) if !is_url(&text) => Err(D::Error::custom(ScalarError::NotUrl)),
        text => Ok(text.map(Cow::into_owned)),
    }
}

/// A required amount that is not negative.
pub(crate) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    check_not_negative(number(deserializer)?)
}

/// An amount that is not negative; zero for null and the empty string, which are sent for
/// a product without a price.
pub(crate) fn amount_or_zero<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Decimal, D::Error> {
    check_not_negative(optional_number(deserializer)?.unwrap_or_default())
}

/// A required amount; a negative one counts as zero.
pub(crate) fn amount_at_least_zero<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Decimal, D::Error> {
    Ok(number(deserializer)?.max(Decimal::ZERO))
}

/// A number of units, rounded half up to three decimals.
pub(crate) fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
    let units =
        number(deserializer)?.round_dp_with_strategy(3, RoundingStrategy::MidpointAwayFromZero);
    Quantity::new(units).map_err(D::Error::custom)
}

fn parse_text<T: FromStr<Err: Display>, E: Error>(
    text: Option<Cow<'_, str>>,
) -> Result<Option<T>, E> {
    text.map(|text| text.parse().map_err(E::custom)).transpose()
}

fn text_without_nul<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    match deserializer.deserialize_any(TextVisitor)? {
        Some(text) if text.contains('\0') => Err(D::Error::custom(ScalarError::Nul)),
        text => Ok(text),
    }
}

fn is_url(text: &str) -> bool {
    let uri = text.parse::<Uri>().ok().filter(|_| text.len() <= MAX_URL);
    uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host() != Some("")
    })
}

/// Fails for a negative amount. PHP writes some rounded zeros as `-0`, which is not
/// negative.
fn check_not_negative<E: Error>(amount: Decimal) -> Result<Decimal, E> {
    if amount < Decimal::ZERO { Err(E::custom(ScalarError::Negative)) } else { Ok(amount) }
}

pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    optional_number(deserializer)?.ok_or_else(|| D::Error::custom(ScalarError::NotDecimal))
}

fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Decimal>, D::Error> {
    match <&RawValue>::deserialize(deserializer)?.get() {
        "null" | "\"\"" => Ok(None),
        text => {
            let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            parse_decimal(unquoted.unwrap_or(text))
                .map(Some)
                .map_err(D::Error::custom)
        }
    }
}

/// Visits a string, or a whole number as a string; `None` for null and the empty string.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
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

/// A list of objects. PHP encodes a list whose keys have gaps as an object, and sometimes
/// an empty one as null.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
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

    deserializer.deserialize_any(ListVisitor(PhantomData))
}

/// A list of objects; empty if one of them cannot be read.
pub(crate) fn readable_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    Ok(list(&mut serde_json::Deserializer::from_str(raw)).unwrap_or_default())
}

/// Discount codes: strings, or objects with a `code`, single or in a list. Invalid codes
/// are ignored.
pub(crate) fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Code>, D::Error> {
    fn one(value: &Value) -> Option<Code> {
        match value {
            Value::String(text) => Code::new(text).ok(),
            Value::Number(number) => Code::new(&number.to_string()).ok(),
            Value::Object(members) => {
                members.get("code").filter(|code| !code.is_object()).and_then(one)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => None,
        }
    }

    let value = Value::deserialize(deserializer)?;
    Ok(match &value {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        // A list whose keys have gaps.
        Value::Object(members) if !members.contains_key("code") => {
            members.values().filter_map(one).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            one(&value).into_iter().collect()
        }
    })
}

/// An optional object. PHP encodes an empty one as an empty list.
pub(crate) fn optional_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct OptionalObjectVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OptionalObjectVisitor<T> {
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

    deserializer.deserialize_any(OptionalObjectVisitor(PhantomData))
}

/// Accepts an object only. A derived `Deserialize` would also accept a list of the
/// fields' values.
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

/// Parses a JSON number exactly, with or without an exponent, which PHP writes for very
/// large and very small floats.
fn parse_decimal(text: &str) -> Result<Decimal, ScalarError> {
    if !php::is_number(text) {
        return Err(ScalarError::NotDecimal);
    }
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Decimal::from_str_exact(text).map_err(|_| ScalarError::OutOfRange);
    };

    let mantissa = Decimal::from_str_exact(mantissa)
        .map_err(|_| ScalarError::OutOfRange)?
        .normalize();
    let exponent: i32 = exponent.parse().map_err(|_| ScalarError::OutOfRange)?;
    scale_by_power(mantissa, exponent).ok_or(ScalarError::OutOfRange)
}

/// `value` × 10^`exponent`; `None` if it has more digits than a [`Decimal`].
fn scale_by_power(value: Decimal, exponent: i32) -> Option<Decimal> {
    let scale = i64::from(value.scale()).checked_sub(i64::from(exponent))?;
    let Ok(scale) = u32::try_from(scale) else {
        let zeros = u32::try_from(scale.checked_neg()?).ok()?;
        let whole = value.mantissa().checked_mul(10_i128.checked_pow(zeros)?)?;
        return Decimal::try_from_i128_with_scale(whole, 0).ok();
    };
    Decimal::try_from_i128_with_scale(value.mantissa(), scale).ok()
}
