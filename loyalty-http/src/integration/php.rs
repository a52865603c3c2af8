//! JSON as PHP writes it: the text that a store plugin signs, rebuilt from the body that it sent.
//!
//! A plugin signs `json_encode` of its data and sends the same data, by default encoded likewise, in other
//! stores with slashes or letters unescaped. So what differs from the default encoding is encoded anew, and
//! everything else stands as received; no number is ever printed again. One pass, no copy of what is as it
//! should be, no recursion beyond [`MAX_DEPTH`].
//!
//! What no `json_encode` writes is refused, even where JSON allows it: upper-case digits in `\u00E9`, tabs
//! and carriage returns between tokens. Each has a twin one bit away with the same meaning, and a
//! signature that holds for both would not be one over the bytes.

use std::borrow::Cow;

/// How deeply objects and lists may nest. An order needs five levels.
pub const MAX_DEPTH: usize = 32;

/// Why a body is not the JSON of a plugin. Positions are byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or with white space other than blanks and line feeds.
    #[error("the body is not JSON at byte {at}")]
    Malformed {
        /// Where.
        at: usize,
    },
    /// It ends within a value.
    #[error("the body is cut off")]
    Truncated,
    /// Something follows the value.
    #[error("the body goes on after its end, at byte {at}")]
    TrailingBytes {
        /// Where.
        at: usize,
    },
    /// Nested beyond [`MAX_DEPTH`].
    #[error("the body nests more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Half of a UTF-16 pair, which is no character.
    #[error("half of a surrogate pair at byte {at}")]
    LoneSurrogate {
        /// Where.
        at: usize,
    },
    /// A `\u` escape in upper case.
    #[error("an escape in upper-case hexadecimal at byte {at}; PHP writes lower case")]
    UpperCaseEscape {
        /// Where.
        at: usize,
    },
    /// The value is no object.
    #[error("the body is not an object")]
    NotAnObject,
}

/// A member of the outermost object.
pub(super) struct Member<'b> {
    /// Its name with quotes, as received.
    pub(super) name: &'b str,
    /// Its value, as received.
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

/// Whether the text is a number by JSON's grammar.
pub(super) fn is_number(text: &str) -> bool {
    strip_number(text.as_bytes()).is_some_and(<[u8]>::is_empty)
}

/// What follows the number that a text begins with.
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

/// What follows the digits, of which there is at least one.
fn strip_digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { text.get(digits..) }
}

struct Scanner<'b> {
    body: &'b str,
    /// What is still to be read.
    remaining: &'b [u8],
    /// The current member as PHP encodes it, up to `encoded_to`; empty while it is as received.
    encoded: String,
    /// Where in the body `encoded` ends. From there on all is as PHP encodes it.
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

    /// Passes over a member; its name with quotes and its value, as received.
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

    /// An object or a list, from its opening bracket to `close`.
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
                    if is_plain_letter(letter) || short_escape(letter).is_some() {
                        self.encode(start, letter);
                    }
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.skip(2),
                [b'\\', _, ..] => return Err(JsonError::Malformed { at: start.saturating_add(1) }),
                [b'\\'] | [] => return Err(JsonError::Truncated),
                [b'\0'..b' ', ..] => return Err(self.malformed()),
                [_, ..] => {
                    let letter = self.body.get(start..).and_then(|rest| rest.chars().next());
                    let letter = letter.ok_or(JsonError::NotUtf8)?;
                    self.skip(letter.len_utf8());
                    self.encode(start, letter);
                }
            }
        }
    }

    /// `\u00e9`, or `\ud83d\ude00` for a letter beyond the first plane.
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

    /// `\u` and four lower-case hexadecimal digits.
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

    /// Encodes anew what was just passed over, from `start` on: one letter.
    fn encode(&mut self, start: usize, letter: char) {
        self.copy_up_to(start);
        push_encoded(&mut self.encoded, letter);
        self.encoded_to = self.position();
    }

    /// Passes over the white space that PHP's pretty printing writes.
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

    fn skip_while(&mut self, passes: impl Fn(u8) -> bool) {
        let length = self
            .remaining
            .iter()
            .position(|byte| !passes(*byte))
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

/// Whether PHP writes the byte as it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=0x7f) && !matches!(byte, b'"' | b'\\' | b'/')
}

fn is_plain_letter(letter: char) -> bool {
    u8::try_from(letter).is_ok_and(is_plain)
}

/// The letter that PHP writes after a backslash for this one.
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

/// Appends a letter as `json_encode` does by default.
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
