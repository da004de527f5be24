//! `SPILO_CONFIGURATION`: what the image gets as Patroni's configuration.
//!
//! The text is what existing pods hold: keys of maps sorted, other keys in this order, `<`, `>`
//! and `&` escaped.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, version};
use crate::level::Level;

type Map = BTreeMap<String, String>;

/// Parameters that stand in the local configuration of each pod; the others are dynamic.
const LOCAL: [&str; 20] = [
    "archive_command",
    "bg_mon.history_buckets",
    "bg_mon.listen_address",
    "extwlist.custom_path",
    "extwlist.extensions",
    "log_destination",
    "log_directory",
    "log_file_mode",
    "log_filename",
    "log_rotation_age",
    "log_truncate_on_rotation",
    "logging_collector",
    "pg_stat_statements.track_utility",
    "shared_buffers",
    "shared_preload_libraries",
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_crl_file",
    "ssl_key_file",
];

/// Options of initdb that the original knows to have no value.
const INITDB_FLAGS: [&str; 6] = ["data-checksums", "debug", "no-locale", "noclean", "nosync", "sync-only"];

#[derive(Serialize)]
struct Configuration {
    postgresql: Local,
    bootstrap: Bootstrap,
}

#[derive(Serialize)]
struct Local {
    #[serde(skip_serializing_if = "Option::is_none")]
    bin_dir: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: Map,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pg_hba: Vec<String>,
}

#[derive(Serialize)]
struct Bootstrap {
    initdb: Vec<Value>,
    dcs: Dynamic,
}

#[derive(Serialize)]
struct Dynamic {
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loop_wait: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_lag_on_failover: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synchronous_mode: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synchronous_mode_strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synchronous_node_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postgresql: Option<DynamicPostgresql>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: BTreeMap<String, Map>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failsafe_mode: Option<bool>,
}

#[derive(Serialize)]
struct DynamicPostgresql {
    parameters: Map,
}

/// The text of `SPILO_CONFIGURATION`.
pub(super) fn configuration(context: &Context<'_>) -> String {
    let spec = &context.cluster.spec;
    let patroni = spec.patroni.clone().unwrap_or_default();
    let (local, dynamic) = parameters(context);
    let bin_dir =
        format!("/usr/lib/postgresql/{}/bin", version::of_pods(context, &spec.postgresql.version).0);
    let positive = |value: Option<i64>| value.filter(|value| *value > 0);
    let configuration = Configuration {
        postgresql: Local {
            bin_dir: (!context.settings.enable_pgversion_env_var).then_some(bin_dir),
            parameters: local,
            pg_hba: patroni.pg_hba.unwrap_or_default(),
        },
        bootstrap: Bootstrap {
            initdb: initdb(context, &patroni.initdb.unwrap_or_default()),
            dcs: Dynamic {
                ttl: positive(patroni.ttl),
                loop_wait: positive(patroni.loop_wait),
                retry_timeout: positive(patroni.retry_timeout),
                maximum_lag_on_failover: lag(context, patroni.maximum_lag_on_failover),
                synchronous_mode: patroni.synchronous_mode.filter(|on| *on),
                synchronous_mode_strict: patroni.synchronous_mode_strict.filter(|on| *on),
                synchronous_node_count: positive(patroni.synchronous_node_count),
                postgresql: (!dynamic.is_empty()).then_some(DynamicPostgresql { parameters: dynamic }),
                slots: patroni.slots.unwrap_or_default(),
                failsafe_mode: Some(
                    patroni.failsafe_mode.unwrap_or(context.settings.enable_patroni_failsafe_mode),
                ),
            },
        },
    };
    json_text(&configuration)
}

/// The manifest's parameters: local ones, dynamic ones.
pub(super) fn parameters(context: &Context<'_>) -> (Map, Map) {
    let all = context.cluster.spec.postgresql.parameters.clone().unwrap_or_default();
    all.into_iter().partition(|(key, _)| LOCAL.contains(&key.as_str()))
}

/// The original passes the number through 32 bits of a floating-point number and prints the fewest
/// digits that mean it (D24). Only new clusters read it here, so it restarts nobody.
fn lag(context: &Context<'_>, bytes: Option<i64>) -> Option<i64> {
    let bytes = bytes.filter(|bytes| *bytes > 0)?;
    if context.level.repairs(Level::REPAIRED) {
        return Some(bytes);
    }
    #[allow(clippy::cast_precision_loss)] // losing digits is the point
    let rounded = (bytes as f32).to_string();
    Some(rounded.parse().unwrap_or(bytes))
}

/// The list for initdb: two defaults, then the manifest's options by name.
///
/// The original knows only some of the options that have no value, and passes `false` on as a
/// value, which initdb refuses (D25).
fn initdb(context: &Context<'_>, options: &Map) -> Vec<Value> {
    let repaired = context.level.repairs(Level::REPAIRED);
    let mut defaults = [("auth-host", "scram-sha-256"), ("auth-local", "trust")];
    for (key, value) in &mut defaults {
        if let Some(own) = options.get(*key) {
            *value = own;
        }
    }
    let mut list: Vec<Value> = defaults.iter().map(|(key, value)| json!({*key: value})).collect();
    for (key, value) in options {
        if defaults.iter().any(|(default, _)| default == key) {
            continue;
        }
        let bare = value == "true" && (repaired || INITDB_FLAGS.contains(&key.as_str()));
        let left_out = if repaired { value == "false" } else { list.contains(&json!(value)) };
        if !left_out {
            list.push(if bare { json!(key) } else { json!({key: value}) });
        }
    }
    list
}

/// JSON as existing objects hold it: `<`, `>`, `&` and two line separators are escaped.
pub(super) fn json_text(value: &impl Serialize) -> String {
    let plain = serde_json::to_string(value).unwrap_or_default();
    let mut text = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            _ => text.push(c),
        }
    }
    text
}
