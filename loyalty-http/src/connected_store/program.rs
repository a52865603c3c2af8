//! What connected stores cannot hold of a program: said when it is published, by name.

use loyalty_core::program::{Benefit, Reward, RewardPricing};
use loyalty_core::redemption::Issuance;
use loyalty_core::{
    Code, CustomerId, Email, Points, Program, ProgramVersion, RedemptionId, Timestamp,
};
use loyalty_store::Shop;

use super::ConnectedStore;
use crate::connector::CodePublication;
use crate::endpoint::{Call, HandlerPlan, error, program};
use crate::problem::{Fault, Problem};
use crate::wire::program as wire;

/// `PUT /v1/program`
pub(crate) fn publish(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    program::publish(call, warnings(call)?)
}

/// `POST /v1/program/validate`
pub(crate) fn validate(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    program::validate(call, warnings(call)?)
}

/// The warnings about the program in the body; none for one that has faults.
fn warnings(call: &Call<'_>) -> Result<Vec<Fault>, Problem> {
    let destinations = call.store.destinations(call.shop_id()).map_err(error::from_failure)?;
    let stores: Vec<_> = destinations
        .iter()
        .filter(|destination| destination.is_enabled())
        .filter_map(|destination| ConnectedStore::read(destination, call.now))
        .collect();
    if stores.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(program) = wire::parse_body(call.body)? else {
        return Ok(Vec::new());
    };
    let shop = call.shop()?;
    let found = stores
        .iter()
        .flat_map(|store| find_unsupported(store, &program, &shop, call.now));
    Ok(found.collect())
}

/// What a store cannot hold of a program's rewards.
fn find_unsupported(
    store: &ConnectedStore,
    program: &Program,
    shop: &Shop,
    now: Timestamp,
) -> Vec<Fault> {
    let connector = store.connector();
    let rewards = program.definition().rewards.iter().enumerate();
    let mut found = Vec::new();
    for (index, reward) in rewards {
        let Some(sample) = SampleCode::new(reward, program, shop, now) else {
            continue;
        };
        let publication = CodePublication {
            code: &sample.code,
            rule: &sample.rule,
            customer: Some(&sample.customer),
            reference: "0",
        };
        let faults = connector.publish(&publication).err().unwrap_or_default();
        found.extend(faults.into_iter().map(|fault| Fault {
            pointer: format!("/rewards/{index}"),
            code: fault.code,
            detail: format!("Store {}: {}.", store.id, fault.detail).into(),
        }));
    }
    found
}

/// A code as a reward would give it.
struct SampleCode {
    code: Code,
    rule: loyalty_core::discount::PriceRule,
    customer: CustomerId,
}

impl SampleCode {
    /// Returns `None` for a reward without a code.
    fn new(reward: &Reward, program: &Program, shop: &Shop, now: Timestamp) -> Option<Self> {
        let benefit = match &reward.offer {
            RewardPricing::Fixed { benefit, .. } => benefit.clone(),
            RewardPricing::Variable(variable) => Benefit::FixedAmount(variable.minimum),
        };
        let code = Code::generate(&reward.code_prefix, [0; 16]).ok()?;
        let (customer, email) =
            (CustomerId::new("1").ok()?, Email::new("customer@example.com").ok()?);
        let terms = &program.definition().redemption;
        let ends_at = reward.valid_for.and_then(|period| shop.zone.after(now, period).ok());
        let issue = Issuance {
            id: RedemptionId(0),
            previous: None,
            reward: reward.id.clone(),
            name: reward.name.as_str().into(),
            program: ProgramVersion(0),
            points: Points::ZERO,
            parts: Vec::new(),
            code: benefit.has_code().then(|| code.clone()),
            benefit,
            at: now,
            day: shop.zone.local(now).ok()?.date(),
            ends_at,
            points_back_when_expired: false,
            order_cancelled: terms.order_cancelled,
            order_refunded: terms.order_refunded,
            maximum_share: reward.share_of_order(terms),
            grace: terms.grace,
            cause: None,
        };
        let rule = issue.price_rule(reward, (Some(&customer), Some(&email)), shop.minor_digits());
        Some(Self { code, rule: rule.ok().flatten()?, customer })
    }
}
