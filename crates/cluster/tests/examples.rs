//! Manifests of further folders are in order: those of the original, and recorded ones. The folder
//! is named by `MATRIARCH_EXTRA_TESTDATA`; without it the test says so and passes.

// Tests may read files, look at the environment and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

use matriarch_cluster::Cluster;
use matriarch_settings::Settings;
use serde_json::Value;

#[test]
fn further_manifests() {
    let Some(folder) = std::env::var_os("MATRIARCH_EXTRA_TESTDATA") else {
        println!("left out: MATRIARCH_EXTRA_TESTDATA names no folder with manifests");
        return;
    };
    let mut checked = 0;
    for folder in ["zalando-manifests", "live-objects"].map(|part| Path::new(&folder).join(part)) {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            for document in std::fs::read_to_string(&path).unwrap().split("\n---") {
                let Ok(manifest) = serde_saphyr::from_str::<Value>(document) else { continue };
                if manifest["kind"] != "postgresql" {
                    continue;
                }
                let cluster = Cluster::validate(&manifest, &Settings::default())
                    .unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
                assert_eq!(cluster.notices, vec![], "{}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 7, "only {checked} manifests");
    println!("{checked} manifests are in order");
}
