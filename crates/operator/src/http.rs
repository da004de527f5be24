//! Health, readiness and metrics.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::api;
use crate::controller::Context;
use crate::settings_source::SettingsSource;

/// What is served: the settings from the beginning, the rest once it exists.
#[derive(Clone)]
pub struct Served {
    /// The settings, and what is told about them.
    pub settings: SettingsSource,
    /// What all passes share.
    pub context: Arc<OnceLock<Arc<Context>>>,
}

/// Serves until the process ends.
///
/// # Errors
/// When the port is taken.
pub async fn serve(served: Served, port: u16) -> anyhow::Result<()> {
    let address = SocketAddr::from(([0, 0, 0, 0], port));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("port {port} is taken; choose another with api_port or --http-port"))?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/readyz/", get(ready))
        .route("/metrics", get(metrics))
        .merge(api::paths())
        .with_state(served);
    axum::serve(listener, router).await.context("the HTTP server ended")
}

/// Ready when the manifests have been listed; the body tells about the settings: what the last
/// change does to which cluster, and what is refused.
async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let is_ready = served.context.get().is_some_and(|context| context.is_ready());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": is_ready, "settings": served.settings.standing()})))
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    let text = served.context.get().map(|context| context.measured()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}
