//! Objects as the watches decode them: each is stripped while it is read, so that not even a
//! page of a list holds whole objects.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hasher};
use std::marker::PhantomData;

use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta};
use matriarch_plan::ownership::{FIELD_MANAGER, PREDECESSORS};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::secret;

/// What of a kind is kept.
pub trait Shape: Clone + Debug + Send + Sync + 'static {
    /// Ask the API server for the metadata only.
    const METADATA_ONLY: bool = false;
    /// Parts whose change wakes nobody.
    const QUIET: &'static [&'static str] = &[];
    /// Takes out what no pass needs.
    fn prune(_object: &mut Value) {}
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Whole;
impl Shape for Whole {}

/// A manifest; the status is our own writing.
#[derive(Clone, Debug)]
pub struct Manifest;
impl Shape for Manifest {
    const QUIET: &'static [&'static str] = &["status"];
}

/// Metadata only.
#[derive(Clone, Debug)]
pub struct Metadata;
impl Shape for Metadata {
    const METADATA_ONLY: bool = true;
}

/// A pod without what it was made from: its revision's template tells that.
#[derive(Clone, Debug)]
pub struct Pod;
impl Shape for Pod {
    fn prune(object: &mut Value) {
        if let Some(status) = object.pointer_mut("/metadata/annotations/status") {
            *status = member_state(status).into();
        }
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.retain(|field, _| field == "nodeName");
        }
    }
}

/// A Secret without its content, see [`secret::project`].
#[derive(Clone, Debug)]
pub struct Secret;
impl Shape for Secret {
    fn prune(object: &mut Value) {
        secret::project(object);
    }
}

/// What Patroni says of a member in its pod's annotation, without the positions that change with
/// every heartbeat.
fn member_state(annotation: &Value) -> String {
    let said: Value = serde_json::from_str(annotation.as_str().unwrap_or_default()).unwrap_or_default();
    let said = said.as_object().into_iter().flatten();
    let kept: serde_json::Map<String, Value> = said
        .filter(|(key, _)| MEMBER_STATE.contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Value::Object(kept).to_string()
}

/// What of that is kept.
const MEMBER_STATE: [&str; 6] =
    ["role", "state", "replication_state", "pending_restart", "timeline", "version"];

/// Annotations that change without meaning anything: Patroni's heartbeats and positions, and a copy
/// of the object that kubectl leaves.
const VOLATILE: [&str; 5] =
    ["renewTime", "optime", "slots", "retain_slots", "kubectl.kubernetes.io/last-applied-configuration"];

/// An object of a shape, stripped.
#[derive(Clone, Debug)]
pub struct Compact<S> {
    /// Name, namespace, version and labels.
    pub metadata: ObjectMeta,
    /// The object as JSON, without kind and resourceVersion.
    pub json: Vec<u8>,
    /// Differs when something changed that a pass should know.
    pub digest: u64,
    shape: PhantomData<S>,
}

impl<S: Shape> Compact<S> {
    /// The object of which this is the JSON.
    pub fn of(mut object: Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let seen = &object["metadata"];
        let metadata = ObjectMeta {
            name: text(&seen["name"]),
            namespace: text(&seen["namespace"]),
            resource_version: text(&seen["resourceVersion"]),
            labels: serde_json::from_value(seen["labels"].clone()).unwrap_or_default(),
            ..ObjectMeta::default()
        };
        strip(&mut object);
        S::prune(&mut object);
        let json = bytes(&object);
        let digest = if S::QUIET.iter().any(|field| object.get(field).is_some()) {
            if let Some(object) = object.as_object_mut() {
                object.retain(|field, _| !S::QUIET.contains(&field.as_str()));
            }
            hash(&bytes(&object))
        } else {
            hash(&json)
        };
        Self { metadata, json, digest, shape: PhantomData }
    }
}

/// Takes out what no kind needs. What other writers own is of no interest before something is
/// written, and then the object is read anew.
fn strip(object: &mut Value) {
    let Some(whole) = object.as_object_mut() else { return };
    // Lists leave the kind out, watches do not: it is known anyway.
    whole.remove("apiVersion");
    whole.remove("kind");
    let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("resourceVersion");
    metadata.remove("selfLink");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !VOLATILE.contains(&name.as_str()));
    }
    if let Some(owners) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        owners.retain(|owner| {
            let manager = owner["manager"].as_str().unwrap_or_default();
            manager == FIELD_MANAGER || PREDECESSORS.contains(&manager)
        });
        for owner in owners.iter_mut().filter_map(Value::as_object_mut) {
            owner.remove("time");
        }
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl<'de, S: Shape> Deserialize<'de> for Compact<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::of)
    }
}

impl<S: Shape> kube::Resource for Compact<S> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn metadata_api() -> bool {
        S::METADATA_ONLY
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest<S: Shape>(object: &Value) -> u64 {
        Compact::<S>::of(object.clone()).digest
    }

    #[test]
    fn a_heartbeat_of_patroni_is_no_change_and_a_new_leader_is() {
        let object = |leader: &str, renewed: &str| {
            json!({"metadata": {"name": "a-leader", "resourceVersion": renewed,
                "annotations": {"leader": leader, "renewTime": renewed, "optime": renewed, "ttl": "30"},
                "managedFields": [{"manager": "Patroni", "time": renewed}]}})
        };
        let before = digest::<Metadata>(&object("a-0", "1"));
        assert_eq!(before, digest::<Metadata>(&object("a-0", "2")));
        assert_ne!(before, digest::<Metadata>(&object("a-1", "2")));
    }

    #[test]
    fn a_pods_position_is_no_change_and_its_state_is() {
        let pod = |position: u64, state: &str, ready: &str| {
            let said = json!({"state": state, "role": "replica", "xlog_location": position}).to_string();
            json!({"metadata": {"name": "a-0", "annotations": {"status": said}},
                "spec": {"nodeName": "n", "containers": [{"name": "postgres"}]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        let before = digest::<Pod>(&pod(1, "running", "True"));
        assert_eq!(before, digest::<Pod>(&pod(2, "running", "True")));
        assert_ne!(before, digest::<Pod>(&pod(2, "starting", "True")));
        assert_ne!(before, digest::<Pod>(&pod(2, "running", "False")));
        let kept: Value =
            serde_json::from_slice(&Compact::<Pod>::of(pod(1, "running", "True")).json).expect("JSON");
        assert_eq!(kept["spec"], json!({"nodeName": "n"}));
    }

    #[test]
    fn our_own_status_is_kept_but_is_no_change_of_a_manifest() {
        let manifest = |word: &str, instances: u8| {
            json!({"kind": "postgresql", "metadata": {"name": "a", "resourceVersion": word},
                "spec": {"numberOfInstances": instances}, "status": {"PostgresClusterStatus": word}})
        };
        let before = digest::<Manifest>(&manifest("Running", 1));
        assert_eq!(before, digest::<Manifest>(&manifest("Updating", 1)));
        assert_ne!(before, digest::<Manifest>(&manifest("Running", 2)));
        let compact = Compact::<Manifest>::of(manifest("Running", 1));
        let kept: Value = serde_json::from_slice(&compact.json).expect("JSON");
        assert_eq!(kept["status"]["PostgresClusterStatus"], "Running");
        assert_eq!(compact.metadata.resource_version.as_deref(), Some("Running"));
    }

    #[test]
    fn only_our_own_ownership_is_kept() {
        let object = json!({"metadata": {"name": "a", "managedFields": [
            {"manager": "matriarch", "time": "t", "operation": "Apply"},
            {"manager": "kube-controller-manager", "time": "t"},
            {"manager": "postgres-operator", "time": "t"}]}});
        let kept: Value = serde_json::from_slice(&Compact::<Whole>::of(object).json).expect("JSON");
        let expected =
            json!([{"manager": "matriarch", "operation": "Apply"}, {"manager": "postgres-operator"}]);
        assert_eq!(kept["metadata"]["managedFields"], expected);
    }
}
