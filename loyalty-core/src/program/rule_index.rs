//! An index from products and categories to the earning rules that name them.
//!
//! A line costs one binary search for its product and for each of its categories,
//! whatever the number of rules.

use std::collections::BTreeMap;

use super::EarningRule;
use super::check::MAX_ITEMS;
use crate::order::Line;

/// A set of earning rules, by their indexes in the program: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleSet([u64; MAX_ITEMS.div_ceil(64)]);

impl RuleSet {
    pub(crate) fn insert(&mut self, index: usize) {
        if let Some(bits) = self.0.get_mut(index / 64) {
            *bits |= 1 << (index % 64);
        }
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    /// Adds or removes a rule.
    pub(crate) fn set(&mut self, index: usize, is_member: bool) {
        if let Some(bits) = self.0.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *bits = if is_member { *bits | bit } else { *bits & !bit };
        }
    }

    /// Returns true if both sets have a rule in common.
    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(left, right)| left & right != 0)
    }

    /// Adds the rules of another set.
    fn extend(&mut self, other: &Self) {
        for (bits, more) in self.0.iter_mut().zip(&other.0) {
            *bits |= more;
        }
    }
}

/// The products and categories that earning rules name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleIndex {
    products: NameIndex,
    categories: NameIndex,
    /// The rules with conditions on the attributes of lines.
    selective: Vec<usize>,
}

impl RuleIndex {
    pub(super) fn new(rules: &[EarningRule]) -> Self {
        let (mut products, mut categories) = (BTreeMap::new(), BTreeMap::new());

        for (index, EarningRule { when, .. }) in rules.iter().enumerate() {
            for product in &when.products {
                index_name(&mut products, product.as_str(), index);
            }
            for category in &when.categories {
                index_name(&mut categories, category.as_str(), index);
            }
        }
        let selective = rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.when.order.selects_lines());
        Self {
            products: NameIndex::new(products),
            categories: NameIndex::new(categories),
            selective: selective.map(|(index, _)| index).collect(),
        }
    }

    /// The indexes of the rules with conditions on the attributes of lines.
    pub(super) fn selective_rules(&self) -> &[usize] {
        &self.selective
    }

    /// The rules that name the line's product or one of its categories.
    pub(super) fn rules_for(&self, line: &Line) -> RuleSet {
        let product = line
            .product
            .as_ref()
            .and_then(|product| self.products.get(product.as_str()));
        let mut rules = product.copied().unwrap_or_default();

        for category in &line.categories {
            if let Some(found) = self.categories.get(category.as_str()) {
                rules.extend(found);
            }
        }
        rules
    }
}

/// Names with the rules that have them, sorted by length first: comparing lengths is
/// cheap, and decides nearly every step of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NameIndex(Vec<(Box<str>, RuleSet)>);

fn index_name<'a>(names: &mut BTreeMap<(usize, &'a str), RuleSet>, name: &'a str, rule: usize) {
    names.entry((name.len(), name)).or_default().insert(rule);
}

impl NameIndex {
    fn new(names: BTreeMap<(usize, &str), RuleSet>) -> Self {
        Self(
            names
                .into_iter()
                .map(|((_, name), rules)| (name.into(), rules))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&RuleSet> {
        let order = |known: &str| known.len().cmp(&name.len()).then_with(|| known.cmp(name));
        let index = self.0.binary_search_by(|(known, _)| order(known)).ok()?;
        self.0.get(index).map(|(_, rules)| rules)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;
    use crate::amount::Amount;
    use crate::attribute::Attributes;
    use crate::order::Quantity;
    use crate::program::ProgramDefinition;

    #[test]
    fn the_last_of_many_rules_is_found_too() {
        let rule = |index: usize| {
            let mut rule = EarningRule::base();
            rule.when
                .products
                .insert(format!("product {}", index / 2).parse().unwrap());
            rule.when
                .categories
                .insert(format!("category {index}").parse().unwrap());
            rule
        };
        let rules: Vec<_> = (0..MAX_ITEMS).map(rule).collect();
        let rule_index = RuleIndex::new(&rules);
        let line = |product: Option<usize>, categories: &[usize]| Line {
            id: "1".parse().unwrap(),
            product: product.map(|number| format!("product {number}").parse().unwrap()),
            categories: categories
                .iter()
                .map(|number| format!("category {number}").parse().unwrap())
                .collect(),
            quantity: Quantity::from(1),
            amount: Amount::ZERO,
            gift_card: false,
            attributes: Attributes::EMPTY,
        };
        let found = |line: &Line| -> Vec<_> {
            let rules = rule_index.rules_for(line);
            (0..MAX_ITEMS + 100).filter(|index| rules.contains(*index)).collect()
        };

        for index in 0..MAX_ITEMS {
            assert_eq!(found(&line(None, &[index, MAX_ITEMS])), [index]);
        }
        assert_eq!(found(&line(Some(MAX_ITEMS / 2 - 1), &[])), [MAX_ITEMS - 2, MAX_ITEMS - 1]);
        assert_eq!(found(&line(Some(0), &[70, 5, 199])), [0, 1, 5, 70, 199]);
        assert!(found(&line(Some(MAX_ITEMS), &[])).is_empty());
        assert!(found(&line(None, &[])).is_empty());
        assert_eq!(RuleIndex::new(&ProgramDefinition::default().earning), RuleIndex::default());
    }
}
