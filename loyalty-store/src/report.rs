//! Reports of a shop's program: the points of a period, and the liability of an instant.
//!
//! A report reads the whole journal and every customer, so it belongs on a thread of its
//! own. Scheduled events that are due count even if they are not recorded yet.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::Datelike;
use loyalty_core::{Account, ActionId, Event, Points, ShopId, TierId, Timestamp, Zone};

use crate::Store;
use crate::cancel;
use crate::error::Failure;
use crate::query::CustomerView;
use crate::search::SearchQuery;

/// The number of rows or customers read at once.
const PAGE_SIZE: usize = 1_000;

/// The points of a period, and the balances at the time of the report.
///
/// # Example: points issued and outstanding
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, ProgramReport};
/// use loyalty_store::{Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let reason = AdjustmentReason::default;
/// let add = Command::AddPoints { points: Points::from(250), reason: reason() };
/// let spend = Command::SubtractPoints { points: Points::from(100), reason: reason() };
/// let action = Action::for_customer(ada, Existence::Any, vec![add, spend]);
/// store.execute(Request::new(shop, now, action)).wait()?;
///
/// let january = "2026-01-01T00:00:00Z".parse()?.."2026-02-01T00:00:00Z".parse()?;
/// let report = ProgramReport::compute(&store, shop, &january, now)?;
/// assert_eq!(report.total_issued(), Points::from(250));
/// assert_eq!(report.redeemed, Points::from(100));
/// assert_eq!(report.liability(), Points::from(150));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramReport {
    /// Points awarded for orders in the period.
    pub awarded_for_orders: Points,
    /// Points awarded for actions, tiers and referrals in the period.
    pub awarded_as_bonuses: Points,
    /// Points added by the shop in the period.
    pub added_by_shop: Points,
    /// Points spent in the period: for rewards, less returned points, and subtracted by
    /// the shop.
    pub redeemed: Points,
    /// Points that expired in the period.
    pub expired: Points,
    /// Points clawed back in the period for refunds and cancellations.
    pub clawed_back: Points,
    /// Points removed in the period with customers who were erased, less their debt.
    pub erased: Points,
    /// The net change by setting balances in the period.
    pub adjusted: Points,
    /// Points awarded by each action in the period.
    pub actions: BTreeMap<ActionId, ActionTotals>,
    /// Usable points now, by the month of their expiration in the shop's calendar. `None`
    /// is for points that do not expire.
    pub outstanding: BTreeMap<Option<YearMonth>, Points>,
    /// Pending points now.
    pub pending: Points,
    /// Debt of customers now.
    pub debt: Points,
    /// The number of customers in each tier now; `None` is for customers without a tier.
    pub members: BTreeMap<Option<TierId>, u64>,
}

/// A month of the shop's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearMonth {
    /// The year.
    pub year: i32,
    /// The month, from 1 to 12.
    pub month: u32,
}

/// The totals of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionTotals {
    /// The number of awards.
    pub times: u64,
    /// The points awarded.
    pub points: Points,
}

impl ProgramReport {
    /// Computes the report of a shop for `period`, with balances at `now`. Reads the
    /// whole journal and every customer.
    pub fn compute(
        store: &dyn Store,
        shop: ShopId,
        period: &Range<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let zone = store
            .shop(shop)?
            .ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?
            .zone;
        let mut report = Self::default();

        let mut after = 0;
        loop {
            cancel::check()?;
            let rows = store.journal(shop, after, PAGE_SIZE)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;

            // Events are never later than their row: rows before the period have none in
            // it.
            for row in rows.iter().filter(|row| row.at >= period.start) {
                for event in row.events.iter() {
                    report.count_event(event, event.at().unwrap_or(row.at), period);
                }
            }
        }

        report.count_customers(store, (shop, zone), period, now)?;
        Ok(report)
    }

    /// Returns all points issued in the period.
    pub fn total_issued(&self) -> Points {
        self.awarded_for_orders
            .saturating_add(self.awarded_as_bonuses)
            .saturating_add(self.added_by_shop)
    }

    /// Returns all points that customers can spend now.
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
            | Event::TierSet { .. } => {}
        }
    }

    fn count_action(&mut self, action: Option<&ActionId>, points: Points) {
        let Some(action) = action else { return };
        let totals = self.actions.entry(action.clone()).or_default();
        totals.times = totals.times.saturating_add(1);
        add_to(&mut totals.points, points);
    }

    fn count_customers(
        &mut self,
        store: &dyn Store,
        (shop, zone): (ShopId, Zone),
        period: &Range<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (all_customers, mut after) = (SearchQuery::default(), None);

        loop {
            cancel::check()?;
            let page = store.customers(shop, &all_customers, after, PAGE_SIZE)?;
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
        // Events that are due but not recorded are in no journal row.
        for event in customer.due(now) {
            self.count_event(&event, event.at().unwrap_or(now), period);
        }

        let account: &Account = &customer.as_of(now);
        for lot in account.usable_lots(now) {
            let end = lot.expires_at.and_then(|end| zone.local(end).ok());
            let month = end.map(|end| YearMonth { year: end.year(), month: end.month() });
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
