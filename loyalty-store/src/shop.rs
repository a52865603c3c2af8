//! Shops and their keys.

use loyalty_core::{Currency, ShopId, Timestamp, Zone};

/// A merchant's store, the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    /// The store's number of it.
    pub id: ShopId,
    /// Its name.
    pub name: String,
    /// Its one currency.
    pub currency: Currency,
    /// Its time zone.
    pub zone: Zone,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where its store plugin was installed.
    pub integration: Option<Integration>,
}

impl Shop {
    /// How many decimals its currency has; two where ISO 4217 does not say.
    pub fn minor_digits(&self) -> u32 {
        self.currency.exponent().map_or(2, u32::from)
    }
}

/// A shop to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShop {
    /// Its name.
    pub name: String,
    /// Its one currency.
    pub currency: Currency,
    /// Its time zone.
    pub zone: Zone,
}

/// A store plugin that said it was installed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Integration {
    /// Which plugin: `woocommerce`, `magento` or `common`.
    pub platform: String,
    /// The store's address.
    pub shop_url: String,
    /// Where the store answers calls, where it does.
    pub api_endpoint: Option<String>,
}

/// What a key allows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reading.
    Read,
    /// Telling facts, and adding and subtracting points.
    Write,
    /// Publishing programs.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A key to be kept. Who makes it draws the randomness and shows the key once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The public part, by which it is found.
    pub id: String,
    /// The hash of the secret part. The secret itself is not kept.
    pub hash: [u8; 32],
    /// What the store plugins sign with. Kept as it is: a signature can be checked in no other way.
    pub signing_secret: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// A key that is alive.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Whose it is.
    pub shop: ShopId,
    /// The key.
    pub key: NewApiKey,
    /// When it was made.
    pub created_at: Timestamp,
}

// Secrets stay out of logs: neither type prints them.
impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey")
            .field("id", &self.id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ApiKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRecord")
            .field("shop", &self.shop)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
