//! Kept answers: those of a commit together in blocks, as one row each, and behind them the places where their
//! keys are found.
//!
//! Clients choose the keys, so they come in any order, and each would have a page of its own among many. So a
//! place is a generation of 65,536 answers and 40 bits of the key in it: what is written is among the newest,
//! what is dropped among the oldest. Keys that share a place are told apart in their blocks.

use std::sync::Arc;

use loyalty_core::{ShopId, Timestamp};
use rusqlite::{Connection, Statement, params};

use super::rows::{damaged, each, micros, one, room, timestamp};
use crate::error::Failure;
use crate::request::Response;
use crate::transact::StoredResponse;

type Db = Connection;

/// Under which an answer is kept.
pub(super) type AnswerKey = (ShopId, [u8; 16]);

/// An answer with its number. Those of a commit have numbers one after the other.
pub(super) type Placed = (i64, Arc<StoredResponse>);

/// How many bytes fill a block.
const BLOCK: usize = 64 << 10;

/// Writes the answers of a commit. Answers in how many blocks.
pub(super) fn append(db: &Db, answers: &[Placed]) -> Result<usize, Failure> {
    let mut insert = db.prepare_cached("INSERT INTO answers (last, at, block) VALUES (?, ?, ?)")?;
    let (mut block, mut newest, mut blocks) = (Vec::new(), Timestamp::MIN_UTC, 0_usize);
    for (index, (id, kept)) in answers.iter().enumerate() {
        put(&mut block, kept)?;
        newest = newest.max(kept.at);
        if block.len() >= BLOCK || index.saturating_add(1) == answers.len() {
            insert.execute(params![id, micros(newest), block])?;
            block.clear();
            blocks = blocks.saturating_add(1);
        }
    }
    Ok(blocks)
}

fn put(block: &mut Vec<u8>, kept: &StoredResponse) -> Result<(), Failure> {
    let StoredResponse { shop, key, fingerprint, at, response: answer } = kept;
    let length = u32::try_from(answer.body.len())
        .map_err(|_| damaged("the length of an answer", &"too long"))?;
    block.extend(shop.0.to_be_bytes());
    block.extend(key);
    block.extend(fingerprint);
    block.extend(micros(*at).to_be_bytes());
    block.extend(answer.status.to_be_bytes());
    block.extend(length.to_be_bytes());
    block.extend(&answer.body);
    Ok(())
}

/// The answers of a block, each with its number.
fn answers(last: i64, block: &[u8]) -> Result<Vec<(i64, StoredResponse)>, Failure> {
    let (mut found, mut rest) = (Vec::new(), block);
    while !rest.is_empty() {
        found.push(take(&mut rest).ok_or_else(|| damaged("a block of answers", &last))?);
    }
    let before = i64::try_from(found.len())
        .ok()
        .and_then(|count| last.checked_sub(count));
    let before = before.ok_or_else(|| damaged("the number of an answer", &last))?;
    Ok((before.saturating_add(1)..).zip(found).collect())
}

fn take(rest: &mut &[u8]) -> Option<StoredResponse> {
    let shop = ShopId(i64::from_be_bytes(bytes(rest)?));
    let (key, fingerprint) = (bytes(rest)?, bytes(rest)?);
    let at = timestamp(i64::from_be_bytes(bytes(rest)?)).ok()?;
    let status = u16::from_be_bytes(bytes(rest)?);
    let length = usize::try_from(u32::from_be_bytes(bytes(rest)?)).ok()?;
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

fn bytes<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let found;
    (found, *rest) = rest.split_first_chunk()?;
    Some(*found)
}

fn block(row: &rusqlite::Row<'_>) -> Result<Vec<(i64, StoredResponse)>, Failure> {
    let bytes = row
        .get_ref(1)?
        .as_blob()
        .map_err(|error| damaged("a block of answers", &error))?;
    answers(row.get(0)?, bytes)
}

/// The answers behind one of them, oldest first.
pub(super) fn each_after(
    db: &Db,
    after: i64,
    mut visit: impl FnMut(i64, StoredResponse),
) -> Result<(), Failure> {
    each(
        db,
        "SELECT last, block FROM answers WHERE last > ? ORDER BY last",
        [after],
        |row| {
            block(row)?.into_iter().for_each(|(id, kept)| visit(id, kept));
            Ok(())
        },
    )
}

// Where keys are found.

const GENERATION: u32 = 16;
const HASH: u32 = 40;

/// The place of a key, by the generation of its answer. Part of the file's format.
pub(super) fn slot(answer: i64, key: &AnswerKey) -> i64 {
    (answer >> GENERATION) << HASH | mark(key)
}

/// What of a key is in its places.
pub(super) fn mark(key: &AnswerKey) -> i64 {
    mark_in(hash(key).cast_signed())
}

/// What of its key is in a place.
pub(super) const fn mark_in(slot: i64) -> i64 {
    slot & ((1 << HASH) - 1)
}

/// Keys need not be hashes: an embedder may count.
fn hash((shop, key): &AnswerKey) -> u64 {
    let (words, _) = key.as_chunks();
    words.iter().fold(mixed(shop.0.cast_unsigned()), |hash, word| {
        mixed(hash ^ u64::from_be_bytes(*word))
    })
}

/// Splitmix64's way to have each bit of a number tell in all bits of another.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

pub(super) const PUT_KEY: &str =
    "INSERT INTO answer_key (slot, answer) VALUES (?, ?) ON CONFLICT DO NOTHING";

/// Where an answer is found.
pub(super) fn put_key(
    put: &mut Statement<'_>,
    key: &AnswerKey,
    answer: i64,
) -> Result<(), Failure> {
    put.execute([slot(answer, key), answer])?;
    Ok(())
}

/// The places behind one of them, each with its answer's number. For all of them: ten bytes each, and no answer is read.
pub(super) fn places(
    db: &Db,
    after: Option<&(i64, i64)>,
    limit: usize,
) -> Result<Vec<(i64, i64)>, Failure> {
    let (slot, answer) = after.copied().unwrap_or((i64::MIN, 0));
    let sql = "SELECT slot, answer FROM answer_key WHERE (slot, answer) > (?, ?) ORDER BY slot, answer LIMIT ?";
    let mut found = Vec::new();
    each(db, sql, [slot, answer, room(limit)], |row| {
        found.push((row.get(0)?, row.get(1)?));
        Ok(())
    })?;
    Ok(found)
}

/// Writes all keys anew, from their answers.
pub(super) fn put_keys(db: &Db) -> Result<(), Failure> {
    let mut put = db.prepare_cached(PUT_KEY)?;
    each(db, "SELECT last, block FROM answers ORDER BY last", [], |row| {
        let mut answers = block(row)?.into_iter();
        answers.try_for_each(|(id, kept)| put_key(&mut put, &(kept.shop, kept.key), id))
    })
}

/// Looked for in the newest generation first.
pub(super) fn find(db: &Db, key: &AnswerKey) -> Result<Option<StoredResponse>, Failure> {
    let mut below = i64::MAX;
    loop {
        let newest: Option<i64> = db
            .prepare_cached("SELECT max(slot) FROM answer_key WHERE slot < ?")?
            .query_row([below], |row| row.get(0))?;
        let Some(newest) = newest else { return Ok(None) };
        let generation = newest >> HASH;
        let mut at_place = Vec::new();
        let sql = "SELECT answer FROM answer_key WHERE slot = ? ORDER BY answer DESC";
        each(db, sql, [slot(generation << GENERATION, key)], |row| {
            at_place.push(row.get::<_, i64>(0)?);
            Ok(())
        })?;
        for answer in at_place {
            if let Some(kept) = numbered(db, answer)?
                && (kept.shop, kept.key) == *key
            {
                return Ok(Some(kept));
            }
        }
        below = generation << HASH;
    }
}

/// The answer with a number; none where it was dropped.
fn numbered(db: &Db, answer: i64) -> Result<Option<StoredResponse>, Failure> {
    let sql = "SELECT last, block FROM answers WHERE last >= ? ORDER BY last LIMIT 1";
    let block = one(db, sql, [answer], block)?.unwrap_or_default();
    Ok(block
        .into_iter()
        .find_map(|(id, kept)| (id == answer).then_some(kept)))
}

/// Looks at so many of the oldest blocks and drops those from before a time, where their keys have reached their
/// table, until there is room for so many answers. Answers whether more may be too old.
pub(super) fn prune(
    db: &Db,
    before: Timestamp,
    blocks: usize,
    mut answers: usize,
) -> Result<bool, Failure> {
    let sql = "SELECT last, at FROM answers WHERE last <= (SELECT answer FROM checkpoint) ORDER BY last LIMIT ?";
    let mut old = Vec::new();
    each(db, sql, [room(blocks)], |row| {
        if row.get::<_, i64>(1)? < micros(before) {
            old.push(row.get::<_, i64>(0)?);
        }
        Ok(())
    })?;
    for last in &old {
        if answers == 0 {
            return Ok(true);
        }
        answers = answers.saturating_sub(drop_block(db, *last)?);
    }
    Ok(old.len() == blocks)
}

fn drop_block(db: &Db, last: i64) -> Result<usize, Failure> {
    let found = one(db, "SELECT last, block FROM answers WHERE last = ?", [last], block)?
        .unwrap_or_default();
    let mut forget = db.prepare_cached("DELETE FROM answer_key WHERE slot = ? AND answer = ?")?;
    for (id, kept) in &found {
        forget.execute([slot(*id, &(kept.shop, kept.key)), *id])?;
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

    fn kept(shop: i64, key: u128, body: &str) -> StoredResponse {
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
    fn placed(kept: Vec<StoredResponse>) -> Vec<Placed> {
        (1..).zip(kept.into_iter().map(Arc::new)).collect()
    }

    fn append_all(db: &Db, placed: &[Placed]) {
        append(db, placed).unwrap();
        let mut put = db.prepare_cached(PUT_KEY).unwrap();
        for (id, kept) in placed {
            put_key(&mut put, &(kept.shop, kept.key), *id).unwrap();
        }
    }

    #[test]
    fn blocks_are_read_as_they_were_written_however_long() {
        let (db, _directory) = open();
        let long = "x".repeat(BLOCK / 3);
        let placed = placed(
            (0..20)
                .map(|key| kept(1, key, if key % 2 == 0 { &long } else { "" }))
                .collect(),
        );
        append_all(&db, &placed);
        let blocks: i64 = db
            .query_row("SELECT count(*) FROM answers", [], |row| row.get(0))
            .unwrap();
        assert!((3..8).contains(&blocks), "{blocks} blocks");
        let mut read = Vec::new();
        each_after(&db, 0, |id, kept| read.push((id, Arc::new(kept)))).unwrap();
        assert_eq!(read, placed);
        let mut all: Vec<_> = placed
            .iter()
            .map(|(id, kept)| (slot(*id, &(kept.shop, kept.key)), *id))
            .collect();
        all.sort_unstable();
        assert_eq!(places(&db, None, 100).unwrap(), all);
        let (first, rest) = all.split_at(7);
        assert_eq!(places(&db, None, 7).unwrap(), first);
        assert_eq!(places(&db, first.last(), 100).unwrap(), rest);
        for (_, kept) in placed {
            assert_eq!(find(&db, &(kept.shop, kept.key)).unwrap(), Some((*kept).clone()));
        }
    }

    #[test]
    fn keys_that_share_a_place_are_told_apart_and_dropped_apart() {
        let (db, _directory) = open();
        // Whatever a key begins with, in whatever shop, some end leads to this place.
        let shared = |shop, start: u64, body| {
            let end = 7 ^ mixed(mixed(u64::try_from(shop).unwrap()) ^ start);
            kept(shop, u128::from(start) << 64 | u128::from(end), body)
        };
        let mut first = shared(1, 1, "first");
        first.at = "2025-01-01T12:00:00Z".parse().unwrap();
        let placed = placed(vec![
            first,
            shared(1, 2, "second"),
            shared(1, 3, "third"),
            shared(2, 3, "of another shop"),
            kept(1, 3, "elsewhere"),
        ]);
        for one in &placed {
            append_all(&db, std::slice::from_ref(one));
        }
        let slots: i64 = db
            .query_row("SELECT count(DISTINCT slot) FROM answer_key", [], |row| row.get(0))
            .unwrap();
        assert_eq!(slots, 2);
        for (_, kept) in &placed {
            assert_eq!(find(&db, &(kept.shop, kept.key)).unwrap().as_ref(), Some(&**kept));
        }
        assert_eq!(find(&db, &(ShopId(1), 4_u128.to_be_bytes())).unwrap(), None);

        db.execute("UPDATE checkpoint SET answer = 5", []).unwrap();
        let before = "2025-06-01T12:00:00Z".parse().unwrap();
        assert!(!prune(&db, before, 2, 100).unwrap());
        let found = |(_, kept): &Placed| find(&db, &(kept.shop, kept.key)).unwrap().is_some();
        assert_eq!(placed.iter().map(found).collect::<Vec<_>>(), [false, true, true, true, true]);
    }

    #[test]
    fn the_newest_answer_of_a_key_is_found_first() {
        let (db, _directory) = open();
        let numbers =
            [1, 2, (1 << GENERATION) - 1, 1 << GENERATION, 5 << GENERATION, (5 << GENERATION) + 9];
        for number in numbers {
            let body = number.to_string();
            append_all(&db, &[(number, Arc::new(kept(1, 1, &body)))]);
            assert_eq!(
                find(&db, &(ShopId(1), 1_u128.to_be_bytes())).unwrap(),
                Some(kept(1, 1, &body))
            );
        }
        db.execute("UPDATE checkpoint SET answer = ?", [i64::MAX]).unwrap();
        let left = || -> (i64, i64) {
            let sql = "SELECT (SELECT count(*) FROM answers), (SELECT count(*) FROM answer_key)";
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let prune = |blocks, answers| {
            prune(&db, "2026-01-02T12:00:00Z".parse().unwrap(), blocks, answers).unwrap()
        };
        assert_eq!((prune(2, 100), left()), (true, (4, 4)));
        assert_eq!((prune(100, 1), left()), (true, (3, 3)));
        assert_eq!((prune(100, 100), left()), (false, (0, 0)));
        assert_eq!(find(&db, &(ShopId(1), 1_u128.to_be_bytes())).unwrap(), None);
    }

    /// Files hold them: who reckons otherwise does not find them.
    #[test]
    fn places_stay_as_they_are() {
        let slots = [(1, 1, 1), (1, 65_536, 1), (2, 1, 1), (1, 1, u128::MAX)]
            .map(|(shop, answer, key)| slot(answer, &(ShopId(shop), key.to_be_bytes())));
        assert_eq!(
            slots,
            [42_381_422_217, (1 << 40) + 42_381_422_217, 978_618_774_808, 537_146_336_257]
        );
    }

    #[test]
    fn a_damaged_block_is_told() {
        let (mut block, count) = (Vec::new(), 3);
        (0..count).for_each(|key| put(&mut block, &kept(1, key, "body")).unwrap());
        assert_eq!(answers(9, &block).unwrap().len(), 3);
        let whole = block.len() / 3;
        for length in 0..block.len() {
            let read = answers(9, &block[..length]);
            assert_eq!(read.is_ok(), length % whole == 0, "of {length} bytes: {read:?}");
        }
        // No instant is so far away.
        block.splice(40..48, i64::MAX.to_be_bytes());
        assert!(matches!(answers(9, &block), Err(Failure::Corrupt(_))));
        assert!(matches!(answers(i64::MIN, &block[whole..]), Err(Failure::Corrupt(_))));
    }
}
