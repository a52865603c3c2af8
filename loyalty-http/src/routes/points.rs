//! The routes of points.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::points;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get, write};
use crate::wire::points::{
    BalanceResponse, BalancesBody, BalancesResponse, PointsBody, PointsResponse,
};

pub(super) const ROUTES: &[Route] = &[
    dry_runnable(
        Method::POST,
        "/v1/points-add",
        points::add,
        Operation::new("addPoints", "Adds points to a customer's balance")
            .accepts::<PointsBody>(
                r#"{
                  "customer_id": "42",
                  "points": 250,
                  "reason": "a year of tea",
                  "action_id": "yearly"
                }"#,
            )
            .returns::<PointsResponse<'_>>()
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND]), (422, &[code::POINTS_OUT_OF_RANGE])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/points-subtract",
        points::subtract,
        Operation::new(
            "subtractPoints",
            "Subtracts points from a customer's balance, if it has that many",
        )
        .accepts::<PointsBody>(r#"{"email": "ada@example.com", "points": 10}"#)
        .returns::<PointsResponse<'_>>()
        .rejects(&[
            (404, &[code::CUSTOMER_NOT_FOUND]),
            (422, &[code::INSUFFICIENT_POINTS, code::POINTS_OUT_OF_RANGE]),
        ]),
    ),
    get(
        "/v1/customers/{customer_id}/point-balance",
        &["at"],
        points::balance,
        Operation::new("showBalance", "Shows a customer's balance, now or at any instant")
            .returns::<BalanceResponse<'_>>()
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    get(
        "/v1/customers/point-balance",
        &["customer_ids"],
        points::balances,
        Operation::new("showBalances", "Shows the balances of many customers")
            .returns::<BalancesResponse<'_>>()
            .requires(&["customer_ids"])
            .rejects(&[(400, &[code::MISSING_PARAMETER])]),
    ),
    write(
        Method::POST,
        "/v1/customers/point-balance",
        Scope::Read,
        points::balances_by_body,
        Operation::new(
            "queryBalances",
            "Shows the balances of more customers than a query can name",
        )
        .accepts::<BalancesBody>(r#"{"customer_ids": ["42", "43"]}"#)
        .returns::<BalancesResponse<'_>>(),
    ),
];
