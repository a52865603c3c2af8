//! Changes of the catalogue: replaced as told, numbered once, and left alone where nothing is new.

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

/// What a transaction reads of the catalogue.
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
    /// The number that was given to a variant whose id is none.
    fn variant_number(
        &mut self,
        shop: ShopId,
        id: &VariantId,
    ) -> Result<Option<NumericId>, Failure>;
    /// How many numbers the shop was given.
    fn assigned_count(&mut self, shop: ShopId) -> Result<i64, Failure>;
}

/// What a transaction writes of the catalogue.
#[derive(Clone, Debug)]
pub(crate) enum CatalogueChange {
    PutProduct(Arc<ProductRecord>),
    DeleteProduct(ProductId),
    PutCategory(Arc<CategoryRecord>),
    DeleteCategory(CategoryId),
    PutSearch(Arc<SavedSearch>),
    DeleteSearch(NumericId),
}

/// Which numbers a transaction gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssignedNumbers {
    /// How many the shop was given in all, where this gave some.
    pub(crate) last: Option<i64>,
    /// Those of variants. They keep them also where their products are gone.
    pub(crate) variants: HashMap<VariantId, NumericId>,
}

impl<V: TransactionView> Transaction<'_, V> {
    pub(super) fn perform_catalogue(
        &mut self,
        action: CatalogueAction,
    ) -> Result<CatalogueOutcome, TransactionError> {
        match action {
            CatalogueAction::PutProducts(products) => {
                let mut tally = UpsertCounts::default();
                let products = products
                    .into_iter()
                    .map(|product| self.put_product(product, &mut tally));
                Ok(CatalogueOutcome::Products(products.collect::<Result<_, _>>()?, tally))
            }
            CatalogueAction::PutCategories(categories) => {
                let mut tally = UpsertCounts::default();
                let categories = categories
                    .into_iter()
                    .map(|category| self.put_category(category, &mut tally));
                Ok(CatalogueOutcome::Categories(categories.collect::<Result<_, _>>()?, tally))
            }
            CatalogueAction::SaveSearch { name, query } => self.save_search(name, &query),
            CatalogueAction::DeleteProduct(id) => {
                let known = self.view.product(self.shop.id, &id)?.is_some();
                self.delete_record(
                    known,
                    CatalogueChange::DeleteProduct(id),
                    Rejection::ProductNotFound,
                )
            }
            CatalogueAction::DeleteCategory(id) => {
                let known = self.view.category(self.shop.id, &id)?.is_some();
                self.delete_record(
                    known,
                    CatalogueChange::DeleteCategory(id),
                    Rejection::CategoryNotFound,
                )
            }
            CatalogueAction::DeleteSearch(number) => {
                let known = self.view.saved_search(self.shop.id, number)?.is_some();
                self.delete_record(
                    known,
                    CatalogueChange::DeleteSearch(number),
                    Rejection::SavedSearchNotFound,
                )
            }
        }
    }

    fn delete_record(
        &mut self,
        known: bool,
        gone: CatalogueChange,
        unknown: Rejection,
    ) -> Result<CatalogueOutcome, TransactionError> {
        if !known {
            return Err(unknown.into());
        }
        self.changes.catalogue_changes.push(gone);
        Ok(CatalogueOutcome::Deleted)
    }

    fn put_product(
        &mut self,
        product: Product,
        tally: &mut UpsertCounts,
    ) -> Result<Arc<ProductRecord>, Failure> {
        let before = self.load_product(&product.id)?;
        if let Some(same) = before.as_ref().filter(|before| before.product == product) {
            tally.unchanged = tally.unchanged.saturating_add(1);
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
        let (shop, created_at) =
            (self.shop.id, before.as_ref().map_or(self.now, |before| before.created_at));
        let updated_at = self.now;
        let record = Arc::new(ProductRecord {
            shop,
            number,
            product,
            variant_numbers,
            created_at,
            updated_at,
        });
        tally.written(before.is_some());
        self.changes
            .catalogue_changes
            .push(CatalogueChange::PutProduct(Arc::clone(&record)));
        Ok(record)
    }

    /// As it is, also where this request has changed it.
    pub(super) fn load_product(
        &mut self,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let changed =
            self.changes
                .catalogue_changes
                .iter()
                .rev()
                .find_map(|shelved| match shelved {
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

    /// Categories are few fields: the last of one request wins, as the last of two requests would.
    fn put_category(
        &mut self,
        category: Category,
        tally: &mut UpsertCounts,
    ) -> Result<Arc<CategoryRecord>, Failure> {
        let before = self.view.category(self.shop.id, &category.id)?;
        if let Some(same) = before.as_ref().filter(|before| before.category == category) {
            tally.unchanged = tally.unchanged.saturating_add(1);
            return Ok(Arc::clone(same));
        }
        let (shop, created_at) =
            (self.shop.id, before.as_ref().map_or(self.now, |before| before.created_at));
        let record = Arc::new(CategoryRecord { shop, category, created_at, updated_at: self.now });
        tally.written(before.is_some());
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
        let beyond = || Failure::Unavailable("the shop has no numbers left".to_owned());
        let number = NumericId::new(self.allocate_number()?).ok_or_else(beyond)?;
        let query = query.text().to_owned();
        let search = Arc::new(SavedSearch { shop, number, name, query, created_at: self.now });
        self.changes
            .catalogue_changes
            .push(CatalogueChange::PutSearch(Arc::clone(&search)));
        Ok(CatalogueOutcome::Search(search))
    }

    /// The number of a variant that is new to its product: rules name it by its id alone, so the same id has the
    /// same number in every product.
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

    /// The number of something new. One that the id brings along is not counted.
    fn assign_number(&mut self, id: &str) -> Result<NumericId, Failure> {
        match NumericId::parse_own(id) {
            Some(own) => Ok(own),
            None => Ok(NumericId::from_id(None, self.allocate_number()?)),
        }
    }

    /// The next of the shop's numbers. None is given twice, also where what had it is gone.
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

/// The number that a variant had before.
fn previous_variant_number(before: Option<&ProductRecord>, id: &VariantId) -> Option<NumericId> {
    let before = before?;
    let mut known = before.product.variants.iter().zip(&before.variant_numbers);
    known.find_map(|(variant, number)| (variant.id == *id).then_some(*number))
}

impl UpsertCounts {
    fn written(&mut self, known: bool) {
        let count = if known { &mut self.updated } else { &mut self.created };
        *count = count.saturating_add(1);
    }
}
