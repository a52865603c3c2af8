//! Parsing of verified bodies: those of the plugins, and invalid ones.

use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::super::php;
use super::super::wire::read;
use super::super::{
    AppInstalled, Customer, KeyVerify, Order, OrderRef, Refund, SignedBody, WireError,
};
use super::{KEY, vectors};

/// Verifies and parses the vector with this name.
fn vector<T: DeserializeOwned>(name: &str) -> T {
    let vector = vectors().into_iter().find(|vector| vector.name == name).expect(name);
    let signed = SignedBody::parse(vector.body.as_bytes()).unwrap();
    assert_eq!(signed.key(), KEY);
    signed.verify(Some(vector.secret.as_bytes())).unwrap().read().unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn fault(pointer: &str, reason: &str) -> WireError {
    WireError { pointer: pointer.to_owned(), reason: reason.to_owned() }
}

/// An order with its required members and the given one.
fn order_with(member: &str) -> Result<Order, WireError> {
    read(&format!(r#"{{"id":1,"total_price":"9.00","subtotal_price":"9.00",{member}}}"#))
}

#[test]
fn every_event_of_the_plugins_is_read() {
    let mut events = Vec::new();
    for vector in vectors() {
        let Some(event) = vector.event else { continue };
        let body = &vector.body;
        let fault = match event.as_str() {
            "key-verify" => read::<KeyVerify>(body).err(),
            "app-installed" => read::<AppInstalled>(body).err(),
            "orders-cancelled" | "orders-closed" => read::<OrderRef>(body).err(),
            "refunds-create" => read::<Refund>(body).err(),
            "customers-create" => read::<Customer>(body).err(),
            order => {
                assert!(order.starts_with("orders-"), "{order}");
                read::<Order>(body).err()
            }
        };
        assert_eq!(fault, None, "{}", vector.name);
        events.push(event);
    }

    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), 10, "{events:?}");
}

#[test]
fn woocommerce_orders_are_read() {
    let order: Order = vector("woocommerce: order of five lines");
    assert_eq!(order, vector("woocommerce: order of five lines, unescaped"));
    assert_eq!(order.id.as_str(), "1042");
    assert_eq!(order.total_price, decimal("126.37"));
    assert_eq!(order.total_tax, decimal("18.52"));
    assert_eq!(order.subtotal_price, decimal("102.95"));
    let customer = order.customer.unwrap();
    assert_eq!(customer.id.unwrap().as_str(), "31");
    assert_eq!(customer.email.unwrap().as_str(), "zoe.müller+shop@example.com");
    assert_eq!(
        (customer.first_name.as_deref(), customer.last_name.as_deref()),
        (Some("Zoë"), Some("O'Müller"))
    );
    assert_eq!(customer.birthday, None);
    let address = customer.default_address.unwrap();
    assert_eq!(
        (address.zip.as_deref(), address.country.as_deref()),
        (Some("01067"), Some("DE"))
    );
    assert_eq!(order.products.len(), 5);
    assert_eq!(order.products[2].product_id.as_ref().unwrap().as_str(), "503");
    assert_eq!(order.products[3].quantity.to_string(), "0.375");
    assert_eq!(order.products[0].categories[1].category_id.as_str(), "21");
    assert_eq!(order.products[4].categories, []);

    let guest = vector::<Order>("woocommerce: free order of a guest")
        .customer
        .unwrap();
    assert_eq!((guest.id, guest.last_name), (None, None));
    assert_eq!(guest.email.unwrap().as_str(), "guest@example.com");
    let address = guest.default_address.unwrap();
    assert_eq!((address.zip, address.country.as_deref()), (None, Some("AT")));
}

#[test]
fn magento_orders_are_read() {
    let order: Order = vector("magento: order processing");
    assert_eq!(order.id.as_str(), "000000117");
    assert_eq!(order.products[0].product_price, decimal("19.99"));
    assert_eq!(order.products[0].quantity.to_string(), "2");
    let customer = order.customer.unwrap();
    assert_eq!(customer.birthday, chrono::NaiveDate::from_ymd_opt(1988, 2, 29));
    assert_eq!(customer.id.unwrap().as_str(), "204");

    let refund: Refund = vector("magento: refund");
    assert_eq!(
        (refund.id.as_str(), refund.transactions[0].amount),
        ("000000117", decimal("17.4925"))
    );
}

#[test]
fn the_handshake_is_read() {
    assert_eq!(vector::<KeyVerify>("woocommerce: key-verify").t, 1_751_371_200);
    assert_eq!(read(r#"{"t":"1751371200"}"#), Ok(KeyVerify { t: 1_751_371_200 }));
    let installed: AppInstalled = vector("woocommerce: app-installed");
    assert_eq!(installed.shop_url, "https://shop.example");
    let endpoint = installed.api_endpoint.unwrap();
    assert_eq!(endpoint, "https://shop.example/index.php/wp-json/loyalty/");
    for none in [
        r#"{"shop_url":"http://shop.example:8080/a?b=c"}"#,
        r#"{"shop_url":"HTTPS://a","api_endpoint":""}"#,
    ] {
        assert_eq!(read::<AppInstalled>(none).unwrap().api_endpoint, None, "{none}");
    }
    let long = format!("https://shop.example/{}", "x".repeat(1_980));
    for url in [
        "shop.example",
        "/shop",
        "ftp://shop.example",
        "javascript:alert(1)",
        "https://",
        "http:///a",
        "https://a b",
        &long,
    ] {
        let (shop, store) = (
            format!(r#"{{"shop_url":"{url}"}}"#),
            format!(r#"{{"shop_url":"http://a","api_endpoint":"{url}"}}"#),
        );
        let reason = "expected an http or https URL of at most 2000 bytes";
        assert_eq!(read::<AppInstalled>(&shop), Err(fault("/shop_url", reason)), "{url}");
        assert_eq!(read::<AppInstalled>(&store), Err(fault("/api_endpoint", reason)), "{url}");
    }
    assert!(read::<AppInstalled>(&format!(r#"{{"shop_url":"{}"}}"#, &long[..2_000])).is_ok());
}

#[test]
fn amounts_are_exact_in_every_notation() {
    for (sent, expected) in [
        ("12.50", "12.50"),
        ("\"12.50\"", "12.50"),
        ("0.1", "0.1"),
        ("0.10000000000000001", "0.10000000000000001"),
        ("30.1", "30.1"),
        ("1e2", "100"),
        ("\"1.5E+3\"", "1500"),
        ("1.0e+25", "10000000000000000000000000"),
        ("7.105427357601002e-13", "0.0000000000007105427357601002"),
        ("79228162514264337593543950335", "79228162514264337593543950335"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("0.0e+9", "0"),
    ] {
        let order: Result<Order, _> =
            read(&format!(r#"{{"id":1,"subtotal_price":1,"total_price":{sent}}}"#));
        assert_eq!(order.map(|order| order.total_price), Ok(decimal(expected)), "{sent}");
    }
}

#[test]
fn php_type_juggling_is_accepted() {
    for customer in [
        "null",
        "[]",
        "{}",
        r#"{"id":0}"#,
        r#"{"id":"0","email":""}"#,
        r#"{"id":null,"email":null}"#,
    ] {
        assert_eq!(
            order_with(&format!(r#""customer":{customer}"#)).unwrap().customer,
            None,
            "{customer}"
        );
    }
    for products in
        [r#"[{"quantity":1},{"quantity":"2"}]"#, r#"{"1":{"quantity":1},"4":{"quantity":2.0}}"#]
    {
        let products = order_with(&format!(r#""products":{products}"#)).unwrap().products;
        assert_eq!(
            products
                .iter()
                .map(|line| line.quantity.to_string())
                .collect::<Vec<_>>(),
            ["1", "2"]
        );
    }
    assert_eq!(order_with(r#""products":null"#).unwrap().products, []);
    let deleted =
        order_with(r#""products":[{"product_id":null,"product_price":"","quantity":"2.0000"}]"#)
            .unwrap();
    let line = &deleted.products[0];
    assert_eq!(
        (&line.product_id, line.product_price, line.quantity),
        (&None, Decimal::ZERO, 2.into())
    );
    let exotic: Customer =
        read(r#"{"id":18446744073709551615,"email":"j\u00f6rg@example.com","x":[{}],"default_address":[]}"#)
            .unwrap();
    assert_eq!(
        (exotic.id.unwrap().as_str(), exotic.default_address),
        ("18446744073709551615", None)
    );
    assert_eq!(exotic.email.unwrap().as_str(), "jörg@example.com");
}

#[test]
fn invalid_optional_members_are_ignored() {
    let birthdays = [
        "\"\"",
        "null",
        "false",
        "7",
        "[]",
        "\"0000-00-00\"",
        "\"0000-00-00 00:00:00\"",
        "\"29.02.1988\"",
    ];
    for birthday in birthdays
        .into_iter()
        .chain(["\"1989-02-29\"", "\"1988-2-29\"", "\"\\u0000\""])
    {
        let customer: Customer = read(&format!(r#"{{"id":1,"birthday":{birthday}}}"#)).unwrap();
        assert_eq!(customer.birthday, None, "{birthday}");
    }

    for email in ["none", "a@b@c", "a b@c", "@"] {
        let order = order_with(&format!(r#""customer":{{"id":1,"email":"{email}"}}"#)).unwrap();
        let customer = order.customer.unwrap();
        assert_eq!((customer.id.unwrap().as_str(), customer.email), ("1", None), "{email}");
        assert_eq!(
            order_with(&format!(r#""customer":{{"email":"{email}"}}"#))
                .unwrap()
                .customer,
            None,
            "{email}"
        );
    }

    let name = format!(
        r#""customer":{{"id":1,"first_name":"a\tb{}","default_address":{{"zip":7}}}}"#,
        "ü".repeat(300)
    );
    let customer = order_with(&name).unwrap().customer.unwrap();
    assert_eq!(customer.first_name.unwrap(), format!("a b{}", "ü".repeat(252)));
    assert_eq!(customer.default_address.unwrap().zip.as_deref(), Some("7"));
    for (sent, expected) in
        [("0.0005", "0.001"), ("\"1.2344\"", "1.234"), ("-0.0001", "0"), ("1e-9", "0"), ("0", "0")]
    {
        let order = order_with(&format!(r#""products":[{{"quantity":{sent}}}]"#)).unwrap();
        assert_eq!(order.products[0].quantity.to_string(), expected, "{sent}");
    }

    // Magento subtracts a discount on shipping from the subtotal.
    let order: Order = read(r#"{"id":1,"total_price":"2.00","subtotal_price":"-3.0000"}"#).unwrap();
    assert_eq!(order.subtotal_price, Decimal::ZERO);
}

#[test]
fn a_fault_is_named_with_its_place() {
    for (member, pointer, reason) in [
        (r#""id":2"#, "/id", "duplicate field `id`"),
        (
            r#""total_tax":true"#,
            "/total_tax",
            "expected a decimal number, as a number or a string",
        ),
        (
            r#""total_tax":"1,234.50""#,
            "/total_tax",
            "expected a decimal number, as a number or a string",
        ),
        (
            r#""total_tax":"NaN""#,
            "/total_tax",
            "expected a decimal number, as a number or a string",
        ),
        (
            r#""total_tax":" 1""#,
            "/total_tax",
            "expected a decimal number, as a number or a string",
        ),
        (
            r#""total_tax":[1]"#,
            "/total_tax",
            "expected a decimal number, as a number or a string",
        ),
        (r#""total_tax":1e400"#, "/total_tax", "has more digits than an amount can hold"),
        (
            r#""total_tax":1e-9999999999"#,
            "/total_tax",
            "has more digits than an amount can hold",
        ),
        (
            r#""total_tax":79228162514264337593543950336"#,
            "/total_tax",
            "has more digits than an amount can hold",
        ),
        (
            r#""total_tax":0.00000000000000000000000000001"#,
            "/total_tax",
            "has more digits than an amount can hold",
        ),
        (r#""customer":"zoe@example.com""#, "/customer", "expected an object"),
        (r#""customer":[1]"#, "/customer", "expected an object"),
        (
            r#""customer":{"id":1.5}"#,
            "/customer/id",
            "expected a string or a whole number",
        ),
        (r#""customer":{"id":-1}"#, "/customer/id", "expected a string or a whole number"),
        (
            r#""customer":{"id":true}"#,
            "/customer/id",
            "expected a string or a whole number",
        ),
        (
            r#""customer":{"id":"a\nb"}"#,
            "/customer/id",
            "must not contain control characters",
        ),
        (
            r#""customer":{"email":"a\u0000b"}"#,
            "/customer/email",
            "must not contain a NUL character",
        ),
        (
            r#""customer":{"email":false}"#,
            "/customer/email",
            "expected a string or a whole number",
        ),
        (
            r#""customer":{"first_name":"\u0000"}"#,
            "/customer/first_name",
            "must not contain a NUL character",
        ),
        (r#""products":"none""#, "/products", "expected a list"),
        (
            r#""products":[{"quantity":1},{"product_id":1}]"#,
            "/products/1/quantity",
            "missing field `quantity`",
        ),
        (
            r#""products":[{"quantity":""}]"#,
            "/products/0/quantity",
            "expected a decimal number, as a number or a string",
        ),
        (
            r#""products":[{"quantity":1,"categories":[{"category_id":""}]}]"#,
            "/products/0/categories/0/category_id",
            "must not be empty",
        ),
        (
            r#""products":{"a/b~":{"quantity":{}}}"#,
            "/products/a~1b~0/quantity",
            "expected a decimal number, as a number or a string",
        ),
        (r#""products":["mug"]"#, "/products/0", "expected an object"),
        (r#""products":[[1]]"#, "/products/0", "expected an object"),
        (r#""products":[null]"#, "/products/0", "expected an object"),
    ] {
        assert_eq!(order_with(member), Err(fault(pointer, reason)), "{member}");
    }
    let long = "7".repeat(256);
    let order: Result<Order, _> =
        read(&format!(r#"{{"id":"{long}","total_price":1,"subtotal_price":1}}"#));
    assert_eq!(order, Err(fault("/id", "must be at most 255 bytes")));
}

#[test]
fn a_missing_member_is_named() {
    let missing = |name: &str| fault(&format!("/{name}"), &format!("missing field `{name}`"));
    assert_eq!(read::<Order>(r#"{"key":"x"}"#), Err(missing("id")));
    assert_eq!(read::<Order>(r#"{"id":1,"total_price":1}"#), Err(missing("subtotal_price")));
    assert_eq!(read::<Refund>(r#"{"id":1}"#), Err(missing("transactions")));
    assert_eq!(read::<OrderRef>("{}"), Err(missing("id")));
    assert_eq!(read::<KeyVerify>("{}"), Err(missing("t")));
    assert_eq!(read::<AppInstalled>(r#"{"api_endpoint":"http://a"}"#), Err(missing("shop_url")));
    assert_eq!(
        read::<AppInstalled>(r#"{"shop_url":""}"#),
        Err(fault("/shop_url", "must not be empty"))
    );
    assert_eq!(read::<KeyVerify>(r#"{"t":1.5}"#).unwrap_err().pointer, "/t");
}

#[test]
fn nothing_is_below_zero() {
    let negative = |pointer: &str| fault(pointer, "must not be negative");
    assert_eq!(order_with(r#""total_tax":"-0.01""#), Err(negative("/total_tax")));
    let line = |line: &str| order_with(&format!(r#""products":[{{"quantity":1}},{{{line}}}]"#));
    assert_eq!(line(r#""quantity":-1"#), Err(negative("/products/1/quantity")));
    assert_eq!(
        line(r#""quantity":1,"product_price":"-9.00""#),
        Err(negative("/products/1/product_price"))
    );
    assert_eq!(
        read::<Order>(r#"{"id":1,"total_price":-1e-9,"subtotal_price":0}"#),
        Err(negative("/total_price"))
    );
    let refund = r#"{"id":1,"transactions":[{"amount":1},{"amount":-1}]}"#;
    assert_eq!(read::<Refund>(refund), Err(negative("/transactions/1/amount")));
    assert_eq!(
        line(r#""quantity":1000000.01"#),
        Err(fault("/products/1/quantity", "is out of range"))
    );
}

/// Checks all strings of up to six characters that occur in numbers.
#[test]
fn numbers_are_those_of_json() {
    let mut texts = vec![String::new()];
    let mut numbers = 0;
    for _ in 0..6 {
        texts = texts
            .iter()
            .flat_map(|text| "019.eE+-".chars().map(move |letter| format!("{text}{letter}")))
            .collect();
        for text in &texts {
            let expected = serde_json::from_str::<&RawValue>(text).is_ok();
            assert_eq!(php::is_number(text), expected, "{text}");
            numbers += usize::from(expected);
        }
    }
    assert!(numbers > 5_000, "{numbers}");
    assert!(!php::is_number("") && !php::is_number("1 ") && !php::is_number("x"));
}
