//! Between the operator and the API server: counts writes, and strikes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::net::TcpListener;

use super::strike::{Strike, is_write};

/// No request of the operator is longer.
const LONGEST: usize = 8 << 20;

#[derive(Clone)]
struct Proxy {
    client: Client,
    strike: Arc<Strike>,
}

/// Listens on a free port of 127.0.0.1, without encryption, and asks the API server with the
/// certificate of that client. Returns the kubeconfig for it.
///
/// # Errors
/// When there is no such certificate.
pub async fn start(state: &Path, identity: &str, name: &str, strike: Arc<Strike>) -> Result<PathBuf> {
    let file = Kubeconfig::read_from(state.join(format!("pki/{identity}.kubeconfig")))?;
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    // Watches are quiet for as long as nothing happens.
    config.read_timeout = None;
    let proxy = Proxy { client: Client::try_from(config)?, strike };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let server = format!("http://{}", listener.local_addr()?);
    let router = Router::new().fallback(forward).with_state(proxy);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            eprintln!("the proxy ended: {error}");
        }
    });
    let path = state.join(format!("pki/proxy-{name}.kubeconfig"));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    std::fs::write(&path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let counts = is_write(parts.method.as_str(), &path, &query);
    let number = if counts { proxy.strike.before(&format!("{} {path}", parts.method)).await } else { None };
    let Ok(body) = axum::body::to_bytes(body, LONGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // They are about this connection, not the other.
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
    let answer = proxy.client.send(request).await;
    proxy.strike.after(number).await;
    match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
