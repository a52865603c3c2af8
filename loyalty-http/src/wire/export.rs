//! All that is stored about one customer, on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loyalty_core::order::RefundContent;
use loyalty_core::{CustomerId, Email, Order, OrderId, Points, RefundId, Tag, Timestamp};
use loyalty_store::{CustomerView, JournalRow, MergedCustomer, OrderRecord, RedemptionView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::customer::CustomerResponse;
use super::ledger::{EntryResponse, entries};
use super::order::OrderResponse;
use super::redemption::RedemptionResponse;
use super::referral::ReferralsResponse;
use super::schema;
use super::value::TimeText;

/// What is stored about a customer, or a part of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerExport")]
pub(crate) struct ExportResponse<'a> {
    exported_at: TimeText,
    customer: CustomerResponse<'a>,
    /// Identifiers of the household, in the shop's terms.
    household: &'a BTreeSet<String>,
    /// The customers and guests who were merged into this one.
    merged: Vec<MergedResponse<'a>>,
    referrals: ReferralsResponse<'a>,
    /// The customer who referred this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    referred_by: Option<&'a CustomerId>,
    /// Redemptions with their codes.
    redemptions: Vec<RedemptionResponse<'a>>,
    /// Orders. One can be in several parts of an export.
    orders: Vec<ExportedOrder<'a>>,
    /// Entries of the ledger, newest first, then those of each merged customer.
    ledger: Vec<EntryResponse<'a>>,
}

/// A customer who was merged into another one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExportedMerge")]
struct MergedResponse<'a> {
    /// Null for a guest.
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    #[schemars(with = "Option<schema::Date>")]
    birthday: Option<String>,
    zip: Option<&'a str>,
    country: Option<&'a str>,
    #[schemars(with = "Vec<schema::Id>")]
    tags: &'a BTreeSet<Tag>,
    household: &'a BTreeSet<String>,
    /// The balance that they brought.
    #[schemars(with = "schema::Points")]
    points: Points,
    merged_at: TimeText,
}

/// An order with its content.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExportedOrder")]
struct ExportedOrder<'a> {
    order: OrderResponse<'a>,
    /// What the shop has reported last, as it is stored; null where the order itself was not
    /// reported.
    #[schemars(with = "Option<Map<String, Value>>")]
    content: Option<&'a Order>,
    /// The refunds by their ids, as they are stored.
    #[schemars(with = "Map<String, Value>")]
    refunds: &'a BTreeMap<RefundId, RefundContent>,
}

/// The records of one part of an export.
#[derive(Debug, Default)]
pub(crate) struct ExportPart {
    /// The customer who referred this one.
    pub(crate) referrer: Option<CustomerView>,
    pub(crate) redemptions: Vec<RedemptionView>,
    pub(crate) orders: Vec<(OrderId, Arc<OrderRecord>)>,
    pub(crate) rows: Vec<Arc<JournalRow>>,
}

impl<'a> ExportResponse<'a> {
    pub(crate) fn new(customer: &'a CustomerView, part: &'a ExportPart, now: Timestamp) -> Self {
        let record = customer.record();
        let redemption = |view| RedemptionResponse::new(view, Some(customer), now);
        let merged = record.merged.iter().filter(|merged| merged.undone_at.is_none());
        let orders = part
            .orders
            .iter()
            .map(|(id, order)| ExportedOrder::new(id, order, now));
        Self {
            exported_at: TimeText(now),
            customer: CustomerResponse::new(customer, now),
            household: &record.household,
            merged: merged.map(MergedResponse::from).collect(),
            referrals: ReferralsResponse::new(customer),
            referred_by: part
                .referrer
                .as_ref()
                .and_then(|referrer| referrer.record().id.as_ref()),
            redemptions: part.redemptions.iter().map(redemption).collect(),
            orders: orders.collect(),
            ledger: part.rows.iter().flat_map(|row| entries(row)).collect(),
        }
    }
}

impl<'a> ExportedOrder<'a> {
    fn new(id: &'a OrderId, record: &'a OrderRecord, now: Timestamp) -> Self {
        let state = &record.state;
        Self {
            order: OrderResponse::new(id, state, None, now),
            content: state.snapshot().map(|recorded| &*recorded.order),
            refunds: state.refunds(),
        }
    }
}

impl<'a> From<&'a MergedCustomer> for MergedResponse<'a> {
    fn from(merged: &'a MergedCustomer) -> Self {
        let profile = &merged.profile;
        Self {
            customer_id: merged.id.as_ref(),
            email: merged.email.as_ref().map(Email::as_str),
            first_name: profile.first_name.as_deref(),
            last_name: profile.last_name.as_deref(),
            birthday: profile.birthday.map(|day| day.to_string()),
            zip: profile.zip.as_deref(),
            country: profile.country.as_deref(),
            tags: &profile.tags,
            household: &merged.household,
            points: merged.points,
            merged_at: TimeText(merged.at),
        }
    }
}
