//! One cluster: who leads it, and what its dynamic configuration is. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::ROLE_LABEL;

/// Parameters that take effect with a restart only.
const RESTART_ONLY: [&str; 6] = [
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
    "shared_buffers",
];

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its uid: a pod of the same name is another member process.
    pub uid: String,
    /// Number at the end of its name.
    pub ordinal: u32,
    /// Its address, once it has one.
    pub address: Option<IpAddr>,
    /// Ready, and not being deleted.
    pub able: bool,
    /// The role label that it carries.
    pub role_label: Option<String>,
    /// Parameters that wait for a restart, with the old and the new value.
    pub pending: BTreeMap<String, (String, String)>,
}

impl Member {
    /// A member of a StatefulSet; nothing for other pods, such as a pooler's.
    pub fn of(pod: &Pod) -> Option<Self> {
        // A pooler's pods have a cluster's name too, and no ordinal.
        pod.labels().get("statefulset.kubernetes.io/pod-name")?;
        let ordinal = pod.name_any().rsplit('-').next()?.parse().ok()?;
        let status = pod.status.clone().unwrap_or_default();
        let ready =
            status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        Some(Self {
            uid: pod.uid().unwrap_or_default(),
            ordinal,
            address: status.pod_ip.and_then(|ip| ip.parse().ok()),
            able: ready && pod.metadata.deletion_timestamp.is_none(),
            role_label: pod.labels().get(ROLE_LABEL).cloned(),
            pending: BTreeMap::new(),
        })
    }
}

/// A cluster as its members know it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Pods by name.
    pub members: BTreeMap<String, Member>,
    /// Who holds the leader lock.
    pub leader: Option<String>,
    /// Changes of the leader.
    pub transitions: u64,
    /// The dynamic configuration, once somebody has bootstrapped it.
    pub configuration: Option<Value>,
    /// Leader that the leader object names.
    pub written_leader: Option<String>,
    /// Configuration that its object holds.
    pub written_configuration: Option<Value>,
}

impl Cluster {
    /// A pod as the API server has it now.
    pub fn saw(&mut self, name: String, mut member: Member, bootstrap: impl FnOnce() -> Value) {
        if let Some(before) = self.members.get(&name)
            && before.uid == member.uid
        {
            member.pending.clone_from(&before.pending);
        }
        if member.able && self.configuration.is_none() {
            self.configuration = Some(bootstrap());
        }
        self.members.insert(name, member);
        self.elect();
    }

    /// A pod is gone; true when none is left.
    pub fn gone(&mut self, name: &str, uid: &str) -> bool {
        if self.members.get(name).is_some_and(|member| member.uid == uid) {
            self.members.remove(name);
        }
        self.elect();
        self.members.is_empty()
    }

    /// The able member with the lowest ordinal takes over from a leader that is not able any
    /// more; without one the lock stays where it was.
    fn elect(&mut self) {
        if self.leader.as_ref().is_some_and(|leader| self.is_able(leader)) {
            return;
        }
        let able = self.members.iter().filter(|(_, member)| member.able);
        if let Some((name, _)) = able.min_by_key(|(_, member)| member.ordinal) {
            let name = name.clone();
            self.lead(name);
        }
    }

    fn lead(&mut self, name: String) {
        if self.leader.as_ref() != Some(&name) {
            self.transitions += 1;
            self.leader = Some(name);
        }
    }

    fn is_able(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|member| member.able)
    }

    /// Hands the lock over; the sentence of a refusal is Patroni's.
    pub fn switch_over(&mut self, from: Option<&str>, to: &str) -> Result<(), String> {
        if from.is_some_and(|from| self.leader.as_deref() != Some(from)) {
            return Err("leader name does not match".to_owned());
        }
        if self.leader.as_deref() == Some(to) {
            return Err("switchover target and source are the same".to_owned());
        }
        if !self.is_able(to) {
            return Err("candidate does not exists".to_owned());
        }
        self.lead(to.to_owned());
        Ok(())
    }

    /// Merges into the dynamic configuration, and returns the whole.
    pub fn patch(&mut self, patch: &Value) -> Option<Value> {
        let before = self.configuration.clone()?;
        let mut after = before.clone();
        merge(&mut after, patch);
        self.configuration = Some(after.clone());
        for (name, change) in restarts(&before, &after) {
            for member in self.members.values_mut() {
                member.pending.insert(name.clone(), change.clone());
            }
        }
        Some(after)
    }

    /// `GET /cluster`.
    pub fn view(&self, scope: &str) -> Value {
        let members: Vec<Value> =
            self.members.iter().map(|(name, member)| self.shown(name, member)).collect();
        json!({"members": members, "scope": scope})
    }

    fn shown(&self, name: &str, member: &Member) -> Value {
        let Some(address) = member.address.filter(|_| member.able) else {
            return json!({"name": name, "role": "replica", "state": "", "api_url": null, "lag": "unknown"});
        };
        let leads = self.leader.as_deref() == Some(name);
        let mut shown = json!({
            "name": name,
            "role": if leads { "leader" } else { "replica" },
            "state": if leads { "running" } else { "streaming" },
            "api_url": format!("http://{address}:8008/patroni"),
            "host": address.to_string(),
            "port": 5432,
            "timeline": self.transitions.max(1),
        });
        if !leads {
            shown["lag"] = json!(0);
        }
        if !member.pending.is_empty() {
            shown["pending_restart"] = json!(true);
        }
        shown
    }

    /// `GET /patroni` of a member.
    pub fn status(&self, name: &str) -> Value {
        let leads = self.leader.as_deref() == Some(name);
        let mut status = json!({
            "state": "running",
            "role": if leads { "primary" } else { "replica" },
            "server_version": 150_018,
            "timeline": self.transitions.max(1),
            "database_system_identifier": "7000000000000000001",
            "patroni": {"version": "4.1.5", "scope": "", "name": name},
            "xlog": if leads { json!({"location": 1}) } else { json!({"received_location": 1, "replayed_location": 1}) },
        });
        if !leads {
            status["replication_state"] = json!("streaming");
        }
        if let Some(member) = self.members.get(name).filter(|member| !member.pending.is_empty()) {
            let reasons: Map<String, Value> = member
                .pending
                .iter()
                .map(|(name, (old, new))| (name.clone(), json!({"old_value": old, "new_value": new})))
                .collect();
            status["pending_restart"] = json!(true);
            status["pending_restart_reason"] = Value::Object(reasons);
        }
        status
    }
}

/// A merge patch: null deletes.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Parameters whose change waits for a restart.
fn restarts(before: &Value, after: &Value) -> BTreeMap<String, (String, String)> {
    let of = |configuration: &Value| configuration["postgresql"]["parameters"].clone();
    let (before, after) = (of(before), of(after));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names: BTreeSet<&str> = RESTART_ONLY.into_iter().filter(|name| before[name] != after[name]).collect();
    names.into_iter().map(|name| (name.to_owned(), (text(&before[name]), text(&after[name])))).collect()
}

/// What the first member of a cluster writes down: the defaults of the image, and what the
/// operator gave it.
pub fn bootstrap_configuration(pod: &Pod) -> Value {
    let mut configuration = json!({
        "ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 33_554_432,
        "postgresql": {"use_slots": true, "use_pg_rewind": true, "parameters": {}},
    });
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let given = containers
        .flat_map(|container| container.env.iter().flatten())
        .find(|variable| variable.name == "SPILO_CONFIGURATION")
        .and_then(|variable| serde_json::from_str::<Value>(variable.value.as_deref()?).ok());
    if let Some(given) = given {
        merge(&mut configuration, &given["bootstrap"]["dcs"]);
    }
    configuration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(ordinal: u32, able: bool) -> Member {
        Member {
            uid: format!("u{ordinal}"),
            ordinal,
            address: "10.250.0.1".parse().ok(),
            able,
            role_label: None,
            pending: BTreeMap::new(),
        }
    }

    fn cluster(able: &[bool]) -> Cluster {
        let mut cluster = Cluster::default();
        for (ordinal, able) in (0u32..).zip(able) {
            cluster.saw(format!("c-{ordinal}"), member(ordinal, *able), || json!({"postgresql": {}}));
        }
        cluster
    }

    #[test]
    fn the_lowest_able_member_leads_until_it_is_not_able() {
        let mut cluster = cluster(&[false, true, true]);
        assert_eq!(cluster.leader.as_deref(), Some("c-1"));
        cluster.saw("c-0".to_owned(), member(0, true), || json!({}));
        assert_eq!(cluster.leader.as_deref(), Some("c-1"), "a lock is not taken from an able leader");
        cluster.saw("c-1".to_owned(), member(1, false), || json!({}));
        assert_eq!((cluster.leader.as_deref(), cluster.transitions), (Some("c-0"), 2));
        assert!(!cluster.gone("c-1", "another"), "a pod of another life");
        assert_eq!(cluster.members.len(), 3);
    }

    #[test]
    fn the_lock_stays_where_nobody_can_take_it() {
        let mut cluster = cluster(&[true]);
        assert!(cluster.gone("c-0", "u0"));
        assert_eq!(cluster.leader.as_deref(), Some("c-0"));
    }

    #[test]
    fn switchovers_are_refused_as_patroni_refuses_them() {
        let mut cluster = cluster(&[true, true, false]);
        let table = [
            (Some("c-1"), "c-0", "leader name does not match"),
            (Some("c-0"), "c-0", "switchover target and source are the same"),
            (Some("c-0"), "c-2", "candidate does not exists"),
        ];
        for (from, to, why) in table {
            assert_eq!(cluster.switch_over(from, to), Err(why.to_owned()));
        }
        assert_eq!(cluster.switch_over(Some("c-0"), "c-1"), Ok(()));
        assert_eq!(cluster.view("c")["members"][1]["role"], "leader");
    }

    #[test]
    fn a_patch_merges_and_marks_what_needs_a_restart() {
        let mut cluster = cluster(&[true, true]);
        let patch =
            json!({"ttl": 20, "postgresql": {"parameters": {"max_connections": "50", "work_mem": "1MB"}}});
        assert_eq!(cluster.patch(&patch).map(|all| all["ttl"].clone()), Some(json!(20)));
        assert_eq!(cluster.status("c-1")["pending_restart_reason"]["max_connections"]["new_value"], "50");
        let gone = cluster.patch(&json!({"ttl": null}));
        assert_eq!(gone.map(|all| all["ttl"].clone()), Some(Value::Null));
    }
}
