//! Earning rules: the points that an order earns for its basis.

use std::collections::BTreeSet;

use super::check::{POINTS_RANGE, check_limits, check_validity, points_in_range};
use crate::amount::{Amount, Points, Rate};
use crate::calendar::Timestamp;
use crate::fault::Fault;
use crate::id::{CategoryId, ProductId, RuleId, Tag};
use crate::limit::Limit;

/// One way to earn from an order. The points of all rules that apply are added up.
///
/// # Example: double points on shoes, in place of the base rule
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// let program = Program::from_json(
///     r#"{"earning": [
///         {"id": "base", "earn": {"per_unit": "1"}},
///         {"id": "shoes", "earn": {"per_unit": "2"}, "replaces_base": true,
///          "when": {"categories": ["shoes"]}}
///     ]}"#,
/// )
/// .unwrap();
/// let rules = &program.definition().earning;
/// assert!(rules[1].replaces_base && rules[1].when.is_scoped());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EarningRule {
    /// Unique name in the program, shown by explanations.
    pub id: RuleId,
    /// Formula of its points.
    pub earn: EarningFormula,
    /// Conditions on the order and the customer.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "EarningConditions::is_empty"))]
    pub when: EarningConditions,
    /// If true, its lines earn nothing from rules that name no product or category.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub replaces_base: bool,
    /// Limits for each customer. The allowance at an order's first award stays the
    /// order's.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub limits: Vec<Limit>,
}

impl EarningRule {
    /// The rule of the default program: one point for each currency unit.
    pub(super) fn base() -> Self {
        Self {
            id: RuleId::base(),
            earn: EarningFormula::PerUnit(Rate::ONE),
            when: EarningConditions::default(),
            replaces_base: false,
            limits: Vec::new(),
        }
    }
}

/// The formula of a rule's points.
///
/// # Example: three points for each full ten units
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::program::EarningFormula;
/// use loyalty_core::{Amount, Points};
/// let json = r#"{"per_increment": {"amount": "10", "points": 3}}"#;
/// let formula = EarningFormula::PerIncrement { amount: Amount::from(10), points: Points::from(3) };
/// assert_eq!(serde_json::from_str::<EarningFormula>(json).unwrap(), formula);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum EarningFormula {
    /// Points for each currency unit of the basis, fractions included.
    PerUnit(Rate),
    /// Points for each full increment of the basis.
    PerIncrement {
        /// The increment, in the shop's currency.
        amount: Amount,
        /// The points for each full increment.
        points: Points,
    },
    /// Points for each whole unit of the rule's lines.
    ///
    /// Units of all lines are added up, less those refunded by line, and a fraction of a
    /// unit (goods by weight) that is left counts nothing. A line that costs nothing has
    /// no units: a gift earns nothing. Refunds by amount and payment with a reward leave
    /// their share of the points.
    PerItem(Points),
    /// Points for each order, whatever its basis.
    PerOrder(Points),
}

/// Conditions of a rule. All must be met; empty ones are always met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EarningConditions {
    /// Least basis of the whole order, net of refunds.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_spend: Option<Amount>,
    /// Products whose lines count for the rule, besides those of `categories`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Categories whose lines count for the rule, besides those of `products`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub categories: BTreeSet<CategoryId>,
    /// Tags of which the customer has at least one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_tags: BTreeSet<Tag>,
    /// First instant at which the order may be placed.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub from: Option<Timestamp>,
    /// Instant before which the order must be placed.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

impl EarningConditions {
    /// Returns true if the rule counts the lines of some products or categories only.
    pub fn is_scoped(&self) -> bool {
        !self.products.is_empty() || !self.categories.is_empty()
    }

    /// Returns true if there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Checks one rule, whose place in the document is `pointer`.
pub(super) fn check(rule: &EarningRule, pointer: &str, faults: &mut Vec<Fault>) {
    check_formula(rule.earn, pointer, faults);

    let when = &rule.when;
    check_validity(when.from, when.until, &format!("{pointer}/when"), faults);
    check_limits(&rule.limits, &format!("{pointer}/limits"), faults);

    // Without a scope, such a rule would replace itself.
    if rule.replaces_base && !when.is_scoped() {
        let detail = "a rule that replaces others must name products or categories";
        faults.push(Fault::new(format!("{pointer}/replaces_base"), "contradiction", detail));
    }
}

fn check_formula(formula: EarningFormula, pointer: &str, faults: &mut Vec<Fault>) {
    const POSITIVE: &str = "must be more than zero";
    let wrong = match formula {
        EarningFormula::PerUnit(rate) if rate.get().is_zero() => Some(("per_unit", POSITIVE)),
        EarningFormula::PerIncrement { amount, .. } if amount.is_zero() => {
            Some(("per_increment/amount", POSITIVE))
        }
        EarningFormula::PerIncrement { points, .. } if !points_in_range(points) => {
            Some(("per_increment/points", POINTS_RANGE))
        }
        EarningFormula::PerItem(points) if !points_in_range(points) => {
            Some(("per_item", POINTS_RANGE))
        }
        EarningFormula::PerOrder(points) if !points_in_range(points) => {
            Some(("per_order", POINTS_RANGE))
        }
        EarningFormula::PerUnit(_)
        | EarningFormula::PerIncrement { .. }
        | EarningFormula::PerItem(_)
        | EarningFormula::PerOrder(_) => None,
    };

    if let Some((field, detail)) = wrong {
        faults.push(Fault::new(format!("{pointer}/earn/{field}"), "out_of_range", detail));
    }
}
