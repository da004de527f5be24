//! The requests.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::Error;
use crate::view::{ClusterView, Status};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Reads come from Patroni's memory or one request to the Kubernetes API.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// A switchover answers when it is over: Patroni itself waits up to twice its loop.
const SWITCHOVER_TIMEOUT: Duration = Duration::from_secs(75);
/// A restart includes a checkpoint.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a refusal's body an error shows, in characters.
const SHOWN: usize = 300;

/// A client for the members of all clusters; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
}

/// What a restart request led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// PostgreSQL was restarted.
    Done,
    /// Nothing was waiting for a restart.
    NotNeeded,
}

impl Client {
    /// A client that goes straight to the members, past any proxy of the environment.
    ///
    /// # Errors
    /// [`Error::Setup`] when the HTTP library cannot start.
    pub fn new() -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            // Patroni speaks HTTP/1.0 and closes after each answer.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(Error::Setup)?;
        Ok(Self { http })
    }

    /// The cluster as this member sees it.
    ///
    /// # Errors
    /// As [`Error`] says; the same for all requests.
    pub async fn cluster(&self, base_url: &str) -> Result<ClusterView, Error> {
        Request::read("GET /cluster", base_url).json(&self.http).await
    }

    /// The member about itself.
    pub async fn status(&self, base_url: &str) -> Result<Status, Error> {
        Request::read("GET /patroni", base_url).json(&self.http).await
    }

    /// The dynamic configuration; none before the first database is made, which Patroni answers with 502.
    pub async fn config(&self, base_url: &str) -> Result<Option<Value>, Error> {
        let request = Request::read("GET /config", base_url);
        let (status, body) = request.answer(&self.http).await?;
        if status == StatusCode::BAD_GATEWAY {
            return Ok(None);
        }
        request.accepted(status, &body, status.is_success())?;
        request.parsed(&body).map(Some)
    }

    /// Merges into the dynamic configuration (`null` deletes) and returns the whole.
    /// An empty patch, which Patroni would refuse, only reads.
    pub async fn patch_config(&self, base_url: &str, patch: &Value) -> Result<Value, Error> {
        if patch.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(self.config(base_url).await?.unwrap_or_default());
        }
        let request = Request { body: Some(patch.clone()), ..Request::read("PATCH /config", base_url) };
        let (status, body) = request.answer(&self.http).await?;
        request.accepted(status, &body, status.is_success())?;
        request.parsed(&body)
    }

    /// Hands the leader's place to a candidate at once, and returns Patroni's sentence
    /// about it. That may name another member than the candidate: observe afterwards.
    pub async fn switchover(&self, base_url: &str, leader: &str, candidate: &str) -> Result<String, Error> {
        let request = Request {
            body: Some(json!({ "leader": leader, "candidate": candidate })),
            timeout: SWITCHOVER_TIMEOUT,
            ..Request::read("POST /switchover", base_url)
        };
        let (status, body) = request.answer(&self.http).await?;
        request.accepted(status, &body, status == StatusCode::OK)?;
        Ok(body.trim().to_owned())
    }

    /// Has the member's data copied anew from the leader. Patroni answers at once and copies
    /// afterwards; `force` ends what it is doing.
    pub async fn reinitialize(&self, base_url: &str) -> Result<String, Error> {
        let request =
            Request { body: Some(json!({ "force": true })), ..Request::read("POST /reinitialize", base_url) };
        let (status, body) = request.answer(&self.http).await?;
        request.accepted(status, &body, status == StatusCode::OK)?;
        Ok(body.trim().to_owned())
    }

    /// Restarts the member's PostgreSQL if settings are waiting for it.
    pub async fn restart(&self, base_url: &str) -> Result<Restart, Error> {
        let request = Request {
            body: Some(json!({ "restart_pending": true })),
            timeout: RESTART_TIMEOUT,
            ..Request::read("POST /restart", base_url)
        };
        let (status, body) = request.answer(&self.http).await?;
        if status == StatusCode::SERVICE_UNAVAILABLE && body.contains("conditions are not satisfied") {
            return Ok(Restart::NotNeeded);
        }
        request.accepted(status, &body, status == StatusCode::OK)?;
        Ok(Restart::Done)
    }
}

/// Patroni's own reason. Where it has none, its library's page about the status comes instead, which says
/// no more than the status.
fn reason_in(status: StatusCode, body: &str) -> String {
    let body = body.trim();
    if body.is_empty() || body.starts_with('<') {
        return status.canonical_reason().unwrap_or("no reason given").to_owned();
    }
    body.chars().take(SHOWN).collect()
}

struct Request<'a> {
    /// Method and path, as in errors.
    line: &'static str,
    base_url: &'a str,
    body: Option<Value>,
    timeout: Duration,
}

impl<'a> Request<'a> {
    fn read(line: &'static str, base_url: &'a str) -> Self {
        Self { line, base_url, body: None, timeout: READ_TIMEOUT }
    }

    async fn json<T: DeserializeOwned>(&self, http: &reqwest::Client) -> Result<T, Error> {
        let (status, body) = self.answer(http).await?;
        // Several read endpoints answer 503, depending on the role, with a good body.
        let readable = status.is_success()
            || (status == StatusCode::SERVICE_UNAVAILABLE && body.trim_start().starts_with('{'));
        self.accepted(status, &body, readable)?;
        self.parsed(&body)
    }

    async fn answer(&self, http: &reqwest::Client) -> Result<(StatusCode, String), Error> {
        let unreachable = |source: reqwest::Error| Error::Unreachable {
            base_url: self.base_url.to_owned(),
            request: self.line,
            source: source.without_url(),
        };
        let (method, path) = self.line.split_once(' ').unwrap_or(("GET", self.line));
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let url = format!("{}{path}", self.base_url.trim_end_matches('/'));
        let mut request = http.request(method, url).timeout(self.timeout);
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.text().await.map_err(unreachable)?;
        Ok((status, body))
    }

    fn accepted(&self, status: StatusCode, body: &str, accepted: bool) -> Result<(), Error> {
        if accepted {
            return Ok(());
        }
        Err(Error::Refused {
            base_url: self.base_url.to_owned(),
            request: self.line,
            status: status.as_u16(),
            body: reason_in(status, body),
        })
    }

    fn parsed<T: DeserializeOwned>(&self, body: &str) -> Result<T, Error> {
        serde_json::from_str(body).map_err(|source| Error::Unreadable {
            base_url: self.base_url.to_owned(),
            request: self.line,
            source,
        })
    }
}
