//! Shops.

use loyalty_core::{Currency, ShopId};
use rusqlite::{Connection, Row, params};

use super::query::{corrupt, for_each_row, from_json, from_micros, query_one, to_micros};
use crate::error::Failure;
use crate::record::to_json;
use crate::shop::{Integration, Shop};

const SELECT_SHOP: &str = "SELECT id, name, currency, zone, created_at, integration FROM shop";

fn decode_shop(row: &Row<'_>) -> Result<Shop, Failure> {
    let (currency, zone): (String, String) = (row.get(2)?, row.get(3)?);
    let integration: Option<String> = row.get(5)?;
    Ok(Shop {
        id: ShopId(row.get(0)?),
        name: row.get(1)?,
        currency: Currency::from_code(&currency).ok_or_else(|| corrupt("a currency", &currency))?,
        zone: zone.parse().map_err(|_| corrupt("a time zone", &zone))?,
        created_at: from_micros(row.get(4)?)?,
        integration: integration.map(|text| from_json(&text)).transpose()?,
    })
}

/// Returns all shops, oldest first.
pub(crate) fn read_shops(db: &Connection) -> Result<Vec<Shop>, Failure> {
    let mut shops = Vec::new();
    for_each_row(db, &format!("{SELECT_SHOP} ORDER BY id"), [], |row| {
        shops.push(decode_shop(row)?);
        Ok(())
    })?;
    Ok(shops)
}

pub(crate) fn read_shop(db: &Connection, id: ShopId) -> Result<Option<Shop>, Failure> {
    query_one(db, &format!("{SELECT_SHOP} WHERE id = ?"), [id.0], decode_shop)
}

pub(crate) fn insert_shop(db: &Connection, shop: &Shop) -> Result<(), Failure> {
    let sql = "INSERT INTO shop (id, name, currency, zone, created_at) VALUES (?, ?, ?, ?, ?)";
    let (currency, zone) = (shop.currency.code(), shop.zone.name());
    db.execute(sql, params![shop.id.0, shop.name, currency, zone, to_micros(shop.created_at)])?;
    Ok(())
}

pub(crate) fn update_integration(
    db: &Connection,
    shop: ShopId,
    integration: &Integration,
) -> Result<(), Failure> {
    db.execute(
        "UPDATE shop SET integration = ? WHERE id = ?",
        params![to_json(integration)?, shop.0],
    )?;
    Ok(())
}
