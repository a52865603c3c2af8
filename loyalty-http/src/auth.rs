//! Authentication by API keys. An unknown id and a wrong secret get the same response after
//! the same work.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};
use loyalty_core::Timestamp;
use loyalty_store::{ApiKeyRecord, Scope, Store};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::endpoint::error;
use crate::problem::{ErrorStatus, Problem};

pub use crate::credentials::{KEY_BYTES, draw_key, draw_secret, new_key, random_key};

const X_SHOPIFY_ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-shopify-access-token");

/// The key in the `Authorization` header, or 401.
pub(crate) fn authenticate(
    store: &dyn Store,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Arc<ApiKeyRecord>, Problem> {
    let Some(text) = bearer(headers) else {
        return Err(Problem::unauthorized("Send your key as `Authorization: Bearer lk_…`."));
    };
    verify_key(store, text, now)?
        .ok_or_else(|| Problem::unauthorized("The key is unknown or revoked."))
}

/// The key in the header of Shopify's clients, or 401.
pub(crate) fn authenticate_shopify(
    store: &dyn Store,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Arc<ApiKeyRecord>, Problem> {
    let mut values = headers.get_all(X_SHOPIFY_ACCESS_TOKEN).iter();
    let text = values.next().and_then(|value| value.to_str().ok());
    let Some(text) = text.filter(|_| values.next().is_none()) else {
        return Err(Problem::unauthorized("Send your key as `X-Shopify-Access-Token: lk_…`."));
    };
    verify_key(store, text, now)?
        .ok_or_else(|| Problem::unauthorized("The key is unknown or revoked."))
}

/// The record of a key given as text; `None` if its id is unknown, its secret is wrong, or it has
/// ended.
pub(crate) fn verify_key(
    store: &dyn Store,
    text: &str,
    now: Timestamp,
) -> Result<Option<Arc<ApiKeyRecord>>, Problem> {
    let (id, secret) = text
        .strip_prefix("lk_")
        .and_then(|key| key.split_once('_'))
        .unwrap_or_default();

    // Hashed and compared for an unknown id as well, and in constant time: the duration
    // of a failure does not tell which part was wrong.
    let hash: [u8; 32] = Sha256::digest(secret).into();
    let record = store.api_key(id).map_err(error::from_failure)?;
    let expected = record.as_ref().map_or(&[0; 32], |record| &record.key.hash.hash);
    let same = bool::from(expected.ct_eq(&hash));
    let record = record.filter(|record| same && record.is_valid(now));
    if let Some(record) = &record {
        store.note_key_use(record, now);
    }
    Ok(record)
}

/// The key in the only `Authorization: Bearer` header; the scheme ignores case (RFC 9110,
/// 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, key) = values.next()?.to_str().ok()?.split_once(' ')?;
    let is_bearer = values.next().is_none() && scheme.eq_ignore_ascii_case("Bearer");
    Some(key.trim()).filter(|_| is_bearer)
}

/// Succeeds if the key has the scope; else 403.
pub(crate) fn authorize(key: &ApiKeyRecord, scope: Scope) -> Result<(), Problem> {
    if key.key.scopes.contains(&scope) {
        return Ok(());
    }
    Err(missing_scope(scope))
}

/// 403 for a key without a scope.
pub(crate) fn missing_scope(scope: Scope) -> Problem {
    let detail =
        format!("The key lacks the scope `{}`, which this request requires.", scope.name());
    Problem::new(ErrorStatus::FORBIDDEN, "missing_scope", detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use loyalty_core::{Currency, Zone};
    use loyalty_store::{MemoryStore, NewApiKey, NewShop};

    fn store_with(key: &NewApiKey) -> MemoryStore {
        let (store, now) = (MemoryStore::default(), Timestamp::UNIX_EPOCH);
        let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
        let shop = store.create_shop(&shop, now).unwrap();
        store.add_api_key(shop.id, key, now).unwrap();
        store
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn keys_are_encoded_from_their_bytes() {
        let mut random = [0; KEY_BYTES];
        for (index, byte) in random.iter_mut().enumerate() {
            let index = u8::try_from(index).unwrap();
            *byte = index;
        }

        let (key, text) = new_key(&random, "Reports", vec![Scope::Read]);
        assert_eq!((key.hash.id.as_str(), key.name.as_str()), ("0123456789abcdef", "Reports"));
        assert_eq!(text, "lk_0123456789abcdef_ghjkmnpqrstvwxyz0123456789abcdef");
        let hash: [u8; 32] = Sha256::digest(&text[20..]).into();
        assert_eq!((key.hash.hash, key.scopes), (hash, vec![Scope::Read]));
    }

    #[test]
    fn random_keys_differ() {
        let draw = || random_key("Till").unwrap().1;
        assert_ne!(draw(), draw());
    }

    #[test]
    fn a_request_needs_one_known_key_in_one_header() {
        let (key, text) = random_key("Till").unwrap();
        let store = store_with(&key);
        let with = |values: &[&str]| authenticate(&store, &headers(values), Timestamp::UNIX_EPOCH);
        assert_eq!(with(&[&format!("Bearer {text}")]).unwrap().id(), key.hash.id);
        assert!(with(&[&format!("bEARER  {text} ")]).is_ok());

        let bearer = format!("Bearer {text}");
        let invalid = [
            vec![],
            vec![text.as_str()],
            vec!["Basic bGtfYTpi"],
            vec!["Bearer"],
            vec!["Bearer lk_"],
            vec!["Bearer lk_a"],
            vec![bearer.as_str(), bearer.as_str()],
        ];
        for values in invalid {
            assert_eq!(with(&values).unwrap_err().code(), "unauthorized", "{values:?}");
        }

        let wrong = format!("Bearer {}0", &text[..text.len() - 1]);
        let wrong = if wrong == bearer { format!("{wrong}1") } else { wrong };
        let (_, other) = random_key("Till").unwrap();
        let unknown = format!("Bearer {other}");
        let details = [wrong, unknown, format!("Bearer lk_{}_", key.hash.id)]
            .map(|value| with(&[&value]).unwrap_err().detail().to_owned());
        assert_eq!(details[0], details[1], "an unknown key and a wrong secret look the same");
        assert_eq!(details[0], details[2]);
    }

    #[test]
    fn scopes_are_enforced() {
        let (key, _) = new_key(&[7; KEY_BYTES], "Reports", vec![Scope::Read]);
        let store = store_with(&key);
        let record = store.api_key(&key.hash.id).unwrap().unwrap();
        assert!(authorize(&record, Scope::Read).is_ok());
        assert_eq!(authorize(&record, Scope::Write).unwrap_err().code(), "missing_scope");
    }
}
