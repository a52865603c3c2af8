//! The requests as templates of bytes, with places for a serial number, a customer and a
//! signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Number of customers, which the requests use in turn.
pub(crate) const CUSTOMERS: u64 = 10_000;

/// Placeholder of the serial number of a request.
const SERIAL: &str = "SSSSSSSSSSSS";
/// Placeholder of the number of a customer.
const CUSTOMER: &str = "CCCCCC";
/// Placeholder of the signature of a plugin's body.
const SIGNATURE: &str = "HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHH";

/// The id of a customer.
pub(crate) fn customer_id(number: u64) -> String {
    format!("{number:06}")
}

/// The e-mail of a customer.
pub(crate) fn email(number: u64) -> String {
    format!("c{number:06}@example.com")
}

/// A request with placeholders.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    bytes: Vec<u8>,
    serial_offsets: Vec<usize>,
    customer_offsets: Vec<usize>,
    signature: Option<Signature>,
}

/// The position of a plugin's signature, and the bytes that it signs.
#[derive(Clone)]
struct Signature {
    at: usize,
    body_at: usize,
    /// End of the signed body; the signature and the closing brace follow.
    end: usize,
    keyed: Hmac<Sha256>,
}

impl Template {
    fn new(name: &'static str, head: &str, body: &str) -> Self {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
        };

        let text = format!("{head}\r\nhost: localhost\r\n{length}\r\n{body}");
        let offsets = |what: &str| text.match_indices(what).map(|(at, _)| at).collect();
        let (serial_offsets, customer_offsets) = (offsets(SERIAL), offsets(CUSTOMER));

        Self {
            name,
            bytes: text.into_bytes(),
            serial_offsets,
            customer_offsets,
            signature: None,
        }
    }

    /// The bytes of the next request.
    pub(crate) fn fill(&mut self, serial: u64) -> &[u8] {
        for &at in &self.serial_offsets {
            write_number(&mut self.bytes[at..at + SERIAL.len()], serial);
        }

        // Far apart, and all of them in turn: the factor and the number are coprime.
        let customer = serial % CUSTOMERS * 7_919 % CUSTOMERS;
        for &at in &self.customer_offsets {
            write_number(&mut self.bytes[at..at + CUSTOMER.len()], customer);
        }

        if let Some(Signature { at, body_at, end, keyed }) = &self.signature {
            let mut mac = keyed.clone();
            mac.update(&self.bytes[*body_at..*end]);
            mac.update(b"}");
            let signature = &mut self.bytes[*at..*at + SIGNATURE.len()];
            STANDARD.encode_slice(mac.finalize().into_bytes(), signature).unwrap();
        }
        &self.bytes
    }
}

fn write_number(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap();
        number /= 10;
    }
}

/// All kinds of requests, for a shop with this key and signing secret.
pub(crate) fn all(key: &str, secret: &str) -> Vec<Template> {
    vec![points_add(key), order(key), webhook(key, secret), redemption(key), balance(key)]
}

/// A program with the reward to redeem, so cheap that no customer runs out of points.
pub(crate) const PROGRAM: &str = r#"{"rewards": [{"id": "five", "name": "$5 off", "cost": 1, "gives": {"fixed_amount": "5.00"}, "valid_for": "P90D"}]}"#;

/// A redemption, which creates a price rule and a code. Each is a new one.
fn redemption(key: &str) -> Template {
    let head = format!(
        "POST /v1/redemptions HTTP/1.1\r\nauthorization: Bearer {key}\r\nidempotency-key: reward-{SERIAL}"
    );
    let body = format!(r#"{{"customer_id":"{CUSTOMER}","reward_id":"five"}}"#);
    Template::new("redemption, durable", &head, &body)
}

fn points_add(key: &str) -> Template {
    let head = format!(
        "POST /v1/points-add HTTP/1.1\r\nauthorization: Bearer {key}\r\nidempotency-key: bench-{SERIAL}"
    );
    let body =
        format!(r#"{{"customer_id":"{CUSTOMER}","points":100,"reason":"Plan of three months"}}"#);
    Template::new("points-add, durable", &head, &body)
}

fn balance(key: &str) -> Template {
    let head = format!(
        "GET /v1/customers/{CUSTOMER}/point-balance HTTP/1.1\r\nauthorization: Bearer {key}"
    );
    Template::new("balance", &head, "")
}

/// An order of five lines, each time a new one.
fn order(key: &str) -> Template {
    let head = format!("PUT /v1/orders/{SERIAL} HTTP/1.1\r\nauthorization: Bearer {key}");
    let line = |product: u32, category: &str, amount: &str| {
        format!(
            r#"{{"product_id":"{product}","categories":["{category}"],"quantity":1,"amount":"{amount}"}}"#
        )
    };
    let lines = [
        line(844_165, "SOFT DRINKS", "0.88"),
        line(845_078, "BAG SNACKS", "1.88"),
        line(885_700, "CAT FOOD", "8.29"),
        line(6_395_943, "SOFT DRINKS", "0.88"),
        line(8_090_610, "SOFT DRINKS", "3.00"),
    ];
    let body = format!(
        r#"{{"customer":{{"customer_id":"{CUSTOMER}"}},"status":"completed","placed_at":"2026-01-02T01:09:21Z","updated_at":"2026-01-02T01:09:21Z","lines":[{}],"total":"14.93"}}"#,
        lines.join(",")
    );
    Template::new("order of 5 lines, durable", &head, &body)
}

/// The same order as a store plugin sends it, signed. Its members are in the order that
/// is signed.
fn webhook(key: &str, secret: &str) -> Template {
    let head = "POST /integrations/webhooks/woocommerce/orders-completed HTTP/1.1";
    let product = |product: u32, name: &str, price: &str, category: &str| {
        format!(
            r#"{{"product_id":{product},"product_name":"{name}","product_price":"{price}","quantity":1,"categories":[{{"category_id":{},"category_name":"{category}"}}]}}"#,
            product % 1_000
        )
    };
    let products = [
        product(844_165, "Cola", "0.88", "SOFT DRINKS"),
        product(845_078, "Crisps", "1.88", "BAG SNACKS"),
        product(885_700, "Cat food", "8.29", "CAT FOOD"),
        product(6_395_943, "Lemonade", "0.88", "SOFT DRINKS"),
        product(8_090_610, "Ginger ale", "3.00", "SOFT DRINKS"),
    ];
    let signed = format!(
        r#"{{"customer":{{"id":"{CUSTOMER}","email":"c{CUSTOMER}@example.com","first_name":"Ada","last_name":"Lovelace","birthday":"","default_address":{{"zip":"10115","country":"DE"}}}},"discount_codes":[],"id":"w{SERIAL}","ip_address":"192.0.2.7","key":"{key}","products":[{}],"subtotal_price":"14.93","taxes_included":0,"total_discounts":"0.00","total_price":"14.93","total_tax":"0.00""#,
        products.join(",")
    );
    let mut template = Template::new(
        "order webhook of 5 lines, durable",
        head,
        &format!(r#"{signed},"hmac":"{SIGNATURE}"}}"#),
    );
    let text = std::str::from_utf8(&template.bytes).unwrap();
    let body_at = text.find("\r\n\r\n").unwrap() + 4;
    template.signature = Some(Signature {
        at: text.find(SIGNATURE).unwrap(),
        body_at,
        end: body_at + signed.len(),
        keyed: Hmac::new_from_slice(secret.as_bytes()).unwrap(),
    });
    template
}
