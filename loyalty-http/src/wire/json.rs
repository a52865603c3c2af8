//! Request bodies: JSON read straight into typed structures, strictly.
//!
//! The good path is one pass of `serde_json` over the bytes. Only when that fails is the body
//! read a second time, with its path, to find the place of the fault.
//!
//! Wire structures derive `Deserialize` with `deny_unknown_fields` and take their fields from
//! [`field`]; then unknown and duplicate fields, arrays in the place of objects, control
//! characters, numbers out of range and the like are all rejected. Two things escape these checks,
//! because serde buffers their content: untagged or internally tagged enums, and `flatten`.
//!
//! A body of the wrong shape is 400; a value of the right shape that is not allowed is 422.

pub mod field;
mod strict;

use std::fmt;

use serde::de::{self, Deserialize};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::problem::{ErrorStatus, Problem, to_sentence};
use strict::StrictObjects;

/// Reads a body, or returns a problem with the place of the first fault.
pub fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Problem> {
    // One look over the whole, rather than one for each string in it.
    let Ok(text) = str::from_utf8(body) else {
        return parse_slowly(body);
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    match T::deserialize(StrictObjects(&mut reader)) {
        Ok(value) if reader.end().is_ok() => Ok(value),
        Ok(_) | Err(_) => parse_slowly(body),
    }
}

/// The second pass, for the error's path.
#[cold]
fn parse_slowly<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(BodyErrorCode::TruncatedJson.problem("The body is empty; send JSON.", ""));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(StrictObjects(&mut reader))
        .map_err(|error| to_problem(error.inner(), pointer_of(error.path()), body))?;
    reader
        .end()
        .map_err(|error| to_problem(&error, String::new(), body))?;
    Ok(value)
}

/// The stable codes of faults of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyErrorCode {
    /// 400: not JSON, or text that is no Unicode.
    MalformedJson,
    /// 400: the body ends too early.
    TruncatedJson,
    /// 400: nested deeper than 127 levels.
    TooDeep,
    /// 400: an unknown field.
    UnknownField,
    /// 400: the same field twice.
    DuplicateField,
    /// 400: a missing field.
    MissingField,
    /// 400: a string for a number, an array for an object, and so on.
    WrongType,
    /// 422: a number or a length beyond its bounds.
    OutOfRange,
    /// 422: any other value that is not allowed.
    InvalidValue,
}

impl BodyErrorCode {
    /// The code as the client sees it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::TruncatedJson => "truncated_json",
            Self::TooDeep => "too_deep",
            Self::UnknownField => "unknown_field",
            Self::DuplicateField => "duplicate_field",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::InvalidValue => "invalid_value",
        }
    }

    const fn status(self) -> ErrorStatus {
        match self {
            Self::MalformedJson
            | Self::TruncatedJson
            | Self::TooDeep
            | Self::UnknownField
            | Self::DuplicateField
            | Self::MissingField
            | Self::WrongType => ErrorStatus::BAD_REQUEST,
            Self::OutOfRange | Self::InvalidValue => ErrorStatus::UNPROCESSABLE,
        }
    }

    fn problem(self, detail: impl Into<String>, pointer: impl Into<String>) -> Problem {
        let problem = Problem::new(self.status(), self.as_str(), detail.into());
        let pointer = pointer.into();
        if pointer.is_empty() { problem } else { problem.with_param(pointer) }
    }
}

/// A deserialization error with a code, for field types. The client reads `sentence`. Any other
/// custom error becomes an `invalid_value`.
pub fn field_error<E: de::Error>(code: BodyErrorCode, sentence: impl fmt::Display) -> E {
    E::custom(format_args!("{}: {sentence}", code.as_str()))
}

/// Splits the code off a text of [`field_error`]: serde's errors are only text.
fn split_code(text: &str) -> Option<(BodyErrorCode, &str)> {
    [BodyErrorCode::WrongType, BodyErrorCode::OutOfRange, BodyErrorCode::InvalidValue]
        .into_iter()
        .find_map(|code| {
            let sentence = text.strip_prefix(code.as_str())?.strip_prefix(": ")?;
            Some((code, sentence))
        })
}

/// Turns an error of serde into a problem. Its errors have no codes, so their texts are compared;
/// the tests have a table of them.
fn to_problem(error: &serde_json::Error, pointer: String, body: &[u8]) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&text);
    match error.classify() {
        Category::Data => data_problem(text, pointer),
        Category::Eof => BodyErrorCode::TruncatedJson.problem("The body ends too early.", pointer),
        Category::Syntax | Category::Io => match text {
            "number out of range" => {
                BodyErrorCode::OutOfRange.problem("The number is too big.", pointer)
            }
            "recursion limit exceeded" => {
                BodyErrorCode::TooDeep.problem("The body is nested too deep.", pointer)
            }
            // A number where an enum must be is the same error as no value at all.
            "expected value" if is_json(body) => {
                BodyErrorCode::WrongType.problem("This is not of the right type.", pointer)
            }
            _ => BodyErrorCode::MalformedJson.problem(
                format!("The body is not valid JSON: {text} at line {line}, column {column}."),
                pointer,
            ),
        },
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<de::IgnoredAny>(body).is_ok()
}

/// A problem for JSON that does not fit the structure.
fn data_problem(text: &str, mut pointer: String) -> Problem {
    if let Some((code, sentence)) = split_code(text) {
        return code.problem(sentence, pointer);
    }
    if let Some(name) = strip_quoted(text, "missing field `") {
        push_segment(&mut pointer, name);
        return BodyErrorCode::MissingField
            .problem(format!("The field `{name}` is missing."), pointer);
    }
    if let Some(name) = strip_quoted(text, "duplicate field `") {
        push_segment(&mut pointer, name);
        let detail = format!("The field `{}` is there twice.", truncate(name));
        return BodyErrorCode::DuplicateField.problem(detail, pointer);
    }
    // What the client sent stands before the last "expected", what it can't write after it.
    let text = text.strip_suffix(", there are no fields").unwrap_or(text);
    let (found, expected) = text.rsplit_once(", expected ").unwrap_or((text, "none"));
    let expected = describe_expected(expected);
    if let Some(name) = strip_quoted(found, "unknown field `") {
        let detail = format!("There is no field `{}` here, but {expected}.", truncate(name));
        return BodyErrorCode::UnknownField.problem(detail, pointer);
    }
    if found.starts_with("unknown variant `") {
        return BodyErrorCode::InvalidValue.problem(format!("This must be {expected}."), pointer);
    }
    if let Some(found) = found.strip_prefix("invalid type: ") {
        let detail = format!("This must be {expected}, not {}.", describe_found(found));
        return BodyErrorCode::WrongType.problem(detail, pointer);
    }
    if let Some(found) = found.strip_prefix("invalid value: ") {
        let number = found.starts_with("integer ") || found.starts_with("floating point ");
        let code = if number { BodyErrorCode::OutOfRange } else { BodyErrorCode::InvalidValue };
        let detail = format!("This must be {expected}, within its bounds.");
        return code.problem(detail, pointer);
    }
    BodyErrorCode::InvalidValue.problem(to_sentence(&truncate(text)), pointer)
}

/// Returns the part between a beginning and the last backtick.
fn strip_quoted<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    text.strip_prefix(beginning)?.strip_suffix('`')
}

/// Shortens a text of the client's to 100 characters.
fn truncate(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The expected value without Rust's words.
fn describe_expected(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// The kind of the value that serde found, without the value.
fn describe_found(found: &str) -> &'static str {
    let kinds = [
        ("integer", "a whole number"),
        ("floating point", "a number with a fraction or an exponent"),
        ("boolean", "a boolean"),
        ("sequence", "an array"),
        ("map", "an object"),
        ("null", "null"),
    ];
    let known = kinds.iter().find(|(word, _)| found.starts_with(word));
    known.map_or("a string", |(_, words)| words)
}

/// The path as a JSON pointer (RFC 6901), up to some 200 characters.
fn pointer_of(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        if pointer.len() > 200 {
            break;
        }
        match segment {
            Segment::Seq { index } => push_segment(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_segment(&mut pointer, key),
            Segment::Enum { variant } => push_segment(&mut pointer, variant),
            Segment::Unknown => break,
        }
    }
    pointer
}

/// Adds a part. A key longer than any known field is left out: the pointer names its object.
fn push_segment(pointer: &mut String, part: &str) {
    if part.len() > 100 {
        return;
    }
    pointer.push('/');
    for character in part.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
