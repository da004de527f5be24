//! Everything that exists in the simulated world, and time. One tick is a second of the virtual
//! clock; what happens in it is drawn from the world's seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use matriarch_api::PostgresqlStatus;
use matriarch_cluster::Level;
use matriarch_plan::{ObjectKey, SecretSeen};
use matriarch_sql::Catalog;
use serde_json::Value;

use crate::controller::Controlled;
use crate::patroni::Patroni;
use crate::pods::{Claim, Node, Phase, Pod, Postgres, Spoilt};
use crate::seed::Seed;
use crate::store::Store;
use crate::variant::{MANIFEST_UID, Rendered};

/// The first second of the virtual clock, since 1970.
const FIRST: i64 = 1_800_000_000;
/// Nodes of the world.
pub const NODES: usize = 3;
/// Seconds after which the leader lock of a silent leader can be taken.
pub const TTL: u64 = 15;
/// Seconds from one round of Patroni to the next, if nothing wakes it.
pub const LOOP_WAIT: u64 = 10;
/// Bytes that the primary writes in a second.
pub const WRITTEN: u64 = 100_000;
/// Patroni's `maximum_lag_on_failover`.
pub const MOST_LAG: u64 = 1_048_576;

/// The manifest, as far as it is not what it asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManifestState {
    /// Our finalizer stands in it.
    pub finalizer: bool,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// It is gone.
    pub gone: bool,
}

/// A Secret with credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// What the operator sees.
    pub seen: SecretSeen,
    /// The rendered Secret.
    pub body: Value,
}

/// Everything that exists.
#[derive(Clone, Debug)]
pub struct World {
    /// Name of the cluster.
    pub cluster: String,
    /// The virtual clock, in seconds.
    pub now: u64,
    /// Grows when something changes that the operator is told of.
    pub version: u64,
    /// Objects.
    pub store: Store,
    /// The StatefulSet as its controller knows it.
    pub set: Option<Controlled>,
    /// Templates by name of their revision.
    pub revisions: BTreeMap<String, Arc<Value>>,
    /// Pods by ordinal.
    pub pods: BTreeMap<u32, Pod>,
    /// Claims by ordinal.
    pub claims: BTreeMap<u32, Claim>,
    /// Credentials by name.
    pub secrets: BTreeMap<String, Credentials>,
    /// Nodes.
    pub nodes: [Node; NODES],
    /// Patroni.
    pub patroni: Patroni,
    /// Catalog of the database.
    pub catalog: Catalog,
    /// Grows when the catalog changes.
    pub catalog_version: u64,
    /// The manifest.
    pub manifest: ManifestState,
    /// Replicas that follow slowly, until then.
    pub slow: BTreeMap<u32, u64>,
    /// When a member last went down, or the leader changed, for a reason that is not ours.
    pub last_blow: u64,
    /// What the API server said, where a pod could not be made.
    pub creation_refused: Option<String>,
    /// The status in the manifest.
    pub status: PostgresqlStatus,
    /// What we did and must not have done; found by the world itself.
    pub harm: Option<String>,
    /// Delays.
    pub seed: Seed,
}

impl World {
    /// An empty world for a cluster of this name.
    pub fn new(cluster: &str, seed: Seed) -> Self {
        Self {
            cluster: cluster.to_owned(),
            now: 1,
            version: 1,
            store: Store::default(),
            set: None,
            revisions: BTreeMap::new(),
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            secrets: BTreeMap::new(),
            nodes: [Node::default(); NODES],
            patroni: Patroni::default(),
            catalog: Catalog::default(),
            catalog_version: 1,
            manifest: ManifestState::default(),
            slow: BTreeMap::new(),
            last_blow: 0,
            creation_refused: None,
            status: PostgresqlStatus::default(),
            harm: None,
            seed,
        }
    }

    /// A world in which the original has made the cluster, at its level of rendering.
    pub fn of_the_original(cluster: &str, rendered: &Rendered, seed: Seed) -> Self {
        let mut world = Self::new(cluster, seed);
        for object in rendered.intent.objects_at(Level::ORIGINAL) {
            if rendered.secrets.contains(&object.name) {
                continue;
            }
            world.store.create_as_original(object);
        }
        for secret in &rendered.intent.secrets {
            world.create_secret(secret);
        }
        for _ in 0..120 {
            world.tick();
        }
        world
    }

    /// A delay in seconds: at least `least`, below `least + spread`.
    pub fn soon(&mut self, least: u64, spread: u64) -> u64 {
        self.now + least + self.seed.below(spread)
    }

    /// The moment of the virtual clock.
    pub fn moment(&self, second: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(FIRST + i64::try_from(second).unwrap_or(0))
    }

    /// Something changed that the operator is told of.
    pub fn changed(&mut self) {
        self.version += 1;
    }

    /// A member went down, or the leader changed, and not by us.
    pub fn blow(&mut self) {
        self.last_blow = self.now;
        self.changed();
    }

    /// The pod's name.
    pub fn pod_name(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.cluster)
    }

    /// The ordinal of a pod of this name.
    pub fn ordinal(&self, name: &str) -> Option<u32> {
        name.strip_prefix(self.cluster.as_str())?.strip_prefix('-')?.parse().ok()
    }

    /// Name of the claim of an ordinal.
    pub fn claim_name(&self, ordinal: u32) -> String {
        format!("pgdata-{}-{ordinal}", self.cluster)
    }

    /// Whether this member serves.
    pub fn is_up(&self, ordinal: u32) -> bool {
        self.pods.get(&ordinal).is_some_and(Pod::is_up)
    }

    /// How many members serve.
    pub fn members_up(&self) -> usize {
        self.pods.values().filter(|pod| pod.is_up()).count()
    }

    /// The key of the StatefulSet.
    pub fn set_key(&self) -> ObjectKey {
        ObjectKey::new("StatefulSet", &self.cluster)
    }

    /// One second passes.
    pub fn tick(&mut self) {
        self.now += 1;
        self.api_server();
        self.node_tick();
        self.kubelets();
        self.stateful_set_controller();
        self.patroni_tick();
    }

    /// Ends of deletions, and the garbage collector.
    fn api_server(&mut self) {
        for (key, stored) in self.store.collect(self.now) {
            self.changed();
            if key.kind == "StatefulSet" {
                for pod in self.pods.values_mut().filter(|pod| pod.owner.as_ref() == Some(&stored.seen.uid)) {
                    pod.owner = None;
                }
            }
        }
        let live = self.store.objects.get(&self.set_key()).map(|stored| stored.seen.uid.clone());
        let dangling: Vec<u32> = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.deleting.is_none() && pod.owner.is_some() && pod.owner != live)
            .map(|(ordinal, _)| *ordinal)
            .collect();
        for ordinal in dangling {
            if self.seed.chance(50) {
                self.terminate(ordinal, true);
            }
        }
        let used = |ordinal: &u32| self.pods.contains_key(ordinal);
        let before = self.claims.len();
        self.claims.retain(|ordinal, claim| !claim.deleting || used(ordinal));
        if self.claims.len() != before {
            self.changed();
        }
        if self.manifest.gone {
            let owned = |body: &Value| {
                let owners = body["metadata"]["ownerReferences"].as_array();
                owners.into_iter().flatten().any(|owner| owner["uid"] == MANIFEST_UID)
            };
            self.store.objects.retain(|_, stored| !owned(&stored.seen.body));
            self.secrets.retain(|_, secret| !owned(&secret.body));
            self.patroni
                .objects
                .retain(|_, object| !owned(&serde_json::json!({ "metadata": object.metadata })));
        }
    }

    /// A pod is asked to end. Patroni in it hands its lock back when it has ended.
    pub fn terminate(&mut self, ordinal: u32, by_us: bool) {
        let at = self.soon(2, 4);
        // A lock that outlives its member is no primary.
        let leads = self.leader_up() == Some(ordinal);
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        if pod.deleting.is_some() {
            return;
        }
        pod.deleting = Some(at);
        if let Some(announced) = &mut pod.announced {
            announced.state = "stopping".to_owned();
        }
        // While nobody leads, the newest data may be in any of them.
        if leads || (!by_us && self.patroni.holder().is_none()) {
            self.patroni.ended_by_us = by_us;
        }
        self.cut_off(ordinal);
        if by_us { self.changed() } else { self.blow() }
    }

    /// The data of a replica is of no use any more.
    pub fn spoil(&mut self, ordinal: u32, spoilt: Spoilt) {
        let until = self.now + 1;
        let Some(claim) = self.claims.get_mut(&ordinal).filter(|claim| claim.log > 0) else { return };
        claim.spoilt = spoilt;
        if let Some(pod) = self.pods.get_mut(&ordinal)
            && pod.postgres == Postgres::Streaming
        {
            pod.postgres = Postgres::Running(until);
        }
        self.blow();
    }

    /// A container of the pod ends and is started again after so many seconds.
    pub fn crash(&mut self, ordinal: u32, seconds: u64) {
        // While nobody leads, the newest data may be in any of them.
        let leads = self.patroni.holder().is_none_or(|holder| holder == ordinal);
        let until = self.now + seconds;
        self.cut_off(ordinal);
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        if pod.phase != Phase::Running {
            return;
        }
        let times = pod.ended.map_or(0, |(_, times)| times) + 1;
        pod.ended = Some((self.now, times));
        pod.phase = Phase::Creating(until);
        pod.postgres = Postgres::Off;
        if leads {
            self.patroni.ended_by_us = false;
        }
        self.blow();
    }
}
