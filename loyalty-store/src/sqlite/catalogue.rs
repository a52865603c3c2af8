//! The catalogue in its tables. They are read where they stand: a look-up by key costs less than a cache of
//! them would. What is not committed yet lies on top ([`StagedShelf`]).

use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};
use rusqlite::{Connection, Row, params};

use super::rows::{damaged, each, from_json, micros, one, timestamp, to_json};
use super::staged::Reading;
use super::{Map, SqliteStore};
use crate::catalogue::{
    Catalogue, Category, CategoryRecord, Product, ProductRef, ProductRecord, SavedSearch,
};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::transact::{CatalogueView, AssignedNumbers, CatalogueChange};

type Db = Connection;

/// Writes changes inside the open transaction.
pub(super) fn write(
    db: &Db,
    shop: ShopId,
    shelved: &[CatalogueChange],
    numbered: &AssignedNumbers,
) -> Result<(), Failure> {
    for shelved in shelved {
        match shelved {
            CatalogueChange::PutProduct(record) => put_product(db, record)?,
            CatalogueChange::DeleteProduct(id) => {
                delete(db, "product", "product_id", params![shop.0, id.as_str()])?
            }
            CatalogueChange::PutCategory(record) => put_category(db, record)?,
            CatalogueChange::DeleteCategory(id) => {
                delete(db, "category", "category_id", params![shop.0, id.as_str()])?
            }
            CatalogueChange::PutSearch(search) => add_search(db, search)?,
            CatalogueChange::DeleteSearch(number) => {
                delete(db, "saved_search", "number", params![shop.0, number.get()])?
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
pub(super) struct StagedShelf {
    products: Map<(ShopId, ProductId), Option<Arc<ProductRecord>>>,
    categories: Map<(ShopId, CategoryId), Option<Arc<CategoryRecord>>>,
    searches: Map<(ShopId, NumericId), Option<Arc<SavedSearch>>>,
    numbered: Map<ShopId, i64>,
    variants: Map<(ShopId, VariantId), NumericId>,
}

impl StagedShelf {
    pub(super) fn stage(&mut self, shop: ShopId, shelved: &[CatalogueChange], numbered: &AssignedNumbers) {
        for shelved in shelved {
            match shelved {
                CatalogueChange::PutProduct(record) => {
                    self.products
                        .insert((shop, record.product.id.clone()), Some(Arc::clone(record)));
                }
                CatalogueChange::DeleteProduct(id) => drop(self.products.insert((shop, id.clone()), None)),
                CatalogueChange::PutCategory(record) => {
                    self.categories
                        .insert((shop, record.category.id.clone()), Some(Arc::clone(record)));
                }
                CatalogueChange::DeleteCategory(id) => drop(self.categories.insert((shop, id.clone()), None)),
                CatalogueChange::PutSearch(search) => {
                    self.searches.insert((shop, search.number), Some(Arc::clone(search)));
                }
                CatalogueChange::DeleteSearch(number) => drop(self.searches.insert((shop, *number), None)),
            }
        }
        self.numbered.extend(numbered.last.map(|last| (shop, last)));
        self.variants.extend(
            numbered
                .variants
                .iter()
                .map(|(id, number)| ((shop, id.clone()), *number)),
        );
    }

    fn search_named(&self, shop: ShopId, name: &str) -> Option<NumericId> {
        let named = |search: &&Arc<SavedSearch>| search.shop == shop && search.name == name;
        self.searches
            .values()
            .flatten()
            .find(named)
            .map(|search| search.number)
    }
}

fn delete(db: &Db, table: &str, key: &str, values: &[&dyn rusqlite::ToSql]) -> Result<(), Failure> {
    db.prepare_cached(&format!("DELETE FROM {table} WHERE shop = ? AND {key} = ?"))?
        .execute(values)?;
    Ok(())
}

// Products.

const PRODUCT: &str =
    "SELECT shop, number, product, variant_numbers, created_at, updated_at FROM product";

fn put_product(db: &Db, record: &ProductRecord) -> Result<(), Failure> {
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
        micros(record.created_at),
        micros(record.updated_at),
    ];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn product_record(row: &Row<'_>) -> Result<Arc<ProductRecord>, Failure> {
    let product: Product = from_json(&row.get::<_, String>(2)?)?;
    let variant_numbers: Vec<NumericId> = from_json(&row.get::<_, String>(3)?)?;
    if variant_numbers.len() != product.variants.len() {
        return Err(damaged("a product's variants", &product.id));
    }
    Ok(Arc::new(ProductRecord {
        shop: ShopId(row.get(0)?),
        number: number(row.get(1)?)?,
        product,
        variant_numbers,
        created_at: timestamp(row.get(4)?)?,
        updated_at: timestamp(row.get(5)?)?,
    }))
}

fn number(value: i64) -> Result<NumericId, Failure> {
    NumericId::new(value).ok_or_else(|| damaged("a number", &value))
}

fn product_by_id(
    db: &Db,
    shop: ShopId,
    id: &ProductId,
) -> Result<Option<Arc<ProductRecord>>, Failure> {
    let sql = format!("{PRODUCT} WHERE shop = ? AND product_id = ?");
    one(db, &sql, params![shop.0, id.as_str()], product_record)
}

// Variants, as far as they were given numbers. Files of earlier formats can know one by several: the first counts.

fn variant_number(db: &Db, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
    let sql =
        "SELECT number FROM variant WHERE shop = ? AND variant_id = ? ORDER BY number LIMIT 1";
    one(db, sql, params![shop.0, id.as_str()], |row| number(row.get(0)?))
}

fn numbered_variant(db: &Db, shop: ShopId, number: NumericId) -> Result<Option<VariantId>, Failure> {
    let sql = "SELECT variant_id FROM variant WHERE shop = ? AND number = ?";
    one(db, sql, params![shop.0, number.get()], |row| {
        VariantId::try_from(row.get::<_, String>(0)?)
            .map_err(|error| damaged("a variant's id", &error))
    })
}

// Categories.

const CATEGORY: &str = "SELECT shop, category_id, name, created_at, updated_at FROM category";

fn put_category(db: &Db, record: &CategoryRecord) -> Result<(), Failure> {
    let sql = "INSERT INTO category (shop, category_id, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (shop, category_id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at";
    let Category { id, name } = &record.category;
    let times = (micros(record.created_at), micros(record.updated_at));
    db.prepare_cached(sql)?
        .execute(params![record.shop.0, id.as_str(), name, times.0, times.1])?;
    Ok(())
}

fn category_record(row: &Row<'_>) -> Result<Arc<CategoryRecord>, Failure> {
    let id: String = row.get(1)?;
    let id = CategoryId::try_from(id).map_err(|error| damaged("a category's id", &error))?;
    Ok(Arc::new(CategoryRecord {
        shop: ShopId(row.get(0)?),
        category: Category { id, name: row.get(2)? },
        created_at: timestamp(row.get(3)?)?,
        updated_at: timestamp(row.get(4)?)?,
    }))
}

fn category_by_id(
    db: &Db,
    shop: ShopId,
    id: &CategoryId,
) -> Result<Option<Arc<CategoryRecord>>, Failure> {
    let sql = format!("{CATEGORY} WHERE shop = ? AND category_id = ?");
    one(db, &sql, params![shop.0, id.as_str()], category_record)
}

// Saved searches.

const SEARCH: &str = "SELECT shop, number, name, query, created_at FROM saved_search";

fn add_search(db: &Db, search: &SavedSearch) -> Result<(), Failure> {
    let sql =
        "INSERT INTO saved_search (shop, number, name, query, created_at) VALUES (?, ?, ?, ?, ?)";
    let SavedSearch { shop, number, name, query, created_at } = search;
    db.prepare_cached(sql)?.execute(params![
        shop.0,
        number.get(),
        name,
        query,
        micros(*created_at)
    ])?;
    Ok(())
}

fn saved_search(row: &Row<'_>) -> Result<Arc<SavedSearch>, Failure> {
    Ok(Arc::new(SavedSearch {
        shop: ShopId(row.get(0)?),
        number: number(row.get(1)?)?,
        name: row.get(2)?,
        query: row.get(3)?,
        created_at: timestamp(row.get(4)?)?,
    }))
}

pub(super) fn search_by_number(
    db: &Db,
    shop: ShopId,
    number: NumericId,
) -> Result<Option<Arc<SavedSearch>>, Failure> {
    one(
        db,
        &format!("{SEARCH} WHERE shop = ? AND number = ?"),
        params![shop.0, number.get()],
        saved_search,
    )
}

// What a transaction reads.

impl CatalogueView for Reading<'_> {
    fn product(
        &mut self,
        shop: ShopId,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.staged(|staged| staged.shelf.products.get(&key)) {
            Some(record) => Ok(record.clone()),
            None => self.shared.read(|db| product_by_id(db, shop, id)),
        }
    }

    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        let key = (shop, id.clone());
        match self.staged(|staged| staged.shelf.categories.get(&key)) {
            Some(record) => Ok(record.clone()),
            None => self.shared.read(|db| category_by_id(db, shop, id)),
        }
    }

    fn saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        match self.staged(|staged| staged.shelf.searches.get(&(shop, number))) {
            Some(search) => Ok(search.clone()),
            None => self.shared.read(|db| search_by_number(db, shop, number)),
        }
    }

    fn has_search_named(&mut self, shop: ShopId, name: &str) -> Result<bool, Failure> {
        let flying = self.flying.and_then(|flying| flying.shelf.search_named(shop, name));
        let stands = |number: &NumericId| !self.staged.shelf.searches.contains_key(&(shop, *number));
        if self.staged.shelf.search_named(shop, name).is_some()
            || flying.as_ref().is_some_and(stands)
        {
            return Ok(true);
        }
        let sql = "SELECT number FROM saved_search WHERE shop = ? AND name = ?";
        let found = self
            .shared
            .read(|db| one(db, sql, params![shop.0, name], |row| number(row.get(0)?)))?;
        let Some(found) = found else { return Ok(false) };
        // One that was taken away, or renamed, is not there any more.
        Ok(self
            .staged(|staged| staged.shelf.searches.get(&(shop, found)))
            .is_none())
    }

    fn variant_number(&mut self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
        let key = (shop, id.clone());
        match self.staged(|staged| staged.shelf.variants.get(&key)) {
            Some(number) => Ok(Some(*number)),
            None => self.shared.read(|db| variant_number(db, shop, id)),
        }
    }

    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure> {
        if let Some(last) = self.staged(|staged| staged.shelf.numbered.get(&shop)) {
            return Ok(*last);
        }
        let sql = "SELECT last FROM numbering WHERE shop = ?";
        let last = self.shared.read(|db| one(db, sql, [shop.0], |row| Ok(row.get(0)?)))?;
        Ok(last.unwrap_or_default())
    }
}

// What is read from outside, on the readers' connections.

impl SqliteStore {
    fn look<T>(&self, look: impl FnOnce(&Db) -> Result<T, Failure>) -> Result<T, Failure> {
        let _well = self.shared.health()?;
        self.shared.read(look)
    }

    fn count(&self, table: &str, shop: ShopId) -> Result<u64, Failure> {
        self.look(|db| {
            let sql = format!("SELECT count(*) FROM {table} WHERE shop = ?");
            let count: i64 = db.prepare_cached(&sql)?.query_row([shop.0], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    /// A page of a shop's rows, by a key behind `after`. One more is looked for, to know whether there is more.
    fn page<T>(
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
        self.look(|db| {
            each(db, &sql, params![shop.0, after, one_more], |row| {
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
        self.look(|db| match key {
            ProductRef::Id(id) => product_by_id(db, shop, id),
            ProductRef::Number(number) => {
                let sql = format!("{PRODUCT} WHERE shop = ? AND number = ?");
                one(db, &sql, params![shop.0, number.get()], product_record)
            }
        })
    }

    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
        self.look(|db| variant_number(db, shop, id))
    }

    fn variant_by_number(&self, shop: ShopId, number: NumericId) -> Result<Option<VariantId>, Failure> {
        self.look(|db| numbered_variant(db, shop, number))
    }

    fn products(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure> {
        self.page(PRODUCT, "number", (shop, &after.map_or(0, NumericId::get)), limit, product_record)
    }

    fn count_products(&self, shop: ShopId) -> Result<u64, Failure> {
        self.count("product", shop)
    }

    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        self.look(|db| category_by_id(db, shop, id))
    }

    fn categories(
        &self,
        shop: ShopId,
        after: Option<&CategoryId>,
        limit: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure> {
        // No id is empty.
        let after = after.map_or("", CategoryId::as_str);
        self.page(CATEGORY, "category_id", (shop, &after), limit, category_record)
    }

    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure> {
        self.count("category", shop)
    }

    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.look(|db| search_by_number(db, shop, number))
    }

    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure> {
        self.page(SEARCH, "number", (shop, &after.map_or(0, NumericId::get)), limit, saved_search)
    }

    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure> {
        self.count("saved_search", shop)
    }
}
