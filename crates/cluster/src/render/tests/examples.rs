//! The worked examples of 03 §15 and §16, every field and the order of variables.

use super::*;

const UID: &str = "11111111-2222-3333-4444-555555555555";

fn minimal() -> Value {
    manifest(
        "acid-minimal-cluster",
        json!({
            "users": {"zalando": ["superuser", "createdb"], "foo_user": []},
            "databases": {"foo": "zalando"},
            "preparedDatabases": {"bar": {}},
        }),
    )
}

/// All objects at the original's level, in the order of being applied.
fn objects(intent: &Intent) -> Vec<Value> {
    intent.objects_at(Level::ORIGINAL).map(|object| object.body.clone()).collect()
}

fn kind<'a>(intent: &'a Intent, kind: &str, name: &str) -> &'a Value {
    &intent.objects().find(|object| object.kind == kind && object.name == name).unwrap().body
}

fn environment(intent: &Intent) -> Vec<String> {
    variables(container_at(intent, Level::ORIGINAL, "postgres"))
}

#[test]
fn vectors_03_15_minimal() {
    let text = include_str!("../../../../../testdata/examples/minimal-objects.yaml");
    let expected: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    similar_asserts::assert_eq!(expected, objects(&intent(&minimal(), &Settings::default())));
}

/// The variants of the settings in 03 §15.
#[test]
fn vectors_03_15_variants() {
    let of = |settings: Settings| intent(&minimal(), &settings);
    let service = |intent: &Intent| kind(intent, "Service", "acid-minimal-cluster").clone();
    let plain = environment(&of(Settings::default()));
    let without = |name: &str| -> Vec<String> {
        plain.iter().filter(|variable| !variable.starts_with(&format!("{name}="))).cloned().collect()
    };

    let endpoints = of(Settings { kubernetes_use_configmaps: false, ..Settings::default() });
    assert_eq!(environment(&endpoints), without("KUBERNETES_USE_CONFIGMAPS"));
    let made = kind(&endpoints, "Endpoints", "acid-minimal-cluster");
    assert_eq!(made["metadata"]["labels"], service(&endpoints)["metadata"]["labels"]);
    assert_eq!(made["subsets"], json!(null));
    assert_eq!(service(&endpoints)["spec"]["selector"], json!(null));

    let etcd = environment(&of(Settings { etcd_host: "etcd:2379".into(), ..Settings::default() }));
    assert_eq!(
        etcd[..16],
        plain[..15].iter().cloned().chain(["ETCD_HOST=etcd:2379".to_owned()]).collect::<Vec<_>>()[..16]
    );

    let directory = of(Settings { enable_pgversion_env_var: false, ..Settings::default() });
    let configuration = environment(&directory).into_iter().find(|v| v.starts_with("SPILO_")).unwrap();
    assert!(configuration.contains(r#"{"postgresql":{"bin_dir":"/usr/lib/postgresql/18/bin"},"#));
    assert_eq!(environment(&directory).len(), plain.len() - 1);

    let relaxed = of(Settings { enable_pod_disruption_budget: false, ..Settings::default() });
    assert_eq!(environment(&relaxed), without("KUBERNETES_BOOTSTRAP_LABELS"));
    let budget = |name: &str| kind(&relaxed, "PodDisruptionBudget", name)["spec"].clone();
    assert_eq!(budget("postgres-acid-minimal-cluster-pdb")["minAvailable"], 0);
    assert_eq!(budget("postgres-acid-minimal-cluster-critical-op-pdb")["maxUnavailable"], "100%");

    let compat = environment(&of(Settings { enable_spilo_wal_path_compat: true, ..Settings::default() }));
    assert_eq!(compat[11..14], ["HUMAN_ROLE=zalandos", "ENABLE_WAL_PATH_COMPAT=true", "PGVERSION=18"]);

    let (empty, _) = Settings::from_config_map(&BTreeMap::new());
    let empty = of(empty);
    assert_eq!(container_at(&empty, Level::ORIGINAL, "postgres")["resources"], json!({}));
    let primary = service(&empty);
    assert_eq!(primary["spec"]["type"], "LoadBalancer");
    assert_eq!(primary["spec"]["loadBalancerSourceRanges"], json!(["127.0.0.1/32"]));
    assert_eq!(primary["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(
        primary["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"],
        "acid-minimal-cluster.default.db.example.com,minimal-cluster.acid.db.example.com"
    );

    let mut manifest = minimal();
    manifest["metadata"]["uid"] = json!(UID);
    let owned = Settings { enable_owner_references: true, ..Settings::default() };
    for object in objects(&intent(&manifest, &owned)) {
        let shared = matches!(object["kind"].as_str(), Some("ServiceAccount" | "RoleBinding"));
        let owner = json!([{
            "apiVersion": "acid.zalan.do/v1", "kind": "postgresql", "name": "acid-minimal-cluster", "uid": UID,
            "controller": true,
        }]);
        let expected = if shared { json!(null) } else { owner };
        assert_eq!(object["metadata"]["ownerReferences"], expected, "{}", object["kind"]);
    }
}

/// The manifest of 03 §16 with `more` on top.
fn complete(more: Value) -> Value {
    let mut manifest = manifest(
        "acid-test-cluster",
        json!({
            "users": {"zalando": ["superuser", "createdb"], "foo_user": []},
            "databases": {"foo": "zalando"},
            "preparedDatabases": {"bar": {"defaultUsers": true, "schemas": {"data": {}, "history": {"defaultUsers": false}}}},
            "dockerImage": "ghcr.io/zalando/spilo-18:4.1-p2",
            "enableMasterLoadBalancer": false, "enableReplicaLoadBalancer": false,
            "enableConnectionPooler": false, "enableReplicaConnectionPooler": false,
            "allowedSourceRanges": ["127.0.0.1/32"],
            "enableShmVolume": true,
            "initContainers": [{"name": "date", "image": "busybox", "command": ["/bin/date"]}],
            "additionalVolumes": [
                {"name": "empty", "mountPath": "/opt/empty", "targetContainers": ["all"], "volumeSource": {"emptyDir": {}}},
            ],
            "postgresql": {
                "version": "18",
                "parameters": {"shared_buffers": "32MB", "max_connections": "10", "log_statement": "all"},
            },
            "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}, "limits": {"cpu": "500m", "memory": "500Mi"}},
            "patroni": {
                "failsafe_mode": false,
                "initdb": {"encoding": "UTF8", "locale": "en_US.UTF-8", "data-checksums": "true"},
                "ttl": 30, "loop_wait": 10, "retry_timeout": 10, "synchronous_mode": false,
                "synchronous_mode_strict": false, "synchronous_node_count": 1, "maximum_lag_on_failover": 33_554_432,
            },
            "tls": {"secretName": "", "certificateFile": "", "privateKeyFile": "", "caFile": "", "caSecretName": ""},
        }),
    );
    manifest["metadata"]["uid"] = json!(UID);
    manifest["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest
}

#[test]
fn vectors_03_16_complete() {
    let intent = intent(&complete(json!({})), &Settings::default());
    let pod = pod_at(&intent, Level::ORIGINAL);
    assert_eq!(
        pod["initContainers"],
        json!([{"name": "date", "image": "busybox", "command": ["/bin/date"]}])
    );
    let postgres = container_at(&intent, Level::ORIGINAL, "postgres");
    assert_eq!(postgres["image"], "ghcr.io/zalando/spilo-18:4.1-p2");
    let all = variables(postgres);
    assert_eq!(all.len(), 18);
    assert_eq!(
        all[14],
        r#"SPILO_CONFIGURATION={"postgresql":{"parameters":{"shared_buffers":"32MB"}},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"},{"auth-local":"trust"},"data-checksums",{"encoding":"UTF8"},{"locale":"en_US.UTF-8"}],"dcs":{"ttl":30,"loop_wait":10,"retry_timeout":10,"maximum_lag_on_failover":33554432,"synchronous_node_count":1,"postgresql":{"parameters":{"log_statement":"all","max_connections":"10"}},"failsafe_mode":false}}}"#
    );
    assert_eq!(
        postgres["resources"],
        json!({"requests": {"cpu": "10m", "memory": "100Mi"}, "limits": {"cpu": "500m", "memory": "500Mi"}})
    );
    assert_eq!(
        volumes::mounts(postgres),
        ["pgdata:/home/postgres/pgdata", "dshm:/dev/shm", "empty:/opt/empty"]
    );
    assert_eq!(
        pod["volumes"],
        json!([{"name": "dshm", "emptyDir": {"medium": "Memory"}}, {"name": "empty", "emptyDir": {}}])
    );
    for service in &intent.services {
        assert_eq!(service.body["spec"]["type"], "ClusterIP");
    }
    assert!(intent.poolers.is_empty() && intent.logical_backup.is_none() && intent.streams.is_empty());
}

#[test]
fn vectors_03_16_load_balancer() {
    let intent = intent(&complete(json!({"enableMasterLoadBalancer": true})), &Settings::default());
    let service = kind(&intent, "Service", "acid-test-cluster");
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["loadBalancerSourceRanges"], json!(["127.0.0.1/32"]));
    assert_eq!(service["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(
        service["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"],
        "acid-test-cluster.default.db.example.com,test-cluster.acid.db.example.com"
    );
}

#[test]
fn vectors_03_16_certificates() {
    let tls = json!({"secretName": "pg-tls", "caFile": "ca.crt", "caSecretName": "pg-tls-ca"});
    let intent = intent(&complete(json!({"tls": tls, "spiloFSGroup": 103})), &Settings::default());
    let pod = pod_at(&intent, Level::ORIGINAL);
    assert_eq!(pod["securityContext"], json!({"fsGroup": 103}));
    assert_eq!(
        environment(&intent)[18..],
        [
            "SSL_CERTIFICATE_FILE=/tls/tls.crt",
            "SSL_PRIVATE_KEY_FILE=/tls/tls.key",
            "SSL_CA_FILE=/tlsca/ca.crt"
        ]
    );
    assert_eq!(
        pod["volumes"].as_array().unwrap()[2..],
        [
            json!({"name": "pg-tls", "secret": {"secretName": "pg-tls", "defaultMode": 416}}),
            json!({"name": "pg-tls-ca", "secret": {"secretName": "pg-tls-ca", "defaultMode": 416}}),
        ]
    );
    assert_eq!(
        volumes::mounts(container_at(&intent, Level::ORIGINAL, "postgres"))[3..],
        ["pg-tls:/tls", "pg-tls-ca:/tlsca"]
    );
}

#[test]
fn vectors_03_16_clone_and_standby() {
    let settings = Settings { wal_s3_bucket: "my-wal".into(), ..Settings::default() };
    let clone = json!({
        "cluster": "acid-minimal-cluster", "uid": "efd12e58-5786-11e8-b5a7-06148230260c",
        "timestamp": "2017-12-19T12:40:33+01:00",
    });
    let suffix = format!("WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    assert_eq!(
        environment(&intent(&complete(json!({"clone": clone})), &settings))[17..],
        [
            "KUBERNETES_USE_CONFIGMAPS=true",
            "CLONE_SCOPE=acid-minimal-cluster",
            "CLONE_WAL_S3_BUCKET=my-wal",
            "CLONE_WAL_BUCKET_SCOPE_SUFFIX=/efd12e58-5786-11e8-b5a7-06148230260c",
            "CLONE_METHOD=CLONE_WITH_WALE",
            "CLONE_TARGET_TIME=2017-12-19T12:40:33+01:00",
            "CLONE_WAL_BUCKET_SCOPE_PREFIX=",
            "WAL_S3_BUCKET=my-wal",
            &suffix,
            "WAL_BUCKET_SCOPE_PREFIX=",
        ]
    );
    let standby = json!({"standby": {"standby_host": "acid-minimal-cluster.default"}});
    assert_eq!(
        environment(&intent(&complete(standby), &Settings::default()))[17..],
        ["KUBERNETES_USE_CONFIGMAPS=true", "STANDBY_HOST=acid-minimal-cluster.default"]
    );
}

/// 03 §16, the pooler of the primary.
#[test]
fn vectors_03_16_pooler() {
    let intent = intent(&complete(json!({"enableConnectionPooler": true})), &Settings::default());
    let name = "acid-test-cluster-pooler";
    let five = json!({
        "application": "db-connection-pooler", "cluster-name": "acid-test-cluster", "team": "acid",
        "connection-pooler": name, "spilo-role": "master",
    });
    let three = json!({"application": "db-connection-pooler", "cluster-name": "acid-test-cluster", "connection-pooler": name});
    let secret = "pooler.acid-test-cluster.credentials.postgresql.acid.zalan.do";
    let deployment = kind(&intent, "Deployment", name);
    assert_eq!(deployment["metadata"]["labels"], five);
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], three);
    let template = &deployment["spec"]["template"];
    assert_eq!(template["metadata"]["labels"], five);
    let mut pod = template["spec"].clone();
    let all = variables(&pod["containers"][0]);
    pod["containers"][0].as_object_mut().unwrap().remove("env");
    assert_eq!(
        pod,
        json!({
            "serviceAccountName": "postgres-pod",
            "terminationGracePeriodSeconds": 300,
            "securityContext": {"runAsUser": 100, "runAsGroup": 101},
            "tolerations": [],
            "containers": [{
                "name": "connection-pooler",
                "image": "ghcr.io/zalando/postgres-operator/pgbouncer:v2.0.1",
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 5432, "protocol": "TCP"}],
                "readinessProbe": {"tcpSocket": {"port": 5432}},
                "securityContext": {"allowPrivilegeEscalation": false},
                "resources": {"requests": {"cpu": "500m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "100Mi"}},
                "volumeMounts": [{
                    "name": format!("{name}-u"), "mountPath": "/etc/pgbouncer/userlist.txt",
                    "subPath": "userlist.txt", "readOnly": true,
                }],
            }],
            "volumes": [{"name": format!("{name}-u"), "secret": {"secretName": format!("{name}-u")}}],
        })
    );
    assert_eq!(
        all,
        [
            "PGHOST=acid-test-cluster".to_owned(),
            "PGPORT=5432".to_owned(),
            format!("PGUSER<-{secret}/username"),
            "PGSCHEMA=pooler".to_owned(),
            format!("PGPASSWORD<-{secret}/password"),
            "CONNECTION_POOLER_PORT=5432".to_owned(),
            "CONNECTION_POOLER_MODE=transaction".to_owned(),
            "CONNECTION_POOLER_DEFAULT_SIZE=15".to_owned(),
            "CONNECTION_POOLER_MIN_SIZE=7".to_owned(),
            "CONNECTION_POOLER_RESERVE_SIZE=7".to_owned(),
            "CONNECTION_POOLER_MAX_CLIENT_CONN=10000".to_owned(),
            "CONNECTION_POOLER_MAX_DB_CONN=30".to_owned(),
        ]
    );
    let service = kind(&intent, "Service", name);
    assert_eq!(service["metadata"]["labels"], three);
    assert_eq!(
        service["spec"],
        json!({
            "type": "ClusterIP", "selector": {"connection-pooler": name},
            "ports": [{"name": name, "port": 5432, "targetPort": 5432}],
        })
    );
    let list = kind(&intent, "Secret", "acid-test-cluster-pooler-u");
    assert_eq!((&list["metadata"]["labels"], &list["type"]), (&five, &json!("Opaque")));
    assert_eq!(kind(&intent, "Secret", secret)["metadata"]["labels"], three);
}

/// 03 §16, the CronJob at the original's level.
#[test]
fn vectors_03_16_logical_backup() {
    let settings = Settings {
        logical_backup_s3_bucket: "my-bucket-url".into(),
        logical_backup_s3_sse: "AES256".into(),
        ..Settings::default()
    };
    let more = json!({"enableLogicalBackup": true, "logicalBackupRetention": "3 months"});
    let intent = intent(&complete(more), &settings);
    let original = intent.objects_at(Level::ORIGINAL).find(|object| object.kind == "CronJob");
    let body = &original.unwrap().body;
    let labels =
        json!({"application": "spilo-logical-backup", "cluster-name": "acid-test-cluster", "team": "acid"});
    assert_eq!(body["metadata"]["name"], "logical-backup-acid-test-cluster");
    assert_eq!(body["metadata"]["labels"], labels);
    let mut spec = body["spec"].clone();
    let ports = [8008, 5432, 8080].map(|port| json!({"containerPort": port, "protocol": "TCP"}));
    let container = spec.pointer_mut("/jobTemplate/spec/template/spec/containers/0").unwrap();
    let all = variables(container);
    container.as_object_mut().unwrap().remove("env");
    assert_eq!(
        spec,
        json!({
            "schedule": "30 00 * * *",
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": labels},
                "spec": {
                    "ttlSecondsAfterFinished": 86400,
                    "template": {
                        "metadata": {"namespace": "default", "labels": labels},
                        "spec": {
                            "restartPolicy": "Never",
                            "serviceAccountName": "postgres-pod",
                            "terminationGracePeriodSeconds": 300,
                            "securityContext": {},
                            "tolerations": [],
                            "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                                "weight": 1,
                                "podAffinityTerm": {
                                    "topologyKey": "kubernetes.io/hostname",
                                    "labelSelector": {"matchLabels": labels},
                                },
                            }]}},
                            "containers": [{
                                "name": "logical-backup",
                                "image": "ghcr.io/zalando/postgres-operator/logical-backup:v2.0.1",
                                "imagePullPolicy": "IfNotPresent",
                                "ports": ports,
                                "resources": {
                                    "requests": {"cpu": "100m", "memory": "100Mi"},
                                    "limits": {"cpu": "1", "memory": "500Mi"},
                                },
                                "securityContext": {
                                    "privileged": false, "allowPrivilegeEscalation": true, "readOnlyRootFilesystem": false,
                                },
                            }],
                        },
                    },
                },
            },
        })
    );
    let suffix = format!("LOGICAL_BACKUP_S3_BUCKET_SCOPE_SUFFIX=/{UID}");
    assert_eq!(
        all,
        [
            "SCOPE=acid-test-cluster",
            "CLUSTER_NAME_LABEL=cluster-name",
            "POD_NAMESPACE<-metadata.namespace",
            "PG_VERSION=18",
            "PGPORT=5432",
            "PGUSER=postgres",
            "PGDATABASE=postgres",
            "PGSSLMODE=require",
            "PGPASSWORD<-postgres.acid-test-cluster.credentials.postgresql.acid.zalan.do/password",
            "LOGICAL_BACKUP_PROVIDER=s3",
            "LOGICAL_BACKUP_S3_BUCKET=my-bucket-url",
            "LOGICAL_BACKUP_S3_BUCKET_PREFIX=spilo",
            &suffix,
            "LOGICAL_BACKUP_S3_REGION=",
            "LOGICAL_BACKUP_S3_ENDPOINT=",
            "LOGICAL_BACKUP_S3_SSE=AES256",
            "LOGICAL_BACKUP_S3_RETENTION_TIME=3 months",
        ]
    );
}

/// 03 §16, with certificates the pooler gets them too.
#[test]
fn vectors_03_16_certificates_of_the_pooler() {
    let tls = json!({"secretName": "pg-tls", "caFile": "ca.crt", "caSecretName": "pg-tls-ca"});
    let more = json!({"enableConnectionPooler": true, "tls": tls, "spiloFSGroup": 103});
    let intent = intent(&complete(more), &Settings::default());
    let pod = &kind(&intent, "Deployment", "acid-test-cluster-pooler")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["fsGroup"], 103);
    assert_eq!(
        variables(&pod["containers"][0])[12..],
        [
            "CONNECTION_POOLER_CLIENT_TLS_CRT=/tls/tls.crt",
            "CONNECTION_POOLER_CLIENT_TLS_KEY=/tls/tls.key",
            "CONNECTION_POOLER_CLIENT_CA_FILE=/tlsca/ca.crt",
        ]
    );
    let mounts: Vec<_> = volumes::mounts(&pod["containers"][0]);
    assert_eq!(mounts[1..], ["pg-tls:/tls", "pg-tls-ca:/tlsca"]);
    assert_eq!(pod["volumes"][1]["secret"], json!({"secretName": "pg-tls", "defaultMode": 416}));
}
