//! JSON as PHP encodes it: rebuilds the text that a store plugin has signed from the body
//! that it sent.
//!
//! A plugin signs `json_encode` of its data. It sends the same data, in some stores with
//! unescaped slashes or letters. So only the parts that differ from the default encoding
//! are encoded again. All other parts stay as received, and numbers are never formatted.
//! The scan is one pass, without a copy of canonical parts, and recursion is limited to
//! [`MAX_DEPTH`].
//!
//! Input that no `json_encode` writes is an error, even if it is valid JSON: upper-case
//! digits in `\u00E9`, and tabs and carriage returns between tokens. Otherwise two bodies
//! that differ in one bit could have the same signature.

use std::borrow::Cow;

/// The maximum nesting of objects and lists. An order needs five levels.
pub const MAX_DEPTH: usize = 32;

/// The reason why a body is not the JSON of a plugin. Positions are byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The body is not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON, or has white space other than spaces and line feeds.
    #[error("the body is not JSON at byte {at}")]
    Malformed {
        /// The position.
        at: usize,
    },
    /// The body ends within a value.
    #[error("the body is truncated")]
    Truncated,
    /// The body has further bytes after the value.
    #[error("the body has trailing bytes at byte {at}")]
    TrailingBytes {
        /// The position.
        at: usize,
    },
    /// The body is nested beyond [`MAX_DEPTH`].
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// An escape is one half of a UTF-16 surrogate pair, which is not a character.
    #[error("unpaired surrogate at byte {at}")]
    LoneSurrogate {
        /// The position.
        at: usize,
    },
    /// A `\u` escape has upper-case digits.
    #[error("upper-case hexadecimal escape at byte {at}; PHP writes lower case")]
    UpperCaseEscape {
        /// The position.
        at: usize,
    },
    /// The value is not an object.
    #[error("the body is not an object")]
    NotAnObject,
}

/// A member of the outermost object.
pub(super) struct Member<'b> {
    /// The name with quotes, as received.
    pub(super) name: &'b str,
    /// The value, as received.
    pub(super) value: &'b str,
    /// `"name":value`, as PHP encodes it.
    pub(super) canonical: Cow<'b, str>,
}

/// The members of the outermost object, in the order received.
pub(super) fn members(body: &str) -> Result<Vec<Member<'_>>, JsonError> {
    let mut scanner = Scanner {
        body,
        remaining: body.as_bytes(),
        encoded: String::new(),
        encoded_to: 0,
    };
    let mut members = Vec::with_capacity(16);

    scanner.skip_whitespace();
    match scanner.remaining {
        [b'{', ..] => scanner.items(b'}', |scanner| {
            members.push(scanner.outermost_member()?);
            Ok(())
        })?,
        [_, ..] => return Err(JsonError::NotAnObject),
        [] => return Err(JsonError::Truncated),
    }

    scanner.skip_whitespace();
    if scanner.remaining.is_empty() {
        Ok(members)
    } else {
        Err(JsonError::TrailingBytes { at: scanner.position() })
    }
}

/// True if the text is a number by JSON's grammar.
pub(super) fn is_number(text: &str) -> bool {
    strip_number(text.as_bytes()).is_some_and(<[u8]>::is_empty)
}

/// The rest of a text after a leading number; `None` without one.
fn strip_number(text: &[u8]) -> Option<&[u8]> {
    let rest = match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0', rest @ ..] => rest,
        unsigned => strip_digits(unsigned)?,
    };
    let rest = match rest {
        [b'.', fraction @ ..] => strip_digits(fraction)?,
        _ => rest,
    };

    match rest {
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            strip_digits(exponent)
        }
        _ => Some(rest),
    }
}

/// The rest of a text after its leading digits; `None` without any.
fn strip_digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { text.get(digits..) }
}

/// A scanner that encodes the current outermost member again, as far as necessary.
struct Scanner<'b> {
    body: &'b str,
    /// The part of the body that is not scanned yet.
    remaining: &'b [u8],
    /// The canonical form of the current member up to `encoded_to`; empty as long as the
    /// member is canonical as received.
    encoded: String,
    /// The position in the body that corresponds to the end of `encoded`. What has been
    /// scanned after it is canonical.
    encoded_to: usize,
}

impl<'b> Scanner<'b> {
    fn outermost_member(&mut self) -> Result<Member<'b>, JsonError> {
        let start = self.position();
        self.encoded.clear();
        self.encoded_to = start;
        let (name, value) = self.member(1)?;

        let as_received = self.text_since(self.encoded_to);
        let canonical = if self.encoded_to == start {
            Cow::Borrowed(as_received)
        } else {
            self.encoded.push_str(as_received);
            Cow::Owned(std::mem::take(&mut self.encoded))
        };
        Ok(Member { name, value, canonical })
    }

    /// Scans a member and returns its name with quotes and its value, as received.
    fn member(&mut self, depth: usize) -> Result<(&'b str, &'b str), JsonError> {
        let start = self.position();
        self.string()?;
        let name = self.text_since(start);

        self.skip_whitespace();
        self.expect_byte(b':')?;
        self.skip_whitespace();

        let start = self.position();
        self.value(depth)?;
        Ok((name, self.text_since(start)))
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.remaining {
            [b'"', ..] => self.string(),
            [b'{', ..] => {
                let depth = increment_depth(depth)?;
                self.items(b'}', |scanner| scanner.member(depth).map(drop))
            }
            [b'[', ..] => {
                let depth = increment_depth(depth)?;
                self.items(b']', |scanner| scanner.value(depth))
            }
            [b't', ..] => self.literal(b"true"),
            [b'f', ..] => self.literal(b"false"),
            [b'n', ..] => self.literal(b"null"),
            _ => self.number(),
        }
    }

    /// Scans an object or a list, from its opening bracket to `close`.
    fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.skip(1);
        self.skip_whitespace();
        if self.remaining.first() == Some(&close) {
            return self.expect_byte(close);
        }

        loop {
            item(self)?;
            self.skip_whitespace();
            if self.remaining.first() == Some(&close) {
                return self.expect_byte(close);
            }
            self.expect_byte(b',')?;
            self.skip_whitespace();
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if let Some(rest) = self.remaining.strip_prefix(word) {
            self.remaining = rest;
            Ok(())
        } else if word.starts_with(self.remaining) {
            Err(JsonError::Truncated)
        } else {
            Err(self.malformed())
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.position();
        self.skip_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if is_number(self.text_since(start)) {
            Ok(())
        } else if self.remaining.is_empty() {
            Err(JsonError::Truncated)
        } else {
            Err(JsonError::Malformed { at: start })
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.expect_byte(b'"')?;
        loop {
            self.skip_while(is_plain);
            let start = self.position();
            match self.remaining {
                [b'"', ..] => return self.expect_byte(b'"'),
                [b'\\', b'u', ..] => {
                    let letter = self.unicode_escape()?;
                    // PHP would write it without a `\u` escape.
                    if is_plain_letter(letter) || short_escape(letter).is_some() {
                        self.encode(start, letter);
                    }
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.skip(2),
                [b'\\', _, ..] => return Err(JsonError::Malformed { at: start.saturating_add(1) }),
                [b'\\'] | [] => return Err(JsonError::Truncated),
                [b'\0'..b' ', ..] => return Err(self.malformed()),
                // A slash or a letter that PHP would escape.
                [_, ..] => {
                    let letter = self.body.get(start..).and_then(|rest| rest.chars().next());
                    let letter = letter.ok_or(JsonError::NotUtf8)?;
                    self.skip(letter.len_utf8());
                    self.encode(start, letter);
                }
            }
        }
    }

    /// Scans `\u00e9`, or `\ud83d\ude00` for a letter beyond the first plane.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let lone = JsonError::LoneSurrogate { at: self.position() };
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(u32::from(first)).ok_or(lone);
        }

        match self.remaining {
            [b'\\', b'u', ..] => {}
            [b'\\'] | [] => return Err(JsonError::Truncated),
            _ => return Err(lone),
        }

        let second = self.code_unit()?;
        char::decode_utf16([first, second])
            .next()
            .and_then(Result::ok)
            .ok_or(lone)
    }

    /// Scans `\u` and four lower-case hexadecimal digits.
    fn code_unit(&mut self) -> Result<u16, JsonError> {
        let Some(digits) = self.remaining.get(2..6) else {
            return Err(JsonError::Truncated);
        };
        if digits.iter().any(u8::is_ascii_uppercase) {
            return Err(JsonError::UpperCaseEscape { at: self.position() });
        }

        let unit = digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            u16::try_from(digit).ok().map(|digit| unit << 4 | digit)
        });
        let unit = unit.ok_or_else(|| self.malformed())?;
        self.skip(6);
        Ok(unit)
    }

    /// Encodes again what was scanned from `start` on: one letter.
    fn encode(&mut self, start: usize, letter: char) {
        self.copy_up_to(start);
        push_encoded(&mut self.encoded, letter);
        self.encoded_to = self.position();
    }

    /// Skips the white space of PHP's pretty printing, which is not signed.
    #[inline]
    fn skip_whitespace(&mut self) {
        if let [b' ' | b'\n', ..] = self.remaining {
            self.copy_up_to(self.position());
            self.skip_while(|byte| matches!(byte, b' ' | b'\n'));
            self.encoded_to = self.position();
        }
    }

    fn copy_up_to(&mut self, end: usize) {
        self.encoded
            .push_str(self.body.get(self.encoded_to..end).unwrap_or_default());
    }

    fn expect_byte(&mut self, token: u8) -> Result<(), JsonError> {
        match self.remaining {
            [first, rest @ ..] if *first == token => self.remaining = rest,
            [_, ..] => return Err(self.malformed()),
            [] => return Err(JsonError::Truncated),
        }
        Ok(())
    }

    fn skip_while(&mut self, predicate: impl Fn(u8) -> bool) {
        let length = self
            .remaining
            .iter()
            .position(|byte| !predicate(*byte))
            .unwrap_or(self.remaining.len());
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.remaining = self.remaining.get(length..).unwrap_or_default();
    }

    fn position(&self) -> usize {
        self.body.len().saturating_sub(self.remaining.len())
    }

    fn text_since(&self, start: usize) -> &'b str {
        self.body.get(start..self.position()).unwrap_or_default()
    }

    fn malformed(&self) -> JsonError {
        JsonError::Malformed { at: self.position() }
    }
}

fn increment_depth(depth: usize) -> Result<usize, JsonError> {
    if depth < MAX_DEPTH { Ok(depth.saturating_add(1)) } else { Err(JsonError::TooDeep) }
}

/// True if PHP writes the byte without an escape.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=0x7f) && !matches!(byte, b'"' | b'\\' | b'/')
}

fn is_plain_letter(letter: char) -> bool {
    u8::try_from(letter).is_ok_and(is_plain)
}

/// The letter of the short escape that PHP writes for this letter, if any.
fn short_escape(letter: char) -> Option<char> {
    Some(match letter {
        '"' | '\\' | '/' => letter,
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        _ => return None,
    })
}

/// Appends a letter as `json_encode` encodes it by default.
fn push_encoded(text: &mut String, letter: char) {
    if is_plain_letter(letter) {
        return text.push(letter);
    }
    if let Some(escape) = short_escape(letter) {
        return text.extend(['\\', escape]);
    }

    for unit in letter.encode_utf16(&mut [0; 2]) {
        text.push_str("\\u");
        let digits = unit
            .to_be_bytes()
            .into_iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf]);
        text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    }
}
