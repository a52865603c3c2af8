//! `price_rules.json`: made, read, changed, listed, counted and deleted.

use hyper::StatusCode;
use loyalty_core::PriceRuleId;
use loyalty_core::discount::Parts;
use loyalty_core::{CustomerId, ProductId};
use loyalty_store::{Action, DiscountAction, Number, PriceRuleView, ProductKey, Receipt, Rejection};
use serde::{Deserialize, Serialize};

use super::{Envelope, Fields, after, check_version, linker, number, since_id};
use crate::endpoint::{Call, Work, price_rules, refuse, to_json};
use crate::problem::Problem;
use crate::wire::price_rule::{Ids, PriceRuleBody, PriceRuleFields, checked};
use crate::wire::query::RuleCursor;
use crate::wire::value::within;

/// `{"price_rule": …}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRuleEnvelope {
    price_rule: PriceRuleBody,
}

/// A price rule as it is answered.
#[derive(Debug, Serialize)]
struct PriceRuleOut<'a> {
    id: i64,
    #[serde(flatten)]
    fields: PriceRuleFields<'a>,
}

impl<'a> From<&'a PriceRuleView> for PriceRuleOut<'a> {
    fn from(view: &'a PriceRuleView) -> Self {
        Self { id: view.id.0, fields: PriceRuleFields::new(view, Ids::Numbers) }
    }
}

/// `POST price_rules.json`
pub(crate) fn create(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let body = call.body::<PriceRuleEnvelope>()?;
    save(call, body, None, Parts { starts_at: call.now, ..Parts::default() })
}

/// `PUT price_rules/{id}.json`: what is sent is changed; the last answer, sent back, changes nothing.
pub(crate) fn update(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let body = call.body::<PriceRuleEnvelope>()?;
    let known = find(call)?;
    save(call, body, Some(known.id), known.rule.parts().clone())
}

fn save(
    call: &Call<'_>,
    body: PriceRuleEnvelope,
    id: Option<PriceRuleId>,
    before: Parts,
) -> Result<Work, Problem> {
    let status = if id.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let mut parts = body.price_rule.apply(before).map_err(under_rule)?;
    name_by_own_ids(call, &mut parts)?;
    let rule = checked(parts, call.shop()?.minor_digits()).map_err(under_rule)?;
    let action = Action::Discount(DiscountAction::SaveRule { id, rule, if_match: None });
    let body =
        |receipt: &Receipt| to_json(&Envelope("price_rule", price_rules::made(receipt).map(PriceRuleOut::from)));
    Ok(Work::write(action, status, body, |_| Some("id".to_owned())).without_conflicts())
}

fn under_rule(problem: Problem) -> Problem {
    within("/price_rule", problem)
}

/// Products and customers that were named by the numbers that we gave are the rule's by their own ids.
fn name_by_own_ids(call: &Call<'_>, parts: &mut Parts) -> Result<(), Problem> {
    let (store, shop) = (call.store, call.shop_id());
    let given = |text: &str| text.parse().ok().and_then(Number::new).filter(|number| number.given().is_some());
    for items in [&mut parts.entitled, &mut parts.excluded, &mut parts.prerequisites] {
        let named: Vec<ProductId> =
            items.products.iter().filter(|id| given(id.as_str()).is_some()).cloned().collect();
        for id in named {
            let Some(number) = given(id.as_str()) else { continue };
            let product = store.product(shop, &ProductKey::Number(number)).map_err(refuse::failure)?;
            if let Some(product) = product {
                items.products.remove(&id);
                items.products.insert(product.product.id.clone());
            }
        }
    }
    let customers = &mut parts.prerequisite_customer_ids;
    let named: Vec<CustomerId> = customers.iter().filter(|id| given(id.as_str()).is_some()).cloned().collect();
    for id in named {
        let Some(number) = given(id.as_str()) else { continue };
        let customer = super::customer(store, shop, number).map_err(refuse::failure)?;
        if let Some(own) = customer.and_then(|customer| customer.record().id.clone()) {
            customers.remove(&id);
            customers.insert(own);
        }
    }
    Ok(())
}

/// The rule that the path names, or 404.
pub(super) fn find(call: &Call<'_>) -> Result<PriceRuleView, Problem> {
    let id = PriceRuleId(number(call, unknown)?.get());
    call.store.price_rule(call.shop_id(), id).map_err(refuse::failure)?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    refuse::rejection(&Rejection::PriceRuleNotFound, Some("id".to_owned()))
}

/// `GET price_rules/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let rule = find(call)?;
    Ok(Work::Done(Fields::of(call)?.one("price_rule", &PriceRuleOut::from(&rule))))
}

/// `DELETE price_rules/{id}.json`
pub(crate) fn delete(call: &Call<'_>) -> Result<Work, Problem> {
    let action = DiscountAction::DeleteRule { id: find(call)?.id, if_match: None };
    Ok(Work::delete(Action::Discount(action), |_| Some("id".to_owned())))
}

/// `GET price_rules.json`
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let (shop, fields, limit, next) = (call.shop_id(), Fields::of(call)?, call.query.limit()?, linker(call));
    let after = after(call, since_id(call)?.map(|since| RuleCursor(PriceRuleId(since.get()))))?;
    Ok(Work::scan(move |store| {
        let page = store.price_rules(shop, after.map(|after| after.0), limit).map_err(refuse::failure)?;
        let last = page.items.last().filter(|_| page.more).map(|rule| RuleCursor(rule.id));
        let rules: Vec<_> = page.items.iter().map(PriceRuleOut::from).collect();
        Ok(fields.many("price_rules", &rules).with(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET price_rules/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let shop = call.shop_id();
    Ok(Work::count(move |store| store.count_price_rules(shop)))
}
