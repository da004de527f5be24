//! What is spoilt: places of the manifest, and manifests to start from.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Every place below `spec` in the definition, containers included: `[]` an item, `{}` a value.
pub fn fields() -> Vec<String> {
    let definition = matriarch_api::crd_postgresql();
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = Vec::new();
    collect(spec, "", &mut found);
    found
}

fn collect(schema: &Value, path: &str, into: &mut Vec<String>) {
    if !path.is_empty() {
        into.push(path.to_owned());
    }
    let below = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(property, &below(name), into);
    }
    for (key, part) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            collect(&schema[key], &below(part), into);
        }
    }
}

/// Puts `value` at `path`; what stands in the way is replaced.
pub fn put(spec: &mut Value, path: &str, value: Value) {
    let mut place = spec;
    for part in path.split('/') {
        if part == "[]" {
            if place.as_array().is_none_or(|items| items.is_empty()) {
                *place = json!([{}]);
            }
            place = &mut place[0];
            continue;
        }
        if !place.is_object() {
            *place = json!({});
        }
        let first = place.as_object().unwrap().keys().next().cloned();
        let key = if part == "{}" { first.unwrap_or_else(|| "any".to_owned()) } else { part.to_owned() };
        place = &mut place[key];
    }
    *place = value;
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// The manifest with the most fields, with sections added that exclude nothing.
pub fn rich() -> Value {
    let text = std::fs::read_to_string(testdata().join("manifests/complete.yaml")).unwrap();
    let mut manifest: Value = serde_saphyr::from_str(&text).unwrap();
    for (key, value) in [
        ("clone", json!({"cluster": "acid-source", "timestamp": "2025-01-01T00:00:00+00:00"})),
        ("connectionPooler", json!({})),
        ("preparedDatabases", json!({"bar": {"schemas": {"s": {}}}})),
        ("enableLogicalBackup", json!(true)),
        ("streams", json!([{"applicationId": "a", "database": "foo", "tables": {"t": {"eventType": "e"}}}])),
    ] {
        manifest["spec"][key] = value;
    }
    manifest
}

/// Manifests to start from: ours, and those of the folder that `MATRIARCH_EXTRA_TESTDATA` names.
pub fn manifests() -> Vec<Value> {
    let mut folders = vec![testdata().join("manifests"), testdata().join("seed")];
    match std::env::var_os("MATRIARCH_EXTRA_TESTDATA") {
        Some(extra) => folders.push(PathBuf::from(extra).join("zalando-manifests")),
        None => println!("without further manifests: MATRIARCH_EXTRA_TESTDATA names no folder"),
    }
    let mut found = vec![rich()];
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            for document in std::fs::read_to_string(&path).unwrap().split("\n---") {
                let Ok(object) = serde_saphyr::from_str::<Value>(document) else { continue };
                if object["kind"] == "postgresql" {
                    found.push(object);
                }
            }
        }
    }
    found
}

/// Makes sure that every step of `path` is there.
pub fn put_null_if_missing(object: &mut Value, path: &str) {
    path.split('/').fold(object, |place, key| {
        if !place.is_object() {
            *place = json!({});
        }
        &mut place[key]
    });
}
