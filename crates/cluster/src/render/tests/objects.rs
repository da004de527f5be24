//! Services, budgets, volumes, affinity, sidecars, roles.

use super::*;
use crate::intent::Object;

fn named<'a>(objects: &'a [Object], name: &str) -> &'a Value {
    &objects.iter().find(|object| object.name == name).unwrap().body
}

fn budgets_of(spec: Value, settings: Settings) -> (Value, Value) {
    let settings = Settings { cluster_labels: BTreeMap::new(), ..settings };
    let mut manifest = manifest("myapp-database", json!({"teamId": "myapp"}));
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let intent = intent(&manifest, &settings);
    for budget in &intent.disruption_budgets {
        assert_eq!(
            budget.body["metadata"]["labels"],
            json!({"team": "myapp", "cluster-name": "myapp-database"})
        );
    }
    (intent.disruption_budgets[0].body["spec"].clone(), intent.disruption_budgets[1].body["spec"].clone())
}

#[test]
fn budgets() {
    let primary = json!({"cluster-name": "myapp-database", "spilo-role": "master"});
    let all = json!({"cluster-name": "myapp-database"});
    let off = || Settings { enable_pod_disruption_budget: false, ..Settings::default() };
    let unlabelled = || Settings { pdb_master_label_selector: false, ..Settings::default() };
    let strict = json!({"synchronous_mode_strict": true});
    let cases = [
        (json!({"numberOfInstances": 3}), Settings::default(), 1, &primary, json!(0)),
        (json!({"numberOfInstances": 0}), Settings::default(), 0, &primary, json!("100%")),
        (json!({"numberOfInstances": 3}), off(), 0, &primary, json!("100%")),
        (
            json!({"patroni": {"synchronous_mode_strict": true, "synchronous_node_count": 1}}),
            unlabelled(),
            2,
            &all,
            json!(0),
        ),
        (json!({"patroni": strict}), unlabelled(), 2, &all, json!(0)),
    ];
    for (spec, settings, available, selector, unavailable) in cases {
        let (first, second) = budgets_of(spec, settings);
        assert_eq!(first, json!({"minAvailable": available, "selector": {"matchLabels": selector}}));
        let critical = json!({"cluster-name": "myapp-database", "critical-operation": "true"});
        assert_eq!(second, json!({"maxUnavailable": unavailable, "selector": {"matchLabels": critical}}));
    }
}

fn service(spec: Value, settings: &Settings, name: &str) -> Value {
    named(&intent(&manifest("acid-test-cluster", spec), settings).services, name).clone()
}

#[test]
fn types_of_services() {
    let balancer = Settings { enable_master_load_balancer: true, ..Settings::default() };
    let port = Settings { enable_master_node_port: true, ..Settings::default() };
    let ranges = json!(["192.186.1.2/22"]);
    let cases = [
        (json!({}), Settings::default(), "ClusterIP", json!(null), json!(null)),
        (json!({"enableMasterLoadBalancer": false}), balancer.clone(), "ClusterIP", json!(null), json!(null)),
        (json!({}), balancer, "LoadBalancer", json!(["127.0.0.1/32"]), json!("Cluster")),
        (
            json!({"enableMasterLoadBalancer": true, "allowedSourceRanges": ranges}),
            Settings::default(),
            "LoadBalancer",
            ranges.clone(),
            json!("Cluster"),
        ),
        (
            json!({"useLoadBalancer": true}),
            Settings::default(),
            "LoadBalancer",
            json!(["127.0.0.1/32"]),
            json!("Cluster"),
        ),
        (json!({"enableMasterNodePort": false}), port.clone(), "ClusterIP", json!(null), json!(null)),
        (json!({"enableMasterLoadBalancer": true}), port, "NodePort", json!(null), json!("Cluster")),
    ];
    for (spec, settings, kind, ranges, policy) in cases {
        let spec = service(spec, &settings, "acid-test-cluster")["spec"].clone();
        assert_eq!(spec["type"], json!(kind));
        assert_eq!(spec["loadBalancerSourceRanges"], ranges);
        assert_eq!(spec["externalTrafficPolicy"], policy);
    }
    let fixed = service(
        json!({"enableMasterNodePort": true, "masterNodePort": 1337}),
        &Settings::default(),
        "acid-test-cluster",
    );
    assert_eq!(fixed["spec"]["ports"][0]["nodePort"], json!(1337));
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

#[test]
fn annotations_of_services() {
    let dns = "external-dns.alpha.kubernetes.io/hostname";
    let settings = Settings {
        master_dns_name_format: "{cluster}-stg.{namespace}.{hostedzone}".into(),
        master_legacy_dns_name_format: "{cluster}-stg.{team}.{hostedzone}".into(),
        replica_dns_name_format: "{cluster}-stg-repl.{namespace}.{hostedzone}".into(),
        replica_legacy_dns_name_format: "{cluster}-stg-repl.{team}.{hostedzone}".into(),
        custom_service_annotations: map(&[("foo", "bar"), ("post", "gres")]),
        ..Settings::default()
    };
    let of = |spec: Value, settings: &Settings, name: &str| {
        let mut manifest = manifest("acid-test", spec);
        manifest["metadata"]["namespace"] = json!("test");
        named(&intent(&manifest, settings).services, name)["metadata"]["annotations"].clone()
    };
    assert_eq!(of(json!({}), &Settings::default(), "acid-test"), json!(null));
    assert_eq!(
        of(json!({"serviceAnnotations": {"post": "greSQL"}}), &settings, "acid-test"),
        json!({"foo": "bar", "post": "greSQL"})
    );
    let spec = json!({
        "enableMasterLoadBalancer": true, "enableReplicaLoadBalancer": true,
        "serviceAnnotations": {"a": "ip", "b": "1800", dns: "wrong"}, "masterServiceAnnotations": {"b": "2000"},
    });
    assert_eq!(
        of(spec.clone(), &settings, "acid-test"),
        json!({"foo": "bar", "post": "gres", "a": "ip", "b": "2000",
               dns: "acid-test-stg.test.db.example.com,test-stg.acid.db.example.com"})
    );
    assert_eq!(
        of(spec, &settings, "acid-test-repl")[dns],
        json!("acid-test-stg-repl.test.db.example.com,test-stg-repl.acid.db.example.com")
    );
}

#[test]
fn annotations_of_pods() {
    let settings =
        Settings { custom_pod_annotations: map(&[("foo", "bar"), ("global", "foo")]), ..Settings::default() };
    let spec = json!({"podAnnotations": {"foo": "baz", "local": "foo"}});
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    assert_eq!(
        intent.stateful_set.body["spec"]["template"]["metadata"]["annotations"],
        json!({"foo": "baz", "global": "foo", "local": "foo"})
    );
}

#[test]
fn inherited_labels_never_replace_those_of_the_contract() {
    let settings = Settings {
        inherited_labels: ["application", "team", "environment", "spilo-role"].map(str::to_owned).to_vec(),
        ..Settings::default()
    };
    let mut manifest = manifest("acid-test-cluster", json!({}));
    manifest["metadata"]["labels"] =
        json!({"application": "x", "team": "x", "environment": "prod", "spilo-role": "x"});
    assert_eq!(
        intent(&manifest, &settings).stateful_set.body["metadata"]["labels"],
        json!({"application": "spilo", "cluster-name": "acid-test-cluster", "team": "acid", "environment": "prod"})
    );
}

#[test]
fn owners() {
    let mut manifest = manifest("acid-test-cluster", json!({}));
    manifest["metadata"]["uid"] = json!("u");
    manifest["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "v", "controller": true}]);
    let settings = Settings { enable_owner_references: true, ..Settings::default() };
    assert_eq!(
        intent(&manifest, &settings).stateful_set.body["metadata"]["ownerReferences"],
        json!([
            {"apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "v"},
            {"apiVersion": "acid.zalan.do/v1", "kind": "postgresql", "name": "acid-test-cluster", "uid": "u", "controller": true},
        ])
    );
}

fn mounts(container: &Value) -> Vec<String> {
    let text = |mount: &Value| {
        let sub = ["subPath", "subPathExpr"].iter().find_map(|key| mount[*key].as_str());
        format!(
            "{}:{}{}",
            mount["name"].as_str().unwrap(),
            mount["mountPath"].as_str().unwrap(),
            sub.map(|s| format!(":{s}")).unwrap_or_default()
        )
    };
    container["volumeMounts"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn additional_volumes() {
    let volume = |name: &str, targets: Value| json!({"name": name, "mountPath": format!("/{name}"), "targetContainers": targets, "volumeSource": {"emptyDir": {}}});
    let mut fifth = volume("test5", json!(null));
    fifth["subPath"] = json!("subpath");
    let mut sixth = volume("test6", json!(null));
    sixth["subPath"] = json!("$(POD_NAME)");
    sixth["isSubPathExpr"] = json!(true);
    let mut claim = volume("claim", json!([]));
    claim["volumeSource"] = json!({"PersistentVolumeClaim": {"claimName": "c", "ReadOnly": true}});
    let spec = json!({
        "volume": {"size": "1Gi", "subPath": "$(POD_NAME)", "isSubPathExpr": true},
        "sidecars": [{"name": "sidecar", "image": "i"}],
        "additionalVolumes": [
            volume("test1", json!(["all"])), volume("test2", json!(["sidecar"])), volume("test3", json!([])),
            volume("test4", json!(null)), fifth, sixth, claim,
        ],
    });
    let settings = Settings { enable_shm_volume: false, ..Settings::default() };
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    assert_eq!(
        mounts(container(&intent, "postgres")),
        [
            "pgdata:/home/postgres/pgdata:$(POD_NAME)",
            "test1:/test1",
            "test3:/test3",
            "test4:/test4",
            "test5:/test5:subpath",
            "test6:/test6:$(POD_NAME)",
            "claim:/claim",
        ]
    );
    assert_eq!(
        mounts(container(&intent, "sidecar")),
        ["pgdata:/home/postgres/pgdata:$(POD_NAME)", "test1:/test1", "test2:/test2"]
    );
    assert_eq!(
        pod(&intent)["volumes"][6],
        json!({"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": true}})
    );
}

#[test]
fn certificates() {
    let spec = json!({"tls": {"secretName": "pg-tls", "caFile": "ca.crt", "caSecretName": "pg-tls-ca"}, "spiloFSGroup": 103});
    let intent = intent(&manifest("acid-test-cluster", spec), &Settings::default());
    assert_eq!(
        pod(&intent)["volumes"],
        json!([
            {"name": "dshm", "emptyDir": {"medium": "Memory"}},
            {"name": "pg-tls", "secret": {"secretName": "pg-tls", "defaultMode": 416}},
            {"name": "pg-tls-ca", "secret": {"secretName": "pg-tls-ca", "defaultMode": 416}},
        ])
    );
    let postgres = container(&intent, "postgres");
    assert_eq!(mounts(postgres)[2..], ["pg-tls:/tls", "pg-tls-ca:/tlsca"]);
    assert_eq!(
        variables(postgres)[18..],
        [
            "SSL_CERTIFICATE_FILE=/tls/tls.crt",
            "SSL_PRIVATE_KEY_FILE=/tls/tls.key",
            "SSL_CA_FILE=/tlsca/ca.crt"
        ]
    );
    assert_eq!(pod(&intent)["securityContext"], json!({"fsGroup": 103}));
}

fn affinity(spec: Value, settings: Settings) -> Value {
    pod(&intent(&manifest("acid-test-cluster", spec), &settings))["affinity"].clone()
}

#[test]
fn node_affinity() {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let term = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "In", "values": ["ready"]}]});
    let own = json!({required: {"nodeSelectorTerms": [term("one"), term("two")]}});
    let ready = |merge: &str| Settings {
        node_readiness_label: map(&[("status", "ready")]),
        node_readiness_label_merge: merge.into(),
        ..Settings::default()
    };
    let merged = |terms: Value| json!({"nodeAffinity": {required: {"nodeSelectorTerms": terms}}});
    let both = |key: &str| {
        json!({"matchExpressions": [
            {"key": key, "operator": "In", "values": ["ready"]},
            {"key": "status", "operator": "In", "values": ["ready"]},
        ]})
    };
    assert_eq!(affinity(json!({}), Settings::default()), json!(null));
    assert_eq!(affinity(json!({"nodeAffinity": own}), Settings::default()), json!({"nodeAffinity": own}));
    assert_eq!(affinity(json!({}), ready("OR")), merged(json!([term("status")])));
    let with_own = || json!({"nodeAffinity": own});
    assert_eq!(affinity(with_own(), ready("OR")), merged(json!([term("one"), term("two"), term("status")])));
    assert_eq!(affinity(with_own(), ready("AND")), merged(json!([both("one"), both("two")])));
    assert_eq!(affinity(with_own(), ready("")), merged(json!([term("one"), term("two"), term("status")])));
}

#[test]
fn pod_anti_affinity() {
    let on = Settings { enable_pod_antiaffinity: true, ..Settings::default() };
    let preferred = Settings { pod_antiaffinity_preferred_during_scheduling: true, ..on.clone() };
    let term = json!({
        "labelSelector": {"matchLabels": {"application": "spilo", "cluster-name": "acid-test-cluster", "team": "acid"}},
        "topologyKey": "kubernetes.io/hostname",
    });
    assert_eq!(
        affinity(json!({}), on),
        json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    );
    assert_eq!(
        affinity(json!({}), preferred),
        json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}})
    );
}

#[test]
fn tolerations() {
    let settings =
        Settings { toleration: map(&[("key", "db-only"), ("operator", "Exists")]), ..Settings::default() };
    let of =
        |spec: Value| pod(&intent(&manifest("acid-test-cluster", spec), &settings))["tolerations"].clone();
    assert_eq!(of(json!({})), json!([{"key": "db-only", "operator": "Exists"}]));
    let own = json!([{"key": "x", "operator": "Exists", "tolerationSeconds": 5}]);
    assert_eq!(of(json!({"tolerations": own})), own);
}

#[test]
fn sidecars_of_all_sources() {
    let settings = Settings {
        sidecars: Some(json!([{"name": "replace", "image": "global"}, {"name": "global", "image": "g"}])),
        sidecar_docker_images: map(&[("old", "o"), ("global", "ignored")]),
        ..Settings::default()
    };
    let spec = json!({"sidecars": [
        {"image": "unnamed", "env": [{"name": "pod_name", "value": "mine"}, {"name": "OWN", "value": "1"}]},
        {"name": "replace", "image": "own"},
    ]});
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let shown: Vec<_> = pod(&intent)["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| format!("{} {}", c["name"].as_str().unwrap(), c["image"].as_str().unwrap()))
        .collect();
    assert_eq!(shown[1..], ["sidecar-0 unnamed", "replace own", "global g", "old o"]);
    assert_eq!(
        variables(container(&intent, "sidecar-0")),
        [
            "POD_NAME<-metadata.name",
            "POD_NAMESPACE<-metadata.namespace",
            "POSTGRES_USER=postgres",
            "POSTGRES_PASSWORD<-postgres.acid-test-cluster.credentials.postgresql.acid.zalan.do/password",
            "OWN=1",
        ]
    );
    assert_eq!(container(&intent, "global")["resources"], json!(null));
}

#[test]
fn capabilities_are_in_upper_case() {
    let settings = Settings { additional_pod_capabilities: vec!["sys_nice".into()], ..Settings::default() };
    let intent = intent(&manifest("acid-test-cluster", json!({})), &settings);
    assert_eq!(
        container(&intent, "postgres")["securityContext"]["capabilities"],
        json!({"add": ["SYS_NICE"]})
    );
}

#[test]
fn users_in_other_namespaces() {
    let settings = Settings { enable_cross_namespace_secret: true, ..Settings::default() };
    let spec = json!({"users": {"appspace.db_user": null, "db_user": []}});
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let shown: Vec<_> = intent.secrets[2..]
        .iter()
        .map(|secret| format!("{} {}/{}", secret.role, secret.object.namespace, secret.object.name))
        .collect();
    assert_eq!(
        shown,
        [
            "appspace.db_user appspace/appspace.db-user.acid-test-cluster.credentials.postgresql.acid.zalan.do",
            "db_user default/db-user.acid-test-cluster.credentials.postgresql.acid.zalan.do",
        ]
    );
}

#[test]
fn owners_of_databases_join_the_owner_roles() {
    let settings = Settings { additional_owner_roles: vec!["cron_admin".into()], ..Settings::default() };
    let spec = json!({
        "users": {"foo_owner": [], "app_user": []},
        "databases": {"foo_db": "foo_owner", "my-db": "foo_owner", "lost": "nobody"},
    });
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let members: Vec<_> =
        intent.roles.iter().filter(|role| !role.member_of.is_empty()).map(|role| &role.name).collect();
    assert_eq!(members, ["foo_owner"]);
    let databases: Vec<_> = intent.databases.iter().map(|database| &database.name).collect();
    assert_eq!(databases, ["foo_db"]);
    let told: Vec<_> = intent.notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(told, ["spec.databases.lost", "spec.databases.my-db"]);
}

#[test]
fn dynamic_configuration() {
    let spec = json!({
        "postgresql": {"version": "18", "parameters": {"shared_buffers": "32MB", "work_mem": "8MB"}},
        "patroni": {"ttl": 30, "synchronous_mode": true},
    });
    assert_eq!(
        intent(&manifest("acid-test-cluster", spec), &Settings::default()).patroni,
        json!({
            "ttl": 30, "synchronous_mode": true, "synchronous_mode_strict": false, "synchronous_node_count": 1,
            "failsafe_mode": false, "postgresql": {"parameters": {"work_mem": "8MB"}},
        })
    );
}

#[test]
fn accounts_from_the_settings() {
    let settings = Settings {
        pod_service_account_name: "own".into(),
        pod_service_account_definition: "kind: ServiceAccount\nmetadata: {name: x, labels: {a: b}}\nimagePullSecrets:\n- name: s\n".into(),
        pod_service_account_role_binding_definition:
            r#"{"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "x"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": []}"#.into(),
        irsa_role_arn: "arn:aws:iam::1:role/x".into(),
        ..Settings::default()
    };
    let intent = intent(&manifest("acid-test-cluster", json!({})), &settings);
    assert_eq!(
        intent.pod_service_account.body,
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {
                "name": "own", "namespace": "default", "labels": {"a": "b"},
                "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
            },
            "imagePullSecrets": [{"name": "s"}],
        })
    );
    assert_eq!(
        intent.pod_role_binding.body,
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "b", "namespace": "default"},
            "roleRef": {"kind": "Role", "name": "r"}, "subjects": [],
        })
    );
    let broken = Settings { pod_service_account_definition: "kind: Pod".into(), ..Settings::default() };
    let problems = Cluster::validate(&manifest("acid-test-cluster", json!({})), &broken).unwrap_err();
    assert_eq!(problems[0].field, "pod_service_account_definition");
}
