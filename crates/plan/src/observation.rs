//! What was seen of one cluster in one pass.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use matriarch_api::PostgresqlStatus;
use matriarch_sql::{Catalog, PasswordState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Seen;

/// Kind and name of an object in the cluster's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Kind, as in the manifest: `StatefulSet`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// A key from borrowed parts.
    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned() }
    }
}

/// A live object, as the API server returned it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectSeen {
    /// The object's uid: the precondition of its deletion.
    pub uid: String,
    /// The whole object.
    pub body: Value,
}

/// A credentials Secret, without its password.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecretSeen {
    /// Uid, the precondition of a deletion.
    pub uid: String,
    /// Its `metadata`; null when it was not asked for.
    pub metadata: Value,
    /// For a password that is copied from elsewhere: whether it is that of the source. `None`
    /// when it is not copied, or the source could not be read.
    pub follows: Option<bool>,
    /// `data.username`.
    pub username: String,
    /// Whether `data.password` is there and not empty.
    pub has_password: bool,
}

/// A database pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodSeen {
    /// Name, which is also the Patroni member's name.
    pub name: String,
    /// Uid, the precondition of a deletion.
    pub uid: String,
    /// The StatefulSet's ordinal.
    pub ordinal: u32,
    /// Value of the role label; a hint only.
    pub role_label: Option<String>,
    /// All containers run and are ready.
    pub ready: bool,
    /// A deletionTimestamp is set.
    pub deleting: bool,
    /// Label `controller-revision-hash`: name of the ControllerRevision it was made from.
    pub revision: String,
    /// Node the pod is bound to.
    pub node: Option<String>,
    /// Pod address.
    pub ip: Option<String>,
    /// Why it does not run: the scheduler's or a container's own words.
    pub waiting: Option<String>,
    /// Seconds since it was created.
    pub age_seconds: u64,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Since when it is ready; nothing when it is not, or when that is not known.
    #[serde(default)]
    pub ready_since: Option<Timestamp>,
    /// The latest end of a container that was started again.
    #[serde(default)]
    pub restarted: Option<ContainerEnd>,
    /// Whether the container of the database runs, ready or not.
    #[serde(default)]
    pub database_runs: bool,
}

/// How a container of a pod ended before it was started again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// Name of the container.
    pub container: String,
    /// When it ended.
    pub at: Timestamp,
    /// How: `Error: exit code 1`.
    pub why: String,
    /// How often the container was started again.
    pub times: u32,
}

/// A node that carries pods of the cluster, as far as it matters for moving off it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSeen {
    /// Name.
    pub name: String,
    /// `spec.unschedulable`: somebody cordoned it.
    pub unschedulable: bool,
    /// Its condition `Ready` is `True`.
    pub ready: bool,
    /// Keys of its taints.
    pub taints: BTreeSet<String>,
    /// Labels of `node_readiness_label` that it does not have, as `key=value`.
    pub lacks: Vec<String>,
}

/// One of Patroni's own objects: ConfigMap, Endpoints or Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PatroniObject {
    /// Kind and name.
    pub key: ObjectKey,
    /// Uid, the precondition of a deletion.
    pub uid: String,
    /// Its `metadata`.
    pub metadata: Value,
}

/// A volume claim of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimSeen {
    /// Name.
    pub name: String,
    /// Uid, the precondition of a deletion.
    pub uid: String,
    /// A deletionTimestamp is set.
    pub deleting: bool,
    /// When it was made, if that is known.
    #[serde(default)]
    pub created: Option<Timestamp>,
}

/// One member as Patroni lists it (`GET /cluster`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Name, equal to the pod's.
    pub name: String,
    /// Patroni's role: `leader`, `replica`, `sync_standby`, …
    pub role: String,
    /// Patroni's state: `running`, `streaming`, …
    pub state: String,
    /// Replay lag in bytes; `None` when Patroni says it does not know.
    pub lag_bytes: Option<u64>,
    /// Whether a restart is needed for parameters to take effect, and the parameters
    /// with old and new values.
    pub pending_restart: Option<BTreeMap<String, (String, String)>>,
    /// Its tag `nofailover`: it may not become primary.
    #[serde(default)]
    pub nofailover: bool,
    /// Timeline it is on.
    #[serde(default)]
    pub timeline: Option<u64>,
    /// When its PostgreSQL started; asked only where a restart is pending.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
}

impl Member {
    /// Whether this member is the leader of a primary or standby cluster.
    pub fn is_leader(&self) -> bool {
        matches!(self.role.as_str(), "leader" | "standby_leader")
    }

    /// Whether the leader runs, or a replica follows it; the leader of a standby cluster does either.
    /// A replica that only says `running` is up but does not stream (Patroni 3.0.4 and later tell the
    /// two apart).
    pub fn is_healthy(&self) -> bool {
        match self.state.as_str() {
            "streaming" | "in archive recovery" => self.role != "leader",
            "running" => self.is_leader(),
            _ => false,
        }
    }
}

/// What Patroni answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PatroniSeen {
    /// All members.
    pub members: Vec<Member>,
    /// Failover is paused (`pause: true`).
    pub paused: bool,
    /// The dynamic configuration (`GET /config`).
    pub config: Seen<Value>,
    /// Members that said themselves that they have no database and make none. Asked only where no
    /// member leads.
    #[serde(default)]
    pub without_database: BTreeSet<String>,
}

impl PatroniSeen {
    /// The leader by Patroni's own answer.
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.is_leader())
    }

    /// A member by name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// Everything read about one cluster. No field is a guess: what could not be read is
/// [`Seen::Unknown`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Whether our finalizer stands in the manifest.
    pub has_finalizer: bool,
    /// The live objects that the intent names, by kind and name.
    pub objects: BTreeMap<ObjectKey, Seen<ObjectSeen>>,
    /// Credentials Secrets by name.
    pub secrets: BTreeMap<String, Seen<SecretSeen>>,
    /// Database pods, by ordinal.
    pub pods: Seen<Vec<PodSeen>>,
    /// Pod templates of the ControllerRevisions that pods were made from, where that is not
    /// the StatefulSet's newest.
    pub revisions: BTreeMap<String, Seen<Value>>,
    /// Volume claims.
    pub claims: Seen<Vec<ClaimSeen>>,
    /// Patroni's own objects that exist: ConfigMaps or Endpoints (leader, config, sync, failover)
    /// and the Service that keeps the latter.
    pub patroni_objects: Seen<Vec<PatroniObject>>,
    /// For each pooler's user list, by the Secret's name: whether its content is as it should be.
    pub user_lists: BTreeMap<String, Seen<bool>>,
    /// FabricEventStreams that carry the cluster's labels; absent when that kind is not installed.
    pub streams: Seen<Vec<ObjectSeen>>,
    /// Holder of the leader lock, from the leader object.
    pub leader: Seen<String>,
    /// Patroni's answer.
    pub patroni: Seen<PatroniSeen>,
    /// Since when no member of Patroni has answered; nothing while one does.
    #[serde(default)]
    pub patroni_silent_since: Option<Timestamp>,
    /// Since when [`crate::bootstrap::nobody_begins`]; nothing while somebody does.
    #[serde(default)]
    pub nobody_begins_since: Option<Timestamp>,
    /// Roles and databases as the primary's catalog has them.
    pub catalog: Seen<Catalog>,
    /// For each credentials Secret: does the role's verifier fit its password?
    pub passwords: BTreeMap<String, PasswordState>,
    /// The nodes of the cluster's pods, by name. One that is not here was not looked at.
    #[serde(default)]
    pub nodes: BTreeMap<String, Seen<NodeSeen>>,
    /// The API server's own words, where the StatefulSet controller could not make a pod.
    #[serde(default)]
    pub creation_refused: Option<String>,
    /// ServiceAccounts may not be patched, as far as is known.
    #[serde(default)]
    pub accounts_stay: bool,
    /// The status that stands in the manifest: what the passes before this one found.
    #[serde(default)]
    pub status: PostgresqlStatus,
    /// When the manifest was made, if that is known.
    #[serde(default)]
    pub manifest_created: Option<Timestamp>,
    /// The moment of the observation.
    #[serde(default)]
    pub now: Timestamp,
}

impl Observation {
    /// The primary's name, when leader object and Patroni agree.
    pub fn primary(&self) -> Seen<String> {
        match (&self.leader, &self.patroni) {
            (Seen::Unknown(why), _) => Seen::Unknown(why.clone()),
            (Seen::Absent, _) => Seen::Absent,
            (Seen::Present(_), Seen::Unknown(why)) => Seen::Unknown(why.clone()),
            (Seen::Present(lock), Seen::Absent) => {
                Seen::Unknown(format!("{lock} holds the leader lock, but no member answers"))
            }
            (Seen::Present(lock), Seen::Present(patroni)) => match patroni.leader() {
                Some(leader) if leader.name == *lock => Seen::Present(lock.clone()),
                Some(leader) => {
                    Seen::Unknown(format!("{lock} holds the leader lock, but Patroni names {}", leader.name))
                }
                None => Seen::Unknown(format!("{lock} holds the leader lock, but Patroni lists no leader")),
            },
        }
    }

    /// Whether the pod of this name is ready; not, when the pods are not known.
    pub fn is_ready(&self, name: &str) -> bool {
        let mut pods = self.pods.present().into_iter().flatten();
        pods.any(|pod| pod.name == name && pod.ready && !pod.deleting)
    }

    /// The live object of a kind and name; never asked for counts as unknown.
    pub fn object(&self, key: &ObjectKey) -> Seen<&ObjectSeen> {
        match self.objects.get(key) {
            Some(Seen::Present(object)) => Seen::Present(object),
            Some(Seen::Absent) => Seen::Absent,
            Some(Seen::Unknown(why)) => Seen::Unknown(why.clone()),
            None => Seen::Unknown(format!("{} {} was not looked at", key.kind, key.name)),
        }
    }
}
