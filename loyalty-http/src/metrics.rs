//! Metrics in Prometheus' text format.
//!
//! Labels are bounded: a route is its pattern, and a status is one that the server sends.
//! No label names a shop, a customer or a key. Counters begin at zero with each process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use loyalty_store::{Store, StoreMetrics, TIME_BUCKETS, TimeHistogram};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::log::method_name;
use crate::sender::SenderFigures;

/// The type of the text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the buckets of a request's time, in seconds.
const REQUEST_BUCKETS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The label of requests whose path is no route's.
const UNMATCHED: &str = "unmatched";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

/// The metrics of one server.
///
/// # Example: a request is counted
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use hyper::{Method, StatusCode};
/// use loyalty_http::{Clock, metrics::Metrics};
/// use loyalty_store::MemoryStore;
///
/// let metrics = Metrics::new(Arc::new(MemoryStore::default()), Clock::system());
/// metrics.record(&Method::GET, Some("/livez"), StatusCode::OK, Duration::from_millis(1));
/// let text = metrics.render();
/// let line = r#"loyalty_http_requests_total{method="GET",route="/livez",status="200"} 1"#;
/// assert!(text.contains(line), "{text}");
/// ```
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

impl Metrics {
    /// Metrics of requests, and those that `store` has about itself.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let requests = Family::default();
        let new_histogram: fn() -> Histogram = || Histogram::new(REQUEST_BUCKETS);
        let durations = Family::new_with_constructor(new_histogram);

        let mut registry = Registry::with_prefix("loyalty");
        let help = "Requests that were answered";
        registry.register("http_requests", help, requests.clone());
        let help = "Time from the head of a request to its answer";
        registry.register("http_request_duration_seconds", help, durations.clone());
        registry.register_collector(Box::new(StoreCollector { store, clock }));
        Self { registry, requests, durations }
    }

    /// The same metrics with those of the sender of events.
    #[must_use]
    pub fn with_sender(mut self, figures: Arc<SenderFigures>) -> Self {
        self.registry.register_collector(Box::new(SenderCollector(figures)));
        self
    }

    /// Counts an answered request. `route` is the pattern of its path.
    pub fn record(
        &self,
        method: &Method,
        route: Option<&'static str>,
        status: StatusCode,
        time: Duration,
    ) {
        let (method, route) = (method_name(method), route.unwrap_or(UNMATCHED));
        let labels = RequestLabels { method, route, status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&RouteLabels { method, route })
            .observe(time.as_secs_f64());
    }

    /// Answers a request to a listener of their own: `GET /metrics`, else 404.
    ///
    /// Blocks for some look-ups in the store.
    pub fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if !is_read || request.uri().path() != "/metrics" {
            let mut response = Response::new(Full::from("The metrics are at GET /metrics.\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            return response;
        }

        let mut response = Response::new(Full::from(self.render()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
        response
    }

    /// Returns all metrics as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            // Only a writer that fails causes this, and a string does not.
            tracing::error!("metrics could not be encoded");
        }
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Asks the store when metrics are read.
struct StoreCollector {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl fmt::Debug for StoreCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoreCollector").finish_non_exhaustive()
    }
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let StoreMetrics {
            commit_time,
            failed_commits,
            committed_requests,
            waiting_requests,
            unwritten_states,
            cache_hits,
            cache_misses,
            database_bytes,
            log_bytes,
        } = self.store.metrics();

        encode_times(&mut encoder, &commit_time)?;
        let mut counter = |name, help, value: u64| {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)
        };
        counter("store_failed_commits", "Commits that failed", failed_commits)?;
        let help = "Requests that were answered by successful commits";
        counter("store_committed_requests", help, committed_requests)?;
        counter("store_cache_hits", "Look-ups of states in memory that found one", cache_hits)?;
        counter("store_cache_misses", "Look-ups of states that read a table", cache_misses)?;

        let is_ready = u64::from(self.store.check_ready().is_ok());
        gauge(&mut encoder, "store_ready", "1 if the store can execute requests", is_ready)?;
        let help = "Requests that wait for a decision or a commit";
        gauge(&mut encoder, "store_waiting_requests", help, waiting_requests)?;
        let help = "States that have not reached their tables";
        gauge(&mut encoder, "store_unwritten_states", help, unwritten_states)?;
        gauge(
            &mut encoder,
            "store_database_bytes",
            "Size of the database file",
            database_bytes,
        )?;
        gauge(&mut encoder, "store_log_bytes", "Size of the write-ahead log", log_bytes)?;

        if let Some(lag) = self.scheduler_lag() {
            let help = "Age of the oldest scheduled event that is not recorded";
            gauge(&mut encoder, "scheduler_lag_seconds", help, lag)?;
        }
        if let Some(bytes) = resident_memory() {
            let help = "Memory of the process that is in use";
            gauge(&mut encoder, "process_resident_memory_bytes", help, bytes)?;
        }
        Ok(())
    }
}

/// Reads what the sender has done.
#[derive(Debug)]
struct SenderCollector(Arc<SenderFigures>);

impl Collector for SenderCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Attempts to deliver an event";
        let name = "deliveries_attempts";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (outcome, count) in self.0.attempts() {
            let labels = [("outcome", outcome)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let given_up = ConstCounter::new(self.0.given_up());
        let help = "Deliveries that were given up";
        let name = "deliveries_given_up";
        given_up.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        for (name, help, value) in self.0.gauges() {
            gauge(&mut encoder, &format!("deliveries_{name}"), help, value)?;
        }
        Ok(())
    }
}

impl StoreCollector {
    /// The seconds since the oldest scheduled event was due; `None` if the store cannot say.
    fn scheduler_lag(&self) -> Option<u64> {
        let now = self.clock.now();
        let due = self.store.due(now, None, 1).ok()?;
        let lag = due.first().map(|first| now.signed_duration_since(first.at));
        Some(lag.map_or(0, |lag| u64::try_from(lag.num_seconds()).unwrap_or_default()))
    }
}

fn gauge<N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: N,
) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let gauge = ConstGauge::new(value);
    let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric)
}

fn encode_times(encoder: &mut DescriptorEncoder<'_>, times: &TimeHistogram) -> fmt::Result {
    let help = "Time of successful commits, sync included";
    let name = "store_commit_duration_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;

    let bounds = TIME_BUCKETS
        .iter()
        .map(|micros| seconds(*micros))
        .chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(times.counts).collect();
    let count = times
        .counts
        .iter()
        .fold(0, |sum: u64, count| sum.saturating_add(*count));
    metric.encode_histogram::<NoLabelSet>(seconds(times.total_micros), count, &buckets, None)
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// The bytes of memory that the process uses; `None` where the system does not say.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}
