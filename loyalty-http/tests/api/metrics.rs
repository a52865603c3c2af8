//! The metrics, as Prometheus reads them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use loyalty_core::{Currency, Zone};
use loyalty_http::metrics::Metrics;
use loyalty_http::outbound::OutboundClient;
use loyalty_http::sender::{Sender, SenderSettings};
use loyalty_http::{App, Clock, RequestId, auth};
use loyalty_store::{NewShop, Scope, SqliteStore, Store, StoreSettings};

use crate::clients::{install_python, is_installed, place, python};
use crate::support::{NOW, time};

/// The parser is Prometheus' own for Python.
const PARSER: &str = "prometheus-client==0.22.1";

const SCRIPT: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        labels = ','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))
        print(f'{family.type} {sample.name}{{{labels}}} {float(sample.value)}')
";

/// The metrics after six requests to a store on disk: two writes, a rejection, a refused key,
/// an unknown path, and a method that a client invents.
fn metrics_after_requests() -> String {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("x.db"), &StoreSettings::default());
    let store: Arc<dyn Store> = Arc::new(store.unwrap());
    let (clock, _) = Clock::manual(time(NOW));
    let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
    let shop = store.create_shop(&shop, time(NOW)).unwrap();
    let (key, text) = auth::new_key(&[7; auth::KEY_BYTES], "test", Scope::OF_SHOP.to_vec());
    store.add_api_key(shop.id, &key, time(NOW)).unwrap();

    let client = OutboundClient::new(Arc::new([]));
    let sender = Sender::new(Arc::clone(&store), client, clock.clone(), SenderSettings::default());
    let metrics = Metrics::new(Arc::clone(&store), clock.clone());
    let metrics = Arc::new(metrics.with_sender(sender.unwrap().figures()));
    let app = App::new(store, clock).with_metrics(Arc::clone(&metrics));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (method, path, key, body) in [
        ("POST", "/v1/customers", &*text, r#"{"customer_id":"1"}"#),
        ("POST", "/v1/points-add", &text, r#"{"customer_id":"1","points":5}"#),
        ("POST", "/v1/points-subtract", &text, r#"{"customer_id":"1","points":6}"#),
        ("GET", "/v1/customers", "lk_wrong_key", ""),
        ("GET", "/v1/customers/ada@example.com/letters", &text, ""),
        ("BREW", "/v1/customers", &text, ""),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        runtime.block_on(app.handle(request, RequestId::from_number(1)));
    }
    metrics.render()
}

#[test]
fn requests_and_commits_are_counted() {
    let text = metrics_after_requests();
    for line in [
        r#"loyalty_http_requests_total{method="POST",route="/v1/points-add",status="200"} 1"#,
        r#"loyalty_http_requests_total{method="POST",route="/v1/points-subtract",status="422"} 1"#,
        r#"loyalty_http_requests_total{method="GET",route="/v1/customers",status="401"} 1"#,
        r#"loyalty_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"loyalty_http_requests_total{method="other",route="unmatched",status="405"} 1"#,
        r#"loyalty_http_request_duration_seconds_count{method="GET",route="/v1/customers"} 1"#,
        "loyalty_store_commit_duration_seconds_count 2",
        "loyalty_store_committed_requests_total 2",
        "loyalty_store_failed_commits_total 0",
        "loyalty_store_ready 1",
        "loyalty_store_waiting_requests 0",
        "loyalty_scheduler_lag_seconds 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    let bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("loyalty_store_database_bytes "));
    assert!(bytes.unwrap().parse::<u64>().unwrap() > 4_096);
    assert!(!text.contains("ada"), "a label has personal data");
}

#[test]
fn prometheus_reads_the_metrics() {
    let at = place(PARSER);
    if !is_installed(PARSER, install_python(&at, &[PARSER])) {
        return;
    }
    let mut parser = Command::new(python(&at))
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = metrics_after_requests();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser refuses\n{text}");

    let samples = String::from_utf8(output.stdout).unwrap();
    for sample in [
        "counter loyalty_http_requests_total{method=POST,route=/v1/points-add,status=200} 1.0",
        "histogram loyalty_store_commit_duration_seconds_bucket{le=+Inf} 2.0",
        "gauge loyalty_store_ready{} 1.0",
    ] {
        assert!(samples.lines().any(|found| found == sample), "no {sample} in\n{samples}");
    }
}

/// A rule about a metric that does not exist never fires.
#[test]
fn alerts_and_dashboard_use_existing_metrics() {
    let text = metrics_after_requests();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy");
    for (file, least) in [("alerts.yml", 6), ("dashboard.json", 10)] {
        let file = std::fs::read_to_string(deploy.join(file)).unwrap();
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let names: BTreeSet<&str> = file
            .split(|character| !is_name(character))
            .filter(|word| word.starts_with("loyalty_"))
            .collect();
        assert!(names.len() >= least, "{names:?}");
        for name in names {
            let is_sample = |line: &str| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            };
            assert!(text.lines().any(is_sample), "there is no metric {name}");
        }
    }
}
