//! A shop that has all resources of the document's examples.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use loyalty_http::router::{Access, ROUTES};
use loyalty_store::Scope;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::conformance::Operation;
use crate::support::{TestResponse, TestServer, new_key, secret_of};

/// The credentials of a caller: a key, and the secret with which store plugins sign.
#[derive(Clone)]
pub(crate) struct Credentials {
    key: String,
    secret: String,
}

impl Credentials {
    /// The credentials whose key was made from this seed.
    pub(crate) fn from_seed(seed: u8) -> Self {
        Self {
            key: new_key(seed, &Scope::OF_SHOP).1,
            secret: secret_of(seed),
        }
    }
}

/// The ids of the shop's resources.
#[derive(Clone)]
pub(crate) struct FixtureIds {
    /// Numbers by the name of the parameter, or for `id` by the word before it in the
    /// path.
    numbers: BTreeMap<&'static str, String>,
    /// Generated texts, each with the text in the document's example.
    generated: Vec<(&'static str, String)>,
}

/// A number that no resource has.
const UNKNOWN_NUMBER: &str = "4000000000";

impl FixtureIds {
    /// The same texts, and unknown numbers.
    pub(crate) fn unknown(&self) -> Self {
        let numbers = self
            .numbers
            .keys()
            .map(|name| (*name, UNKNOWN_NUMBER.to_owned()))
            .collect();
        Self { numbers, generated: self.generated.clone() }
    }

    /// The same ids, except for one parameter.
    pub(crate) fn with(mut self, parameter: &'static str, name: &str) -> Self {
        self.numbers.insert(parameter, name.to_owned());
        self
    }

    /// The value of a parameter in the shop, else the document's example.
    fn value(&self, operation: Operation, parameter: &Value) -> Option<String> {
        let name = parameter["name"].as_str().unwrap();
        let name = match name {
            "id" | "since_id" | "ids" => operation.pattern.split(['/', '.']).nth(4).unwrap(),
            other => other,
        };
        let example = parameter.get("example")?;
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        Some(self.numbers.get(name).cloned().unwrap_or(example))
    }
}

/// Fills the first shop. All its ids that are texts begin with `prefix`.
pub(crate) fn populate(server: &TestServer, prefix: &str) -> FixtureIds {
    let prefixed = |text: &str| format!("{prefix}{text}");
    let program = json!({
        "rewards": [{"id": "five", "name": "Five off", "cost": 100, "gives": {"fixed_amount": "5.00"}}],
        "tiers": [{"id": "gold", "name": "Gold", "multiplier": "2"}],
        "actions": [{"id": "review", "kind": "review", "points": 10}],
        "referrals": {"received": 50, "sent": 50},
    });
    server.put("/v1/program", program.to_string()).expect(201);
    let friends_code = create_customers(server, &prefixed);
    let path = |list: &str, id: &str| format!("/v1/{list}/{}", prefixed(id));
    server
        .put(&path("categories", "drinks"), r#"{"name":"Drinks"}"#)
        .expect(200);
    server
        .put(&path("products", "tea"), r#"{"title":"Tea","categories":["drinks"]}"#)
        .expect(200);
    let lines = r#"[{"line_id":"1","quantity":2,"amount":"29.90"},{"line_id":"2","quantity":1,"amount":"20.05"}]"#;
    let customer = json!({"customer_id": prefixed("42")});
    let order = format!(
        r#"{{"customer":{customer},"status":"paid","lines":{lines},"shipping":"4.90","total":"54.85"}}"#
    );
    server.put(&path("orders", "1001"), order).expect(200);
    let refund = r#"{"refund_id":"r1","amount":"1.00"}"#;
    server
        .post(&format!("{}/refunds", path("orders", "1001")), refund)
        .expect(200);
    let mut numbers = create_discounts(server, &prefixed);
    let redeem = json!({"customer_id": prefixed("42"), "reward_id": "five"});
    numbers.insert("redemption_id", create(server, "/v1/redemptions", &redeem, "redemption_id"));
    let claims = server
        .get(&format!("/v1/customers/{}/claims", prefixed("42")))
        .expect(200);
    let claim = claims.json()["claims"][0]["claim_id"].as_str().unwrap().to_owned();
    numbers.insert("claim_id", claim);
    let key = json!({"name": prefixed("Till"), "scopes": ["read"]});
    numbers.insert("key_id", create(server, "/v1/keys", &key, "key_id"));
    // No code is published: nobody is there.
    let store = json!({"kind": "woocommerce", "url": "https://shop.invalid", "key": prefixed("key"),
        "secret": "secret", "webhook_secret": secret_of(1), "enabled": false});
    server.put("/v1/stores/plugin", store.to_string()).expect(200);
    let endpoint = json!({"url": "https://shop.invalid/hook", "description": prefixed("Ours")});
    let endpoint = create(server, "/v1/webhook-endpoints", &endpoint, "endpoint_id");
    numbers.insert("endpoint_id", endpoint);
    let events = server.get("/v1/events?limit=1").expect(200).json();
    let entry = events["events"][0]["data"]["entry_id"].as_str().unwrap().to_owned();
    numbers.insert("delivery_id", format!("{}-0", entry.split('-').next().unwrap()));
    let search = json!({"name": prefixed("Everybody"), "query": "ada"});
    let search = create(server, "/v1/customer-saved-searches", &search, "saved_search_id");
    numbers.insert("saved_search_id", search.clone());
    numbers.insert("customer_saved_searches", search);
    // The resources with assigned numbers, which are the largest.
    for list in ["customers", "products"] {
        let page = server
            .shopify("GET", &format!("/{list}.json"))
            .send()
            .expect(200)
            .json();
        let ids = page[list]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|resource| resource["id"].as_u64());
        numbers.insert(list, ids.max().unwrap().to_string());
    }
    FixtureIds { numbers, generated: vec![("FRIEND-OF-GRACE", friends_code)] }
}

/// Creates a resource and returns its id.
fn create(server: &TestServer, path: &str, body: &Value, name: &str) -> String {
    let answer = server.post(path, body.to_string()).expect(201);
    answer.json()[name].as_str().unwrap().to_owned()
}

/// Creates Ada with points, a friend with a referral code, and others. Returns the code.
fn create_customers(server: &TestServer, prefixed: &dyn Fn(&str) -> String) -> String {
    // Ada has ordered as a guest before.
    let guest = json!({"email": prefixed("lovelace@example.com")});
    server.post("/v1/customers", guest.to_string()).expect(201);
    let ada = json!({"customer_id": prefixed("42"), "email": guest["email"], "first_name": "Ada"});
    server.post("/v1/customers", ada.to_string()).expect(201);
    let email = json!({"email": prefixed("ada@example.com")});
    server
        .patch(&format!("/v1/customers/{}", prefixed("42")), email.to_string())
        .expect(200);
    for id in ["7", "8", "grace"] {
        server
            .post("/v1/customers", json!({"customer_id": prefixed(id)}).to_string())
            .expect(201);
    }
    let points = json!({"customer_id": prefixed("42"), "points": 1000});
    server.post("/v1/points-add", points.to_string()).expect(200);
    let referral_code = server
        .post(&format!("/v1/customers/{}/referral-code", prefixed("7")), "{}")
        .expect(200);
    referral_code.json()["code"].as_str().unwrap().to_owned()
}

/// Creates a price rule, its codes, and a checkout that reserves one of them.
fn create_discounts(
    server: &TestServer,
    prefixed: &dyn Fn(&str) -> String,
) -> BTreeMap<&'static str, String> {
    let rule =
        json!({"title": prefixed("Welcome"), "value": "-5.00", "value_type": "fixed_amount"});
    let rule = create(server, "/v1/price-rules", &rule, "price_rule_id");
    let under = format!("/v1/price-rules/{rule}");
    let code = json!({"code": prefixed("WELCOME")});
    let code = create(server, &format!("{under}/discount-codes"), &code, "code_id");
    let batch = json!({"discount_codes": [{"code": prefixed("BATCH")}]});
    let batch = create(server, &format!("{under}/batch"), &batch, "batch_id");
    let reservation = json!({"codes": [prefixed("WELCOME")], "until": "2026-03-01T12:30:00Z"});
    server
        .post(&format!("/v1/checkouts/{}/codes", prefixed("cart-7")), reservation.to_string())
        .expect(200);
    BTreeMap::from([
        ("batch_id", batch),
        ("code_id", code),
        ("price_rule_id", rule.clone()),
        ("price_rules", rule),
    ])
}

/// Sends the document's example with these ids. With `all`, also with the optional query
/// parameters.
pub(crate) fn send_example(
    server: &TestServer,
    credentials: &Credentials,
    operation: Operation,
    names: &FixtureIds,
    all: bool,
) -> TestResponse {
    let (mut path, mut query) = (operation.pattern.to_owned(), Vec::new());
    for parameter in operation.parameters() {
        let name = parameter["name"].as_str().unwrap();
        let needed = parameter["required"] == true;
        let value = names.value(operation, parameter);
        let none = || panic!("{} has no example of {name}", operation.id());
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &value.unwrap_or_else(none)),
            "query" if needed => query.push(format!("{name}={}", value.unwrap_or_else(none))),
            "query" if all => query.extend(value.map(|value| format!("{name}={value}"))),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&").replace('@', "%40"));
    }
    let request = server
        .request(&operation.method.to_uppercase(), &path)
        .key(&credentials.key);
    let request = request.header("x-shopify-access-token", &credentials.key);
    let Some(media) = operation.body() else { return request.send() };
    let example = media.get("example").cloned().unwrap_or_else(|| json!({}));
    let text = names
        .generated
        .iter()
        .fold(example.to_string(), |text, (example, generated)| {
            text.replace(example, generated)
        });
    let is_it = ROUTES
        .iter()
        .find(|route| route.pattern == operation.pattern && route.method != "GET");
    if operation.pattern.starts_with("/integrations/stores/") {
        let signature = BASE64_STANDARD.encode(hmac(credentials, &text));
        return request.header("x-wc-webhook-signature", &signature).body(text).send();
    }
    if is_it.is_some_and(|route| route.access() == Access::Signed) {
        return request.body(sign(credentials, &text)).send();
    }
    request.body(text).send()
}

/// The body with its key and signature, as plugins encode it.
fn sign(credentials: &Credentials, example: &str) -> String {
    let mut body: Value = serde_json::from_str(example).unwrap();
    body["key"] = json!(credentials.key);
    // The members are sorted already, and only slashes are encoded differently by PHP.
    let text = body.to_string().replace('/', "\\/");
    body["hmac"] = json!(BASE64_STANDARD.encode(hmac(credentials, &text)));
    body.to_string()
}

fn hmac(credentials: &Credentials, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(credentials.secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
