//! Saved searches for customers: creating, reading, executing and deleting them.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_store::{
    Action, CatalogueAction, CatalogueOutcome, NumericId, Receipt, Rejection, SavedSearch,
};

use super::{Call, EncodedResponse, HandlerPlan, customers, error, to_json};
use crate::problem::Problem;
use crate::wire::query::SearchCursor;
use crate::wire::saved_search::{SavedSearchBody, SavedSearchResponse, SavedSearchesResponse};
use crate::wire::value::parse_number;

/// `POST /v1/customer-saved-searches`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (name, text) = call.body::<SavedSearchBody>()?.parse()?;
    let query = customers::parse_search(call, &text, "/query")?;
    let action = Action::Catalogue(CatalogueAction::SaveSearch { name, query });
    let body = |receipt: &Receipt| to_json(&receipt_search(receipt).map(SavedSearchResponse::from));
    Ok(HandlerPlan::write(action, StatusCode::CREATED, body, |_| {
        Some("/name".to_owned())
    }))
}

/// The search in a receipt.
pub(crate) fn receipt_search(receipt: &Receipt) -> Option<&SavedSearch> {
    match &receipt.catalogue_outcome {
        Some(CatalogueOutcome::Search(search)) => Some(search),
        _ => None,
    }
}

/// `DELETE /v1/customer-saved-searches/{saved_search_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    Ok(HandlerPlan::delete(
        Action::Catalogue(CatalogueAction::DeleteSearch(path_id(call)?)),
        |_| Some("saved_search_id".to_owned()),
    ))
}

/// `GET /v1/customer-saved-searches/{saved_search_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&SavedSearchResponse::from(&*find(
        call,
    )?))))
}

fn path_id(call: &Call<'_>) -> Result<NumericId, Problem> {
    let text = call.params.get("saved_search_id").unwrap_or_default();
    parse_number(text)
        .and_then(NumericId::new)
        .ok_or_else(search_not_found)
}

fn find(call: &Call<'_>) -> Result<Arc<SavedSearch>, Problem> {
    let search = call
        .store
        .saved_search(call.shop_id(), path_id(call)?)
        .map_err(error::from_failure)?;
    search.ok_or_else(search_not_found)
}

/// 404, also for an id that is not a number.
fn search_not_found() -> Problem {
    error::from_rejection(&Rejection::SavedSearchNotFound, Some("saved_search_id".to_owned()))
}

/// `GET /v1/customer-saved-searches/{saved_search_id}/customers`
pub(crate) fn customers(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = find(call)?;
    customers::list_page(call, customers::parse_search(call, &search.query, "saved_search_id")?)
}

/// `GET /v1/customer-saved-searches`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    let (limit, after) = (call.query.limit()?, call.query.cursor::<SearchCursor>()?);
    let next = call.query.page_linker(call.head.uri.path());

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .saved_searches(shop, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|search| SearchCursor(search.number));
        let customer_saved_searches = page
            .items
            .iter()
            .map(|search| SavedSearchResponse::from(&**search))
            .collect();
        let response = EncodedResponse::ok(&SavedSearchesResponse { customer_saved_searches });
        Ok(response.with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET /v1/customer-saved-searches/count`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| store.count_saved_searches(shop)))
}
