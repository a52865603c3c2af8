//! A server with one new shop in this process, for examples that run without `--server`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use loyalty_core::{Currency, Zone};
use loyalty_http::{App, Clock, Limits, auth, server};
use loyalty_store::{NewShop, SqliteStore, Store, StoreSettings};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::ExampleError;
use crate::client::Server;

/// A server that is running.
pub(crate) struct RunningServer {
    /// The server stops when this is dropped.
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// The database's directory, deleted with this.
    _directory: TempDir,
}

/// Starts a server over a temporary database, on a port that the system picks. Returns
/// its address with the key of a new shop.
pub(crate) async fn start() -> Result<(RunningServer, Server), ExampleError> {
    let directory = tempfile::tempdir()?;
    let store = SqliteStore::open(&directory.path().join("example.db"), &StoreSettings::default())?;

    let new = NewShop {
        name: "Example".to_owned(),
        currency: Currency::USD,
        zone: Zone::UTC,
    };

    let shop = store.create_shop(&new, Clock::system().now())?;
    let (key, shown) = auth::random_key("Example")?;
    store.add_api_key(shop.id, &key, Clock::system().now())?;

    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = Server::new(listener.local_addr()?.to_string().parse()?, &shown)?;

    let app = Arc::new(App::new(Arc::new(store), Clock::system()));
    let service = move |request, id| {
        let app = Arc::clone(&app);
        async move { app.handle(request, id).await }
    };

    let (shutdown, dropped) = oneshot::channel::<()>();
    let until_dropped = async {
        // An error means dropped too: in both cases it is time to stop.
        let _ = dropped.await;
    };

    let task = tokio::spawn(server::run(listener, service, Limits::default(), until_dropped));
    Ok((RunningServer { shutdown, task, _directory: directory }, address))
}

impl RunningServer {
    /// Shuts down and waits until open requests have ended.
    pub(crate) async fn stop(self) -> Result<(), ExampleError> {
        drop(self.shutdown);
        Ok(self.task.await?)
    }
}
