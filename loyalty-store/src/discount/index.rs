//! How rules and codes are found and listed: written with the journal, and as true as it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use loyalty_core::discount::DiscountEvent;
use loyalty_core::{CodeId, Email, Event, PriceRuleId, ShopId};

/// A change of the index of one shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Indexed {
    Rule(PriceRuleId),
    NoRule(PriceRuleId),
    /// A rule's e-mails. Personal data: not in the journal.
    Emails(PriceRuleId, Arc<[Email]>),
    /// A code by its key. One that was there before belonged to a rule that is gone.
    Code(String, PriceRuleId, CodeId),
    NoCode(String, CodeId),
}

impl Indexed {
    /// What follows from an event. `known` is a code as it was before: its rule and its key.
    pub(crate) fn of(
        event: &DiscountEvent,
        known: impl FnOnce(CodeId) -> Option<(PriceRuleId, String)>,
    ) -> Vec<Self> {
        match event {
            DiscountEvent::CodeAdded { code, rule, text } => {
                vec![Self::Code(text.key().to_owned(), *rule, *code)]
            }
            DiscountEvent::CodeRemoved { code } => known(*code)
                .map(|(_, key)| Self::NoCode(key, *code))
                .into_iter()
                .collect(),
            DiscountEvent::CodeRenamed { code, text } => match known(*code) {
                Some((_, key)) if key == text.key() => Vec::new(),
                Some((rule, key)) => {
                    vec![Self::NoCode(key, *code), Self::Code(text.key().to_owned(), rule, *code)]
                }
                None => Vec::new(),
            },
            DiscountEvent::PriceRuleDeleted { rule } => vec![Self::NoRule(*rule)],
            DiscountEvent::PriceRuleSaved { rule, .. } => vec![Self::Rule(*rule)],
            DiscountEvent::CodeReserved { .. }
            | DiscountEvent::CodeReleased { .. }
            | DiscountEvent::CodeSwitched { .. }
            | DiscountEvent::CodeUsed { .. }
            | DiscountEvent::CodeUseReturned { .. }
            | DiscountEvent::CodesBatched { .. } => Vec::new(),
        }
    }
}

/// The key that an event gives a code.
pub(crate) fn named(event: &Event) -> Option<&str> {
    let Event::Discount(
        DiscountEvent::CodeAdded { text, .. } | DiscountEvent::CodeRenamed { text, .. },
    ) = event
    else {
        return None;
    };
    Some(text.key())
}

/// The index of all shops, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) rules: BTreeSet<(ShopId, PriceRuleId)>,
    pub(crate) emails: HashMap<(ShopId, PriceRuleId), Arc<[Email]>>,
    pub(crate) by_key: HashMap<(ShopId, String), (PriceRuleId, CodeId)>,
    pub(crate) of_rule: BTreeSet<(PriceRuleId, CodeId)>,
}

impl Index {
    pub(crate) fn apply(&mut self, shop: ShopId, change: Indexed) {
        match change {
            Indexed::Rule(rule) => {
                self.rules.insert((shop, rule));
            }
            Indexed::NoRule(rule) => {
                self.rules.remove(&(shop, rule));
                self.emails.remove(&(shop, rule));
            }
            Indexed::Emails(rule, emails) => {
                self.emails.insert((shop, rule), emails);
            }
            Indexed::Code(key, rule, code) => {
                if let Some(before) = self.by_key.insert((shop, key), (rule, code)) {
                    self.of_rule.remove(&before);
                }
                self.of_rule.insert((rule, code));
            }
            Indexed::NoCode(key, code) => {
                if self
                    .by_key
                    .get(&(shop, key.clone()))
                    .is_some_and(|(_, known)| *known == code)
                    && let Some(before) = self.by_key.remove(&(shop, key))
                {
                    self.of_rule.remove(&before);
                }
            }
        }
    }
}
