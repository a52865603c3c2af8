//! Responses under idempotency keys: blocks of them, appended by each commit, and the slots by which
//! they are found, written behind.
//!
//! A block has consecutive responses and is stored under the number of its last one. A slot refers
//! to a response by its number; see [`slot_of`].

use loyalty_core::{ShopId, Timestamp};
use rusqlite::{Connection, Statement, params};

use super::query::{corrupt, for_each_row, from_micros, query_one, sql_limit, to_micros};
use crate::engine::{GENERATION_BITS, KEY_BITS, NumberedResponse, ResponseKey, slot_of};
use crate::error::Failure;
use crate::request::Response;
use crate::transact::StoredResponse;

/// The size in bytes at which a block is complete.
const BLOCK_BYTES: usize = 64 << 10;

/// Appends the responses of a commit. Returns the number of blocks.
pub(crate) fn append_responses(
    db: &Connection,
    responses: &[NumberedResponse],
) -> Result<usize, Failure> {
    let mut insert = db.prepare_cached(
        "INSERT INTO response_block (last_number, newest_at, body) VALUES (?, ?, ?)",
    )?;
    let (mut block, mut newest, mut blocks) = (Vec::new(), Timestamp::MIN_UTC, 0_usize);
    for (index, (number, response)) in responses.iter().enumerate() {
        encode_response(&mut block, response)?;
        newest = newest.max(response.at);

        if block.len() >= BLOCK_BYTES || index.saturating_add(1) == responses.len() {
            insert.execute(params![number, to_micros(newest), block])?;
            block.clear();
            blocks = blocks.saturating_add(1);
        }
    }
    Ok(blocks)
}

/// Appends a response to a block. The layout is part of the file format.
fn encode_response(block: &mut Vec<u8>, stored: &StoredResponse) -> Result<(), Failure> {
    let StoredResponse { shop, key, fingerprint, at, response } = stored;
    let length = u32::try_from(response.body.len())
        .map_err(|_| corrupt("the length of a response", &"too long"))?;

    block.extend(shop.0.to_be_bytes());
    block.extend(key);
    block.extend(fingerprint);
    block.extend(to_micros(*at).to_be_bytes());
    block.extend(response.status.to_be_bytes());
    block.extend(length.to_be_bytes());
    block.extend(&response.body);
    Ok(())
}

/// Returns the responses of a block, each with its number.
fn decode_block(last: i64, block: &[u8]) -> Result<Vec<(i64, StoredResponse)>, Failure> {
    let (mut found, mut rest) = (Vec::new(), block);
    while !rest.is_empty() {
        found.push(
            decode_response(&mut rest).ok_or_else(|| corrupt("a block of responses", &last))?,
        );
    }

    // Numbers are consecutive, and the last is known.
    let count = i64::try_from(found.len()).ok();
    let before = count.and_then(|count| last.checked_sub(count));
    let before = before.ok_or_else(|| corrupt("the number of a response", &last))?;
    Ok((before.saturating_add(1)..).zip(found).collect())
}

/// Takes a response from the front of a block; `None` if it is cut off.
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

/// Replaces a response in its block, unless it was pruned.
pub(crate) fn rewrite_response(
    db: &Connection,
    number: i64,
    response: &StoredResponse,
) -> Result<(), Failure> {
    let sql = "SELECT last_number, body FROM response_block
        WHERE last_number >= ? ORDER BY last_number LIMIT 1";
    let responses = query_one(db, sql, [number], read_block)?.unwrap_or_default();
    let (mut block, mut found) = (Vec::new(), false);
    for (known, stored) in &responses {
        let is_it = *known == number;
        found |= is_it;
        encode_response(&mut block, if is_it { response } else { stored })?;
    }
    if let Some((last, _)) = responses.last().filter(|_| found) {
        db.prepare_cached("UPDATE response_block SET body = ? WHERE last_number = ?")?
            .execute(params![block, last])?;
    }
    Ok(())
}

/// Returns the responses of the first blocks after a number, at least `limit` if there are.
pub(crate) fn read_responses(
    db: &Connection,
    after: i64,
    limit: usize,
) -> Result<Vec<NumberedStored>, Failure> {
    let sql = "SELECT last_number, body FROM response_block
        WHERE last_number > ? ORDER BY last_number LIMIT 1";
    let (mut found, mut after) = (Vec::new(), after);
    while found.len() < limit {
        let Some(block) = query_one(db, sql, [after], read_block)? else {
            break;
        };
        let Some((last, _)) = block.last() else { break };
        after = *last;
        found.extend(block);
    }
    Ok(found)
}

/// A response with its number.
type NumberedStored = (i64, StoredResponse);

fn take_bytes<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let found;
    (found, *rest) = rest.split_first_chunk()?;
    Some(*found)
}

fn read_block(row: &rusqlite::Row<'_>) -> Result<Vec<(i64, StoredResponse)>, Failure> {
    let bytes = row
        .get_ref(1)?
        .as_blob()
        .map_err(|error| corrupt("a block of responses", &error))?;
    decode_block(row.get(0)?, bytes)
}

/// Visits the responses after a number, oldest first.
pub(crate) fn for_each_response(
    db: &Connection,
    after: i64,
    mut visit: impl FnMut(i64, StoredResponse),
) -> Result<(), Failure> {
    for_each_row(
        db,
        "SELECT last_number, body FROM response_block WHERE last_number > ? ORDER BY last_number",
        [after],
        |row| {
            let responses = read_block(row)?.into_iter();
            responses.for_each(|(number, response)| visit(number, response));
            Ok(())
        },
    )
}

// Slots.

pub(crate) const INSERT_SLOT: &str =
    "INSERT INTO response_slot (slot, number) VALUES (?, ?) ON CONFLICT DO NOTHING";

/// Makes a response findable by its key.
pub(crate) fn insert_slot(
    insert: &mut Statement<'_>,
    key: &ResponseKey,
    number: i64,
) -> Result<(), Failure> {
    insert.execute([slot_of(number, key), number])?;
    Ok(())
}

/// Returns slots after one, each with its response's number. Costs some ten bytes each: no response
/// is read.
pub(crate) fn read_slots(
    db: &Connection,
    after: Option<&(i64, i64)>,
    limit: usize,
) -> Result<Vec<(i64, i64)>, Failure> {
    let (slot, number) = after.copied().unwrap_or((i64::MIN, 0));
    let sql = "SELECT slot, number FROM response_slot
        WHERE (slot, number) > (?, ?) ORDER BY slot, number LIMIT ?";
    let mut found = Vec::new();
    for_each_row(db, sql, [slot, number, sql_limit(limit)], |row| {
        found.push((row.get(0)?, row.get(1)?));
        Ok(())
    })?;
    Ok(found)
}

/// Fills the slots from all responses: migrations cannot compute them in SQL.
pub(crate) fn rebuild_slots(db: &Connection) -> Result<(), Failure> {
    let mut insert = db.prepare_cached(INSERT_SLOT)?;
    let sql = "SELECT last_number, body FROM response_block ORDER BY last_number";
    for_each_row(db, sql, [], |row| {
        let mut responses = read_block(row)?.into_iter();
        responses.try_for_each(|(number, response)| {
            insert_slot(&mut insert, &(response.shop, response.key), number)
        })
    })
}

/// Finds the newest response under a key. Costs a look-up in each generation.
pub(crate) fn find_response(
    db: &Connection,
    key: &ResponseKey,
) -> Result<Option<(i64, StoredResponse)>, Failure> {
    let mut below = i64::MAX;
    loop {
        let newest: Option<i64> = db
            .prepare_cached("SELECT max(slot) FROM response_slot WHERE slot < ?")?
            .query_row([below], |row| row.get(0))?;
        let Some(newest) = newest else { return Ok(None) };

        let generation = newest >> KEY_BITS;
        let mut numbers = Vec::new();
        let sql = "SELECT number FROM response_slot WHERE slot = ? ORDER BY number DESC";
        for_each_row(db, sql, [slot_of(generation << GENERATION_BITS, key)], |row| {
            numbers.push(row.get::<_, i64>(0)?);
            Ok(())
        })?;

        // Other keys can share the slot.
        for number in numbers {
            if let Some(response) = read_response(db, number)?
                && (response.shop, response.key) == *key
            {
                return Ok(Some((number, response)));
            }
        }
        below = generation << KEY_BITS;
    }
}

/// Returns the response with a number; `None` if it was pruned.
fn read_response(db: &Connection, number: i64) -> Result<Option<StoredResponse>, Failure> {
    let sql = "SELECT last_number, body FROM response_block
        WHERE last_number >= ? ORDER BY last_number LIMIT 1";
    let block = query_one(db, sql, [number], read_block)?.unwrap_or_default();
    let mut responses = block.into_iter();
    Ok(responses.find_map(|(found, response)| (found == number).then_some(response)))
}

/// Looks at up to `blocks` of the oldest blocks and deletes those from before an instant, until
/// about `responses` are deleted. Blocks whose slots may not be written yet stay. Returns `true` if
/// more may be too old.
pub(crate) fn prune_blocks(
    db: &Connection,
    before: Timestamp,
    blocks: usize,
    mut responses: usize,
) -> Result<bool, Failure> {
    let sql = "SELECT last_number, newest_at FROM response_block
        WHERE last_number <= (SELECT response FROM checkpoint) ORDER BY last_number LIMIT ?";
    let mut old = Vec::new();
    for_each_row(db, sql, [sql_limit(blocks)], |row| {
        if row.get::<_, i64>(1)? < to_micros(before) {
            old.push(row.get::<_, i64>(0)?);
        }
        Ok(())
    })?;

    for last in &old {
        if responses == 0 {
            return Ok(true);
        }
        responses = responses.saturating_sub(delete_block(db, *last)?);
    }
    Ok(old.len() == blocks)
}

/// Deletes a block and its slots. Returns the number of its responses.
fn delete_block(db: &Connection, last: i64) -> Result<usize, Failure> {
    let sql = "SELECT last_number, body FROM response_block WHERE last_number = ?";
    let responses = query_one(db, sql, [last], read_block)?.unwrap_or_default();

    let mut delete =
        db.prepare_cached("DELETE FROM response_slot WHERE slot = ? AND number = ?")?;
    for (number, response) in &responses {
        delete.execute([slot_of(*number, &(response.shop, response.key)), *number])?;
    }

    db.prepare_cached("DELETE FROM response_block WHERE last_number = ?")?
        .execute([last])?;
    Ok(responses.len())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test may stop at what it did not expect"
    )]
    use std::sync::Arc;

    use super::*;
    use crate::engine::mix;
    use crate::sqlite::schema;

    fn open() -> (Connection, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (schema::open(&directory.path().join("loyalty.db")).unwrap(), directory)
    }

    fn stored_response(shop: i64, key: u128, body: &str) -> StoredResponse {
        let at = "2026-01-01T12:00:00.000001Z".parse().unwrap();
        let response = Response { status: 201, body: body.as_bytes().to_vec() };
        StoredResponse {
            shop: ShopId(shop),
            key: key.to_be_bytes(),
            fingerprint: [7; 16],
            at,
            response,
        }
    }

    /// Numbered from one.
    fn number_responses(responses: Vec<StoredResponse>) -> Vec<NumberedResponse> {
        (1..).zip(responses.into_iter().map(Arc::new)).collect()
    }

    fn append_all(db: &Connection, responses: &[NumberedResponse]) {
        append_responses(db, responses).unwrap();
        let mut insert = db.prepare_cached(INSERT_SLOT).unwrap();
        for (number, response) in responses {
            insert_slot(&mut insert, &(response.shop, response.key), *number).unwrap();
        }
    }

    #[test]
    fn blocks_round_trip_at_any_length() {
        let (db, _directory) = open();
        let long = "x".repeat(BLOCK_BYTES / 3);
        let responses = number_responses(
            (0..20)
                .map(|key| stored_response(1, key, if key % 2 == 0 { &long } else { "" }))
                .collect(),
        );
        append_all(&db, &responses);
        let blocks: i64 = db
            .query_row("SELECT count(*) FROM response_block", [], |row| row.get(0))
            .unwrap();
        assert!((3..8).contains(&blocks), "{blocks} blocks");
        let mut read = Vec::new();
        for_each_response(&db, 0, |number, response| read.push((number, Arc::new(response))))
            .unwrap();
        assert_eq!(read, responses);

        let slot = |(number, response): &NumberedResponse| {
            (slot_of(*number, &(response.shop, response.key)), *number)
        };
        let mut all: Vec<_> = responses.iter().map(slot).collect();
        all.sort_unstable();
        assert_eq!(read_slots(&db, None, 100).unwrap(), all);
        let (first, rest) = all.split_at(7);
        assert_eq!(read_slots(&db, None, 7).unwrap(), first);
        assert_eq!(read_slots(&db, first.last(), 100).unwrap(), rest);

        for (number, response) in responses {
            let found = find_response(&db, &(response.shop, response.key)).unwrap();
            assert_eq!(found, Some((number, (*response).clone())));
        }
    }

    #[test]
    fn keys_in_one_slot_are_distinguished_and_pruned_separately() {
        let (db, _directory) = open();
        // For any shop and any first half of a key there is a second half of this slot.
        let shared = |shop, start: u64, body| {
            let end = 7 ^ mix(mix(u64::try_from(shop).unwrap()) ^ start);
            stored_response(shop, u128::from(start) << 64 | u128::from(end), body)
        };
        let mut first = shared(1, 1, "first");
        first.at = "2025-01-01T12:00:00Z".parse().unwrap();
        let responses = number_responses(vec![
            first,
            shared(1, 2, "second"),
            shared(1, 3, "third"),
            shared(2, 3, "of another shop"),
            stored_response(1, 3, "elsewhere"),
        ]);
        for response in &responses {
            append_all(&db, std::slice::from_ref(response));
        }
        let slots: i64 = db
            .query_row("SELECT count(DISTINCT slot) FROM response_slot", [], |row| row.get(0))
            .unwrap();
        assert_eq!(slots, 2);
        for (number, response) in &responses {
            let found = find_response(&db, &(response.shop, response.key)).unwrap();
            assert_eq!(found, Some((*number, (**response).clone())));
        }
        assert_eq!(find_response(&db, &(ShopId(1), 4_u128.to_be_bytes())).unwrap(), None);

        db.execute("UPDATE checkpoint SET response = 5", []).unwrap();
        let before = "2025-06-01T12:00:00Z".parse().unwrap();
        assert!(!prune_blocks(&db, before, 2, 100).unwrap());
        let found = |(_, response): &NumberedResponse| {
            find_response(&db, &(response.shop, response.key)).unwrap().is_some()
        };
        assert_eq!(
            responses.iter().map(found).collect::<Vec<_>>(),
            [false, true, true, true, true]
        );
    }

    #[test]
    fn the_newest_response_of_a_key_is_found_first() {
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
                Some((number, stored_response(1, 1, &body)))
            );
        }
        db.execute("UPDATE checkpoint SET response = ?", [i64::MAX]).unwrap();
        let left = || -> (i64, i64) {
            let sql = "SELECT (SELECT count(*) FROM response_block), (SELECT count(*) FROM response_slot)";
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let prune = |blocks, responses| {
            prune_blocks(&db, "2026-01-02T12:00:00Z".parse().unwrap(), blocks, responses).unwrap()
        };
        assert_eq!((prune(2, 100), left()), (true, (4, 4)));
        assert_eq!((prune(100, 1), left()), (true, (3, 3)));
        assert_eq!((prune(100, 100), left()), (false, (0, 0)));
        assert_eq!(find_response(&db, &(ShopId(1), 1_u128.to_be_bytes())).unwrap(), None);
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
