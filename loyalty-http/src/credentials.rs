//! New API keys and signing secrets, from random bytes.
//!
//! A key is `lk_<key id>_<secret>`. The id finds the record, which has only the SHA-256
//! of the secret. That is enough for a secret of 160 random bits: it can't be guessed, so
//! a slow hash is not needed.

use loyalty_store::seal::SecretText;
use loyalty_store::{KeyHash, NewApiKey, Scope};
use sha2::{Digest, Sha256};

/// Digits and letters without the ambiguous i, l, o and u, and without the separator `_`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 80 bits: the id is public and needs to be unique only.
const ID_CHARACTERS: usize = 16;
/// 160 bits.
const SECRET_CHARACTERS: usize = 32;

/// The number of random bytes for a key.
pub const KEY_BYTES: usize = ID_CHARACTERS + SECRET_CHARACTERS;

/// Creates a key from random bytes: its record, and its text (`lk_…`), which is shown
/// only once.
///
/// # Example: a key that can only read
/// ```
/// use loyalty_http::auth::{KEY_BYTES, new_key};
/// use loyalty_store::Scope;
/// let (key, text) = new_key(&[7; KEY_BYTES], "Reports", vec![Scope::Read]);
/// assert!(text.starts_with(&format!("lk_{}_", key.hash.id)));
/// ```
pub fn new_key(random: &[u8; KEY_BYTES], name: &str, scopes: Vec<Scope>) -> (NewApiKey, String) {
    let (id, secret) = random.split_at(ID_CHARACTERS);
    let (id, secret) = (encode(id), encode(secret));
    let text = format!("lk_{id}_{secret}");

    let hash = KeyHash { id, hash: Sha256::digest(secret).into() };
    (NewApiKey { hash, name: name.to_owned(), scopes, expires_at: None }, text)
}

/// One character per byte. The alphabet's size divides 256, so all characters are equally
/// likely.
fn encode(random: &[u8]) -> String {
    let character =
        |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied().map_or('0', char::from);
    random.iter().map(character).collect()
}

/// A [`new_key`] from the system's random numbers, with every scope of a shop's keys.
pub fn random_key(name: &str) -> Result<(NewApiKey, String), getrandom::Error> {
    let mut random = [0; KEY_BYTES];
    getrandom::fill(&mut random)?;
    Ok(new_key(&random, name, Scope::OF_SHOP.to_vec()))
}

/// The stored parts of a key from the system's random numbers, and its text.
pub fn draw_key() -> Result<(KeyHash, String), getrandom::Error> {
    random_key("").map(|(key, text)| (key.hash, text))
}

/// A secret from the system's random numbers, with which a connected store signs.
pub fn draw_secret() -> Result<SecretText, getrandom::Error> {
    let mut random = [0; SECRET_CHARACTERS];
    getrandom::fill(&mut random)?;
    Ok(SecretText::new(encode(&random)))
}
