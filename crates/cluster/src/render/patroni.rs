//! Patroni's dynamic configuration, as the manifest decides it on a running cluster.

use serde_json::{Value, json};

use super::{Context, put, spilo};

/// The body of `PATCH /config`.
///
/// Options that the manifest leaves out and that Patroni has defaults for are not touched, except
/// the synchronous ones: leaving them out means off, and one node.
pub(super) fn dynamic(context: &Context<'_>) -> Value {
    let patroni = context.cluster.spec.patroni.clone().unwrap_or_default();
    let failsafe = patroni.failsafe_mode.unwrap_or(context.settings.enable_patroni_failsafe_mode);
    let mut dynamic = json!({
        "synchronous_mode": patroni.synchronous_mode.unwrap_or_default(),
        "synchronous_mode_strict": patroni.synchronous_mode_strict.unwrap_or_default(),
        "synchronous_node_count": patroni.synchronous_node_count.filter(|count| *count > 0).unwrap_or(1),
        "failsafe_mode": failsafe,
    });
    let numbers = [
        ("ttl", patroni.ttl),
        ("loop_wait", patroni.loop_wait),
        ("retry_timeout", patroni.retry_timeout),
        ("maximum_lag_on_failover", patroni.maximum_lag_on_failover),
    ];
    for (key, number) in numbers {
        if let Some(number) = number.filter(|number| *number > 0) {
            dynamic[key] = json!(number);
        }
    }
    put(&mut dynamic, "slots", json!(patroni.slots.unwrap_or_default()));
    let (_, parameters) = spilo::parameters(context);
    if !parameters.is_empty() {
        dynamic["postgresql"] = json!({"parameters": parameters});
    }
    dynamic
}
