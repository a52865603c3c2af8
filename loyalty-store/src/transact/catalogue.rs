//! Changes of the catalogue. Records are replaced as reported, equal records are left
//! untouched, and numbers are assigned once.

use std::collections::HashMap;
use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};

use super::{Transaction, TransactionError, TransactionView};
use crate::catalogue::{
    CatalogueAction, CatalogueOutcome, Category, CategoryRecord, Product, ProductRecord,
    SavedSearch, UpsertCounts,
};
use crate::error::{Failure, Rejection};
use crate::numeric_id::NumericId;
use crate::search::SearchQuery;

/// Reads of the catalogue.
pub(crate) trait CatalogueView {
    fn product(
        &mut self,
        shop: ShopId,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure>;
    fn category(
        &mut self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure>;
    fn saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;
    fn search_by_name(&mut self, shop: ShopId, name: &str) -> Result<Option<NumericId>, Failure>;
    /// Returns the number assigned to a variant, unless its id is a number.
    fn variant_number(
        &mut self,
        shop: ShopId,
        id: &VariantId,
    ) -> Result<Option<NumericId>, Failure>;
    /// Returns how many numbers were assigned in the shop.
    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure>;
}

/// A change of the catalogue to write.
#[derive(Clone, Debug)]
pub(crate) enum CatalogueChange {
    PutProduct(Arc<ProductRecord>),
    DeleteProduct(ProductId),
    PutCategory(Arc<CategoryRecord>),
    DeleteCategory(CategoryId),
    PutSearch(Arc<SavedSearch>),
    DeleteSearch(NumericId),
}

/// The numbers that a transaction assigns.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssignedNumbers {
    /// The last number assigned in the shop, if this transaction assigned any.
    pub(crate) last: Option<i64>,
    /// The numbers of variants. A variant keeps its number after its product is deleted.
    pub(crate) variants: HashMap<VariantId, NumericId>,
}

impl<V: TransactionView> Transaction<'_, V> {
    pub(super) fn perform_catalogue(
        &mut self,
        action: CatalogueAction,
    ) -> Result<CatalogueOutcome, TransactionError> {
        match action {
            CatalogueAction::PutProducts(products) => {
                let mut counts = UpsertCounts::default();
                let products = products
                    .into_iter()
                    .map(|product| self.put_product(product, &mut counts));
                Ok(CatalogueOutcome::Products(products.collect::<Result<_, _>>()?, counts))
            }
            CatalogueAction::PutCategories(categories) => {
                let mut counts = UpsertCounts::default();
                let categories = categories
                    .into_iter()
                    .map(|category| self.put_category(category, &mut counts));
                Ok(CatalogueOutcome::Categories(categories.collect::<Result<_, _>>()?, counts))
            }
            CatalogueAction::SaveSearch { name, query } => self.save_search(name, &query),
            CatalogueAction::DeleteProduct(id) => {
                let exists = self.view.product(self.shop.id, &id)?.is_some();
                self.delete_record(
                    exists,
                    CatalogueChange::DeleteProduct(id),
                    Rejection::ProductNotFound,
                )
            }
            CatalogueAction::DeleteCategory(id) => {
                let exists = self.view.category(self.shop.id, &id)?.is_some();
                self.delete_record(
                    exists,
                    CatalogueChange::DeleteCategory(id),
                    Rejection::CategoryNotFound,
                )
            }
            CatalogueAction::DeleteSearch(number) => {
                let exists = self.view.saved_search(self.shop.id, number)?.is_some();
                self.delete_record(
                    exists,
                    CatalogueChange::DeleteSearch(number),
                    Rejection::SavedSearchNotFound,
                )
            }
        }
    }

    fn delete_record(
        &mut self,
        exists: bool,
        deletion: CatalogueChange,
        not_found: Rejection,
    ) -> Result<CatalogueOutcome, TransactionError> {
        if !exists {
            return Err(not_found.into());
        }

        self.changes.catalogue_changes.push(deletion);
        Ok(CatalogueOutcome::Deleted)
    }

    fn put_product(
        &mut self,
        product: Product,
        counts: &mut UpsertCounts,
    ) -> Result<Arc<ProductRecord>, Failure> {
        let before = self.load_product(&product.id)?;
        if let Some(same) = before.as_ref().filter(|before| before.product == product) {
            counts.unchanged = counts.unchanged.saturating_add(1);
            return Ok(Arc::clone(same));
        }

        let number = match &before {
            Some(before) => before.number,
            None => self.assign_number(product.id.as_str())?,
        };
        let variant_numbers =
            product.variants.iter().map(|variant| {
                match previous_variant_number(before.as_deref(), &variant.id) {
                    Some(number) => Ok(number),
                    None => self.assign_variant_number(&variant.id),
                }
            });
        let variant_numbers = variant_numbers.collect::<Result<_, Failure>>()?;

        let record = Arc::new(ProductRecord {
            shop: self.shop.id,
            number,
            product,
            variant_numbers,
            created_at: before.as_ref().map_or(self.now, |before| before.created_at),
            updated_at: self.now,
        });

        counts.count_written(before.is_some());
        self.changes
            .catalogue_changes
            .push(CatalogueChange::PutProduct(Arc::clone(&record)));
        Ok(record)
    }

    /// Returns a product, with the changes of this transaction.
    pub(super) fn load_product(
        &mut self,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let changed = self
            .changes
            .catalogue_changes
            .iter()
            .rev()
            .find_map(|change| match change {
                CatalogueChange::PutProduct(record) => {
                    Some(record).filter(|record| record.product.id == *id)
                }
                CatalogueChange::DeleteProduct(_)
                | CatalogueChange::PutCategory(_)
                | CatalogueChange::DeleteCategory(_)
                | CatalogueChange::PutSearch(_)
                | CatalogueChange::DeleteSearch(_) => None,
            });

        match changed {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.view.product(self.shop.id, id),
        }
    }

    /// Creates or replaces a category. Of several with one id in a request the last one
    /// wins.
    fn put_category(
        &mut self,
        category: Category,
        counts: &mut UpsertCounts,
    ) -> Result<Arc<CategoryRecord>, Failure> {
        let before = self.view.category(self.shop.id, &category.id)?;
        if let Some(same) = before.as_ref().filter(|before| before.category == category) {
            counts.unchanged = counts.unchanged.saturating_add(1);
            return Ok(Arc::clone(same));
        }

        let record = Arc::new(CategoryRecord {
            shop: self.shop.id,
            category,
            created_at: before.as_ref().map_or(self.now, |before| before.created_at),
            updated_at: self.now,
        });

        counts.count_written(before.is_some());
        self.changes
            .catalogue_changes
            .push(CatalogueChange::PutCategory(Arc::clone(&record)));
        Ok(record)
    }

    fn save_search(
        &mut self,
        name: String,
        query: &SearchQuery,
    ) -> Result<CatalogueOutcome, TransactionError> {
        let shop = self.shop.id;
        if self.view.search_by_name(shop, &name)?.is_some() {
            return Err(Rejection::SavedSearchNameTaken.into());
        }

        let exhausted =
            || Failure::Unavailable("the shop has no numbers left to assign".to_owned());
        let number = NumericId::new(self.allocate_number()?).ok_or_else(exhausted)?;
        let query = query.text().to_owned();
        let search = Arc::new(SavedSearch { shop, number, name, query, created_at: self.now });
        self.changes
            .catalogue_changes
            .push(CatalogueChange::PutSearch(Arc::clone(&search)));
        Ok(CatalogueOutcome::Search(search))
    }

    /// Returns the number of a variant that is new in its product. Price rules refer to a
    /// variant without its product, so an id has the same number in every product.
    fn assign_variant_number(&mut self, id: &VariantId) -> Result<NumericId, Failure> {
        let known = match self.changes.assigned_numbers.variants.get(id) {
            Some(number) => Some(*number),
            None if NumericId::parse_own(id.as_str()).is_some() => None,
            None => self.view.variant_number(self.shop.id, id)?,
        };
        let number = known.map_or_else(|| self.assign_number(id.as_str()), Ok)?;

        if known.is_none() && number.assigned_index().is_some() {
            self.changes.assigned_numbers.variants.insert(id.clone(), number);
        }

        Ok(number)
    }

    /// Returns the number of a new record: its id if that is a number, or else the next
    /// one.
    fn assign_number(&mut self, id: &str) -> Result<NumericId, Failure> {
        match NumericId::parse_own(id) {
            Some(own) => Ok(own),
            None => Ok(NumericId::from_id(None, self.allocate_number()?)),
        }
    }

    /// Returns the next number of the shop. Numbers of deleted records are not assigned
    /// again.
    fn allocate_number(&mut self) -> Result<i64, Failure> {
        let last = match self.changes.assigned_numbers.last {
            Some(last) => last,
            None => self.view.assigned_count(self.shop.id)?,
        };
        let next = last.saturating_add(1);
        self.changes.assigned_numbers.last = Some(next);
        Ok(next)
    }
}

/// Returns the number that a variant has in the stored product.
fn previous_variant_number(before: Option<&ProductRecord>, id: &VariantId) -> Option<NumericId> {
    let before = before?;
    let mut known = before.product.variants.iter().zip(&before.variant_numbers);
    known.find_map(|(variant, number)| (variant.id == *id).then_some(*number))
}

impl UpsertCounts {
    fn count_written(&mut self, is_update: bool) {
        let count = if is_update { &mut self.updated } else { &mut self.created };
        *count = count.saturating_add(1);
    }
}
