//! The core's values on the wire: read from strings, and written as strings.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use chrono::{NaiveDate, TimeDelta};
use loyalty_core::amount::AmountError;
use loyalty_core::discount::{Code as DiscountCode, CodeError};
use loyalty_core::figures::GroupedNumber;
use loyalty_core::id::IdError;
use loyalty_core::text::is_invisible;
use loyalty_core::{
    ActionId, Amount, CategoryId, ChannelId, CheckoutId, CountryId, Currency, CustomerId, Email,
    LineId, OrderId, Points, ProductId, ProgramVersion, Quantity, RefundId, RewardId, SegmentId,
    Tag, TierId, Timestamp, VariantId,
};
use loyalty_store::{NumericId, ProductStatus};
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::json::field::{DecimalText, FieldError, FromText};
use super::json::{BodyErrorCode, field_error};
use super::schema::{self, same_schema};
use crate::problem::Problem;

/// A field of a body that is a string and becomes a value of the core.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParsedField<T>(pub(crate) T);

impl<'de, T: FromText> Deserialize<'de> for ParsedField<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(ParsedFieldVisitor(PhantomData))
            .map(Self)
    }
}

impl<T: FromText> JsonSchema for ParsedField<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<Self>().into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

struct ParsedFieldVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for ParsedFieldVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(|refusal| field_error(refusal.code, refusal.detail))
    }
}

/// 422 for a value in the path, the query or a header.
pub(crate) fn param_problem(refusal: FieldError, param: &str) -> Problem {
    Problem::unprocessable(refusal.code.as_str(), refusal.detail).with_param(param)
}

/// Puts a prefix before a problem's pointer, for a value nested in the body.
pub(crate) fn prefix_pointer(prefix: &str, problem: Problem) -> Problem {
    let pointer = format!("{prefix}{}", problem.param().unwrap_or_default());
    problem.with_param(pointer)
}

macro_rules! impl_from_text_for_ids {
    ($check:ident: $($id:ty),*) => {$(
        impl FromText for $id {
            const EXPECTED: &'static str = "a string";

            fn from_text(text: &str) -> Result<Self, FieldError> {
                $check(text)?;
                Self::new(text).map_err(|error| {
                    let code = if error == IdError::TooLong { BodyErrorCode::OutOfRange } else { BodyErrorCode::InvalidValue };
                    FieldError::new(code, format!("This {error}."))
                })
            }

            fn schema(generator: &mut SchemaGenerator) -> Schema {
                generator.subschema_for::<schema::Id>()
            }
        }
    )*};
}

impl_from_text_for_ids!(
    check_visible: ActionId, ChannelId, CheckoutId, CountryId, CustomerId, LineId, OrderId, ProductId, RefundId,
    RewardId, SegmentId, TierId, VariantId
);
// Names in the shop's language, where joiners between letters are spelling.
impl_from_text_for_ids!(accept_any: CategoryId, Tag);

/// Refuses an id with characters that nobody sees: a copy of it would be another id.
fn check_visible(text: &str) -> Result<(), FieldError> {
    if text.trim() == text && !text.chars().any(is_invisible) {
        return Ok(());
    }
    let detail = "An id can't have blanks around it, or invisible characters.";
    Err(FieldError::new(BodyErrorCode::InvalidValue, detail))
}

#[expect(clippy::unnecessary_wraps, reason = "the same type as the check of ids")]
fn accept_any(_: &str) -> Result<(), FieldError> {
    Ok(())
}

impl FromText for DiscountCode {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        Self::new(text).map_err(|error| {
            let code = if error == CodeError::TooLong {
                BodyErrorCode::OutOfRange
            } else {
                BodyErrorCode::InvalidValue
            };
            FieldError::new(code, format!("This {error}."))
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::CodeText>()
    }
}

impl FromText for Email {
    const EXPECTED: &'static str = "an e-mail address";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        Self::new(text)
            .map_err(|error| FieldError::new(BodyErrorCode::InvalidValue, format!("This {error}.")))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Email>()
    }
}

impl FromText for Currency {
    const EXPECTED: &'static str = "a currency such as \"EUR\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let unknown = || {
            FieldError::new(
                BodyErrorCode::InvalidValue,
                "This is no currency code of ISO 4217, as EUR is.",
            )
        };
        Self::from_code(text).ok_or_else(unknown)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Currency>()
    }
}

impl FromText for Amount {
    const EXPECTED: &'static str = DecimalText::EXPECTED;

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let DecimalText(value) = DecimalText::from_text(text)?;
        Self::new(value).map_err(amount_error)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Amount>()
    }
}

impl FromText for ProgramVersion {
    const EXPECTED: &'static str = "a version such as \"3\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        parse_number(text).map(Self).ok_or_else(|| {
            FieldError::new(BodyErrorCode::InvalidValue, "This is no version number, as 3 is.")
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Numeral>()
    }
}

impl FromText for ProductStatus {
    const EXPECTED: &'static str = "a status such as \"active\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let known = Self::ALL.into_iter().find(|status| status.name() == text);
        known.ok_or_else(|| {
            FieldError::new(BodyErrorCode::InvalidValue, "This must be active, archived or draft.")
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        schema::one_of_names(Self::ALL.map(Self::name))
    }
}

impl FromText for NumericId {
    const EXPECTED: &'static str = "a whole number from 1";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let beyond = || {
            FieldError::new(
                BodyErrorCode::InvalidValue,
                "This must be a whole number from 1 to 9,007,199,254,740,991.",
            )
        };
        parse_number(text).and_then(Self::new).ok_or_else(beyond)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<schema::Numeral>()
    }
}

/// Parses digits; no sign, no blanks.
pub(crate) fn parse_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn amount_error(error: AmountError) -> FieldError {
    FieldError::new(BodyErrorCode::OutOfRange, format!("This {error}."))
}

/// Refuses a time that is more than a day ahead of the server's clock. It would be later than
/// all corrections, and so decide for ever.
pub(crate) fn check_not_ahead(
    at: Option<Timestamp>,
    now: Timestamp,
    pointer: &str,
) -> Result<(), Problem> {
    let latest = now.checked_add_signed(TimeDelta::days(1)).unwrap_or(now);
    if at.is_none_or(|at| at <= latest) {
        return Ok(());
    }
    let detail = "This time is more than a day ahead of the server's clock.";
    Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail).with_param(pointer))
}

/// Returns true if a day has not begun anywhere.
pub(crate) fn is_future_day(day: NaiveDate, now: Timestamp) -> bool {
    // The first zone is 14 hours ahead of UTC.
    let latest = now.checked_add_signed(TimeDelta::hours(14)).unwrap_or(now);
    day > latest.date_naive()
}

/// Refuses an amount with more decimals than the shop's currency.
pub(crate) fn check_decimals(
    amount: Amount,
    minor_digits: u32,
    pointer: impl FnOnce() -> String,
) -> Result<(), Problem> {
    if amount.get().normalize().scale() <= minor_digits {
        return Ok(());
    }
    let detail = "This amount has more decimals than the shop's currency.";
    Err(Problem::unprocessable("finer_than_currency", detail).with_param(pointer()))
}

/// Points that are given or taken: at least `least`.
pub(crate) fn parse_points(number: i64, least: i64, pointer: &str) -> Result<Points, Problem> {
    Points::new(number)
        .filter(|points| points.get() >= least)
        .ok_or_else(|| {
            let detail = format!(
                "This must be a whole number of points from {least} to {}.",
                GroupedNumber(Points::MAX)
            );
            Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail).with_param(pointer)
        })
}

/// A number of units: a whole JSON number, or a decimal in a string for goods by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuantityField(pub(crate) Quantity);

impl<'de> Deserialize<'de> for QuantityField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityFieldVisitor)
    }
}

struct QuantityFieldVisitor;

impl Visitor<'_> for QuantityFieldVisitor {
    type Value = QuantityField;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number, or a decimal in a string such as \"1.5\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<QuantityField, E> {
        parse_quantity(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<QuantityField, E> {
        parse_quantity(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<QuantityField, E> {
        // A whole number past 64 bits arrives here as well.
        if number.abs() >= 1e15 {
            return Err(field_error(BodyErrorCode::OutOfRange, "The number is too big."));
        }
        let sentence = "This must be a whole number, or a decimal in a string such as \"1.5\".";
        Err(field_error(BodyErrorCode::WrongType, sentence))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<QuantityField, E> {
        let value = DecimalText::from_text(text)
            .map_err(|refusal| field_error(refusal.code, refusal.detail))?;
        parse_quantity(value.0)
    }
}

fn parse_quantity<E: Error>(value: Decimal) -> Result<QuantityField, E> {
    let refused = |error| {
        let refusal = amount_error(error);
        field_error(refusal.code, refusal.detail)
    };
    Quantity::new(value).map(QuantityField).map_err(refused)
}

/// A number of the store, written as a string like all ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdText(pub(crate) i64);

impl Serialize for IdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A time, written as RFC 3339 in UTC, with as many fractional digits as it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeText(pub(crate) Timestamp);

impl Serialize for TimeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

same_schema! {
    () IdText => schema::Numeral,
    () QuantityField => schema::Units,
    () TimeText => schema::Time,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn units_are_whole_or_decimal() {
        let read = |text: &str| {
            serde_json::from_str::<QuantityField>(text).map(|units| units.0.thousandths())
        };
        for (text, want) in [
            ("0", 0),
            ("3", 3_000),
            ("\"1.5\"", 1_500),
            ("\"2.0000\"", 2_000),
            ("1000000", 1_000_000_000),
        ] {
            assert_eq!(read(text).unwrap(), want, "{text}");
        }
        for (text, code) in [
            ("-1", "out_of_range"),
            ("\"-0.5\"", "out_of_range"),
            ("1000001", "out_of_range"),
            ("18446744073709551616", "out_of_range"),
            ("\"0.0001\"", "out_of_range"),
            ("1.5", "wrong_type"),
            ("\"1e3\"", "invalid_value"),
        ] {
            assert!(read(text).unwrap_err().to_string().starts_with(code), "{text}");
        }
    }

    #[test]
    fn times_have_the_digits_that_they_need() {
        for text in
            ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.120Z", "9999-12-31T23:59:59.999999Z"]
        {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&TimeText(time)).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn ids_have_no_invisible_characters() {
        for (text, is_valid) in [
            ("42", true),
            ("c-1 001", true),
            ("\u{1f6d2}/\u{c4}", true),
            (" 42", false),
            ("42 ", false),
            ("42\u{a0}", false),
            ("4\u{200b}2", false),
            ("42\u{ad}", false),
            ("\u{202e}42", false),
            ("42\u{feff}", false),
            ("42\u{e0041}", false),
        ] {
            assert_eq!(CustomerId::from_text(text).is_ok(), is_valid, "{text:?}");
            assert_eq!(OrderId::from_text(text).is_ok(), is_valid, "{text:?}");
        }
        // A word of Persian, spelled as its readers do.
        assert!(Tag::from_text("\u{645}\u{6cc}\u{200c}\u{62e}").is_ok());
    }

    #[test]
    fn days_and_times_ahead_are_told() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        for (day, is_future) in [("2026-03-01", false), ("2026-03-02", false), ("2026-03-03", true)]
        {
            assert_eq!(is_future_day(day.parse().unwrap(), now), is_future, "{day}");
        }
        for (at, is_valid) in [
            ("2026-02-01T00:00:00Z", true),
            ("2026-03-02T12:00:00Z", true),
            ("2026-03-02T12:00:01Z", false),
            ("9999-01-01T00:00:00Z", false),
        ] {
            let checked = check_not_ahead(Some(at.parse().unwrap()), now, "/updated_at");
            assert_eq!(checked.is_ok(), is_valid, "{at}");
        }
        assert!(check_not_ahead(None, now, "/updated_at").is_ok());
    }

    #[test]
    fn amounts_are_plain_and_bounded() {
        for (text, want) in [
            ("12.50", Ok("12.50")),
            ("-0.01", Err(BodyErrorCode::OutOfRange)),
            ("0.00001", Err(BodyErrorCode::OutOfRange)),
            ("100000000000.01", Err(BodyErrorCode::OutOfRange)),
            ("1e3", Err(BodyErrorCode::InvalidValue)),
        ] {
            let got = Amount::from_text(text)
                .map(|amount| amount.to_string())
                .map_err(|refusal| refusal.code);
            assert_eq!(got, want.map(str::to_owned), "{text}");
        }
    }
}
