//! Changes of the catalogue: replaced as told, numbered once, and left alone where nothing is new.

use std::collections::HashMap;
use std::sync::Arc;

use loyalty_core::{CategoryId, ProductId, ShopId, VariantId};

use super::{Stop, Transaction, View};
use crate::catalogue::{
    CatalogueAction, Catalogued, Category, CategoryRecord, Product, ProductRecord, SavedSearch,
    Tally,
};
use crate::error::{Failure, Rejection};
use crate::number::Number;
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
        number: Number,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;
    fn has_search_named(&mut self, shop: ShopId, name: &str) -> Result<bool, Failure>;
    /// The number that was given to a variant whose id is none.
    fn variant_number(&mut self, shop: ShopId, id: &VariantId) -> Result<Option<Number>, Failure>;
    /// How many numbers the shop was given.
    fn numbered(&mut self, shop: ShopId) -> Result<i64, Failure>;
}

/// What a transaction writes of the catalogue.
#[derive(Clone, Debug)]
pub(crate) enum Shelved {
    Product(Arc<ProductRecord>),
    NoProduct(ProductId),
    Category(Arc<CategoryRecord>),
    NoCategory(CategoryId),
    Search(Arc<SavedSearch>),
    NoSearch(Number),
}

/// Which numbers a transaction gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbered {
    /// How many the shop was given in all, where this gave some.
    pub(crate) last: Option<i64>,
    /// Those of variants. They keep them also where their products are gone.
    pub(crate) variants: HashMap<VariantId, Number>,
}

impl<V: View> Transaction<'_, V> {
    pub(super) fn catalogue(&mut self, action: CatalogueAction) -> Result<Catalogued, Stop> {
        match action {
            CatalogueAction::PutProducts(products) => {
                let mut tally = Tally::default();
                let products = products
                    .into_iter()
                    .map(|product| self.put_product(product, &mut tally));
                Ok(Catalogued::Products(products.collect::<Result<_, _>>()?, tally))
            }
            CatalogueAction::PutCategories(categories) => {
                let mut tally = Tally::default();
                let categories = categories
                    .into_iter()
                    .map(|category| self.put_category(category, &mut tally));
                Ok(Catalogued::Categories(categories.collect::<Result<_, _>>()?, tally))
            }
            CatalogueAction::SaveSearch { name, query } => self.save_search(name, &query),
            CatalogueAction::DeleteProduct(id) => {
                let known = self.view.product(self.shop.id, &id)?.is_some();
                self.delete(known, Shelved::NoProduct(id), Rejection::ProductNotFound)
            }
            CatalogueAction::DeleteCategory(id) => {
                let known = self.view.category(self.shop.id, &id)?.is_some();
                self.delete(known, Shelved::NoCategory(id), Rejection::CategoryNotFound)
            }
            CatalogueAction::DeleteSearch(number) => {
                let known = self.view.saved_search(self.shop.id, number)?.is_some();
                self.delete(known, Shelved::NoSearch(number), Rejection::SavedSearchNotFound)
            }
        }
    }

    fn delete(
        &mut self,
        known: bool,
        gone: Shelved,
        unknown: Rejection,
    ) -> Result<Catalogued, Stop> {
        if !known {
            return Err(unknown.into());
        }
        self.changes.shelved.push(gone);
        Ok(Catalogued::Deleted)
    }

    fn put_product(
        &mut self,
        product: Product,
        tally: &mut Tally,
    ) -> Result<Arc<ProductRecord>, Failure> {
        let before = self.load_product(&product.id)?;
        if let Some(same) = before.as_ref().filter(|before| before.product == product) {
            tally.unchanged = tally.unchanged.saturating_add(1);
            return Ok(Arc::clone(same));
        }
        let number = match &before {
            Some(before) => before.number,
            None => self.number_of(product.id.as_str())?,
        };
        let variant_numbers = product.variants.iter().map(|variant| {
            match known_variant(before.as_deref(), &variant.id) {
                Some(number) => Ok(number),
                None => self.number_of_variant(&variant.id),
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
        self.changes.shelved.push(Shelved::Product(Arc::clone(&record)));
        Ok(record)
    }

    /// As it is, also where this request has changed it.
    pub(super) fn load_product(
        &mut self,
        id: &ProductId,
    ) -> Result<Option<Arc<ProductRecord>>, Failure> {
        let changed = self.changes.shelved.iter().rev().find_map(|shelved| match shelved {
            Shelved::Product(record) => Some(record).filter(|record| record.product.id == *id),
            Shelved::NoProduct(_)
            | Shelved::Category(_)
            | Shelved::NoCategory(_)
            | Shelved::Search(_)
            | Shelved::NoSearch(_) => None,
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
        tally: &mut Tally,
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
        self.changes.shelved.push(Shelved::Category(Arc::clone(&record)));
        Ok(record)
    }

    fn save_search(&mut self, name: String, query: &SearchQuery) -> Result<Catalogued, Stop> {
        let shop = self.shop.id;
        if self.view.has_search_named(shop, &name)? {
            return Err(Rejection::SavedSearchNameTaken.into());
        }
        let beyond = || Failure::Unavailable("the shop has no numbers left".to_owned());
        let number = Number::new(self.next_number()?).ok_or_else(beyond)?;
        let query = query.text().to_owned();
        let search = Arc::new(SavedSearch { shop, number, name, query, created_at: self.now });
        self.changes.shelved.push(Shelved::Search(Arc::clone(&search)));
        Ok(Catalogued::Search(search))
    }

    /// The number of a variant that is new to its product: rules name it by its id alone, so the same id has the
    /// same number in every product.
    fn number_of_variant(&mut self, id: &VariantId) -> Result<Number, Failure> {
        let known = match self.changes.numbered.variants.get(id) {
            Some(number) => Some(*number),
            None if Number::own(id.as_str()).is_some() => None,
            None => self.view.variant_number(self.shop.id, id)?,
        };
        let number = known.map_or_else(|| self.number_of(id.as_str()), Ok)?;
        if known.is_none() && number.given().is_some() {
            self.changes.numbered.variants.insert(id.clone(), number);
        }
        Ok(number)
    }

    /// The number of something new. One that the id brings along is not counted.
    fn number_of(&mut self, id: &str) -> Result<Number, Failure> {
        match Number::own(id) {
            Some(own) => Ok(own),
            None => Ok(Number::of(None, self.next_number()?)),
        }
    }

    /// The next of the shop's numbers. None is given twice, also where what had it is gone.
    fn next_number(&mut self) -> Result<i64, Failure> {
        let last = match self.changes.numbered.last {
            Some(last) => last,
            None => self.view.numbered(self.shop.id)?,
        };
        let next = last.saturating_add(1);
        self.changes.numbered.last = Some(next);
        Ok(next)
    }
}

/// The number that a variant had before.
fn known_variant(before: Option<&ProductRecord>, id: &VariantId) -> Option<Number> {
    let before = before?;
    let mut known = before.product.variants.iter().zip(&before.variant_numbers);
    known.find_map(|(variant, number)| (variant.id == *id).then_some(*number))
}

impl Tally {
    fn written(&mut self, known: bool) {
        let count = if known { &mut self.updated } else { &mut self.created };
        *count = count.saturating_add(1);
    }
}
