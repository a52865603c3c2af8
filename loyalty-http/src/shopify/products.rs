//! `products.json`: reading and counting products. Shops write them at `/v1/products`.

use loyalty_store::{NumericId, ProductRef, Rejection};

use super::wire::ShopifyProductResponse;
use super::{
    FieldSelection, check_version, linker, page_start, parse_ids, parse_since_id, path_number,
};
use crate::endpoint::{Call, HandlerPlan, error, products};
use crate::problem::Problem;
use crate::wire::query::ProductCursor;

/// `GET products/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let key = ProductRef::Number(path_number(call, product_not_found)?);
    let record = call
        .store
        .product(call.shop_id(), &key)
        .map_err(error::from_failure)?
        .ok_or_else(product_not_found)?;
    let product = ShopifyProductResponse::new(&record, call.shop()?.currency);
    Ok(HandlerPlan::Respond(
        FieldSelection::from_call(call)?.render_one("product", &product),
    ))
}

fn product_not_found() -> Problem {
    error::from_rejection(&Rejection::ProductNotFound, Some("id".to_owned()))
}

/// `GET products.json`: a page, or the products in `ids`.
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    match parse_ids(call)? {
        Some(ids) => list_by_ids(call, ids),
        None => list_page(call),
    }
}

fn list_by_ids(call: &Call<'_>, ids: Vec<NumericId>) -> Result<HandlerPlan, Problem> {
    let (shop, fields) = (call.shop()?, FieldSelection::from_call(call)?);
    Ok(HandlerPlan::read(move |store| {
        let records = ids
            .into_iter()
            .map(|id| store.product(shop.id, &ProductRef::Number(id)));
        let records = records.collect::<Result<Vec<_>, _>>().map_err(error::from_failure)?;

        // Unknown ids are left out.
        let products: Vec<_> = records
            .iter()
            .flatten()
            .map(|record| ShopifyProductResponse::new(record, shop.currency))
            .collect();
        Ok(fields.render_many("products", &products))
    }))
}

fn list_page(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, fields, limit, next) = (
        call.shop()?,
        FieldSelection::from_call(call)?,
        call.query.limit()?,
        linker(call),
    );
    let after = page_start(call, parse_since_id(call)?.map(ProductCursor))?;

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .products(shop.id, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|record| ProductCursor(record.number));

        let products: Vec<_> = page
            .items
            .iter()
            .map(|record| ShopifyProductResponse::new(record, shop.currency))
            .collect();
        Ok(fields
            .render_many("products", &products)
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET products/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    products::count(call)
}
