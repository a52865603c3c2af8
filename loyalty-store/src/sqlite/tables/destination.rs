//! Destinations, how far each has got, and the deliveries that wait or were given up. Secrets are
//! sealed.

use loyalty_core::{AccountId, ShopId, Timestamp};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::query::{
    corrupt, count_rows, for_each_row, from_json, from_micros, max_value, query_one, sealing,
    sql_limit, to_micros,
};
use crate::destination::{
    Delivery, DeliveryCounts, DeliveryState, Destination, DestinationChange, DestinationId,
    DestinationKind, DestinationProgress, DestinationSecret, DestinationSettings, DestinationState,
    EventPosition,
};
use crate::error::Failure;
use crate::outgoing::OutgoingKind;
use crate::record::to_json;
use crate::seal::{MasterKeys, SealContext, SecretText, sealed_by};

/// A destination as it is stored, besides its secrets.
#[derive(Serialize, Deserialize)]
struct StoredDestination {
    kind: DestinationKind,
    url: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<OutgoingKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    state: DestinationState,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A secret as it is sealed.
#[derive(Serialize, Deserialize)]
struct StoredSecret<'a> {
    #[serde(borrow)]
    secret: std::borrow::Cow<'a, str>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// The place of a destination's secrets: its row.
fn secret_place(shop: ShopId, number: &str) -> SealContext<'_> {
    SealContext { shop: Some(shop), table: "destination", id: number }
}

fn decode(row: &Row<'_>, keys: &MasterKeys) -> Result<Destination, Failure> {
    let (number, shop) = (row.get::<_, i64>(0)?, ShopId(row.get(1)?));
    let stored: StoredDestination = from_json(&row.get::<_, String>(2)?)?;
    let opened = keys.open(secret_place(shop, &number.to_string()), &row.get::<_, Vec<u8>>(3)?);
    let opened = opened.map_err(sealing)?;
    let secrets: Vec<StoredSecret<'_>> =
        serde_json::from_slice(&opened).map_err(|_| corrupt("a secret", &number))?;
    let secrets = secrets.into_iter().map(|stored| DestinationSecret {
        secret: SecretText::new(stored.secret.into_owned()),
        created_at: stored.created_at,
        expires_at: stored.expires_at,
    });
    let StoredDestination {
        kind,
        url,
        description,
        events,
        details,
        state,
        created_at,
        updated_at,
    } = stored;
    let events = events.into_iter().collect();
    Ok(Destination {
        id: DestinationId(number),
        shop,
        kind,
        settings: DestinationSettings { url, description, events, details },
        state,
        secrets: secrets.collect(),
        created_at,
        updated_at,
    })
}

const SELECT: &str = "SELECT number, shop, record, sealed FROM destination";

/// Returns the destinations of a shop, or of all, in the order of their creation.
pub(crate) fn read_destinations(
    db: &Connection,
    keys: &MasterKeys,
    shop: Option<ShopId>,
) -> Result<Vec<Destination>, Failure> {
    let sql = format!("{SELECT} WHERE shop = ?1 OR ?1 IS NULL ORDER BY number");
    let of_shop = format!("{SELECT} WHERE shop = ?1 ORDER BY number");
    let mut found = Vec::new();
    for_each_row(
        db,
        if shop.is_some() { &of_shop } else { &sql },
        [shop.map(|shop| shop.0)],
        |row| {
            found.push(decode(row, keys)?);
            Ok(())
        },
    )?;
    Ok(found)
}

pub(crate) fn read_destination(
    db: &Connection,
    keys: &MasterKeys,
    id: DestinationId,
) -> Result<Option<Destination>, Failure> {
    query_one(db, &format!("{SELECT} WHERE number = ?"), [id.0], |row| decode(row, keys))
}

fn put_destination(
    db: &Connection,
    keys: &MasterKeys,
    destination: &Destination,
) -> Result<(), Failure> {
    let Destination {
        id,
        shop,
        kind,
        settings,
        state,
        secrets,
        created_at,
        updated_at,
    } = destination;
    let stored = StoredDestination {
        kind: kind.clone(),
        url: settings.url.clone(),
        description: settings.description.clone(),
        events: settings.events.iter().copied().collect(),
        details: settings.details.clone(),
        state: *state,
        created_at: *created_at,
        updated_at: *updated_at,
    };
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| StoredSecret {
            secret: secret.secret.expose().into(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        })
        .collect();
    let secrets = Zeroizing::new(to_json(&secrets)?);
    let sealed = keys.seal(secret_place(*shop, &id.0.to_string()), secrets.as_bytes());
    let sql = "INSERT INTO destination (number, shop, record, sealed) VALUES (?, ?, ?, ?)
        ON CONFLICT (number) DO UPDATE SET record = excluded.record, sealed = excluded.sealed";
    db.execute(sql, params![id.0, shop.0, to_json(&stored)?, sealed.map_err(sealing)?])?;
    let sql = "UPDATE destination_counter SET last_number = max(last_number, ?)";
    db.execute(sql, [id.0])?;
    Ok(())
}

/// Seals the secrets with the first key that another one sealed. Returns how many there were.
pub(super) fn seal_anew(db: &Connection, keys: &MasterKeys) -> Result<usize, Failure> {
    let mut sealed = Vec::new();
    for_each_row(db, "SELECT number, shop, sealed FROM destination", [], |row| {
        sealed.push((row.get::<_, i64>(0)?, ShopId(row.get(1)?), row.get::<_, Vec<u8>>(2)?));
        Ok(())
    })?;
    let mut renewed: usize = 0;
    for (number, shop, sealed) in sealed {
        if sealed_by(&sealed).map_err(sealing)? == keys.first().id() {
            continue;
        }
        let text = number.to_string();
        let place = secret_place(shop, &text);
        let opened = keys.open(place, &sealed).map_err(sealing)?;
        let sealed = keys.seal(place, &opened).map_err(sealing)?;
        let sql = "UPDATE destination SET sealed = ? WHERE number = ?";
        db.execute(sql, params![sealed, number])?;
        renewed = renewed.saturating_add(1);
    }
    Ok(renewed)
}

// Progress.

/// Returns the number of the last administrative change.
pub(crate) fn read_revision(db: &Connection) -> Result<i64, Failure> {
    let sql = "SELECT revision FROM destination_counter";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Counts an administrative change.
pub(crate) fn count_change(db: &Connection) -> Result<(), Failure> {
    db.execute("UPDATE destination_counter SET revision = revision + 1", [])?;
    Ok(())
}

pub(crate) fn read_progress(
    db: &Connection,
    id: DestinationId,
) -> Result<Option<DestinationProgress>, Failure> {
    let sql = "SELECT record FROM destination_progress WHERE destination = ?";
    query_one(db, sql, [id.0], |row| from_json(&row.get::<_, String>(0)?))
}

fn put_progress(
    db: &Connection,
    id: DestinationId,
    progress: &DestinationProgress,
) -> Result<(), Failure> {
    let sql = "INSERT INTO destination_progress (destination, record) VALUES (?, ?)
        ON CONFLICT (destination) DO UPDATE SET record = excluded.record";
    db.prepare_cached(sql)?.execute(params![id.0, to_json(progress)?])?;
    Ok(())
}

/// Returns `true` for a destination of the shop.
pub(crate) fn is_of_shop(
    db: &Connection,
    shop: ShopId,
    id: DestinationId,
) -> Result<bool, Failure> {
    let sql = "SELECT count(*) FROM destination WHERE number = ? AND shop = ?";
    Ok(count_rows(db, sql, [id.0, shop.0])? > 0)
}

// Deliveries.

const DELIVERY: &str =
    "SELECT destination, is_waiting, seq, event, account, at, attempts, last FROM delivery";

fn decode_delivery(row: &Row<'_>) -> Result<Delivery, Failure> {
    let (is_waiting, at) = (row.get::<_, bool>(1)?, from_micros(row.get(5)?)?);
    let last: Option<String> = row.get(7)?;
    Ok(Delivery {
        destination: DestinationId(row.get(0)?),
        event: EventPosition { seq: row.get(2)?, index: row.get(3)? },
        account: row.get::<_, Option<i64>>(4)?.map(AccountId),
        state: if is_waiting {
            DeliveryState::Waiting { due_at: at }
        } else {
            DeliveryState::Dead { at }
        },
        attempts: row.get(6)?,
        last: last.map(|last| from_json(&last)).transpose()?,
    })
}

pub(crate) fn read_deliveries(
    db: &Connection,
    id: DestinationId,
    are_waiting: bool,
    after: Option<EventPosition>,
    limit: usize,
) -> Result<Vec<Delivery>, Failure> {
    let sql = format!(
        "{DELIVERY} WHERE destination = ? AND is_waiting = ? AND (seq, event) > (?, ?)
            ORDER BY seq, event LIMIT ?"
    );
    let (seq, event) = after.map_or((0, 0), |after| (after.seq, after.index));
    let mut found = Vec::new();
    for_each_row(db, &sql, params![id.0, are_waiting, seq, event, sql_limit(limit)], |row| {
        found.push(decode_delivery(row)?);
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn read_delivery(
    db: &Connection,
    id: DestinationId,
    event: EventPosition,
) -> Result<Option<Delivery>, Failure> {
    let sql = format!(
        "{DELIVERY} WHERE destination = ? AND is_waiting IN (0, 1) AND seq = ? AND event = ?"
    );
    query_one(db, &sql, params![id.0, event.seq, event.index], decode_delivery)
}

pub(crate) fn count_deliveries(
    db: &Connection,
    id: DestinationId,
) -> Result<DeliveryCounts, Failure> {
    let sql = "SELECT count(*) FROM delivery WHERE destination = ? AND is_waiting = ?";
    let count = |is_waiting: bool| count_rows(db, sql, params![id.0, is_waiting]);
    Ok(DeliveryCounts { waiting: count(true)?, dead: count(false)? })
}

fn remove_delivery(
    db: &Connection,
    id: DestinationId,
    event: EventPosition,
) -> Result<(), Failure> {
    let sql = "DELETE FROM delivery
        WHERE destination = ? AND is_waiting IN (0, 1) AND seq = ? AND event = ?";
    db.prepare_cached(sql)?
        .execute(params![id.0, event.seq, event.index])?;
    Ok(())
}

fn put_delivery(db: &Connection, delivery: &Delivery) -> Result<(), Failure> {
    let Delivery { destination, event, account, state, attempts, last } = delivery;
    // It may have the other state, which is part of the key.
    remove_delivery(db, *destination, *event)?;
    let (is_waiting, at) = match state {
        DeliveryState::Waiting { due_at } => (true, due_at),
        DeliveryState::Dead { at } => (false, at),
    };
    let last = last.as_ref().map(to_json).transpose()?;
    let sql = "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        destination.0,
        is_waiting,
        event.seq,
        event.index,
        account.map(|account| account.0),
        to_micros(*at),
        attempts,
        last
    ])?;
    Ok(())
}

/// Clears what receivers have answered about accounts. Returns how many answers there were.
pub(crate) fn clear_answers(
    db: &Connection,
    shop: ShopId,
    accounts: &[AccountId],
) -> Result<usize, Failure> {
    let sql = "UPDATE delivery SET last = json_remove(last, '$.answer')
        WHERE account = ? AND last ->> '$.answer' IS NOT NULL
            AND destination IN (SELECT number FROM destination WHERE shop = ?)";
    let mut clear = db.prepare_cached(sql)?;
    let mut cleared: usize = 0;
    for account in accounts {
        cleared = cleared.saturating_add(clear.execute([account.0, shop.0])?);
    }
    Ok(cleared)
}

// Transactions.

pub(crate) fn write(
    db: &Connection,
    keys: &MasterKeys,
    change: &DestinationChange,
) -> Result<(), Failure> {
    match change {
        DestinationChange::Put(destination) => put_destination(db, keys, destination),
        DestinationChange::PutProgress(id, progress) => put_progress(db, *id, progress),
        DestinationChange::Delete(id) => {
            db.execute("DELETE FROM delivery WHERE destination = ?", [id.0])?;
            db.execute("DELETE FROM destination_progress WHERE destination = ?", [id.0])?;
            db.execute("DELETE FROM destination WHERE number = ?", [id.0])?;
            Ok(())
        }
        DestinationChange::PutDelivery(delivery) => put_delivery(db, delivery),
        DestinationChange::RemoveDelivery(id, event) => remove_delivery(db, *id, *event),
        DestinationChange::PruneDead { destination, before, keep } => {
            let sql = "DELETE FROM delivery WHERE destination = ? AND is_waiting = 0 AND at < ?";
            db.execute(sql, params![destination.0, to_micros(*before)])?;
            let sql = "DELETE FROM delivery WHERE destination = ?1 AND is_waiting = 0
                AND (seq, event) <= (SELECT seq, event FROM delivery
                    WHERE destination = ?1 AND is_waiting = 0
                    ORDER BY seq DESC, event DESC LIMIT 1 OFFSET ?2)";
            db.execute(sql, params![destination.0, sql_limit(*keep)])?;
            Ok(())
        }
    }
}

// What decisions read.

pub(crate) fn next_number(db: &Connection) -> Result<DestinationId, Failure> {
    let sql = "SELECT last_number + 1 FROM destination_counter";
    Ok(DestinationId(db.query_row(sql, [], |row| row.get(0))?))
}

/// Returns what contradicts the journal: progress beyond its end, and deliveries of no row.
pub(crate) fn find_differences(db: &Connection) -> Result<Vec<String>, Failure> {
    let last = max_value(db, "seq", "journal")?;
    let mut differences = Vec::new();
    for_each_row(db, "SELECT destination, record FROM destination_progress", [], |row| {
        let (id, record): (i64, String) = (row.get(0)?, row.get(1)?);
        let progress: DestinationProgress = from_json(&record)?;
        if progress.cursor > last {
            let cursor = progress.cursor;
            differences.push(format!(
                "destination {id} is at journal row {cursor}, and the last one is {last}"
            ));
        }
        Ok(())
    })?;
    let sql = "SELECT destination, seq FROM delivery
        LEFT JOIN destination ON number = destination
        LEFT JOIN journal USING (seq)
        WHERE journal.shop IS NOT destination.shop OR journal.account IS NOT delivery.account";
    for_each_row(db, sql, [], |row| {
        let (id, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
        differences.push(format!("destination {id} has a delivery of journal row {seq}"));
        Ok(())
    })?;
    Ok(differences)
}
