//! Cases for redemptions: points, price rule and code in one transaction, and uses by
//! orders.

use super::test_shop::*;
use crate::{
    Action, CartQuery, CustomerRef, DiscountAction, Outcome, Receipt, RedemptionAction,
    RedemptionView, Rejection, Store,
};
use loyalty_core::discount::{Cart, CartLine, Customer};
use loyalty_core::{
    Command, CustomerId, LineId, Points, Publication, PublicationStatus, RedemptionId, RewardId,
    StoreId,
};

/// A reward of 5 off for 100 points that expires after a month, and one limited to two in
/// total.
pub const REWARDS: &str = r#"{"rewards": [
    {"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M",
        "points_back_when_expired": true},
    {"id": "mug", "name": "A mug", "cost": 40, "gives": "custom", "limits_in_all": [{"times": 2, "per": "ever"}]}]}"#;

fn with_points_back(document: &str) -> String {
    document.replacen('{', r#"{"redemption": {"order_cancelled": "points"}, "#, 1)
}

pub fn issue_action(customer: &CustomerRef, reward: &str, entropy: u8) -> Action {
    let (customer, reward, entropy) =
        (customer.clone(), RewardId::new(reward).unwrap(), [entropy; 16]);
    Action::Redemption(RedemptionAction::Issue {
        customer,
        reward,
        amount: None,
        subtotal: None,
        entropy,
    })
}

fn redeem(
    shop: &TestShop<'_>,
    customer: &CustomerRef,
    reward: &str,
    entropy: u8,
) -> RedemptionView {
    *shop
        .execute(issue_action(customer, reward, entropy))
        .unwrap()
        .redemption
        .unwrap()
}

fn cancel_redemption(shop: &TestShop<'_>, id: RedemptionId) -> Outcome {
    shop.execute(Action::Redemption(RedemptionAction::Cancel { id }))
}

pub fn load_redemption(shop: &TestShop<'_>, id: RedemptionId) -> RedemptionView {
    shop.store.redemption(shop.id, id).unwrap().unwrap()
}

pub fn state_name(shop: &TestShop<'_>, id: RedemptionId) -> &'static str {
    load_redemption(shop, id).redemption.state_at(shop.now).name()
}

pub fn code_text(view: &RedemptionView) -> String {
    view.redemption.issue().code.as_ref().unwrap().to_string()
}

/// Returns the price of a cart of 20 with this code, or the reason why the code does not
/// apply.
pub fn price_with_code(
    shop: &TestShop<'_>,
    customer: &str,
    text: &str,
) -> Result<String, &'static str> {
    let line = CartLine {
        id: LineId::new("1").unwrap(),
        product: None,
        variant: None,
        categories: vec![],
        quantity: 1,
        price: "20".parse().unwrap(),
        gift_card: false,
    };
    let customer = Customer { id: CustomerId::new(customer).ok(), ..Customer::default() };
    let cart = Cart {
        codes: vec![discount_code(text)],
        customer,
        ..Cart::new([line], shop.now)
    };
    let query = CartQuery { cart, checkout: None };
    let found = shop.store.cart_facts(shop.id, query).unwrap().evaluate().unwrap();
    let outcome = found.codes[0].outcome.as_ref();
    outcome
        .map(|_| found.lines[0].remaining.to_string())
        .map_err(loyalty_core::discount::CodeRejection::code)
}

fn issue_first(store: &dyn Store, document: &str) -> (CustomerRef, RedemptionView) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(document)).unwrap();
    let customer = id("1");
    shop.execute_commands(&customer, vec![add(150)]).unwrap();
    let issued = redeem(&shop, &customer, "five", 1);
    assert_eq!(shop.balance(&customer), 50);
    (customer, issued)
}

fn first_shop(store: &dyn Store) -> TestShop<'_> {
    let id = store.shops().unwrap()[0].id;
    TestShop { store, id, now: at("2026-01-01T12:00:00Z") }
}

pub fn a_store_publishes_a_code_and_withdraws_it(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let report = |store: &str, status: PublicationStatus| {
        let (id, store) = (issued.id(), StoreId::new(store).unwrap());
        shop.execute(Action::Redemption(RedemptionAction::RecordPublication { id, store, status }))
    };
    let statuses = || {
        let redemption = load_redemption(&shop, issued.id()).redemption;
        let statuses = redemption.publications().map(|publication| {
            let Publication { store, status, .. } = publication;
            format!("{store} {}", status.name())
        });
        statuses.collect::<Vec<_>>()
    };
    assert!(statuses().is_empty());

    // A report is recorded once, and moves no points.
    let rows = || store.journal(shop.id, 0, 100).unwrap().len();
    report("woo", PublicationStatus::Published { code_id: Some("71".into()) }).unwrap();
    let count = rows();
    report("woo", PublicationStatus::Published { code_id: Some("71".into()) }).unwrap();
    assert_eq!((rows(), shop.balance(&customer)), (count, 50));

    report("shopify", PublicationStatus::failed("no such product")).unwrap();
    assert_eq!(statuses(), ["woo published", "shopify failed"]);

    // What a store does later is recorded also of a redemption that is over.
    cancel_redemption(&shop, issued.id()).unwrap();
    report("woo", PublicationStatus::Withdrawn).unwrap();
    assert_eq!(statuses(), ["woo withdrawn", "shopify failed"]);
    assert_eq!((state_name(&shop, issued.id()), shop.balance(&customer)), ("cancelled", 150));

    let (id, store) = (RedemptionId(999), StoreId::plugin());
    let status = PublicationStatus::Withdrawn;
    let unknown = RedemptionAction::RecordPublication { id, store, status };
    let unknown = shop.execute(Action::Redemption(unknown)).unwrap_err();
    assert_eq!(unknown.code(), "redemption_not_found");
}

pub fn a_redemption_spends_points_and_issues_a_code(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let (rule, code) = issued.discount().unwrap();
    let (rule, code) = (
        store.price_rule(shop.id, rule).unwrap().unwrap(),
        store.code(shop.id, code).unwrap().unwrap(),
    );
    assert_eq!(
        (code.text.as_str(), rule.rule.parts().title.as_str()),
        (&*code_text(&issued), &*code_text(&issued))
    );
    assert_eq!(
        (rule.rule.parts().ends_at, code.rule),
        (Some(at("2026-02-01T12:00:00Z")), rule.id)
    );
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Ok("15.00".to_owned()));

    // Another customer cannot use the code, and after its end no one can.
    assert_eq!(price_with_code(&shop, "2", &code_text(&issued)), Err("customer_not_eligible"));
    assert_eq!(
        price_with_code(&shop.at("2026-02-01T12:00:00Z"), "1", &code_text(&issued)),
        Err("expired")
    );
    assert_eq!(load_redemption(&shop, issued.id()), issued);

    // Too few points: rejected with the numbers, without any change.
    let before = super::contents::StoreContents::read(store);
    let rejection = shop.execute(issue_action(&customer, "five", 2)).unwrap_err();
    let figures =
        loyalty_core::Rejection::InsufficientPoints { have: points(50), need: points(100) };
    assert_eq!(rejection, Rejection::Rules(figures));

    for (action, want) in [
        (issue_action(&id("nobody"), "five", 3), "customer_not_found"),
        (issue_action(&customer, "six", 3), "unknown_reward"),
        (
            Action::Redemption(RedemptionAction::Cancel { id: RedemptionId(999) }),
            "redemption_not_found",
        ),
    ] {
        assert_eq!(rejection_code(&shop.execute(action)), want);
    }

    // The code is taken: neither points nor rules change.
    shop.execute_commands(&customer, vec![add(100)]).unwrap();
    let shown = super::contents::StoreContents::read(store);
    assert_ne!(shown, before);
    assert_eq!(rejection_code(&shop.execute(issue_action(&customer, "five", 1))), "code_taken");
    assert_eq!(super::contents::StoreContents::read(store), shown);
}

pub fn a_cancelled_redemption_returns_points_and_disables_its_code(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let receipt = cancel_redemption(&shop, issued.id()).unwrap();
    assert_eq!(
        (shop.balance(&customer), receipt.redemption.unwrap().redemption.state().name()),
        (150, "cancelled")
    );
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Err("disabled"));
    assert_eq!(cancel_redemption(&shop, issued.id()).unwrap().seq, None);

    // An order that lists the code anyway had the discount: the redemption is used.
    shop.execute_order(Some(&customer), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (70, "used"));
    assert_eq!(rejection_code(&cancel_redemption(&shop, issued.id())), "redemption_not_open");
}

pub fn a_cancelled_order_returns_its_redemption(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let order = || record_paid_with_codes("o1", "20", &[&code_text(&issued)]);
    let receipt: Receipt = shop.execute_order(Some(&customer), order()).unwrap();
    assert_eq!(receipt.codes[0].outcome, Ok(issued.discount().unwrap().1));
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (70, "used"));
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Err("used_up"));
    assert_eq!(shop.execute_order(Some(&customer), order()).unwrap().seq, None);

    shop.execute_order(None, cancel("o1")).unwrap();
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (50, "issued"));
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Ok("15.00".to_owned()));

    // Either the code is usable again or the points are returned, never both.
    cancel_redemption(&shop, issued.id()).unwrap();
    assert_eq!(shop.balance(&customer), 150);
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Err("disabled"));
}

pub fn a_cancelled_order_returns_points_if_configured(store: &dyn Store) {
    let (customer, issued) = issue_first(store, &with_points_back(REWARDS));
    let shop = first_shop(store);
    let order = || record_paid_with_codes("o1", "20", &[&code_text(&issued)]);
    shop.execute_order(Some(&customer), order()).unwrap();
    shop.execute_order(None, cancel("o1")).unwrap();
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (150, "cancelled"));
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Err("disabled"));

    // The order is reopened with its discount.
    let later = shop.at("2026-01-02T00:00:00Z");
    let mut again = order();
    if let Command::RecordOrder { at, .. } = &mut again {
        *at = Some(later.now);
    }
    later.execute_order(Some(&customer), again).unwrap();
    assert_eq!((later.balance(&customer), state_name(&later, issued.id())), (70, "used"));

    // Removing the code from the order cancels the redemption, but not the order's points.
    let mut without = record_paid_with_codes("o1", "20", &[]);
    if let Command::RecordOrder { at: reported_at, .. } = &mut without {
        *reported_at = Some(at("2026-01-03T00:00:00Z"));
    }
    shop.at("2026-01-03T00:00:00Z")
        .execute_order(Some(&customer), without)
        .unwrap();
    assert_eq!((later.balance(&customer), state_name(&later, issued.id())), (170, "cancelled"));
}

pub fn a_cancelled_order_returns_what_the_shop_said_it_used(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let use_with = |order: &str| {
        let order = Some(order_id(order));
        shop.execute(Action::Redemption(RedemptionAction::Use { id: issued.id(), order }))
    };

    // The order does not list the code. It need not be known yet, nor be of this customer.
    use_with("o1").unwrap();
    shop.execute_order(Some(&id("2")), record_paid("o1", "20")).unwrap();
    assert_eq!(state_name(&shop, issued.id()), "used");
    shop.execute_order(None, cancel("o1")).unwrap();
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (50, "issued"));
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Ok("15.00".to_owned()));

    // Another order can use it, which the cancelled one does not take away.
    use_with("o2").unwrap();
    let again = shop.execute_order(None, cancel("o1"));
    assert_eq!(again.unwrap().seq, None);
    assert_eq!(state_name(&shop, issued.id()), "used");
}

pub fn refunds_of_an_order_return_points_if_configured(store: &dyn Store) {
    let document = REWARDS.replacen('{', r#"{"redemption": {"order_refunded": "points"}, "#, 1);
    let (customer, issued) = issue_first(store, &document);
    let shop = first_shop(store);
    let order = record_paid_with_codes("o1", "20", &[&code_text(&issued)]);
    shop.execute_order(Some(&customer), order).unwrap();
    assert_eq!(shop.balance(&customer), 70);

    // Half of the goods: 10 points of the order less, 50 of the redemption back.
    for _ in 0..2 {
        shop.execute_order(None, refund("o1", "r1", "10")).unwrap();
        assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (110, "used"));
    }
    shop.execute_order(None, refund("o1", "r2", "10")).unwrap();
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (150, "used"));

    // The points are back: the code must not be.
    shop.execute_order(None, cancel("o1")).unwrap();
    assert_eq!((shop.balance(&customer), state_name(&shop, issued.id())), (150, "cancelled"));
    assert_eq!(price_with_code(&shop, "1", &code_text(&issued)), Err("disabled"));
}

pub fn a_redemption_expires_without_a_command(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let end = shop.at("2026-02-01T12:00:00Z");
    assert_eq!(state_name(&shop.at("2026-02-01T11:59:59Z"), issued.id()), "issued");

    // A read shows the expiration before it is recorded.
    assert_eq!(state_name(&end, issued.id()), "expired");
    assert_eq!(
        store.rewards(shop.id, &customer, end.now).unwrap().unwrap().balance,
        points(150)
    );
    assert_eq!(rejection_code(&cancel_redemption(&end, issued.id())), "redemption_not_open");

    end.execute_commands(&customer, vec![Command::CatchUp]).unwrap();
    assert_eq!(
        (
            end.balance(&customer),
            load_redemption(&end, issued.id()).redemption.state().name()
        ),
        (150, "expired")
    );
    assert_eq!(end.execute_commands(&customer, vec![Command::CatchUp]).unwrap().seq, None);

    // An order that was placed in time is reported late.
    end.at("2026-02-02T00:00:00Z")
        .execute_order(Some(&customer), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    assert_eq!((end.balance(&customer), state_name(&end, issued.id())), (70, "used"));

    // Cancelling the order reopens the redemption for 30 days.
    let later = shop.at("2026-03-01T00:00:00Z");
    later.execute_order(None, cancel("o1")).unwrap();
    assert_eq!(
        load_redemption(&later, issued.id()).redemption.ends_at(),
        Some(at("2026-03-31T00:00:00Z"))
    );
    assert_eq!(price_with_code(&later, "1", &code_text(&issued)), Ok("15.00".to_owned()));
    assert_eq!(
        price_with_code(&later.at("2026-03-31T00:00:00Z"), "1", &code_text(&issued)),
        Err("expired")
    );
}

pub fn a_reward_without_a_code_is_marked_used(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(REWARDS)).unwrap();
    let (one, two) = (id("1"), id("2"));

    for customer in [&one, &two] {
        shop.execute_commands(customer, vec![add(100)]).unwrap();
    }

    let first = redeem(&shop, &one, "mug", 1);
    assert_eq!((first.discount(), store.count_price_rules(shop.id).unwrap()), (None, 0));

    redeem(&shop, &two, "mug", 1);

    // Two in total, for all customers together.
    assert_eq!(rejection_code(&shop.execute(issue_action(&one, "mug", 1))), "reward_sold_out");

    let offered = |customer: &CustomerRef| {
        let rewards = store.rewards(shop.id, customer, shop.now).unwrap().unwrap();
        let why = |reward: &loyalty_core::RewardOffer| {
            let codes: Vec<_> =
                reward.rejections.iter().map(loyalty_core::Rejection::code).collect();
            (reward.missing_points.get(), codes)
        };
        rewards.offered.iter().map(why).collect::<Vec<_>>()
    };
    assert_eq!(offered(&one), [(40, vec!["insufficient_points"]), (0, vec!["reward_sold_out"])]);

    cancel_redemption(&shop, first.id()).unwrap();
    assert_eq!(offered(&one), [(0, vec![]), (0, vec![])]);

    let again = redeem(&shop, &one, "mug", 1);
    let used =
        Action::Redemption(RedemptionAction::Use { id: again.id(), order: Some(order_id("o7")) });
    shop.execute(used).unwrap();
    assert_eq!(state_name(&shop, again.id()), "used");

    shop.execute_order(None, cancel("o7")).unwrap();
    assert!(store.rewards(shop.id, &id("nobody"), shop.now).unwrap().is_none());
}

pub fn redemptions_are_read_in_pages_through_a_merge(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(REWARDS)).unwrap();
    let (guest, customer) = (email("ada@example.com"), id("1"));
    shop.execute_commands(&guest, vec![add(300)]).unwrap();
    shop.execute_commands(&customer, vec![add(300)]).unwrap();
    let mut want: Vec<_> = (1..=2)
        .map(|entropy| redeem(&shop, &guest, "five", entropy).id())
        .collect();
    let of_customer: Vec<_> = (3..=4)
        .map(|entropy| redeem(&shop, &customer, "five", entropy).id())
        .collect();
    shop.execute_profile(&id_and_email("1", "ada@example.com"), vec![])
        .unwrap();
    want.reverse();
    let want: Vec<_> = of_customer.into_iter().rev().chain(want).collect();
    let account = shop.customer(&customer).record().account;

    for limit in 1..=5 {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.redemptions(shop.id, account, after, limit).unwrap();
            all.extend(page.items.iter().map(RedemptionView::id));
            after = all.last().copied();
            if !page.has_more {
                break;
            }
        }
        assert_eq!(all, want, "in pages of {limit}");
    }

    // The customer can cancel a redemption of the merged guest, and use its code.
    assert_eq!(shop.balance(&customer), 200);

    cancel_redemption(&shop, want[3]).unwrap();
    assert_eq!(shop.balance(&customer), 300);
    assert_eq!(
        shop.at("2026-02-01T12:00:00Z")
            .execute_commands(&customer, vec![Command::CatchUp])
            .unwrap()
            .events
            .len(),
        3
    );
    assert_eq!(shop.at("2026-02-01T12:00:00Z").balance(&customer), 600);

    // An unknown redemption or one of another customer gives an empty page.
    shop.execute_commands(&id("2"), vec![add(100)]).unwrap();
    let other = redeem(&shop, &id("2"), "five", 9).id();

    for after in [other, RedemptionId(1), RedemptionId(999)] {
        assert_eq!(store.redemptions(shop.id, account, Some(after), 9).unwrap().items, []);
    }
}

pub fn redemptions_belong_to_one_shop(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let other = TestShop::new(store);
    other.execute(publish_action(REWARDS)).unwrap();
    other.execute_commands(&customer, vec![add(100)]).unwrap();
    assert_eq!(store.redemption(other.id, issued.id()).unwrap(), None);
    assert_eq!(rejection_code(&cancel_redemption(&other, issued.id())), "redemption_not_found");
    assert_eq!(store.redemptions(other.id, issued.account, None, 9).unwrap().items, []);
    assert_eq!(store.reward_usage(other.id, &RewardId::new("five").unwrap()).unwrap(), None);

    other
        .execute_order(Some(&customer), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    assert_eq!(other.balance(&customer), 120);
    assert_eq!(state_name(&first_shop(store), issued.id()), "issued");
}

pub fn deleting_a_rule_does_not_lose_points(store: &dyn Store) {
    let (customer, issued) = issue_first(store, REWARDS);
    let shop = first_shop(store);
    let (rule, _) = issued.discount().unwrap();
    shop.execute_discount(DiscountAction::DeleteRule { id: rule, if_match: None })
        .unwrap();
    shop.execute_order(Some(&customer), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    shop.execute_order(None, cancel("o1")).unwrap();
    cancel_redemption(&shop, issued.id()).unwrap();
    assert_eq!(shop.balance(&customer), 150);
    assert_eq!(Points::ZERO, shop.customer(&customer).account().debt());
}
