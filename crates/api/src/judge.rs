//! A value beside its schema: what does not fit becomes a problem and is left out, so that the
//! rest can be used. Types, required fields and smallest and largest numbers are judged here;
//! patterns and words are judged where a better message can be given.

use serde_json::{Map, Value};

use crate::problem::Problem;

/// What was found beside the values that fit.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What does not fit.
    pub(crate) problems: Vec<Problem>,
    /// Paths that the schema does not know. The API server removes them; a file still has them.
    pub(crate) unknown: Vec<String>,
}

impl Verdict {
    /// `value` without what does not fit `schema`; `None` if nothing is left. Null is treated as
    /// the API server does: it stays where the schema allows it, and else counts as absent.
    pub(crate) fn keep(&mut self, schema: &Value, value: &Value, path: &str) -> Option<Value> {
        match (schema["type"].as_str(), value) {
            (_, Value::Null) => (schema["nullable"] == true).then_some(Value::Null),
            (Some("object"), Value::Object(map)) => Some(self.object(schema, map, path)),
            (Some("array"), Value::Array(items)) => Some(self.array(schema, items, path)),
            (Some("integer"), Value::Number(_)) => self.integer(schema, value, path),
            (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {
                Some(value.clone())
            }
            (Some(wanted), found) => {
                self.problems.push(wrong_type(path, wanted, found));
                None
            }
        }
    }

    fn object(&mut self, schema: &Value, map: &Map<String, Value>, path: &str) -> Value {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if map.get(required).is_none_or(Value::is_null) {
                self.problems.push(Problem::new(
                    format!("{path}.{required}"),
                    "is missing",
                    "add it, it has no default",
                ));
            }
        }
        let mut kept = Map::new();
        for (key, value) in map {
            let place = format!("{path}.{key}");
            let of_key = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
            let value = match of_key {
                Some(of_key) => self.keep(of_key, value, &place),
                None if schema["x-kubernetes-preserve-unknown-fields"] == true => Some(value.clone()),
                None => {
                    self.unknown.push(place);
                    None
                }
            };
            kept.extend(value.map(|value| (key.clone(), value)));
        }
        Value::Object(kept)
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &str) -> Value {
        let of_item = &schema["items"];
        let mut kept = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = format!("{path}[{index}]");
            if item.is_null() {
                let wanted = of_item["type"].as_str().unwrap_or_default();
                self.problems.push(wrong_type(&place, wanted, item));
            } else {
                kept.extend(self.keep(of_item, item, &place));
            }
        }
        Value::Array(kept)
    }

    fn integer(&mut self, schema: &Value, value: &Value, path: &str) -> Option<Value> {
        let Some(number) = value.as_i64() else {
            let cure = "use a whole number that is not that large";
            self.problems.push(Problem::new(path, format!("is {value}, which is not a whole number"), cure));
            return None;
        };
        let (smallest, largest) = match schema["format"].as_str() {
            Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let smallest = schema["minimum"].as_i64().unwrap_or(smallest);
        let largest = schema["maximum"].as_i64().unwrap_or(largest);
        if (smallest..=largest).contains(&number) {
            return Some(value.clone());
        }
        let (message, cure) = if number < 0 && smallest == 0 {
            (format!("is negative: {number}"), "use 0 or more, or remove it for the default".to_owned())
        } else {
            (format!("is {number}"), format!("use a number from {smallest} to {largest}"))
        };
        self.problems.push(Problem::new(path, message, cure));
        None
    }
}

fn wrong_type(path: &str, wanted: &str, found: &Value) -> Problem {
    let (wanted, cure) = match wanted {
        "object" => ("an object", "write key: value lines below it"),
        "array" => ("a list", "write its items with a dash before each, or in square brackets"),
        "integer" => ("a whole number", "write the number without quotes"),
        "boolean" => ("true or false", "write true or false without quotes"),
        _ => ("a text", "put the value in quotes"),
    };
    Problem::new(path, format!("must be {wanted}, not {}", kind_of(found)), cure)
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
