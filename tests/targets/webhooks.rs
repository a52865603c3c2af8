//! Webhooks of store plugins: `woocommerce/orders-paid` and a JSON object below it.
//!
//! The bytes are sent unchanged first, and must be rejected for their signature. Then
//! they are sent signed, encoded as PHP does, so that their contents are processed.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use loyalty_core::Timestamp;
use loyalty_http::integration::SignedBody;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::server::{FuzzServer, KEY, SECRET};
use super::{split_first_line, split_parts};

/// The time at which the seeds were signed.
const SIGNED_AT: i64 = 1_751_371_200;

pub(super) fn run(data: &[u8]) -> bool {
    let mut server = FuzzServer::new();
    server
        .clock
        .set(Timestamp::from_timestamp(SIGNED_AT, 0).unwrap_or_default());

    let mut accepted = false;
    for part in split_parts(data) {
        let (event, body) = split_first_line(part);
        let Ok(event) = str::from_utf8(event) else { continue };
        let path = format!("/integrations/webhooks/{}", event.trim_end());

        if let Ok(signed) = SignedBody::parse(body) {
            assert!(
                signed.verify(Some(SECRET.as_bytes())).is_err(),
                "a forged signature was accepted"
            );
        }

        let request = || hyper::Request::builder().method("POST").uri(&path);
        let raw = server.send(request(), body);
        assert!(raw.is_none_or(|(status, _)| status >= 400), "an unsigned body was accepted");

        let Some(body) = sign_members(body) else { continue };
        accepted |= server
            .send(request(), body.as_bytes())
            .is_some_and(|(status, _)| status < 300);
    }
    server.verify();
    accepted
}

/// The object with the shop's key and a valid signature.
fn sign_members(body: &[u8]) -> Option<String> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    members.remove("hmac");
    members.insert("key".to_owned(), serde_json::value::to_raw_value(KEY).ok()?);

    let member = |name: &str, value: &RawValue| {
        let name = serde_json::to_string(name).unwrap_or_default();
        format!("{}:{}", encode_like_php(&name), encode_like_php(value.get()))
    };

    let object = members
        .iter()
        .map(|(name, value)| member(name, value))
        .collect::<Vec<_>>()
        .join(",");

    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
    mac.update(format!("{{{object}}}").as_bytes());
    let hmac = STANDARD.encode(mac.finalize().into_bytes());
    Some(format!("{{{object},\"hmac\":\"{hmac}\"}}"))
}

/// JSON with slashes and non-ASCII letters escaped as PHP's `json_encode` does.
fn encode_like_php(json: &str) -> String {
    let (mut text, mut escaped) = (String::new(), false);
    for letter in json.chars() {
        match letter {
            '/' if !escaped => text.push_str("\\/"),
            ' '..='~' | '\n' => text.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
        escaped = letter == '\\' && !escaped;
    }
    text
}
