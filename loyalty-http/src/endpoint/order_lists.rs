//! Lists of orders: those of the shop, and those of a customer.

use std::sync::Arc;

use loyalty_core::ShopId;
use loyalty_store::{CustomerView, OrderList, OrderPlace, OrderRecord, OrderStatus, Page, Store};

use super::{Call, EncodedResponse, HandlerPlan, customers, error};
use crate::problem::Problem;
use crate::wire::json::field::TimeField;
use crate::wire::order::ReportedStatus;
use crate::wire::order_list::{OrderItem, OrdersResponse, SortText};
use crate::wire::page::PageItems;
use crate::wire::query::PageLinker;

/// `GET /v1/orders`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, list, limit) = (call.shop_id(), parse_list(call)?, call.query.limit()?);
    let status = call.query.value::<ReportedStatus>("status")?.map(OrderStatus::from);
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| {
        let page = store.orders(shop, status, &list, limit);
        encode(store, shop, page.map_err(error::from_failure)?, &next)
    }))
}

/// `GET /v1/customers/{customer_id}/orders`: those of guests who were merged into the customer
/// included.
pub(crate) fn list_of_customer(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = customers::find(call, call.path("customer_id")?)?;
    let (shop, account) = (call.shop_id(), customer.record().account);
    let (list, limit) = (parse_list(call)?, call.query.limit()?);
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| {
        let page = store.customer_orders(shop, account, &list, limit);
        encode(store, shop, page.map_err(error::from_failure)?, &next)
    }))
}

fn parse_list(call: &Call<'_>) -> Result<OrderList, Problem> {
    let sort = call.query.value::<SortText>("sort")?;
    let updated_since = call.query.value::<TimeField>("updated_since")?;
    Ok(OrderList {
        updated_since: updated_since.map(|time| time.0),
        direction: sort.map(|sort| sort.0).unwrap_or_default(),
        after: call.query.cursor()?,
    })
}

fn encode(
    store: &dyn Store,
    shop: ShopId,
    page: Page<Arc<OrderRecord>>,
    next: &PageLinker,
) -> Result<EncodedResponse, Problem> {
    let mut found = Vec::with_capacity(page.items.len());
    for order in page.items {
        let place = OrderPlace::of(&order);
        let place = place.ok_or_else(|| Problem::internal("an order has no id"))?;
        let customer = match order.account {
            Some(account) => store.customer_by_account(shop, account),
            None => Ok(None),
        };
        let customer = customer.map_err(error::from_failure)?;
        found.push((place, order, customer));
    }

    let items = found.iter().map(|(place, order, customer)| {
        let record = customer.as_ref().map(CustomerView::record);
        (OrderItem::new(place, order, record), place.clone())
    });
    let (orders, last) = PageItems::encode(items, page.has_more);
    let link = last.and_then(|last| next.link(&last));
    Ok(EncodedResponse::ok(&OrdersResponse { orders }).with_header(link))
}
