//! Malicious and random bodies.

use crate::php::{vectors, webhook};
use crate::plugin::{ADA, KEY, SECRET, Server, order, path, sign};

#[test]
fn one_flipped_bit_is_rejected_and_changes_nothing() {
    let mut server = Server::start();
    server.deliver_ok("magento/orders-paid", &order("1", r#""50.00""#, ADA));
    let rows = server.rows();
    for (webhook, body) in [
        ("magento/orders-cancelled", sign(KEY, SECRET, &[("id", "1")])),
        (
            "woocommerce/orders-completed",
            sign(KEY, SECRET, &order("1", r#""60.00""#, ADA)),
        ),
    ] {
        let mut body = body.into_bytes();
        for at in 0..body.len() {
            for bit in 0..8 {
                body[at] ^= 1 << bit;
                let status = server.post(&path(webhook), &body).status;
                assert!(
                    matches!(status, 400 | 401),
                    "{status}: {}",
                    String::from_utf8_lossy(&body)
                );
                body[at] ^= 1 << bit;
            }
        }
        assert_eq!(server.rows(), rows);
    }
}

#[test]
fn no_body_breaks_the_server() {
    let mut server = Server::start();
    let mut random = Random(3);
    let good: Vec<(String, String)> = vectors()
        .into_iter()
        .filter_map(|vector| Some((webhook(&vector)?, vector.body)))
        .collect();
    for _ in 0..4_000 {
        let (path, body) = &good[random.below(good.len())];
        let mut body = body.clone().into_bytes();
        match random.below(4) {
            0 => {
                body = (0..random.below(200))
                    .map(|_| u8::try_from(random.below(256)).unwrap())
                    .collect();
            }
            1 => body.truncate(random.below(body.len())),
            2 => (0..=random.below(5)).for_each(|_| {
                let at = random.below(body.len());
                body[at] = u8::try_from(random.below(256)).unwrap();
            }),
            _ => {
                let (from, to) = (random.below(body.len()), random.below(body.len()));
                body.splice(from.min(to)..from.max(to), br#"[{"a":1e999}],"#.iter().copied());
            }
        }
        let answer = server.post(path, &body);
        assert!(answer.status < 500, "{answer:?}: {}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn no_signed_body_breaks_the_server() {
    const VALUES: [&str; 30] = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "-0",
        "1e400",
        "-1e-400",
        "1.5",
        "79228162514264337593543950335",
        "9223372036854775808",
        "\"\"",
        "\"0\"",
        "\"-3.0000\"",
        "\"NaN\"",
        "\"1e3\"",
        "\"\\u0000\"",
        "\"a@b\"",
        "\" \"",
        "\"\\ud83d\\ude00\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "[{\"amount\":1e28},{\"amount\":79228162514264337593543950335}]",
        "[{\"quantity\":1e27,\"product_price\":\"1e27\"},{\"quantity\":1}]",
        "{\"id\":\"0\",\"email\":\"x@y\",\"birthday\":\"9999-12-31\",\"default_address\":[]}",
        "{\"3\":{\"quantity\":\"0.0\"}}",
        "\"100000000000\"",
        "1751371200",
    ];
    const EVENTS: [&str; 10] = [
        "key-verify",
        "app-installed",
        "orders-processing",
        "orders-paid",
        "orders-fulfilled",
        "orders-completed",
        "orders-cancelled",
        "orders-closed",
        "refunds-create",
        "customers-create",
    ];
    let mut server = Server::start();
    let mut random = Random(4);
    let mut accepted = 0;
    for _ in 0..4_000 {
        let mut members = order("1", r#""50.00""#, ADA).to_vec();
        members.extend([
            ("transactions", r#"[{"amount":1}]"#),
            ("t", "1751371200"),
            ("email", "\"x@y\""),
        ]);
        members.extend([("shop_url", r#""http:\/\/a""#), ("api_endpoint", "null")]);
        for _ in 0..=random.below(3) {
            let at = random.below(members.len());
            if random.below(4) == 0 {
                members.swap_remove(at);
            } else {
                members[at].1 = VALUES[random.below(VALUES.len())];
            }
        }
        let answer =
            server.deliver(&format!("common/{}", EVENTS[random.below(EVENTS.len())]), &members);
        assert!(matches!(answer.status, 200 | 400 | 401 | 422), "{answer:?}: {members:?}");
        assert_ne!(answer.body["code"], "unauthorized", "{members:?}");
        accepted += u32::from(answer.status == 200);
    }
    assert!(accepted > 1_000, "only {accepted} were accepted");
}

/// A pseudorandom generator with the same numbers on every run (`SplitMix64`).
struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }
}
