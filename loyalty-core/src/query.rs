//! The read functions: an account as it is, or will be, at an instant.
//!
//! A stored account is as its last command left it. These functions apply to a copy what
//! became due since.

use crate::account::{Account, Usage};
use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::context::Context;
use crate::event::Event;
use crate::exact::{Fraction, Overflow};
use crate::id::{RewardId, TierId};
use crate::order::OrderState;
use crate::program::{Downgrade, Reward};
use crate::rejection::Rejection;
use crate::rules::refund;
use crate::rules::scheduled::next_due_item;
use crate::rules::tier::{counts_at, qualification_lost_at};
use crate::rules::work::DecisionBuilder;
use crate::tier::TierStatus;

/// The account at `context.now`: the stored one with everything that became due since. If
/// `now` is in the future, the account as it will be without further commands.
///
/// # Example: a balance that expires by inactivity
/// ```
/// use loyalty_core::{Account, Command, Context, Points, Program, Timestamp, as_of, decide};
/// # #[cfg(feature = "json")] {
/// let program = Program::from_json(r#"{"expiry": {"inactivity": {"after": "P1Y"}}}"#).unwrap();
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let mut account = Account::default();
/// for (now, points) in [("2026-01-01T00:00:00Z", 500_u32), ("2026-03-01T00:00:00Z", 200)] {
///     let add = Command::AddPoints { points: points.into(), reason: Default::default() };
///     let decision = decide(&Context::new(&program, &account, at(now)), &add).unwrap();
///     decision.events.iter().for_each(|event| account.evolve(event));
/// }
///
/// let balance = |now| as_of(&Context::new(&program, &account, at(now))).balance(at(now));
/// assert_eq!(balance("2027-02-28T23:59:59Z"), Points::from(700));
/// assert_eq!(balance("2027-03-01T00:00:00Z"), Points::ZERO);
/// # }
/// ```
pub fn as_of(context: &Context<'_>) -> Account {
    let mut work = DecisionBuilder::new(context);
    work.catch_up();
    work.account
}

/// The events that are due by `context.now` and that the account does not contain yet,
/// each at its own instant. What was due under an earlier program is decided under that
/// program.
///
/// # Example: points expire
/// ```
/// use loyalty_core::{Account, Command, Context, Event, Program, Timestamp, decide, due};
/// # #[cfg(feature = "json")] {
/// let program = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#).unwrap();
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let mut account = Account::default();
/// let add = Command::AddPoints { points: 500_u32.into(), reason: Default::default() };
/// let context = Context::new(&program, &account, at("2026-01-01T00:00:00Z"));
/// let decision = decide(&context, &add).unwrap();
/// decision.events.iter().for_each(|event| account.evolve(event));
///
/// assert!(due(&Context::new(&program, &account, at("2026-12-31T23:59:59Z"))).is_empty());
/// let events = due(&Context::new(&program, &account, at("2030-01-01T00:00:00Z")));
/// assert_eq!(events[0].at(), Some(at("2027-01-01T00:00:00Z")));
/// assert!(matches!(events[0], Event::PointsExpired { .. }));
/// # }
/// ```
pub fn due(context: &Context<'_>) -> Vec<Event> {
    let mut work = DecisionBuilder::new(context);
    work.catch_up();
    work.events
}

/// The next instant at which something is due on this account, before or after
/// `context.now`: a scheduled event, or a gift that waits for its redemption. A store need not look at the account earlier. `None` if nothing is.
///
/// # Example: the end of a lot
/// ```
/// use loyalty_core::{Account, Command, Context, Program, Timestamp, decide, next_due};
/// # #[cfg(feature = "json")] {
/// let program = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#).unwrap();
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let mut account = Account::default();
/// let now = at("2026-01-01T00:00:00Z");
/// assert_eq!(next_due(&Context::new(&program, &account, now)), None);
///
/// let add = Command::AddPoints { points: 500_u32.into(), reason: Default::default() };
/// let decision = decide(&Context::new(&program, &account, now), &add).unwrap();
/// decision.events.iter().for_each(|event| account.evolve(event));
/// let next = next_due(&Context::new(&program, &account, now));
/// assert_eq!(next, Some(at("2027-01-01T00:00:00Z")));
/// # }
/// ```
pub fn next_due(context: &Context<'_>) -> Option<Timestamp> {
    let account = context.account?;
    let scheduled = context.timeline().find_map(|period| {
        let next = next_due_item(account, context, &period).map(|(at, _)| at);
        next.filter(|at| !period.is_over_at(*at))
    });
    let gift = account.activity().gifts().next_due();
    [scheduled, gift].into_iter().flatten().min()
}

/// The account's tier at `context.now`, and what is missing to rise and to keep it.
///
/// # Example: the way to gold
/// ```
/// use loyalty_core::{Account, Context, Program, tier_status};
/// # #[cfg(feature = "json")] {
/// let program = Program::from_json(
///     r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "500"}]}"#,
/// ).unwrap();
/// let account = Account::default();
/// let now = "2026-01-01T00:00:00Z".parse().unwrap();
/// let status = tier_status(&Context::new(&program, &account, now));
/// let (next, missing) = status.next.unwrap();
/// assert_eq!((next.as_str(), missing), ("gold", 500 * 10_000)); // in ten-thousandths
/// # }
/// ```
pub fn tier_status(context: &Context<'_>) -> TierStatus {
    let account = as_of(context);
    let (zone, program, now) = (context.zone, context.program(), context.now);
    let definition = program.definition();
    let (tiers, tiering) = (&definition.tiers, &definition.tiering);
    let metric = tiering.metric;

    let counts = counts_at(&account, zone, tiering.window, now);
    let missing = |threshold| {
        let missing = metric
            .scale_threshold(threshold)
            .saturating_sub(metric.value_of(counts));
        missing.max(0)
    };

    let (earned, manual) = (account.earned_tier(), account.manual_tier(now).cloned());
    let rank = |id: &TierId| program.rank(id);
    let current = account.current_tier_id(now).and_then(rank);
    let next = tiers.iter().enumerate().find_map(|(place, tier)| {
        let threshold = tier.threshold.filter(|_| Some(place) > current)?;
        Some((tier.id.clone(), missing(threshold)))
    });

    let is_safe = tiering.down == Downgrade::Never;
    let needed = earned.and_then(|tier| tiers.get(rank(&tier.id)?)?.threshold);
    let missing_to_keep = needed.filter(|_| !is_safe).map_or(0, missing);
    let ends = earned.and_then(|tier| {
        let lost = || {
            let rank = rank(&tier.id).filter(|_| !is_safe)?;
            qualification_lost_at(&account, zone, program, rank, now)
        };
        tier.until.or_else(lost)
    });

    // A tier set by hand hides the earned one and its dates.
    let is_manual = manual.is_some();
    TierStatus {
        tier: account.current_tier_id(now).cloned(),
        since: earned.filter(|_| !is_manual).map(|tier| tier.since),
        until: if is_manual { manual.as_ref().and_then(|tier| tier.until) } else { ends },
        manual,
        counts,
        next,
        missing_to_keep,
        last_change: account.tier_change().cloned(),
    }
}

/// A reward as one customer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardOffer {
    /// The reward.
    pub reward: RewardId,
    /// The lowest price.
    pub points: Points,
    /// The largest amount that the balance buys, if the customer chooses the amount.
    pub largest_amount: Option<Amount>,
    /// The points missing to the lowest price.
    pub missing_points: Points,
    /// All reasons why the customer cannot redeem it, as `decide` would give them one by
    /// one.
    pub rejections: Vec<Rejection>,
}

impl RewardOffer {
    /// Returns true if the customer can redeem it now.
    pub fn is_available(&self) -> bool {
        self.rejections.is_empty()
    }
}

/// All rewards of the program as the customer sees them at `context.now`, in the
/// program's order. `total_usage` is the usage of a reward by all customers of the shop.
///
/// # Example: the points that are missing
/// ```
/// use loyalty_core::{Account, Context, Points, Program, reward_offers};
/// # #[cfg(feature = "json")] {
/// let program = Program::from_json(
///     r#"{"rewards": [{"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5"}}]}"#,
/// ).unwrap();
/// let (account, now) = (Account::default(), "2026-01-31T10:00:00Z".parse().unwrap());
/// let offers = reward_offers(&Context::new(&program, &account, now), |_| None);
/// assert_eq!(offers[0].missing_points, Points::from(500));
/// assert_eq!(offers[0].rejections[0].code(), "insufficient_points");
/// # }
/// ```
pub fn reward_offers(
    context: &Context<'_>,
    total_usage: impl Fn(&RewardId) -> Option<Usage>,
) -> Vec<RewardOffer> {
    let mut work = DecisionBuilder::new(context);
    work.catch_up();

    let have = work.account.balance(context.now);
    let offer = |reward: &Reward| {
        let points = reward.minimum_cost();
        let total = total_usage(&reward.id);
        RewardOffer {
            reward: reward.id.clone(),
            points,
            largest_amount: reward.largest_amount(have),
            missing_points: points.saturating_sub(have).max(Points::ZERO),
            rejections: work.rejections_for(reward, total.as_ref(), points),
        }
    };
    context.program().definition().rewards.iter().map(offer).collect()
}

/// The share of an order's goods that refunds gave back: 1 if nothing is left of them.
///
/// # Errors
/// [`Overflow`] if amounts are too large for fractions of 256 bits.
///
/// # Example: an order without refunds
/// ```
/// use loyalty_core::{Fraction, OrderState, query};
/// let order = OrderState::new("1001".parse().unwrap());
/// assert_eq!(query::returned_share(&order), Ok(Fraction::ZERO));
/// ```
pub fn returned_share(order: &OrderState) -> Result<Fraction, Overflow> {
    refund::returned_share(order)
}
