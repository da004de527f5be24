//! Reading the world. Never fails as a whole: what cannot be read is unknown.

mod infrastructure;
mod kubernetes;
mod memory;
pub mod passwords;
mod patroni;
mod people;
mod pod_template;
mod references;
mod secrets;
mod sql;

pub use infrastructure::roles as infrastructure_roles;
pub use kubernetes::pods;
pub use patroni::base_url;
pub use sql::{COMMON, Place, connect, namespace_of};

use std::collections::BTreeMap;
use std::sync::Arc;

use matriarch_cluster::names::FINALIZER;
use matriarch_cluster::{Cluster, Intent, render_with};
use matriarch_plan::scheduler::Key;
use matriarch_plan::{Observation, PatroniSeen, Seen, bootstrap};
use matriarch_settings::Settings;
use serde_json::Value;

use crate::access::Access;
use crate::nodes::Nodes;
use crate::reads::Reads;
use crate::report;
use memory::Memory;

/// What it takes to look.
#[derive(Clone)]
pub struct Eyes {
    reads: Reads,
    patroni: matriarch_patroni::Client,
    memory: Arc<Memory>,
    nodes: Nodes,
    /// ServiceAccounts may not be patched.
    accounts_stay: bool,
}

/// An observation, and what the hands need beside it.
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
}

impl Eyes {
    /// Eyes that look through `reads`.
    pub fn new(reads: Reads, patroni: matriarch_patroni::Client) -> Self {
        Self { reads, patroni, memory: Arc::default(), nodes: Nodes::default(), accounts_stay: false }
    }

    /// The same, knowing what the operator may do.
    pub fn with_access(self, access: &Access) -> Self {
        Self { accounts_stay: !access.allows("serviceaccounts", "patch"), ..self }
    }

    /// The same, with these nodes; otherwise nothing is known of any node.
    pub fn with_nodes(self, nodes: Nodes) -> Self {
        Self { nodes, ..self }
    }

    /// Eyes that look past every cache.
    pub fn live(&self) -> Self {
        Self { reads: self.reads.live(), ..self.clone() }
    }

    /// Drops what is remembered of a cluster.
    pub fn forget(&self, cluster: &Key) {
        self.memory.forget(cluster);
    }

    /// What should exist, after reading what the manifest and the settings point to.
    pub async fn intent(&self, cluster: &Cluster, settings: &Settings) -> Intent {
        let (references, facts) = tokio::join!(
            references::references(&self.reads, &self.memory, cluster, settings),
            references::facts(&self.reads, cluster, settings),
        );
        render_with(cluster, settings, &references, &facts)
    }

    /// Patroni's answer. It is asked for before anything is rendered, so that waiting for a member
    /// that does not answer costs no memory.
    pub async fn patroni(&self, cluster: &Key, settings: &Settings) -> Seen<PatroniSeen> {
        let store = kubernetes::Store::of(settings);
        let mut labels = settings.cluster_labels.clone();
        labels.insert(settings.cluster_name_label.clone(), cluster.name.clone());
        let (pods, leader) = tokio::join!(
            kubernetes::pods(&self.reads, cluster, &labels, settings),
            kubernetes::leader(&self.reads, cluster, store),
        );
        let addresses = Addresses { pods: kubernetes::addresses(&pods), primary: leader.present().cloned() };
        patroni::observe(&self.patroni, &addresses, &pods).await
    }

    /// As [`Self::observe`], and at Secrets of users who left the manifest: a deletion
    /// removes those too.
    pub async fn observe_all(&self, manifest: &Value, intent: &Intent, settings: &Settings) -> Sight {
        let mut sight = self.observe(manifest, intent, settings, None).await;
        let listed = secrets::labelled(&self.reads, intent).await;
        sight.observation.secrets.extend(listed);
        sight
    }

    /// Looks at everything that concerns one cluster; Patroni is asked if it was not already.
    pub async fn observe(
        &self,
        manifest: &Value,
        intent: &Intent,
        settings: &Settings,
        patroni: Option<Seen<PatroniSeen>>,
    ) -> Sight {
        let reads = &self.reads;
        let key = Key::new(&intent.identity.namespace, &intent.identity.name);
        let store = kubernetes::Store::of(settings);
        let (objects, secrets, pods, claims, (patroni_objects, mut leader), user_lists, streams) = tokio::join!(
            kubernetes::objects(reads, intent),
            secrets::credentials(reads, intent),
            kubernetes::pods(reads, &key, &intent.selector, settings),
            kubernetes::claims(reads, &key, intent),
            kubernetes::patroni_objects(reads, &key, store),
            secrets::user_lists(reads, &self.memory, &key, intent),
            kubernetes::streams(reads, &key, intent),
        );
        if store == kubernetes::Store::Etcd {
            leader = kubernetes::leader_by_label(&pods);
        }
        let addresses = Addresses { pods: kubernetes::addresses(&pods), primary: leader.present().cloned() };
        let answer = async {
            match patroni {
                Some(known) => known,
                None => patroni::observe(&self.patroni, &addresses, &pods).await,
            }
        };
        let (patroni, revisions, creation_refused) = tokio::join!(
            answer,
            kubernetes::revisions(reads, &self.memory, &key, intent, &objects, &pods),
            kubernetes::creation_refused(reads, &self.memory, &key, intent, &pods),
        );
        let now = jiff::Timestamp::now();
        let is_silent = matches!(patroni, Seen::Unknown(_));
        let patroni_silent_since = self.memory.patroni_silent_since(&key, is_silent, now);
        let nodes = self.nodes.of(&pods, &settings.node_readiness_label);
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
            patroni_silent_since,
            nobody_begins_since: None,
            catalog: Seen::Absent,
            passwords: BTreeMap::new(),
            nodes,
            creation_refused,
            accounts_stay: self.accounts_stay,
            status: report::status_of(manifest),
            manifest_created: kubernetes::created(manifest),
            now,
        };
        let nobody_begins = bootstrap::nobody_begins(&observation);
        observation.nobody_begins_since = self.memory.nobody_begins_since(&key, nobody_begins, now);
        let place = sql::Place { client: reads.client(), settings, intent, addresses: &addresses };
        let (catalog, states) = sql::observe(&place, &self.memory, &key, &observation).await;
        observation.catalog = catalog;
        observation.passwords = states;
        Sight { observation, addresses }
    }
}

/// Whether a manifest has our finalizer.
pub fn has_finalizer(manifest: &Value) -> bool {
    let finalizers = manifest["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|list| list.iter().any(|finalizer| finalizer == FINALIZER))
}
