//! Price rules and discount codes in transactions: changes, reservations, and uses by
//! orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loyalty_core::discount::{
    BatchEntry, BatchOutcome, Cart, Code, CodeCommand, CodeContext, CodeError, CodeRejection,
    CodeState, Customer, DiscountEvent, DiscountRejection, PriceRule, RuleState, decide_code,
    decide_rule_delete, decide_rule_save,
};
use loyalty_core::{
    AccountId, CheckoutId, CodeId, Email, Event, OrderId, OrderState, PriceRuleId, SegmentId,
    ShopId, Status, Timestamp,
};

use super::{TYPED, Transaction, TransactionError, TransactionView};
use crate::catalogue::SavedSearch;
use crate::customer_ref::CustomerRef;
use crate::discount::index::IndexChange;
use crate::discount::lookup::{self, CodeLookup, DiscountView};
use crate::discount::{
    CodeBatch, CodeView, DiscountAction, DiscountOutcome, OrderCode, OrderRule, PriceRuleView,
    code_state,
};
use crate::error::{Failure, Rejection};
use crate::numeric_id::NumericId;
use crate::projections::{Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::request::{Existence, Receipt};

/// Reads the changes of the transaction, then its view.
impl<V: TransactionView> DiscountView for Transaction<'_, V> {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure> {
        match self.changes.projections.iter().find(|(known, _)| known == key) {
            Some((_, record)) => Ok(Some(Arc::clone(record))),
            None => self.view.projection(shop, key),
        }
    }

    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        let changed = self
            .changes
            .index_changes
            .iter()
            .rev()
            .find_map(|change| match change {
                IndexChange::PutCode(known, _, code) if known == key => Some(Some(*code)),
                IndexChange::DeleteCode(known, _) if known == key => Some(None),
                IndexChange::PutRule(_)
                | IndexChange::DeleteRule(_)
                | IndexChange::PutEmails(..)
                | IndexChange::PutCode(..)
                | IndexChange::DeleteCode(..) => None,
            });
        changed.map_or_else(|| self.view.code_by_key(shop, key), Ok)
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        let changed = self
            .changes
            .index_changes
            .iter()
            .rev()
            .find_map(|change| match change {
                IndexChange::PutEmails(known, emails) if *known == rule => Some(Arc::clone(emails)),
                IndexChange::PutRule(_)
                | IndexChange::DeleteRule(_)
                | IndexChange::PutEmails(..)
                | IndexChange::PutCode(..)
                | IndexChange::DeleteCode(..) => None,
            });
        changed.map_or_else(|| self.view.rule_emails(shop, rule), Ok)
    }

    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.view.saved_search(shop, number)
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        self.load_view(account)
    }
}

impl<V: TransactionView> Transaction<'_, V> {
    pub(super) fn perform_discount(
        &mut self,
        action: DiscountAction,
    ) -> Result<Receipt, TransactionError> {
        let outcome = match action {
            DiscountAction::SaveRule { id, rule, if_match } => {
                if let Some(id) = id {
                    self.check_rule_etag(id, if_match.as_deref())?;
                }
                let id = self.save_rule(id, &rule)?;
                DiscountOutcome::Rule(self.load_rule(id)?.into())
            }
            DiscountAction::ChangeRule { id, change } => {
                let parts = change.apply(self.load_rule(id)?.rule.parts().clone());
                let rule = PriceRule::new(parts, self.shop.minor_digits())
                    .map_err(Rejection::InvalidPriceRule)?;
                self.save_rule(Some(id), &rule)?;
                DiscountOutcome::Rule(self.load_rule(id)?.into())
            }
            DiscountAction::DeleteRule { id, if_match } => {
                self.check_rule_etag(id, if_match.as_deref())?;
                self.delete_rule(id)?;
                DiscountOutcome::Deleted
            }
            DiscountAction::AddCode { rule, text } => {
                let id = self.add_code(rule, &text)?;
                DiscountOutcome::Code(self.load_code(rule, id)?.into())
            }
            DiscountAction::AddCodes { rule, texts } => {
                DiscountOutcome::Batch(self.add_codes(rule, &texts)?.into())
            }
            DiscountAction::ChangeCode { rule, code, text, enabled } => {
                self.load_code(rule, code)?;
                if let Some(text) = text {
                    self.rename_code(code, text)?;
                }
                if let Some(enabled) = enabled {
                    self.switch_code(code, enabled)?;
                }
                DiscountOutcome::Code(self.load_code(rule, code)?.into())
            }
            DiscountAction::RemoveCode { rule, code } => {
                self.load_code(rule, code)?;
                self.run_code_command(code, &CodeCommand::Remove)?;
                DiscountOutcome::Deleted
            }
            DiscountAction::Reserve { checkout, codes, rules, customer, segments, until } => {
                let claimed = (codes.as_slice(), rules.as_slice());
                return self.reserve(&checkout, claimed, customer.as_ref(), segments, until);
            }
            DiscountAction::Release { checkout, code } => {
                self.release(&checkout, code.as_ref())?;
                self.load_checkout(&checkout)?
            }
        };
        Ok(Receipt {
            discount_outcome: Some(outcome),
            ..self.build_receipt(None, None)?
        })
    }

    // Rules.

    pub(super) fn load_rule(&mut self, id: PriceRuleId) -> Result<PriceRuleView, TransactionError> {
        let shop = self.shop.id;
        Ok(lookup::find_rule(self, shop, id)?.ok_or(Rejection::PriceRuleNotFound)?)
    }

    fn check_rule_etag(
        &mut self,
        id: PriceRuleId,
        if_match: Option<&str>,
    ) -> Result<(), TransactionError> {
        let rule = self.load_rule(id)?;
        if if_match.is_some_and(|etag| rule.etag() != etag) {
            return Err(Rejection::PreconditionFailed.into());
        }
        Ok(())
    }

    fn load_rule_state(&mut self, id: PriceRuleId) -> Result<RuleState, Failure> {
        let record = self.projection(self.shop.id, &ProjectionKey::Rule(id))?;
        Ok(record
            .as_deref()
            .and_then(crate::discount::rule_state)
            .cloned()
            .unwrap_or_default())
    }

    /// Creates a rule, or replaces the one with this id.
    pub(super) fn save_rule(
        &mut self,
        id: Option<PriceRuleId>,
        rule: &PriceRule,
    ) -> Result<PriceRuleId, TransactionError> {
        let before = id.map(|id| self.load_rule(id)).transpose()?;
        if before.as_ref().is_none_or(|before| *before.rule != *rule) {
            self.check_variants(rule)?;
        }
        let was_automatic = before.as_ref().is_some_and(|before| before.rule.is_automatic());
        if rule.is_automatic() && !was_automatic {
            self.check_automatic_rules()?;
        }
        self.put_rule(id.unwrap_or(PriceRuleId(self.next_seq())), before, rule)
    }

    /// Rejects a rule that lists a variant besides its product. A later change of the
    /// catalogue does not make a rule invalid.
    fn check_variants(&mut self, rule: &PriceRule) -> Result<(), TransactionError> {
        let faults = rule.find_variant_faults(|id| {
            let product = self.load_product(id)?;
            let variants = product.iter().flat_map(|record| &record.product.variants);
            Ok::<_, Failure>(variants.map(|variant| variant.id.clone()).collect())
        })?;
        if faults.is_empty() { Ok(()) } else { Err(Rejection::InvalidPriceRule(faults).into()) }
    }

    /// Rejects one more automatic rule than a shop can have.
    fn check_automatic_rules(&mut self) -> Result<(), TransactionError> {
        let limit = DiscountAction::MAX_AUTOMATIC_RULES;
        if lookup::load_automatic_rules(self, self.shop.id)?.len() < limit {
            return Ok(());
        }
        Err(Rejection::TooManyAutomaticRules { limit }.into())
    }

    /// Creates or replaces a rule with a given id, without checks against the catalogue.
    pub(super) fn put_rule(
        &mut self,
        id: PriceRuleId,
        before: Option<PriceRuleView>,
        rule: &PriceRule,
    ) -> Result<PriceRuleId, TransactionError> {
        // The stored state has no e-mails, so only the view shows whether they changed.
        if before.as_ref().is_some_and(|before| *before.rule == *rule) {
            return Ok(id);
        }

        let state = self.load_rule_state(id)?;
        let event = decide_rule_save(&state, id, rule).map_err(|_| Rejection::PriceRuleNotFound)?;
        self.append_events(None, event.map(Event::Discount).into_iter().collect())?;

        let emails = rule.parts().prerequisite_emails.as_slice();
        let had_emails =
            before.is_some_and(|before| !before.rule.parts().prerequisite_emails.is_empty());
        if had_emails || !emails.is_empty() {
            self.changes
                .index_changes
                .push(IndexChange::PutEmails(id, emails.into()));
        }

        Ok(id)
    }

    fn delete_rule(&mut self, id: PriceRuleId) -> Result<(), TransactionError> {
        let event = decide_rule_delete(&self.load_rule_state(id)?, id);
        self.append_events(None, event.map(Event::Discount).into_iter().collect())?;
        Ok(())
    }

    // Codes.

    fn load_code(&mut self, rule: PriceRuleId, id: CodeId) -> Result<CodeView, TransactionError> {
        self.load_rule(rule)?;
        let code = lookup::find_code(self, self.shop.id, id)?.filter(|code| code.rule == rule);
        Ok(code.ok_or(Rejection::CodeNotFound)?)
    }

    /// Rejects a text that another code of the shop has.
    fn check_code_available(&mut self, text: &Code) -> Result<(), TransactionError> {
        match lookup::find_code_by_text(self, self.shop.id, text)? {
            Some(_) => Err(Rejection::CodeTaken.into()),
            None => Ok(()),
        }
    }

    /// Creates a code of a rule.
    pub(super) fn add_code(
        &mut self,
        rule: PriceRuleId,
        text: &Code,
    ) -> Result<CodeId, TransactionError> {
        self.put_code(CodeId(self.next_seq()), rule, text)
    }

    /// Creates a code with a given id.
    pub(super) fn put_code(
        &mut self,
        id: CodeId,
        rule: PriceRuleId,
        text: &Code,
    ) -> Result<CodeId, TransactionError> {
        let price_rule = self.load_rule(rule)?.rule;
        self.check_code_available(text)?;

        let state = CodeState::default();
        let context = CodeContext {
            id,
            state: &state,
            rule: Some(&price_rule),
            customer_usage: None,
            checkout_claim: None,
        };
        let command = CodeCommand::Add { rule, text: text.clone() };
        let event = decide_code(&context, None, &Customer::default(), &command, self.now)
            .map_err(|reason| to_rejection(&reason))?;
        self.append_events(None, event.map(Event::Discount).into_iter().collect())?;

        Ok(id)
    }

    fn add_codes(
        &mut self,
        rule: PriceRuleId,
        texts: &[String],
    ) -> Result<CodeBatch, TransactionError> {
        self.load_rule(rule)?;
        if texts.len() > DiscountAction::MAX_BATCH {
            return Err(Rejection::TooManyCodes { limit: DiscountAction::MAX_BATCH }.into());
        }

        let mut entries = Vec::with_capacity(texts.len());
        for text in texts {
            let outcome = match Code::new(text) {
                Ok(code) => match self.add_code(rule, &code) {
                    Ok(id) => BatchOutcome::Added(id),
                    Err(TransactionError::Rejected(_)) => BatchOutcome::Taken,
                    Err(failed @ TransactionError::Failed(_)) => return Err(failed),
                },
                Err(CodeError::Empty) => BatchOutcome::Empty,
                Err(_) => BatchOutcome::Invalid,
            };
            entries.push(BatchEntry { text: text.as_str().into(), outcome });
        }

        // Its own row records the batch, so that it can be read by the row's position.
        let (id, entries): (_, Arc<[BatchEntry]>) = (self.next_seq(), entries.into());
        let event = DiscountEvent::CodesBatched { rule, entries: Arc::clone(&entries) };
        self.append_events(None, vec![Event::Discount(event)])?;

        Ok(CodeBatch { id, rule, entries, at: self.now })
    }

    fn rename_code(&mut self, code: CodeId, text: Code) -> Result<(), TransactionError> {
        let holder = lookup::find_code_by_text(self, self.shop.id, &text)?;
        if holder.is_some_and(|holder| holder.id != code) {
            return Err(Rejection::CodeTaken.into());
        }
        self.run_code_command(code, &CodeCommand::Rename { text })
    }

    /// Enables or disables a code.
    pub(super) fn switch_code(
        &mut self,
        code: CodeId,
        enabled: bool,
    ) -> Result<(), TransactionError> {
        self.run_code_command(code, &CodeCommand::Switch { on: enabled })
    }

    /// Runs a command that concerns a code alone, without customer, checkout or order.
    fn run_code_command(
        &mut self,
        code: CodeId,
        command: &CodeCommand,
    ) -> Result<(), TransactionError> {
        let lookup = CodeLookup::load(self, self.shop.id, code, &[], None)?
            .ok_or(Rejection::CodeNotFound)?;
        let context = lookup.facts().ok_or(Rejection::CodeNotFound)?;

        let event = decide_code(&context, None, &Customer::default(), command, self.now)
            .map_err(|reason| to_rejection(&reason))?;
        self.append_events(None, event.map(Event::Discount).into_iter().collect())?;
        Ok(())
    }

    // Checkouts.

    fn load_checkout(&mut self, id: &CheckoutId) -> Result<DiscountOutcome, TransactionError> {
        Ok(DiscountOutcome::Checkout(
            lookup::load_checkout(self, self.shop.id, id, self.now)?.into(),
        ))
    }

    fn reserve(
        &mut self,
        checkout: &CheckoutId,
        (codes, rules): (&[Code], &[PriceRuleId]),
        customer: Option<&CustomerRef>,
        segments: Vec<SegmentId>,
        until: Timestamp,
    ) -> Result<Receipt, TransactionError> {
        // A checkout of an erased customer is one of nobody in particular.
        let customer = match customer {
            Some(customer) => self.find_erasure(customer)?.is_none().then_some(customer),
            None => None,
        };
        let found = customer
            .map(|customer| self.resolve_customer(customer, Existence::Any, TYPED))
            .transpose()?;
        let account = found.as_ref().map(|found| found.account);
        let mut buyer = self.load_buyer(account)?;
        buyer.segments.extend(segments);

        let command = CodeCommand::Reserve { checkout: checkout.clone(), until };
        for (index, text) in codes.iter().enumerate() {
            let id = self.code_by_key(self.shop.id, text.key())?;
            self.reserve_claim(index, id, (checkout, &buyer), &command)?;
        }
        for (index, rule) in (codes.len()..).zip(rules) {
            let id = CodeId(rule.0);
            let uses = CodeLookup::load(self, self.shop.id, id, &[], None)?;
            let id = uses.filter(CodeLookup::is_of_automatic_rule).map(|uses| uses.id);
            self.reserve_claim(index, id, (checkout, &buyer), &command)?;
        }

        // Earlier reservations of the checkout count too.
        if lookup::load_checkout_codes(self, self.shop.id, checkout)?.len() > Cart::MAX_CODES {
            return Err(Rejection::TooManyCodes { limit: Cart::MAX_CODES }.into());
        }

        let discount_outcome = Some(self.load_checkout(checkout)?);
        Ok(Receipt {
            discount_outcome,
            ..self.build_receipt(found.as_ref(), None)?
        })
    }

    /// Reserves a use of one code or automatic rule, the one at `index` of the request.
    fn reserve_claim(
        &mut self,
        index: usize,
        id: Option<CodeId>,
        (checkout, buyer): (&CheckoutId, &Customer),
        command: &CodeCommand,
    ) -> Result<(), TransactionError> {
        let reject = |reason: DiscountRejection| Rejection::CodeRejected { index, reason };
        let id = id.ok_or_else(|| reject(CodeRejection::Unknown.into()))?;
        let event = self
            .decide_claim(id, buyer, Some(checkout), None, command)?
            .map_err(reject)?;
        if let Some(reason) = self.check_stacking(checkout, id)? {
            return Err(reject(reason.into()).into());
        }
        self.append_events(None, event.map(Event::Discount).into_iter().collect())?;
        Ok(())
    }

    /// Returns the reason why a code or automatic rule cannot be combined with the
    /// reservations of its checkout under the program's stacking policy.
    fn check_stacking(
        &mut self,
        checkout: &CheckoutId,
        id: CodeId,
    ) -> Result<Option<CodeRejection>, TransactionError> {
        let (shop, (_, program)) = (self.shop.id, self.load_program(None)?);
        let Some((new_name, new_id, new_rule)) = self.find_claimed(id)? else {
            return Ok(None);
        };

        let claims = lookup::load_checkout_codes(self, shop, checkout)?;
        for (other, _) in claims.reservations(self.now).filter(|(other, _)| *other != id) {
            let Some((name, rule_id, rule)) = self.find_claimed(other)? else {
                continue;
            };
            let (reserved, added) = ((&name, rule_id, &*rule), (&new_name, new_id, &*new_rule));
            if let Some(reason) = program.definition().stacking.find_conflict(reserved, added) {
                return Ok(Some(reason));
            }
        }

        Ok(None)
    }

    /// Returns a code with its rule, or an automatic rule with its title for a name.
    fn find_claimed(
        &mut self,
        id: CodeId,
    ) -> Result<Option<(Code, PriceRuleId, Arc<PriceRule>)>, TransactionError> {
        let shop = self.shop.id;
        if let Some(code) = lookup::find_code(self, shop, id)? {
            let rule = self.load_rule(code.rule)?.rule;
            return Ok(Some((code.text, code.rule, rule)));
        }
        if !lookup::is_of_rule(self, shop, id)? {
            return Ok(None);
        }
        let rule = lookup::find_rule(self, shop, PriceRuleId(id.0))?;
        Ok(rule.and_then(|view| {
            let title = Code::new(&view.rule.parts().title).ok()?;
            Some((title, view.id, view.rule))
        }))
    }

    fn release(
        &mut self,
        checkout: &CheckoutId,
        text: Option<&Code>,
    ) -> Result<(), TransactionError> {
        let shop = self.shop.id;
        let codes = lookup::load_checkout_codes(self, shop, checkout)?;
        let only = text.map(|text| self.code_by_key(shop, text.key())).transpose()?;

        for (code, _) in codes.reservations(self.now) {
            if only.is_some_and(|only| only != Some(code)) {
                continue;
            }
            let Some(lookup) = CodeLookup::load(self, shop, code, &[], Some(&codes))? else {
                continue;
            };
            let Some(context) = lookup.facts() else { continue };

            let command = CodeCommand::Release { checkout: checkout.clone() };
            let event = decide_code(&context, None, &Customer::default(), &command, self.now)
                .map_err(|reason| to_rejection(&reason))?;
            self.append_events(None, event.map(Event::Discount).into_iter().collect())?;
        }
        Ok(())
    }

    /// Returns the customer of an account in the form of the rules.
    fn load_buyer(&mut self, account: Option<AccountId>) -> Result<Customer, Failure> {
        let Some(account) = account else { return Ok(Customer::default()) };
        let record = self.load_customer(account)?;
        let (id, email) = record
            .map(|record| (record.id.clone(), record.email.clone()))
            .unwrap_or_default();
        Ok(Customer { account: Some(account), id, email, ..Customer::default() })
    }

    /// Decides a command of a buyer with a code, without appending the event.
    fn decide_for_buyer(
        &mut self,
        text: &Code,
        buyer: &Customer,
        checkout: Option<&CheckoutId>,
        order: Option<&OrderId>,
        command: &CodeCommand,
    ) -> Result<Result<Option<DiscountEvent>, DiscountRejection>, Failure> {
        match self.code_by_key(self.shop.id, text.key())? {
            Some(id) => self.decide_claim(id, buyer, checkout, order, command),
            None => Ok(Err(CodeRejection::Unknown.into())),
        }
    }

    /// Decides a command of a buyer with a code or an automatic rule, without appending the
    /// event.
    fn decide_claim(
        &mut self,
        id: CodeId,
        buyer: &Customer,
        checkout: Option<&CheckoutId>,
        order: Option<&OrderId>,
        command: &CodeCommand,
    ) -> Result<Result<Option<DiscountEvent>, DiscountRejection>, Failure> {
        let (shop, unknown) = (self.shop.id, CodeRejection::Unknown.into());

        // The code, with the claims of the buyer, the checkout and the order. A guest whose
        // e-mail the buyer names has used it in the same name.
        let named = buyer.account.into_iter().chain(self.unclaimed_guest);
        let accounts = lookup::collect_merged_accounts(self, shop, named)?;
        let claims = checkout
            .map(|checkout| lookup::load_checkout_codes(self, shop, checkout))
            .transpose()?;
        let claim = order
            .map(|order| lookup::load_order_codes(self, shop, order))
            .transpose()?;
        let claim = claim.as_ref().and_then(|codes| codes.claim(id));
        let Some(code) = CodeLookup::load(self, shop, id, &accounts, claims.as_ref())? else {
            return Ok(Err(unknown));
        };

        // A reservation made as a guest stays under the guest's account.
        let account = code.reservation_account(&accounts, self.now).or(buyer.account);
        let details = Arc::clone(&self.shop);
        let searches = lookup::matching_saved_searches(
            self,
            &details,
            code.rule(),
            (buyer.account, self.now),
        )?;
        let mut aliases = lookup::numeric_customer_ids(&accounts);
        if let Some(account) = buyer.account
            && let Some(known) = self.load_customer(account)?
        {
            aliases.extend(known.ids().cloned());
        }
        let mut buyer = Customer { account, aliases, ..buyer.clone() };
        buyer.segments.extend(searches);

        let Some(context) = code.facts() else { return Ok(Err(unknown)) };
        Ok(decide_code(&context, claim, &buyer, command, self.now))
    }

    // Orders.

    /// Records the uses of the codes that an order lists, once each, and returns those it
    /// no longer lists. A cancelled order returns all. The order is never rejected for
    /// its codes.
    ///
    /// Earlier uses are not decided again. A code that was renamed, or deleted and
    /// created again for another rule, is still the one that the order used.
    pub(super) fn update_order_codes(
        &mut self,
        id: &OrderId,
        before: &OrderState,
        account: Option<AccountId>,
    ) -> Result<(Vec<OrderCode>, Vec<OrderRule>), TransactionError> {
        let after = self.load_order(id)?;
        let Some(recorded) = after.state.snapshot() else {
            return Ok((Vec::new(), Vec::new()));
        };
        if !has_codes(before) && !has_codes(&after.state) {
            return Ok((Vec::new(), Vec::new()));
        }

        // The texts that the order lists now, each once, and those it listed before.
        let cancelled = after.state.is_cancelled();
        let mut listed = BTreeSet::new();
        let texts = recorded.order.codes.iter().filter(|_| !cancelled);
        let texts: Vec<&Code> = texts.filter(|text| listed.insert(*text)).collect();
        let previous = before.snapshot().filter(|_| !before.is_cancelled());
        let previous: BTreeSet<&Code> = previous
            .into_iter()
            .flat_map(|previous| &previous.order.codes)
            .collect();

        // Match the codes that the order has used with their texts. A code that was
        // renamed or deleted since stays unmatched.
        let claims = lookup::load_order_codes(self, self.shop.id, id)?;
        let mut unmatched: BTreeSet<CodeId> = claims.codes().collect();
        let (mut used, mut removed) = (BTreeMap::new(), BTreeSet::new());

        // The automatic rules are known by their numbers.
        let rules = AutomaticRules::of(before, &after.state);
        for id in rules.listed.union(&rules.previous).map(|rule| CodeId(rule.0)) {
            unmatched.remove(&id);
        }
        removed.extend(rules.previous.difference(&rules.listed).map(|rule| CodeId(rule.0)));
        for text in &previous {
            let code = self
                .code_by_key(self.shop.id, text.key())?
                .filter(|code| unmatched.remove(code));
            match code {
                Some(code) if listed.contains(text) => drop(used.insert(*text, code)),
                Some(code) => drop(removed.insert(code)),
                None => {}
            }
        }

        let mut events = self.return_codes(id, |code| cancelled || removed.contains(&code))?;
        let buyer = self.load_buyer(account)?;
        let mut codes = Vec::with_capacity(texts.len());
        for text in texts {
            // The text of an earlier report may now belong to another code, or to none.
            let renamed = || unmatched.first().copied().filter(|_| previous.contains(text));
            let outcome = match used.get(text).copied().or_else(renamed) {
                Some(code) => {
                    unmatched.remove(&code);
                    Ok(code)
                }
                None => self.use_code(text, id, &after.state, &buyer, &mut events)?,
            };
            codes.push(OrderCode { text: text.clone(), outcome });
        }

        let mut order_rules = Vec::with_capacity(rules.listed.len());
        for rule in rules.listed {
            let is_used = claims.claim(CodeId(rule.0)).is_some();
            let rejection = if is_used {
                None
            } else {
                self.use_automatic_rule(rule, id, &after.state, &buyer, &mut events)?
            };
            order_rules.push(OrderRule { rule, rejection });
        }

        self.append_events(None, events)?;
        Ok((codes, order_rules))
    }

    /// Records the use of an automatic rule by an order. Returns the reason why it cannot be
    /// used, if there is one.
    fn use_automatic_rule(
        &mut self,
        rule: PriceRuleId,
        id: &OrderId,
        order: &OrderState,
        buyer: &Customer,
        events: &mut Vec<Event>,
    ) -> Result<Option<CodeRejection>, TransactionError> {
        let code = CodeId(rule.0);
        let known = CodeLookup::load(self, self.shop.id, code, &[], None)?;
        if !known.is_some_and(|uses| uses.is_of_automatic_rule()) {
            return Ok(Some(CodeRejection::Unknown));
        }

        let (checkout, command) = use_command(id, order);
        Ok(match self.decide_claim(code, buyer, checkout.as_ref(), Some(id), &command)? {
            Ok(event) => {
                events.extend(event.map(Event::Discount));
                None
            }
            Err(DiscountRejection::CodeRejected(reason)) => Some(reason),
            Err(_) => Some(CodeRejection::Unknown),
        })
    }

    /// Records the use of a code by an order. Returns the code, or the reason why it
    /// cannot be used.
    fn use_code(
        &mut self,
        text: &Code,
        id: &OrderId,
        order: &OrderState,
        buyer: &Customer,
        events: &mut Vec<Event>,
    ) -> Result<Result<CodeId, CodeRejection>, TransactionError> {
        let (checkout, command) = use_command(id, order);
        Ok(
            match self.decide_for_buyer(text, buyer, checkout.as_ref(), Some(id), &command)? {
                Ok(event) => {
                    events.extend(event.map(Event::Discount));
                    self.code_by_key(self.shop.id, text.key())?
                        .ok_or(CodeRejection::Unknown)
                }
                Err(DiscountRejection::CodeRejected(reason)) => Err(reason),
                Err(_) => Err(CodeRejection::Unknown),
            },
        )
    }

    /// Returns the events that return an order's uses of the selected codes.
    fn return_codes(
        &mut self,
        order: &OrderId,
        is_returned: impl Fn(CodeId) -> bool,
    ) -> Result<Vec<Event>, TransactionError> {
        let shop = self.shop.id;
        let claims = lookup::load_order_codes(self, shop, order)?;

        let mut events = Vec::new();
        for code in claims.codes().filter(|code| is_returned(*code)) {
            let Some(lookup) = CodeLookup::load(self, shop, code, &[], None)? else {
                continue;
            };
            let Some(context) = lookup.facts() else { continue };

            let command = CodeCommand::ReturnUse { order: order.clone() };
            let event =
                decide_code(&context, claims.claim(code), &Customer::default(), &command, self.now);
            events.extend(event.map_err(|reason| to_rejection(&reason))?.map(Event::Discount));
        }

        Ok(events)
    }

    /// Adds the changes of the index that an event causes. Must run before the event is
    /// folded.
    pub(super) fn update_index(&mut self, event: &DiscountEvent) -> Result<(), Failure> {
        let known = event
            .code()
            .map(|code| self.projection(self.shop.id, &ProjectionKey::Code(code)))
            .transpose()?
            .flatten();

        let known = |_| {
            let state = known.as_deref().and_then(code_state)?;
            Some((state.rule()?, state.code()?.key().to_owned()))
        };
        self.changes
            .index_changes
            .extend(IndexChange::from_event(event, known));
        Ok(())
    }
}

/// Returns true if the order lists codes or automatic rules.
fn has_codes(order: &OrderState) -> bool {
    order.snapshot().is_some_and(|recorded| {
        !recorded.order.codes.is_empty() || !recorded.order.automatic_rules.is_empty()
    })
}

/// Returns the command with which an order uses a code, and the order's checkout.
fn use_command(id: &OrderId, order: &OrderState) -> (Option<CheckoutId>, CodeCommand) {
    let recorded = order.snapshot();
    let checkout = recorded.and_then(|recorded| recorded.order.checkout.clone());
    let placed_at = recorded.and_then(|recorded| recorded.order.placed_at);
    let placed_at = placed_at.or_else(|| order.first_reached_at(Status::Processing));

    let command =
        CodeCommand::RecordUse { order: id.clone(), checkout: checkout.clone(), placed_at };
    (checkout, command)
}

/// The automatic rules that an order lists now, and those that it listed before. A cancelled
/// order lists none.
struct AutomaticRules {
    listed: BTreeSet<PriceRuleId>,
    previous: BTreeSet<PriceRuleId>,
}

impl AutomaticRules {
    fn of(before: &OrderState, after: &OrderState) -> Self {
        let rules = |order: &OrderState| -> BTreeSet<PriceRuleId> {
            let recorded = order.snapshot().filter(|_| !order.is_cancelled());
            recorded
                .into_iter()
                .flat_map(|recorded| &recorded.order.automatic_rules)
                .copied()
                .collect()
        };
        Self { listed: rules(after), previous: rules(before) }
    }
}

/// Converts the rejection of a command that concerns a code alone.
fn to_rejection(reason: &DiscountRejection) -> Rejection {
    if *reason == DiscountRejection::UnknownPriceRule {
        Rejection::PriceRuleNotFound
    } else {
        Rejection::CodeNotFound
    }
}
