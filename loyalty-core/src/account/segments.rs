//! The stored form of an account: a header and segments.
//!
//! Each order changes an account, but nearly all instants and lots of a long-standing
//! customer stay as they are. So a store keeps them apart from the account, in segments:
//! a segment is written once, and again only if one of its entries changes.

use super::{Account, lots, progress};
use crate::calendar::Timestamp;
use crate::counts::Counts;
use crate::id::LotId;
use crate::lot::{Lot, SpendingKey};
use crate::tree::{Diff, Nodes, Summarize};

/// The segments of an account: all instants but the newest, and all lots but the last in
/// spending order. Copy-on-write, shared with the account.
///
/// A store keeps the [`AccountHeader`], the segments, and their number, by which it
/// notices a lost one. For each account in memory it remembers the segments that it has
/// written or read last, so that it writes only what has changed since.
///
/// # Example: two segments of an account of twenty days
/// ```
/// use loyalty_core::account::{Account, AccountSegmentKey, AccountSegments};
/// use loyalty_core::{AdjustmentReason, Event, LotCredit, LotId, Points, Timestamp};
///
/// let mut account = Account::default();
/// for day in 1..=20_u32 {
///     let at = |day: u32| Timestamp::from_timestamp(i64::from(day) * 86_400, 0).unwrap();
///     let (points, earned_at) = (Points::from(5), at(day));
///     let lot = LotCredit {
///         id: LotId(day), points, earned_at, expires_at: Some(at(day + 365)),
///         pending_until: None, is_separate: false,
///     };
///     let (reason, at) = (AdjustmentReason::default(), Some(earned_at));
///     account.evolve(&Event::PointsAdded { points, lot: Some(lot), reason, at });
/// }
///
/// let (header, segments) = account.split_segments();
/// let changed = segments.changed_since(&AccountSegments::default());
/// assert_eq!(changed.len(), 2, "the first sixteen instants, and their lots");
/// assert_eq!(changed[1].key, AccountSegmentKey::Lot(LotId(1)));
///
/// let written = changed.iter().map(|segment| (segment.key, segment.text.as_deref().unwrap()));
/// let read = AccountSegments::decode(written).unwrap();
/// assert_eq!(header.with_segments(&read), Some(account));
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccountSegments {
    instants: Nodes<Timestamp, Counts>,
    lots: Nodes<SpendingKey, Lot>,
}

/// The first entry of a segment. It identifies the segment within its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountSegmentKey {
    /// The first instant of a segment of instants.
    Instant(Timestamp),
    /// The first lot of a segment of lots.
    Lot(LotId),
}

/// A change of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSegment {
    /// The key.
    pub key: AccountSegmentKey,
    /// The encoded segment, for [`AccountSegments::decode`]. `None` if the segment of
    /// this key is to be deleted.
    pub text: Option<String>,
}

impl AccountSegments {
    /// The number of segments.
    pub fn len(&self) -> usize {
        self.instants.chunks().saturating_add(self.lots.chunks())
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The changes from `before`, deletions first. Write them in this order: a key can be
    /// deleted in one place and inserted in another.
    ///
    /// Costs O(changes) if `before` are the segments of an earlier state of this account
    /// in memory: nodes that both share are skipped. Segments that were decoded on their
    /// own share nothing, so each of them counts as changed.
    pub fn changed_since(&self, before: &Self) -> Vec<AccountSegment> {
        let of_instants = diff_segments(
            self.instants.diff(&before.instants),
            |at| AccountSegmentKey::Instant(*at),
            |entries| {
                progress::codec::encode(
                    entries.iter().map(|(at, counts)| (at, counts)),
                    entries.len(),
                )
            },
        );
        let of_lots = diff_segments(
            self.lots.diff(&before.lots),
            |(_, _, _, lot)| AccountSegmentKey::Lot(*lot),
            |entries| lots::codec::encode(entries.iter().map(|(_, lot)| lot), entries.len()),
        );
        let mut segments: Vec<_> = of_instants.chain(of_lots).collect();
        // A spent lot can return under its number with another expiry: delete, then
        // insert.
        segments.sort_by_key(|segment| segment.text.is_some());
        segments
    }

    /// Decodes segments, in any order. `None` if a text is no segment of its key, or if
    /// two segments overlap.
    pub fn decode<T: AsRef<str>>(
        segments: impl IntoIterator<Item = (AccountSegmentKey, T)>,
    ) -> Option<Self> {
        let (mut instants, mut lots) = (Vec::new(), Vec::new());
        for (start, text) in segments {
            match start {
                AccountSegmentKey::Instant(start) => {
                    let entries = progress::codec::decode(text.as_ref())?;
                    if entries.first()?.0 != start {
                        return None;
                    }
                    instants.push(entries);
                }
                AccountSegmentKey::Lot(start) => {
                    let entries = lots::codec::decode(text.as_ref())?;
                    if entries.first()?.id != start {
                        return None;
                    }
                    lots.push(entries.into_iter().map(|lot| (lot.spending_key(), lot)).collect());
                }
            }
        }
        Some(Self {
            instants: join_segments(instants)?,
            lots: join_segments(lots)?,
        })
    }
}

fn diff_segments<'a, K: 'a, V: 'a>(
    diffs: Vec<Diff<'a, K, V>>,
    key: impl Fn(&K) -> AccountSegmentKey,
    encode: impl Fn(&[(K, V)]) -> String,
) -> impl Iterator<Item = AccountSegment> {
    diffs.into_iter().filter_map(move |diff| match diff {
        Diff::Removed(first) => Some(AccountSegment { key: key(first), text: None }),
        Diff::Upserted(entries) => entries
            .first()
            .map(|(first, _)| AccountSegment { key: key(first), text: Some(encode(entries)) }),
    })
}

/// Joins segments of one kind.
fn join_segments<K: Ord + Copy, V: Summarize + Clone>(
    mut segments: Vec<Vec<(K, V)>>,
) -> Option<Nodes<K, V>> {
    segments.sort_unstable_by_key(|entries| entries.first().map(|(first, _)| *first));
    let mut nodes = Nodes::default();
    segments
        .into_iter()
        .all(|entries| nodes.push_chunk(entries))
        .then_some(nodes)
}

/// An account without its segments, as a record of its own. It becomes an account again
/// by [`AccountHeader::with_segments`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct AccountHeader(Account);

impl Account {
    /// Splits the account. The header keeps the newest instants and the last lots in
    /// spending order, at most sixteen of each; the segments have all others.
    pub fn split_segments(&self) -> (AccountHeader, AccountSegments) {
        let ((progress, instants), (own, lots)) = (self.progress.split(), self.lots.split());
        let segments = AccountSegments { instants: instants.clone(), lots: lots.clone() };
        (AccountHeader(Self { progress, lots: own, ..self.clone() }), segments)
    }
}

impl AccountHeader {
    /// Restores the account. `None` if the segments are not before the header's own
    /// instants and lots, or if a lot's number occurs twice.
    pub fn with_segments(self, segments: &AccountSegments) -> Option<Account> {
        let Self(account) = self;
        let lots = account.lots.with_older(&segments.lots)?;
        let progress = account.progress.with_older(&segments.instants)?;
        Some(Account { lots, progress, ..account })
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test may stop at what it did not expect"
    )]
    use super::*;
    use crate::amount::Points;
    use crate::event::{AdjustmentReason, Event};
    use crate::id::{ImportId, OrderId};
    use crate::lot::LotCredit;

    fn at(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp::from_timestamp(seconds, nanos).unwrap()
    }

    /// Points of a day, which expire a year later.
    fn earned(id: u32, day: i64) -> Event {
        let (points, earned_at) = (Points::from(5), at(day * 86_400, 0));
        let expires_at = Some(at((day + 365) * 86_400, 0));
        let part = LotCredit {
            id: LotId(id),
            points,
            earned_at,
            expires_at,
            pending_until: None,
            is_separate: false,
        };
        Event::PointsAdded {
            points,
            lot: Some(part),
            reason: AdjustmentReason::default(),
            at: Some(earned_at),
        }
    }

    fn spent(lot: u32, points: u32) -> Event {
        Event::PointsSubtracted {
            lots: vec![(LotId(lot), Points::from(points))],
            reason: AdjustmentReason::default(),
            at: None,
        }
    }

    /// An account of `lots` lots, each of its own day.
    fn account(lots: u32) -> Account {
        let mut account = Account::default();
        (1..=lots).for_each(|id| account.evolve(&earned(id, id.into())));
        account
    }

    fn texts(segments: &[AccountSegment]) -> Vec<(AccountSegmentKey, &str)> {
        segments
            .iter()
            .map(|segment| (segment.key, segment.text.as_deref().unwrap()))
            .collect()
    }

    #[test]
    fn lots_are_found_by_every_index_after_segments_are_attached() {
        let mut account = account(100);
        // The one without an end was earned first; the others, of orders, have none
        // either, and come behind it.
        let lot = |number: u32| {
            let order = (number > 1).then(|| OrderId::new(format!("o{}", number / 2)).unwrap());
            let earned_at = at(i64::from(number), 0);
            Lot {
                id: LotId(number),
                order,
                import: None,
                points: Points::from(5),
                earned_at,
                expires_at: None,
                pending_until: None,
            }
        };
        account.lots = (1..=100).map(lot).collect();
        let (header, segments) = account.split_segments();
        assert_eq!(segments.len(), 12, "six of instants and six of lots");
        let changed = segments.changed_since(&AccountSegments::default());
        let mut written = texts(&changed);
        written.reverse();
        let read = header
            .clone()
            .with_segments(&AccountSegments::decode(written).unwrap())
            .unwrap();
        assert_eq!(read, account, "also by number and by order");
        for number in [1, 16, 17, 96, 97, 100] {
            assert_eq!(read.lots().get(LotId(number)), Some(&lot(number)));
        }
        assert_eq!(read.lots().of_order(&OrderId::new("o20").unwrap()).count(), 2);
        assert_eq!(read.lots().non_expiring_lot(), Some(&lot(1)));
        assert_eq!(
            header
                .with_segments(&AccountSegments::default())
                .unwrap()
                .lots()
                .len(),
            4,
            "without them it is another"
        );
        assert_eq!(account.split_segments().0.with_segments(&segments), Some(account));
    }

    #[test]
    fn spending_changes_only_the_first_segment_of_lots() {
        let mut account = account(100);
        let first = account.split_segments().1;
        let starts = |segments: Vec<AccountSegment>| -> Vec<(AccountSegmentKey, bool)> {
            segments
                .into_iter()
                .map(|segment| (segment.key, segment.text.is_some()))
                .collect()
        };
        account.evolve(&spent(1, 3));
        let before = account.split_segments().1;
        assert_eq!(
            starts(before.changed_since(&first)),
            [(AccountSegmentKey::Lot(LotId(1)), true)]
        );
        account.evolve(&spent(1, 2));
        let moved =
            [(AccountSegmentKey::Lot(LotId(1)), false), (AccountSegmentKey::Lot(LotId(2)), true)];
        assert_eq!(starts(account.split_segments().1.changed_since(&before)), moved);
        let Event::PointsAdded { points, lot, at, .. } = earned(1, 0) else {
            unreachable!()
        };
        let grounds = AdjustmentReason { sets_balance: true, ..AdjustmentReason::default() };
        account.evolve(&Event::PointsAdded { points, lot, reason: grounds, at });
        let again =
            [(AccountSegmentKey::Lot(LotId(1)), false), (AccountSegmentKey::Lot(LotId(1)), true)];
        assert_eq!(
            starts(account.split_segments().1.changed_since(&before)),
            again,
            "its number, in another place"
        );
    }

    #[test]
    fn lots_of_every_form_are_read_as_they_are_written() {
        let far = [at(-62_135_596_800, 0), at(-1, 999_999_999), at(0, 1), at(1_767_225_600, 1_000)];
        let orders = [None, Some("1001"), Some("Zoë’s #7"), Some("0")];
        let lots: Vec<Lot> = (0..256_u32)
            .map(|number| {
                let pick = |place: u32| usize::try_from(number >> (2 * place) & 3).unwrap();
                let instant = |place: u32| far.get(pick(place)).copied().unwrap();
                Lot {
                    id: LotId(u32::MAX - number),
                    order: orders[pick(3)].map(|order| OrderId::new(order).unwrap()),
                    import: (number % 7 == 0).then(|| ImportId::new("smile-2026").unwrap()),
                    points: [Points::MIN, Points::ZERO, Points::from(7), Points::MAX][pick(0)],
                    earned_at: instant(0),
                    expires_at: (number % 3 > 0).then(|| instant(1)),
                    pending_until: (number % 5 > 2).then(|| instant(2)),
                }
            })
            .collect();
        let text = lots::codec::encode(lots.iter(), lots.len());
        assert_eq!(lots::codec::decode(&text), Some(lots));
    }

    #[test]
    fn invalid_segments_are_rejected() {
        let segments = account(40)
            .split_segments()
            .1
            .changed_since(&AccountSegments::default());
        let [instants, _, lots, _] = <[_; 4]>::try_from(texts(&segments)).unwrap();
        for (what, segments) in [
            ("twice", vec![instants, instants]),
            ("twice", vec![lots, lots]),
            ("elsewhere", vec![(AccountSegmentKey::Instant(at(0, 0)), instants.1)]),
            ("elsewhere", vec![(AccountSegmentKey::Lot(LotId(2)), lots.1)]),
            ("of the other kind", vec![(AccountSegmentKey::Lot(LotId(1)), instants.1)]),
            ("of nothing", vec![(AccountSegmentKey::Lot(LotId(1)), "")]),
            (
                "cut",
                vec![(AccountSegmentKey::Lot(LotId(1)), lots.1.get(..lots.1.len() - 1).unwrap())],
            ),
            // By hand: number 1, 5 points, of 1970; ends neither nor never, an order of a
            // control character, one of more bytes than there are, too many points, 2³²
            // and 1 more.
            ("unknown", vec![(AccountSegmentKey::Lot(LotId(1)), "BKAACAA")]),
            ("no order", vec![(AccountSegmentKey::Lot(LotId(1)), "BKAAAAB\n")]),
            ("too short", vec![(AccountSegmentKey::Lot(LotId(1)), "BKAAAACx")]),
            ("too many", vec![(AccountSegmentKey::Lot(LotId(1)), "B____________fAAAAA")]),
            ("too large", vec![(AccountSegmentKey::Lot(LotId(1)), "hgggggEKAAAAA")]),
        ] {
            assert!(AccountSegments::decode(segments).is_none(), "{what}");
        }
        assert_eq!(
            AccountSegments::decode([(AccountSegmentKey::Lot(LotId(1)), "BKAAAAA")])
                .unwrap()
                .len(),
            1,
            "these are right"
        );
        assert_eq!(
            AccountSegments::decode([(AccountSegmentKey::Lot(LotId(1)), "BKAAAABx")])
                .unwrap()
                .len(),
            1
        );
        let (header, segments) = account(40).split_segments();
        let (fewer, _) = account(20).split_segments();
        assert!(fewer.with_segments(&segments).is_none(), "not before its own");
        // Of one number in another place.
        let mut twice = account(40);
        twice.evolve(&spent(40, 5));
        twice.evolve(&earned(40, -1));
        assert!(header.with_segments(&twice.split_segments().1).is_none());
    }
}
