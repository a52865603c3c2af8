//! Events in and out: a ledger is stored as its events, and folded from them again.

use super::Ledger;
use crate::event::Event;
use crate::id::{OrderId, ProgramVersion};

/// Why an event does not fit a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The customer was referred, but the ledger has no number for the referrer's ledger.
    #[error("the customer was referred, but the ledger has no account id")]
    MissingAccountId,
    /// An order earns under a program that was not published to the ledger.
    #[error("order {order} earns under version {version} of the program, which is not published")]
    UnknownProgram {
        /// The order.
        order: OrderId,
        /// The version of the program.
        version: ProgramVersion,
    },
}

impl Ledger {
    /// Folds stored events, oldest first, and counts them as saved.
    ///
    /// The ledger needs the settings and all programs of the one that made the events, published
    /// in the same order. Costs one fold for each event; no rule is evaluated.
    ///
    /// # Errors
    /// [`ReplayError`], if the ledger lacks the program of an order, or a number of its own for a
    /// referral.
    ///
    /// # Example: stored events make the same ledger
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.add(Points::from(250), "welcome", now)?;
    /// let stored: Vec<Event> = ledger.unsaved_events().to_vec(); // into a table of your own
    ///
    /// let again = Ledger::new(Program::default()).replay(stored)?;
    /// assert_eq!(again.account(), ledger.account());
    /// assert!(again.unsaved_events().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replay(mut self, events: impl IntoIterator<Item = Event>) -> Result<Self, ReplayError> {
        for event in events {
            self.apply(event)?;
        }
        self.mark_saved();
        Ok(self)
    }

    /// Folds one event that was decided elsewhere, such as one of [`merge`](crate::merge()).
    ///
    /// # Errors
    /// [`ReplayError`], if the ledger lacks the program of an order, or a number of its own for a
    /// referral. Nothing has changed then.
    pub fn apply(&mut self, event: Event) -> Result<(), ReplayError> {
        if let Event::OrderPinned { order, pin } = &event
            && self.program(pin.program).is_none()
        {
            return Err(ReplayError::UnknownProgram { order: order.clone(), version: pin.program });
        }
        if matches!(event, Event::ReferralJoined { .. }) && self.account_id.is_none() {
            return Err(ReplayError::MissingAccountId);
        }

        self.fold(event);
        Ok(())
    }

    /// All events, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events since the last [`Ledger::mark_saved`] or [`Ledger::replay`], oldest first.
    ///
    /// Store them in one transaction with a check that nobody else has added events of this
    /// customer since: two processes with one ledger each would decide without knowing each other.
    ///
    /// # Example: store first, then mark
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// # let mut table: Vec<Event> = Vec::new();
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.add(Points::from(250), "welcome", now)?;
    /// table.extend_from_slice(ledger.unsaved_events());
    /// ledger.mark_saved();
    /// assert!(ledger.unsaved_events().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unsaved_events(&self) -> &[Event] {
        self.events.get(self.saved_events..).unwrap_or_default()
    }

    /// Counts all events as saved.
    pub fn mark_saved(&mut self) {
        self.saved_events = self.events.len();
    }
}
