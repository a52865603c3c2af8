//! `price_rules.json`: creating, reading, updating, counting and deleting price rules.

use hyper::StatusCode;
use loyalty_core::discount::PriceRuleParts;
use loyalty_core::{PriceRuleId, ShopId};
use loyalty_store::{Action, DiscountAction, PriceRuleView, Receipt, Rejection, RuleChange, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id_mapping::IdMapping;
use super::listing::{Listing, TimeWindow};
use super::{Envelope, FieldSelection, check_version, parse_since_id, path_number};
use crate::endpoint::{Call, HandlerPlan, error, price_rules, to_json};
use crate::problem::Problem;
use crate::wire::price_rule::{IdFormat, PriceRuleBody, PriceRuleFields, build_rule};
use crate::wire::query::RuleCursor;
use crate::wire::schema;

/// The place of the rule in a body.
const BODY_POINTER: &str = "/price_rule";

/// `{"price_rule": …}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShopifyPriceRuleRequest")]
pub(crate) struct PriceRuleEnvelope {
    price_rule: PriceRuleBody,
}

/// A price rule.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyPriceRule")]
pub(super) struct ShopifyPriceRuleResponse<'a> {
    #[schemars(with = "schema::Number")]
    id: i64,
    #[serde(flatten)]
    fields: PriceRuleFields<'a>,
}

impl<'a> ShopifyPriceRuleResponse<'a> {
    /// A rule, and its parts with numeric ids.
    fn new(view: &PriceRuleView, parts: &'a PriceRuleParts) -> Self {
        Self {
            id: view.id.0,
            fields: PriceRuleFields::new(view, parts, IdFormat::Number),
        }
    }
}

/// The parts of a rule with numeric ids.
fn parts_with_numbers(
    store: &dyn Store,
    shop: ShopId,
    view: &PriceRuleView,
) -> Result<PriceRuleParts, Problem> {
    let parts = view.rule.parts();
    Ok(IdMapping::to_numbers(store, shop, parts)
        .map_err(error::from_failure)?
        .apply(parts.clone()))
}

/// `POST price_rules.json`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let parts = parse_body(call)?.apply(PriceRuleParts::new(call.now));
    let shop_ids =
        IdMapping::to_shop_ids(call.store, call.shop_id(), &parts).map_err(error::from_failure)?;
    let rule = build_rule(shop_ids.apply(parts), call.shop()?.minor_digits(), BODY_POINTER)?;

    // For the response, which is rendered inside the transaction, where the store can't
    // be queried.
    let numbers = IdMapping::to_numbers(call.store, call.shop_id(), rule.parts())
        .map_err(error::from_failure)?;
    let action = DiscountAction::SaveRule { id: None, rule, if_match: None };
    Ok(write_rule(action, StatusCode::CREATED, numbers))
}

/// `PUT price_rules/{id}.json`: changes the members that are sent. The last response,
/// sent back, changes nothing, and concurrent changes of other members stay.
pub(crate) fn update(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let body = parse_body(call)?;
    let current = find(call)?;

    // Ids that a concurrent change adds are not mapped, since that change has done so.
    let parts = body.clone().apply(current.rule.parts().clone());
    let shop_ids =
        IdMapping::to_shop_ids(call.store, call.shop_id(), &parts).map_err(error::from_failure)?;
    let parts = shop_ids.apply(parts);
    let numbers =
        IdMapping::to_numbers(call.store, call.shop_id(), &parts).map_err(error::from_failure)?;

    // Applied within the transaction, to the rule as it is then.
    let change = RuleChange::new(move |parts| shop_ids.apply(body.clone().apply(parts)));
    Ok(write_rule(
        DiscountAction::ChangeRule { id: current.id, change },
        StatusCode::OK,
        numbers,
    ))
}

fn parse_body(call: &Call<'_>) -> Result<PriceRuleBody, Problem> {
    Ok(call.body::<PriceRuleEnvelope>()?.price_rule)
}

fn write_rule(action: DiscountAction, status: StatusCode, numbers: IdMapping) -> HandlerPlan {
    let body = move |receipt: &Receipt| {
        let rule = price_rules::receipt_rule(receipt)
            .map(|view| (view, numbers.apply(view.rule.parts().clone())));
        to_json(&Envelope(
            "price_rule",
            rule.as_ref()
                .map(|(view, parts)| ShopifyPriceRuleResponse::new(view, parts)),
        ))
    };

    let pointer = |rejection: &Rejection| match rejection.code() {
        "invalid_price_rule" => Some(BODY_POINTER.to_owned()),
        "too_many_automatic_rules" => Some(format!("{BODY_POINTER}/automatic")),
        _ => Some("id".to_owned()),
    };
    HandlerPlan::write(Action::Discount(action), status, body, pointer).conflicts_as_unprocessable()
}

/// The rule in the path, or 404.
pub(super) fn find(call: &Call<'_>) -> Result<PriceRuleView, Problem> {
    let id = PriceRuleId(path_number(call, rule_not_found)?.get());
    call.store
        .price_rule(call.shop_id(), id)
        .map_err(error::from_failure)?
        .ok_or_else(rule_not_found)
}

fn rule_not_found() -> Problem {
    error::from_rejection(&Rejection::PriceRuleNotFound, Some("id".to_owned()))
}

/// `GET price_rules/{id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let rule = find(call)?;
    let parts = parts_with_numbers(call.store, call.shop_id(), &rule)?;
    Ok(HandlerPlan::Respond(
        FieldSelection::from_call(call)?
            .render_one("price_rule", &ShopifyPriceRuleResponse::new(&rule, &parts)),
    ))
}

/// `DELETE price_rules/{id}.json`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let action = DiscountAction::DeleteRule { id: find(call)?.id, if_match: None };
    Ok(HandlerPlan::delete(Action::Discount(action), |_| Some("id".to_owned())))
}

/// `GET price_rules.json`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let (shop, fields) = (call.shop_id(), FieldSelection::from_call(call)?);
    let windows = RuleWindows::from_call(call)?;
    let since = parse_since_id(call)?.map(|since| RuleCursor(PriceRuleId(since.get())));
    let listing = Listing::from_call(call, since)?;

    Ok(HandlerPlan::read(move |store| {
        let page = listing.read(
            |after, limit| store.price_rules(shop, after.map(|after| after.0), limit),
            |rule: &PriceRuleView| windows.contain(rule),
        )?;
        let parts = page.rows.iter().map(|rule| parts_with_numbers(store, shop, rule));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let rules: Vec<_> = page
            .rows
            .iter()
            .zip(&parts)
            .map(|(rule, parts)| ShopifyPriceRuleResponse::new(rule, parts))
            .collect();
        Ok(fields.render_many("price_rules", &rules).with_header(page.link))
    }))
}

/// The times between which the rules of a list lie.
struct RuleWindows {
    created: TimeWindow,
    updated: TimeWindow,
    starts: TimeWindow,
    ends: TimeWindow,
}

impl RuleWindows {
    fn from_call(call: &Call<'_>) -> Result<Self, Problem> {
        Ok(Self {
            created: TimeWindow::from_call(call, "created_at")?,
            updated: TimeWindow::from_call(call, "updated_at")?,
            starts: TimeWindow::from_call(call, "starts_at")?,
            ends: TimeWindow::from_call(call, "ends_at")?,
        })
    }

    fn contain(&self, rule: &PriceRuleView) -> bool {
        let parts = rule.rule.parts();
        self.created.contains(rule.created_at)
            && self.updated.contains(rule.updated_at)
            && self.starts.contains(parts.starts_at)
            && parts
                .ends_at
                .map_or(self.ends.is_everything(), |end| self.ends.contains(end))
    }
}

/// `GET price_rules/count.json`
pub(crate) fn count(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let shop = call.shop_id();
    Ok(HandlerPlan::count(move |store| store.count_price_rules(shop)))
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
        ApiKeyRecord, Discounts, KeyOwner, MemoryStore, NewShop, Reply, Request as StoreRequest,
    };

    use super::*;
    use crate::auth;
    use crate::router::{MatchedRoute, ROUTES, Router};
    use crate::throttle::Throttle;
    use crate::wire::query::Query;

    /// The request is parsed before its transaction begins, so the rule can change in
    /// between.
    #[test]
    fn a_concurrent_change_is_not_lost() {
        let (store, now) = (MemoryStore::default(), Timestamp::UNIX_EPOCH);
        let shop = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };
        let shop = store.create_shop(&shop, now).unwrap().id;
        let execute = |action| {
            let request = StoreRequest {
                shop,
                now,
                dry_run: false,
                idempotency: None,
                entropy: None,
                action,
            };
            match store.execute(request).wait().unwrap() {
                Reply::Decided(outcome) => outcome.unwrap(),
                Reply::Stored { .. } => panic!("a stored response without a key"),
            }
        };
        let save = |id, title: &str| {
            let parts = PriceRuleParts {
                title: title.to_owned(),
                value: (-1).into(),
                ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
            };
            let rule = Box::new(PriceRule::new(parts, 2).unwrap());
            Action::Discount(DiscountAction::SaveRule { id, rule, if_match: None })
        };
        let id = price_rules::receipt_rule(&execute(save(None, "Summer"))).unwrap().id;

        let path = format!("/admin/api/2025-01/price_rules/{id}.json");
        let (head, ()) = Request::put(&path).body(()).unwrap().into_parts();
        let (key, _) = auth::new_key(&[0; auth::KEY_BYTES], "", Vec::new());
        let (owner, last_used_at) = (KeyOwner::Shop(shop), None);
        let router = Router::new(&ROUTES);
        let MatchedRoute { route, params } = router.find(&Method::PUT, &path).unwrap();
        let call = Call {
            store: &store,
            key: &ApiKeyRecord { owner, key, created_at: now, last_used_at },
            shop,
            now,
            head: &head,
            params,
            query: Query::parse(None, route.query).unwrap(),
            body: br#"{"price_rule":{"usage_limit":20}}"#,
            throttle: &Arc::new(Throttle::default()),
            inbox: &Arc::default(),
            allowed_networks: &[],
            public_url: None,
            sender: None,
        };
        let HandlerPlan::Write(write) = update(&call).unwrap() else {
            panic!("no write")
        };

        execute(save(Some(id), "Winter"));
        execute(write.action);
        let rule = store.price_rule(shop, id).unwrap().unwrap().rule;
        assert_eq!((rule.parts().title.as_str(), rule.parts().usage_limit), ("Winter", Some(20)));
    }
}
