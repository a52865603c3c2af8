//! All commands and responses in README.md, run with the real binary on an empty
//! database.
//!
//! `sh` blocks run in a shell, with the address, the key and the build replaced. The
//! response must contain the `json` block that follows, in which `…` matches any string.
//! `rust` blocks are doctests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop where it fails"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

struct Block {
    language: String,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of README.md is not closed");
    blocks
}

struct Server {
    process: Child,
    directory: tempfile::TempDir,
    address: String,
    key: String,
}

impl Server {
    /// Starts the binary on a free port, and reads the key and the address that it
    /// prints.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
            .current_dir(directory.path())
            .env("LOYALTY_LISTEN", "127.0.0.1:0")
            // As on a terminal, which the README describes.
            .env("LOYALTY_PRINT_KEY", "true")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut key, mut address) = (String::new(), String::new());
        for line in BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap)
        {
            if let Some(shown) = line.trim().strip_prefix("key") {
                shown.trim().clone_into(&mut key);
            }
            if let Some(listening) = line.strip_prefix("Listening on http://") {
                listening.clone_into(&mut address);
                break;
            }
        }
        Self { process, directory, address, key }
    }

    fn run(&self, command: &str) -> String {
        let command = command
            .replace("127.0.0.1:8080", &self.address)
            .replace("cargo run --release --", env!("CARGO_BIN_EXE_loyalty-http"));
        let shell = Command::new("sh")
            .args(["-euc", &command])
            .env("KEY", &self.key)
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        assert!(shell.status.success(), "{command}\n{}", String::from_utf8_lossy(&shell.stderr));
        String::from_utf8(shell.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Checks that the response contains what the page shows. Lists are compared item by
/// item.
fn assert_contains(page: &Value, answer: &Value, whole: &str) {
    match (page, answer) {
        (Value::Object(page), Value::Object(answer)) => {
            for (name, value) in page {
                assert_contains(value, answer.get(name).unwrap_or(&Value::Null), whole);
            }
        }
        (Value::Array(page), Value::Array(answer)) => {
            assert_eq!(page.len(), answer.len(), "{whole}");
            page.iter()
                .zip(answer)
                .for_each(|(page, answer)| assert_contains(page, answer, whole));
        }
        (Value::String(page), Value::String(_)) if page == "…" => {}
        (page, answer) => assert_eq!(page, answer, "the page differs from {whole}"),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn readme_commands_give_the_printed_responses() {
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let server = Server::start();
    let (mut answer, mut compared) = (None, 0);
    for Block { language, text } in blocks(&page) {
        match language.as_str() {
            "json" => {
                let received: String = answer.take().expect("a json block follows its command");
                let value = serde_json::from_str(&received)
                    .unwrap_or_else(|_| panic!("no JSON: {received}"));
                assert_contains(&serde_json::from_str(&text).unwrap(), &value, &received);
                compared += 1;
            }
            "sh" if text.starts_with("cargo run --release -- ") || text.starts_with("curl") => {
                answer = Some(server.run(&text));
            }
            "sh" => {
                for line in text.lines().filter(|line| !line.starts_with("export KEY=")) {
                    let command = line.split('#').next().unwrap().trim();
                    assert!(ci.contains(command), ".ci/run does not run: {command}");
                }
            }
            "rust" => {}
            other => panic!("README.md has a block of {other}, which is not tested"),
        }
    }
    assert!(compared >= 7, "only {compared} answers were compared");
}
