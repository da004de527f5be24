//! The kinds we read and write, with what the API server needs to route them.

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};

/// Kind, group, version, plural.
const KINDS: [(&str, &str, &str, &str); 17] = [
    ("postgresql", "acid.zalan.do", "v1", "postgresqls"),
    ("OperatorConfiguration", "acid.zalan.do", "v1", "operatorconfigurations"),
    ("StatefulSet", "apps", "v1", "statefulsets"),
    ("ControllerRevision", "apps", "v1", "controllerrevisions"),
    ("Pod", "", "v1", "pods"),
    ("Node", "", "v1", "nodes"),
    ("Service", "", "v1", "services"),
    ("Secret", "", "v1", "secrets"),
    ("ConfigMap", "", "v1", "configmaps"),
    ("Endpoints", "", "v1", "endpoints"),
    ("Deployment", "apps", "v1", "deployments"),
    ("CronJob", "batch", "v1", "cronjobs"),
    ("FabricEventStream", "zalando.org", "v1", "fabriceventstreams"),
    ("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    ("ServiceAccount", "", "v1", "serviceaccounts"),
    ("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    ("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings"),
];

/// Whether objects of this kind serve all clusters of a namespace, so that no cluster's label leads
/// to them.
pub fn is_shared(kind: &str) -> bool {
    matches!(kind, "ServiceAccount" | "RoleBinding")
}

/// The resource of a kind.
///
/// # Panics
/// For a kind that is not in the table: a defect of ours that every test would meet.
pub fn resource(kind: &str) -> ApiResource {
    let Some((kind, group, version, plural)) = KINDS.iter().find(|entry| entry.0 == kind) else {
        unreachable!("kind {kind} is not in the table of kinds")
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// Access to a kind in a namespace.
pub fn namespaced(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(kind))
}

/// Access to a kind in the watched namespaces: one, or all.
pub fn watched(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => namespaced(client, kind, namespace),
        None => Api::all_with(client.clone(), &resource(kind)),
    }
}
