//! Saved searches on the wire.

use loyalty_store::SavedSearch;
use serde::{Deserialize, Serialize};

use super::json::field::Text;
use super::product::require_text;
use super::value::TimeText;
use crate::problem::Problem;

/// A search to be saved. Without a query everybody is found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedSearchBody {
    name: Text<255>,
    query: Option<Text<500>>,
}

impl SavedSearchBody {
    /// The name, and the search as it is written.
    pub(crate) fn parse(self) -> Result<(String, String), Problem> {
        Ok((
            require_text(self.name, "/name")?,
            self.query.map(Text::into_string).unwrap_or_default(),
        ))
    }
}

/// A saved search as it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct SavedSearchResponse<'a> {
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
#[derive(Debug, Serialize)]
pub(crate) struct SavedSearchesResponse<'a> {
    pub(crate) customer_saved_searches: Vec<SavedSearchResponse<'a>>,
}
