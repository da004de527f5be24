//! Vectors of reference 03 about comparing.

use matriarch_plan::Consequence;
use matriarch_plan::difference::{differences, object_differences, template_differences};
use serde_json::{Value, json};

/// 03 §17.3: two texts of `SPILO_CONFIGURATION`, and whether pods stay.
#[test]
fn vectors_03_17_3_comparison() {
    let template = |text: &str| {
        json!({"spec": {"containers": [
            {"name": "postgres", "env": [{"name": "SPILO_CONFIGURATION", "value": text}]},
        ]}})
    };
    let base = r#"{"postgresql":{"bin_dir":"/usr/lib/postgresql/18/bin"},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"}],"dcs":{"ttl":30,"loop_wait":10}}}"#;
    let rows = [
        (base.to_owned(), true),
        (base.replace("30", "31"), true),
        (base.replace(r#","loop_wait":10"#, ""), true),
        (base.replace("scram-sha-256", "md5"), false),
        (base.replace("18", "17"), false),
        ("{}".to_owned(), false),
        (r#"{"bootstrap": "#.to_owned(), false),
    ];
    for (other, stays) in rows {
        let found = template_differences(&template(base), &template(&other));
        assert_eq!(found.is_empty(), stays, "{other}: {found:?}");
    }
}

/// 03 §17.7: a live service, and whether the rendered one is the same.
#[test]
fn vectors_03_17_7_comparison_of_services() {
    let service = |kind: &str, ranges: Value, port: Value, policy: &str, selector: &str, owner: Value| {
        let mut ports = json!([{"name": "postgresql", "port": 5432, "targetPort": 5432, "protocol": "TCP"}]);
        if !port.is_null() {
            ports[0]["nodePort"] = port;
        }
        json!({
            "metadata": {"ownerReferences": owner},
            "spec": {
                "type": kind, "ports": ports, "loadBalancerSourceRanges": ranges,
                "externalTrafficPolicy": policy, "selector": {"spilo-role": selector},
            },
        })
    };
    let ranges = || json!(["128.141.0.0/16", "137.138.0.0/16"]);
    let usual = |port: Value| service("LoadBalancer", ranges(), port, "Cluster", "master", json!([]));
    let none = || json!(null);
    let rows = [
        ("equal", usual(none()), usual(none()), true),
        (
            "type",
            usual(none()),
            service("ClusterIP", ranges(), none(), "Cluster", "master", json!([])),
            false,
        ),
        (
            "ranges",
            usual(none()),
            service("LoadBalancer", json!(["10.0.0.0/8"]), none(), "Cluster", "master", json!([])),
            false,
        ),
        (
            "no ranges",
            usual(none()),
            service("LoadBalancer", json!([]), none(), "Cluster", "master", json!([])),
            false,
        ),
        (
            "owner",
            usual(none()),
            service("LoadBalancer", ranges(), none(), "Cluster", "master", json!([{"uid": "u"}])),
            false,
        ),
        (
            "selector",
            usual(none()),
            service("LoadBalancer", ranges(), none(), "Cluster", "replica", json!([])),
            false,
        ),
        (
            "policy",
            usual(none()),
            service("LoadBalancer", ranges(), none(), "Local", "master", json!([])),
            false,
        ),
        ("a port is wanted", usual(none()), usual(json!(1337)), false),
        ("no port is wanted", usual(json!(1337)), usual(none()), true),
    ];
    for (name, live, rendered, same) in rows {
        let found = differences(&rendered, &live, "");
        assert_eq!(found.is_empty(), same, "{name}: {found:?}");
    }
}

fn paths(rendered: &Value, live: &Value) -> Vec<String> {
    differences(rendered, live, "").into_iter().map(|difference| difference.path).collect()
}

#[test]
fn d26_what_the_api_server_fills_in_restarts_nobody() {
    let rendered = json!({"containers": [{
        "name": "postgres",
        "livenessProbe": {"httpGet": {"path": "/liveness", "port": 8008}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
    }]});
    let live = json!({"containers": [{
        "name": "postgres",
        "terminationMessagePath": "/dev/termination-log",
        "livenessProbe": {
            "httpGet": {"path": "/liveness", "port": 8008, "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        },
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}}],
    }]});
    assert_eq!(paths(&rendered, &live), Vec::<String>::new());
}

#[test]
fn d27_content_of_volumes_and_tolerations_counts() {
    let spec = |key: &str, secret: &str| {
        json!({
            "tolerations": [{"key": key, "operator": "Exists"}],
            "volumes": [{"name": "v", "secret": {"secretName": secret}}],
        })
    };
    assert_eq!(
        paths(&spec("a", "s"), &spec("b", "t")),
        ["tolerations[0].key", "volumes[v].secret.secretName"]
    );
}

#[test]
fn d38_every_change_of_a_pooler_is_seen() {
    let deployment = json!({"spec": {"replicas": 2, "template": {"spec": {
        "tolerations": [{"key": "a"}],
        "securityContext": {"fsGroup": 103},
        "affinity": {"nodeAffinity": {"a": "b"}},
        "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
        "containers": [{
            "name": "connection-pooler", "image": "i",
            "env": [{"name": "CONNECTION_POOLER_MODE", "value": "transaction"}],
        }],
    }}}});
    let pod = "/spec/template/spec";
    for (pointer, value) in [
        ("/spec/replicas".to_owned(), json!(3)),
        (format!("{pod}/tolerations/0/key"), json!("b")),
        (format!("{pod}/securityContext/fsGroup"), json!(104)),
        (format!("{pod}/affinity/nodeAffinity/a"), json!("c")),
        (format!("{pod}/volumes/0/secret/secretName"), json!("other")),
        (format!("{pod}/containers/0/image"), json!("j")),
        (format!("{pod}/containers/0/env/0/value"), json!("session")),
    ] {
        let mut live = deployment.clone();
        *live.pointer_mut(&pointer).expect("a field") = value;
        assert_eq!(paths(&deployment, &live).len(), 1, "{pointer}");
    }
}

#[test]
fn d39_sizes_are_compared_as_quantities() {
    let claim = |size: &str| json!({"resources": {"requests": {"storage": size}}});
    for (wanted, live, same) in
        [("1.5Gi", "1Gi", false), ("1000Mi", "1Gi", false), ("10G", "10Gi", false), ("1024Mi", "1Gi", true)]
    {
        assert_eq!(paths(&claim(wanted), &claim(live)).is_empty(), same, "{wanted} {live}");
    }
}

/// 03 §17.14: the original counts whole GiB, so that 1.5Gi is 1 and 1000Mi is 0; ours compares the
/// amounts themselves, however they are spelled.
#[test]
fn vectors_03_17_14_volume_sizes() {
    let set = |size: &str| {
        json!({"spec": {"volumeClaimTemplates": [{
            "metadata": {"name": "pgdata"},
            "spec": {"resources": {"requests": {"storage": size}}},
        }]}})
    };
    for (wanted, live, consequence) in [
        ("1Gi", "1Gi", None),
        ("1Gi", "1024Mi", None),
        ("1Gi", "1073741824", None),
        ("1536Mi", "1.5Gi", None),
        ("1.5Gi", "1Gi", Some(Consequence::Replace)),
        ("1Gi", "1000Mi", Some(Consequence::Replace)),
        ("1000Mi", "1Gi", Some(Consequence::Forbidden)),
    ] {
        let found = object_differences("StatefulSet", &set(wanted), &set(live));
        let found: Vec<_> = found.iter().map(|found| found.consequence).collect();
        assert_eq!(found, Vec::from_iter(consequence), "{wanted} and {live}");
    }
}
