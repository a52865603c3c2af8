//! Mutations that leave most of an input well formed, so that they test more than the
//! parser.

use std::ops::Range;

/// A generator of reproducible pseudo-random numbers (`SplitMix64`).
#[derive(Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);

        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end.max(1)).expect("it has room"))
            .expect("it has room")
    }
}

/// Tokens that are hard for parsers.
const HARD_TOKENS: [&str; 24] = [
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

fn pick<T>(random: &mut SplitMix64, all: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = all.collect();
    if all.is_empty() { None } else { Some(all.swap_remove(random.below(all.len()))) }
}

/// Ranges of letters and digits.
fn word_ranges(data: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let ends = (0..data.len())
        .filter(move |end| is_word(&data[*end]) && !data.get(end + 1).is_some_and(is_word));
    ends.map(move |end| {
        let before = data[..end].iter().rposition(|byte| !is_word(byte));
        before.map_or(0, |before| before + 1)..end + 1
    })
}

/// Ranges of the JSON values, nested ones and member names included.
fn value_ranges(data: &[u8]) -> Vec<Range<usize>> {
    let (mut values, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(byte) = data.get(at) {
        let end = at + token_length(&data[at..]);
        match byte {
            b'{' | b'[' => open.push(at),
            b'}' | b']' => values.extend(open.pop().map(|from| from..end)),
            b'"' | b'-' | b'a'..=b'z' | b'0'..=b'9' => values.push(at..end),
            _ => {}
        }
        at = end;
    }
    values
}

/// Length of the string, number or word at the start; 1 for any other byte.
fn token_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };

    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-+._".contains(byte);
    match rest {
        [b'"', text @ ..] => text.iter().position(ends).map_or(rest.len(), |end| end + 2),
        _ => rest.iter().take_while(is_part).count().max(1),
    }
}

/// The seed with one to three changes; sometimes its end is replaced by another seed's.
#[must_use]
pub fn mutate_seed(random: &mut SplitMix64, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=random.below(3) {
        let (at, end) = (random.below(data.len() + 1), random.below(data.len() + 1));
        let (from, to) = (at.min(end), at.max(end));
        match random.below(15) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => {
                data[at] = u8::try_from(random.below(256)).expect("it has room");
            }
            2 => data.truncate(at),
            3 => drop(data.splice(at..at, HARD_TOKENS[random.below(HARD_TOKENS.len())].bytes())),
            4 => {
                let copy: Vec<u8> = data[from..to.min(from + 40)].to_vec();
                drop(data.splice(at..at, copy));
            }
            5 => drop(data.drain(from..to.min(from + 12))),
            // Well-formed input gets further: another digit, or another word or value of
            // a seed.
            6..=8 => {
                let digits = (0..data.len()).filter(|index| data[*index].is_ascii_digit());
                if let Some(index) = pick(random, digits) {
                    data[index] = b'0' + u8::try_from(random.below(10)).expect("it has room");
                }
            }
            9 | 10 => {
                let (range, word) =
                    (pick(random, word_ranges(&data)), pick(random, word_ranges(other)));
                if let (Some(range), Some(word)) = (range, word) {
                    drop(data.splice(range, other[word].iter().copied()));
                }
            }
            11..=13 => {
                let range = pick(random, value_ranges(&data).into_iter());
                if let (Some(range), Some(value)) =
                    (range, pick(random, value_ranges(other).into_iter()))
                {
                    drop(data.splice(range, other[value].iter().copied()));
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

/// For libFuzzer: mutates the first `size` bytes in place, to at most `most` bytes.
/// Returns the new length.
pub fn mutate_in_place(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let from = data.get(..size).unwrap_or_default();
    let mut changed = mutate_seed(&mut SplitMix64(seed.into()), from, from);
    changed.truncate(max_size.min(data.len()));
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
}
