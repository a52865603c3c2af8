//! Webhook endpoints: signed events as Standard Webhooks 1.0.0 has them.

use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use loyalty_core::Timestamp;
use loyalty_store::seal::SecretText;
use loyalty_store::{Destination, MAX_ANSWER};
use serde::Serialize;
use sha2::Sha256;

use super::receiver::{DeliveryOutcome, DeliveryReport, EventToDeliver, Outside, Receiver};
use crate::endpoint::events::customer_id;
use crate::outbound::{OutboundAnswer, OutboundError, OutboundRequest};
use crate::wire::event::{EventBody, EventId};
use crate::wire::value::TimeText;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The text of a secret begins with this.
const SECRET_PREFIX: &str = "whsec_";

/// Draws a secret of 24 random bytes: `whsec_` and their base64.
pub fn new_webhook_secret() -> Result<SecretText, getrandom::Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    Ok(SecretText::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))))
}

/// Signs a message: `v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`. `None` if
/// the secret is malformed.
///
/// # Example: a receiver compares what it computes
/// ```
/// use loyalty_http::sender::sign;
/// let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// let body = br#"{"test": 2432232314}"#;
/// let signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
/// let known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
/// assert_eq!(signature.as_deref(), Some(known));
/// ```
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let encoded = secret.strip_prefix(SECRET_PREFIX)?;
    let key = STANDARD.decode(encoded).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The receiver that is a webhook endpoint.
#[derive(Clone, Copy, Debug)]
pub struct WebhookReceiver;

impl Receiver for WebhookReceiver {
    fn deliver<'a>(
        &'a self,
        event: &'a EventToDeliver,
        outside: &'a Outside,
    ) -> Pin<Box<dyn Future<Output = DeliveryReport> + Send + 'a>> {
        Box::pin(async move {
            let (rendered, lookup) = (event.clone(), outside.clone());
            // It may read the customer from a table.
            let rendered = tokio::task::spawn_blocking(move || render(&rendered, &lookup)).await;
            match rendered {
                Ok(Ok((id, body))) => send(&event.destination, outside, &id, body).await,
                Ok(Err(reason)) => DeliveryReport::retry(reason),
                Err(error) => DeliveryReport::retry(error.to_string()),
            }
        })
    }
}

/// Returns the id and the body of an event.
fn render(event: &EventToDeliver, outside: &Outside) -> Result<(String, Vec<u8>), String> {
    let found = event.event().ok_or("the journal has no such event")?;
    let customer = customer_id(&*outside.store, &found);
    let customer = customer.map_err(|_| "the store cannot be read")?;
    let body = serde_json::to_vec(&EventBody::new(&found, customer));
    let body = body.map_err(|error| error.to_string())?;
    Ok((EventId::of(&outside.journal, &found).to_string(), body))
}

/// The body of a test.
#[derive(Serialize)]
struct TestBody {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: TimeText,
    data: TestData,
}

#[derive(Serialize)]
struct TestData {
    text: &'static str,
}

/// Sends an event that nothing has caused.
pub(super) async fn send_test(destination: &Destination, outside: &Outside) -> DeliveryReport {
    let mut id = [0; 16];
    if getrandom::fill(&mut id).is_err() {
        return DeliveryReport::retry("the system has no random numbers");
    }
    let id = format!("msg_{:032x}", u128::from_be_bytes(id));
    let body = TestBody {
        kind: "webhook_endpoint.test",
        timestamp: TimeText(outside.clock.now()),
        data: TestData { text: "This is a test." },
    };
    match serde_json::to_vec(&body) {
        Ok(body) => send(destination, outside, &id, body).await,
        Err(error) => DeliveryReport::retry(error.to_string()),
    }
}

async fn send(
    destination: &Destination,
    outside: &Outside,
    id: &str,
    body: Vec<u8>,
) -> DeliveryReport {
    let Some(headers) = headers(destination, outside.clock.now(), id, &body) else {
        return DeliveryReport::retry("the endpoint has no secret to sign with");
    };
    let request = OutboundRequest {
        method: Method::POST,
        url: destination.settings.url.clone(),
        headers,
        body: Bytes::from(body),
    };
    read_answer(&outside.client.send(request).await)
}

/// The headers of a message, with a signature for each secret that is valid.
fn headers(
    destination: &Destination,
    now: Timestamp,
    id: &str,
    body: &[u8],
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let timestamp = now.timestamp();
    let secrets = destination.valid_secrets(now);
    let signatures: Vec<_> = secrets
        .filter_map(|secret| sign(secret.expose(), id, timestamp, body))
        .collect();
    if signatures.is_empty() {
        return None;
    }
    Some(vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("*/*")),
        (WEBHOOK_ID, HeaderValue::from_str(id).ok()?),
        (WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp)),
        (WEBHOOK_SIGNATURE, HeaderValue::from_str(&signatures.join(" ")).ok()?),
    ])
}

fn read_answer(answered: &Result<OutboundAnswer, OutboundError>) -> DeliveryReport {
    let answer = match answered {
        Ok(answer) => answer,
        Err(error) => return DeliveryReport::retry(error.to_string()),
    };
    let status = answer.status;
    let asks_to_wait =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let outcome = if status.is_success() {
        DeliveryOutcome::Delivered
    } else if status == StatusCode::GONE {
        DeliveryOutcome::Gone
    } else {
        let after = answer.retry_after;
        DeliveryOutcome::Retry { after, all: asks_to_wait && after.is_some() }
    };
    let reason = if status.is_success() {
        String::new()
    } else {
        format!("the answer was {}", status.as_u16())
    };
    let answer = String::from_utf8_lossy(&answer.body);
    let answer = answer.chars().filter(|c| !c.is_control()).take(MAX_ANSWER).collect();
    DeliveryReport { outcome, status: Some(status.as_u16()), reason, answer }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_are_random_and_long_enough() {
        let (one, other) = (new_webhook_secret().unwrap(), new_webhook_secret().unwrap());
        assert_ne!(one, other);
        let encoded = one.expose().strip_prefix("whsec_").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap().len(), 24);
        assert_eq!(sign("secret", "msg_1", 0, b""), None);
    }
}
