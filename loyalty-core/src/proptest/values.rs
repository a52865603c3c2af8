//! Strategies for single values. Their ranges are small, so that equal ids, instants and
//! thresholds are frequent.

use std::collections::BTreeSet;

use ::proptest::collection::{btree_map, btree_set};
use ::proptest::prelude::*;
use ::proptest::sample::select;

use crate::amount::{Amount, Rate};
use crate::attribute::{AttributeValue, Attributes};
use crate::calendar::Timestamp;
use crate::id::{AttributeName, CategoryId, ChannelId, ProductId, Tag, TierId};

/// Generates whole hours of a few days, so that some instants are equal.
pub fn instants() -> impl Strategy<Value = Timestamp> {
    (0..60_i64).prop_map(instant_at_hour)
}

/// Returns the instant `count` hours after 1 January 2026.
pub(super) fn instant_at_hour(count: i64) -> Timestamp {
    let start = 1_767_225_600_i64; // 1 January 2026
    Timestamp::from_timestamp(start.saturating_add(count.saturating_mul(3_600)), 0)
        .unwrap_or_default()
}

/// Generates amounts of ordinary orders: zero, cents, and sometimes ten-thousandths.
pub fn amounts() -> impl Strategy<Value = Amount> {
    let parts = prop_oneof![
        8 => (0..30_000_i64).prop_map(|cents| cents.saturating_mul(100)),
        1 => 0..3_000_000_i64,
        1 => Just(0),
    ];
    parts.prop_filter_map("in range", |parts| Amount::from_ten_thousandths(parts).ok())
}

pub(super) fn rates() -> impl Strategy<Value = Rate> {
    const TEXTS: [&str; 10] =
        ["1", "2", "3", "10", "0.5", "1.5", "0.1", "0.333333", "1.25", "0.000001"];
    select(TEXTS.to_vec()).prop_filter_map("a rate", |text| text.parse().ok())
}

/// Generates one of three ids, so that programs and orders have ids in common.
pub(super) fn ids<T: std::fmt::Debug>(
    prefix: &'static str,
    new: fn(String) -> Option<T>,
) -> impl Strategy<Value = T> {
    (0..3_u8).prop_filter_map("an id", move |number| new(format!("{prefix}{number}")))
}

pub(super) fn products() -> impl Strategy<Value = ProductId> {
    ids("product", |text| ProductId::new(text).ok())
}

pub(super) fn categories() -> impl Strategy<Value = CategoryId> {
    ids("category", |text| CategoryId::new(text).ok())
}

/// Generates the tags of a customer.
pub fn tags() -> impl Strategy<Value = BTreeSet<Tag>> {
    btree_set(ids("tag", |text| Tag::new(text).ok()), 0..3)
}

pub(super) fn channels() -> impl Strategy<Value = ChannelId> {
    ids("channel", |text| ChannelId::new(text).ok())
}

pub(super) fn attribute_names() -> impl Strategy<Value = AttributeName> {
    ids("attribute", |text| AttributeName::new(text).ok())
}

/// Generates values of attributes of every kind.
pub(super) fn attribute_values() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<bool>().prop_map(AttributeValue::Bool),
        select(&["-1", "0", "0.5", "1", "2"][..])
            .prop_filter_map("a number", |text| Some(AttributeValue::Number(text.parse().ok()?))),
        select(&["", "red", "2"][..])
            .prop_filter_map("a text", |text| AttributeValue::text(text).ok()),
    ]
}

/// Generates the attributes of an order, a line or a customer.
pub fn attributes() -> impl Strategy<Value = Attributes> {
    btree_map(attribute_names(), attribute_values(), 0..3)
        .prop_filter_map("few attributes", |all| Attributes::new(all).ok())
}

/// Generates ids of tiers. A program of [`programs`](super::programs) may have them.
pub fn tier_ids() -> impl Strategy<Value = TierId> {
    ids("tier", |text| TierId::new(text).ok())
}
