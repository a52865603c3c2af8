//! The store endpoints as Shopify's REST clients know them: `/admin/api/{version}/….json`, the key in
//! `X-Shopify-Access-Token`.
//!
//! The same handlers' work in another dress. A body is an object of one member (`{"customer": …}`): the Python
//! client takes a list or a count only where nothing stands beside it. What the server emits it takes back:
//! both clients' PUT sends the last answer, so members that can't be changed are read over there, and all that
//! was never emitted is refused by name. Refusals carry `errors` as `{field: [texts]}` beside the members of
//! problem+json, and what clashes is 422. Pages are linked by `page_info`.
//!
//! Ids are JSON numbers. Why an id of the shop's that is a number stays that number, and what the others get,
//! is told at [`NumericId`]; `own_id` is the shop's id as it is. A customer is found by the account's number as
//! well: a guest who turns out to be the customer 42 is 42 from then on, and still there by the old number.
//! Variants of two products have the same number only where the shop gave them the same id, by which price rules
//! name them.
//!
//! Orders, points and the program are at `/v1` alone.

pub(crate) mod customers;
pub(crate) mod discount_codes;
mod id_mapping;
pub(crate) mod price_rules;
pub(crate) mod products;
pub(crate) mod saved_searches;
pub(crate) mod schema;
mod wire;

use loyalty_core::{AccountId, CustomerId, ShopId};
use loyalty_store::{CustomerRef, CustomerView, Failure, NumericId, Store};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::endpoint::{Call, EncodedResponse};
use crate::problem::Problem;
use crate::wire::query::{Cursor, PageLinker};
use crate::wire::value;

/// The cursor's name here.
pub(crate) const PAGE_INFO: &str = "page_info";

/// How many ids a list can be asked for.
const MAX_IDS: usize = 250;

/// An object of one member.
pub(crate) struct Envelope<T>(pub(crate) &'static str, pub(crate) T);

impl<T: Serialize> Serialize for Envelope<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, &self.1)?;
        map.end()
    }
}

/// The members that a client wants to see; none where it wants all.
pub(crate) struct FieldSelection(Option<Vec<String>>);

impl FieldSelection {
    /// `fields=id,title`
    pub(crate) fn from_call(call: &Call<'_>) -> Result<Self, Problem> {
        let text = call.query.text("fields")?;
        Ok(Self(
            text.map(|text| text.split(',').map(|name| name.trim().to_owned()).collect()),
        ))
    }

    /// 200 with one thing.
    pub(crate) fn render_one(&self, name: &'static str, thing: &impl Serialize) -> EncodedResponse {
        match &self.0 {
            None => EncodedResponse::ok(&Envelope(name, thing)),
            Some(fields) => EncodedResponse::ok(&Envelope(name, select_fields(thing, fields))),
        }
    }

    /// 200 with many things.
    pub(crate) fn render_many<T: Serialize>(
        &self,
        name: &'static str,
        things: &[T],
    ) -> EncodedResponse {
        match &self.0 {
            None => EncodedResponse::ok(&Envelope(name, things)),
            Some(fields) => {
                let things: Vec<Value> =
                    things.iter().map(|thing| select_fields(thing, fields)).collect();
                EncodedResponse::ok(&Envelope(name, things))
            }
        }
    }
}

fn select_fields(thing: &impl Serialize, fields: &[String]) -> Value {
    let mut value = serde_json::to_value(thing).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.retain(|name, _| fields.iter().any(|field| field == name));
    }
    value
}

/// The versions of Shopify's API are months, and `unstable`. All are answered alike.
pub(crate) fn check_version(call: &Call<'_>) -> Result<(), Problem> {
    let version = call.params.get("version").unwrap_or_default();
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let month = version
        .split_once('-')
        .is_some_and(|(year, month)| digits(year, 4) && digits(month, 2));
    if month || version == "unstable" {
        return Ok(());
    }
    Err(
        Problem::not_found("There is no such version of this interface; write it as 2025-01.")
            .with_param("version"),
    )
}

/// The number in the path. What is no number is nobody's.
pub(crate) fn path_number(call: &Call<'_>, unknown: fn() -> Problem) -> Result<NumericId, Problem> {
    check_version(call)?;
    call.params
        .get("id")
        .and_then(value::parse_number)
        .and_then(NumericId::new)
        .ok_or_else(unknown)
}

/// `ids=1,2,3`; no more of them than `limit` says. What else would begin a page must make sense, too.
pub(crate) fn parse_ids(call: &Call<'_>) -> Result<Option<Vec<NumericId>>, Problem> {
    let Some(text) = call.query.text("ids")? else { return Ok(None) };
    parse_since_id(call)?;
    let limit = match call.query.raw("limit") {
        Some(_) => call.query.limit()?,
        None => MAX_IDS,
    };
    let ids: Option<Vec<NumericId>> = text
        .split(',')
        .map(|id| value::parse_number(id.trim()).and_then(NumericId::new))
        .collect();
    let ids = ids.filter(|ids| ids.len() <= MAX_IDS).ok_or_else(|| {
        let detail = format!("This must be at most {MAX_IDS} numbers, parted by commas.");
        Problem::unprocessable("invalid_value", detail).with_param("ids")
    })?;
    Ok(Some(ids.into_iter().take(limit).collect()))
}

/// `parse_since_id=7`: what comes behind it. 0 is the beginning.
pub(crate) fn parse_since_id(call: &Call<'_>) -> Result<Option<NumericId>, Problem> {
    match call.query.raw("since_id") {
        None | Some("0") => Ok(None),
        Some(_) => call.query.value("since_id"),
    }
}

/// Where the page begins: a page's own mark says more than `parse_since_id`, which stands beside it in a link.
pub(crate) fn page_start<C: Cursor>(
    call: &Call<'_>,
    since: Option<C>,
) -> Result<Option<C>, Problem> {
    Ok(call.query.cursor_named(PAGE_INFO)?.or(since))
}

pub(crate) fn linker(call: &Call<'_>) -> PageLinker {
    call.query.page_linker_named(call.head.uri.path(), PAGE_INFO)
}

/// The customer of a number.
pub(crate) fn find_customer(
    store: &dyn Store,
    shop: ShopId,
    number: NumericId,
) -> Result<Option<CustomerView>, Failure> {
    match number.assigned_index() {
        Some(account) => store.customer_by_account(shop, AccountId(account)),
        None => match CustomerId::new(number.to_string()) {
            Ok(id) => store.customer(shop, &CustomerRef::Id(id)),
            Err(_) => Ok(None),
        },
    }
}
