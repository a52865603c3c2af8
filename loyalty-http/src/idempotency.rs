//! `Idempotency-Key`: a request with a key takes effect at most once.
//!
//! The store saves the first response under the hash of the key, in the transaction of
//! the effect, and compares a fingerprint of the request. A second request with the same
//! key is decided after the first and waits for the same commit. It gets the stored
//! response, so no client sees "still in progress".
//!
//! A request that fails before the rules decide (its syntax, its API key, its size) does
//! not use the key up: the client can correct the request and send it again.

use hyper::header::HeaderName;
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on a response that was stored before.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The idempotency key of a request, if any: 1 to 255 visible ASCII characters; else 400.
pub(crate) fn parse_key(head: &Parts) -> Result<Option<&[u8]>, Problem> {
    let mut values = head.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };

    let key = value.as_bytes();
    let is_valid = (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if is_valid && values.next().is_none() {
        return Ok(Some(key));
    }

    let detail = "An Idempotency-Key must be 1 to 255 visible ASCII characters.";
    Err(Problem::bad_request("invalid_idempotency_key", detail).with_param("Idempotency-Key"))
}

/// The hashes under which a response is stored: of the key, and of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyRecord {
    pub(crate) key: [u8; 16],
    pub(crate) fingerprint: [u8; 16],
}

impl IdempotencyRecord {
    /// The hashes of a client's key and of its request: the method, the path with its
    /// query, and the body.
    pub(crate) fn new(key: &[u8], head: &Parts, body: &[u8]) -> Self {
        let mut fingerprint = Sha256::new();
        let query = head.uri.query().unwrap_or_default();
        // Method and path contain no line break, so the parts can't run into each other.
        for part in [head.method.as_str(), "\n", head.uri.path(), "?", query, "\n"] {
            fingerprint.update(part);
        }
        fingerprint.update(body);

        Self {
            key: truncate_hash(Sha256::digest(key).into()),
            fingerprint: truncate_hash(fingerprint.finalize().into()),
        }
    }

    /// The hashes of a signed delivery with a time: the two halves of its HMAC. One
    /// signature is one request, however the body is written. Nobody without the secret can
    /// make a client's key that has the hash of a delivery.
    pub(crate) fn from_delivery(hmac: &[u8; 32]) -> Self {
        let (mut key, mut fingerprint) = ([0; 16], [0; 16]);
        let halves = key.iter_mut().chain(&mut fingerprint);
        halves.zip(hmac).for_each(|(to, from)| *to = *from);
        Self { key, fingerprint }
    }
}

fn truncate_hash(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    half
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use hyper::Request;

    fn head(method: &str, path: &str, keys: &[&[u8]]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for key in keys {
            request = request.header(IDEMPOTENCY_KEY, *key);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn keys_are_visible_ascii() {
        let read = |keys: &[&[u8]]| {
            let head = head("POST", "/a", keys);
            parse_key(&head)
                .map(|key| key.map(<[u8]>::to_vec))
                .map_err(|problem| problem.code())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"a-1!~"]), Ok(Some(b"a-1!~".to_vec())));
        assert!(read(&[&[b'x'; 255]]).is_ok());
        let invalid: [&[&[u8]]; 6] =
            [&[b""], &[&[b'x'; 256]], &[b"a b"], &[b"a\tb"], &[b"\xc3\xa4"], &[b"a", b"a"]];
        for keys in invalid {
            assert_eq!(read(keys), Err("invalid_idempotency_key"), "{keys:?}");
        }
    }

    #[test]
    fn every_part_of_a_request_changes_the_fingerprint() {
        let fingerprint = |method, path, body: &str| {
            IdempotencyRecord::new(b"a", &head(method, path, &[]), body.as_bytes()).fingerprint
        };
        let all = [
            fingerprint("POST", "/a", "{}"),
            fingerprint("PUT", "/a", "{}"),
            fingerprint("POST", "/b", "{}"),
            fingerprint("POST", "/a?code=1", "{}"),
            fingerprint("POST", "/a?code=2", "{}"),
            fingerprint("POST", "/a", "{} "),
            fingerprint("POST", "/a", ""),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other != one), "{index}");
        }

        let with = |key: &[u8]| IdempotencyRecord::new(key, &head("POST", "/a", &[]), b"{}");
        assert_ne!(with(b"a").key, with(b"b").key);
        assert_eq!(with(b"a").fingerprint, with(b"b").fingerprint);
    }
}
