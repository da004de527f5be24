//! Health, readiness and metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::controller::Context;

/// Serves until the process ends.
///
/// # Errors
/// When the port is taken.
pub async fn serve(context: Arc<Context>, port: u16) -> anyhow::Result<()> {
    let address = SocketAddr::from(([0, 0, 0, 0], port));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("port {port} is taken; choose another with --http-port"))?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    axum::serve(listener, router).await.context("the HTTP server ended")
}

async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    if context.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the manifests have not been listed yet\n")
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> String {
    context.metrics.text()
}
