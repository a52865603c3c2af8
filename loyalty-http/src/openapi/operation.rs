//! One operation: its own words, and what follows from its route.

use std::collections::{BTreeMap, BTreeSet};

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::parameters::{self, Parameter};
use super::schemas::Schemas;
use super::set;
use crate::problem::MEDIA_TYPE;
use crate::route::{Access, ProblemCodes, RequestBody, Route, RouteHandler, SuccessResponse};
use crate::wire::schema::reference;

/// The header of a response that was given before.
const REPLAYED: &str = "Idempotency-Replayed";

/// The codes of an operation's problems, by status.
#[derive(Default)]
struct Problems(BTreeMap<u16, BTreeSet<&'static str>>);

impl Problems {
    fn add(&mut self, codes: ProblemCodes) {
        for (status, codes) in codes {
            let names = codes.iter().map(|code| code.name);
            self.0.entry(*status).or_default().extend(names);
        }
    }
}

/// The operation of a route.
pub(super) fn describe(tag: &str, route: &Route, schemas: &mut Schemas) -> Value {
    let words = &route.operation;
    let mut operation = json!({
        "tags": [tag],
        "operationId": words.id,
        "summary": words.summary,
    });
    if let Some(description) = words.description {
        set(&mut operation, "description", description);
    }

    let mut problems = Problems::default();
    let parameters = describe_parameters(route, &mut problems, schemas);
    if !parameters.is_empty() {
        set(&mut operation, "parameters", parameters);
    }
    if let Some(body) = &words.body {
        set(&mut operation, "requestBody", describe_body(body, schemas));
    }
    add_route_problems(route, &mut problems);
    problems.add(words.problems);

    // A stored response can be given again.
    let stored = route.is_idempotent_write() || words.success.headers.contains(&REPLAYED);
    let mut responses = Map::new();
    let status = words.success.status.as_u16().to_string();
    responses.insert(status, describe_success(&words.success, stored, schemas));
    for (status, codes) in problems.0 {
        responses.insert(status.to_string(), describe_problem(status, &codes, stored));
    }
    set(&mut operation, "responses", responses);
    set(&mut operation, "security", describe_security(route));
    operation
}

/// A parameter with its schema.
pub(super) fn describe_parameter(
    parameter: &Parameter,
    required: bool,
    schemas: &mut Schemas,
) -> Value {
    let mut described = json!({
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": schemas.sent(parameter.schema),
    });
    if required || parameter.place == "path" {
        set(&mut described, "required", true);
    }
    if let Some(example) = parameter.example {
        set(&mut described, "example", parse_example(example));
    }
    described
}

/// An example of the source. The tests read all of them.
fn parse_example(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

fn describe_parameters(
    route: &Route,
    problems: &mut Problems,
    schemas: &mut Schemas,
) -> Vec<Value> {
    let in_path = route
        .pattern
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| ("path", name));
    let in_query = route.query.iter().map(|name| ("query", *name));
    let key = route.is_idempotent_write().then_some("Idempotency-Key");
    let in_head = key.into_iter().chain(route.operation.headers.iter().copied());
    let names = in_path.chain(in_query).chain(in_head.map(|name| ("header", name)));

    let mut described = Vec::new();
    for parameter in names.filter_map(|(place, name)| parameters::find(place, name)) {
        let Parameter { place, name, .. } = *parameter;
        problems.add(parameter.problems);
        described.push(if place == "query" && route.operation.required.contains(&name) {
            describe_parameter(parameter, true, schemas)
        } else {
            json!({ "$ref": format!("#/components/parameters/{place}.{name}") })
        });
    }
    described
}

/// The problems that arise before the handler, and those of every body.
fn add_route_problems(route: &Route, problems: &mut Problems) {
    problems.add(parameters::ANY);
    match route.handler {
        RouteHandler::Open(_) | RouteHandler::Document => return,
        RouteHandler::Signed(_) | RouteHandler::StoreWebhook => problems.add(parameters::SIGNED),
        RouteHandler::Bearer(..) | RouteHandler::Shopify(..) => problems.add(parameters::KEYED),
    }
    if route.method != Method::GET {
        problems.add(parameters::SENT);
    }
    if route.is_idempotent_write() {
        problems.add(parameters::WRITTEN);
    }
    if let Some(body) = route.operation.body.filter(|_| route.access() != Access::Signed) {
        problems.add(parameters::JSON);
        if !body.is_document {
            problems.add(parameters::MEMBERS);
        }
    }
}

fn describe_security(route: &Route) -> Value {
    match route.access() {
        Access::Open | Access::Signed => json!([]),
        Access::Bearer(scope) => json!([{ "key": [scope.name()] }]),
        Access::Shopify(scope) => json!([{ "token": [scope.name()] }]),
    }
}

fn describe_body(body: &RequestBody, schemas: &mut Schemas) -> Value {
    let (schema, example) = (schemas.sent(body.schema), parse_example(body.example));
    let media = json!({ "schema": schema, "example": example });
    json!({ "required": body.required, "content": { "application/json": media } })
}

fn describe_headers<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    names
        .map(|name| (name.to_owned(), reference(name)))
        .collect::<Map<_, _>>()
        .into()
}

fn status_phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error")
}

fn describe_success(success: &SuccessResponse, stored: bool, schemas: &mut Schemas) -> Value {
    let headers = success.headers.iter().copied().chain(stored.then_some(REPLAYED));
    let mut response = json!({
        "description": status_phrase(success.status.as_u16()),
        "headers": describe_headers(headers),
    });

    let mut content = Map::new();
    if let Some(schema) = success.schema {
        let media = json!({ "schema": schemas.received(schema) });
        content.insert("application/json".to_owned(), media);
    }
    if let Some(media) = success.text {
        content.insert(media.to_owned(), json!({ "schema": { "type": "string" } }));
    }
    if !content.is_empty() {
        set(&mut response, "content", content);
    }
    response
}

/// A problem with one of these codes.
fn describe_problem(status: u16, codes: &BTreeSet<&str>, stored: bool) -> Value {
    let is_decision = matches!(status, 404 | 409 | 412 | 422);
    let headers = [
        (status == 401).then_some("WWW-Authenticate"),
        matches!(status, 429 | 503).then_some("Retry-After"),
        (stored && is_decision).then_some(REPLAYED),
    ];
    let of_status =
        json!({ "properties": { "status": { "const": status }, "code": { "enum": codes } } });
    let problem = json!({ "allOf": [{ "$ref": reference("Problem") }, of_status] });
    json!({
        "description": status_phrase(status),
        "headers": describe_headers(headers.into_iter().flatten()),
        "content": { MEDIA_TYPE: { "schema": problem } },
    })
}
