//! Nodes that somebody takes away. The primary leaves such a node by one switchover, before it is
//! evicted; replicas are left to the eviction (04 §1.10, §8.6).

use matriarch_cluster::Intent;
use matriarch_cluster::policy::SINGLE_DRAIN_ANNOTATION;

use crate::action::{Action, Lane, Step};
use crate::candidate::{self, Demand};
use crate::observation::{NodeSeen, Observation, PatroniSeen, PodSeen};
use crate::plan::Gate;
use crate::seen::Seen;

/// Taints of a node that is going to be removed, whatever its owner does.
const DOOMED: [&str; 3] =
    ["karpenter.sh/disrupted", "karpenter.sh/disruption", "ToBeDeletedByClusterAutoscaler"];
/// Taints of a node that nothing new is put on.
const AVOIDED: [&str; 2] = ["node.kubernetes.io/unschedulable", "DeletionCandidateOfClusterAutoscaler"];

/// That a node is being taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The node and the fact: `node n1, which is cordoned`.
    pub why: String,
    /// It goes at once: no maintenance window is waited for.
    pub doomed: bool,
}

impl Leaving {
    /// Whether a node is being taken away.
    pub fn of(node: &NodeSeen) -> Option<Self> {
        let name = &node.name;
        let taint =
            |known: &'static [&'static str]| known.iter().copied().find(|key| node.taints.contains(*key));
        if let Some(taint) = taint(&DOOMED) {
            return Some(Self { why: format!("node {name}, which has the taint {taint}"), doomed: true });
        }
        if node.unschedulable {
            return Some(Self { why: format!("node {name}, which is cordoned"), doomed: false });
        }
        if let Some(taint) = taint(&AVOIDED) {
            return Some(Self { why: format!("node {name}, which has the taint {taint}"), doomed: false });
        }
        let lacks = (!node.lacks.is_empty()).then(|| node.lacks.join(", "))?;
        let why = format!("node {name}, which lacks {lacks} of node_readiness_label");
        Some(Self { why, doomed: false })
    }
}

/// Whether a pod's node is being taken away. A node that could not be read stays.
pub(crate) fn leaving(pod: &PodSeen, seen: &Observation) -> Option<Leaving> {
    let node = seen.nodes.get(pod.node.as_deref()?)?.present()?;
    Leaving::of(node)
}

/// What is done about the primary's node.
pub(crate) enum Move {
    /// Nothing: the node stays, or nobody can tell.
    Stay,
    /// Hand over now.
    Now(Box<Step>),
    /// Hand over later.
    Later(Gate),
}

/// Moves the primary off a node that is being taken away.
pub(crate) fn move_primary(
    intent: &Intent,
    seen: &Observation,
    patroni: &PatroniSeen,
    primary: &str,
) -> Move {
    let pods = seen.pods.present().map_or(&[][..], Vec::as_slice);
    let pod = pods.iter().find(|pod| pod.name == primary);
    let Some((pod, leaves)) = pod.and_then(|pod| Some((pod, leaving(pod, seen)?))) else {
        return Move::Stay;
    };
    if pod.deleting {
        return Move::Stay;
    }
    let why = format!("the primary {primary} is on {}", leaves.why);
    let until = "the primary is on a node that stays";
    if intent.instances == 1 {
        if intent.policy.single_instance_may_be_drained {
            return Move::Stay;
        }
        let because = format!(
            "{why}; numberOfInstances is 1, so nobody can take over and its budget holds up a drain: raise \
             numberOfInstances, or allow the outage with the annotation {SINGLE_DRAIN_ANNOTATION}: allow"
        );
        return Move::Later(Gate::new(Lane::Pods, until, because).postponed(None));
    }
    if patroni.paused {
        let because = format!("{why}, and Patroni is paused: resume it");
        return Move::Later(Gate::new(Lane::Pods, until, because).patient(Some(0)));
    }
    if !leaves.doomed && !intent.windows.contain(seen.now) {
        return Move::Later(window(intent, seen, Lane::Pods, &why));
    }
    // Nobody who is to be removed: that would take another switchover at once.
    let demand = Demand { below: Some(intent.instances), on_staying_node: true };
    match candidate::choose(intent, seen, patroni, primary, demand) {
        Ok(candidate) => {
            let action = Action::Switchover { from: primary.to_owned(), to: candidate.name.clone() };
            Move::Now(Box::new(Step::new(action, why)))
        }
        Err(nobody) => {
            let because = format!("{why}; nobody can take over: {nobody}");
            Move::Later(Gate::new(Lane::Pods, until, because))
        }
    }
}

/// The wait for a maintenance window, with the moment at which it opens.
pub(crate) fn window(intent: &Intent, seen: &Observation, lane: Lane, because: &str) -> Gate {
    let Some(opens) = intent.windows.next_start(seen.now) else {
        let because = format!("{because}; no maintenance window can be read: correct them");
        return Gate::new(lane, "a maintenance window begins", because).postponed(None);
    };
    let wait = opens.duration_since(seen.now).as_secs();
    let until = format!("the maintenance window of {} begins", crate::status::seconds(opens));
    Gate::new(lane, until, because).postponed(u32::try_from(wait).ok())
}

/// Why the node of a pod that does not end is to blame, with the cure.
pub(crate) fn lost(pod: &PodSeen, seen: &Observation) -> Option<String> {
    let name = pod.node.as_deref()?;
    let fact = match seen.nodes.get(name)? {
        Seen::Present(node) if node.ready => return None,
        Seen::Present(_) => "is not ready",
        Seen::Absent => "does not exist any more",
        Seen::Unknown(_) => return None,
    };
    Some(format!(
        "its node {name} {fact}, so nobody can say that it ended: bring the node back, or, if it is off for \
         good, run `kubectl delete pod {} --force`",
        pod.name
    ))
}
