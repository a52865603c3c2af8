//! A server without a socket over a new store in memory, with one shop and its key.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::http::request::Builder;
use loyalty_core::{Currency, Timestamp, Zone};
use loyalty_http::RequestId;
use loyalty_http::clock::ManualClock;
use loyalty_http::{App, Clock};
use loyalty_store::{KeyHash, MemoryStore, NewApiKey, NewShop, Scope, Store};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

/// The shop's API key.
pub(super) const KEY: &str = "lk_fuzz_secret";
/// The secret that its store plugin signs with.
pub(super) const SECRET: &str = "the plugin's secret";

/// The initial time: noon of 1 March 2026.
pub(super) const NOW: i64 = 1_772_366_400;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

pub(super) struct FuzzServer {
    store: Arc<MemoryStore>,
    app: App,
    pub(super) clock: ManualClock,
    requests: u64,
}

impl FuzzServer {
    pub(super) fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let now = Timestamp::from_timestamp(NOW, 0).unwrap_or_default();
        let shop = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };

        let shop = store.create_shop(&shop, now).unwrap().id;

        let hash = KeyHash { id: "fuzz".to_owned(), hash: Sha256::digest("secret").into() };
        let (name, scopes) = ("Fuzz".to_owned(), Scope::OF_SHOP.to_vec());
        let key = NewApiKey { hash, name, scopes, expires_at: None };
        store.add_api_key(shop, &key, now).unwrap();
        store.add_store_secret(shop, SECRET, now).unwrap();

        let (clock, manual_clock) = Clock::manual(now);
        let app = App::new(Arc::<MemoryStore>::clone(&store), clock);
        Self { store, app, clock: manual_clock, requests: 0 }
    }

    /// Sends a request. `None` if it is no valid HTTP request. Asserts that the status is
    /// no server error, and that a body is JSON unless its type is text.
    pub(super) fn send(&mut self, request: Builder, body: &[u8]) -> Option<(u16, Value)> {
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).ok()?;
        let request_line = format!("{} {}", request.method(), request.uri());

        self.requests += 1;
        let id = RequestId::from_number(self.requests);

        RUNTIME.with(|runtime| {
            runtime.block_on(async {
                let response = self.app.handle(request, id).await;
                let status = response.status();
                let kind = response.headers().get("content-type").cloned();
                let body = response
                    .into_body()
                    .collect()
                    .await
                    .expect("a whole response")
                    .to_bytes();

                assert!(
                    !status.is_server_error(),
                    "{request_line}: {status} {}",
                    String::from_utf8_lossy(&body)
                );

                let is_table = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
                if body.is_empty() || is_table {
                    return Some((status.as_u16(), Value::Null));
                }

                let body = serde_json::from_slice(&body);
                Some((
                    status.as_u16(),
                    body.unwrap_or_else(|error| panic!("{request_line}: {status}, {error}")),
                ))
            })
        })
    }

    /// Sends a request with the shop's key and a JSON body.
    pub(super) fn send_json(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Option<(u16, Value)> {
        let request = hyper::Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {KEY}"));
        self.send(request.header("content-type", "application/json"), body)
    }

    /// Asserts that all states agree with the journal.
    pub(super) fn verify(&self) {
        let verified = self.store.verify().unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
    }
}
