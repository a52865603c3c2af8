//! The parameters and headers of the document, and the problems that operations share.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::problem::code;
use crate::route::{ProblemCodes, SchemaOf};
use crate::wire::json::field::FromText;
use crate::wire::ledger::EntryKind;
use crate::wire::order_list::SortText;
use crate::wire::schema;
use crate::wire::time_series::{ByAction, Interval};

/// A parameter of the path, the query or the head of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: SchemaOf,
    /// JSON.
    pub(super) example: Option<&'static str>,
    /// The codes for values that are not allowed.
    pub(super) problems: ProblemCodes,
}

/// Finds a parameter.
pub(super) fn find(place: &str, name: &str) -> Option<&'static Parameter> {
    PARAMETERS
        .iter()
        .find(|parameter| parameter.place == place && parameter.name == name)
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Problems of every request.
pub(super) const ANY: ProblemCodes =
    &[(400, &[code::INVALID_HOST, code::UNKNOWN_TRANSFER_CODING]), (500, &[code::INTERNAL])];

/// Problems of an id in the path.
const ID: ProblemCodes =
    &[(400, &[code::MALFORMED_PATH]), (422, &[code::INVALID_VALUE, code::OUT_OF_RANGE])];

/// Problems of a value in the query.
const VALUE: ProblemCodes = &[(422, &[code::INVALID_VALUE, code::OUT_OF_RANGE])];

/// Problems of a request with a key.
pub(super) const KEYED: ProblemCodes = &[
    (
        400,
        &[code::DUPLICATE_PARAMETER, code::MALFORMED_QUERY, code::UNKNOWN_PARAMETER],
    ),
    (401, &[code::UNAUTHORIZED]),
    (403, &[code::MISSING_SCOPE]),
    (503, &[code::OUTCOME_UNKNOWN, code::TOO_MANY_READS, code::UNAVAILABLE]),
];

/// Problems of the transfer of a body.
pub(super) const SENT: ProblemCodes = &[
    (400, &[code::BROKEN_BODY]),
    (408, &[code::BODY_TOO_SLOW]),
    (413, &[code::BODY_TOO_LARGE]),
    (415, &[code::UNSUPPORTED_MEDIA_TYPE]),
];

/// Problems of a body that is not JSON.
pub(super) const JSON: ProblemCodes = &[
    (400, &[code::MALFORMED_JSON, code::TOO_DEEP, code::TRUNCATED_JSON]),
    (422, &[code::OUT_OF_RANGE]),
];

/// Problems of the members of a body.
pub(super) const MEMBERS: ProblemCodes = &[
    (
        400,
        &[code::DUPLICATE_FIELD, code::MISSING_FIELD, code::UNKNOWN_FIELD, code::WRONG_TYPE],
    ),
    (422, &[code::INVALID_VALUE, code::OUT_OF_RANGE]),
];

/// Problems of a transaction.
pub(super) const WRITTEN: ProblemCodes =
    &[(410, &[code::CUSTOMER_ERASED]), (422, &[code::IDEMPOTENCY_KEY_REUSED])];

/// Problems of a signed body.
pub(super) const SIGNED: ProblemCodes = &[
    (
        400,
        &[
            code::DUPLICATE_FIELD,
            code::INVALID_BODY,
            code::MALFORMED_JSON,
            code::MISSING_FIELD,
            code::TOO_DEEP,
            code::TRUNCATED_JSON,
            code::UNKNOWN_FIELD,
        ],
    ),
    (401, &[code::UNAUTHORIZED]),
    (403, &[code::MISSING_SCOPE]),
    (404, &[code::NOT_FOUND]),
    (503, &[code::OUTCOME_UNKNOWN, code::UNAVAILABLE]),
];

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        place: "path",
        name: "batch_id",
        description: "The batch.",
        schema: of::<schema::Numeral>,
        example: Some(r#""12""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "category_id",
        description: "The shop's id of the category.",
        schema: of::<schema::Id>,
        example: Some(r#""drinks""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "checkout_id",
        description: "The shop's id of the checkout.",
        schema: of::<schema::Id>,
        example: Some(r#""cart-7""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "code_id",
        description: "The discount code.",
        schema: of::<schema::Numeral>,
        example: Some(r#""11""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "customer_id",
        description: "The shop's id of the customer.",
        schema: of::<schema::Id>,
        example: Some(r#""42""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "id",
        description: "The number of the resource.",
        schema: of::<schema::Number>,
        example: Some("42"),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "delivery_id",
        description: "The id of the delivery: the place of its event in the journal.",
        schema: of::<String>,
        example: Some(r#""17-0""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "endpoint_id",
        description: "The id of the webhook endpoint.",
        schema: of::<String>,
        example: Some(r#""1""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "key_id",
        description: "The public id of the key.",
        schema: of::<String>,
        example: Some(r#""4f7qx0aazzk8m1n2""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "order_id",
        description: "The shop's id of the order.",
        schema: of::<schema::Id>,
        example: Some(r#""1001""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "platform",
        description: "The platform of the plugin.",
        schema: |_| json_schema!({"enum": ["common", "magento", "woocommerce"]}),
        example: Some(r#""woocommerce""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "price_rule_id",
        description: "The price rule.",
        schema: of::<schema::Numeral>,
        example: Some(r#""10""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "product_id",
        description: "The shop's id of the product.",
        schema: of::<schema::Id>,
        example: Some(r#""tea""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "claim_id",
        description: "The claim.",
        schema: of::<schema::Numeral>,
        example: Some(r#""3""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "redemption_id",
        description: "The redemption.",
        schema: of::<schema::Numeral>,
        example: Some(r#""14""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "saved_search_id",
        description: "The saved search.",
        schema: of::<schema::Numeral>,
        example: Some(r#""1""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "shop_id",
        description: "The number of the shop.",
        schema: of::<schema::Numeral>,
        example: Some(r#""1""#),
        problems: &[],
    },
    Parameter {
        place: "path",
        name: "store_id",
        description: "The connected store; `plugin` is the one that runs a plugin.",
        schema: of::<String>,
        example: Some(r#""plugin""#),
        problems: ID,
    },
    Parameter {
        place: "path",
        name: "version",
        description: "A version of Shopify's interface; all versions get the same response.",
        schema: |_| json_schema!({"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}|unstable)$"}),
        example: Some(r#""2025-01""#),
        problems: &[(404, &[code::NOT_FOUND])],
    },
    Parameter {
        place: "query",
        name: "address",
        description: "The shopper's network address. Too many unknown codes slow down this address alone.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "allow_last",
        description: "Revokes also the last key that can make others.",
        schema: of::<bool>,
        example: None,
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "at",
        description: "The instant: the state then by the journal, or the future state if nothing happens.",
        schema: of::<schema::Time>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "by",
        description: "Adds the points of each of the twenty actions that paid most.",
        schema: <ByAction as FromText>::schema,
        example: None,
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "code",
        description: "The discount code as the shopper typed it.",
        schema: of::<schema::CodeText>,
        example: Some(r#""WELCOME""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "collection_id",
        description: "Lists the products of this category.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "created_at_max",
        description: "Lists those that were created at this time, or day, at the latest.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "created_at_min",
        description: "Lists those that were created from this time on, or this day.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "cursor",
        description: "The start of the page, from the `Link` of the page before.",
        schema: of::<String>,
        example: None,
        problems: &[(422, &[code::INVALID_CURSOR])],
    },
    Parameter {
        place: "query",
        name: "customer_id",
        description: "The customer. Too many unknown codes slow down this customer alone.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "customer_ids",
        description: "1 to 1,000 ids, separated by commas. A comma within an id is `%2C`.",
        schema: |_| json_schema!({"type": "string", "minLength": 1}),
        example: Some(r#""42""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "dry_run",
        description: "Returns the outcome without a change.",
        schema: of::<bool>,
        example: None,
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "email",
        description: "The e-mail address of the customer.",
        schema: of::<schema::Email>,
        example: Some(r#""ada@example.com""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "ends_at_max",
        description: "Lists those that end at this time, or day, at the latest.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "ends_at_min",
        description: "Lists those that end from this time on, or this day.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "fields",
        description: "The members of the response, separated by commas; all by default.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "format",
        description: "The format of the report.",
        schema: |_| json_schema!({"enum": ["json", "csv"]}),
        example: None,
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "from",
        description: "The start of the period: by default the beginning for a report, thirty days ago for a time series, and now for reminders.",
        schema: of::<schema::Time>,
        example: None,
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "ids",
        description: "At most 250 numbers, separated by commas.",
        schema: |_| json_schema!({"type": "string", "pattern": "^ *[0-9]+ *( *, *[0-9]+ *)*$"}),
        example: Some(r#""42""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "interval",
        description: "The length of an interval.",
        schema: <Interval as FromText>::schema,
        example: Some(r#""week""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "kind",
        description: "Lists entries of this kind only.",
        schema: <EntryKind as FromText>::schema,
        example: Some(r#""points_awarded""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "limit",
        description: "The number of items of a page.",
        schema: |_| json_schema!({"type": "integer", "minimum": 1, "maximum": 250, "default": 50}),
        example: None,
        problems: &[(422, &[code::OUT_OF_RANGE])],
    },
    Parameter {
        place: "query",
        name: "order",
        description: "`id`, `created_at` or `updated_at`, with `asc` or `desc` behind it; another one is ignored.",
        schema: of::<String>,
        example: Some(r#""updated_at""#),
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "page_info",
        description: "The start of the page, from the `Link` of the page before.",
        schema: of::<String>,
        example: None,
        problems: &[(422, &[code::INVALID_CURSOR])],
    },
    Parameter {
        place: "query",
        name: "point_value",
        description: "The value of a point in the shop's currency.",
        schema: of::<schema::Amount>,
        example: Some(r#""0.01""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "product_type",
        description: "Lists the products of this type.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "profile",
        description: "The form of the document: `plain` is the same contract for generators of clients.",
        schema: |_| json_schema!({"enum": ["exact", "plain"]}),
        example: None,
        problems: &[
            (
                400,
                &[code::DUPLICATE_PARAMETER, code::MALFORMED_QUERY, code::UNKNOWN_PARAMETER],
            ),
            (422, &[code::INVALID_VALUE]),
        ],
    },
    Parameter {
        place: "query",
        name: "query",
        description: "A search in Shopify's terms, such as `tag:vip points:>100`.",
        schema: of::<String>,
        example: Some(r#""ada""#),
        problems: &[(422, &[code::INVALID_SEARCH])],
    },
    Parameter {
        place: "query",
        name: "recorded_from",
        description: "Lists entries that were written down from this time on.",
        schema: of::<schema::Time>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "recorded_until",
        description: "Lists entries that were written down before this time.",
        schema: of::<schema::Time>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "since_id",
        description: "Lists what follows this number.",
        schema: |_| json_schema!({"type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_i64}),
        example: Some("42"),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "sort",
        description: "By the last change: the newest first, or the oldest.",
        schema: <SortText as FromText>::schema,
        example: Some(r#""oldest""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "starts_at_max",
        description: "Lists those that start at this time, or day, at the latest.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "starts_at_min",
        description: "Lists those that start from this time on, or this day.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "status",
        description: "Lists those of this status, and products of several ones, separated by commas.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "title",
        description: "Lists the products with this title.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "until",
        description: "The end of the period: by default now for a report, and thirty days from now for reminders.",
        schema: of::<schema::Time>,
        example: None,
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "updated_at_max",
        description: "Lists those that were changed last at this time, or day, at the latest.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "updated_at_min",
        description: "Lists those that were changed last from this time on, or this day.",
        schema: of::<schema::ListTime>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "query",
        name: "updated_since",
        description: "Lists those whose last change was recorded from this time on.",
        schema: of::<schema::Time>,
        example: Some(r#""2026-03-01T00:00:00Z""#),
        problems: VALUE,
    },
    Parameter {
        place: "query",
        name: "vendor",
        description: "Lists the products of this vendor.",
        schema: of::<String>,
        example: None,
        problems: &[],
    },
    Parameter {
        place: "query",
        name: "version",
        description: "A published version.",
        schema: of::<schema::Numeral>,
        example: Some(r#""1""#),
        problems: &[(422, &[code::INVALID_VALUE])],
    },
    Parameter {
        place: "header",
        name: "Idempotency-Key",
        description: "Executes the request once: the same key and request get the first response again for 30 days, byte for byte.",
        schema: |_| json_schema!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
        example: None,
        problems: &[(400, &[code::INVALID_IDEMPOTENCY_KEY])],
    },
    Parameter {
        place: "header",
        name: "If-Match",
        description: "The `ETag` of the expected state; any state where it is `*` or absent.",
        schema: of::<String>,
        example: None,
        problems: &[(400, &[code::MALFORMED_HEADER])],
    },
];

/// The headers of responses: name, description and schema.
pub(super) const HEADERS: &[(&str, &str, SchemaOf)] = &[
    (
        "ETag",
        "The state of the response, for `If-Match`.",
        |_| json_schema!({"type": "string"}),
    ),
    (
        "Idempotency-Replayed",
        "Present where the response was given before to the same Idempotency-Key.",
        |_| json_schema!({"const": "true"}),
    ),
    (
        "Link",
        "`<address>; rel=\"next\"`, where there are further pages (RFC 8288).",
        |_| json_schema!({"type": "string", "pattern": "^<[^<> ,]+>; rel=\"next\"$"}),
    ),
    (
        "Location",
        "The address of the resource.",
        |_| json_schema!({"type": "string", "pattern": "^/"}),
    ),
    (
        "Retry-After",
        "The number of seconds after which to try again.",
        |_| json_schema!({"type": "integer", "minimum": 0}),
    ),
    (
        "WWW-Authenticate",
        "The scheme of authentication.",
        |_| json_schema!({"const": "Bearer"}),
    ),
];
