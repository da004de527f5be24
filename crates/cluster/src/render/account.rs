//! ServiceAccount and RoleBinding of the pods, one per namespace.

use serde_json::{Value, json};

use super::{Context, put};
use crate::intent::Object;
use crate::names;

/// The account from the setting, or a plain one. Its name is always that of the setting.
pub(super) fn service_account(context: &Context<'_>) -> Object {
    let settings = context.settings;
    let mut body =
        definition(&settings.pod_service_account_definition, "ServiceAccount").unwrap_or_else(|_| json!({}));
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
    let mut body = definition(&context.settings.pod_service_account_role_binding_definition, "RoleBinding")
        .unwrap_or_else(|_| json!({}));
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

/// A definition from a setting, as JSON or YAML; nothing if there is none. The error says what is
/// wrong with it.
pub(crate) fn definition(text: &str, kind: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    let parsed: Value = serde_saphyr::from_str(text).map_err(|error| format!("cannot be read: {error}"))?;
    if parsed["kind"] == json!(kind) { Ok(parsed) } else { Err(format!("is not a {kind}")) }
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
