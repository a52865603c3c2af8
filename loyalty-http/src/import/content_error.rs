//! What is wrong with a content as a whole.

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
