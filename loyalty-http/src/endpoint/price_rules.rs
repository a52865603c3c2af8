//! Price rules: creating, replacing, reading and deleting them.

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue};
use loyalty_core::PriceRuleId;
use loyalty_core::discount::PriceRuleParts;
use loyalty_store::{Action, DiscountAction, DiscountOutcome, PriceRuleView, Receipt, Rejection};

use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::wire::page::PageItems;
use crate::wire::price_rule::{PriceRuleBody, PriceRuleResponse, PriceRulesResponse, build_rule};
use crate::wire::query::RuleCursor;
use crate::wire::value::parse_number;

/// `POST /v1/price-rules`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let parts = call.body::<PriceRuleBody>()?.apply(PriceRuleParts::new(call.now));
    let rule = build_rule(parts, call.shop()?.minor_digits(), "")?;
    let action = Action::Discount(DiscountAction::SaveRule { id: None, rule, if_match: None });
    Ok(HandlerPlan::write(action, StatusCode::CREATED, render_receipt, |rejection| {
        Some(error_pointer(rejection).to_owned())
    }))
}

/// `PUT /v1/price-rules/{price_rule_id}`: replaces the rule.
pub(crate) fn put(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let body = call.body::<PriceRuleBody>()?;
    let current = find(call)?;

    // A start that is not sent stays, since it has no other default than the time of
    // creation.
    let starts_at = current.rule.parts().starts_at;
    let parts = body.apply(PriceRuleParts::new(starts_at));
    let rule = build_rule(parts, call.shop()?.minor_digits(), "")?;

    let (id, if_match) = (Some(current.id), call.if_match()?.map(str::to_owned));
    let action = Action::Discount(DiscountAction::SaveRule { id, rule, if_match });
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt, |rejection| {
        Some(error_pointer(rejection).to_owned())
    }))
}

/// `DELETE /v1/price-rules/{price_rule_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (id, if_match) = (path_id(call)?, call.if_match()?.map(str::to_owned));
    Ok(HandlerPlan::delete(
        Action::Discount(DiscountAction::DeleteRule { id, if_match }),
        |rejection| Some(error_pointer(rejection).to_owned()),
    ))
}

fn error_pointer(rejection: &Rejection) -> &'static str {
    match rejection.code() {
        "precondition_failed" => "If-Match",
        "invalid_price_rule" => "",
        "too_many_automatic_rules" => "/automatic",
        _ => "price_rule_id",
    }
}

fn render_receipt(receipt: &Receipt) -> Vec<u8> {
    to_json(&receipt_rule(receipt).map(PriceRuleResponse::from))
}

/// The rule in a receipt.
pub(crate) fn receipt_rule(receipt: &Receipt) -> Option<&PriceRuleView> {
    match &receipt.discount_outcome {
        Some(DiscountOutcome::Rule(rule)) => Some(rule),
        _ => None,
    }
}

/// The id in the path; 404 if it is not a number.
pub(crate) fn path_id(call: &Call<'_>) -> Result<PriceRuleId, Problem> {
    let text = call.params.get("price_rule_id").unwrap_or_default();
    parse_number(text).map(PriceRuleId).ok_or_else(rule_not_found)
}

/// The rule in the path, or 404.
pub(crate) fn find(call: &Call<'_>) -> Result<PriceRuleView, Problem> {
    call.store
        .price_rule(call.shop_id(), path_id(call)?)
        .map_err(error::from_failure)?
        .ok_or_else(rule_not_found)
}

/// 404 for a rule that is unknown, or in another shop.
pub(crate) fn rule_not_found() -> Problem {
    error::from_rejection(&Rejection::PriceRuleNotFound, Some("price_rule_id".to_owned()))
}

/// `GET /v1/price-rules/{price_rule_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let rule = find(call)?;
    let etag = HeaderValue::try_from(rule.etag()).ok().map(|etag| (ETAG, etag));
    Ok(HandlerPlan::Respond(
        EncodedResponse::ok(&PriceRuleResponse::from(&rule)).with_header(etag),
    ))
}

/// `GET /v1/price-rules`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    let (limit, after) = (call.query.limit()?, call.query.cursor::<RuleCursor>()?);
    let next = call.query.page_linker(call.head.uri.path());

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .price_rules(shop, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let rules = page.items.iter();
        let rules = rules.map(|rule| (PriceRuleResponse::from(rule), RuleCursor(rule.id)));
        let (price_rules, last) = PageItems::encode(rules, page.has_more);
        Ok(EncodedResponse::ok(&PriceRulesResponse { price_rules })
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET /v1/price-rules/count`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| store.count_price_rules(shop)))
}
