//! The model of guests whose points become the customer's, and of the undoing of that.

use chrono::{Days, NaiveDate, NaiveDateTime};

use crate::model::{Lot, Model, ModelResult, Rules};

/// What came from a guest.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    lots: Vec<Lot>,
    /// Nothing of it paid off debt, and no debt came with it.
    is_whole: bool,
    guest_active_at: Option<NaiveDateTime>,
    active_before: Option<NaiveDateTime>,
}

impl Model {
    /// Takes over the points of a guest, who has nothing but points that were added.
    pub(crate) fn claim(&mut self, guest: &mut Self) {
        guest.sort();
        let was_empty = self.lots.is_empty();
        let mut claim = Claim {
            lots: Vec::new(),
            is_whole: self.debt == 0,
            guest_active_at: guest.last_activity_at,
            active_before: self.last_activity_at,
        };
        for mut lot in std::mem::take(&mut guest.lots) {
            let paid = self.debt.min(lot.points);
            (self.debt, lot.points) = (self.debt - paid, lot.points - paid);
            if lot.points == 0 {
                continue;
            }
            let shared = self.lots.iter_mut().find(|known| {
                known.expires.is_none() && known.order.is_none() && lot.expires.is_none()
            });
            if let Some(shared) = shared {
                lot.id = shared.id;
                shared.points += lot.points;
            } else {
                self.lots_opened += 1;
                lot.id = self.lots_opened;
                self.lots.push(lot.clone());
            }
            claim.lots.push(lot);
        }

        self.last_activity_at = self.last_activity_at.max(guest.last_activity_at);
        self.record_activity(false, was_empty);
        self.claims.push(claim);
        self.settle();
    }

    /// Gives back what came from the last guest, if all of it that has not ended is there.
    pub(crate) fn undo_claim(&mut self) -> ModelResult {
        let claim = self.claims.last().cloned().unwrap();
        let ends = |lot: &&Lot| lot.expires.is_none_or(|end| self.now < end);
        let left: Vec<Lot> = claim.lots.iter().filter(ends).cloned().collect();
        let is_there = |lot: &Lot| {
            let mut known = self.lots.iter();
            known.any(|known| known.id == lot.id && known.points >= lot.points)
        };
        if !claim.is_whole || !left.iter().all(is_there) {
            return Err("claim_spent");
        }

        for lot in &left {
            let known = self.lots.iter_mut().find(|known| known.id == lot.id);
            known.unwrap().points -= lot.points;
        }
        self.lots.retain(|lot| lot.points > 0);
        if self.last_activity_at == claim.guest_active_at {
            self.last_activity_at = claim.active_before;
        }
        self.record_activity(false, false);
        self.claims.pop();
        self.settle();
        Ok(())
    }

    /// A guest, of whom no birthday is known.
    pub(crate) fn guest(rules: &Rules, now: NaiveDateTime) -> Self {
        Self::new(Rules { known_since: NaiveDate::MAX - Days::new(99), ..rules.clone() }, now)
    }

    /// A claim needs that a guest's points alone lead to no tier.
    pub(crate) fn takes_guests(&self) -> bool {
        self.rules.metric != 1 || self.rules.tiers.is_empty()
    }
}
