//! `SPILO_CONFIGURATION`.

use super::*;

/// The text at a level.
pub(super) fn configuration_at(level: Level, spec: Value, settings: &Settings) -> String {
    let intent = intent(&manifest("acid-test-cluster", spec), settings);
    let all = variables(container_at(&intent, level, "postgres"));
    all.iter().find_map(|variable| variable.strip_prefix("SPILO_CONFIGURATION=")).unwrap().to_owned()
}

fn without_version() -> Settings {
    Settings { enable_pgversion_env_var: false, ..Settings::default() }
}

const EVERYTHING: &str = r#"{"postgresql":{"bin_dir":"/usr/lib/postgresql/18/bin","pg_hba":["hostssl all all 0.0.0.0/0 scram-sha-256","host    all all 0.0.0.0/0 scram-sha-256"]},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"},{"auth-local":"trust"},"data-checksums",{"encoding":"UTF8"},{"locale":"en_US.UTF-8"}],"dcs":{"ttl":30,"loop_wait":10,"retry_timeout":10,"maximum_lag_on_failover":33554432,"synchronous_mode":true,"synchronous_mode_strict":true,"synchronous_node_count":1,"slots":{"permanent_logical_1":{"database":"foo","plugin":"pgoutput","type":"logical"}},"failsafe_mode":true}}}"#;

/// The text around a list for initdb and a dynamic configuration.
fn text(initdb: &str, dcs: &str) -> String {
    format!(
        r#"{{"postgresql":{{"bin_dir":"/usr/lib/postgresql/18/bin"}},"bootstrap":{{"initdb":[{initdb}],"dcs":{{{dcs}}}}}}}"#
    )
}

/// The rows of 03 §17.3 and 01 §2.4. Their first case has no failsafe option at all; settings always
/// have one, which is off, so it is written as it is in the recordings.
#[test]
fn vectors_03_17_3_spilo_configuration() {
    let on = || Settings { enable_patroni_failsafe_mode: true, ..without_version() };
    let plain = r#"{"auth-host":"scram-sha-256"},{"auth-local":"trust"}"#;
    let everything = json!({"patroni": {
        "initdb": {"encoding": "UTF8", "locale": "en_US.UTF-8", "data-checksums": "true"},
        "pg_hba": ["hostssl all all 0.0.0.0/0 scram-sha-256", "host    all all 0.0.0.0/0 scram-sha-256"],
        "ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 33554432,
        "synchronous_mode": true, "synchronous_mode_strict": true, "synchronous_node_count": 1,
        "slots": {"permanent_logical_1": {"type": "logical", "database": "foo", "plugin": "pgoutput"}},
        "failsafe_mode": true,
    }});
    let failsafe = |on: bool| json!({"patroni": {"failsafe_mode": on}});
    let rows = [
        (json!({}), without_version(), text(plain, r#""failsafe_mode":false"#)),
        (everything, without_version(), EVERYTHING.to_owned()),
        (json!({}), on(), text(plain, r#""failsafe_mode":true"#)),
        (failsafe(false), on(), text(plain, r#""failsafe_mode":false"#)),
        (failsafe(true), without_version(), text(plain, r#""failsafe_mode":true"#)),
        (
            json!({"patroni": {"initdb": {"auth-host": "md5"}}}),
            without_version(),
            text(r#"{"auth-host":"md5"},{"auth-local":"trust"}"#, r#""failsafe_mode":false"#),
        ),
    ];
    for (spec, settings, expected) in rows {
        for level in Level::all() {
            assert_eq!(configuration_at(level, spec.clone(), &settings), expected, "{spec} at {level:?}");
        }
    }
}

#[test]
fn vectors_03_17_3_parameters_are_local_or_dynamic() {
    let parameters = json!({"shared_buffers": "32MB", "max_connections": "10", "log_statement": "all"});
    let spec = json!({"postgresql": {"version": "18", "parameters": parameters}});
    assert_eq!(
        configuration_at(Level::ORIGINAL, spec, &Settings::default()),
        r#"{"postgresql":{"parameters":{"shared_buffers":"32MB"}},"bootstrap":{"initdb":[{"auth-host":"scram-sha-256"},{"auth-local":"trust"}],"dcs":{"postgresql":{"parameters":{"log_statement":"all","max_connections":"10"}},"failsafe_mode":false}}}"#
    );
}

#[test]
fn vectors_03_17_3_lag_on_failover() {
    for (lag, level, expected) in [
        (1_073_741_824, Level::ORIGINAL, 1_073_741_800_i64),
        (1_073_741_824, Level::REPAIRED, 1_073_741_824),
        (16_777_217, Level::ORIGINAL, 16_777_216),
        (16_777_217, Level::REPAIRED, 16_777_217),
        (33_554_432, Level::ORIGINAL, 33_554_432),
    ] {
        let spec = json!({"patroni": {"maximum_lag_on_failover": lag}});
        let text = configuration_at(level, spec, &Settings::default());
        assert!(text.contains(&format!(r#""maximum_lag_on_failover":{expected},"#)), "{text}");
    }
    for lag in [0, -1] {
        let spec = json!({"patroni": {"maximum_lag_on_failover": lag}});
        assert!(!configuration_at(Level::ORIGINAL, spec, &Settings::default()).contains("maximum_lag"));
    }
}

#[test]
fn configuration_is_escaped_like_existing_ones() {
    let spec = json!({"postgresql": {"version": "18", "parameters": {"a": "<&>"}}});
    let text = configuration_at(Level::ORIGINAL, spec, &Settings::default());
    assert!(text.contains(r#""a":"\u003c\u0026\u003e""#), "{text}");
}
