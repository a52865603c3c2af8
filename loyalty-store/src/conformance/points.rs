//! Points that a shop adds, subtracts and sets; tiers; time.

use super::desk::*;
use crate::{Action, EmailConflict, Presence, Rejection, Store};
use loyalty_core::{Command, ManualTier, Points, TierId};

pub fn points_come_and_go_with_figures(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let receipt = desk.tell(&who, vec![add(100), subtract(30)]).unwrap();
    assert_eq!(
        (receipt.customer.unwrap().balance(desk.now), receipt.at),
        (points(70), desk.now)
    );
    let refused = desk.tell(&who, vec![subtract(71)]).unwrap_err();
    let figures =
        loyalty_core::Rejection::InsufficientPoints { have: points(70), need: points(71) };
    assert_eq!(refused, Rejection::Rules(figures));
    for senseless in [add(0), add(-1), subtract(0), subtract(-1)] {
        assert_eq!(code(&desk.tell(&who, vec![senseless])), "invalid_points");
    }
    desk.tell(&who, vec![subtract(70)]).unwrap();
    assert_eq!(desk.balance(&who), 0);
    let newest = store
        .ledger(desk.shop, desk.see(&who).record().account, None, 1)
        .unwrap();
    assert_eq!((newest.rows[0].balance, newest.rows[0].at), (points(0), desk.now));
}

pub fn a_balance_is_set_by_an_entry_of_the_difference(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    for (to, entry) in [(80, Some(80)), (80, None), (30, Some(-50)), (0, Some(-30))] {
        let receipt = desk.tell(&who, vec![set_balance(to)]).unwrap();
        let moved: Vec<i64> = receipt
            .events
            .iter()
            .map(|event| event.points().get())
            .filter(|p| *p != 0)
            .collect();
        assert_eq!(
            (desk.balance(&who), moved.first().copied(), moved.len()),
            (to, entry, entry.iter().count())
        );
    }
    assert_eq!(code(&desk.tell(&who, vec![set_balance(-1)])), "invalid_points");
}

pub fn a_tier_is_set_by_hand_until_an_instant(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let gold = |until: Option<&str>| {
        let tier = ManualTier { id: TierId::new("gold").unwrap(), until: until.map(at) };
        vec![Command::SetTier(Some(tier))]
    };
    assert_eq!(code(&desk.tell(&who, gold(None))), "unknown_tier");
    desk.act(publish(r#"{"tiers": [{"id": "gold", "name": "Gold", "multiplier": "2"}]}"#))
        .unwrap();
    desk.tell(&who, gold(Some("2026-02-01T00:00:00Z"))).unwrap();
    let tier = |now: &str| desk.see(&who).tier(at(now)).map(|tier| tier.id.to_string());
    assert_eq!(tier("2026-01-31T23:59:59Z").as_deref(), Some("gold"));
    assert_eq!(tier("2026-02-01T00:00:00Z"), None);
    assert_eq!(desk.tell(&who, gold(Some("2026-02-01T00:00:00Z"))).unwrap().seq, None);
    desk.order(Some(&who), paid("o1", "10.00")).unwrap();
    assert_eq!(desk.balance(&who), 20);
    desk.tell(&who, vec![Command::SetTier(None)]).unwrap();
    assert_eq!(tier("2026-01-02T00:00:00Z"), None);
    desk.order(Some(&who), paid("o2", "10.00")).unwrap();
    assert_eq!(desk.balance(&who), 30);
}

pub fn all_commands_or_none(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&both("1", "ada@example.com"), vec![add(10)]).unwrap();
    desk.tell(&email("guest@example.com"), vec![add(5)]).unwrap();
    let act = |commands| {
        desk.act(Action::Customer {
            who: id("1"),
            presence: Presence::Must,
            change: new_email("guest@example.com"),
            conflict: EmailConflict::Refuse,
            if_match: None,
            commands,
        })
    };
    let before = super::picture::Picture::of(store);
    assert_eq!(code(&act(vec![add(100), subtract(116)])), "insufficient_points");
    assert_eq!(super::picture::Picture::of(store), before);
    let receipt = act(vec![add(100), subtract(115)]).unwrap();
    assert_eq!(desk.balance(&email("guest@example.com")), 0);
    assert_eq!(receipt.seq, Some(desk.see(&id("1")).seq()));
}

pub fn points_end_without_anybody_writing_it_down(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(publish(r#"{"expiry": {"per_lot": {"after": "P9M"}}}"#))
        .unwrap();
    let who = id("1");
    desk.at("2026-01-01T00:00:00Z")
        .tell(&who, vec![add(300), subtract(50)])
        .unwrap();
    desk.at("2026-02-02T00:00:00Z").tell(&who, vec![add(100)]).unwrap();
    assert_eq!(desk.at("2026-09-30T23:59:59Z").balance(&who), 350);
    let october = desk.at("2026-10-01T00:00:00Z");
    assert_eq!(october.balance(&who), 100);
    assert_eq!(code(&october.tell(&who, vec![subtract(101)])), "insufficient_points");
    october.tell(&who, vec![Command::CatchUp]).unwrap();
    assert_eq!(october.tell(&who, vec![Command::CatchUp]).unwrap().seq, None);
    assert_eq!((october.balance(&who), october.see(&who).account().lots().len()), (100, 1));
}

pub fn the_clock_of_an_account_does_not_step_back(store: &dyn Store) {
    let desk = Desk::new(store).at("2026-03-01T00:00:00Z");
    let (one, two) = (id("1"), id("2"));
    desk.tell(&one, vec![add(10)]).unwrap();
    let earlier = desk.at("2026-02-01T00:00:00Z");
    earlier.tell(&one, vec![add(1)]).unwrap();
    earlier.order(Some(&one), paid("o1", "5.00")).unwrap();
    earlier.tell(&two, vec![add(1)]).unwrap();
    let newest = |who| {
        store
            .ledger(desk.shop, desk.see(who).record().account, None, 1)
            .unwrap()
            .rows[0]
            .at
    };
    assert_eq!((newest(&one), newest(&two)), (desk.now, earlier.now));
    // Nobody sees less by asking for a time before the last entry.
    assert_eq!((earlier.balance(&one), desk.balance(&one)), (16, 16));
}

pub fn a_balance_stays_in_range(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let most = Points::MAX.get();
    desk.tell(&who, vec![add(most)]).unwrap();
    assert_eq!(code(&desk.tell(&who, vec![add(1)])), "points_out_of_range");
    assert_eq!(code(&desk.order(Some(&who), paid("o1", "1.00"))), "points_out_of_range");
    assert_eq!(store.order(desk.shop, &order_id("o1")).unwrap(), None);
    desk.tell(&email("guest@example.com"), vec![add(1)]).unwrap();
    assert_eq!(code(&desk.tell(&both("1", "guest@example.com"), vec![])), "points_out_of_range");
    assert_eq!((desk.balance(&who), desk.balance(&email("guest@example.com"))), (most, 1));
    desk.tell(&who, vec![subtract(most)]).unwrap();
    assert_eq!(desk.balance(&who), 0);
}
