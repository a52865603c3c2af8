//! Saved searches on the wire.

use loyalty_store::SavedSearch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::field::Text;
use super::product::require_text;
use super::schema;
use super::value::TimeText;
use crate::problem::Problem;

/// A search to be saved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSavedSearch")]
pub(crate) struct SavedSearchBody {
    #[schemars(with = "schema::Title")]
    name: Text<255>,
    /// The search; by default it matches every customer.
    query: Option<Text<500>>,
}

impl SavedSearchBody {
    /// Returns the name and the search query.
    pub(crate) fn parse(self) -> Result<(String, String), Problem> {
        Ok((
            require_text(self.name, "/name")?,
            self.query.map(Text::into_string).unwrap_or_default(),
        ))
    }
}

/// A saved search.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SavedSearch")]
pub(crate) struct SavedSearchResponse<'a> {
    #[schemars(with = "schema::Numeral")]
    saved_search_id: String,
    name: &'a str,
    query: &'a str,
    created_at: TimeText,
}

impl<'a> From<&'a SavedSearch> for SavedSearchResponse<'a> {
    fn from(search: &'a SavedSearch) -> Self {
        let (name, query) = (search.name.as_str(), search.query.as_str());
        Self {
            saved_search_id: search.number.to_string(),
            name,
            query,
            created_at: TimeText(search.created_at),
        }
    }
}

/// A page of saved searches.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SavedSearches")]
pub(crate) struct SavedSearchesResponse<'a> {
    pub(crate) customer_saved_searches: Vec<SavedSearchResponse<'a>>,
}
