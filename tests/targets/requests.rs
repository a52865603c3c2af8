//! Whole requests, one after the other, to one server: routes, keys, queries, cursors, headers and bodies of the
//! native endpoints and of Shopify's.
//!
//! ```text
//! PUT /v1/orders/1001?dry_run=true
//! idempotency-key: abc
//!
//! {"status": "paid", …}
//! ```
//! The key and the type of the body are added where a request says none. `AT 2026-05-01T00:00:00Z` moves the clock.

use loyalty_core::Timestamp;

use super::server::{FuzzServer, KEY};
use super::{split_first_line, split_parts};

pub(super) fn run(data: &[u8]) -> bool {
    let mut world = FuzzServer::new();
    let mut taken = false;
    for part in split_parts(data) {
        taken |= request(&mut world, part).is_some_and(|status| status < 300);
    }
    world.verify();
    taken
}

fn request(world: &mut FuzzServer, part: &[u8]) -> Option<u16> {
    let (line, mut rest) = split_first_line(part);
    let (method, target) = str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    if method == "AT" {
        let at: Timestamp = target.parse().ok()?;
        world.clock.set(at);
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
    world.send(request, rest).map(|(status, _)| status)
}
