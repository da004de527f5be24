//! What is rendered at the original's level, beside what the original operator wrote on a real API
//! server: `testdata/live-objects`. Equal both ways after the API server's defaulting, nothing extra
//! and nothing missing.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use matriarch_cluster::{Cluster, Facts, Intent, LEVEL_ANNOTATION, Level, References, render_with};
use matriarch_settings::Settings;
use serde_json::{Value, json};

type Key = (String, String);

/// Recorded files that hold objects of the operator.
const OURS: [&str; 8] = [
    "secrets",
    "services",
    "endpoints",
    "poddisruptionbudgets",
    "statefulsets",
    "cronjobs",
    "serviceaccounts-postgres-pod",
    "rolebindings-postgres-pod",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/live-objects")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn items(path: &Path) -> Vec<Value> {
    let list = read(path);
    match list["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![list],
    }
}

fn settings(kubernetes_use_configmaps: bool) -> Settings {
    let data =
        serde_json::from_value(read(&folder().join("operator-configmap.yaml"))["data"].clone()).unwrap();
    let (settings, problems) = Settings::from_config_map(&data);
    assert_eq!(problems, vec![]);
    Settings { kubernetes_use_configmaps, ..settings }
}

/// The recording of this name, its intent, and whether it is one with ConfigMaps.
fn rendered(name: &str) -> Intent {
    let manifest = items(&folder().join(name).join("postgresql.yaml")).remove(0);
    let settings = settings(name.starts_with("configmaps"));
    let cluster = Cluster::validate(&manifest, &settings).unwrap();
    render_with(&cluster, &settings, &References::default(), &Facts::default())
}

fn key(object: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Without what only the API server writes, and without what others wrote.
fn recorded(name: &str) -> BTreeMap<Key, Value> {
    let files = OURS.map(|file| folder().join(name).join(format!("{file}.yaml")));
    let all = files.iter().filter(|file| file.exists()).flat_map(|file| items(file));
    let mut found = BTreeMap::new();
    for mut object in all {
        if of_others(&object) {
            continue;
        }
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        for field in ["status", "data"] {
            object.as_object_mut().unwrap().remove(field);
        }
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if object["kind"] == "Service" {
                object["spec"].as_object_mut().unwrap().remove(field);
            }
        }
        found.insert(key(&object), without_empty(object));
    }
    found
}

/// Endpoints that the endpoint controller fills, and the Secret of a pooler that an earlier run left.
fn of_others(object: &Value) -> bool {
    let managed = &object["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"];
    let pooler = object["metadata"]["labels"].get("connection-pooler").is_some();
    !managed.is_null() || (object["kind"] == "Secret" && pooler)
}

/// What the API server adds to `object` (03 §2.5).
fn defaulted(mut object: Value) -> Value {
    match object["kind"].as_str().unwrap() {
        "StatefulSet" => {
            object["spec"]["revisionHistoryLimit"] = json!(10);
            pod_defaults(&mut object["spec"]["template"]["spec"], "Always");
            for claim in object["spec"]["volumeClaimTemplates"].as_array_mut().unwrap() {
                claim["apiVersion"] = json!("v1");
                claim["kind"] = json!("PersistentVolumeClaim");
                claim["status"] = json!({"phase": "Pending"});
            }
        }
        "CronJob" => {
            object["spec"]["suspend"] = json!(false);
            pod_defaults(&mut object["spec"]["jobTemplate"]["spec"]["template"]["spec"], "Never");
        }
        "Service" => {
            object["spec"]["sessionAffinity"] = json!("None");
            object["spec"]["internalTrafficPolicy"] = json!("Cluster");
            for port in object["spec"]["ports"].as_array_mut().unwrap() {
                port["protocol"] = json!("TCP");
            }
        }
        _ => {}
    }
    without_empty(object)
}

fn pod_defaults(pod: &mut Value, restart: &str) {
    pod["dnsPolicy"] = json!("ClusterFirst");
    pod["restartPolicy"] = json!(restart);
    pod["schedulerName"] = json!("default-scheduler");
    pod["serviceAccount"] = pod["serviceAccountName"].clone();
    for container in pod["containers"].as_array_mut().unwrap() {
        container["terminationMessagePath"] = json!("/dev/termination-log");
        container["terminationMessagePolicy"] = json!("File");
    }
}

/// The API server keeps no empty value of a variable and no empty list; an empty object stays where
/// it means something, which is the same on both sides.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(key, value)| (key, without_empty(value)));
            Value::Object(kept.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => items.into_iter().map(without_empty).collect(),
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_str().is_some_and(str::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Every object at the original's level.
fn objects(intent: &Intent) -> BTreeMap<Key, Value> {
    let all = intent.objects_at(Level::ORIGINAL);
    all.map(|object| (key(&object.body), defaulted(object.body.clone()))).collect()
}

fn compare(name: &str) {
    let (ours, theirs) = (objects(&rendered(name)), recorded(name));
    let names = |objects: &BTreeMap<Key, Value>| objects.keys().cloned().collect::<Vec<_>>();
    similar_asserts::assert_eq!(names(&theirs), names(&ours), "objects of {name}");
    for (key, live) in &theirs {
        similar_asserts::assert_eq!(live, &ours[key], "{key:?} of {name}");
    }
}

#[test]
fn configmaps_minimal() {
    compare("configmaps-minimal");
}

#[test]
fn configmaps_complete() {
    compare("configmaps-complete");
}

#[test]
fn endpoints_minimal() {
    compare("endpoints-minimal");
}

#[test]
fn endpoints_complete() {
    compare("endpoints-complete");
}

/// None of the recorded manifests meets a repaired defect, so the newest level changes nothing but
/// the annotation beside the template.
#[test]
fn the_newest_level_restarts_no_recorded_pod() {
    for name in ["configmaps-minimal", "configmaps-complete", "endpoints-minimal", "endpoints-complete"] {
        let intent = rendered(name);
        let body = |level| intent.stateful_set_at(level).body.clone();
        let (old, new) = (body(Level::ORIGINAL), body(Level::NEWEST));
        assert_eq!(old["spec"], new["spec"], "{name}");
        assert_eq!(old["metadata"]["annotations"][LEVEL_ANNOTATION], Value::Null);
        assert_eq!(new["metadata"]["annotations"][LEVEL_ANNOTATION], "1");
    }
}
