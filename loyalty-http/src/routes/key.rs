//! The routes of key.

use crate::endpoint::key;
use crate::route::{Operation, Route, get};

pub(super) const ROUTES: &[Route] = &[get(
    "/v1/key",
    &[],
    key::show,
    Operation::new("showKey", "Shows the key, its scopes, its shop and the server's time")
        .returns::<key::KeyResponse<'_>>(),
)];
