//! The routes of ledger.

use crate::endpoint::ledger;
use crate::problem::code;
use crate::route::{Operation, Route, get};
use crate::wire::ledger::LedgerResponse;

pub(super) const ROUTES: &[Route] = &[get(
    "/v1/customers/{customer_id}/ledger",
    &["limit", "cursor"],
    ledger::list,
    Operation::new("listLedgerEntries", "Lists the ledger of a customer, newest entry first")
        .returns::<LedgerResponse<'_>>()
        .with_response_headers(&["Link"])
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
)];
