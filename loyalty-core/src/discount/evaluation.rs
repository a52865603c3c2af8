//! The result of an evaluation, as data and as sentences for the shop and the customer.

use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::code_rejection::CodeRejection;
use super::price_rule_parts::{AllocationMethod, DiscountClass, DiscountValue, QuantityRatio};
use crate::amount::{Amount, Rate};
use crate::code::Code;
use crate::figures::{CountedNoun, GroupedNumber};
use crate::id::{CodeId, LineId, PriceRuleId};

/// A cart after its codes are applied.
///
/// # Example: only codes with a discount are used
/// ```
/// use loyalty_core::discount::{Evaluation, LineTotal};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let line = LineTotal {
///     line: "1".parse()?, amount: "20.00".parse()?, discount: "2.00".parse()?,
///     remaining: "18.00".parse()?,
/// };
/// let evaluation = Evaluation { lines: vec![line], shipping: vec![], codes: vec![], automatic: vec![] };
/// assert_eq!(evaluation.total_discount(), "2.00".parse()?);
/// assert_eq!(evaluation.used_codes().count(), 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The lines of the cart.
    pub lines: Vec<LineTotal>,
    /// The shipping lines of the cart.
    pub shipping: Vec<LineTotal>,
    /// The codes, in the order in which they were entered.
    pub codes: Vec<CodeOutcome>,
    /// The automatic rules that are for this customer now, in the order of their ids. Others
    /// are left out.
    pub automatic: Vec<AutomaticOutcome>,
}

impl Evaluation {
    /// The discount on all lines and shipping lines together.
    pub fn total_discount(&self) -> Amount {
        let totals = self.lines.iter().chain(&self.shipping);
        // The total of the cart is in range, so the discount is too.
        totals.fold(Amount::ZERO, |sum, line| sum.checked_add(line.discount).unwrap_or(Amount::MAX))
    }

    /// The codes that an order of this cart uses: those with a discount above zero.
    pub fn used_codes(&self) -> impl Iterator<Item = (&Code, &AppliedCode)> {
        let applied = |outcome: &'_ CodeOutcome| {
            outcome.outcome.as_ref().is_ok_and(AppliedCode::has_discount)
        };
        let codes = self.codes.iter().filter(move |outcome| applied(outcome));
        codes.filter_map(|outcome| Some((&outcome.code, outcome.outcome.as_ref().ok()?)))
    }

    /// The automatic rules that an order of this cart uses: those with a discount above zero.
    pub fn used_rules(&self) -> impl Iterator<Item = PriceRuleId> {
        let applied = |outcome: &&AutomaticOutcome| {
            outcome.outcome.as_ref().is_ok_and(AppliedCode::has_discount)
        };
        self.automatic.iter().filter(applied).map(|outcome| outcome.rule)
    }
}

/// An automatic rule with its discount, or the reason why it does not apply.
///
/// # Example: what is missing
/// ```
/// use loyalty_core::{PriceRuleId, discount::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rejection = CodeRejection::MinimumSubtotal { need: "50".parse()?, have: "42.50".parse()? };
/// let outcome = AutomaticOutcome {
///     rule: PriceRuleId(1), title: "free shipping".into(), outcome: Err(rejection),
/// };
/// assert_eq!(outcome.missing(), Some(MissingCondition::Subtotal { amount: "7.50".parse()? }));
/// assert_eq!(outcome.to_string(), "7.50 more for free shipping.");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomaticOutcome {
    /// The rule.
    pub rule: PriceRuleId,
    /// The title of the rule.
    pub title: Arc<str>,
    /// The discount or the rejection, none of which is secret.
    pub outcome: Result<AppliedCode, CodeRejection>,
}

/// What a cart lacks for an automatic discount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingCondition {
    /// The entitled lines cost too little.
    Subtotal {
        /// The amount that is missing.
        amount: Amount,
    },
    /// The entitled lines have too few units.
    Quantity {
        /// The number of units that are missing.
        units: u64,
    },
    /// The cart does not have the items of buy X get Y, or none that the rule discounts.
    Items,
}

impl AutomaticOutcome {
    /// What is missing; `None` if the rule applies, or if it is not for the cart to change.
    pub fn missing(&self) -> Option<MissingCondition> {
        match self.outcome.as_ref().err()? {
            CodeRejection::MinimumSubtotal { need, have } => need
                .checked_sub(*have)
                .map(|amount| MissingCondition::Subtotal { amount }),
            CodeRejection::MinimumQuantity { need, have } => {
                Some(MissingCondition::Quantity { units: need.saturating_sub(*have) })
            }
            CodeRejection::NoEntitledLines | CodeRejection::PrerequisitesNotMet => {
                Some(MissingCondition::Items)
            }
            CodeRejection::AlreadyUsed
            | CodeRejection::CountryNotEntitled
            | CodeRejection::CustomerNotEligible
            | CodeRejection::CustomerRequired
            | CodeRejection::Disabled
            | CodeRejection::Duplicate
            | CodeRejection::Expired { .. }
            | CodeRejection::IndividualUse { .. }
            | CodeRejection::NoShippingLines
            | CodeRejection::NotCombined { .. }
            | CodeRejection::NotYetValid { .. }
            | CodeRejection::SameRule { .. }
            | CodeRejection::ShippingPriceAboveMaximum { .. }
            | CodeRejection::Unknown
            | CodeRejection::UsedUp => None,
        }
    }
}

impl fmt::Display for AutomaticOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = &self.title;
        match (&self.outcome, self.missing()) {
            (Ok(applied), _) if applied.has_discount() => {
                write!(f, "{title} takes {} off: {applied}.", applied.discount)
            }
            (Ok(_), _) => {
                write!(f, "{title} applies, but there is nothing left to discount.")
            }
            (Err(_), Some(MissingCondition::Subtotal { amount })) => {
                write!(f, "{amount} more for {title}.")
            }
            (Err(_), Some(MissingCondition::Quantity { units })) => {
                let units = CountedNoun::new(units, "unit", "units");
                write!(f, "{units} more for {title}.")
            }
            (Err(CodeRejection::NoEntitledLines), _) => {
                write!(f, "{title} does not apply: the cart has none of its items.")
            }
            (Err(CodeRejection::NotCombined { with }), _) => {
                write!(f, "{title} does not combine with {with}, which applies instead.")
            }
            (Err(rejection), Some(MissingCondition::Items) | None) => {
                write!(f, "{title} does not apply: {rejection}.")
            }
        }
    }
}

/// The price of one line before and after discounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTotal {
    /// The line.
    pub line: LineId,
    /// The price before discounts.
    pub amount: Amount,
    /// The discount of all codes together.
    pub discount: Amount,
    /// The price after discounts.
    pub remaining: Amount,
}

/// One entered code with its discount, or the reason why it does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeOutcome {
    /// The code as entered.
    pub code: Code,
    /// The discount or the rejection.
    pub outcome: Result<AppliedCode, CodeRejection>,
}

/// The discount of one code, with the numbers that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedCode {
    /// The code.
    pub code: CodeId,
    /// The code's rule.
    pub rule: PriceRuleId,
    /// The class of the rule.
    pub class: DiscountClass,
    /// The value of the rule.
    pub value: DiscountValue,
    /// The allocation method of the rule.
    pub method: AllocationMethod,
    /// The quantities of buy X get Y; `None` for other rules.
    pub ratio: Option<QuantityRatio>,
    /// The amount of spend X get Y; `None` for other rules.
    pub required_spend: Option<Amount>,
    /// Number of applications of buy X get Y; zero for other rules.
    pub applications: u64,
    /// The price of the discounted lines or units after earlier discounts.
    pub basis: Amount,
    /// The maximum of the rule that lowered the discount, if one did.
    pub limited_by: Option<DiscountMaximum>,
    /// The discount.
    pub discount: Amount,
    /// The discount of each line, or of each shipping line if the class is shipping. Shares
    /// add up to the discount.
    pub shares: Vec<DiscountShare>,
}

impl AppliedCode {
    /// Returns true if the discount is above zero. A code without a discount is accepted,
    /// but not counted as used.
    pub fn has_discount(&self) -> bool {
        !self.discount.is_zero()
    }
}

/// The most that a rule takes off a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscountMaximum {
    /// An amount.
    Amount(Amount),
    /// A share of the price of the goods, for all rules with such a limit together.
    Share {
        /// The share in percent.
        share: Rate,
        /// The same as an amount.
        amount: Amount,
    },
}

/// The discount of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscountShare {
    /// The line.
    pub line: LineId,
    /// The discount.
    pub amount: Amount,
}

impl CodeOutcome {
    /// A sentence for the customer. The `Display` text is for the shop only: it tells why a
    /// secret code does not apply.
    pub fn public_text(&self) -> String {
        match &self.outcome {
            Ok(_) => self.to_string(),
            Err(rejection) => format_not_applied(&self.code, &rejection.public_text()),
        }
    }
}

fn format_not_applied(code: &Code, reason: &str) -> String {
    format!("{code} does not apply: {reason}.")
}

impl fmt::Display for CodeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, outcome } = self;
        match outcome {
            Ok(applied) if applied.has_discount() => {
                write!(f, "{code} takes {} off: {applied}.", GroupedNumber(applied.discount))
            }
            Ok(applied) => {
                write!(f, "{code} is valid, but ")?;
                match applied.limited_by {
                    Some(maximum) => write!(f, "{maximum} can be taken off with such codes")?,
                    None => f.write_str("there is nothing left to discount")?,
                }
                f.write_str("; no use is counted.")
            }
            Err(rejection) => f.write_str(&format_not_applied(code, &rejection.to_string())),
        }
    }
}

impl fmt::Display for AppliedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, basis) = (&self.value, GroupedNumber(self.basis));

        if self.class == DiscountClass::Shipping {
            return write!(f, "shipping of {basis} is free");
        }
        if let Some(ratio) = self.ratio {
            return self.write_bundle(ratio, f);
        }

        let lines = CountedNoun::new(self.shares.len(), "line", "lines");
        match (self.method, value) {
            (AllocationMethod::Across, _) => {
                let up_to = if let DiscountValue::Fixed(_) = value { "up to " } else { "" };
                write!(f, "{up_to}{value} of {basis}, ")?;
                if let Some(maximum) = self.limited_by {
                    write!(f, "{maximum}, ")?;
                }
                write!(f, "shared over {lines}")
            }
            (AllocationMethod::Each, DiscountValue::Percent(_)) => {
                write!(f, "{value} of {basis}, on each of {lines}")
            }
            (AllocationMethod::Each, DiscountValue::Fixed(_)) => {
                write!(f, "up to {value} off each unit of {lines}")
            }
        }
    }
}

impl fmt::Display for DiscountMaximum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => write!(f, "at most {amount}"),
            Self::Share { share, amount } => {
                write!(f, "at most {share}% of the goods ({amount})")
            }
        }
    }
}

impl AppliedCode {
    fn write_bundle(&self, ratio: QuantityRatio, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (ratio.prerequisite_quantity, self.required_spend) {
            (_, Some(spend)) => write!(f, "spend {}", GroupedNumber(spend))?,
            (units, None) => write!(f, "buy {}", units.unwrap_or(1))?,
        }

        let times = CountedNoun::new(self.applications, "time", "times");
        write!(f, ", get {} at {} off, {times}", ratio.entitled_quantity, self.value)
    }
}

impl fmt::Display for DiscountValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(amount) => GroupedNumber(amount).fmt(f),
            Self::Percent(part) => {
                let percent =
                    Decimal::try_from_i128_with_scale(i128::from(*part), 6).unwrap_or_default();
                write!(f, "{}%", percent.normalize())
            }
        }
    }
}
