//! Points and money: exact, bounded, and added with checks only.
//!
//! [`Points`] are whole numbers. An [`Amount`] is a non-negative decimal in the currency
//! of what it belongs to, such as an order; [`Money`] is an amount with its own currency.
//! A [`Rate`] is a factor on amounts or points.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

pub use iso_currency::Currency;
use rust_decimal::Decimal;

/// A whole number of points, positive or negative.
///
/// The range is ±(2⁵³ − 1), so that every JSON client reads every balance exactly.
///
/// # Example: sums are checked
/// ```
/// use loyalty_core::Points;
/// let hundred = Points::new(100).unwrap();
/// assert_eq!(hundred.checked_add(Points::new(5).unwrap()).unwrap().get(), 105);
/// assert!(Points::MAX.checked_add(hundred).is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(try_from = "i64", into = "i64"))]
pub struct Points(i64);

impl Points {
    /// No points.
    pub const ZERO: Self = Self(0);
    /// The largest number of points: 2⁵³ − 1.
    pub const MAX: Self = Self((1 << 53) - 1);
    /// The smallest number of points: −(2⁵³ − 1).
    pub const MIN: Self = Self(-((1 << 53) - 1));

    /// Returns `count` points, or `None` if that is out of range.
    pub const fn new(count: i64) -> Option<Self> {
        if count >= Self::MIN.0 && count <= Self::MAX.0 { Some(Self(count)) } else { None }
    }

    /// The number of points.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Returns the sum, or `None` if it is out of range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    /// Returns the difference, or `None` if it is out of range.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::new)
    }

    /// Returns the sum, clamped to the range. For folds over events, whose sums `decide`
    /// has checked.
    ///
    /// # Example: a sum is clamped to the range
    /// ```
    /// use loyalty_core::Points;
    /// assert_eq!(Points::MAX.saturating_add(Points::from(1)), Points::MAX);
    /// ```
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the difference, clamped to the range. See [`Points::saturating_add`].
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the number with the opposite sign. The range is symmetric, so that this
    /// cannot fail.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// Returns true for more than zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Returns true for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Points> for i64 {
    fn from(points: Points) -> Self {
        points.0
    }
}

impl From<u32> for Points {
    fn from(count: u32) -> Self {
        Self(i64::from(count))
    }
}

impl TryFrom<i64> for Points {
    type Error = AmountError;

    fn try_from(count: i64) -> Result<Self, AmountError> {
        Self::new(count).ok_or(AmountError::OutOfRange)
    }
}

/// The reason why a text or a number is no amount, rate or number of points.
///
/// # Example: one reason for each wrong text
/// ```
/// use loyalty_core::Amount;
/// use loyalty_core::amount::AmountError;
/// assert_eq!("-0.01".parse::<Amount>(), Err(AmountError::Negative));
/// assert_eq!("1e3".parse::<Amount>(), Err(AmountError::InvalidDecimal));
/// assert_eq!("0.00001".parse::<Amount>(), Err(AmountError::TooManyDecimals));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Less than zero.
    #[error("must not be negative")]
    Negative,
    /// Not a plain decimal number such as `12.50`.
    #[error("must be a plain decimal number such as 12.50")]
    InvalidDecimal,
    /// More than the type's maximum.
    #[error("is out of range")]
    OutOfRange,
    /// More decimals than the type has.
    #[error("has too many decimals")]
    TooManyDecimals,
}

/// Parses `[-]digits[.digits]`: no exponent, no plus sign, no separators.
pub(crate) fn parse_decimal(text: &str) -> Result<Decimal, AmountError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(AmountError::InvalidDecimal);
    }

    // `Decimal::from_str` would round a number of too many digits.
    Decimal::from_str_exact(text).map_err(|error| {
        if error == rust_decimal::Error::Underflow {
            AmountError::TooManyDecimals
        } else {
            AmountError::OutOfRange
        }
    })
}

/// A non-negative amount of money, in the currency of what it belongs to.
///
/// At most [`Amount::MAX`], with at most four decimals, the most of any currency of ISO 4217.
/// The exact arithmetic of an entitlement has room for every order of such amounts. An amount
/// is written with the number of decimals with which it was read; equality ignores them.
///
/// # Example: decimals are kept, but not compared
/// ```
/// use loyalty_core::Amount;
/// let price: Amount = "12.50".parse().unwrap();
/// assert_eq!(price, "12.5".parse().unwrap());
/// assert_eq!(price.to_string(), "12.50");
/// ```
///
/// # Example: no amount is negative
/// ```
/// use loyalty_core::Amount;
/// let (five, ten) = (Amount::from(5), Amount::from(10));
/// assert_eq!(ten.checked_sub(five), Some(five));
/// assert_eq!(five.checked_sub(ten), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Amount {
    ten_thousandths: i64,
    /// Number of decimals to write; any further ones are zero.
    decimals: u32,
}

impl Amount {
    /// No money.
    pub const ZERO: Self = Self { ten_thousandths: 0, decimals: 0 };
    /// The largest amount: 100,000,000,000.
    pub const MAX: Self = Self { ten_thousandths: 1_000_000_000_000_000, decimals: 0 };
    /// The largest number of decimals of an amount.
    pub const MAX_DECIMALS: u32 = 4;

    /// Converts a decimal.
    ///
    /// # Errors
    /// A negative number, one above [`Amount::MAX`], or one of more than four decimals.
    pub fn new(value: Decimal) -> Result<Self, AmountError> {
        let ten_thousandths = scale_to_integer(value, Self::MAX_DECIMALS, 100_000_000_000)?;
        Ok(Self {
            ten_thousandths,
            decimals: value.scale().min(Self::MAX_DECIMALS),
        })
    }

    /// The amount as a decimal.
    pub fn get(self) -> Decimal {
        to_decimal(self.mantissa_and_scale())
    }

    /// The amount in ten-thousandths of the currency unit: a whole number, at most 10¹⁵.
    ///
    /// # Example: 12.50 in ten-thousandths
    /// ```
    /// use loyalty_core::Amount;
    /// let price: Amount = "12.50".parse().unwrap();
    /// assert_eq!(price.ten_thousandths(), 125_000);
    /// assert_eq!(Amount::from_ten_thousandths(125_000), Ok(price));
    /// ```
    pub const fn ten_thousandths(self) -> i64 {
        self.ten_thousandths
    }

    /// Converts a number of ten-thousandths of the currency unit.
    ///
    /// # Errors
    /// A negative number, or one above [`Amount::MAX`].
    pub fn from_ten_thousandths(count: i64) -> Result<Self, AmountError> {
        match count {
            ..0 => Err(AmountError::Negative),
            count if count > Self::MAX.ten_thousandths => Err(AmountError::OutOfRange),
            ten_thousandths => {
                let (_, decimals) = trim_zeros(ten_thousandths, Self::MAX_DECIMALS);
                Ok(Self { ten_thousandths, decimals })
            }
        }
    }

    /// Returns the sum, or `None` if it is out of range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let ten_thousandths = self.ten_thousandths.checked_add(other.ten_thousandths)?;
        let decimals = self.decimals.max(other.decimals);
        (ten_thousandths <= Self::MAX.ten_thousandths).then_some(Self { ten_thousandths, decimals })
    }

    /// Returns the difference, or `None` if it would be negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let ten_thousandths = self.ten_thousandths.checked_sub(other.ten_thousandths)?;
        let decimals = self.decimals.max(other.decimals);
        (ten_thousandths >= 0).then_some(Self { ten_thousandths, decimals })
    }

    /// Returns true for no money.
    pub const fn is_zero(&self) -> bool {
        self.ten_thousandths == 0
    }

    /// The digits of the amount as written, and the number of them that are decimals.
    fn mantissa_and_scale(self) -> (i64, u32) {
        let spare = power_of_ten(Self::MAX_DECIMALS.saturating_sub(self.decimals));
        (self.ten_thousandths.checked_div(spare).unwrap_or_default(), self.decimals)
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.ten_thousandths == other.ten_thousandths
    }
}

impl Eq for Amount {}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ten_thousandths.cmp(&other.ten_thousandths)
    }
}

impl Hash for Amount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ten_thousandths.hash(state);
    }
}

const fn power_of_ten(exponent: u32) -> i64 {
    10_i64.saturating_pow(exponent)
}

/// Returns `value` × 10^`decimals` as a whole number.
///
/// # Errors
/// A `value` that is negative, above `maximum`, or of more than `decimals` decimals.
fn scale_to_integer(value: Decimal, decimals: u32, maximum: i64) -> Result<i64, AmountError> {
    // A negative zero is zero.
    if value.is_sign_negative() && !value.is_zero() {
        return Err(AmountError::Negative);
    }

    let exact = if value.scale() > decimals { value.normalize() } else { value };
    let Some(spare) = decimals.checked_sub(exact.scale()) else {
        let too_large = value > Decimal::from(maximum);
        return Err(if too_large { AmountError::OutOfRange } else { AmountError::TooManyDecimals });
    };

    let scaled = i64::try_from(exact.mantissa())
        .ok()
        .and_then(|digits| digits.checked_mul(power_of_ten(spare)));
    scaled
        .filter(|scaled| *scaled <= maximum.saturating_mul(power_of_ten(decimals)))
        .ok_or(AmountError::OutOfRange)
}

/// Parses `digits[.digits]` of at most 15 digits, the form of nearly all amounts.
///
/// Returns the number × 10^`decimals` and the number of decimals in the text. `None` for
/// any other form, valid or not; [`parse_decimal`] decides about those.
fn parse_short_decimal(text: &str, decimals: u32) -> Option<(i64, u32)> {
    let point = text.bytes().position(|byte| byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.as_bytes().split_at_checked(point)?;
    let fraction = fraction.get(1..).unwrap_or_default();
    let written = u32::try_from(fraction.len()).ok()?;
    let spare = decimals.checked_sub(written)?;
    if whole.is_empty() || text.len() > 16 || text.ends_with('.') {
        return None;
    }

    let digits = whole.iter().chain(fraction).try_fold(0_i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte.wrapping_sub(b'0')))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    Some((digits.checked_mul(power_of_ten(spare))?, written))
}

/// Removes trailing zeros among the decimals of a number.
fn trim_zeros(mut digits: i64, mut decimals: u32) -> (i64, u32) {
    while decimals > 0 && digits % 10 == 0 {
        (digits, decimals) = (digits / 10, decimals.saturating_sub(1));
    }
    (digits, decimals)
}

fn to_decimal((digits, decimals): (i64, u32)) -> Decimal {
    Decimal::try_new(digits, decimals).unwrap_or_default()
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        match parse_short_decimal(text, Self::MAX_DECIMALS) {
            Some((ten_thousandths, decimals)) if ten_thousandths <= Self::MAX.ten_thousandths => {
                Ok(Self { ten_thousandths, decimals })
            }
            _ => Self::new(parse_decimal(text)?),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl From<u32> for Amount {
    fn from(units: u32) -> Self {
        let ten_thousandths = i64::from(units).saturating_mul(power_of_ten(Self::MAX_DECIMALS));
        Self { ten_thousandths, decimals: 0 }
    }
}

/// A factor on amounts or points: points per currency unit, or a multiplier.
///
/// Non-negative, at most 1,000,000, with at most six decimals.
///
/// # Example: one and a half points for each unit
/// ```
/// use loyalty_core::Rate;
/// let rate: Rate = "1.50".parse().unwrap();
/// assert_eq!((rate.to_string().as_str(), rate.millionths()), ("1.5", 1_500_000));
/// assert!("0.0000001".parse::<Rate>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    millionths: i64,
}

impl Rate {
    /// One to one.
    pub const ONE: Self = Self { millionths: 1_000_000 };
    /// The largest number of decimals of a rate.
    pub const MAX_DECIMALS: u32 = 6;

    /// Converts a decimal.
    ///
    /// # Errors
    /// A negative number, one above 1,000,000, or one of more than six decimals.
    pub fn new(value: Decimal) -> Result<Self, AmountError> {
        Ok(Self {
            millionths: scale_to_integer(value, Self::MAX_DECIMALS, 1_000_000)?,
        })
    }

    /// The rate as a decimal, without trailing zeros.
    pub fn get(self) -> Decimal {
        to_decimal(self.mantissa_and_scale())
    }

    /// The rate in millionths: a whole number, at most 10¹².
    pub const fn millionths(self) -> i64 {
        self.millionths
    }

    /// The digits of the rate as written, and the number of them that are decimals.
    fn mantissa_and_scale(self) -> (i64, u32) {
        trim_zeros(self.millionths, Self::MAX_DECIMALS)
    }
}

impl FromStr for Rate {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        Self::new(parse_decimal(text)?)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// An amount with its currency.
///
/// # Example: amounts of different currencies have no sum
/// ```
/// use loyalty_core::{Currency, Money};
/// let dollars = Money::new("10.00".parse().unwrap(), Currency::USD);
/// let euros = Money::new("10.00".parse().unwrap(), Currency::EUR);
/// assert!(dollars.checked_add(euros).is_none());
/// assert_eq!(dollars.checked_add(dollars).unwrap().to_string(), "20.00 USD");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Money {
    amount: Amount,
    #[cfg_attr(feature = "json", serde(with = "currency_code"))]
    currency: Currency,
}

impl Money {
    /// Returns an amount of a currency.
    pub const fn new(amount: Amount, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The amount, without its currency.
    pub const fn amount(self) -> Amount {
        self.amount
    }

    /// The currency of the amount.
    ///
    /// # Example: the minor unit of a currency
    /// ```
    /// use loyalty_core::{Amount, Currency, Money};
    /// let price = Money::new(Amount::from(500), Currency::JPY);
    /// assert_eq!(price.currency().code(), "JPY");
    /// assert_eq!(price.currency().exponent(), Some(0));
    /// assert_eq!(Currency::from_code("EUR"), Some(Currency::EUR));
    /// ```
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Returns the sum. `None` if the currencies differ, or if it is out of range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let amount = self.amount.checked_add(other.amount)?;
        Some(Self::new(amount, self.currency))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency.code())
    }
}

/// The stored form of a currency: its ISO 4217 code.
#[cfg(feature = "json")]
pub(crate) mod currency_code {
    use super::Currency;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: serde::Serializer>(
        currency: &Currency,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(currency.code())
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Currency, D::Error> {
        let code = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
        Currency::from_code(&code).ok_or_else(|| serde::de::Error::custom("no currency"))
    }
}

/// The rounding of points to whole numbers, applied once, at the end of a calculation.
///
/// # Example: names in a program
/// ```
/// use loyalty_core::Rounding;
/// assert_eq!(Rounding::default().name(), "down");
/// assert_eq!(Rounding::NAMES[1], ("half_even", Rounding::HalfEven));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Rounding {
    /// Towards zero. The default.
    #[default]
    Down,
    /// To the nearest number, halves to the even one.
    HalfEven,
    /// To the nearest number, halves up.
    HalfUp,
    /// Away from zero.
    Up,
}

impl Rounding {
    /// All modes with their names in a program.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("down", Self::Down),
        ("half_even", Self::HalfEven),
        ("half_up", Self::HalfUp),
        ("up", Self::Up),
    ];

    /// The mode's name in a program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::HalfEven => "half_even",
            Self::HalfUp => "half_up",
            Self::Up => "up",
        }
    }
}

/// For `skip_serializing_if`: records omit zeros.
#[cfg(feature = "json")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(crate) fn is_zero(points: &Points) -> bool {
    points.is_zero()
}

#[cfg(feature = "json")]
mod json {
    use super::{Amount, Rate};
    use crate::fast_fmt::StackString;

    /// Decimals are strings in JSON: many readers would turn a number into a float.
    macro_rules! as_string {
        ($($type:ty),*) => {$(
            impl serde::Serialize for $type {
                fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    match StackString::from_decimal(self.mantissa_and_scale()).as_ref().and_then(StackString::as_str) {
                        Some(text) => to.serialize_str(text),
                        None => to.collect_str(self),
                    }
                }
            }

            impl<'de> serde::Deserialize<'de> for $type {
                fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    struct Text;
                    impl serde::de::Visitor<'_> for Text {
                        type Value = $type;
                        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            f.write_str("a decimal number in a string, such as \"12.50\"")
                        }
                        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                            text.parse().map_err(E::custom)
                        }
                    }
                    from.deserialize_str(Text)
                }
            }
        )*};
    }

    as_string!(Amount, Rate);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn amounts_are_bounded_and_exact() {
        assert_eq!(Amount::MAX.to_string(), "100000000000");
        for (text, want) in [
            ("0", Ok(0)),
            ("-0.00", Ok(0)),
            ("12.50", Ok(125_000)),
            ("0.0001", Ok(1)),
            ("1.00000", Ok(10_000)),
            ("100000000000", Ok(1_000_000_000_000_000)),
            ("100000000000.0001", Err(AmountError::OutOfRange)),
            ("0.00001", Err(AmountError::TooManyDecimals)),
            ("1.00000000000000000000000000000000000001", Err(AmountError::TooManyDecimals)),
            ("-0.01", Err(AmountError::Negative)),
            ("1e3", Err(AmountError::InvalidDecimal)),
            ("1e400", Err(AmountError::InvalidDecimal)),
            ("NaN", Err(AmountError::InvalidDecimal)),
            ("", Err(AmountError::InvalidDecimal)),
            (".5", Err(AmountError::InvalidDecimal)),
            ("+1", Err(AmountError::InvalidDecimal)),
            ("1_000", Err(AmountError::InvalidDecimal)),
            ("99999999999999999999999999999999999", Err(AmountError::OutOfRange)),
        ] {
            assert_eq!(text.parse::<Amount>().map(Amount::ten_thousandths), want, "{text}");
        }
    }

    #[test]
    fn fast_and_exact_parsing_agree() {
        let alphabet = ["0", "1", "9", ".", "-", "00", "12", "999999999", "e", "+", "\u{663}"];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            let longer = |text: &String| alphabet.map(|letter| format!("{text}{letter}"));
            texts.extend(
                texts
                    .iter()
                    .flat_map(longer)
                    .collect::<std::collections::BTreeSet<_>>(),
            );
        }
        for text in &texts {
            let exact = parse_decimal(text).and_then(Amount::new);
            let fast = text.parse::<Amount>();
            assert_eq!(fast, exact, "{text}");
            assert_eq!(
                fast.map(|amount| amount.to_string()),
                exact.map(|amount| amount.to_string()),
                "{text}"
            );
        }
        assert!(texts.len() > 10_000);
    }

    #[test]
    #[cfg(feature = "json")]
    fn stored_amounts_keep_their_decimals() {
        for text in [
            "0",
            "0.00",
            "0.05",
            "0.5",
            "7",
            "10",
            "12.50",
            "100000000000",
            "99999999999.9999",
            "1.0000",
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), format!("\"{amount}\""), "{text}");
            assert_eq!(amount.to_string(), text);
        }
        let long: Amount = "1.0000000000000000000000000".parse().unwrap();
        assert_eq!(serde_json::to_string(&long).unwrap(), "\"1.0000\"");
    }

    #[test]
    fn points_stay_in_range() {
        assert_eq!(Points::new(Points::MAX.get() + 1), None);
        assert_eq!(Points::MIN.checked_sub(Points::from(1)), None);
        assert_eq!(Points::MAX.saturating_add(Points::MAX), Points::MAX);
        assert_eq!(Points::MIN.negated(), Points::MAX);
        assert!(Points::try_from(i64::MIN).is_err());
    }

    #[test]
    fn rates_keep_six_decimals() {
        assert_eq!("1.500000".parse::<Rate>().unwrap().millionths(), 1_500_000);
        assert_eq!("0.0000001".parse::<Rate>(), Err(AmountError::TooManyDecimals));
        assert_eq!("1000000.1".parse::<Rate>(), Err(AmountError::OutOfRange));
    }
}
