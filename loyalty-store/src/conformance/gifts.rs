//! Cases for gifts: rewards that are given for a cause, with their codes.

use super::redemptions::{code_text, load_redemption, price_with_code, state_name};
use super::test_shop::*;
use crate::{Action, CustomerRef, ProfileChange, RedemptionView, Request, Store};
use loyalty_core::{Command, Points, RedemptionId, RewardId};

/// A tier, a goal, a referral and a birthday give five off, some of them at one instant.
const GIFTS: &str = r#"{
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "50", "entry": {"gift": {"reward": "five"}}},
              {"id": "gold", "name": "Gold", "threshold": "100",
               "entry": {"points": 10, "taken_back": true, "gift": {"reward": "five"}}}],
    "tiering": {"skipped_rewards": true},
    "actions": [{"id": "first", "kind": {"goal_orders": 1}, "gift": {"reward": "five"}},
                {"id": "cake", "kind": {"birthday": {"notice_days": 0}}, "gift": {"reward": "five"}}],
    "rewards": [{"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M",
                 "limits_in_all": [{"times": 1, "per": "ever"}]}]}"#;

fn gifts_of(shop: &TestShop<'_>, customer: &CustomerRef) -> Vec<RedemptionView> {
    let account = shop.customer(customer).record().account;
    let mut gifts = shop.store.redemptions(shop.id, account, None, 50).unwrap().items;
    gifts.reverse();
    gifts
}

fn causes(gifts: &[RedemptionView]) -> Vec<&'static str> {
    gifts
        .iter()
        .map(|gift| gift.redemption.issue().cause.as_ref().unwrap().name())
        .collect()
}

/// The number of the given codes that a cart can use.
fn usable(shop: &TestShop<'_>, customer: &str, gifts: &[RedemptionView]) -> usize {
    let can_use =
        |gift: &&RedemptionView| price_with_code(shop, customer, &code_text(gift)).is_ok();
    gifts.iter().filter(can_use).count()
}

pub fn one_order_can_give_several_gifts_each_with_a_code(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(GIFTS)).unwrap();
    let customer = id("1");
    shop.execute_order(Some(&customer), record_paid("o1", "120")).unwrap();
    shop.execute_order(Some(&customer), record_paid("o1", "120")).unwrap();

    let gifts = gifts_of(&shop, &customer);
    assert_eq!(causes(&gifts), ["tier_entry", "tier_entry", "goal"]);
    let codes: std::collections::BTreeSet<_> = gifts.iter().map(code_text).collect();
    assert_eq!((codes.len(), shop.balance(&customer)), (3, 130));
    assert_eq!(usable(&shop, "1", &gifts), 3);
    assert_eq!(usable(&shop, "2", &gifts), 0, "a gift is for its customer");

    // They cost nothing, and count for no limit of the reward.
    assert!(
        gifts
            .iter()
            .all(|gift| gift.redemption.issue().points == Points::ZERO)
    );
    let five = RewardId::new("five").unwrap();
    assert_eq!(store.reward_usage(shop.id, &five).unwrap(), None);
}

pub fn a_gift_is_taken_back_with_its_cause_and_its_code(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(GIFTS)).unwrap();
    let customer = id("1");
    shop.execute_order(Some(&customer), record_paid("o1", "120")).unwrap();
    let gifts = gifts_of(&shop, &customer);
    let states = || -> Vec<_> { gifts.iter().map(|gift| state_name(&shop, gift.id())).collect() };

    // One is used before the order is cancelled: it stays, the others are taken back.
    let used = code_text(&gifts[1]);
    shop.execute_order(Some(&customer), record_paid_with_codes("o2", "1", &[&used]))
        .unwrap();
    shop.execute_order(None, refund("o1", "r1", "120")).unwrap();
    assert_eq!(states(), ["cancelled", "used", "issued"]);
    assert_eq!(usable(&shop, "1", &gifts), 1, "only that of the goal, which one order reaches");

    shop.execute_order(None, cancel("o2")).unwrap();
    assert_eq!(states(), ["cancelled", "cancelled", "cancelled"]);
    assert_eq!(usable(&shop, "1", &gifts), 0);

    shop.execute_order(Some(&customer), record_paid("o3", "120")).unwrap();
    let again = gifts_of(&shop, &customer);
    assert_eq!(causes(&again[3..]), ["tier_entry", "goal"]);
    assert_eq!(usable(&shop, "1", &again), 2);
}

pub fn scheduled_gifts_are_issued_once_by_whoever_comes_first(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(GIFTS)).unwrap();
    let customer = id("1");
    let change = ProfileChange {
        birthday: crate::FieldChange::Set(Some("1990-05-04".parse().unwrap())),
        ..ProfileChange::default()
    };
    shop.execute(Action::Order {
        command: record_paid("o1", "10"),
        customer: Some(customer.clone()),
        change,
    })
    .unwrap();
    let account = shop.customer(&customer).record().account;

    // A request without entropy writes the birthday down, but makes no code: the account is due.
    let may = shop.at("2026-05-05T12:00:00Z");
    let without = Request::new(shop.id, may.now, Action::CatchUp(account));
    expect_decided(store.execute(without).wait()).unwrap();
    assert_eq!(causes(&gifts_of(&shop, &customer)), ["goal"]);
    let due = store.due(may.now, None, 9).unwrap();
    assert_eq!(due.iter().map(|due| due.account).collect::<Vec<_>>(), [account]);

    // A dry run makes none either.
    let dry = Request { dry_run: true, ..may.request(Action::CatchUp(account)) };
    expect_decided(store.execute(dry).wait()).unwrap();
    assert_eq!(gifts_of(&shop, &customer).len(), 1);

    for _ in 0..2 {
        may.execute(Action::CatchUp(account)).unwrap();
        let gifts = gifts_of(&shop, &customer);
        assert_eq!(causes(&gifts), ["goal", "birthday"]);
        let issue = gifts[1].redemption.issue();
        assert_eq!(issue.at, at("2026-05-04T00:00:00Z"));
    }
    assert_eq!(store.due(may.now, None, 9).unwrap(), []);

    // It ends as any other, and gives nothing back.
    let june = shop.at("2026-06-05T12:00:00Z");
    june.execute_commands(&customer, vec![Command::CatchUp]).unwrap();
    let last: RedemptionId = gifts_of(&shop, &customer)[1].id();
    assert_eq!(load_redemption(&june, last).redemption.state().name(), "expired");
    assert_eq!(june.balance(&customer), 10);
}
