//! The routes of ledger.

use crate::endpoint::ledger;
use crate::problem::code;
use crate::route::{Operation, Route, get};
use crate::wire::ledger::LedgerResponse;

pub(super) const ROUTES: &[Route] = &[get(
    "/v1/customers/{customer_id}/ledger",
    &["kind", "recorded_from", "recorded_until", "limit", "cursor"],
    ledger::list,
    Operation::new("listLedgerEntries", "Lists the ledger of a customer, newest entry first")
        .described(
            "A page passes at most 2,000 rows of the customer's history. Where few of them have \
             entries of the kind or the time, it has fewer than `limit`, and `Link` goes on.",
        )
        .returns::<LedgerResponse<'_>>()
        .with_response_headers(&["Link"])
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
)];
