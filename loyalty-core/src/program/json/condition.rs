//! Conditions on orders read from JSON.

use std::collections::BTreeSet;

use super::{Faults, Members, Node, NodeRef};
use crate::attribute::{AttributeNumber, AttributeValue};
use crate::program::condition::{
    AttributeCondition, AttributeOwner, AttributeTest, Hours, OrderConditions, Weekday,
};

/// The members of the object that has them, among others.
pub(super) const ORDER_CONDITIONS: [&str; 5] =
    ["weekdays", "hours", "channels", "first_order", "attributes"];

impl Members<'_> {
    pub(super) fn order_conditions(&self, faults: &mut Faults) -> OrderConditions {
        let mut order = OrderConditions::default();
        self.read("weekdays", &mut order.weekdays, |at| {
            let day = |at: &NodeRef<'_>, faults: &mut Faults| at.one_of(&Weekday::NAMES, faults);
            Some(at.items(faults, day).into_iter().collect())
        });
        order.hours = self.get("hours").and_then(|at| at.hours(faults));
        self.read("channels", &mut order.channels, |at| Some(at.set(faults)));
        order.first_order = self.get("first_order").and_then(|at| at.bool(faults));
        self.read("attributes", &mut order.attributes, |at| {
            Some(at.items(faults, NodeRef::attribute_condition))
        });
        order
    }
}

impl NodeRef<'_> {
    fn hours(&self, faults: &mut Faults) -> Option<Hours> {
        let members = self.members(&["from", "until"], faults)?;
        let from = members.required("from", faults).and_then(|at| at.parse(faults));
        let until = members.required("until", faults).and_then(|at| at.parse(faults));
        Some(Hours { from: from?, until: until? })
    }

    fn attribute_condition(&self, faults: &mut Faults) -> Option<AttributeCondition> {
        let tests = ["equals", "in", "at_least", "at_most"];
        let members = self.members(&[&["of", "name"][..], &tests[..]].concat(), faults)?;
        let of = members
            .required("of", faults)
            .and_then(|at| at.one_of(&AttributeOwner::NAMES, faults));
        let name = members.required("name", faults).and_then(|at| at.parse(faults));

        let test = match tests.map(|name| members.get(name)) {
            [Some(at), None, None, None] => at.attribute_value(faults).map(AttributeTest::Equals),
            [None, Some(at), None, None] => {
                let values = at.items(faults, NodeRef::attribute_value);
                Some(AttributeTest::In(values.into_iter().collect::<BTreeSet<_>>()))
            }
            [None, None, Some(at), None] => at.attribute_number(faults).map(AttributeTest::AtLeast),
            [None, None, None, Some(at)] => at.attribute_number(faults).map(AttributeTest::AtMost),
            _ => {
                let detail = "must have one of equals, in, at_least and at_most";
                self.push_fault("invalid_value", detail, faults)
            }
        };
        Some(AttributeCondition { of: of?, name: name?, test: test? })
    }

    fn attribute_value(&self, faults: &mut Faults) -> Option<AttributeValue> {
        match self.node {
            Node::Bool(value) => Some(AttributeValue::Bool(*value)),
            Node::Number(_) => self.attribute_number(faults).map(AttributeValue::Number),
            Node::Text(text) => AttributeValue::text(text)
                .or_else(|error| {
                    self.push_fault("invalid_value", error.to_string(), faults).ok_or(())
                })
                .ok(),
            Node::Null | Node::List(_) | Node::Object(_) => {
                self.push_fault("wrong_type", "must be a string, a number or a boolean", faults)
            }
        }
    }

    /// A number as it is written, up to fifteen digits.
    fn attribute_number(&self, faults: &mut Faults) -> Option<AttributeNumber> {
        let Node::Number(number) = self.node else {
            return self.push_fault("wrong_type", "must be a number", faults);
        };
        number
            .to_string()
            .parse()
            .or_else(|error: crate::attribute::AttributeError| {
                self.push_fault("out_of_range", error.to_string(), faults).ok_or(())
            })
            .ok()
    }
}
