//! A server with one shop, and a plugin that signs its bodies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use loyalty_core::discount::{Code, PriceRule, PriceRuleParts};
use loyalty_core::{Currency, CustomerId, Email, OrderId, Program, ShopId, Timestamp, Zone};
use loyalty_http::clock::ManualClock;
use loyalty_http::{App, Clock, Limits, server};
use loyalty_store::{
    Action, CustomerRef, CustomerView, DiscountAction, DiscountOutcome, Discounts, KeyHash,
    MemoryStore, NewApiKey, NewShop, OrderRecord, Receipt, Reply, Request, Scope, Store,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use crate::conformance::{self, ReceivedResponse};

/// The key and the secret of the vectors, and their time.
pub(crate) const KEY: &str = "lk_live_4f7Qx/Zü";
pub(crate) const SECRET: &str = "s3cret-of-the-shop/ünïcode-öne";
pub(crate) const TIME: i64 = 1_751_371_200;

/// A server with one shop. Its clock shows [`TIME`] until it is set.
pub(crate) struct Server {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) shop: ShopId,
    pub(crate) clock: ManualClock,
    address: SocketAddr,
    pub(crate) connection: Option<TcpStream>,
    _runtime: Runtime,
}

#[derive(Debug, PartialEq)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) body: Value,
}

impl Server {
    pub(crate) fn start() -> Self {
        let store = Arc::new(MemoryStore::default());
        let now = Timestamp::from_timestamp(TIME, 0).unwrap();
        let (clock, manual_clock) = Clock::manual(now);
        let shop = add_shop(&*store, Currency::EUR, KEY, SECRET, Scope::OF_SHOP.to_vec());
        let app = Arc::new(App::new(store.clone(), clock));
        let service = move |request, id| {
            let app = Arc::clone(&app);
            async move { app.handle(request, id).await }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(server::run(listener, service, Limits::default(), std::future::pending()));
        Self {
            store,
            shop,
            clock: manual_clock,
            address,
            connection: None,
            _runtime: runtime,
        }
    }

    /// Sends bytes to a path. All requests share one connection.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> TestResponse {
        let address = self.address;
        let stream = self.connection.get_or_insert_with(|| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        });
        let length = body.len();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request).unwrap();
        let (head, answer) = read_whole(stream);
        let text = answer.body.to_string();
        let received =
            ReceivedResponse { status: answer.status, head: &head, body: text.as_bytes() };
        conformance::check("POST", path, body, received);
        answer
    }

    /// Delivers a signed body of these members to `platform/event`.
    pub(crate) fn deliver(&mut self, webhook: &str, members: &[(&str, &str)]) -> TestResponse {
        self.post(&path(webhook), sign(KEY, SECRET, members).as_bytes())
    }

    /// Delivers, expects success, and returns the change of the balance.
    pub(crate) fn deliver_ok(&mut self, webhook: &str, members: &[(&str, &str)]) -> i64 {
        let answer = self.deliver(webhook, members);
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"), "{webhook}: {answer:?}");
        assert_eq!(answer.body["ok"], true);
        answer.body["points_changed"].as_i64().unwrap()
    }

    /// The balance of a customer, by id, else by e-mail address.
    pub(crate) fn balance(&self, id_or_email: &str) -> i64 {
        self.customer(id_or_email)
            .unwrap_or_else(|| panic!("{id_or_email} is unknown"))
            .balance(Timestamp::UNIX_EPOCH)
            .get()
    }

    pub(crate) fn customer(&self, id_or_email: &str) -> Option<CustomerView> {
        let customer = Email::new(id_or_email).map_or_else(
            |_| CustomerRef::Id(CustomerId::new(id_or_email).unwrap()),
            CustomerRef::Email,
        );
        self.store.customer(self.shop, &customer).unwrap()
    }

    pub(crate) fn order(&self, id: &str) -> Option<Arc<OrderRecord>> {
        self.store.order(self.shop, &OrderId::new(id).unwrap()).unwrap()
    }

    /// The number of journal rows of all shops, after verifying all states.
    pub(crate) fn rows(&self) -> u64 {
        let verified = self.store.verify().unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
        verified.rows
    }

    pub(crate) fn publish(&self, program: &str) {
        let program = Box::new(Program::from_json(program).unwrap());
        self.act(Action::PublishProgram { program, replaces: None });
    }

    fn act(&self, action: Action) -> Receipt {
        let now = Timestamp::from_timestamp(TIME, 0).unwrap();
        match self
            .store
            .execute(Request {
                shop: self.shop,
                now,
                dry_run: false,
                idempotency: None,
                entropy: None,
                action,
            })
            .wait()
        {
            Ok(Reply::Decided(Ok(receipt))) => receipt,
            other => panic!("{other:?}"),
        }
    }

    /// Creates a code with a discount of one.
    pub(crate) fn add_code(&self, text: &str) {
        let parts = PriceRuleParts {
            title: text.to_owned(),
            value: "-1".parse().unwrap(),
            ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
        };
        let rule = Box::new(PriceRule::new(parts, 2).unwrap());
        let receipt =
            self.act(Action::Discount(DiscountAction::SaveRule { id: None, rule, if_match: None }));
        let Some(DiscountOutcome::Rule(rule)) = receipt.discount_outcome else {
            panic!("no rule")
        };
        let text = Code::new(text).unwrap();
        self.act(Action::Discount(DiscountAction::AddCode { rule: rule.id, text }));
    }

    /// The number of uses of a code.
    pub(crate) fn uses(&self, text: &str) -> u64 {
        self.store
            .code_by_text(self.shop, &Code::new(text).unwrap())
            .unwrap()
            .unwrap()
            .used
    }

    pub(crate) fn advance_clock(&self, seconds: i64) {
        self.clock.set(Timestamp::from_timestamp(TIME + seconds, 0).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.rows();
        }
    }
}

pub(crate) fn add_shop(
    store: &dyn Store,
    currency: Currency,
    key: &str,
    secret: &str,
    scopes: Vec<Scope>,
) -> ShopId {
    let now = Timestamp::from_timestamp(TIME, 0).unwrap();
    let shop = store
        .create_shop(&NewShop { name: "Tea".into(), currency, zone: Zone::UTC }, now)
        .unwrap()
        .id;
    let (id, hidden) = key.strip_prefix("lk_").unwrap().split_once('_').unwrap();
    let hash = KeyHash { id: id.to_owned(), hash: Sha256::digest(hidden).into() };
    let key = NewApiKey { hash, name: "Plugin".to_owned(), scopes, expires_at: None };
    store.add_api_key(shop, &key, now).unwrap();
    store.add_store_secret(shop, secret, now).unwrap();
    shop
}

pub(crate) fn read_answer(stream: &mut TcpStream) -> TestResponse {
    read_whole(stream).1
}

/// Reads the head and the body of a response.
fn read_whole(stream: &mut TcpStream) -> (String, TestResponse) {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap_or("0");
            if body.len() == length.parse::<usize>().unwrap() {
                let (status, reason) = head.lines().next().unwrap()[9..].split_once(' ').unwrap();
                let body = serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}"));
                let answer = TestResponse {
                    status: status.parse().unwrap(),
                    reason: reason.to_owned(),
                    body,
                };
                return (head.to_owned(), answer);
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the server closed after {text:?}");
        received.extend_from_slice(&buffer[..count]);
    }
}

pub(crate) fn path(webhook: &str) -> String {
    format!("/integrations/webhooks/{webhook}")
}

/// A signed body of members whose values are JSON as PHP encodes it, not in the signed
/// order.
pub(crate) fn sign(key: &str, secret: &str, members: &[(&str, &str)]) -> String {
    let key = php_text(key);
    let mut members = members.to_vec();
    members.push(("key", &key));
    let sent: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    members.sort_unstable();
    let sorted: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{{{}}}", sorted.join(",")).as_bytes());
    let hmac = STANDARD.encode(mac.finalize().into_bytes());
    format!("{{{},\"hmac\":{}}}", sent.join(","), php_text(&hmac))
}

/// A string as PHP's `json_encode` encodes it, for letters of the first plane.
pub(crate) fn php_text(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '/' => "\\/".to_owned(),
        ' '..='~' => letter.to_string(),
        letter => format!("\\u{:04x}", u32::from(letter)),
    });
    format!("\"{}\"", letters.collect::<String>())
}

pub(crate) const ADA: &str =
    r#"{"id":31,"email":"ada@example.com","first_name":"Ada","last_name":"","birthday":""}"#;
pub(crate) const GUEST: &str = r#"{"email":"guest@example.com","first_name":"Guest"}"#;
pub(crate) const MUG: &str = r#"[{"product_id":12,"product_name":"Mug","product_price":"9.99","quantity":5,"categories":[]}]"#;

/// An order as WooCommerce sends it, with this subtotal and without tax and shipping.
pub(crate) fn order<'a>(
    id: &'a str,
    subtotal: &'a str,
    customer: &'a str,
) -> [(&'a str, &'a str); 9] {
    [
        ("id", id),
        ("total_price", subtotal),
        ("total_tax", r#""0.00""#),
        ("total_discounts", r#""0.00""#),
        ("subtotal_price", subtotal),
        ("taxes_included", "0"),
        ("discount_codes", "[]"),
        ("customer", customer),
        ("products", MUG),
    ]
}
