//! The rows of a content, one at a time.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, Read};

use loyalty_core::Timestamp;
use loyalty_store::{ImportContent, ImportFault, ImportRow};
use serde_json::Value;

use super::cells::Cells;
use super::columns::Field;
use super::content_error::{ContentError, ContentErrorKind};
use super::examine::{Examined, unreadable};
use super::options::{ContentFormat, Encoding, ImportOptions};

/// Reads the rows of a content. Customers are remembered by a hash of eight bytes, so that a
/// second row of one is refused.
pub(super) struct Rows<'o, R> {
    source: Source<R>,
    options: &'o ImportOptions,
    now: Timestamp,
    seen: HashSet<u64>,
    hasher: RandomState,
}

enum Source<R> {
    Csv {
        reader: Box<csv::Reader<LineFeeds<R>>>,
        fields: Vec<Option<Field>>,
        record: csv::ByteRecord,
    },
    Ndjson {
        reader: BufReader<R>,
        line: u64,
    },
}

impl<'o, R: Read> Rows<'o, R> {
    pub(super) fn new(
        content: R,
        examined: &Examined,
        options: &'o ImportOptions,
        now: Timestamp,
    ) -> Result<Self, ContentError> {
        let source = match options.format {
            ContentFormat::Csv => csv_source(content, examined.delimiter, options)?,
            ContentFormat::Ndjson => Source::Ndjson { reader: BufReader::new(content), line: 0 },
        };
        Ok(Self {
            source,
            options,
            now,
            seen: HashSet::new(),
            hasher: RandomState::new(),
        })
    }

    /// Reads the next row; `None` at the end.
    pub(super) fn read_next(&mut self) -> Result<Option<ImportRow>, ContentError> {
        let found = match &mut self.source {
            Source::Csv { reader, fields, record } => {
                let more = reader.read_byte_record(record);
                if !more.map_err(|error| unreadable(&error, 0))? {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                (line, read_record(record, fields, self.options.encoding))
            }
            Source::Ndjson { reader, line } => match read_object(reader, line, self.options)? {
                Some(object) => (*line, object),
                None => return Ok(None),
            },
        };

        let (line, cells) = found;
        let content = cells.and_then(|cells| self.read_cells(&cells));
        Ok(Some(ImportRow { line, content: content.map(Box::new) }))
    }

    fn read_cells(&mut self, cells: &[(Field, String)]) -> Result<ImportContent, ImportFault> {
        let cells = cells.iter().map(|(field, text)| (*field, text.as_str())).collect();
        let (preset, zone) = (self.options.columns.preset, self.options.zone);
        let content = Cells::new(cells, preset, zone, self.now).read()?;
        if !self.options.settings.repeats_customers && !self.is_new(&content) {
            return Err(ImportFault { code: "duplicate_customer".to_owned(), column: None });
        }
        Ok(content)
    }

    /// Remembers the customer of a row. Returns `false` if there was a row of them before.
    fn is_new(&mut self, content: &ImportContent) -> bool {
        let id = content.customer.id().map(|id| self.hasher.hash_one((0, id.as_str())));
        let email = content
            .customer
            .email()
            .map(|email| self.hasher.hash_one((1, email.key())));
        let is_new = [id, email].iter().flatten().all(|hash| !self.seen.contains(hash));
        if is_new {
            self.seen.extend([id, email].into_iter().flatten());
        }
        is_new
    }
}

/// Content with `\r\n` read as `\n`: else the reader counts the line of a row before its
/// line break is over.
struct LineFeeds<R> {
    content: BufReader<R>,
    /// A `\r` that was read, and what follows is not known.
    holds_return: bool,
}

impl<R: Read> LineFeeds<R> {
    fn new(content: R) -> Self {
        Self { content: BufReader::new(content), holds_return: false }
    }

    fn next_byte(&mut self) -> std::io::Result<Option<u8>> {
        loop {
            let next = self.content.fill_buf()?.first().copied();
            if self.holds_return && next != Some(b'\n') {
                self.holds_return = false;
                return Ok(Some(b'\r'));
            }
            let Some(byte) = next else { return Ok(None) };
            self.content.consume(1);
            self.holds_return = byte == b'\r';
            if !self.holds_return {
                return Ok(Some(byte));
            }
        }
    }
}

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0_usize;
        for slot in out {
            let Some(byte) = self.next_byte()? else { break };
            *slot = byte;
            written = written.saturating_add(1);
        }
        Ok(written)
    }
}

fn csv_source<R: Read>(
    content: R,
    delimiter: u8,
    options: &ImportOptions,
) -> Result<Source<R>, ContentError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(LineFeeds::new(content));
    let mut record = csv::ByteRecord::new();
    let has_header = reader.read_byte_record(&mut record);
    if !has_header.map_err(|error| unreadable(&error, 1))? {
        return Err(ContentErrorKind::Empty.at(1));
    }
    let mut header = Vec::new();
    for cell in &record {
        let cell = decode(cell, options.encoding);
        let cell = cell.ok_or_else(|| ContentErrorKind::NotUtf8.at(1))?;
        header.push(cell.trim_start_matches('\u{feff}').to_owned());
    }
    let fields = options.columns.fields_of(&header)?;
    Ok(Source::Csv { reader: Box::new(reader), fields, record })
}

fn decode(bytes: &[u8], encoding: Encoding) -> Option<String> {
    match encoding {
        Encoding::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Encoding::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

fn row_fault(code: &str) -> ImportFault {
    ImportFault { code: code.to_owned(), column: None }
}

/// Reads the cells of a row that have a field.
fn read_record(
    record: &csv::ByteRecord,
    fields: &[Option<Field>],
    encoding: Encoding,
) -> Result<Vec<(Field, String)>, ImportFault> {
    if record.len() != fields.len() {
        return Err(row_fault("wrong_number_of_cells"));
    }
    let mut cells = Vec::new();
    for (field, cell) in fields.iter().zip(record) {
        let Some(field) = *field else { continue };
        let column = Some(field.name().to_owned());
        let text = decode(cell, encoding);
        let text = text.ok_or_else(|| ImportFault { code: "not_utf8".to_owned(), column })?;
        cells.push((field, text));
    }
    Ok(cells)
}

type ObjectCells = Result<Vec<(Field, String)>, ImportFault>;

/// Reads the next line that is not empty.
fn read_object<R: Read>(
    reader: &mut BufReader<R>,
    line: &mut u64,
    options: &ImportOptions,
) -> Result<Option<ObjectCells>, ContentError> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|error| unreadable(&error, *line))? == 0 {
            return Ok(None);
        }
        *line = line.saturating_add(1);
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
        if !text.is_empty() {
            return Ok(Some(parse_object(text, options)));
        }
    }
}

fn parse_object(text: &[u8], options: &ImportOptions) -> ObjectCells {
    let object: serde_json::Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| row_fault("invalid_json"))?;
    let mut cells: Vec<(Field, String)> = Vec::new();
    for (name, value) in object {
        let Some(field) = options.columns.field_of(&name) else { continue };
        let column = Some(field.name().to_owned());
        if cells.iter().any(|(known, _)| *known == field) {
            return Err(ImportFault { code: "field_twice".to_owned(), column });
        }
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(ImportFault { code: "invalid_type".to_owned(), column });
            }
        };
        cells.push((field, text));
    }
    Ok(cells)
}
