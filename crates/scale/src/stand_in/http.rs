//! Patroni's REST interface, for all members on one port.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Key, StandIn};

/// Patroni's port.
const PORT: u16 = 8008;
/// How long a switchover may take to be written down.
const SWITCHOVER: Duration = Duration::from_secs(20);

/// The address that a client connected to.
#[derive(Clone, Copy)]
struct Asked(Option<IpAddr>);

impl Connected<IncomingStream<'_, TcpListener>> for Asked {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(stream.io().local_addr().ok().map(|address| address.ip()))
    }
}

/// Listens on every address.
pub async fn listen(stand_in: StandIn) -> Result<()> {
    let address = SocketAddr::from(([0, 0, 0, 0], PORT));
    let listener = TcpListener::bind(address).await.with_context(|| format!("port {PORT} is taken"))?;
    let router = Router::new().fallback(answer).with_state(stand_in);
    let service = router.into_make_service_with_connect_info::<Asked>();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            eprintln!("stand-in: the REST interface ended: {error}");
        }
    });
    Ok(())
}

async fn answer(
    State(stand_in): State<StandIn>,
    ConnectInfo(asked): ConnectInfo<Asked>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let who = asked.0.and_then(|address| stand_in.state().addresses.get(&address).cloned());
    let Some((key, pod)) = who else {
        return (StatusCode::NOT_FOUND, "no pod has this address\n").into_response();
    };
    if stand_in.state().silent.contains(&key) {
        std::future::pending::<()>().await;
    }
    if method == Method::GET {
        return read(&stand_in, &key, &pod, uri.path());
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "the body is not JSON\n").into_response();
    };
    let strike = stand_in.state().strikes.get(&key.0).cloned();
    let number = match &strike {
        Some(strike) => strike.before(&format!("{method} Patroni {}", uri.path())).await,
        None => None,
    };
    let answer = change(&stand_in, &key, &pod, (method.as_str(), uri.path()), &body).await;
    if let Some(strike) = strike {
        strike.after(number).await;
    }
    answer
}

async fn change(
    stand_in: &StandIn,
    key: &Key,
    pod: &str,
    (method, path): (&str, &str),
    body: &Value,
) -> Response {
    match (method, path) {
        ("PATCH", "/config") => patch(stand_in, key, body),
        ("POST", "/switchover") => switch_over(stand_in, key, body).await,
        ("POST", "/restart") => restart(stand_in, key, pod),
        ("POST", "/reinitialize") => (StatusCode::OK, "reinitialize started").into_response(),
        _ => (StatusCode::NOT_IMPLEMENTED, "not known here\n").into_response(),
    }
}

fn read(stand_in: &StandIn, key: &Key, pod: &str, path: &str) -> Response {
    let state = stand_in.state();
    let Some(cluster) = state.clusters.get(key) else {
        return (StatusCode::NOT_FOUND, "the cluster is gone\n").into_response();
    };
    let leads = cluster.leader.as_deref() == Some(pod);
    let code = |good| if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match path {
        "/cluster" => Json(cluster.view(&key.1)).into_response(),
        "/config" => match &cluster.configuration {
            Some(configuration) => Json(configuration).into_response(),
            None => (StatusCode::BAD_GATEWAY, "no configuration\n").into_response(),
        },
        "/patroni" | "/health" | "/liveness" | "/readiness" => Json(cluster.status(pod)).into_response(),
        "/" | "/primary" | "/master" | "/read-write" | "/leader" => {
            (code(leads), Json(cluster.status(pod))).into_response()
        }
        "/replica" => (code(!leads), Json(cluster.status(pod))).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, Json(cluster.status(pod))).into_response(),
    }
}

fn patch(stand_in: &StandIn, key: &Key, body: &Value) -> Response {
    if body.as_object().is_none_or(serde_json::Map::is_empty) {
        return (StatusCode::BAD_REQUEST, "nothing to patch\n").into_response();
    }
    let mut state = stand_in.state();
    let patched = state.clusters.get_mut(key).and_then(|cluster| cluster.patch(body));
    let Some(configuration) = patched else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no configuration\n").into_response();
    };
    state.patched.push((key.clone(), Instant::now(), configuration.clone()));
    drop(state);
    stand_in.touch(key);
    Json(configuration).into_response()
}

async fn switch_over(stand_in: &StandIn, key: &Key, body: &Value) -> Response {
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    let Some(candidate) = text("candidate").or(text("member")) else {
        return (StatusCode::BAD_REQUEST, "a candidate is needed here\n").into_response();
    };
    let Some(leader) = text("leader") else {
        return (StatusCode::BAD_REQUEST, "Switchover could be performed only from a specific leader\n")
            .into_response();
    };
    let decided = match stand_in.state().clusters.get_mut(key) {
        Some(cluster) => cluster.switch_over(Some(leader), candidate),
        None => Err("the cluster is gone".to_owned()),
    };
    if let Err(why) = decided {
        return (StatusCode::PRECONDITION_FAILED, why).into_response();
    }
    stand_in.touch(key);
    let start = Instant::now();
    while start.elapsed() < SWITCHOVER {
        let written = stand_in.cluster(key).and_then(|cluster| cluster.written_leader);
        if written.as_deref() == Some(candidate) {
            return (StatusCode::OK, format!("Successfully switched over to \"{candidate}\""))
                .into_response();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (StatusCode::SERVICE_UNAVAILABLE, "Switchover status unknown").into_response()
}

fn restart(stand_in: &StandIn, key: &Key, pod: &str) -> Response {
    let mut state = stand_in.state();
    let member = state.clusters.get_mut(key).and_then(|cluster| cluster.members.get_mut(pod));
    match member {
        Some(member) if !member.pending.is_empty() => {
            member.pending.clear();
            (StatusCode::OK, "restarted successfully").into_response()
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "restart conditions are not satisfied").into_response(),
    }
}
