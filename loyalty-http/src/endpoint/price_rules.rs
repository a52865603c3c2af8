//! Price rules: made, replaced, read, listed and deleted.

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue};
use loyalty_core::PriceRuleId;
use loyalty_core::discount::PriceRuleParts;
use loyalty_store::{Action, DiscountAction, DiscountOutcome, PriceRuleView, Receipt, Rejection};

use super::{Answer, Call, Work, refuse, to_json};
use crate::problem::Problem;
use crate::wire::price_rule::{PriceRuleAnswer, PriceRuleBody, PriceRulesAnswer, checked};
use crate::wire::query::RuleCursor;
use crate::wire::value::number;

/// `POST /v1/price-rules`
pub(crate) fn create(call: &Call<'_>) -> Result<Work, Problem> {
    let parts = call
        .body::<PriceRuleBody>()?
        .apply(PriceRuleParts { starts_at: call.now, ..PriceRuleParts::default() });
    let rule = checked(parts, call.shop()?.minor_digits(), "")?;
    let action = Action::Discount(DiscountAction::SaveRule { id: None, rule, if_match: None });
    Ok(Work::write(action, StatusCode::CREATED, of_receipt, |_| None))
}

/// `PUT /v1/price-rules/{price_rule_id}`: the whole rule, in the place of the one before.
pub(crate) fn put(call: &Call<'_>) -> Result<Work, Problem> {
    let body = call.body::<PriceRuleBody>()?;
    let known = find(call)?;
    let starts_at = known.rule.parts().starts_at;
    let parts = body.apply(PriceRuleParts { starts_at, ..PriceRuleParts::default() });
    let rule = checked(parts, call.shop()?.minor_digits(), "")?;
    let if_match = call.if_match()?.map(str::to_owned);
    let action = Action::Discount(DiscountAction::SaveRule { id: Some(known.id), rule, if_match });
    Ok(Work::write(action, StatusCode::OK, of_receipt, |no| Some(blame(no).to_owned())))
}

/// `DELETE /v1/price-rules/{price_rule_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<Work, Problem> {
    let (id, if_match) = (id(call)?, call.if_match()?.map(str::to_owned));
    Ok(Work::delete(
        Action::Discount(DiscountAction::DeleteRule { id, if_match }),
        |no| Some(blame(no).to_owned()),
    ))
}

fn blame(rejection: &Rejection) -> &'static str {
    match rejection.code() {
        "precondition_failed" => "If-Match",
        "invalid_price_rule" => "",
        _ => "price_rule_id",
    }
}

fn of_receipt(receipt: &Receipt) -> Vec<u8> {
    to_json(&made(receipt).map(PriceRuleAnswer::from))
}

/// The rule that a receipt is about.
pub(crate) fn made(receipt: &Receipt) -> Option<&PriceRuleView> {
    match &receipt.discount_outcome {
        Some(DiscountOutcome::Rule(rule)) => Some(rule),
        _ => None,
    }
}

/// The id in the path. What is no number is nobody's.
pub(crate) fn id(call: &Call<'_>) -> Result<PriceRuleId, Problem> {
    let text = call.params.get("price_rule_id").unwrap_or_default();
    number(text).map(PriceRuleId).ok_or_else(unknown)
}

/// The rule in the path, or 404.
pub(crate) fn find(call: &Call<'_>) -> Result<PriceRuleView, Problem> {
    call.store
        .price_rule(call.shop_id(), id(call)?)
        .map_err(refuse::failure)?
        .ok_or_else(unknown)
}

/// No such rule, or another shop's.
pub(crate) fn unknown() -> Problem {
    refuse::rejection(&Rejection::PriceRuleNotFound, Some("price_rule_id".to_owned()))
}

/// `GET /v1/price-rules/{price_rule_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let rule = find(call)?;
    let etag = HeaderValue::try_from(rule.etag()).ok().map(|etag| (ETAG, etag));
    Ok(Work::Done(Answer::ok(&PriceRuleAnswer::from(&rule)).with(etag)))
}

/// `GET /v1/price-rules`
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    let shop = call.shop_id();
    let (limit, after) = (call.query.limit()?, call.query.cursor::<RuleCursor>()?);
    let next = call.query.linker(call.head.uri.path());
    Ok(Work::scan(move |store| {
        let page = store
            .price_rules(shop, after.map(|after| after.0), limit)
            .map_err(refuse::failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|rule| RuleCursor(rule.id));
        let price_rules = page.items.iter().map(PriceRuleAnswer::from).collect();
        Ok(Answer::ok(&PriceRulesAnswer { price_rules })
            .with(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET /v1/price-rules/count`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    let shop = call.shop_id();
    Ok(Work::count(move |store| store.count_price_rules(shop)))
}
