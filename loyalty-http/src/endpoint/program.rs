//! The program: reading, publishing and validating it, and simulating an order.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue};
use loyalty_core::{
    Account, Command, Context, Explanation, ManualTier, OrderId, OrderState, Pin, Program,
    ProgramPeriod, ProgramVersion, Rejection as RuleRejection, TierId, decide, entitlement,
};
use loyalty_store::{Action, Receipt, Rejection, Shop};

use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::{ErrorStatus, Fault, Problem};
use crate::wire::order::OrderBody;
use crate::wire::program::{self, DryRunBody, DryRunResponse, ValidationResponse, VersionResponse};
use crate::wire::value::{parse_number, prefix_pointer};

/// `GET /v1/program`: the document of the version in force, or of another version. `PUT`
/// accepts it unchanged.
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let version = call.query.value::<ProgramVersion>("version")?;
    let (version, program) = load(call, version)?.ok_or_else(|| {
        let detail = "Unknown program version.";
        Problem::new(ErrorStatus::NOT_FOUND, "version_not_found", detail).with_param("version")
    })?;
    let etag = HeaderValue::try_from(format!("\"{version}\""))
        .ok()
        .map(|etag| (ETAG, etag));
    Ok(HandlerPlan::Respond(
        EncodedResponse::json_text(program.to_json()).with_header(etag),
    ))
}

fn load(
    call: &Call<'_>,
    version: Option<ProgramVersion>,
) -> Result<Option<(ProgramVersion, Arc<Program>)>, Problem> {
    call.store
        .program(call.shop_id(), version)
        .map_err(error::from_failure)
}

/// `PUT /v1/program`: publishes a new version.
/// `warnings` are what is to be said about a valid program.
pub(crate) fn publish(call: &Call<'_>, warnings: Vec<Fault>) -> Result<HandlerPlan, Problem> {
    let program = parse_program(call)?.map_err(program::invalid_program)?;
    let replaces = call.if_match()?.map(parse_etag).transpose()?;
    let action = Action::PublishProgram { program: Box::new(program), replaces };
    let body = move |receipt: &Receipt| {
        to_json(&receipt.program.map(|version| VersionResponse { version, warnings }))
    };
    Ok(HandlerPlan::write(action, StatusCode::CREATED, body, |rejection| {
        matches!(rejection, Rejection::ProgramChanged { .. }).then(|| "If-Match".to_owned())
    }))
}

/// The version in an `ETag`; 412 if the `ETag` is not one of the program, since it can't
/// match.
fn parse_etag(tag: &str) -> Result<ProgramVersion, Problem> {
    let version = tag
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .and_then(parse_number);
    let unknown = || {
        Problem::precondition_failed("The value is not an ETag of the program.")
            .with_param("If-Match")
    };
    version.map(ProgramVersion).ok_or_else(unknown)
}

/// The program in the body, or all its faults, including those of the shop's currency.
fn parse_program(call: &Call<'_>) -> Result<Result<Program, Vec<Fault>>, Problem> {
    let program = match program::parse_body(call.body)? {
        Ok(program) => program,
        faults @ Err(_) => return Ok(faults),
    };
    let faults = program.check_currency(call.shop()?.minor_digits());
    Ok(if faults.is_empty() { Ok(program) } else { Err(program::to_faults(faults, "")) })
}

/// `POST /v1/program/validate`
/// `warnings` are what is to be said about a valid program.
pub(crate) fn validate(call: &Call<'_>, warnings: Vec<Fault>) -> Result<HandlerPlan, Problem> {
    let faults = parse_program(call)?.err().unwrap_or_default();
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&ValidationResponse {
        valid: faults.is_empty(),
        faults,
        warnings,
    })))
}

/// `POST /v1/program/dry-run`: the points that an order would earn, under the program in
/// force or the one in the body.
pub(crate) fn dry_run(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let trial = call.body::<DryRunBody<'_>>()?.parse()?;
    let (version, current) =
        load(call, None)?.ok_or_else(|| Problem::internal("the shop has no program"))?;
    let published = trial.program.is_none();
    let program = trial.program.as_ref().unwrap_or(&current);

    let (shop, new_account) = (call.shop()?, Account::default());
    let context = Context::new(program, &new_account, call.now);
    let context = context
        .with_zone(shop.zone)
        .with_minor_digits(shop.minor_digits())
        .with_periods(&[], ProgramPeriod { version, ..context.period })
        .with_tags(&trial.tags)
        .with_attributes(&trial.attributes);
    let explanation = simulate_order(&context, trial.order, trial.tier, &shop)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DryRunResponse::new(
        &explanation,
        published,
    ))))
}

/// Decides a new order of a new customer with this tier, without recording anything.
fn simulate_order(
    context: &Context<'_>,
    order: OrderBody,
    tier: Option<TierId>,
    shop: &Shop,
) -> Result<Explanation, Problem> {
    let id = OrderId::new("dry-run").map_err(Problem::internal)?;
    let report = order
        .parse(id.clone(), shop, context.now)
        .map_err(|problem| prefix_pointer("/order", problem))?;
    let pointer = report.error_pointer();

    let mut account = context.account.cloned().unwrap_or_default();
    let set_tier = Command::SetTier(tier.map(|id| ManualTier { id, until: None }));
    let unknown_tier = |rejection: RuleRejection| {
        error::from_rejection(&rejection.into(), Some("/tier".to_owned()))
    };
    let decision = decide(context, &set_tier).map_err(unknown_tier)?;
    decision.events.iter().for_each(|event| account.evolve(event));

    let context = context.with_account(Some(&account));
    let decision = decide(&context, &report.command).map_err(|rejection| {
        let rejection = Rejection::Rules(rejection);
        let pointer = pointer(&rejection).map(|pointer| format!("/order{pointer}"));
        error::from_rejection(&rejection, pointer)
    })?;
    let ProgramPeriod { version, program, .. } = context.period;
    let mut state = OrderState::new(id);
    decision.events.iter().for_each(|event| state.evolve(event));

    // An order without a pin is below the gate or cancelled. Its entitlement is zero
    // under any pin.
    let pin = state.pin().cloned();
    let pin = pin.unwrap_or_else(|| Pin::new(version, context.now));
    entitlement(&state, program, &pin)
        .map_err(|error| error::from_rejection(&RuleRejection::from(error).into(), None))
}
