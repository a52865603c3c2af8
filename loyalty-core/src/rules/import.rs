//! Points that an import brings, and the undoing of an import.

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::{AdjustmentReason, Event};
use crate::id::ImportId;
use crate::lot::{ImportMode, ImportedEnd, ImportedLot, Lot, LotCredit};
use crate::rejection::Rejection;
use crate::rules::expiry;
use crate::rules::work::DecisionBuilder;

impl DecisionBuilder<'_> {
    /// Credits the lots of an import, each with its own instants.
    pub(crate) fn import_points(
        &mut self,
        import: &ImportId,
        lots: &[ImportedLot],
        mode: ImportMode,
    ) -> Result<(), Rejection> {
        match mode {
            ImportMode::Skip if self.account.has_points_beside(import) => return Ok(()),
            ImportMode::Reset => self.reset_balance(import),
            ImportMode::Add | ImportMode::Skip => {}
        }

        if lots.iter().any(|lot| !lot.points.is_positive()) {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        let reason = reason_of(import);
        lots.iter().try_for_each(|lot| self.import_lot(lot, &reason))
    }

    /// Takes away what other sources brought, and forgives the debt.
    fn reset_balance(&mut self, import: &ImportId) {
        self.take_usable_lots(import, |lot| lot.import.as_ref() != Some(import));
        let points = self.account.debt();
        if points.is_positive() {
            let (reason, at) = (reason_of(import), Some(self.context.now));
            self.emit(Event::PointsAdded { points, lot: None, reason, at });
        }
    }

    /// Credits a lot, unless it has no points. One without an import goes to the
    /// non-expiring lot where it has no end.
    fn import_lot(
        &mut self,
        lot: &ImportedLot,
        reason: &AdjustmentReason,
    ) -> Result<(), Rejection> {
        let (now, points) = (self.context.now, lot.points);
        if !points.is_positive() {
            return Ok(());
        }
        let earned_at = lot.earned_at.unwrap_or(now);
        if earned_at > now {
            return Err(Rejection::ImportedPointsInFuture);
        }
        let expires_at = self.end_of(lot.end, earned_at)?;
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Rejection::ImportedPointsExpired);
        }
        let balance = self.account.balance(now).checked_add(points);
        let balance =
            balance.and_then(|balance| balance.checked_add(self.account.totals().pending));
        balance.ok_or(Rejection::PointsOutOfRange)?;

        // Points pay off debt before they are anything else.
        let kept = points.saturating_sub(self.account.debt().min(points));
        let is_separate = expires_at.is_none() && reason.import.is_some();
        let shared = self
            .account
            .lots()
            .non_expiring_lot()
            .filter(|_| expires_at.is_none() && !is_separate);
        let lot = kept.is_positive().then(|| LotCredit {
            id: shared.map_or_else(|| self.account.next_lot_id(), |lot| lot.id),
            points: kept,
            earned_at,
            expires_at,
            pending_until: None,
            is_separate,
        });
        self.emit(Event::PointsAdded { points, lot, reason: reason.clone(), at: Some(now) });
        Ok(())
    }

    fn end_of(
        &self,
        end: ImportedEnd,
        earned_at: Timestamp,
    ) -> Result<Option<Timestamp>, Rejection> {
        match end {
            ImportedEnd::At(end) => Ok(Some(end)),
            ImportedEnd::Never => Ok(None),
            ImportedEnd::ByProgram => {
                let policy = self.context.program().definition().expiry;
                Ok(expiry::expires_at(policy, self.context.zone, earned_at)?)
            }
        }
    }

    /// Takes back what is left of an import, and gives back what it had taken away.
    pub(crate) fn undo_import(
        &mut self,
        import: &ImportId,
        brought: Points,
        taken_away: &[ImportedLot],
    ) -> Result<(), Rejection> {
        let left = self.take_usable_lots(import, |lot| lot.import.as_ref() == Some(import));

        // Without the import, what was spent of it would have come from the points before.
        let mut gone = brought.saturating_sub(left).max(Points::ZERO);
        let text = format!("import {import} undone");
        let reason = AdjustmentReason {
            text: Some(text.into()),
            sets_balance: true,
            ..AdjustmentReason::default()
        };
        for lot in taken_away {
            let part = gone.min(lot.points);
            gone = gone.saturating_sub(part);
            let points = lot.points.saturating_sub(part);
            match self.import_lot(&ImportedLot { points, ..lot.clone() }, &reason) {
                Ok(()) | Err(Rejection::ImportedPointsExpired) => {}
                Err(rejection) => return Err(rejection),
            }
        }
        Ok(())
    }

    /// Subtracts the lots that are chosen and can still be spent, whole. Returns their
    /// points.
    fn take_usable_lots(&mut self, import: &ImportId, is_chosen: impl Fn(&Lot) -> bool) -> Points {
        let now = self.context.now;
        let chosen = self.account.usable_lots(now).filter(|lot| is_chosen(lot));
        let lots: Vec<(_, Points)> = chosen.map(|lot| (lot.id, lot.points)).collect();
        let sum = lots
            .iter()
            .fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points));
        if !lots.is_empty() {
            self.emit(Event::PointsSubtracted { lots, reason: reason_of(import), at: Some(now) });
        }
        sum
    }
}

/// A balance is moved, which is no activity of the customer.
fn reason_of(import: &ImportId) -> AdjustmentReason {
    AdjustmentReason {
        action: None,
        text: Some(format!("import {import}").into()),
        sets_balance: true,
        import: Some(import.clone()),
    }
}
