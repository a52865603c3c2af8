//! Names of which a shop has each only once: referral codes, and manual codes that work once. Who claims
//! one does so in the transaction that uses it.

use std::sync::Arc;

use loyalty_core::program::normalize_code;
use loyalty_core::{AccountId, Command, Event, ReferralParty, AwardReason, ShopId};

use super::{Stop, Transaction, View};
use crate::error::{Failure, Rejection};
use crate::request::{EmailConflict, Presence, ProfileChange, Receipt, Who};

/// A name that one account of a shop has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    /// A manual code, folded.
    Code(Arc<str>),
    /// A code to be given to friends.
    Referral(Arc<str>),
}

impl Claim {
    /// What an event claims.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        if let Event::ReferralCodeIssued { code, .. } = event {
            Some(Self::Referral(Arc::clone(code)))
        } else if let Event::AwardGiven { award, .. } = event
            && let AwardReason::Code { code, .. } = &award.reason
        {
            Some(Self::Code(Arc::clone(code)))
        } else {
            None
        }
    }

    /// A referral code as somebody types it.
    fn typed(code: &str) -> Self {
        Self::Referral(code.trim().to_uppercase().into())
    }
}

/// What a transaction reads of claims.
pub(crate) trait Claims {
    fn claimed(&mut self, shop: ShopId, claim: &Claim) -> Result<Option<AccountId>, Failure>;
}

impl<V: View> Transaction<'_, V> {
    /// A command with what only the store can know.
    pub(super) fn informed(&mut self, command: &Command) -> Result<Option<Command>, Failure> {
        let Command::EnterCode { code, .. } = command else {
            return Ok(None);
        };
        let taken = self.claimed(&Claim::Code(normalize_code(code).into()))?.is_some();
        Ok(Some(Command::EnterCode { code: Arc::clone(code), used_by_other: taken }))
    }

    /// Another draw, where the events would claim what somebody has.
    pub(super) fn redrawn(
        &mut self,
        command: &Command,
        events: &[Event],
    ) -> Result<Option<Command>, Failure> {
        let Command::IssueReferralCode { entropy } = command else {
            return Ok(None);
        };
        for event in events {
            if let Some(claim @ Claim::Referral(_)) = Claim::of(event)
                && self.claimed(&claim)?.is_some()
            {
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

    /// Notes what events claim. The first to use a code that all can use has it, which hurts nobody.
    pub(super) fn note_claims(
        &mut self,
        account: AccountId,
        events: &[Event],
    ) -> Result<(), Failure> {
        for claim in events.iter().filter_map(Claim::of) {
            if self.claimed(&claim)?.is_none() {
                self.changes.claims.push((claim, account));
            }
        }
        Ok(())
    }

    fn claimed(&mut self, claim: &Claim) -> Result<Option<AccountId>, Failure> {
        match self.changes.claims.iter().find(|(known, _)| known == claim) {
            Some((_, account)) => Ok(Some(*account)),
            None => self.view.claimed(self.shop.id, claim),
        }
    }

    /// A customer came by the code of a friend.
    pub(super) fn join(
        &mut self,
        who: &Who,
        change: ProfileChange,
        code: &str,
    ) -> Result<Receipt, Stop> {
        let found = self.find(who, Presence::Must, EmailConflict::Refuse)?;
        self.change(found.account, change, EmailConflict::Refuse)?;
        let friend = self
            .claimed(&Claim::typed(code))?
            .ok_or(Rejection::ReferralCodeNotFound)?;
        let friend = self.follow(friend)?;
        let (own, friend) = (self.party(found.account)?, self.party(friend)?);
        self.command(Some(found.account), &Command::JoinReferral { referee: own, referrer: friend })?;
        self.receipt(Some(&found), None)
    }

    fn party(&mut self, account: AccountId) -> Result<ReferralParty, Failure> {
        let customer = self.load_customer(account)?;
        let email = customer.as_ref().and_then(|customer| customer.email.clone());
        let household = customer
            .map(|customer| customer.household.clone())
            .unwrap_or_default();
        Ok(ReferralParty { account, email, household })
    }
}
