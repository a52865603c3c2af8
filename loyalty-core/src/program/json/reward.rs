//! Rewards read from JSON.

use super::{Faults, NodeRef};
use crate::amount::{Amount, Points};
use crate::program::action::EligibilityConditions;
use crate::program::reward::{
    Benefit, FreeProduct, FreeShipping, OrderCancelledPolicy, Percentage, PointPrice, ProductScope,
    RedemptionTerms, Reward, RewardPricing, VariableAmount,
};

impl NodeRef<'_> {
    pub(super) fn reward(&self, faults: &mut Faults) -> Option<Reward> {
        let known = [
            "id",
            "name",
            "cost",
            "gives",
            "minimum_subtotal",
            "only",
            "excluded",
            "maximum_share",
            "valid_for",
            "points_back_when_expired",
            "when",
            "limits",
            "limits_in_all",
            "individual_use",
            "code_prefix",
        ];
        let members = self.members(&known, faults)?;
        let id = members.required("id", faults).and_then(|at| at.parse(faults));
        let name = members.required("name", faults).and_then(|at| at.text(faults));
        let cost = members.get("cost");
        let offer = members
            .required("gives", faults)
            .and_then(|at| self.offer(&at, cost, faults));

        let minimum_subtotal = members.get("minimum_subtotal").and_then(|at| at.decimal(faults));
        let (mut only, mut excluded) = (ProductScope::default(), ProductScope::default());
        members.read("only", &mut only, |at| at.product_scope(&[], faults).map(|(scope, _)| scope));
        members.read("excluded", &mut excluded, |at| {
            at.product_scope(&[], faults).map(|(scope, _)| scope)
        });

        let maximum_share = members.get("maximum_share").and_then(|at| at.decimal(faults));
        let valid_for = members.get("valid_for").and_then(|at| at.parse(faults));
        let (mut points_back_when_expired, mut individual_use) = (false, false);
        members
            .read("points_back_when_expired", &mut points_back_when_expired, |at| at.bool(faults));

        let mut when = EligibilityConditions::default();
        members.read("when", &mut when, |at| Some(at.action_conditions(faults)));
        let (mut limits, mut total_limits) = (Vec::new(), Vec::new());
        members.read("limits", &mut limits, |at| Some(at.limits(faults)));
        members.read("limits_in_all", &mut total_limits, |at| Some(at.limits(faults)));

        members.read("individual_use", &mut individual_use, |at| at.bool(faults));
        let mut code_prefix = String::new();
        members.read("code_prefix", &mut code_prefix, |at| at.text(faults).map(str::to_owned));

        Some(Reward {
            id: id?,
            name: name?.to_owned(),
            offer: offer?,
            minimum_subtotal,
            only,
            excluded,
            maximum_share,
            valid_for,
            points_back_when_expired,
            when,
            limits,
            total_limits,
            individual_use,
            code_prefix,
        })
    }

    /// The benefit, with the cost from the member beside it.
    fn offer(
        &self,
        gives: &NodeRef<'_>,
        cost: Option<NodeRef<'_>>,
        faults: &mut Faults,
    ) -> Option<RewardPricing> {
        let variable = if gives.is_text() { None } else { gives.member("variable_amount") };
        if let Some(at) = variable {
            if let Some(cost) = cost {
                cost.push_fault::<()>(
                    "contradiction",
                    "is not allowed: the cost follows from points_per_unit",
                    faults,
                );
            }
            return at.variable_amount(faults).map(RewardPricing::Variable);
        }

        let gives = gives.benefit(faults);
        let cost: Option<Points> = match cost {
            Some(at) => at.points(faults),
            None => NodeRef { node: self.node, pointer: format!("{}/cost", self.pointer) }
                .push_fault("missing_field", "is required", faults),
        };
        Some(RewardPricing::Fixed { cost: cost?, benefit: gives? })
    }

    /// The member of this name, if there is one. Other members are no faults here.
    fn member(&self, name: &str) -> Option<Self> {
        self.members(&[name], &mut Faults::new())
            .and_then(|members| members.get(name))
    }

    fn benefit(&self, faults: &mut Faults) -> Option<Benefit> {
        if self.is_text() {
            let names = [("custom", 0_u8), ("free_shipping", 1)];
            return self.one_of(&names, faults).map(|kind| match kind {
                0 => Benefit::Custom,
                _ => Benefit::FreeShipping(FreeShipping::default()),
            });
        }

        let known = ["fixed_amount", "percentage", "free_shipping", "free_product", "store_credit"];
        let members = self.members(&known, faults)?;
        match known.map(|name| members.get(name)) {
            [Some(at), None, None, None, None] => at.decimal(faults).map(Benefit::FixedAmount),
            [None, Some(at), None, None, None] => at.percentage(faults).map(Benefit::Percentage),
            [None, None, Some(at), None, None] => {
                let members = at.members(&["maximum"], faults)?;
                let maximum = members.get("maximum").and_then(|at| at.decimal(faults));
                Some(Benefit::FreeShipping(FreeShipping { maximum }))
            }
            [None, None, None, Some(at), None] => {
                let (scope, members) = at.product_scope(&["quantity"], faults)?;
                let mut quantity = 1;
                members.read("quantity", &mut quantity, |at| at.count(faults));
                Some(Benefit::FreeProduct(FreeProduct { scope, quantity }))
            }
            [None, None, None, None, Some(at)] => at.decimal(faults).map(Benefit::StoreCredit),
            _ => {
                let detail = "must be custom, or have one of fixed_amount, percentage, free_shipping, \
                    free_product, store_credit and variable_amount";
                self.push_fault("invalid_value", detail, faults)
            }
        }
    }

    /// A percentage, or an object of it and its maximum.
    fn percentage(&self, faults: &mut Faults) -> Option<Percentage> {
        if !self.is_object() {
            return self.decimal(faults).map(|rate| Percentage { rate, maximum: None });
        }
        let members = self.members(&["rate", "maximum"], faults)?;
        let rate = members.required("rate", faults).and_then(|at| at.decimal(faults));
        let maximum = members.get("maximum").and_then(|at| at.decimal(faults));
        Some(Percentage { rate: rate?, maximum })
    }

    fn variable_amount(&self, faults: &mut Faults) -> Option<VariableAmount> {
        let known = ["points_per_unit", "point_value", "step", "minimum", "maximum"];
        let members = self.members(&known, faults)?;
        let price = match members.get("point_value") {
            Some(at) if members.get("points_per_unit").is_some() => {
                return at.push_fault(
                    "contradiction",
                    "is not allowed beside points_per_unit",
                    faults,
                );
            }
            Some(at) => at.decimal(faults).map(PointPrice::PointValue),
            None => members
                .required("points_per_unit", faults)
                .and_then(|at| at.points(faults))
                .map(PointPrice::PointsPerUnit),
        };

        // The amount of one point, or one unit, is the least that has a price.
        let mut step = match price {
            Some(PointPrice::PointValue(value)) => value,
            Some(PointPrice::PointsPerUnit(_)) | None => Amount::from(1),
        };
        members.read("step", &mut step, |at| at.decimal(faults));
        let mut minimum = step;
        members.read("minimum", &mut minimum, |at| at.decimal(faults));
        let maximum = members.get("maximum").and_then(|at| at.decimal(faults));
        Some(VariableAmount { price: price?, step, minimum, maximum })
    }

    /// Goods, and the members of their object, which has other members too.
    fn product_scope(
        &self,
        others: &[&str],
        faults: &mut Faults,
    ) -> Option<(ProductScope, super::Members<'_>)> {
        let known = [&["products", "variants", "categories"], others].concat();
        let members = self.members(&known, faults)?;

        let mut goods = ProductScope::default();
        members.read("products", &mut goods.products, |at| Some(at.set(faults)));
        members.read("variants", &mut goods.variants, |at| Some(at.set(faults)));
        members.read("categories", &mut goods.categories, |at| Some(at.set(faults)));
        Some((goods, members))
    }

    pub(super) fn redemption_terms(&self, faults: &mut Faults) -> Option<RedemptionTerms> {
        let members = self.members(&["grace", "order_cancelled", "maximum_share"], faults)?;

        let mut terms = RedemptionTerms::default();
        members.read("grace", &mut terms.grace, |at| at.parse(faults));
        let names =
            [("code", OrderCancelledPolicy::Code), ("points", OrderCancelledPolicy::Points)];
        members.read("order_cancelled", &mut terms.order_cancelled, |at| at.one_of(&names, faults));
        terms.maximum_share = members.get("maximum_share").and_then(|at| at.decimal(faults));
        Some(terms)
    }
}
