//! Categories on the wire.

use loyalty_core::CategoryId;
use loyalty_store::{Category, CategoryRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bulk;
use super::json::field::Text;
use super::product::{require_text, resolve_id};
use super::schema;
use super::value::{ParsedField, TimeText};
use crate::problem::Problem;

/// A category.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CategoryInput")]
pub(crate) struct CategoryBody {
    /// The id; in a request for one category the same as in the path, or absent.
    category_id: Option<ParsedField<CategoryId>>,
    #[schemars(with = "schema::Title")]
    name: Text<255>,
}

impl CategoryBody {
    /// Returns the category with the id of the path, or with the body's where the path has none.
    pub(crate) fn parse(self, path: Option<CategoryId>) -> Result<Category, Problem> {
        let id = resolve_id(path, self.category_id, "category_id")?;
        Ok(Category { id, name: require_text(self.name, "/name")? })
    }
}

/// A category with its id.
#[derive(JsonSchema)]
#[schemars(extend("required" = ["category_id"], "properties" = { "category_id": { "type": "string" } }))]
#[expect(dead_code, reason = "its derived schema is used alone")]
struct IdentifiedCategory(CategoryBody);

/// Many categories.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CategoriesInput")]
pub(crate) struct CategoriesBody<'a> {
    /// Categories with their ids, each id once.
    #[serde(borrow)]
    #[schemars(with = "Vec<IdentifiedCategory>", length(min = 1, max = bulk::MAX_RECORDS))]
    categories: Vec<&'a RawValue>,
}

impl CategoriesBody<'_> {
    /// Returns all of them, or a problem with every fault.
    pub(crate) fn parse(self) -> Result<Vec<Category>, Problem> {
        let parse = |body: CategoryBody| body.parse(None);
        bulk::parse_records(
            "categories",
            &self.categories,
            parse,
            ("category_id", |category| category.id.to_string()),
        )
    }
}

/// A category.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Category")]
pub(crate) struct CategoryResponse<'a> {
    #[schemars(with = "schema::Id")]
    category_id: &'a CategoryId,
    name: &'a str,
    created_at: TimeText,
    updated_at: TimeText,
}

impl<'a> From<&'a CategoryRecord> for CategoryResponse<'a> {
    fn from(record: &'a CategoryRecord) -> Self {
        let (created_at, updated_at) = (TimeText(record.created_at), TimeText(record.updated_at));
        Self {
            category_id: &record.category.id,
            name: &record.category.name,
            created_at,
            updated_at,
        }
    }
}

/// A page of categories.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Categories")]
pub(crate) struct CategoriesResponse<'a> {
    pub(crate) categories: Vec<CategoryResponse<'a>>,
}
