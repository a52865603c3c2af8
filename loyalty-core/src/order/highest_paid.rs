//! What an order was reported with as paid, beyond its latest snapshot.

use std::collections::BTreeMap;

use super::{Order, Quantity};
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
    /// Returns true if nothing exceeds the latest snapshot.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a report as paid had more of than the latest snapshot, and than is known
    /// already. `latest` is `None` if the latest snapshot was not reported as paid.
    pub(crate) fn excess_of(&self, report: &Order, latest: Option<&Order>) -> Self {
        let total = latest.map_or(Amount::ZERO, |latest| latest.total).max(self.total);
        let excess = report.lines.iter().filter_map(|line| {
            let known = latest.and_then(|latest| latest.line(&line.id));
            let known = known.map(super::Line::as_paid).unwrap_or_default();
            let known = known.max(self.lines.get(&line.id).copied().unwrap_or_default());
            (line.as_paid().max(known) != known).then(|| (line.id.clone(), line.as_paid()))
        });
        Self {
            total: if report.total > total { report.total } else { Amount::ZERO },
            lines: excess.collect(),
        }
    }

    /// Takes the greater of each number.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.total = self.total.max(other.total);
        for (id, line) in &other.lines {
            let known = self.lines.entry(id.clone()).or_default();
            *known = known.max(*line);
        }
    }
}
