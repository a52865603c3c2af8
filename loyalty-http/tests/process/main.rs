//! The server as a process: killed, on a full disk, and with its backups.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop where it fails"
)]

mod backup;
mod crash;
#[cfg(target_os = "linux")]
mod disk_full;
mod metrics;
mod moved;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    fn start_with(directory: &Path, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_loyalty-http")), directory, arguments)
    }

    /// Starts a server whose files cannot grow beyond a size.
    #[cfg(target_os = "linux")]
    fn start_limited(directory: &Path, bytes: u64) -> Self {
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--fsize={bytes}:unlimited"));
        limited.arg(env!("CARGO_BIN_EXE_loyalty-http"));
        Self::spawn(limited, directory, &[])
    }

    fn spawn(mut command: Command, directory: &Path, arguments: &[&str]) -> Self {
        let mut process = command
            .current_dir(directory)
            .args(["--listen", "127.0.0.1:0", "--log", "off"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let listening = |line: String| line.strip_prefix("Listening on http://").map(str::to_owned);
        let address = lines.find_map(listening).unwrap();
        Self { process, address }
    }

    fn kill(mut self) {
        self.process.kill().unwrap(); // SIGKILL
        self.process.wait().unwrap();
    }
}

/// One connection. A request returns status and body, or `None` if the server has died.
struct Client {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Client {
    fn connect(address: &str, key: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Some(Self { stream: BufReader::new(stream), key: key.to_owned() })
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        idempotency_key: &str,
        body: &str,
    ) -> Option<(u16, String)> {
        let (key, length) = (&self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {idempotency_key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        let (mut line, mut length, mut status) = (String::new(), 0, None);
        loop {
            line.clear();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let head = line.trim_end().to_ascii_lowercase();
            status = status.or_else(|| head.get(9..12)?.parse().ok());
            if let Some(value) = head.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if head.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some((status?, String::from_utf8(body).unwrap()))
    }
}

/// Creates a shop and returns its key.
fn make_shop(directory: &Path) -> String {
    let create = ["shop", "create", "Tea", "--currency", "USD", "--json", "--print-key"];
    let created = loyalty(directory, &create);
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    created["key"].as_str().unwrap().to_owned()
}

/// Checks that every stored state matches the journal.
fn verify(directory: &Path) {
    assert!(loyalty(directory, &["verify"]).contains("Every stored state matches the journal."));
}

/// Runs a command that must fail with one line that contains a text. One that goes on, as a server
/// does, is killed.
fn loyalty_fails(directory: &Path, arguments: &[&str], says: &str) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
        .current_dir(directory)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while run.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // An error means that it has ended.
    let _ = run.kill();

    let run = run.wait_with_output().unwrap();
    let errors = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.code() == Some(2) && errors.contains(says), "{arguments:?}: {errors}");
}

fn loyalty(directory: &Path, arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
        .current_dir(directory)
        .args(arguments)
        .output();
    String::from_utf8(run.unwrap().stdout).unwrap()
}
