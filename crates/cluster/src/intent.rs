//! What should exist for one cluster.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which cluster it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Namespace of the manifest and of its objects.
    pub namespace: String,
    /// Name of the manifest, the StatefulSet and the service of the primary.
    pub name: String,
    /// `metadata.uid`; empty for a manifest that is not in a Kubernetes.
    pub uid: String,
    /// `metadata.generation`; 0 for a manifest that is not in a Kubernetes.
    pub generation: i64,
    /// `spec.teamId`.
    pub team: String,
}

/// A Kubernetes object as it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// `v1`, `apps/v1`, ...
    pub api_version: String,
    /// `StatefulSet`, `Service`, ...
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The whole object, with `apiVersion`, `kind` and `metadata`.
    pub body: Value,
}

/// A Secret that holds the password of a role. Its `data` is made when it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CredentialSecret {
    /// The Secret without `data`.
    pub object: Object,
    /// Value of its key `username`.
    pub username: String,
    /// The role that the password belongs to.
    pub role: String,
}

/// Everything that should exist for one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Which cluster it is.
    pub identity: Identity,
    /// ServiceAccount of the pods, one per namespace; made if missing, never changed or removed.
    pub pod_service_account: Object,
    /// RoleBinding of that account, likewise.
    pub pod_role_binding: Object,
    /// One per login role.
    pub secrets: Vec<CredentialSecret>,
    /// Service of the primary, then of the replicas.
    pub services: Vec<Object>,
    /// Budget of the primary, then of critical operations.
    pub disruption_budgets: Vec<Object>,
    /// The StatefulSet.
    pub stateful_set: Object,
    /// Roles in the database.
    pub roles: Vec<matriarch_sql::Role>,
    /// Databases.
    pub databases: Vec<matriarch_sql::Database>,
    /// Patroni's dynamic configuration, as far as the manifest decides it: the keys that
    /// `PATCH /config` keeps. Keys that are absent here are left as they are.
    pub patroni: Value,
    /// How many pods.
    pub instances: u32,
    /// Labels that select every object of the cluster.
    pub selector: BTreeMap<String, String>,
    /// What the owner should know although it stops nothing: limits that were raised, parts of
    /// the manifest that have no effect.
    pub notices: Vec<Problem>,
}

impl Intent {
    /// The Kubernetes objects in the order in which they are applied.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        [&self.pod_service_account, &self.pod_role_binding]
            .into_iter()
            .chain(self.secrets.iter().map(|secret| &secret.object))
            .chain(&self.services)
            .chain(&self.disruption_budgets)
            .chain([&self.stateful_set])
    }
}

/// What settings point to, as it was read. `None` means that the setting points to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Keys of the Secret `pod_environment_secret`.
    pub environment_secret_keys: Option<Vec<String>>,
    /// Data of the ConfigMap `pod_environment_configmap`.
    pub environment_config_map: Option<BTreeMap<String, String>>,
}
