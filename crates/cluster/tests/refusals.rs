//! Manifests that an API server accepts and that we refuse: every problem at once, each with its
//! field and its cure.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use matriarch_cluster::{Cluster, Problem, status_word_for_problems};
use matriarch_settings::Settings;
use serde_json::{Value, json};

fn manifest() -> Value {
    json!({
        "metadata": {"name": "acid-test-cluster", "namespace": "default"},
        "spec": {
            "teamId": "acid", "numberOfInstances": 1, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"},
        },
    })
}

/// The problems of a manifest in which `pointer` has another value.
fn problems_with(pointer: &str, value: Value) -> Vec<Problem> {
    let mut manifest = manifest();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap()[key] = value;
    Cluster::validate(&manifest, &Settings::default()).err().unwrap_or_default()
}

#[test]
fn each_problem_names_its_field() {
    let cases = [
        ("/metadata/name", json!("a".repeat(53)), "metadata.name"),
        ("/metadata/name", json!("Upper"), "metadata.name"),
        ("/spec/users", json!({"flyer": ["fly"]}), "spec.users.flyer"),
        ("/spec/users", json!({"a": ["login", "nologin"]}), "spec.users.a"),
        ("/spec/users", json!({"user_": []}), "spec.users.user_"),
        ("/spec/users", json!({"a_b": [], "a-b": []}), "spec.users.a_b"),
        ("/spec/volume", json!({"size": "100K"}), "spec.volume.size"),
        ("/spec/volume", json!({"size": "0"}), "spec.volume.size"),
        ("/spec/volume", json!({"size": 5}), "spec.volume.size"),
        ("/spec/volume", json!(null), "spec.volume"),
        ("/spec/teamId", json!("a b"), "spec.teamId"),
        ("/spec/numberOfInstances", json!(-1), "spec.numberOfInstances"),
        ("/spec/resources", json!({"limits": {"memory": "1g"}}), "spec.resources.limits.memory"),
        ("/spec/patroni", json!({"ttl": -1}), "spec.patroni.ttl"),
        ("/spec/clone", json!({"cluster": "foo+bar"}), "spec.clone.cluster"),
        ("/spec/initContainers", json!([{"name": "x"}]), "spec.initContainers[0].image"),
        ("/spec/sidecars", json!([{"name": "x"}]), "spec.sidecars[0].image"),
        ("/spec/maintenanceWindows", json!(["Mon:12:00-11:00"]), "spec.maintenanceWindows[0]"),
        (
            "/spec/postgresql",
            json!({"version": "17", "parameters": {"a": 1}}),
            "spec.postgresql.parameters.a",
        ),
        ("/spec/postgresql", json!({"version": "9.6"}), "spec.postgresql.version"),
        ("/spec/allowedSourceRanges", json!(["10.0.0.0/8", "10.0.0.1"]), "spec.allowedSourceRanges[1]"),
        ("/spec/masterNodePort", json!(99999), "spec.masterNodePort"),
        (
            "/spec/connectionPooler",
            json!({"resources": {"limits": {"cpu": "x"}}}),
            "spec.connectionPooler.resources.limits.cpu",
        ),
        (
            "/spec/preparedDatabases",
            json!({"Foo": {"defaultUsers": true}}),
            "spec.preparedDatabases.Foo.defaultUsers",
        ),
        ("/spec/env", json!([{"name": "x", "value": 5}]), "spec.env[0].value"),
        ("/spec/livenessProbe", json!({"exec": []}), "spec.livenessProbe.exec"),
        (
            "/spec/nodeAffinity",
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": 1}}),
            "spec.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
        ),
    ];
    for (pointer, value, field) in cases {
        let problems = problems_with(pointer, value.clone());
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, [field], "{pointer} = {value}: {problems:?}");
        assert!(!problems[0].cure.is_empty());
    }
}

#[test]
fn all_problems_at_once() {
    let mut manifest = manifest();
    manifest["metadata"]["name"] = json!("a".repeat(53));
    manifest["spec"]["users"] = json!({"bird": ["fly"]});
    manifest["spec"]["volume"]["size"] = json!("100K");
    let problems = Cluster::validate(&manifest, &Settings::default()).unwrap_err();
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "metadata.name: has 53 characters; its pods' labels add eleven, and Kubernetes allows 63; \
             create the cluster under a name of at most 52 characters",
            "spec.users.bird: has the unknown flag \"fly\"; remove it or use one of superuser, inherit, \
             createrole, createdb, login, replication, bypassrls, or one of these with no in front",
            "spec.volume.size: \"100K\" is not a quantity: there is no suffix \"K\"; \
             write 100Ki (or 100k); a database needs at least 1Gi",
        ]
    );
    assert_eq!(status_word_for_problems(&problems, false), "CreateFailed");
    assert_eq!(status_word_for_problems(&problems, true), "UpdateFailed");
}

#[test]
fn a_name_of_52_characters_is_fine() {
    assert_eq!(problems_with("/metadata/name", json!("a".repeat(52))), vec![]);
}

#[test]
fn clone_sources() {
    for clone in [
        json!({"cluster": "foo+bar", "timestamp": "NotEmpty"}),
        json!({"cluster": "foobar"}),
        json!({"cluster": ""}),
    ] {
        assert_eq!(problems_with("/spec/clone", clone), vec![]);
    }
}

#[test]
fn reserved_users_are_told_and_have_no_effect() {
    let mut manifest = manifest();
    manifest["spec"]["users"] = json!({"postgres": [], "standby": ["fly"], "admin": [], "own": []});
    let cluster = Cluster::validate(&manifest, &Settings::default()).unwrap();
    assert_eq!(cluster.users.keys().collect::<Vec<_>>(), ["own"]);
    let told: Vec<_> = cluster.notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(told, ["spec.users.admin", "spec.users.postgres", "spec.users.standby"]);
}

#[test]
fn names_that_must_start_with_their_team() {
    let settings = Settings { enable_team_id_clustername_prefix: true, ..Settings::default() };
    for (name, team, fits) in [
        ("acid-test", "acid", true),
        ("test-my-name", "test", true),
        ("my-team-another-test", "my-team", true),
        ("acid-test", "test", false),
        ("foo-bar", "qwerty", false),
        ("test", "", false),
        ("acid-", "acid", false),
        ("------strange-team-cluster", "-----", false),
    ] {
        let mut manifest = manifest();
        manifest["metadata"]["name"] = json!(name);
        manifest["spec"]["teamId"] = json!(team);
        let result = Cluster::validate(&manifest, &settings);
        assert_eq!(result.is_ok(), fits, "{name} {team}");
        if let Err(problems) = result {
            assert_eq!(status_word_for_problems(&problems, false), "Invalid");
        }
    }
}

/// What the operator cannot check by itself refuses nothing.
#[test]
fn every_part_of_the_contract_is_taken() {
    let mut manifest = manifest();
    manifest["spec"]["connectionPooler"] = json!({});
    manifest["spec"]["enableLogicalBackup"] = json!(true);
    manifest["spec"]["preparedDatabases"] = json!({"bar": {}});
    manifest["spec"]["streams"] = json!([{"applicationId": "a", "database": "bar", "tables": {}}]);
    let settings = Settings {
        pod_environment_configmap: "a/b".into(),
        pod_environment_secret: "a".into(),
        etcd_host: "etcd:2379".into(),
        kubernetes_use_configmaps: false,
        ..Settings::default()
    };
    assert_eq!(Cluster::validate(&manifest, &settings).map(|cluster| cluster.notices), Ok(vec![]));
}

#[test]
fn a_refused_manifest_still_has_its_names() {
    let mut manifest = manifest();
    manifest["spec"] = json!("nonsense");
    let (cluster, problems) = Cluster::read(&manifest, &Settings::default());
    assert!(!problems.is_empty());
    let intent = matriarch_cluster::render(&cluster, &Settings::default());
    assert_eq!(intent.stateful_set.name, "acid-test-cluster");
    assert_eq!(intent.selector["cluster-name"], "acid-test-cluster");
}
