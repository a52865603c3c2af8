//! Cases with many concurrent clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Barrier, Mutex};

use super::test_shop::*;
use crate::{
    Action, CustomerRef, DiscountAction, Existence, RedemptionAction, Rejection, Reply,
    SearchQuery, Store,
};
use loyalty_core::discount::PriceRuleParts;
use loyalty_core::{CheckoutId, PriceRuleId, RewardId};

use super::redemptions::REWARDS;

/// 64 threads spend points that are enough for one. Results are checked at the end: a
/// panic between the barriers would block the other threads.
pub fn points_are_spent_once(store: &dyn Store) {
    const THREADS: usize = 64;
    const ROUNDS: usize = 70;
    let shop = TestShop::new(store);
    let (customer, barrier) = (id("1"), Barrier::new(THREADS));
    let winners: Vec<AtomicI64> = (0..ROUNDS).map(|_| AtomicI64::new(0)).collect();
    let unexpected: Mutex<Vec<String>> = Mutex::default();
    let execute = |command| {
        let action = Action::for_customer(customer.clone(), Existence::Any, vec![command]);
        match store.execute(shop.request(action)).wait() {
            Ok(Reply::Decided(Ok(_))) => return true,
            Ok(Reply::Decided(Err(rejection))) if rejection.code() == "insufficient_points" => {}
            other => unexpected.lock().unwrap().push(format!("{other:?}")),
        }
        false
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (winners, barrier, execute) = (&winners, &barrier, &execute);
            scope.spawn(move || {
                for winners in winners {
                    if thread == 0 {
                        execute(set_balance(10));
                    }
                    barrier.wait();
                    winners.fetch_add(i64::from(execute(subtract(10))), Ordering::SeqCst);
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(*unexpected.lock().unwrap(), Vec::<String>::new());
    assert!(winners.iter().all(|winners| winners.load(Ordering::SeqCst) == 1), "{winners:?}");
    assert_eq!(shop.balance(&customer), 0);
}

/// The number of rounds of a race with expensive rounds. The environment variable
/// `RACE_ROUNDS` sets another number for all races.
const ROUNDS_EXPENSIVE: usize = 60;

/// The number of rounds of a race with cheap rounds.
const ROUNDS_CHEAP: usize = 500;

fn rounds(usual: usize) -> usize {
    std::env::var("RACE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(usual)
}

/// Runs 64 threads in each round, of which exactly one must succeed.
fn race_for_one(
    store: &dyn Store,
    usual_rounds: usize,
    prepare: impl Fn(&TestShop<'_>, usize) + Sync,
    try_it: impl Fn(&TestShop<'_>, usize, usize) -> bool + Sync,
) {
    const THREADS: usize = 64;
    let (shop, barrier) = (TestShop::new(store), Barrier::new(THREADS));
    let winners: Vec<AtomicI64> = (0..rounds(usual_rounds)).map(|_| AtomicI64::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (winners, barrier, prepare, try_it) = (&winners, &barrier, &prepare, &try_it);
            scope.spawn(move || {
                for (round, winners) in winners.iter().enumerate() {
                    if thread == 0 {
                        prepare(&shop, round);
                    }
                    barrier.wait();
                    winners.fetch_add(i64::from(try_it(&shop, round, thread)), Ordering::SeqCst);
                    barrier.wait();
                }
            });
        }
    });
    assert!(winners.iter().all(|winners| winners.load(Ordering::SeqCst) == 1), "{winners:?}");
}

fn create_single_use_code(shop: &TestShop<'_>, round: usize) {
    let rule = shop.create_rule(PriceRuleParts { usage_limit: Some(1), ..ten_percent() });
    shop.create_code(rule, &format!("ROUND{round}"));
}

pub fn a_code_with_one_use_left_is_used_by_one_order(store: &dyn Store) {
    race_for_one(store, ROUNDS_EXPENSIVE, create_single_use_code, |shop, round, thread| {
        let (order, code) = (format!("o{round}-{thread}"), format!("round{round}"));
        let outcome = shop.execute_order(
            Some(&id(&thread.to_string())),
            record_paid_with_codes(&order, "10", &[&code]),
        );
        outcome.is_ok_and(|receipt| receipt.codes.iter().any(|code| code.outcome.is_ok()))
    });
}

pub fn a_code_with_one_use_left_is_reserved_by_one_checkout(store: &dyn Store) {
    race_for_one(store, ROUNDS_CHEAP, create_single_use_code, |shop, round, thread| {
        let checkout = CheckoutId::new(format!("c{round}-{thread}")).unwrap();
        let (codes, until) =
            (vec![discount_code(&format!("round{round}"))], at("2026-01-01T13:00:00Z"));
        let (customer, segments) = (None, Vec::new());
        shop.execute_discount(DiscountAction::Reserve {
            checkout,
            codes,
            customer,
            rules: Vec::new(),
            segments,
            until,
        })
        .is_ok()
    });
}

/// The points are enough for one reward. The other requests are rejected with the missing
/// points.
pub fn points_buy_one_reward(store: &dyn Store) {
    let unexpected: Mutex<Vec<Rejection>> = Mutex::default();
    let prepare = |shop: &TestShop<'_>, round| {
        if round == 0 {
            shop.execute(publish_action(REWARDS)).unwrap();
        }
        shop.execute_commands(&id("1"), vec![set_balance(190)]).unwrap();
    };
    race_for_one(store, ROUNDS_CHEAP, prepare, |shop, round, thread| {
        let entropy = u128::try_from(round * 64 + thread).unwrap().to_be_bytes();
        let (customer, reward) = (id("1"), RewardId::new("five").unwrap());
        let issue =
            RedemptionAction::Issue { customer, reward, amount: None, subtotal: None, entropy };
        let short =
            loyalty_core::Rejection::InsufficientPoints { have: points(90), need: points(100) };
        match shop.execute(Action::Redemption(issue)) {
            Ok(_) => true,
            Err(rejection) if rejection == Rejection::Rules(short) => false,
            // Checked at the end: a panic would block the other threads at the barrier.
            Err(rejection) => {
                unexpected.lock().unwrap().push(rejection);
                false
            }
        }
    });
    assert_eq!(*unexpected.lock().unwrap(), []);
}

pub fn a_text_is_added_as_one_code(store: &dyn Store) {
    let rules: Mutex<HashMap<usize, PriceRuleId>> = Mutex::default();
    let prepare = |shop: &TestShop<'_>, round| {
        rules.lock().unwrap().insert(round, shop.create_rule(ten_percent()));
    };
    race_for_one(store, ROUNDS_EXPENSIVE, prepare, |shop, round, _| {
        let rule = rules.lock().unwrap()[&round];
        shop.execute_discount(DiscountAction::AddCode {
            rule,
            text: discount_code(&format!("TEXT{round}")),
        })
        .is_ok()
    });
}

pub fn the_same_key_has_one_effect(store: &dyn Store) {
    const KEYS: usize = 60;
    let shop = TestShop::new(store);
    let responses: Mutex<HashMap<usize, (u16, String)>> = Mutex::default();
    let executed = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..32 {
            let (responses, executed) = (&responses, &executed);
            scope.spawn(move || {
                for turn in 0..KEYS {
                    let number = (turn + thread % 4) % KEYS;
                    let action = Action::for_customer(
                        id(&format!("c{}", number % 5)),
                        Existence::Any,
                        vec![add(1)],
                    );
                    let (status, body, replayed) =
                        expect_stored(shop.execute_with_key(&format!("k{number}"), action));
                    executed.fetch_add(i64::from(!replayed), Ordering::SeqCst);
                    let response = (status, body);
                    let mut responses = responses.lock().unwrap();
                    assert_eq!(
                        responses.entry(number).or_insert_with(|| response.clone()),
                        &response
                    );
                }
            });
        }
    });
    assert_eq!(executed.load(Ordering::SeqCst), 60);

    let balances: Vec<i64> = (0..5)
        .map(|number| shop.balance(&id(&format!("c{number}"))))
        .collect();
    assert_eq!(balances, [12; 5]);
}

/// Each request adds seven points in two events. A read must see multiples of seven,
/// never less than before, and at least what was acknowledged before the read.
pub fn readers_see_committed_transactions_only(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customers: Vec<(CustomerRef, CustomerRef)> = (0..40)
        .map(|n| (id(&n.to_string()), email(&format!("{n}@x.org"))))
        .collect();
    let accounts: Vec<_> = (0..40)
        .map(|n| {
            shop.execute_commands(&id_and_email(&n.to_string(), &format!("{n}@x.org")), vec![])
                .unwrap()
        })
        .map(|receipt| receipt.customer.unwrap().record().account)
        .collect();
    let acknowledged: Vec<AtomicI64> = customers.iter().map(|_| AtomicI64::new(0)).collect();
    let ended = StopFlag::default();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_usize)
            .map(|writer| {
                let (customers, acknowledged) = (&customers, &acknowledged);
                scope.spawn(move || {
                    for turn in 0..250 {
                        let at = (turn * (writer + 1) + writer) % 40;
                        shop.execute_commands(&customers[at].0, vec![add(3), add(4)]).unwrap();
                        acknowledged[at].fetch_add(7, Ordering::SeqCst);
                        let least = acknowledged[at].load(Ordering::SeqCst);
                        assert!(shop.balance(&customers[at].1) >= least);
                    }
                })
            })
            .collect();
        for reader in 0..3 {
            let (customers, acknowledged, ended, accounts) =
                (&customers, &acknowledged, &ended, &accounts);
            scope.spawn(move || {
                let mut seen = [0; 40];
                for turn in (reader..).take_while(|_| !ended.is_set()) {
                    let at = turn * 7 % 40;
                    let least = acknowledged[at].load(Ordering::SeqCst);
                    let (one, other) = &customers[at];
                    let balance = match turn % 4 {
                        0 => shop.balance(one),
                        1 => shop.balance(other),
                        2 => {
                            let found =
                                store.customer_by_account(shop.id, accounts[at]).unwrap().unwrap();
                            found.balance(shop.now).get()
                        }
                        _ => {
                            let all_customers = SearchQuery::default();
                            let page = store
                                .customers(shop.id, &all_customers, Some(accounts[at]), 1)
                                .unwrap();
                            let journal =
                                store.account_journal(shop.id, accounts[at], None, 1).unwrap();
                            assert!(page.items.len() == usize::from(at < 39));
                            journal.rows[0].balance.get()
                        }
                    };
                    assert!(
                        balance % 7 == 0 && balance >= least && balance >= seen[at],
                        "{balance}, {least}"
                    );
                    seen[at] = balance;
                }
            });
        }
        let _end = ended.set_on_drop();
        for writer in writers {
            writer.join().unwrap();
        }
    });
    let sum: i64 = customers.iter().map(|(customer, _)| shop.balance(customer)).sum();
    assert_eq!(sum, 4 * 250 * 7);
}

/// A read by e-mail during a merge finds the guest or the customer, always with the
/// points.
pub fn a_guest_stays_readable_during_a_merge(store: &dyn Store) {
    let shop = TestShop::new(store);
    let name = |number: i64| (number.to_string(), format!("{number}@x.org"));
    let (ended, current) = (StopFlag::default(), AtomicI64::new(-1));
    std::thread::scope(|scope| {
        let _end = ended.set_on_drop();
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.is_set() {
                    let number = current.load(Ordering::SeqCst);
                    assert!(number < 0 || shop.balance(&email(&name(number).1)) >= 5);
                }
            });
        }
        for number in 0..300 {
            let (id, address) = name(number);
            shop.execute_commands(&super::test_shop::id(&id), vec![add(10)])
                .unwrap();
            shop.execute_commands(&email(&address), vec![add(5)]).unwrap();
            current.store(number, Ordering::SeqCst);
            shop.execute_profile(&id_and_email(&id, &address), vec![]).unwrap();
            assert_eq!(shop.balance(&email(&address)), 15);
        }
    });
}

/// Concurrent orders, merges and reads of the same customers leave a consistent store.
pub fn guests_are_merged_while_they_order(store: &dyn Store) {
    let shop = TestShop::new(store);
    std::thread::scope(|scope| {
        for thread in 0..8_i64 {
            scope.spawn(move || {
                for turn in 0..40 {
                    let (number, order) = (turn % 10, format!("o{thread}-{turn}"));
                    let address = format!("{number}@x.org");
                    let customer = match (thread + turn) % 3 {
                        0 => email(&address),
                        1 => id(&number.to_string()),
                        _ => id_and_email(&number.to_string(), &address),
                    };
                    shop.execute_profile(&customer, vec![]).unwrap();
                    shop.execute_order(Some(&customer), record_paid(&order, "10.00"))
                        .unwrap();
                    shop.execute_order(None, refund(&order, "r", "3.00")).unwrap();
                }
            });
        }
    });
    let sum: i64 = (0..10)
        .map(|n| id_and_email(&n.to_string(), &format!("{n}@x.org")))
        .map(|customer| {
            shop.execute_profile(&customer, vec![]).unwrap();
            shop.balance(&customer)
        })
        .sum();
    assert_eq!(sum, 8 * 40 * 7);
    assert_eq!(store.count_customers(shop.id, &SearchQuery::default()).unwrap(), 10);
}

/// A flag that stops other threads.
#[derive(Default)]
pub struct StopFlag(AtomicBool);

impl StopFlag {
    /// Returns true once the flag is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns a guard that sets the flag when it is dropped, also by a panic.
    pub fn set_on_drop(&self) -> impl Drop + '_ {
        struct SetOnDrop<'a>(&'a StopFlag);
        impl Drop for SetOnDrop<'_> {
            fn drop(&mut self) {
                self.0.0.store(true, Ordering::Relaxed);
            }
        }
        SetOnDrop(self)
    }
}
