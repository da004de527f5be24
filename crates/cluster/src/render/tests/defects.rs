//! Defects of the original (03 §19), one test per row: what its level renders, and what ours does.
//! Further rows have their tests where they are repaired; `docs/reference/defects.md` lists all.

use super::configuration::configuration_at;
use super::volumes::mounts;
use super::*;

fn of(spec: Value, settings: &Settings) -> Intent {
    intent(&manifest("acid-test-cluster", spec), settings)
}

fn volume_names(intent: &Intent, level: Level) -> Vec<&str> {
    let volumes = pod_at(intent, level)["volumes"].as_array().unwrap();
    volumes.iter().map(|volume| volume["name"].as_str().unwrap()).collect()
}

#[test]
fn d1_names_that_get_no_pods_are_refused() {
    let long = "a".repeat(53);
    let problems = Cluster::validate(&manifest(&long, json!({})), &Settings::default()).unwrap_err();
    assert_eq!(problems[0].field, "metadata.name");
    assert!(Cluster::validate(&manifest(&long[1..], json!({})), &Settings::default()).is_ok());
}

#[test]
fn d2_names_of_secrets_become_names_of_volumes() {
    let settings = Settings {
        additional_secret_mount: "of.the.settings".into(),
        additional_secret_mount_path: "/secret".into(),
        ..Settings::default()
    };
    let intent = of(json!({"tls": {"secretName": "tls.example.com"}}), &settings);
    assert_eq!(volume_names(&intent, Level::ORIGINAL), ["dshm", "of.the.settings", "tls.example.com"]);
    let names = volume_names(&intent, Level::REPAIRED);
    assert_eq!(names, ["dshm", "of-the-settings-199e67d0", "tls-example-com-5d5e5869"]);
    for mount in [&names[1], &names[2]] {
        let all = mounts(container_at(&intent, Level::REPAIRED, "postgres"));
        assert!(all.iter().any(|one| one.starts_with(&format!("{mount}:"))), "{mount} in {all:?}");
    }
    let volume = &pod_at(&intent, Level::REPAIRED)["volumes"][2];
    assert_eq!(volume["secret"]["secretName"], "tls.example.com");
    // A Secret whose name fits keeps it: the name is part of the template.
    let fits = of(json!({"tls": {"secretName": "pg-tls"}}), &Settings::default());
    assert_eq!(volume_names(&fits, Level::REPAIRED), ["dshm", "pg-tls"]);
    let long = of(json!({"tls": {"secretName": "x".repeat(100)}}), &Settings::default());
    assert_eq!(volume_names(&long, Level::REPAIRED)[1].len(), 63);
}

#[test]
fn d4_inherited_labels_never_replace_the_operators() {
    let settings = Settings {
        inherited_labels: ["application", "team", "environment", "spilo-role"].map(str::to_owned).to_vec(),
        ..Settings::default()
    };
    let mut manifest = manifest("acid-test-cluster", json!({}));
    manifest["metadata"]["labels"] =
        json!({"application": "x", "team": "x", "environment": "prod", "spilo-role": "x"});
    let intent = intent(&manifest, &settings);
    let ours = json!({"application": "spilo", "cluster-name": "acid-test-cluster", "team": "acid", "environment": "prod"});
    let mut theirs = ours.clone();
    theirs["team"] = json!("x");
    theirs["spilo-role"] = json!("x");
    for (level, expected) in [(Level::ORIGINAL, theirs), (Level::REPAIRED, ours.clone())] {
        let body = &intent.stateful_set_at(level).body;
        assert_eq!(body["metadata"]["labels"], expected);
        assert_eq!(body["spec"]["template"]["metadata"]["labels"], expected);
    }
    assert_eq!(intent.disruption_budgets[0].body["metadata"]["labels"], ours);
    assert_eq!(
        told(&intent),
        ["metadata.labels.application", "metadata.labels.team", "metadata.labels.spilo-role"]
    );
}

#[test]
fn d5_cluster_labels_need_an_application() {
    let labels = BTreeMap::from([("cluster_labels".to_owned(), "a:b".to_owned())]);
    let (_, problems) = Settings::from_config_map(&labels);
    assert_eq!(problems[0].field, "cluster_labels");
}

#[test]
fn d7_one_broken_expression_drops_no_other_annotation() {
    let settings = Settings {
        inherited_annotations: vec!["owned-by".into()],
        downscaler_annotations: vec!["downscaler/.*".into(), "(".into()],
        ..Settings::default()
    };
    let mut manifest = manifest("acid-test-cluster", json!({}));
    manifest["metadata"]["annotations"] = json!({"owned-by": "me", "downscaler/a": "1", "other": "x"});
    let intent = intent(&manifest, &settings);
    let of = |level| intent.stateful_set_at(level).body["metadata"]["annotations"].clone();
    assert_eq!(of(Level::ORIGINAL), json!(null));
    assert_eq!(
        of(Level::REPAIRED),
        json!({"owned-by": "me", "downscaler/a": "1", "acid.zalan.do/render-level": "1"})
    );
}

#[test]
fn d8_owners_of_the_manifest_do_not_become_controllers() {
    let mut manifest = manifest("acid-test-cluster", json!({}));
    let theirs = json!({
        "apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "v", "controller": true, "blockOwnerDeletion": true,
    });
    let ours = json!({"apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "v"});
    manifest["metadata"]["uid"] = json!("u");
    manifest["metadata"]["ownerReferences"] = json!([theirs]);
    let owners = |settings: &Settings, level| {
        intent(&manifest, settings).stateful_set_at(level).body["metadata"]["ownerReferences"].clone()
    };
    assert_eq!(owners(&Settings::default(), Level::ORIGINAL), json!([theirs]));
    assert_eq!(owners(&Settings::default(), Level::REPAIRED), json!([ours]));
    let own = json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql", "name": "acid-test-cluster", "uid": "u", "controller": true,
    });
    let settings = Settings { enable_owner_references: true, ..Settings::default() };
    // Two controllers are refused by the API server, so no original object has them.
    for level in Level::all() {
        assert_eq!(owners(&settings, level), json!([ours, own]));
    }
}

#[test]
fn d9_keys_of_volume_sources_in_any_case() {
    let source = json!({
        "PersistentVolumeClaim": {"ClaimName": "c", "ReadOnly": true, "readyOnly": false},
    });
    let csi = json!({"CSI": {"Driver": "d", "VolumeAttributes": {"Server": "kept", "Path": "kept"}}});
    let spec = json!({"additionalVolumes": [
        {"name": "claim", "mountPath": "/claim", "volumeSource": source},
        {"name": "csi", "mountPath": "/csi", "volumeSource": csi},
    ]});
    let intent = of(spec, &Settings::default());
    for level in Level::all() {
        let volumes = pod_at(&intent, level)["volumes"].as_array().unwrap();
        assert_eq!(
            volumes[1..],
            [
                json!({"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": true}}),
                json!({"name": "csi", "csi": {"driver": "d", "volumeAttributes": {"Server": "kept", "Path": "kept"}}}),
            ]
        );
    }
    assert_eq!(told(&intent), ["spec.additionalVolumes[0].volumeSource.persistentVolumeClaim.readyOnly"]);
}

#[test]
fn d10_switched_off_containers_are_refused_always() {
    let settings = Settings { enable_sidecars: false, enable_init_containers: false, ..Settings::default() };
    let container = json!([{"name": "a", "image": "b"}]);
    let spec = json!({"sidecars": container, "initContainers": container});
    let problems = Cluster::validate(&manifest("acid-test-cluster", spec), &settings).unwrap_err();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["spec.initContainers", "spec.sidecars"]);
}

/// Kept: zero is a bound, and somebody may stop all clusters with it.
#[test]
fn d11_at_most_no_instance_means_none() {
    let settings = Settings { max_instances: 0, ..Settings::default() };
    assert_eq!(of(json!({}), &settings).stateful_set.body["spec"]["replicas"], 0);
}

fn node_terms(level: Level, merge: &str, term: Value) -> Value {
    let settings = Settings {
        node_readiness_label: map(&[("z", "1"), ("a", "2")]),
        node_readiness_label_merge: merge.into(),
        ..Settings::default()
    };
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let spec = json!({"nodeAffinity": {required: {"nodeSelectorTerms": [term]}}});
    let intent = of(spec, &settings);
    pod_at(&intent, level)["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"].clone()
}

#[test]
fn d12_and_keeps_match_fields() {
    let fields = json!([{"key": "metadata.name", "operator": "In", "values": ["n"]}]);
    let term = json!({ "matchFields": fields });
    let original = node_terms(Level::ORIGINAL, "AND", term.clone());
    assert_eq!(original[0]["matchFields"], json!(null));
    let repaired = node_terms(Level::REPAIRED, "AND", term);
    assert_eq!(repaired[0]["matchFields"], fields);
    assert_eq!(original[0]["matchExpressions"], repaired[0]["matchExpressions"]);
}

#[test]
fn d13_an_empty_merge_word_means_or() {
    let term = json!({"matchExpressions": []});
    assert_eq!(node_terms(Level::ORIGINAL, "", term.clone()).as_array().unwrap().len(), 1);
    assert_eq!(node_terms(Level::REPAIRED, "", term.clone()).as_array().unwrap().len(), 2);
    // The original reads the words exactly.
    assert_eq!(node_terms(Level::ORIGINAL, "or", term.clone()).as_array().unwrap().len(), 1);
    assert_eq!(node_terms(Level::REPAIRED, "and", term).as_array().unwrap().len(), 1);
}

#[test]
fn d14_readiness_labels_are_sorted() {
    for level in Level::all() {
        let terms = node_terms(level, "OR", json!({"matchExpressions": []}));
        let keys: Vec<_> =
            terms[1]["matchExpressions"].as_array().unwrap().iter().map(|e| &e["key"]).collect();
        assert_eq!(keys, ["a", "z"]);
    }
}

#[test]
fn d15_topology_spread_gets_a_selector() {
    let bare = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"});
    let intent = of(json!({"topologySpreadConstraints": [bare]}), &Settings::default());
    let of = |level| pod_at(&intent, level)["topologySpreadConstraints"][0].clone();
    assert_eq!(of(Level::ORIGINAL), bare);
    assert_eq!(
        of(Level::REPAIRED)["labelSelector"],
        json!({"matchLabels": {"application": "spilo", "cluster-name": "acid-test-cluster"}})
    );
}

#[test]
fn d16_maxima_that_are_no_quantity_are_refused() {
    for option in ["max_cpu_request", "max_memory_request"] {
        let data = BTreeMap::from([(option.to_owned(), "lots".to_owned())]);
        let (_, problems) = Settings::from_config_map(&data);
        assert_eq!(problems[0].field, option);
    }
}

#[test]
fn d18_enable_shm_volume_false_is_honoured() {
    for (own, setting, original, repaired) in [
        (json!(false), true, true, false),
        (json!(true), false, true, true),
        (json!(null), true, true, true),
        (json!(null), false, false, false),
    ] {
        let settings = Settings { enable_shm_volume: setting, ..Settings::default() };
        let intent = of(json!({ "enableShmVolume": own }), &settings);
        for (level, expected) in [(Level::ORIGINAL, original), (Level::REPAIRED, repaired)] {
            let volumes = pod_at(&intent, level)["volumes"].to_string();
            assert_eq!(volumes.contains("dshm"), expected, "{own} {setting} {level:?}");
            let all = mounts(container_at(&intent, level, "postgres"));
            assert_eq!(all.contains(&"dshm:/dev/shm".to_owned()), expected);
        }
    }
}

#[test]
fn d19_only_accepted_volumes_are_mounted_each_once() {
    let volume = |name: &str, path: &str, targets: Value| json!({"name": name, "mountPath": path, "targetContainers": targets, "volumeSource": {"emptyDir": {}}});
    let spec = json!({
        "sidecars": [{"name": "side", "image": "i"}],
        "additionalVolumes": [
            volume("first", "/a", json!([])),
            // The path is used by the first one.
            volume("second", "/a", json!(["postgres"])),
            // It is not used in this container.
            volume("third", "/a", json!(["side"])),
            volume("mixed", "/m", json!(["all", "side"])),
            // One volume at two places.
            volume("first", "/b", json!(null)),
            volume("shm", "/dev/shm", json!(null)),
        ],
    });
    let intent = of(spec, &Settings::default());
    assert_eq!(volume_names(&intent, Level::ORIGINAL), ["dshm", "first", "mixed", "first", "shm"]);
    assert_eq!(volume_names(&intent, Level::REPAIRED), ["dshm", "first", "third", "mixed"]);
    assert_eq!(
        mounts(container_at(&intent, Level::ORIGINAL, "postgres"))[2..],
        ["first:/a", "second:/a", "mixed:/m", "first:/b", "shm:/dev/shm"]
    );
    assert_eq!(
        mounts(container_at(&intent, Level::REPAIRED, "postgres"))[2..],
        ["first:/a", "mixed:/m", "first:/b"]
    );
    assert_eq!(
        mounts(container_at(&intent, Level::ORIGINAL, "side"))[1..],
        ["third:/a", "mixed:/m", "mixed:/m"]
    );
    assert_eq!(mounts(container_at(&intent, Level::REPAIRED, "side"))[1..], ["third:/a", "mixed:/m"]);
    assert_eq!(
        told(&intent),
        [
            "spec.additionalVolumes[1].mountPath",
            "spec.additionalVolumes[3].targetContainers",
            "spec.additionalVolumes[5].mountPath",
        ]
    );
}

#[test]
fn d20_sidecars_of_the_settings_are_a_list() {
    let object = json!({"configuration": {"sidecars": [{"name": "global", "image": "g"}]}});
    let (settings, problems) = Settings::from_operator_configuration(&object);
    assert_eq!(problems, vec![]);
    let intent = of(json!({}), &settings);
    assert_eq!(container_at(&intent, Level::ORIGINAL, "global")["image"], "g");
}

#[test]
fn d21_a_missing_secret_holds_back_only_its_cluster() {
    let settings = Settings { pod_environment_secret: "s".into(), ..Settings::default() };
    let missing = References { environment_secret: Some(Reference::Missing), ..References::default() };
    let intent = with_references(&manifest("acid-test-cluster", json!({})), &settings, &missing);
    assert_eq!(intent.unresolved[0].field, "pod_environment_secret");
    assert_eq!(intent.services.len(), 2, "the rest is rendered");
}

fn environment(spec: Value, settings: &Settings, level: Level) -> Vec<String> {
    variables(container_at(&of(spec, settings), level, "postgres")).split_off(18)
}

#[test]
fn d22_sections_do_not_override_the_manifests_variables() {
    let spec = json!({
        "env": [{"name": "CLONE_PORT", "value": "1"}, {"name": "STANDBY_HOST", "value": "own"}],
        "clone": {"cluster": "acid-other"},
        "standby": {"standby_host": "of-the-section"},
    });
    let named = |level| -> Vec<String> {
        let all = environment(spec.clone(), &Settings::default(), level);
        all.into_iter().filter(|v| v.starts_with("CLONE_PORT") || v.starts_with("STANDBY_HOST")).collect()
    };
    let own = ["CLONE_PORT=1", "STANDBY_HOST=own"];
    assert_eq!(named(Level::ORIGINAL), [own[0], own[1], "CLONE_PORT=5432", "STANDBY_HOST=of-the-section"]);
    assert_eq!(named(Level::REPAIRED), own);
    // Server-side apply takes no name twice; the last one is what pods get.
    let applied = of(spec, &Settings::default()).stateful_set_at(Level::ORIGINAL).applied();
    let all = variables(&applied["spec"]["template"]["spec"]["containers"][0]);
    let ports: Vec<_> = all.iter().filter(|variable| variable.starts_with("CLONE_PORT")).collect();
    assert_eq!(ports, ["CLONE_PORT=5432"]);
}

#[test]
fn d23_variables_in_lower_case_reach_the_image() {
    let settings = Settings { wal_s3_bucket: "of-the-settings".into(), ..Settings::default() };
    let spec =
        json!({"env": [{"name": "wal_s3_bucket", "value": "own"}, {"name": "other_name", "value": "1"}]});
    let of_level = |level| environment(spec.clone(), &settings, level)[..2].to_vec();
    assert_eq!(of_level(Level::ORIGINAL), ["wal_s3_bucket=own", "other_name=1"]);
    assert_eq!(of_level(Level::REPAIRED), ["WAL_S3_BUCKET=own", "other_name=1"]);
    assert_eq!(told(&of(spec, &settings)), ["spec.env"]);
}

#[test]
fn d24_lag_on_failover_keeps_its_digits() {
    let lag = |level| {
        let spec = json!({"patroni": {"maximum_lag_on_failover": 1_073_741_824}});
        let text = configuration_at(level, spec, &Settings::default());
        let value: Value = serde_json::from_str(&text).unwrap();
        value["bootstrap"]["dcs"]["maximum_lag_on_failover"].clone()
    };
    assert_eq!(lag(Level::ORIGINAL), 1_073_741_800);
    assert_eq!(lag(Level::REPAIRED), 1_073_741_824);
}

#[test]
fn d25_options_of_initdb_without_value() {
    let list = |level, options: Value| {
        let text = configuration_at(level, json!({"patroni": {"initdb": options}}), &Settings::default());
        let value: Value = serde_json::from_str(&text).unwrap();
        value["bootstrap"]["initdb"].as_array().unwrap()[2..].to_vec()
    };
    let options = json!({"no-data-checksums": "true", "data-checksums": "false", "encoding": "UTF8"});
    assert_eq!(
        list(Level::ORIGINAL, options.clone()),
        [
            json!({"data-checksums": "false"}),
            json!({"encoding": "UTF8"}),
            json!({"no-data-checksums": "true"})
        ]
    );
    assert_eq!(list(Level::REPAIRED, options), [json!({"encoding": "UTF8"}), json!("no-data-checksums")]);
    // A text that is in the list already hides an option with that value from the original.
    let hidden = json!({"debug": "true", "locale": "debug"});
    assert_eq!(list(Level::ORIGINAL, hidden.clone()), [json!("debug")]);
    assert_eq!(list(Level::REPAIRED, hidden), [json!("debug"), json!({"locale": "debug"})]);
}

#[test]
fn d28_node_ports_are_used_whoever_switched_them_on() {
    let settings =
        Settings { enable_master_node_port: true, enable_replica_node_port: true, ..Settings::default() };
    let intent = of(json!({"masterNodePort": 30001, "replicaNodePort": 30002}), &settings);
    let ports: Vec<_> =
        intent.services.iter().map(|service| &service.body["spec"]["ports"][0]["nodePort"]).collect();
    assert_eq!(ports, [30001, 30002]);
}

/// Kept: applications may read such a Secret for a role that they assume.
#[test]
fn d30_users_who_cannot_log_in_have_secrets() {
    let intent = of(json!({"users": {"group": ["nologin"]}}), &Settings::default());
    assert!(intent.secrets.iter().any(|secret| secret.role == "group"));
}

#[test]
fn d32_an_absent_count_of_synchronous_nodes_is_one() {
    let settings = Settings { pdb_master_label_selector: false, ..Settings::default() };
    let intent = of(json!({"patroni": {"synchronous_mode_strict": true}}), &settings);
    assert_eq!(intent.disruption_budgets[0].body["spec"]["minAvailable"], 2);
}

/// The account is made if it is missing and never changed: a foreign annotation stays.
#[test]
fn d33_the_account_has_only_the_annotation_of_the_setting() {
    let account = |settings: &Settings| of(json!({}), settings).pod_service_account.body["metadata"].clone();
    assert_eq!(account(&Settings::default())["annotations"], json!(null));
    let settings = Settings { irsa_role_arn: "r".into(), ..Settings::default() };
    assert_eq!(account(&settings)["annotations"], json!({"eks.amazonaws.com/role-arn": "r"}));
}

#[test]
fn d40_missing_sections_of_the_settings_give_no_empty_names() {
    let (settings, problems) = Settings::from_operator_configuration(&json!({"configuration": {}}));
    assert_eq!(problems, vec![]);
    let intent = of(json!({"enableMasterLoadBalancer": true}), &settings);
    assert!(intent.objects().all(|object| object.name.len() > 4), "every object has a name");
    assert_eq!(
        intent.services[0].body["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"],
        "acid-test-cluster.default.db.example.com,test-cluster.acid.db.example.com"
    );
}

/// Kept: the fields work as they did. References to Secrets are given as `spec.env`.
#[test]
fn d41_access_keys_may_come_from_secrets() {
    let key = json!({"name": "CLONE_AWS_SECRET_ACCESS_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    let clone = json!({
        "cluster": "a", "timestamp": "t", "s3_wal_path": "s3://p", "s3_secret_access_key": "plain",
    });
    let spec = json!({"env": [key], "clone": clone});
    let all = environment(spec, &Settings::default(), Level::REPAIRED);
    let keys: Vec<_> = all.iter().filter(|v| v.starts_with("CLONE_AWS_SECRET_ACCESS_KEY")).collect();
    assert_eq!(keys, ["CLONE_AWS_SECRET_ACCESS_KEY<-s/k"]);
}

#[test]
fn d42_budgets_follow_the_number_of_pods_within_the_bounds() {
    let of = |wanted: i32, min, max| {
        let settings = Settings { min_instances: min, max_instances: max, ..Settings::default() };
        of(json!({"numberOfInstances": wanted}), &settings).disruption_budgets[0].body["spec"]["minAvailable"]
            .clone()
    };
    assert_eq!(of(0, -1, -1), 0);
    assert_eq!(of(0, 2, -1), 1);
    assert_eq!(of(2, -1, 0), 0);
}

/// Kept: the field cannot be changed, and the service of the primary exists always.
#[test]
fn d43_the_governing_service_is_that_of_the_primary() {
    let intent = of(json!({}), &Settings::default());
    for level in Level::all() {
        assert_eq!(intent.stateful_set_at(level).body["spec"]["serviceName"], "acid-test-cluster");
    }
}

fn infrastructure() -> References {
    let role = |name: &str| InfrastructureRole {
        name: name.to_owned(),
        password: Some(SecretKey { namespace: "default".into(), name: "infra".into(), key: name.into() }),
        ..InfrastructureRole::default()
    };
    let roles = vec![role("zebra"), role("monitor"), role("backup")];
    References { infrastructure_roles: Some(Reference::Known(roles)), ..References::default() }
}

#[test]
fn d3_backup_jobs_whose_cut_names_meet_stay_apart() {
    let (one, other) = (format!("{}-a", "x".repeat(50)), format!("{}-b", "x".repeat(50)));
    let job = |name: &str, taken: bool| {
        let cluster = cluster(&manifest(name, json!({"enableLogicalBackup": true})), &Settings::default());
        let facts = Facts { backup_job_is_taken: taken, ..Facts::default() };
        let intent = render_with(&cluster, &Settings::default(), &References::default(), &facts);
        intent.logical_backup.unwrap().name
    };
    assert_eq!(job(&one, false), job(&other, false), "an existing job keeps its name");
    assert_ne!(job(&one, true), job(&other, true));
    assert!(job(&one, true).len() <= 52);
    assert_eq!(job("acid-short", true), "logical-backup-acid-short", "a name that fits is nobody else's");
}

/// A container of the CronJob, with the environment of a Secret.
fn backup(settings: &Settings) -> Value {
    let keys = ["ZONE", "PGPORT", "A_KEY"].map(str::to_owned).to_vec();
    let references = References { backup_secret: Some(Reference::Known(keys)), ..References::default() };
    let manifest = manifest("acid-test-cluster", json!({"enableLogicalBackup": true}));
    let intent = with_references(&manifest, settings, &references);
    intent.logical_backup.unwrap().body["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone()
}

#[test]
fn d6_the_backup_image_gets_the_selector_of_database_pods() {
    let settings = Settings { pod_role_label: "role".into(), ..Settings::default() };
    let all = variables(&backup(&settings)["containers"][0]);
    assert_eq!(
        all.last().unwrap(),
        "LOGICAL_BACKUP_POD_SELECTOR=application=spilo,cluster-name=acid-test-cluster,role"
    );
}

#[test]
fn d31_the_list_of_users_is_sorted() {
    let manifest = manifest("acid-test-cluster", json!({"enableConnectionPooler": true}));
    let intent = with_references(&manifest, &Settings::default(), &infrastructure());
    let users: Vec<_> = intent.poolers[0].users.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(users, ["pooler", "backup", "monitor", "zebra"]);
    let all = variables(&intent.poolers[0].deployment.body["spec"]["template"]["spec"]["containers"][0]);
    assert!(all.contains(&"INFRASTRUCTURE_ROLES=backup,monitor,zebra".to_owned()), "{all:?}");
}

#[test]
fn d34_backups_run_beside_the_database() {
    let affinity = &backup(&Settings::default())["affinity"]["podAffinity"];
    let term = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(
        term["labelSelector"]["matchLabels"],
        json!({"application": "spilo", "cluster-name": "acid-test-cluster"})
    );
}

#[test]
fn d35_variables_of_the_backup_secret_are_sorted_and_single() {
    let settings =
        Settings { logical_backup_cronjob_environment_secret: "more".into(), ..Settings::default() };
    let all = variables(&backup(&settings)["containers"][0]);
    let of_secret: Vec<_> = all.iter().filter(|variable| variable.contains("<-more/")).collect();
    assert_eq!(of_secret, ["A_KEY<-more/A_KEY", "ZONE<-more/ZONE"]);
    assert!(all.contains(&"PGPORT=5432".to_owned()), "the first of a name counts");
}

fn pooler(user: &str) -> Value {
    let spec = json!({"enableConnectionPooler": true, "connectionPooler": {"user": user}});
    of(spec, &Settings::default()).poolers[0].deployment.body["spec"]["template"]["spec"].clone()
}

/// Kept: another mount would restart the pods of every pooler.
#[test]
fn d36_the_list_of_users_is_mounted_as_a_file() {
    assert_eq!(
        pooler("pooler")["containers"][0]["volumeMounts"][0],
        json!({
            "name": "acid-test-cluster-pooler-u", "mountPath": "/etc/pgbouncer/userlist.txt",
            "subPath": "userlist.txt", "readOnly": true,
        })
    );
}

#[test]
fn d37_poolers_never_get_a_refused_user() {
    for (user, secret) in [("postgres", "pooler"), ("admin", "pooler"), ("standby", "pooler"), ("own", "own")]
    {
        let all = variables(&pooler(user)["containers"][0]);
        let expected = format!("{secret}.acid-test-cluster.credentials.postgresql.acid.zalan.do");
        assert_eq!(all[2], format!("PGUSER<-{expected}/username"), "{user}");
        assert_eq!(all[4], format!("PGPASSWORD<-{expected}/password"), "{user}");
    }
}
