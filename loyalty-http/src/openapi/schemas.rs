//! The schemas of the document: derived from the wire types, then closed.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::route::SchemaOf;
use crate::wire::schema::NULLABLE_MEMBERS;

/// The schemas of requests and of responses. A type can be in both: its schema is one.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            responses: settings().for_serialize().into_generator(),
        }
    }
}

impl Schemas {
    /// The schema of a value that clients send.
    pub(super) fn sent(&mut self, schema: SchemaOf) -> Value {
        close(schema(&mut self.requests), normalize_request)
    }

    /// The schema of a value that clients receive.
    pub(super) fn received(&mut self, schema: SchemaOf) -> Value {
        close(schema(&mut self.responses), normalize_response)
    }

    /// All schemas that the others refer to, by name.
    pub(super) fn into_definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.requests.take_definitions(true);
        for schema in definitions.values_mut() {
            visit(schema, normalize_request);
            visit(schema, remove_default);
        }
        let mut received = self.responses.take_definitions(true);
        received
            .values_mut()
            .for_each(|schema| visit(schema, normalize_response));
        definitions.extend(received);
        definitions
    }
}

fn close(schema: Schema, normalize: fn(&mut Map<String, Value>)) -> Value {
    let mut schema = schema.to_value();
    visit(&mut schema, normalize);
    schema
}

/// Calls a function for a schema and all schemas in it, the outer ones first.
pub(super) fn visit(schema: &mut Value, normalize: fn(&mut Map<String, Value>)) {
    let Some(members) = schema.as_object_mut() else { return };
    normalize(members);

    for (name, value) in members {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(|schema| visit(schema, normalize));
            }
            ("anyOf" | "allOf" | "oneOf", Value::Array(schemas)) => {
                for schema in schemas {
                    visit(schema, normalize);
                }
            }
            ("items" | "additionalProperties", schema) => visit(schema, normalize),
            _ => {}
        }
    }
}

fn normalize_request(schema: &mut Map<String, Value>) {
    // The bounds of Rust's integers are the contract of a request.
    let bounds = match schema.remove("format") {
        Some(format) if format == "uint32" => Some(json!(u32::MAX)),
        Some(format) if format == "uint64" => Some(json!(u64::MAX)),
        Some(format) if is_number_format(&format) => None,
        Some(format) => {
            schema.insert("format".to_owned(), format);
            None
        }
        None => None,
    };
    if let Some(maximum) = bounds {
        schema.entry("maximum").or_insert(maximum);
    }
    unwrap_lines(schema);
}

/// The default of a Rust type is a detail of its reader.
fn remove_default(schema: &mut Map<String, Value>) {
    schema.remove("default");
}

fn normalize_response(schema: &mut Map<String, Value>) {
    if schema.get("format").is_some_and(is_number_format) {
        schema.remove("format");
    }
    unwrap_lines(schema);

    let nullable_members = schema.remove(NULLABLE_MEMBERS).is_some();
    let required: Vec<String> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };

    // A member that can be absent is left out instead of being null.
    if !nullable_members {
        for (name, schema) in properties {
            if !required.contains(name) {
                remove_null(schema);
            }
        }
    }

    // Responses have no other members.
    if schema.get("type").is_some_and(is_object) {
        schema.entry("additionalProperties").or_insert(false.into());
    }
}

/// True for `"object"` and `["object", "null"]`.
fn is_object(kind: &Value) -> bool {
    let kinds = kind.as_array().map_or(std::slice::from_ref(kind), Vec::as_slice);
    kinds.iter().any(|kind| kind == "object")
}

fn is_number_format(format: &Value) -> bool {
    format
        .as_str()
        .is_some_and(|format| format.starts_with("int") || format.starts_with("uint"))
}

/// A doc comment has line breaks where the source has them.
fn unwrap_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<String> = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect();
        *text = paragraphs.join("\n\n");
    }
}

/// Removes null from the values that a schema allows.
fn remove_null(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = members.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            members.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(schemas)) = members.get_mut("anyOf") {
        schemas.retain(|schema| *schema != json!({ "type": "null" }));
        if let [Value::Object(only)] = schemas.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            for (name, value) in only {
                members.entry(name).or_insert(value);
            }
        }
    }
}
