//! Tiers: the counts at an instant, the tier they qualify for, and when that changes.

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

/// A change of the earned tier. A tier is named by its rank; `None` is no tier.
#[derive(Debug)]
pub(crate) enum TierTransition {
    Raise(usize),
    Retain,
    Lapse(Timestamp),
    Lower(Option<usize>, TierReason),
}

/// The counts in the program's window at an instant.
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

/// The counts of a rolling window: each entry counts until a period after its instant.
///
/// Entries leave the window in their order, so that one sum up to a key is enough. Near a
/// change of the clock's offset they may not: there each entry is compared by itself.
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

/// Bounds of the start of a window that ends at `at`: months and offsets differ by less
/// than the margin.
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

/// Returns true if the shop's clock has the same offset at two instants.
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

/// The rank of the highest tier that the counts qualify for. Of calendar years the year
/// before counts too.
pub(crate) fn qualified_rank(
    account: &Account,
    zone: Zone,
    program: &Program,
    at: Timestamp,
) -> Option<usize> {
    let definition = program.definition();
    let metric = definition.tiering.metric;
    let mut value = metric.value_of(counts_at(account, zone, definition.tiering.window, at));
    if definition.tiering.window == TierWindow::CalendarYear
        && let Ok(local) = zone.local(at)
    {
        value = value.max(metric.value_of(counts_in_year(
            account,
            zone,
            local.year().saturating_sub(1),
        )));
    }
    let enough = |threshold| metric.scale_threshold(threshold) <= value;
    definition
        .tiers
        .iter()
        .rposition(|tier| tier.threshold.is_some_and(enough))
}

/// The instant from which the counts no longer qualify for a tier, without further
/// activity.
pub(crate) fn qualification_lost_at(
    account: &Account,
    zone: Zone,
    program: &Program,
    rank: usize,
    after: Timestamp,
) -> Option<Timestamp> {
    let definition = program.definition();
    match definition.tiering.window {
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
            let metric = definition.tiering.metric;
            let needed = metric.scale_threshold(definition.tiers.get(rank)?.threshold?);
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
            // Near a change of the offset, a later entry can leave the window before an
            // earlier one.
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

/// The next change of the earned tier, with its instant.
pub(crate) fn next_transition(
    account: &Account,
    zone: Zone,
    period: &ProgramPeriod<'_>,
) -> Option<(Timestamp, TierTransition)> {
    let (program, earned) = (period.program, account.earned_tier());
    let definition = program.definition();
    if earned.is_none() && definition.tiers.iter().all(|tier| tier.threshold.is_none()) {
        return None;
    }
    let earliest = period.earliest(account);
    let now = qualified_rank(account, zone, program, earliest);

    let Some(earned) = earned else {
        return now.map(|rank| (earliest, TierTransition::Raise(rank)));
    };
    let rank = program.rank(&earned.id).filter(|rank| {
        definition
            .tiers
            .get(*rank)
            .is_some_and(|tier| tier.threshold.is_some())
    });
    let Some(rank) = rank else {
        return Some((earliest, TierTransition::Lower(now, TierReason::Removed)));
    };

    if now > Some(rank) {
        return now.map(|rank| (earliest, TierTransition::Raise(rank)));
    }

    let tiering = &definition.tiering;
    let safe = now == Some(rank) || tiering.down == Downgrade::Never;
    if safe && earned.until.is_some() {
        return Some((earliest, TierTransition::Retain));
    }
    if tiering.down == Downgrade::Never {
        return None;
    }

    let drop = |at: Timestamp| {
        let to = downgrade_target(account, zone, program, rank, at);
        (to < Some(rank)).then_some((at, TierTransition::Lower(to, TierReason::Lapsed)))
    };
    if let Some(until) = earned.until {
        return drop(until.max(earliest));
    }

    let lost = if safe {
        qualification_lost_at(account, zone, program, rank, earliest)
            .filter(|lost| *lost > earliest)?
    } else {
        earliest
    };

    // Term and grace keep the tier beyond the end of its qualification.
    let mut kept = lost;
    if let Some(term) = tiering.term {
        kept = kept.max(zone.after(earned.since, term).ok()?);
    }
    if let Some(grace) = tiering.grace {
        kept = zone.after(kept, grace).ok()?;
    }

    if kept > lost { Some((lost, TierTransition::Lapse(kept))) } else { drop(lost) }
}

/// The rank that a tier is lowered to.
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

/// The rank of the next lower tier that can be earned.
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
        let definition = period.program.definition();
        for (rank, tier) in definition.tiers.iter().enumerate() {
            let skipped = Some(rank) > from && rank < to && definition.tiering.skipped_rewards;
            let Some(entry) = tier
                .entry
                .as_ref()
                .filter(|_| rank == to || (skipped && tier.threshold.is_some()))
            else {
                continue;
            };

            let reason = AwardReason::TierEntry { tier: tier.id.clone() };
            if entry.each_time || self.account.activity().bonus(&reason).is_none() {
                let (gift, is_repeatable) = (entry.gift.as_ref(), entry.each_time);
                let bonus = BonusGrant::new(at, entry.points, reason);
                self.grant(BonusGrant { gift, is_repeatable, ..bonus }, period);
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
        let is_manual = self.account.manual_tier(at).is_some();
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
            ends_manual: is_manual && reason == TierReason::Qualified && to > manual,
        };
        self.emit(Event::TierChanged { change });
    }

    /// The rank that the account qualifies for now, under the program in force.
    pub(crate) fn current_qualified_rank(&self) -> Option<usize> {
        qualified_rank(&self.account, self.context.zone, self.context.program(), self.context.now)
    }

    /// Lowers the tier after a refund that undoes its qualification: at once, without
    /// term and grace. `before` is the qualified rank before the refund.
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

        // Only a refund of what qualified for this very tier lowers it.
        let after = self.current_qualified_rank();
        if before < Some(rank) || after >= Some(rank) {
            return Ok(());
        }

        self.change_tier(now, after, TierReason::Refunded, &period);
        let lost = period.program.definition().tiers.iter().enumerate();
        let lost = lost.filter(|(place, _)| Some(*place) > after && *place <= rank);
        for (_, tier) in lost {
            let cause = AwardReason::TierEntry { tier: tier.id.clone() };
            self.undo_gift(&cause);
            if tier.entry.as_ref().is_some_and(|entry| entry.taken_back) {
                self.claw_back_award(cause)?;
            }
        }
        Ok(())
    }
}
