//! What can go wrong with a request to a member.

/// An error of a request; each names the member by its base URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The member did not answer, or not in time.
    #[error("Patroni at {base_url} did not answer {request}: {}", with_sources(.source))]
    Unreachable {
        /// Base URL of the member.
        base_url: String,
        /// Method and path.
        request: &'static str,
        /// What the client library said.
        source: reqwest::Error,
    },
    /// The member answered and refused.
    #[error("Patroni at {base_url} refused {request} with {status}: {body}")]
    Refused {
        /// Base URL of the member.
        base_url: String,
        /// Method and path.
        request: &'static str,
        /// HTTP status.
        status: u16,
        /// Beginning of the body; Patroni gives its reason there.
        body: String,
    },
    /// The answer was not what the interface promises.
    #[error("Patroni at {base_url} answered {request} with something unreadable: {source}")]
    Unreadable {
        /// Base URL of the member.
        base_url: String,
        /// Method and path.
        request: &'static str,
        /// Where reading failed.
        source: serde_json::Error,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client for Patroni: {0}")]
    Setup(reqwest::Error),
}

impl Error {
    /// Whether the member was reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

fn with_sources(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
