//! Points that the shop adds, subtracts or sets, and the lot that incoming points go to.

use std::sync::Arc;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::{AdjustmentReason, Event};
use crate::id::OrderId;
use crate::lot::LotCredit;
use crate::program::{Expiry, Program};
use crate::rejection::Rejection;
use crate::rules::work::DecisionBuilder;
use crate::rules::{clawback, expiry};

/// Points that come into an account, before they are assigned to a lot.
pub(crate) struct IncomingPoints<'a> {
    pub(crate) points: Points,
    /// The instant that expiry runs from.
    pub(crate) earned_at: Timestamp,
    /// The instant at which they come in.
    pub(crate) now: Timestamp,
    /// The end of their hold, if they are held back.
    pub(crate) pending_until: Option<Timestamp>,
    /// The order that earned them.
    pub(crate) order: Option<&'a OrderId>,
}

impl DecisionBuilder<'_> {
    /// Adds points to the balance.
    pub(crate) fn add_points(
        &mut self,
        points: Points,
        reason: &AdjustmentReason,
    ) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }

        let now = self.context.now;
        let incoming = IncomingPoints {
            points,
            earned_at: now,
            now,
            pending_until: None,
            order: None,
        };
        let lot = self.lot_credit(self.context.program(), &incoming)?;
        self.emit(Event::PointsAdded { points, lot, reason: reason.clone(), at: Some(now) });
        Ok(())
    }

    /// Subtracts points from the usable lots, in spending order.
    pub(crate) fn subtract_points(
        &mut self,
        points: Points,
        reason: &AdjustmentReason,
    ) -> Result<(), Rejection> {
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }

        let now = self.context.now;
        let (lots, missing) = clawback::draw_points(self.account.usable_lots(now), points);
        if !missing.is_zero() {
            let have = self.account.balance(now);
            return Err(Rejection::InsufficientPoints { have, need: points });
        }

        self.emit(Event::PointsSubtracted { lots, reason: reason.clone(), at: Some(now) });
        Ok(())
    }

    /// Sets the balance: adds or subtracts the difference. An equal balance changes
    /// nothing.
    pub(crate) fn set_balance(
        &mut self,
        to: Points,
        text: Option<Arc<str>>,
    ) -> Result<(), Rejection> {
        if to < Points::ZERO {
            return Err(Rejection::InvalidPoints { expected: "zero or more" });
        }

        let reason = AdjustmentReason { text, sets_balance: true, ..AdjustmentReason::default() };
        let have = self.account.balance(self.context.now);
        let change = to.checked_sub(have).ok_or(Rejection::PointsOutOfRange)?;
        if change.is_positive() {
            self.add_points(change, &reason)
        } else if change.is_zero() {
            Ok(())
        } else {
            self.subtract_points(change.negated(), &reason)
        }
    }

    /// The lot that points go to: a pending lot if they are held back; else they pay off
    /// debt first and the rest goes to a usable lot. `None` if all of them pay off debt.
    ///
    /// # Errors
    /// [`Rejection::PointsOutOfRange`] if the balance cannot hold them,
    /// [`Rejection::OutOfRange`] if their expiry is no instant.
    pub(crate) fn lot_credit(
        &self,
        program: &Program,
        incoming: &IncomingPoints<'_>,
    ) -> Result<Option<LotCredit>, Rejection> {
        let IncomingPoints { points, earned_at, now, pending_until, order } = *incoming;

        // Pending points count as well: their release must not leave the range.
        let balance = self.account.balance(now).checked_add(points);
        let balance =
            balance.and_then(|balance| balance.checked_add(self.account.totals().pending));
        balance.ok_or(Rejection::PointsOutOfRange)?;

        let policy = program.definition().expiry;
        let expires_at = expiry::expires_at(policy, self.context.zone, earned_at)?;
        if pending_until.is_some() {
            let id = self.account.next_lot_id();
            return Ok(Some(LotCredit {
                id,
                points,
                earned_at,
                expires_at,
                pending_until,
                is_separate: false,
            }));
        }

        let kept = points.saturating_sub(self.account.debt().min(points));
        if kept.is_zero() {
            return Ok(None);
        }

        // A balance that can expire by inactivity must show which order its points are
        // of.
        let is_separate = order.is_some() && matches!(policy, Expiry::Inactivity { .. });
        let shared = self
            .account
            .lots()
            .non_expiring_lot()
            .filter(|_| expires_at.is_none() && !is_separate);
        let id = shared.map_or_else(|| self.account.next_lot_id(), |lot| lot.id);
        Ok(Some(LotCredit {
            id,
            points: kept,
            earned_at,
            expires_at,
            pending_until,
            is_separate,
        }))
    }
}
