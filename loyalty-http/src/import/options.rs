//! How a content is read and imported.

use loyalty_core::{ImportId, ShopId, Zone};
use loyalty_store::ImportSettings;

use super::columns::ColumnMap;

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
