//! What Patroni answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The cluster as one member sees it (`GET /cluster`); up to one loop (10 s) old.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterView {
    /// All members, also those whose pod exists and whose Patroni does not run yet.
    pub members: Vec<Member>,
    /// Name of the cluster.
    pub scope: String,
    /// Automatic failover is switched off.
    pub pause: bool,
    /// A switchover that waits for its time.
    pub scheduled_switchover: Option<Value>,
}

impl ClusterView {
    /// The member that holds the leader lock: primary or standby leader.
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|m| m.is_leader())
    }
}

/// One member of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Name: that of its pod.
    pub name: String,
    /// `leader`, `standby_leader`, `replica`, `sync_standby` or `quorum_standby`.
    pub role: String,
    /// `running`, `streaming`, `starting`, …; empty before Patroni runs.
    pub state: String,
    /// Address of PostgreSQL.
    pub host: Option<String>,
    /// Port of PostgreSQL.
    pub port: Option<u16>,
    /// URL of its own REST interface.
    pub api_url: Option<String>,
    /// Timeline it is on.
    pub timeline: Option<u64>,
    /// How far it is behind; only for members that are not the leader.
    pub lag: Option<Lag>,
    /// Some settings wait for a restart.
    pub pending_restart: bool,
    /// Patroni tags, such as `nofailover`.
    pub tags: BTreeMap<String, Value>,
}

impl Member {
    /// Whether it holds the leader lock.
    pub fn is_leader(&self) -> bool {
        matches!(self.role.as_str(), "leader" | "standby_leader" | "master" | "primary")
    }

    /// Whether it follows the leader: replicas say `streaming` since 3.0.4, before that
    /// `running`.
    pub fn is_streaming(&self) -> bool {
        !self.is_leader() && matches!(self.state.as_str(), "streaming" | "running")
    }

    /// Whether it acknowledges the leader's commits in synchronous mode.
    pub fn is_synchronous(&self) -> bool {
        matches!(self.role.as_str(), "sync_standby" | "quorum_standby")
    }
}

/// How far a member is behind the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lag {
    /// In bytes of WAL.
    Bytes(u64),
    /// Patroni does not know (the string `unknown`).
    #[serde(deserialize_with = "any", serialize_with = "unknown")]
    Unknown,
}

fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| ())
}

fn unknown<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("unknown")
}

/// One member about itself (`GET /patroni`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `running`, `starting`, `stopped`, `creating replica`, …
    pub state: String,
    /// `primary` (3.x: `master`), `replica`, `standby_leader`, `demoted`, `promoted`,
    /// `uninitialized`.
    pub role: String,
    /// Version of PostgreSQL as a number, such as 150018.
    pub server_version: Option<u64>,
    /// Timeline it is on.
    pub timeline: Option<u64>,
    /// `streaming` or `in archive recovery`; replicas only.
    pub replication_state: Option<String>,
    /// Some settings wait for a restart.
    pub pending_restart: bool,
    /// Which settings, with `old_value` and `new_value` (from 4.0).
    pub pending_restart_reason: Value,
    /// Automatic failover is switched off.
    pub pause: bool,
    /// Identifier of the database system.
    pub database_system_identifier: Option<String>,
    /// When its PostgreSQL started: `2026-11-24 10:00:00.123456+00:00`.
    pub postmaster_start_time: Option<String>,
    /// When it last reached the Kubernetes API (Unix time, seconds).
    pub dcs_last_seen: Option<i64>,
    /// Version and name of Patroni.
    pub patroni: Value,
    /// Positions in the WAL.
    pub xlog: Value,
    /// Patroni tags.
    pub tags: BTreeMap<String, Value>,
}

impl Status {
    /// When its PostgreSQL started, if it says so in a form that can be read.
    pub fn started_at(&self) -> Option<jiff::Timestamp> {
        self.postmaster_start_time.as_ref()?.parse().ok()
    }

    /// Whether this member is the primary and accepts writes.
    pub fn is_primary(&self) -> bool {
        matches!(self.role.as_str(), "primary" | "master") && self.state == "running"
    }

    /// Whether this member has no database that can be read, and makes none right now.
    pub fn has_no_database(&self) -> bool {
        self.role == "uninitialized" && self.state == "stopped"
    }

    /// Whether this member is a replica that streams from its leader. Without
    /// `replication_state` (before 3.0.4) running is all that can be known.
    pub fn is_streaming_replica(&self) -> bool {
        let streams = self.replication_state.as_deref().is_none_or(|s| s == "streaming");
        self.role == "replica" && self.state == "running" && streams
    }
}
