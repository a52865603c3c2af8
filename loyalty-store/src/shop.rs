//! Shops, their API keys and their store plugins.

use loyalty_core::{Currency, ShopId, Timestamp, Zone};

/// A merchant's shop: the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    /// The id, assigned by the store.
    pub id: ShopId,
    /// The name.
    pub name: String,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The time zone of its calendar.
    pub zone: Zone,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The installed store plugin.
    pub integration: Option<Integration>,
}

impl Shop {
    /// Returns the number of decimals of the currency; 2 if ISO 4217 defines none.
    pub fn minor_digits(&self) -> u32 {
        self.currency.exponent().map_or(2, u32::from)
    }
}

/// A shop to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShop {
    /// The name.
    pub name: String,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The time zone of its calendar.
    pub zone: Zone,
}

/// An installed store plugin.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Integration {
    /// The plugin: `woocommerce`, `magento` or `common`.
    pub platform: String,
    /// The URL of the shop.
    pub shop_url: String,
    /// The URL of the shop's own API, if it has one.
    pub api_endpoint: Option<String>,
}

/// A permission of an API key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read data.
    Read,
    /// Report orders and customers, and change points.
    Write,
    /// Publish programs, and make and revoke keys.
    Admin,
    /// Create, change and delete shops. Keys of the operator have it and nothing else.
    Operator,
}

impl Scope {
    /// Every scope that a key of a shop can have.
    pub const OF_SHOP: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }
}

/// Who owns a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOwner {
    /// A shop. The key reaches only what is the shop's.
    Shop(ShopId),
    /// The operator. The key reaches shops as a whole, and nothing in them.
    Operator,
}

impl KeyOwner {
    /// The shop, unless the operator is the owner.
    pub fn shop(self) -> Option<ShopId> {
        match self {
            Self::Shop(shop) => Some(shop),
            Self::Operator => None,
        }
    }
}

/// The two parts of a key as they are stored. The caller draws them and shows the secret once.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash {
    /// The public part, used for lookups.
    pub id: String,
    /// A hash of the secret part. The secret itself is not stored.
    pub hash: [u8; 32],
}

/// An API key to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// Its id, and the hash of its secret.
    pub hash: KeyHash,
    /// What it is for, in the owner's words.
    pub name: String,
    /// The permissions.
    pub scopes: Vec<Scope>,
    /// Its end, if it has one.
    pub expires_at: Option<Timestamp>,
}

/// A stored API key, which may have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The owner.
    pub owner: KeyOwner,
    /// The key.
    pub key: NewApiKey,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// About when it was last used: to the minute, and written some time later.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKeyRecord {
    /// The public id.
    pub fn id(&self) -> &str {
        &self.key.hash.id
    }

    /// True if the key has not ended at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.key.expires_at.is_none_or(|end| now < end)
    }
}

// Not printed, so that it stays out of logs.
impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyHash")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
