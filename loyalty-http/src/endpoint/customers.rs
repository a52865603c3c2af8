//! Customers: creating, reading, searching and updating them.

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue};
use loyalty_core::{AccountId, Command, CustomerId, Email, Timestamp};
use loyalty_store::{
    Action, CustomerRef, CustomerView, EmailConflict, Existence, Receipt, Rejection, SearchQuery,
};

use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::reads::ReadCost;
use crate::wire::customer::{
    ClaimsResponse, CustomerBody, CustomerPatch, CustomerResponse, CustomersResponse,
    check_birthday,
};
use crate::wire::json::field;
use crate::wire::merge::{MergeBody, MergeResponse};
use crate::wire::page::PageItems;
use crate::wire::redemption::EmptyBody;
use crate::wire::value::parse_number;

/// `POST /v1/customers`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let body = call.body::<CustomerBody>()?;
    let email_proof = body.email_proof();
    let (customer, change) = body.parse()?;
    check_birthday(&change, call.now)?;
    let customer_pointer = if customer.id().is_some() { "/customer_id" } else { "/email" };
    let action = Action::Customer {
        customer,
        existence: Existence::Absent,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof,
        if_match: None,
        commands: vec![Command::SignUp],
    };

    Ok(HandlerPlan::write(
        action,
        StatusCode::CREATED,
        render_receipt,
        move |rejection| {
            let param = match rejection.code() {
                "customer_exists" => customer_pointer,
                "email_taken" => "/email",
                _ => return None,
            };
            Some(param.to_owned())
        },
    ))
}

/// `PATCH /v1/customers/{customer_id}`
pub(crate) fn update(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = CustomerRef::Id(call.path("customer_id")?);
    let body = call.body::<CustomerPatch>()?;
    let email_proof = body.email_proof();
    let (change, commands) = body.parse()?;
    check_birthday(&change, call.now)?;
    let action = Action::Customer {
        customer,
        existence: Existence::Required,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof,
        if_match: call.if_match()?.map(str::to_owned),
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
    to_json(&CustomerResponse::from_receipt(receipt))
}

/// `POST /v1/customers/{customer_id}/merge`
pub(crate) fn merge(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = CustomerRef::Id(call.path("customer_id")?);
    let from = call.body::<MergeBody>()?.parse()?;
    let body = |receipt: &Receipt| to_json(&MergeResponse::from_receipt(receipt));
    let action = Action::MergeCustomers { customer, from };
    Ok(HandlerPlan::write(action, StatusCode::OK, body, |rejection| {
        let param = match rejection.code() {
            "customer_not_found" => "customer_id",
            _ => "/from",
        };
        Some(param.to_owned())
    }))
}

/// `GET /v1/customers/{customer_id}/claims`
pub(crate) fn claims(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = find(call, call.path("customer_id")?)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&ClaimsResponse::new(&customer))))
}

/// `POST /v1/customers/{customer_id}/claims/{claim_id}/undo`
pub(crate) fn undo_claim(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = CustomerRef::Id(call.path("customer_id")?);
    call.optional_body::<EmptyBody>()?;
    let claim = parse_number(call.params.get("claim_id").unwrap_or_default())
        .map(AccountId)
        .ok_or_else(|| {
            error::from_rejection(&Rejection::ClaimNotFound, Some("claim_id".to_owned()))
        })?;
    let action = Action::UndoClaim { customer, claim };
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt, |rejection| {
        let param = match rejection.code() {
            "customer_not_found" => "customer_id",
            _ => "claim_id",
        };
        Some(param.to_owned())
    }))
}

/// `GET /v1/customers/{customer_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = find(call, call.path("customer_id")?)?;
    let etag = HeaderValue::try_from(customer.etag()).ok().map(|etag| (ETAG, etag));
    Ok(HandlerPlan::Respond(
        EncodedResponse::ok(&CustomerResponse::new(&customer, call.now)).with_header(etag),
    ))
}

/// The customer with an id, or 404.
pub(crate) fn find(call: &Call<'_>, id: CustomerId) -> Result<CustomerView, Problem> {
    let customer = call
        .store
        .customer(call.shop_id(), &CustomerRef::Id(id))
        .map_err(error::from_failure)?;
    customer.ok_or_else(error::customer_not_found)
}

/// Responds with a customer as of now, or as of the instant in `?at=`. A past instant
/// costs a fold of the account's whole journal.
pub(crate) fn respond_as_of(
    call: &Call<'_>,
    id: CustomerId,
    render: impl FnOnce(&CustomerView, Timestamp, Option<Timestamp>) -> EncodedResponse + Send + 'static,
) -> Result<HandlerPlan, Problem> {
    let requested_at = call.query.value::<field::TimeField>("at")?.map(|at| at.0);
    let customer = find(call, id)?;
    let (shop, account) = (call.shop_id(), customer.record().account);

    match requested_at {
        Some(at) if at < call.now => Ok(HandlerPlan::read(move |store| {
            let past = store.customer_at(shop, account, at).map_err(error::from_failure)?;
            Ok(render(&past.ok_or_else(error::customer_not_found)?, at, requested_at))
        })),
        // The current state knows its future.
        _ => {
            let at = requested_at.unwrap_or(call.now);
            Ok(HandlerPlan::Respond(render(&customer, at, requested_at)))
        }
    }
}

/// `GET /v1/customers`: a page, or the customer with an e-mail address.
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    match call.query.value::<Email>("email")? {
        Some(email) => find_by_email(call, email),
        None => list_page(call, SearchQuery::default()),
    }
}

/// A list of at most one customer, since e-mail addresses are unique.
fn find_by_email(call: &Call<'_>, email: Email) -> Result<HandlerPlan, Problem> {
    let customer = call
        .store
        .customer(call.shop_id(), &CustomerRef::Email(email))
        .map_err(error::from_failure)?;
    let customers = customer
        .iter()
        .map(|customer| (CustomerResponse::new(customer, call.now), ()));
    let (customers, _) = PageItems::encode(customers, false);
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&CustomersResponse { customers })))
}

/// `GET /v1/customers/search`
pub(crate) fn search(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = search_query(call)?.ok_or_else(|| {
        let detail = "The query parameter `query` is missing.";
        Problem::bad_request("missing_parameter", detail).with_param("query")
    })?;
    list_page(call, search)
}

fn search_query(call: &Call<'_>) -> Result<Option<SearchQuery>, Problem> {
    let Some(text) = call.query.text("query")? else { return Ok(None) };
    parse_search(call, &text, "query").map(Some)
}

/// Parses the search at `param`. Its dates are days in the shop's time zone.
pub(crate) fn parse_search(
    call: &Call<'_>,
    text: &str,
    param: &str,
) -> Result<SearchQuery, Problem> {
    SearchQuery::parse(text, call.now, call.shop()?.zone).map_err(|error| {
        let detail = format!("The search is invalid: {error}.");
        Problem::unprocessable("invalid_search", detail).with_param(param)
    })
}

/// A page of the customers that match, with the link to the next page.
pub(crate) fn list_page(call: &Call<'_>, search: SearchQuery) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop_id(), call.now);
    let (limit, after) = (call.query.limit()?, call.query.cursor::<AccountId>()?);
    let next = call.query.page_linker(call.head.uri.path());

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .customers(shop, &search, after, limit)
            .map_err(error::from_failure)?;
        let customers = page
            .items
            .iter()
            .map(|customer| (CustomerResponse::new(customer, now), customer.record().account));
        let (customers, last) = PageItems::encode(customers, page.has_more);
        Ok(EncodedResponse::ok(&CustomersResponse { customers })
            .with_header(last.and_then(|last| next.link(&last))))
    })
    .costing(ReadCost::Search))
}

/// `GET /v1/customers/count`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let search = search_query(call)?.unwrap_or_default();
    let shop = call.shop_id();
    let count = HandlerPlan::count(move |store| store.count_customers(shop, &search));
    Ok(count.costing(ReadCost::Search))
}
