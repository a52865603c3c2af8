//! The id of a distributed trace, taken over from the client's `traceparent`.

use std::fmt;

use hyper::HeaderMap;

/// The id of a trace: 32 hexadecimal digits, not all of them zero.
///
/// # Example: the header of a request
/// ```
/// use hyper::HeaderMap;
/// use loyalty_http::trace_id::TraceId;
///
/// let mut headers = HeaderMap::new();
/// let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// headers.insert("traceparent", traceparent.parse().unwrap());
/// let trace = TraceId::from_headers(&headers).unwrap();
/// assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId<'a>(&'a str);

impl<'a> TraceId<'a> {
    /// The trace of a request; `None` without a valid `traceparent` (W3C Trace Context, 3.2).
    pub fn from_headers(headers: &'a HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }

        let mut parts = value.split('-');
        let (version, trace, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // A later version may have more parts.
        let is_complete = version != "00" || parts.next().is_none();
        let is_valid = is_complete
            && version != "ff"
            && is_hex(version, 2)
            && is_hex(trace, 32)
            && is_hex(parent, 16)
            && is_hex(flags, 2)
            && trace.bytes().any(|digit| digit != b'0')
            && parent.bytes().any(|digit| digit != b'0');
        is_valid.then_some(Self(trace))
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(is_digit)
}

impl fmt::Display for TraceId<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trace_of(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().unwrap());
        TraceId::from_headers(&headers).map(|trace| trace.to_string())
    }

    #[test]
    fn only_valid_headers_name_a_trace() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let zeros = "0".repeat(32);
        for valid in [format!("00-{trace}-{parent}-01"), format!("01-{trace}-{parent}-00-more")] {
            assert_eq!(trace_of(&valid).as_deref(), Some(trace), "{valid}");
        }
        for invalid in [
            String::new(),
            "00".to_owned(),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-01-more"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}1-{parent}-01"),
        ] {
            assert_eq!(trace_of(&invalid), None, "{invalid}");
        }

        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            let value = format!("00-{trace}-{parent}-01").parse().unwrap();
            twice.append("traceparent", value);
        }
        assert_eq!(TraceId::from_headers(&twice), None);
    }
}
