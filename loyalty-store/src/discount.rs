//! Price rules, discount codes and carts: what can be asked about them, and what is answered.

pub(crate) mod index;
pub(crate) mod lookup;

use std::fmt;
use std::sync::Arc;

use loyalty_core::discount::{
    BatchEntry, Cart, Code, CodeRejection, CodeState, DiscountEvent, PriceRule, PriceRuleParts,
    RuleState,
};
use loyalty_core::{CheckoutId, CodeId, Event, OrderId, PriceRuleId, SegmentId, ShopId, Timestamp};

use crate::error::Failure;
use crate::projections::{Projection, ProjectionState};
use crate::query::Page;
use crate::record::{JournalRow, Seq};
use crate::request::CustomerRef;
use lookup::CartFacts;

/// What can be read of price rules, discount codes and carts.
pub trait Discounts {
    /// One price rule, with its e-mails.
    fn price_rule(&self, shop: ShopId, id: PriceRuleId) -> Result<Option<PriceRuleView>, Failure>;

    /// Price rules in the order in which they were made, after one of them.
    fn price_rules(
        &self,
        shop: ShopId,
        after: Option<PriceRuleId>,
        limit: usize,
    ) -> Result<Page<PriceRuleView>, Failure>;

    /// How many price rules there are.
    fn count_price_rules(&self, shop: ShopId) -> Result<u64, Failure>;

    /// One discount code.
    fn code(&self, shop: ShopId, id: CodeId) -> Result<Option<CodeView>, Failure>;

    /// The discount code that a shopper types so.
    fn code_by_text(&self, shop: ShopId, text: &Code) -> Result<Option<CodeView>, Failure>;

    /// A rule's codes in the order in which they were made, after one of them.
    fn codes(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
        after: Option<CodeId>,
        limit: usize,
    ) -> Result<Page<CodeView>, Failure>;

    /// How many codes a rule has.
    fn count_codes(&self, shop: ShopId, rule: PriceRuleId) -> Result<u64, Failure>;

    /// What became of codes that were asked for at once.
    fn code_batch(&self, shop: ShopId, id: Seq) -> Result<Option<CodeBatch>, Failure>;

    /// What a checkout holds at `now`.
    fn checkout(
        &self,
        shop: ShopId,
        id: &CheckoutId,
        now: Timestamp,
    ) -> Result<CheckoutView, Failure>;

    /// All that is known about a cart, as of one commit, the program in force included: it says how codes
    /// combine.
    fn cart_facts(&self, shop: ShopId, query: CartQuery) -> Result<CartFacts, Failure>;

    /// Which of the codes that an order brings it has used, in the order of their texts.
    fn codes_used_by_order(&self, shop: ShopId, order: &OrderId) -> Result<Vec<CodeView>, Failure>;
}

/// What is to be done with price rules and discount codes.
#[derive(Clone, Debug)]
pub enum DiscountAction {
    /// Makes a rule, or replaces the one of this id.
    SaveRule {
        /// Which; a new one, where none is named.
        id: Option<PriceRuleId>,
        /// What it says from now on, e-mails included.
        rule: Box<PriceRule>,
        /// The state that the caller saw: the rule's [`PriceRuleView::etag`].
        if_match: Option<String>,
    },
    /// Lets a rule say something else, made of what it says by then: of two who change it at once, neither is
    /// lost.
    ChangeRule {
        /// Which.
        id: PriceRuleId,
        /// What becomes of it.
        change: RuleChange,
    },
    /// Does away with a rule and all its codes.
    DeleteRule {
        /// Which.
        id: PriceRuleId,
        /// The state that the caller saw.
        if_match: Option<String>,
    },
    /// Makes a code.
    AddCode {
        /// Its rule.
        rule: PriceRuleId,
        /// What a shopper types.
        text: Code,
    },
    /// Makes many codes. Each stands for itself: one that cannot be made does not hinder the others.
    AddCodes {
        /// Their rule.
        rule: PriceRuleId,
        /// The texts, at most [`DiscountAction::MAX_BATCH`].
        texts: Vec<String>,
    },
    /// Lets a code be typed differently, or switches it.
    ChangeCode {
        /// Its rule.
        rule: PriceRuleId,
        /// The code.
        code: CodeId,
        /// What a shopper types, where that changes.
        text: Option<Code>,
        /// Whether it can be used, where that changes.
        enabled: Option<bool>,
    },
    /// Does away with a code.
    RemoveCode {
        /// Its rule.
        rule: PriceRuleId,
        /// The code.
        code: CodeId,
    },
    /// Reserves a use of each code for a checkout: all of them, or none.
    Reserve {
        /// The checkout.
        checkout: CheckoutId,
        /// The codes as typed, at most [`Cart::MAX_CODES`].
        codes: Vec<Code>,
        /// Who buys, where that is known; made where they are new.
        customer: Option<CustomerRef>,
        /// The segments that they are in.
        segments: Vec<SegmentId>,
        /// Until when.
        until: Timestamp,
    },
    /// Gives back what a checkout holds.
    Release {
        /// The checkout.
        checkout: CheckoutId,
        /// Of this code; of all, where none is named.
        code: Option<Code>,
    },
}

/// What becomes of a price rule that says something already. It is asked inside the transaction, so it must be
/// quick and must not ask the store.
#[derive(Clone)]
pub struct RuleChange(Arc<dyn Fn(PriceRuleParts) -> PriceRuleParts + Send + Sync>);

impl RuleChange {
    /// By a function of all that the rule says, e-mails included.
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
    /// How many codes can be made at once.
    pub const MAX_BATCH: usize = 100;
}

/// What was done with price rules and discount codes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DiscountOutcome {
    /// A rule was saved.
    Rule(Box<PriceRuleView>),
    /// A code was made or renamed.
    Code(Box<CodeView>),
    /// Many codes were made.
    Batch(Box<CodeBatch>),
    /// What the checkout holds now.
    Checkout(Box<CheckoutView>),
    /// It is gone.
    Deleted,
}

/// A price rule with its e-mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRuleView {
    /// The store's number of it.
    pub id: PriceRuleId,
    /// How often it was saved.
    pub revision: u32,
    /// What it says.
    pub rule: Arc<PriceRule>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
}

impl PriceRuleView {
    /// Names this state: it changes each time the rule is saved.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }
}

/// A discount code that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeView {
    /// The store's number of it.
    pub id: CodeId,
    /// Its rule.
    pub rule: PriceRuleId,
    /// What a shopper types.
    pub text: Code,
    /// How many orders have used it and not given it back.
    pub used: u64,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed, uses included.
    pub updated_at: Timestamp,
}

impl CodeView {
    /// None where the code was removed.
    pub(crate) fn new(id: CodeId, record: &Projection) -> Option<Self> {
        let state = code_state(record)?;
        let (rule, text) = (state.rule()?, state.code()?.clone());
        let Projection { created_at, updated_at, .. } = *record;
        let (used, on) = (state.usage().used(), state.is_on());
        (!state.is_removed()).then_some(Self {
            id,
            rule,
            text,
            used,
            enabled: on,
            created_at,
            updated_at,
        })
    }
}

/// Many codes that were asked for at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeBatch {
    /// Its number: the position of its journal row.
    pub id: Seq,
    /// The rule.
    pub rule: PriceRuleId,
    /// What became of each, in the order in which they were asked for.
    pub entries: Arc<[BatchEntry]>,
    /// When all of it was done.
    pub at: Timestamp,
}

impl CodeBatch {
    /// The batch whose row this is.
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

/// What a checkout holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutView {
    /// The checkout.
    pub id: CheckoutId,
    /// Its live reservations, each with its end.
    pub reservations: Vec<(CodeView, Timestamp)>,
}

/// A code that an order brought, and whether the order has used it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderCode {
    /// As the order brought it.
    pub text: Code,
    /// The code that it used, or why it used none.
    pub outcome: Result<CodeId, CodeRejection>,
}

/// A cart to be evaluated, with what only a store knows of its customer left open.
#[derive(Clone, Debug)]
pub struct CartQuery {
    /// The cart; its customer's account is looked up.
    pub cart: Cart,
    /// The checkout whose reservations count as the cart's own.
    pub checkout: Option<CheckoutId>,
}

pub(crate) fn rule_state(record: &Projection) -> Option<&RuleState> {
    if let ProjectionState::Rule(state) = &record.state { Some(state) } else { None }
}

pub(crate) fn code_state(record: &Projection) -> Option<&CodeState> {
    if let ProjectionState::Code(state) = &record.state { Some(state) } else { None }
}
