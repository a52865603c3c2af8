#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop at what it did not expect"
)]
use std::collections::BTreeSet;

use super::*;
use crate::problem::code;
use crate::routes::ROUTES;

fn served() -> Value {
    serde_json::from_slice(document()).unwrap()
}

fn plain() -> Value {
    serde_json::from_slice(plain_document()).unwrap()
}

/// The members of an object in an object; none where there is no object.
fn members<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(name).and_then(Value::as_object).into_iter().flatten()
}

/// All values of members with this name.
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
fn operations_have_names_of_their_own_and_examples_that_are_json() {
    let mut ids = BTreeSet::new();
    for route in ROUTES.iter() {
        let words = &route.operation;
        assert!(ids.insert(words.id), "{} is the name of two operations", words.id);
        assert!(!words.summary.ends_with('.'), "{}", words.id);
        if let Some(body) = words.body {
            serde_json::from_str::<Value>(body.example).unwrap();
        }
    }
    for parameter in PARAMETERS {
        if let Some(example) = parameter.example {
            serde_json::from_str::<Value>(example).unwrap();
        }
    }
}

#[test]
fn references_resolve_and_every_component_is_used() {
    for document in [served(), plain()] {
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
                // A parameter that is required is not a reference.
                let inlined = name == "query.customer_ids";
                let reference = format!("#/components/{kind}/{name}");
                assert!(inlined || used.contains(reference.as_str()), "nobody uses {reference}");
            }
        }
    }
}

/// Two types of one name would get a number.
#[test]
fn schemas_have_names_of_their_own() {
    for (name, _) in members(&served()["components"], "schemas") {
        let bounded = name.strip_prefix("Text").or(name.strip_prefix("Number"));
        let numbered = name.ends_with(|last: char| last.is_ascii_digit());
        assert!(bounded.is_some() || !numbered, "{name}");
    }
}

#[test]
fn codes_have_a_use() {
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
            let codes = codes.into_iter().flat_map(|codes| codes.as_array().unwrap());
            used.extend(codes.map(|code| code.as_str().unwrap().to_owned()));
        }
    }
    let known: BTreeSet<String> = code::ALL.iter().map(|code| code.name.to_owned()).collect();
    assert_eq!(used, known);
}

/// Every schema of a document, wherever it is.
fn check_plain(value: &Value, place: &str) {
    if let Some(members) = value.as_object() {
        assert!(members.get("type").is_none_or(|kind| kind != "null"), "null alone at {place}");
        assert!(!members.contains_key("const"), "a constant at {place}");
        for (name, value) in members {
            let at_name = format!("{place}/{name}");
            match name.as_str() {
                "properties" => {
                    for (name, schema) in value.as_object().unwrap() {
                        assert!(schema.is_object(), "{at_name}/{name} is {schema}");
                        check_plain(schema, &format!("{at_name}/{name}"));
                    }
                }
                "oneOf" | "propertyNames" => panic!("{at_name}"),
                "anyOf" => {
                    let objects = value.as_array().unwrap().iter();
                    let objects = objects.filter(|schema| schema.get("properties").is_some());
                    assert!(objects.count() < 2, "{at_name} has several objects");
                    check_plain(value, &at_name);
                }
                "additionalProperties" => assert!(value.is_object(), "{at_name}"),
                "example" => {}
                _ => check_plain(value, &at_name),
            }
        }
    }
    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
        check_plain(value, &format!("{place}/{index}"));
    }
}

#[test]
fn the_plain_profile_has_the_same_operations_in_plain_schemas() {
    let (exact, plain) = (served(), plain());
    check_plain(&plain, "");
    for (path, methods) in members(&exact, "paths") {
        for (method, operation) in methods.as_object().unwrap() {
            let simple = &plain["paths"][path][method];
            assert_eq!(operation["operationId"], simple["operationId"]);
            let statuses = |operation: &Value| -> Vec<String> {
                members(operation, "responses")
                    .map(|(status, _)| status.clone())
                    .collect()
            };
            assert_eq!(statuses(operation), statuses(simple), "{method} {path}");
            let count = |operation: &Value| operation["parameters"].as_array().map(Vec::len);
            assert_eq!(count(operation), count(simple), "{method} {path}");
        }
    }
}
