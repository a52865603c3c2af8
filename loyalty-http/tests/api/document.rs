//! The served document agrees with the routes and with the codes in the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use loyalty_http::router::{Access, ROUTES, Route};
use loyalty_store::Scope;
use serde_json::{Value, json};

use crate::conformance::{DOCUMENT, Operation, operations, validate};
use crate::support::TestServer;

fn route_of(operation: Operation) -> &'static Route {
    let is_it = |route: &&Route| {
        route.pattern == operation.pattern
            && route.method.as_str().eq_ignore_ascii_case(operation.method)
    };
    ROUTES
        .iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("{} has no route", operation.id()))
}

#[test]
fn the_document_needs_no_key() {
    let server = TestServer::new();
    let response = server.request("GET", "/openapi.json").key("").send().expect(200);
    assert_eq!(response.json(), *DOCUMENT);
    assert_eq!(response.json()["openapi"], "3.1.0");
    assert_eq!(server.request("HEAD", "/openapi.json").key("").send().status, 200);
}

/// JSON with a line for each member that does not fit one line as a whole.
fn pretty(value: &Value, indent: usize) -> String {
    let (open, parts, close) = match value {
        Value::Object(members) => {
            let member = |(name, value)| format!("{}: {}", json!(name), pretty(value, indent + 2));
            ('{', members.iter().map(member).collect::<Vec<_>>(), '}')
        }
        Value::Array(items) => {
            let item = |item| pretty(item, indent + 2);
            ('[', items.iter().map(item).collect(), ']')
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return value.to_string();
        }
    };

    let line = format!("{open}{}{close}", parts.join(", "));
    if indent + line.len() <= 100 && !line.contains('\n') {
        return line;
    }
    let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
    let mut text = format!("{open}\n{inner}");
    let mut width = indent + 2;
    for (index, part) in parts.iter().enumerate() {
        // Codes fill their lines; other parts have lines of their own.
        let fits = part.starts_with('"') && open == '[' && width + part.len() + 2 <= 100;
        if index > 0 {
            text += if fits { ", " } else { ",\n" };
            text += if fits { "" } else { &inner };
            width = if fits { width + 2 } else { indent + 2 };
        }
        text += part;
        width += part.len();
    }
    text + &format!("\n{outer}{close}")
}

/// The committed document, which a change of the contract changes as well.
#[test]
fn the_document_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let served = format!("{}\n", pretty(&DOCUMENT, 0));
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &served).unwrap();
    }

    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differing = committed
        .lines()
        .zip(served.lines())
        .position(|(committed, served)| committed != served);
    assert!(
        committed == served,
        "the document differs from loyalty-http/openapi.json (line {}). If the contract is meant \
         to change, write the file with UPDATE_OPENAPI=1 and look at its diff",
        differing.map_or(0, |line| line.saturating_add(1))
    );
}

#[test]
fn operations_are_the_routes() {
    assert_eq!(operations().len(), ROUTES.len());
    for &operation in operations() {
        let (id, route) = (operation.id(), route_of(operation));
        let security = match route.access() {
            Access::Open | Access::Signed => json!([]),
            Access::Bearer(scope) => json!([{ "key": [scope.name()] }]),
            Access::Shopify(scope) => json!([{ "token": [scope.name()] }]),
        };
        assert_eq!(operation.spec["security"], security, "{id}");
        let named = |place: &str| {
            let parameters = operation
                .parameters()
                .into_iter()
                .filter(|parameter| parameter["in"] == place);
            parameters
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(named("query"), route.query.iter().copied().collect(), "{id}");
        let in_path = route
            .pattern
            .split('{')
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap());
        assert_eq!(named("path"), in_path.collect(), "{id}");
        let written = route.method != "GET" && !matches!(route.scope(), None | Some(Scope::Read));
        assert_eq!(
            named("header").contains("Idempotency-Key"),
            written && route.access() != Access::Signed,
            "{id}"
        );
    }
}

/// A missing body is an error exactly where the document requires one.
#[test]
fn documented_bodies_are_the_required_ones() {
    let server = TestServer::new();
    for &operation in operations() {
        let needed = operation.spec.pointer("/requestBody/required") == Some(&json!(true));
        let path =
            operation
                .parameters()
                .iter()
                .fold(operation.pattern.to_owned(), |path, parameter| {
                    let example = &parameter["example"];
                    let value = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                    path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &value)
                });
        let request = server.request(&operation.method.to_uppercase(), &path);
        let answer = request.header("x-shopify-access-token", &server.key).send();
        // The signature is in the head, so that it is missed first.
        if operation.id() == "receiveStoreMessage" {
            assert_eq!(answer.status, 401);
            continue;
        }
        let missed = answer.status == 400 && answer.problem().1 == "truncated_json";
        assert_eq!(missed, needed, "{}: {}", operation.id(), answer.text());
        assert!(operation.method != "get" || operation.body().is_none(), "{}", operation.id());
    }
}

#[test]
fn examples_match_their_schemas() {
    for &operation in operations() {
        for parameter in operation.parameters() {
            if let Some(example) = parameter.get("example") {
                validate(&parameter["schema"], example, operation.id()).unwrap();
            } else {
                assert_ne!(
                    parameter["required"],
                    true,
                    "{}: {}",
                    operation.id(),
                    parameter["name"]
                );
            }
        }
        let Some(media) = operation.body() else { continue };
        let mut example = media.get("example").cloned().unwrap_or_else(|| json!({}));
        if matches!(route_of(operation).access(), Access::Signed) {
            example["key"] = json!("lk_1");
            example["hmac"] = json!("AAAA");
        }
        validate(&media["schema"], &example, operation.id()).unwrap();
    }
}

/// Codes in the source that no response has, and the reason.
const NEVER_SENT: [(&str, &str); 10] = [
    ("forbidden", "a constructor for embedders of the server"),
    ("duplicate_customer", "imports are sent by the command line only"),
    ("import_id_reused", "the same"),
    ("import_mode_unsupported", "the same"),
    ("import_not_found", "the same"),
    ("import_row_not_next", "the same"),
    ("points_expired", "the same"),
    ("points_in_future", "the same"),
    ("order_mismatch", "the store passes the state of the order that a command names"),
    ("unknown_redemption", "the store finds the redemption before the rules decide"),
];

#[test]
fn documented_codes_are_those_of_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let mut emitted = BTreeSet::new();
    for file in [
        "loyalty-core/src/rejection.rs",
        "loyalty-core/src/discount/cart.rs",
        "loyalty-core/src/discount/decide.rs",
        "loyalty-store/src/error.rs",
        "loyalty-http/src/wire/json.rs",
    ] {
        emitted.extend(arms(&read(file)));
    }
    let rejections: BTreeSet<_> = arms(&read("loyalty-core/src/discount/code_rejection.rs"))
        .into_iter()
        .collect();
    for file in sources(&root.join("loyalty-http/src")) {
        emitted.extend(named(
            &file,
            "Problem::",
            &["bad_request", "conflict", "payload_too_large", "request_timeout", "unprocessable"],
        ));
        emitted.extend(named(&file, "Self::", &["unauthenticated"]));
        emitted.extend(after_status(&file));
    }
    let known: BTreeSet<String> = codes("ProblemCode").collect();
    let faults: BTreeSet<String> = codes("FaultCode").collect();
    let unused: BTreeSet<_> = NEVER_SENT.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert!(
        unused
            .iter()
            .all(|code| emitted.contains(code) && !known.contains(code)),
        "{unused:?}"
    );
    for code in &emitted {
        assert!(
            known.contains(code) || unused.contains(code),
            "the table of problem codes lacks {code}"
        );
    }
    let reserved = |code: &String| rejections.contains(code);
    for code in &known {
        assert!(
            emitted.contains(code) || reserved(code),
            "nobody answers {code} of the table of problem codes"
        );
    }
    assert_eq!(codes("CodeRejection").collect::<BTreeSet<_>>(), rejections);
    let mut found = BTreeSet::new();
    for directory in ["loyalty-core/src/program", "loyalty-core/src/discount"] {
        for file in sources(&root.join(directory)) {
            found.extend(fault_codes(&file));
        }
    }
    for file in ["connector.rs", "connector/plugin.rs", "connector/shopify.rs"] {
        found.extend(fault_codes(&read(&format!("loyalty-http/src/{file}"))));
    }
    found.extend(json_faults());
    assert_eq!(faults, found);
}

/// The codes of single bodies that can also be faults of one of many records.
fn json_faults() -> impl Iterator<Item = String> {
    [
        "duplicate_field",
        "duplicate_id",
        "invalid_value",
        "malformed_json",
        "missing_field",
        "out_of_range",
    ]
    .into_iter()
    .chain(["unknown_field", "wrong_type"])
    .map(str::to_owned)
}

fn codes(schema: &str) -> impl Iterator<Item = String> {
    let schema = &DOCUMENT["components"]["schemas"][schema];
    let (listed, documented) = (schema["enum"].as_array(), schema["oneOf"].as_array());
    let documented = documented.into_iter().flatten().map(|code| &code["const"]);
    let codes: Vec<&Value> = listed.into_iter().flatten().chain(documented).collect();
    codes.into_iter().map(|code| code.as_str().unwrap().to_owned())
}

fn sources(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            // Unit tests are at the end of a file.
            let text = fs::read_to_string(&entry).unwrap();
            found.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned());
        }
    }
    found
}

/// The snake-case literal at the beginning of a text, if any.
fn literal(text: &str) -> Option<String> {
    let (code, _) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let snake =
        !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    snake.then(|| code.to_owned())
}

/// The literals to which the arms of a `match` evaluate.
fn arms(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    source.split("=>").skip(1).filter_map(literal).collect()
}

/// The first arguments of calls of these constructors.
fn named(source: &str, prefix: &str, names: &[&str]) -> Vec<String> {
    let calls = names.iter().map(|name| format!("{prefix}{name}("));
    calls
        .flat_map(|call| source.split(&call).skip(1).filter_map(literal).collect::<Vec<_>>())
        .collect()
}

/// The literals that follow a status.
fn after_status(source: &str) -> Vec<String> {
    let statuses = source.split("Status::").chain(source.split("StatusCode::")).skip(1);
    statuses.filter_map(|rest| literal(rest.split_once(',')?.1)).collect()
}

/// The codes of faults: the argument after the place, or the first one if the place is
/// implied.
fn fault_codes(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (call, place) in [
        ("Fault::new(", 1),
        (".fault(", 0),
        (".fault::<()>(", 0),
        ("faults.add(", 1),
        ("faults.add_if(", 2),
        ("=> fault(", 0),
        ("Err(fault(", 0),
    ] {
        for rest in source.split(call).skip(1) {
            found.extend(arguments(rest).get(place).and_then(|argument| literal(argument)));
        }
    }
    found
}

/// The arguments of a call. The text begins after its opening parenthesis.
fn arguments(rest: &str) -> Vec<String> {
    let (mut arguments, mut depth, mut quoted) = (vec![String::new()], 0, false);
    for character in rest.chars() {
        quoted ^= character == '"';
        match character {
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        arguments.last_mut().unwrap().push(character);
    }
    arguments
}
