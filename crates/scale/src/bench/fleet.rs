//! The clusters of the benchmark.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::stuck::{self, Stuck};
use crate::manifest;
use crate::stand_in::{Key, StandIn};

/// Namespace of the operator.
pub const OPERATOR: &str = "matriarch-system";
/// Clusters of one namespace.
const PER_NAMESPACE: u32 = 100;
/// Nodes; each takes thousands of pods.
const NODES: usize = 20;
/// Requests at once.
const AT_ONCE: usize = 12;

/// All clusters.
pub struct Fleet {
    client: Client,
    members: u32,
    number: u32,
}

impl Fleet {
    /// None yet: nodes and settings only.
    pub async fn new(client: Client, members: u32, resync: u32) -> Result<Self> {
        nodes(&client, NODES).await?;
        let settings = json!({
            "metadata": {"name": "matriarch", "namespace": OPERATOR},
            "data": {
                "watched_namespace": "*",
                "resync_period": format!("{resync}s"),
                "enable_teams_api": "false",
                "enable_master_load_balancer": "false",
            },
        });
        create::<ConfigMap>(&Api::namespaced(client.clone(), OPERATOR), settings).await?;
        Ok(Self { client, members, number: 0 })
    }

    /// Access to the API server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How many there are.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Members that every cluster was made with.
    pub fn members(&self) -> u32 {
        self.members
    }

    /// Manifests up to this number.
    pub async fn grow(&mut self, number: u32) -> Result<()> {
        for namespace in 0..number.div_ceil(PER_NAMESPACE) {
            let namespace = json!({"metadata": {"name": namespace_of(namespace * PER_NAMESPACE)}});
            create::<Namespace>(&Api::all(self.client.clone()), namespace).await?;
        }
        let (client, members) = (&self.client, self.members);
        let new = (self.number..number).map(|index| async move {
            let (namespace, name) = key(index);
            let manifest = manifest::small(&namespace, &name, members);
            create::<DynamicObject>(&manifest::api(client, &namespace), manifest).await
        });
        stream::iter(new).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        self.number = number;
        Ok(())
    }

    /// All clusters.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        (0..self.number).map(key)
    }

    /// Merges into a manifest.
    pub async fn edit(&self, key: &Key, patch: &Value) -> Result<()> {
        let api = manifest::api(&self.client, &key.0);
        api.patch(&key.1, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .with_context(|| format!("cannot edit {}/{}", key.0, key.1))?;
        Ok(())
    }

    /// Makes one of twenty stuck, a third of those in each way.
    pub async fn stick(&self, stand_in: &StandIn) -> Result<BTreeMap<Key, Stuck>> {
        let stuck: BTreeMap<Key, Stuck> =
            (0..self.number).filter_map(|index| Some((key(index), Stuck::of(index)?))).collect();
        stuck::refuse(&self.client, &stuck).await?;
        let silent = stuck.iter().filter(|(_, how)| **how == Stuck::Silent).map(|(key, _)| key.clone());
        stand_in.silence(silent.collect());
        for (key, how) in &stuck {
            self.edit(key, &how.change(self.members)).await?;
        }
        Ok(stuck)
    }

    /// All clusters as they were made.
    pub async fn heal(&self, stand_in: &StandIn) -> Result<()> {
        stand_in.silence(Default::default());
        stuck::accept(&self.client).await?;
        let keys: Vec<Key> = self.keys().collect();
        let as_made = stuck::nothing(self.members);
        let edits = keys.iter().map(|key| self.edit(key, &as_made));
        stream::iter(edits).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
    }
}

fn namespace_of(index: u32) -> String {
    format!("fleet-{}", index / PER_NAMESPACE)
}

fn key(index: u32) -> Key {
    (namespace_of(index), format!("acid-c{index:04}"))
}

/// Creates an object unless it is there.
pub async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object)?;
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Nodes that nobody runs, large enough for all.
pub async fn nodes(client: &Client, count: usize) -> Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    for number in 1..=count {
        let name = format!("fake-{number}");
        let room = json!({"cpu": "1000", "memory": "4Ti", "pods": "5000", "ephemeral-storage": "4Ti"});
        let node = json!({
            "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
            "status": {"allocatable": room, "capacity": room},
        });
        create(&api, node).await?;
    }
    Ok(())
}
