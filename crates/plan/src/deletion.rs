//! Removing a cluster whose manifest carries a deletionTimestamp. Never inferred from
//! anything else. Pods go before Patroni's own objects, because a living Patroni would
//! make them again (04 §6).

use matriarch_cluster::Intent;
use matriarch_settings::Settings;

use serde_json::{Value, json};

use crate::action::{Action, Lane, ObjectPlace, Step};
use crate::nodes;
use crate::objects::{belongs, is_going, key_of};
use crate::observation::{ObjectKey, Observation, PodSeen};
use crate::plan::{Gate, Plan};
use crate::seen::Seen;

const DELETED: &str = "the manifest was deleted";

/// What to do so that nothing of the cluster remains but what the settings keep.
pub fn plan_deletion(intent: &Intent, settings: &Settings, seen: &Observation) -> Plan {
    let identity = &intent.identity;
    let mut plan = Plan {
        subject: format!("deletion of cluster {}/{}", identity.namespace, identity.name),
        paused: intent.policy.paused,
        ..Plan::default()
    };
    let rendered = std::iter::once(&intent.stateful_set)
        .chain(&intent.disruption_budgets)
        .chain(&intent.services)
        .chain(&intent.logical_backup)
        .chain(
            intent.poolers.iter().flat_map(|pooler| [&pooler.deployment, &pooler.service, &pooler.user_list]),
        )
        .map(key_of);
    let unwanted = intent.unwanted.iter().map(|unwanted| ObjectKey::new(&unwanted.kind, &unwanted.name));
    for key in rendered.chain(unwanted) {
        plan_object(key, intent, seen, &mut plan);
    }
    plan_streams(seen, &mut plan);
    plan_pods(intent, seen, &mut plan);
    if settings.enable_secrets_deletion {
        for (name, secret) in &seen.secrets {
            let key = ObjectKey::new("Secret", name);
            match secret {
                Seen::Absent => {}
                Seen::Unknown(why) => plan.gates.push(unseen(&key, why)),
                Seen::Present(secret) => plan.steps.push(delete(key, &secret.uid)),
            }
        }
    }
    if plan.is_settled() {
        plan_rest(intent, settings, seen, &mut plan);
    }
    if plan.is_settled() {
        keep_secrets(intent, settings, seen, &mut plan);
    }
    if plan.is_settled() && seen.has_finalizer {
        plan.steps.push(Step::new(Action::RemoveFinalizer, "everything else is gone"));
    }
    plan
}

fn plan_object(key: ObjectKey, intent: &Intent, seen: &Observation, plan: &mut Plan) {
    match seen.object(&key) {
        Seen::Absent => {}
        Seen::Unknown(why) => plan.gates.push(unseen(&key, &why)),
        Seen::Present(live) if !belongs(&live.body, intent) => {}
        Seen::Present(live) if is_going(&live.body) => plan.gates.push(going_away(&key)),
        Seen::Present(live) => plan.steps.push(delete(key, &live.uid)),
    }
}

/// Streams that cannot be listed hold nothing up: their kind is somebody else's.
fn plan_streams(seen: &Observation, plan: &mut Plan) {
    for stream in seen.streams.present().into_iter().flatten() {
        let name = stream.body["metadata"]["name"].as_str().unwrap_or_default();
        if !is_going(&stream.body) {
            plan.steps.push(delete(ObjectKey::new("FabricEventStream", name), &stream.uid));
        }
    }
}

/// Pods go with their StatefulSet. Where that is gone already, nobody else would end them.
fn plan_pods(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let pods = match &seen.pods {
        Seen::Present(pods) => pods,
        Seen::Absent => return,
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Cleanup, "the pods can be listed", why.clone()));
            return;
        }
    };
    let set_is_gone = matches!(seen.object(&key_of(&intent.stateful_set)), Seen::Absent);
    for pod in pods.iter().filter(|pod| set_is_gone && !pod.deleting) {
        let key = ObjectKey::new("Pod", &pod.name);
        let action = Action::Delete { key, uid: pod.uid.clone() };
        plan.steps.push(Step::new(action, format!("{DELETED}, and its StatefulSet is gone")));
    }
    // One that hangs is worth more words than those that are on their way.
    let hangs = pods.iter().find_map(|pod| Some((pod, nodes::lost(pod, seen).filter(|_| pod.deleting)?)));
    match hangs {
        Some((pod, cure)) => {
            let gate = pod_gate(pod);
            plan.gates.push(Gate { because: format!("it is terminating; {cure}"), ..gate }.stuck());
        }
        None => plan.gates.extend(pods.first().map(pod_gate)),
    }
}

/// A PostgreSQL that shuts down may take as long as its grace period.
const SLOW_SHUTDOWN_SECONDS: u32 = 300;

fn pod_gate(pod: &PodSeen) -> Gate {
    going_away(&ObjectKey::new("Pod", &pod.name)).patient(Some(SLOW_SHUTDOWN_SECONDS))
}

/// With owner references Kubernetes deletes what refers to the manifest. Secrets that the settings
/// keep lose their reference before the manifest goes.
fn keep_secrets(intent: &Intent, settings: &Settings, seen: &Observation, plan: &mut Plan) {
    if settings.enable_secrets_deletion {
        return;
    }
    for (name, secret) in &seen.secrets {
        let Seen::Present(secret) = secret else { continue };
        let owners = secret.metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
        let others: Vec<Value> =
            owners.iter().filter(|owner| owner["uid"] != json!(intent.identity.uid)).cloned().collect();
        if others.len() == owners.len() || intent.identity.uid.is_empty() {
            continue;
        }
        let object = ObjectPlace {
            kind: "Secret".to_owned(),
            namespace: intent.identity.namespace.clone(),
            name: name.clone(),
        };
        let metadata = json!({ "ownerReferences": others });
        plan.steps.push(Step::new(
            Action::PatchMetadata { object, uid: secret.uid.clone(), metadata },
            "enable_secrets_deletion is false: with its owner reference it would go with the manifest",
        ));
    }
}

/// What goes after the pods: volume claims and Patroni's objects.
fn plan_rest(intent: &Intent, settings: &Settings, seen: &Observation, plan: &mut Plan) {
    for endpoints in &intent.endpoints {
        plan_object(key_of(endpoints), intent, seen, plan);
    }
    if settings.enable_persistent_volume_claim_deletion {
        match &seen.claims {
            Seen::Present(claims) => {
                for claim in claims {
                    let key = ObjectKey::new("PersistentVolumeClaim", &claim.name);
                    if claim.deleting {
                        plan.gates.push(going_away(&key));
                    } else {
                        plan.steps.push(delete(key, &claim.uid));
                    }
                }
            }
            Seen::Absent => {}
            Seen::Unknown(why) => {
                plan.gates.push(Gate::new(Lane::Cleanup, "the claims can be listed", why.clone()));
            }
        }
    }
    match &seen.patroni_objects {
        Seen::Present(objects) => {
            let made_by_us = |key: &ObjectKey| intent.endpoints.iter().any(|object| key_of(object) == *key);
            let theirs = objects.iter().filter(|object| !made_by_us(&object.key));
            plan.steps.extend(theirs.map(|object| delete(object.key.clone(), &object.uid)))
        }
        Seen::Absent => {}
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Cleanup, "Patroni's objects can be listed", why.clone()))
        }
    }
}

fn delete(key: ObjectKey, uid: &str) -> Step {
    Step::new(Action::Delete { key, uid: uid.to_owned() }, DELETED)
}

fn going_away(key: &ObjectKey) -> Gate {
    Gate::new(Lane::Cleanup, format!("{} {} is gone", key.kind, key.name), "it is terminating")
}

fn unseen(key: &ObjectKey, why: &str) -> Gate {
    Gate::new(Lane::Cleanup, format!("{} {} can be read", key.kind, key.name), why)
}
