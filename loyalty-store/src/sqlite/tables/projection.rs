//! Projections: price rules, discount codes, redemptions and their uses, as folds of the journal.
//!
//! A key is its kind, a number and a text.

use loyalty_core::{
    AccountId, CheckoutId, CodeId, OrderId, PriceRuleId, RedemptionId, RewardId, ShopId,
};
use rusqlite::{Connection, Row, Statement, params};

use super::query::{
    corrupt, for_each_row, from_json, from_micros, query_one, sql_limit, to_micros,
};
use crate::error::Failure;
use crate::projections::{Projection, ProjectionKey, ProjectionState};
use crate::record::to_json;
use crate::redemption::{RedemptionStatus, status_of};

/// Returns the columns of a key. They are part of the file format.
fn encode_key(key: &ProjectionKey) -> (i64, i64, String) {
    match key {
        ProjectionKey::Rule(rule) => (1, rule.0, String::new()),
        ProjectionKey::Code(code) => (2, code.0, String::new()),
        ProjectionKey::Tally(code, account) => (3, code.0, account.to_string()),
        ProjectionKey::Checkout(checkout) => (4, 0, checkout.to_string()),
        ProjectionKey::Order(order) => (5, 0, order.to_string()),
        ProjectionKey::MergedAccounts(account) => (6, account.0, String::new()),
        ProjectionKey::Redemption(redemption) => (7, redemption.0, String::new()),
        ProjectionKey::Reward(reward) => (8, 0, reward.to_string()),
        ProjectionKey::AutomaticRules => (9, 0, String::new()),
    }
}

fn decode_key(kind: i64, id: i64, text: &str) -> Result<ProjectionKey, Failure> {
    let no_id = |_| corrupt("a key", &text);
    Ok(match kind {
        1 => ProjectionKey::Rule(PriceRuleId(id)),
        2 => ProjectionKey::Code(CodeId(id)),
        3 => ProjectionKey::Tally(
            CodeId(id),
            AccountId(text.parse().map_err(|_| corrupt("a key", &text))?),
        ),
        4 => ProjectionKey::Checkout(CheckoutId::new(text).map_err(no_id)?),
        5 => ProjectionKey::Order(OrderId::new(text).map_err(no_id)?),
        6 => ProjectionKey::MergedAccounts(AccountId(id)),
        7 => ProjectionKey::Redemption(RedemptionId(id)),
        8 => ProjectionKey::Reward(RewardId::new(text).map_err(no_id)?),
        9 => ProjectionKey::AutomaticRules,
        _ => return Err(corrupt("the kind of a record", &kind)),
    })
}

fn encode_state(state: &ProjectionState) -> Result<String, Failure> {
    match state {
        ProjectionState::Rule(state) => to_json(state),
        ProjectionState::Code(state) => to_json(state),
        ProjectionState::Tally(state) => to_json(state),
        ProjectionState::Checkout(state) => to_json(state),
        ProjectionState::Order(state) => to_json(state),
        ProjectionState::MergedAccounts(state) => to_json(state),
        ProjectionState::Redemption(state) => to_json(state),
        ProjectionState::Reward(state) => to_json(state),
        ProjectionState::AutomaticRules(state) => to_json(state),
    }
}

fn decode_state(key: &ProjectionKey, text: &str) -> Result<ProjectionState, Failure> {
    Ok(match key {
        ProjectionKey::Rule(_) => ProjectionState::Rule(from_json(text)?),
        ProjectionKey::Code(_) => ProjectionState::Code(from_json(text)?),
        ProjectionKey::Tally(..) => ProjectionState::Tally(from_json(text)?),
        ProjectionKey::Checkout(_) => ProjectionState::Checkout(from_json(text)?),
        ProjectionKey::Order(_) => ProjectionState::Order(from_json(text)?),
        ProjectionKey::MergedAccounts(_) => ProjectionState::MergedAccounts(from_json(text)?),
        ProjectionKey::Redemption(_) => ProjectionState::Redemption(from_json(text)?),
        ProjectionKey::Reward(_) => ProjectionState::Reward(from_json(text)?),
        ProjectionKey::AutomaticRules => ProjectionState::AutomaticRules(from_json(text)?),
    })
}

fn decode_projection(
    key: &ProjectionKey,
    row: &Row<'_>,
    from: usize,
) -> Result<Projection, Failure> {
    let column = |offset: usize| from.saturating_add(offset);
    let text = row.get_ref(column(3))?;
    let text = text.as_str().map_err(|error| corrupt("a record", &error))?;
    Ok(Projection {
        seq: row.get(column(0))?,
        created_at: from_micros(row.get(column(1))?)?,
        updated_at: from_micros(row.get(column(2))?)?,
        state: decode_state(key, text)?,
    })
}

pub(crate) fn read_projection(
    db: &Connection,
    shop: ShopId,
    key: &ProjectionKey,
) -> Result<Option<Projection>, Failure> {
    let (kind, id, text) = encode_key(key);
    let sql = "SELECT seq, created_at, updated_at, state FROM projection
        WHERE shop = ? AND kind = ? AND id = ? AND text_id = ?";
    query_one(db, sql, params![shop.0, kind, id, text], |row| decode_projection(key, row, 0))
}

/// Returns `true` if a redemption is listed with its status, and nothing else is.
pub(crate) fn is_listed(
    db: &Connection,
    shop: ShopId,
    key: &ProjectionKey,
    record: &Projection,
) -> Result<bool, Failure> {
    let (kind, id, text) = encode_key(key);
    let sql = "SELECT status FROM projection
        WHERE shop = ? AND kind = ? AND id = ? AND text_id = ?";
    let listed = query_one(db, sql, params![shop.0, kind, id, text], |row| Ok(row.get(0)?))?;
    Ok(listed.flatten() == status_of(record).map(RedemptionStatus::number))
}

/// Returns redemptions with a status, newest first, `after` one.
pub(crate) fn read_redemptions(
    db: &Connection,
    shop: ShopId,
    status: RedemptionStatus,
    after: Option<RedemptionId>,
    limit: usize,
) -> Result<Vec<RedemptionId>, Failure> {
    let sql = "SELECT id FROM projection
        WHERE shop = ? AND status = ? AND id < ? ORDER BY id DESC LIMIT ?";
    let after = after.map_or(i64::MAX, |after| after.0);
    let mut found = Vec::new();
    let values = params![shop.0, status.number(), after, sql_limit(limit)];
    for_each_row(db, sql, values, |row| {
        found.push(RedemptionId(row.get(0)?));
        Ok(())
    })?;
    Ok(found)
}

/// Returns keys after one, in ascending order.
pub(crate) fn read_projection_keys(
    db: &Connection,
    after: Option<&(ShopId, ProjectionKey)>,
    limit: usize,
) -> Result<Vec<(ShopId, ProjectionKey)>, Failure> {
    let sql = "SELECT shop, kind, id, text_id FROM projection
        WHERE (shop, kind, id, text_id) > (?, ?, ?, ?)
        ORDER BY shop, kind, id, text_id LIMIT ?";
    let (shop, (kind, id, text)) =
        after.map_or((0, (0, 0, String::new())), |(shop, key)| (shop.0, encode_key(key)));
    let mut keys = Vec::new();
    for_each_row(db, sql, params![shop, kind, id, text, sql_limit(limit)], |row| {
        let text: String = row.get(3)?;
        keys.push((ShopId(row.get(0)?), decode_key(row.get(1)?, row.get(2)?, &text)?));
        Ok(())
    })?;
    Ok(keys)
}

/// Visits every projection.
pub(crate) fn for_each_projection(
    db: &Connection,
    mut visit: impl FnMut((ShopId, ProjectionKey), Projection),
) -> Result<(), Failure> {
    for_each_row(
        db,
        "SELECT shop, kind, id, text_id, seq, created_at, updated_at, state FROM projection",
        [],
        |row| {
            let text: String = row.get(3)?;
            let key = decode_key(row.get(1)?, row.get(2)?, &text)?;
            let record = decode_projection(&key, row, 4)?;
            visit((ShopId(row.get(0)?), key), record);
            Ok(())
        },
    )
}

pub(crate) const UPSERT_PROJECTION: &str = "
        INSERT INTO projection
            (shop, kind, id, text_id, seq, created_at, updated_at, status, state)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, kind, id, text_id) DO UPDATE SET seq = excluded.seq,
            created_at = excluded.created_at, updated_at = excluded.updated_at,
            status = excluded.status, state = excluded.state
        WHERE excluded.seq > seq";

/// The same for a projection whose journal rows were rewritten.
pub(crate) const REWRITE_PROJECTION: &str = "
        INSERT INTO projection
            (shop, kind, id, text_id, seq, created_at, updated_at, status, state)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, kind, id, text_id) DO UPDATE SET seq = excluded.seq,
            created_at = excluded.created_at, updated_at = excluded.updated_at,
            status = excluded.status, state = excluded.state
        WHERE excluded.seq >= seq";

/// Stores a projection unless its row is as new.
pub(crate) fn upsert_projection(
    upsert: &mut Statement<'_>,
    (shop, key): &(ShopId, ProjectionKey),
    record: &Projection,
) -> Result<(), Failure> {
    let (kind, id, text) = encode_key(key);
    let Projection { seq, created_at, updated_at, .. } = *record;
    let status = status_of(record).map(RedemptionStatus::number);
    let state = encode_state(&record.state)?;
    upsert.execute(params![
        shop.0,
        kind,
        id,
        text,
        seq,
        to_micros(created_at),
        to_micros(updated_at),
        status,
        state
    ])?;
    Ok(())
}
