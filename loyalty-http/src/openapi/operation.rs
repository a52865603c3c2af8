//! One operation: what is told of it, and what follows from its route.

use std::collections::{BTreeMap, BTreeSet};

use hyper::{Method, StatusCode};
use loyalty_store::Scope;
use serde_json::{Map, Value, json};

use super::{members, schema};
use crate::problem::MEDIA_TYPE;
use crate::router::{Access, Route};

/// Set on an answer that was given before.
const IDEMPOTENCY_REPLAYED: &str = "Idempotency-Replayed";

/// `shared.json`.
pub(super) struct SharedComponents(pub(super) Value);

/// The codes of an operation's refusals, by status.
#[derive(Default)]
struct ProblemCodes(BTreeMap<u16, BTreeSet<String>>);

impl ProblemCodes {
    /// Adds `{"404": ["not_found"]}`.
    fn add(&mut self, codes: &Value) {
        for (status, codes) in codes.as_object().into_iter().flatten() {
            let codes = codes
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned);
            self.0
                .entry(status.parse().unwrap_or_default())
                .or_default()
                .extend(codes);
        }
    }
}

impl SharedComponents {
    pub(super) fn new(shared: Value) -> Self {
        Self(shared)
    }

    /// The document's own members.
    pub(super) fn document_members(&self) -> Map<String, Value> {
        let mut head: Map<_, _> = self.clone_members("document");
        if let Some(info) = head.get_mut("info").and_then(Value::as_object_mut) {
            info.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        }
        head
    }

    fn clone_members(&self, name: &str) -> Map<String, Value> {
        members(&self.0, name)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// What operations refer to.
    pub(super) fn components(&self, schemas: &Map<String, Value>) -> Value {
        let mut parameters = Map::new();
        let places = members(&self.0, "parameters").flat_map(|(place, known)| {
            known
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(name, _)| (place.as_str(), name.as_str()))
        });
        for (place, name) in places {
            parameters.insert(format!("{place}.{name}"), self.parameter(place, name));
        }
        json!({
            "schemas": schemas,
            "parameters": parameters,
            "headers": self.clone_members("headers"),
            "securitySchemes": self.clone_members("security"),
        })
    }

    /// A parameter with its schema written out.
    fn parameter(&self, place: &str, name: &str) -> Value {
        let mut parameter =
            Map::from_iter([("name".to_owned(), name.into()), ("in".to_owned(), place.into())]);
        if place == "path" {
            parameter.insert("required".to_owned(), true.into());
        }
        for (member, value) in self
            .parameter_spec(place, name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            match member.as_str() {
                "refuses" => None,
                "schema" => parameter.insert(member.clone(), schema::expand(value)),
                _ => parameter.insert(member.clone(), value.clone()),
            };
        }
        parameter.into()
    }

    fn parameter_spec(&self, place: &str, name: &str) -> Option<&Value> {
        self.0.get("parameters")?.get(place)?.get(name)
    }

    /// Refusals of one kind, as the shared file names them.
    fn add_problems(&self, kind: &str, into: &mut ProblemCodes) {
        into.add(
            self.0
                .get("refuses")
                .and_then(|kinds| kinds.get(kind))
                .unwrap_or(&Value::Null),
        );
    }

    /// An operation of this route.
    pub(super) fn operation(&self, tag: &str, route: &Route, told: &Value) -> Value {
        let mut operation = Map::from_iter([("tags".to_owned(), json!([tag]))]);
        for name in ["operationId", "summary", "description"] {
            operation.extend(told.get(name).map(|text| (name.to_owned(), text.clone())));
        }
        let mut refusals = ProblemCodes::default();
        let parameters = self.parameters(route, told, &mut refusals);
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        let body = told.get("body");
        operation.extend(body.map(|body| ("requestBody".to_owned(), request_body(body))));
        self.add_route_problems(route, body, &mut refusals);
        refusals.add(told.get("refuses").unwrap_or(&Value::Null));
        let answer = told.get("answer").unwrap_or(&Value::Null);
        let kept =
            is_write(route) || strings(answer, "headers").any(|name| name == IDEMPOTENCY_REPLAYED);
        let (status, response) = success_response(answer, kept);
        let mut responses = Map::from_iter([(status, response)]);
        for (status, codes) in refusals.0 {
            responses.insert(status.to_string(), problem_response(status, &codes, kept));
        }
        operation.insert("responses".to_owned(), responses.into());
        operation.insert("security".to_owned(), security(route));
        operation.into()
    }

    fn parameters(&self, route: &Route, told: &Value, refusals: &mut ProblemCodes) -> Vec<Value> {
        let in_path = route
            .pattern
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'));
        let mut named: Vec<(&str, &str)> = in_path.map(|(name, _)| ("path", name)).collect();
        named.extend(route.query.iter().map(|name| ("query", *name)));
        named.extend(is_write(route).then_some(("header", "Idempotency-Key")));
        named.extend(strings(told, "headers").map(|name| ("header", name)));
        let required: Vec<&str> = strings(told, "required").collect();
        let written = named.into_iter().map(|(place, name)| {
            match self.parameter_spec(place, name).and_then(|told| told.get("refuses")) {
                Some(Value::String(kind)) => self.add_problems(kind, refusals),
                Some(codes) => refusals.add(codes),
                None => {}
            }
            if !required.contains(&name) || place != "query" {
                return json!({ "$ref": format!("#/components/parameters/{place}.{name}") });
            }
            let mut parameter = self.parameter(place, name);
            if let Some(parameter) = parameter.as_object_mut() {
                parameter.insert("required".to_owned(), true.into());
            }
            parameter
        });
        written.collect()
    }

    /// What is refused before the handler is reached, or because of what every body is.
    fn add_route_problems(&self, route: &Route, body: Option<&Value>, into: &mut ProblemCodes) {
        self.add_problems("any", into);
        match route.access() {
            Access::Open => return,
            Access::Signed => self.add_problems("signed", into),
            Access::Bearer(_) | Access::Shopify(_) => self.add_problems("keyed", into),
        }
        if route.method != Method::GET {
            self.add_problems("sent", into);
        }
        if is_write(route) {
            self.add_problems("written", into);
        }
        if let Some(body) = body.filter(|_| route.access() != Access::Signed) {
            self.add_problems("json", into);
            if body.get("document").is_none() {
                self.add_problems("members", into);
            }
        }
    }
}

fn strings<'a>(told: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    told.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Whether a transaction is asked for, which a key of the client's can make happen once.
fn is_write(route: &Route) -> bool {
    let scope = match route.access() {
        Access::Bearer(scope) | Access::Shopify(scope) => scope,
        Access::Open | Access::Signed => return false,
    };
    route.method != Method::GET && scope != Scope::Read
}

fn security(route: &Route) -> Value {
    match route.access() {
        Access::Open | Access::Signed => json!([]),
        Access::Bearer(scope) => json!([{ "key": [scope.name()] }]),
        Access::Shopify(scope) => json!([{ "token": [scope.name()] }]),
    }
}

fn request_body(body: &Value) -> Value {
    let mut media = Map::new();
    media.extend(
        body.get("schema")
            .map(|told| ("schema".to_owned(), schema::expand(told))),
    );
    media.extend(
        body.get("example")
            .map(|example| ("example".to_owned(), example.clone())),
    );
    let required = body.get("required").and_then(Value::as_bool).unwrap_or(true);
    json!({ "required": required, "content": { "application/json": media } })
}

fn headers<'a>(names: impl Iterator<Item = &'a str>) -> Value {
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
        .unwrap_or("Refused")
}

/// The good answer, and its status. An answer that is kept can come a second time.
fn success_response(answer: &Value, kept: bool) -> (String, Value) {
    let status = answer
        .get("status")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok());
    let status = status.unwrap_or(200);
    let replayed = kept.then_some(IDEMPOTENCY_REPLAYED);
    let mut response = json!({ "description": status_phrase(status), "headers": headers(strings(answer, "headers").chain(replayed)) });
    let mut content = Map::new();
    if let Some(told) = answer.get("schema") {
        content.insert("application/json".to_owned(), json!({ "schema": schema::expand(told) }));
    }
    if let Some(media) = answer.get("text").and_then(Value::as_str) {
        content.insert(media.to_owned(), json!({ "schema": { "type": "string" } }));
    }
    if let Some(response) = response.as_object_mut().filter(|_| !content.is_empty()) {
        response.insert("content".to_owned(), content.into());
    }
    (status.to_string(), response)
}

/// A problem of one of these codes.
fn problem_response(status: u16, codes: &BTreeSet<String>, kept: bool) -> Value {
    let by_the_rules = matches!(status, 404 | 409 | 412 | 422);
    let names = [
        (status == 401).then_some("WWW-Authenticate"),
        matches!(status, 429 | 503).then_some("Retry-After"),
        (kept && by_the_rules).then_some(IDEMPOTENCY_REPLAYED),
    ];
    let of_status =
        json!({ "properties": { "status": { "const": status }, "code": { "enum": codes } } });
    let problem = json!({ "allOf": [{ "$ref": "#/components/schemas/Problem" }, of_status] });
    json!({
        "description": status_phrase(status),
        "headers": headers(names.into_iter().flatten()),
        "content": { MEDIA_TYPE: { "schema": problem } },
    })
}
