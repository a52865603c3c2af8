//! The catalogue of a shop, read from its tables.

use std::sync::Arc;

use loyalty_core::{CategoryId, ShopId, VariantId};

use super::SqliteStore;
use crate::catalogue::{Catalogue, CategoryRecord, ProductRecord, ProductRef, SavedSearch};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::sqlite::tables::catalogue;

impl Catalogue for SqliteStore {
    fn product(
        &self,
        shop: ShopId,
        key: &ProductRef,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        self.read(|db| match key {
            ProductRef::Id(id) => catalogue::read_product(db, shop, id),
            ProductRef::Number(number) => catalogue::find_product_by_number(db, shop, *number),
        })
    }

    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
        self.read(|db| catalogue::read_variant_number(db, shop, id))
    }

    fn variant_by_number(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<VariantId>, Failure> {
        self.read(|db| catalogue::find_variant_by_number(db, shop, number))
    }

    fn products(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure> {
        self.read(|db| catalogue::read_products(db, shop, after, limit))
    }

    fn count_products(&self, shop: ShopId) -> Result<u64, Failure> {
        self.read(|db| catalogue::count_products(db, shop))
    }

    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        self.read(|db| catalogue::read_category(db, shop, id))
    }

    fn categories(
        &self,
        shop: ShopId,
        after: Option<&CategoryId>,
        limit: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure> {
        self.read(|db| catalogue::read_categories(db, shop, after, limit))
    }

    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure> {
        self.read(|db| catalogue::count_categories(db, shop))
    }

    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.read(|db| catalogue::read_search(db, shop, number))
    }

    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure> {
        self.read(|db| catalogue::read_searches(db, shop, after, limit))
    }

    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure> {
        self.read(|db| catalogue::count_searches(db, shop))
    }
}
