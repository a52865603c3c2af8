//! Validates all requests and responses of these tests against the served OpenAPI
//! document.

#![allow(dead_code, reason = "the tests of the webhooks look at their own part of it")]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

/// The served document.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(loyalty_http::openapi::document()).unwrap());

/// Headers that a response may have only if the document lists them.
const DOCUMENTED_HEADERS: [&str; 6] =
    ["etag", "idempotency-replayed", "link", "location", "retry-after", "www-authenticate"];

/// Codes of bodies that their schema must reject, too.
const SHAPE_CODES: [&str; 3] = ["missing_field", "unknown_field", "wrong_type"];

/// One operation of the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) spec: &'static Value,
}

/// A response: its status, the lines of its head, and its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceivedResponse<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl ReceivedResponse<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

/// All operations.
pub(crate) fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let paths = DOCUMENT["paths"].as_object().unwrap();
        let of_path = |(pattern, path): (&'static String, &'static Value)| {
            let methods = path.as_object().unwrap().iter();
            methods
                .map(|(method, documented)| Operation { method, pattern, spec: documented })
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    });
    &OPERATIONS
}

impl Operation {
    /// The operation of a request. Words of a path win over parameters.
    fn of(method: &str, path: &str) -> Option<Self> {
        let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
        let patterns = DOCUMENT["paths"].as_object().unwrap().keys();
        let pattern = patterns.filter(|pattern| literals(pattern, path).is_some());
        let pattern = pattern.max_by_key(|pattern| literals(pattern, path))?;
        let is_it = |operation: &&Self| operation.pattern == pattern && operation.method == method;
        operations().iter().find(is_it).copied()
    }

    pub(crate) fn id(&self) -> &'static str {
        self.spec["operationId"].as_str().unwrap()
    }

    /// The parameters, with references resolved.
    pub(crate) fn parameters(&self) -> Vec<&'static Value> {
        self.spec["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(resolve)
            .collect()
    }

    /// The media type object of the request's body.
    pub(crate) fn body(&self) -> Option<&'static Value> {
        self.spec.pointer("/requestBody/content/application~1json")
    }

    fn check(self, sent: &[u8], answer: ReceivedResponse<'_>) {
        let status = answer.status.to_string();
        let response = &self.spec["responses"][&status];
        assert!(
            response.is_object(),
            "{} does not document {status}: {}",
            self.id(),
            answer.text()
        );
        for name in DOCUMENTED_HEADERS {
            let documented = response["headers"]
                .as_object()
                .unwrap()
                .iter()
                .find(|(documented, _)| documented.eq_ignore_ascii_case(name));
            match (answer.header(name), documented) {
                (None, _) => {}
                (Some(value), None) => {
                    panic!("{} {status} does not document {name}: {value}", self.id())
                }
                (Some(value), Some((_, documented))) => {
                    let value = value
                        .parse::<u64>()
                        .map_or_else(|_| json!(value), |number| json!(number));
                    validate(
                        &resolve(documented)["schema"],
                        &value,
                        &format!("{} {status} {name}", self.id()),
                    )
                    .unwrap();
                }
            }
        }
        if let Some(media) = answer.header("content-type") {
            let documented = &response["content"][media];
            assert!(documented.is_object(), "{} {status} does not document {media}", self.id());
            if media.ends_with("json") && !answer.body.is_empty() {
                validate(&documented["schema"], &answer.json(), &format!("{} {status}", self.id()))
                    .unwrap();
            }
        } else {
            assert!(answer.body.is_empty(), "{}", self.id());
        }
        self.check_sent(sent, answer);
    }

    /// Checks that the schema accepts every accepted body, and rejects every malformed
    /// one.
    fn check_sent(self, sent: &[u8], answer: ReceivedResponse<'_>) {
        let (Some(media), Ok(body)) = (self.body(), serde_json::from_slice::<Value>(sent)) else {
            return;
        };
        let validated = || validate(&media["schema"], &body, &format!("{} request", self.id()));
        if answer.status < 300 {
            validated().unwrap();
        } else if answer.status == 400
            && SHAPE_CODES.iter().any(|code| answer.json()["code"] == *code)
        {
            assert!(validated().is_err(), "{} allows {body}: {}", self.id(), answer.text());
        }
    }
}

/// The number of segments that are words of the pattern; `None` if the path does not
/// match.
fn literals(pattern: &str, path: &str) -> Option<usize> {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let parts =
        pattern
            .into_iter()
            .zip(path)
            .map(|(pattern, part)| match pattern.split_once('{') {
                None => (pattern == part).then_some(1),
                Some((_, rest)) => {
                    let suffix = rest.split_once('}').unwrap().1;
                    (part.len() > suffix.len() && part.ends_with(suffix)).then_some(0)
                }
            });
    parts.sum()
}

/// The target of a reference, or the value itself.
fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// The JSON pointer of each value of the document, by its address in memory.
static POINTERS: LazyLock<HashMap<usize, String>> = LazyLock::new(|| {
    fn walk(value: &Value, place: String, places: &mut HashMap<usize, String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            walk(value, format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), places);
        }
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            walk(value, format!("{place}/{index}"), places);
        }
        places.insert(std::ptr::from_ref(value).addr(), place);
    }
    let mut places = HashMap::new();
    walk(&DOCUMENT, String::new(), &mut places);
    places
});

/// The document as the target of references, prepared once for all schemas.
static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    Registry::new()
        .add(DOCUMENT_URI, DOCUMENT.clone())
        .unwrap()
        .prepare()
        .unwrap()
});

const DOCUMENT_URI: &str = "https://loyalty.example/openapi.json";

/// Validates a value against a schema of the document.
pub(crate) fn validate(schema: &'static Value, value: &Value, place: &str) -> Result<(), String> {
    static COMPILED: LazyLock<Mutex<HashMap<usize, Arc<Validator>>>> =
        LazyLock::new(Mutex::default);
    let address = std::ptr::from_ref(schema).addr();
    let compiled = Arc::clone(COMPILED.lock().unwrap().entry(address).or_insert_with(|| {
        let pointer = POINTERS[&address].replace('{', "%7B").replace('}', "%7D");
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&REGISTRY);
        let schema = json!({ "$ref": format!("{DOCUMENT_URI}#{pointer}") });
        Arc::new(options.should_validate_formats(true).build(&schema).unwrap())
    }));
    if compiled.is_valid(value) {
        return Ok(());
    }
    let faults: Vec<_> = compiled
        .iter_errors(value)
        .map(|fault| format!("{} at {}", fault, fault.instance_path()))
        .collect();
    Err(format!("{place}: {faults:?} in {value}"))
}

/// Validates a request and its response against the document.
pub(crate) fn check(method: &str, path: &str, sent: &[u8], answer: ReceivedResponse<'_>) {
    let path = path.split('?').next().unwrap();
    if let Some(operation) = Operation::of(method, path) {
        return operation.check(sent, answer);
    }
    // An unknown path, or another method.
    assert!([404, 405].contains(&answer.status), "{method} {path} is not documented");
    assert_eq!(answer.header("allow").is_some(), answer.status == 405);
    if method != "HEAD" {
        validate(&DOCUMENT["components"]["schemas"]["Problem"], &answer.json(), path).unwrap();
    }
}
