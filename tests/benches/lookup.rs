//! What it costs to find a discount code by what a shopper types, among a thousand and among a million.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench lookup
//! ```
//!
//! The files are made once and stay in the target directory, in `tmp`. The codes that are looked for are all over
//! the file, so that most of a million are not in memory. Without `--bench`, as `cargo test --all-targets` runs
//! it, each look-up is tried once, among a few codes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may stop at what it did not expect"
)]

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use loyalty_core::ShopId;
use loyalty_core::discount::Code;
use loyalty_store::{Action, DiscountAction, Discounts, SqliteStore, Store, StoreSettings};
use loyalty_tests::{TestShop, cached_file, expect_decided, ten_percent};

/// The code of a number: drawn as all are, from bytes that follow from the number.
fn code(number: u64) -> Code {
    let half = |salt: u64| {
        // SplitMix64.
        let mixed = number.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27))
            .wrapping_mul(0x94d0_49bb_1331_11eb)
            .to_be_bytes()
    };
    Code::generate("", [half(1), half(1 << 32)].concat().try_into().unwrap()).unwrap()
}

/// A shop with so many codes of one rule, from the file of last time where there is one.
fn shop_with(codes: u64) -> (SqliteStore, ShopId) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = cached_file(directory, &format!("codes-{codes}.db"), |store| fill(store, codes));
    let store = SqliteStore::open(&file, &StoreSettings::default()).unwrap();
    let shop = store.shops().unwrap().first().unwrap().id;
    (store, shop)
}

fn fill(store: &SqliteStore, codes: u64) {
    let desk = TestShop::new(store);
    let rule = desk.create_rule(ten_percent());
    let texts: Vec<_> = (0..codes).map(|number| code(number).to_string()).collect();
    let batches: Vec<_> = texts.chunks(DiscountAction::MAX_BATCH).collect();
    for some in batches.chunks(100) {
        let add = |texts: &&[String]| {
            let action = DiscountAction::AddCodes { rule, texts: texts.to_vec() };
            store.execute(desk.request(Action::Discount(action)))
        };
        let pending: Vec<_> = some.iter().map(add).collect();
        for each in pending {
            expect_decided(each.wait()).unwrap();
        }
    }
    assert_eq!(store.count_codes(desk.id, rule), Ok(codes));
}

fn look_up(criterion: &mut Criterion) {
    let measured = std::env::args().any(|argument| argument == "--bench");
    let mut group = criterion.benchmark_group("a code by its text");
    for codes in if measured { [1_000, 1_000_000] } else { [100, 1_000] } {
        let (store, shop) = shop_with(codes);
        let mut turn = 0_u64;
        // Far apart one after the other, and all of them in turn: the factor and the number are coprime.
        let mut next = || {
            turn += 1;
            turn % codes * 611_953 % codes
        };
        group.bench_function(BenchmarkId::new("known, among", codes), |bencher| {
            bencher.iter_batched(
                || code(next()),
                |text| {
                    store
                        .code_by_text(shop, black_box(&text))
                        .unwrap()
                        .expect("it was made")
                },
                criterion::BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("unknown, among", codes), |bencher| {
            bencher.iter_batched(
                || code(codes + next()),
                |text| assert!(store.code_by_text(shop, black_box(&text)).unwrap().is_none()),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, look_up);
criterion_main!(benches);
