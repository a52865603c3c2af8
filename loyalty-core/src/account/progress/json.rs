//! Instants and their counts in JSON: one text of the codec.
//!
//! Older records are read as well: lists of five numbers for each instant, or of pairs of
//! an instant and its counts.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use super::{Counts, Timestamp, Tree, codec};

pub(super) fn serialize<S: Serializer>(
    tree: &Tree<Timestamp, Counts>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&codec::encode(tree.iter(), tree.len()))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Tree<Timestamp, Counts>, D::Error> {
    from.deserialize_any(EntriesVisitor)
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Tree<Timestamp, Counts>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("digits, five numbers for each instant")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Self::Value, E> {
        let entries = codec::decode(digits).ok_or(E::custom("no instant and its counts"))?;
        Ok(entries.into_iter().collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut seconds) = (Vec::new(), 0_i64);
        while let Some(part) = parts.next_element()? {
            entries.push(match part {
                ListItem::Entry(at, counts) => (at, counts),
                ListItem::Seconds(since) => {
                    let mut next = || {
                        parts
                            .next_element::<i64>()?
                            .ok_or(A::Error::custom("half an instant"))
                    };
                    let [nanos, spend, points, orders] = [next()?, next()?, next()?, next()?];
                    seconds = seconds.saturating_add(since);
                    let at = u32::try_from(nanos)
                        .ok()
                        .and_then(|nanos| Timestamp::from_timestamp(seconds, nanos));
                    (
                        at.ok_or(A::Error::custom("no such instant"))?,
                        Counts { spend, points, orders },
                    )
                }
            });
        }
        Ok(entries.into_iter().collect())
    }
}

/// An element of an older record: a number, or a pair.
#[derive(Deserialize)]
#[serde(untagged)]
enum ListItem {
    Seconds(i64),
    Entry(Timestamp, Counts),
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test may stop at what it did not expect"
    )]
    use crate::account::Progress;
    use crate::counts::Counts;

    #[test]
    fn instants_are_read_from_current_and_older_formats() {
        let counts = Counts { spend: 499_500, points: -49, orders: 1 };
        let mut progress = Progress::default();
        let instants = [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999Z",
            "2024-01-01T12:00:00Z",
            "2024-01-01T13:40:00.000000001Z",
        ];
        for at in instants {
            progress.add(at.parse().unwrap(), counts, None);
        }
        let written = serde_json::to_value(&progress).unwrap();
        // By hand: 499,500 is 999,000 doubled, 24 + 18 * 32 + 15 * 32² + 30 * 32³; -49 is
        // 97, 1 + 3 * 32; 1 is 2.
        assert_eq!(
            written["by_instant"],
            "_v7ny3zDA4yvehDC-v7ny3zDwl_8B4yvehDCi00qylDA4yvehDCg3LD4yvehDC"
        );
        assert_eq!(serde_json::from_value::<Progress>(written.clone()).unwrap(), progress);
        let mut before = written;
        before["by_instant"] = serde_json::json!([
            [-62_135_596_800_i64, 0, 499_500, -49, 1],
            [62_135_596_799_i64, 999_000_000, 499_500, -49, 1],
            [1_704_110_401, 0, 499_500, -49, 1],
            [6_000, 1, 499_500, -49, 1],
        ]);
        let numbers = before["by_instant"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|five| five.as_array().unwrap());
        before["by_instant"] = numbers.cloned().collect();
        assert_eq!(serde_json::from_value::<Progress>(before.clone()).unwrap(), progress);
        before["by_instant"] = serde_json::json!(instants.map(|at| (at, counts)));
        assert_eq!(serde_json::from_value::<Progress>(before).unwrap(), progress);
    }

    #[test]
    fn numbers_of_all_sizes_are_read_as_they_are_written() {
        let mut progress = Progress::default();
        let (mut number, mut at) = (1_i64, 0_i64);
        for step in 0..130 {
            let points = if step % 2 == 0 { number } else { number.wrapping_neg() };
            let counts = Counts {
                spend: i64::MAX - points.saturating_abs(),
                points,
                orders: i64::MIN,
            };
            at = at.wrapping_add(points % 1_000_000_007);
            let at = crate::calendar::Timestamp::from_timestamp(at, step * 7_919_000 % 999_999_999);
            progress.add(at.unwrap(), counts, None);
            number = number.wrapping_mul(3);
        }
        let written = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&written).unwrap(), progress);
    }

    #[test]
    fn invalid_progress_is_rejected() {
        let broken = [
            "[1]",
            "[1,0,0,0]",
            "[0,-1,0,0,0]",
            "[9e99]",
            "[9223372036854775807,0,0,0,0]",
            r#"["x"]"#,
            "[[]]",
            "1",
            r#""A""#,
            r#""AAAA""#,
            r#""AAAAg""#,
            r#""AAAA!""#,
            r#""AAAAAA""#,
            // An instant too far away, a second of more than a second, and two numbers of
            // more than 64 bits.
            r#""_________DAAAA""#,
            r#""Ag____DAAA""#,
            r#""AAgggggggggggggBAA""#,
            r#""AA____________fAA""#,
        ];
        for by_instant in broken {
            let text = format!(r#"{{"by_instant":{by_instant}}}"#);
            assert!(serde_json::from_str::<Progress>(&text).is_err(), "{by_instant}");
        }
    }
}
