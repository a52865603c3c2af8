//! Guesses at codes: who is slowed, and who is not.

use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

/// A shop with a code `REAL`, a used-up code, one of somebody else, one that is over, and
/// manual codes.
fn shop() -> TestServer {
    let server = TestServer::new();
    for (text, more) in [
        ("REAL", json!({})),
        ("ONE", json!({"usage_limit": 1})),
        ("GONE", json!({"usage_limit": 1})),
        (
            "ADAS",
            json!({"customer_selection": "prerequisite", "prerequisite_emails": ["ada@example.com"]}),
        ),
        (
            "OVER",
            json!({"starts_at": "2025-01-01T00:00:00Z", "ends_at": "2025-02-01T00:00:00Z"}),
        ),
    ] {
        let mut rule = json!({"title": text, "value": "-1"});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let rule = server.post("/v1/price-rules", rule.to_string()).expect(201).json();
        let codes =
            format!("/v1/price-rules/{}/discount-codes", rule["price_rule_id"].as_str().unwrap());
        server.post(&codes, json!({"code": text}).to_string()).expect(201);
    }
    let program = json!({"actions": [
        {"id": "word", "kind": {"codes": ["SUMMER42", "SPRING"]}, "points": 10},
    ], "referrals": {"sent": 5}});
    server.put("/v1/program", program.to_string()).expect(201);
    order(&server, "gone", &["GONE"], "").expect(200);
    server
}

fn cart(server: &TestServer, codes: &[&str], more: &Value) -> TestResponse {
    let mut body = json!({"lines": [{"quantity": 1, "price": "43.00"}], "codes": codes});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    server.post("/v1/carts/evaluate", body.to_string())
}

fn order(server: &TestServer, id: &str, codes: &[&str], query: &str) -> TestResponse {
    let body = json!({
        "customer": {"customer_id": "42"}, "status": "paid", "discount_codes": codes,
        "lines": [{"quantity": 1, "amount": "9.00"}], "total": "9.00",
    });
    server.put(&format!("/v1/orders/{id}{query}"), body.to_string())
}

fn enter(server: &TestServer, code: &str, customer: &str) -> TestResponse {
    let body = json!({"code": code, "customer_id": customer});
    server.post("/v1/actions", body.to_string())
}

fn reserve(server: &TestServer, checkout: &str, code: &str, more: &Value) -> TestResponse {
    let mut body = json!({"codes": [code], "until": "2026-03-01T12:30:00Z"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    server.post(&format!("/v1/checkouts/{checkout}/codes"), body.to_string())
}

fn look_up(server: &TestServer, code: &str, query: &str) -> TestResponse {
    server.get(&format!("/v1/discount-codes/lookup?code={code}{query}"))
}

/// Sends one guess as a customer. Each is another wrong code.
type Guess = fn(&TestServer, &str, &str) -> TestResponse;

/// Each place where a code can be tried: its name and the guess.
const PLACES: [(&str, Guess); 6] = [
    ("look-up", |server, code, customer| {
        look_up(server, code, &format!("&customer_id={customer}"))
    }),
    ("cart", |server, code, customer| {
        cart(server, &[code], &json!({"customer": {"customer_id": customer}}))
    }),
    ("reservation", |server, code, customer| {
        reserve(server, "c1", code, &json!({"customer": {"customer_id": customer}}))
    }),
    ("manual code", |server, code, customer| enter(server, code, customer)),
    ("referral", |server, code, customer| {
        let body = json!({"code": code}).to_string();
        server.post(&format!("/v1/customers/{customer}/referral"), body)
    }),
    ("dry run of an order", |server, code, customer| {
        let body = json!({
            "customer": {"customer_id": customer}, "status": "paid", "discount_codes": [code],
            "lines": [{"quantity": 1, "amount": "9.00"}], "total": "9.00",
        });
        server.put("/v1/orders/7?dry_run=true", body.to_string())
    }),
];

#[test]
fn ten_guesses_of_one_customer_slow_that_one() {
    for (place, guess) in PLACES {
        let server = shop();
        for customer in ["eve", "ada"] {
            server.customer(customer, 0);
        }
        for number in 0..10 {
            let answer = guess(&server, &format!("G{number}"), "eve");
            assert!(answer.status < 429, "{place} {number}: {}", answer.text());
        }
        let slowed = guess(&server, "REAL", "eve");
        slowed.assert_problem(429, "too_many_requests", "");
        assert_eq!(slowed.header("retry-after"), Some("30"), "{place}");

        // Nobody else is, and nothing but a lookup of a code is.
        assert!(guess(&server, "REAL", "ada").status < 429, "{place}");
        cart(&server, &[], &json!({"customer": {"customer_id": "eve"}})).expect(200);
        order(&server, "real", &["NONE"], "").expect(200);
        server.set_time("2026-03-01T12:00:30Z");
        assert!(guess(&server, "REAL", "eve").status < 429, "{place}");
    }
}

#[test]
fn a_code_that_exists_is_no_guess() {
    let server = shop();
    server.customer("bob", 0);
    let bob = json!({"customer": {"customer_id": "bob"}, "address": "192.0.2.1"});
    for _ in 0..30 {
        for code in ["GONE", "ADAS", "OVER", "REAL"] {
            cart(&server, &[code], &bob).expect(200);
            assert!(reserve(&server, "b", code, &bob).status < 429, "{code}");
            order(&server, "dry", &[code], "?dry_run=true").expect(200);
        }
        let entered = enter(&server, "SUMMER42", "bob");
        assert!(entered.status == 200 || entered.status == 422, "{}", entered.text());
    }
}

/// Codes of other shops' coupons are in orders all the time; an order is a fact.
#[test]
fn orders_are_never_slowed() {
    let server = shop();
    for number in 0..500 {
        order(&server, &number.to_string(), &["FOREIGN"], "").expect(200);
    }
    cart(&server, &["REAL"], &json!({})).expect(200);
}

#[test]
fn checkouts_that_race_for_one_code_do_not_close_the_key() {
    let server = shop();
    let race = || {
        std::thread::scope(|scope| {
            let checkouts: Vec<_> = (0..20)
                .map(|number| {
                    let server = &server;
                    scope.spawn(move || {
                        reserve(server, &format!("k{number}"), "ONE", &json!({})).status
                    })
                })
                .collect();
            checkouts
                .into_iter()
                .map(|checkout| checkout.join().unwrap())
                .collect::<Vec<_>>()
        })
    };
    let statuses = race();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 422].contains(status)), "{statuses:?}");
    cart(&server, &["REAL"], &json!({})).expect(200);
    look_up(&server, "REAL", "").expect(200);
}

/// The names of shoppers are what a guest types: they do not lift the limit of the key.
#[test]
fn another_name_for_each_guess_does_not_evade() {
    let server = shop();
    let mut tried = 0;
    let slowed = loop {
        let codes: Vec<_> = (0..20).map(|number| format!("X{tried}-{number}")).collect();
        let codes: Vec<_> = codes.iter().map(String::as_str).collect();
        let shopper = json!({
            "customer": {"email": format!("e{tried}@example.com")}, "address": format!("a{tried}"),
        });
        let answer = cart(&server, &codes, &shopper);
        if answer.status == 429 {
            break answer;
        }
        tried += 1;
        assert!(tried < 100, "never slowed");
    };
    slowed.assert_problem(429, "too_many_requests", "");
    assert_eq!(tried, 15, "300 guesses");

    // The key is closed for lookups of codes alone, and for seconds.
    cart(&server, &[], &json!({})).expect(200);
    server.get("/v1/customers").expect(200);
    enter(&server, "SPRING", "42").assert_problem(429, "too_many_requests", "");
    server.set_time("2026-03-01T12:00:01Z");
    cart(&server, &["REAL"], &json!({})).expect(200);
}

#[test]
fn guesses_without_a_name_leave_room_for_others() {
    let server = shop();
    for number in 0..200 {
        look_up(&server, &format!("G{number}"), "").assert_problem(404, "code_not_found", "code");
    }
    look_up(&server, "REAL", "").expect(200);
    cart(&server, &["REAL"], &json!({})).expect(200);
}
