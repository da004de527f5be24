//! The Kubernetes client, with every request counted.

use axum::http::{HeaderValue, Method, Request, header};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::util::MapRequestLayer;

use crate::metrics::Metrics;

/// What the API server knows us by, in its audit log and in its flow control.
const USER_AGENT: &str = concat!("matriarch/", env!("CARGO_PKG_VERSION"));

/// A client of this configuration.
///
/// # Errors
/// When the configuration cannot be used.
pub fn client(mut config: Config, metrics: &Metrics) -> kube::Result<Client> {
    if let Ok(agent) = HeaderValue::from_str(USER_AGENT) {
        config.headers.push((header::USER_AGENT, agent));
    }
    let counted = metrics.requests();
    let count = MapRequestLayer::new(move |request: Request<Body>| {
        counted.count(verb(request.method(), request.uri().path(), request.uri().query()));
        request
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&count).build())
}

/// The verb as Kubernetes calls it.
fn verb(method: &Method, path: &str, query: Option<&str>) -> &'static str {
    match method.as_str() {
        "GET" if query.unwrap_or_default().split('&').any(|part| part == "watch=true") => "watch",
        // Names end a path, plurals a list: /api/v1/namespaces/x/pods, /apis/apps/v1/statefulsets.
        "GET" if is_list(path) => "list",
        "GET" => "get",
        "POST" => "create",
        "PATCH" => "patch",
        "PUT" => "update",
        "DELETE" => "delete",
        _ => "other",
    }
}

fn is_list(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let after_version = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => None,
    };
    match after_version.unwrap_or_default() {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest.len() == 1,
        parts => parts.len() == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::verb;
    use axum::http::Method;

    #[test]
    fn requests_have_the_verbs_of_kubernetes() {
        for (method, path, query, expected) in [
            (Method::GET, "/api/v1/namespaces/demo/pods", "labelSelector=a", "list"),
            (Method::GET, "/api/v1/namespaces/demo/pods/a-0", "", "get"),
            (Method::GET, "/apis/apps/v1/statefulsets", "watch=true&timeoutSeconds=290", "watch"),
            (Method::GET, "/api/v1/namespaces/demo", "", "get"),
            (Method::GET, "/api/v1/namespaces", "", "list"),
            (Method::PATCH, "/apis/acid.zalan.do/v1/namespaces/demo/postgresqls/a/status", "", "patch"),
            (Method::POST, "/api/v1/namespaces/demo/secrets", "", "create"),
            (Method::DELETE, "/api/v1/namespaces/demo/pods/a-0", "", "delete"),
        ] {
            assert_eq!(verb(&method, path, Some(query)), expected, "{method} {path}");
        }
    }
}
