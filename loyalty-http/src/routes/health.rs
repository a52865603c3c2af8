//! The routes of health.

use crate::endpoint::health;
use crate::problem::code;
use crate::route::{Operation, Route, document, open};
use crate::wire::schema;

pub(super) const ROUTES: &[Route] = &[
    open(
        "/livez",
        health::live,
        Operation::new("checkLiveness", "Answers while the process runs")
            .returns::<health::HealthResponse>(),
    ),
    open(
        "/readyz",
        health::ready,
        Operation::new("checkReadiness", "Answers while the store accepts requests")
            .returns::<health::HealthResponse>()
            .rejects(&[(503, &[code::OUTCOME_UNKNOWN, code::UNAVAILABLE])]),
    ),
    open(
        "/healthz",
        health::ready,
        Operation::new("checkHealth", "The same as `/readyz`")
            .returns::<health::HealthResponse>()
            .rejects(&[(503, &[code::OUTCOME_UNKNOWN, code::UNAVAILABLE])]),
    ),
    open(
        "/",
        health::index,
        Operation::new("showIndex", "Where to find this document")
            .returns::<health::IndexResponse>(),
    ),
    open(
        "/docs",
        health::index,
        Operation::new("showDocs", "The same as `/`").returns::<health::IndexResponse>(),
    ),
    document(
        "/openapi.json",
        Operation::new("showDocument", "This document")
            .described(
                "`profile=plain` selects a simpler form of the same contract, for \
             generators of clients.",
            )
            .returns::<schema::Document>(),
    ),
];
