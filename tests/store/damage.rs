//! `verify` finds damage of a file and names it.

use loyalty_core::program::EmailProof;
use loyalty_core::{CheckoutId, CodeId, Command, PriceRuleId};
use loyalty_store::{
    Action, Catalogue, CatalogueAction, DiscountAction, EmailConflict, Existence, Failure,
    FieldChange, Product, ProductRef, ProfileChange, SqliteAdmin, Store,
};
use loyalty_tests::*;

use crate::TempDatabase;
use loyalty_store::conformance::catalogue::{product, variant};

/// Customer 1 (account 1) has rows 1, 2, 4 and 6, customer 2 (account 2) rows 3 and 5.
/// Order `o2`, which has no customer, has rows 7 and 8.
fn sample_file() -> TempDatabase {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    let (one, two) = (id("1"), id("2"));

    shop.execute_commands(&one, vec![add(100)]).unwrap();
    shop.execute_commands(&two, vec![]).unwrap();
    shop.execute_commands(&one, vec![subtract(30)]).unwrap();
    shop.execute_commands(&two, vec![add(7)]).unwrap();
    shop.execute_order(Some(&one), record_paid("o1", "20.00")).unwrap();
    shop.execute_order(None, record_paid("o2", "30.00")).unwrap();
    shop.execute_order(None, refund("o2", "r1", "10.00")).unwrap();

    drop(store);
    database
}

fn differences(database: &TempDatabase) -> Vec<String> {
    SqliteAdmin::open_existing(&database.file())
        .unwrap()
        .verify()
        .unwrap()
        .differences
}

#[test]
fn an_intact_file_shows_no_difference_and_its_counts() {
    let database = sample_file();
    let verified = SqliteAdmin::open_existing(&database.file())
        .unwrap()
        .verify()
        .unwrap();
    assert_eq!(verified.differences, Vec::<String>::new());
    assert_eq!((verified.rows, verified.accounts, verified.orders), (8, 2, 2));
}

#[test]
fn every_kind_of_damage_is_reported() {
    let cases: [(&str, &str); 29] = [
        // The states.
        (
            r#"UPDATE account SET state = replace(state, '"points":90', '"points":91') WHERE id = 1"#,
            "account 1 differs",
        ),
        (
            r#"UPDATE account SET state = replace(state, '"added":100', '"added":110') WHERE id = 1"#,
            "account 1 differs",
        ),
        ("UPDATE account SET state = '{' WHERE id = 1", "account 1 cannot be read"),
        ("UPDATE account SET shop = 2 WHERE id = 1", "account 1 differs"),
        ("UPDATE account SET at = at + 1 WHERE id = 1", "account 1 differs"),
        ("UPDATE account SET seq = seq - 1 WHERE id = 1", "account 1 is at row 5"),
        ("UPDATE account SET seq = 99 WHERE id = 1", "account 1 is at row 99"),
        ("DELETE FROM account WHERE id = 2", "account 2 is at row 0"),
        (
            "INSERT INTO account VALUES (9, 1, 1, 0, '{}', NULL, 0, 0)",
            "account 9 has no journal",
        ),
        (
            r#"UPDATE orders SET state = replace(state, '"shop"', '"plugin"') WHERE order_id = 'o2'"#,
            "order o2 of shop 1 differs",
        ),
        (
            "UPDATE orders SET snapshot = 1 WHERE order_id = 'o2'",
            "order o2 of shop 1 differs",
        ),
        (
            r#"UPDATE orders SET state = replace(state, '"awarded":20', '"awarded":21') WHERE seq = 6"#,
            "order o1 of shop 1 differs",
        ),
        (
            "UPDATE orders SET account = 1 WHERE order_id = 'o2'",
            "order o2 of shop 1 differs",
        ),
        (
            "UPDATE orders SET seq = seq - 1 WHERE order_id = 'o1'",
            "order o1 of shop 1 is at row 5",
        ),
        (
            "UPDATE orders SET updated_at = updated_at - 1 WHERE order_id = 'o1'",
            "order o1 of shop 1 differs",
        ),
        (
            "UPDATE orders SET status = 5 WHERE order_id = 'o1'",
            "order o1 of shop 1 is listed with another status",
        ),
        ("DELETE FROM orders WHERE order_id = 'o1'", "order o1 of shop 1 is at row 0"),
        (
            "INSERT INTO orders VALUES (1, 'o9', NULL, 1, NULL, '{}', 0, 0)",
            "order o9 of shop 1 has no journal",
        ),
        // The sums.
        (
            r#"UPDATE day_totals SET totals = replace(totals, '"added":107', '"added":108')"#,
            "the sums of 2026-01-01 of shop 1 differ",
        ),
        ("UPDATE day_totals SET first_seq = 4", "the sums of 2026-01-01 of shop 1 differ"),
        (
            "UPDATE day_totals SET last_seq = last_seq - 1",
            "the sums of 2026-01-01 of shop 1",
        ),
        ("DELETE FROM day_totals", "are at row 0, their journal at"),
        // The journal.
        ("DELETE FROM journal WHERE seq = 4", "journal row 4 is missing"),
        ("DELETE FROM journal WHERE seq = 7", "journal row 7 is missing"),
        ("DELETE FROM journal WHERE seq = 8", "order o2 of shop 1 is at row 8"),
        (
            r#"UPDATE journal SET events = replace(events, '"points":100', '"points":101') WHERE seq = 2"#,
            "after journal row 2",
        ),
        (
            r#"UPDATE journal SET events = replace(events, '"status":"paid"', '"status":"fulfilled"') WHERE seq = 7"#,
            "order o2 of shop 1 differs",
        ),
        ("UPDATE journal SET balance = 71 WHERE seq = 4", "after journal row 4"),
        (
            "UPDATE journal SET at = at - 1 WHERE seq = 4",
            "journal row 4 is earlier than row 2 of account 1",
        ),
    ];
    for (damage, expected) in cases {
        let database = sample_file();
        assert_eq!(database.connect().execute(damage, []).unwrap(), 1, "{damage}");
        let found = differences(&database);
        assert!(
            found.iter().any(|difference| difference.contains(expected)),
            "{damage}: {found:?}"
        );
    }
}

/// What is noted about deliveries must be of rows that the journal has.
#[test]
fn deliveries_unlike_the_journal_are_reported() {
    let destination = "INSERT INTO destination VALUES (1, 1, '{}', x'00')";
    for (damage, expected) in [
        (
            r#"INSERT INTO destination_progress VALUES (1, '{"cursor":99}')"#,
            "destination 1 is at journal row 99, and the last one is 8",
        ),
        (
            "INSERT INTO delivery VALUES (1, 1, 99, 0, 1, 0, 1, NULL)",
            "destination 1 has a delivery of journal row 99",
        ),
        (
            "INSERT INTO delivery VALUES (1, 1, 2, 0, 7, 0, 1, NULL)",
            "destination 1 has a delivery of journal row 2",
        ),
    ] {
        let database = sample_file();
        for sql in [destination, damage] {
            assert_eq!(database.connect().execute(sql, []).unwrap(), 1, "{sql}");
        }
        assert_eq!(differences(&database), [expected], "{damage}");
    }
}

/// Rule 1 has code 2, `ONE`. An order of customer 1 (account 1) uses it, and a checkout
/// reserves it.
fn file_with_codes() -> TempDatabase {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    let rule = shop.create_rule(ten_percent());

    assert_eq!((rule, shop.create_code(rule, "ONE")), (PriceRuleId(1), CodeId(2)));
    let order = shop
        .execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", &["ONE"]))
        .unwrap();
    assert!(order.codes[0].outcome.is_ok());

    let (checkout, codes) = (CheckoutId::new("c1").unwrap(), vec![discount_code("ONE")]);
    let (customer, segments, until) = (None, Vec::new(), at("2026-01-01T13:00:00Z"));
    shop.execute_discount(DiscountAction::Reserve {
        checkout,
        codes,
        rules: Vec::new(),
        customer,
        segments,
        until,
    })
    .unwrap();

    drop(store);
    database
}

#[test]
fn rules_and_codes_unlike_the_journal_are_reported() {
    assert_eq!(differences(&file_with_codes()), Vec::<String>::new());
    let listed = "the listed price rules and codes differ from the journal";
    for (damage, expected) in [
        ("INSERT INTO price_rule VALUES (9, 1, NULL)", listed),
        ("UPDATE price_rule SET id = 3", listed),
        ("DELETE FROM discount_code", listed),
        ("UPDATE discount_code SET key = 'two'", listed),
        ("UPDATE discount_code SET id = 3", listed),
        ("UPDATE discount_code SET rule = 3", listed),
        (
            r#"UPDATE projection SET state = replace(state, '"used":1', '"used":0') WHERE kind = 2"#,
            "Code(CodeId(2)) of shop 1 differs",
        ),
        (
            r#"UPDATE projection SET state = replace(state, '"used":1', '"used":2') WHERE kind = 3"#,
            "Tally(CodeId(2), AccountId(1)) of shop 1 differs",
        ),
        (
            "UPDATE projection SET state = replace(state, '-10', '-11') WHERE kind = 1",
            "Rule(PriceRuleId(1)) of shop 1 differs",
        ),
        (
            "UPDATE projection SET created_at = created_at + 1 WHERE kind = 2",
            "Code(CodeId(2)) of shop 1 differs",
        ),
        (
            "UPDATE projection SET status = 2 WHERE kind = 2",
            "Code(CodeId(2)) of shop 1 is listed with another status",
        ),
        ("DELETE FROM projection WHERE kind = 5", "of shop 1 is at row 0"),
        ("DELETE FROM projection WHERE kind = 4", "of shop 1 is at row 0"),
        (
            "UPDATE projection SET id = 3 WHERE kind = 2",
            "Code(CodeId(3)) of shop 1 has no journal",
        ),
    ] {
        let database = file_with_codes();
        assert_eq!(database.connect().execute(damage, []).unwrap(), 1, "{damage}");
        let found = differences(&database);
        assert!(
            found.iter().any(|difference| difference.contains(expected)),
            "{damage}: {found:?}"
        );
    }
}

/// Customer 1 (account 1) has a birthday and a referral code, customer 2 (account 2) used
/// a manual code.
fn file_with_names() -> TempDatabase {
    let database = TempDatabase::new();
    let store = database.open();

    let shop = TestShop::new(&store);
    shop.execute(publish_action(
        r#"{"referrals": {"sent": 5}, "actions": [{"id": "cake", "kind": "birthday", "points": 5},
                        {"id": "cards", "kind": {"codes": ["A", "B"]}, "points": 4}]}"#,
    ))
    .unwrap();

    let (customer, day) = (id("1"), FieldChange::Set("1990-05-04".parse().ok()));
    shop.execute(Action::Customer {
        customer,
        existence: Existence::Any,
        change: ProfileChange { birthday: day, ..ProfileChange::default() },
        email_conflict: EmailConflict::Reject,
        email_proof: EmailProof::Profile,
        if_match: None,
        commands: vec![Command::IssueReferralCode { entropy: [0; 10] }],
    })
    .unwrap();
    shop.execute_commands(
        &id("2"),
        vec![Command::EnterCode { code: "a".into(), used_by_other: false }],
    )
    .unwrap();
    shop.execute(Action::RescheduleDue { limit: 9 }).unwrap();
    drop(store);
    database
}

#[test]
fn identities_and_instants_unlike_the_journal_are_reported() {
    let database = file_with_names();
    assert_eq!(differences(&database), Vec::<String>::new());
    let claims = "the claimed names differ from the journal";
    let due = "account 1 is listed as due never, but is due 2026-05-04T00:00:00+00:00";
    for (damage, expected) in [
        ("DELETE FROM code_claim WHERE kind = 'code'", claims),
        ("DELETE FROM code_claim WHERE kind = 'referral'", claims),
        ("UPDATE code_claim SET account = 1 WHERE kind = 'code'", claims),
        ("UPDATE code_claim SET name = 'B' WHERE kind = 'code'", claims),
        ("INSERT INTO code_claim VALUES (1, 'code', 'B', 1)", claims),
        ("UPDATE account SET due = NULL WHERE id = 1", due),
        (
            "UPDATE account SET due = due + 1 WHERE id = 1",
            "account 1 is listed as due 2026-05-04T00:00:00.000001",
        ),
        (
            "UPDATE account SET due = 0 WHERE id = 2",
            "account 2 is listed as due 1970-01-01T00:00:00+00:00, but is due",
        ),
        (
            "UPDATE customer SET profile = replace(profile, '1990-05-04', '1990-05-05') WHERE account = 1",
            "but is due 2026-05-05",
        ),
    ] {
        let database = file_with_names();
        assert_eq!(database.connect().execute(damage, []).unwrap(), 1, "{damage}");
        let found = differences(&database);
        assert!(found.len() == 1 && found[0].contains(expected), "{damage}: {found:?}");
    }
    // An unset due instant is no difference while a reschedule is unfinished.
    let database = file_with_names();
    database
        .connect()
        .execute("INSERT INTO reschedule (shop, up_to_account) VALUES (1, 0)", [])
        .unwrap();
    database
        .connect()
        .execute("UPDATE account SET due = NULL WHERE id = 1", [])
        .unwrap();
    assert_eq!(differences(&database), Vec::<String>::new());
}

#[test]
fn a_moved_row_is_reported() {
    for (damage, expected) in [
        (
            "UPDATE journal SET account = 2 WHERE seq = 4",
            "journal row 4 does not follow row 3 of account 2",
        ),
        (
            "UPDATE journal SET previous_seq = 1 WHERE seq = 4",
            "journal row 4 does not follow row 2 of account 1",
        ),
        (
            "UPDATE journal SET shop = 2 WHERE seq = 4",
            "journal row 4 moves account 1 to another shop",
        ),
    ] {
        let database = sample_file();
        assert_eq!(database.connect().execute(damage, []).unwrap(), 1, "{damage}");
        assert!(
            differences(&database)
                .iter()
                .any(|difference| difference.contains(expected)),
            "{damage}"
        );
    }
}

/// A state lacks rows that the checkpoint covers: a start would not fold them.
#[test]
fn a_state_older_than_the_checkpoint_is_reported() {
    let database = sample_file();
    let state = |sql: &str| -> (i64, String) {
        database
            .connect()
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    let old_account = state("SELECT seq, state FROM account WHERE id = 1");
    let old_order = state("SELECT seq, state FROM orders WHERE order_id = 'o2'");

    let store = database.open();
    let shop = TestShop {
        store: &store,
        id: loyalty_core::ShopId(1),
        now: at("2026-01-02T00:00:00Z"),
    };

    for number in 0..3 {
        shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
        shop.execute_order(None, refund("o2", &format!("more{number}"), "1.00"))
            .unwrap();
    }
    drop(store);

    let db = database.connect();
    // The last row of each is beyond the checkpoint, the rows before it are not.
    db.execute("UPDATE checkpoint SET seq = (SELECT max(seq) - 2 FROM journal)", [])
        .unwrap();
    assert_eq!(differences(&database), Vec::<String>::new());

    db.execute("UPDATE account SET seq = ?, state = ? WHERE id = 1", old_account)
        .unwrap();
    db.execute("UPDATE orders SET seq = ?, state = ? WHERE order_id = 'o2'", old_order)
        .unwrap();

    let found = differences(&database);
    for expected in ["account 1 is at row 6", "order o2 of shop 1 is at row 8"] {
        assert!(found.iter().any(|difference| difference.contains(expected)), "{found:?}");
    }
}

/// An account with a journal but without a state is not replaced by a new one.
#[test]
fn a_lost_state_is_a_failure() {
    let database = sample_file();
    database
        .connect()
        .execute("DELETE FROM account WHERE id = 1", [])
        .unwrap();
    let store = database.open();
    let shop = TestShop {
        store: &store,
        id: loyalty_core::ShopId(1),
        now: at("2026-01-02T00:00:00Z"),
    };
    let reply = store.execute(shop.request(Action::for_customer(
        id("1"),
        loyalty_store::Existence::Required,
        vec![add(1)],
    )));
    assert!(matches!(reply.wait(), Err(Failure::Corrupt(_))));
    shop.execute_commands(&id("2"), vec![add(1)]).unwrap();
    assert_eq!(shop.balance(&id("2")), 8);
}

/// An unreadable row is a failure, not skipped.
#[test]
fn an_unreadable_record_is_a_failure() {
    for damage in [
        "UPDATE journal SET events = '[{\"points_vanished\": {}}]' WHERE seq = 4",
        "UPDATE journal SET balance = 9223372036854775807 WHERE seq = 4",
    ] {
        let database = sample_file();
        database.connect().execute(damage, []).unwrap();
        let found = SqliteAdmin::open_existing(&database.file()).unwrap().verify();
        assert!(matches!(found, Err(Failure::Corrupt(_))), "{damage}: {found:?}");
    }
}

/// The same for a product, without effect on other products.
#[test]
fn an_unreadable_product_is_a_failure() {
    let database = TempDatabase::new();
    let store = database.open();

    let shop_id = TestShop::new(&store).id;
    for damage in [
        "UPDATE product SET product = '{' WHERE product_id = 'tea'",
        "UPDATE product SET product = '{\"id\":\"tea\"}' WHERE product_id = 'tea'",
        "UPDATE product SET variant_numbers = '[]' WHERE product_id = 'tea'",
        "UPDATE product SET variant_numbers = '[\"1\"]' WHERE product_id = 'tea'",
        "UPDATE product SET created_at = 9223372036854775807 WHERE product_id = 'tea'",
    ] {
        let shop = TestShop { store: &store, id: shop_id, now: at("2026-01-02T00:00:00Z") };
        database.connect().execute("DELETE FROM product", []).unwrap();

        let tea = Product { variants: vec![variant("s")], ..product("tea", "Tea") };
        let put = |product: &Product| {
            Action::Catalogue(CatalogueAction::PutProducts(vec![product.clone()]))
        };
        shop.execute(put(&tea)).unwrap();
        shop.execute(put(&product("cup", "Cup"))).unwrap();
        assert_eq!(database.connect().execute(damage, []).unwrap(), 1, "{damage}");
        let read = |id: &str| store.product(shop_id, &ProductRef::Id(id.parse().unwrap()));
        assert!(matches!(read("tea"), Err(Failure::Corrupt(_))), "{damage}");
        assert!(matches!(store.products(shop_id, None, 9), Err(Failure::Corrupt(_))), "{damage}");
        let repeated = store.execute(shop.request(put(&tea)));
        assert!(matches!(repeated.wait(), Err(Failure::Corrupt(_))), "{damage}");
        assert!(read("cup").unwrap().is_some());
        shop.execute(put(&product("cup", "Mug"))).unwrap();
    }
}
