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
    // The object leaves the first to the schema of its definition, and says the second explicitly.
    let expected =
        Settings { enable_postgres_team_crd: true, enable_finalizers: Some(false), ..Settings::default() };
    assert_eq!(settings, expected);
}

/// Our definition accepts what the contract's accepts: the same fields, the same or wider types,
/// words, patterns and bounds.
#[test]
fn the_definition_accepts_what_the_contracts_definition_accepts() {
    let Some(folder) = std::env::var_os("MATRIARCH_EXTRA_TESTDATA") else {
        eprintln!("left out: MATRIARCH_EXTRA_TESTDATA names no folder with definitions");
        return;
    };
    let path = Path::new(&folder).join("zalando-manifests/operatorconfiguration.crd.yaml");
    let theirs: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ours = matriarch_settings::crd_operator_configuration();
    for part in ["group", "scope", "names"] {
        assert_eq!(ours["spec"][part], theirs["spec"][part], "{part}");
    }
    let configuration = |crd: &Value| {
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["configuration"].clone()
    };
    let mut leaves = 0;
    wider(&configuration(&ours), &configuration(&theirs), "configuration", &mut leaves);
    assert_eq!(leaves, 186);
}

/// Words that the schemas' patterns are tried with.
const TRIED: [&str; 14] = [
    "",
    "1",
    "100m",
    "1.5",
    "0.125",
    "500Mi",
    "1e9",
    "2.5Gi",
    "30 00 * * *",
    "*/5 1 2 3 4",
    "Sat:01:00-06:00",
    "01:00-06:00",
    "5m",
    "1h30m",
];

fn wider(ours: &Value, theirs: &Value, path: &str, leaves: &mut usize) {
    let is_group =
        path == "configuration" || path.split('.').count() == 2 && theirs["properties"].is_object();
    if is_group {
        for (key, field) in theirs["properties"].as_object().unwrap() {
            let mine = &ours["properties"][key];
            assert!(mine.is_object(), "{path}.{key} is missing");
            wider(mine, field, &format!("{path}.{key}"), leaves);
        }
        return;
    }
    *leaves += 1;
    if ours["type"].is_string() {
        assert_eq!(ours["type"], theirs["type"], "{path}");
    } else {
        assert_eq!(ours["x-kubernetes-preserve-unknown-fields"], true, "{path}");
    }
    if let Some(words) = ours["enum"].as_array() {
        assert!(theirs["enum"].as_array().unwrap().iter().all(|word| words.contains(word)), "{path}");
    }
    if let Some(least) = theirs["minimum"].as_i64() {
        assert!(ours["minimum"].as_i64().is_none_or(|mine| mine <= least), "{path}");
    }
    let pattern = |schema: &Value| {
        let text = schema["pattern"].as_str().or(schema["items"]["pattern"].as_str());
        text.map(|text| regex::Regex::new(&text.replace(r"\ ", " ")).unwrap())
    };
    let durations_of_theirs = theirs["default"].as_str().is_some_and(|text| text.ends_with(['m', 's']));
    for word in TRIED {
        let accepted =
            pattern(theirs).map_or(durations_of_theirs && word.ends_with(['m', 's']), |p| p.is_match(word));
        if accepted && word != "100m" {
            assert!(pattern(ours).is_none_or(|mine| mine.is_match(word)), "{path} refuses {word}");
        }
    }
}
