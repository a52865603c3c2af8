//! Imports of files: CSV or NDJSON of customers and points, from other services or from an export.
//!
//! [`examine`] reads the content once, and finds what no row can show: how cells are parted, a quote
//! that is left open, a row without an end. [`run`] reads it again, row by row, and has the store
//! decide each. Nothing is guessed: a cell that can be read in two ways is refused by its code.

mod cells;
mod columns;
mod examine;
mod rows;
mod run;

pub use columns::{ColumnMap, Field, Preset};
pub use examine::{Examined, examine};
pub use run::{ImportReport, RowReport, RunError, run, undo};

use loyalty_core::{ImportId, ShopId, Zone};
use loyalty_store::ImportSettings;

/// How the content is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentFormat {
    /// Comma-separated values (RFC 4180), also parted by semicolons or tabs.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

/// How its bytes are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with a byte order mark or without.
    #[default]
    Utf8,
    /// ISO 8859-1. It cannot be told from other encodings, so it must be asked for.
    Latin1,
}

/// What is done with a content that has rows that are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowsPolicy {
    /// The others are imported.
    #[default]
    Good,
    /// None is imported.
    AllOrNothing,
}

/// How a content is read and imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The shop.
    pub shop: ShopId,
    /// The shop's zone, for days without a time.
    pub zone: Zone,
    /// The id of the import.
    pub id: ImportId,
    /// How the content is written.
    pub format: ContentFormat,
    /// How its bytes are characters.
    pub encoding: Encoding,
    /// The columns.
    pub columns: ColumnMap,
    /// What it does.
    pub settings: ImportSettings,
    /// What is done if some rows are refused.
    pub rows: RowsPolicy,
    /// True to change nothing, and to report what would happen.
    pub dry_run: bool,
}

/// Why a content cannot be imported at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ContentError {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub kind: ContentErrorKind,
}

/// What is wrong with a content as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentErrorKind {
    /// It has no row.
    #[error("there is no row")]
    Empty,
    /// A quote is opened and never closed, as in a content that was cut.
    #[error("a quote (\") is opened here and never closed: was the file cut?")]
    OpenQuote,
    /// A row has more bytes than a row can have.
    #[error("the row is longer than {limit} bytes")]
    RowTooLong {
        /// The limit.
        limit: u64,
    },
    /// The header has more columns than a row can have.
    #[error("the header has more than {limit} columns")]
    TooManyColumns {
        /// The limit.
        limit: usize,
    },
    /// A field has two columns.
    #[error("the field {field} has two columns")]
    ColumnTwice {
        /// The field.
        field: &'static str,
    },
    /// A column that was named is not in the header.
    #[error("there is no column for the field {field}")]
    ColumnMissing {
        /// The field.
        field: &'static str,
    },
    /// No column says who the customer is.
    #[error("no column is a customer_id or an email: name it, or choose a preset")]
    NoCustomerColumn,
    /// The header has characters that are not in its encoding.
    #[error("the header is not UTF-8: if it is Latin-1, say so")]
    NotUtf8,
    /// The content cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

impl ContentErrorKind {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "no_rows",
            Self::OpenQuote => "open_quote",
            Self::RowTooLong { .. } => "row_too_long",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::ColumnTwice { .. } => "column_twice",
            Self::ColumnMissing { .. } => "column_missing",
            Self::NoCustomerColumn => "no_customer_column",
            Self::NotUtf8 => "not_utf8",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl ContentErrorKind {
    pub(crate) fn at(self, line: u64) -> ContentError {
        ContentError { line, kind: self }
    }
}
