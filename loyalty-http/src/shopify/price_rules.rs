//! `price_rules.json`: made, read, changed, listed, counted and deleted.

use hyper::StatusCode;
use loyalty_core::discount::PriceRuleParts;
use loyalty_core::{PriceRuleId, ShopId};
use loyalty_store::{Action, DiscountAction, PriceRuleView, Receipt, Rejection, RuleChange, Store};
use serde::{Deserialize, Serialize};

use super::names::Names;
use super::{Envelope, Fields, after, check_version, linker, number, since_id};
use crate::endpoint::{Call, Work, price_rules, refuse, to_json};
use crate::problem::Problem;
use crate::wire::price_rule::{Ids, PriceRuleBody, PriceRuleFields, checked};
use crate::wire::query::RuleCursor;

/// Where the rule stands in a body.
const PLACE: &str = "/price_rule";

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

impl<'a> PriceRuleOut<'a> {
    /// A rule with its parts in numbers.
    fn new(view: &PriceRuleView, parts: &'a PriceRuleParts) -> Self {
        Self {
            id: view.id.0,
            fields: PriceRuleFields::new(view, parts, Ids::Numbers),
        }
    }
}

/// What a rule says, in numbers.
fn in_numbers(store: &dyn Store, shop: ShopId, view: &PriceRuleView) -> Result<PriceRuleParts, Problem> {
    let parts = view.rule.parts();
    Ok(Names::numbers(store, shop, parts)
        .map_err(refuse::failure)?
        .of_parts(parts.clone()))
}

/// `POST price_rules.json`
pub(crate) fn create(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let parts = body(call)?.apply(PriceRuleParts { starts_at: call.now, ..PriceRuleParts::default() });
    let own = Names::own(call.store, call.shop_id(), &parts).map_err(refuse::failure)?;
    let rule = checked(own.of_parts(parts), call.shop()?.minor_digits(), PLACE)?;
    let numbers =
        Names::numbers(call.store, call.shop_id(), rule.parts()).map_err(refuse::failure)?;
    let action = DiscountAction::SaveRule { id: None, rule, if_match: None };
    Ok(written(action, StatusCode::CREATED, numbers))
}

/// `PUT price_rules/{id}.json`: what is sent is changed; the last answer, sent back, changes nothing. What has
/// been changed meanwhile stays changed.
pub(crate) fn update(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let body = body(call)?;
    let known = find(call)?;
    // What the rule names later besides is not looked for: others named it so.
    let parts = body.clone().apply(known.rule.parts().clone());
    let own = Names::own(call.store, call.shop_id(), &parts).map_err(refuse::failure)?;
    let parts = own.of_parts(parts);
    let numbers = Names::numbers(call.store, call.shop_id(), &parts).map_err(refuse::failure)?;
    let change = RuleChange::new(move |parts| own.of_parts(body.clone().apply(parts)));
    Ok(written(
        DiscountAction::ChangeRule { id: known.id, change },
        StatusCode::OK,
        numbers,
    ))
}

fn body(call: &Call<'_>) -> Result<PriceRuleBody, Problem> {
    Ok(call.body::<PriceRuleEnvelope>()?.price_rule)
}

fn written(action: DiscountAction, status: StatusCode, numbers: Names) -> Work {
    let body = move |receipt: &Receipt| {
        let made = price_rules::made(receipt)
            .map(|view| (view, numbers.of_parts(view.rule.parts().clone())));
        to_json(&Envelope(
            "price_rule",
            made.as_ref().map(|(view, parts)| PriceRuleOut::new(view, parts)),
        ))
    };
    let blame = |rejection: &Rejection| match rejection.code() {
        "invalid_price_rule" => Some(PLACE.to_owned()),
        _ => Some("id".to_owned()),
    };
    Work::write(Action::Discount(action), status, body, blame).without_conflicts()
}

/// The rule that the path names, or 404.
pub(super) fn find(call: &Call<'_>) -> Result<PriceRuleView, Problem> {
    let id = PriceRuleId(number(call, unknown)?.get());
    call.store
        .price_rule(call.shop_id(), id)
        .map_err(refuse::failure)?
        .ok_or_else(unknown)
}

fn unknown() -> Problem {
    refuse::rejection(&Rejection::PriceRuleNotFound, Some("id".to_owned()))
}

/// `GET price_rules/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let rule = find(call)?;
    let parts = in_numbers(call.store, call.shop_id(), &rule)?;
    Ok(Work::Done(
        Fields::of(call)?.one("price_rule", &PriceRuleOut::new(&rule, &parts)),
    ))
}

/// `DELETE price_rules/{id}.json`
pub(crate) fn delete(call: &Call<'_>) -> Result<Work, Problem> {
    let action = DiscountAction::DeleteRule { id: find(call)?.id, if_match: None };
    Ok(Work::delete(Action::Discount(action), |_| Some("id".to_owned())))
}

/// `GET price_rules.json`
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let (shop, fields, limit, next) =
        (call.shop_id(), Fields::of(call)?, call.query.limit()?, linker(call));
    let after = after(call, since_id(call)?.map(|since| RuleCursor(PriceRuleId(since.get()))))?;
    Ok(Work::scan(move |store| {
        let page = store
            .price_rules(shop, after.map(|after| after.0), limit)
            .map_err(refuse::failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|rule| RuleCursor(rule.id));
        let parts = page.items.iter().map(|rule| in_numbers(store, shop, rule));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let rules: Vec<_> = page
            .items
            .iter()
            .zip(&parts)
            .map(|(rule, parts)| PriceRuleOut::new(rule, parts))
            .collect();
        Ok(fields
            .many("price_rules", &rules)
            .with(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET price_rules/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<Work, Problem> {
    check_version(call)?;
    let shop = call.shop_id();
    Ok(Work::count(move |store| store.count_price_rules(shop)))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test may stop at what it did not expect"
    )]
    use std::sync::Arc;

    use hyper::{Method, Request};
    use loyalty_core::discount::PriceRule;
    use loyalty_core::{Currency, Timestamp, Zone};
    use loyalty_store::{
        Discounts, ApiKeyRecord, MemoryStore, NewApiKey, NewShop, Reply, Request as Asked,
    };

    use super::*;
    use crate::router::{Matched, ROUTES, Router};
    use crate::throttle::Throttle;
    use crate::wire::query::Query;

    /// What is sent is looked at before the transaction begins; what the rule says by then may be another thing.
    #[test]
    fn what_changes_meanwhile_is_not_lost() {
        let (store, now) = (MemoryStore::default(), Timestamp::UNIX_EPOCH);
        let shop = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };
        let shop = store.create_shop(&shop, now).unwrap().id;
        let act = |action| {
            let asked = Asked { shop, now, dry_run: false, idempotency: None, action };
            match store.execute(asked).wait().unwrap() {
                Reply::Decided(outcome) => outcome.unwrap(),
                Reply::Stored { .. } => panic!("nothing is kept"),
            }
        };
        let save = |id, title: &str| {
            let parts = PriceRuleParts {
                title: title.to_owned(),
                value: (-1).into(),
                ..PriceRuleParts::default()
            };
            let rule = Box::new(PriceRule::new(parts, 2).unwrap());
            Action::Discount(DiscountAction::SaveRule { id, rule, if_match: None })
        };
        let id = price_rules::made(&act(save(None, "Summer"))).unwrap().id;

        let path = format!("/admin/api/2025-01/price_rules/{id}.json");
        let (head, ()) = Request::put(&path).body(()).unwrap().into_parts();
        let key = NewApiKey {
            id: String::new(),
            hash: [0; 32],
            signing_secret: String::new(),
            scopes: Vec::new(),
        };
        let router = Router::new(ROUTES);
        let Matched { route, params } = router.find(&Method::PUT, &path).unwrap();
        let call = Call {
            store: &store,
            key: &ApiKeyRecord { shop, key, created_at: now },
            now,
            head: &head,
            params,
            query: Query::parse(None, route.query).unwrap(),
            body: br#"{"price_rule":{"usage_limit":20}}"#,
            throttle: &Arc::new(Throttle::default()),
        };
        let Work::Write(write) = update(&call).unwrap() else {
            panic!("no write")
        };
        act(save(Some(id), "Winter"));
        act(write.action);
        let rule = store.price_rule(shop, id).unwrap().unwrap().rule;
        assert_eq!((rule.parts().title.as_str(), rule.parts().usage_limit), ("Winter", Some(20)));
    }
}
