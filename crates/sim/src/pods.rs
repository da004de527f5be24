//! Pods and the nodes that run them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::variant::{CRASHING, MISSING, REFUSED};

/// What becomes of a pod, by its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs.
    Runs,
    /// Its image cannot be pulled.
    NoImage,
    /// A container beside the database ends soon after each start.
    Crashes,
    /// The API server refuses it.
    Refused,
    /// No node is large enough.
    TooLarge,
}

impl Fate {
    /// The fate of pods of a template.
    pub fn of(template: &Value) -> Self {
        let containers = template["spec"]["containers"].as_array();
        for container in containers.into_iter().flatten() {
            let image = container["image"].as_str().unwrap_or_default();
            if image.contains(MISSING) {
                return Self::NoImage;
            }
            if image.contains(REFUSED) {
                return Self::Refused;
            }
            if image.contains(CRASHING) {
                return Self::Crashes;
            }
            if ["1000", "1k"].iter().any(|cpu| container["resources"]["requests"]["cpu"] == *cpu) {
                return Self::TooLarge;
            }
        }
        Self::Runs
    }
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No node yet.
    Pending,
    /// Its image is pulled and its containers are made, until then.
    Creating(u64),
    /// Its containers run.
    Running,
}

/// PostgreSQL in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Postgres {
    /// The container does not run.
    Off,
    /// It starts, until then.
    Starting(u64),
    /// It runs and, as a replica, connects to the primary then.
    Running(u64),
    /// It leads, or streams from the leader.
    Streaming,
}

/// What a member last wrote about itself; it stays when the member falls silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Its pod was labelled as the primary's; the label of one that fell stays.
    pub leads: bool,
    /// Patroni's word.
    pub state: String,
    /// Bytes behind the leader.
    pub lag: u64,
    /// `max_connections` as it is and as it should be.
    pub pending: Option<(u64, u64)>,
}

/// A database pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Uid.
    pub uid: String,
    /// Uid of the StatefulSet that owns it; `None` for an orphan.
    pub owner: Option<String>,
    /// The template it was made from.
    pub template: Arc<Value>,
    /// Name of that template's revision.
    pub revision: String,
    /// What becomes of it.
    pub fate: Fate,
    /// When it was made.
    pub created: u64,
    /// When it is gone, once it was deleted.
    pub deleting: Option<u64>,
    /// The node it is on.
    pub node: Option<usize>,
    /// How far it is.
    pub phase: Phase,
    /// PostgreSQL in it.
    pub postgres: Postgres,
    /// Containers beside the database run.
    pub others_run: bool,
    /// When its containers started.
    pub started: u64,
    /// Since when it is ready.
    pub ready_since: Option<u64>,
    /// When a container ended last, and how often one did.
    pub ended: Option<(u64, u32)>,
    /// The node does not answer for it.
    pub unreachable: bool,
    /// `max_connections` with which PostgreSQL started.
    pub connections: u64,
    /// What Patroni wrote.
    pub announced: Option<Announced>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Pod {
    /// Containers run, the node answers, and nobody deleted it.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Running
            && matches!(self.fate, Fate::Runs | Fate::Crashes)
            && self.others_run
            && !self.unreachable
            && self.deleting.is_none()
            && self.postgres != Postgres::Off
    }

    /// Its PostgreSQL stops, says so, and starts again then.
    pub fn stop(&mut self, state: &str, until: u64) {
        self.postgres = Postgres::Starting(until);
        if let Some(announced) = &mut self.announced {
            announced.state = state.to_owned();
        }
    }

    /// Its PostgreSQL leads or streams, whatever the rest of the pod does.
    pub fn serves(&self) -> bool {
        self.answers() && self.deleting.is_none() && self.postgres == Postgres::Streaming
    }

    /// It serves, and its pod is ready, so that services lead to it. One that crashes again and
    /// again is no member, not even while it runs for a moment.
    pub fn is_up(&self) -> bool {
        self.is_ready() && self.postgres == Postgres::Streaming && self.fate != Fate::Crashes
    }

    /// Patroni in it answers.
    pub fn answers(&self) -> bool {
        self.phase == Phase::Running
            && self.fate != Fate::NoImage
            && !self.unreachable
            && self.postgres != Postgres::Off
    }

    /// Why it does not run, in the words of the scheduler or the kubelet.
    pub fn waiting(&self) -> Option<String> {
        match (self.phase, self.fate) {
            (Phase::Pending, Fate::TooLarge) => Some("Unschedulable: 0/3 nodes: Insufficient cpu".to_owned()),
            (Phase::Pending, _) => Some("Unschedulable: 0/3 nodes are available".to_owned()),
            (Phase::Creating(_), _) => Some("ContainerCreating".to_owned()),
            (Phase::Running, Fate::NoImage) => Some("ImagePullBackOff: no such image".to_owned()),
            (Phase::Running, Fate::Crashes) if self.others_run => None,
            (Phase::Running, Fate::Crashes) => Some("CrashLoopBackOff: exit code 1".to_owned()),
            (Phase::Running, _) => None,
        }
    }
}

/// A node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    /// No new pods.
    pub cordoned: bool,
    /// When it could be used again.
    pub uncordoned: Option<u64>,
    /// Its pods are being evicted.
    pub draining: bool,
    /// It does not answer until then.
    pub lost_until: Option<u64>,
}

/// Whether a replica can follow with the data that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spoilt {
    /// It can.
    #[default]
    No,
    /// Not before it is copied anew.
    Data,
    /// Not on this volume.
    Volume,
}

/// A volume claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Uid.
    pub uid: String,
    /// It was deleted, and goes when no pod uses it.
    pub deleting: bool,
    /// When it was made.
    pub created: u64,
    /// How much of the log it holds.
    pub log: u64,
    /// What is in it is no use to a replica.
    pub spoilt: Spoilt,
    /// Size of the request in the claim template it was made from.
    pub size: String,
}
