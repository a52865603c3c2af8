//! The store endpoints for Shopify's REST clients: `/admin/api/{version}/….json`, with
//! the key in `X-Shopify-Access-Token`. Orders, points and the program exist at `/v1`
//! only.
//!
//! The handlers do the same work as those of `/v1` in Shopify's format:
//!
//! - A body is an object of one member (`{"customer": …}`), since the Python client
//!   accepts a list or a count only without other members.
//! - A request accepts every member that responses contain, because both clients' PUT
//!   sends the last response. Members that can't be changed are ignored; unknown members
//!   are errors.
//! - Query parameters that we do not know are ignored, and so are empty ones. Links are
//!   absolute, since the Node client reads no others.
//! - Errors have `errors` as `{field: [texts]}` beside the members of problem+json, and a
//!   conflict is 422. Pages are linked by `page_info`.
//!
//! Ids are JSON numbers; see [`NumericId`] for the numbers of ids that are texts.
//! `own_id` is the shop's own id.
//!
//! A customer is also found by the account's number. A guest who becomes customer 42 gets
//! the id 42, and the old number still finds them. Variants of two products have the same
//! number only if the shop gave them the same id, since price rules refer to variants by
//! that id.

pub(crate) mod customers;
pub(crate) mod discount_codes;
mod id_mapping;
mod listing;
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

/// The query parameter of the cursor.
pub(crate) const PAGE_INFO: &str = "page_info";

/// The maximum number of ids in a query.
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

/// The members that a client requests; `None` for all.
pub(crate) struct FieldSelection(Option<Vec<String>>);

impl FieldSelection {
    /// The selection in `fields=id,title`.
    pub(crate) fn from_call(call: &Call<'_>) -> Result<Self, Problem> {
        let text = call.query.text("fields")?;
        Ok(Self(
            text.map(|text| text.split(',').map(|name| name.trim().to_owned()).collect()),
        ))
    }

    /// 200 with one resource.
    pub(crate) fn render_one(
        &self,
        name: &'static str,
        resource: &impl Serialize,
    ) -> EncodedResponse {
        match &self.0 {
            None => EncodedResponse::ok(&Envelope(name, resource)),
            Some(fields) => EncodedResponse::ok(&Envelope(name, select_fields(resource, fields))),
        }
    }

    /// 200 with a list of resources.
    pub(crate) fn render_many<T: Serialize>(
        &self,
        name: &'static str,
        resources: &[T],
    ) -> EncodedResponse {
        match &self.0 {
            None => EncodedResponse::ok(&Envelope(name, resources)),
            Some(fields) => {
                let resources: Vec<Value> = resources
                    .iter()
                    .map(|resource| select_fields(resource, fields))
                    .collect();
                EncodedResponse::ok(&Envelope(name, resources))
            }
        }
    }
}

fn select_fields(resource: &impl Serialize, fields: &[String]) -> Value {
    let mut value = serde_json::to_value(resource).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.retain(|name, _| fields.iter().any(|field| field == name));
    }
    value
}

/// Accepts the versions of Shopify's API, which are months and `unstable`; else 404. All
/// versions have the same behaviour.
pub(crate) fn check_version(call: &Call<'_>) -> Result<(), Problem> {
    let version = call.params.get("version").unwrap_or_default();
    let has_digits =
        |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_month = version
        .split_once('-')
        .is_some_and(|(year, month)| has_digits(year, 4) && has_digits(month, 2));

    if is_month || version == "unstable" {
        return Ok(());
    }
    Err(Problem::not_found("Unknown API version; a version looks like 2025-01.")
        .with_param("version"))
}

/// The number in the path; the `unknown` problem if it is not a number.
pub(crate) fn path_number(call: &Call<'_>, unknown: fn() -> Problem) -> Result<NumericId, Problem> {
    check_version(call)?;
    call.params
        .get("id")
        .and_then(value::parse_number)
        .and_then(NumericId::new)
        .ok_or_else(unknown)
}

/// The ids in `ids=1,2,3`, at most `limit` of them.
pub(crate) fn parse_ids(call: &Call<'_>) -> Result<Option<Vec<NumericId>>, Problem> {
    let Some(text) = call.query.text("ids")? else { return Ok(None) };

    // Not used together with ids, but an invalid one is still an error.
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
        let detail = format!("The value must be at most {MAX_IDS} numbers, separated by commas.");
        Problem::unprocessable("invalid_value", detail).with_param("ids")
    })?;
    Ok(Some(ids.into_iter().take(limit).collect()))
}

/// The id in `since_id=7`, after which the list begins. 0 is the beginning.
pub(crate) fn parse_since_id(call: &Call<'_>) -> Result<Option<NumericId>, Problem> {
    match call.query.raw("since_id") {
        None | Some("0") => Ok(None),
        Some(_) => call.query.value("since_id"),
    }
}

/// The start of the page: the cursor, else `since_id`. The link to a next page has both.
pub(crate) fn page_start<C: Cursor>(
    call: &Call<'_>,
    since: Option<C>,
) -> Result<Option<C>, Problem> {
    Ok(call.query.cursor_named(PAGE_INFO)?.or(since))
}

pub(crate) fn linker(call: &Call<'_>) -> PageLinker {
    let linker = call.query.page_linker_named(call.head.uri.path(), PAGE_INFO);
    match call.origin() {
        Some(origin) => linker.at_origin(&origin),
        None => linker,
    }
}

/// The customer with a number: an account's number that we assigned, or the shop's own
/// id.
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
