//! Redemptions: points, price rule and code in one transaction; used by orders, given back, read in pages.

use super::test_shop::*;
use crate::{
    Action, CartQuery, CustomerRef, DiscountAction, Outcome, Receipt, RedemptionAction,
    RedemptionView, Rejection, Store,
};
use loyalty_core::discount::{Cart, CartLine, Customer};
use loyalty_core::{Command, CustomerId, LineId, Points, RedemptionId, RewardId};

/// Five off for a hundred points, and ten that only five can have; unused ones end after a month.
pub const REWARDS: &str = r#"{"rewards": [
    {"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M",
        "points_back_when_expired": true},
    {"id": "mug", "name": "A mug", "cost": 40, "gives": "custom", "limits_in_all": [{"times": 2, "per": "ever"}]}]}"#;

fn with_points_back(document: &str) -> String {
    document.replacen('{', r#"{"redemption": {"order_cancelled": "points"}, "#, 1)
}

pub fn issue_action(who: &CustomerRef, reward: &str, entropy: u8) -> Action {
    let (who, reward, entropy) = (who.clone(), RewardId::new(reward).unwrap(), [entropy; 16]);
    Action::Redemption(RedemptionAction::Issue { customer: who, reward, amount: None, entropy })
}

fn redeem(desk: &TestShop<'_>, who: &CustomerRef, reward: &str, entropy: u8) -> RedemptionView {
    *desk
        .execute(issue_action(who, reward, entropy))
        .unwrap()
        .redemption
        .unwrap()
}

fn cancel_redemption(desk: &TestShop<'_>, id: RedemptionId) -> Outcome {
    desk.execute(Action::Redemption(RedemptionAction::Cancel { id }))
}

fn load_redemption(desk: &TestShop<'_>, id: RedemptionId) -> RedemptionView {
    desk.store.redemption(desk.shop, id).unwrap().unwrap()
}

fn state_name(desk: &TestShop<'_>, id: RedemptionId) -> &'static str {
    load_redemption(desk, id).redemption.state_at(desk.now).name()
}

fn code_text(view: &RedemptionView) -> String {
    view.redemption.issue().code.as_ref().unwrap().to_string()
}

/// What a cart of 20 with this code costs the customer, or why the code does not apply.
fn price_with_code(
    desk: &TestShop<'_>,
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
        ..Cart::new([line], desk.now)
    };
    let query = CartQuery { cart, checkout: None };
    let found = desk.store.cart_facts(desk.shop, query).unwrap().evaluate().unwrap();
    let outcome = found.codes[0].outcome.as_ref();
    outcome
        .map(|_| found.lines[0].remaining.to_string())
        .map_err(loyalty_core::discount::CodeRejection::code)
}

fn issue_first(store: &dyn Store, document: &str) -> (CustomerRef, RedemptionView) {
    let desk = TestShop::new(store);
    desk.execute(publish_action(document)).unwrap();
    let who = id("1");
    desk.execute_commands(&who, vec![add(150)]).unwrap();
    let issued = redeem(&desk, &who, "five", 1);
    assert_eq!(desk.balance(&who), 50);
    (who, issued)
}

fn first_shop(store: &dyn Store) -> TestShop<'_> {
    let shop = store.shops().unwrap()[0].id;
    TestShop { store, shop, now: at("2026-01-01T12:00:00Z") }
}

pub fn a_redemption_spends_points_and_issues_a_code(store: &dyn Store) {
    let (who, issued) = issue_first(store, REWARDS);
    let desk = first_shop(store);
    let (rule, code) = issued.discount().unwrap();
    let (rule, code) = (
        store.price_rule(desk.shop, rule).unwrap().unwrap(),
        store.code(desk.shop, code).unwrap().unwrap(),
    );
    assert_eq!(
        (code.text.as_str(), rule.rule.parts().title.as_str()),
        (&*code_text(&issued), &*code_text(&issued))
    );
    assert_eq!(
        (rule.rule.parts().ends_at, code.rule),
        (Some(at("2026-02-01T12:00:00Z")), rule.id)
    );
    assert_eq!(price_with_code(&desk, "1", &code_text(&issued)), Ok("15.00".to_owned()));
    // Another customer cannot use it, and at its end nobody can.
    assert_eq!(price_with_code(&desk, "2", &code_text(&issued)), Err("customer_not_eligible"));
    assert_eq!(
        price_with_code(&desk.at("2026-02-01T12:00:00Z"), "1", &code_text(&issued)),
        Err("expired")
    );
    assert_eq!(load_redemption(&desk, issued.id()), issued);
    // Too few points: the figures, and no trace.
    let before = super::contents::StoreContents::read(store);
    let refused = desk.execute(issue_action(&who, "five", 2)).unwrap_err();
    let figures =
        loyalty_core::Rejection::InsufficientPoints { have: points(50), need: points(100) };
    assert_eq!(refused, Rejection::Rules(figures));
    for (action, want) in [
        (issue_action(&id("nobody"), "five", 3), "customer_not_found"),
        (issue_action(&who, "six", 3), "unknown_reward"),
        (
            Action::Redemption(RedemptionAction::Cancel { id: RedemptionId(999) }),
            "redemption_not_found",
        ),
    ] {
        assert_eq!(self::rejection_code(&desk.execute(action)), want);
    }
    // The same code is somebody's already: points and rule are not touched either.
    desk.execute_commands(&who, vec![add(100)]).unwrap();
    let shown = super::contents::StoreContents::read(store);
    assert_ne!(shown, before);
    assert_eq!(self::rejection_code(&desk.execute(issue_action(&who, "five", 1))), "code_taken");
    assert_eq!(super::contents::StoreContents::read(store), shown);
}

pub fn a_cancelled_redemption_returns_points_and_disables_its_code(store: &dyn Store) {
    let (who, issued) = issue_first(store, REWARDS);
    let desk = first_shop(store);
    let receipt = cancel_redemption(&desk, issued.id()).unwrap();
    assert_eq!(
        (desk.balance(&who), receipt.redemption.unwrap().redemption.state().name()),
        (150, "cancelled")
    );
    assert_eq!(price_with_code(&desk, "1", &code_text(&issued)), Err("disabled"));
    assert_eq!(cancel_redemption(&desk, issued.id()).unwrap().seq, None);
    // An order that brings it all the same has had the discount: it is paid for.
    desk.execute_order(Some(&who), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    assert_eq!((desk.balance(&who), state_name(&desk, issued.id())), (70, "used"));
    assert_eq!(rejection_code(&cancel_redemption(&desk, issued.id())), "redemption_not_open");
}

pub fn a_cancelled_order_returns_its_redemption(store: &dyn Store) {
    let (who, issued) = issue_first(store, REWARDS);
    let desk = first_shop(store);
    let order = || record_paid_with_codes("o1", "20", &[&code_text(&issued)]);
    let receipt: Receipt = desk.execute_order(Some(&who), order()).unwrap();
    assert_eq!(receipt.codes[0].outcome, Ok(issued.discount().unwrap().1));
    assert_eq!((desk.balance(&who), state_name(&desk, issued.id())), (70, "used"));
    assert_eq!(price_with_code(&desk, "1", &code_text(&issued)), Err("used_up"));
    assert_eq!(desk.execute_order(Some(&who), order()).unwrap().seq, None);
    desk.execute_order(None, cancel("o1")).unwrap();
    assert_eq!((desk.balance(&who), state_name(&desk, issued.id())), (50, "issued"));
    assert_eq!(price_with_code(&desk, "1", &code_text(&issued)), Ok("15.00".to_owned()));
    // Never both: what is usable again is not paid back, and what is paid back is not usable.
    cancel_redemption(&desk, issued.id()).unwrap();
    assert_eq!(desk.balance(&who), 150);
    assert_eq!(price_with_code(&desk, "1", &code_text(&issued)), Err("disabled"));
}

pub fn a_cancelled_order_returns_points_if_configured(store: &dyn Store) {
    let (who, issued) = issue_first(store, &with_points_back(REWARDS));
    let desk = first_shop(store);
    let order = || record_paid_with_codes("o1", "20", &[&code_text(&issued)]);
    desk.execute_order(Some(&who), order()).unwrap();
    desk.execute_order(None, cancel("o1")).unwrap();
    assert_eq!((desk.balance(&who), state_name(&desk, issued.id())), (150, "cancelled"));
    assert_eq!(price_with_code(&desk, "1", &code_text(&issued)), Err("disabled"));
    // The order comes alive again, with its discount.
    let later = desk.at("2026-01-02T00:00:00Z");
    let mut again = order();
    if let Command::RecordOrder { at, .. } = &mut again {
        *at = Some(later.now);
    }
    later.execute_order(Some(&who), again).unwrap();
    assert_eq!((later.balance(&who), state_name(&later, issued.id())), (70, "used"));
    // The customer takes the code off the order: that is no cancellation of the points of it.
    let mut without = record_paid_with_codes("o1", "20", &[]);
    if let Command::RecordOrder { at: told, .. } = &mut without {
        *told = Some(at("2026-01-03T00:00:00Z"));
    }
    desk.at("2026-01-03T00:00:00Z")
        .execute_order(Some(&who), without)
        .unwrap();
    assert_eq!((later.balance(&who), state_name(&later, issued.id())), (170, "cancelled"));
}

pub fn a_redemption_expires_without_a_command(store: &dyn Store) {
    let (who, issued) = issue_first(store, REWARDS);
    let desk = first_shop(store);
    let end = desk.at("2026-02-01T12:00:00Z");
    assert_eq!(state_name(&desk.at("2026-02-01T11:59:59Z"), issued.id()), "issued");
    // A read says so before anybody has written it down.
    assert_eq!(state_name(&end, issued.id()), "expired");
    assert_eq!(store.rewards(desk.shop, &who, end.now).unwrap().unwrap().balance, points(150));
    assert_eq!(rejection_code(&cancel_redemption(&end, issued.id())), "redemption_not_open");
    end.execute_commands(&who, vec![Command::CatchUp]).unwrap();
    assert_eq!(
        (end.balance(&who), load_redemption(&end, issued.id()).redemption.state().name()),
        (150, "expired")
    );
    assert_eq!(end.execute_commands(&who, vec![Command::CatchUp]).unwrap().seq, None);
    // An order that was placed in time comes late.
    end.at("2026-02-02T00:00:00Z")
        .execute_order(Some(&who), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    assert_eq!((end.balance(&who), state_name(&end, issued.id())), (70, "used"));
    // Its cancellation gives the code back, with thirty days to use it.
    let later = desk.at("2026-03-01T00:00:00Z");
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
    let desk = TestShop::new(store);
    desk.execute(publish_action(REWARDS)).unwrap();
    let (one, two) = (id("1"), id("2"));
    for who in [&one, &two] {
        desk.execute_commands(who, vec![add(100)]).unwrap();
    }
    let first = redeem(&desk, &one, "mug", 1);
    assert_eq!((first.discount(), store.count_price_rules(desk.shop).unwrap()), (None, 0));
    redeem(&desk, &two, "mug", 1);
    // Two in all, whoever has them.
    assert_eq!(rejection_code(&desk.execute(issue_action(&one, "mug", 1))), "reward_sold_out");
    let offered = |who: &CustomerRef| {
        let rewards = store.rewards(desk.shop, who, desk.now).unwrap().unwrap();
        let why = |reward: &loyalty_core::redemption::RewardOffer| {
            let codes: Vec<_> =
                reward.rejections.iter().map(loyalty_core::Rejection::code).collect();
            (reward.missing_points.get(), codes)
        };
        rewards.offered.iter().map(why).collect::<Vec<_>>()
    };
    assert_eq!(offered(&one), [(40, vec!["insufficient_points"]), (0, vec!["reward_sold_out"])]);
    cancel_redemption(&desk, first.id()).unwrap();
    assert_eq!(offered(&one), [(0, vec![]), (0, vec![])]);
    let again = redeem(&desk, &one, "mug", 1);
    let used =
        Action::Redemption(RedemptionAction::Use { id: again.id(), order: Some(order_id("o7")) });
    desk.execute(used).unwrap();
    assert_eq!(state_name(&desk, again.id()), "used");
    desk.execute_order(None, cancel("o7")).unwrap();
    assert!(store.rewards(desk.shop, &id("nobody"), desk.now).unwrap().is_none());
}

pub fn redemptions_are_read_in_pages_through_a_merge(store: &dyn Store) {
    let desk = TestShop::new(store);
    desk.execute(publish_action(REWARDS)).unwrap();
    let (guest, who) = (email("ada@example.com"), id("1"));
    desk.execute_commands(&guest, vec![add(300)]).unwrap();
    desk.execute_commands(&who, vec![add(300)]).unwrap();
    let mut want: Vec<_> = (1..=2)
        .map(|entropy| redeem(&desk, &guest, "five", entropy).id())
        .collect();
    let own: Vec<_> = (3..=4)
        .map(|entropy| redeem(&desk, &who, "five", entropy).id())
        .collect();
    desk.execute_commands(&id_and_email("1", "ada@example.com"), vec![])
        .unwrap();
    want.reverse();
    let want: Vec<_> = own.into_iter().rev().chain(want).collect();
    let account = desk.customer(&who).record().account;
    for limit in 1..=5 {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.redemptions(desk.shop, account, after, limit).unwrap();
            all.extend(page.items.iter().map(RedemptionView::id));
            after = all.last().copied();
            if !page.has_more {
                break;
            }
        }
        assert_eq!(all, want, "in pages of {limit}");
    }
    // The customer that the guest became can call theirs off, and use its code.
    assert_eq!(desk.balance(&who), 200);
    cancel_redemption(&desk, want[3]).unwrap();
    assert_eq!(desk.balance(&who), 300);
    assert_eq!(
        desk.at("2026-02-01T12:00:00Z")
            .execute_commands(&who, vec![Command::CatchUp])
            .unwrap()
            .events
            .len(),
        3
    );
    assert_eq!(desk.at("2026-02-01T12:00:00Z").balance(&who), 600);
    // From a redemption that is nobody's, or another's, nothing follows.
    desk.execute_commands(&id("2"), vec![add(100)]).unwrap();
    let other = redeem(&desk, &id("2"), "five", 9).id();
    for after in [other, RedemptionId(1), RedemptionId(999)] {
        assert_eq!(store.redemptions(desk.shop, account, Some(after), 9).unwrap().items, []);
    }
}

pub fn redemptions_belong_to_one_shop(store: &dyn Store) {
    let (who, issued) = issue_first(store, REWARDS);
    let other = TestShop::new(store);
    other.execute(publish_action(REWARDS)).unwrap();
    other.execute_commands(&who, vec![add(100)]).unwrap();
    assert_eq!(store.redemption(other.shop, issued.id()).unwrap(), None);
    assert_eq!(rejection_code(&cancel_redemption(&other, issued.id())), "redemption_not_found");
    assert_eq!(store.redemptions(other.shop, issued.account, None, 9).unwrap().items, []);
    assert_eq!(
        store
            .reward_usage(other.shop, &RewardId::new("five").unwrap())
            .unwrap(),
        None
    );
    other
        .execute_order(Some(&who), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    assert_eq!(other.balance(&who), 120);
    assert_eq!(state_name(&first_shop(store), issued.id()), "issued");
}

pub fn deleting_a_rule_does_not_lose_points(store: &dyn Store) {
    let (who, issued) = issue_first(store, REWARDS);
    let desk = first_shop(store);
    let (rule, _) = issued.discount().unwrap();
    desk.execute_discount(DiscountAction::DeleteRule { id: rule, if_match: None })
        .unwrap();
    desk.execute_order(Some(&who), record_paid_with_codes("o1", "20", &[&code_text(&issued)]))
        .unwrap();
    desk.execute_order(None, cancel("o1")).unwrap();
    cancel_redemption(&desk, issued.id()).unwrap();
    assert_eq!(desk.balance(&who), 150);
    assert_eq!(Points::ZERO, desk.customer(&who).account().debt());
}
