//! The keys of a shop, and the secrets with which its connected stores sign.

use hyper::StatusCode;
use loyalty_core::StoreId;
use loyalty_store::{AdminAction, AdminOutcome, KeyOwner, NewApiKey, Rejection, Store};

use super::administration::Administration;
use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::credentials;
use crate::problem::Problem;
use crate::wire::json::field::Text;
use crate::wire::key::{
    CreatedKeyResponse, KeyBody, KeyRecordResponse, KeysResponse, RotationBody, StoreSecretResponse,
};
use crate::wire::value::TimeText;

/// `GET /v1/keys`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (owner, now) = (KeyOwner::Shop(call.shop_id()), call.now);
    Ok(HandlerPlan::read(move |store: &dyn Store| {
        let keys = store.api_keys(owner).map_err(error::from_failure)?;
        let valid = keys.iter().filter(|key| key.is_valid(now));
        let keys = valid.map(KeyRecordResponse::from).collect();
        Ok(EncodedResponse::ok(&KeysResponse { keys }))
    }))
}

/// `POST /v1/keys`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (name, scopes, expires_at) = call.body::<KeyBody<'_>>()?.parse(call.now)?;
    let (hash, text) = credentials::draw_key().map_err(Problem::internal)?;
    let key = NewApiKey { hash, name, scopes, expires_at };
    Ok(created_key(call, AdminAction::CreateKey(key), text))
}

/// `POST /v1/keys/{key_id}/rotate`
pub(crate) fn rotate(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    let grace = call.optional_body::<RotationBody>()?.parse()?;
    let (replacement, text) = credentials::draw_key().map_err(Problem::internal)?;
    Ok(created_key(call, AdminAction::RotateKey { id, replacement, grace }, text))
}

/// A plan that answers with a new key.
fn created_key(call: &Call<'_>, action: AdminAction, text: String) -> HandlerPlan {
    let body = move |outcome: &AdminOutcome| {
        let AdminOutcome::Key(record) = outcome else { return Vec::new() };
        to_json(&CreatedKeyResponse { record: record.into(), key: &text })
    };
    Administration::new(call, action, StatusCode::CREATED, body, error_pointer).into_plan()
}

/// `DELETE /v1/keys/{key_id}`
pub(crate) fn revoke(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (id, allow_last) = (path_id(call)?, call.query.flag("allow_last")?);
    let action = AdminAction::RevokeKey { id, allow_last };
    let plan =
        Administration::new(call, action, StatusCode::NO_CONTENT, |_| Vec::new(), error_pointer);
    Ok(plan.into_plan())
}

/// The part of a request that causes a rejection.
fn error_pointer(rejection: &Rejection) -> Option<String> {
    if *rejection == Rejection::LastAdminKey {
        Some("allow_last".to_owned())
    } else if *rejection == Rejection::KeyNotFound {
        Some("key_id".to_owned())
    } else if let Rejection::ScopeNotHeld { .. } = rejection {
        Some("/scopes".to_owned())
    } else {
        None
    }
}

fn path_id(call: &Call<'_>) -> Result<String, Problem> {
    call.path::<Text<255>>("key_id").map(Text::into_string)
}

/// `POST /v1/stores/{store_id}/secret/rotate`
pub(crate) fn rotate_secret(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let not_found =
        || error::from_rejection(&Rejection::StoreNotFound, Some("store_id".to_owned()));
    let id = call.path::<Text<255>>("store_id")?;
    let store = StoreId::new(id.as_str()).ok_or_else(not_found)?;
    let grace = call.optional_body::<RotationBody>()?.parse()?;
    let secret = credentials::draw_secret().map_err(Problem::internal)?;

    let shown = secret.clone();
    let body = move |outcome: &AdminOutcome| {
        let AdminOutcome::StoreSecret { previous_ends_at } = outcome else {
            return Vec::new();
        };
        to_json(&StoreSecretResponse {
            store_id: id.as_str(),
            secret: shown.expose(),
            previous_expires_at: previous_ends_at.map(TimeText),
        })
    };
    let action = AdminAction::RotateStoreSecret { store, secret, grace, may_create: false };
    let pointer = |_: &Rejection| Some("store_id".to_owned());
    Ok(Administration::new(call, action, StatusCode::CREATED, body, pointer).into_plan())
}
