//! Files of the repository that must agree with the table of options.
//! `UPDATE_GOLDEN=1` writes the documentation anew.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::Path;

use matriarch_settings::{Settings, reference};
use serde_json::Value;

#[test]
fn the_documentation_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/settings.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, reference()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == reference(), "{} is out of date: run with UPDATE_GOLDEN=1", path.display());
}

#[test]
fn the_shipped_configuration_can_be_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/operator/configmap.yaml");
    let map: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (_, problems) = Settings::from_config_map(&serde_json::from_value(map["data"].clone()).unwrap());
    assert_eq!(problems, vec![]);
}

/// Configurations in a folder of further inputs can be read, and the shipped one is ours.
#[test]
fn further_configurations() {
    let Some(folder) = std::env::var_os("MATRIARCH_EXTRA_TESTDATA") else {
        eprintln!("left out: MATRIARCH_EXTRA_TESTDATA names no folder with configurations");
        return;
    };
    let folder = Path::new(&folder).join("zalando-manifests");
    let read = |file: &str| -> Value {
        serde_saphyr::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
    };
    let data = serde_json::from_value(read("configmap.yaml")["data"].clone()).unwrap();
    assert_eq!(Settings::from_config_map(&data).1, vec![]);
    let object = read("postgresql-operator-default-configuration.yaml");
    let (settings, problems) = Settings::from_operator_configuration(&object);
    assert_eq!(problems, vec![]);
    // The object leaves this one to the schema of its definition.
    let expected = Settings { enable_postgres_team_crd: true, ..Settings::default() };
    assert_eq!(settings, expected);
}
