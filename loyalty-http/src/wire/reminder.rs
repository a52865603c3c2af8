//! Points that will end, on the wire.

use std::ops::Range;

use loyalty_core::{CustomerId, Email, Points, Timestamp};
use loyalty_store::{Reminder, ReminderPage};
use serde::Serialize;

use super::value::TimeText;

/// A page of customers whose points end from `from` on, before `until`.
#[derive(Debug, Serialize)]
pub(crate) struct RemindersResponse<'a> {
    from: TimeText,
    until: TimeText,
    reminders: Vec<ReminderResponse<'a>>,
}

#[derive(Debug, Serialize)]
struct ReminderResponse<'a> {
    customer_id: Option<&'a CustomerId>,
    email: Option<&'a str>,
    point_balance: Points,
    /// If nothing happens until then.
    ends: Vec<ExpiringPointsResponse>,
}

#[derive(Debug, Serialize)]
struct ExpiringPointsResponse {
    points: Points,
    /// From when on they are no longer usable.
    expires_at: TimeText,
}

impl<'a> RemindersResponse<'a> {
    /// As of `now`.
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
