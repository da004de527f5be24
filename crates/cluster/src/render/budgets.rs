//! The two PodDisruptionBudgets. They exist always; switching them off only relaxes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Context;
use crate::intent::Object;
use crate::level::Level;
use crate::names;
use crate::policy::Policy;

pub(super) fn render(context: &Context<'_>) -> Vec<Object> {
    vec![primary(context), critical(context)]
}

/// Without pods, or switched off, the budgets hold nothing back. The number of pods within the
/// operator's bounds decides; the original takes the manifest's own (D42).
fn relaxed(context: &Context<'_>) -> bool {
    !context.settings.enable_pod_disruption_budget || context.cluster.instances(context.settings) == 0
}

fn primary(context: &Context<'_>) -> Object {
    let settings = context.settings;
    let patroni = context.cluster.spec.patroni.clone().unwrap_or_default();
    let by_role = settings.pdb_master_label_selector;
    // One pod for which a drain may cause a short outage, rather than wait for ever.
    let (policy, _) = Policy::of(&context.cluster.annotations);
    let alone = context.cluster.instances(settings) == 1 && policy.single_instance_may_be_drained;
    let strict = !by_role && patroni.synchronous_mode_strict == Some(true);
    let available = match (relaxed(context) || alone, strict) {
        (true, _) => 0,
        (false, false) => 1,
        // Patroni's own default for an absent count is 1; the original counts 0 (D32).
        (false, true) => patroni.synchronous_node_count.filter(|count| *count > 0).unwrap_or(1) + 1,
    };
    let selector = if by_role { context.role_selector(names::PRIMARY) } else { context.selector() };
    let name = names::primary_budget(context.name(), settings);
    budget(context, &name, "minAvailable", json!(available), selector)
}

fn critical(context: &Context<'_>) -> Object {
    let unavailable = if relaxed(context) { json!("100%") } else { json!(0) };
    let mut selector = context.selector();
    selector.insert(names::CRITICAL_OPERATION_LABEL.to_owned(), "true".to_owned());
    budget(context, &names::critical_budget(context.name()), "maxUnavailable", unavailable, selector)
}

fn budget(
    context: &Context<'_>,
    name: &str,
    field: &str,
    value: Value,
    selector: BTreeMap<String, String>,
) -> Object {
    let metadata = context.metadata(name, context.labels(), context.inherited(BTreeMap::new()));
    let mut spec = json!({"selector": {"matchLabels": selector}});
    if context.level.repairs(Level::REPAIRED) {
        // A pod that is not ready serves nobody: it must not hold up the drain of its node.
        spec["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
    }
    spec[field] = value;
    context.object("policy/v1", "PodDisruptionBudget", metadata, json!({"spec": spec}))
}
