//! What the runs see of the world, and what they make in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::bench::fleet::{create, nodes};
use crate::manifest;
use crate::stand_in::Key;

/// Kinds whose objects carry the cluster's label.
const KINDS: [(&str, &str, &str, &str); 8] = [
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Service", "services"),
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("batch", "v1", "CronJob", "cronjobs"),
];

/// Nodes; without a kubelet nothing takes their first taint away.
pub async fn prepare(client: &Client) -> Result<()> {
    nodes(client, 3).await?;
    let api: Api<Node> = Api::all(client.clone());
    for node in api.list(&ListParams::default()).await? {
        let patch = json!({"spec": {"taints": null}});
        api.patch(&node.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
    }
    Ok(())
}

/// A namespace with the settings of an operator of its own.
pub async fn namespace(client: &Client, name: &str, real: bool) -> Result<()> {
    create::<Namespace>(&Api::all(client.clone()), json!({"metadata": {"name": name}})).await?;
    let mut data = BTreeMap::from([
        ("enable_teams_api".to_owned(), "false".to_owned()),
        ("enable_master_load_balancer".to_owned(), "false".to_owned()),
    ]);
    if real {
        // The image that the nodes have.
        let shared: Api<ConfigMap> = Api::namespaced(client.clone(), "matriarch-system");
        let shared = shared.get("matriarch").await.context("the operator is not deployed here")?;
        data.extend(shared.data.unwrap_or_default());
    }
    let settings = json!({"metadata": {"name": "matriarch", "namespace": name}, "data": data});
    create::<ConfigMap>(&Api::namespaced(client.clone(), name), settings).await
}

/// The pods' account and its binding: made once per namespace, so a creation would see them only
/// the first time.
pub async fn without_account(client: &Client, namespace: &str) -> Result<()> {
    let (delete, list) = (DeleteParams::default(), ListParams::default());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    for account in accounts.list(&list).await?.iter().filter(|account| account.name_any() != "default") {
        accounts.delete(&account.name_any(), &delete).await?;
    }
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    for binding in bindings.list(&list).await? {
        bindings.delete(&binding.name_any(), &delete).await?;
    }
    Ok(())
}

/// Every object of a cluster but its pods, whose number changes.
pub async fn objects(client: &Client, key: &Key) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let labelled = ListParams::default().labels(&format!("cluster-name={}", key.1));
    for (group, version, kind, plural) in KINDS {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &key.0, &resource);
        for object in api.list_metadata(&labelled).await? {
            found.insert(format!("{kind} {}", object.name_any().replace(&key.1, "*")));
        }
    }
    Ok(found)
}

/// Why a cluster has not come to its state yet; nothing when it has.
pub async fn awaited(client: &Client, key: &Key, members: u32, cpu: Option<&str>) -> Result<Option<String>> {
    let Some(manifest) = manifest::api(client, &key.0).get_opt(&key.1).await? else {
        return Ok(Some("the manifest is not there".to_owned()));
    };
    let (status, generation) = (&manifest.data["status"], manifest.metadata.generation);
    let word = status["PostgresClusterStatus"].as_str().unwrap_or("none");
    if word != "Running" || status["observedGeneration"].as_i64() != generation {
        return Ok(Some(format!("status {word} of {}, not of {generation:?}", status["observedGeneration"])));
    }
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), &key.0);
    let Some(set) = sets.get_opt(&key.1).await? else { return Ok(Some("no StatefulSet".to_owned())) };
    if set.spec.replicas != i32::try_from(members).ok() {
        return Ok(Some(format!("the StatefulSet has {:?} replicas, not {members}", set.spec.replicas)));
    }
    let revision = set.status.as_ref().and_then(|status| status.update_revision.clone()).unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &key.0);
    let labelled = ListParams::default().labels(&format!("cluster-name={}", key.1));
    let pods = pods.list(&labelled).await?.items;
    let good: Vec<&Pod> = pods.iter().filter(|pod| is_good(pod, &revision, cpu)).collect();
    if pods.len() != usize::try_from(members)? || good.len() != pods.len() {
        return Ok(Some(format!("{} pods, of which {} as wanted, not {members}", pods.len(), good.len())));
    }
    let primaries =
        good.iter().filter(|pod| pod.labels().get("spilo-role").is_some_and(|role| role == "master"));
    let primaries = primaries.count();
    Ok((primaries != 1).then(|| format!("{primaries} primaries")))
}

fn is_good(pod: &Pod, revision: &str, cpu: Option<&str>) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.clone().any(|one| one.type_ == "Ready" && one.status == "True");
    let requests =
        pod.spec.iter().flat_map(|spec| &spec.containers).find_map(|container| {
            Some(container.resources.as_ref()?.requests.as_ref()?.get("cpu")?.0.clone())
        });
    pod.metadata.deletion_timestamp.is_none()
        && ready
        && pod.labels().get("controller-revision-hash").is_some_and(|hash| hash == revision)
        && cpu.is_none_or(|cpu| requests.as_deref() == Some(cpu))
        && pod.labels().contains_key("spilo-role")
}

/// Creates a manifest.
pub async fn hand_in(client: &Client, key: &Key, members: u32, controller_id: &str) -> Result<()> {
    let mut manifest = manifest::small(&key.0, &key.1, members);
    if !controller_id.is_empty() {
        manifest["metadata"]["annotations"] = json!({"acid.zalan.do/controller": controller_id});
    }
    create::<DynamicObject>(&manifest::api(client, &key.0), manifest).await
}

/// Changes of a real leader, the first one included.
pub async fn transitions(client: &Client, key: &Key) -> Result<u64> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &key.0);
    let Some(leader) = api.get_opt(&format!("{}-leader", key.1)).await? else { return Ok(0) };
    let text = leader.annotations().get("transitions").cloned().unwrap_or_default();
    Ok(text.parse::<u64>().unwrap_or(0) + 1)
}

/// Merges into a manifest.
pub async fn edit(client: &Client, key: &Key, patch: &Value) -> Result<()> {
    let api = manifest::api(client, &key.0);
    api.patch(&key.1, &PatchParams::default(), &Patch::Merge(patch)).await.context("cannot edit")?;
    Ok(())
}

/// Asks for the deletion of a manifest; one that is gone is fine.
pub async fn delete(client: &Client, key: &Key) -> Result<()> {
    match manifest::api(client, &key.0).delete(&key.1, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What is left of a deleted cluster; nothing when it is gone.
pub async fn left(client: &Client, key: &Key) -> Result<Option<String>> {
    if manifest::api(client, &key.0).get_opt(&key.1).await?.is_some() {
        return Ok(Some("the manifest is still there".to_owned()));
    }
    let left = objects(client, key).await?;
    Ok((!left.is_empty()).then(|| left.into_iter().collect::<Vec<_>>().join(", ")))
}
