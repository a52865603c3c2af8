//! Percent-encoding (RFC 3986, 2.1): ids can hold any character, and come in paths and queries.

use std::borrow::Cow;
use std::fmt::Write;

/// Decodes a segment of a path; `None` where it is malformed or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('%') { decode_bytes(text, None) } else { Some(Cow::Borrowed(text)) }
}

/// Decodes a value of a query: like [`decode`], and a plus is a blank.
pub(crate) fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if text.contains(['%', '+']) {
        decode_bytes(text, Some(b'+'))
    } else {
        Some(Cow::Borrowed(text))
    }
}

fn decode_bytes(text: &str, blank: Option<u8>) -> Option<Cow<'_, str>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte if Some(byte) == blank => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes a value of a query: only unreserved characters are left.
pub(crate) fn encode(text: &str) -> String {
    escape(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Encodes a path for a `Link` header: no comma, no angle bracket, only ASCII.
pub(crate) fn encode_path(path: &str) -> String {
    escape(path, |byte| byte.is_ascii_alphanumeric() || b"-._~/%:@".contains(&byte))
}

fn escape(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes() {
        for (text, want) in [
            ("1001", Some("1001")),
            ("a%2Fb%20%C3%A4", Some("a/b ä")),
            ("a%2fb", Some("a/b")),
            ("a+b", Some("a+b")),
            ("%00", Some("\0")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("%FF", None),
        ] {
            assert_eq!(decode(text).as_deref(), want, "{text}");
        }
        assert_eq!(decode_form("ada+love%2Blace").as_deref(), Some("ada love+lace"));
        let odd = "ä, \"%<b>&=+/;~";
        assert_eq!(decode(&encode(odd)).as_deref(), Some(odd));
        assert_eq!(encode(odd), "%C3%A4%2C%20%22%25%3Cb%3E%26%3D%2B%2F%3B~");
        assert_eq!(encode_path("/v1/a,b%2Cc/ä"), "/v1/a%2Cb%2Cc/%C3%A4");
    }
}
