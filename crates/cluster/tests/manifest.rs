//! The contract's vectors about single fields of a manifest.

// Tests may stop at the first surprise.
#![allow(clippy::unwrap_used)]

use matriarch_cluster::{Cluster, Problem};
use matriarch_settings::Settings;
use serde_json::{Value, json};

/// A manifest with the fields of `extra` beside the required ones.
fn manifest(extra: Value) -> Value {
    let mut manifest = json!({
        "metadata": {"name": "acid-test-cluster", "namespace": "default"},
        "spec": {
            "teamId": "acid", "numberOfInstances": 1, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"},
        },
    });
    manifest["spec"].as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    manifest
}

fn validated(extra: Value) -> Result<Cluster, Vec<Problem>> {
    Cluster::validate(&manifest(extra), &Settings::default())
}

fn cluster(extra: Value) -> Cluster {
    validated(extra).unwrap()
}

#[test]
fn vectors_01_2_1_instances() {
    let key = "ignore-instance-limits";
    for (min, max, annotation, wanted, effective) in [
        (-1, -1, None, 2, 2),
        (2, -1, None, 1, 2),
        (-1, 5, None, 10, 5),
        (2, -1, Some((key, "true")), 1, 1),
        (2, -1, Some(("ignoring-instance-limits", "true")), 1, 2),
        (2, -1, Some((key, "active")), 1, 2),
        (-1, -1, Some((key, "true")), 1, 1),
        // The maximum first, then the minimum; 0 is a bound, a negative number none.
        (3, 2, None, 5, 3),
        (-1, 0, None, 5, 0),
    ] {
        let settings = Settings {
            min_instances: min,
            max_instances: max,
            ignore_instance_limits_annotation_key: key.into(),
            ..Settings::default()
        };
        let mut manifest = manifest(json!({"numberOfInstances": wanted}));
        if let Some((key, value)) = annotation {
            manifest["metadata"]["annotations"] = json!({key: value});
        }
        let cluster = Cluster::validate(&manifest, &settings).unwrap();
        assert_eq!(cluster.instances(&settings), effective, "{min} {max} {annotation:?} {wanted}");
    }
}

#[test]
fn vectors_01_2_1_instances_of_standby_clusters() {
    let settings = Settings { min_instances: 2, ..Settings::default() };
    let standby = json!({"standby_host": "h"});
    for (extra, wanted, effective) in [
        (json!({"standby": standby}), 1, 1),
        (json!({"env": [{"name": "STANDBY_WALE_S3_PREFIX", "value": "s3://x"}]}), 1, 1),
        (json!({"env": [{"name": "STANDBY_WALE_S3_PREFIX", "value": ""}]}), 1, 2),
        (json!({"standby": standby}), 3, 3),
    ] {
        let mut manifest = manifest(extra.clone());
        manifest["spec"]["numberOfInstances"] = json!(wanted);
        let cluster = Cluster::validate(&manifest, &settings).unwrap();
        assert_eq!(cluster.instances(&settings), effective, "{extra} {wanted}");
    }
}

#[test]
fn vectors_01_2_6_primary_pooler() {
    for (extra, wanted) in [
        (json!({}), false),
        (json!({"connectionPooler": {}}), true),
        (json!({"enableConnectionPooler": true}), true),
        (json!({"enableConnectionPooler": false, "connectionPooler": {}}), false),
        (json!({"enableConnectionPooler": true, "connectionPooler": {}}), true),
        (json!({"enableConnectionPooler": false}), false),
        (json!({"connectionPooler": null}), false),
        (json!({"enableConnectionPooler": null, "connectionPooler": {}}), true),
    ] {
        assert_eq!(cluster(extra.clone()).wants_primary_pooler(), wanted, "{extra}");
    }
}

#[test]
fn vectors_01_2_6_replica_pooler() {
    for (extra, wanted) in [
        (json!({}), false),
        (json!({"connectionPooler": {}}), false),
        (json!({"enableReplicaConnectionPooler": true}), true),
        (json!({"enableReplicaConnectionPooler": true, "connectionPooler": {}}), true),
        (json!({"enableReplicaConnectionPooler": false, "connectionPooler": {}}), false),
    ] {
        assert_eq!(cluster(extra.clone()).wants_replica_pooler(), wanted, "{extra}");
    }
}

#[test]
fn vectors_01_2_18_old_spellings() {
    let balancers = |extra: Value| {
        let spec = cluster(extra).spec;
        (spec.enable_master_load_balancer, spec.enable_replica_load_balancer)
    };
    for (extra, expected) in [
        (json!({"useLoadBalancer": true, "replicaLoadBalancer": true}), (Some(true), Some(true))),
        (json!({"useLoadBalancer": true}), (Some(true), None)),
        (json!({"useLoadBalancer": true, "enableMasterLoadBalancer": false}), (Some(false), None)),
        (json!({"useLoadBalancer": true, "enableReplicaLoadBalancer": true}), (None, Some(true))),
    ] {
        assert_eq!(balancers(extra.clone()), expected, "{extra}");
    }
    let container = |name: &str| json!([{"name": name, "image": "i"}]);
    let first = |extra: Value| {
        let cluster = cluster(extra);
        let name = cluster
            .spec
            .init_containers
            .as_ref()
            .and_then(|list| list[0]["name"].as_str().map(str::to_owned));
        (name, cluster.spec.pod_priority_class_name, cluster.notices.len())
    };
    let text = |text: &str| Some(text.to_owned());
    for (extra, expected) in [
        (json!({"init_containers": container("old")}), (text("old"), None, 0)),
        (
            json!({"init_containers": container("old"), "initContainers": container("new")}),
            (text("new"), None, 1),
        ),
        (json!({"init_containers": container("old"), "initContainers": null}), (text("old"), None, 0)),
        (json!({"pod_priority_class_name": "old"}), (None, text("old"), 0)),
        (json!({"pod_priority_class_name": "old", "podPriorityClassName": ""}), (None, text("old"), 0)),
        (json!({"pod_priority_class_name": "old", "podPriorityClassName": "new"}), (None, text("new"), 1)),
    ] {
        assert_eq!(first(extra.clone()), expected, "{extra}");
    }
}

#[test]
fn vectors_01_3_3_clone_sources() {
    let long = "foobar123456789012345678901234567890123456789012345678901234567890";
    for (source, timestamp, message) in [
        ("foo+bar", "NotEmpty", None),
        ("foo+bar", "", Some("cannot be the name of a cluster")),
        (long, "", Some("more than the 63")),
        ("foobar", "", None),
        ("", "", None),
    ] {
        let mut clone = json!({"cluster": source});
        if !timestamp.is_empty() {
            clone["timestamp"] = json!(timestamp);
        }
        let problems = validated(json!({"clone": clone})).err().unwrap_or_default();
        assert_eq!(problems.len(), usize::from(message.is_some()), "{source} {timestamp}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.message.contains(message.unwrap())), "{problems:?}");
    }
}

#[test]
fn vectors_01_3_4_reserved_users() {
    let users = json!({"users": {
        "postgres": [], "standby": [], "admin": [], "pooler": [], "fes_user": [], "own": [],
    }});
    let names = |extra: Value| {
        let mut spec = users.clone();
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        cluster(spec).users.into_keys().collect::<Vec<_>>()
    };
    // The pooler's and the streams' users are ordinary as long as there are no poolers and no streams.
    assert_eq!(names(json!({})), ["fes_user", "own", "pooler"]);
    assert_eq!(names(json!({"connectionPooler": {}})), ["fes_user", "own"]);
    let streams = json!({"streams": [{"applicationId": "a", "database": "d", "tables": {}}]});
    assert_eq!(names(streams), ["own", "pooler"]);
    assert_eq!(
        names(json!({"enableReplicaConnectionPooler": true, "connectionPooler": {"user": "own"}})),
        ["fes_user", "pooler"]
    );
}

#[test]
fn vectors_01_3_4_pooler_users() {
    for (asked, used) in
        [("postgres", "pooler"), ("admin", "pooler"), ("standby", "pooler"), ("", "pooler"), ("mine", "mine")]
    {
        let cluster = cluster(json!({"connectionPooler": {"user": asked}}));
        assert_eq!(cluster.pooler_user(&Settings::default()), used);
        assert_eq!(cluster.notices.len(), usize::from(!asked.is_empty() && asked != used), "{asked}");
    }
}

#[test]
fn vectors_01_3_4_refused_users() {
    for (users, message) in [
        (json!({"!fooBar": []}), "is not a valid name of a user"),
        (json!({"foobar": ["!superuser", "createdb"]}), "unknown flag \"!superuser\""),
        (json!({"foobar": ["superuser1", "createdb"]}), "unknown flag \"superuser1\""),
        (json!({"foobar": ["inherit", "noinherit"]}), "contradicting flags inherit and noinherit"),
    ] {
        let problems = validated(json!({"users": users})).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains(message), "{problems:?}");
    }
}

#[test]
fn vectors_01_3_5_prepared_databases() {
    let names = |extra: Value| cluster(extra).prepared_databases().into_keys().collect::<Vec<_>>();
    assert_eq!(names(json!({})), [""; 0]);
    assert_eq!(names(json!({"preparedDatabases": null})), [""; 0]);
    assert_eq!(names(json!({"preparedDatabases": {}})), ["acid_test_cluster"]);
    assert_eq!(names(json!({"preparedDatabases": {"foo": {}}})), ["foo"]);
}

#[test]
fn vectors_01_3_7_sizes() {
    for (size, fits) in [
        ("1Gi", true),
        ("1G", true),
        ("10", true),
        ("1e9", true),
        ("1.5Gi", true),
        ("100Ki", true),
        ("1E", true),
        ("100k", true),
        ("512m", true),
        ("1E3", true),
        ("1.5", true),
        ("100K", false),
        ("1e3Gi", false),
        ("1 Gi", false),
        ("1gi", false),
        ("1GiB", false),
        ("-1Gi", false),
        ("", false),
        ("0", false),
    ] {
        let problems = validated(json!({"volume": {"size": size}})).err().unwrap_or_default();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, if fits { vec![] } else { vec!["spec.volume.size"] }, "{size}: {problems:?}");
    }
}

#[test]
fn vectors_01_3_9_containers() {
    for (extra, fields) in [
        (json!({"initContainers": [{"name": "a", "image": "i"}]}), vec![]),
        (json!({"initContainers": [{"name": "a"}]}), vec!["spec.initContainers[0].image"]),
        (json!({"initContainers": [{"name": "", "image": "i"}]}), vec!["spec.initContainers[0].name"]),
        (json!({"initContainers": [{"image": "i"}]}), vec!["spec.initContainers[0].name"]),
        (json!({"sidecars": [{"image": "i"}]}), vec![]),
        (json!({"sidecars": [{"name": "a", "image": ""}]}), vec!["spec.sidecars[0].image"]),
    ] {
        let problems = validated(extra.clone()).err().unwrap_or_default();
        let found: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(found, fields, "{extra}");
    }
}

#[test]
fn vectors_01_3_10_keys_of_volume_sources() {
    for (source, field) in [
        (json!({"PersistentVolumeClaim": {"claimName": "c", "readyOnly": false}}), None),
        (json!({"emptyDir": {"sizeLimit": "1Gi"}}), None),
        (json!({"emptyDir": {"SizeLimit": "1gi"}}), Some(".emptyDir.sizeLimit")),
        (json!({"emptyDir": "x"}), Some(".emptyDir")),
        (json!("x"), Some("")),
    ] {
        let volumes =
            json!({"additionalVolumes": [{"name": "v", "mountPath": "/v", "volumeSource": source}]});
        let problems = validated(volumes).err().unwrap_or_default();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.clone()).collect();
        let expected: Vec<_> =
            field.iter().map(|field| format!("spec.additionalVolumes[0].volumeSource{field}")).collect();
        assert_eq!(fields, expected, "{source}");
    }
}

#[test]
fn vectors_01_3_11_tls_without_a_secret_is_off() {
    let tls = json!({"tls": {"secretName": "", "caFile": "", "caSecretName": "", "certificateFile": ""}});
    assert_eq!(cluster(tls).notices, vec![]);
}

/// Rotation lists, unknown fields and the like stop nothing.
#[test]
fn vectors_01_3_11_unknown_fields_are_told() {
    let cluster = cluster(json!({"topologySpreadConstraint": []}));
    assert_eq!(cluster.notices[0].field, "spec.topologySpreadConstraint");
}
