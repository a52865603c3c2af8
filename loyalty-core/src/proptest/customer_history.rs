//! Strategies for histories of customers under one given program.
//!
//! A history is built step by step from independent templates. A history that breaks an
//! invariant can therefore lose all steps that do not contribute to the failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::proptest::collection::vec;
use ::proptest::option::weighted;
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};
use ::proptest::strategy::Union;
use chrono::{NaiveDate, TimeDelta};

use super::vocabulary::Vocabulary;
use crate::amount::{Amount, Points};
use crate::attribute::Attributes;
use crate::calendar::{Period, Timestamp, Zone};
use crate::command::{Command, OverRefund};
use crate::customer::Birthday;
use crate::event::AdjustmentReason;
use crate::id::{ChannelId, LineId, OrderId, RedemptionId, RefundId, Tag};
use crate::order::{Line, Order, Origin, Quantity, Refund, RefundAmount, RefundContent, Status};
use crate::program::{AttributeOwner, Program};
use crate::tier::ManualTier;

/// The history of one customer: commands with their instants. Some of them are rejected.
#[derive(Clone, Debug)]
pub struct CustomerHistory {
    /// The customer's tags.
    pub tags: BTreeSet<Tag>,
    /// The customer's attributes.
    pub attributes: Attributes,
    /// The customer's birthday.
    pub birthday: Option<Birthday>,
    /// The commands, in the order of their instants.
    pub steps: Vec<(Timestamp, Command)>,
}

impl Shrinkable for CustomerHistory {
    fn without_part(&self, part: usize) -> Option<Self> {
        Some(Self { steps: without_item(&self.steps, part)?, ..self.clone() })
    }
}

/// A case of independent parts. Parts that do not contribute to a failure can be removed.
pub(super) trait Shrinkable: Sized {
    /// Returns the case without one part; `None` if it has no such part.
    fn without_part(&self, part: usize) -> Option<Self>;
}

/// Returns the list without one of its items; `None` if it has no such item.
pub(super) fn without_item<T: Clone>(list: &[T], part: usize) -> Option<Vec<T>> {
    let mut list = list.to_vec();
    if part >= list.len() {
        return None;
    }
    list.remove(part);
    Some(list)
}

/// Generates histories under a program, for a shop in this zone.
///
/// They contain orders of its products around its thresholds, refunds, actions, codes,
/// redemptions and commands of the staff, separated by its periods.
pub fn customer_histories_under(
    program: &Program,
    zone: Zone,
) -> impl Strategy<Value = CustomerHistory> + use<> {
    let vocabulary = Vocabulary::from_program(program);
    let step = (waits(), weighted(0.3, 0..90_u8), step_templates(&vocabulary));
    let born = weighted(
        0.2,
        (1_i32..=366).prop_map(|day| NaiveDate::from_yo_opt(1988, day.unsigned_abs())),
    );

    let customer = (tags(&vocabulary), attributes(&vocabulary, AttributeOwner::Customer));
    (customer, starts(&vocabulary), born, vec(step, 1..20)).prop_map(
        move |((tags, attributes), start, born, steps)| {
            let mut builder = CommandBuilder::new(&vocabulary, zone, start);
            let birthday = born.flatten().map(|day| Birthday { day, set_at: start });
            let steps = steps
                .iter()
                .filter_map(|(wait, minutes_ago, template)| {
                    builder.build(wait, *minutes_ago, template)
                })
                .collect();
            CustomerHistory { tags, attributes, birthday, steps }
        },
    )
}

/// Generates orders of a program's products, around its thresholds.
pub fn orders_under(program: &Program) -> impl Strategy<Value = Order> + use<> {
    orders(&Vocabulary::from_program(program))
}

/// Generates some of the tags that a program mentions.
pub(super) fn tags(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = BTreeSet<Tag>> + use<> {
    let vocabulary = Arc::clone(vocabulary);
    vec(any::<Index>(), 0..3).prop_map(move |picks| {
        picks
            .iter()
            .filter_map(|pick| pick_from(&vocabulary.tags, *pick))
            .cloned()
            .collect()
    })
}

/// Generates a channel that a program mentions, or none.
fn channels(vocabulary: &Vocabulary) -> BoxedStrategy<Option<ChannelId>> {
    if vocabulary.channels.is_empty() {
        return Just(None).boxed();
    }
    weighted(0.8, select(vocabulary.channels.clone())).boxed()
}

/// Generates some of the attributes of orders, lines or customers that a program mentions.
/// Where it mentions none, nothing is drawn: its cases are those of a program without them.
fn attributes(vocabulary: &Arc<Vocabulary>, owner: AttributeOwner) -> BoxedStrategy<Attributes> {
    let known = vocabulary.attributes.iter().filter(|(of, ..)| *of == owner);
    let known: Vec<_> = known.map(|(_, name, value)| (name.clone(), value.clone())).collect();
    if known.is_empty() {
        return Just(Attributes::EMPTY).boxed();
    }
    let picks = vec(any::<Index>(), 0..4).prop_map(move |picks| {
        let picked = picks.iter().filter_map(|pick| pick_from(&known, *pick)).cloned();
        Attributes::new(picked.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    });
    picks.boxed()
}

/// Generates the beginning of 2026, or half an hour before an instant that the program mentions.
pub(super) fn starts(vocabulary: &Vocabulary) -> impl Strategy<Value = Timestamp> + use<> {
    let first = Timestamp::from_timestamp(1_767_225_600, 0).unwrap_or_default();
    let mut starts = vec![first];
    starts.extend(
        vocabulary
            .instants
            .iter()
            .filter_map(|at| at.checked_sub_signed(TimeDelta::minutes(30))),
    );
    select(starts)
}

/// Returns an item of the list; `None` if it is empty.
pub(super) fn pick_from<T>(list: &[T], pick: Index) -> Option<&T> {
    if list.is_empty() { None } else { list.get(pick.index(list.len())) }
}

/// The time between two steps.
#[derive(Clone, Debug)]
pub(super) enum Wait {
    Minutes(i64),
    Days(u32),
    /// One of the program's periods, exactly or with a minute less or more.
    Period(Index, i64),
}

pub(super) fn waits() -> impl Strategy<Value = Wait> {
    prop_oneof![
        5 => prop_oneof![Just(0), 0..300_i64].prop_map(Wait::Minutes),
        2 => (1..45_u32).prop_map(Wait::Days),
        3 => (any::<Index>(), -1..2_i64).prop_map(|(which, minutes)| Wait::Period(which, minutes)),
    ]
}

impl Wait {
    /// Returns the instant after the wait. It is never earlier than `now`.
    pub(super) fn after(&self, vocabulary: &Vocabulary, zone: Zone, now: Timestamp) -> Timestamp {
        let period = |period| zone.after(now, period).ok();
        let then = match self {
            Self::Minutes(minutes) => now.checked_add_signed(TimeDelta::minutes(*minutes)),
            Self::Days(days) => Period::from_days(*days).and_then(period),
            Self::Period(which, minutes) => pick_from(&vocabulary.periods, *which)
                .copied()
                .and_then(period)
                .and_then(|end| end.checked_add_signed(TimeDelta::minutes(*minutes))),
        };
        then.map_or(now, |then| then.max(now))
    }
}

/// A step before the state of the customer is known.
#[derive(Clone, Debug)]
enum StepTemplate {
    /// A complete command.
    Command(Command),
    /// A refund of some percent of an order's total, or of units of one of its lines.
    /// It can say the part of its money that is shipping, or the money of its units.
    Refund { order: OrderId, percent: i64, units: Option<(Index, Quantity)>, says_parts: bool },
    /// A redemption of one of the program's rewards, with a number of steps if it is variable.
    Redeem { reward: Index, steps: u32 },
    /// The issue of a gift that waits.
    IssueGift,
    /// A change of an earlier redemption.
    UpdateRedemption { which: Index, update: RedemptionUpdate },
}

/// A change of a redemption.
#[derive(Clone, Debug)]
enum RedemptionUpdate {
    Claim(OrderId),
    Release(OrderId),
    Cancel,
    Use,
}

fn step_templates(vocabulary: &Arc<Vocabulary>) -> BoxedStrategy<StepTemplate> {
    let mut kinds = vec![
        (6, order_reports(vocabulary).boxed()),
        (3, refunds().boxed()),
        (3, manual_commands(vocabulary).boxed()),
    ];
    kinds.push((
        1,
        order_ids()
            .prop_map(|order| StepTemplate::Command(Command::CancelOrder { order, at: None }))
            .boxed(),
    ));
    if !vocabulary.actions.is_empty() || !vocabulary.codes.is_empty() {
        kinds.push((1, actions(vocabulary).boxed()));
    }
    if !vocabulary.rewards.is_empty() {
        kinds.push((8, redemptions().boxed()));
    }
    if vocabulary.has_gifts {
        kinds.push((4, Just(StepTemplate::IssueGift).boxed()));
    }
    Union::new_weighted(kinds).boxed()
}

fn order_ids() -> impl Strategy<Value = OrderId> {
    (1001..1003_u32).prop_filter_map("an id", |number| OrderId::new(number.to_string()).ok())
}

fn order_reports(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = StepTemplate> + use<> {
    let status = prop_oneof![3 => Just(vocabulary.gate), 1 => select(&Status::ALL[..])];
    let report = (order_ids(), orders(vocabulary), status, prop::bool::weighted(0.1));
    report.prop_map(|(order, snapshot, status, plugin)| {
        let origin = if plugin { Origin::Plugin } else { Origin::Shop };
        StepTemplate::Command(Command::RecordOrder {
            order,
            snapshot: Arc::new(snapshot),
            status,
            at: None,
            origin,
        })
    })
}

fn refunds() -> impl Strategy<Value = StepTemplate> {
    let percent = prop_oneof![Just(100_i64), 1..100_i64];
    let units = weighted(0.4, (any::<Index>(), (1..4_u16).prop_map(Quantity::from)));
    (order_ids(), percent, units, any::<bool>()).prop_map(|(order, percent, units, says_parts)| {
        StepTemplate::Refund { order, percent, units, says_parts }
    })
}

fn manual_commands(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = StepTemplate> + use<> {
    let for_costs = Arc::clone(vocabulary);
    let costs = any::<Index>().prop_filter_map("a cost", move |pick| {
        pick_from(&for_costs.costs, pick)
            .copied()
            .or_else(|| Points::new(100))
    });
    let points = || (1..500_u32).prop_map(Points::from);
    let for_tiers = Arc::clone(vocabulary);
    let tier = weighted(0.7, any::<Index>()).prop_map(move |pick| {
        let id = pick.and_then(|pick| pick_from(&for_tiers.tiers, pick).cloned());
        Command::SetTier(id.map(|id| ManualTier { id, until: None }))
    });

    let command = prop_oneof![
        5 => prop_oneof![points(), costs].prop_map(move |points| Command::AddPoints { points, reason: AdjustmentReason::default() }),
        3 => points().prop_map(move |points| Command::SubtractPoints { points, reason: AdjustmentReason::default() }),
        1 => points().prop_map(|to| Command::SetBalance { to, reason: None }),
        1 => Just(Command::CatchUp),
        1 => Just(Command::SignUp),
        1 => tier,
    ];
    command.prop_map(StepTemplate::Command)
}

fn actions(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = StepTemplate> + use<> {
    let vocabulary = Arc::clone(vocabulary);
    (any::<Index>(), any::<Index>(), any::<bool>()).prop_filter_map(
        "an action",
        move |(action, code, enters_code)| {
            let action = pick_from(&vocabulary.actions, action).filter(|_| !enters_code);
            let command = match (action, pick_from(&vocabulary.codes, code)) {
                (Some(action), _) => {
                    Command::PerformAction { action: action.clone(), points: None }
                }
                (None, Some(code)) => {
                    Command::EnterCode { code: Arc::clone(code), used_by_other: false }
                }
                (None, None) => return None,
            };
            Some(StepTemplate::Command(command))
        },
    )
}

fn redemptions() -> impl Strategy<Value = StepTemplate> {
    let update = prop_oneof![
        3 => order_ids().prop_map(RedemptionUpdate::Claim),
        3 => order_ids().prop_map(RedemptionUpdate::Release),
        1 => Just(RedemptionUpdate::Cancel),
        1 => Just(RedemptionUpdate::Use),
    ];
    prop_oneof![
        1 => (any::<Index>(), 1..4_u32).prop_map(|(reward, steps)| StepTemplate::Redeem { reward, steps }),
        1 => (any::<Index>(), update).prop_map(|(which, update)| StepTemplate::UpdateRedemption { which, update }),
    ]
}

/// Generates whole units, cents, and amounts just below, at and above a threshold of the program.
pub(super) fn prices(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = Amount> + use<> {
    let vocabulary = Arc::clone(vocabulary);
    let near = (any::<Index>(), -1..2_i64).prop_filter_map("in range", move |(pick, cents)| {
        let amount = pick_from(&vocabulary.amounts, pick)
            .copied()
            .unwrap_or_else(|| Amount::from(100));
        let parts = amount.ten_thousandths().checked_add(cents.checked_mul(100)?)?;
        Amount::from_ten_thousandths(parts).ok()
    });
    let cents = (0..30_000_i64).prop_filter_map("in range", |cents| {
        Amount::from_ten_thousandths(cents.checked_mul(100)?).ok()
    });
    prop_oneof![2 => (0..8_u32).prop_map(Amount::from), 4 => (0..300_u32).prop_map(Amount::from), 2 => cents, 3 => near]
}

pub(super) fn orders(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = Order> + use<> {
    let rare =
        || weighted(0.15, (0..30_u32).prop_map(Amount::from)).prop_map(Option::unwrap_or_default);
    let lines = vec(lines(vocabulary), 1..4);
    let charges = (rare(), any::<bool>(), rare(), prop_oneof![6 => Just(0_i64), 1 => 1..=100_i64]);
    let channel = channels(vocabulary);
    let facts = (channel, attributes(vocabulary, AttributeOwner::Order));
    (lines, charges, facts).prop_filter_map(
        "totals add up",
        |(lines, (tax, taxes_included, shipping, percent), (channel, attributes))| {
            let numbered = (1_u32..)
                .zip(lines)
                .map(|(number, line)| Some(Line { id: line_id(number)?, ..line }));
            let lines = numbered.collect::<Option<Vec<Line>>>()?;
            let order = Order { lines, tax, taxes_included, shipping, ..Order::default() };
            let order = Order { channel, attributes, ..order };
            let added = if taxes_included { Amount::ZERO } else { tax };
            let total = order.subtotal()?.checked_add(added)?.checked_add(shipping)?;
            let order = Order { total, redeemed: percent_of(total, percent)?, ..order };
            order.validate(2).ok().map(|()| order)
        },
    )
}

fn line_id(number: u32) -> Option<LineId> {
    LineId::new(number.to_string()).ok()
}

/// Returns a percentage of an amount, rounded down to the cent.
pub(super) fn percent_of(amount: Amount, percent: i64) -> Option<Amount> {
    let cents = amount
        .ten_thousandths()
        .checked_div(100)?
        .checked_mul(percent)?
        .checked_div(100)?;
    if percent == 100 {
        Some(amount)
    } else {
        Amount::from_ten_thousandths(cents.checked_mul(100)?).ok()
    }
}

fn lines(vocabulary: &Arc<Vocabulary>) -> impl Strategy<Value = Line> + use<> {
    let known = Arc::clone(vocabulary);
    let items = (weighted(0.7, any::<Index>()), vec(any::<Index>(), 0..2));
    let whole = || (1..4_u16).prop_map(Quantity::from);
    let quantity = if vocabulary.counts_items {
        let part = select(&["0.4", "1.75"][..]);
        let part = part.prop_map(|text| text.parse().unwrap_or_default());
        prop_oneof![6 => whole(), 1 => part].boxed()
    } else {
        whole().boxed()
    };
    let line = (
        prices(vocabulary),
        items,
        quantity,
        prop::bool::weighted(0.05),
        attributes(vocabulary, AttributeOwner::Line),
    );

    line.prop_filter_map("an id", move |(amount, items, quantity, gift_card, attributes)| {
        let (product, categories) = items;
        let product = product.and_then(|pick| pick_from(&known.products, pick).cloned());
        let categories = categories
            .iter()
            .filter_map(|pick| pick_from(&known.categories, *pick))
            .cloned()
            .collect();
        Some(Line {
            id: line_id(1)?,
            product,
            categories,
            quantity,
            amount,
            gift_card,
            attributes,
        })
    })
}

/// Builds commands from templates, with knowledge of the earlier commands.
struct CommandBuilder<'a> {
    vocabulary: &'a Vocabulary,
    zone: Zone,
    now: Timestamp,
    reported_orders: BTreeMap<OrderId, (Arc<Order>, Amount)>,
    refunds: u32,
    redemptions: i64,
}

impl<'a> CommandBuilder<'a> {
    fn new(vocabulary: &'a Vocabulary, zone: Zone, now: Timestamp) -> Self {
        Self {
            vocabulary,
            zone,
            now,
            reported_orders: BTreeMap::new(),
            refunds: 0,
            redemptions: 0,
        }
    }

    /// Builds the next command. `minutes_ago` dates a fact before the instant of its report.
    fn build(
        &mut self,
        wait: &Wait,
        minutes_ago: Option<u8>,
        template: &StepTemplate,
    ) -> Option<(Timestamp, Command)> {
        self.now = wait.after(self.vocabulary, self.zone, self.now);
        let dated = minutes_ago
            .and_then(|minutes| self.now.checked_sub_signed(TimeDelta::minutes(minutes.into())));

        let mut command = match template {
            StepTemplate::Command(command) => command.clone(),
            StepTemplate::Refund { order, percent, units, says_parts } => {
                self.refund(order, *percent, units.as_ref(), *says_parts)?
            }
            StepTemplate::Redeem { reward, steps } => self.redeem(*reward, *steps)?,
            StepTemplate::IssueGift => self.issue_gift()?,
            StepTemplate::UpdateRedemption { which, update } => {
                self.update_redemption(*which, update)
            }
        };

        if let Command::RecordOrder { order, snapshot, at, .. } = &mut command {
            *snapshot = Arc::new(Order { placed_at: dated, ..(**snapshot).clone() });
            *at = dated;
            let refunded = self
                .reported_orders
                .get(order)
                .map_or(Amount::ZERO, |(_, refunded)| *refunded);
            self.reported_orders
                .insert(order.clone(), (Arc::clone(snapshot), refunded));
        } else if let Command::RefundOrder { at, .. } | Command::CancelOrder { at, .. } =
            &mut command
        {
            *at = dated;
        }

        Some((self.now, command))
    }

    fn refund(
        &mut self,
        id: &OrderId,
        percent: i64,
        units: Option<&(Index, Quantity)>,
        says_parts: bool,
    ) -> Option<Command> {
        self.refunds = self.refunds.checked_add(1)?;
        let reported = self.reported_orders.get_mut(id);
        let content = match (reported, units) {
            (Some((order, _)), Some((pick, units))) => {
                let line = pick_from(&order.lines, *pick)?;
                RefundContent::Lines {
                    lines: vec![(line.id.clone(), line.quantity.min(*units))],
                    amount: if says_parts {
                        Some(percent_of(line.amount, percent)?.into())
                    } else {
                        None
                    },
                }
            }
            (Some((order, refunded)), None) => {
                let amount =
                    percent_of(order.total, percent)?.min(order.total.checked_sub(*refunded)?);
                *refunded = refunded.checked_add(amount)?;
                let shipping = if says_parts { order.shipping.min(amount) } else { Amount::ZERO };
                RefundContent::Amount(RefundAmount::new(amount).with_shipping(shipping).ok()?)
            }
            (None, _) => RefundContent::Amount(Amount::from(u32::try_from(percent).ok()?).into()),
        };

        let refund = Refund {
            id: RefundId::new(format!("r{}", self.refunds)).ok()?,
            refunded: content,
        };
        Some(Command::RefundOrder {
            order: id.clone(),
            refund,
            over_refund: OverRefund::Reject,
            at: None,
        })
    }

    fn update_redemption(&self, which: Index, update: &RedemptionUpdate) -> Command {
        let count = usize::try_from(self.redemptions).unwrap_or(1).max(1);
        let number = i64::try_from(which.index(count))
            .unwrap_or_default()
            .saturating_add(1);
        let redemption = RedemptionId(number);
        match update.clone() {
            RedemptionUpdate::Claim(order) => Command::ClaimRedemption { redemption, order },
            RedemptionUpdate::Release(order) => Command::ReleaseRedemption { redemption, order },
            RedemptionUpdate::Cancel => Command::CancelRedemption { redemption },
            RedemptionUpdate::Use => Command::UseRedemption { redemption, order: None },
        }
    }

    fn issue_gift(&mut self) -> Option<Command> {
        self.redemptions = self.redemptions.checked_add(1)?;
        let entropy = [u8::try_from(self.redemptions).ok()?; 16];
        Some(Command::IssueGift { redemption: RedemptionId(self.redemptions), entropy })
    }

    fn redeem(&mut self, reward: Index, steps: u32) -> Option<Command> {
        self.redemptions = self.redemptions.checked_add(1)?;
        let (reward, variable) = pick_from(&self.vocabulary.rewards, reward)?;
        let amount = variable.and_then(|variable| {
            let more = variable
                .step
                .ten_thousandths()
                .checked_mul(steps.checked_sub(1)?.into())?;
            Amount::from_ten_thousandths(variable.minimum.ten_thousandths().checked_add(more)?).ok()
        });

        let entropy = [u8::try_from(self.redemptions).ok()?; 16];
        let (redemption, reward) = (RedemptionId(self.redemptions), reward.clone());
        Some(Command::RedeemReward { redemption, reward, amount, subtotal: None, entropy })
    }
}
