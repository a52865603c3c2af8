//! Signatures: bodies that are accepted, and bodies that are rejected.

use super::super::{JsonError, SignatureError, SignedBody, VerifiedBody};
use super::{KEY, Vector, vectors};

/// Verifies like the server: with the secret of the body's key, if the key is known.
fn verify<'b>(body: &'b [u8], secret: &str) -> Result<VerifiedBody<'b>, SignatureError> {
    let signed = SignedBody::parse(body)?;
    let secret = (signed.key() == KEY).then_some(secret.as_bytes());
    signed.verify(secret)
}

fn verify_error(body: &[u8]) -> SignatureError {
    verify(body, "any").expect_err(&String::from_utf8_lossy(body))
}

fn malformed(at: usize) -> SignatureError {
    SignatureError::Json(JsonError::Malformed { at })
}

#[test]
fn what_php_signed_is_accepted_and_nothing_else() {
    for vector in vectors() {
        let verified = verify(vector.body.as_bytes(), &vector.secret);
        assert_eq!(verified.is_ok(), vector.valid, "{}: {:?}", vector.name, verified.err());
    }
}

#[test]
fn every_one_bit_change_is_rejected() {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|vector| vector.valid).collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for share in vectors.chunks(vectors.len().div_ceil(workers)) {
            scope.spawn(move || share.iter().for_each(every_bit_counts));
        }
    });
}

fn every_bit_counts(vector: &Vector) {
    let mut body = vector.body.clone().into_bytes();
    for at in 0..body.len() {
        for bit in 0..8 {
            body[at] ^= 1 << bit;
            let verified = verify(&body, &vector.secret);
            assert!(verified.is_err(), "{}: {}", vector.name, String::from_utf8_lossy(&body));
            body[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_truncated_body_is_an_error() {
    for vector in vectors().iter().filter(|vector| vector.valid) {
        let body = vector.body.as_bytes();
        for length in 0..body.len() {
            let error = verify(&body[..length], &vector.secret).expect_err(&vector.name);
            let is_truncated =
                matches!(error, SignatureError::Json(JsonError::Truncated | JsonError::NotUtf8));
            assert!(is_truncated, "{} cut to {length}: {error}", vector.name);
        }
    }
}

#[test]
fn an_unknown_key_and_a_wrong_signature_have_the_same_error() {
    let vector = vectors().into_iter().find(|vector| vector.valid).unwrap();
    let signed = || SignedBody::parse(vector.body.as_bytes()).unwrap();
    assert_eq!(signed().key(), KEY);
    assert!(signed().verify(Some(vector.secret.as_bytes())).is_ok());
    for secret in [None, Some(&b"wrong"[..]), Some(&b""[..]), Some(&[0; 32][..])] {
        assert_eq!(signed().verify(secret).err(), Some(SignatureError::NotAuthentic), "{secret:?}");
    }
}

#[test]
fn a_body_signed_with_the_placeholder_secret_is_rejected() {
    // The HMAC of {"key":"x"} under 32 zero bytes and under the empty secret, which are
    // the same key.
    let body = br#"{"key":"x","hmac":"dT10edrE0BkSHDCyHvmLzEugWZ80i8REDbJGTwpbf5E="}"#;
    assert!(
        SignedBody::parse(body).unwrap().verify(Some(&[0; 32])).is_ok(),
        "the signature of this test"
    );
    assert_eq!(
        SignedBody::parse(body).unwrap().verify(None).err(),
        Some(SignatureError::NotAuthentic)
    );
    assert_eq!(
        SignedBody::parse(body).unwrap().verify(Some(b"")).err(),
        Some(SignatureError::NotAuthentic)
    );
}

#[test]
fn errors_name_what_is_not_json() {
    for (body, expected) in [
        (&b"\xff{}"[..], JsonError::NotUtf8),
        (b"{\"a\":\"\xc3\"}", JsonError::NotUtf8),
        (b"", JsonError::Truncated),
        (b"\"key\"", JsonError::NotAnObject),
        (b"[1]", JsonError::NotAnObject),
        (b"{\"a\":1}x", JsonError::TrailingBytes { at: 7 }),
        (b"{\"a\":1}{}", JsonError::TrailingBytes { at: 7 }),
        (br#"{"a":"\ud83d"}"#, JsonError::LoneSurrogate { at: 6 }),
        (br#"{"a":"\ud83dx"}"#, JsonError::LoneSurrogate { at: 6 }),
        (br#"{"a":"\ud83d\n"}"#, JsonError::LoneSurrogate { at: 6 }),
        (br#"{"a":"\ud83d\u0041"}"#, JsonError::LoneSurrogate { at: 6 }),
        (br#"{"a":"\ude00"}"#, JsonError::LoneSurrogate { at: 6 }),
        (br#"{"a":"\u00E9"}"#, JsonError::UpperCaseEscape { at: 6 }),
    ] {
        assert_eq!(
            verify_error(body),
            SignatureError::Json(expected),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn what_json_does_not_allow_is_malformed() {
    let values = [
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "--1",
        "1.2.3",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        "tru",
        "True",
        "'a'",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "\"a\0b\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[1}",
        "{\"a\":1]",
        "/**/1",
        "\t1",
        "\r1",
        "\u{a0}1",
        "\u{feff}1",
    ];
    for value in values {
        let body = format!(r#"{{"a":{value},"key":"x","hmac":""}}"#);
        let error = verify_error(body.as_bytes());
        assert!(
            matches!(error, SignatureError::Json(JsonError::Malformed { .. })),
            "{body}: {error}"
        );
    }
    assert_eq!(
        verify_error("\u{feff}{}".as_bytes()),
        SignatureError::Json(JsonError::NotAnObject)
    );
    assert_eq!(verify_error(b"{\"a\" 1}"), malformed(5));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!(
            r#"{{"a":{}1{},"key":"x","hmac":"AA=="}}"#,
            open.repeat(levels),
            close.repeat(levels)
        )
    };
    for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
        assert_eq!(verify_error(nested(31, open, close).as_bytes()), SignatureError::HmacNotBase64);
        assert_eq!(
            verify_error(nested(32, open, close).as_bytes()),
            SignatureError::Json(JsonError::TooDeep)
        );
        assert_eq!(
            verify_error(nested(100_000, open, close).as_bytes()),
            SignatureError::Json(JsonError::TooDeep)
        );
    }
}

#[test]
fn outermost_member_names_are_checked() {
    let duplicate = |name: &str| SignatureError::DuplicateMember(name.to_owned());
    let numeric = |name: &str| SignatureError::NumericMember(name.to_owned());
    for (body, expected) in [
        (r#"{"hmac":"AA=="}"#, SignatureError::MissingKey),
        (r#"{"key":7,"hmac":"AA=="}"#, SignatureError::MissingKey),
        (r#"{"key":null,"hmac":"AA=="}"#, SignatureError::MissingKey),
        (r#"{"key":"x"}"#, SignatureError::MissingHmac),
        (r#"{"key":"x","hmac":["AA=="]}"#, SignatureError::MissingHmac),
        (r#"{"key":"x","key":"x","hmac":"AA=="}"#, duplicate("key")),
        (r#"{"key":"x","hmac":"AA==","hm\u0061c":"AA=="}"#, duplicate("hmac")),
        (r#"{"ü":1,"key":"x","\u00fc":2,"hmac":"AA=="}"#, duplicate("ü")),
        (r#"{"10":1,"9":1,"key":"x","hmac":"AA=="}"#, numeric("10")),
        (r#"{"key":"x","hmac":"AA=="," -.5e1":1}"#, numeric(" -.5e1")),
        (r#"{"key":"x","hmac":"AA==","\t\u000b+7up":1}"#, numeric("\t\u{b}+7up")),
    ] {
        assert_eq!(verify_error(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn only_the_canonical_base64_of_32_bytes_is_a_signature() {
    let good = "dT10edrE0BkSHDCyHvmLzEugWZ80i8REDbJGTwpbf5E=";
    let with = |hmac: &str| format!(r#"{{"key":"x","hmac":"{hmac}"}}"#);
    assert_eq!(verify_error(with(good).as_bytes()), SignatureError::NotAuthentic);
    let spare_bit = good.replace("E=", "F=");
    let long = good.replace('=', "A");
    for hmac in [&*spare_bit, &long, good.trim_end_matches('='), "", "AA==", &good.repeat(2), "ü"]
    {
        assert_eq!(verify_error(with(hmac).as_bytes()), SignatureError::HmacNotBase64, "{hmac}");
    }
}
