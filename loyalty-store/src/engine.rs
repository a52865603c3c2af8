//! Group commit with write-behind, for any durable backend.
//!
//! - **Group commit.** A request is decided on the thread that calls, on top of everything decided
//!   before it ([`executor`]); what takes long has a thread of its own ([`long_decisions`]). One thread commits what was decided meanwhile as one batch
//!   ([`writer`]), and only then are the replies sent.
//! - **Write-behind cache.** A commit appends journal rows and responses. The states that follow
//!   from them stay in memory ([`committed`]) and reach their tables later, in sorted slices
//!   ([`write_behind`]). A checkpoint says up to which journal row all tables are complete.
//! - **Recovery.** At the start and after a failed write, memory is discarded and the journal after
//!   the checkpoint is folded again ([`replay`]).
//! - **Overlay views.** A decision reads its own batch, then the batch in flight, then the
//!   committed state ([`batch`]). So it sees everything before it, and nothing that could vanish
//!   without failing it too.
//!
//! The engine contains no SQL. A backend implements the traits of [`backend`].

mod backend;
mod batch;
mod cache;
mod committed;
mod executor;
mod fair_queue;
mod filter;
mod filter_loader;
mod kind;
mod long_decisions;
mod map;
mod pending_index;
mod pending_lists;
mod replay;
mod rescheduler;
mod response_slot;
mod states;
mod tail;
mod ttl_cache;
mod work_estimate;
mod write_behind;
mod write_queue;
mod writer;

pub(crate) use backend::{
    Backend, CheckpointPosition, TableReader, TableScan, TableWriter, WriteTransaction,
};
pub(crate) use batch::{BatchRewrites, BatchWrites};
pub(crate) use committed::CommittedState;
pub(crate) use executor::Executor;
pub(crate) use filter_loader::load_filter;
pub(crate) use kind::{Accounts, Days, Load, Orders, Projections, Responses, Upsert};
pub(crate) use rescheduler::Rescheduler;
pub(crate) use response_slot::{GENERATION_BITS, KEY_BITS, NumberedResponse, ResponseKey, slot_of};
pub(crate) use ttl_cache::TtlCache;
pub(crate) use writer::Writer;

#[cfg(test)]
pub(crate) use kind::FilterKey;
#[cfg(test)]
pub(crate) use response_slot::{key_bits, mix};
