//! Looking rules and codes up, for a decision and for a read alike.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use loyalty_core::discount::{
    Cart, CartError, CheckoutClaim, Code, CodeContext, CodeState, CodeUsage, Evaluation, PriceRule,
    Reservation, Stacking, evaluate,
};
use loyalty_core::{
    AccountId, CheckoutId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, SegmentId,
    ShopId, Timestamp,
};

use super::{CartQuery, CheckoutView, CodeView, PriceRuleView, code_state, rule_state};
use crate::catalogue::SavedSearch;
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::projections::{CheckoutCodes, OrderCodes, Projection, ProjectionKey, ProjectionState};
use crate::query::CustomerView;
use crate::record::CustomerRecord;
use crate::search::SearchQuery;
use crate::shop::Shop;

/// What is looked up of price rules and discount codes.
pub(crate) trait DiscountView {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure>;
    /// The code that was last made of this [`BodyErrorCode::key`], and not removed.
    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure>;
    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure>;
    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;
    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure>;
}

/// The saved searches of a rule that find a customer now.
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

/// A rule that is there.
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

/// A code that is there: neither it nor its rule is gone.
pub(crate) fn find_code(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: CodeId,
) -> Result<Option<CodeView>, Failure> {
    let Some(record) = view.projection(shop, &ProjectionKey::Code(id))? else {
        return Ok(None);
    };
    let Some(code) = CodeView::new(id, &record) else { return Ok(None) };
    let rule = view.projection(shop, &ProjectionKey::Rule(code.rule))?;
    let there = rule
        .as_deref()
        .and_then(rule_state)
        .is_some_and(|state| state.rule().is_some());
    Ok(Some(code).filter(|_| there))
}

/// A code that is there, by its text.
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

/// An account and all that became part of it: uses of theirs are its own.
pub(crate) fn collect_merged_accounts(
    view: &mut impl DiscountView,
    shop: ShopId,
    accounts: impl IntoIterator<Item = AccountId>,
) -> Result<Vec<AccountId>, Failure> {
    let mut family: Vec<AccountId> = accounts.into_iter().collect();
    let mut next = 0;
    while let Some(account) = family.get(next).copied() {
        next = next.saturating_add(1);
        let Some(record) = view.projection(shop, &ProjectionKey::MergedAccounts(account))? else {
            continue;
        };
        if let ProjectionState::MergedAccounts(absorbed) = &record.state {
            let new = absorbed.iter().filter(|account| !family.contains(account));
            let new: Vec<_> = new.copied().collect();
            family.extend(new);
        }
    }
    Ok(family)
}

/// By which numbers a customer can be named who has, or had, no id of the shop's.
pub(crate) fn numeric_customer_ids(family: &[AccountId]) -> BTreeSet<CustomerId> {
    let numbers = family.iter().map(|account| NumericId::from_id(None, account.0));
    numbers
        .filter_map(|number| CustomerId::new(number.to_string()).ok())
        .collect()
}

/// What a checkout holds.
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

/// What a checkout holds at `now`, to be shown.
pub(crate) fn load_checkout(
    view: &mut impl DiscountView,
    shop: ShopId,
    id: &CheckoutId,
    now: Timestamp,
) -> Result<CheckoutView, Failure> {
    let mut held = Vec::new();
    for (of, until) in load_checkout_codes(view, shop, id)?.reservations(now) {
        held.extend(find_code(view, shop, of)?.map(|code| (code, until)));
    }
    Ok(CheckoutView { id: id.clone(), reservations: held })
}

/// Which codes an order has used.
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

/// The codes that an order has used, to be shown.
pub(crate) fn list_codes_used_by_order(
    view: &mut impl DiscountView,
    shop: ShopId,
    order: &OrderId,
) -> Result<Vec<CodeView>, Failure> {
    let used = load_order_codes(view, shop, order)?;
    let codes: Result<Vec<_>, _> = used.codes().map(|id| find_code(view, shop, id)).collect();
    Ok(codes?.into_iter().flatten().collect())
}

/// All that is known of one code, for one customer and one checkout.
#[derive(Clone, Debug)]
pub(crate) struct CodeLookup {
    pub(crate) id: CodeId,
    record: Arc<Projection>,
    rule: Option<Arc<PriceRule>>,
    used_by_customer: Option<CodeUsage>,
    checkout: Option<CheckoutClaim>,
}

impl CodeLookup {
    /// Looks all of it up. The tallies of the customer's accounts count together.
    pub(crate) fn load(
        view: &mut impl DiscountView,
        shop: ShopId,
        id: CodeId,
        family: &[AccountId],
        checkout: Option<&CheckoutCodes>,
    ) -> Result<Option<Self>, Failure> {
        let Some(record) = view.projection(shop, &ProjectionKey::Code(id))? else {
            return Ok(None);
        };
        let Some(of_rule) = code_state(&record).and_then(CodeState::rule) else {
            return Ok(None);
        };
        let rule = find_rule(view, shop, of_rule)?.map(|view| view.rule);
        let mut used_by_customer: Option<CodeUsage> = None;
        if rule.as_ref().is_some_and(|rule| rule.parts().once_per_customer) {
            for account in family {
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

    /// What the rules look at.
    pub(crate) fn facts(&self) -> Option<CodeContext<'_>> {
        Some(CodeContext {
            id: self.id,
            state: code_state(&self.record)?,
            rule: self.rule.as_deref(),
            customer_usage: self.used_by_customer.as_ref(),
            checkout_claim: self.checkout.as_ref(),
        })
    }

    /// The customer's account as the checkout's reservation knows it: they may have been a guest then.
    pub(crate) fn reservation_account(
        &self,
        family: &[AccountId],
        now: Timestamp,
    ) -> Option<AccountId> {
        let held = self.checkout.as_ref().and_then(|claim| claim.reservation_at(now));
        held.and_then(|held| held.account)
            .filter(|account| family.contains(account))
    }

    /// The same with the reservation under the customer's present account.
    fn with_reservation_account(
        mut self,
        account: Option<AccountId>,
        family: &[AccountId],
        now: Timestamp,
    ) -> Self {
        if self.reservation_account(family, now).is_some()
            && let Some(CheckoutClaim::Reserved(Reservation { until, .. })) = self.checkout
        {
            self.checkout = Some(CheckoutClaim::Reserved(Reservation { account, until }));
        }
        self
    }
}

/// A cart with all that a store knows about it, seen at one time.
#[derive(Clone, Debug)]
pub struct CartFacts {
    cart: Cart,
    minor_digits: u32,
    stacking: Stacking,
    codes: HashMap<Code, CodeLookup>,
}

/// Whether a customer whom a cart's id or e-mail led to is its customer: an e-mail alone leads to whoever has
/// it, beside an id only to a guest.
pub(crate) fn is_cart_customer(
    record: &CustomerRecord,
    named_by_id: bool,
    by_id: Option<AccountId>,
) -> bool {
    by_id == Some(record.account) || record.id.is_none() || !named_by_id
}

/// Stands for somebody who is named, but not known yet: no account has this number.
const UNKNOWN_CUSTOMER: AccountId = AccountId(0);

impl CartFacts {
    /// Looks up what a cart needs. `customers` are all that its customer is known as.
    pub(crate) fn load(
        view: &mut impl DiscountView,
        (of, program): (&Shop, &Program),
        query: CartQuery,
        customers: &[Arc<CustomerRecord>],
    ) -> Result<Self, Failure> {
        let CartQuery { mut cart, checkout } = query;
        let shop = of.id;
        let buyer = &mut cart.customer;
        let named = buyer.id.is_some() || buyer.email.is_some();
        buyer.account = named.then_some(UNKNOWN_CUSTOMER);
        if let Some(known) = customers.first() {
            buyer.account = Some(known.account);
            buyer.id = buyer.id.take().or_else(|| known.id.clone());
            buyer.email = buyer.email.take().or_else(|| known.email.clone());
        }
        let family =
            collect_merged_accounts(view, shop, customers.iter().map(|customer| customer.account))?;
        cart.customer.aliases = numeric_customer_ids(&family);
        let claims = checkout
            .map(|checkout| load_checkout_codes(view, shop, &checkout))
            .transpose()?;
        let mut codes = HashMap::new();
        for text in cart.codes.iter().take(Cart::MAX_CODES) {
            let Some(id) = view.code_by_key(shop, text.key())? else { continue };
            let gathered = CodeLookup::load(view, shop, id, &family, claims.as_ref())?;
            if let Some(gathered) = gathered {
                let who = (cart.customer.account, cart.at);
                cart.customer.segments.extend(matching_saved_searches(
                    view,
                    of,
                    gathered.rule(),
                    who,
                )?);
                codes.insert(
                    text.clone(),
                    gathered.with_reservation_account(cart.customer.account, &family, cart.at),
                );
            }
        }
        Ok(Self {
            cart,
            minor_digits: of.minor_digits(),
            stacking: program.definition().stacking,
            codes,
        })
    }

    /// What each code takes off each line, or why it does not apply.
    pub fn evaluate(&self) -> Result<Evaluation, CartError> {
        let find = |code: &Code| self.codes.get(code).and_then(CodeLookup::facts);
        evaluate(&self.cart, self.minor_digits, self.stacking, find)
    }
}
