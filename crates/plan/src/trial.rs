//! A template is tried before the first pod is deleted for it: the API server, with its admission,
//! quotas and limits, is asked for a pod of it without keeping one.

use std::collections::BTreeMap;

use matriarch_cluster::Object;
use matriarch_cluster::quantity::Quantity;
use serde::Serialize;
use serde_json::{Value, json};

/// What is tried, and what the pod that goes gives back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// A pod as the StatefulSet controller would make it, under a name of its own.
    pub pod: Object,
    /// A StatefulSet of the template: tried instead where pods may not be created.
    pub stateful_set: Object,
    /// The template of the pod that goes; null when it is not known.
    pub goes: Value,
}

impl Trial {
    /// The trial of the template of `set`, a live StatefulSet, for its pod `pod`.
    pub fn of(set: &Value, pod: &str, goes: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&set["metadata"]["namespace"]), text(&set["metadata"]["name"]));
        // Deterministic, and no name that the StatefulSet controller uses.
        let trial = format!("{name}-trial");
        let template = &set["spec"]["template"];
        let mut body = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": template["metadata"].clone(),
            "spec": template["spec"].clone(),
        });
        body["metadata"]["name"] = json!(trial);
        body["metadata"]["namespace"] = json!(namespace);
        let mut volumes = body["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        for claim in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
            let volume = text(&claim["metadata"]["name"]);
            let claim = format!("{volume}-{pod}");
            volumes.retain(|other| other["name"] != volume.as_str());
            volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        }
        body["spec"]["volumes"] = Value::Array(volumes);
        let mut set_body = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": trial, "namespace": namespace, "labels": set["metadata"]["labels"].clone()},
            "spec": set["spec"].clone(),
        });
        for claim in set_body["spec"]["volumeClaimTemplates"].as_array_mut().into_iter().flatten() {
            claim["status"] = Value::Null;
        }
        let object = |api_version: &str, kind: &str, body: Value| Object {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.clone(),
            name: trial.clone(),
            body,
        };
        Self {
            pod: object("v1", "Pod", body),
            stateful_set: object("apps/v1", "StatefulSet", set_body),
            goes,
        }
    }

    /// Whether a refusal says only that the new pod does not fit into a quota *beside* the one that
    /// goes: after that has gone it fits. What cannot be read counts as a refusal.
    pub fn fits_after_all(&self, refusal: &str) -> bool {
        let Some((_, numbers)) = refusal.split_once("exceeded quota: ") else { return false };
        let part = |name: &str| {
            let text = numbers.split_once(&format!("{name}: "))?.1;
            // `requested: cpu=2,memory=1Gi, used: cpu=3,memory=2Gi, limited: cpu=4,memory=8Gi`
            let text = text.split(", ").next()?;
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            let read = |text: &str| Quantity::parse(text.trim()).ok();
            pairs
                .map(|(key, value)| Some((key.trim().to_owned(), read(value)?)))
                .collect::<Option<BTreeMap<_, _>>>()
        };
        let (Some(requested), Some(used), Some(limited)) = (part("requested"), part("used"), part("limited"))
        else {
            return false;
        };
        !requested.is_empty()
            && requested.iter().all(|(key, requested)| {
                let (Some(used), Some(limited)) = (used.get(key), limited.get(key)) else { return false };
                fits(requested, used, limited, &self.given_back(key))
            })
    }

    /// How much of a quota's resource the pod that goes gives back.
    fn given_back(&self, key: &str) -> Vec<Quantity> {
        if matches!(key, "pods" | "count/pods") {
            return Quantity::parse("1").into_iter().collect();
        }
        let (kind, resource) = match key.split_once('.') {
            Some((kind @ ("requests" | "limits"), resource)) => (kind, resource),
            _ => ("requests", key),
        };
        let containers = self.goes["spec"]["containers"].as_array().into_iter().flatten();
        containers
            .filter_map(|container| {
                let resources = &container["resources"];
                // A container without a request requests its limit.
                let amount = match &resources[kind][resource] {
                    Value::Null => &resources["limits"][resource],
                    amount => amount,
                };
                Quantity::parse(amount.as_str()?).ok()
            })
            .collect()
    }
}

/// Whether `requested` fits when what is `back` of `used` is free again.
fn fits(requested: &Quantity, used: &Quantity, limited: &Quantity, back: &[Quantity]) -> bool {
    let back: i128 = back.iter().map(|one| one.nano()).sum();
    requested.nano() + used.nano() - back <= limited.nano()
}
