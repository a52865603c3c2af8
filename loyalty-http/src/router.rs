//! All routes, in one table.
//!
//! If a path matches both a word and an id (`/v1/customers/count`), the word wins. A
//! customer with the id `count` is reached by percent-encoding a letter:
//! `/v1/customers/%63ount`.

use std::collections::BTreeMap;

use hyper::Method;
use loyalty_core::Status;
use loyalty_store::{Scope, Store};
use matchit::Params;

use crate::endpoint::{
    Call, EncodedResponse, HandlerPlan, actions, carts, categories, customers, discount_codes,
    health, key, ledger, orders, points, price_rules, products, program, redemptions, referrals,
    reminders, reports, saved_searches, tiers,
};
use crate::integration::webhook::WebhookEvent;
use crate::problem::Problem;
use crate::shopify;

/// One operation.
///
/// # Example: the routes that need no key
/// ```
/// use loyalty_http::router::{Access, ROUTES};
/// let open = ROUTES.iter().filter(|route| route.access() == Access::Open);
/// let paths: Vec<_> = open.map(|route| route.pattern).collect();
/// assert_eq!(paths, ["/livez", "/readyz", "/openapi.json"]);
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    /// The method. A route for GET also answers HEAD.
    pub method: Method,
    /// The path, with the names of its parameters in braces.
    pub pattern: &'static str,
    /// The known query parameters.
    pub query: &'static [&'static str],
    pub(crate) handler: RouteHandler,
}

/// The handler of a route, with the access that it requires.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RouteHandler {
    /// A handler that needs no key.
    Open(fn(&dyn Store) -> Result<EncodedResponse, Problem>),
    /// The OpenAPI document, which needs no key. The app serves it: a handler here could
    /// not, since the document is built from this table.
    OpenApi,
    /// A handler that needs a key with this scope.
    Bearer(Scope, fn(&Call<'_>) -> Result<HandlerPlan, Problem>),
    /// A handler that needs a key with this scope in the header of Shopify's clients.
    Shopify(Scope, fn(&Call<'_>) -> Result<HandlerPlan, Problem>),
    /// An event of a store plugin. Its body has the key and a signature.
    Signed(WebhookEvent),
}

/// The access that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No key.
    Open,
    /// A key with this scope in `Authorization`.
    Bearer(Scope),
    /// A key with this scope in the header of Shopify's clients.
    Shopify(Scope),
    /// A key and a signature in the body.
    Signed,
}

impl Route {
    /// The required access.
    pub fn access(&self) -> Access {
        match self.handler {
            RouteHandler::Open(_) | RouteHandler::OpenApi => Access::Open,
            RouteHandler::Bearer(scope, _) => Access::Bearer(scope),
            RouteHandler::Shopify(scope, _) => Access::Shopify(scope),
            RouteHandler::Signed(_) => Access::Signed,
        }
    }

    /// The scope that the key needs; `None` if no key is needed.
    pub fn scope(&self) -> Option<Scope> {
        match self.access() {
            Access::Open => None,
            Access::Bearer(scope) | Access::Shopify(scope) => Some(scope),
            Access::Signed => Some(Scope::Write),
        }
    }
}

type Handler = fn(&Call<'_>) -> Result<HandlerPlan, Problem>;

const fn open(
    pattern: &'static str,
    handler: fn(&dyn Store) -> Result<EncodedResponse, Problem>,
) -> Route {
    Route {
        method: Method::GET,
        pattern,
        query: &[],
        handler: RouteHandler::Open(handler),
    }
}

const fn get(pattern: &'static str, query: &'static [&'static str], handler: Handler) -> Route {
    Route {
        method: Method::GET,
        pattern,
        query,
        handler: RouteHandler::Bearer(Scope::Read, handler),
    }
}

const fn write(method: Method, pattern: &'static str, scope: Scope, handler: Handler) -> Route {
    Route {
        method,
        pattern,
        query: &[],
        handler: RouteHandler::Bearer(scope, handler),
    }
}

/// A write that the rules decide. With `?dry_run=true` it changes nothing.
const fn dry_runnable(method: Method, pattern: &'static str, handler: Handler) -> Route {
    Route {
        method,
        pattern,
        query: &["dry_run"],
        handler: RouteHandler::Bearer(Scope::Write, handler),
    }
}

const fn shopify(
    method: Method,
    pattern: &'static str,
    query: &'static [&'static str],
    scope: Scope,
    handler: Handler,
) -> Route {
    Route {
        method,
        pattern,
        query,
        handler: RouteHandler::Shopify(scope, handler),
    }
}

const fn signed(pattern: &'static str, event: WebhookEvent) -> Route {
    Route {
        method: Method::POST,
        pattern,
        query: &[],
        handler: RouteHandler::Signed(event),
    }
}

/// All routes.
pub static ROUTES: &[Route] = &[
    open("/livez", health::live),
    open("/readyz", health::ready),
    Route {
        method: Method::GET,
        pattern: "/openapi.json",
        query: &[],
        handler: RouteHandler::OpenApi,
    },
    get("/v1/key", &[], key::show),
    // Customers.
    dry_runnable(Method::POST, "/v1/customers", customers::create),
    get("/v1/customers", &["limit", "cursor", "email"], customers::list),
    get("/v1/customers/count", &["query"], customers::count),
    get("/v1/customers/search", &["query", "limit", "cursor"], customers::search),
    get("/v1/customers/{customer_id}", &[], customers::show),
    dry_runnable(Method::PATCH, "/v1/customers/{customer_id}", customers::update),
    // Points. A query for balances is a read, also with POST.
    dry_runnable(Method::POST, "/v1/points-add", points::add),
    dry_runnable(Method::POST, "/v1/points-subtract", points::subtract),
    get("/v1/customers/{customer_id}/point-balance", &["at"], points::balance),
    get("/v1/customers/point-balance", &["customer_ids"], points::balances),
    write(
        Method::POST,
        "/v1/customers/point-balance",
        Scope::Read,
        points::balances_by_body,
    ),
    get("/v1/customers/{customer_id}/ledger", &["limit", "cursor"], ledger::list),
    get("/v1/customers/{customer_id}/tier", &["at"], tiers::show),
    get("/v1/customers/{customer_id}/lots", &["at", "limit", "cursor"], tiers::lots),
    dry_runnable(Method::POST, "/v1/actions", actions::perform),
    // Referrals.
    dry_runnable(Method::POST, "/v1/customers/{customer_id}/referral-code", referrals::issue),
    dry_runnable(Method::POST, "/v1/customers/{customer_id}/referral", referrals::join),
    get("/v1/customers/{customer_id}/referrals", &[], referrals::show),
    // Orders.
    dry_runnable(Method::PUT, "/v1/orders/{order_id}", orders::put),
    get("/v1/orders/{order_id}", &[], orders::show),
    dry_runnable(Method::POST, "/v1/orders/{order_id}/refunds", orders::refund),
    // Rewards and redemptions.
    get("/v1/rewards", &[], redemptions::rewards),
    get("/v1/customers/{customer_id}/rewards", &[], redemptions::customer_rewards),
    get(
        "/v1/customers/{customer_id}/redemptions",
        &["limit", "cursor"],
        redemptions::list,
    ),
    dry_runnable(Method::POST, "/v1/redemptions", redemptions::issue),
    get("/v1/redemptions/{redemption_id}", &[], redemptions::show),
    dry_runnable(Method::POST, "/v1/redemptions/{redemption_id}/cancel", redemptions::cancel),
    dry_runnable(Method::POST, "/v1/redemptions/{redemption_id}/use", redemptions::mark_used),
    // The program. To validate or simulate one is a read.
    get("/v1/program", &["version"], program::show),
    write(Method::PUT, "/v1/program", Scope::Admin, program::publish),
    write(Method::POST, "/v1/program/validate", Scope::Read, program::validate),
    write(Method::POST, "/v1/program/dry-run", Scope::Read, program::dry_run),
    // Reminders and reports.
    get("/v1/reminders", &["from", "until", "limit", "cursor"], reminders::list),
    get(
        "/v1/reports/summary",
        &["from", "until", "format", "point_value"],
        reports::summary,
    ),
    // Saved searches.
    write(
        Method::POST,
        "/v1/customer-saved-searches",
        Scope::Write,
        saved_searches::create,
    ),
    get("/v1/customer-saved-searches", &["limit", "cursor"], saved_searches::list),
    get("/v1/customer-saved-searches/count", &[], saved_searches::count),
    get("/v1/customer-saved-searches/{saved_search_id}", &[], saved_searches::show),
    write(
        Method::DELETE,
        "/v1/customer-saved-searches/{saved_search_id}",
        Scope::Write,
        saved_searches::delete,
    ),
    get(
        "/v1/customer-saved-searches/{saved_search_id}/customers",
        &["limit", "cursor"],
        saved_searches::customers,
    ),
    // Products and categories.
    get("/v1/products", &["limit", "cursor"], products::list),
    get("/v1/products/count", &[], products::count),
    write(Method::POST, "/v1/products/bulk", Scope::Write, products::put_many),
    get("/v1/products/{product_id}", &[], products::show),
    write(Method::PUT, "/v1/products/{product_id}", Scope::Write, products::put),
    write(Method::DELETE, "/v1/products/{product_id}", Scope::Write, products::delete),
    get("/v1/categories", &["limit", "cursor"], categories::list),
    get("/v1/categories/count", &[], categories::count),
    write(Method::POST, "/v1/categories/bulk", Scope::Write, categories::put_many),
    get("/v1/categories/{category_id}", &[], categories::show),
    write(Method::PUT, "/v1/categories/{category_id}", Scope::Write, categories::put),
    write(Method::DELETE, "/v1/categories/{category_id}", Scope::Write, categories::delete),
    // Price rules and discount codes.
    dry_runnable(Method::POST, "/v1/price-rules", price_rules::create),
    get("/v1/price-rules", &["limit", "cursor"], price_rules::list),
    get("/v1/price-rules/count", &[], price_rules::count),
    get("/v1/price-rules/{price_rule_id}", &[], price_rules::show),
    dry_runnable(Method::PUT, "/v1/price-rules/{price_rule_id}", price_rules::put),
    dry_runnable(Method::DELETE, "/v1/price-rules/{price_rule_id}", price_rules::delete),
    dry_runnable(
        Method::POST,
        "/v1/price-rules/{price_rule_id}/discount-codes",
        discount_codes::create,
    ),
    get(
        "/v1/price-rules/{price_rule_id}/discount-codes",
        &["limit", "cursor"],
        discount_codes::list,
    ),
    get(
        "/v1/price-rules/{price_rule_id}/discount-codes/count",
        &[],
        discount_codes::count,
    ),
    get(
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        &[],
        discount_codes::show,
    ),
    dry_runnable(
        Method::PUT,
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        discount_codes::put,
    ),
    dry_runnable(
        Method::DELETE,
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        discount_codes::delete,
    ),
    dry_runnable(Method::POST, "/v1/price-rules/{price_rule_id}/batch", discount_codes::batch),
    get(
        "/v1/price-rules/{price_rule_id}/batch/{batch_id}",
        &[],
        discount_codes::show_batch,
    ),
    get(
        "/v1/price-rules/{price_rule_id}/batch/{batch_id}/discount-codes",
        &[],
        discount_codes::batch_codes,
    ),
    get(
        "/v1/discount-codes/lookup",
        &["code", "customer_id", "email", "address"],
        discount_codes::lookup,
    ),
    // Carts and checkouts. To evaluate a cart is a read.
    write(Method::POST, "/v1/carts/evaluate", Scope::Read, carts::evaluate),
    dry_runnable(Method::POST, "/v1/checkouts/{checkout_id}/codes", carts::reserve),
    get("/v1/checkouts/{checkout_id}/codes", &[], carts::show),
    Route {
        method: Method::DELETE,
        pattern: "/v1/checkouts/{checkout_id}/codes",
        query: &["code"],
        handler: RouteHandler::Bearer(Scope::Write, carts::release),
    },
    // Shopify's REST API.
    shopify(
        Method::POST,
        "/admin/api/{version}/customers.json",
        &[],
        Scope::Write,
        shopify::customers::create,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers.json",
        &["limit", "page_info", "since_id", "ids", "fields"],
        Scope::Read,
        shopify::customers::list,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers/count.json",
        &[],
        Scope::Read,
        shopify::customers::count,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers/search.json",
        &["query", "limit", "page_info", "fields"],
        Scope::Read,
        shopify::customers::search,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customers/{id}.json",
        &["fields"],
        Scope::Read,
        shopify::customers::show,
    ),
    shopify(
        Method::PUT,
        "/admin/api/{version}/customers/{id}.json",
        &[],
        Scope::Write,
        shopify::customers::update,
    ),
    shopify(
        Method::POST,
        "/admin/api/{version}/customer_saved_searches.json",
        &[],
        Scope::Write,
        shopify::saved_searches::create,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches.json",
        &["limit", "page_info", "since_id", "fields"],
        Scope::Read,
        shopify::saved_searches::list,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches/count.json",
        &[],
        Scope::Read,
        shopify::saved_searches::count,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches/{id}.json",
        &["fields"],
        Scope::Read,
        shopify::saved_searches::show,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/customer_saved_searches/{id}/customers.json",
        &["limit", "page_info", "fields"],
        Scope::Read,
        shopify::saved_searches::customers,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/products.json",
        &["limit", "page_info", "since_id", "ids", "fields"],
        Scope::Read,
        shopify::products::list,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/products/count.json",
        &[],
        Scope::Read,
        shopify::products::count,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/products/{id}.json",
        &["fields"],
        Scope::Read,
        shopify::products::show,
    ),
    shopify(
        Method::POST,
        "/admin/api/{version}/price_rules.json",
        &[],
        Scope::Write,
        shopify::price_rules::create,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules.json",
        &["limit", "page_info", "since_id", "fields"],
        Scope::Read,
        shopify::price_rules::list,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/count.json",
        &[],
        Scope::Read,
        shopify::price_rules::count,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}.json",
        &["fields"],
        Scope::Read,
        shopify::price_rules::show,
    ),
    shopify(
        Method::PUT,
        "/admin/api/{version}/price_rules/{id}.json",
        &[],
        Scope::Write,
        shopify::price_rules::update,
    ),
    shopify(
        Method::DELETE,
        "/admin/api/{version}/price_rules/{id}.json",
        &[],
        Scope::Write,
        shopify::price_rules::delete,
    ),
    shopify(
        Method::POST,
        "/admin/api/{version}/price_rules/{id}/discount_codes.json",
        &[],
        Scope::Write,
        shopify::discount_codes::create,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/discount_codes.json",
        &["limit", "page_info", "since_id", "fields"],
        Scope::Read,
        shopify::discount_codes::list,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/discount_codes/{code_id}.json",
        &["fields"],
        Scope::Read,
        shopify::discount_codes::show,
    ),
    shopify(
        Method::PUT,
        "/admin/api/{version}/price_rules/{id}/discount_codes/{code_id}.json",
        &[],
        Scope::Write,
        shopify::discount_codes::update,
    ),
    shopify(
        Method::DELETE,
        "/admin/api/{version}/price_rules/{id}/discount_codes/{code_id}.json",
        &[],
        Scope::Write,
        shopify::discount_codes::delete,
    ),
    shopify(
        Method::POST,
        "/admin/api/{version}/price_rules/{id}/batch.json",
        &[],
        Scope::Write,
        shopify::discount_codes::batch,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/batch/{batch_id}.json",
        &[],
        Scope::Read,
        shopify::discount_codes::show_batch,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/price_rules/{id}/batch/{batch_id}/discount_codes.json",
        &[],
        Scope::Read,
        shopify::discount_codes::batch_codes,
    ),
    shopify(
        Method::GET,
        "/admin/api/{version}/discount_codes/lookup.json",
        &["code"],
        Scope::Read,
        shopify::discount_codes::lookup,
    ),
    // Events of the store plugins. The queries are the same for all platforms.
    signed("/integrations/webhooks/{platform}/key-verify", WebhookEvent::KeyVerify),
    signed("/integrations/webhooks/{platform}/app-installed", WebhookEvent::AppInstalled),
    signed(
        "/integrations/webhooks/{platform}/customers-create",
        WebhookEvent::CustomerChanged,
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-processing",
        WebhookEvent::OrderReached(Status::Processing),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-paid",
        WebhookEvent::OrderReached(Status::Paid),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-fulfilled",
        WebhookEvent::OrderReached(Status::Fulfilled),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-completed",
        WebhookEvent::OrderReached(Status::Completed),
    ),
    signed(
        "/integrations/webhooks/{platform}/orders-cancelled",
        WebhookEvent::OrderCancelled,
    ),
    signed("/integrations/webhooks/{platform}/orders-closed", WebhookEvent::OrderClosed),
    signed("/integrations/webhooks/{platform}/refunds-create", WebhookEvent::RefundCreated),
    signed("/integrations/webhooks/common/customer", WebhookEvent::CustomerQuery),
    signed("/integrations/webhooks/common/redeem-reward", WebhookEvent::RedeemReward),
    signed("/integrations/webhooks/common/rewards-list", WebhookEvent::RewardsQuery),
];

/// Finds the route of a request.
pub(crate) struct Router {
    paths: matchit::Router<Vec<&'static Route>>,
}

/// A route and the parameters of its path, still percent-encoded.
pub(crate) struct MatchedRoute<'a> {
    pub(crate) route: &'static Route,
    pub(crate) params: Params<'a, 'a>,
}

impl Router {
    #[expect(clippy::expect_used, reason = "the table is fixed; the first test walks it")]
    pub(crate) fn new(routes: &'static [Route]) -> Self {
        let mut by_pattern: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
        for route in routes {
            by_pattern.entry(route.pattern).or_default().push(route);
        }

        let mut paths = matchit::Router::new();
        for (pattern, routes) in by_pattern {
            paths.insert(pattern, routes).expect("patterns without conflicts");
        }
        Self { paths }
    }

    /// The route of a method and a path; 404 for an unknown path, 405 for another method.
    pub(crate) fn find<'a>(
        &'a self,
        method: &Method,
        path: &'a str,
    ) -> Result<MatchedRoute<'a>, Problem> {
        let unknown = |_| Problem::not_found("Unknown path.");
        let matchit::Match { value: routes, params } = self.paths.at(path).map_err(unknown)?;

        // hyper drops the body of a response to HEAD.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        match routes.iter().find(|route| route.method == *method) {
            Some(route) => Ok(MatchedRoute { route, params }),
            None => Err(Problem::method_not_allowed(&allowed_methods(routes))),
        }
    }
}

/// The methods of a path, for `Allow`.
fn allowed_methods(routes: &[&Route]) -> Vec<Method> {
    let mut methods = Vec::new();
    for route in routes {
        methods.push(route.method.clone());
        if route.method == Method::GET {
            methods.push(Method::HEAD);
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The pattern and the first parameter of a path, or the code of the error.
    fn find(method: &Method, path: &str) -> Result<(&'static str, Option<String>), &'static str> {
        let router = Router::new(ROUTES);
        let matched = router.find(method, path).map_err(|problem| problem.code())?;
        Ok((
            matched.route.pattern,
            matched.params.iter().next().map(|(_, value)| value.to_owned()),
        ))
    }

    #[test]
    fn every_route_is_found_by_its_path() {
        for route in ROUTES {
            let path = route
                .pattern
                .replace("{customer_id}", "c1")
                .replace("{order_id}", "o1");
            assert_eq!(find(&route.method, &path).map(|found| found.0), Ok(route.pattern));
        }
    }

    #[test]
    fn literal_segments_win_over_ids_and_ids_are_any_text() {
        for (path, pattern, id) in [
            ("/v1/customers/count", "/v1/customers/count", None),
            ("/v1/customers/%63ount", "/v1/customers/{customer_id}", Some("%63ount")),
            ("/v1/customers/counts", "/v1/customers/{customer_id}", Some("counts")),
            (
                "/v1/customers/count/ledger",
                "/v1/customers/{customer_id}/ledger",
                Some("count"),
            ),
            ("/v1/customers/a%2Fb", "/v1/customers/{customer_id}", Some("a%2Fb")),
            (
                "/v1/customers/{customer_id}",
                "/v1/customers/{customer_id}",
                Some("{customer_id}"),
            ),
        ] {
            assert_eq!(find(&Method::GET, path), Ok((pattern, id.map(str::to_owned))), "{path}");
        }
    }

    #[test]
    fn unknown_paths_and_unknown_methods_differ() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/customers/",
            "/v1/customers/a/b",
            "/v1/customers//ledger",
            "/V1/key",
            "*",
        ] {
            assert_eq!(find(&Method::GET, path), Err("not_found"), "{path}");
        }
        assert_eq!(find(&Method::DELETE, "/v1/customers"), Err("method_not_allowed"));
        assert_eq!(find(&Method::GET, "/v1/points-add"), Err("method_not_allowed"));
        assert_eq!(find(&Method::HEAD, "/v1/points-add"), Err("method_not_allowed"));
        assert_eq!(find(&Method::HEAD, "/v1/key").unwrap().0, "/v1/key");
        let router = Router::new(ROUTES);
        let allowed = &router.paths.at("/v1/customers").unwrap().value;
        assert_eq!(allowed_methods(allowed), [Method::POST, Method::GET, Method::HEAD]);
    }
}
