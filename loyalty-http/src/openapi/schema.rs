//! The abbreviations of schemas, written out.

use serde_json::{Map, Value, json};

/// Members whose value is a schema.
const SCHEMA_MEMBERS: [&str; 4] = ["items", "additionalProperties", "unevaluatedProperties", "not"];
/// Members whose value is a list of schemas.
const SCHEMA_LIST_MEMBERS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// A schema as JSON Schema writes it.
pub(super) fn expand(schema: &Value) -> Value {
    match schema {
        Value::String(name) => expand_name(name),
        Value::Object(members) => expand_members(members).into(),
        // `true` and `false` are schemas; others are none, and stay for the tests to find.
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => schema.clone(),
    }
}

fn expand_name(name: &str) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    if let Some(name) = name.strip_suffix('?') {
        json!({ "anyOf": [reference(name), { "type": "null" }] })
    } else if let Some(name) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        json!({ "type": "array", "items": reference(name) })
    } else {
        reference(name)
    }
}

fn expand_members(members: &Map<String, Value>) -> Map<String, Value> {
    let mut expanded = Map::new();
    for (name, value) in members {
        match (name.as_str(), value) {
            ("object", Value::Object(members)) => expand_object(members, &mut expanded),
            ("properties", Value::Object(properties)) => {
                let properties =
                    properties.iter().map(|(name, schema)| (name.clone(), expand(schema)));
                expanded.insert(name.clone(), properties.collect::<Map<_, _>>().into());
            }
            (name, _) if SCHEMA_MEMBERS.contains(&name) => {
                expanded.insert(name.to_owned(), expand(value));
            }
            (name, Value::Array(schemas)) if SCHEMA_LIST_MEMBERS.contains(&name) => {
                expanded.insert(name.to_owned(), schemas.iter().map(expand).collect());
            }
            (name, _) => {
                expanded.insert(name.to_owned(), value.clone());
            }
        }
    }
    expanded
}

/// An object of these members and no others.
fn expand_object(members: &Map<String, Value>, into: &mut Map<String, Value>) {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in members {
        let plain = name.strip_suffix('?');
        if plain.is_none() {
            required.push(Value::from(name.as_str()));
        }
        properties.insert(plain.unwrap_or(name).to_owned(), expand(schema));
    }
    into.insert("type".to_owned(), "object".into());
    into.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        into.insert("required".to_owned(), required.into());
    }
    into.insert("additionalProperties".to_owned(), false.into());
}
