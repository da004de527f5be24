//! Rendered objects beside recordings of what the original operator wrote. The recordings come
//! from the folder that `MATRIARCH_EXTRA_TESTDATA` names; without it the test says so and passes.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use matriarch_cluster::{Cluster, Object, render};
use matriarch_settings::Settings;
use serde_json::{Value, json};

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

/// Where `wanted` is not contained in `found`: what the API server adds is no difference, and
/// neither is a missing value where an empty one was sent.
fn differences(path: &str, wanted: &Value, found: &Value, into: &mut Vec<String>) {
    let empty = matches!(wanted, Value::String(text) if text.is_empty()) || *wanted == json!([]);
    if empty && found.is_null() {
        return;
    }
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(_)) => {
            for (key, value) in wanted {
                differences(&format!("{path}.{key}"), value, &found[key], into);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                differences(&format!("{path}[{index}]"), wanted, found, into);
            }
        }
        _ if wanted == found => {}
        _ => into.push(format!("{path}: rendered {wanted}, recorded {found}")),
    }
}

fn compare(folder: &Path, settings: &Settings) {
    let manifest = items(&folder.join("postgresql.yaml")).remove(0);
    // Rendering knows Endpoints, but clusters are not allowed to use them yet.
    let allowed = Settings { kubernetes_use_configmaps: true, ..settings.clone() };
    let cluster = Cluster::validate(&manifest, &allowed).unwrap();
    let intent = render(&cluster, settings);
    let mut recorded: BTreeMap<(String, String), Value> = BTreeMap::new();
    for kind in ["secrets", "services", "poddisruptionbudgets", "statefulsets"] {
        for object in items(&folder.join(format!("{kind}.yaml"))) {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            recorded.insert((text(&object["kind"]), text(&object["metadata"]["name"])), object);
        }
    }
    let mut found = Vec::new();
    let own: Vec<&Object> = intent.objects().filter(|object| !is_shared(object)).collect();
    for object in own {
        let key = (object.kind.clone(), object.name.clone());
        let Some(live) = recorded.get(&key) else {
            found.push(format!("{key:?} was not recorded"));
            continue;
        };
        differences(&format!("{} {}", object.kind, object.name), &object.body, live, &mut found);
        // Labels and variables must not be fewer than recorded either.
        for path in ["/metadata/labels", "/spec/selector", "/spec/template/metadata/labels"] {
            assert_eq!(object.body.pointer(path), live.pointer(path), "{path} of {}", object.name);
        }
        let environment = "/spec/template/spec/containers/0/env";
        let count = |body: &Value| body.pointer(environment).and_then(Value::as_array).map(Vec::len);
        assert_eq!(count(&object.body), count(live), "variables of {}", object.name);
    }
    assert_eq!(found, Vec::<String>::new(), "{}", folder.display());
}

/// ServiceAccount and RoleBinding are made once per namespace.
fn is_shared(object: &Object) -> bool {
    matches!(object.kind.as_str(), "ServiceAccount" | "RoleBinding")
}

#[test]
fn rendered_as_recorded() {
    let Some(folder) = std::env::var_os("MATRIARCH_EXTRA_TESTDATA") else {
        println!("left out: MATRIARCH_EXTRA_TESTDATA names no folder with recordings");
        return;
    };
    let folder = PathBuf::from(folder).join("live-objects");
    let data = serde_json::from_value(read(&folder.join("operator-configmap.yaml"))["data"].clone()).unwrap();
    let (settings, problems) = Settings::from_config_map(&data);
    assert_eq!(problems, vec![]);
    let endpoints = Settings { kubernetes_use_configmaps: false, ..settings.clone() };
    compare(&folder.join("configmaps-minimal"), &settings);
    compare(&folder.join("configmaps-complete"), &settings);
    compare(&folder.join("endpoints-minimal"), &endpoints);
    compare(&folder.join("endpoints-complete"), &endpoints);
}
