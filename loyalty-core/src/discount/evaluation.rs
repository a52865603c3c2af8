//! What codes do to a cart: as data, as a sentence for the shop, and as one for the customer.

use std::fmt;

use rust_decimal::Decimal;

use super::code_rejection::CodeRejection;
use super::price_rule::{AllocationMethod, Class, DiscountValue, QuantityRatio};
use crate::amount::Amount;
use crate::code::Code;
use crate::id::{CodeId, LineId, PriceRuleId};

/// A cart after its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Every line.
    pub lines: Vec<LineTotal>,
    /// Every shipping line.
    pub shipping: Vec<LineTotal>,
    /// Every code, in typed order.
    pub codes: Vec<CodeOutcome>,
}

impl Evaluation {
    /// All that is taken off.
    pub fn total_discount(&self) -> Amount {
        let totals = self.lines.iter().chain(&self.shipping);
        // The whole cart is in range, so its parts are.
        totals.fold(Amount::ZERO, |sum, line| sum.checked_add(line.discount).unwrap_or(Amount::MAX))
    }

    /// The codes that an order of this cart uses up: those that take something off.
    pub fn used_codes(&self) -> impl Iterator<Item = (&Code, &AppliedCode)> {
        let applied = |outcome: &'_ CodeOutcome| {
            outcome.outcome.as_ref().is_ok_and(AppliedCode::has_discount)
        };
        let codes = self.codes.iter().filter(move |outcome| applied(outcome));
        codes.filter_map(|outcome| Some((&outcome.code, outcome.outcome.as_ref().ok()?)))
    }
}

/// One line, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTotal {
    /// The line.
    pub line: LineId,
    /// What it costs without codes.
    pub amount: Amount,
    /// What codes take off, together.
    pub discount: Amount,
    /// What is left.
    pub remaining: Amount,
}

/// One code: what it does, or why it does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeOutcome {
    /// The code as typed.
    pub code: Code,
    /// What comes of it.
    pub outcome: Result<AppliedCode, CodeRejection>,
}

/// What one code takes off, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedCode {
    /// The code.
    pub code: CodeId,
    /// Its rule.
    pub rule: PriceRuleId,
    /// Its class.
    pub class: Class,
    /// What the rule takes off.
    pub value: DiscountValue,
    /// Off each, or once.
    pub method: AllocationMethod,
    /// Buy X get Y, where the rule is that.
    pub ratio: Option<QuantityRatio>,
    /// What is to be spent for it, where the rule is spend X get Y.
    pub required_spend: Option<Amount>,
    /// How often a buy-X-get-Y rule applies; zero for others.
    pub applications: u64,
    /// What the rule looked at, as earlier discounts had left it.
    pub basis: Amount,
    /// What it takes off in all.
    pub discount: Amount,
    /// Off which lines; of shipping lines, where the class is shipping. They add up to the discount.
    pub shares: Vec<DiscountShare>,
}

impl AppliedCode {
    /// Whether anything is taken off. A code that takes nothing is accepted, and not used up.
    pub fn has_discount(&self) -> bool {
        !self.discount.is_zero()
    }
}

/// What is taken off one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscountShare {
    /// The line.
    pub line: LineId,
    /// How much.
    pub amount: Amount,
}

impl CodeOutcome {
    /// What a shopper may be told. The text that it has otherwise is for the shop.
    pub fn public_text(&self) -> String {
        match &self.outcome {
            Ok(_) => self.to_string(),
            Err(refusal) => format_not_applied(&self.code, &refusal.public_text()),
        }
    }
}

fn format_not_applied(code: &Code, why: &str) -> String {
    format!("{code} does not apply: {why}.")
}

impl fmt::Display for CodeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, outcome } = self;
        match outcome {
            Ok(applied) if applied.has_discount() => {
                write!(f, "{code} takes {} off: {applied}.", applied.discount)
            }
            Ok(_) => {
                write!(
                    f,
                    "{code} is accepted, but there is nothing left to take off; it is not used up."
                )
            }
            Err(refusal) => f.write_str(&format_not_applied(code, &refusal.to_string())),
        }
    }
}

impl fmt::Display for AppliedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value: off, basis, .. } = self;
        if self.class == Class::Shipping {
            return write!(f, "shipping of {basis} is free");
        }
        if let Some(ratio) = self.ratio {
            return self.write_bundle(ratio, f);
        }
        let lines = CountLabel(self.shares.len(), "line");
        match (self.method, off) {
            (AllocationMethod::Across, DiscountValue::Percent(_)) => {
                write!(f, "{off} of {basis}, shared over {lines}")
            }
            (AllocationMethod::Across, DiscountValue::Fixed(_)) => {
                write!(f, "{off} at most of {basis}, shared over {lines}")
            }
            (AllocationMethod::Each, DiscountValue::Percent(_)) => {
                write!(f, "{off} of {basis}, on each of {lines}")
            }
            (AllocationMethod::Each, DiscountValue::Fixed(_)) => {
                write!(f, "{off} at most off each unit of {lines}")
            }
        }
    }
}

impl AppliedCode {
    fn write_bundle(&self, ratio: QuantityRatio, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (ratio.prerequisite_quantity, self.required_spend) {
            (_, Some(spend)) => write!(f, "spend {spend}")?,
            (units, None) => write!(f, "buy {}", units.unwrap_or(1))?,
        }
        let times = CountLabel(usize::try_from(self.applications).unwrap_or(usize::MAX), "time");
        write!(f, ", get {} at {} off, {times}", ratio.entitled_quantity, self.value)
    }
}

impl fmt::Display for DiscountValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(amount) => amount.fmt(f),
            Self::Percent(part) => {
                let percent =
                    Decimal::try_from_i128_with_scale(i128::from(*part), 6).unwrap_or_default();
                write!(f, "{}%", percent.normalize())
            }
        }
    }
}

/// So many of something.
struct CountLabel(usize, &'static str);

impl fmt::Display for CountLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(f, "{count} {noun}{}", if *count == 1 { "" } else { "s" })
    }
}
