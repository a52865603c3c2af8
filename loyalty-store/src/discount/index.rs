//! The index of rules and codes for lookups and lists. It is written in the same
//! transaction as the journal.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use loyalty_core::discount::DiscountEvent;
use loyalty_core::{CodeId, Email, Event, PriceRuleId, ShopId};

/// A change of the index of one shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IndexChange {
    PutRule(PriceRuleId),
    DeleteRule(PriceRuleId),
    /// The e-mails of a rule. They are personal data, so the journal does not have them.
    PutEmails(PriceRuleId, Arc<[Email]>),
    /// A code by its key. It replaces a code with the same key whose rule was deleted.
    PutCode(String, PriceRuleId, CodeId),
    DeleteCode(String, CodeId),
}

impl IndexChange {
    /// Returns the changes that an event causes. `known` returns the rule and key of a
    /// code before the event.
    pub(crate) fn from_event(
        event: &DiscountEvent,
        known: impl FnOnce(CodeId) -> Option<(PriceRuleId, String)>,
    ) -> Vec<Self> {
        match event {
            DiscountEvent::CodeAdded { code, rule, text } => {
                vec![Self::PutCode(text.key().to_owned(), *rule, *code)]
            }
            DiscountEvent::CodeRemoved { code } => known(*code)
                .map(|(_, key)| Self::DeleteCode(key, *code))
                .into_iter()
                .collect(),
            DiscountEvent::CodeRenamed { code, text } => match known(*code) {
                Some((_, key)) if key == text.key() => Vec::new(),
                Some((rule, key)) => {
                    vec![
                        Self::DeleteCode(key, *code),
                        Self::PutCode(text.key().to_owned(), rule, *code),
                    ]
                }
                None => Vec::new(),
            },
            DiscountEvent::PriceRuleDeleted { rule, .. } => vec![Self::DeleteRule(*rule)],
            DiscountEvent::PriceRuleSaved { rule, .. } => vec![Self::PutRule(*rule)],
            DiscountEvent::CodeReserved { .. }
            | DiscountEvent::CodeReleased { .. }
            | DiscountEvent::CodeSwitched { .. }
            | DiscountEvent::CodeUsed { .. }
            | DiscountEvent::CodeUseReturned { .. }
            | DiscountEvent::CodesBatched { .. } => Vec::new(),
        }
    }
}

/// Returns the key that an event assigns to a code.
pub(crate) fn assigned_code_key(event: &Event) -> Option<&str> {
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
pub(crate) struct DiscountIndex {
    pub(crate) rules: BTreeSet<(ShopId, PriceRuleId)>,
    pub(crate) emails: HashMap<(ShopId, PriceRuleId), Arc<[Email]>>,
    pub(crate) codes_by_key: HashMap<(ShopId, String), (PriceRuleId, CodeId)>,
    pub(crate) codes_by_rule: BTreeSet<(PriceRuleId, CodeId)>,
}

impl DiscountIndex {
    pub(crate) fn apply(&mut self, shop: ShopId, change: IndexChange) {
        match change {
            IndexChange::PutRule(rule) => {
                self.rules.insert((shop, rule));
            }
            IndexChange::DeleteRule(rule) => {
                self.rules.remove(&(shop, rule));
                self.emails.remove(&(shop, rule));
            }
            IndexChange::PutEmails(rule, emails) => {
                self.emails.insert((shop, rule), emails);
            }
            IndexChange::PutCode(key, rule, code) => {
                if let Some(before) = self.codes_by_key.insert((shop, key), (rule, code)) {
                    self.codes_by_rule.remove(&before);
                }
                self.codes_by_rule.insert((rule, code));
            }
            IndexChange::DeleteCode(key, code) => {
                if self
                    .codes_by_key
                    .get(&(shop, key.clone()))
                    .is_some_and(|(_, known)| *known == code)
                    && let Some(before) = self.codes_by_key.remove(&(shop, key))
                {
                    self.codes_by_rule.remove(&before);
                }
            }
        }
    }
}
