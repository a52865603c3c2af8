//! Daily sums of the points of each shop, folded from the journal with each commit.
//!
//! An event counts for the day on which it happened in the shop's calendar, which can be before the
//! day of its row: what was due and is recorded late counts for the day on which it was due.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use loyalty_core::{ActionId, Event, Points, ShopId, Timestamp, Zone};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::record::{JournalRow, Seq};

/// Points issued and used in some time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeriodTotals {
    /// Points awarded for orders.
    #[serde(rename = "orders", skip_serializing_if = "is_zero")]
    pub awarded_for_orders: Points,
    /// Points awarded for actions, tiers and referrals.
    #[serde(rename = "bonuses", skip_serializing_if = "is_zero")]
    pub awarded_as_bonuses: Points,
    /// Points added by the shop.
    #[serde(rename = "added", skip_serializing_if = "is_zero")]
    pub added_by_shop: Points,
    /// Points spent: for rewards, less returned points, and subtracted by the shop.
    #[serde(skip_serializing_if = "is_zero")]
    pub redeemed: Points,
    /// Points that expired.
    #[serde(skip_serializing_if = "is_zero")]
    pub expired: Points,
    /// Points clawed back for refunds and cancellations.
    #[serde(skip_serializing_if = "is_zero")]
    pub clawed_back: Points,
    /// Points removed with customers who were erased, less their debt.
    #[serde(skip_serializing_if = "is_zero")]
    pub erased: Points,
    /// The net change by setting balances.
    #[serde(skip_serializing_if = "is_zero")]
    pub adjusted: Points,
    /// Points awarded by each action.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<ActionId, ActionTotals>,
}

/// The totals of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionTotals {
    /// The number of awards.
    pub times: u64,
    /// The points awarded.
    pub points: Points,
}

/// The sums of a day, and where in the journal they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// The first row with an event of the day that counts.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
    /// The sums.
    pub totals: PeriodTotals,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
fn is_zero(points: &Points) -> bool {
    *points == Points::ZERO
}

impl PeriodTotals {
    /// Returns all points issued.
    pub fn total_issued(&self) -> Points {
        self.awarded_for_orders
            .saturating_add(self.awarded_as_bonuses)
            .saturating_add(self.added_by_shop)
    }

    /// Adds the totals of another time.
    pub fn add(&mut self, other: &Self) {
        let Self {
            awarded_for_orders,
            awarded_as_bonuses,
            added_by_shop,
            redeemed,
            expired,
            clawed_back,
            erased,
            adjusted,
            actions,
        } = other;
        add_to(&mut self.awarded_for_orders, *awarded_for_orders);
        add_to(&mut self.awarded_as_bonuses, *awarded_as_bonuses);
        add_to(&mut self.added_by_shop, *added_by_shop);
        add_to(&mut self.redeemed, *redeemed);
        add_to(&mut self.expired, *expired);
        add_to(&mut self.clawed_back, *clawed_back);
        add_to(&mut self.erased, *erased);
        add_to(&mut self.adjusted, *adjusted);
        for (action, totals) in actions {
            self.add_action(action, *totals);
        }
    }

    /// Counts an event. Returns `true` if it changes the totals.
    pub(crate) fn count(&mut self, event: &Event) -> bool {
        match event {
            Event::PointsAwarded { points, .. } => add_to(&mut self.awarded_for_orders, *points),
            Event::AwardGiven { points, award, .. } => {
                add_to(&mut self.awarded_as_bonuses, *points);
                self.count_action(award.reason.action(), *points);
            }
            Event::PointsAdded { points, reason, .. } if reason.sets_balance => {
                add_to(&mut self.adjusted, *points);
            }
            Event::PointsAdded { points, reason, .. } => {
                add_to(&mut self.added_by_shop, *points);
                self.count_action(reason.action.as_ref(), *points);
            }
            Event::PointsSubtracted { reason, .. } if reason.sets_balance => {
                add_to(&mut self.adjusted, event.points());
            }
            Event::PointsSubtracted { .. }
            | Event::RedemptionCancelled { .. }
            | Event::RedemptionExpired { .. }
            | Event::RedemptionRefunded { .. }
            | Event::RedemptionUsed { .. }
            | Event::RewardRedeemed { .. } => add_to(&mut self.redeemed, event.points().negated()),
            Event::PointsExpired { points, .. } => add_to(&mut self.expired, *points),
            Event::AwardTakenBack { clawback, .. } | Event::PointsTakenBack { clawback, .. } => {
                add_to(&mut self.clawed_back, clawback.points());
            }
            Event::AccountErased { points, .. } => add_to(&mut self.erased, *points),
            Event::AccountAbsorbed(_)
            | Event::AccountMerged { .. }
            | Event::AccountReopened { .. }
            | Event::ClaimUndone(_)
            | Event::OrderNamedGuest { .. }
            | Event::CustomerAdded
            | Event::CustomerUpdated { .. }
            | Event::ProgramPublished { .. }
            | Event::PublicationRecorded { .. }
            | Event::Discount(_)
            | Event::GiftUndone { .. }
            | Event::OrderCancelled { .. }
            | Event::OrderClosed { .. }
            | Event::OrderCounted { .. }
            | Event::OrderPinned { .. }
            | Event::OrderRecorded { .. }
            | Event::OrderRefunded { .. }
            | Event::PointsReleased { .. }
            | Event::RedemptionReopened { .. }
            | Event::ReferralCodeIssued { .. }
            | Event::ReferralCompleted { .. }
            | Event::ReferralJoined { .. }
            | Event::ReferralUndone { .. }
            | Event::TierChanged { .. }
            | Event::TierLapsed { .. }
            | Event::TierRetained { .. }
            | Event::TierSet { .. } => return false,
        }
        true
    }

    fn count_action(&mut self, action: Option<&ActionId>, points: Points) {
        if let Some(action) = action {
            self.add_action(action, ActionTotals { times: 1, points });
        }
    }

    fn add_action(&mut self, action: &ActionId, added: ActionTotals) {
        let totals = self.actions.entry(action.clone()).or_default();
        totals.times = totals.times.saturating_add(added.times);
        add_to(&mut totals.points, added.points);
    }
}

impl DayTotals {
    /// Adds what a row has of the day. A row that is already folded changes nothing.
    pub(crate) fn fold(&mut self, row: Seq, totals: &PeriodTotals) {
        if row <= self.last {
            return;
        }
        if self.first == 0 {
            self.first = row;
        }
        self.last = row;
        self.totals.add(totals);
    }
}

/// The zones of shops, each loaded once.
#[derive(Debug, Default)]
pub(crate) struct Zones(HashMap<ShopId, Option<Zone>>);

impl Zones {
    /// Returns what a row adds to each day; nothing for one of no shop, which `load` does not find.
    pub(crate) fn days_of(
        &mut self,
        row: &JournalRow,
        load: impl FnOnce(ShopId) -> Result<Option<Zone>, Failure>,
    ) -> Result<Vec<(NaiveDate, PeriodTotals)>, Failure> {
        let zone = match self.0.entry(row.shop) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(load(row.shop)?),
        };
        Ok(zone.map(|zone| days_of(row, zone)).unwrap_or_default())
    }
}

/// Returns what a row adds to each day: one day, as a rule.
pub(crate) fn days_of(row: &JournalRow, zone: Zone) -> Vec<(NaiveDate, PeriodTotals)> {
    let mut days: Vec<(NaiveDate, PeriodTotals)> = Vec::new();
    for event in row.events.iter() {
        let mut totals = PeriodTotals::default();
        if !totals.count(event) {
            continue;
        }
        let day = local_day(zone, event.at().unwrap_or(row.at));
        match days.iter_mut().find(|(known, _)| *known == day) {
            Some((_, known)) => known.add(&totals),
            None => days.push((day, totals)),
        }
    }
    days
}

/// Returns the day of an instant in a shop's calendar.
pub fn local_day(zone: Zone, at: Timestamp) -> NaiveDate {
    zone.local(at).unwrap_or_else(|_| at.naive_utc()).date()
}

fn add_to(sum: &mut Points, points: Points) {
    *sum = sum.saturating_add(points);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_summed_up_once() {
        let totals = |points| PeriodTotals { redeemed: points, ..PeriodTotals::default() };
        let mut day = DayTotals::default();
        for row in [3, 3, 7, 5, 7] {
            day.fold(row, &totals(Points::from(10)));
        }
        assert_eq!((day.first, day.last), (3, 7));
        assert_eq!(day.totals, totals(Points::from(20)));
    }
}
