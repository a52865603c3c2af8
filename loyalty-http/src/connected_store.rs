//! Connected stores: where codes are published, and whose webhooks are recorded.
//!
//! A store has a kind, a URL and credentials. [`connector`](crate::connector) knows what each
//! kind gets and sends; these modules bring it together with the engine's store.

pub(crate) mod api;
mod deliver;
pub(crate) mod fetch;
pub(crate) mod program;
pub(crate) mod publish;
pub mod reconcile;
pub(crate) mod record;
pub(crate) mod webhook;
pub(crate) mod wire;

pub use deliver::StoreReceiver;

use std::fmt;

use loyalty_core::{StoreId, Timestamp};
use loyalty_store::seal::SecretText;
use loyalty_store::{Destination, DestinationKind};
use serde::{Deserialize, Serialize};

use crate::connector::Connector;
use crate::connector::plugin::{PluginConnector, PluginKind};
use crate::connector::shopify::ShopifyConnector;
use crate::connector::shopify::webhook::ShopifyWebhooks;
use crate::connector::webhook::StoreWebhooks;
use crate::connector::woocommerce::WooCommerceConnector;
use crate::connector::woocommerce::webhook::WooCommerceWebhooks;

/// The kind of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreKind {
    /// The vendor's plugin for WooCommerce.
    PluginWoocommerce,
    /// The vendor's module for Magento.
    PluginMagento,
    /// WooCommerce itself.
    Woocommerce,
    /// Shopify itself.
    Shopify,
}

impl StoreKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 4] =
        [Self::PluginWoocommerce, Self::PluginMagento, Self::Woocommerce, Self::Shopify];

    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PluginWoocommerce => "plugin_woocommerce",
            Self::PluginMagento => "plugin_magento",
            Self::Woocommerce => "woocommerce",
            Self::Shopify => "shopify",
        }
    }

    /// The topics of webhooks to subscribe to.
    pub(crate) const fn webhook_topics(self) -> &'static [&'static str] {
        match self {
            Self::Woocommerce => &crate::connector::woocommerce::webhook::TOPICS,
            Self::Shopify => &crate::connector::shopify::webhook::TOPICS,
            Self::PluginWoocommerce | Self::PluginMagento => &[],
        }
    }

    /// The reader of the kind's webhooks. The plugins have routes of their own.
    pub(crate) fn webhooks(self) -> Option<&'static dyn StoreWebhooks> {
        match self {
            Self::Woocommerce => Some(&WooCommerceWebhooks),
            Self::Shopify => Some(&ShopifyWebhooks),
            Self::PluginWoocommerce | Self::PluginMagento => None,
        }
    }
}

/// What only a store has among the settings of its destination.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StoreDetails {
    pub(crate) kind: StoreKind,
}

/// The secrets of a store, stored as one text that is sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreCredentials {
    /// The consumer key of WooCommerce, or the key that a plugin has. Shopify has none.
    #[serde(default)]
    pub(crate) key: String,
    /// The consumer secret of WooCommerce, the access token of Shopify, or the secret with
    /// which requests to a plugin are signed.
    pub(crate) secret: String,
    /// The secret with which the store signs its webhooks, if it sends any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_secret: Option<String>,
}

impl StoreCredentials {
    /// The text to store.
    pub(crate) fn to_secret(&self) -> SecretText {
        SecretText::new(serde_json::to_string(self).unwrap_or_default())
    }
}

// They stay out of logs.
impl fmt::Debug for StoreCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoreCredentials").finish_non_exhaustive()
    }
}

/// A connected store.
#[derive(Clone, Debug)]
pub(crate) struct ConnectedStore {
    /// Its id within the shop.
    pub(crate) id: StoreId,
    pub(crate) kind: StoreKind,
    pub(crate) url: String,
    pub(crate) credentials: StoreCredentials,
    /// The secrets with which its webhooks may be signed.
    pub(crate) webhook_secrets: Vec<String>,
}

impl ConnectedStore {
    /// Reads a destination; `None` if it is no store.
    pub(crate) fn read(destination: &Destination, now: Timestamp) -> Option<Self> {
        let DestinationKind::Store(id) = &destination.kind else {
            return None;
        };
        let details: StoreDetails =
            serde_json::from_str(destination.settings.details.as_deref()?).ok()?;
        let mut valid = destination
            .valid_secrets(now)
            .filter_map(|secret| serde_json::from_str::<StoreCredentials>(secret.expose()).ok());
        let credentials = valid.next()?;
        let webhook_secrets = std::iter::once(credentials.webhook_secret.clone())
            .chain(valid.map(|older| older.webhook_secret))
            .flatten();
        Some(Self {
            id: id.clone(),
            kind: details.kind,
            url: destination.settings.url.clone(),
            webhook_secrets: webhook_secrets.collect(),
            credentials,
        })
    }

    /// Returns the connector of the store.
    pub(crate) fn connector(&self) -> Box<dyn Connector> {
        let StoreCredentials { key, secret, .. } = self.credentials.clone();
        let plugin = |kind| PluginConnector {
            kind,
            endpoint: self.url.clone(),
            key: key.clone(),
            secret: secret.clone().into_bytes(),
        };
        match self.kind {
            StoreKind::PluginWoocommerce => Box::new(plugin(PluginKind::WooCommerce)),
            StoreKind::PluginMagento => Box::new(plugin(PluginKind::Magento)),
            StoreKind::Woocommerce => Box::new(WooCommerceConnector {
                shop_url: self.url.trim_end_matches('/').to_owned(),
                consumer_key: key,
                consumer_secret: secret,
            }),
            StoreKind::Shopify => {
                let shop_url = self.url.trim_end_matches('/').to_owned();
                Box::new(ShopifyConnector { shop_url, access_token: secret })
            }
        }
    }
}
