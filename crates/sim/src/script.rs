//! What happens in a history: a cluster is made or taken over, its manifest changes a few times,
//! and it is deleted; in between the world storms, or is left in peace until everything is well.

use std::sync::Arc;

use matriarch_cluster::policy::{APPROVAL_ANNOTATION, Healing, Policy};
use matriarch_cluster::{Object, names};
use matriarch_plan::{Action, ObjectKey};
use serde_json::json;

use crate::goal;
use crate::judge::Retention;
use crate::pods::{Fate, Spoilt};
use crate::run::{CLUSTER, Run};
use crate::seed::Seed;
use crate::variant::{Rendered, Template, Variant};
use crate::world::{NODES, World};

/// Seconds within which a peaceful world must be as the manifest says.
const SECONDS_TO_SETTLE: u64 = 900;
/// The same where a member has to be healed: by the bounded tries and their pauses.
const SECONDS_TO_HEAL: u64 = 9_000;
/// Seconds of peace in which a settled cluster is left alone.
const SECONDS_OF_PEACE: u64 = 130;
/// Seconds within which a bad template must be known as such.
const SECONDS_TO_BLOCK: u64 = 200;

/// Plays the history.
///
/// # Errors
/// The property that did not hold.
pub fn play(run: &mut Run<'_>) -> Result<(), String> {
    let mut variant = first_variant(&mut run.seed);
    let rendered = run.rendering(variant)?;
    let taken_over = run.seed.chance(20);
    if taken_over {
        run.tell(|| "the original has made the cluster".to_owned());
        run.world = World::of_the_original(CLUSTER, &rendered, Seed::new(run.seed.draw()));
    }
    run.edit(rendered, 0);
    if taken_over {
        run.judge.take_over = true;
        peace(run)?;
    } else {
        if run.seed.chance(10) {
            plant_foreign(run);
        }
        let seconds = run.seed.below(40);
        storm(run, seconds)?;
        settle(run)?;
    }
    let healing = [Healing::Off, Healing::Off, Healing::Reinitialize, Healing::RecreateVolume];
    let policy = Policy { healing: healing[index(run.seed.below(4))], ..Policy::default() };
    for _ in 0..1 + run.seed.below(3) {
        variant = next_variant(variant, &mut run.seed);
        let mut rendered = run.rendering(variant)?.under(policy.clone());
        match run.seed.below(20) {
            0 => pause(run, &rendered)?,
            1 => rendered = approve(run, &rendered)?,
            _ => {}
        }
        let delay = run.seed.below(4);
        run.edit(rendered, delay);
        let seconds = run.seed.below(50);
        storm(run, seconds)?;
        if !variant.template.is_good() {
            if run.seed.chance(60) {
                blocked(run)?;
            }
        } else if run.seed.chance(70) {
            settle(run)?;
        }
    }
    if !variant.template.is_good() {
        variant.template = if run.seed.chance(50) { Template::One } else { Template::Two };
        let rendered = run.rendering(variant)?.under(policy);
        run.edit(rendered, 0);
    }
    settle(run)?;
    if run.seed.chance(30) {
        peace(run)?;
    }
    if run.seed.chance(70) { delete(run) } else { Ok(()) }
}

/// P10: nothing is done for a paused manifest, whatever it asks for.
fn pause(run: &mut Run<'_>, rendered: &Rendered) -> Result<(), String> {
    let paused = rendered.under(Policy { paused: true, ..rendered.intent.policy.clone() });
    run.edit(paused, 0);
    let seconds = 10 + run.seed.below(20);
    // What was begun before may still end.
    run.second(false)?;
    storm(run, seconds)
}

/// The primary waits for an approval; gives the manifest with it.
fn approve(run: &mut Run<'_>, rendered: &Arc<Rendered>) -> Result<Arc<Rendered>, String> {
    let under = |approval: &str| {
        rendered.under(Policy { approval: Some(approval.to_owned()), ..rendered.intent.policy.clone() })
    };
    run.edit(under("required"), 0);
    let seconds = run.seed.below(20);
    storm(run, seconds)?;
    // One approval is for one thing: the template, then a restart.
    for _ in 0..2 * SECONDS_TO_BLOCK {
        run.second(false)?;
        approve_what_is_asked(run);
    }
    if rendered.variant.template.is_good() {
        settle(run)?;
    }
    Ok(Arc::clone(rendered))
}

fn first_variant(seed: &mut Seed) -> Variant {
    Variant {
        instances: 1 + number(seed.below(3)),
        connections: [100, 200][index(seed.below(2))],
        pooler: seed.chance(20),
        owned: seed.chance(20),
        ..Variant::default()
    }
}

fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn next_variant(mut variant: Variant, seed: &mut Seed) -> Variant {
    loop {
        let before = variant;
        if seed.chance(40) {
            let all = [
                Template::One,
                Template::Two,
                Template::MissingImage,
                Template::CrashingSidecar,
                Template::AbsurdRequest,
                Template::RefusedSidecar,
            ];
            variant.template = all[index(seed.below(6))];
        }
        if seed.chance(30) {
            variant.instances = 1 + number(seed.below(3));
        }
        if seed.chance(30) {
            variant.connections = [50, 100, 200][index(seed.below(3))];
        }
        if seed.chance(20) {
            // A smaller size is refused.
            variant.gibibytes = 1 + number(seed.below(2));
        }
        if seed.chance(10) {
            variant.pooler = !variant.pooler;
        }
        if seed.chance(10) {
            variant.second_user = true;
        }
        if variant != before {
            return variant;
        }
    }
}

/// An object of somebody else has the name of our replicas' Service.
fn plant_foreign(run: &mut Run<'_>) {
    let name = names::replica_service(CLUSTER);
    run.tell(|| format!("Service {name} is somebody else's"));
    let body = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "sim", "labels": {"app": "other"}}, "spec": {"type": "ClusterIP"}});
    let object = Object { kind: "Service".to_owned(), name: name.clone(), body, ..Object::default() };
    // The world is empty.
    let _ = run.world.take(&Action::CreateOnce(object));
    run.judge.foreign = Some(ObjectKey::new("Service", &name));
}

/// Everything that can go wrong does, for so many seconds; then it is over.
fn storm(run: &mut Run<'_>, seconds: u64) -> Result<(), String> {
    let mut drained: Option<(usize, u64)> = None;
    for _ in 0..seconds {
        blow(run, &mut drained);
        run.second(true)?;
    }
    for node in 0..NODES {
        run.world.uncordon(node);
        if run.world.nodes[node].lost_until.is_some() {
            run.world.nodes[node].lost_until = Some(run.world.now);
        }
    }
    run.world.changed();
    run.world.slow.clear();
    pause_patroni(run, false);
    run.calm();
    Ok(())
}

/// One second's worth of what can go wrong.
fn blow(run: &mut Run<'_>, drained: &mut Option<(usize, u64)>) {
    if let Some((node, until)) = *drained
        && until <= run.world.now
    {
        run.tell(|| format!("node-{node} is back"));
        run.world.uncordon(node);
        *drained = None;
    }
    match run.seed.below(1000) {
        0..20 => {
            let (ordinal, seconds) = (member(run), 2 + run.seed.below(4));
            run.tell(|| format!("{CLUSTER}-{ordinal} crashes"));
            run.world.crash(ordinal, seconds);
        }
        20..28 => {
            let (ordinal, seconds) = (member(run), 20 + run.seed.below(20));
            run.tell(|| format!("{CLUSTER}-{ordinal} crashes for long"));
            run.world.crash(ordinal, seconds);
        }
        28..34 if drained.is_none() => {
            let node = index(run.seed.below(NODES as u64));
            run.tell(|| format!("node-{node} is drained"));
            run.world.nodes[node].cordoned = true;
            run.world.nodes[node].draining = true;
            run.world.changed();
            *drained = Some((node, run.world.now + 30 + run.seed.below(30)));
        }
        34..38 => {
            let node = index(run.seed.below(NODES as u64));
            run.tell(|| format!("node-{node} is lost"));
            let until = run.world.now + 10 + run.seed.below(30);
            run.world.lose_node(node, until);
        }
        38..68 => {
            let ordinal = member(run);
            run.tell(|| format!("{CLUSTER}-{ordinal} follows slowly"));
            let until = run.world.now + 5 + run.seed.below(15);
            run.world.slow.insert(ordinal, until);
        }
        68..74 => forget_object(run),
        74..80 => {
            let paused = run.judge.patroni_paused.is_none();
            pause_patroni(run, paused);
        }
        80..88 => run.restart_operator(),
        88..90 if run.rendered.intent.policy.healing != Healing::Off => spoil(run),
        _ => {}
    }
}

/// A replica cannot follow any more.
fn spoil(run: &mut Run<'_>) {
    let ordinal = member(run);
    let by_volume = run.rendered.intent.policy.healing == Healing::RecreateVolume && run.seed.chance(50);
    let leader = run.world.leader_up();
    if leader.is_none() || leader == Some(ordinal) || run.world.patroni.switching.is_some() {
        return;
    }
    run.tell(|| format!("{CLUSTER}-{ordinal} is spoilt, its volume too: {by_volume}"));
    run.world.spoil(ordinal, if by_volume { Spoilt::Volume } else { Spoilt::Data });
}

fn member(run: &mut Run<'_>) -> u32 {
    number(run.seed.below(3))
}

/// Somebody deletes an object by hand.
fn forget_object(run: &mut Run<'_>) {
    let foreign = run.judge.foreign.clone();
    let keys = run.world.store.objects.iter();
    let mut keys: Vec<(ObjectKey, String)> = keys
        .filter(|(key, _)| matches!(key.kind.as_str(), "Service" | "PodDisruptionBudget"))
        .filter(|(key, _)| foreign.as_ref() != Some(key))
        .map(|(key, stored)| (key.clone(), stored.seen.uid.clone()))
        .collect();
    // What a deletion keeps is looked at in the end.
    let secrets = run.world.secrets.iter().filter(|_| !run.world.manifest.deleting);
    keys.extend(secrets.map(|(name, secret)| (ObjectKey::new("Secret", name), secret.seen.uid.clone())));
    if keys.is_empty() {
        return;
    }
    let (key, uid) = keys.swap_remove(index(run.seed.below(keys.len() as u64)));
    run.tell(|| format!("somebody deletes {} {}", key.kind, key.name));
    run.world.delete(&key, &uid);
    run.world.changed();
}

fn pause_patroni(run: &mut Run<'_>, paused: bool) {
    if run.judge.patroni_paused.is_some() == paused {
        return;
    }
    let Some(config) = &mut run.world.patroni.config else { return };
    config["pause"] = json!(paused);
    let now = run.world.now;
    run.tell(|| format!("Patroni is paused: {paused}"));
    run.judge.patroni_paused = paused.then_some(now);
}

/// P1 and P6: in a peaceful world everything becomes as the manifest says.
fn settle(run: &mut Run<'_>) -> Result<(), String> {
    let heals = run.rendered.intent.policy.healing != Healing::Off;
    let spoilt = run.world.claims.values().any(|claim| claim.spoilt != Spoilt::No);
    let seconds = if spoilt && heals { SECONDS_TO_HEAL } else { SECONDS_TO_SETTLE };
    let until = run.world.now + seconds;
    run.last = None;
    let mut patience = SECONDS_TO_SETTLE;
    while run.world.now < until {
        if !heals {
            mend(run);
        }
        run.second(false)?;
        approve_what_is_asked(run);
        if run.world.is_stranded() && run.world.newest_is_scaled_away() {
            // A failover while pods were being removed, and the operator was paused or saw nothing.
            run.tell(|| "somebody lets one of the rest lead".to_owned());
            run.world.accept_the_loss();
        }
        patience = patience.saturating_sub(1);
        if spoilt && patience == 0 {
            mend_what_is_left_to_people(run);
        }
        let quiet = run.last.as_ref().is_some_and(|plan| plan.is_settled());
        if quiet && goal::missing(&run.world, &run.rendered).is_none() {
            return Ok(());
        }
    }
    let missing =
        goal::missing(&run.world, &run.rendered).unwrap_or_else(|| "the plan is not empty".to_owned());
    Err(format!("P1: after {seconds} seconds of peace {missing}"))
}

/// Nobody is asked to mend what a bootstrap left that was cut off, until there is a database to copy.
fn mend(run: &mut Run<'_>) {
    let spoilt = run.world.claims.values().any(|claim| claim.spoilt != Spoilt::No);
    if spoilt && run.world.patroni.initialized {
        run.tell(|| "somebody mends what is spoilt".to_owned());
        run.world.claims.values_mut().for_each(|claim| claim.spoilt = Spoilt::No);
    }
}

/// While a manifest asks for approvals, somebody gives them.
fn approve_what_is_asked(run: &mut Run<'_>) {
    let policy = &run.rendered.intent.policy;
    let Some(given) = policy.approval.clone() else { return };
    let gates = run.last.as_ref().map(|plan| plan.gates.as_slice()).unwrap_or_default();
    let asked = gates.iter().find(|gate| gate.until.contains(APPROVAL_ANNOTATION));
    // annotation … is "token"
    let token = asked.and_then(|gate| gate.until.split('"').nth(1)).filter(|token| *token != given);
    let Some(token) = token.map(str::to_owned) else { return };
    let approved = run.rendered.under(Policy { approval: Some(token.clone()), ..policy.clone() });
    run.tell(|| format!("somebody approves {token}"));
    run.edit(approved, 0);
}

/// A member that fell ill in the middle of a rollout is not healed, because the template may be to
/// blame: that is said, and whoever reads it looks after the member.
fn mend_what_is_left_to_people(run: &mut Run<'_>) {
    let newest = run.world.set.as_ref().map(|set| set.revision.clone());
    let rolls = run.world.pods.values().any(|pod| Some(&pod.revision) != newest.as_ref());
    if rolls && is_degraded(run) {
        mend(run);
    }
}

fn is_degraded(run: &Run<'_>) -> bool {
    let mut conditions = run.world.status.conditions.iter();
    conditions.any(|condition| condition.type_ == "Degraded" && condition.status == "True")
}

/// A settled cluster is left alone: nothing is written, no pod changes.
fn peace(run: &mut Run<'_>) -> Result<(), String> {
    settle(run)?;
    let uids = |run: &Run<'_>| run.world.pods.values().map(|pod| pod.uid.clone()).collect::<Vec<_>>();
    let (before, effects) = (uids(run), run.judge.effects);
    for _ in 0..SECONDS_OF_PEACE {
        run.second(false)?;
    }
    if run.judge.effects != effects {
        return Err(format!("a settled cluster is written to: {} times", run.judge.effects - effects));
    }
    if uids(run) != before { Err("pods of a settled cluster changed".to_owned()) } else { Ok(()) }
}

/// A bad template stops the rollout at the first pod, and that is said.
fn blocked(run: &mut Run<'_>) -> Result<(), String> {
    let wanted = run.rendered.intent.instances as usize;
    // What is being healed meanwhile may not be up again in the end.
    let spoilt = run.world.claims.values().any(|claim| claim.spoilt != Spoilt::No);
    for _ in 0..SECONDS_TO_BLOCK {
        run.second(false)?;
    }
    if spoilt {
        // The rollout waits for that member: the template has not been tried.
        return Ok(());
    }
    if run.world.is_stranded() {
        // What took the primary's pod left its newest data behind the bad template: nobody may lead.
        return Ok(());
    }
    let up = run.world.members_up();
    // New members are made from the bad template too.
    let old = run.world.pods.values().filter(|pod| pod.fate == Fate::Runs).count();
    if up < old {
        return Err(format!("behind a bad template {up} of {old} members are up that could be"));
    }
    if !is_degraded(run) {
        return Err(format!("a bad template is not said to be one; {up} of {wanted} members are up"));
    }
    Ok(())
}

/// Deletion removes what the settings say, and ends.
fn delete(run: &mut Run<'_>) -> Result<(), String> {
    let keeps = Retention { secrets: run.seed.chance(40), claims: run.seed.chance(40) };
    let delay = run.seed.below(4);
    run.delete(keeps, delay);
    let seconds = run.seed.below(30);
    storm(run, seconds)?;
    let until = run.world.now + SECONDS_TO_SETTLE;
    let foreign = run.judge.foreign.clone();
    while run.world.now < until {
        run.second(false)?;
        if run.world.manifest.gone {
            // The garbage collector has its turn.
            run.second(false)?;
            let rendered = Arc::clone(&run.rendered);
            return match goal::left_over(&run.world, &rendered, keeps, foreign.as_ref()) {
                None => Ok(()),
                Some(left) => Err(format!("after the deletion {left}")),
            };
        }
    }
    Err(format!("a deletion ends within {SECONDS_TO_SETTLE} seconds of peace"))
}
