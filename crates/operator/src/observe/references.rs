//! What manifests and settings point to, and facts that rendering may use: read before rendering,
//! which reads nothing itself.

use std::collections::BTreeMap;

use matriarch_cluster::windows::Windows;
use matriarch_cluster::{Cluster, Facts, Reference, References, names};
use matriarch_plan::scheduler::Key;
use matriarch_settings::Settings;
use serde_json::Value;

use super::infrastructure;
use super::kubernetes::text;
use super::memory::Memory;
use super::people;
use crate::plain::plain;
use crate::reads::Reads;

fn reference<U>(answer: kube::Result<Option<Value>>, read: impl FnOnce(Value) -> U) -> Reference<U> {
    match answer {
        Ok(Some(object)) => Reference::Known(read(object)),
        Ok(None) => Reference::Missing,
        Err(error) => Reference::Unknown(plain(&error)),
    }
}

/// Everything that is pointed to.
pub async fn references(
    reads: &Reads,
    memory: &Memory,
    cluster: &Cluster,
    settings: &Settings,
) -> References {
    let namespace = cluster.identity.namespace.as_str();
    let backups = &settings.logical_backup_cronjob_environment_secret;
    let (environment_secret, environment_config_map, backup_secret, infrastructure_roles, humans) = tokio::join!(
        keys_of_secret(reads, namespace, &settings.pod_environment_secret),
        environment_config_map(reads, namespace, &settings.pod_environment_configmap),
        keys_of_secret(reads, namespace, backups),
        infrastructure::recent_roles(reads, memory, settings),
        people::recent_humans(reads, memory, cluster, settings),
    );
    References { environment_secret, environment_config_map, backup_secret, infrastructure_roles, humans }
}

/// Keys of the Secret, which is in the cluster's namespace.
async fn keys_of_secret(reads: &Reads, namespace: &str, name: &str) -> Option<Reference<Vec<String>>> {
    if name.is_empty() {
        return None;
    }
    let answer = reads.named("Secret", namespace, name).await;
    let keys = |secret: Value| {
        secret["digests"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    Some(reference(answer, keys))
}

/// Data of the ConfigMap `namespace/name`; a name alone is in the operator's namespace. One that is
/// not there is looked for in the cluster's (03 §4.3).
async fn environment_config_map(
    reads: &Reads,
    own: &str,
    name: &str,
) -> Option<Reference<BTreeMap<String, String>>> {
    if name.is_empty() {
        return None;
    }
    let (first, name) = name.split_once('/').unwrap_or((reads.client().default_namespace(), name));
    let mut found = Reference::Missing;
    for namespace in [first, own] {
        let answer = reads.named("ConfigMap", namespace, name).await;
        found = reference(answer, |map| serde_json::from_value(map["data"].clone()).unwrap_or_default());
        if found != Reference::Missing {
            break;
        }
    }
    Some(found)
}

/// Facts of the world that rendering may use. What cannot be read is left out: rendering then goes
/// by the manifest, and the planner meets the same outage as an unknown.
pub async fn facts(reads: &Reads, cluster: &Cluster, settings: &Settings) -> Facts {
    let key = Key::new(&cluster.identity.namespace, &cluster.identity.name);
    let labels = [(settings.cluster_name_label.clone(), key.name.clone())].into();
    let (set, secrets, backup_job_is_taken) = tokio::join!(
        reads.get("StatefulSet", &key.namespace, &key.name),
        reads.list("Secret", &key, &labels),
        backup_job_is_taken(reads, &key, settings),
    );
    let secrets = secrets.unwrap_or_default();
    let user =
        |secret: &Value| secret["username"].as_str().filter(|user| !user.is_empty()).map(str::to_owned);
    Facts {
        running_version: set.ok().flatten().and_then(|set| running_version(&set)),
        secrets: secrets.iter().filter_map(|secret| Some((text(secret, "name"), user(secret)?))).collect(),
        backup_job_is_taken,
        in_maintenance_window: Windows::of(cluster, settings).contain(jiff::Timestamp::now()),
    }
}

/// Names are cut, so another cluster's CronJob may have ours.
async fn backup_job_is_taken(reads: &Reads, key: &Key, settings: &Settings) -> bool {
    if names::backup_job_apart(&key.name, settings).is_none() {
        return false;
    }
    let job = names::backup_job(&key.name, settings);
    let found = reads.get("CronJob", &key.namespace, &job).await.ok().flatten();
    let owner =
        |job: &Value| job["metadata"]["labels"][&settings.cluster_name_label].as_str().map(str::to_owned);
    found.and_then(|job| owner(&job)).is_some_and(|other| other != key.name)
}

/// `PGVERSION` of the database container, or the version in `bin_dir` of its configuration.
fn running_version(set: &Value) -> Option<String> {
    let containers = set["spec"]["template"]["spec"]["containers"].as_array()?;
    let postgres = containers.iter().find(|container| container["name"] == "postgres")?;
    let variable = |name: &str| {
        let variables = postgres["env"].as_array().into_iter().flatten();
        variables.filter(|v| v["name"] == name).find_map(|v| v["value"].as_str().map(str::to_owned))
    };
    variable("PGVERSION").or_else(|| {
        let configuration: Value = serde_json::from_str(&variable("SPILO_CONFIGURATION")?).ok()?;
        version_of_directory(configuration["postgresql"]["bin_dir"].as_str()?)
    })
}

/// The version in a directory of binaries: a part of the path, or what ends one after a dash.
fn version_of_directory(path: &str) -> Option<String> {
    let is_version = |text: &&str| text.split('.').all(|part| part.parse::<u32>().is_ok());
    path.split(['/', '-']).find(is_version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{running_version, version_of_directory};
    use serde_json::json;

    /// The last one is a layout of directories that is not Debian's.
    #[test]
    fn vectors_03_17_3_version_of_the_directory() {
        for (folder, version) in [
            ("/usr/lib/postgresql/9.6/bin", "9.6"),
            ("/usr/lib/postgresql/18/bin", "18"),
            ("/usr/pgsql-18/bin", "18"),
        ] {
            assert_eq!(version_of_directory(folder).as_deref(), Some(version), "{folder}");
        }
        assert_eq!(version_of_directory("/usr/bin"), None);
    }

    #[test]
    fn the_running_version_is_in_the_environment() {
        let set = |name: &str, value: &str| {
            json!({"spec": {"template": {"spec": {"containers": [
                {"name": "postgres", "env": [{"name": name, "value": value}]}]}}}})
        };
        assert_eq!(running_version(&set("PGVERSION", "15")).as_deref(), Some("15"));
        let configuration = r#"{"postgresql": {"bin_dir": "/usr/lib/postgresql/16/bin"}}"#;
        assert_eq!(running_version(&set("SPILO_CONFIGURATION", configuration)).as_deref(), Some("16"));
        assert_eq!(running_version(&json!({})), None);
    }
}
