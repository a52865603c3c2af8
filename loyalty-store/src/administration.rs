//! Administration: keys, signing secrets and destinations. These changes are rare, and another
//! process may make them on the same file, so each is a transaction of its own that reads what is
//! stored, and not what is cached. [`Store::administer`](crate::Store::administer) executes one.

use chrono::TimeDelta;
use loyalty_core::{ShopId, StoreId, Timestamp};

use crate::destination::{
    Destination, DestinationChange, DestinationId, DestinationKind, DestinationSettings,
    DestinationUpdate, EventPosition,
};
use crate::error::{Failure, Rejection};
use crate::request::Response;
use crate::seal::SecretText;
use crate::shop::{ApiKeyRecord, KeyHash, KeyOwner, NewApiKey};

/// The number of valid keys that a shop, or the operator, can have.
pub const MAX_KEYS: usize = 100;

/// The longest time for which a key or secret can live on after its rotation.
pub const MAX_GRACE: TimeDelta = TimeDelta::days(30);

/// How long a key or secret lives on after its rotation by default.
pub const DEFAULT_GRACE: TimeDelta = TimeDelta::hours(24);

/// One administrative transaction.
pub struct AdminRequest {
    /// Whose keys or secrets are changed.
    pub owner: KeyOwner,
    /// The time of the request.
    pub now: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// The idempotency key, if the client sent one. These keys are apart from those of
    /// [`Store::execute`](crate::Store::execute).
    pub idempotency: Option<AdminIdempotency>,
    /// What to do.
    pub action: AdminAction,
}

impl AdminRequest {
    /// A request of the command line, without an idempotency key.
    pub fn new(owner: KeyOwner, now: Timestamp, action: AdminAction) -> Self {
        Self {
            owner,
            now,
            actor: Actor::CommandLine,
            idempotency: None,
            action,
        }
    }
}

/// Who asks for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with access to the machine. They may do everything.
    CommandLine,
    /// The holder of a key, by its id. They can give no scope that the key lacks.
    Key(String),
}

/// The idempotency key of a request. The response may have a secret, so it is sealed.
pub struct AdminIdempotency {
    /// The hash of the key.
    pub key: [u8; 16],
    /// The hash of the request.
    pub fingerprint: [u8; 16],
    /// Renders the response that is stored.
    pub render: Box<AdminRender>,
}

/// A function that renders an outcome. It is called at most once.
pub type AdminRender = dyn FnOnce(&Result<AdminOutcome, Rejection>) -> Response + Send;

/// An administrative change.
#[derive(Clone, Debug)]
pub enum AdminAction {
    /// Adds a key.
    CreateKey(NewApiKey),
    /// Revokes a key.
    RevokeKey {
        /// The key's id.
        id: String,
        /// True to revoke also the last key that can make others.
        allow_last: bool,
    },
    /// Replaces a key by one with the same name, scopes and end.
    RotateKey {
        /// The id of the key.
        id: String,
        /// The id and hash of the new key.
        replacement: KeyHash,
        /// How long the old key lives on.
        grace: TimeDelta,
    },
    /// Gives a connected store a new signing secret. Two are alive until the older one ends.
    RotateStoreSecret {
        /// The connected store.
        store: StoreId,
        /// The new secret.
        secret: SecretText,
        /// How long the old secret lives on.
        grace: TimeDelta,
        /// True if the store may have none yet.
        may_create: bool,
    },
    /// Changes who gets outgoing events.
    Destination(DestinationAction),
}

/// A change of who gets outgoing events. The kind is named so that the id of a destination of
/// another kind is unknown.
#[derive(Clone, Debug)]
pub enum DestinationAction {
    /// Adds a destination. It gets what happens from now on.
    Create {
        /// What it is.
        kind: DestinationKind,
        /// What the shop says about it.
        settings: DestinationSettings,
        /// The secret.
        secret: SecretText,
        /// Whether it gets events.
        is_enabled: bool,
    },
    /// Changes a destination.
    Update {
        /// The destination.
        id: DestinationId,
        /// What it is.
        kind: DestinationKind,
        /// What to change.
        update: DestinationUpdate,
    },
    /// Deletes a destination with its deliveries.
    Delete {
        /// The destination.
        id: DestinationId,
        /// What it is.
        kind: DestinationKind,
    },
    /// Replaces the secret. Two are alive until the older one ends.
    RotateSecret {
        /// The destination.
        id: DestinationId,
        /// What it is.
        kind: DestinationKind,
        /// The new secret.
        secret: SecretText,
        /// How long the old secret lives on.
        grace: TimeDelta,
    },
    /// Has an event delivered, whether it was or not.
    Resend {
        /// The destination.
        id: DestinationId,
        /// What it is.
        kind: DestinationKind,
        /// The event.
        event: EventPosition,
    },
    /// Has all events since an instant delivered again. Replaces a recovery that is under way.
    Recover {
        /// The destination.
        id: DestinationId,
        /// What it is.
        kind: DestinationKind,
        /// The instant.
        since: Timestamp,
    },
}

/// What an administrative change has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminOutcome {
    /// A key was added, perhaps in place of another one.
    Key(ApiKeyRecord),
    /// A key was revoked.
    Revoked,
    /// A store has a new secret.
    StoreSecret {
        /// When the secret before it ends, if there is one.
        previous_ends_at: Option<Timestamp>,
    },
    /// A destination as it is now.
    Destination(Box<Destination>),
    /// A destination was deleted.
    Deleted,
}

/// The reply to an [`AdminRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminReply {
    /// The outcome of a request without an idempotency key, or a key that another request has.
    Decided(Result<AdminOutcome, Rejection>),
    /// The stored response of a request with an idempotency key.
    Stored {
        /// The response.
        response: Response,
        /// True if it was given before.
        replayed: bool,
    },
}

/// A secret with which a connected store signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSecret {
    /// The connected store.
    pub store: StoreId,
    /// The secret.
    pub secret: SecretText,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// Its end, if it was replaced.
    pub expires_at: Option<Timestamp>,
}

impl StoreSecret {
    /// True if signatures with it are valid at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The stored response to an administrative request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredAdminResponse {
    pub(crate) owner: KeyOwner,
    pub(crate) key: [u8; 16],
    pub(crate) fingerprint: [u8; 16],
    pub(crate) at: Timestamp,
    pub(crate) response: Response,
}

/// A change to write.
#[derive(Clone, Debug)]
pub(crate) enum AdminChange {
    PutKey(ApiKeyRecord),
    DeleteKey(String),
    /// Adds a secret.
    AddSecret(ShopId, StoreSecret),
    /// Ends the secrets of a store at an instant, unless they end before.
    EndSecrets(ShopId, StoreId, Timestamp),
    /// Deletes the secrets of a store that have ended by an instant, and of the others all but the
    /// newest.
    DropOlderSecrets(ShopId, StoreId, Timestamp),
    Destination(DestinationChange),
    PutResponse(StoredAdminResponse),
}

/// The end of what is replaced now.
pub(crate) fn end_after(now: Timestamp, grace: TimeDelta) -> Timestamp {
    let grace = grace.clamp(TimeDelta::zero(), MAX_GRACE);
    now.checked_add_signed(grace).unwrap_or(now)
}

/// Changes with their outcome; a rejection is an outcome without changes.
pub(crate) type AdminDecision = Result<(Vec<AdminChange>, AdminOutcome), DecisionError>;

/// Why nothing is changed.
pub(crate) enum DecisionError {
    Rejected(Rejection),
    Failed(Failure),
}

impl From<Rejection> for DecisionError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Failure> for DecisionError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
