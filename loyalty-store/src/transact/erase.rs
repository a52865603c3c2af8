//! The erasure of a customer: at once in one transaction, and what follows in small ones.

use std::sync::Arc;

use loyalty_core::discount::DiscountEvent;
use loyalty_core::{
    AccountId, Command, CustomerId, Email, Event, OrderId, OrderState, PriceRuleId, ShopId,
};

use super::{StoredResponse, Transaction, TransactionError, TransactionView, upsert};
use crate::catalogue::CatalogueAction;
use crate::customer_ref::CustomerRef;
use crate::discount::index::IndexChange;
use crate::discount::lookup::DiscountView;
use crate::erasure::{Erasure, ErasureKey, ErasureStep, PersonHash, ResponseRef, Step};
use crate::error::{Failure, Rejection};
use crate::personal;
use crate::projections::{Projection, ProjectionKey, ProjectionState};
use crate::record::{JournalRow, OrderRecord};
use crate::request::{Receipt, Response};
use crate::transact::CustomerChange;

/// Reads of erasures.
pub(crate) trait ErasureView {
    /// The secret of the hashes.
    fn erasure_key(&mut self) -> Result<Arc<ErasureKey>, Failure>;
    /// Returns `false` if no customer was ever erased, so that nothing need be hashed.
    fn has_erasures(&mut self) -> bool;
    /// Returns the last erasure of a person with an id or e-mail of this hash.
    fn erasure(&mut self, shop: ShopId, hash: &PersonHash)
    -> Result<Option<Arc<Erasure>>, Failure>;
}

/// What a transaction writes anew in another form: rows of the journal without a person's
/// words, with the states that are folds of them, and stored responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rewrites {
    pub(crate) rows: Vec<Arc<JournalRow>>,
    pub(crate) orders: Vec<(OrderId, Arc<OrderRecord>)>,
    pub(crate) projections: Vec<(ProjectionKey, Arc<Projection>)>,
    /// Each with its number, and `true` if it is what its key finds.
    pub(crate) responses: Vec<(i64, StoredResponse, bool)>,
}

impl Rewrites {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.responses.is_empty()
    }
}

/// Returns a report of an order without free text; `None` for one that has none.
pub(super) fn without_free_text(command: &Command) -> Option<Command> {
    let Command::RecordOrder { order, snapshot, status, at, origin } = command else {
        return None;
    };
    Some(Command::RecordOrder {
        order: order.clone(),
        snapshot: Arc::new(snapshot.without_attributes()),
        status: *status,
        at: *at,
        origin: *origin,
    })
}

impl<V: TransactionView> Transaction<'_, V> {
    /// Returns `true` if the customer of an account was erased.
    pub(super) fn is_erased(&mut self, account: AccountId) -> Result<bool, Failure> {
        Ok(self.load_account(account)?.account.erased_at().is_some())
    }

    /// Returns the erasure of the person that a reference names; `None` if it finds a customer.
    pub(super) fn find_erasure(
        &mut self,
        customer: &CustomerRef,
    ) -> Result<Option<Arc<Erasure>>, Failure> {
        if !self.view.has_erasures() || self.find_account(customer)?.is_some() {
            return Ok(None);
        }
        let (shop, key) = (self.shop.id, self.view.erasure_key()?);
        let hash = match customer {
            CustomerRef::Id(id) | CustomerRef::Both(id, _) => key.hash_id(shop, id.as_str()),
            CustomerRef::Email(email) => key.hash_email(shop, email),
        };
        self.view.erasure(shop, &hash)
    }

    fn find_account(&mut self, customer: &CustomerRef) -> Result<Option<AccountId>, Failure> {
        match customer {
            CustomerRef::Id(id) | CustomerRef::Both(id, _) => {
                self.view.account_by_id(self.shop.id, id)
            }
            CustomerRef::Email(email) => self.view.account_by_email(self.shop.id, email),
        }
    }

    /// Erases a customer: who they are, their points, and the codes that they have not used.
    /// Their orders stay, as orders of nobody who can be found.
    pub(super) fn erase_customer(
        &mut self,
        customer: &CustomerRef,
    ) -> Result<Receipt, TransactionError> {
        let Some(account) = self.find_account(customer)? else {
            let erasure = self.find_erasure(customer)?.ok_or(Rejection::CustomerNotFound)?;
            return Ok(Receipt { erasure: Some(erasure), ..self.build_receipt(None, None)? });
        };
        let record = self.load_customer(account)?.ok_or(Rejection::CustomerNotFound)?;
        let merged = record.merged.iter().filter(|merged| merged.undone_at.is_none());
        let merged: Vec<_> = merged.map(|merged| merged.account).collect();

        // What was due before belongs to the books.
        self.run_command(Some(account), &Command::CatchUp)?;
        let mut redemptions = 0_u32;
        for owner in std::iter::once(&account).chain(&merged) {
            for open in self.load_open_redemptions(*owner)? {
                let void = Command::VoidRedemption { redemption: open.id() };
                self.run_command(Some(account), &void)?;
                self.update_redemption_code(open.id())?;
                redemptions = redemptions.saturating_add(1);
            }
        }
        let before = self.load_account(account)?;
        let points = before.account.balance(self.now.max(before.at));
        self.run_command(Some(account), &Command::EraseAccount)?;
        self.changes
            .customers
            .push(CustomerChange { before: Some(Arc::clone(&record)), after: None });

        let key = self.view.erasure_key()?;
        let erasure = Erasure::new(&record, merged, &key, self.now);
        let erasure = Arc::new(Erasure { points, redemptions, ..erasure });
        self.changes.erasures.push(Arc::clone(&erasure));
        // The receipt names nobody.
        self.events.clear();
        Ok(Receipt { erasure: Some(erasure), ..self.build_receipt(None, None)? })
    }

    /// Writes what a pass of an erasure has found.
    pub(super) fn continue_erasure(
        &mut self,
        ErasureStep(step): ErasureStep,
    ) -> Result<Receipt, TransactionError> {
        match step {
            Step::Rows { erasure, rows } => self.rewrite_rows(&erasure, rows)?,
            Step::RuleEmails { erasure, rule } => self.remove_rule_emails(&erasure, rule)?,
            Step::Search(number) => {
                self.perform_catalogue(CatalogueAction::DeleteSearch(number))?;
            }
            Step::Responses(responses) => {
                for response in responses {
                    self.remove_response(response)?;
                }
            }
            Step::Complete(erasure) => {
                let at = Some(self.now.max(erasure.erased_at));
                let completed = Erasure { completed_at: at, ..(*erasure).clone() };
                self.changes.erasures.push(Arc::new(completed.without_names()));
            }
        }
        self.build_receipt(None, None)
    }

    /// Removes the content of a response. A replay still finds that the request was made.
    fn remove_response(&mut self, response: ResponseRef) -> Result<(), Failure> {
        let ResponseRef { number, key, fingerprint, at } = response;
        let shop = self.shop.id;
        let found = self.view.stored_response(shop, &key, self.now)?;
        let is_current =
            found.is_some_and(|found| (found.fingerprint, found.at) == (fingerprint, at));
        let response = Response { status: StoredResponse::ERASED_STATUS, body: Vec::new() };
        let erased = StoredResponse { shop, key, fingerprint, at, response };
        self.changes.rewrites.responses.push((number, erased, is_current));
        Ok(())
    }

    /// Replaces rows by others that say the same in their numbers, and folds them again into
    /// the states that repeat their words. No state gets another position.
    fn rewrite_rows(
        &mut self,
        erasure: &Erasure,
        rows: Vec<Arc<JournalRow>>,
    ) -> Result<(), Failure> {
        let placeholder = erasure.placeholder()?;
        let key = self.view.erasure_key()?;
        for row in &rows {
            for event in row.events.iter() {
                if let Event::OrderRecorded { order, snapshot: Some(_), .. } = event {
                    self.rewrite_order(order, personal::redact_content)?;
                } else if let Event::OrderPinned { order, .. } = event {
                    self.rewrite_order(order, personal::redact_pin)?;
                } else if let Event::Discount(DiscountEvent::PriceRuleSaved { rule, .. }) = event {
                    let is_person =
                        |id: &CustomerId| erasure.has_hash(&key.hash_id(erasure.shop, id.as_str()));
                    self.rewrite_rule(*rule, is_person, &placeholder)?;
                }
            }
        }
        self.changes.rewrites.rows.extend(rows);
        Ok(())
    }

    fn rewrite_order(
        &mut self,
        id: &OrderId,
        redact: impl Fn(&OrderState) -> OrderState,
    ) -> Result<(), Failure> {
        let known = self.changes.rewrites.orders.iter().find(|(known, _)| known == id);
        let record = match known {
            Some((_, record)) => Arc::clone(record),
            None => self.load_order(id)?,
        };
        let state = redact(&record.state);
        let record = Arc::new(OrderRecord { state, ..Arc::unwrap_or_clone(record) });
        upsert(&mut self.changes.rewrites.orders, id.clone(), record);
        Ok(())
    }

    fn rewrite_rule(
        &mut self,
        id: PriceRuleId,
        is_person: impl Fn(&CustomerId) -> bool,
        placeholder: &CustomerId,
    ) -> Result<(), Failure> {
        let key = ProjectionKey::Rule(id);
        let Some(record) = self.projection(self.shop.id, &key)? else {
            return Ok(());
        };
        let ProjectionState::Rule(state) = &record.state else {
            return Ok(());
        };
        let Some(rule) = state
            .rule()
            .and_then(|rule| rule.replace_customers(is_person, placeholder))
        else {
            return Ok(());
        };
        let state = ProjectionState::Rule(state.clone().with_rule(rule));
        let record = Arc::new(Projection { state, ..Arc::unwrap_or_clone(record) });
        upsert(&mut self.changes.rewrites.projections, key, record);
        Ok(())
    }

    fn remove_rule_emails(&mut self, erasure: &Erasure, rule: PriceRuleId) -> Result<(), Failure> {
        let (shop, key) = (self.shop.id, self.view.erasure_key()?);
        let emails = self.rule_emails(shop, rule)?;
        let is_other = |email: &&Email| !erasure.has_hash(&key.hash_email(shop, email));
        let left: Vec<_> = emails.iter().filter(is_other).cloned().collect();
        if left.len() < emails.len() {
            self.changes
                .index_changes
                .push(IndexChange::PutEmails(rule, left.into()));
        }
        Ok(())
    }
}

impl StoredResponse {
    /// The status of a response whose content was erased.
    pub(crate) const ERASED_STATUS: u16 = 410;
}
