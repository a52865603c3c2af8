//! How verified bodies are read: the plugins' own by PHP, and what is no such body.

use rust_decimal::Decimal;

use super::super::wire::{self, read};
use super::super::{
    AppInstalled, Body, Category, Customer, DiscountCode, KeyVerify, Order, OrderId, Refund, Signed, WireError,
};
use super::{KEY, vectors};

/// Verifies and reads the vector of that name.
fn vector<T: Body>(name: &str) -> T {
    let vector = vectors().into_iter().find(|vector| vector.name == name).expect(name);
    let signed = Signed::parse(vector.body.as_bytes()).unwrap();
    assert_eq!(signed.key(), KEY);
    signed.verify(Some(vector.secret.as_bytes())).unwrap().read().unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[allow(clippy::unnecessary_wraps, reason = "it is compared with what is optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// An order with the member given, after what an order must have.
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
            "orders-cancelled" | "orders-closed" => read::<OrderId>(body).err(),
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
    assert_eq!(order.id, "1042");
    assert_eq!(order.total_price, decimal("126.37"));
    assert_eq!(order.total_tax, decimal("18.52"));
    assert_eq!(order.total_discounts, decimal("13.58"));
    assert_eq!(order.subtotal_price, decimal("102.95"));
    assert!(order.taxes_included);
    let codes = ["SOMMER10", "größer"].map(|code| DiscountCode { code: code.to_owned() });
    assert_eq!(order.discount_codes, codes);
    let customer = order.customer.unwrap();
    assert_eq!((customer.id, customer.email), (text("31"), text("zoe.müller+shop@example.com")));
    assert_eq!((customer.last_name, customer.birthday), (text("O'Müller"), None));
    assert_eq!(order.products.len(), 5);
    assert_eq!(order.products[2].product_name, text("Kuchen 🍰 \"Sacher\""));
    assert_eq!(order.products[3].quantity, decimal("0.375"));
    let category = Category { category_id: "21".to_owned(), category_name: text("Tassen/Becher") };
    assert_eq!(order.products[0].categories[1], category);
    assert_eq!(order.products[4].categories, []);

    let guest = vector::<Order>("woocommerce: free order of a guest").customer.unwrap();
    assert_eq!((guest.id, guest.email, guest.last_name), (None, text("guest@example.com"), None));
}

#[test]
fn magento_orders_are_read() {
    let order: Order = vector("magento: order processing");
    assert_eq!(order.id, "000000117");
    assert!(!order.taxes_included);
    assert_eq!(order.products[0].product_price, decimal("19.99"));
    assert_eq!(order.products[0].quantity, decimal("2"));
    let customer = order.customer.unwrap();
    assert_eq!(customer.birthday, chrono::NaiveDate::from_ymd_opt(1988, 2, 29));
    assert_eq!(customer.id, text("204"));

    let refund: Refund = vector("magento: refund");
    assert_eq!((refund.id.as_str(), refund.transactions[0].amount), ("000000117", decimal("17.4925")));
    assert_eq!(refund.products.iter().map(|line| line.quantity).collect::<Vec<_>>(), [decimal("1"), decimal("0")]);
}

#[test]
fn the_handshake_is_read() {
    assert_eq!(vector::<KeyVerify>("woocommerce: key-verify").t, 1_751_371_200);
    assert_eq!(read(r#"{"t":"1751371200"}"#), Ok(KeyVerify { t: 1_751_371_200 }));
    let installed: AppInstalled = vector("woocommerce: app-installed");
    assert_eq!(installed.shop_url, "https://shop.example");
    assert_eq!(installed.api_endpoint, "https://shop.example/index.php/wp-json/loyalty/");
}

#[test]
fn amounts_are_exact_in_every_spelling() {
    for (sent, want) in [
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
        let order: Result<Order, _> = read(&format!(r#"{{"id":1,"subtotal_price":1,"total_price":{sent}}}"#));
        assert_eq!(order.map(|order| order.total_price), Ok(decimal(want)), "{sent}");
    }
}

#[test]
fn phps_ways_with_types_are_taken() {
    for (sent, want) in
        [("1", true), ("0", false), ("\"1\"", true), ("\"0\"", false), ("true", true), ("false", false)]
    {
        let order = order_with(&format!(r#""taxes_included":{sent}"#)).unwrap();
        assert_eq!(order.taxes_included, want, "{sent}");
    }
    for customer in ["null", "[]", "{}", r#"{"id":0}"#, r#"{"id":"0","email":""}"#, r#"{"id":null,"email":null}"#]
    {
        assert_eq!(order_with(&format!(r#""customer":{customer}"#)).unwrap().customer, None, "{customer}");
    }
    let lists = [r#"[{"code":"A"},{"code":7}]"#, r#"{"1":{"code":"A"},"4":{"code":"7"}}"#];
    for codes in lists {
        let codes = order_with(&format!(r#""discount_codes":{codes}"#)).unwrap().discount_codes;
        assert_eq!(codes, ["A", "7"].map(|code| DiscountCode { code: code.to_owned() }));
    }
    assert_eq!(order_with(r#""products":null"#).unwrap().products, []);
    let deleted =
        order_with(r#""products":[{"product_id":null,"product_price":"","quantity":"2.0000"}]"#).unwrap();
    let line = &deleted.products[0];
    assert_eq!((&line.product_id, line.product_price, line.quantity), (&None, Decimal::ZERO, decimal("2")));
    for birthday in ["\"\"", "null", "\"0000-00-00\"", "\"0000-00-00 00:00:00\""] {
        let customer: Customer = read(&format!(r#"{{"id":1,"birthday":{birthday}}}"#)).unwrap();
        assert_eq!(customer.birthday, None, "{birthday}");
    }
    let exotic: Customer =
        read(r#"{"id":18446744073709551615,"email":"j\u00f6rg@example.com","x":[{}]}"#).unwrap();
    assert_eq!((exotic.id, exotic.email), (text("18446744073709551615"), text("jörg@example.com")));
}

#[test]
fn a_fault_is_named_with_its_place() {
    for (member, pointer, reason) in [
        (r#""id":2"#, "/id", "duplicate field `id`"),
        (r#""total_tax":true"#, "/total_tax", "expected a decimal number, plain or as a text"),
        (r#""total_tax":"1,234.50""#, "/total_tax", "expected a decimal number, plain or as a text"),
        (r#""total_tax":"NaN""#, "/total_tax", "expected a decimal number, plain or as a text"),
        (r#""total_tax":" 1""#, "/total_tax", "expected a decimal number, plain or as a text"),
        (r#""total_tax":[1]"#, "/total_tax", "expected a decimal number, plain or as a text"),
        (r#""total_tax":1e400"#, "/total_tax", "has more digits than an amount can hold"),
        (r#""total_tax":1e-9999999999"#, "/total_tax", "has more digits than an amount can hold"),
        (r#""total_tax":79228162514264337593543950336"#, "/total_tax", "has more digits than an amount can hold"),
        (
            r#""total_tax":0.00000000000000000000000000001"#,
            "/total_tax",
            "has more digits than an amount can hold",
        ),
        (r#""taxes_included":2"#, "/taxes_included", "expected 1, 0, true or false, plain or as a text"),
        (r#""customer":"zoe@example.com""#, "/customer", "expected an object"),
        (r#""customer":[1]"#, "/customer", "expected an object"),
        (r#""customer":{"id":1.5}"#, "/customer/id", "expected a text or a whole number"),
        (r#""customer":{"id":-1}"#, "/customer/id", "expected a text or a whole number"),
        (r#""customer":{"id":true}"#, "/customer/id", "expected a text or a whole number"),
        (r#""customer":{"email":"a\u0000b"}"#, "/customer/email", "must not hold control characters"),
        (r#""customer":{"email":"a@b\n"}"#, "/customer/email", "must not hold control characters"),
        (r#""customer":{"first_name":"\u0000"}"#, "/customer/first_name", "must not hold control characters"),
        (
            r#""customer":{"birthday":"29.02.1988"}"#,
            "/customer/birthday",
            "expected a date as YYYY-MM-DD, or nothing",
        ),
        (
            r#""customer":{"birthday":"1989-02-29"}"#,
            "/customer/birthday",
            "expected a date as YYYY-MM-DD, or nothing",
        ),
        (r#""products":"none""#, "/products", "expected a list"),
        (r#""products":[{"quantity":1},{"product_id":1}]"#, "/products/1/quantity", "missing field `quantity`"),
        (
            r#""products":[{"quantity":""}]"#,
            "/products/0/quantity",
            "expected a decimal number, plain or as a text",
        ),
        (
            r#""products":[{"quantity":1,"categories":[{"category_id":""}]}]"#,
            "/products/0/categories/0/category_id",
            "must not be empty",
        ),
        (
            r#""discount_codes":{"a/b~":{"code":{}}}"#,
            "/discount_codes/a~1b~0/code",
            "expected a text or a whole number",
        ),
        (r#""discount_codes":["SUMMER"]"#, "/discount_codes/0", "expected an object"),
        (r#""discount_codes":[["SUMMER"]]"#, "/discount_codes/0", "expected an object"),
        (r#""discount_codes":[null]"#, "/discount_codes/0", "expected an object"),
    ] {
        let want = WireError::Invalid { pointer: pointer.to_owned(), reason: reason.to_owned() };
        assert_eq!(order_with(member), Err(want), "{member}");
    }
}

#[test]
fn what_must_be_there_is_missed_by_name() {
    let missing =
        |name: &str| WireError::Invalid { pointer: format!("/{name}"), reason: format!("missing field `{name}`") };
    assert_eq!(read::<Order>(r#"{"key":"x"}"#), Err(missing("id")));
    assert_eq!(read::<Order>(r#"{"id":1,"total_price":1}"#), Err(missing("subtotal_price")));
    assert_eq!(read::<Refund>(r#"{"id":1}"#), Err(missing("transactions")));
    assert_eq!(read::<OrderId>("{}"), Err(missing("id")));
    assert_eq!(read::<KeyVerify>("{}"), Err(missing("t")));
    assert_eq!(read::<AppInstalled>(r#"{"shop_url":"x"}"#), Err(missing("api_endpoint")));
    assert!(
        matches!(read::<KeyVerify>(r#"{"t":1.5}"#), Err(WireError::Invalid { pointer, .. }) if pointer == "/t")
    );
    assert!(
        matches!(read::<Customer>(r#"{"id":0}"#), Err(WireError::Invalid { pointer, .. }) if pointer == "/id")
    );
}

#[test]
fn nothing_is_below_zero() {
    let negative = |pointer: &str| wire::WireError::NegativeAmount { pointer: pointer.to_owned() };
    assert_eq!(order_with(r#""total_tax":"-0.01""#), Err(negative("/total_tax")));
    assert_eq!(order_with(r#""total_discounts":-1e-9"#), Err(negative("/total_discounts")));
    let line = |line: &str| order_with(&format!(r#""products":[{{"quantity":1}},{{{line}}}]"#));
    assert_eq!(line(r#""quantity":-1"#), Err(negative("/products/1/quantity")));
    assert_eq!(line(r#""quantity":1,"product_price":"-9.00""#), Err(negative("/products/1/product_price")));
    assert_eq!(read::<Order>(r#"{"id":1,"total_price":-1,"subtotal_price":0}"#), Err(negative("/total_price")));
    assert_eq!(
        read::<Order>(r#"{"id":1,"total_price":0,"subtotal_price":"-1"}"#),
        Err(negative("/subtotal_price"))
    );
    let refund = r#"{"id":1,"transactions":[{"amount":1},{"amount":-1}]}"#;
    assert_eq!(read::<Refund>(refund), Err(negative("/transactions/1/amount")));
    let lines = r#"{"id":1,"transactions":[],"products":[{"quantity":"-1.0000"}]}"#;
    assert_eq!(read::<Refund>(lines), Err(negative("/products/0/quantity")));
}
