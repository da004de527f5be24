//! Rows of the settings, from the table of options.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_api::Problem;
use matriarch_settings::{OPTIONS, Opt, Settings, Sources};
use serde_json::{Value, json};

use crate::fields::{joined, shown};
use crate::{Row, base, lists, outcome, root};

/// All rows, and what is wrong.
pub fn rows() -> (Vec<Row>, Vec<String>) {
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for option in OPTIONS {
        match row(option) {
            Ok(row) => rows.push(row),
            Err(why) => wrong.push(why),
        }
    }
    let keys: Vec<&str> = OPTIONS.iter().map(|option| option.key).collect();
    wrong.extend(lists::unused(&keys, lists::OPTIONS));
    for key in lists::ELSEWHERE.iter().map(|(key, ..)| *key).chain(specials().iter().map(|(key, ..)| *key)) {
        if !keys.contains(&key) {
            wrong.push(format!("{key}: is listed, but there is no such option"));
        }
    }
    (rows, wrong)
}

type Pairs = &'static [(&'static str, &'static str)];

fn settings(data: &[(&str, &str)], changed: Option<(&Opt, &Value)>) -> Result<Settings, Vec<Problem>> {
    let data: BTreeMap<String, String> = data.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let only_in_object = changed.filter(|(option, _)| option.sources == Sources::Object);
    let (settings, problems) = match (only_in_object, changed) {
        (Some((option, value)), _) => {
            let mut configuration = json!({});
            for (key, text) in &data {
                let place = OPTIONS.iter().find(|option| option.key == key).unwrap();
                at(&mut configuration, place)[key] = json!(text);
            }
            at(&mut configuration, option)[option.key] = value.clone();
            Settings::from_operator_configuration(&json!({"configuration": configuration}))
        }
        (None, Some((option, value))) => {
            let mut data = data;
            data.insert(option.key.to_owned(), value.as_str().unwrap_or_default().to_owned());
            Settings::from_config_map(&data)
        }
        (None, None) => Settings::from_config_map(&data),
    };
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

fn at<'a>(configuration: &'a mut Value, option: &Opt) -> &'a mut Value {
    if option.group.is_empty() { configuration } else { &mut configuration[option.group] }
}

fn row(option: &Opt) -> Result<Row, String> {
    let key = option.key;
    let special = specials().into_iter().find(|(special, ..)| *special == key);
    let (spec, context, values) = match special {
        None => (base::lean(), &[][..], vec![]),
        Some((_, change, context, values)) => {
            let mut spec = base::lean();
            for (key, value) in change.as_object().into_iter().flatten() {
                spec[key] = value.clone();
            }
            (spec, context, values)
        }
    };
    let manifest = base::manifest(spec);
    let before = if option.sources == Sources::Object {
        settings(context, Some((option, &Value::Null)))
    } else {
        settings(context, None)
    };
    let before = before.map_err(|problems| format!("{key}: its base is refused: {problems:?}"))?;
    let outcome_before = outcome::of(&manifest, &before);
    let values = if values.is_empty() { candidates(option) } else { values };
    let mut seen = Vec::new();
    for value in values {
        let after = match settings(context, Some((option, &value))) {
            Ok(after) => after,
            Err(problems) => {
                seen.push(format!("{value} is refused: {problems:?}"));
                continue;
            }
        };
        let found = outcome::changes(&outcome_before, &outcome::of(&manifest, &after));
        let old =
            context.iter().find(|(context, _)| *context == key).map_or(option.default, |(_, value)| value);
        let flip = format!("{} → {}", shown(Some(&json!(old))), shown(Some(&value)));
        if !found.is_empty() {
            return changing(option, flip, &found);
        }
        seen.push(format!("{flip} changes nothing"));
    }
    unchanged(option, &seen)
}

fn changing(option: &Opt, flip: String, found: &BTreeSet<String>) -> Result<Row, String> {
    let (inert, awaits) = lists::of(option.key, lists::OPTIONS);
    if let Some(reason) = inert {
        return Err(format!(
            "{}: is on the list of inert options ({reason}), but changes {found:?}",
            option.key
        ));
    }
    Ok(Row { name: option.path(), flip, changes: joined(found), awaits })
}

/// An option that changes nothing that is rendered: the operator itself reads it, or it is listed.
fn unchanged(option: &Opt, seen: &[String]) -> Result<Row, String> {
    let key = option.key;
    let elsewhere = lists::ELSEWHERE.iter().find(|(listed, ..)| *listed == key);
    if let Some((_, what, file, test)) = elsewhere {
        let text = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_default();
        if !text(file).contains(key) {
            return Err(format!("{key}: {file} does not read it"));
        }
        let (test_file, function) = test.split_once("::").unwrap();
        if !text(test_file).contains(&format!("fn {function}(")) {
            return Err(format!("{key}: there is no test {test}"));
        }
        let changes = format!("{what} (test `{function}`)");
        return Ok(Row { name: option.path(), flip: "–".to_owned(), changes, awaits: "" });
    }
    let (inert, awaits) = lists::of(key, lists::OPTIONS);
    let changes = match (inert, awaits) {
        (Some(reason), _) => format!("*{reason}*"),
        (None, "") => return Err(format!("{key}: {}", seen.join("; "))),
        (None, _) => "*read and kept*".to_owned(),
    };
    Ok(Row { name: option.path(), flip: "–".to_owned(), changes, awaits })
}

/// Values to try, from the kind of the option.
fn candidates(option: &Opt) -> Vec<Value> {
    use matriarch_settings::Allowed;
    let texts: Vec<&str> = match (option.allowed, option.kind) {
        (Allowed::OneOf(words) | Allowed::Known(words, _), _) => words.to_vec(),
        (Allowed::Cpu, _) => vec!["77m", "7"],
        (Allowed::Memory, _) => vec!["77Mi", "7Gi"],
        (Allowed::MajorVersion, _) => vec!["17", "15"],
        (Allowed::Windows, _) => vec!["Sat:01:00-06:00"],
        (Allowed::Schedule, _) => vec!["7 7 * * *"],
        (_, kind) if kind.starts_with("true") => vec!["true", "false"],
        (_, kind) if kind.starts_with("a whole number") => vec!["7", "1", "9007"],
        (_, kind) if kind.starts_with("a duration") => vec!["77s"],
        (_, kind) if kind.starts_with("a list") => vec!["flipped"],
        (_, kind) if kind.starts_with("a map") => vec!["flipped:yes"],
        _ => vec!["flipped", "parallel"],
    };
    texts.into_iter().map(|text| json!(text)).collect()
}

type Special = (&'static str, Value, Pairs, Vec<Value>);

/// Rows that need another manifest, other settings or a value that the kind does not tell.
fn specials() -> Vec<Special> {
    let value = |key: &'static str, value: Value| -> Special { (key, json!({}), &[], vec![value]) };
    let with = |key: &'static str, context: Pairs| -> Special { (key, json!({}), context, vec![]) };
    let manifest = |key: &'static str, change: Value| -> Special { (key, change, &[], vec![]) };
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"labels": {"flipped": "yes"}}});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"labels": {"flipped": "yes"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flipped"},
    });
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}],
    }}});
    vec![
        value("sidecars", json!("[{\"name\": \"flipped\", \"image\": \"flipped\"}]")),
        value("liveness_probe", json!({"tcpSocket": {"port": 7}})),
        value("sidecar_docker_images", json!("flipped:image")),
        value("cluster_labels", json!("application:spilo,flipped:yes")),
        value("toleration", json!("key:flipped,operator:Exists,effect:NoSchedule")),
        value("secret_name_template", json!("{username}.{cluster}.flipped")),
        value("pdb_name_format", json!("flipped-{cluster}")),
        value("master_dns_name_format", json!("{cluster}.flipped.{hostedzone}")),
        value("master_legacy_dns_name_format", json!("{cluster}.flipped.{hostedzone}")),
        value("persistent_volume_claim_retention_policy", json!("when_deleted:delete")),
        value("pod_service_account_definition", json!(account.to_string())),
        value("pod_service_account_role_binding_definition", json!(binding.to_string())),
        value(
            "infrastructure_roles_secrets",
            json!("secretname:roles,userkey:user,passwordkey:password,rolekey:inrole"),
        ),
        with("enable_maintenance_windows", &[("maintenance_windows", "Sat:01:00-06:00")]),
        with("ignore_instance_limits_annotation_key", &[("min_instances", "5")]),
        with("ignore_resources_limits_annotation_key", &[("min_cpu_limit", "2"), ("default_cpu_limit", "1")]),
        with(
            "set_memory_request_to_limit",
            &[("default_memory_request", "100Mi"), ("default_memory_limit", "500Mi")],
        ),
        with("major_version_upgrade_mode", &[("minimal_major_version", "17")]),
        with("minimal_major_version", &[("major_version_upgrade_mode", "full")]),
        with(
            "target_major_version",
            &[("major_version_upgrade_mode", "full"), ("minimal_major_version", "17")],
        ),
        with("pod_antiaffinity_topology_key", &[("enable_pod_antiaffinity", "true")]),
        with("pod_antiaffinity_preferred_during_scheduling", &[("enable_pod_antiaffinity", "true")]),
        with("max_cpu_request", &[("default_cpu_request", "500m")]),
        with("max_memory_request", &[("default_memory_request", "500Mi")]),
        with("additional_secret_mount_path", &[("additional_secret_mount", "secret")]),
        with("scalyr_api_key", &[("scalyr_image", "image")]),
        with("scalyr_image", &[("scalyr_api_key", "key")]),
        with("scalyr_server_url", SCALYR),
        with("scalyr_cpu_request", SCALYR),
        with("scalyr_memory_request", SCALYR),
        with("scalyr_cpu_limit", SCALYR),
        with("scalyr_memory_limit", SCALYR),
        with("enable_postgres_team_crd_superusers", &[("enable_postgres_team_crd", "true")]),
        with("logical_backup_azure_storage_account_name", AZURE),
        with("logical_backup_azure_storage_container", AZURE),
        with("logical_backup_azure_storage_account_key", AZURE),
        with("logical_backup_google_application_credentials", &[("logical_backup_provider", "gcs")]),
        (
            "node_readiness_label_merge",
            affinity,
            &[("node_readiness_label", "ready:yes")],
            vec![json!("AND"), json!("")],
        ),
        manifest("enable_team_id_clustername_prefix", json!({"teamId": "other"})),
        manifest("enable_init_containers", json!({"initContainers": [{"name": "n", "image": "i"}]})),
        manifest("replica_dns_name_format", json!({"enableReplicaLoadBalancer": true})),
        manifest("replica_legacy_dns_name_format", json!({"enableReplicaLoadBalancer": true})),
    ]
}

const SCALYR: Pairs = &[("scalyr_api_key", "key"), ("scalyr_image", "image")];
const AZURE: Pairs = &[("logical_backup_provider", "az")];
