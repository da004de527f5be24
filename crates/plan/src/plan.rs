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
}

impl Gate {
    /// A wait that normally ends by itself.
    pub fn new(lane: Lane, until: impl Into<String>, because: impl Into<String>) -> Self {
        Self { lane, until: until.into(), because: because.into(), look_again_seconds: 1, stuck: false }
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
}

impl Plan {
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
        let steps = (!self.steps.is_empty()).then_some(0);
        gates.chain(steps).min()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
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
            let word = if gate.stuck { "stuck" } else { "waiting" };
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
