//! A bootstrap that was cut off. Before Patroni makes the first database of a cluster it writes an empty
//! `initialize` key, so that no other member makes one too, and afterwards it writes the system's
//! identifier there (05 §11). Whoever is killed between the two leaves the empty key behind, and perhaps
//! a data directory that is no database; then every member waits for somebody who is gone.

use jiff::Timestamp;
use matriarch_cluster::Intent;

use crate::action::{Action, Lane, ObjectPlace, Step};
use crate::healing::claim_of;
use crate::observation::{ClaimSeen, Observation, PatroniObject, PodSeen};
use crate::plan::{Gate, Plan};
use crate::seen::Seen;
use crate::status::{ever_ran, seconds};

/// So long the members may be at a loss before the key is freed: two rounds of Patroni.
const KEY_AFTER_SECONDS: i64 = 20;
/// So long before a volume is to blame. A member with an empty one begins within a round of Patroni once
/// the key is free.
const VOLUME_AFTER_SECONDS: i64 = 60;
/// A volume that is older than the first attempt by more than this may hold what somebody misses. A pod
/// may have pulled its image for that long.
const SAME_BIRTH_SECONDS: i64 = 3600;

/// Whether every member of a cluster without a leader has said that it has no database and makes none.
/// Patroni says so within moments of a start, so it must have been so for a while before it means
/// anything.
pub fn nobody_begins(seen: &Observation) -> bool {
    let (Seen::Absent, Seen::Present(patroni), Seen::Present(pods)) =
        (&seen.leader, &seen.patroni, &seen.pods)
    else {
        return false;
    };
    let waits = |pod: &PodSeen| !pod.deleting && patroni.without_database.contains(&pod.name);
    !pods.is_empty() && pods.iter().all(waits)
}

/// Lets Patroni begin anew: the key first, which costs nothing, then a volume that was made for this very
/// attempt. Anything else is said and left to people.
pub(crate) fn plan_bootstrap(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let Some(since) = seen.nobody_begins_since.filter(|_| intent.instances > 0 && nobody_begins(seen)) else {
        return;
    };
    let waited = seen.now.duration_since(since).as_secs();
    let Some(objects) = seen.patroni_objects.present() else { return };
    let name = format!("{}-config", intent.identity.name);
    let config = objects.iter().find(|object| object.key.name == name);
    let key = config.and_then(|config| Some((config, annotation(config, "initialize")?)));
    match key {
        Some((config, "")) if waited >= KEY_AFTER_SECONDS => {
            plan.steps.push(free_key(intent, config, since));
        }
        _ if waited < VOLUME_AFTER_SECONDS => {}
        Some((_, system)) => plan.gates.push(lost(system)),
        None => plan_volume(seen, config, since, plan),
    }
}

fn annotation<'a>(object: &'a PatroniObject, key: &str) -> Option<&'a str> {
    object.metadata["annotations"][key].as_str()
}

/// Patroni writes this object whenever it begins, so a key that somebody has taken meanwhile is safe by
/// the version.
fn free_key(intent: &Intent, config: &PatroniObject, since: Timestamp) -> Step {
    let object = ObjectPlace {
        kind: config.key.kind.clone(),
        namespace: intent.identity.namespace.clone(),
        name: config.key.name.clone(),
    };
    let resource_version = config.metadata["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let action = Action::FreeInitializeKey { object, uid: config.uid.clone(), resource_version };
    let because = format!(
        "whoever began to make the database is gone, and every member waits for it since {}: one of \
         them is to begin anew",
        seconds(since)
    );
    Step::new(action, because)
}

/// Nothing keeps the members from beginning, and none does: their data directories are neither empty
/// nor databases. One at a time; the first that gets an empty one begins.
fn plan_volume(seen: &Observation, config: Option<&PatroniObject>, since: Timestamp, plan: &mut Plan) {
    let first = seen.pods.present().and_then(|pods| pods.iter().min_by_key(|pod| pod.ordinal));
    let Some((pod, claim)) = first.and_then(|pod| Some((pod, claim_of(pod, seen)?))) else { return };
    let because = |what: &str| {
        format!(
            "the bootstrap was cut off: since {} no member has a database that can be read, and none \
             begins; {what}",
            seconds(since)
        )
    };
    if claim.deleting {
        let action = Action::DeletePod { name: pod.name.clone(), uid: pod.uid.clone(), trial: None };
        return plan.steps.push(Step::new(action, because("the claim goes only after its pod")));
    }
    match precious(seen, config, claim) {
        None => {
            let action = Action::DeleteClaim { name: claim.name.clone(), uid: claim.uid.clone() };
            let what = "the volume was made for this attempt and is made anew";
            plan.steps.push(Step::new(action, because(what)));
        }
        Some(why) => plan.gates.push(
            Gate::new(
                Lane::Pods,
                "a member has a database",
                format!(
                    "{} has none that can be read, and none begins; {why}, so it is left as it is. Mend \
                     its data, or delete claim {} and the pod to begin anew",
                    pod.name, claim.name
                ),
            )
            .stuck(),
        ),
    }
}

/// Why a volume might hold what somebody misses; nothing when it was made for the attempt that was cut
/// off and no database ever ran on it.
fn precious(seen: &Observation, config: Option<&PatroniObject>, claim: &ClaimSeen) -> Option<String> {
    if ever_ran(&seen.status) {
        return Some("the cluster ran before".to_owned());
    }
    let Some(config) = config else {
        return Some("Patroni has kept nothing about the attempt".to_owned());
    };
    if let Some(key) = ["config", "history"].into_iter().find(|key| annotation(config, key).is_some()) {
        return Some(format!("{} has a {key}", config.key.name));
    }
    let begun = config.metadata["creationTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(begun), Some(made), Some(manifest)) = (begun, claim.created, seen.manifest_created) else {
        return Some("it is not known when its volume was made".to_owned());
    };
    if made < manifest {
        return Some("its volume is older than the manifest".to_owned());
    }
    let older = begun.duration_since(made).as_secs();
    (older > SAME_BIRTH_SECONDS).then(|| "its volume is older than the attempt".to_owned())
}

fn lost(system: &str) -> Gate {
    Gate::new(
        Lane::Pods,
        "a member has the database",
        format!(
            "the cluster is that of system {system}, and no member has its data any more. Bring the \
             volumes back, or restore a backup into a new cluster"
        ),
    )
    .stuck()
}
