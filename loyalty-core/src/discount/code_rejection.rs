//! The reasons why a code does not apply.

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::code::Code;

/// The reason why a code does not apply to a cart, or cannot be reserved or used.
///
/// Its `Display` text and [`CodeRejection::code`] are for the shop. Customers may only see
/// [`CodeRejection::public_text`] and [`CodeRejection::public_code`], which do not reveal
/// whether a secret code exists.
///
/// # Example: texts for the shop and for customers
/// ```
/// use loyalty_core::discount::CodeRejection;
/// assert_eq!(CodeRejection::UsedUp.to_string(), "the code has reached its usage limit");
/// assert_eq!(CodeRejection::UsedUp.public_text(), "the code is not valid");
/// assert_eq!(CodeRejection::Unknown.public_text(), "the code is not valid");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeRejection {
    /// The code is once per customer, and this one has used or reserved it.
    #[error("this customer has already used the code or reserved it in another checkout")]
    AlreadyUsed,
    /// The rule does not discount shipping to the country of the cart.
    #[error("the code does not discount shipping to this country")]
    CountryNotEntitled,
    /// The rule does not admit the customer.
    #[error("the code is not available to this customer")]
    CustomerNotEligible,
    /// The rule depends on the customer, who is unknown.
    #[error("the code requires a customer or an e-mail address")]
    CustomerRequired,
    /// The code was switched off or removed, or its rule was deleted.
    #[error("the code is switched off")]
    Disabled,
    /// The same code appears earlier in the cart.
    #[error("the code was entered twice; it counts once")]
    Duplicate,
    /// The validity of the rule has ended.
    #[error("the code ended at {since}")]
    Expired {
        /// The rule's `ends_at`.
        since: Timestamp,
    },
    /// One of the codes does not combine with others.
    #[error("{with} does not combine with other codes")]
    IndividualUse {
        /// The code that does not combine.
        with: Code,
    },
    /// The entitled lines have too few units.
    #[error("{need} entitled units are needed, but the cart has {have}")]
    MinimumQuantity {
        /// Minimum number of units.
        need: u64,
        /// Number of units in the cart.
        have: u64,
    },
    /// The entitled lines cost too little.
    #[error("entitled lines must total {need}, but the cart has {have}")]
    MinimumSubtotal {
        /// Minimum subtotal.
        need: Amount,
        /// Subtotal of the cart before any discount.
        have: Amount,
    },
    /// No line of the cart is entitled.
    #[error("the code does not discount anything in the cart")]
    NoEntitledLines,
    /// The cart has no shipping lines.
    #[error("the cart has no shipping to discount")]
    NoShippingLines,
    /// The validity of the rule has not begun.
    #[error("the code starts at {from}")]
    NotYetValid {
        /// The rule's `starts_at`.
        from: Timestamp,
    },
    /// The program's stacking policy selects another code.
    #[error("the code does not combine with {with}, which applies instead")]
    NotCombined {
        /// The code that applies instead.
        with: Code,
    },
    /// Buy X get Y: the cart does not contain X and Y.
    #[error("the cart does not contain both the required and the discounted items")]
    PrerequisitesNotMet,
    /// Another code of the same rule appears earlier in the cart.
    #[error("{with} belongs to the same price rule; only one code of a rule applies")]
    SameRule {
        /// The code that applies instead.
        with: Code,
    },
    /// Every shipping line costs more than the rule's maximum.
    #[error("shipping costs more than the {maximum} that the code covers")]
    ShippingPriceAboveMaximum {
        /// The rule's `prerequisite_shipping_price_range`.
        maximum: Amount,
    },
    /// The shop has no such code.
    #[error("there is no such code")]
    Unknown,
    /// The uses and active reservations have reached the limit.
    #[error("the code has reached its usage limit")]
    UsedUp,
}

impl CodeRejection {
    /// The stable code of the reason, for the shop only.
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

    /// Returns true if the shop has no such code: it was mistyped or guessed.
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }

    /// Returns true if the reason would reveal that the code exists or was correctly guessed.
    /// Customers get the same code and text for all these reasons.
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

    /// The stable code for customers.
    pub fn public_code(&self) -> &'static str {
        if self.is_secret() { "code_not_valid" } else { self.code() }
    }

    /// The text for customers.
    pub fn public_text(&self) -> String {
        if self.is_secret() { "the code is not valid".to_owned() } else { self.to_string() }
    }
}
