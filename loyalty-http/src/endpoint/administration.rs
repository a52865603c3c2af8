//! Administrative transactions: what they do, and how their outcome is rendered.

use hyper::StatusCode;
use loyalty_core::Timestamp;
use loyalty_store::{
    self as store, Actor, AdminAction, AdminIdempotency, AdminOutcome, AdminReply, AdminRequest,
    Failure, KeyOwner, Rejection, Store,
};

use super::{Call, ErrorPointer, HandlerPlan, error};
use crate::idempotency::IdempotencyRecord;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// One administrative transaction, and the rendering of its outcome.
pub(crate) struct Administration {
    owner: KeyOwner,
    actor: Actor,
    action: AdminAction,
    status: StatusCode,
    body: Box<OutcomeBody>,
    pointer: Box<ErrorPointer>,
}

type OutcomeBody = dyn FnOnce(&AdminOutcome) -> Vec<u8> + Send;

impl Administration {
    /// A change by the key of a request, with the status and body of its success and the
    /// `pointer` to the part of the request that causes a rejection.
    pub(crate) fn new(
        call: &Call<'_>,
        action: AdminAction,
        status: StatusCode,
        body: impl FnOnce(&AdminOutcome) -> Vec<u8> + Send + 'static,
        pointer: impl FnOnce(&Rejection) -> Option<String> + Send + 'static,
    ) -> Self {
        Self {
            owner: call.key.owner,
            actor: Actor::Key(call.key.id().to_owned()),
            action,
            status,
            body: Box::new(body),
            pointer: Box::new(pointer),
        }
    }

    pub(crate) fn into_plan(self) -> HandlerPlan {
        HandlerPlan::Administer(Box::new(self))
    }

    /// Executes the transaction. Waits for the disk. Returns the response, and whether it was
    /// given before.
    pub(crate) fn execute(
        self,
        store: &dyn Store,
        now: Timestamp,
        idempotency: Option<IdempotencyRecord>,
        id: RequestId,
    ) -> Result<(store::Response, bool), Problem> {
        let Self { owner, actor, action, status, body, pointer } = self;
        let render = move |outcome: &Result<AdminOutcome, Rejection>| match outcome {
            Ok(outcome) => store::Response { status: status.as_u16(), body: body(outcome) },
            Err(rejection) => {
                let problem = error::from_rejection(rejection, pointer(rejection));
                let status = problem.status().status().as_u16();
                store::Response { status, body: problem.to_json(id) }
            }
        };
        let Some(IdempotencyRecord { key, fingerprint }) = idempotency else {
            let request = AdminRequest { owner, now, actor, idempotency: None, action };
            return match store.administer(request).map_err(error::from_failure)? {
                AdminReply::Decided(outcome) => Ok((render(&outcome), false)),
                AdminReply::Stored { response, replayed } => Ok((response, replayed)),
            };
        };

        let idempotency = AdminIdempotency { key, fingerprint, render: Box::new(render) };
        let request = AdminRequest { owner, now, actor, idempotency: Some(idempotency), action };
        match store.administer(request).map_err(error::from_failure)? {
            AdminReply::Stored { response, replayed } => Ok((response, replayed)),
            // Nothing was decided, because another request has used the key.
            AdminReply::Decided(Err(rejection)) => {
                Err(error::from_rejection(&rejection, Some("Idempotency-Key".to_owned())))
            }
            AdminReply::Decided(Ok(_)) => Err(error::from_failure(Failure::Corrupt(
                "an idempotent request without a stored response".to_owned(),
            ))),
        }
    }
}
