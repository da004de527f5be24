//! The executor as a state machine: it says which step is next and is told what became
//! of it. The operator and the simulated world drive the same one.

use std::collections::{BTreeMap, VecDeque};

use matriarch_cluster::policy::PAUSED_ANNOTATION;
use serde::Serialize;

use crate::action::{Action, Lane, Risk, Step};
use crate::plan::Plan;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// Done.
    Applied,
    /// The world was not as seen; harmless, the next pass looks again.
    Outdated(String),
    /// It failed; the text is the error.
    Failed(String),
    /// Not tried, because an earlier step of its lane failed.
    Skipped(String),
}

/// Walks a plan.
#[derive(Debug)]
pub struct Executor {
    waiting: VecDeque<Step>,
    current: Option<Step>,
    failed_lanes: BTreeMap<Lane, String>,
    disrupted: bool,
    paused: bool,
    done: Vec<(Step, Outcome)>,
}

impl Executor {
    /// An executor at the first step of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            waiting: plan.steps.iter().cloned().collect(),
            current: None,
            failed_lanes: BTreeMap::new(),
            disrupted: false,
            paused: plan.paused,
            done: Vec::new(),
        }
    }

    /// The next step to take; `None` when the plan is done. Steps of a lane that failed
    /// are skipped, and after one disruptive step nothing disruptive follows.
    pub fn next_step(&mut self) -> Option<&Step> {
        while let Some(step) = self.waiting.pop_front() {
            if let Some(why) = self.blocked(&step) {
                self.done.push((step, Outcome::Skipped(why)));
                continue;
            }
            self.disrupted |= step.action.risk() == Risk::Disruptive;
            self.current = Some(step);
            return self.current.as_ref();
        }
        None
    }

    fn blocked(&self, step: &Step) -> Option<String> {
        if self.paused {
            return Some(format!("the manifest has {PAUSED_ANNOTATION}"));
        }
        if self.disrupted && step.action.risk() == Risk::Disruptive {
            return Some("one disruption at a time".to_owned());
        }
        // Pods follow the objects that define them; the other lanes stand alone.
        let lane = step.action.lane();
        let depends = [lane, Lane::Objects];
        let needed = if lane == Lane::Pods { &depends[..] } else { &depends[..1] };
        needed.iter().find_map(|lane| self.failed_lanes.get(lane)).cloned()
    }

    /// Tells what became of the step that [`Self::next_step`] gave.
    pub fn record(&mut self, outcome: Outcome) {
        let Some(step) = self.current.take() else { return };
        if let Outcome::Failed(why) | Outcome::Outdated(why) = &outcome {
            // One broken Service must not keep the next one from being repaired, but a
            // finalizer that could not be set keeps everything back.
            if step.action == Action::AddFinalizer || step.action.lane() != Lane::Objects {
                self.failed_lanes.insert(step.action.lane(), why.clone());
            }
        }
        self.done.push((step, outcome));
    }

    /// All steps with their outcomes, in order.
    pub fn finish(self) -> Vec<(Step, Outcome)> {
        self.done
    }
}
