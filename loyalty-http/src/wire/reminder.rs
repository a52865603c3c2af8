//! Points that will end, on the wire.

use std::ops::Range;

use loyalty_core::{CustomerId, Email, Points, Timestamp};
use loyalty_store::{Reminder, ReminderPage};
use serde::Serialize;

use super::value::Time;

/// A page of customers whose points end from `from` on, before `until`.
#[derive(Debug, Serialize)]
pub(crate) struct RemindersAnswer<'a> {
    from: Time,
    until: Time,
    reminders: Vec<ReminderAnswer<'a>>,
}

#[derive(Debug, Serialize)]
struct ReminderAnswer<'a> {
    customer_id: Option<&'a CustomerId>,
    email: Option<&'a str>,
    point_balance: Points,
    /// If nothing happens until then.
    ends: Vec<EndAnswer>,
}

#[derive(Debug, Serialize)]
struct EndAnswer {
    points: Points,
    /// From when on they are no longer usable.
    expires_at: Time,
}

impl<'a> RemindersAnswer<'a> {
    /// As of `now`.
    pub(crate) fn new(page: &'a ReminderPage, period: &Range<Timestamp>, now: Timestamp) -> Self {
        let reminder = |Reminder { customer, expirations: ends }: &'a Reminder| ReminderAnswer {
            customer_id: customer.record().id.as_ref(),
            email: customer.record().email.as_ref().map(Email::as_str),
            point_balance: customer.balance(now),
            ends: ends
                .iter()
                .map(|(at, points)| EndAnswer { points: *points, expires_at: Time(*at) })
                .collect(),
        };
        let reminders = page.items.iter().map(reminder).collect();
        Self { from: Time(period.start), until: Time(period.end), reminders }
    }
}
