//! Rewards read from JSON.

use super::{At, Faults};
use crate::amount::{Amount, Points};
use crate::program::action::ActionConditions;
use crate::program::reward::{
    BringsBack, FreeProduct, FreeShipping, Gives, Goods, Offer, RedemptionTerms, Reward,
    VariableAmount,
};

impl At<'_> {
    pub(super) fn reward(&self, faults: &mut Faults) -> Option<Reward> {
        let known = [
            "id",
            "name",
            "cost",
            "gives",
            "minimum_subtotal",
            "only",
            "excluded",
            "valid_for",
            "points_back_when_expired",
            "when",
            "limits",
            "limits_in_all",
            "individual_use",
            "code_prefix",
        ];
        let members = self.members(&known, faults)?;
        let id = members.required("id", faults).and_then(|at| at.parsed(faults));
        let name = members.required("name", faults).and_then(|at| at.text(faults));
        let cost = members.present("cost");
        let offer = members
            .required("gives", faults)
            .and_then(|at| self.offer(&at, cost, faults));
        let minimum_subtotal =
            members.present("minimum_subtotal").and_then(|at| at.decimal(faults));
        let (mut only, mut excluded) = (Goods::default(), Goods::default());
        members.read("only", &mut only, |at| at.goods(&[], faults).map(|(goods, _)| goods));
        members.read("excluded", &mut excluded, |at| at.goods(&[], faults).map(|(goods, _)| goods));
        let valid_for = members.present("valid_for").and_then(|at| at.parsed(faults));
        let (mut points_back_when_expired, mut individual_use) = (false, false);
        members
            .read("points_back_when_expired", &mut points_back_when_expired, |at| at.bool(faults));
        let mut when = ActionConditions::default();
        members.read("when", &mut when, |at| Some(at.action_conditions(faults)));
        let (mut limits, mut limits_in_all) = (Vec::new(), Vec::new());
        members.read("limits", &mut limits, |at| Some(at.limits(faults)));
        members.read("limits_in_all", &mut limits_in_all, |at| Some(at.limits(faults)));
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
            valid_for,
            points_back_when_expired,
            when,
            limits,
            limits_in_all,
            individual_use,
            code_prefix,
        })
    }

    /// What is given, and the cost that stands beside it.
    fn offer(&self, gives: &At<'_>, cost: Option<At<'_>>, faults: &mut Faults) -> Option<Offer> {
        let variable = if gives.is_text() { None } else { gives.choice("variable_amount") };
        if let Some(at) = variable {
            if let Some(cost) = cost {
                cost.fault::<()>("contradiction", "follows from points_per_unit here", faults);
            }
            return at.variable_amount(faults).map(Offer::Variable);
        }
        let gives = gives.gives(faults);
        let cost: Option<Points> = match cost {
            Some(at) => at.points(faults),
            None => At { node: self.node, pointer: format!("{}/cost", self.pointer) }.fault(
                "missing_field",
                "is required",
                faults,
            ),
        };
        Some(Offer::Fixed { cost: cost?, gives: gives? })
    }

    /// The member of this name, where there is one.
    fn choice(&self, name: &str) -> Option<Self> {
        self.members(&[name], &mut Faults::new())
            .and_then(|members| members.present(name))
    }

    fn gives(&self, faults: &mut Faults) -> Option<Gives> {
        if self.is_text() {
            let names = [("custom", 0_u8), ("free_shipping", 1)];
            return self.named(&names, faults).map(|kind| match kind {
                0 => Gives::Custom,
                _ => Gives::FreeShipping(FreeShipping::default()),
            });
        }
        let known = ["fixed_amount", "percentage", "free_shipping", "free_product", "store_credit"];
        let members = self.members(&known, faults)?;
        match known.map(|name| members.present(name)) {
            [Some(at), None, None, None, None] => at.decimal(faults).map(Gives::FixedAmount),
            [None, Some(at), None, None, None] => at.decimal(faults).map(Gives::Percentage),
            [None, None, Some(at), None, None] => {
                let members = at.members(&["maximum"], faults)?;
                let maximum = members.present("maximum").and_then(|at| at.decimal(faults));
                Some(Gives::FreeShipping(FreeShipping { maximum }))
            }
            [None, None, None, Some(at), None] => {
                let (goods, members) = at.goods(&["quantity"], faults)?;
                let mut quantity = 1;
                members.read("quantity", &mut quantity, |at| at.count(faults));
                Some(Gives::FreeProduct(FreeProduct { goods, quantity }))
            }
            [None, None, None, None, Some(at)] => at.decimal(faults).map(Gives::StoreCredit),
            _ => {
                let detail = "must be custom, or have one of fixed_amount, percentage, free_shipping, \
                    free_product, store_credit and variable_amount";
                self.fault("invalid_value", detail, faults)
            }
        }
    }

    fn variable_amount(&self, faults: &mut Faults) -> Option<VariableAmount> {
        let members = self.members(&["points_per_unit", "step", "minimum", "maximum"], faults)?;
        let points_per_unit = members
            .required("points_per_unit", faults)
            .and_then(|at| at.points(faults));
        let mut step = Amount::from(1);
        members.read("step", &mut step, |at| at.decimal(faults));
        let mut minimum = step;
        members.read("minimum", &mut minimum, |at| at.decimal(faults));
        let maximum = members.present("maximum").and_then(|at| at.decimal(faults));
        Some(VariableAmount { points_per_unit: points_per_unit?, step, minimum, maximum })
    }

    /// Goods, in an object that has other members too.
    fn goods(&self, others: &[&str], faults: &mut Faults) -> Option<(Goods, super::Members<'_>)> {
        let known = [&["products", "variants", "categories"], others].concat();
        let members = self.members(&known, faults)?;
        let mut goods = Goods::default();
        members.read("products", &mut goods.products, |at| Some(at.set(faults)));
        members.read("variants", &mut goods.variants, |at| Some(at.set(faults)));
        members.read("categories", &mut goods.categories, |at| Some(at.set(faults)));
        Some((goods, members))
    }

    pub(super) fn redemption_terms(&self, faults: &mut Faults) -> Option<RedemptionTerms> {
        let members = self.members(&["grace", "order_cancelled"], faults)?;
        let mut terms = RedemptionTerms::default();
        members.read("grace", &mut terms.grace, |at| at.parsed(faults));
        let names = [("code", BringsBack::Code), ("points", BringsBack::Points)];
        members.read("order_cancelled", &mut terms.order_cancelled, |at| at.named(&names, faults));
        Some(terms)
    }
}
