//! Tiers: what counts at an instant, what it qualifies for, and when that changes.

use chrono::{Datelike, Months, NaiveDate, NaiveTime, TimeDelta};

use crate::account::Account;
use crate::award::AwardReason;
use crate::calendar::{Period, Timestamp, Zone};
use crate::context::ProgramPeriod;
use crate::counts::Counts;
use crate::event::Event;
use crate::program::{Downgrade, Program, TierWindow};
use crate::rejection::Rejection;
use crate::rules::bonus::BonusGrant;
use crate::rules::work::DecisionBuilder;
use crate::tier::{ManualTier, TierChange, TierReason};

/// What happens to an earned tier. Tiers are told by rank; none is no tier.
#[derive(Debug)]
pub(crate) enum TierTransition {
    Raise(usize),
    Retain,
    Lapse(Timestamp),
    Lower(Option<usize>, TierReason),
}

/// What counts at an instant, for the program's window.
pub(crate) fn counts_at(
    account: &Account,
    zone: Zone,
    window: TierWindow,
    at: Timestamp,
) -> Counts {
    let progress = account.progress();
    match window {
        TierWindow::Lifetime => progress.lifetime(),
        TierWindow::Rolling(period) => rolling_counts(account, zone, period, at),
        TierWindow::CalendarYear => {
            let this = zone.local(at).map_or(1970, |local| local.year());
            counts_in_year(account, zone, this)
        }
    }
}

/// What was done counts until a period after it. What comes later ends later, but near a change of the
/// clock: there it is looked at one by one.
fn rolling_counts(account: &Account, zone: Zone, period: Period, at: Timestamp) -> Counts {
    let by_instant = account.progress().by_instant();
    let over = |done: &Timestamp| zone.after(*done, period).is_ok_and(|end| end <= at);
    let Some((from, to)) = window_start_range(period, at) else {
        return by_instant.summary();
    };
    let gone = if has_same_offset(zone, from, to)
        && has_same_offset(zone, surrounding_range(at).0, surrounding_range(at).1)
    {
        by_instant.summary_while(over)
    } else {
        let near = by_instant.iter_from(&from).take_while(|(done, _)| **done < to);
        let near = near
            .filter(|(done, _)| over(done))
            .fold(Counts::ZERO, |sum, (_, one)| sum.plus(*one));
        by_instant.summary_below(&from).plus(near)
    };
    by_instant.summary().minus(gone)
}

/// Where a window that ends at `at` begins, give or take what months and clocks differ by.
fn window_start_range(period: Period, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let edge = at.checked_sub_months(Months::new(period.months()))?;
    let margin = TimeDelta::days(5);
    Some((edge.checked_sub_signed(margin)?, edge.checked_add_signed(margin)?))
}

fn surrounding_range(at: Timestamp) -> (Timestamp, Timestamp) {
    let days = TimeDelta::days(2);
    (
        at.checked_sub_signed(days).unwrap_or(at),
        at.checked_add_signed(days).unwrap_or(at),
    )
}

/// Whether the shop's clock is not changed between two instants.
fn has_same_offset(zone: Zone, from: Timestamp, to: Timestamp) -> bool {
    zone.offset(from) == zone.offset(to)
}

fn counts_in_year(account: &Account, zone: Zone, year: i32) -> Counts {
    let by_instant = account.progress().by_instant();
    let (Some(from), Some(to)) = (year_start(zone, year), year_start(zone, year.saturating_add(1)))
    else {
        return Counts::ZERO;
    };
    by_instant.summary_below(&to).minus(by_instant.summary_below(&from))
}

fn year_start(zone: Zone, year: i32) -> Option<Timestamp> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
    zone.instant(first.and_time(NaiveTime::MIN)).ok()
}

/// The highest tier that what was done is enough for. Under calendar years the year before still counts.
pub(crate) fn qualified_rank(
    account: &Account,
    zone: Zone,
    program: &Program,
    at: Timestamp,
) -> Option<usize> {
    let parts = program.definition();
    let metric = parts.tiering.metric;
    let mut value = metric.value_of(counts_at(account, zone, parts.tiering.window, at));
    if parts.tiering.window == TierWindow::CalendarYear
        && let Ok(local) = zone.local(at)
    {
        value = value.max(metric.value_of(counts_in_year(
            account,
            zone,
            local.year().saturating_sub(1),
        )));
    }
    let enough = |threshold| metric.scale_threshold(threshold) <= value;
    parts
        .tiers
        .iter()
        .rposition(|tier| tier.threshold.is_some_and(enough))
}

/// When what was done stops to be enough for a tier, if nothing more is done.
pub(crate) fn qualification_lost_at(
    account: &Account,
    zone: Zone,
    program: &Program,
    rank: usize,
    after: Timestamp,
) -> Option<Timestamp> {
    let parts = program.definition();
    match parts.tiering.window {
        TierWindow::Lifetime => None,
        TierWindow::CalendarYear => {
            let year = zone.local(after).ok()?.year();
            let starts = [1, 2].map(|years| year_start(zone, year.saturating_add(years)));
            starts
                .into_iter()
                .flatten()
                .find(|at| qualified_rank(account, zone, program, *at) < Some(rank))
        }
        TierWindow::Rolling(period) => {
            let metric = parts.tiering.metric;
            let needed = metric.scale_threshold(parts.tiers.get(rank)?.threshold?);
            let by_instant = account.progress().by_instant();
            let all = by_instant.summary();
            let last =
                *by_instant.key_reaching(|gone| metric.value_of(all.minus(gone)) < needed)?;
            let end = zone.after(last, period).ok()?;
            let ((from, to), (first_end, last_end)) =
                (surrounding_range(last), surrounding_range(end));
            if has_same_offset(zone, from, to) && has_same_offset(zone, first_end, last_end) {
                return Some(end.max(after));
            }
            // Where the clock jumps, two things done one after the other can end the other way round.
            let near = by_instant.iter_from(&from).take_while(|(done, _)| **done <= to);
            let ends =
                near.filter_map(|(done, counts)| Some((zone.after(*done, period).ok()?, *counts)));
            let mut ends: Vec<(Timestamp, Counts)> = ends.collect();
            ends.sort_unstable_by_key(|(end, _)| *end);
            let mut gone = by_instant.summary_below(&from);
            let crossing = ends.into_iter().find(|(_, counts)| {
                gone = gone.plus(*counts);
                metric.value_of(all.minus(gone)) < needed
            });
            Some(crossing.map_or(end, |(end, _)| end).max(after))
        }
    }
}

/// What happens next to the earned tier of an account, and when.
pub(crate) fn next_transition(
    account: &Account,
    zone: Zone,
    period: &ProgramPeriod<'_>,
) -> Option<(Timestamp, TierTransition)> {
    let (program, earned) = (period.program, account.earned_tier());
    let parts = program.definition();
    if earned.is_none() && parts.tiers.iter().all(|tier| tier.threshold.is_none()) {
        return None;
    }
    let floor = period.earliest(account);
    let now = qualified_rank(account, zone, program, floor);
    let Some(earned) = earned else {
        return now.map(|rank| (floor, TierTransition::Raise(rank)));
    };
    let rank = program
        .rank(&earned.id)
        .filter(|rank| parts.tiers.get(*rank).is_some_and(|tier| tier.threshold.is_some()));
    let Some(rank) = rank else {
        return Some((floor, TierTransition::Lower(now, TierReason::Removed)));
    };
    if now > Some(rank) {
        return now.map(|rank| (floor, TierTransition::Raise(rank)));
    }
    let tiering = &parts.tiering;
    let safe = now == Some(rank) || tiering.down == Downgrade::Never;
    if safe && earned.until.is_some() {
        return Some((floor, TierTransition::Retain));
    }
    if tiering.down == Downgrade::Never {
        return None;
    }
    let drop = |at: Timestamp| {
        let to = downgrade_target(account, zone, program, rank, at);
        (to < Some(rank)).then_some((at, TierTransition::Lower(to, TierReason::Lapsed)))
    };
    if let Some(until) = earned.until {
        return drop(until.max(floor));
    }
    let lost = if safe {
        qualification_lost_at(account, zone, program, rank, floor).filter(|lost| *lost > floor)?
    } else {
        floor
    };
    let mut kept = lost;
    if let Some(term) = tiering.term {
        kept = kept.max(zone.after(earned.since, term).ok()?);
    }
    if let Some(grace) = tiering.grace {
        kept = zone.after(kept, grace).ok()?;
    }
    if kept > lost { Some((lost, TierTransition::Lapse(kept))) } else { drop(lost) }
}

/// Where a tier goes down to.
fn downgrade_target(
    account: &Account,
    zone: Zone,
    program: &Program,
    rank: usize,
    at: Timestamp,
) -> Option<usize> {
    let qualified = qualified_rank(account, zone, program, at);
    match program.definition().tiering.down {
        Downgrade::OneStep => qualified.max(next_lower_rank(program, rank)),
        Downgrade::Never | Downgrade::ToQualified => qualified,
    }
}

/// The next lower tier that can be earned.
fn next_lower_rank(program: &Program, rank: usize) -> Option<usize> {
    let below = program.definition().tiers.get(..rank)?;
    below.iter().rposition(|tier| tier.threshold.is_some())
}

impl DecisionBuilder<'_> {
    /// Sets the tier by hand, or ends one that was set before.
    pub(crate) fn set_tier(&mut self, tier: Option<&ManualTier>) -> Result<(), Rejection> {
        if let Some(tier) = tier
            && self.context.program().tier(&tier.id).is_none()
        {
            return Err(Rejection::UnknownTier { tier: tier.id.clone() });
        }

        if self.account.manual_tier(self.context.now) != tier {
            self.emit(Event::TierSet { tier: tier.cloned(), at: Some(self.context.now) });
        }
        Ok(())
    }

    pub(crate) fn apply_tier_transition(
        &mut self,
        at: Timestamp,
        step: &TierTransition,
        period: &ProgramPeriod<'_>,
    ) {
        match step {
            TierTransition::Raise(to) => self.raise_tier(at, *to, period),
            TierTransition::Lower(to, reason) => self.change_tier(at, *to, *reason, period),
            TierTransition::Lapse(until) => {
                let Some(tier) = self.account.earned_tier().map(|tier| tier.id.clone()) else {
                    return;
                };
                self.emit(Event::TierLapsed { tier, at, until: *until });
            }
            TierTransition::Retain => {
                let Some(tier) = self.account.earned_tier().map(|tier| tier.id.clone()) else {
                    return;
                };
                self.emit(Event::TierRetained { tier, at });
            }
        }
    }

    fn raise_tier(&mut self, at: Timestamp, to: usize, period: &ProgramPeriod<'_>) {
        let from = self
            .account
            .earned_tier()
            .and_then(|tier| period.program.rank(&tier.id));
        self.change_tier(at, Some(to), TierReason::Qualified, period);
        let parts = period.program.definition();
        for (rank, tier) in parts.tiers.iter().enumerate() {
            let skipped = Some(rank) > from && rank < to && parts.tiering.skipped_rewards;
            let Some(entry) = tier
                .entry
                .filter(|_| rank == to || (skipped && tier.threshold.is_some()))
            else {
                continue;
            };
            let reason = AwardReason::TierEntry { tier: tier.id.clone() };
            if entry.each_time || self.account.activity().bonus(&reason).is_none() {
                self.grant(BonusGrant::new(at, entry.points, reason), period);
            }
        }
    }

    fn change_tier(
        &mut self,
        at: Timestamp,
        to: Option<usize>,
        reason: TierReason,
        period: &ProgramPeriod<'_>,
    ) {
        let program = period.program;
        let manual = self.account.manual_tier(at).and_then(|tier| program.rank(&tier.id));
        let held = self.account.manual_tier(at).is_some();
        let change = TierChange {
            from: self.account.earned_tier().map(|tier| tier.id.clone()),
            to: to
                .and_then(|rank| program.definition().tiers.get(rank))
                .map(|tier| tier.id.clone()),
            at,
            reason,
            counts: counts_at(
                &self.account,
                self.context.zone,
                program.definition().tiering.window,
                at,
            ),
            ends_manual: held && reason == TierReason::Qualified && to > manual,
        };
        self.emit(Event::TierChanged { change });
    }

    /// What the account qualifies for now, under the program in force.
    pub(crate) fn current_qualified_rank(&self) -> Option<usize> {
        qualified_rank(&self.account, self.context.zone, self.context.program(), self.context.now)
    }

    /// A refund that undoes the qualification is decided at once, without term and grace.
    pub(crate) fn recheck_tier(&mut self, before: Option<usize>) -> Result<(), Rejection> {
        let period = self.context.period;
        let now = self.context.now;
        let Some(rank) = self
            .account
            .earned_tier()
            .and_then(|tier| period.program.rank(&tier.id))
        else {
            return Ok(());
        };
        let after = self.current_qualified_rank();
        if before < Some(rank) || after >= Some(rank) {
            return Ok(());
        }
        self.change_tier(now, after, TierReason::Refunded, &period);
        let lost = period.program.definition().tiers.iter().enumerate();
        let lost = lost.filter(|(place, _)| Some(*place) > after && *place <= rank);
        for (_, tier) in lost.filter(|(_, tier)| tier.entry.is_some_and(|entry| entry.taken_back)) {
            self.claw_back_award(AwardReason::TierEntry { tier: tier.id.clone() })?;
        }
        Ok(())
    }
}
