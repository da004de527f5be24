//! Annotations of the template are set on running pods: nobody restarts for them (04 §7.3).

use matriarch_cluster::Intent;
use serde_json::{Map, Value};

use crate::action::{Action, ObjectPlace, Reason, Step};
use crate::observation::{Observation, PodSeen};
use crate::plan::Plan;
use crate::rolling;
use crate::seen::Seen;

/// Plans them for every pod that stays.
pub fn plan_pod_annotations(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let Some((revision, template)) = rolling::newest(intent, seen) else { return };
    for pod in seen.pods.present().into_iter().flatten() {
        if pod.deleting || !rolling::outdated_because(intent, pod, seen).is_empty() {
            continue;
        }
        let older = match seen.revisions.get(&pod.revision) {
            Some(Seen::Present(older)) if pod.revision != revision => older,
            _ => template,
        };
        let patch = patch(pod, template, older);
        if patch.is_empty() {
            continue;
        }
        let because = patch.iter().map(|(key, value)| Reason::annotation(key, value)).collect();
        let object = ObjectPlace {
            kind: "Pod".to_owned(),
            namespace: intent.identity.namespace.clone(),
            name: pod.name.clone(),
        };
        let metadata = Value::Object(Map::from_iter([("annotations".to_owned(), Value::Object(patch))]));
        let action = Action::PatchMetadata { object, uid: pod.uid.clone(), metadata };
        plan.steps.push(Step::because(action, because));
    }
}

fn patch(pod: &PodSeen, newest: &Value, older: &Value) -> Map<String, Value> {
    let annotations = |template: &Value| template["metadata"]["annotations"].as_object().cloned();
    let wanted = annotations(newest).unwrap_or_default();
    let mut patch = Map::new();
    for (key, value) in &wanted {
        if pod.annotations.get(key).map(String::as_str) != value.as_str() {
            patch.insert(key.clone(), value.clone());
        }
    }
    for key in annotations(older).unwrap_or_default().keys() {
        if !wanted.contains_key(key) && pod.annotations.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    patch
}
