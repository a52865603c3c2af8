//! Categories: creating, replacing, reading and deleting them.

use hyper::StatusCode;
use loyalty_core::CategoryId;
use loyalty_store::{Action, CatalogueAction, CatalogueOutcome, Receipt, Rejection};

use super::{Call, EncodedResponse, HandlerPlan, error, products, to_json};
use crate::problem::Problem;
use crate::wire::category::{CategoriesBody, CategoriesResponse, CategoryBody, CategoryResponse};

/// `PUT /v1/categories/{category_id}`: creates or replaces the category.
pub(crate) fn put(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = call.path("category_id")?;
    let category = call.body::<CategoryBody>()?.parse(Some(id))?;
    let action = Action::Catalogue(CatalogueAction::PutCategories(vec![category]));
    let body = |receipt: &Receipt| {
        let categories = match &receipt.catalogue_outcome {
            Some(CatalogueOutcome::Categories(categories, _)) => categories.as_slice(),
            _ => &[],
        };
        to_json(&categories.first().map(|record| CategoryResponse::from(&**record)))
    };
    Ok(HandlerPlan::write(action, StatusCode::OK, body, |_| None))
}

/// `POST /v1/categories/bulk`: creates or replaces all, or none.
pub(crate) fn put_many(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let categories = call.body::<CategoriesBody<'_>>()?.parse()?;
    let action = Action::Catalogue(CatalogueAction::PutCategories(categories));
    Ok(HandlerPlan::write(action, StatusCode::OK, products::render_tally, |_| None))
}

/// `DELETE /v1/categories/{category_id}`: products keep referring to it.
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    Ok(HandlerPlan::delete(
        Action::Catalogue(CatalogueAction::DeleteCategory(call.path("category_id")?)),
        |_| Some("category_id".to_owned()),
    ))
}

/// `GET /v1/categories/{category_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: CategoryId = call.path("category_id")?;
    let record = call
        .store
        .category(call.shop_id(), &id)
        .map_err(error::from_failure)?;
    let unknown =
        || error::from_rejection(&Rejection::CategoryNotFound, Some("category_id".to_owned()));
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&CategoryResponse::from(
        &*record.ok_or_else(unknown)?,
    ))))
}

/// `GET /v1/categories`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    let (limit, after) = (call.query.limit()?, call.query.cursor::<CategoryId>()?);
    let next = call.query.page_linker(call.head.uri.path());

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .categories(shop, after.as_ref(), limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|record| &record.category.id);
        let link = last.and_then(|last| next.link(last));

        let categories = page
            .items
            .iter()
            .map(|record| CategoryResponse::from(&**record))
            .collect();
        Ok(EncodedResponse::ok(&CategoriesResponse { categories }).with_header(link))
    }))
}

/// `GET /v1/categories/count`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| store.count_categories(shop)))
}
