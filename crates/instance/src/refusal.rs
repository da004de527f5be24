//! What this image does not do, and says so instead of starting.
//!
//! A database that was asked to archive, to be a clone or to follow another one, and silently is none of
//! that, is worse than one that does not start: these requests are found before anything is written.

use std::fmt;

use serde_json::Value;

use crate::environment::Environment;

/// A request of the environment that cannot be met, with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it was asked: the name of a variable, or a path in `SPILO_CONFIGURATION`.
    pub asked_by: String,
    /// What was asked that this image does not do.
    pub asked: String,
    /// What to change.
    pub cure: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.asked_by, self.asked, self.cure)
    }
}

const OTHER_IMAGE: &str = "or use a published Spilo image (docker_image) for this cluster";

/// The value is in use: these names ask for something as soon as they have one.
struct Rule {
    names: &'static [&'static str],
    asked: &'static str,
    cure: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        names: &[
            "WAL_S3_BUCKET",
            "WAL_GS_BUCKET",
            "WAL_GCS_BUCKET",
            "WAL_SWIFT_BUCKET",
            "AZURE_STORAGE_ACCOUNT",
        ],
        asked: "asks for WAL archiving and base backups, which this image does not do yet",
        cure: "Remove it from the operator's configuration, the pod environment or the manifest's env",
    },
    Rule {
        names: &["BACKUP_SCHEDULE", "CRONTAB"],
        asked: "asks for scheduled jobs, which this image does not run yet",
        cure: "Remove it and schedule the job outside the pod",
    },
    Rule {
        names: &["LOG_S3_BUCKET"],
        asked: "asks for log shipping to object storage, which this image does not do yet",
        cure: "Remove it (log_s3_bucket in the operator's configuration)",
    },
    Rule {
        names: &[
            "CLONE_METHOD",
            "CLONE_SCOPE",
            "CLONE_HOST",
            "CLONE_TARGET_TIME",
            "CLONE_AZURE_STORAGE_ACCOUNT",
        ],
        asked: "asks for a clone of another cluster, which this image cannot make yet",
        cure: "Remove spec.clone from the manifest to start an empty database",
    },
    Rule {
        names: &["STANDBY_HOST", "STANDBY_METHOD", "STANDBY_SCOPE", "STANDBY_AZURE_STORAGE_ACCOUNT"],
        asked: "asks for a standby of another cluster, which this image cannot be yet",
        cure: "Remove spec.standby from the manifest to start an empty database",
    },
    Rule {
        names: &["ETCD_HOST", "ETCD_HOSTS", "ETCD3_HOST", "ETCD3_HOSTS", "ZOOKEEPER_HOSTS", "CONSUL_HOST"],
        asked: "asks for another store of Patroni's state than Kubernetes, which this image does not have",
        cure: "Remove it (etcd_host in the operator's configuration)",
    },
    Rule {
        names: &["PGBOUNCER_CONFIGURATION"],
        asked: "asks for a connection pooler inside the pod, which this image does not have",
        cure: "Remove it and use enableConnectionPooler in the manifest",
    },
];

/// All requests of the environment and of the user's configuration that cannot be met, in the order of
/// their names, so that one start tells everything.
#[must_use]
pub fn refusals(env: &Environment, user: &Value) -> Vec<Refusal> {
    env.iter().filter_map(|(name, _)| of_variable(name)).chain(of_configuration(user)).collect()
}

/// Names are compared without regard to case: the original's documentation shows `wal_s3_bucket`, which
/// suppresses the operator's own variable and would otherwise switch archiving off without a word.
fn of_variable(name: &str) -> Option<Refusal> {
    let upper = name.to_ascii_uppercase();
    let rule = RULES
        .iter()
        .find(|rule| rule.names.contains(&upper.as_str()))
        .or_else(|| rule_of_location(&upper))?;
    Some(Refusal {
        asked_by: name.to_owned(),
        asked: rule.asked.to_owned(),
        cure: format!("{}, {OTHER_IMAGE}", rule.cure),
    })
}

/// Buckets and prefixes have many spellings: `WALE_S3_PREFIX`, `CLONE_WAL_GS_BUCKET`, `STANDBY_WALG_AZ_PREFIX`.
/// The scope prefix is a part of a path and asks for nothing by itself.
fn rule_of_location(name: &str) -> Option<&'static Rule> {
    let (rule, rest) = if let Some(rest) = name.strip_prefix("CLONE_") {
        ("CLONE_METHOD", rest)
    } else if let Some(rest) = name.strip_prefix("STANDBY_") {
        ("STANDBY_METHOD", rest)
    } else {
        ("WAL_S3_BUCKET", name)
    };
    let location = ["WAL_", "WALE_", "WALG_"].iter().any(|start| rest.starts_with(start))
        && (rest.ends_with("_BUCKET") || rest.ends_with("_PREFIX"))
        && !rest.ends_with("_SCOPE_PREFIX");
    location.then(|| RULES.iter().find(|candidate| candidate.names.contains(&rule)))?
}

fn of_configuration(user: &Value) -> Vec<Refusal> {
    let mut found = Vec::new();
    for path in ["/bootstrap/method", "/bootstrap/dcs/standby_cluster", "/postgresql/recovery_conf"] {
        if user.pointer(path).is_some_and(asks) {
            found.push(Refusal {
                asked_by: format!("SPILO_CONFIGURATION{}", path.replace('/', ".")),
                asked: "asks for a clone or a standby of another cluster, which this image cannot make yet"
                    .to_owned(),
                cure: format!("Remove the section, {OTHER_IMAGE}"),
            });
        }
    }
    for section in ["/postgresql/parameters", "/bootstrap/dcs/postgresql/parameters"] {
        for parameter in ["archive_mode", "archive_command", "archive_library", "restore_command"] {
            let path = format!("{section}/{parameter}");
            if user.pointer(&path).is_some_and(asks) {
                found.push(Refusal {
                    asked_by: format!("SPILO_CONFIGURATION{}", path.replace('/', ".")),
                    asked: "asks for WAL archiving or restoring, which this image does not do yet".to_owned(),
                    cure: format!(
                        "Remove {parameter} from spec.postgresql.parameters of the manifest, {OTHER_IMAGE}"
                    ),
                });
            }
        }
    }
    found
}

/// Whether a value asks for something: nothing and the words for "no" do not.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !["", "off", "false", "no", "0"].contains(&text.to_ascii_lowercase().as_str()),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked_by(pairs: &[(&str, &str)], user: &Value) -> Vec<String> {
        refusals(&pairs.iter().copied().collect(), user).into_iter().map(|refusal| refusal.asked_by).collect()
    }

    #[test]
    fn every_spelling_of_archive_clone_and_standby_is_refused() {
        for name in [
            "WAL_S3_BUCKET",
            "wal_s3_bucket",
            "WAL_GS_BUCKET",
            "AZURE_STORAGE_ACCOUNT",
            "WALE_S3_PREFIX",
            "WALG_SSH_PREFIX",
            "WALG_AZ_PREFIX",
            "WALG_FILE_PREFIX",
            "BACKUP_SCHEDULE",
            "LOG_S3_BUCKET",
            "CLONE_METHOD",
            "CLONE_SCOPE",
            "CLONE_WAL_S3_BUCKET",
            "CLONE_WALE_S3_PREFIX",
            "STANDBY_HOST",
            "STANDBY_WALE_S3_PREFIX",
            "STANDBY_WALE_GS_PREFIX",
            "ETCD_HOST",
            "PGBOUNCER_CONFIGURATION",
        ] {
            assert_eq!(asked_by(&[(name, "x")], &Value::Null), [name], "{name}");
            assert!(asked_by(&[(name, "")], &Value::Null).is_empty(), "empty {name} asks for nothing");
        }
    }

    #[test]
    fn what_only_describes_a_place_or_a_login_is_no_request() {
        for name in [
            "WAL_BUCKET_SCOPE_PREFIX",
            "CLONE_WAL_BUCKET_SCOPE_PREFIX",
            "STANDBY_WAL_BUCKET_SCOPE_PREFIX",
            "AWS_REGION",
            "AWS_ENDPOINT",
            "CLONE_AWS_ENDPOINT",
            "ENABLE_WAL_PATH_COMPAT",
            "BACKUP_NUM_TO_RETAIN",
            "ETCD_SERVICE_HOST",
        ] {
            assert!(asked_by(&[(name, "x")], &Value::Null).is_empty(), "{name}");
        }
    }

    #[test]
    fn configuration_is_searched_too_and_everything_is_told_at_once() {
        let user = json!({
            "postgresql": {"parameters": {"archive_command": "/bin/true"}, "recovery_conf": {}},
            "bootstrap": {"dcs": {
                "standby_cluster": {"host": "other"},
                "postgresql": {"parameters": {"archive_mode": "on", "archive_library": ""}}
            }}
        });
        assert_eq!(
            asked_by(&[("WAL_S3_BUCKET", "b")], &user),
            [
                "WAL_S3_BUCKET",
                "SPILO_CONFIGURATION.bootstrap.dcs.standby_cluster",
                "SPILO_CONFIGURATION.postgresql.parameters.archive_command",
                "SPILO_CONFIGURATION.bootstrap.dcs.postgresql.parameters.archive_mode",
            ]
        );
        let off = json!({"bootstrap": {"dcs": {"postgresql": {"parameters": {"archive_mode": "off"}}}}});
        assert!(asked_by(&[], &off).is_empty());
    }

    #[test]
    fn the_message_names_the_variable_and_the_cure() {
        let text = of_variable("CLONE_METHOD").map(|refusal| refusal.to_string()).unwrap_or_default();
        assert_eq!(
            text,
            "CLONE_METHOD: asks for a clone of another cluster, which this image cannot make yet. Remove \
             spec.clone from the manifest to start an empty database, or use a published Spilo image \
             (docker_image) for this cluster"
        );
    }
}
