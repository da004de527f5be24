//! The checks, one function per subject.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_api::{Problem, ResourceValues, Resources};
use matriarch_settings::Settings;
use serde_json::Value;

use super::{Cluster, windows};
use crate::names;
use crate::quantity::Quantity;
use crate::users;

/// Start of the message about a name that does not fit the team.
pub(super) const TEAM_MISMATCH: &str = "does not start with the team";

/// Longest name of a Service.
const LONGEST_SERVICE_NAME: usize = 63;
/// Longest value of a label.
const LONGEST_LABEL_VALUE: usize = 63;
/// Longest name of a Secret.
const LONGEST_SECRET_NAME: usize = 253;

/// Runs every check.
pub(super) fn all(cluster: &mut Cluster, manifest: &Value, settings: &Settings, problems: &mut Vec<Problem>) {
    old_spellings(cluster, manifest);
    name(cluster, settings, problems);
    team(cluster, problems);
    size(cluster, problems);
    resources(cluster, problems);
    patroni(cluster, problems);
    clone(cluster, problems);
    containers(cluster, settings, problems);
    volumes(cluster, problems);
    maintenance(cluster, problems);
    users(cluster, settings, problems);
    databases(cluster);
    not_yet(cluster, manifest);
    definitions(settings, problems);
}

/// Fields that releases before 2.0 spelled otherwise, with the rules of then.
fn old_spellings(cluster: &mut Cluster, manifest: &Value) {
    let raw = &manifest["spec"];
    let spec = &mut cluster.spec;
    if spec.enable_master_load_balancer.is_none() && spec.enable_replica_load_balancer.is_none() {
        spec.enable_master_load_balancer = spec.use_load_balancer;
        spec.enable_replica_load_balancer = spec.replica_load_balancer;
    }
    if spec.init_containers.is_none() {
        spec.init_containers = raw["init_containers"].as_array().cloned();
    }
    if spec.pod_priority_class_name.as_deref().unwrap_or_default().is_empty() {
        spec.pod_priority_class_name = raw["pod_priority_class_name"].as_str().map(str::to_owned);
    }
}

/// Whether a Service can have this name.
pub(crate) fn is_service_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().copied().all(inside)
        && bytes.last().is_some_and(|last| *last != b'-')
}

fn name(cluster: &Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let (name, team) = (&cluster.identity.name, &cluster.identity.team);
    let length = name.len();
    if length > names::LONGEST_CLUSTER_NAME {
        problems.push(Problem::new(
            "metadata.name",
            format!("has {length} characters; its pods' labels add eleven, and Kubernetes allows 63"),
            format!("create the cluster under a name of at most {} characters", names::LONGEST_CLUSTER_NAME),
        ));
    }
    if !is_service_name(name) {
        problems.push(Problem::new(
            "metadata.name",
            format!("{name:?} cannot be the name of a Service"),
            "use lower-case letters, digits and dashes, with a letter first and no dash last",
        ));
    }
    let prefix = format!("{}-", team.to_lowercase());
    let fits = !team.is_empty() && name.len() > prefix.len() && name.to_lowercase().starts_with(&prefix);
    if settings.enable_team_id_clustername_prefix && !fits {
        problems.push(Problem::new(
            "metadata.name",
            format!("{TEAM_MISMATCH} {team:?} and a dash"),
            format!("create the cluster as {prefix}NAME, or correct spec.teamId"),
        ));
    }
}

/// The team is the value of a label.
fn team(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let team = &cluster.spec.team_id;
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = [team.bytes().next(), team.bytes().next_back()];
    let valid = team.bytes().all(inside) && ends.iter().flatten().all(u8::is_ascii_alphanumeric);
    if !valid || team.len() > LONGEST_LABEL_VALUE {
        problems.push(Problem::new(
            "spec.teamId",
            format!("{team:?} cannot be the value of a label"),
            "use letters, digits, dashes, dots and underscores, at most 63, a letter or digit first and last",
        ));
    }
}

fn size(cluster: &Cluster, problems: &mut Vec<Problem>) {
    if cluster.spec.number_of_instances < 0 {
        problems.push(Problem::new("spec.numberOfInstances", "is negative", "use 0 or more"));
    }
    let size = &cluster.spec.volume.size;
    let wrong = match Quantity::parse(size) {
        Err(message) => Some(message),
        Ok(size) if size.is_zero() || size.is_negative() => Some("is not more than 0".to_owned()),
        Ok(_) => None,
    };
    // A missing volume is reported as such.
    if let Some(message) = wrong.filter(|_| !is_missing(problems, "spec.volume")) {
        problems.push(Problem::new("spec.volume.size", message, size_cure(size)));
    }
}

fn is_missing(problems: &[Problem], field: &str) -> bool {
    problems.iter().any(|problem| problem.field.starts_with(field))
}

/// The likely meaning, if there is one.
fn size_cure(size: &str) -> String {
    match size.strip_suffix('K') {
        Some(number) => format!("write {number}Ki (or {number}k); a database needs at least 1Gi"),
        None => "write an amount such as 10Gi".to_owned(),
    }
}

fn resources(cluster: &Cluster, problems: &mut Vec<Problem>) {
    container_resources("spec.resources", cluster.spec.resources.as_ref(), problems);
    for (index, sidecar) in cluster.spec.sidecars.iter().flatten().enumerate() {
        let field = format!("spec.sidecars[{index}].resources");
        container_resources(&field, sidecar.resources.as_ref(), problems);
    }
}

fn container_resources(field: &str, resources: Option<&Resources>, problems: &mut Vec<Problem>) {
    let Some(resources) = resources else { return };
    for (part, values) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        let ResourceValues { cpu, memory, hugepages_2mi, hugepages_1gi } = values.clone().unwrap_or_default();
        let values = [
            ("cpu", cpu),
            ("memory", memory),
            ("hugepages-2Mi", hugepages_2mi),
            ("hugepages-1Gi", hugepages_1gi),
        ];
        for (name, value) in values {
            let Some(text) = value.filter(|text| !matches!(text.as_str(), "" | "0" | "null")) else {
                continue;
            };
            let wrong = match Quantity::parse(&text) {
                Err(message) => Some(message),
                Ok(quantity) if quantity.is_negative() => Some("is negative".to_owned()),
                Ok(_) => None,
            };
            if let Some(message) = wrong {
                let cure = if name == "cpu" { "write 100m or 1.5" } else { "write 500Mi or 2Gi" };
                problems.push(Problem::new(format!("{field}.{part}.{name}"), message, cure));
            }
        }
    }
}

fn patroni(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let patroni = cluster.spec.patroni.clone().unwrap_or_default();
    let numbers = [
        ("ttl", patroni.ttl),
        ("loop_wait", patroni.loop_wait),
        ("retry_timeout", patroni.retry_timeout),
        ("synchronous_node_count", patroni.synchronous_node_count),
    ];
    for (key, number) in numbers {
        if number.is_some_and(|number| number < 0) {
            problems.push(Problem::new(
                format!("spec.patroni.{key}"),
                "is negative",
                "use a number above 0, or remove it for Patroni's default",
            ));
        }
    }
}

/// The source of a base backup is reached through its Service.
fn clone(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let Some(clone) = &cluster.spec.clone else { return };
    let live = clone.timestamp.as_deref().unwrap_or_default().is_empty();
    let source = &clone.cluster;
    if live && !source.is_empty() && (!is_service_name(source) || source.len() > LONGEST_SERVICE_NAME) {
        problems.push(Problem::new(
            "spec.clone.cluster",
            format!("{source:?} cannot be the name of a cluster"),
            "name a running cluster of the same namespace, or add a timestamp to restore from the archive",
        ));
    }
}

fn containers(cluster: &mut Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let spec = &cluster.spec;
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    for (index, container) in inits.iter().enumerate() {
        for key in ["name", "image"] {
            if container[key].as_str().unwrap_or_default().is_empty() {
                problems.push(missing(&format!("spec.initContainers[{index}].{key}")));
            }
        }
    }
    let sidecars = spec.sidecars.as_deref().unwrap_or_default();
    for (index, sidecar) in sidecars.iter().enumerate() {
        if sidecar.image.as_deref().unwrap_or_default().is_empty() {
            problems.push(missing(&format!("spec.sidecars[{index}].image")));
        }
    }
    let of_settings = settings.sidecars.as_ref().and_then(Value::as_array);
    for (index, container) in of_settings.into_iter().flatten().enumerate() {
        for key in ["name", "image"] {
            if container[key].as_str().unwrap_or_default().is_empty() {
                problems.push(missing(&format!("sidecars[{index}].{key}")));
            }
        }
    }
    for (field, used, allowed, option) in [
        ("spec.initContainers", !inits.is_empty(), settings.enable_init_containers, "enable_init_containers"),
        ("spec.sidecars", !sidecars.is_empty(), settings.enable_sidecars, "enable_sidecars"),
    ] {
        if used && !allowed {
            problems.push(Problem::new(
                field,
                format!("is not allowed: the operator's {option} is false"),
                "remove it, or ask for the option to be switched on",
            ));
        }
    }
}

fn missing(field: &str) -> Problem {
    Problem::new(field, "is missing", "add it, it has no default")
}

/// Two volumes cannot have one name. What uses a path a second time is left out by the rendering.
fn volumes(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let mut sources = BTreeMap::from([(names::DATA_VOLUME, &Value::Null)]);
    let mut places = BTreeSet::from([names::DATA_MOUNT]);
    for (index, volume) in cluster.spec.additional_volumes.iter().flatten().enumerate() {
        let field = format!("spec.additionalVolumes[{index}]");
        if !volume.volume_source.is_object() {
            problems.push(missing(&format!("{field}.volumeSource")));
        }
        if !places.insert(&volume.mount_path) {
            continue;
        }
        let source = sources.entry(&volume.name).or_insert(&volume.volume_source);
        if **source != volume.volume_source {
            problems.push(Problem::new(
                format!("{field}.name"),
                format!("{:?} is already used", volume.name),
                "choose another name",
            ));
        }
    }
}

fn maintenance(cluster: &Cluster, problems: &mut Vec<Problem>) {
    for (index, window) in cluster.spec.maintenance_windows.iter().flatten().enumerate() {
        if let Err(message) = windows::check(window) {
            problems.push(Problem::new(
                format!("spec.maintenanceWindows[{index}]"),
                message,
                "write it like 01:00-06:00 or Sat:01:00-06:00, and split a window over midnight in two",
            ));
        }
    }
}

/// Users that become roles. Reserved names are passed over with a notice, as the contract does.
fn users(cluster: &mut Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let system = [&settings.super_username, &settings.replication_username];
    let mut found = BTreeMap::new();
    let mut secrets: BTreeMap<String, String> = BTreeMap::new();
    for role in system {
        secrets.insert(secret(role, cluster, settings), role.clone());
    }
    for (name, words) in cluster.spec.users.clone().into_iter().flatten() {
        let field = format!("spec.users.{name}");
        if system.contains(&&name) || settings.protected_role_names.contains(&name) {
            cluster.notices.push(Problem::new(
                field,
                "is a reserved name and has no effect",
                "remove it or choose another name",
            ));
            continue;
        }
        if !users::is_valid_name(&name) {
            problems.push(Problem::new(
                field,
                "is not a valid name of a user",
                "use lower-case letters, digits, dashes and underscores, with a letter or digit first and last, dots in between",
            ));
            continue;
        }
        let flags = users::flags(&name, &words.unwrap_or_default(), problems);
        let secret = secret(&name, cluster, settings);
        if secret.len() > LONGEST_SECRET_NAME {
            problems.push(Problem::new(
                &field,
                "makes the name of its Secret longer than 253 characters",
                "choose a shorter name",
            ));
        }
        if let Some(other) = secrets.insert(secret, name.clone()) {
            problems.push(Problem::new(
                field,
                format!("would have the same Secret as {other:?}, because its name has dashes instead of underscores"),
                "rename one of the two",
            ));
        }
        found.insert(name, flags);
    }
    cluster.users = found;
}

fn secret(role: &str, cluster: &Cluster, settings: &Settings) -> String {
    names::credential_secret(role, &cluster.identity.name, settings)
}

pub(super) fn is_database_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Databases that cannot be made are passed over with a notice, as the contract does.
fn databases(cluster: &mut Cluster) {
    for (name, owner) in cluster.spec.databases.clone().into_iter().flatten() {
        let field = format!("spec.databases.{name}");
        if !is_database_name(&name) {
            cluster.notices.push(Problem::new(
                field,
                "is not a valid name of a database, so it is not made",
                "use letters, digits and underscores, with no digit first",
            ));
        } else if !cluster.users.contains_key(&owner) {
            cluster.notices.push(Problem::new(
                field,
                format!("has the owner {owner:?}, who is not a user of the manifest, so it is not made"),
                format!("add {owner} to spec.users, or name another owner"),
            ));
        }
    }
}

/// Parts of the manifest that are accepted and have no effect in this release.
fn not_yet(cluster: &mut Cluster, manifest: &Value) {
    let spec = &manifest["spec"];
    let on = |key: &str| spec[key].as_bool() == Some(true);
    let given = |key: &str| spec[key].as_object().is_some_and(|map| !map.is_empty());
    let pooler = on("enableConnectionPooler")
        || on("enableReplicaConnectionPooler")
        || (spec["connectionPooler"].is_object() && spec["enableConnectionPooler"].as_bool() != Some(false));
    let parts = [
        ("spec.enableConnectionPooler", pooler, "no pooler is made"),
        ("spec.enableLogicalBackup", on("enableLogicalBackup"), "no logical backup is made"),
        ("spec.preparedDatabases", given("preparedDatabases"), "no prepared database is made"),
        (
            "spec.streams",
            spec["streams"].as_array().is_some_and(|streams| !streams.is_empty()),
            "no stream is made",
        ),
    ];
    for (field, asked, consequence) in parts {
        if asked {
            cluster.notices.push(Problem::new(
                field,
                format!("is not supported by this release: {consequence}"),
                "remove it until it is",
            ));
        }
    }
}

/// Objects that settings define.
fn definitions(settings: &Settings, problems: &mut Vec<Problem>) {
    for (option, text, kind) in [
        ("pod_service_account_definition", &settings.pod_service_account_definition, "ServiceAccount"),
        (
            "pod_service_account_role_binding_definition",
            &settings.pod_service_account_role_binding_definition,
            "RoleBinding",
        ),
    ] {
        if let Err(message) = crate::render::definition(text, kind) {
            problems.push(Problem::new(
                option,
                message,
                format!("correct the setting of the operator: JSON or YAML of a {kind}, or nothing"),
            ));
        }
    }
}
