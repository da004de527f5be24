//! How the user's configuration is laid over the generated one.

use serde_json::Value;

/// Objects merge key by key, the user's value wins, a list replaces the generated list as a whole, and a
/// user's `null` keeps what was generated.
#[must_use]
pub fn merged(generated: Value, user: &Value) -> Value {
    match (generated, user) {
        (generated, Value::Null) => generated,
        (Value::Object(mut into), Value::Object(from)) => {
            for (key, value) in from {
                let before = into.remove(key).unwrap_or(Value::Null);
                into.insert(key.clone(), merged(before, value));
            }
            Value::Object(into)
        }
        (_, user) => user.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_merge_lists_replace_null_keeps() {
        let generated = json!({"a": {"x": 1, "y": 2}, "list": [1, 2], "kept": "yes"});
        let user = json!({"a": {"y": 3, "z": 4}, "list": [9], "kept": null, "new": {"n": 1}});
        assert_eq!(
            merged(generated, &user),
            json!({"a": {"x": 1, "y": 3, "z": 4}, "list": [9], "kept": "yes", "new": {"n": 1}})
        );
    }
}
