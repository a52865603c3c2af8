//! Cases for searches in Shopify's syntax.

use super::test_shop::*;
use crate::{Action, Existence, FieldChange, NumericId, ProfileChange, SearchQuery, Store};
use loyalty_core::{Command, ManualTier, Program, TierId, Zone};

use super::customers::patch_action;

/// Creates customers, one a day at noon: Ada, a new VIP with 150 points and gold; Bob, a
/// VIP from Britain; Cleo with an apostrophe; a customer with the id `7`; and a guest.
fn create_people(store: &dyn Store) -> TestShop<'_> {
    let shop = TestShop::new(store);
    let tiers = r#"{"tiers": [{"id": "gold", "name": "Gold"}]}"#;
    let program = Box::new(Program::from_json(tiers).unwrap());
    shop.execute(Action::PublishProgram { program, replaces: None })
        .unwrap();
    let text = |text: &str| FieldChange::Set(Some(text.to_owned()));
    let people = [
        ("ada", "Ada@Example.com", "Ada", "Love Lace", "DE", 150, 2),
        ("bob", "bob@example.com", "Bob", "Byron", "GB", 20, 1),
        ("c:(1)", "cleo@example.org", "Cleo", "O'Hara", "DE", 0, 0),
        ("7", "seven@example.org", "Sven", "AND", "SE", 7, 0),
    ];

    for (day, (name, address, first, last, country, count, labels)) in (1..).zip(people) {
        let shop = shop.at(&format!("2026-01-0{day}T12:00:00Z"));
        shop.execute_commands(&id_and_email(name, address), vec![add(count.max(1))])
            .unwrap();
        if count == 0 {
            shop.execute_commands(&id(name), vec![subtract(1)]).unwrap();
        }
        let (first_name, last_name, country) = (text(first), text(last), text(country));
        let tags = Some(
            ["vip", "new"]
                .into_iter()
                .take(labels)
                .map(|tag| tag.parse().unwrap())
                .collect(),
        );
        let change = ProfileChange {
            first_name,
            last_name,
            country,
            tags,
            ..ProfileChange::default()
        };
        shop.execute(patch_action(&id(name), change)).unwrap();
    }

    let gold = Command::SetTier(Some(ManualTier { id: TierId::new("gold").unwrap(), until: None }));
    shop.execute_commands(&id("ada"), vec![gold]).unwrap();
    shop.at("2026-01-05T12:00:00Z")
        .execute_commands(&email("guest@example.com"), vec![add(1)])
        .unwrap();
    shop.at("2026-01-10T00:00:00Z")
}

/// Returns the customers found, by the first letter of the e-mail. Reads pages of one,
/// and checks the count.
fn find_initials(shop: &TestShop<'_>, text: &str) -> String {
    let search = SearchQuery::parse(text, shop.now, Zone::UTC)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let (mut found, mut after) = (String::new(), None);

    loop {
        let page = shop.store.customers(shop.id, &search, after, 1).unwrap();
        for customer in &page.items {
            assert!(search.matches(customer), "{text}");
            found.extend(customer.record().email.as_ref().unwrap().key().chars().next());
            after = Some(customer.record().account);
        }
        assert!(found.len() < 10, "{text} is found again and again");
        if !page.has_more {
            break;
        }
    }

    let count = shop.store.count_customers(shop.id, &search).unwrap();
    assert_eq!(usize::try_from(count).unwrap(), found.len(), "{text}");

    found
}

fn assert_found(store: &dyn Store, rows: &[(&str, &str)]) {
    let shop = create_people(store);
    for (text, want) in rows {
        assert_eq!(&find_initials(&shop, text), want, "{text}");
    }
}

pub fn terms_are_combined(store: &dyn Store) {
    assert_found(
        store,
        &[
            ("", "abcsg"),
            ("example.org", "cs"),
            ("example.org ada", ""),
            ("ADA", "a"),
            ("\"ada love\"", "a"),
            ("love*", "a"),
            ("ove*", ""),
            ("o'hara", "c"),
            ("last_name:o'hara", "c"),
            ("last_name:'love lace'", "a"),
            ("last_name:\"Love\\ Lace\"", "a"),
            ("last_name:love", ""),
            ("last_name:love*", "a"),
            ("last_name:\"love*\"", ""),
            ("country:*", "abcs"),
            ("NOT country:*", "g"),
            ("-country:de", "bsg"),
            ("- country:de", "bsg"),
            ("NOT -country:de", "ac"),
            ("country:de AND tag:vip", "a"),
            ("country:gb OR country:se", "bs"),
            // Adjacent terms bind closer than OR.
            ("country:gb OR country:de tag:new", "ab"),
            ("(country:gb OR country:de) tag:new", "a"),
            ("(country:gb OR country:de) tag:vip -(first_name:bob)", "a"),
            ("-(country:gb OR country:de)", "sg"),
            ("((((ada))))", "a"),
            ("last_name:AND", "s"),
            ("\"AND\"", "s"),
            ("id:c\\:\\(1\\)", "c"),
            ("'c:(1)'", "c"),
            ("email:guest@example.com", "g"),
        ],
    );
}

pub fn values_are_compared(store: &dyn Store) {
    assert_found(
        store,
        &[
            ("points:150", "a"),
            ("points:=150", "a"),
            ("points:>7", "ab"),
            ("points:>=7", "abs"),
            ("points:<7", "cg"),
            ("points:<=7", "csg"),
            ("-points:<=7", "ab"),
            ("points:>-1", "abcsg"),
            ("tier:gold", "a"),
            ("-tier:GOLD points:>1", "bs"),
            ("created_at:2026-01-02", "b"),
            ("created_at:>2026-01-02", "csg"),
            ("created_at:>='2026-01-02'", "bcsg"),
            ("created_at:<2026-01-02", "a"),
            ("created_at:<=2026-01-02", "ab"),
            ("created_at:>'2026-01-02T12:00:00Z'", "csg"),
            ("created_at:>=2026-01-02T13:00:00+01:00", "bcsg"),
            ("created_at:'2026-01-02T12:00:00Z'", "b"),
            ("updated_at:>=2026-01-05", "g"),
        ],
    );

    // A day is one of the shop's zone.
    let shop = create_people(store);
    let search = SearchQuery::parse(
        "created_at:2026-01-02",
        shop.now,
        "Pacific/Kiritimati".parse().unwrap(),
    );
    let page = shop.store.customers(shop.id, &search.unwrap(), None, 5).unwrap();
    let ids: Vec<_> = page
        .items
        .iter()
        .map(|customer| customer.record().id.clone().unwrap().to_string())
        .collect();
    assert_eq!(ids, ["ada"]);
}

pub fn an_id_or_an_email_finds_its_customer(store: &dyn Store) {
    let shop = create_people(store);
    let guest = NumericId::from_customer(shop.customer(&email("guest@example.com")).record());
    let ada = NumericId::from_customer(shop.customer(&id("ada")).record());
    assert!(guest.assigned_index().is_some() && ada.assigned_index().is_some());

    for (text, want) in [
        ("id:ada".to_owned(), "a"),
        ("customer_id:ada".to_owned(), "a"),
        ("id:ADA".to_owned(), ""),
        ("id:ad*".to_owned(), "a"),
        ("id:7".to_owned(), "s"),
        ("id:8".to_owned(), ""),
        (format!("id:{guest}"), "g"),
        (format!("id:{ada}"), "a"),
        (format!("id:{}", NumericId::from_id(None, 999_999)), ""),
        ("email:ADA@example.com country:de".to_owned(), "a"),
        ("email:ADA@example.com country:gb".to_owned(), ""),
        ("email:ada@example.com id:bob".to_owned(), ""),
        ("id:bob OR email:ada@example.com OR id:ada".to_owned(), "ab"),
        ("id:bob OR country:se".to_owned(), "bs"),
        ("-id:ada".to_owned(), "bcsg"),
        ("email:nobody".to_owned(), ""),
    ] {
        assert_eq!(find_initials(&shop, &text), want, "{text}");
    }

    // Numbers of another shop and of a merged guest find no customer.
    assert_eq!(find_initials(&TestShop::new(store), &format!("id:{ada}")), "");

    shop.execute_commands(&id_and_email("h", "h@example.com"), vec![])
        .unwrap();
    shop.execute(patch_action(&id("h"), email_change("guest@example.com")))
        .unwrap();
    assert_eq!(find_initials(&shop, &format!("id:{guest}")), "");
    assert_eq!(find_initials(&shop, "id:h"), "g");

    shop.execute(Action::for_customer(id("h"), Existence::Required, vec![]))
        .unwrap();
}

pub fn unsupported_searches_are_rejected(store: &dyn Store) {
    let shop = TestShop::new(store);
    let long = "x".repeat(501);

    for (text, want) in [
        (
            "colour:red",
            "unknown field colour; fields are id, email, first_name, last_name, tag, country, tier, points, created_at and updated_at",
        ),
        ("orders_count:>1", "orders_count is not stored and can't be searched"),
        ("total_spent:>=100", "total_spent is not stored and can't be searched"),
        ("-(tag:a OR phone:1)", "phone is not stored and can't be searched"),
        ("email:>a", "email can't be compared with > or <"),
        ("points:many", "points must be compared with a whole number"),
        ("points:1.5", "points must be compared with a whole number"),
        ("points:", "points must be compared with a whole number"),
        (
            "created_at:2026-02-30",
            "created_at must be compared with a date such as 2026-01-31 or a time such as '2026-01-31T10:00:00Z'",
        ),
        (
            "updated_at:>yesterday",
            "updated_at must be compared with a date such as 2026-01-31 or a time such as '2026-01-31T10:00:00Z'",
        ),
        ("\"a", "unclosed quote"),
        ("tag:'a", "unclosed quote"),
        ("(a", "unmatched parenthesis"),
        ("a)", "unmatched parenthesis"),
        ("()", "unmatched parenthesis"),
        ("a OR", "an operator or parenthesis has nothing to apply to"),
        ("OR a", "OR has nothing to apply to"),
        ("a AND OR b", "OR has nothing to apply to"),
        ("-", "an operator or parenthesis has nothing to apply to"),
        ("1 2 3 4 5 6 7 8 9 10 11", "a search has at most 10 terms and 500 characters"),
        (&long, "a search has at most 10 terms and 500 characters"),
    ] {
        assert_eq!(
            SearchQuery::parse(text, shop.now, Zone::UTC).unwrap_err().to_string(),
            want,
            "{text}"
        );
    }

    // The deepest possible nesting.
    let deep = format!("{}a{}", "(".repeat(249), ")".repeat(249));
    assert!(SearchQuery::parse(&deep, shop.now, Zone::UTC).is_ok());
    assert!(SearchQuery::parse(&"-".repeat(500), shop.now, Zone::UTC).is_err());
}
