//! What is personal, and what becomes of it when a customer is erased.
//!
//! [`MEMBERS`] is the one list. The export of a customer shows each member of it, and no other;
//! erasure removes what it calls [`Fate::Erased`]. A test compares both with the list.

use std::sync::Arc;

use loyalty_core::discount::DiscountEvent;
use loyalty_core::order::Pin;
use loyalty_core::{AdjustmentReason, CustomerId, Event, OrderState};

/// What becomes of a member of the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing stored has it any more.
    Erased,
    /// It stays for the reason given: a number of the books, or an id of something else.
    Kept(&'static str),
}

/// Why something stays.
const BOOKS: Fate = Fate::Kept("a number, kind or time of the books");
const CODE: Fate = Fate::Kept("a random code, which can no longer be used");
const CONFIGURED: Fate = Fate::Kept("the shop's name of something that many have");
const ORDER: Fate = Fate::Kept("a fact of an order: its id, goods, amounts and times");
const OTHER: Fate = Fate::Kept("stays with the other person");

/// The members of the export of a customer, by the beginning of their path. The longest that
/// fits counts.
pub const MEMBERS: &[(&str, Fate)] = &[
    ("exported_at", BOOKS),
    ("customer", Fate::Erased),
    ("customer/created_at", BOOKS),
    ("customer/updated_at", BOOKS),
    ("customer/point_balance", BOOKS),
    ("customer/tier", CONFIGURED),
    ("customer/tier_until", BOOKS),
    ("household", Fate::Erased),
    ("merged", Fate::Erased),
    ("merged/points", BOOKS),
    ("merged/merged_at", BOOKS),
    ("referrals", BOOKS),
    ("referrals/code", CODE),
    ("referrals/completed_by", ORDER),
    ("referrals/customer_id", Fate::Erased),
    ("referred_by", OTHER),
    ("redemptions", BOOKS),
    ("redemptions/customer_id", Fate::Erased),
    ("redemptions/email", Fate::Erased),
    ("redemptions/code", CODE),
    ("redemptions/name", CONFIGURED),
    ("redemptions/reward_id", CONFIGURED),
    ("redemptions/order_id", ORDER),
    ("orders/order", ORDER),
    ("orders/content", ORDER),
    ("orders/content/attributes", Fate::Erased),
    ("orders/content/lines/attributes", Fate::Erased),
    ("orders/refunds", ORDER),
    ("ledger", BOOKS),
    ("ledger/action_id", CONFIGURED),
    ("ledger/order_id", ORDER),
    ("ledger/reason", Fate::Erased),
    ("ledger/reward_id", CONFIGURED),
    ("ledger/tier", CONFIGURED),
];

/// Stands where a shop's text was.
pub const PLACEHOLDER: &str = "(erased)";

/// Returns the fate of a member by its path, such as `orders/content/lines/attributes/note`.
pub fn fate_of(path: &str) -> Option<Fate> {
    let fits = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    MEMBERS
        .iter()
        .filter(|(prefix, _)| fits(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, fate)| *fate)
}

/// Who is erased, for a row of the journal.
pub(crate) struct Redaction<'a> {
    /// The row is of the person's account, or about an order of theirs.
    pub(crate) is_own: bool,
    /// Returns `true` for an id of the person.
    pub(crate) is_person: &'a dyn Fn(&CustomerId) -> bool,
    /// Stands where their id was.
    pub(crate) placeholder: &'a CustomerId,
}

impl Redaction<'_> {
    /// Returns the events without what is personal, with the same numbers; `None` if nothing
    /// is.
    pub(crate) fn apply(&self, events: &[Event]) -> Option<Vec<Event>> {
        let redacted: Vec<_> = events.iter().map(|event| self.redact(event)).collect();
        if redacted.iter().all(Option::is_none) {
            return None;
        }
        let events = events.iter().zip(redacted);
        Some(
            events
                .map(|(event, redacted)| redacted.unwrap_or_else(|| event.clone()))
                .collect(),
        )
    }

    fn redact(&self, event: &Event) -> Option<Event> {
        match event {
            Event::Discount(DiscountEvent::PriceRuleSaved { saved, .. }) => {
                let saved = saved.replace_customers(self.is_person, self.placeholder)?;
                let mut event = event.clone();
                if let Event::Discount(DiscountEvent::PriceRuleSaved { saved: old, .. }) =
                    &mut event
                {
                    *old = Arc::new(saved);
                }
                Some(event)
            }
            Event::PointsAdded { reason, .. } | Event::PointsSubtracted { reason, .. }
                if self.is_own && has_text(reason) =>
            {
                let mut event = event.clone();
                if let Event::PointsAdded { reason, .. } | Event::PointsSubtracted { reason, .. } =
                    &mut event
                {
                    reason.text = Some(Arc::from(PLACEHOLDER));
                }
                Some(event)
            }
            Event::OrderRecorded { snapshot: Some(order), .. } if self.is_own => {
                let bare = order.without_attributes();
                if bare == **order {
                    return None;
                }
                let mut event = event.clone();
                if let Event::OrderRecorded { snapshot, .. } = &mut event {
                    *snapshot = Some(Arc::new(bare));
                }
                Some(event)
            }
            Event::OrderPinned { order, pin } if self.is_own && !pin.tags.is_empty() => {
                let pin = Pin { tags: std::collections::BTreeSet::new(), ..pin.clone() };
                Some(Event::OrderPinned { order: order.clone(), pin })
            }
            _ => None,
        }
    }
}

fn has_text(reason: &AdjustmentReason) -> bool {
    reason.text.as_deref().is_some_and(|text| text != PLACEHOLDER)
}

/// Returns the state of an order whose latest snapshot has become one without attributes.
pub(crate) fn redact_content(state: &OrderState) -> OrderState {
    let bare = state
        .snapshot()
        .map(|recorded| Arc::new(recorded.order.without_attributes()));
    match bare {
        Some(bare) => state.clone().with_snapshot(&bare),
        None => state.clone(),
    }
}

/// Returns the state of an order whose pin has no tags any more.
pub(crate) fn redact_pin(state: &OrderState) -> OrderState {
    state.clone().without_pinned_tags()
}
