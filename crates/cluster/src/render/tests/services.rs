//! Services of the database.

use super::*;
use crate::intent::Object;

const DNS: &str = "external-dns.alpha.kubernetes.io/hostname";

fn named<'a>(objects: &'a [Object], name: &str) -> &'a Value {
    &objects.iter().find(|object| object.name == name).unwrap().body
}

fn service(spec: Value, settings: &Settings, name: &str) -> Value {
    named(&intent(&manifest("acid-test-cluster", spec), settings).services, name).clone()
}

/// Type, source ranges, traffic policy and node port.
fn exposure(service: &Value) -> (Value, Value, Value, Value) {
    let spec = &service["spec"];
    let port = spec["ports"][0]["nodePort"].clone();
    (
        spec["type"].clone(),
        spec["loadBalancerSourceRanges"].clone(),
        spec["externalTrafficPolicy"].clone(),
        port,
    )
}

/// The services of primary and replicas with a flag for each.
fn both(flags: [(&str, Value); 2], others: Value, settings: &Settings) -> [Value; 2] {
    let mut spec = others;
    for (flag, value) in flags {
        spec[flag] = value;
    }
    ["acid-test-cluster", "acid-test-cluster-repl"].map(|name| service(spec.clone(), settings, name))
}

fn balancers(on: bool) -> Settings {
    Settings { enable_master_load_balancer: on, enable_replica_load_balancer: on, ..Settings::default() }
}

fn node_ports(on: bool) -> Settings {
    Settings { enable_master_node_port: on, enable_replica_node_port: on, ..Settings::default() }
}

/// 03 §17.7, the switch of load balancers.
#[test]
fn vectors_03_17_7_load_balancer_switch() {
    for (own, setting, expected) in [
        (json!(true), false, true),
        (json!(false), true, false),
        (json!(null), true, true),
        (json!(null), false, false),
    ] {
        let spec = json!({"enableReplicaLoadBalancer": own});
        let service = service(spec, &balancers(setting), "acid-test-cluster-repl");
        assert_eq!(service["spec"]["type"] == "LoadBalancer", expected, "{own} {setting}");
    }
}

/// 03 §17.7, the services of primary and replicas under each switch.
#[test]
fn vectors_03_17_7_services() {
    let balancer =
        |on: bool| [("enableMasterLoadBalancer", json!(on)), ("enableReplicaLoadBalancer", json!(on))];
    let port = |on: bool| [("enableMasterNodePort", json!(on)), ("enableReplicaNodePort", json!(on))];
    let ranges = json!(["192.186.1.2/22"]);
    let fixed = json!({"masterNodePort": 1337, "replicaNodePort": 1337});
    let none = || json!(null);
    let rows = [
        (both(balancer(false), json!({}), &balancers(true)), (json!("ClusterIP"), none(), none(), none())),
        (
            both(balancer(true), json!({"allowedSourceRanges": ranges}), &balancers(false)),
            (json!("LoadBalancer"), ranges, json!("Cluster"), none()),
        ),
        (both(port(false), json!({}), &node_ports(true)), (json!("ClusterIP"), none(), none(), none())),
        (
            both(port(true), json!({}), &node_ports(false)),
            (json!("NodePort"), none(), json!("Cluster"), none()),
        ),
        (
            both(port(true), fixed, &node_ports(false)),
            (json!("NodePort"), none(), json!("Cluster"), json!(1337)),
        ),
    ];
    for (services, expected) in rows {
        for (service, role) in services.iter().zip(["master", "replica"]) {
            assert_eq!(exposure(service), expected);
            assert_eq!(service["spec"]["ports"][0]["name"], "postgresql");
            assert_eq!(
                service["spec"]["selector"],
                json!({"application": "spilo", "cluster-name": "acid-test-cluster", "spilo-role": role})
            );
        }
    }
    for policy in ["Cluster", "Local"] {
        let settings = Settings { external_traffic_policy: policy.into(), ..balancers(true) };
        assert_eq!(exposure(&service(json!({}), &settings, "acid-test-cluster")).2, policy);
    }
}

#[test]
fn details_of_services() {
    let closed = service(json!({}), &balancers(true), "acid-test-cluster");
    assert_eq!(exposure(&closed).1, json!(["127.0.0.1/32"]), "without ranges a load balancer is closed");
    let old = json!({"useLoadBalancer": true});
    assert_eq!(exposure(&service(old, &balancers(false), "acid-test-cluster")).0, "LoadBalancer");
    let both = json!({"enableMasterLoadBalancer": true, "enableMasterNodePort": true});
    assert_eq!(exposure(&service(both, &balancers(false), "acid-test-cluster")).0, "NodePort");
}

#[test]
fn the_primary_has_no_selector_without_config_maps() {
    let endpoints = Settings { kubernetes_use_configmaps: false, ..Settings::default() };
    assert_eq!(service(json!({}), &endpoints, "acid-test-cluster")["spec"]["selector"], json!(null));
    assert_eq!(
        service(json!({}), &endpoints, "acid-test-cluster-repl")["spec"]["selector"]["spilo-role"],
        json!("replica")
    );
}

/// The rows of 01 §2.8 and 03 §17.7 about annotations.
#[test]
fn vectors_01_2_8_service_annotations() {
    let settings = |custom: &[(&str, &str)], balancer: bool| Settings {
        master_dns_name_format: "{cluster}-stg.{namespace}.{hostedzone}".into(),
        master_legacy_dns_name_format: "{cluster}-stg.{team}.{hostedzone}".into(),
        replica_dns_name_format: "{cluster}-stg-repl.{namespace}.{hostedzone}".into(),
        replica_legacy_dns_name_format: "{cluster}-stg-repl.{team}.{hostedzone}".into(),
        custom_service_annotations: map(custom),
        ..balancers(balancer)
    };
    let primary = "acid-test-stg.test.db.example.com,test-stg.acid.db.example.com";
    let replica = "acid-test-stg-repl.test.db.example.com,test-stg-repl.acid.db.example.com";
    let (off, on) = (json!({"enableMasterLoadBalancer": false}), json!({"enableMasterLoadBalancer": true}));
    let with = |spec: &Value, key: &str, value: Value| {
        let mut spec = spec.clone();
        spec[key] = value;
        spec
    };
    let idle = json!({"a": "ip", "b": "1800"});
    let overridden =
        with(&with(&on, "serviceAnnotations", idle), "masterServiceAnnotations", json!({"b": "2000"}));
    let rows = [
        (off.clone(), settings(&[], false), json!(null)),
        (on.clone(), settings(&[], false), json!({DNS: primary})),
        (json!({}), settings(&[], true), json!({DNS: primary})),
        (off.clone(), settings(&[], true), json!(null)),
        (
            with(&on, "serviceAnnotations", json!({"foo": "bar"})),
            settings(&[], false),
            json!({DNS: primary, "foo": "bar"}),
        ),
        (
            with(&off, "serviceAnnotations", json!({"foo": "bar"})),
            settings(&[], false),
            json!({"foo": "bar"}),
        ),
        (with(&on, "serviceAnnotations", json!({DNS: "wrong"})), settings(&[], false), json!({DNS: primary})),
        (overridden, settings(&[], false), json!({"a": "ip", "b": "2000", DNS: primary})),
        (
            with(&off, "serviceAnnotations", json!({"post": "gres"})),
            settings(&[("foo", "bar")], false),
            json!({"foo": "bar", "post": "gres"}),
        ),
        (
            with(&off, "serviceAnnotations", json!({"post": "greSQL"})),
            settings(&[("foo", "bar"), ("post", "gres")], false),
            json!({"foo": "bar", "post": "greSQL"}),
        ),
    ];
    let of = |spec: Value, settings: &Settings, name: &str| {
        let mut manifest = manifest("acid-test", spec);
        manifest["metadata"]["namespace"] = json!("test");
        named(&intent(&manifest, settings).services, name)["metadata"]["annotations"].clone()
    };
    for (row, (spec, settings, expected)) in rows.into_iter().enumerate() {
        assert_eq!(of(spec, &settings, "acid-test"), expected, "row {row}");
    }
    let spec = json!({"enableReplicaLoadBalancer": true, "masterServiceAnnotations": {"not": "here"}});
    assert_eq!(of(spec, &settings(&[], false), "acid-test-repl"), json!({DNS: replica}));
}

#[test]
fn names_for_dns() {
    let of = |team: &str, name: &str| {
        let mut manifest = manifest(name, json!({"teamId": team, "enableMasterLoadBalancer": true}));
        manifest["metadata"]["namespace"] = json!("ns");
        let service = named(&intent(&manifest, &Settings::default()).services, name).clone();
        service["metadata"]["annotations"][DNS].as_str().unwrap().to_owned()
    };
    assert_eq!(of("acid", "acid-test"), "acid-test.ns.db.example.com,test.acid.db.example.com");
    assert_eq!(of("ACID", "acid-test"), "acid-test.ns.db.example.com,test.acid.db.example.com");
    assert_eq!(of("other", "acid-test"), "acid-test.ns.db.example.com");
    assert_eq!(of("acid", "acidtest"), "acidtest.ns.db.example.com");
}

/// 03 §17.7, annotations of pods.
#[test]
fn vectors_03_17_7_pod_annotations() {
    let settings =
        Settings { custom_pod_annotations: map(&[("foo", "bar"), ("global", "foo")]), ..Settings::default() };
    let spec = json!({"podAnnotations": {"foo": "baz", "local": "foo"}});
    let template = |settings: &Settings| {
        let intent = intent(&manifest("acid-test-cluster", spec.clone()), settings);
        intent.stateful_set_at(Level::ORIGINAL).body["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert_eq!(template(&settings), json!({"foo": "baz", "global": "foo", "local": "foo"}));
    let with_role = Settings { kube_iam_role: "r".into(), ..settings };
    assert_eq!(template(&with_role)["iam.amazonaws.com/role"], "r");
}
