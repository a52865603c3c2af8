//! Reports of orders: recorded, then reconciled with what the order has posted.
//!
//! Each report ends in [`DecisionBuilder::reconcile`]: it computes the entitlement again
//! from all facts and posts the difference to what the order has posted. From this alone
//! it follows that a report can be repeated, that reports can come in any order, and that
//! no refund leaks points.

use std::sync::Arc;

use crate::calendar::Timestamp;
use crate::command::OverRefund;
use crate::counts::{Counts, CountsDelta};
use crate::event::Event;
use crate::explain::{Calculation, EarningStatus, Explanation};
use crate::id::OrderId;
use crate::order::{HighestPaid, Order, Origin, Pin, RecordedSnapshot, Refund, Status};
use crate::program::Program;
use crate::rejection::Rejection;
use crate::rules::points::IncomingPoints;
use crate::rules::work::DecisionBuilder;
use crate::rules::{actions, clawback, entitle, expiry, refund};

impl DecisionBuilder<'_> {
    /// Records a report of an order.
    ///
    /// A report without a time of its own:
    /// - that repeats the known snapshot and status is a redelivery and records nothing;
    /// - that repeats the snapshot of a cancelled order reopens it if the shop itself reports
    ///   it. From a plugin, which sends the same body on every save, it is a redelivery;
    /// - that is the first one of an order whose cancellation came earlier counts as made
    ///   at the cancellation, and does not reopen it, however often it is repeated.
    pub(crate) fn record_order(
        &mut self,
        id: &OrderId,
        snapshot: &Arc<Order>,
        status: Status,
        at: Option<Timestamp>,
        origin: Origin,
    ) -> Result<(), Rejection> {
        match origin {
            Origin::Shop => snapshot.validate(self.context.minor_digits)?,
            Origin::Plugin => snapshot.validate_shape()?,
        }

        let is_dated = at.is_some();
        let known = self.order.snapshot();
        let is_same = known.is_some_and(|known| known.order == *snapshot);
        let is_unchanged = is_same && known.is_some_and(|known| known.origin == origin);
        let is_reached = self.order.status().is_some_and(|reached| status <= reached);
        let overtaken = known.is_some_and(|known| self.order.cancelled_at() == Some(known.at));
        let is_repeated = origin == Origin::Plugin || overtaken;
        let is_redelivery = is_reached || (self.order.is_cancelled() && is_repeated);
        if at.is_none() && is_same && is_redelivery {
            return self.reconcile(id, self.context.now);
        }

        let cancelled_before = self.order.cancelled_at().filter(|_| known.is_none());
        let at = at
            .or(cancelled_before)
            .unwrap_or_else(|| self.order.next_report_time(self.context.now));
        let is_newer = self.order.is_superseded_by(snapshot, origin, at);
        let paid = self.compare_paid(snapshot, status, origin, is_newer);
        if is_newer || paid.is_some() || !self.order.has_report(status, at) {
            // An unchanged snapshot is not written again.
            let snapshot = (is_newer && !is_unchanged).then(|| Arc::clone(snapshot));
            let dated = is_dated && snapshot.is_some();
            self.emit(Event::OrderRecorded {
                order: id.clone(),
                snapshot,
                status,
                at,
                origin,
                paid,
                dated,
            });
        }
        self.reconcile(id, at)
    }

    /// What a report changes of what the order was reported with as paid, beyond its latest
    /// snapshot. `None` if nothing.
    ///
    /// A plugin reports an order when its merchant counts it as paid.
    fn compare_paid(
        &self,
        report: &Order,
        status: Status,
        origin: Origin,
        is_newer: bool,
    ) -> Option<HighestPaid> {
        let is_paid = status >= Status::Paid || origin == Origin::Plugin;
        let highest = self.order.highest_paid();
        let known = self.order.snapshot().map(|known| &*known.order);
        if known == Some(report) && highest.is_empty() {
            return None;
        }

        let latest = known.filter(|_| !is_newer).unwrap_or(report);
        let changed = highest.after_report(known, (report, is_paid), latest);
        (changed != *highest).then_some(changed)
    }

    /// Cancels an order. A cancellation that is known already changes nothing.
    pub(crate) fn cancel_order(
        &mut self,
        id: &OrderId,
        at: Option<Timestamp>,
    ) -> Result<(), Rejection> {
        let is_known = match at {
            Some(at) => self.order.cancelled_at() >= Some(at),
            None => self.order.is_cancelled(),
        };
        let at = at.unwrap_or_else(|| self.order.next_report_time(self.context.now));
        if !is_known {
            self.emit(Event::OrderCancelled { order: id.clone(), at });
        }
        self.reconcile(id, at)
    }

    /// Notes that the shop closed an order. Moves no points.
    pub(crate) fn close_order(&mut self, id: &OrderId, at: Option<Timestamp>) {
        let at = at.unwrap_or(self.context.now);
        self.emit(Event::OrderClosed { order: id.clone(), at });
    }

    /// Records a refund. The same refund again changes nothing.
    ///
    /// # Errors
    /// [`Rejection::RefundDiffers`] if the refund is known with other content; the
    /// rejections of [`refund::check_fits`] if it exceeds what is left of its order.
    pub(crate) fn refund_order(
        &mut self,
        id: &OrderId,
        refund: &Refund,
        over_refund: OverRefund,
        at: Option<Timestamp>,
    ) -> Result<(), Rejection> {
        match self.order.refunds().get(&refund.id) {
            Some(known) if *known == refund.refunded => return Ok(()),
            Some(_) => {
                let (order, refund) = (id.clone(), refund.id.clone());
                return Err(Rejection::RefundDiffers { order, refund });
            }
            None => {}
        }

        refund::check_line_count(&self.order, &refund.refunded)?;

        // A refund can come before its order. Then there is nothing yet to compare it
        // with.
        let mut refund = refund.clone();
        if let Some(recorded) = self.order.snapshot() {
            if over_refund == OverRefund::Clamp {
                refund::limit_refund(&self.order, &recorded.order, &mut refund)?;
            }
            refund::check_fits(&self.order, &recorded.order, recorded.dated, &refund)?;
        }

        self.emit(Event::OrderRefunded { order: id.clone(), refund });
        self.reconcile(id, at.unwrap_or(self.context.now))
    }

    /// Posts the difference between the order's entitlement and its posted points, and
    /// between what it counts for tiers and goals and what it has counted so far.
    ///
    /// Does nothing as long as the order's customer is unknown or it has not reached the
    /// earning gate.
    fn reconcile(&mut self, id: &OrderId, at: Timestamp) -> Result<(), Rejection> {
        if self.context.account.is_none() {
            return Ok(());
        }

        self.pin_order(id)?;
        let Some(pin) = self.order.pin().cloned() else { return Ok(()) };
        let program = self.context.pinned_program.unwrap_or(self.context.program());
        let explanation = entitle::entitlement(&self.order, program, &pin)?;

        let difference = self.compute_counts(&explanation)?.minus(self.order.counts());
        let counted = (!difference.is_zero())
            .then_some(CountsDelta { gate_at: pin.gate_at, counts: difference });

        // A tier is lost at once only if this report undoes its qualification: compare
        // before and after.
        let is_less = difference.spend < 0 || difference.points < 0 || difference.orders < 0;
        let qualified = if is_less { self.current_qualified_rank() } else { None };
        self.post_difference(id, &pin, at, program, explanation.clone(), counted)?;
        if is_less {
            self.recheck_tier(qualified)?;
            self.recheck_goals();
        }

        self.check_referral(id, pin.gate_at, program, &explanation)
    }

    /// What the order counts for tiers and goals. A fully refunded one is no order.
    fn compute_counts(&self, explanation: &Explanation) -> Result<Counts, Rejection> {
        match explanation.status {
            EarningStatus::Entitled => {
                let orders = i64::from(!refund::is_fully_refunded(&self.order)?);
                Ok(Counts {
                    orders,
                    ..Counts::order(explanation.spend, explanation.points)
                })
            }
            EarningStatus::BelowGate { .. }
            | EarningStatus::Cancelled
            | EarningStatus::Refunded => Ok(Counts::ZERO),
        }
    }

    fn post_difference(
        &mut self,
        id: &OrderId,
        pin: &Pin,
        at: Timestamp,
        program: &Program,
        explanation: Explanation,
        counted: Option<CountsDelta>,
    ) -> Result<(), Rejection> {
        let now = self.context.now;
        let (posted, entitled) = (self.order.posted(), explanation.points);
        let standing = posted.awarded.saturating_sub(posted.clawed_back);

        // Expired and forgiven points are gone already: they are not clawed back again.
        let excess = standing.saturating_sub(entitled);
        let excess = excess.saturating_sub(posted.expired).saturating_sub(posted.forgiven);

        let calculation = || Arc::new(Calculation { explanation, posted_before: posted });
        if entitled > standing {
            let points = entitled.saturating_sub(standing);
            // The first award counts from the gate, a later one from the report that
            // brought it.
            let earned_at = if posted.awarded.is_zero() { pin.gate_at } else { at };
            let hold = program.definition().hold;
            let pending_until = expiry::pending_until(hold, self.context.zone, pin.gate_at, now)?;

            let incoming =
                IncomingPoints { points, earned_at, now, pending_until, order: Some(id) };
            let lot = self.lot_credit(program, &incoming)?;
            self.emit(Event::PointsAwarded {
                order: id.clone(),
                points,
                lot,
                calculation: calculation(),
                counted,
                at: Some(now),
            });
        } else if excess.is_positive() {
            let policy = program.definition().debt;
            let clawback =
                clawback::claw_back_order(&self.account, now, (id, &self.order), excess, policy);
            let after = self.account.balance(now).checked_sub(clawback.from_balance());
            after.ok_or(Rejection::PointsOutOfRange)?;

            self.emit(Event::PointsTakenBack {
                order: id.clone(),
                clawback,
                calculation: calculation(),
                counted,
                at: Some(now),
            });
        } else if let Some(counted) = counted {
            self.emit(Event::OrderCounted { order: id.clone(), counted, at: now });
        }
        Ok(())
    }

    /// Pins everything that the order earns under, when it reaches the earning gate. An
    /// order that earns nothing is pinned too: a later program must not change that.
    fn pin_order(&mut self, id: &OrderId) -> Result<(), Rejection> {
        let Some(recorded) = self.order.snapshot().filter(|_| self.order.pin().is_none()) else {
            return Ok(());
        };
        let gate = self.context.program().gate(recorded.origin);
        let Some(gate_at) = self.order.reached_at(gate) else {
            return Ok(());
        };

        let pin = self.build_pin(recorded, gate, gate_at)?;
        self.emit(Event::OrderPinned { order: id.clone(), pin });
        Ok(())
    }

    fn build_pin(
        &self,
        recorded: &RecordedSnapshot,
        gate: Status,
        gate_at: Timestamp,
    ) -> Result<Pin, Rejection> {
        let (context, program) = (self.context, self.context.program());
        let definition = program.definition();
        let tags = program.tags().filter(|tag| context.tags.contains(*tag));
        let tier = self.account.current_tier_id(context.now).cloned();
        let placed = entitle::placed_at(&self.order, &recorded.order, gate).unwrap_or(gate_at);
        let is_first = self.account.progress().lifetime().orders <= 0;
        let campaigns = definition.campaigns.iter().filter(|campaign| {
            campaign.applies(context.tags, tier.as_ref(), placed)
                && campaign.order.are_met_by_customer(context.attributes, is_first)
        });
        let campaigns = campaigns.map(|campaign| campaign.id.clone()).collect();
        let eligible = definition.earning.iter().filter(|rule| {
            let order = &rule.when.order;
            order.are_about_customer() && order.are_met_by_customer(context.attributes, is_first)
        });

        let pin = Pin::new(context.period.version, gate_at);
        let mut pin = Pin {
            tags: tags.cloned().collect(),
            tier,
            campaigns,
            eligible_rules: eligible.map(|rule| rule.id.clone()).collect(),
            zone: program.needs_local_time().then_some(context.zone),
            ..pin
        };

        // Limits are shared by all orders of the customer: this one's part is fixed here.
        if definition.earning.iter().any(|rule| !rule.limits.is_empty()) {
            let day = context.zone.local(context.now)?.date();
            pin.allowances = actions::allowances(program, self.account.activity(), day);
            let uncapped = entitle::unlimited_points(&self.order, program, &pin)?;
            actions::exhaust_allowances(program, self.account.activity(), &mut pin, &uncapped);
        }
        Ok(pin)
    }
}
