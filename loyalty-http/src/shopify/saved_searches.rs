//! `customer_saved_searches.json`: creating, reading, executing and counting saved
//! searches.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_store::{Action, CatalogueAction, Receipt, Rejection, SavedSearch};

use super::wire::{SavedSearchEnvelope, ShopifySavedSearchResponse};
use super::{
    Envelope, FieldSelection, check_version, customers, linker, page_start, parse_since_id,
    path_number,
};
use crate::endpoint::customers::parse_search;
use crate::endpoint::{Call, HandlerPlan, error, saved_searches, to_json};
use crate::problem::Problem;
use crate::wire::query::SearchCursor;
use crate::wire::value::prefix_pointer;

/// `POST customer_saved_searches.json`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let body = call.body::<SavedSearchEnvelope>()?;
    let (name, text) = body
        .customer_saved_search
        .parse()
        .map_err(|problem| prefix_pointer("/customer_saved_search", problem))?;
    let query = parse_search(call, &text, "/customer_saved_search/query")?;

    let action = Action::Catalogue(CatalogueAction::SaveSearch { name, query });
    let body = |receipt: &Receipt| {
        let search = saved_searches::receipt_search(receipt).map(ShopifySavedSearchResponse::from);
        to_json(&Envelope("customer_saved_search", search))
    };
    let pointer = |_: &Rejection| Some("/customer_saved_search/name".to_owned());
    Ok(HandlerPlan::write(action, StatusCode::CREATED, body, pointer).conflicts_as_unprocessable())
}

/// `GET customer_saved_searches/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = find(call)?;
    Ok(HandlerPlan::Respond(FieldSelection::from_call(call)?.render_one(
        "customer_saved_search",
        &ShopifySavedSearchResponse::from(&*search),
    )))
}

fn find(call: &Call<'_>) -> Result<Arc<SavedSearch>, Problem> {
    let search = call
        .store
        .saved_search(call.shop_id(), path_number(call, search_not_found)?)
        .map_err(error::from_failure)?;
    search.ok_or_else(search_not_found)
}

fn search_not_found() -> Problem {
    error::from_rejection(&Rejection::SavedSearchNotFound, Some("id".to_owned()))
}

/// `GET customer_saved_searches/{id}/customers.json`
pub(crate) fn customers(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = find(call)?;
    customers::list_page(call, parse_search(call, &search.query, "id")?)
}

/// `GET customer_saved_searches.json`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let (shop, fields, limit, next) = (
        call.shop_id(),
        FieldSelection::from_call(call)?,
        call.query.limit()?,
        linker(call),
    );
    let after = page_start(call, parse_since_id(call)?.map(SearchCursor))?;

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .saved_searches(shop, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|search| SearchCursor(search.number));

        let searches: Vec<_> = page
            .items
            .iter()
            .map(|search| ShopifySavedSearchResponse::from(&**search))
            .collect();
        Ok(fields
            .render_many("customer_saved_searches", &searches)
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET customer_saved_searches/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    saved_searches::count(call)
}
