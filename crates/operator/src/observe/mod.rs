//! Reading the world. Never fails as a whole: what cannot be read is unknown.

mod infrastructure;
mod kubernetes;
pub mod passwords;
mod patroni;
mod people;
mod pod_template;
mod references;
mod sql;

pub use infrastructure::roles as infrastructure_roles;
pub use patroni::base_url;
pub use sql::{COMMON, connect};

use std::collections::BTreeMap;

use kube::Client;
use matriarch_cluster::names::FINALIZER;
use matriarch_cluster::{Cluster, Intent, render_with};
use matriarch_plan::{Observation, Seen};
use matriarch_settings::Settings;
use serde_json::Value;

use crate::report;

/// What it takes to look.
#[derive(Clone)]
pub struct Eyes {
    client: Client,
    patroni: matriarch_patroni::Client,
}

/// An observation, and beside it the passwords, which never become part of it.
pub struct Sight {
    /// What planning may use.
    pub observation: Observation,
    /// Where things are, for the hands.
    pub addresses: Addresses,
}

/// What acting needs to know beyond the plan.
#[derive(Default)]
pub struct Addresses {
    /// Pod name to pod address.
    pub pods: BTreeMap<String, String>,
    /// The primary, if known.
    pub primary: Option<String>,
    /// Secret name to password.
    pub passwords: BTreeMap<String, String>,
}

impl Eyes {
    /// Eyes on the cluster of `client`.
    pub fn new(client: Client, patroni: matriarch_patroni::Client) -> Self {
        Self { client, patroni }
    }

    /// What should exist, after reading what the manifest and the settings point to.
    pub async fn intent(&self, cluster: &Cluster, settings: &Settings) -> Intent {
        let (references, facts) = tokio::join!(
            references::references(&self.client, cluster, settings),
            references::facts(&self.client, cluster, settings),
        );
        render_with(cluster, settings, &references, &facts)
    }

    /// As [`Self::observe`], and at Secrets of users who left the manifest: a deletion
    /// removes those too.
    pub async fn observe_all(&self, manifest: &Value, intent: &Intent, settings: &Settings) -> Sight {
        let mut sight = self.observe(manifest, intent, settings).await;
        let listed = kubernetes::labelled_secrets(&self.client, intent).await;
        sight.observation.secrets.extend(listed);
        sight
    }

    /// Looks at everything that concerns one cluster.
    pub async fn observe(&self, manifest: &Value, intent: &Intent, settings: &Settings) -> Sight {
        let names = &intent.identity;
        let store = kubernetes::Store::of(settings);
        let (objects, (secrets, passwords), pods, claims, (patroni_objects, mut leader), user_lists, streams) = tokio::join!(
            kubernetes::objects(&self.client, intent),
            kubernetes::secrets(&self.client, intent),
            kubernetes::pods(&self.client, intent, settings),
            kubernetes::claims(&self.client, intent),
            kubernetes::patroni_objects(&self.client, &names.namespace, &names.name, store),
            kubernetes::user_lists(&self.client, intent),
            kubernetes::streams(&self.client, intent),
        );
        if store == kubernetes::Store::Etcd {
            leader = kubernetes::leader_by_label(&pods);
        }
        let addresses =
            Addresses { pods: kubernetes::addresses(&pods), primary: leader.present().cloned(), passwords };
        let (patroni, revisions, creation_refused) = tokio::join!(
            patroni::observe(&self.patroni, &addresses, &pods),
            kubernetes::revisions(&self.client, intent, &objects, &pods),
            kubernetes::creation_refused(&self.client, intent, &pods),
        );
        let mut observation = Observation {
            has_finalizer: has_finalizer(manifest),
            objects,
            secrets,
            pods,
            revisions,
            claims,
            patroni_objects,
            user_lists,
            streams,
            leader,
            patroni,
            catalog: Seen::Absent,
            passwords: BTreeMap::new(),
            nodes: BTreeMap::new(),
            creation_refused,
            status: report::status_of(manifest),
            now: jiff::Timestamp::now(),
        };
        let (catalog, states) = sql::observe(intent, settings, &observation, &addresses).await;
        observation.catalog = catalog;
        observation.passwords = states;
        Sight { observation, addresses }
    }
}

fn has_finalizer(manifest: &Value) -> bool {
    let finalizers = manifest["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|list| list.iter().any(|finalizer| finalizer == FINALIZER))
}
