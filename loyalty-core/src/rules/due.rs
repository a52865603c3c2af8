//! What happens by itself: time passes, and something follows from it.
//!
//! One thing after the other, each at its own instant: the earliest that is due is looked for, happens,
//! and changes what is due next. So it makes no difference whether somebody looks each minute or once a
//! year. Nothing here depends on a job having run.

use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use crate::account::{Account, Lot};
use crate::amount::Points;
use crate::award::{Award, Limit, Reason};
use crate::calendar::{Period, Timestamp, Zone};
use crate::decide::{Context, Work};
use crate::event::{Event, LotPart};
use crate::id::ProgramVersion;
use crate::program::{ActionKind, ActionRule, Activity, Expiry, Program};
use crate::rules::expire::pending_until;
use crate::rules::tier::{self, Step};

/// A program, and the time in which it decides.
#[derive(Clone, Copy)]
pub(crate) struct Term<'a> {
    pub(crate) version: ProgramVersion,
    pub(crate) program: &'a Program,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

impl Term<'_> {
    /// The first instant at which something can be due that nobody noted before.
    pub(crate) fn floor(&self, account: &Account) -> Timestamp {
        account.at().map_or(self.from, |at| at.max(self.from))
    }
}

/// One thing that is due. Of two at the same instant the one that stands first here comes first.
pub(crate) enum Due<'a> {
    Expiry,
    Release,
    Redemption,
    Inactivity,
    Tier(Step),
    Award(&'a ActionRule, Reason),
}

impl Due<'_> {
    fn rank(&self) -> u8 {
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

/// What time brings about until `context.now`, that is not in the account yet: the events, each at its own
/// instant. What was due under a program that was in force then is decided under that program.
pub fn due(context: &Context<'_>) -> Vec<Event> {
    let mut work = Work::begin(context, None);
    work.catch_up();
    work.into_events()
}

/// The account as it is at `context.now`: as the last command left it, and what time did to it since.
/// With a `now` in the future, as it will be if nothing happens.
///
/// # Example: a balance that ends by inactivity
/// ```
/// use loyalty_core::{as_of, decide, Account, Command, Context, Points, Program, Timestamp};
/// let program = Program::from_json(r#"{"expiry": {"inactivity": {"after": "P1Y"}}}"#).unwrap();
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let mut account = Account::default();
/// for (now, points) in [("2026-01-01T00:00:00Z", 500_u32), ("2026-03-01T00:00:00Z", 200)] {
///     let add = Command::AddPoints { points: points.into(), grounds: Default::default() };
///     let decision = decide(&Context::new(&program, &account, at(now)), &add).unwrap();
///     decision.events.iter().for_each(|event| account.evolve(event));
/// }
/// let balance = |now| as_of(&Context::new(&program, &account, at(now))).balance(at(now));
/// assert_eq!(balance("2027-02-28T23:59:59Z"), Points::from(700));
/// assert_eq!(balance("2027-03-01T00:00:00Z"), Points::ZERO);
/// ```
pub fn as_of(context: &Context<'_>) -> Account {
    let mut work = Work::begin(context, None);
    work.catch_up();
    work.into_account()
}

/// When something is due next on this account, whether that is before `context.now` or after it. Nothing
/// happens by itself earlier.
pub fn next_due(context: &Context<'_>) -> Option<Timestamp> {
    let account = context.account?;
    context.terms().find_map(|term| {
        let first = next(account, context, &term).map(|(at, _)| at);
        first.filter(|at| term.until.is_none_or(|until| *at < until))
    })
}

/// The next thing that is due under a program.
pub(crate) fn next<'a>(
    account: &Account,
    context: &Context<'_>,
    term: &Term<'a>,
) -> Option<(Timestamp, Due<'a>)> {
    let zone = context.zone;
    let ends = account
        .lots()
        .first()
        .and_then(|lot| lot.expires_at)
        .map(|at| (at, Due::Expiry));
    let release = account
        .pending_lots()
        .first()
        .and_then(|lot| lot.pending_until)
        .map(|at| (at, Due::Release));
    let redemption = account.redemptions().first().map(|(at, _)| (at, Due::Redemption));
    let idle = inactivity(account, zone, term).map(|at| (at, Due::Inactivity));
    let tier = tier::next_step(account, zone, term).map(|(at, step)| (at, Due::Tier(step)));
    let award = if term.program.parts().actions.is_empty() {
        None
    } else {
        next_award(account, context, term)
    };
    let all = [ends, release, redemption, idle, tier, award].into_iter().flatten();
    all.min_by_key(|(at, due)| (*at, due.rank()))
}

fn inactivity(account: &Account, zone: Zone, term: &Term<'_>) -> Option<Timestamp> {
    idle_until(account, zone, term).filter(|_| !account.lots().is_empty())
}

/// When a balance ends by inactivity, whether or not there is one.
pub(crate) fn idle_until(account: &Account, zone: Zone, term: &Term<'_>) -> Option<Timestamp> {
    let Expiry::Inactivity { after, activity } = term.program.parts().expiry else {
        return None;
    };
    let last = match activity {
        Activity::Any => account.changed_at(),
        Activity::EarningAndRedeeming => account.dealt_at(),
    };
    zone.after(last?, after).ok().map(|at| at.max(term.from))
}

/// The next award that needs no order and no word of the shop.
fn next_award<'a>(
    account: &Account,
    context: &Context<'_>,
    term: &Term<'a>,
) -> Option<(Timestamp, Due<'a>)> {
    let (zone, floor) = (context.zone, term.floor(account));
    let mut first: Option<(Timestamp, Due<'a>)> = None;
    for action in &term.program.parts().actions {
        let open = |at: &Timestamp| action.when.hold(context.tags, account.tier_id(*at), *at);
        let found = match &action.kind {
            ActionKind::Birthday { notice_days } => {
                next_birthday(account, context, *notice_days, floor, open)
                    .map(|(at, year)| (at, Reason::Birthday { action: action.id.clone(), year }))
            }
            ActionKind::Anniversary => next_anniversary(account, zone, floor, open)
                .map(|(at, years)| (at, Reason::Anniversary { action: action.id.clone(), years })),
            ActionKind::GoalOrders(_) | ActionKind::GoalSpend(_) => {
                let new = goal_reached(account, &action.kind)
                    && account.deeds().action(&action.id).is_none();
                let at = action.when.from.map_or(floor, |from| from.max(floor));
                (new && open(&at)).then(|| (at, Reason::Goal { action: action.id.clone() }))
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
            first = Some((at, Due::Award(action, reason)));
        }
    }
    first
}

/// Whether this is a goal, and what was ever done is enough for it.
fn goal_reached(account: &Account, kind: &ActionKind) -> bool {
    let ever = account.progress().ever();
    match kind {
        ActionKind::GoalOrders(count) => ever.orders >= i64::from(*count),
        ActionKind::GoalSpend(amount) => ever.spend >= amount.ten_thousandths(),
        ActionKind::Anniversary
        | ActionKind::Birthday { .. }
        | ActionKind::Code(_)
        | ActionKind::Codes(_)
        | ActionKind::Content
        | ActionKind::Custom
        | ActionKind::NewSubscription
        | ActionKind::Review
        | ActionKind::SignUp
        | ActionKind::Social => false,
    }
}

/// The next local midnight of a birthday that was known long enough before.
fn next_birthday(
    account: &Account,
    context: &Context<'_>,
    notice_days: u32,
    floor: Timestamp,
    open: impl Fn(&Timestamp) -> bool,
) -> Option<(Timestamp, i32)> {
    let (zone, birthday) = (context.zone, context.birthday?);
    let set_on = zone.local(birthday.set_at).ok()?.date();
    let known_from = set_on.checked_add_days(Days::new(u64::from(notice_days)))?;
    let from = zone.local(floor.max(birthday.set_at)).ok()?.date().year();
    let from = account
        .deeds()
        .birthday()
        .map_or(from, |last| from.max(last.saturating_add(1)));
    (from..=from.saturating_add(2)).find_map(|year| {
        let day = kept_on(birthday.day, year)?;
        let at = zone.instant(day.and_time(NaiveTime::MIN)).ok()?;
        (day > known_from && at >= floor && open(&at)).then_some((at, year))
    })
}

fn next_anniversary(
    account: &Account,
    zone: Zone,
    floor: Timestamp,
    open: impl Fn(&Timestamp) -> bool,
) -> Option<(Timestamp, u32)> {
    let first = zone.local(account.progress().first_order()?).ok()?.date();
    let passed = zone.local(floor).ok()?.date().year().saturating_sub(first.year());
    let from = u32::try_from(passed)
        .unwrap_or(0)
        .max(account.deeds().anniversary().map_or(1, |last| last.saturating_add(1)));
    (from.max(1)..=from.saturating_add(2)).find_map(|years| {
        let year = first.year().checked_add(i32::try_from(years).ok()?)?;
        let at = zone.instant(kept_on(first, year)?.and_time(NaiveTime::MIN)).ok()?;
        (at >= floor && open(&at)).then_some((at, years))
    })
}

/// The day in a year; 29 February is kept on the 28th in common years.
fn kept_on(day: NaiveDate, year: i32) -> Option<NaiveDate> {
    day.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28))
}

impl Work<'_> {
    /// Lets all that is due by now happen.
    pub(crate) fn catch_up(&mut self) {
        let context = self.context;
        // The first program decides also where a clock was put back behind its publication.
        for (place, term) in context.terms().enumerate() {
            if place > 0 && term.from > context.now {
                break;
            }
            self.catch_up_under(&term);
        }
    }

    fn catch_up_under(&mut self, term: &Term<'_>) {
        let now = self.context.now;
        while let Some((at, due)) = next(&self.account, self.context, term) {
            let later = term.until.is_some_and(|until| at >= until);
            let before = self.events.len();
            if at > now || later {
                break;
            }
            self.happen(at, due, term);
            if self.events.len() == before {
                break;
            }
        }
    }

    fn happen(&mut self, at: Timestamp, due: Due<'_>, term: &Term<'_>) {
        match due {
            Due::Expiry => {
                let Some(lot) = self.account.lots().first().cloned() else { return };
                self.emit(expired(&lot, at, false, false));
            }
            Due::Release => self.release(at),
            Due::Redemption => self.end_redemption(at, term),
            Due::Inactivity => {
                let lots: Vec<Lot> = self.account.lots().iter().cloned().collect();
                for lot in lots {
                    self.emit(expired(&lot, at, true, false));
                }
            }
            Due::Tier(step) => self.step_tier(at, &step, term),
            Due::Award(action, reason) => {
                self.give(at, action.points, action.hold, reason, term);
            }
        }
    }

    /// Pending points pay off debt first, and can be spent.
    fn release(&mut self, at: Timestamp) {
        let Some(lot) = self.account.pending_lots().first().cloned() else {
            return;
        };
        if let Some(end) = lot.expires_at.filter(|end| *end <= at) {
            return self.emit(expired(&lot, end, false, true));
        }
        let kept = lot.points.saturating_sub(self.account.debt().min(lot.points));
        let apart = lot.expires_at.is_none() && lot.order.is_some() && self.keeps_orders_apart(at);
        let lasting = self
            .account
            .lots()
            .lasting()
            .filter(|_| lot.expires_at.is_none() && !apart);
        let id = lasting.map_or(lot.id, |lasting| lasting.id);
        let into = kept.is_positive().then_some(LotPart {
            id,
            points: kept,
            earned_at: lot.earned_at,
            expires_at: lot.expires_at,
            pending_until: None,
            apart,
        });
        let (points, order) = (lot.points, lot.order);
        self.emit(Event::PointsReleased { lot: lot.id, points, order, into, released_at: at });
    }

    /// Whether the program in force then ends balances by inactivity. Its lots have no end of their own,
    /// and what ends must be known to belong to an order.
    fn keeps_orders_apart(&self, at: Timestamp) -> bool {
        let term = self
            .context
            .terms()
            .find(|term| term.until.is_none_or(|until| at < until));
        term.is_some_and(|term| matches!(term.program.parts().expiry, Expiry::Inactivity { .. }))
    }

    /// Gives points that no order brings, at once or after a hold from now.
    pub(crate) fn give(
        &mut self,
        at: Timestamp,
        points: Points,
        hold: Option<Period>,
        reason: Reason,
        term: &Term<'_>,
    ) {
        self.give_within(
            Gift {
                at,
                gate: at,
                points,
                wanted: points,
                hold,
                reason,
                cut: None,
            },
            term,
        );
    }

    /// Nothing is given where points could not be counted any more.
    pub(crate) fn give_within(&mut self, gift: Gift, term: &Term<'_>) {
        let Gift { at, gate, points, wanted, hold, reason, cut } = gift;
        let zone = self.context.zone;
        let Ok(until) = pending_until(hold, zone, gate, at) else { return };
        let countable = self.account.totals().given.checked_add(points).is_some();
        let (Ok(lot), Ok(day), true) = (
            self.lot_part(points, term.program, (gate, at), until, None),
            zone.local(at),
            countable,
        ) else {
            return;
        };
        let award = Arc::new(Award { reason, program: term.version, day: day.date(), wanted, cut });
        self.emit(Event::AwardGiven { points, lot, award, at });
    }
}

/// Points to be given for something else than an order's basis.
pub(crate) struct Gift {
    pub(crate) at: Timestamp,
    /// What hold and expiry run from.
    pub(crate) gate: Timestamp,
    pub(crate) points: Points,
    pub(crate) wanted: Points,
    pub(crate) hold: Option<Period>,
    pub(crate) reason: Reason,
    pub(crate) cut: Option<Limit>,
}

/// A lot ran out of time.
pub(crate) fn expired(lot: &Lot, at: Timestamp, inactive: bool, pending: bool) -> Event {
    let (points, order) = (lot.points, lot.order.clone());
    Event::PointsExpired {
        lot: lot.id,
        points,
        order,
        expired_at: at,
        inactive,
        pending,
    }
}
