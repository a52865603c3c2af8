//! The schema of a problem, whose members are written by [`problem`](crate::problem).
#![allow(dead_code, reason = "the type is read by its derived schema alone")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::problem::Fault;
use crate::problem::code::ProblemCode;
use crate::wire::cart::PublicCodeRejectionCode;
use crate::wire::schema::{Amount, Decimal, Points};

/// The reason why a request failed (RFC 9457). Nothing has changed.
#[derive(JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemSchema {
    #[schemars(extend("const" = "about:blank"))]
    r#type: String,
    title: String,
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    code: ProblemCode,
    /// A sentence for people.
    detail: String,
    /// The place: a JSON pointer into the body, or the name of a parameter or header.
    #[schemars(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
    #[schemars(regex(pattern = "^[0-9a-f]{20}$"))]
    request_id: String,
    /// The points that are available.
    #[schemars(skip_serializing_if = "Option::is_none")]
    have: Option<Points>,
    /// The points that are needed.
    #[schemars(skip_serializing_if = "Option::is_none")]
    need: Option<Points>,
    /// The version of the program that is in force.
    #[schemars(skip_serializing_if = "Option::is_none")]
    current: Option<i64>,
    /// The most bytes of a body.
    #[schemars(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    /// The reason why a referral is not allowed.
    #[schemars(skip_serializing_if = "Option::is_none")]
    reason: Option<ReferralRejection>,
    /// The amount that is left.
    #[schemars(skip_serializing_if = "Option::is_none")]
    left: Option<Amount>,
    /// The order's total.
    #[schemars(skip_serializing_if = "Option::is_none")]
    total: Option<Amount>,
    /// The units that are left.
    #[schemars(skip_serializing_if = "Option::is_none")]
    quantity: Option<Decimal>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    public_reason: Option<PublicCodeRejectionCode>,
    /// A text that a shopper may see, where a discount code is rejected.
    #[schemars(skip_serializing_if = "Option::is_none")]
    public_text: Option<String>,
    /// All faults at once.
    #[schemars(skip_serializing_if = "Vec::is_empty", length(min = 1))]
    faults: Vec<Fault>,
    /// The same by field, for Shopify's clients. `base` has what belongs to no field.
    #[schemars(extend("minProperties" = 1))]
    errors: BTreeMap<String, Messages>,
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Messages(#[schemars(length(min = 1))] Vec<String>);

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
enum ReferralRejection {
    ExistingCustomer,
    Oneself,
    SameAddress,
    SameHousehold,
}
