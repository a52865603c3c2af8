//! The routes of Shopify's clients.

pub(super) mod customers;
pub(super) mod discount_codes;
pub(super) mod price_rules;
pub(super) mod products;
pub(super) mod saved_searches;
