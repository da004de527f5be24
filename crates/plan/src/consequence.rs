//! What a difference costs: nothing, a reload, a restart, a new object, new pods. One table per
//! kind; the printed plan shows it beside each difference.

use std::fmt;

use matriarch_cluster::quantity::Quantity;
use serde::Serialize;
use serde_json::Value;

use crate::difference::Difference;

/// What it takes to make a difference go away, from cheap to impossible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Consequence {
    /// The object is corrected in place and nobody notices.
    #[default]
    None,
    /// PostgreSQL reads its configuration again.
    Reload,
    /// PostgreSQL restarts inside its pods, one member at a time.
    Restart,
    /// The object is deleted and made anew; its pods stay.
    Replace,
    /// Pods are made anew, one at a time.
    Recreate,
    /// It cannot be done: the live value stays, and the plan says so.
    Forbidden,
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Reload => " (reload)",
            Self::Restart => " (restart)",
            Self::Replace => " (replaces the object)",
            Self::Recreate => " (recreates pods)",
            Self::Forbidden => " (cannot be changed)",
        })
    }
}

/// The consequence of a difference in an object of `kind`.
pub fn of(kind: &str, difference: &Difference) -> Consequence {
    let path = difference.path.as_str();
    match kind {
        "StatefulSet" => stateful_set(path, difference),
        "Deployment" if path.starts_with("spec.selector") => Consequence::Replace,
        "Deployment" if in_pods(path) => Consequence::Recreate,
        // The API server lets nobody change these.
        "RoleBinding" if path.starts_with("roleRef") => Consequence::Forbidden,
        "Secret" if path == "type" => Consequence::Forbidden,
        // Patroni and the endpoint controller own the addresses.
        "Endpoints" if path.starts_with("subsets") => Consequence::Forbidden,
        _ => Consequence::None,
    }
}

fn stateful_set(path: &str, difference: &Difference) -> Consequence {
    if let Some((_, part)) = path.split_once("env[SPILO_CONFIGURATION].value.bootstrap.dcs") {
        return dynamic(part.trim_start_matches('.'));
    }
    if in_pods(path) {
        return Consequence::Recreate;
    }
    if path.starts_with("spec.selector") {
        // Pods without a label that the selector asks for would be abandoned.
        return if difference.to.is_null() { Consequence::Replace } else { Consequence::Forbidden };
    }
    if path.ends_with(".resources.requests.storage") && shrinks(&difference.from, &difference.to) {
        return Consequence::Forbidden;
    }
    let immutable = ["spec.volumeClaimTemplates", "spec.serviceName", "spec.podManagementPolicy"];
    if immutable.iter().any(|field| path.starts_with(field)) {
        return Consequence::Replace;
    }
    Consequence::None
}

/// Whether pods are made from this part of an object. Annotations are set on running pods.
fn in_pods(path: &str) -> bool {
    path == "spec.template"
        || path.starts_with("spec.template.spec")
        || path.starts_with("spec.template.metadata.labels")
}

fn shrinks(from: &Value, to: &Value) -> bool {
    let quantity = |value: &Value| Quantity::parse(value.as_str()?).ok();
    matches!((quantity(from), quantity(to)), (Some(from), Some(to)) if to.less_than(from))
}

/// The consequence of a change of Patroni's dynamic configuration, by its dotted path.
pub fn dynamic(path: &str) -> Consequence {
    match path.strip_prefix("postgresql.parameters.") {
        Some(parameter) if AT_START_ONLY.contains(&parameter) => Consequence::Restart,
        _ => Consequence::Reload,
    }
}

/// Parameters that PostgreSQL reads when it starts (context `postmaster`), versions 13 to 18.
const AT_START_ONLY: [&str; 64] = [
    "archive_mode",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_worker_slots",
    "bonjour",
    "bonjour_name",
    "cluster_name",
    "commit_timestamp_buffers",
    "config_file",
    "data_directory",
    "debug_io_direct",
    "dynamic_shared_memory_type",
    "event_source",
    "external_pid_file",
    "hba_file",
    "hot_standby",
    "huge_page_size",
    "huge_pages",
    "ident_file",
    "io_max_concurrency",
    "io_method",
    "jit_provider",
    "listen_addresses",
    "logging_collector",
    "max_active_replication_origins",
    "max_connections",
    "max_files_per_process",
    "max_locks_per_transaction",
    "max_logical_replication_workers",
    "max_notify_queue_pages",
    "max_pred_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "min_dynamic_shared_memory",
    "multixact_member_buffers",
    "multixact_offset_buffers",
    "notify_buffers",
    "old_snapshot_threshold",
    "port",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_timeline",
    "reserved_connections",
    "serializable_buffers",
    "shared_buffers",
    "shared_memory_type",
    "shared_preload_libraries",
    "subtransaction_buffers",
    "superuser_reserved_connections",
    "track_activity_query_size",
    "track_commit_timestamp",
    "transaction_buffers",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "wal_buffers",
    "wal_decode_buffer_size",
    "wal_level",
    "wal_log_hints",
    "pg_stat_statements.max",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::object_differences;
    use serde_json::json;

    fn consequences(kind: &str, desired: Value, live: Value) -> Vec<(String, Consequence)> {
        let found = object_differences(kind, &desired, &live);
        found.into_iter().map(|difference| (difference.path, difference.consequence)).collect()
    }

    /// Which change restarts pods: the contract's table.
    #[test]
    fn vectors_04_7_1_consequences() {
        let set = |path: &str, value: Value| {
            let mut object = json!({});
            path.split('/').fold(&mut object, |at, key| &mut at[key]).clone_from(&value);
            object
        };
        use Consequence::{Forbidden, None, Recreate, Replace};
        let cases = [
            ("spec/replicas", json!(1), json!(2), None),
            ("metadata/ownerReferences", json!([{"uid": "a"}]), json!([{"uid": "b"}]), None),
            ("metadata/annotations", json!({"a": "1"}), json!({"a": "2"}), None),
            ("metadata/labels", json!({"a": "1"}), json!({"a": "2"}), None),
            ("spec/podManagementPolicy", json!("Parallel"), json!("OrderedReady"), Replace),
            ("spec/persistentVolumeClaimRetentionPolicy", json!({"whenScaled": "Delete"}), json!({}), None),
            ("spec/serviceName", json!("a"), json!("b"), Replace),
            ("spec/updateStrategy", json!({"type": "OnDelete"}), json!({"type": "RollingUpdate"}), None),
            ("spec/selector/matchLabels", json!({"a": "1", "b": "2"}), json!({"a": "1"}), Forbidden),
            ("spec/selector/matchLabels", json!({"a": "1"}), json!({"a": "1", "b": "2"}), Replace),
            ("spec/template/metadata/labels", json!({"team": "a"}), json!({"team": "b"}), Recreate),
            ("spec/template/metadata/annotations", json!({"a": "1"}), json!({"a": "2"}), None),
            ("spec/template/spec/serviceAccountName", json!("a"), json!("b"), Recreate),
            ("spec/template/spec/terminationGracePeriodSeconds", json!(1), json!(2), Recreate),
            ("spec/template/spec/affinity", json!({"a": 1}), json!({"a": 2}), Recreate),
            ("spec/template/spec/topologySpreadConstraints", json!([1]), json!([]), Recreate),
            ("spec/template/spec/securityContext", json!({"fsGroup": 1}), json!({}), Recreate),
            ("spec/template/spec/priorityClassName", json!("a"), json!("b"), Recreate),
            ("spec/template/spec/tolerations", json!([{"key": "a"}]), json!([{"key": "b"}]), Recreate),
            ("spec/template/spec/volumes", json!([{"name": "a"}]), json!([]), Recreate),
            ("spec/template/spec/initContainers", json!([{"name": "a"}]), json!([]), Recreate),
            ("spec/template/spec/schedulerName", json!("a"), json!("b"), Recreate),
        ];
        for (path, desired, live, consequence) in cases {
            let found = consequences("StatefulSet", set(path, desired), set(path, live));
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert_eq!(found[0].1, consequence, "{found:?}");
        }
        for (field, desired, live) in [
            ("image", json!("a"), json!("b")),
            ("env", json!([{"name": "A", "value": "1"}]), json!([{"name": "A", "value": "2"}])),
            ("envFrom", json!([{"secretRef": {"name": "a"}}]), json!([])),
            ("ports", json!([{"containerPort": 1}]), json!([{"containerPort": 2}])),
            ("resources", json!({"limits": {"cpu": "1"}}), json!({"limits": {"cpu": "2"}})),
            ("readinessProbe", json!({"periodSeconds": 1}), json!({"periodSeconds": 2})),
            ("livenessProbe", json!({"periodSeconds": 1}), json!({"periodSeconds": 2})),
            ("securityContext", json!({"privileged": true}), json!({"privileged": false})),
            ("volumeMounts", json!([{"mountPath": "/a", "name": "a"}]), json!([])),
        ] {
            let container = |value: Value| {
                let mut container = json!({"name": "postgres"});
                container[field] = value;
                set("spec/template/spec/containers", json!([container]))
            };
            let found = consequences("StatefulSet", container(desired), container(live));
            assert!(!found.is_empty() && found.iter().all(|found| found.1 == Recreate), "{field}: {found:?}");
        }
    }

    #[test]
    fn claims_grow_with_a_new_stateful_set_and_never_shrink() {
        let claims = |size: &str| json!({"spec": {"volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": size}}}}]}});
        let of = |from: &str, to: &str| consequences("StatefulSet", claims(to), claims(from));
        assert_eq!(of("1Gi", "2Gi")[0].1, Consequence::Replace);
        assert_eq!(of("2Gi", "1Gi")[0].1, Consequence::Forbidden);
        assert_eq!(of("1Gi", "1024Mi"), []);
    }

    #[test]
    fn dynamic_configuration_in_the_template_reloads_or_restarts() {
        let set = |value: &str| {
            let env = json!([{"name": "SPILO_CONFIGURATION", "value": value}]);
            json!({"spec": {"template": {"spec": {"containers": [{"name": "postgres", "env": env}]}}}})
        };
        let of = |text: &str| consequences("StatefulSet", set(text), set("{}")).remove(0).1;
        let parameters = |name: &str| {
            format!(r#"{{"bootstrap": {{"dcs": {{"postgresql": {{"parameters": {{"{name}": "1"}}}}}}}}}}"#)
        };
        assert_eq!(of(r#"{"postgresql": {"parameters": {"shared_buffers": "1"}}}"#), Consequence::Recreate);
        // The whole of bootstrap is new here, local parts included.
        assert_eq!(of(&parameters("work_mem")), Consequence::Recreate);
        let known = |text: &str| {
            let live = set(&parameters("work_mem").replace("\"1\"", "\"0\""));
            consequences("StatefulSet", set(text), live)
                .into_iter()
                .filter(|found| !found.0.ends_with("work_mem") || text.contains("work_mem"))
                .map(|found| found.1)
                .collect::<Vec<_>>()
        };
        assert_eq!(known(&parameters("work_mem")), [Consequence::Reload]);
        assert_eq!(known(&parameters("max_connections")), [Consequence::Restart]);
        assert_eq!(dynamic("ttl"), Consequence::Reload);
        assert_eq!(dynamic("postgresql.parameters.wal_level"), Consequence::Restart);
    }

    #[test]
    fn other_kinds() {
        let cases = [
            (
                "Service",
                "spec",
                json!({"type": "ClusterIP"}),
                json!({"type": "LoadBalancer"}),
                Consequence::None,
            ),
            ("PodDisruptionBudget", "spec", json!({"minAvailable": 1}), json!({}), Consequence::None),
            ("CronJob", "spec", json!({"schedule": "a"}), json!({"schedule": "b"}), Consequence::None),
            ("Deployment", "spec", json!({"replicas": 1}), json!({"replicas": 2}), Consequence::None),
            ("Deployment", "spec", json!({"template": {"spec": {"a": 1}}}), json!({}), Consequence::Recreate),
            (
                "Deployment",
                "spec",
                json!({"selector": {"matchLabels": {"a": "1"}}}),
                json!({"selector": {"matchLabels": {"a": "2"}}}),
                Consequence::Replace,
            ),
            ("Secret", "type", json!("a"), json!("b"), Consequence::Forbidden),
            ("Secret", "metadata", json!({"labels": {"a": "1"}}), json!({}), Consequence::None),
            ("RoleBinding", "roleRef", json!({"name": "a"}), json!({"name": "b"}), Consequence::Forbidden),
            ("RoleBinding", "subjects", json!([{"name": "a"}]), json!([]), Consequence::None),
            ("ServiceAccount", "metadata", json!({"annotations": {"a": "1"}}), json!({}), Consequence::None),
            ("Endpoints", "metadata", json!({"labels": {"a": "1"}}), json!({}), Consequence::None),
            ("Endpoints", "subsets", json!([1]), json!([]), Consequence::Forbidden),
            ("FabricEventStream", "spec", json!({"applicationId": "a"}), json!({}), Consequence::None),
        ];
        for (kind, part, desired, live, consequence) in cases {
            let found = consequences(kind, json!({part: desired}), json!({part: live}));
            assert_eq!(found.len(), 1, "{kind} {part}: {found:?}");
            assert_eq!(found[0].1, consequence, "{kind}: {found:?}");
        }
    }
}
