//! Cases for shops: programs, integrations, and isolation from other shops.

use super::test_shop::*;
use super::time::{birthday_change, change_action, run_scheduler};
use crate::{Action, Existence, Integration, Rejection, Reply, Store};
use loyalty_core::{Event, Program, ProgramVersion, Timestamp};

pub fn publishing_checks_the_replaced_version(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let program = |rate: &str| {
        Program::from_json(&format!(
            r#"{{"earning": [{{"id": "r", "earn": {{"per_unit": "{rate}"}}}}]}}"#
        ))
        .unwrap()
    };
    let publish = |rate: &str, replaces: Option<u32>| {
        let (program, replaces) = (Box::new(program(rate)), replaces.map(ProgramVersion));
        shop.execute(Action::PublishProgram { program, replaces })
    };
    let read = |version: Option<u32>| store.program(shop.id, version.map(ProgramVersion)).unwrap();
    let (first, default) = read(None).unwrap();
    assert_eq!((first, &*default), (ProgramVersion(1), &Program::default()));
    assert_eq!(publish("2", Some(1)).unwrap().program, Some(ProgramVersion(2)));

    let rejection = publish("3", Some(1)).unwrap_err();
    assert_eq!(rejection, Rejection::ProgramChanged { current: ProgramVersion(2) });
    assert_eq!(publish("3", None).unwrap().program, Some(ProgramVersion(3)));

    for (asked, version, rate) in [(None, 3, "3"), (Some(3), 3, "3"), (Some(2), 2, "2")] {
        let (found, body) = read(asked).unwrap();
        assert_eq!((found, &*body), (ProgramVersion(version), &program(rate)));
    }

    assert_eq!((read(Some(4)), read(Some(0))), (None, None));
    assert_eq!(store.program(elsewhere.id, None).unwrap().unwrap().0, ProgramVersion(1));
}

/// A program with a birthday bonus, and an earning rate that tells its versions apart.
fn birthday_program(points: u32, rate: u32) -> String {
    format!(
        r#"{{"earning": [{{"id": "base", "earn": {{"per_unit": "{rate}"}}}}],
        "actions": [{{"id": "cake", "kind": {{"birthday": {{"notice_days": 0}}}}, "points": {points}}}]}}"#
    )
}

pub fn an_equal_program_is_no_new_version(store: &dyn Store) {
    let shop = TestShop::new(store);
    let publish = |document: &str| shop.execute(publish_action(document)).unwrap().program;

    // The first version is the default program.
    for (document, version) in [
        ("{}", 1),
        (r#"{"rounding": "up"}"#, 2),
        (r#"{ "rounding": "up", "tiers": [] }"#, 2),
        ("{}", 3),
        ("{}", 3),
    ] {
        assert_eq!(publish(document), Some(ProgramVersion(version)), "{document}");
    }
    assert_eq!(store.program(shop.id, Some(ProgramVersion(4))).unwrap(), None);
    assert_eq!(store.program(shop.id, None).unwrap().unwrap().0, ProgramVersion(3));
}

pub fn versions_are_limited_in_a_day(store: &dyn Store) {
    const LIMIT: u32 = 300;
    let shop = TestShop::new(store).at("2026-03-01T12:00:00Z");
    for rate in 2..LIMIT + 2 {
        shop.execute(publish_action(&birthday_program(5, rate))).unwrap();
    }

    let day_later = shop.at("2026-03-02T11:59:50Z");
    let rejection = day_later.execute(publish_action("{}")).unwrap_err();
    assert_eq!((rejection.code(), rejection.retry_after()), ("too_many_versions", Some(10)));
    // What is in force already is no publication, and other shops have a limit of their own.
    let same = day_later
        .execute(publish_action(&birthday_program(5, LIMIT + 1)))
        .unwrap();
    assert_eq!(same.program, Some(ProgramVersion(LIMIT + 1)));
    TestShop::new(store)
        .execute(publish_action(r#"{"rounding": "up"}"#))
        .unwrap();

    // The rejection is not stored: the same request succeeds when there is room.
    let publish = |shop: &TestShop<'_>| shop.execute_with_key("publish", publish_action("{}"));
    assert!(matches!(publish(&day_later), Ok(Reply::Decided(Err(_)))));
    assert!(matches!(
        publish(&shop.at("2026-03-02T12:00:00Z")),
        Ok(Reply::Stored { replayed: false, .. })
    ));
}

pub fn a_version_that_keeps_the_schedule_reschedules_nothing(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
    let publish = |document: &str| {
        shop.execute(publish_action(document)).unwrap();
        !store.shops_to_reschedule().unwrap().is_empty()
    };
    assert!(!publish(r#"{"rounding": "up"}"#));
    assert!(publish(&birthday_program(50, 1)));

    // Not even while an earlier one is still at it.
    assert!(publish(&birthday_program(50, 2)));
    run_scheduler(&shop);
    assert!(!publish(&birthday_program(50, 3)));
    assert!(publish(&birthday_program(60, 3)));
}

pub fn a_scheduled_award_names_the_version_in_force(store: &dyn Store) {
    let day = |day: u32| format!("2026-05-{day:02}T00:00:00Z");
    let shop = TestShop::new(store).at(&day(1));
    shop.execute(publish_action(&birthday_program(50, 1))).unwrap();
    for number in 3..9 {
        let birthday = birthday_change(&format!("1990-05-{number:02}"));
        shop.execute(change_action(&id(&number.to_string()), birthday))
            .unwrap();
    }

    // Five versions of one schedule, then two others: each from the day before a birthday on.
    for (number, points) in [(3, 50), (4, 50), (5, 50), (6, 50), (7, 70), (8, 0)] {
        let document = if points == 0 { "{}".to_owned() } else { birthday_program(points, number) };
        let eve = format!("2026-05-{:02}T12:00:00Z", number - 1);
        shop.at(&eve).execute(publish_action(&document)).unwrap();
    }

    let late = shop.at(&day(30));
    let expected = [(3, 50, 3), (4, 50, 4), (5, 50, 5), (6, 50, 6), (7, 70, 7)];
    for (number, points, _) in expected {
        assert_eq!(late.balance(&id(&number.to_string())), points, "a read of {number}");
    }
    run_scheduler(&late);

    for (number, points, version) in expected {
        let account = late.customer(&id(&number.to_string())).record().account;
        let rows = store.account_journal(shop.id, account, None, 10).unwrap().rows;
        let awards: Vec<_> = rows
            .iter()
            .flat_map(|row| row.events.iter())
            .filter_map(|event| match event {
                Event::AwardGiven { points, award, at, .. } => {
                    Some((points.get(), award.program.0, *at))
                }
                _ => None,
            })
            .collect();
        let at: Timestamp = day(u32::try_from(number).unwrap()).parse().unwrap();
        assert_eq!(awards, [(points, version, at)], "the birthday of {number}");
    }
    assert_eq!(late.balance(&id("8")), 0);
}

/// While accounts are being rescheduled, reads and decisions do not rely on their due times.
pub fn accounts_not_rescheduled_yet_are_right(store: &dyn Store) {
    let shop = TestShop::new(store).at("2026-05-01T00:00:00Z");
    let customers: Vec<_> = (0..6).map(|number| id(&number.to_string())).collect();
    for customer in &customers {
        shop.execute(change_action(customer, birthday_change("1990-05-04")))
            .unwrap();
    }

    // A bonus for two days that are over when the next version comes, published half a reschedule
    // before it.
    shop.at("2026-05-03T00:00:00Z")
        .execute(publish_action(&birthday_program(50, 1)))
        .unwrap();
    shop.at("2026-05-03T00:00:00Z")
        .execute(Action::RescheduleDue { limit: 3 })
        .unwrap();
    let later = shop.at("2026-05-05T00:00:00Z");
    later
        .execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#))
        .unwrap();
    later.execute(Action::RescheduleDue { limit: 1 }).unwrap();

    for customer in &customers {
        assert_eq!(later.balance(customer), 50, "{customer:?} before");
    }
    later.execute_commands(&customers[5], vec![add(1)]).unwrap();
    run_scheduler(&later);
    for (customer, balance) in customers.iter().zip([50, 50, 50, 50, 50, 51]) {
        assert_eq!(later.balance(customer), balance, "{customer:?} after");
    }
}

pub fn an_integration_is_recorded(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let plugin = |url: &str| Integration {
        platform: "woocommerce".to_owned(),
        shop_url: url.to_owned(),
        api_endpoint: Some(format!("{url}/api")),
    };
    let known = |shop| store.shop(shop).unwrap().unwrap().integration.clone();
    assert_eq!(known(shop.id), None);

    for url in ["https://tea.example", "https://coffee.example"] {
        store.record_integration(shop.id, &plugin(url), shop.now).unwrap();
        assert_eq!(known(shop.id), Some(plugin(url)));
    }

    assert_eq!(known(elsewhere.id), None);

    let shops: Vec<_> = store
        .shops()
        .unwrap()
        .iter()
        .map(|shop| (shop.id, shop.integration.is_some()))
        .collect();
    assert_eq!(shops, [(shop.id, true), (elsewhere.id, false)]);
}

pub fn one_shop_does_not_see_another(store: &dyn Store) {
    let (here, there) = (TestShop::new(store), TestShop::new(store));

    for (shop, count) in [(here, 10), (there, 20)] {
        shop.execute_commands(&id_and_email("1", "ada@example.com"), vec![add(count)])
            .unwrap();
        shop.execute_order(Some(&id("1")), record_paid("o1", "5.00")).unwrap();
    }

    here.execute_order(None, cancel("o1")).unwrap();
    here.execute_order(Some(&id("only-here")), record_paid("o2", "5.00"))
        .unwrap();
    assert_eq!((here.balance(&id("1")), there.balance(&email("ada@example.com"))), (10, 25));

    assert!(store.customer(there.id, &id("only-here")).unwrap().is_none());
    assert!(store.order(there.id, &order_id("o2")).unwrap().is_none());

    let account = here.customer(&id("1")).record().account;
    assert!(store.customer_by_account(there.id, account).unwrap().is_none());
    assert!(
        store
            .account_journal(there.id, account, None, 10)
            .unwrap()
            .rows
            .is_empty()
    );
    assert_eq!(
        store.account_at(there.id, account, there.now).unwrap(),
        loyalty_core::Account::default()
    );

    let rejection =
        there.execute(Action::for_customer(id("only-here"), Existence::Required, vec![add(1)]));
    assert_eq!(rejection_code(&rejection), "customer_not_found");

    let receipt = there.execute_order(None, refund("o2", "r1", "1.00")).unwrap();
    assert!(receipt.customer.is_none());
    assert_eq!(here.balance(&id("only-here")), 5);
}
