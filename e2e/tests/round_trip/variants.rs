//! Manifests and settings that differ from a base in one place each.

use std::collections::BTreeMap;

use matriarch_cluster::{Cluster, Facts, Intent, Reference, References, render_with};
use matriarch_settings::{OPTIONS, Opt, Settings, Sources};
use serde_json::{Value, json};

/// One place changed.
pub struct Variant {
    /// Path of the field or key of the option.
    pub name: String,
    /// What should exist then.
    pub intent: Intent,
}

/// Name of the base's cluster.
pub const NAME: &str = "acid-trip";

/// The manifest that owns what is written; it looks like one of another operator's.
pub fn owner(namespace: &str) -> Value {
    let mut owner = manifest(namespace, "", base());
    owner["metadata"]["annotations"] = json!({"acid.zalan.do/controller": "nobody"});
    if let Some(metadata) = owner["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    owner
}

fn manifest(namespace: &str, uid: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
        "metadata": {"name": NAME, "namespace": namespace, "uid": uid,
            "labels": {"environment": "test"}, "annotations": {"cost-centre": "42"}},
        "spec": spec,
    })
}

/// Nearly everything is in use, so that each change shows.
fn base() -> Value {
    json!({
        "teamId": "acid", "numberOfInstances": 2, "volume": {"size": "1Gi"},
        "postgresql": {"version": "17", "parameters": {"work_mem": "4MB", "shared_buffers": "32MB"}},
        "users": {"zalando": ["createdb"], "foo_user": []}, "databases": {"foo": "zalando"},
        "enableConnectionPooler": true, "enableReplicaConnectionPooler": true,
        "connectionPooler": {"numberOfInstances": 2},
        "enableLogicalBackup": true,
        "enableMasterLoadBalancer": true, "enableReplicaLoadBalancer": true,
        "enableMasterPoolerLoadBalancer": true, "enableReplicaPoolerLoadBalancer": true,
        "allowedSourceRanges": ["10.0.0.0/8"],
    })
}

/// A place of `spec` and the value it gets.
fn fields() -> Vec<(&'static str, Value)> {
    let resources = json!({"requests": {"cpu": "1500m", "memory": "1024Mi"},
        "limits": {"cpu": "2.5", "memory": "1.5Gi"}});
    let sidecar = json!([{"name": "exporter", "image": "exporter:1", "resources": resources,
        "ports": [{"containerPort": 9187, "protocol": "TCP"}], "env": [{"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}], "command": ["run"]}]);
    let volume = |targets: Value| {
        json!([{"name": "extra", "mountPath": "/extra", "targetContainers": targets,
            "volumeSource": {"configMap": {"name": "extra"}}}])
    };
    let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]}});
    let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
    vec![
        ("dockerImage", json!("registry.example/spilo:2")),
        ("schedulerName", json!("other-scheduler")),
        ("spiloRunAsUser", json!(101)),
        ("spiloRunAsGroup", json!(103)),
        ("spiloFSGroup", json!(103)),
        ("podPriorityClassName", json!("important")),
        ("enableShmVolume", json!(false)),
        ("resources", resources.clone()),
        ("resources/requests", json!({"cpu": "0.5", "memory": "100M"})),
        ("numberOfInstances", json!(3)),
        ("numberOfInstances", json!(0)),
        ("teamId", json!("other")),
        ("volume/size", json!("1.5Gi")),
        ("volume/storageClass", json!("standard")),
        ("volume/subPath", json!("data")),
        ("volume/selector", json!({"matchLabels": {"a": "b"}})),
        ("postgresql/version", json!("16")),
        ("postgresql/parameters/work_mem", json!("8MB")),
        ("postgresql/parameters/shared_buffers", json!("64MB")),
        ("postgresql/parameters/max_connections", json!("20")),
        ("patroni/ttl", json!(40)),
        ("patroni/loop_wait", json!(11)),
        ("patroni/retry_timeout", json!(12)),
        ("patroni/maximum_lag_on_failover", json!(33_554_432)),
        ("patroni/synchronous_mode", json!(true)),
        ("patroni/synchronous_mode_strict", json!(true)),
        ("patroni/synchronous_node_count", json!(2)),
        ("patroni/failsafe_mode", json!(true)),
        ("patroni/initdb", json!({"encoding": "UTF8", "data-checksums": "true"})),
        ("patroni/pg_hba", json!(["hostssl all all 0.0.0.0/0 md5", "local <all> & trust"])),
        ("patroni/slots", json!({"one": {"type": "physical"}})),
        ("env", json!([{"name": "EXTRA", "value": "1"}, {"name": "EMPTY", "value": ""}])),
        ("env", json!([{"name": "F", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}])),
        ("envFrom", json!([{"configMapRef": {"name": "more"}}])),
        ("podAnnotations", json!({"my.io/pod": "yes"})),
        ("serviceAnnotations", json!({"my.io/service": "yes"})),
        ("masterServiceAnnotations", json!({"my.io/primary": "yes"})),
        ("replicaServiceAnnotations", json!({"my.io/replica": "yes"})),
        ("tolerations", json!([{"key": "postgres", "operator": "Exists", "effect": "NoSchedule"}])),
        ("nodeAffinity", affinity),
        ("topologySpreadConstraints", spread),
        ("sidecars", sidecar),
        ("initContainers", json!([{"name": "first", "image": "busybox", "command": ["true"]}])),
        ("additionalVolumes", volume(json!(["postgres"]))),
        ("additionalVolumes", volume(json!(["all"]))),
        ("livenessProbe", json!({"httpGet": {"path": "/liveness", "port": 8008}})),
        ("tls", json!({"secretName": "tls", "caFile": "ca.crt", "caSecretName": "tls-ca"})),
        ("tls", json!({"secretName": "tls"})),
        ("clone", json!({"cluster": "acid-source", "timestamp": "2025-01-01T00:00:00+00:00"})),
        ("clone", json!({"cluster": "acid-source"})),
        ("standby", json!({"standby_host": "primary.example", "standby_port": "5433"})),
        ("standby", json!({"s3_wal_path": "s3://bucket/path"})),
        ("users/third", json!([])),
        ("preparedDatabases", json!({"bar": {"defaultUsers": true, "schemas": {"data": {}}}})),
        ("allowedSourceRanges", json!(["10.1.0.0/16", "10.2.0.0/16"])),
        ("enableMasterLoadBalancer", json!(false)),
        ("enableReplicaLoadBalancer", json!(false)),
        ("enableMasterPoolerLoadBalancer", json!(false)),
        ("enableReplicaPoolerLoadBalancer", json!(false)),
        ("enableMasterNodePort", json!(true)),
        ("enableReplicaNodePort", json!(true)),
        ("enableMasterPoolerNodePort", json!(true)),
        ("enableReplicaPoolerNodePort", json!(true)),
        ("enableConnectionPooler", json!(false)),
        ("enableReplicaConnectionPooler", json!(false)),
        ("connectionPooler/numberOfInstances", json!(1)),
        ("connectionPooler/mode", json!("session")),
        ("connectionPooler/schema", json!("other")),
        ("connectionPooler/user", json!("other")),
        ("connectionPooler/dockerImage", json!("registry.example/pooler:1")),
        ("connectionPooler/maxDBConnections", json!(40)),
        ("connectionPooler/resources", resources),
        ("enableLogicalBackup", json!(false)),
        ("logicalBackupSchedule", json!("15 4 * * *")),
        ("logicalBackupRetention", json!("3 months")),
    ]
}

/// Values for options whose kind does not tell a good one.
const TEXTS: [(&str, &str); 26] = [
    ("external_traffic_policy", "Local"),
    ("pod_management_policy", "parallel"),
    ("pod_service_account_name", "other-account"),
    ("storage_resize_mode", "off"),
    ("major_version_upgrade_mode", "full"),
    ("minimal_major_version", "15"),
    ("target_major_version", "17"),
    ("persistent_volume_claim_retention_policy", "when_deleted:delete,when_scaled:delete"),
    ("cluster_labels", "application:spilo,more:yes"),
    ("inherited_labels", "environment"),
    ("inherited_annotations", "cost-centre"),
    ("downscaler_annotations", "cost-.*"),
    ("node_readiness_label", "ready:yes"),
    ("toleration", "key:postgres,operator:Exists,effect:NoSchedule"),
    ("connection_pooler_mode", "session"),
    ("logical_backup_schedule", "15 4 * * *"),
    ("logical_backup_provider", "gcs"),
    ("pdb_name_format", "budget-{cluster}"),
    ("secret_name_template", "{username}.{cluster}.other"),
    ("pod_role_label", "role"),
    ("cluster_name_label", "cluster"),
    ("custom_service_annotations", "my.io/service:yes"),
    ("custom_pod_annotations", "my.io/pod:yes"),
    ("additional_secret_mount", "mounted"),
    ("watched_namespace", "other"),
    ("maintenance_windows", "01:00-06:00"),
];

/// A value that is not the default.
fn flipped(option: &Opt) -> String {
    if let Some((_, text)) = TEXTS.iter().find(|(key, _)| *key == option.key) {
        return (*text).to_owned();
    }
    let cpu = option.key.contains("cpu");
    let memory = option.key.contains("memory") && !option.kind.starts_with("true");
    match option.kind {
        _ if cpu => "1300m".to_owned(),
        _ if memory => "1025Mi".to_owned(),
        "true or false" | "true, false, or nothing" => (option.default != "true").to_string(),
        "a whole number" | "a whole number, or nothing" => {
            let default: i64 = option.default.parse().unwrap_or(100);
            (default + 3).to_string()
        }
        kind if kind.starts_with("a duration") => "7m".to_owned(),
        kind if kind.starts_with("a map") => "a:b".to_owned(),
        kind if kind.starts_with("a list") => "one,two".to_owned(),
        _ if option.key.ends_with("_format") => format!("other-{}", option.default),
        _ => "other".to_owned(),
    }
}

/// The variants that can be rendered, the base first, and the names of those that cannot, with why.
pub fn all(namespace: &str, uid: &str) -> (Vec<Variant>, Vec<String>) {
    let mut variants = Vec::new();
    let mut refused = Vec::new();
    let defaults = settings(&[]).unwrap_or_default();
    let mut add = |name: String, spec: &Value, settings: Result<Settings, String>| {
        let rendered = settings.and_then(|settings| render(namespace, uid, spec, &settings));
        match rendered {
            Ok(intent) => variants.push(Variant { name, intent }),
            Err(why) => refused.push(format!("{name}: {why}")),
        }
    };
    add("base".to_owned(), &base(), Ok(defaults.clone()));
    for (path, value) in fields() {
        let mut spec = base();
        path.split('/').fold(&mut spec, |at, key| &mut at[key]).clone_from(&value);
        add(format!("spec.{}", path.replace('/', ".")), &spec, Ok(defaults.clone()));
    }
    let bare = base_without_choices();
    add("base for options".to_owned(), &bare, Ok(defaults));
    for option in OPTIONS.iter().filter(|option| option.sources != Sources::Object) {
        let value = flipped(option);
        let mut changes = vec![(option.key, value.as_str())];
        // A mount needs its path.
        if option.key == "additional_secret_mount" {
            changes.push(("additional_secret_mount_path", "/mounted"));
        }
        add(format!("{} = {value}", option.key), &bare, settings(&changes));
    }
    (variants, refused)
}

/// What is left to the settings where both could say it.
fn base_without_choices() -> Value {
    let mut spec = base();
    for key in [
        "enableMasterLoadBalancer",
        "enableReplicaLoadBalancer",
        "enableMasterPoolerLoadBalancer",
        "enableReplicaPoolerLoadBalancer",
        "connectionPooler",
    ] {
        if let Some(spec) = spec.as_object_mut() {
            spec.remove(key);
        }
    }
    spec
}

fn settings(changes: &[(&str, &str)]) -> Result<Settings, String> {
    let mut data = BTreeMap::from([
        ("default_cpu_request".to_owned(), "100m".to_owned()),
        ("default_memory_request".to_owned(), "100Mi".to_owned()),
        ("default_cpu_limit".to_owned(), "1".to_owned()),
        ("default_memory_limit".to_owned(), "500Mi".to_owned()),
        ("pod_environment_configmap".to_owned(), String::new()),
    ]);
    data.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let (settings, problems) = Settings::from_config_map(&data);
    match problems.first() {
        None => Ok(settings),
        Some(problem) => Err(problem.to_string()),
    }
}

fn render(namespace: &str, uid: &str, spec: &Value, settings: &Settings) -> Result<Intent, String> {
    let cluster = Cluster::validate(&manifest(namespace, uid, spec.clone()), settings)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let filled = BTreeMap::from([("FROM_MAP".to_owned(), "1".to_owned())]);
    let references = References {
        environment_secret: Some(Reference::Known(vec!["FROM_SECRET".to_owned()]))
            .filter(|_| !settings.pod_environment_secret.is_empty()),
        environment_config_map: Some(Reference::Known(filled))
            .filter(|_| !settings.pod_environment_configmap.is_empty()),
        ..References::default()
    };
    Ok(render_with(&cluster, settings, &references, &Facts::default()))
}
