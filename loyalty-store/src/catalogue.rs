//! The catalogue of a shop: products, categories and saved searches.
//!
//! The shop replaces these records as it likes. Points do not depend on them, so they
//! have no journal. They are written in the same transactions as everything else, with
//! the same idempotency.

use std::collections::BTreeSet;
use std::sync::Arc;

use loyalty_core::{Amount, CategoryId, ProductId, ShopId, Tag, Timestamp, VariantId};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::search::SearchQuery;

/// A product as reported by a shop. Prices are in the shop's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The shop's id.
    pub id: ProductId,
    /// The title.
    pub title: String,
    /// The categories of the product. They need not have a [`Category`] record.
    #[serde(default)]
    pub categories: BTreeSet<CategoryId>,
    /// The price of one unit, if all variants have the same price.
    #[serde(default)]
    pub price: Option<Amount>,
    /// The vendor.
    #[serde(default)]
    pub vendor: Option<String>,
    /// The type of the product, in the shop's words.
    #[serde(default)]
    pub product_type: Option<String>,
    /// The shop's tags.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
    /// The sale status.
    #[serde(default)]
    pub status: ProductStatus,
    /// The variants. Their ids are unique within the product.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// The sale status of a product, in Shopify's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// On sale.
    #[default]
    Active,
    /// No longer on sale.
    Archived,
    /// Not yet on sale.
    Draft,
}

impl ProductStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Archived, Self::Draft];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Draft => "draft",
        }
    }
}

/// A variant of a product, such as a size or a colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The shop's id.
    pub id: VariantId,
    /// The title.
    #[serde(default)]
    pub title: Option<String>,
    /// The stock keeping unit.
    #[serde(default)]
    pub sku: Option<String>,
    /// The price of one unit.
    #[serde(default)]
    pub price: Option<Amount>,
}

/// A stored product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductRecord {
    /// The shop.
    pub shop: ShopId,
    /// The numeric id. Lists of products are sorted by it.
    pub number: NumericId,
    /// The product.
    pub product: Product,
    /// The numeric ids of the variants, in the order of [`Product::variants`]. A variant
    /// id has the same number in every product.
    pub variant_numbers: Vec<NumericId>,
    /// The time of the first report.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// A category of products as reported by a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The shop's id.
    pub id: CategoryId,
    /// The name.
    pub name: String,
}

/// A stored category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryRecord {
    /// The shop.
    pub shop: ShopId,
    /// The category.
    pub category: Category,
    /// The time of the first report.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// A named search for customers of a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// The shop.
    pub shop: ShopId,
    /// The id, a number.
    pub number: NumericId,
    /// The name, unique within the shop.
    pub name: String,
    /// The text given to [`SearchQuery::parse`].
    pub query: String,
    /// The time of its creation.
    pub created_at: Timestamp,
}

/// A change of the catalogue. It takes effect completely or not at all.
///
/// # Example: products are created, then left unchanged
/// ```
/// use loyalty_core::{Currency, ProductId, Zone};
/// use loyalty_store::{Action, CatalogueAction, CatalogueOutcome, MemoryStore, NewShop, Product};
/// use loyalty_store::{Reply, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// let tea: Product = serde_json::from_str(r#"{"id": "tea", "title": "Green tea"}"#)?;
/// for (created, unchanged) in [(1, 0), (0, 1)] {
///     let action = Action::Catalogue(CatalogueAction::PutProducts(vec![tea.clone()]));
///     let reply = store.execute(Request::new(shop, now, action)).wait()?;
///     let Reply::Decided(Ok(receipt)) = reply else { return Err("rejected".into()) };
///     let Some(CatalogueOutcome::Products(_, counts)) = receipt.catalogue_outcome else {
///         return Err("no products".into());
///     };
///     assert_eq!((counts.created, counts.unchanged), (created, unchanged));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub enum CatalogueAction {
    /// Creates or replaces products. Equal products are left untouched.
    PutProducts(Vec<Product>),
    /// Deletes a product.
    DeleteProduct(ProductId),
    /// Creates or replaces categories. Equal categories are left untouched.
    PutCategories(Vec<Category>),
    /// Deletes a category. Products keep its id.
    DeleteCategory(CategoryId),
    /// Creates a saved search.
    SaveSearch {
        /// The name, unique within the shop.
        name: String,
        /// The search.
        query: SearchQuery,
    },
    /// Deletes a saved search.
    DeleteSearch(NumericId),
}

/// The outcome of a [`CatalogueAction`].
#[derive(Clone, Debug)]
pub enum CatalogueOutcome {
    /// The stored products, in the order of the request.
    Products(Vec<Arc<ProductRecord>>, UpsertCounts),
    /// The stored categories, in the order of the request.
    Categories(Vec<Arc<CategoryRecord>>, UpsertCounts),
    /// The created search.
    Search(Arc<SavedSearch>),
    /// The record was deleted.
    Deleted,
}

/// The numbers of records created, updated and left unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpsertCounts {
    /// Created records.
    pub created: u64,
    /// Updated records.
    pub updated: u64,
    /// Records equal to the stored ones, left untouched.
    pub unchanged: u64,
}

/// A reference to a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductRef {
    /// The shop's id.
    Id(ProductId),
    /// The numeric id.
    Number(NumericId),
}

/// Reads of the catalogue. They show committed data of one shop.
pub trait Catalogue {
    /// Returns a product.
    fn product(
        &self,
        shop: ShopId,
        key: &ProductRef,
    ) -> Result<Option<Arc<ProductRecord>>, Failure>;

    /// Returns the number assigned to a variant. `None` if its id is a number itself.
    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure>;

    /// Returns the variant that a number was assigned to.
    fn variant_by_number(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<VariantId>, Failure>;

    /// Returns up to `limit` products in the order of their numbers, starting behind
    /// `after`.
    fn products(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure>;

    /// Returns the number of products.
    fn count_products(&self, shop: ShopId) -> Result<u64, Failure>;

    /// Returns a category.
    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure>;

    /// Returns up to `limit` categories in the order of their ids, starting behind
    /// `after`.
    fn categories(
        &self,
        shop: ShopId,
        after: Option<&CategoryId>,
        limit: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure>;

    /// Returns the number of categories.
    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure>;

    /// Returns a saved search.
    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;

    /// Returns up to `limit` saved searches in the order of their creation, starting
    /// behind `after`.
    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure>;

    /// Returns the number of saved searches.
    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure>;
}
