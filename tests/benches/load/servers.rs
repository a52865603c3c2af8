//! The three servers: the real one, bare hyper, and the floor, all on one runtime
//! configured as in the server's binary.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use loyalty_core::program::EmailProof;
use loyalty_core::{
    AdjustmentReason, Command, Currency, CustomerId, Email, Points, Program, ShopId, Zone,
};
use loyalty_http::{App, Clock, Limits, auth, log, server};
use loyalty_store::{
    Action, CustomerRef, EmailConflict, Existence, FieldChange, NewShop, Pending, ProfileChange,
    Reply, Request as Transaction, SqliteStore, Store, StoreSettings,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;

use crate::floor;
use crate::requests::{self, CUSTOMERS, Template};

/// The running servers.
pub(crate) struct Servers {
    pub(crate) bare: SocketAddr,
    pub(crate) ours: SocketAddr,
    pub(crate) floor: SocketAddr,
    key: String,
    secret: String,
    store: Arc<dyn Store>,
    _runtime: Runtime,
    /// Dropped last, when the store has closed the file.
    directory: TempDir,
}

impl Servers {
    /// Starts the servers, the real one with a shop and its customers.
    pub(crate) fn start() -> Self {
        log::init(log::Format::Text, LevelFilter::INFO).unwrap();
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = SqliteStore::open(&directory.path().join("load.db"), &StoreSettings::default())
            .unwrap();
        let store: Arc<dyn Store> = Arc::new(store);

        let now = Clock::system().now();
        let shop = NewShop {
            name: "Load".to_owned(),
            currency: Currency::USD,
            zone: Zone::UTC,
        };
        let shop = store.create_shop(&shop, now).unwrap().id;

        let (record, key) = auth::random_key("Test").unwrap();
        store.add_api_key(shop, &record, now).unwrap();
        let secret = auth::draw_secret().unwrap();
        store.add_store_secret(shop, secret.expose(), now).unwrap();

        publish(&*store, shop);
        add_customers(&*store, shop);

        let runtime = Runtime::new().unwrap();
        let file = directory.path().join("floor.db");
        let [bare, ours, floor] = runtime.block_on(async {
            let (bare, ours, floor) = (listen().await, listen().await, listen().await);
            let addresses = [&bare, &ours, &floor].map(|listener| listener.local_addr().unwrap());
            tokio::spawn(serve_bare(bare));
            tokio::spawn(serve_ours(ours, Arc::clone(&store)));
            tokio::spawn(floor::serve(floor, file));
            addresses
        });
        Self {
            bare,
            ours,
            floor,
            key,
            secret: secret.expose().to_owned(),
            store,
            _runtime: runtime,
            directory,
        }
    }

    /// The requests of the bench for our shop.
    pub(crate) fn requests(&self) -> Vec<Template> {
        requests::all(&self.key, &self.secret)
    }

    /// The directory of the database files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Verifies the store, so that all requests provably took effect. Returns a summary.
    pub(crate) fn verify_store(&self) -> String {
        let verified = self.store.verify().unwrap();
        assert!(verified.differences.is_empty(), "{:?}", verified.differences);
        format!(
            "Afterwards {} journal rows of {} accounts are consistent.",
            verified.rows, verified.accounts
        )
    }
}

/// Runs the real server as its binary does.
async fn serve_ours(listener: TcpListener, store: Arc<dyn Store>) {
    let app = Arc::new(App::new(store, Clock::system()));
    let service = move |request, id| {
        let app = Arc::clone(&app);
        async move { app.handle(request, id).await }
    };
    server::run(listener, service, Limits::default(), std::future::pending()).await;
}

async fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

fn execute(store: &dyn Store, shop: ShopId, action: Action) -> Pending {
    let now = Clock::system().now();
    store.execute(Transaction {
        shop,
        now,
        dry_run: false,
        idempotency: None,
        entropy: None,
        action,
    })
}

fn expect_success(pending: Pending) {
    assert!(matches!(pending.wait(), Ok(Reply::Decided(Ok(_)))));
}

/// Publishes the program and completes its reschedule.
fn publish(store: &dyn Store, shop: ShopId) {
    let program = Box::new(Program::from_json(requests::PROGRAM).unwrap());
    expect_success(execute(store, shop, Action::PublishProgram { program, replaces: None }));
    expect_success(execute(store, shop, Action::RescheduleDue { limit: 1 }));
    assert!(store.shops_to_reschedule().unwrap().is_empty());
}

/// Adds customers with the profiles that the requests contain, so that no request changes
/// one.
fn add_customers(store: &dyn Store, shop: ShopId) {
    let set = |text: &str| FieldChange::Set(Some(text.to_owned()));
    let points = Points::new(1_000_000_000).unwrap();
    let add = |number| {
        let (id, email) = (requests::customer_id(number), requests::email(number));
        let customer = CustomerRef::Both(CustomerId::new(id).unwrap(), Email::new(&email).unwrap());

        let change = ProfileChange {
            first_name: set("Ada"),
            last_name: set("Lovelace"),
            zip: set("10115"),
            country: set("DE"),
            ..ProfileChange::default()
        };

        let commands = vec![Command::AddPoints { points, reason: AdjustmentReason::default() }];
        let (existence, email_conflict) = (Existence::Absent, EmailConflict::Reject);
        let action = Action::Customer {
            customer,
            existence,
            change,
            email_conflict,
            email_proof: EmailProof::Profile,
            if_match: None,
            commands,
        };
        execute(store, shop, action)
    };

    let numbers: Vec<u64> = (0..CUSTOMERS).collect();
    for batch in numbers.chunks(1_000) {
        let pending: Vec<_> = batch.iter().map(|number| add(*number)).collect();
        pending.into_iter().for_each(expect_success);
    }
}

/// Reads the body and responds: the cost of hyper itself.
async fn serve_bare(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond)),
        );
    }
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(Bytes::from_static(
        br#"{"customer_id":"000000","point_balance":0}"#,
    ))))
}
