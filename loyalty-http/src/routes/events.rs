//! The routes of outgoing events.

use crate::endpoint::events;
use crate::route::{Operation, Route, get};
use crate::wire::event::EventsResponse;

pub(super) const ROUTES: &[Route] = &[get(
    "/v1/events",
    &["limit", "cursor"],
    events::list,
    Operation::new("listEvents", "Lists the events of the shop, oldest first")
        .described(
            "These are the events that webhook endpoints get. To follow them, ask again with \
             `next_cursor`. A page passes at most 10,000 rows of the journal: where few of them \
             have events, it has fewer than `limit`, and `Link` goes on.",
        )
        .returns::<EventsResponse<'_>>()
        .with_response_headers(&["Link"]),
)];
