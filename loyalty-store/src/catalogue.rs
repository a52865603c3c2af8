//! What a shop sells and whom it looks for: products, categories and saved searches.
//!
//! They are the shop's own records, replaced as it likes. No points hang on them, so they are in no journal;
//! they are written in the same transactions as everything else, with the same idempotency.

use std::collections::BTreeSet;
use std::sync::Arc;

use loyalty_core::{Amount, CategoryId, ProductId, ShopId, Tag, Timestamp, VariantId};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::query::Page;
use crate::search::SearchQuery;

/// A product as a shop tells of it. Prices are in the shop's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The shop's id.
    pub id: ProductId,
    /// What it is called.
    pub title: String,
    /// The categories that it is in. They need not be known by name.
    #[serde(default)]
    pub categories: BTreeSet<CategoryId>,
    /// The price of one, where there is one price.
    #[serde(default)]
    pub price: Option<Amount>,
    /// Who makes it.
    #[serde(default)]
    pub vendor: Option<String>,
    /// What kind of thing it is.
    #[serde(default)]
    pub product_type: Option<String>,
    /// The shop's labels.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
    /// Whether it is on sale.
    #[serde(default)]
    pub status: ProductStatus,
    /// The forms in which it is sold. Their ids differ.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// Whether a product is on sale; Shopify's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// On sale.
    #[default]
    Active,
    /// No longer.
    Archived,
    /// Not yet.
    Draft,
}

impl ProductStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Archived, Self::Draft];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Draft => "draft",
        }
    }
}

/// A form in which a product is sold: a size, a colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The shop's id.
    pub id: VariantId,
    /// What it is called.
    #[serde(default)]
    pub title: Option<String>,
    /// The stock keeping unit.
    #[serde(default)]
    pub sku: Option<String>,
    /// The price of one.
    #[serde(default)]
    pub price: Option<Amount>,
}

/// A product as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductRecord {
    /// Whose product.
    pub shop: ShopId,
    /// Its number. The list of products goes by it.
    pub number: NumericId,
    /// The product.
    pub product: Product,
    /// The numbers of the variants, in their order. Variants of one id have one number, whatever their products.
    pub variant_numbers: Vec<NumericId>,
    /// When it became known.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A category of products as a shop tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The shop's id.
    pub id: CategoryId,
    /// What it is called.
    pub name: String,
}

/// A category as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryRecord {
    /// Whose category.
    pub shop: ShopId,
    /// The category.
    pub category: Category,
    /// When it became known.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A search for customers that a shop gave a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// Whose search.
    pub shop: ShopId,
    /// Its number, which is its id.
    pub number: NumericId,
    /// Its name, unlike those of the shop's other searches.
    pub name: String,
    /// The terms, as [`SearchQuery::parse`] took them.
    pub query: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A change of the catalogue; all of it or nothing.
#[derive(Clone, Debug)]
pub enum CatalogueAction {
    /// Replaces products, or adds those that are new. What is the same as before stays untouched.
    PutProducts(Vec<Product>),
    /// Forgets a product.
    DeleteProduct(ProductId),
    /// Replaces categories, or adds those that are new.
    PutCategories(Vec<Category>),
    /// Forgets a category. Products stay in it.
    DeleteCategory(CategoryId),
    /// Makes a saved search.
    SaveSearch {
        /// Its name.
        name: String,
        /// The search.
        query: SearchQuery,
    },
    /// Forgets a saved search.
    DeleteSearch(NumericId),
}

/// What became of a change of the catalogue.
#[derive(Clone, Debug)]
pub enum CatalogueOutcome {
    /// The products as they are now.
    Products(Vec<Arc<ProductRecord>>, UpsertCounts),
    /// The categories as they are now.
    Categories(Vec<Arc<CategoryRecord>>, UpsertCounts),
    /// The new search.
    Search(Arc<SavedSearch>),
    /// It is gone.
    Deleted,
}

/// How many records were new, changed, and the same as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpsertCounts {
    /// New.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// The same as before: not touched.
    pub unchanged: u64,
}

/// How a product is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductRef {
    /// By the shop's id.
    Id(ProductId),
    /// By its number.
    Number(NumericId),
}

/// The reads of the catalogue. Like all of a store's, they begin with the shop and show what is committed.
pub trait Catalogue {
    /// One product.
    fn product(
        &self,
        shop: ShopId,
        key: &ProductRef,
    ) -> Result<Option<Arc<ProductRecord>>, Failure>;

    /// The number that was given to a variant whose id is none.
    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure>;

    /// The variant that was given a number.
    fn variant_by_number(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<VariantId>, Failure>;

    /// Products in the order of their numbers, `after` one.
    fn products(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure>;

    /// How many products there are.
    fn count_products(&self, shop: ShopId) -> Result<u64, Failure>;

    /// One category.
    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure>;

    /// Categories in the order of their ids, `after` one.
    fn categories(
        &self,
        shop: ShopId,
        after: Option<&CategoryId>,
        limit: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure>;

    /// How many categories there are.
    fn count_categories(&self, shop: ShopId) -> Result<u64, Failure>;

    /// One saved search.
    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;

    /// Saved searches in the order in which they were made, `after` one.
    fn saved_searches(
        &self,
        shop: ShopId,
        after: Option<NumericId>,
        limit: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure>;

    /// How many saved searches there are.
    fn count_saved_searches(&self, shop: ShopId) -> Result<u64, Failure>;
}
