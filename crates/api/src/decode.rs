//! Lenient decoding: a value that cannot be read becomes a problem, the rest is still usable, all
//! problems are found at once, and no object ever fails as a whole.

use std::sync::LazyLock;

use serde_json::Value;

use crate::crd::crd_postgresql;
use crate::judge::Verdict;
use crate::problem::Problem;
use crate::spec::PostgresqlSpec;

/// A `spec` as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The fields that could be read; the others have their defaults.
    pub spec: PostgresqlSpec,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Paths of fields that do not exist. The API server removes them from what it stores.
    pub unknown: Vec<String>,
}

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    crd_postgresql()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
});

/// Reads the `spec` of `object`, a whole `postgresql` object.
pub fn decode(object: &Value) -> Decoded {
    let mut verdict = Verdict::default();
    let found = match object.get("spec") {
        None | Some(Value::Null) => {
            verdict.problems.push(Problem::new(
                "spec",
                "is missing",
                "add spec with teamId, numberOfInstances, volume and postgresql",
            ));
            None
        }
        Some(spec) => verdict.keep(&SPEC, spec, "spec"),
    };
    let spec =
        match serde_path_to_error::deserialize(found.unwrap_or_else(|| Value::Object(Default::default()))) {
            Ok(spec) => spec,
            Err(error) => {
                verdict.problems.push(Problem::new(
                    format!("spec.{}", error.path()),
                    format!("cannot be read: {}", error.inner()),
                    "correct its type",
                ));
                PostgresqlSpec::default()
            }
        };
    Decoded { spec, problems: verdict.problems, unknown: verdict.unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(spec: Value) -> Decoded {
        decode(&json!({"kind": "postgresql", "metadata": {"name": "acid-test"}, "spec": spec}))
    }

    fn with(extra: Value) -> Decoded {
        let mut spec = json!({
            "teamId": "acid", "numberOfInstances": 1, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"},
        });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        decoded(spec)
    }

    fn fields(decoded: &Decoded) -> Vec<&str> {
        decoded.problems.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn vectors_01_3_6_decoding() {
        let missing = ["spec.numberOfInstances", "spec.postgresql", "spec.volume"];
        let bad = decoded(json!({"teamId": 100}));
        assert_eq!(fields(&bad), [&missing[..], &["spec.teamId"]].concat());
        assert_eq!(bad.spec, PostgresqlSpec::default());
        assert!(bad.problems.last().unwrap().message.contains("must be a text, not 100"));
        let clone = decoded(json!({"teamId": "acid", "clone": {"cluster": "team-batman"}}));
        assert_eq!(fields(&clone), missing);
        assert_eq!(clone.spec.team_id, "acid");
        assert_eq!(clone.spec.clone.unwrap().cluster, "team-batman");
        let path = "s3://custom/path/to/bucket/";
        let standby = decoded(json!({"teamId": "acid", "standby": {"s3_wal_path": path}}));
        assert_eq!(standby.spec.standby.unwrap().s3_wal_path.as_deref(), Some(path));
        assert_eq!(fields(&decode(&json!({}))), ["spec"]);
        assert_eq!(fields(&decode(&json!({"spec": "nonsense"}))), ["spec"]);
    }

    /// What passes the original's schema and then cannot be read by the original.
    #[test]
    fn vectors_01_3_6_unsigned() {
        for (extra, field) in [
            (json!({"patroni": {"ttl": -1}}), "spec.patroni.ttl"),
            (json!({"patroni": {"loop_wait": -1}}), "spec.patroni.loop_wait"),
            (json!({"patroni": {"retry_timeout": -1}}), "spec.patroni.retry_timeout"),
            (json!({"patroni": {"synchronous_node_count": -1}}), "spec.patroni.synchronous_node_count"),
            (
                json!({"streams": [{"applicationId": "a", "database": "d", "tables": {}, "batchSize": -1}]}),
                "spec.streams[0].batchSize",
            ),
        ] {
            let decoded = with(extra);
            assert_eq!(fields(&decoded), [field]);
            assert!(decoded.problems[0].message.contains("negative"));
        }
    }

    #[test]
    fn vectors_01_2_0_null_is_absent_except_for_users() {
        let decoded = with(json!({
            "users": {"foo_user": null, "bar": []}, "connectionPooler": null, "standby": null,
            "enableMasterLoadBalancer": null, "preparedDatabases": {"bar": null, "foo": {"schemas": {"s": null}}},
            "patroni": {"slots": {"gone": null, "there": {"type": "physical", "x": null}}},
            "databases": {"foo": null}, "sidecars": null, "env": null, "allowedSourceRanges": null,
            "postgresql": {"version": "17", "parameters": {"work_mem": null}},
        }));
        assert_eq!(decoded.problems, vec![]);
        let spec = decoded.spec;
        let users = spec.users.unwrap();
        assert_eq!((users.get("foo_user"), users.get("bar")), (Some(&None), Some(&Some(vec![]))));
        assert_eq!((spec.connection_pooler, spec.standby), (None, None));
        assert_eq!((spec.sidecars, spec.env, spec.allowed_source_ranges), (None, None, None));
        assert_eq!(spec.enable_master_load_balancer, None);
        let prepared = spec.prepared_databases.unwrap();
        assert_eq!(prepared.keys().collect::<Vec<_>>(), ["foo"]);
        assert_eq!(prepared["foo"].schemas.as_ref().map(|schemas| schemas.len()), Some(0));
        let slots = spec.patroni.unwrap().slots.unwrap();
        assert_eq!(slots.keys().collect::<Vec<_>>(), ["there"]);
        assert_eq!(slots["there"].len(), 1);
        assert!(spec.databases.unwrap().is_empty());
    }

    #[test]
    fn vectors_01_3_11_absent_and_empty_are_kept_apart() {
        let absent = with(json!({})).spec;
        assert_eq!(
            (absent.connection_pooler, absent.prepared_databases, absent.resources),
            (None, None, None)
        );
        let empty = with(json!({"connectionPooler": {}, "preparedDatabases": {}, "resources": {}})).spec;
        assert!(empty.connection_pooler.is_some() && empty.resources.is_some());
        assert_eq!(empty.prepared_databases.map(|databases| databases.len()), Some(0));
        let roles = |value: Value| {
            let spec = with(json!({"preparedDatabases": {"d": {"schemas": {"s": value}}}})).spec;
            spec.prepared_databases.unwrap()["d"].schemas.as_ref().unwrap()["s"].default_roles
        };
        assert_eq!(roles(json!({})), None);
        assert_eq!(roles(json!({"defaultRoles": false})), Some(false));
    }

    #[test]
    fn vectors_01_2_0_texts_stay_texts() {
        let decoded = with(json!({
            "postgresql": {"version": 17, "parameters": {"max_connections": 10, "log_statement": "all"}},
            "patroni": {"initdb": {"data-checksums": true}, "ttl": "30", "pg_hba": ["ok", 5]},
            "standby": {"standby_port": 5432, "standby_host": "h"},
            "resources": {"requests": {"cpu": 1}}, "numberOfInstances": 4294967296i64,
            "enableShmVolume": "true", "additionalVolumes": [{"name": "x", "mountPath": "/x"}, 5],
        }));
        assert_eq!(
            fields(&decoded),
            [
                "spec.additionalVolumes[0].volumeSource",
                "spec.additionalVolumes[1]",
                "spec.enableShmVolume",
                "spec.numberOfInstances",
                "spec.patroni.initdb.data-checksums",
                "spec.patroni.pg_hba[1]",
                "spec.patroni.ttl",
                "spec.postgresql.parameters.max_connections",
                "spec.postgresql.version",
                "spec.resources.requests.cpu",
                "spec.standby.standby_port",
            ]
        );
        assert_eq!(decoded.spec.standby.unwrap().standby_host.as_deref(), Some("h"));
        assert_eq!(decoded.spec.patroni.unwrap().pg_hba.unwrap(), ["ok"]);
    }

    #[test]
    fn fields_that_do_not_exist_are_named() {
        let decoded = with(json!({
            "topologySpreadConstraint": [], "volume": {"size": "1Gi", "Size": "2Gi"},
            "env": [{"name": "a", "whatever": 1}],
        }));
        assert_eq!(decoded.problems, vec![]);
        assert_eq!(decoded.unknown, ["spec.topologySpreadConstraint", "spec.volume.Size"]);
        assert_eq!(decoded.spec.env.unwrap()[0]["whatever"], 1);
    }
}
