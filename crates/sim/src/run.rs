//! A history: the operator's loop, as the real one has it, in a world where things go wrong.

use std::sync::Arc;
use std::time::Duration;

use matriarch_plan::last_look::contradiction;
use matriarch_plan::next_look::next_look;
use matriarch_plan::scheduler::{Key, Next, Pace, Scheduler, Verdict, Why};
use matriarch_plan::status::{PassResult, status};
use matriarch_plan::{
    Action, Executor, Observation, Outcome, Plan, PodSeen, Step, plan_cluster, plan_deletion,
};
use matriarch_settings::Settings;

use crate::defect::{Defect, Saboteur};
use crate::eyes::{Eyes, Trouble, pods_seen};
use crate::judge::{Ground, Judge, Retention};
use crate::seed::Seed;
use crate::variant::{Rendered, Renderings, Variant};
use crate::world::World;
use crate::{properties, script};

/// Name of the cluster.
pub const CLUSTER: &str = "acid-sim";
/// Turns within one second of the virtual clock.
const TURNS_PER_SECOND: u32 = 4;
/// Every cluster is looked at this often.
const RESYNC: Duration = Duration::from_secs(60);
/// Seconds for which a former leader may still finish its plan.
const GHOST_SECONDS: u64 = 8;

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
        let shown = self.timeline.len().saturating_sub(200);
        self.timeline[shown..].iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "seed {}: {}", self.seed, self.property)
    }
}

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// Passes made.
    pub passes: u64,
    /// Steps that took effect.
    pub effects: u64,
    /// Pods deleted, restarts and switchovers.
    pub disruptions: u64,
    /// Seconds of the virtual clock.
    pub seconds: u64,
}

/// Runs the history of a seed.
///
/// # Errors
/// The first property that did not hold, with the timeline.
pub fn run(number: u64, renderings: &Renderings, defect: Option<Defect>) -> Result<History, Box<Failure>> {
    let attempt = |recorded| {
        let mut run = Run::new(number, renderings, defect, recorded);
        let result = script::play(&mut run);
        (result, run)
    };
    let (result, run) = attempt(false);
    if result.is_ok() {
        return Ok(run.history());
    }
    // The same again, told.
    let (result, run) = attempt(true);
    let property = result.err().unwrap_or_else(|| "a seed gives one history".to_owned());
    Err(Box::new(Failure { seed: number, property, timeline: run.timeline.unwrap_or_default() }))
}

/// A former leader that does not know yet that it is one.
struct Ghost {
    executor: Executor,
    rendered: Arc<Rendered>,
    as_of: u64,
    deletes: bool,
    pods: Arc<[PodSeen]>,
    until: u64,
}

/// A history in progress.
pub struct Run<'a> {
    renderings: &'a Renderings,
    /// Choices of the history.
    pub seed: Seed,
    /// Which properties are looked at. Apart, so that a history is the same without looking.
    looks: Seed,
    /// The world.
    pub world: World,
    /// What is counted, and what must hold.
    pub judge: Judge,
    /// The manifest as it stands.
    pub rendered: Arc<Rendered>,
    /// By what the operator deletes.
    pub settings: Settings,
    /// The last plan, when it was made without trouble and nothing disturbed it.
    pub last: Option<Plan>,
    saboteur: Option<Saboteur>,
    timeline: Option<Vec<String>>,
    /// The manifest as the operator knows it, and when it hears of the newest.
    known: (Arc<Rendered>, bool),
    heard_at: Option<u64>,
    eyes: Eyes,
    scheduler: Scheduler,
    heard_version: u64,
    ghost: Option<Ghost>,
    passes: u64,
}

fn key() -> Key {
    Key::new("sim", CLUSTER)
}

impl<'a> Run<'a> {
    fn new(number: u64, renderings: &'a Renderings, defect: Option<Defect>, recorded: bool) -> Self {
        let mut seed = Seed::new(number);
        let world = World::new(CLUSTER, Seed::new(seed.draw()));
        // Replaced by the first edit.
        let rendered = Arc::new(Rendered::default());
        Self {
            renderings,
            seed,
            looks: Seed::new(number),
            world,
            judge: Judge::default(),
            known: (Arc::clone(&rendered), false),
            rendered,
            settings: Settings::default(),
            last: None,
            saboteur: defect.map(Saboteur::new),
            timeline: recorded.then(Vec::new),
            heard_at: None,
            eyes: Eyes::default(),
            scheduler: Scheduler::new(pace()),
            heard_version: 0,
            ghost: None,
            passes: 0,
        }
    }

    fn history(&self) -> History {
        History {
            passes: self.passes,
            effects: u64::from(self.judge.effects),
            disruptions: u64::from(self.judge.disruptions),
            seconds: self.world.now,
        }
    }

    /// Writes a line into the timeline, if one is kept.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let Some(timeline) = &mut self.timeline else { return };
        let line = line();
        // A wait is said once.
        let same = timeline.last().is_some_and(|last| last.get(6..) == Some(line.as_str()));
        if !same {
            timeline.push(format!("{:>5} {line}", self.world.now));
        }
    }

    /// What the manifest becomes.
    pub fn rendering(&self, variant: Variant) -> Result<Arc<Rendered>, String> {
        self.renderings.of(CLUSTER, variant)
    }

    /// Somebody changes the manifest; the operator hears of it after so many seconds.
    pub fn edit(&mut self, rendered: Arc<Rendered>, delay: u64) {
        self.tell(|| format!("the manifest becomes {:?}", rendered.variant));
        self.judge.edit(self.world.now, rendered.variant);
        if self.world.leader_up().is_none() {
            // Which of its old members take part in the next election was asked for here.
            self.world.patroni.ended_by_us = false;
        }
        self.rendered = rendered;
        self.heard_at = Some(self.world.now + delay);
        self.last = None;
    }

    /// Somebody deletes the manifest; what the settings keep stays.
    pub fn delete(&mut self, keeps: Retention, delay: u64) {
        self.tell(|| format!("the manifest is deleted; kept: {keeps:?}"));
        self.judge.edit(self.world.now, self.rendered.variant);
        self.judge.keeps = keeps;
        self.settings.enable_secrets_deletion = !keeps.secrets;
        self.settings.enable_persistent_volume_claim_deletion = !keeps.claims;
        self.world.manifest.deleting = true;
        self.world.manifest.gone |= !self.world.manifest.finalizer;
        self.heard_at = Some(self.world.now + delay);
        self.last = None;
    }

    /// The operator is killed and started again; its plan may go on for a moment elsewhere.
    pub fn restart_operator(&mut self) {
        self.tell(|| "the operator starts anew".to_owned());
        self.eyes = Eyes::default();
        self.scheduler = Scheduler::new(pace());
        self.scheduler.wake(&key(), Why::Start, self.time());
        self.hear_manifest();
    }

    fn hear_manifest(&mut self) {
        self.heard_at = None;
        self.known = (Arc::clone(&self.rendered), self.world.manifest.deleting);
    }

    /// All that went wrong has ended.
    pub fn calm(&mut self) {
        self.ghost = None;
        self.heard_at = self.heard_at.map(|_| self.world.now);
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.world.now)
    }

    /// One second: the world, then the operator.
    ///
    /// # Errors
    /// A property that does not hold.
    pub fn second(&mut self, storm: bool) -> Result<(), String> {
        self.world.tick();
        if let Some(harm) = self.world.harm.take() {
            return Err(harm);
        }
        self.ghost_acts()?;
        self.hear(storm);
        for _ in 0..TURNS_PER_SECOND {
            let Some(turn) = self.scheduler.start(self.time()) else { break };
            let verdict = self.pass(storm)?;
            self.scheduler.finished(&turn.key, verdict, self.time());
        }
        Ok(())
    }

    /// Events; in a storm some are late and some are lost.
    fn hear(&mut self, storm: bool) {
        if self.heard_at.is_some_and(|at| at <= self.world.now) {
            self.hear_manifest();
            let why = if self.known.1 { Why::Deletion } else { Why::Manifest };
            self.scheduler.wake(&key(), why, self.time());
        }
        if self.heard_version == self.world.version || (storm && self.seed.chance(15)) {
            return;
        }
        self.heard_version = self.world.version;
        if !(storm && self.seed.chance(10)) {
            self.scheduler.wake(&key(), Why::Event("Pod"), self.time());
        }
    }

    /// One pass, as the operator makes it.
    fn pass(&mut self, storm: bool) -> Result<Verdict, String> {
        let (rendered, deletes) = self.known.clone();
        if deletes && !self.world.manifest.finalizer {
            return Ok(Next::Asleep.into());
        }
        let trouble = if storm { Trouble { silent: 3, lags: 3 } } else { Trouble::default() };
        self.eyes.look(&self.world, &rendered, &mut self.seed, trouble, deletes);
        let mut plan = self.planned(&rendered, deletes);
        self.passes += 1;
        if self.saboteur.is_none() && self.looks.chance(3) {
            let settings = &self.settings;
            let again = |sight: &Observation| plan_for(&rendered, settings, deletes, sight);
            properties::check(&self.eyes, &plan, &mut self.looks, again)?;
        }
        if let Some(saboteur) = &mut self.saboteur {
            saboteur.plan(&rendered, &self.eyes.sight, deletes, &mut plan);
        }
        self.tell(|| plan.to_string());
        self.judge.plan(&plan)?;
        let outcomes = self.act(&plan, &rendered, deletes, storm)?;
        let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        if !deletes && (!outcomes.is_empty() || plan.steps.is_empty()) {
            self.report(&rendered, &plan, &outcomes)?;
        }
        let next = self.next(&plan, deletes, failed);
        self.last = Some(plan);
        Ok(next.into())
    }

    /// As the operator's pass ends.
    fn next(&self, plan: &Plan, deletes: bool, failed: bool) -> Next {
        let gate = || Duration::from_secs(u64::from(plan.look_again_seconds().unwrap_or(1).max(1)));
        match (failed, deletes) {
            (true, _) => Next::Failed,
            (false, true) if plan.is_settled() => Next::Asleep,
            (false, true) => Next::Waiting(gate()),
            (false, false) => {
                next_look(plan, &self.eyes.sight, &self.world.status.postgres_cluster_status, RESYNC)
            }
        }
    }

    /// Writes the status, as the operator does after each pass.
    fn report(
        &mut self,
        rendered: &Rendered,
        plan: &Plan,
        outcomes: &[(Step, Outcome)],
    ) -> Result<(), String> {
        let now = self.world.moment(self.world.now);
        let result = PassResult { intent: &rendered.intent, seen: &self.eyes.sight, plan, outcomes };
        let after = status(&result, &self.world.status, now);
        let is_fresh = self.eyes.as_of() == self.world.now && self.world.last_blow < self.world.now;
        if self.saboteur.is_none() && is_fresh {
            self.judge.status(&self.world, rendered, &after)?;
        }
        if after != self.world.status {
            self.judge.effects += 1;
            self.world.status = after;
        }
        Ok(())
    }

    fn planned(&mut self, rendered: &Rendered, deletes: bool) -> Plan {
        let Some(saboteur) = &mut self.saboteur else {
            return plan_for(rendered, &self.settings, deletes, &self.eyes.sight);
        };
        let mut sight = self.eyes.sight.clone();
        saboteur.sight(rendered, &mut sight);
        plan_for(rendered, &saboteur.settings(&self.settings), deletes, &sight)
    }

    /// The pods as they are seen, where the plan deletes one.
    fn pods_for(&self, plan: &Plan) -> Arc<[PodSeen]> {
        let deletes = plan.steps.iter().any(|step| matches!(step.action, Action::DeletePod { .. }));
        let pods = self.eyes.sight.pods.present().filter(|_| deletes);
        pods.map_or_else(Arc::default, |pods| pods.as_slice().into())
    }

    /// Takes the steps. The operator may die before or after any of them.
    fn act(
        &mut self,
        plan: &Plan,
        rendered: &Arc<Rendered>,
        deletes: bool,
        storm: bool,
    ) -> Result<Vec<(Step, Outcome)>, String> {
        let mut executor = Executor::new(plan);
        let as_of = self.eyes.as_of();
        let pods = self.pods_for(plan);
        let ground = Ground { rendered, as_of, deletes, pods: &pods, former: false };
        while let Some(step) = executor.next_step() {
            let action = step.action.clone();
            let dies = storm && self.seed.chance(3);
            let before = dies && self.seed.chance(50);
            if !before {
                let outcome = self.perform(&action, ground, storm)?;
                executor.record(outcome);
            }
            if dies {
                let lives_on = self.seed.chance(40);
                let until = self.world.now + GHOST_SECONDS;
                let rendered = Arc::clone(rendered);
                if before {
                    // The request is on its way when the process ends.
                    executor = Executor::new(plan);
                }
                let pods = Arc::clone(&pods);
                let ghost = Ghost { executor, rendered, as_of, deletes, pods, until };
                self.ghost = lives_on.then_some(ghost);
                self.restart_operator();
                return Ok(Vec::new());
            }
        }
        Ok(executor.finish())
    }

    /// The former leader takes its next step.
    fn ghost_acts(&mut self) -> Result<(), String> {
        let Some(mut ghost) = self.ghost.take() else { return Ok(()) };
        if ghost.until < self.world.now || self.seed.chance(30) {
            return Ok(());
        }
        let Some(action) = ghost.executor.next_step().map(|step| step.action.clone()) else { return Ok(()) };
        self.tell(|| "the former leader acts:".to_owned());
        let rendered = Arc::clone(&ghost.rendered);
        let pods = Arc::clone(&ghost.pods);
        let ground = Ground {
            rendered: &rendered,
            as_of: ghost.as_of,
            deletes: ghost.deletes,
            pods: &pods,
            former: true,
        };
        let outcome = self.perform(&action, ground, true)?;
        ghost.executor.record(outcome);
        self.ghost = Some(ghost);
        Ok(())
    }

    /// One effect, with what can go wrong on the way to it and back.
    fn perform(&mut self, action: &Action, ground: Ground<'_>, storm: bool) -> Result<Outcome, String> {
        let action = match &self.saboteur {
            Some(saboteur) => saboteur.action(&self.world, action),
            None => action.clone(),
        };
        let luck = if storm { self.seed.below(100) } else { 100 };
        let outcome = match luck {
            0..2 => Outcome::Outdated("409 conflict".to_owned()),
            2..4 => Outcome::Failed("500 internal error".to_owned()),
            4..6 => Outcome::Failed("429 too many requests".to_owned()),
            6..10 => {
                self.effect(&action, ground)?;
                Outcome::Failed("timeout".to_owned())
            }
            10..12 => {
                // A client that tries again.
                self.effect(&action, ground)?;
                self.effect(&action, ground)?
            }
            _ => self.effect(&action, ground)?,
        };
        self.tell(|| format!("  {action}: {outcome:?}"));
        Ok(match &mut self.saboteur {
            Some(saboteur) => saboteur.outcome(&action, outcome),
            None => outcome,
        })
    }

    fn effect(&mut self, action: &Action, ground: Ground<'_>) -> Result<Outcome, String> {
        if let Action::DeletePod { name, .. } = action
            && let Some(why) = contradiction(name, ground.pods, &pods_seen(&self.world))
        {
            return Ok(Outcome::Outdated(why));
        }
        self.judge.before(&self.world, action, ground)?;
        let outcome = self.world.take(action);
        self.judge.after(self.world.now, action, &outcome);
        Ok(outcome)
    }
}

fn plan_for(rendered: &Rendered, settings: &Settings, deletes: bool, sight: &Observation) -> Plan {
    if deletes {
        plan_deletion(&rendered.intent, settings, sight)
    } else {
        plan_cluster(&rendered.intent, sight)
    }
}

/// The real one, but for a resync that comes within a history.
fn pace() -> Pace {
    Pace { resync: RESYNC, ..Pace::default() }
}
