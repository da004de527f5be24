//! Status: the contract's word and our conditions, from what was planned, done and seen.

use jiff::Timestamp;
use matriarch_api::{Condition, PostgresqlStatus, Problem};
use matriarch_cluster::Intent;

use crate::action::{Action, Lane, Step};
use crate::executor::Outcome;
use crate::healing;
use crate::observation::{Member, Observation};
use crate::plan::{Gate, Plan};
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

fn failures(outcomes: &[(Step, Outcome)]) -> Vec<String> {
    let failed = outcomes.iter().filter_map(|(step, outcome)| match outcome {
        Outcome::Failed(why) => Some(format!("{}: {why}", step.action)),
        _ => None,
    });
    failed.collect()
}

impl PassResult<'_> {
    /// What failed, one text per step.
    pub fn failures(&self) -> Vec<String> {
        failures(self.outcomes)
    }

    /// How many of the wanted members run, as primary or streaming from it. Patroni goes on listing
    /// what a member last wrote about itself, so its pod must be ready, too.
    fn streaming(&self) -> usize {
        let Seen::Present(patroni) = &self.seen.patroni else { return 0 };
        let pods = self.seen.pods.present().into_iter().flatten();
        let wanted = pods.filter(|pod| pod.ordinal < self.intent.instances && !pod.deleting);
        let ready = wanted.filter(|pod| pod.ready);
        ready.filter(|pod| patroni.member(&pod.name).is_some_and(Member::is_healthy)).count()
    }

    fn creates_stateful_set(&self) -> bool {
        self.plan.steps.iter().any(|step| {
            matches!(&step.action, Action::Apply { object, creates: true, .. } if object.kind == "StatefulSet")
        })
    }
}

/// Status after a pass over a valid manifest.
pub fn status(pass: &PassResult<'_>, before: &PostgresqlStatus, now: Timestamp) -> PostgresqlStatus {
    if is_moment_of_silence(pass, before, now) {
        return before.clone();
    }
    let failures = pass.failures();
    let wanted = pass.intent.instances as usize;
    let ready = is_ready(pass, wanted);
    let ever_ran = ever_ran(before);
    let word = match (failures.is_empty(), ready, ever_ran) {
        (false, _, false) => "CreateFailed",
        (false, _, true) => "SyncFailed",
        (true, true, _) => "Running",
        (true, false, true) if !pass.creates_stateful_set() => "Updating",
        (true, false, _) => "Creating",
    };
    let wait = Wait::of(pass.plan, before, now);
    let verdicts = [
        Some(valid()),
        Some(ready_verdict(pass, ready, wanted)),
        Some(progressing(pass, &failures, wait.as_ref())),
        Some(degraded(pass, &failures, wait.as_ref(), ever_ran)),
        Some(rollout_blocked(pass, wait.as_ref(), ever_ran)),
        paused(pass.plan),
        members_streaming(pass),
    ];
    let labels = pass.intent.selector.iter().map(|(key, value)| format!("{key}={value}"));
    PostgresqlStatus {
        postgres_cluster_status: word.to_owned(),
        number_of_instances: Some(i32::try_from(pod_count(pass.seen)).unwrap_or(i32::MAX)),
        label_selector: Some(labels.collect::<Vec<_>>().join(",")),
        observed_generation: Some(pass.intent.identity.generation),
        conditions: conditions(verdicts.into_iter().flatten(), before, pass.intent.identity.generation, now),
    }
}

/// Whether the cluster was complete at some time, as far as its status tells.
pub(crate) fn ever_ran(before: &PostgresqlStatus) -> bool {
    condition(before, "Ready").is_some_and(|ready| ready.reason == "Streaming")
        || matches!(
            before.postgres_cluster_status.as_str(),
            "Running" | "Updating" | "UpdateFailed" | "SyncFailed"
        )
}

/// Patroni is asked again before its silence is news: under load an answer may come late.
const SILENCE_COUNTS_SECONDS: i64 = 10;

/// A cluster that ran has its pods ready and nothing to do, and only Patroni has not answered just now.
fn is_moment_of_silence(pass: &PassResult<'_>, before: &PostgresqlStatus, now: Timestamp) -> bool {
    let wanted = pass.intent.instances;
    let is_silent = matches!(pass.seen.patroni, Seen::Unknown(_))
        && pass
            .seen
            .patroni_silent_since
            .is_some_and(|since| now.duration_since(since).as_secs() < SILENCE_COUNTS_SECONDS);
    let pods = pass.seen.pods.present().into_iter().flatten();
    let ready = pods.filter(|pod| pod.ordinal < wanted && pod.ready && !pod.deleting).count();
    is_silent
        && before.postgres_cluster_status == "Running"
        && before.observed_generation == Some(pass.intent.identity.generation)
        && pass.plan.steps.is_empty()
        && pass.outcomes.is_empty()
        && ready == wanted as usize
        && pass.seen.leader.present().is_some()
}

/// The wait that holds the cluster up, and since when.
struct Wait<'a> {
    gate: &'a Gate,
    since: Timestamp,
    is_problem: bool,
}

/// Between a wait and the moment of its beginning, in the condition's message.
const SINCE: &str = "; since ";

impl<'a> Wait<'a> {
    /// A stuck one first. The message of the condition `Progressing` keeps since when the wait is the
    /// same, so that a restart of the operator does not forget it.
    fn of(plan: &'a Plan, before: &PostgresqlStatus, now: Timestamp) -> Option<Self> {
        let waits = || plan.gates.iter().filter(|gate| !gate.postponed);
        let gate = waits().find(|gate| gate.stuck).or_else(|| waits().next())?;
        let since = condition(before, "Progressing").and_then(|old| {
            let (sentence, since) = old.message.rsplit_once(SINCE)?;
            let same = sentence.starts_with(&format!("until {}: ", gate.until));
            since.parse::<Timestamp>().ok().filter(|_| same)
        });
        let since = since.unwrap_or(now);
        let waited = now.duration_since(since).as_secs();
        let overdue = gate.problem_after_seconds.is_some_and(|limit| waited >= i64::from(limit));
        Some(Self { gate, since, is_problem: gate.stuck || overdue })
    }

    fn sentence(&self) -> String {
        format!("{}{SINCE}{}", cut(self.gate.sentence()), seconds(self.since))
    }
}

/// Status while a cluster is being deleted: what is awaited, and whether it hangs.
pub fn deleting(
    plan: &Plan,
    outcomes: &[(Step, Outcome)],
    generation: i64,
    before: &PostgresqlStatus,
    now: Timestamp,
) -> PostgresqlStatus {
    let failures = failures(outcomes);
    let wait = Wait::of(plan, before, now);
    let problem = wait.as_ref().filter(|wait| wait.is_problem);
    let (stands, reason, message) = match (failures.first(), problem) {
        (Some(failure), _) => (true, "StepFailed", failure.clone()),
        (None, Some(wait)) => (true, "DeletionStuck", wait.gate.sentence()),
        (None, None) => (false, "AsExpected", "nothing is refused, failed or stuck".to_owned()),
    };
    let progress = match (plan.paused, &wait, plan.steps.first()) {
        (true, ..) => "the manifest pauses the operator: the deletion waits".to_owned(),
        (false, Some(wait), _) => wait.sentence(),
        (false, None, Some(step)) => cut(format!("{} ({})", step.action, step.reasons())),
        (false, None, None) => "everything is gone".to_owned(),
    };
    let verdict = |kind, holds, reason, message| Verdict { kind, holds: Some(holds), reason, message };
    let verdicts = [
        Some(verdict("Ready", false, "Deleting", "the cluster is being deleted".to_owned())),
        Some(verdict("Progressing", !plan.paused, "Deleting", progress)),
        Some(verdict("Degraded", stands, reason, cut(message))),
        paused(plan),
    ];
    PostgresqlStatus {
        observed_generation: Some(generation),
        conditions: conditions(verdicts.into_iter().flatten(), before, generation, now),
        ..before.clone()
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
    let mut conditions = conditions(verdicts, before, generation, now);
    // What was tried to mend a member is not forgotten meanwhile.
    conditions.extend(condition(before, healing::CONDITION).cloned());
    PostgresqlStatus {
        postgres_cluster_status: word.to_owned(),
        observed_generation: Some(generation),
        conditions,
        ..before.clone()
    }
}

fn is_ready(pass: &PassResult<'_>, wanted: usize) -> bool {
    // Steps that were planned are applied by now, but not observed: the next pass says. Those of a
    // paused cluster are not taken.
    let rests = pass.plan.paused || pass.plan.is_quiet();
    if wanted == 0 {
        return pod_count(pass.seen) == 0 && rests;
    }
    let Seen::Present(primary) = pass.seen.primary() else { return false };
    pass.seen.is_ready(&primary) && pass.streaming() >= wanted && rests
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

fn progressing(pass: &PassResult<'_>, failures: &[String], wait: Option<&Wait<'_>>) -> Verdict {
    let verdict =
        |holds, reason, message| Verdict { kind: "Progressing", holds: Some(holds), reason, message };
    if pass.plan.paused {
        let message = "the manifest pauses the operator: see the condition Paused";
        return verdict(false, "Paused", message.to_owned());
    }
    if let Some(step) = pass.plan.steps.first() {
        let reason = if failures.is_empty() { "Acting" } else { "Retrying" };
        return verdict(true, reason, cut(format!("{} ({})", step.action, step.reasons())));
    }
    if let Some(wait) = wait {
        return verdict(true, "Waiting", wait.sentence());
    }
    match pass.plan.gates.first() {
        Some(gate) => verdict(true, "Postponed", cut(gate.sentence())),
        None => verdict(false, "Settled", "everything is as the manifest says".to_owned()),
    }
}

fn degraded(pass: &PassResult<'_>, failures: &[String], wait: Option<&Wait<'_>>, ever_ran: bool) -> Verdict {
    let problem = wait.filter(|wait| wait.is_problem);
    let (holds, reason, message) = if let Some(failure) = failures.first() {
        (true, "StepFailed", failure.clone())
    } else if let Some(wait) = problem {
        let reason = match wait.gate.lane {
            Lane::Pods if ever_ran && wait.gate.rollout => "RolloutBlocked",
            Lane::Pods => "MemberStuck",
            _ => "Waiting",
        };
        (true, reason, wait.gate.sentence())
    } else if let Some(refusal) = pass.plan.refusals.first() {
        (true, "ChangeRefused", format!("{}: {}", refusal.what, refusal.because))
    } else {
        (false, "AsExpected", "nothing is refused, failed or stuck".to_owned())
    };
    Verdict { kind: "Degraded", holds: Some(holds), reason, message: cut(message) }
}

/// A rollout stands still at the first pod that does not come back, or before it began because the
/// API server refuses the new template.
fn rollout_blocked(pass: &PassResult<'_>, wait: Option<&Wait<'_>>, ever_ran: bool) -> Verdict {
    let refused = pass.outcomes.iter().find_map(|(step, outcome)| match (&step.action, outcome) {
        (Action::DeletePod { trial: Some(_), .. }, Outcome::Failed(why)) => Some(why.clone()),
        _ => None,
    });
    let stands = wait.filter(|wait| wait.is_problem && wait.gate.rollout && ever_ran);
    let (holds, reason, message) = match (refused, stands) {
        (Some(why), _) => (true, "TemplateRefused", why),
        (None, Some(wait)) => (true, "PodNotBack", wait.gate.sentence()),
        (None, None) => (false, "NotBlocked", "no rollout stands still".to_owned()),
    };
    Verdict { kind: "RolloutBlocked", holds: Some(holds), reason, message: cut(message) }
}

/// Longest plan that stands in a condition, in characters; Kubernetes' limit is 32768.
const LONGEST_PLAN: usize = 8000;

fn paused(plan: &Plan) -> Option<Verdict> {
    plan.paused.then(|| Verdict {
        kind: "Paused",
        holds: Some(true),
        reason: "AsAsked",
        message: plan.to_string().chars().take(LONGEST_PLAN).collect(),
    })
}

fn members_streaming(pass: &PassResult<'_>) -> Option<Verdict> {
    let troubles = healing::after(pass.intent, pass.seen, pass.outcomes);
    let message = healing::message(&troubles)?;
    let streams = troubles.values().all(|trouble| trouble.since.is_none());
    let reason = if streams { "Mended" } else { "NotStreaming" };
    Some(Verdict { kind: healing::CONDITION, holds: Some(streams), reason, message })
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
