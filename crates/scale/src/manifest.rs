//! What the clusters' manifests say, and access to them.

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};

/// The kind.
pub fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("acid.zalan.do", "v1", "postgresql"),
        "postgresqls",
    )
}

/// The manifests of a namespace.
pub fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

/// A small cluster as people write it, with two users and a database.
pub fn small(namespace: &str, name: &str, members: u32) -> Value {
    json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
        "metadata": {"name": name, "namespace": namespace, "labels": {"team": "acid"}},
        "spec": {
            "teamId": "acid",
            "numberOfInstances": members,
            "volume": {"size": "1Gi"},
            "users": {"zalando": ["superuser", "createdb"], "foo_user": []},
            "databases": {"foo": "zalando"},
            "postgresql": {"version": "15", "parameters": {"password_encryption": "scram-sha-256"}},
        },
    })
}
