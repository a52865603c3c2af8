//! `customers.json`: creating, reading, updating, searching and counting customers.

use hyper::StatusCode;
use loyalty_core::{AccountId, Command, Currency, Timestamp};
use loyalty_store::{
    Action, CustomerView, EmailConflict, Existence, NumericId, Receipt, Rejection, SearchQuery,
};

use super::listing::{ListedRow, Listing, TimeWindow};
use super::wire::{CustomerEnvelope, ShopifyCustomerResponse};
use super::{Envelope, FieldSelection, check_version, parse_ids, parse_since_id, path_number};
use crate::endpoint::customers::parse_search;
use crate::endpoint::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::reads::ReadCost;
use crate::wire::customer::check_birthday;
use crate::wire::value::prefix_pointer;

/// `POST customers.json`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let body = call.body::<CustomerEnvelope>()?;
    let email_proof = body.customer.email_proof();
    let (customer, change) = body
        .customer
        .into_new()
        .and_then(|(customer, change)| {
            check_birthday(&change, call.now).map(|()| (customer, change))
        })
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
        .and_then(|(customer, change)| {
            check_birthday(&change, call.now).map(|()| (customer, change))
        })
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
    let search = in_windows(call, search)?;
    let (since, above) = find_start(call)?;
    let listing = Listing::from_call(call, since)?;

    Ok(HandlerPlan::read(move |store| {
        let page = listing.read(
            |after, limit| store.customers(shop.id, &search, after, limit),
            |customer: &CustomerView| above.is_none_or(|above| customer.number() > above.get()),
        )?;
        Ok(render_page(&page.rows, shop.currency, now, &fields).with_header(page.link))
    })
    .costing(ReadCost::Search))
}

/// The search within the times of `created_at_min` and its like.
fn in_windows(call: &Call<'_>, search: SearchQuery) -> Result<SearchQuery, Problem> {
    let created = TimeWindow::from_call(call, "created_at")?;
    let updated = TimeWindow::from_call(call, "updated_at")?;
    Ok(search
        .created_between(created.min, created.max)
        .updated_between(updated.min, updated.max))
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

/// The customer of `since_id`, behind whom the list begins. Customers are listed in the order
/// of their creation. A number that is nobody's has no place in it: then the list is of the
/// customers with greater numbers.
fn find_start(call: &Call<'_>) -> Result<(Option<AccountId>, Option<NumericId>), Problem> {
    let Some(number) = parse_since_id(call)? else {
        return Ok((None, None));
    };
    if let Some(account) = number.assigned_index() {
        return Ok((Some(AccountId(account)), None));
    }

    let customer =
        super::find_customer(call.store, call.shop_id(), number).map_err(error::from_failure)?;
    Ok(match customer {
        Some(customer) => (Some(customer.record().account), None),
        None => (None, Some(number)),
    })
}

/// `GET customers/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let (shop, search) = (call.shop_id(), in_windows(call, SearchQuery::default())?);
    Ok(HandlerPlan::count(move |store| store.count_customers(shop, &search)))
}
