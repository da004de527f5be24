//! Fields that we own on a live object but no longer want: a server-side apply
//! removes them, so they count as differences (Kubernetes `managedFields`, FieldsV1).

use serde_json::Value;

/// The field manager of everything we render.
pub const FIELD_MANAGER: &str = "matriarch";

/// Paths that our own apply left on `live` and that `desired` does not have.
pub fn abandoned_fields(desired: &Value, live: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let ours = entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none();
        if ours {
            walk(&entry["fieldsV1"], desired, "", &mut paths);
        }
    }
    paths
}

fn walk(fields: &Value, desired: &Value, path: &str, paths: &mut Vec<String>) {
    let Some(fields) = fields.as_object() else { return };
    for (key, below) in fields {
        let (found, name) = match key.split_once(':') {
            Some(("f", field)) => (desired.get(field), field.to_owned()),
            Some(("k", keys)) => (element(desired, keys), format!("[{keys}]")),
            // Sets and the element itself: their parents are compared by value.
            _ => continue,
        };
        let path = if path.is_empty() || name.starts_with('[') {
            format!("{path}{name}")
        } else {
            format!("{path}.{name}")
        };
        match found {
            Some(value) => walk(below, value, &path, paths),
            None => paths.push(path),
        }
    }
}

/// The list element that carries all the given keys. A key with a server default
/// (a port's `protocol: TCP`) may be absent from what we render.
fn element<'a>(list: &'a Value, keys: &str) -> Option<&'a Value> {
    let keys: Value = serde_json::from_str(keys).ok()?;
    let keys = keys.as_object()?;
    list.as_array()?.iter().find(|element| {
        keys.iter().all(|(key, value)| {
            element.get(key) == Some(value) || (key == "protocol" && element.get(key).is_none())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_that_left_the_intent_is_abandoned_and_others_are_not() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "matriarch", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:team": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"postgres\"}": {
                    ".": {}, "f:image": {}, "f:env": {"k:{\"name\":\"OLD\"}": {".": {}, "f:value": {}}}}}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}
        ]}});
        let desired = json!({
            "metadata": {"labels": {"team": "acid"}},
            "spec": {"containers": [{"name": "postgres", "image": "x", "env": []}]}});
        assert_eq!(
            abandoned_fields(&desired, &live),
            ["spec.containers[{\"name\":\"postgres\"}].env[{\"name\":\"OLD\"}]"]
        );
    }
}
