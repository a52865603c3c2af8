//! A cart's codes under the program's stacking policy.

use std::collections::{BTreeMap, BTreeSet};

use super::basket::{Basket, LineDiscounts};
use super::cart::{Cart, CartError};
use super::code_rejection::CodeRejection;
use super::decide::CodeContext;
use super::evaluation::{AppliedCode, CodeOutcome, DiscountShare, Evaluation, LineTotal};
use super::plan::{Plan, PlanError};
use super::price_rule::{Class, PriceRule};
use crate::code::Code;
use crate::id::{CodeId, LineId, PriceRuleId};

/// Which of several usable codes apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Stacking {
    /// The first as typed.
    Exclusive,
    /// The one that saves most, the first typed of equals.
    Best,
    /// In each class the one that saves most, on what the earlier classes left: the default.
    #[default]
    OnePerClass,
    /// All.
    All,
}

impl Stacking {
    /// Every policy with its name in a program.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("exclusive", Self::Exclusive),
        ("best", Self::Best),
        ("one_per_class", Self::OnePerClass),
        ("all", Self::All),
    ];

    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Why a code can apply beside another one in no cart at all; none where some cart may have both. For
    /// whoever has no cart: which of the two would save more is not asked. Each comes with its rule.
    pub fn find_conflict(
        self,
        (held, held_of, held_rule): (&Code, PriceRuleId, &PriceRule),
        (new, new_of, new_rule): (&Code, PriceRuleId, &PriceRule),
    ) -> Option<CodeRejection> {
        let with = held.clone();
        if held_of == new_of {
            return Some(CodeRejection::SameRule { with });
        }
        for (code, rule) in [(held, held_rule), (new, new_rule)] {
            if rule.parts().individual_use {
                return Some(CodeRejection::IndividualUse { with: code.clone() });
            }
        }
        let combined = match self {
            Self::Exclusive | Self::Best => false,
            Self::OnePerClass => held_rule.class() != new_rule.class(),
            Self::All => true,
        };
        (!combined).then_some(CodeRejection::NotCombined { with })
    }
}

/// A code that could apply.
struct UsableCode<'a> {
    index: usize,
    code: &'a Code,
    id: CodeId,
    rule: PriceRuleId,
    plan: Plan<'a>,
}

impl UsableCode<'_> {
    /// The order in which discounts apply.
    fn application_order(&self) -> (Class, PriceRuleId) {
        (self.plan.rule.class(), self.rule)
    }
}

/// Evaluates a cart: what each code takes off which line, exact to the minor unit, or why it does not.
///
/// `find` looks a code up; `None` is a code that the shop does not have. `minor_digits` are those of the
/// shop's currency. The cost grows with lines times codes, under every policy.
pub fn evaluate<'a>(
    cart: &'a Cart,
    minor_digits: u32,
    stacking: Stacking,
    find: impl Fn(&Code) -> Option<CodeContext<'a>>,
) -> Result<Evaluation, CartError> {
    let mut basket = Basket::from_cart(cart, minor_digits)?;
    let whole = basket.clone();
    let mut refused = BTreeMap::new();
    let usable = find_usable_codes(cart, &basket, find, &mut refused)?;
    let mut takings = BTreeMap::new();
    for code in select_codes(&usable, stacking, &basket, &mut refused) {
        let taking = code.plan.line_discounts(&basket);
        code.plan.apply(&taking, &mut basket);
        takings.insert(code.index, (code, taking));
    }
    let outcome = |(place, code): (usize, &Code)| CodeOutcome {
        code: code.clone(),
        outcome: match takings.get(&place) {
            Some((code, taking)) => Ok(build_applied_code(code, taking, cart, &basket)),
            None => Err(refused.remove(&place).unwrap_or(CodeRejection::Unknown)),
        },
    };
    let codes = cart.codes.iter().enumerate().map(outcome).collect();
    let total = |id: &LineId, amount: u64, left: u64| LineTotal {
        line: id.clone(),
        amount: basket.to_amount(amount),
        discount: basket.to_amount(amount.saturating_sub(left)),
        remaining: basket.to_amount(left),
    };
    let lines = cart
        .lines
        .iter()
        .zip(&basket.lines)
        .map(|(line, now)| total(&line.id, now.amount, now.remaining));
    let before_and_after = whole.shipping.iter().zip(&basket.shipping);
    let shipping = cart
        .shipping
        .iter()
        .zip(before_and_after)
        .map(|(line, (amount, left))| total(&line.id, *amount, *left));
    Ok(Evaluation { lines: lines.collect(), shipping: shipping.collect(), codes })
}

/// The codes that could apply, as typed, before any policy.
fn find_usable_codes<'a>(
    cart: &'a Cart,
    basket: &Basket,
    find: impl Fn(&Code) -> Option<CodeContext<'a>>,
    refused: &mut BTreeMap<usize, CodeRejection>,
) -> Result<Vec<UsableCode<'a>>, CartError> {
    let mut usable: Vec<UsableCode<'a>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut of_rule: BTreeMap<PriceRuleId, &Code> = BTreeMap::new();
    for (place, code) in cart.codes.iter().enumerate() {
        let planned = if seen.insert(code) {
            plan_code(cart, basket, find(code))
        } else {
            Err(CodeRejection::Duplicate.into())
        };
        let (id, rule, plan) = match planned {
            Ok(planned) => planned,
            Err(PlanError::OtherCurrency) => return Err(CartError::OtherCurrency(code.clone())),
            Err(PlanError::Rejected(refusal)) => {
                refused.insert(place, refusal);
                continue;
            }
        };
        if let Some(first) = of_rule.get(&rule) {
            refused.insert(place, CodeRejection::SameRule { with: (*first).clone() });
        } else {
            of_rule.insert(rule, code);
            usable.push(UsableCode { index: place, code, id, rule, plan });
        }
    }
    Ok(usable)
}

fn plan_code<'a>(
    cart: &Cart,
    basket: &Basket,
    facts: Option<CodeContext<'a>>,
) -> Result<(CodeId, PriceRuleId, Plan<'a>), PlanError> {
    let facts = facts.ok_or(CodeRejection::Unknown)?;
    let id = facts.state.rule().ok_or(CodeRejection::Unknown)?;
    let rule = facts.check_usable(&cart.customer, cart.at, cart.at)?;
    Ok((facts.id, id, Plan::new(rule, cart, basket)?))
}

/// The codes that apply, in the order in which they take.
fn select_codes<'u, 'a>(
    usable: &'u [UsableCode<'a>],
    stacking: Stacking,
    basket: &Basket,
    refused: &mut BTreeMap<usize, CodeRejection>,
) -> Vec<&'u UsableCode<'a>> {
    let alone = usable.iter().find(|code| code.plan.rule.parts().individual_use);
    let chosen = match (stacking, alone) {
        (Stacking::Exclusive, _) => usable.first().into_iter().collect(),
        (Stacking::Best, _) => select_best(usable.iter(), basket).into_iter().collect(),
        (Stacking::OnePerClass | Stacking::All, Some(alone)) => {
            for other in usable.iter().filter(|other| other.index != alone.index) {
                refused
                    .insert(other.index, CodeRejection::IndividualUse { with: alone.code.clone() });
            }
            return vec![alone];
        }
        (Stacking::OnePerClass, None) => select_best_per_class(usable, basket),
        (Stacking::All, None) => {
            let mut all: Vec<_> = usable.iter().collect();
            all.sort_by_key(|code| code.application_order());
            all
        }
    };
    let per_class = stacking == Stacking::OnePerClass;
    for other in usable {
        let same_class = |winner: &&&UsableCode<'_>| {
            !per_class || winner.application_order().0 == other.application_order().0
        };
        if !chosen.iter().any(|winner| winner.index == other.index)
            && let Some(winner) = chosen.iter().find(same_class)
        {
            refused.insert(other.index, CodeRejection::NotCombined { with: winner.code.clone() });
        }
    }
    chosen
}

/// The code that saves most, the first typed of equals.
fn select_best<'u, 'a: 'u>(
    codes: impl Iterator<Item = &'u UsableCode<'a>>,
    basket: &Basket,
) -> Option<&'u UsableCode<'a>> {
    let mut best: Option<(u64, &UsableCode<'a>)> = None;
    for code in codes {
        let saves = code.plan.line_discounts(basket).total();
        if best.is_none_or(|(most, _)| saves > most) {
            best = Some((saves, code));
        }
    }
    best.map(|(_, code)| code)
}

fn select_best_per_class<'u, 'a>(
    usable: &'u [UsableCode<'a>],
    basket: &Basket,
) -> Vec<&'u UsableCode<'a>> {
    let mut basket = basket.clone();
    let mut chosen = Vec::new();
    for (_, class) in Class::NAMES {
        let of_class = usable.iter().filter(|code| code.application_order().0 == *class);
        if let Some(code) = select_best(of_class, &basket) {
            code.plan.apply(&code.plan.line_discounts(&basket), &mut basket);
            chosen.push(code);
        }
    }
    chosen
}

fn build_applied_code(
    code: &UsableCode<'_>,
    taking: &LineDiscounts,
    cart: &Cart,
    basket: &Basket,
) -> AppliedCode {
    let rule = code.plan.rule;
    let class = rule.class();
    let id = |place: usize| {
        if class == Class::Shipping {
            cart.shipping.get(place).map(|line| line.id.clone())
        } else {
            cart.lines.get(place).map(|line| line.id.clone())
        }
    };
    let share = |(place, share): &(usize, u64)| {
        let amount = basket.to_amount(*share);
        id(*place).map(|line| DiscountShare { line, amount })
    };
    AppliedCode {
        code: code.id,
        rule: code.rule,
        class,
        value: rule.discount_value(),
        method: rule.parts().allocation_method,
        ratio: rule.parts().prerequisite_to_entitlement_quantity_ratio,
        required_spend: rule.parts().prerequisite_to_entitlement_purchase,
        applications: taking.applications,
        basis: basket.to_amount(taking.basis),
        discount: basket.to_amount(taking.total()),
        shares: taking.shares.iter().filter_map(share).collect(),
    }
}
