//! The routes of products for Shopify's clients.

use hyper::Method;
use loyalty_store::Scope;

use crate::problem::code;
use crate::route::{Operation, Route, shopify};
use crate::shopify::products;
use crate::shopify::schema as objects;
use crate::wire::customer::CountResponse;

pub(in crate::routes) const ROUTES: &[Route] = &[
    shopify(
        Method::GET,
        "/admin/api/{version}/products.json",
        &[
            "limit",
            "page_info",
            "since_id",
            "ids",
            "fields",
            "order",
            "title",
            "vendor",
            "product_type",
            "collection_id",
            "status",
            "created_at_min",
            "created_at_max",
            "updated_at_min",
            "updated_at_max",
        ],
        Scope::Read,
        products::list,
        Operation::new(
            "shopifyListProducts",
            "Lists products by their numbers, or those with these numbers",
        )
        .returns::<objects::ProductList>()
        .with_response_headers(&["Link"]),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/products/count.json",
        &[
            "title",
            "vendor",
            "product_type",
            "collection_id",
            "status",
            "created_at_min",
            "created_at_max",
            "updated_at_min",
            "updated_at_max",
        ],
        Scope::Read,
        products::count,
        Operation::new("shopifyCountProducts", "Counts the products").returns::<CountResponse>(),
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/products/{id}.json",
        &["fields"],
        Scope::Read,
        products::show,
        Operation::new("shopifyShowProduct", "Shows a product")
            .returns::<objects::ProductPart>()
            .rejects(&[(404, &[code::PRODUCT_NOT_FOUND])]),
    ),
];
