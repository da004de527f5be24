//! The nodes, as far as it matters for moving a primary off one: one watch for all clusters, which
//! keeps a few fields of each node. A node that begins to be taken away, or is lost, wakes the
//! clusters that have pods there.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::StreamExt;
use kube::core::Object;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use matriarch_plan::nodes::Leaving;
use matriarch_plan::scheduler::Why;
use matriarch_plan::{NodeSeen, PodSeen, Seen};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::cache::{Answer, Caches};
use crate::controller::Context;
use crate::kinds;
use crate::plain::plain;

/// Pause after an error of the watch.
const PAUSE: Duration = Duration::from_secs(5);
/// Nodes per page of a list.
const PAGE: u32 = 100;
/// The contract leaves nodes with this label alone (04 §1.10).
const SPARED: (&str, &str) = ("master", "true");

/// The parts of a node that are decoded; the rest, such as its images, is dropped while it is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: bool,
    taints: Vec<Keyed>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Keyed {
    key: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Fact>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fact {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

type Node = Object<Spec, Status>;

/// What is kept of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    seen: NodeSeen,
    labels: BTreeMap<String, String>,
}

impl Known {
    fn of(node: &Node) -> Self {
        let conditions = node.status.iter().flat_map(|status| &status.conditions);
        Self {
            seen: NodeSeen {
                name: node.name_any(),
                unschedulable: node.spec.unschedulable,
                ready: conditions.into_iter().any(|fact| fact.type_ == "Ready" && fact.status == "True"),
                taints: node.spec.taints.iter().map(|taint| taint.key.clone()).collect(),
                lacks: Vec::new(),
            },
            labels: node.labels().clone(),
        }
    }

    /// The node under the setting `node_readiness_label`.
    fn under(&self, readiness: &BTreeMap<String, String>) -> NodeSeen {
        if self.labels.get(SPARED.0).is_some_and(|value| value == SPARED.1) {
            let (name, ready) = (self.seen.name.clone(), self.seen.ready);
            return NodeSeen { name, ready, ..NodeSeen::default() };
        }
        let lacks = readiness.iter().filter(|(key, value)| self.labels.get(*key) != Some(*value));
        NodeSeen { lacks: lacks.map(|(key, value)| format!("{key}={value}")).collect(), ..self.seen.clone() }
    }
}

#[derive(Debug)]
struct Inner {
    nodes: BTreeMap<String, Known>,
    /// Why nothing can be said; nothing when the watch works.
    blind: Option<String>,
}

/// The nodes; cheap to clone.
#[derive(Clone, Debug)]
pub struct Nodes {
    inner: Arc<RwLock<Inner>>,
}

impl Default for Nodes {
    fn default() -> Self {
        let inner = Inner { nodes: BTreeMap::new(), blind: Some("the nodes are not watched".to_owned()) };
        Self { inner: Arc::new(RwLock::new(inner)) }
    }
}

impl Nodes {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes of these pods.
    pub fn of(
        &self,
        pods: &Seen<Vec<PodSeen>>,
        readiness: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Seen<NodeSeen>> {
        let inner = self.read();
        let names = pods.present().into_iter().flatten().filter_map(|pod| pod.node.clone());
        names
            .map(|name| {
                let seen = match (&inner.blind, inner.nodes.get(&name)) {
                    (Some(why), _) => Seen::Unknown(why.clone()),
                    (None, Some(node)) => Seen::Present(node.under(readiness)),
                    (None, None) => Seen::Absent,
                };
                (name, seen)
            })
            .collect()
    }

    /// Takes in a node; whether its clusters should know.
    fn put(&self, node: Known, readiness: &BTreeMap<String, String>) -> bool {
        let (name, is) = (node.seen.name.clone(), node.under(readiness));
        match self.write().nodes.insert(name, node) {
            Some(old) => {
                let was = old.under(readiness);
                // Of one that is ready again its pods will tell.
                Leaving::of(&was) != Leaving::of(&is) || (was.ready && !is.ready)
            }
            // At the start every cluster is looked at anyway, perhaps before the nodes are known.
            None => Leaving::of(&is).is_some(),
        }
    }

    /// Watches for ever.
    pub async fn watch(self, context: Arc<Context>) {
        let api: Api<Node> = api(&context.client);
        let mut events = pin!(watcher(api, watcher::Config::default().page_size(PAGE)));
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(event, &mut listed, &context),
                Err(error) => {
                    let why = format!("the nodes cannot be watched: {}", plain(&error));
                    warn!("{why}");
                    self.write().blind = Some(why);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, event: Event<Node>, listed: &mut BTreeSet<String>, context: &Context) {
        let readiness = &context.settings.current().node_readiness_label;
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(node) => {
                listed.insert(node.name_any());
                if self.put(Known::of(&node), readiness) {
                    wake(&node.name_any(), context);
                }
            }
            Event::InitDone => {
                let mut inner = self.write();
                inner.nodes.retain(|name, _| listed.contains(name));
                inner.blind = None;
            }
            Event::Apply(node) => {
                let name = node.name_any();
                let news = self.put(Known::of(&node), readiness);
                self.write().blind = None;
                if news {
                    wake(&name, context);
                }
            }
            Event::Delete(node) => {
                self.write().nodes.remove(&node.name_any());
                wake(&node.name_any(), context);
            }
        }
    }
}

fn api(client: &Client) -> Api<Node> {
    Api::all_with(client.clone(), &kinds::resource("Node"))
}

/// Wakes the clusters that have pods on a node.
fn wake(node: &str, context: &Context) {
    match on(node, &context.caches()) {
        Some(clusters) => {
            for key in clusters {
                context.queue.wake(key, Why::Event("Node"));
            }
        }
        None => context.queue.wake_all(Why::Event("Node")),
    }
}

/// The clusters with pods on a node; `None` where pods are not watched.
fn on(node: &str, caches: &Caches) -> Option<Vec<matriarch_plan::scheduler::Key>> {
    let pods = caches.store("Pod")?;
    let mut found = Vec::new();
    for key in pods.clusters() {
        match pods.list(&key) {
            Answer::Silent => return None,
            Answer::Is(pods) if pods.iter().any(|pod| pod["spec"]["nodeName"] == node) => found.push(key),
            Answer::Is(_) => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(spec: serde_json::Value, ready: &str) -> Known {
        let node: Node = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n", "labels": {"status": "ready", "zone": "a"}},
            "spec": spec,
            "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": "x"}],
                "images": [{"names": ["i"]}]},
        }))
        .expect("a node");
        Known::of(&node)
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_fields_that_matter_are_kept() {
        let known =
            node(json!({"unschedulable": true, "taints": [{"key": "t", "effect": "NoSchedule"}]}), "True");
        let expected = NodeSeen {
            name: "n".to_owned(),
            unschedulable: true,
            ready: true,
            taints: ["t".to_owned()].into(),
            lacks: Vec::new(),
        };
        assert_eq!(known.under(&labels(&[("status", "ready")])), expected);
        assert_eq!(known.under(&labels(&[("status", "set"), ("zone", "a")])).lacks, ["status=set"]);
        let spared = Known { labels: labels(&[("master", "true")]), ..known };
        assert_eq!(Leaving::of(&spared.under(&BTreeMap::new())), None);
    }

    #[test]
    fn only_what_matters_wakes() {
        let (nodes, none) = (Nodes::default(), BTreeMap::new());
        assert!(!nodes.put(node(json!({}), "True"), &none), "an ordinary node is no news");
        assert!(!nodes.put(node(json!({"podCIDR": "10.0.0.0/24"}), "True"), &none));
        assert!(nodes.put(node(json!({"unschedulable": true}), "True"), &none));
        assert!(!nodes.put(node(json!({"unschedulable": true}), "True"), &none));
        assert!(nodes.put(node(json!({"unschedulable": true}), "Unknown"), &none));
        assert!(nodes.put(node(json!({}), "True"), &none));
    }

    #[test]
    fn without_a_watch_nothing_is_known() {
        let nodes = Nodes::default();
        nodes.put(node(json!({}), "True"), &BTreeMap::new());
        let pods =
            |name: &str| Seen::Present(vec![PodSeen { node: Some(name.to_owned()), ..PodSeen::default() }]);
        assert!(nodes.of(&pods("n"), &BTreeMap::new())["n"].unknown().is_some());
        nodes.write().blind = None;
        assert!(nodes.of(&pods("n"), &BTreeMap::new())["n"].present().is_some());
        assert_eq!(nodes.of(&pods("other"), &BTreeMap::new())["other"], Seen::Absent);
    }
}
