//! The log: structured lines on stderr, without personal data, keys or bodies.
//!
//! At `info`, the default, only starts, stops and failures are logged, which costs one
//! comparison for each request. At `debug` there is a line for each request. A route is
//! logged as its pattern (`/v1/customers/{customer_id}`), never as the path, which can
//! contain a customer's id or e-mail. Libraries are logged from `warn` on only, because
//! their lines at lower levels could contain such data.

use std::io;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hyper::{Method, StatusCode};
use loyalty_core::ShopId;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::request_id::RequestId;
use crate::trace_id::TraceId;

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts the log on stderr, and logs panics there too. Fails if the process already has
/// one.
pub fn init(format: Format, level: LevelFilter) -> Result<(), TryInitError> {
    subscriber(format, level, io::stderr).try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn subscriber<W>(format: Format, level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };

    // Targets are compared by prefix, so this is every crate of the workspace.
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("loyalty", level);
    tracing_subscriber::registry().with(lines.with_filter(targets))
}

/// Logs the location of a panic. A message that was formatted at run time is left out,
/// since it can contain personal data.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let (file, line) = panic.location().map_or(("?", 0), |at| (at.file(), at.line()));
    let message = panic.payload().downcast_ref::<&'static str>();
    let message = message.copied().unwrap_or("(withheld)");
    tracing::error!(file, line, message, "panic");
}

/// Measures a request, if the level is `debug` or lower.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Option<Instant>);

impl Stopwatch {
    /// Starts the measurement.
    pub fn start() -> Self {
        Self(tracing::enabled!(Level::DEBUG).then(Instant::now))
    }

    fn micros(self) -> Option<u64> {
        let elapsed = self.0?.elapsed();
        u64::try_from(elapsed.as_micros()).ok()
    }
}

/// The log line of one completed request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLog<'a> {
    /// The request's id.
    pub id: RequestId,
    /// The id of the trace that the client's request belongs to.
    pub trace: Option<TraceId<'a>>,
    /// The method.
    pub method: &'a Method,
    /// The pattern of the route, if one matched; never the path.
    pub route: Option<&'a str>,
    /// The shop of the key, if the request was authenticated.
    pub shop: Option<ShopId>,
    /// The status of the response.
    pub status: StatusCode,
    /// Started when the request arrived.
    pub time: Stopwatch,
}

/// Admits one line a second: while the store is unavailable, all requests fail alike, and the log
/// may be on the disk that is full.
#[derive(Debug, Default)]
pub(crate) struct LineLimit(AtomicU64);

impl LineLimit {
    /// A limit that has admitted nothing yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Returns true if the line may be written.
    pub(crate) fn admits(&self) -> bool {
        static START: OnceLock<Instant> = OnceLock::new();
        let second = START.get_or_init(Instant::now).elapsed().as_secs().saturating_add(1);
        self.0.swap(second, Ordering::Relaxed) != second
    }
}

impl RequestLog<'_> {
    /// Writes the line: at `error` for 5xx, else at `debug`. Of 503 one a second.
    pub fn log(self) {
        static UNAVAILABLE: LineLimit = LineLimit::new();
        if self.status == StatusCode::SERVICE_UNAVAILABLE && !UNAVAILABLE.admits() {
            return;
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // A line a second: who guesses keys must not fill the disk.
            static REFUSED: LineLimit = LineLimit::new();
            if REFUSED.admits() {
                tracing::warn!(request_id = %self.id, route = self.route, "key refused");
            }
        }
        if self.status.is_server_error() {
            self.line_at_error();
        } else if tracing::enabled!(Level::DEBUG) {
            self.line_at_debug();
        }
    }
}

// A function for each level, because the level of an event is a constant. They are cold,
// so that the usual request at `info` jumps over them.
macro_rules! line_at {
    ($name:ident, $level:expr) => {
        #[cold]
        fn $name(self) {
            tracing::event!(
                $level,
                request_id = %self.id,
                trace_id = self.trace.map(|trace| tracing::field::display(trace)),
                method = method_name(self.method),
                route = self.route,
                shop = self.shop.map(|shop| shop.0),
                status = self.status.as_u16(),
                took_us = self.time.micros(),
                "request completed",
            );
        }
    };
}

impl RequestLog<'_> {
    line_at!(line_at_error, Level::ERROR);
    line_at!(line_at_debug, Level::DEBUG);
}

/// The name of a standard method, else `other`: a client could put any word there.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use serde_json::Value;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct MemoryWriter(Arc<Mutex<Vec<u8>>>);

    impl Write for MemoryWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MemoryWriter {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn logged(format: Format, level: LevelFilter, run: impl FnOnce()) -> String {
        let memory = MemoryWriter::default();
        let writer = memory.clone();
        let subscriber = subscriber(format, level, move || writer.clone());
        tracing::subscriber::with_default(subscriber, run);
        memory.text()
    }

    fn log_request(method: &Method, status: u16) {
        let mut headers = hyper::HeaderMap::new();
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", traceparent.parse().unwrap());
        RequestLog {
            id: RequestId::sample(),
            trace: TraceId::from_headers(&headers),
            method,
            route: Some("/v1/customers/{customer_id}"),
            shop: Some(ShopId(7)),
            status: StatusCode::from_u16(status).unwrap(),
            time: Stopwatch::start(),
        }
        .log();
    }

    #[test]
    fn a_json_line_has_every_member() {
        let line = logged(Format::Json, LevelFilter::DEBUG, || log_request(&Method::GET, 404));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "DEBUG");
        assert_eq!(line["message"], "request completed");
        assert_eq!(line["request_id"], RequestId::sample().as_str());
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(line["method"], "GET");
        assert_eq!(line["route"], "/v1/customers/{customer_id}");
        assert_eq!(line["shop"], 7);
        assert_eq!(line["status"], 404);
        assert!(line["took_us"].is_u64());
    }

    #[test]
    fn at_info_only_failures_are_logged() {
        let success = logged(Format::Text, LevelFilter::INFO, || log_request(&Method::GET, 200));
        assert_eq!(success, "");
        let failure = logged(Format::Text, LevelFilter::INFO, || log_request(&Method::POST, 503));
        assert!(failure.contains("ERROR") && failure.contains("status=503"), "{failure}");
        assert!(!failure.contains("took_us"), "{failure}");
    }

    #[test]
    fn refused_keys_are_logged_once_a_second() {
        let text = logged(Format::Text, LevelFilter::INFO, || {
            for _ in 0..20 {
                log_request(&Method::GET, 401);
            }
        });
        let lines = text.lines().filter(|line| line.contains("key refused")).count();
        assert!((1..=2).contains(&lines), "{text}");
    }

    #[test]
    fn unknown_methods_are_logged_as_other() {
        let method = Method::from_bytes(b"ANNA-DOE").unwrap();
        let line = logged(Format::Text, LevelFilter::DEBUG, || log_request(&method, 405));
        assert!(line.contains("method=\"other\"") && !line.contains("ANNA"), "{line}");
    }

    #[test]
    fn libraries_are_logged_from_warn_on() {
        let text = logged(Format::Text, LevelFilter::TRACE, || {
            tracing::info!(target: "elsewhere", "secret body");
            tracing::warn!(target: "elsewhere", "careful");
        });
        assert!(!text.contains("secret") && text.contains("careful"), "{text}");
        let text = logged(Format::Text, LevelFilter::ERROR, || {
            tracing::warn!(target: "elsewhere", "careful");
        });
        assert_eq!(text, "");
    }

    #[test]
    fn a_panic_logs_its_location_and_no_runtime_message() {
        let text = logged(Format::Text, LevelFilter::INFO, || {
            let before = panic::take_hook();
            panic::set_hook(Box::new(log_panic));
            let mail = "anna@example.org";
            let _ = panic::catch_unwind(|| std::panic::panic_any(format!("no {mail}")));
            let _ = panic::catch_unwind(|| std::panic::panic_any("a fixed text"));
            panic::set_hook(before);
        });
        assert!(text.contains("log.rs") && text.contains("a fixed text"), "{text}");
        assert!(!text.contains("anna"), "{text}");
    }
}
