//! Price rules and discount codes inside a transaction: made, changed, reserved, and used by orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loyalty_core::discount::{
    BatchEntry, BatchOutcome, Cart, Code, CodeCommand, CodeError, CodeContext, CodeState, Customer,
    DiscountEvent, DiscountRejection, PriceRule, CodeRejection, RuleState, decide_code, decide_rule_delete,
    decide_rule_save,
};
use loyalty_core::{
    AccountId, CheckoutId, CodeId, Email, Event, OrderId, OrderState, PriceRuleId, SegmentId,
    ShopId, Status, Timestamp,
};

use super::{Stop, Transaction, View};
use crate::catalogue::SavedSearch;
use crate::discount::facts::{self, DiscountView, Gathered};
use crate::discount::index::Indexed;
use crate::discount::{
    CodeBatch, CodeView, DiscountAction, Discounted, OrderCode, PriceRuleView, code_state,
};
use crate::error::{Failure, Rejection};
use crate::keyed::{Key, Keyed};
use crate::number::Number;
use crate::query::CustomerView;
use crate::request::{EmailConflict, Presence, Receipt, Who};

/// What the transaction itself has changed, else what its view holds.
impl<V: View> DiscountView for Transaction<'_, V> {
    fn keyed(&mut self, shop: ShopId, key: &Key) -> Result<Option<Arc<Keyed>>, Failure> {
        match self.changes.keyed.iter().find(|(known, _)| known == key) {
            Some((_, record)) => Ok(Some(Arc::clone(record))),
            None => self.view.keyed(shop, key),
        }
    }

    fn code_of_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        let changed = self.changes.indexed.iter().rev().find_map(|change| match change {
            Indexed::Code(known, _, code) if known == key => Some(Some(*code)),
            Indexed::NoCode(known, _) if known == key => Some(None),
            Indexed::Rule(_)
            | Indexed::NoRule(_)
            | Indexed::Emails(..)
            | Indexed::Code(..)
            | Indexed::NoCode(..) => None,
        });
        changed.map_or_else(|| self.view.code_of_key(shop, key), Ok)
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        let changed = self.changes.indexed.iter().rev().find_map(|change| match change {
            Indexed::Emails(known, emails) if *known == rule => Some(Arc::clone(emails)),
            Indexed::Rule(_)
            | Indexed::NoRule(_)
            | Indexed::Emails(..)
            | Indexed::Code(..)
            | Indexed::NoCode(..) => None,
        });
        changed.map_or_else(|| self.view.rule_emails(shop, rule), Ok)
    }

    fn search(
        &mut self,
        shop: ShopId,
        number: Number,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        self.view.saved_search(shop, number)
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        self.view_of(account)
    }
}

impl<V: View> Transaction<'_, V> {
    pub(super) fn discount(&mut self, action: DiscountAction) -> Result<Receipt, Stop> {
        let done = match action {
            DiscountAction::SaveRule { id, rule, if_match } => {
                if let Some(id) = id {
                    self.rule_as_seen(id, if_match.as_deref())?;
                }
                let id = self.save_rule(id, &rule)?;
                Discounted::Rule(self.rule(id)?.into())
            }
            DiscountAction::ChangeRule { id, change } => {
                let parts = change.apply(self.rule(id)?.rule.parts().clone());
                let rule = PriceRule::new(parts, self.shop.minor_digits())
                    .map_err(Rejection::InvalidPriceRule)?;
                self.save_rule(Some(id), &rule)?;
                Discounted::Rule(self.rule(id)?.into())
            }
            DiscountAction::DeleteRule { id, if_match } => {
                self.rule_as_seen(id, if_match.as_deref())?;
                self.delete_rule(id)?;
                Discounted::Deleted
            }
            DiscountAction::AddCode { rule, text } => {
                let id = self.add_code(rule, &text)?;
                Discounted::Code(self.code(rule, id)?.into())
            }
            DiscountAction::AddCodes { rule, texts } => {
                Discounted::Batch(self.add_codes(rule, &texts)?.into())
            }
            DiscountAction::ChangeCode { rule, code, text, on } => {
                self.code(rule, code)?;
                if let Some(text) = text {
                    self.rename_code(code, text)?;
                }
                if let Some(on) = on {
                    self.switch_code(code, on)?;
                }
                Discounted::Code(self.code(rule, code)?.into())
            }
            DiscountAction::RemoveCode { rule, code } => {
                self.code(rule, code)?;
                self.about_code(code, &CodeCommand::Remove)?;
                Discounted::Deleted
            }
            DiscountAction::Reserve { checkout, codes, customer, segments, until } => {
                return self.reserve(&checkout, &codes, customer.as_ref(), segments, until);
            }
            DiscountAction::Release { checkout, code } => {
                self.release(&checkout, code.as_ref())?;
                self.checkout(&checkout)?
            }
        };
        Ok(Receipt { discount: Some(done), ..self.receipt(None, None)? })
    }

    // Rules.

    pub(super) fn rule(&mut self, id: PriceRuleId) -> Result<PriceRuleView, Stop> {
        let shop = self.shop.id;
        Ok(facts::rule(self, shop, id)?.ok_or(Rejection::PriceRuleNotFound)?)
    }

    fn rule_as_seen(&mut self, id: PriceRuleId, seen: Option<&str>) -> Result<(), Stop> {
        let rule = self.rule(id)?;
        if seen.is_some_and(|seen| rule.etag() != seen) {
            return Err(Rejection::PreconditionFailed.into());
        }
        Ok(())
    }

    fn rule_state(&mut self, id: PriceRuleId) -> Result<RuleState, Failure> {
        let record = self.keyed(self.shop.id, &Key::Rule(id))?;
        Ok(record
            .as_deref()
            .and_then(crate::discount::rule_state)
            .cloned()
            .unwrap_or_default())
    }

    /// Makes a rule, or lets the one of this id say something else.
    pub(super) fn save_rule(
        &mut self,
        id: Option<PriceRuleId>,
        rule: &PriceRule,
    ) -> Result<PriceRuleId, Stop> {
        let before = id.map(|id| self.rule(id)).transpose()?;
        if before.as_ref().is_none_or(|before| *before.rule != *rule) {
            self.check_variants(rule)?;
        }
        self.put_rule(id.unwrap_or(PriceRuleId(self.next_seq())), before, rule)
    }

    /// A rule may not name a variant beside its product. What the catalogue says later is no fault of the rule.
    fn check_variants(&mut self, rule: &PriceRule) -> Result<(), Stop> {
        let faults = rule.find_variant_faults(|id| {
            let product = self.load_product(id)?;
            let variants = product.iter().flat_map(|record| &record.product.variants);
            Ok::<_, Failure>(variants.map(|variant| variant.id.clone()).collect())
        })?;
        if faults.is_empty() { Ok(()) } else { Err(Rejection::InvalidPriceRule(faults).into()) }
    }

    /// The same for a rule whose number is known.
    pub(super) fn put_rule(
        &mut self,
        id: PriceRuleId,
        before: Option<PriceRuleView>,
        rule: &PriceRule,
    ) -> Result<PriceRuleId, Stop> {
        // The state does not hold the e-mails; what it holds with them can be the same all the same.
        if before.as_ref().is_some_and(|before| *before.rule == *rule) {
            return Ok(id);
        }
        let state = self.rule_state(id)?;
        let event = decide_rule_save(&state, id, rule).map_err(|_| Rejection::PriceRuleNotFound)?;
        self.post(None, event.map(Event::Discount).into_iter().collect())?;
        let emails = rule.parts().prerequisite_emails.as_slice();
        let had = before.is_some_and(|before| !before.rule.parts().prerequisite_emails.is_empty());
        if had || !emails.is_empty() {
            self.changes.indexed.push(Indexed::Emails(id, emails.into()));
        }
        Ok(id)
    }

    fn delete_rule(&mut self, id: PriceRuleId) -> Result<(), Stop> {
        let event = decide_rule_delete(&self.rule_state(id)?, id);
        self.post(None, event.map(Event::Discount).into_iter().collect())?;
        Ok(())
    }

    // Codes.

    fn code(&mut self, rule: PriceRuleId, id: CodeId) -> Result<CodeView, Stop> {
        self.rule(rule)?;
        let code = facts::code(self, self.shop.id, id)?.filter(|code| code.rule == rule);
        Ok(code.ok_or(Rejection::CodeNotFound)?)
    }

    /// A code that nobody in the shop types yet.
    fn free(&mut self, text: &Code) -> Result<(), Stop> {
        match facts::code_of_text(self, self.shop.id, text)? {
            Some(_) => Err(Rejection::CodeTaken.into()),
            None => Ok(()),
        }
    }

    /// Makes a code of a rule.
    pub(super) fn add_code(&mut self, rule: PriceRuleId, text: &Code) -> Result<CodeId, Stop> {
        self.put_code(CodeId(self.next_seq()), rule, text)
    }

    /// The same for a code whose number is known.
    pub(super) fn put_code(
        &mut self,
        id: CodeId,
        rule: PriceRuleId,
        text: &Code,
    ) -> Result<CodeId, Stop> {
        let of = self.rule(rule)?.rule;
        self.free(text)?;
        let state = CodeState::default();
        let facts = CodeContext {
            id,
            state: &state,
            rule: Some(&of),
            used_by_customer: None,
            checkout: None,
        };
        let command = CodeCommand::Add { rule, text: text.clone() };
        let event = decide_code(&facts, None, &Customer::default(), &command, self.now)
            .map_err(|reason| refused(&reason))?;
        self.post(None, event.map(Event::Discount).into_iter().collect())?;
        Ok(id)
    }

    fn add_codes(&mut self, rule: PriceRuleId, texts: &[String]) -> Result<CodeBatch, Stop> {
        self.rule(rule)?;
        if texts.len() > DiscountAction::MAX_BATCH {
            return Err(Rejection::TooManyCodes.into());
        }
        let mut entries = Vec::with_capacity(texts.len());
        for text in texts {
            let outcome = match Code::new(text) {
                Ok(code) => match self.add_code(rule, &code) {
                    Ok(id) => BatchOutcome::Added(id),
                    Err(Stop::Rejected(_)) => BatchOutcome::Taken,
                    Err(failed @ Stop::Failed(_)) => return Err(failed),
                },
                Err(CodeError::Empty) => BatchOutcome::Empty,
                Err(_) => BatchOutcome::Invalid,
            };
            entries.push(BatchEntry { text: text.as_str().into(), outcome });
        }
        let (id, entries): (_, Arc<[BatchEntry]>) = (self.next_seq(), entries.into());
        let event = DiscountEvent::CodesBatched { rule, entries: Arc::clone(&entries) };
        self.post(None, vec![Event::Discount(event)])?;
        Ok(CodeBatch { id, rule, entries, at: self.now })
    }

    fn rename_code(&mut self, code: CodeId, text: Code) -> Result<(), Stop> {
        let holder = facts::code_of_text(self, self.shop.id, &text)?;
        if holder.is_some_and(|holder| holder.id != code) {
            return Err(Rejection::CodeTaken.into());
        }
        self.about_code(code, &CodeCommand::Rename { text })
    }

    /// Lets a code be used, or no longer.
    pub(super) fn switch_code(&mut self, code: CodeId, on: bool) -> Result<(), Stop> {
        self.about_code(code, &CodeCommand::Switch { on })
    }

    /// Carries out what is about a code alone.
    fn about_code(&mut self, code: CodeId, command: &CodeCommand) -> Result<(), Stop> {
        let gathered =
            Gathered::of(self, self.shop.id, code, &[], None)?.ok_or(Rejection::CodeNotFound)?;
        let facts = gathered.facts().ok_or(Rejection::CodeNotFound)?;
        let event = decide_code(&facts, None, &Customer::default(), command, self.now)
            .map_err(|reason| refused(&reason))?;
        self.post(None, event.map(Event::Discount).into_iter().collect())?;
        Ok(())
    }

    // Checkouts.

    fn checkout(&mut self, id: &CheckoutId) -> Result<Discounted, Stop> {
        Ok(Discounted::Checkout(facts::checkout(self, self.shop.id, id, self.now)?.into()))
    }

    fn reserve(
        &mut self,
        checkout: &CheckoutId,
        codes: &[Code],
        who: Option<&Who>,
        segments: Vec<SegmentId>,
        until: Timestamp,
    ) -> Result<Receipt, Stop> {
        let found = who
            .map(|who| self.find(who, Presence::May, EmailConflict::Ignore))
            .transpose()?;
        let account = found.as_ref().map(|found| found.account);
        let mut buyer = self.buyer(account)?;
        buyer.segments.extend(segments);
        for (place, text) in codes.iter().enumerate() {
            let command = CodeCommand::Reserve { checkout: checkout.clone(), until };
            let event = self.by_buyer(text, &buyer, Some(checkout), None, &command)?;
            let event = event.map_err(|reason| Rejection::CodeRefused { place, reason })?;
            if let Some(refusal) = self.clash(checkout, text)? {
                return Err(Rejection::CodeRefused { place, reason: refusal.into() }.into());
            }
            self.post(None, event.map(Event::Discount).into_iter().collect())?;
        }
        if facts::checkout_codes(self, self.shop.id, checkout)?.len() > Cart::MAX_CODES {
            return Err(Rejection::TooManyCodes.into());
        }
        let discount = Some(self.checkout(checkout)?);
        Ok(Receipt { discount, ..self.receipt(found.as_ref(), None)? })
    }

    /// Why a code cannot stand beside what its checkout holds: the program's policy, which needs no cart here.
    fn clash(&mut self, checkout: &CheckoutId, text: &Code) -> Result<Option<CodeRejection>, Stop> {
        let (shop, (_, program)) = (self.shop.id, self.load_program(None)?);
        let Some(new) = facts::code_of_text(self, shop, text)? else {
            return Ok(None);
        };
        let new_rule = self.rule(new.rule)?.rule;
        let held = facts::checkout(self, shop, checkout, self.now)?.held;
        for (code, _) in held.iter().filter(|(code, _)| code.id != new.id) {
            let rule = self.rule(code.rule)?.rule;
            let (held, asked) =
                ((&code.text, code.rule, &*rule), (&new.text, new.rule, &*new_rule));
            if let Some(refusal) = program.definition().stacking.find_conflict(held, asked) {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    fn release(&mut self, checkout: &CheckoutId, text: Option<&Code>) -> Result<(), Stop> {
        let shop = self.shop.id;
        let codes = facts::checkout_codes(self, shop, checkout)?;
        let only = text.map(|text| self.code_of_key(shop, text.key())).transpose()?;
        for (code, _) in codes.live(self.now) {
            if only.is_some_and(|only| only != Some(code)) {
                continue;
            }
            let Some(gathered) = Gathered::of(self, shop, code, &[], Some(&codes))? else {
                continue;
            };
            let Some(facts) = gathered.facts() else { continue };
            let command = CodeCommand::Release { checkout: checkout.clone() };
            let event = decide_code(&facts, None, &Customer::default(), &command, self.now)
                .map_err(|reason| refused(&reason))?;
            self.post(None, event.map(Event::Discount).into_iter().collect())?;
        }
        Ok(())
    }

    /// Who buys, as the rules see them.
    fn buyer(&mut self, account: Option<AccountId>) -> Result<Customer, Failure> {
        let Some(account) = account else { return Ok(Customer::default()) };
        let record = self.load_customer(account)?;
        let (id, email) = record
            .map(|record| (record.id.clone(), record.email.clone()))
            .unwrap_or_default();
        Ok(Customer { account: Some(account), id, email, ..Customer::default() })
    }

    /// Decides what a buyer does with a code.
    fn by_buyer(
        &mut self,
        text: &Code,
        buyer: &Customer,
        checkout: Option<&CheckoutId>,
        order: Option<&OrderId>,
        command: &CodeCommand,
    ) -> Result<Result<Option<DiscountEvent>, DiscountRejection>, Failure> {
        let (shop, unknown) = (self.shop.id, DiscountRejection::CodeRejected(CodeRejection::Unknown));
        let Some(id) = self.code_of_key(shop, text.key())? else {
            return Ok(Err(unknown));
        };
        let family = facts::family(self, shop, buyer.account)?;
        let claims = checkout
            .map(|checkout| facts::checkout_codes(self, shop, checkout))
            .transpose()?;
        let claim = order.map(|order| facts::order_codes(self, shop, order)).transpose()?;
        let claim = claim.as_ref().and_then(|codes| codes.of(id));
        let Some(gathered) = Gathered::of(self, shop, id, &family, claims.as_ref())? else {
            return Ok(Err(unknown));
        };
        let account = gathered.held_by(&family, self.now).or(buyer.account);
        let of = Arc::clone(&self.shop);
        let found = facts::searches_with(self, &of, gathered.rule(), (buyer.account, self.now))?;
        let mut buyer = Customer { account, aliases: facts::aliases(&family), ..buyer.clone() };
        buyer.segments.extend(found);
        let Some(facts) = gathered.facts() else { return Ok(Err(unknown)) };
        Ok(decide_code(&facts, claim, &buyer, command, self.now))
    }

    // Orders.

    /// Lets an order use the codes that it brings, once each, and gives back what it no longer brings: all,
    /// where it is cancelled. The order itself is never refused for them.
    ///
    /// What was settled stays: a code that was renamed since, or removed and made anew for another rule, is
    /// still the one that the order has used.
    pub(super) fn settle_codes(
        &mut self,
        id: &OrderId,
        before: &OrderState,
        account: Option<AccountId>,
    ) -> Result<Vec<OrderCode>, Stop> {
        let now = self.load_order(id)?;
        let (Some(recorded), any) =
            (now.state.snapshot(), brings_codes(before) || brings_codes(&now.state))
        else {
            return Ok(Vec::new());
        };
        if !any {
            return Ok(Vec::new());
        }
        let cancelled = now.state.is_cancelled();
        let (mut seen, brought) =
            (BTreeSet::new(), recorded.order.codes.iter().filter(|_| !cancelled));
        let wanted: Vec<&Code> = brought.filter(|text| seen.insert(*text)).collect();
        let known = before.snapshot().filter(|_| !before.is_cancelled());
        let known: BTreeSet<&Code> =
            known.into_iter().flat_map(|known| &known.order.codes).collect();
        let claims = facts::order_codes(self, self.shop.id, id)?;
        let mut free: BTreeSet<CodeId> = claims.codes().collect();
        let (mut settled, mut gone) = (BTreeMap::new(), BTreeSet::new());
        for text in &known {
            let code = self
                .code_of_key(self.shop.id, text.key())?
                .filter(|code| free.remove(code));
            match code {
                Some(code) if seen.contains(text) => drop(settled.insert(*text, code)),
                Some(code) => drop(gone.insert(code)),
                None => {}
            }
        }
        let mut events = self.give_back(id, |code| cancelled || gone.contains(&code))?;
        let buyer = self.buyer(account)?;
        let mut codes = Vec::with_capacity(wanted.len());
        for text in wanted {
            // Its name can lead elsewhere now, or nowhere.
            let renamed = || free.first().copied().filter(|_| known.contains(text));
            let outcome = match settled.get(text).copied().or_else(renamed) {
                Some(code) => {
                    free.remove(&code);
                    Ok(code)
                }
                None => self.use_code(text, id, &now.state, &buyer, &mut events)?,
            };
            codes.push(OrderCode { text: text.clone(), outcome });
        }
        self.post(None, events)?;
        Ok(codes)
    }

    /// Lets an order use one code, if it may.
    fn use_code(
        &mut self,
        text: &Code,
        id: &OrderId,
        order: &OrderState,
        buyer: &Customer,
        events: &mut Vec<Event>,
    ) -> Result<Result<CodeId, CodeRejection>, Stop> {
        let recorded = order.snapshot();
        let checkout = recorded.and_then(|recorded| recorded.order.checkout.clone());
        let placed_at = recorded.and_then(|recorded| recorded.order.placed_at);
        let placed_at = placed_at.or_else(|| order.first_reached_at(Status::Processing));
        let command = CodeCommand::RecordUse { order: id.clone(), checkout: checkout.clone(), placed_at };
        Ok(match self.by_buyer(text, buyer, checkout.as_ref(), Some(id), &command)? {
            Ok(event) => {
                events.extend(event.map(Event::Discount));
                self.code_of_key(self.shop.id, text.key())?.ok_or(CodeRejection::Unknown)
            }
            Err(DiscountRejection::CodeRejected(refusal)) => Err(refusal),
            Err(_) => Err(CodeRejection::Unknown),
        })
    }

    /// What follows where an order no longer uses these codes.
    fn give_back(
        &mut self,
        order: &OrderId,
        which: impl Fn(CodeId) -> bool,
    ) -> Result<Vec<Event>, Stop> {
        let shop = self.shop.id;
        let claims = facts::order_codes(self, shop, order)?;
        let mut events = Vec::new();
        for code in claims.codes().filter(|code| which(*code)) {
            let Some(gathered) = Gathered::of(self, shop, code, &[], None)? else {
                continue;
            };
            let Some(facts) = gathered.facts() else { continue };
            let command = CodeCommand::ReturnUse { order: order.clone() };
            let event = decide_code(&facts, claims.of(code), &Customer::default(), &command, self.now);
            events.extend(event.map_err(|reason| refused(&reason))?.map(Event::Discount));
        }
        Ok(events)
    }

    /// What the index learns from an event. Asked before the event is folded.
    pub(super) fn index(&mut self, event: &DiscountEvent) -> Result<(), Failure> {
        let known = event
            .code()
            .map(|code| self.keyed(self.shop.id, &Key::Code(code)))
            .transpose()?
            .flatten();
        let known = |_| {
            let state = known.as_deref().and_then(code_state)?;
            Some((state.rule()?, state.code()?.key().to_owned()))
        };
        self.changes.indexed.extend(Indexed::of(event, known));
        Ok(())
    }
}

fn brings_codes(order: &OrderState) -> bool {
    order
        .snapshot()
        .is_some_and(|recorded| !recorded.order.codes.is_empty())
}

/// A refusal of what is about one code alone.
fn refused(reason: &DiscountRejection) -> Rejection {
    if *reason == DiscountRejection::UnknownPriceRule {
        Rejection::PriceRuleNotFound
    } else {
        Rejection::CodeNotFound
    }
}
