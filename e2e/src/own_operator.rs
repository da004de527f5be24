//! An operator of a test's own, for tests that need other settings than everybody's.
//!
//! It is the shared operator's Deployment once more, in the test's namespace, and watches that
//! namespace only. Its `CONTROLLER_ID` is the namespace's name, and the manifests that
//! [`OwnOperator::create`] makes name it in the annotation of the contract, so the shared operator
//! leaves them alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::{Cluster, manifest};
use crate::kubectl::Kubectl;
use crate::operator;
use crate::port_forward::{Answer, PortForward};
use crate::scene::Scene;
use crate::wait::{Look, wait_until};

/// Name of its Deployment, ServiceAccount and ConfigMap.
pub const NAME: &str = "operator";

/// The annotation of a manifest that names the operator which looks after it.
pub const CONTROLLER: &str = "acid.zalan.do/controller";

const SHARED_CONFIG_MAP: &str = "configmap/matriarch";
const SHARED_ROLE: &str = "matriarch";
/// What it may do in its own namespace.
const SHARED_OWN_ROLE: &str = "role/matriarch-lease";
const PORT: u16 = 8080;

/// What an operator is started with.
pub struct Start {
    kubectl: Kubectl,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, Option<String>>,
    cluster_role: String,
    replicas: u32,
}

impl Start {
    /// One more setting, over those of the shared operator.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// An environment variable; `None` takes one away.
    #[must_use]
    pub fn environment(mut self, name: &str, value: Option<&str>) -> Self {
        self.environment.insert(name.to_owned(), value.map(str::to_owned));
        self
    }

    /// The ClusterRole that it is bound to, instead of the shared operator's.
    #[must_use]
    pub fn cluster_role(mut self, name: &str) -> Self {
        self.cluster_role = name.to_owned();
        self
    }

    /// So many of them, of which one acts.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When an object cannot be made, or it is not ready after two minutes; with its last lines.
    pub fn start(self) -> Result<OwnOperator> {
        let own = self.create()?;
        own.wait_for_rollout()?;
        Ok(own)
    }

    /// Makes its objects without waiting for it.
    ///
    /// # Errors
    /// When an object cannot be made.
    pub fn create(self) -> Result<OwnOperator> {
        let namespace = self.kubectl.namespace().to_owned();
        let mut data = shared_settings()?;
        data.extend(self.settings);
        let mut objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data},
            binding(&self.kubectl, &self.cluster_role)?,
            deployment(&namespace, self.replicas, &self.environment)?,
        ]});
        if self.cluster_role == SHARED_ROLE {
            let items = objects["items"].as_array_mut().context("no items")?;
            items.extend(own_rights(&namespace)?);
        }
        self.kubectl.run_with_input(&["create", "-f", "-"], &objects.to_string())?;
        Ok(OwnOperator { kubectl: self.kubectl })
    }
}

/// A running operator; it ends with the namespace of its test.
#[derive(Clone)]
pub struct OwnOperator {
    kubectl: Kubectl,
}

impl OwnOperator {
    /// One for the namespace of a scene, with the settings of the shared one.
    pub fn of(scene: &Scene) -> Start {
        Start {
            kubectl: scene.kubectl.clone(),
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            cluster_role: SHARED_ROLE.to_owned(),
            replicas: 1,
        }
    }

    /// `kubectl` in the namespace that it watches and lives in.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Its `CONTROLLER_ID`.
    pub fn id(&self) -> &str {
        self.kubectl.namespace()
    }

    /// Changes keys of its ConfigMap; `None` takes a key away. It notices by itself.
    ///
    /// # Errors
    /// When the ConfigMap cannot be changed.
    pub fn set(&self, changes: &[(&str, Option<&str>)]) -> Result<()> {
        let data: BTreeMap<&str, Option<&str>> = changes.iter().copied().collect();
        let patch = json!({"data": data}).to_string();
        self.kubectl.run(&["patch", &format!("configmap/{NAME}"), "--type=merge", "-p", &patch])?;
        Ok(())
    }

    /// A small manifest as [`Cluster::create`] makes it, which names this operator.
    pub fn manifest(&self, name: &str, instances: u32, more: &str) -> String {
        self.named_in(&manifest(name, instances, more))
    }

    /// A manifest with the annotation that names this operator, put behind its first `metadata:`.
    pub fn named_in(&self, manifest: &str) -> String {
        let annotated = format!("\nmetadata:\n  annotations:\n    {CONTROLLER}: {}\n", self.id());
        manifest.replacen("\nmetadata:\n", &annotated, 1)
    }

    /// Creates a cluster that this operator looks after.
    ///
    /// # Errors
    /// When `kubectl create` fails.
    pub fn create(&self, name: &str, instances: u32, more: &str) -> Result<Cluster> {
        self.kubectl.run_with_input(&["create", "-f", "-"], &self.manifest(name, instances, more))?;
        Ok(Cluster::new(&self.kubectl, name))
    }

    /// Waits until its Deployment has its pod.
    ///
    /// # Errors
    /// When it has not after two minutes; with its last lines.
    pub fn wait_for_rollout(&self) -> Result<()> {
        let deployment = format!("deployment/{NAME}");
        let rolled = self.kubectl.run(&["rollout", "status", &deployment, "--timeout=120s"]);
        rolled.with_context(|| self.logs().unwrap_or_else(|error| format!("{error:#}")))?;
        Ok(())
    }

    /// What it has written to its log so far.
    ///
    /// # Errors
    /// When its pod has none yet.
    pub fn logs(&self) -> Result<String> {
        self.kubectl.run(&["logs", &format!("deployment/{NAME}"), "--tail=-1"])
    }

    /// Name and uid of its pod: the same for as long as it was not restarted by anybody.
    ///
    /// # Errors
    /// When there is not exactly one pod.
    pub fn pod(&self) -> Result<(String, String, u64)> {
        let list = self.kubectl.json(&["pods", "-l", &operator::selector()?])?;
        let items = list["items"].as_array().context("no list of pods")?;
        ensure!(items.len() == 1, "{} pods of the operator instead of one", items.len());
        let text = |key: &str| items[0]["metadata"][key].as_str().unwrap_or_default().to_owned();
        let restarts = items[0]["status"]["containerStatuses"][0]["restartCount"].as_u64();
        Ok((text("name"), text("uid"), restarts.unwrap_or_default()))
    }

    /// The pod that acts: the holder of its Lease.
    ///
    /// # Errors
    /// When there is no Lease yet, or nobody holds it.
    pub fn leader(&self) -> Result<String> {
        let holder = self.holder()?;
        let (pod, _) = holder.rsplit_once('_').context("the holder is no pod")?;
        Ok(pod.to_owned())
    }

    /// The process that acts: each start of a pod's container has an identity of its own.
    ///
    /// # Errors
    /// As [`Self::leader`].
    pub fn holder(&self) -> Result<String> {
        let leases = self.kubectl.json(&["leases"])?;
        let items = leases["items"].as_array().context("no list of leases")?;
        ensure!(items.len() == 1, "{} leases instead of one", items.len());
        let holder = items[0]["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty());
        Ok(holder.context("nobody holds the lease")?.to_owned())
    }

    /// Kills the process of a pod with SIGKILL: it has no chance to hand anything over.
    ///
    /// # Errors
    /// When it is not found: only processes of the local cluster are.
    pub fn crash(&self, pod: &str) -> Result<()> {
        operator::crash(&self.kubectl, pod)
    }

    /// `GET path` of its HTTP server, through a forwarded port; redirects are followed.
    ///
    /// # Errors
    /// When it cannot be reached within 20 seconds.
    pub fn get(&self, path: &str) -> Result<Answer> {
        wait_until(&format!("the operator answers {path}"), 20, || {
            let forward = PortForward::open(&self.kubectl, &format!("deployment/{NAME}"), 0, PORT)?;
            Ok(Look::Done(forward.get(path)?))
        })
    }
}

fn shared_settings() -> Result<BTreeMap<String, String>> {
    let map = operator::kubectl().json(&[SHARED_CONFIG_MAP])?;
    Ok(serde_json::from_value(map["data"].clone())?)
}

/// Bound for the whole Kubernetes, as the shared one is. It goes with the namespace.
fn binding(kubectl: &Kubectl, cluster_role: &str) -> Result<Value> {
    let namespace = kubectl.namespace();
    let uid = kubectl.run(&["get", "namespace", namespace, "-o", "jsonpath={.metadata.uid}"])?;
    Ok(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": namespace, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
    }))
}

/// What the shared operator may do in its own namespace, in this one.
fn own_rights(namespace: &str) -> Result<[Value; 2]> {
    let rules = operator::kubectl().json(&[SHARED_OWN_ROLE])?["rules"].clone();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": NAME}, "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}]});
    Ok([role, binding])
}

/// The shared operator's Deployment with another name, account and environment.
fn deployment(namespace: &str, replicas: u32, changes: &BTreeMap<String, Option<String>>) -> Result<Value> {
    let shared = operator::kubectl().json(&[operator::DEPLOYMENT])?;
    let mut spec = shared["spec"].clone();
    spec["replicas"] = json!(replicas);
    spec["template"]["spec"]["serviceAccountName"] = json!(NAME);
    spec["template"]["spec"]["serviceAccount"] = json!(NAME);
    let container = &mut spec["template"]["spec"]["containers"][0];
    let shared = container["env"].as_array().cloned().unwrap_or_default();
    container["env"] = Value::Array(environment(&shared, namespace, changes));
    Ok(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}))
}

fn environment(shared: &[Value], namespace: &str, changes: &BTreeMap<String, Option<String>>) -> Vec<Value> {
    let mut own: BTreeMap<String, Option<String>> = BTreeMap::from([
        ("CONFIG_MAP_NAME".to_owned(), Some(format!("{namespace}/{NAME}"))),
        ("WATCHED_NAMESPACE".to_owned(), Some(namespace.to_owned())),
        ("CONTROLLER_ID".to_owned(), Some(namespace.to_owned())),
    ]);
    own.extend(changes.clone());
    let kept =
        shared.iter().filter(|variable| variable["name"].as_str().is_none_or(|name| !own.contains_key(name)));
    let set = own.iter().filter_map(|(name, value)| Some(json!({"name": name, "value": value.as_ref()?})));
    kept.cloned().chain(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_environment_is_kept_where_it_is_not_ours() {
        let shared = [
            json!({"name": "CONFIG_MAP_NAME", "value": "matriarch-system/matriarch"}),
            json!({"name": "RUST_LOG", "value": "debug"}),
        ];
        let changes = BTreeMap::from([("CONFIG_MAP_NAME".to_owned(), None)]);
        assert_eq!(
            environment(&shared, "n", &changes),
            [
                json!({"name": "RUST_LOG", "value": "debug"}),
                json!({"name": "CONTROLLER_ID", "value": "n"}),
                json!({"name": "WATCHED_NAMESPACE", "value": "n"}),
            ]
        );
    }

    #[test]
    fn a_manifest_names_its_operator() {
        let own = OwnOperator { kubectl: Kubectl::new("n") };
        let text = own.manifest("acid-x", 1, "");
        assert!(
            text.contains("\n  annotations:\n    acid.zalan.do/controller: n\n  name: acid-x\n"),
            "{text}"
        );
    }
}
