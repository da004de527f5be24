//! Vectors of reference 03 about comparing.

use matriarch_plan::difference::{differences, template_differences};
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
