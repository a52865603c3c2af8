//! The cost of finding a discount code by its text, among a thousand and among a million.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench lookup
//! ```
//!
//! The database files are created once and remain in `tmp` of the target directory. The
//! codes are spread over the whole file, so that most of a million are not in memory.
//! Without `--bench`, as in `cargo test --all-targets`, each case runs once on a few
//! codes.
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

/// The code with this number, drawn from bytes derived from it.
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

/// A shop with this number of codes of one rule, from a cached file if there is one.
fn shop_with(codes: u64) -> (SqliteStore, ShopId) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = cached_file(directory, &format!("codes-{codes}.db"), |store| fill(store, codes));
    let store = SqliteStore::open(&file, &StoreSettings::default()).unwrap();
    let shop = store.shops().unwrap().first().unwrap().id;
    (store, shop)
}

fn fill(store: &SqliteStore, codes: u64) {
    let shop = TestShop::new(store);
    let rule = shop.create_rule(ten_percent());
    let texts: Vec<_> = (0..codes).map(|number| code(number).to_string()).collect();
    let batches: Vec<_> = texts.chunks(DiscountAction::MAX_BATCH).collect();

    for group in batches.chunks(100) {
        let add = |texts: &&[String]| {
            let action = DiscountAction::AddCodes { rule, texts: texts.to_vec() };
            store.execute(shop.request(Action::Discount(action)))
        };
        let pending: Vec<_> = group.iter().map(add).collect();
        for each in pending {
            expect_decided(each.wait()).unwrap();
        }
    }
    assert_eq!(store.count_codes(shop.id, rule), Ok(codes));
}

fn look_up(criterion: &mut Criterion) {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let mut group = criterion.benchmark_group("a code by its text");
    for codes in if is_bench { [1_000, 1_000_000] } else { [100, 1_000] } {
        let (store, shop) = shop_with(codes);
        let mut turn = 0_u64;

        // Far apart, and all of them in turn: the factor and the number are coprime.
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
                        .expect("it exists")
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
