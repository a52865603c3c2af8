//! Rewards: what points buy, for whom, and under which terms.

use std::collections::BTreeSet;
use std::fmt;

use rust_decimal::Decimal;

use super::action::{EligibilityConditions, check_limits, check_tiers, check_window};
use super::check::{Fault, POINTS_RANGE, points_in_range};
use crate::amount::{Amount, Points, Rate};
use crate::award::Limit;
use crate::calendar::Period;
use crate::discount::{Code, ItemSelection, PriceRuleParts};
use crate::id::{CategoryId, ProductId, RewardId, TierId, VariantId};
use crate::rejection::Rejection;

/// One thing that points buy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Reward {
    /// Its name for machines, unique in the program.
    pub id: RewardId,
    /// Its name for customers.
    pub name: String,
    /// What it gives, and what that costs.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub offer: RewardPricing,
    /// What the goods that it is for cost at least, before any discount.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_subtotal: Option<Amount>,
    /// The goods that it is for; all, where none are named.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ProductScope::is_empty"))]
    pub only: ProductScope,
    /// The goods that it is never for.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ProductScope::is_empty"))]
    pub excluded: ProductScope,
    /// How long a redemption can be used; for ever, where nothing is said.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub valid_for: Option<Period>,
    /// A redemption that was not used in time gives its points back.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub points_back_when_expired: bool,
    /// Who can have it, and when.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "EligibilityConditions::is_empty"))]
    pub when: EligibilityConditions,
    /// How much of it one customer can have.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub limits: Vec<Limit>,
    /// How much of it all customers together can have.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "limits_in_all"))]
    pub total_limits: Vec<Limit>,
    /// Its codes combine with no others, whatever the stacking policy says.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub individual_use: bool,
    /// What its codes begin with.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "String::is_empty"))]
    pub code_prefix: String,
}

/// What a reward gives, and for how many points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewardPricing {
    /// One thing at one price.
    Fixed {
        /// The price.
        cost: Points,
        /// The thing.
        benefit: Benefit,
    },
    /// An amount off an order, as large as the customer wants it.
    Variable(VariableAmount),
}

/// What a redemption gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Benefit {
    /// Whatever the merchant hands over. There is no code.
    Custom,
    /// An amount off the goods that it is for, once.
    FixedAmount(Amount),
    /// Units of a product.
    FreeProduct(FreeProduct),
    /// Delivery.
    FreeShipping(FreeShipping),
    /// A part off the goods that it is for: 10 is a tenth.
    Percentage(Rate),
    /// An amount that the shop books to the customer. There is no code.
    StoreCredit(Amount),
}

/// Units of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct FreeProduct {
    /// One of these.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub scope: ProductScope,
    /// How many units.
    pub quantity: u32,
}

/// Delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct FreeShipping {
    /// A delivery that costs more is not free: Shopify's `prerequisite_shipping_price_range`.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub maximum: Option<Amount>,
}

/// An amount that the customer chooses: the minimum, or whole steps more, up to the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct VariableAmount {
    /// How many points one unit of the currency costs.
    pub points_per_unit: Points,
    /// What amounts are multiples of. One step costs whole points.
    pub step: Amount,
    /// The least.
    pub minimum: Amount,
    /// The most, where there is one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub maximum: Option<Amount>,
}

/// Goods of a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct ProductScope {
    /// Products, with all their variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Single variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub variants: BTreeSet<VariantId>,
    /// Categories, with all their products.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub categories: BTreeSet<CategoryId>,
}

/// What holds for all redemptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct RedemptionTerms {
    /// How long points that come back can be used at least, where their own time is over; and a code that
    /// becomes usable again.
    pub grace: Period,
    /// What the cancellation of the order that used a redemption brings back.
    pub order_cancelled: OrderCancelledPolicy,
}

/// What the cancellation of the order that used a redemption brings back: one of the two, never both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum OrderCancelledPolicy {
    /// The redemption can be used again. The default.
    #[default]
    Code,
    /// The points come back, and the code stops working.
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
        }
    }
}

impl ProductScope {
    /// Whether none are named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same under Shopify's names.
    pub(crate) fn items(&self) -> ItemSelection {
        let Self { products, variants, categories } = self.clone();
        ItemSelection { products, variants, collections: categories }
    }
}

impl Reward {
    /// What the customer gets for an amount that they chose, or for none, and what it costs. `minor_digits`
    /// are those of the shop's currency.
    ///
    /// # Errors
    /// [`Rejection::InvalidAmount`] for an amount that is none of those on offer, or is finer than the
    /// currency.
    ///
    /// # Example: points by the step
    /// ```
    /// use loyalty_core::{Points, Program, program::Benefit};
    /// let program = Program::from_json(r#"{"rewards": [{"id": "off", "name": "Money off", "gives":
    ///     {"variable_amount": {"points_per_unit": 100, "step": "5", "maximum": "50"}}}]}"#).unwrap();
    /// let reward = program.reward(&"off".parse().unwrap()).unwrap();
    /// let fifteen = "15".parse().unwrap();
    /// assert_eq!(reward.quote(Some(fifteen), 2), Ok((Points::from(1_500), Benefit::FixedAmount(fifteen))));
    /// assert!(reward.quote(Some("12".parse().unwrap()), 2).is_err());
    /// ```
    pub fn quote(
        &self,
        amount: Option<Amount>,
        minor_digits: u32,
    ) -> Result<(Points, Benefit), Rejection> {
        let wrong = |expected: String| Rejection::InvalidAmount { expected };
        match (&self.offer, amount) {
            (RewardPricing::Fixed { cost, benefit: gives }, None) => Ok((*cost, gives.clone())),
            (RewardPricing::Fixed { .. }, Some(_)) => {
                Err(wrong("left out: this reward has one price".to_owned()))
            }
            (RewardPricing::Variable(variable), None) => Err(wrong(variable.to_string())),
            (RewardPricing::Variable(variable), Some(amount)) => {
                let fits = amount.get().normalize().scale() <= minor_digits;
                let cost = variable
                    .cost(amount)
                    .filter(|_| fits)
                    .ok_or_else(|| wrong(variable.to_string()))?;
                Ok((cost, Benefit::FixedAmount(amount)))
            }
        }
    }

    /// The least that it costs.
    pub fn minimum_cost(&self) -> Points {
        match &self.offer {
            RewardPricing::Fixed { cost, .. } => *cost,
            RewardPricing::Variable(variable) => {
                variable.cost(variable.minimum).unwrap_or(Points::MAX)
            }
        }
    }

    /// The largest amount that so many points buy, where the customer chooses the amount.
    pub fn largest_amount(&self, points: Points) -> Option<Amount> {
        let RewardPricing::Variable(variable) = &self.offer else {
            return None;
        };
        variable.largest(points)
    }

    /// Whether its redemptions have a code.
    pub fn has_code(&self) -> bool {
        match &self.offer {
            RewardPricing::Fixed { benefit: gives, .. } => gives.has_code(),
            RewardPricing::Variable(_) => true,
        }
    }

    /// Whether its amounts are whole minor units of a currency with so many decimals.
    pub(crate) fn fits_currency(&self, minor_digits: u32) -> bool {
        self.fields_finer_than(minor_digits).next().is_none()
    }

    /// Amounts that are finer than a currency with so many decimals, by their pointers in the reward.
    fn fields_finer_than(&self, minor_digits: u32) -> impl Iterator<Item = &'static str> {
        let by_offer = match &self.offer {
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
            RewardPricing::Fixed { .. } => Vec::new(),
            // Minimum and maximum are multiples of it.
            RewardPricing::Variable(variable) => {
                vec![("gives/variable_amount/step", variable.step)]
            }
        };
        let minimum = self.minimum_subtotal.map(|amount| ("minimum_subtotal", amount));
        let all = by_offer.into_iter().chain(minimum);
        all.filter(move |(_, amount)| amount.get().normalize().scale() > minor_digits)
            .map(|(field, _)| field)
    }
}

impl Benefit {
    /// Whether a code stands for it.
    pub fn has_code(&self) -> bool {
        match self {
            Self::FixedAmount(_)
            | Self::FreeProduct(_)
            | Self::FreeShipping(_)
            | Self::Percentage(_) => true,
            Self::Custom | Self::StoreCredit(_) => false,
        }
    }

    /// The name on the wire.
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
            Self::Custom => f.write_str("what the shop hands over"),
            Self::FixedAmount(amount) => write!(f, "{amount} off"),
            Self::FreeProduct(FreeProduct { quantity: 1, .. }) => f.write_str("a free product"),
            Self::FreeProduct(FreeProduct { quantity, .. }) => {
                write!(f, "{quantity} free units of a product")
            }
            Self::FreeShipping(FreeShipping { maximum: None }) => f.write_str("free shipping"),
            Self::FreeShipping(FreeShipping { maximum: Some(maximum) }) => {
                write!(f, "free shipping that costs {maximum} at most")
            }
            Self::Percentage(rate) => write!(f, "{rate}% off"),
            Self::StoreCredit(amount) => write!(f, "{amount} of store credit"),
        }
    }
}

impl VariableAmount {
    /// What an amount costs, where it is on offer.
    fn cost(&self, amount: Amount) -> Option<Points> {
        let in_range =
            amount >= self.minimum && self.maximum.is_none_or(|maximum| amount <= maximum);
        self.price(amount).filter(|_| in_range && self.is_multiple(amount))
    }

    fn is_multiple(&self, amount: Amount) -> bool {
        amount.ten_thousandths().checked_rem(self.step.ten_thousandths()) == Some(0)
    }

    /// What an amount costs, where that is whole points.
    fn price(&self, amount: Amount) -> Option<Points> {
        let parts = i128::from(amount.ten_thousandths())
            .checked_mul(i128::from(self.points_per_unit.get()))?;
        let points = parts
            .checked_div(10_000)
            .filter(|_| parts.checked_rem(10_000) == Some(0))?;
        i64::try_from(points).ok().and_then(Points::new)
    }

    fn largest(&self, points: Points) -> Option<Amount> {
        let step = self.price(self.step)?.get();
        let steps = points.get().checked_div(step)?;
        let affordable = steps.checked_mul(self.step.ten_thousandths()).unwrap_or(i64::MAX);
        let most = self.maximum.unwrap_or(Amount::MAX);
        let whole = most.ten_thousandths().checked_div(self.step.ten_thousandths())?;
        let most = whole.checked_mul(self.step.ten_thousandths())?;
        Amount::from_ten_thousandths(affordable.min(most))
            .ok()
            .filter(|amount| *amount >= self.minimum)
    }
}

/// What amounts are on offer.
impl fmt::Display for VariableAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or more", self.minimum)?;
        if let Some(maximum) = self.maximum {
            write!(f, ", at most {maximum}")?;
        }
        write!(f, ", in steps of {}", self.step)
    }
}

pub(super) fn check(rewards: &[Reward], tiers: &BTreeSet<&TierId>, faults: &mut Vec<Fault>) {
    let mut names = BTreeSet::new();
    for (index, reward) in rewards.iter().enumerate() {
        let at = |field: &str| format!("/rewards/{index}/{field}");
        if !names.insert(&reward.id) {
            faults.push(Fault::new(
                at("id"),
                "duplicate_id",
                format!("the id {} stands here twice", reward.id),
            ));
        }
        let printable =
            !reward.name.trim().is_empty() && !reward.name.chars().any(char::is_control);
        if !printable || reward.name.chars().count() > 100 {
            faults.push(Fault::new(at("name"), "invalid_value", "must be 1 to 100 characters"));
        }
        check_offer(&reward.offer, &at, faults);
        check_product_scopes(reward, &at, faults);
        check_window(reward.when.from, reward.when.until, &at("when"), faults);
        check_tiers(&reward.when.tiers, tiers, &at("when/tiers"), faults);
        for (field, limits) in [("limits", &reward.limits), ("limits_in_all", &reward.total_limits)]
        {
            check_limits(limits, &at(field), faults);
            for (limit, _) in limits.iter().enumerate().filter(|(_, limit)| limit.partial) {
                let detail = "a reward is given whole or not at all";
                faults.push(Fault::new(
                    at(&format!("{field}/{limit}/partial")),
                    "contradiction",
                    detail,
                ));
            }
        }
        check_code(reward, &at, faults);
    }
}

fn check_offer(offer: &RewardPricing, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    const POSITIVE: &str = "must be more than zero";
    match offer {
        RewardPricing::Fixed { cost, benefit: gives } => {
            if !points_in_range(*cost) {
                faults.push(Fault::new(at("cost"), "out_of_range", POINTS_RANGE));
            }
            check_benefit(gives, at, faults);
        }
        RewardPricing::Variable(variable) => {
            let at = |field: &str| at(&format!("gives/variable_amount/{field}"));
            let VariableAmount { points_per_unit, step, minimum, maximum } = *variable;
            if !points_in_range(points_per_unit) {
                faults.push(Fault::new(at("points_per_unit"), "out_of_range", POINTS_RANGE));
            } else if step.is_zero() {
                faults.push(Fault::new(at("step"), "out_of_range", POSITIVE));
            } else if variable.price(step).is_none() {
                faults.push(Fault::new(at("step"), "contradiction", "must cost whole points"));
            } else {
                let multiple = |amount| variable.is_multiple(amount);
                let detail = "must be a multiple of step, and more than zero";
                if minimum.is_zero() || !multiple(minimum) {
                    faults.push(Fault::new(at("minimum"), "contradiction", detail));
                }
                if maximum.is_some_and(|maximum| maximum < minimum || !multiple(maximum)) {
                    let detail = "must be a multiple of step, and not less than minimum";
                    faults.push(Fault::new(at("maximum"), "contradiction", detail));
                }
            }
        }
    }
}

fn check_benefit(gives: &Benefit, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let wrong = match gives {
        Benefit::FixedAmount(amount) if amount.is_zero() => {
            Some(("fixed_amount", "must be more than zero"))
        }
        Benefit::StoreCredit(amount) if amount.is_zero() => {
            Some(("store_credit", "must be more than zero"))
        }
        Benefit::Percentage(rate) if rate.get().is_zero() || rate.get() > Decimal::ONE_HUNDRED => {
            Some(("percentage", "must be more than 0 and at most 100"))
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
    if let Benefit::FreeProduct(product) = gives {
        check_product_scope(&product.scope, &at("gives/free_product"), faults);
    }
}

/// Goods can be named where the discount is off goods. What costs nothing names its own.
fn check_product_scopes(reward: &Reward, at: &impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let (off_goods, has_code) = match &reward.offer {
        RewardPricing::Variable(_) => (true, true),
        RewardPricing::Fixed { benefit: gives, .. } => (
            matches!(gives, Benefit::FixedAmount(_) | Benefit::Percentage(_)),
            gives.has_code(),
        ),
    };
    let named = [("only", !reward.only.is_empty()), ("excluded", !reward.excluded.is_empty())];
    for (field, _) in named.into_iter().filter(|(_, named)| *named && !off_goods) {
        let detail = "only amounts and percentages off can be for some goods";
        faults.push(Fault::new(at(field), "contradiction", detail));
    }
    let ruled = [
        ("minimum_subtotal", reward.minimum_subtotal.is_some()),
        ("individual_use", reward.individual_use),
        ("code_prefix", !reward.code_prefix.is_empty()),
    ];
    for (field, _) in ruled.into_iter().filter(|(_, said)| *said && !has_code) {
        faults.push(Fault::new(at(field), "contradiction", "this reward has no code"));
    }
    check_product_scope(&reward.only, &at("only"), faults);
    check_sizes(&reward.excluded, &at("excluded"), faults);
}

/// Shopify's constraint: categories, or products and variants.
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
    /// The reward of this name.
    pub fn reward(&self, id: &RewardId) -> Option<&Reward> {
        self.definition.rewards.iter().find(|reward| reward.id == *id)
    }

    /// What a shop whose currency has so many decimals could not give: amounts finer than that.
    pub fn check_currency(&self, minor_digits: u32) -> Vec<Fault> {
        let rewards = self.definition.rewards.iter().enumerate();
        let pointers = rewards.flat_map(|(index, reward)| {
            reward
                .fields_finer_than(minor_digits)
                .map(move |field| format!("/rewards/{index}/{field}"))
        });
        pointers
            .map(|pointer| Fault::new(pointer, "too_fine", "is finer than the currency"))
            .collect()
    }
}

#[cfg(feature = "json")]
mod json {
    use serde::ser::SerializeMap;

    use super::{Benefit, RewardPricing, VariableAmount};

    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum VariableOffer<'a> {
        VariableAmount(&'a VariableAmount),
    }

    impl serde::Serialize for RewardPricing {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut members = to.serialize_map(None)?;
            match self {
                Self::Fixed { cost, benefit: gives } => {
                    members.serialize_entry("cost", cost)?;
                    members.serialize_entry::<_, Benefit>("gives", gives)?;
                }
                Self::Variable(variable) => {
                    members.serialize_entry("gives", &VariableOffer::VariableAmount(variable))?;
                }
            }
            members.end()
        }
    }
}
