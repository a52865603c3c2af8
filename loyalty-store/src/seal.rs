//! Sealing of secrets at rest, so that a stolen file shows none of them.
//!
//! A secret is encrypted and authenticated with XChaCha20-Poly1305 under a [`MasterKey`]. What is
//! sealed is bound to its place ([`SealContext`]): moved to another row, it cannot be opened. It
//! says which key sealed it, so that a lost key, or that of another file, is told by name, and
//! keys can be changed one secret at a time.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use loyalty_core::ShopId;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// The first byte of everything sealed.
const VERSION: u8 = 1;
const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
/// The text of a key begins with this; 64 hexadecimal digits follow.
const PREFIX: &str = "lmk_";

/// A secret in memory. It is not printed, and it is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// A secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, to sign with or to show once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// The public name of a master key: part of the hash of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterKeyId([u8; ID_BYTES]);

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKeyId({self})")
    }
}

/// Why something cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The text of a master key is malformed.
    #[error("a master key is `lmk_` and 64 hexadecimal digits; separate several with commas")]
    MalformedKey,
    /// No key was given.
    #[error("there is no master key")]
    NoKey,
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(String),
    /// The key that sealed it is not there.
    #[error("it was sealed with the master key {0}, which is not there")]
    UnknownKey(MasterKeyId),
    /// It was changed or moved, or it is no sealed secret.
    #[error("a sealed secret is damaged or in another place than it was written to")]
    Damaged,
}

/// A key of 256 random bits that seals secrets.
#[derive(Clone)]
pub struct MasterKey {
    id: MasterKeyId,
    cipher: XChaCha20Poly1305,
    text: SecretText,
}

impl MasterKey {
    /// Draws a new key.
    pub fn draw() -> Result<Self, SealError> {
        let mut bytes = [0; 32];
        fill(&mut bytes)?;
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        Ok(key)
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let hash = Sha256::new_with_prefix("loyalty master key")
            .chain_update(bytes)
            .finalize();
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self {
            id: MasterKeyId(id),
            cipher: XChaCha20Poly1305::new(bytes.into()),
            text: SecretText::new(format!("{PREFIX}{}", hexadecimal(bytes))),
        }
    }

    /// Reads the text of a key.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(SealError::MalformedKey)?;
        let digits = digits.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(SealError::MalformedKey);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| SealError::MalformedKey)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| SealError::MalformedKey)?;
        }
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        Ok(key)
    }

    /// The public name.
    pub fn id(&self) -> MasterKeyId {
        self.id
    }

    /// The text, to be kept in a safe place.
    pub fn text(&self) -> &SecretText {
        &self.text
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// The place of a sealed secret: it can be opened there only.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    /// The shop; `None` for what belongs to none.
    pub shop: Option<ShopId>,
    /// The kind of secret.
    pub table: &'static str,
    /// The id among those of its kind.
    pub id: &'a str,
}

impl SealContext<'_> {
    fn to_bytes(self) -> Vec<u8> {
        let shop = self.shop.map_or(0, |shop| shop.0);
        let mut bytes = shop.to_be_bytes().to_vec();
        // No table's name has a NUL.
        bytes.extend(self.table.as_bytes());
        bytes.push(0);
        bytes.extend(self.id.as_bytes());
        bytes
    }
}

/// The keys of a store: the first seals, and all open.
///
/// # Example: a secret is bound to its place
/// ```
/// use loyalty_core::ShopId;
/// use loyalty_store::seal::{MasterKey, MasterKeys, SealContext, SealError};
/// # fn main() -> Result<(), SealError> {
/// let keys = MasterKeys::new(vec![MasterKey::draw()?])?;
/// let place = SealContext { shop: Some(ShopId(1)), table: "store_secret", id: "7" };
/// let sealed = keys.seal(place, b"hush")?;
/// assert_eq!(*keys.open(place, &sealed)?, b"hush");
///
/// let elsewhere = SealContext { shop: Some(ShopId(2)), ..place };
/// assert_eq!(keys.open(elsewhere, &sealed), Err(SealError::Damaged));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MasterKeys {
    first: MasterKey,
    others: Vec<MasterKey>,
}

impl MasterKeys {
    /// Keys of which the first seals.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn new(keys: Vec<MasterKey>) -> Result<Self, SealError> {
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(SealError::NoKey)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// Reads keys that are separated by commas or line breaks.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let texts = text.split([',', '\n']).map(str::trim).filter(|text| !text.is_empty());
        Self::new(texts.map(MasterKey::parse).collect::<Result<_, _>>()?)
    }

    /// The key that seals.
    pub fn first(&self) -> &MasterKey {
        &self.first
    }

    /// All keys, the one that seals first.
    pub fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Seals a secret for its place. Costs microseconds.
    pub fn seal(&self, context: SealContext<'_>, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        fill(&mut nonce)?;
        let payload = Payload { msg: secret, aad: &context.to_bytes() };
        let encrypted = self.first.cipher.encrypt(&XNonce::from(nonce), payload);
        let encrypted = encrypted.map_err(|_| SealError::Damaged)?;

        let mut sealed = vec![VERSION];
        sealed.extend(self.first.id.0);
        sealed.extend(nonce);
        sealed.extend(encrypted);
        Ok(sealed)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// Fails if the key is unknown, or the secret was changed or moved.
    pub fn open(
        &self,
        context: SealContext<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (id, rest) = split(sealed)?;
        let key = self
            .iter()
            .find(|key| key.id == id)
            .ok_or(SealError::UnknownKey(id))?;
        let (nonce, encrypted) = rest.split_at_checked(NONCE_BYTES).ok_or(SealError::Damaged)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SealError::Damaged)?;
        let payload = Payload { msg: encrypted, aad: &context.to_bytes() };
        let opened = key.cipher.decrypt(&XNonce::from(nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| SealError::Damaged)
    }
}

/// The key that sealed something.
///
/// # Errors
/// Fails if it is no sealed secret.
pub fn sealed_by(sealed: &[u8]) -> Result<MasterKeyId, SealError> {
    split(sealed).map(|(id, _)| id)
}

fn split(sealed: &[u8]) -> Result<(MasterKeyId, &[u8]), SealError> {
    let rest = sealed.strip_prefix(&[VERSION]).ok_or(SealError::Damaged)?;
    let (id, rest) = rest.split_first_chunk().ok_or(SealError::Damaged)?;
    Ok((MasterKeyId(*id), rest))
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn fill(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(bytes).map_err(|error| SealError::Random(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const PLACE: SealContext<'_> =
        SealContext { shop: Some(ShopId(1)), table: "store_secret", id: "7" };

    fn keys() -> MasterKeys {
        MasterKeys::new(vec![MasterKey::draw().unwrap()]).unwrap()
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = MasterKey::draw().unwrap();
        let read = MasterKey::parse(&format!(" {}\n", key.text().expose())).unwrap();
        assert_eq!((read.id(), read.text()), (key.id(), key.text()));
        for text in ["", "lmk_", "lmk_+1", &key.text().expose()[..67], "lmk_zz"] {
            assert_eq!(MasterKey::parse(text).unwrap_err(), SealError::MalformedKey, "{text}");
        }
        assert!(!format!("{key:?} {:?}", key.text()).contains(&key.text().expose()[4..12]));
    }

    #[test]
    fn every_bit_and_the_place_are_authenticated() {
        let keys = keys();
        let sealed = keys.seal(PLACE, b"hush").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"hush"));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(keys.open(PLACE, &changed).is_err(), "{index}");
            assert!(keys.open(PLACE, &sealed[..index]).is_err(), "{index}");
        }
        for place in [
            SealContext { shop: None, ..PLACE },
            SealContext { table: "store", ..PLACE },
            SealContext { id: "8", ..PLACE },
        ] {
            assert_eq!(keys.open(place, &sealed), Err(SealError::Damaged), "{place:?}");
        }
        assert_ne!(keys.seal(PLACE, b"hush").unwrap(), sealed, "each nonce is new");
    }

    #[test]
    fn older_keys_open_and_the_first_seals() {
        let old = keys();
        let sealed = old.seal(PLACE, b"hush").unwrap();
        let new = keys();
        assert_eq!(new.open(PLACE, &sealed), Err(SealError::UnknownKey(old.first().id())));

        let both = MasterKeys::new(vec![new.first().clone(), old.first().clone()]).unwrap();
        assert_eq!(*both.open(PLACE, &sealed).unwrap(), b"hush");
        assert_eq!(sealed_by(&both.seal(PLACE, b"hush").unwrap()), Ok(new.first().id()));
    }
}
