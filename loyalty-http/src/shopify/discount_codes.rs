//! `price_rules/{id}/discount_codes.json`: discount codes, batches of them, and their
//! lookup.

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use loyalty_core::discount::{Code, CodeError};
use loyalty_core::{CodeId, PriceRuleId};
use loyalty_store::{Action, CodeBatch, CodeView, DiscountAction, NumericId, Receipt, Rejection};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::price_rules::find as find_rule;
use super::{Envelope, FieldSelection, check_version, linker, page_start, parse_since_id};
use crate::endpoint::{Call, EncodedResponse, HandlerPlan, discount_codes, error, to_json};
use crate::problem::Problem;
use crate::throttle::ThrottleSubject;
use crate::wire::discount_code::{BatchBody, BatchCounts, describe_outcome};
use crate::wire::json::BodyErrorCode;
use crate::wire::json::field::Text;
use crate::wire::query::CodeCursor;
use crate::wire::schema;
use crate::wire::value::{TimeText, parse_number};

/// `{"discount_code": …}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShopifyDiscountCodeRequest")]
pub(crate) struct CodeEnvelope {
    discount_code: ShopifyCodeBody,
}

/// A change of a discount code. The last response can be sent back: members that cannot be changed are ignored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ShopifyDiscountCodeChange")]
pub(crate) struct ShopifyCodeBody {
    code: Option<Text<1000>>,

    #[serde(rename = "id")]
    #[schemars(with = "schema::ReadOnly")]
    _id: IgnoredAny,
    #[serde(rename = "price_rule_id")]
    #[schemars(with = "schema::ReadOnly")]
    _price_rule_id: IgnoredAny,
    #[serde(rename = "usage_count")]
    #[schemars(with = "schema::ReadOnly")]
    _usage_count: IgnoredAny,
    #[serde(rename = "errors")]
    #[schemars(with = "schema::ReadOnly")]
    _errors: IgnoredAny,
    #[serde(rename = "created_at")]
    #[schemars(with = "schema::ReadOnly")]
    _created_at: IgnoredAny,
    #[serde(rename = "updated_at")]
    #[schemars(with = "schema::ReadOnly")]
    _updated_at: IgnoredAny,
}

impl CodeEnvelope {
    /// The text of the code, if one is sent.
    fn parse_text(self) -> Result<Option<Code>, Problem> {
        let Some(text) = self.discount_code.code else { return Ok(None) };
        let invalid = |error: CodeError| {
            let detail = format!("This {error}.");
            Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param("/discount_code/code")
        };
        Code::new(text.as_str()).map(Some).map_err(invalid)
    }
}

/// A discount code.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyDiscountCode")]
pub(super) struct ShopifyCodeResponse<'a> {
    #[schemars(with = "schema::Number")]
    id: i64,
    #[schemars(with = "schema::Number")]
    price_rule_id: i64,
    #[schemars(with = "schema::CodeText")]
    code: &'a str,
    #[schemars(with = "schema::Count")]
    usage_count: u64,
    created_at: TimeText,
    updated_at: TimeText,
}

impl<'a> From<&'a CodeView> for ShopifyCodeResponse<'a> {
    fn from(code: &'a CodeView) -> Self {
        Self {
            id: code.id.0,
            price_rule_id: code.rule.0,
            code: code.text.as_str(),
            usage_count: code.used,
            created_at: TimeText(code.created_at),
            updated_at: TimeText(code.updated_at),
        }
    }
}

/// `POST price_rules/{id}/discount_codes.json`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let text = call.body::<CodeEnvelope>()?.parse_text()?.ok_or_else(|| {
        Problem::unprocessable(BodyErrorCode::MissingField.as_str(), "A code can't be blank.")
            .with_param("/discount_code/code")
    })?;
    Ok(write_code(
        DiscountAction::AddCode { rule: find_rule(call)?.id, text },
        StatusCode::CREATED,
    ))
}

/// `PUT price_rules/{id}/discount_codes/{code_id}.json`
pub(crate) fn update(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let text = call.body::<CodeEnvelope>()?.parse_text()?;
    let (rule, code) = find(call)?;
    Ok(write_code(
        DiscountAction::ChangeCode { rule, code: code.id, text, enabled: None },
        StatusCode::OK,
    ))
}

fn write_code(action: DiscountAction, status: StatusCode) -> HandlerPlan {
    let body = |receipt: &Receipt| {
        to_json(&Envelope(
            "discount_code",
            discount_codes::receipt_code(receipt).map(ShopifyCodeResponse::from),
        ))
    };
    let pointer = |rejection: &Rejection| {
        let is_taken = rejection.code() == "code_taken";
        Some(if is_taken { "/discount_code/code" } else { "id" }.to_owned())
    };
    HandlerPlan::write(Action::Discount(action), status, body, pointer).conflicts_as_unprocessable()
}

/// The rule and the code in the path, or 404.
fn find(call: &Call<'_>) -> Result<(PriceRuleId, CodeView), Problem> {
    let rule = find_rule(call)?.id;
    let unknown = || error::from_rejection(&Rejection::CodeNotFound, Some("code_id".to_owned()));
    let id = call
        .params
        .get("code_id")
        .and_then(parse_number)
        .and_then(NumericId::new)
        .ok_or_else(unknown)?;
    Ok((rule, discount_codes::find(call, rule, CodeId(id.get()))?))
}

/// `GET price_rules/{id}/discount_codes/{code_id}.json`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (_, code) = find(call)?;
    Ok(HandlerPlan::Respond(
        FieldSelection::from_call(call)?
            .render_one("discount_code", &ShopifyCodeResponse::from(&code)),
    ))
}

/// `DELETE price_rules/{id}/discount_codes/{code_id}.json`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (rule, code) = find(call)?;
    let action = DiscountAction::RemoveCode { rule, code: code.id };
    Ok(HandlerPlan::delete(Action::Discount(action), |_| Some("code_id".to_owned())))
}

/// `GET price_rules/{id}/discount_codes.json`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, rule) = (call.shop_id(), find_rule(call)?.id);
    let (fields, limit, next) =
        (FieldSelection::from_call(call)?, call.query.limit()?, linker(call));
    let after =
        page_start(call, parse_since_id(call)?.map(|since| CodeCursor(CodeId(since.get()))))?;

    Ok(HandlerPlan::read(move |store| {
        let page = store
            .codes(shop, rule, after.map(|after| after.0), limit)
            .map_err(error::from_failure)?;
        let last = page
            .items
            .last()
            .filter(|_| page.has_more)
            .map(|code| CodeCursor(code.id));
        let codes: Vec<_> = page.items.iter().map(ShopifyCodeResponse::from).collect();
        Ok(fields
            .render_many("discount_codes", &codes)
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

/// `GET discount_codes/lookup.json?code=`: 303 with the path of the code.
pub(crate) fn lookup(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let code = discount_codes::look_up(call, ThrottleSubject::default())?;
    let version = call.params.get("version").unwrap_or_default();
    let location =
        format!("/admin/api/{version}/price_rules/{}/discount_codes/{}.json", code.rule, code.id);
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    let body = to_json(&Envelope("discount_code", ShopifyCodeResponse::from(&code)));
    Ok(HandlerPlan::Respond(
        EncodedResponse::new(StatusCode::SEE_OTHER, body).with_header(Some((LOCATION, location))),
    ))
}

/// A batch of discount codes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyBatch")]
pub(super) struct ShopifyBatchResponse {
    #[schemars(with = "schema::Number")]
    id: i64,
    #[schemars(with = "schema::Number")]
    price_rule_id: i64,
    #[serde(flatten)]
    counts: BatchCounts,
}

impl From<&CodeBatch> for ShopifyBatchResponse {
    fn from(batch: &CodeBatch) -> Self {
        Self {
            id: batch.id,
            price_rule_id: batch.rule.0,
            counts: batch.into(),
        }
    }
}

/// A code of a batch.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyBatchCode")]
pub(super) struct ShopifyBatchCodeResponse<'a> {
    #[schemars(with = "Option<schema::Number>")]
    id: Option<i64>,
    code: &'a str,
    errors: BatchErrors,
}

/// The reasons why a code was not created.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyBatchErrors")]
pub(super) struct BatchErrors {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    code: Option<[&'static str; 1]>,
}

/// `POST price_rules/{id}/batch.json`. Unlike Shopify's, the batch is complete in the
/// response.
pub(crate) fn batch(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    check_version(call)?;
    let texts = call.body::<BatchBody>()?.parse()?;
    let action = Action::Discount(DiscountAction::AddCodes { rule: find_rule(call)?.id, texts });
    let body = |receipt: &Receipt| {
        to_json(&Envelope(
            "discount_code_creation",
            discount_codes::receipt_batch(receipt).map(ShopifyBatchResponse::from),
        ))
    };
    Ok(HandlerPlan::write(action, StatusCode::CREATED, body, |_| Some("id".to_owned()))
        .conflicts_as_unprocessable())
}

/// `GET price_rules/{id}/batch/{batch_id}.json`
pub(crate) fn show_batch(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let batch = discount_codes::find_batch(call, find_rule(call)?.id)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&Envelope(
        "discount_code_creation",
        ShopifyBatchResponse::from(&batch),
    ))))
}

/// `GET price_rules/{id}/batch/{batch_id}/discount_codes.json`
pub(crate) fn batch_codes(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let batch = discount_codes::find_batch(call, find_rule(call)?.id)?;
    let codes = batch.entries.iter().map(|entry| {
        let (id, error) = describe_outcome(entry.outcome);
        ShopifyBatchCodeResponse {
            id,
            code: &entry.text,
            errors: BatchErrors { code: error.map(|error| [error]) },
        }
    });
    let codes: Vec<_> = codes.collect();
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&Envelope("discount_codes", codes))))
}
