//! What a customer has done so far, as tiers and goals count it.

use chrono::TimeDelta;

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::tree::{Tree, Weighed};

/// Money spent, points earned and orders made. A difference of two can be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Counts {
    /// The earning basis, refunds deducted, in ten-thousandths of the currency unit.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_none"))]
    pub spend: i64,
    /// Points earned, net of what was taken back.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_none"))]
    pub points: i64,
    /// Orders; one that was refunded in full is none.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_none"))]
    pub orders: i64,
}

#[cfg(feature = "json")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_none(count: &i64) -> bool {
    *count == 0
}

impl Counts {
    /// Nothing.
    pub const ZERO: Self = Self { spend: 0, points: 0, orders: 0 };

    /// One order of this spend and these points.
    pub fn order(spend: Amount, points: Points) -> Self {
        Self { spend: spend.ten_thousandths(), points: points.get(), orders: 1 }
    }

    /// Points alone.
    pub fn points(points: Points) -> Self {
        Self { points: points.get(), ..Self::ZERO }
    }

    /// Whether there is nothing.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            spend: self.spend.saturating_add(other.spend),
            points: self.points.saturating_add(other.points),
            orders: self.orders.saturating_add(other.orders),
        }
    }

    /// What this is more than the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            spend: self.spend.saturating_sub(other.spend),
            points: self.points.saturating_sub(other.points),
            orders: self.orders.saturating_sub(other.orders),
        }
    }
}

impl Weighed for Counts {
    type Weight = Self;

    fn weight(&self) -> Self {
        *self
    }

    fn sum(one: Self, other: Self) -> Self {
        one.plus(other)
    }
}

/// What was done, in all and by instant. Instants further back than any window looks are forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Progress {
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Counts::is_zero"))]
    ever: Counts,
    #[cfg_attr(
        feature = "json",
        serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::spell::instant")
    )]
    first_order: Option<Timestamp>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Tree::is_empty", with = "json"))]
    by_instant: Tree<Timestamp, Counts>,
}

impl Progress {
    /// How far back instants are kept, in days: longer than the longest window of a program.
    const DAYS: i64 = 1_200;

    /// All that was ever done.
    pub fn ever(&self) -> Counts {
        self.ever
    }

    /// When the first order that counted passed the gate.
    pub fn first_order(&self) -> Option<Timestamp> {
        self.first_order
    }

    /// Whether nothing was done yet.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn by_instant(&self) -> &Tree<Timestamp, Counts> {
        &self.by_instant
    }

    /// Adds what was done at an instant, and became known at another. Only time that has passed by then lets
    /// instants be forgotten: the shop's own clock may be far ahead.
    pub(crate) fn add(&mut self, at: Timestamp, counts: Counts, received: Option<Timestamp>) {
        self.ever = self.ever.plus(counts);
        if counts.orders > 0 {
            self.first_order = Some(self.first_order.map_or(at, |first| first.min(at)));
        }
        let sum = self.by_instant.get(&at).copied().unwrap_or_default().plus(counts);
        if sum.is_zero() {
            self.by_instant.remove(&at);
        } else {
            self.by_instant.insert(at, sum);
        }
        let kept = received.and_then(|now| now.checked_sub_signed(TimeDelta::days(Self::DAYS)));
        while let Some((first, _)) = self.by_instant.first()
            && Some(*first) < kept
        {
            let first = *first;
            self.by_instant.remove(&first);
        }
    }

    /// Adds all that another account brings at an instant.
    pub(crate) fn absorb(&mut self, other: &Self, received: Option<Timestamp>) {
        let (ever, first) = (self.ever.plus(other.ever), other.first_order);
        for (at, counts) in other.by_instant.iter() {
            self.add(*at, *counts, received);
        }
        self.ever = ever;
        self.first_order = [self.first_order, first].into_iter().flatten().min();
    }
}

/// A customer of ten thousand orders has ten thousand instants, so they are numbers, five for each: the seconds
/// since the instant before, its nanoseconds, spend, points and orders. Records from before that hold the instant's
/// text beside its counts.
#[cfg(feature = "json")]
mod json {
    use std::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Counts, Timestamp, Tree};

    pub(super) fn serialize<S: Serializer>(tree: &Tree<Timestamp, Counts>, to: S) -> Result<S::Ok, S::Error> {
        let mut before = 0;
        to.collect_seq(tree.iter().flat_map(|(at, counts)| {
            let since = at.timestamp().saturating_sub(before);
            before = at.timestamp();
            [since, i64::from(at.timestamp_subsec_nanos()), counts.spend, counts.points, counts.orders]
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tree<Timestamp, Counts>, D::Error> {
        from.deserialize_seq(Entries)
    }

    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Tree<Timestamp, Counts>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("numbers, five for each instant")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
            let (mut entries, mut seconds) = (Vec::new(), 0_i64);
            while let Some(part) = parts.next_element()? {
                entries.push(match part {
                    Part::Entry(at, counts) => (at, counts),
                    Part::Seconds(since) => {
                        let mut next = || parts.next_element::<i64>()?.ok_or(A::Error::custom("half an instant"));
                        let [nanos, spend, points, orders] = [next()?, next()?, next()?, next()?];
                        seconds = seconds.saturating_add(since);
                        let at =
                            u32::try_from(nanos).ok().and_then(|nanos| Timestamp::from_timestamp(seconds, nanos));
                        (at.ok_or(A::Error::custom("no such instant"))?, Counts { spend, points, orders })
                    }
                });
            }
            Ok(entries.into_iter().collect())
        }
    }

    enum Part {
        Seconds(i64),
        Entry(Timestamp, Counts),
    }

    impl<'de> Deserialize<'de> for Part {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Either;
            impl<'de> Visitor<'de> for Either {
                type Value = Part;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a whole number, or an instant and its counts")
                }
                fn visit_i64<E: Error>(self, seconds: i64) -> Result<Part, E> {
                    Ok(Part::Seconds(seconds))
                }
                fn visit_u64<E: Error>(self, seconds: u64) -> Result<Part, E> {
                    i64::try_from(seconds).map(Part::Seconds).map_err(E::custom)
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Part, A::Error> {
                    let (at, counts) = (pair.next_element()?, pair.next_element()?);
                    at.zip(counts)
                        .map(|(at, counts)| Part::Entry(at, counts))
                        .ok_or(A::Error::custom("half an entry"))
                }
            }
            from.deserialize_any(Either)
        }
    }

    #[cfg(test)]
    mod tests {
        #![allow(
            clippy::indexing_slicing,
            clippy::unwrap_used,
            reason = "a test may stop at what it did not expect"
        )]
        use crate::account::{Counts, Progress};

        #[test]
        fn instants_are_read_as_they_are_written_and_as_they_were() {
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
            let numbers = serde_json::json!([
                [-62_135_596_800_i64, 0, 499_500, -49, 1],
                [62_135_596_799_i64, 999_000_000, 499_500, -49, 1],
                [1_704_110_401, 0, 499_500, -49, 1],
                [6_000, 1, 499_500, -49, 1],
            ]);
            let numbers: Vec<_> =
                numbers.as_array().unwrap().iter().flat_map(|five| five.as_array().unwrap()).collect();
            assert_eq!(written["by_instant"], serde_json::json!(numbers));
            assert_eq!(serde_json::from_value::<Progress>(written.clone()).unwrap(), progress);
            let mut before = written;
            before["by_instant"] = serde_json::json!(instants.map(|at| (at, counts)));
            assert_eq!(serde_json::from_value::<Progress>(before.clone()).unwrap(), progress);
            for broken in
                ["[1]", "[1,0,0,0]", "[0,-1,0,0,0]", "[9e99]", "[9223372036854775807,0,0,0,0]", r#"["x"]"#, "[[]]"]
            {
                before["by_instant"] = serde_json::from_str(broken).unwrap();
                assert!(serde_json::from_value::<Progress>(before.clone()).is_err(), "{broken}");
            }
        }
    }
}
