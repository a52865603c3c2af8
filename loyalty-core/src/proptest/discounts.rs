//! A shop's rules and codes in memory, and the invariants of carts and claims.

use std::collections::{BTreeMap, BTreeSet};

use ::proptest::prelude::*;
use ::proptest::test_runner::TestCaseResult;

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::discount::{
    Cart, CartError, CheckoutClaim, CodeCommand, CodeContext, CodeState, CodeUsage, Customer,
    DiscountClass, DiscountEvent, DiscountRejection, Evaluation, OrderClaim, PriceRule, RuleState,
    Stacking, decide_code, decide_rule_save, evaluate,
};
use crate::id::{AccountId, CheckoutId, CodeId, OrderId, PriceRuleId};

/// A shop's price rules and codes with their journal, in memory.
///
/// # Example: a code is used once
/// ```
/// use loyalty_core::{CodeId, OrderId, discount::*, proptest::DiscountLedger};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts {
///     title: "Once".into(), value: "-5".parse()?, usage_limit: Some(1), ..PriceRuleParts::new(now)
/// };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let mut ledger = DiscountLedger::new([rule]);
/// let record = |order| CodeCommand::RecordUse { order, checkout: None, placed_at: None };
/// let anyone = Customer::default();
/// assert!(ledger.execute(CodeId(1), &anyone, &record(OrderId::new("1001")?), now)?.is_some());
/// assert!(ledger.execute(CodeId(1), &anyone, &record(OrderId::new("1002")?), now).is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct DiscountLedger {
    /// The state of each rule.
    pub rules: BTreeMap<PriceRuleId, RuleState>,
    /// The state of each code.
    pub codes: BTreeMap<CodeId, CodeState>,
    /// The usage of each code by each account.
    pub customer_usage: BTreeMap<(CodeId, AccountId), CodeUsage>,
    /// The claims of checkouts, by code.
    pub checkouts: BTreeMap<(CodeId, CheckoutId), CheckoutClaim>,
    /// The claims of orders, by code.
    pub orders: BTreeMap<(CodeId, OrderId), OrderClaim>,
    /// All events, in order.
    pub journal: Vec<DiscountEvent>,
}

impl DiscountLedger {
    /// Creates a shop with these rules, numbered from 1, each with a code `code1`, `code2`, …
    pub fn new(rules: impl IntoIterator<Item = PriceRule>) -> Self {
        let mut ledger = Self::default();
        for (number, rule) in (1..).zip(rules) {
            let id = PriceRuleId(number);
            if let Ok(Some(saved)) = decide_rule_save(&RuleState::default(), id, &rule) {
                ledger.apply(saved);
            }
            if let Ok(text) = Code::new(&format!("code{number}")) {
                ledger.apply(DiscountEvent::CodeAdded { code: CodeId(number), rule: id, text });
            }
        }
        ledger
    }

    /// Folds an event and appends it to the journal.
    pub fn apply(&mut self, event: DiscountEvent) {
        if let Some(rule) = event.rule() {
            self.rules.entry(rule).or_default().evolve(&event);
        }

        if let Some(code) = event.code() {
            self.codes.entry(code).or_default().evolve(&event);
            for account in event.accounts() {
                self.customer_usage
                    .entry((code, account))
                    .or_default()
                    .evolve(account, &event);
            }
            if let Some(checkout) = event.checkout() {
                self.checkouts
                    .entry((code, checkout.clone()))
                    .or_default()
                    .evolve(&event);
            }
            if let Some(order) = event.order() {
                self.orders.entry((code, order.clone())).or_default().evolve(&event);
            }
        }

        self.journal.push(event);
    }

    /// Returns the state of a code for one customer and one checkout; `None` if it does not exist.
    pub fn code_context(
        &self,
        id: CodeId,
        account: Option<AccountId>,
        checkout: Option<&CheckoutId>,
    ) -> Option<CodeContext<'_>> {
        let state = self.codes.get(&id)?;
        let rule = state.rule().and_then(|rule| self.rules.get(&rule));
        Some(CodeContext {
            id,
            state,
            rule: rule.and_then(RuleState::rule).map(AsRef::as_ref),
            customer_usage: account.and_then(|account| self.customer_usage.get(&(id, account))),
            checkout_claim: checkout
                .and_then(|checkout| self.checkouts.get(&(id, checkout.clone()))),
        })
    }

    /// Decides a command about a code and applies its event. A rejected one changes nothing.
    ///
    /// # Errors
    /// The [`DiscountRejection`] of the rules.
    pub fn execute(
        &mut self,
        code: CodeId,
        customer: &Customer,
        command: &CodeCommand,
        now: Timestamp,
    ) -> Result<Option<DiscountEvent>, DiscountRejection> {
        let empty = CodeState::default();
        let unknown = CodeContext {
            id: code,
            state: &empty,
            rule: None,
            customer_usage: None,
            checkout_claim: None,
        };
        let (checkout, order) = match command {
            CodeCommand::Release { checkout } | CodeCommand::Reserve { checkout, .. } => {
                (Some(checkout), None)
            }
            CodeCommand::ReturnUse { order } => (None, Some(order)),
            CodeCommand::RecordUse { order, checkout, .. } => (checkout.as_ref(), Some(order)),
            CodeCommand::Add { .. }
            | CodeCommand::Remove
            | CodeCommand::Rename { .. }
            | CodeCommand::Switch { .. } => (None, None),
        };

        let context = self.code_context(code, customer.account, checkout).unwrap_or(unknown);
        let order = order.and_then(|order| self.orders.get(&(code, order.clone())));
        let event = decide_code(&context, order, customer, command, now)?;
        if let Some(event) = &event {
            self.apply(event.clone());
        }
        Ok(event)
    }

    /// Evaluates a cart in a currency with two decimals.
    ///
    /// # Errors
    /// The [`CartError`] of an invalid cart.
    pub fn evaluate(&self, cart: &Cart, stacking: Stacking) -> Result<Evaluation, CartError> {
        let by_text: BTreeMap<_, _> = self
            .codes
            .iter()
            .filter_map(|(id, state)| Some((state.code()?, *id)))
            .collect();
        evaluate(cart, 2, stacking, |code| {
            self.code_context(*by_text.get(code)?, cart.customer.account, None)
        })
    }
}

/// Checks that the shares of an allocation add up to the total and do not exceed their weights.
///
/// Each share is within one unit of its exact value. The largest remainders are rounded up; of
/// equal ones the earlier.
pub fn check_fair_allocation(total: u64, weights: &[u64], shares: &[u64]) -> TestCaseResult {
    prop_assert_eq!(shares.len(), weights.len());
    let weight_sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let sum: u128 = shares.iter().map(|share| u128::from(*share)).sum();
    prop_assert_eq!(sum, u128::from(total), "{:?} of {:?}", shares, weights);

    let mut rounded_up = None;
    let mut rounded_down = None;
    for (index, (weight, share)) in weights.iter().zip(shares).enumerate() {
        prop_assert!(share <= weight, "{} of {}", share, weight);
        let exact = u128::from(total).saturating_mul(u128::from(*weight));
        let (floor, remainder) = (
            exact.checked_div(weight_sum).unwrap_or(0),
            exact.checked_rem(weight_sum).unwrap_or(0),
        );
        let extra = u128::from(*share).checked_sub(floor);
        prop_assert!(matches!(extra, Some(0 | 1)), "{:?} of {:?}", shares, weights);

        // The smallest remainder that was rounded up must exceed the largest rounded down.
        let claim = (remainder, std::cmp::Reverse(index));
        if extra == Some(1) {
            rounded_up = Some(rounded_up.map_or(claim, |least: (u128, _)| least.min(claim)));
        } else {
            rounded_down = Some(rounded_down.map_or(claim, |most: (u128, _)| most.max(claim)));
        }
    }
    if let (Some(rounded_up), Some(rounded_down)) = (rounded_up, rounded_down) {
        prop_assert!(rounded_up > rounded_down, "{:?} of {:?}", shares, weights);
    }
    Ok(())
}

/// Checks that the shares of each code add up to its discount, and the shares of all codes to the
/// discount of each line. No line falls below zero.
pub fn check_exact_discounts(cart: &Cart, evaluation: &Evaluation) -> TestCaseResult {
    prop_assert_eq!(evaluation.codes.len(), cart.codes.len());
    let mut by_line: BTreeMap<(bool, &str), Amount> = BTreeMap::new();
    for code in &evaluation.codes {
        let Ok(applied) = &code.outcome else { continue };
        let mut sum = Amount::ZERO;
        let mut visited = BTreeSet::new();
        for share in &applied.shares {
            prop_assert!(!share.amount.is_zero() && visited.insert(&share.line), "{}", code);
            sum = sum.checked_add(share.amount).unwrap_or(Amount::MAX);
            let line = by_line
                .entry((applied.class == DiscountClass::Shipping, share.line.as_str()))
                .or_default();
            *line = line.checked_add(share.amount).unwrap_or(Amount::MAX);
        }
        prop_assert_eq!(sum, applied.discount, "{}", code);
        prop_assert!(applied.discount <= applied.basis, "{}", code);
    }

    let mut total_discount = Amount::ZERO;
    for (shipping, totals) in [(false, &evaluation.lines), (true, &evaluation.shipping)] {
        for total in totals {
            let shares = by_line.remove(&(shipping, total.line.as_str())).unwrap_or_default();
            prop_assert_eq!(shares, total.discount, "line {}", total.line);
            prop_assert_eq!(
                total.amount.checked_sub(total.discount),
                Some(total.remaining),
                "line {}",
                total.line
            );
            total_discount = total_discount.checked_add(total.discount).unwrap_or(Amount::MAX);
        }
    }
    prop_assert!(by_line.is_empty(), "shares of unknown lines: {:?}", by_line);
    prop_assert_eq!(total_discount, evaluation.total_discount());
    Ok(())
}

/// Checks that no code takes off more than the `maximum_discount` of its rule, and that the codes
/// with a `maximum_share` together take off at most the largest such share of the goods.
pub fn check_maxima(
    ledger: &DiscountLedger,
    cart: &Cart,
    evaluation: &Evaluation,
) -> TestCaseResult {
    let total = |amounts: &mut dyn Iterator<Item = Amount>| {
        amounts.fold(0_i128, |sum, amount| sum.saturating_add(amount.ten_thousandths().into()))
    };
    let lines = cart.lines.iter().zip(&evaluation.lines);
    let goods = total(&mut lines.filter(|(line, _)| !line.gift_card).map(|(_, line)| line.amount));

    let (mut largest, mut discounts) = (0, Vec::new());
    for (_, applied) in evaluation.used_codes() {
        let rule = ledger.rules.get(&applied.rule).and_then(RuleState::rule);
        let Some(parts) = rule.map(|rule| rule.parts()) else { continue };
        let maximum = parts.maximum_discount.unwrap_or(Amount::MAX);
        prop_assert!(applied.discount <= maximum, "{}", applied);
        if let Some(share) = parts.maximum_share {
            largest = i128::from(share.millionths()).max(largest);
            discounts.push(applied.discount);
        }
    }

    let taken = total(&mut discounts.into_iter()).saturating_mul(100_000_000);
    prop_assert!(taken <= goods.saturating_mul(largest), "{:?}", evaluation);
    Ok(())
}

/// Checks that of two equal lines the earlier one is discounted at least as much as the later
/// one, if there is one code.
pub fn check_equal_lines(cart: &Cart, evaluation: &Evaluation) -> TestCaseResult {
    let are_equal = |index: usize, other: usize| {
        let (Some(a), Some(b)) = (cart.lines.get(index), cart.lines.get(other)) else {
            return false;
        };
        let content = |line: &crate::discount::CartLine| {
            let crate::discount::CartLine {
                id: _,
                product,
                variant,
                categories,
                quantity,
                price,
                gift_card,
            } = line.clone();
            (product, variant, categories, quantity, price, gift_card)
        };
        content(a) == content(b)
    };

    for (index, line) in evaluation.lines.iter().enumerate() {
        for (later, other) in evaluation.lines.iter().enumerate().skip(index.saturating_add(1)) {
            let fair = !are_equal(index, later) || line.discount >= other.discount;
            prop_assert!(fair, "{} is discounted more than {}", other.line, line.line);
        }
    }
    Ok(())
}

/// Checks that a repeated evaluation has the same result, and that codes that do not apply do
/// not affect it.
pub fn check_rejected_codes(
    ledger: &DiscountLedger,
    cart: &Cart,
    stacking: Stacking,
) -> TestCaseResult {
    let evaluation = ledger.evaluate(cart, stacking);
    prop_assert_eq!(&ledger.evaluate(cart, stacking), &evaluation);
    let Ok(evaluation) = evaluation else { return Ok(()) };
    let applied: Vec<_> = evaluation
        .codes
        .iter()
        .filter(|code| code.outcome.is_ok())
        .cloned()
        .collect();

    let fewer = Cart {
        codes: applied.iter().map(|code| code.code.clone()).collect(),
        ..cart.clone()
    };
    let without_rejected = ledger.evaluate(&fewer, stacking);
    prop_assert_eq!(without_rejected, Ok(Evaluation { codes: applied, ..evaluation }));
    Ok(())
}

/// Checks that the usage of each code and account counts its orders and active checkouts.
///
/// No limit is exceeded, and all records are folds of the journal.
pub fn check_claims(ledger: &DiscountLedger, now: Timestamp) -> TestCaseResult {
    let mut replayed = DiscountLedger::default();
    for event in &ledger.journal {
        replayed.apply(event.clone());
    }
    prop_assert_eq!(&replayed.codes, &ledger.codes);
    prop_assert_eq!(&replayed.customer_usage, &ledger.customer_usage);
    prop_assert_eq!((&replayed.checkouts, &replayed.orders), (&ledger.checkouts, &ledger.orders));

    for (id, state) in &ledger.codes {
        let mut used: BTreeMap<Option<AccountId>, u64> = BTreeMap::new();
        let mut reserved: BTreeMap<Option<AccountId>, u64> = BTreeMap::new();
        for (_, claim) in ledger.orders.iter().filter(|((code, _), _)| code == id) {
            if let OrderClaim::Used(account) = claim {
                let count = used.entry(*account).or_default();
                *count = count.saturating_add(1);
            }
        }
        for (_, claim) in ledger.checkouts.iter().filter(|((code, _), _)| code == id) {
            if let Some(reservation) = claim.reservation_at(now) {
                let count = reserved.entry(reservation.account).or_default();
                *count = count.saturating_add(1);
            }
        }

        let usage = state.usage();
        prop_assert_eq!(
            (usage.used(), usage.reserved(now)),
            (used.values().sum(), reserved.values().sum())
        );
        for ((_, account), usage) in
            ledger.customer_usage.iter().filter(|((code, _), _)| code == id)
        {
            let count_of =
                |counts: &BTreeMap<_, u64>| counts.get(&Some(*account)).copied().unwrap_or(0);
            prop_assert_eq!(
                (usage.used(), usage.reserved(now)),
                (count_of(&used), count_of(&reserved)),
                "{}",
                account
            );
        }

        let rule = state.rule().and_then(|rule| ledger.rules.get(&rule)?.rule());
        let Some(parts) = rule.map(|rule| rule.parts()) else { continue };
        prop_assert!(
            parts.usage_limit.is_none_or(|limit| usage.total(now) <= limit),
            "{:?}",
            usage
        );
        if parts.once_per_customer {
            let mut accounts = ledger.customer_usage.iter().filter(|((code, _), _)| code == id);
            prop_assert!(accounts.all(|(_, usage)| usage.total(now) <= 1));
        }
    }
    Ok(())
}
