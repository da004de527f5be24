//! What the API server judges in a `postgresql` object beyond types: one row per place. Nothing is
//! rejected here that the original 2.0.1 or 1.15.1 takes and can work with.

use serde_json::{Value, json};

/// CPUs.
pub const CPU_PATTERN: &str = r"^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$";

/// Bytes: what the original accepts, and every other quantity that Kubernetes can read.
pub const MEMORY_PATTERN: &str =
    r"^([0-9]+(e[0-9]+)?|[0-9]+(\.[0-9]+)?(e[0-9]+)?[EPTGMK]i?|[0-9]+(\.[0-9]+)?(m|k|[eE][0-9]+)?)$";

/// A moment with its offset; the calendar is not checked.
pub const TIMESTAMP_PATTERN: &str = concat!(
    r"^([0-9]+)-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])",
    r"[Tt]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(\.[0-9]+)?",
    r"(([+-]([01][0-9]|2[0-3]):[0-5][0-9]))$",
);

/// A network of either family.
pub const CIDR_PATTERN: &str = concat!(
    r"^(((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}",
    r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])/(3[0-2]|[12]?[0-9])|(",
    r"([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}",
    r"|([0-9a-fA-F]{1,4}:){1,7}:",
    r"|([0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}",
    r"|([0-9a-fA-F]{1,4}:){1,5}(:[0-9a-fA-F]{1,4}){1,2}",
    r"|([0-9a-fA-F]{1,4}:){1,4}(:[0-9a-fA-F]{1,4}){1,3}",
    r"|([0-9a-fA-F]{1,4}:){1,3}(:[0-9a-fA-F]{1,4}){1,4}",
    r"|([0-9a-fA-F]{1,4}:){1,2}(:[0-9a-fA-F]{1,4}){1,5}",
    r"|[0-9a-fA-F]{1,4}:(:[0-9a-fA-F]{1,4}){1,6}",
    r"|:((:[0-9a-fA-F]{1,4}){1,7}|:)",
    r")/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$",
);

/// Five fields, or a word such as `@daily`. Which numbers make sense is judged by the operator.
pub const CRON_PATTERN: &str = r"^(@[a-z]+( [0-9a-zµ.]+)?|[0-9A-Za-z*,/?-]+([ \t]+[0-9A-Za-z*,/?-]+){4})$";

/// A window of maintenance: a day or none, and two times.
pub const WINDOW_PATTERN: &str = concat!(
    r"^ *((Mon|Tue|Wed|Thu|Fri|Sat|Sun):)?([01]?[0-9]|2[0-3]):[0-5][0-9]",
    r"-([01]?[0-9]|2[0-3]):[0-5][0-9] *$",
);

/// The major versions that some release of the contract accepts.
pub const MAJOR_VERSIONS: [&str; 6] = ["13", "14", "15", "16", "17", "18"];

/// Minutes of both times of a window: `HH:MM-HH:MM`, perhaps with a day before.
const WINDOW_RULE: &str = "int(self.trim().split('-')[1].split(':')[0]) * 60 \
     + int(self.trim().split('-')[1].split(':')[1]) \
     >= int(self.trim().split('-')[0].split(':')[size(self.trim().split('-')[0].split(':')) - 2]) * 60 \
     + int(self.trim().split('-')[0].split(':')[size(self.trim().split('-')[0].split(':')) - 1])";

/// A place below `spec` (`[]` an item of a list, `{}` a value of a map) and the keywords that its
/// schema gets.
type Row = (String, Value);

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |place: &str, keywords: Value| rows.push((place.to_owned(), keywords));
    row("", json!({"required": ["numberOfInstances", "postgresql", "teamId", "volume"]}));
    row("numberOfInstances", json!({"minimum": 0}));
    row("postgresql", json!({"required": ["version"]}));
    row("postgresql.version", json!({"enum": MAJOR_VERSIONS}));
    row("volume", json!({"required": ["size"]}));
    row("volume.size", json!({"pattern": MEMORY_PATTERN}));
    row("volume.iops", json!({"maximum": 80000}));
    row("volume.throughput", json!({"maximum": 2000}));
    row("users.{}", json!({"nullable": true}));
    row("users.{}.[]", json!({"enum": flags()}));
    row("allowedSourceRanges.[]", json!({"pattern": CIDR_PATTERN}));
    row("logicalBackupSchedule", json!({"pattern": CRON_PATTERN}));
    for container in ["", "sidecars.[].", "connectionPooler."] {
        for part in ["requests", "limits"] {
            let amounts = format!("{container}resources.{part}");
            row(&format!("{amounts}.cpu"), json!({"pattern": CPU_PATTERN}));
            for amount in ["memory", "hugepages-2Mi", "hugepages-1Gi"] {
                row(&format!("{amounts}.{amount}"), json!({"pattern": MEMORY_PATTERN}));
            }
        }
    }
    for number in ["ttl", "loop_wait", "retry_timeout", "synchronous_node_count"] {
        row(&format!("patroni.{number}"), json!({"minimum": 0, "format": "int32"}));
    }
    row("connectionPooler.numberOfInstances", json!({"minimum": 1}));
    row("connectionPooler.mode", json!({"enum": ["session", "transaction"]}));
    row("tls", json!({"required": ["secretName"]}));
    row("additionalVolumes.[]", json!({"required": ["mountPath", "name", "volumeSource"]}));
    clone_and_standby(&mut row);
    streams(&mut row);
    windows(&mut row);
    fragments(&mut row);
    for place in [
        "allowedSourceRanges",
        "usersIgnoringSecretRotation",
        "usersWithSecretRotation",
        "usersWithInPlaceSecretRotation",
        "additionalVolumes.[].targetContainers",
        "env",
        "initContainers",
        "init_containers",
        "sidecars",
    ] {
        row(place, json!({"nullable": true}));
    }
    rows
}

fn clone_and_standby(row: &mut impl FnMut(&str, Value)) {
    row(
        "clone",
        json!({
            "required": ["cluster"],
            "x-kubernetes-validations": [{
                "rule": "has(self.timestamp) || self.cluster == '' || (self.cluster.size() <= 63 \
                         && self.cluster.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$'))",
                "message": "without a timestamp this is the name of a running cluster of the same namespace: \
                            lower-case letters, digits and dashes, a letter first and no dash last, at most 63",
                "fieldPath": ".cluster",
            }],
        }),
    );
    row("clone.timestamp", json!({"pattern": TIMESTAMP_PATTERN}));
    row("clone.uid", json!({"format": "uuid"}));
    row(
        "standby",
        json!({"x-kubernetes-validations": [
            {
                "rule": "has(self.s3_wal_path) || has(self.gs_wal_path) || has(self.standby_host)",
                "message": "one of s3_wal_path, gs_wal_path and standby_host is needed",
            },
            {
                "rule": "!(has(self.s3_wal_path) && has(self.gs_wal_path))",
                "message": "s3_wal_path and gs_wal_path exclude each other: remove one of the two",
            },
        ]}),
    );
}

fn streams(row: &mut impl FnMut(&str, Value)) {
    row("streams.[]", json!({"required": ["applicationId", "database", "tables"]}));
    row("streams.[].tables.{}", json!({"required": ["eventType"]}));
    row("streams.[].batchSize", json!({"minimum": 0, "format": "int32"}));
    row("streams.[].cpu", json!({"pattern": CPU_PATTERN}));
    row("streams.[].memory", json!({"pattern": MEMORY_PATTERN}));
}

/// The limits keep the rule affordable in the API server's eyes; nobody comes near them.
fn windows(row: &mut impl FnMut(&str, Value)) {
    row("maintenanceWindows", json!({"maxItems": 1000}));
    row(
        "maintenanceWindows.[]",
        json!({
            "pattern": WINDOW_PATTERN,
            "maxLength": 100,
            "x-kubernetes-validations": [{
                "rule": WINDOW_RULE,
                "message": "ends before it starts: split a window over midnight in two",
            }],
        }),
    );
}

/// What pieces of Kubernetes objects cannot do without.
fn fragments(row: &mut impl FnMut(&str, Value)) {
    let named = json!({"required": ["name"], "properties": {"name": {"type": "string"}}});
    for place in ["env.[]", "sidecars.[].env.[]", "initContainers.[]", "init_containers.[]"] {
        row(place, named.clone());
    }
    row(
        "sidecars.[].ports.[]",
        json!({
            "required": ["containerPort"],
            "properties": {"containerPort": {"type": "integer", "format": "int32"}},
        }),
    );
    row(
        "topologySpreadConstraints.[]",
        json!({
            "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
            "properties": {
                "maxSkew": {"type": "integer", "format": "int32"},
                "topologyKey": {"type": "string"},
                "whenUnsatisfiable": {"type": "string"},
            },
        }),
    );
}

/// Flags of users, each in both cases and with the word that takes it away.
fn flags() -> Vec<String> {
    let words = ["bypassrls", "createdb", "createrole", "inherit", "login", "replication", "superuser"];
    words
        .iter()
        .flat_map(|word| [(*word).to_owned(), format!("no{word}")])
        .flat_map(|word| [word.clone(), word.to_uppercase()])
        .collect()
}

/// Puts every row into `spec`, the schema of the spec. The error names the first place that does
/// not exist.
pub(crate) fn apply(spec: &mut Value) -> Result<(), String> {
    for (place, keywords) in rows() {
        let Value::Object(keywords) = keywords else { return Err(place) };
        match at(spec, &place).and_then(Value::as_object_mut) {
            Some(schema) => schema.extend(keywords),
            None => return Err(place),
        }
    }
    Ok(())
}

fn at<'a>(schema: &'a mut Value, place: &str) -> Option<&'a mut Value> {
    place.split('.').filter(|part| !part.is_empty()).try_fold(schema, |schema, part| match part {
        "[]" => schema.get_mut("items"),
        "{}" => schema.get_mut("additionalProperties"),
        name => schema.get_mut("properties")?.get_mut(name),
    })
}
