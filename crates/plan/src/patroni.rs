//! What Patroni keeps: its dynamic configuration, and its own Kubernetes objects, of which we
//! touch nothing but annotations and owner references.

use matriarch_cluster::Intent;
use serde_json::{Map, Value, json};

use crate::action::{Action, Lane, ObjectPlace, Reason, Step};
use crate::consequence::{self, Consequence};
use crate::objects::is_going;
use crate::observation::{Observation, PatroniObject};
use crate::plan::{Gate, Plan};
use crate::seen::Seen;
use crate::slots;

/// Patroni's dynamic configuration is shared by all members; one PATCH does.
pub fn plan_patroni_config(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let Seen::Present(patroni) = &seen.patroni else { return };
    match &patroni.config {
        Seen::Absent => {}
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Config, "Patroni's configuration can be read", why.clone()))
        }
        Seen::Present(live) => {
            let (mut because, mut worst) = (Vec::new(), Consequence::None);
            let mut desired = intent.patroni.clone();
            for name in slots::forsaken(intent, seen) {
                desired["slots"][name] = Value::Null;
            }
            if let Some(patch) = merge_patch(&desired, live, "", &mut because, &mut worst) {
                plan.steps.push(Step::because(Action::PatchPatroniConfig(patch), because).costing(worst));
            }
        }
    }
}

/// The smallest merge patch that brings `live` to `desired`, with reasons.
fn merge_patch(
    desired: &Value,
    live: &Value,
    path: &str,
    because: &mut Vec<Reason>,
    worst: &mut Consequence,
) -> Option<Value> {
    if let Value::Object(fields) = desired {
        let mut patch = Map::new();
        for (key, value) in fields {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let live = live.get(key).unwrap_or(&Value::Null);
            if let Some(part) = merge_patch(value, live, &below, because, worst) {
                patch.insert(key.clone(), part);
            }
        }
        return (!patch.is_empty()).then_some(Value::Object(patch));
    }
    // Patroni keeps `false` and "not set" apart, the manifest does not (04 §9.2);
    // parameters are texts in the manifest and may be numbers in Patroni.
    let same = desired == live
        || (live.is_null() && matches!(desired, Value::Bool(false) | Value::Null))
        || (live.is_null() && desired == &json!(0))
        // Patroni's own default.
        || (live.is_null() && path == "synchronous_node_count" && desired == &json!(1))
        || (!live.is_null() && text(desired) == text(live));
    if same {
        return None;
    }
    let consequence = consequence::dynamic(path);
    *worst = consequence.max(*worst);
    because.push(Reason::new(format!("{path} {live} → {desired}{consequence}")));
    Some(desired.clone())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Patroni's objects get the inherited annotations and the owner references that all objects of a
/// cluster have; they are never replaced, because Patroni keeps its lock in them (03 §7).
pub fn plan_patroni_objects(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    // A budget carries these annotations and no others.
    let Some(standard) = intent.disruption_budgets.first().map(|budget| &budget.body["metadata"]) else {
        return;
    };
    let Seen::Present(objects) = &seen.patroni_objects else { return };
    for object in objects {
        let made_by_us = intent
            .endpoints
            .iter()
            .any(|endpoints| endpoints.kind == object.key.kind && endpoints.name == object.key.name);
        if made_by_us || is_going(&json!({"metadata": object.metadata})) {
            continue;
        }
        let mut patch = Map::new();
        let mut because = annotations(standard, object, &mut patch);
        because.extend(owners(standard, intent, object, &mut patch));
        if !patch.is_empty() {
            let place = ObjectPlace {
                kind: object.key.kind.clone(),
                namespace: intent.identity.namespace.clone(),
                name: object.key.name.clone(),
            };
            let (uid, metadata) = (object.uid.clone(), Value::Object(patch));
            plan.steps.push(Step::because(Action::PatchMetadata { object: place, uid, metadata }, because));
        }
    }
}

fn annotations(standard: &Value, object: &PatroniObject, patch: &mut Map<String, Value>) -> Vec<Reason> {
    let wanted = standard["annotations"].as_object().into_iter().flatten();
    let live = &object.metadata["annotations"];
    let missing: Map<String, Value> = wanted
        .filter(|(key, value)| live.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let because = missing.iter().map(|(key, value)| Reason::annotation(key, value)).collect();
    if !missing.is_empty() {
        patch.insert("annotations".to_owned(), Value::Object(missing));
    }
    because
}

/// References of others stay; ours are as rendered.
fn owners(
    standard: &Value,
    intent: &Intent,
    object: &PatroniObject,
    patch: &mut Map<String, Value>,
) -> Option<Reason> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (wanted, live) = (list(&standard["ownerReferences"]), list(&object.metadata["ownerReferences"]));
    let ours = |owner: &Value| {
        owner["uid"] == json!(intent.identity.uid)
            || wanted.iter().any(|wanted| wanted["uid"] == owner["uid"])
    };
    let mut owners: Vec<Value> = live.iter().filter(|owner| !ours(owner)).cloned().collect();
    owners.extend(wanted.iter().cloned());
    let same = live.len() == owners.len() && owners.iter().all(|owner| live.contains(owner));
    if same {
        return None;
    }
    let names: Vec<String> = owners.iter().map(|owner| text(&owner["name"])).collect();
    patch.insert("ownerReferences".to_owned(), Value::Array(owners));
    Some(Reason::new(format!("metadata.ownerReferences → [{}]", names.join(", "))))
}
