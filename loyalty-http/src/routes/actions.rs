//! The routes of actions.

use hyper::Method;

use crate::endpoint::actions;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable};
use crate::wire::award::{ActionBody, ActionResponse};

pub(super) const ROUTES: &[Route] = &[dry_runnable(
    Method::POST,
    "/v1/actions",
    actions::perform,
    Operation::new(
        "performAction",
        "Records an action that the program pays for, or a manual code that a \
             customer entered",
    )
    .accepts::<ActionBody>(r#"{"customer_id": "42", "action_id": "review"}"#)
    .returns::<ActionResponse<'_>>()
    .rejects(&[
        (404, &[code::CUSTOMER_NOT_FOUND]),
        (
            422,
            &[
                code::ACTION_NOT_OPEN,
                code::INVALID_POINTS,
                code::LIMIT_REACHED,
                code::NO_POINTS_OVERRIDE,
                code::POINTS_OUT_OF_RANGE,
                code::UNKNOWN_ACTION,
                code::UNKNOWN_CODE,
            ],
        ),
        (429, &[code::TOO_MANY_REQUESTS]),
    ]),
)];
