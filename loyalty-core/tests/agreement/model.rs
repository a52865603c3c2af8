//! A simple model of one customer under one program, in UTC. It searches lists, recalculates
//! sums each time, and advances its clock in half days. It does not know when something is due:
//! it checks at each half day.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime};

use crate::claims::Claim;
use crate::gifts::{Cause, Gift, Redemption, RewardTerms};
use crate::order::{Basis, Order, OrderContent, RefundContent};

/// The end of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expiry {
    Never,
    PerLot { days: u64, to_month_end: bool },
    Inactivity { days: u64, earning_and_redeeming_only: bool },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Window {
    Lifetime,
    Rolling(u32),
    Year,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Downgrade {
    Never,
    OneStep,
    ToQualified,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tier {
    pub(crate) threshold: i64,
    pub(crate) factor: i64,
    /// The points of the entry, whether they come each time, and whether they are taken back.
    pub(crate) entry: Option<(i64, bool, bool)>,
    /// The entry has a gift, and whether it is for ever.
    pub(crate) gift: Option<bool>,
}

/// Points beside one for each unit of money, each with its conditions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extras {
    /// Points for each whole item.
    pub(crate) per_item: i64,
    /// Points of a first order.
    pub(crate) first: i64,
    /// Points of orders on weekdays, counted from Monday, and then only in the afternoon.
    pub(crate) time: (i64, [bool; 7], bool),
    /// Points of orders of at most this much.
    pub(crate) small: (i64, i64),
    /// Points of orders by the app whose note is at least this.
    pub(crate) noted: (i64, i64),
    /// Points of customers whose level is at most this.
    pub(crate) level: (i64, i64),
}

/// A program, in numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) expiry: Expiry,
    pub(crate) hold: Option<u64>,
    pub(crate) stop_at_zero: bool,
    /// 0 spend, 1 points, 2 orders.
    pub(crate) metric: usize,
    pub(crate) window: Window,
    pub(crate) down: Downgrade,
    pub(crate) term: Option<u64>,
    pub(crate) grace: Option<u64>,
    pub(crate) skipped: bool,
    pub(crate) tiers: Vec<Tier>,
    /// Points, their limit, whether the limit counts times, its period (0 day, 1 week, 2 month,
    /// 3 year, 4 ever), and whether the remaining points are granted.
    pub(crate) review: (i64, i64, bool, usize, bool),
    pub(crate) review_hold: Option<u64>,
    pub(crate) birthday: (NaiveDate, u64, i64),
    pub(crate) known_since: NaiveDate,
    pub(crate) anniversary: i64,
    pub(crate) goal_spend: (i64, i64),
    pub(crate) goal_orders: (i64, i64),
    /// The factor, and the half days from and until which it applies.
    pub(crate) campaign: (i64, i64, i64),
    /// 0 multiply, 1 highest, 2 add.
    pub(crate) combine: usize,
    pub(crate) extras: Option<Extras>,
    pub(crate) basis: Basis,
    pub(crate) reward: RewardTerms,
    /// The gifts of both goals, and whether they are for ever.
    pub(crate) goal_gifts: [Option<bool>; 2],
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lot {
    pub(crate) id: u32,
    pub(crate) order: Option<usize>,
    pub(crate) points: i64,
    pub(crate) earned: NaiveDateTime,
    pub(crate) expires: Option<NaiveDateTime>,
    pub(crate) until: Option<NaiveDateTime>,
}

pub(crate) type ModelResult = Result<(), &'static str>;

pub(crate) struct Model {
    pub(crate) rules: Rules,
    pub(crate) now: NaiveDateTime,
    pub(crate) lots: Vec<Lot>,
    pub(crate) pending: Vec<Lot>,
    pub(crate) debt: i64,
    pub(crate) lots_opened: u32,
    pub(crate) orders: Vec<Order>,
    /// Qualifying points without an order.
    non_order_points: Vec<(NaiveDateTime, NaiveDateTime, i64)>,
    pub(crate) last_change_at: Option<NaiveDateTime>,
    pub(crate) last_activity_at: Option<NaiveDateTime>,
    /// The last instant at which inactivity ended points.
    pub(crate) ended_idle_at: Option<NaiveDateTime>,
    /// Rank, beginning and end.
    pub(crate) tier: Option<(usize, NaiveDateTime, Option<NaiveDateTime>)>,
    /// Unexpired entry reward of each tier: points, lot and instant, until it is clawed back.
    entry_rewards: Vec<Option<(i64, Option<u32>, NaiveDateTime)>>,
    /// Points of the non-expiring lot that inactivity ended and the instant, less those found
    /// to belong to an entry reward.
    inactivity_expirations: Vec<(NaiveDateTime, i64)>,
    reviews: Vec<(NaiveDate, i64)>,
    birthdays: Vec<i32>,
    anniversaries: Vec<u32>,
    goals: [bool; 2],
    pub(crate) gifts: Vec<Gift>,
    pub(crate) redemptions: Vec<Redemption>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) granted_points: i64,
    /// The customer's level.
    pub(crate) level: i64,
}

impl Model {
    pub(crate) fn new(rules: Rules, now: NaiveDateTime) -> Self {
        let entry_rewards = vec![None; rules.tiers.len()];
        Self {
            rules,
            now,
            lots: Vec::new(),
            pending: Vec::new(),
            debt: 0,
            lots_opened: 0,
            orders: Vec::new(),
            non_order_points: Vec::new(),
            last_change_at: None,
            last_activity_at: None,
            ended_idle_at: None,
            tier: None,
            entry_rewards,
            inactivity_expirations: Vec::new(),
            reviews: Vec::new(),
            birthdays: Vec::new(),
            anniversaries: Vec::new(),
            goals: [false; 2],
            gifts: Vec::new(),
            redemptions: Vec::new(),
            claims: Vec::new(),
            granted_points: 0,
            level: 0,
        }
    }

    pub(crate) fn balance(&self) -> i64 {
        self.lots.iter().map(|lot| lot.points).sum::<i64>() - self.debt
    }

    pub(crate) fn pending_points(&self) -> i64 {
        let active = self
            .pending
            .iter()
            .filter(|lot| lot.expires.is_none_or(|end| self.now < end));
        active.map(|lot| lot.points).sum()
    }

    /// Advances the clock by half a day.
    pub(crate) fn advance_half_day(&mut self) {
        self.now += chrono::TimeDelta::hours(12);
        self.settle();
    }

    /// Applies what is due at this instant, until nothing is.
    pub(crate) fn settle(&mut self) {
        while self.expire()
            || self.release()
            || self.expire_by_inactivity()
            || self.review_tier()
            || self.grant_due_awards()
        {}
    }

    fn expire(&mut self) -> bool {
        self.sort();
        let has_ended = |lot: &Lot| lot.expires.is_some_and(|end| end <= self.now);
        let Some(index) = self.lots.iter().position(has_ended) else {
            return false;
        };
        let lot = self.lots.remove(index);
        self.note_expired(&lot);
        true
    }

    fn note_expired(&mut self, lot: &Lot) {
        if let Some(order) = lot.order {
            self.orders[order].expired += lot.points;
        }

        if lot.expires.is_none() && lot.order.is_none() {
            self.inactivity_expirations.push((self.now, lot.points));
            return;
        }

        for (points, ..) in self
            .entry_rewards
            .iter_mut()
            .flatten()
            .filter(|(_, into, _)| *into == Some(lot.id))
        {
            *points -= lot.points.min(*points);
        }
    }

    fn release(&mut self) -> bool {
        self.sort();
        let Some(first) = self.pending.first().filter(|lot| lot.until.unwrap() <= self.now) else {
            return false;
        };

        let lot = first.clone();
        self.pending.remove(0);
        if lot.expires.is_some_and(|end| end <= lot.until.unwrap()) {
            self.note_expired(&lot);
            return true;
        }

        let paid = lot.points.min(self.debt);
        self.debt -= paid;
        let was_empty = self.lots.is_empty();
        if lot.points > paid {
            self.insert_lot(Lot { points: lot.points - paid, until: None, ..lot });
        }

        self.record_activity(false, was_empty);
        true
    }

    fn expire_by_inactivity(&mut self) -> bool {
        let Expiry::Inactivity { days, earning_and_redeeming_only } = self.rules.expiry else {
            return false;
        };
        let last =
            if earning_and_redeeming_only { self.last_activity_at } else { self.last_change_at };
        if self.lots.is_empty() || last.is_none_or(|last| last + Days::new(days) > self.now) {
            return false;
        }

        self.ended_idle_at = Some(self.now);
        for lot in std::mem::take(&mut self.lots) {
            self.note_expired(&lot);
        }

        true
    }

    // Tiers.

    /// Sums the metric of the activity that `counts` selects by its instant and end.
    fn sum(&self, counts: impl Fn(NaiveDateTime, NaiveDateTime) -> bool) -> i64 {
        let mut sum = 0;
        for order in &self.orders {
            if counts(order.gate, order.counts_until) {
                sum += order.counted[self.rules.metric];
            }
        }

        for (at, until, points) in &self.non_order_points {
            if self.rules.metric == 1 && counts(*at, *until) {
                sum += points;
            }
        }

        sum
    }

    fn counts_until(&self) -> NaiveDateTime {
        if let Window::Rolling(months) = self.rules.window {
            after_months(self.now, months)
        } else {
            self.now
        }
    }

    fn qualified(&self) -> Option<usize> {
        if self.rules.tiers.is_empty() {
            return None;
        }

        let year = self.now.year();
        let value = match self.rules.window {
            Window::Lifetime => self.sum(|_, _| true),
            Window::Rolling(_) => self.sum(|_, until| until > self.now),
            Window::Year => self
                .sum(|at, _| at.year() == year)
                .max(self.sum(|at, _| at.year() == year - 1)),
        };
        let unit = if self.rules.metric == 0 { 10_000 } else { 1 };
        self.rules
            .tiers
            .iter()
            .rposition(|tier| tier.threshold * unit <= value)
    }

    fn review_tier(&mut self) -> bool {
        let qualified = self.qualified();
        let Some((rank, since, until)) = self.tier else {
            return qualified.map(|to| self.promote(to)).is_some();
        };

        if qualified > Some(rank) {
            self.promote(qualified.unwrap());
            return true;
        }

        let keeps_tier = self.rules.down == Downgrade::Never;
        if qualified == Some(rank) || keeps_tier {
            if until.is_some() {
                self.tier = Some((rank, since, None));
            }
            return until.is_some();
        }

        let mut end = until.unwrap_or(self.now);
        if until.is_none() {
            end = end.max(self.rules.term.map_or(end, |days| since + Days::new(days)));
            end = end + Days::new(self.rules.grace.unwrap_or(0));
        }

        if end <= self.now {
            let below =
                if self.rules.down == Downgrade::OneStep { rank.checked_sub(1) } else { None };
            self.tier = qualified.max(below).map(|rank| (rank, self.now, None));
            return true;
        }

        self.tier = Some((rank, since, Some(end)));
        until.is_none()
    }

    fn promote(&mut self, to: usize) {
        let from = self.tier.map(|(rank, ..)| rank);
        self.tier = Some((to, self.now, None));

        for rank in 0..=to {
            let Tier { entry, gift, .. } = self.rules.tiers[rank];
            let Some((points, each_time, _)) = entry else { continue };
            let passed = Some(rank) > from && self.rules.skipped;
            if (rank == to || passed) && (each_time || self.entry_rewards[rank].is_none()) {
                let lot = self.grant(points, None);
                self.entry_rewards[rank] = Some((points, lot, self.now));
                if let Some(is_for_ever) = gift {
                    self.give(Cause::Tier(rank), is_for_ever, each_time);
                }
            }
        }
    }

    fn review_tier_after_refund(&mut self, before: Option<usize>) {
        let Some((rank, ..)) = self.tier else { return };
        let after = self.qualified();
        if before < Some(rank) || after >= Some(rank) {
            return;
        }

        self.tier = after.map(|rank| (rank, self.now, None));

        for lost in 0..=rank {
            let taken_back = self.rules.tiers[lost]
                .entry
                .is_some_and(|(_, _, taken_back)| taken_back);
            if Some(lost) > after {
                self.undo_gift(Cause::Tier(lost));
            }
            if Some(lost) > after
                && taken_back
                && let Some((points, lot, since)) = self.entry_rewards[lost].take()
            {
                let is_non_expiring =
                    lot.is_some() && !matches!(self.rules.expiry, Expiry::PerLot { .. });
                let ended = self
                    .inactivity_expirations
                    .iter_mut()
                    .find(|(at, _)| is_non_expiring && *at > since);
                let expired = ended.map_or(0, |(_, left)| {
                    let expired = points.min(*left);
                    *left -= expired;
                    expired
                });
                self.deduct(points - expired, &|other| Some(other.id) == lot, None);
            }
        }
    }

    // Automatic bonuses, in the order of the program.

    fn grant_due_awards(&mut self) -> bool {
        let midnight = self.now.time() == NaiveTime::MIN;
        let today = self.now.date();
        let (born, notice, points) = self.rules.birthday;
        let known = self.rules.known_since + Days::new(notice);
        if midnight
            && birthday_in(born, today.year()) == today
            && today > known
            && !self.birthdays.contains(&today.year())
        {
            self.birthdays.push(today.year());
            self.award(points, None);
            return true;
        }

        if let Some(first) = self.orders.iter().map(|order| order.gate).min() {
            let years = u32::try_from(today.year() - first.year()).unwrap();
            let day = birthday_in(first.date(), today.year());
            if midnight && years > 0 && day == today && !self.anniversaries.contains(&years) {
                self.anniversaries.push(years);
                self.award(self.rules.anniversary, None);
                return true;
            }
        }

        let points = [self.rules.goal_spend.1, self.rules.goal_orders.1];
        for (goal, points) in points.into_iter().enumerate() {
            let is_again = self.goals[goal];
            if !self.is_goal_reached(goal) || (is_again && !self.has_undone(Cause::Goal(goal))) {
                continue;
            }
            // The points of a goal come once, its gift in place of one that was taken back.
            self.goals[goal] = true;
            self.award(if is_again { 0 } else { points }, None);
            if let Some(is_for_ever) = self.rules.goal_gifts[goal] {
                self.give(Cause::Goal(goal), is_for_ever, false);
            }
            return true;
        }

        false
    }

    fn is_goal_reached(&self, goal: usize) -> bool {
        let (metric, least) =
            [(0, self.rules.goal_spend.0 * 10_000), (2, self.rules.goal_orders.0)][goal];
        self.orders.iter().map(|order| order.counted[metric]).sum::<i64>() >= least
    }

    fn award(&mut self, points: i64, hold: Option<u64>) {
        self.grant(points, hold);
        self.non_order_points.push((self.now, self.counts_until(), points));
    }

    fn grant(&mut self, points: i64, hold: Option<u64>) -> Option<u32> {
        self.granted_points += points;
        let was_empty = self.lots.is_empty();
        let lot =
            self.add_points(points, None, self.now, hold.map(|days| self.now + Days::new(days)));
        if points > 0 {
            self.record_activity(true, was_empty);
        }
        lot
    }

    // Changes of lots.

    pub(crate) fn sort(&mut self) {
        self.lots
            .sort_by_key(|lot| (lot.expires.is_none(), lot.expires, lot.earned, lot.id));
        self.pending.sort_by_key(|lot| (lot.until, lot.earned, lot.id));
    }

    pub(crate) fn record_activity(&mut self, is_activity: bool, was_empty: bool) {
        self.last_change_at = Some(self.now);
        if is_activity || (was_empty && !self.lots.is_empty()) {
            self.last_activity_at = Some(self.now);
        }
    }

    /// The end of points that were earned then.
    pub(crate) fn expires(&self, earned: NaiveDateTime) -> Option<NaiveDateTime> {
        match self.rules.expiry {
            Expiry::Never | Expiry::Inactivity { .. } => None,
            Expiry::PerLot { days, to_month_end } => {
                let end = earned + Days::new(days);
                Some(if to_month_end { month_end(end) } else { end })
            }
        }
    }

    fn add_points(
        &mut self,
        points: i64,
        order: Option<usize>,
        earned: NaiveDateTime,
        until: Option<NaiveDateTime>,
    ) -> Option<u32> {
        let expires = self.expires(earned);
        if let Some(until) = until.filter(|until| *until > self.now) {
            self.lots_opened += 1;
            let lot = Lot {
                id: self.lots_opened,
                order,
                points,
                earned,
                expires,
                until: Some(until),
            };
            self.pending.push(lot);
            return Some(self.lots_opened);
        }

        let paid = points.min(self.debt);
        self.debt -= paid;
        if points == paid {
            return None;
        }

        let id = self.lots_opened + 1;
        Some(self.insert_lot(Lot {
            id,
            order,
            points: points - paid,
            earned,
            expires,
            until: None,
        }))
    }

    /// Adds a lot. Non-expiring lots are merged, except those of orders that inactivity may end.
    fn insert_lot(&mut self, mut lot: Lot) -> u32 {
        if lot.expires.is_none() {
            let is_separate =
                matches!(self.rules.expiry, Expiry::Inactivity { .. }) && lot.order.is_some();
            if !is_separate {
                if let Some(order) = lot.order.take() {
                    self.orders[order].non_expiring = true;
                }
                let existing = self
                    .lots
                    .iter_mut()
                    .find(|lot| lot.expires.is_none() && lot.order.is_none());
                if let Some(existing) = existing {
                    existing.points += lot.points;
                    return existing.id;
                }
            }
        }

        let id = lot.id;
        self.lots_opened = self.lots_opened.max(id);
        self.lots.push(lot);
        id
    }

    /// Deducts points from own lots, then pending ones, then others. The remainder is owed or
    /// forgiven.
    fn deduct(&mut self, points: i64, is_own: &dyn Fn(&Lot) -> bool, order: Option<usize>) {
        self.sort();
        let mut missing = points;
        let mut drain = |lots: &mut Vec<Lot>, own: bool, by_id: bool| {
            let mut indexes: Vec<usize> =
                (0..lots.len()).filter(|index| is_own(&lots[*index]) == own).collect();
            if by_id {
                indexes.sort_by_key(|index| (lots[*index].order.is_none(), lots[*index].id));
            }
            for index in indexes {
                let part = missing.min(lots[index].points);
                lots[index].points -= part;
                missing -= part;
            }
        };

        drain(&mut self.lots, true, true);
        drain(&mut self.pending, true, true);
        drain(&mut self.pending, false, false);
        drain(&mut self.lots, false, false);

        let taken = if self.rules.stop_at_zero { points - missing } else { points };
        self.debt += if self.rules.stop_at_zero { 0 } else { missing };
        self.lots.retain(|lot| lot.points > 0);
        self.pending.retain(|lot| lot.points > 0);
        if let Some(order) = order {
            self.orders[order].taken += taken;
            self.orders[order].forgiven += points - taken;
        }

        if taken > 0 {
            self.record_activity(false, false);
        }
    }

    // Facts that the shop reports.

    pub(crate) fn add(&mut self, points: i64, adjusts: bool) -> ModelResult {
        if points <= 0 {
            return Err("invalid_points");
        }
        let was_empty = self.lots.is_empty();
        self.add_points(points, None, self.now, None);
        if !adjusts {
            self.non_order_points.push((self.now, self.counts_until(), points));
        }
        self.record_activity(!adjusts, was_empty);
        self.settle();
        Ok(())
    }

    pub(crate) fn subtract(&mut self, points: i64, adjusts: bool) -> ModelResult {
        if points <= 0 {
            return Err("invalid_points");
        }

        if self.lots.iter().map(|lot| lot.points).sum::<i64>() < points {
            return Err("insufficient_points");
        }

        self.sort();
        let mut missing = points;
        for lot in &mut self.lots {
            let part = missing.min(lot.points);
            lot.points -= part;
            missing -= part;
        }

        self.lots.retain(|lot| lot.points > 0);
        self.record_activity(!adjusts, false);
        self.settle();
        Ok(())
    }

    pub(crate) fn set(&mut self, to: i64) -> ModelResult {
        let change = to - self.balance();
        match change {
            0 => Ok(()),
            1.. => self.add(change, true),
            _ => self.subtract(-change, true),
        }
    }

    /// The instant of the last report of an order; `None` for a new one.
    pub(crate) fn last_reported_at(&self, order: usize) -> Option<NaiveDateTime> {
        self.orders.get(order).map(|order| order.last_reported_at)
    }

    pub(crate) fn content(&self, order: usize) -> Option<OrderContent> {
        self.orders.get(order).map(|order| order.content)
    }

    /// The points of a new order whose conditions are judged now and never again.
    fn pinned_points(&self) -> i64 {
        let Some(extras) = self.rules.extras else { return 0 };
        let mut points = 0;
        if self.orders.iter().all(|order| order.counted[2] == 0) {
            points += extras.first;
        }

        let (timed, days, afternoon) = extras.time;
        let day = usize::try_from(self.now.weekday().num_days_from_monday()).unwrap();
        if days[day] && (!afternoon || self.now.time() != NaiveTime::MIN) {
            points += timed;
        }
        if self.level <= extras.level.1 {
            points += extras.level.0;
        }
        points
    }

    /// Records the next new order, or a known one with another price, which reopens it.
    pub(crate) fn record_order(&mut self, order: usize, content: OrderContent) {
        let before = self.qualified();
        if order == self.orders.len() {
            let tier = self.tier.map_or(1, |(rank, ..)| self.rules.tiers[rank].factor);
            let (campaign, from, until) = self.rules.campaign;
            let half_days = self.half_days();
            let is_active = from <= half_days && half_days < until;
            let campaign = if is_active { campaign } else { 1 };
            let factor = match self.rules.combine {
                0 => tier * campaign,
                1 => tier.max(campaign),
                _ => tier + campaign - 1,
            };
            let (gate, counts_until) = (self.now, self.counts_until());
            let zero = Order {
                content,
                extras: self.rules.extras,
                pinned_points: self.pinned_points(),
                basis: self.rules.basis,
                highest: (content.total(), [content.line(0), content.line(1)]),
                refunds: Vec::new(),
                cancelled: false,
                counted: [0; 3],
                factor,
                gate,
                counts_until,
                last_reported_at: self.now,
                awarded: 0,
                taken: 0,
                expired: 0,
                forgiven: 0,
                non_expiring: false,
            };
            self.orders.push(zero);
            self.reconcile(order, before, [0; 3]);
        } else {
            let old = self.orders[order].counted;
            let known = &mut self.orders[order];
            (known.cancelled, known.last_reported_at) = (false, self.now);
            known.edit(content);
            self.reconcile(order, before, old);
        }
    }

    fn half_days(&self) -> i64 {
        (self.now - NaiveDate::from_ymd_opt(2024, 1, 1).unwrap().and_time(NaiveTime::MIN))
            .num_hours()
            / 12
    }

    pub(crate) fn cancel(&mut self, order: usize) {
        let (before, old) = (self.qualified(), self.orders[order].counted);
        (self.orders[order].cancelled, self.orders[order].last_reported_at) = (true, self.now);
        self.reconcile(order, before, old);
    }

    pub(crate) fn refund(&mut self, order: usize, refund: RefundContent) -> ModelResult {
        let (before, old) = (self.qualified(), self.orders[order].counted);
        let known = &mut self.orders[order];
        if let Some(refusal) = known.refusal(&refund) {
            return Err(refusal);
        }
        known.refunds.push(refund);
        self.reconcile(order, before, old);
        Ok(())
    }

    fn reconcile(&mut self, index: usize, before: Option<usize>, old: [i64; 3]) {
        self.orders[index].counted = self.orders[index].counts();
        let order = self.orders[index].clone();
        let (entitled, net_awarded) = (order.counted[1], order.awarded - order.taken);

        if entitled > net_awarded {
            let earned = if order.awarded == 0 { order.gate } else { self.now };
            let until = self.rules.hold.map(|days| order.gate + Days::new(days));
            self.orders[index].awarded += entitled - net_awarded;
            self.orders[index].forgiven = 0;
            let was_empty = self.lots.is_empty();
            if until.is_none_or(|until| until <= self.now) && entitled - net_awarded > self.debt {
                let is_non_expiring = self.rules.expiry == Expiry::Never;
                self.orders[index].non_expiring |= is_non_expiring;
            }
            self.add_points(entitled - net_awarded, Some(index), earned, until);
            self.record_activity(true, was_empty);
        } else if net_awarded - entitled - order.expired - order.forgiven > 0 {
            let non_expiring = order.non_expiring;
            let is_own = |lot: &Lot| {
                lot.order == Some(index)
                    || (non_expiring
                        && lot.order.is_none()
                        && lot.expires.is_none()
                        && lot.until.is_none())
            };
            self.deduct(
                net_awarded - entitled - order.expired - order.forgiven,
                &is_own,
                Some(index),
            );
        }

        let new = self.orders[index].counted;
        if (0..3).any(|metric| new[metric] < old[metric]) {
            self.review_tier_after_refund(before);
            for goal in 0..2 {
                if !self.is_goal_reached(goal) {
                    self.undo_gift(Cause::Goal(goal));
                }
            }
        }

        self.settle();
        self.follow_order(index);
    }

    pub(crate) fn review(&mut self) -> ModelResult {
        let (points, most, times, span, partial) = self.rules.review;
        let today = self.now.date();
        let in_period = |day: &NaiveDate| match span {
            0 => *day == today,
            1 => monday(*day) == monday(today),
            2 => (day.year(), day.month()) == (today.year(), today.month()),
            3 => day.year() == today.year(),
            _ => true,
        };

        let past: Vec<i64> = self
            .reviews
            .iter()
            .filter(|(day, _)| in_period(day))
            .map(|(_, points)| *points)
            .collect();

        let remaining = most - past.iter().sum::<i64>();
        let granted = if times { points } else { points.min(remaining) };
        let is_rejected = if times {
            i64::try_from(past.len()).unwrap() >= most
        } else {
            remaining <= 0 || (remaining < points && !partial)
        };

        if is_rejected {
            return Err("limit_reached");
        }

        self.reviews.push((today, granted));
        self.award(granted, self.rules.review_hold);
        self.settle();
        Ok(())
    }
}

fn monday(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

fn birthday_in(born: NaiveDate, year: i32) -> NaiveDate {
    let day = if (born.month(), born.day()) == (2, 29)
        && !NaiveDate::from_ymd_opt(year, 1, 1).unwrap().leap_year()
    {
        28
    } else {
        born.day()
    };
    NaiveDate::from_ymd_opt(year, born.month(), day).unwrap()
}

fn month_end(at: NaiveDateTime) -> NaiveDateTime {
    let first = NaiveDate::from_ymd_opt(at.year(), at.month(), 1).unwrap();
    (first + Months::new(1)).and_time(NaiveTime::MIN)
}

/// The same day and time some months later, or the end of that month if it has no such day.
fn after_months(at: NaiveDateTime, months: u32) -> NaiveDateTime {
    let moved = at + Months::new(months); // the last day of a shorter month
    if moved.day() == at.day() { moved } else { month_end(moved) }
}
