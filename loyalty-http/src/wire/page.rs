//! The items of a page, encoded one by one until the page is full.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The bytes after which a page ends, though `limit` allows more items. One item can be longer.
const MAX_BYTES: usize = 1 << 20;

/// The items of a page, in JSON.
///
/// A page has at most `limit` items and about a mebibyte, so that a client which asks for
/// large records does not fill the server's memory. The link to the next page begins after
/// the last item that the page has.
#[derive(Debug)]
pub(crate) struct PageItems<T> {
    items: Vec<Box<RawValue>>,
    item: PhantomData<fn() -> T>,
}

impl<T: Serialize> PageItems<T> {
    /// Encodes items, each with its cursor, until the page is full. Returns them with the
    /// cursor of the last one if others follow it: those that found no place, or, where
    /// `has_more`, those that were not read.
    pub(crate) fn encode<C>(
        items: impl IntoIterator<Item = (T, C)>,
        has_more: bool,
    ) -> (Self, Option<C>) {
        Self::encode_within(MAX_BYTES, items, has_more)
    }

    fn encode_within<C>(
        max_bytes: usize,
        items: impl IntoIterator<Item = (T, C)>,
        has_more: bool,
    ) -> (Self, Option<C>) {
        let (mut encoded, mut bytes, mut last) = (Vec::new(), 0_usize, None);
        let mut items = items.into_iter();
        let mut follow = has_more;

        for (item, cursor) in items.by_ref() {
            // This can't fail; see `to_json`.
            let text = to_raw_value(&item).unwrap_or_default();
            bytes = bytes.saturating_add(text.get().len());
            encoded.push(text);
            last = Some(cursor);
            if bytes >= max_bytes {
                break;
            }
        }

        follow |= items.next().is_some();
        let page = Self { items: encoded, item: PhantomData };
        (page, last.filter(|_| follow))
    }
}

impl<T> Serialize for PageItems<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for PageItems<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(max_bytes: usize, has_more: bool) -> (String, Option<u8>) {
        let items = [("one", 1), ("two", 2), ("three", 3)];
        let (page, last) = PageItems::encode_within(max_bytes, items, has_more);
        (serde_json::to_string(&page).unwrap_or_default(), last)
    }

    #[test]
    fn a_page_ends_when_it_is_full() {
        // Each text has two quotes.
        assert_eq!(page(100, false), (r#"["one","two","three"]"#.to_owned(), None));
        assert_eq!(page(100, true), (r#"["one","two","three"]"#.to_owned(), Some(3)));
        assert_eq!(page(10, false), (r#"["one","two"]"#.to_owned(), Some(2)));
        assert_eq!(page(11, false), (r#"["one","two","three"]"#.to_owned(), None));
        assert_eq!(page(17, true), (r#"["one","two","three"]"#.to_owned(), Some(3)));
    }

    #[test]
    fn a_page_has_an_item_however_long() {
        assert_eq!(page(1, false), (r#"["one"]"#.to_owned(), Some(1)));
        let (none, last) = PageItems::<u8>::encode_within(1, std::iter::empty::<(u8, u8)>(), true);
        assert_eq!((none.items.len(), last), (0, None));
    }
}
