//! The routes of customers.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::{customers, export};
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get, write_with_query};
use crate::wire::customer::{
    ClaimsResponse, CountResponse, CustomerBody, CustomerPatch, CustomerResponse, CustomersResponse,
};
use crate::wire::erasure::{EraseBody, ErasureResponse};
use crate::wire::export::ExportResponse;
use crate::wire::merge::{MergeBody, MergeResponse};
use crate::wire::redemption::EmptyBody;

const ERASURE: &str = "Removes profile, ids, points and unused codes at once. What names the \
    customer elsewhere (reasons, attributes of orders, price rules, saved searches, stored \
    responses) and what files still have of it follows shortly: then a repeated request shows \
    `completed_at`. Orders stay, and what was earned and spent stays counted; points that were \
    left are removed by an entry. Later reports of the customer's orders are recorded and earn \
    nothing. Who signs up again is a new customer without points.";

pub(super) const ROUTES: &[Route] = &[
    dry_runnable(
        Method::POST,
        "/v1/customers",
        customers::create,
        Operation::new("createCustomer", "Creates a customer, who signs up")
            .accepts::<CustomerBody>(
                r#"{
                  "customer_id": "43",
                  "email": "grace@example.com",
                  "first_name": "Grace",
                  "birthday": "1990-12-31",
                  "tags": ["vip"],
                  "attributes": {
                    "language": "en"
                  }
                }"#,
            )
            .creates::<CustomerResponse<'_>>()
            .rejects(&[
                (409, &[code::CUSTOMER_EXISTS]),
                (422, &[code::EMAIL_TAKEN, code::POINTS_OUT_OF_RANGE]),
            ]),
    ),
    get(
        "/v1/customers",
        &["limit", "cursor", "email"],
        customers::list,
        Operation::new(
            "listCustomers",
            "Lists customers by the time of their creation, or finds the one with an \
             e-mail address",
        )
        .returns::<CustomersResponse<'_>>()
        .with_response_headers(&["Link"]),
    ),
    get(
        "/v1/customers/count",
        &["query"],
        customers::count,
        Operation::new("countCustomers", "Counts all customers, or those that match a search")
            .returns::<CountResponse>(),
    ),
    get(
        "/v1/customers/search",
        &["query", "limit", "cursor"],
        customers::search,
        Operation::new("searchCustomers", "Lists the customers that match a search")
            .returns::<CustomersResponse<'_>>()
            .with_response_headers(&["Link"])
            .requires(&["query"])
            .rejects(&[(400, &[code::MISSING_PARAMETER])]),
    ),
    get(
        "/v1/customers/{customer_id}",
        &[],
        customers::show,
        Operation::new("showCustomer", "Shows a customer")
            .returns::<CustomerResponse<'_>>()
            .with_response_headers(&["ETag"])
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::PATCH,
        "/v1/customers/{customer_id}",
        customers::update,
        Operation::new(
            "updateCustomer",
            "Changes profile, tags, tier and point balance of a customer",
        )
        .described(
            "An absent member stays as it is; null clears it. A tier set here is \
             valid until `tier_until`, or until the customer qualifies for a higher \
             one.",
        )
        .accepts::<CustomerPatch>(
            r#"{
                  "birthday": "1990-12-31",
                  "tier": "gold",
                  "tier_until": "2027-01-01T00:00:00Z",
                  "point_balance": 500,
                  "reason": "moved from the old shop"
                }"#,
        )
        .returns::<CustomerResponse<'_>>()
        .with_headers(&["If-Match"])
        .rejects(&[
            (404, &[code::CUSTOMER_NOT_FOUND]),
            (412, &[code::PRECONDITION_FAILED]),
            (422, &[code::EMAIL_TAKEN, code::POINTS_OUT_OF_RANGE, code::UNKNOWN_TIER]),
        ]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/customers/{customer_id}/merge",
        customers::merge,
        Operation::new(
            "mergeCustomer",
            "Merges another customer into this one: they are one person",
        )
        .described(
            "Lots keep their ends, and both histories count for tiers, limits and \
                 referrals. The id of the other customer finds this one from then on, and \
                 their codes work. A customer with an id cannot be separated again: ask \
                 with `dry_run` first.",
        )
        .accepts::<MergeBody>(r#"{"from": {"customer_id": "8"}}"#)
        .returns::<MergeResponse<'_>>()
        .rejects(&[
            (404, &[code::CUSTOMER_NOT_FOUND]),
            (422, &[code::POINTS_OUT_OF_RANGE, code::SAME_CUSTOMER]),
        ]),
    ),
    get(
        "/v1/customers/{customer_id}/export",
        &["cursor"],
        export::show,
        Operation::new("exportCustomer", "Shows all that is stored about a customer")
            .described(
                "Profile, household, tags, tier, referrals, redemptions with their codes, orders \
                 and the ledger, also those of customers and guests who were merged into this one. \
                 A long history comes in several parts: follow `Link`. The parts are read one \
                 after the other, so what happens meanwhile may be in none of them.",
            )
            .returns::<ExportResponse<'_>>()
            .with_response_headers(&["Link"])
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    write_with_query(
        Method::POST,
        "/v1/customers/{customer_id}/erase",
        &["dry_run"],
        Scope::Admin,
        customers::erase,
        Operation::new("eraseCustomer", "Erases a customer, for good")
            .described(ERASURE)
            .may_accept::<EmptyBody>(r"{}")
            .returns::<ErasureResponse>()
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    write_with_query(
        Method::POST,
        "/v1/customers/erase",
        &["dry_run"],
        Scope::Admin,
        customers::erase_by_reference,
        Operation::new("eraseCustomerByEmail", "Erases a guest, or a customer by e-mail address")
            .described(ERASURE)
            .accepts::<EraseBody>(r#"{"email": "ada@example.com"}"#)
            .returns::<ErasureResponse>()
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    get(
        "/v1/customers/{customer_id}/claims",
        &[],
        customers::claims,
        Operation::new(
            "listClaims",
            "Lists the guests whose accounts a customer has claimed by an e-mail address",
        )
        .returns::<ClaimsResponse<'_>>()
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/customers/{customer_id}/claims/{claim_id}/undo",
        customers::undo_claim,
        Operation::new(
            "undoClaim",
            "Undoes a claim: the guest has the address, the points and the orders again",
        )
        .described(
            "Possible as long as nothing of it was spent, taken back or used to pay off \
             debt. The customer claims the guest again only with a verified address.",
        )
        .may_accept::<EmptyBody>(r"{}")
        .returns::<CustomerResponse<'_>>()
        .rejects(&[
            (404, &[code::CLAIM_NOT_FOUND, code::CUSTOMER_NOT_FOUND]),
            (422, &[code::CLAIM_SPENT]),
        ]),
    ),
];
