//! The state of one order: the facts reported so far, the pin, and the posted points.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use super::{HighestPaid, Order, Origin, Refund, RefundContent, Status};
use crate::amount::Points;
use crate::calendar::{Timestamp, Zone};
use crate::counts::{Counts, CountsDelta};
use crate::id::{AccountId, OrderId, ProgramVersion, RedemptionId, RefundId, RuleId, Tag, TierId};
use crate::lot::{Clawback, LotCredit};
use chrono::{NaiveDate, NaiveDateTime};

/// All facts of one order, in a form that does not depend on the sequence in which they
/// came.
///
/// Its stored form leaves the id out, since a store keeps an order by its id anyway: see
/// [`OrderState::with_id`].
///
/// # Example: only events of this order change it
/// ```
/// use loyalty_core::{Event, OrderId, OrderState};
/// let at = "2026-01-02T00:00:00Z".parse().unwrap();
/// let cancelled = |id: &str| Event::OrderCancelled { order: OrderId::new(id).unwrap(), at };
/// let mut order = OrderState::new(OrderId::new("1001").unwrap());
/// order.evolve(&cancelled("1002"));
/// assert!(!order.is_cancelled());
/// order.evolve(&cancelled("1001"));
/// assert!(order.is_cancelled());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default = "OrderState::without_id"))]
pub struct OrderState {
    /// `None` only between a store's read and [`OrderState::with_id`].
    #[cfg_attr(feature = "json", serde(skip))]
    id: Option<OrderId>,
    #[cfg_attr(feature = "json", serde(rename = "recorded"))]
    snapshot: Option<RecordedSnapshot>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "reached"))]
    status_times: BTreeMap<Status, StatusTimes>,
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    cancelled_at: Option<Timestamp>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    refunds: BTreeMap<RefundId, RefundContent>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "HighestPaid::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "paid"))]
    highest_paid: HighestPaid,
    /// Redemptions that the shop marked as used with the order.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    redemptions: BTreeSet<RedemptionId>,
    pin: Option<Pin>,
    posted: PostedPoints,
    /// Points credited to the account's non-expiring lot, by instant, less clawbacks.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "lasting"))]
    non_expiring: BTreeMap<Timestamp, Points>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Counts::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "counted"))]
    counts: Counts,
    /// The guest whose e-mail address it names.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    guest: Option<AccountId>,
}

/// The latest snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RecordedSnapshot {
    /// The snapshot.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "is_stored_separately"))]
    pub order: Arc<Order>,
    /// Its time: the shop's, else that of its receipt.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    pub at: Timestamp,
    /// Its source.
    pub origin: Origin,
    /// Its time is the shop's own. An older report can still come.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub dated: bool,
}

#[cfg(feature = "json")]
fn is_stored_separately(order: &Arc<Order>) -> bool {
    **order == Order::default()
}

/// The first and the last report of a status.
///
/// Two instants suffice to know whether the status was reached after the last
/// cancellation, however late that becomes known, and nearly always since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
struct StatusTimes {
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    first: Timestamp,
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    last: Timestamp,
}

/// Everything that an order earns under, fixed when it reaches the earning gate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Pin {
    /// The program that the order earns under.
    pub program: ProgramVersion,
    /// The instant at which the order reached the gate. Expiry runs from here.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    #[cfg_attr(feature = "json", serde(rename = "at"))]
    pub gate_at: Timestamp,
    /// The customer's tags, of those that the program's rules mention.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "BTreeSet::is_empty"))]
    pub tags: BTreeSet<Tag>,
    /// The customer's tier.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub tier: Option<TierId>,
    /// The campaigns that apply to it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub campaigns: Vec<RuleId>,
    /// The earning rules with conditions on the customer whose conditions were met. What
    /// the conditions looked at is personal, and not kept.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "BTreeSet::is_empty"))]
    pub eligible_rules: BTreeSet<RuleId>,
    /// The shop's zone, if a rule or a campaign has a condition on the local time.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub zone: Option<Zone>,
    /// The allowances of rules with limits.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "rooms"))]
    pub allowances: BTreeMap<RuleId, Allowance>,
}

impl Pin {
    /// A pin without tags, tier, campaigns, eligible rules, zone and allowances.
    pub fn new(program: ProgramVersion, gate_at: Timestamp) -> Self {
        Self {
            program,
            gate_at,
            tags: BTreeSet::new(),
            tier: None,
            campaigns: Vec::new(),
            eligible_rules: BTreeSet::new(),
            zone: None,
            allowances: BTreeMap::new(),
        }
    }
}

impl Pin {
    /// The shop's local time of an instant, where a condition looks at it.
    pub(crate) fn local(&self, at: Timestamp) -> Option<NaiveDateTime> {
        self.zone.and_then(|zone| zone.local(at).ok())
    }
}

/// The allowance of a rule with limits for one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Allowance {
    /// The most points that it may pay.
    pub points: Points,
    /// The shop's day that its usage counts for.
    pub day: NaiveDate,
}

/// The points that an order has posted so far. All but the forgiven ones only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct PostedPoints {
    /// Points awarded.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub awarded: Points,
    /// Points clawed back.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "taken"))]
    pub clawed_back: Points,
    /// Points that expired unspent.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub expired: Points,
    /// Points not clawed back since the program stops at zero. The customer keeps them
    /// until a new award, which includes them.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub forgiven: Points,
}

impl PostedPoints {
    #[cfg(feature = "json")]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl OrderState {
    /// An order of which nothing is known yet.
    pub fn new(id: OrderId) -> Self {
        Self { id: Some(id), ..Self::without_id() }
    }

    /// The order of no id, which no event changes.
    pub(crate) fn without_id() -> Self {
        Self {
            id: None,
            snapshot: None,
            status_times: BTreeMap::new(),
            cancelled_at: None,
            refunds: BTreeMap::new(),
            highest_paid: HighestPaid::default(),
            redemptions: BTreeSet::new(),
            pin: None,
            posted: PostedPoints::default(),
            non_expiring: BTreeMap::new(),
            counts: Counts::ZERO,
            guest: None,
        }
    }

    /// Restores the id of an order that was read from its stored form.
    #[must_use]
    pub fn with_id(self, id: OrderId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The order's id. `None` only after reading the stored form, before
    /// [`OrderState::with_id`].
    pub fn id(&self) -> Option<&OrderId> {
        self.id.as_ref()
    }

    /// The latest snapshot. `None` if only a refund or a cancellation is known.
    pub fn snapshot(&self) -> Option<&RecordedSnapshot> {
        self.snapshot.as_ref()
    }

    /// The state without the content of its snapshot, for a store that keeps the snapshot
    /// elsewhere. Restore it by [`OrderState::with_snapshot`] before anything else.
    #[must_use]
    pub fn without_snapshot(&self) -> Self {
        self.clone().with_snapshot(&Arc::default())
    }

    /// Restores the content of the latest snapshot, if there is one.
    #[must_use]
    pub fn with_snapshot(mut self, order: &Arc<Order>) -> Self {
        if let Some(recorded) = &mut self.snapshot {
            recorded.order = Arc::clone(order);
        }
        self
    }

    /// The state without the customer's tags, for a customer who was erased.
    #[must_use]
    pub fn without_pinned_tags(mut self) -> Self {
        if let Some(pin) = &mut self.pin {
            pin.tags.clear();
        }
        self
    }

    /// The pin. `None` before the order reaches the earning gate.
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// The posted points.
    pub fn posted(&self) -> PostedPoints {
        self.posted
    }

    /// What the order counts for tiers and goals.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The refunds by their ids.
    pub fn refunds(&self) -> &BTreeMap<RefundId, RefundContent> {
        &self.refunds
    }

    /// The redemptions that the shop marked as used with the order. Those whose codes the
    /// order lists are not among them.
    pub fn redemptions(&self) -> &BTreeSet<RedemptionId> {
        &self.redemptions
    }

    /// What it was reported with as paid, as far as the latest snapshot has less.
    pub fn highest_paid(&self) -> &HighestPaid {
        &self.highest_paid
    }

    /// Its points in the account's non-expiring lot, which does not track orders, by
    /// instant; less clawbacks.
    pub(crate) fn non_expiring_points(&self) -> impl Iterator<Item = (Timestamp, Points)> {
        self.non_expiring.iter().map(|(at, points)| (*at, *points))
    }

    /// The furthest status reached since the last cancellation.
    pub fn status(&self) -> Option<Status> {
        let reached = self
            .status_times
            .iter()
            .rev()
            .find(|(_, reached)| self.is_after_cancellation(reached.last));
        reached.map(|(status, _)| *status)
    }

    /// The instant of the last cancellation, even if the order was reopened since.
    pub fn cancelled_at(&self) -> Option<Timestamp> {
        self.cancelled_at
    }

    /// The guest whose e-mail address the order names, though its customer is another
    /// account.
    pub fn guest(&self) -> Option<AccountId> {
        self.guest
    }

    /// Returns true if it was cancelled and not reopened since. At the same instant the
    /// cancellation wins.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled_at.is_some() && self.status().is_none()
    }

    /// The instant at which this or a further status was first reached since the last
    /// cancellation.
    pub fn reached_at(&self, gate: Status) -> Option<Timestamp> {
        let since = |reached: &StatusTimes| {
            [reached.first, reached.last]
                .into_iter()
                .find(|at| self.is_after_cancellation(*at))
        };
        self.status_times
            .range(gate..)
            .filter_map(|(_, reached)| since(reached))
            .min()
    }

    /// The instant at which this or a further status was first reached, cancelled since
    /// or not.
    pub fn first_reached_at(&self, gate: Status) -> Option<Timestamp> {
        self.status_times
            .range(gate..)
            .map(|(_, reached)| reached.first)
            .min()
    }

    /// The time of a report that names none: now, but later than all that is known.
    pub(crate) fn next_report_time(&self, now: Timestamp) -> Timestamp {
        let reports = self.status_times.values().map(|reached| reached.last);
        let reports = reports
            .chain(self.snapshot.as_ref().map(|recorded| recorded.at))
            .chain(self.cancelled_at);
        let after = reports
            .max()
            .and_then(|last| last.checked_add_signed(TimeDelta::microseconds(1)));
        after.map_or(now, |after| now.max(after))
    }

    fn is_after_cancellation(&self, at: Timestamp) -> bool {
        self.cancelled_at.is_none_or(|cancelled_at| at > cancelled_at)
    }

    /// Returns true if a report of this status at this instant adds nothing.
    pub(crate) fn has_report(&self, status: Status, at: Timestamp) -> bool {
        self.status_times
            .get(&status)
            .is_some_and(|reached| reached.first <= at && at <= reached.last)
    }

    /// Returns true if a snapshot is later than the known one, by time, then content,
    /// then origin.
    pub(crate) fn is_superseded_by(&self, order: &Order, origin: Origin, at: Timestamp) -> bool {
        self.snapshot
            .as_ref()
            .is_none_or(|known| (known.at, &*known.order, known.origin) < (at, order, origin))
    }

    /// Sets the latest snapshot.
    pub(crate) fn set_snapshot(&mut self, recorded: RecordedSnapshot) {
        self.snapshot = Some(recorded);
    }

    /// Records the status of a report.
    pub(crate) fn record_status(&mut self, status: Status, at: Timestamp) {
        if let Some(recorded) = &mut self.snapshot {
            // The same content again, later: only its time moves.
            recorded.at = recorded.at.max(at);
        }

        let times = self
            .status_times
            .entry(status)
            .or_insert(StatusTimes { first: at, last: at });
        times.first = times.first.min(at);
        times.last = times.last.max(at);
    }

    /// Sets what reports as paid had more of than the latest snapshot.
    pub(crate) fn set_highest_paid(&mut self, paid: &HighestPaid) {
        self.highest_paid = paid.clone();
    }

    /// Records a cancellation.
    pub(crate) fn cancel(&mut self, at: Timestamp) {
        self.cancelled_at = self.cancelled_at.max(Some(at));
    }

    /// Records a refund.
    pub(crate) fn add_refund(&mut self, refund: &Refund) {
        self.refunds.insert(refund.id.clone(), refund.refunded.clone());
    }

    /// Notes a redemption that the shop marked as used with the order.
    pub(crate) fn add_redemption(&mut self, redemption: RedemptionId) {
        self.redemptions.insert(redemption);
    }

    /// Notes the guest whose address it names.
    pub(crate) fn note_guest(&mut self, guest: AccountId) {
        self.guest = Some(guest);
    }

    /// Pins what the order earns under.
    pub(crate) fn set_pin(&mut self, pin: &Pin) {
        self.pin = Some(pin.clone());
    }

    /// Changes what the order counts for tiers and goals.
    pub(crate) fn add_counts(&mut self, counted: &CountsDelta) {
        self.counts = self.counts.plus(counted.counts);
    }

    /// Posts an award. Its points include what was forgiven before.
    pub(crate) fn post_award(&mut self, points: Points, lot: Option<&LotCredit>, at: Timestamp) {
        self.posted.awarded = self.posted.awarded.saturating_add(points);
        self.posted.forgiven = Points::ZERO;
        self.add_non_expiring(lot, at);
    }

    /// Posts a clawback.
    pub(crate) fn post_clawback(&mut self, clawback: &Clawback) {
        let posted = &mut self.posted;
        posted.clawed_back = posted.clawed_back.saturating_add(clawback.points());
        posted.forgiven = posted.forgiven.saturating_add(clawback.forgiven);
        posted.expired = posted.expired.saturating_add(clawback.expired());
        self.deduct_non_expiring(clawback.from_balance().saturating_add(clawback.expired()));
    }

    /// Posts an expiry.
    pub(crate) fn post_expiry(&mut self, points: Points) {
        self.posted.expired = self.posted.expired.saturating_add(points);
    }

    /// Posts the release of pending points.
    pub(crate) fn post_release(&mut self, into: Option<&LotCredit>, at: Timestamp) {
        self.add_non_expiring(into, at);
    }

    fn add_non_expiring(&mut self, lot: Option<&LotCredit>, at: Timestamp) {
        if let Some(lot) = lot.filter(|lot| lot.is_non_expiring()) {
            let sum = self.non_expiring.entry(at).or_default();
            *sum = sum.saturating_add(lot.points);
        }
    }

    fn deduct_non_expiring(&mut self, points: Points) {
        let mut left = points;
        for part in self.non_expiring.values_mut() {
            let less = left.min(*part);
            *part = part.saturating_sub(less);
            left = left.saturating_sub(less);
        }
    }
}
