//! What manifests and settings point to, and facts that rendering may use: read before rendering,
//! which reads nothing itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use matriarch_cluster::windows::Windows;
use matriarch_cluster::{Cluster, Facts, Reference, References, names};
use matriarch_settings::Settings;
use serde_json::Value;

use super::infrastructure;
use super::kubernetes::text;
use super::people;
use crate::kinds;

fn reference<T, U>(answer: kube::Result<Option<T>>, read: impl FnOnce(T) -> U) -> Reference<U> {
    match answer {
        Ok(Some(object)) => Reference::Known(read(object)),
        Ok(None) => Reference::Missing,
        Err(error) => Reference::Unknown(error.to_string()),
    }
}

/// Everything that is pointed to.
pub async fn references(client: &Client, cluster: &Cluster, settings: &Settings) -> References {
    let namespace = cluster.identity.namespace.as_str();
    let backups = &settings.logical_backup_cronjob_environment_secret;
    let (environment_secret, environment_config_map, backup_secret, infrastructure_roles, humans) = tokio::join!(
        keys_of_secret(client, namespace, &settings.pod_environment_secret),
        environment_config_map(client, namespace, &settings.pod_environment_configmap),
        keys_of_secret(client, namespace, backups),
        infrastructure::roles(client, settings),
        people::humans(client, cluster, settings),
    );
    References { environment_secret, environment_config_map, backup_secret, infrastructure_roles, humans }
}

/// Keys of the Secret, which is in the cluster's namespace.
async fn keys_of_secret(client: &Client, namespace: &str, name: &str) -> Option<Reference<Vec<String>>> {
    if name.is_empty() {
        return None;
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let answer = api.get_opt(name).await;
    Some(reference(answer, |secret| secret.data.unwrap_or_default().into_keys().collect()))
}

/// Data of the ConfigMap `namespace/name`; a name alone is in the operator's namespace. One that is
/// not there is looked for in the cluster's (03 §4.3).
async fn environment_config_map(
    client: &Client,
    own: &str,
    name: &str,
) -> Option<Reference<BTreeMap<String, String>>> {
    if name.is_empty() {
        return None;
    }
    let (first, name) = name.split_once('/').unwrap_or((client.default_namespace(), name));
    let mut found = Reference::Missing;
    for namespace in [first, own] {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        found = reference(api.get_opt(name).await, |map| map.data.unwrap_or_default());
        if found != Reference::Missing {
            break;
        }
    }
    Some(found)
}

/// Facts of the world that rendering may use. What cannot be read is left out: rendering then goes
/// by the manifest, and the planner meets the same outage as an unknown.
pub async fn facts(client: &Client, cluster: &Cluster, settings: &Settings) -> Facts {
    let namespace = cluster.identity.namespace.as_str();
    let sets = kinds::namespaced(client, "StatefulSet", namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let label = format!("{}={}", settings.cluster_name_label, cluster.identity.name);
    let labelled = ListParams::default().labels(&label);
    let (set, secrets, backup_job_is_taken) = tokio::join!(
        sets.get_opt(&cluster.identity.name),
        secrets.list(&labelled),
        backup_job_is_taken(client, cluster, settings),
    );
    let secrets = secrets.map(|list| list.items).unwrap_or_default();
    Facts {
        running_version: set.ok().flatten().and_then(|set| running_version(&set.data)),
        secrets: secrets
            .iter()
            .filter_map(|secret| Some((secret.name_any(), text(secret, "username")?)))
            .collect(),
        backup_job_is_taken,
        in_maintenance_window: Windows::of(cluster, settings).contain(jiff::Timestamp::now()),
    }
}

/// Names are cut, so another cluster's CronJob may have ours.
async fn backup_job_is_taken(client: &Client, cluster: &Cluster, settings: &Settings) -> bool {
    let (namespace, name) = (cluster.identity.namespace.as_str(), cluster.identity.name.as_str());
    if names::backup_job_apart(name, settings).is_none() {
        return false;
    }
    let api = kinds::namespaced(client, "CronJob", namespace);
    let found = api.get_opt(&names::backup_job(name, settings)).await.ok().flatten();
    found.is_some_and(|job| job.labels().get(&settings.cluster_name_label).is_some_and(|other| other != name))
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
