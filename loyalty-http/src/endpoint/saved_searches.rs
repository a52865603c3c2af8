//! Saved searches for customers: made, read, carried out, forgotten.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_store::{Action, CatalogueAction, CatalogueOutcome, NumericId, Receipt, Rejection, SavedSearch};

use super::{Answer, Call, Work, customers, refuse, to_json};
use crate::problem::Problem;
use crate::wire::query::SearchCursor;
use crate::wire::saved_search::{SavedSearchAnswer, SavedSearchBody, SavedSearchesAnswer};
use crate::wire::value::number;

/// `POST /v1/customer-saved-searches`
pub(crate) fn create(call: &Call<'_>) -> Result<Work, Problem> {
    let (name, text) = call.body::<SavedSearchBody>()?.parse()?;
    let query = customers::read_search(call, &text, "/query")?;
    let action = Action::Catalogue(CatalogueAction::SaveSearch { name, query });
    let body = |receipt: &Receipt| to_json(&made(receipt).map(SavedSearchAnswer::from));
    Ok(Work::write(action, StatusCode::CREATED, body, |_| Some("/name".to_owned())))
}

/// The search that a receipt is about.
pub(crate) fn made(receipt: &Receipt) -> Option<&SavedSearch> {
    match &receipt.catalogue_outcome {
        Some(CatalogueOutcome::Search(search)) => Some(search),
        _ => None,
    }
}

/// `DELETE /v1/customer-saved-searches/{saved_search_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<Work, Problem> {
    Ok(Work::delete(
        Action::Catalogue(CatalogueAction::DeleteSearch(id(call)?)),
        |_| Some("saved_search_id".to_owned()),
    ))
}

/// `GET /v1/customer-saved-searches/{saved_search_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    Ok(Work::Done(Answer::ok(&SavedSearchAnswer::from(&*find(call)?))))
}

fn id(call: &Call<'_>) -> Result<NumericId, Problem> {
    let text = call.params.get("saved_search_id").unwrap_or_default();
    number(text).and_then(NumericId::new).ok_or_else(unknown)
}

fn find(call: &Call<'_>) -> Result<Arc<SavedSearch>, Problem> {
    let search = call
        .store
        .saved_search(call.shop_id(), id(call)?)
        .map_err(refuse::failure)?;
    search.ok_or_else(unknown)
}

/// What is no number is nobody's id either.
fn unknown() -> Problem {
    refuse::rejection(&Rejection::SavedSearchNotFound, Some("saved_search_id".to_owned()))
}

/// `GET /v1/customer-saved-searches/{saved_search_id}/customers`
pub(crate) fn customers(call: &Call<'_>) -> Result<Work, Problem> {
    let search = find(call)?;
    customers::page(call, customers::read_search(call, &search.query, "saved_search_id")?)
}

/// `GET /v1/customer-saved-searches`
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    let shop = call.shop_id();
    let (limit, after) = (call.query.limit()?, call.query.cursor::<SearchCursor>()?);
    let next = call.query.linker(call.head.uri.path());
    Ok(Work::scan(move |store| {
        let page = store
            .saved_searches(shop, after.map(|after| after.0), limit)
            .map_err(refuse::failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|search| SearchCursor(search.number));
        let customer_saved_searches = page
            .items
            .iter()
            .map(|search| SavedSearchAnswer::from(&**search))
            .collect();
        let answer = Answer::ok(&SavedSearchesAnswer { customer_saved_searches });
        Ok(answer.with(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET /v1/customer-saved-searches/count`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    let shop = call.shop_id();
    Ok(Work::count(move |store| store.count_saved_searches(shop)))
}
