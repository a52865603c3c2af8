//! The signature of a store plugin's body.
//!
//! The body contains `key`, the shop's API key, and `hmac`, the signature: an HMAC-SHA256
//! under the shop's secret, in base64. The signed text is the body without `hmac`. Its
//! outermost members are sorted as by PHP's `ksort`, and it is encoded as by PHP's
//! `json_encode` (see [`php`](super::php)).
//!
//! ```text
//! bytes ── SignedBody::parse ──> SignedBody ── verify(secret) ──> VerifiedBody ── read ──> Order, …
//! ```
//!
//! Only a [`VerifiedBody`] can be read. An unknown key has the same cost and the same
//! error as a wrong signature.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::php::{self, JsonError, Member};
use super::wire::{self, WireError};

/// The secret for an unknown key, so that the work is the same. Nothing signed with it is
/// accepted.
const PLACEHOLDER_SECRET: &[u8] = &[0; 32];

/// The largest number of bytes of a key in a body. No key is as long.
const MAX_KEY_LENGTH: usize = 1_000;

/// The length of an HMAC-SHA256, in bytes.
const HMAC_LENGTH: usize = 32;

/// The reason why a body is rejected as unsigned or not authentic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The body is not JSON as a plugin writes it.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The outermost object has two members with the same name.
    #[error("duplicate member {0:?}")]
    DuplicateMember(String),
    /// The outermost object has a member whose name begins like a number. PHP sorts such
    /// names by their value, and no plugin sends one.
    #[error("the member name {0:?} begins with a number")]
    NumericMember(String),
    /// `key` is missing or not a string.
    #[error("the member \"key\" is missing or not a string")]
    MissingKey,
    /// `hmac` is missing or not a string.
    #[error("the member \"hmac\" is missing or not a string")]
    MissingHmac,
    /// `hmac` is not 32 bytes in standard base64 with padding.
    #[error("the member \"hmac\" is not the base64 of 32 bytes")]
    HmacNotBase64,
    /// The key is unknown or the signature is wrong. The error does not distinguish them.
    #[error("the key is unknown or the signature is wrong")]
    NotAuthentic,
}

/// Finds the API key in a body without parsing the rest: the first outermost member `key`
/// that is a string. Returns `None` if the body, or the part of it that has arrived, has
/// none.
///
/// Whoever has no key of a shop costs only this one pass over the bytes.
///
/// # Example: the key comes first, or last
/// ```
/// use loyalty_http::integration::find_key;
/// assert_eq!(find_key(br#"{"key":"lk_1","id":"#).as_deref(), Some("lk_1"));
/// assert_eq!(find_key(br#"{"a":{"key":"no"},"key":"lk_1"}"#).as_deref(), Some("lk_1"));
/// assert_eq!(find_key(br#"{"a":{"key":"no"}}"#), None);
/// ```
pub fn find_key(body: &[u8]) -> Option<String> {
    let mut depth = 0_usize;
    let mut rest = body;
    let mut after_key = false;

    loop {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        match first {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let (text, tail) = split_string(rest)?;
                rest = tail;
                if after_key {
                    return decode_key(text);
                }
                let is_name = tail.trim_ascii_start().first() == Some(&b':');
                after_key = depth == 1 && is_name && text == b"key";
                continue;
            }
            b':' | b' ' | b'\n' => continue,
            _ => {}
        }
        after_key = false;
    }
}

/// Splits behind the quote that ends a string.
fn split_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })?;
    Some((text.get(..end)?, text.get(end.saturating_add(1)..)?))
}

/// Decodes the inside of a JSON string.
fn decode_key(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text.get(..text.len().min(MAX_KEY_LENGTH))?).ok()?;
    serde_json::from_str(&format!("\"{text}\"")).ok()
}

/// A well-formed body with its signature, not verified yet.
pub struct SignedBody<'b> {
    body: &'b str,
    key: String,
    hmac: [u8; HMAC_LENGTH],
    /// The signed members, in the order in which they are signed.
    members: Vec<SignedMember<'b>>,
}

/// An outermost member and its decoded name, by which PHP sorts.
struct SignedMember<'b> {
    name: Cow<'b, str>,
    member: Member<'b>,
}

impl<'b> SignedBody<'b> {
    /// Scans a received body, without trusting anything in it.
    ///
    /// # Errors
    /// Fails if the body is not JSON as PHP writes it, or if it lacks `key` or `hmac`.
    pub fn parse(body: &'b [u8]) -> Result<Self, SignatureError> {
        let body = std::str::from_utf8(body).map_err(|_| JsonError::NotUtf8)?;
        let mut members = sort_members(php::members(body)?)?;

        let key = member_text(&members, "key").ok_or(SignatureError::MissingKey)?;
        let hmac = member_text(&members, "hmac").ok_or(SignatureError::MissingHmac)?;
        members.retain(|member| member.name != "hmac");
        Ok(Self { body, key, hmac: decode_hmac(&hmac)?, members })
    }

    /// The API key in the body.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Checks the signature with the key's secret, in constant time.
    ///
    /// # Errors
    /// Fails with [`SignatureError::NotAuthentic`] if the signature is wrong. `None`, for
    /// an unknown key, takes the same time and has the same error.
    pub fn verify(self, secret: Option<&[u8]>) -> Result<VerifiedBody<'b>, SignatureError> {
        self.verify_any(secret)
    }

    /// Verifies the signature with any of some secrets: two are valid while one replaces the
    /// other.
    ///
    /// # Errors
    /// Fails with [`SignatureError::NotAuthentic`] if no secret fits, or there is none.
    pub fn verify_any<'s>(
        self,
        secrets: impl IntoIterator<Item = &'s [u8]>,
    ) -> Result<VerifiedBody<'b>, SignatureError> {
        // An empty secret is the same HMAC key as the placeholder.
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
        let (mut tried, mut fits) = (false, false);
        for secret in secrets {
            tried = true;
            fits |= self.fits(secret);
        }
        if !tried {
            self.fits(PLACEHOLDER_SECRET);
        }
        if fits {
            Ok(VerifiedBody { body: self.body, hmac: self.hmac })
        } else {
            Err(SignatureError::NotAuthentic)
        }
    }

    /// True if the body is signed with this secret.
    fn fits(&self, secret: &[u8]) -> bool {
        let mac = compute_hmac(&self.members, secret);
        mac.is_ok_and(|mac| mac.verify_slice(&self.hmac).is_ok())
    }
}

/// Signs the members of a JSON object as a store plugin does, and as [`SignedBody::verify`]
/// checks it. `body` has no `hmac` yet.
///
/// # Errors
/// Fails if the body is not JSON as PHP reads it.
///
/// # Example: what is signed is verified
/// ```
/// use loyalty_http::integration::{SignedBody, sign_members};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use base64::{Engine as _, engine::general_purpose::STANDARD};
/// let body = r#"{"price_rule":{"title":"é/1"},"key":"lk_1"}"#;
/// let hmac = STANDARD.encode(sign_members(body, b"secret")?);
/// let signed = format!(r#"{{"price_rule":{{"title":"é/1"}},"key":"lk_1","hmac":"{hmac}"}}"#);
/// assert!(SignedBody::parse(signed.as_bytes())?.verify(Some(b"secret")).is_ok());
/// assert!(SignedBody::parse(signed.as_bytes())?.verify(Some(b"other")).is_err());
/// # Ok(()) }
/// ```
pub fn sign_members(body: &str, secret: &[u8]) -> Result<[u8; HMAC_LENGTH], SignatureError> {
    let members = sort_members(php::members(body)?)?;
    Ok(compute_hmac(&members, secret)?.finalize().into_bytes().into())
}

/// The HMAC of the members as PHP encodes them.
fn compute_hmac(
    members: &[SignedMember<'_>],
    secret: &[u8],
) -> Result<Hmac<Sha256>, SignatureError> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret).map_err(|_| SignatureError::NotAuthentic)?;
    let mut separator = "{";
    for signed in members {
        mac.update(separator.as_bytes());
        mac.update(signed.member.canonical.as_bytes());
        separator = ",";
    }
    mac.update(b"}");
    Ok(mac)
}

/// A body with a valid signature of the shop.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedBody<'b> {
    body: &'b str,
    hmac: [u8; HMAC_LENGTH],
}

impl VerifiedBody<'_> {
    /// Parses the body as the type of its route.
    ///
    /// # Errors
    /// Fails if a member is missing or has a wrong type or form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        wire::read(self.body)
    }

    /// The HMAC that was verified. It names what was signed: the same content has the same
    /// HMAC, however its members are ordered or its letters are escaped.
    pub fn hmac(&self) -> &[u8; HMAC_LENGTH] {
        &self.hmac
    }
}

/// The members in the order of PHP's `ksort`: by the bytes of their names, if none is
/// numeric.
fn sort_members(members: Vec<Member<'_>>) -> Result<Vec<SignedMember<'_>>, SignatureError> {
    let mut members: Vec<_> = members
        .into_iter()
        .map(|member| SignedMember { name: unquote(member.name), member })
        .collect();
    if let Some(member) = members.iter().find(|member| begins_like_a_number(&member.name)) {
        return Err(SignatureError::NumericMember(truncate_name(&member.name)));
    }

    members.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let names = members.iter().map(|member| &member.name);
    match names.clone().zip(names.skip(1)).find(|(name, next)| name == next) {
        Some((name, _)) => Err(SignatureError::DuplicateMember(truncate_name(name))),
        None => Ok(members),
    }
}

/// Limits a name in an error message, since the sender chooses its length.
fn truncate_name(name: &str) -> String {
    name.chars().take(40).collect()
}

/// True if PHP may read the name as a number, after what PHP counts as white space.
fn begins_like_a_number(name: &str) -> bool {
    let name = name.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let name = name.strip_prefix(['+', '-']).unwrap_or(name);
    let name = name.strip_prefix('.').unwrap_or(name);
    name.starts_with(|letter: char| letter.is_ascii_digit())
}

/// The value of a member, if it exists and is a string.
fn member_text(members: &[SignedMember<'_>], name: &str) -> Option<String> {
    let signed = members.iter().find(|member| member.name == name)?;
    signed
        .member
        .value
        .starts_with('"')
        .then(|| unquote(signed.member.value).into_owned())
}

/// The text of a JSON string that has been scanned, so it can be decoded.
fn unquote(string: &str) -> Cow<'_, str> {
    if string.contains('\\') {
        Cow::Owned(serde_json::from_str(string).unwrap_or_default())
    } else {
        Cow::Borrowed(string.trim_matches('"'))
    }
}

fn decode_hmac(base64: &str) -> Result<[u8; HMAC_LENGTH], SignatureError> {
    let mut bytes = [0; HMAC_LENGTH];
    match STANDARD.decode_slice(base64, &mut bytes) {
        Ok(HMAC_LENGTH) => Ok(bytes),
        _ => Err(SignatureError::HmacNotBase64),
    }
}
