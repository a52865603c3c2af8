//! The routes of saved searches for Shopify's clients.

use hyper::Method;
use loyalty_store::Scope;

use crate::problem::code;
use crate::route::{Operation, Route, shopify};
use crate::shopify::saved_searches;
use crate::shopify::schema as objects;
use crate::wire::customer::CountResponse;

pub(in crate::routes) const ROUTES: &[Route] = &[
    shopify(
        Method::POST,
        "/admin/api/{version}/customer_saved_searches.json",
        &[],
        Scope::Write,
        saved_searches::create,
        Operation::new("shopifySaveSearch", "Saves a search for customers")
            .accepts::<objects::SavedSearchRequest>(
                r#"{
                  "customer_saved_search": {
                    "name": "Rich",
                    "query": "points:>100"
                  }
                }"#,
            )
            .creates::<objects::SavedSearchObject>()
            .rejects(&[(422, &[code::INVALID_SEARCH, code::SAVED_SEARCH_NAME_TAKEN])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches.json",
        &["limit", "page_info", "since_id", "fields"],
        Scope::Read,
        saved_searches::list,
        Operation::new("shopifyListSavedSearches", "Lists the saved searches")
            .returns::<objects::SavedSearchList>()
            .with_response_headers(&["Link"]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches/count.json",
        &[],
        Scope::Read,
        saved_searches::count,
        Operation::new("shopifyCountSavedSearches", "Counts the saved searches")
            .returns::<CountResponse>(),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches/{id}.json",
        &["fields"],
        Scope::Read,
        saved_searches::show,
        Operation::new("shopifyShowSavedSearch", "Shows a saved search")
            .returns::<objects::SavedSearchPart>()
            .rejects(&[(404, &[code::SAVED_SEARCH_NOT_FOUND])]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches/{id}/customers.json",
        &["limit", "page_info", "fields", "order"],
        Scope::Read,
        saved_searches::customers,
        Operation::new("shopifyRunSavedSearch", "Lists the customers that match a saved search")
            .returns::<objects::CustomerList>()
            .with_response_headers(&["Link"])
            .rejects(&[(404, &[code::SAVED_SEARCH_NOT_FOUND]), (422, &[code::INVALID_SEARCH])]),
    ),
];
