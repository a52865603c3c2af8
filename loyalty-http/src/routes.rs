//! Every route, in tables of one file a resource.
//!
//! If a path matches both a word and an id (`/v1/customers/count`), the word wins. A customer with
//! the id `count` is reached by percent-encoding a letter: `/v1/customers/%63ount`.

mod actions;
mod carts;
mod categories;
mod customers;
mod discount_codes;
mod events;
mod health;
mod key;
mod keys;
mod ledger;
mod orders;
mod points;
mod price_rules;
mod products;
mod program;
mod redemptions;
mod referrals;
mod reminders;
mod reports;
mod saved_searches;
mod shopify;
mod stores;
mod tiers;
mod webhook_endpoints;
mod webhooks;

use std::sync::LazyLock;

use crate::route::Route;

/// The routes of each resource, by the tag of their operations.
pub(crate) const RESOURCES: &[(&str, &[Route])] = &[
    ("health", health::ROUTES),
    ("key", key::ROUTES),
    ("keys", keys::ROUTES),
    ("stores", stores::ROUTES),
    ("customers", customers::ROUTES),
    ("points", points::ROUTES),
    ("ledger", ledger::ROUTES),
    ("tiers", tiers::ROUTES),
    ("events", events::ROUTES),
    ("webhook endpoints", webhook_endpoints::ROUTES),
    ("actions", actions::ROUTES),
    ("referrals", referrals::ROUTES),
    ("orders", orders::ROUTES),
    ("redemptions", redemptions::ROUTES),
    ("program", program::ROUTES),
    ("reminders", reminders::ROUTES),
    ("reports", reports::ROUTES),
    ("saved searches", saved_searches::ROUTES),
    ("products", products::ROUTES),
    ("categories", categories::ROUTES),
    ("price rules", price_rules::ROUTES),
    ("discount codes", discount_codes::ROUTES),
    ("carts", carts::ROUTES),
    ("Shopify: customers", shopify::customers::ROUTES),
    ("Shopify: saved searches", shopify::saved_searches::ROUTES),
    ("Shopify: products", shopify::products::ROUTES),
    ("Shopify: price rules", shopify::price_rules::ROUTES),
    ("Shopify: discount codes", shopify::discount_codes::ROUTES),
    ("store plugins", webhooks::ROUTES),
];

/// All routes.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    RESOURCES
        .iter()
        .flat_map(|(_, routes)| routes.iter().cloned())
        .collect()
});
