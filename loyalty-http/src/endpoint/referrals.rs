//! Referrals: a customer's code, the customers that used it, and the points earned by it.

use hyper::StatusCode;
use loyalty_core::program::EmailProof;
use loyalty_core::{Command, CustomerId};
use loyalty_store::{Action, CustomerRef, EmailConflict, Existence, Receipt, Rejection};

use super::discount_codes::lookup_limiter;
use super::{Call, EncodedResponse, HandlerPlan, customers, to_json};
use crate::problem::Problem;
use crate::throttle::ThrottleSubject;
use crate::wire::referral::{ReferralCodeBody, ReferralJoinBody, ReferralsResponse};

/// `POST /v1/customers/{customer_id}/referral-code`: issues a code, or returns the
/// existing one. A dry run shows another code than the real request will.
pub(crate) fn issue(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = CustomerRef::Id(call.path::<CustomerId>("customer_id")?);
    let change = call.body::<ReferralCodeBody>()?.parse()?;
    let mut entropy = [0; 10];
    getrandom::fill(&mut entropy).map_err(Problem::internal)?;

    let action = Action::Customer {
        customer,
        existence: Existence::Required,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof: EmailProof::Typed,
        if_match: None,
        commands: vec![Command::IssueReferralCode { entropy }],
    };
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt, error_pointer))
}

/// `POST /v1/customers/{customer_id}/referral`: records that the customer used this code.
pub(crate) fn join(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = CustomerRef::Id(call.path::<CustomerId>("customer_id")?);
    let (code, change) = call.body::<ReferralJoinBody>()?.parse()?;
    let limiter = lookup_limiter(call, ThrottleSubject::from(&customer));
    limiter.admit()?;

    Ok(HandlerPlan::write(
        Action::JoinReferral { customer, change, code },
        StatusCode::OK,
        render_receipt,
        move |rejection| {
            if matches!(rejection, Rejection::ReferralCodeNotFound) {
                limiter.record_failures(1);
            }
            error_pointer(rejection)
        },
    ))
}

/// `GET /v1/customers/{customer_id}/referrals`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = customers::find(call, call.path("customer_id")?)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&ReferralsResponse::new(&customer))))
}

fn render_receipt(receipt: &Receipt) -> Vec<u8> {
    to_json(&ReferralsResponse::from_receipt(receipt))
}

fn error_pointer(rejection: &Rejection) -> Option<String> {
    let param = match rejection.code() {
        "customer_not_found" => "customer_id",
        "referral_code_not_found" | "referral_refused" => "/code",
        _ => return None,
    };
    Some(param.to_owned())
}
