//! Pods: rolling updates by the plain rule. Replicas one at a time, each streaming before the next;
//! then a switchover; the old primary last. The first one that does not come back stops everything,
//! and the others stay untouched until it is mended or the manifest is put back.

use matriarch_cluster::Intent;
use matriarch_cluster::names::PRIMARY;
use matriarch_cluster::policy::APPROVAL_ANNOTATION;
use serde_json::{Value, json};

use crate::action::{Action, Lane, Reason, Step};
use crate::candidate::{self, Demand};
use crate::nodes::{self, Move};
use crate::objects::{is_going, key_of};
use crate::observation::{ObjectSeen, Observation, PatroniSeen, PodSeen};
use crate::plan::{Gate, Plan};
use crate::seen::Seen;
use crate::trial::Trial;
use crate::{difference, healing, lazy, restarts};

/// A pod that waits longer is a problem that somebody should know of.
const STUCK_AFTER_SECONDS: u64 = 20;
/// A pod that pulls its image or mounts its volumes for longer is a problem.
const SLOW_START_SECONDS: u32 = 300;
/// So long a new pod must be ready before the next one is touched: a container that ends at once is
/// ready for a moment.
const PROVEN_AFTER_SECONDS: i64 = 10;
/// So long a container must run after it ended, before its pod counts as up again. Longer than the
/// kubelet's first pauses between two starts, so that a container that ends again and again shows.
const STEADY_AFTER_SECONDS: i64 = 60;
/// A container that was started so often again does not heal by waiting.
const STUCK_AFTER_RESTARTS: u32 = 3;

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
    if plan.disruptive_steps() > 0 || intent.instances == 0 {
        return;
    }
    // A node that goes waits for nobody.
    if let (Some(patroni), Seen::Present(primary)) = (seen.patroni.present(), seen.primary()) {
        match nodes::move_primary(intent, seen, patroni, &primary) {
            Move::Stay => {}
            Move::Now(step) => return plan.steps.push(*step),
            Move::Later(gate) => plan.gates.push(gate),
        }
    }
    // A template that is about to be applied makes new revisions: look again after it.
    let template_changes = plan.steps.iter().any(|step| match &step.action {
        Action::Apply { object, .. } => object.kind == "StatefulSet",
        Action::ReplaceStatefulSet { .. } => true,
        _ => false,
    });
    if template_changes {
        return;
    }
    if let Some(gate) = templates_unknown(intent, pods, seen) {
        plan.gates.push(gate);
        return;
    }
    let rollout = Rollout::of(intent, pods, seen);
    let unproven = rollout.unproven();
    // A pod that the template mends goes first: one disruptive step at a time.
    if unproven.is_none()
        && let Some((step, gate)) = rollout.replace_broken()
    {
        plan.steps.push(step);
        plan.gates.push(gate);
        return;
    }
    let heals = healing::step(intent, seen);
    let is_healing = heals.is_some();
    plan.steps.extend(heals);
    if let Some(gate) = unproven {
        plan.gates.push(gate);
        return;
    }
    if let Some(gate) = rollout.not_ready().or_else(|| rollout.surplus()) {
        plan.gates.push(gate);
        return;
    }
    if is_healing {
        return;
    }
    match (seen.patroni.present(), seen.primary()) {
        (Some(patroni), Seen::Present(primary)) => rollout.decide(patroni, &primary, plan),
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

/// The pods, and which of them are of an older template.
struct Rollout<'a> {
    intent: &'a Intent,
    seen: &'a Observation,
    pods: &'a [PodSeen],
    outdated: Vec<(&'a PodSeen, Vec<Reason>)>,
}

impl<'a> Rollout<'a> {
    fn of(intent: &'a Intent, pods: &'a [PodSeen], seen: &'a Observation) -> Self {
        let outdated = pods
            .iter()
            .map(|pod| (pod, outdated_because(intent, pod, seen)))
            .filter(|(_, because)| !because.is_empty());
        let mut outdated: Vec<_> = outdated.collect();
        // Which of several goes first does not hang on the order in which they were listed.
        outdated.sort_by_key(|(pod, _)| pod.ordinal);
        Self { intent, seen, pods, outdated }
    }

    fn reasons(&self, pod: &PodSeen) -> Option<&Vec<Reason>> {
        self.outdated.iter().find(|(old, _)| old.name == pod.name).map(|(_, because)| because)
    }

    /// Whether pods wait for the one that this is about.
    fn stands_still(&self) -> bool {
        !self.outdated.is_empty() || self.intent.instances == 1
    }

    fn gate(&self, until: impl Into<String>, because: impl Into<String>) -> Gate {
        Gate::new(Lane::Pods, until, because).stopping_rollout(self.stands_still())
    }

    /// Every wanted pod must be there, and those of the newest template must have shown that they
    /// run. Until then no other pod is touched, whatever it is like.
    fn unproven(&self) -> Option<Gate> {
        (0..self.intent.instances).find_map(|ordinal| {
            let name = format!("{}-{ordinal}", self.intent.identity.name);
            let Some(pod) = self.pods.iter().find(|pod| pod.ordinal == ordinal) else {
                // Pods are made in order: a broken one of an older template keeps the next from being
                // made, so that one goes first.
                if self.outdated.iter().any(|(pod, _)| pod.ordinal < ordinal && self.is_useless(pod)) {
                    return None;
                }
                let gate = |why: &str| self.gate(format!("{name} is ready"), why);
                return Some(match &self.seen.creation_refused {
                    Some(why) => gate(&format!("the API server refuses the pod: {why}")).stuck(),
                    None => self.held_up(ordinal).unwrap_or_else(|| gate("the pod does not exist yet")),
                });
            };
            if pod.deleting {
                return Some(self.terminating(pod));
            }
            if self.reasons(pod).is_some() {
                return None;
            }
            self.not_up(pod).or_else(|| self.just_ready(pod))
        })
    }

    /// What is wrong with an older pod that the next one of this ordinal is made after. One that crashes
    /// again and again is wrong also in the moments in which it runs.
    fn held_up(&self, ordinal: u32) -> Option<Gate> {
        let below = |lower: u32| self.pods.iter().find(|pod| pod.ordinal == lower);
        (0..ordinal).filter_map(below).find_map(|pod| self.not_up(pod))
    }

    fn terminating(&self, pod: &PodSeen) -> Gate {
        let until = format!("{} is ready", pod.name);
        match nodes::lost(pod, self.seen) {
            Some(cure) => self.gate(until, format!("the old pod is terminating; {cure}")).stuck(),
            None => self.gate(until, "the old pod is terminating"),
        }
    }

    /// Why a pod is not up, by what Kubernetes says of it.
    fn not_up(&self, pod: &PodSeen) -> Option<Gate> {
        let until = format!("{} is ready", pod.name);
        match &pod.waiting {
            Some(why) if is_stuck(pod) => return Some(self.gate(until, why.clone()).stuck()),
            Some(why) if is_passing(why) => {
                return Some(self.gate(until, why.clone()).patient(Some(SLOW_START_SECONDS)));
            }
            Some(why) => return Some(self.gate(until, why.clone())),
            None => {}
        }
        if let Some(gate) = self.unsteady(pod) {
            return Some(gate);
        }
        (!pod.ready).then(|| self.gate(until, "its containers are not ready"))
    }

    /// A container that ended and was started again is not trusted at once.
    fn unsteady(&self, pod: &PodSeen) -> Option<Gate> {
        let end = pod.restarted.as_ref()?;
        let left = STEADY_AFTER_SECONDS - self.seen.now.duration_since(end.at).as_secs();
        if left <= 0 {
            return None;
        }
        let because = format!(
            "container {} ended ({}) and was started again, {} times so far",
            end.container, end.why, end.times
        );
        let gate = self.gate(format!("{} runs steadily", pod.name), because);
        if end.times >= STUCK_AFTER_RESTARTS {
            return Some(gate.stuck());
        }
        Some(Gate { look_again_seconds: u32::try_from(left).unwrap_or(1), ..gate })
    }

    /// A pod of the newest template that is ready for a moment only, while others wait for it.
    fn just_ready(&self, pod: &PodSeen) -> Option<Gate> {
        let since = pod.ready_since.filter(|_| !self.outdated.is_empty())?;
        let left = PROVEN_AFTER_SECONDS - self.seen.now.duration_since(since).as_secs();
        (left > 0).then(|| Gate {
            look_again_seconds: u32::try_from(left).unwrap_or(1),
            ..self.gate(
                format!("{} has been ready for {PROVEN_AFTER_SECONDS} s", pod.name),
                "the next pod is touched only after the new template has proved itself",
            )
        })
    }

    /// A pod that cannot run and is not of today's template: replacing it costs nothing, and it would
    /// hold up its own repair.
    fn replace_broken(&self) -> Option<(Step, Gate)> {
        let broken = self.outdated.iter().find(|(pod, _)| !pod.deleting && self.is_useless(pod));
        let (pod, because) = broken?;
        let gate = Gate::new(Lane::Pods, format!("{} is ready", pod.name), "it cannot run and is replaced");
        Some((self.delete(pod, because.clone()), self.not_up(pod).unwrap_or(gate)))
    }

    /// Whether nothing is lost with a pod. Who might be the primary is not useless while its database
    /// runs, and without knowing who holds the lock nobody is.
    fn is_useless(&self, pod: &PodSeen) -> bool {
        let cannot_run = pod.waiting.as_deref().is_some_and(|why| !is_passing(why));
        let fails = !pod.ready && pod.age_seconds >= STUCK_AFTER_SECONDS && pod.waiting.is_none();
        let serves_nobody = cannot_run && !pod.database_runs;
        match &self.seen.leader {
            Seen::Unknown(_) => false,
            _ if pod.role_label.as_deref() == Some(PRIMARY) => serves_nobody,
            // While nobody leads and it keeps others from being made, its volume is all that counts.
            Seen::Absent => serves_nobody || (cannot_run && self.keeps_others_from_being_made(pod)),
            // Its lock outlives it where nobody can take over.
            Seen::Present(holder) if *holder == pod.name => {
                serves_nobody || (cannot_run && self.pods.len() == 1)
            }
            Seen::Present(_) => cannot_run || (fails && self.seen.primary().present().is_some()),
        }
    }

    /// Pods are made in order: whether one after this is missing that the StatefulSet has yet to make.
    fn keeps_others_from_being_made(&self, pod: &PodSeen) -> bool {
        let Seen::Present(set) = self.seen.object(&key_of(&self.intent.stateful_set)) else { return false };
        let replicas = set.body["spec"]["replicas"].as_u64().unwrap_or(0);
        let ordered = set.body["spec"]["podManagementPolicy"] != "Parallel";
        let is_missing = |ordinal: u64| self.pods.iter().all(|other| u64::from(other.ordinal) != ordinal);
        ordered && (u64::from(pod.ordinal) + 1..replicas).any(is_missing)
    }

    /// Pods of an older template that are not up and may come up. The primary among them is judged
    /// by Patroni alone: it goes last, and a broken sidecar must not keep it from going.
    fn not_ready(&self) -> Option<Gate> {
        let primary = self.seen.primary();
        let others = self.outdated.iter().filter(|(pod, _)| primary.present() != Some(&pod.name));
        others.into_iter().find_map(|(pod, _)| self.not_up(pod))
    }

    /// Pods beyond the wanted number that are still there after the StatefulSet has shrunk.
    fn surplus(&self) -> Option<Gate> {
        let surplus = self.pods.iter().find(|pod| pod.ordinal >= self.intent.instances)?;
        let live = self.seen.object(&key_of(&self.intent.stateful_set));
        let shrunk = matches!(live, Seen::Present(live)
            if live.body["spec"]["replicas"] == json!(self.intent.instances));
        let until = format!("{} is gone", surplus.name);
        shrunk.then(|| match nodes::lost(surplus, self.seen).filter(|_| surplus.deleting) {
            Some(cure) => Gate::new(Lane::Pods, until, format!("scaling down; {cure}")).stuck(),
            // A PostgreSQL that shuts down may take as long as its grace period.
            None => Gate::new(Lane::Pods, until, "scaling down").patient(Some(SLOW_START_SECONDS)),
        })
    }

    fn decide(&self, patroni: &PatroniSeen, primary: &str, plan: &mut Plan) {
        if let Some(gate) = self.member_behind(patroni) {
            // A healing step needs that nothing is outdated, this one that something is.
            plan.steps.extend(self.replace_failed(patroni, primary));
            plan.gates.push(gate);
            return;
        }
        if self.outdated.is_empty() {
            restarts::plan(self.intent, patroni, primary, self.seen, plan);
            return;
        }
        if patroni.paused {
            let because = "Patroni is paused; pods are not replaced";
            plan.gates.push(self.gate("Patroni is resumed", because).stuck());
            return;
        }
        if self.relieve(patroni, primary, plan) {
            return;
        }
        // Highest ordinal first among the replicas.
        let replicas = self.outdated.iter().filter(|(pod, _)| pod.name != primary);
        if let Some((pod, because)) = replicas.max_by_key(|(pod, _)| pod.ordinal) {
            plan.steps.push(self.delete(pod, because.clone()));
            return;
        }
        let Some((pod, because)) = self.outdated.first() else { return };
        let token = newest(self.intent, self.seen).map_or("", |(revision, _)| revision);
        if let Some(gate) = approval(self.intent, primary, token, because) {
            plan.gates.push(gate);
            return;
        }
        // From a node that goes the primary would move back at once, and so on without end.
        let demand =
            Demand { on_staying_node: nodes::leaving(pod, self.seen).is_none(), ..Demand::default() };
        match candidate::choose(self.intent, self.seen, patroni, primary, demand) {
            Ok(candidate) => plan.steps.push(Step::because(
                Action::Switchover { from: primary.to_owned(), to: candidate.name.clone() },
                because.clone(),
            )),
            Err(_) if self.pods.len() == 1 => plan.steps.push(self.delete(pod, because.clone())),
            Err(nobody) => plan.gates.push(self.gate("a replica can take over", nobody)),
        }
    }

    /// A primary in a pod that is not ready is out of reach for everybody: before a replica, perhaps the
    /// only pod that is ready, is touched, it takes over. Tells whether there is something to do.
    fn relieve(&self, patroni: &PatroniSeen, primary: &str, plan: &mut Plan) -> bool {
        let is_limping = |pod: &PodSeen| !pod.ready || self.not_up(pod).is_some_and(|gate| gate.stuck);
        let limping = self.outdated.iter().find(|(pod, _)| pod.name == primary && is_limping(pod));
        let Some((_, because)) = limping else { return false };
        let candidate = match candidate::choose(self.intent, self.seen, patroni, primary, Demand::default()) {
            Ok(candidate) => candidate,
            Err(_) if self.pods.len() == 1 => return false,
            Err(nobody) => {
                plan.gates.push(self.gate("a replica can take over", nobody));
                return true;
            }
        };
        let token = newest(self.intent, self.seen).map_or("", |(revision, _)| revision);
        match approval(self.intent, primary, token, because) {
            Some(gate) => plan.gates.push(gate),
            None => plan.steps.push(Step::because(
                Action::Switchover { from: primary.to_owned(), to: candidate.name.clone() },
                because.clone(),
            )),
        }
        true
    }

    /// No pod is touched while a member does not stream.
    fn member_behind(&self, patroni: &PatroniSeen) -> Option<Gate> {
        self.pods.iter().find_map(|pod| {
            let until = format!("{} streams", pod.name);
            match patroni.member(&pod.name) {
                Some(member) if member.is_healthy() => None,
                Some(member) => {
                    let gate = self.gate(until, format!("Patroni says it is \"{}\"", member.state));
                    // Copying a large database takes as long as it takes.
                    Some(if is_copying(&member.state) { gate.patient(None) } else { gate })
                }
                None => Some(self.gate(until, "Patroni does not list it yet")),
            }
        })
    }

    /// A replica of an older template whose PostgreSQL failed is replaced before the others: with the
    /// newer one it may run.
    fn replace_failed(&self, patroni: &PatroniSeen, primary: &str) -> Option<Step> {
        let failed = |pod: &PodSeen| {
            let state = patroni.member(&pod.name).map(|member| member.state.as_str());
            matches!(state, Some("start failed" | "crashed" | "stopped" | "restart failed" | "failed"))
        };
        let (pod, because) =
            self.outdated.iter().find(|(pod, _)| pod.name != primary && !pod.deleting && failed(pod))?;
        // One that fails with the newest template shows that this one does not mend it.
        let spoilt = self.pods.iter().any(|pod| self.reasons(pod).is_none() && failed(pod));
        (!spoilt && !patroni.paused).then(|| self.delete(pod, because.clone()))
    }

    /// The deletion of a pod; the first one for a template tries the template before.
    fn delete(&self, pod: &PodSeen, because: Vec<Reason>) -> Step {
        let proven = self.pods.iter().any(|other| self.reasons(other).is_none() && other.ready);
        let trial = match self.seen.object(&key_of(&self.intent.stateful_set)) {
            Seen::Present(set) if !proven => {
                let goes = self.seen.revisions.get(&pod.revision).and_then(Seen::present);
                let template = goes.unwrap_or(&set.body["spec"]["template"]).clone();
                Some(Box::new(Trial::of(&set.body, &pod.name, template)))
            }
            _ => None,
        };
        let (name, uid) = (pod.name.clone(), pod.uid.clone());
        Step::because(Action::DeletePod { name, uid, trial }, because)
    }
}

/// The wait for somebody's approval, where the manifest asks for one before the primary is touched.
/// The value to write follows from what is to be done: it approves that and nothing later.
pub(crate) fn approval(intent: &Intent, primary: &str, token: &str, because: &[Reason]) -> Option<Gate> {
    let given = intent.policy.approval.as_deref()?;
    if given == token && !token.is_empty() {
        return None;
    }
    let reasons: Vec<String> = because.iter().map(ToString::to_string).collect();
    let (namespace, name) = (&intent.identity.namespace, &intent.identity.name);
    let until = format!("annotation {APPROVAL_ANNOTATION} is \"{token}\"");
    let because = format!(
        "the primary {primary} is touched only when somebody approves it: `kubectl --namespace {namespace} \
         annotate --overwrite postgresql {name} '{APPROVAL_ANNOTATION}={token}'`; what for: {}",
        reasons.join("; ")
    );
    Some(Gate::new(Lane::Pods, until, because).postponed(None))
}

/// Whether a member gets its data right now.
pub(crate) fn is_copying(state: &str) -> bool {
    state.contains("creating replica") || state.contains("bootstrap") || state.contains("initializing")
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

/// Whether a pod waits for something that waiting alone may not bring. Every new pod is
/// unschedulable for a moment, until its volume is bound.
fn is_stuck(pod: &PodSeen) -> bool {
    pod.age_seconds >= STUCK_AFTER_SECONDS && pod.waiting.as_deref().is_some_and(|why| !is_passing(why))
}

/// Words that every new pod passes through.
fn is_passing(waiting: &str) -> bool {
    ["ContainerCreating", "PodInitializing"].iter().any(|word| waiting.starts_with(word))
}

/// Before the StatefulSet shrinks, the primary must be among those that stay. Keeps the
/// live number of replicas in `desired` until then and says what is awaited.
pub fn hold_scale_down(
    intent: &Intent,
    live: &ObjectSeen,
    seen: &Observation,
    desired: &mut Value,
) -> Option<Gate> {
    let wanted = u64::from(intent.instances);
    // The primary may have changed after the StatefulSet shrank, and before its pod went.
    let led = primary_beyond(intent, seen).map_or(0, |ordinal| u64::from(ordinal) + 1);
    let live_replicas = live.body["spec"]["replicas"].as_u64().unwrap_or(0).max(led);
    if wanted == 0 || live_replicas <= wanted {
        return None;
    }
    let survives = |name: &str| {
        (0..intent.instances).any(|ordinal| name == format!("{}-{ordinal}", intent.identity.name))
    };
    let why = match seen.primary() {
        // One that is stopping hands its lock to a member that may be among those to go.
        Seen::Present(primary) if survives(&primary) => match leader_state(seen) {
            // Its node may be lost, and Patroni tells what it heard last.
            Some((true, _)) if !seen.is_ready(&primary) => {
                format!("the pod of the primary {primary} is not ready")
            }
            Some((true, _)) => return None,
            Some((false, state)) => format!("the primary {primary} is \"{state}\""),
            None => format!("nothing is known of the primary {primary}"),
        },
        Seen::Present(primary) => format!("{primary} is the primary and would be removed"),
        // The one that is to go may be the only one that has it all.
        Seen::Absent => {
            "no member holds the leader lock, so nobody can tell whose data is the newest".to_owned()
        }
        Seen::Unknown(why) => why,
    };
    desired["spec"]["replicas"] = json!(live_replicas);
    Some(Gate::new(Lane::Pods, format!("the primary is below ordinal {wanted}"), why))
}

/// Whether the leader runs, and what Patroni says of it.
fn leader_state(seen: &Observation) -> Option<(bool, &str)> {
    let leader = seen.patroni.present()?.leader()?;
    Some((leader.is_healthy(), &leader.state))
}

/// Ordinal of the primary, where that is to go and its pod still stands.
fn primary_beyond(intent: &Intent, seen: &Observation) -> Option<u32> {
    let Seen::Present(primary) = seen.primary() else { return None };
    let mut pods = seen.pods.present().into_iter().flatten();
    let pod = pods.find(|pod| pod.name == primary && !pod.deleting)?;
    (pod.ordinal >= intent.instances).then_some(pod.ordinal)
}

/// The switchover that lets a scale-down go on, if it is held by the primary.
pub fn switchover_before_scale_down(intent: &Intent, seen: &Observation) -> Result<Step, String> {
    let Seen::Present(patroni) = &seen.patroni else { return Err("Patroni does not answer".to_owned()) };
    let Seen::Present(primary) = seen.primary() else { return Err("the primary is not known".to_owned()) };
    let demand = Demand { below: Some(intent.instances), ..Demand::default() };
    let candidate = candidate::choose(intent, seen, patroni, &primary, demand)?;
    Ok(Step::new(
        Action::Switchover { from: primary, to: candidate.name.clone() },
        format!("numberOfInstances is {}", intent.instances),
    ))
}

/// The wait of a part of the manifest for a maintenance window.
pub(crate) fn window_gate(intent: &Intent, seen: &Observation, because: &str) -> Gate {
    nodes::window(intent, seen, Lane::Objects, because)
}
