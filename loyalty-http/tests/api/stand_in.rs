//! A stand-in for a store: answers each request by a function.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as the store gets it.
#[derive(Clone, Debug)]
pub(crate) struct StoreCall {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl StoreCall {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The method and the path without the query.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap())
    }
}

/// A status and a body; `None` closes the connection, as if the answer was lost.
pub(crate) type StoreReply = Option<(u16, String)>;

/// A store on a port of this machine.
pub(crate) struct StandIn {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<StoreCall>>>,
}

impl StandIn {
    pub(crate) fn start(mut answer: impl FnMut(&StoreCall) -> StoreReply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(call) = read_call(&mut stream) else { continue };
                seen.lock().unwrap().push(call.clone());
                let Some((status, body)) = answer(&call) else { continue };
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
                     connection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Self { url, calls }
    }

    /// The requests so far, each by method and path.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(StoreCall::line).collect()
    }

    /// The last request.
    pub(crate) fn last(&self) -> StoreCall {
        self.calls.lock().unwrap().last().unwrap().clone()
    }
}

fn read_call(stream: &mut TcpStream) -> Option<StoreCall> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |text| text.trim().parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(StoreCall { method, path, head, body: String::from_utf8(body).unwrap() })
}
