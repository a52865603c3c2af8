//! Customers: creating, reading, listing, searching and updating them.

use serde_json::json;

use crate::support::TestServer;

const ADA: &str = r#"{"customer_id":"1001","email":"Ada@Example.com","first_name":"Ada","last_name":"Lovelace","birthday":"1990-12-10","zip":"10115","country":"DE","tags":["vip","b"]}"#;

const ADA_ANSWER: &str = r#"{"customer_id":"1001","email":"Ada@Example.com","first_name":"Ada","last_name":"Lovelace","birthday":"1990-12-10","zip":"10115","country":"DE","tags":["b","vip"],"attributes":{},"tier":null,"tier_until":null,"point_balance":0,"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}"#;

#[test]
fn a_customer_is_created_and_read() {
    let server = TestServer::new();
    assert_eq!(server.post("/v1/customers", ADA).expect(201).text(), ADA_ANSWER);
    let shown = server.get("/v1/customers/1001").expect(200);
    assert_eq!(shown.text(), ADA_ANSWER);
    assert!(shown.header("etag").unwrap().starts_with('"'));
    let head = server.request("HEAD", "/v1/customers/1001").send();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(ADA_ANSWER.len().to_string().as_str()));
    assert_eq!(head.header("etag"), shown.header("etag"));

    server
        .post("/v1/customers", ADA)
        .assert_problem(409, "customer_exists", "/customer_id");
    server
        .post("/v1/customers", r#"{"email":"ada@example.com"}"#)
        .assert_problem(409, "customer_exists", "/email");
    let duplicate = r#"{"customer_id":"1002","email":"ada@example.com"}"#;
    server
        .post("/v1/customers", duplicate)
        .assert_problem(422, "email_taken", "/email");
    server
        .get("/v1/customers/1002")
        .assert_problem(404, "customer_not_found", "customer_id");
}

#[test]
fn a_guest_becomes_the_customer_with_the_same_email() {
    let server = TestServer::new();
    let guest = server
        .post("/v1/customers", r#"{"email":"a@b.c"}"#)
        .expect(201)
        .json();
    assert_eq!(guest["customer_id"], json!(null));
    server
        .post("/v1/points-add", r#"{"email":"a@b.c","points":70}"#)
        .expect(200);
    let known = server
        .post("/v1/customers", r#"{"customer_id":"7","email":"A@B.C"}"#)
        .expect(201)
        .json();
    assert_eq!((&known["customer_id"], &known["point_balance"]), (&json!("7"), &json!(70)));
    assert_eq!(server.get("/v1/customers/count").expect(200).text(), r#"{"count":1}"#);
}

/// An order that names a guest's address takes nothing from the guest, and says so. The shop can
/// see the claims of a customer, and undo them.
#[test]
fn an_order_claims_no_guest_and_a_claim_is_undone() {
    let server = TestServer::new();
    let add = r#"{"email":"victim@example.com","points":500}"#;
    server
        .post("/v1/customers", r#"{"email":"victim@example.com"}"#)
        .expect(201);
    server.post("/v1/points-add", add).expect(200);
    let order = r#"{"customer":{"customer_id":"evil","email":"victim@example.com"},"status":"paid",
        "lines":[{"quantity":1,"amount":"1.00"}],"total":"1.00"}"#;
    let put = server.put("/v1/orders/o1", order).expect(200).json();
    assert_eq!(put["guest_not_claimed"], true);
    assert_eq!(
        put["customer"],
        json!({"customer_id": "evil", "email": null, "point_balance": 1})
    );
    assert_eq!(server.get("/v1/orders/o1").expect(200).json()["guest_not_claimed"], true);
    let victim = || {
        let path = "/v1/customers?email=victim%40example.com";
        server.get(path).expect(200).json()["customers"][0].clone()
    };
    assert_eq!(
        (&victim()["customer_id"], &victim()["point_balance"]),
        (&json!(null), &json!(500))
    );

    // Under this policy the shop must say that the address was verified.
    server
        .put("/v1/program", r#"{"guests":"claim_when_verified"}"#)
        .expect(201);
    let unverified = r#"{"email":"victim@example.com"}"#;
    let patched = server.patch("/v1/customers/evil", unverified).expect(200).json();
    assert_eq!(
        (&patched["guest_not_claimed"], &patched["point_balance"]),
        (&json!(true), &json!(1))
    );
    let verified = r#"{"email":"victim@example.com","email_verified":true}"#;
    let patched = server.patch("/v1/customers/evil", verified).expect(200).json();
    assert_eq!(
        (&patched["guest_not_claimed"], &patched["point_balance"]),
        (&json!(null), &json!(501))
    );

    let claims = server.get("/v1/customers/evil/claims").expect(200).json();
    let claim = &claims["claims"][0];
    assert_eq!((&claim["email"], &claim["points"]), (&json!("victim@example.com"), &json!(500)));
    let undo = format!("/v1/customers/evil/claims/{}/undo", claim["claim_id"].as_str().unwrap());
    assert_eq!(server.post(&undo, "").expect(200).json()["point_balance"], 1);
    assert_eq!(victim()["point_balance"], 500);
    server
        .post(&undo, "{}")
        .assert_problem(404, "claim_not_found", "claim_id");
    let claims = server.get("/v1/customers/evil/claims").expect(200).json();
    assert_eq!(claims["claims"][0]["email"], json!(null));
    assert!(claims["claims"][0]["undone_at"].is_string());
    let kinds: Vec<_> = server.get("/v1/customers/evil/ledger").expect(200).json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["claim_undone", "account_absorbed", "points_awarded"]);

    // What was spent stays.
    server.patch("/v1/customers/evil", verified).expect(200);
    server
        .post("/v1/points-subtract", r#"{"customer_id":"evil","points":2}"#)
        .expect(200);
    server
        .post(&undo, "{}")
        .assert_problem(422, "claim_spent", "claim_id");
}

/// Two customers are one person: the dry run says what will come together, the old id is found,
/// and its code works.
#[test]
fn two_customers_are_merged() {
    let server = TestServer::new();
    let program = r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "100"}],
        "expiry": {"per_lot": {"after": "P1Y"}},
        "actions": [{"id": "review", "kind": "review", "points": 10, "limits": [{"times": 1, "per": "ever"}]}],
        "rewards": [{"id": "five", "name": "5 off", "cost": 20, "gives": {"fixed_amount": "5"}}]}"#;
    server.put("/v1/program", program).expect(201);
    for (id, address) in [("7", "old@example.com"), ("42", "ada@example.com")] {
        let customer = json!({"customer_id": id, "email": address}).to_string();
        server.post("/v1/customers", customer).expect(201);
        let order = json!({"customer": {"customer_id": id}, "status": "paid", "total": "60",
            "lines": [{"quantity": 1, "amount": "60"}]});
        server
            .put(&format!("/v1/orders/o{id}"), order.to_string())
            .expect(200);
    }
    server
        .post("/v1/actions", r#"{"customer_id":"7","action_id":"review"}"#)
        .expect(200);
    let issued = server
        .post("/v1/redemptions", r#"{"customer_id":"7","reward_id":"five"}"#)
        .expect(201)
        .json();
    let code = issued["code"].as_str().unwrap();

    let from = r#"{"from":{"customer_id":"7"}}"#;
    let tried = server
        .post("/v1/customers/42/merge?dry_run=true", from)
        .expect(200)
        .json();
    assert_eq!(server.balance("42"), 60);
    let merged = &tried["merged"];
    assert_eq!((&tried["point_balance"], &merged["points"]), (&json!(110), &json!(50)));
    assert_eq!((&merged["debt"], &merged["debt_paid"]), (&json!(0), &json!(0)));
    assert_eq!(merged["tier"], json!({"from": null, "before": null, "after": "gold"}));
    assert_eq!((&merged["orders"], &merged["codes"][0]["code"]), (&json!(1), &json!(code)));
    assert_eq!(
        merged["limits"],
        json!({"actions": ["review"], "rules": [], "rewards": ["five"]})
    );
    assert_eq!(merged["referrals"], json!({"sent": 0, "referred": false}));
    assert_eq!(merged["lots"].as_array().unwrap().len(), 2);
    assert_eq!(merged["lots"][0]["expires_at"], "2027-03-01T12:00:00Z");

    let done = server.post("/v1/customers/42/merge", from).expect(200).json();
    assert_eq!(done, tried);
    assert_eq!((server.balance("42"), server.balance("7")), (110, 110));
    let found = server.get("/v1/customers/7").expect(200).json();
    assert_eq!(
        (&found["customer_id"], &found["email"]),
        (&json!("42"), &json!("ada@example.com"))
    );
    assert_eq!(server.get("/v1/customers/count").expect(200).text(), r#"{"count":1}"#);
    server.post("/v1/customers", r#"{"customer_id":"7"}"#).assert_problem(
        409,
        "customer_exists",
        "/customer_id",
    );

    // Limits, orders and codes are those of one person.
    server
        .post("/v1/actions", r#"{"customer_id":"42","action_id":"review"}"#)
        .assert_problem(422, "limit_reached", "/action_id");
    let cart = json!({"customer": {"customer_id": "42"}, "codes": [code],
        "lines": [{"quantity": 1, "price": "20"}]});
    let cart = server.post("/v1/carts/evaluate", cart.to_string()).expect(200).json();
    assert_eq!(
        (&cart["codes"][0]["applied"], &cart["discount"]),
        (&json!(true), &json!("5.00"))
    );
    server
        .post("/v1/orders/o7/refunds", r#"{"refund_id":"r","amount":"60"}"#)
        .expect(200);
    assert_eq!(server.balance("42"), 50);

    // It is for good.
    assert_eq!(server.get("/v1/customers/42/claims").expect(200).json(), json!({"claims": []}));
    for (path, body, status, code, param) in [
        ("42", from, 422, "same_customer", "/from"),
        (
            "42",
            r#"{"from":{"customer_id":"9"}}"#,
            404,
            "customer_not_found",
            "customer_id",
        ),
        (
            "9",
            r#"{"from":{"customer_id":"42"}}"#,
            404,
            "customer_not_found",
            "customer_id",
        ),
        ("42", r#"{"from":{}}"#, 400, "missing_field", "/from/customer_id"),
    ] {
        let path = format!("/v1/customers/{path}/merge");
        server.post(&path, body).assert_problem(status, code, param);
    }
}

#[test]
fn ids_can_contain_any_character() {
    let server = TestServer::new();
    for (id, path) in
        [("a/b", "a%2Fb"), ("ä ö%", "%C3%A4%20%C3%B6%25"), ("count", "%63ount"), ("{x}", "%7Bx%7D")]
    {
        server.customer(id, 5);
        let shown = server.get(&format!("/v1/customers/{path}")).expect(200).json();
        assert_eq!(shown["customer_id"], id);
        assert_eq!(server.balance(path), 5);
        server.get(&format!("/v1/customers/{path}/ledger")).expect(200);
    }
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let server = TestServer::new();
    for number in 0..7 {
        server.customer(&format!("c{number}"), 0);
    }
    let (mut path, mut seen, mut pages) = (Some("/v1/customers?limit=3".to_owned()), Vec::new(), 0);
    while let Some(next) = path {
        let page = server.get(&next).expect(200);
        let ids = page.json()["customers"].as_array().unwrap().clone();
        seen.extend(
            ids.iter()
                .map(|customer| customer["customer_id"].as_str().unwrap().to_owned()),
        );
        path = page.next();
        pages += 1;
        // A customer created in between does not move the pages.
        server.customer(&format!("later{pages}"), 0);
    }
    assert_eq!(seen[..7], ["c0", "c1", "c2", "c3", "c4", "c5", "c6"].map(str::to_owned));
    assert_eq!(seen.len(), 7 + pages - 1);
    assert_eq!(server.get("/v1/customers?limit=250").next(), None);
}

#[test]
fn a_page_of_long_records_is_short() {
    let server = TestServer::new();
    let tags: Vec<_> = (0..250).map(|number| format!("{number:0>200}")).collect();
    let tags = serde_json::to_string(&tags).unwrap();
    for number in 0..25 {
        let body = format!(r#"{{"customer_id":"c{number}","tags":{tags}}}"#);
        server.post("/v1/customers", &body).expect(201);
    }

    let first = server.get("/v1/customers?limit=250").expect(200);
    assert!(first.body.len() < 1_200_000, "{} bytes", first.body.len());
    let mut seen = first.json()["customers"].as_array().unwrap().len();
    assert!((1..25).contains(&seen), "{seen} customers");

    let second = server.get(&first.next().unwrap()).expect(200);
    seen += second.json()["customers"].as_array().unwrap().len();
    assert_eq!((seen, second.next()), (25, None));
}

#[test]
fn customers_are_found() {
    let server = TestServer::new();
    server.post("/v1/customers", ADA).expect(201);
    for number in 0..3 {
        let body = format!(
            r#"{{"customer_id":"b,{number}","last_name":"Byron","tags":["vip"],"country":"GB"}}"#
        );
        server.post("/v1/customers", body).expect(201);
    }
    let found = |path: &str| {
        let customers = server.get(path).expect(200).json()["customers"].take();
        let ids = customers
            .as_array()
            .unwrap()
            .iter()
            .map(|customer| customer["customer_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("/v1/customers?email=ada%40example.com"), "1001");
    assert_eq!(found("/v1/customers?email=bob%40example.com"), "");
    assert_eq!(found("/v1/customers/search?query=ada+love"), "1001");
    assert_eq!(found("/v1/customers/search?query=tag:vip%20country:gb"), "b,0 b,1 b,2");
    assert_eq!(found("/v1/customers/search?query=nobody"), "");
    let page = server.get("/v1/customers/search?query=b%2C&limit=2").expect(200);
    let next = page.next().unwrap();
    assert!(next.starts_with("/v1/customers/search?query=b%2C&limit=2&cursor="), "{next}");
    assert_eq!(found(&next), "b,2");
    assert_eq!(server.get("/v1/customers/count").text(), r#"{"count":4}"#);
    assert_eq!(server.get("/v1/customers/count?query=last_name:byron").text(), r#"{"count":3}"#);

    server
        .get("/v1/customers/search")
        .assert_problem(400, "missing_parameter", "query");
    server
        .get("/v1/customers/search?query=%22a")
        .assert_problem(422, "invalid_search", "query");
    server.get("/v1/customers/count?query=colour:red").assert_problem(
        422,
        "invalid_search",
        "query",
    );
    server
        .get("/v1/customers?email=x")
        .assert_problem(422, "invalid_value", "email");
    server
        .get("/v1/customers?limit=0")
        .assert_problem(422, "out_of_range", "limit");
    server
        .get("/v1/customers?cursor=x")
        .assert_problem(422, "invalid_cursor", "cursor");
    server
        .get("/v1/customers?page=2")
        .assert_problem(400, "unknown_parameter", "page");
    server
        .get("/v1/customers/count?query=%FF")
        .assert_problem(400, "malformed_query", "query");
}

#[test]
fn a_patch_keeps_what_is_absent_and_clears_what_is_null() {
    let server = TestServer::new();
    server.post("/v1/customers", ADA).expect(201);
    let program = r#"{"tiers":[{"id":"gold","name":"Gold","multiplier":"2"}]}"#;
    server.put("/v1/program", program).expect(201);
    server.set_time("2026-03-02T00:00:00Z");
    let body = r#"{"first_name":null,"birthday":"1815-12-10","tags":null,"tier":"gold","tier_until":"2027-01-01T00:00:00+01:00","point_balance":120,"reason":"moved"}"#;
    let patched = server.patch("/v1/customers/1001", body).expect(200);
    assert_eq!(
        patched.text(),
        r#"{"customer_id":"1001","email":"Ada@Example.com","first_name":null,"last_name":"Lovelace","birthday":"1815-12-10","zip":"10115","country":"DE","tags":[],"attributes":{},"tier":"gold","tier_until":"2026-12-31T23:00:00Z","point_balance":120,"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-02T00:00:00Z"}"#
    );
    assert_eq!(server.patch("/v1/customers/1001", "{}").expect(200).text(), patched.text());
    let entries = server.get("/v1/customers/1001/ledger").json()["entries"].take();
    assert_eq!((&entries[0]["kind"], &entries[0]["tier"]), (&json!("tier_set"), &json!("gold")));
    assert_eq!(
        (&entries[1]["kind"], &entries[1]["reason"]),
        (&json!("balance_set"), &json!("moved"))
    );

    let lowered = server
        .patch("/v1/customers/1001", r#"{"point_balance":20,"tier":null,"email":null}"#)
        .expect(200)
        .json();
    assert_eq!(
        (&lowered["point_balance"], &lowered["tier"], &lowered["email"]),
        (&json!(20), &json!(null), &json!(null))
    );
    server.set_time("2027-06-01T00:00:00Z");
    server
        .patch("/v1/customers/1001", r#"{"tier":"gold","tier_until":"2027-07-01T00:00:00Z"}"#)
        .expect(200);
    server.set_time("2027-07-01T00:00:00Z");
    assert_eq!(server.get("/v1/customers/1001").json()["tier"], json!(null), "over at its end");
}

#[test]
fn if_match_requires_the_state_that_was_seen() {
    let server = TestServer::new();
    server.customer("1", 0);
    let etag = server.get("/v1/customers/1").header("etag").unwrap().to_owned();
    let patch = |etag: &str| {
        let request = server.request("PATCH", "/v1/customers/1").header("if-match", etag);
        request.body(r#"{"point_balance":50}"#).send()
    };
    server
        .post("/v1/points-add", r#"{"customer_id":"1","points":1}"#)
        .expect(200);
    patch(&etag).assert_problem(412, "precondition_failed", "If-Match");
    patch("W/\"1-1\"").assert_problem(412, "precondition_failed", "If-Match");
    assert_eq!(server.balance("1"), 1);
    let etag = server.get("/v1/customers/1").header("etag").unwrap().to_owned();
    patch(&etag).expect(200);
    patch("*").expect(200);
    assert_eq!(server.balance("1"), 50);
}

#[test]
fn invalid_patches_are_rejected() {
    let server = TestServer::new();
    server.customer("1", 10);
    server
        .post("/v1/customers", r#"{"customer_id":"2","email":"two@example.com"}"#)
        .expect(201);
    let before = server.snapshot();
    for (body, status, code, param) in [
        (r#"{"customer_id":"3"}"#, 400, "unknown_field", "/customer_id"),
        (r#"{"email":"two@example.com"}"#, 422, "email_taken", "/email"),
        (r#"{"email":"nobody"}"#, 422, "invalid_value", "/email"),
        (r#"{"birthday":"2026-02-29"}"#, 422, "invalid_value", "/birthday"),
        (r#"{"birthday":""}"#, 422, "invalid_value", "/birthday"),
        (r#"{"tags":["a",""]}"#, 422, "invalid_value", "/tags/1"),
        (r#"{"tags":"a"}"#, 400, "wrong_type", "/tags"),
        (r#"{"tier":"gold"}"#, 422, "unknown_tier", "/tier"),
        (r#"{"tier_until":"2027-01-01T00:00:00Z"}"#, 400, "missing_field", "/tier"),
        (
            r#"{"tier":null,"tier_until":"2027-01-01T00:00:00Z"}"#,
            400,
            "missing_field",
            "/tier",
        ),
        (r#"{"point_balance":-1}"#, 422, "out_of_range", "/point_balance"),
        (r#"{"point_balance":9007199254740992}"#, 422, "out_of_range", "/point_balance"),
        (r#"{"point_balance":null}"#, 400, "wrong_type", "/point_balance"),
        (r#"{"reason":"x"}"#, 400, "missing_field", "/point_balance"),
        // All or nothing: the name is unchanged, too.
        (
            r#"{"first_name":"Eve","point_balance":5,"tier":"gold"}"#,
            422,
            "unknown_tier",
            "/tier",
        ),
    ] {
        server
            .patch("/v1/customers/1", body)
            .assert_problem(status, code, param);
    }
    server
        .patch("/v1/customers/3", "{}")
        .assert_problem(404, "customer_not_found", "customer_id");
    assert_eq!(server.snapshot(), before);
}
