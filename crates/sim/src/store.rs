//! The API server's store: uids, resource versions, generations, finalizers, preconditions.

use std::collections::BTreeMap;

use matriarch_cluster::Object;
use matriarch_plan::ownership::{FIELD_MANAGER, PREDECESSORS};
use matriarch_plan::{ObjectKey, ObjectSeen, Outcome};
use serde_json::{Map, Value, json};

/// A stored object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Grows with each change of any object.
    pub version: u64,
    /// Uid and content.
    pub seen: ObjectSeen,
    /// A deletion waits until then: a finalizer of somebody's, or orphaning, holds it.
    pub gone_at: Option<u64>,
}

/// Objects other than pods, claims and credentials.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// By kind and name.
    pub objects: BTreeMap<ObjectKey, Stored>,
    version: u64,
    uids: u64,
}

impl Store {
    /// A uid that nothing had before.
    pub fn uid(&mut self) -> String {
        self.uids += 1;
        format!("uid-{}", self.uids)
    }

    /// The next resource version.
    pub fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Server-side apply: fields of others stay, immutable ones are refused.
    ///
    /// # Errors
    /// What the API server says to a change of an immutable field.
    pub fn apply(&mut self, object: &Object) -> Result<(), String> {
        let key = ObjectKey::new(&object.kind, &object.name);
        let Some(live) = self.objects.get(&key) else {
            self.insert(object);
            return Ok(());
        };
        let mut body = object.applied();
        let old = &live.seen.body;
        if object.kind == "StatefulSet" {
            for field in ["volumeClaimTemplates", "selector", "serviceName", "podManagementPolicy"] {
                if old["spec"][field] != body["spec"][field] {
                    return Err(format!("422 StatefulSet {}: spec.{field} is immutable", object.name));
                }
            }
        }
        let owned = &old["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:annotations"];
        let others = old["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        for (name, value) in others {
            let is_ours = owned.get(format!("f:{name}")).is_some();
            if !is_ours && body["metadata"]["annotations"].get(&name).is_none() {
                body["metadata"]["annotations"][name] = value;
            }
        }
        let fields = fields_of(&object.body);
        for field in ["uid", "generation", "deletionTimestamp", "resourceVersion"] {
            if let Some(value) = old["metadata"].get(field) {
                body["metadata"][field] = value.clone();
            }
        }
        body["metadata"]["managedFields"] = managed(FIELD_MANAGER, "Apply", fields);
        if let Some(status) = old.get("status") {
            body["status"] = status.clone();
        }
        if old == &body {
            return Ok(());
        }
        if old["spec"] != body["spec"] {
            body["metadata"]["generation"] = json!(old["metadata"]["generation"].as_u64().unwrap_or(1) + 1);
        }
        self.change(&key, |live| *live = body);
        Ok(())
    }

    /// Creates it unless something has its name.
    ///
    /// # Errors
    /// When something has its name.
    pub fn create(&mut self, object: &Object) -> Result<(), String> {
        if self.objects.contains_key(&ObjectKey::new(&object.kind, &object.name)) {
            return Err("it exists already".to_owned());
        }
        self.insert(object);
        Ok(())
    }

    fn insert(&mut self, object: &Object) {
        let uid = self.uid();
        let mut body = object.applied();
        body["metadata"]["uid"] = json!(uid);
        body["metadata"]["generation"] = json!(1);
        body["metadata"]["managedFields"] = managed(FIELD_MANAGER, "Apply", fields_of(&object.body));
        let version = self.next_version();
        body["metadata"]["resourceVersion"] = json!(version.to_string());
        let stored = Stored { version, seen: ObjectSeen { uid, body }, gone_at: None };
        self.objects.insert(ObjectKey::new(&object.kind, &object.name), stored);
    }

    /// Changes the content of an object that is there.
    pub fn change(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Value)) {
        let version = self.next_version();
        if let Some(live) = self.objects.get_mut(key) {
            change(&mut live.seen.body);
            live.seen.body["metadata"]["resourceVersion"] = json!(version.to_string());
            live.version = version;
        }
    }

    /// Creates it as the original did, whose writes are updates under its own name.
    pub fn create_as_original(&mut self, object: &Object) {
        self.insert(object);
        let key = ObjectKey::new(&object.kind, &object.name);
        let fields = managed(PREDECESSORS[0], "Update", fields_of(&object.body));
        self.change(&key, |body| body["metadata"]["managedFields"] = fields);
    }

    /// Puts other owners to the fields of an object that is still as it was seen.
    pub fn adopt(&mut self, key: &ObjectKey, resource_version: &str, fields: &Value) -> Outcome {
        let live = self.objects.get(key).map(|live| live.version.to_string());
        if live.as_deref() != Some(resource_version) {
            return Outcome::Outdated("409 the object has been modified".to_owned());
        }
        self.change(key, |body| body["metadata"]["managedFields"] = fields.clone());
        Outcome::Applied
    }

    /// Deletes the object of this uid, at once or, where something holds it, at `gone_at`.
    pub fn delete(&mut self, key: &ObjectKey, uid: &str, gone_at: Option<u64>) -> Outcome {
        let version = self.next_version();
        let Some(live) = self.objects.get_mut(key) else { return Outcome::Applied };
        if live.seen.uid != uid {
            return Outcome::Outdated("409 the uid in the precondition is another".to_owned());
        }
        match gone_at {
            None => drop(self.objects.remove(key)),
            Some(at) => {
                live.seen.body["metadata"]["deletionTimestamp"] = json!("now");
                live.version = version;
                live.gone_at.get_or_insert(at);
            }
        }
        Outcome::Applied
    }

    /// Objects whose deletion is complete now.
    pub fn collect(&mut self, now: u64) -> Vec<(ObjectKey, Stored)> {
        let due = |stored: &Stored| stored.gone_at.is_some_and(|at| at <= now);
        if !self.objects.values().any(due) {
            return Vec::new();
        }
        let keys: Vec<ObjectKey> =
            self.objects.iter().filter(|(_, stored)| due(stored)).map(|(key, _)| key.clone()).collect();
        self.version += 1;
        keys.into_iter().filter_map(|key| self.objects.remove_entry(&key)).collect()
    }
}

fn managed(manager: &str, operation: &str, fields: Value) -> Value {
    json!([{"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields}])
}

/// What a writer of `body` owns, as the API server notes it (FieldsV1).
fn fields_of(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(top) = body.as_object_mut() {
        for field in ["apiVersion", "kind", "status"] {
            top.remove(field);
        }
        if let Some(metadata) = top.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata
                .retain(|field, _| matches!(field.as_str(), "labels" | "annotations" | "ownerReferences"));
        }
    }
    owned(&body, "")
}

fn owned(value: &Value, name: &str) -> Value {
    let list = match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| (format!("f:{key}"), owned(value, key)));
            return Value::Object(fields.collect());
        }
        Value::Array(list) => list,
        _ => return json!({}),
    };
    let key = match name {
        "containers" | "initContainers" | "env" | "volumes" => "name",
        "volumeMounts" => "mountPath",
        "ports" if list.iter().all(|port| port.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "ownerReferences" => "uid",
        _ => return json!({}),
    };
    let mut fields = Map::new();
    for element in list {
        let mut keys = json!({key: element[key]});
        if name == "ports" {
            keys["protocol"] = element.get("protocol").cloned().unwrap_or(json!("TCP"));
        }
        let mut below = owned(element, "");
        below["."] = json!({});
        fields.insert(format!("k:{keys}"), below);
    }
    Value::Object(fields)
}
