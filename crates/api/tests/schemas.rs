//! Our definitions beside those of the original: every manifest of theirs is accepted by ours,
//! ours by theirs, and ours takes whatever theirs takes. Theirs come from the folder that
//! `MATRIARCH_EXTRA_TESTDATA` names; without it the tests say so and pass.

// Tests may read files, look at the environment and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

mod structural;

use std::path::{Path, PathBuf};

use matriarch_api::{crds, decode};
use regex::Regex;
use serde_json::{Value, json};
use structural::faults;

fn documents(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parts = text.split("\n---").filter(|part| part.lines().any(|line| line.contains(':')));
    parts
        .map(|part| {
            serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

/// Every object of `kind` in the YAML files of `folder`, with the file's name.
fn objects(folder: &Path, kind: &str) -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let objects = documents(&file).into_iter().filter(|object| object["kind"] == kind);
        found.extend(objects.map(|object| (name.clone(), object)));
    }
    found
}

fn extra() -> Option<PathBuf> {
    let folder = std::env::var_os("MATRIARCH_EXTRA_TESTDATA");
    if folder.is_none() {
        println!("left out: MATRIARCH_EXTRA_TESTDATA names no folder with the original's files");
    }
    folder.map(|folder| PathBuf::from(folder).join("zalando-manifests"))
}

fn root(crd: &Value) -> Value {
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn ours(kind: &str) -> Value {
    root(&crds().into_iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap())
}

fn theirs(folder: &Path, file: &str) -> Value {
    root(&documents(&folder.join(file))[0])
}

/// `metadata` has no schema of its own in ours.
fn spec_faults(root: &Value, object: &Value) -> Vec<String> {
    faults(&root["properties"]["spec"], &object["spec"], "spec")
}

#[test]
fn ours_accepts_every_manifest_of_theirs() {
    let Some(folder) = extra() else { return };
    let manifests = objects(&folder, "postgresql");
    assert!(manifests.len() >= 5, "only {} manifests", manifests.len());
    for (file, manifest) in &manifests {
        assert_eq!(spec_faults(&ours("postgresql"), manifest), [""; 0], "{file}");
        let decoded = decode(manifest);
        assert_eq!((decoded.problems, decoded.unknown), (vec![], vec![]), "{file}");
    }
    let teams = objects(&folder, "PostgresTeam");
    assert_eq!(teams.len(), 1);
    for (file, team) in &teams {
        assert_eq!(spec_faults(&ours("PostgresTeam"), team), [""; 0], "{file}");
    }
    println!("{} manifests and {} teams of the original are accepted", manifests.len(), teams.len());
}

#[test]
fn theirs_accepts_every_manifest_of_ours() {
    let Some(folder) = extra() else { return };
    let theirs = theirs(&folder, "postgresql.crd.yaml");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    for place in ["testdata/seed", "testdata/manifests", "deploy/examples"] {
        for (file, manifest) in objects(&root.join(place), "postgresql") {
            assert_eq!(spec_faults(&theirs, &manifest), [""; 0], "{file}");
            assert_eq!(spec_faults(&ours("postgresql"), &manifest), [""; 0], "{file}");
            checked += 1;
        }
    }
    assert!(checked >= 3, "only {checked} manifests");
}

/// Words that the patterns are tried with.
const TRIED: [&str; 40] = [
    "",
    "0",
    "1",
    "100m",
    "1.5",
    "0.125",
    ".5",
    "1.5m",
    "500Mi",
    "1e9",
    "1e3Gi",
    "100K",
    "2.5Gi",
    "1E",
    "1Ki",
    "30 00 * * *",
    "*/5 1 2 3 4",
    "1/2  3/4 * * *",
    "99 99 99 99 99",
    "Sat:01:00-06:00",
    "01:00-06:00",
    "1:00-6:00",
    " 01:00-06:00",
    "01:00-06:00  ",
    "23:59-23:59",
    "10.0.0.0/8",
    "185.85.220.0/22",
    "255.255.255.255/32",
    "256.0.0.0/8",
    "fd01::/48",
    "::/0",
    "::1/128",
    "fe80::1/64",
    "1:2:3:4:5:6:7:8/127",
    "1::3:4:5:6:7:8/99",
    "2017-12-19T12:40:33+01:00",
    "2017-12-19T12:40:33.123-08:00",
    "2017-12-19t12:40:33+01:00",
    "2017-02-31T12:40:60+00:00",
    "2017-12-19T12:40:33Z",
];

/// Numbers that the original's schema takes and the original then cannot read, which takes the
/// whole manifest out of its hands (01 §3.6): ours says so at once.
const UNREADABLE: [&str; 5] = [
    "spec.patroni.loop_wait",
    "spec.patroni.retry_timeout",
    "spec.patroni.synchronous_node_count",
    "spec.patroni.ttl",
    "spec.streams[].batchSize",
];

fn wider(ours: &Value, theirs: &Value, path: &str, leaves: &mut usize) {
    if ours["x-kubernetes-preserve-unknown-fields"] == true && ours["type"] == theirs["type"] {
        *leaves += 1;
        for required in ours["required"].as_array().into_iter().flatten() {
            assert!(
                theirs["required"].as_array().is_some_and(|all| all.contains(required)),
                "{path}.{required}"
            );
        }
        return;
    }
    assert_eq!(ours["type"], theirs["type"], "{path}");
    assert!(ours["nullable"] == true || theirs["nullable"] != true, "{path} must be nullable");
    for required in ours["required"].as_array().into_iter().flatten() {
        assert!(theirs["required"].as_array().is_some_and(|all| all.contains(required)), "{path}.{required}");
    }
    let mut inner = 0;
    for (key, field) in theirs["properties"].as_object().into_iter().flatten() {
        let mine = &ours["properties"][key];
        assert!(mine.is_object(), "{path}.{key} is missing");
        wider(mine, field, &format!("{path}.{key}"), leaves);
        inner += 1;
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if theirs[key].is_object() {
            wider(&ours[key], &theirs[key], &format!("{path}{suffix}"), leaves);
            inner += 1;
        }
    }
    if inner == 0 {
        *leaves += 1;
        no_stricter(ours, theirs, path);
    }
}

fn no_stricter(ours: &Value, theirs: &Value, path: &str) {
    if let Some(words) = ours["enum"].as_array() {
        let all = theirs["enum"].as_array().unwrap_or_else(|| panic!("{path} has words, theirs has none"));
        assert!(all.iter().all(|word| words.contains(word)), "{path}");
    }
    if let Some(pattern) = ours["pattern"].as_str() {
        let theirs =
            theirs["pattern"].as_str().unwrap_or_else(|| panic!("{path} has a pattern, theirs has none"));
        let (mine, theirs) = (Regex::new(pattern).unwrap(), Regex::new(theirs).unwrap());
        for text in TRIED {
            assert!(mine.is_match(text) || !theirs.is_match(text), "{path}: {text:?}");
        }
    }
    let bound = |schema: &Value, key: &str, none: i64| schema[key].as_i64().unwrap_or(none);
    let smallest = (bound(ours, "minimum", i64::MIN), bound(theirs, "minimum", i64::MIN));
    assert!(smallest.0 <= smallest.1 || UNREADABLE.contains(&path), "{path}: {smallest:?}");
    assert!(bound(ours, "maximum", i64::MAX) >= bound(theirs, "maximum", i64::MAX), "{path}");
    assert!(ours["format"].is_null() || ours["format"] == theirs["format"], "{path}: {}", ours["format"]);
}

#[test]
fn ours_takes_whatever_theirs_takes() {
    let Some(folder) = extra() else { return };
    let mut leaves = 0;
    let spec = |root: Value| root["properties"]["spec"].clone();
    wider(&spec(ours("postgresql")), &spec(theirs(&folder, "postgresql.crd.yaml")), "spec", &mut leaves);
    assert!(leaves > 130, "only {leaves} fields");
    let before = leaves;
    wider(&spec(ours("PostgresTeam")), &spec(theirs(&folder, "postgresteam.crd.yaml")), "spec", &mut leaves);
    assert_eq!(leaves - before, 3);
    println!("{leaves} fields of the original's definitions are taken");
}

/// What both generations of the original's definition allow to be null, and the old spellings.
#[test]
fn vectors_01_2_18_both_generations() {
    let spec = ours("postgresql")["properties"]["spec"].clone();
    for field in ["useLoadBalancer", "replicaLoadBalancer", "init_containers", "pod_priority_class_name"] {
        assert!(spec["properties"][field].is_object(), "{field}");
    }
    for field in [
        "allowedSourceRanges",
        "usersIgnoringSecretRotation",
        "usersWithSecretRotation",
        "usersWithInPlaceSecretRotation",
        "env",
        "initContainers",
        "init_containers",
        "sidecars",
    ] {
        assert_eq!(spec["properties"][field]["nullable"], json!(true), "{field}");
    }
    let versions = &spec["properties"]["postgresql"]["properties"]["version"]["enum"];
    assert_eq!(*versions, json!(["13", "14", "15", "16", "17", "18"]));
}

/// What a pattern of ours takes and what not.
#[test]
fn vectors_01_2_0_patterns() {
    let spec = ours("postgresql")["properties"]["spec"].clone();
    let pattern = |path: &str| {
        let schema = spec.pointer(path).unwrap();
        Regex::new(schema["pattern"].as_str().unwrap()).unwrap()
    };
    let cpu = "/properties/resources/properties/requests/properties/cpu";
    let cases: [(&str, &[&str], &[&str]); 4] = [
        (cpu, &["1", "0", "100m", "0.5"], &[".5", "1.1234", "1.5m", "1k", "", "null"]),
        (
            "/properties/volume/properties/size",
            &[
                "1Gi", "1G", "10", "1e9", "1.5Gi", "100Ki", "1E", "100K", "1e3Gi", "100k", "512m", "1E3",
                "1.5", "0",
            ],
            &["1 Gi", "1gi", "1GiB", "-1Gi", ""],
        ),
        (
            "/properties/clone/properties/timestamp",
            &[
                "2017-12-19T12:40:33+01:00",
                "2017-12-19T12:40:33.123-08:00",
                "2017-12-19t12:40:33+01:00",
                "2017-02-31T12:40:60+00:00",
            ],
            &[
                "2017-12-19T12:40:33Z",
                "2017-12-19 12:40:33+01:00",
                "2017-12-19T12:40:33+0100",
                "2017-12-19T12:40:33",
                "",
            ],
        ),
        (
            "/properties/logicalBackupSchedule",
            &["30 00 * * *", "0 0 * * 1-5", "0,30 * * * *", "@daily", "99 99 99 99 99"],
            &["", "30 00", "daily at noon"],
        ),
    ];
    for (path, fitting, others) in cases {
        let pattern = pattern(path);
        for text in fitting {
            assert!(pattern.is_match(text), "{path}: {text:?}");
        }
        for text in others {
            assert!(!pattern.is_match(text), "{path}: {text:?}");
        }
    }
}
