//! What was done long ago, as records of its own.
//!
//! Of a customer of many years nearly all instants, and nearly all lots, stay as they are, while the account changes with
//! each order. So a store can keep them apart from the account, in chapters: each is written once, and again only
//! where it changes.

use super::lot::Place;
use super::{Account, Counts, Lot, lots, progress};
use crate::calendar::Timestamp;
use crate::id::LotId;
use crate::tree::{Apart, Nodes, Weighed};

/// All that an account has done but for its newest instants, and all that it can spend but for the lots that end last,
/// in chapters. A copy costs nothing: it shares what it holds with the account.
///
/// A store keeps three things: the account's [`Head`], the chapters, and how many they are, so that it notices
/// where one is lost. And it remembers, for each account in memory, the past that it has written or read last, so
/// that it need write what has changed since.
///
/// ```
/// use loyalty_core::account::{Account, Past};
/// use loyalty_core::{Event, Grounds, Points, Timestamp};
///
/// let mut account = Account::default();
/// for day in 1..=20 {
///     let at = Timestamp::from_timestamp(day * 86_400, 0);
///     account.evolve(&Event::PointsAdded { points: Points::from(5), lot: None, grounds: Grounds::default(), at });
/// }
/// let (head, past) = account.split_past();
/// let chapters = past.chapters_since(&Past::default());
/// assert_eq!(chapters.len(), 1, "of the first sixteen days");
///
/// let written = chapters.iter().filter_map(|chapter| Some((chapter.start, chapter.text.as_deref()?)));
/// let read = Past::read(written).unwrap();
/// assert_eq!(read.len(), past.len());
/// assert_eq!(head.with_past(&read), Some(account));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Past {
    instants: Nodes<Timestamp, Counts>,
    lots: Nodes<Place, Lot>,
}

/// What a chapter begins with, which no other chapter of the account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Start {
    /// The first instant of a chapter of instants.
    Instant(Timestamp),
    /// The first lot of a chapter of lots.
    Lot(LotId),
}

/// A chapter that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// What it begins with.
    pub start: Start,
    /// What it holds, for [`Past::read`]. None where no chapter begins there any more.
    pub text: Option<String>,
}

impl Past {
    /// How many chapters there are.
    pub fn len(&self) -> usize {
        self.instants.chunks().saturating_add(self.lots.chunks())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chapters that are not as they were, those that are gone first. Where the account has grown out of the one
    /// whose past `before` is, that costs what has changed, not what there is: what both share in memory is passed
    /// over. Of a past that was read by itself, every chapter counts as changed.
    pub fn chapters_since(&self, before: &Self) -> Vec<Chapter> {
        let of_instants = changed(
            self.instants.apart_from(&before.instants),
            |at| Start::Instant(*at),
            |entries| progress::text::spell(entries.iter().map(|(at, counts)| (at, counts)), entries.len()),
        );
        let of_lots = changed(
            self.lots.apart_from(&before.lots),
            |(_, _, _, lot)| Start::Lot(*lot),
            |entries| lots::text::spell(entries.iter().map(|(_, lot)| lot), entries.len()),
        );
        let mut chapters: Vec<_> = of_instants.chain(of_lots).collect();
        // A lot that came back with another end can begin a chapter again.
        chapters.sort_by_key(|chapter| chapter.text.is_some());
        chapters
    }

    /// Chapters, in any order. None where the text of one is of no chapter that begins so, or two of them overlap.
    pub fn read<T: AsRef<str>>(chapters: impl IntoIterator<Item = (Start, T)>) -> Option<Self> {
        let (mut instants, mut lots) = (Vec::new(), Vec::new());
        for (start, text) in chapters {
            match start {
                Start::Instant(start) => {
                    let entries = progress::text::read(text.as_ref())?;
                    instants.push(
                        Some(entries).filter(|entries| entries.first().is_some_and(|(at, _)| *at == start))?,
                    );
                }
                Start::Lot(start) => {
                    let read = lots::text::read(text.as_ref())?;
                    let entries: Vec<_> = read.into_iter().map(|lot| (lot.place(), lot)).collect();
                    lots.push(
                        Some(entries).filter(|entries| entries.first().is_some_and(|(_, lot)| lot.id == start))?,
                    );
                }
            }
        }
        Some(Self { instants: bound(instants)?, lots: bound(lots)? })
    }
}

fn changed<'a, K: 'a, V: 'a>(
    apart: Vec<Apart<'a, K, V>>,
    start: impl Fn(&K) -> Start,
    spell: impl Fn(&[(K, V)]) -> String,
) -> impl Iterator<Item = Chapter> {
    apart.into_iter().filter_map(move |apart| match apart {
        Apart::Gone(first) => Some(Chapter { start: start(first), text: None }),
        Apart::Put(entries) => {
            entries.first().map(|(first, _)| Chapter { start: start(first), text: Some(spell(entries)) })
        }
    })
}

/// Chapters of one kind.
fn bound<K: Ord + Copy, V: Weighed + Clone>(mut chapters: Vec<Vec<(K, V)>>) -> Option<Nodes<K, V>> {
    chapters.sort_unstable_by_key(|entries| entries.first().map(|(first, _)| *first));
    let mut nodes = Nodes::default();
    chapters.into_iter().all(|entries| nodes.push_chunk(entries)).then_some(nodes)
}

/// An account but for its past, as a record of its own. Nothing can be asked of it, or decided on it: it is no account
/// before it has its past again, be that none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct Head(Account);

impl Account {
    /// The account with its newest instants and the lots that end last alone, at most sixteen of each, and all others.
    pub fn split_past(&self) -> (Head, Past) {
        let (progress, instants) = self.progress.split();
        let past = Past { instants: instants.clone(), lots: self.lots.older().clone() };
        (Head(Self { progress, lots: self.lots.newest(), ..self.clone() }), past)
    }
}

impl Head {
    /// The account again. None where the chapters are not before the head's own instants and lots, or have a lot of it.
    pub fn with_past(self, past: &Past) -> Option<Account> {
        let Self(Account { lots, progress, .. }) = &self;
        let (lots, progress) = (lots.clone().following(&past.lots)?, progress.clone().following(&past.instants)?);
        Some(Account { lots, progress, ..self.0 })
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
    use crate::event::{Event, Grounds, LotPart};
    use crate::id::OrderId;

    fn at(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp::from_timestamp(seconds, nanos).unwrap()
    }

    /// Points of day `day`, which end a year later.
    fn ending(id: u32, day: i64) -> Event {
        let (points, earned_at) = (Points::from(5), at(day * 86_400, 0));
        let expires_at = Some(at((day + 365) * 86_400, 0));
        let part = LotPart { id: LotId(id), points, earned_at, expires_at, pending_until: None, apart: false };
        Event::PointsAdded { points, lot: Some(part), grounds: Grounds::default(), at: Some(earned_at) }
    }

    /// An account of so many lots, each of its own day.
    fn account(lots: u32) -> Account {
        let mut account = Account::default();
        (1..=lots).for_each(|id| account.evolve(&ending(id, id.into())));
        account
    }

    fn texts(chapters: &[Chapter]) -> Vec<(Start, &str)> {
        chapters.iter().map(|chapter| (chapter.start, chapter.text.as_deref().unwrap())).collect()
    }

    #[test]
    fn lots_are_found_again_in_every_way_once_an_account_has_its_past() {
        let account = account(100);
        let (head, past) = account.split_past();
        assert_eq!(past.len(), 12, "six of instants and six of lots");
        let chapters = past.chapters_since(&Past::default());
        let mut written = texts(&chapters);
        written.reverse();
        let read = head.clone().with_past(&Past::read(written).unwrap()).unwrap();
        assert_eq!(read, account);
        for id in [1, 16, 17, 96, 97, 100].map(LotId) {
            assert!(read.lots().get(id).is_some_and(|lot| lot.id == id && account.lots().get(id) == Some(lot)));
        }
        assert!(read.is_sound());
        assert_eq!(
            head.clone().with_past(&Past::default()).unwrap().lots().len(),
            4,
            "without them it is another"
        );
        assert_eq!(account.split_past().0.with_past(&past), Some(account));
    }

    #[test]
    fn what_is_spent_changes_the_first_chapter_of_lots_alone() {
        let mut account = account(100);
        let before = account.split_past().1;
        let take = |lot, points| Event::PointsSubtracted {
            lots: vec![(LotId(lot), Points::from(points))],
            grounds: Grounds::default(),
            at: None,
        };
        account.evolve(&take(1, 3));
        let past = account.split_past().1;
        let starts = |chapters: Vec<Chapter>| -> Vec<(Start, bool)> {
            chapters.into_iter().map(|chapter| (chapter.start, chapter.text.is_some())).collect()
        };
        assert_eq!(starts(past.chapters_since(&before)), [(Start::Lot(LotId(1)), true)]);
        account.evolve(&take(1, 2));
        let later = account.split_past().1;
        let first = [(Start::Lot(LotId(1)), false), (Start::Lot(LotId(2)), true)];
        assert_eq!(starts(later.chapters_since(&past)), first);
        let Event::PointsAdded { points, lot, at, .. } = ending(1, 0) else { unreachable!() };
        let grounds = Grounds { adjustment: true, ..Grounds::default() };
        account.evolve(&Event::PointsAdded { points, lot, grounds, at });
        let first = [(Start::Lot(LotId(1)), false), (Start::Lot(LotId(1)), true)];
        assert_eq!(
            starts(account.split_past().1.chapters_since(&past)),
            first,
            "its own again, but in another place"
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
                    points: [Points::MIN, Points::ZERO, Points::from(7), Points::MAX][pick(0)],
                    earned_at: instant(0),
                    expires_at: (number % 3 > 0).then(|| instant(1)),
                    pending_until: (number % 5 > 2).then(|| instant(2)),
                }
            })
            .collect();
        let text = lots::text::spell(lots.iter(), lots.len());
        assert_eq!(lots::text::read(&text), Some(lots));
    }

    #[test]
    fn what_no_chapter_was_written_as_is_refused() {
        let chapters = account(40).split_past().1.chapters_since(&Past::default());
        let [instants, _, lots, _] = <[_; 4]>::try_from(texts(&chapters)).unwrap();
        for (what, chapters) in [
            ("twice", vec![instants, instants]),
            ("twice", vec![lots, lots]),
            ("elsewhere", vec![(Start::Instant(at(0, 0)), instants.1)]),
            ("elsewhere", vec![(Start::Lot(LotId(2)), lots.1)]),
            ("of the other kind", vec![(Start::Lot(LotId(1)), instants.1)]),
            ("of nothing", vec![(Start::Lot(LotId(1)), "")]),
            ("cut", vec![(Start::Lot(LotId(1)), lots.1.get(..lots.1.len() - 1).unwrap())]),
            // By hand: number 1, 5 points, of 1970; ends neither nor never, an order of a control character, one of
            // more bytes than there are, too many points, a number of 33 bits.
            ("unknown", vec![(Start::Lot(LotId(1)), "BKAACAA")]),
            ("no order", vec![(Start::Lot(LotId(1)), "BKAAAAB\n")]),
            ("too short", vec![(Start::Lot(LotId(1)), "BKAAAACx")]),
            ("too many", vec![(Start::Lot(LotId(1)), "B____________fAAAAA")]),
            ("too large", vec![(Start::Lot(LotId(1)), "______PKAAAAA")]),
        ] {
            assert!(Past::read(chapters).is_none(), "{what}");
        }
        assert_eq!(Past::read([(Start::Lot(LotId(1)), "BKAAAAA")]).unwrap().len(), 1, "these are right");
        assert_eq!(Past::read([(Start::Lot(LotId(1)), "BKAAAABx")]).unwrap().len(), 1);
        let (head, past) = account(40).split_past();
        let (fewer, _) = account(20).split_past();
        assert!(fewer.with_past(&past).is_none(), "not before its own");
        // Of one number in another place.
        let mut twice = account(40);
        twice.evolve(&Event::PointsSubtracted {
            lots: vec![(LotId(40), Points::from(5))],
            grounds: Grounds::default(),
            at: None,
        });
        twice.evolve(&ending(40, -1));
        assert!(head.with_past(&twice.split_past().1).is_none());
    }
}
