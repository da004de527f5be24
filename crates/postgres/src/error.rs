//! What can go wrong between us and a server, with the object it concerns.

use std::time::Duration;

use tokio_postgres::error::SqlState;

/// An error of a connection or a statement. No variant carries a password or a verifier.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or the server refused it.
    #[error("cannot connect to {server}: {}", with_sources(.source))]
    Connect {
        /// `user@host:port/database`.
        server: String,
        /// What the client library said.
        source: tokio_postgres::Error,
    },
    /// The server did not finish its answer in time.
    #[error("{server} did not answer within {} s while we tried to {what}", .after.as_secs())]
    Timeout {
        /// `user@host:port/database`.
        server: String,
        /// What was tried.
        what: String,
        /// How long we waited.
        after: Duration,
    },
    /// A statement failed.
    #[error("{server} refused to {what}: {}", with_sources(.source))]
    Statement {
        /// `user@host:port/database`.
        server: String,
        /// What was tried, as a sentence.
        what: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// The TLS library refused our own configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A statement needs a password that was not given to it.
    #[error("the statement needs the password of secret {secret}, which was not given")]
    PasswordMissing {
        /// Name of the Secret.
        secret: String,
    },
}

/// What an error means for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The server could not be reached or was not ready: look again later.
    Unreachable,
    /// User or password were refused.
    Denied,
    /// We spoke to a server that is not, or no longer, the primary.
    ReadOnly,
    /// The server understood and refused: the reason is in the message.
    Refused,
}

impl Error {
    /// What the error means for the next step.
    pub fn category(&self) -> Category {
        match self {
            Self::Timeout { .. } => Category::Unreachable,
            Self::Tls(_) | Self::PasswordMissing { .. } => Category::Refused,
            Self::Connect { source, .. } | Self::Statement { source, .. } => {
                source.code().map_or(Category::Unreachable, category_of)
            }
        }
    }

    /// Whether the same attempt may succeed later without anybody doing anything.
    pub fn retry(&self) -> bool {
        matches!(self.category(), Category::Unreachable | Category::ReadOnly)
    }
}

fn category_of(state: &SqlState) -> Category {
    match state.code() {
        "28P01" | "28000" => Category::Denied,
        "25006" => Category::ReadOnly,
        // Connection exceptions, shutdown and start-up, too many connections.
        code if code.starts_with("08") || code.starts_with("57P") || code == "53300" => Category::Unreachable,
        _ => Category::Refused,
    }
}

/// The library's errors say little themselves; what the server said is in the source.
fn with_sources(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        let detail = answer.detail().map(|d| format!(" ({d})")).unwrap_or_default();
        return format!("{}{detail} [{}]", answer.message(), answer.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories() {
        for (code, expected) in [
            ("28P01", Category::Denied),
            ("28000", Category::Denied),
            ("25006", Category::ReadOnly),
            ("57P03", Category::Unreachable),
            ("08006", Category::Unreachable),
            ("53300", Category::Unreachable),
            ("42704", Category::Refused),
        ] {
            assert_eq!(category_of(&SqlState::from_code(code)), expected, "{code}");
        }
    }
}
