//! Log lines: text or JSON (`ENABLE_JSON_LOGGING`), and their level (`debug_logging`), which can
//! change while the operator runs.

use anyhow::Context as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// Level of the log.
#[derive(Clone)]
pub struct LogLevel {
    filter: reload::Handle<EnvFilter, Registry>,
    fixed: bool,
}

/// Starts logging. `RUST_LOG`, when it is set, is stronger than the setting.
///
/// # Errors
/// When something logs already.
pub fn start(json: bool) -> anyhow::Result<LogLevel> {
    let given = EnvFilter::try_from_default_env().ok();
    let fixed = given.is_some();
    let (filter, handle) = reload::Layer::new(given.unwrap_or_else(|| level(false)));
    let lines = if json {
        fmt::layer().json().flatten_event(true).boxed()
    } else {
        fmt::layer().with_ansi(false).boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().context("logging is started twice")?;
    Ok(LogLevel { filter: handle, fixed })
}

impl LogLevel {
    /// Details or not.
    pub fn set(&self, debug: bool) {
        if !self.fixed && self.filter.reload(level(debug)).is_err() {
            tracing::warn!("the log level cannot be changed any more");
        }
    }
}

fn level(debug: bool) -> EnvFilter {
    EnvFilter::new(if debug { "info,matriarch=debug,kube_runtime=warn" } else { "info,kube_runtime=warn" })
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn debug_logging_shows_details() {
        assert!(level(true).to_string().contains("matriarch=debug"));
        assert!(!level(false).to_string().contains("debug"));
    }
}
