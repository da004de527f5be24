//! Rows of the manifest, from the schema of its definition.

use matriarch_api::rules;
use matriarch_settings::Settings;
use serde_json::{Value, json};

use crate::{Row, base, lists, outcome};

/// All rows, and what is wrong.
pub fn rows() -> (Vec<Row>, Vec<String>) {
    let definition = matriarch_api::crd_postgresql();
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut leaves = Vec::new();
    collect(spec, "", &mut leaves);
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for (path, schema) in &leaves {
        match row(path, schema) {
            Ok(row) => rows.push(row),
            Err(why) => wrong.push(why),
        }
    }
    for (path, before, after) in presence() {
        let found = outcome::changes(&judged(&before), &judged(&after));
        if found.is_empty() {
            wrong.push(format!("{path}: presence changes nothing"));
        }
        rows.push(Row {
            name: path.to_owned(),
            flip: "absent → present".to_owned(),
            changes: joined(&found),
            awaits: "",
        });
    }
    let paths: Vec<&str> = leaves.iter().map(|(path, _)| path.as_str()).collect();
    wrong.extend(lists::unused(&paths, lists::FIELDS));
    for (path, ..) in specials() {
        if !paths.contains(&path) {
            wrong.push(format!("{path}: has a special row, but there is no such field"));
        }
    }
    (rows, wrong)
}

/// Every place that holds a value of its own.
fn collect(schema: &Value, path: &str, into: &mut Vec<(String, Value)>) {
    let below = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
    let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if !keeps && let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            collect(property, &below(name), into);
        }
    } else if !keeps && schema["items"].is_object() {
        collect(&schema["items"], &below("[]"), into);
    } else if !keeps && schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &below("{}"), into);
    } else {
        into.push((path.to_owned(), schema.clone()));
    }
}

/// Sections that mean something by being there.
fn presence() -> Vec<(&'static str, Value, Value)> {
    let with = |key: &str, value: Value| {
        let mut spec = base::lean();
        for key in ["connectionPooler", "preparedDatabases"] {
            spec.as_object_mut().unwrap().remove(key);
        }
        spec[key] = value;
        spec
    };
    vec![
        ("connectionPooler = {}", with("connectionPooler", Value::Null), with("connectionPooler", json!({}))),
        (
            "preparedDatabases = {}",
            with("preparedDatabases", Value::Null),
            with("preparedDatabases", json!({})),
        ),
        (
            "users.NAME = null",
            with("users", json!({"zalando": []})),
            with("users", json!({"zalando": [], "new": null})),
        ),
    ]
}

fn judged(spec: &Value) -> Result<outcome::Outcome, Vec<matriarch_api::Problem>> {
    judged_with(spec, &Settings::default())
}

fn judged_with(spec: &Value, settings: &Settings) -> Result<outcome::Outcome, Vec<matriarch_api::Problem>> {
    outcome::of(&base::manifest(spec.clone()), settings)
}

fn row(path: &str, schema: &Value) -> Result<Row, String> {
    let special = specials().into_iter().find(|(special, ..)| *special == path);
    let (before, candidates, settings) = match special {
        Some((_, context, values, settings)) => {
            let mut spec = base::rich();
            for (key, value) in context.as_object().into_iter().flatten() {
                spec[key] = value.clone();
            }
            (spec, if values.is_empty() { candidates(path, schema) } else { values }, settings)
        }
        None => (base::rich(), candidates(path, schema), Settings::default()),
    };
    let outcome_before = judged_with(&before, &settings);
    if let Err(problems) = &outcome_before {
        return Err(format!("{path}: its base is refused: {problems:?}"));
    }
    let mut seen = Vec::new();
    for value in candidates {
        let mut after = before.clone();
        let old = put(&mut after, path, value.clone());
        if old.as_ref() == Some(&value) {
            continue;
        }
        let outcome_after = judged_with(&after, &settings);
        if outcome_after.is_err() {
            seen.push(format!("{value} is refused: {:?}", outcome_after.err()));
            continue;
        }
        let found = outcome::changes(&outcome_before, &outcome_after);
        let flip = format!("{} → {}", shown(old.as_ref()), shown(Some(&value)));
        if !found.is_empty() {
            let (inert, awaits) = lists::of(path, lists::FIELDS);
            if let Some(reason) = inert {
                return Err(format!(
                    "{path}: is on the list of inert fields ({reason}), but changes {found:?}"
                ));
            }
            return Ok(Row { name: path.to_owned(), flip, changes: joined(&found), awaits });
        }
        seen.push(format!("{flip} changes nothing"));
    }
    match lists::of(path, lists::FIELDS) {
        (Some(reason), awaits) => {
            Ok(Row { name: path.to_owned(), flip: "–".to_owned(), changes: format!("*{reason}*"), awaits })
        }
        (None, "") => Err(format!("{path}: {}", seen.join("; "))),
        (None, awaits) => Ok(Row {
            name: path.to_owned(),
            flip: "–".to_owned(),
            changes: "*read and kept*".to_owned(),
            awaits,
        }),
    }
}

pub fn joined(found: &std::collections::BTreeSet<String>) -> String {
    found.iter().cloned().collect::<Vec<_>>().join(", ")
}

pub fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    let short: String = text.chars().take(48).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", short.replace('|', "\\|"))
}

/// Puts `value` at `path` and returns what was there. `{}` is the first key that is there, `[]` the
/// first item.
fn put(spec: &mut Value, path: &str, value: Value) -> Option<Value> {
    let mut place = spec;
    for part in path.split('.') {
        place = match part {
            "[]" => {
                if !place.is_array() {
                    *place = json!([null]);
                }
                let items = place.as_array_mut().unwrap();
                if items.is_empty() {
                    items.push(Value::Null);
                }
                &mut items[0]
            }
            "{}" => {
                if !place.is_object() {
                    *place = json!({});
                }
                let key = place.as_object().unwrap().keys().next().cloned();
                &mut place[key.unwrap_or_else(|| "flipped".to_owned())]
            }
            name => {
                if !place.is_object() {
                    *place = json!({});
                }
                &mut place[name]
            }
        };
    }
    let old = std::mem::replace(place, value);
    (!old.is_null()).then_some(old)
}

/// Values to try, from the schema.
fn candidates(path: &str, schema: &Value) -> Vec<Value> {
    if let Some(words) = schema["enum"].as_array() {
        return words.clone();
    }
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
    match (schema["type"].as_str(), schema["pattern"].as_str(), schema["format"].as_str()) {
        (Some("boolean"), ..) => vec![json!(true), json!(false)],
        (Some("integer"), ..) => vec![json!(7), json!(31007)],
        (_, Some(rules::CPU_PATTERN), _) => texts(&["77m", "3"]),
        (_, Some(rules::MEMORY_PATTERN), _) => texts(&["77Mi", "3Gi"]),
        (_, Some(rules::TIMESTAMP_PATTERN), _) => texts(&["2026-01-01T00:00:00+00:00"]),
        (_, Some(rules::CIDR_PATTERN), _) => texts(&["10.7.0.0/16"]),
        (_, Some(rules::CRON_PATTERN), _) => texts(&["7 7 * * *"]),
        (_, Some(rules::WINDOW_PATTERN), _) => texts(&["Sat:01:00-06:00"]),
        (.., Some("uuid")) => texts(&["11111111-1111-1111-1111-111111111111"]),
        (Some("string"), ..) => texts(&["flipped"]),
        _ => panic!("{path}: no value can be made; write a special row"),
    }
}

type Special = (&'static str, Value, Vec<Value>, Settings);

/// Rows that need another manifest, other settings or a value that a schema does not tell.
fn specials() -> Vec<Special> {
    let plain = Settings::default;
    let bucket = || Settings { wal_s3_bucket: "bucket".to_owned(), ..plain() };
    let node_port = |path: &'static str, flag: &str| (path, json!({flag: true}), vec![json!(31007)], plain());
    let value = |path: &'static str, value: Value| (path, json!({}), vec![value], plain());
    let standby = || json!({"clone": null, "standby": {"standby_host": "h"}});
    let container = json!({"name": "flipped", "image": "flipped"});
    vec![
        value("env.[]", json!({"name": "FLIPPED", "value": "7"})),
        value("envFrom.[]", json!({"secretRef": {"name": "flipped"}})),
        value("livenessProbe", json!({"tcpSocket": {"port": 5432}})),
        value("tolerations.[]", json!({"key": "flipped", "operator": "Exists"})),
        value(
            "nodeAffinity",
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "flipped", "operator": "Exists"}]},
            ]}}),
        ),
        value(
            "topologySpreadConstraints.[]",
            json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}),
        ),
        value("initContainers.[]", container.clone()),
        value("init_containers.[]", container),
        value("sidecars.[].env.[]", json!({"name": "FLIPPED", "value": "7"})),
        value("sidecars.[].ports.[]", json!({"containerPort": 7})),
        value("additionalVolumes.[].volumeSource", json!({"configMap": {"name": "flipped"}})),
        value("additionalVolumes.[].targetContainers.[]", json!("exporter")),
        value("volume.selector", json!({"matchLabels": {"flipped": "yes"}})),
        value("numberOfInstances", json!(7)),
        value("databases.{}", json!("foo_user")),
        node_port("masterNodePort", "enableMasterNodePort"),
        node_port("replicaNodePort", "enableReplicaNodePort"),
        node_port("masterPoolerNodePort", "enableMasterPoolerNodePort"),
        node_port("replicaPoolerNodePort", "enableReplicaPoolerNodePort"),
        ("allowedSourceRanges.[]", json!({"enableMasterLoadBalancer": true}), vec![], plain()),
        ("clone.uid", json!({}), vec![], bucket()),
        (
            "preparedDatabases.{}.secretNamespace",
            json!({"preparedDatabases": {"bar": {"defaultUsers": true}}}),
            vec![],
            Settings { enable_cross_namespace_secret: true, ..plain() },
        ),
        ("standby.s3_wal_path", standby(), vec![], plain()),
        ("standby.gs_wal_path", standby(), vec![], plain()),
        ("standby.standby_host", standby(), vec![], plain()),
        ("standby.standby_port", standby(), vec![], plain()),
        ("standby.standby_primary_slot_name", standby(), vec![], plain()),
    ]
}
