//! The OpenAPI 3.1 document, served at `/openapi.json`.
//!
//! Each fact has one place:
//!
//! - schemas are derived from the wire types, with their constraints and doc comments;
//! - an operation's summary, body, response and problem codes are part of its route, in `routes`;
//! - a problem code and its meaning are in [`problem`](crate::problem);
//! - parameters, headers and the problems that operations share are in `parameters`.
//!
//! [`document`] assembles them. `openapi.json` in this crate is its result, pretty-printed: a test
//! compares the two, so that a change of the contract is visible in a review. `UPDATE_OPENAPI=1
//! cargo test -p loyalty-http --test api document` writes the file again.
//!
//! [`plain_document`] is the same contract for generators of clients, which do not read all of
//! JSON Schema.

mod operation;
mod parameters;
mod plain;
mod problem;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::endpoint::EncodedResponse;
use crate::problem::Problem;
use crate::routes::RESOURCES;
use crate::wire::query::Query;
use parameters::{HEADERS, PARAMETERS};
use schemas::Schemas;

const DESCRIPTION: &str = "Points, orders, rewards and discount codes for shops. Three families \
    of paths: `/v1` with bearer keys; the same store endpoints at the paths of Shopify's REST \
    interface; and deliveries of store plugins, in signed bodies.\n\nAn error is answered as \
    problem+json (RFC 9457), and nothing has changed then. Programs read `code`, which is stable, \
    and `param`. What answers to GET answers to HEAD as well. Amounts of money are decimals in \
    strings, ids are strings, times are RFC 3339 in UTC.";

/// The whole document.
pub fn document() -> &'static Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| Bytes::from(assemble().to_string()))
}

/// The same contract without the parts of JSON Schema that generators of clients do not read: no
/// `false` and no null-only schemas, no conditions between members, one schema of problems.
pub fn plain_document() -> &'static Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| Bytes::from(plain::simplify(assemble()).to_string()))
}

/// `GET /openapi.json`
pub(crate) fn respond(query: &Query<'_>) -> Result<EncodedResponse, Problem> {
    match query.raw("profile") {
        None | Some("exact") => Ok(EncodedResponse::json_text(document().clone())),
        Some("plain") => Ok(EncodedResponse::json_text(plain_document().clone())),
        Some(_) => {
            let detail = "This must be exact or plain.";
            Err(Problem::unprocessable("invalid_value", detail).with_param("profile"))
        }
    }
}

fn assemble() -> Value {
    let mut schemas = Schemas::default();
    let (mut tags, mut paths) = (Vec::new(), Map::new());
    for (tag, routes) in RESOURCES {
        tags.push(json!({ "name": tag }));
        for route in *routes {
            let operation = operation::describe(tag, route, &mut schemas);
            let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
            set(path, route.method.as_str().to_lowercase(), operation);
        }
    }

    let mut parameters = Map::new();
    for parameter in PARAMETERS {
        let name = format!("{}.{}", parameter.place, parameter.name);
        parameters.insert(name, operation::describe_parameter(parameter, false, &mut schemas));
    }
    let headers: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, description, schema)| {
            let schema = schemas.sent(*schema);
            ((*name).to_owned(), json!({ "description": description, "schema": schema }))
        })
        .collect();
    schemas.received(schemars::SchemaGenerator::subschema_for::<problem::ProblemSchema>);

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Loyalty",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.into_definitions(),
            "parameters": parameters,
            "headers": headers,
            "securitySchemes": security_schemes(),
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description":
                "A key of the shop, `lk_…`. Operations need the scope `read`, `write` or `admin`.",
        },
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Shopify-Access-Token",
            "description": "The same keys in the header of Shopify's clients.",
        },
    })
}

/// Sets a member of an object.
fn set(object: &mut Value, name: impl Into<String>, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.into(), value.into());
    }
}
