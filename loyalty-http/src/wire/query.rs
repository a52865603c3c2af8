//! Query strings, and pages of lists.
//!
//! A route lists its parameters. An unknown parameter and a duplicate one are rejected: a misspelt
//! `limit` must not be ignored in silence. Cursors are opaque: their form can change.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::{HeaderName, HeaderValue, LINK};
use loyalty_core::{AccountId, CategoryId, CodeId, PriceRuleId, RedemptionId};
use loyalty_store::{NumericId, Seq};

use super::json::field::FromText;
use super::{percent, value};
use crate::problem::Problem;

/// The most items of a page, and the default.
const MAX_LIMIT: usize = 250;
const DEFAULT_LIMIT: usize = 50;

/// The parameter with the start of a page.
const CURSOR_PARAMETER: &str = "cursor";

/// The parameters of a request, still encoded.
#[derive(Debug, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Query<'a> {
    /// Parses a query for a client that sends more than we know: unknown names and empty
    /// values are ignored.
    pub(crate) fn parse_known(text: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut query = Self::default();
        for pair in text.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent::decode_form(name).filter(|name| known.contains(&&**name));
            if let Some(name) = name.filter(|_| !value.is_empty()) {
                query.push(name, value)?;
            }
        }
        Ok(query)
    }

    /// Parses a query. An unknown or duplicate name is a problem.
    pub(crate) fn parse(text: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut query = Self::default();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent::decode_form(name).ok_or_else(|| malformed("The query"))?;
            if !known.contains(&&*name) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let detail = format!("This request has no such query parameter; it knows {known}.");
                let shown: String = name.chars().take(100).collect();
                return Err(Problem::bad_request("unknown_parameter", detail).with_param(shown));
            }
            query.push(name, value)?;
        }
        Ok(query)
    }

    fn push(&mut self, name: Cow<'a, str>, value: &'a str) -> Result<(), Problem> {
        if self.0.iter().any(|(there, _)| *there == name) {
            let detail = "This query parameter is there twice.";
            return Err(Problem::bad_request("duplicate_parameter", detail).with_param(name));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The raw value of a parameter.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(there, _)| there == name)
            .map(|(_, value)| *value)
    }

    /// A parameter's text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        percent::decode_form(raw)
            .map(Some)
            .ok_or_else(|| malformed("This").with_param(name))
    }

    /// A parameter's value.
    pub(crate) fn value<T: FromText>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        T::from_text(&text)
            .map(Some)
            .map_err(|refusal| value::param_problem(refusal, name))
    }

    /// The value of a parameter that is true or false; false by default.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.raw(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::unprocessable("invalid_value", "This must be true or false.")
                .with_param(name)),
        }
    }

    /// The number of items of a page.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.raw("limit") else { return Ok(DEFAULT_LIMIT) };
        value::parse_number(text)
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| {
                let detail = format!("This must be a whole number from 1 to {MAX_LIMIT}.");
                Problem::unprocessable("out_of_range", detail).with_param("limit")
            })
    }

    /// Where the page begins.
    pub(crate) fn cursor<C: Cursor>(&self) -> Result<Option<C>, Problem> {
        self.cursor_named(CURSOR_PARAMETER)
    }

    /// Where the page begins, for clients that know the parameter by another name.
    pub(crate) fn cursor_named<C: Cursor>(&self, name: &str) -> Result<Option<C>, Problem> {
        let Some(text) = self.raw(name) else { return Ok(None) };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let read = bytes.and_then(|bytes| C::decode(str::from_utf8(&bytes).ok()?));
        read.map(Some).ok_or_else(|| {
            let detail = "This is no cursor of this list; follow the Link header of a page.";
            Problem::unprocessable("invalid_cursor", detail).with_param(name)
        })
    }

    /// The linker to further pages of this request.
    pub(crate) fn page_linker(&self, path: &str) -> PageLinker {
        self.page_linker_named(path, CURSOR_PARAMETER)
    }

    /// The same with another name of the cursor.
    pub(crate) fn page_linker_named(&self, path: &str, cursor: &str) -> PageLinker {
        let mut url = percent::encode_path(path);
        url.push('?');
        for (name, raw) in self.0.iter().filter(|(name, _)| name != cursor) {
            let value = percent::decode_form(raw).unwrap_or_default();
            url.extend([name, "=", &percent::encode(&value), "&"]);
        }
        url.extend([cursor, "="]);
        PageLinker { url }
    }
}

/// Links to pages of one request.
#[derive(Debug)]
pub(crate) struct PageLinker {
    /// All but the cursor's value.
    url: String,
}

impl PageLinker {
    /// The text of a cursor.
    pub(crate) fn encode(last: &impl Cursor) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(last.encode())
    }

    /// The same links, absolute.
    pub(crate) fn at_origin(self, origin: &str) -> Self {
        Self { url: format!("{origin}{}", self.url) }
    }

    /// The `Link` to the page behind `last` (RFC 8288), by default relative to the server.
    pub(crate) fn link(&self, last: &impl Cursor) -> Option<(HeaderName, HeaderValue)> {
        let cursor = Self::encode(last);
        let link = format!("<{}{cursor}>; rel=\"next\"", self.url);
        HeaderValue::try_from(link).ok().map(|link| (LINK, link))
    }
}

fn malformed(what: &str) -> Problem {
    Problem::bad_request("malformed_query", format!("{what} is not percent-encoded UTF-8."))
}

/// A place in a list. Its text begins with a letter of its own, so that a cursor of another list is
/// told apart.
pub(crate) trait Cursor: Sized {
    /// The text.
    fn encode(&self) -> String;
    /// Reads the text.
    fn decode(text: &str) -> Option<Self>;
}

/// The last customer of a page.
impl Cursor for AccountId {
    fn encode(&self) -> String {
        format!("c{self}")
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('c').and_then(value::parse_number).map(Self)
    }
}

/// The last category of a page.
impl Cursor for CategoryId {
    fn encode(&self) -> String {
        format!("k{self}")
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('k').and_then(|id| Self::new(id).ok())
    }
}

/// The last product of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProductCursor(pub(crate) NumericId);

impl Cursor for ProductCursor {
    fn encode(&self) -> String {
        format!("p{}", self.0)
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('p')
            .and_then(value::parse_number)
            .and_then(NumericId::new)
            .map(Self)
    }
}

/// The last saved search of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SearchCursor(pub(crate) NumericId);

impl Cursor for SearchCursor {
    fn encode(&self) -> String {
        format!("s{}", self.0)
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('s')
            .and_then(value::parse_number)
            .and_then(NumericId::new)
            .map(Self)
    }
}

/// The last redemption of a page.
impl Cursor for RedemptionId {
    fn encode(&self) -> String {
        format!("x{self}")
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('x').and_then(value::parse_number).map(Self)
    }
}

/// The last price rule of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleCursor(pub(crate) PriceRuleId);

impl Cursor for RuleCursor {
    fn encode(&self) -> String {
        format!("r{}", self.0)
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('r')
            .and_then(value::parse_number)
            .map(PriceRuleId)
            .map(Self)
    }
}

/// The last discount code of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeCursor(pub(crate) CodeId);

impl Cursor for CodeCursor {
    fn encode(&self) -> String {
        format!("d{}", self.0)
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('d')
            .and_then(value::parse_number)
            .map(CodeId)
            .map(Self)
    }
}

/// The last entry of a page: its journal row, and its place in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryCursor {
    /// The row from which the store leads to it; none for the newest.
    pub(crate) start_row: Option<Seq>,
    pub(crate) seq: Seq,
    pub(crate) index: usize,
}

impl Cursor for EntryCursor {
    fn encode(&self) -> String {
        format!("e{}-{}-{}", self.start_row.unwrap_or_default(), self.seq, self.index)
    }

    fn decode(text: &str) -> Option<Self> {
        let (from, rest) = text.strip_prefix('e')?.split_once('-')?;
        let (seq, index) = rest.split_once('-')?;
        let from = Some(value::parse_number(from)?).filter(|from| *from > 0);
        Some(Self {
            start_row: from,
            seq: value::parse_number(seq)?,
            index: value::parse_number(index)?,
        })
    }
}

/// The last event of a page: its journal row, and its number among the events of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventCursor {
    pub(crate) seq: Seq,
    pub(crate) index: u16,
}

impl Cursor for EventCursor {
    fn encode(&self) -> String {
        format!("o{}-{}", self.seq, self.index)
    }

    fn decode(text: &str) -> Option<Self> {
        let (seq, index) = text.strip_prefix('o')?.split_once('-')?;
        Some(Self {
            seq: value::parse_number(seq)?,
            index: value::parse_number(index)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use loyalty_core::Email;

    const KNOWN: [&str; 4] = ["limit", "cursor", "email", "query"];

    fn parse(text: &str) -> Result<Query<'_>, Problem> {
        Query::parse(Some(text), &KNOWN)
    }

    fn refused<T>(result: Result<T, Problem>) -> (&'static str, String) {
        let problem = result.err().unwrap();
        (problem.code(), problem.param().unwrap_or_default().to_owned())
    }

    #[test]
    fn unknown_and_duplicate_parameters_are_rejected() {
        let query = parse("limit=5&query=ada+%26co&&%65mail=a%40b").unwrap();
        assert_eq!(query.limit().unwrap(), 5);
        assert_eq!(query.text("query").unwrap().unwrap(), "ada &co");
        assert_eq!(query.value::<Email>("email").unwrap().unwrap().as_str(), "a@b");
        assert_eq!(query.text("cursor").unwrap(), None);
        assert_eq!(refused(parse("limt=5")), ("unknown_parameter", "limt".to_owned()));
        assert_eq!(refused(parse("limit=5&limit=5")), ("duplicate_parameter", "limit".to_owned()));
        assert_eq!(refused(parse("%zz=1")), ("malformed_query", String::new()));
        assert_eq!(
            refused(parse("query=%FF").unwrap().text("query")),
            ("malformed_query", "query".to_owned())
        );
        let email = parse("email=x").unwrap().value::<Email>("email");
        assert_eq!(refused(email), ("invalid_value", "email".to_owned()));
    }

    #[test]
    fn unknown_and_empty_parameters_can_be_ignored() {
        let known = |text| Query::parse_known(Some(text), &KNOWN);
        let query = known("limit=5&order=name&email=&%zz=1&cursor").unwrap();
        assert_eq!((query.limit().unwrap(), query.raw("email")), (5, None));
        assert_eq!((query.raw("cursor"), query.raw("order")), (None, None));
        let link = query
            .page_linker("/x")
            .at_origin("https://a.example")
            .link(&AccountId(7));
        assert_eq!(link.unwrap().1, "<https://a.example/x?limit=5&cursor=Yzc>; rel=\"next\"");
        assert_eq!(refused(known("limit=5&limit=6")), ("duplicate_parameter", "limit".to_owned()));
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(parse("").unwrap().limit().unwrap(), 50);
        assert_eq!(parse("limit=250").unwrap().limit().unwrap(), 250);
        for limit in ["0", "251", "-1", "+5", "1.5", "", "x", "99999999999999999999"] {
            let text = format!("limit={limit}");
            assert_eq!(
                refused(parse(&text).unwrap().limit()),
                ("out_of_range", "limit".to_owned()),
                "{limit}"
            );
        }
    }

    #[test]
    fn a_link_leads_back_with_all_parameters() {
        let query = parse("query=a%2Cb+c&limit=2&cursor=old").unwrap();
        let (_, link) = query
            .page_linker("/v1/x")
            .link(&EntryCursor { start_row: None, seq: 12, index: 3 })
            .unwrap();
        let link = link.to_str().unwrap().to_owned();
        assert_eq!(link, "</v1/x?query=a%2Cb%20c&limit=2&cursor=ZTAtMTItMw>; rel=\"next\"");
        let text = link.split(['?', '>']).nth(1).unwrap().to_owned();
        let query = parse(&text).unwrap();
        assert_eq!(
            query.cursor().unwrap(),
            Some(EntryCursor { start_row: None, seq: 12, index: 3 })
        );
        assert_eq!(refused(query.cursor::<AccountId>()), ("invalid_cursor", "cursor".to_owned()));
        for cursor in ["", "x", "ZTEy", "*"] {
            let text = format!("cursor={cursor}");
            let refused = refused(parse(&text).unwrap().cursor::<EntryCursor>());
            assert_eq!(refused, ("invalid_cursor", "cursor".to_owned()), "{cursor}");
        }
        let (_, link) = parse("").unwrap().page_linker("/v1/x").link(&AccountId(7)).unwrap();
        assert_eq!(link, "</v1/x?cursor=Yzc>; rel=\"next\"");
    }
}
