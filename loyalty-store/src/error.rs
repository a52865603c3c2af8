//! Errors of requests: a [`Rejection`] is a decision, a [`Failure`] a technical fault.

use loyalty_core::discount::{CodeRejection, DiscountRejection};
use loyalty_core::{Fault, ProgramVersion};

use crate::shop::Scope;

/// The reason why a valid request was rejected. Nothing changed.
///
/// # Example: a stable code and a text for people
/// ```
/// use loyalty_store::Rejection;
/// assert_eq!(Rejection::CustomerNotFound.code(), "customer_not_found");
/// assert_eq!(Rejection::CustomerNotFound.to_string(), "there is no such customer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The price rule has no such code.
    #[error("there is no such discount code")]
    CodeNotFound,
    /// A code cannot be used.
    #[error("{reason}")]
    CodeRejected {
        /// The position of the code in the request, counted from 0.
        index: usize,
        /// The reason.
        #[source]
        reason: DiscountRejection,
    },
    /// Another code of the shop has this text.
    #[error("the shop already has this code; case is ignored")]
    CodeTaken,
    /// The category does not exist.
    #[error("there is no such category")]
    CategoryNotFound,
    /// A customer that must be new already exists.
    #[error("a customer with this id or e-mail already exists")]
    CustomerExists,
    /// The customer has no such claim, or it was undone.
    #[error("the customer has no such claim")]
    ClaimNotFound,
    /// A customer is merged into another one only.
    #[error("both are the same customer")]
    SameCustomer,
    /// The customer does not exist.
    #[error("there is no such customer")]
    CustomerNotFound,
    /// The e-mail belongs to another customer.
    #[error("this e-mail belongs to another customer")]
    EmailTaken,
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The import has brought points to the customer by another row.
    #[error("the import has another row of this customer")]
    ImportCustomerRepeated,
    /// The id was used for an import of other content, or with other settings.
    #[error("this id was used for an import of other content, or with other settings")]
    ImportIdReused,
    /// A customer's points are replaced by one row only.
    #[error("an import that resets points has one row for each customer")]
    ImportModeUnsupported,
    /// The import does not exist.
    #[error("there is no such import")]
    ImportNotFound,
    /// Another row of the import must be decided first, or it is completed.
    #[error("this row is not the next one of the import")]
    ImportRowNotNext,
    /// The price rule contradicts itself or the catalogue.
    #[error("the price rule has faults: {}", .0.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>().join(", "))]
    InvalidPriceRule(Vec<Fault>),
    /// The order belongs to another customer.
    #[error("the order belongs to another customer")]
    OrderOfAnotherCustomer,
    /// The price rule does not exist.
    #[error("there is no such price rule")]
    PriceRuleNotFound,
    /// The resource no longer has the etag of the request.
    #[error("the resource has changed since it was read")]
    PreconditionFailed,
    /// The product does not exist.
    #[error("there is no such product")]
    ProductNotFound,
    /// The program in force is not the version that the request replaces.
    #[error("version {current} of the program was published in the meantime")]
    ProgramChanged {
        /// The version in force.
        current: ProgramVersion,
    },
    /// The redemption does not exist.
    #[error("there is no such redemption")]
    RedemptionNotFound,
    /// Another saved search has this name.
    #[error("another saved search has this name")]
    SavedSearchNameTaken,
    /// The saved search does not exist.
    #[error("there is no such saved search")]
    SavedSearchNotFound,
    /// No customer has this referral code.
    #[error("there is no such referral code")]
    ReferralCodeNotFound,
    /// The key does not exist, or it has ended.
    #[error("there is no such key")]
    KeyNotFound,
    /// The key of the request was revoked a moment ago.
    #[error("the key is unknown or revoked")]
    KeyRevoked,
    /// Without the key nobody could make another one.
    #[error("this is the last key that can make others")]
    LastAdminKey,
    /// A key cannot give a scope that it lacks.
    #[error("the key lacks the scope `{}`, which it cannot give", .scope.name())]
    ScopeNotHeld {
        /// The scope.
        scope: Scope,
    },
    /// The event is none of the shop's.
    #[error("there is no such delivery")]
    DeliveryNotFound,
    /// A store of this id is connected already.
    #[error("a store with this id is connected already")]
    StoreConnected,
    /// The shop has no such connected store.
    #[error("there is no such store")]
    StoreNotFound,
    /// More webhook endpoints than a shop can have.
    #[error("too many webhook endpoints: at most {limit}")]
    TooManyWebhookEndpoints {
        /// The largest number of endpoints allowed.
        limit: usize,
    },
    /// The shop has no such webhook endpoint.
    #[error("there is no such webhook endpoint")]
    WebhookEndpointNotFound,
    /// The rules rejected a command.
    #[error(transparent)]
    Rules(#[from] loyalty_core::Rejection),
    /// More automatic price rules than a shop can have.
    #[error("too many automatic price rules: at most {limit}")]
    TooManyAutomaticRules {
        /// The largest number of rules allowed.
        limit: usize,
    },
    /// More codes than a checkout or a batch can have.
    #[error("too many codes: at most {limit}")]
    TooManyCodes {
        /// The largest number of codes allowed.
        limit: usize,
    },
    /// More valid keys than a shop can have.
    #[error("too many keys: at most {limit}")]
    TooManyKeys {
        /// The largest number of keys allowed.
        limit: usize,
    },
    /// More versions of the program than can be published in a day.
    #[error("only {limit} versions of the program can be published in a day")]
    TooManyVersions {
        /// The largest number of versions in a day.
        limit: usize,
        /// The number of seconds after which another one can be published.
        retry_after: u32,
    },
}

impl Rejection {
    /// Returns why a discount code cannot be used, if that is the reason.
    pub fn refusal(&self) -> Option<&CodeRejection> {
        if let Self::CodeRejected { reason: DiscountRejection::CodeRejected(refusal), .. } = self {
            Some(refusal)
        } else {
            None
        }
    }

    /// Returns the number of seconds after which the same request can be accepted, if time
    /// alone changes the decision. Such a rejection is not stored under an idempotency key.
    pub fn retry_after(&self) -> Option<u32> {
        if let Self::TooManyVersions { retry_after, .. } = self { Some(*retry_after) } else { None }
    }

    /// Returns the stable code that clients can rely on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CodeNotFound => "code_not_found",
            Self::CodeRejected { reason, .. } => reason.code(),
            Self::CodeTaken => "code_taken",
            Self::CategoryNotFound => "category_not_found",
            Self::ClaimNotFound => "claim_not_found",
            Self::CustomerExists => "customer_exists",
            Self::CustomerNotFound => "customer_not_found",
            Self::SameCustomer => "same_customer",
            Self::EmailTaken => "email_taken",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::ImportCustomerRepeated => "duplicate_customer",
            Self::ImportIdReused => "import_id_reused",
            Self::ImportModeUnsupported => "import_mode_unsupported",
            Self::ImportNotFound => "import_not_found",
            Self::ImportRowNotNext => "import_row_not_next",
            Self::KeyNotFound => "key_not_found",
            Self::KeyRevoked => "unauthorized",
            Self::LastAdminKey => "last_admin_key",
            Self::ScopeNotHeld { .. } => "missing_scope",
            Self::DeliveryNotFound => "delivery_not_found",
            Self::StoreConnected => "store_connected",
            Self::StoreNotFound => "store_not_found",
            Self::TooManyWebhookEndpoints { .. } => "too_many_webhook_endpoints",
            Self::WebhookEndpointNotFound => "webhook_endpoint_not_found",
            Self::TooManyKeys { .. } => "too_many_keys",
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
            Self::TooManyAutomaticRules { .. } => "too_many_automatic_rules",
            Self::TooManyCodes { .. } => "too_many_codes",
            Self::TooManyVersions { .. } => "too_many_versions",
        }
    }
}

/// A technical fault. The texts are for operators, not for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The queue of requests is full. Retry shortly.
    #[error("too many requests are waiting for the store")]
    Busy,
    /// The read was cancelled ([`Cancellation`](crate::Cancellation)): nobody waited for it.
    #[error("the read was cancelled")]
    Cancelled,
    /// Stored data cannot be read. Do not retry.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The master key is lost, or is another file's. Nothing was changed.
    #[error("{0}")]
    MasterKey(String),
    /// The file was written by a newer version of this program.
    #[error(
        "the database has format {found}, but this version supports formats up to {supported}; \
         use a newer version"
    )]
    NewerFormat {
        /// The format of the file.
        found: i64,
        /// The newest format that this version supports.
        supported: i64,
    },
    /// The file was written by an older version of this program, and is not changed by reading
    /// it.
    #[error(
        "the database has format {found}, and this version reads format {supported}: keep a \
         copy, then serve the file once, which moves it to the newer format"
    )]
    OlderFormat {
        /// The format of the file.
        found: i64,
        /// The format that this version reads.
        supported: i64,
    },
    /// The request had no effect. Retry when the cause is resolved.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The request had no effect, since nothing can be written: the disk is full, for example.
    /// Reads are served. Retry when the cause is resolved.
    #[error("nothing can be written: {0}")]
    Unwritable(String),
    /// The request may have taken effect: the reply was lost during the commit. Sending
    /// the same request with the same idempotency key again returns its outcome.
    #[error("the outcome is unknown: {0}")]
    UnknownOutcome(String),
}
