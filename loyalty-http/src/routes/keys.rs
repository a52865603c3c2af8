//! The routes of keys and signing secrets.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::keys;
use crate::problem::code;
use crate::route::{Operation, Route, get_with_scope, write, write_with_query};
use crate::wire::key::{
    CreatedKeyResponse, KeyBody, KeysResponse, RotationBody, StoreSecretResponse,
};

pub(super) const ROUTES: &[Route] = &[
    write(
        Method::POST,
        "/v1/keys",
        Scope::Admin,
        keys::create,
        Operation::new("createKey", "Creates a key")
            .described(
                "The key is shown once. It can have no scope that the key of the request lacks. A \
                 shop has at most 100 keys.",
            )
            .accepts::<KeyBody<'_>>(r#"{"name": "Till 1", "scopes": ["read", "write"]}"#)
            .creates::<CreatedKeyResponse<'_>>()
            .rejects(&[(409, &[code::TOO_MANY_KEYS])]),
    ),
    get_with_scope(
        "/v1/keys",
        Scope::Admin,
        &[],
        keys::list,
        Operation::new("listKeys", "Lists the keys that are valid").returns::<KeysResponse<'_>>(),
    ),
    write_with_query(
        Method::DELETE,
        "/v1/keys/{key_id}",
        &["allow_last"],
        Scope::Admin,
        keys::revoke,
        Operation::new("revokeKey", "Revokes a key")
            .described(
                "No request with it is accepted any more: on this server at once, and on another \
                 one on the same file after two seconds at most.",
            )
            .returns_nothing()
            .rejects(&[(404, &[code::KEY_NOT_FOUND]), (409, &[code::LAST_ADMIN_KEY])]),
    ),
    write(
        Method::POST,
        "/v1/keys/{key_id}/rotate",
        Scope::Admin,
        keys::rotate,
        Operation::new("rotateKey", "Replaces a key by a new one")
            .described(
                "The new key has the same name, scopes and end, and is shown once. The old one \
                 stays valid for a day, or as long as the request says.",
            )
            .may_accept::<RotationBody>(r#"{"grace_seconds": 3600}"#)
            .creates::<CreatedKeyResponse<'_>>()
            .rejects(&[(404, &[code::KEY_NOT_FOUND]), (409, &[code::TOO_MANY_KEYS])]),
    ),
    write(
        Method::POST,
        "/v1/stores/{store_id}/secret/rotate",
        Scope::Admin,
        keys::rotate_secret,
        Operation::new("rotateStoreSecret", "Gives a store a new secret to sign with")
            .described(
                "The secret is shown once. The one before it stays valid for a day, or as long as \
                 the request says; older ones are not valid any more. Every shop has the store \
                 `plugin`. Keys stay as they are.",
            )
            .may_accept::<RotationBody>(r#"{"grace_seconds": 3600}"#)
            .creates::<StoreSecretResponse<'_>>()
            .rejects(&[(404, &[code::STORE_NOT_FOUND])]),
    ),
];
