//! The floor: the least that a durable server must do. A write appends its body as one
//! row, by one thread with one commit for all waiting requests, and is answered after the
//! commit. A read is answered from a map. No API key, rules, balance, idempotency or
//! write-behind.
//!
//! If a goal is above the floor's ratio to bare hyper, no design reaches it on this
//! machine.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::requests::{CUSTOMERS, customer_id};

/// As many requests as share a commit in our store.
const BATCH: usize = 512;

type Job = (Bytes, oneshot::Sender<()>);

struct Floor {
    jobs: SyncSender<Job>,
    balances: HashMap<String, Bytes>,
}

pub(crate) async fn serve(listener: TcpListener, file: PathBuf) {
    let (jobs, waiting) = sync_channel(4_096);
    std::thread::spawn(move || write(&file, &waiting));

    let balance = |number| {
        let id = customer_id(number);
        let body = format!(r#"{{"customer_id":"{id}","point_balance":1000000000}}"#);
        (id, Bytes::from(body))
    };
    let floor = Arc::new(Floor { jobs, balances: (0..CUSTOMERS).map(balance).collect() });

    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let floor = Arc::clone(&floor);
        let service = service_fn(move |request| respond(Arc::clone(&floor), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn respond(
    floor: Arc<Floor>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if head.method == hyper::Method::GET {
        let customer = head.uri.path().split('/').nth(3);
        let balance = customer
            .and_then(|id| floor.balances.get(id))
            .expect("a customer of the bench");
        return Ok(Response::new(Full::new(balance.clone())));
    }

    let body = body.collect().await.unwrap().to_bytes();
    let (done, committed) = oneshot::channel();
    floor.jobs.try_send((body, done)).expect("room for all that wait");
    committed.await.unwrap();
    Ok(Response::new(Full::new(Bytes::from_static(
        br#"{"customer_id":"000000","point_balance":0}"#,
    ))))
}

/// Blocks on the first request, takes all that wait, commits, and answers.
fn write(file: &std::path::Path, waiting: &Receiver<Job>) {
    let db = Connection::open(file).unwrap();
    let settings =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8000;
        CREATE TABLE journal (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);";
    db.execute_batch(settings).unwrap();

    while let Ok(first) = waiting.recv() {
        let batch: Vec<Job> =
            std::iter::once(first).chain(waiting.try_iter()).take(BATCH).collect();

        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut append = db.prepare_cached("INSERT INTO journal (body) VALUES (?)").unwrap();
        for (body, _) in &batch {
            append.execute([&body[..]]).unwrap();
        }
        drop(append);

        db.execute_batch("COMMIT").unwrap();
        for (_, done) in batch {
            let _ = done.send(());
        }
    }
}
