//! Pods: rolling updates and PostgreSQL restarts by the plain rule. Replicas one at a
//! time, each streaming before the next; then a switchover; the old primary last. The
//! first one that does not come back stops everything.

use matriarch_cluster::Intent;
use serde_json::{Value, json};

use crate::action::{Action, Lane, Reason, Step};
use crate::objects::{is_going, key_of};
use crate::observation::{Member, ObjectSeen, Observation, PatroniSeen, PodSeen};
use crate::plan::{Gate, Plan};
use crate::seen::Seen;
use crate::{difference, lazy};

/// Parameters that a standby may not have smaller than its primary: when they shrink,
/// the primary restarts first (04 §9.4).
const SHRINK_ON_PRIMARY_FIRST: [&str; 5] = [
    "max_connections",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "max_worker_processes",
    "max_wal_senders",
];

/// A pod that waits longer is a problem that somebody should know of.
const STUCK_AFTER_SECONDS: u64 = 20;

/// Plans at most one disruptive step.
pub fn plan_pods(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let pods = match &seen.pods {
        Seen::Present(pods) => pods,
        Seen::Absent => return,
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Pods, "the pods can be listed", why.clone()));
            return;
        }
    };
    // A template that is about to be applied makes new revisions: look again after it.
    let template_changes = plan.steps.iter().any(|step| match &step.action {
        Action::Apply { object, .. } => object.kind == "StatefulSet",
        Action::ReplaceStatefulSet { .. } => true,
        _ => false,
    });
    let disrupts = plan.disruptive_steps() > 0;
    if template_changes || disrupts || intent.instances == 0 {
        return;
    }
    if let Some(gate) = templates_unknown(intent, pods, seen) {
        plan.gates.push(gate);
        return;
    }
    if let Some(gate) = members_missing(intent, pods, seen) {
        // A broken pod of an older template blocks its own repair: replace it.
        if let Some(step) = replace_broken(intent, pods, seen) {
            plan.steps.push(step);
        }
        plan.gates.push(gate);
        return;
    }
    match (seen.patroni.present(), seen.primary()) {
        (Some(patroni), Seen::Present(primary)) => decide(intent, pods, patroni, &primary, seen, plan),
        (_, Seen::Unknown(why)) => {
            plan.gates.push(Gate::new(Lane::Pods, "the primary is known", why));
        }
        (_, Seen::Absent) => {
            plan.gates.push(Gate::new(Lane::Pods, "a primary holds the leader lock", "no member holds it"))
        }
        (None, Seen::Present(primary)) => plan.gates.push(Gate::new(
            Lane::Pods,
            "Patroni answers",
            format!("{primary} is the primary, but no member answers"),
        )),
    }
}

fn decide(
    intent: &Intent,
    pods: &[PodSeen],
    patroni: &PatroniSeen,
    primary: &str,
    seen: &Observation,
    plan: &mut Plan,
) {
    let outdated: Vec<(&PodSeen, Vec<Reason>)> = pods
        .iter()
        .map(|pod| (pod, outdated_because(intent, pod, seen)))
        .filter(|(_, because)| !because.is_empty())
        .collect();
    if let Some(gate) = member_behind(pods, patroni) {
        plan.gates.push(gate);
        return;
    }
    if outdated.is_empty() {
        restart_pending(patroni, primary, plan);
        return;
    }
    if patroni.paused {
        plan.gates.push(
            Gate::new(Lane::Pods, "Patroni is resumed", "Patroni is paused; pods are not replaced").stuck(),
        );
        return;
    }
    // Highest ordinal first among the replicas.
    let replica = outdated.iter().filter(|(pod, _)| pod.name != primary).max_by_key(|(pod, _)| pod.ordinal);
    if let Some((pod, because)) = replica {
        plan.steps.push(delete(pod, because.clone()));
        return;
    }
    let Some((pod, because)) = outdated.first() else { return };
    match best_replica(patroni, primary) {
        Some(candidate) => plan.steps.push(Step::because(
            Action::Switchover { from: primary.to_owned(), to: candidate.name.clone() },
            because.clone(),
        )),
        None if pods.len() == 1 => plan.steps.push(delete(pod, because.clone())),
        None => plan
            .gates
            .push(Gate::new(Lane::Pods, "a replica can take over", "no replica has caught up").stuck()),
    }
}

/// Restarts members one by one until none is pending.
fn restart_pending(patroni: &PatroniSeen, primary: &str, plan: &mut Plan) {
    let pending: Vec<&Member> =
        patroni.members.iter().filter(|member| member.pending_restart.is_some()).collect();
    let primary_first = patroni.member(primary).is_some_and(shrinks);
    let next = pending.iter().find(|member| (member.name == primary) == primary_first);
    if let Some(member) = next.or(pending.first()) {
        let changes = member.pending_restart.iter().flatten();
        let mut because: Vec<Reason> = changes
            .map(|(name, (old, new))| Reason::new(format!("{name} {old} → {new} needs a restart")))
            .collect();
        if because.is_empty() {
            because.push(Reason::new("Patroni reports a pending restart"));
        }
        plan.steps.push(Step::because(Action::RestartMember { name: member.name.clone() }, because));
    }
}

fn shrinks(member: &Member) -> bool {
    member.pending_restart.iter().flatten().any(|(name, (old, new))| {
        SHRINK_ON_PRIMARY_FIRST.contains(&name.as_str())
            && matches!((old.parse::<i64>(), new.parse::<i64>()), (Ok(old), Ok(new)) if new < old)
    })
}

/// The healthy replica with the least lag; a synchronous one wins. Equal: by name.
fn best_replica<'a>(patroni: &'a PatroniSeen, primary: &str) -> Option<&'a Member> {
    let mut candidates: Vec<&Member> = patroni
        .members
        .iter()
        .filter(|member| member.name != primary && member.is_healthy() && member.lag_bytes.is_some())
        .collect();
    candidates.sort_by_key(|member| (member.role != "sync_standby", member.lag_bytes, member.name.clone()));
    candidates.first().copied()
}

/// The StatefulSet's newest template and the revision that stands for it; `None` while the
/// StatefulSet controller has not seen the newest generation.
pub(crate) fn newest<'a>(intent: &Intent, seen: &'a Observation) -> Option<(&'a str, &'a Value)> {
    let Seen::Present(set) = seen.object(&key_of(&intent.stateful_set)) else { return None };
    let observed = &set.body["status"]["observedGeneration"];
    if *observed != set.body["metadata"]["generation"] || is_going(&set.body) {
        return None;
    }
    let revision = set.body["status"]["updateRevision"].as_str()?;
    Some((revision, &set.body["spec"]["template"]))
}

/// Annotation of a pod by which anybody may ask for a new one (04 §8.1).
const RENEW_ANNOTATION: &str = "zalando-postgres-operator-rolling-update-required";

/// Why a pod is not of the newest template; empty when it is, or as good as.
pub(crate) fn outdated_because(intent: &Intent, pod: &PodSeen, seen: &Observation) -> Vec<Reason> {
    let Some((revision, template)) = newest(intent, seen) else { return Vec::new() };
    let asked = pod.annotations.get(RENEW_ANNOTATION).map(String::as_str);
    // What the original's language reads as true.
    if let Some("1" | "t" | "T" | "true" | "TRUE" | "True") = asked {
        return vec![Reason::new(format!("its annotation {RENEW_ANNOTATION} asks for it"))];
    }
    if pod.revision == revision {
        return Vec::new();
    }
    let Some(Seen::Present(older)) = seen.revisions.get(&pod.revision) else { return Vec::new() };
    difference::template_differences(template, older)
        .iter()
        .filter(|difference| !lazy::may_wait(intent, &difference.path))
        .map(|difference| Reason::new(difference.to_string()))
        .collect()
}

/// Whether every pod's template is known; if not, nothing is decided about pods.
fn templates_unknown(intent: &Intent, pods: &[PodSeen], seen: &Observation) -> Option<Gate> {
    let until = "every pod's template is known";
    let Some((revision, _)) = newest(intent, seen) else {
        let why = "the StatefulSet's newest revision is not known yet";
        return Some(Gate::new(Lane::Pods, until, why));
    };
    let unknown = pods.iter().find(|pod| {
        pod.revision != revision && !matches!(seen.revisions.get(&pod.revision), Some(Seen::Present(_)))
    })?;
    let why = match seen.revisions.get(&unknown.revision) {
        Some(Seen::Unknown(why)) => why.clone(),
        _ => format!("revision {} of {} is not there", unknown.revision, unknown.name),
    };
    Some(Gate::new(Lane::Pods, until, why))
}

/// Every wanted pod must be there, ready and not going away.
fn members_missing(intent: &Intent, pods: &[PodSeen], seen: &Observation) -> Option<Gate> {
    for ordinal in 0..intent.instances {
        let name = format!("{}-{ordinal}", intent.identity.name);
        let until = format!("{name} is ready");
        let gate = match pods.iter().find(|pod| pod.ordinal == ordinal) {
            None => Gate::new(Lane::Pods, until, "the pod does not exist yet"),
            Some(pod) if pod.deleting => Gate::new(Lane::Pods, until, "the old pod is terminating"),
            Some(pod @ PodSeen { waiting: Some(why), .. }) => {
                let gate = Gate::new(Lane::Pods, until, why.clone());
                if is_stuck(pod) { gate.stuck() } else { gate }
            }
            Some(pod) if !pod.ready => Gate::new(Lane::Pods, until, "its containers are not ready"),
            Some(_) => continue,
        };
        return Some(gate);
    }
    let surplus = pods.iter().find(|pod| pod.ordinal >= intent.instances)?;
    let live = seen.object(&key_of(&intent.stateful_set));
    let shrunk = matches!(live, Seen::Present(live)
        if live.body["spec"]["replicas"] == json!(intent.instances));
    shrunk.then(|| Gate::new(Lane::Pods, format!("{} is gone", surplus.name), "scaling down"))
}

/// Whether a pod waits for something that waiting alone may not bring. Every new pod is
/// unschedulable for a moment, until its volume is bound.
fn is_stuck(pod: &PodSeen) -> bool {
    pod.age_seconds >= STUCK_AFTER_SECONDS && pod.waiting.as_deref().is_some_and(|why| !is_passing(why))
}

/// Words that every new pod passes through.
fn is_passing(waiting: &str) -> bool {
    ["ContainerCreating", "PodInitializing"].iter().any(|word| waiting.starts_with(word))
}

/// A pod that cannot run and is not of today's template: replacing it costs nothing.
fn replace_broken(intent: &Intent, pods: &[PodSeen], seen: &Observation) -> Option<Step> {
    // Unknown is not "no primary": without knowing it nothing is touched, unless the
    // pod never ran at all.
    let primary = seen.primary();
    let broken = pods.iter().filter(|pod| pod.waiting.as_deref().is_some_and(|why| !is_passing(why)));
    for pod in broken {
        let is_primary = primary.present().is_some_and(|primary| *primary == pod.name)
            || pod.role_label.as_deref() == Some("master");
        let because = outdated_because(intent, pod, seen);
        if !pod.deleting && !is_primary && !because.is_empty() {
            return Some(delete(pod, because));
        }
    }
    None
}

/// No pod is touched while a member does not stream.
fn member_behind(pods: &[PodSeen], patroni: &PatroniSeen) -> Option<Gate> {
    pods.iter().find_map(|pod| match patroni.member(&pod.name) {
        Some(member) if member.is_healthy() => None,
        Some(member) => Some(Gate::new(
            Lane::Pods,
            format!("{} streams", pod.name),
            format!("Patroni says it is \"{}\"", member.state),
        )),
        None => Some(Gate::new(Lane::Pods, format!("{} streams", pod.name), "Patroni does not list it yet")),
    })
}

fn delete(pod: &PodSeen, because: Vec<Reason>) -> Step {
    Step::because(Action::DeletePod { name: pod.name.clone(), uid: pod.uid.clone() }, because)
}

/// Before the StatefulSet shrinks, the primary must be among those that stay. Keeps the
/// live number of replicas in `desired` until then and says what is awaited.
pub fn hold_scale_down(
    intent: &Intent,
    live: &ObjectSeen,
    seen: &Observation,
    desired: &mut Value,
) -> Option<Gate> {
    let live_replicas = live.body["spec"]["replicas"].as_u64().unwrap_or(0);
    let wanted = u64::from(intent.instances);
    if wanted == 0 || live_replicas <= wanted {
        return None;
    }
    let survives = |name: &str| {
        (0..intent.instances).any(|ordinal| name == format!("{}-{ordinal}", intent.identity.name))
    };
    let why = match seen.primary() {
        Seen::Present(primary) if survives(&primary) => return None,
        Seen::Present(primary) => format!("{primary} is the primary and would be removed"),
        Seen::Absent => return None,
        Seen::Unknown(why) => why,
    };
    desired["spec"]["replicas"] = json!(live_replicas);
    Some(Gate::new(Lane::Pods, format!("the primary is below ordinal {wanted}"), why))
}

/// The switchover that lets a scale-down go on, if it is held by the primary.
pub fn switchover_before_scale_down(intent: &Intent, seen: &Observation) -> Option<Step> {
    let Seen::Present(patroni) = &seen.patroni else { return None };
    let Seen::Present(primary) = seen.primary() else { return None };
    let survivors = PatroniSeen {
        members: patroni
            .members
            .iter()
            .filter(|member| {
                (0..intent.instances)
                    .any(|ordinal| member.name == format!("{}-{ordinal}", intent.identity.name))
            })
            .cloned()
            .collect(),
        ..PatroniSeen::default()
    };
    let candidate = best_replica(&survivors, &primary)?;
    Some(Step::new(
        Action::Switchover { from: primary, to: candidate.name.clone() },
        format!("numberOfInstances is {}", intent.instances),
    ))
}
