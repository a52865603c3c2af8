//! What a shop's program did over a period, and what it owes now.
//!
//! Counted from the journal and from every customer: it costs the whole of both, and belongs on a thread of
//! its own. What is due and not written down yet counts as well, so that no job is needed for it.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::Datelike;
use loyalty_core::{Account, ActionId, Event, Points, ShopId, TierId, Timestamp, Zone};

use crate::Store;
use crate::error::Failure;
use crate::query::CustomerView;
use crate::search::SearchQuery;

/// How many rows or customers are read at once.
const PAGE_SIZE: usize = 1_000;

/// What happened in a period, and what stands at its making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramReport {
    /// Awarded by orders.
    pub awarded_for_orders: Points,
    /// Given for actions, tiers and referrals.
    pub awarded_as_bonuses: Points,
    /// Added by the shop.
    pub added_by_shop: Points,
    /// Spent: for rewards, less what came back, and subtracted by the shop.
    pub redeemed: Points,
    /// Ended unspent.
    pub expired: Points,
    /// Taken back for refunds and cancellations.
    pub clawed_back: Points,
    /// By setting balances: what they went up, less what they went down.
    pub adjusted: Points,
    /// What each action gave.
    pub actions: BTreeMap<ActionId, ActionTotals>,
    /// What customers can spend now, by the month of the shop's calendar in which it ends; none is never.
    pub outstanding: BTreeMap<Option<YearMonth>, Points>,
    /// What is pending now.
    pub pending: Points,
    /// What customers owe now.
    pub debt: Points,
    /// How many customers are in each tier now; none is no tier.
    pub members: BTreeMap<Option<TierId>, u64>,
}

/// A month of the shop's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearMonth {
    /// The year.
    pub year: i32,
    /// From 1 to 12.
    pub month: u32,
}

/// How often, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionTotals {
    /// How often.
    pub times: u64,
    /// How many points.
    pub points: Points,
}

impl ProgramReport {
    /// Counts a shop's journal within `period`, and its customers at `now`.
    pub fn compute(
        store: &dyn Store,
        shop: ShopId,
        period: &Range<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let known = store
            .shop(shop)?
            .ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?;
        let mut report = Self::default();
        let mut after = 0;
        loop {
            let rows = store.journal(shop, after, PAGE_SIZE)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            // What a row tells of was not later than the row.
            for row in rows.iter().filter(|row| row.at >= period.start) {
                row.events.iter().for_each(|event| {
                    report.count_event(event, event.at().unwrap_or(row.at), period)
                });
            }
        }
        report.count_customers(store, (shop, known.zone), period, now)?;
        Ok(report)
    }

    /// All that was given.
    pub fn total_issued(&self) -> Points {
        self.awarded_for_orders
            .saturating_add(self.awarded_as_bonuses)
            .saturating_add(self.added_by_shop)
    }

    /// All that customers can spend now.
    pub fn liability(&self) -> Points {
        self.outstanding
            .values()
            .fold(Points::ZERO, |sum, points| sum.saturating_add(*points))
    }

    fn count_event(&mut self, event: &Event, at: Timestamp, period: &Range<Timestamp>) {
        if !period.contains(&at) {
            return;
        }
        match event {
            Event::PointsAwarded { points, .. } => add_to(&mut self.awarded_for_orders, *points),
            Event::AwardGiven { points, award, .. } => {
                add_to(&mut self.awarded_as_bonuses, *points);
                self.count_action(award.reason.action(), *points);
            }
            Event::PointsAdded { points, reason: grounds, .. } if grounds.sets_balance => {
                add_to(&mut self.adjusted, *points)
            }
            Event::PointsAdded { points, reason: grounds, .. } => {
                add_to(&mut self.added_by_shop, *points);
                self.count_action(grounds.action.as_ref(), *points);
            }
            Event::PointsSubtracted { reason: grounds, .. } if grounds.sets_balance => {
                add_to(&mut self.adjusted, event.points());
            }
            Event::PointsSubtracted { .. }
            | Event::RedemptionCancelled { .. }
            | Event::RedemptionExpired { .. }
            | Event::RedemptionUsed { .. }
            | Event::RewardRedeemed { .. } => add_to(&mut self.redeemed, event.points().negated()),
            Event::PointsExpired { points, .. } => add_to(&mut self.expired, *points),
            Event::AwardTakenBack { clawback: taking, .. }
            | Event::PointsTakenBack { clawback: taking, .. } => {
                add_to(&mut self.clawed_back, taking.points());
            }
            Event::AccountAbsorbed { .. }
            | Event::AccountMerged { .. }
            | Event::CustomerAdded
            | Event::Discount(_)
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
            | Event::TierSet { .. } => {}
        }
    }

    fn count_action(&mut self, action: Option<&ActionId>, points: Points) {
        let Some(action) = action else { return };
        let paid = self.actions.entry(action.clone()).or_default();
        paid.times = paid.times.saturating_add(1);
        add_to(&mut paid.points, points);
    }

    fn count_customers(
        &mut self,
        store: &dyn Store,
        (shop, zone): (ShopId, Zone),
        period: &Range<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (everybody, mut after) = (SearchQuery::default(), None);
        loop {
            let page = store.customers(shop, &everybody, after, PAGE_SIZE)?;
            after = page.items.last().map(|customer| customer.record().account);
            for customer in &page.items {
                self.count_customer(customer, zone, period, now);
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    fn count_customer(
        &mut self,
        customer: &CustomerView,
        zone: Zone,
        period: &Range<Timestamp>,
        now: Timestamp,
    ) {
        for event in customer.due(now) {
            self.count_event(&event, event.at().unwrap_or(now), period);
        }
        let account: &Account = &customer.as_of(now);
        for lot in account.usable_lots(now) {
            let ends = lot.expires_at.and_then(|end| zone.local(end).ok());
            let month = ends.map(|end| YearMonth { year: end.year(), month: end.month() });
            add_to(self.outstanding.entry(month).or_default(), lot.points);
        }
        add_to(&mut self.pending, account.pending(now));
        add_to(&mut self.debt, account.debt());
        let members = self.members.entry(account.current_tier_id(now).cloned()).or_default();
        *members = members.saturating_add(1);
    }
}

fn add_to(sum: &mut Points, points: Points) {
    *sum = sum.saturating_add(points);
}
