//! Whole HTTP requests to one server, in sequence: routes, keys, queries, cursors,
//! headers and bodies of the native endpoints and of Shopify's.
//!
//! ```text
//! PUT /v1/orders/1001?dry_run=true
//! idempotency-key: abc
//!
//! {"status": "paid", …}
//! ```
//! An API key and a content type are added if the request has none.
//! `AT 2026-05-01T00:00:00Z` sets the clock.

use loyalty_core::Timestamp;

use super::server::{FuzzServer, KEY};
use super::{split_first_line, split_parts};

pub(super) fn run(data: &[u8]) -> bool {
    let mut server = FuzzServer::new();
    let mut accepted = false;
    for part in split_parts(data) {
        accepted |= send_request(&mut server, part).is_some_and(|status| status < 300);
    }
    server.verify();
    accepted
}

fn send_request(server: &mut FuzzServer, part: &[u8]) -> Option<u16> {
    let (line, mut rest) = split_first_line(part);
    let (method, target) = str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    if method == "AT" {
        let at: Timestamp = target.parse().ok()?;
        server.clock.set(at);
        return None;
    }

    let mut request = hyper::Request::builder().method(method).uri(target);
    let (mut keyed, mut typed) = (false, false);
    while !rest.is_empty() {
        let (line, more) = split_first_line(rest);
        rest = more;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let name = name.to_ascii_lowercase();
        keyed |= name == b"authorization" || name == b"x-shopify-access-token";
        typed |= name == b"content-type";
        request = request.header(name, value.get(1..)?.trim_ascii());
    }

    if !keyed && target.starts_with("/admin/") {
        request = request.header("x-shopify-access-token", KEY);
    } else if !keyed {
        request = request.header("authorization", format!("Bearer {KEY}"));
    }
    if !typed {
        request = request.header("content-type", "application/json");
    }

    server.send(request, rest).map(|(status, _)| status)
}
