//! `serve`: opens the store, serves HTTP and runs the scheduler until it is stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use loyalty_core::{Currency, Zone};
use loyalty_http::connected_store::{StoreReceiver, reconcile};
use loyalty_http::metrics::Metrics;
use loyalty_http::network::{PublicUrl, parse_network};
use loyalty_http::outbound::OutboundClient;
use loyalty_http::sender::{Sender, SenderSettings};
use loyalty_http::{App, Clock, Config, Limits, Schedule, auth, log, scheduler, server};
use loyalty_store::{NewShop, SqliteAdmin, SqliteStore, Store, StoreSettings};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::secret::{ShowSecrets, Shown, describe};
use super::shop::{FIRST_KEY, describe_shop};
use super::{CommandResult, Database, print};

#[derive(Args)]
pub(crate) struct Serve {
    /// Address and port to listen on.
    #[arg(long, env = "LOYALTY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    database: Database,
    /// Create a new, empty store even where there was one before.
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    show: ShowSecrets,
    /// Keep no copy of a database of an older format before it is moved to the newest. By
    /// default it is copied beside itself, which needs as much space again.
    #[arg(long)]
    without_copy: bool,
    /// Seconds between two runs of the scheduler. Balances and tiers are correct without
    /// it.
    #[arg(long, env = "LOYALTY_TICK", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    tick: u64,
    /// Maximum number of open connections. A further one takes the place of an idle one.
    /// Each can use up to 2.5 MiB while it sends.
    #[arg(long, env = "LOYALTY_CONNECTIONS", default_value_t = 768, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Number of records of each kind (accounts, customers, orders, codes, responses) to
    /// cache in memory.
    #[arg(long, env = "LOYALTY_CACHE", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    cache: u32,
    /// Address and port of a listener of its own for `GET /metrics`, in Prometheus' format and
    /// without a key. By default there is none.
    #[arg(long, env = "LOYALTY_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// The URL under which clients reach the server, for absolute links. By default it is
    /// taken from each request's Host and X-Forwarded-Proto.
    #[arg(long, env = "LOYALTY_PUBLIC_URL")]
    public_url: Option<PublicUrl>,
    /// A private network that a store's endpoint may be in, such as 10.0.0.0/8; separate
    /// several with commas.
    #[arg(long, env = "LOYALTY_ALLOW_NETWORK", value_delimiter = ',', value_parser = parse_network)]
    allow_network: Vec<IpNet>,
    /// Log format: text or json.
    #[arg(long, env = "LOYALTY_LOG_FORMAT", default_value = "text", value_parser = parse_log_format)]
    log_format: log::Format,
    /// Lowest log level that is written: error, warn, info or debug.
    #[arg(long, env = "LOYALTY_LOG", default_value = "info")]
    log: tracing::level_filters::LevelFilter,
}

fn parse_log_format(text: &str) -> Result<log::Format, String> {
    match text {
        "text" => Ok(log::Format::Text),
        "json" => Ok(log::Format::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

/// Serves until the process is asked to stop.
pub(crate) fn serve(options: &Serve) -> CommandResult {
    log::init(options.log_format, options.log).map_err(|error| error.to_string())?;

    let (mut settings, mut limits) = (StoreSettings::default(), Limits::default());
    settings.cached_records = usize::try_from(options.cache).unwrap_or(usize::MAX);
    settings.keep_older_format = !options.without_copy;
    limits.max_connections = usize::try_from(options.connections).unwrap_or(usize::MAX);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    // Before the store writes for the first time.
    runtime.block_on(async { ignore_file_size_signal() })?;

    let db = &options.database.db;
    if !options.create {
        ensure_not_lost(db)?;
    }
    settings.master_key = options.database.master_key()?;
    let store = SqliteStore::open(db, &settings).map_err(|error| error.to_string())?;
    let schedule = Schedule {
        tick: Duration::from_secs(options.tick),
        ..Schedule::default()
    };
    let config = Config {
        public_url: options.public_url.clone(),
        allowed_networks: options.allow_network.as_slice().into(),
        ..Config::default()
    };
    let served = runtime.block_on(run_server(Arc::new(store), options, config, limits, schedule));
    // Reads that nobody waits for any more are cancelled, and end soon.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served
}

/// Refuses to make a new store where one was before: its file may have been moved or copied without
/// its log, or a disk is not mounted.
fn ensure_not_lost(db: &Path) -> Result<(), String> {
    let trace = SqliteAdmin::trace_of_store(db);
    let has_contents = std::fs::metadata(db).is_ok_and(|metadata| metadata.len() > 0);
    if has_contents {
        let admin = SqliteAdmin::open_unchanged(db).map_err(|error| error.to_string())?;
        if !admin.shops().map_err(|error| error.to_string())?.is_empty() {
            return Ok(());
        }
    }

    let why = match trace {
        Some(trace) => format!("{} says that there was one", trace.display()),
        None if has_contents => "it is not a new file: was it copied without its log?".to_owned(),
        None => return Ok(()),
    };
    Err(format!(
        "there is no shop in {}, but {why}: put the file back, or use --create for a new, empty \
         store",
        db.display()
    ))
}

/// Serves HTTP and runs the scheduler, until the process is asked to stop.
async fn run_server(
    store: Arc<dyn Store>,
    options: &Serve,
    config: Config,
    limits: Limits,
    schedule: Schedule,
) -> CommandResult {
    let listener = bind(options.listen).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let client = OutboundClient::new(Arc::clone(&config.allowed_networks));
    let settings = SenderSettings::default();
    let stores = StoreReceiver { attempts: settings.attempts() };
    let sender = Sender::new(Arc::clone(&store), client.clone(), Clock::system(), settings);
    let sender = sender.map_err(|error| error.to_string())?;
    let sender = Arc::new(sender.with_stores(Arc::new(stores)));
    let metrics = Metrics::new(Arc::clone(&store), Clock::system());
    let metrics = Arc::new(metrics.with_sender(sender.figures()));
    let serve_metrics = match options.metrics_listen {
        Some(address) => Some(serve_metrics(bind(address).await?, Arc::clone(&metrics))?),
        None => None,
    };
    announce(&*store, address, options)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "started");

    let app = App::new(Arc::clone(&store), Clock::system())
        .with_config(config)
        .with_metrics(metrics)
        .with_sender(Arc::clone(&sender));
    let app = Arc::new(app);
    let service = move |request, id| {
        let app = Arc::clone(&app);
        async move { app.handle(request, id).await }
    };

    let (stop_scheduler, stopped) = tokio::sync::oneshot::channel::<()>();
    let scheduler =
        tokio::spawn(scheduler::run(Arc::clone(&store), Clock::system(), schedule, async {
            // An error means that the sender was dropped, which is how it is stopped.
            let _ = stopped.await;
        }));

    let (stop_reconciling, stopped) = tokio::sync::oneshot::channel::<()>();
    let reconciling = tokio::spawn(reconcile::run(store, client, Clock::system(), async {
        let _ = stopped.await;
    }));

    let (stop_sender, stopped) = tokio::sync::oneshot::channel::<()>();
    let sending = tokio::spawn(sender.run(async {
        let _ = stopped.await;
    }));

    // The scheduler and the sender stop after the server, so that no request outlives them.
    server::run(listener, service, limits, stop_signal()?).await;
    if let Some(metrics) = serve_metrics {
        metrics.abort();
    }
    drop((stop_scheduler, stop_sender, stop_reconciling));
    scheduler.await.map_err(|error| error.to_string())?;
    sending.await.map_err(|error| error.to_string())?;
    reconciling.await.map_err(|error| error.to_string())?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Serves the metrics on a listener of their own, until the task is aborted.
fn serve_metrics(listener: TcpListener, metrics: Arc<Metrics>) -> Result<JoinHandle<()>, String> {
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tracing::info!(%address, "metrics are at /metrics");

    let service = move |request: hyper::Request<hyper::body::Incoming>, _| {
        let metrics = Arc::clone(&metrics);
        async move {
            let respond = tokio::task::spawn_blocking(move || metrics.respond(&request));
            respond.await.unwrap_or_default()
        }
    };
    // Prometheus keeps one connection open; a handful is enough for those who look by hand.
    let limits = Limits { max_connections: 8, ..Limits::default() };
    Ok(tokio::spawn(server::run(listener, service, limits, std::future::pending())))
}

/// Prints the server's address. On an empty database, creates a shop first and shows its key.
fn announce(store: &dyn Store, address: SocketAddr, options: &Serve) -> Result<(), String> {
    if store.shops().map_err(|error| error.to_string())?.is_empty() {
        let new = NewShop {
            name: "My shop".to_owned(),
            currency: Currency::USD,
            zone: Zone::UTC,
        };
        let now = Clock::system().now();
        let shop = store.create_shop(&new, now).map_err(|error| error.to_string())?;
        let (key, text) = auth::random_key(FIRST_KEY).map_err(|error| error.to_string())?;
        let secret = auth::draw_secret().map_err(|error| error.to_string())?;
        store
            .add_api_key(shop.id, &key, now)
            .and_then(|()| store.add_store_secret(shop.id, secret.expose(), now))
            .map_err(|error| error.to_string())?;

        let secrets = [("key", text.as_str()), ("secret", secret.expose())];
        let label = format!("key-{}", key.hash.id);
        let shown = options.show.show(&options.database.db, &label, &secrets)?;
        let (shop, secrets) = (describe_shop(&shop), describe(&shown, &secrets));
        print(&format!(
            "The database was empty. {shop} has a key, and a secret for store plugins, {secrets}"
        ))?;
        if matches!(shown, Shown::Printed) {
            print(&format!(
                "Try:\n  curl http://{address}/v1/key -H 'Authorization: Bearer {text}'"
            ))?;
        }
    }
    print(&format!("Listening on http://{address}"))
}

/// Keeps `SIGXFSZ` from ending the process. A write beyond the file size limit then fails
/// with an error, which the store handles.
fn ignore_file_size_signal() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    /// The number on Linux (except MIPS) and macOS.
    const SIGXFSZ: i32 = 25;

    // tokio never removes a handler, so the signal stays caught after the stream is
    // dropped.
    signal(SignalKind::from_raw(SIGXFSZ))
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A future that resolves at the first `SIGTERM` or `SIGINT` (Ctrl-C).
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;

    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
