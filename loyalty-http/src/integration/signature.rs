//! The signature of a store plugin's body.
//!
//! The body carries `key`, the shop's API key, and `hmac`, the signature. Signed is the body without `hmac`,
//! its outermost members sorted as PHP's `ksort` does, encoded as PHP's `json_encode` does (see
//! [`php`](super::php)): HMAC-SHA256 under the shop's secret, in base64.
//!
//! ```text
//! bytes ── SignedBody::parse ──> SignedBody ── verify(secret of its key) ──> Verified ── read ──> Order, Refund, …
//! ```
//!
//! Only a [`Verified`] body can be read, and an unknown key costs and answers what a wrong signature does.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::php::{self, JsonError, Member};
use super::wire::{self, WireError};

/// What is signed with when the key is unknown. Nothing signed with it is ever accepted.
const PLACEHOLDER_SECRET: &[u8] = &[0; 32];

/// The length of an HMAC-SHA256.
const HMAC_LENGTH: usize = 32;

/// Why a body is not taken for a plugin's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not the JSON that a plugin writes.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The outermost object has two members of one name.
    #[error("the body has the member {0:?} twice")]
    DuplicateMember(String),
    /// The outermost object has a member whose name begins like a number. PHP sorts such names by their
    /// value and no plugin sends one.
    #[error("the body has a member with a number for its name: {0:?}")]
    NumericMember(String),
    /// `key` is missing or no text.
    #[error("the body has no text in its member \"key\"")]
    MissingKey,
    /// `hmac` is missing or no text.
    #[error("the body has no text in its member \"hmac\"")]
    MissingHmac,
    /// `hmac` is not 32 bytes in standard base64 with padding.
    #[error("the member \"hmac\" is not the base64 of 32 bytes")]
    HmacNotBase64,
    /// The key is unknown or the signature is not by its secret; which of them is not told.
    #[error("the key is unknown or the signature is wrong")]
    NotAuthentic,
}

/// A well-formed body with its signature, not verified yet.
pub struct SignedBody<'b> {
    body: &'b str,
    key: String,
    hmac: [u8; HMAC_LENGTH],
    /// The members that are signed, in signed order.
    members: Vec<SignedMember<'b>>,
}

/// An outermost member by its decoded name, which is what PHP sorts by.
struct SignedMember<'b> {
    name: Cow<'b, str>,
    member: Member<'b>,
}

impl<'b> SignedBody<'b> {
    /// Takes a received body apart, without trusting anything in it.
    pub fn parse(body: &'b [u8]) -> Result<Self, SignatureError> {
        let body = std::str::from_utf8(body).map_err(|_| JsonError::NotUtf8)?;
        let mut parts = sort_members(php::members(body)?)?;
        let key = member_text(&parts, "key").ok_or(SignatureError::MissingKey)?;
        let hmac = member_text(&parts, "hmac").ok_or(SignatureError::MissingHmac)?;
        parts.retain(|part| part.name != "hmac");
        Ok(Self { body, key, hmac: decode_hmac(&hmac)?, members: parts })
    }

    /// The API key that the body claims to come from.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Compares the signature, in constant time, with that by the key's secret; `None` for an unknown key
    /// takes the same time and is refused in the same words.
    pub fn verify(self, secret: Option<&[u8]>) -> Result<VerifiedBody<'b>, SignatureError> {
        let secret = secret.filter(|secret| !secret.is_empty());
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.unwrap_or(PLACEHOLDER_SECRET))
            .map_err(|_| SignatureError::NotAuthentic)?;
        let mut opening = "{";
        for part in &self.members {
            mac.update(opening.as_bytes());
            mac.update(part.member.canonical.as_bytes());
            opening = ",";
        }
        mac.update(b"}");
        let matches = mac.verify_slice(&self.hmac).is_ok();
        if matches && secret.is_some() {
            Ok(VerifiedBody { body: self.body })
        } else {
            Err(SignatureError::NotAuthentic)
        }
    }
}

/// A body that the shop itself has signed.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedBody<'b> {
    body: &'b str,
}

impl VerifiedBody<'_> {
    /// Reads the body as what its route says it is.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        wire::read(self.body)
    }
}

/// The members in the order of PHP's `ksort`: by the bytes of their names, as long as none is a number.
fn sort_members(members: Vec<Member<'_>>) -> Result<Vec<SignedMember<'_>>, SignatureError> {
    let mut parts: Vec<_> = members
        .into_iter()
        .map(|member| SignedMember { name: unquote(member.name), member })
        .collect();
    if let Some(part) = parts.iter().find(|part| begins_like_a_number(&part.name)) {
        return Err(SignatureError::NumericMember(truncate_name(&part.name)));
    }
    parts.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let names = parts.iter().map(|part| &part.name);
    match names.clone().zip(names.skip(1)).find(|(name, next)| name == next) {
        Some((name, _)) => Err(SignatureError::DuplicateMember(truncate_name(name))),
        None => Ok(parts),
    }
}

/// A name is as long as its sender likes; an answer is not.
fn truncate_name(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Whether PHP may see a number in the name, after its own white space.
fn begins_like_a_number(name: &str) -> bool {
    let name = name.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let name = name.strip_prefix(['+', '-']).unwrap_or(name);
    let name = name.strip_prefix('.').unwrap_or(name);
    name.starts_with(|letter: char| letter.is_ascii_digit())
}

/// The text of the named member, if it is there and is text.
fn member_text(parts: &[SignedMember<'_>], name: &str) -> Option<String> {
    let found = parts.iter().find(|part| part.name == name)?;
    found
        .member
        .value
        .starts_with('"')
        .then(|| unquote(found.member.value).into_owned())
}

/// The text within a JSON string that has been scanned, and so decodes.
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
