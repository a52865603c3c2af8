//! The problems for errors of the store. A rejection is an error of the client (4xx); a
//! failure is one of the server (5xx).

use loyalty_core::Rejection as RuleRejection;
use loyalty_store::{Failure, Rejection};

use crate::problem::{ErrorStatus, Problem, to_sentence};
use crate::wire::price_rule;

/// The problem for a failure. Its cause goes to the log; the client sees only if a retry
/// can help.
pub(crate) fn from_failure(failure: Failure) -> Problem {
    match failure {
        Failure::Busy | Failure::Cancelled | Failure::Unavailable(_) | Failure::Unwritable(_) => {
            Problem::unavailable(1, failure)
        }
        Failure::UnknownOutcome(_) => unknown_outcome(failure),
        Failure::Corrupt(_)
        | Failure::MasterKey(_)
        | Failure::NewerFormat { .. }
        | Failure::OlderFormat { .. } => Problem::internal(failure),
        // `Failure` is non-exhaustive.
        other => Problem::internal(other),
    }
}

/// 503 `outcome_unknown`: the request may have taken effect.
pub(crate) fn unknown_outcome(cause: impl std::fmt::Display) -> Problem {
    let detail = "The outcome of the request is unknown. Retried with the same \
                  Idempotency-Key, it takes effect at most once.";
    Problem::new(ErrorStatus::UNAVAILABLE, "outcome_unknown", detail)
        .with_cause(cause)
        .with_retry_after(1)
}

/// The problem for a rejection: 404 for an unknown resource, 409 and 412 for a conflict
/// with the current state, 429 for what time allows again, else 422. The faults of a price rule get pointers below
/// `param`.
pub(crate) fn from_rejection(rejection: &Rejection, param: Option<String>) -> Problem {
    if let Rejection::InvalidPriceRule(faults) = rejection {
        return price_rule::invalid_rule(faults, param.as_deref().unwrap_or_default());
    }

    if *rejection == Rejection::KeyRevoked {
        return Problem::unauthorized("The key is unknown or revoked.");
    }

    let status = match rejection {
        Rejection::CategoryNotFound
        | Rejection::CodeNotFound
        | Rejection::ClaimNotFound
        | Rejection::CustomerNotFound
        | Rejection::DeliveryNotFound
        | Rejection::KeyNotFound
        | Rejection::PriceRuleNotFound
        | Rejection::ProductNotFound
        | Rejection::RedemptionNotFound
        | Rejection::ReferralCodeNotFound
        | Rejection::SavedSearchNotFound
        | Rejection::StoreNotFound
        | Rejection::WebhookEndpointNotFound => ErrorStatus::NOT_FOUND,
        Rejection::CodeTaken
        | Rejection::CustomerExists
        | Rejection::LastAdminKey
        | Rejection::SavedSearchNameTaken
        | Rejection::StoreConnected
        | Rejection::TooManyKeys { .. }
        | Rejection::TooManyWebhookEndpoints { .. } => ErrorStatus::CONFLICT,
        Rejection::ScopeNotHeld { .. } => ErrorStatus::FORBIDDEN,
        Rejection::PreconditionFailed | Rejection::ProgramChanged { .. } => {
            ErrorStatus::PRECONDITION_FAILED
        }
        Rejection::TooManyVersions { .. } => ErrorStatus::TOO_MANY_REQUESTS,
        Rejection::Rules(RuleRejection::AccountErased) => ErrorStatus::GONE,
        Rejection::EmailTaken
        | Rejection::IdempotencyKeyReused
        | Rejection::OrderOfAnotherCustomer
        | Rejection::Rules(_)
        | _ => ErrorStatus::UNPROCESSABLE,
    };

    let problem = Problem::new(status, rejection.code(), to_sentence(&rejection.to_string()));
    let problem = match param {
        Some(param) => problem.with_param(param),
        None => problem,
    };
    let problem = match rejection.retry_after() {
        Some(seconds) => problem.with_retry_after(seconds),
        None => problem,
    };
    with_extensions(problem, rejection)
}

/// The same 404 for a read as the store's rejection of a write.
pub(crate) fn customer_not_found() -> Problem {
    from_rejection(&Rejection::CustomerNotFound, Some("customer_id".to_owned()))
}

/// 410 for a request that took effect, whose response was about a customer who was erased.
pub(crate) fn response_erased() -> Problem {
    let detail = "The request took effect. Its response was erased with its customer.";
    Problem::new(ErrorStatus::GONE, "customer_erased", detail)
}

/// Adds the numbers of a rejection, and the text that a shopper may see.
fn with_extensions(problem: Problem, rejection: &Rejection) -> Problem {
    if let Rejection::ProgramChanged { current } = rejection {
        problem.with_extension("current", i64::from(current.0))
    } else if let Rejection::Rules(RuleRejection::InsufficientPoints { have, need }) = rejection {
        problem
            .with_extension("have", have.get())
            .with_extension("need", need.get())
    } else if let Some(code_rejection) = rejection.refusal() {
        let text = to_sentence(&code_rejection.public_text());
        problem
            .with_extension("public_reason", code_rejection.public_code().to_owned())
            .with_extension("public_text", text)
    } else if let Rejection::Rules(RuleRejection::ReferralRejected { reason }) = rejection {
        problem.with_extension("reason", reason.name().to_owned())
    } else if let Rejection::Rules(RuleRejection::RefundExceedsOrder { left, total }) = rejection {
        problem
            .with_extension("left", left.to_string())
            .with_extension("total", total.to_string())
    } else if let Rejection::Rules(RuleRejection::RefundExceedsLine { quantity, .. }) = rejection {
        problem.with_extension("quantity", quantity.to_string())
    } else {
        problem
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use loyalty_core::{Points, ProgramVersion};

    #[test]
    fn the_status_of_a_failure_depends_on_a_retry() {
        for (failure, status, code) in [
            (Failure::Busy, 503, "unavailable"),
            (Failure::Unavailable("disk".to_owned()), 503, "unavailable"),
            (Failure::UnknownOutcome("sync".to_owned()), 503, "outcome_unknown"),
            (Failure::Corrupt("row 7".to_owned()), 500, "internal"),
            (Failure::NewerFormat { found: 9, supported: 1 }, 500, "internal"),
        ] {
            let problem = from_failure(failure);
            assert_eq!((problem.status().status().as_u16(), problem.code()), (status, code));
        }
    }

    #[test]
    fn rejections_have_a_status_a_sentence_and_extensions() {
        let need = Points::from(100);
        let rejection =
            Rejection::Rules(RuleRejection::InsufficientPoints { have: Points::from(40), need });
        let problem = from_rejection(&rejection, Some("/points".to_owned()));
        assert_eq!((problem.status().status().as_u16(), problem.param()), (422, Some("/points")));
        assert_eq!(problem.detail(), "100 points are needed, but only 40 are available.");
        for (rejection, status) in [
            (Rejection::CustomerNotFound, 404),
            (Rejection::CategoryNotFound, 404),
            (Rejection::ProductNotFound, 404),
            (Rejection::SavedSearchNotFound, 404),
            (Rejection::CustomerExists, 409),
            (Rejection::SavedSearchNameTaken, 409),
            (Rejection::PreconditionFailed, 412),
            (Rejection::ProgramChanged { current: ProgramVersion(2) }, 412),
            (Rejection::EmailTaken, 422),
            (Rejection::IdempotencyKeyReused, 422),
            (Rejection::OrderOfAnotherCustomer, 422),
        ] {
            assert_eq!(
                from_rejection(&rejection, None).status().status().as_u16(),
                status,
                "{rejection:?}"
            );
        }
        assert_eq!(
            from_rejection(&Rejection::CustomerNotFound, None).detail(),
            "There is no such customer."
        );
    }
}
