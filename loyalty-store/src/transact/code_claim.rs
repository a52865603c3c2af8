//! Codes that belong to one account of a shop: referral codes, and manual codes that were
//! entered. A code is claimed in the transaction that uses it.

use std::sync::Arc;

use loyalty_core::program::{EmailProof, normalize_code};
use loyalty_core::{AccountId, AwardReason, Command, Event, ReferralParty, ShopId};

use super::{Transaction, TransactionError, TransactionView};
use crate::customer_ref::CustomerRef;
use crate::error::{Failure, Rejection};
use crate::profile_change::ProfileChange;
use crate::request::{EmailConflict, Existence, Receipt};

/// A code that belongs to one account of a shop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CodeClaim {
    /// A normalized manual code.
    Manual(Arc<str>),
    /// A referral code.
    Referral(Arc<str>),
}

impl CodeClaim {
    /// Returns the code that an event claims, if any.
    pub(crate) fn from_event(event: &Event) -> Option<Self> {
        if let Event::ReferralCodeIssued { code, .. } = event {
            Some(Self::Referral(Arc::clone(code)))
        } else if let Event::AwardGiven { award, .. } = event
            && let AwardReason::Code { code, .. } = &award.reason
        {
            Some(Self::Manual(Arc::clone(code)))
        } else {
            None
        }
    }

    /// Normalizes a referral code as typed.
    fn from_typed(code: &str) -> Self {
        Self::Referral(code.trim().to_uppercase().into())
    }
}

/// Reads of claimed codes.
pub(crate) trait CodeClaimView {
    fn find_claimant(
        &mut self,
        shop: ShopId,
        claim: &CodeClaim,
    ) -> Result<Option<AccountId>, Failure>;
}

impl<V: TransactionView> Transaction<'_, V> {
    /// Returns a command with the facts that only the store has, or `None` if it needs
    /// none.
    pub(super) fn complete_command(
        &mut self,
        command: &Command,
    ) -> Result<Option<Command>, Failure> {
        let Command::EnterCode { code, .. } = command else {
            return Ok(None);
        };
        let used_by_other = self
            .find_claimant(&CodeClaim::Manual(normalize_code(code).into()))?
            .is_some();
        Ok(Some(Command::EnterCode { code: Arc::clone(code), used_by_other }))
    }

    /// Returns the command with other entropy if its events would claim a code that is
    /// taken.
    pub(super) fn redraw_if_taken(
        &mut self,
        command: &Command,
        events: &[Event],
    ) -> Result<Option<Command>, Failure> {
        let Command::IssueReferralCode { entropy } = command else {
            return Ok(None);
        };
        for event in events {
            if let Some(claim @ CodeClaim::Referral(_)) = CodeClaim::from_event(event)
                && self.find_claimant(&claim)?.is_some()
            {
                // The next number after the entropy, read as 80 bits.
                let mut bytes = [0; 16];
                bytes
                    .iter_mut()
                    .skip(6)
                    .zip(entropy)
                    .for_each(|(to, from)| *to = *from);
                let next = u128::from_be_bytes(bytes).wrapping_add(1).to_be_bytes();
                let mut entropy = [0; 10];
                entropy
                    .iter_mut()
                    .zip(next.iter().skip(6))
                    .for_each(|(to, from)| *to = *from);
                return Ok(Some(Command::IssueReferralCode { entropy }));
            }
        }
        Ok(None)
    }

    /// Claims the codes of events for an account. A manual code that every customer may
    /// enter stays with the first: such a claim limits no one.
    pub(super) fn claim_codes(
        &mut self,
        account: AccountId,
        events: &[Event],
    ) -> Result<(), Failure> {
        for claim in events.iter().filter_map(CodeClaim::from_event) {
            if self.find_claimant(&claim)?.is_none() {
                self.changes.claims.push((claim, account));
            }
        }
        Ok(())
    }

    fn find_claimant(&mut self, claim: &CodeClaim) -> Result<Option<AccountId>, Failure> {
        match self.changes.claims.iter().find(|(known, _)| known == claim) {
            Some((_, account)) => Ok(Some(*account)),
            None => self.view.find_claimant(self.shop.id, claim),
        }
    }

    /// Records that a customer was referred by the owner of a code.
    pub(super) fn join_referral(
        &mut self,
        customer: &CustomerRef,
        change: ProfileChange,
        code: &str,
    ) -> Result<Receipt, TransactionError> {
        let email_policy = (EmailConflict::Reject, EmailProof::Typed);
        let found = self.resolve_customer(customer, Existence::Required, email_policy)?;
        self.change_profile(found.account, change, email_policy)?;

        let referrer = self
            .find_claimant(&CodeClaim::from_typed(code))?
            .ok_or(Rejection::ReferralCodeNotFound)?;
        let referrer = self.resolve_merged(referrer)?;
        if self.is_erased(referrer)? {
            return Err(Rejection::ReferralCodeNotFound.into());
        }

        let referee = self.load_party(found.account)?;
        let referrer = self.load_party(referrer)?;
        self.run_command(Some(found.account), &Command::JoinReferral { referee, referrer })?;

        self.build_receipt(Some(&found), None)
    }

    fn load_party(&mut self, account: AccountId) -> Result<ReferralParty, Failure> {
        let customer = self.load_customer(account)?;
        let email = customer.as_ref().and_then(|customer| customer.email.clone());
        let household = customer
            .map(|customer| customer.household.clone())
            .unwrap_or_default();
        Ok(ReferralParty { account, email, household })
    }
}
