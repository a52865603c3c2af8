//! Categories on the wire.

use loyalty_core::CategoryId;
use loyalty_store::{Category, CategoryRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bulk;
use super::json::field::Text;
use super::product::{named, same_id};
use super::value::{Parsed, Time};
use crate::problem::Problem;

/// A category as a shop tells of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryBody {
    category_id: Option<Parsed<CategoryId>>,
    name: Text<255>,
}

impl CategoryBody {
    /// The category that the path names; else the one that the body does.
    pub(crate) fn parse(self, path: Option<CategoryId>) -> Result<Category, Problem> {
        let id = same_id(path, self.category_id, "category_id")?;
        Ok(Category { id, name: named(self.name, "/name")? })
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
        bulk::read(
            "categories",
            &self.categories,
            parse,
            ("category_id", |category| category.id.to_string()),
        )
    }
}

/// A category as it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct CategoryAnswer<'a> {
    category_id: &'a CategoryId,
    name: &'a str,
    created_at: Time,
    updated_at: Time,
}

impl<'a> From<&'a CategoryRecord> for CategoryAnswer<'a> {
    fn from(record: &'a CategoryRecord) -> Self {
        let (created_at, updated_at) = (Time(record.created_at), Time(record.updated_at));
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
pub(crate) struct CategoriesAnswer<'a> {
    pub(crate) categories: Vec<CategoryAnswer<'a>>,
}
