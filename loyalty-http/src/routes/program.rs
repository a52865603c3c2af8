//! The routes of program.

use hyper::Method;
use loyalty_store::Scope;

use crate::connected_store;
use crate::endpoint::program;
use crate::problem::code;
use crate::route::{Operation, Route, get, write};
use crate::wire::program::{DryRunBody, DryRunResponse, ValidationResponse, VersionResponse};
use crate::wire::schema;
use crate::wire::schema::program::Definition;

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/program",
        &["version"],
        program::show,
        Operation::new(
            "showProgram",
            "Shows the program in force, or another version; it can be published \
             again as it is",
        )
        .returns::<schema::Sent<Definition>>()
        .with_response_headers(&["ETag"])
        .rejects(&[(404, &[code::VERSION_NOT_FOUND])]),
    ),
    write(
        Method::PUT,
        "/v1/program",
        Scope::Admin,
        connected_store::program::publish,
        Operation::new(
            "publishProgram",
            "Publishes a new version of the program, unless it is equal to the one in force",
        )
        .accepts_document::<Definition>(
            r#"{
                  "award_on": "fulfilled",
                  "earning": [
                    {"id": "base", "earn": {"per_unit": "1.5"}},
                    {
                      "id": "tea",
                      "earn": {
                        "per_increment": {
                          "amount": "10.00",
                          "points": 5
                        }
                      },
                      "when": {"products": ["tea"]}
                    }
                  ],
                  "expiry": {
                    "per_lot": {
                      "after": "P1Y",
                      "round_up_to": "month"
                    }
                  },
                  "tiers": [{"id": "gold", "name": "Gold", "multiplier": "2"}]
                }"#,
        )
        .creates::<VersionResponse>()
        .with_headers(&["If-Match"])
        .rejects(&[
            (412, &[code::PRECONDITION_FAILED, code::PROGRAM_CHANGED]),
            (422, &[code::INVALID_PROGRAM]),
            (429, &[code::TOO_MANY_VERSIONS]),
        ]),
    ),
    write(
        Method::POST,
        "/v1/program/validate",
        Scope::Read,
        connected_store::program::validate,
        Operation::new("validateProgram", "Validates a program and lists its faults")
            .accepts_document::<schema::Anything>(r#"{"debt": "stop_at_zero"}"#)
            .returns::<ValidationResponse>(),
    ),
    write(
        Method::POST,
        "/v1/program/dry-run",
        Scope::Read,
        program::dry_run,
        Operation::new(
            "dryRunProgram",
            "Calculates the points of an order under the program in force or the one \
             sent",
        )
        .accepts::<DryRunBody<'_>>(
            r#"{
                  "order": {
                    "status": "paid",
                    "lines": [{"quantity": 1, "amount": "49.95"}],
                    "total": "49.95"
                  },
                  "customer_tags": ["vip"],
                  "tier": "gold"
                }"#,
        )
        .returns::<DryRunResponse<'_>>()
        .rejects(&[(
            422,
            &[
                code::CURRENCY_MISMATCH,
                code::DUPLICATE_LINE,
                code::FINER_THAN_CURRENCY,
                code::INVALID_PROGRAM,
                code::ORDER_TOO_LARGE,
                code::POINTS_OUT_OF_RANGE,
                code::REDEEMED_BEYOND_TOTAL,
                code::TOTALS_DISAGREE,
                code::UNKNOWN_TIER,
            ],
        )]),
    ),
];
