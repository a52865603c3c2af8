//! The model of gifts and of redemptions.

use chrono::{Days, NaiveDateTime};

use crate::model::{Expiry, Lot, Model, ModelResult};
use crate::ratio::Ratio;

/// Why a gift is given: the rank of a tier, or the number of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Tier(usize),
    Goal(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GiftState {
    Open,
    Used,
    /// It was used when its cause was undone.
    Kept,
    TakenBack,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Gift {
    pub(crate) cause: Cause,
    /// The customer keeps it whatever becomes of its cause.
    is_for_ever: bool,
    pub(crate) state: GiftState,
}

/// The state of a reward that points were spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedemptionState {
    Issued,
    Used(usize),
    Cancelled,
}

#[derive(Clone, Debug)]
pub(crate) struct Redemption {
    pub(crate) state: RedemptionState,
    /// What is spent on it now: points of lots, points that were owed, and the instant.
    parts: Vec<Lot>,
    owed: i64,
    spent_at: NaiveDateTime,
    /// Points that came back with goods.
    returned: i64,
}

impl Redemption {
    fn spent(&self) -> i64 {
        self.owed + self.parts.iter().map(|part| part.points).sum::<i64>()
    }
}

/// What a reward costs, and what becomes of its points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RewardTerms {
    pub(crate) cost: i64,
    /// The grace period in days of points that have ended.
    pub(crate) grace: u64,
    /// A cancelled order gives the points back, not the code.
    pub(crate) cancelled_gives_points: bool,
    /// Goods that come back give the points back.
    pub(crate) refunded_gives_points: bool,
}

impl Model {
    // Gifts.

    pub(crate) fn give(&mut self, cause: Cause, is_for_ever: bool, is_repeatable: bool) {
        let last = self.gifts.iter_mut().rev().find(|gift| gift.cause == cause);
        match last {
            Some(Gift { state: state @ GiftState::Kept, .. }) => *state = GiftState::Used,
            Some(Gift { state: GiftState::Open | GiftState::Used, .. }) if !is_repeatable => {}
            _ => self.gifts.push(Gift { cause, is_for_ever, state: GiftState::Open }),
        }
    }

    pub(crate) fn undo_gift(&mut self, cause: Cause) {
        let last = self.gifts.iter_mut().rev().find(|gift| gift.cause == cause);
        let Some(gift) = last.filter(|gift| !gift.is_for_ever) else {
            return;
        };
        gift.state = match gift.state {
            GiftState::Open | GiftState::TakenBack => GiftState::TakenBack,
            GiftState::Used | GiftState::Kept => GiftState::Kept,
        };
    }

    /// Returns true if the last gift for a cause was undone.
    pub(crate) fn has_undone(&self, cause: Cause) -> bool {
        let last = self.gifts.iter().rev().find(|gift| gift.cause == cause);
        last.is_some_and(|gift| matches!(gift.state, GiftState::Kept | GiftState::TakenBack))
    }

    /// The cause of the first gift that can be used.
    pub(crate) fn open_gift(&self) -> Option<Cause> {
        let open = self.gifts.iter().find(|gift| gift.state == GiftState::Open);
        open.map(|gift| gift.cause)
    }

    /// Uses the first open gift for a cause.
    pub(crate) fn use_gift(&mut self, cause: Cause) {
        let is_meant = |gift: &&mut Gift| gift.cause == cause && gift.state == GiftState::Open;
        self.gifts.iter_mut().find(is_meant).unwrap().state = GiftState::Used;
    }

    // Redemptions.

    pub(crate) fn redeem(&mut self) -> ModelResult {
        let RewardTerms { cost, .. } = self.rules.reward;
        if self.balance() < cost {
            return Err("insufficient_points");
        }
        let parts = self.spend(cost);
        self.record_activity(true, false);
        self.redemptions.push(Redemption {
            state: RedemptionState::Issued,
            parts,
            owed: 0,
            spent_at: self.now,
            returned: 0,
        });
        self.settle();
        Ok(())
    }

    /// Takes points from lots in spending order, as far as there are any.
    fn spend(&mut self, points: i64) -> Vec<Lot> {
        self.sort();
        let (mut missing, mut parts) = (points, Vec::new());
        for lot in &mut self.lots {
            let part = missing.min(lot.points);
            if part > 0 {
                parts.push(Lot { points: part, ..lot.clone() });
                lot.points -= part;
                missing -= part;
            }
        }
        self.lots.retain(|lot| lot.points > 0);
        parts
    }

    /// Brings the redemption of an order's code in step with the order.
    pub(crate) fn follow_order(&mut self, order: usize) {
        let (content, is_cancelled) = (self.orders[order].content, self.orders[order].cancelled);
        let Some(code) = content.code else { return };
        if is_cancelled {
            return self.release_code(code, order);
        }
        match self.redemptions[code].state {
            RedemptionState::Issued => self.redemptions[code].state = RedemptionState::Used(order),
            RedemptionState::Cancelled => self.spend_again(code, order),
            RedemptionState::Used(_) => {}
        }
        self.settle();
        if self.redemptions[code].state == RedemptionState::Used(order) {
            self.return_share(code, self.orders[order].returned_share());
        }
        self.settle();
    }

    fn spend_again(&mut self, code: usize, order: usize) {
        let cost = self.rules.reward.cost;
        let parts = self.spend(cost);
        let missing = cost - parts.iter().map(|part| part.points).sum::<i64>();
        let owed = if self.rules.stop_at_zero { 0 } else { missing };
        self.debt += owed;
        let (state, spent_at) = (RedemptionState::Used(order), self.now);
        let new = Redemption { state, parts, owed, spent_at, returned: 0 };
        if new.spent() > 0 {
            self.record_activity(true, false);
        }
        self.redemptions[code] = new;
    }

    /// The order that used the code was cancelled.
    fn release_code(&mut self, code: usize, order: usize) {
        let redemption = &mut self.redemptions[code];
        if redemption.state != RedemptionState::Used(order) {
            return;
        }
        if !self.rules.reward.cancelled_gives_points && redemption.returned == 0 {
            redemption.state = RedemptionState::Issued;
            return;
        }
        redemption.state = RedemptionState::Cancelled;
        self.return_points(code, i64::MAX);
        self.settle();
    }

    /// Returns the points of a share of the goods, less those that were returned before.
    fn return_share(&mut self, code: usize, share: Ratio) {
        if !self.rules.reward.refunded_gives_points {
            return;
        }
        let redemption = &self.redemptions[code];
        let all = redemption.spent() + redemption.returned;
        let due = share.times(Ratio::whole(all)).floor() - redemption.returned;
        if due > 0 {
            self.redemptions[code].returned += due;
            self.return_points(code, due);
        }
    }

    /// Returns up to `points`: first what was owed, then the parts that were spent last.
    fn return_points(&mut self, code: usize, points: i64) {
        let redemption = &mut self.redemptions[code];
        let spent_at = redemption.spent_at;
        let mut left = points.min(redemption.spent());
        if left == 0 {
            return;
        }
        let owed = left.min(redemption.owed);
        (redemption.owed, left) = (redemption.owed - owed, left - owed);
        let mut back = Vec::new();
        for part in redemption.parts.iter_mut().rev() {
            let points = left.min(part.points);
            (part.points, left) = (part.points - points, left - points);
            back.push((Lot { points, ..part.clone() }, false));
        }
        redemption.parts.retain(|part| part.points > 0);

        let grace = self.now + Days::new(self.rules.reward.grace);
        let has_ended_idle = self.has_ended_idle(spent_at);
        for (lot, is_new) in &mut back {
            if lot.expires.map_or(has_ended_idle, |end| end <= self.now) {
                (lot.expires, *is_new) = (Some(grace), true);
            }
        }
        let debt_lot = Lot {
            id: u32::MAX,
            order: None,
            points: owed,
            earned: self.now,
            expires: self.expires(self.now),
            until: None,
        };
        back.push((debt_lot, true));
        back.retain(|(lot, _)| lot.points > 0);
        back.sort_by_key(|(lot, _)| (lot.expires.is_none(), lot.expires, lot.earned, lot.id));

        let was_empty = self.lots.is_empty();
        for (lot, is_new) in back {
            self.put_back(&lot, is_new);
        }
        self.record_activity(false, was_empty);
    }

    /// Returns true if points without an end that were spent then would have ended since.
    fn has_ended_idle(&self, spent_at: NaiveDateTime) -> bool {
        let is_over = match self.rules.expiry {
            Expiry::Inactivity { days, earning_and_redeeming_only } => {
                let last = if earning_and_redeeming_only {
                    self.last_activity_at
                } else {
                    self.last_change_at
                };
                last.is_some_and(|last| last + Days::new(days) <= self.now)
            }
            Expiry::Never | Expiry::PerLot { .. } => false,
        };
        is_over || self.ended_idle_at.is_some_and(|ended| spent_at < ended)
    }

    fn put_back(&mut self, lot: &Lot, is_new: bool) {
        let paid = lot.points.min(self.debt);
        self.debt -= paid;
        let points = lot.points - paid;
        if points == 0 {
            return;
        }
        let is_shared = |lot: &Lot| lot.expires.is_none() && lot.order.is_none();
        let is_home = |known: &&mut Lot| {
            (is_shared(known) && is_shared(lot)) || (!is_new && known.id == lot.id)
        };
        if let Some(known) = self.lots.iter_mut().find(is_home) {
            known.points += points;
            return;
        }
        let mut id = lot.id;
        if is_new {
            self.lots_opened += 1;
            id = self.lots_opened;
        }
        self.lots.push(Lot { id, points, ..lot.clone() });
    }
}
