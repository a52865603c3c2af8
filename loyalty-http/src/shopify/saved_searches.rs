//! `customer_saved_searches.json`: made, read, carried out and counted.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_store::{Action, CatalogueAction, Receipt, Rejection, SavedSearch};

use super::wire::{SavedSearchEnvelope, SavedSearchOut};
use super::{Envelope, Fields, after, check_version, customers, linker, number, since_id};
use crate::endpoint::customers::read_search;
use crate::endpoint::{Call, Work, refuse, saved_searches, to_json};
use crate::problem::Problem;
use crate::wire::query::SearchCursor;
use crate::wire::value::within;

/// `POST customer_saved_searches.json`
pub(crate) fn create(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let parsed = call.body::<SavedSearchEnvelope>()?.customer_saved_search.parse();
    let (name, text) = parsed.map_err(|problem| within("/customer_saved_search", problem))?;
    let query = read_search(call, &text, "/customer_saved_search/query")?;
    let action = Action::Catalogue(CatalogueAction::SaveSearch { name, query });
    let body = |receipt: &Receipt| {
        let search = saved_searches::made(receipt).map(SavedSearchOut::from);
        to_json(&Envelope("customer_saved_search", search))
    };
    let blame = |_: &Rejection| Some("/customer_saved_search/name".to_owned());
    Ok(Work::write(action, StatusCode::CREATED, body, blame).without_conflicts())
}

/// `GET customer_saved_searches/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let search = find(call)?;
    Ok(Work::Done(
        Fields::of(call)?.one("customer_saved_search", &SavedSearchOut::from(&*search)),
    ))
}

fn find(call: &Call<'_>) -> Result<Arc<SavedSearch>, Problem> {
    let search = call
        .store
        .saved_search(call.shop_id(), number(call, unknown)?)
        .map_err(refuse::failure)?;
    search.ok_or_else(unknown)
}

fn unknown() -> Problem {
    refuse::rejection(&Rejection::SavedSearchNotFound, Some("id".to_owned()))
}

/// `GET customer_saved_searches/{id}/customers.json`
pub(crate) fn customers(call: &Call<'_>) -> Result<Work, Problem> {
    let search = find(call)?;
    customers::page(call, read_search(call, &search.query, "id")?)
}

/// `GET customer_saved_searches.json`
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let (shop, fields, limit, next) =
        (call.shop_id(), Fields::of(call)?, call.query.limit()?, linker(call));
    let after = after(call, since_id(call)?.map(SearchCursor))?;
    Ok(Work::scan(move |store| {
        let page = store
            .saved_searches(shop, after.map(|after| after.0), limit)
            .map_err(refuse::failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|search| SearchCursor(search.number));
        let searches: Vec<_> = page
            .items
            .iter()
            .map(|search| SavedSearchOut::from(&**search))
            .collect();
        Ok(fields
            .many("customer_saved_searches", &searches)
            .with(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET customer_saved_searches/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    saved_searches::count(call)
}
