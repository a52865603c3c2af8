//! The routes of categories.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::categories;
use crate::problem::code;
use crate::route::{Operation, Route, get, write};
use crate::wire::bulk::Tally;
use crate::wire::category::{CategoriesBody, CategoriesResponse, CategoryBody, CategoryResponse};
use crate::wire::customer::CountResponse;

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/categories",
        &["limit", "cursor"],
        categories::list,
        Operation::new("listCategories", "Lists categories by their ids")
            .returns::<CategoriesResponse<'_>>()
            .with_response_headers(&["Link"]),
    ),
    get(
        "/v1/categories/count",
        &[],
        categories::count,
        Operation::new("countCategories", "Counts the categories").returns::<CountResponse>(),
    ),
    write(
        Method::POST,
        "/v1/categories/bulk",
        Scope::Write,
        categories::put_many,
        Operation::new(
            "putCategories",
            "Creates or replaces many categories: all of them, or none",
        )
        .accepts::<CategoriesBody<'_>>(
            r#"{"categories": [{"category_id": "pots", "name": "Pots"}]}"#,
        )
        .returns::<Tally>()
        .rejects(&[(422, &[code::INVALID_RECORDS])]),
    ),
    get(
        "/v1/categories/{category_id}",
        &[],
        categories::show,
        Operation::new("showCategory", "Shows a category")
            .returns::<CategoryResponse<'_>>()
            .rejects(&[(404, &[code::CATEGORY_NOT_FOUND])]),
    ),
    write(
        Method::PUT,
        "/v1/categories/{category_id}",
        Scope::Write,
        categories::put,
        Operation::new("putCategory", "Creates or replaces a category")
            .accepts::<CategoryBody>(r#"{"name": "Hot drinks"}"#)
            .returns::<CategoryResponse<'_>>(),
    ),
    write(
        Method::DELETE,
        "/v1/categories/{category_id}",
        Scope::Write,
        categories::delete,
        Operation::new("deleteCategory", "Deletes a category; its products stay in it")
            .returns_nothing()
            .rejects(&[(404, &[code::CATEGORY_NOT_FOUND])]),
    ),
];
