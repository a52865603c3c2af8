//! `customers.json`: made, read, changed, found and counted.

use hyper::StatusCode;
use loyalty_core::{AccountId, Command, Currency, Timestamp};
use loyalty_store::{
    Action, CustomerView, EmailConflict, Existence, Receipt, Rejection, SearchQuery,
};

use super::wire::{CustomerEnvelope, CustomerOut};
use super::{Envelope, Fields, after, check_version, ids, linker, number, since_id};
use crate::endpoint::customers::read_search;
use crate::endpoint::{Answer, Call, Work, refuse, to_json};
use crate::problem::Problem;
use crate::wire::value::within;

/// `POST customers.json`
pub(crate) fn create(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let made = call.body::<CustomerEnvelope>()?.customer.made();
    let (who, change) = made.map_err(|problem| within("/customer", problem))?;
    let taken = if who.id().is_some() { "/customer/own_id" } else { "/customer/email" };
    let (presence, conflict, if_match) = (Existence::Absent, EmailConflict::Reject, None);
    let action = Action::Customer {
        customer: who,
        existence: presence,
        change,
        email_conflict: conflict,
        if_match,
        commands: vec![Command::SignUp],
    };
    written(call, action, StatusCode::CREATED, taken)
}

/// `PUT customers/{id}.json`: what is sent is changed; the last answer, sent back, changes nothing.
pub(crate) fn update(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let body = call.body::<CustomerEnvelope>()?;
    let changed = body.customer.changed(&find(call)?);
    let (who, change) = changed.map_err(|problem| within("/customer", problem))?;
    let (presence, conflict, if_match) = (Existence::Required, EmailConflict::Reject, None);
    let action = Action::Customer {
        customer: who,
        existence: presence,
        change,
        email_conflict: conflict,
        if_match,
        commands: Vec::new(),
    };
    written(call, action, StatusCode::OK, "/customer/email")
}

fn written(
    call: &Call<'_>,
    action: Action,
    status: StatusCode,
    taken: &'static str,
) -> Result<Work, Problem> {
    let currency = call.shop()?.currency;
    let body = move |receipt: &Receipt| {
        let customer = receipt.customer.as_ref();
        to_json(&Envelope(
            "customer",
            customer.map(|known| CustomerOut::new(known, currency, receipt.at)),
        ))
    };
    let blame = move |rejection: &Rejection| match rejection.code() {
        "customer_exists" => Some(taken.to_owned()),
        "customer_not_found" => Some("id".to_owned()),
        "email_taken" => Some("/customer/email".to_owned()),
        _ => None,
    };
    Ok(Work::write(action, status, body, blame).without_conflicts())
}

/// The customer that the path names, or 404.
fn find(call: &Call<'_>) -> Result<CustomerView, Problem> {
    let found = super::customer(call.store, call.shop_id(), number(call, unknown)?)
        .map_err(refuse::failure)?;
    found.ok_or_else(unknown)
}

fn unknown() -> Problem {
    refuse::rejection(&Rejection::CustomerNotFound, Some("id".to_owned()))
}

/// `GET customers/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let customer = find(call)?;
    let customer = CustomerOut::new(&customer, call.shop()?.currency, call.now);
    Ok(Work::Done(Fields::of(call)?.one("customer", &customer)))
}

/// `GET customers.json`
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    match ids(call)? {
        None => page(call, SearchQuery::default()),
        Some(ids) => {
            let (shop, now, fields) = (call.shop()?, call.now, Fields::of(call)?);
            Ok(Work::scan(move |store| {
                let found = ids.into_iter().map(|id| super::customer(store, shop.id, id));
                let found = found.collect::<Result<Vec<_>, _>>().map_err(refuse::failure)?;
                let customers = found.iter().flatten();
                let customers: Vec<_> = customers
                    .map(|customer| CustomerOut::new(customer, shop.currency, now))
                    .collect();
                Ok(fields.many("customers", &customers))
            }))
        }
    }
}

/// `GET customers/search.json`: everybody, where nothing is searched for.
pub(crate) fn search(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let text = call.query.text("query")?.unwrap_or_default();
    page(call, read_search(call, &text, "query")?)
}

/// A page of the customers that match, with the link to the next.
pub(super) fn page(call: &Call<'_>, search: SearchQuery) -> Result<Work, Problem> {
    let (shop, now, fields) = (call.shop()?, call.now, Fields::of(call)?);
    let (limit, next) = (call.query.limit()?, linker(call));
    let after = after::<AccountId>(call, since(call)?)?;
    Ok(Work::scan(move |store| {
        let page = store
            .customers(shop.id, &search, after, limit)
            .map_err(refuse::failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|customer| customer.record().account);
        let link = last.and_then(|last| next.link(&last));
        Ok(of_page(&page.items, shop.currency, now, &fields).with(link))
    }))
}

fn of_page(
    customers: &[CustomerView],
    currency: Currency,
    now: Timestamp,
    fields: &Fields,
) -> Answer {
    let customers: Vec<_> = customers
        .iter()
        .map(|customer| CustomerOut::new(customer, currency, now))
        .collect();
    fields.many("customers", &customers)
}

/// Customers are listed as they became known, which is the order of their accounts. A number of the shop's own
/// must be one of its customers to have a place there.
fn since(call: &Call<'_>) -> Result<Option<AccountId>, Problem> {
    let Some(number) = since_id(call)? else { return Ok(None) };
    if let Some(account) = number.assigned_index() {
        return Ok(Some(AccountId(account)));
    }
    let customer = super::customer(call.store, call.shop_id(), number).map_err(refuse::failure)?;
    let customer = customer.ok_or_else(|| {
        let detail = "There is no customer of this id.";
        Problem::unprocessable("invalid_value", detail).at("since_id")
    })?;
    Ok(Some(customer.record().account))
}

/// `GET customers/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let shop = call.shop_id();
    Ok(Work::count(move |store| store.count_customers(shop, &SearchQuery::default())))
}
