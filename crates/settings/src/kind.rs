//! What an option's value can be, and how each kind is read from text and from JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::number;

/// A kind of value. Empty text means the zero value of the kind, not the default of the option:
/// that is how existing configurations switch things off.
pub trait Kind: Sized {
    /// Name of the kind in messages and in the documentation.
    const NAME: &'static str;

    /// Reads a value of a ConfigMap. The error says what is expected.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value as an `OperatorConfiguration` holds it.
    fn to_json(&self) -> Value;

    /// The schema of such a value.
    fn schema() -> Value;

    /// Reads a value of an `OperatorConfiguration`. Numbers and booleans may also be text.
    fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Number(_) | Value::Bool(_) => Self::from_text(&value.to_string()),
            Value::Null => Self::from_text(""),
            _ => Err(format!("expected {}, found {value}", Self::NAME)),
        }
    }
}

impl Kind for String {
    const NAME: &'static str = "text";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        json!({"type": "string"})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Kind for bool {
    const NAME: &'static str = "true or false";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(format!("expected {}, found {text:?}", Self::NAME)),
        }
    }
}

impl Kind for Option<bool> {
    const NAME: &'static str = "true, false, or nothing";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        bool::schema()
    }
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { bool::from_text(text).map(Some) }
    }
}

impl Kind for i64 {
    const NAME: &'static str = "a whole number";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        json!({"type": "integer", "format": "int64"})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(0);
        }
        number::integer(text).ok_or_else(|| format!("expected {}, found {text:?}", Self::NAME))
    }
}

impl Kind for Option<i64> {
    const NAME: &'static str = "a whole number, or nothing";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        i64::schema()
    }
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { i64::from_text(text).map(Some) }
    }
}

impl Kind for Duration {
    const NAME: &'static str = "a duration such as 30s, 5m or 1h30m";
    fn to_json(&self) -> Value {
        json!(number::duration_text(*self))
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": number::DURATION})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::ZERO);
        }
        number::duration(text).ok_or_else(|| format!("expected {}, found {text:?}", Self::NAME))
    }
}

impl Kind for Vec<String> {
    const NAME: &'static str = "a list, separated by commas";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        json!({"type": "array", "items": {"type": "string"}})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(parts.map(str::to_owned).collect())
    }
    fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(_) => serde_json::from_value(value.clone())
                .map_err(|_| format!("expected a list of texts, found {value}")),
            Value::String(text) => Self::from_text(text),
            Value::Null => Ok(Vec::new()),
            _ => Err(format!("expected a list of texts, found {value}")),
        }
    }
}

impl Kind for BTreeMap<String, String> {
    const NAME: &'static str = "a map, key:value separated by commas";
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": {"type": "string"}})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        let mut map = Self::new();
        let (pairs, closed) = split_outside_quotes(text, ',');
        if !closed {
            return Err(format!("expected {}, found a quote that is not closed in {text:?}", Self::NAME));
        }
        for pair in pairs.into_iter().map(str::trim).filter(|pair| !pair.is_empty()) {
            let key = split_outside_quotes(pair, ':').0.first().map_or(pair.len(), |key| key.len());
            let Some(value) = pair.get(key + 1..) else {
                return Err(format!("expected {}, found {pair:?} without a colon in {text:?}", Self::NAME));
            };
            map.insert(unquoted(pair[..key].trim()).to_owned(), unquoted(value.trim()).to_owned());
        }
        Ok(map)
    }
    fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Object(_) => serde_json::from_value(value.clone())
                .map_err(|_| format!("expected a map of texts, found {value}")),
            Value::String(text) => Self::from_text(text),
            Value::Null => Ok(Self::new()),
            _ => Err(format!("expected a map of texts, found {value}")),
        }
    }
}

/// A piece of a Kubernetes object, or a list of pieces. In a ConfigMap it is written as JSON or YAML.
impl Kind for Option<Value> {
    const NAME: &'static str = "an object";
    fn to_json(&self) -> Value {
        self.clone().unwrap_or(Value::Null)
    }
    fn schema() -> Value {
        // Typed by nothing: the definition of the contract demands an object where a list is meant.
        json!({"x-kubernetes-preserve-unknown-fields": true})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        serde_saphyr::from_str(text).map(Some).map_err(|_| format!("expected JSON or YAML, found {text:?}"))
    }
    fn from_json(value: &Value) -> Result<Self, String> {
        Ok(if value.is_null() { None } else { Some(value.clone()) })
    }
}

/// In which order a StatefulSet makes and removes its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodManagement {
    /// One after the other.
    #[default]
    OrderedReady,
    /// All at once.
    Parallel,
}

impl PodManagement {
    /// The value of `podManagementPolicy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderedReady => "OrderedReady",
            Self::Parallel => "Parallel",
        }
    }
}

impl Kind for PodManagement {
    const NAME: &'static str = "ordered_ready or parallel";
    fn to_json(&self) -> Value {
        json!(match self {
            Self::OrderedReady => "ordered_ready",
            Self::Parallel => "parallel",
        })
    }
    fn schema() -> Value {
        json!({"type": "string", "enum": ["ordered_ready", "parallel"]})
    }
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "ordered_ready" => Ok(Self::OrderedReady),
            "parallel" => Ok(Self::Parallel),
            _ => Err(format!("expected {}, found {text:?}", Self::NAME)),
        }
    }
}

/// Splits at separators that are not inside single or double quotes; whether all quotes are closed.
fn split_outside_quotes(text: &str, separator: char) -> (Vec<&str>, bool) {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, c) if c == separator => {
                parts.push(&text[start..at]);
                start = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (parts, quote.is_none())
}

/// Takes off one pair of enclosing quotes.
fn unquoted(text: &str) -> &str {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_keep_colons_and_commas_of_values() {
        let map = BTreeMap::<String, String>::from_text("a:b, image:host:5000/x:1,search_path:'data,public'")
            .unwrap();
        let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["a=b", "image=host:5000/x:1", "search_path=data,public"]);
    }

    #[test]
    fn lists_are_trimmed() {
        assert_eq!(Vec::<String>::from_text("admin, cron_admin,").unwrap(), ["admin", "cron_admin"]);
        assert!(Vec::<String>::from_text("").unwrap().is_empty());
    }

    #[test]
    fn booleans_are_those_of_the_contract() {
        assert_eq!(bool::from_text("T"), Ok(true));
        assert_eq!(bool::from_text(""), Ok(false));
        assert!(bool::from_text("yes").is_err());
    }
}
