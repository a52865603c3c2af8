//! Signed events, verified by the libraries of Standard Webhooks for Python and for Node.

use std::process::Command;

use loyalty_http::Clock;
use loyalty_http::sender::{new_webhook_secret, sign};

use crate::clients::{install_node, install_python, is_installed, place, python, run};

const PYTHON: &str = "standardwebhooks==1.0.0";
const NODE: &str = "standardwebhooks@1.0.0";

const PYTHON_SCRIPT: &str = "
import sys
from standardwebhooks import Webhook
secret, body, *headers = sys.argv[1:]
names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
Webhook(secret).verify(body, dict(zip(names, headers)))
print('verified')
";

const NODE_SCRIPT: &str = "
const { Webhook } = require('standardwebhooks');
const [secret, body, id, timestamp, signature] = process.argv.slice(1);
const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
new Webhook(secret).verify(body, headers);
console.log('verified');
";

/// The arguments of a script: a message as it is sent while a secret is rotated, with the
/// signatures of both. `secret` is the one that the receiver has.
fn message(secret: &str, other: &str) -> Vec<String> {
    let body = r#"{"type":"points.earned","timestamp":"2026-03-01T12:00:00Z","data":{"points":5}}"#;
    let (id, timestamp) = ("evt_1", Clock::system().now().timestamp());
    let signature = |secret: &str| sign(secret, id, timestamp, body.as_bytes()).unwrap();
    let both = format!("{} {}", signature(other), signature(secret));
    [secret, body, id, &timestamp.to_string(), &both]
        .map(str::to_owned)
        .to_vec()
}

/// Has a library verify a message, and refuse the same one with another body.
fn verify(library: &str, command: &dyn Fn(&[String]) -> Command) {
    let draw = || new_webhook_secret().unwrap().expose().to_owned();
    let mut message = message(&draw(), &draw());
    let verified = run(&mut command(&message)).unwrap();
    assert_eq!(verified.trim(), "verified", "{library}");

    message[1] = message[1].replace("\"points\":5", "\"points\":6");
    let refused = run(&mut command(&message)).unwrap_err();
    assert!(refused.to_lowercase().contains("signature"), "{library}: {refused}");
}

#[test]
fn the_library_for_python_verifies_events() {
    let at = place(PYTHON);
    if !is_installed(PYTHON, install_python(&at, &[PYTHON])) {
        return;
    }
    verify(PYTHON, &|arguments| {
        let mut command = Command::new(python(&at));
        command.args(["-c", PYTHON_SCRIPT]).args(arguments);
        command
    });
}

#[test]
fn the_library_for_node_verifies_events() {
    let at = place(NODE);
    if !is_installed(NODE, install_node(&at, &[NODE])) {
        return;
    }
    verify(NODE, &|arguments| {
        let mut command = Command::new("node");
        command
            .current_dir(&at)
            .args(["-e", NODE_SCRIPT, "--"])
            .args(arguments);
        command
    });
}
