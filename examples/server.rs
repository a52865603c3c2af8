//! A server of one new shop in this process, for examples that were not told of another.

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
    /// It serves as long as this is held.
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// Where its database is, gone with this.
    _directory: TempDir,
}

/// Starts a server over a temporary database, on a port that the system picks.
pub(crate) async fn start() -> Result<(RunningServer, Server), ExampleError> {
    let directory = tempfile::tempdir()?;
    let store = SqliteStore::open(&directory.path().join("example.db"), &StoreSettings::default())?;
    let new = NewShop {
        name: "Example".to_owned(),
        currency: Currency::USD,
        zone: Zone::UTC,
    };
    let shop = store.create_shop(&new, Clock::system().now())?;
    let (key, shown) = auth::random_key()?;
    store.add_api_key(shop.id, &key, Clock::system().now())?;

    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = Server::new(listener.local_addr()?.to_string().parse()?, &shown)?;
    let app = Arc::new(App::new(Arc::new(store), Clock::system()));
    let service = move |request, id| {
        let app = Arc::clone(&app);
        async move { app.handle(request, id).await }
    };
    let (hold, released) = oneshot::channel::<()>();
    let until = async {
        // Let go of, or forgotten: either way it is time to stop.
        let _ = released.await;
    };
    let served = tokio::spawn(server::run(listener, service, Limits::default(), until));
    Ok((RunningServer { shutdown: hold, task: served, _directory: directory }, address))
}

impl RunningServer {
    /// Stops it, and waits until it has stopped.
    pub(crate) async fn stop(self) -> Result<(), ExampleError> {
        drop(self.shutdown);
        Ok(self.task.await?)
    }
}
