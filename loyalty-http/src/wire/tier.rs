//! A customer's tier on the wire, with the requirements for the next one and for keeping it.

use loyalty_core::program::TierMetric;
use loyalty_core::{CustomerId, TierChange, TierId, TierStatus, Timestamp};
use loyalty_store::CustomerView;
use schemars::JsonSchema;
use serde::Serialize;

use super::schema;
use super::value::TimeText;

/// A customer's tier at an instant.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TierStatus")]
pub(crate) struct TierResponse<'a> {
    #[schemars(with = "schema::Id")]
    customer_id: &'a CustomerId,
    /// The tier; null for none.
    #[schemars(with = "Option<schema::Id>")]
    tier: Option<TierId>,
    /// The start of the tier; null for a tier set by hand.
    since: Option<TimeText>,
    /// The end of the tier if nothing happens; null where no end is known.
    until: Option<TimeText>,
    /// True where the shop set the tier.
    by_hand: bool,
    /// The metric of the program's tiers.
    #[schemars(extend("enum" = ["spend", "points_earned", "orders"]))]
    metric: &'static str,
    /// The customer's present value of the metric.
    counts: MetricValue,
    /// The next tier; null at the highest.
    next: Option<NextTierResponse>,
    /// The value that is missing to keep the tier that was earned.
    missing_to_keep: MetricValue,
    /// The last change by the customer's activity; null where there was none.
    last_change: Option<TierChangeResponse>,
    /// The instant that was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<TimeText>,
}

/// The next tier.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NextTier")]
struct NextTierResponse {
    #[schemars(with = "schema::Id")]
    tier: TierId,
    missing: MetricValue,
}

/// A change of the tier.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TierChange")]
struct TierChangeResponse {
    #[schemars(with = "Option<schema::Id>")]
    from: Option<TierId>,
    #[schemars(with = "Option<schema::Id>")]
    to: Option<TierId>,
    at: TimeText,
    #[schemars(extend("enum" = ["qualified", "refunded", "lapsed", "removed"]))]
    reason: &'static str,
    /// The change as a sentence.
    text: String,
}

/// A value of the program's metric: money as a string, otherwise a number.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum MetricValue {
    Money(#[schemars(with = "schema::Decimal")] String),
    Count(i64),
}

impl MetricValue {
    fn new(metric: TierMetric, value: i64) -> Self {
        match metric {
            TierMetric::Spend => Self::Money(format_money(value)),
            TierMetric::Orders | TierMetric::PointsEarned => Self::Count(value),
        }
    }
}

/// Formats ten-thousandths of the currency unit, with two decimals at least.
fn format_money(ten_thousandths: i64) -> String {
    let value = rust_decimal::Decimal::new(ten_thousandths, 4).normalize();
    if value.scale() < 2 { format!("{value:.2}") } else { value.to_string() }
}

impl<'a> TierResponse<'a> {
    /// The tier at `now`; `requested` is the instant of the request.
    pub(crate) fn new(
        customer_id: &'a CustomerId,
        customer: &CustomerView,
        now: Timestamp,
        requested: Option<Timestamp>,
    ) -> Self {
        let TierStatus {
            tier,
            since,
            until,
            manual,
            counts,
            next,
            missing_to_keep,
            last_change,
        } = customer.tier_status(now);
        let metric = customer.program().definition().tiering.metric;
        Self {
            customer_id,
            tier,
            since: since.map(TimeText),
            until: until.map(TimeText),
            by_hand: manual.is_some(),
            metric: match metric {
                TierMetric::Spend => "spend",
                TierMetric::PointsEarned => "points_earned",
                TierMetric::Orders => "orders",
            },
            counts: MetricValue::new(metric, metric.value_of(counts)),
            next: next.map(|(tier, missing)| NextTierResponse {
                tier,
                missing: MetricValue::new(metric, missing),
            }),
            missing_to_keep: MetricValue::new(metric, missing_to_keep),
            last_change: last_change.map(TierChangeResponse::new),
            at: requested.map(TimeText),
        }
    }
}

impl TierChangeResponse {
    fn new(change: TierChange) -> Self {
        use loyalty_core::TierReason::{Lapsed, Qualified, Refunded, Removed};
        let reason = match change.reason {
            Qualified => "qualified",
            Refunded => "refunded",
            Lapsed => "lapsed",
            Removed => "removed",
        };
        let text = change.to_string();
        Self {
            from: change.from,
            to: change.to,
            at: TimeText(change.at),
            reason,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_decimals_that_it_needs() {
        for (given, want) in [
            (0, "0.00"),
            (1_795_000, "179.50"),
            (10_000, "1.00"),
            (1, "0.0001"),
            (12_345, "1.2345"),
        ] {
            assert_eq!(format_money(given), want);
        }
    }
}
