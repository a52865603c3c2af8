//! The first reading of a content: its hash, how cells are parted, and whether it is whole.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::content_error::{ContentError, ContentErrorKind};
use super::options::{ContentFormat, ImportOptions};

/// The most bytes of a row.
const MAX_ROW_BYTES: u64 = 1 << 20;

/// What the first reading found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// A hash of the content and of how it is read.
    pub digest: String,
    /// The byte that parts cells.
    pub delimiter: u8,
    /// The number of bytes.
    pub bytes: u64,
    /// False if the last line has no line break: it may have been cut.
    pub ends_with_break: bool,
}

/// Reads a content once, in constant memory.
///
/// # Errors
/// A content that is not whole, or has a row without an end.
pub fn examine(mut content: impl Read, options: &ImportOptions) -> Result<Examined, ContentError> {
    let mut hash = Sha256::new();
    hash.update(describe(options));
    let mut scan = Scan::new(options.format);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = content.read(&mut buffer);
        let read = read.map_err(|error| unreadable(&error, scan.line))?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        hash.update(part);
        part.iter().try_for_each(|byte| scan.take(*byte))?;
    }

    if scan.is_quoted {
        return Err(ContentErrorKind::OpenQuote.at(scan.quoted_since));
    }
    if scan.bytes == 0 {
        return Err(ContentErrorKind::Empty.at(1));
    }
    let digest = hash.finalize();
    Ok(Examined {
        digest: hexadecimal(&digest),
        delimiter: scan.delimiter(),
        bytes: scan.bytes,
        ends_with_break: scan.row_bytes == 0,
    })
}

/// How the content is read, for the hash: the same bytes under other columns are another import.
fn describe(options: &ImportOptions) -> String {
    let ImportOptions { format, encoding, columns, rows, .. } = options;
    format!("{format:?} {encoding:?} {columns:?} {rows:?}\n")
}

pub(super) fn unreadable(error: &dyn std::fmt::Display, line: u64) -> ContentError {
    ContentErrorKind::Unreadable(error.to_string()).at(line)
}

/// What was seen so far.
struct Scan {
    is_csv: bool,
    line: u64,
    bytes: u64,
    row_bytes: u64,
    is_quoted: bool,
    quoted_since: u64,
    /// How often the header has a comma, a semicolon and a tab outside of quotes.
    in_header: [u64; 3],
}

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

impl Scan {
    fn new(format: ContentFormat) -> Self {
        Self {
            is_csv: format == ContentFormat::Csv,
            line: 1,
            bytes: 0,
            row_bytes: 0,
            is_quoted: false,
            quoted_since: 1,
            in_header: [0; 3],
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), ContentError> {
        self.bytes = self.bytes.saturating_add(1);
        self.row_bytes = self.row_bytes.saturating_add(1);
        if self.row_bytes > MAX_ROW_BYTES {
            // A quote that is left open makes one long row of the rest.
            let (kind, line) = if self.is_quoted {
                (ContentErrorKind::OpenQuote, self.quoted_since)
            } else {
                (ContentErrorKind::RowTooLong { limit: MAX_ROW_BYTES }, self.line)
            };
            return Err(kind.at(line));
        }

        match byte {
            b'"' if self.is_csv => {
                self.is_quoted = !self.is_quoted;
                if self.is_quoted {
                    self.quoted_since = self.line;
                }
            }
            b'\n' => {
                self.line = self.line.saturating_add(1);
                if !self.is_quoted {
                    self.row_bytes = 0;
                }
            }
            _ if self.line == 1 && !self.is_quoted => {
                let seen = DELIMITERS.iter().zip(&mut self.in_header);
                for (_, count) in seen.filter(|(delimiter, _)| **delimiter == byte) {
                    *count = count.saturating_add(1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The delimiter that the header has most of; a comma for one column.
    fn delimiter(&self) -> u8 {
        let seen = DELIMITERS.iter().zip(self.in_header).rev();
        let most = seen.max_by_key(|(_, count)| *count);
        most.map_or(b',', |(delimiter, _)| *delimiter)
    }
}

/// Bytes as text: two digits each.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}
