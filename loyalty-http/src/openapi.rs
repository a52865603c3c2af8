//! The OpenAPI 3.1 document, served at `/openapi.json`.
//!
//! What only a person can say of an operation stands in `openapi/`, one file a resource, as the handlers do:
//! its name, its body, its answer, and why it is refused. What the router knows is not repeated there: method
//! and path, path and query parameters, the key and its scope, and what can be refused before a handler is
//! reached. [`document`] puts both together; the tests hold it to the router and to every answer that they get.
//!
//! # An operation
//! ```json
//! "POST /v1/points-add": {
//!   "operationId": "addPoints",
//!   "summary": "Adds points to a customer's balance",
//!   "body": {"schema": "PointsChange", "example": {"customer_id": "42", "points": 250}},
//!   "answer": {"status": 201, "schema": "PointsChanged", "headers": ["ETag"]},
//!   "refuses": {"404": ["customer_not_found"], "422": ["points_out_of_range"]}
//! }
//! ```
//! `headers` beside them names further request headers, `required` the query parameters that must be there;
//! `"document": true` in a body says that its members are judged later, `"required": false` that it can be left
//! out; `text` in an answer is another media type of it. The meaning of each code stands in `codes.json`.
//!
//! # A schema
//! JSON Schema, with two abbreviations. Where a schema stands, a string names one: `"Id"`, `"Id?"` for one that
//! can be null, `"[Id]"` for a list. And `{"object": {"points": "Points", "reason?": "Text500"}}` is an object
//! of these members and no others, those with a question mark optional.

mod operation;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::router::ROUTES;
use operation::SharedComponents;

/// A file for each resource, by its name.
const RESOURCES: &[(&str, &str)] = &[
    ("health", include_str!("../openapi/health.json")),
    ("key", include_str!("../openapi/key.json")),
    ("customers", include_str!("../openapi/customers.json")),
    ("points", include_str!("../openapi/points.json")),
    ("ledger", include_str!("../openapi/ledger.json")),
    ("tiers", include_str!("../openapi/tiers.json")),
    ("actions", include_str!("../openapi/actions.json")),
    ("referrals", include_str!("../openapi/referrals.json")),
    ("orders", include_str!("../openapi/orders.json")),
    ("redemptions", include_str!("../openapi/redemptions.json")),
    ("program", include_str!("../openapi/program.json")),
    ("reminders", include_str!("../openapi/reminders.json")),
    ("reports", include_str!("../openapi/reports.json")),
    ("saved searches", include_str!("../openapi/saved_searches.json")),
    ("products", include_str!("../openapi/products.json")),
    ("categories", include_str!("../openapi/categories.json")),
    ("price rules", include_str!("../openapi/price_rules.json")),
    ("discount codes", include_str!("../openapi/discount_codes.json")),
    ("carts", include_str!("../openapi/carts.json")),
    ("Shopify: customers", include_str!("../openapi/shopify/customers.json")),
    (
        "Shopify: saved searches",
        include_str!("../openapi/shopify/saved_searches.json"),
    ),
    ("Shopify: products", include_str!("../openapi/shopify/products.json")),
    ("Shopify: price rules", include_str!("../openapi/shopify/price_rules.json")),
    (
        "Shopify: discount codes",
        include_str!("../openapi/shopify/discount_codes.json"),
    ),
    ("store plugins", include_str!("../openapi/webhooks.json")),
];

/// What the resources share: parameters, headers, and what is refused before a handler is reached.
const SHARED: &str = include_str!("../openapi/shared.json");

/// The stable codes of problems, and what each means.
const CODES: &str = include_str!("../openapi/codes.json");

/// The whole document, as it is served.
pub fn document() -> &'static Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| Bytes::from(assemble().to_string()))
}

#[expect(
    clippy::expect_used,
    reason = "the files are part of the program; the first test reads them"
)]
fn parse_object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("an object")
}

/// An object in an object; empty where there is none.
fn members<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn assemble() -> Value {
    let shared = SharedComponents::new(Value::Object(parse_object(SHARED)));
    let resources = RESOURCES
        .iter()
        .map(|(name, text)| (*name, Value::Object(parse_object(text))));
    let (mut tags, mut paths, mut schemas) = (Vec::new(), Map::new(), Map::new());
    schemas.extend(
        members(&shared.0, "schemas").map(|(name, schema)| (name.clone(), schema::expand(schema))),
    );
    schemas.insert("ProblemCode".to_owned(), problem_code_schema());
    for (tag, resource) in resources {
        tags.push(json!({ "name": tag }));
        schemas.extend(
            members(&resource, "schemas")
                .map(|(name, schema)| (name.clone(), schema::expand(schema))),
        );
        for (key, told) in members(&resource, "operations") {
            let Some(route) = ROUTES
                .iter()
                .find(|route| format!("{} {}", route.method, route.pattern) == *key)
            else {
                continue;
            };
            let method = route.method.as_str().to_lowercase();
            let path = paths
                .entry(route.pattern)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(path) = path.as_object_mut() {
                path.insert(method, shared.operation(tag, route, told));
            }
        }
    }
    let mut document = shared.document_members();
    document.insert("tags".to_owned(), tags.into());
    document.insert("paths".to_owned(), paths.into());
    document.insert("components".to_owned(), shared.components(&schemas));
    document.into()
}

/// All codes, each with its meaning.
fn problem_code_schema() -> Value {
    let codes = parse_object(CODES)
        .into_iter()
        .map(|(code, meaning)| json!({ "const": code, "description": meaning }));
    json!({ "type": "string", "oneOf": codes.collect::<Vec<_>>() })
}
