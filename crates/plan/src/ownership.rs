//! Who owns which field of a live object (Kubernetes `managedFields`, FieldsV1): fields of ours
//! that are no longer wanted, and fields that a predecessor still holds.

use serde_json::{Map, Value, json};

/// The field manager of everything we render.
pub const FIELD_MANAGER: &str = "matriarch";

/// Names under which the original wrote: the program of its released image, and of a build of
/// its source. It sets no name, so the API server takes the program's.
pub const PREDECESSORS: [&str; 2] = ["postgres-operator", "zalando-operator"];

/// Fields that the API server fills in, and that count as the writer's in an `Update`: that we
/// do not render them takes nothing away.
const FILLED_IN: [&str; 33] = [
    "allocateLoadBalancerNodePorts",
    "apiVersion",
    "clusterIP",
    "clusterIPs",
    "concurrencyPolicy",
    "defaultMode",
    "dnsPolicy",
    "externalTrafficPolicy",
    "failedJobsHistoryLimit",
    "failureThreshold",
    "imagePullPolicy",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "nodePort",
    "periodSeconds",
    "progressDeadlineSeconds",
    "protocol",
    "restartPolicy",
    "revisionHistoryLimit",
    "schedulerName",
    "scheme",
    "securityContext",
    "serviceAccount",
    "sessionAffinity",
    "strategy",
    "successThreshold",
    "successfulJobsHistoryLimit",
    "suspend",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "timeoutSeconds",
    "volumeMode",
];

/// How much of an object is rendered by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its metadata; the rest belongs to somebody else, or is written apart.
    Metadata,
}

/// Paths that our own apply, or a predecessor, left on `live` and that `desired` does not have.
pub fn abandoned_fields(desired: &Value, live: &Value, part: Part) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in entries(live) {
        let mut found = Vec::new();
        match part {
            Part::Whole => walk(&entry["fieldsV1"], desired, live, "", &mut found),
            Part::Metadata => {
                let fields = json!({"f:metadata": entry["fieldsV1"]["f:metadata"]});
                walk(&fields, desired, live, "", &mut found);
            }
        }
        if is_ours(entry) {
            paths.extend(found);
        } else if is_update_of(entry, &PREDECESSORS) || is_update_of(entry, &[FIELD_MANAGER]) {
            paths.extend(found.into_iter().filter(|path| !is_filled_in(path)));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Whether some field of a live object is ours.
pub fn is_looked_after(live: &Value) -> bool {
    entries(live).any(|entry| entry["manager"] == FIELD_MANAGER)
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

fn is_ours(entry: &Value) -> bool {
    entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply" && entry.get("subresource").is_none()
}

fn is_update_of(entry: &Value, names: &[&str]) -> bool {
    let manager = entry["manager"].as_str().unwrap_or_default();
    names.contains(&manager) && entry["operation"] == "Update" && entry.get("subresource").is_none()
}

fn is_filled_in(path: &str) -> bool {
    let last = path.rsplit(['.', ']']).next().unwrap_or(path);
    FILLED_IN.contains(&last)
}

fn walk(fields: &Value, desired: &Value, live: &Value, path: &str, paths: &mut Vec<String>) {
    // Where nothing differs, nothing is there that is not wanted.
    if desired == live {
        return;
    }
    let Some(fields) = fields.as_object() else { return };
    for (key, below) in fields {
        let (found, there, name) = match key.split_once(':') {
            Some(("f", field)) => (desired.get(field), live.get(field), field.to_owned()),
            Some(("k", keys)) => (element(desired, keys), element(live, keys), format!("[{keys}]")),
            // Sets and the element itself: their parents are compared by value.
            _ => continue,
        };
        let there = there.unwrap_or(&Value::Null);
        let path = if path.is_empty() || name.starts_with('[') {
            format!("{path}{name}")
        } else {
            format!("{path}.{name}")
        };
        match found {
            Some(value) => walk(below, value, there, &path, paths),
            // What is empty is as good as gone.
            None if is_empty(there) => {}
            None => paths.push(path),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
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

/// Fields that change their owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Whose they were.
    pub managers: Vec<String>,
    /// The `managedFields` to put in the place of the live ones.
    pub managed_fields: Value,
}

/// What makes the fields of predecessors ours, so that leaving one out removes it: their `Update`
/// entries become part of our `Apply` entry. `None` when no predecessor holds any. With
/// `also_own` plain updates of ours count too; after creating an object they are harmless until
/// something is to be removed.
pub fn transfer(live: &Value, part: Part, also_own: bool) -> Option<Transfer> {
    let mut names = PREDECESSORS.to_vec();
    if also_own {
        names.push(FIELD_MANAGER);
    }
    let is_theirs = |entry: &Value| is_update_of(entry, &names) && touches(entry, part);
    if !entries(live).any(is_theirs) {
        return None;
    }
    let mut managers = Vec::new();
    let mut kept = Vec::new();
    let mut ours = None;
    let mut moved = json!({});
    for entry in entries(live) {
        if is_ours(entry) {
            ours = Some(entry.clone());
        } else if is_theirs(entry) {
            managers.push(entry["manager"].as_str().unwrap_or_default().to_owned());
            let (taken, left) = split(&entry["fieldsV1"], part);
            merge(&mut moved, &taken);
            if let Some(left) = left {
                let mut rest = entry.clone();
                rest["fieldsV1"] = left;
                kept.push(rest);
            }
        } else {
            kept.push(entry.clone());
        }
    }
    let mut entry = ours.unwrap_or_else(|| {
        json!({"manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": live["apiVersion"],
            "fieldsType": "FieldsV1", "fieldsV1": {}})
    });
    merge(&mut entry["fieldsV1"], &moved);
    kept.push(entry);
    managers.sort();
    managers.dedup();
    Some(Transfer { managers, managed_fields: Value::Array(kept) })
}

fn touches(entry: &Value, part: Part) -> bool {
    part == Part::Whole || entry["fieldsV1"].get("f:metadata").is_some()
}

/// What is taken over, and what stays with its owner.
fn split(fields: &Value, part: Part) -> (Value, Option<Value>) {
    match part {
        Part::Whole => (fields.clone(), None),
        Part::Metadata => {
            let mut left: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
            let taken = left.remove("f:metadata").unwrap_or_default();
            let left = (!left.is_empty()).then_some(Value::Object(left));
            (json!({"f:metadata": taken}), left)
        }
    }
}

/// The union of two sets of fields.
fn merge(into: &mut Value, from: &Value) {
    let Some(from) = from.as_object() else { return };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, below) in from {
        merge(&mut into[key.as_str()], below);
        if into[key.as_str()].is_null() {
            into[key.as_str()] = json!({});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_left_the_intent_is_abandoned_and_others_are_not() {
        let live = json!({"metadata": {"labels": {"team": "acid"}, "managedFields": [
            {"manager": "matriarch", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:team": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"postgres\"}": {
                    ".": {}, "f:image": {}, "f:env": {"k:{\"name\":\"OLD\"}": {".": {}, "f:value": {}}}}}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}
        ]}, "spec": {"paused": true, "containers": [
            {"name": "postgres", "image": "x", "env": [{"name": "OLD", "value": "1"}]}]}});
        let desired = json!({
            "metadata": {"labels": {"team": "acid"}},
            "spec": {"containers": [{"name": "postgres", "image": "x", "env": []}]}});
        assert_eq!(
            abandoned_fields(&desired, &live, Part::Whole),
            ["spec.containers[{\"name\":\"postgres\"}].env[{\"name\":\"OLD\"}]"]
        );
        assert!(abandoned_fields(&desired, &live, Part::Metadata).is_empty());
    }

    fn of_the_original(manager: &str) -> Value {
        json!({"apiVersion": "apps/v1", "metadata": {"labels": {"team": "acid", "old": "1"}, "managedFields": [
            {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:team": {}, "f:old": {}}},
                    "f:spec": {"f:replicas": {}, "f:revisionHistoryLimit": {}, "f:tolerations": {}}}},
            {"manager": manager, "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:status": {}}}
        ]}, "spec": {"replicas": 2, "revisionHistoryLimit": 10}})
    }

    #[test]
    fn the_fields_of_a_predecessor_become_ours_and_nobody_elses_do() {
        for manager in PREDECESSORS {
            let live = of_the_original(manager);
            let moved = transfer(&live, Part::Whole, false).expect("something to move");
            assert_eq!(moved.managers, [manager]);
            let entries = moved.managed_fields.as_array().cloned().unwrap_or_default();
            assert_eq!(entries.len(), 3, "{entries:?}");
            assert_eq!(entries[0]["subresource"], "status");
            assert_eq!(entries[1]["manager"], "kube-controller-manager");
            assert_eq!(entries[2]["operation"], "Apply");
            assert_eq!(entries[2]["fieldsV1"], live["metadata"]["managedFields"][0]["fieldsV1"]);
            // Once it is ours there is nothing left to move.
            let mut after = live.clone();
            after["metadata"]["managedFields"] = moved.managed_fields;
            assert_eq!(transfer(&after, Part::Whole, false), None);
        }
        assert_eq!(transfer(&of_the_original("kubectl-edit"), Part::Whole, false), None);
    }

    #[test]
    fn data_stays_with_its_owner_where_only_metadata_is_rendered() {
        let moved = transfer(&of_the_original("postgres-operator"), Part::Metadata, false).expect("metadata");
        let entries = moved.managed_fields.as_array().cloned().unwrap_or_default();
        assert_eq!(entries.len(), 4);
        assert!(entries[0]["fieldsV1"].get("f:spec").is_some_and(Value::is_object));
        assert!(entries[0]["fieldsV1"].get("f:metadata").is_none());
        assert_eq!(entries[3]["fieldsV1"].as_object().map(Map::len), Some(1));
    }

    #[test]
    fn what_a_predecessor_left_is_abandoned_but_not_what_the_server_filled_in() {
        let desired = json!({"metadata": {"labels": {"team": "acid"}}, "spec": {"replicas": 2}});
        let live = of_the_original("zalando-operator");
        assert_eq!(abandoned_fields(&desired, &live, Part::Whole), ["metadata.labels.old"]);
    }

    #[test]
    fn own_updates_are_moved_only_on_demand() {
        let live = of_the_original(FIELD_MANAGER);
        assert_eq!(transfer(&live, Part::Metadata, false), None);
        assert!(transfer(&live, Part::Metadata, true).is_some());
    }
}
