//! What is rendered from the manifests in `testdata`, beside what was rendered when somebody last
//! looked. `UPDATE_GOLDEN=1` writes the files anew; look at the difference then.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use matriarch_cluster::{Cluster, Intent, render};
use matriarch_settings::Settings;
use serde_json::{Value, json};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One file per object, and one for what is no Kubernetes object.
fn files(intent: &Intent) -> BTreeMap<String, Value> {
    let mut files: BTreeMap<String, Value> = intent
        .objects()
        .map(|object| (format!("{}-{}.yaml", object.kind.to_lowercase(), object.name), object.body.clone()))
        .collect();
    let rest = json!({
        "instances": intent.instances,
        "selector": intent.selector,
        "roles": intent.roles,
        "databases": intent.databases,
        "lookup": intent.lookup,
        "unwanted": intent.unwanted,
        "patroni": intent.patroni,
        "notices": intent.notices.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    files.insert("intent.yaml".to_owned(), rest);
    files
}

fn check(manifest: &str, name: &str, settings: &Settings) {
    let cluster = Cluster::validate(&read(&testdata().join(manifest)), settings).unwrap();
    let files = files(&render(&cluster, settings));
    let folder = testdata().join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, body) in &files {
            fs::write(folder.join(file), serde_saphyr::to_string(body).unwrap()).unwrap();
        }
    }
    let on_disk: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}; run with UPDATE_GOLDEN=1", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files.keys().cloned().collect::<BTreeSet<_>>(), on_disk);
    for (file, body) in files {
        similar_asserts::assert_eq!(read(&folder.join(&file)), body, "{file}");
    }
}

#[test]
fn minimal() {
    check("seed/minimal.yaml", "minimal", &Settings::default());
}

#[test]
fn complete() {
    check("manifests/complete.yaml", "complete", &Settings::default());
}

#[test]
fn minimal_with_endpoints() {
    let settings = Settings { kubernetes_use_configmaps: false, ..Settings::default() };
    check("seed/minimal.yaml", "minimal-endpoints", &settings);
}
