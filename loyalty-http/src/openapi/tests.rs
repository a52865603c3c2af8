#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at what it did not expect"
)]
use std::collections::BTreeSet;

use super::*;

fn served() -> Value {
    serde_json::from_slice(document()).unwrap()
}

/// Every operation that a file tells of, and all that is told of it.
fn specs() -> Vec<(String, Value)> {
    let files = RESOURCES.iter().map(|(_, text)| Value::Object(parse_object(text)));
    let operations = |file: Value| {
        members(&file, "operations")
            .map(|(key, told)| (key.clone(), told.clone()))
            .collect::<Vec<_>>()
    };
    files.flat_map(operations).collect()
}

/// Every text under a member of this name.
fn collect_members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    for (member, value) in value.as_object().into_iter().flatten() {
        if member == name {
            found.push(value);
        }
        collect_members(value, name, found);
    }
    value
        .as_array()
        .into_iter()
        .flatten()
        .for_each(|value| collect_members(value, name, found));
}

#[test]
fn every_route_is_described_once_and_nothing_else() {
    let described: Vec<_> = specs().into_iter().map(|(key, _)| key).collect();
    let routes: Vec<_> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.pattern))
        .collect();
    let missing: Vec<_> = routes.iter().filter(|route| !described.contains(route)).collect();
    assert!(
        missing.is_empty(),
        "describe them in the file of their resource in openapi/: {missing:?}"
    );
    let needless: Vec<_> = described.iter().filter(|key| !routes.contains(key)).collect();
    assert!(needless.is_empty(), "these are no routes: {needless:?}");
    assert_eq!(described.len(), routes.len(), "something is described twice");
}

#[test]
fn operations_use_known_members_only() {
    let known = [
        "operationId",
        "summary",
        "description",
        "headers",
        "required",
        "body",
        "answer",
        "refuses",
    ];
    let mut ids = BTreeSet::new();
    for (key, told) in specs() {
        for (member, _) in told.as_object().unwrap() {
            assert!(known.contains(&member.as_str()), "{key}: {member}");
        }
        for (part, known) in [
            ("body", &["schema", "example", "required", "document"][..]),
            ("answer", &["status", "schema", "headers", "text"]),
        ] {
            for (member, _) in told.get(part).and_then(Value::as_object).into_iter().flatten() {
                assert!(known.contains(&member.as_str()), "{key}: {part}/{member}");
            }
        }
        assert!(told["answer"].is_object() && told["summary"].is_string(), "{key}");
        assert!(ids.insert(told["operationId"].as_str().unwrap().to_owned()), "{key}");
    }
}

#[test]
fn references_resolve() {
    let document = served();
    let mut references = Vec::new();
    collect_members(&document, "$ref", &mut references);
    let used: BTreeSet<_> = references
        .iter()
        .map(|reference| reference.as_str().unwrap())
        .collect();
    assert!(used.len() > 100);
    for reference in &used {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(|found| !found.is_null()), "{reference}");
    }
    for kind in ["schemas", "parameters", "headers"] {
        for (name, _) in members(&document["components"], kind) {
            // Where it must be there, it is written out.
            let inlined = name == "query.customer_ids";
            let reference = format!("#/components/{kind}/{name}");
            assert!(inlined || used.contains(reference.as_str()), "nobody uses {reference}");
        }
    }
    let names = |text: &str| {
        let file = Value::Object(parse_object(text));
        members(&file, "schemas")
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    let names: Vec<_> = RESOURCES
        .iter()
        .map(|(_, text)| *text)
        .chain([SHARED])
        .flat_map(names)
        .collect();
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "a schema has one place");
}

#[test]
fn codes_have_a_meaning_and_a_use() {
    let document = served();
    let mut used: BTreeSet<String> = ["method_not_allowed".to_owned()].into();
    for (_, path) in members(&document, "paths") {
        let responses = path
            .as_object()
            .unwrap()
            .values()
            .flat_map(|operation| members(operation, "responses"));
        for (_, response) in responses {
            let codes = response
                .pointer("/content/application~1problem+json/schema/allOf/1/properties/code/enum");
            used.extend(
                codes
                    .into_iter()
                    .flat_map(|codes| codes.as_array().unwrap())
                    .map(text),
            );
        }
    }
    let known: BTreeSet<String> = parse_object(CODES).into_iter().map(|(code, _)| code).collect();
    assert_eq!(used, known);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn abbreviations() {
    let object =
        json!({ "object": { "a": "Id", "b?": "[Id]" }, "anyOf": ["Id?", { "type": "null" }] });
    let id = json!({ "$ref": "#/components/schemas/Id" });
    assert_eq!(
        schema::expand(&object),
        json!({
            "type": "object",
            "properties": { "a": id, "b": { "type": "array", "items": id } },
            "required": ["a"],
            "additionalProperties": false,
            "anyOf": [{ "anyOf": [id, { "type": "null" }] }, { "type": "null" }],
        })
    );
    assert_eq!(schema::expand(&json!(false)), json!(false));
    assert_eq!(schema::expand(&json!({ "enum": ["Id"] })), json!({ "enum": ["Id"] }));
}
