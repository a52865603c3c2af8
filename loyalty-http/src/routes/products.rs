//! The routes of products.

use hyper::Method;
use loyalty_store::Scope;

use crate::endpoint::products;
use crate::problem::code;
use crate::route::{Operation, Route, get, write};
use crate::wire::bulk::Tally;
use crate::wire::customer::CountResponse;
use crate::wire::product::{ProductBody, ProductResponse, ProductsBody, ProductsResponse};

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/products",
        &["limit", "cursor"],
        products::list,
        Operation::new("listProducts", "Lists products by their numbers")
            .returns::<ProductsResponse<'_>>()
            .with_response_headers(&["Link"]),
    ),
    get(
        "/v1/products/count",
        &[],
        products::count,
        Operation::new("countProducts", "Counts the products").returns::<CountResponse>(),
    ),
    write(
        Method::POST,
        "/v1/products/bulk",
        Scope::Write,
        products::put_many,
        Operation::new("putProducts", "Creates or replaces many products: all of them, or none")
            .accepts::<ProductsBody<'_>>(
                r#"{
                  "products": [
                    {"product_id": "cup", "title": "Cup"},
                    {
                      "product_id": "pot",
                      "title": "Pot",
                      "price": "35.00"
                    }
                  ]
                }"#,
            )
            .returns::<Tally>()
            .rejects(&[(422, &[code::INVALID_RECORDS])]),
    ),
    get(
        "/v1/products/{product_id}",
        &[],
        products::show,
        Operation::new("showProduct", "Shows a product")
            .returns::<ProductResponse<'_>>()
            .rejects(&[(404, &[code::PRODUCT_NOT_FOUND])]),
    ),
    write(
        Method::PUT,
        "/v1/products/{product_id}",
        Scope::Write,
        products::put,
        Operation::new("putProduct", "Creates or replaces a product")
            .accepts::<ProductBody>(
                r#"{
                  "title": "Green tea",
                  "price": "14.95",
                  "categories": ["drinks"],
                  "variants": [
                    {
                      "variant_id": "tea-100",
                      "title": "100 g",
                      "sku": "T100"
                    }
                  ]
                }"#,
            )
            .returns::<ProductResponse<'_>>()
            .rejects(&[(422, &[code::DUPLICATE_ID])]),
    ),
    write(
        Method::DELETE,
        "/v1/products/{product_id}",
        Scope::Write,
        products::delete,
        Operation::new("deleteProduct", "Deletes a product")
            .returns_nothing()
            .rejects(&[(404, &[code::PRODUCT_NOT_FOUND])]),
    ),
];
