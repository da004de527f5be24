//! What the API server makes of a value beside a structural schema, as far as the schemas here use
//! it: rules in CEL are left to a real API server.

use regex::Regex;
use serde_json::Value;

/// Every way in which `value` does not fit `schema`, unknown fields included: `kubectl` asks for
/// strict validation.
pub fn faults(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    judge(schema, value, path, &mut found);
    found
}

fn judge(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(_)) => object(schema, value, path, found),
        (Some("array"), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                judge(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        (Some("string"), Value::String(text)) => string(schema, text, path, found),
        (Some("boolean"), Value::Bool(_)) | (None, _) => {}
        (Some("integer"), Value::Number(number)) if number.is_i64() => {
            let number = number.as_i64().unwrap();
            let below = schema["minimum"].as_i64().is_some_and(|smallest| number < smallest);
            let above = schema["maximum"].as_i64().is_some_and(|largest| number > largest);
            let large = schema["format"] == "int32" && i32::try_from(number).is_err();
            if below || above || large {
                found.push(format!("{path}: {number} is out of bounds"));
            }
        }
        (Some("number"), Value::Number(_)) => {}
        (Some(wanted), _) => found.push(format!("{path}: {value} is no {wanted}")),
    }
    combinations(schema, value, path, found);
}

fn object(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().unwrap() {
        let place = format!("{path}.{key}");
        if let Some(schema) = schema["properties"].get(key).or_else(|| schema.get("additionalProperties")) {
            judge(schema, value, &place, found);
        } else if schema["x-kubernetes-preserve-unknown-fields"] != true {
            found.push(format!("{place}: unknown field"));
        }
    }
    missing(schema, value, path, found);
}

fn missing(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    for required in schema["required"].as_array().into_iter().flatten() {
        let required = required.as_str().unwrap();
        if value.get(required).is_none_or(Value::is_null) {
            found.push(format!("{path}.{required}: required"));
        }
    }
}

fn string(schema: &Value, text: &str, path: &str, found: &mut Vec<String>) {
    let pattern = schema["pattern"].as_str().map(|pattern| Regex::new(pattern).unwrap());
    if pattern.is_some_and(|pattern| !pattern.is_match(text)) {
        found.push(format!("{path}: {text:?} does not match"));
    }
    if schema["enum"].as_array().is_some_and(|words| words.iter().all(|word| word != text)) {
        found.push(format!("{path}: {text:?} is not one of the words"));
    }
    if schema["maxLength"].as_u64().is_some_and(|longest| text.len() as u64 > longest) {
        found.push(format!("{path}: too long"));
    }
}

/// Branches name only required fields here.
fn combinations(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let fits = |branch: &Value| {
        let mut faults = Vec::new();
        missing(branch, value, path, &mut faults);
        faults.is_empty()
    };
    let branches =
        |key: &str| schema[key].as_array().map(|all| all.iter().filter(|branch| fits(branch)).count());
    if schema["x-kubernetes-int-or-string"] != true && branches("anyOf") == Some(0) {
        found.push(format!("{path}: none of anyOf"));
    }
    if branches("oneOf").is_some_and(|count| count != 1) {
        found.push(format!("{path}: not one of oneOf"));
    }
    if schema.get("not").is_some_and(fits) {
        found.push(format!("{path}: not"));
    }
}
