//! Bonuses: points for anything but an order's basis. All of them are granted, and clawed
//! back, here.

use std::sync::Arc;

use crate::amount::Points;
use crate::award::{Award, AwardReason};
use crate::calendar::{Period, Timestamp};
use crate::context::ProgramPeriod;
use crate::event::Event;
use crate::limit::Limit;
use crate::program::GiftRule;
use crate::rejection::Rejection;
use crate::rules::points::IncomingPoints;
use crate::rules::work::DecisionBuilder;
use crate::rules::{clawback, expiry};

/// A bonus to be granted.
pub(crate) struct BonusGrant<'a> {
    pub(crate) at: Timestamp,
    /// The instant that hold and expiry run from.
    pub(crate) counts_from: Timestamp,
    pub(crate) points: Points,
    /// The points without limits.
    pub(crate) uncapped: Points,
    pub(crate) hold: Option<Period>,
    pub(crate) reason: AwardReason,
    /// The limit that lowered `uncapped` to `points`.
    pub(crate) limited_by: Option<Limit>,
    /// The reward beside the points.
    pub(crate) gift: Option<&'a GiftRule>,
    /// The same reason gives a gift each time that it comes.
    pub(crate) is_repeatable: bool,
}

impl BonusGrant<'_> {
    /// A bonus that counts from `at`, without hold, limits and gift.
    pub(crate) fn new(at: Timestamp, points: Points, reason: AwardReason) -> Self {
        Self {
            at,
            counts_from: at,
            points,
            uncapped: points,
            hold: None,
            reason,
            limited_by: None,
            gift: None,
            is_repeatable: false,
        }
    }
}

impl DecisionBuilder<'_> {
    /// Grants a bonus under a program. Returns false, and grants nothing, if the points
    /// cannot be counted.
    pub(crate) fn grant(&mut self, bonus: BonusGrant<'_>, period: &ProgramPeriod<'_>) -> bool {
        let BonusGrant { at, counts_from, points, uncapped, hold, reason, .. } = bonus;
        let zone = self.context.zone;
        let Ok(pending_until) = expiry::pending_until(hold, zone, counts_from, at) else {
            return false;
        };
        let gift = bonus.gift.and_then(|gift| {
            self.award_gift(gift, &reason, (at, pending_until), bonus.is_repeatable, period)
        });

        // A bonus of zero points opens no lot, so it cannot be held. It is granted all the
        // same: the record of it counts for milestones, and it can have a gift.
        let incoming = IncomingPoints {
            points,
            earned_at: counts_from,
            now: at,
            pending_until: pending_until.filter(|_| points.is_positive()),
            order: None,
        };
        let is_countable = self.account.totals().granted.checked_add(points).is_some();
        let (Ok(lot), Ok(local), true) =
            (self.lot_credit(period.program, &incoming), zone.local(at), is_countable)
        else {
            return false;
        };

        let (program, day) = (period.version_at(at), local.date());
        let limited_by = bonus.limited_by;
        let award = Arc::new(Award { reason, program, day, uncapped, limited_by, gift });
        self.emit(Event::AwardGiven { points, lot, award, at });
        true
    }

    /// Claws back a bonus, unless it was not granted or has been clawed back before.
    /// Points that expired are not taken again.
    pub(crate) fn claw_back_award(&mut self, reason: AwardReason) -> Result<(), Rejection> {
        let Some(bonus) = self.account.activity().bonus(&reason).copied() else {
            return Ok(());
        };

        let now = self.context.now;
        let policy = self.context.program().definition().debt;
        let clawback = clawback::claw_back_bonus(&self.account, now, &bonus, policy);
        let after = self.account.balance(now).checked_sub(clawback.from_balance());
        after.ok_or(Rejection::PointsOutOfRange)?;

        self.emit(Event::AwardTakenBack { reason, clawback, at: now });
        Ok(())
    }
}
