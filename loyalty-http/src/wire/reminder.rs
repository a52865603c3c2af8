//! Expiring points on the wire.

use std::ops::Range;

use loyalty_core::{CustomerId, Email, Points, Timestamp};
use loyalty_store::{Reminder, ReminderPage};
use schemars::JsonSchema;
use serde::Serialize;

use super::schema;
use super::value::TimeText;

/// A page of customers whose points expire from `from` on and before `until`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reminders")]
pub(crate) struct RemindersResponse<'a> {
    from: TimeText,
    until: TimeText,
    reminders: Vec<ReminderResponse<'a>>,
}

/// A customer whose points expire.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reminder")]
struct ReminderResponse<'a> {
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    /// The expiring points, if nothing happens until then.
    #[schemars(length(min = 1))]
    ends: Vec<ExpiringPointsResponse>,
}

/// Points that expire together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExpiringPoints")]
struct ExpiringPointsResponse {
    #[schemars(with = "schema::Points")]
    points: Points,
    /// From then on the points can no longer be spent.
    expires_at: TimeText,
}

impl<'a> RemindersResponse<'a> {
    /// The page as of `now`.
    pub(crate) fn new(page: &'a ReminderPage, period: &Range<Timestamp>, now: Timestamp) -> Self {
        let reminder = |Reminder { customer, expirations: ends }: &'a Reminder| ReminderResponse {
            customer_id: customer.record().id.as_ref(),
            email: customer.record().email.as_ref().map(Email::as_str),
            point_balance: customer.balance(now),
            ends: ends
                .iter()
                .map(|(at, points)| ExpiringPointsResponse {
                    points: *points,
                    expires_at: TimeText(*at),
                })
                .collect(),
        };
        let reminders = page.items.iter().map(reminder).collect();
        Self {
            from: TimeText(period.start),
            until: TimeText(period.end),
            reminders,
        }
    }
}
