//! Programs from JSON. Reading continues after a fault, so that a merchant sees all
//! faults at once.

mod action;
mod campaign;
mod condition;
mod gift;
mod reward;
mod tier;

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    Basis, DebtPolicy, EarningConditions, EarningFormula, EarningRule, Expiry, Fault, GuestPolicy,
    MultiplierPolicy, Program, ProgramDefinition, ProgramError, QualifyingActivity, RefundPolicy,
};
use crate::amount::{Amount, Points, Rounding};
use crate::calendar::{Boundary, Timestamp};
use crate::discount::Stacking;
use crate::order::Status;

impl Program {
    /// Reads and validates a document. Members that are absent or null have their
    /// defaults.
    ///
    /// # Errors
    /// A [`ProgramError`] with all faults of the document, each with its JSON pointer.
    ///
    /// # Example: a document and its defaults
    /// ```
    /// use loyalty_core::{Program, Rounding};
    /// let program = Program::from_json(r#"{"rounding": "half_up"}"#).unwrap();
    /// assert_eq!(program.definition().rounding, Rounding::HalfUp);
    /// assert_eq!(program.definition().earning, Program::default().definition().earning);
    /// ```
    pub fn from_json(text: &str) -> Result<Self, ProgramError> {
        let node: Node = serde_json::from_str(text).map_err(|error| {
            ProgramError::new(vec![Fault::new("", "malformed_json", error.to_string())])
        })?;
        let mut faults = Vec::new();
        let definition = NodeRef { node: &node, pointer: String::new() }.definition(&mut faults);

        // A definition with faulty members is incomplete: its validation would add wrong
        // faults.
        if faults.is_empty() { Self::new(definition) } else { Err(ProgramError::new(faults)) }
    }

    /// Returns a document that [`Program::from_json`] reads as this program.
    ///
    /// # Example: a document of the default program
    /// ```
    /// use loyalty_core::Program;
    /// let json = Program::default().to_json();
    /// assert!(json.starts_with(r#"{"rounding":"down","basis":{"tax":false"#));
    /// assert_eq!(Program::from_json(&json), Ok(Program::default()));
    /// ```
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists cannot fail to be written.
        serde_json::to_string(&self.definition).unwrap_or_default()
    }
}

impl serde::Serialize for Program {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.definition.serialize(to)
    }
}

/// A JSON value with all its members, repeated ones included.
enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A node with its JSON pointer. A method that fails adds a fault and returns `None`.
struct NodeRef<'a> {
    node: &'a Node,
    pointer: String,
}

type Faults = Vec<Fault>;

impl<'a> NodeRef<'a> {
    /// Adds a fault at this node. Returns `None` for the caller to return.
    fn push_fault<T>(
        &self,
        code: &'static str,
        detail: impl Into<String>,
        faults: &mut Faults,
    ) -> Option<T> {
        faults.push(Fault::new(self.pointer.clone(), code, detail));
        None
    }

    /// The members of an object. Unknown and repeated members are faults.
    fn members(&self, known: &[&str], faults: &mut Faults) -> Option<Members<'a>> {
        let Node::Object(members) = self.node else {
            return self.push_fault("wrong_type", "must be an object", faults);
        };

        let mut seen = BTreeSet::new();
        for (name, _) in members {
            // `~` and `/` are escaped in JSON pointers.
            let pointer =
                format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
            if !known.contains(&name.as_str()) {
                let detail = format!("unknown member; known members are {}", known.join(", "));
                faults.push(Fault::new(pointer, "unknown_field", detail));
            } else if !seen.insert(name) {
                faults.push(Fault::new(pointer, "duplicate_field", "duplicate member"));
            }
        }

        Some(Members { members, pointer: self.pointer.clone() })
    }

    fn list(&self, faults: &mut Faults) -> Vec<NodeRef<'a>> {
        let Node::List(items) = self.node else {
            self.push_fault::<()>("wrong_type", "must be a list", faults);
            return Vec::new();
        };

        let item = |(index, node)| NodeRef { node, pointer: format!("{}/{index}", self.pointer) };
        items.iter().enumerate().map(item).collect()
    }

    fn bool(&self, faults: &mut Faults) -> Option<bool> {
        let Node::Bool(value) = self.node else {
            return self.push_fault("wrong_type", "must be true or false", faults);
        };
        Some(*value)
    }

    fn text(&self, faults: &mut Faults) -> Option<&'a str> {
        let Node::Text(text) = self.node else {
            return self.push_fault("wrong_type", "must be a string", faults);
        };
        Some(text)
    }

    fn as_text(&self) -> Option<&'a str> {
        if let Node::Text(text) = self.node { Some(text) } else { None }
    }

    fn is_text(&self) -> bool {
        self.as_text().is_some()
    }

    fn is_object(&self) -> bool {
        matches!(self.node, Node::Object(_))
    }

    fn count(&self, faults: &mut Faults) -> Option<u32> {
        let count = if let Node::Number(number) = self.node { number.as_u64() } else { None };
        let count = count
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count <= 1_000_000_000);
        count.or_else(|| {
            self.push_fault("out_of_range", "must be a whole number up to 1,000,000,000", faults)
        })
    }

    fn parse<T: FromStr<Err: ToString>>(&self, faults: &mut Faults) -> Option<T> {
        let text = self.text(faults)?;
        text.parse()
            .or_else(|error: T::Err| {
                self.push_fault("invalid_value", error.to_string(), faults).ok_or(())
            })
            .ok()
    }

    /// A decimal: a string or a whole number. A JSON number with decimals would become a
    /// float.
    fn decimal<T: FromStr<Err: ToString>>(&self, faults: &mut Faults) -> Option<T> {
        let text = if let Node::Number(number) = self.node
            && number.is_u64()
        {
            number.to_string()
        } else if let Node::Text(text) = self.node {
            text.clone()
        } else {
            let detail = "must be a decimal number in a string, such as \"1.5\"";
            return self.push_fault("wrong_type", detail, faults);
        };
        text.parse()
            .or_else(|error: T::Err| {
                self.push_fault("invalid_value", error.to_string(), faults).ok_or(())
            })
            .ok()
    }

    fn points(&self, faults: &mut Faults) -> Option<Points> {
        let Node::Number(number) = self.node else {
            return self.push_fault("wrong_type", "must be a whole number", faults);
        };
        let points = number.as_i64().and_then(Points::new);
        points.or_else(|| {
            self.push_fault("out_of_range", "must be a whole number of points in range", faults)
        })
    }

    fn one_of<T: Copy>(&self, names: &[(&str, T)], faults: &mut Faults) -> Option<T> {
        let text = self.text(faults)?;
        let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.or_else(|| {
            let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            self.push_fault("invalid_value", format!("must be one of {}", known.join(", ")), faults)
        })
    }

    fn time(&self, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.text(faults)?;
        let time = chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| time.to_utc());
        time.or_else(|| {
            self.push_fault("invalid_value", "must be a time such as 2026-01-31T00:00:00Z", faults)
        })
    }

    fn set<T: FromStr<Err: ToString> + Ord>(&self, faults: &mut Faults) -> BTreeSet<T> {
        self.list(faults)
            .iter()
            .filter_map(|item| item.parse(faults))
            .collect()
    }

    /// The items of a list, without those that have faults.
    fn items<T>(
        &self,
        faults: &mut Faults,
        read: impl Fn(&NodeRef<'a>, &mut Faults) -> Option<T>,
    ) -> Vec<T> {
        self.list(faults)
            .iter()
            .filter_map(|item| read(item, faults))
            .collect()
    }

    fn definition(&self, faults: &mut Faults) -> ProgramDefinition {
        let mut program = ProgramDefinition::default();
        let known = [
            "award_on",
            "rounding",
            "basis",
            "earning",
            "combine",
            "campaigns",
            "hold",
            "refunds",
            "debt",
            "expiry",
            "tiers",
            "tiering",
            "actions",
            "referrals",
            "rewards",
            "redemption",
            "stacking",
            "guests",
            "point_value",
        ];
        let Some(members) = self.members(&known, faults) else {
            return program;
        };

        let statuses = Status::ALL.map(|status| (status.name(), status));
        program.award_on = members.get("award_on").and_then(|at| at.one_of(&statuses, faults));
        members.read("rounding", &mut program.rounding, |at| at.one_of(&Rounding::NAMES, faults));
        members.read("basis", &mut program.basis, |at| Some(at.basis(faults)));
        members.read("earning", &mut program.earning, |at| {
            Some(at.items(faults, NodeRef::earning_rule))
        });

        let combines = [
            ("multiply", MultiplierPolicy::Multiply),
            ("highest", MultiplierPolicy::Highest),
            ("add", MultiplierPolicy::Add),
        ];
        members.read("combine", &mut program.combine, |at| at.one_of(&combines, faults));
        members.read("campaigns", &mut program.campaigns, |at| {
            Some(at.items(faults, NodeRef::campaign))
        });

        program.hold = members.get("hold").and_then(|at| at.parse(faults));
        let refunds = [("claw_back", RefundPolicy::ClawBack), ("keep", RefundPolicy::Keep)];
        members.read("refunds", &mut program.refunds, |at| at.one_of(&refunds, faults));
        let debts = [("allow", DebtPolicy::Allow), ("stop_at_zero", DebtPolicy::StopAtZero)];
        members.read("debt", &mut program.debt, |at| at.one_of(&debts, faults));
        members.read("expiry", &mut program.expiry, |at| at.expiry(faults));

        members.read("tiers", &mut program.tiers, |at| Some(at.items(faults, NodeRef::tier)));
        members.read("tiering", &mut program.tiering, |at| at.tiering(faults));
        members.read("actions", &mut program.actions, |at| Some(at.items(faults, NodeRef::action)));
        program.referrals = members.get("referrals").and_then(|at| at.referrals(faults));
        members.read("rewards", &mut program.rewards, |at| Some(at.items(faults, NodeRef::reward)));

        members.read("redemption", &mut program.redemption, |at| at.redemption_terms(faults));
        members.read("stacking", &mut program.stacking, |at| at.one_of(&Stacking::NAMES, faults));
        members.read("guests", &mut program.guests, |at| at.one_of(&GuestPolicy::NAMES, faults));
        program.point_value = members.get("point_value").and_then(|at| at.decimal(faults));
        program
    }

    fn basis(&self, faults: &mut Faults) -> Basis {
        let mut basis = Basis::default();
        let known = ["tax", "shipping", "redeemed", "excluded_products", "excluded_categories"];
        let Some(members) = self.members(&known, faults) else {
            return basis;
        };

        members.read("tax", &mut basis.tax, |at| at.bool(faults));
        members.read("shipping", &mut basis.shipping, |at| at.bool(faults));
        members.read("redeemed", &mut basis.redeemed, |at| at.bool(faults));
        members.read("excluded_products", &mut basis.excluded_products, |at| Some(at.set(faults)));
        members
            .read("excluded_categories", &mut basis.excluded_categories, |at| Some(at.set(faults)));
        basis
    }

    fn earning_rule(&self, faults: &mut Faults) -> Option<EarningRule> {
        let members = self.members(&["id", "earn", "when", "replaces_base", "limits"], faults)?;
        let id = members.required("id", faults).and_then(|at| at.parse(faults));
        let earn = members.required("earn", faults).and_then(|at| at.earn(faults));

        let (mut when, mut replaces_base) = (EarningConditions::default(), false);
        members.read("when", &mut when, |at| Some(at.conditions(faults)));
        members.read("replaces_base", &mut replaces_base, |at| at.bool(faults));
        let mut limits = Vec::new();
        members.read("limits", &mut limits, |at| Some(at.limits(faults)));

        Some(EarningRule { id: id?, earn: earn?, when, replaces_base, limits })
    }

    fn earn(&self, faults: &mut Faults) -> Option<EarningFormula> {
        let known = ["per_unit", "per_increment", "per_item", "per_order"];
        let members = self.members(&known, faults)?;

        match known.map(|name| members.get(name)) {
            [Some(at), None, None, None] => at.decimal(faults).map(EarningFormula::PerUnit),
            [None, Some(at), None, None] => at.per_increment(faults),
            [None, None, Some(at), None] => at.points(faults).map(EarningFormula::PerItem),
            [None, None, None, Some(at)] => at.points(faults).map(EarningFormula::PerOrder),
            _ => {
                let detail = "must have one of per_unit, per_increment, per_item and per_order";
                self.push_fault("invalid_value", detail, faults)
            }
        }
    }

    fn per_increment(&self, faults: &mut Faults) -> Option<EarningFormula> {
        let members = self.members(&["amount", "points"], faults)?;
        let amount: Option<Amount> =
            members.required("amount", faults).and_then(|at| at.decimal(faults));
        let points = members.required("points", faults).and_then(|at| at.points(faults));
        Some(EarningFormula::PerIncrement { amount: amount?, points: points? })
    }

    fn conditions(&self, faults: &mut Faults) -> EarningConditions {
        let mut when = EarningConditions::default();
        let known = [
            "minimum_spend",
            "maximum_spend",
            "products",
            "categories",
            "customer_tags",
            "from",
            "until",
        ];
        let known = [&known[..], &condition::ORDER_CONDITIONS[..]].concat();
        let Some(members) = self.members(&known, faults) else { return when };

        when.minimum_spend = members.get("minimum_spend").and_then(|at| at.decimal(faults));
        when.maximum_spend = members.get("maximum_spend").and_then(|at| at.decimal(faults));
        members.read("products", &mut when.products, |at| Some(at.set(faults)));
        members.read("categories", &mut when.categories, |at| Some(at.set(faults)));
        members.read("customer_tags", &mut when.customer_tags, |at| Some(at.set(faults)));
        when.from = members.get("from").and_then(|at| at.time(faults));
        when.until = members.get("until").and_then(|at| at.time(faults));
        when.order = members.order_conditions(faults);
        when
    }

    fn expiry(&self, faults: &mut Faults) -> Option<Expiry> {
        if let Node::Text(_) = self.node {
            return self.one_of(&[("never", Expiry::Never)], faults);
        }

        let members = self.members(&["per_lot", "inactivity"], faults)?;
        match (members.get("per_lot"), members.get("inactivity")) {
            (Some(at), None) => at.expiry_per_lot(faults),
            (None, Some(at)) => at.expiry_by_inactivity(faults),
            _ => {
                self.push_fault("invalid_value", "must have one of per_lot and inactivity", faults)
            }
        }
    }

    fn expiry_per_lot(&self, faults: &mut Faults) -> Option<Expiry> {
        let members = self.members(&["after", "round_up_to"], faults)?;
        let after = members.required("after", faults).and_then(|at| at.parse(faults));
        let boundaries =
            [("month", Boundary::Month), ("quarter", Boundary::Quarter), ("year", Boundary::Year)];
        let round_up_to = members
            .get("round_up_to")
            .and_then(|at| at.one_of(&boundaries, faults));
        Some(Expiry::PerLot { after: after?, round_up_to })
    }

    fn expiry_by_inactivity(&self, faults: &mut Faults) -> Option<Expiry> {
        let members = self.members(&["after", "activity"], faults)?;
        let after = members.required("after", faults).and_then(|at| at.parse(faults));

        let mut activity = QualifyingActivity::Any;
        let names = [
            ("any", QualifyingActivity::Any),
            ("earning_and_redeeming", QualifyingActivity::EarningAndRedeeming),
        ];
        members.read("activity", &mut activity, |at| at.one_of(&names, faults));
        Some(Expiry::Inactivity { after: after?, activity })
    }
}

/// The members of an object, with its JSON pointer.
struct Members<'a> {
    members: &'a [(String, Node)],
    pointer: String,
}

impl<'a> Members<'a> {
    /// The member of this name, if it is present and not null.
    fn get(&self, name: &str) -> Option<NodeRef<'a>> {
        let (_, node) = self.members.iter().find(|(known, _)| known == name)?;
        let is_present = !matches!(node, Node::Null);
        is_present.then(|| NodeRef { node, pointer: format!("{}/{name}", self.pointer) })
    }

    /// The member of this name. Its absence is a fault.
    fn required(&self, name: &str, faults: &mut Faults) -> Option<NodeRef<'a>> {
        let member = self.get(name);
        if member.is_none() {
            let pointer = format!("{}/{name}", self.pointer);
            faults.push(Fault::new(pointer, "missing_field", "is required"));
        }
        member
    }

    /// Replaces a default by the value of a member, if it is present and valid.
    fn read<T>(&self, name: &str, value: &mut T, read: impl FnOnce(NodeRef<'a>) -> Option<T>) {
        if let Some(found) = self.get(name).and_then(read) {
            *value = found;
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    /// Accepted here, so that the fault has the pointer of the number.
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    const FULL: &str = r#"{
        "award_on": "fulfilled", "rounding": "half_up",
        "basis": {"tax": true, "shipping": false, "redeemed": false, "excluded_products": ["p"], "excluded_categories": []},
        "earning": [
            {"id": "base", "earn": {"per_unit": "1.5"}},
            {"id": "tens", "earn": {"per_increment": {"amount": "10.00", "points": 3}}, "replaces_base": true,
             "when": {"minimum_spend": "50", "categories": ["shoes"], "customer_tags": ["vip"],
                      "from": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}},
            {"id": "order", "earn": {"per_order": 50}}
        ],
        "refunds": "keep", "debt": "stop_at_zero",
        "expiry": {"per_lot": {"after": "P9M", "round_up_to": "month"}},
        "tiers": [{"id": "gold", "name": "Gold", "multiplier": "1.5"}],
        "point_value": "0.0125"
    }"#;

    #[test]
    fn a_document_survives_the_round_trip() {
        let program = Program::from_json(FULL).unwrap();
        assert_eq!(Program::from_json(&program.to_json()), Ok(program));
        assert_eq!(Program::from_json(&Program::default().to_json()), Ok(Program::default()));
        assert_eq!(Program::from_json("{}"), Ok(Program::default()));
    }

    #[test]
    fn every_fault_has_its_pointer() {
        let check = |document: &str, want: &[(&str, &str)]| {
            let faults = Program::from_json(document).unwrap_err();
            let got: Vec<_> = faults
                .faults()
                .iter()
                .map(|fault| (fault.pointer.as_str(), fault.code))
                .collect();
            assert_eq!(got, want, "{document}");
        };
        check("[]", &[("", "wrong_type")]);
        check("{", &[("", "malformed_json")]);
        check(&"[".repeat(10_000), &[("", "malformed_json")]);
        check(r#"{"debt": "allow", "debt": "allow"}"#, &[("/debt", "duplicate_field")]);
        check(r#"{"a/b~": 1}"#, &[("/a~1b~0", "unknown_field")]);
        check(
            r#"{"rounding": 1, "basis": {"tax": "yes", "x": 1}, "expiry": "soon",
                "earning": [{"id": "", "earn": {"per_unit": 1.5}}, {"earn": {}, "when": {"minimum_spend": "-1"}}],
                "point_value": "0.00001"}"#,
            &[
                ("/rounding", "wrong_type"),
                ("/basis/x", "unknown_field"),
                ("/basis/tax", "wrong_type"),
                ("/earning/0/id", "invalid_value"),
                ("/earning/0/earn/per_unit", "wrong_type"),
                ("/earning/1/id", "missing_field"),
                ("/earning/1/earn", "invalid_value"),
                ("/earning/1/when/minimum_spend", "invalid_value"),
                ("/expiry", "invalid_value"),
                ("/point_value", "invalid_value"),
            ],
        );
        check(
            r#"{"earning": [{"id": "a", "earn": {"per_order": 0}, "replaces_base": true},
                            {"id": "a", "earn": {"per_increment": {"amount": "0", "points": 1}},
                             "when": {"from": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}],
                "tiers": [{"id": "t", "name": "", "multiplier": 0}], "point_value": "0"}"#,
            &[
                ("/earning/0/earn/per_order", "out_of_range"),
                ("/earning/0/replaces_base", "contradiction"),
                ("/earning/1/id", "duplicate_id"),
                ("/earning/1/earn/per_increment/amount", "out_of_range"),
                ("/earning/1/when/until", "contradiction"),
                ("/tiers/0/name", "invalid_value"),
                ("/tiers/0/multiplier", "out_of_range"),
                ("/point_value", "out_of_range"),
            ],
        );
    }
}
