//! The erasure of a customer on the wire. A response names nobody.

use loyalty_core::{CustomerId, Email, Points};
use loyalty_store::{CustomerRef, Erasure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::points::parse_single_customer_ref;
use super::schema;
use super::value::{IdText, ParsedField, TimeText};
use crate::problem::Problem;

/// A customer to be erased: one with an id, or a guest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ErasureRequest", extend("allOf" = schema::one_customer()))]
pub(crate) struct EraseBody {
    customer_id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
}

impl EraseBody {
    /// Returns the customer.
    pub(crate) fn parse(self) -> Result<CustomerRef, Problem> {
        parse_single_customer_ref(self.customer_id, self.email)
    }
}

/// The receipt of an erasure. It names nobody.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Erasure")]
pub(crate) struct ErasureResponse {
    /// A number for the books.
    erasure_id: IdText,
    /// Nobody finds the customer from then on.
    erased_at: TimeText,
    /// Nothing about the customer is left in the files of the server; null until then. Ask
    /// again to see it.
    completed_at: Option<TimeText>,
    /// Points that were removed; negative for debt.
    #[schemars(with = "schema::Points")]
    points_removed: Points,
    /// Unused redemptions that were cancelled without return.
    redemptions_cancelled: u32,
}

impl ErasureResponse {
    pub(crate) fn new(erasure: &Erasure) -> Self {
        Self {
            erasure_id: IdText(erasure.account().0),
            erased_at: TimeText(erasure.erased_at()),
            completed_at: erasure.completed_at().map(TimeText),
            points_removed: erasure.points(),
            redemptions_cancelled: erasure.redemptions(),
        }
    }
}
