//! Why a code does not apply.

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::code::Code;

/// Why a code takes nothing off a cart, or cannot be reserved or used. Its code and text are for whoever holds
/// the shop's key; [`Refusal::public_code`] and [`Refusal::public_text`] are what a shopper may learn.
///
/// # Example: the shop learns why, a shopper only that
/// ```
/// use loyalty_core::discount::Refusal;
/// assert_eq!(Refusal::UsedUp.to_string(), "the code has been used up");
/// assert_eq!(Refusal::UsedUp.public_text(), Refusal::Unknown.public_text());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeRejection {
    /// Once per customer, and this one has used it or holds it in another checkout.
    #[error("this customer has used the code already, or holds it in another checkout")]
    AlreadyUsed,
    /// The cart goes to a country that the rule is not for.
    #[error("shipping to this country is not discounted by the code")]
    CountryNotEntitled,
    /// The rule is for other customers.
    #[error("the code is for other customers")]
    CustomerNotEligible,
    /// The rule asks who buys, and nobody says it.
    #[error("the code needs a customer or an e-mail address")]
    CustomerRequired,
    /// The code was switched off or removed, or its rule was deleted.
    #[error("the code is switched off")]
    Disabled,
    /// The same code stands in the cart before.
    #[error("the code was entered twice; it counts once")]
    Duplicate,
    /// Over since.
    #[error("the code ended at {since}")]
    Expired {
        /// The rule's `ends_at`.
        since: Timestamp,
    },
    /// A code that does not combine with others.
    #[error("{with} does not combine with other codes")]
    IndividualUse {
        /// The code that applies instead.
        with: Code,
    },
    /// The entitled lines hold too few units.
    #[error("{need} entitled units are needed, but the cart has {have}")]
    MinimumQuantity {
        /// How many are needed.
        need: u64,
        /// How many there are.
        have: u64,
    },
    /// The entitled lines cost too little.
    #[error("entitled lines of {need} are needed, but the cart has {have}")]
    MinimumSubtotal {
        /// What is needed.
        need: Amount,
        /// What there is, before any discount.
        have: Amount,
    },
    /// Nothing in the cart is entitled.
    #[error("nothing in the cart is discounted by the code")]
    NoEntitledLines,
    /// The cart has no shipping.
    #[error("the cart has no shipping to be discounted")]
    NoShippingLines,
    /// Not before.
    #[error("the code starts at {from}")]
    NotYetValid {
        /// The rule's `starts_at`.
        from: Timestamp,
    },
    /// The program's stacking policy prefers another code.
    #[error("only some codes combine, and {with} applies instead")]
    NotCombined {
        /// The code that applies instead.
        with: Code,
    },
    /// Buy X get Y: the cart does not hold X and Y.
    #[error("the cart does not hold what must be bought and what is got for it")]
    PrerequisitesNotMet,
    /// Another code of the same rule stands before.
    #[error("{with} is of the same rule; one of them applies")]
    SameRule {
        /// The code that counts.
        with: Code,
    },
    /// Every shipping line costs more than the rule pays for.
    #[error("shipping costs more than the {maximum} that the code covers")]
    ShippingPriceAboveMaximum {
        /// The rule's `prerequisite_shipping_price_range`.
        maximum: Amount,
    },
    /// No such code.
    #[error("there is no such code")]
    Unknown,
    /// Its uses and live reservations have reached its limit.
    #[error("the code has been used up")]
    UsedUp,
}

impl CodeRejection {
    /// The stable code, for the shop's own key.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyUsed => "already_used_by_customer",
            Self::CountryNotEntitled => "country_not_entitled",
            Self::CustomerNotEligible => "customer_not_eligible",
            Self::CustomerRequired => "customer_required",
            Self::Disabled => "disabled",
            Self::Duplicate => "duplicate_code",
            Self::Expired { .. } => "expired",
            Self::IndividualUse { .. } => "individual_use",
            Self::MinimumQuantity { .. } => "minimum_quantity_not_met",
            Self::MinimumSubtotal { .. } => "minimum_subtotal_not_met",
            Self::NoEntitledLines => "no_entitled_lines",
            Self::NoShippingLines => "no_shipping_lines",
            Self::NotCombined { .. } => "not_combined",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::PrerequisitesNotMet => "prerequisites_not_met",
            Self::SameRule { .. } => "same_rule",
            Self::ShippingPriceAboveMaximum { .. } => "shipping_price_above_maximum",
            Self::Unknown => "unknown_code",
            Self::UsedUp => "used_up",
        }
    }

    /// Whether the reason would tell a guesser that the code exists: the public gets one answer for all of them.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::AlreadyUsed
            | Self::CustomerNotEligible
            | Self::CustomerRequired
            | Self::Disabled
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::Unknown
            | Self::UsedUp => true,
            Self::CountryNotEntitled
            | Self::Duplicate
            | Self::IndividualUse { .. }
            | Self::MinimumQuantity { .. }
            | Self::MinimumSubtotal { .. }
            | Self::NoEntitledLines
            | Self::NoShippingLines
            | Self::NotCombined { .. }
            | Self::PrerequisitesNotMet
            | Self::SameRule { .. }
            | Self::ShippingPriceAboveMaximum { .. } => false,
        }
    }

    /// The stable code of what the public may learn.
    pub fn public_code(&self) -> &'static str {
        if self.is_secret() { "code_not_valid" } else { self.code() }
    }

    /// The same in words.
    pub fn public_text(&self) -> String {
        if self.is_secret() { "the code is not valid".to_owned() } else { self.to_string() }
    }
}
