//! Rewards: benefits that points buy, with their prices, conditions and terms.

use std::collections::BTreeSet;
use std::fmt;

use rust_decimal::Decimal;

use super::action::EligibilityConditions;
use super::check::{
    POINTS_RANGE, check_limits, check_tiers, check_validity, duplicate_id, points_in_range,
};
use crate::amount::{Amount, Points, Rate};
use crate::calendar::Period;
use crate::code::Code;
use crate::discount::{ItemSelection, PriceRuleParts};
use crate::fault::Fault;
use crate::figures::GroupedNumber;
use crate::id::{CategoryId, ProductId, RewardId, TierId, VariantId};
use crate::limit::Limit;

/// A reward that points buy.
///
/// # Example: five off for 500 points
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::{Amount, Points, Program, program::Benefit};
/// let program = Program::from_json(
///     r#"{"rewards": [{"id": "five", "name": "5 off", "cost": 500,
///                      "gives": {"fixed_amount": "5"}, "valid_for": "P3M"}]}"#,
/// )
/// .unwrap();
/// let reward = program.reward(&"five".parse().unwrap()).unwrap();
/// let five_off = Benefit::FixedAmount(Amount::from(5));
/// assert_eq!(reward.quote(None, 2), Ok((Points::from(500), five_off)));
/// assert!(reward.has_code());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Reward {
    /// Unique name in the program.
    pub id: RewardId,
    /// Name for customers.
    pub name: String,
    /// Benefit and price.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub offer: RewardPricing,
    /// Least price of the goods that it is for, before any discount.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_subtotal: Option<Amount>,
    /// Goods that it is for; all goods if empty.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ProductScope::is_empty"))]
    pub only: ProductScope,
    /// Goods that it is never for.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ProductScope::is_empty"))]
    pub excluded: ProductScope,
    /// The largest share of the price of an order's goods that it pays, in percent.
    /// `None` for that of [`RedemptionTerms::maximum_share`].
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub maximum_share: Option<Rate>,
    /// The time for which a redemption can be used. `None` for no end.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub valid_for: Option<Period>,
    /// If true, the points of a redemption that was not used in time are returned.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub points_back_when_expired: bool,
    /// Conditions on the customer and the time.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "EligibilityConditions::is_empty"))]
    pub when: EligibilityConditions,
    /// Limits for each customer.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub limits: Vec<Limit>,
    /// Limits for all customers together.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "limits_in_all"))]
    pub total_limits: Vec<Limit>,
    /// If true, its codes combine with no others, whatever the stacking policy.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub individual_use: bool,
    /// Prefix of its codes.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "String::is_empty"))]
    pub code_prefix: String,
}

/// The benefit of a reward, and its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewardPricing {
    /// One benefit at one price.
    Fixed {
        /// The price in points.
        cost: Points,
        /// The benefit.
        benefit: Benefit,
    },
    /// An amount off an order, which the customer chooses.
    Variable(VariableAmount),
}

/// The benefit of a redemption.
///
/// # Example: benefits in words, with or without a code
/// ```
/// use loyalty_core::{Amount, program::{Benefit, Percentage}};
/// let credit = Benefit::StoreCredit(Amount::from(5));
/// assert_eq!((credit.to_string().as_str(), credit.has_code()), ("5 of store credit", false));
/// let rate = "10".parse().unwrap();
/// let tenth = Benefit::Percentage(Percentage { rate, maximum: Some(Amount::from(25)) });
/// assert_eq!((tenth.to_string().as_str(), tenth.has_code()), ("10% off, at most 25", true));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Benefit {
    /// A benefit that the shop grants by itself. There is no code.
    Custom,
    /// An amount off the goods that the reward is for, once.
    FixedAmount(Amount),
    /// Units of a product.
    FreeProduct(FreeProduct),
    /// Free delivery.
    FreeShipping(FreeShipping),
    /// A percentage off the goods that the reward is for.
    Percentage(Percentage),
    /// An amount that the shop credits to the customer. There is no code.
    StoreCredit(Amount),
}

/// A percentage, and the most that it takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(from = "json::PercentageForm", into = "json::PercentageForm"))]
pub struct Percentage {
    /// The percentage: 10 is a tenth. More than 0, at most 100.
    pub rate: Rate,
    /// The largest discount. `None` for no limit.
    pub maximum: Option<Amount>,
}

/// Free units of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct FreeProduct {
    /// Products to choose one of.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub scope: ProductScope,
    /// Number of units, 1 to 1,000.
    pub quantity: u32,
}

/// Free delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct FreeShipping {
    /// Highest price of a delivery that is free: Shopify's
    /// `prerequisite_shipping_price_range`.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub maximum: Option<Amount>,
}

/// An amount that the customer chooses: a multiple of `step`, from `minimum` to
/// `maximum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct VariableAmount {
    /// Price in points.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub price: PointPrice,
    /// Smallest difference of two amounts. A step costs a whole number of points.
    pub step: Amount,
    /// Least amount.
    pub minimum: Amount,
    /// Largest amount. `None` for no limit.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub maximum: Option<Amount>,
}

/// The price in points of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum PointPrice {
    /// The points that one unit of the currency costs.
    PointsPerUnit(Points),
    /// The amount that one point buys, such as 0.03.
    PointValue(Amount),
}

/// A set of goods: products, variants or categories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct ProductScope {
    /// Products, with all their variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Variants of products.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub variants: BTreeSet<VariantId>,
    /// Categories, with all their products.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub categories: BTreeSet<CategoryId>,
}

/// The terms of all redemptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct RedemptionTerms {
    /// Least time for which returned points, or a code that is usable again, are valid.
    pub grace: Period,
    /// Effect of the cancellation of the order that used a redemption.
    pub order_cancelled: OrderCancelledPolicy,
    /// Effect of refunds of the order that used a redemption.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "OrderRefundedPolicy::is_default"))]
    pub order_refunded: OrderRefundedPolicy,
    /// The largest share of the price of an order's goods that rewards off the price pay
    /// together, in percent. `None` for no limit.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub maximum_share: Option<Rate>,
}

/// The effect of refunds of the order that used a redemption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum OrderRefundedPolicy {
    /// The points stay spent. The default.
    #[default]
    Keep,
    /// The points come back to their lots in proportion to the goods that came back, all of
    /// them with the last.
    Points,
}

#[cfg(feature = "json")]
impl OrderRefundedPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The effect of the cancellation of the order that used a redemption.
///
/// Either the code or the points return, never both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum OrderCancelledPolicy {
    /// The redemption can be used again. The default.
    #[default]
    Code,
    /// The points are returned, and the code becomes invalid.
    Points,
}

#[cfg(feature = "json")]
impl RedemptionTerms {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for RedemptionTerms {
    fn default() -> Self {
        Self {
            grace: Period::THIRTY_DAYS,
            order_cancelled: OrderCancelledPolicy::default(),
            order_refunded: OrderRefundedPolicy::default(),
            maximum_share: None,
        }
    }
}

impl ProductScope {
    /// Returns true if the set names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same goods as a selection of a price rule.
    pub(crate) fn items(&self) -> ItemSelection {
        let Self { products, variants, categories } = self.clone();
        ItemSelection { products, variants, collections: categories }
    }
}

impl Reward {
    /// The lowest price in points.
    pub fn minimum_cost(&self) -> Points {
        match &self.offer {
            RewardPricing::Fixed { cost, .. } => *cost,
            RewardPricing::Variable(variable) => {
                variable.cost(variable.minimum).unwrap_or(Points::MAX)
            }
        }
    }

    /// The largest amount that these points buy. `None` if the customer does not choose
    /// the amount, or if the points are not enough.
    pub fn largest_amount(&self, points: Points) -> Option<Amount> {
        let RewardPricing::Variable(variable) = &self.offer else {
            return None;
        };
        variable.largest(points)
    }

    /// Returns true if redemptions of the reward have a code.
    pub fn has_code(&self) -> bool {
        match &self.offer {
            RewardPricing::Fixed { benefit, .. } => benefit.has_code(),
            RewardPricing::Variable(_) => true,
        }
    }

    /// Returns true if it takes an amount or a percentage off the price of goods.
    pub fn is_off_price(&self) -> bool {
        match &self.offer {
            RewardPricing::Fixed { benefit, .. } => {
                matches!(benefit, Benefit::FixedAmount(_) | Benefit::Percentage(_))
            }
            RewardPricing::Variable(_) => true,
        }
    }

    /// The largest share of an order's goods that it pays under these terms, in percent.
    pub fn share_of_order(&self, terms: &RedemptionTerms) -> Option<Rate> {
        self.maximum_share
            .or(terms.maximum_share)
            .filter(|_| self.is_off_price())
    }

    /// Returns true if no amount has more than `minor_digits` decimals.
    pub(crate) fn fits_currency(&self, minor_digits: u32) -> bool {
        self.fields_finer_than(minor_digits).next().is_none()
    }

    /// The fields whose amounts have more than `minor_digits` decimals, by their pointers
    /// in the reward.
    fn fields_finer_than(&self, minor_digits: u32) -> impl Iterator<Item = &'static str> {
        let offered = match &self.offer {
            RewardPricing::Fixed { benefit: Benefit::FixedAmount(amount), .. } => {
                vec![("gives/fixed_amount", *amount)]
            }
            RewardPricing::Fixed { benefit: Benefit::StoreCredit(amount), .. } => {
                vec![("gives/store_credit", *amount)]
            }
            RewardPricing::Fixed {
                benefit: Benefit::FreeShipping(FreeShipping { maximum: Some(maximum) }),
                ..
            } => {
                vec![("gives/free_shipping/maximum", *maximum)]
            }
            RewardPricing::Fixed {
                benefit: Benefit::Percentage(Percentage { maximum: Some(maximum), .. }),
                ..
            } => {
                vec![("gives/percentage/maximum", *maximum)]
            }
            RewardPricing::Fixed { .. } => Vec::new(),
            // Minimum and maximum are multiples of the step, so that it has the most
            // decimals.
            RewardPricing::Variable(variable) => {
                vec![("gives/variable_amount/step", variable.step)]
            }
        };

        let minimum = self.minimum_subtotal.map(|amount| ("minimum_subtotal", amount));
        let amounts = offered.into_iter().chain(minimum);
        amounts
            .filter(move |(_, amount)| amount.get().normalize().scale() > minor_digits)
            .map(|(field, _)| field)
    }
}

impl Benefit {
    /// Returns true if a redemption of it has a code.
    pub fn has_code(&self) -> bool {
        match self {
            Self::FixedAmount(_)
            | Self::FreeProduct(_)
            | Self::FreeShipping(_)
            | Self::Percentage(_) => true,
            Self::Custom | Self::StoreCredit(_) => false,
        }
    }

    /// The name in documents and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::FixedAmount(_) => "fixed_amount",
            Self::FreeProduct(_) => "free_product",
            Self::FreeShipping(_) => "free_shipping",
            Self::Percentage(_) => "percentage",
            Self::StoreCredit(_) => "store_credit",
        }
    }
}

impl fmt::Display for Benefit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom => f.write_str("a reward handled by the shop"),
            Self::FixedAmount(amount) => write!(f, "{} off", GroupedNumber(amount)),
            Self::FreeProduct(FreeProduct { quantity: 1, .. }) => f.write_str("a free product"),
            Self::FreeProduct(FreeProduct { quantity, .. }) => {
                write!(f, "{} free units of a product", GroupedNumber(quantity))
            }
            Self::FreeShipping(FreeShipping { maximum: None }) => f.write_str("free shipping"),
            Self::FreeShipping(FreeShipping { maximum: Some(maximum) }) => {
                write!(f, "free shipping of at most {}", GroupedNumber(maximum))
            }
            Self::Percentage(Percentage { rate, maximum: None }) => write!(f, "{rate}% off"),
            Self::Percentage(Percentage { rate, maximum: Some(maximum) }) => {
                write!(f, "{rate}% off, at most {}", GroupedNumber(maximum))
            }
            Self::StoreCredit(amount) => write!(f, "{} of store credit", GroupedNumber(amount)),
        }
    }
}

impl VariableAmount {
    /// The price of an amount. `None` if the amount is not on offer.
    pub(crate) fn cost(&self, amount: Amount) -> Option<Points> {
        let in_range =
            amount >= self.minimum && self.maximum.is_none_or(|maximum| amount <= maximum);
        self.price(amount).filter(|_| in_range && self.is_multiple(amount))
    }

    fn is_multiple(&self, amount: Amount) -> bool {
        amount.ten_thousandths().checked_rem(self.step.ten_thousandths()) == Some(0)
    }

    /// The price of an amount, on offer or not. `None` if it is no whole number of
    /// points.
    fn price(&self, amount: Amount) -> Option<Points> {
        let ten_thousandths = i128::from(amount.ten_thousandths());
        let (product, divisor) = match self.price {
            PointPrice::PointsPerUnit(points) => {
                (ten_thousandths.checked_mul(i128::from(points.get()))?, 10_000)
            }
            PointPrice::PointValue(value) => (ten_thousandths, i128::from(value.ten_thousandths())),
        };
        let points = product
            .checked_div(divisor)
            .filter(|_| product.checked_rem(divisor) == Some(0))?;
        i64::try_from(points).ok().and_then(Points::new)
    }

    /// The largest amount on offer that costs at most `points`.
    fn largest(&self, points: Points) -> Option<Amount> {
        let price = self.price(self.step)?.get();
        let affordable_steps = points.get().checked_div(price)?;
        let step = self.step.ten_thousandths();
        let affordable = affordable_steps.checked_mul(step).unwrap_or(i64::MAX);

        // `Amount::MAX`, unlike a maximum of the program, need not be a multiple of the
        // step.
        let maximum = self.maximum.unwrap_or(Amount::MAX).ten_thousandths();
        let maximum = maximum.checked_div(step)?.checked_mul(step)?;
        Amount::from_ten_thousandths(affordable.min(maximum))
            .ok()
            .filter(|amount| *amount >= self.minimum)
    }
}

/// The amounts on offer, in words.
impl fmt::Display for VariableAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or more", GroupedNumber(self.minimum))?;
        if let Some(maximum) = self.maximum {
            write!(f, ", at most {}", GroupedNumber(maximum))?;
        }
        write!(f, ", in steps of {}", GroupedNumber(self.step))
    }
}

pub(super) fn check(rewards: &[Reward], tiers: &BTreeSet<&TierId>, faults: &mut Vec<Fault>) {
    let mut ids = BTreeSet::new();
    for (index, reward) in rewards.iter().enumerate() {
        let pointer = format!("/rewards/{index}");
        let at = |field: &str| format!("{pointer}/{field}");

        if !ids.insert(&reward.id) {
            faults.push(duplicate_id(&pointer, &reward.id));
        }
        let printable =
            !reward.name.trim().is_empty() && !reward.name.chars().any(char::is_control);
        if !printable || reward.name.chars().count() > 100 {
            faults.push(Fault::new(at("name"), "invalid_value", "must be 1 to 100 characters"));
        }

        check_offer(&reward.offer, &at, faults);
        check_product_scopes(reward, &at, faults);
        check_share(reward, &at, faults);
        check_validity(reward.when.from, reward.when.until, &at("when"), faults);
        check_tiers(&reward.when.tiers, tiers, &at("when/tiers"), faults);
        check_reward_limits(&reward.limits, &at("limits"), faults);
        check_reward_limits(&reward.total_limits, &at("limits_in_all"), faults);
        check_code(reward, &at, faults);
    }
}

fn check_reward_limits(limits: &[Limit], pointer: &str, faults: &mut Vec<Fault>) {
    check_limits(limits, pointer, faults);
    for (index, _) in limits.iter().enumerate().filter(|(_, limit)| limit.partial) {
        let detail = "must be false: a reward cannot be granted in part";
        faults.push(Fault::new(format!("{pointer}/{index}/partial"), "contradiction", detail));
    }
}

fn check_offer(offer: &RewardPricing, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    match offer {
        RewardPricing::Fixed { cost, benefit } => {
            if !points_in_range(*cost) {
                faults.push(Fault::new(at("cost"), "out_of_range", POINTS_RANGE));
            }
            check_benefit(benefit, at, faults);
        }
        RewardPricing::Variable(variable) => {
            check_variable_amount(variable, &at("gives/variable_amount"), faults);
        }
    }
}

fn check_variable_amount(variable: &VariableAmount, pointer: &str, faults: &mut Vec<Fault>) {
    let VariableAmount { price, step, minimum, maximum } = *variable;
    let mut add = |field: &str, code, detail| {
        faults.push(Fault::new(format!("{pointer}/{field}"), code, detail));
    };

    // The bounds are compared with the step, which must be valid for that.
    match price {
        PointPrice::PointsPerUnit(points) if !points_in_range(points) => {
            return add("points_per_unit", "out_of_range", POINTS_RANGE);
        }
        PointPrice::PointValue(value) if value.is_zero() => {
            return add("point_value", "out_of_range", "must be more than zero");
        }
        PointPrice::PointsPerUnit(_) | PointPrice::PointValue(_) => {}
    }
    if step.is_zero() {
        return add("step", "out_of_range", "must be more than zero");
    }
    if variable.price(step).is_none() {
        return add("step", "contradiction", "must cost a whole number of points");
    }

    if minimum.is_zero() || !variable.is_multiple(minimum) {
        add("minimum", "contradiction", "must be a multiple of step, and more than zero");
    }
    if maximum.is_some_and(|maximum| maximum < minimum || !variable.is_multiple(maximum)) {
        add(
            "maximum",
            "contradiction",
            "must be a multiple of step, and not less than minimum",
        );
    }
}

fn check_benefit(benefit: &Benefit, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let wrong = match benefit {
        Benefit::FixedAmount(amount) if amount.is_zero() => {
            Some(("fixed_amount", "must be more than zero"))
        }
        Benefit::StoreCredit(amount) if amount.is_zero() => {
            Some(("store_credit", "must be more than zero"))
        }
        Benefit::Percentage(percentage) if !is_percentage(percentage.rate) => {
            Some(("percentage", "must be more than 0 and at most 100"))
        }
        Benefit::Percentage(Percentage { maximum: Some(maximum), .. }) if maximum.is_zero() => {
            Some(("percentage/maximum", "must be more than zero"))
        }
        Benefit::FreeProduct(product) if product.scope.is_empty() => {
            Some(("free_product", "must name products, variants or categories"))
        }
        Benefit::FreeProduct(product) if !(1..=1_000).contains(&product.quantity) => {
            Some(("free_product/quantity", "must be 1 to 1,000"))
        }
        Benefit::Custom
        | Benefit::FixedAmount(_)
        | Benefit::FreeProduct(_)
        | Benefit::FreeShipping(_)
        | Benefit::Percentage(_)
        | Benefit::StoreCredit(_) => None,
    };

    if let Some((field, detail)) = wrong {
        faults.push(Fault::new(at(&format!("gives/{field}")), "out_of_range", detail));
    }
    if let Benefit::FreeProduct(product) = benefit {
        check_product_scope(&product.scope, &at("gives/free_product"), faults);
    }
}

/// Checks the fields that only some benefits can have: goods, and the terms of codes.
fn check_product_scopes(reward: &Reward, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    // A free product has a scope of its own; delivery and credit are not for goods.
    let (is_off_goods, has_code) = (reward.is_off_price(), reward.has_code());

    let named = [("only", !reward.only.is_empty()), ("excluded", !reward.excluded.is_empty())];
    for (field, _) in named.into_iter().filter(|(_, named)| *named && !is_off_goods) {
        let detail =
            "only fixed_amount and percentage rewards can be limited to products or categories";
        faults.push(Fault::new(at(field), "contradiction", detail));
    }

    let of_codes = [
        ("minimum_subtotal", reward.minimum_subtotal.is_some()),
        ("individual_use", reward.individual_use),
        ("code_prefix", !reward.code_prefix.is_empty()),
    ];
    for (field, _) in of_codes.into_iter().filter(|(_, is_set)| *is_set && !has_code) {
        faults.push(Fault::new(
            at(field),
            "contradiction",
            "is not allowed: this reward has no code",
        ));
    }

    check_product_scope(&reward.only, &at("only"), faults);
    check_sizes(&reward.excluded, &at("excluded"), faults);
}

fn is_percentage(rate: Rate) -> bool {
    !rate.get().is_zero() && rate.get() <= Decimal::ONE_HUNDRED
}

fn check_share(reward: &Reward, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    check_percentage(reward.maximum_share, at("maximum_share"), faults);
    if reward.maximum_share.is_some() && !reward.is_off_price() {
        let detail = "only fixed_amount, percentage and variable_amount rewards pay a share";
        faults.push(Fault::new(at("maximum_share"), "contradiction", detail));
    }
}

fn check_percentage(share: Option<Rate>, pointer: String, faults: &mut Vec<Fault>) {
    if share.is_some_and(|share| !is_percentage(share)) {
        faults.push(Fault::new(pointer, "out_of_range", "must be more than 0 and at most 100"));
    }
}

pub(super) fn check_terms(terms: &RedemptionTerms, faults: &mut Vec<Fault>) {
    check_percentage(terms.maximum_share, "/redemption/maximum_share".to_owned(), faults);
}

/// Checks Shopify's constraint on the scope of a discount: categories, or products and
/// variants.
fn check_product_scope(goods: &ProductScope, pointer: &str, faults: &mut Vec<Fault>) {
    let singles = !goods.products.is_empty() || !goods.variants.is_empty();
    if singles && !goods.categories.is_empty() {
        let detail = "cannot be combined with products or variants";
        faults.push(Fault::new(format!("{pointer}/categories"), "contradiction", detail));
    }
    check_sizes(goods, pointer, faults);
}

fn check_sizes(goods: &ProductScope, pointer: &str, faults: &mut Vec<Fault>) {
    let counts = [
        ("products", goods.products.len()),
        ("variants", goods.variants.len()),
        ("categories", goods.categories.len()),
    ];
    for (field, _) in counts
        .into_iter()
        .filter(|(_, count)| *count > PriceRuleParts::MAX_IDS)
    {
        let detail = format!("at most {} are accepted", PriceRuleParts::MAX_IDS);
        faults.push(Fault::new(format!("{pointer}/{field}"), "too_many", detail));
    }
}

fn check_code(reward: &Reward, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    if let Err(error) = Code::generate(&reward.code_prefix, [0; 16]) {
        faults.push(Fault::new(at("code_prefix"), "invalid_value", error.to_string()));
    }
}

impl super::Program {
    /// The reward of this id, if the program has one.
    pub fn reward(&self, id: &RewardId) -> Option<&Reward> {
        self.definition.rewards.iter().find(|reward| reward.id == *id)
    }

    /// Returns the faults of rewards whose amounts have more than `minor_digits`
    /// decimals, the decimals of a shop's currency.
    ///
    /// # Example: no cents in yen
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use loyalty_core::Program;
    /// let program = Program::from_json(r#"{"rewards": [{"id": "off", "name": "Off", "cost": 50,
    ///     "gives": {"fixed_amount": "0.50"}}]}"#).unwrap();
    /// assert_eq!(program.check_currency(2), []);
    /// assert_eq!(program.check_currency(0)[0].pointer, "/rewards/0/gives/fixed_amount");
    /// # }
    /// ```
    pub fn check_currency(&self, minor_digits: u32) -> Vec<Fault> {
        let rewards = self.definition.rewards.iter().enumerate();
        let pointers = rewards.flat_map(|(index, reward)| {
            reward
                .fields_finer_than(minor_digits)
                .map(move |field| format!("/rewards/{index}/{field}"))
        });
        pointers
            .map(|pointer| Fault::new(pointer, "too_fine", "has more decimals than the currency"))
            .collect()
    }
}

#[cfg(feature = "json")]
mod json {
    use serde::ser::SerializeMap;

    use super::{Benefit, Percentage, RewardPricing, VariableAmount};
    use crate::amount::{Amount, Rate};

    /// A percentage as it is stored: the rate alone where it has no maximum.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    pub(super) enum PercentageForm {
        Rate(Rate),
        Limited { rate: Rate, maximum: Option<Amount> },
    }

    impl From<PercentageForm> for Percentage {
        fn from(form: PercentageForm) -> Self {
            match form {
                PercentageForm::Rate(rate) => Self { rate, maximum: None },
                PercentageForm::Limited { rate, maximum } => Self { rate, maximum },
            }
        }
    }

    impl From<Percentage> for PercentageForm {
        fn from(Percentage { rate, maximum }: Percentage) -> Self {
            match maximum {
                None => Self::Rate(rate),
                Some(_) => Self::Limited { rate, maximum },
            }
        }
    }

    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum VariableOffer<'a> {
        VariableAmount(&'a VariableAmount),
    }

    impl serde::Serialize for RewardPricing {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut members = to.serialize_map(None)?;
            match self {
                Self::Fixed { cost, benefit } => {
                    members.serialize_entry("cost", cost)?;
                    members.serialize_entry::<_, Benefit>("gives", benefit)?;
                }
                Self::Variable(variable) => {
                    members.serialize_entry("gives", &VariableOffer::VariableAmount(variable))?;
                }
            }
            members.end()
        }
    }
}
