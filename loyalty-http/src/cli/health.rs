//! `health`: asks a running server whether it is ready, for supervisors without an HTTP client.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CommandResult, print};

/// The time to connect, and the time to answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Health {
    /// Address and port that the server listens on.
    #[arg(long, env = "LOYALTY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Exits with 0 if the server is ready, else with 1 and the reason.
pub(crate) fn check(options: &Health) -> CommandResult {
    let address = reachable(options.listen);
    match ask(address) {
        Ok(status) if status.starts_with("HTTP/1.1 200 ") => {
            print("ready")?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(status) => {
            print(&format!("not ready: {status}"))?;
            Ok(ExitCode::from(1))
        }
        Err(error) => {
            print(&format!("no answer from {address}: {error}"))?;
            Ok(ExitCode::from(1))
        }
    }
}

/// A server that listens on all addresses is asked at the local one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Returns the first line of the answer to `GET /readyz`.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;

    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
