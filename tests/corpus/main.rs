//! Every fuzz target over its seeds, and over thousands of mutations of them, the same on every run.
//!
//! `cargo fuzz` searches longer and follows what it reaches (`tests/fuzz`); what it finds becomes a seed. More
//! mutations here by `FUZZ_FACTOR=10`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may stop where it fails"
)]

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use loyalty_tests::targets::{TARGETS, Target};

/// How many mutations are made of each target's seeds together.
const MUTATIONS: usize = 1_500;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut seeds: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 3, "only {} seeds for {target}", seeds.len());
    seeds
}

fn run(target: &Target, name: &str, data: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(data)))
        .unwrap_or_else(|_| panic!("{} broke on {name}: {:?}", target.name, String::from_utf8_lossy(data)))
}

/// Numbers that look random and are the same on every run (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// What parsers stumble over.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "0.00000000000000000001",
    "9007199254740993",
    "99999999999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"\\u0000\"",
    "\\ud83d",
    "\u{202e}",
    "%00",
    "%ff",
    "..",
    "\n---\n",
    "2026-02-30T00:00:00Z",
    "+262143-12-31T23:59:59Z",
    "P100Y",
    "[[[[[[[[",
    "ı",
    "\u{fffd}",
];

fn one<T>(random: &mut Random, all: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = all.collect();
    if all.is_empty() { None } else { Some(all.swap_remove(random.below(all.len()))) }
}

/// Where letters and digits stand together.
fn words(data: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let ends = (0..data.len()).filter(move |end| is_word(&data[*end]) && !data.get(end + 1).is_some_and(is_word));
    ends.map(move |end| {
        let before = data[..end].iter().rposition(|byte| !is_word(byte));
        before.map_or(0, |before| before + 1)..end + 1
    })
}

/// The seed with up to three changes; sometimes the end is another seed's.
fn mutated(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=random.below(3) {
        let (at, end) = (random.below(data.len() + 1), random.below(data.len() + 1));
        let (from, to) = (at.min(end), at.max(end));
        match random.below(12) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = u8::try_from(random.below(256)).unwrap(),
            2 => data.truncate(at),
            3 => drop(data.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            4 => {
                let again: Vec<u8> = data[from..to.min(from + 40)].to_vec();
                drop(data.splice(at..at, again));
            }
            5 => drop(data.drain(from..to.min(from + 12))),
            // What is still well formed gets further: another digit, another word of the same text.
            6..=8 => {
                let digits = (0..data.len()).filter(|place| data[*place].is_ascii_digit());
                if let Some(place) = one(random, digits) {
                    data[place] = b'0' + u8::try_from(random.below(10)).unwrap();
                }
            }
            9 | 10 => {
                let (place, word) = (one(random, words(&data)), one(random, words(other)));
                if let (Some(place), Some(word)) = (place, word) {
                    drop(data.splice(place, other[word].iter().copied()));
                }
            }
            _ => {
                let cut = random.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[cut..]);
            }
        }
    }
    data.truncate(16 << 10);
    data
}

/// Seeds are taken, and neither they nor their mutations break anything.
fn over(name: &str) {
    let factor = std::env::var("FUZZ_FACTOR").map_or(1, |factor| factor.parse().unwrap());
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(name);
    for (seed, data) in &seeds {
        let meant_to_fail = seed.starts_with("bad-");
        assert_eq!(run(target, seed, data), !meant_to_fail, "{name}: the seed {seed} is read otherwise");
    }
    let (mut random, mut taken, count) = (Random(7), 0, MUTATIONS * factor);
    for _ in 0..count {
        let (seed, data) = &seeds[random.below(seeds.len())];
        let (_, other) = &seeds[random.below(seeds.len())];
        taken += usize::from(run(target, seed, &mutated(&mut random, data, other)));
    }
    // Both ways are gone: mutations that are all refused, or all alike, would try nothing.
    let few = count / 50;
    assert!(few < taken && taken < count - few, "{name}: {taken} of {count} mutations were read");
}

#[test]
fn carts() {
    over("carts");
}

#[test]
fn programs() {
    over("programs");
}

#[test]
fn requests() {
    over("requests");
}

#[test]
fn rows() {
    over("rows");
}

#[test]
fn texts() {
    over("texts");
}

#[test]
fn webhooks() {
    over("webhooks");
}

#[test]
fn every_target_is_run_here_and_by_cargo_fuzz() {
    let (tests, cargo) = (include_str!("main.rs"), include_str!("../fuzz/Cargo.toml"));
    for Target { name, .. } in TARGETS {
        assert!(tests.contains(&format!("over(\"{name}\");")), "no test runs {name}");
        assert!(cargo.contains(&format!("name = \"{name}\"")), "cargo fuzz does not know {name}");
    }
}

#[test]
fn a_target_that_breaks_is_noticed() {
    let careless = Target { name: "careless", run: |data| data[2] == 0 };
    let broken = catch_unwind(|| run(&careless, "seed", b"ab"));
    let message = broken.unwrap_err();
    assert_eq!(message.downcast_ref::<String>().unwrap(), "careless broke on seed: \"ab\"");
}
