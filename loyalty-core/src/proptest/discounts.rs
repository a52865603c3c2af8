//! A shop's rules and codes in memory, and what must hold for every cart and every claim.

use std::collections::{BTreeMap, BTreeSet};

use ::proptest::prelude::*;
use ::proptest::test_runner::TestCaseResult;

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::discount::{
    Cart, CartError, CheckoutClaim, Code, CodeCommand, CodeContext, CodeState, CodeUsage, Customer,
    DiscountClass, DiscountEvent, DiscountRejection, Evaluation, OrderClaim, PriceRule, RuleState,
    Stacking, decide_code, decide_rule_save, evaluate,
};
use crate::id::{AccountId, CheckoutId, CodeId, OrderId, PriceRuleId};

/// A shop's price rules and codes with their journal: what a store does, in memory.
#[derive(Clone, Debug, Default)]
pub struct DiscountLedger {
    /// By rule.
    pub rules: BTreeMap<PriceRuleId, RuleState>,
    /// By code.
    pub codes: BTreeMap<CodeId, CodeState>,
    /// By code and account.
    pub customer_usage: BTreeMap<(CodeId, AccountId), CodeUsage>,
    /// By code and checkout.
    pub checkouts: BTreeMap<(CodeId, CheckoutId), CheckoutClaim>,
    /// By code and order.
    pub orders: BTreeMap<(CodeId, OrderId), OrderClaim>,
    /// All that happened.
    pub journal: Vec<DiscountEvent>,
}

impl DiscountLedger {
    /// A shop with these rules, numbered from 1, each with a code `code1`, `code2`, …
    pub fn new(rules: impl IntoIterator<Item = PriceRule>) -> Self {
        let mut books = Self::default();
        for (number, rule) in (1..).zip(rules) {
            let id = PriceRuleId(number);
            if let Ok(Some(saved)) = decide_rule_save(&RuleState::default(), id, &rule) {
                books.apply(saved);
            }
            if let Ok(text) = Code::new(&format!("code{number}")) {
                books.apply(DiscountEvent::CodeAdded { code: CodeId(number), rule: id, text });
            }
        }
        books
    }

    /// Folds an event and keeps it.
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

    /// What is known of a code, for one customer and one checkout.
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

    /// Decides a request about a code and posts what follows. A refused one changes nothing.
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
        let facts = self.code_context(code, customer.account, checkout).unwrap_or(unknown);
        let order = order.and_then(|order| self.orders.get(&(code, order.clone())));
        let event = decide_code(&facts, order, customer, command, now)?;
        if let Some(event) = &event {
            self.apply(event.clone());
        }
        Ok(event)
    }

    /// Evaluates a cart.
    ///
    /// # Errors
    /// The [`CartError`] of a cart that is too large.
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

/// Shares of an allocation add up to the total, stay within their weights, are within one unit of their exact
/// part, and what is left over goes to the largest remainders, the earlier of equals.
pub fn check_fair_allocation(total: u64, weights: &[u64], shares: &[u64]) -> TestCaseResult {
    prop_assert_eq!(shares.len(), weights.len());
    let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let sum: u128 = shares.iter().map(|share| u128::from(*share)).sum();
    prop_assert_eq!(sum, u128::from(total), "{:?} of {:?}", shares, weights);
    let mut lucky = None;
    let mut unlucky = None;
    for (index, (weight, share)) in weights.iter().zip(shares).enumerate() {
        prop_assert!(share <= weight, "{} of {}", share, weight);
        let exact = u128::from(total).saturating_mul(u128::from(*weight));
        let (floor, rest) =
            (exact.checked_div(whole).unwrap_or(0), exact.checked_rem(whole).unwrap_or(0));
        let extra = u128::from(*share).checked_sub(floor);
        prop_assert!(matches!(extra, Some(0 | 1)), "{:?} of {:?}", shares, weights);
        // The last that got one more has the smallest claim, the first that got none the largest.
        let claim = (rest, std::cmp::Reverse(index));
        if extra == Some(1) {
            lucky = Some(lucky.map_or(claim, |least: (u128, _)| least.min(claim)));
        } else {
            unlucky = Some(unlucky.map_or(claim, |most: (u128, _)| most.max(claim)));
        }
    }
    if let (Some(lucky), Some(unlucky)) = (lucky, unlucky) {
        prop_assert!(lucky > unlucky, "{:?} of {:?}", shares, weights);
    }
    Ok(())
}

/// Each code's shares add up to its discount, all codes' shares to each line's, and no line falls below zero.
pub fn check_exact_discounts(cart: &Cart, found: &Evaluation) -> TestCaseResult {
    prop_assert_eq!(found.codes.len(), cart.codes.len());
    let mut by_line: BTreeMap<(bool, &str), Amount> = BTreeMap::new();
    for code in &found.codes {
        let Ok(applied) = &code.outcome else { continue };
        let mut sum = Amount::ZERO;
        let mut seen = BTreeSet::new();
        for share in &applied.shares {
            prop_assert!(!share.amount.is_zero() && seen.insert(&share.line), "{}", code);
            sum = sum.checked_add(share.amount).unwrap_or(Amount::MAX);
            let line = by_line
                .entry((applied.class == DiscountClass::Shipping, share.line.as_str()))
                .or_default();
            *line = line.checked_add(share.amount).unwrap_or(Amount::MAX);
        }
        prop_assert_eq!(sum, applied.discount, "{}", code);
        prop_assert!(applied.discount <= applied.basis, "{}", code);
    }
    let mut whole = Amount::ZERO;
    for (shipping, totals) in [(false, &found.lines), (true, &found.shipping)] {
        for total in totals {
            let taken = by_line.remove(&(shipping, total.line.as_str())).unwrap_or_default();
            prop_assert_eq!(taken, total.discount, "line {}", total.line);
            prop_assert_eq!(
                total.amount.checked_sub(total.discount),
                Some(total.remaining),
                "line {}",
                total.line
            );
            whole = whole.checked_add(total.discount).unwrap_or(Amount::MAX);
        }
    }
    prop_assert!(by_line.is_empty(), "shares of lines that are not there: {:?}", by_line);
    prop_assert_eq!(whole, found.total_discount());
    Ok(())
}

/// With one code, of two equal lines the earlier one is discounted at least as much as the later one.
pub fn check_equal_lines(cart: &Cart, found: &Evaluation) -> TestCaseResult {
    let same = |place: usize, other: usize| {
        let (Some(a), Some(b)) = (cart.lines.get(place), cart.lines.get(other)) else {
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
    for (place, line) in found.lines.iter().enumerate() {
        for (later, other) in found.lines.iter().enumerate().skip(place.saturating_add(1)) {
            let fair = !same(place, later) || line.discount >= other.discount;
            prop_assert!(fair, "{} fared better than {}", other.line, line.line);
        }
    }
    Ok(())
}

/// Without the codes that did not apply, the cart comes out the same; and so it does a second time.
pub fn check_rejected_codes(
    books: &DiscountLedger,
    cart: &Cart,
    stacking: Stacking,
) -> TestCaseResult {
    let found = books.evaluate(cart, stacking);
    prop_assert_eq!(&books.evaluate(cart, stacking), &found);
    let Ok(found) = found else { return Ok(()) };
    let applied: Vec<_> = found
        .codes
        .iter()
        .filter(|code| code.outcome.is_ok())
        .cloned()
        .collect();
    let fewer = Cart {
        codes: applied.iter().map(|code| code.code.clone()).collect(),
        ..cart.clone()
    };
    let again = books.evaluate(&fewer, stacking);
    prop_assert_eq!(again, Ok(Evaluation { codes: applied, ..found }));
    Ok(())
}

/// Each code's tally counts its orders and live checkouts, each account's its own; no limit is exceeded; and all
/// of it is a fold of the journal.
pub fn check_claims(books: &DiscountLedger, now: Timestamp) -> TestCaseResult {
    let mut again = DiscountLedger::default();
    for event in &books.journal {
        again.apply(event.clone());
    }
    prop_assert_eq!(&again.codes, &books.codes);
    prop_assert_eq!(&again.customer_usage, &books.customer_usage);
    prop_assert_eq!((&again.checkouts, &again.orders), (&books.checkouts, &books.orders));
    for (id, state) in &books.codes {
        let mut used: BTreeMap<Option<AccountId>, u64> = BTreeMap::new();
        let mut held: BTreeMap<Option<AccountId>, u64> = BTreeMap::new();
        for (_, claim) in books.orders.iter().filter(|((code, _), _)| code == id) {
            if let OrderClaim::Used(account) = claim {
                let count = used.entry(*account).or_default();
                *count = count.saturating_add(1);
            }
        }
        for (_, claim) in books.checkouts.iter().filter(|((code, _), _)| code == id) {
            if let Some(live) = claim.reservation_at(now) {
                let count = held.entry(live.account).or_default();
                *count = count.saturating_add(1);
            }
        }
        let tally = state.usage();
        prop_assert_eq!(
            (tally.used(), tally.reserved(now)),
            (used.values().sum(), held.values().sum())
        );
        for ((_, account), tally) in books.customer_usage.iter().filter(|((code, _), _)| code == id)
        {
            let of = |counts: &BTreeMap<_, u64>| counts.get(&Some(*account)).copied().unwrap_or(0);
            prop_assert_eq!(
                (tally.used(), tally.reserved(now)),
                (of(&used), of(&held)),
                "{}",
                account
            );
        }
        let rule = state.rule().and_then(|rule| books.rules.get(&rule)?.rule());
        let Some(parts) = rule.map(|rule| rule.parts()) else { continue };
        prop_assert!(
            parts.usage_limit.is_none_or(|limit| tally.total(now) <= limit),
            "{:?}",
            tally
        );
        if parts.once_per_customer {
            let mut accounts = books.customer_usage.iter().filter(|((code, _), _)| code == id);
            prop_assert!(accounts.all(|(_, tally)| tally.total(now) <= 1));
        }
    }
    Ok(())
}
