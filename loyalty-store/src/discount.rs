//! Reads and changes of price rules, discount codes, checkouts and carts.

pub(crate) mod index;
pub(crate) mod lookup;

use std::fmt;
use std::sync::Arc;

use loyalty_core::discount::{
    BatchEntry, Cart, Code, CodeRejection, CodeState, DiscountEvent, PriceRule, PriceRuleParts,
    RuleState,
};
use loyalty_core::{CheckoutId, CodeId, Event, OrderId, PriceRuleId, SegmentId, ShopId, Timestamp};

use crate::customer_ref::CustomerRef;
use crate::error::Failure;
use crate::projections::{Projection, ProjectionState};
use crate::query::Page;
use crate::record::{JournalRow, Seq};
use lookup::CartFacts;

/// Reads of price rules, discount codes and carts.
pub trait Discounts {
    /// Returns a price rule with its e-mails.
    fn price_rule(&self, shop: ShopId, id: PriceRuleId) -> Result<Option<PriceRuleView>, Failure>;

    /// Returns up to `limit` price rules in the order of their creation, starting behind
    /// `after`.
    fn price_rules(
        &self,
        shop: ShopId,
        after: Option<PriceRuleId>,
        limit: usize,
    ) -> Result<Page<PriceRuleView>, Failure>;

    /// Returns the number of price rules.
    fn count_price_rules(&self, shop: ShopId) -> Result<u64, Failure>;

    /// Returns a discount code.
    fn code(&self, shop: ShopId, id: CodeId) -> Result<Option<CodeView>, Failure>;

    /// Returns the discount code with this text. Case is ignored.
    fn code_by_text(&self, shop: ShopId, text: &Code) -> Result<Option<CodeView>, Failure>;

    /// Returns up to `limit` codes of a rule in the order of their creation, starting
    /// behind `after`.
    fn codes(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
        after: Option<CodeId>,
        limit: usize,
    ) -> Result<Page<CodeView>, Failure>;

    /// Returns the number of codes of a rule.
    fn count_codes(&self, shop: ShopId, rule: PriceRuleId) -> Result<u64, Failure>;

    /// Returns the outcome of a batch of codes.
    fn code_batch(&self, shop: ShopId, id: Seq) -> Result<Option<CodeBatch>, Failure>;

    /// Returns the reservations of a checkout that are in force at `now`.
    fn checkout(
        &self,
        shop: ShopId,
        id: &CheckoutId,
        now: Timestamp,
    ) -> Result<CheckoutView, Failure>;

    /// Reads everything needed to evaluate a cart, as of one commit. That includes the
    /// program in force, which defines how codes combine.
    fn cart_facts(&self, shop: ShopId, query: CartQuery) -> Result<CartFacts, Failure>;

    /// Returns the codes that an order has used, in the order of their ids.
    fn codes_used_by_order(&self, shop: ShopId, order: &OrderId) -> Result<Vec<CodeView>, Failure>;

    /// Returns the automatic rules that an order has used, in the order of their ids.
    fn rules_used_by_order(
        &self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Vec<PriceRuleId>, Failure>;
}

/// A change of price rules, discount codes or reservations.
///
/// # Example: a code of a price rule
/// ```
/// use loyalty_core::discount::{Code, PriceRule, PriceRuleParts, ValueType};
/// use loyalty_core::{Currency, PriceRuleId, Zone};
/// use loyalty_store::{Action, DiscountAction, DiscountOutcome, Discounts, MemoryStore, NewShop};
/// use loyalty_store::{Reply, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// let starts_at = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts {
///     title: "Ten percent".into(),
///     value_type: ValueType::Percentage,
///     value: "-10".parse()?,
///     ..PriceRuleParts::new(starts_at)
/// };
/// let rule = Box::new(PriceRule::new(parts, 2).unwrap());
/// let save = Action::Discount(DiscountAction::SaveRule { id: None, rule, if_match: None });
/// let Reply::Decided(Ok(receipt)) = store.execute(Request::new(shop, now, save)).wait()? else {
///     return Err("rejected".into());
/// };
/// let Some(DiscountOutcome::Rule(rule)) = receipt.discount_outcome else {
///     return Err("no rule".into());
/// };
/// let add = DiscountAction::AddCode { rule: rule.id, text: Code::new("SPRING")? };
/// store.execute(Request::new(shop, now, Action::Discount(add))).wait()?;
///
/// let code = store.code_by_text(shop, &Code::new("spring")?)?.ok_or("unknown code")?;
/// assert_eq!((code.rule, code.used, code.enabled), (rule.id, 0, true));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub enum DiscountAction {
    /// Creates a rule, or replaces the one with this id.
    SaveRule {
        /// The rule to replace, or `None` to create one.
        id: Option<PriceRuleId>,
        /// The new content, e-mails included.
        rule: Box<PriceRule>,
        /// The [`PriceRuleView::etag`] that the rule must still have.
        if_match: Option<String>,
    },
    /// Changes a rule by a function of its current content, so that concurrent changes do
    /// not overwrite each other.
    ChangeRule {
        /// The rule.
        id: PriceRuleId,
        /// The change.
        change: RuleChange,
    },
    /// Deletes a rule and all its codes.
    DeleteRule {
        /// The rule.
        id: PriceRuleId,
        /// The [`PriceRuleView::etag`] that the rule must still have.
        if_match: Option<String>,
    },
    /// Creates a code.
    AddCode {
        /// The rule of the code.
        rule: PriceRuleId,
        /// The text that a shopper types.
        text: Code,
    },
    /// Creates a batch of codes. A code that cannot be created does not affect the
    /// others.
    AddCodes {
        /// The rule of the codes.
        rule: PriceRuleId,
        /// The texts, at most [`DiscountAction::MAX_BATCH`].
        texts: Vec<String>,
    },
    /// Renames, enables or disables a code.
    ChangeCode {
        /// The rule of the code.
        rule: PriceRuleId,
        /// The code.
        code: CodeId,
        /// The new text, or `None` to keep it.
        text: Option<Code>,
        /// True to enable the code, false to disable it, `None` for no change.
        enabled: Option<bool>,
    },
    /// Deletes a code.
    RemoveCode {
        /// The rule of the code.
        rule: PriceRuleId,
        /// The code.
        code: CodeId,
    },
    /// Reserves a use of each code and automatic rule for a checkout: all of them, or none.
    Reserve {
        /// The checkout.
        checkout: CheckoutId,
        /// The codes as typed, at most [`Cart::MAX_CODES`].
        codes: Vec<Code>,
        /// The automatic rules. A rejection counts them behind the codes.
        rules: Vec<PriceRuleId>,
        /// The buyer, if known. Created if new.
        customer: Option<CustomerRef>,
        /// The customer segments of the buyer.
        segments: Vec<SegmentId>,
        /// The end of the reservations.
        until: Timestamp,
    },
    /// Releases reservations of a checkout.
    Release {
        /// The checkout.
        checkout: CheckoutId,
        /// The code to release, or `None` for all.
        code: Option<Code>,
    },
}

/// A function that changes the content of a price rule. It runs inside the transaction,
/// so it must be fast and must not call the store.
#[derive(Clone)]
pub struct RuleChange(Arc<dyn Fn(PriceRuleParts) -> PriceRuleParts + Send + Sync>);

impl RuleChange {
    /// Creates a change from a function of the rule's content, e-mails included.
    pub fn new(change: impl Fn(PriceRuleParts) -> PriceRuleParts + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }

    pub(crate) fn apply(&self, parts: PriceRuleParts) -> PriceRuleParts {
        (self.0)(parts)
    }
}

impl fmt::Debug for RuleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleChange").finish_non_exhaustive()
    }
}

impl DiscountAction {
    /// The largest number of codes in a batch.
    pub const MAX_BATCH: usize = 100;
    /// The largest number of automatic rules of a shop: each cart is evaluated with all of
    /// them.
    pub const MAX_AUTOMATIC_RULES: usize = 50;
}

/// The outcome of a [`DiscountAction`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DiscountOutcome {
    /// The saved rule.
    Rule(Box<PriceRuleView>),
    /// The created or changed code.
    Code(Box<CodeView>),
    /// The outcome of each code of a batch.
    Batch(Box<CodeBatch>),
    /// The checkout after the change.
    Checkout(Box<CheckoutView>),
    /// The rule or code was deleted.
    Deleted,
}

/// A price rule with its e-mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRuleView {
    /// The id, assigned by the store.
    pub id: PriceRuleId,
    /// The number of times the rule was saved.
    pub revision: u32,
    /// The content.
    pub rule: Arc<PriceRule>,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of the last save.
    pub updated_at: Timestamp,
}

impl PriceRuleView {
    /// Returns an entity tag of this state. It changes each time the rule is saved.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }
}

/// A discount code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeView {
    /// The id, assigned by the store.
    pub id: CodeId,
    /// The rule of the code.
    pub rule: PriceRuleId,
    /// The text that a shopper types.
    pub text: Code,
    /// The number of uses by orders, without returned ones.
    pub used: u64,
    /// True if the code can be used.
    pub enabled: bool,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of the last change, uses included.
    pub updated_at: Timestamp,
}

impl CodeView {
    /// Creates a view of a code's projection. Returns `None` if the code was deleted.
    pub(crate) fn new(id: CodeId, record: &Projection) -> Option<Self> {
        let state = code_state(record)?;
        let (rule, text) = (state.rule()?, state.code()?.clone());
        let (used, enabled) = (state.usage().used(), state.is_on());
        let Projection { created_at, updated_at, .. } = *record;

        let view = Self { id, rule, text, used, enabled, created_at, updated_at };
        (!state.is_removed()).then_some(view)
    }
}

/// The outcome of [`DiscountAction::AddCodes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeBatch {
    /// The id: the position of the batch's journal row.
    pub id: Seq,
    /// The rule.
    pub rule: PriceRuleId,
    /// The outcome of each code, in the order of the request.
    pub entries: Arc<[BatchEntry]>,
    /// The time of the request.
    pub at: Timestamp,
}

impl CodeBatch {
    /// Returns the batch that a journal row of this shop records, if any.
    pub(crate) fn from_row(row: &JournalRow, shop: ShopId) -> Option<Self> {
        let batch = row.events.iter().find_map(|event| {
            let Event::Discount(DiscountEvent::CodesBatched { rule, entries }) = event else {
                return None;
            };
            Some((*rule, Arc::clone(entries)))
        });

        let (rule, entries) = batch.filter(|_| row.shop == shop)?;
        Some(Self { id: row.seq, rule, entries, at: row.at })
    }
}

/// A checkout and its reservations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutView {
    /// The checkout.
    pub id: CheckoutId,
    /// The codes reserved, each with the end of its reservation.
    pub reservations: Vec<(CodeView, Timestamp)>,
    /// The automatic rules reserved, each with the end of its reservation.
    pub rules: Vec<(PriceRuleId, Timestamp)>,
}

/// A code that an order lists, and its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderCode {
    /// The text in the order.
    pub text: Code,
    /// The code that the order used, or the reason why it used none.
    pub outcome: Result<CodeId, CodeRejection>,
}

/// An automatic rule that an order lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRule {
    /// The rule.
    pub rule: PriceRuleId,
    /// The reason why no use was counted, if there is one.
    pub rejection: Option<CodeRejection>,
}

/// A cart to evaluate.
#[derive(Clone, Debug)]
pub struct CartQuery {
    /// The cart. The store looks up its customer's account.
    pub cart: Cart,
    /// The checkout whose reservations belong to the cart.
    pub checkout: Option<CheckoutId>,
}

pub(crate) fn rule_state(record: &Projection) -> Option<&RuleState> {
    if let ProjectionState::Rule(state) = &record.state { Some(state) } else { None }
}

pub(crate) fn code_state(record: &Projection) -> Option<&CodeState> {
    if let ProjectionState::Code(state) = &record.state { Some(state) } else { None }
}
