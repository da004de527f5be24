//! One process that stands in for the Patroni of every pod, and where asked for the kubelets.
//!
//! The machine owns all pod addresses (a local route), so one listener on port 8008 is asked for
//! every member and knows by the address which one is meant. It does what an operator sees of
//! Patroni: a leader per cluster, its object, role labels, the dynamic configuration, switchovers
//! and restarts. There is no PostgreSQL behind it.

mod cluster;
mod http;
mod kubelet;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::crash::{Lives, Strike};
pub use cluster::Cluster;
use cluster::Member;

/// Label with the cluster's name, and the one with the member's role.
const CLUSTER_LABEL: &str = "cluster-name";
const ROLE_LABEL: &str = "spilo-role";
/// Writers of leader objects and labels; a cluster always has the same one.
const WRITERS: usize = 16;

/// Namespace and name.
pub type Key = (String, String);

/// All clusters, as their Patroni would know them. Cheap to clone.
#[derive(Clone)]
pub struct StandIn {
    client: Client,
    state: Arc<Mutex<State>>,
    writers: Arc<Vec<mpsc::UnboundedSender<Key>>>,
}

#[derive(Default)]
struct State {
    clusters: BTreeMap<Key, Cluster>,
    /// Whose address it is: cluster and pod.
    addresses: HashMap<IpAddr, (Key, String)>,
    silent: BTreeSet<Key>,
    /// Uids of all pods that were ever seen, in their order.
    uids: BTreeMap<Key, BTreeMap<String, Vec<String>>>,
    /// Who counts the requests that change something, by namespace.
    strikes: BTreeMap<String, Arc<Strike>>,
    /// Dynamic configurations as they were set, for those who wait for it.
    patched: Vec<(Key, Instant, Value)>,
}

impl StandIn {
    /// Watches all pods, and listens on port 8008 of every address. With `kubelet`, pods with a
    /// node become ready and deleted ones go.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(client: Client, kubelet: bool) -> Result<Self> {
        let (writers, queues): (Vec<_>, Vec<_>) = (0..WRITERS).map(|_| mpsc::unbounded_channel()).unzip();
        let stand_in = Self { client, state: Arc::default(), writers: Arc::new(writers) };
        for queue in queues {
            tokio::spawn(writes::write(stand_in.clone(), queue));
        }
        http::listen(stand_in.clone()).await?;
        tokio::spawn(stand_in.clone().follow(kubelet));
        Ok(stand_in)
    }

    /// Only looks: for pods that have kubelets and a Patroni of their own.
    pub fn look(client: Client) -> Self {
        // Nobody writes: the queues have no other end.
        let writers = (0..WRITERS).map(|_| mpsc::unbounded_channel().0).collect();
        let stand_in = Self { client, state: Arc::default(), writers: Arc::new(writers) };
        tokio::spawn(stand_in.clone().follow(false));
        stand_in
    }

    /// These clusters accept connections and never answer; all others do.
    pub fn silence(&self, clusters: BTreeSet<Key>) {
        self.state().silent = clusters;
    }

    /// Configurations that were set since the last call, with the time.
    pub fn take_patched(&self) -> Vec<(Key, Instant, Value)> {
        std::mem::take(&mut self.state().patched)
    }

    /// What a cluster looks like now.
    pub fn cluster(&self, key: &Key) -> Option<Cluster> {
        self.state().clusters.get(key).cloned()
    }

    /// Makes a member the leader, as a person does with `patronictl switchover`.
    ///
    /// # Errors
    /// A sentence when the member cannot lead.
    pub fn switch_over(&self, key: &Key, candidate: &str) -> Result<(), String> {
        let mut state = self.state();
        let cluster = state.clusters.get_mut(key).ok_or("no such cluster")?;
        cluster.switch_over(None, candidate)?;
        drop(state);
        self.touch(key);
        Ok(())
    }

    /// Requests to members in this namespace that change something are counted, and may be the
    /// operator's last.
    pub fn strike_in(&self, namespace: &str, strike: Arc<Strike>) {
        self.state().strikes.insert(namespace.to_owned(), strike);
    }

    /// Pods and leaders that a cluster has had so far.
    pub fn lives(&self, key: &Key) -> Lives {
        let state = self.state();
        Lives {
            pods: state.uids.get(key).cloned().unwrap_or_default(),
            transitions: state.clusters.get(key).map_or(0, |cluster| cluster.transitions),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is written about a cluster is looked at again.
    fn touch(&self, key: &Key) {
        let sum = key
            .0
            .bytes()
            .chain(key.1.bytes())
            .fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        // Writers live as long as the process.
        let _ = self.writers[sum % WRITERS].send(key.clone());
    }

    async fn follow(self, kubelet: bool) {
        let api: Api<Pod> = Api::all(self.client.clone());
        let kubelet = kubelet.then(|| kubelet::Kubelet::new(self.client.clone()));
        let events = watcher(api, watcher::Config::default()).default_backoff();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                    if let Some(kubelet) = &kubelet {
                        kubelet.look_after(&pod);
                    }
                    self.saw(&pod);
                }
                Ok(watcher::Event::Delete(pod)) => self.gone(&pod),
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Err(error) => eprintln!("stand-in: watching pods: {error}"),
            }
        }
    }

    fn saw(&self, pod: &Pod) {
        let Some(key) = key_of(pod) else { return };
        let Some(member) = Member::of(pod) else { return };
        let mut state = self.state();
        if let Some(address) = member.address {
            state.addresses.insert(address, (key.clone(), pod.name_any()));
        }
        let uids = state.uids.entry(key.clone()).or_default().entry(pod.name_any()).or_default();
        if !uids.contains(&member.uid) {
            uids.push(member.uid.clone());
        }
        let cluster = state.clusters.entry(key.clone()).or_default();
        cluster.saw(pod.name_any(), member, || cluster::bootstrap_configuration(pod));
        drop(state);
        self.touch(&key);
    }

    fn gone(&self, pod: &Pod) {
        let Some(key) = key_of(pod) else { return };
        let mut state = self.state();
        let uid = pod.uid().unwrap_or_default();
        if let Some(cluster) = state.clusters.get_mut(&key)
            && cluster.gone(&pod.name_any(), &uid)
        {
            state.clusters.remove(&key);
        }
        drop(state);
        self.touch(&key);
    }
}

fn key_of(pod: &Pod) -> Option<Key> {
    let cluster = pod.labels().get(CLUSTER_LABEL)?;
    Some((pod.namespace()?, cluster.clone()))
}
