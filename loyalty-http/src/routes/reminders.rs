//! The routes of reminders.

use crate::endpoint::reminders;
use crate::route::{Operation, Route, get};
use crate::wire::reminder::RemindersResponse;

pub(super) const ROUTES: &[Route] = &[get(
    "/v1/reminders",
    &["from", "until", "limit", "cursor"],
    reminders::list,
    Operation::new("listReminders", "Lists customers whose points expire in a coming period")
        .described(
            "By default the next thirty days. A page examines some thousands of \
             customers at most, so it can be short or empty and still have a next \
             page.",
        )
        .returns::<RemindersResponse<'_>>()
        .with_response_headers(&["Link"]),
)];
