use super::*;

/// What the operator puts into the pod of the minimal manifest.
const MINIMAL: &[(&str, &str)] = &[
    ("SCOPE", "acid-minimal-cluster"),
    ("PGROOT", "/home/postgres/pgdata/pgroot"),
    ("POD_IP", "10.244.1.5"),
    ("POD_NAMESPACE", "demo"),
    ("PGUSER_SUPERUSER", "postgres"),
    ("KUBERNETES_SCOPE_LABEL", "cluster-name"),
    ("KUBERNETES_ROLE_LABEL", "spilo-role"),
    ("PGPASSWORD_SUPERUSER", "s3cr&t\"<>'"),
    ("PGUSER_STANDBY", "standby"),
    ("PGPASSWORD_STANDBY", "repl"),
    ("PAM_OAUTH2", "https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees"),
    ("HUMAN_ROLE", "zalandos"),
    ("ENABLE_WAL_PATH_COMPAT", "true"),
    ("PGVERSION", "15"),
    ("KUBERNETES_LABELS", "{\"application\":\"spilo\"}"),
    (
        "SPILO_CONFIGURATION",
        r#"{"postgresql":{},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"},{"auth-local":"trust"}],"dcs":{"postgresql":{"parameters":{"password_encryption":"scram-sha-256"}},"failsafe_mode":false}}}"#,
    ),
    ("DCS_ENABLE_KUBERNETES_API", "true"),
    ("KUBERNETES_BOOTSTRAP_LABELS", "{\"critical-operation\":\"true\"}"),
    ("KUBERNETES_USE_CONFIGMAPS", "true"),
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
    ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
];

fn machine() -> Machine {
    let libraries = ["pg_stat_statements", "pgextwlist", "set_user", "pg_cron", "pg_stat_kcache", "pgaudit"];
    Machine {
        hostname: "acid-minimal-cluster-0".to_owned(),
        majors: [15, 17, 18].map(|major| (major, libraries.map(String::from).into())).into(),
        memory_mib: 500,
        data_major: None,
    }
}

/// The minimal environment with some variables replaced or added.
fn with(changes: &[(&str, &str)]) -> Environment {
    MINIMAL.iter().chain(changes).copied().collect()
}

fn configured(changes: &[(&str, &str)]) -> Configured {
    configuration(&with(changes), &machine()).expect("nothing to refuse")
}

fn refused(changes: &[(&str, &str)], machine: &Machine) -> Vec<String> {
    let refusals = configuration(&with(changes), machine).expect_err("something to refuse");
    refusals.iter().map(ToString::to_string).collect()
}

fn at<'a>(configured: &'a Configured, path: &str) -> &'a Value {
    configured.patroni.pointer(path).unwrap_or(&Value::Null)
}

#[test]
fn the_minimal_manifest() {
    let configured = configured(&[]);
    insta::assert_snapshot!("minimal", serde_json::to_string_pretty(&configured.patroni).expect("JSON"));
    insta::assert_snapshot!("minimal_notes", configured.notes.join("\n"));
}

#[test]
fn initdb_lists_keep_what_cannot_be_put_right_later() {
    for (list, expected) in [
        ("[]", json!([{"encoding": "UTF8"}, {"locale": "en_US.UTF-8"}, "data-checksums"])),
        (
            r#"[{"data-checksums":"true"},{"encoding":"LATIN1"},{"locale":"C"}]"#,
            json!(["data-checksums", {"encoding": "LATIN1"}, {"locale": "C"}]),
        ),
        (r#"[{"no-data-checksums":"true"},"no-locale"]"#, json!(["no-data-checksums", "no-locale"])),
        (
            r#"[{"debug":"false"},{"locale":"C"}]"#,
            json!([{"locale": "C"}, {"encoding": "UTF8"}, "data-checksums"]),
        ),
        (
            r#"[{"data-checksums":"false"},{"locale":"C"}]"#,
            json!(["no-data-checksums", {"locale": "C"}, {"encoding": "UTF8"}]),
        ),
    ] {
        let text = format!(r#"{{"bootstrap":{{"initdb":{list}}}}}"#);
        assert_eq!(
            *at(&configured(&[("SPILO_CONFIGURATION", &text)]), "/bootstrap/initdb"),
            expected,
            "{list}"
        );
    }
    let german = configured(&[("INITDB_LOCALE", "C"), ("SPILO_CONFIGURATION", "")]);
    assert_eq!(at(&german, "/bootstrap/initdb/1"), &json!({"locale": "C.UTF-8"}));
}

#[test]
fn the_users_values_win_and_yaml_is_understood() {
    let configured = configured(&[(
        "SPILO_CONFIGURATION",
        "postgresql:\n  parameters:\n    shared_buffers: 64MB\n  pg_hba:\n  - hostssl all all all scram-sha-256\n\
         bootstrap:\n  dcs:\n    ttl: 20\n    synchronous_mode: true\n    postgresql:\n      parameters:\n        max_connections: '25'\n",
    )]);
    assert_eq!(at(&configured, "/postgresql/parameters/shared_buffers"), "64MB");
    assert_eq!(at(&configured, "/postgresql/pg_hba"), &json!(["hostssl all all all scram-sha-256"]));
    assert_eq!(at(&configured, "/bootstrap/dcs/ttl"), 20);
    assert_eq!(at(&configured, "/bootstrap/dcs/synchronous_mode"), true);
    assert_eq!(at(&configured, "/bootstrap/dcs/postgresql/parameters/max_connections"), "25");
    assert_eq!(at(&configured, "/postgresql/parameters/ssl"), "on");
}

#[test]
fn memory_decides_buffers_and_connections() {
    for (memory_mib, buffers, connections) in
        [(500, "100MB", 100), (6000, "1200MB", 200), (64_000, "12800MB", 1000)]
    {
        let configured = configuration(&with(&[]), &Machine { memory_mib, ..machine() }).expect("fine");
        assert_eq!(at(&configured, "/postgresql/parameters/shared_buffers"), buffers);
        assert_eq!(at(&configured, "/bootstrap/dcs/postgresql/parameters/max_connections"), connections);
    }
}

#[test]
fn data_decides_the_version_then_bin_dir_then_pgversion() {
    let bin_dir = ("SPILO_CONFIGURATION", r#"{"postgresql":{"bin_dir":"/usr/lib/postgresql/17/bin"}}"#);
    for (data_major, changes, expected) in [
        (Some(15), vec![("PGVERSION", "18"), bin_dir], 15),
        (None, vec![("PGVERSION", "18"), bin_dir], 17),
        (None, vec![("PGVERSION", "18")], 18),
        (None, vec![("PGVERSION", "")], 18),
    ] {
        let configured = configuration(&with(&changes), &Machine { data_major, ..machine() }).expect("fine");
        assert_eq!(configured.major, expected);
        assert_eq!(
            at(&configured, "/postgresql/bin_dir"),
            &json!(format!("/usr/lib/postgresql/{expected}/bin"))
        );
    }
    for (data_major, changes, expected) in [
        (None, vec![("PGVERSION", "16")], "PGVERSION: asks for PostgreSQL 16"),
        (None, vec![("PGVERSION", "new")], "PGVERSION: asks for PostgreSQL new"),
        (Some(14), vec![], "PG_VERSION of the data directory: asks for PostgreSQL 14"),
        (
            None,
            vec![("SPILO_CONFIGURATION", r#"{"postgresql":{"bin_dir":"/opt/pg"}}"#)],
            "SPILO_CONFIGURATION.postgresql.bin_dir: asks for PostgreSQL /opt/pg",
        ),
    ] {
        let refused = refused(&changes, &Machine { data_major, ..machine() });
        assert_eq!(refused.len(), 1);
        assert!(refused[0].starts_with(expected), "{refused:?}");
        assert!(refused[0].contains("this image has 15, 17, 18"), "{refused:?}");
    }
}

#[test]
fn everything_that_cannot_be_done_is_told_at_once() {
    let refused = refused(&[("WAL_S3_BUCKET", "b"), ("STANDBY_HOST", "h"), ("PGVERSION", "16")], &machine());
    let names: Vec<&str> = refused.iter().filter_map(|text| text.split(':').next()).collect();
    assert_eq!(names, ["STANDBY_HOST", "WAL_S3_BUCKET", "PGVERSION"]);
}

#[test]
fn outside_kubernetes_and_with_a_broken_configuration_there_is_no_start() {
    for (changes, expected) in [
        (("KUBERNETES_SERVICE_HOST", ""), "KUBERNETES_SERVICE_HOST: is not set"),
        (("DCS_ENABLE_KUBERNETES_API", ""), "DCS_ENABLE_KUBERNETES_API: is not set"),
        (("SPILO_CONFIGURATION", "[1]"), "SPILO_CONFIGURATION: holds something else than a mapping"),
        (("SPILO_CONFIGURATION", "{"), "SPILO_CONFIGURATION: is neither YAML nor JSON"),
    ] {
        let refused = refused(&[changes], &machine());
        assert!(refused[0].starts_with(expected), "{refused:?}");
    }
}

#[test]
fn libraries_that_are_not_there_are_left_out_with_a_note() {
    let configured = configured(&[(
        "SPILO_CONFIGURATION",
        r#"{"postgresql":{"parameters":{"shared_preload_libraries":"bg_mon, pg_stat_statements,pgaudit","bg_mon.history_buckets":"120"}}}"#,
    )]);
    assert_eq!(
        at(&configured, "/postgresql/parameters/shared_preload_libraries"),
        "pg_stat_statements,pgaudit"
    );
    assert_eq!(at(&configured, "/postgresql/parameters/bg_mon.history_buckets"), &Value::Null);
    assert_eq!(configured.notes, ["shared_preload_libraries: left out bg_mon, not in this image"]);
}

#[test]
fn without_configmaps_the_endpoints_carry_the_leader() {
    let configured =
        configured(&[("KUBERNETES_USE_CONFIGMAPS", ""), ("KUBERNETES_RETRIABLE_HTTP_CODES", "403")]);
    let kubernetes = at(&configured, "/kubernetes");
    assert_eq!(kubernetes["use_endpoints"], true);
    assert_eq!(kubernetes["pod_ip"], "10.244.1.5");
    assert_eq!(kubernetes["ports"], json!([{"name": "postgresql", "port": 5432}]));
    assert_eq!(kubernetes["retriable_http_codes"], "403");
}

#[test]
fn addresses_certificates_and_the_default_namespace() {
    let configured = configured(&[
        ("POD_IP", "fd00::1"),
        ("POD_NAMESPACE", "default"),
        ("SSL_CERTIFICATE_FILE", "/tls/tls.crt"),
        ("SSL_PRIVATE_KEY_FILE", "/tls/tls.key"),
        ("SSL_CA_FILE", "/tls/ca.crt"),
    ]);
    assert_eq!(at(&configured, "/postgresql/connect_address"), "[fd00::1]:5432");
    assert_eq!(at(&configured, "/namespace"), &Value::Null);
    assert_eq!(at(&configured, "/postgresql/parameters/ssl_key_file"), "/tls/tls.key");
    assert_eq!(at(&configured, "/postgresql/parameters/ssl_ca_file"), "/tls/ca.crt");
}
