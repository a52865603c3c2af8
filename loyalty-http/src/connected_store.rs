//! Connected stores: where codes are published, and whose webhooks are recorded.
//!
//! A store has a kind, a URL and credentials. [`connector`](crate::connector) knows what each
//! kind is told and says; these modules bring it together with the engine's store.

pub(crate) mod publish;
pub(crate) mod record;

use loyalty_store::seal::SecretText;
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

    /// The reader of the kind's webhooks. The plugins have routes of their own.
    pub(crate) fn webhooks(self) -> Option<&'static dyn StoreWebhooks> {
        match self {
            Self::Woocommerce => Some(&WooCommerceWebhooks),
            Self::Shopify => Some(&ShopifyWebhooks),
            Self::PluginWoocommerce | Self::PluginMagento => None,
        }
    }
}

/// What a store needs to be called.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoreCredentials {
    /// The consumer key of WooCommerce, or the key that a plugin has. Shopify has none.
    pub(crate) key: SecretText,
    /// The consumer secret of WooCommerce, the access token of Shopify, or the secret with
    /// which requests to a plugin are signed.
    pub(crate) secret: SecretText,
}

/// Returns the connector of a store.
pub(crate) fn connector(
    kind: StoreKind,
    url: &str,
    credentials: &StoreCredentials,
) -> Box<dyn Connector> {
    let key = || credentials.key.expose().to_owned();
    let secret = || credentials.secret.expose().to_owned();
    let plugin = |kind| {
        let (endpoint, secret) = (url.to_owned(), secret().into_bytes());
        Box::new(PluginConnector { kind, endpoint, key: key(), secret })
    };
    match kind {
        StoreKind::PluginWoocommerce => plugin(PluginKind::WooCommerce),
        StoreKind::PluginMagento => plugin(PluginKind::Magento),
        StoreKind::Woocommerce => Box::new(WooCommerceConnector {
            shop_url: url.trim_end_matches('/').to_owned(),
            consumer_key: key(),
            consumer_secret: secret(),
        }),
        StoreKind::Shopify => {
            let shop = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
            Box::new(ShopifyConnector { shop, access_token: secret() })
        }
    }
}
