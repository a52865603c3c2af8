//! Rejections, where the answer is no, apart from failures, where something broke.

use loyalty_core::discount::{Cart, CodeRejection, DiscountRejection};
use loyalty_core::{Fault, ProgramVersion};

use crate::discount::DiscountAction;

/// A request that was understood and refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No such code of this rule.
    #[error("there is no such discount code")]
    CodeNotFound,
    /// A code cannot be used.
    #[error("{reason}")]
    CodeRejected {
        /// Which of the codes of the request, counted from 0.
        index: usize,
        /// Why.
        #[source]
        reason: DiscountRejection,
    },
    /// The shop has a code of this text.
    #[error("the shop has a code of this text already; case does not matter")]
    CodeTaken,
    /// No such category.
    #[error("there is no such category")]
    CategoryNotFound,
    /// A customer of this id is there already.
    #[error("a customer with this id or e-mail exists already")]
    CustomerExists,
    /// No such customer.
    #[error("there is no such customer")]
    CustomerNotFound,
    /// The e-mail belongs to another customer.
    #[error("this e-mail belongs to another customer")]
    EmailTaken,
    /// The idempotency key came before with another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// A price rule contradicts itself, or what the catalogue says of its products.
    #[error("the price rule has faults: {}", .0.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>().join(", "))]
    InvalidPriceRule(Vec<Fault>),
    /// The order belongs to another customer.
    #[error("the order belongs to another customer")]
    OrderOfAnotherCustomer,
    /// No such price rule.
    #[error("there is no such price rule")]
    PriceRuleNotFound,
    /// What was read has changed since.
    #[error("it has changed since it was read")]
    PreconditionFailed,
    /// No such product.
    #[error("there is no such product")]
    ProductNotFound,
    /// The program has changed since it was read.
    #[error("version {current} of the program was published in between")]
    ProgramChanged {
        /// The version in force.
        current: ProgramVersion,
    },
    /// No such redemption.
    #[error("there is no such redemption")]
    RedemptionNotFound,
    /// Another saved search has this name.
    #[error("another saved search has this name")]
    SavedSearchNameTaken,
    /// No such saved search.
    #[error("there is no such saved search")]
    SavedSearchNotFound,
    /// Nobody has this referral code.
    #[error("there is no such referral code")]
    ReferralCodeNotFound,
    /// The rules said no.
    #[error(transparent)]
    Rules(#[from] loyalty_core::Rejection),
    /// More codes than one checkout or one batch can have.
    #[error(
        "these are too many codes: a checkout holds at most {}, a batch {}",
        Cart::MAX_CODES,
        DiscountAction::MAX_BATCH
    )]
    TooManyCodes,
}

impl Rejection {
    /// Why a code cannot be used, where that is it.
    pub fn refusal(&self) -> Option<&CodeRejection> {
        if let Self::CodeRejected { reason: DiscountRejection::CodeRejected(refusal), .. } = self {
            Some(refusal)
        } else {
            None
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CodeNotFound => "code_not_found",
            Self::CodeRejected { reason, .. } => reason.code(),
            Self::CodeTaken => "code_taken",
            Self::CategoryNotFound => "category_not_found",
            Self::CustomerExists => "customer_exists",
            Self::CustomerNotFound => "customer_not_found",
            Self::EmailTaken => "email_taken",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::InvalidPriceRule(_) => "invalid_price_rule",
            Self::OrderOfAnotherCustomer => "order_of_another_customer",
            Self::PriceRuleNotFound => "price_rule_not_found",
            Self::PreconditionFailed => "precondition_failed",
            Self::ProductNotFound => "product_not_found",
            Self::ProgramChanged { .. } => "program_changed",
            Self::RedemptionNotFound => "redemption_not_found",
            Self::ReferralCodeNotFound => "referral_code_not_found",
            Self::SavedSearchNameTaken => "saved_search_name_taken",
            Self::SavedSearchNotFound => "saved_search_not_found",
            Self::Rules(rejection) => rejection.code(),
            Self::TooManyCodes => "too_many_codes",
        }
    }
}

/// Something broke. The texts are for operators, not for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// More requests wait than are accepted. Try again shortly.
    #[error("too many requests wait for the store")]
    Busy,
    /// Stored data that cannot be read. Do not try again.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The file was written by a newer program.
    #[error(
        "the database has format {found}, but this program knows formats up to {supported}; use a newer program"
    )]
    NewerFormat {
        /// The file's format.
        found: i64,
        /// The newest format that this program knows.
        supported: i64,
    },
    /// Nothing happened; try again when the cause is gone.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A commit whose answer was lost: it may have happened. The same request with the same idempotency
    /// key settles it.
    #[error("the outcome is unknown: {0}")]
    UnknownOutcome(String),
}
