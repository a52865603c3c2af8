//! The id of a request: in its response, in its log lines, and the delivery id of a
//! webhook.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The id of one request: 20 hexadecimal digits.
///
/// The server uses eight digits for the process and twelve for a counter.
///
/// # Example: ids from a counter
/// ```
/// use loyalty_http::RequestId;
/// assert_eq!(RequestId::from_number(255).as_str(), "000000000000000000ff");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 20]);

impl RequestId {
    /// The id of a caller that numbers its requests itself.
    pub fn from_number(number: u64) -> Self {
        Self(hex(number))
    }

    /// The 20 digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// An id for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self(*b"00c0ffee000000000007")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The ids of one process.
pub(crate) struct RequestIds {
    process: [u8; 8],
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        // The standard library seeds its hashers from the system's randomness.
        let random = RandomState::new().hash_one(std::process::id());
        Self { process: hex(random), next: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> RequestId {
        let mut id = [0; 20];
        let (process, count) = id.split_at_mut(8);
        process.copy_from_slice(&self.process);
        count.copy_from_slice(&hex::<12>(self.next.fetch_add(1, Ordering::Relaxed)));
        RequestId(id)
    }
}

/// The last `N` hexadecimal digits of a number.
fn hex<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let [.., low] = number.to_be_bytes();
        *digit = match low & 0xf {
            low @ 0..=9 => b'0' | low,
            low => b'a'.wrapping_add(low.wrapping_sub(10)),
        };
        number >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use std::collections::HashSet;

    #[test]
    fn request_ids_differ_and_are_hex() {
        let ids = RequestIds::new();
        let seen: HashSet<RequestId> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
        for id in seen {
            assert!(id.as_str().bytes().all(|digit| digit.is_ascii_hexdigit()));
            assert_eq!(id.as_str().len(), 20);
        }
        assert_ne!(RequestIds::new().process, RequestIds::new().process);
    }

    #[test]
    fn hex_equals_the_formatted_number() {
        for number in [0, 9, 10, 255, 0x0123_4567_89ab, 0xfedc_ba98_7654_3210] {
            let expected = format!("{number:016x}");
            assert_eq!(str::from_utf8(&hex::<16>(number)).unwrap(), expected);
            assert_eq!(hex::<12>(number), expected.as_bytes()[4..]);
        }
    }
}
