//! The catalogue: products, categories, saved searches and the numbers of variants. Written with the
//! journal, but not in it.

use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};
use rusqlite::{Connection, Row, ToSql, params};

use super::query::{
    corrupt, count_rows, for_each_row, from_json, from_micros, query_one, sql_limit, to_micros,
};
use crate::catalogue::{Category, CategoryRecord, Product, ProductRecord, SavedSearch};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::record::to_json;
use crate::transact::{AssignedNumbers, CatalogueChange};

/// Writes changes, and the numbers that were assigned for them.
pub(crate) fn write_changes(
    db: &Connection,
    shop: ShopId,
    changes: &[CatalogueChange],
    numbers: &AssignedNumbers,
) -> Result<(), Failure> {
    for change in changes {
        match change {
            CatalogueChange::PutProduct(record) => upsert_product(db, record)?,
            CatalogueChange::DeleteProduct(id) => {
                delete_row(db, "product", "product_id", params![shop.0, id.as_str()])?;
            }
            CatalogueChange::PutCategory(record) => upsert_category(db, record)?,
            CatalogueChange::DeleteCategory(id) => {
                delete_row(db, "category", "category_id", params![shop.0, id.as_str()])?;
            }
            CatalogueChange::PutSearch(search) => insert_search(db, search)?,
            CatalogueChange::DeleteSearch(number) => {
                delete_row(db, "saved_search", "number", params![shop.0, number.get()])?;
            }
        }
    }

    for (variant, number) in &numbers.variants {
        let sql = "INSERT INTO variant (shop, number, variant_id) VALUES (?, ?, ?)";
        db.prepare_cached(sql)?
            .execute(params![shop.0, number.get(), variant.as_str()])?;
    }

    let Some(last) = numbers.last else { return Ok(()) };
    let sql = "INSERT INTO number_counter (shop, last_number) VALUES (?, ?)
        ON CONFLICT (shop) DO UPDATE SET last_number = max(last_number, excluded.last_number)";
    db.prepare_cached(sql)?.execute(params![shop.0, last])?;
    Ok(())
}

/// Deletes a row of a shop by its key.
fn delete_row(
    db: &Connection,
    table: &str,
    key: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<(), Failure> {
    db.prepare_cached(&format!("DELETE FROM {table} WHERE shop = ? AND {key} = ?"))?
        .execute(values)?;
    Ok(())
}

// Products.

const SELECT_PRODUCT: &str =
    "SELECT shop, number, product, variant_numbers, created_at, updated_at FROM product";

fn upsert_product(db: &Connection, record: &ProductRecord) -> Result<(), Failure> {
    let sql = "INSERT INTO product
            (shop, number, product_id, product, variant_numbers, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, number) DO UPDATE SET product = excluded.product,
            variant_numbers = excluded.variant_numbers, updated_at = excluded.updated_at";
    let values = params![
        record.shop.0,
        record.number.get(),
        record.product.id.as_str(),
        to_json(&record.product)?,
        to_json(&record.variant_numbers)?,
        to_micros(record.created_at),
        to_micros(record.updated_at),
    ];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn decode_product(row: &Row<'_>) -> Result<Arc<ProductRecord>, Failure> {
    let product: Product = from_json(&row.get::<_, String>(2)?)?;
    let variant_numbers: Vec<NumericId> = from_json(&row.get::<_, String>(3)?)?;
    if variant_numbers.len() != product.variants.len() {
        return Err(corrupt("a product's variants", &product.id));
    }
    Ok(Arc::new(ProductRecord {
        shop: ShopId(row.get(0)?),
        number: decode_number(row.get(1)?)?,
        product,
        variant_numbers,
        created_at: from_micros(row.get(4)?)?,
        updated_at: from_micros(row.get(5)?)?,
    }))
}

fn decode_number(value: i64) -> Result<NumericId, Failure> {
    NumericId::new(value).ok_or_else(|| corrupt("a number", &value))
}

pub(crate) fn read_product(
    db: &Connection,
    shop: ShopId,
    id: &ProductId,
) -> Result<Option<Arc<ProductRecord>>, Failure> {
    let sql = format!("{SELECT_PRODUCT} WHERE shop = ? AND product_id = ?");
    query_one(db, &sql, params![shop.0, id.as_str()], decode_product)
}

pub(crate) fn find_product_by_number(
    db: &Connection,
    shop: ShopId,
    number: NumericId,
) -> Result<Option<Arc<ProductRecord>>, Failure> {
    let sql = format!("{SELECT_PRODUCT} WHERE shop = ? AND number = ?");
    query_one(db, &sql, params![shop.0, number.get()], decode_product)
}

pub(crate) fn read_products(
    db: &Connection,
    shop: ShopId,
    after: Option<NumericId>,
    limit: usize,
) -> Result<Page<Arc<ProductRecord>>, Failure> {
    let after = after.map_or(0, NumericId::get);
    read_page(db, SELECT_PRODUCT, "number", params![shop.0, after], limit, decode_product)
}

pub(crate) fn count_products(db: &Connection, shop: ShopId) -> Result<u64, Failure> {
    count_rows(db, "SELECT count(*) FROM product WHERE shop = ?", [shop.0])
}

// Numbers of variants. Files of earlier formats can have several of one variant: the first counts.

pub(crate) fn read_variant_number(
    db: &Connection,
    shop: ShopId,
    id: &VariantId,
) -> Result<Option<NumericId>, Failure> {
    let sql =
        "SELECT number FROM variant WHERE shop = ? AND variant_id = ? ORDER BY number LIMIT 1";
    query_one(db, sql, params![shop.0, id.as_str()], |row| decode_number(row.get(0)?))
}

pub(crate) fn find_variant_by_number(
    db: &Connection,
    shop: ShopId,
    number: NumericId,
) -> Result<Option<VariantId>, Failure> {
    let sql = "SELECT variant_id FROM variant WHERE shop = ? AND number = ?";
    query_one(db, sql, params![shop.0, number.get()], |row| {
        VariantId::try_from(row.get::<_, String>(0)?)
            .map_err(|error| corrupt("a variant's id", &error))
    })
}

// Categories.

const SELECT_CATEGORY: &str =
    "SELECT shop, category_id, name, created_at, updated_at FROM category";

fn upsert_category(db: &Connection, record: &CategoryRecord) -> Result<(), Failure> {
    let sql = "INSERT INTO category (shop, category_id, name, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (shop, category_id)
            DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at";
    let Category { id, name } = &record.category;
    let times = (to_micros(record.created_at), to_micros(record.updated_at));
    db.prepare_cached(sql)?
        .execute(params![record.shop.0, id.as_str(), name, times.0, times.1])?;
    Ok(())
}

fn decode_category(row: &Row<'_>) -> Result<Arc<CategoryRecord>, Failure> {
    let id: String = row.get(1)?;
    let id = CategoryId::try_from(id).map_err(|error| corrupt("a category's id", &error))?;
    Ok(Arc::new(CategoryRecord {
        shop: ShopId(row.get(0)?),
        category: Category { id, name: row.get(2)? },
        created_at: from_micros(row.get(3)?)?,
        updated_at: from_micros(row.get(4)?)?,
    }))
}

pub(crate) fn read_category(
    db: &Connection,
    shop: ShopId,
    id: &CategoryId,
) -> Result<Option<Arc<CategoryRecord>>, Failure> {
    let sql = format!("{SELECT_CATEGORY} WHERE shop = ? AND category_id = ?");
    query_one(db, &sql, params![shop.0, id.as_str()], decode_category)
}

pub(crate) fn read_categories(
    db: &Connection,
    shop: ShopId,
    after: Option<&CategoryId>,
    limit: usize,
) -> Result<Page<Arc<CategoryRecord>>, Failure> {
    // No id is empty.
    let after = after.map_or("", CategoryId::as_str);
    read_page(
        db,
        SELECT_CATEGORY,
        "category_id",
        params![shop.0, after],
        limit,
        decode_category,
    )
}

pub(crate) fn count_categories(db: &Connection, shop: ShopId) -> Result<u64, Failure> {
    count_rows(db, "SELECT count(*) FROM category WHERE shop = ?", [shop.0])
}

// Saved searches.

const SELECT_SEARCH: &str = "SELECT shop, number, name, query, created_at FROM saved_search";

fn insert_search(db: &Connection, search: &SavedSearch) -> Result<(), Failure> {
    let sql =
        "INSERT INTO saved_search (shop, number, name, query, created_at) VALUES (?, ?, ?, ?, ?)";
    let SavedSearch { shop, number, name, query, created_at } = search;
    db.prepare_cached(sql)?.execute(params![
        shop.0,
        number.get(),
        name,
        query,
        to_micros(*created_at)
    ])?;
    Ok(())
}

fn decode_search(row: &Row<'_>) -> Result<Arc<SavedSearch>, Failure> {
    Ok(Arc::new(SavedSearch {
        shop: ShopId(row.get(0)?),
        number: decode_number(row.get(1)?)?,
        name: row.get(2)?,
        query: row.get(3)?,
        created_at: from_micros(row.get(4)?)?,
    }))
}

pub(crate) fn read_search(
    db: &Connection,
    shop: ShopId,
    number: NumericId,
) -> Result<Option<Arc<SavedSearch>>, Failure> {
    query_one(
        db,
        &format!("{SELECT_SEARCH} WHERE shop = ? AND number = ?"),
        params![shop.0, number.get()],
        decode_search,
    )
}

pub(crate) fn find_search_by_name(
    db: &Connection,
    shop: ShopId,
    name: &str,
) -> Result<Option<NumericId>, Failure> {
    let sql = "SELECT number FROM saved_search WHERE shop = ? AND name = ?";
    query_one(db, sql, params![shop.0, name], |row| decode_number(row.get(0)?))
}

pub(crate) fn read_searches(
    db: &Connection,
    shop: ShopId,
    after: Option<NumericId>,
    limit: usize,
) -> Result<Page<Arc<SavedSearch>>, Failure> {
    let after = after.map_or(0, NumericId::get);
    read_page(db, SELECT_SEARCH, "number", params![shop.0, after], limit, decode_search)
}

pub(crate) fn count_searches(db: &Connection, shop: ShopId) -> Result<u64, Failure> {
    count_rows(db, "SELECT count(*) FROM saved_search WHERE shop = ?", [shop.0])
}

// Numbers and pages.

/// Returns how many numbers a shop has assigned.
pub(crate) fn read_assigned_count(db: &Connection, shop: ShopId) -> Result<i64, Failure> {
    let sql = "SELECT last_number FROM number_counter WHERE shop = ?";
    let last = query_one(db, sql, [shop.0], |row| Ok(row.get(0)?))?;
    Ok(last.unwrap_or_default())
}

/// Reads a page of a shop's rows in the order of a key, after a value of it. One row more than
/// `limit` is read, to know whether there are more.
fn read_page<T>(
    db: &Connection,
    select: &str,
    key: &str,
    shop_and_after: &[&dyn ToSql],
    limit: usize,
    decode: fn(&Row<'_>) -> Result<T, Failure>,
) -> Result<Page<T>, Failure> {
    let one_more = sql_limit(limit.saturating_add(1));
    let sql = format!("{select} WHERE shop = ? AND {key} > ? ORDER BY {key} LIMIT {one_more}");
    let mut items = Vec::new();
    for_each_row(db, &sql, shop_and_after, |row| {
        items.push(decode(row)?);
        Ok(())
    })?;

    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items, has_more })
}
