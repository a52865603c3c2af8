//! The routes of saved searches.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::saved_searches;
use crate::problem::code;
use crate::route::{Operation, Route, get, write};
use crate::wire::customer::{CountResponse, CustomersResponse};
use crate::wire::saved_search::{SavedSearchBody, SavedSearchResponse, SavedSearchesResponse};

pub(super) const ROUTES: &[Route] = &[
    write(
        Method::POST,
        "/v1/customer-saved-searches",
        Scope::Write,
        saved_searches::create,
        Operation::new("saveSearch", "Saves a search for customers")
            .accepts::<SavedSearchBody>(r#"{"name": "Rich", "query": "points:>100"}"#)
            .creates::<SavedSearchResponse<'_>>()
            .rejects(&[(409, &[code::SAVED_SEARCH_NAME_TAKEN]), (422, &[code::INVALID_SEARCH])]),
    ),
    get(
        "/v1/customer-saved-searches",
        &["limit", "cursor"],
        saved_searches::list,
        Operation::new("listSavedSearches", "Lists the saved searches")
            .returns::<SavedSearchesResponse<'_>>()
            .with_response_headers(&["Link"]),
    ),
    get(
        "/v1/customer-saved-searches/count",
        &[],
        saved_searches::count,
        Operation::new("countSavedSearches", "Counts the saved searches")
            .returns::<CountResponse>(),
    ),
    get(
        "/v1/customer-saved-searches/{saved_search_id}",
        &[],
        saved_searches::show,
        Operation::new("showSavedSearch", "Shows a saved search")
            .returns::<SavedSearchResponse<'_>>()
            .rejects(&[(404, &[code::SAVED_SEARCH_NOT_FOUND])]),
    ),
    write(
        Method::DELETE,
        "/v1/customer-saved-searches/{saved_search_id}",
        Scope::Write,
        saved_searches::delete,
        Operation::new("deleteSavedSearch", "Deletes a saved search")
            .returns_nothing()
            .rejects(&[(404, &[code::SAVED_SEARCH_NOT_FOUND])]),
    ),
    get(
        "/v1/customer-saved-searches/{saved_search_id}/customers",
        &["limit", "cursor"],
        saved_searches::customers,
        Operation::new("runSavedSearch", "Lists the customers that match a saved search")
            .returns::<CustomersResponse<'_>>()
            .with_response_headers(&["Link"])
            .rejects(&[(404, &[code::SAVED_SEARCH_NOT_FOUND]), (422, &[code::INVALID_SEARCH])]),
    ),
];
