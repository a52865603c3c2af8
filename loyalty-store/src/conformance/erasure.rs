//! Cases for the erasure of customers: nothing names them afterwards, and the books stand.

use std::sync::Arc;

use super::redemptions::{REWARDS, issue_action};
use super::test_shop::*;
use crate::{
    Action, CatalogueAction, CustomerRef, EmailConflict, Erasure, Existence, FieldChange,
    Idempotency, Outcome, ProfileChange, ProgramReport, Receipt, RedemptionAction, Reply, Request,
    Response, SearchQuery, Store,
};
use loyalty_core::attribute::{AttributeText, AttributeValue};
use loyalty_core::discount::{CustomerSelection, PriceRuleParts};
use loyalty_core::program::EmailProof;
use loyalty_core::{
    AdjustmentReason, Command, Event, Order, Origin, Points, Status, Timestamp, Zone,
};

/// What belongs to the person, in the places where a shop puts it.
pub const ID: &str = "zelda-id-7";
const EMAIL: &str = "Zelda.Fitz@Example.com";
pub const MARKS: [&str; 10] = [
    "zelda-id-7",
    "elda.fitz@example",
    "elda.Fitz@Example",
    "Zeldana",
    "Fitzmark",
    "ZIP-77Q",
    "tag-velvet",
    "blue-house-9",
    "because of her flu",
    "leave it at the blue door",
];

fn profile() -> ProfileChange {
    let set = |text: &str| FieldChange::Set(Some(text.to_owned()));
    ProfileChange {
        email: FieldChange::Set(Some(email_address(EMAIL))),
        first_name: set("Zeldana"),
        last_name: set("Fitzmark"),
        birthday: FieldChange::Set("1977-07-17".parse().ok()),
        zip: set("ZIP-77Q"),
        tags: Some(["tag-velvet".parse().unwrap()].into()),
        household: Some([String::from("blue-house-9")].into()),
        ..ProfileChange::default()
    }
}

fn save(shop: &TestShop<'_>, customer: CustomerRef, change: ProfileChange) -> Outcome {
    shop.execute(Action::Customer {
        customer,
        existence: Existence::Any,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof: EmailProof::Profile,
        if_match: None,
        commands: vec![Command::SignUp],
    })
}

fn noted(order: &str, total: &str) -> Command {
    let attributes = loyalty_core::Attributes::new([(
        "note".parse().unwrap(),
        AttributeValue::Text(AttributeText::new("leave it at the blue door").unwrap()),
    )]);
    let mut snapshot = one_line_order(total);
    snapshot.attributes = attributes.unwrap();
    record(order, snapshot)
}

fn record(order: &str, snapshot: Order) -> Command {
    Command::RecordOrder {
        order: order_id(order),
        snapshot: Arc::new(snapshot),
        status: Status::Paid,
        at: None,
        origin: Origin::Shop,
    }
}

fn erase(shop: &TestShop<'_>, customer: &CustomerRef) -> Result<Receipt, crate::Rejection> {
    shop.execute(Action::EraseCustomer { customer: customer.clone() })
}

/// Erases a customer and completes it, as the scheduler does.
pub fn erase_completely(shop: &TestShop<'_>, customer: &CustomerRef) -> Arc<Erasure> {
    let erasure = erase(shop, customer).unwrap().erasure.unwrap();
    finish(shop);
    let later = erase(shop, customer).unwrap().erasure.unwrap();
    assert_eq!(later.account(), erasure.account());
    assert!(later.completed_at().is_some());
    later
}

fn finish(shop: &TestShop<'_>) {
    for erasure in shop.store.unfinished_erasures().unwrap() {
        assert!(shop.store.finish_erasure(&erasure, shop.now).unwrap());
    }
    assert!(shop.store.unfinished_erasures().unwrap().is_empty());
}

fn report(shop: &TestShop<'_>) -> ProgramReport {
    let period = Timestamp::UNIX_EPOCH..at("2030-01-01T00:00:00Z");
    ProgramReport::compute(shop.store, shop.id, &period, shop.now).unwrap()
}

/// All rows of the shop's journal, as text.
fn journal(shop: &TestShop<'_>) -> String {
    format!("{:?}", shop.store.journal(shop.id, 0, 10_000).unwrap())
}

fn assert_unnamed(text: &str) {
    for mark in MARKS {
        assert!(!text.contains(mark), "{mark} is in {text}");
    }
}

/// Executes a request whose stored response is a document about the person.
fn execute_named(
    shop: &TestShop<'_>,
    key: &str,
    body: &'static str,
) -> Result<Reply, crate::Failure> {
    let render = Box::new(move |_: &Outcome| Response { status: 200, body: body.into() });
    let idempotency = Some(Idempotency { key: digest(key), fingerprint: digest("same"), render });
    let action = Action::for_customer(id("another"), Existence::Any, vec![add(1)]);
    shop.store
        .execute(Request { idempotency, ..shop.request(action) })
        .wait()
}

const NAMED: [(&str, &str); 3] = [
    ("by id", r#"{"customer": {"customer_id": "zelda-id-7"}, "points": 3}"#),
    ("by e-mail", r#"[{"contact": "zelda.fitz@example.com"}]"#),
    (
        "by rule",
        r#"{"price_rule": {"prerequisite_customer_ids": ["1", "zelda-id-7"]}}"#,
    ),
];

/// The same text is something else here.
const OF_ANOTHER: &str = r#"{"order_id": "zelda-id-7", "customer_id": "1"}"#;

/// Sets up a person who is in every place, with 250 points and one unused code.
pub fn set_up(shop: &TestShop<'_>) -> loyalty_core::RedemptionId {
    shop.execute(publish_action(REWARDS)).unwrap();
    save(shop, id(ID), profile()).unwrap();
    let reason = AdjustmentReason {
        text: Some("because of her flu".into()),
        ..Default::default()
    };
    let add = Command::AddPoints { points: points(300), reason };
    shop.execute_commands(&id(ID), vec![add]).unwrap();
    shop.execute_order(None, noted("early", "20")).unwrap();
    shop.execute_order(Some(&id(ID)), noted("early", "20")).unwrap();
    shop.execute_order(Some(&id(ID)), noted("o1", "30")).unwrap();
    let issued = shop
        .execute(issue_action(&id(ID), "five", 1))
        .unwrap()
        .redemption
        .unwrap();

    let customers = [ID, "other"].map(|id| id.parse().unwrap());
    shop.create_rule(PriceRuleParts {
        customer_selection: CustomerSelection::Prerequisite,
        prerequisite_customer_ids: customers.into(),
        prerequisite_emails: vec![email_address(EMAIL), email_address("b@example.com")],
        ..ten_percent()
    });
    for (name, query) in [
        ("hers", "email:zelda.fitz@example.com"),
        ("by id", "id:zelda-id-7"),
        ("by name", "first_name:zeldana last_name:fitzmark"),
        ("everybody of a tag", "tag:gold"),
    ] {
        let query = SearchQuery::parse(query, shop.now, Zone::UTC).unwrap();
        let save = CatalogueAction::SaveSearch { name: name.to_owned(), query };
        shop.execute(Action::Catalogue(save)).unwrap();
    }
    for (key, body) in NAMED {
        execute_named(shop, key, body).unwrap();
    }
    issued.id()
}

pub fn nothing_names_an_erased_customer(store: &dyn Store) {
    let shop = TestShop::new(store);
    let redemption = set_up(&shop);
    execute_named(&shop, "of another", OF_ANOTHER).unwrap();
    let before = report(&shop);
    let erasure = erase_completely(&shop, &id(ID));
    assert_eq!((erasure.points().get(), erasure.redemptions()), (250, 1));

    // Nobody finds the customer.
    for customer in [id(ID), email(EMAIL)] {
        assert!(store.customer(shop.id, &customer).unwrap().is_none());
    }
    assert!(
        store
            .customer_by_account(shop.id, erasure.account())
            .unwrap()
            .is_none()
    );
    for query in ["zeldana", "tag:tag-velvet", "id:zelda-id-7", "email:zelda*", "fitzmark"] {
        let query = SearchQuery::parse(query, shop.now, Zone::UTC).unwrap();
        assert_eq!(store.count_customers(shop.id, &query).unwrap(), 0);
    }
    assert_unnamed(&journal(&shop));
    for order in ["o1", "early"] {
        let order = store.order(shop.id, &order_id(order)).unwrap().unwrap();
        assert_unnamed(&format!("{order:?}"));
        assert_eq!(order.account, Some(erasure.account()));
        assert!(order.state.posted().awarded.is_positive());
    }
    let rules = store.price_rules(shop.id, None, 100).unwrap().items;
    assert_unnamed(&format!("{rules:?}"));
    let listed = rules
        .iter()
        .find(|rule| rule.rule.parts().title == "Ten percent")
        .unwrap();
    assert_eq!(listed.rule.parts().prerequisite_emails, [email_address("b@example.com")]);
    assert_eq!(listed.rule.parts().prerequisite_customer_ids.len(), 2);
    let searches = store.saved_searches(shop.id, None, 10).unwrap().items;
    let names: Vec<_> = searches.iter().map(|search| search.name.as_str()).collect();
    assert_eq!(names, ["everybody of a tag"]);

    // A repeated request changes nothing, and its response is gone with the person.
    for (key, body) in NAMED {
        let replay = expect_stored(execute_named(&shop, key, body));
        assert_eq!(replay, (410, String::new(), true), "{key}");
    }
    let replay = expect_stored(execute_named(&shop, "of another", OF_ANOTHER));
    assert_eq!(replay, (200, OF_ANOTHER.to_owned(), true));

    // The books: the code is cancelled without return, the rest is removed by an entry.
    let view = store.redemption(shop.id, redemption).unwrap().unwrap();
    assert_eq!(view.redemption.state().name(), "cancelled");
    let (_, code) = view.discount().unwrap();
    assert!(!store.code(shop.id, code).unwrap().unwrap().enabled);
    let account = store.account_at(shop.id, erasure.account(), shop.now).unwrap();
    assert_eq!(account.balance(shop.now), Points::ZERO);
    let after = report(&shop);
    assert_eq!(after.totals.erased, points(250));
    assert_eq!(after.liability(), before.liability().saturating_sub(points(250)));
    let totals = |report: &ProgramReport| {
        let mut totals = report.totals.clone();
        totals.erased = Points::ZERO;
        totals
    };
    assert_eq!(totals(&after), totals(&before));
}

pub fn late_reports_bring_nobody_back(store: &dyn Store) {
    let shop = TestShop::new(store);
    set_up(&shop);
    let erasure = erase_completely(&shop, &id(ID));
    let customers = || store.count_customers(shop.id, &SearchQuery::default()).unwrap();
    let count = customers();

    // The same order again, its refund and its cancellation are facts without points.
    let both = id_and_email(ID, EMAIL);
    let receipt = shop.execute_order(Some(&both), noted("o1", "30")).unwrap();
    assert!(receipt.events.is_empty() && receipt.customer.is_none(), "{receipt:?}");
    for command in [refund("o1", "R1", "10"), cancel("early")] {
        let receipt = shop.execute_order(None, command).unwrap();
        assert!(!receipt.events.is_empty());
        assert!(receipt.events.iter().all(|event| event.points().is_zero()));
    }
    let order = store.order(shop.id, &order_id("o1")).unwrap().unwrap();
    assert_eq!((order.state.refunds().len(), order.account), (1, Some(erasure.account())));

    // A new order is recorded as one of nobody, without what people have written.
    for (order, customer) in [("o2", &both), ("o3", &id(ID)), ("o4", &email(EMAIL))] {
        shop.execute_order(Some(customer), noted(order, "40")).unwrap();
        let order = store.order(shop.id, &order_id(order)).unwrap().unwrap();
        assert_eq!(order.account, None);
        assert_unnamed(&format!("{order:?}"));
    }
    assert_eq!(customers(), count);
    assert_unnamed(&journal(&shop));

    // Who signs up anew begins at zero. What came before stays with the one who is gone.
    let anew = save(&shop, id(ID), profile()).unwrap();
    assert!(anew.created);
    assert_eq!(shop.balance(&id(ID)), 0);
    shop.execute_order(Some(&id(ID)), noted("o1", "30")).unwrap();
    shop.execute_order(None, refund("o1", "R2", "5")).unwrap();
    assert_eq!(shop.balance(&id(ID)), 0);
    shop.execute_order(Some(&id(ID)), noted("o5", "30")).unwrap();
    assert_eq!(shop.balance(&id(ID)), 30);
    let again = erase_completely(&shop, &id(ID));
    assert_ne!(again.account(), erasure.account());
    assert_eq!(again.points(), points(30));
}

pub fn an_erased_account_takes_part_in_nothing(store: &dyn Store) {
    let shop = TestShop::new(store);
    let redemption = set_up(&shop);
    let referrals = REWARDS.replacen('{', r#"{"referrals": {"sent": 20, "received": 10}, "#, 1);
    shop.execute(publish_action(&referrals)).unwrap();
    shop.execute_commands(&id(ID), vec![Command::IssueReferralCode { entropy: [3; 10] }])
        .unwrap();
    let code = shop
        .customer(&id(ID))
        .account()
        .activity()
        .referral_code()
        .map(str::to_owned);
    erase_completely(&shop, &id(ID));

    let used = RedemptionAction::Use { id: redemption, order: None };
    for action in [used, RedemptionAction::Cancel { id: redemption }] {
        assert_eq!(rejection_code(&shop.execute(Action::Redemption(action))), "customer_erased");
    }
    let missing = Action::for_customer(id(ID), Existence::Required, vec![add(5)]);
    assert_eq!(rejection_code(&shop.execute(missing)), "customer_not_found");
    shop.execute_commands(&id("friend"), Vec::new()).unwrap();
    let join = Action::JoinReferral {
        customer: id("friend"),
        change: ProfileChange::default(),
        code: code.unwrap(),
    };
    assert_eq!(rejection_code(&shop.execute(join)), "referral_code_not_found");
    let unknown = Action::EraseCustomer { customer: id("nobody") };
    assert_eq!(rejection_code(&shop.execute(unknown)), "customer_not_found");
    assert!(store.due(at("2040-01-01T00:00:00Z"), None, 100).unwrap().is_empty());
}

pub fn a_guest_is_erased(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_order(Some(&email(EMAIL)), noted("o1", "30")).unwrap();
    let erasure = erase_completely(&shop, &email(EMAIL));
    assert_eq!(erasure.points(), points(30));
    assert_unnamed(&journal(&shop));
    shop.execute_order(Some(&email(EMAIL)), noted("o2", "30")).unwrap();
    assert!(store.customer(shop.id, &email(EMAIL)).unwrap().is_none());
}

pub fn merged_customers_are_erased_as_one(store: &dyn Store) {
    let shop = TestShop::new(store);
    // A guest whom the customer claims, and another id of the same person.
    shop.execute_order(Some(&email(EMAIL)), noted("guest", "10")).unwrap();
    let guest = shop.customer(&email(EMAIL)).record().account;
    save(
        &shop,
        id("second"),
        ProfileChange {
            first_name: FieldChange::Set(Some("Zeldana".into())),
            ..ProfileChange::default()
        },
    )
    .unwrap();
    shop.execute_order(Some(&id("second")), noted("o2", "20")).unwrap();
    shop.execute_order(Some(&id(ID)), noted("o1", "30")).unwrap();
    save(&shop, id(ID), profile()).unwrap();
    let merge = Action::MergeCustomers { customer: id(ID), from: id("second") };
    shop.execute(merge).unwrap();
    assert_eq!(shop.balance(&id("second")), 60);

    let erasure = erase_completely(&shop, &id("second"));
    assert_eq!(erasure.points(), points(60));
    assert_unnamed(&journal(&shop));
    for customer in [id(ID), id("second"), email(EMAIL)] {
        assert!(store.customer(shop.id, &customer).unwrap().is_none());
        let again = erase(&shop, &customer).unwrap().erasure.unwrap();
        assert_eq!(again.account(), erasure.account());
        let undo = Action::UndoClaim { customer, claim: guest };
        assert_eq!(rejection_code(&shop.execute(undo)), "customer_not_found");
    }
    // The order that came as the guest's stays where it is.
    shop.execute_order(Some(&email(EMAIL)), noted("guest", "10")).unwrap();
    shop.execute_order(None, refund("guest", "R", "10")).unwrap();
}

pub fn erasures_race_with_orders(store: &dyn Store) {
    let shop = TestShop::new(store);
    for round in 0..20 {
        let customer = id(&format!("{ID}-{round}"));
        shop.execute_commands(&customer, vec![add(5)]).unwrap();
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads = (0..8).map(|thread| {
                let customer = &customer;
                scope.spawn(move || {
                    if thread % 4 == 0 {
                        let erasure = erase(&shop, customer).unwrap().erasure.unwrap();
                        finish_all(&shop);
                        return Some(erasure.account());
                    }
                    let order = format!("o{round}-{thread}");
                    shop.execute_order(Some(customer), noted(&order, "10")).unwrap();
                    None
                })
            });
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let accounts: Vec<_> = outcomes.into_iter().flatten().collect();
        assert!(accounts.len() == 2 && accounts[0] == accounts[1], "{accounts:?}");
        assert!(store.customer(shop.id, &customer).unwrap().is_none());
        let account = store.account_at(shop.id, accounts[0], shop.now).unwrap();
        assert_eq!(account.balance(shop.now), Points::ZERO);
    }
    finish(&shop);
    assert_unnamed(&journal(&shop));
    let rows = store.journal(shop.id, 0, 10_000).unwrap();
    let erased = rows.iter().flat_map(|row| row.events.iter());
    let erased = erased.filter(|event| matches!(event, Event::AccountErased { .. }));
    assert_eq!(erased.count(), 20);
}

/// Two passes of one erasure can run at once; one of them may have to wait for the log.
fn finish_all(shop: &TestShop<'_>) {
    for erasure in shop.store.unfinished_erasures().unwrap() {
        shop.store.finish_erasure(&erasure, shop.now).unwrap();
    }
}

pub fn an_erasure_can_be_tried(store: &dyn Store) {
    let shop = TestShop::new(store);
    set_up(&shop);
    let before = super::contents::StoreContents::read(store);
    let erase = Action::EraseCustomer { customer: id(ID) };
    let request = Request { dry_run: true, ..shop.request(erase) };
    let receipt = expect_decided(store.execute(request).wait()).unwrap();
    assert_eq!(receipt.erasure.unwrap().points(), points(250));
    assert_eq!(super::contents::StoreContents::read(store), before);
}
