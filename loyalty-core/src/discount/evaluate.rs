//! The evaluation of a cart: which codes apply under a stacking policy, and their discounts.

use std::collections::{BTreeMap, BTreeSet};

use super::basket::{Basket, LineDiscounts};
use super::cart::{Cart, CartError};
use super::code_rejection::CodeRejection;
use super::decide::CodeContext;
use super::evaluation::{AppliedCode, CodeOutcome, DiscountShare, Evaluation, LineTotal};
use super::plan::{Plan, PlanError};
use super::price_rule::PriceRule;
use super::price_rule_parts::DiscountClass;
use crate::code::Code;
use crate::id::{CodeId, LineId, PriceRuleId};

/// The policy that selects codes if several are usable.
///
/// # Example: two codes of one class do not combine by default
/// ```
/// use loyalty_core::{PriceRuleId, discount::*};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let starts_at = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts { title: "Five".into(), value: "-5".parse()?, ..PriceRuleParts::new(starts_at) };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let (a, b) = (Code::new("A")?, Code::new("B")?);
/// let conflict = |policy: Stacking| {
///     policy.find_conflict((&a, PriceRuleId(1), &rule), (&b, PriceRuleId(2), &rule))
/// };
/// assert_eq!(conflict(Stacking::default()), Some(CodeRejection::NotCombined { with: a.clone() }));
/// assert_eq!(conflict(Stacking::All), None);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Stacking {
    /// The first entered code.
    Exclusive,
    /// The code with the largest discount; of equal ones the first entered.
    Best,
    /// In each class the code with the largest discount on the amounts that remain after
    /// the earlier classes.
    #[default]
    OnePerClass,
    /// All codes.
    All,
}

impl Stacking {
    /// All policies with their names in a program.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("exclusive", Self::Exclusive),
        ("best", Self::Best),
        ("one_per_class", Self::OnePerClass),
        ("all", Self::All),
    ];

    /// Returns true for the default policy.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns why a new code cannot combine with an existing one in any cart; `None` if
    /// some cart allows both. Each code is given with its rule.
    ///
    /// The check needs no cart, so it does not compare the discounts of the codes.
    pub fn find_conflict(
        self,
        (existing, existing_id, existing_rule): (&Code, PriceRuleId, &PriceRule),
        (new, new_id, new_rule): (&Code, PriceRuleId, &PriceRule),
    ) -> Option<CodeRejection> {
        let with = existing.clone();
        if existing_id == new_id {
            return Some(CodeRejection::SameRule { with });
        }

        for (code, rule) in [(existing, existing_rule), (new, new_rule)] {
            if rule.parts().individual_use {
                return Some(CodeRejection::IndividualUse { with: code.clone() });
            }
        }

        let can_combine = match self {
            Self::Exclusive | Self::Best => false,
            Self::OnePerClass => existing_rule.class() != new_rule.class(),
            Self::All => true,
        };
        (!can_combine).then_some(CodeRejection::NotCombined { with })
    }
}

/// A code whose rule the cart satisfies, before any policy.
struct UsableCode<'a> {
    index: usize,
    code: &'a Code,
    id: CodeId,
    rule: PriceRuleId,
    plan: Plan<'a>,
}

impl UsableCode<'_> {
    /// The sort key of the order in which discounts apply.
    fn application_order(&self) -> (DiscountClass, PriceRuleId) {
        (self.plan.rule.class(), self.rule)
    }
}

/// Evaluates a cart: returns the discount of each code on each line, exact to the minor
/// unit, or the reason why a code does not apply.
///
/// `find` looks a code up; it returns `None` for an unknown code. `minor_digits` is the
/// number of decimals of the shop's currency. The cost is near linear in the number of lines
/// times codes, under every policy.
///
/// # Errors
/// The cart is invalid or too large, or a rule has amounts finer than the currency.
///
/// # Example: an unknown code
/// ```
/// use loyalty_core::discount::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = "2026-03-01T12:00:00Z".parse()?;
/// let cart = Cart::new([], now).with_codes([Code::new("NOPE")?]);
/// let evaluation = evaluate(&cart, 2, Stacking::default(), |_| None)?;
/// assert_eq!(evaluation.codes[0].outcome, Err(CodeRejection::Unknown));
/// # Ok(()) }
/// ```
pub fn evaluate<'a>(
    cart: &'a Cart,
    minor_digits: u32,
    stacking: Stacking,
    find: impl Fn(&Code) -> Option<CodeContext<'a>>,
) -> Result<Evaluation, CartError> {
    let mut basket = Basket::from_cart(cart, minor_digits)?;
    let original = basket.clone();
    let mut rejections = BTreeMap::new();
    let usable = find_usable_codes(cart, &basket, find, &mut rejections)?;

    // Each code discounts the amounts that remain after the codes before it.
    let mut discounts_by_index = BTreeMap::new();
    for code in select_codes(&usable, stacking, &basket, &mut rejections) {
        let discounts = code.plan.line_discounts(&basket);
        code.plan.apply(&discounts, &mut basket);
        discounts_by_index.insert(code.index, (code, discounts));
    }

    let outcome = |(index, code): (usize, &Code)| CodeOutcome {
        code: code.clone(),
        outcome: match discounts_by_index.get(&index) {
            Some((code, discounts)) => Ok(build_applied_code(code, discounts, cart, &basket)),
            None => Err(rejections.remove(&index).unwrap_or(CodeRejection::Unknown)),
        },
    };
    let codes = cart.codes.iter().enumerate().map(outcome).collect();
    let (lines, shipping) = line_totals(cart, &original, &basket);
    Ok(Evaluation { lines, shipping, codes })
}

/// Returns the totals of the lines and of the shipping lines.
fn line_totals(
    cart: &Cart,
    original: &Basket,
    basket: &Basket,
) -> (Vec<LineTotal>, Vec<LineTotal>) {
    let total = |id: &LineId, amount: u64, remaining: u64| LineTotal {
        line: id.clone(),
        amount: basket.to_amount(amount),
        discount: basket.to_amount(amount.saturating_sub(remaining)),
        remaining: basket.to_amount(remaining),
    };

    let lines = cart
        .lines
        .iter()
        .zip(&basket.lines)
        .map(|(line, minor)| total(&line.id, minor.amount, minor.remaining));
    let before_and_after = original.shipping.iter().zip(&basket.shipping);
    let shipping = cart
        .shipping
        .iter()
        .zip(before_and_after)
        .map(|(line, (amount, remaining))| total(&line.id, *amount, *remaining));

    (lines.collect(), shipping.collect())
}

/// Returns the codes that could apply, in entered order, and adds the reasons of the others
/// to `rejections`.
fn find_usable_codes<'a>(
    cart: &'a Cart,
    basket: &Basket,
    find: impl Fn(&Code) -> Option<CodeContext<'a>>,
    rejections: &mut BTreeMap<usize, CodeRejection>,
) -> Result<Vec<UsableCode<'a>>, CartError> {
    let mut usable: Vec<UsableCode<'a>> = Vec::new();
    let mut visited = BTreeSet::new();
    let mut code_by_rule: BTreeMap<PriceRuleId, &Code> = BTreeMap::new();

    for (index, code) in cart.codes.iter().enumerate() {
        let planned = if visited.insert(code) {
            plan_code(cart, basket, find(code))
        } else {
            Err(CodeRejection::Duplicate.into())
        };
        let (id, rule, plan) = match planned {
            Ok(planned) => planned,
            Err(PlanError::OtherCurrency) => return Err(CartError::OtherCurrency(code.clone())),
            Err(PlanError::Rejected(rejection)) => {
                rejections.insert(index, rejection);
                continue;
            }
        };

        if let Some(first) = code_by_rule.get(&rule) {
            rejections.insert(index, CodeRejection::SameRule { with: (*first).clone() });
        } else {
            code_by_rule.insert(rule, code);
            usable.push(UsableCode { index, code, id, rule, plan });
        }
    }

    Ok(usable)
}

fn plan_code<'a>(
    cart: &Cart,
    basket: &Basket,
    context: Option<CodeContext<'a>>,
) -> Result<(CodeId, PriceRuleId, Plan<'a>), PlanError> {
    let context = context.ok_or(CodeRejection::Unknown)?;
    let id = context.state.rule().ok_or(CodeRejection::Unknown)?;
    let rule = context.check_usable(&cart.customer, cart.at, cart.at)?;
    Ok((context.id, id, Plan::new(rule, cart, basket)?))
}

/// Returns the codes that apply under the policy, in the order in which they apply, and adds
/// the reasons of the others to `rejections`.
fn select_codes<'u, 'a>(
    usable: &'u [UsableCode<'a>],
    stacking: Stacking,
    basket: &Basket,
    rejections: &mut BTreeMap<usize, CodeRejection>,
) -> Vec<&'u UsableCode<'a>> {
    let individual_use = usable.iter().find(|code| code.plan.rule.parts().individual_use);
    let selected = match (stacking, individual_use) {
        (Stacking::Exclusive, _) => usable.first().into_iter().collect(),
        (Stacking::Best, _) => select_best(usable.iter(), basket).into_iter().collect(),
        (Stacking::OnePerClass | Stacking::All, Some(only)) => {
            for other in usable.iter().filter(|other| other.index != only.index) {
                rejections
                    .insert(other.index, CodeRejection::IndividualUse { with: only.code.clone() });
            }
            return vec![only];
        }
        (Stacking::OnePerClass, None) => select_best_per_class(usable, basket),
        (Stacking::All, None) => {
            let mut all: Vec<_> = usable.iter().collect();
            all.sort_by_key(|code| code.application_order());
            all
        }
    };

    // Under one per class, the code that applies instead is that of the same class.
    let per_class = stacking == Stacking::OnePerClass;
    for other in usable {
        let same_class = |applied: &&&UsableCode<'_>| {
            !per_class || applied.application_order().0 == other.application_order().0
        };
        if !selected.iter().any(|applied| applied.index == other.index)
            && let Some(applied) = selected.iter().find(same_class)
        {
            rejections
                .insert(other.index, CodeRejection::NotCombined { with: applied.code.clone() });
        }
    }

    selected
}

/// Returns the code with the largest discount; of equal ones the first entered.
fn select_best<'u, 'a: 'u>(
    codes: impl Iterator<Item = &'u UsableCode<'a>>,
    basket: &Basket,
) -> Option<&'u UsableCode<'a>> {
    let mut best: Option<(u64, &UsableCode<'a>)> = None;
    for code in codes {
        let discount = code.plan.line_discounts(basket).total();
        if best.is_none_or(|(largest, _)| discount > largest) {
            best = Some((discount, code));
        }
    }
    best.map(|(_, code)| code)
}

fn select_best_per_class<'u, 'a>(
    usable: &'u [UsableCode<'a>],
    basket: &Basket,
) -> Vec<&'u UsableCode<'a>> {
    let mut basket = basket.clone();
    let mut selected = Vec::new();
    for (_, class) in DiscountClass::NAMES {
        let of_class = usable.iter().filter(|code| code.application_order().0 == *class);
        if let Some(code) = select_best(of_class, &basket) {
            code.plan.apply(&code.plan.line_discounts(&basket), &mut basket);
            selected.push(code);
        }
    }
    selected
}

fn build_applied_code(
    code: &UsableCode<'_>,
    discounts: &LineDiscounts,
    cart: &Cart,
    basket: &Basket,
) -> AppliedCode {
    let rule = code.plan.rule;
    let class = rule.class();
    let id = |index: usize| {
        if class == DiscountClass::Shipping {
            cart.shipping.get(index).map(|line| line.id.clone())
        } else {
            cart.lines.get(index).map(|line| line.id.clone())
        }
    };

    let share = |(index, share): &(usize, u64)| {
        let amount = basket.to_amount(*share);
        id(*index).map(|line| DiscountShare { line, amount })
    };

    AppliedCode {
        code: code.id,
        rule: code.rule,
        class,
        value: rule.discount_value(),
        method: rule.parts().allocation_method,
        ratio: rule.parts().prerequisite_to_entitlement_quantity_ratio,
        required_spend: rule.parts().prerequisite_to_entitlement_purchase,
        applications: discounts.applications,
        basis: basket.to_amount(discounts.basis),
        limited_by: discounts.limited_by,
        discount: basket.to_amount(discounts.total()),
        shares: discounts.shares.iter().filter_map(share).collect(),
    }
}
