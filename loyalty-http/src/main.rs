//! The server's command line: `serve` (the default), `shop`, `key` and `verify`.
//!
//! An error is one line on standard error, with exit code 2. `verify` exits with code 1
//! if a stored state differs from the journal.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;
use loyalty_core::figures::CountedNoun;
use loyalty_core::{Currency, ShopId, Zone};
use loyalty_http::network::{PublicUrl, parse_network};
use loyalty_http::{App, Clock, Config, Limits, Schedule, auth, log, scheduler, server};
use loyalty_store::{
    NewApiKey, NewShop, Shop, SqliteAdmin, SqliteStore, Store, StoreSettings, VerificationReport,
};

/// mimalloc, because responses are many small allocations that one thread makes and
/// another one frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A loyalty server: points, orders, refunds and store webhooks over HTTP.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP (the default command).
    Serve(Serve),
    /// Create and list shops.
    #[command(subcommand)]
    Shop(ShopCommand),
    /// Rotate keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Replay the whole journal and compare every stored state with the result.
    Verify(Database),
}

#[derive(Args)]
struct Serve {
    /// Address and port to listen on.
    #[arg(long, env = "LOYALTY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    database: Database,
    /// Create a new, empty store even where there was one before.
    #[arg(long)]
    create: bool,
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

#[derive(Args)]
struct Database {
    /// The database file; created if it does not exist.
    #[arg(long, env = "LOYALTY_DB", default_value = "loyalty.db")]
    db: PathBuf,
}

#[derive(Subcommand)]
enum ShopCommand {
    /// Create a shop and print its key, which is shown only once.
    Create {
        /// The shop's name.
        name: String,
        /// The shop's currency (ISO 4217).
        #[arg(long, value_parser = parse_currency)]
        currency: Currency,
        /// The shop's time zone (IANA).
        #[arg(long, default_value = "UTC", value_parser = parse_zone)]
        zone: Zone,
        #[command(flatten)]
        database: Database,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the shops.
    List {
        #[command(flatten)]
        database: Database,
        /// Print JSON, one shop per line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Create a new key for a shop and print it, which is shown only once. The previous
    /// key stays valid until the next rotation; older keys are revoked now.
    Rotate {
        /// The shop's id.
        shop_id: i64,
        #[command(flatten)]
        database: Database,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn parse_currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(text)
        .ok_or_else(|| "must be an ISO 4217 currency code such as USD".to_owned())
}

fn parse_log_format(text: &str) -> Result<log::Format, String> {
    match text {
        "text" => Ok(log::Format::Text),
        "json" => Ok(log::Format::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

fn parse_zone(text: &str) -> Result<Zone, String> {
    text.parse()
        .map_err(|error: loyalty_core::calendar::CalendarError| error.to_string())
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.exit_code() == 0 => error.exit(), // --help and --version
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            eprintln!(
                "loyalty-http: {} (use --help for usage)",
                line.trim_start_matches("error: ")
            );
            return ExitCode::from(2);
        }
    };

    let result = match cli.command {
        None => serve(&cli.serve),
        Some(Command::Serve(options)) => serve(&options),
        Some(Command::Shop(ShopCommand::Create { name, currency, zone, database, json })) => {
            create_shop(&database.db, &NewShop { name, currency, zone }, json)
        }
        Some(Command::Shop(ShopCommand::List { database, json })) => list_shops(&database.db, json),
        Some(Command::Key(KeyCommand::Rotate { shop_id, database, json })) => {
            rotate_key(&database.db, ShopId(shop_id), json)
        }
        Some(Command::Verify(database)) => verify(&database.db),
    };

    result.unwrap_or_else(|error| {
        eprintln!("loyalty-http: {error}");
        ExitCode::from(2)
    })
}

/// The exit code of a command, or one line that describes its error.
type CommandResult = Result<ExitCode, String>;

fn serve(options: &Serve) -> CommandResult {
    log::init(options.log_format, options.log).map_err(|error| error.to_string())?;

    let (mut settings, mut limits) = (StoreSettings::default(), Limits::default());
    settings.cached_records = usize::try_from(options.cache).unwrap_or(usize::MAX);
    limits.max_connections = usize::try_from(options.connections).unwrap_or(usize::MAX);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    // Before the store writes for the first time.
    runtime.block_on(async { ignore_file_size_signal() })?;

    let db = &options.database.db;
    if !options.create {
        ensure_not_lost(db)?;
    }
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
    let served =
        runtime.block_on(run_server(Arc::new(store), options.listen, config, limits, schedule));
    // Reads that nobody waits for any more are cancelled, and end soon.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served
}

/// Refuses to make a new store where one was before: its file may have been moved, or a disk is not
/// mounted.
fn ensure_not_lost(db: &Path) -> Result<(), String> {
    let Some(trace) = SqliteAdmin::trace_of_store(db) else {
        return Ok(());
    };
    let is_lost = if db.exists() {
        let admin = SqliteAdmin::open_unchanged(db).map_err(|error| error.to_string())?;
        admin.shops().map_err(|error| error.to_string())?.is_empty()
    } else {
        true
    };
    if !is_lost {
        return Ok(());
    }
    Err(format!(
        "there is no shop in {}, but {} says that there was one: put the file back, or use \
         --create for a new, empty store",
        db.display(),
        trace.display()
    ))
}

/// Serves HTTP and runs the scheduler, until the process is asked to stop.
async fn run_server(
    store: Arc<dyn Store>,
    listen: SocketAddr,
    config: Config,
    limits: Limits,
    schedule: Schedule,
) -> CommandResult {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    announce(&*store, address)?;

    let app = Arc::new(App::new(Arc::clone(&store), Clock::system()).with_config(config));
    let service = move |request, id| {
        let app = Arc::clone(&app);
        async move { app.handle(request, id).await }
    };

    let (stop_scheduler, stopped) = tokio::sync::oneshot::channel::<()>();
    let scheduler = tokio::spawn(scheduler::run(store, Clock::system(), schedule, async {
        // An error means that the sender was dropped, which is how it is stopped.
        let _ = stopped.await;
    }));

    // The scheduler stops after the server, so that no request outlives it.
    server::run(listener, service, limits, stop_signal()?).await;
    drop(stop_scheduler);
    scheduler.await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the server's address. On an empty database, creates a shop first and prints its
/// key.
fn announce(store: &dyn Store, address: SocketAddr) -> Result<(), String> {
    if store.shops().map_err(|error| error.to_string())?.is_empty() {
        let new = NewShop {
            name: "My shop".to_owned(),
            currency: Currency::USD,
            zone: Zone::UTC,
        };
        let now = Clock::system().now();
        let shop = store.create_shop(&new, now).map_err(|error| error.to_string())?;
        let (key, text) = auth::random_key().map_err(|error| error.to_string())?;
        store
            .add_api_key(shop.id, &key, now)
            .map_err(|error| error.to_string())?;

        print(&format!("The database was empty. {}", describe_key(&shop, &key, &text)))?;
        print(&format!(
            "Try:\n  curl http://{address}/v1/key -H 'Authorization: Bearer {text}'"
        ))?;
    }
    print(&format!("Listening on http://{address}"))
}

/// Describes a new key to a person: the shop, the key's `text` and the signing secret.
fn describe_key(shop: &Shop, key: &NewApiKey, text: &str) -> String {
    format!(
        "Shop {} ({}, {}) has a new key, shown only once:\n  key     {text}\n  secret  {}   (store plugins sign with it)",
        shop.id,
        shop.name,
        shop.currency.code(),
        key.signing_secret
    )
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

fn create_shop(db: &Path, new: &NewShop, json: bool) -> CommandResult {
    let is_valid_name = !new.name.trim().is_empty()
        && new.name.len() <= 255
        && !new.name.chars().any(char::is_control);
    if !is_valid_name {
        return Err("a shop's name must be 1 to 255 bytes without control characters".to_owned());
    }

    let admin = SqliteAdmin::open(db).map_err(|error| error.to_string())?;
    let shop = admin
        .create_shop(new, Clock::system().now())
        .map_err(|error| error.to_string())?;
    issue_key(&admin, &shop, json)
}

fn rotate_key(db: &Path, shop: ShopId, json: bool) -> CommandResult {
    let admin = SqliteAdmin::open_existing(db).map_err(|error| error.to_string())?;
    let shops = admin.shops().map_err(|error| error.to_string())?;
    let shop = shops
        .into_iter()
        .find(|known| known.id == shop)
        .ok_or_else(|| format!("there is no shop {shop}"))?;
    issue_key(&admin, &shop, json)
}

fn issue_key(admin: &SqliteAdmin, shop: &Shop, json: bool) -> CommandResult {
    let (key, text) = auth::random_key().map_err(|error| error.to_string())?;
    admin
        .add_key(shop.id, &key, Clock::system().now())
        .map_err(|error| error.to_string())?;

    if json {
        let (id, secret) = (shop.id.to_string(), &key.signing_secret);
        print(&serde_json::json!({ "shop_id": id, "key": text, "secret": secret }).to_string())?;
    } else {
        print(&describe_key(shop, &key, &text))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list_shops(db: &Path, json: bool) -> CommandResult {
    let admin = SqliteAdmin::open_unchanged(db).map_err(|error| error.to_string())?;
    for shop in admin.shops().map_err(|error| error.to_string())? {
        let (id, currency, zone) = (shop.id.to_string(), shop.currency.code(), shop.zone.name());
        if json {
            let line = serde_json::json!({
                "shop_id": id,
                "name": shop.name,
                "currency": currency,
                "time_zone": zone,
            });
            print(&line.to_string())?;
        } else {
            print(&format!("{id}\t{}\t{currency}\t{zone}", shop.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(db: &Path) -> CommandResult {
    let admin = SqliteAdmin::open_unchanged(db).map_err(|error| error.to_string())?;
    if admin.shops().map_err(|error| error.to_string())?.is_empty() {
        return Err(format!("{} has no shop: there is nothing to verify", db.display()));
    }
    let VerificationReport {
        newest,
        rows,
        events,
        accounts,
        orders,
        projections: discounts,
        differences,
    } = admin.verify().map_err(|error| error.to_string())?;

    let accounts = CountedNoun::new(accounts, "account", "accounts");
    let orders = CountedNoun::new(orders, "order", "orders");
    let discounts = CountedNoun::new(discounts, "discount record", "discount records");
    let events = CountedNoun::new(events, "event", "events");
    let rows = CountedNoun::new(rows, "journal row", "journal rows");
    let newest = newest.map_or_else(String::new, |at| format!(", the newest of {at}"));
    let states = format!("{accounts}, {orders}, {discounts}");
    print(&format!("Replayed {events} of {rows}{newest}: {states}."))?;
    for difference in &differences {
        print(difference)?;
    }

    if differences.is_empty() {
        print("Every stored state matches the journal.")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

/// Prints a line. Unlike `println!`, it does not panic if standard output is closed.
fn print(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}
