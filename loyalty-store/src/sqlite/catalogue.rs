//! The catalogue in its tables. They are read where they stand: a look-up by key costs less than a cache of
//! them would. What is not committed yet lies on top ([`StagedCatalogue`]).

use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};
use rusqlite::{Connection, Row, params};

use super::batch::BatchView;
use super::rows::{corrupt, for_each_row, from_json, from_micros, query_one, to_json, to_micros};
use super::{Map, SqliteStore};
use crate::catalogue::{
    Catalogue, Category, CategoryRecord, Product, ProductRecord, ProductRef, SavedSearch,
};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::transact::{AssignedNumbers, CatalogueChange, CatalogueView};

type Db = Connection;

/// Writes changes inside the open transaction.
pub(super) fn write_changes(
    db: &Db,
    shop: ShopId,
    shelved: &[CatalogueChange],
    numbered: &AssignedNumbers,
) -> Result<(), Failure> {
    for shelved in shelved {
        match shelved {
            CatalogueChange::PutProduct(record) => upsert_product(db, record)?,
            CatalogueChange::DeleteProduct(id) => {
                delete_row(db, "product", "product_id", params![shop.0, id.as_str()])?
            }
            CatalogueChange::PutCategory(record) => upsert_category(db, record)?,
            CatalogueChange::DeleteCategory(id) => {
                delete_row(db, "category", "category_id", params![shop.0, id.as_str()])?
            }
            CatalogueChange::PutSearch(search) => insert_search(db, search)?,
            CatalogueChange::DeleteSearch(number) => {
                delete_row(db, "saved_search", "number", params![shop.0, number.get()])?
            }
        }
    }
    for (variant, number) in &numbered.variants {
        let sql = "INSERT INTO variant (shop, number, variant_id) VALUES (?, ?, ?)";
        db.prepare_cached(sql)?
            .execute(params![shop.0, number.get(), variant.as_str()])?;
    }
    let Some(last) = numbered.last else { return Ok(()) };
    let sql = "INSERT INTO numbering (shop, last) VALUES (?, ?)
        ON CONFLICT (shop) DO UPDATE SET last = max(last, excluded.last)";
    db.prepare_cached(sql)?.execute(params![shop.0, last])?;
    Ok(())
}

/// What was changed and is not committed yet; none is what was taken away.
#[derive(Default)]
pub(super) struct StagedCatalogue {
    products: Map<(ShopId, ProductId), Option<Arc<ProductRecord>>>,
    categories: Map<(ShopId, CategoryId), Option<Arc<CategoryRecord>>>,
    searches: Map<(ShopId, NumericId), Option<Arc<SavedSearch>>>,
    last_numbers: Map<ShopId, i64>,
    variant_numbers: Map<(ShopId, VariantId), NumericId>,
}

impl StagedCatalogue {
    pub(super) fn apply(
        &mut self,
        shop: ShopId,
        shelved: &[CatalogueChange],
        numbered: &AssignedNumbers,
    ) {
        for shelved in shelved {
            match shelved {
                CatalogueChange::PutProduct(record) => {
                    self.products
                        .insert((shop, record.product.id.clone()), Some(Arc::clone(record)));
                }
                CatalogueChange::DeleteProduct(id) => {
                    drop(self.products.insert((shop, id.clone()), None))
                }
                CatalogueChange::PutCategory(record) => {
                    self.categories
                        .insert((shop, record.category.id.clone()), Some(Arc::clone(record)));
                }
                CatalogueChange::DeleteCategory(id) => {
                    drop(self.categories.insert((shop, id.clone()), None))
                }
                CatalogueChange::PutSearch(search) => {
                    self.searches.insert((shop, search.number), Some(Arc::clone(search)));
                }
                CatalogueChange::DeleteSearch(number) => {
                    drop(self.searches.insert((shop, *number), None))
                }
            }
        }
        self.last_numbers.extend(numbered.last.map(|last| (shop, last)));
        self.variant_numbers.extend(
            numbered
                .variants
                .iter()
                .map(|(id, number)| ((shop, id.clone()), *number)),
        );
    }

    fn find_search_by_name(&self, shop: ShopId, name: &str) -> Option<NumericId> {
        let named = |search: &&Arc<SavedSearch>| search.shop == shop && search.name == name;
        self.searches
            .values()
            .flatten()
            .find(named)
            .map(|search| search.number)
    }
}

fn delete_row(
    db: &Db,
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

fn upsert_product(db: &Db, record: &ProductRecord) -> Result<(), Failure> {
    let sql = "INSERT INTO product (shop, number, product_id, product, variant_numbers, created_at, updated_at)
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

fn read_product(
    db: &Db,
    shop: ShopId,
    id: &ProductId,
) -> Result<Option<Arc<ProductRecord>>, Failure> {
    let sql = format!("{SELECT_PRODUCT} WHERE shop = ? AND product_id = ?");
    query_one(db, &sql, params![shop.0, id.as_str()], decode_product)
}

// Variants, as far as they were given numbers. Files of earlier formats can know one by several: the first counts.

fn read_variant_number(
    db: &Db,
    shop: ShopId,
    id: &VariantId,
) -> Result<Option<NumericId>, Failure> {
    let sql =
        "SELECT number FROM variant WHERE shop = ? AND variant_id = ? ORDER BY number LIMIT 1";
    query_one(db, sql, params![shop.0, id.as_str()], |row| decode_number(row.get(0)?))
}

fn find_variant_by_number(
    db: &Db,
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

fn upsert_category(db: &Db, record: &CategoryRecord) -> Result<(), Failure> {
    let sql = "INSERT INTO category (shop, category_id, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (shop, category_id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at";
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

fn read_category(
    db: &Db,
    shop: ShopId,
    id: &CategoryId,
) -> Result<Option<Arc<CategoryRecord>>, Failure> {
    let sql = format!("{SELECT_CATEGORY} WHERE shop = ? AND category_id = ?");
    query_one(db, &sql, params![shop.0, id.as_str()], decode_category)
}

// Saved searches.

const SELECT_SEARCH: &str = "SELECT shop, number, name, query, created_at FROM saved_search";

fn insert_search(db: &Db, search: &SavedSearch) -> Result<(), Failure> {
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

pub(super) fn read_search(
    db: &Db,
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

// What a transaction reads.

impl CatalogueView for BatchView<'_> {
    fn product(
        &mut self,
        shop: ShopId,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|staged| staged.catalogue.products.get(&key)) {
            Some(record) => Ok(record.clone()),
            None => self.committed.with_reader(|db| read_product(db, shop, id)),
        }
    }

    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|staged| staged.catalogue.categories.get(&key)) {
            Some(record) => Ok(record.clone()),
            None => self.committed.with_reader(|db| read_category(db, shop, id)),
        }
    }

    fn saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        match self.find_uncommitted(|staged| staged.catalogue.searches.get(&(shop, number))) {
            Some(search) => Ok(search.clone()),
            None => self.committed.with_reader(|db| read_search(db, shop, number)),
        }
    }

    fn has_search_named(&mut self, shop: ShopId, name: &str) -> Result<bool, Failure> {
        let flying = self
            .in_flight
            .and_then(|flying| flying.catalogue.find_search_by_name(shop, name));
        let stands =
            |number: &NumericId| !self.batch.catalogue.searches.contains_key(&(shop, *number));
        if self.batch.catalogue.find_search_by_name(shop, name).is_some()
            || flying.as_ref().is_some_and(stands)
        {
            return Ok(true);
        }
        let sql = "SELECT number FROM saved_search WHERE shop = ? AND name = ?";
        let found = self.committed.with_reader(|db| {
            query_one(db, sql, params![shop.0, name], |row| decode_number(row.get(0)?))
        })?;
        let Some(found) = found else { return Ok(false) };
        // One that was taken away, or renamed, is not there any more.
        Ok(self
            .find_uncommitted(|staged| staged.catalogue.searches.get(&(shop, found)))
            .is_none())
    }

    fn variant_number(
        &mut self,
        shop: ShopId,
        id: &VariantId,
    ) -> Result<Option<NumericId>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|staged| staged.catalogue.variant_numbers.get(&key)) {
            Some(number) => Ok(Some(*number)),
            None => self.committed.with_reader(|db| read_variant_number(db, shop, id)),
        }
    }

    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure> {
        if let Some(last) = self.find_uncommitted(|staged| staged.catalogue.last_numbers.get(&shop))
        {
            return Ok(*last);
        }
        let sql = "SELECT last FROM numbering WHERE shop = ?";
        let last = self
            .committed
            .with_reader(|db| query_one(db, sql, [shop.0], |row| Ok(row.get(0)?)))?;
        Ok(last.unwrap_or_default())
    }
}

// What is read from outside, on the readers' connections.

impl SqliteStore {
    fn read<T>(&self, look: impl FnOnce(&Db) -> Result<T, Failure>) -> Result<T, Failure> {
        let _well = self.committed.ensure_available()?;
        self.committed.with_reader(look)
    }

    fn count_rows(&self, table: &str, shop: ShopId) -> Result<u64, Failure> {
        self.read(|db| {
            let sql = format!("SELECT count(*) FROM {table} WHERE shop = ?");
            let count: i64 = db.prepare_cached(&sql)?.query_row([shop.0], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    /// A page of a shop's rows, by a key behind `after`. One more is looked for, to know whether there is more.
    fn read_page<T>(
        &self,
        select: &str,
        key: &str,
        (shop, after): (ShopId, &dyn rusqlite::ToSql),
        limit: usize,
        read: fn(&Row<'_>) -> Result<T, Failure>,
    ) -> Result<Page<T>, Failure> {
        let sql = format!("{select} WHERE shop = ? AND {key} > ? ORDER BY {key} LIMIT ?");
        let one_more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut items = Vec::new();
        self.read(|db| {
            for_each_row(db, &sql, params![shop.0, after, one_more], |row| {
                items.push(read(row)?);
                Ok(())
            })
        })?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, has_more: more })
    }
}

impl Catalogue for SqliteStore {
    fn product(
        &self,
        shop: ShopId,
        key: &ProductRef,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        self.read(|db| match key {
            ProductRef::Id(id) => read_product(db, shop, id),
            ProductRef::Number(number) => {
                let sql = format!("{SELECT_PRODUCT} WHERE shop = ? AND number = ?");
                query_one(db, &sql, params![shop.0, number.get()], decode_product)
            }
        })
    }

    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
        self.read(|db| read_variant_number(db, shop, id))
    }

    fn variant_by_number(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<VariantId>, Failure> {
        self.read(|db| find_variant_by_number(db, shop, number))
    }

    fn products(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure> {
        self.read_page(
            SELECT_PRODUCT,
            "number",
            (shop, &after.map_or(0, NumericId::get)),
            limit,
            decode_product,
        )
    }

    fn count_products(&self, shop: ShopId) -> Result<u64, Failure> {
        self.count_rows("product", shop)
    }

    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        self.read(|db| read_category(db, shop, id))
    }

    fn categories(
        &self,
        shop: ShopId,
        after: Option<&CategoryId>,
        limit: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure> {
        // No id is empty.
        let after = after.map_or("", CategoryId::as_str);
        self.read_page(SELECT_CATEGORY, "category_id", (shop, &after), limit, decode_category)
    }

    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure> {
        self.count_rows("category", shop)
    }

    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.read(|db| read_search(db, shop, number))
    }

    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure> {
        self.read_page(
            SELECT_SEARCH,
            "number",
            (shop, &after.map_or(0, NumericId::get)),
            limit,
            decode_search,
        )
    }

    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure> {
        self.count_rows("saved_search", shop)
    }
}
