//! Worked cases of price rules, codes and carts, as data: `discounts/*.json`.
//!
//! Each case names the product and the topic of the page that it was written from, and says
//! whether our result agrees. Its figures were calculated by hand.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test may stop at what it did not expect"
)]

use std::collections::{BTreeMap, BTreeSet};

use loyalty_core::discount::*;
use loyalty_core::{
    AccountId, Amount, CheckoutId, CodeId, CountryId, CustomerId, Email, LineId, OrderId,
    PriceRuleId, SegmentId, Timestamp,
};
use serde::Deserialize;

/// The fields of a case. A file with an unknown field is rejected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    source: String,
    verdict: String,
    #[serde(default)]
    why: String,
    #[serde(default = "default_digits")]
    digits: u32,
    #[serde(default)]
    stacking: Stacking,
    #[serde(default = "default_time")]
    at: Timestamp,
    #[serde(default)]
    customer: Buyer,
    country: Option<String>,
    lines: Vec<Line>,
    #[serde(default)]
    shipping: Vec<(String, String)>,
    rules: BTreeMap<i64, Rule>,
    #[serde(default)]
    codes: BTreeMap<String, KnownCode>,
    typed: Vec<String>,
    want: Vec<Expected>,
}

fn default_digits() -> u32 {
    2
}

fn default_time() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Buyer {
    account: Option<i64>,
    id: Option<String>,
    email: Option<String>,
    segments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    price: String,
    #[serde(default = "default_quantity")]
    quantity: u32,
    product: Option<String>,
    variant: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    gift_card: bool,
}

fn default_quantity() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    parts: PriceRuleParts,
    #[serde(default)]
    emails: Vec<String>,
    /// The rule is read as an earlier version stored it; it could not be created any more.
    #[serde(default)]
    stored: bool,
}

/// A code of the shop. If a case lists none, each entered code belongs to the rule at the same
/// position.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct KnownCode {
    rule: i64,
    /// Number of uses by orders of other customers.
    used: u32,
    /// Number of uses by orders of this customer.
    used_by_customer: u32,
    /// Ends of the reservations of other customers.
    held: Vec<Timestamp>,
    off: bool,
    removed: bool,
    rule_deleted: bool,
}

/// The expected outcome of one entered code.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Expected {
    Off { off: BTreeMap<String, String> },
    Reason { reason: String },
}

/// The records of one code.
struct Records {
    id: CodeId,
    rule: i64,
    state: CodeState,
    customer_usage: CodeUsage,
    rule_deleted: bool,
}

impl Records {
    fn from_case(number: i64, text: &str, known: &KnownCode, at: Timestamp) -> Self {
        let code = CodeId(number);
        let (mut state, mut customer_usage) = (CodeState::default(), CodeUsage::default());
        let mut events = vec![DiscountEvent::CodeAdded {
            code,
            rule: PriceRuleId(known.rule),
            text: Code::new(text).unwrap(),
        }];

        let long_ago = at - chrono::TimeDelta::hours(20);

        for (count, account) in [(known.used, 900), (known.used_by_customer, 1)] {
            for order in 0..count {
                events.push(DiscountEvent::CodeUsed {
                    code,
                    order: OrderId::new(format!("{account}-{order}")).unwrap(),
                    account: Some(AccountId(account)),
                    checkout: None,
                    reservation: None,
                    at: long_ago,
                });
            }
        }

        for (index, until) in known.held.iter().enumerate() {
            let checkout = CheckoutId::new(index.to_string()).unwrap();
            let account = Some(AccountId(901));
            let until = *until;
            events.push(DiscountEvent::CodeReserved {
                code,
                checkout,
                account,
                until,
                replaces: None,
                at: long_ago,
            });
        }

        if known.off {
            events.push(DiscountEvent::CodeSwitched { code, on: false });
        }

        if known.removed {
            events.push(DiscountEvent::CodeRemoved { code });
        }

        for event in &events {
            state.evolve(event);
            customer_usage.evolve(AccountId(1), event);
        }

        Self {
            id: code,
            rule: known.rule,
            state,
            customer_usage,
            rule_deleted: known.rule_deleted,
        }
    }
}

impl Case {
    fn cart(&self) -> Cart {
        let line = |line: &Line| CartLine {
            id: LineId::new(&line.id).unwrap(),
            product: line.product.as_ref().map(|id| id.parse().unwrap()),
            variant: line.variant.as_ref().map(|id| id.parse().unwrap()),
            categories: line.categories.iter().map(|id| id.parse().unwrap()).collect(),
            quantity: line.quantity,
            price: line.price.parse().unwrap(),
            gift_card: line.gift_card,
        };

        let shipping = |(id, price): &(String, String)| ShippingLine {
            id: LineId::new(id).unwrap(),
            price: price.parse().unwrap(),
        };

        let Buyer { account, id, email, segments } = &self.customer;
        Cart {
            lines: self.lines.iter().map(line).collect(),
            shipping: self.shipping.iter().map(shipping).collect(),
            country: self.country.as_ref().map(|country| CountryId::new(country).unwrap()),
            customer: Customer {
                account: account.map(AccountId),
                id: id.as_ref().map(|id| CustomerId::new(id).unwrap()),
                email: email.as_ref().map(|email| Email::new(email).unwrap()),
                segments: segments.iter().map(|id| SegmentId::new(id).unwrap()).collect(),
                ..Customer::default()
            },
            codes: self.typed.iter().map(|code| Code::new(code).unwrap()).collect(),
            at: self.at,
        }
    }

    fn rules(&self) -> BTreeMap<i64, PriceRule> {
        let rule = |rule: &Rule| {
            let emails = rule.emails.iter().map(|email| Email::new(email).unwrap()).collect();
            let parts = PriceRuleParts { prerequisite_emails: emails, ..rule.parts.clone() };
            let parts = PriceRuleParts { title: "Case".to_owned(), ..parts };
            let created = PriceRule::new(parts.clone(), self.digits);
            if rule.stored {
                assert!(created.is_err(), "{}: it could be created", self.name);
                let stored = serde_json::json!({"minor_digits": self.digits, "rule": parts});
                return serde_json::from_value(stored).unwrap();
            }
            created.unwrap_or_else(|faults| panic!("{}: {faults:?}", self.name))
        };
        self.rules.iter().map(|(id, parts)| (*id, rule(parts))).collect()
    }

    fn records(&self) -> BTreeMap<Code, Records> {
        let mut codes = self.codes.clone();
        if codes.is_empty() {
            let known_code = |(code, rule): (&String, &i64)| {
                (code.clone(), KnownCode { rule: *rule, ..KnownCode::default() })
            };
            codes = self.typed.iter().zip(self.rules.keys()).map(known_code).collect();
        }
        let record = |(number, (text, known)): (i64, (&String, &KnownCode))| {
            (Code::new(text).unwrap(), Records::from_case(number, text, known, self.at))
        };
        (1..).zip(&codes).map(record).collect()
    }

    fn evaluate(&self) -> Evaluation {
        let (cart, rules, records) = (self.cart(), self.rules(), self.records());
        let find = |code: &Code| {
            let Records { id, rule, state, customer_usage, rule_deleted } = records.get(code)?;
            let rule = rules.get(rule).filter(|_| !rule_deleted);
            Some(CodeContext {
                id: *id,
                state,
                rule,
                customer_usage: Some(customer_usage),
                checkout_claim: None,
            })
        };
        evaluate(&cart, self.digits, self.stacking, find)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn check(&self) {
        let Self { name, .. } = self;
        let evaluation = self.evaluate();
        assert_eq!(
            self.want.len(),
            self.typed.len(),
            "{name}: one expectation for each typed code"
        );

        let mut by_line: BTreeMap<(bool, &str), Amount> = BTreeMap::new();
        for (expected, actual) in self.want.iter().zip(&evaluation.codes) {
            match (expected, &actual.outcome) {
                (Expected::Off { off }, Ok(applied)) => {
                    let expected: BTreeMap<_, Amount> = off
                        .iter()
                        .map(|(line, amount)| (line.as_str(), amount.parse().unwrap()))
                        .collect();
                    let shares = applied.shares.iter();
                    let actual: BTreeMap<_, _> =
                        shares.map(|share| (share.line.as_str(), share.amount)).collect();
                    assert_eq!(actual, expected, "{name}");
                    for (line, amount) in actual {
                        let sum = by_line
                            .entry((applied.class == DiscountClass::Shipping, line))
                            .or_default();
                        *sum = sum.checked_add(amount).unwrap();
                    }
                }
                (Expected::Reason { reason }, Err(rejection)) => {
                    assert_eq!(rejection.code(), reason, "{name}");
                }
                (Expected::Off { .. }, Err(_)) | (Expected::Reason { .. }, Ok(_)) => {
                    panic!("{name}: {actual}")
                }
            }
        }

        for (shipping, totals) in [(false, &evaluation.lines), (true, &evaluation.shipping)] {
            for total in totals {
                let expected = by_line
                    .get(&(shipping, total.line.as_str()))
                    .copied()
                    .unwrap_or_default();
                assert_eq!(total.discount, expected, "{name}: line {}", total.line);
                assert_eq!(
                    total.remaining.checked_add(total.discount),
                    Some(total.amount),
                    "{name}: {}",
                    total.line
                );
            }
        }
    }
}

/// The files of cases.
const FILES: [&str; 5] = [
    include_str!("discounts/amounts.json"),
    include_str!("discounts/bundles.json"),
    include_str!("discounts/conditions.json"),
    include_str!("discounts/shipping.json"),
    include_str!("discounts/stacking.json"),
];

fn cases() -> Vec<Case> {
    let read = |file| serde_json::from_str::<Vec<Case>>(file).unwrap();
    FILES.into_iter().flat_map(read).collect()
}

#[test]
fn worked_cases() {
    for case in cases() {
        case.check();
    }
}

#[test]
fn cases_are_many_and_name_their_sources() {
    let (cases, mut names) = (cases(), BTreeSet::new());
    assert!(cases.len() >= 150, "{}", cases.len());

    for case in &cases {
        assert!(names.insert(&case.name), "duplicate case {}", case.name);
        assert!(case.source.contains(": "), "{} does not name a product and a topic", case.name);
        match case.verdict.as_str() {
            "agree" => {}
            "intentional difference" => {
                assert!(!case.why.is_empty(), "{} does not say why", case.name);
            }
            other => panic!("{}: {other}", case.name),
        }
    }

    assert!(cases.iter().any(|case| case.verdict != "agree"));
}

/// A rule and its faults, in order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvalidRule {
    name: String,
    #[serde(default = "default_digits")]
    digits: u32,
    parts: PriceRuleParts,
    #[serde(default)]
    emails: Vec<String>,
    faults: Vec<(String, String)>,
}

#[test]
fn invalid_rules_are_rejected_with_all_faults() {
    let rules: Vec<InvalidRule> =
        serde_json::from_str(include_str!("discounts/faults/rules.json")).unwrap();
    for InvalidRule { name, digits, parts, emails, faults } in rules {
        let emails = emails.iter().map(|email| Email::new(email).unwrap()).collect();
        let rule = PriceRule::new(PriceRuleParts { prerequisite_emails: emails, ..parts }, digits);
        let actual: Vec<_> = rule
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|fault| (fault.pointer, fault.code.to_owned()))
            .collect();
        assert_eq!(actual, faults, "{name}");
    }
}

#[test]
fn cases_cover_every_field_and_every_reason() {
    let cases = FILES
        .map(|file| serde_json::from_str::<Vec<serde_json::Value>>(file).unwrap())
        .concat();
    let rules = cases
        .iter()
        .flat_map(|case| case["rules"].as_object().unwrap().values());
    let fields: BTreeSet<_> = rules
        .clone()
        .flat_map(|rule| {
            [rule, &rule["parts"], &rule["parts"]["entitled"], &rule["parts"]["excluded"]]
        })
        .filter_map(serde_json::Value::as_object)
        .flat_map(serde_json::Map::keys)
        .map(String::as_str)
        .collect();

    // The error about an unknown field lists the fields that the reader knows.
    let known = serde_json::from_str::<PriceRuleParts>(r#"{"?": 1}"#)
        .unwrap_err()
        .to_string();
    let known: Vec<_> = known
        .split('`')
        .skip(3)
        .step_by(2)
        .filter(|name| *name != "title")
        .collect();
    assert!(known.len() > 20, "{known:?}");

    for field in known
        .into_iter()
        .chain(["emails", "products", "variants", "collections"])
    {
        assert!(fields.contains(field), "no case has {field}: {fields:?}");
    }

    let reasons: BTreeSet<_> = cases
        .iter()
        .flat_map(|case| case["want"].as_array().unwrap())
        .filter_map(|want| want["reason"].as_str())
        .collect();
    let all = [
        "already_used_by_customer",
        "country_not_entitled",
        "customer_not_eligible",
        "customer_required",
        "disabled",
        "duplicate_code",
        "expired",
        "individual_use",
        "minimum_quantity_not_met",
        "minimum_subtotal_not_met",
        "no_entitled_lines",
        "no_shipping_lines",
        "not_combined",
        "not_yet_valid",
        "prerequisites_not_met",
        "same_rule",
        "shipping_price_above_maximum",
        "unknown_code",
        "used_up",
    ];
    assert_eq!(reasons, BTreeSet::from(all));
}
