//! When a cluster is looked at again after a pass, if no event comes first.

use std::time::Duration;

use crate::observation::Observation;
use crate::plan::Plan;
use crate::scheduler::Next;
use crate::seen::Seen;

/// How often a cluster that is not in order is looked at when no gate says so.
const NOT_IN_ORDER: Duration = Duration::from_secs(5);
/// When Patroni is asked again that did not answer: it may have been no news yet, see
/// [`crate::status::status`].
const ASK_AGAIN: Duration = Duration::from_secs(4);

/// When to look again after a pass that made this plan and found no step to fail; `word` is the
/// status it came to.
pub fn next_look(plan: &Plan, seen: &Observation, word: &str, resync: Duration) -> Next {
    let momentary = word == "Running" && matches!(seen.patroni, Seen::Unknown(_));
    match plan.look_again_seconds() {
        Some(0) => Next::Again,
        _ if momentary => Next::Waiting(ASK_AGAIN),
        // What waits for a decision or a late hour is well, and told by an event or the resync.
        Some(seconds) if plan.is_quiet() && Duration::from_secs(u64::from(seconds)) >= resync => {
            Next::Settled
        }
        Some(seconds) => Next::Waiting(Duration::from_secs(u64::from(seconds))),
        None if word == "Running" || plan.paused => Next::Settled,
        None => Next::Waiting(NOT_IN_ORDER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Action, Lane, Step};
    use crate::plan::Gate;

    const RESYNC: Duration = Duration::from_secs(1800);

    fn next(plan: &Plan, word: &str) -> Next {
        next_look(plan, &Observation { patroni: Seen::Absent, ..Observation::default() }, word, RESYNC)
    }

    #[test]
    fn what_is_postponed_is_looked_at_in_time() {
        let later = |seconds| {
            let gate = Gate::new(Lane::Pods, "a", "b").postponed(seconds);
            next(&Plan { gates: vec![gate], ..Plan::default() }, "Running")
        };
        assert_eq!(later(None), Next::Settled);
        assert_eq!(later(Some(40)), Next::Waiting(Duration::from_secs(40)));
    }

    #[test]
    fn the_plan_and_the_status_say_when_to_look_again() {
        let steps = Plan { steps: vec![Step::new(Action::AddFinalizer, "x")], ..Plan::default() };
        let gate = |lane| Gate::new(lane, "a", "b");
        let gates = Plan { gates: vec![gate(Lane::Sql).stuck(), gate(Lane::Pods)], ..Plan::default() };
        assert_eq!(next(&steps, "Running"), Next::Again);
        assert_eq!(next(&gates, "Updating"), Next::Waiting(Duration::from_secs(1)));
        assert_eq!(next(&Plan::default(), "Running"), Next::Settled);
        assert_eq!(next(&Plan::default(), "Updating"), Next::Waiting(NOT_IN_ORDER));
    }

    #[test]
    fn patroni_that_was_silent_for_a_moment_is_asked_again_soon() {
        let seen = Observation { patroni: Seen::Unknown("late".to_owned()), ..Observation::default() };
        let gates = Plan { gates: vec![Gate::new(Lane::Pods, "a", "b")], ..Plan::default() };
        assert_eq!(next_look(&gates, &seen, "Running", RESYNC), Next::Waiting(ASK_AGAIN));
        assert_eq!(next_look(&Plan::default(), &seen, "Running", RESYNC), Next::Waiting(ASK_AGAIN));
        assert_eq!(next_look(&gates, &seen, "Updating", RESYNC), Next::Waiting(Duration::from_secs(1)));
    }
}
