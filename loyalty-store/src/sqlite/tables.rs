//! SQL, one file for each family of tables: rows to records and back.
//!
//! Functions named `read_` and `find_` return rows, `scan_` and `for_each_` visit many. `insert_`
//! adds a row, `append_` some of them, and `upsert_` adds or replaces one.

pub(super) mod access;
pub(super) mod account;
pub(super) mod catalogue;
pub(super) mod checkpoint;
pub(super) mod code_claim;
pub(super) mod customer;
pub(super) mod day_totals;
pub(super) mod destination;
pub(super) mod discount_index;
pub(super) mod due;
pub(super) mod erasure;
pub(super) mod import;
pub(super) mod journal;
pub(super) mod order;
pub(super) mod program;
pub(super) mod projection;
pub(super) mod query;
pub(super) mod response;
pub(super) mod shop;
