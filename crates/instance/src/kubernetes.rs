//! The part of Patroni's configuration that concerns Kubernetes.

use serde_json::{Value, json};

use crate::environment::Environment;
use crate::refusal::Refusal;

/// Names that have a meaning of their own here, and those that the kubelet sets for the API server's Service.
const NOT_PASSED_ON: [&str; 5] = [
    "KUBERNETES_USE_CONFIGMAPS",
    "KUBERNETES_BYPASS_API_SERVICE",
    "KUBERNETES_SERVICE_",
    "KUBERNETES_PORT",
    "KUBERNETES_LABELS",
];

/// What is missing for Kubernetes to keep Patroni's state; this image knows no other place.
#[must_use]
pub fn refusal(env: &Environment) -> Option<Refusal> {
    let missing = ["DCS_ENABLE_KUBERNETES_API", "KUBERNETES_SERVICE_HOST"]
        .into_iter()
        .find(|name| env.get(name).is_none())?;
    Some(Refusal {
        asked_by: missing.to_owned(),
        asked: "is not set, so Patroni has no place for its state".to_owned(),
        cure: "Run this image in a pod of Kubernetes with DCS_ENABLE_KUBERNETES_API=true".to_owned(),
    })
}

/// Section `kubernetes`.
#[must_use]
pub fn section(env: &Environment) -> Value {
    let mut section = json!({
        "labels": object(env, "KUBERNETES_LABELS", json!({"application": "spilo"})),
        "scope_label": env.or("KUBERNETES_SCOPE_LABEL", "version"),
        "role_label": env.or("KUBERNETES_ROLE_LABEL", "spilo-role"),
        "leader_label_value": env.or("KUBERNETES_LEADER_LABEL_VALUE", "master"),
        "standby_leader_label_value": env.or("KUBERNETES_STANDBY_LEADER_LABEL_VALUE", "master"),
        "follower_label_value": env.or("KUBERNETES_FOLLOWER_LABEL_VALUE", "replica"),
        "bootstrap_labels": object(env, "KUBERNETES_BOOTSTRAP_LABELS", json!({})),
    });
    if env.or("KUBERNETES_BYPASS_API_SERVICE", "true") == "true" {
        section["bypass_api_service"] = json!(true);
    }
    if !env.on("KUBERNETES_USE_CONFIGMAPS") {
        let port: u16 = env.or("PGPORT", "5432").parse().unwrap_or(5432);
        section["use_endpoints"] = json!(true);
        section["pod_ip"] = json!(env.or("POD_IP", ""));
        section["ports"] = json!([{"name": "postgresql", "port": port}]);
    }
    for (name, value) in env.iter() {
        if NOT_PASSED_ON.iter().any(|known| name.starts_with(known)) {
            continue;
        }
        if let Some(key) = name.strip_prefix("KUBERNETES_").map(str::to_ascii_lowercase)
            && section.get(&key).is_none()
        {
            section[key] = json!(value);
        }
    }
    section
}

/// Namespace of Patroni's objects, where it is not the default one.
#[must_use]
pub fn namespace(env: &Environment) -> Option<&str> {
    env.get("NAMESPACE").or_else(|| env.get("POD_NAMESPACE")).filter(|namespace| *namespace != "default")
}

fn object(env: &Environment, name: &str, default: Value) -> Value {
    env.get(name)
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .filter(Value::is_object)
        .unwrap_or(default)
}
