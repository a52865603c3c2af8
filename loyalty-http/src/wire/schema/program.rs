//! The schema of a program.
//!
//! The core reads programs with a reader of its own, so these types only describe them.
#![allow(
    dead_code,
    clippy::enum_variant_names,
    clippy::struct_field_names,
    reason = "the types are read by their derived schemas alone, whose names are the wire's"
)]

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{
    AttributeNumber, AttributeValue, Figure, Id, Null, Number32, Period, Points, Time, TimeOfDay,
};

/// A program: what a shop configures. A member that is absent or null has its default.
#[derive(JsonSchema)]
#[schemars(rename = "Program", deny_unknown_fields)]
pub(crate) struct Definition {
    /// The status at which an order earns; by default `paid`, or the first status that a plugin
    /// sends.
    award_on: Option<OrderStatus>,
    rounding: Option<Rounding>,
    basis: Option<Basis>,
    #[schemars(length(max = 200))]
    earning: Option<Vec<EarningRule>>,
    /// The combination of multipliers of tiers and campaigns.
    combine: Option<Combine>,
    #[schemars(length(max = 200))]
    campaigns: Option<Vec<Campaign>>,
    /// The time for which points of orders are pending.
    hold: Option<Period>,
    refunds: Option<RefundPolicy>,
    debt: Option<DebtPolicy>,
    expiry: Option<Expiry>,
    /// The tiers, lowest first.
    #[schemars(length(max = 200))]
    tiers: Option<Vec<Tier>>,
    tiering: Option<Tiering>,
    #[schemars(length(max = 200))]
    actions: Option<Vec<Action>>,
    referrals: Option<ReferralProgram>,
    #[schemars(length(max = 200))]
    rewards: Option<Vec<Reward>>,
    /// The discount codes of a cart that apply together; by default `one_per_class`.
    stacking: Option<Stacking>,
    /// When a customer claims the account of a guest with the same e-mail address.
    guests: Option<GuestPolicy>,
    /// The value of a point in the shop's currency, for reports.
    point_value: Option<Figure>,
    redemption: Option<RedemptionPolicy>,
}

/// A status of an order.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum OrderStatus {
    Processing,
    Paid,
    Fulfilled,
    Completed,
}

/// The rounding of a sum of points, applied once.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum Rounding {
    Down,
    HalfEven,
    HalfUp,
    Up,
}

/// The parts of an order that earn.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Basis {
    tax: Option<bool>,
    shipping: Option<bool>,
    redeemed: Option<bool>,
    excluded_products: Option<Vec<Id>>,
    excluded_categories: Option<Vec<Id>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Combine {
    Multiply,
    Highest,
    Add,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum RefundPolicy {
    ClawBack,
    Keep,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum DebtPolicy {
    Allow,
    StopAtZero,
}

/// The expiry of points.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Expiry {
    Never,
    PerLot(LotExpiry),
    Inactivity(InactivityExpiry),
}

/// Each lot expires by itself.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LotExpiry {
    after: Period,
    /// The end of this stretch of the calendar.
    round_up_to: Option<CalendarUnit>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum CalendarUnit {
    Month,
    Quarter,
    Year,
}

/// All points expire after a time without activity.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct InactivityExpiry {
    after: Period,
    activity: Option<Activity>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Activity {
    Any,
    EarningAndRedeeming,
}

/// The rules for entering and leaving tiers.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tiering {
    metric: Option<TierMetric>,
    window: Option<TierWindow>,
    down: Option<Downgrade>,
    /// The time for which a tier is kept.
    term: Option<Period>,
    grace: Option<Period>,
    /// True where the bonuses of skipped tiers are paid as well.
    skipped_rewards: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum TierMetric {
    Spend,
    PointsEarned,
    Orders,
}

/// The period in which the metric counts.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum TierWindow {
    Lifetime,
    CalendarYear,
    Rolling(Period),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Downgrade {
    Never,
    OneStep,
    ToQualified,
}

/// The referral program.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ReferralProgram {
    /// The points of the referred customer.
    received: Option<Points>,
    /// The points of the referrer.
    sent: Option<Points>,
    minimum_spend: Option<Figure>,
    hold: Option<Period>,
    milestones: Option<Vec<ReferralMilestone>>,
    /// A reward for the referred customer, beside the points or instead of them.
    received_gift: Option<Gift>,
    /// A reward for the referrer, after the hold.
    sent_gift: Option<Gift>,
}

/// A reward of the program that is given for a cause, at no cost.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Gift {
    /// The reward, which has a fixed cost.
    reward: Id,
    when_undone: Option<GiftPolicy>,
}

/// What becomes of a gift whose cause is undone by a refund or a cancellation. It is taken back by
/// default, unless it was used.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum GiftPolicy {
    TakeBack,
    Keep,
}

/// `anyOf`: points, or a gift beside or instead of them.
fn points_or_gift() -> Value {
    json!([
        { "required": ["points"], "properties": { "points": { "minimum": 1 } } },
        { "required": ["gift"], "properties": { "gift": { "type": "object" } } }
    ])
}

/// A bonus for a number of completed referrals.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("anyOf" = points_or_gift()))]
struct ReferralMilestone {
    friends: Number32,
    points: Option<Points>,
    gift: Option<Gift>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Stacking {
    Exclusive,
    Best,
    OnePerClass,
    All,
}

/// When a customer claims the account of a guest with the same e-mail address: when the shop
/// creates or changes the customer with it, only with `email_verified`, or also by an order.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum GuestPolicy {
    ClaimOnSignUp,
    ClaimWhenVerified,
    ClaimAlways,
}

/// The rules for redemptions whose time or order ends.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RedemptionPolicy {
    grace: Option<Period>,
    order_cancelled: Option<OrderCancelledPolicy>,
    order_refunded: Option<OrderRefundedPolicy>,
    /// The largest share of the goods' price that rewards pay together, in percent.
    maximum_share: Option<Figure>,
}

/// What refunds of the order that used a redeemed reward give back: nothing, or its points in
/// proportion to the goods that came back.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OrderRefundedPolicy {
    Keep,
    Points,
}

/// The form in which a cancelled order returns a redeemed reward.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OrderCancelledPolicy {
    Code,
    Points,
}

/// A rule by which orders earn.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct EarningRule {
    id: Id,
    earn: Earn,
    when: Option<EarningConditions>,
    replaces_base: Option<bool>,
    limits: Option<Vec<Limit>>,
}

/// The conditions of an earning rule.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct EarningConditions {
    minimum_spend: Option<Figure>,
    /// The most basis of the whole order, net of refunds.
    maximum_spend: Option<Figure>,
    products: Option<Vec<Id>>,
    categories: Option<Vec<Id>>,
    customer_tags: Option<Vec<Id>>,
    from: Option<Time>,
    until: Option<Time>,
    /// Days of the week, in the shop's zone, on which an order is placed.
    weekdays: Option<Vec<Weekday>>,
    hours: Option<Hours>,
    /// Channels by which an order comes.
    channels: Option<Vec<Id>>,
    /// True for the customer's first order that counts, false for later ones.
    first_order: Option<bool>,
    #[schemars(length(max = 20))]
    attributes: Option<Vec<AttributeCondition>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Hours of the day, in the shop's zone, in which an order is placed. They may pass midnight.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Hours {
    from: TimeOfDay,
    /// Exclusive.
    until: TimeOfDay,
}

/// A condition on an attribute. One that is absent meets none. Those on lines select the lines that
/// count.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
enum AttributeCondition {
    Equals {
        of: AttributeOwner,
        name: Id,
        equals: AttributeValue,
        #[schemars(default)]
        r#in: Null,
        #[schemars(default)]
        at_least: Null,
        #[schemars(default)]
        at_most: Null,
    },
    In {
        of: AttributeOwner,
        name: Id,
        #[schemars(length(min = 1))]
        r#in: Vec<AttributeValue>,
        #[schemars(default)]
        equals: Null,
        #[schemars(default)]
        at_least: Null,
        #[schemars(default)]
        at_most: Null,
    },
    AtLeast {
        of: AttributeOwner,
        name: Id,
        at_least: AttributeNumber,
        #[schemars(default)]
        equals: Null,
        #[schemars(default)]
        r#in: Null,
        #[schemars(default)]
        at_most: Null,
    },
    AtMost {
        of: AttributeOwner,
        name: Id,
        at_most: AttributeNumber,
        #[schemars(default)]
        equals: Null,
        #[schemars(default)]
        r#in: Null,
        #[schemars(default)]
        at_least: Null,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum AttributeOwner {
    Customer,
    Line,
    Order,
}

/// The formula of an earning rule.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(crate) enum Earn {
    PerUnit {
        /// Points for each unit of the currency.
        per_unit: Figure,
        #[schemars(default)]
        per_increment: Null,
        #[schemars(default)]
        per_item: Null,
        #[schemars(default)]
        per_order: Null,
    },
    PerIncrement {
        per_increment: Increment,
        #[schemars(default)]
        per_unit: Null,
        #[schemars(default)]
        per_item: Null,
        #[schemars(default)]
        per_order: Null,
    },
    PerItem {
        /// Points for each whole unit of the rule's lines. Units refunded by line count no more.
        per_item: Points,
        #[schemars(default)]
        per_unit: Null,
        #[schemars(default)]
        per_increment: Null,
        #[schemars(default)]
        per_order: Null,
    },
    PerOrder {
        /// Points for each order.
        per_order: Points,
        #[schemars(default)]
        per_unit: Null,
        #[schemars(default)]
        per_increment: Null,
        #[schemars(default)]
        per_item: Null,
    },
}

/// Points for each whole amount.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Increment {
    amount: Figure,
    points: Points,
}

/// The effect of a campaign.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(crate) enum Effect {
    Multiplier {
        multiplier: Figure,
        #[schemars(default)]
        bonus: Null,
    },
    Bonus {
        bonus: Points,
        #[schemars(default)]
        multiplier: Null,
    },
}

/// A campaign.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Campaign {
    id: Id,
    effect: Effect,
    from: Option<Time>,
    until: Option<Time>,
    products: Option<Vec<Id>>,
    categories: Option<Vec<Id>>,
    tiers: Option<Vec<Id>>,
    customer_tags: Option<Vec<Id>>,
    /// Days of the week, in the shop's zone, on which an order is placed.
    weekdays: Option<Vec<Weekday>>,
    hours: Option<Hours>,
    /// Channels by which an order comes.
    channels: Option<Vec<Id>>,
    /// True for the customer's first order that counts, false for later ones.
    first_order: Option<bool>,
    #[schemars(length(max = 20))]
    attributes: Option<Vec<AttributeCondition>>,
}

/// A limit in each stretch of the shop's calendar.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(crate) enum Limit {
    Times {
        times: Number32,
        #[schemars(default)]
        points: Null,
        per: Span,
        partial: Option<bool>,
    },
    Points {
        points: Points,
        #[schemars(default)]
        times: Null,
        per: Span,
        partial: Option<bool>,
    },
}

/// A stretch of the calendar.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum Span {
    Day,
    Week,
    Month,
    Year,
    Ever,
}

/// A tier.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tier {
    id: Id,
    name: String,
    multiplier: Option<Figure>,
    /// The value of the metric that qualifies; absent for a tier that is set by hand only.
    threshold: Option<Figure>,
    perks: Option<Vec<String>>,
    entry: Option<TierEntry>,
}

/// The bonus for entering a tier.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("anyOf" = points_or_gift()))]
struct TierEntry {
    points: Option<Points>,
    each_time: Option<bool>,
    taken_back: Option<bool>,
    gift: Option<Gift>,
}

/// An action that the program pays for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("anyOf" = points_or_gift()))]
struct Action {
    id: Id,
    kind: ActionKind,
    points: Option<Points>,
    when: Option<Conditions>,
    limits: Option<Vec<Limit>>,
    points_override: Option<bool>,
    hold: Option<Period>,
    gift: Option<Gift>,
}

/// A kind of action.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ActionKind {
    Named(ActionName),
    Detailed(DetailedAction),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
enum ActionName {
    Anniversary,
    Birthday,
    Content,
    Custom,
    NewSubscription,
    Review,
    SignUp,
    Social,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
enum DetailedAction {
    Birthday(Birthday),
    Code(String),
    Codes(Vec<String>),
    GoalOrders(Number32),
    GoalSpend(Figure),
}

/// A birthday, paid some days ahead.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Birthday {
    /// The days for which a birthday must be known before.
    notice_days: Option<Number32>,
}

/// The customers and the time for which something is open.
#[derive(JsonSchema)]
#[schemars(rename = "EligibilityConditions", deny_unknown_fields)]
pub(crate) struct Conditions {
    customer_tags: Option<Vec<Id>>,
    tiers: Option<Vec<Id>>,
    from: Option<Time>,
    until: Option<Time>,
}

/// A reward.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Reward {
    id: Id,
    name: String,
    cost: Option<Points>,
    gives: RewardBenefit,
    minimum_subtotal: Option<Figure>,
    only: Option<Products>,
    excluded: Option<Products>,
    /// The largest share of the goods' price that it pays, in percent.
    maximum_share: Option<Figure>,
    valid_for: Option<Period>,
    points_back_when_expired: Option<bool>,
    when: Option<Conditions>,
    /// The limits for each customer.
    limits: Option<Vec<Limit>>,
    /// The limits for all customers together.
    limits_in_all: Option<Vec<Limit>>,
    individual_use: Option<bool>,
    code_prefix: Option<String>,
}

/// The benefit of a reward: fixed, or an amount that the customer chooses.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RewardBenefit {
    Fixed(Benefit),
    Variable(VariableBenefit),
}

/// An amount that the customer chooses.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(crate) struct VariableBenefit {
    variable_amount: VariableAmount,
}

/// A fixed benefit.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Benefit {
    Named(BenefitName),
    Detailed(DetailedBenefit),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(crate) enum BenefitName {
    Custom,
    FreeShipping,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(crate) enum DetailedBenefit {
    FixedAmount(Figure),
    Percentage(Percentage),
    FreeShipping(FreeShipping),
    FreeProduct(FreeProduct),
    StoreCredit(Figure),
}

/// A percentage, or one with the most that it takes off.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Percentage {
    Rate(Figure),
    Limited(LimitedPercentage),
}

/// A percentage that takes off a maximum.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct LimitedPercentage {
    rate: Figure,
    maximum: Option<Figure>,
}

/// Free delivery.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct FreeShipping {
    /// The price up to which delivery is free.
    maximum: Option<Figure>,
}

/// Free units of one of these products.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct FreeProduct {
    products: Option<Vec<Id>>,
    variants: Option<Vec<Id>>,
    categories: Option<Vec<Id>>,
    quantity: Option<Number32>,
}

/// Products, by their ids, variants or categories.
#[derive(JsonSchema)]
#[schemars(rename = "ProductScope", deny_unknown_fields)]
pub(crate) struct Products {
    products: Option<Vec<Id>>,
    variants: Option<Vec<Id>>,
    categories: Option<Vec<Id>>,
}

/// An amount that the customer chooses. It has a price: `points_per_unit` or `point_value`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct VariableAmount {
    /// The points that one unit of the currency costs.
    points_per_unit: Option<Points>,
    /// The amount that one point buys.
    point_value: Option<Figure>,
    step: Option<Figure>,
    minimum: Option<Figure>,
    maximum: Option<Figure>,
}
