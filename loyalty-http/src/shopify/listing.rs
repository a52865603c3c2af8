//! Lists as Shopify's clients ask for them: filtered by time, in an order, page by page.
//!
//! A filter that the store does not know is applied to the rows as they are read. An order
//! other than the list's own reads all rows and keeps the first of them; only sync jobs ask
//! for one, with a filter by time.

use loyalty_core::Timestamp;
use loyalty_store::{CustomerView, Failure, NumericId, Page, PriceRuleView, ProductRecord};

use super::PAGE_INFO;
use crate::endpoint::{Call, error};
use crate::problem::Problem;
use crate::wire::json::field::{Date, FromText, TimeField};
use crate::wire::query::{Cursor, PageLinker, ProductCursor, RuleCursor};
use crate::wire::value::parse_number;

/// The rows that the store is asked for at once, where not all of them are returned.
const BATCH: usize = 250;

/// The rows that a page reads at most. Where no more of them match, the page is short, and its
/// link leads on.
const MAX_READ: usize = 10_000;

/// A row of a list.
pub(super) trait ListedRow {
    /// The place behind the row in the list's own order.
    type Place: Cursor + Clone;

    fn place(&self) -> Self::Place;
    fn number(&self) -> i64;
    fn created_at(&self) -> Timestamp;
    fn updated_at(&self) -> Timestamp;
}

impl ListedRow for CustomerView {
    type Place = loyalty_core::AccountId;

    fn place(&self) -> Self::Place {
        self.record().account
    }

    fn number(&self) -> i64 {
        NumericId::from_customer(self.record()).get()
    }

    fn created_at(&self) -> Timestamp {
        self.record().created_at
    }

    fn updated_at(&self) -> Timestamp {
        self.record().updated_at
    }
}

impl ListedRow for PriceRuleView {
    type Place = RuleCursor;

    fn place(&self) -> Self::Place {
        RuleCursor(self.id)
    }

    fn number(&self) -> i64 {
        self.id.0
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
}

impl ListedRow for std::sync::Arc<ProductRecord> {
    type Place = ProductCursor;

    fn place(&self) -> Self::Place {
        ProductCursor(self.number)
    }

    fn number(&self) -> i64 {
        self.number.get()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
}

/// Instants from a first to a last, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TimeWindow {
    pub(super) min: Option<Timestamp>,
    pub(super) max: Option<Timestamp>,
}

impl TimeWindow {
    /// The window in `{field}_min` and `{field}_max`.
    pub(super) fn from_call(call: &Call<'_>, field: &str) -> Result<Self, Problem> {
        Ok(Self {
            min: parse_instant(call, &format!("{field}_min"))?,
            max: parse_instant(call, &format!("{field}_max"))?,
        })
    }

    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.min.is_none_or(|min| at >= min) && self.max.is_none_or(|max| at <= max)
    }

    pub(super) fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// A time with its offset, or a day, which begins at midnight UTC.
fn parse_instant(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = call.query.text(name)? else { return Ok(None) };
    // A plus that was not encoded arrives as a blank.
    let text = text.replace(' ', "+");
    let instant = TimeField::from_text(&text).map(|time| time.0);
    let day = || Date::from_text(&text).ok()?.0.and_hms_opt(0, 0, 0);
    instant
        .or_else(|error| day().map(|day| day.and_utc()).ok_or(error))
        .map(Some)
        .map_err(|_| {
            let detail = "This is no time such as 2026-03-01T12:00:00Z.";
            Problem::unprocessable("invalid_value", detail).with_param(name)
        })
}

/// An order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortOrder {
    field: SortField,
    descends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortField {
    Created,
    Id,
    Updated,
}

impl SortOrder {
    /// The order in `order=updated_at desc`. An unknown one is ignored, and so is any beside
    /// `since_id`, which belongs to the list's own order.
    pub(super) fn from_call(call: &Call<'_>) -> Result<Option<Self>, Problem> {
        let text = call.query.text("order")?.unwrap_or_default();
        let mut words = text.split_whitespace();
        let field = match words.next() {
            Some("id") => SortField::Id,
            Some("created_at") => SortField::Created,
            Some("updated_at") => SortField::Updated,
            _ => return Ok(None),
        };
        let descends = words.next().is_some_and(|word| word.eq_ignore_ascii_case("desc"));
        let has_start = super::parse_since_id(call)?.is_some();
        Ok(Some(Self { field, descends }).filter(|_| !has_start))
    }

    /// The place of a row: smaller ones come first.
    fn place_of(self, row: &impl ListedRow) -> SortedPlace {
        let key = match self.field {
            SortField::Created => row.created_at().timestamp_micros(),
            SortField::Id => row.number(),
            SortField::Updated => row.updated_at().timestamp_micros(),
        };
        if self.descends {
            SortedPlace {
                key: key.saturating_neg(),
                number: row.number().saturating_neg(),
            }
        } else {
            SortedPlace { key, number: row.number() }
        }
    }
}

/// The place of a row in an order. Rows of one instant are in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SortedPlace {
    key: i64,
    number: i64,
}

impl Cursor for SortedPlace {
    fn encode(&self) -> String {
        format!("o{}.{}", self.key, self.number)
    }

    fn decode(text: &str) -> Option<Self> {
        let signed = |text: &str| match text.strip_prefix('-') {
            Some(digits) => parse_number(digits).map(i64::saturating_neg),
            None => parse_number(text),
        };
        let (key, number) = text.strip_prefix('o')?.split_once('.')?;
        Some(Self { key: signed(key)?, number: signed(number)? })
    }
}

/// The page that a client asks for.
#[derive(Debug)]
pub(super) struct Listing<P> {
    limit: usize,
    start: ListStart<P>,
    linker: PageLinker,
}

#[derive(Debug)]
enum ListStart<P> {
    Own(Option<P>),
    Sorted(SortOrder, Option<SortedPlace>),
}

/// Rows, and the link to the next page.
pub(super) struct ListedPage<R> {
    pub(super) rows: Vec<R>,
    pub(super) link: Option<(hyper::header::HeaderName, hyper::header::HeaderValue)>,
}

impl<P: Cursor + Clone> Listing<P> {
    /// The page of a request; `since` is the place of its `since_id`.
    pub(super) fn from_call(call: &Call<'_>, since: Option<P>) -> Result<Self, Problem> {
        let start = match SortOrder::from_call(call)? {
            Some(order) => ListStart::Sorted(order, call.query.cursor_named(PAGE_INFO)?),
            None => ListStart::Own(super::page_start(call, since)?),
        };
        Ok(Self {
            limit: call.query.limit()?,
            start,
            linker: super::linker(call),
        })
    }

    /// Reads the page: the rows of `fetch` that `matches`.
    pub(super) fn read<R: ListedRow<Place = P>>(
        self,
        fetch: impl Fn(Option<P>, usize) -> Result<Page<R>, Failure>,
        matches: impl Fn(&R) -> bool,
    ) -> Result<ListedPage<R>, Problem> {
        match self.start {
            ListStart::Own(start) => {
                read_in_own_order(start, self.limit, fetch, matches).map(|(rows, next)| {
                    let link = next.and_then(|next| self.linker.link(&next));
                    ListedPage { rows, link }
                })
            }
            ListStart::Sorted(order, after) => {
                read_sorted(order, after, self.limit, fetch, matches).map(|(rows, next)| {
                    let link = next.and_then(|next| self.linker.link(&next));
                    ListedPage { rows, link }
                })
            }
        }
        .map_err(error::from_failure)
    }
}

type PageAndNext<R, P> = (Vec<R>, Option<P>);

fn read_in_own_order<R: ListedRow>(
    start: Option<R::Place>,
    limit: usize,
    fetch: impl Fn(Option<R::Place>, usize) -> Result<Page<R>, Failure>,
    matches: impl Fn(&R) -> bool,
) -> Result<PageAndNext<R, R::Place>, Failure> {
    let (mut rows, mut after, mut read) = (Vec::new(), start, 0_usize);
    // The first batch is a page, since mostly all of its rows match.
    let mut size = limit;

    loop {
        let page = fetch(after.clone(), size)?;
        for row in page.items {
            if rows.len() == limit {
                return Ok((rows, after));
            }
            after = Some(row.place());
            read = read.saturating_add(1);
            if matches(&row) {
                rows.push(row);
            }
        }
        if !page.has_more {
            return Ok((rows, None));
        }
        if rows.len() == limit || read >= MAX_READ {
            return Ok((rows, after));
        }
        size = BATCH;
    }
}

fn read_sorted<R: ListedRow>(
    order: SortOrder,
    after: Option<SortedPlace>,
    limit: usize,
    fetch: impl Fn(Option<R::Place>, usize) -> Result<Page<R>, Failure>,
    matches: impl Fn(&R) -> bool,
) -> Result<PageAndNext<R, SortedPlace>, Failure> {
    let (mut kept, mut start) = (Vec::new(), None);
    loop {
        let page = fetch(start, BATCH)?;
        start = page.items.last().map(ListedRow::place);
        let later = page.items.into_iter().filter_map(|row| {
            let place = order.place_of(&row);
            let is_later = after.is_none_or(|after| place > after) && matches(&row);
            is_later.then_some((place, row))
        });
        kept.extend(later);

        // One more than the page tells whether rows follow.
        kept.sort_by_key(|(place, _)| *place);
        kept.truncate(limit.saturating_add(1));
        if !page.has_more {
            break;
        }
    }

    let has_more = kept.len() > limit;
    kept.truncate(limit);
    let next = kept.last().filter(|_| has_more).map(|(place, _)| *place);
    Ok((kept.into_iter().map(|(_, row)| row).collect(), next))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for place in [
            SortedPlace { key: 0, number: 1 },
            SortedPlace { key: -1_772_366_400_000_000, number: -9_007_199_254_740_991 },
            SortedPlace { key: 1_772_366_400_000_000, number: 42 },
        ] {
            assert_eq!(SortedPlace::decode(&place.encode()), Some(place));
        }
        for text in ["", "o", "o1", "o1.", "o.1", "o--1.1", "p1.1", "o1.x"] {
            assert_eq!(SortedPlace::decode(text), None, "{text}");
        }
    }
}
