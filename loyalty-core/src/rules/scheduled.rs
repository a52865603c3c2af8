//! What happens by itself: time passes, and something follows from it.
//!
//! One thing after the other, each at its own instant: the earliest that is due is looked for, happens,
//! and changes what is due next. So it makes no difference whether somebody looks each minute or once a
//! year. Nothing here depends on a job having run.

use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use crate::account::{Account, Lot};
use crate::amount::Points;
use crate::award::{Award, AwardReason, Limit};
use crate::calendar::{Period, Timestamp, Zone};
use crate::decide::{Context, DecisionBuilder};
use crate::event::{Event, LotCredit};
use crate::id::ProgramVersion;
use crate::program::{ActionKind, ActionRule, Expiry, Program, QualifyingActivity};
use crate::rules::expiry::pending_until;
use crate::rules::tier::{self, TierTransition};

/// A program, and the time in which it decides.
#[derive(Clone, Copy)]
pub(crate) struct ProgramPeriod<'a> {
    pub(crate) version: ProgramVersion,
    pub(crate) program: &'a Program,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

impl ProgramPeriod<'_> {
    /// The first instant at which something can be due that nobody noted before.
    pub(crate) fn earliest(&self, account: &Account) -> Timestamp {
        account.last_event_at().map_or(self.from, |at| at.max(self.from))
    }
}

/// One thing that is due. Of two at the same instant the one that stands first here comes first.
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

/// What time brings about until `context.now`, that is not in the account yet: the events, each at its own
/// instant. What was due under a program that was in force then is decided under that program.
pub fn due(context: &Context<'_>) -> Vec<Event> {
    let mut work = DecisionBuilder::new(context, None);
    work.catch_up();
    work.into_events()
}

/// The account as it is at `context.now`: as the last command left it, and what time did to it since.
/// With a `now` in the future, as it will be if nothing happens.
///
/// # Example: a balance that ends by inactivity
/// ```
/// use loyalty_core::{as_of, decide, Account, Command, Context, Points, Program, TimeField};
/// let program = Program::from_json(r#"{"expiry": {"inactivity": {"after": "P1Y"}}}"#).unwrap();
/// let at = |text: &str| text.parse::<TimeField>().unwrap();
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
    let mut work = DecisionBuilder::new(context, None);
    work.catch_up();
    work.into_account()
}

/// When something is due next on this account, whether that is before `context.now` or after it. Nothing
/// happens by itself earlier.
pub fn next_due(context: &Context<'_>) -> Option<Timestamp> {
    let account = context.account?;
    context.timeline().find_map(|term| {
        let first = next_due_item(account, context, &term).map(|(at, _)| at);
        first.filter(|at| term.until.is_none_or(|until| *at < until))
    })
}

/// The next thing that is due under a program.
pub(crate) fn next_due_item<'a>(
    account: &Account,
    context: &Context<'_>,
    term: &ProgramPeriod<'a>,
) -> Option<(Timestamp, DueItem<'a>)> {
    let zone = context.zone;
    let ends = account
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
    let idle = next_inactivity(account, zone, term).map(|at| (at, DueItem::Inactivity));
    let tier =
        tier::next_transition(account, zone, term).map(|(at, step)| (at, DueItem::Tier(step)));
    let award = if term.program.definition().actions.is_empty() {
        None
    } else {
        next_award(account, context, term)
    };
    let all = [ends, release, redemption, idle, tier, award].into_iter().flatten();
    all.min_by_key(|(at, due)| (*at, due.priority()))
}

fn next_inactivity(account: &Account, zone: Zone, term: &ProgramPeriod<'_>) -> Option<Timestamp> {
    inactivity_expires_at(account, zone, term).filter(|_| !account.lots().is_empty())
}

/// When a balance ends by inactivity, whether or not there is one.
pub(crate) fn inactivity_expires_at(
    account: &Account,
    zone: Zone,
    term: &ProgramPeriod<'_>,
) -> Option<Timestamp> {
    let Expiry::Inactivity { after, activity } = term.program.definition().expiry else {
        return None;
    };
    let last = match activity {
        QualifyingActivity::Any => account.balance_changed_at(),
        QualifyingActivity::EarningAndRedeeming => account.last_activity_at(),
    };
    zone.after(last?, after).ok().map(|at| at.max(term.from))
}

/// The next award that needs no order and no word of the shop.
fn next_award<'a>(
    account: &Account,
    context: &Context<'_>,
    term: &ProgramPeriod<'a>,
) -> Option<(Timestamp, DueItem<'a>)> {
    let (zone, floor) = (context.zone, term.earliest(account));
    let mut first: Option<(Timestamp, DueItem<'a>)> = None;
    for action in &term.program.definition().actions {
        let open =
            |at: &Timestamp| action.when.are_met(context.tags, account.current_tier_id(*at), *at);
        let found = match &action.kind {
            ActionKind::Birthday { notice_days } => {
                next_birthday(account, context, *notice_days, floor, open).map(|(at, year)| {
                    (at, AwardReason::Birthday { action: action.id.clone(), year })
                })
            }
            ActionKind::Anniversary => {
                next_anniversary(account, zone, floor, open).map(|(at, years)| {
                    (at, AwardReason::Anniversary { action: action.id.clone(), years })
                })
            }
            ActionKind::GoalOrders(_) | ActionKind::GoalSpend(_) => {
                let new = is_goal_reached(account, &action.kind)
                    && account.activity().action(&action.id).is_none();
                let at = action.when.from.map_or(floor, |from| from.max(floor));
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

/// Whether this is a goal, and what was ever done is enough for it.
fn is_goal_reached(account: &Account, kind: &ActionKind) -> bool {
    let ever = account.progress().lifetime();
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
        .activity()
        .last_birthday_year()
        .map_or(from, |last| from.max(last.saturating_add(1)));
    (from..=from.saturating_add(2)).find_map(|year| {
        let day = observed_on(birthday.day, year)?;
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
        (at >= floor && open(&at)).then_some((at, years))
    })
}

/// The day in a year; 29 February is kept on the 28th in common years.
fn observed_on(day: NaiveDate, year: i32) -> Option<NaiveDate> {
    day.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28))
}

impl DecisionBuilder<'_> {
    /// Lets all that is due by now happen.
    pub(crate) fn catch_up(&mut self) {
        let context = self.context;
        // The first program decides also where a clock was put back behind its publication.
        for (place, term) in context.timeline().enumerate() {
            if place > 0 && term.from > context.now {
                break;
            }
            self.catch_up_within(&term);
        }
    }

    fn catch_up_within(&mut self, term: &ProgramPeriod<'_>) {
        let now = self.context.now;
        while let Some((at, due)) = next_due_item(&self.account, self.context, term) {
            let later = term.until.is_some_and(|until| at >= until);
            let before = self.events.len();
            if at > now || later {
                break;
            }
            self.apply_due(at, due, term);
            if self.events.len() == before {
                break;
            }
        }
    }

    fn apply_due(&mut self, at: Timestamp, due: DueItem<'_>, term: &ProgramPeriod<'_>) {
        match due {
            DueItem::Expiry => {
                let Some(lot) = self.account.lots().first().cloned() else { return };
                self.emit(expiry_event(&lot, at, false, false));
            }
            DueItem::Release => self.release_points(at),
            DueItem::Redemption => self.expire_redemption(at, term),
            DueItem::Inactivity => {
                let lots: Vec<Lot> = self.account.lots().iter().cloned().collect();
                for lot in lots {
                    self.emit(expiry_event(&lot, at, true, false));
                }
            }
            DueItem::Tier(step) => self.apply_tier_transition(at, &step, term),
            DueItem::Award(action, reason) => {
                self.grant_uncapped(at, action.points, action.hold, reason, term);
            }
        }
    }

    /// Pending points pay off debt first, and can be spent.
    fn release_points(&mut self, at: Timestamp) {
        let Some(lot) = self.account.pending_lots().first().cloned() else {
            return;
        };
        if let Some(end) = lot.expires_at.filter(|end| *end <= at) {
            return self.emit(expiry_event(&lot, end, false, true));
        }
        let kept = lot.points.saturating_sub(self.account.debt().min(lot.points));
        let apart =
            lot.expires_at.is_none() && lot.order.is_some() && self.tracks_lots_per_order(at);
        let lasting = self
            .account
            .lots()
            .non_expiring_lot()
            .filter(|_| lot.expires_at.is_none() && !apart);
        let id = lasting.map_or(lot.id, |lasting| lasting.id);
        let into = kept.is_positive().then_some(LotCredit {
            id,
            points: kept,
            earned_at: lot.earned_at,
            expires_at: lot.expires_at,
            pending_until: None,
            is_separate: apart,
        });
        let (points, order) = (lot.points, lot.order);
        self.emit(Event::PointsReleased { lot: lot.id, points, order, into, released_at: at });
    }

    /// Whether the program in force then ends balances by inactivity. Its lots have no end of their own,
    /// and what ends must be known to belong to an order.
    fn tracks_lots_per_order(&self, at: Timestamp) -> bool {
        let term = self
            .context
            .timeline()
            .find(|term| term.until.is_none_or(|until| at < until));
        term.is_some_and(|term| {
            matches!(term.program.definition().expiry, Expiry::Inactivity { .. })
        })
    }

    /// Gives points that no order brings, at once or after a hold from now.
    pub(crate) fn grant_uncapped(
        &mut self,
        at: Timestamp,
        points: Points,
        hold: Option<Period>,
        reason: AwardReason,
        term: &ProgramPeriod<'_>,
    ) {
        self.grant(
            BonusGrant {
                at,
                counts_from: at,
                points,
                uncapped: points,
                hold,
                reason,
                limited_by: None,
            },
            term,
        );
    }

    /// Nothing is given where points could not be counted any more.
    pub(crate) fn grant(&mut self, gift: BonusGrant, term: &ProgramPeriod<'_>) {
        let BonusGrant {
            at,
            counts_from: gate,
            points,
            uncapped: wanted,
            hold,
            reason,
            limited_by: cut,
        } = gift;
        let zone = self.context.zone;
        let Ok(until) = pending_until(hold, zone, gate, at) else { return };
        let countable = self.account.totals().granted.checked_add(points).is_some();
        let (Ok(lot), Ok(day), true) = (
            self.lot_credit(points, term.program, (gate, at), until, None),
            zone.local(at),
            countable,
        ) else {
            return;
        };
        let award = Arc::new(Award {
            reason,
            program: term.version,
            day: day.date(),
            uncapped: wanted,
            limited_by: cut,
        });
        self.emit(Event::AwardGiven { points, lot, award, at });
    }
}

/// Points to be given for something else than an order's basis.
pub(crate) struct BonusGrant {
    pub(crate) at: Timestamp,
    /// What hold and expiry run from.
    pub(crate) counts_from: Timestamp,
    pub(crate) points: Points,
    pub(crate) uncapped: Points,
    pub(crate) hold: Option<Period>,
    pub(crate) reason: AwardReason,
    pub(crate) limited_by: Option<Limit>,
}

/// A lot ran out of time.
pub(crate) fn expiry_event(lot: &Lot, at: Timestamp, inactive: bool, pending: bool) -> Event {
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
