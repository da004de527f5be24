//! Members that do not stream although a leader is healthy: since when, and what was tried. It stands
//! in the condition `MembersStreaming`, one line per member, so that a restart of the operator forgets
//! neither. Only what the manifest allows is done; never to the leader, never on an unknown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use matriarch_api::PostgresqlStatus;
use matriarch_cluster::Intent;
use matriarch_cluster::policy::Healing;

use crate::action::{Action, Step};
use crate::executor::Outcome;
use crate::observation::{ClaimSeen, Observation, PatroniSeen, PodSeen};
use crate::rolling::{is_copying, outdated_because};
use crate::seen::Seen;
use crate::status::seconds;

/// The condition that keeps all this.
pub const CONDITION: &str = "MembersStreaming";

/// So long Patroni may mend a member by itself: longer than a crash recovery or a `pg_rewind` of a
/// usual database, shorter than anybody wants to be without a replica.
const PATIENCE_SECONDS: i64 = 300;
/// Between the first try and the second; every further pause is twice as long. Copying a database
/// anew takes minutes, and a member that copies counts as one that is being mended.
const PAUSE_SECONDS: i64 = 600;
/// So often the data is copied anew before it is given up, or the volume is to blame.
const REINITIALIZATIONS: u32 = 3;
/// So often the volume is made anew, after that.
const RECREATIONS: u32 = 2;
/// A member that streamed for so long after the last try is healed: the count begins anew.
const FORGET_SECONDS: i64 = 3600;

/// One member that does not stream, or that was mended lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when it does not stream; nothing when it streams again.
    pub since: Option<Timestamp>,
    /// What Patroni says of it.
    pub why: String,
    /// What was tried so far.
    pub tries: u32,
    /// When that was done last.
    pub last: Option<Timestamp>,
}

impl Trouble {
    /// The line of the condition, without the member's name.
    fn sentence(&self) -> String {
        let state = match self.since {
            Some(since) => format!("does not stream since {}: {}", seconds(since), self.why),
            None => "streams again".to_owned(),
        };
        match self.last {
            Some(last) => {
                format!("{state}; {} tries to mend it, the last at {}", self.tries, seconds(last))
            }
            None => state,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (state, tries) = match text.rsplit_once("; ") {
            Some((state, tries)) if tries.contains(" tries to mend it, the last at ") => (state, Some(tries)),
            _ => (text, None),
        };
        let (tries, last) = match tries.and_then(|tries| tries.split_once(" tries to mend it, the last at "))
        {
            Some((tries, last)) => (tries.parse().ok()?, Some(last.trim().parse().ok()?)),
            None => (0, None),
        };
        let (since, why) = match state.strip_prefix("does not stream since ") {
            Some(rest) => {
                let (since, why) = rest.split_once(": ")?;
                (Some(since.parse().ok()?), why.to_owned())
            }
            None => (None, String::new()),
        };
        Some(Self { since, why, tries, last })
    }
}

/// What the status that stands in the manifest remembers. A line that cannot be read is forgotten:
/// the waiting begins anew.
pub fn remembered(status: &PostgresqlStatus) -> BTreeMap<String, Trouble> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == CONDITION);
    let lines = condition.map(|condition| condition.message.lines()).into_iter().flatten();
    lines
        .filter_map(|line| {
            let (member, text) = line.split_once(' ')?;
            Some((member.to_owned(), Trouble::parse(text)?))
        })
        .collect()
}

/// What is to be remembered after a pass: what was, what is seen now, and what was tried.
pub fn after(intent: &Intent, seen: &Observation, outcomes: &[(Step, Outcome)]) -> BTreeMap<String, Trouble> {
    let before = remembered(&seen.status);
    let mut after = match leader_is_healthy(seen) {
        Some(patroni) => now(intent, seen, patroni, &before),
        // Without a healthy leader nobody can stream, and who cannot be seen stays as he was.
        None => before,
    };
    for (step, outcome) in outcomes {
        if !matches!(outcome, Outcome::Applied | Outcome::Failed(_)) {
            continue;
        }
        let member = match &step.action {
            Action::Reinitialize { name } => name.as_str(),
            Action::DeleteClaim { name, .. } => name.strip_prefix(CLAIM_PREFIX).unwrap_or(name),
            _ => continue,
        };
        if let Some(trouble) = after.get_mut(member) {
            trouble.tries = trouble.tries.saturating_add(1);
            trouble.last = Some(seen.now);
        }
    }
    after
}

/// The message of the condition; nothing when nobody is in trouble.
pub fn message(troubles: &BTreeMap<String, Trouble>) -> Option<String> {
    let lines = troubles.iter().map(|(member, trouble)| format!("{member} {}", trouble.sentence()));
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn now(
    intent: &Intent,
    seen: &Observation,
    patroni: &PatroniSeen,
    before: &BTreeMap<String, Trouble>,
) -> BTreeMap<String, Trouble> {
    let pods = seen.pods.present().map_or(&[][..], Vec::as_slice);
    let wanted = pods.iter().filter(|pod| pod.ordinal < intent.instances);
    // A pod that is being made anew is away for a moment: what was tried must not be forgotten, or it
    // would be tried for ever.
    let names = (0..intent.instances).map(|ordinal| format!("{}-{ordinal}", intent.identity.name));
    let away = names.filter(|name| pods.iter().all(|pod| pod.name != *name));
    let away: Vec<_> = away.filter_map(|name| before.get_key_value(&name)).collect();
    let away = away.into_iter().map(|(name, trouble)| (name.clone(), trouble.clone()));
    wanted
        .filter_map(|pod| {
            let old = before.get(&pod.name);
            let (tries, last) = old.map_or((0, None), |old| (old.tries, old.last));
            let trouble = match complaint(pod, patroni) {
                Some(why) => {
                    let since = old.and_then(|old| old.since).unwrap_or(seen.now);
                    Trouble { since: Some(since), why, tries, last }
                }
                None => {
                    let last = last.filter(|last| age(*last, seen) < FORGET_SECONDS)?;
                    Trouble { since: None, why: String::new(), tries, last: Some(last) }
                }
            };
            Some((pod.name.clone(), trouble))
        })
        .chain(away)
        .collect()
}

/// What is wrong with a member; nothing when it streams, or gets its data right now.
fn complaint(pod: &PodSeen, patroni: &PatroniSeen) -> Option<String> {
    match patroni.member(&pod.name) {
        Some(member) if member.is_healthy() || is_copying(&member.state) => None,
        Some(member) => Some(format!("Patroni says it is \"{}\"", member.state)),
        None => Some("Patroni does not list it".to_owned()),
    }
}

fn age(moment: Timestamp, seen: &Observation) -> i64 {
    seen.now.duration_since(moment).as_secs()
}

fn leader_is_healthy(seen: &Observation) -> Option<&PatroniSeen> {
    let Seen::Present(primary) = seen.primary() else { return None };
    let patroni = seen.patroni.present()?;
    patroni.member(&primary).is_some_and(|leader| leader.is_healthy()).then_some(patroni)
}

/// The claims of data volumes are named so, and then after their pod.
const CLAIM_PREFIX: &str = "pgdata-";

/// The claim of a pod's data volume, as far as it was seen.
pub(crate) fn claim_of<'a>(pod: &PodSeen, seen: &'a Observation) -> Option<&'a ClaimSeen> {
    let name = format!("{CLAIM_PREFIX}{}", pod.name);
    seen.claims.present()?.iter().find(|claim| claim.name == name)
}

/// What is done now about a member that does not stream, where the manifest allows it.
pub(crate) fn step(intent: &Intent, seen: &Observation) -> Option<Step> {
    if intent.policy.healing == Healing::Off {
        return None;
    }
    let patroni = leader_is_healthy(seen).filter(|patroni| !patroni.paused)?;
    let pods = seen.pods.present()?;
    if pods.iter().any(|pod| pod.deleting) {
        return None;
    }
    let is_outdated = |pod: &PodSeen| !outdated_because(intent, pod, seen).is_empty();
    let rolls = pods.iter().any(is_outdated);
    let remembered = remembered(&seen.status);
    // While a new template is on its way, that is the first suspect; but not of a trouble that is older
    // than the pod, or that befell a pod of an older one. Else rollout and healing wait for each other.
    let is_suspect = |pod: &PodSeen| {
        let trouble = remembered.get(&pod.name);
        let since = trouble.and_then(|trouble| trouble.since);
        let is_treated = trouble.is_some_and(|trouble| trouble.tries > 0);
        let age = i64::try_from(pod.age_seconds).unwrap_or(i64::MAX);
        let is_older = since.is_some_and(|since| seen.now.duration_since(since).as_secs() > age);
        rolls && !is_older && !is_treated && !is_outdated(pod)
    };
    let primary = seen.primary();
    let replicas = pods.iter().filter(|pod| pod.ordinal < intent.instances);
    let replicas = replicas.filter(|pod| primary.present() != Some(&pod.name));
    replicas
        .filter(|pod| complaint(pod, patroni).is_some() && !is_suspect(pod))
        .find_map(|pod| heal(intent, seen, pod, patroni, remembered.get(&pod.name)))
}

fn heal(
    intent: &Intent,
    seen: &Observation,
    pod: &PodSeen,
    patroni: &PatroniSeen,
    trouble: Option<&Trouble>,
) -> Option<Step> {
    let trouble = trouble?;
    let since = trouble.since.filter(|since| age(*since, seen) >= PATIENCE_SECONDS)?;
    let claim = claim_of(pod, seen);
    let because = |what: &str| {
        format!("{} does not stream since {}: {}; {what}", pod.name, seconds(since), trouble.why)
    };
    if intent.policy.healing == Healing::RecreateVolume && claim.is_some_and(|claim| claim.deleting) {
        let action = Action::DeletePod { name: pod.name.clone(), uid: pod.uid.clone(), trial: None };
        return Some(Step::new(action, because("its claim goes only after its pod")));
    }
    let pause = PAUSE_SECONDS.saturating_mul(1 << trouble.tries.saturating_sub(1).min(8));
    if trouble.last.is_some_and(|last| age(last, seen) < pause) {
        return None;
    }
    if trouble.tries < REINITIALIZATIONS {
        // Its own Patroni has to do it.
        patroni.member(&pod.name)?;
        let what = format!("try {} of {REINITIALIZATIONS} to copy its data anew", trouble.tries + 1);
        return Some(Step::new(Action::Reinitialize { name: pod.name.clone() }, because(&what)));
    }
    let recreations = trouble.tries - REINITIALIZATIONS;
    if intent.policy.healing != Healing::RecreateVolume || recreations >= RECREATIONS {
        return None;
    }
    let claim = claim?;
    let what = format!("try {} of {RECREATIONS} with a new volume", recreations + 1);
    let action = Action::DeleteClaim { name: claim.name.clone(), uid: claim.uid.clone() };
    Some(Step::new(action, because(&what)))
}
