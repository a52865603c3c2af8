//! Products on the wire.

use std::collections::{BTreeSet, HashSet};

use loyalty_core::{Amount, CategoryId, Currency, ProductId, Tag, VariantId};
use loyalty_store::{Product, ProductRecord, ProductStatus, Shop, Variant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bulk;
use super::json::BodyErrorCode;
use super::json::field::Text;
use super::page::PageItems;
use super::schema;
use super::value::{ParsedField, TimeText};
use crate::problem::Problem;

/// The most categories of a product, and the most tags, and the most variants.
const MAX_PARTS: usize = 250;

/// A whole product. A member that is absent or null is empty.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProductInput")]
pub(crate) struct ProductBody {
    /// The id; in a request for one product the same as in the path, or absent.
    product_id: Option<ParsedField<ProductId>>,
    #[schemars(with = "schema::Title")]
    title: Text<255>,
    #[schemars(length(max = MAX_PARTS))]
    categories: Option<Vec<ParsedField<CategoryId>>>,
    price: Option<ParsedField<Amount>>,
    /// The shop's currency, or absent.
    currency: Option<ParsedField<Currency>>,
    vendor: Option<Text<255>>,
    product_type: Option<Text<255>>,
    #[schemars(length(max = MAX_PARTS))]
    tags: Option<Vec<ParsedField<Tag>>>,
    status: Option<ParsedField<ProductStatus>>,
    #[schemars(length(max = MAX_PARTS))]
    variants: Option<Vec<VariantBody>>,
}

/// A variant of a product.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VariantInput")]
struct VariantBody {
    variant_id: ParsedField<VariantId>,
    title: Option<Text<255>>,
    sku: Option<Text<255>>,
    price: Option<ParsedField<Amount>>,
}

impl ProductBody {
    /// Returns the product with the id of the path, or with the body's where the path has none.
    pub(crate) fn parse(self, path: Option<ProductId>, shop: &Shop) -> Result<Product, Problem> {
        let text = |text: Option<Text<255>>| text.map(Text::into_string);
        if self
            .currency
            .is_some_and(|ParsedField(currency)| currency != shop.currency)
        {
            let detail =
                format!("Prices are in the shop's currency, which is {}.", shop.currency.code());
            return Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param("/currency"));
        }
        Ok(Product {
            id: resolve_id(path, self.product_id, "product_id")?,
            title: require_text(self.title, "/title")?,
            categories: parse_set(self.categories, "/categories")?,
            price: self.price.map(|price| price.0),
            vendor: text(self.vendor),
            product_type: text(self.product_type),
            tags: parse_set(self.tags, "/tags")?,
            status: self.status.map_or_else(ProductStatus::default, |status| status.0),
            variants: parse_variants(self.variants.unwrap_or_default())?,
        })
    }
}

/// Returns the id of the path, which the body may repeat, or the body's.
pub(crate) fn resolve_id<T: PartialEq>(
    path: Option<T>,
    body: Option<ParsedField<T>>,
    name: &'static str,
) -> Result<T, Problem> {
    match (path, body) {
        (Some(path), None) => Ok(path),
        (Some(path), Some(ParsedField(body))) if path == body => Ok(path),
        (None, Some(ParsedField(body))) => Ok(body),
        (Some(_), Some(_)) => {
            let detail = format!("This is not the `{name}` of the path.");
            Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param(format!("/{name}")))
        }
        (None, None) => {
            let detail = format!("The field `{name}` is missing.");
            Err(Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
                .with_param(format!("/{name}")))
        }
    }
}

/// Returns the text, or a problem where it is blank.
pub(crate) fn require_text(text: Text<255>, pointer: &str) -> Result<String, Problem> {
    if text.as_str().trim().is_empty() {
        let detail = "This must not be empty.";
        return Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
            .with_param(pointer));
    }
    Ok(text.into_string())
}

fn parse_set<T: Ord>(
    parts: Option<Vec<ParsedField<T>>>,
    pointer: &str,
) -> Result<BTreeSet<T>, Problem> {
    let parts = parts.unwrap_or_default();
    check_part_count(parts.len(), pointer)?;
    Ok(parts.into_iter().map(|part| part.0).collect())
}

fn check_part_count(count: usize, pointer: &str) -> Result<(), Problem> {
    if count <= MAX_PARTS {
        return Ok(());
    }
    let detail = format!("A product can have at most {MAX_PARTS} of these.");
    Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail).with_param(pointer))
}

fn parse_variants(bodies: Vec<VariantBody>) -> Result<Vec<Variant>, Problem> {
    check_part_count(bodies.len(), "/variants")?;
    let (mut variants, mut seen) = (Vec::with_capacity(bodies.len()), HashSet::new());
    for (index, body) in bodies.into_iter().enumerate() {
        let ParsedField(id) = body.variant_id;
        if !seen.insert(id.clone()) {
            let detail = "The product has another variant of this id.";
            return Err(Problem::unprocessable("duplicate_id", detail)
                .with_param(format!("/variants/{index}/variant_id")));
        }
        let text = |text: Option<Text<255>>| text.map(Text::into_string);
        let (title, sku, price) =
            (text(body.title), text(body.sku), body.price.map(|price| price.0));
        variants.push(Variant { id, title, sku, price });
    }
    Ok(variants)
}

/// A product with its id.
#[derive(JsonSchema)]
#[schemars(extend("required" = ["product_id"], "properties" = { "product_id": { "type": "string" } }))]
#[expect(dead_code, reason = "its derived schema is used alone")]
struct IdentifiedProduct(ProductBody);

/// Many products.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProductsInput")]
pub(crate) struct ProductsBody<'a> {
    /// Products with their ids, each id once.
    #[serde(borrow)]
    #[schemars(with = "Vec<IdentifiedProduct>", length(min = 1, max = bulk::MAX_RECORDS))]
    products: Vec<&'a RawValue>,
}

impl ProductsBody<'_> {
    /// Returns all of them, or a problem with every fault.
    pub(crate) fn parse(self, shop: &Shop) -> Result<Vec<Product>, Problem> {
        let parse = |body: ProductBody| body.parse(None, shop);
        bulk::parse_records(
            "products",
            &self.products,
            parse,
            ("product_id", |product| product.id.to_string()),
        )
    }
}

/// A product.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Product")]
pub(crate) struct ProductResponse<'a> {
    #[schemars(with = "schema::Id")]
    product_id: &'a ProductId,
    title: &'a str,
    #[schemars(with = "Vec<schema::Id>")]
    categories: &'a BTreeSet<CategoryId>,
    #[schemars(with = "Option<schema::Amount>")]
    price: Option<Amount>,
    #[schemars(with = "schema::Currency")]
    currency: &'static str,
    vendor: Option<&'a str>,
    product_type: Option<&'a str>,
    #[schemars(with = "Vec<schema::Id>")]
    tags: &'a BTreeSet<Tag>,
    #[schemars(with = "ParsedField<ProductStatus>")]
    status: &'static str,
    variants: Vec<VariantResponse<'a>>,
    created_at: TimeText,
    updated_at: TimeText,
}

/// A variant of a product.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Variant")]
struct VariantResponse<'a> {
    #[schemars(with = "schema::Id")]
    variant_id: &'a VariantId,
    title: Option<&'a str>,
    sku: Option<&'a str>,
    #[schemars(with = "Option<schema::Amount>")]
    price: Option<Amount>,
}

impl<'a> ProductResponse<'a> {
    /// The product of a shop with this currency.
    pub(crate) fn new(record: &'a ProductRecord, currency: Currency) -> Self {
        let product = &record.product;
        let variants = product.variants.iter().map(|variant| VariantResponse {
            variant_id: &variant.id,
            title: variant.title.as_deref(),
            sku: variant.sku.as_deref(),
            price: variant.price,
        });
        Self {
            product_id: &product.id,
            title: &product.title,
            categories: &product.categories,
            price: product.price,
            currency: currency.code(),
            vendor: product.vendor.as_deref(),
            product_type: product.product_type.as_deref(),
            tags: &product.tags,
            status: product.status.name(),
            variants: variants.collect(),
            created_at: TimeText(record.created_at),
            updated_at: TimeText(record.updated_at),
        }
    }
}

/// A page of products.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Products")]
pub(crate) struct ProductsResponse<'a> {
    pub(crate) products: PageItems<ProductResponse<'a>>,
}
