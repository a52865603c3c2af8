//! Bodies that PHP built and signed (`tests/data/plugin/make.php`), end to end.

use loyalty_store::Store;
use serde::Deserialize;

use crate::plugin::{SECRET, Server, path};

#[derive(Deserialize)]
pub(crate) struct Vector {
    name: String,
    event: Option<String>,
    secret: String,
    pub(crate) body: String,
    valid: bool,
}

pub(crate) fn vectors() -> Vec<Vector> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/plugin/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The path of a vector's event.
pub(crate) fn webhook(vector: &Vector) -> Option<String> {
    let (platform, _) = vector.name.split_once(':')?;
    Some(path(&format!("{platform}/{}", vector.event.as_ref()?)))
}

#[test]
fn what_php_signed_is_accepted_end_to_end() {
    let mut events = Vec::new();
    for vector in vectors() {
        assert_eq!(vector.secret, SECRET);
        let mut server = Server::start();
        if let Some(path) = webhook(&vector) {
            let answer = server.post(&path, vector.body.as_bytes());
            assert_eq!(
                (answer.status, answer.reason.as_str()),
                (200, "OK"),
                "{}: {answer:?}",
                vector.name
            );
            events.extend(vector.event);
        } else {
            // Without an event: a valid signature on a body that is not an order, or an
            // invalid one.
            let answer = server.post(&path("common/orders-paid"), vector.body.as_bytes());
            let refused = (answer.status, answer.body["code"].as_str().unwrap());
            let missing = vector.name == "signed missing";
            let bad = if missing { (400, "missing_field") } else { (401, "unauthorized") };
            let expected = if vector.valid { (400, "invalid_body") } else { bad };
            assert_eq!(refused, expected, "{}", vector.name);
            assert_eq!(server.rows(), 0);
        }
    }
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), 10, "{events:?}");
}

#[test]
fn a_day_of_store_events_adds_up() {
    let mut server = Server::start();
    let vectors = vectors();
    let mut post = |name: &str| {
        let vector = vectors.iter().find(|vector| vector.name == name).unwrap();
        let answer = server.post(&webhook(vector).unwrap(), vector.body.as_bytes());
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        answer.body
    };
    assert_eq!(post("woocommerce: key-verify")["shop"], "Tea");
    assert_eq!(post("woocommerce: app-installed")["ok"], true);
    // 102.95 net of everything else.
    assert_eq!(post("woocommerce: order of five lines")["point_balance"], 102);
    assert_eq!(post("woocommerce: order of five lines, unescaped")["points_changed"], 0);
    // 30.00 and 30.10 of goods of 121.47, tax included.
    assert_eq!(post("woocommerce: refund")["points_changed"], -25);
    assert_eq!(post("woocommerce: refund of a float")["point_balance"], 52);
    assert_eq!(post("woocommerce: order cancelled")["point_balance"], 0);
    // 49.95, then one of two robes: 17.49 of goods of 54.85, tax included.
    assert_eq!(post("magento: order processing")["points_changed"], 49);
    assert_eq!(post("magento: order completed")["points_changed"], 0);
    assert_eq!(post("magento: refund")["points_changed"], -15);
    assert_eq!(post("magento: order closed")["points_changed"], 0);
    assert_eq!(post("magento: customer")["point_balance"], 34);

    let zoe = server.customer("31").unwrap();
    let profile = &zoe.record().profile;
    assert_eq!(
        (profile.first_name.as_deref(), profile.last_name.as_deref()),
        (Some("Zoë"), Some("O'Müller"))
    );
    assert_eq!(
        (profile.zip.as_deref(), profile.country.as_deref()),
        (Some("01067"), Some("DE"))
    );
    let birthday = server.customer("204").unwrap().record().profile.birthday;
    assert_eq!(birthday.map(|day| day.to_string()).as_deref(), Some("1988-02-29"));
    let installed = server
        .store
        .shop(server.shop)
        .unwrap()
        .unwrap()
        .integration
        .clone()
        .unwrap();
    assert_eq!(
        (installed.platform.as_str(), installed.shop_url.as_str()),
        ("woocommerce", "https://shop.example")
    );
    let endpoint = "https://shop.example/index.php/wp-json/loyalty/";
    assert_eq!(installed.api_endpoint.as_deref(), Some(endpoint));
}
