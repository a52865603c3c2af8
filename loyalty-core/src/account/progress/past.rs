//! What was done long ago, as records of its own.
//!
//! Of a customer of many years nearly all instants stay as they are, while the account changes with each order. So a
//! store can keep them apart from the account, in chapters: each is written once, and again only where it changes.

use super::{Progress, Timestamp, digits};
use crate::account::{Account, Counts};
use crate::tree::{Apart, Nodes};

/// All that an account has done but for its newest instants, in chapters. A copy costs nothing: it shares what it
/// holds with the account.
///
/// A store keeps three things: the account's [`Head`], the chapters, and how many they are, so that it notices
/// where one is lost. And it remembers, for each account in memory, the past that it has written or read last, so
/// that it need write what has changed since.
///
/// ```
/// use loyalty_core::account::{Account, Chapter, Past};
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
/// let mut read = Past::default();
/// for chapter in &chapters {
///     assert!(read.push(chapter.first, chapter.text.as_deref().unwrap_or_default()));
/// }
/// assert_eq!(read.len(), past.len());
/// assert_eq!(head.with_past(&read), Some(account));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Past(Nodes<Timestamp, Counts>);

/// A chapter that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// Its first instant. No other chapter of the account begins at it.
    pub first: Timestamp,
    /// What it holds, for [`Past::push`]. None where no chapter begins there any more.
    pub text: Option<String>,
}

impl Past {
    /// How many chapters there are.
    pub fn len(&self) -> usize {
        self.0.chunks()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The chapters that are not as they were, by their first instants. Where the account has grown out of the one
    /// whose past `before` is, that costs what has changed, not what there is: what both share in memory is passed
    /// over. Of a past that was read by itself, every chapter counts as changed.
    pub fn chapters_since(&self, before: &Self) -> Vec<Chapter> {
        let chapter = |apart: Apart<'_, Timestamp, Counts>| match apart {
            Apart::Gone(first) => Some(Chapter { first: *first, text: None }),
            Apart::Put(entries) => {
                let text = digits::spell(entries.iter().map(|(at, counts)| (at, counts)), entries.len());
                entries.first().map(|(first, _)| Chapter { first: *first, text: Some(text) })
            }
        };
        self.0.apart_from(&before.0).into_iter().filter_map(chapter).collect()
    }

    /// Adds a chapter behind the others. False, and nothing is changed, where the text is none of a chapter that
    /// begins at `first`, or one that has its place before them.
    #[must_use]
    pub fn push(&mut self, first: Timestamp, text: &str) -> bool {
        let entries = digits::read(text).filter(|entries| entries.first().is_some_and(|(at, _)| *at == first));
        entries.is_some_and(|entries| self.0.push_chunk(entries))
    }
}

/// An account but for its past, as a record of its own. Nothing can be asked of it, or decided on it: it is no account
/// before it has its past again, be that none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct Head(Account);

impl Account {
    /// The account with its newest instants alone, at most sixteen, and what went before.
    pub fn split_past(&self) -> (Head, Past) {
        let by_instant = self.progress.by_instant.newest();
        let progress = Progress { by_instant, ..self.progress };
        (Head(Self { progress, ..self.clone() }), Past(self.progress.by_instant.older().clone()))
    }
}

impl Head {
    /// The account again. None where what went before is not before the head's own instants.
    pub fn with_past(self, past: &Past) -> Option<Account> {
        let Self(mut account) = self;
        account.progress.by_instant = std::mem::take(&mut account.progress.by_instant).following(&past.0)?;
        Some(account)
    }
}
