//! The activity of an account: usage of limits, bonuses that can be clawed back, tier and
//! referrals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::{Gifts, StateBefore};
use crate::amount::Points;
use crate::award::{Award, AwardReason};
use crate::calendar::Timestamp;
use crate::id::{AccountId, ActionId, LotId, OrderId, RewardId, RuleId, TierId};
use crate::limit::Span;
use crate::lot::LotCredit;
use crate::tier::{EarnedTier, TierChange};

/// A usage in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct UsageCount {
    /// The number of times.
    pub times: u32,
    /// The points.
    pub points: Points,
}

impl UsageCount {
    fn add(&mut self, points: Points) {
        self.times = self.times.saturating_add(1);
        self.points = self.points.saturating_add(points);
    }

    fn plus(self, other: Self) -> Self {
        let (times, points) =
            (self.times.saturating_add(other.times), self.points.saturating_add(other.points));
        Self { times, points }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            times: self.times.saturating_sub(other.times),
            points: self.points.saturating_sub(other.points).max(Points::ZERO),
        }
    }

    fn release(&mut self, points: Points) {
        self.times = self.times.saturating_sub(1);
        self.points = self.points.saturating_sub(points).max(Points::ZERO);
    }
}

/// The usage of one action, rule or reward in the current periods of the shop's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Usage {
    /// The last day of use. The periods below are those that contain it.
    #[cfg_attr(feature = "json", serde(rename = "last"))]
    last_day: NaiveDate,
    day: UsageCount,
    week: UsageCount,
    month: UsageCount,
    year: UsageCount,
    ever: UsageCount,
}

impl Usage {
    /// No usage yet.
    pub(crate) fn new(day: NaiveDate) -> Self {
        let [day_tally, week, month, year, ever] = [UsageCount::default(); 5];
        Self { last_day: day, day: day_tally, week, month, year, ever }
    }

    /// The usage in the period that contains `day`.
    pub(crate) fn tally(&self, span: Span, day: NaiveDate) -> UsageCount {
        let tally = match span {
            Span::Day => self.day,
            Span::Week => self.week,
            Span::Month => self.month,
            Span::Year => self.year,
            Span::Ever => self.ever,
        };
        if span.contains_both(self.last_day, day) { tally } else { UsageCount::default() }
    }

    /// Counts points of a day.
    pub(crate) fn add(&mut self, day: NaiveDate, points: Points) {
        let last = day.max(self.last_day);
        let [on_day, week, month, year, ever] =
            [Span::Day, Span::Week, Span::Month, Span::Year, Span::Ever].map(|span| {
                let mut tally = self.tally(span, last);
                // If the clock was put back, an earlier day may be outside the current
                // period.
                if span.contains_both(last, day) {
                    tally.add(points);
                }
                tally
            });
        *self = Self { last_day: last, day: on_day, week, month, year, ever };
    }

    /// Takes off points that were counted on a day.
    pub(crate) fn release(&mut self, day: NaiveDate, points: Points) {
        let last = self.last_day;
        let tallies = [
            (Span::Day, &mut self.day),
            (Span::Week, &mut self.week),
            (Span::Month, &mut self.month),
            (Span::Year, &mut self.year),
            (Span::Ever, &mut self.ever),
        ];
        for (_, tally) in tallies.into_iter().filter(|(span, _)| span.contains_both(last, day)) {
            tally.release(points);
        }
    }

    fn merge_all<Id: Ord + Clone>(all: &mut BTreeMap<Id, Self>, others: &BTreeMap<Id, Self>) {
        for (id, usage) in others {
            let merged = all.get(id).map_or(*usage, |own| own.merge_with(*usage));
            all.insert(id.clone(), merged);
        }
    }

    fn release_all<Id: Ord>(all: &mut BTreeMap<Id, Self>, others: &BTreeMap<Id, Self>) {
        all.retain(|id, usage| {
            let Some(other) = others.get(id) else { return true };
            *usage = usage.without(*other);
            usage.ever.times > 0
        });
    }

    /// The usage of two accounts together, less that of one.
    fn without(self, other: Self) -> Self {
        let last = self.last_day;
        let [day, week, month, year, ever] =
            [Span::Day, Span::Week, Span::Month, Span::Year, Span::Ever]
                .map(|span| self.tally(span, last).minus(other.tally(span, last)));
        Self { last_day: last, day, week, month, year, ever }
    }

    /// The usage of two accounts together.
    fn merge_with(self, other: Self) -> Self {
        let last = self.last_day.max(other.last_day);
        let [day, week, month, year, ever] =
            [Span::Day, Span::Week, Span::Month, Span::Year, Span::Ever]
                .map(|span| self.tally(span, last).plus(other.tally(span, last)));
        Self { last_day: last, day, week, month, year, ever }
    }
}

/// A bonus that can be clawed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Bonus {
    /// The points granted.
    pub points: Points,
    /// The lot that they were credited to.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub lot: Option<LotId>,
    /// The instant since which they are in the non-expiring lot, if they are.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "lasting"))]
    pub non_expiring_since: Option<Timestamp>,
    /// The points of them that expired. In the non-expiring lot this is known only at a
    /// clawback.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub expired: Points,
    /// The instant of the grant.
    pub at: Timestamp,
    /// It was clawed back.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "returned"))]
    pub taken_back: bool,
}

impl Bonus {
    /// The points that have not expired, and can be clawed back.
    pub fn remaining(&self) -> Points {
        self.points.saturating_sub(self.expired)
    }

    fn is_in(&self, lot: LotId) -> bool {
        self.lot == Some(lot) && !self.taken_back
    }
}

/// The referral by which this customer came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ReferralLink {
    /// The referrer's account.
    #[cfg_attr(feature = "json", serde(rename = "by"))]
    pub referrer: AccountId,
    /// The order that completed it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub order: Option<OrderId>,
}

/// Everything that an account remembers besides its points. Copied only on change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct AccountActivity {
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) actions: BTreeMap<ActionId, Usage>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) rules: BTreeMap<RuleId, Usage>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub(super) codes: BTreeSet<Arc<str>>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) rewards: BTreeMap<RewardId, Usage>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "birthday"))]
    pub(super) last_birthday_year: Option<i32>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "anniversary"))]
    pub(super) last_anniversary: Option<u32>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "tier"))]
    pub(super) earned_tier: Option<EarnedTier>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) tier_change: Option<TierChange>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "entered"))]
    pub(super) tier_entries: BTreeMap<TierId, Bonus>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) referral_code: Option<Arc<str>>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "joined"))]
    pub(super) referral: Option<ReferralLink>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) received: BTreeMap<OrderId, Bonus>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) sent: BTreeMap<OrderId, Bonus>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) milestones: BTreeMap<u32, Bonus>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Gifts::is_empty"))]
    pub(super) gifts: Gifts,
}

impl AccountActivity {
    /// The usage of an action.
    pub fn action(&self, action: &ActionId) -> Option<&Usage> {
        self.actions.get(action)
    }

    /// The usage of an earning rule with a limit.
    pub fn rule(&self, rule: &RuleId) -> Option<&Usage> {
        self.rules.get(rule)
    }

    /// The usage of a reward.
    pub fn reward(&self, reward: &RewardId) -> Option<&Usage> {
        self.rewards.get(reward)
    }

    /// The actions that have been performed.
    pub fn actions(&self) -> impl Iterator<Item = &ActionId> {
        self.actions.keys()
    }

    /// The earning rules with a limit that have been used.
    pub fn limited_rules(&self) -> impl Iterator<Item = &RuleId> {
        self.rules.keys()
    }

    /// The rewards that have been redeemed.
    pub fn rewards(&self) -> impl Iterator<Item = &RewardId> {
        self.rewards.keys()
    }

    /// Returns true if the customer has used a code. `code` must be normalized.
    pub fn has_used_code(&self, code: &str) -> bool {
        self.codes.contains(code)
    }

    /// The last year whose birthday got a bonus.
    pub fn last_birthday_year(&self) -> Option<i32> {
        self.last_birthday_year
    }

    /// The last anniversary that got a bonus, in years.
    pub fn last_anniversary(&self) -> Option<u32> {
        self.last_anniversary
    }

    /// The bonus for entering a tier.
    pub fn tier_entry(&self, tier: &TierId) -> Option<&Bonus> {
        self.tier_entries.get(tier)
    }

    /// The code that this customer gives to friends.
    pub fn referral_code(&self) -> Option<&str> {
        self.referral_code.as_deref()
    }

    /// The referral by which this customer came.
    pub fn referral(&self) -> Option<&ReferralLink> {
        self.referral.as_ref()
    }

    /// The bonus for the order that completed this customer's referral.
    pub fn received(&self, order: &OrderId) -> Option<&Bonus> {
        self.received.get(order)
    }

    /// The bonuses for referring others, by the referee's order.
    pub fn sent(&self) -> &BTreeMap<OrderId, Bonus> {
        &self.sent
    }

    /// The bonus for a number of referrals.
    pub fn milestone(&self, friends: u32) -> Option<&Bonus> {
        self.milestones.get(&friends)
    }

    /// The rewards that were given for a cause.
    pub fn gifts(&self) -> &Gifts {
        &self.gifts
    }

    /// The milestones above a number of referrals whose bonus was granted.
    pub(crate) fn milestones_above(&self, friends: u32) -> impl Iterator<Item = u32> {
        let above = self
            .milestones
            .iter()
            .filter(move |(count, bonus)| **count > friends && !bonus.taken_back);
        above.map(|(count, _)| *count)
    }

    /// The number of completed referrals that were not undone.
    pub fn referral_count(&self) -> u32 {
        let stayed = self.sent.values().filter(|bonus| !bonus.taken_back).count();
        u32::try_from(stayed).unwrap_or(u32::MAX)
    }

    /// Changes the usage of a reward.
    pub(crate) fn update_reward(
        &mut self,
        reward: &RewardId,
        update: impl FnOnce(Option<Usage>) -> Option<Usage>,
    ) {
        if let Some(usage) = update(self.rewards.get(reward).copied()) {
            self.rewards.insert(reward.clone(), usage);
        }
    }

    /// Enters or leaves a tier.
    pub(super) fn change_tier(&mut self, change: &TierChange) {
        let entered = |id: &TierId| EarnedTier { id: id.clone(), since: change.at, until: None };
        self.earned_tier = change.to.as_ref().map(entered);
        self.tier_change = Some(change.clone());
    }

    /// Sets or removes the end of the earned tier.
    pub(crate) fn set_tier_end(&mut self, until: Option<Timestamp>) {
        if let Some(tier) = &mut self.earned_tier {
            tier.until = until;
        }
    }

    /// Sets the code that the customer gives to friends.
    pub(crate) fn set_referral_code(&mut self, code: &Arc<str>) {
        self.referral_code = Some(Arc::clone(code));
    }

    /// Notes who referred the customer.
    pub(crate) fn join_referral(&mut self, referrer: AccountId) {
        self.referral = Some(ReferralLink { referrer, order: None });
    }

    /// Sets the order that completed the customer's referral. `None` undoes it.
    pub(crate) fn set_referral_order(&mut self, order: Option<&OrderId>) {
        if let Some(referral) = &mut self.referral {
            referral.order = order.cloned();
        }
    }

    pub(super) fn record_rule(&mut self, rule: &RuleId, day: NaiveDate, points: Points) {
        self.rules
            .entry(rule.clone())
            .or_insert_with(|| Usage::new(day))
            .add(day, points);
    }

    pub(super) fn record_bonus(
        &mut self,
        award: &Award,
        points: Points,
        lot: Option<&LotCredit>,
        at: Timestamp,
    ) {
        self.gifts.add(award, at);
        if let Some(action) = award.reason.action() {
            self.actions
                .entry(action.clone())
                .or_insert_with(|| Usage::new(award.day))
                .add(award.day, points);
        }
        let non_expiring_since = lot.filter(|lot| lot.is_non_expiring()).map(|_| at);
        let lot = lot.map(|lot| lot.id);
        let bonus = Bonus {
            points,
            lot,
            non_expiring_since,
            expired: Points::ZERO,
            at,
            taken_back: false,
        };
        match &award.reason {
            AwardReason::Anniversary { years, .. } => {
                self.last_anniversary = self.last_anniversary.max(Some(*years));
            }
            AwardReason::Birthday { year, .. } => {
                self.last_birthday_year = self.last_birthday_year.max(Some(*year));
            }
            AwardReason::Code { code, .. } => {
                self.codes.insert(Arc::clone(code));
            }
            AwardReason::ReferralMilestone { friends } => {
                self.milestones.insert(*friends, bonus);
            }
            AwardReason::ReferralReceived { order } => {
                self.received.insert(order.clone(), bonus);
            }
            AwardReason::ReferralSent { order, .. } => {
                self.sent.insert(order.clone(), bonus);
            }
            AwardReason::TierEntry { tier } => {
                self.tier_entries.insert(tier.clone(), bonus);
            }
            AwardReason::Action { .. } | AwardReason::Goal { .. } | AwardReason::SignUp { .. } => {}
        }
    }

    /// Returns true if the lot contains a bonus that can be clawed back.
    pub(super) fn has_bonus_in(&self, lot: LotId) -> bool {
        self.bonus_lots().any(|known| known == lot)
    }

    fn bonuses_in(&mut self, lot: LotId) -> impl Iterator<Item = &mut Bonus> {
        let Self { received, sent, milestones, tier_entries, .. } = self;
        let orders = received.values_mut().chain(sent.values_mut());
        let all = orders.chain(milestones.values_mut()).chain(tier_entries.values_mut());
        all.filter(move |bonus| bonus.is_in(lot))
    }

    /// Notes that points of a bonus expired with its lot. Such a lot contains one bonus.
    pub(super) fn expire(&mut self, lot: LotId, points: Points) {
        for bonus in self.bonuses_in(lot) {
            bonus.expired = bonus.expired.saturating_add(points.min(bonus.remaining()));
        }
    }

    /// Notes that a lot's bonus is in another lot now, or in none.
    pub(super) fn relocate(
        &mut self,
        lot: LotId,
        into: Option<LotId>,
        non_expiring_since: Option<Timestamp>,
    ) {
        self.bonuses_in(lot)
            .for_each(|bonus| (bonus.lot, bonus.non_expiring_since) = (into, non_expiring_since));
    }

    /// Marks a bonus as clawed back.
    pub(super) fn mark_taken_back(&mut self, reason: &AwardReason) {
        let bonus = match reason {
            AwardReason::ReferralMilestone { friends } => self.milestones.get_mut(friends),
            AwardReason::ReferralReceived { order } => self.received.get_mut(order),
            AwardReason::ReferralSent { order, .. } => self.sent.get_mut(order),
            AwardReason::TierEntry { tier } => self.tier_entries.get_mut(tier),
            AwardReason::Action { .. }
            | AwardReason::Anniversary { .. }
            | AwardReason::Birthday { .. }
            | AwardReason::Code { .. }
            | AwardReason::Goal { .. }
            | AwardReason::SignUp { .. } => None,
        };
        if let Some(bonus) = bonus {
            bonus.taken_back = true;
        }
    }

    /// The bonus for a reason, unless it was clawed back.
    pub(crate) fn bonus(&self, reason: &AwardReason) -> Option<&Bonus> {
        let bonus = match reason {
            AwardReason::ReferralMilestone { friends } => self.milestones.get(friends),
            AwardReason::ReferralReceived { order } => self.received.get(order),
            AwardReason::ReferralSent { order, .. } => self.sent.get(order),
            AwardReason::TierEntry { tier } => self.tier_entries.get(tier),
            AwardReason::Action { .. }
            | AwardReason::Anniversary { .. }
            | AwardReason::Birthday { .. }
            | AwardReason::Code { .. }
            | AwardReason::Goal { .. }
            | AwardReason::SignUp { .. } => None,
        };
        bonus.filter(|bonus| !bonus.taken_back)
    }

    /// The lots that contain a bonus that can be clawed back.
    pub(crate) fn bonus_lots(&self) -> impl Iterator<Item = LotId> {
        let Self { received, sent, milestones, tier_entries, .. } = self;
        let all = received
            .values()
            .chain(sent.values())
            .chain(milestones.values())
            .chain(tier_entries.values());
        all.into_iter()
            .filter(|bonus| !bonus.taken_back)
            .filter_map(|bonus| bonus.lot)
    }

    /// Adds the activity of a merged account, without its tier: that follows from the
    /// progress. `lots` maps its lots to their new numbers.
    pub(super) fn absorb(&mut self, other: &Self, lots: &BTreeMap<LotId, LotId>) {
        Usage::merge_all(&mut self.actions, &other.actions);
        Usage::merge_all(&mut self.rules, &other.rules);
        Usage::merge_all(&mut self.rewards, &other.rewards);
        self.codes.extend(other.codes.iter().cloned());
        self.last_birthday_year = self.last_birthday_year.max(other.last_birthday_year);
        self.last_anniversary = self.last_anniversary.max(other.last_anniversary);
        self.referral = self.referral.take().or_else(|| other.referral.clone());
        let moved = |bonus: &Bonus| Bonus {
            lot: bonus.lot.and_then(|lot| lots.get(&lot).copied()),
            ..*bonus
        };
        self.received.extend(
            other
                .received
                .iter()
                .map(|(order, bonus)| (order.clone(), moved(bonus))),
        );
        self.sent
            .extend(other.sent.iter().map(|(order, bonus)| (order.clone(), moved(bonus))));
        for (tier, bonus) in &other.tier_entries {
            self.tier_entries.entry(tier.clone()).or_insert_with(|| moved(bonus));
        }
        for (friends, bonus) in &other.milestones {
            self.milestones.entry(*friends).or_insert_with(|| moved(bonus));
        }
        self.gifts.absorb(&other.gifts);
    }

    /// Takes off the activity of an account that is merged no more. `before` is what both
    /// had.
    pub(super) fn release(&mut self, other: &Self, before: &StateBefore) {
        Usage::release_all(&mut self.actions, &other.actions);
        Usage::release_all(&mut self.rules, &other.rules);
        Usage::release_all(&mut self.rewards, &other.rewards);
        self.codes
            .retain(|code| !other.codes.contains(code) || before.codes.contains(code));

        if self.last_birthday_year == other.last_birthday_year {
            self.last_birthday_year = before.last_birthday_year;
        }
        if self.last_anniversary == other.last_anniversary {
            self.last_anniversary = before.last_anniversary;
        }
        if !before.referral && other.referral.is_some() {
            self.referral = None;
        }

        self.received.retain(|order, _| !other.received.contains_key(order));
        self.sent.retain(|order, _| !other.sent.contains_key(order));
        self.tier_entries.retain(|tier, _| {
            !other.tier_entries.contains_key(tier) || before.tier_entries.contains(tier)
        });
        self.milestones.retain(|friends, _| {
            !other.milestones.contains_key(friends) || before.milestones.contains(friends)
        });
        self.gifts.release(&other.gifts);
    }

    /// The same with new numbers of the lots.
    pub(super) fn with_lot_ids(&self, lots: &BTreeMap<LotId, LotId>) -> Self {
        let mut activity = self.clone();
        let Self { received, sent, milestones, tier_entries, .. } = &mut activity;
        let orders = received.values_mut().chain(sent.values_mut());
        let all = orders.chain(milestones.values_mut()).chain(tier_entries.values_mut());
        for bonus in all {
            bonus.lot = bonus.lot.and_then(|lot| lots.get(&lot).copied());
        }
        activity
    }
}
