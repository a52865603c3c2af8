//! The plain profile: the document in the part of JSON Schema that generators of clients read.
//!
//! A request that fits the plain document fits the exact one in its types, and a response that
//! fits the exact document fits the plain one. Left out is what no type of a client can say:
//!
//! - conditions between members, such as "one of these two";
//! - `false` and null-only schemas, and members that cannot have a value;
//! - the codes of each status: a problem has one schema.
//!
//! Null is one of the values of a `type`. Alternatives that are objects become one object.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::wire::schema::{DEFINITIONS, reference};

type Members = Map<String, Value>;

/// The keywords whose value is a list of schemas.
const COMBINATIONS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Simplifies a document.
pub(super) fn simplify(mut document: Value) -> Value {
    let definitions = document
        .pointer("/components/schemas")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let simplifier = Simplifier { definitions };

    simplifier.simplify_members(&mut document);
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.values_mut().for_each(|schema| simplifier.simplify(schema));
    }
    remove_unused(&mut document);
    document
}

/// Knows the exact schemas, for those that must be written out.
struct Simplifier {
    definitions: Members,
}

impl Simplifier {
    /// Simplifies the schemas of parameters, headers, bodies and responses.
    fn simplify_members(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match name.as_str() {
                        "schema" => self.simplify(value),
                        "schemas" | "example" => {}
                        _ => self.simplify_members(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.simplify_members(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn simplify(&self, schema: &mut Value) {
        let Some(members) = schema.as_object_mut() else { return };
        if is_problem(members) {
            *schema = json!({ "$ref": reference("Problem") });
            return;
        }

        for keyword in ["unevaluatedProperties", "propertyNames"] {
            members.remove(keyword);
        }
        if members.get("additionalProperties").is_some_and(Value::is_boolean) {
            members.remove("additionalProperties");
        }
        name_constant(members);
        self.simplify_combinations(members);
        self.simplify_reference(members);
        self.simplify_properties(members);
        for keyword in ["items", "additionalProperties"] {
            if let Some(schema) = members.get_mut(keyword) {
                self.simplify(schema);
            }
        }
    }

    fn simplify_properties(&self, members: &mut Members) {
        let required = names(members, "required");
        let Some(Value::Object(properties)) = members.get_mut("properties") else {
            return;
        };

        properties.retain(|_, schema| !is_empty(schema));
        for (name, schema) in properties {
            if !required.contains(name) {
                self.remove_optional_null(schema);
            }
            self.simplify(schema);
        }
    }

    /// An optional member with one of some names is absent instead of being null.
    fn remove_optional_null(&self, schema: &mut Value) {
        let Some(Value::Array(alternatives)) = schema.get("anyOf") else {
            return;
        };
        if let [only, null] = alternatives.as_slice()
            && is_null(null)
            && self.resolve(only).contains_key("enum")
        {
            let description = schema.get("description").cloned();
            *schema = only.clone();
            if let (Some(members), Some(text)) = (schema.as_object_mut(), description) {
                members.insert("description".to_owned(), text);
            }
        }
    }

    /// Writes a reference out where it stands beside required members.
    fn simplify_reference(&self, members: &mut Members) {
        if !members.contains_key("$ref") {
            return;
        }
        let required = names(members, "required");
        if required.is_empty() {
            members.retain(|name, _| name == "$ref" || name == "description");
            return;
        }

        let mut whole = self.resolve(&Value::Object(members.clone()));
        let mut all = names(&whole, "required");
        all.extend(required);
        whole.insert("required".to_owned(), json!(all));
        whole.remove("additionalProperties");
        for keyword in COMBINATIONS {
            whole.remove(keyword);
        }
        if let Some(description) = members.remove("description") {
            whole.insert("description".to_owned(), description);
        }
        *members = whole;
    }

    fn simplify_combinations(&self, members: &mut Members) {
        if let Some(Value::Array(parts)) = members.get_mut("allOf") {
            parts.retain(is_shape);
            for part in parts.iter_mut() {
                self.simplify(part);
            }
            if parts.is_empty() {
                members.remove("allOf");
            }
        }

        for keyword in ["anyOf", "oneOf"] {
            let Some(Value::Array(alternatives)) = members.remove(keyword) else {
                continue;
            };
            if !alternatives.iter().any(is_shape) {
                continue;
            }
            let union = self.unite(alternatives);
            for (name, value) in union {
                members.entry(name).or_insert(value);
            }
        }
    }

    /// One schema for alternatives: without null-only ones, and with one object at most.
    fn unite(&self, alternatives: Vec<Value>) -> Members {
        let nullable = alternatives.iter().any(is_null);
        let mut kept: Vec<Value> =
            alternatives.into_iter().filter(|schema| !is_null(schema)).collect();

        // A reference alone keeps its name, where it need not be nullable.
        if let ([Value::Object(only)], false) = (kept.as_slice(), nullable) {
            return only.clone();
        }
        if kept.len() > 1 || nullable {
            kept = kept.iter().flat_map(|schema| self.flatten(schema)).collect();
        }

        let mut united: Vec<Members> = Vec::new();
        for schema in kept {
            let Value::Object(mut schema) = schema else { continue };
            name_constant(&mut schema);
            match united.iter_mut().find(|other| can_merge(other, &schema)) {
                Some(other) => merge(other, schema),
                None => united.push(schema),
            }
        }
        if united.len() > 1 {
            remove_php_forms(&mut united);
        }
        if let Some(first) = united.first_mut().filter(|_| nullable) {
            allow_null(first);
        }

        let mut schemas: Vec<Value> = united.into_iter().map(Value::Object).collect();
        for schema in &mut schemas {
            self.simplify(schema);
        }
        if let [Value::Object(only)] = schemas.as_slice() {
            return only.clone();
        }
        Map::from_iter([("anyOf".to_owned(), schemas.into())])
    }

    /// The alternatives of a schema, written out.
    fn flatten(&self, schema: &Value) -> Vec<Value> {
        let resolved = self.resolve(schema);
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(alternatives)) = resolved.get(keyword)
                && alternatives.iter().any(is_shape)
            {
                return alternatives.iter().flat_map(|schema| self.flatten(schema)).collect();
            }
        }
        vec![Value::Object(resolved)]
    }

    /// The members of a schema; those of its target, where it is a reference.
    fn resolve(&self, schema: &Value) -> Members {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix(DEFINITIONS))
            .and_then(|name| self.definitions.get(name));
        if let Some(target) = target {
            return self.resolve(target);
        }
        schema.as_object().cloned().unwrap_or_default()
    }
}

/// True for `{"allOf": [Problem, …]}`.
fn is_problem(members: &Members) -> bool {
    let first = members
        .get("allOf")
        .and_then(|parts| parts.get(0))
        .and_then(|part| part.get("$ref"));
    first.is_some_and(|first| *first == reference("Problem"))
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// True for a schema without values, or with null alone.
fn is_empty(schema: &Value) -> bool {
    *schema == false || is_null(schema)
}

/// True for a schema that is a type, rather than a condition on another one.
fn is_shape(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return false };
    let is_type = ["$ref", "type", "enum", "const"]
        .iter()
        .any(|keyword| members.contains_key(*keyword));
    let has_shape = COMBINATIONS.iter().any(|keyword| {
        let schemas = members.get(*keyword).and_then(Value::as_array);
        schemas.is_some_and(|schemas| schemas.iter().any(is_shape))
    });
    is_type || has_shape
}

/// Writes a constant as the only value of an enumeration.
fn name_constant(members: &mut Members) {
    if let Some(value) = members.remove("const") {
        let kind = if value.is_boolean() { "boolean" } else { "string" };
        members.entry("type").or_insert(kind.into());
        if !value.is_boolean() {
            members.insert("enum".to_owned(), json!([value]));
        }
    }
}

/// True for two objects, two enumerations or two plain values of one type.
fn can_merge(one: &Members, other: &Members) -> bool {
    let objects = one.contains_key("properties") && other.contains_key("properties");
    let names = one.contains_key("enum") && other.contains_key("enum");
    objects || names || one == other
}

/// Adds the values of a schema to those of another one of its kind.
fn merge(into: &mut Members, schema: Members) {
    let both: BTreeSet<String> = names(into, "required")
        .intersection(&names(&schema, "required"))
        .cloned()
        .collect();
    for (name, value) in schema {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(properties)), Value::Object(others)) => {
                for (name, schema) in others {
                    let entry = properties.entry(name).or_insert_with(|| schema.clone());
                    if is_empty(entry) {
                        *entry = schema;
                    }
                }
            }
            (Some(Value::Array(values)), Value::Array(others)) if name == "enum" => {
                for value in others {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
            _ => {}
        }
    }
    if into.contains_key("properties") {
        into.insert("required".to_owned(), json!(both));
    }
}

/// PHP's other forms of lists, objects and missing values.
fn remove_php_forms(alternatives: &mut Vec<Members>) {
    let is_php_form = |schema: &Members| {
        let empty_list = schema.get("maxItems").is_some_and(|most| *most == 0);
        let keyed_list = schema.get("additionalProperties").is_some_and(Value::is_object);
        let no_value = schema.get("enum").is_some_and(|values| *values == json!([""]));
        empty_list || keyed_list || no_value
    };
    alternatives.retain(|schema| !is_php_form(schema));
}

/// Adds null to the values of a schema.
fn allow_null(schema: &mut Members) {
    if let Some(kind) = schema.get("type").filter(|kind| kind.is_string()).cloned() {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// The strings of a member that is a list.
fn names(members: &Members, name: &str) -> BTreeSet<String> {
    members
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Removes the schemas that nothing refers to any more.
fn remove_unused(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        collect_references(document, &mut used);
        let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else {
            return;
        };
        let before = schemas.len();
        schemas.retain(|name, _| used.contains(&reference(name)));
        if schemas.len() == before {
            return;
        }
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
