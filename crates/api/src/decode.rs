//! Lenient decoding: a field that cannot be read becomes a problem, the rest is still usable, and
//! no object ever fails as a whole.

use serde_json::{Map, Value, json};

use crate::problem::Problem;
use crate::spec::PostgresqlSpec;

/// A `spec` as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The fields that could be read; the others have their defaults.
    pub spec: PostgresqlSpec,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Reads the `spec` of `object`, a whole `postgresql` object.
pub fn decode(object: &Value) -> Decoded {
    let mut problems = Vec::new();
    let mut kept = minimal_spec();
    match object.get("spec") {
        Some(Value::Object(spec)) => keep_readable(spec, &mut kept, &mut problems),
        Some(other) => problems.push(Problem::new(
            "spec",
            format!("must be an object, not {}", kind_of(other)),
            "write the fields of the cluster below spec",
        )),
        None => problems.push(Problem::new(
            "spec",
            "is missing",
            "add spec with teamId, numberOfInstances, volume and postgresql",
        )),
    }
    let spec = serde_json::from_value(Value::Object(kept)).unwrap_or_default();
    Decoded { spec, problems }
}

/// The required fields with empty values, so that a spec without them can still be read.
fn minimal_spec() -> Map<String, Value> {
    let empty = json!({
        "teamId": "",
        "numberOfInstances": 0,
        "volume": {"size": ""},
        "postgresql": {"version": ""},
    });
    match empty {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Moves every field of `spec` that can be read into `kept`, one by one.
fn keep_readable(spec: &Map<String, Value>, kept: &mut Map<String, Value>, problems: &mut Vec<Problem>) {
    for required in ["teamId", "numberOfInstances", "volume", "postgresql"] {
        if spec.get(required).is_none_or(Value::is_null) {
            problems.push(Problem::new(
                format!("spec.{required}"),
                "is missing",
                "add it, it has no default",
            ));
        }
    }
    for (key, value) in spec {
        if value.is_null() {
            continue;
        }
        let mut trial = minimal_spec();
        trial.insert(key.clone(), value.clone());
        match serde_path_to_error::deserialize::<_, PostgresqlSpec>(Value::Object(trial)) {
            Ok(_) => {
                kept.insert(key.clone(), value.clone());
            }
            Err(error) => problems.push(Problem::new(
                format!("spec.{}", error.path()),
                format!("cannot be read: {}", error.inner()),
                "correct its type; values of maps such as parameters are text, so quote numbers",
            )),
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_user_is_a_user_without_flags() {
        let decoded = decode(&json!({"spec": {
            "teamId": "acid", "numberOfInstances": 1, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"}, "users": {"foo_user": null},
        }}));
        assert_eq!(decoded.problems, vec![]);
        assert_eq!(decoded.spec.users.unwrap().get("foo_user"), Some(&None));
    }

    #[test]
    fn unreadable_fields_are_named_and_the_rest_is_kept() {
        let decoded = decode(&json!({"spec": {
            "teamId": 100, "numberOfInstances": 2, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17", "parameters": {"max_connections": 10}},
        }}));
        let fields: Vec<_> = decoded.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["spec.postgresql.parameters.max_connections", "spec.teamId"]);
        assert_eq!(decoded.spec.number_of_instances, 2);
    }

    #[test]
    fn an_object_without_spec_names_it() {
        assert_eq!(decode(&json!({})).problems[0].field, "spec");
    }
}
