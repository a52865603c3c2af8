//! The routes of customers for Shopify's clients.

use hyper::Method;
use loyalty_store::Scope;

use crate::problem::code;
use crate::route::{Operation, Route, shopify};
use crate::shopify::customers;
use crate::shopify::schema as objects;
use crate::wire::customer::CountResponse;

pub(in crate::routes) const ROUTES: &[Route] = &[
    shopify(
        Method::POST,
        "/admin/api/{version}/customers.json",
        &[],
        Scope::Write,
        customers::create,
        Operation::new("shopifyCreateCustomer", "Creates a customer")
            .accepts::<objects::NewCustomerRequest>(
                r#"{
                  "customer": {
                    "email": "grace@example.com",
                    "first_name": "Grace",
                    "tags": "vip, new"
                  }
                }"#,
            )
            .creates::<objects::CustomerObject>()
            .rejects(&[(
                422,
                &[
                    code::CUSTOMER_EXISTS,
                    code::EMAIL_TAKEN,
                    code::MISSING_FIELD,
                    code::POINTS_OUT_OF_RANGE,
                ],
            )]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers.json",
        &[
            "limit",
            "page_info",
            "since_id",
            "ids",
            "fields",
            "order",
            "created_at_min",
            "created_at_max",
            "updated_at_min",
            "updated_at_max",
        ],
        Scope::Read,
        customers::list,
        Operation::new(
            "shopifyListCustomers",
            "Lists customers by the time of their creation, or those with these \
             numbers",
        )
        .returns::<objects::CustomerList>()
        .with_response_headers(&["Link"]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers/count.json",
        &["created_at_min", "created_at_max", "updated_at_min", "updated_at_max"],
        Scope::Read,
        customers::count,
        Operation::new("shopifyCountCustomers", "Counts the customers").returns::<CountResponse>(),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers/search.json",
        &["query", "limit", "page_info", "fields", "order"],
        Scope::Read,
        customers::search,
        Operation::new("shopifySearchCustomers", "Lists the customers that match a search")
            .returns::<objects::CustomerList>()
            .with_response_headers(&["Link"]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers/{id}.json",
        &["fields"],
        Scope::Read,
        customers::show,
        Operation::new("shopifyShowCustomer", "Shows a customer")
            .returns::<objects::CustomerPart>()
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    shopify(
        Method::PUT,
        "/admin/api/{version}/customers/{id}.json",
        &[],
        Scope::Write,
        customers::update,
        Operation::new(
            "shopifyUpdateCustomer",
            "Changes a customer; the last response, sent back, changes nothing",
        )
        .accepts::<objects::CustomerChangeRequest>(
            r#"{
                  "customer": {
                    "last_name": "Lovelace",
                    "addresses": [{"zip": "10115", "country": "DE"}]
                  }
                }"#,
        )
        .returns::<objects::CustomerObject>()
        .rejects(&[
            (404, &[code::CUSTOMER_NOT_FOUND]),
            (422, &[code::EMAIL_TAKEN, code::MISSING_FIELD, code::POINTS_OUT_OF_RANGE]),
        ]),
    ),
];
