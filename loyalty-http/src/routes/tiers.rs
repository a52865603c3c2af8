//! The routes of tiers.

use crate::endpoint::tiers;
use crate::problem::code;
use crate::route::{Operation, Route, get};
use crate::wire::lot::LotsResponse;
use crate::wire::tier::TierResponse;

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/customers/{customer_id}/tier",
        &["at"],
        tiers::show,
        Operation::new(
            "showTier",
            "Shows a customer's tier, and what the next tier and keeping this one \
             need, now or at any instant",
        )
        .returns::<TierResponse<'_>>()
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    get(
        "/v1/customers/{customer_id}/lots",
        &["at", "limit", "cursor"],
        tiers::lots,
        Operation::new(
            "listLots",
            "Lists a customer's lots in spending order, now or at any instant",
        )
        .returns::<LotsResponse<'_>>()
        .with_response_headers(&["Link"])
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
];
