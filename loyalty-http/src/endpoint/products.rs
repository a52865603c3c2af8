//! Products: creating, replacing, reading and deleting them.

use hyper::StatusCode;
use loyalty_core::ProductId;
use loyalty_store::{Action, CatalogueAction, CatalogueOutcome, ProductRef, Receipt, Rejection};

use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::wire::page::PageItems;
use crate::wire::product::{ProductBody, ProductResponse, ProductsBody, ProductsResponse};
use crate::wire::query::ProductCursor;

/// `PUT /v1/products/{product_id}`: creates or replaces the product.
pub(crate) fn put(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (id, shop) = (call.path("product_id")?, call.shop()?);
    let product = call.body::<ProductBody>()?.parse(Some(id), &shop)?;
    let action = Action::Catalogue(CatalogueAction::PutProducts(vec![product]));

    let body = move |receipt: &Receipt| {
        let products = match &receipt.catalogue_outcome {
            Some(CatalogueOutcome::Products(products, _)) => products.as_slice(),
            _ => &[],
        };
        to_json(
            &products
                .first()
                .map(|record| ProductResponse::new(record, shop.currency)),
        )
    };
    Ok(HandlerPlan::write(action, StatusCode::OK, body, |_| None))
}

/// `POST /v1/products/bulk`: creates or replaces all, or none.
pub(crate) fn put_many(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let products = call.body::<ProductsBody<'_>>()?.parse(&*call.shop()?)?;
    let action = Action::Catalogue(CatalogueAction::PutProducts(products));
    Ok(HandlerPlan::write(action, StatusCode::OK, render_tally, |_| None))
}

/// The numbers of new, changed and unchanged records.
pub(crate) fn render_tally(receipt: &Receipt) -> Vec<u8> {
    match &receipt.catalogue_outcome {
        Some(CatalogueOutcome::Products(_, tally) | CatalogueOutcome::Categories(_, tally)) => {
            to_json(tally)
        }
        Some(CatalogueOutcome::Search(_) | CatalogueOutcome::Deleted) | None => Vec::new(),
    }
}

/// `DELETE /v1/products/{product_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    Ok(HandlerPlan::delete(
        Action::Catalogue(CatalogueAction::DeleteProduct(call.path("product_id")?)),
        |_| Some("product_id".to_owned()),
    ))
}

/// `GET /v1/products/{product_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let key = ProductRef::Id(call.path::<ProductId>("product_id")?);
    let record = call
        .store
        .product(call.shop_id(), &key)
        .map_err(error::from_failure)?;
    let record = record.ok_or_else(|| {
        error::from_rejection(&Rejection::ProductNotFound, Some("product_id".to_owned()))
    })?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&ProductResponse::new(
        &record,
        call.shop()?.currency,
    ))))
}

/// `GET /v1/products`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop()?;
    let (limit, after) = (call.query.limit()?, call.query.cursor::<ProductCursor>()?);
    let next = call.query.page_linker(call.head.uri.path());

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .products(shop.id, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let products = page.items.iter().map(|record| {
            (ProductResponse::new(record, shop.currency), ProductCursor(record.number))
        });
        let (products, last) = PageItems::encode(products, page.has_more);
        Ok(EncodedResponse::ok(&ProductsResponse { products })
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET /v1/products/count`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| store.count_products(shop)))
}
