//! What a merchant configures: validated once, immutable once published, versioned by the store.
//!
//! [`Parts`] is the plain form that code fills in; [`Program::new`] checks it whole and answers every
//! fault at once. With the `json` feature, [`Program::from_json`] does the same for a document.

mod action;
mod campaign;
mod check;
mod error;
#[cfg(feature = "json")]
mod json;
mod referral;
mod reward;
mod rule_index;
mod tier;

use std::collections::BTreeSet;

use crate::amount::{Amount, Points, Rate, Rounding};
use crate::award::Limit;
use crate::calendar::{Boundary, Period, Timestamp};
use crate::discount::Stacking;
use crate::id::{CategoryId, ProductId, RuleId, Tag, TierId};
use crate::order::{Line, Origin, Status};

pub use action::{ActionKind, ActionRule, EligibilityConditions, normalize_code};
pub use campaign::{Campaign, CampaignEffect, MultiplierPolicy};
pub use check::Fault;
pub use error::ProgramError;
pub use referral::{Milestone, Referrals};
pub use reward::{
    Benefit, FreeProduct, FreeShipping, OrderCancelledPolicy, ProductScope, RedemptionTerms,
    Reward, RewardPricing, VariableAmount,
};
use rule_index::RuleIndex;
pub(crate) use rule_index::RuleSet;
pub use tier::{Downgrade, EntryReward, Tier, TierMetric, TierWindow, Tiering};

/// A checked program.
///
/// # Example: the default program
/// One point for each whole currency unit of the net subtotal, at `paid`, without expiry; what a refund
/// takes beyond the balance is owed.
/// ```
/// use loyalty_core::Program;
/// let program = Program::default();
/// assert_eq!(program.parts().earning.len(), 1);
/// ```
///
/// # Example: every fault at once
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// let faults = Program::from_json(r#"{"rounding": "sideways", "earn": [], "debt": 5}"#).unwrap_err();
/// let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
/// assert_eq!(pointers, ["/earn", "/rounding", "/debt"]);
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    definition: ProgramDefinition,
    rule_index: RuleIndex,
}

impl Program {
    /// Checks what no single field can say: unique names, windows that begin before they end, rules that
    /// can ever apply.
    ///
    /// # Errors
    /// A [`ProgramError`] with every fault.
    pub fn new(parts: ProgramDefinition) -> Result<Self, ProgramError> {
        let faults = check::find_faults(&parts);
        let scopes = RuleIndex::new(&parts.earning);
        if faults.is_empty() {
            Ok(Self { definition: parts, rule_index: scopes })
        } else {
            Err(ProgramError::new(faults))
        }
    }

    /// What was configured.
    pub fn definition(&self) -> &ProgramDefinition {
        &self.definition
    }

    /// The status from which on an order earns.
    pub fn gate(&self, origin: Origin) -> Status {
        self.definition.award_on.unwrap_or(match origin {
            Origin::Shop => Status::Paid,
            Origin::Plugin => Status::Processing,
        })
    }

    /// The tier of this name.
    pub fn tier(&self, id: &TierId) -> Option<&Tier> {
        self.definition.tiers.iter().find(|tier| tier.id == *id)
    }

    /// How high a tier is: 0 is the lowest.
    pub fn rank(&self, id: &TierId) -> Option<usize> {
        self.definition.tiers.iter().position(|tier| tier.id == *id)
    }

    /// The earning rules that name the line's product or one of its categories.
    pub(crate) fn rules_for(&self, line: &Line) -> RuleSet {
        self.rule_index.rules_for(line)
    }

    /// The tags that any condition looks at.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.definition
            .earning
            .iter()
            .flat_map(|rule| &rule.when.customer_tags)
    }
}

/// A program as it is written down. Fields are in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct ProgramDefinition {
    /// The status at which an order earns. Where none is named: `paid`, or whatever a plugin sends.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub award_on: Option<Status>,
    /// How the sum of an order's rules becomes whole.
    pub rounding: Rounding,
    /// What of an order counts.
    pub basis: Basis,
    /// What earns. The rules of one order add up.
    pub earning: Vec<EarningRule>,
    /// How multipliers of tiers and campaigns go together.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "MultiplierPolicy::is_default"))]
    pub combine: MultiplierPolicy,
    /// More points for a while.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub campaigns: Vec<Campaign>,
    /// How long points of orders are pending, from the gate.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hold: Option<Period>,
    /// What refunds do.
    pub refunds: RefundPolicy,
    /// What happens where more is taken back than there is.
    pub debt: DebtPolicy,
    /// When points end.
    pub expiry: Expiry,
    /// VIP tiers, lowest first.
    pub tiers: Vec<Tier>,
    /// How tiers are come by and lost.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Tiering::is_default"))]
    pub tiering: Tiering,
    /// What earns without an order.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub actions: Vec<ActionRule>,
    /// What bringing friends is worth.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub referrals: Option<Referrals>,
    /// What points buy.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub rewards: Vec<Reward>,
    /// What holds for all redemptions.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "RedemptionTerms::is_default"))]
    pub redemption: RedemptionTerms,
    /// Which of several discount codes apply to one cart.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Stacking::is_default"))]
    pub stacking: Stacking,
    /// What a point is worth in the shop's currency, where reports count what is owed in money. No rule looks
    /// at it.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub point_value: Option<Amount>,
}

impl Default for ProgramDefinition {
    fn default() -> Self {
        Self {
            award_on: None,
            rounding: Rounding::Down,
            basis: Basis::default(),
            earning: vec![EarningRule::base()],
            refunds: RefundPolicy::default(),
            debt: DebtPolicy::default(),
            expiry: Expiry::default(),
            tiers: Vec::new(),
            combine: MultiplierPolicy::default(),
            campaigns: Vec::new(),
            hold: None,
            tiering: Tiering::default(),
            actions: Vec::new(),
            referrals: None,
            rewards: Vec::new(),
            redemption: RedemptionTerms::default(),
            stacking: Stacking::default(),
            point_value: None,
        }
    }
}

/// What of an order counts. Lines count net of discounts; gift cards never do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Basis {
    /// Tax counts.
    pub tax: bool,
    /// Shipping counts.
    pub shipping: bool,
    /// The part paid with a redeemed reward counts.
    pub redeemed: bool,
    /// Products that do not count.
    pub excluded_products: BTreeSet<ProductId>,
    /// Categories that do not count.
    pub excluded_categories: BTreeSet<CategoryId>,
}

/// One way to earn from an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EarningRule {
    /// Its name, unique in the program; explanations carry it.
    pub id: RuleId,
    /// What it gives.
    pub earn: EarningFormula,
    /// When it applies.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "EarningConditions::is_empty"))]
    pub when: EarningConditions,
    /// Its lines earn nothing from rules that name no product or category.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub replaces_base: bool,
    /// How much it may pay to one customer. The room found at an order's first award stays the order's.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub limits: Vec<Limit>,
}

impl EarningRule {
    /// One point per currency unit: the rule of a new shop.
    fn base() -> Self {
        let id = RuleId::base();
        let (earn, when) = (EarningFormula::PerUnit(Rate::ONE), EarningConditions::default());
        Self { id, earn, when, replaces_base: false, limits: Vec::new() }
    }
}

/// What a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum EarningFormula {
    /// So many points per currency unit spent.
    PerUnit(Rate),
    /// So many points per full increment spent.
    PerIncrement {
        /// The increment, in the shop's currency.
        amount: Amount,
        /// The points for each.
        points: Points,
    },
    /// So many points per order.
    PerOrder(Points),
}

/// When a rule applies. All that is said must hold; what is empty asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EarningConditions {
    /// The order's whole basis, refunds deducted, is at least this.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_spend: Option<Amount>,
    /// Only lines of these products, or of the categories below, count for the rule.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Only lines of these categories, or of the products above, count for the rule.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub categories: BTreeSet<CategoryId>,
    /// The customer has one of these tags.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_tags: BTreeSet<Tag>,
    /// The order was placed at this instant or later.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub from: Option<Timestamp>,
    /// The order was placed before this instant.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

impl EarningConditions {
    /// Whether the rule is about some lines only.
    pub fn is_scoped(&self) -> bool {
        !self.products.is_empty() || !self.categories.is_empty()
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What refunds do to an order's points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum RefundPolicy {
    /// Points of what is refunded are taken back: the default.
    #[default]
    ClawBack,
    /// Refunds leave an order its points; cancellations do not. What was refunded is not spent all the same,
    /// and an order that was refunded in full is none: for tiers, goals and referrals.
    Keep,
}

/// What happens where more is taken back than the account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum DebtPolicy {
    /// The balance goes below zero, and later points pay it off: the default.
    #[default]
    Allow,
    /// The balance stops at zero, and the shortfall is forgiven.
    StopAtZero,
}

/// When points end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Expiry {
    /// Never: the default.
    #[default]
    Never,
    /// Each lot for itself.
    PerLot {
        /// So long after it was earned.
        after: Period,
        /// And then at the end of that month, quarter or year.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        round_up_to: Option<Boundary>,
    },
    /// The whole balance at once, where nothing happens on the account for so long.
    Inactivity {
        /// So long after the last change.
        after: Period,
        /// What counts as one.
        activity: QualifyingActivity,
    },
}

/// What keeps a balance from ending by inactivity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum QualifyingActivity {
    /// Any change of the balance, but for points running out of time. The default.
    #[default]
    Any,
    /// Only points earned or redeemed, not adjustments or what refunds take back.
    EarningAndRedeeming,
}
