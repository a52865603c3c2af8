//! Records to rows and back.

use std::sync::Arc;

use loyalty_core::{
    AccountId, CustomerId, Email, Event, Order, OrderId, OrderState, Points, Program,
    ProgramVersion, ShopId, Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::record::{CustomerRecord, JournalRow, OrderRecord, Seq};
use crate::shop::{ApiKeyRecord, NewApiKey, Shop};
use crate::transact::CustomerChange;

type Db = Connection;

pub(super) fn to_micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

pub(super) fn from_micros(micros: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_timestamp_micros(micros).ok_or_else(|| corrupt("a time", &micros))
}

pub(super) fn corrupt(what: &str, value: &impl std::fmt::Display) -> Failure {
    Failure::Corrupt(format!("{what} cannot be read: {value}"))
}

pub(super) fn to_json(value: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Corrupt(format!("a record cannot be written: {error}")))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| corrupt("a record", &error))
}

/// One row, read by a function that may find it damaged.
pub(super) fn query_one<T>(
    db: &Db,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let found = db
        .prepare_cached(sql)?
        .query_row(params, |row| Ok(read(row)))
        .optional()?;
    found.transpose()
}

/// Every row, one after the other, until the visitor fails.
pub(super) fn for_each_row(
    db: &Db,
    sql: &str,
    params: impl rusqlite::Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}

// The journal.

const SELECT_JOURNAL: &str =
    "SELECT seq, shop, account, previous, at, balance, events FROM journal";

fn decode_journal_row(row: &Row<'_>) -> Result<JournalRow, Failure> {
    let events: Vec<Event> =
        from_json(row.get_ref(6)?.as_str().map_err(|error| corrupt("events", &error))?)?;
    let balance: i64 = row.get(5)?;
    Ok(JournalRow {
        seq: row.get(0)?,
        shop: ShopId(row.get(1)?),
        account: row.get::<_, Option<i64>>(2)?.map(AccountId),
        previous: row.get(3)?,
        at: from_micros(row.get(4)?)?,
        balance: Points::new(balance).ok_or_else(|| corrupt("a balance", &balance))?,
        events: events.into(),
    })
}

/// Appends rows, whose events are JSON already.
pub(super) fn append_journal(db: &Db, rows: &[(Arc<JournalRow>, String)]) -> Result<(), Failure> {
    let sql = "INSERT INTO journal (seq, shop, account, previous, at, balance, events) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut append = db.prepare_cached(sql)?;
    for (row, events) in rows {
        let account = row.account.map(|account| account.0);
        let (at, balance) = (to_micros(row.at), row.balance.get());
        append.execute(params![row.seq, row.shop.0, account, row.previous, at, balance, events])?;
    }
    Ok(())
}

pub(super) fn read_journal_row(db: &Db, seq: Seq) -> Result<Option<JournalRow>, Failure> {
    query_one(db, &format!("{SELECT_JOURNAL} WHERE seq = ?"), [seq], decode_journal_row)
}

pub(super) fn for_each_journal_row(
    db: &Db,
    after: Seq,
    mut visit: impl FnMut(JournalRow) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for_each_row(db, &format!("{SELECT_JOURNAL} WHERE seq > ? ORDER BY seq"), [after], |row| {
        visit(decode_journal_row(row)?)
    })
}

/// Rows of one shop, oldest first.
pub(super) fn read_shop_journal(
    db: &Db,
    shop: ShopId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Arc<JournalRow>>, Failure> {
    let sql = format!("{SELECT_JOURNAL} WHERE seq > ? AND shop = ? ORDER BY seq LIMIT ?");
    let (mut found, limit) = (Vec::new(), i64::try_from(limit).unwrap_or(i64::MAX));
    for_each_row(db, &sql, params![after, shop.0, limit], |row| {
        found.push(Arc::new(decode_journal_row(row)?));
        Ok(())
    })?;
    Ok(found)
}

/// The largest number in a column; zero in an empty table.
pub(super) fn max_value(db: &Db, column: &str, table: &str) -> Result<i64, Failure> {
    let sql = format!("SELECT coalesce(max({column}), 0) FROM {table}");
    Ok(db.query_row(&sql, [], |row| row.get(0))?)
}

// Folds.

pub(super) fn read_order(
    db: &Db,
    shop: ShopId,
    id: &OrderId,
) -> Result<Option<OrderRecord>, Failure> {
    let sql = "SELECT account, seq, snapshot, state FROM purchase WHERE shop = ? AND order_id = ?";
    let record = query_one(db, sql, params![shop.0, id.as_str()], |row| decode_order(row, 0, id))?;
    let Some(record) = record else { return Ok(None) };
    let Some(seq) = record.snapshot else { return Ok(Some(record)) };
    let snapshot =
        read_snapshot(db, id, seq)?.ok_or_else(|| corrupt("the snapshot of an order", id))?;
    Ok(Some(OrderRecord { state: record.state.with_snapshot(&snapshot), ..record }))
}

fn decode_order(row: &Row<'_>, from: usize, id: &OrderId) -> Result<OrderRecord, Failure> {
    let column = |offset: usize| from.saturating_add(offset);
    // The stored state leaves out the id: it is the row's key.
    let state: OrderState = from_json(
        row.get_ref(column(3))?
            .as_str()
            .map_err(|error| corrupt("an order", &error))?,
    )?;
    Ok(OrderRecord {
        account: row.get::<_, Option<i64>>(column(0))?.map(AccountId),
        seq: row.get(column(1))?,
        snapshot: row.get(column(2))?,
        state: state.with_id(id.clone()),
    })
}

/// What an order held by a journal row.
fn read_snapshot(db: &Db, id: &OrderId, seq: Seq) -> Result<Option<Arc<Order>>, Failure> {
    let row = read_journal_row(db, seq)?;
    let mut events = row.iter().flat_map(|row| row.events.iter().rev());
    Ok(events.find_map(|event| {
        let Event::OrderRecorded { order, snapshot, .. } = event else {
            return None;
        };
        snapshot.clone().filter(|_| order == id)
    }))
}

/// Every order, for comparison with the journal: one whose snapshot is not there holds nothing.
pub(super) fn for_each_order(
    db: &Db,
    mut visit: impl FnMut((ShopId, OrderId), OrderRecord),
) -> Result<(), Failure> {
    for_each_row(
        db,
        "SELECT shop, order_id, account, seq, snapshot, state FROM purchase",
        [],
        |row| {
            let id: String = row.get(1)?;
            let id = OrderId::new(&id).map_err(|error| corrupt("an order's id", &error))?;
            let mut record = decode_order(row, 2, &id)?;
            let held = record
                .snapshot
                .map(|seq| read_snapshot(db, &id, seq))
                .transpose()?
                .flatten();
            record.state = held.iter().fold(record.state, OrderState::with_snapshot);
            visit((ShopId(row.get(0)?), id), record);
            Ok(())
        },
    )
}

pub(super) const UPSERT_ORDER: &str =
    "INSERT INTO purchase (shop, order_id, account, seq, snapshot, state) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, order_id) DO UPDATE SET account = excluded.account, seq = excluded.seq,
            snapshot = excluded.snapshot, state = excluded.state
        WHERE excluded.seq > seq";

/// A state never steps back, whoever writes it.
pub(super) fn upsert_order(
    put: &mut Statement<'_>,
    (shop, id): &(ShopId, OrderId),
    record: &OrderRecord,
) -> Result<(), Failure> {
    let account = record.account.map(|account| account.0);
    let state = to_json(&record.state.without_snapshot())?;
    put.execute(params![shop.0, id.as_str(), account, record.seq, record.snapshot, state])?;
    Ok(())
}

/// The keys behind one of them, in their order.
pub(super) fn read_order_keys(
    db: &Db,
    after: Option<&(ShopId, OrderId)>,
    limit: usize,
) -> Result<Vec<(ShopId, OrderId)>, Failure> {
    let sql = "SELECT shop, order_id FROM purchase WHERE (shop, order_id) > (?, ?) ORDER BY shop, order_id LIMIT ?";
    let (shop, id) = after.map_or((0, ""), |(shop, id)| (shop.0, id.as_str()));
    let mut keys = Vec::new();
    for_each_row(db, sql, params![shop, id, sql_limit(limit)], |row| {
        let id: String = row.get(1)?;
        keys.push((
            ShopId(row.get(0)?),
            OrderId::new(&id).map_err(|error| corrupt("an order's id", &error))?,
        ));
        Ok(())
    })?;
    Ok(keys)
}

/// How many rows at the most, as SQLite is told.
pub(super) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Up to which journal row and which answer everything has reached its table.
pub(super) fn read_checkpoint(db: &Db) -> Result<(Seq, i64), Failure> {
    Ok(db.query_row("SELECT seq, answer FROM checkpoint", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?)
}

pub(super) fn write_checkpoint(db: &Db, (seq, answer): (Seq, i64)) -> Result<(), Failure> {
    db.prepare_cached("UPDATE checkpoint SET seq = ?, answer = ?")?
        .execute([seq, answer])?;
    Ok(())
}

/// Makes the open transaction one that writes and syncs, whatever is in it: where a value is as it was, SQLite
/// writes nothing at all.
pub(super) fn force_write(db: &Db) -> Result<(), Failure> {
    let (seq, answer) = read_checkpoint(db)?;
    write_checkpoint(db, (seq, answer.wrapping_add(1)))?;
    write_checkpoint(db, (seq, answer))
}

// Customers.

const SELECT_CUSTOMER: &str =
    "SELECT account, shop, customer_id, email, profile, created_at, updated_at, revision, birthday_set_at,
        steady_since, household FROM customer";

fn decode_customer(row: &Row<'_>) -> Result<CustomerRecord, Failure> {
    let id: Option<String> = row.get(2)?;
    let email: Option<String> = row.get(3)?;
    Ok(CustomerRecord {
        account: AccountId(row.get(0)?),
        shop: ShopId(row.get(1)?),
        id: id
            .map(CustomerId::try_from)
            .transpose()
            .map_err(|error| corrupt("a customer's id", &error))?,
        email: email
            .map(Email::try_from)
            .transpose()
            .map_err(|error| corrupt("an e-mail", &error))?,
        profile: from_json(&row.get::<_, String>(4)?)?,
        created_at: from_micros(row.get(5)?)?,
        updated_at: from_micros(row.get(6)?)?,
        revision: row.get(7)?,
        birthday_set_at: row.get::<_, Option<i64>>(8)?.map(from_micros).transpose()?,
        attributes_changed_at: from_micros(row.get(9)?)?,
        household: from_json(&row.get::<_, String>(10)?)?,
    })
}

pub(super) fn read_customer(
    db: &Db,
    account: AccountId,
) -> Result<Option<CustomerRecord>, Failure> {
    query_one(
        db,
        &format!("{SELECT_CUSTOMER} WHERE account = ?"),
        [account.0],
        decode_customer,
    )
}

pub(super) fn find_account_by_id(
    db: &Db,
    shop: ShopId,
    id: &CustomerId,
) -> Result<Option<AccountId>, Failure> {
    let sql = "SELECT account FROM customer WHERE shop = ? AND customer_id = ?";
    query_one(db, sql, params![shop.0, id.as_str()], |row| Ok(AccountId(row.get(0)?)))
}

pub(super) fn find_account_by_email(
    db: &Db,
    shop: ShopId,
    email: &str,
) -> Result<Option<AccountId>, Failure> {
    let sql = "SELECT account FROM customer WHERE shop = ? AND email_key = ?";
    query_one(db, sql, params![shop.0, email], |row| Ok(AccountId(row.get(0)?)))
}

/// A shop's customers in the order of their accounts, until the visitor has enough or fails.
pub(super) fn scan_customers(
    db: &Db,
    shop: ShopId,
    after: AccountId,
    mut visit: impl FnMut(CustomerRecord) -> Result<std::ops::ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let sql = format!(
        "{SELECT_CUSTOMER} INDEXED BY customer_of_shop WHERE shop = ? AND account > ? ORDER BY account"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([shop.0, after.0])?;
    while let Some(row) = rows.next()? {
        if visit(decode_customer(row)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

pub(super) fn count_customers(db: &Db, shop: ShopId) -> Result<u64, Failure> {
    let count: i64 =
        db.query_row("SELECT count(*) FROM customer WHERE shop = ?", [shop.0], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) fn write_customer_change(db: &Db, change: &CustomerChange) -> Result<(), Failure> {
    let Some(record) = &change.after else {
        let account = change.before.as_ref().map_or(0, |before| before.account.0);
        db.prepare_cached("DELETE FROM customer WHERE account = ?")?
            .execute([account])?;
        return Ok(());
    };
    let sql = "INSERT INTO customer
        (account, shop, customer_id, email, email_key, profile, created_at, updated_at, revision,
         birthday_set_at, steady_since, household)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (account) DO UPDATE SET customer_id = excluded.customer_id, email = excluded.email,
            email_key = excluded.email_key, profile = excluded.profile, updated_at = excluded.updated_at,
            revision = excluded.revision, birthday_set_at = excluded.birthday_set_at,
            steady_since = excluded.steady_since, household = excluded.household";
    let values = params![
        record.account.0,
        record.shop.0,
        record.id.as_ref().map(CustomerId::as_str),
        record.email.as_ref().map(Email::as_str),
        record.email.as_ref().map(Email::key),
        to_json(&record.profile)?,
        to_micros(record.created_at),
        to_micros(record.updated_at),
        record.revision,
        record.birthday_set_at.map(to_micros),
        to_micros(record.attributes_changed_at),
        to_json(&record.household)?,
    ];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

// Shops, keys and programs.

pub(super) fn read_shops(db: &Db) -> Result<Vec<Shop>, Failure> {
    let mut shops = Vec::new();
    let sql = "SELECT id, name, currency, zone, created_at, integration FROM shop ORDER BY id";
    for_each_row(db, sql, [], |row| {
        let (currency, zone): (String, String) = (row.get(2)?, row.get(3)?);
        let integration: Option<String> = row.get(5)?;
        shops.push(Shop {
            id: ShopId(row.get(0)?),
            name: row.get(1)?,
            currency: loyalty_core::Currency::from_code(&currency)
                .ok_or_else(|| corrupt("a currency", &currency))?,
            zone: zone.parse().map_err(|_| corrupt("a time zone", &zone))?,
            created_at: from_micros(row.get(4)?)?,
            integration: integration.map(|text| from_json(&text)).transpose()?,
        });
        Ok(())
    })?;
    Ok(shops)
}

pub(super) fn insert_shop(db: &Db, shop: &Shop) -> Result<(), Failure> {
    let sql = "INSERT INTO shop (id, name, currency, zone, created_at) VALUES (?, ?, ?, ?, ?)";
    let (currency, zone) = (shop.currency.code(), shop.zone.name());
    db.execute(sql, params![shop.id.0, shop.name, currency, zone, to_micros(shop.created_at)])?;
    Ok(())
}

pub(super) fn update_integration(
    db: &Db,
    shop: ShopId,
    integration: &crate::shop::Integration,
) -> Result<(), Failure> {
    db.execute(
        "UPDATE shop SET integration = ? WHERE id = ?",
        params![to_json(integration)?, shop.0],
    )?;
    Ok(())
}

pub(super) fn read_api_key(db: &Db, id: &str) -> Result<Option<ApiKeyRecord>, Failure> {
    let sql = "SELECT id, shop, hash, signing_secret, scopes, created_at FROM api_key
        WHERE id = ? AND revoked_at IS NULL";
    query_one(db, sql, [id], |row| {
        let key = NewApiKey {
            id: row.get(0)?,
            hash: row.get(2)?,
            signing_secret: row.get(3)?,
            scopes: from_json(&row.get::<_, String>(4)?)?,
        };
        Ok(ApiKeyRecord {
            shop: ShopId(row.get(1)?),
            key,
            created_at: from_micros(row.get(5)?)?,
        })
    })
}

/// Adds a key; of those before it only the newest stays alive.
pub(super) fn insert_api_key(
    db: &Db,
    shop: ShopId,
    key: &NewApiKey,
    now: Timestamp,
) -> Result<(), Failure> {
    let revoke = "UPDATE api_key SET revoked_at = ?1 WHERE shop = ?2 AND revoked_at IS NULL
        AND number < (SELECT max(number) FROM api_key WHERE shop = ?2)";
    db.execute(revoke, params![to_micros(now), shop.0])?;
    let add = "INSERT INTO api_key (id, shop, hash, signing_secret, scopes, created_at) VALUES (?, ?, ?, ?, ?, ?)";
    let scopes = to_json(&key.scopes)?;
    db.execute(
        add,
        params![key.id, shop.0, key.hash, key.signing_secret, scopes, to_micros(now)],
    )?;
    Ok(())
}

pub(super) fn read_program(
    db: &Db,
    shop: ShopId,
    version: Option<ProgramVersion>,
) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
    let sql = "SELECT version, body FROM program WHERE shop = ?1 AND (?2 IS NULL OR version = ?2)
        ORDER BY version DESC LIMIT 1";
    query_one(db, sql, params![shop.0, version.map(|version| version.0)], |row| {
        let body: String = row.get(1)?;
        let program = Program::from_json(&body).map_err(|_| corrupt("a program of shop", &shop))?;
        Ok((ProgramVersion(row.get(0)?), Arc::new(program)))
    })
}

pub(super) fn insert_program(
    db: &Db,
    shop: ShopId,
    version: ProgramVersion,
    program: &Program,
    now: Timestamp,
) -> Result<(), Failure> {
    let sql = "INSERT INTO program (shop, version, body, published_at) VALUES (?, ?, ?, ?)";
    db.execute(sql, params![shop.0, version.0, program.to_json(), to_micros(now)])?;
    Ok(())
}
