//! What the engine knows of one order: the facts so far, what was pinned, and what was posted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use super::{Order, Origin, RefundContent, Status};
use crate::account::Counts;
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::{CountsDelta, Event, LotCredit};
use crate::id::{ProgramVersion, RefundId, RuleId, Tag, TierId};
use chrono::NaiveDate;

/// All facts of one order, in a form that does not depend on the sequence in which they came.
///
/// # Example: the furthest status since the last cancellation counts
/// ```
/// use loyalty_core::{Event, OrderId, OrderState, Status};
/// let id = OrderId::new("1001").unwrap();
/// let mut order = OrderState::default();
/// order.evolve(&Event::OrderCancelled { order: id, at: "2026-01-02T00:00:00Z".parse().unwrap() });
/// assert!(order.is_cancelled());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct OrderState {
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
    pin: Option<Pin>,
    posted: PostedPoints,
    /// Points that went into the account's lot without an end, by instant, less what was taken off it.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "lasting"))]
    non_expiring: BTreeMap<Timestamp, Points>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Counts::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "counted"))]
    counts: Counts,
}

/// The latest snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RecordedSnapshot {
    /// The snapshot.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "is_stored_separately"))]
    pub order: Arc<Order>,
    /// Its time: the shop's, else when it was received.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    pub at: Timestamp,
    /// What told us.
    pub origin: Origin,
}

#[cfg(feature = "json")]
fn is_stored_separately(order: &Arc<Order>) -> bool {
    **order == Order::default()
}

/// When a status was reported. Two instants are enough to know whether, and nearly always since when,
/// it was reached after the last cancellation, however late that cancellation becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
struct StatusTimes {
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    first: Timestamp,
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    last: Timestamp,
}

/// What stays as it was at the first award, whatever changes later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Pin {
    /// The program that the order earns under.
    pub program: ProgramVersion,
    /// When the order passed the gate. Expiry counts from here.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    #[cfg_attr(feature = "json", serde(rename = "at"))]
    pub gate_at: Timestamp,
    /// The customer's tags that the program looks at.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "BTreeSet::is_empty"))]
    pub tags: BTreeSet<Tag>,
    /// The customer's tier.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub tier: Option<TierId>,
    /// The campaigns that it is in.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub campaigns: Vec<RuleId>,
    /// How much rules with a limit may pay for it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "rooms"))]
    pub allowances: BTreeMap<RuleId, Allowance>,
}

impl Pin {
    /// A pin of an order that is nobody's.
    pub fn new(program: ProgramVersion, gate_at: Timestamp) -> Self {
        Self {
            program,
            gate_at,
            tags: BTreeSet::new(),
            tier: None,
            campaigns: Vec::new(),
            allowances: BTreeMap::new(),
        }
    }
}

/// How much a rule with a limit may pay for one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Allowance {
    /// At most so many points.
    pub points: Points,
    /// The shop's day that it counts for.
    pub day: NaiveDate,
}

/// What an order has put on its account so far. All but what was forgiven only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct PostedPoints {
    /// Points awarded.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub awarded: Points,
    /// Points taken back.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "taken"))]
    pub clawed_back: Points,
    /// Points that expired unspent.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub expired: Points,
    /// Points not taken back since the program stops at zero. They stay with the customer, until the
    /// order deserves an award again and with it all that it holds.
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
    /// The latest snapshot, where one is known. A refund can come before its order.
    pub fn snapshot(&self) -> Option<&RecordedSnapshot> {
        self.snapshot.as_ref()
    }

    /// The same without what the order holds, for a store that keeps the snapshot elsewhere. Nothing else
    /// should be asked of it before [`OrderState::with_snapshot`].
    #[must_use]
    pub fn without_snapshot(&self) -> Self {
        self.clone().with_snapshot(&Arc::default())
    }

    /// The same with this as the latest snapshot, where there is one.
    #[must_use]
    pub fn with_snapshot(mut self, order: &Arc<Order>) -> Self {
        if let Some(recorded) = &mut self.snapshot {
            recorded.order = Arc::clone(order);
        }
        self
    }

    /// What was pinned at the gate.
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// What was posted.
    pub fn posted(&self) -> PostedPoints {
        self.posted
    }

    /// What of it counts for tiers and goals.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The refunds by the shop's id of them.
    pub fn refunds(&self) -> &BTreeMap<RefundId, RefundContent> {
        &self.refunds
    }

    /// Points of it that went into the account's lot without an end, where they are not told apart from
    /// others, and when; none of those that were taken back.
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

    /// When the last cancellation was, whether or not the order was reopened since.
    pub fn cancelled_at(&self) -> Option<Timestamp> {
        self.cancelled_at
    }

    /// Cancelled, and nothing has reopened it. At the same instant the cancellation wins.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled_at.is_some() && self.status().is_none()
    }

    /// When this or a further status was first reached since the last cancellation.
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

    /// When this or a further status was first reached, cancelled since or not.
    pub fn first_reached_at(&self, gate: Status) -> Option<Timestamp> {
        self.status_times
            .range(gate..)
            .map(|(_, reached)| reached.first)
            .min()
    }

    /// When a report without a time of its own counts as made: now, and later than all that is known.
    pub(crate) fn next_report_time(&self, now: Timestamp) -> Timestamp {
        let told = self.status_times.values().map(|reached| reached.last);
        let told = told
            .chain(self.snapshot.as_ref().map(|recorded| recorded.at))
            .chain(self.cancelled_at);
        let after = told
            .max()
            .and_then(|last| last.checked_add_signed(TimeDelta::microseconds(1)));
        after.map_or(now, |after| now.max(after))
    }

    fn is_after_cancellation(&self, at: Timestamp) -> bool {
        self.cancelled_at.is_none_or(|cancelled_at| at > cancelled_at)
    }

    /// Whether a report at this instant would tell nothing new.
    pub(crate) fn has_report(&self, status: Status, at: Timestamp) -> bool {
        self.status_times
            .get(&status)
            .is_some_and(|reached| reached.first <= at && at <= reached.last)
    }

    /// Whether a snapshot of this time, content and origin is later than the one that is known.
    pub(crate) fn is_superseded_by(&self, order: &Order, origin: Origin, at: Timestamp) -> bool {
        self.snapshot
            .as_ref()
            .is_none_or(|known| (known.at, &*known.order, known.origin) < (at, order, origin))
    }

    /// Folds one event. Total: events of other orders do not come here, and points events without an
    /// order change nothing.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::OrderRecorded { snapshot, status, at, origin, .. } => {
                self.record(snapshot.as_ref(), *at, *origin);
                let reached = self
                    .status_times
                    .entry(*status)
                    .or_insert(StatusTimes { first: *at, last: *at });
                reached.first = reached.first.min(*at);
                reached.last = reached.last.max(*at);
            }
            Event::OrderCancelled { at, .. } => {
                self.cancelled_at = self.cancelled_at.max(Some(*at));
            }
            Event::OrderRefunded { refund, .. } => {
                self.refunds.insert(refund.id.clone(), refund.refunded.clone());
            }
            Event::OrderPinned { pin, .. } => self.pin = Some(pin.clone()),
            Event::PointsAwarded { points, lot, counted, at, .. } => {
                self.posted.awarded = self.posted.awarded.saturating_add(*points);
                self.posted.forgiven = Points::ZERO;
                self.add_non_expiring(lot.as_ref(), at.unwrap_or_default());
                self.add_counts(counted.as_ref());
            }
            Event::PointsReleased { into, released_at, .. } => {
                self.add_non_expiring(into.as_ref(), *released_at)
            }
            Event::OrderCounted { counted, .. } => self.add_counts(Some(counted)),
            Event::PointsTakenBack { clawback: taking, counted, .. } => {
                self.add_counts(counted.as_ref());
                self.posted.clawed_back = self.posted.clawed_back.saturating_add(taking.points());
                self.posted.forgiven = self.posted.forgiven.saturating_add(taking.forgiven);
                self.posted.expired = self.posted.expired.saturating_add(taking.expired());
                self.deduct_non_expiring(taking.from_balance().saturating_add(taking.expired()));
            }
            Event::PointsExpired { points, .. } => {
                self.posted.expired = self.posted.expired.saturating_add(*points);
            }
            Event::AccountAbsorbed { .. }
            | Event::AccountMerged { .. }
            | Event::AwardGiven { .. }
            | Event::AwardTakenBack { .. }
            | Event::CustomerAdded
            | Event::Discount(_)
            | Event::OrderClosed { .. }
            | Event::PointsAdded { .. }
            | Event::PointsSubtracted { .. }
            | Event::RedemptionCancelled { .. }
            | Event::RedemptionExpired { .. }
            | Event::RedemptionReopened { .. }
            | Event::RedemptionUsed { .. }
            | Event::RewardRedeemed { .. }
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

    fn add_non_expiring(&mut self, part: Option<&LotCredit>, at: Timestamp) {
        if let Some(part) = part.filter(|part| part.is_non_expiring()) {
            let sum = self.non_expiring.entry(at).or_default();
            *sum = sum.saturating_add(part.points);
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

    fn add_counts(&mut self, counted: Option<&CountsDelta>) {
        if let Some(counted) = counted {
            self.counts = self.counts.plus(counted.counts);
        }
    }

    fn record(&mut self, snapshot: Option<&Arc<Order>>, at: Timestamp, origin: Origin) {
        match (snapshot, &mut self.snapshot) {
            (Some(order), _) => {
                self.snapshot = Some(RecordedSnapshot { order: Arc::clone(order), at, origin })
            }
            // The same content again, later: only its time moves.
            (None, Some(recorded)) => recorded.at = recorded.at.max(at),
            (None, None) => {}
        }
    }
}
