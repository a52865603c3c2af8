//! What leaves the engine: the outgoing events of a journal row.
//!
//! The journal is the outbox. Outgoing events are a pure function of its rows, so that nothing
//! is written for them beside the row, none can be lost, and none is sent that was not
//! committed.

mod event;

pub use event::{OutgoingEvent, OutgoingKind, outgoing_events};

pub(crate) use event::count_outgoing;
