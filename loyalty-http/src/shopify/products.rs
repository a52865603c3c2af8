//! `products.json`: reading and counting products. Shops write them at `/v1/products`.

use std::borrow::Cow;
use std::sync::Arc;

use loyalty_store::{NumericId, ProductRecord, ProductRef, Rejection};

use super::listing::{Listing, TimeWindow};
use super::wire::ShopifyProductResponse;
use super::{FieldSelection, check_version, parse_ids, parse_since_id, path_number};
use crate::endpoint::{Call, HandlerPlan, error, products};
use crate::problem::Problem;
use crate::wire::query::ProductCursor;

/// The products that are read at once to be counted.
const COUNT_BATCH: usize = 250;

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
    let (shop, fields, filter) =
        (call.shop()?, FieldSelection::from_call(call)?, ProductFilter::from_call(call)?);
    let listing = Listing::from_call(call, parse_since_id(call)?.map(ProductCursor))?;

    Ok(HandlerPlan::read(move |store| {
        let page = listing.read(
            |after, limit| store.products(shop.id, after.map(|after| after.0), limit),
            |record: &Arc<ProductRecord>| filter.matches(record),
        )?;
        let products: Vec<_> = page
            .rows
            .iter()
            .map(|record| ShopifyProductResponse::new(record, shop.currency))
            .collect();
        Ok(fields.render_many("products", &products).with_header(page.link))
    }))
}

/// `GET products/count.json`: products that match are counted by reading all of them.
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let (shop, filter) = (call.shop_id(), ProductFilter::from_call(call)?);
    if filter == ProductFilter::default() {
        return products::count(call);
    }

    Ok(HandlerPlan::count(move |store| {
        let (mut count, mut after) = (0_u64, None);
        loop {
            let page = store.products(shop, after, COUNT_BATCH)?;
            let matching = page.items.iter().filter(|record| filter.matches(record)).count();
            count = count.saturating_add(u64::try_from(matching).unwrap_or_default());
            after = page.items.last().map(|record| record.number);
            if !page.has_more {
                return Ok(count);
            }
        }
    }))
}

/// The filters of a list of products. Case does not matter in texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ProductFilter {
    title: Option<String>,
    vendor: Option<String>,
    product_type: Option<String>,
    collection: Option<String>,
    /// The names of the accepted statuses; all if empty.
    statuses: Vec<String>,
    created: TimeWindow,
    updated: TimeWindow,
}

impl ProductFilter {
    fn from_call(call: &Call<'_>) -> Result<Self, Problem> {
        let text = |name| Ok::<_, Problem>(call.query.text(name)?.map(|text| text.to_lowercase()));
        let statuses = text("status")?.unwrap_or_default();
        Ok(Self {
            title: text("title")?,
            vendor: text("vendor")?,
            product_type: text("product_type")?,
            collection: call.query.text("collection_id")?.map(Cow::into_owned),
            statuses: statuses
                .split(',')
                .map(|status| status.trim().to_owned())
                .filter(|status| !status.is_empty() && status != "any")
                .collect(),
            created: TimeWindow::from_call(call, "created_at")?,
            updated: TimeWindow::from_call(call, "updated_at")?,
        })
    }

    fn matches(&self, record: &ProductRecord) -> bool {
        let product = &record.product;
        let equals = |wanted: &Option<String>, value: Option<&str>| match wanted {
            Some(wanted) => value.is_some_and(|value| value.to_lowercase() == *wanted),
            None => true,
        };
        let has_collection = |wanted: &String| {
            product.categories.iter().any(|category| category.as_str() == *wanted)
        };

        equals(&self.title, Some(&product.title))
            && equals(&self.vendor, product.vendor.as_deref())
            && equals(&self.product_type, product.product_type.as_deref())
            && self.collection.as_ref().is_none_or(has_collection)
            && (self.statuses.is_empty()
                || self.statuses.iter().any(|status| status == product.status.name()))
            && self.created.contains(record.created_at)
            && self.updated.contains(record.updated_at)
    }
}
