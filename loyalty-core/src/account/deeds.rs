//! What an account remembers beside its points: how often actions paid, its tier, its friends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};

use crate::amount::Points;
use crate::award::{Award, Reason, Span};
use crate::calendar::Timestamp;
use crate::event::{Event, LotPart};
use crate::id::{AccountId, ActionId, LotId, OrderId, RewardId, RuleId, TierId};
use crate::tier::{EarnedTier, TierChange};

/// How often, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// How often.
    pub times: u32,
    /// How many points.
    pub points: Points,
}

impl Tally {
    fn add(&mut self, points: Points) {
        self.times = self.times.saturating_add(1);
        self.points = self.points.saturating_add(points);
    }

    fn plus(self, other: Self) -> Self {
        let (times, points) =
            (self.times.saturating_add(other.times), self.points.saturating_add(other.points));
        Self { times, points }
    }

    fn give_back(&mut self, points: Points) {
        self.times = self.times.saturating_sub(1);
        self.points = self.points.saturating_sub(points).max(Points::ZERO);
    }
}

/// What one action or rule has paid, by the shop's days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Usage {
    /// The last day on which it paid.
    last: NaiveDate,
    day: Tally,
    week: Tally,
    month: Tally,
    year: Tally,
    ever: Tally,
}

impl Usage {
    fn new(day: NaiveDate) -> Self {
        let [day_tally, week, month, year, ever] = [Tally::default(); 5];
        Self { last: day, day: day_tally, week, month, year, ever }
    }

    /// What was paid in the span that this day lies in.
    pub(crate) fn tally(&self, span: Span, day: NaiveDate) -> Tally {
        let tally = match span {
            Span::Day => self.day,
            Span::Week => self.week,
            Span::Month => self.month,
            Span::Year => self.year,
            Span::Ever => self.ever,
        };
        if span.holds_both(self.last, day) { tally } else { Tally::default() }
    }

    fn add(&mut self, day: NaiveDate, points: Points) {
        let last = day.max(self.last);
        let [on_day, week, month, year, ever] =
            [Span::Day, Span::Week, Span::Month, Span::Year, Span::Ever].map(|span| {
                let mut tally = self.tally(span, last);
                // A clock was put back: what is of an earlier span leaves this one alone.
                if span.holds_both(last, day) {
                    tally.add(points);
                }
                tally
            });
        *self = Self { last, day: on_day, week, month, year, ever };
    }

    /// What was counted on a day counts no more.
    fn give_back(&mut self, day: NaiveDate, points: Points) {
        let last = self.last;
        let tallies = [
            (Span::Day, &mut self.day),
            (Span::Week, &mut self.week),
            (Span::Month, &mut self.month),
            (Span::Year, &mut self.year),
            (Span::Ever, &mut self.ever),
        ];
        for (_, tally) in tallies.into_iter().filter(|(span, _)| span.holds_both(last, day)) {
            tally.give_back(points);
        }
    }

    fn merge<Id: Ord + Clone>(all: &mut BTreeMap<Id, Self>, others: &BTreeMap<Id, Self>) {
        for (id, usage) in others {
            let merged = all.get(id).map_or(*usage, |own| own.merged(*usage));
            all.insert(id.clone(), merged);
        }
    }

    /// The usage of two accounts that became one.
    fn merged(self, other: Self) -> Self {
        let last = self.last.max(other.last);
        let [day, week, month, year, ever] =
            [Span::Day, Span::Week, Span::Month, Span::Year, Span::Ever]
                .map(|span| self.tally(span, last).plus(other.tally(span, last)));
        Self { last, day, week, month, year, ever }
    }

    /// Folds an event that counts for a reward: of one customer, or of all customers of a shop together.
    #[must_use]
    pub fn evolve(usage: Option<Self>, event: &Event) -> Option<Self> {
        let mut usage = usage;
        if let Event::RewardRedeemed { issue } = event {
            usage
                .get_or_insert_with(|| Self::new(issue.day))
                .add(issue.day, issue.points);
        } else if let (
            Event::RedemptionCancelled { slot: Some(slot), .. }
            | Event::RedemptionExpired { slot: Some(slot), .. },
            Some(usage),
        ) = (event, &mut usage)
        {
            usage.give_back(slot.day, slot.points);
        }
        usage
    }
}

impl Span {
    fn holds_both(self, one: NaiveDate, other: NaiveDate) -> bool {
        match self {
            Self::Day => one == other,
            Self::Week => one.iso_week() == other.iso_week(),
            Self::Month => (one.year(), one.month()) == (other.year(), other.month()),
            Self::Year => one.year() == other.year(),
            Self::Ever => true,
        }
    }
}

/// Points that were given once and may be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Given {
    /// How many.
    pub points: Points,
    /// The lot that they went into.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub lot: Option<LotId>,
    /// Since when they are in the lot without an end, where they are.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub lasting: Option<Timestamp>,
    /// How many of them ran out unspent; of those in the lot without an end that shows when they are taken
    /// back.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub expired: Points,
    /// When.
    pub at: Timestamp,
    /// Taken back since.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub returned: bool,
}

impl Given {
    /// What of it has not run out: what there is to take back.
    pub fn remaining(&self) -> Points {
        self.points.saturating_sub(self.expired)
    }

    fn is_in(&self, lot: LotId) -> bool {
        self.lot == Some(lot) && !self.returned
    }
}

/// Who brought this customer, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Joined {
    /// The account of who brought them.
    pub by: AccountId,
    /// The order that completed it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub order: Option<OrderId>,
}

/// All of it. Copied only when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Deeds {
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) actions: BTreeMap<ActionId, Usage>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) rules: BTreeMap<RuleId, Usage>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub(super) codes: BTreeSet<Arc<str>>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) rewards: BTreeMap<RewardId, Usage>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) birthday: Option<i32>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) anniversary: Option<u32>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) tier: Option<EarnedTier>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) tier_change: Option<TierChange>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) entered: BTreeMap<TierId, Given>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) referral_code: Option<Arc<str>>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub(super) joined: Option<Joined>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) received: BTreeMap<OrderId, Given>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) sent: BTreeMap<OrderId, Given>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub(super) milestones: BTreeMap<u32, Given>,
}

impl Deeds {
    /// What an action has paid.
    pub fn action(&self, action: &ActionId) -> Option<&Usage> {
        self.actions.get(action)
    }

    /// What an order rule with a limit has paid.
    pub fn rule(&self, rule: &RuleId) -> Option<&Usage> {
        self.rules.get(rule)
    }

    /// How much of a reward this customer has had.
    pub fn reward(&self, reward: &RewardId) -> Option<&Usage> {
        self.rewards.get(reward)
    }

    /// Whether this customer has used a manual code. Codes are folded.
    pub fn has_used(&self, code: &str) -> bool {
        self.codes.contains(code)
    }

    /// The last year whose birthday was given points for.
    pub fn birthday(&self) -> Option<i32> {
        self.birthday
    }

    /// The last anniversary, in years.
    pub fn anniversary(&self) -> Option<u32> {
        self.anniversary
    }

    /// What was given for entering a tier.
    pub fn entered(&self, tier: &TierId) -> Option<&Given> {
        self.entered.get(tier)
    }

    /// The code that this customer gives to friends.
    pub fn referral_code(&self) -> Option<&str> {
        self.referral_code.as_deref()
    }

    /// Who brought this customer.
    pub fn joined(&self) -> Option<&Joined> {
        self.joined.as_ref()
    }

    /// What this customer got for the order by which their referral was completed.
    pub fn received(&self, order: &OrderId) -> Option<&Given> {
        self.received.get(order)
    }

    /// What this customer got for bringing friends, by the friend's order.
    pub fn sent(&self) -> &BTreeMap<OrderId, Given> {
        &self.sent
    }

    /// What was given for a number of friends.
    pub fn milestone(&self, friends: u32) -> Option<&Given> {
        self.milestones.get(&friends)
    }

    /// The numbers of friends above this one that something was given for.
    pub(crate) fn milestones_above(&self, friends: u32) -> impl Iterator<Item = u32> {
        let above = self
            .milestones
            .iter()
            .filter(move |(count, given)| **count > friends && !given.returned);
        above.map(|(count, _)| *count)
    }

    /// How many friends were brought and stayed.
    pub fn friends(&self) -> u32 {
        let stayed = self.sent.values().filter(|given| !given.returned).count();
        u32::try_from(stayed).unwrap_or(u32::MAX)
    }

    pub(super) fn count_reward(&mut self, event: &Event) {
        let Some(reward) = event.reward() else { return };
        if let Some(usage) = Usage::evolve(self.rewards.get(reward).copied(), event) {
            self.rewards.insert(reward.clone(), usage);
        }
    }

    pub(super) fn used_rule(&mut self, rule: &RuleId, day: NaiveDate, points: Points) {
        self.rules
            .entry(rule.clone())
            .or_insert_with(|| Usage::new(day))
            .add(day, points);
    }

    pub(super) fn award(
        &mut self,
        award: &Award,
        points: Points,
        lot: Option<&LotPart>,
        at: Timestamp,
    ) {
        if let Some(action) = award.reason.action() {
            self.actions
                .entry(action.clone())
                .or_insert_with(|| Usage::new(award.day))
                .add(award.day, points);
        }
        let lasting = lot.filter(|lot| lot.is_lasting()).map(|_| at);
        let lot = lot.map(|lot| lot.id);
        let given = Given {
            points,
            lot,
            lasting,
            expired: Points::ZERO,
            at,
            returned: false,
        };
        match &award.reason {
            Reason::Anniversary { years, .. } => {
                self.anniversary = self.anniversary.max(Some(*years))
            }
            Reason::Birthday { year, .. } => self.birthday = self.birthday.max(Some(*year)),
            Reason::Code { code, .. } => {
                self.codes.insert(Arc::clone(code));
            }
            Reason::ReferralMilestone { friends } => {
                self.milestones.insert(*friends, given);
            }
            Reason::ReferralReceived { order } => {
                self.received.insert(order.clone(), given);
            }
            Reason::ReferralSent { order, .. } => {
                self.sent.insert(order.clone(), given);
            }
            Reason::TierEntry { tier } => {
                self.entered.insert(tier.clone(), given);
            }
            Reason::Action { .. } | Reason::Goal { .. } | Reason::SignUp { .. } => {}
        }
    }

    /// Whether something that can be taken back went into this lot.
    pub(super) fn gave_into(&self, lot: LotId) -> bool {
        self.lots().any(|known| known == lot)
    }

    fn given_into(&mut self, lot: LotId) -> impl Iterator<Item = &mut Given> {
        let Self { received, sent, milestones, entered, .. } = self;
        let orders = received.values_mut().chain(sent.values_mut());
        let all = orders.chain(milestones.values_mut()).chain(entered.values_mut());
        all.filter(move |given| given.is_in(lot))
    }

    /// Points of a lot with an end ran out. It holds one thing that was given.
    pub(super) fn expire(&mut self, lot: LotId, points: Points) {
        for given in self.given_into(lot) {
            given.expired = given.expired.saturating_add(points.min(given.remaining()));
        }
    }

    /// What was in a lot is in another one now, or in none.
    pub(super) fn relocate(&mut self, lot: LotId, into: Option<LotId>, lasting: Option<Timestamp>) {
        self.given_into(lot)
            .for_each(|given| (given.lot, given.lasting) = (into, lasting));
    }

    /// What was given is taken back.
    pub(super) fn take_back(&mut self, reason: &Reason) {
        let given = match reason {
            Reason::ReferralMilestone { friends } => self.milestones.get_mut(friends),
            Reason::ReferralReceived { order } => self.received.get_mut(order),
            Reason::ReferralSent { order, .. } => self.sent.get_mut(order),
            Reason::TierEntry { tier } => self.entered.get_mut(tier),
            Reason::Action { .. }
            | Reason::Anniversary { .. }
            | Reason::Birthday { .. }
            | Reason::Code { .. }
            | Reason::Goal { .. }
            | Reason::SignUp { .. } => None,
        };
        if let Some(given) = given {
            given.returned = true;
        }
    }

    /// What was given, for as long as it was not taken back.
    pub(crate) fn given(&self, reason: &Reason) -> Option<&Given> {
        let given = match reason {
            Reason::ReferralMilestone { friends } => self.milestones.get(friends),
            Reason::ReferralReceived { order } => self.received.get(order),
            Reason::ReferralSent { order, .. } => self.sent.get(order),
            Reason::TierEntry { tier } => self.entered.get(tier),
            Reason::Action { .. }
            | Reason::Anniversary { .. }
            | Reason::Birthday { .. }
            | Reason::Code { .. }
            | Reason::Goal { .. }
            | Reason::SignUp { .. } => None,
        };
        given.filter(|given| !given.returned)
    }

    /// The lots that hold something that was given and not taken back.
    pub(crate) fn lots(&self) -> impl Iterator<Item = LotId> {
        let Self { received, sent, milestones, entered, .. } = self;
        let all = received
            .values()
            .chain(sent.values())
            .chain(milestones.values())
            .chain(entered.values());
        all.into_iter()
            .filter(|given| !given.returned)
            .filter_map(|given| given.lot)
    }

    /// What a merged account brings, without its tier: that follows from its progress. Lots have other
    /// numbers now.
    pub(super) fn absorb(&mut self, other: &Self, lots: &BTreeMap<LotId, LotId>) {
        Usage::merge(&mut self.actions, &other.actions);
        Usage::merge(&mut self.rules, &other.rules);
        Usage::merge(&mut self.rewards, &other.rewards);
        self.codes.extend(other.codes.iter().cloned());
        self.birthday = self.birthday.max(other.birthday);
        self.anniversary = self.anniversary.max(other.anniversary);
        self.joined = self.joined.take().or_else(|| other.joined.clone());
        let moved = |given: &Given| Given {
            lot: given.lot.and_then(|lot| lots.get(&lot).copied()),
            ..*given
        };
        self.received.extend(
            other
                .received
                .iter()
                .map(|(order, given)| (order.clone(), moved(given))),
        );
        self.sent
            .extend(other.sent.iter().map(|(order, given)| (order.clone(), moved(given))));
        for (tier, given) in &other.entered {
            self.entered.entry(tier.clone()).or_insert_with(|| moved(given));
        }
        for (friends, given) in &other.milestones {
            self.milestones.entry(*friends).or_insert_with(|| moved(given));
        }
    }
}
