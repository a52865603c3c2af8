//! The program of a shop: its earning rules, tiers, actions, rewards and policies.
//!
//! A [`ProgramDefinition`] is plain data. [`Program::new`] validates it as a whole and
//! returns all faults at once. With the `json` feature, [`Program::from_json`] does the
//! same for a document. A [`Program`] is immutable; the store keeps its versions.

mod action;
mod campaign;
mod check;
mod condition;
mod earning;
mod error;
mod gift;
#[cfg(feature = "json")]
mod json;
mod referral;
mod reward;
mod rule_index;
mod tier;
mod validate;

use std::collections::BTreeSet;

use crate::amount::{Amount, Rounding};
use crate::calendar::{Boundary, Period};
use crate::discount::Stacking;
use crate::id::{CategoryId, ProductId, Tag, TierId};
use crate::order::{Line, Origin, Status};

pub use crate::fault::Fault;
pub use action::{ActionKind, ActionRule, EligibilityConditions, normalize_code};
pub use campaign::{Campaign, CampaignEffect, MultiplierPolicy};
pub use condition::{
    AttributeCondition, AttributeOwner, AttributeTest, Hours, OrderConditions, TimeOfDay,
    TimeOfDayError, Weekday,
};
pub use earning::{EarningConditions, EarningFormula, EarningRule};
pub use error::ProgramError;
pub use gift::{GiftPolicy, GiftRule};
pub use referral::{Milestone, Referrals};
pub use reward::{
    Benefit, FreeProduct, FreeShipping, OrderCancelledPolicy, OrderRefundedPolicy, Percentage,
    PointPrice, ProductScope, RedemptionTerms, Reward, RewardPricing, VariableAmount,
};
use rule_index::RuleIndex;
pub(crate) use rule_index::RuleSet;
pub use tier::{Downgrade, EntryReward, Tier, TierMetric, TierWindow, Tiering};

/// A valid program.
///
/// # Example: the default program
/// One point for each whole currency unit of the net subtotal, at `paid`, without expiry.
/// A clawback beyond the balance makes a debt.
/// ```
/// use loyalty_core::Program;
/// let program = Program::default();
/// assert_eq!(program.definition().earning.len(), 1);
/// ```
///
/// # Example: all faults at once
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// let error = Program::from_json(r#"{"rounding": "sideways", "earn": [], "debt": 5}"#).unwrap_err();
/// let pointers: Vec<_> = error.faults().iter().map(|fault| fault.pointer.as_str()).collect();
/// assert_eq!(pointers, ["/earn", "/rounding", "/debt"]);
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    definition: ProgramDefinition,
    rule_index: RuleIndex,
}

impl Program {
    /// Validates a definition: unique ids, ranges, validities that begin before they end,
    /// and rules that can apply.
    ///
    /// # Errors
    /// A [`ProgramError`] with all faults of the definition.
    ///
    /// # Example: a program made by code
    /// ```
    /// use loyalty_core::program::{ProgramDefinition, Tier};
    /// use loyalty_core::{Program, TierId};
    /// let gold = Tier::manual(TierId::new("gold").unwrap(), "Gold", "1.5".parse().unwrap());
    /// let definition = ProgramDefinition { tiers: vec![gold], ..ProgramDefinition::default() };
    /// assert!(Program::new(definition.clone()).is_ok());
    ///
    /// let twice = ProgramDefinition { tiers: [definition.tiers.clone(), definition.tiers].concat(),
    ///     ..ProgramDefinition::default() };
    /// assert_eq!(Program::new(twice).unwrap_err().faults()[0].code, "duplicate_id");
    /// ```
    pub fn new(definition: ProgramDefinition) -> Result<Self, ProgramError> {
        let faults = validate::find_faults(&definition);
        if !faults.is_empty() {
            return Err(ProgramError::new(faults));
        }
        let rule_index = RuleIndex::new(&definition.earning);
        Ok(Self { definition, rule_index })
    }

    /// The definition that the program was made of.
    pub fn definition(&self) -> &ProgramDefinition {
        &self.definition
    }

    /// Returns true if both programs agree in everything that happens with time alone:
    /// expiries, tier changes, birthdays and the like. They may differ in what orders earn
    /// and in what rewards cost.
    ///
    /// # Example: a campaign changes no schedule
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use loyalty_core::Program;
    /// let program = |json| Program::from_json(json).unwrap();
    /// let (plain, up) = (program("{}"), program(r#"{"rounding": "up"}"#));
    /// let expiring = program(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#);
    /// assert!(up.has_schedule_of(&plain));
    /// assert!(!expiring.has_schedule_of(&plain));
    /// # }
    /// ```
    pub fn has_schedule_of(&self, other: &Self) -> bool {
        self.definition.schedule() == other.definition.schedule()
    }

    /// The earning gate: the status from which on an order of this origin earns.
    ///
    /// # Example: a shop's orders earn when paid
    /// ```
    /// use loyalty_core::{Origin, Program, Status};
    /// assert_eq!(Program::default().gate(Origin::Shop), Status::Paid);
    /// assert_eq!(Program::default().gate(Origin::Plugin), Status::Processing);
    /// ```
    pub fn gate(&self, origin: Origin) -> Status {
        self.definition.award_on.unwrap_or(match origin {
            Origin::Shop => Status::Paid,
            Origin::Plugin => Status::Processing,
        })
    }

    /// The tier of this id, if the program has one.
    pub fn tier(&self, id: &TierId) -> Option<&Tier> {
        self.definition.tiers.iter().find(|tier| tier.id == *id)
    }

    /// The rank of a tier: 0 is the lowest. `None` if the program has no such tier.
    pub fn rank(&self, id: &TierId) -> Option<usize> {
        self.definition.tiers.iter().position(|tier| tier.id == *id)
    }

    /// The earning rules with a scope that covers the line: they name its product or one
    /// of its categories, and its attributes meet their conditions on lines.
    pub(crate) fn rules_for(&self, line: &Line) -> RuleSet {
        let mut rules = self.rule_index.rules_for(line);
        for index in self.rule_index.selective_rules() {
            let Some(rule) = self.definition.earning.get(*index) else {
                continue;
            };
            let is_named = !rule.when.names_products() || rules.contains(*index);
            rules.set(*index, is_named && rule.when.order.covers(line));
        }
        rules
    }

    /// Returns true if a rule or a campaign has a condition on the local time of an order.
    pub(crate) fn needs_local_time(&self) -> bool {
        let rules = self.definition.earning.iter().map(|rule| &rule.when.order);
        let campaigns = self.definition.campaigns.iter().map(|campaign| &campaign.order);
        rules.chain(campaigns).any(OrderConditions::needs_local_time)
    }

    /// The customer tags that conditions of earning rules name.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.definition
            .earning
            .iter()
            .flat_map(|rule| &rule.when.customer_tags)
    }
}

/// The plain data of a program, not validated. Fields are in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct ProgramDefinition {
    /// The earning gate of orders. By default `paid`, or `processing` for orders of a
    /// store plugin.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub award_on: Option<Status>,
    /// The rounding of an order's points, applied once to their sum.
    pub rounding: Rounding,
    /// The parts of an order that count.
    pub basis: Basis,
    /// The earning rules. Their points are added up.
    pub earning: Vec<EarningRule>,
    /// The combination of the multipliers of tiers and campaigns.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "MultiplierPolicy::is_default"))]
    pub combine: MultiplierPolicy,
    /// Campaigns: more points in a window of time.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub campaigns: Vec<Campaign>,
    /// The time for which order points are pending, from the gate on.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hold: Option<Period>,
    /// The effect of refunds.
    pub refunds: RefundPolicy,
    /// The effect of a clawback of more than the balance.
    pub debt: DebtPolicy,
    /// The expiry of points.
    pub expiry: Expiry,
    /// VIP tiers, lowest first.
    pub tiers: Vec<Tier>,
    /// The rules by which customers enter and leave tiers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Tiering::is_default"))]
    pub tiering: Tiering,
    /// Actions that earn without an order.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub actions: Vec<ActionRule>,
    /// The bonuses of referrals. `None` disables referrals.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub referrals: Option<Referrals>,
    /// Rewards that points buy.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub rewards: Vec<Reward>,
    /// The terms of all redemptions.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "RedemptionTerms::is_default"))]
    pub redemption: RedemptionTerms,
    /// The choice among several discount codes in one cart.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Stacking::is_default"))]
    pub stacking: Stacking,
    /// When a customer claims the account of a guest with the same e-mail address.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "GuestPolicy::is_default"))]
    pub guests: GuestPolicy,
    /// The value of one point in the shop's currency, for reports of the liability. No
    /// rule uses it.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub point_value: Option<Amount>,
}

impl ProgramDefinition {
    /// The definition without the parts that only orders, redemptions and reports read. A
    /// part that is not named here counts as one that time reads.
    fn schedule(&self) -> Self {
        Self {
            award_on: None,
            rounding: Rounding::Down,
            basis: Basis::default(),
            earning: Vec::new(),
            combine: MultiplierPolicy::default(),
            campaigns: Vec::new(),
            hold: None,
            refunds: RefundPolicy::default(),
            // Time gives rewards only as gifts.
            rewards: self.gifts().next().map_or_else(Vec::new, |_| self.rewards.clone()),
            stacking: Stacking::default(),
            point_value: None,
            ..self.clone()
        }
    }
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
            guests: GuestPolicy::default(),
            point_value: None,
        }
    }
}

/// The parts of an order that count. Lines count net of discounts; gift cards never
/// count.
///
/// # Example: shipping counts, a category does not
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// let json = r#"{"basis": {"shipping": true, "excluded_categories": ["books"]}}"#;
/// let basis = Program::from_json(json).unwrap().definition().basis.clone();
/// assert!(basis.shipping && !basis.tax && basis.excluded_categories.len() == 1);
/// # }
/// ```
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

/// The effect of refunds on an order's points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum RefundPolicy {
    /// The points of the refunded part are clawed back. The default.
    #[default]
    ClawBack,
    /// Refunds leave an order its points; cancellations do not.
    ///
    /// For tiers, goals and referrals, refunded money is still not spent, and an order
    /// refunded in full does not count.
    Keep,
}

/// The effect of a clawback of more than the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum DebtPolicy {
    /// The balance becomes negative, and later points pay the debt off. The default.
    #[default]
    Allow,
    /// The balance becomes zero, and the shortfall is forgiven.
    StopAtZero,
}

/// When a customer with an id claims the account of a guest with the same e-mail address.
///
/// An address typed at a checkout proves nothing: whoever knows it could take the points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum GuestPolicy {
    /// When the shop creates or changes the customer with the address. The default.
    #[default]
    ClaimOnSignUp,
    /// Only when the shop says that the address was verified.
    ClaimWhenVerified,
    /// Also when an order or any other request names both.
    ClaimAlways,
}

/// What a request says about an e-mail address and its customer. Later ones say more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum EmailProof {
    /// Nothing: it may have been typed at a checkout.
    #[default]
    Typed,
    /// The shop has it in the customer's profile.
    Profile,
    /// The shop has verified that it is the customer's.
    Verified,
}

impl GuestPolicy {
    /// All policies with their names in a program.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("claim_on_sign_up", Self::ClaimOnSignUp),
        ("claim_when_verified", Self::ClaimWhenVerified),
        ("claim_always", Self::ClaimAlways),
    ];

    /// Returns true if a customer claims a guest with such a proof.
    ///
    /// # Example: an order is no proof
    /// ```
    /// use loyalty_core::program::{EmailProof, GuestPolicy};
    /// assert!(!GuestPolicy::default().allows(EmailProof::Typed));
    /// assert!(GuestPolicy::default().allows(EmailProof::Profile));
    /// assert!(!GuestPolicy::ClaimWhenVerified.allows(EmailProof::Profile));
    /// ```
    pub fn allows(self, proof: EmailProof) -> bool {
        proof
            >= match self {
                Self::ClaimAlways => EmailProof::Typed,
                Self::ClaimOnSignUp => EmailProof::Profile,
                Self::ClaimWhenVerified => EmailProof::Verified,
            }
    }

    /// Returns true for the default policy.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The expiry of points.
///
/// # Example: nine months, then to the end of the month
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::program::Expiry;
/// use loyalty_core::{Boundary, Program};
/// let json = r#"{"expiry": {"per_lot": {"after": "P9M", "round_up_to": "month"}}}"#;
/// let expiry = Program::from_json(json).unwrap().definition().expiry;
/// let after = "P9M".parse().unwrap();
/// assert_eq!(expiry, Expiry::PerLot { after, round_up_to: Some(Boundary::Month) });
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Expiry {
    /// Points do not expire. The default.
    #[default]
    Never,
    /// Each lot expires by itself.
    PerLot {
        /// The lifetime of a lot, from when it was earned.
        after: Period,
        /// The boundary to which the end of the lifetime is moved forward.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        round_up_to: Option<Boundary>,
    },
    /// The whole balance expires at once when the account is inactive.
    Inactivity {
        /// The time without activity after which the balance expires.
        after: Period,
        /// The changes that count as activity.
        activity: QualifyingActivity,
    },
}

/// The changes that count as activity for [`Expiry::Inactivity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum QualifyingActivity {
    /// Any change of the balance except expiry. The default.
    #[default]
    Any,
    /// Earning and redeeming points, but not adjustments or clawbacks.
    EarningAndRedeeming,
}
