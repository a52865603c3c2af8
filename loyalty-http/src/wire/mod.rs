//! The types of request and response bodies. They are not the core's types, so that either side
//! can change without the other.
//!
//! A module per noun. A request ends in `Body` and becomes values of the core by its `parse`; a
//! response ends in `Response`. Both derive their JSON Schemas, whose descriptions are the doc
//! comments; `schema` has the schemas of plain values. [`json`] reads bodies strictly, `value`
//! reads and writes the core's values, `query` is for query strings and pages.

pub mod json;

pub(crate) mod award;
pub(crate) mod bulk;
pub(crate) mod cart;
pub(crate) mod category;
pub(crate) mod customer;
pub(crate) mod discount_code;
pub(crate) mod erasure;
pub(crate) mod event;
pub(crate) mod explanation;
pub(crate) mod export;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod lot;
pub(crate) mod merge;
pub(crate) mod order;
pub(crate) mod order_list;
pub(crate) mod page;
pub(crate) mod percent;
pub(crate) mod points;
pub(crate) mod price_rule;
pub(crate) mod product;
pub(crate) mod program;
pub(crate) mod query;
pub(crate) mod redemption;
pub(crate) mod referral;
pub(crate) mod refund;
pub(crate) mod reminder;
pub(crate) mod report;
pub(crate) mod saved_search;
pub(crate) mod schema;
pub(crate) mod tier;
pub(crate) mod time_series;
pub(crate) mod value;
pub(crate) mod webhook_endpoint;
