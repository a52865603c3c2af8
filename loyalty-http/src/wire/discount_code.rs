//! Discount codes and batches of them on the wire.

use loyalty_core::discount::{BatchOutcome, Code as DiscountCode};
use loyalty_store::{CheckoutView, CodeBatch, CodeView, DiscountAction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::BodyErrorCode;
use super::json::field::Text;
use super::schema;
use super::value::{ParsedField, TimeText};
use crate::problem::Problem;

/// A new discount code. Without `code` the server draws one that cannot be guessed, after the `prefix`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDiscountCode", extend("anyOf" = [{ "properties": { "code": { "type": "null" } } }, { "properties": { "prefix": { "type": "null" } } }]))]
pub(crate) struct DiscountCodeBody {
    code: Option<ParsedField<DiscountCode>>,
    prefix: Option<Text<{ DiscountCode::MAX_PREFIX_CHARS }>>,
}

impl DiscountCodeBody {
    pub(crate) fn parse(self) -> Result<DiscountCode, Problem> {
        match (self.code, self.prefix) {
            (Some(_), Some(_)) => {
                let detail =
                    "A prefix is for codes that are drawn; this one has a text of its own.";
                Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                    .with_param("/prefix"))
            }
            (Some(ParsedField(code)), None) => Ok(code),
            (None, prefix) => draw_code(prefix.as_ref().map_or("", Text::as_str)),
        }
    }
}

/// Draws a random code.
fn draw_code(prefix: &str) -> Result<DiscountCode, Problem> {
    let mut entropy = [0; 16];
    getrandom::fill(&mut entropy).map_err(Problem::internal)?;
    let refused = |error| {
        Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), format!("This {error}."))
            .with_param("/prefix")
    };
    DiscountCode::generate(prefix, entropy).map_err(refused)
}

/// A change of a discount code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DiscountCodeChange")]
pub(crate) struct DiscountCodeChangeBody {
    pub(crate) code: Option<ParsedField<DiscountCode>>,
    pub(crate) enabled: Option<bool>,
}

/// Many new discount codes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDiscountCodes")]
pub(crate) struct BatchBody {
    #[schemars(length(min = 1, max = DiscountAction::MAX_BATCH))]
    discount_codes: Vec<BatchCodeBody>,
}

/// A new discount code of a batch. Without `code` the server draws one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewBatchCode")]
struct BatchCodeBody {
    code: Option<Text<1000>>,
    prefix: Option<Text<{ DiscountCode::MAX_PREFIX_CHARS }>>,
}

impl BatchBody {
    /// Returns the texts as they were sent: each has an outcome of its own.
    pub(crate) fn parse(self) -> Result<Vec<String>, Problem> {
        let count = self.discount_codes.len();
        if count > DiscountAction::MAX_BATCH {
            let detail =
                format!("At most {} codes can be made at once.", DiscountAction::MAX_BATCH);
            return Err(
                Problem::unprocessable("too_many_codes", detail).with_param("/discount_codes")
            );
        }
        if count == 0 {
            let detail = "There must be at least one code.";
            return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
                .with_param("/discount_codes"));
        }
        let text = |body: BatchCodeBody| match body.code {
            Some(code) => Ok(code.into_string()),
            None => draw_code(body.prefix.as_ref().map_or("", Text::as_str)).map(String::from),
        };
        self.discount_codes.into_iter().map(text).collect()
    }
}

/// A discount code.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DiscountCode")]
pub(crate) struct DiscountCodeResponse<'a> {
    #[schemars(with = "schema::Numeral")]
    code_id: String,
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    #[schemars(with = "schema::CodeText")]
    code: &'a str,
    #[schemars(with = "schema::Count")]
    usage_count: u64,
    enabled: bool,
    created_at: TimeText,
    updated_at: TimeText,
}

impl<'a> From<&'a CodeView> for DiscountCodeResponse<'a> {
    fn from(code: &'a CodeView) -> Self {
        Self {
            code_id: code.id.to_string(),
            price_rule_id: code.rule.to_string(),
            code: code.text.as_str(),
            usage_count: code.used,
            enabled: code.enabled,
            created_at: TimeText(code.created_at),
            updated_at: TimeText(code.updated_at),
        }
    }
}

/// A page of discount codes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DiscountCodes")]
pub(crate) struct DiscountCodesResponse<'a> {
    pub(crate) discount_codes: Vec<DiscountCodeResponse<'a>>,
}

/// Returns the id of a code of a batch, or the reason why it was not created.
pub(crate) fn describe_outcome(outcome: BatchOutcome) -> (Option<i64>, Option<&'static str>) {
    match outcome {
        BatchOutcome::Added(code) => (Some(code.0), None),
        BatchOutcome::Empty => (None, Some("can't be blank")),
        BatchOutcome::Invalid => (None, Some("is too long or has control characters")),
        BatchOutcome::Taken => (None, Some("must be unique. Please try a different code.")),
    }
}

/// A batch of discount codes. It is completed before it is answered for the first time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Batch")]
pub(crate) struct BatchResponse {
    #[schemars(with = "schema::Numeral")]
    batch_id: String,
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    #[serde(flatten)]
    counts: BatchCounts,
}

/// The progress of a batch.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BatchCounts {
    #[schemars(extend("const" = "completed"))]
    status: &'static str,
    #[schemars(with = "schema::Count")]
    codes_count: usize,
    #[schemars(with = "schema::Count")]
    imported_count: usize,
    #[schemars(with = "schema::Count")]
    failed_count: usize,
    created_at: TimeText,
    started_at: TimeText,
    completed_at: TimeText,
    updated_at: TimeText,
}

impl From<&CodeBatch> for BatchCounts {
    fn from(batch: &CodeBatch) -> Self {
        let made = |outcome: BatchOutcome| matches!(outcome, BatchOutcome::Added(_));
        let imported_count = batch.entries.iter().filter(|entry| made(entry.outcome)).count();
        let (codes_count, at) = (batch.entries.len(), TimeText(batch.at));
        let failed_count = codes_count.saturating_sub(imported_count);
        Self {
            status: "completed",
            codes_count,
            imported_count,
            failed_count,
            created_at: at,
            started_at: at,
            completed_at: at,
            updated_at: at,
        }
    }
}

impl From<&CodeBatch> for BatchResponse {
    fn from(batch: &CodeBatch) -> Self {
        Self {
            batch_id: batch.id.to_string(),
            price_rule_id: batch.rule.to_string(),
            counts: batch.into(),
        }
    }
}

/// The codes of a batch.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BatchCodes")]
pub(crate) struct BatchCodesResponse<'a> {
    discount_codes: Vec<BatchCodeResponse<'a>>,
}

/// A code of a batch.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BatchCode")]
struct BatchCodeResponse<'a> {
    code: &'a str,
    #[schemars(with = "Option<schema::Numeral>")]
    code_id: Option<String>,
    /// The reason why the code was not created.
    error: Option<&'static str>,
}

impl<'a> From<&'a CodeBatch> for BatchCodesResponse<'a> {
    fn from(batch: &'a CodeBatch) -> Self {
        let codes = batch.entries.iter().map(|entry| {
            let (id, error) = describe_outcome(entry.outcome);
            BatchCodeResponse {
                code: &entry.text,
                code_id: id.map(|id| id.to_string()),
                error,
            }
        });
        Self { discount_codes: codes.collect() }
    }
}

/// The discount codes that a checkout has reserved.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Checkout")]
pub(crate) struct CheckoutResponse<'a> {
    #[schemars(with = "schema::Id")]
    checkout_id: &'a str,
    reserved: Vec<ReservedResponse<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    automatic_discounts: Vec<ReservedRuleResponse>,
}

/// A reserved discount without a code.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AutomaticReservation")]
struct ReservedRuleResponse {
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    until: TimeText,
}

/// A reserved discount code.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reservation")]
struct ReservedResponse<'a> {
    #[schemars(with = "schema::CodeText")]
    code: &'a str,
    #[schemars(with = "schema::Numeral")]
    code_id: String,
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    until: TimeText,
}

impl<'a> From<&'a CheckoutView> for CheckoutResponse<'a> {
    fn from(checkout: &'a CheckoutView) -> Self {
        let reserved = checkout.reservations.iter().map(|(code, until)| ReservedResponse {
            code: code.text.as_str(),
            code_id: code.id.to_string(),
            price_rule_id: code.rule.to_string(),
            until: TimeText(*until),
        });
        Self {
            checkout_id: checkout.id.as_str(),
            reserved: reserved.collect(),
            automatic_discounts: checkout
                .rules
                .iter()
                .map(|(rule, until)| ReservedRuleResponse {
                    price_rule_id: rule.to_string(),
                    until: TimeText(*until),
                })
                .collect(),
        }
    }
}
