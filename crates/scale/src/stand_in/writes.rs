//! What Patroni writes: the leader object, the configuration object, role labels.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{CLUSTER_LABEL, Cluster, Key, ROLE_LABEL, StandIn};

/// After a write that failed.
const AGAIN: Duration = Duration::from_millis(300);

/// Writes for one cluster after the other what has changed about it.
pub async fn write(stand_in: StandIn, mut queue: mpsc::UnboundedReceiver<Key>) {
    while let Some(key) = queue.recv().await {
        let Some(cluster) = stand_in.cluster(&key) else { continue };
        if let Err(error) = settle(&stand_in, &key, &cluster).await {
            // A pod that has just gone is no mistake; the rest is tried again.
            if !matches!(&error, kube::Error::Api(status) if status.code == 404 || status.code == 409) {
                eprintln!("stand-in: {}/{}: {error}", key.0, key.1);
            }
            let again = stand_in.clone();
            tokio::spawn(async move {
                tokio::time::sleep(AGAIN).await;
                again.touch(&key);
            });
        }
    }
}

async fn settle(stand_in: &StandIn, key: &Key, cluster: &Cluster) -> kube::Result<()> {
    let client = &stand_in.client;
    if cluster.configuration != cluster.written_configuration {
        let annotations = json!({
            "config": cluster.configuration.as_ref().map(Value::to_string),
            "initialize": "7000000000000000001",
        });
        object(client, key, "config", annotations).await?;
        if let Some(known) = stand_in.state().clusters.get_mut(key) {
            known.written_configuration.clone_from(&cluster.configuration);
        }
    }
    let Some(leader) = &cluster.leader else { return Ok(()) };
    if cluster.written_leader.as_ref() != Some(leader) {
        let now = jiff::Timestamp::now().to_string();
        let annotations = json!({
            "leader": leader, "acquireTime": now, "renewTime": now, "ttl": "30",
            "transitions": cluster.transitions.to_string(), "optime": "1",
        });
        object(client, key, "leader", annotations).await?;
        if let Some(known) = stand_in.state().clusters.get_mut(key) {
            known.written_leader = Some(leader.clone());
        }
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &key.0);
    for (name, member) in &cluster.members {
        let role = if name == leader { "master" } else { "replica" };
        if !member.able || member.role_label.as_deref() == Some(role) {
            continue;
        }
        let patch = json!({"metadata": {"uid": member.uid, "labels": {ROLE_LABEL: role}}});
        pods.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    }
    Ok(())
}

/// Patches an object of the cluster's, which is made when it is not there.
async fn object(client: &Client, key: &Key, suffix: &str, annotations: Value) -> kube::Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &key.0);
    let name = format!("{}-{suffix}", key.1);
    let labels = json!({"application": "spilo", CLUSTER_LABEL: key.1});
    let content = json!({"metadata": {"name": name, "labels": labels, "annotations": annotations}});
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(&content)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let made: ConfigMap = serde_json::from_value(content).map_err(kube::Error::SerdeError)?;
            api.create(&PostParams::default(), &made).await.map(|_| ())
        }
        other => other.map(|_| ()),
    }
}
