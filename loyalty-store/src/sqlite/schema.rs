//! The schema of the file, its migrations (forward only), and how connections are configured.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::file::{create_private, ensure_own_log, foreign_log, lacks_pages, uncheckpointed_log};
use super::tables::day_totals::sum_journal;
use super::tables::order::list_orders;
use super::tables::program::compare_schedules;
use super::tables::response::rebuild_slots;
use crate::error::Failure;

/// Older versions of SQLite could corrupt a database when they reset the write-ahead log.
const MIN_SQLITE_VERSION: i32 = 3_051_003;

/// How long a connection waits for a lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Marks a file as ours ("loya").
pub(super) const APPLICATION_ID: i64 = 0x6c6f_7961;

/// The format that this program writes.
#[expect(clippy::as_conversions, clippy::cast_possible_wrap, reason = "they are few")]
const FORMAT: i64 = MIGRATIONS.len() as i64;

/// The format since which responses are found by slots, which SQL cannot compute.
const RESPONSE_SLOTS_FORMAT: i64 = 8;

/// The format since which orders have a status and the time of their last change.
const ORDER_LISTS_FORMAT: i64 = 19;

/// The format since which days are summed up.
const DAY_TOTALS_FORMAT: i64 = 21;

/// The format since which versions of programs are compared, which SQL cannot do.
const SCHEDULES_FORMAT: i64 = 13;

/// One step for each format. Once released it never changes: comments and names in it are those of
/// its time.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE shop (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        currency TEXT NOT NULL,
        zone TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        integration TEXT
    ) STRICT;
    CREATE TABLE api_key (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        shop INTEGER NOT NULL REFERENCES shop,
        hash BLOB NOT NULL,
        signing_secret TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT;
    CREATE TABLE program (
        shop INTEGER NOT NULL REFERENCES shop,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,
        published_at INTEGER NOT NULL,
        PRIMARY KEY (shop, version)
    ) STRICT, WITHOUT ROWID;

    -- Written before every answer. Append only: these two are the truth.
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL,
        account INTEGER,
        previous INTEGER,
        at INTEGER NOT NULL,
        balance INTEGER NOT NULL,
        events TEXT NOT NULL
    ) STRICT;
    CREATE TABLE answer (
        id INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL,
        key BLOB NOT NULL,
        fingerprint BLOB NOT NULL,
        at INTEGER NOT NULL,
        status INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;

    -- Personal data, and the only place of it. Written with the journal.
    CREATE TABLE customer (
        account INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL REFERENCES shop,
        customer_id TEXT,
        email TEXT,
        email_key TEXT,
        profile TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        revision INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX customer_by_id ON customer (shop, customer_id) WHERE customer_id IS NOT NULL;
    CREATE UNIQUE INDEX customer_by_email ON customer (shop, email_key) WHERE email_key IS NOT NULL;
    CREATE INDEX customer_of_shop ON customer (shop);

    -- Folds of the journal, written behind it in sorted batches; the checkpoint says how far.
    CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        state TEXT NOT NULL
    ) STRICT;
    -- What an order holds is not written twice: `snapshot` is the journal row that has it.
    CREATE TABLE purchase (
        shop INTEGER NOT NULL,
        order_id TEXT NOT NULL,
        account INTEGER,
        seq INTEGER NOT NULL,
        snapshot INTEGER,
        state TEXT NOT NULL,
        PRIMARY KEY (shop, order_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE answer_key (
        shop INTEGER NOT NULL,
        key BLOB NOT NULL,
        answer INTEGER NOT NULL,
        PRIMARY KEY (shop, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoint (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        seq INTEGER NOT NULL,
        answer INTEGER NOT NULL
    ) STRICT;
    INSERT INTO checkpoint VALUES (1, 0, 0);
",
    "
    -- The shop's own records, no money in them: written before the answer, in no journal.
    CREATE TABLE numbering (
        shop INTEGER PRIMARY KEY REFERENCES shop,
        last INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE product (
        shop INTEGER NOT NULL REFERENCES shop,
        number INTEGER NOT NULL,
        product_id TEXT NOT NULL,
        product TEXT NOT NULL,
        variant_numbers TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (shop, number)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX product_by_id ON product (shop, product_id);
    CREATE TABLE category (
        shop INTEGER NOT NULL REFERENCES shop,
        category_id TEXT NOT NULL,
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (shop, category_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE saved_search (
        shop INTEGER NOT NULL REFERENCES shop,
        number INTEGER NOT NULL,
        name TEXT NOT NULL,
        query TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (shop, number)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX saved_search_by_name ON saved_search (shop, name);
",
    "
    -- Small folds of the journal, written behind it as accounts are: price rules, codes, and who uses them.
    CREATE TABLE keyed (
        shop INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        id INTEGER NOT NULL,
        text TEXT NOT NULL,
        seq INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (shop, kind, id, text)
    ) STRICT, WITHOUT ROWID;
    -- How rules and codes are found and listed. Written with the journal. The e-mails are personal data.
    CREATE TABLE price_rule (
        id INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL REFERENCES shop,
        emails TEXT
    ) STRICT;
    CREATE INDEX price_rule_of_shop ON price_rule (shop);
    CREATE TABLE discount_code (
        shop INTEGER NOT NULL REFERENCES shop,
        key TEXT NOT NULL,
        rule INTEGER NOT NULL,
        id INTEGER NOT NULL,
        PRIMARY KEY (shop, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX discount_code_of_rule ON discount_code (rule, id);
",
    "
    -- When something is due next for an account. Follows from its state, the programs and the customer.
    ALTER TABLE account ADD COLUMN due INTEGER;
    CREATE INDEX account_due ON account (due) WHERE due IS NOT NULL;
    -- Shops whose accounts do not all know what is due next: up to which account they do.
    CREATE TABLE sweep (
        shop INTEGER PRIMARY KEY REFERENCES shop,
        up_to INTEGER NOT NULL
    ) STRICT;
    INSERT INTO sweep SELECT id, 0 FROM shop;
    ALTER TABLE customer ADD COLUMN birthday_set_at INTEGER;
    ALTER TABLE customer ADD COLUMN steady_since INTEGER NOT NULL DEFAULT 0;
    UPDATE customer SET steady_since = created_at;
    ALTER TABLE customer ADD COLUMN household TEXT NOT NULL DEFAULT '[]';
    -- Names of which a shop has each only once. Written with the journal row that claims them.
    CREATE TABLE claim (
        shop INTEGER NOT NULL REFERENCES shop,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        account INTEGER NOT NULL,
        PRIMARY KEY (shop, kind, name)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Numbers that were given to variants, found from both sides. They stay where the products are gone.
    CREATE TABLE variant (
        shop INTEGER NOT NULL REFERENCES shop,
        number INTEGER NOT NULL,
        variant_id TEXT NOT NULL,
        PRIMARY KEY (shop, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX variant_by_id ON variant (shop, variant_id);
    INSERT INTO variant
        SELECT product.shop, number.value, variant.value ->> '$.id'
        FROM product, json_each(product.product, '$.variants') AS variant,
            json_each(product.variant_numbers) AS number
        WHERE number.key = variant.key AND number.value >= 1 << 52;
",
    "
    -- In generations, since the keys come in any order.
    ALTER TABLE answer_key RENAME TO answer_key_before;
    CREATE TABLE answer_key (
        generation INTEGER NOT NULL,
        shop INTEGER NOT NULL,
        key BLOB NOT NULL,
        answer INTEGER NOT NULL,
        PRIMARY KEY (generation, shop, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO answer_key SELECT answer >> 16, shop, key, answer FROM answer_key_before;
    DROP TABLE answer_key_before;
",
    "
    -- Accounts' instants became numbers. Those that are texts are still read, and stay until their account changes.
",
    "
    -- Answers in blocks, one or a few a commit, each until its last answer; those from before are blocks of one.
    CREATE TABLE answers (
        last INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        block BLOB NOT NULL
    ) STRICT;
    INSERT INTO answers SELECT id, at, unhex(printf('%016x', shop) || hex(key) || hex(fingerprint)
        || printf('%016x%04x%08x', at, status, length(body)) || hex(body)) FROM answer;
    DROP TABLE answer;
    -- Keys by two numbers: a place in a generation, which keys can share, and the answer. Filled from the answers.
    DROP TABLE answer_key;
    CREATE TABLE answer_key (
        slot INTEGER NOT NULL,
        answer INTEGER NOT NULL,
        PRIMARY KEY (slot, answer)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Accounts' instants became digits of one text. Those that are numbers or texts are still read, and stay as well.
",
    "
    -- What an account did long ago, written behind with it, but only what has changed. Accounts of which all is in
    -- their state are still read, and stay so until something happens to them.
    CREATE TABLE chapter (
        account INTEGER NOT NULL,
        second INTEGER NOT NULL,
        nanosecond INTEGER NOT NULL,
        instants TEXT NOT NULL,
        PRIMARY KEY (account, second, nanosecond)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE account ADD COLUMN chapters INTEGER NOT NULL DEFAULT 0;
",
    "
    -- Of the lots of an account all but those that end last, written behind with it in the same way. The account's
    -- chapters are those of both kinds.
    CREATE TABLE lot_chapter (
        account INTEGER NOT NULL,
        lot INTEGER NOT NULL,
        lots TEXT NOT NULL,
        PRIMARY KEY (account, lot)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Plain names.
    ALTER TABLE purchase RENAME TO orders;
    ALTER TABLE keyed RENAME TO projection;
    ALTER TABLE projection RENAME COLUMN text TO text_id;
    ALTER TABLE answers RENAME TO response_block;
    ALTER TABLE response_block RENAME COLUMN last TO last_number;
    ALTER TABLE response_block RENAME COLUMN at TO newest_at;
    ALTER TABLE response_block RENAME COLUMN block TO body;
    ALTER TABLE answer_key RENAME TO response_slot;
    ALTER TABLE response_slot RENAME COLUMN answer TO number;
    ALTER TABLE checkpoint RENAME COLUMN answer TO response;
    ALTER TABLE chapter RENAME TO activity_segment;
    ALTER TABLE activity_segment RENAME COLUMN second TO first_second;
    ALTER TABLE activity_segment RENAME COLUMN nanosecond TO first_nanosecond;
    ALTER TABLE activity_segment RENAME COLUMN instants TO body;
    ALTER TABLE lot_chapter RENAME TO lot_segment;
    ALTER TABLE lot_segment RENAME COLUMN lot TO first_lot;
    ALTER TABLE lot_segment RENAME COLUMN lots TO body;
    ALTER TABLE account RENAME COLUMN chapters TO segment_count;
    ALTER TABLE sweep RENAME TO reschedule;
    ALTER TABLE reschedule RENAME COLUMN up_to TO up_to_account;
    ALTER TABLE claim RENAME TO code_claim;
    ALTER TABLE numbering RENAME TO number_counter;
    ALTER TABLE number_counter RENAME COLUMN last TO last_number;
    ALTER TABLE journal RENAME COLUMN previous TO previous_seq;
    ALTER TABLE customer RENAME COLUMN steady_since TO attributes_changed_at;
",
    "
    -- Versions of a program that agree with the one before in all that time brings about, and for shops whose accounts
    -- are being rescheduled the instant up to which due dates are right.
    ALTER TABLE program ADD COLUMN keeps_schedule INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE reschedule ADD COLUMN known_until INTEGER NOT NULL DEFAULT 0;
",
    "
    -- Customers who were merged into others, and the ids under which these are found since.
    ALTER TABLE customer ADD COLUMN merged TEXT NOT NULL DEFAULT '[]';
    CREATE TABLE customer_alias (
        shop INTEGER NOT NULL REFERENCES shop,
        customer_id TEXT NOT NULL,
        account INTEGER NOT NULL,
        PRIMARY KEY (shop, customer_id)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Keys have names and ends; one without a shop is the operator's. The secrets with which store plugins sign are
    -- records of their own, and sealed: SQL cannot do that, so the old ones stay in the old table until it is done.
    ALTER TABLE api_key RENAME TO api_key_before;
    CREATE TABLE api_key (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        shop INTEGER REFERENCES shop,
        name TEXT NOT NULL,
        hash BLOB NOT NULL,
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        last_used_at INTEGER
    ) STRICT;
    CREATE INDEX api_key_of_shop ON api_key (shop);
    INSERT INTO api_key SELECT number, id, shop, 'Unnamed', hash, scopes, created_at, NULL, NULL
        FROM api_key_before WHERE revoked_at IS NULL;
    CREATE TABLE store_secret (
        number INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL REFERENCES shop,
        store_id TEXT NOT NULL,
        sealed BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER
    ) STRICT;
    CREATE INDEX store_secret_of_store ON store_secret (shop, store_id);
    CREATE TABLE secret_counter (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        last_number INTEGER NOT NULL
    ) STRICT;
    -- Responses to changes of keys and secrets. They are sealed, since some show a secret.
    CREATE TABLE admin_response (
        owner INTEGER NOT NULL,
        key BLOB NOT NULL,
        fingerprint BLOB NOT NULL,
        at INTEGER NOT NULL,
        status INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Outgoing events are counted for each account, and the journal is read by shop.
    ALTER TABLE journal ADD COLUMN sequence INTEGER;
    ALTER TABLE account ADD COLUMN outgoing INTEGER NOT NULL DEFAULT 0;
    -- The shops of each complete block of 256 positions. It grows at its end, as the journal does.
    CREATE TABLE journal_block (
        block INTEGER NOT NULL,
        shop INTEGER NOT NULL,
        PRIMARY KEY (block, shop)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO journal_block SELECT DISTINCT seq >> 8, shop FROM journal
        WHERE seq >> 8 < (SELECT coalesce(max(seq) + 1, 0) >> 8 FROM journal);
    CREATE TABLE journal_id (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        id BLOB NOT NULL
    ) STRICT;
    INSERT INTO journal_id VALUES (1, randomblob(16));
",
    "
    -- Customers who were erased: accounts and times, and keyed hashes of what a late report would name.
    CREATE TABLE erasure (
        account INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL REFERENCES shop,
        merged TEXT NOT NULL,
        points INTEGER NOT NULL,
        redemptions INTEGER NOT NULL,
        erased_at INTEGER NOT NULL,
        completed_at INTEGER
    ) STRICT;
    CREATE TABLE erased (
        shop INTEGER NOT NULL REFERENCES shop,
        hash BLOB NOT NULL,
        account INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        PRIMARY KEY (shop, hash, account)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX erased_of_account ON erased (account);
    CREATE TABLE erasure_key (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        key BLOB NOT NULL
    ) STRICT;
    INSERT INTO erasure_key VALUES (1, randomblob(32));
",
    "
    -- Imports with their progress, and their reports by line. No personal data.
    CREATE TABLE import (
        shop INTEGER NOT NULL REFERENCES shop,
        import_id TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (shop, import_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE import_row (
        shop INTEGER NOT NULL REFERENCES shop,
        import_id TEXT NOT NULL,
        line INTEGER NOT NULL,
        is_refused INTEGER NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (shop, import_id, line)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX import_row_refused ON import_row (shop, import_id, line) WHERE is_refused;
",
    "
    -- Orders are listed by status and by account, in the order of their last changes; redemptions by status.
    -- SQL cannot tell the status of an order.
    ALTER TABLE orders ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE orders ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX order_by_status ON orders (shop, status, updated_at, order_id);
    CREATE INDEX order_of_account ON orders (account, updated_at, order_id) WHERE account IS NOT NULL;
    ALTER TABLE projection ADD COLUMN status INTEGER;
    CREATE INDEX redemption_by_status ON projection (shop, status, id) WHERE status IS NOT NULL;
    UPDATE projection SET status = CASE
        WHEN state ->> '$.redemption.state' = 'issued' THEN 1
        WHEN state -> '$.redemption.state.used' IS NOT NULL THEN 2
        WHEN state -> '$.redemption.state.cancelled' IS NOT NULL THEN 3
        WHEN state -> '$.redemption.state.expired' IS NOT NULL THEN 4
    END WHERE kind = 7;
",
    "
    -- Who gets outgoing events, how far each has got, and the events that wait or were given up. No personal data,
    -- but for the head of what a receiver has answered, which erasure clears. The secrets are sealed.
    CREATE TABLE destination (
        number INTEGER PRIMARY KEY,
        shop INTEGER NOT NULL REFERENCES shop,
        record TEXT NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX destination_of_shop ON destination (shop);
    CREATE TABLE destination_progress (
        destination INTEGER PRIMARY KEY,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE delivery (
        destination INTEGER NOT NULL,
        is_waiting INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        event INTEGER NOT NULL,
        account INTEGER,
        at INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        last TEXT,
        PRIMARY KEY (destination, is_waiting, seq, event)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE destination_counter (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        last_number INTEGER NOT NULL,
        revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO destination_counter VALUES (1, 0, 0);
",
    "
    -- What each day of a shop adds up to: a fold of the journal, written behind it. SQL cannot tell the shops' days.
    CREATE TABLE day_totals (
        shop INTEGER NOT NULL,
        day INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        totals TEXT NOT NULL,
        PRIMARY KEY (shop, day)
    ) STRICT, WITHOUT ROWID;
",
];

const WRITE_FLAGS: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens the file for writing, creates it if it does not exist, and migrates it to the newest
/// format.
pub(super) fn open(path: &Path) -> Result<Connection, Failure> {
    check_log(path)?;
    create_private(path)?;
    prepare(Connection::open_with_flags(path, WRITE_FLAGS)?)
}

/// Opens an existing file for writing.
pub(super) fn open_existing(path: &Path) -> Result<Connection, Failure> {
    check_log(path)?;
    prepare(Connection::open_with_flags(path, WRITE_FLAGS)?)
}

/// Opens the file for writing as an operator does: it is never moved to another format. Creates it
/// if `create` is true and it does not exist.
pub(super) fn open_unmigrated(path: &Path, create: bool) -> Result<Connection, Failure> {
    check_log(path)?;
    if create {
        create_private(path)?;
    }
    let db = Connection::open_with_flags(path, WRITE_FLAGS)?;
    configure(&db)?;
    if has_tables(&db)? {
        ensure_current_format(&db)?;
    }
    prepare(db)
}

/// Opens an existing file for reading, without changing it or its log: not even when it is closed.
/// It may have an older format.
pub(super) fn open_unchanged(path: &Path) -> Result<Connection, Failure> {
    check_log(path)?;
    let db = Connection::open_with_flags(path, WRITE_FLAGS)?;
    configure(&db)?;
    db.pragma_update(None, "query_only", true)?;
    if uncheckpointed_log(path).is_some() {
        keep_log(&db)?;
    }
    read_format(&db)?;
    Ok(db)
}

/// Opens an existing file to copy it, without changing it or its log. It may have an older format.
pub(super) fn open_for_backup(path: &Path) -> Result<Connection, Failure> {
    ensure_sqlite_version()?;
    let db = open_unchanged(path)?;
    // A copy is another file, and is written.
    db.pragma_update(None, "query_only", false)?;
    Ok(db)
}

/// Returns the format of a file if it is older than what this program writes. An empty file has none.
pub(super) fn older_format(db: &Connection) -> Result<Option<i64>, Failure> {
    let found = read_format(db)?;
    Ok((found < FORMAT && has_tables(db)?).then_some(found))
}

/// Moves a copy to the newest format, and leaves nothing beside it.
pub(super) fn migrate_copy(path: &Path) -> Result<(), Failure> {
    let db = open(path)?;
    Ok(db.pragma_update(None, "journal_mode", "DELETE")?)
}

/// Fails if the file has not the format that this program writes.
pub(super) fn ensure_current_format(db: &Connection) -> Result<(), Failure> {
    match read_format(db)? {
        FORMAT => Ok(()),
        found => Err(Failure::OlderFormat { found, supported: FORMAT }),
    }
}

/// Has the log stay as it is when the connection is closed.
fn keep_log(db: &Connection) -> Result<(), Failure> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Checks that the log beside a file is its own, before anything is done with it.
fn check_log(path: &Path) -> Result<(), Failure> {
    let Some(log) = uncheckpointed_log(path) else { return Ok(()) };
    ensure_own_log(path)?;
    if lacks_pages(path, &log).unwrap_or(false) {
        return Err(foreign_log(path, &log));
    }

    // Together they may still be damaged, or busy: who opens the file is told.
    let Ok(db) = Connection::open_with_flags(path, WRITE_FLAGS) else {
        return Ok(());
    };
    keep_log(&db)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    match is_journal_complete(&db, last_row_without_log(path)) {
        Ok(false) => Err(foreign_log(path, &log)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Err(foreign_log(path, &log))
        }
        Ok(true) | Err(_) => Ok(()),
    }
}

/// Returns the last journal row that a file has without its log.
fn last_row_without_log(path: &Path) -> Option<i64> {
    let escaped = path
        .to_str()?
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let db = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).ok()?;
    let sql = "SELECT coalesce(max(seq), 0) FROM journal";
    db.query_row(sql, [], |row| row.get(0)).ok()
}

/// Returns `true` if the file and its log together have all journal rows after one: neither lacks
/// what was written between the two. Positions are consecutive.
fn is_journal_complete(db: &Connection, after: Option<i64>) -> rusqlite::Result<bool> {
    /// More rows than a log has.
    const MANY_ROWS: i64 = 300_000;
    let has_journal = "SELECT count(*) FROM sqlite_schema WHERE name = 'journal'";
    if db.query_row(has_journal, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(true);
    }

    let sql = "SELECT coalesce(max(seq), 0) FROM journal";
    let last: i64 = db.query_row(sql, [], |row| row.get(0))?;
    let after = after.unwrap_or_else(|| last.saturating_sub(MANY_ROWS).max(0));
    let sql = "SELECT count(*) FROM journal WHERE seq > ?";
    let rows: i64 = db.query_row(sql, [after], |row| row.get(0))?;
    // All tables are complete up to the checkpoint, which is no newer than the journal.
    let checkpoint: i64 = db.query_row("SELECT seq FROM checkpoint", [], |row| row.get(0))?;
    Ok(rows == last.saturating_sub(after) && checkpoint <= last)
}

/// Returns `false` for an empty file.
pub(super) fn has_tables(db: &Connection) -> Result<bool, Failure> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables > 0)
}

/// Opens the file for writing concurrently with the writer, which has migrated it.
pub(super) fn open_for_checkpoint(path: &Path) -> Result<Connection, Failure> {
    let db = Connection::open_with_flags(path, WRITE_FLAGS)?;
    configure(&db)?;
    Ok(db)
}

/// Rejects a file of another program, or of a newer format, before anything is changed in it. A file
/// of the newest format is opened without a lock, so that it may be busy.
fn prepare(mut db: Connection) -> Result<Connection, Failure> {
    ensure_sqlite_version()?;
    configure(&db)?;
    // A commit that has added pages scans the whole cache, and write-behind needs little of it since
    // its slices are sorted.
    db.pragma_update(None, "cache_size", -8_000)?;
    let found = read_format(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    if found < FORMAT {
        migrate(&mut db)?;
    }
    Ok(db)
}

/// Opens an existing file for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    configure(&db)?;
    Ok(db)
}

fn ensure_sqlite_version() -> Result<(), Failure> {
    if rusqlite::version_number() >= MIN_SQLITE_VERSION {
        return Ok(());
    }
    let found = rusqlite::version();
    Err(Failure::Unavailable(format!(
        "SQLite {found} can corrupt a database; 3.51.3 or newer is needed"
    )))
}

fn configure(db: &Connection) -> Result<(), Failure> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(64);
    // FULL: a commit is on the disk before its replies. The checkpointer copies the log.
    for (name, value) in [("synchronous", 2), ("wal_autocheckpoint", 0), ("cache_size", -32_000)] {
        db.pragma_update(None, name, value)?;
    }
    db.pragma_update(None, "mmap_size", 0)?;
    // What is deleted or replaced is overwritten: erased customers must leave no bytes.
    db.pragma_update(None, "secure_delete", true)?;
    // A plan is for every value: without this, each run of a cached statement can plan it again.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Returns the format of a file of this program; zero for an empty file.
fn read_format(db: &Connection) -> Result<i64, Failure> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if number("application_id")? != APPLICATION_ID && has_tables(db)? {
        return Err(Failure::Corrupt("the file is another program's database".to_owned()));
    }
    match number("user_version")? {
        found if found > FORMAT => Err(Failure::NewerFormat { found, supported: FORMAT }),
        found => Ok(found),
    }
}

/// Runs the missing steps in one transaction.
fn migrate(db: &mut Connection) -> Result<(), Failure> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have migrated it before the lock was taken.
    let found = read_format(&transaction)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }

    // After all steps, since they use the newest names.
    if found < RESPONSE_SLOTS_FORMAT {
        rebuild_slots(&transaction)?;
    }
    if found < SCHEDULES_FORMAT {
        compare_schedules(&transaction)?;
    }
    if found < ORDER_LISTS_FORMAT {
        list_orders(&transaction)?;
    }
    if found < DAY_TOTALS_FORMAT {
        sum_journal(&transaction)?;
    }

    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(transaction.commit()?)
}
