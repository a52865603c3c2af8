//! Customers: made, read, found and changed.

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue};
use loyalty_core::{AccountId, Command, CustomerId, Email, Timestamp};
use loyalty_store::{
    Action, CustomerRef, CustomerView, EmailConflict, Existence, Page, Receipt, SearchQuery,
};

use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::wire::customer::{CustomerBody, CustomerPatch, CustomerResponse, CustomersResponse};
use crate::wire::json::field;

/// `POST /v1/customers`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (who, change) = call.body::<CustomerBody>()?.parse()?;
    let taken = if who.id().is_some() { "/customer_id" } else { "/email" };
    let (presence, conflict, if_match) = (Existence::Absent, EmailConflict::Reject, None);
    let action = Action::Customer {
        customer: who,
        existence: presence,
        change,
        email_conflict: conflict,
        if_match,
        commands: vec![Command::SignUp],
    };
    Ok(HandlerPlan::write(
        action,
        StatusCode::CREATED,
        render_receipt,
        move |rejection| {
            let param = match rejection.code() {
                "customer_exists" => taken,
                "email_taken" => "/email",
                _ => return None,
            };
            Some(param.to_owned())
        },
    ))
}

/// `PATCH /v1/customers/{customer_id}`
pub(crate) fn update(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let who = CustomerRef::Id(call.path("customer_id")?);
    let (change, commands) = call.body::<CustomerPatch>()?.parse()?;
    let (presence, conflict) = (Existence::Required, EmailConflict::Reject);
    let if_match = call.if_match()?.map(str::to_owned);
    let action = Action::Customer {
        customer: who,
        existence: presence,
        change,
        email_conflict: conflict,
        if_match,
        commands,
    };
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt, |rejection| {
        let param = match rejection.code() {
            "customer_not_found" => "customer_id",
            "email_taken" => "/email",
            "points_out_of_range" => "/point_balance",
            "precondition_failed" => "If-Match",
            "unknown_tier" => "/tier",
            _ => return None,
        };
        Some(param.to_owned())
    }))
}

fn render_receipt(receipt: &Receipt) -> Vec<u8> {
    let customer = receipt
        .customer
        .as_ref()
        .map(|customer| CustomerResponse::new(customer, receipt.at));
    to_json(&customer)
}

/// `GET /v1/customers/{customer_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = find(call, call.path("customer_id")?)?;
    let etag = HeaderValue::try_from(customer.etag()).ok().map(|etag| (ETAG, etag));
    Ok(HandlerPlan::Respond(
        EncodedResponse::ok(&CustomerResponse::new(&customer, call.now)).with_header(etag),
    ))
}

/// The customer of an id, or 404.
pub(crate) fn find(call: &Call<'_>, id: CustomerId) -> Result<CustomerView, Problem> {
    let customer = call
        .store
        .customer(call.shop_id(), &CustomerRef::Id(id))
        .map_err(error::from_failure)?;
    customer.ok_or_else(error::customer_not_found)
}

/// A customer as of now, or as of an instant that is asked for with `?at=`. The past costs the account's
/// whole journal.
pub(crate) fn respond_as_of(
    call: &Call<'_>,
    id: CustomerId,
    answer: impl FnOnce(&CustomerView, Timestamp, Option<Timestamp>) -> EncodedResponse + Send + 'static,
) -> Result<HandlerPlan, Problem> {
    let said = call.query.value::<field::TimeField>("at")?.map(|at| at.0);
    let customer = find(call, id)?;
    let (shop, account) = (call.shop_id(), customer.record().account);
    match said {
        Some(at) if at < call.now => Ok(HandlerPlan::read(move |store| {
            let past = store.customer_at(shop, account, at).map_err(error::from_failure)?;
            Ok(answer(&past.ok_or_else(error::customer_not_found)?, at, said))
        })),
        said => Ok(HandlerPlan::Respond(answer(&customer, said.unwrap_or(call.now), said))),
    }
}

/// `GET /v1/customers`, by pages or by e-mail.
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    match call.query.value::<Email>("email")? {
        Some(email) => find_by_email(call, email),
        None => list_page(call, SearchQuery::default()),
    }
}

/// An e-mail is one customer's at most.
fn find_by_email(call: &Call<'_>, email: Email) -> Result<HandlerPlan, Problem> {
    let customer = call
        .store
        .customer(call.shop_id(), &CustomerRef::Email(email))
        .map_err(error::from_failure)?;
    let customers = customer
        .iter()
        .map(|customer| CustomerResponse::new(customer, call.now))
        .collect();
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&CustomersResponse { customers })))
}

/// `GET /v1/customers/search`
pub(crate) fn search(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = search_query(call)?.ok_or_else(|| {
        let detail = "Say what is searched for: `query`.";
        Problem::bad_request("missing_parameter", detail).with_param("query")
    })?;
    list_page(call, search)
}

fn search_query(call: &Call<'_>) -> Result<Option<SearchQuery>, Problem> {
    let Some(text) = call.query.text("query")? else { return Ok(None) };
    parse_search(call, &text, "query").map(Some)
}

/// A search as it is written at `param`; its dates are days of the shop's.
pub(crate) fn parse_search(
    call: &Call<'_>,
    text: &str,
    param: &str,
) -> Result<SearchQuery, Problem> {
    SearchQuery::parse(text, call.now, call.shop()?.zone).map_err(|error| {
        let detail = format!("This search can't be carried out: {error}.");
        Problem::unprocessable("invalid_search", detail).with_param(param)
    })
}

/// A page of the customers that match, with the link to the next.
pub(crate) fn list_page(call: &Call<'_>, search: SearchQuery) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop_id(), call.now);
    let (limit, after) = (call.query.limit()?, call.query.cursor::<AccountId>()?);
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| {
        let page = store
            .customers(shop, &search, after, limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|customer| customer.record().account);
        Ok(render_page(&page, now).with_header(last.and_then(|last| next.link(&last))))
    }))
}

fn render_page(page: &Page<CustomerView>, now: Timestamp) -> EncodedResponse {
    let customers = page
        .items
        .iter()
        .map(|customer| CustomerResponse::new(customer, now))
        .collect();
    EncodedResponse::ok(&CustomersResponse { customers })
}

/// `GET /v1/customers/count`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = search_query(call)?.unwrap_or_default();
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| store.count_customers(shop, &search)))
}
