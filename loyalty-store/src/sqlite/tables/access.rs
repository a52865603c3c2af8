//! Keys, signing secrets, and the responses of their changes. Secrets and responses are sealed.

use std::collections::BTreeSet;

use loyalty_core::{ShopId, StoreId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::query::{
    corrupt, count_rows, for_each_row, from_json, from_micros, max_value, query_one, sealing,
    to_micros,
};
use super::{destination, journal};
use crate::administration::{AdminChange, StoreSecret, StoredAdminResponse};
use crate::destination::{Destination, DestinationId, DestinationProgress};
use crate::error::Failure;
use crate::record::{JournalRow, Seq, to_json};
use crate::request::Response;
use crate::seal::{MasterKeyId, MasterKeys, SealContext, SecretText, hexadecimal, sealed_by};
use crate::shop::{ApiKeyRecord, KeyHash, KeyOwner, NewApiKey};
use crate::transact::StoredResponse;
use crate::transact::administration::AdminView;
use crate::transact::destination::DestinationView;

const SELECT_KEY: &str = "SELECT id, shop, name, hash, scopes, created_at, expires_at, \
    last_used_at FROM api_key";

fn decode_key(row: &Row<'_>) -> Result<ApiKeyRecord, Failure> {
    let shop: Option<i64> = row.get(1)?;
    let instant = |micros: Option<i64>| micros.map(from_micros).transpose();
    Ok(ApiKeyRecord {
        owner: shop.map_or(KeyOwner::Operator, |shop| KeyOwner::Shop(ShopId(shop))),
        key: NewApiKey {
            hash: KeyHash { id: row.get(0)?, hash: row.get(3)? },
            name: row.get(2)?,
            scopes: from_json(&row.get::<_, String>(4)?)?,
            expires_at: instant(row.get(6)?)?,
        },
        created_at: from_micros(row.get(5)?)?,
        last_used_at: instant(row.get(7)?)?,
    })
}

pub(crate) fn read_key(db: &Connection, id: &str) -> Result<Option<ApiKeyRecord>, Failure> {
    query_one(db, &format!("{SELECT_KEY} WHERE id = ?"), [id], decode_key)
}

/// Returns the keys of an owner, oldest first.
pub(crate) fn read_keys(db: &Connection, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
    let mut keys = Vec::new();
    let shop = owner.shop().map(|shop| shop.0);
    for_each_row(db, &format!("{SELECT_KEY} WHERE shop IS ? ORDER BY number"), [shop], |row| {
        keys.push(decode_key(row)?);
        Ok(())
    })?;
    Ok(keys)
}

/// Notes when a key was last used.
pub(crate) fn update_last_use(db: &Connection, id: &str, at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE api_key SET last_used_at = max(coalesce(last_used_at, ?1), ?1) WHERE id = ?2";
    db.prepare_cached(sql)?.execute(params![to_micros(at), id])?;
    Ok(())
}

fn put_key(db: &Connection, record: &ApiKeyRecord) -> Result<(), Failure> {
    let ApiKeyRecord { owner, key, created_at, last_used_at } = record;
    let sql = "INSERT INTO api_key
            (id, shop, name, hash, scopes, created_at, expires_at, last_used_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at";
    db.execute(
        sql,
        params![
            key.hash.id,
            owner.shop().map(|shop| shop.0),
            key.name,
            key.hash.hash,
            to_json(&key.scopes)?,
            to_micros(*created_at),
            key.expires_at.map(to_micros),
            last_used_at.map(to_micros)
        ],
    )?;
    Ok(())
}

// Signing secrets.

/// The place of a secret: its row.
fn secret_place(shop: i64, number: &str) -> SealContext<'_> {
    SealContext { shop: Some(ShopId(shop)), table: "store_secret", id: number }
}

fn open_text(
    keys: &MasterKeys,
    place: SealContext<'_>,
    sealed: &[u8],
) -> Result<SecretText, Failure> {
    let opened = keys.open(place, sealed).map_err(sealing)?;
    let text = std::str::from_utf8(&opened).map_err(|error| corrupt("a secret", &error))?;
    Ok(SecretText::new(text.to_owned()))
}

/// Returns the secrets of a shop's connected stores, the newest first.
pub(crate) fn read_secrets(
    db: &Connection,
    keys: &MasterKeys,
    shop: ShopId,
) -> Result<Vec<StoreSecret>, Failure> {
    let sql = "SELECT number, store_id, sealed, created_at, expires_at FROM store_secret
        WHERE shop = ? ORDER BY number DESC";
    let mut secrets = Vec::new();
    for_each_row(db, sql, [shop.0], |row| {
        let (number, store): (i64, String) = (row.get(0)?, row.get(1)?);
        let (sealed, expires_at): (Vec<u8>, Option<i64>) = (row.get(2)?, row.get(4)?);
        secrets.push(StoreSecret {
            store: StoreId::new(&store).ok_or_else(|| corrupt("a store's id", &store))?,
            secret: open_text(keys, secret_place(shop.0, &number.to_string()), &sealed)?,
            created_at: from_micros(row.get(3)?)?,
            expires_at: expires_at.map(from_micros).transpose()?,
        });
        Ok(())
    })?;
    Ok(secrets)
}

fn insert_secret(
    db: &Connection,
    keys: &MasterKeys,
    shop: ShopId,
    secret: &StoreSecret,
) -> Result<(), Failure> {
    // The number is part of the place, so it is known first. A number is never used again.
    let take = "INSERT INTO secret_counter VALUES (1, 1)
        ON CONFLICT (only_row) DO UPDATE SET last_number = last_number + 1 RETURNING last_number";
    let number: i64 = db.query_row(take, [], |row| row.get(0))?;
    let text = secret.secret.expose().as_bytes();
    let sealed = keys
        .seal(secret_place(shop.0, &number.to_string()), text)
        .map_err(sealing)?;
    let sql = "INSERT INTO store_secret (number, shop, store_id, sealed, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?)";
    let (created_at, end) = (to_micros(secret.created_at), secret.expires_at.map(to_micros));
    db.execute(sql, params![number, shop.0, secret.store.as_str(), sealed, created_at, end])?;
    Ok(())
}

/// True if the file has secrets from before there were master keys.
pub(crate) fn has_older_secrets(db: &Connection) -> Result<bool, Failure> {
    let found = "SELECT count(*) FROM sqlite_schema WHERE name = 'api_key_before'";
    Ok(db.query_row(found, [], |row| row.get::<_, i64>(0))? > 0)
}

/// Seals the secrets of a file from before there were master keys, which stand beside its keys in
/// clear, and deletes them there. The connection overwrites what it deletes.
pub(crate) fn seal_older_secrets(db: &Connection, keys: &MasterKeys) -> Result<(), Failure> {
    if !has_older_secrets(db)? {
        return Ok(());
    }
    let sql = "SELECT shop, signing_secret, created_at FROM api_key_before
        WHERE revoked_at IS NULL ORDER BY number";
    let mut secrets = Vec::new();
    for_each_row(db, sql, [], |row| {
        let secret = StoreSecret {
            store: StoreId::plugin(),
            secret: SecretText::new(row.get(1)?),
            created_at: from_micros(row.get(2)?)?,
            expires_at: None,
        };
        secrets.push((ShopId(row.get(0)?), secret));
        Ok(())
    })?;
    for (shop, secret) in &secrets {
        insert_secret(db, keys, *shop, secret)?;
    }
    Ok(db.execute_batch("DROP TABLE api_key_before")?)
}

// Responses.

/// The number of an owner: that of the shop, or 0.
fn owner_number(owner: KeyOwner) -> i64 {
    owner.shop().map_or(0, |shop| shop.0)
}

fn response_place(owner: i64, key: &str) -> SealContext<'_> {
    let shop = (owner != 0).then_some(ShopId(owner));
    SealContext { shop, table: "admin_response", id: key }
}

fn find_response(
    db: &Connection,
    keys: &MasterKeys,
    owner: KeyOwner,
    key: &[u8; 16],
) -> Result<Option<StoredAdminResponse>, Failure> {
    let sql = "SELECT fingerprint, at, status, sealed FROM admin_response
        WHERE owner = ? AND key = ?";
    let number = owner_number(owner);
    query_one(db, sql, params![number, key], |row| {
        let sealed: Vec<u8> = row.get(3)?;
        let body = keys.open(response_place(number, &hexadecimal(key)), &sealed);
        Ok(StoredAdminResponse {
            owner,
            key: *key,
            fingerprint: row.get(0)?,
            at: from_micros(row.get(1)?)?,
            response: Response { status: row.get(2)?, body: body.map_err(sealing)?.to_vec() },
        })
    })
}

fn put_response(
    db: &Connection,
    keys: &MasterKeys,
    stored: &StoredAdminResponse,
) -> Result<(), Failure> {
    let StoredAdminResponse { owner, key, fingerprint, at, response } = stored;
    let old = at.checked_sub_signed(chrono::TimeDelta::days(StoredResponse::RETENTION_DAYS));
    if let Some(old) = old {
        db.execute("DELETE FROM admin_response WHERE at < ?", [to_micros(old)])?;
    }
    let number = owner_number(*owner);
    let sealed = keys.seal(response_place(number, &hexadecimal(key)), &response.body);
    let sql = "INSERT OR REPLACE INTO admin_response VALUES (?, ?, ?, ?, ?, ?)";
    let (at, sealed) = (to_micros(*at), sealed.map_err(sealing)?);
    db.execute(sql, params![number, key, fingerprint, at, response.status, sealed])?;
    Ok(())
}

// Transactions.

/// An open transaction, and the keys that seal in it.
pub(crate) struct AdminTables<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) keys: &'a MasterKeys,
}

impl AdminView for AdminTables<'_> {
    fn keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
        read_keys(self.db, owner)
    }

    fn key(&self, id: &str) -> Result<Option<ApiKeyRecord>, Failure> {
        read_key(self.db, id)
    }

    fn has_shop(&self, shop: ShopId) -> Result<bool, Failure> {
        Ok(super::shop::read_shop(self.db, shop)?.is_some())
    }

    fn secret_ends(
        &self,
        shop: ShopId,
        store: &StoreId,
    ) -> Result<Vec<Option<Timestamp>>, Failure> {
        let sql = "SELECT expires_at FROM store_secret WHERE shop = ? AND store_id = ?
            ORDER BY number DESC";
        let mut ends = Vec::new();
        for_each_row(self.db, sql, params![shop.0, store.as_str()], |row| {
            let end: Option<i64> = row.get(0)?;
            ends.push(end.map(from_micros).transpose()?);
            Ok(())
        })?;
        Ok(ends)
    }

    fn stored_response(
        &self,
        owner: KeyOwner,
        key: &[u8; 16],
    ) -> Result<Option<StoredAdminResponse>, Failure> {
        find_response(self.db, self.keys, owner, key)
    }
}

impl DestinationView for AdminTables<'_> {
    fn destinations(&self, shop: ShopId) -> Result<Vec<Destination>, Failure> {
        destination::read_destinations(self.db, self.keys, Some(shop))
    }

    fn destination(&self, id: DestinationId) -> Result<Option<Destination>, Failure> {
        destination::read_destination(self.db, self.keys, id)
    }

    fn progress(&self, id: DestinationId) -> Result<Option<DestinationProgress>, Failure> {
        destination::read_progress(self.db, id)
    }

    fn next_destination(&self) -> Result<DestinationId, Failure> {
        destination::next_number(self.db)
    }

    fn last_position(&self) -> Result<Seq, Failure> {
        max_value(self.db, "seq", "journal")
    }

    fn journal_row(&self, seq: Seq) -> Result<Option<JournalRow>, Failure> {
        journal::read_journal_row(self.db, seq)
    }
}

impl AdminTables<'_> {
    pub(crate) fn write(&self, change: &AdminChange) -> Result<(), Failure> {
        let Self { db, keys } = self;
        match change {
            AdminChange::PutKey(record) => put_key(db, record),
            AdminChange::DeleteKey(id) => {
                db.execute("DELETE FROM api_key WHERE id = ?", [id])?;
                Ok(())
            }
            AdminChange::AddSecret(shop, secret) => insert_secret(db, keys, *shop, secret),
            AdminChange::EndSecrets(shop, store, end) => {
                let sql = "UPDATE store_secret SET expires_at = min(coalesce(expires_at, ?1), ?1)
                    WHERE shop = ?2 AND store_id = ?3";
                db.execute(sql, params![to_micros(*end), shop.0, store.as_str()])?;
                Ok(())
            }
            AdminChange::DropOlderSecrets(shop, store, now) => {
                let sql = "DELETE FROM store_secret WHERE shop = ?1 AND store_id = ?2
                    AND (expires_at <= ?3 OR number < (SELECT max(number) FROM store_secret
                        WHERE shop = ?1 AND store_id = ?2))";
                db.execute(sql, params![shop.0, store.as_str(), to_micros(*now)])?;
                Ok(())
            }
            AdminChange::Destination(change) => {
                destination::count_change(db)?;
                destination::write(db, keys, change)
            }
            AdminChange::PutResponse(stored) => put_response(db, keys, stored),
        }
    }
}

// Master keys.

/// Everything sealed: the table, and the statement that reads it.
const SEALED: [(&str, &str); 3] = [
    ("store_secret", "SELECT sealed FROM store_secret"),
    ("admin_response", "SELECT sealed FROM admin_response"),
    ("destination", "SELECT sealed FROM destination"),
];

/// Returns the master keys that sealed something in the file; none for a file of an older format.
pub(crate) fn read_master_key_ids(db: &Connection) -> Result<BTreeSet<MasterKeyId>, Failure> {
    let mut ids = BTreeSet::new();
    for (table, sql) in SEALED {
        let has_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";
        if count_rows(db, has_table, [table])? == 0 {
            continue;
        }
        for_each_row(db, sql, [], |row| {
            ids.insert(sealed_by(&row.get::<_, Vec<u8>>(0)?).map_err(sealing)?);
            Ok(())
        })?;
    }
    Ok(ids)
}

/// Seals everything with the first key that another one sealed. Returns how much there was.
pub(crate) fn seal_anew(db: &Connection, keys: &MasterKeys) -> Result<usize, Failure> {
    let first = keys.first().id();
    let mut renewed = destination::seal_anew(db, keys)?;

    let mut secrets = Vec::new();
    for_each_row(db, "SELECT number, shop, sealed FROM store_secret", [], |row| {
        secrets.push((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?));
        Ok(())
    })?;
    for (number, shop, sealed) in secrets {
        if sealed_by(&sealed).map_err(sealing)? == first {
            continue;
        }
        let text = number.to_string();
        let place = secret_place(shop, &text);
        let opened = keys.open(place, &sealed).map_err(sealing)?;
        let sealed = keys.seal(place, &opened).map_err(sealing)?;
        let sql = "UPDATE store_secret SET sealed = ? WHERE number = ?";
        db.execute(sql, params![sealed, number])?;
        renewed = renewed.saturating_add(1);
    }

    let mut responses = Vec::new();
    for_each_row(db, "SELECT owner, key, sealed FROM admin_response", [], |row| {
        let key: [u8; 16] = row.get(1)?;
        responses.push((row.get::<_, i64>(0)?, key, row.get::<_, Vec<u8>>(2)?));
        Ok(())
    })?;
    for (owner, key, sealed) in responses {
        if sealed_by(&sealed).map_err(sealing)? == first {
            continue;
        }
        let text = hexadecimal(&key);
        let place = response_place(owner, &text);
        let opened = keys.open(place, &sealed).map_err(sealing)?;
        let sealed = keys.seal(place, &opened).map_err(sealing)?;
        let sql = "UPDATE admin_response SET sealed = ? WHERE owner = ? AND key = ?";
        db.execute(sql, params![sealed, owner, key])?;
        renewed = renewed.saturating_add(1);
    }
    Ok(renewed)
}
