//! Lookups of rules and codes, shared by decisions and reads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use loyalty_core::discount::{
    Cart, CartError, CheckoutClaim, Code, CodeContext, CodeState, CodeUsage, Evaluation, PriceRule,
    Reservation, Stacking, evaluate_with_automatic,
};
use loyalty_core::{
    AccountId, CheckoutId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, SegmentId,
    ShopId, Timestamp,
};

use super::{CartQuery, CheckoutView, CodeView, PriceRuleView, code_state, rule_state};
use crate::catalogue::SavedSearch;
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::projections::{
    CheckoutCodes, MergedAccount, OrderCodes, Projection, ProjectionKey, ProjectionState,
};
use crate::query::CustomerView;
use crate::record::CustomerRecord;
use crate::search::SearchQuery;
use crate::shop::Shop;

/// Reads that decisions about price rules and discount codes need.
pub(crate) trait DiscountView {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure>;
    /// Returns the last code created with this key ([`Code::key`]) and not deleted.
    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure>;
    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure>;
    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;
    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure>;
}

/// Returns the saved searches of a rule that match a customer at an instant.
pub(crate) fn matching_saved_searches(
    view: &mut impl DiscountView,
    shop: &Shop,
    rule: Option<&PriceRule>,
    (account, now): (Option<AccountId>, Timestamp),
) -> Result<Vec<SegmentId>, Failure> {
    let searches = rule.map(|rule| &rule.parts().prerequisite_saved_search_ids);
    let (Some(searches), Some(account)) =
        (searches.filter(|searches| !searches.is_empty()), account)
    else {
        return Ok(Vec::new());
    };
    let Some(customer) = view.customer_view(account)? else {
        return Ok(Vec::new());
    };

    let mut found = Vec::new();
    for id in searches {
        // A rule may still refer to a search that was deleted.
        let Some(number) = id.as_str().parse().ok().and_then(NumericId::new) else {
            continue;
        };
        let Some(search) = view.find_saved_search(shop.id, number)? else {
            continue;
        };

        let query = SearchQuery::parse(&search.query, now, shop.zone);
        found.extend(query.is_ok_and(|query| query.matches(&customer)).then(|| id.clone()));
    }

    Ok(found)
}

/// Returns a rule with its e-mails, if it exists.
pub(crate) fn find_rule(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: PriceRuleId,
) -> Result<Option<PriceRuleView>, Failure> {
    let Some(record) = view.projection(shop, &ProjectionKey::Rule(id))? else {
        return Ok(None);
    };
    let Some(state) = rule_state(&record) else { return Ok(None) };
    let Some(rule) = state.rule() else { return Ok(None) };

    // E-mails are personal data: they are stored apart from the journal and its folds.
    let rule = if rule.has_separate_emails() {
        Arc::new(rule.with_emails(view.rule_emails(shop, id)?.to_vec()))
    } else {
        Arc::clone(rule)
    };

    let Projection { created_at, updated_at, .. } = *record;
    Ok(Some(PriceRuleView {
        id,
        revision: state.revision(),
        rule,
        created_at,
        updated_at,
    }))
}

/// Returns a code, unless it or its rule was deleted.
pub(crate) fn find_code(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: CodeId,
) -> Result<Option<CodeView>, Failure> {
    let Some(record) = view.projection(shop, &ProjectionKey::Code(id))? else {
        return Ok(None);
    };
    let Some(code) = CodeView::new(id, &record) else { return Ok(None) };

    // Deleting a rule does not touch its codes, of which there may be many.
    let rule = view.projection(shop, &ProjectionKey::Rule(code.rule))?;
    let rule_exists = rule
        .as_deref()
        .and_then(rule_state)
        .is_some_and(|state| state.rule().is_some());
    Ok(Some(code).filter(|_| rule_exists))
}

/// Returns a code by its text, unless it or its rule was deleted.
pub(crate) fn find_code_by_text(
    view: &mut impl DiscountView,
    shop: ShopId,
    text: &Code,
) -> Result<Option<CodeView>, Failure> {
    match view.code_by_key(shop, text.key())? {
        Some(id) => Ok(find_code(view, shop, id)?.filter(|code| code.text == *text)),
        None => Ok(None),
    }
}

/// Returns accounts and all accounts merged into them, whose uses of codes count as their
/// own.
pub(crate) fn collect_merged_accounts(
    view: &mut impl DiscountView,
    shop: ShopId,
    accounts: impl IntoIterator<Item = AccountId>,
) -> Result<Vec<AccountId>, Failure> {
    let mut accounts: Vec<AccountId> = accounts.into_iter().collect();
    let mut next = 0;

    // Accounts found are searched in turn: merges can follow each other.
    while let Some(account) = accounts.get(next).copied() {
        next = next.saturating_add(1);
        let Some(record) = view.projection(shop, &ProjectionKey::MergedAccounts(account))? else {
            continue;
        };

        if let ProjectionState::MergedAccounts(absorbed) = &record.state {
            let absorbed = absorbed.iter().map(MergedAccount::account);
            let new: Vec<_> = absorbed.filter(|account| !accounts.contains(account)).collect();
            accounts.extend(new);
        }
    }

    Ok(accounts)
}

/// Returns the numeric ids assigned to accounts, by which rules can refer to customers
/// without an id of the shop.
pub(crate) fn numeric_customer_ids(accounts: &[AccountId]) -> BTreeSet<CustomerId> {
    let numbers = accounts.iter().map(|account| NumericId::from_id(None, account.0));
    numbers
        .filter_map(|number| CustomerId::new(number.to_string()).ok())
        .collect()
}

/// Returns the claims of a checkout on codes.
pub(crate) fn load_checkout_codes(
    view: &mut impl DiscountView,
    shop: ShopId,
    checkout: &CheckoutId,
) -> Result<CheckoutCodes, Failure> {
    let record = view.projection(shop, &ProjectionKey::Checkout(checkout.clone()))?;
    Ok(match record.as_deref() {
        Some(Projection { state: ProjectionState::Checkout(codes), .. }) => codes.clone(),
        _ => CheckoutCodes::default(),
    })
}

/// Returns a checkout with its reservations in force at `now`.
pub(crate) fn load_checkout(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: &CheckoutId,
    now: Timestamp,
) -> Result<CheckoutView, Failure> {
    let (mut reservations, mut rules) = (Vec::new(), Vec::new());
    for (code, until) in load_checkout_codes(view, shop, id)?.reservations(now) {
        if is_of_rule(view, shop, code)? {
            rules.push((PriceRuleId(code.0), until));
        }
        reservations.extend(find_code(view, shop, code)?.map(|code| (code, until)));
    }
    Ok(CheckoutView { id: id.clone(), reservations, rules })
}

/// Returns the claims of an order on codes.
pub(crate) fn load_order_codes(
    view: &mut impl DiscountView,
    shop: ShopId,
    order: &OrderId,
) -> Result<OrderCodes, Failure> {
    let record = view.projection(shop, &ProjectionKey::Order(order.clone()))?;
    Ok(match record.as_deref() {
        Some(Projection { state: ProjectionState::Order(codes), .. }) => codes.clone(),
        _ => OrderCodes::default(),
    })
}

/// Returns the codes that an order has used, unless they were deleted.
pub(crate) fn list_codes_used_by_order(
    view: &mut impl DiscountView,
    shop: ShopId,
    order: &OrderId,
) -> Result<Vec<CodeView>, Failure> {
    let used = load_order_codes(view, shop, order)?;
    let codes: Result<Vec<_>, _> = used.codes().map(|id| find_code(view, shop, id)).collect();
    Ok(codes?.into_iter().flatten().collect())
}

/// Returns the ids of the shop's automatic rules, in ascending order.
pub(crate) fn load_automatic_rules(
    view: &mut impl DiscountView,
    shop: ShopId,
) -> Result<Vec<PriceRuleId>, Failure> {
    let record = view.projection(shop, &ProjectionKey::AutomaticRules)?;
    Ok(match record.as_deref() {
        Some(Projection { state: ProjectionState::AutomaticRules(rules), .. }) => {
            rules.iter().copied().collect()
        }
        _ => Vec::new(),
    })
}

/// Returns the automatic rules that an order lists and has used.
pub(crate) fn list_rules_used_by_order(
    view: &mut impl DiscountView,
    shop: ShopId,
    order: &OrderId,
) -> Result<Vec<PriceRuleId>, Failure> {
    let used = load_order_codes(view, shop, order)?;
    let mut rules = Vec::new();
    for id in used.codes() {
        rules.extend(is_of_rule(view, shop, id)?.then_some(PriceRuleId(id.0)));
    }
    Ok(rules)
}

/// Returns true if uses are those of a rule by itself, which have no code.
pub(crate) fn is_of_rule(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: CodeId,
) -> Result<bool, Failure> {
    let record = view.projection(shop, &ProjectionKey::Code(id))?;
    let of_code = record.as_deref().and_then(code_state).and_then(CodeState::rule);
    Ok(of_code.is_none())
}

/// A code with everything that decides its use by a customer and a checkout.
#[derive(Clone, Debug)]
pub(crate) struct CodeLookup {
    pub(crate) id: CodeId,
    record: Arc<Projection>,
    rule: Option<Arc<PriceRule>>,
    used_by_customer: Option<CodeUsage>,
    checkout: Option<CheckoutClaim>,
}

impl CodeLookup {
    /// Loads a code, or the uses of an automatic rule, which are counted under the rule's
    /// number. Returns `None` if there is neither. The uses of all `accounts` of the customer
    /// are added up.
    pub(crate) fn load(
        view: &mut impl DiscountView,
        shop: ShopId,
        id: CodeId,
        accounts: &[AccountId],
        checkout: Option<&CheckoutCodes>,
    ) -> Result<Option<Self>, Failure> {
        let key = ProjectionKey::Code(id);
        let record = view.projection(shop, &key)?;
        let of_code = record.as_deref().and_then(code_state).and_then(CodeState::rule);
        let rule = find_rule(view, shop, of_code.unwrap_or(PriceRuleId(id.0)))?;
        let rule = rule.map(|view| view.rule);

        // Before its first use, an automatic rule has no record.
        let is_automatic = rule.as_ref().is_some_and(|rule| rule.is_automatic());
        let record = match record {
            Some(record) => record,
            None if is_automatic => Arc::new(Projection::new(&key)),
            None => return Ok(None),
        };

        // Other rules do not limit uses per customer, so that their tallies need no
        // reads.
        let mut used_by_customer: Option<CodeUsage> = None;
        if rule.as_ref().is_some_and(|rule| rule.parts().once_per_customer) {
            for account in accounts {
                let record = view.projection(shop, &ProjectionKey::Tally(id, *account))?;
                if let Some(Projection { state: ProjectionState::Tally(tally), .. }) =
                    record.as_deref()
                {
                    used_by_customer = Some(used_by_customer.unwrap_or_default().merge(tally));
                }
            }
        }

        let checkout = checkout.and_then(|codes| codes.claim(id)).cloned();
        Ok(Some(Self { id, record, rule, used_by_customer, checkout }))
    }

    pub(crate) fn rule(&self) -> Option<&PriceRule> {
        self.rule.as_deref()
    }

    /// Returns true if the uses are those of an automatic rule, not of a code.
    pub(crate) fn is_of_automatic_rule(&self) -> bool {
        let has_code = code_state(&self.record).is_some_and(|state| state.rule().is_some());
        !has_code && self.rule().is_some_and(PriceRule::is_automatic)
    }

    /// Returns the input of the rules, or `None` if the projection is not of a code.
    pub(crate) fn facts(&self) -> Option<CodeContext<'_>> {
        Some(CodeContext {
            id: self.id,
            state: code_state(&self.record)?,
            rule: self.rule.as_deref(),
            customer_usage: self.used_by_customer.as_ref(),
            checkout_claim: self.checkout.as_ref(),
        })
    }

    /// Returns the account under which the checkout reserved the code, if it is one of
    /// the customer's. A customer may have reserved as a guest.
    pub(crate) fn reservation_account(
        &self,
        accounts: &[AccountId],
        now: Timestamp,
    ) -> Option<AccountId> {
        let reservation = self.checkout.as_ref().and_then(|claim| claim.reservation_at(now));
        reservation
            .and_then(|reservation| reservation.account)
            .filter(|account| accounts.contains(account))
    }

    /// Moves the reservation to the customer's current account.
    fn with_reservation_account(
        mut self,
        account: Option<AccountId>,
        accounts: &[AccountId],
        now: Timestamp,
    ) -> Self {
        if self.reservation_account(accounts, now).is_some()
            && let Some(CheckoutClaim::Reserved(Reservation { until, .. })) = self.checkout
        {
            self.checkout = Some(CheckoutClaim::Reserved(Reservation { account, until }));
        }
        self
    }
}

/// A cart with everything needed to evaluate it, read as of one commit.
#[derive(Clone, Debug)]
pub struct CartFacts {
    cart: Cart,
    minor_digits: u32,
    stacking: Stacking,
    codes: HashMap<Code, CodeLookup>,
    /// The uses of the automatic rules, in the order of their ids.
    automatic: Vec<(PriceRuleId, CodeLookup)>,
}

/// Returns true if a customer found by the id or the e-mail of a cart is the cart's
/// customer. An e-mail alone finds any customer; an e-mail besides an id finds only a
/// guest.
pub(crate) fn is_cart_customer(
    record: &CustomerRecord,
    named_by_id: bool,
    by_id: Option<AccountId>,
) -> bool {
    by_id == Some(record.account) || record.id.is_none() || !named_by_id
}

/// The account of a customer who is referred to, but does not exist yet. No account has
/// this number.
const UNKNOWN_CUSTOMER: AccountId = AccountId(0);

impl CartFacts {
    /// Loads everything needed to evaluate a cart. `customers` are all records of its
    /// customer.
    pub(crate) fn load(
        view: &mut impl DiscountView,
        (of, program): (&Shop, &Program),
        query: CartQuery,
        customers: &[Arc<CustomerRecord>],
    ) -> Result<Self, Failure> {
        let CartQuery { mut cart, checkout } = query;
        let shop = of.id;

        // The id and e-mail of the request take precedence over those of the record.
        let buyer = &mut cart.customer;
        let named = buyer.id.is_some() || buyer.email.is_some();
        buyer.account = named.then_some(UNKNOWN_CUSTOMER);
        if let Some(known) = customers.first() {
            buyer.account = Some(known.account);
            buyer.id = buyer.id.take().or_else(|| known.id.clone());
            buyer.email = buyer.email.take().or_else(|| known.email.clone());
        }

        let accounts =
            collect_merged_accounts(view, shop, customers.iter().map(|customer| customer.account))?;
        cart.customer.aliases = numeric_customer_ids(&accounts);
        let ids = customers.iter().flat_map(|customer| customer.ids());
        cart.customer.aliases.extend(ids.cloned());
        let claims = checkout
            .map(|checkout| load_checkout_codes(view, shop, &checkout))
            .transpose()?;

        let mut codes = HashMap::new();
        for text in cart.codes.iter().take(Cart::MAX_CODES) {
            let Some(id) = view.code_by_key(shop, text.key())? else { continue };
            let Some(code) = CodeLookup::load(view, shop, id, &accounts, claims.as_ref())? else {
                continue;
            };

            // Saved searches act as segments of the customer.
            let account = cart.customer.account;
            let searches = matching_saved_searches(view, of, code.rule(), (account, cart.at))?;
            cart.customer.segments.extend(searches);
            codes.insert(text.clone(), code.with_reservation_account(account, &accounts, cart.at));
        }

        let mut automatic = Vec::new();
        for rule in load_automatic_rules(view, shop)? {
            let uses = CodeLookup::load(view, shop, CodeId(rule.0), &accounts, claims.as_ref())?;
            let Some(uses) = uses.filter(CodeLookup::is_of_automatic_rule) else {
                continue;
            };

            let account = cart.customer.account;
            let searches = matching_saved_searches(view, of, uses.rule(), (account, cart.at))?;
            cart.customer.segments.extend(searches);
            let uses = uses.with_reservation_account(account, &accounts, cart.at);
            automatic.push((rule, uses));
        }

        Ok(Self {
            cart,
            minor_digits: of.minor_digits(),
            stacking: program.definition().stacking,
            codes,
            automatic,
        })
    }

    /// Returns the discount of each code and automatic rule on each line, or the reason why
    /// it does not apply. Fails if the cart itself is invalid.
    pub fn evaluate(&self) -> Result<Evaluation, CartError> {
        let find = |code: &Code| self.codes.get(code).and_then(CodeLookup::facts);
        let automatic: Vec<_> = self
            .automatic
            .iter()
            .filter_map(|(rule, uses)| Some((*rule, uses.facts()?)))
            .collect();
        evaluate_with_automatic(&self.cart, self.minor_digits, self.stacking, find, &automatic)
    }
}
