//! The stable codes of problems, each with its meaning.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

/// A stable code of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProblemCode {
    pub(crate) name: &'static str,
    /// A sentence for the document.
    pub(crate) meaning: &'static str,
}

macro_rules! codes {
    ($($constant:ident $name:literal: $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $constant: ProblemCode =
                ProblemCode { name: $name, meaning: $meaning };
        )*

        /// All codes, by name.
        pub(crate) const ALL: &[ProblemCode] = &[$($constant),*];
    };
}

codes! {
    ACTION_NOT_OPEN "action_not_open": "The action is not open to this customer's tags or tier, or at this time.";
    ALREADY_USED_BY_CUSTOMER "already_used_by_customer": "The code is for one use per customer, and this customer has used or reserved it.";
    BODY_TOO_LARGE "body_too_large": "The body has more bytes than the limit (`limit`).";
    BODY_TOO_SLOW "body_too_slow": "The body did not arrive in time.";
    BROKEN_BODY "broken_body": "The transfer of the body broke off.";
    CART_TOO_LARGE "cart_too_large": "The sum of the cart's lines is too large.";
    CATEGORY_NOT_FOUND "category_not_found": "The category does not exist.";
    CODE_DIFFERS "code_differs": "The code exists already with another text or rule.";
    CODE_NOT_FOUND "code_not_found": "The discount code does not exist.";
    CODE_TAKEN "code_taken": "The shop has a code with this text already. Case does not matter.";
    CLAIM_NOT_FOUND "claim_not_found": "The customer has no such claim, or it was undone.";
    CLAIM_SPENT "claim_spent": "Points of the claim have since been spent, taken back or used to pay off debt.";
    CURRENCY_MISMATCH "currency_mismatch": "The amounts are not in the shop's currency, nor a refund's in its order's.";
    CURRENCY_REQUIRED "currency_required": "The order came in another currency than the shop's; the refund must name its currency.";
    CUSTOMER_ERASED "customer_erased": "The customer was erased.";
    CUSTOMER_EXISTS "customer_exists": "A customer with this id or e-mail address exists already.";
    CUSTOMER_NOT_ELIGIBLE "customer_not_eligible": "The code is for other customers.";
    CUSTOMER_NOT_FOUND "customer_not_found": "The customer does not exist.";
    CUSTOMER_REQUIRED "customer_required": "The code needs a customer or an e-mail address.";
    DELIVERY_NOT_FOUND "delivery_not_found": "The shop has no such event.";
    DISABLED "disabled": "The code is disabled or deleted, or its price rule is deleted.";
    DUPLICATE_FIELD "duplicate_field": "A member occurs twice.";
    DUPLICATE_ID "duplicate_id": "An id occurs twice.";
    DUPLICATE_LINE "duplicate_line": "Two lines have the same id.";
    DUPLICATE_PARAMETER "duplicate_parameter": "A query parameter occurs twice.";
    EMAIL_TAKEN "email_taken": "The e-mail address belongs to another customer.";
    EXPIRED "expired": "The code has expired.";
    FINER_THAN_CURRENCY "finer_than_currency": "An amount has more decimals than the shop's currency.";
    IDEMPOTENCY_KEY_REUSED "idempotency_key_reused": "The Idempotency-Key was used for another request.";
    INDIVIDUAL_USE "individual_use": "The code cannot be combined with other codes.";
    INSUFFICIENT_POINTS "insufficient_points": "The request needs more points (`need`) than are available (`have`).";
    INTERNAL "internal": "The server failed.";
    INVALID_AMOUNT "invalid_amount": "The reward does not offer this amount.";
    INVALID_BODY "invalid_body": "The body of the webhook does not fit its event.";
    INVALID_CURSOR "invalid_cursor": "The cursor does not belong to this list.";
    INVALID_HOST "invalid_host": "An HTTP/1.1 request needs exactly one valid host.";
    INVALID_IDEMPOTENCY_KEY "invalid_idempotency_key": "An Idempotency-Key is 1 to 255 visible ASCII characters.";
    INVALID_POINTS "invalid_points": "The number of points is not possible here.";
    INVALID_PRICE_RULE "invalid_price_rule": "The price rule has faults (`faults`).";
    INVALID_PROGRAM "invalid_program": "The program has faults (`faults`).";
    INVALID_RECORDS "invalid_records": "Some of the records have faults (`faults`).";
    INVALID_RESERVATION_PERIOD "invalid_reservation_period": "A reservation ends in the future, and within a day.";
    INVALID_SEARCH "invalid_search": "The search query is invalid.";
    INVALID_VALUE "invalid_value": "The value has the right type and is not allowed.";
    KEY_NOT_FOUND "key_not_found": "The key does not exist, or it has ended.";
    LAST_ADMIN_KEY "last_admin_key": "Without the key the shop could make no other one.";
    LIMIT_REACHED "limit_reached": "The customer has reached the limit of the action.";
    MAXIMUM_SHARE_EXCEEDED "maximum_share_exceeded": "The reward would pay more of the order than its share.";
    MALFORMED_HEADER "malformed_header": "A header is not ASCII.";
    MALFORMED_JSON "malformed_json": "The body is not valid JSON.";
    MALFORMED_PATH "malformed_path": "The path is not percent-encoded UTF-8.";
    MALFORMED_QUERY "malformed_query": "The query is not percent-encoded UTF-8.";
    METHOD_NOT_ALLOWED "method_not_allowed": "The path does not support the method; `Allow` lists the methods.";
    MISSING_FIELD "missing_field": "A member is missing.";
    MISSING_PARAMETER "missing_parameter": "A query parameter is missing.";
    MISSING_SCOPE "missing_scope": "The key lacks the scope that the request needs.";
    NO_POINTS_OVERRIDE "no_points_override": "The action does not allow another number of points.";
    NOT_COMBINED "not_combined": "The program does not let the codes be combined.";
    NOT_FOUND "not_found": "The path does not exist.";
    NOT_YET_VALID "not_yet_valid": "The code is not valid yet.";
    ORDER_NOT_FOUND "order_not_found": "The order does not exist.";
    ORDER_OF_ANOTHER_CUSTOMER "order_of_another_customer": "The order belongs to another customer.";
    ORDER_TOO_LARGE "order_too_large": "The order has too many lines, or its sum is too large.";
    OTHER_CURRENCY "other_currency": "A code's amounts are not in the shop's currency.";
    OUT_OF_RANGE "out_of_range": "A number or a length is out of its bounds.";
    OUTCOME_UNKNOWN "outcome_unknown": "The request may have succeeded. Repeated with the same Idempotency-Key, it takes effect at most once.";
    POINTS_OUT_OF_RANGE "points_out_of_range": "The balance would leave the range of points.";
    PRECONDITION_FAILED "precondition_failed": "The state has changed since the one that `If-Match` names.";
    PRICE_RULE_NOT_FOUND "price_rule_not_found": "The price rule does not exist.";
    PRODUCT_NOT_FOUND "product_not_found": "The product does not exist.";
    PROGRAM_CHANGED "program_changed": "Another version of the program was published in the meantime (`current`).";
    REDEEMED_BEYOND_TOTAL "redeemed_beyond_total": "The redeemed amount exceeds the order's total.";
    REDEMPTION_NOT_FOUND "redemption_not_found": "The redemption does not exist.";
    REDEMPTION_NOT_OPEN "redemption_not_open": "The redemption was used or cancelled, or has expired.";
    REFERRAL_CODE_NOT_FOUND "referral_code_not_found": "The referral code does not exist.";
    REFERRAL_REFUSED "referral_refused": "The referral is not allowed (`reason`).";
    REFERRALS_OFF "referrals_off": "The program has no referrals.";
    REFUND_DIFFERS "refund_differs": "The refund exists already with another content.";
    REFUND_EXCEEDS_LINE "refund_exceeds_line": "The refund has more units than the line.";
    REFUND_EXCEEDS_ORDER "refund_exceeds_order": "The refund exceeds what is left of the order (`left`, `total`).";
    REFUND_PARTS_EXCEED_AMOUNT "refund_parts_exceed_amount": "The refund's shipping and tax are more than its amount.";
    REWARD_LIMIT_REACHED "reward_limit_reached": "The customer has reached the limit of the reward.";
    REWARD_NOT_FOR_CUSTOMER "reward_not_for_customer": "The reward is for customers of other tags or tiers.";
    REWARD_NOT_OPEN "reward_not_open": "The reward is not available at this time.";
    REWARD_SOLD_OUT "reward_sold_out": "The limit of the reward for all customers is reached.";
    REWARD_TOO_FINE "reward_too_fine": "The amounts of the reward have more decimals than the shop's currency.";
    SAME_RULE "same_rule": "Another code of the same price rule is applied.";
    SAME_CUSTOMER "same_customer": "A customer cannot be merged into themselves.";
    SAVED_SEARCH_NAME_TAKEN "saved_search_name_taken": "Another saved search has this name.";
    SAVED_SEARCH_NOT_FOUND "saved_search_not_found": "The saved search does not exist.";
    STALE_REQUEST "stale_request": "The signature is too old, or from the future.";
    STORE_CONNECTED "store_connected": "A store with this id is connected already.";
    STORE_NOT_FOUND "store_not_found": "The shop has no such connected store.";
    TOO_DEEP "too_deep": "The body is nested too deep.";
    TOO_MANY_AUTOMATIC_RULES "too_many_automatic_rules": "More automatic price rules than a shop can have.";
    TOO_MANY_CODES "too_many_codes": "More codes than one cart, checkout or batch can have.";
    TOO_MANY_KEYS "too_many_keys": "More keys than a shop can have.";
    TOO_MANY_LINES "too_many_lines": "More lines than a cart can have.";
    TOO_MANY_READS "too_many_reads": "Too many long reads at once; `Retry-After` says when to try again.";
    TOO_MANY_REFUND_LINES "too_many_refund_lines": "More lines than the refunds of an order can have together.";
    TOO_MANY_REQUESTS "too_many_requests": "Too many look-ups without a result; `Retry-After` says when to try again.";
    TOO_MANY_SHIPPING_LINES "too_many_shipping_lines": "More shipping lines than a cart can have.";
    TOO_MANY_VERSIONS "too_many_versions": "Too many versions of the program in one day; `Retry-After` says when to try again.";
    TOO_MANY_WEBHOOK_ENDPOINTS "too_many_webhook_endpoints": "More webhook endpoints than a shop can have.";
    TOTALS_DISAGREE "totals_disagree": "The order's total is less than the sum of its lines.";
    TRUNCATED_JSON "truncated_json": "The body ends too early.";
    UNAUTHORIZED "unauthorized": "The key is missing or unknown, or the signature does not fit its secret.";
    UNAVAILABLE "unavailable": "The server is unavailable; `Retry-After` says when to try again.";
    UNKNOWN_ACTION "unknown_action": "The program has no such action.";
    UNKNOWN_CODE "unknown_code": "The code cannot be used.";
    UNKNOWN_FIELD "unknown_field": "A member is unknown.";
    UNKNOWN_LINE "unknown_line": "The order has no such line.";
    UNKNOWN_PARAMETER "unknown_parameter": "A query parameter is unknown.";
    UNKNOWN_PRICE_RULE "unknown_price_rule": "The code's price rule was deleted.";
    UNKNOWN_REWARD "unknown_reward": "The program has no such reward.";
    UNKNOWN_TIER "unknown_tier": "The program has no such tier.";
    UNKNOWN_TRANSFER_CODING "unknown_transfer_coding": "The body has a Transfer-Encoding other than one chunked.";
    UNSUPPORTED_MEDIA_TYPE "unsupported_media_type": "The media type or encoding of the body is not supported.";
    USED_UP "used_up": "The uses and reservations of the code have reached its limit.";
    VERSION_NOT_FOUND "version_not_found": "The program has no such version.";
    WEBHOOK_ENDPOINT_NOT_FOUND "webhook_endpoint_not_found": "The webhook endpoint does not exist.";
    WRONG_TYPE "wrong_type": "The value has another JSON type than the member.";
}

impl JsonSchema for ProblemCode {
    fn schema_name() -> Cow<'static, str> {
        "ProblemCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes = ALL
            .iter()
            .map(|code| json!({ "const": code.name, "description": code.meaning }));
        json_schema!({ "type": "string", "oneOf": codes.collect::<Vec<_>>() })
    }
}

/// The codes of [`Fault`](super::Fault)s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultCode;

impl JsonSchema for FaultCode {
    fn schema_name() -> Cow<'static, str> {
        "FaultCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": [
                "contradiction", "customer_id_required", "duplicate_field", "duplicate_id",
                "email_required", "invalid_value", "malformed_json", "missing_field",
                "not_supported", "out_of_range", "too_fine", "too_many", "unknown_field", "unknown_reward", "unknown_tier", "wrong_type"
            ]
        })
    }
}
