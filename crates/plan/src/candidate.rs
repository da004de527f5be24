//! Who takes over from the primary: a healthy replica that has caught up, on a node that stays.

use matriarch_cluster::Intent;
use serde_json::Value;

use crate::nodes;
use crate::observation::{Member, Observation, PatroniSeen};
use crate::rolling::outdated_because;

/// Patroni's own default of `maximum_lag_on_failover`, in bytes.
const MAXIMUM_LAG: u64 = 1_048_576;

/// What is asked of a candidate beyond its health.
#[derive(Clone, Copy, Default)]
pub(crate) struct Demand {
    /// Only members below this ordinal.
    pub below: Option<u32>,
    /// Only members on nodes that nobody takes away.
    pub on_staying_node: bool,
}

/// The best candidate, or why nobody can take over, one clause per replica. A synchronous standby
/// wins, then one whose node stays, one of the newest template, the least lag; equal: by name.
pub(crate) fn choose<'a>(
    intent: &Intent,
    seen: &Observation,
    patroni: &'a PatroniSeen,
    primary: &str,
    demand: Demand,
) -> Result<&'a Member, String> {
    let mut candidates = Vec::new();
    let mut objections = Vec::new();
    for member in patroni.members.iter().filter(|member| member.name != primary) {
        match objection(intent, seen, patroni, primary, demand, member) {
            Some(why) => objections.push(format!("{} {why}", member.name)),
            None => candidates.push(member),
        }
    }
    let pods = seen.pods.present().map_or(&[][..], Vec::as_slice);
    candidates.sort_by_cached_key(|member| {
        let pod = pods.iter().find(|pod| pod.name == member.name);
        let leaves = pod.is_some_and(|pod| nodes::leaving(pod, seen).is_some());
        let outdated = pod.is_some_and(|pod| !outdated_because(intent, pod, seen).is_empty());
        (!is_synchronous(member), leaves, outdated, member.lag_bytes, member.name.clone())
    });
    candidates.first().copied().ok_or_else(|| match objections.as_slice() {
        [] => "there is no replica".to_owned(),
        objections => objections.join(", "),
    })
}

/// Why a member cannot take over.
fn objection(
    intent: &Intent,
    seen: &Observation,
    patroni: &PatroniSeen,
    primary: &str,
    demand: Demand,
    member: &Member,
) -> Option<String> {
    let pods = seen.pods.present().map_or(&[][..], Vec::as_slice);
    let Some(pod) = pods.iter().find(|pod| pod.name == member.name) else {
        return Some("has no pod".to_owned());
    };
    if demand.below.is_some_and(|limit| pod.ordinal >= limit) {
        return Some(format!("does not stay when numberOfInstances is {}", intent.instances));
    }
    if pod.deleting || !pod.ready {
        return Some("has a pod that is not ready".to_owned());
    }
    if member.nofailover {
        return Some("has the tag nofailover".to_owned());
    }
    if !member.is_healthy() {
        return Some(format!("is \"{}\"", member.state));
    }
    let timeline = patroni.member(primary).and_then(|primary| primary.timeline);
    if let (Some(theirs), Some(ours)) = (timeline, member.timeline)
        && theirs != ours
    {
        return Some(format!("is on timeline {ours}, the primary on {theirs}"));
    }
    let config = patroni.config.present();
    let most = config.and_then(|config| config["maximum_lag_on_failover"].as_u64()).unwrap_or(MAXIMUM_LAG);
    match member.lag_bytes {
        None => return Some("is behind by nobody knows how much".to_owned()),
        Some(lag) if lag > most => {
            return Some(format!("is {lag} bytes behind, maximum_lag_on_failover is {most}"));
        }
        Some(_) => {}
    }
    // Patroni refuses any other as the candidate then.
    if config.is_some_and(is_synchronous_mode) && !is_synchronous(member) {
        return Some("is no synchronous standby".to_owned());
    }
    let leaves = nodes::leaving(pod, seen).filter(|_| demand.on_staying_node)?;
    Some(format!("is on {}", leaves.why))
}

fn is_synchronous(member: &Member) -> bool {
    matches!(member.role.as_str(), "sync_standby" | "quorum_standby")
}

/// `true`, `on` or `quorum`.
fn is_synchronous_mode(config: &Value) -> bool {
    match &config["synchronous_mode"] {
        Value::Bool(on) => *on,
        Value::String(word) => matches!(word.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "quorum"),
        _ => false,
    }
}
