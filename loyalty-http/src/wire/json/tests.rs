//! One table a topic: a body, the code it gets, and where.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Debug;

use serde::Deserialize;

use super::field::{Date, DecimalText, FromText, Integer, PatchField, Text, TimeField, UniqueMap};
use super::parse;
use crate::problem::ErrorStatus;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Order {
    id: Text<8>,
    points: Integer,
    #[serde(default)]
    lines: Vec<Line>,
    #[serde(default)]
    tags: Option<UniqueMap<Text<4>, Integer>>,
    #[serde(default)]
    state: Option<State>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Line {
    price: DecimalText,
    #[serde(default)]
    quantity: u32,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum State {
    Paid,
    Refunded { amount: DecimalText },
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Patch {
    name: PatchField<Text<8>>,
    born: PatchField<Date>,
}

/// The body is refused with this code, here. All shape codes are 400, all value codes 422.
fn check<T: for<'de> Deserialize<'de> + Debug>(body: impl AsRef<[u8]>, code: &str, param: &str) {
    let body = body.as_ref();
    let said = String::from_utf8_lossy(body.get(..80).unwrap_or(body));
    let Err(problem) = parse::<T>(body) else {
        panic!("accepted: {said}");
    };
    let got = (problem.code(), problem.param().unwrap_or_default());
    assert_eq!(got, (code, param), "{said}: {}", problem.detail());
    let status = match code {
        "out_of_range" | "invalid_value" => ErrorStatus::UNPROCESSABLE,
        _ => ErrorStatus::BAD_REQUEST,
    };
    assert_eq!(problem.status(), status, "{said}");
    let detail = problem.detail();
    assert!(detail.ends_with('.') && detail.len() < 300, "{detail}");
    for rust in ["struct", "i64", "u32", "sequence", "expected map"] {
        assert!(!detail.contains(rust), "{detail}");
    }
}

fn order(field: &str) -> String {
    format!(r#"{{"id":"a","points":1,{field}}}"#)
}

#[test]
fn good_bodies() {
    let order: Order = parse(
        br#" {"id":"\u00e4\ud83d\ude00", "points":-9223372036854775808,
             "lines":[{"price":"12.50","quantity":2}], "tags":{"a":1,"b":2},
             "state":{"refunded":{"amount":"-1"}}} "#,
    )
    .unwrap();
    assert_eq!(order.id.as_str(), "ä😀");
    assert_eq!(order.points, Integer(i64::MIN));
    assert_eq!(order.lines.first().unwrap().price.0.to_string(), "12.50");
    assert_eq!(order.tags.unwrap().0.len(), 2);
}

#[test]
fn documents() {
    let rows: &[(&[u8], &str, &str)] = &[
        (b"", "truncated_json", ""),
        (b" \n", "truncated_json", ""),
        (b"{", "truncated_json", ""),
        (br#"{"id":"a","points":1"#, "truncated_json", ""),
        (br#"{"id":"a"#, "truncated_json", "/id"),
        (br#"{"id":"a","lines":[{"price":"1""#, "truncated_json", "/lines/0"),
        (b"nonsense", "malformed_json", ""),
        (br#"{"id":"a","points":1,}"#, "malformed_json", ""),
        (br#"{"id":"a","points":1} {}"#, "malformed_json", ""),
        (b"{\"id\":\"a\",\"points\":1}\0", "malformed_json", ""),
        (b"\xef\xbb\xbf{}", "malformed_json", ""),
        (b"{\"id\":\"\xff\",\"points\":1}", "malformed_json", "/id"),
        (b"{\"id\":\"\xc0\x80\",\"points\":1}", "malformed_json", "/id"),
        (b"{\"id\":\"\0\",\"points\":1}", "malformed_json", "/id"),
        (br#"{"id":"\ud800","points":1}"#, "malformed_json", "/id"),
        (br#"{"id":"\udc00","points":1}"#, "malformed_json", "/id"),
        (br#"{"id":"\ud800\u0041","points":1}"#, "malformed_json", "/id"),
        (br#"{"id":"\x41","points":1}"#, "malformed_json", "/id"),
        (br#"{"id":"a","points":NaN}"#, "malformed_json", "/points"),
        (br#"{"id":"a","points":01}"#, "malformed_json", "/points"),
        (br#"{"id":"a","points":+1}"#, "malformed_json", "/points"),
        (b"[]", "wrong_type", ""),
        (br#"["a",1]"#, "wrong_type", ""),
        (b"null", "wrong_type", ""),
        (b"1", "wrong_type", ""),
        (br#""{}""#, "wrong_type", ""),
    ];
    for (body, code, param) in rows {
        check::<Order>(body, code, param);
    }
}

#[test]
fn fields() {
    let rows = [
        (r#""x":1"#, "unknown_field", "/x"),
        (r#""a/b~c":1"#, "unknown_field", "/a~1b~0c"),
        (r#""`, expected `y":1"#, "unknown_field", "/`, expected `y"),
        (r#""lines":[{"price":"1","vat":1}]"#, "unknown_field", "/lines/0/vat"),
        (r#""id":"b""#, "duplicate_field", "/id"),
        (r#""lines":[],"lines":[]"#, "duplicate_field", "/lines"),
        (r#""lines":[{"price":"1","price":"1"}]"#, "duplicate_field", "/lines/0/price"),
        (r#""tags":{"a":1,"b":2,"a":3}"#, "duplicate_field", "/tags/a"),
        (r#""tags":{"a":1,"\u0061":3}"#, "duplicate_field", "/tags/a"),
        (r#""lines":[{"price":"1"},{}]"#, "missing_field", "/lines/1/price"),
        (r#""lines":null"#, "wrong_type", "/lines"),
        (r#""lines":{}"#, "wrong_type", "/lines"),
        (r#""lines":[["1",2]]"#, "wrong_type", "/lines/0"),
        (r#""lines":["x"]"#, "wrong_type", "/lines/0"),
        (r#""lines":[{"price":"1","quantity":"2"}]"#, "wrong_type", "/lines/0/quantity"),
        (r#""lines":[{"price":"1","quantity":-2}]"#, "out_of_range", "/lines/0/quantity"),
        (
            r#""lines":[{"price":"1","quantity":4294967296}]"#,
            "out_of_range",
            "/lines/0/quantity",
        ),
        (r#""lines":[{"price":"1","quantity":1.5}]"#, "wrong_type", "/lines/0/quantity"),
        (r#""tags":[]"#, "wrong_type", "/tags"),
        (r#""tags":{"abcde":1}"#, "out_of_range", "/tags/abcde"),
        (r#""tags":{"\u0000":1}"#, "invalid_value", "/tags/\0"),
        (r#""state":"lost""#, "invalid_value", "/state"),
        (r#""state":5"#, "wrong_type", "/state"),
        (r#""state":{"paid":null,"x":1}"#, "wrong_type", "/state"),
        (r#""state":{"refunded":["1"]}"#, "wrong_type", "/state/refunded"),
        (r#""state":{"refunded":{}}"#, "missing_field", "/state/refunded/amount"),
    ];
    for (field, code, param) in rows {
        check::<Order>(order(field), code, param);
    }
    check::<Order>(r#"{"points":1}"#, "missing_field", "/id");
    check::<Order>("{}", "missing_field", "/id");
}

#[test]
fn integers() {
    let rows = [
        ("9223372036854775808", "out_of_range"),
        ("-9223372036854775809", "out_of_range"),
        ("18446744073709551616", "out_of_range"),
        ("1e30", "out_of_range"),
        ("1e400", "out_of_range"),
        ("-1e400", "out_of_range"),
        ("1.0", "wrong_type"),
        ("1e2", "wrong_type"),
        (r#""1""#, "wrong_type"),
        ("true", "wrong_type"),
        ("null", "wrong_type"),
        ("[1]", "wrong_type"),
        ("Infinity", "malformed_json"),
    ];
    for (number, code) in rows {
        check::<Order>(format!(r#"{{"id":"a","points":{number}}}"#), code, "/points");
    }
}

#[test]
fn texts() {
    let rows = [
        (r#""123456789""#, "out_of_range"),
        (r#""äöüäöüäöü""#, "out_of_range"),
        (r#""\u0000""#, "invalid_value"),
        (r#""a\nb""#, "invalid_value"),
        (r#""\u0085""#, "invalid_value"),
        ("1", "wrong_type"),
        ("{}", "wrong_type"),
    ];
    for (text, code) in rows {
        check::<Order>(format!(r#"{{"id":{text},"points":1}}"#), code, "/id");
    }
    assert!(Text::<8>::from_text("äöüäöüäö").is_ok());
    assert!(Text::<8>::from_text("").is_ok());
}

#[test]
fn decimals() {
    let refused = [
        ("12.50", "wrong_type"),
        ("12", "wrong_type"),
        ("1e400", "out_of_range"),
        (r#""""#, "invalid_value"),
        (r#""-""#, "invalid_value"),
        (r#""1.""#, "invalid_value"),
        (r#"".5""#, "invalid_value"),
        (r#""1e3""#, "invalid_value"),
        (r#"" 1""#, "invalid_value"),
        (r#""1,5""#, "invalid_value"),
        (r#""1_0""#, "invalid_value"),
        (r#""--1""#, "invalid_value"),
        (r#""1.2.3""#, "invalid_value"),
        (r#""NaN""#, "invalid_value"),
        (r#""١""#, "invalid_value"),
        (r#""1234567890123""#, "out_of_range"),
        (r#""0.1234567""#, "out_of_range"),
    ];
    for (price, code) in refused {
        let body = order(&format!(r#""lines":[{{"price":{price}}}]"#));
        check::<Order>(body, code, "/lines/0/price");
    }
    let read = |text: &str| DecimalText::from_text(text).unwrap().0.to_string();
    assert_eq!(read("999999999999.999999"), "999999999999.999999");
    assert_eq!(read("-0.000001"), "-0.000001");
    assert_eq!(read("+5"), "5");
    assert_eq!(read("007.50"), "7.50");
}

#[test]
fn times() {
    let refused = [
        ("1969-12-31T23:59:59Z", "out_of_range"),
        ("1970-01-01T00:30:00+01:00", "out_of_range"),
        ("2026-02-29T00:00:00Z", "invalid_value"),
        ("2026-01-01T00:00:00", "invalid_value"),
        ("2026-01-01 00:00:00Z", "invalid_value"),
        ("2026-01-01", "invalid_value"),
        ("2026-01-01T24:00:00Z", "invalid_value"),
        ("2016-12-31T23:59:60Z", "invalid_value"),
        ("2026-01-01T00:00:00\u{2212}01:00", "invalid_value"),
        ("+12026-01-01T00:00:00Z", "invalid_value"),
        ("1772366400", "invalid_value"),
        ("", "invalid_value"),
    ];
    for (text, code) in refused {
        check::<TimeField>(format!("\"{text}\""), code, "");
    }
    check::<TimeField>("1772366400", "wrong_type", "");
    let read = |text: &str| TimeField::from_text(text).unwrap().0.timestamp_millis();
    assert_eq!(read("1970-01-01T00:00:00Z"), 0);
    assert_eq!(read("2026-03-01T13:00:00.5+01:00"), 1_772_366_400_500);
    assert_eq!(read("9999-12-31T23:59:59Z"), 253_402_300_799_000);
}

#[test]
fn dates() {
    for text in [
        "2026-02-29",
        "2026-13-01",
        "2026-1-1",
        "26-01-01",
        "0000-01-01",
        "+026-01-01",
        "2026-01-01T",
        "2026/01/01",
        "12026-01-01",
        "",
        "--",
    ] {
        check::<Date>(format!("\"{text}\""), "invalid_value", "");
    }
    let leap = Date::from_text("2024-02-29").unwrap();
    assert_eq!(leap.0.to_string(), "2024-02-29");
}

#[test]
fn a_patch_distinguishes_absent_from_null() {
    let patch = |body: &str| parse::<Patch>(body.as_bytes()).unwrap();
    assert_eq!(patch("{}"), Patch::default());
    assert_eq!(patch(r#"{"name":null}"#).name, PatchField::Clear);
    let set = patch(r#"{"name":"x"}"#);
    assert_eq!(set.name, PatchField::Set(Text::from_text("x").unwrap()));
    assert_eq!(set.born, PatchField::Keep);
    check::<Patch>("[]", "wrong_type", "");
    check::<Patch>(r#"{"born":"x"}"#, "invalid_value", "/born");
    check::<Patch>(r#"{"born":1}"#, "wrong_type", "/born");
}

#[test]
fn depth() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Free {
        any: serde_json::Value,
    }
    let nest = |depth: usize| format!(r#"{{"any":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let Free { any } = parse(nest(120).as_bytes()).unwrap();
    assert!(any.is_array());
    // The pointer is cut where it gets too long to be of use.
    let pointer = format!("/any{}", "/0".repeat(99));
    check::<Free>(nest(200), "too_deep", &pointer);
    check::<Free>(nest(500_000), "too_deep", &pointer);
    // Where no depth is wanted, the first wrong bracket ends it.
    check::<Order>("[".repeat(500_000), "wrong_type", "");
    check::<Order>(order(&format!(r#""lines":{}"#, "[".repeat(500_000))), "wrong_type", "/lines/0");
}

#[test]
fn long_input_is_not_echoed() {
    let long = "k".repeat(100_000);
    check::<Order>(order(&format!(r#""{long}":1"#)), "unknown_field", "");
    check::<Order>(order(&format!(r#""state":"{long}""#)), "invalid_value", "/state");
    check::<Order>(order(&format!(r#""lines":"{long}""#)), "wrong_type", "/lines");
    check::<Order>(format!(r#"{{"id":"{long}","points":1}}"#), "out_of_range", "/id");
}

#[test]
fn details_are_plain_sentences() {
    let rows = [
        (
            order(r#""x":1"#),
            "There is no field `x` here, but one of `id`, `points`, `lines`, `tags`, `state`.",
        ),
        (
            order(r#""lines":[{"price":1.5}]"#),
            "This must be a decimal in a string, such as \"12.50\", not a number with a fraction or an exponent.",
        ),
        (
            order(r#""lines":[{"price":true}]"#),
            "This must be a decimal in a string, such as \"12.50\", not a boolean.",
        ),
        (order(r#""lines":[[]]"#), "This must be an object, not an array."),
        (order(r#""state":"gone""#), "This must be `paid` or `refunded`."),
        (r#"{"id":"a"}"#.into(), "The field `points` is missing."),
    ];
    for (body, sentence) in rows {
        assert_eq!(parse::<Order>(body.as_bytes()).unwrap_err().detail(), sentence);
    }
}
