//! The real server in this process, over a database file with one shop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use loyalty_core::{Currency, ShopId, Zone};
use loyalty_http::{App, Clock, Limits, auth, server};
use loyalty_store::{NewShop, SqliteStore, Store, StoreSettings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::client::{Client, ClientRequest};
use loyalty_store::conformance::contents::{StoreContents, assert_consistent};

pub(crate) struct Server {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shop: ShopId,
    address: SocketAddr,
    key: String,
    runtime: Runtime,
    directory: TempDir,
}

impl Server {
    pub(crate) fn start(settings: &StoreSettings) -> Self {
        let directory = directory();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&directory.path().join("loyalty.db"), settings).unwrap());

        let clock = Clock::system();
        let shop = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };
        let shop = store.create_shop(&shop, clock.now()).unwrap().id;
        let (record, key) = auth::random_key("Test").unwrap();
        store.add_api_key(shop, &record, clock.now()).unwrap();

        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();

        let app = Arc::new(App::new(Arc::clone(&store), clock));
        let service = move |request, id| {
            let app = Arc::clone(&app);
            async move { app.handle(request, id).await }
        };
        runtime.spawn(server::run(listener, service, Limits::default(), std::future::pending()));
        Self { store, shop, address, key, runtime, directory }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address, &self.key)
    }

    /// Creates a customer with a balance.
    pub(crate) fn add_customer(&self, id: &str, points: i64) {
        let mut client = self.client();
        client.send_expecting(
            201,
            &ClientRequest::post("/v1/customers", format!(r#"{{"customer_id":"{id}"}}"#)),
        );
        let body = format!(r#"{{"customer_id":"{id}","points":{points}}}"#);
        client.send_expecting(200, &ClientRequest::post("/v1/points-add", body));
    }

    /// Publishes a program. Returns its version.
    pub(crate) fn publish(&self, document: &str) -> u32 {
        let response = self
            .client()
            .send_expecting(201, &ClientRequest::new("PUT", "/v1/program", document.to_owned()));
        u32::try_from(response.number("version")).unwrap()
    }

    /// Stops the server. Asserts that the store is consistent, and that the reopened file
    /// has the same contents.
    pub(crate) fn verify_and_stop(self) {
        let Self { store, runtime, directory, .. } = self;
        runtime.shutdown_timeout(std::time::Duration::from_secs(10));
        assert_consistent(&*store);
        let before = StoreContents::read(&*store);
        assert_eq!(Arc::strong_count(&store), 1, "the server still holds the store");
        drop(store);

        let store =
            SqliteStore::open(&directory.path().join("loyalty.db"), &StoreSettings::default())
                .unwrap();
        assert_eq!(StoreContents::read(&store), before);
        assert_consistent(&store);
    }
}

/// In memory if possible: these tests do not cut the power.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}
