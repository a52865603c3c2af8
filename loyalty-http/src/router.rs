//! Finds the route of a request in the tables of `routes`.

use std::collections::BTreeMap;

use hyper::Method;
use matchit::Params;

use crate::problem::Problem;
pub use crate::route::{Access, Route};
pub use crate::routes::ROUTES;

/// The most characters in which a path may differ from the one that is suggested instead.
const MAX_DISTANCE: usize = 3;

/// The longest path that is compared with patterns.
const MAX_COMPARED: usize = 128;

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
        let unknown = |_| unknown_path(path);
        let matchit::Match { value: routes, params } = self.paths.at(path).map_err(unknown)?;

        // hyper drops the body of a response to HEAD.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        match routes.iter().find(|route| route.method == *method) {
            Some(route) => Ok(MatchedRoute { route, params }),
            None => Err(Problem::method_not_allowed(&allowed_methods(routes))),
        }
    }
}

/// 404, with the pattern that the client may have meant.
fn unknown_path(path: &str) -> Problem {
    let distances = ROUTES.iter().filter_map(|route| {
        let distance = path_distance(path, route.pattern)?;
        Some((distance, route.pattern))
    });
    // Of a short pattern most characters may be others.
    let is_near = |(distance, pattern): &(usize, &str)| {
        *distance <= MAX_DISTANCE && distance.saturating_mul(2) < pattern.len()
    };
    match distances.filter(is_near).min() {
        Some((_, pattern)) => Problem::not_found(format!("Unknown path; {pattern} is near.")),
        None => Problem::not_found("Unknown path. GET /openapi.json lists all paths."),
    }
}

/// The number of characters in which a path differs from a pattern; a parameter differs in
/// none. `None` if they have not the same number of segments.
fn path_distance(path: &str, pattern: &str) -> Option<usize> {
    let path = path.trim_end_matches('/');
    if path.len() > MAX_COMPARED || path.split('/').count() != pattern.split('/').count() {
        return None;
    }

    let segments = path.split('/').zip(pattern.split('/'));
    let literals = segments.filter(|(_, expected)| !expected.starts_with('{'));
    Some(literals.fold(0, |sum: usize, (segment, expected)| {
        let segment = segment.to_ascii_lowercase().replace('_', "-");
        sum.saturating_add(strsim::levenshtein(&segment, expected))
    }))
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
        let router = Router::new(&ROUTES);
        let matched = router.find(method, path).map_err(|problem| problem.code())?;
        Ok((
            matched.route.pattern,
            matched.params.iter().next().map(|(_, value)| value.to_owned()),
        ))
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for route in ROUTES.iter() {
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
        for (path, nearest) in [
            ("/v1/customer/7", Some("/v1/customers/{customer_id}")),
            ("/v1/points_add", Some("/v1/points-add")),
            ("/v1/customers/", Some("/v1/customers")),
            ("/V1/key", Some("/v1/key")),
            ("/v1/nothing-like-it", None),
            ("/v1", None),
            (&format!("/v1/{}", "customers".repeat(100)), None),
        ] {
            let detail = unknown_path(path).detail().to_owned();
            assert_eq!(detail.contains("is near"), nearest.is_some(), "{path}: {detail}");
            assert!(nearest.is_none_or(|nearest| detail.contains(nearest)), "{path}: {detail}");
        }
        assert_eq!(find(&Method::DELETE, "/v1/customers"), Err("method_not_allowed"));
        assert_eq!(find(&Method::GET, "/v1/points-add"), Err("method_not_allowed"));
        assert_eq!(find(&Method::HEAD, "/v1/points-add"), Err("method_not_allowed"));
        assert_eq!(find(&Method::HEAD, "/v1/key").unwrap().0, "/v1/key");
        let router = Router::new(&ROUTES);
        let allowed = &router.paths.at("/v1/customers").unwrap().value;
        assert_eq!(allowed_methods(allowed), [Method::POST, Method::GET, Method::HEAD]);
    }
}
