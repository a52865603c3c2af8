//! A search for ways to cheat a program: to end up with more than what was paid for.
//!
//! One customer plays: buys, waits, redeems, and sends everything back within the time that the shop leaves for it. What friends can do together by referrals is not
//! played, nor what an anniversary pays when its first order is long gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ::proptest::collection::vec;
use ::proptest::prelude::*;
use ::proptest::sample::Index;

use super::Books;
use super::check::{CheckFailure, ProgramCheck, SearchResult};
use super::held;
use super::life::{self, CustomerHistory, Shrinkable, Wait, pick_from, without_item};
use super::story::Transcript;
use super::words::Vocabulary;
use crate::amount::{Amount, Points};
use crate::award::AwardReason;
use crate::calendar::Timestamp;
use crate::command::{Command, OverRefund};
use crate::event::{Event, AdjustmentReason};
use crate::id::{OrderId, RedemptionId, RefundId, Tag};
use crate::order::{Line, Order, Origin, Refund, RefundContent};
use crate::program::{DebtPolicy, Fault, Benefit, TierMetric, Program, RefundPolicy, Reward};
use crate::redemption::RedemptionState;

/// A statement about a program that a merchant would want to hold, and may have configured away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramProperty {
    /// Who sends back all that they bought keeps neither points nor what points bought.
    NoGainFromReturning,
    /// Spending earns less than what is spent: no reward is worth more than the money that it takes to earn it.
    /// Known of rewards that are an amount; orders of 1.00 and more are played.
    NoRewardAboveSpend,
    /// Nobody ends in a lower tier for having paid more, also where tiers count points.
    NoTierLostBySpending,
}

impl ProgramProperty {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoGainFromReturning => "no gain from returning",
            Self::NoRewardAboveSpend => "no reward above spend",
            Self::NoTierLostBySpending => "no tier lost by spending",
        }
    }
}

/// One way to cheat a program. Its text tells how, and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What does not hold.
    pub property: ProgramProperty,
    /// Where in the program's document the reason is, and what it does.
    pub fault: Fault,
    /// The shortest way that was found.
    pub transcript: Transcript,
    /// What the customer has in the end.
    pub gain: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { pointer, detail, .. } = &self.fault;
        writeln!(f, "{}: {pointer} {detail}", self.property.name())?;
        write!(f, "{}", self.transcript)?;
        writeln!(f, "  In the end {}.", self.gain)
    }
}

/// Every way that is found, one for each thing in the program that makes one possible.
pub(super) fn find_exploits(check: &ProgramCheck, program: &Program) -> Vec<Finding> {
    let mut found = find_gains_from_returning(check, program);
    let rewards = program.definition().rewards.iter().enumerate();
    found.extend(
        rewards.filter_map(|(index, reward)| find_reward_above_spend(check, program, index, reward)),
    );
    found.extend(find_tier_lost_by_spending(check, program));
    found
}

/// What a customer sets out to do.
#[derive(Clone, Debug)]
struct Scenario {
    tags: BTreeSet<Tag>,
    start: Timestamp,
    deeds: Vec<(Wait, ScenarioAction)>,
    cancels: bool,
}

impl Shrinkable for Scenario {
    fn without(&self, part: usize) -> Option<Self> {
        Some(Self { deeds: without_item(&self.deeds, part)?, ..self.clone() })
    }
}

#[derive(Clone, Debug)]
enum ScenarioAction {
    Buys(Order),
    /// Spends points on one of the rewards; on something of the shop's own where the program has none.
    Spends(Index),
}

fn scenarios(words: &Arc<Vocabulary>, spends: bool) -> impl Strategy<Value = Scenario> + use<> {
    let dear = life::orders(words).prop_filter_map("a price", with_minimum_total);
    let cheap = (life::orders(words), 1..10_u32).prop_filter_map("a line", |(order, price)| {
        let total = Amount::from(price);
        let line = Line {
            amount: total,
            gift_card: false,
            ..order.lines.into_iter().next()?
        };
        Some(Order { lines: vec![line], total, ..Order::default() })
    });
    let buys = prop_oneof![cheap, dear].prop_map(ScenarioAction::Buys);
    let deed = if spends {
        prop_oneof![buys, any::<Index>().prop_map(ScenarioAction::Spends)].boxed()
    } else {
        buys.boxed()
    };
    let deeds = vec((life::waits(), deed), 1..7);
    (life::tags(words), life::starts(words), deeds, any::<bool>())
        .prop_map(|(tags, start, deeds, cancels)| Scenario { tags, start, deeds, cancels })
}

/// An order that costs 1.00 or more, all of it in money.
fn with_minimum_total(mut order: Order) -> Option<Order> {
    let one = Amount::from(1);
    if order.total < one {
        let line = order.lines.first_mut()?;
        (line.amount, order.total) = (line.amount.checked_add(one)?, order.total.checked_add(one)?);
    }
    Some(Order { redeemed: Amount::ZERO, ..order })
}

/// A plot being carried out. What is refused does not happen.
struct ScenarioRun<'a> {
    program: &'a Program,
    words: &'a Vocabulary,
    life: CustomerHistory,
    books: Books,
    now: Timestamp,
    bought: Vec<(OrderId, Amount)>,
    redeemed: i64,
}

impl<'a> ScenarioRun<'a> {
    fn of(check: &ProgramCheck, program: &'a Program, words: &'a Vocabulary, plot: &Scenario) -> Self {
        let life = CustomerHistory { tags: plot.tags.clone(), birthday: None, steps: Vec::new() };
        let (books, now) = (check.books(program, &life), plot.start);
        let mut played = Self {
            program,
            words,
            life,
            books,
            now,
            bought: Vec::new(),
            redeemed: 0,
        };
        let last = check.zone.after(plot.start, check.returns).unwrap_or(plot.start);
        for (wait, deed) in &plot.deeds {
            played.now = wait.after(words, check.zone, played.now).min(last);
            match deed {
                ScenarioAction::Buys(order) => played.buy(order),
                ScenarioAction::Spends(reward) => played.spend(*reward),
            }
        }
        played
    }

    fn tell(&mut self, command: Command) -> bool {
        let done = self.books.tell(&command, self.now).is_ok();
        if done {
            self.life.steps.push((self.now, command));
        }
        done
    }

    fn buy(&mut self, order: &Order) {
        let number = self.bought.len().saturating_add(1_001);
        let Ok(id) = OrderId::new(number.to_string()) else { return };
        let (snapshot, status) = (Arc::new(order.clone()), self.words.gate);
        let report = Command::RecordOrder {
            order: id.clone(),
            snapshot,
            status,
            at: None,
            origin: Origin::Shop,
        };
        if self.tell(report) {
            self.bought.push((id, order.total));
        }
    }

    fn spend(&mut self, reward: Index) {
        let program = self.program;
        if let Some(reward) = pick_from(&program.definition().rewards, reward) {
            self.redeem(reward);
        } else {
            let points = self.books.balance(self.now);
            self.tell(Command::SubtractPoints { points, reason: AdjustmentReason::default() });
        }
    }

    /// Redeems a reward, as much of it as there are points for; answers what it gives.
    fn redeem(&mut self, reward: &Reward) -> Option<Benefit> {
        let have = self.books.balance(self.now);
        let amount = reward.largest_amount(have);
        let (_, gives) = reward.quote(amount, self.books.minor_digits).ok()?;
        let number = self.redeemed.checked_add(1)?;
        let (redemption, entropy) =
            (RedemptionId(number), [u8::try_from(number).unwrap_or(u8::MAX); 16]);
        let redeems =
            Command::RedeemReward { redemption, reward: reward.id.clone(), amount, entropy };
        self.tell(redeems).then(|| {
            self.redeemed = number;
            gives
        })
    }

    /// Everything goes back, and the money with it.
    fn send_back(&mut self, cancels: bool) {
        for (order, total) in self.bought.clone() {
            let Ok(id) = RefundId::new(format!("all-of-{order}")) else {
                continue;
            };
            let all = Refund { id, refunded: RefundContent::Amount(total) };
            let back = if cancels {
                Command::CancelOrder { order, at: None }
            } else {
                Command::RefundOrder { order, refund: all, over_refund: OverRefund::Reject, at: None }
            };
            self.tell(back);
        }
    }

    fn story(&self, check: &ProgramCheck) -> Transcript {
        Transcript::of(&mut check.books(self.program, &self.life), &self.life.steps)
    }
}

/// What of a program leaves points with who has returned everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Refunds,
    Debt,
    Entry(usize),
    LateEntry(usize),
    Goal(usize),
}

fn find_gains_from_returning(check: &ProgramCheck, program: &Program) -> Vec<Finding> {
    let words = Vocabulary::of(program);
    let cases = scenarios(&words, true);
    let returned = |plot: &Scenario| {
        let mut played = ScenarioRun::of(check, program, &words, plot);
        played.send_back(plot.cancels);
        played
    };
    let has = |plot: &Scenario, wanted: &dyn Fn(&BTreeSet<Cause>) -> bool| {
        let played = returned(plot);
        prop_assert!(!played.has_something() || !wanted(&played.causes()));
        Ok(())
    };
    let (mut known, mut found) = (BTreeSet::new(), Vec::new());
    loop {
        let any_new = |causes: &BTreeSet<Cause>| !causes.is_subset(&known);
        let SearchResult::Found { case, .. } = check.smallest(&cases, |plot| has(plot, &any_new)) else {
            return found;
        };
        let helped = returned(&case).causes();
        let Some(cause) = helped.difference(&known).next().cloned() else {
            return found;
        };
        // The same where nothing else helps along, if there is such a way.
        let alone = |causes: &BTreeSet<Cause>| causes.len() == 1 && causes.contains(&cause);
        let plot = match check.smallest(&cases, |plot| has(plot, &alone)) {
            SearchResult::Found { case, .. } => case,
            SearchResult::Nothing | SearchResult::Stuck { .. } => case,
        };
        let played = returned(&plot);
        found.push(Finding {
            property: ProgramProperty::NoGainFromReturning,
            fault: cause.fault(program),
            transcript: played.story(check),
            gain: format!("all money is back, and the customer has {}", played.holdings()),
        });
        known.insert(cause);
    }
}

impl ScenarioRun<'_> {
    /// Points that are left, pending ones too, and points that were spent on what the customer still has.
    fn has_something(&self) -> bool {
        let account = self.books.as_of(self.now);
        let left = account.balance(self.now).saturating_add(account.pending(self.now));
        let spent = self
            .in_hand()
            .map(|(_, points)| points)
            .fold(account.totals().subtracted, Points::saturating_add);
        left.saturating_add(spent).is_positive()
    }

    /// What was redeemed and not given back.
    fn in_hand(&self) -> impl Iterator<Item = (String, Points)> {
        let had = self.books.redemptions.values();
        let had = had.filter(|had| {
            matches!(had.state(), RedemptionState::Issued | RedemptionState::Used { .. })
        });
        had.map(|had| {
            (format!("{} ({})", had.issue().name, had.issue().benefit), had.payment().points())
        })
    }

    fn holdings(&self) -> String {
        let account = self.books.as_of(self.now);
        let mut said = format!("a balance of {} points", account.balance(self.now));
        let pending = account.pending(self.now);
        if !pending.is_zero() {
            said = format!("{said}, {pending} points pending");
        }
        let spent = account.totals().subtracted;
        if !spent.is_zero() {
            said = format!("{said} and what {spent} points bought");
        }
        for (what, points) in self.in_hand() {
            said = format!("{said} and {what} for {points} points");
        }
        said
    }

    fn causes(&self) -> BTreeSet<Cause> {
        let parts = self.program.definition();
        let keeps = parts.refunds == RefundPolicy::Keep;
        let mut found = BTreeSet::new();
        for order in self.books.orders.values() {
            let posted = order.posted();
            let net = posted
                .awarded
                .saturating_sub(posted.clawed_back)
                .saturating_sub(posted.expired);
            if net.is_positive() && posted.forgiven.is_positive() {
                found.insert(Cause::Debt);
            } else if net.is_positive() && keeps {
                found.insert(Cause::Refunds);
            }
        }
        for (reason, _) in self.given().into_iter().filter(|(_, left)| left.is_positive()) {
            if let AwardReason::TierEntry { tier } = &reason {
                let Some(rank) = self.program.rank(tier) else { continue };
                let entry = parts.tiers.get(rank).and_then(|tier| tier.entry);
                found.insert(if entry.is_some_and(|entry| !entry.taken_back) {
                    Cause::Entry(rank)
                } else if keeps {
                    Cause::Refunds
                } else if parts.debt == DebtPolicy::StopAtZero {
                    Cause::Debt
                } else {
                    Cause::LateEntry(rank)
                });
            } else if let AwardReason::Goal { action } = &reason {
                found.extend(
                    parts
                        .actions
                        .iter()
                        .position(|rule| rule.id == *action)
                        .map(Cause::Goal),
                );
            }
        }
        found
    }

    /// What was given for orders together, less what of it was taken back.
    fn given(&self) -> Vec<(AwardReason, Points)> {
        let mut left: BTreeMap<String, (AwardReason, Points)> = BTreeMap::new();
        for event in &self.books.journal {
            let (reason, moved) = if let Event::AwardGiven { award, points, .. } = event {
                (&award.reason, *points)
            } else if let Event::AwardTakenBack { reason, clawback: taking, .. } = event {
                (reason, taking.points().negated())
            } else {
                continue;
            };
            let entry = left
                .entry(reason.to_string())
                .or_insert_with(|| (reason.clone(), Points::ZERO));
            entry.1 = entry.1.saturating_add(moved);
        }
        left.into_values().collect()
    }
}

impl Cause {
    fn fault(&self, program: &Program) -> Fault {
        let parts = program.definition();
        match self {
            Self::Refunds => Fault::new(
                "/refunds",
                "returning_keeps_points",
                "says `keep`: what is bought and sent back leaves its points behind. `claw_back` takes them.",
            ),
            Self::Debt => Fault::new(
                "/debt",
                "shortfall_is_forgiven",
                "says `stop_at_zero`: points that are spent before their order is sent back are not missed. \
                 `allow` has them owed.",
            ),
            Self::Entry(rank) => {
                let tier = parts
                    .tiers
                    .get(*rank)
                    .map(|tier| tier.name.as_str())
                    .unwrap_or_default();
                Fault::new(
                    format!("/tiers/{rank}/entry"),
                    "entry_reward_is_kept",
                    format!(
                        "is kept: orders that are sent back leave the points for entering {tier} behind. \
                             `\"taken_back\": true` takes them."
                    ),
                )
            }
            Self::LateEntry(rank) => Fault::new(
                format!("/tiers/{rank}/entry"),
                "entry_reward_outlives_its_order",
                "is taken back only by a refund that undoes the tier: what is sent back when it no longer counts leaves \
                 the points behind. A longer window than the time to return keeps it from that.",
            ),
            Self::Goal(index) => {
                let action = parts
                    .actions
                    .get(*index)
                    .map(|action| action.id.as_str())
                    .unwrap_or_default();
                Fault::new(
                    format!("/actions/{index}"),
                    "goal_is_kept",
                    format!(
                        "is kept: orders that are sent back leave the points for {action} behind. Nothing \
                             takes the points of a goal back; a tier's entry reward can be."
                    ),
                )
            }
        }
    }
}

/// Spends as little as can be on orders, and has more of a reward for it.
fn find_reward_above_spend(
    check: &ProgramCheck,
    program: &Program,
    index: usize,
    reward: &Reward,
) -> Option<Finding> {
    let (words, worth) = (Vocabulary::of(program), |gives: &Benefit| match gives {
        Benefit::FixedAmount(amount) | Benefit::StoreCredit(amount) => *amount,
        Benefit::Custom | Benefit::FreeProduct(_) | Benefit::FreeShipping(_) | Benefit::Percentage(_) => {
            Amount::ZERO
        }
    });
    let redeemed = |plot: &Scenario| {
        let mut played = ScenarioRun::of(check, program, &words, plot);
        if let Some(hold) = program.definition().hold {
            played.now = check.zone.after(played.now, hold).unwrap_or(played.now);
        }
        let mut sum = Amount::ZERO;
        while let Some(gives) = played
            .redeem(reward)
            .filter(|gives| !worth(gives).is_zero() && played.redeemed < 50)
        {
            sum = sum.checked_add(worth(&gives)).unwrap_or(Amount::MAX);
        }
        let totals = played.bought.iter().map(|(_, total)| *total);
        let spent =
            totals.fold(Amount::ZERO, |sum, total| sum.checked_add(total).unwrap_or(Amount::MAX));
        (played, spent, sum)
    };
    let test = |plot: &Scenario| {
        let (_, spent, had) = redeemed(plot);
        prop_assert!(had <= spent);
        Ok(())
    };
    let SearchResult::Found { case, .. } = check.smallest(&scenarios(&words, false), test) else {
        return None;
    };
    let (played, spent, had) = redeemed(&case);
    let detail = format!(
        "gives more than it takes to earn it: {had} for {spent} spent. A higher cost, or fewer points \
                          for small orders, keep it below."
    );
    Some(Finding {
        property: ProgramProperty::NoRewardAboveSpend,
        fault: Fault::new(format!("/rewards/{index}"), "reward_above_spend", detail),
        transcript: played.story(check),
        gain: format!("the customer has spent {spent} and has {had} of {}", reward.name),
    })
}

fn find_tier_lost_by_spending(check: &ProgramCheck, program: &Program) -> Option<Finding> {
    let parts = program.definition();
    let earned = parts.tiers.iter().any(|tier| tier.threshold.is_some());
    if parts.tiering.metric != TierMetric::PointsEarned || !earned {
        return None;
    }
    let Err(CheckFailure::Found { reason: why, transcript: story }) = held::search_tier_monotonicity(check, program) else {
        return None;
    };
    let detail = "counts points, and paying more earns fewer of them, or ends in a lower tier.";
    Some(Finding {
        property: ProgramProperty::NoTierLostBySpending,
        fault: Fault::new("/tiering/metric", "spending_costs_a_tier", detail),
        transcript: story,
        gain: why,
    })
}
