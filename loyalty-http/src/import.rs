//! Imports of files: CSV or NDJSON of customers and points, from other services or from an export.
//!
//! [`examine`] reads the content once, and finds what no row can show: how cells are parted, a quote
//! that is left open, a row without an end. [`run`] reads it again, row by row, and has the store
//! decide each. Nothing is guessed: a cell that can be read in two ways is refused by its code.

mod cells;
mod columns;
mod content_error;
mod examine;
mod expiry;
mod options;
mod rows;
mod run;

pub use columns::{ColumnMap, Field, Preset};
pub use content_error::{ContentError, ContentErrorKind};
pub use examine::{Examined, examine};
pub use expiry::{RecordedPeriod, find_expired};
pub use options::{ContentFormat, Encoding, ImportOptions, RowsPolicy};
pub use run::{ImportReport, RowReport, RunError, run, run_contents, undo};
