//! Merges of customers: a customer claims a guest's account, and a claim that is undone.

use std::sync::Arc;

use loyalty_core::account::Absorption;
use loyalty_core::program::EmailProof;
use loyalty_core::redemption::RedemptionState;
use loyalty_core::{AccountId, Command, Email, Event, Profile, merge};

use super::{EmailPolicy, ResolvedCustomer, TYPED, Transaction, TransactionError, TransactionView};
use crate::customer_ref::CustomerRef;
use crate::discount::lookup::DiscountView;
use crate::error::{Failure, Rejection};
use crate::merge::MergeReport;
use crate::profile_change::FieldChange;
use crate::projections::{MergedAccount, ProjectionKey, ProjectionState};
use crate::record::{CustomerRecord, MergedCustomer};
use crate::redemption::RedemptionView;
use crate::request::{EmailConflict, Existence, Receipt};
use crate::transact::CustomerChange;

impl<V: TransactionView> Transaction<'_, V> {
    /// Returns the change of a customer's e-mail to `email`. It stays with another customer
    /// who has it; a guest who has it is merged into the customer, if that is allowed.
    pub(super) fn claim_email(
        &mut self,
        account: AccountId,
        email: Email,
        (conflict, proof): EmailPolicy,
    ) -> Result<FieldChange<Email>, TransactionError> {
        let holder = self
            .view
            .account_by_email(self.shop.id, &email)?
            .filter(|holder| *holder != account);
        let holder = holder.map(|holder| self.load_customer(holder)).transpose()?.flatten();

        match holder {
            None => Ok(FieldChange::Set(Some(email))),
            Some(guest) if guest.id.is_none() => {
                if self.may_claim(account, guest.account, proof)? {
                    self.merge_customer(&guest, account)?;
                    Ok(FieldChange::Set(Some(email)))
                } else {
                    self.unclaimed_guest = Some(guest.account);
                    Ok(FieldChange::Keep)
                }
            }
            Some(_) if conflict == EmailConflict::Reject => Err(Rejection::EmailTaken.into()),
            Some(_) => Ok(FieldChange::Keep),
        }
    }

    /// Returns true if a customer claims a guest with this proof. A claim that the shop has
    /// undone needs a verified address.
    fn may_claim(
        &mut self,
        account: AccountId,
        guest: AccountId,
        proof: EmailProof,
    ) -> Result<bool, Failure> {
        let (_, program) = self.load_program(None)?;
        if !program.definition().guests.allows(proof) {
            return Ok(false);
        }
        let customer = self.load_customer(account)?;
        let was_undone = customer.is_some_and(|customer| {
            let mut claims = customer.merged.iter();
            claims.any(|claim| claim.account == guest && claim.undone_at.is_some())
        });
        Ok(!was_undone || proof == EmailProof::Verified)
    }

    /// Merges a customer into another one, who keeps a note of who they were.
    fn merge_customer(
        &mut self,
        customer: &Arc<CustomerRecord>,
        into: AccountId,
    ) -> Result<Option<Arc<Absorption>>, TransactionError> {
        // Scheduled events that are due belong to the accounts as they were before the
        // merge.
        for account in [customer.account, into] {
            self.run_command(Some(account), &Command::CatchUp)?;
        }

        let from = self.load_account(customer.account)?;
        let to = self.load_account(into)?;
        let now = self.now.max(from.at).max(to.at);
        let (from_events, into_events) =
            merge((customer.account, &from.account), (into, &to.account), now)?;
        let absorption = into_events.iter().find_map(|event| {
            if let Event::AccountAbsorbed(absorption) = event {
                Some(Arc::clone(absorption))
            } else {
                None
            }
        });
        self.append_events(Some(customer.account), from_events)?;
        self.append_events(Some(into), into_events)?;

        self.changes
            .customers
            .push(CustomerChange { before: Some(Arc::clone(customer)), after: None });
        let Some(before) = self.load_customer(into)? else {
            return Ok(absorption);
        };
        let mut after = (*before).clone();
        // A new customer is who the guest was, until the shop says more.
        if after.profile == Profile::default() {
            after.profile = customer.profile.clone();
            after.birthday_set_at = customer.birthday_set_at;
            after.attributes_changed_at = now;
        }
        after.merged.retain(|merged| merged.account != customer.account);
        after.merged.extend(customer.merged.iter().cloned());
        let points = from.account.balance(now);
        after.merged.push(MergedCustomer::new(customer, points, now));
        self.save_customer(before, after);
        Ok(absorption)
    }

    /// Merges a customer into another one, by the word of the shop.
    pub(super) fn merge_customers(
        &mut self,
        customer: &CustomerRef,
        from: &CustomerRef,
    ) -> Result<Receipt, TransactionError> {
        let found = self.resolve_customer(customer, Existence::Required, TYPED)?;
        let from = self.resolve_customer(from, Existence::Required, TYPED)?.account;
        let into = found.account;
        if from == into {
            return Err(Rejection::SameCustomer.into());
        }
        let merged = self.load_customer(from)?.ok_or(Rejection::CustomerNotFound)?;

        // What is due is decided first: the report shows what the merge alone brings.
        for account in [from, into] {
            self.run_command(Some(account), &Command::CatchUp)?;
        }
        let open = self.load_open_redemptions(from)?;
        let (from_account, before) = (self.load_account(from)?, self.load_account(into)?);
        let absorption = self.merge_customer(&merged, into)?;
        self.take_email(&merged, into)?;
        // Both histories can qualify for a higher tier.
        self.run_command(Some(into), &Command::CatchUp)?;

        let after = self.load_account(into)?;
        let report = absorption.map(|absorption| {
            let accounts = (&before.account, &after.account);
            Box::new(MergeReport::new(&absorption, &from_account.account, accounts, open, self.now))
        });
        Ok(Receipt { merge: report, ..self.build_receipt(Some(&found), None)? })
    }

    /// Gives a customer without an e-mail that of one who was merged into them.
    fn take_email(
        &mut self,
        merged: &CustomerRecord,
        into: AccountId,
    ) -> Result<(), TransactionError> {
        if let Some(before) = self.load_customer(into)?
            && before.email.is_none()
        {
            let after = CustomerRecord { email: merged.email.clone(), ..(*before).clone() };
            self.save_customer(before, after);
        }
        Ok(())
    }

    /// Returns the redemptions of an account that can be used.
    pub(super) fn load_open_redemptions(
        &mut self,
        account: AccountId,
    ) -> Result<Vec<RedemptionView>, TransactionError> {
        let shop = self.shop.id;
        let last = self.load_account(account)?.account.last_redemption();
        let (mut open, mut next) = (Vec::new(), last);
        while let Some(id) = next {
            let Some(view) = crate::redemption::find_redemption(self, shop, id)? else {
                break;
            };
            next = view.redemption.issue().previous;
            if view.redemption.state_at(self.now) == RedemptionState::Issued {
                open.push(view);
            }
        }
        Ok(open)
    }

    /// Undoes a claim: the guest's account is open again with what it brought, and has the
    /// address.
    pub(super) fn undo_claim(
        &mut self,
        customer: &CustomerRef,
        claim: AccountId,
    ) -> Result<Receipt, TransactionError> {
        let found = self.resolve_customer(customer, Existence::Required, TYPED)?;
        let into = found.account;
        let before = self.load_customer(into)?.ok_or(Rejection::ClaimNotFound)?;
        let mut after = (*before).clone();
        let merged = after.merged.iter_mut().find(|merged| {
            merged.account == claim && merged.id.is_none() && merged.undone_at.is_none()
        });
        let merged = merged.ok_or(Rejection::ClaimNotFound)?;
        let absorption = self.find_absorption(into, claim)?;
        let absorption = absorption.ok_or(loyalty_core::Rejection::ClaimSpent)?;

        let from_event = self.events.len();
        self.run_command(Some(into), &Command::UndoClaim { claim: absorption })?;
        let undone = self.events.iter().skip(from_event).find_map(|event| {
            if let Event::ClaimUndone(undone) = event { Some(Arc::clone(undone)) } else { None }
        });
        let undone = undone.ok_or_else(|| Failure::Corrupt("a claim was not undone".to_owned()))?;

        // The address belongs to one of the two: first it leaves the customer.
        let guest = merged.separate(self.shop.id, self.now);
        if after.email == guest.email {
            after.email = None;
        }
        if after.profile == guest.profile {
            after.profile = Profile::default();
            after.birthday_set_at = None;
            after.attributes_changed_at = self.now;
        }
        self.save_customer(before, after);
        self.changes
            .customers
            .push(CustomerChange { before: None, after: Some(Arc::new(guest)) });

        // The customer's receipt does not show the guest's events.
        let own_events = self.events.len();
        self.run_command(Some(claim), &Command::ReopenAccount { from: into, undone })?;
        self.events.truncate(own_events);

        let found = ResolvedCustomer { account: into, created: false, registered: false };
        self.build_receipt(Some(&found), None)
    }

    /// Returns what the merge of an account into another one brought, if that is known.
    fn find_absorption(
        &mut self,
        into: AccountId,
        from: AccountId,
    ) -> Result<Option<Arc<Absorption>>, Failure> {
        let key = ProjectionKey::MergedAccounts(into);
        let Some(record) = self.projection(self.shop.id, &key)? else {
            return Ok(None);
        };
        let ProjectionState::MergedAccounts(accounts) = &record.state else {
            return Ok(None);
        };
        let found = accounts.iter().find(|merged| merged.account() == from);
        Ok(found.and_then(|merged| match merged {
            MergedAccount::Claim(absorption) => Some(Arc::clone(absorption)),
            MergedAccount::Final(_) => None,
        }))
    }
}
