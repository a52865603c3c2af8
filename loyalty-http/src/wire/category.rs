//! Categories on the wire.

use loyalty_core::CategoryId;
use loyalty_store::{Category, CategoryRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bulk;
use super::json::field::Text;
use super::product::{require_text, resolve_id};
use super::value::{ParsedField, TimeText};
use crate::problem::Problem;

/// A category as a shop tells of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryBody {
    category_id: Option<ParsedField<CategoryId>>,
    name: Text<255>,
}

impl CategoryBody {
    /// The category that the path names; else the one that the body does.
    pub(crate) fn parse(self, path: Option<CategoryId>) -> Result<Category, Problem> {
        let id = resolve_id(path, self.category_id, "category_id")?;
        Ok(Category { id, name: require_text(self.name, "/name")? })
    }
}

/// Many categories.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoriesBody<'a> {
    #[serde(borrow)]
    categories: Vec<&'a RawValue>,
}

impl CategoriesBody<'_> {
    /// All of them, or every fault.
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

/// A category as it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct CategoryResponse<'a> {
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
#[derive(Debug, Serialize)]
pub(crate) struct CategoriesResponse<'a> {
    pub(crate) categories: Vec<CategoryResponse<'a>>,
}
