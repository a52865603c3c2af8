//! What is personal, and what becomes of it when a customer is erased.
//!
//! [`MEMBERS`] is the one list. The export of a customer shows each member of it, and no other;
//! erasure removes what it calls [`Fate::Erased`]. A test compares both with the list.
//!
//! Besides, what a receiver of events has answered is text of somebody else that can name a
//! person: [`DeliveryAttempt::answer`](crate::DeliveryAttempt::answer), kept with deliveries that
//! wait or were given up. It is in no export, and erasure clears it.

use std::sync::Arc;

use loyalty_core::discount::DiscountEvent;
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
    ("redemptions/publications", CODE),
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
        let mut redacted = event.clone();
        if let Event::Discount(DiscountEvent::PriceRuleSaved { saved, .. }) = &mut redacted {
            *saved = Arc::new(saved.replace_customers(self.is_person, self.placeholder)?);
            return Some(redacted);
        }
        if !self.is_own {
            return None;
        }
        if let Event::PointsAdded { reason, .. } | Event::PointsSubtracted { reason, .. } =
            &mut redacted
        {
            if !has_text(reason) {
                return None;
            }
            reason.text = Some(Arc::from(PLACEHOLDER));
        } else if let Event::OrderRecorded { snapshot: Some(snapshot), .. } = &mut redacted {
            let bare = snapshot.without_attributes();
            if bare == **snapshot {
                return None;
            }
            *snapshot = Arc::new(bare);
        } else if let Event::OrderPinned { pin, .. } = &mut redacted {
            if pin.tags.is_empty() {
                return None;
            }
            pin.tags.clear();
        } else {
            return None;
        }
        Some(redacted)
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
