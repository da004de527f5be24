//! Where pods run: affinity, topology spread and tolerations.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Context, put};
use crate::level::Level;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `affinity` of a database pod; null if there is none.
pub(super) fn affinity(context: &Context<'_>) -> Value {
    apart_from(context, &context.labels())
}

/// `affinity` of a pod that keeps away from pods with these labels, if the settings ask for it;
/// null if there is none.
pub(super) fn apart_from(context: &Context<'_>, labels: &BTreeMap<String, String>) -> Value {
    let settings = context.settings;
    let mut affinity = json!({});
    let node_affinity = context.cluster.spec.node_affinity.clone();
    put(&mut affinity, "nodeAffinity", on_ready_nodes(context, node_affinity));
    if settings.enable_pod_antiaffinity {
        let term = json!({
            "labelSelector": {"matchLabels": labels},
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

/// A node affinity with the readiness labels.
pub(super) fn on_ready_nodes(context: &Context<'_>, own: Option<Value>) -> Value {
    let mut affinity = own.unwrap_or_else(|| json!({}));
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
    let repaired = context.level.repairs(Level::REPAIRED);
    match Merge::of(context) {
        Merge::Or => terms.push(term),
        Merge::And => {
            for own in terms {
                let mut expressions = own["matchExpressions"].as_array().cloned().unwrap_or_default();
                expressions.extend(readiness.clone());
                // The original loses `matchFields` here (D12).
                let mut term = if repaired { own.clone() } else { json!({}) };
                term["matchExpressions"] = json!(expressions);
                *own = term;
            }
        }
        Merge::Neither => {}
    }
    affinity
}

/// How the readiness labels join terms of the manifest.
enum Merge {
    /// As a further term.
    Or,
    /// In each term.
    And,
    /// Not at all: the original does that for every other word, an empty one included (D13).
    Neither,
}

impl Merge {
    fn of(context: &Context<'_>) -> Self {
        let word = context.settings.node_readiness_label_merge.as_str();
        let repaired = context.level.repairs(Level::REPAIRED);
        match word {
            "AND" => Self::And,
            "OR" => Self::Or,
            other if repaired && other.eq_ignore_ascii_case("AND") => Self::And,
            _ if repaired => Self::Or,
            _ => Self::Neither,
        }
    }
}

/// `topologySpreadConstraints`. A constraint without selector matches no pod; the original passes it
/// on like that (D15).
pub(super) fn topology_spread(context: &Context<'_>) -> Value {
    let mut constraints = context.cluster.spec.topology_spread_constraints.clone().unwrap_or_default();
    if context.level.repairs(Level::REPAIRED) {
        for constraint in constraints.iter_mut().filter(|constraint| constraint["labelSelector"].is_null()) {
            put(constraint, "labelSelector", json!({"matchLabels": context.selector()}));
        }
    }
    json!(constraints)
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
