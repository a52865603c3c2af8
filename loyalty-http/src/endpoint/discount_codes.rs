//! Discount codes: creating them singly or in batches, reading, updating and deleting
//! them, and looking them up by their text.

use hyper::StatusCode;
use loyalty_core::discount::Code;
use loyalty_core::{CodeId, Email, PriceRuleId};
use loyalty_store::{
    Action, CodeBatch, CodeView, DiscountAction, DiscountOutcome, Receipt, Rejection,
};

use super::price_rules::{self, find as find_rule};
use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::throttle::{LookupLimiter, ThrottleKey, ThrottleSubject};
use crate::wire::discount_code::{
    BatchBody, BatchCodesResponse, BatchResponse, DiscountCodeBody, DiscountCodeChangeBody,
    DiscountCodeResponse, DiscountCodesResponse,
};
use crate::wire::query::CodeCursor;
use crate::wire::value::parse_number;

/// `POST /v1/price-rules/{price_rule_id}/discount-codes`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (rule, text) = (price_rules::path_id(call)?, call.body::<DiscountCodeBody>()?.parse()?);
    let action = Action::Discount(DiscountAction::AddCode { rule, text });
    Ok(HandlerPlan::write(action, StatusCode::CREATED, render_receipt, |rejection| {
        Some(error_pointer(rejection).to_owned())
    }))
}

/// `PUT /v1/price-rules/{price_rule_id}/discount-codes/{code_id}`: changes the text of a
/// code, or enables or disables it.
pub(crate) fn put(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (rule, code) = (price_rules::path_id(call)?, path_id(call)?);
    let DiscountCodeChangeBody { code: text, enabled } = call.body()?;
    let text = text.map(|text| text.0);
    let action = Action::Discount(DiscountAction::ChangeCode { rule, code, text, enabled });
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt, |rejection| {
        Some(error_pointer(rejection).to_owned())
    }))
}

/// `DELETE /v1/price-rules/{price_rule_id}/discount-codes/{code_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (rule, code) = (price_rules::path_id(call)?, path_id(call)?);
    Ok(HandlerPlan::delete(
        Action::Discount(DiscountAction::RemoveCode { rule, code }),
        |rejection| Some(error_pointer(rejection).to_owned()),
    ))
}

fn error_pointer(rejection: &Rejection) -> &'static str {
    match rejection.code() {
        "code_taken" => "/code",
        "price_rule_not_found" => "price_rule_id",
        _ => "code_id",
    }
}

fn render_receipt(receipt: &Receipt) -> Vec<u8> {
    to_json(&receipt_code(receipt).map(DiscountCodeResponse::from))
}

/// The code in a receipt.
pub(crate) fn receipt_code(receipt: &Receipt) -> Option<&CodeView> {
    match &receipt.discount_outcome {
        Some(DiscountOutcome::Code(code)) => Some(code),
        _ => None,
    }
}

fn path_id(call: &Call<'_>) -> Result<CodeId, Problem> {
    parse_number(call.params.get("code_id").unwrap_or_default())
        .map(CodeId)
        .ok_or_else(code_not_found)
}

fn code_not_found() -> Problem {
    error::from_rejection(&Rejection::CodeNotFound, Some("code_id".to_owned()))
}

/// A code of a rule, or 404.
pub(crate) fn find(call: &Call<'_>, rule: PriceRuleId, code: CodeId) -> Result<CodeView, Problem> {
    let found = call.store.code(call.shop_id(), code).map_err(error::from_failure)?;
    found.filter(|code| code.rule == rule).ok_or_else(code_not_found)
}

/// `GET /v1/price-rules/{price_rule_id}/discount-codes/{code_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let code = find(call, find_rule(call)?.id, path_id(call)?)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DiscountCodeResponse::from(&code))))
}

/// `GET /v1/price-rules/{price_rule_id}/discount-codes`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, rule) = (call.shop_id(), find_rule(call)?.id);
    let (limit, after) = (call.query.limit()?, call.query.cursor::<CodeCursor>()?);
    let next = call.query.page_linker(call.head.uri.path());

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .codes(shop, rule, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|code| CodeCursor(code.id));
        let discount_codes = page.items.iter().map(DiscountCodeResponse::from).collect();
        Ok(EncodedResponse::ok(&DiscountCodesResponse { discount_codes })
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET /v1/price-rules/{price_rule_id}/discount-codes/count`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, rule) = (call.shop_id(), find_rule(call)?.id);
    Ok(HandlerPlan::count(move |store| store.count_codes(shop, rule)))
}

/// `POST /v1/price-rules/{price_rule_id}/batch`
pub(crate) fn batch(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (rule, texts) = (price_rules::path_id(call)?, call.body::<BatchBody>()?.parse()?);
    let action = Action::Discount(DiscountAction::AddCodes { rule, texts });
    let body = |receipt: &Receipt| to_json(&receipt_batch(receipt).map(BatchResponse::from));
    Ok(HandlerPlan::write(action, StatusCode::CREATED, body, |_| {
        Some("price_rule_id".to_owned())
    }))
}

/// The batch in a receipt.
pub(crate) fn receipt_batch(receipt: &Receipt) -> Option<&CodeBatch> {
    match &receipt.discount_outcome {
        Some(DiscountOutcome::Batch(batch)) => Some(batch),
        _ => None,
    }
}

/// A batch of a rule, or 404.
pub(crate) fn find_batch(call: &Call<'_>, rule: PriceRuleId) -> Result<CodeBatch, Problem> {
    let unknown = || Problem::not_found("Unknown batch.").with_param("batch_id");
    let id = call
        .params
        .get("batch_id")
        .and_then(parse_number)
        .ok_or_else(unknown)?;
    let batch = call
        .store
        .code_batch(call.shop_id(), id)
        .map_err(error::from_failure)?;
    batch.filter(|batch| batch.rule == rule).ok_or_else(unknown)
}

/// `GET /v1/price-rules/{price_rule_id}/batch/{batch_id}`
pub(crate) fn show_batch(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let batch = find_batch(call, find_rule(call)?.id)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&BatchResponse::from(&batch))))
}

/// `GET /v1/price-rules/{price_rule_id}/batch/{batch_id}/discount-codes`
pub(crate) fn batch_codes(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let batch = find_batch(call, find_rule(call)?.id)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&BatchCodesResponse::from(&batch))))
}

/// `GET /v1/discount-codes/lookup?code=`
pub(crate) fn lookup(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = call.query.text("customer_id")?.map(String::from);
    let email = call
        .query
        .value::<Email>("email")?
        .map(|email| email.key().to_owned());
    let address = call.query.text("address")?.map(String::from);
    let code = look_up(call, ThrottleSubject { customer: id.or(email), address })?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DiscountCodeResponse::from(&code))))
}

/// The code in the query; 404 if it is unknown, 429 after too many failed lookups.
pub(crate) fn look_up(call: &Call<'_>, shopper: ThrottleSubject) -> Result<CodeView, Problem> {
    let text = call.query.value::<Code>("code")?.ok_or_else(|| {
        let detail = "The query parameter `code` is missing.";
        Problem::bad_request("missing_parameter", detail).with_param("code")
    })?;
    let limiter = lookup_limiter(call, shopper);
    limiter.admit()?;

    let found = call
        .store
        .code_by_text(call.shop_id(), &text)
        .map_err(error::from_failure)?;
    found.ok_or_else(|| {
        limiter.record_failures(1);
        error::from_rejection(&Rejection::CodeNotFound, Some("code".to_owned()))
    })
}

/// The limits on a request's lookups of codes: those of the API key, and of the shopper if
/// one is named. Names of shoppers can be made up, so the key always counts.
pub(crate) fn lookup_limiter(call: &Call<'_>, shopper: ThrottleSubject) -> LookupLimiter {
    let shop = call.shop_id();
    let key = ThrottleKey::Key(call.key.id().to_owned());
    let customer = shopper.customer.map(|customer| ThrottleKey::Customer(shop, customer));
    let address = shopper.address.map(|address| ThrottleKey::Address(shop, address));
    let subjects = [Some(key), customer, address].into_iter().flatten().collect();
    LookupLimiter::new(call.throttle, subjects, call.now)
}
