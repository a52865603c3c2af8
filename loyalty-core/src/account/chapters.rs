//! What hardly changes of an account, as records of its own.
//!
//! Of a customer of many years nearly all instants, and nearly all lots, stay as they are, while the account changes with
//! each order. So a store can keep them apart from the account, in chapters: each is written once, and again only
//! where something in it comes or goes.

use super::lot::Place;
use super::{Account, Counts, Lot, lots, progress};
use crate::calendar::Timestamp;
use crate::id::LotId;
use crate::tree::{Apart, Nodes, Weighed};

/// All that an account has done but for its newest instants, and all that it can spend but for the lots that end last,
/// in chapters. A copy costs nothing: it shares what it holds with the account.
///
/// A store keeps three things: the account's [`Head`], the chapters, and how many they are, so that it notices
/// where one is lost. And it remembers, for each account in memory, the chapters that it has written or read last, so
/// that it need only write what has changed since.
///
/// ```
/// use loyalty_core::account::{Account, Chapters, Start};
/// use loyalty_core::event::LotPart;
/// use loyalty_core::{Event, Grounds, LotId, Points, Timestamp};
///
/// let mut account = Account::default();
/// for day in 1..=20 {
///     let at = |day: u32| Timestamp::from_timestamp(i64::from(day) * 86_400, 0).unwrap();
///     let (points, earned_at, expires_at) = (Points::from(5), at(day), Some(at(day + 365)));
///     let lot = LotPart { id: LotId(day), points, earned_at, expires_at, pending_until: None, apart: false };
///     let (grounds, at) = (Grounds::default(), Some(earned_at));
///     account.evolve(&Event::PointsAdded { points, lot: Some(lot), grounds, at });
/// }
/// let (head, chapters) = account.split_chapters();
/// let changed = chapters.changed_since(&Chapters::default());
/// assert_eq!(changed.len(), 2, "of the first sixteen days, and of their lots");
/// assert_eq!(changed[1].start, Start::Lot(LotId(1)));
///
/// let written = changed.iter().filter_map(|chapter| Some((chapter.start, chapter.text.as_deref()?)));
/// let read = Chapters::read(written).unwrap();
/// assert_eq!(read.len(), chapters.len());
/// assert_eq!(head.with_chapters(&read), Some(account));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chapters {
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
    /// What it holds, for [`Chapters::read`]. None where no chapter begins there any more.
    pub text: Option<String>,
}

impl Chapters {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.instants.chunks().saturating_add(self.lots.chunks())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chapters that are not as they were, to be written in this order: of a start that is gone and stands again, in
    /// another place, both are told. Where the account has grown out of the one whose chapters `before` are, that
    /// costs what has changed, not what there is: what both share in memory is passed over. Of chapters that were
    /// read by themselves, each counts as changed.
    pub fn changed_since(&self, before: &Self) -> Vec<Chapter> {
        let of_instants = changed(
            self.instants.apart_from(&before.instants),
            |at| Start::Instant(*at),
            |entries| {
                progress::text::spell(
                    entries.iter().map(|(at, counts)| (at, counts)),
                    entries.len(),
                )
            },
        );
        let of_lots = changed(
            self.lots.apart_from(&before.lots),
            |(_, _, _, lot)| Start::Lot(*lot),
            |entries| lots::text::spell(entries.iter().map(|(_, lot)| lot), entries.len()),
        );
        let mut chapters: Vec<_> = of_instants.chain(of_lots).collect();
        // The number of a lot that was spent can come back with another end.
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
                    if entries.first()?.0 != start {
                        return None;
                    }
                    instants.push(entries);
                }
                Start::Lot(start) => {
                    let entries = lots::text::read(text.as_ref())?;
                    if entries.first()?.id != start {
                        return None;
                    }
                    lots.push(entries.into_iter().map(|lot| (lot.place(), lot)).collect());
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
        Apart::Put(entries) => entries
            .first()
            .map(|(first, _)| Chapter { start: start(first), text: Some(spell(entries)) }),
    })
}

/// Chapters of one kind.
fn bound<K: Ord + Copy, V: Weighed + Clone>(mut chapters: Vec<Vec<(K, V)>>) -> Option<Nodes<K, V>> {
    chapters.sort_unstable_by_key(|entries| entries.first().map(|(first, _)| *first));
    let mut nodes = Nodes::default();
    chapters
        .into_iter()
        .all(|entries| nodes.push_chunk(entries))
        .then_some(nodes)
}

/// An account but for its chapters, as a record of its own. Nothing can be asked of it, or decided on it: it is no
/// account before it has its chapters again, be they none.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct Head(Account);

impl Account {
    /// The account with its newest instants and the lots that end last alone, at most sixteen of each, and all others.
    pub fn split_chapters(&self) -> (Head, Chapters) {
        let ((progress, instants), (own, lots)) = (self.progress.split(), self.lots.split());
        let chapters = Chapters { instants: instants.clone(), lots: lots.clone() };
        (Head(Self { progress, lots: own, ..self.clone() }), chapters)
    }
}

impl Head {
    /// The account again. None where the chapters are not before the head's own instants and lots, or one lot's number is
    /// there twice.
    pub fn with_chapters(self, chapters: &Chapters) -> Option<Account> {
        let Self(account) = self;
        let lots = account.lots.following(&chapters.lots)?;
        let progress = account.progress.following(&chapters.instants)?;
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
    use crate::event::{Event, Grounds, LotPart};
    use crate::id::OrderId;

    fn at(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp::from_timestamp(seconds, nanos).unwrap()
    }

    /// Points of a day, which end a year later.
    fn earned(id: u32, day: i64) -> Event {
        let (points, earned_at) = (Points::from(5), at(day * 86_400, 0));
        let expires_at = Some(at((day + 365) * 86_400, 0));
        let part = LotPart {
            id: LotId(id),
            points,
            earned_at,
            expires_at,
            pending_until: None,
            apart: false,
        };
        Event::PointsAdded {
            points,
            lot: Some(part),
            grounds: Grounds::default(),
            at: Some(earned_at),
        }
    }

    fn spent(lot: u32, points: u32) -> Event {
        Event::PointsSubtracted {
            lots: vec![(LotId(lot), Points::from(points))],
            grounds: Grounds::default(),
            at: None,
        }
    }

    /// An account of so many lots, each of its own day.
    fn account(lots: u32) -> Account {
        let mut account = Account::default();
        (1..=lots).for_each(|id| account.evolve(&earned(id, id.into())));
        account
    }

    fn texts(chapters: &[Chapter]) -> Vec<(Start, &str)> {
        chapters
            .iter()
            .map(|chapter| (chapter.start, chapter.text.as_deref().unwrap()))
            .collect()
    }

    #[test]
    fn lots_are_found_again_in_every_way_once_an_account_has_its_chapters() {
        let mut account = account(100);
        // The one without an end was earned first; the others, of orders, have none either, and come behind it.
        let lot = |number: u32| {
            let order = (number > 1).then(|| OrderId::new(format!("o{}", number / 2)).unwrap());
            let earned_at = at(i64::from(number), 0);
            Lot {
                id: LotId(number),
                order,
                points: Points::from(5),
                earned_at,
                expires_at: None,
                pending_until: None,
            }
        };
        account.lots = (1..=100).map(lot).collect();
        let (head, chapters) = account.split_chapters();
        assert_eq!(chapters.len(), 12, "six of instants and six of lots");
        let changed = chapters.changed_since(&Chapters::default());
        let mut written = texts(&changed);
        written.reverse();
        let read = head.clone().with_chapters(&Chapters::read(written).unwrap()).unwrap();
        assert_eq!(read, account, "also by number and by order");
        for number in [1, 16, 17, 96, 97, 100] {
            assert_eq!(read.lots().get(LotId(number)), Some(&lot(number)));
        }
        assert_eq!(read.lots().of_order(&OrderId::new("o20").unwrap()).count(), 2);
        assert_eq!(read.lots().lasting(), Some(&lot(1)));
        assert_eq!(
            head.with_chapters(&Chapters::default()).unwrap().lots().len(),
            4,
            "without them it is another"
        );
        assert_eq!(account.split_chapters().0.with_chapters(&chapters), Some(account));
    }

    #[test]
    fn what_is_spent_changes_the_first_chapter_of_lots_alone() {
        let mut account = account(100);
        let first = account.split_chapters().1;
        let starts = |chapters: Vec<Chapter>| -> Vec<(Start, bool)> {
            chapters
                .into_iter()
                .map(|chapter| (chapter.start, chapter.text.is_some()))
                .collect()
        };
        account.evolve(&spent(1, 3));
        let before = account.split_chapters().1;
        assert_eq!(starts(before.changed_since(&first)), [(Start::Lot(LotId(1)), true)]);
        account.evolve(&spent(1, 2));
        let moved = [(Start::Lot(LotId(1)), false), (Start::Lot(LotId(2)), true)];
        assert_eq!(starts(account.split_chapters().1.changed_since(&before)), moved);
        let Event::PointsAdded { points, lot, at, .. } = earned(1, 0) else {
            unreachable!()
        };
        let grounds = Grounds { adjustment: true, ..Grounds::default() };
        account.evolve(&Event::PointsAdded { points, lot, grounds, at });
        let again = [(Start::Lot(LotId(1)), false), (Start::Lot(LotId(1)), true)];
        assert_eq!(
            starts(account.split_chapters().1.changed_since(&before)),
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
        let chapters = account(40).split_chapters().1.changed_since(&Chapters::default());
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
            // more bytes than there are, too many points, 2³² and 1 more.
            ("unknown", vec![(Start::Lot(LotId(1)), "BKAACAA")]),
            ("no order", vec![(Start::Lot(LotId(1)), "BKAAAAB\n")]),
            ("too short", vec![(Start::Lot(LotId(1)), "BKAAAACx")]),
            ("too many", vec![(Start::Lot(LotId(1)), "B____________fAAAAA")]),
            ("too large", vec![(Start::Lot(LotId(1)), "hgggggEKAAAAA")]),
        ] {
            assert!(Chapters::read(chapters).is_none(), "{what}");
        }
        assert_eq!(
            Chapters::read([(Start::Lot(LotId(1)), "BKAAAAA")]).unwrap().len(),
            1,
            "these are right"
        );
        assert_eq!(Chapters::read([(Start::Lot(LotId(1)), "BKAAAABx")]).unwrap().len(), 1);
        let (head, chapters) = account(40).split_chapters();
        let (fewer, _) = account(20).split_chapters();
        assert!(fewer.with_chapters(&chapters).is_none(), "not before its own");
        // Of one number in another place.
        let mut twice = account(40);
        twice.evolve(&spent(40, 5));
        twice.evolve(&earned(40, -1));
        assert!(head.with_chapters(&twice.split_chapters().1).is_none());
    }
}
