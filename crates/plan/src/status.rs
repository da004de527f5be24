//! Status: the contract's word and our conditions, from what was planned, done and seen.

use jiff::Timestamp;
use matriarch_api::{Condition, PostgresqlStatus, Problem};
use matriarch_cluster::Intent;

use crate::action::{Action, Lane, Step};
use crate::executor::Outcome;
use crate::observation::Observation;
use crate::plan::Plan;
use crate::seen::Seen;

/// A condition before it gets its times.
struct Verdict {
    kind: &'static str,
    holds: Option<bool>,
    reason: &'static str,
    message: String,
}

/// What one pass found out, for [`status`].
pub struct PassResult<'a> {
    /// What should exist.
    pub intent: &'a Intent,
    /// What was seen before acting.
    pub seen: &'a Observation,
    /// What was planned.
    pub plan: &'a Plan,
    /// What became of the steps.
    pub outcomes: &'a [(Step, Outcome)],
}

impl PassResult<'_> {
    /// What failed, one text per step.
    pub fn failures(&self) -> Vec<String> {
        self.outcomes
            .iter()
            .filter_map(|(step, outcome)| match outcome {
                Outcome::Failed(why) => Some(format!("{}: {why}", step.action)),
                _ => None,
            })
            .collect()
    }

    fn streaming(&self) -> usize {
        let Seen::Present(patroni) = &self.seen.patroni else { return 0 };
        patroni.members.iter().filter(|member| member.is_healthy()).count()
    }

    fn creates_stateful_set(&self) -> bool {
        self.plan.steps.iter().any(|step| {
            matches!(&step.action, Action::Apply { object, creates: true, .. } if object.kind == "StatefulSet")
        })
    }
}

/// Status after a pass over a valid manifest.
pub fn status(pass: &PassResult<'_>, before: &PostgresqlStatus, now: Timestamp) -> PostgresqlStatus {
    let failures = pass.failures();
    let wanted = pass.intent.instances as usize;
    let ready = is_ready(pass, wanted);
    let was_running = condition(before, "Ready").is_some_and(|ready| ready.reason == "Streaming")
        || before.postgres_cluster_status == "Running";
    let ever_ran = was_running
        || matches!(before.postgres_cluster_status.as_str(), "Updating" | "UpdateFailed" | "SyncFailed");
    let word = match (failures.is_empty(), ready, ever_ran) {
        (false, _, false) => "CreateFailed",
        (false, _, true) => "SyncFailed",
        (true, true, _) => "Running",
        (true, false, true) if !pass.creates_stateful_set() => "Updating",
        (true, false, _) => "Creating",
    };
    let verdicts = [
        valid(),
        ready_verdict(pass, ready, wanted),
        progressing(pass, &failures),
        degraded(pass, &failures, ever_ran),
    ];
    let labels = pass.intent.selector.iter().map(|(key, value)| format!("{key}={value}"));
    PostgresqlStatus {
        postgres_cluster_status: word.to_owned(),
        number_of_instances: Some(i32::try_from(pod_count(pass.seen)).unwrap_or(i32::MAX)),
        label_selector: Some(labels.collect::<Vec<_>>().join(",")),
        observed_generation: Some(pass.intent.identity.generation),
        conditions: conditions(verdicts, before, pass.intent.identity.generation, now),
    }
}

/// Status of a manifest that is refused; `word` is the contract's for these problems.
pub fn refused(
    problems: &[Problem],
    word: &str,
    generation: i64,
    before: &PostgresqlStatus,
    now: Timestamp,
) -> PostgresqlStatus {
    let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let verdicts = [
        Verdict { kind: "Valid", holds: Some(false), reason: "InvalidManifest", message: message.clone() },
        Verdict {
            kind: "Ready",
            // A cluster that runs goes on running; nothing was observed this time.
            holds: condition(before, "Ready").map(|ready| ready.status == "True").or(Some(false)),
            reason: "InvalidManifest",
            message: "the manifest is refused; a running cluster is left as it is".to_owned(),
        },
        Verdict {
            kind: "Progressing",
            holds: Some(false),
            reason: "InvalidManifest",
            message: "waiting for a corrected manifest".to_owned(),
        },
    ];
    PostgresqlStatus {
        postgres_cluster_status: word.to_owned(),
        observed_generation: Some(generation),
        conditions: conditions(verdicts, before, generation, now),
        ..before.clone()
    }
}

fn is_ready(pass: &PassResult<'_>, wanted: usize) -> bool {
    if wanted == 0 {
        return pod_count(pass.seen) == 0 && pass.plan.is_settled();
    }
    let primary = matches!(pass.seen.primary(), Seen::Present(_));
    // Steps that were planned are applied by now, but not observed: the next pass says.
    primary && pass.streaming() >= wanted && pass.plan.is_settled()
}

fn valid() -> Verdict {
    Verdict {
        kind: "Valid",
        holds: Some(true),
        reason: "Accepted",
        message: "all fields are understood".to_owned(),
    }
}

fn ready_verdict(pass: &PassResult<'_>, ready: bool, wanted: usize) -> Verdict {
    let streaming = pass.streaming();
    let message = match pass.seen.primary() {
        Seen::Present(primary) => format!("primary {primary}; {streaming} of {wanted} members up"),
        Seen::Absent => format!("no primary yet; {streaming} of {wanted} members up"),
        Seen::Unknown(why) => format!("the primary is not known: {why}"),
    };
    let reason = if ready { "Streaming" } else { "NotReady" };
    Verdict { kind: "Ready", holds: Some(ready), reason, message }
}

fn progressing(pass: &PassResult<'_>, failures: &[String]) -> Verdict {
    if let Some(step) = pass.plan.steps.first() {
        let reason = if failures.is_empty() { "Acting" } else { "Retrying" };
        let message = format!("{} ({})", step.action, step.reasons());
        return Verdict { kind: "Progressing", holds: Some(true), reason, message: cut(message) };
    }
    match pass.plan.gates.first() {
        Some(gate) => Verdict {
            kind: "Progressing",
            holds: Some(true),
            reason: "Waiting",
            message: cut(format!("until {}: {}", gate.until, gate.because)),
        },
        None => Verdict {
            kind: "Progressing",
            holds: Some(false),
            reason: "Settled",
            message: "everything is as the manifest says".to_owned(),
        },
    }
}

fn degraded(pass: &PassResult<'_>, failures: &[String], ever_ran: bool) -> Verdict {
    let stuck = pass.plan.gates.iter().find(|gate| gate.stuck);
    let (holds, reason, message) = if let Some(failure) = failures.first() {
        (true, "StepFailed", failure.clone())
    } else if let Some(gate) = stuck {
        let reason = if ever_ran && gate.lane == Lane::Pods { "RolloutBlocked" } else { "MemberStuck" };
        (true, reason, format!("until {}: {}", gate.until, gate.because))
    } else if let Some(refusal) = pass.plan.refusals.first() {
        (true, "ChangeRefused", format!("{}: {}", refusal.what, refusal.because))
    } else {
        (false, "AsExpected", "nothing is refused, failed or stuck".to_owned())
    };
    Verdict { kind: "Degraded", holds: Some(holds), reason, message: cut(message) }
}

fn pod_count(seen: &Observation) -> usize {
    seen.pods.present().map_or(0, Vec::len)
}

fn cut(message: String) -> String {
    const MOST: usize = 1000;
    if message.chars().count() <= MOST { message } else { message.chars().take(MOST).collect() }
}

fn condition<'a>(status: &'a PostgresqlStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Adds times: a condition keeps its transition time while its status stays.
fn conditions(
    verdicts: impl IntoIterator<Item = Verdict>,
    before: &PostgresqlStatus,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let add_time = |verdict: Verdict| {
        let status = match verdict.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let since = since(condition(before, verdict.kind), status, now);
        Condition {
            type_: verdict.kind.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message,
            last_transition_time: since,
            observed_generation: Some(generation),
        }
    };
    verdicts.into_iter().map(add_time).collect()
}

/// When a condition took its status: it keeps the time of `before` while the status stays.
pub fn since(before: Option<&Condition>, status: &str, now: Timestamp) -> String {
    let same = before.filter(|old| old.status == status);
    same.map_or_else(|| seconds(now), |old| old.last_transition_time.clone())
}

/// RFC 3339 with whole seconds, as Kubernetes writes times.
pub fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
