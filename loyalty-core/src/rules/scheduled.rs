//! What becomes due with time alone: expiries, releases, tier changes, birthdays.
//!
//! The earliest due item is applied at its own instant, which can change what is due
//! next; then the next one. So the result does not depend on how often anybody looks, nor
//! on any job having run.

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use crate::account::Account;
use crate::amount::Points;
use crate::award::AwardReason;
use crate::calendar::{Timestamp, Zone};
use crate::context::{Context, ProgramPeriod};
use crate::event::Event;
use crate::lot::{Lot, LotCredit};
use crate::program::{ActionKind, ActionRule, Expiry, QualifyingActivity};
use crate::rules::bonus::BonusGrant;
use crate::rules::expiry::expiry_event;
use crate::rules::gift;
use crate::rules::tier::{self, TierTransition};
use crate::rules::work::DecisionBuilder;

/// One thing that is due. Of two at the same instant, the one listed first here is
/// applied first.
pub(crate) enum DueItem<'a> {
    Expiry,
    Release,
    Redemption,
    Inactivity,
    Tier(TierTransition),
    Award(&'a ActionRule, AwardReason),
}

impl DueItem<'_> {
    fn priority(&self) -> u8 {
        match self {
            Self::Expiry => 0,
            Self::Release => 1,
            Self::Redemption => 2,
            Self::Inactivity => 3,
            Self::Tier(_) => 4,
            Self::Award(..) => 5,
        }
    }
}

/// The next thing that is due under a program, with its instant.
pub(crate) fn next_due_item<'a>(
    account: &Account,
    context: &Context<'_>,
    period: &ProgramPeriod<'a>,
) -> Option<(Timestamp, DueItem<'a>)> {
    let zone = context.zone;
    let expiry = account
        .lots()
        .first()
        .and_then(|lot| lot.expires_at)
        .map(|at| (at, DueItem::Expiry));
    let release = account
        .pending_lots()
        .first()
        .and_then(|lot| lot.pending_until)
        .map(|at| (at, DueItem::Release));
    let redemption = account.redemptions().first().map(|(at, _)| (at, DueItem::Redemption));
    let inactivity = next_inactivity(account, zone, period).map(|at| (at, DueItem::Inactivity));
    let tier =
        tier::next_transition(account, zone, period).map(|(at, step)| (at, DueItem::Tier(step)));
    let award = if period.program.definition().actions.is_empty() {
        None
    } else {
        next_award(account, context, period)
    };

    let all = [expiry, release, redemption, inactivity, tier, award]
        .into_iter()
        .flatten();
    all.min_by_key(|(at, due)| (*at, due.priority()))
}

fn next_inactivity(account: &Account, zone: Zone, period: &ProgramPeriod<'_>) -> Option<Timestamp> {
    inactivity_expires_at(account, zone, period).filter(|_| !account.lots().is_empty())
}

/// The instant at which a balance expires by inactivity, even if there is no balance to
/// expire.
pub(crate) fn inactivity_expires_at(
    account: &Account,
    zone: Zone,
    period: &ProgramPeriod<'_>,
) -> Option<Timestamp> {
    let Expiry::Inactivity { after, activity } = period.program.definition().expiry else {
        return None;
    };
    let last = match activity {
        QualifyingActivity::Any => account.balance_changed_at(),
        QualifyingActivity::EarningAndRedeeming => account.last_activity_at(),
    };
    zone.after(last?, after).ok().map(|at| at.max(period.from))
}

/// The next bonus that time alone brings: a birthday, an anniversary, or a goal that was
/// reached.
fn next_award<'a>(
    account: &Account,
    context: &Context<'_>,
    period: &ProgramPeriod<'a>,
) -> Option<(Timestamp, DueItem<'a>)> {
    let (zone, earliest) = (context.zone, period.earliest(account));
    let mut first: Option<(Timestamp, DueItem<'a>)> = None;
    for action in &period.program.definition().actions {
        let open =
            |at: &Timestamp| action.when.are_met(context.tags, account.current_tier_id(*at), *at);
        let found = match &action.kind {
            ActionKind::Birthday { notice_days } => {
                next_birthday(account, context, *notice_days, earliest, open).map(|(at, year)| {
                    (at, AwardReason::Birthday { action: action.id.clone(), year })
                })
            }
            ActionKind::Anniversary => {
                next_anniversary(account, zone, earliest, open).map(|(at, years)| {
                    (at, AwardReason::Anniversary { action: action.id.clone(), years })
                })
            }
            ActionKind::GoalOrders(_) | ActionKind::GoalSpend(_) => {
                let at = action.when.from.map_or(earliest, |from| from.max(earliest));
                let new = gift::is_goal_reached(account, &action.kind)
                    && (account.activity().action(&action.id).is_none()
                        || gift::comes_again(account, context, (action, period.program), at));
                (new && open(&at)).then(|| (at, AwardReason::Goal { action: action.id.clone() }))
            }
            ActionKind::Code(_)
            | ActionKind::Codes(_)
            | ActionKind::Content
            | ActionKind::Custom
            | ActionKind::NewSubscription
            | ActionKind::Review
            | ActionKind::SignUp
            | ActionKind::Social => None,
        };
        if let Some((at, reason)) = found
            && first.as_ref().is_none_or(|(known, _)| at < *known)
        {
            first = Some((at, DueItem::Award(action, reason)));
        }
    }
    first
}

/// The next local midnight of a birthday that was known for the days of notice, with its
/// year.
fn next_birthday(
    account: &Account,
    context: &Context<'_>,
    notice_days: u32,
    earliest: Timestamp,
    open: impl Fn(&Timestamp) -> bool,
) -> Option<(Timestamp, i32)> {
    let (zone, birthday) = (context.zone, context.birthday?);
    let set_on = zone.local(birthday.set_at).ok()?.date();
    let known_from = set_on.checked_add_days(Days::new(u64::from(notice_days)))?;
    let from = zone.local(earliest.max(birthday.set_at)).ok()?.date().year();
    let from = account
        .activity()
        .last_birthday_year()
        .map_or(from, |last| from.max(last.saturating_add(1)));
    (from..=from.saturating_add(2)).find_map(|year| {
        let day = observed_on(birthday.day, year)?;
        let at = zone.instant(day.and_time(NaiveTime::MIN)).ok()?;
        (day > known_from && at >= earliest && open(&at)).then_some((at, year))
    })
}

fn next_anniversary(
    account: &Account,
    zone: Zone,
    earliest: Timestamp,
    open: impl Fn(&Timestamp) -> bool,
) -> Option<(Timestamp, u32)> {
    let first = zone.local(account.progress().first_order()?).ok()?.date();
    let passed = zone.local(earliest).ok()?.date().year().saturating_sub(first.year());
    let from = u32::try_from(passed).unwrap_or(0).max(
        account
            .activity()
            .last_anniversary()
            .map_or(1, |last| last.saturating_add(1)),
    );
    (from.max(1)..=from.saturating_add(2)).find_map(|years| {
        let year = first.year().checked_add(i32::try_from(years).ok()?)?;
        let at = zone
            .instant(observed_on(first, year)?.and_time(NaiveTime::MIN))
            .ok()?;
        (at >= earliest && open(&at)).then_some((at, years))
    })
}

/// The day on which a date is observed in a year: 29 February on the 28th in common
/// years.
fn observed_on(day: NaiveDate, year: i32) -> Option<NaiveDate> {
    day.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28))
}

impl DecisionBuilder<'_> {
    /// Applies everything that is due by now, each program's share under that program.
    pub(crate) fn catch_up(&mut self) {
        let context = self.context;
        // What is due for a merged account is due for the one that it was merged into.
        if self.account.merged_into().is_some() || self.account.erased_at().is_some() {
            return;
        }
        for (place, period) in context.timeline().enumerate() {
            // If the clock was put back to before the first publication, the first
            // program decides anyway.
            if place > 0 && period.from > context.now {
                break;
            }
            self.catch_up_within(&period);
        }
    }

    fn catch_up_within(&mut self, period: &ProgramPeriod<'_>) {
        let now = self.context.now;
        while let Some((at, due)) = next_due_item(&self.account, self.context, period) {
            if at > now || period.is_over_at(at) {
                break;
            }

            // What cannot be applied, such as a bonus beyond the range of points, would
            // be due for ever.
            let before = self.events.len();
            self.apply_due(at, due, period);
            if self.events.len() == before {
                break;
            }
        }
    }

    fn apply_due(&mut self, at: Timestamp, due: DueItem<'_>, period: &ProgramPeriod<'_>) {
        match due {
            DueItem::Expiry => {
                let Some(lot) = self.account.lots().first().cloned() else { return };
                self.emit(expiry_event(&lot, at, false, false));
            }
            DueItem::Release => self.release_points(at),
            DueItem::Redemption => self.expire_redemption(at, period),
            DueItem::Inactivity => {
                let lots: Vec<Lot> = self.account.lots().iter().cloned().collect();
                for lot in lots {
                    self.emit(expiry_event(&lot, at, true, false));
                }
            }
            DueItem::Tier(step) => self.apply_tier_transition(at, &step, period),
            DueItem::Award(action, reason) => {
                // The points of a goal stay where it is missed again: only the gift comes anew.
                let is_again =
                    matches!(action.kind, ActionKind::GoalOrders(_) | ActionKind::GoalSpend(_))
                        && self.account.activity().action(&action.id).is_some();
                let points = if is_again { Points::ZERO } else { action.points };
                let (hold, gift) = (action.hold, action.gift.as_ref());
                let bonus = BonusGrant::new(at, points, reason);
                self.grant(BonusGrant { hold, gift, ..bonus }, period);
            }
        }
    }

    /// Releases the next pending lot. Its points pay off debt first.
    fn release_points(&mut self, at: Timestamp) {
        let Some(lot) = self.account.pending_lots().first().cloned() else {
            return;
        };
        if let Some(end) = lot.expires_at.filter(|end| *end <= at) {
            return self.emit(expiry_event(&lot, end, false, true));
        }
        let kept = lot.points.saturating_sub(self.account.debt().min(lot.points));
        let is_separate =
            lot.expires_at.is_none() && lot.order.is_some() && self.tracks_lots_per_order(at);
        let shared = self
            .account
            .lots()
            .non_expiring_lot()
            .filter(|_| lot.expires_at.is_none() && !is_separate);
        let id = shared.map_or(lot.id, |shared| shared.id);
        let into = kept.is_positive().then_some(LotCredit {
            id,
            points: kept,
            earned_at: lot.earned_at,
            expires_at: lot.expires_at,
            pending_until: None,
            is_separate,
        });
        let (points, order) = (lot.points, lot.order);
        self.emit(Event::PointsReleased { lot: lot.id, points, order, into, released_at: at });
    }

    /// Returns true if the program in force at `at` lets balances expire by inactivity.
    /// Its lots do not expire by themselves, and an expiry must show which order its
    /// points are of.
    fn tracks_lots_per_order(&self, at: Timestamp) -> bool {
        let period = self.context.timeline().find(|period| !period.is_over_at(at));
        period.is_some_and(|period| {
            matches!(period.program.definition().expiry, Expiry::Inactivity { .. })
        })
    }
}
