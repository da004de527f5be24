//! Restarts of PostgreSQL inside its pods, for parameters that it takes at its start only. One member
//! at a time; every member streams before the next (04 §9.4).

use std::collections::BTreeMap;

use matriarch_cluster::Intent;

use crate::action::{Action, Reason, Step};
use crate::observation::{Member, Observation, PatroniSeen};
use crate::plan::Plan;
use crate::rolling::approval;

/// Parameters that a standby may not have smaller than its primary: when they shrink, the primary
/// restarts first.
const NOT_SMALLER_THAN_PRIMARY: [&str; 5] = [
    "max_connections",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "max_worker_processes",
    "max_wal_senders",
];

/// A replica that started more recently has had its turn, where Patroni does not say what a pending
/// restart is for (before 4.0).
const TURN_SECONDS: i64 = 600;

/// What a restart of a member would do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    /// All that is pending takes effect.
    Useful,
    /// Only parameters shrink that the primary has to shrink before.
    AfterPrimary,
}

/// Restarts members one by one until none is pending.
pub(crate) fn plan(
    intent: &Intent,
    patroni: &PatroniSeen,
    primary: &str,
    seen: &Observation,
    plan: &mut Plan,
) {
    // What is pending is measured against the configuration before this change.
    if plan.steps.iter().any(|step| matches!(step.action, Action::PatchPatroniConfig(_))) {
        return;
    }
    let mut replicas: Vec<&Member> = patroni.members.iter().filter(|member| member.name != primary).collect();
    // Patroni lists them in any order.
    replicas.sort_by(|one, other| one.name.cmp(&other.name));
    let replicas = replicas.into_iter();
    let first = replicas.clone().find(|member| pending(member, seen) == Some(Pending::Useful));
    let leader = patroni.member(primary).filter(|member| member.pending_restart.is_some());
    let last = replicas.clone().find(|member| member.pending_restart.is_some());
    let Some(member) = first.or(leader).or(last) else { return };
    let because = reasons(member);
    if member.name == primary
        && let Some(gate) = approval(intent, primary, &token(member), &because)
    {
        plan.gates.push(gate);
        return;
    }
    plan.steps.push(Step::because(Action::RestartMember { name: member.name.clone() }, because));
}

fn pending(replica: &Member, seen: &Observation) -> Option<Pending> {
    let changes = replica.pending_restart.as_ref()?;
    if changes.is_empty() {
        let ran = replica.started_at.map(|start| seen.now.duration_since(start).as_secs());
        let had_its_turn = ran.is_some_and(|seconds| seconds < TURN_SECONDS);
        return Some(if had_its_turn { Pending::AfterPrimary } else { Pending::Useful });
    }
    Some(if changes.iter().all(shrinks) { Pending::AfterPrimary } else { Pending::Useful })
}

fn shrinks((name, (old, new)): (&String, &(String, String))) -> bool {
    NOT_SMALLER_THAN_PRIMARY.contains(&name.as_str())
        && matches!((old.parse::<i64>(), new.parse::<i64>()), (Ok(old), Ok(new)) if new < old)
}

fn changes(member: &Member) -> impl Iterator<Item = (&String, &(String, String))> {
    member.pending_restart.iter().flat_map(BTreeMap::iter)
}

fn reasons(member: &Member) -> Vec<Reason> {
    let reasons: Vec<Reason> = changes(member)
        .map(|(name, (old, new))| Reason::new(format!("{name} {old} → {new} needs a restart")))
        .collect();
    if reasons.is_empty() { vec![Reason::new("Patroni reports a pending restart")] } else { reasons }
}

/// What approves the restart of the primary: the new values.
fn token(member: &Member) -> String {
    let values: Vec<String> = changes(member).map(|(name, (_, new))| format!("{name}={new}")).collect();
    if values.is_empty() { "restart".to_owned() } else { values.join(",") }
}
