//! Environment of the container `postgres` and the configuration in it.

use super::*;

const UID: &str = "efd12e58-5786-11e8-b5a7-06148230260c";

fn configuration(spec: Value, settings: &Settings) -> String {
    let intent = intent(&manifest("acid-test-cluster", spec), settings);
    let all = variables(container(&intent, "postgres"));
    let found = all.iter().find_map(|variable| variable.strip_prefix("SPILO_CONFIGURATION="));
    found.unwrap().to_owned()
}

fn without_version() -> Settings {
    Settings { enable_pgversion_env_var: false, ..Settings::default() }
}

#[test]
fn configuration_of_an_empty_section() {
    assert_eq!(
        configuration(json!({}), &without_version()),
        r#"{"postgresql":{"bin_dir":"/usr/lib/postgresql/18/bin"},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"},{"auth-local":"trust"}],"dcs":{"failsafe_mode":false}}}"#
    );
}

#[test]
fn configuration_with_everything() {
    let spec = json!({"patroni": {
        "initdb": {"encoding": "UTF8", "locale": "en_US.UTF-8", "data-checksums": "true"},
        "pg_hba": ["hostssl all all 0.0.0.0/0 scram-sha-256", "host    all all 0.0.0.0/0 scram-sha-256"],
        "ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 33554432,
        "synchronous_mode": true, "synchronous_mode_strict": true, "synchronous_node_count": 1,
        "slots": {"permanent_logical_1": {"type": "logical", "database": "foo", "plugin": "pgoutput"}},
        "failsafe_mode": true,
    }});
    assert_eq!(
        configuration(spec, &without_version()),
        r#"{"postgresql":{"bin_dir":"/usr/lib/postgresql/18/bin","pg_hba":["hostssl all all 0.0.0.0/0 scram-sha-256","host    all all 0.0.0.0/0 scram-sha-256"]},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"},{"auth-local":"trust"},"data-checksums",{"encoding":"UTF8"},{"locale":"en_US.UTF-8"}],"dcs":{"ttl":30,"loop_wait":10,"retry_timeout":10,"maximum_lag_on_failover":33554432,"synchronous_mode":true,"synchronous_mode_strict":true,"synchronous_node_count":1,"slots":{"permanent_logical_1":{"database":"foo","plugin":"pgoutput","type":"logical"}},"failsafe_mode":true}}}"#
    );
}

#[test]
fn failsafe_mode_of_manifest_and_settings() {
    let on = Settings { enable_patroni_failsafe_mode: true, ..Settings::default() };
    for (spec, settings, expected) in [
        (json!({}), &on, true),
        (json!({"patroni": {"failsafe_mode": false}}), &on, false),
        (json!({"patroni": {"failsafe_mode": true}}), &Settings::default(), true),
    ] {
        let text = configuration(spec, settings);
        assert!(text.contains(&format!(r#""dcs":{{"failsafe_mode":{expected}}}"#)), "{text}");
    }
}

#[test]
fn options_of_initdb_replace_defaults() {
    let text = configuration(json!({"patroni": {"initdb": {"auth-host": "md5"}}}), &Settings::default());
    assert!(text.contains(r#""initdb":[{"auth-host":"md5"},{"auth-local":"trust"}]"#), "{text}");
}

#[test]
fn parameters_are_local_or_dynamic() {
    let parameters = json!({"shared_buffers": "32MB", "max_connections": "10", "log_statement": "all"});
    let spec = json!({"postgresql": {"version": "18", "parameters": parameters}});
    let text = configuration(spec, &Settings::default());
    assert!(text.contains(r#""postgresql":{"parameters":{"shared_buffers":"32MB"}}"#), "{text}");
    assert!(
        text.contains(
            r#""dcs":{"postgresql":{"parameters":{"log_statement":"all","max_connections":"10"}},"#
        ),
        "{text}"
    );
}

#[test]
fn configuration_is_escaped_like_existing_ones() {
    let spec = json!({"postgresql": {"version": "18", "parameters": {"a": "<&>"}}});
    assert!(configuration(spec, &Settings::default()).contains(r#""a":"\u003c\u0026\u003e""#));
}

/// The variables from position 16 on, where those of manifests and settings begin.
fn tail(spec: Value, settings: Settings, references: &References) -> Vec<String> {
    let settings =
        Settings { enable_pgversion_env_var: false, enable_pod_disruption_budget: false, ..settings };
    let mut manifest = manifest("acid-test-cluster", spec);
    manifest["metadata"]["uid"] = json!(UID);
    let intent = with_references(&manifest, &settings, references);
    variables(container(&intent, "postgres")).split_off(16)
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

fn bucket() -> Settings {
    Settings {
        wal_s3_bucket: "global-s3-bucket".into(),
        pod_environment_secret: "SC".into(),
        ..Settings::default()
    }
}

#[test]
fn archive_of_the_settings() {
    let suffix = format!("WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    assert_eq!(
        tail(json!({}), bucket(), &References::default()),
        ["WAL_S3_BUCKET=global-s3-bucket", &suffix, "WAL_BUCKET_SCOPE_PREFIX="]
    );
    let google = Settings {
        wal_gs_bucket: "global-gs-bucket".into(),
        gcp_credentials: "some-path".into(),
        ..Settings::default()
    };
    assert_eq!(
        tail(json!({}), google, &References::default()),
        [
            "WAL_GS_BUCKET=global-gs-bucket",
            &suffix,
            "WAL_BUCKET_SCOPE_PREFIX=",
            "GOOGLE_APPLICATION_CREDENTIALS=some-path"
        ]
    );
}

#[test]
fn the_first_variable_of_a_name_wins_in_any_case() {
    let suffix = format!("WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    assert_eq!(
        tail(json!({}), bucket(), &config_map()),
        [
            "clone_aws_endpoint=s3.eu-west-1.amazonaws.com",
            "custom_variable=configmap-test",
            "WAL_S3_BUCKET=global-s3-bucket-configmap",
            &suffix,
            "WAL_BUCKET_SCOPE_PREFIX="
        ]
    );
    let spec = json!({"env": [{"name": "WAL_S3_BUCKET", "value": "custom-s3-bucket"}]});
    assert_eq!(tail(spec, bucket(), &References::default())[0], "WAL_S3_BUCKET=custom-s3-bucket");
    let both = References { environment_config_map: config_map().environment_config_map, ..secret() };
    assert_eq!(
        tail(json!({}), bucket(), &both)[..4],
        [
            "clone_aws_access_key_id<-SC/clone_aws_access_key_id",
            "custom_variable<-SC/custom_variable",
            "standby_google_application_credentials<-SC/standby_google_application_credentials",
            "clone_aws_endpoint=s3.eu-west-1.amazonaws.com",
        ]
    );
}

#[test]
fn manifests_cannot_replace_the_operators_variables() {
    let spec = json!({"env": [
        {"name": "KUBERNETES_SCOPE_LABEL", "value": "my-scope-label"},
        {"name": "custom_VARIABLE", "value": "spec-env-test"},
    ]});
    assert_eq!(tail(spec, Settings::default(), &References::default()), ["custom_VARIABLE=spec-env-test"]);
}

#[test]
fn clone_from_an_archive() {
    let spec = json!({"clone": {
        "cluster": "test-cluster", "timestamp": "somewhen", "uid": UID,
        "s3_wal_path": "s3://another-bucket", "s3_endpoint": "s3.eu-central-1.amazonaws.com",
    }});
    assert_eq!(
        tail(spec, bucket(), &References::default())[..7],
        [
            "CLONE_SCOPE=test-cluster",
            "CLONE_WALE_S3_PREFIX=s3://another-bucket",
            "CLONE_METHOD=CLONE_WITH_WALE",
            "CLONE_TARGET_TIME=somewhen",
            "CLONE_WAL_BUCKET_SCOPE_PREFIX=",
            "CLONE_AWS_ENDPOINT=s3.eu-central-1.amazonaws.com",
            "CLONE_WALE_S3_ENDPOINT=s3.eu-central-1.amazonaws.com",
        ]
    );
    let spec = json!({"clone": {"cluster": "test-cluster", "timestamp": "somewhen", "uid": UID}});
    let suffix = format!("CLONE_WAL_BUCKET_SCOPE_SUFFIX=/{UID}");
    assert_eq!(
        tail(spec, bucket(), &References::default())[1..3],
        ["CLONE_WAL_S3_BUCKET=global-s3-bucket", &suffix]
    );
}

#[test]
fn clone_of_a_running_cluster() {
    let spec = json!({"clone": {"cluster": "acid-other"}});
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
}

#[test]
fn standby_sources() {
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
