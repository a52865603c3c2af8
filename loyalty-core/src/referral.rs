//! Referrals: who may refer whom, and the codes for it.
//!
//! A customer, the referrer, refers another, the referee. Each account is decided by
//! itself, in one transaction of the store: the referee's order leads to
//! [`Decision::follow_ups`](crate::Decision::follow_ups) for the referrer's account. The
//! id of that order is the key of a referral.

use std::collections::BTreeSet;

use crate::customer::Email;
use crate::id::AccountId;

/// One side of a referral. Personal data: it is compared and forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferralParty {
    /// The account.
    pub account: AccountId,
    /// The e-mail address, if known.
    pub email: Option<Email>,
    /// Signs of the household, as the shop sends them: a device, an address, a card.
    pub household: BTreeSet<String>,
}

/// Why one customer cannot refer another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferralRejection {
    /// The referee has ordered before, or was referred by another customer.
    #[error("the customer is known already")]
    ExistingCustomer,
    /// Both have the same mailbox, however it is spelled.
    #[error("both have the same e-mail address")]
    SameAddress,
    /// Both share a sign of their household.
    #[error("both are of the same household")]
    SameHousehold,
    /// Both are the same account.
    #[error("nobody can bring themselves")]
    SelfReferral,
}

impl ReferralRejection {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExistingCustomer => "existing_customer",
            Self::SameAddress => "same_address",
            Self::SameHousehold => "same_household",
            Self::SelfReferral => "oneself",
        }
    }
}

impl ReferralParty {
    /// Checks whether this customer may refer the other.
    ///
    /// # Errors
    /// The [`ReferralRejection`] if both are one customer or one household.
    pub fn may_refer(&self, other: &Self) -> Result<(), ReferralRejection> {
        let mailbox = |party: &Self| party.email.as_ref().map(Email::mailbox);
        if self.account == other.account {
            Err(ReferralRejection::SelfReferral)
        } else if mailbox(self).is_some() && mailbox(self) == mailbox(other) {
            Err(ReferralRejection::SameAddress)
        } else if !self.household.is_disjoint(&other.household) {
            Err(ReferralRejection::SameHousehold)
        } else {
            Ok(())
        }
    }
}

/// A code of 16 letters and digits without look-alikes: the 80 bits of `entropy`, five
/// for each.
pub(crate) fn generate_code(entropy: [u8; 10]) -> String {
    const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let bits = entropy
        .iter()
        .fold(0_u128, |bits, byte| bits.wrapping_shl(8) | u128::from(*byte));
    let letter = |place: u32| {
        let index = usize::try_from(bits.wrapping_shr(place.saturating_mul(5)) & 31).unwrap_or(0);
        LETTERS.get(index).map_or('2', |letter| char::from(*letter))
    };
    (0..16).rev().map(letter).collect()
}
