//! The amounts and units that an order was paid for, beyond its latest snapshot.

use std::collections::BTreeMap;

use super::{Line, Order, Quantity};
use crate::amount::Amount;
use crate::id::LineId;

/// The highest total, and the most of each line, that an order was reported with as paid,
/// as far as its latest snapshot has less. Empty for an order that was not edited down.
///
/// Each number is a maximum over all reports as paid, so that it does not depend on the
/// order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct HighestPaid {
    /// The highest total.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Amount::is_zero"))]
    pub total: Amount,
    /// Lines that the latest snapshot lacks, or has less of.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub lines: BTreeMap<LineId, PaidLine>,
    /// The latest snapshot has more than was ever reported as paid. Then all that was is
    /// here.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub is_exceeded: bool,
}

/// The most of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct PaidLine {
    /// The most units.
    pub quantity: Quantity,
    /// The highest amount.
    pub amount: Amount,
}

impl PaidLine {
    /// The greater of each number.
    #[must_use]
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            quantity: self.quantity.max(other.quantity),
            amount: self.amount.max(other.amount),
        }
    }
}

impl HighestPaid {
    /// Returns true if the latest snapshot is all that was reported as paid.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same after a report. `known` is the latest snapshot before it, `latest` the one
    /// after it. A report that is not of a paid order raises nothing.
    pub(crate) fn after_report(
        &self,
        known: Option<&Order>,
        (report, is_paid): (&Order, bool),
        latest: &Order,
    ) -> Self {
        let mut all = self.clone();
        if let Some(known) = known.filter(|_| !self.is_exceeded) {
            all.raise(known);
        }
        if is_paid {
            all.raise(report);
        }

        let most = |id: &LineId| all.lines.get(id).copied().unwrap_or_default();
        let is_within = |line: &Line| most(&line.id).max(line.as_paid()) == most(&line.id);
        all.is_exceeded = latest.total > all.total || !latest.lines.iter().all(is_within);
        if !all.is_exceeded {
            for line in &latest.lines {
                if all.lines.get(&line.id) == Some(&line.as_paid()) {
                    all.lines.remove(&line.id);
                }
            }
            if all.total == latest.total {
                all.total = Amount::ZERO;
            }
        }
        all
    }

    /// Takes the greater of each number.
    fn raise(&mut self, order: &Order) {
        self.total = self.total.max(order.total);
        for line in &order.lines {
            let known = self.lines.entry(line.id.clone()).or_default();
            *known = known.max(line.as_paid());
        }
    }
}
