//! The operator of a history: look, plan, act and report as the real one does, with what can go wrong
//! on the way to the API server and back.

use std::sync::Arc;
use std::time::Duration;

use matriarch_plan::last_look::contradiction;
use matriarch_plan::next_look::next_look;
use matriarch_plan::scheduler::{Next, Verdict};
use matriarch_plan::status::{PassResult, status};
use matriarch_plan::{
    Action, Executor, Observation, Outcome, Plan, PodSeen, Step, plan_cluster, plan_deletion,
};
use matriarch_settings::Settings;

use super::{RESYNC, Run};
use crate::eyes::{Trouble, pods_seen};
use crate::judge::Ground;
use crate::properties;
use crate::variant::Rendered;

/// Seconds for which a former leader may still finish its plan.
const GHOST_SECONDS: u64 = 8;
/// Requests that take a second until they take effect, in percent.
const SLOW_REQUESTS: u64 = 5;
/// Requests of which a second copy comes later, in percent.
const SENT_TWICE: u64 = 2;

/// What is under way from before: the rest of the plan of a former leader that does not know yet that
/// it is one, or a second copy of a request.
pub(super) struct Ghost {
    executor: Executor,
    from: u64,
    rendered: Arc<Rendered>,
    as_of: u64,
    deletes: bool,
    pods: Arc<[PodSeen]>,
    until: u64,
}

impl Run<'_> {
    /// One pass, as the operator makes it: what a cache says leads to no write. Where there is
    /// something to do, or the manifest goes, everything is read anew.
    pub(super) fn pass(&mut self, storm: bool) -> Result<Verdict, String> {
        self.passes += 1;
        let (rendered, deletes) = self.known.clone();
        self.looks_live = false;
        let plan = if deletes { None } else { Some(self.plan(&rendered, deletes, storm)?) };
        if let Some(plan) = plan.filter(|plan| plan.steps.is_empty() || plan.paused) {
            return self.finish(plan, &rendered, deletes, storm);
        }
        let (rendered, deletes) = self.manifest();
        if deletes && !self.world.manifest.finalizer {
            return Ok(Next::Asleep.into());
        }
        self.looks_live = true;
        let plan = self.plan(&rendered, deletes, storm)?;
        self.finish(plan, &rendered, deletes, storm)
    }

    /// Looks, and plans.
    fn plan(&mut self, rendered: &Arc<Rendered>, deletes: bool, storm: bool) -> Result<Plan, String> {
        let silent = if storm { 3 } else { 0 };
        let lags = if self.looks_live { 0 } else { silent };
        let (eyes, other) = match self.looks_live {
            true => (&mut self.live, &self.caches),
            false => (&mut self.caches, &self.live),
        };
        eyes.hear_of_silences(other);
        eyes.look(&self.world, rendered, &mut self.seed, Trouble { silent, lags }, deletes);
        let plan = self.planned(rendered, deletes);
        if self.saboteur.is_none() && self.looks.chance(3) {
            let mut looks = self.looks.clone();
            let again = |sight: &Observation| plan_for(rendered, &self.settings, deletes, sight);
            properties::check(self.eyes(), &plan, &mut looks, again)?;
            self.looks = looks;
        }
        Ok(plan)
    }

    /// Acts, reports, and tells when to look again.
    fn finish(
        &mut self,
        plan: Plan,
        rendered: &Arc<Rendered>,
        deletes: bool,
        storm: bool,
    ) -> Result<Verdict, String> {
        self.tell(|| plan.to_string());
        self.judge.plan(&plan)?;
        let outcomes = self.act(&plan, rendered, deletes, storm)?;
        let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        if !deletes && (!outcomes.is_empty() || plan.steps.is_empty()) {
            self.report(rendered, &plan, &outcomes)?;
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
                next_look(plan, &self.eyes().sight, &self.world.status.postgres_cluster_status, RESYNC)
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
        let result = PassResult { intent: &rendered.intent, seen: &self.eyes().sight, plan, outcomes };
        let after = status(&result, &self.world.status, now);
        let is_fresh = self.eyes().as_of() == self.world.now && self.world.last_blow < self.world.now;
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
        let mut saboteur = self.saboteur.take();
        let plan = match &mut saboteur {
            None => plan_for(rendered, &self.settings, deletes, &self.eyes().sight),
            Some(saboteur) => {
                let mut sight = self.eyes().sight.clone();
                saboteur.sight(rendered, &mut sight);
                let mut plan = plan_for(rendered, &saboteur.settings(&self.settings), deletes, &sight);
                saboteur.plan(rendered, &self.eyes().sight, deletes, &mut plan);
                plan
            }
        };
        self.saboteur = saboteur;
        plan
    }

    /// The pods as they are seen, where the plan deletes one.
    fn pods_for(&self, plan: &Plan) -> Arc<[PodSeen]> {
        let deletes = plan.steps.iter().any(|step| matches!(step.action, Action::DeletePod { .. }));
        let pods = self.eyes().sight.pods.present().filter(|_| deletes);
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
        let as_of = self.eyes().as_of();
        let pods = self.pods_for(plan);
        let ground = Ground { rendered, as_of, deletes, pods: &pods, former: false };
        let ghost = |executor, from| {
            let (rendered, pods, until) = (Arc::clone(rendered), Arc::clone(&pods), from + GHOST_SECONDS);
            Ghost { executor, from, until, rendered, as_of, deletes, pods }
        };
        while let Some(step) = executor.next_step() {
            let action = step.action.clone();
            if storm && self.seed.chance(SLOW_REQUESTS) {
                self.world.tick();
            }
            if storm && self.seed.chance(SENT_TWICE) {
                let again = Plan { steps: vec![step.clone()], ..Plan::default() };
                let from = self.world.now + 1 + self.seed.below(GHOST_SECONDS);
                self.ghost = Some(ghost(Executor::new(&again), from));
            }
            let dies = storm && self.seed.chance(3);
            let before = dies && self.seed.chance(50);
            if !before {
                let outcome = self.perform(&action, ground, storm)?;
                executor.record(outcome);
            }
            if dies {
                let lives_on = self.seed.chance(40);
                if before {
                    // The request is on its way when the process ends.
                    executor = Executor::new(plan);
                }
                self.ghost = lives_on.then(|| ghost(executor, self.world.now));
                self.restart_operator();
                return Ok(Vec::new());
            }
        }
        Ok(executor.finish())
    }

    /// The former leader takes its next step, or the second copy of a request arrives.
    pub(super) fn ghost_acts(&mut self) -> Result<(), String> {
        let Some(mut ghost) = self.ghost.take() else { return Ok(()) };
        if ghost.from > self.world.now {
            self.ghost = Some(ghost);
            return Ok(());
        }
        if ghost.until < self.world.now || self.seed.chance(30) {
            return Ok(());
        }
        let Some(action) = ghost.executor.next_step().map(|step| step.action.clone()) else { return Ok(()) };
        self.tell(|| "from before:".to_owned());
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
