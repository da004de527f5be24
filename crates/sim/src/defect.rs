//! Planted defects: mistakes that a planner or an executor could make. Each is planted between the
//! real ones and the world, so that the product's code stays clean, and a test shows that the
//! properties find each.

use std::collections::BTreeMap;

use matriarch_plan::difference::template_differences;
use matriarch_plan::{
    Action, Member, ObjectKey, Observation, Outcome, PatroniSeen, Plan, Reason, Risk, Seen, Step,
};
use matriarch_settings::Settings;
use serde_json::json;

use crate::variant::Rendered;
use crate::world::World;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The pod of the primary is deleted before those of the replicas.
    PrimaryFirst,
    /// Two pods are deleted in one pass.
    TwoPodsAtOnce,
    /// Where the leader or Patroni is silent, the last answer is taken.
    LastAnswerForUnknown,
    /// What could not be seen counts as not there.
    UnknownIsAbsent,
    /// The primary is who has the label, whatever the lock says.
    TrustsRoleLabel,
    /// The lag of a candidate is not looked at.
    LaggingCandidate,
    /// Deletions hit whatever has the name.
    NoUidPrecondition,
    /// A replica that is ready counts as one that streams.
    DoesNotWaitForStreaming,
    /// A pod that cannot start counts as one that runs.
    GoesOnAfterBrokenPod,
    /// The StatefulSet shrinks although the primary goes with it.
    ScalesAwayPrimary,
    /// The finalizer is removed while the rest is still there.
    FinalizerFirst,
    /// The finalizer is never set.
    NoFinalizer,
    /// Objects of others are taken for ours.
    TakesForeignObjects,
    /// Claims of removed ordinals are deleted.
    DropsClaims,
    /// A member that was handed over from is handed over from again.
    RepeatsSwitchover,
    /// Parameters shrink on the replicas first.
    ReplicasFirstOnShrink,
    /// A pod whose deletion timed out is deleted again under its new uid.
    RepeatsAfterTimeout,
    /// Pods are replaced while Patroni is paused.
    IgnoresPatroniPause,
    /// Repairs of the template are rolled out at a take-over.
    RaisesLevelAtTakeOver,
    /// A StatefulSet is replaced together with its pods.
    ReplacesWithPods,
    /// Pods of another revision are replaced although nothing differs that they need.
    RollsOnFalseDifference,
    /// Something is written in every pass.
    AlwaysWrites,
    /// Patroni's objects are deleted while it lives.
    PatroniObjectsFirst,
    /// Claims are deleted with the cluster although the settings keep them.
    DeletesKeptClaims,
    /// Secrets are deleted with the cluster although the settings keep them.
    DeletesKeptSecrets,
    /// Pending restarts stay pending.
    ForgetsRestarts,
    /// A step that failed counts as done.
    FailureIsSuccess,
    /// Waits have no end: nothing is looked at again without an event.
    GatesWithoutTimer,
    /// What was refused is done all the same.
    TakesRefusedDifference,
    /// Whoever began to make the first database is waited for, even if it is gone.
    WaitsForTheGone,
    /// A data directory that is no database is kept, whoever waits for it.
    KeepsWhatIsNoDatabase,
}

impl Defect {
    /// Every planted defect.
    pub const ALL: [Self; 31] = [
        Self::PrimaryFirst,
        Self::TwoPodsAtOnce,
        Self::LastAnswerForUnknown,
        Self::UnknownIsAbsent,
        Self::TrustsRoleLabel,
        Self::LaggingCandidate,
        Self::NoUidPrecondition,
        Self::DoesNotWaitForStreaming,
        Self::GoesOnAfterBrokenPod,
        Self::ScalesAwayPrimary,
        Self::FinalizerFirst,
        Self::NoFinalizer,
        Self::TakesForeignObjects,
        Self::DropsClaims,
        Self::RepeatsSwitchover,
        Self::ReplicasFirstOnShrink,
        Self::RepeatsAfterTimeout,
        Self::IgnoresPatroniPause,
        Self::RaisesLevelAtTakeOver,
        Self::ReplacesWithPods,
        Self::RollsOnFalseDifference,
        Self::AlwaysWrites,
        Self::PatroniObjectsFirst,
        Self::DeletesKeptClaims,
        Self::DeletesKeptSecrets,
        Self::ForgetsRestarts,
        Self::FailureIsSuccess,
        Self::GatesWithoutTimer,
        Self::TakesRefusedDifference,
        Self::WaitsForTheGone,
        Self::KeepsWhatIsNoDatabase,
    ];
}

/// A defect at work, with what it remembers.
#[derive(Clone, Debug)]
pub struct Saboteur {
    defect: Defect,
    leader: Seen<String>,
    patroni: Seen<PatroniSeen>,
    timed_out: Option<String>,
    handed_over: Option<String>,
}

impl Saboteur {
    /// Plants a defect.
    pub fn new(defect: Defect) -> Self {
        let (leader, patroni) = (Seen::Absent, Seen::Absent);
        Self { defect, leader, patroni, timed_out: None, handed_over: None }
    }

    /// The settings by which a deletion is planned.
    pub fn settings(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        match self.defect {
            Defect::DeletesKeptClaims => settings.enable_persistent_volume_claim_deletion = true,
            Defect::DeletesKeptSecrets => settings.enable_secrets_deletion = true,
            _ => {}
        }
        settings
    }

    /// What the planner gets to see.
    pub fn sight(&mut self, rendered: &Rendered, sight: &mut Observation) {
        match self.defect {
            Defect::LastAnswerForUnknown => self.remember(sight),
            Defect::UnknownIsAbsent => unknown_is_absent(sight),
            Defect::TrustsRoleLabel => trust_label(sight),
            Defect::LaggingCandidate => {
                members(sight).for_each(|member| member.lag_bytes = Some(0));
            }
            Defect::DoesNotWaitForStreaming => all_stream(sight),
            Defect::GoesOnAfterBrokenPod => {
                if let Seen::Present(pods) = &mut sight.pods {
                    for pod in pods {
                        pod.ready |= !pod.deleting;
                        pod.waiting = None;
                    }
                }
                all_stream(sight);
            }
            Defect::TakesForeignObjects => {
                for seen in sight.objects.values_mut() {
                    if let Seen::Present(live) = seen {
                        for (key, value) in &rendered.intent.selector {
                            live.body["metadata"]["labels"][key] = json!(value);
                        }
                    }
                }
            }
            Defect::IgnoresPatroniPause => {
                if let Seen::Present(patroni) = &mut sight.patroni {
                    patroni.paused = false;
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, sight: &mut Observation) {
        if sight.leader.unknown().is_some() {
            sight.leader = self.leader.clone();
        }
        if sight.patroni.unknown().is_some() {
            sight.patroni = self.patroni.clone();
        }
        self.leader = sight.leader.clone();
        self.patroni = sight.patroni.clone();
    }

    /// What the planner planned.
    pub fn plan(&mut self, rendered: &Rendered, seen: &Observation, deletes: bool, plan: &mut Plan) {
        match self.defect {
            Defect::PrimaryFirst => primary_first(seen, plan),
            Defect::TwoPodsAtOnce => two_pods(seen, plan),
            Defect::ScalesAwayPrimary if !deletes => scale_away(rendered, plan),
            Defect::FinalizerFirst if deletes => plan.steps.insert(0, step(Action::RemoveFinalizer)),
            Defect::NoFinalizer => plan.steps.retain(|step| step.action != Action::AddFinalizer),
            Defect::DropsClaims if !deletes => drop_claims(rendered, seen, plan),
            Defect::RepeatsSwitchover => self.repeat_switchover(seen, plan),
            Defect::ReplicasFirstOnShrink => replicas_first(seen, plan),
            Defect::RepeatsAfterTimeout => self.repeat_deletion(seen, plan),
            Defect::RaisesLevelAtTakeOver if !deletes && plan.is_settled() => {
                raise_level(rendered, seen, plan)
            }
            Defect::RollsOnFalseDifference if !deletes && plan.is_settled() => roll_falsely(seen, plan),
            Defect::AlwaysWrites if !deletes => {
                let object = rendered.intent.services[0].clone();
                plan.steps.push(step(Action::Apply { object, creates: false, whole_lists: Vec::new() }));
            }
            Defect::PatroniObjectsFirst if deletes => {
                for object in seen.patroni_objects.present().into_iter().flatten() {
                    let (key, uid) = (object.key.clone(), object.uid.clone());
                    plan.steps.push(step(Action::Delete { key, uid }));
                }
            }
            Defect::TakesRefusedDifference => {
                let object = rendered.intent.stateful_set.clone();
                let refused = plan.refusals.iter().any(|refusal| refusal.what.starts_with("StatefulSet"));
                if refused
                    && let Seen::Present(live) = seen.object(&ObjectKey::new(&object.kind, &object.name))
                {
                    let uid = live.uid.clone();
                    plan.steps.push(step(Action::ReplaceStatefulSet { object, uid }));
                }
            }
            Defect::WaitsForTheGone => {
                plan.steps.retain(|step| !matches!(step.action, Action::FreeInitializeKey { .. }));
            }
            Defect::KeepsWhatIsNoDatabase if !deletes && seen.leader == Seen::Absent => {
                plan.steps.retain(|step| !matches!(step.action, Action::DeleteClaim { .. }));
            }
            Defect::ForgetsRestarts => {
                plan.steps.retain(|step| !matches!(step.action, Action::RestartMember { .. }));
            }
            Defect::GatesWithoutTimer => {
                plan.gates.iter_mut().for_each(|gate| gate.look_again_seconds = u32::MAX);
            }
            _ => {}
        }
    }

    fn repeat_switchover(&mut self, seen: &Observation, plan: &mut Plan) {
        let Some(old) = self.handed_over.clone() else { return };
        let Seen::Present(primary) = seen.primary() else { return };
        for step in &mut plan.steps {
            if matches!(&step.action, Action::DeletePod { name, .. } if *name == old) {
                step.action = Action::Switchover { from: primary.clone(), to: old.clone() };
                self.handed_over = Some(primary.clone());
            }
        }
    }

    fn repeat_deletion(&self, seen: &Observation, plan: &mut Plan) {
        let Some(name) = &self.timed_out else { return };
        let pods = seen.pods.present().into_iter().flatten();
        let again = pods.into_iter().find(|pod| pod.name == *name && !pod.deleting && pod.age_seconds < 60);
        if let Some(pod) = again {
            plan.steps.insert(0, delete_pod(&pod.name, &pod.uid));
        }
    }

    /// What is done in the place of an action.
    pub fn action(&self, world: &World, action: &Action) -> Action {
        let mut action = action.clone();
        match (self.defect, &mut action) {
            (Defect::NoUidPrecondition, Action::DeletePod { name, uid, .. }) => {
                let pod = world.ordinal(name).and_then(|ordinal| world.pods.get(&ordinal));
                if let Some(pod) = pod {
                    uid.clone_from(&pod.uid);
                }
            }
            (Defect::ReplacesWithPods, Action::ReplaceStatefulSet { object, uid }) => {
                let key = ObjectKey::new(&object.kind, &object.name);
                action = Action::Delete { key, uid: uid.clone() };
            }
            _ => {}
        }
        action
    }

    /// What the executor is told of an outcome.
    pub fn outcome(&mut self, action: &Action, outcome: Outcome) -> Outcome {
        match (self.defect, action, &outcome) {
            (Defect::RepeatsAfterTimeout, Action::DeletePod { name, .. }, Outcome::Failed(why))
                if why.contains("timeout") =>
            {
                self.timed_out = Some(name.clone());
            }
            (Defect::RepeatsAfterTimeout, Action::DeletePod { name, .. }, Outcome::Applied)
                if self.timed_out.as_ref() == Some(name) =>
            {
                self.timed_out = None;
            }
            (Defect::RepeatsSwitchover, Action::Switchover { from, .. }, Outcome::Applied) => {
                self.handed_over = Some(from.clone());
            }
            (Defect::FailureIsSuccess, _, Outcome::Failed(_) | Outcome::Outdated(_)) => {
                return Outcome::Applied;
            }
            _ => {}
        }
        outcome
    }
}

fn step(action: Action) -> Step {
    Step::new(action, "a planted defect")
}

fn delete_pod(name: &str, uid: &str) -> Step {
    step(Action::DeletePod { name: name.to_owned(), uid: uid.to_owned(), trial: None })
}

fn members(sight: &mut Observation) -> impl Iterator<Item = &mut Member> {
    let patroni = match &mut sight.patroni {
        Seen::Present(patroni) => Some(patroni),
        _ => None,
    };
    patroni.into_iter().flat_map(|patroni| &mut patroni.members)
}

fn unknown_is_absent(sight: &mut Observation) {
    for seen in sight.objects.values_mut().filter(|seen| seen.unknown().is_some()) {
        *seen = Seen::Absent;
    }
    if sight.pods.unknown().is_some() {
        sight.pods = Seen::Present(Vec::new());
    }
    if sight.claims.unknown().is_some() {
        sight.claims = Seen::Absent;
    }
    if sight.leader.unknown().is_some() {
        sight.leader = Seen::Absent;
    }
}

fn trust_label(sight: &mut Observation) {
    let labelled = sight
        .pods
        .present()
        .into_iter()
        .flatten()
        .find(|pod| pod.role_label.as_deref() == Some("master"))
        .map(|pod| pod.name.clone());
    let Some(labelled) = labelled else { return };
    for member in members(sight) {
        let leads = member.name == labelled;
        if leads != member.is_leader() {
            member.role = if leads { "leader" } else { "replica" }.to_owned();
            member.state = if leads { "running" } else { "streaming" }.to_owned();
        }
    }
    sight.leader = Seen::Present(labelled);
}

fn all_stream(sight: &mut Observation) {
    let pods = sight.pods.present().cloned().unwrap_or_default();
    let Seen::Present(patroni) = &mut sight.patroni else { return };
    for pod in pods.iter().filter(|pod| pod.ready) {
        match patroni.members.iter_mut().find(|member| member.name == pod.name) {
            Some(member) if member.is_leader() => member.state = "running".to_owned(),
            Some(member) => member.state = "streaming".to_owned(),
            None => patroni.members.push(Member {
                name: pod.name.clone(),
                role: "replica".to_owned(),
                state: "streaming".to_owned(),
                lag_bytes: Some(0),
                ..Member::default()
            }),
        }
    }
}

fn primary_first(seen: &Observation, plan: &mut Plan) {
    let Seen::Present(primary) = seen.primary() else { return };
    let pods = seen.pods.present().into_iter().flatten();
    let Some(pod) = pods.into_iter().find(|pod| pod.name == primary) else { return };
    for step in &mut plan.steps {
        if matches!(step.action, Action::DeletePod { .. }) {
            step.action = delete_pod(&pod.name, &pod.uid).action;
        }
    }
}

fn two_pods(seen: &Observation, plan: &mut Plan) {
    let deleted = plan.steps.iter().find_map(|step| match &step.action {
        Action::DeletePod { name, .. } => Some(name.clone()),
        _ => None,
    });
    let Some(deleted) = deleted else { return };
    let pods = seen.pods.present().into_iter().flatten();
    if let Some(pod) = pods.into_iter().find(|pod| pod.name != deleted) {
        plan.steps.push(delete_pod(&pod.name, &pod.uid));
    }
}

fn scale_away(rendered: &Rendered, plan: &mut Plan) {
    let held = plan.gates.iter().any(|gate| gate.until.contains("the primary is below ordinal"));
    if held {
        plan.steps.retain(|step| step.action.risk() != Risk::Disruptive);
        let object = rendered.intent.stateful_set.clone();
        plan.steps.push(step(Action::Apply { object, creates: false, whole_lists: Vec::new() }));
    }
}

fn drop_claims(rendered: &Rendered, seen: &Observation, plan: &mut Plan) {
    for claim in seen.claims.present().into_iter().flatten() {
        let ordinal = claim.name.rsplit('-').next().and_then(|text| text.parse::<u32>().ok());
        if ordinal.is_some_and(|ordinal| ordinal >= rendered.intent.instances) && !claim.deleting {
            let key = ObjectKey::new("PersistentVolumeClaim", &claim.name);
            plan.steps.push(step(Action::Delete { key, uid: claim.uid.clone() }));
        }
    }
}

fn replicas_first(seen: &Observation, plan: &mut Plan) {
    let (Seen::Present(primary), Some(patroni)) = (seen.primary(), seen.patroni.present()) else { return };
    let other =
        patroni.members.iter().find(|member| member.name != primary && member.pending_restart.is_some());
    let Some(other) = other else { return };
    for step in &mut plan.steps {
        if matches!(&step.action, Action::RestartMember { name } if *name == primary) {
            step.action = Action::RestartMember { name: other.name.clone() };
        }
    }
}

fn raise_level(rendered: &Rendered, seen: &Observation, plan: &mut Plan) {
    let object = &rendered.intent.stateful_set;
    let Seen::Present(live) = seen.object(&ObjectKey::new(&object.kind, &object.name)) else { return };
    let annotations = |body: &serde_json::Value| -> BTreeMap<String, serde_json::Value> {
        body["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    if annotations(&live.body) != annotations(&object.body) {
        let object = object.clone();
        plan.steps.push(step(Action::Apply { object, creates: false, whole_lists: Vec::new() }));
    }
}

fn roll_falsely(seen: &Observation, plan: &mut Plan) {
    let set = seen.objects.iter().find(|(key, _)| key.kind == "StatefulSet").map(|(_, set)| set);
    let Some(Seen::Present(set)) = set else { return };
    let newest = set.body["status"]["updateRevision"].as_str().unwrap_or_default();
    let primary = seen.primary();
    let pods = seen.pods.present().into_iter().flatten();
    let other = pods.into_iter().find(|pod| {
        let older = seen.revisions.get(&pod.revision).and_then(Seen::present);
        let same =
            older.is_some_and(|older| template_differences(&set.body["spec"]["template"], older).is_empty());
        pod.revision != newest && same && primary.present() != Some(&pod.name)
    });
    if let Some(pod) = other {
        let because = vec![Reason::new(format!("revision {} → {newest}", pod.revision))];
        plan.steps.push(Step::because(delete_pod(&pod.name, &pod.uid).action, because));
    }
}
