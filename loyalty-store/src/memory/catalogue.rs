//! The catalogue in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};

use super::{MemoryStore, Tables};
use crate::catalogue::{Catalogue, CategoryRecord, ProductKey, ProductRecord, SavedSearch};
use crate::error::Failure;
use crate::number::Number;
use crate::query::Page;
use crate::transact::{CatalogueView, Numbered, Shelved};

#[derive(Debug, Default)]
pub(super) struct Shelf {
    products: BTreeMap<(ShopId, Number), Arc<ProductRecord>>,
    product_numbers: HashMap<(ShopId, ProductId), Number>,
    categories: BTreeMap<(ShopId, CategoryId), Arc<CategoryRecord>>,
    searches: BTreeMap<(ShopId, Number), Arc<SavedSearch>>,
    numbered: HashMap<ShopId, i64>,
    variant_numbers: HashMap<(ShopId, VariantId), Number>,
    numbered_variants: HashMap<(ShopId, Number), VariantId>,
}

impl Shelf {
    pub(super) fn apply(&mut self, shop: ShopId, shelved: Vec<Shelved>, numbered: Numbered) {
        for shelved in shelved {
            match shelved {
                Shelved::Product(record) => {
                    self.product_numbers
                        .insert((shop, record.product.id.clone()), record.number);
                    self.products.insert((shop, record.number), record);
                }
                Shelved::NoProduct(id) => {
                    let number = self.product_numbers.remove(&(shop, id));
                    number.and_then(|number| self.products.remove(&(shop, number)));
                }
                Shelved::Category(record) => {
                    self.categories.insert((shop, record.category.id.clone()), record);
                }
                Shelved::NoCategory(id) => {
                    self.categories.remove(&(shop, id));
                }
                Shelved::Search(search) => {
                    self.searches.insert((shop, search.number), search);
                }
                Shelved::NoSearch(number) => {
                    self.searches.remove(&(shop, number));
                }
            }
        }
        self.numbered.extend(numbered.last.map(|last| (shop, last)));
        for (variant, number) in numbered.variants {
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
        Ok(self.shelf.product(shop, id))
    }

    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        Ok(self.shelf.categories.get(&(shop, id.clone())).cloned())
    }

    fn saved_search(
        &mut self,
        shop: ShopId,
        number: Number,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        Ok(self.shelf.searches.get(&(shop, number)).cloned())
    }

    fn has_search_named(&mut self, shop: ShopId, name: &str) -> Result<bool, Failure> {
        Ok(self
            .shelf
            .searches
            .values()
            .any(|search| search.shop == shop && search.name == name))
    }

    fn variant_number(&mut self, shop: ShopId, id: &VariantId) -> Result<Option<Number>, Failure> {
        Ok(self.shelf.variant_numbers.get(&(shop, id.clone())).copied())
    }

    fn numbered(&mut self, shop: ShopId) -> Result<i64, Failure> {
        Ok(self.shelf.numbered.get(&shop).copied().unwrap_or_default())
    }
}

impl Catalogue for MemoryStore {
    fn product(
        &self,
        shop: ShopId,
        key: &ProductKey,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let tables = self.tables();
        Ok(match key {
            ProductKey::Id(id) => tables.shelf.product(shop, id),
            ProductKey::Number(number) => tables.shelf.products.get(&(shop, *number)).cloned(),
        })
    }

    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<Number>, Failure> {
        CatalogueView::variant_number(&mut *self.tables(), shop, id)
    }

    fn numbered_variant(&self, shop: ShopId, number: Number) -> Result<Option<VariantId>, Failure> {
        Ok(self.tables().shelf.numbered_variants.get(&(shop, number)).cloned())
    }

    fn products(
        &self,
        shop: ShopId,
        after: Option<Number>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure> {
        Ok(page(&self.tables().shelf.products, shop, after, limit, |record| record.shop))
    }

    fn count_products(&self, shop: ShopId) -> Result<u64, Failure> {
        Ok(count(self.tables().shelf.products.keys().map(|(owner, _)| *owner), shop))
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
        Ok(page(&self.tables().shelf.categories, shop, after.cloned(), limit, |record| {
            record.shop
        }))
    }

    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure> {
        Ok(count(self.tables().shelf.categories.keys().map(|(owner, _)| *owner), shop))
    }

    fn saved_search(
        &self,
        shop: ShopId,
        number: Number,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        CatalogueView::saved_search(&mut *self.tables(), shop, number)
    }

    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<Number>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure> {
        Ok(page(&self.tables().shelf.searches, shop, after, limit, |search| search.shop))
    }

    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure> {
        Ok(count(self.tables().shelf.searches.keys().map(|(owner, _)| *owner), shop))
    }
}

/// A shop's values in the order of their keys, behind one of them.
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
    Page { items, more: found.next().is_some() }
}

fn count(owners: impl Iterator<Item = ShopId>, shop: ShopId) -> u64 {
    u64::try_from(owners.filter(|owner| *owner == shop).count()).unwrap_or(u64::MAX)
}
