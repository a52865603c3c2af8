//! The `/v1` API over real sockets, with a store in memory: responses, errors for bad
//! input, and that a rejected request changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at what it did not expect"
)]
#![allow(clippy::too_many_lines, reason = "tests with tables of cases")]

mod access;
mod attributes;
mod automatic;
mod bad_input;
mod catalogue;
mod clients;
mod conformance;
mod connectors;
mod customers;
mod discounts;
mod document;
mod erasure;
mod events;
mod export;
mod failures;
mod field_limits;
mod fixture;
mod generated_clients;
mod gifts;
mod guesses;
mod idempotency;
mod isolation;
mod keys;
mod ledger;
mod metrics;
mod order_lists;
mod orders;
mod points;
mod program;
mod redemptions;
mod reminders;
mod reports;
mod saved_searches;
mod shopify;
mod shopify_lists;
mod shopify_rules;
mod stand_in;
mod standard_webhooks;
mod stores;
mod stores_loop;
mod support;
mod time;
mod webhook_endpoints;
