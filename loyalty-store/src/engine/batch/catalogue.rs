//! Changes of the catalogue that are not committed yet.

use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};

use crate::catalogue::{CategoryRecord, ProductRecord, SavedSearch};
use crate::engine::map::Map;
use crate::numeric_id::NumericId;
use crate::transact::{AssignedNumbers, CatalogueChange};

/// An overlay of the catalogue's tables; `None` stands for a deleted row.
#[derive(Default)]
pub(super) struct StagedCatalogue {
    pub(super) products: Map<(ShopId, ProductId), Option<Arc<ProductRecord>>>,
    pub(super) categories: Map<(ShopId, CategoryId), Option<Arc<CategoryRecord>>>,
    pub(super) searches: Map<(ShopId, NumericId), Option<Arc<SavedSearch>>>,
    pub(super) last_numbers: Map<ShopId, i64>,
    pub(super) variant_numbers: Map<(ShopId, VariantId), NumericId>,
}

impl StagedCatalogue {
    pub(super) fn apply(
        &mut self,
        shop: ShopId,
        changes: &[CatalogueChange],
        numbers: &AssignedNumbers,
    ) {
        for change in changes {
            self.apply_change(shop, change);
        }
        self.last_numbers.extend(numbers.last.map(|last| (shop, last)));
        let variants = numbers.variants.iter();
        self.variant_numbers
            .extend(variants.map(|(id, number)| ((shop, id.clone()), *number)));
    }

    fn apply_change(&mut self, shop: ShopId, change: &CatalogueChange) {
        match change {
            CatalogueChange::PutProduct(record) => {
                let key = (shop, record.product.id.clone());
                self.products.insert(key, Some(Arc::clone(record)));
            }
            CatalogueChange::DeleteProduct(id) => {
                self.products.insert((shop, id.clone()), None);
            }
            CatalogueChange::PutCategory(record) => {
                let key = (shop, record.category.id.clone());
                self.categories.insert(key, Some(Arc::clone(record)));
            }
            CatalogueChange::DeleteCategory(id) => {
                self.categories.insert((shop, id.clone()), None);
            }
            CatalogueChange::PutSearch(search) => {
                self.searches.insert((shop, search.number), Some(Arc::clone(search)));
            }
            CatalogueChange::DeleteSearch(number) => {
                self.searches.insert((shop, *number), None);
            }
        }
    }

    pub(super) fn find_search_by_name(&self, shop: ShopId, name: &str) -> Option<NumericId> {
        let is_named = |search: &&Arc<SavedSearch>| search.shop == shop && search.name == name;
        let found = self.searches.values().flatten().find(is_named);
        found.map(|search| search.number)
    }
}
