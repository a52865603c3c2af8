//! `Idempotency-Key`: what makes a request happen once.
//!
//! The store keeps the first answer under the hash of the key, in the transaction of the effect, and
//! compares the hash of the request. A second request with the same key is decided on top of the first,
//! waits for the same commit and gets its answer, so there is no "still in flight" to be told about.
//!
//! A request that is refused before it reaches the rules (its shape, its key, its size) leaves the key
//! unused: it can be put right and sent again.

use hyper::header::HeaderName;
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on an answer that was given before.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key that a request brings: 1 to 255 visible ASCII characters.
pub(crate) fn parse_key(head: &Parts) -> Result<Option<&[u8]>, Problem> {
    let mut values = head.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.as_bytes();
    let visible = (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if visible && values.next().is_none() {
        return Ok(Some(key));
    }
    let detail = "An Idempotency-Key is 1 to 255 visible ASCII characters.";
    Err(Problem::bad_request("invalid_idempotency_key", detail).with_param("Idempotency-Key"))
}

/// What the store keeps of a key and of the request that it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyRecord {
    pub(crate) key: [u8; 16],
    pub(crate) fingerprint: [u8; 16],
}

impl IdempotencyRecord {
    /// Hashes both. What is asked is the method, the path with its query, and the body; no line break is in the
    /// first two.
    pub(crate) fn new(key: &[u8], head: &Parts, body: &[u8]) -> Self {
        let mut asked = Sha256::new();
        let query = head.uri.query().unwrap_or_default();
        for part in [head.method.as_str(), "\n", head.uri.path(), "?", query, "\n"] {
            asked.update(part);
        }
        asked.update(body);
        Self {
            key: truncate_hash(Sha256::digest(key).into()),
            fingerprint: truncate_hash(asked.finalize().into()),
        }
    }
}

impl IdempotencyRecord {
    /// For what is signed as a whole, and says when: the same bytes are the same request. What a client can
    /// bring as a key has no line break in it.
    pub(crate) fn from_delivery(body: &[u8]) -> Self {
        let mut asked = Sha256::new();
        asked.update("\n");
        asked.update(body);
        let hash = truncate_hash(asked.finalize().into());
        Self { key: hash, fingerprint: hash }
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
        let refused: [&[&[u8]]; 6] =
            [&[b""], &[&[b'x'; 256]], &[b"a b"], &[b"a\tb"], &[b"\xc3\xa4"], &[b"a", b"a"]];
        for keys in refused {
            assert_eq!(read(keys), Err("invalid_idempotency_key"), "{keys:?}");
        }
    }

    #[test]
    fn every_part_of_a_request_changes_the_fingerprint() {
        let print = |method, path, body: &str| {
            IdempotencyRecord::new(b"a", &head(method, path, &[]), body.as_bytes()).fingerprint
        };
        let all = [
            print("POST", "/a", "{}"),
            print("PUT", "/a", "{}"),
            print("POST", "/b", "{}"),
            print("POST", "/a?code=1", "{}"),
            print("POST", "/a?code=2", "{}"),
            print("POST", "/a", "{} "),
            print("POST", "/a", ""),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other != one), "{index}");
        }
        let with = |key: &[u8]| IdempotencyRecord::new(key, &head("POST", "/a", &[]), b"{}");
        assert_ne!(with(b"a").key, with(b"b").key);
        assert_eq!(with(b"a").fingerprint, with(b"b").fingerprint);
    }
}
