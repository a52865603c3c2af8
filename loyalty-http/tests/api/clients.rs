//! Published REST clients of Shopify, run against the server.
//!
//! They are installed once below the target directory, in fixed versions. Without an
//! interpreter or a reachable registry, a test is skipped with a message; with
//! `LOYALTY_REQUIRE_CLIENTS=1` it fails instead.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::TestServer;

const PYTHON: [&str; 2] = ["ShopifyAPI==12.7.0", "pyactiveresource==2.2.2"];
const NODE: &str = "shopify-api-node@3.15.0";
const NODE_OFFICIAL: &str = "@shopify/shopify-api@13.1.0";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The directory of these versions, below the target directory.
pub(crate) fn place(versions: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(versions.replace(['=', '@', '/'], "-"))
}

/// Runs a command and returns its output, or a description of the error.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Installs a client if necessary. An incomplete installation is started again.
pub(crate) fn install(at: &Path, steps: &mut [Command]) -> Result<(), String> {
    let marker = at.join("installed");
    if marker.exists() {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(at);
    std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
    for step in steps {
        run(step)?;
    }
    std::fs::write(marker, "").map_err(|error| error.to_string())
}

/// The interpreter of a virtual environment.
pub(crate) fn python(at: &Path) -> PathBuf {
    at.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// Installs packages of `PyPI` in a virtual environment.
pub(crate) fn install_python(at: &Path, packages: &[&str]) -> Result<(), String> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(at);
    let mut pip = Command::new(python(at));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--retries", "1", "--timeout", "10"]).args(packages);
    install(at, &mut [venv, pip])
}

/// Installs packages of npm.
pub(crate) fn install_node(at: &Path, packages: &[&str]) -> Result<(), String> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]);
    npm.args(["--fetch-timeout=10000", "--prefix"]).arg(at).args(packages);
    run(Command::new("node").arg("--version")).and_then(|_| install(at, &mut [npm]))
}

/// Returns false where a client could not be installed, and says why; fails where it must be.
pub(crate) fn is_installed(client: &str, installed: Result<(), String>) -> bool {
    let Err(reason) = installed else { return true };
    let required = std::env::var_os("LOYALTY_REQUIRE_CLIENTS").is_some();
    assert!(!required, "{client} could not be installed: {reason}");
    // Not by a macro, since the output of macros is shown for failed tests only.
    let line = format!("skipped: {client} could not be installed: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    false
}

/// Runs the client's script against a server with two products, unless the installation
/// failed.
fn drive(client: &str, installed: Result<(), String>, command: impl FnOnce() -> Command) {
    if !is_installed(client, installed) {
        return;
    }
    let server = TestServer::new();
    let tea = r#"{"title":"Tea","price":"4.50","tags":["a","b"],"variants":[{"variant_id":"s"}]}"#;
    server.put("/v1/products/632910392", tea).expect(200);
    server.put("/v1/products/cup", r#"{"title":"Cup"}"#).expect(200);
    let mut command = command();
    command
        .env("LOYALTY_URL", server.url())
        .env("LOYALTY_KEY", &server.key)
        .env("no_proxy", "127.0.0.1");
    let output = run(&mut command).unwrap_or_else(|failure| panic!("{client}: {failure}"));
    assert_eq!(output.trim(), "ok", "{client}");
    assert!(server.snapshot().contains("VIPs"), "{client}");
}

#[test]
fn the_official_python_client_works_unchanged() {
    let at = place(PYTHON[0]);
    let python = python(&at);
    let installed = install_python(&at, &PYTHON);
    drive(PYTHON[0], installed, || {
        let mut command = Command::new(&python);
        command.arg(scripts().join("python_client.py"));
        command
    });
}

#[test]
fn the_node_client_works_unchanged() {
    let at = place(NODE);
    let installed = install_node(&at, &[NODE]);
    drive(NODE, installed, || {
        let mut command = Command::new("node");
        command
            .arg(scripts().join("node_client.js"))
            .env("NODE_PATH", at.join("node_modules"));
        command
    });
}

/// It reads absolute links only, and throws at others.
#[test]
fn the_official_node_client_reads_every_page() {
    let at = place(NODE_OFFICIAL);
    let installed = install_node(&at, &[NODE_OFFICIAL]);
    drive(NODE_OFFICIAL, installed, || {
        let mut command = Command::new("node");
        command
            .arg(scripts().join("node_official.js"))
            .env("NODE_PATH", at.join("node_modules"));
        command
    });
}
