//! ServiceAccount and RoleBinding of the pods, one per namespace.

use serde_json::{Value, json};

use super::{Context, put};
use crate::intent::Object;
use crate::names;

/// The account from the setting, or a plain one. Its name is always that of the setting.
pub(super) fn service_account(context: &Context<'_>) -> Object {
    let settings = context.settings;
    let mut body = definition(&settings.pod_service_account_definition);
    let metadata = metadata(context, &body);
    body["metadata"] = metadata;
    if !settings.irsa_role_arn.is_empty() {
        let mut annotations = body["metadata"]["annotations"].clone();
        annotations[names::IRSA_ANNOTATION] = json!(settings.irsa_role_arn);
        put(&mut body["metadata"], "annotations", annotations);
    }
    finish(context, "v1", "ServiceAccount", body)
}

/// The binding from the setting, or one to the ClusterRole of the account's name.
pub(super) fn role_binding(context: &Context<'_>) -> Object {
    let name = &context.settings.pod_service_account_name;
    let mut body = definition(&context.settings.pod_service_account_role_binding_definition);
    if body["roleRef"].is_null() {
        body = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name}],
        });
    }
    let own_name = body["metadata"]["name"].as_str().map(str::to_owned);
    let mut metadata = metadata(context, &body);
    if let Some(own_name) = own_name {
        metadata["name"] = json!(own_name);
    }
    body["metadata"] = metadata;
    finish(context, "rbac.authorization.k8s.io/v1", "RoleBinding", body)
}

/// A definition given as JSON; nothing if there is none.
fn definition(text: &str) -> Value {
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    if parsed.is_object() { parsed } else { json!({}) }
}

fn metadata(context: &Context<'_>, body: &Value) -> Value {
    let mut metadata = match &body["metadata"] {
        Value::Object(map) => Value::Object(map.clone()),
        _ => json!({}),
    };
    metadata["name"] = json!(context.settings.pod_service_account_name);
    metadata["namespace"] = json!(context.namespace());
    metadata
}

fn finish(context: &Context<'_>, api_version: &str, kind: &str, mut body: Value) -> Object {
    let metadata = body["metadata"].take();
    if let Some(map) = body.as_object_mut() {
        map.retain(|key, _| !matches!(key.as_str(), "metadata" | "apiVersion" | "kind"));
    }
    context.object(api_version, kind, metadata, body)
}
