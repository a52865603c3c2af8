//! Runs every fuzz target on its seeds and on thousands of mutations, the same on each
//! run.
//!
//! `cargo fuzz` searches longer and is guided by coverage (`tests/fuzz`); its findings
//! become seeds. `FUZZ_FACTOR=10` runs ten times as many mutations.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may stop where it fails"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use loyalty_tests::targets::{SplitMix64, TARGETS, Target, mutate_seed};

/// Number of mutations of one target's seeds.
const MUTATIONS: usize = 1_500;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut seeds: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect();

    seeds.sort();
    assert!(seeds.len() >= 3, "only {} seeds for {target}", seeds.len());
    seeds
}

fn run(target: &Target, name: &str, data: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(data))).unwrap_or_else(|_| {
        panic!("{} broke on {name}: {:?}", target.name, String::from_utf8_lossy(data))
    })
}

/// Asserts that seeds are accepted unless their name begins with `bad-`, that no input
/// panics, and that mutations are neither all accepted nor all rejected.
fn run_corpus(name: &str) {
    let factor = std::env::var("FUZZ_FACTOR").map_or(1, |factor| factor.parse().unwrap());
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(name);

    let misjudged = seeds
        .iter()
        .filter(|(seed, data)| run(target, seed, data) == seed.starts_with("bad-"));
    let misjudged: Vec<_> = misjudged.map(|(seed, _)| seed.as_str()).collect();
    assert!(
        misjudged.is_empty(),
        "{name}: the names of these seeds say the opposite: {misjudged:?}"
    );

    let (mut random, mut accepted, count) = (SplitMix64(7), 0, MUTATIONS * factor);
    for _ in 0..count {
        let (seed, data) = &seeds[random.below(seeds.len())];
        let (_, other) = &seeds[random.below(seeds.len())];
        accepted += usize::from(run(target, seed, &mutate_seed(&mut random, data, other)));
    }

    // A set that is all rejected, or all accepted, would test nothing.
    let few = count / 50;
    assert!(
        few < accepted && accepted < count - few,
        "{name}: {accepted} of {count} mutations were accepted"
    );
}

#[test]
fn carts() {
    run_corpus("carts");
}

#[test]
fn programs() {
    run_corpus("programs");
}

#[test]
fn requests() {
    run_corpus("requests");
}

#[test]
fn rows() {
    run_corpus("rows");
}

#[test]
fn texts() {
    run_corpus("texts");
}

#[test]
fn webhooks() {
    run_corpus("webhooks");
}

#[test]
fn every_target_is_run_here_and_by_cargo_fuzz() {
    let (tests, cargo) = (include_str!("main.rs"), include_str!("../fuzz/Cargo.toml"));
    for Target { name, .. } in TARGETS {
        assert!(tests.contains(&format!("run_corpus(\"{name}\");")), "no test runs {name}");
        assert!(cargo.contains(&format!("name = \"{name}\"")), "cargo fuzz does not know {name}");
    }
}

#[test]
fn a_panicking_target_is_reported() {
    let careless = Target { name: "careless", run: |data| data[2] == 0 };
    let broken = catch_unwind(|| run(&careless, "seed", b"ab"));
    let message = broken.unwrap_err();
    assert_eq!(message.downcast_ref::<String>().unwrap(), "careless broke on seed: \"ab\"");
}
