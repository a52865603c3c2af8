//! Kept answers: those of a commit together in blocks, as one row each, and behind them the places where their
//! keys are found.
//!
//! Clients choose the keys, so they come in any order, and each would have a page of its own among many. So a
//! place is a generation of 65,536 answers and 40 bits of the key in it: what is written is among the newest,
//! what is dropped among the oldest. Keys that share a place are told apart in their blocks.

use std::sync::Arc;

use loyalty_core::{ShopId, Timestamp};
use rusqlite::{Connection, Statement, params};

use super::rows::{corrupt, for_each_row, from_micros, query_one, sql_limit, to_micros};
use crate::error::Failure;
use crate::request::Response;
use crate::transact::StoredResponse;

type Db = Connection;

/// Under which an answer is kept.
pub(super) type ResponseKey = (ShopId, [u8; 16]);

/// An answer with its number. Those of a commit have numbers one after the other.
pub(super) type NumberedResponse = (i64, Arc<StoredResponse>);

/// How many bytes fill a block.
const BLOCK_BYTES: usize = 64 << 10;

/// Writes the answers of a commit. Answers in how many blocks.
pub(super) fn append_responses(db: &Db, answers: &[NumberedResponse]) -> Result<usize, Failure> {
    let mut insert = db.prepare_cached("INSERT INTO answers (last, at, block) VALUES (?, ?, ?)")?;
    let (mut block, mut newest, mut blocks) = (Vec::new(), Timestamp::MIN_UTC, 0_usize);
    for (index, (id, kept)) in answers.iter().enumerate() {
        encode_response(&mut block, kept)?;
        newest = newest.max(kept.at);
        if block.len() >= BLOCK_BYTES || index.saturating_add(1) == answers.len() {
            insert.execute(params![id, to_micros(newest), block])?;
            block.clear();
            blocks = blocks.saturating_add(1);
        }
    }
    Ok(blocks)
}

fn encode_response(block: &mut Vec<u8>, kept: &StoredResponse) -> Result<(), Failure> {
    let StoredResponse { shop, key, fingerprint, at, response: answer } = kept;
    let length = u32::try_from(answer.body.len())
        .map_err(|_| corrupt("the length of an answer", &"too long"))?;
    block.extend(shop.0.to_be_bytes());
    block.extend(key);
    block.extend(fingerprint);
    block.extend(to_micros(*at).to_be_bytes());
    block.extend(answer.status.to_be_bytes());
    block.extend(length.to_be_bytes());
    block.extend(&answer.body);
    Ok(())
}

/// The answers of a block, each with its number.
fn decode_block(last: i64, block: &[u8]) -> Result<Vec<(i64, StoredResponse)>, Failure> {
    let (mut found, mut rest) = (Vec::new(), block);
    while !rest.is_empty() {
        found.push(decode_response(&mut rest).ok_or_else(|| corrupt("a block of answers", &last))?);
    }
    let before = i64::try_from(found.len())
        .ok()
        .and_then(|count| last.checked_sub(count));
    let before = before.ok_or_else(|| corrupt("the number of an answer", &last))?;
    Ok((before.saturating_add(1)..).zip(found).collect())
}

fn decode_response(rest: &mut &[u8]) -> Option<StoredResponse> {
    let shop = ShopId(i64::from_be_bytes(take_bytes(rest)?));
    let (key, fingerprint) = (take_bytes(rest)?, take_bytes(rest)?);
    let at = from_micros(i64::from_be_bytes(take_bytes(rest)?)).ok()?;
    let status = u16::from_be_bytes(take_bytes(rest)?);
    let length = usize::try_from(u32::from_be_bytes(take_bytes(rest)?)).ok()?;
    let body;
    (body, *rest) = rest.split_at_checked(length)?;
    Some(StoredResponse {
        shop,
        key,
        fingerprint,
        at,
        response: Response { status, body: body.to_vec() },
    })
}

fn take_bytes<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let found;
    (found, *rest) = rest.split_first_chunk()?;
    Some(*found)
}

fn read_block(row: &rusqlite::Row<'_>) -> Result<Vec<(i64, StoredResponse)>, Failure> {
    let bytes = row
        .get_ref(1)?
        .as_blob()
        .map_err(|error| corrupt("a block of answers", &error))?;
    decode_block(row.get(0)?, bytes)
}

/// The answers behind one of them, oldest first.
pub(super) fn for_each_response(
    db: &Db,
    after: i64,
    mut visit: impl FnMut(i64, StoredResponse),
) -> Result<(), Failure> {
    for_each_row(
        db,
        "SELECT last, block FROM answers WHERE last > ? ORDER BY last",
        [after],
        |row| {
            read_block(row)?.into_iter().for_each(|(id, kept)| visit(id, kept));
            Ok(())
        },
    )
}

// Where keys are found.

const GENERATION_BITS: u32 = 16;
const KEY_BITS: u32 = 40;

/// The place of a key, by the generation of its answer. Part of the file's format.
pub(super) fn slot_of(answer: i64, key: &ResponseKey) -> i64 {
    (answer >> GENERATION_BITS) << KEY_BITS | key_bits(key)
}

/// What of a key is in its places.
pub(super) fn key_bits(key: &ResponseKey) -> i64 {
    key_bits_of_slot(hash_key(key).cast_signed())
}

/// What of its key is in a place.
pub(super) const fn key_bits_of_slot(slot: i64) -> i64 {
    slot & ((1 << KEY_BITS) - 1)
}

/// Keys need not be hashes: an embedder may count.
fn hash_key((shop, key): &ResponseKey) -> u64 {
    let (words, _) = key.as_chunks();
    words
        .iter()
        .fold(mix(shop.0.cast_unsigned()), |hash, word| mix(hash ^ u64::from_be_bytes(*word)))
}

/// Splitmix64's way to have each bit of a number tell in all bits of another.
const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

pub(super) const INSERT_SLOT: &str =
    "INSERT INTO answer_key (slot, answer) VALUES (?, ?) ON CONFLICT DO NOTHING";

/// Where an answer is found.
pub(super) fn insert_slot(
    put: &mut Statement<'_>,
    key: &ResponseKey,
    answer: i64,
) -> Result<(), Failure> {
    put.execute([slot_of(answer, key), answer])?;
    Ok(())
}

/// The places behind one of them, each with its answer's number. For all of them: ten bytes each, and no answer is read.
pub(super) fn read_slots(
    db: &Db,
    after: Option<&(i64, i64)>,
    limit: usize,
) -> Result<Vec<(i64, i64)>, Failure> {
    let (slot, answer) = after.copied().unwrap_or((i64::MIN, 0));
    let sql = "SELECT slot, answer FROM answer_key WHERE (slot, answer) > (?, ?) ORDER BY slot, answer LIMIT ?";
    let mut found = Vec::new();
    for_each_row(db, sql, [slot, answer, sql_limit(limit)], |row| {
        found.push((row.get(0)?, row.get(1)?));
        Ok(())
    })?;
    Ok(found)
}

/// Writes all keys anew, from their answers.
pub(super) fn rebuild_slots(db: &Db) -> Result<(), Failure> {
    let mut put = db.prepare_cached(INSERT_SLOT)?;
    for_each_row(db, "SELECT last, block FROM answers ORDER BY last", [], |row| {
        let mut answers = read_block(row)?.into_iter();
        answers.try_for_each(|(id, kept)| insert_slot(&mut put, &(kept.shop, kept.key), id))
    })
}

/// Looked for in the newest generation first.
pub(super) fn find_response(db: &Db, key: &ResponseKey) -> Result<Option<StoredResponse>, Failure> {
    let mut below = i64::MAX;
    loop {
        let newest: Option<i64> = db
            .prepare_cached("SELECT max(slot) FROM answer_key WHERE slot < ?")?
            .query_row([below], |row| row.get(0))?;
        let Some(newest) = newest else { return Ok(None) };
        let generation = newest >> KEY_BITS;
        let mut at_place = Vec::new();
        let sql = "SELECT answer FROM answer_key WHERE slot = ? ORDER BY answer DESC";
        for_each_row(db, sql, [slot_of(generation << GENERATION_BITS, key)], |row| {
            at_place.push(row.get::<_, i64>(0)?);
            Ok(())
        })?;
        for answer in at_place {
            if let Some(kept) = read_response(db, answer)?
                && (kept.shop, kept.key) == *key
            {
                return Ok(Some(kept));
            }
        }
        below = generation << KEY_BITS;
    }
}

/// The answer with a number; none where it was dropped.
fn read_response(db: &Db, answer: i64) -> Result<Option<StoredResponse>, Failure> {
    let sql = "SELECT last, block FROM answers WHERE last >= ? ORDER BY last LIMIT 1";
    let block = query_one(db, sql, [answer], read_block)?.unwrap_or_default();
    Ok(block
        .into_iter()
        .find_map(|(id, kept)| (id == answer).then_some(kept)))
}

/// Looks at so many of the oldest blocks and drops those from before a time, where their keys have reached their
/// table, until there is room for so many answers. Answers whether more may be too old.
pub(super) fn prune_blocks(
    db: &Db,
    before: Timestamp,
    blocks: usize,
    mut answers: usize,
) -> Result<bool, Failure> {
    let sql = "SELECT last, at FROM answers WHERE last <= (SELECT answer FROM checkpoint) ORDER BY last LIMIT ?";
    let mut old = Vec::new();
    for_each_row(db, sql, [sql_limit(blocks)], |row| {
        if row.get::<_, i64>(1)? < to_micros(before) {
            old.push(row.get::<_, i64>(0)?);
        }
        Ok(())
    })?;
    for last in &old {
        if answers == 0 {
            return Ok(true);
        }
        answers = answers.saturating_sub(delete_block(db, *last)?);
    }
    Ok(old.len() == blocks)
}

fn delete_block(db: &Db, last: i64) -> Result<usize, Failure> {
    let found =
        query_one(db, "SELECT last, block FROM answers WHERE last = ?", [last], read_block)?
            .unwrap_or_default();
    let mut forget = db.prepare_cached("DELETE FROM answer_key WHERE slot = ? AND answer = ?")?;
    for (id, kept) in &found {
        forget.execute([slot_of(*id, &(kept.shop, kept.key)), *id])?;
    }
    db.prepare_cached("DELETE FROM answers WHERE last = ?")?
        .execute([last])?;
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test may stop at what it did not expect"
    )]
    use super::*;
    use crate::sqlite::schema;

    fn open() -> (Db, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (schema::open(&directory.path().join("loyalty.db")).unwrap(), directory)
    }

    fn stored_response(shop: i64, key: u128, body: &str) -> StoredResponse {
        let at = "2026-01-01T12:00:00.000001Z".parse().unwrap();
        let answer = Response { status: 201, body: body.as_bytes().to_vec() };
        StoredResponse {
            shop: ShopId(shop),
            key: key.to_be_bytes(),
            fingerprint: [7; 16],
            at,
            response: answer,
        }
    }

    /// Numbered from one.
    fn number_responses(kept: Vec<StoredResponse>) -> Vec<NumberedResponse> {
        (1..).zip(kept.into_iter().map(Arc::new)).collect()
    }

    fn append_all(db: &Db, placed: &[NumberedResponse]) {
        append_responses(db, placed).unwrap();
        let mut put = db.prepare_cached(INSERT_SLOT).unwrap();
        for (id, kept) in placed {
            insert_slot(&mut put, &(kept.shop, kept.key), *id).unwrap();
        }
    }

    #[test]
    fn blocks_round_trip_at_any_length() {
        let (db, _directory) = open();
        let long = "x".repeat(BLOCK_BYTES / 3);
        let placed = number_responses(
            (0..20)
                .map(|key| stored_response(1, key, if key % 2 == 0 { &long } else { "" }))
                .collect(),
        );
        append_all(&db, &placed);
        let blocks: i64 = db
            .query_row("SELECT count(*) FROM answers", [], |row| row.get(0))
            .unwrap();
        assert!((3..8).contains(&blocks), "{blocks} blocks");
        let mut read = Vec::new();
        for_each_response(&db, 0, |id, kept| read.push((id, Arc::new(kept)))).unwrap();
        assert_eq!(read, placed);
        let mut all: Vec<_> = placed
            .iter()
            .map(|(id, kept)| (slot_of(*id, &(kept.shop, kept.key)), *id))
            .collect();
        all.sort_unstable();
        assert_eq!(read_slots(&db, None, 100).unwrap(), all);
        let (first, rest) = all.split_at(7);
        assert_eq!(read_slots(&db, None, 7).unwrap(), first);
        assert_eq!(read_slots(&db, first.last(), 100).unwrap(), rest);
        for (_, kept) in placed {
            assert_eq!(find_response(&db, &(kept.shop, kept.key)).unwrap(), Some((*kept).clone()));
        }
    }

    #[test]
    fn keys_in_one_slot_are_distinguished_and_pruned_separately() {
        let (db, _directory) = open();
        // Whatever a key begins with, in whatever shop, some end leads to this place.
        let shared = |shop, start: u64, body| {
            let end = 7 ^ mix(mix(u64::try_from(shop).unwrap()) ^ start);
            stored_response(shop, u128::from(start) << 64 | u128::from(end), body)
        };
        let mut first = shared(1, 1, "first");
        first.at = "2025-01-01T12:00:00Z".parse().unwrap();
        let placed = number_responses(vec![
            first,
            shared(1, 2, "second"),
            shared(1, 3, "third"),
            shared(2, 3, "of another shop"),
            stored_response(1, 3, "elsewhere"),
        ]);
        for one in &placed {
            append_all(&db, std::slice::from_ref(one));
        }
        let slots: i64 = db
            .query_row("SELECT count(DISTINCT slot) FROM answer_key", [], |row| row.get(0))
            .unwrap();
        assert_eq!(slots, 2);
        for (_, kept) in &placed {
            assert_eq!(find_response(&db, &(kept.shop, kept.key)).unwrap().as_ref(), Some(&**kept));
        }
        assert_eq!(find_response(&db, &(ShopId(1), 4_u128.to_be_bytes())).unwrap(), None);

        db.execute("UPDATE checkpoint SET answer = 5", []).unwrap();
        let before = "2025-06-01T12:00:00Z".parse().unwrap();
        assert!(!prune_blocks(&db, before, 2, 100).unwrap());
        let found = |(_, kept): &NumberedResponse| {
            find_response(&db, &(kept.shop, kept.key)).unwrap().is_some()
        };
        assert_eq!(placed.iter().map(found).collect::<Vec<_>>(), [false, true, true, true, true]);
    }

    #[test]
    fn the_newest_answer_of_a_key_is_found_first() {
        let (db, _directory) = open();
        let numbers = [
            1,
            2,
            (1 << GENERATION_BITS) - 1,
            1 << GENERATION_BITS,
            5 << GENERATION_BITS,
            (5 << GENERATION_BITS) + 9,
        ];
        for number in numbers {
            let body = number.to_string();
            append_all(&db, &[(number, Arc::new(stored_response(1, 1, &body)))]);
            assert_eq!(
                find_response(&db, &(ShopId(1), 1_u128.to_be_bytes())).unwrap(),
                Some(stored_response(1, 1, &body))
            );
        }
        db.execute("UPDATE checkpoint SET answer = ?", [i64::MAX]).unwrap();
        let left = || -> (i64, i64) {
            let sql = "SELECT (SELECT count(*) FROM answers), (SELECT count(*) FROM answer_key)";
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let prune = |blocks, answers| {
            prune_blocks(&db, "2026-01-02T12:00:00Z".parse().unwrap(), blocks, answers).unwrap()
        };
        assert_eq!((prune(2, 100), left()), (true, (4, 4)));
        assert_eq!((prune(100, 1), left()), (true, (3, 3)));
        assert_eq!((prune(100, 100), left()), (false, (0, 0)));
        assert_eq!(find_response(&db, &(ShopId(1), 1_u128.to_be_bytes())).unwrap(), None);
    }

    /// Files hold them: who reckons otherwise does not find them.
    #[test]
    fn slots_of_released_files_do_not_change() {
        let slots = [(1, 1, 1), (1, 65_536, 1), (2, 1, 1), (1, 1, u128::MAX)]
            .map(|(shop, answer, key)| slot_of(answer, &(ShopId(shop), key.to_be_bytes())));
        assert_eq!(
            slots,
            [42_381_422_217, (1 << 40) + 42_381_422_217, 978_618_774_808, 537_146_336_257]
        );
    }

    #[test]
    fn a_corrupt_block_is_an_error() {
        let (mut block, count) = (Vec::new(), 3);
        (0..count)
            .for_each(|key| encode_response(&mut block, &stored_response(1, key, "body")).unwrap());
        assert_eq!(decode_block(9, &block).unwrap().len(), 3);
        let whole = block.len() / 3;
        for length in 0..block.len() {
            let read = decode_block(9, &block[..length]);
            assert_eq!(read.is_ok(), length % whole == 0, "of {length} bytes: {read:?}");
        }
        // No instant is so far away.
        block.splice(40..48, i64::MAX.to_be_bytes());
        assert!(matches!(decode_block(9, &block), Err(Failure::Corrupt(_))));
        assert!(matches!(decode_block(i64::MIN, &block[whole..]), Err(Failure::Corrupt(_))));
    }
}
