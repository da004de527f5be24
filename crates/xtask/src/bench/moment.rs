//! The moments on the way to a cluster, and how they are recognised.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// Something that happens once in a creation; in the usual order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// `kubectl create` has returned.
    HandedIn,
    /// The StatefulSet exists.
    StatefulSet,
    /// Pod 0 exists.
    FirstPod,
    /// Pod 0 has a node, and with it a volume.
    FirstScheduled,
    /// The container of pod 0 runs, as the API server tells.
    FirstStarted,
    /// The container of pod 1 runs.
    SecondStarted,
    /// A pod is labelled as the primary.
    Primary,
    /// Users and database of the manifest are there.
    Roles,
    /// The primary sends to the second member as to a streaming standby.
    Streaming,
    /// The resource says that it is Ready.
    Ready,
}

/// When each moment was seen first, since the start.
pub type Moments = BTreeMap<Moment, Duration>;

impl Moment {
    /// All, in order.
    pub const ALL: [Self; 10] = [
        Self::HandedIn,
        Self::StatefulSet,
        Self::FirstPod,
        Self::FirstScheduled,
        Self::FirstStarted,
        Self::SecondStarted,
        Self::Primary,
        Self::Roles,
        Self::Streaming,
        Self::Ready,
    ];

    /// For the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::HandedIn => "kubectl create returned",
            Self::StatefulSet => "StatefulSet exists",
            Self::FirstPod => "pod 0 exists",
            Self::FirstScheduled => "pod 0 scheduled",
            Self::FirstStarted => "pod 0 started",
            Self::SecondStarted => "pod 1 started",
            Self::Primary => "primary labelled",
            Self::Roles => "users and database present",
            Self::Streaming => "both members streaming",
            Self::Ready => "condition Ready",
        }
    }
}

/// Moments that an object proves.
pub fn of_object(object: &Value) -> Vec<Moment> {
    match object["kind"].as_str() {
        Some("StatefulSet") => vec![Moment::StatefulSet],
        Some("Pod") => of_pod(object),
        Some("postgresql") if is_ready(object) => vec![Moment::Ready],
        _ => Vec::new(),
    }
}

/// Whether Patroni calls this pod the primary.
pub fn is_primary(pod: &Value) -> bool {
    pod["kind"] == "Pod"
        && matches!(pod["metadata"]["labels"]["spilo-role"].as_str(), Some("master" | "primary"))
}

fn of_pod(pod: &Value) -> Vec<Moment> {
    let first = pod["metadata"]["name"].as_str().is_some_and(|name| name.ends_with("-0"));
    let scheduled = pod["spec"]["nodeName"].is_string();
    let started = pod["status"]["containerStatuses"][0]["state"]["running"].is_object();
    let proofs = [
        (first, Moment::FirstPod),
        (first && scheduled, Moment::FirstScheduled),
        (first && started, Moment::FirstStarted),
        (!first && started, Moment::SecondStarted),
        (is_primary(pod), Moment::Primary),
    ];
    proofs.into_iter().filter(|(proven, _)| *proven).map(|(_, moment)| moment).collect()
}

fn is_ready(resource: &Value) -> bool {
    let conditions = resource["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// Asks a primary for what [`of_answer`] reads. pg_basebackup streams too, under a
/// name of its own; a member streams under the name of its pod.
pub fn question(cluster: &str) -> String {
    format!(
        "select 'seen', \
         (select count(*) from pg_stat_replication where state = 'streaming' and application_name like '{cluster}-%'), \
         (select count(*) from pg_roles where rolname in ('zalando', 'foo_user')), \
         (select count(*) from pg_database where datname = 'foo' and pg_get_userbyid(datdba) = 'zalando')"
    )
}

/// Moments that a line of `psql --no-align --tuples-only` proves.
pub fn of_answer(line: &str) -> Vec<Moment> {
    let fields: Vec<&str> = line.trim().split('|').collect();
    let ["seen", streaming, roles, databases] = fields[..] else { return Vec::new() };
    let proofs = [(roles == "2" && databases == "1", Moment::Roles), (streaming == "1", Moment::Streaming)];
    proofs.into_iter().filter(|(proven, _)| *proven).map(|(_, moment)| moment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_prove_their_moments() {
        let mut pod = json!({"kind": "Pod", "metadata": {"name": "a-0"}, "spec": {}});
        assert_eq!(of_object(&pod), [Moment::FirstPod]);
        pod["spec"]["nodeName"] = json!("node1");
        pod["status"] = json!({"containerStatuses": [{"state": {"running": {}}}]});
        let started = [Moment::FirstPod, Moment::FirstScheduled, Moment::FirstStarted];
        assert_eq!(of_object(&pod), started);
        pod["metadata"] = json!({"name": "a-1", "labels": {"spilo-role": "master"}});
        assert_eq!(of_object(&pod), [Moment::SecondStarted, Moment::Primary]);
    }

    #[test]
    fn readiness_is_the_condition() {
        let ready = |status: &str| json!({"kind": "postgresql", "status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert_eq!(of_object(&ready("True")), [Moment::Ready]);
        assert_eq!(of_object(&ready("False")), []);
    }

    #[test]
    fn answers_prove_roles_and_streaming() {
        assert_eq!(of_answer("seen|0|1|0"), []);
        assert_eq!(of_answer("seen|1|0|0"), [Moment::Streaming]);
        assert_eq!(of_answer("seen|1|2|1\n"), [Moment::Roles, Moment::Streaming]);
        assert_eq!(of_answer("psql: error"), []);
    }
}
