//! `customers.json`: creating, reading, updating, searching and counting customers.

use hyper::StatusCode;
use loyalty_core::{AccountId, Command, Currency, Timestamp};
use loyalty_store::{
    Action, CustomerView, EmailConflict, Existence, NumericId, Receipt, Rejection, SearchQuery,
};

use super::wire::{CustomerEnvelope, ShopifyCustomerResponse};
use super::{
    Envelope, FieldSelection, check_version, linker, page_start, parse_ids, parse_since_id,
    path_number,
};
use crate::endpoint::customers::parse_search;
use crate::endpoint::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::wire::value::prefix_pointer;

/// `POST customers.json`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let body = call.body::<CustomerEnvelope>()?;
    let email_proof = body.customer.email_proof();
    let (customer, change) = body
        .customer
        .into_new()
        .map_err(|problem| prefix_pointer("/customer", problem))?;
    let pointer = if customer.id().is_some() { "/customer/own_id" } else { "/customer/email" };

    let action = Action::Customer {
        customer,
        existence: Existence::Absent,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof,
        if_match: None,
        commands: vec![Command::SignUp],
    };
    write_customer(call, action, StatusCode::CREATED, pointer)
}

/// `PUT customers/{id}.json`: changes the members that are sent. The last response, sent
/// back, changes nothing.
pub(crate) fn update(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let body = call.body::<CustomerEnvelope>()?;
    let email_proof = body.customer.email_proof();
    let (customer, change) = body
        .customer
        .into_change(&find(call)?)
        .map_err(|problem| prefix_pointer("/customer", problem))?;

    let action = Action::Customer {
        customer,
        existence: Existence::Required,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof,
        if_match: None,
        commands: Vec::new(),
    };
    write_customer(call, action, StatusCode::OK, "/customer/email")
}

fn write_customer(
    call: &Call<'_>,
    action: Action,
    status: StatusCode,
    customer_pointer: &'static str,
) -> Result<HandlerPlan, Problem> {
    let currency = call.shop()?.currency;
    let body = move |receipt: &Receipt| {
        let customer = receipt.customer.as_ref();
        to_json(&Envelope(
            "customer",
            customer.map(|view| ShopifyCustomerResponse::new(view, currency, receipt.at)),
        ))
    };

    let pointer = move |rejection: &Rejection| match rejection.code() {
        "customer_exists" => Some(customer_pointer.to_owned()),
        "customer_not_found" => Some("id".to_owned()),
        "email_taken" => Some("/customer/email".to_owned()),
        _ => None,
    };
    Ok(HandlerPlan::write(action, status, body, pointer).conflicts_as_unprocessable())
}

/// The customer in the path, or 404.
fn find(call: &Call<'_>) -> Result<CustomerView, Problem> {
    let found =
        super::find_customer(call.store, call.shop_id(), path_number(call, customer_not_found)?)
            .map_err(error::from_failure)?;
    found.ok_or_else(customer_not_found)
}

fn customer_not_found() -> Problem {
    error::from_rejection(&Rejection::CustomerNotFound, Some("id".to_owned()))
}

/// `GET customers/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = find(call)?;
    let customer = ShopifyCustomerResponse::new(&customer, call.shop()?.currency, call.now);
    Ok(HandlerPlan::Respond(
        FieldSelection::from_call(call)?.render_one("customer", &customer),
    ))
}

/// `GET customers.json`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    match parse_ids(call)? {
        Some(ids) => list_by_ids(call, ids),
        None => list_page(call, SearchQuery::default()),
    }
}

fn list_by_ids(call: &Call<'_>, ids: Vec<NumericId>) -> Result<HandlerPlan, Problem> {
    let (shop, now, fields) = (call.shop()?, call.now, FieldSelection::from_call(call)?);
    Ok(HandlerPlan::read(move |store| {
        let views = ids.into_iter().map(|id| super::find_customer(store, shop.id, id));
        let views = views.collect::<Result<Vec<_>, _>>().map_err(error::from_failure)?;

        // Unknown ids are left out.
        let customers: Vec<_> = views
            .iter()
            .flatten()
            .map(|customer| ShopifyCustomerResponse::new(customer, shop.currency, now))
            .collect();
        Ok(fields.render_many("customers", &customers))
    }))
}

/// `GET customers/search.json`: all customers if the query is empty.
pub(crate) fn search(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let text = call.query.text("query")?.unwrap_or_default();
    list_page(call, parse_search(call, &text, "query")?)
}

/// A page of the customers that match, with the link to the next page.
pub(super) fn list_page(call: &Call<'_>, search: SearchQuery) -> Result<HandlerPlan, Problem> {
    let (shop, now, fields) = (call.shop()?, call.now, FieldSelection::from_call(call)?);
    let (limit, next) = (call.query.limit()?, linker(call));
    let after = page_start::<AccountId>(call, account_since(call)?)?;

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .customers(shop.id, &search, after, limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|customer| customer.record().account);
        let link = last.and_then(|last| next.link(&last));
        Ok(render_page(&page.items, shop.currency, now, &fields).with_header(link))
    }))
}

fn render_page(
    customers: &[CustomerView],
    currency: Currency,
    now: Timestamp,
    fields: &FieldSelection,
) -> EncodedResponse {
    let customers: Vec<_> = customers
        .iter()
        .map(|customer| ShopifyCustomerResponse::new(customer, currency, now))
        .collect();
    fields.render_many("customers", &customers)
}

/// The account of `since_id`. Customers are listed in order of creation, which is the
/// order of their accounts. So a number that is the shop's own id must belong to a
/// customer, else 422.
fn account_since(call: &Call<'_>) -> Result<Option<AccountId>, Problem> {
    let Some(number) = parse_since_id(call)? else { return Ok(None) };
    if let Some(account) = number.assigned_index() {
        return Ok(Some(AccountId(account)));
    }

    let customer =
        super::find_customer(call.store, call.shop_id(), number).map_err(error::from_failure)?;
    let customer = customer.ok_or_else(|| {
        let detail = "Unknown customer.";
        Problem::unprocessable("invalid_value", detail).with_param("since_id")
    })?;
    Ok(Some(customer.record().account))
}

/// `GET customers/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| {
        store.count_customers(shop, &SearchQuery::default())
    }))
}
