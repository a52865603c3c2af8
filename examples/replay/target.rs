//! Targets of the replay: a store through the library, or a server over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use loyalty_core::{
    CategoryId, Command, Currency, CustomerId, Line, LineId, Order, OrderId, Origin, ProductId,
    Quantity, ShopId, Status, Timestamp, Zone,
};
use loyalty_store::{
    Action, CustomerRef, MemoryStore, NewShop, ProfileChange, Reply, Request, SqliteStore, Store,
    StoreSettings,
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::cli::ExampleError;
use crate::client::{Client, ClientRequest, Server};
use crate::history;

/// Number of customers in one balance request.
const BATCH: usize = 1_000;

/// A target of the replay.
pub(crate) enum Target {
    /// A shop in a store of this process.
    Library(LibraryShop),
    /// A shop on a server.
    Server(Server),
}

/// One shop in a store.
#[derive(Clone)]
pub(crate) struct LibraryShop {
    store: Arc<dyn Store>,
    name: &'static str,
    id: ShopId,
    /// The directory of the store's file, deleted with its last clone.
    _directory: Option<Arc<TempDir>>,
}

impl Target {
    /// A new shop in a temporary store: in memory, or in a file that is deleted at the
    /// end.
    pub(crate) fn temporary(memory: bool) -> Result<Self, ExampleError> {
        let (store, name, directory): (Arc<dyn Store>, _, _) = if memory {
            (Arc::new(MemoryStore::default()), "memory", None)
        } else {
            let directory = tempfile::tempdir()?;
            let store =
                SqliteStore::open(&directory.path().join("replay.db"), &StoreSettings::default())?;
            (Arc::new(store), "SQLite", Some(Arc::new(directory)))
        };

        let shop = NewShop {
            name: "Replay".to_owned(),
            currency: Currency::USD,
            zone: Zone::UTC,
        };

        let id = store.create_shop(&shop, Timestamp::UNIX_EPOCH)?.id;
        Ok(Self::Library(LibraryShop { store, name, id, _directory: directory }))
    }

    /// A pusher with a connection of its own.
    pub(crate) async fn pusher(&self) -> Result<Pusher, ExampleError> {
        Ok(match self {
            Self::Library(shop) => Pusher::Library(shop.clone()),
            Self::Server(server) => Pusher::Server(server.connect().await?),
        })
    }

    /// The balance of each customer after all pushes.
    pub(crate) async fn balances(
        &self,
        customers: Vec<&str>,
    ) -> Result<BTreeMap<String, i64>, ExampleError> {
        match self {
            Self::Library(shop) => customers.into_iter().map(|id| shop.balance(id)).collect(),
            Self::Server(server) => {
                let (mut client, mut all) = (server.connect().await?, BTreeMap::new());
                for batch in customers.chunks(BATCH) {
                    all.extend(balances(&mut client, batch).await?);
                }
                Ok(all)
            }
        }
    }

    /// The target's name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Library(shop) => format!("the library ({})", shop.name),
            Self::Server(server) => format!("http://{}", server.authority()),
        }
    }
}

/// Pushes one order after the other.
pub(crate) enum Pusher {
    Library(LibraryShop),
    Server(Client),
}

impl Pusher {
    /// Pushes an order; it is durable when this returns.
    pub(crate) async fn push(&mut self, order: &history::SourceOrder) -> Result<(), ExampleError> {
        let pushed = match self {
            Self::Library(shop) => shop.record(order).await,
            Self::Server(client) => put_order(client, order).await,
        };
        pushed.map_err(|error| format!("order {}: {error}", order.id).into())
    }
}

impl LibraryShop {
    async fn record(&self, order: &history::SourceOrder) -> Result<(), ExampleError> {
        // A history's clock is its own: the order's time.
        let now = order.placed_at;
        let command = Command::RecordOrder {
            order: OrderId::new(&order.id)?,
            snapshot: Arc::new(snapshot(order)?),
            status: Status::Completed,
            at: Some(now),
            origin: Origin::Shop,
        };

        let customer = Some(CustomerRef::Id(CustomerId::new(&order.customer_id)?));
        let action = Action::Order { command, customer, change: ProfileChange::default() };

        let request = Request {
            shop: self.id,
            now,
            dry_run: false,
            idempotency: None,
            entropy: None,
            action,
        };

        match self.store.execute(request).await? {
            Reply::Decided(outcome) => Ok(outcome.map(|_| ())?),
            Reply::Stored { .. } => Err("a stored response to a request without a key".into()),
        }
    }

    fn balance(&self, customer: &str) -> Result<(String, i64), ExampleError> {
        let found = self
            .store
            .customer(self.id, &CustomerRef::Id(CustomerId::new(customer)?))?;
        let found = found.ok_or_else(|| format!("customer {customer} is not known"))?;
        // Nothing in this history expires, so any instant reads the same balance.
        Ok((customer.to_owned(), found.balance(Timestamp::UNIX_EPOCH).get()))
    }
}

/// The order in the engine's terms.
fn snapshot(order: &history::SourceOrder) -> Result<Order, ExampleError> {
    let line = |(index, line): (usize, &history::SourceLine)| -> Result<Line, ExampleError> {
        let id = LineId::new((index + 1).to_string())?;
        let categories: Vec<_> =
            line.category.iter().map(CategoryId::new).collect::<Result<_, _>>()?;
        Ok(Line::new(id, line.amount.parse()?)
            .with_product(ProductId::new(&line.product_id)?)
            .with_categories(categories)
            .with_quantity(Quantity::new(line.quantity.into())?))
    };

    let lines = order.lines.iter().enumerate().map(line).collect::<Result<_, _>>()?;
    Ok(Order {
        placed_at: Some(order.placed_at),
        lines,
        total: order.total.parse()?,
        ..Order::default()
    })
}

/// The body of `PUT /v1/orders/{id}`.
#[derive(Serialize)]
struct OrderBody<'a> {
    customer: CustomerBody<'a>,
    status: &'static str,
    placed_at: Timestamp,
    updated_at: Timestamp,
    lines: Vec<LineBody<'a>>,
    total: &'a str,
}

#[derive(Serialize)]
struct CustomerBody<'a> {
    customer_id: &'a str,
}

#[derive(Serialize)]
struct LineBody<'a> {
    product_id: &'a str,
    categories: &'a [String],
    quantity: u32,
    amount: &'a str,
}

async fn put_order(client: &mut Client, order: &history::SourceOrder) -> Result<(), ExampleError> {
    let lines = order.lines.iter().map(|line| LineBody {
        product_id: &line.product_id,
        categories: line.category.as_slice(),
        quantity: line.quantity,
        amount: &line.amount,
    });

    let body = OrderBody {
        customer: CustomerBody { customer_id: &order.customer_id },
        status: "completed",
        placed_at: order.placed_at,
        updated_at: order.placed_at,
        lines: lines.collect(),
        total: &order.total,
    };

    let path = format!("/v1/orders/{}", path_segment(&order.id));
    let body = Bytes::from(serde_json::to_vec(&body)?);

    let request = ClientRequest {
        method: Method::PUT,
        path: &path,
        idempotency_key: None,
        body,
    };
    client.send(request).await?.parse::<serde::de::IgnoredAny>()?;
    Ok(())
}

/// An id as one segment of a path, percent-encoded.
fn path_segment(id: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    id.bytes().map(escape).collect()
}

#[derive(Deserialize)]
struct BalanceList {
    balances: Vec<BalanceItem>,
    unknown: Vec<String>,
}

#[derive(Deserialize)]
struct BalanceItem {
    customer_id: String,
    point_balance: i64,
}

async fn balances(
    client: &mut Client,
    customers: &[&str],
) -> Result<Vec<(String, i64)>, ExampleError> {
    let body = Bytes::from(serde_json::json!({ "customer_ids": customers }).to_string());
    let path = "/v1/customers/point-balance";
    let response = client
        .send(ClientRequest { method: Method::POST, path, idempotency_key: None, body })
        .await?;
    let BalanceList { balances, unknown } = response.parse()?;

    match unknown.first() {
        Some(id) => Err(format!("customer {id} is not known").into()),
        None => Ok(balances
            .into_iter()
            .map(|balance| (balance.customer_id, balance.point_balance))
            .collect()),
    }
}
