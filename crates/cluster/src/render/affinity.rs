//! Where pods run: affinity and tolerations.

use serde_json::{Value, json};

use super::{Context, put};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `affinity` of a pod; null if there is none.
pub(super) fn affinity(context: &Context<'_>) -> Value {
    let settings = context.settings;
    let mut affinity = json!({});
    put(&mut affinity, "nodeAffinity", node_affinity(context));
    if settings.enable_pod_antiaffinity {
        let term = json!({
            "labelSelector": {"matchLabels": context.labels()},
            "topologyKey": settings.pod_antiaffinity_topology_key,
        });
        affinity["podAntiAffinity"] = if settings.pod_antiaffinity_preferred_during_scheduling {
            json!({PREFERRED: [{"weight": 1, "podAffinityTerm": term}]})
        } else {
            json!({REQUIRED: [term]})
        };
    }
    affinity
}

/// The manifest's node affinity with the readiness labels.
fn node_affinity(context: &Context<'_>) -> Value {
    let mut affinity = context.cluster.spec.node_affinity.clone().unwrap_or_else(|| json!({}));
    let readiness: Vec<Value> = context
        .settings
        .node_readiness_label
        .iter()
        .map(|(key, value)| json!({"key": key, "operator": "In", "values": [value]}))
        .collect();
    if readiness.is_empty() {
        return affinity;
    }
    let term = json!({"matchExpressions": readiness});
    let Some(terms) = affinity[REQUIRED]["nodeSelectorTerms"].as_array_mut() else {
        affinity[REQUIRED] = json!({"nodeSelectorTerms": [term]});
        return affinity;
    };
    if context.settings.node_readiness_label_merge.eq_ignore_ascii_case("AND") {
        for own in terms {
            let mut expressions = own["matchExpressions"].as_array().cloned().unwrap_or_default();
            expressions.extend(readiness.clone());
            own["matchExpressions"] = json!(expressions);
        }
    } else {
        terms.push(term);
    }
    affinity
}

/// `tolerations`: the manifest's, else the one of the settings, else an empty list.
pub(super) fn tolerations(context: &Context<'_>) -> Value {
    if let Some(own) = context.cluster.spec.tolerations.as_ref().filter(|own| !own.is_empty()) {
        return json!(own);
    }
    let mut toleration = json!({});
    for key in ["key", "operator", "value", "effect"] {
        let value = context.settings.toleration.get(key).cloned().unwrap_or_default();
        put(&mut toleration, key, json!(value));
    }
    if toleration == json!({}) { json!([]) } else { json!([toleration]) }
}
