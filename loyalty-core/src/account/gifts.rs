//! The gifts of an account: rewards that were given for a cause.

use crate::award::{Award, AwardReason};
use crate::calendar::Timestamp;
use crate::id::{ProgramVersion, RedemptionId, RewardId};
use crate::program::GiftPolicy;

/// A gift of an account: its cause, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Gift {
    /// The cause.
    pub cause: AwardReason,
    /// The reward.
    pub reward: RewardId,
    /// The version of the program that has the reward.
    pub program: ProgramVersion,
    /// What becomes of it where its cause is undone.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "GiftPolicy::is_default"))]
    pub when_undone: GiftPolicy,
    /// The instant from which the customer has it: that of the cause, or the end of a hold.
    pub due_at: Timestamp,
    /// What has become of it.
    pub state: GiftState,
}

/// What has become of a gift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum GiftState {
    /// It waits for its redemption.
    Pending,
    /// Its redemption can be used.
    Open(RedemptionId),
    /// Its redemption was used, cancelled or has ended.
    Closed(RedemptionId),
    /// Its redemption was used or had ended when the cause was undone. If the cause comes
    /// again, there is no second gift.
    Kept(RedemptionId),
    /// It was taken back with its cause, before its redemption was issued or used.
    TakenBack(Option<RedemptionId>),
}

impl Gift {
    /// The redemption, if it was issued.
    pub fn redemption(&self) -> Option<RedemptionId> {
        match self.state {
            GiftState::Pending => None,
            GiftState::Open(id) | GiftState::Closed(id) | GiftState::Kept(id) => Some(id),
            GiftState::TakenBack(id) => id,
        }
    }

    /// Returns true if the cause of the gift was undone, and the gift with it.
    pub fn is_undone(&self) -> bool {
        matches!(self.state, GiftState::Kept(_) | GiftState::TakenBack(_))
    }
}

/// The gifts of an account, oldest first. Only those that wait, or whose cause can be undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct Gifts(Vec<Gift>);

impl Gifts {
    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The gifts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Gift> {
        self.0.iter()
    }

    /// The first gift that waits for its redemption at `now`.
    pub fn first_due(&self, now: Timestamp) -> Option<&Gift> {
        let mut waiting = self.0.iter().filter(|gift| gift.state == GiftState::Pending);
        waiting.find(|gift| gift.due_at <= now)
    }

    /// The instant from which the next gift waits for its redemption.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.0.iter().filter(|gift| gift.state == GiftState::Pending);
        waiting.map(|gift| gift.due_at).min()
    }

    /// The newest gift for a cause.
    pub fn last_of(&self, cause: &AwardReason) -> Option<&Gift> {
        self.0.iter().rev().find(|gift| gift.cause == *cause)
    }

    /// Returns true if the redemption is a gift whose cause was undone.
    pub(crate) fn is_undone(&self, redemption: RedemptionId) -> bool {
        let mut gifts = self.0.iter();
        gifts.any(|gift| gift.redemption() == Some(redemption) && gift.is_undone())
    }

    /// Adds the gift of a bonus, or gives one back that was kept when its cause was undone.
    pub(super) fn add(&mut self, award: &Award, at: Timestamp) {
        let Some(given) = &award.gift else { return };
        let cause = &award.reason;

        if given.was_kept {
            let last = self.0.iter_mut().rev().find(|gift| gift.cause == *cause);
            if let Some(gift) = last
                && let GiftState::Kept(id) = gift.state
            {
                gift.state = GiftState::Closed(id);
            }
            return;
        }
        self.0.push(Gift {
            cause: cause.clone(),
            reward: given.reward.clone(),
            program: award.program,
            when_undone: given.when_undone,
            due_at: given.pending_until.unwrap_or(at),
            state: GiftState::Pending,
        });
    }

    /// Notes the redemption of the gift for a cause. A gift whose cause cannot be undone is
    /// forgotten.
    pub(super) fn issue(&mut self, cause: &AwardReason, id: RedemptionId) {
        let is_waiting = |gift: &Gift| gift.cause == *cause && gift.state == GiftState::Pending;
        let Some(index) = self.0.iter().position(is_waiting) else { return };
        if !cause.has_reversible_gift() {
            self.0.remove(index);
        } else if let Some(gift) = self.0.get_mut(index) {
            gift.state = GiftState::Open(id);
        }
    }

    /// Notes that a redemption was used or has ended.
    pub(super) fn close(&mut self, id: RedemptionId) {
        self.update(id, |state| match state {
            GiftState::TakenBack(_) | GiftState::Kept(_) => GiftState::Kept(id),
            GiftState::Pending | GiftState::Open(_) | GiftState::Closed(_) => GiftState::Closed(id),
        });
    }

    /// Notes that a redemption was cancelled.
    pub(super) fn cancel(&mut self, id: RedemptionId) {
        self.update(id, |state| match state {
            GiftState::TakenBack(_) | GiftState::Kept(_) => GiftState::TakenBack(Some(id)),
            GiftState::Pending | GiftState::Open(_) | GiftState::Closed(_) => GiftState::Closed(id),
        });
    }

    /// Notes that a redemption can be used again.
    pub(super) fn reopen(&mut self, id: RedemptionId) {
        self.update(id, |_| GiftState::Open(id));
    }

    /// Returns true if a change of a redemption would change a gift.
    pub(super) fn contains(&self, id: RedemptionId) -> bool {
        self.0.iter().any(|gift| gift.redemption() == Some(id))
    }

    fn update(&mut self, id: RedemptionId, change: impl Fn(GiftState) -> GiftState) {
        for gift in self.0.iter_mut().filter(|gift| gift.redemption() == Some(id)) {
            gift.state = change(gift.state);
        }
    }

    /// Undoes the gift for a cause: the one of this redemption, or one without any.
    pub(super) fn undo(
        &mut self,
        cause: &AwardReason,
        redemption: Option<RedemptionId>,
        is_kept: bool,
    ) {
        let same = |gift: &&mut Gift| gift.cause == *cause && gift.redemption() == redemption;
        if let Some(gift) = self.0.iter_mut().filter(|gift| !gift.is_undone()).find(same) {
            gift.state = match redemption.filter(|_| is_kept) {
                Some(id) => GiftState::Kept(id),
                None => GiftState::TakenBack(redemption),
            };
        }
    }

    /// Adds the gifts of a merged account. Of two for one cause, this account's counts.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.0.splice(0..0, other.iter().cloned());
    }

    /// Takes off the gifts of an account that is merged no more.
    pub(super) fn release(&mut self, other: &Self) {
        for gift in other.iter() {
            if let Some(index) = self.0.iter().position(|own| own == gift) {
                self.0.remove(index);
            }
        }
    }

    /// Returns true if all gifts of a merged account are here as they came.
    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        let count = |gifts: &Self, one: &Gift| gifts.iter().filter(|gift| *gift == one).count();
        other.iter().all(|gift| count(self, gift) >= count(other, gift))
    }
}
