//! `products.json`: read and counted. Shops fill them at `/v1/products`.

use loyalty_store::{NumericId, ProductRef, Rejection};

use super::wire::ProductOut;
use super::{Fields, after, check_version, ids, linker, number, since_id};
use crate::endpoint::{Call, Work, products, refuse};
use crate::problem::Problem;
use crate::wire::query::ProductCursor;

/// `GET products/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let key = ProductRef::Number(number(call, unknown)?);
    let record = call
        .store
        .product(call.shop_id(), &key)
        .map_err(refuse::failure)?
        .ok_or_else(unknown)?;
    let product = ProductOut::new(&record, call.shop()?.currency);
    Ok(Work::Done(Fields::of(call)?.one("product", &product)))
}

fn unknown() -> Problem {
    refuse::rejection(&Rejection::ProductNotFound, Some("id".to_owned()))
}

/// `GET products.json`: by pages, or those that are asked for.
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    match ids(call)? {
        Some(ids) => some(call, ids),
        None => page(call),
    }
}

fn some(call: &Call<'_>, ids: Vec<NumericId>) -> Result<Work, Problem> {
    let (shop, fields) = (call.shop()?, Fields::of(call)?);
    Ok(Work::scan(move |store| {
        let found = ids
            .into_iter()
            .map(|id| store.product(shop.id, &ProductRef::Number(id)));
        let found = found.collect::<Result<Vec<_>, _>>().map_err(refuse::failure)?;
        let products: Vec<_> = found
            .iter()
            .flatten()
            .map(|record| ProductOut::new(record, shop.currency))
            .collect();
        Ok(fields.many("products", &products))
    }))
}

fn page(call: &Call<'_>) -> Result<Work, Problem> {
    let (shop, fields, limit, next) =
        (call.shop()?, Fields::of(call)?, call.query.limit()?, linker(call));
    let after = after(call, since_id(call)?.map(ProductCursor))?;
    Ok(Work::scan(move |store| {
        let page = store
            .products(shop.id, after.map(|after| after.0), limit)
            .map_err(refuse::failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|record| ProductCursor(record.number));
        let products: Vec<_> = page
            .items
            .iter()
            .map(|record| ProductOut::new(record, shop.currency))
            .collect();
        Ok(fields
            .many("products", &products)
            .with(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET products/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    products::count(call)
}
