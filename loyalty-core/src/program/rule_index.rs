//! Which earning rules are about a line: one search for each thing that the line names, however many rules
//! there are.

use std::collections::BTreeMap;

use super::EarningRule;
use super::bounds::MAX_ITEMS;
use crate::order::Line;

/// Some earning rules, by their places in the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleSet([u64; MAX_ITEMS.div_ceil(64)]);

impl RuleSet {
    pub(crate) fn insert(&mut self, place: usize) {
        if let Some(bits) = self.0.get_mut(place / 64) {
            *bits |= 1 << (place % 64);
        }
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.0
            .get(place / 64)
            .is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }

    /// Whether any place is in both.
    pub(crate) fn intersects(&self, others: &Self) -> bool {
        self.0.iter().zip(&others.0).any(|(own, other)| own & other != 0)
    }

    fn union(&mut self, others: &Self) {
        self.0
            .iter_mut()
            .zip(&others.0)
            .for_each(|(own, other)| *own |= other);
    }
}

/// What the rules of a program name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleIndex {
    products: NameIndex,
    categories: NameIndex,
}

impl RuleIndex {
    pub(super) fn new(rules: &[EarningRule]) -> Self {
        let (mut products, mut categories) = (BTreeMap::new(), BTreeMap::new());
        for (place, EarningRule { when, .. }) in rules.iter().enumerate() {
            when.products
                .iter()
                .for_each(|product| index_name(&mut products, product.as_str(), place));
            when.categories
                .iter()
                .for_each(|category| index_name(&mut categories, category.as_str(), place));
        }
        Self {
            products: NameIndex::new(products),
            categories: NameIndex::new(categories),
        }
    }

    /// The rules that name the line's product or one of its categories.
    pub(super) fn rules_for(&self, line: &Line) -> RuleSet {
        let product = line
            .product
            .as_ref()
            .and_then(|product| self.products.get(product.as_str()));
        let mut places = product.copied().unwrap_or_default();
        for category in &line.categories {
            if let Some(found) = self.categories.get(category.as_str()) {
                places.union(found);
            }
        }
        places
    }
}

/// Names, shorter ones first: in a search, the lengths decide nearly always, and at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NameIndex(Vec<(Box<str>, RuleSet)>);

fn index_name<'a>(all: &mut BTreeMap<(usize, &'a str), RuleSet>, name: &'a str, place: usize) {
    all.entry((name.len(), name)).or_default().insert(place);
}

impl NameIndex {
    fn new(names: BTreeMap<(usize, &str), RuleSet>) -> Self {
        Self(
            names
                .into_iter()
                .map(|((_, name), places)| (name.into(), places))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&RuleSet> {
        let order = |own: &str| own.len().cmp(&name.len()).then_with(|| own.cmp(name));
        let index = self.0.binary_search_by(|(own, _)| order(own)).ok()?;
        self.0.get(index).map(|(_, places)| places)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;
    use crate::amount::Amount;
    use crate::order::Quantity;
    use crate::program::ProgramDefinition;

    #[test]
    fn the_last_of_many_rules_is_found_too() {
        let rule = |place: usize| {
            let mut rule = EarningRule::base();
            rule.when
                .products
                .insert(format!("product {}", place / 2).parse().unwrap());
            rule.when
                .categories
                .insert(format!("category {place}").parse().unwrap());
            rule
        };
        let rules: Vec<_> = (0..MAX_ITEMS).map(rule).collect();
        let scopes = RuleIndex::new(&rules);
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
        };
        let found = |line: &Line| -> Vec<_> {
            let places = scopes.rules_for(line);
            (0..MAX_ITEMS + 100).filter(|place| places.contains(*place)).collect()
        };
        for place in 0..MAX_ITEMS {
            assert_eq!(found(&line(None, &[place, MAX_ITEMS])), [place]);
        }
        assert_eq!(found(&line(Some(MAX_ITEMS / 2 - 1), &[])), [MAX_ITEMS - 2, MAX_ITEMS - 1]);
        assert_eq!(found(&line(Some(0), &[70, 5, 199])), [0, 1, 5, 70, 199]);
        assert!(found(&line(Some(MAX_ITEMS), &[])).is_empty());
        assert!(found(&line(None, &[])).is_empty());
        assert_eq!(RuleIndex::new(&ProgramDefinition::default().earning), RuleIndex::default());
    }
}
