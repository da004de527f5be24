//! What should exist for one cluster.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::level::Level;
use crate::policy::Policy;
use crate::windows::Windows;

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
    /// Where the password comes from when the Secret is made.
    pub password: PasswordSource,
}

/// Where a new Secret's password comes from. Passwords themselves are never in an intent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasswordSource {
    /// Made when the Secret is written.
    #[default]
    Generate,
    /// Copied from a key of another Secret, and followed when that changes.
    Copy(SecretKey),
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretKey {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
    /// Key of its `data`.
    pub key: String,
}

/// A pooler of one role: three objects that stand and fall together (03 §12).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pooler {
    /// The Deployment.
    pub deployment: Object,
    /// Its Service.
    pub service: Object,
    /// The Secret with `userlist.txt`, without that content.
    pub user_list: Object,
    /// Whose lines stand in `userlist.txt`, in this order: user and its password's place.
    pub users: Vec<(String, SecretKey)>,
}

/// An object that should not exist any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwanted {
    /// Kind: `Deployment`.
    pub kind: String,
    /// Name, in the cluster's namespace.
    pub name: String,
    /// Why: names the field.
    pub because: String,
}

/// Something that the manifest or a setting points to and that could not be had. What depends on
/// it stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unresolved {
    /// The option or field that points to it.
    pub field: String,
    /// What it points to, and why it could not be had.
    pub why: String,
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
    /// The budgets as the original makes them: for comparison only, they restart no pod.
    #[serde(default)]
    pub original_disruption_budgets: Vec<Object>,
    /// The StatefulSet at [`Level::NEWEST`].
    pub stateful_set: Object,
    /// The StatefulSet at each older level, from 0.
    pub older_stateful_sets: Vec<Object>,
    /// Endpoints that the operator makes for Patroni to fill; not with ConfigMaps.
    pub endpoints: Vec<Object>,
    /// Poolers: of the primary, then of the replicas.
    pub poolers: Vec<Pooler>,
    /// The CronJob of logical backups.
    pub logical_backup: Option<Object>,
    /// The CronJob as the original makes it: for comparison only, no pod runs for long.
    pub original_logical_backup: Option<Object>,
    /// FabricEventStreams.
    pub streams: Vec<Object>,
    /// What was switched off and should go.
    pub unwanted: Vec<Unwanted>,
    /// References that could not be had: the StatefulSet is not touched until they can.
    pub unresolved: Vec<Unresolved>,
    /// Roles in the database.
    pub roles: Vec<matriarch_sql::Role>,
    /// Databases.
    pub databases: Vec<matriarch_sql::Database>,
    /// The lookup function of poolers, in every database.
    pub lookup: Option<matriarch_sql::Lookup>,
    /// Patroni's dynamic configuration, as far as the manifest decides it: the keys that
    /// `PATCH /config` keeps. Keys that are absent here are left as they are.
    pub patroni: Value,
    /// A new image is put into the StatefulSet only; pods wait for another reason.
    pub lazy_image: bool,
    /// How many pods.
    pub instances: u32,
    /// Whether the manifest has our finalizer.
    #[serde(default)]
    pub finalizer: bool,
    /// When what disturbs may be done, where the contract makes it wait.
    #[serde(default)]
    pub windows: Windows,
    /// Parts of the manifest that wait for a window to begin.
    #[serde(default)]
    pub waits_for_window: Vec<Unresolved>,
    /// What the manifest's annotations ask of the operator.
    #[serde(default)]
    pub policy: Policy,
    /// Labels that select every object of the cluster.
    pub selector: BTreeMap<String, String>,
    /// What the owner should know although it stops nothing: limits that were raised, parts of
    /// the manifest that have no effect.
    pub notices: Vec<Problem>,
}

impl Object {
    /// The body as server-side apply takes it: of two variables of one name, which the original's
    /// level may have (D22), the one that counts.
    pub fn applied(&self) -> Value {
        let mut body = self.body.clone();
        let containers = body.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
        for list in
            containers.into_iter().flatten().filter_map(|container| container.get_mut("env")?.as_array_mut())
        {
            let all = list.clone();
            let mut index = 0;
            list.retain(|variable| {
                index += 1;
                !all[index..].iter().any(|later| later["name"] == variable["name"])
            });
        }
        body
    }
}

impl Intent {
    /// The StatefulSet as `level` renders it.
    pub fn stateful_set_at(&self, level: Level) -> &Object {
        self.older_stateful_sets.get(level.index()).unwrap_or(&self.stateful_set)
    }

    /// The objects of [`Self::objects`], those with levels as `level` renders them.
    pub fn objects_at(&self, level: Level) -> impl Iterator<Item = &Object> {
        self.objects().map(move |object| match object.kind.as_str() {
            "StatefulSet" => self.stateful_set_at(level),
            "PodDisruptionBudget" if level == Level::ORIGINAL => {
                let originals = &mut self.original_disruption_budgets.iter();
                originals.find(|original| original.name == object.name).unwrap_or(object)
            }
            "CronJob" if level == Level::ORIGINAL => self.original_logical_backup.as_ref().unwrap_or(object),
            _ => object,
        })
    }

    /// The Kubernetes objects in the order in which they are applied.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        [&self.pod_service_account, &self.pod_role_binding]
            .into_iter()
            .chain(self.secrets.iter().map(|secret| &secret.object))
            .chain(&self.endpoints)
            .chain(&self.services)
            .chain(&self.disruption_budgets)
            .chain([&self.stateful_set])
            .chain(&self.logical_backup)
            .chain(
                self.poolers
                    .iter()
                    .flat_map(|pooler| [&pooler.user_list, &pooler.service, &pooler.deployment]),
            )
            .chain(&self.streams)
    }
}
