//! Environment of the container `postgres`.

use super::*;

const UID: &str = "efd12e58-5786-11e8-b5a7-06148230260c";

/// All variables at the original's level, where the operator's own are the 16 of 03 §17.4.
fn all_at(level: Level, spec: Value, settings: Settings, references: &References) -> Vec<String> {
    let settings =
        Settings { enable_pgversion_env_var: false, enable_pod_disruption_budget: false, ..settings };
    let mut manifest = manifest("acid-test-cluster", spec);
    manifest["metadata"]["uid"] = json!(UID);
    let intent = with_references(&manifest, &settings, references);
    variables(container_at(&intent, level, "postgres"))
}

fn all(spec: Value, settings: Settings, references: &References) -> Vec<String> {
    all_at(Level::ORIGINAL, spec, settings, references)
}

/// The variables from position 16 on, where those of manifests and settings begin.
fn tail(spec: Value, settings: Settings, references: &References) -> Vec<String> {
    all(spec, settings, references).split_off(16)
}

fn config_map() -> References {
    References {
        environment_config_map: Some(Reference::Known(map(&[
            ("clone_aws_endpoint", "s3.eu-west-1.amazonaws.com"),
            ("custom_variable", "configmap-test"),
            ("kubernetes_scope_label", "pgaas"),
            ("wal_s3_bucket", "global-s3-bucket-configmap"),
        ]))),
        ..References::default()
    }
}

fn secret() -> References {
    let keys = ["standby_google_application_credentials", "custom_variable", "clone_aws_access_key_id"];
    References {
        environment_secret: Some(Reference::Known(keys.map(str::to_owned).to_vec())),
        ..References::default()
    }
}

fn both() -> References {
    References { environment_config_map: config_map().environment_config_map, ..secret() }
}

fn settings() -> Settings {
    Settings {
        pod_environment_secret: "SC".into(),
        pod_environment_configmap: "CM".into(),
        ..Settings::default()
    }
}

fn bucket() -> Settings {
    Settings { wal_s3_bucket: "global-s3-bucket".into(), ..settings() }
}

#[test]
fn vectors_03_17_4_the_operators_own() {
    let names: Vec<String> = all(json!({}), Settings::default(), &References::default())
        .iter()
        .map(|variable| variable.split(['=', '<']).next().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "SCOPE",
            "PGROOT",
            "POD_IP",
            "POD_NAMESPACE",
            "PGUSER_SUPERUSER",
            "KUBERNETES_SCOPE_LABEL",
            "KUBERNETES_ROLE_LABEL",
            "PGPASSWORD_SUPERUSER",
            "PGUSER_STANDBY",
            "PGPASSWORD_STANDBY",
            "PAM_OAUTH2",
            "HUMAN_ROLE",
            "KUBERNETES_LABELS",
            "SPILO_CONFIGURATION",
            "DCS_ENABLE_KUBERNETES_API",
            "KUBERNETES_USE_CONFIGMAPS",
        ]
    );
}

/// The rows of 03 §17.4: position, variable.
#[test]
fn vectors_03_17_4_environment() {
    let none = References::default();
    let google = Settings {
        wal_gs_bucket: "global-gs-bucket".into(),
        gcp_credentials: "some-path-to-credentials".into(),
        ..settings()
    };
    let compat = Settings { enable_spilo_wal_path_compat: true, ..settings() };
    let env = |name: &str, value: &str| json!({"env": [{"name": name, "value": value}]});
    let suffix = format!("WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    let clone_suffix = format!("CLONE_WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    let clone = json!({"cluster": "test-cluster", "timestamp": "somewhen", "uid": UID});
    let mut from_path = clone.clone();
    from_path["s3_wal_path"] = json!("s3://another-bucket");
    from_path["s3_endpoint"] = json!("s3.eu-central-1.amazonaws.com");
    let mut with_prefix = env("CLONE_WAL_BUCKET_SCOPE_PREFIX", "test-cluster");
    with_prefix["clone"] = from_path.clone();
    let standby = json!({"standby": {"gs_wal_path": "gs://some/path/"}});
    let rows: Vec<(Value, Settings, References, Vec<(usize, &str)>)> = vec![
        (json!({}), compat, none.clone(), vec![(12, "ENABLE_WAL_PATH_COMPAT=true")]),
        (
            json!({}),
            bucket(),
            none.clone(),
            vec![(16, "WAL_S3_BUCKET=global-s3-bucket"), (17, &suffix), (18, "WAL_BUCKET_SCOPE_PREFIX=")],
        ),
        (
            json!({}),
            google,
            none.clone(),
            vec![
                (16, "WAL_GS_BUCKET=global-gs-bucket"),
                (17, &suffix),
                (18, "WAL_BUCKET_SCOPE_PREFIX="),
                (19, "GOOGLE_APPLICATION_CREDENTIALS=some-path-to-credentials"),
            ],
        ),
        (
            env("KUBERNETES_SCOPE_LABEL", "my-scope-label"),
            settings(),
            config_map(),
            vec![
                (5, "KUBERNETES_SCOPE_LABEL=cluster-name"),
                (16, "clone_aws_endpoint=s3.eu-west-1.amazonaws.com"),
            ],
        ),
        (
            json!({}),
            bucket(),
            config_map(),
            vec![
                (16, "clone_aws_endpoint=s3.eu-west-1.amazonaws.com"),
                (17, "custom_variable=configmap-test"),
                (18, "wal_s3_bucket=global-s3-bucket-configmap"),
                (19, &suffix),
                (20, "WAL_BUCKET_SCOPE_PREFIX="),
            ],
        ),
        (
            env("WAL_S3_BUCKET", "custom-s3-bucket"),
            bucket(),
            none.clone(),
            vec![(16, "WAL_S3_BUCKET=custom-s3-bucket")],
        ),
        (json!({}), settings(), both(), vec![(17, "custom_variable<-SC/custom_variable")]),
        (json!({}), settings(), config_map(), vec![(17, "custom_variable=configmap-test")]),
        (
            env("CUSTOM_VARIABLE", "spec-env-test"),
            settings(),
            both(),
            vec![(16, "CUSTOM_VARIABLE=spec-env-test")],
        ),
        (
            json!({"clone": from_path}),
            bucket(),
            config_map(),
            vec![
                (16, "CLONE_SCOPE=test-cluster"),
                (17, "CLONE_WALE_S3_PREFIX=s3://another-bucket"),
                (18, "CLONE_METHOD=CLONE_WITH_WALE"),
                (19, "CLONE_TARGET_TIME=somewhen"),
                (20, "CLONE_WAL_BUCKET_SCOPE_PREFIX="),
                (21, "CLONE_AWS_ENDPOINT=s3.eu-central-1.amazonaws.com"),
                (22, "CLONE_WALE_S3_ENDPOINT=s3.eu-central-1.amazonaws.com"),
            ],
        ),
        (
            with_prefix,
            bucket(),
            config_map(),
            vec![
                (16, "CLONE_WAL_BUCKET_SCOPE_PREFIX=test-cluster"),
                (18, "CLONE_WALE_S3_PREFIX=s3://another-bucket"),
                (21, "CLONE_WAL_BUCKET_SCOPE_PREFIX="),
                (22, "CLONE_AWS_ENDPOINT=s3.eu-central-1.amazonaws.com"),
            ],
        ),
        (
            json!({"clone": clone}),
            bucket(),
            config_map(),
            vec![
                (17, "CLONE_WAL_S3_BUCKET=global-s3-bucket"),
                (18, &clone_suffix),
                (22, "clone_aws_endpoint=s3.eu-west-1.amazonaws.com"),
            ],
        ),
        (
            json!({"clone": clone}),
            bucket(),
            secret(),
            vec![(22, "clone_aws_access_key_id<-SC/clone_aws_access_key_id")],
        ),
        (
            standby,
            bucket(),
            secret(),
            vec![
                (16, "STANDBY_WALE_GS_PREFIX=gs://some/path/"),
                (21, "standby_google_application_credentials<-SC/standby_google_application_credentials"),
            ],
        ),
    ];
    for (row, (spec, settings, references, expected)) in rows.into_iter().enumerate() {
        let all = all(spec, settings, &references);
        for (position, variable) in expected {
            assert_eq!(all[position], variable, "row {row}, position {position}: {all:#?}");
        }
    }
}

/// 03 §17.4: what cannot be had is said, and the StatefulSet waits for it.
#[test]
fn vectors_03_17_4_sources() {
    let why = |references: References, settings: Settings| -> Vec<String> {
        let manifest = manifest("acid-test-cluster", json!({}));
        let found = with_references(&manifest, &settings, &references).unresolved;
        found.into_iter().map(|unresolved| format!("{}: {}", unresolved.field, unresolved.why)).collect()
    };
    let only_map = || Settings { pod_environment_configmap: "x/CM".into(), ..Settings::default() };
    let only_secret = || Settings { pod_environment_secret: "SC".into(), ..Settings::default() };
    let of_map = |reference| References { environment_config_map: Some(reference), ..References::default() };
    let of_secret = |reference| References { environment_secret: Some(reference), ..References::default() };
    let none = Vec::<String>::new();
    assert_eq!(
        why(of_map(Reference::Missing), only_map()),
        ["pod_environment_configmap: ConfigMap x/CM does not exist: make it, or empty the option"]
    );
    assert_eq!(
        why(of_secret(Reference::Missing), only_secret()),
        ["pod_environment_secret: Secret SC does not exist: make it, or empty the option"]
    );
    assert_eq!(
        why(of_secret(Reference::Unknown("timed out".into())), only_secret()),
        ["pod_environment_secret: Secret SC cannot be read: timed out"]
    );
    assert_eq!(why(References::default(), only_secret()), ["pod_environment_secret: Secret SC was not read"]);
    assert_eq!(why(secret(), only_secret()), none);
    assert_eq!(why(References::default(), Settings::default()), none);
}

/// 03 §17.4, the rule for adding: the first value of a name stays.
#[test]
fn vectors_03_17_4_append_rule() {
    let spec = json!({"env": [
        {"name": "CUSTOM_VARIABLE", "value": "test"},
        {"name": "CUSTOM_VARIABLE", "value": "new-test"},
        {"name": "ANOTHER_CUSTOM_VARIABLE", "value": "x"},
    ]});
    assert_eq!(
        tail(spec, Settings::default(), &References::default()),
        ["CUSTOM_VARIABLE=test", "ANOTHER_CUSTOM_VARIABLE=x"]
    );
    let spec = json!({"env": [{"name": "CUSTOM_VARIABLE", "value": "test"}]});
    assert_eq!(tail(spec, Settings::default(), &References::default()), ["CUSTOM_VARIABLE=test"]);
}

/// The rows of 03 §17.5 and 01 §2.12: position, variable.
#[test]
fn vectors_03_17_5_clone() {
    let settings = || Settings { wal_s3_bucket: "wale-bucket".into(), ..Settings::default() };
    let of = |clone: Value| tail(json!({"clone": clone}), settings(), &References::default());
    let path =
        of(json!({"cluster": "test-cluster", "s3_wal_path": "s3://some/path/", "timestamp": "somewhen"}));
    assert_eq!(path[1], "CLONE_WALE_S3_PREFIX=s3://some/path/");
    let bucket = of(json!({"cluster": "test-cluster", "timestamp": "somewhen", "uid": "0000"}));
    assert_eq!(bucket[1], "CLONE_WAL_S3_BUCKET=wale-bucket");
    assert_eq!(bucket[4], "CLONE_TARGET_TIME=somewhen");
}

#[test]
fn clone_of_a_running_cluster() {
    let spec = json!({"clone": {"cluster": "acid-other", "uid": UID, "s3_endpoint": "ignored"}});
    assert_eq!(
        tail(spec, Settings::default(), &References::default()),
        [
            "CLONE_SCOPE=acid-other",
            "CLONE_METHOD=CLONE_WITH_BASEBACKUP",
            "CLONE_HOST=acid-other",
            "CLONE_PORT=5432",
            "CLONE_USER=standby",
            "CLONE_PASSWORD<-standby.acid-other.credentials.postgresql.acid.zalan.do/password",
        ]
    );
    let spec = json!({"clone": {"cluster": ""}});
    assert_eq!(tail(spec, Settings::default(), &References::default()), Vec::<String>::new());
}

#[test]
fn clone_from_other_archives() {
    let of = |clone: Value, settings: Settings| {
        let mut spec = json!({"clone": {"cluster": "a", "timestamp": "t"}});
        spec["clone"].as_object_mut().unwrap().extend(clone.as_object().unwrap().clone());
        tail(spec, settings, &References::default())
    };
    let google = Settings { wal_gs_bucket: "g".into(), gcp_credentials: "c".into(), ..Settings::default() };
    assert_eq!(
        of(json!({}), google)[1..4],
        ["CLONE_WAL_GS_BUCKET=g", "CLONE_GOOGLE_APPLICATION_CREDENTIALS=c", "CLONE_WAL_BUCKET_SCOPE_SUFFIX="]
    );
    let azure = Settings { wal_az_storage_account: "a".into(), ..Settings::default() };
    assert_eq!(of(json!({}), azure)[1], "CLONE_AZURE_STORAGE_ACCOUNT=a");
    let keys = json!({
        "s3_wal_path": "p", "s3_access_key_id": "i", "s3_secret_access_key": "k", "s3_force_path_style": false,
    });
    let irsa = Settings { irsa_role_arn: "r".into(), ..Settings::default() };
    assert_eq!(
        of(keys, irsa)[5..],
        [
            "CLONE_AWS_ACCESS_KEY_ID=i",
            "CLONE_AWS_SECRET_ACCESS_KEY=k",
            "CLONE_AWS_S3_FORCE_PATH_STYLE=0",
            "CLONE_AWS_ROLE_ARN=r",
            "CLONE_AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
        ]
    );
}

#[test]
fn archives_and_logs_of_the_settings() {
    let all = Settings {
        wal_az_storage_account: "azure".into(),
        log_s3_bucket: "logs".into(),
        wal_gs_bucket: "google".into(),
        ..bucket()
    };
    let suffix = format!("WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    let log_suffix = format!("LOG_BUCKET_SCOPE_SUFFIX=/{UID}");
    assert_eq!(
        tail(json!({}), all, &References::default()),
        [
            "WAL_S3_BUCKET=global-s3-bucket",
            &suffix,
            "WAL_BUCKET_SCOPE_PREFIX=",
            "WAL_GS_BUCKET=google",
            "AZURE_STORAGE_ACCOUNT=azure",
            "LOG_S3_BUCKET=logs",
            &log_suffix,
            "LOG_BUCKET_SCOPE_PREFIX=",
        ]
    );
}

/// The rows of 03 §17.5 and 01 §2.13.
#[test]
fn vectors_03_17_5_standby() {
    let three = |prefix: &'static str| {
        vec![prefix, "STANDBY_METHOD=STANDBY_WITH_WALE", "STANDBY_WAL_BUCKET_SCOPE_PREFIX="]
    };
    let s3 = three("STANDBY_WALE_S3_PREFIX=s3://p/");
    let cases = [
        (json!({"s3_wal_path": "s3://p/"}), s3.clone()),
        (json!({"s3_wal_path": "s3://p/", "gs_wal_path": "gs://p/"}), s3.clone()),
        (json!({"gs_wal_path": "gs://p/"}), three("STANDBY_WALE_GS_PREFIX=gs://p/")),
        (json!({"standby_host": "h"}), vec!["STANDBY_HOST=h"]),
        (json!({"standby_host": "h", "standby_port": "9876"}), vec!["STANDBY_HOST=h", "STANDBY_PORT=9876"]),
        (json!({"standby_host": "h", "s3_wal_path": "s3://p/"}), [vec!["STANDBY_HOST=h"], s3].concat()),
        (
            json!({"standby_host": "h", "standby_primary_slot_name": "my_slot"}),
            vec!["STANDBY_HOST=h", "STANDBY_PRIMARY_SLOT_NAME=my_slot"],
        ),
        (json!({}), vec![]),
    ];
    for (standby, expected) in cases {
        assert_eq!(tail(json!({"standby": standby}), Settings::default(), &References::default()), expected);
    }
}

#[test]
fn variants_of_the_settings() {
    let names = |settings: Settings| -> Vec<String> {
        let intent = intent(&manifest("acid-test-cluster", json!({})), &settings);
        let names = variables(container(&intent, "postgres"));
        names.iter().map(|v| v.split(['=', '<']).next().unwrap().to_owned()).collect()
    };
    let plain = names(Settings::default());
    assert_eq!(plain.len(), 18);
    let compat = names(Settings { enable_spilo_wal_path_compat: true, ..Settings::default() });
    assert_eq!(compat[11..14], ["HUMAN_ROLE", "ENABLE_WAL_PATH_COMPAT", "PGVERSION"]);
    let endpoints = names(Settings { kubernetes_use_configmaps: false, ..Settings::default() });
    assert_eq!(endpoints.last().unwrap(), "KUBERNETES_BOOTSTRAP_LABELS");
    let etcd = names(Settings { etcd_host: "etcd:2379".into(), ..Settings::default() });
    assert_eq!(etcd.last().unwrap(), "ETCD_HOST");
}

#[test]
fn variables_without_effect_are_told() {
    let spec =
        json!({"env": [{"name": "spilo_configuration", "value": "{}"}, {"name": "OWN", "value": "1"}]});
    let intent = intent(&manifest("acid-test-cluster", spec), &Settings::default());
    assert_eq!(told(&intent), ["spec.env"]);
    assert!(intent.notices[0].message.contains("spilo_configuration"), "{:?}", intent.notices);
}
