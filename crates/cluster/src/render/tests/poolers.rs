//! Poolers, backups, streams, Endpoints.

use super::*;

fn pooler_names(intent: &Intent) -> Vec<&str> {
    intent.poolers.iter().map(|pooler| pooler.deployment.name.as_str()).collect()
}

fn of(spec: Value) -> Intent {
    intent(&manifest("acid-test", spec), &Settings::default())
}

fn pooler_variables(intent: &Intent) -> Vec<String> {
    variables(&intent.poolers[0].deployment.body["spec"]["template"]["spec"]["containers"][0])
}

#[test]
fn vectors_03_17_12_when_there_is_a_pooler() {
    let (primary, replica) = ("acid-test-pooler", "acid-test-pooler-repl");
    for (spec, expected) in [
        (json!({"connectionPooler": {}}), vec![primary]),
        (json!({"enableConnectionPooler": true}), vec![primary]),
        (json!({"enableConnectionPooler": false, "connectionPooler": {}}), vec![]),
        (json!({"enableConnectionPooler": true, "connectionPooler": {}}), vec![primary]),
        (json!({"enableConnectionPooler": false, "enableReplicaConnectionPooler": false}), vec![]),
        (json!({"enableReplicaConnectionPooler": true}), vec![replica]),
        (json!({"enableReplicaConnectionPooler": false, "connectionPooler": {}}), vec![primary]),
        (json!({"enableReplicaConnectionPooler": true, "connectionPooler": {}}), vec![primary, replica]),
        (json!({}), vec![]),
    ] {
        let intent = of(spec.clone());
        assert_eq!(pooler_names(&intent), expected, "{spec}");
        // What is off is unwanted, and what is on is not.
        for name in [primary, replica] {
            let unwanted = intent.unwanted.iter().filter(|one| one.name == name).count();
            assert_eq!(unwanted, if expected.contains(&name) { 0 } else { 2 }, "{spec} {name}");
        }
        assert_eq!(intent.lookup.is_some(), !expected.is_empty(), "{spec}");
        assert_eq!(intent.roles.iter().any(|role| role.name == "pooler"), !expected.is_empty(), "{spec}");
    }
}

#[test]
fn vectors_03_17_12_sizes() {
    for (instances, sizes) in [(2, [30, 15, 7, 7]), (1, [60, 30, 15, 15]), (3, [20, 10, 5, 5])] {
        let intent =
            of(json!({"connectionPooler": {"numberOfInstances": instances, "maxDBConnections": 60}}));
        let found = pooler_variables(&intent);
        for (name, size) in ["MAX_DB_CONN", "DEFAULT_SIZE", "MIN_SIZE", "RESERVE_SIZE"].iter().zip(sizes) {
            assert!(found.contains(&format!("CONNECTION_POOLER_{name}={size}")), "{instances}: {found:?}");
        }
    }
}

/// "No update": an empty section changes nothing that the flag had not asked for.
#[test]
fn vectors_03_17_12_no_section_and_an_empty_one() {
    let without = of(json!({"enableConnectionPooler": true, "enableReplicaConnectionPooler": true}));
    let with = of(json!({"enableConnectionPooler": true, "enableReplicaConnectionPooler": true,
        "connectionPooler": {}}));
    assert_eq!(without.poolers.len(), 2);
    assert_eq!(without.poolers, with.poolers);
}

#[test]
fn vectors_03_17_12_a_changed_image_or_number_changes_the_deployment() {
    let spec = json!({"enableConnectionPooler": true});
    let before = of(spec.clone()).poolers[0].deployment.body.clone();
    for (settings, path, value) in [
        (
            Settings { connection_pooler_image: "pooler:2".to_owned(), ..Settings::default() },
            "/spec/template/spec/containers/0/image",
            json!("pooler:2"),
        ),
        (
            Settings { connection_pooler_number_of_instances: 5, ..Settings::default() },
            "/spec/replicas",
            json!(5),
        ),
    ] {
        let after =
            intent(&manifest("acid-test", spec.clone()), &settings).poolers[0].deployment.body.clone();
        assert_eq!(after.pointer(path), Some(&value));
        assert_ne!(before.pointer(path), Some(&value));
    }
}

#[test]
fn vectors_03_17_12_variables() {
    let found = pooler_variables(&of(json!({"connectionPooler": {}})));
    let names: Vec<_> = found.iter().map(|one| one.split(['=', '<']).next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "PGHOST",
            "PGPORT",
            "PGUSER",
            "PGSCHEMA",
            "PGPASSWORD",
            "CONNECTION_POOLER_PORT",
            "CONNECTION_POOLER_MODE",
            "CONNECTION_POOLER_DEFAULT_SIZE",
            "CONNECTION_POOLER_MIN_SIZE",
            "CONNECTION_POOLER_RESERVE_SIZE",
            "CONNECTION_POOLER_MAX_CLIENT_CONN",
            "CONNECTION_POOLER_MAX_DB_CONN"
        ]
    );
}

#[test]
fn vectors_03_17_7_types_of_pooler_services() {
    let both =
        |of: &str| json!({format!("enableMasterPooler{of}"): true, format!("enableReplicaPooler{of}"): true});
    let mut everything = both("NodePort");
    everything.as_object_mut().unwrap().extend(both("LoadBalancer").as_object().unwrap().clone());
    for (mut spec, primary, replica) in [
        (json!({}), "ClusterIP", "ClusterIP"),
        (both("LoadBalancer"), "LoadBalancer", "LoadBalancer"),
        (json!({"enableMasterPoolerLoadBalancer": true}), "LoadBalancer", "ClusterIP"),
        (json!({"enableReplicaPoolerLoadBalancer": true}), "ClusterIP", "LoadBalancer"),
        (both("NodePort"), "NodePort", "NodePort"),
        (json!({"enableMasterPoolerNodePort": true}), "NodePort", "ClusterIP"),
        (json!({"enableReplicaPoolerNodePort": true}), "ClusterIP", "NodePort"),
        (everything, "NodePort", "NodePort"),
    ] {
        spec["enableConnectionPooler"] = json!(true);
        spec["enableReplicaConnectionPooler"] = json!(true);
        let intent = of(spec.clone());
        let types: Vec<_> =
            intent.poolers.iter().map(|pooler| pooler.service.body["spec"]["type"].clone()).collect();
        assert_eq!(types, [primary, replica], "{spec}");
    }
}

fn with_roles(names: &[&str]) -> Intent {
    let roles = names.iter().map(|name| crate::references::InfrastructureRole {
        name: name.to_string(),
        password: Some(Default::default()),
        ..Default::default()
    });
    let references =
        References { infrastructure_roles: Some(Reference::Known(roles.collect())), ..References::default() };
    let manifest = manifest("acid-test", json!({"connectionPooler": {}}));
    with_references(&manifest, &Settings::default(), &references)
}

#[test]
fn d14_d31_infrastructure_roles_stand_by_name() {
    let intent = with_roles(&["b", "a", "standby"]);
    assert!(pooler_variables(&intent).contains(&"INFRASTRUCTURE_ROLES=a,b".to_owned()));
    let users: Vec<_> = intent.poolers[0].users.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(users, ["pooler", "a", "b"]);
    assert_eq!(intent, with_roles(&["a", "standby", "b"]).clone_notices_of(&intent));
}

impl Intent {
    /// The order of notices follows the order of the source.
    fn clone_notices_of(mut self, other: &Self) -> Self {
        self.notices.clone_from(&other.notices);
        self
    }
}

#[test]
fn d30_a_user_who_cannot_log_in_keeps_a_secret() {
    let intent = of(json!({"users": {"nobody": ["nologin"]}}));
    assert!(intent.secrets.iter().any(|secret| secret.role == "nobody"));
}

#[test]
fn d36_the_user_list_is_mounted_by_file_as_the_original_does() {
    let intent = of(json!({"connectionPooler": {}}));
    let mount =
        &intent.poolers[0].deployment.body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0];
    assert_eq!(mount["subPath"], "userlist.txt");
}

#[test]
fn d37_pods_have_the_credentials_of_the_resolved_user() {
    for name in ["postgres", "standby", "admin"] {
        let intent = of(json!({"connectionPooler": {"user": name}}));
        let secret = "pooler.acid-test.credentials.postgresql.acid.zalan.do";
        assert!(pooler_variables(&intent).contains(&format!("PGPASSWORD<-{secret}/password")), "{name}");
        assert_eq!(intent.lookup.unwrap().user, "pooler");
    }
}

#[test]
fn d38_every_part_of_the_pooler_is_rendered() {
    let base = of(json!({"connectionPooler": {}})).poolers;
    for spec in [
        json!({"connectionPooler": {"mode": "session"}}),
        json!({"connectionPooler": {"maxDBConnections": 4}}),
        json!({"connectionPooler": {}, "tls": {"secretName": "pg-tls"}}),
        json!({"connectionPooler": {}, "tolerations": [{"key": "a", "operator": "Exists"}]}),
        json!({"connectionPooler": {}, "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
        json!({"connectionPooler": {}, "spiloFSGroup": 103}),
    ] {
        assert_ne!(of(spec.clone()).poolers, base, "{spec}");
    }
}

fn backup(spec: Value, settings: Settings, references: &References) -> Value {
    let mut manifest = manifest("acid-test", json!({"enableLogicalBackup": true, "teamId": "test"}));
    manifest["metadata"]["uid"] = json!("U");
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    with_references(&manifest, &settings, references).logical_backup.unwrap().body["spec"].clone()
}

fn backup_container(spec: Value, settings: Settings) -> Value {
    let job = backup(spec, settings, &References::default());
    job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0].clone()
}

#[test]
fn vectors_03_17_11_resources() {
    let defaults = || Settings {
        default_cpu_request: "100m".into(),
        default_memory_request: "100Mi".into(),
        default_cpu_limit: "1".into(),
        default_memory_limit: "500Mi".into(),
        ..Settings::default()
    };
    let own = |cpu: [&str; 2], memory: [&str; 2]| Settings {
        logical_backup_cpu_request: cpu[0].into(),
        logical_backup_cpu_limit: cpu[1].into(),
        logical_backup_memory_request: memory[0].into(),
        logical_backup_memory_limit: memory[1].into(),
        ..defaults()
    };
    let to_limit = Settings { set_memory_request_to_limit: true, ..own(["", ""], ["80Mi", "200Mi"]) };
    for (settings, requests, limits) in [
        (defaults(), ["100m", "100Mi"], ["1", "500Mi"]),
        (own(["10m", "300m"], ["50Mi", "300Mi"]), ["10m", "50Mi"], ["300m", "300Mi"]),
        (own(["50m", "250m"], ["", ""]), ["50m", "100Mi"], ["250m", "500Mi"]),
        (to_limit, ["100m", "200Mi"], ["1", "200Mi"]),
    ] {
        let found = backup_container(json!({}), settings)["resources"].clone();
        let pair = |of: [&str; 2]| json!({"cpu": of[0], "memory": of[1]});
        assert_eq!(found, json!({"requests": pair(requests), "limits": pair(limits)}));
    }
}

#[test]
fn vectors_03_17_11_variables() {
    let provider = |name: &str| Settings {
        logical_backup_provider: name.into(),
        logical_backup_google_application_credentials: "key.json".into(),
        logical_backup_azure_storage_account_key: "key".into(),
        logical_backup_s3_retention_time: "1 month".into(),
        ..Settings::default()
    };
    let names = |name: &str| -> Vec<String> {
        let found = variables(&backup_container(json!({}), provider(name)));
        found.iter().map(|one| one.split(['=', '<']).next().unwrap().to_owned()).collect()
    };
    let s3 = names("s3");
    assert_eq!(
        s3[9..13].join(" "),
        "LOGICAL_BACKUP_PROVIDER LOGICAL_BACKUP_S3_BUCKET LOGICAL_BACKUP_S3_BUCKET_PREFIX LOGICAL_BACKUP_S3_BUCKET_SCOPE_SUFFIX"
    );
    assert_eq!(
        s3[13..17].join(" "),
        "LOGICAL_BACKUP_S3_REGION LOGICAL_BACKUP_S3_ENDPOINT LOGICAL_BACKUP_S3_SSE LOGICAL_BACKUP_S3_RETENTION_TIME"
    );
    assert_eq!(names("gcs")[13], "LOGICAL_BACKUP_GOOGLE_APPLICATION_CREDENTIALS");
    assert_eq!(names("az")[15], "LOGICAL_BACKUP_AZURE_STORAGE_ACCOUNT_KEY");
    let found = variables(&backup_container(json!({"logicalBackupRetention": "3 months"}), provider("s3")));
    assert_eq!(
        (found[12].as_str(), found[16].as_str()),
        ("LOGICAL_BACKUP_S3_BUCKET_SCOPE_SUFFIX=/U", "LOGICAL_BACKUP_S3_RETENTION_TIME=3 months")
    );
}

#[test]
fn vectors_03_17_11_schedule_and_limits() {
    let job =
        backup(json!({"logicalBackupSchedule": "1 2 3 4 5"}), Settings::default(), &References::default());
    assert_eq!(job["schedule"], "1 2 3 4 5");
    assert_eq!(
        (job["successfulJobsHistoryLimit"].clone(), job["failedJobsHistoryLimit"].clone()),
        (json!(3), json!(3))
    );
    assert_eq!(job["jobTemplate"]["spec"]["ttlSecondsAfterFinished"], 86400);
    assert_eq!(
        job["jobTemplate"]["metadata"]["labels"],
        json!({"application": "spilo-logical-backup", "cluster-name": "acid-test", "team": "test"})
    );
}

#[test]
fn d3_a_cut_name_that_is_taken_gets_a_hash() {
    let name = "a-cluster-with-a-name-that-is-much-too-long-for-it";
    let manifest = manifest(name, json!({"enableLogicalBackup": true}));
    let cluster = cluster(&manifest, &Settings::default());
    let job = |taken| {
        let facts = Facts { backup_job_is_taken: taken, ..Facts::default() };
        render_with(&cluster, &Settings::default(), &References::default(), &facts)
            .logical_backup
            .unwrap()
            .name
    };
    assert_eq!(job(false), "logical-backup-a-cluster-with-a-name-that-is-much-to");
    assert_ne!(job(true), job(false));
    assert!(job(true).len() <= 52);
}

#[test]
fn d6_d34_backups_look_for_database_pods() {
    let job = backup(json!({}), Settings::default(), &References::default());
    let pod = &job["jobTemplate"]["spec"]["template"]["spec"];
    let term = &pod["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(term["podAffinityTerm"]["labelSelector"]["matchLabels"]["application"], "spilo");
    let found = variables(&pod["containers"][0]);
    let selector = "LOGICAL_BACKUP_POD_SELECTOR=application=spilo,cluster-name=acid-test,spilo-role";
    assert!(found.contains(&selector.to_owned()), "{found:?}");
}

#[test]
fn d35_variables_of_the_secret_stand_by_name_and_once() {
    let settings =
        Settings { logical_backup_cronjob_environment_secret: "more".into(), ..Settings::default() };
    let keys = ["B", "A", "PGUSER"].map(str::to_owned).to_vec();
    let references = References { backup_secret: Some(Reference::Known(keys)), ..References::default() };
    let job = backup(json!({}), settings.clone(), &references);
    let found = variables(&job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]);
    let of_secret: Vec<_> = found.iter().filter(|one| one.contains("<-more/")).collect();
    assert_eq!(of_secret, ["A<-more/A", "B<-more/B"]);
    // Missing, the CronJob that exists stays: it is neither rendered nor unwanted.
    let manifest = manifest("acid-test", json!({"enableLogicalBackup": true}));
    let references = References { backup_secret: Some(Reference::Missing), ..References::default() };
    let intent = with_references(&manifest, &settings, &references);
    assert!(intent.logical_backup.is_none() && !intent.unwanted.iter().any(|one| one.kind == "CronJob"));
    assert!(intent.notices.iter().any(|one| one.field == "logical_backup_cronjob_environment_secret"));
}

#[test]
fn d29_endpoints_have_no_addresses() {
    let endpoints = Settings { kubernetes_use_configmaps: false, ..Settings::default() };
    let found = intent(&manifest("acid-test", json!({})), &endpoints).endpoints;
    assert_eq!(found.len(), 1);
    assert!(found[0].body.get("subsets").is_none());
    assert!(of(json!({})).endpoints.is_empty());
}

#[test]
fn vectors_03_17_13_streams() {
    let spec = json!({"streams": [{
        "applicationId": "test-app", "database": "foo", "batchSize": 100, "cpu": "250m",
        "enableRecovery": true, "filter": {"data.bar": "F"},
        "tables": {
            "data.bar": {"eventType": "stream-type-a", "idColumn": "b_id", "payloadColumn": "b_payload"},
            "data.foobar": {"eventType": "stream-type-b", "recoveryEventType": "stream-type-b-dlq"},
            "data.foofoobar": {"eventType": "stream-type-c", "ignoreRecovery": true},
        },
    }]});
    let intent = intent(&manifest("acid-stream-cluster", spec), &Settings::default());
    let stream = &intent.streams[0].body;
    assert_eq!(stream["metadata"]["annotations"], json!({"fes.zalando.org/FES_CPU": "250m"}));
    let elements = stream["spec"]["eventStreams"].as_array().unwrap();
    let recoveries: Vec<_> = elements
        .iter()
        .map(|e| (e["recovery"]["type"].clone(), e["recovery"]["sink"]["eventType"].clone()))
        .collect();
    assert_eq!(
        recoveries,
        [
            (json!("DeadLetter"), json!("stream-type-a-dead-letter-queue")),
            (json!("DeadLetter"), json!("stream-type-b-dlq")),
            (json!("Ignore"), Value::Null),
        ]
    );
    let first = &elements[0];
    assert_eq!(first["source"]["filter"], "F");
    assert_eq!(elements[1]["source"]["filter"], Value::Null);
    assert_eq!(first["source"]["table"], json!({"name": "bar", "idColumn": "b_id"}));
    assert_eq!(first["flow"]["payloadColumn"], "b_payload");
    assert_eq!(first["sink"], json!({"type": "Nakadi", "eventType": "stream-type-a", "maxBatchSize": 100}));
    let connection = &first["source"]["jdbcConnection"];
    assert_eq!(connection["slotName"], "fes_foo_test_app");
    assert_eq!(
        connection["jdbcUrl"],
        "jdbc:postgresql://acid-stream-cluster.default/foo?user=fes_user&ssl=true&sslmode=require"
    );
    assert_eq!(
        connection["databaseAuthentication"]["name"],
        "fes-user.acid-stream-cluster.credentials.postgresql.acid.zalan.do"
    );
    let role = intent.roles.iter().find(|role| role.name == "fes_user").unwrap();
    assert!(role.flags.login && role.flags.replication);
}
