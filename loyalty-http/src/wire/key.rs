//! Keys and signing secrets on the wire.

use chrono::TimeDelta;
use loyalty_core::Timestamp;
use loyalty_store::{ApiKeyRecord, DEFAULT_GRACE, MAX_GRACE, Scope};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::json::field::{Integer, Text, TimeField};
use super::product::require_text;
use super::schema;
use super::value::TimeText;
use crate::problem::Problem;

/// A key to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
pub(crate) struct KeyBody<'a> {
    /// What the key is for.
    #[schemars(with = "schema::Title")]
    name: Text<255>,
    /// What the key may do: no more than the key of the request.
    #[serde(borrow)]
    #[schemars(schema_with = "scopes_schema")]
    scopes: Vec<&'a str>,
    /// The end of the key, in the future; by default it has none.
    expires_at: Option<TimeField>,
}

/// The schema of a list of scopes of a shop's key.
pub(crate) fn scopes_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": schema::one_of_names(Scope::OF_SHOP.map(Scope::name)),
        "minItems": 1,
        "maxItems": 3,
        "uniqueItems": true
    })
}

impl KeyBody<'_> {
    /// Returns the name, the scopes and the end.
    pub(crate) fn parse(
        self,
        now: Timestamp,
    ) -> Result<(String, Vec<Scope>, Option<Timestamp>), Problem> {
        let name = require_text(self.name, "/name")?;
        if self.scopes.is_empty() || self.scopes.len() > Scope::OF_SHOP.len() {
            let detail = "A key needs one to three scopes.";
            return Err(Problem::unprocessable("out_of_range", detail).with_param("/scopes"));
        }

        let mut scopes = Vec::new();
        for (index, name) in self.scopes.iter().enumerate() {
            let param = format!("/scopes/{index}");
            let Some(scope) = Scope::OF_SHOP.into_iter().find(|scope| scope.name() == *name) else {
                let detail = "A scope is `read`, `write` or `admin`.";
                return Err(Problem::unprocessable("invalid_value", detail).with_param(param));
            };
            if scopes.contains(&scope) {
                let detail = "The scope occurs twice.";
                return Err(Problem::unprocessable("invalid_value", detail).with_param(param));
            }
            scopes.push(scope);
        }
        scopes.sort_unstable();

        let expires_at = self.expires_at.map(|TimeField(at)| at);
        if expires_at.is_some_and(|end| end <= now) {
            let detail = "The end of a key must be in the future.";
            return Err(Problem::unprocessable("out_of_range", detail).with_param("/expires_at"));
        }
        Ok((name, scopes, expires_at))
    }
}

/// How long what is replaced lives on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rotation")]
pub(crate) struct RotationBody {
    /// The seconds for which the old one stays valid: a day by default, thirty days at most.
    #[schemars(with = "Option<u32>", range(min = 0, max = 2_592_000))]
    grace_seconds: Option<Integer>,
}

impl RotationBody {
    /// Returns the time for which the old one stays valid.
    pub(crate) fn parse(&self) -> Result<TimeDelta, Problem> {
        let Some(Integer(seconds)) = self.grace_seconds else {
            return Ok(DEFAULT_GRACE);
        };
        let grace = TimeDelta::try_seconds(seconds);
        let grace = grace.filter(|grace| (TimeDelta::zero()..=MAX_GRACE).contains(grace));
        grace.ok_or_else(|| {
            let detail = format!("This must be from 0 to {} seconds.", MAX_GRACE.num_seconds());
            Problem::unprocessable("out_of_range", detail).with_param("/grace_seconds")
        })
    }
}

/// A key without its secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyRecord")]
pub(crate) struct KeyRecordResponse<'a> {
    key_id: &'a str,
    name: &'a str,
    #[schemars(schema_with = "scopes_schema")]
    scopes: &'a [Scope],
    created_at: TimeText,
    /// The end of the key; null for none.
    expires_at: Option<TimeText>,
    /// About when the key was last used: to the minute, and known some time later. Null for never.
    last_used_at: Option<TimeText>,
}

impl<'a> From<&'a ApiKeyRecord> for KeyRecordResponse<'a> {
    fn from(record: &'a ApiKeyRecord) -> Self {
        Self {
            key_id: record.id(),
            name: &record.key.name,
            scopes: &record.key.scopes,
            created_at: TimeText(record.created_at),
            expires_at: record.key.expires_at.map(TimeText),
            last_used_at: record.last_used_at.map(TimeText),
        }
    }
}

/// The keys that are valid.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Keys")]
pub(crate) struct KeysResponse<'a> {
    pub(crate) keys: Vec<KeyRecordResponse<'a>>,
}

/// A new key with its secret, which is shown only here.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedKey")]
pub(crate) struct CreatedKeyResponse<'a> {
    #[serde(flatten)]
    pub(crate) record: KeyRecordResponse<'a>,
    /// The key to send with each request.
    #[schemars(regex(pattern = "^lk_[0-9a-z]{16}_[0-9a-z]{32}$"))]
    pub(crate) key: &'a str,
}

/// The new secret of a store, which is shown only here.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreSecret")]
pub(crate) struct StoreSecretResponse<'a> {
    pub(crate) store_id: &'a str,
    /// The secret to sign with.
    pub(crate) secret: &'a str,
    /// The end of the secret before it; null where there was none.
    pub(crate) previous_expires_at: Option<TimeText>,
}
