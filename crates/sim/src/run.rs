//! A history: a cluster is created, changed and deleted, while sources fail, pods die and
//! the operator crashes between any two steps. Properties are checked at every step.

use matriarch_cluster::{Cluster, Intent, render};
use matriarch_plan::{Action, Executor, Observation, Plan, Risk, Seen, plan_cluster, plan_deletion};
use matriarch_settings::Settings;
use serde_json::{Value, json};

use crate::observe::observe;
use crate::seed::Seed;
use crate::world::{BROKEN_IMAGE, World};

/// Passes within which a cooperative world must settle.
const PASSES_TO_SETTLE: u32 = 300;

/// A property that did not hold.
#[derive(Debug)]
pub struct Failure {
    /// Number of the seed.
    pub seed: u64,
    /// What did not hold.
    pub property: String,
    /// Plans and events up to then.
    pub timeline: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.property)?;
        self.timeline.iter().rev().take(40).rev().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// What a history came to.
#[derive(Debug, Default)]
pub struct History {
    /// Passes made.
    pub passes: u32,
    /// Disruptive steps taken.
    pub disruptions: u32,
}

struct Run {
    number: u64,
    seed: Seed,
    world: World,
    settings: Settings,
    timeline: Vec<String>,
    history: History,
}

/// Runs the history of a seed.
///
/// # Errors
/// The first property that did not hold, with the timeline.
pub fn run(number: u64) -> Result<History, Failure> {
    let mut run = Run {
        number,
        seed: Seed::new(number),
        world: World::new("acid-sim"),
        settings: Settings::default(),
        timeline: Vec::new(),
        history: History::default(),
    };
    let instances = 1 + run.seed.below(3);
    let mut manifest = manifest(instances);
    run.settle(&manifest, 20)?;
    manifest["spec"]["dockerImage"] = json!(BROKEN_IMAGE);
    run.disturb(&manifest, 40)?;
    let broken = run.world.pods.values().filter(|pod| pod.is_broken()).count();
    run.check(broken <= 1, "a bad image costs at most one member")?;
    manifest["spec"]["dockerImage"] = json!("registry.example/instance:2");
    run.settle(&manifest, 20)?;
    manifest["spec"]["numberOfInstances"] = json!(1 + run.seed.below(3));
    run.settle(&manifest, 20)?;
    let pods: Vec<String> = run.world.pods.values().map(|pod| pod.uid.clone()).collect();
    manifest["spec"]["volume"]["size"] = json!("2Gi");
    run.settle_quietly(&manifest)?;
    let after: Vec<String> = run.world.pods.values().map(|pod| pod.uid.clone()).collect();
    run.check(pods == after, "pods stay when the StatefulSet is replaced")?;
    run.delete(&manifest)?;
    Ok(run.history)
}

fn manifest(instances: u64) -> Value {
    json!({
    "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
    "metadata": {"name": "acid-sim", "namespace": "sim", "uid": "1", "generation": 1},
    "spec": {
        "teamId": "acid", "numberOfInstances": instances, "volume": {"size": "1Gi"},
        "postgresql": {"version": "17", "parameters": {"work_mem": "8MB"}},
        "dockerImage": "registry.example/instance:1",
        "users": {"owner": ["createdb"], "app": null}, "databases": {"app": "owner"},
    }})
}

impl Run {
    fn check(&self, holds: bool, property: &str) -> Result<(), Failure> {
        if holds {
            return Ok(());
        }
        Err(Failure { seed: self.number, property: property.to_owned(), timeline: self.timeline.clone() })
    }

    fn intent(&self, manifest: &Value) -> Result<Intent, Failure> {
        match Cluster::validate(manifest, &self.settings) {
            Ok(cluster) => Ok(render(&cluster, &self.settings)),
            Err(problems) => Err(Failure {
                seed: self.number,
                property: format!("the manifest is accepted: {problems:?}"),
                timeline: self.timeline.clone(),
            }),
        }
    }

    /// Passes with faults, and then without until nothing is left to do.
    fn settle(&mut self, manifest: &Value, faulty_passes: u32) -> Result<(), Failure> {
        self.disturb(manifest, faulty_passes)?;
        let intent = self.intent(manifest)?;
        for _ in 0..PASSES_TO_SETTLE {
            if self.pass(&intent, 0)?.is_settled() {
                let up = self.world.pods.values().filter(|pod| pod.is_up()).count();
                return self.check(up == intent.instances as usize, "a settled cluster has all members");
            }
        }
        self.check(false, "a cooperative world settles")
    }

    /// As [`Self::settle`], with sources that fail but pods that do not.
    fn settle_quietly(&mut self, manifest: &Value) -> Result<(), Failure> {
        let intent = self.intent(manifest)?;
        for _ in 0..20 {
            self.pass(&intent, 10)?;
        }
        self.settle(manifest, 0)
    }

    fn disturb(&mut self, manifest: &Value, passes: u32) -> Result<(), Failure> {
        let intent = self.intent(manifest)?;
        for _ in 0..passes {
            self.pass(&intent, 10)?;
            if self.seed.chance(3) {
                self.crash_a_pod();
            }
        }
        Ok(())
    }

    fn crash_a_pod(&mut self) {
        let count = self.world.pods.len() as u64;
        let victim = usize::try_from(self.seed.below(count)).unwrap_or(0);
        if let Some(pod) = self.world.pods.values_mut().nth(victim) {
            pod.starting = pod.starting.max(3);
            self.timeline.push("a pod crashes".to_owned());
        }
    }

    fn pass(&mut self, intent: &Intent, faults: u64) -> Result<Plan, Failure> {
        let seen = observe(&self.world, intent, &mut self.seed, faults);
        let plan = plan_cluster(intent, &seen);
        self.timeline.push(plan.to_string());
        self.check(plan.disruptive_steps() <= 1, "at most one disruptive step per plan")?;
        self.check(plan == plan_cluster(intent, &seen), "planning is deterministic")?;
        self.check_disruption(intent, &plan, &seen)?;
        self.act(&plan, faults)?;
        self.world.tick();
        self.history.passes += 1;
        Ok(plan)
    }

    fn check_disruption(&mut self, intent: &Intent, plan: &Plan, seen: &Observation) -> Result<(), Failure> {
        for step in &plan.steps {
            self.check(!step.because.is_empty(), "every step has a reason")?;
            self.check(
                !matches!(&step.action, Action::Delete { key, .. }
                    if !intent.unwanted.iter().any(|unwanted| unwanted.name == key.name)),
                "nothing wanted is removed while the manifest stands",
            )?;
            if step.action.risk() != Risk::Disruptive {
                continue;
            }
            self.history.disruptions += 1;
            if let Action::DeletePod { name, .. } = &step.action {
                let primary = seen.primary();
                let is_primary = primary.present() == Some(name);
                self.check(
                    !is_primary || self.world.pods.len() == 1,
                    "the primary is not recreated while there is a replica",
                )?;
                let broken = seen
                    .pods
                    .present()
                    .into_iter()
                    .flatten()
                    .any(|pod| pod.name == *name && pod.waiting.is_some());
                self.check(
                    broken || matches!(primary, Seen::Present(_)),
                    "no running pod is recreated while the primary is unknown",
                )?;
            }
        }
        Ok(())
    }

    /// Takes the steps; in a faulty world the operator may die after any of them.
    fn act(&mut self, plan: &Plan, faults: u64) -> Result<(), Failure> {
        let mut executor = Executor::new(plan);
        while let Some(step) = executor.next_step() {
            let action = step.action.clone();
            let outcome = self.world.take(&action);
            self.timeline.push(format!("  {action}: {outcome:?}"));
            executor.record(outcome);
            if faults > 0 && self.seed.chance(5) {
                self.timeline.push("the operator dies".to_owned());
                return Ok(());
            }
        }
        Ok(())
    }

    fn delete(&mut self, manifest: &Value) -> Result<(), Failure> {
        let intent = self.intent(manifest)?;
        for pass in 0..PASSES_TO_SETTLE {
            let faults = if pass < 20 { 10 } else { 0 };
            let seen = observe(&self.world, &intent, &mut self.seed, faults);
            let plan = plan_deletion(&intent, &self.settings, &seen);
            self.timeline.push(plan.to_string());
            let ends = plan.steps.iter().any(|step| step.action == Action::RemoveFinalizer);
            let empty =
                self.world.pods.is_empty() && self.world.claims.is_empty() && self.world.secrets.is_empty();
            self.check(!ends || empty, "the finalizer goes last")?;
            self.act(&plan, faults)?;
            self.world.tick();
            if !self.world.finalizer {
                return self.check(
                    self.world
                        .objects
                        .keys()
                        .all(|key| matches!(key.kind.as_str(), "ServiceAccount" | "RoleBinding")),
                    "only the shared account and its binding remain",
                );
            }
        }
        self.check(false, "a deletion completes")
    }
}
