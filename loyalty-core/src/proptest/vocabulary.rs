//! The ids, thresholds, periods and instants of one program. Cases built from them reach all of
//! its rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::amount::{Amount, Points};
use crate::attribute::AttributeValue;
use crate::calendar::{Period, Timestamp};
use crate::id::{ActionId, AttributeName, CategoryId, ChannelId, ProductId, RewardId, Tag, TierId};
use crate::order::{Origin, Status};
use crate::program::{
    ActionKind, AttributeOwner, AttributeTest, Benefit, EarningFormula, Expiry, FreeProduct,
    OrderConditions, ProductScope, Program, Reward, RewardPricing, TierMetric, TierWindow,
    VariableAmount,
};

/// All values that a program mentions, with one unknown product and one unknown category.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) products: Vec<ProductId>,
    pub(super) categories: Vec<CategoryId>,
    pub(super) tags: Vec<Tag>,
    pub(super) channels: Vec<ChannelId>,
    /// Attributes that meet conditions, and some that do not.
    pub(super) attributes: Vec<(AttributeOwner, AttributeName, AttributeValue)>,
    pub(super) tiers: Vec<TierId>,
    pub(super) actions: Vec<ActionId>,
    pub(super) codes: Vec<Arc<str>>,
    pub(super) rewards: Vec<(RewardId, Option<VariableAmount>)>,
    /// The program has gifts.
    pub(super) has_gifts: bool,
    pub(super) costs: Vec<Points>,
    /// Amounts from which rules apply.
    pub(super) amounts: Vec<Amount>,
    /// Periods after which something ends or begins.
    pub(super) periods: Vec<Period>,
    /// Instants at which rules begin or end to apply.
    pub(super) instants: Vec<Timestamp>,
    /// A rule earns per item, so that fractions of units matter.
    pub(super) counts_items: bool,
    /// The earning gate: the status at which an order earns.
    pub(super) gate: Status,
}

/// Values collected from a program, without duplicates where order does not matter.
#[derive(Default)]
struct VocabularyBuilder {
    products: BTreeSet<ProductId>,
    categories: BTreeSet<CategoryId>,
    tags: BTreeSet<Tag>,
    channels: BTreeSet<ChannelId>,
    attributes: Vec<(AttributeOwner, AttributeName, AttributeValue)>,
    amounts: Vec<Amount>,
    periods: Vec<Period>,
    instants: BTreeSet<Timestamp>,
}

impl Vocabulary {
    pub(super) fn from_program(program: &Program) -> Arc<Self> {
        let parts = program.definition();
        let mut builder = VocabularyBuilder::default();
        builder.add_earning(program);
        builder.add_tiers(program);
        builder.add_actions(program);
        builder.add_rewards(program);
        builder.products.extend(ProductId::new("anything").ok());
        builder.categories.extend(CategoryId::new("anywhere").ok());

        let codes = parts.actions.iter().flat_map(|action| {
            if let ActionKind::Codes(codes) = &action.kind {
                codes.iter().cloned().collect()
            } else if let ActionKind::Code(code) = &action.kind {
                vec![Arc::clone(code)]
            } else {
                Vec::new()
            }
        });
        let reported = parts
            .actions
            .iter()
            .filter(|action| action.kind.is_reported_by_shop());
        let variable = |offer: &RewardPricing| {
            if let RewardPricing::Variable(variable) = offer { Some(*variable) } else { None }
        };

        Arc::new(Self {
            products: builder.products.into_iter().collect(),
            categories: builder.categories.into_iter().collect(),
            tags: builder.tags.into_iter().collect(),
            channels: builder.channels.into_iter().collect(),
            attributes: builder.attributes,
            tiers: parts.tiers.iter().map(|tier| tier.id.clone()).collect(),
            actions: reported.map(|action| action.id.clone()).collect(),
            codes: codes.collect(),
            rewards: parts
                .rewards
                .iter()
                .map(|reward| (reward.id.clone(), variable(&reward.offer)))
                .collect(),
            has_gifts: parts.gifts().next().is_some(),
            costs: parts.rewards.iter().map(Reward::minimum_cost).collect(),
            amounts: builder.amounts,
            periods: builder.periods,
            instants: builder.instants.into_iter().collect(),
            counts_items: parts
                .earning
                .iter()
                .any(|rule| matches!(rule.earn, EarningFormula::PerItem(_))),
            gate: program.gate(Origin::Shop),
        })
    }
}

impl VocabularyBuilder {
    fn add_scope(&mut self, scope: &ProductScope) {
        self.products.extend(scope.products.iter().cloned());
        self.categories.extend(scope.categories.iter().cloned());
    }

    fn add_window(&mut self, from: Option<Timestamp>, until: Option<Timestamp>) {
        self.instants.extend(from.into_iter().chain(until));
    }

    fn add_order_conditions(&mut self, conditions: &OrderConditions) {
        self.channels.extend(conditions.channels.iter().cloned());
        self.channels.extend(
            ChannelId::new("elsewhere")
                .ok()
                .filter(|_| !conditions.channels.is_empty()),
        );
        for condition in &conditions.attributes {
            let values: Vec<_> = match &condition.test {
                AttributeTest::Equals(value) => vec![value.clone()],
                AttributeTest::In(values) => values.iter().cloned().collect(),
                AttributeTest::AtLeast(number) | AttributeTest::AtMost(number) => {
                    let near = ["-100000", "100000"].iter().filter_map(|text| text.parse().ok());
                    near.chain([*number]).map(AttributeValue::Number).collect()
                }
            };
            let other = AttributeValue::text("other").ok();
            for value in values.into_iter().chain(other) {
                self.attributes.push((condition.of, condition.name.clone(), value));
            }
        }

        // The beginning of the hours on the first three days of histories in UTC, and so on
        // different weekdays.
        for day in 1..4 {
            let from = conditions.hours.map(|hours| hours.from.to_string());
            let at = from.map(|from| format!("2026-01-0{day}T{from}:00Z").parse::<Timestamp>());
            self.instants.extend(at.and_then(Result::ok));
        }
    }

    fn add_earning(&mut self, program: &Program) {
        let parts = program.definition();
        self.products.extend(parts.basis.excluded_products.iter().cloned());
        self.categories
            .extend(parts.basis.excluded_categories.iter().cloned());
        self.periods.extend(parts.hold);
        match parts.expiry {
            Expiry::Never => {}
            Expiry::PerLot { after, .. } | Expiry::Inactivity { after, .. } => {
                self.periods.push(after);
            }
        }

        for rule in &parts.earning {
            self.products.extend(rule.when.products.iter().cloned());
            self.categories.extend(rule.when.categories.iter().cloned());
            self.tags.extend(rule.when.customer_tags.iter().cloned());
            self.amounts.extend(rule.when.minimum_spend);
            self.amounts.extend(rule.when.maximum_spend);
            self.add_order_conditions(&rule.when.order);
            self.add_window(rule.when.from, rule.when.until);
            if let EarningFormula::PerIncrement { amount, .. } = rule.earn {
                self.amounts.push(amount);
            }
        }

        for campaign in &parts.campaigns {
            self.products.extend(campaign.products.iter().cloned());
            self.categories.extend(campaign.categories.iter().cloned());
            self.tags.extend(campaign.customer_tags.iter().cloned());
            self.add_window(campaign.from, campaign.until);
            self.add_order_conditions(&campaign.order);
        }
    }

    fn add_tiers(&mut self, program: &Program) {
        let parts = program.definition();
        let tiering = &parts.tiering;
        self.periods.extend(tiering.term.into_iter().chain(tiering.grace));
        if let TierWindow::Rolling(period) = tiering.window {
            self.periods.push(period);
        }
        if tiering.metric != TierMetric::Orders {
            self.amounts
                .extend(parts.tiers.iter().filter_map(|tier| tier.threshold));
        }
    }

    fn add_actions(&mut self, program: &Program) {
        for action in &program.definition().actions {
            self.tags.extend(action.when.customer_tags.iter().cloned());
            self.add_window(action.when.from, action.when.until);
            self.periods.extend(action.hold);
            if let ActionKind::GoalSpend(amount) = action.kind {
                self.amounts.push(amount);
            }
        }
    }

    fn add_rewards(&mut self, program: &Program) {
        let parts = program.definition();
        for reward in &parts.rewards {
            self.add_scope(&reward.only);
            self.add_scope(&reward.excluded);
            if let RewardPricing::Fixed {
                benefit: Benefit::FreeProduct(FreeProduct { scope, .. }),
                ..
            } = &reward.offer
            {
                self.add_scope(scope);
            }
            self.tags.extend(reward.when.customer_tags.iter().cloned());
            self.add_window(reward.when.from, reward.when.until);
            self.amounts.extend(reward.minimum_subtotal);
            self.periods.extend(reward.valid_for);
        }

        if !parts.rewards.is_empty() {
            self.periods.push(parts.redemption.grace);
        }
    }
}
