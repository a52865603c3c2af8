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
    /// Publish programs.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// An API key to store. The caller draws its random parts and shows the secret once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The public part, used for lookups.
    pub id: String,
    /// A hash of the secret part. The secret itself is not stored.
    pub hash: [u8; 32],
    /// The secret with which store plugins sign. Stored as it is, because verifying a
    /// signature needs it.
    pub signing_secret: String,
    /// The permissions.
    pub scopes: Vec<Scope>,
}

/// A valid API key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The shop.
    pub shop: ShopId,
    /// The key.
    pub key: NewApiKey,
    /// The time of its creation.
    pub created_at: Timestamp,
}

// Neither type prints its secrets, so that they stay out of logs.
impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey")
            .field("id", &self.id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ApiKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeyRecord")
            .field("shop", &self.shop)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
