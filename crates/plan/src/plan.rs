//! A plan: steps in order, gates, refusals. It can be printed, compared and executed.

use std::fmt;

use serde::Serialize;

use crate::action::{Lane, Risk, Step};
use crate::consequence::Consequence;

/// A wait, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// The lane that waits.
    pub lane: Lane,
    /// What is awaited.
    pub until: String,
    /// Why it is not so yet.
    pub because: String,
    /// When to look again, in seconds, if no event comes first.
    pub look_again_seconds: u32,
    /// It does not heal by waiting: somebody must act.
    pub stuck: bool,
    /// After how many seconds of waiting it is a problem that somebody should know of; nothing when
    /// it may take as long as it takes.
    pub problem_after_seconds: Option<u32>,
    /// It keeps pods that should be replaced from being touched: a rollout stands still.
    pub rollout: bool,
    /// What is awaited is a moment or somebody's decision; the cluster is well meanwhile.
    pub postponed: bool,
}

/// A wait of this many seconds is a problem, unless the gate says otherwise.
const PROBLEM_AFTER_SECONDS: u32 = 45;

/// What is awaited for long is looked at this often, in seconds; events come first.
const RARELY: u32 = 3600;

impl Gate {
    /// A wait that normally ends by itself.
    pub fn new(lane: Lane, until: impl Into<String>, because: impl Into<String>) -> Self {
        Self {
            lane,
            until: until.into(),
            because: because.into(),
            look_again_seconds: 1,
            stuck: false,
            problem_after_seconds: Some(PROBLEM_AFTER_SECONDS),
            rollout: false,
            postponed: false,
        }
    }

    /// A wait for a decision of somebody, or for a moment in `seconds`.
    pub fn postponed(mut self, seconds: Option<u32>) -> Self {
        self.postponed = true;
        self.problem_after_seconds = None;
        self.look_again_seconds = seconds.unwrap_or(RARELY).clamp(1, RARELY);
        self
    }

    /// A wait that is a problem after so many seconds only, or never.
    pub fn patient(mut self, seconds: Option<u32>) -> Self {
        self.problem_after_seconds = seconds;
        self
    }

    /// Marks it as one that a rollout stands still for.
    pub fn stopping_rollout(mut self, stops: bool) -> Self {
        self.rollout = stops;
        self
    }

    /// What is awaited and why, as one line.
    pub fn sentence(&self) -> String {
        format!("until {}: {}", self.until, self.because)
    }

    /// Marks it as one that waiting alone does not heal; looked at less often.
    pub fn stuck(mut self) -> Self {
        self.stuck = true;
        self.look_again_seconds = 5;
        self
    }
}

/// A difference that will not be repaired, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What was asked for.
    pub what: String,
    /// Why not, and the cure.
    pub because: String,
}

/// What to do now, what to wait for, what is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Heading, for example `cluster demo/acid-demo (team acid, generation 1)`.
    pub subject: String,
    /// In order of execution: by lane, then as planned.
    pub steps: Vec<Step>,
    /// Waits.
    pub gates: Vec<Gate>,
    /// Refusals.
    pub refusals: Vec<Refusal>,
    /// The manifest pauses the operator: the plan is published, and no step is taken.
    pub paused: bool,
}

impl Plan {
    /// Nothing to do, and nothing to wait for but moments and decisions.
    pub fn is_quiet(&self) -> bool {
        self.steps.is_empty() && self.gates.iter().all(|gate| gate.postponed)
    }

    /// Nothing to do and nothing to wait for.
    pub fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.gates.is_empty()
    }

    /// Number of steps that disrupt.
    pub fn disruptive_steps(&self) -> usize {
        self.steps.iter().filter(|step| step.action.risk() == Risk::Disruptive).count()
    }

    /// The most that its steps cost, now or later.
    pub fn consequence(&self) -> Consequence {
        self.steps.iter().map(|step| step.consequence).max().unwrap_or_default()
    }

    /// Seconds until the next look; `None`: the next event or resync will do.
    pub fn look_again_seconds(&self) -> Option<u32> {
        let gates = self.gates.iter().map(|gate| gate.look_again_seconds);
        // After a step the world must be observed again at once.
        let steps = (!self.steps.is_empty() && !self.paused).then_some(0);
        gates.chain(steps).min()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paused = if self.paused { "; paused: nothing of it is done" } else { "" };
        writeln!(f, "{}{paused}", self.subject)?;
        for step in &self.steps {
            writeln!(
                f,
                "  {:<8} {} {}\n             because {}",
                step.action.lane().word(),
                step.action.mark(),
                step.action,
                step.reasons()
            )?;
        }
        for gate in &self.gates {
            let word = match (gate.stuck, gate.postponed) {
                (true, _) => "stuck",
                (false, true) => "later",
                (false, false) => "waiting",
            };
            writeln!(f, "  {word:<8} {}: until {}; {}", gate.lane.word(), gate.until, gate.because)?;
        }
        for refusal in &self.refusals {
            writeln!(f, "  refused  {}: {}", refusal.what, refusal.because)?;
        }
        if self.is_settled() {
            return writeln!(f, "nothing to do");
        }
        writeln!(
            f,
            "{} steps, {} of them disruptive, {} waits",
            self.steps.len(),
            self.disruptive_steps(),
            self.gates.len()
        )
    }
}
