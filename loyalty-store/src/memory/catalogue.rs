//! The catalogue in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};

use super::{MemoryStore, Tables};
use crate::catalogue::{Catalogue, CategoryRecord, ProductRecord, ProductRef, SavedSearch};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::transact::{AssignedNumbers, CatalogueChange, CatalogueView};

#[derive(Debug, Default)]
pub(super) struct CatalogueTables {
    products: BTreeMap<(ShopId, NumericId), Arc<ProductRecord>>,
    product_numbers: HashMap<(ShopId, ProductId), NumericId>,
    categories: BTreeMap<(ShopId, CategoryId), Arc<CategoryRecord>>,
    searches: BTreeMap<(ShopId, NumericId), Arc<SavedSearch>>,
    assigned_counts: HashMap<ShopId, i64>,
    variant_numbers: HashMap<(ShopId, VariantId), NumericId>,
    numbered_variants: HashMap<(ShopId, NumericId), VariantId>,
}

impl CatalogueTables {
    pub(super) fn apply(
        &mut self,
        shop: ShopId,
        changes: Vec<CatalogueChange>,
        assigned: AssignedNumbers,
    ) {
        for change in changes {
            match change {
                CatalogueChange::PutProduct(record) => {
                    self.product_numbers
                        .insert((shop, record.product.id.clone()), record.number);
                    self.products.insert((shop, record.number), record);
                }
                CatalogueChange::DeleteProduct(id) => {
                    let number = self.product_numbers.remove(&(shop, id));
                    number.and_then(|number| self.products.remove(&(shop, number)));
                }
                CatalogueChange::PutCategory(record) => {
                    self.categories.insert((shop, record.category.id.clone()), record);
                }
                CatalogueChange::DeleteCategory(id) => {
                    self.categories.remove(&(shop, id));
                }
                CatalogueChange::PutSearch(search) => {
                    self.searches.insert((shop, search.number), search);
                }
                CatalogueChange::DeleteSearch(number) => {
                    self.searches.remove(&(shop, number));
                }
            }
        }

        self.assigned_counts.extend(assigned.last.map(|last| (shop, last)));
        for (variant, number) in assigned.variants {
            self.numbered_variants.insert((shop, number), variant.clone());
            self.variant_numbers.insert((shop, variant), number);
        }
    }

    fn product(&self, shop: ShopId, id: &ProductId) -> Option<Arc<ProductRecord>> {
        let number = self.product_numbers.get(&(shop, id.clone()))?;
        self.products.get(&(shop, *number)).cloned()
    }
}

impl CatalogueView for Tables {
    fn product(
        &mut self,
        shop: ShopId,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        Ok(self.catalogue.product(shop, id))
    }

    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        Ok(self.catalogue.categories.get(&(shop, id.clone())).cloned())
    }

    fn saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        Ok(self.catalogue.searches.get(&(shop, number)).cloned())
    }

    fn search_by_name(&mut self, shop: ShopId, name: &str) -> Result<Option<NumericId>, Failure> {
        let mut searches = self.catalogue.searches.values();
        let found = searches.find(|search| search.shop == shop && search.name == name);
        Ok(found.map(|search| search.number))
    }

    fn variant_number(
        &mut self,
        shop: ShopId,
        id: &VariantId,
    ) -> Result<Option<NumericId>, Failure> {
        Ok(self.catalogue.variant_numbers.get(&(shop, id.clone())).copied())
    }

    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure> {
        Ok(self.catalogue.assigned_counts.get(&shop).copied().unwrap_or_default())
    }
}

impl Catalogue for MemoryStore {
    fn product(
        &self,
        shop: ShopId,
        key: &ProductRef,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let tables = self.tables();
        Ok(match key {
            ProductRef::Id(id) => tables.catalogue.product(shop, id),
            ProductRef::Number(number) => tables.catalogue.products.get(&(shop, *number)).cloned(),
        })
    }

    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
        CatalogueView::variant_number(&mut *self.tables(), shop, id)
    }

    fn variant_by_number(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<VariantId>, Failure> {
        Ok(self
            .tables()
            .catalogue
            .numbered_variants
            .get(&(shop, number))
            .cloned())
    }

    fn products(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure> {
        Ok(page(&self.tables().catalogue.products, shop, after, limit, |record| {
            record.shop
        }))
    }

    fn count_products(&self, shop: ShopId) -> Result<u64, Failure> {
        Ok(count(self.tables().catalogue.products.keys().map(|(owner, _)| *owner), shop))
    }

    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        CatalogueView::category(&mut *self.tables(), shop, id)
    }

    fn categories(
        &self,
        shop: ShopId,
        after: Option<&CategoryId>,
        limit: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure> {
        Ok(page(
            &self.tables().catalogue.categories,
            shop,
            after.cloned(),
            limit,
            |record| record.shop,
        ))
    }

    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure> {
        Ok(count(self.tables().catalogue.categories.keys().map(|(owner, _)| *owner), shop))
    }

    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        CatalogueView::saved_search(&mut *self.tables(), shop, number)
    }

    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure> {
        Ok(page(&self.tables().catalogue.searches, shop, after, limit, |search| {
            search.shop
        }))
    }

    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure> {
        Ok(count(self.tables().catalogue.searches.keys().map(|(owner, _)| *owner), shop))
    }
}

/// Returns up to `limit` values of a shop in the order of their keys, starting behind
/// `after`.
fn page<K: Ord, V>(
    values: &BTreeMap<(ShopId, K), Arc<V>>,
    shop: ShopId,
    after: Option<K>,
    limit: usize,
    owner: impl Fn(&V) -> ShopId,
) -> Page<Arc<V>> {
    let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded((shop, after)));
    let mut found = values.range((from, Bound::Unbounded)).map(|(_, value)| value);
    let mut found = found.by_ref().filter(|value| owner(value) == shop);
    let items = found.by_ref().take(limit).cloned().collect();
    Page { items, has_more: found.next().is_some() }
}

fn count(owners: impl Iterator<Item = ShopId>, shop: ShopId) -> u64 {
    u64::try_from(owners.filter(|owner| *owner == shop).count()).unwrap_or(u64::MAX)
}
