//! Volumes, certificates, sidecars.

use super::*;

pub(super) fn mounts(container: &Value) -> Vec<String> {
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

/// 03 §17.8: volumes that settings add stand before the manifest's, in the containers they are for.
#[test]
fn vectors_03_17_8_volumes_of_the_settings() {
    let settings = Settings {
        share_pgsocket_with_sidecars: true,
        additional_secret_mount: "aws-iam-s3-role".into(),
        additional_secret_mount_path: "/meta/credentials".into(),
        ..Settings::default()
    };
    let spec = json!({
        "sidecars": [{"name": "sidecar", "image": "i"}],
        "additionalVolumes": [{"name": "own", "mountPath": "/own", "volumeSource": {"emptyDir": {}}}],
    });
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let shared = ["postgresql-run:/var/run/postgresql", "aws-iam-s3-role:/meta/credentials"];
    for level in Level::all() {
        assert_eq!(
            mounts(container_at(&intent, level, "postgres")),
            ["pgdata:/home/postgres/pgdata", "dshm:/dev/shm", shared[0], shared[1], "own:/own"]
        );
        assert_eq!(
            mounts(container_at(&intent, level, "sidecar")),
            ["pgdata:/home/postgres/pgdata", shared[0], shared[1]]
        );
        assert_eq!(
            pod_at(&intent, level)["volumes"],
            json!([
                {"name": "dshm", "emptyDir": {"medium": "Memory"}},
                {"name": "postgresql-run", "emptyDir": {"medium": "Memory"}},
                {"name": "aws-iam-s3-role", "secret": {"secretName": "aws-iam-s3-role"}},
                {"name": "own", "emptyDir": {}},
            ])
        );
    }
}

#[test]
fn vectors_03_17_8_additional_volumes() {
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
    for level in Level::all() {
        assert_eq!(
            mounts(container_at(&intent, level, "sidecar")),
            ["pgdata:/home/postgres/pgdata:$(POD_NAME)", "test1:/test1", "test2:/test2"]
        );
    }
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

/// 03 §17.8, the rows about TLS: certificates at `/tls` unless the manifest has a volume there.
#[test]
fn vectors_03_17_8_certificates() {
    let of = |tls: Value, volumes: Value| {
        let spec = json!({"tls": tls, "additionalVolumes": volumes, "spiloFSGroup": 103});
        let intent = intent(&manifest("acid-test-cluster", spec), &Settings::default());
        let postgres = container_at(&intent, Level::ORIGINAL, "postgres");
        let newest = container_at(&intent, Level::NEWEST, "postgres");
        assert_eq!(mounts(postgres), mounts(newest));
        assert_eq!(pod(&intent)["securityContext"], json!({"fsGroup": 103}));
        let volumes = pod_at(&intent, Level::ORIGINAL)["volumes"].as_array().unwrap()[1..].to_vec();
        (mounts(postgres)[2..].to_vec(), variables(postgres)[18..].to_vec(), json!(volumes))
    };
    let secret = |name: &str| json!({"name": name, "secret": {"secretName": name, "defaultMode": 0o640}});
    let plain =
        ["SSL_CERTIFICATE_FILE=/tls/tls.crt", "SSL_PRIVATE_KEY_FILE=/tls/tls.key", "SSL_CA_FILE=/tls/ca.crt"];
    let tls = json!({"secretName": "my-secret", "caFile": "ca.crt"});
    let own = json!([{
        "name": "my-secret", "mountPath": "/tls",
        "volumeSource": {"secret": {"secretName": "my-secret", "defaultMode": 0o640}},
    }]);
    for volumes in [json!([]), own] {
        let (mounts, variables, volumes) = of(tls.clone(), volumes);
        assert_eq!(mounts, ["my-secret:/tls"]);
        assert_eq!(variables, plain);
        assert_eq!(volumes, json!([secret("my-secret")]));
    }
    let tls = json!({"secretName": "my-secret", "caFile": "ca.crt", "caSecretName": "my-ca"});
    let (mounts, variables, volumes) = of(tls, json!([]));
    assert_eq!(mounts, ["my-secret:/tls", "my-ca:/tlsca"]);
    assert_eq!(variables[2], "SSL_CA_FILE=/tlsca/ca.crt");
    assert_eq!(volumes, json!([secret("my-secret"), secret("my-ca")]));
    let tls = json!({"secretName": "my-secret", "certificateFile": "/certs/a.crt", "caSecretName": "unused"});
    let (mounts, variables, _) = of(tls, json!([]));
    assert_eq!(mounts, ["my-secret:/tls"]);
    assert_eq!(variables, ["SSL_CERTIFICATE_FILE=/certs/a.crt", "SSL_PRIVATE_KEY_FILE=/tls/tls.key"]);
    let empty = json!({"tls": {"secretName": "", "caFile": ""}});
    let intent = intent(&manifest("acid-test-cluster", empty), &Settings::default());
    assert_eq!(variables_of(&intent).len(), 18);
}

fn variables_of(intent: &Intent) -> Vec<String> {
    variables(container_at(intent, Level::ORIGINAL, "postgres"))
}

/// 03 §17.8, the selector of the claim is copied as it is.
#[test]
fn vectors_03_17_8_claim_selector() {
    let matched = json!({"matchLabels": {"a": "b"}});
    let mut more = matched.clone();
    more["matchExpressions"] = json!([{"key": "k", "operator": "In", "values": ["v"]}]);
    for selector in [json!(null), matched, more] {
        let spec = json!({"volume": {"size": "1Gi", "selector": selector}});
        let intent = intent(&manifest("acid-test-cluster", spec), &Settings::default());
        let claim = &intent.stateful_set_at(Level::ORIGINAL).body["spec"]["volumeClaimTemplates"][0];
        assert_eq!(claim["spec"]["selector"], selector);
    }
}

/// 03 §17.8: seven containers from four sources, the first of a name wins.
#[test]
fn vectors_03_17_8_sidecars() {
    let text = str::to_owned;
    let settings = Settings {
        default_cpu_request: text("200m"),
        default_memory_request: text("0.7Gi"),
        default_cpu_limit: text("500m"),
        default_memory_limit: text("1.3Gi"),
        sidecars: Some(json!([
            {"name": "global-sidecar", "image": "docker"},
            {"name": "replace-sidecar", "image": "global"},
        ])),
        sidecar_docker_images: map(&[("deprecated-global-sidecar", "image:123")]),
        scalyr_api_key: text("abc"),
        scalyr_image: text("scalyr-image"),
        scalyr_server_url: String::new(),
        scalyr_cpu_request: text("220m"),
        scalyr_cpu_limit: text("520m"),
        scalyr_memory_request: text("0.9Gi"),
        scalyr_memory_limit: String::new(),
        ..Settings::default()
    };
    let own =
        json!({"requests": {"cpu": "210m", "memory": "0.8Gi"}, "limits": {"cpu": "510m", "memory": "1.4Gi"}});
    let spec = json!({"sidecars": [
        {"name": "cluster-specific-sidecar", "image": "own"},
        {"name": "cluster-specific-sidecar-with-resources", "image": "own", "resources": own},
        {"name": "replace-sidecar", "image": "override-image"},
    ]});
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let amounts = |container: &Value| {
        let r = &container["resources"];
        ["requests", "limits"].map(|part| {
            format!(
                "{}/{}",
                r[part]["cpu"].as_str().unwrap_or("-"),
                r[part]["memory"].as_str().unwrap_or("-")
            )
        })
    };
    let default = ["200m/751619276800m", "500m/1395864371200m"];
    let rows = [
        ("postgres", "ghcr.io/zalando/spilo-18:4.1-p2", default, "IfNotPresent"),
        ("cluster-specific-sidecar", "own", default, "IfNotPresent"),
        (
            "cluster-specific-sidecar-with-resources",
            "own",
            ["210m/858993459200m", "510m/1503238553600m"],
            "IfNotPresent",
        ),
        ("replace-sidecar", "override-image", default, "IfNotPresent"),
        ("global-sidecar", "docker", ["-/-", "-/-"], ""),
        ("deprecated-global-sidecar", "image:123", default, "IfNotPresent"),
        ("scalyr-sidecar", "scalyr-image", ["220m/966367641600m", "520m/1395864371200m"], "IfNotPresent"),
    ];
    let containers = pod_at(&intent, Level::ORIGINAL)["containers"].as_array().unwrap();
    assert_eq!(containers.len(), rows.len());
    for ((name, image, expected, policy), container) in rows.into_iter().zip(containers) {
        assert_eq!((container["name"].as_str(), container["image"].as_str()), (Some(name), Some(image)));
        assert_eq!(amounts(container), expected, "{name}");
        assert_eq!(container["imagePullPolicy"].as_str().unwrap_or_default(), policy, "{name}");
        assert_eq!(mounts(container)[0], "pgdata:/home/postgres/pgdata", "{name}");
    }
    assert_eq!(
        variables(container_at(&intent, Level::ORIGINAL, "scalyr-sidecar")),
        [
            "POD_NAME<-metadata.name",
            "POD_NAMESPACE<-metadata.namespace",
            "POSTGRES_USER=postgres",
            "POSTGRES_PASSWORD<-postgres.acid-test-cluster.credentials.postgresql.acid.zalan.do/password",
            "SCALYR_API_KEY=abc",
            "SCALYR_SERVER_HOST=acid-test-cluster",
        ]
    );
    let with_url = Settings { scalyr_server_url: text("https://logs"), ..settings };
    let intent = render(&cluster(&manifest("acid-test-cluster", json!({})), &with_url), &with_url);
    let all = variables(container_at(&intent, Level::ORIGINAL, "scalyr-sidecar"));
    assert_eq!(all.last().unwrap(), "SCALYR_SERVER_URL=https://logs");
}

#[test]
fn standard_variables_of_sidecars_cannot_be_replaced() {
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

/// 03 §17.8: containers without name or image are refused, each by its field.
#[test]
fn vectors_03_17_8_validation_of_containers() {
    let fields = |spec: Value, sidecars: Option<Value>| -> Vec<String> {
        let settings = Settings { sidecars, ..Settings::default() };
        let problems = Cluster::validate(&manifest("acid-test-cluster", spec), &settings).unwrap_err();
        problems.into_iter().map(|problem| problem.field).collect()
    };
    assert_eq!(fields(json!({"initContainers": [{"name": "i"}]}), None), ["spec.initContainers[0].image"]);
    assert_eq!(fields(json!({}), Some(json!([{"image": "i"}]))), ["sidecars[0].name"]);
    assert_eq!(fields(json!({"sidecars": [{"name": "s"}]}), None), ["spec.sidecars[0].image"]);
    assert_eq!(
        fields(json!({"initContainers": [{}]}), None),
        ["spec.initContainers[0].image", "spec.initContainers[0].name"]
    );
}

/// 03 §17.8, capabilities; and names in lower case, which are written in upper case.
#[test]
fn vectors_03_17_8_capabilities() {
    for (names, expected) in [
        (vec![], json!(null)),
        (vec!["SYS_NICE"], json!({"add": ["SYS_NICE"]})),
        (vec!["SYS_NICE", "CHOWN"], json!({"add": ["SYS_NICE", "CHOWN"]})),
        (vec!["sys_nice"], json!({"add": ["SYS_NICE"]})),
    ] {
        let names = names.into_iter().map(str::to_owned).collect();
        let settings = Settings { additional_pod_capabilities: names, ..Settings::default() };
        let intent = intent(&manifest("acid-test-cluster", json!({})), &settings);
        let security = &container_at(&intent, Level::ORIGINAL, "postgres")["securityContext"];
        assert_eq!(security["capabilities"], expected);
    }
}

/// 03 §17.8: `envFrom` is passed on, only to PostgreSQL.
#[test]
fn vectors_03_17_8_env_from() {
    let from = json!([{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b", "optional": true}}]);
    let spec = json!({"envFrom": from, "sidecars": [{"name": "s", "image": "i"}]});
    let intent = intent(&manifest("acid-test-cluster", spec), &Settings::default());
    assert_eq!(container(&intent, "postgres")["envFrom"], from);
    assert_eq!(container(&intent, "s")["envFrom"], json!(null));
}

#[test]
fn probes() {
    let settings = Settings {
        enable_readiness_probe: true,
        liveness_probe: Some(json!({"tcpSocket": {"port": 5432}})),
        ..Settings::default()
    };
    let of =
        |spec: Value| container(&intent(&manifest("acid-test-cluster", spec), &settings), "postgres").clone();
    let container = of(json!({}));
    assert_eq!(
        container["readinessProbe"],
        json!({
            "httpGet": {"path": "/readiness", "port": 8008, "scheme": "HTTP"}, "initialDelaySeconds": 6,
            "periodSeconds": 10, "timeoutSeconds": 5, "successThreshold": 1, "failureThreshold": 3,
        })
    );
    assert_eq!(container["livenessProbe"], json!({"tcpSocket": {"port": 5432}}));
    let own = json!({"exec": {"command": ["true"]}});
    assert_eq!(of(json!({"livenessProbe": own}))["livenessProbe"], own);
}

#[test]
fn settings_of_the_pod() {
    let settings = Settings {
        pod_terminate_grace_period: std::time::Duration::ZERO,
        pod_priority_class_name: "of-the-settings".into(),
        spilo_runasuser: Some(1),
        spilo_runasgroup: Some(2),
        spilo_fsgroup: Some(3),
        ..Settings::default()
    };
    let of = |spec: Value| pod(&intent(&manifest("acid-test-cluster", spec), &settings)).clone();
    let plain = of(json!({}));
    assert_eq!(plain["terminationGracePeriodSeconds"], 300);
    assert_eq!(plain["priorityClassName"], "of-the-settings");
    assert_eq!(plain["schedulerName"], json!(null));
    assert_eq!(plain["securityContext"], json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3}));
    let own = of(json!({
        "podPriorityClassName": "own", "schedulerName": "s", "spiloRunAsUser": 4, "spiloRunAsGroup": 5, "spiloFSGroup": 6,
    }));
    assert_eq!(own["priorityClassName"], "own");
    assert_eq!(own["schedulerName"], "s");
    assert_eq!(own["securityContext"], json!({"runAsUser": 4, "runAsGroup": 5, "fsGroup": 6}));
}
